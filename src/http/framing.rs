//! What the fields of a head say about its body and its connection. Everything that two servers might read
//! differently is refused here.

use super::fault::Fault;
use super::limits::Limits;

/// How long the body is (RFC 9112 §6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Framing {
    /// There is none.
    None,
    /// So many bytes.
    Length(u64),
    /// As many as its chunks say.
    Chunked,
}

/// What the message fields add up to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judgement {
    pub(super) framing: Framing,
    pub(super) keep_alive: bool,
    pub(super) expects_continue: bool,
}

pub(super) fn judge(
    fields: &[httparse::Header<'_>],
    minor: u8,
    limits: &Limits,
) -> Result<Judgement, Fault> {
    // RFC 9112 §3.2: exactly one Host in HTTP/1.1; HTTP/1.0 knows none.
    let hosts = values(fields, "host").count();
    if hosts > 1 || (hosts == 0 && minor > 0) {
        return Err(Fault::Host(hosts));
    }
    let framing = framing(fields, minor, limits)?;
    let close = has_element(fields, "connection", "close");
    let keep = minor > 0 || has_element(fields, "connection", "keep-alive");
    let mut expects_continue = false;
    for value in values(fields, "expect") {
        if !value.eq_ignore_ascii_case(b"100-continue") {
            return Err(Fault::Expectation);
        }
        // RFC 9110 §10.1.1: of HTTP/1.0 it is to be ignored; without a body nothing waits.
        expects_continue = minor > 0 && framing != Framing::None;
    }
    Ok(Judgement { framing, keep_alive: keep && !close, expects_continue })
}

fn framing(fields: &[httparse::Header<'_>], minor: u8, limits: &Limits) -> Result<Framing, Fault> {
    let mut lengths = values(fields, "content-length");
    let mut codings = values(fields, "transfer-encoding");
    match (codings.next(), lengths.next()) {
        (None, None) => Ok(Framing::None),
        // RFC 9112 §6.1 lets a server choose one; refusing leaves nothing to disagree about.
        (Some(_), Some(_)) => Err(Fault::LengthAndEncoding),
        (Some(coding), None) => {
            if minor == 0 || codings.next().is_some() {
                return Err(Fault::TransferEncoding);
            }
            if coding.eq_ignore_ascii_case(b"chunked") {
                return Ok(Framing::Chunked);
            }
            let mut elements = coding.split(|&it| it == b',').map(<[u8]>::trim_ascii);
            let chunked = |it: &[u8]| it.eq_ignore_ascii_case(b"chunked");
            let last = elements.next_back().is_some_and(chunked);
            // §6.1: chunked comes once, and last, or the length is anyone's guess.
            if !last || elements.any(chunked) {
                return Err(Fault::TransferEncoding);
            }
            Err(Fault::UnknownCoding)
        }
        (None, Some(length)) => {
            // Two equal ones are tolerated by some and joined by others: refused too.
            if lengths.next().is_some() {
                return Err(Fault::ContentLength);
            }
            let digits = !length.is_empty() && length.iter().all(u8::is_ascii_digit);
            let length = std::str::from_utf8(length).ok().filter(|_| digits);
            let Some(declared) = length.and_then(|it| it.parse::<u64>().ok()) else {
                return Err(Fault::ContentLength);
            };
            if declared > limits.body_bytes_max {
                return Err(Fault::BodyTooLong { declared, allowed: limits.body_bytes_max });
            }
            Ok(if declared == 0 { Framing::None } else { Framing::Length(declared) })
        }
    }
}

/// The values of all fields of this name, without the space around them.
pub(super) fn values<'h, 'b>(
    fields: &'h [httparse::Header<'b>],
    name: &'h str,
) -> impl Iterator<Item = &'b [u8]> + 'h {
    fields
        .iter()
        .filter(move |it| it.name.eq_ignore_ascii_case(name))
        .map(|it| it.value.trim_ascii())
}

/// Whether a list field has an element, whatever its case.
pub(super) fn has_element(fields: &[httparse::Header<'_>], name: &str, element: &str) -> bool {
    values(fields, name)
        .flat_map(|value| value.split(|&it| it == b','))
        .any(|it| it.trim_ascii().eq_ignore_ascii_case(element.as_bytes()))
}
