//! The little HTTP/1.1 (RFC 9110, RFC 9112) that a relay needs: requests in, responses out, as functions of
//! bytes. It opens no socket, reads no clock and keeps no bytes; what two parsers might understand
//! differently it refuses, so that nothing can be smuggled past it.
//!
//! ```
//! use sockeye::http::{Event, Limits, Reply, Requests, Status};
//!
//! // What has come and is not used up; the caller's.
//! let mut bytes: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: here\r\n\r\nGET / HTTP/1.1\r\nHost";
//! let mut requests = Requests::new(Limits::default());
//! let mut out = Vec::new();
//! let mut answer = None;
//! loop {
//!     let step = requests.next(bytes)?;
//!     bytes = &bytes[step.used..];
//!     match step.event {
//!         Event::Head(head) if head.upgrades_to("websocket") => {
//!             // head.raw() to the WebSocket handshake; frames begin at `bytes`.
//!             requests.upgraded();
//!         }
//!         Event::Head(head) => answer = Some((head.answer(), head.path() == "/healthz")),
//!         Event::Body(_part) => {}
//!         Event::End => {
//!             // Now, or later: the answer may be parked, and nothing is read on until it is there.
//!             let Some((answer, healthy)) = answer.take() else { continue };
//!             let status = if healthy { Status::Ok } else { Status::NotFound };
//!             Reply::new(&mut out, answer, status).body("text/plain", b"ok\n");
//!             requests.answered(answer);
//!         }
//!         Event::More | Event::Wait | Event::Over => break,
//!     }
//! }
//! assert_eq!(bytes, b"GET / HTTP/1.1\r\nHost");
//! assert_eq!(out, b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nok\n");
//! # Ok::<(), sockeye::http::Fault>(())
//! ```

mod body;
mod date;
mod fault;
mod files;
mod framing;
mod head;
mod limits;
mod query;
mod requests;
mod response;
mod scan;

pub use self::date::http_date;
pub use self::fault::Fault;
pub use self::files::{Files, Served};
pub use self::framing::Framing;
pub use self::head::Head;
pub use self::limits::Limits;
pub use self::query::{percent_decoded, query_value};
pub use self::requests::{Event, Requests, Step};
pub use self::response::{Answer, CONTINUE, Reply, Status, refuse};
