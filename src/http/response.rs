//! Responses, appended to the caller's bytes. What a value cannot carry without splitting the response is
//! not let through.

use super::fault::Fault;

/// The interim response that lets a client send its body (RFC 9110 §10.1.1).
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// What a response must know of its request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answer {
    head_only: bool,
    keep_alive: bool,
    minor: u8,
}

impl Answer {
    pub(super) const fn new(head_only: bool, keep_alive: bool, minor: u8) -> Self {
        Self { head_only, keep_alive, minor }
    }

    /// An answer to what could not be understood: it closes.
    pub const fn to_nothing() -> Self {
        Self::new(false, false, 1)
    }

    /// The same, but the connection ends after it.
    #[must_use]
    pub const fn closing(self) -> Self {
        Self { keep_alive: false, ..self }
    }

    /// The same to `HEAD`: without the body.
    #[must_use]
    pub const fn to_head(self) -> Self {
        Self { head_only: true, ..self }
    }

    /// Whether the connection goes on after it.
    pub const fn keep_alive(self) -> bool {
        self.keep_alive
    }

    /// Whether it answers `HEAD`: as to `GET`, but without the body.
    pub const fn head_only(self) -> bool {
        self.head_only
    }
}

/// The statuses that are used here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
#[non_exhaustive]
#[expect(missing_docs, reason = "RFC 9110 §15 says what they mean; `reason` says their names")]
pub enum Status {
    Ok = 200,
    Created = 201,
    Accepted = 202,
    NoContent = 204,
    NotModified = 304,
    BadRequest = 400,
    Unauthorized = 401,
    Forbidden = 403,
    NotFound = 404,
    MethodNotAllowed = 405,
    RequestTimeout = 408,
    Conflict = 409,
    ContentTooLarge = 413,
    UriTooLong = 414,
    ExpectationFailed = 417,
    UpgradeRequired = 426,
    TooManyRequests = 429,
    HeadTooLarge = 431,
    InternalError = 500,
    NotImplemented = 501,
    Unavailable = 503,
    VersionNotSupported = 505,
}

impl Status {
    /// Its number.
    pub const fn code(self) -> u16 {
        self as u16
    }

    /// Its name.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Created => "Created",
            Self::Accepted => "Accepted",
            Self::NoContent => "No Content",
            Self::NotModified => "Not Modified",
            Self::BadRequest => "Bad Request",
            Self::Unauthorized => "Unauthorized",
            Self::Forbidden => "Forbidden",
            Self::NotFound => "Not Found",
            Self::MethodNotAllowed => "Method Not Allowed",
            Self::RequestTimeout => "Request Timeout",
            Self::Conflict => "Conflict",
            Self::ContentTooLarge => "Content Too Large",
            Self::UriTooLong => "URI Too Long",
            Self::ExpectationFailed => "Expectation Failed",
            Self::UpgradeRequired => "Upgrade Required",
            Self::TooManyRequests => "Too Many Requests",
            Self::HeadTooLarge => "Request Header Fields Too Large",
            Self::InternalError => "Internal Server Error",
            Self::NotImplemented => "Not Implemented",
            Self::Unavailable => "Service Unavailable",
            Self::VersionNotSupported => "HTTP Version Not Supported",
        }
    }

    /// RFC 9110 §15.3.5, §15.4.5: these have neither body nor length.
    const fn is_bare(self) -> bool {
        matches!(self, Self::NoContent | Self::NotModified)
    }
}

/// A response being written. Ends with `body`, `body_apart` or `empty`.
///
/// ```
/// # use sockeye::http::{Answer, Reply, Status};
/// let mut out = Vec::new();
/// Reply::new(&mut out, Answer::to_nothing(), Status::Unavailable)
///     .field("Retry-After", "5")
///     .body("text/plain", b"full\n");
/// assert_eq!(out, b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 5\r\n\
///     Content-Type: text/plain\r\nContent-Length: 5\r\n\r\nfull\n");
/// ```
#[derive(Debug)]
#[must_use = "a response without its end is not one"]
pub struct Reply<'o> {
    out: &'o mut Vec<u8>,
    answer: Answer,
    status: Status,
}

impl<'o> Reply<'o> {
    /// Begins a response at the end of `out`.
    pub fn new(out: &'o mut Vec<u8>, answer: Answer, status: Status) -> Self {
        let line = format!("HTTP/1.1 {} {}\r\n", status.code(), status.reason());
        out.extend_from_slice(line.as_bytes());
        let reply = Self { out, answer, status };
        // RFC 9112 §9.3: HTTP/1.1 goes on unless someone says close, HTTP/1.0 the other way round.
        match (answer.keep_alive, answer.minor) {
            (false, _) => reply.field("Connection", "close"),
            (true, 0) => reply.field("Connection", "keep-alive"),
            (true, _) => reply,
        }
    }

    /// Adds a field. Control characters of the value become spaces, as RFC 9110 §5.5 asks of who meets
    /// them; those of the name, and what else no name has, are left out.
    pub fn field(self, name: &str, value: &str) -> Self {
        self.out.extend(name.bytes().filter(|&it| super::scan::is_tchar(it)));
        // One space, as there are clients that look for it.
        self.out.extend_from_slice(b": ");
        self.out.extend(value.bytes().map(|it| match it {
            0..=8 | 10..=31 | 127 => b' ',
            _ => it,
        }));
        self.out.extend_from_slice(b"\r\n");
        self
    }

    /// Ends the response with this body; answering `HEAD`, with its length only.
    pub fn body(self, content_type: &str, bytes: &[u8]) {
        let bare = self.status.is_bare();
        let reply = if bare { self } else { self.field("Content-Type", content_type) };
        let (out, follows) = reply.end(bytes.len());
        if follows {
            out.extend_from_slice(bytes);
        }
    }

    /// Ends the head of a response whose body the caller sends itself, from wherever it is. True if it is to
    /// be sent: not when answering `HEAD`.
    pub fn body_apart(self, content_type: &str, len: usize) -> bool {
        let bare = self.status.is_bare();
        let reply = if bare { self } else { self.field("Content-Type", content_type) };
        reply.end(len).1
    }

    /// Ends the response without a body.
    pub fn empty(self) {
        self.end(0);
    }

    fn end(self, len: usize) -> (&'o mut Vec<u8>, bool) {
        let (answer, status) = (self.answer, self.status);
        let reply =
            if status.is_bare() { self } else { self.field("Content-Length", &len.to_string()) };
        reply.out.extend_from_slice(b"\r\n");
        (reply.out, !answer.head_only && !status.is_bare())
    }
}

/// Says what was wrong with a request. The connection is to be closed after it.
pub fn refuse(out: &mut Vec<u8>, fault: Fault) {
    let text = format!("{fault}\n");
    Reply::new(out, Answer::to_nothing(), fault.status())
        .body("text/plain; charset=utf-8", text.as_bytes());
}
