//! WebSockets for async programs: a [`Stream`](futures_core::Stream) and [`Sink`](futures_sink::Sink) of
//! owned messages over whatever implements tokio's [`AsyncRead`](tokio::io::AsyncRead) and
//! [`AsyncWrite`](tokio::io::AsyncWrite). All it knows of WebSocket is in [`proto`](crate::proto); here
//! are buffers and wakers. The names are those that users of tokio-tungstenite know.
//!
//! - a server: [`accept_async`], with a look at the request [`accept_hdr_async`]
//! - a client: `connect_async`, over a stream of your own `client_async` (feature `client`; `wss://`
//!   with feature `tokio-tls`)
//! - after somebody else's handshake, such as an HTTP server's:
//!   [`WebSocketStream::from_raw_socket`], [`WebSocketStream::from_connection`]
//!
//! ```no_run
//! use futures_util::{SinkExt, StreamExt};
//! use sockeye::aio::{Message, accept_async};
//!
//! # async fn serve(tcp: tokio::net::TcpStream) -> Result<(), Box<dyn std::error::Error>> {
//! let mut ws = accept_async(tcp).await?;
//! while let Some(message) = ws.next().await {
//!     match message? {
//!         echoed @ (Message::Text(_) | Message::Binary(_)) => ws.send(echoed).await?,
//!         // Pings and closes are answered by themselves.
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Cancellation
//!
//! Nothing that has to outlive a poll is kept in a future. `next()`, `flush()` and the like can be
//! dropped at any await, in a `select!` or by a time-out, and called again: no byte is lost and none
//! comes twice. A `send()` that is dropped has put its message whole into the buffer or not at all;
//! who must know which waits with `poll_ready` and calls `start_send` then. The opening handshake owns
//! its stream, and drops it with the future.
//!
//! # Time
//!
//! Only `connect_async` knows a clock. Everything else waits for as long as the peer makes it; put
//! `tokio::time::timeout` around what must not, above all around [`WebSocketStream::finish`] and an
//! `accept_async` that strangers can reach.
//!
//! # Halves
//!
//! `futures_util::StreamExt::split` gives a half for each of two tasks. The reading half alone answers
//! pings and closes, and each task is woken for what it waits for even while the other writes.

mod accept;
mod config;
#[cfg(feature = "client")]
mod connect;
mod error;
mod message;
mod stream;
#[cfg(feature = "client")]
mod transport;
mod wakers;
mod wire;

pub use accept::{
    Reply, accept_async, accept_async_with_config, accept_hdr_async, accept_hdr_async_with_config,
};
pub use config::Config;
#[cfg(feature = "client")]
pub use connect::{Response, client_async, client_async_with, connect_async, connect_async_with};
#[cfg(feature = "client")]
pub use error::ConnectError;
pub use error::{AcceptError, Error};
pub use message::{CloseFrame, Message};
pub use stream::{Parts, WebSocketStream};
#[cfg(feature = "client")]
pub use transport::MaybeTlsStream;
