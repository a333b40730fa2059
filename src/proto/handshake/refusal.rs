//! The answer to a request that does not become a WebSocket: a complete HTTP response with a line of
//! plain text, after which the connection closes. Knows the faults' statuses, not the embedder's rules.

use alloc::borrow::Cow;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;

use super::error::{ComposeError, RequestError};
use super::{field, request::VERSION};

/// A response that refuses an upgrade and closes the connection.
///
/// ```
/// # use sockeye::proto::handshake::Refusal;
/// let refusal = Refusal::new(401, "who are you").header("WWW-Authenticate", "Bearer")?;
/// let mut out = Vec::new();
/// refusal.write(&mut out);
/// assert_eq!(
///     String::from_utf8(out).unwrap(),
///     "HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n\
///      Content-Type: text/plain; charset=utf-8\r\nContent-Length: 11\r\n\
///      WWW-Authenticate: Bearer\r\n\r\nwho are you"
/// );
/// # Ok::<(), sockeye::proto::handshake::ComposeError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    status: u16,
    body: Cow<'static, str>,
    headers: Vec<(Cow<'static, str>, Cow<'static, str>)>,
}

impl Refusal {
    /// A refusal with a status and a body that says why.
    ///
    /// The status is one that refuses and has a body: 300-599 but not 304. Any other is a mistake that
    /// the peer must not see as consent; it is sent as 500.
    pub fn new(status: u16, body: impl Into<Cow<'static, str>>) -> Self {
        let refuses = matches!(status, 300..=599) && status != 304;
        Self { status: if refuses { status } else { 500 }, body: body.into(), headers: Vec::new() }
    }

    /// Adds a header. A `Content-Type` replaces the plain text; `Connection`, `Content-Length` and
    /// `Transfer-Encoding` are the response's own and refused here, as are control characters.
    pub fn header(
        mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<Cow<'static, str>>,
    ) -> Result<Self, ComposeError> {
        let (name, value) = (name.into(), value.into());
        field::check(&name, &value)?;
        if ["connection", "content-length", "transfer-encoding"]
            .iter()
            .any(|own| name.eq_ignore_ascii_case(own))
        {
            return Err(ComposeError::Reserved(String::from(name)));
        }
        self.headers.push((name, value));
        Ok(self)
    }

    /// The status code.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The body: why the upgrade was refused.
    pub fn body(&self) -> &str {
        &self.body
    }

    /// Names and values of the headers that go beyond those of every refusal.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Appends the response. The connection closes after it, and what the peer sends meanwhile is not read.
    pub fn write(&self, out: &mut Vec<u8>) {
        let status = self.status.to_string();
        out.extend_from_slice(b"HTTP/1.1 ");
        out.extend_from_slice(status.as_bytes());
        out.extend_from_slice(b" ");
        out.extend_from_slice(reason_phrase(self.status).as_bytes());
        out.extend_from_slice(b"\r\n");
        // RFC 7230 §6.7: who sends Upgrade names it in Connection.
        let close = if self.has("upgrade") { "close, Upgrade" } else { "close" };
        field::push(out, "Connection", close);
        if !self.has("content-type") {
            field::push(out, "Content-Type", "text/plain; charset=utf-8");
        }
        field::push(out, "Content-Length", &self.body.len().to_string());
        for (name, value) in &self.headers {
            field::push(out, name, value);
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(self.body.as_bytes());
    }

    fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name))
    }
}

impl From<RequestError> for Refusal {
    fn from(error: RequestError) -> Self {
        let mut refusal = Self::new(error.status(), error.to_string());
        let mut add =
            |name, value| refusal.headers.push((Cow::Borrowed(name), Cow::Borrowed(value)));
        match error {
            // RFC 7231 §6.5.5: 405 says what is allowed.
            RequestError::Method => add("Allow", "GET"),
            // RFC 7231 §6.5.15: 426 says what to upgrade to.
            RequestError::NoUpgrade => add("Upgrade", "websocket"),
            // RFC 6455 §4.2.2: and which versions are understood.
            RequestError::Version => {
                add("Upgrade", "websocket");
                add("Sec-WebSocket-Version", VERSION);
            }
            _ => {}
        }
        refusal
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status, self.body)
    }
}

impl core::error::Error for Refusal {}

/// What the registry calls a status; empty, which the grammar allows, for those it does not know.
const fn reason_phrase(status: u16) -> &'static str {
    match status {
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        507 => "Insufficient Storage",
        508 => "Loop Detected",
        511 => "Network Authentication Required",
        _ => "",
    }
}
