//! How the page is written: the two formats that are asked for, from plain data. Knows no number of its own.

use std::borrow::Cow;
use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
pub(super) use prometheus_client::metrics::MetricType as Kind;
use prometheus_client::registry::Registry;

use crate::net::Tally;

/// How the page is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::server) enum Format {
    /// Prometheus's text format 0.0.4, which everything that reads metrics understands.
    Text,
    /// OpenMetrics 1.0, for who asks for it.
    OpenMetrics,
}

impl Format {
    /// What the value of `Accept` asks for.
    pub(in crate::server) fn of(accept: Option<&[u8]>) -> Self {
        let accept = accept.and_then(|it| std::str::from_utf8(it).ok()).unwrap_or_default();
        let asked = accept.split(',').any(|one| {
            let kind = one.split(';').next().unwrap_or_default().trim();
            kind.eq_ignore_ascii_case("application/openmetrics-text")
        });
        if asked { Self::OpenMetrics } else { Self::Text }
    }

    pub(in crate::server) const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The page with these on it.
pub(super) fn written(families: Vec<Family>, format: Format) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Page { families, format }));
    let mut text = String::with_capacity(PAGE_ROOM);
    encode_registry(&mut text, &registry).expect("a string takes all text");
    if format == Format::OpenMetrics {
        encode_eof(&mut text).expect("a string takes all text");
    }
    text
}

/// All that has one name.
#[derive(Debug)]
pub(super) struct Family {
    /// Without the ending that its kind has: `_total`, `_info`.
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) kind: Kind,
    pub(super) samples: Vec<Sample>,
}

#[derive(Debug)]
pub(super) struct Sample {
    pub(super) labels: Vec<(&'static str, Cow<'static, str>)>,
    pub(super) value: Value,
}

#[derive(Debug)]
pub(super) enum Value {
    Whole(u64),
    Real(f64),
    /// Sum, and how many lie up to each bound.
    Spread(f64, Vec<(f64, u64)>),
}

impl Sample {
    pub(super) fn whole(&self) -> u64 {
        match self.value {
            Value::Whole(value) => value,
            Value::Real(_) | Value::Spread(..) => 0,
        }
    }
}

pub(super) fn one(label: &'static str, word: &'static str, value: u64) -> Sample {
    Sample { labels: vec![(label, word.into())], value: Value::Whole(value) }
}

pub(super) fn real(value: f64) -> Sample {
    Sample { labels: Vec::new(), value: Value::Real(value) }
}

/// Several tallies of the same bounds as one, its values times `unit`.
pub(super) fn spread<'t>(
    tallies: impl IntoIterator<Item = &'t Tally>,
    labels: Vec<(&'static str, Cow<'static, str>)>,
    unit: f64,
) -> Sample {
    let (mut sum, mut buckets) = (0.0, Vec::<(f64, u64)>::new());
    for tally in tallies {
        sum += tally.sum() as f64 * unit;
        let bounds = tally.bounds().iter().map(|&bound| scaled(bound, unit));
        let bounds = bounds.chain([f64::INFINITY]);
        for (at, (bound, count)) in bounds.zip(tally.counts()).enumerate() {
            match buckets.get_mut(at) {
                Some((_, all)) => *all += count,
                None => buckets.push((bound, count)),
            }
        }
    }
    Sample { labels, value: Value::Spread(sum, buckets) }
}

/// By the nearest number that people write: 0.00025, not 0.00025000000000000006.
fn scaled(bound: u64, unit: f64) -> f64 {
    if unit == 1.0 { bound as f64 } else { bound as f64 / (1.0 / unit).round() }
}

pub(super) fn counters(
    name: &'static str,
    help: &'static str,
    samples: impl Into<Vec<Sample>>,
) -> Family {
    Family { name, help, kind: Kind::Counter, samples: samples.into() }
}

pub(super) fn gauges(
    name: &'static str,
    help: &'static str,
    samples: impl Into<Vec<Sample>>,
) -> Family {
    Family { name, help, kind: Kind::Gauge, samples: samples.into() }
}

pub(super) fn counter(name: &'static str, help: &'static str, value: u64) -> Family {
    counters(name, help, [Sample { labels: Vec::new(), value: Value::Whole(value) }])
}

pub(super) fn gauge(name: &'static str, help: &'static str, value: u64) -> Family {
    gauges(name, help, [Sample { labels: Vec::new(), value: Value::Whole(value) }])
}

#[derive(Debug)]
struct Page {
    families: Vec<Family>,
    format: Format,
}

impl Collector for Page {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for family in &self.families {
            // The older format knows no infos, and its counters are called as their samples are.
            let (name, kind) = match (self.format, family.kind) {
                (Format::Text, Kind::Counter) => {
                    (Cow::Owned(format!("{}_total", family.name)), Kind::Counter)
                }
                (Format::Text, Kind::Info) => {
                    (Cow::Owned(format!("{}_info", family.name)), Kind::Gauge)
                }
                (_, kind) => (Cow::Borrowed(family.name), kind),
            };
            let mut metric = encoder.encode_descriptor(&name, family.help, None, kind)?;
            for sample in &family.samples {
                self.write(&mut metric, family.kind, sample)?;
            }
        }
        Ok(())
    }
}

impl Page {
    fn write(&self, metric: &mut MetricEncoder<'_>, kind: Kind, sample: &Sample) -> fmt::Result {
        let open = self.format == Format::OpenMetrics;
        let own = open && matches!(kind, Kind::Counter);
        if open && matches!(kind, Kind::Info) {
            return metric.encode_info(&sample.labels);
        }
        if sample.labels.is_empty() {
            return Self::value(metric, own, &sample.value);
        }
        Self::value(&mut metric.encode_family(&sample.labels)?, own, &sample.value)
    }

    /// `own`: the encoder puts the ending of a counter behind its name.
    fn value(metric: &mut MetricEncoder<'_>, own: bool, value: &Value) -> fmt::Result {
        match value {
            Value::Whole(value) if own => metric.encode_counter::<NoLabelSet, _, u64>(value, None),
            Value::Real(value) if own => metric.encode_counter::<NoLabelSet, _, u64>(value, None),
            Value::Whole(value) => metric.encode_gauge(value),
            Value::Real(value) => metric.encode_gauge(value),
            Value::Spread(sum, buckets) => {
                let count = buckets.iter().map(|it| it.1).sum();
                metric.encode_histogram::<NoLabelSet>(*sum, count, buckets, None)
            }
        }
    }
}

/// A server with four loops has a page of some 20 KB.
const PAGE_ROOM: usize = 32 << 10;
