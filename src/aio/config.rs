//! What connections of one kind have in common.

use std::sync::Arc;

use crate::proto;

/// How a connection behaves: the codec's limits and compression, and how much may wait to be sent.
/// Cheap to clone.
///
/// ```
/// use sockeye::aio::Config;
///
/// let config = Config { write_bytes_max: 16 * 1024, ..Config::default() };
/// let small: Config = sockeye::proto::Config::default().max_payload(4096).into();
/// assert_eq!(small.write_bytes_max, 128 * 1024);
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// What the peer may send, and how messages are compressed.
    pub proto: Arc<proto::Config>,
    /// Bytes of encoded messages that may wait for the transport before the sink says that it is not
    /// ready. The message that reaches it is still taken whole, so at most this and one message wait.
    ///
    /// 128 KiB: more than a socket takes at once, so that a fast peer is never waited for, and little
    /// enough that a thousand slow ones hold no more than 128 MiB.
    pub write_bytes_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { proto: Arc::default(), write_bytes_max: 128 * 1024 }
    }
}

impl From<proto::Config> for Config {
    fn from(proto: proto::Config) -> Self {
        Self { proto: Arc::new(proto), ..Self::default() }
    }
}

impl From<Arc<proto::Config>> for Config {
    fn from(proto: Arc<proto::Config>) -> Self {
        Self { proto, ..Self::default() }
    }
}
