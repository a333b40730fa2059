//! The opening handshake (RFC 6455 section 4), both sides, as functions of bytes. It knows HTTP/1.1
//! heads and nothing of sockets, bodies, routes or TLS; it draws no randomness: the client's nonce comes in.
//!
//! A server reads with [`RequestReader`], looks at the [`Request`] (path, host, origin), turns it into
//! an [`Upgrade`] and writes the 101, or writes a [`Refusal`]. A client writes a [`ClientRequest`] and
//! reads the answer with [`ResponseReader`]. Bytes that follow a head stay in the caller's buffer:
//! `head_len` says where they begin.
//!
//! ```
//! use sockeye::proto::handshake::{Answer, HeadLimits, Refusal, RequestReader};
//!
//! /// One connection's bytes so far; `None` asks for more, `Some(n)` says that frames begin at `n`.
//! fn serve(reader: &mut RequestReader, head: &[u8], out: &mut Vec<u8>) -> Result<Option<usize>, Refusal> {
//!     let Some(request) = reader.read(head)? else { return Ok(None) };
//!     if request.path() != "/chat" {
//!         return Err(Refusal::new(404, "there is nothing here"));
//!     }
//!     let upgrade = request.upgrade()?;
//!     let answer = Answer { subprotocol: upgrade.first_subprotocol(), ..Answer::default() };
//!     upgrade.accept(&answer, out).expect("the subprotocol is one of those offered");
//!     Ok(Some(request.head_len()))
//! }
//!
//! let mut out = Vec::new();
//! let head = b"GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
//!     Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
//!     Sec-WebSocket-Version: 13\r\n\r\n\x81\x80\0\0\0\0";
//! let frames_at = serve(&mut RequestReader::new(HeadLimits::default()), head, &mut out).unwrap().unwrap();
//! assert_eq!(&head[frames_at..], b"\x81\x80\0\0\0\0");
//! assert!(out.starts_with(b"HTTP/1.1 101 Switching Protocols\r\n"));
//! ```

mod client_request;
mod error;
mod extensions;
mod field;
mod head;
mod key;
mod refusal;
mod request;
mod response;
mod tokens;
mod upgrade;

pub use client_request::ClientRequest;
pub use error::{ComposeError, HeadError, Refused, RequestError, ResponseError};
pub use extensions::{Extension, GrammarError, Param, parse_extensions};
pub use head::HeadLimits;
pub use key::{AcceptKey, ClientKey, accept_key, is_valid_key};
pub use refusal::Refusal;
pub use request::{Request, RequestReader};
pub use response::{Response, ResponseReader};
pub use tokens::{elements, has_element, is_tchar, token};
pub use upgrade::{Answer, Upgrade};
