//! The bytes of a body, by length or out of chunks (RFC 9112 §6, §7.1). Keeps none of them.

use super::fault::Fault;
use super::framing::Framing;
use super::limits::Limits;
use super::scan::is_tchar;

/// How far a body has been read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Body {
    Length { left: u64 },
    Chunked(Chunks),
}

/// What one step gave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Part<'b> {
    /// All bytes are used; more are to come.
    More,
    Data(&'b [u8]),
    End,
}

impl Body {
    pub(super) fn new(framing: Framing) -> Self {
        match framing {
            Framing::None => Self::Length { left: 0 },
            Framing::Length(left) => Self::Length { left },
            Framing::Chunked => Self::Chunked(Chunks::new()),
        }
    }

    /// The next piece of the body in `bytes`, and how many of them it took.
    pub(super) fn next<'b>(
        &mut self,
        bytes: &'b [u8],
        limits: &Limits,
    ) -> Result<(usize, Part<'b>), Fault> {
        match self {
            Self::Length { left: 0 } => Ok((0, Part::End)),
            Self::Length { left } => Ok(data(bytes, 0, left)),
            Self::Chunked(chunks) => chunks.next(bytes, limits),
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Chunks {
    place: Place,
    /// Of the chunk: its size while that is read, then what is left of it.
    left: u64,
    digits: u8,
    /// Of the body so far, as declared.
    total: u64,
    /// Bytes of extensions and trailer.
    extra: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Size,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    LastLf,
    End,
}

impl Chunks {
    const fn new() -> Self {
        Self { place: Place::Size, left: 0, digits: 0, total: 0, extra: 0 }
    }

    fn next<'b>(&mut self, bytes: &'b [u8], limits: &Limits) -> Result<(usize, Part<'b>), Fault> {
        let mut used = 0;
        loop {
            match self.place {
                Place::End => return Ok((used, Part::End)),
                Place::Data if self.left > 0 => return Ok(data(bytes, used, &mut self.left)),
                Place::Data => self.place = Place::DataCr,
                _ => {
                    let Some(&byte) = bytes.get(used) else {
                        return Ok((used, Part::More));
                    };
                    used += 1;
                    self.step(byte, limits)?;
                }
            }
        }
    }

    /// One byte of what stands around the data.
    fn step(&mut self, byte: u8, limits: &Limits) -> Result<(), Fault> {
        let extra = matches!(
            self.place,
            Place::Extension | Place::TrailerStart | Place::TrailerName | Place::TrailerValue
        );
        self.extra += usize::from(extra);
        if self.extra > limits.chunk_extra_bytes_max {
            return Err(Fault::ChunkExtraTooLong(limits.chunk_extra_bytes_max));
        }
        self.place = match (self.place, byte) {
            (Place::Size, b'\r') if self.digits > 0 => Place::SizeLf,
            (Place::Size, b';') if self.digits > 0 => Place::Extension,
            (Place::Size, _) => {
                // Eight digits say 4 GiB; more could only be zeros or too much.
                let digit = char::from(byte).to_digit(16).filter(|_| self.digits < 8);
                self.left = self.left << 4 | u64::from(digit.ok_or(Fault::Chunk)?);
                self.digits += 1;
                Place::Size
            }
            (Place::Extension, b'\r') => Place::SizeLf,
            (Place::Extension, b'\t' | b' '..=b'~' | 0x80..) => Place::Extension,
            (Place::SizeLf, b'\n') => {
                self.digits = 0;
                self.total += self.left;
                if self.total > limits.body_bytes_max {
                    let (declared, allowed) = (self.total, limits.body_bytes_max);
                    return Err(Fault::BodyTooLong { declared, allowed });
                }
                if self.left == 0 { Place::TrailerStart } else { Place::Data }
            }
            (Place::DataCr, b'\r') => Place::DataLf,
            (Place::DataLf, b'\n') => Place::Size,
            // §7.1.2: trailer fields may be dropped; none is merged into the head.
            (Place::TrailerStart, b'\r') => Place::LastLf,
            (Place::TrailerStart | Place::TrailerName, _) if is_tchar(byte) => Place::TrailerName,
            (Place::TrailerName, b':') => Place::TrailerValue,
            (Place::TrailerValue, b'\r') => Place::TrailerLf,
            (Place::TrailerValue, b'\t' | b' '..=b'~' | 0x80..) => Place::TrailerValue,
            (Place::TrailerLf, b'\n') => Place::TrailerStart,
            (Place::LastLf, b'\n') => Place::End,
            _ => return Err(Fault::Chunk),
        };
        Ok(())
    }
}

/// As much of `left` bytes as stands in `bytes` from `from` on.
fn data<'b>(bytes: &'b [u8], from: usize, left: &mut u64) -> (usize, Part<'b>) {
    let here = bytes.get(from..).unwrap_or_default();
    let count = usize::try_from(*left).unwrap_or(usize::MAX).min(here.len());
    match here.get(..count) {
        Some(part) if count > 0 => {
            *left -= count as u64;
            (from + count, Part::Data(part))
        }
        _ => (from, Part::More),
    }
}
