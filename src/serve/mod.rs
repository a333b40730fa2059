//! A WebSocket server of one's own: a [`Handler`] says what messages mean, the event loop ([`net`](crate::net))
//! and the codec ([`proto`](crate::proto)) do the rest. It serves no pages and keeps no rooms.
//!
//! ```no_run
//! use sockeye::serve::{Handler, Message, Options, Server, Socket};
//!
//! /// What one says, the others hear.
//! struct Chat;
//!
//! impl Handler for Chat {
//!     fn on_message(&mut self, socket: &mut Socket<'_>, message: Message<'_>) {
//!         socket.broadcast(message);
//!     }
//! }
//!
//! fn main() -> std::io::Result<()> {
//!     Server::bind(Options { port: 8080, ..Options::default() }, Chat)?.run()
//! }
//! ```
//!
//! One thread runs the loop and calls the handler, which must not block. Other threads reach it through a
//! [`Handle`]. The [`Options`] go by the names that users of ws know; what ws takes as callbacks
//! (`verifyClient`, `handleProtocols`) and events (`connection`, `message`, `close`) are methods of the handler:
//!
//! | ws | here |
//! |---|---|
//! | `host`, `port`, `backlog`, `path`, `noServer`, `clientTracking`, `perMessageDeflate`, `maxPayload` | fields of [`Options`] |
//! | `server` | [`Server::on`] a listener of one's own, [`Handle::adopt`] a socket of one's own |
//! | `verifyClient`, `handleProtocols` | [`Handler::verify`], [`Handler::select_protocol`] |
//! | events `connection`, `message`, `ping`, `pong`, `close` | [`Handler::on_open`], [`on_message`](Handler::on_message), ... |
//! | `send(data, { compress, binary, mask, fin })` | [`Socket::send_with`] |
//! | `readyState`, `bufferedAmount`, `server.clients` | [`Socket::ready_state`], [`Socket::buffered_amount`], [`Socket::clients`] |
//! | `req.socket.remoteAddress`, `remotePort` | [`Opening::remote`], [`Socket::remote`] |
//!
//! # When a peer is slow
//!
//! What waits for a peer is bounded by [`Marks`](crate::net::Marks). Each send says how it stands ([`Sent`]): above
//! the high mark it waits, above the full mark it is not taken, and [`Handler::on_drain`] tells when the peer has
//! caught up. A broadcast has nobody to tell, so whom it cannot reach is closed with 1013: better a client
//! that comes back than one that does not know what it missed.

mod clients;
mod handle;
mod handler;
mod house;
mod options;
mod peers;
mod reach;
mod server;

pub use self::clients::{Clients, Socket};
pub use self::handle::Handle;
pub use self::handler::{End, Handler, Opening};
pub use self::options::Options;
pub use self::peers::ClientId;
pub use self::reach::Sent;
pub use self::server::Server;
pub use crate::proto::handshake::Refusal;
pub use crate::proto::{CloseCode, Message, ReadyState, SendOptions};
