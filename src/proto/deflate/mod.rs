//! permessage-deflate (RFC 7692): what is agreed in the handshake, and the two codecs for a message.
//!
//! [`Deflate`] is one endpoint's policy. A server answers offers with [`Deflate::respond`]; a client
//! makes one with [`Deflate::offer`] and judges the answer with [`Deflate::agree`]. Frames, RSV1 and
//! limits are the connection's business.

mod compress;
mod inflate;
mod negotiate;
mod pool;
#[cfg(test)]
mod walk;

pub(crate) use compress::Compress;
pub(crate) use inflate::{Inflate, Step};
pub use negotiate::{Deflate, EXTENSION, NegotiationError, Params, WindowBits};
