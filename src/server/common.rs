//! What all loops of a server share, and none of them changes but by what guards itself.

use std::sync::Arc;

use super::admission::Admission;
use super::config::{Config, SHARDS_MAX};
use super::metrics::Metrics;
use super::pages;
use super::tls::Reloadable;
use crate::http::Files;
use crate::proto;

/// Shared by all loops.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) config: Config,
    pub(super) codec: Arc<proto::Config>,
    pub(super) files: Files,
    pub(super) admission: Admission,
    pub(super) tls: Option<Reloadable>,
    pub(super) metrics: Metrics,
}

impl Common {
    pub(super) fn new(mut config: Config, tls: Option<Reloadable>) -> Self {
        config.hub.cluster = config.shards > 1;
        Self {
            codec: Arc::new(config.codec.clone()),
            files: pages::files(),
            admission: Admission::new(config.connections_per_ip_max),
            tls,
            metrics: Metrics::new(config.shards.clamp(1, SHARDS_MAX), config.max_connections),
            config,
        }
    }
}
