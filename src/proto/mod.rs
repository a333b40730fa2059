//! RFC 6455 and RFC 7692 as pure state machines: no IO, no clock, no randomness, no logging.

mod close;
mod connection;
#[cfg(feature = "deflate")]
pub mod deflate;
mod error;
#[cfg(feature = "handshake")]
pub mod handshake;
mod header;
mod inbound;
mod keepalive;
mod limits;
mod mask;
mod message;
mod opcode;
mod outbound;
mod prepared;
mod utf8;

pub use close::{CloseCode, CloseFrame};
pub use connection::{Config, Connection, Ended, ReadyState, Role, Transport};
pub use error::{SendError, Violation};
pub use header::{FrameHead, Header, HeaderError};
pub use inbound::{Echoed, Inbound, Input};
pub use keepalive::{Duty, Keepalive};
pub use limits::Limits;
pub use mask::{MaskKey, apply_mask};
pub use message::{Event, Kind, Message, Part};
pub use opcode::OpCode;
pub use outbound::{Outbound, SendOptions};
pub use prepared::Prepared;
pub use utf8::{InvalidUtf8, Utf8};
