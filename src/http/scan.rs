//! Finds the end of a request head as its bytes arrive, looking at each byte once, and refuses on the way
//! what no honest client sends. Knows no field's meaning.

use super::fault::Fault;
use super::limits::Limits;

/// How far a head has been looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scan {
    seen: usize,
    /// Where the head begins: after the one empty line that may come before (RFC 9112 §2.2).
    start: usize,
    /// Whole lines, the request line among them.
    lines: usize,
    /// Still in the first word, the method.
    in_method: bool,
    place: Place,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Start,
    StartCr,
    LineStart,
    InLine,
    LineCr,
    BlankCr,
}

/// A head that is complete.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) fields: usize,
}

impl Scan {
    pub(super) const fn new() -> Self {
        Self { seen: 0, start: 0, lines: 0, in_method: true, place: Place::Start }
    }

    /// Whether nothing has come.
    pub(super) fn is_fresh(&self) -> bool {
        self.seen == 0
    }

    /// Goes on in `bytes`, which begin where they began at the last call.
    pub(super) fn next(&mut self, bytes: &[u8], limits: &Limits) -> Result<Option<Found>, Fault> {
        for &byte in bytes.get(self.seen..).unwrap_or_default() {
            if self.seen - self.start >= limits.head_bytes_max {
                return Err(Fault::HeadTooLong(limits.head_bytes_max));
            }
            let line_goes_on = self.lines == 0 && self.place == Place::InLine && byte != b'\r';
            if line_goes_on && self.seen - self.start >= limits.line_bytes_max {
                return Err(Fault::LineTooLong(limits.line_bytes_max));
            }
            self.seen += 1;
            if self.step(byte, limits)? {
                let fields = self.lines.saturating_sub(1);
                return Ok(Some(Found { start: self.start, end: self.seen, fields }));
            }
        }
        Ok(None)
    }

    /// One byte on; true at the end of the head.
    fn step(&mut self, byte: u8, limits: &Limits) -> Result<bool, Fault> {
        self.place = match (self.place, byte) {
            (Place::Start, b'\r') if self.start == 0 => Place::StartCr,
            (Place::StartCr, b'\n') => {
                self.start = self.seen;
                Place::Start
            }
            (Place::Start, _) if is_tchar(byte) => Place::InLine,
            (Place::Start, _) => return Err(Fault::RequestLine),

            (Place::InLine, b'\r') => Place::LineCr,
            (Place::InLine | Place::LineStart, b'\n') => return Err(Fault::BareLf),
            (Place::InLine, b' ') if self.in_method => {
                self.in_method = false;
                Place::InLine
            }
            (Place::InLine, _) if self.in_method && !is_tchar(byte) => {
                return Err(Fault::RequestLine);
            }
            (Place::InLine, 0..=8 | 11..=31 | 127) => return Err(Fault::ControlByte(byte)),
            (Place::InLine, _) => Place::InLine,

            (Place::LineCr, b'\n') => {
                self.lines += 1;
                // A request line of one word has no version: HTTP/0.9.
                if self.in_method {
                    return Err(Fault::RequestLine);
                }
                if self.lines - 1 > limits.fields_max {
                    return Err(Fault::TooManyFields(limits.fields_max));
                }
                Place::LineStart
            }
            (Place::LineStart, b'\r') => Place::BlankCr,
            (Place::LineStart, b' ' | b'\t') => return Err(Fault::Folded),
            (Place::LineStart, _) if is_tchar(byte) => Place::InLine,
            (Place::LineStart, 0..=31 | 127) => return Err(Fault::ControlByte(byte)),
            (Place::LineStart, _) => return Err(Fault::Field),

            (Place::BlankCr, b'\n') => return Ok(true),
            (Place::StartCr | Place::LineCr | Place::BlankCr, _) => return Err(Fault::BareCr),
        };
        Ok(false)
    }
}

/// RFC 9110 §5.6.2: what names are made of.
pub(super) fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
