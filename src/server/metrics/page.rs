//! The page that Prometheus reads: every number with its name and what it means, added up over the loops.
//! Decides what is shown and how it is called; how that is written is `text`'s affair, who may see it `audience`'s.

use std::time::SystemTime;

use super::labels::{CODES, DIALECTS};
use super::process::Process;
use super::text::{
    Family, Format, Kind, Sample, Value, counter, counters, gauge, gauges, one, real, spread,
    written,
};
use super::{Ending, Failure, Meter, Metrics};
use crate::net::{Count, Counters, Tally};
use crate::server::log;

impl Metrics {
    /// The whole page. Allocates some ten kilobytes, and asks the system and the broker for what they know.
    pub(in crate::server) fn page(&self, format: Format) -> String {
        written(self.families(), format)
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
                kind: Kind::Histogram,
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
                kind: Kind::Gauge,
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
            Family { name, help, kind: Kind::Histogram, samples: by_loop.collect() }
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
            kind: Kind::Counter,
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
            kind: Kind::Gauge,
            samples: vec![real(started.as_secs_f64())],
        });
        all.push(Family {
            name: "sockeye_build",
            help: "Which program this is; always 1.",
            kind: Kind::Info,
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

fn ratio(packed: u64, plain: u64) -> f64 {
    if plain == 0 { 1.0 } else { packed as f64 / plain as f64 }
}
