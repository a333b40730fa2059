//! What a driver may do to its loop while it is being called.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "net-tls")]
use rustls::pki_types::ServerName;

use super::connection::{After, Output};
use super::core::{Core, Due};
use super::driver::{Close, Sent, Timer};
use super::slots::Token;
#[cfg(feature = "net-tls")]
use super::stream::TlsSide;
use super::stream::{Peer, Stream};
#[cfg(feature = "net-tls")]
use super::tls::{TlsClientConfig, TlsConfig};

/// The loop, as its driver sees it. Calls on a token that is dead do nothing.
#[derive(Debug)]
pub struct Ctx<'a> {
    pub(super) core: &'a mut Core,
}

impl Ctx<'_> {
    /// The same loop, lent on for a shorter time.
    pub fn reborrow(&mut self) -> Ctx<'_> {
        Ctx { core: self.core }
    }

    /// Time since the loop was made, as of this turn.
    pub fn now(&self) -> Duration {
        self.core.now
    }

    /// Why bytes sent now would not be taken, if they would not: for who must know before they are made.
    /// [`Sent::Full`] or [`Sent::Gone`].
    pub fn refuses(&mut self, token: Token) -> Option<Sent> {
        self.core.admit(token)
    }

    /// Sends `bytes` and leaves them empty. If they are not taken, they stay.
    ///
    /// Short ones are copied, and leave with all else that this turn brings. Long ones, if nothing waits
    /// before them, are offered to the socket at once, while they are in the processor's cache; of what it
    /// does not take the buffer itself is kept and another given in its place.
    pub fn send_owned(&mut self, token: Token, bytes: &mut Vec<u8>) -> Sent {
        if let Some(refused) = self.core.admit(token) {
            return refused;
        }
        if bytes.len() >= AT_ONCE_MIN
            && let Some(sent) = self.core.send_at_once(token, bytes)
        {
            return sent;
        }
        if let Some(it) = self.core.connections.get_mut(token) {
            self.core.counters.waiting.add(bytes.len() as u64);
            it.outbox.push_owned(bytes, &mut self.core.spare);
        }
        self.core.queued(token)
    }

    /// Sends these slices one after the other, without copying what the socket takes at once; it is asked if
    /// nothing waits before them. `slices` is scratch afterwards.
    pub fn send_slices(&mut self, token: Token, slices: &mut [IoSlice<'_>]) -> Sent {
        if let Some(refused) = self.core.admit(token) {
            return refused;
        }
        self.core.send_slices(token, slices)
    }

    /// Sends bytes that others get too. Not copied unless they are few and others wait before them.
    pub fn send_shared(&mut self, token: Token, bytes: Arc<[u8]>) -> Sent {
        if let Some(refused) = self.core.admit(token) {
            return refused;
        }
        if let Some(it) = self.core.connections.get_mut(token) {
            self.core.counters.waiting.add(bytes.len() as u64);
            it.outbox.push_shared(bytes, &mut self.core.spare);
        }
        self.core.queued(token)
    }

    /// Drops what waits, but for the segment that is partly sent: makes room for a last word to a slow
    /// peer. Whoever uses it must send whole units (frames) in each call.
    pub fn discard_unsent(&mut self, token: Token) {
        if let Some(it) = self.core.connections.get_mut(token) {
            let before = it.outbox.bytes();
            it.outbox.discard_unsent(&mut self.core.spare);
            self.core.counters.waiting.sub(before.saturating_sub(it.outbox.bytes()) as u64);
        }
        self.core.mark_dirty(token);
    }

    /// Bytes that wait for the peer, those that TLS has encrypted already among them.
    pub fn queued(&self, token: Token) -> usize {
        self.core.get(token).map_or(0, |it| it.outbox.bytes() + it.stream.unsent())
    }

    /// Gives back what of the bytes passed to [`received`](super::Driver::received) is not looked at yet, to be
    /// called only from there. They come again, before any newer ones, when it is this connection's turn
    /// again: after the others, and not while it is paused or has more than the high mark waiting for it.
    /// So a driver that finds that few bytes mean much work does a part of it at a time.
    ///
    /// Copies them. No more than was passed at once is held for a connection, since nothing is read meanwhile.
    pub fn give_back(&mut self, token: Token, bytes: &[u8]) {
        self.core.give_back(token, bytes);
    }

    /// Gives back the last of the bytes passed to [`received`](super::Driver::received), to be called only from
    /// there, because nothing can be done before there are `until` of them, this many and those that come. Then
    /// they come again in one piece, maybe with some more behind it; they are read straight to where they are
    /// lent from. If the peer ends before, they do not come again.
    ///
    /// Room is made as they come, so that a number which is only promised costs nothing; of what comes behind
    /// at most as many are read with them.
    pub fn gather(&mut self, token: Token, bytes: &[u8], until: usize) {
        if bytes.len() < until {
            self.core.gather(token, bytes, until);
        } else {
            self.core.give_back(token, bytes);
        }
    }

    /// Whether more has come of what is [gathered](Self::gather), since this was last asked: the driver does not
    /// hear of it otherwise, and may take the peer for dead.
    pub fn has_gathered(&mut self, token: Token) -> bool {
        self.core.gatherings.moved(token)
    }

    /// Stops reading from the peer, whose sending will then stop too.
    pub fn pause(&mut self, token: Token) {
        if let Some(it) = self.core.get_mut(token) {
            it.paused = true;
        }
    }

    /// Reads again.
    pub fn resume(&mut self, token: Token) {
        if let Some(it) = self.core.get_mut(token) {
            it.paused = false;
        }
        self.core.mark_ready(token);
    }

    /// Closes; [`closed`](super::Driver::closed) follows, with `Now` when the turn ends. A gentler close
    /// after a harsher one has no effect.
    pub fn close(&mut self, token: Token, how: Close) {
        self.core.close(token, how);
    }

    /// Sends what waits, then says that nothing more comes (FIN). Input is still read.
    pub fn shutdown_write(&mut self, token: Token) {
        if let Some(it) = self.core.get_mut(token)
            && it.output == Output::Open
        {
            it.output = Output::Ending;
        }
        self.core.mark_dirty(token);
    }

    /// Whether the connection lives and is not being closed.
    pub fn is_open(&self, token: Token) -> bool {
        self.core.get(token).is_some_and(|it| it.after == After::Keep)
    }

    /// Lets a timer of the connection fire `after` now; one that is pending moves.
    pub fn set_timer(&mut self, token: Token, timer: Timer, after: Duration) {
        let at = self.core.now.saturating_add(after);
        self.core.set_timer(token, timer as usize, at, Due::Driver(token, timer));
    }

    /// Takes a timer back.
    pub fn clear_timer(&mut self, token: Token, timer: Timer) {
        self.core.clear_timer(token, timer as usize);
    }

    /// Lets [`alarm`](super::Driver::alarm) be called `after` now, with this number. Each call is one more.
    pub fn set_alarm(&mut self, alarm: u32, after: Duration) {
        let at = self.core.now.saturating_add(after);
        self.core.wheel.set(at, Due::Alarm(alarm));
    }

    /// How many timers and alarms are pending, the loop's own among them.
    pub fn timers(&self) -> usize {
        self.core.wheel.len()
    }

    /// Who is at the other end; asks the system.
    pub fn remote(&self, token: Token) -> Option<Peer> {
        self.core.get(token)?.stream.peer().ok()
    }

    /// The address that the peer came to; asks the system.
    pub fn local(&self, token: Token) -> Option<Peer> {
        self.core.get(token)?.stream.local().ok()
    }

    /// Which listener the peer came by.
    pub fn listener(&self, token: Token) -> Option<usize> {
        self.core.get(token).map(|it| usize::from(it.listener))
    }

    /// How many connections there are, those that are closing among them.
    pub fn connections(&self) -> usize {
        self.core.connections.len()
    }

    /// Speaks TLS on the connection from now on, as the server: from then on bytes received are plaintext,
    /// and what is sent is encrypted, once the handshake is done. Call it before anything is sent, as in
    /// [`accepted`](super::Driver::accepted); a configuration that changes later changes nothing here.
    ///
    /// The handshake goes on by itself while input is not paused. It has no deadline: set a timer. What is
    /// sent meanwhile waits; [`Close::Flush`] and [`Close::Linger`] wait with it, if there is anything.
    ///
    /// # Errors
    /// `NotConnected`: no such connection, or it is closing. `InvalidInput`: it speaks TLS already, bytes
    /// wait to be sent, or the configuration takes early data, which an attacker can replay.
    #[cfg(feature = "net-tls")]
    pub fn start_tls(&mut self, token: Token, config: Arc<TlsConfig>) -> io::Result<()> {
        self.start_tls_with(token, config, &[])
    }

    /// The same as the client of a server of this name, for a connection that was [adopted](Self::adopt):
    /// its hello leaves at the end of the turn. A server that cannot prove its name ends the connection
    /// with [`Closed::Tls`](super::Closed::Tls).
    ///
    /// # Errors
    /// As of [`start_tls`](Self::start_tls), and `InvalidInput` when rustls takes no such name.
    #[cfg(feature = "net-tls")]
    pub fn start_tls_client(
        &mut self,
        token: Token,
        config: Arc<TlsClientConfig>,
        name: ServerName<'static>,
    ) -> io::Result<()> {
        self.begin_tls(token, TlsSide::Client(config, name), &[])
    }

    /// The same as [`start_tls`](Self::start_tls) where the peer said something in plain before TLS, as in the PROXY
    /// protocol: `received` are the bytes behind that, which came with it and are TLS's already. Copies them.
    ///
    /// # Errors
    /// As of [`start_tls`](Self::start_tls). That the bytes are no TLS is none: the connection ends by itself.
    #[cfg(feature = "net-tls")]
    pub fn start_tls_with(
        &mut self,
        token: Token,
        config: Arc<TlsConfig>,
        received: &[u8],
    ) -> io::Result<()> {
        self.begin_tls(token, TlsSide::Server(config), received)
    }

    #[cfg(feature = "net-tls")]
    fn begin_tls(&mut self, token: Token, side: TlsSide, received: &[u8]) -> io::Result<()> {
        let it = match self.core.get_mut(token) {
            Some(it) if it.takes_output() => it,
            _ => return Err(io::ErrorKind::NotConnected.into()),
        };
        if !it.outbox.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "bytes wait to be sent"));
        }
        it.stream.start_tls(side, received)?;
        let (failed, owes) = (it.stream.has_failed(), it.owes());
        if failed {
            self.core.fail(token);
        } else if owes {
            self.core.mark_dirty(token);
        }
        Ok(())
    }

    /// Whether the connection speaks TLS.
    pub fn is_tls(&self, token: Token) -> bool {
        self.core.get(token).is_some_and(|it| it.stream.is_tls())
    }

    /// Whether a TLS handshake is under way: until it is done nothing can be said to the peer.
    pub fn is_handshaking(&self, token: Token) -> bool {
        self.core.get(token).is_some_and(|it| it.stream.is_handshaking())
    }

    /// What was wrong with the peer's TLS, for people to read: for a connection that ends with
    /// [`Closed::Tls`](super::Closed::Tls), while [`closed`](super::Driver::closed) is called.
    pub fn tls_fault(&self, token: Token) -> Option<String> {
        self.core.connections.get(token)?.stream.fault()
    }

    /// Takes a connection out of this loop, for another's [`adopt`](Self::adopt): its timers are cleared,
    /// the token is dead at once, and [`closed`](super::Driver::closed) is not called. Bytes that were
    /// received are the caller's to carry; of a TLS session the stream holds all that is needed to go on.
    ///
    /// `None`, and nothing changes, while bytes wait to be sent or the connection is closing.
    #[must_use = "dropping the stream closes the connection"]
    pub fn release(&mut self, token: Token) -> Option<Stream> {
        self.core.release(token)
    }

    /// Takes over a connected socket, as one that another thread accepted or another loop
    /// [released](Self::release). [`accepted`](super::Driver::accepted) is not called.
    ///
    /// # Errors
    /// The system's, when it cannot be watched; the socket is closed then.
    pub fn adopt(&mut self, stream: Stream, listener: usize) -> io::Result<Token> {
        self.core.adopt(stream, u16::try_from(listener).unwrap_or(u16::MAX))
    }

    /// How many connections there may be before nobody more is accepted.
    pub fn connections_max(&self) -> usize {
        self.core.limits.connections_max
    }

    /// Changes [`connections_max`](Self::connections_max): loops that hand connections to each other hand
    /// over the room for them, too. Nobody is closed when it shrinks.
    pub fn set_connections_max(&mut self, max: usize) {
        self.core.limits.connections_max = max;
    }

    /// Accepts nobody until told otherwise; the backlog holds those who come.
    pub fn pause_accepting(&mut self) {
        self.core.accept_paused = true;
    }

    /// Accepts again.
    pub fn resume_accepting(&mut self) {
        self.core.accept_paused = false;
    }

    /// Closes the listeners, for good: who connects now is refused by the system.
    pub fn stop_listening(&mut self) {
        self.core.listeners.clear();
    }

    /// Ends the loop after this turn. Connections are closed as they stand.
    pub fn stop(&mut self) {
        self.core.stopped = true;
    }
}

/// From 16 KiB on a system call of its own costs less than to fetch the bytes again when the turn ends.
const AT_ONCE_MIN: usize = 16 << 10;
