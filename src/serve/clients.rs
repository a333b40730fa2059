//! What a handler may do while it is called: to the one it is called for, and to all.

use std::net::SocketAddr;

use super::options::Options;
use super::peers::{ClientId, Peers, Stage};
use super::reach::{Reach, Sent};
use crate::net::Ctx;
use crate::proto::{CloseCode, CloseFrame, Message, Prepared, ReadyState, SendError, SendOptions};

/// All connections of the server: ws's `server.clients`.
#[derive(Debug)]
pub struct Clients<'a> {
    pub(super) ctx: Ctx<'a>,
    pub(super) peers: &'a mut Peers,
    pub(super) options: &'a Options,
    /// The one that is being heard, which is not in its place.
    pub(super) own: Option<(ClientId, Reach<'a>)>,
}

impl<'a> Clients<'a> {
    /// Who is connected and not closing; empty without [`Options::client_tracking`].
    pub fn ids(&self) -> impl Iterator<Item = ClientId> {
        let tracked = self.options.client_tracking;
        let ids = self.peers.iter().map(|peer| peer.id).filter(move |_| tracked);
        ids.filter(|&id| self.ready_state(id) == ReadyState::Open)
    }

    /// Sends a message. See [`Sent`] for what can become of it.
    pub fn send(&mut self, id: ClientId, message: Message<'_>) -> Sent {
        self.send_with(id, message, SendOptions::default())
    }

    /// Sends a message, or a fragment of one, with options.
    pub fn send_with(&mut self, id: ClientId, message: Message<'_>, options: SendOptions) -> Sent {
        self.reach(id).map_or(Sent::Closed, |(ctx, mut to)| to.send(ctx, message, options))
    }

    /// Sends a message to everybody and says how many it reaches. It is encoded, and compressed, once.
    ///
    /// Who has so much waiting that it cannot be reached is closed with 1013. Who is in the middle of a message
    /// that is sent in fragments is passed over.
    pub fn broadcast(&mut self, message: Message<'_>) -> usize {
        let prepared = prepare(message, self.options);
        self.broadcast_prepared(&prepared, None)
    }

    /// The same to those named.
    ///
    /// ```
    /// # use sockeye::serve::{Clients, ClientId, Message};
    /// fn to_a_room(clients: &mut Clients<'_>, members: &[ClientId], text: &str) -> usize {
    ///     clients.send_many(members.iter().copied(), Message::Text(text))
    /// }
    /// ```
    pub fn send_many(
        &mut self,
        ids: impl IntoIterator<Item = ClientId>,
        message: Message<'_>,
    ) -> usize {
        let prepared = prepare(message, self.options);
        ids.into_iter().filter(|&id| self.share(id, &prepared)).count()
    }

    /// Begins the closing handshake. What comes of it [`on_close`](super::Handler::on_close) tells.
    ///
    /// # Errors
    /// [`SendError::ReasonTooLong`].
    pub fn close(&mut self, id: ClientId, code: CloseCode, reason: &str) -> Result<(), SendError> {
        let timeout = self.options.close_timeout;
        match self.reach(id) {
            Some((ctx, mut to)) => to.close(ctx, Some(CloseFrame { code, reason }), timeout),
            None => Ok(()),
        }
    }

    /// Ends the connection at once, without a word: ws's `terminate`.
    pub fn terminate(&mut self, id: ClientId) {
        if let Some((ctx, to)) = self.reach(id) {
            to.line.closing = true;
            ctx.close(id.0, crate::net::Close::Now);
        }
    }

    /// The state by its usual name; `Closed` for those who are not known any more.
    pub fn ready_state(&self, id: ClientId) -> ReadyState {
        let own = self.own.as_ref().filter(|(own, _)| *own == id);
        match own.map(|(_, to)| &*to.line).or_else(|| self.peers.line(id)) {
            Some(line) if line.over => ReadyState::Closed,
            Some(line) if line.closing => ReadyState::Closing,
            Some(_) => ReadyState::Open,
            None if matches!(self.peers.get(id), Some(Stage::Visiting(_))) => {
                ReadyState::Connecting
            }
            None => ReadyState::Closed,
        }
    }

    /// Bytes that wait for the client.
    pub fn buffered_amount(&self, id: ClientId) -> usize {
        let own = self.own.as_ref().filter(|(own, _)| *own == id);
        self.ctx.queued(id.0) + own.map_or(0, |(_, to)| to.out.len())
    }

    /// The client's address and port.
    pub fn remote(&self, id: ClientId) -> Option<SocketAddr> {
        let own = self.own.as_ref().filter(|(own, _)| *own == id);
        own.map(|(_, to)| &*to.line).or_else(|| self.peers.line(id)).map(|line| line.remote)
    }

    pub(super) fn broadcast_prepared(
        &mut self,
        prepared: &Prepared,
        except: Option<ClientId>,
    ) -> usize {
        let (mut at, mut reached) = (0, 0);
        if !self.options.client_tracking {
            return 0;
        }
        while let Some(id) = self.peers.from(at).map(|peer| peer.id) {
            at = id.0.index() + 1;
            if except != Some(id) && self.share(id, prepared) {
                reached += 1;
            }
        }
        reached
    }

    fn share(&mut self, id: ClientId, prepared: &Prepared) -> bool {
        let Some((ctx, mut to)) = self.reach(id) else { return false };
        let sent = to.share(ctx, prepared);
        if sent == Sent::Full {
            to.too_slow(ctx);
        }
        sent.is_taken()
    }

    pub(super) fn reach(&mut self, id: ClientId) -> Option<(&mut Ctx<'a>, Reach<'_>)> {
        let to = match &mut self.own {
            Some((own, to)) if *own == id => {
                Reach { token: to.token, tx: to.tx, line: to.line, out: to.out }
            }
            _ => self.peers.reach(id)?,
        };
        Some((&mut self.ctx, to))
    }
}

/// Encodes for many; compresses once, if that is on and worth it.
pub(super) fn prepare(message: Message<'_>, options: &Options) -> Prepared {
    let prepared = Prepared::new(message);
    #[cfg(feature = "deflate")]
    if let Some(policy) = &options.per_message_deflate
        && message.as_bytes().len() >= policy.compress_from
    {
        return prepared.with_deflate(policy.server_max_window_bits, policy.level);
    }
    #[cfg(not(feature = "deflate"))]
    let _ = options;
    prepared
}

/// The client that a handler is called for; the others are at [`clients`](Self::clients).
#[derive(Debug)]
pub struct Socket<'a> {
    pub(super) id: ClientId,
    pub(super) remote: SocketAddr,
    pub(super) clients: Clients<'a>,
}

impl<'a> Socket<'a> {
    /// Its name, for as long as it lives and never after.
    pub fn id(&self) -> ClientId {
        self.id
    }

    /// Everybody, this one included.
    pub fn clients(&mut self) -> &mut Clients<'a> {
        &mut self.clients
    }

    /// Sends a message. See [`Sent`] for what can become of it.
    pub fn send(&mut self, message: Message<'_>) -> Sent {
        self.clients.send(self.id, message)
    }

    /// Sends a message, or a fragment of one, with options.
    ///
    /// ```
    /// # use sockeye::serve::{Message, SendOptions, Socket};
    /// fn in_two_pieces(socket: &mut Socket<'_>) {
    ///     socket.send_with(Message::Text("Hel"), SendOptions { fin: false, ..SendOptions::default() });
    ///     socket.send_with(Message::Text("lo"), SendOptions::default());
    ///     let plain = SendOptions { compress: Some(false), ..SendOptions::default() };
    ///     socket.send_with(Message::Text("not worth compressing"), plain);
    ///     let bytes = SendOptions { binary: Some(true), ..SendOptions::default() };
    ///     socket.send_with(Message::Text("as binary"), bytes);
    /// }
    /// ```
    pub fn send_with(&mut self, message: Message<'_>, options: SendOptions) -> Sent {
        self.clients.send_with(self.id, message, options)
    }

    /// Sends a message to everybody else, as [`Clients::broadcast`] does to all.
    pub fn broadcast(&mut self, message: Message<'_>) -> usize {
        let prepared = prepare(message, self.clients.options);
        self.clients.broadcast_prepared(&prepared, Some(self.id))
    }

    /// Sends a ping with at most 125 bytes, which the pong brings back.
    pub fn ping(&mut self, payload: &[u8]) -> Sent {
        let id = self.id;
        self.clients.reach(id).map_or(Sent::Closed, |(ctx, mut to)| to.ping(ctx, payload))
    }

    /// Begins the closing handshake.
    ///
    /// # Errors
    /// [`SendError::ReasonTooLong`].
    pub fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), SendError> {
        self.clients.close(self.id, code, reason)
    }

    /// Ends the connection at once, without a word.
    pub fn terminate(&mut self) {
        self.clients.terminate(self.id);
    }

    /// `Open`, or `Closing` after [`close`](Self::close).
    pub fn ready_state(&self) -> ReadyState {
        self.clients.ready_state(self.id)
    }

    /// Bytes that wait for the client.
    pub fn buffered_amount(&self) -> usize {
        self.clients.buffered_amount(self.id)
    }

    /// The client's address and port.
    pub fn remote(&self) -> SocketAddr {
        self.remote
    }
}
