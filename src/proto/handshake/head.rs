//! Finds the end of an HTTP head as its bytes arrive, looking at each byte once, and hands the whole to
//! httparse. Refuses on the way what no honest peer sends. Knows no header's meaning.

use alloc::vec;
use alloc::vec::Vec;

use super::error::HeadError;
use super::tokens::is_tchar;

/// How much head an endpoint is willing to read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HeadLimits {
    /// Bytes of the head, blank line included. 16 KiB: the usual limit of HTTP servers, room for
    /// cookies and tokens; a peer makes the caller hold that much before it has shown anything.
    pub head_bytes_max: usize,
    /// Header lines. 100: browsers send about 15, proxies add a few; each line costs 32 bytes when the
    /// head is complete.
    pub headers_max: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self { head_bytes_max: 16 * 1024, headers_max: 100 }
    }
}

/// How a head begins; what begins otherwise is refused at the first byte that shows it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Opening {
    /// A request: some method, so a token. A TLS hello (0x16) is none.
    Method,
    /// A response: `HTTP/1.`.
    Status,
}

impl Opening {
    fn admits(self, index: usize, byte: u8) -> bool {
        match self {
            Self::Method => index > 0 || is_tchar(byte),
            Self::Status => b"HTTP/1.".get(index).is_none_or(|&wanted| wanted == byte),
        }
    }
}

/// A position in a head that is still arriving.
#[derive(Clone, Debug)]
pub(super) struct HeadScan {
    limits: HeadLimits,
    opening: Opening,
    /// Bytes looked at.
    seen: usize,
    /// Where this head begins: after the interim responses, if there were any.
    start: usize,
    /// Whole lines of this head, the start line among them.
    lines: usize,
    place: Place,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    LineStart,
    InLine,
    /// After the CR of a line with something on it.
    LineCr,
    /// After the CR of the blank line.
    BlankCr,
    /// After the blank line.
    End,
}

/// Where a complete head lies in the caller's buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) headers: usize,
}

impl HeadScan {
    pub(super) const fn new(limits: HeadLimits, opening: Opening) -> Self {
        Self { limits, opening, seen: 0, start: 0, lines: 0, place: Place::LineStart }
    }

    /// Goes on from where the last call stopped. `bytes` are all bytes so far. After an error the scan
    /// stays before the byte that was wrong, so that the error comes again.
    pub(super) fn find(&mut self, bytes: &[u8]) -> Result<Option<Found>, HeadError> {
        let fresh = bytes.get(self.seen..).unwrap_or_default();
        for &byte in fresh {
            if matches!(self.place, Place::End) {
                break;
            }
            if self.seen >= self.limits.head_bytes_max {
                return Err(self.too_long());
            }
            self.place = self.after(byte)?;
            if let (Place::LineStart, b'\n') = (self.place, byte) {
                self.lines += 1;
            }
            self.seen += 1;
        }
        if matches!(self.place, Place::End) {
            return Ok(Some(Found {
                start: self.start,
                end: self.seen,
                headers: self.lines.saturating_sub(1),
            }));
        }
        // Waiting for a byte that would be one too many is waiting in vain.
        if self.seen >= self.limits.head_bytes_max {
            return Err(self.too_long());
        }
        Ok(None)
    }

    /// Begins another head behind the one that was found. The limit on bytes covers both.
    pub(super) fn restart(&mut self) {
        self.start = self.seen;
        self.lines = 0;
        self.place = Place::LineStart;
    }

    fn after(&self, byte: u8) -> Result<Place, HeadError> {
        let at = self.seen;
        if self.lines == 0 && !self.opening.admits(at - self.start, byte) {
            return Err(HeadError::NotHttp { at, byte });
        }
        match (self.place, byte) {
            (_, b'\0') => Err(HeadError::Nul { at }),
            (Place::LineCr, b'\n') => Ok(Place::LineStart),
            (Place::BlankCr, b'\n') => Ok(Place::End),
            // RFC 7230 §3.5 lets a reader take a lone LF for a line's end, and §3 a lone CR for a
            // space. Where two readers may differ, a request can be smuggled: neither is taken.
            (Place::LineCr | Place::BlankCr, _) => Err(HeadError::BareCr { at: at - 1 }),
            (_, b'\n') => Err(HeadError::BareLf { at }),
            (Place::LineStart, b'\r') => Ok(Place::BlankCr),
            (Place::InLine, b'\r') => Ok(Place::LineCr),
            // RFC 7230 §3.2.4: a line folded into the one before is refused.
            (Place::LineStart, b' ' | b'\t') => Err(HeadError::Folded { at }),
            // The start line and `lines - 1` headers are whole, and here another begins.
            (Place::LineStart, _) if self.lines > self.limits.headers_max => {
                Err(HeadError::TooManyHeaders { limit: self.limits.headers_max })
            }
            (Place::LineStart | Place::InLine, _) => Ok(Place::InLine),
            (Place::End, _) => Ok(Place::End),
        }
    }

    fn too_long(&self) -> HeadError {
        HeadError::TooLong { limit: self.limits.head_bytes_max }
    }
}

/// The header fields of a head, in order.
#[derive(Clone, Debug)]
pub(super) struct Fields<'b>(pub(super) Vec<httparse::Header<'b>>);

impl<'b> Fields<'b> {
    /// Room for the fields that were counted, and not one more.
    pub(super) fn room(count: usize) -> Self {
        Self(vec![httparse::EMPTY_HEADER; count])
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'b str, &'b [u8])> {
        self.0.iter().map(|field| (field.name, field.value))
    }

    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &'b [u8]> {
        self.0
            .iter()
            .filter(move |field| field.name.eq_ignore_ascii_case(name))
            .map(|field| field.value)
    }

    /// The field that may stand once; the name back if it stands more often.
    pub(super) fn one(&self, name: &'static str) -> Result<Option<&'b [u8]>, &'static str> {
        let mut values = self.all(name);
        let first = values.next();
        if values.next().is_some() {
            return Err(name);
        }
        Ok(first)
    }
}

/// httparse's verdict on a head that is whole by our count; `len` is that count.
pub(super) fn judge(parsed: httparse::Result<usize>, len: usize) -> Result<(), HeadError> {
    match parsed {
        Ok(httparse::Status::Complete(used)) if used == len => Ok(()),
        // Two readers that disagree on where a head ends: take neither's word.
        Ok(_) | Err(httparse::Error::NewLine) => Err(HeadError::Malformed),
        Err(httparse::Error::Version) => Err(HeadError::Version),
        Err(httparse::Error::Token | httparse::Error::Status) => Err(HeadError::StartLine),
        Err(httparse::Error::HeaderName) => Err(HeadError::HeaderName),
        Err(httparse::Error::HeaderValue) => Err(HeadError::HeaderValue),
        Err(httparse::Error::TooManyHeaders) => Err(HeadError::Malformed),
    }
}
