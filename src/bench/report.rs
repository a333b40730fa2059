//! The figures of a run, worked out from what was counted. How they look is for `text` and `json`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::args::Mode;
use super::plan::{Pace, Until};
use super::shared::Shared;
use super::tally::Tally;
use super::watch::{Process, Sockets};

/// Everything that is known at the end.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) shared: Arc<Shared>,
    pub(super) address: Option<SocketAddr>,
    pub(super) interrupted: bool,
    pub(super) tally: Tally,
    pub(super) usage: Usage,
    pub(super) server_before: Option<Process>,
    pub(super) sockets_before: Option<Sockets>,
    pub(super) warnings: Vec<String>,
}

/// Samples taken on the way.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    /// Until all connections were open.
    pub(super) opening: Duration,
    pub(super) server_opened: Option<Process>,
    pub(super) server_start: Option<Process>,
    pub(super) server_end: Option<Process>,
    pub(super) own_start: Process,
    pub(super) own_end: Process,
    pub(super) sockets_end: Option<Sockets>,
    /// The window, by the run's clock.
    pub(super) began: u64,
    pub(super) ended: u64,
}

/// What the server took.
#[derive(Clone, Copy, Debug)]
pub(super) struct ServerCost {
    pub(super) cpu: Duration,
    /// Of one processor, while measuring.
    pub(super) cpu_share: f64,
    /// The same of the time that its threads wanted a processor and got none.
    pub(super) wait_share: Option<f64>,
    /// Processor seconds for a million messages (deliveries, handshakes).
    pub(super) cpu_per_million: Option<f64>,
    pub(super) before: Process,
    pub(super) opened: Process,
    pub(super) end: Process,
    /// Bytes for each connection: resident, and its own.
    pub(super) rss_each: Option<f64>,
    pub(super) private_each: Option<f64>,
}

/// What the kernel took for both ends of all connections.
#[derive(Clone, Copy, Debug)]
pub(super) struct KernelCost {
    pub(super) buffers: i64,
    pub(super) objects: Option<i64>,
    pub(super) sockets: i64,
}

impl Report {
    pub(super) fn mode(&self) -> Mode {
        self.shared.plan.mode
    }

    /// How long was measured. A counted run ends with its last message.
    pub(super) fn seconds(&self) -> f64 {
        let Usage { began, ended, .. } = self.usage;
        let last = self.tally.last_ns;
        let ended = match self.shared.plan.until {
            Until::Count(_) if last > began => last,
            _ => ended,
        };
        Duration::from_nanos(ended.saturating_sub(began)).as_secs_f64()
    }

    /// What is counted: replies, deliveries or handshakes, while measuring.
    pub(super) fn events(&self) -> u64 {
        match self.mode() {
            Mode::Echo | Mode::Broadcast => self.tally.window_received,
            Mode::Handshake => self.tally.window_closed,
            Mode::Idle => 0,
        }
    }

    pub(super) fn per_second(&self, count: u64) -> f64 {
        ratio(count, self.seconds())
    }

    /// The largest share of the time that a thread of the generator worked.
    pub(super) fn busiest(&self) -> f64 {
        self.share(self.tally.turns.iter().map(|it| it.ran).max().unwrap_or_default()).min(1.0)
    }

    /// The largest share of the time that a thread of the generator wanted to work and got no processor.
    pub(super) fn kept_waiting(&self) -> f64 {
        self.share(self.tally.turns.iter().map(|it| it.waited).max().unwrap_or_default()).min(1.0)
    }

    fn window(&self) -> Duration {
        Duration::from_nanos(self.usage.ended.saturating_sub(self.usage.began))
    }

    /// A part of the measured time.
    fn share(&self, part: Duration) -> f64 {
        let window = self.window();
        if window.is_zero() { 0.0 } else { part.as_secs_f64() / window.as_secs_f64() }
    }

    /// Processor time of this process while measuring.
    pub(super) fn own_cpu(&self) -> Duration {
        self.usage.own_end.cpu.saturating_sub(self.usage.own_start.cpu)
    }

    /// The figures may be the generator's instead of the server's.
    pub(super) fn is_bottleneck(&self) -> bool {
        self.busiest() > 0.9 && self.window() >= TELLING
    }

    pub(super) fn server(&self) -> Option<ServerCost> {
        let Usage { server_start, server_opened, server_end, .. } = self.usage;
        let (before, opened) = (self.server_before?, server_opened?);
        let (start, end) = (server_start?, server_end?);
        let cpu = end.cpu.saturating_sub(start.cpu);
        // An idle run is about what stays; where there is traffic its buffers are not the connections'.
        let full = if self.mode() == Mode::Idle { end } else { opened };
        let each = |now: u64, then: u64| {
            (self.tally.opened > 0 && self.mode() != Mode::Handshake)
                .then(|| difference(now, then) as f64 / self.tally.opened as f64)
        };
        Some(ServerCost {
            cpu,
            cpu_share: self.share(cpu),
            wait_share: end
                .waited
                .zip(start.waited)
                .map(|(now, then)| self.share(now.saturating_sub(then))),
            cpu_per_million: (self.events() > 0)
                .then(|| cpu.as_secs_f64() * 1e6 / self.events() as f64),
            rss_each: each(full.rss, before.rss),
            private_each: full.private.zip(before.private).and_then(|(now, then)| each(now, then)),
            before,
            opened,
            end,
        })
    }

    pub(super) fn kernel(&self) -> Option<KernelCost> {
        let (before, end) = (self.sockets_before?, self.usage.sockets_end?);
        Some(KernelCost {
            buffers: difference(end.buffers, before.buffers),
            objects: end.objects.zip(before.objects).map(|(now, then)| difference(now, then)),
            sockets: difference(end.inuse, before.inuse),
        })
    }

    pub(super) fn status(&self) -> u8 {
        let tally = &self.tally;
        let wrong = tally.failed + tally.broken + tally.lost() + tally.late + tally.skipped;
        match (self.interrupted, wrong, tally.errors.is_empty()) {
            (true, ..) => 130,
            (false, 0, true) => 0,
            _ => 1,
        }
    }

    /// What to bear in mind when reading the figures.
    pub(super) fn warnings(&self) -> Vec<String> {
        let mut warnings = self.warnings.clone();
        if self.is_bottleneck() {
            warnings.push(format!(
                "the generator was the bottleneck: a thread of it was busy {:.0} % of the time; give it more --threads on cores of their own",
                self.busiest() * 100.0
            ));
        }
        let server_waited = self.server().and_then(|it| it.wait_share).unwrap_or(0.0);
        if self.window() >= TELLING
            && !self.is_bottleneck()
            && self.kept_waiting().max(server_waited) > 0.1
        {
            warnings.push(format!(
                "the machine was short of processors: the generator waited for one {:.0} % of the time, the server {:.0} %; the rates are lower and the latencies higher than they need be",
                self.kept_waiting() * 100.0,
                server_waited * 100.0
            ));
        }
        if self.tally.sent > 0 && self.tally.received == 0 && !self.interrupted {
            warnings.push(match self.mode() {
                Mode::Broadcast => "nobody received anything: does the server pass messages on to others at this path?".into(),
                _ => "nothing came back: does the server echo at this path? For one that passes messages on to others there is --mode broadcast".into(),
            });
        }
        let plain = self.tally.opened - self.tally.deflated;
        if self.shared.plan.deflate && plain > 0 {
            warnings.push(format!("the server declined permessage-deflate on {plain} connections"));
        }
        if let Pace::Open { rate } = self.shared.plan.pace
            && self.per_second(self.tally.window_sent) < 0.98 * rate as f64
            && !self.interrupted
        {
            warnings.push(format!(
                "{rate} messages a second were due and {:.0} could be sent",
                self.per_second(self.tally.window_sent)
            ));
        }
        if self.interrupted {
            warnings.push("interrupted: these are the figures so far".into());
        }
        warnings
    }
}

/// A tenth of a second: of a shorter time shares say nothing.
const TELLING: Duration = Duration::from_millis(100);

pub(super) fn ratio(count: u64, by: f64) -> f64 {
    if by > 0.0 { count as f64 / by } else { 0.0 }
}

fn difference(now: u64, then: u64) -> i64 {
    i64::try_from(now).unwrap_or(i64::MAX) - i64::try_from(then).unwrap_or(i64::MAX)
}
