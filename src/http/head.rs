//! A request's head, laid open. Only heads that were judged sound become one.

use super::fault::Fault;
use super::framing::{Framing, Judgement, has_element, judge, values};
use super::limits::Limits;
use super::response::Answer;
use super::scan::Found;

/// The head of a request; borrows from the caller's bytes.
#[derive(Clone, Debug)]
pub struct Head<'b> {
    method: &'b str,
    target: &'b str,
    minor: u8,
    fields: Vec<httparse::Header<'b>>,
    raw: &'b [u8],
    judgement: Judgement,
}

impl<'b> Head<'b> {
    pub(super) fn parse(bytes: &'b [u8], found: Found, limits: &Limits) -> Result<Self, Fault> {
        let raw = bytes.get(found.start..found.end).unwrap_or_default();
        let mut fields = vec![httparse::EMPTY_HEADER; found.fields];
        let mut request = httparse::Request::new(&mut fields);
        match request.parse(raw) {
            Ok(httparse::Status::Complete(used)) if used == raw.len() => {}
            Ok(_) => return Err(Fault::RequestLine),
            Err(error) => {
                return Err(match error {
                    httparse::Error::Version => Fault::Version,
                    httparse::Error::HeaderName | httparse::Error::HeaderValue => Fault::Field,
                    _ => Fault::RequestLine,
                });
            }
        }
        let (Some(method), Some(target), Some(minor)) =
            (request.method, request.path, request.version)
        else {
            return Err(Fault::RequestLine);
        };
        let judgement = judge(&fields, minor, limits)?;
        Ok(Self { method, target, minor, fields, raw, judgement })
    }

    /// `GET`, as it was sent: methods know upper from lower case.
    pub fn method(&self) -> &'b str {
        self.method
    }

    /// What was asked for, as it was sent.
    pub fn target(&self) -> &'b str {
        self.target
    }

    /// The target's path, not decoded; `/` if it has none. An absolute target's host is left out.
    pub fn path(&self) -> &'b str {
        let (path, _) = self.path_and_query();
        if path.is_empty() { "/" } else { path }
    }

    /// What follows the target's `?`, not decoded.
    pub fn query(&self) -> Option<&'b str> {
        self.path_and_query().1
    }

    /// 1 for HTTP/1.1, 0 for HTTP/1.0.
    pub fn minor(&self) -> u8 {
        self.minor
    }

    /// The value of the first field of this name, whatever its case, without the space around it.
    pub fn field(&self, name: &str) -> Option<&'b [u8]> {
        values(&self.fields, name).next()
    }

    /// All fields in their order.
    pub fn fields(&self) -> impl Iterator<Item = (&'b str, &'b [u8])> + '_ {
        self.fields.iter().map(|it| (it.name, it.value))
    }

    /// The head's bytes, blank line included.
    pub fn raw(&self) -> &'b [u8] {
        self.raw
    }

    /// How long the body is.
    pub fn framing(&self) -> Framing {
        self.judgement.framing
    }

    /// Whether the client waits for [`CONTINUE`](super::CONTINUE), or a refusal, before it sends the body.
    pub fn expects_continue(&self) -> bool {
        self.judgement.expects_continue
    }

    /// What a response must know of its request. Copy it, and answer when there is an answer.
    pub fn answer(&self) -> Answer {
        Answer::new(self.method == "HEAD", self.judgement.keep_alive, self.minor)
    }

    /// Whether this asks to go on in another protocol: HTTP/1.1, `Connection: upgrade`, the protocol
    /// named in `Upgrade`, and no body, whose bytes could be taken for the other protocol's.
    pub fn upgrades_to(&self, protocol: &str) -> bool {
        self.minor > 0
            && self.judgement.framing == Framing::None
            && has_element(&self.fields, "connection", "upgrade")
            && has_element(&self.fields, "upgrade", protocol)
    }

    fn path_and_query(&self) -> (&'b str, Option<&'b str>) {
        // RFC 9112 §3.2.2: a server takes the absolute form too, though only proxies are sent it.
        let absolute = self.target.split_once("://").filter(|(scheme, _)| {
            scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
        });
        let local = match absolute {
            Some((_, rest)) => {
                rest.find(['/', '?']).and_then(|at| rest.get(at..)).unwrap_or_default()
            }
            None => self.target,
        };
        match local.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (local, None),
        }
    }
}
