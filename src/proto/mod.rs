//! RFC 6455 and RFC 7692 as pure state machines: no IO, no clock, no randomness, no logging.

mod close;
#[cfg(feature = "deflate")]
pub mod deflate;
#[cfg(feature = "handshake")]
pub mod handshake;
mod header;
mod mask;
mod opcode;
mod utf8;

pub use close::{CloseCode, CloseFrame};
pub use header::{FrameHead, Header, HeaderError};
pub use mask::{MaskKey, apply_mask};
pub use opcode::OpCode;
pub use utf8::{InvalidUtf8, Utf8};
