//! The page that Prometheus reads: every number with its name and what it means, added up over the loops.
//! Decides what is shown and how it is called; who may see it is decided in `audience`.

use std::borrow::Cow;
use std::fmt;
use std::time::SystemTime;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::labels::{CODES, DIALECTS};
use super::process::Process;
use super::{Ending, Failure, Meter, Metrics};
use crate::net::{Count, Counters, Tally};
use crate::server::log;

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

impl Metrics {
    /// The whole page. Allocates some ten kilobytes, and asks the system and the broker for what they know.
    pub(in crate::server) fn page(&self, format: Format) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Page { families: self.families(), format }));
        let mut text = String::with_capacity(PAGE_BYTES);
        encode_registry(&mut text, &registry).expect("a string takes all text");
        if format == Format::OpenMetrics {
            encode_eof(&mut text).expect("a string takes all text");
        }
        text
    }

    fn families(&self) -> Vec<Family> {
        let mut all = self.of_connections();
        all.extend(self.of_messages());
        all.extend(self.of_closing());
        all.extend(self.of_chat());
        all.extend(self.of_loops());
        all.extend(self.of_process());
        all
    }

    fn of_connections(&self) -> Vec<Family> {
        let by_dialect = |of: fn(&Meter) -> &[Count; 6]| {
            DIALECTS.map(|(dialect, word)| one("dialect", word, self.at(of, dialect as usize)))
        };
        let opened: u64 = (0..DIALECTS.len()).map(|at| self.at(|it| &it.opened, at)).sum();
        let failed = self.each(|it| &it.failed, "reason", Failure::WORDS);
        let failures = failed.iter().map(Sample::whole).sum();
        vec![
            gauge(
                "sockeye_connections",
                "Sockets open now, HTTP or WebSocket, those that are closing among them.",
                self.sum(|it| &it.sockets),
            ),
            gauge(
                "sockeye_connections_max",
                "Sockets that may be open at once; more wait until one ends.",
                self.connections_max as u64,
            ),
            counter(
                "sockeye_connections_accepted",
                "Connections accepted.",
                self.sum(|it| &it.accepted),
            ),
            counters(
                "sockeye_connections_ended",
                "Connections that ended, by the first cause.",
                self.each(|it| &it.ended, "reason", Ending::WORDS),
            ),
            counter(
                "sockeye_accept_failures",
                "Times that no connection could be accepted, as for want of file descriptors.",
                self.of_net(|it| &it.accept_failed),
            ),
            gauges(
                "sockeye_websockets",
                "WebSockets open now, by what they speak.",
                by_dialect(|it| &it.websockets),
            ),
            counters(
                "sockeye_websockets_opened",
                "WebSockets opened, by what they speak.",
                by_dialect(|it| &it.opened),
            ),
            counters(
                "sockeye_handshakes",
                "Opening handshakes by outcome.",
                [one("outcome", "accepted", opened), one("outcome", "failed", failures)],
            ),
            counters(
                "sockeye_handshake_failures",
                "Connections or requests for a WebSocket that got none, by reason.",
                failed,
            ),
        ]
    }

    fn of_messages(&self) -> Vec<Family> {
        let messages = |of: fn(&Meter) -> &[[Count; 2]; 6]| {
            let mut samples = Vec::new();
            for (at, (_, dialect)) in DIALECTS.iter().enumerate() {
                for (kind, word) in ["text", "binary"].into_iter().enumerate() {
                    let value = self.meters.iter().map(|it| of(it)[at][kind].get()).sum();
                    let labels = vec![("dialect", (*dialect).into()), ("kind", word.into())];
                    samples.push(Sample { labels, value: Value::Whole(value) });
                }
            }
            samples
        };
        let [plain_in, packed_in] = [1, 0].map(|at| self.at(|it| &it.inflated, at));
        let [plain_out, packed_out] = [0, 1].map(|at| self.at(|it| &it.deflated, at));
        let both =
            |inward, outward| [one("direction", "in", inward), one("direction", "out", outward)];
        vec![
            counters(
                "sockeye_messages_received",
                "Messages that came, fragments counted once.",
                messages(|it| &it.heard),
            ),
            counters(
                "sockeye_messages_sent",
                "Messages put into clients' queues, each receiver counted.",
                messages(|it| &it.said),
            ),
            counter(
                "sockeye_received_bytes",
                "Bytes read from sockets, as on the wire: HTTP, frames and TLS included.",
                self.of_net(|it| &it.bytes_in),
            ),
            counter(
                "sockeye_sent_bytes",
                "Bytes that sockets took, as on the wire: HTTP, frames and TLS included.",
                self.of_net(|it| &it.bytes_out),
            ),
            gauge(
                "sockeye_queued_bytes",
                "Bytes that wait now for clients to take them.",
                self.of_net(|it| &it.waiting),
            ),
            Family {
                name: "sockeye_fanout_receivers",
                help: "Receivers of a message that goes to two or more at once, on each loop.",
                kind: MetricType::Histogram,
                samples: vec![spread(self.meters.iter().map(|it| &it.fan_out), Vec::new(), 1.0)],
            },
            counters(
                "sockeye_deflate_plain_bytes",
                "Bytes of compressed messages before compressing (out) and after inflating (in). A message for many counts once.",
                both(plain_in, plain_out),
            ),
            counters(
                "sockeye_deflate_compressed_bytes",
                "Bytes of the same messages as they are compressed.",
                both(packed_in, packed_out),
            ),
            Family {
                name: "sockeye_deflate_ratio",
                help: "Compressed bytes for each plain byte since the start; 1 while there are none.",
                kind: MetricType::Gauge,
                samples: [("in", packed_in, plain_in), ("out", packed_out, plain_out)]
                    .map(|(word, packed, plain)| Sample {
                        labels: vec![("direction", word.into())],
                        value: Value::Real(ratio(packed, plain)),
                    })
                    .into(),
            },
        ]
    }

    fn of_closing(&self) -> Vec<Family> {
        vec![
            counters(
                "sockeye_close_frames_received",
                "Close frames that came, by code; none is one without a code.",
                self.each(|it| &it.close_heard, "code", &CODES),
            ),
            counters(
                "sockeye_close_frames_sent",
                "Close frames sent, answers included, by code; none is one without a code.",
                self.each(|it| &it.close_said, "code", &CODES),
            ),
            counter(
                "sockeye_slow_consumers",
                "Clients closed because too much waited for them.",
                self.sum(|it| &it.slow),
            ),
            counter(
                "sockeye_pings_sent",
                "Pings sent to clients that were silent.",
                self.sum(|it| &it.pings_said),
            ),
            counter("sockeye_pings_received", "Pings that came.", self.sum(|it| &it.pings_heard)),
            counter("sockeye_pongs_received", "Pongs that came.", self.sum(|it| &it.pongs_heard)),
            counter(
                "sockeye_rate_limited",
                "Messages refused, and connections closed, for sending more than they may.",
                self.sum(|it| &it.rate_limited),
            ),
        ]
    }

    fn of_chat(&self) -> Vec<Family> {
        let load = self.sources.get().map(|it| it.cluster.load()).unwrap_or_default();
        vec![
            gauge(
                "sockeye_rooms",
                "Rooms with somebody in them; one with people on several loops counts on each.",
                self.sum(|it| &it.rooms),
            ),
            gauge(
                "sockeye_users",
                "Named users of the native chat who are here; one on several loops counts on each.",
                self.sum(|it| &it.users),
            ),
            gauge(
                "sockeye_sessions",
                "Connections that the chat knows: open WebSockets that have not begun to close.",
                self.sum(|it| &it.sessions),
            ),
            gauge(
                "sockeye_history_logs",
                "Rooms and inboxes whose messages are remembered.",
                load.logs as u64,
            ),
            gauge(
                "sockeye_history_bytes",
                "Bytes of remembered messages, as --history-memory counts them.",
                load.bytes as u64,
            ),
            gauge(
                "sockeye_broker_waiting_events",
                "What waits now for loops to take it from the broker.",
                load.waiting as u64,
            ),
            gauge(
                "sockeye_broker_waiting_bytes",
                "Bytes of messages among that.",
                load.waiting_bytes as u64,
            ),
            counter(
                "sockeye_backpressure_waits",
                "Times that a client was not heard for a moment because other loops were behind.",
                self.sum(|it| &it.waits),
            ),
        ]
    }

    fn of_loops(&self) -> Vec<Family> {
        let loops = self.sources.get().map(|it| it.loops.as_slice()).unwrap_or_default();
        let times = |name, help, of: fn(&Counters) -> &Tally| {
            let by_loop = loops.iter().enumerate().map(|(number, counters)| {
                let labels = vec![("shard", number.to_string().into())];
                spread([of(counters)], labels, 1e-9)
            });
            Family { name, help, kind: MetricType::Histogram, samples: by_loop.collect() }
        };
        vec![
            gauge("sockeye_shards", "Loops, a thread each.", loops.len() as u64),
            times(
                "sockeye_loop_turn_seconds",
                "How long a loop worked between two waits for something to do: so long whoever came meanwhile had to wait.",
                |it| &it.turns,
            ),
            times(
                "sockeye_loop_lag_seconds",
                "How long after a timer was due its loop came to look at it; the grain of timers is 10 ms.",
                |it| &it.late,
            ),
            counter(
                "sockeye_log_lines_lost",
                "Lines of the log that were dropped because nobody took them.",
                log::lines_lost(),
            ),
        ]
    }

    fn of_process(&self) -> Vec<Family> {
        let Process { cpu_seconds, resident_bytes, virtual_bytes, open_fds, max_fds, threads } =
            Process::read();
        let started = self.started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let maybe = |name, help, value: Option<u64>| Some(gauge(name, help, value?));
        let cpu = cpu_seconds.map(|seconds| Family {
            name: "process_cpu_seconds",
            help: "CPU time spent, the user's and the system's.",
            kind: MetricType::Counter,
            samples: vec![real(seconds)],
        });
        let known = [
            cpu,
            maybe("process_resident_memory_bytes", "Memory that is resident.", resident_bytes),
            maybe("process_virtual_memory_bytes", "Address space that is taken.", virtual_bytes),
            maybe("process_open_fds", "File descriptors that are open.", open_fds),
            maybe("process_max_fds", "File descriptors that may be open.", max_fds),
            maybe("process_threads", "Threads of the process.", threads),
        ];
        let mut all: Vec<Family> = known.into_iter().flatten().collect();
        all.push(Family {
            name: "process_start_time_seconds",
            help: "When the server started, since 1970 (UTC).",
            kind: MetricType::Gauge,
            samples: vec![real(started.as_secs_f64())],
        });
        all.push(Family {
            name: "sockeye_build",
            help: "Which program this is; always 1.",
            kind: MetricType::Info,
            samples: vec![one("version", env!("CARGO_PKG_VERSION"), 1)],
        });
        all
    }

    fn sum(&self, of: fn(&Meter) -> &Count) -> u64 {
        self.meters.iter().map(|it| of(it).get()).sum()
    }

    /// Of a row of numbers the one at this place.
    fn at<const N: usize>(&self, of: fn(&Meter) -> &[Count; N], at: usize) -> u64 {
        self.meters.iter().filter_map(|it| of(it).get(at)).map(Count::get).sum()
    }

    fn each<const N: usize>(
        &self,
        of: fn(&Meter) -> &[Count; N],
        label: &'static str,
        words: &[&'static str],
    ) -> Vec<Sample> {
        words.iter().enumerate().map(|(at, word)| one(label, word, self.at(of, at))).collect()
    }

    fn of_net(&self, of: fn(&Counters) -> &Count) -> u64 {
        let loops = self.sources.get().map(|it| it.loops.as_slice()).unwrap_or_default();
        loops.iter().map(|it| of(it).get()).sum()
    }
}

/// All that has one name.
#[derive(Debug)]
struct Family {
    /// Without the ending that its kind has: `_total`, `_info`.
    name: &'static str,
    help: &'static str,
    kind: MetricType,
    samples: Vec<Sample>,
}

#[derive(Debug)]
struct Sample {
    labels: Vec<(&'static str, Cow<'static, str>)>,
    value: Value,
}

#[derive(Debug)]
enum Value {
    Whole(u64),
    Real(f64),
    /// Sum, and how many lie up to each bound.
    Spread(f64, Vec<(f64, u64)>),
}

impl Sample {
    fn whole(&self) -> u64 {
        match self.value {
            Value::Whole(value) => value,
            Value::Real(_) | Value::Spread(..) => 0,
        }
    }
}

fn one(label: &'static str, word: &'static str, value: u64) -> Sample {
    Sample { labels: vec![(label, word.into())], value: Value::Whole(value) }
}

fn real(value: f64) -> Sample {
    Sample { labels: Vec::new(), value: Value::Real(value) }
}

/// Several tallies of the same bounds as one, its values times `unit`.
fn spread<'t>(
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

fn ratio(packed: u64, plain: u64) -> f64 {
    if plain == 0 { 1.0 } else { packed as f64 / plain as f64 }
}

fn counters(name: &'static str, help: &'static str, samples: impl Into<Vec<Sample>>) -> Family {
    Family { name, help, kind: MetricType::Counter, samples: samples.into() }
}

fn gauges(name: &'static str, help: &'static str, samples: impl Into<Vec<Sample>>) -> Family {
    Family { name, help, kind: MetricType::Gauge, samples: samples.into() }
}

fn counter(name: &'static str, help: &'static str, value: u64) -> Family {
    counters(name, help, [Sample { labels: Vec::new(), value: Value::Whole(value) }])
}

fn gauge(name: &'static str, help: &'static str, value: u64) -> Family {
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
                (Format::Text, MetricType::Counter) => {
                    (Cow::Owned(format!("{}_total", family.name)), MetricType::Counter)
                }
                (Format::Text, MetricType::Info) => {
                    (Cow::Owned(format!("{}_info", family.name)), MetricType::Gauge)
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
    fn write(
        &self,
        metric: &mut MetricEncoder<'_>,
        kind: MetricType,
        sample: &Sample,
    ) -> fmt::Result {
        let open = self.format == Format::OpenMetrics;
        let own = open && matches!(kind, MetricType::Counter);
        if open && matches!(kind, MetricType::Info) {
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
const PAGE_BYTES: usize = 32 << 10;
