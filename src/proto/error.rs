//! Errors by culprit: a [`Violation`] is the peer's, a [`SendError`] the caller's.

use core::fmt;

use super::{CloseCode, HeaderError, OpCode};

/// What the peer did wrong. The connection has failed (RFC 6455 §7.1.7): the close frame with
/// [`Violation::close_code`] is already in the output, nothing further is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Violation {
    /// The header of a frame is illegal in itself.
    Header(HeaderError),
    /// RSV bits that no agreed extension gives a meaning here (§5.2). Carries the three bits.
    ReservedBits(u8),
    /// A client's frame without a mask (§5.1).
    Unmasked,
    /// A server's frame with a mask (§5.1).
    Masked,
    /// A continuation frame while no message is unfinished (§5.4).
    NothingToContinue,
    /// A new data frame while a message is unfinished (§5.4).
    MessageUnfinished(OpCode),
    /// Text that is not UTF-8 (§8.1); found at the first impossible octet.
    InvalidUtf8,
    /// A close frame with a body of one byte: too short for a code (§5.5.1).
    CloseBodyTooShort,
    /// A close code that must not travel (§7.4).
    CloseCode(u16),
    /// A close reason that is not UTF-8 (§5.5.1).
    CloseReasonNotUtf8,
    /// A frame that declares more than [`Limits::frame_bytes_max`](super::Limits::frame_bytes_max).
    FrameTooLarge {
        /// Bytes declared.
        len: u64,
        /// Bytes allowed.
        max: u64,
    },
    /// A message of more than [`Limits::message_bytes_max`](super::Limits::message_bytes_max).
    MessageTooLarge {
        /// Bytes declared so far.
        len: u64,
        /// Bytes allowed.
        max: u64,
    },
    /// A compressed message that inflates to more than
    /// [`Limits::message_bytes_max`](super::Limits::message_bytes_max).
    InflatedTooLarge {
        /// Bytes allowed.
        max: u64,
    },
    /// A message in more frames than [`Limits::fragments_max`](super::Limits::fragments_max).
    TooManyFragments {
        /// Frames allowed.
        max: u32,
    },
    /// A compressed message that is not DEFLATE data (RFC 7692 §6.2).
    Deflate,
}

impl Violation {
    /// The code that the close frame in the output carries. The only place that maps them.
    pub const fn close_code(&self) -> CloseCode {
        match self {
            Self::Header(_)
            | Self::ReservedBits(_)
            | Self::Unmasked
            | Self::Masked
            | Self::NothingToContinue
            | Self::MessageUnfinished(_)
            | Self::CloseBodyTooShort
            | Self::CloseCode(_) => CloseCode::PROTOCOL_ERROR,
            Self::InvalidUtf8 | Self::CloseReasonNotUtf8 | Self::Deflate => {
                CloseCode::INVALID_PAYLOAD
            }
            Self::FrameTooLarge { .. }
            | Self::MessageTooLarge { .. }
            | Self::InflatedTooLarge { .. }
            | Self::TooManyFragments { .. } => CloseCode::TOO_BIG,
        }
    }
}

impl From<HeaderError> for Violation {
    fn from(error: HeaderError) -> Self {
        Self::Header(error)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(error) => error.fmt(f),
            Self::ReservedBits(bits) => write!(f, "reserved bits {bits:#05b} without an extension"),
            Self::Unmasked => f.write_str("frame from a client is not masked"),
            Self::Masked => f.write_str("frame from a server is masked"),
            Self::NothingToContinue => f.write_str("continuation frame without a message"),
            Self::MessageUnfinished(opcode) => {
                write!(f, "{opcode:?} frame while a message is unfinished")
            }
            Self::InvalidUtf8 => f.write_str("text is not UTF-8"),
            Self::CloseBodyTooShort => f.write_str("close body of 1 byte"),
            Self::CloseCode(code) => write!(f, "close code {code} must not be sent"),
            Self::CloseReasonNotUtf8 => f.write_str("close reason is not UTF-8"),
            Self::FrameTooLarge { len, max } => write!(f, "frame of {len} bytes exceeds {max}"),
            Self::MessageTooLarge { len, max } => {
                write!(f, "message of {len} bytes or more exceeds {max}")
            }
            Self::InflatedTooLarge { max } => {
                write!(f, "message inflates to more than {max} bytes")
            }
            Self::TooManyFragments { max } => write!(f, "message in more than {max} fragments"),
            Self::Deflate => f.write_str("compressed message is not deflate data"),
        }
    }
}

impl core::error::Error for Violation {}

/// What the caller did wrong. Nothing was written and the connection is as it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum SendError {
    /// A close frame was sent, or the connection failed: no frame may follow (RFC 6455 §5.5.1).
    Closed,
    /// A message sent in fragments is not finished: only its next fragment and control frames may go.
    MessageUnfinished,
    /// A fragment of another kind than the first of its message.
    KindChanged,
    /// More than 125 bytes for a ping or pong (§5.5).
    ControlTooLong {
        /// Bytes given.
        len: usize,
    },
    /// More than 123 bytes of close reason (§5.5.1).
    ReasonTooLong {
        /// Bytes given.
        len: usize,
    },
    /// Bytes to be sent as text that are not UTF-8.
    NotUtf8,
    /// `mask` asked for what the role forbids: a client masks every frame, a server none (§5.1).
    MaskForbidden,
    /// A client masks each frame with a fresh key (§5.3), so it cannot share bytes or send a bare head.
    ClientMustMask,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the close frame has been sent"),
            Self::MessageUnfinished => f.write_str("a fragmented message is not finished"),
            Self::KindChanged => f.write_str("a fragment must be of its message's kind"),
            Self::ControlTooLong { len } => write!(f, "control payload of {len} bytes exceeds 125"),
            Self::ReasonTooLong { len } => write!(f, "close reason of {len} bytes exceeds 123"),
            Self::NotUtf8 => f.write_str("bytes to be sent as text are not UTF-8"),
            Self::MaskForbidden => f.write_str("a client masks every frame and a server none"),
            Self::ClientMustMask => f.write_str("a client must mask each frame with a fresh key"),
        }
    }
}

impl core::error::Error for SendError {}
