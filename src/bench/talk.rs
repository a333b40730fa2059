//! One connection's conversation: what it sends, what it hears, and whether that is what was to come.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::args::Mode;
use super::body::{Draft, Stamp, with_conn};
use super::line::Line;
use super::plan::{Pace, Until};
use super::shared::{Phase, Shared};
use super::tally::Tally;
use crate::net::Closed;
use crate::proto::{Event, Input, Kind};

/// An open connection.
#[derive(Debug)]
pub(super) struct Talk {
    pub(super) line: Line,
    conn: u32,
    /// Before `connect`.
    began: u64,
    sent: u64,
    /// What is left of a counted run's share; `u64::MAX` where nothing is counted.
    quota: u64,
    /// Echo: when the messages under way were due, oldest first.
    dues: VecDeque<u64>,
    /// Broadcast: the number that each sender's next message has.
    next: Box<[u64]>,
    said_goodbye: bool,
    heard_goodbye: bool,
    /// It broke, and that is told already.
    told: bool,
}

impl Talk {
    pub(super) fn new(line: Line, conn: u32, began: u64, shared: &Shared) -> Self {
        let plan = &shared.plan;
        let senders = if plan.mode == Mode::Broadcast { plan.senders as usize } else { 0 };
        Self {
            line,
            conn,
            began,
            sent: 0,
            quota: if conn < plan.senders { plan.quota(conn) } else { 0 },
            dues: VecDeque::new(),
            next: vec![0; senders].into(),
            said_goodbye: false,
            heard_goodbye: false,
            told: false,
        }
    }

    /// Begins the closing handshake, where there is one.
    pub(super) fn say_goodbye(&mut self, out: &mut Vec<u8>) {
        self.said_goodbye |= self.line.say_goodbye(out);
        // Bytes without frames have no word for it, so nothing more is to be heard.
        self.heard_goodbye |= matches!(self.line, Line::Bytes(_));
    }
}

/// What all conversations of a thread share.
#[derive(Debug)]
pub(super) struct Job {
    shared: Arc<Shared>,
    thread: usize,
    pub(super) phase: Phase,
    /// Since when messages flow; `None` before and after.
    pub(super) sending_since: Option<u64>,
    pub(super) tally: Tally,
    pub(super) progress: Progress,
    draft: Draft,
    /// Senders of this thread may have become free to go on.
    pub(super) refill_wanted: bool,
    /// Threads whose senders may.
    elsewhere: Vec<bool>,
    /// A message is due and nobody can take it.
    pub(super) held: bool,
    /// Time in turns that found nothing to do.
    pub(super) spun: Duration,
}

/// How far a thread is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// Messages under way, in an echo.
    pub(super) owed: u64,
    /// Messages to be sent yet, where they are counted.
    pub(super) left: u64,
    pub(super) gone: u64,
}

impl Job {
    pub(super) fn new(shared: Arc<Shared>, thread: usize) -> Self {
        Self {
            thread,
            phase: Phase::Opening,
            sending_since: None,
            tally: Tally::default(),
            progress: Progress::default(),
            draft: shared.plan.body.draft(),
            refill_wanted: false,
            elsewhere: vec![false; shared.plan.threads as usize],
            held: false,
            spun: Duration::ZERO,
            shared,
        }
    }

    pub(super) fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        match phase {
            Phase::WarmUp | Phase::Measure => {
                self.sending_since.get_or_insert_with(|| self.shared.clock.now());
            }
            _ => self.sending_since = None,
        }
    }

    /// Counts a connection that is open now, and says its preamble.
    pub(super) fn opened(&mut self, talk: &mut Talk, out: &mut Vec<u8>) {
        self.tally.opened += 1;
        if self.shared.plan.mode != Mode::Handshake || self.shared.counts(talk.began) {
            let took = self.shared.clock.now().saturating_sub(talk.began);
            self.tally.opening.saturating_record(took);
        }
        if let Until::Count(_) = self.shared.plan.until {
            self.progress.left += talk.quota;
        }
        for text in &self.shared.plan.preamble {
            let text = with_conn(text, talk.conn);
            // Nothing was sent before, so nothing forbids it.
            let _ = talk.line.send(Kind::Text, text.as_bytes(), out);
        }
    }

    /// What came on a connection, and what is to be said to it.
    pub(super) fn hear(&mut self, talk: &mut Talk, bytes: &mut [u8], out: &mut Vec<u8>) {
        let now = self.shared.clock.now();
        match talk.line {
            Line::Frames(_) => self.hear_frames(talk, bytes, now, out),
            Line::Bytes(_) => self.hear_bytes(talk, bytes, now),
        }
        if self.shared.plan.mode == Mode::Echo {
            self.refill(talk, now, out);
        }
    }

    fn hear_frames(&mut self, talk: &mut Talk, bytes: &mut [u8], now: u64, out: &mut Vec<u8>) {
        let mut input = Input::new(bytes);
        while let Line::Frames(connection) = &mut talk.line {
            let (rx, tx) = connection.split_mut();
            let heard = match rx.next(&mut input, tx, out) {
                Ok(Some(Event::Text(text))) => text.as_bytes(),
                Ok(Some(Event::Binary(bytes))) => bytes,
                Ok(Some(Event::Ping(_) | Event::Pong(_))) => continue,
                Ok(Some(Event::Close(frame))) => {
                    talk.heard_goodbye = true;
                    let code = frame.map_or(1005, |it| it.code.as_u16());
                    *self.tally.close_codes.entry(code).or_default() += 1;
                    if !talk.said_goodbye {
                        talk.told = true;
                        let reason = frame.map_or("", |it| it.reason);
                        self.tally
                            .error(format!("the server closed with {code} {reason}").trim_end());
                    }
                    continue;
                }
                Ok(None) => break,
                Err(violation) => {
                    talk.told = true;
                    self.tally.error(format!("the server broke the protocol: {violation}"));
                    break;
                }
            };
            let len = heard.len() as u64;
            let stamp = if self.shared.plan.body.stamped() { Stamp::find(heard) } else { None };
            self.came(talk, stamp, len, now);
        }
    }

    fn hear_bytes(&mut self, talk: &mut Talk, mut bytes: &[u8], now: u64) {
        let len = u64::from(self.shared.plan.size);
        while let Line::Bytes(line) = &mut talk.line
            && let Some(stamp) = line.next(&mut bytes)
        {
            self.came(talk, stamp, len, now);
        }
    }

    /// A message, with its stamp if it has one.
    #[inline]
    fn came(&mut self, talk: &mut Talk, stamp: Option<Stamp>, len: u64, now: u64) {
        let came = match self.shared.plan.mode {
            Mode::Echo => self.echo(talk, stamp, now),
            Mode::Broadcast => self.delivery(talk, stamp, now),
            Mode::Idle | Mode::Handshake => false,
        };
        if came {
            self.tally.received += 1;
            if self.phase < Phase::Drain && self.shared.counts(now) {
                self.tally.window_received += 1;
                self.tally.window_bytes += len;
                self.tally.last_ns = now;
            }
        }
    }

    /// Whether this is a message that was waited for.
    fn echo(&mut self, talk: &mut Talk, stamp: Option<Stamp>, now: u64) -> bool {
        if self.shared.plan.body.stamped() {
            let Some(stamp) = stamp.filter(|it| it.conn == talk.conn) else {
                self.tally.other += 1;
                return false;
            };
            let expected = talk.sent - talk.dues.len() as u64;
            if stamp.seq < expected || stamp.seq >= talk.sent {
                self.tally.late += 1;
                return false;
            }
            for _ in expected..stamp.seq {
                talk.dues.pop_front();
                self.progress.owed -= 1;
                self.tally.skipped += 1;
            }
        }
        let Some(due) = talk.dues.pop_front() else {
            self.tally.other += 1;
            return false;
        };
        self.progress.owed -= 1;
        self.took(due, now);
        true
    }

    fn delivery(&mut self, talk: &mut Talk, stamp: Option<Stamp>, now: u64) -> bool {
        let Some(stamp) = stamp.filter(|it| it.conn != talk.conn) else {
            // Its own, in rooms where one hears oneself, or a greeting.
            self.tally.other += 1;
            return false;
        };
        let Some(next) = talk.next.get_mut(stamp.conn as usize) else {
            self.tally.other += 1;
            return false;
        };
        if stamp.seq < *next {
            self.tally.late += 1;
            return false;
        }
        let from = std::mem::replace(next, stamp.seq + 1);
        self.tally.skipped += stamp.seq - from;
        if let Some(due) = self.shared.board.due(stamp.conn, stamp.seq) {
            self.took(due, now);
        }
        for seq in from..=stamp.seq {
            if self.shared.board.arrived(stamp.conn, seq) {
                let thread = stamp.conn as usize % self.elsewhere.len().max(1);
                if thread == self.thread {
                    self.refill_wanted = true;
                } else if let Some(flag) = self.elsewhere.get_mut(thread) {
                    *flag = true;
                }
            }
        }
        true
    }

    fn took(&mut self, due: u64, now: u64) {
        if self.shared.counts(due) {
            self.tally.latency.saturating_record(now.saturating_sub(due).max(1));
        }
    }

    /// Sends until as many are in flight as a closed loop allows.
    pub(super) fn refill(&mut self, talk: &mut Talk, now: u64, out: &mut Vec<u8>) {
        if let Pace::Closed { depth } = self.shared.plan.pace {
            while self.under_way(talk) < u64::from(depth) {
                if !self.send(talk, now, out) {
                    return;
                }
            }
        }
    }

    /// Sends the message that was due then; false if too many are in flight or no more are to be sent.
    pub(super) fn send_one(&mut self, talk: &mut Talk, due: u64, out: &mut Vec<u8>) -> bool {
        let most = match self.shared.plan.mode {
            Mode::Broadcast => self.shared.board.places(),
            _ => UNDER_WAY_MAX,
        };
        self.under_way(talk) < most && self.send(talk, due, out)
    }

    fn send(&mut self, talk: &mut Talk, due: u64, out: &mut Vec<u8>) -> bool {
        let counts = self.shared.counts(due);
        if self.sending_since.is_none() || counts && talk.quota == 0 {
            return false;
        }
        let stamp = Stamp { conn: talk.conn, seq: talk.sent };
        let body = &self.shared.plan.body;
        if !talk.line.send(body.kind, body.fill(&mut self.draft, stamp), out) {
            return false;
        }
        talk.sent += 1;
        self.tally.sent += 1;
        if counts {
            self.tally.window_sent += 1;
            if talk.quota < u64::MAX {
                talk.quota -= 1;
                self.progress.left -= 1;
            }
        }
        if self.shared.plan.mode == Mode::Broadcast {
            self.tally.expected += u64::from(self.shared.board.announce(talk.conn, stamp.seq, due));
        } else {
            self.tally.expected += 1;
            self.progress.owed += 1;
            talk.dues.push_back(due);
        }
        true
    }

    /// How many of a connection's messages are in flight.
    pub(super) fn under_way(&self, talk: &Talk) -> u64 {
        match self.shared.plan.mode {
            Mode::Broadcast => self.shared.board.under_way(talk.conn, talk.sent),
            _ => talk.dues.len() as u64,
        }
    }

    /// The connection is gone.
    pub(super) fn gone(&mut self, talk: &mut Talk, why: Closed) {
        self.progress.gone += 1;
        self.progress.owed -= talk.dues.len() as u64;
        if let Until::Count(_) = self.shared.plan.until {
            self.progress.left -= talk.quota;
        }
        if self.shared.plan.mode == Mode::Broadcast
            && self.phase < Phase::Close
            && self.shared.board.leave(talk.conn, &talk.next)
        {
            self.elsewhere.fill(true);
        }
        let clean = talk.said_goodbye && talk.heard_goodbye;
        if clean {
            if self.phase < Phase::Drain && self.shared.counts(talk.began) {
                self.tally.window_closed += 1;
                self.tally.last_ns = self.shared.clock.now();
            }
            return;
        }
        self.tally.broken += 1;
        if !talk.heard_goodbye {
            // RFC 6455 §7.1.5: the number for a close without a frame.
            *self.tally.close_codes.entry(1006).or_default() += 1;
        }
        if !talk.told {
            self.tally.error(match why {
                Closed::Failed(kind) => format!("connection lost: {kind}"),
                Closed::Stalled => {
                    "connection given up: the server took nothing for 60 s".to_owned()
                }
                _ => "connection lost: the server ended it without a close".to_owned(),
            });
        }
    }

    /// The threads that are to be told that messages of theirs have reached everybody. This one goes on by itself.
    pub(super) fn delivered_elsewhere(&mut self) -> impl Iterator<Item = usize> {
        (0..)
            .zip(&mut self.elsewhere)
            .filter_map(|(thread, flag)| std::mem::take(flag).then_some(thread))
    }
}

/// Messages in flight on one connection of an open loop: those beyond wait, which their latency shows.
const UNDER_WAY_MAX: u64 = 65_536;
