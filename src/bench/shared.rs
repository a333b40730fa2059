//! What the threads of a run have in common: the plan, the clock, the phase, and for a broadcast the board on which
//! each message waits for its last receiver.

use std::collections::BTreeMap;
use std::io;
use std::net::TcpStream;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::args::Mode;
use super::dial::Dialler;
use super::error::BenchError;
use super::plan::{Pace, Plan};

/// What a worker is told.
#[derive(Debug)]
pub(super) enum Post {
    /// A connection to adopt. `began`: before `connect`.
    Dialled { stream: TcpStream, conn: u32, began: u64 },
    /// What time it is.
    Phase(Phase),
    /// Messages of senders that live there have reached everybody.
    Delivered,
}

/// The parts of a run, in their order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Debug)]
pub(super) enum Phase {
    Opening,
    /// Messages flow and do not count.
    WarmUp,
    /// They count.
    Measure,
    /// No new ones; what is due may still come.
    Drain,
    /// Everybody says goodbye.
    Close,
    /// At once.
    Over,
}

/// Nanoseconds since the run began.
#[derive(Debug)]
pub(super) struct Clock(Instant);

impl Clock {
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) plan: Plan,
    pub(super) clock: Clock,
    pub(super) dialler: Dialler,
    pub(super) live: Vec<Live>,
    pub(super) board: Board,
    /// When measuring began. Threads hear of it one after the other, and messages of the first may reach the last
    /// before the news does.
    measured_from: AtomicU64,
    fatal: Mutex<Option<BenchError>>,
    dial_errors: Mutex<BTreeMap<String, u64>>,
    dial_failures: AtomicU64,
}

impl Shared {
    pub(super) fn new(plan: Plan) -> Self {
        Self {
            clock: Clock(Instant::now()),
            dialler: Dialler::new(),
            live: (0..plan.threads).map(|_| Live::default()).collect(),
            board: Board::new(&plan),
            measured_from: AtomicU64::new(u64::MAX),
            fatal: Mutex::new(None),
            dial_errors: Mutex::new(BTreeMap::new()),
            dial_failures: AtomicU64::new(0),
            plan,
        }
    }

    /// What is due from then on counts.
    pub(super) fn measure_from(&self, moment: u64) {
        self.measured_from.store(moment, Ordering::Release);
    }

    /// Whether what was due at that moment counts.
    #[inline]
    pub(super) fn counts(&self, moment: u64) -> bool {
        moment >= self.measured_from.load(Ordering::Acquire)
    }

    /// The run cannot go on. The first reason counts.
    pub(super) fn fail(&self, error: BenchError) {
        self.fatal.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    pub(super) fn failure(&self) -> Option<BenchError> {
        self.fatal.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(super) fn has_failed(&self) -> bool {
        self.fatal.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    pub(super) fn dial_failed(&self, error: &io::Error) {
        let remedy = match error.kind() {
            io::ErrorKind::AddrNotAvailable => {
                "; all local ports are taken, give more by --source-ip"
            }
            _ => "",
        };
        let mut errors = self.dial_errors.lock().unwrap_or_else(PoisonError::into_inner);
        *errors.entry(format!("cannot connect: {error}{remedy}")).or_default() += 1;
        self.dial_failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn dial_errors(&self) -> (u64, BTreeMap<String, u64>) {
        let errors = self.dial_errors.lock().unwrap_or_else(PoisonError::into_inner).clone();
        (self.dial_failures.load(Ordering::Relaxed), errors)
    }

    /// The figures of all threads together.
    pub(super) fn now(&self) -> Figures {
        let sum = |pick: fn(&Live) -> &AtomicU64| {
            self.live.iter().map(|it| pick(it).load(Ordering::Relaxed)).sum::<u64>()
        };
        Figures {
            opened: sum(|it| &it.opened),
            failed: sum(|it| &it.failed) + self.dial_failures.load(Ordering::Relaxed),
            gone: sum(|it| &it.gone),
            sent: sum(|it| &it.sent),
            received: sum(|it| &it.received),
            owed: sum(|it| &it.owed),
            left: sum(|it| &it.left),
        }
    }
}

/// What one thread tells of itself while it runs.
#[derive(Debug, Default)]
pub(super) struct Live {
    pub(super) opened: AtomicU64,
    pub(super) failed: AtomicU64,
    /// Opened, and over since.
    pub(super) gone: AtomicU64,
    pub(super) sent: AtomicU64,
    pub(super) received: AtomicU64,
    /// Messages under way.
    pub(super) owed: AtomicU64,
    /// Messages of a counted run that are not sent yet.
    pub(super) left: AtomicU64,
}

/// A moment's sum of [`Live`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Figures {
    pub(super) opened: u64,
    pub(super) failed: u64,
    pub(super) gone: u64,
    pub(super) sent: u64,
    pub(super) received: u64,
    pub(super) owed: u64,
    pub(super) left: u64,
}

/// Where each message of a broadcast waits until everybody has it.
#[derive(Debug)]
pub(super) struct Board {
    senders: Vec<Sender>,
    /// Connections that hear what the others say.
    members: AtomicU32,
}

#[derive(Debug)]
struct Sender {
    sent: AtomicU64,
    /// Messages that all have.
    completed: AtomicU64,
    /// By sequence number, a power of two of them: those that may be under way at once.
    ring: Box<[Slot]>,
}

#[derive(Debug, Default)]
struct Slot {
    due: AtomicU64,
    missing: AtomicU32,
}

impl Board {
    fn new(plan: &Plan) -> Self {
        if plan.mode != Mode::Broadcast {
            return Self { senders: Vec::new(), members: AtomicU32::new(0) };
        }
        let places = match plan.pace {
            Pace::Closed { depth } => depth as usize,
            Pace::Open { .. } => (PLACES_MAX / plan.senders as usize).clamp(64, 65_536),
        };
        let ring = || (0..places.next_power_of_two()).map(|_| Slot::default()).collect();
        let sender =
            || Sender { sent: AtomicU64::new(0), completed: AtomicU64::new(0), ring: ring() };
        Self { senders: (0..plan.senders).map(|_| sender()).collect(), members: AtomicU32::new(0) }
    }

    /// So many are there. Before the first message.
    pub(super) fn assemble(&self, members: u64) {
        self.members.store(u32::try_from(members).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    /// Notes a message that is about to be sent; returns how many are to get it.
    pub(super) fn announce(&self, sender: u32, seq: u64, due: u64) -> u32 {
        let hearers = self.members.load(Ordering::Relaxed).saturating_sub(1);
        if let Some(it) = self.senders.get(sender as usize)
            && let Some(slot) = it.slot(seq)
        {
            slot.due.store(due, Ordering::Relaxed);
            slot.missing.store(hearers, Ordering::Release);
            it.sent.store(seq + 1, Ordering::Release);
            if hearers == 0 {
                it.completed.fetch_add(1, Ordering::Relaxed);
            }
        }
        hearers
    }

    /// When a message was due.
    pub(super) fn due(&self, stamp_conn: u32, seq: u64) -> Option<u64> {
        let it = self.senders.get(stamp_conn as usize)?;
        Some(it.slot(seq)?.due.load(Ordering::Relaxed))
    }

    /// One more has it; true if that was the last.
    pub(super) fn arrived(&self, sender: u32, seq: u64) -> bool {
        let Some(it) = self.senders.get(sender as usize) else {
            return false;
        };
        let last =
            it.slot(seq).is_some_and(|slot| slot.missing.fetch_sub(1, Ordering::AcqRel) == 1);
        if last {
            it.completed.fetch_add(1, Ordering::Release);
        }
        last
    }

    /// A member is lost: nobody waits for it any more. `next`: what it would have heard next of each. True if
    /// somebody may go on.
    pub(super) fn leave(&self, conn: u32, next: &[u64]) -> bool {
        self.members.fetch_sub(1, Ordering::Relaxed);
        let mut any = false;
        for ((sender, it), &from) in (0..).zip(&self.senders).zip(next) {
            if sender != conn {
                for seq in from..it.sent.load(Ordering::Acquire) {
                    any |= self.arrived(sender, seq);
                }
            }
        }
        any
    }

    /// How many of a sender's messages are not with everybody yet.
    pub(super) fn under_way(&self, sender: u32, sent: u64) -> u64 {
        let completed = |it: &Sender| it.completed.load(Ordering::Acquire);
        sent.saturating_sub(self.senders.get(sender as usize).map_or(0, completed))
    }

    /// How many may be.
    pub(super) fn places(&self) -> u64 {
        self.senders.first().map_or(0, |it| it.ring.len() as u64)
    }
}

impl Sender {
    fn slot(&self, seq: u64) -> Option<&Slot> {
        let mask = self.ring.len().checked_sub(1)?;
        self.ring.get(usize::try_from(seq).ok()? & mask)
    }
}

/// A million messages under way, over all senders: 16 MB.
const PLACES_MAX: usize = 1 << 20;
