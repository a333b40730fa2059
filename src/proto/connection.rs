//! The two halves of a connection and the closing handshake between them (RFC 6455 section 7).

use alloc::{boxed::Box, sync::Arc};

#[cfg(feature = "deflate")]
use super::deflate::{Compress, Deflate, Inflate, Params};
#[cfg(feature = "deflate")]
use super::outbound::Compressing;
use super::{CloseCode, Inbound, Limits, Outbound, inbound::Heard, outbound::Masker};

/// Which end of the connection this is. It decides who masks (§5.1) and who closes TCP (§7.1.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Role {
    /// Accepted the connection; sends unmasked, receives masked.
    Server,
    /// Opened the connection; sends masked, receives unmasked.
    Client,
}

/// What connections of one kind have in common. Share one `Arc<Config>` among them.
///
/// ```
/// # use sockeye::proto::Config;
/// let config = Config::default().max_payload(64 * 1024);
/// assert_eq!(config.limits.message_bytes_max, 65_536);
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Config {
    /// What the peer may send.
    pub limits: Limits,
    /// How permessage-deflate is negotiated and used; `None` neither offers nor accepts it.
    #[cfg(feature = "deflate")]
    pub deflate: Option<Deflate>,
}

impl Config {
    /// Sets what the peer may send.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The largest message in bytes, fragments summed and inflated: ws's name for
    /// [`Limits::message_bytes_max`].
    #[must_use]
    pub fn max_payload(mut self, bytes: u64) -> Self {
        self.limits.message_bytes_max = bytes;
        self
    }

    /// Sets the policy for permessage-deflate (RFC 7692).
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn per_message_deflate(mut self, policy: Deflate) -> Self {
        self.deflate = Some(policy);
        self
    }
}

/// An open WebSocket connection after its opening handshake, without IO.
///
/// The transport is the caller's. The loop is always the same:
///
/// 1. read bytes, lend them as an [`Input`](super::Input), call [`Inbound::next`] until `None`;
/// 2. send with [`Outbound`], between events or at any other time;
/// 3. write out what was appended to `out`;
/// 4. ask [`transport`](Self::transport) what to do with the transport;
/// 5. when it ended, say so with [`receive_eof`](Self::receive_eof).
///
/// ```
/// use sockeye::proto::{Config, Connection, Event, Input};
///
/// // RFC 6455 §5.7: a single-frame masked text message, "Hello".
/// let mut bytes = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
///
/// let mut connection = Connection::server(Config::default());
/// let mut out = Vec::new();
/// let (rx, tx) = connection.split_mut();
/// let mut input = Input::new(&mut bytes);
/// while let Some(event) = rx.next(&mut input, tx, &mut out)? {
///     match event {
///         Event::Text(text) => tx.text(text, &mut out)?,
///         Event::Binary(bytes) => tx.binary(bytes, &mut out)?,
///         Event::Ping(_) | Event::Pong(_) | Event::Close(_) => {}
///     }
/// }
/// assert_eq!(out, b"\x81\x05Hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Connection {
    inbound: Inbound,
    outbound: Outbound,
}

/// What the caller is to do with the transport, after it has written all of `out`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    /// Go on reading and writing. Also while a close that was sent waits for its answer: give that a deadline.
    KeepOpen,
    /// Flush, then close: both sides said goodbye and a server ends TCP first (§7.1.1), or the peer is gone.
    FlushThenClose,
    /// Flush, shut down the writing side, then read and drop what comes until the peer closes or a
    /// deadline passes. After a violation: closing at once, with bytes unread, would send a reset
    /// that can destroy the close frame on its way.
    FlushThenShutdownWrite,
    /// Flush, then wait for the server to end TCP (§7.1.1), with a deadline.
    AwaitPeerClose,
}

/// How the connection ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// The peer's close frame came, with this code: both sides know that nothing was lost.
    /// `None`: it carried no code, which APIs report as 1005.
    Clean(Option<CloseCode>),
    /// The transport ended without a close frame from the peer, which APIs report as 1006.
    Abrupt,
}

/// The states of a WebSocket as its users know them from browsers and ws, with their numbers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
#[repr(u8)]
pub enum ReadyState {
    /// 0: the opening handshake is under way. A [`Connection`] begins after it.
    Connecting = 0,
    /// 1: messages can be sent.
    Open = 1,
    /// 2: the closing handshake is under way.
    Closing = 2,
    /// 3: over.
    Closed = 3,
}

impl Connection {
    /// The server's end. Takes a [`Config`] or an `Arc` of one that many connections share.
    pub fn server(config: impl Into<Arc<Config>>) -> Self {
        Self { inbound: Inbound::new(config.into(), Role::Server), outbound: Outbound::new(None) }
    }

    /// The client's end. `entropy` fills a slice with random bytes for the masking keys. They must
    /// be cryptographically strong, or a page can choose the bytes on the wire and poison proxies (§10.3).
    ///
    /// ```
    /// # use sockeye::proto::{Config, Connection};
    /// # fn getrandom(bytes: &mut [u8]) { bytes.fill(4) }
    /// let mut connection = Connection::client(Config::default(), |bytes: &mut [u8]| getrandom(bytes));
    /// let mut out = Vec::new();
    /// connection.split_mut().1.text("hi", &mut out)?;
    /// assert_eq!(out[..2], [0x81, 0x82]);
    /// # Ok::<(), sockeye::proto::SendError>(())
    /// ```
    pub fn client(
        config: impl Into<Arc<Config>>,
        entropy: impl FnMut(&mut [u8]) + Send + 'static,
    ) -> Self {
        Self {
            inbound: Inbound::new(config.into(), Role::Client),
            outbound: Outbound::new(Some(Masker::new(Box::new(entropy)))),
        }
    }

    /// Turns permessage-deflate on, as the opening handshake agreed on it (RFC 7692 §7). Before the first byte is received.
    #[cfg(feature = "deflate")]
    pub fn enable_deflate(&mut self, agreed: &Params, policy: &Deflate) {
        let server = (agreed.server_max_window_bits, !agreed.server_no_context_takeover);
        let client = (agreed.client_max_window_bits, !agreed.client_no_context_takeover);
        let (ours, theirs) = match self.role() {
            Role::Server => (server, client),
            Role::Client => (client, server),
        };
        self.inbound.enable_deflate(Inflate::new(theirs.0, theirs.1));
        self.outbound.enable_deflate(Compressing {
            compress: Compress::new(ours.0, ours.1, policy.level),
            compress_from: policy.compress_from,
            window_bits: ours.0,
            takeover: ours.1,
        });
    }

    /// Both halves at once, so that an event of the one can be answered through the other.
    #[inline]
    pub fn split_mut(&mut self) -> (&mut Inbound, &mut Outbound) {
        (&mut self.inbound, &mut self.outbound)
    }

    /// Which end this is.
    #[inline]
    pub const fn role(&self) -> Role {
        self.inbound.role
    }

    /// What to do with the transport now: the closing handshake as one table.
    ///
    /// | the peer ... | we sent no close | we sent a close (first, or as the answer) |
    /// |---|---|---|
    /// | said nothing of closing | keep open | keep open, until the answer or a deadline |
    /// | sent its close frame | (cannot be: the answer is written at once) | server: close; client: wait for the server to |
    /// | broke the protocol | (cannot be: 1002, 1007 or 1009 is written at once) | shut down writing, read to the end |
    /// | ended the transport | close | close |
    pub const fn transport(&self) -> Transport {
        match (self.inbound.heard, self.inbound.role) {
            (Heard::Open, _) => Transport::KeepOpen,
            (Heard::Close(_), Role::Server) | (Heard::Eof(_), _) => Transport::FlushThenClose,
            (Heard::Close(_), Role::Client) => Transport::AwaitPeerClose,
            (Heard::Fault, _) => Transport::FlushThenShutdownWrite,
        }
    }

    /// The state by its usual name.
    pub const fn ready_state(&self) -> ReadyState {
        match (self.transport(), self.outbound.sent_close) {
            (Transport::FlushThenClose, _) => ReadyState::Closed,
            (Transport::KeepOpen, false) => ReadyState::Open,
            _ => ReadyState::Closing,
        }
    }

    /// The transport ended: no byte will come. Tells a clean end from an abrupt one. Nothing can be
    /// sent after; saying it twice changes nothing.
    pub fn receive_eof(&mut self) -> Ended {
        let ended = match self.inbound.heard {
            Heard::Eof(ended) => ended,
            Heard::Close(code) => Ended::Clean(code),
            Heard::Open | Heard::Fault => Ended::Abrupt,
        };
        self.inbound.end(ended);
        self.outbound.end();
        ended
    }
}
