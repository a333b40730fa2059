//! The loop: waits for sockets, timers and mail, and gives each its turn. A turn reads what is ready, a
//! budget's worth from each, lets the driver answer, then writes once to everyone who is owed something.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::{Events, Poll};

use super::connection::{After, Connection, Held, Input, Listed, Output};
use super::core::{Core, Door, Due};
use super::counters::Counters;
use super::ctx::Ctx;
use super::driver::{Closed, Driver};
use super::limits::Limits;
use super::listener::{Listener, concerns_one_connection};
use super::mailbox::{Mail, Mailbox};
use super::outbox::Spare;
use super::slots::{INDEX_END, Slots, Token};
use super::timer::Wheel;
use super::tls::Scratch;

/// One loop thread: its sockets, its timers and its driver.
#[derive(Debug)]
pub struct Reactor<D: Driver> {
    driver: D,
    core: Core,
    poll: Poll,
    events: Events,
    /// Shared by all connections; lent to the driver.
    buffer: Box<[u8]>,
    mailbox: Mailbox<D::Mail>,
    started: Instant,
}

impl<D: Driver> Reactor<D> {
    /// Bytes of memory that each connection takes here while it is idle, its timers (32 each) and TLS apart.
    /// What the driver keeps for it comes on top.
    pub const CONNECTION_BYTES: usize = Slots::<Connection>::PLACE_BYTES;

    /// A loop around `driver`, accepting from `listeners`, at most 65,534 of them.
    ///
    /// # Errors
    /// The system's, when it has no event queue or cannot watch a listener.
    pub fn new(driver: D, listeners: Vec<Listener>, limits: Limits) -> io::Result<Self> {
        let poll = Poll::new()?;
        let registry = poll.registry().try_clone()?;
        let mut doors = Vec::new();
        for (mut listener, index) in listeners.into_iter().zip(INDEX_END..WAKER) {
            listener.register(&registry, mio::Token(index as usize))?;
            doors.push(Door { listener, pending: true });
        }
        let mailbox = Mailbox::new(&registry, mio::Token(WAKER as usize), limits.mailbox_max)?;
        let core = Core {
            registry,
            limits,
            connections: Slots::new(),
            wheel: Wheel::new(limits.tick),
            spare: Spare::default(),
            scratch: Scratch::default(),
            listeners: doors,
            now: Duration::ZERO,
            ready: Default::default(),
            given_back: Default::default(),
            given_back_bytes: 0,
            gatherings: Default::default(),
            reviews: false,
            dirty: Vec::new(),
            gone: Vec::new(),
            counters: Arc::default(),
            accept_held: false,
            accept_failing: false,
            accept_paused: false,
            stopped: false,
        };
        Ok(Self {
            driver,
            core,
            poll,
            events: Events::with_capacity(EVENTS_MAX),
            buffer: vec![0; limits.read_bytes.max(1)].into(),
            mailbox,
            started: Instant::now(),
        })
    }

    /// A sender for other threads.
    pub fn mail(&self) -> Mail<D::Mail> {
        self.mailbox.sender()
    }

    /// What the loop counts of itself, to be read from any thread.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.core.counters)
    }

    /// The driver.
    pub fn driver(&self) -> &D {
        &self.driver
    }

    /// The driver, and the loop to work on between turns.
    pub fn parts(&mut self) -> (&mut D, Ctx<'_>) {
        (&mut self.driver, Ctx { core: &mut self.core })
    }

    /// Turns until the driver calls [`Ctx::stop`].
    ///
    /// # Errors
    /// The system's, when waiting for events fails.
    pub fn run(&mut self) -> io::Result<()> {
        while !self.core.stopped {
            self.turn(None)?;
        }
        Ok(())
    }

    /// Waits until something happens, at most `patience`, and handles it.
    ///
    /// # Errors
    /// The system's, when waiting for events fails.
    pub fn turn(&mut self, patience: Option<Duration>) -> io::Result<()> {
        let busy = !self.core.ready.is_empty()
            || !self.core.dirty.is_empty()
            || !self.core.gone.is_empty()
            || self.core.may_accept();
        let due = self.core.wheel.due();
        let wait = match (busy, due) {
            (true, _) => Some(Duration::ZERO),
            (false, Some(due)) => {
                let due = due.saturating_sub(self.started.elapsed());
                Some(patience.map_or(due, |it| it.min(due)))
            }
            (false, None) => patience,
        };
        match self.poll.poll(&mut self.events, wait) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => self.events.clear(),
            Err(error) => return Err(error),
        }
        self.core.now = self.started.elapsed();
        if let Some(late) = due.and_then(|due| self.core.now.checked_sub(due)) {
            self.core.counters.late.observe_time(late);
        }

        let mut mail = false;
        for event in &self.events {
            mail |= note(&mut self.core, event);
        }
        if mail {
            self.read_mail();
        }
        self.fire_timers();
        self.accept();
        for _ in 0..self.core.ready.len() {
            if let Some(token) = self.core.ready.pop_front() {
                self.read(token);
            }
        }
        self.driver.turn_ended(&mut Ctx { core: &mut self.core });
        self.tell_gone();
        self.write();
        self.tell_gone();
        let took = self.started.elapsed().saturating_sub(self.core.now);
        self.core.counters.turns.observe_time(took);
        Ok(())
    }

    fn read_mail(&mut self) {
        let mut batch = self.mailbox.take();
        for mail in batch.drain(..) {
            self.driver.message(&mut Ctx { core: &mut self.core }, mail);
        }
        self.mailbox.done(batch);
    }

    fn fire_timers(&mut self) {
        while let Some(due) = self.core.wheel.pop(self.core.now) {
            match due {
                Due::Own(token) => self.core.own_timer(token),
                Due::Accept => self.core.accept_held = false,
                Due::Review => self.core.review(),
                Due::Alarm(alarm) => self.driver.alarm(&mut Ctx { core: &mut self.core }, alarm),
                Due::Driver(token, timer) => {
                    if let Some(it) = self.core.get_mut(token) {
                        it.timers[timer as usize] = None;
                        self.driver.timer(&mut Ctx { core: &mut self.core }, token, timer);
                    }
                }
            }
        }
    }

    fn accept(&mut self) {
        for door in 0..self.core.listeners.len() {
            for _ in 0..self.core.limits.accept_budget {
                if !self.core.may_accept() {
                    return;
                }
                // The driver may have closed the doors meanwhile.
                let Some(Door { listener, pending }) = self.core.listeners.get_mut(door) else {
                    return;
                };
                if !*pending {
                    break;
                }
                let tag = u16::try_from(door).unwrap_or(u16::MAX);
                let accepted = match listener.accept() {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        *pending = false;
                        break;
                    }
                    Err(error) if concerns_one_connection(&error) => continue,
                    Err(error) => Err(error),
                    Ok((stream, peer)) => self.core.adopt(stream, tag).map(|token| (token, peer)),
                };
                let ctx = &mut Ctx { core: &mut self.core };
                match accepted {
                    Ok((token, peer)) => {
                        ctx.core.accept_failing = false;
                        self.driver.accepted(ctx, token, door, peer);
                    }
                    Err(error) => {
                        ctx.core.counters.accept_failed.add(1);
                        // No descriptor, or no memory. Whoever waits stays in the backlog; no event will
                        // say when it is better, so look again soon.
                        ctx.core.accept_held = true;
                        let at = ctx.core.now.saturating_add(ctx.core.limits.accept_retry);
                        ctx.core.wheel.set(at, Due::Accept);
                        if !std::mem::replace(&mut ctx.core.accept_failing, true) {
                            self.driver.accept_failed(ctx, door, &error);
                        }
                        return;
                    }
                }
            }
        }
    }

    fn read(&mut self, token: Token) {
        let mut budget = self.core.limits.read_budget;
        if let Some(it) = self.core.connections.get_mut(token) {
            it.listed.leave(Listed::READY);
        }
        if self.core.get(token).is_some_and(|it| it.held == Held::GivenBack && it.wants_input())
            && let Some(mut bytes) = self.core.take_given_back(token)
        {
            self.driver.received(&mut Ctx { core: &mut self.core }, token, &mut bytes);
            // That was its turn.
            return self.core.mark_ready(token);
        }
        while let Some(it) = self.core.get_mut(token) {
            if it.held == Held::GivenBack {
                return self.core.mark_ready(token);
            }
            if !it.readable() || !it.wants_input() {
                return;
            }
            if budget == 0 {
                // The others first.
                return self.core.mark_ready(token);
            }
            let gathers = it.held == Held::Gathering;
            let read_max = self.core.read_max();
            let Some(it) = self.core.connections.get_mut(token) else {
                return;
            };
            let (most, outcome) = if gathers {
                self.core.gatherings.read(token, &mut it.stream, &mut self.core.scratch)
            } else {
                let most = self.buffer.len().min(read_max);
                let buffer = self.buffer.get_mut(..most).unwrap_or_default();
                (most, it.stream.read(buffer, &mut self.core.scratch))
            };
            let count = match outcome {
                Ok(0) => {
                    it.input = Input::Ended;
                    if it.stream.is_handshaking() {
                        // Nothing can be said to a peer that left before both had keys.
                        self.core.kill(token, Closed::Tls);
                    } else if it.after == After::Keep {
                        self.driver.finished(&mut Ctx { core: &mut self.core }, token);
                    } else if it.output == Output::Ended {
                        self.core.kill(token, Closed::Asked);
                    }
                    return;
                }
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    it.input = Input::Waiting;
                    return;
                }
                Err(error) => return self.core.kill(token, Closed::Failed(error.kind())),
            };
            // The socket is empty: what comes next makes a new event. Behind an end or an error
            // nothing comes, so read on until it shows.
            if count < most && it.stream.short_read_is_last() && it.input != Input::UntilEnd {
                it.input = Input::Waiting;
            }
            self.core.counters.bytes_in.add(count as u64);
            budget = budget.saturating_sub(count);
            let (after, tls) = (it.after, it.stream.is_tls());
            if after == After::Linger {
                it.dropped = it.dropped.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
                if it.dropped as usize > self.core.limits.linger_bytes_max {
                    return self.core.kill(token, Closed::Asked);
                }
            }
            if gathers {
                self.gathered(token);
                if tls {
                    self.tls_moved(token, after);
                }
            } else if tls {
                self.decrypted(token, after);
            } else if after == After::Keep
                && let Some(bytes) = self.buffer.get_mut(..count)
            {
                self.driver.received(&mut Ctx { core: &mut self.core }, token, bytes);
            }
        }
    }

    /// Hands on what was gathered, if all of it is there.
    fn gathered(&mut self, token: Token) {
        let Some(mut bytes) = self.core.gatherings.take_whole(token) else {
            return;
        };
        if let Some(it) = self.core.get_mut(token) {
            it.held = Held::Nothing;
            self.driver.received(&mut Ctx { core: &mut self.core }, token, &mut bytes);
        }
        self.core.gatherings.keep(bytes);
        self.core.review_later();
    }

    /// After a read from a TLS connection: hands on what it gave, and sees to what TLS itself has to say.
    fn decrypted(&mut self, token: Token, after: After) {
        let mut plain = std::mem::take(&mut self.core.scratch.plain);
        if after == After::Keep && !plain.is_empty() {
            self.driver.received(&mut Ctx { core: &mut self.core }, token, &mut plain);
        }
        self.core.scratch.plain = plain;
        self.tls_moved(token, after);
    }

    /// After a read from a TLS connection: what TLS itself has to say.
    fn tls_moved(&mut self, token: Token, after: After) {
        let Some(it) = self.core.get_mut(token) else {
            return;
        };
        if it.stream.has_ended() && it.input != Input::Ended {
            // The goodbye came with the bytes; no event will speak of it.
            it.input = Input::UntilEnd;
        }
        if it.stream.has_failed() {
            if after == After::Keep || it.owes() {
                self.core.fail(token);
            }
        } else if it.owes() {
            // A handshake's next flight, or what waited for its end.
            self.core.mark_dirty(token);
        }
    }

    /// Writes to everyone who is owed something. What drivers add on `drained` goes out next turn.
    fn write(&mut self) {
        let dirty = std::mem::take(&mut self.core.dirty);
        for &token in &dirty {
            if self.core.flush(token) {
                self.driver.drained(&mut Ctx { core: &mut self.core }, token);
            }
        }
        if self.core.dirty.is_empty() && dirty.capacity() <= EVENTS_MAX {
            self.core.dirty = dirty;
            self.core.dirty.clear();
        }
    }

    fn tell_gone(&mut self) {
        // Whom `closed` closes in turn is told in the same round.
        while !self.core.gone.is_empty() {
            for (token, why) in std::mem::take(&mut self.core.gone) {
                self.driver.closed(&mut Ctx { core: &mut self.core }, token, why);
                // Only now may the place, and the descriptor, be another's.
                self.core.connections.remove(token);
                self.core.accept_held = false;
            }
        }
    }
}

/// Notes what the system says is possible now. True if it is mail.
fn note(core: &mut Core, event: &Event) -> bool {
    let index = event.token().0;
    if index == WAKER as usize {
        return true;
    }
    if index < WAKER as usize && index >= INDEX_END as usize {
        if let Some(door) = core.listeners.get_mut(index - INDEX_END as usize) {
            door.pending = true;
        }
        return false;
    }
    let token = Token::from_bits(index);
    let Some(it) = core.get_mut(token) else {
        return false;
    };
    let ended = event.is_read_closed() || event.is_error();
    match it.input {
        Input::Ended => {}
        _ if ended => it.input = Input::UntilEnd,
        Input::Waiting if event.is_readable() => it.input = Input::Ready,
        _ => {}
    }
    if event.is_writable() {
        it.writable = true;
    }
    if event.is_error() && !it.wants_input() {
        // Nobody would read to see it.
        core.kill(token, Closed::Failed(ErrorKind::ConnectionReset));
        return false;
    }
    let owed = it.owes();
    core.mark_ready(token);
    if owed && event.is_writable() {
        core.mark_dirty(token);
    }
    false
}

/// The index that names the waker.
const WAKER: u32 = u32::MAX;

/// Events taken from the system at once; more wait there for the next turn.
const EVENTS_MAX: usize = 1024;
