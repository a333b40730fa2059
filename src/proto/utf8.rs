//! UTF-8 (RFC 3629) judged as the octets arrive. Knows nothing of frames.

/// The octets cannot be the beginning of any UTF-8 text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InvalidUtf8;

impl core::fmt::Display for InvalidUtf8 {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("text is not UTF-8")
    }
}

impl core::error::Error for InvalidUtf8 {}

/// A text seen so far: whole characters, and up to three octets of one that is not yet complete.
///
/// Fails at the first octet that no continuation can mend, wherever the text was cut.
///
/// ```
/// # use sockeye::proto::Utf8;
/// let mut text = Utf8::default();
/// assert!(text.feed(b"\xE2\x82").is_ok()); // two thirds of a euro sign
/// assert!(!text.is_complete());
/// assert!(text.feed(b"\xAC").is_ok());
/// assert!(text.is_complete());
/// assert!(text.feed(b"\xF5").is_err()); // no character begins so
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Utf8 {
    tail: [u8; 3],
    len: u8,
}

impl Utf8 {
    /// Takes the next octets of the text. After an error the text stays invalid whatever follows.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), InvalidUtf8> {
        self.feed_with(bytes, |_| {})
    }

    /// The same, and hands on what is whole, in order: all of the text but its unfinished character.
    pub(crate) fn feed_with(
        &mut self,
        bytes: &[u8],
        mut whole: impl FnMut(&str),
    ) -> Result<(), InvalidUtf8> {
        let rest = self.complete_tail(bytes, &mut whole)?;
        let (text, tail) = longest_text(rest)?;
        whole(text);
        // An unfinished character has one to three octets.
        for &byte in tail.iter().take(3) {
            self.push(byte);
        }
        Ok(())
    }

    /// The octets of the character that is not yet complete.
    pub(crate) fn unfinished(&self) -> &[u8] {
        &self.tail[..usize::from(self.len)]
    }

    /// Whether the text may end here, between two characters.
    #[inline]
    pub const fn is_complete(&self) -> bool {
        self.len == 0
    }

    /// Moves octets from `bytes` into the unfinished character until it is whole; returns what is left.
    fn complete_tail<'a>(
        &mut self,
        bytes: &'a [u8],
        whole: &mut impl FnMut(&str),
    ) -> Result<&'a [u8], InvalidUtf8> {
        let mut rest = bytes;
        while self.len > 0 {
            let Some((&byte, after)) = rest.split_first() else {
                return Ok(rest);
            };
            let mut character = [0; 4];
            let len = usize::from(self.len);
            character[..len].copy_from_slice(&self.tail[..len]);
            character[len] = byte;
            match core::str::from_utf8(&character[..=len]) {
                Ok(character) => {
                    whole(character);
                    self.len = 0;
                }
                Err(error) if error.error_len().is_some() => return Err(InvalidUtf8),
                Err(_) => self.push(byte),
            }
            rest = after;
        }
        Ok(rest)
    }

    fn push(&mut self, byte: u8) {
        self.tail[usize::from(self.len)] = byte;
        self.len += 1;
    }
}

/// Below this many bytes core's check is faster than entering the vector one.
const VECTOR_FROM: usize = 64;

/// The bytes as text, if they are all of it and valid.
#[inline]
pub(crate) fn whole(bytes: &[u8]) -> Option<&str> {
    if bytes.len() < VECTOR_FROM {
        core::str::from_utf8(bytes).ok()
    } else {
        simdutf8::basic::from_utf8(bytes).ok()
    }
}

/// The bytes as text up to an unfinished character at their end, and that.
fn longest_text(bytes: &[u8]) -> Result<(&str, &[u8]), InvalidUtf8> {
    if let Some(text) = whole(bytes) {
        return Ok((text, &[]));
    }
    // Only now it matters where it stops: finding that takes longer than a verdict.
    let (valid, hopeless) = match simdutf8::compat::from_utf8(bytes) {
        Ok(text) => return Ok((text, &[])),
        Err(error) => (error.valid_up_to(), error.error_len().is_some()),
    };
    if hopeless {
        return Err(InvalidUtf8);
    }
    let (text, tail) = bytes.split_at_checked(valid).ok_or(InvalidUtf8)?;
    Ok((whole(text).ok_or(InvalidUtf8)?, tail))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(pieces: &[&[u8]]) -> Option<bool> {
        let mut text = Utf8::default();
        for piece in pieces {
            text.feed(piece).ok()?;
        }
        Some(text.is_complete())
    }

    /// What one look at all the octets says: `None` invalid, else whether the text may end here.
    fn oracle(bytes: &[u8]) -> Option<bool> {
        match core::str::from_utf8(bytes) {
            Ok(_) => Some(true),
            Err(e) if e.error_len().is_some() => None,
            Err(_) => Some(false),
        }
    }

    #[test]
    fn every_sequence_of_two_lead_octets_is_judged_alike_in_any_cut() {
        for a in 0..=255u8 {
            for b in 0..=255u8 {
                for tail in [[0x80, 0x80], [0xBF, 0xBF], [b'a', 0x80], [0xE2, 0x82]] {
                    let bytes = [a, b, tail[0], tail[1]];
                    for len in 1..=4 {
                        let text = &bytes[..len];
                        let expected = oracle(text);
                        for cut in 0..=len {
                            let (x, y) = text.split_at(cut);
                            assert_eq!(verdict(&[x, y]), expected, "{text:x?} cut at {cut}");
                        }
                        let single: Vec<&[u8]> = text.chunks(1).collect();
                        assert_eq!(verdict(&single), expected, "{text:x?} octet by octet");
                    }
                }
            }
        }
    }

    #[test]
    fn the_first_impossible_octet_is_the_one_that_fails() {
        // U+110000 would be F4 90 ..: already the second octet is impossible.
        let mut text = Utf8::default();
        assert!(text.feed(&[0xF4]).is_ok());
        assert!(text.feed(&[0x90]).is_err());
        // A surrogate, ED A0 80.
        let mut text = Utf8::default();
        assert!(text.feed(&[0xED]).is_ok());
        assert!(text.feed(&[0xA0]).is_err());
    }

    #[test]
    fn an_invalid_octet_is_found_at_every_offset_around_the_vector_widths() {
        for len in (0..200).chain(4080..4112) {
            let mut bytes = vec![b'x'; len + 1];
            bytes[len] = 0xFF;
            assert!(Utf8::default().feed(&bytes).is_err(), "offset {len}");
            bytes.extend_from_slice(&[b'x'; 70]);
            assert!(Utf8::default().feed(&bytes).is_err(), "offset {len} with text after");
        }
    }
}
