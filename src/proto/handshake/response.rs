//! The client's side of RFC 6455 section 4.1, second half: the server's answer, judged by what was asked.
//! Reads heads only: the body of a refusal is the caller's to collect.

use alloc::string::String;
use alloc::vec::Vec;

use super::client_request::ClientRequest;
use super::error::{HeadError, Refused, ResponseError};
use super::extensions::{Extension, parse_extensions};
use super::head::{Fields, Found, HeadLimits, HeadScan, Opening, judge};
use super::key::accept_key;
use super::request::{ACCEPT, CONNECTION, EXTENSIONS, PROTOCOL, UPGRADE};
use super::tokens::has_element;
#[cfg(feature = "deflate")]
use crate::proto::deflate::{Deflate, EXTENSION, NegotiationError, Params};

/// Reads the answer to a [`ClientRequest`] from bytes that arrive in pieces of any size. Holds no bytes
/// itself and looks at each byte once while the head is incomplete.
#[derive(Clone, Debug)]
pub struct ResponseReader<'r> {
    scan: HeadScan,
    request: &'r ClientRequest<'r>,
}

impl<'r> ResponseReader<'r> {
    /// A reader for the answer to `request`.
    pub fn new(request: &'r ClientRequest<'r>, limits: HeadLimits) -> Self {
        Self { scan: HeadScan::new(limits, Opening::Status), request }
    }

    /// Looks for the whole answer in `head`, which holds all bytes received so far and only grows
    /// between calls. `None`: more are needed. Once there is a response, frames begin at
    /// [`Response::head_len`].
    ///
    /// Interim responses (1xx other than 101: RFC 7231 §6.2 lets any number come first) are passed over;
    /// the limit on bytes covers them and the answer together.
    ///
    /// ```
    /// # use sockeye::proto::handshake::{ClientRequest, HeadLimits, ResponseError, ResponseReader};
    /// let request = ClientRequest::new("example.com", "/", *b"the sample nonce");
    /// let answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nshut";
    /// let mut reader = ResponseReader::new(&request, HeadLimits::default());
    /// let Err(ResponseError::Refused(refused)) = reader.read(answer) else { panic!() };
    /// assert_eq!(refused.to_string(), "upgrade refused with 403 Forbidden");
    /// assert_eq!(&answer[refused.head_len..], b"shut");
    /// ```
    pub fn read<'b>(&mut self, head: &'b [u8]) -> Result<Option<Response<'b>>, ResponseError> {
        while let Some(found) = self.scan.find(head)? {
            let parsed = parse(head, found)?;
            match parsed.status {
                101 => return judge_101(parsed, self.request).map(Some),
                100..=199 => self.scan.restart(),
                _ => return Err(ResponseError::Refused(refused(&parsed))),
            }
        }
        Ok(None)
    }
}

/// The 101 that opened a WebSocket. Borrows from the caller's buffer.
#[derive(Clone, Debug)]
pub struct Response<'b> {
    head_len: usize,
    subprotocol: Option<&'b str>,
    extensions: Vec<Extension<'b>>,
    fields: Fields<'b>,
}

impl<'b> Response<'b> {
    /// Bytes of the head, and of interim responses before it: where the first frame begins.
    pub fn head_len(&self) -> usize {
        self.head_len
    }

    /// The subprotocol that the server chose, which is one of those offered. `None` is legal even where
    /// some were; a client that needs one closes then.
    pub fn subprotocol(&self) -> Option<&'b str> {
        self.subprotocol
    }

    /// The extensions that the server chose, each by a name that was offered. Whether their parameters
    /// fit the offer is the extension's affair.
    pub fn extensions(&self) -> &[Extension<'b>] {
        &self.extensions
    }

    /// What the server agreed to of the permessage-deflate that this policy
    /// [offered](Deflate::offer), for
    /// [`Connection::enable_deflate`](crate::proto::Connection::enable_deflate). `None`: it declined.
    ///
    /// # Errors
    ///
    /// An answer that RFC 7692 §7.1 does not allow; the client fails the connection.
    #[cfg(feature = "deflate")]
    pub fn deflate(&self, policy: &Deflate) -> Result<Option<Params>, NegotiationError> {
        let mut answers = self.extensions.iter().filter(|answer| answer.name == EXTENSION);
        let Some(answer) = answers.next() else {
            return Ok(None);
        };
        // RFC 7692 §7.1: one offer is accepted, not two.
        if answers.next().is_some() {
            return Err(NegotiationError::Repeated(EXTENSION));
        }
        policy.agree(answer.pairs()).map(Some)
    }

    /// Names and values of all header fields, in order.
    pub fn headers(&self) -> impl Iterator<Item = (&'b str, &'b [u8])> {
        self.fields.iter()
    }

    /// The values of the header fields of that name, in any case, in order.
    pub fn header(&self, name: &str) -> impl Iterator<Item = &'b [u8]> {
        self.fields.all(name)
    }
}

struct Parsed<'b> {
    status: u16,
    reason: &'b str,
    minor_version: u8,
    fields: Fields<'b>,
    head_len: usize,
}

fn parse(bytes: &[u8], found: Found) -> Result<Parsed<'_>, HeadError> {
    let head = bytes.get(found.start..found.end).unwrap_or_default();
    let mut fields = Fields::room(found.headers);
    let mut parsed = httparse::Response::new(&mut fields.0);
    judge(parsed.parse(head), head.len())?;
    let (Some(status), Some(minor_version)) = (parsed.code, parsed.version) else {
        return Err(HeadError::StartLine);
    };
    // RFC 7231 §6: the first digit is the class, of which there are five.
    if !matches!(status, 100..=599) {
        return Err(HeadError::StartLine);
    }
    Ok(Parsed {
        status,
        reason: parsed.reason.unwrap_or_default(),
        minor_version,
        fields,
        head_len: found.end,
    })
}

/// §4.1, the client's checks of the server's handshake, in its order.
fn judge_101<'b>(
    parsed: Parsed<'b>,
    request: &ClientRequest<'_>,
) -> Result<Response<'b>, ResponseError> {
    let fields = &parsed.fields;
    let once = |name| fields.one(name).map_err(ResponseError::Duplicate);
    if parsed.minor_version < 1 {
        return Err(ResponseError::HttpVersion(parsed.minor_version));
    }
    // A match of the value, not a list: the server has switched to one protocol.
    if !once(UPGRADE)?.is_some_and(|value| value.eq_ignore_ascii_case(b"websocket")) {
        return Err(ResponseError::Upgrade);
    }
    if !has_element(fields.all(CONNECTION), "upgrade") {
        return Err(ResponseError::Connection);
    }
    let accept = once(ACCEPT)?.ok_or(ResponseError::MissingAccept)?;
    if accept != accept_key(request.key().as_str()).as_str().as_bytes() {
        return Err(ResponseError::WrongAccept);
    }
    let extensions = parse_extensions(fields.all(EXTENSIONS)).map_err(ResponseError::Extensions)?;
    check_offered(&extensions, request)?;
    let subprotocol = match once(PROTOCOL)? {
        None => None,
        Some(value) => Some(chosen(value, request)?),
    };
    Ok(Response { head_len: parsed.head_len, subprotocol, extensions, fields: parsed.fields })
}

fn check_offered(
    extensions: &[Extension<'_>],
    request: &ClientRequest<'_>,
) -> Result<(), ResponseError> {
    let offer = request.extensions.map(str::as_bytes);
    // An offer that cannot be read was never sent: then nothing was offered.
    let offered = parse_extensions(offer).unwrap_or_default();
    match extensions.iter().find(|extension| !offered.iter().any(|it| it.name == extension.name)) {
        None => Ok(()),
        Some(extension) => Err(ResponseError::UnofferedExtension(String::from(extension.name))),
    }
}

fn chosen<'b>(value: &'b [u8], request: &ClientRequest<'_>) -> Result<&'b str, ResponseError> {
    core::str::from_utf8(value).ok().filter(|name| request.subprotocols.contains(name)).ok_or_else(
        || ResponseError::UnofferedSubprotocol(String::from_utf8_lossy(value).into_owned()),
    )
}

fn refused(parsed: &Parsed<'_>) -> Refused {
    Refused {
        status: parsed.status,
        reason: String::from(parsed.reason),
        headers: parsed
            .fields
            .iter()
            .map(|(name, value)| (String::from(name), value.to_vec()))
            .collect(),
        head_len: parsed.head_len,
    }
}
