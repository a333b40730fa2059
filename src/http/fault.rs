//! What a client did wrong, and the status that says so. After any of these the connection is to be closed:
//! where the next request would begin is no longer certain.

use std::error::Error;
use std::fmt;

use super::response::Status;

/// A request that is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Fault {
    /// A NUL or another control character in the head.
    ControlByte(u8),
    /// A line that ends without CR, which other parsers may or may not take for an end (RFC 9112 §2.2).
    BareLf,
    /// A CR that ends no line (RFC 9112 §2.2).
    BareCr,
    /// A field that goes on in the next line (RFC 9112 §5.2).
    Folded,
    /// The first line is no request line; TLS on a plain port looks so.
    RequestLine,
    /// A line that is no header field, as with a space before the colon (RFC 9112 §5.1).
    Field,
    /// Neither HTTP/1.0 nor HTTP/1.1.
    Version,
    /// The request line is longer than this.
    LineTooLong(usize),
    /// The head is longer than this.
    HeadTooLong(usize),
    /// There are more fields than this.
    TooManyFields(usize),
    /// Not exactly one `Host` (RFC 9112 §3.2). Carries how many.
    Host(usize),
    /// A `Content-Length` that is no number, or more than one (RFC 9112 §6.3).
    ContentLength,
    /// Both `Content-Length` and `Transfer-Encoding`: the classic way to smuggle (RFC 9112 §6.1).
    LengthAndEncoding,
    /// A `Transfer-Encoding` in HTTP/1.0, twice, or not ending in `chunked` (RFC 9112 §6.1).
    TransferEncoding,
    /// A transfer coding other than `chunked`.
    UnknownCoding,
    /// An `Expect` other than `100-continue` (RFC 9110 §10.1.1).
    Expectation,
    /// A chunk's size line, end or trailer is wrong (RFC 9112 §7.1).
    Chunk,
    /// Chunk extensions and trailer are longer than this.
    ChunkExtraTooLong(usize),
    /// A body of at least so many bytes exceeds the limit.
    BodyTooLong {
        /// Bytes declared so far.
        declared: u64,
        /// Bytes allowed.
        allowed: u64,
    },
}

impl Fault {
    /// The status to refuse with.
    pub const fn status(self) -> Status {
        match self {
            Self::ControlByte(_)
            | Self::BareLf
            | Self::BareCr
            | Self::Folded
            | Self::RequestLine
            | Self::Field
            | Self::Host(_)
            | Self::ContentLength
            | Self::LengthAndEncoding
            | Self::TransferEncoding
            | Self::Chunk
            | Self::ChunkExtraTooLong(_) => Status::BadRequest,
            Self::Version => Status::VersionNotSupported,
            Self::LineTooLong(_) => Status::UriTooLong,
            Self::HeadTooLong(_) | Self::TooManyFields(_) => Status::HeadTooLarge,
            Self::UnknownCoding => Status::NotImplemented,
            Self::Expectation => Status::ExpectationFailed,
            Self::BodyTooLong { .. } => Status::ContentTooLarge,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ControlByte(byte) => write!(f, "control character 0x{byte:02x} in the head"),
            Self::BareLf => f.write_str("line feed without carriage return"),
            Self::BareCr => f.write_str("carriage return without line feed"),
            Self::Folded => f.write_str("header field folded over lines"),
            Self::RequestLine => f.write_str("malformed request line"),
            Self::Field => f.write_str("malformed header field"),
            Self::Version => f.write_str("neither HTTP/1.0 nor HTTP/1.1"),
            Self::LineTooLong(max) => write!(f, "request line exceeds {max} bytes"),
            Self::HeadTooLong(max) => write!(f, "request head exceeds {max} bytes"),
            Self::TooManyFields(max) => write!(f, "more than {max} header fields"),
            Self::Host(count) => write!(f, "{count} host fields instead of one"),
            Self::ContentLength => f.write_str("content-length is not one number"),
            Self::LengthAndEncoding => f.write_str("both content-length and transfer-encoding"),
            Self::TransferEncoding => f.write_str("transfer-encoding not allowed here"),
            Self::UnknownCoding => f.write_str("transfer coding other than chunked"),
            Self::Expectation => f.write_str("expectation other than 100-continue"),
            Self::Chunk => f.write_str("malformed chunk"),
            Self::ChunkExtraTooLong(max) => {
                write!(f, "chunk extensions and trailer exceed {max} bytes")
            }
            Self::BodyTooLong { declared, allowed } => {
                write!(f, "body of {declared} bytes exceeds {allowed}")
            }
        }
    }
}

impl Error for Fault {}
