//! What can be wrong with a handshake, told by whose fault it is: [`RequestError`] and
//! [`ResponseError`] are the peer's (both build on [`HeadError`]), [`ComposeError`] is the caller's.
//! Decides nothing; the status that answers a fault stands beside it.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::extensions::GrammarError;

/// The bytes are not an HTTP/1.x head that this endpoint reads. `at` counts bytes from the buffer's start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum HeadError {
    /// No head begins so: a TLS hello, for one.
    NotHttp {
        /// Where.
        at: usize,
        /// What stands there.
        byte: u8,
    },
    /// A line that ends in LF without CR.
    BareLf {
        /// Where the LF stands.
        at: usize,
    },
    /// A CR without LF.
    BareCr {
        /// Where the CR stands.
        at: usize,
    },
    /// A zero byte.
    Nul {
        /// Where it stands.
        at: usize,
    },
    /// A header line that begins with white space (RFC 7230 §3.2.4).
    Folded {
        /// Where the line begins.
        at: usize,
    },
    /// More than [`HeadLimits::head_bytes_max`](super::HeadLimits::head_bytes_max).
    TooLong {
        /// The limit, in bytes.
        limit: usize,
    },
    /// More than [`HeadLimits::headers_max`](super::HeadLimits::headers_max).
    TooManyHeaders {
        /// The limit, in lines.
        limit: usize,
    },
    /// A start line that is not one.
    StartLine,
    /// A version other than HTTP/1.0 and HTTP/1.1.
    Version,
    /// A header's name that is not a token directly followed by a colon.
    HeaderName,
    /// A control character in a header's value.
    HeaderValue,
    /// Line ends where none belong.
    Malformed,
}

/// Why a request does not become a WebSocket. Each has a status ([`RequestError::status`]) and becomes
/// a [`Refusal`](super::Refusal) by `into()`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum RequestError {
    /// The head cannot be read.
    Head(HeadError),
    /// A method other than GET.
    Method,
    /// HTTP before 1.1. Carries the minor version.
    HttpVersion(u8),
    /// A target that is neither a path nor an absolute URI, or that has a fragment (§3).
    Target,
    /// No such header.
    Missing(&'static str),
    /// A header that may stand once stands more often.
    Duplicate(&'static str),
    /// A `Host` that names no host.
    Host,
    /// An `Origin` that is not text.
    Origin,
    /// No `Upgrade` header: an ordinary request, in the wrong place.
    NoUpgrade,
    /// An upgrade to something else.
    OtherUpgrade,
    /// A `Connection` header that does not say `Upgrade`.
    Connection,
    /// No version 13 in `Sec-WebSocket-Version`.
    Version,
    /// A key that is not base64 of 16 bytes. Carries its length, which should be 24.
    Key(usize),
    /// A subprotocol that is not a token, or a list of none.
    Subprotocol,
    /// A subprotocol that is offered twice (§4.1).
    DuplicateSubprotocol,
    /// Extensions that are not a list of extensions.
    Extensions(GrammarError),
    /// A body, which could not be told from frames.
    Body,
    /// A `Content-Length` that is not a number.
    ContentLength,
}

impl RequestError {
    /// The status that answers it.
    pub const fn status(&self) -> u16 {
        match self {
            Self::Head(HeadError::TooLong { .. } | HeadError::TooManyHeaders { .. }) => 431,
            Self::Head(HeadError::Version) | Self::HttpVersion(_) => 505,
            Self::Method => 405,
            Self::NoUpgrade | Self::Version => 426,
            Self::Body => 413,
            _ => 400,
        }
    }
}

/// Why a response does not open a WebSocket (RFC 6455 §4.1). The client fails the connection.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ResponseError {
    /// The head cannot be read.
    Head(HeadError),
    /// The server answered with something other than 101.
    Refused(Refused),
    /// 101 in a version before HTTP/1.1. Carries the minor version.
    HttpVersion(u8),
    /// No `Upgrade: websocket`.
    Upgrade,
    /// A `Connection` header that does not say `Upgrade`.
    Connection,
    /// No `Sec-WebSocket-Accept`.
    MissingAccept,
    /// A `Sec-WebSocket-Accept` that does not belong to the key that was sent.
    WrongAccept,
    /// A header that may stand once stands more often.
    Duplicate(&'static str),
    /// A subprotocol that was not offered. Carries it.
    UnofferedSubprotocol(String),
    /// An extension that was not offered. Carries its name.
    UnofferedExtension(String),
    /// Extensions that are not a list of extensions.
    Extensions(GrammarError),
}

/// The head of a response that refuses the upgrade: a redirect, a demand to log in, an error page. The
/// body, if the caller wants it, begins at `head_len`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    /// The status code.
    pub status: u16,
    /// The reason phrase, which may be empty.
    pub reason: String,
    /// Names and values of the header fields, in order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Bytes of the head, and of interim responses before it.
    pub head_len: usize,
}

impl Refused {
    /// The value of the first header of that name, in any case, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .and_then(|(_, value)| core::str::from_utf8(value).ok())
    }

    /// Bytes of body that are declared, if that is a number and said once. Declared by the server: limit
    /// by it, never reserve by it. `None` also where the body comes in chunks or ends with the connection.
    pub fn content_length(&self) -> Option<u64> {
        if self.header("transfer-encoding").is_some() {
            return None;
        }
        let mut lengths =
            self.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        let (_, value) = lengths.next()?;
        if lengths.next().is_some() {
            return None;
        }
        parse_length(value)
    }
}

/// What the caller asked to write would not be a handshake. Nothing was written.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ComposeError {
    /// A host that could not stand in a `Host` header.
    Host(String),
    /// A target that is not a path, or has spaces, controls, a fragment or characters that are not ASCII.
    Target(String),
    /// A header's name that is not a token.
    HeaderName(String),
    /// A control character in a value. Carries the header's name.
    HeaderValue(String),
    /// A header that the handshake itself writes.
    Reserved(String),
    /// A subprotocol that is not a token.
    Subprotocol(String),
    /// A subprotocol that is offered twice.
    DuplicateSubprotocol(String),
    /// A subprotocol that the client did not offer.
    UnofferedSubprotocol(String),
    /// An extension that the client did not offer.
    UnofferedExtension(String),
    /// An extension list that is not one.
    Extensions(GrammarError),
}

/// Digits and nothing else, that fit.
pub(super) fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    core::str::from_utf8(value).ok()?.parse().ok()
}

impl From<HeadError> for RequestError {
    fn from(error: HeadError) -> Self {
        Self::Head(error)
    }
}

impl From<HeadError> for ResponseError {
    fn from(error: HeadError) -> Self {
        Self::Head(error)
    }
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NotHttp { at, byte } => {
                write!(f, "no HTTP/1.1 head has {byte:#04x} at byte {at}")
            }
            Self::BareLf { at } => write!(f, "LF without CR at byte {at}"),
            Self::BareCr { at } => write!(f, "CR without LF at byte {at}"),
            Self::Nul { at } => write!(f, "zero byte in the head at byte {at}"),
            Self::Folded { at } => write!(f, "folded header line at byte {at}"),
            Self::TooLong { limit } => write!(f, "head exceeds {limit} bytes"),
            Self::TooManyHeaders { limit } => write!(f, "head exceeds {limit} header lines"),
            Self::StartLine => f.write_str("malformed start line"),
            Self::Version => f.write_str("neither HTTP/1.1 nor HTTP/1.0"),
            Self::HeaderName => f.write_str("malformed header name"),
            Self::HeaderValue => f.write_str("malformed header value"),
            Self::Malformed => f.write_str("malformed head"),
        }
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Head(error) => error.fmt(f),
            Self::Method => f.write_str("method is not GET"),
            Self::HttpVersion(minor) => write!(f, "HTTP/1.{minor} is older than HTTP/1.1"),
            Self::Target => f.write_str("target is neither a path nor an absolute URI"),
            Self::Missing(name) => write!(f, "no {name} header"),
            Self::Duplicate(name) => write!(f, "more than one {name} header"),
            Self::Host => f.write_str("invalid Host header"),
            Self::Origin => f.write_str("invalid Origin header"),
            Self::NoUpgrade => f.write_str("only WebSocket is spoken here: no Upgrade header"),
            Self::OtherUpgrade => f.write_str("Upgrade header without websocket"),
            Self::Connection => f.write_str("Connection header without Upgrade"),
            Self::Version => f.write_str("Sec-WebSocket-Version header is not 13"),
            Self::Key(len) => {
                write!(f, "Sec-WebSocket-Key of {len} characters is not base64 of 16 bytes")
            }
            Self::Subprotocol => f.write_str("invalid Sec-WebSocket-Protocol header"),
            Self::DuplicateSubprotocol => f.write_str("a subprotocol is offered twice"),
            Self::Extensions(error) => {
                write!(f, "invalid Sec-WebSocket-Extensions header: {error}")
            }
            Self::Body => f.write_str("an upgrade has no body, this request has one"),
            Self::ContentLength => f.write_str("invalid Content-Length header"),
        }
    }
}

impl fmt::Display for ResponseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head(error) => error.fmt(f),
            Self::Refused(refused) => refused.fmt(f),
            Self::HttpVersion(minor) => write!(f, "101 in HTTP/1.{minor}, older than HTTP/1.1"),
            Self::Upgrade => f.write_str("101 without Upgrade: websocket"),
            Self::Connection => f.write_str("101 without Connection: Upgrade"),
            Self::MissingAccept => f.write_str("101 without Sec-WebSocket-Accept"),
            Self::WrongAccept => {
                f.write_str("Sec-WebSocket-Accept does not belong to the key that was sent")
            }
            Self::Duplicate(name) => write!(f, "more than one {name} header"),
            Self::UnofferedSubprotocol(name) => {
                write!(f, "subprotocol {name:?} chosen, which was not offered")
            }
            Self::UnofferedExtension(name) => {
                write!(f, "extension {name:?} chosen, which was not offered")
            }
            Self::Extensions(error) => {
                write!(f, "invalid Sec-WebSocket-Extensions header: {error}")
            }
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "upgrade refused with {}", self.status)?;
        if !self.reason.is_empty() {
            write!(f, " {}", self.reason)?;
        }
        Ok(())
    }
}

impl fmt::Display for ComposeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => write!(f, "invalid host {host:?}"),
            Self::Target(target) => write!(f, "invalid request target {target:?}"),
            Self::HeaderName(name) => write!(f, "invalid header name {name:?}"),
            Self::HeaderValue(name) => write!(f, "control character in the value of {name}"),
            Self::Reserved(name) => write!(f, "{name} is written by the handshake itself"),
            Self::Subprotocol(name) => write!(f, "subprotocol {name:?} is not a token"),
            Self::DuplicateSubprotocol(name) => write!(f, "subprotocol {name:?} offered twice"),
            Self::UnofferedSubprotocol(name) => {
                write!(f, "subprotocol {name:?} was not offered by the client")
            }
            Self::UnofferedExtension(name) => {
                write!(f, "extension {name:?} was not offered by the client")
            }
            Self::Extensions(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for HeadError {}
impl core::error::Error for RequestError {}
impl core::error::Error for ResponseError {}
impl core::error::Error for ComposeError {}
