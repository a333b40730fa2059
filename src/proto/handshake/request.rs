//! The server's side: a client's request head, read and laid open. Whether it may become a WebSocket is
//! judged in `upgrade`; whose path and origin are welcome is the embedder's affair.

use alloc::vec::Vec;

use super::error::{HeadError, RequestError};
use super::extensions::{Extension, GrammarError, parse_extensions};
use super::head::{Fields, Found, HeadLimits, HeadScan, Opening, judge};
use super::tokens::{elements, has_element};

pub(super) const HOST: &str = "Host";
pub(super) const ORIGIN: &str = "Origin";
pub(super) const UPGRADE: &str = "Upgrade";
pub(super) const CONNECTION: &str = "Connection";
pub(super) const KEY: &str = "Sec-WebSocket-Key";
pub(super) const VERSION_NAME: &str = "Sec-WebSocket-Version";
pub(super) const PROTOCOL: &str = "Sec-WebSocket-Protocol";
pub(super) const EXTENSIONS: &str = "Sec-WebSocket-Extensions";
pub(super) const ACCEPT: &str = "Sec-WebSocket-Accept";

/// §4.1: the one version there is.
pub(super) const VERSION: &str = "13";

/// Reads a request head from bytes that arrive in pieces of any size. Holds no bytes itself and looks at
/// each byte once while the head is incomplete, so a slow peer costs no more than a fast one.
#[derive(Clone, Debug)]
pub struct RequestReader {
    scan: HeadScan,
}

impl RequestReader {
    /// A reader for one head.
    pub fn new(limits: HeadLimits) -> Self {
        Self { scan: HeadScan::new(limits, Opening::Method) }
    }

    /// Looks for a whole head in `head`, which holds all bytes received so far from the start of the
    /// request on and only grows between calls. `None`: more are needed. Once there is a request,
    /// what follows it begins at [`Request::head_len`].
    ///
    /// Allocates one list of headers, when the head is complete.
    ///
    /// ```
    /// # use sockeye::proto::handshake::{HeadLimits, RequestReader};
    /// let mut reader = RequestReader::new(HeadLimits::default());
    /// let bytes = b"GET /chat?room=1 HTTP/1.1\r\nHost: a.example\r\n\r\nmore";
    /// assert!(reader.read(&bytes[..30])?.is_none());
    /// let request = reader.read(bytes)?.unwrap();
    /// assert_eq!((request.path(), request.query()), ("/chat", Some("room=1")));
    /// assert_eq!(request.host(), Some("a.example"));
    /// assert_eq!(&bytes[request.head_len()..], b"more");
    /// # Ok::<(), sockeye::proto::handshake::RequestError>(())
    /// ```
    pub fn read<'b>(&mut self, head: &'b [u8]) -> Result<Option<Request<'b>>, RequestError> {
        match self.scan.find(head)? {
            None => Ok(None),
            Some(found) => Ok(Some(parse(head, found)?)),
        }
    }
}

/// The head of a request. Borrows from the caller's buffer.
#[derive(Clone, Debug)]
pub struct Request<'b> {
    method: &'b str,
    target: &'b str,
    minor_version: u8,
    fields: Fields<'b>,
    head_len: usize,
}

impl<'b> Request<'b> {
    /// A request that somebody else has read, such as an HTTP server that embeds this one.
    /// `minor_version` is the 1 of HTTP/1.1. Allocates one list of headers.
    pub fn from_parts(
        method: &'b str,
        target: &'b str,
        minor_version: u8,
        headers: impl IntoIterator<Item = (&'b str, &'b [u8])>,
    ) -> Self {
        let fields =
            headers.into_iter().map(|(name, value)| httparse::Header { name, value }).collect();
        Self { method, target, minor_version, fields: Fields(fields), head_len: 0 }
    }

    /// The method, in the case it came.
    pub fn method(&self) -> &'b str {
        self.method
    }

    /// The target as it came: for most requests a path and perhaps a query.
    pub fn target(&self) -> &'b str {
        self.target
    }

    /// The 1 of HTTP/1.1.
    pub fn minor_version(&self) -> u8 {
        self.minor_version
    }

    /// Bytes of the head, blank line included: where the body, or the first frame, begins. 0 for a
    /// request made [from parts](Request::from_parts).
    pub fn head_len(&self) -> usize {
        self.head_len
    }

    /// The target's path, still percent-encoded. `/` where an absolute URI has none.
    pub fn path(&self) -> &'b str {
        let whole = self.path_and_query();
        match whole.split_once('?') {
            Some(("", _)) => "/",
            None if whole.is_empty() => "/",
            Some((path, _)) => path,
            None => whole,
        }
    }

    /// What follows the first `?` of the target, still percent-encoded.
    pub fn query(&self) -> Option<&'b str> {
        self.path_and_query().split_once('?').map(|(_, query)| query)
    }

    /// Names and values of all header fields, in order.
    pub fn headers(&self) -> impl Iterator<Item = (&'b str, &'b [u8])> {
        self.fields.iter()
    }

    /// The values of the header fields of that name, in any case, in order.
    pub fn header(&self, name: &str) -> impl Iterator<Item = &'b [u8]> {
        self.fields.all(name)
    }

    /// The (first) `Host`: which server the client means. A request that passes
    /// [`upgrade`](Request::upgrade) has exactly one.
    pub fn host(&self) -> Option<&'b str> {
        self.text(HOST)
    }

    /// The (first) `Origin`: which site's page asks, if a browser does. To be judged only on a request
    /// that passes [`upgrade`](Request::upgrade), which has at most one and it is text.
    pub fn origin(&self) -> Option<&'b str> {
        self.text(ORIGIN)
    }

    /// Whether the client asks for a WebSocket, well or badly: what a server that also serves pages
    /// asks first.
    pub fn wants_websocket(&self) -> bool {
        has_element(self.header(UPGRADE), "websocket")
    }

    /// The subprotocols that the client offers, most wanted first, as they came.
    pub fn subprotocols(&self) -> impl Iterator<Item = &'b [u8]> {
        elements(self.header(PROTOCOL))
    }

    /// The extensions that the client offers, most wanted first. Allocates their lists.
    pub fn extensions(&self) -> Result<Vec<Extension<'b>>, GrammarError> {
        parse_extensions(self.header(EXTENSIONS))
    }

    pub(super) fn fields(&self) -> &Fields<'b> {
        &self.fields
    }

    fn text(&self, name: &str) -> Option<&'b str> {
        self.header(name).next().and_then(|value| core::str::from_utf8(value).ok())
    }

    /// The target without scheme and authority, which a client may send too (RFC 7230 §5.3.2).
    fn path_and_query(&self) -> &'b str {
        if self.target.starts_with('/') {
            return self.target;
        }
        match self.target.split_once("://") {
            Some((_, rest)) => {
                rest.find(['/', '?']).and_then(|at| rest.get(at..)).unwrap_or_default()
            }
            None => self.target,
        }
    }
}

fn parse(bytes: &[u8], found: Found) -> Result<Request<'_>, HeadError> {
    let head = bytes.get(found.start..found.end).unwrap_or_default();
    let mut fields = Fields::room(found.headers);
    let mut parsed = httparse::Request::new(&mut fields.0);
    judge(parsed.parse(head), head.len())?;
    let (Some(method), Some(target), Some(minor_version)) =
        (parsed.method, parsed.path, parsed.version)
    else {
        return Err(HeadError::StartLine);
    };
    Ok(Request { method, target, minor_version, fields, head_len: found.end })
}
