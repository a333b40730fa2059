//! The loop's state without the driver: connections, timers and the lists of who has something to do.
//! Small steps on it; the order of the steps is the reactor's.

use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind, IoSlice};
use std::sync::Arc;
use std::time::Duration;

use mio::Registry;

use super::connection::{After, Connection, Held, Input, Listed, OWN, Output};
use super::counters::Counters;
use super::driver::{Close, Closed, Sent, Timer};
use super::gathering::{Gatherings, REVIEW};
use super::limits::Limits;
use super::listener::Listener;
use super::outbox::Spare;
use super::slots::{Slots, Token};
use super::stream::Stream;
use super::timer::Wheel;
use super::tls::Scratch;

#[derive(Debug)]
pub(super) struct Core {
    pub(super) registry: Registry,
    pub(super) limits: Limits,
    pub(super) connections: Slots<Connection>,
    pub(super) wheel: Wheel<Due>,
    pub(super) spare: Spare,
    pub(super) scratch: Scratch,
    pub(super) listeners: Vec<Door>,
    /// Time since the loop was made, as of this turn.
    pub(super) now: Duration,
    /// Whose input is to be read.
    pub(super) ready: VecDeque<Token>,
    /// Bytes that were read and that the driver gave back, never none. Few connections have any.
    pub(super) given_back: HashMap<Token, Vec<u8>>,
    /// All of them together.
    pub(super) given_back_bytes: usize,
    pub(super) gatherings: Gatherings,
    /// A time is set to review their memory.
    pub(super) reviews: bool,
    /// Whose outbox is to be written, or whose close may be complete.
    pub(super) dirty: Vec<Token>,
    /// Whom the driver is to be told about.
    pub(super) gone: Vec<(Token, Closed)>,
    /// Others may look at it.
    pub(super) counters: Arc<Counters>,
    /// `accept` found no descriptor: not again before something changes.
    pub(super) accept_held: bool,
    /// The driver knows that `accept` fails.
    pub(super) accept_failing: bool,
    /// The driver wants no connection for now.
    pub(super) accept_paused: bool,
    pub(super) stopped: bool,
}

/// A listener and whether someone may be waiting there.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) listener: Listener,
    pub(super) pending: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Due {
    Driver(Token, Timer),
    Own(Token),
    Alarm(u32),
    Accept,
    Review,
}

impl Core {
    pub(super) fn get(&self, token: Token) -> Option<&Connection> {
        self.connections.get(token).filter(|it| !it.gone)
    }

    pub(super) fn get_mut(&mut self, token: Token) -> Option<&mut Connection> {
        self.connections.get_mut(token).filter(|it| !it.gone)
    }

    /// Gives a connected socket a place in the loop.
    pub(super) fn adopt(&mut self, mut stream: Stream, listener: u16) -> io::Result<Token> {
        // Without it small messages are late, but they arrive.
        let _ = stream.set_nodelay();
        // The name must be known before the socket can be registered under it.
        let room = self.connections.next_token().ok_or(ErrorKind::OutOfMemory)?;
        stream.register(&self.registry, mio::Token(room.to_bits()))?;
        let mut connection = Connection::new(stream, listener);
        // What the last loop did not get round to; of the socket itself the system will speak.
        if connection.stream.has_ended() {
            connection.input = Input::UntilEnd;
        }
        let owes = connection.owes();
        let token = self.connections.insert(connection).ok_or(ErrorKind::OutOfMemory)?;
        if owes {
            self.mark_dirty(token);
        }
        self.mark_ready(token);
        Ok(token)
    }

    /// Takes a connection out of the loop. Not while it is closing or bytes wait in its outbox.
    pub(super) fn release(&mut self, token: Token) -> Option<Stream> {
        let it = self.get_mut(token)?;
        let busy = !it.outbox.is_empty() || it.held != Held::Nothing;
        if !it.takes_output() || busy || it.stream.has_failed() {
            return None;
        }
        let registry = &self.registry;
        let it = self.connections.get_mut(token)?;
        it.stream.deregister(registry).ok()?;
        let Connection { stream, timers, .. } = self.connections.remove(token)?;
        for handle in timers.into_iter().flatten() {
            self.wheel.cancel(handle);
        }
        // A place is free now.
        self.accept_held = false;
        Some(stream)
    }

    /// Whether bytes for `token` would be taken; if not, why.
    pub(super) fn admit(&mut self, token: Token) -> Option<Sent> {
        let full = self.limits.marks.full;
        let Some(it) = self.connections.get_mut(token).filter(|it| it.takes_output()) else {
            return Some(Sent::Gone);
        };
        // Much in one turn makes nobody slow: only what the peer was offered and did not take counts.
        if it.cost() >= full && it.writable && !self.write_out(token) {
            return Some(Sent::Gone);
        }
        self.get(token).filter(|it| it.cost() >= full).map(|_| Sent::Full)
    }

    /// After bytes were queued: remember to write them, and whether that is a lot.
    pub(super) fn queued(&mut self, token: Token) -> Sent {
        let high = self.limits.marks.high;
        let Some(it) = self.get_mut(token) else {
            return Sent::Gone;
        };
        if it.cost() >= high {
            it.choked = true;
        }
        let sent = if it.choked { Sent::High } else { Sent::Queued };
        self.mark_dirty(token);
        sent
    }

    /// Offers `bytes` to the socket and queues what it does not take. `None`, and nothing has happened, if they
    /// may not leave before anything else.
    pub(super) fn send_at_once(&mut self, token: Token, bytes: &mut Vec<u8>) -> Option<Sent> {
        let it = self.connections.get_mut(token).filter(|it| it.may_write_through())?;
        let taken = match it.write_slices_through(&mut &mut [IoSlice::new(bytes)][..]) {
            Ok(taken) => taken,
            Err(error) => {
                self.kill(token, Closed::Failed(error.kind()));
                return Some(Sent::Gone);
            }
        };
        self.counters.bytes_out.add(taken as u64);
        if taken == bytes.len() {
            bytes.clear();
            return Some(Sent::Queued);
        }
        self.counters.waiting.add((bytes.len() - taken) as u64);
        it.outbox.push_partly_sent(bytes, taken, &mut self.spare);
        Some(self.queued(token))
    }

    /// Offers the slices to the socket if they may leave before anything else, and queues what is left.
    pub(super) fn send_slices(&mut self, token: Token, slices: &mut [IoSlice<'_>]) -> Sent {
        let Some(it) = self.get_mut(token) else {
            return Sent::Gone;
        };
        let mut rest = slices;
        let mut begun = false;
        if it.may_write_through() {
            begun = match it.write_slices_through(&mut rest) {
                Ok(taken) => {
                    self.counters.bytes_out.add(taken as u64);
                    taken > 0
                }
                Err(error) => {
                    self.kill(token, Closed::Failed(error.kind()));
                    return Sent::Gone;
                }
            };
            if rest.is_empty() {
                return Sent::Queued;
            }
        }
        if let Some(it) = self.connections.get_mut(token) {
            let mut bytes = Vec::with_capacity(rest.iter().map(|it| it.len()).sum());
            rest.iter().for_each(|slice| bytes.extend_from_slice(slice));
            self.counters.waiting.add(bytes.len() as u64);
            if begun {
                it.outbox.push_rest(&mut bytes, &mut self.spare);
            } else {
                it.outbox.push_owned(&mut bytes, &mut self.spare);
            }
        }
        self.queued(token)
    }

    pub(super) fn mark_dirty(&mut self, token: Token) {
        if let Some(it) = self.get_mut(token)
            && it.listed.enter(Listed::DIRTY)
        {
            self.dirty.push(token);
        }
    }

    pub(super) fn mark_ready(&mut self, token: Token) {
        if let Some(it) = self.get_mut(token)
            && (it.readable() || it.held == Held::GivenBack)
            && it.wants_input()
            && it.listed.enter(Listed::READY)
        {
            self.ready.push_back(token);
        }
    }

    /// What was held for the connection before is forgotten, if the driver forgot it.
    pub(super) fn give_back(&mut self, token: Token, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.forget_input(token);
        if let Some(it) = self.get_mut(token)
            && it.after == After::Keep
        {
            it.held = Held::GivenBack;
            self.given_back_bytes += bytes.len();
            self.given_back.insert(token, bytes.to_vec());
        }
    }

    /// The same holds.
    pub(super) fn gather(&mut self, token: Token, bytes: &[u8], until: usize) {
        self.forget_input(token);
        if let Some(it) = self.get_mut(token)
            && it.after == After::Keep
            && it.input != Input::Ended
        {
            it.held = Held::Gathering;
            self.gatherings.begin(token, bytes, until);
        }
    }

    /// Nobody will look at what has come and was not heard yet.
    fn forget_input(&mut self, token: Token) {
        self.take_given_back(token);
        if let Some(it) = self.connections.get_mut(token).filter(|it| it.held == Held::Gathering) {
            it.held = Held::Nothing;
            self.gatherings.drop(token);
            self.review_later();
        }
    }

    /// After memory was kept for what is gathered: sees to it that it is given back in time.
    pub(super) fn review_later(&mut self) {
        if self.gatherings.has_spare() && !self.reviews {
            self.reviews = true;
            self.wheel.set(self.now.saturating_add(REVIEW), Due::Review);
        }
    }

    pub(super) fn review(&mut self) {
        self.reviews = false;
        self.gatherings.review();
        self.review_later();
    }

    /// What was given back, to be looked at again.
    pub(super) fn take_given_back(&mut self, token: Token) -> Option<Vec<u8>> {
        let it = self.connections.get_mut(token)?;
        if it.held != Held::GivenBack {
            return None;
        }
        it.held = Held::Nothing;
        let bytes = self.given_back.remove(&token)?;
        self.given_back_bytes -= bytes.len();
        Some(bytes)
    }

    pub(super) fn close(&mut self, token: Token, how: Close) {
        self.forget_input(token);
        let Some(it) = self.get_mut(token) else {
            return;
        };
        match how {
            Close::Now => self.kill(token, Closed::Asked),
            Close::Flush => {
                it.after = After::Close;
                self.mark_dirty(token);
                // If TLS has yet to agree on keys, its handshake goes on.
                self.mark_ready(token);
            }
            // Closing already, and harsher.
            Close::Linger if it.after == After::Close => {}
            Close::Linger => {
                it.after = After::Linger;
                self.mark_dirty(token);
                self.mark_ready(token);
            }
        }
    }

    /// The end of a connection: no more reads, writes and timers; the driver is told when the turn ends.
    pub(super) fn kill(&mut self, token: Token, why: Closed) {
        self.forget_input(token);
        let Some(it) = self.connections.get_mut(token).filter(|it| !it.gone) else {
            return;
        };
        it.gone = true;
        self.counters.waiting.sub(std::mem::take(&mut it.outbox).bytes() as u64);
        let why = if it.stream.has_failed() { Closed::Tls } else { why };
        let timers = std::mem::take(&mut it.timers);
        for handle in timers.into_iter().flatten() {
            self.wheel.cancel(handle);
        }
        self.gone.push((token, why));
    }

    /// The peer broke TLS: an alert says so, and nothing else can be said. What it still sends is dropped,
    /// or the alert might be lost to a reset.
    pub(super) fn fail(&mut self, token: Token) {
        if let Some(it) = self.connections.get_mut(token).filter(|it| !it.gone) {
            self.counters.waiting.sub(std::mem::take(&mut it.outbox).bytes() as u64);
            if it.after == After::Keep {
                it.after = After::Linger;
            }
        }
        self.mark_dirty(token);
        self.mark_ready(token);
    }

    pub(super) fn set_timer(&mut self, token: Token, place: usize, at: Duration, due: Due) {
        let Some(it) = self.connections.get_mut(token).filter(|it| !it.gone) else {
            return;
        };
        if let Some(place) = it.timers.get_mut(place) {
            if let Some(pending) = place.take() {
                self.wheel.cancel(pending);
            }
            *place = Some(self.wheel.set(at, due));
        }
    }

    pub(super) fn clear_timer(&mut self, token: Token, place: usize) {
        if let Some(it) = self.connections.get_mut(token)
            && let Some(pending) = it.timers.get_mut(place).and_then(Option::take)
        {
            self.wheel.cancel(pending);
        }
    }

    /// Writes what waits for one connection and takes the steps that an empty outbox allows. True when the
    /// driver is to be told that it drained.
    pub(super) fn flush(&mut self, token: Token) -> bool {
        let (marks, stall) = (self.limits.marks, self.now.saturating_add(self.limits.stall));
        let Some(it) = self.connections.get_mut(token) else {
            return false;
        };
        it.listed.leave(Listed::DIRTY);
        if it.gone {
            return false;
        }
        if it.writable && !self.write_out(token) {
            return false;
        }
        let Some(it) = self.connections.get_mut(token) else {
            return false;
        };
        let drained = it.choked && it.cost() <= marks.low;
        if drained {
            it.choked = false;
        }
        if it.owes() {
            if it.timers[OWN].is_none() {
                it.moved = false;
                self.set_timer(token, OWN, stall, Due::Own(token));
            }
        } else {
            self.clear_timer(token, OWN);
            self.emptied(token);
        }
        if drained {
            self.mark_ready(token);
        }
        drained
    }

    /// Offers the socket what waits. False if the connection broke at that.
    fn write_out(&mut self, token: Token) -> bool {
        let Some(it) = self.connections.get_mut(token) else {
            return false;
        };
        let before = it.outbox.bytes();
        let outcome = it.flush(&mut self.spare, &mut self.scratch);
        let after = it.outbox.bytes();
        self.counters.waiting.sub(before.saturating_sub(after) as u64);
        self.counters.bytes_out.add(std::mem::take(&mut self.scratch.wire));
        match outcome {
            Ok(moved) => it.moved |= moved,
            Err(error) => self.kill(token, Closed::Failed(error.kind())),
        }
        self.get(token).is_some()
    }

    /// Nothing waits to be sent: what was to follow follows.
    fn emptied(&mut self, token: Token) {
        let linger = self.now.saturating_add(self.limits.linger);
        let Some(it) = self.get_mut(token) else {
            return;
        };
        if it.after == After::Close {
            return self.kill(token, Closed::Asked);
        }
        if it.output == Output::Ending || (it.after == After::Linger && it.output == Output::Open) {
            it.output = Output::Ended;
            // Fails only when the peer has reset the connection, which reading will show.
            let _ = it.stream.shutdown_write();
        }
        if it.after == After::Linger {
            if it.input == Input::Ended {
                return self.kill(token, Closed::Asked);
            }
            self.set_timer(token, OWN, linger, Due::Own(token));
            self.mark_ready(token);
        }
    }

    /// The reactor's own timer of a connection: it stalled, or lingered long enough.
    pub(super) fn own_timer(&mut self, token: Token) {
        let stall = self.now.saturating_add(self.limits.stall);
        let Some(it) = self.get_mut(token) else {
            return;
        };
        it.timers[OWN] = None;
        if !it.owes() {
            if it.after == After::Linger {
                self.kill(token, Closed::Asked);
            }
        } else if std::mem::take(&mut it.moved) {
            self.set_timer(token, OWN, stall, Due::Own(token));
        } else {
            self.kill(token, Closed::Stalled);
        }
    }

    /// How much may be read at once: little while much was given back, as what is read may be given back, too.
    pub(super) fn read_max(&self) -> usize {
        if self.given_back_bytes < self.limits.given_back_bytes_max {
            usize::MAX
        } else {
            READ_LITTLE
        }
    }

    /// Whether someone may be waiting at a door that is open.
    pub(super) fn may_accept(&self) -> bool {
        !self.accept_held
            && !self.accept_paused
            && self.connections.len() < self.limits.connections_max
            && self.listeners.iter().any(|door| door.pending)
    }
}

/// 4 KiB: what a socket has ready anyway.
const READ_LITTLE: usize = 4 << 10;
