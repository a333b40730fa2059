//! What a server's author writes, and what is told there.

use std::io;
use std::net::SocketAddr;

use super::clients::{Clients, Socket};
use super::peers::ClientId;
use crate::proto::handshake::{Refusal, Request};
use crate::proto::{Message, Violation};

/// The program inside the server. Each method is called on the loop's thread and must not block; only
/// [`on_message`](Self::on_message) has to be written.
///
/// For a connection that was let in, `on_open` and `on_close` come once each, and everything else between them.
///
/// ```
/// use sockeye::serve::{Clients, ClientId, End, Handler, Message, Opening, Socket};
/// use std::collections::HashMap;
///
/// /// Everybody is told who comes, speaks and goes.
/// #[derive(Default)]
/// struct Named(HashMap<ClientId, String>);
///
/// impl Handler for Named {
///     fn on_open(&mut self, socket: &mut Socket<'_>, opening: &Opening<'_>) {
///         let name = opening.path().trim_matches('/').to_owned();
///         socket.broadcast(Message::Text(&format!("{name} is here")));
///         self.0.insert(socket.id(), name);
///     }
///     fn on_message(&mut self, socket: &mut Socket<'_>, message: Message<'_>) {
///         let said = String::from_utf8_lossy(message.as_bytes());
///         let line = format!("{}: {said}", self.0[&socket.id()]);
///         socket.clients().broadcast(Message::Text(&line));
///     }
///     fn on_close(&mut self, clients: &mut Clients<'_>, id: ClientId, end: &End<'_>) {
///         let name = self.0.remove(&id).unwrap_or_default();
///         clients.broadcast(Message::Text(&format!("{name} left ({})", end.code)));
///     }
/// }
/// ```
pub trait Handler {
    /// Whether a request for a WebSocket may become one: ws's `verifyClient`. Asked once the request is known to
    /// be a good one, for the right path. What is refused gets the response as it is.
    ///
    /// ```
    /// # use sockeye::serve::{Handler, Message, Opening, Refusal, Socket};
    /// # struct Doorman;
    /// # impl Handler for Doorman {
    /// # fn on_message(&mut self, _: &mut Socket<'_>, _: Message<'_>) {}
    /// fn verify(&mut self, opening: &Opening<'_>) -> Result<(), Refusal> {
    ///     match opening.header("Authorization") {
    ///         Some(b"Bearer secret") => Ok(()),
    ///         _ => Err(Refusal::new(401, "who are you")
    ///             .header("WWW-Authenticate", "Bearer")
    ///             .expect("a header that may be sent")),
    ///     }
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    /// The response to who may not.
    fn verify(&mut self, opening: &Opening<'_>) -> Result<(), Refusal> {
        let _ = opening;
        Ok(())
    }

    /// The subprotocol to agree on, one of those offered or none: ws's `handleProtocols`, asked only if some are
    /// offered. The first by default, because browsers fail the connection when none comes back.
    ///
    /// ```
    /// # use sockeye::serve::{Handler, Message, Opening, Socket};
    /// # struct Chooser;
    /// # impl Handler for Chooser {
    /// # fn on_message(&mut self, _: &mut Socket<'_>, _: Message<'_>) {}
    /// fn select_protocol<'o>(&mut self, offered: &[&'o str], _: &Opening<'_>) -> Option<&'o str> {
    ///     offered.iter().copied().find(|&name| name == "chat.v2")
    /// }
    /// # }
    /// ```
    fn select_protocol<'o>(
        &mut self,
        offered: &[&'o str],
        opening: &Opening<'_>,
    ) -> Option<&'o str> {
        let _ = opening;
        offered.first().copied()
    }

    /// Somebody is here. What is sent now comes before anything else.
    fn on_open(&mut self, socket: &mut Socket<'_>, opening: &Opening<'_>) {
        let _ = (socket, opening);
    }

    /// Somebody says something. It is lent for the call: a whole message, uncompressed; a text is UTF-8.
    fn on_message(&mut self, socket: &mut Socket<'_>, message: Message<'_>);

    /// A ping came; it is answered without this.
    fn on_ping(&mut self, socket: &mut Socket<'_>, payload: &[u8]) {
        let _ = (socket, payload);
    }

    /// A pong came. Those that answer the server's own pings are empty.
    fn on_pong(&mut self, socket: &mut Socket<'_>, payload: &[u8]) {
        let _ = (socket, payload);
    }

    /// A peer for which something had to wait, [`Queued`](super::Sent::Queued) or
    /// [`Full`](super::Sent::Full), has caught up: there is room again, for other threads too.
    fn on_drain(&mut self, socket: &mut Socket<'_>) {
        let _ = socket;
    }

    /// The loop has taken what other threads had for everybody ([`Handle::broadcast`](super::Handle::broadcast))
    /// after it had to tell one of them to wait.
    fn on_broadcast_drain(&mut self, clients: &mut Clients<'_>) {
        let _ = clients;
    }

    /// Somebody left, or is lost; `id` gets nothing more. Called when the peer's close frame is here, which is
    /// before TCP ends, or when the connection ended without one.
    fn on_close(&mut self, clients: &mut Clients<'_>, id: ClientId, end: &End<'_>) {
        let _ = (clients, id, end);
    }

    /// [`Options::tick`](super::Options::tick) has passed once more.
    fn on_tick(&mut self, clients: &mut Clients<'_>) {
        let _ = clients;
    }

    /// No connection can be accepted for now, for want of descriptors or memory; it is tried again soon. Said
    /// once until it works again.
    fn on_accept_error(&mut self, error: &io::Error) {
        let _ = error;
    }
}

/// A request to become a WebSocket, and where it comes from.
#[derive(Clone, Copy, Debug)]
pub struct Opening<'a> {
    pub(super) request: &'a Request<'a>,
    pub(super) remote: SocketAddr,
    pub(super) secure: bool,
    pub(super) subprotocol: Option<&'a str>,
}

impl<'a> Opening<'a> {
    /// The path, still percent-encoded.
    pub fn path(&self) -> &'a str {
        self.request.path()
    }

    /// What follows the `?`, still percent-encoded.
    pub fn query(&self) -> Option<&'a str> {
        self.request.query()
    }

    /// The first header field of that name, in any case.
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.request.header(name).next()
    }

    /// Which site's page asks, if a browser does.
    pub fn origin(&self) -> Option<&'a str> {
        self.request.origin()
    }

    /// The address and port that the request comes from. An IPv4 address is one, whatever the listener.
    pub fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// Whether it came by TLS.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// The subprotocol that was agreed on; `None` before that.
    pub fn subprotocol(&self) -> Option<&'a str> {
        self.subprotocol
    }

    /// The request itself.
    pub fn request(&self) -> &'a Request<'a> {
        self.request
    }
}

/// How a connection ended, as a browser would say it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct End<'a> {
    /// The peer's code; 1005 if its close frame had none, 1006 if there was no close frame.
    pub code: u16,
    /// The peer's reason, for a log.
    pub reason: &'a str,
    /// Whether the peer's close frame came: both sides know that nothing was lost.
    pub was_clean: bool,
    /// What the peer did wrong, if it was closed for that.
    pub fault: Option<Violation>,
}

impl End<'_> {
    /// No close frame came.
    pub(super) const ABRUPT: End<'static> =
        End { code: 1006, reason: "", was_clean: false, fault: None };
}
