//! DEFLATE (RFC 1951) for messages that stand alone: level 1 without context takeover. Greedy matches,
//! the fixed Huffman code, and nothing to reset, which is most of what zlib does for a short message:
//! it clears 128 KiB of hash table for each, and that takes twice as long as to compress 1 KiB.

use alloc::boxed::Box;
use alloc::vec::Vec;

/// Where four bytes were seen last. Carries nothing from one call to the next but memory.
pub(super) struct Quick {
    /// For a hash of four bytes, `base` at the time plus the position. What is below `base` is of an
    /// earlier call, and that is how the table gets empty without being written.
    heads: Box<[u32; HEADS]>,
    base: u32,
}

/// 16 KiB of table: stays in the first-level cache beside the message.
const HEADS: usize = 1 << HASH_BITS;
const HASH_BITS: u32 = 12;

/// A match has 4 to 258 bytes; DEFLATE's 3 are not worth their search.
const MATCH_MIN: usize = 4;
const MATCH_MAX: usize = 258;

/// The input between two checks that there is space for whatever becomes of it.
const PIECE: usize = 16 * 1024;

/// The largest input in one go, so that positions fit `u32` with ease.
const INPUT_MAX: usize = 1 << 30;

impl Quick {
    pub(super) fn new() -> Self {
        Self { heads: Box::new([0; HEADS]), base: 1 }
    }

    /// Appends `payload` as DEFLATE blocks that reach back at most `window` bytes, up to and including the
    /// header of an empty stored block: with `00 00 FF FF` behind it, it is what a sync flush makes.
    pub(super) fn write(&mut self, payload: &[u8], window: usize, out: &mut Vec<u8>) {
        let mut parts = payload.chunks(INPUT_MAX).peekable();
        while let Some(part) = parts.next() {
            let start = out.len();
            self.part(part, window, out);
            // §3.2.4: what does not get smaller is stored.
            if out.len() - start > stored_len(part.len()) {
                out.truncate(start);
                stored(part, out);
            }
            if parts.peek().is_some() {
                out.extend_from_slice(&[0x00, 0x00, 0xFF, 0xFF]);
            }
        }
    }

    fn part(&mut self, input: &[u8], window: usize, out: &mut Vec<u8>) {
        let len = u32::try_from(input.len()).expect("a part is at most INPUT_MAX long");
        if self.base.checked_add(len).is_none() {
            self.heads.fill(0);
            self.base = 1;
        }
        let mut bits = Bits::new(out);
        // §3.2.3: not final, fixed codes.
        bits.put(0b010, 3);

        let mut at = 0;
        while at < input.len() {
            let end = input.len().min(at + PIECE);
            bits.reserve(end - at + MATCH_MAX);
            at = self.piece(input, at, end, window, &mut bits);
        }

        // The end of the block, then the header of an empty stored one, padded to a byte (§3.2.4).
        bits.put(0, 7);
        bits.put(0b000, 3);
        bits.finish();
        self.base += len;
    }

    /// Compresses from `at` until `end` is reached, with the last match perhaps past it. Returns how far.
    fn piece(
        &mut self,
        input: &[u8],
        mut at: usize,
        end: usize,
        window: usize,
        bits: &mut Bits<'_>,
    ) -> usize {
        while at < end {
            let Some(four) = four(input, at) else {
                // The last three bytes of the message.
                for &byte in input.get(at..).unwrap_or_default() {
                    bits.literal(byte);
                }
                return input.len();
            };
            let seen = self.seen(four, at);
            let length = match seen {
                Some(seen) if at - seen <= window => common(input, seen, at),
                _ => 0,
            };
            if let (Some(seen), MATCH_MIN..) = (seen, length) {
                bits.reference(length, at - seen);
                // One position inside is enough to find the next repetition of the whole.
                let inside = at + length - 2;
                if let Some(four) = self::four(input, inside) {
                    self.seen(four, inside);
                }
                at += length;
            } else {
                // The lowest byte of a little-endian word is the first.
                bits.literal(four.to_le_bytes()[0]);
                at += 1;
            }
        }
        at
    }

    /// Where this hash was seen last within this part; from now on it is `at`.
    #[inline]
    fn seen(&mut self, four: u32, at: usize) -> Option<usize> {
        let hash = four.wrapping_mul(0x9E37_79B1) >> (u32::BITS - HASH_BITS);
        let head = &mut self.heads[hash as usize % HEADS];
        let before = head.checked_sub(self.base);
        #[allow(clippy::cast_possible_truncation, reason = "a position is below INPUT_MAX")]
        let now = at as u32;
        *head = self.base + now;
        before.map(|before| before as usize)
    }
}

#[inline]
fn four(input: &[u8], at: usize) -> Option<u32> {
    let bytes = input.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*bytes))
}

/// How many bytes at `earlier` and at `later` are the same, up to the longest match.
#[inline]
fn common(input: &[u8], earlier: usize, later: usize) -> usize {
    let (Some(a), Some(b)) = (input.get(earlier..), input.get(later..)) else {
        return 0;
    };
    let b = b.get(..MATCH_MAX).unwrap_or(b);
    let a = a.get(..b.len()).unwrap_or(a);
    let mut len = 0;
    let (a_words, _) = a.as_chunks::<8>();
    let (b_words, b_rest) = b.as_chunks::<8>();
    for (x, y) in a_words.iter().zip(b_words) {
        let difference = u64::from_le_bytes(*x) ^ u64::from_le_bytes(*y);
        if difference != 0 {
            return len + (difference.trailing_zeros() / 8) as usize;
        }
        len += 8;
    }
    let rest = a.iter().skip(len).zip(b_rest);
    len + rest.take_while(|(x, y)| x == y).count()
}

/// Bytes of stored blocks for `len` bytes of input, with the empty one's first byte behind them.
fn stored_len(len: usize) -> usize {
    len + 5 * len.div_ceil(STORED_MAX) + 1
}

/// §3.2.4: a stored block has a length of 16 bits.
const STORED_MAX: usize = 0xFFFF;

fn stored(input: &[u8], out: &mut Vec<u8>) {
    out.reserve(stored_len(input.len()));
    for block in input.chunks(STORED_MAX) {
        let len = u16::try_from(block.len()).expect("a stored block has at most 0xFFFF bytes");
        out.push(0b000);
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(&(!len).to_le_bytes());
        out.extend_from_slice(block);
    }
    out.push(0b000);
}

/// Bits behind the bytes of a vector, first the lowest (§3.1.1).
struct Bits<'a> {
    out: &'a mut Vec<u8>,
    /// Bytes of `out` that are written. Behind them is space, cleared.
    at: usize,
    pending: u64,
    /// Bits in `pending`, fewer than 32 between calls.
    count: u32,
}

impl<'a> Bits<'a> {
    fn new(out: &'a mut Vec<u8>) -> Self {
        let at = out.len();
        Self { out, at, pending: 0, count: 0 }
    }

    /// Makes space for `len` bytes of input and the end of the block: a literal takes up to 9 bits.
    fn reserve(&mut self, len: usize) {
        self.out.resize(self.at + len + len / 8 + 32, 0);
    }

    #[inline]
    fn put(&mut self, bits: u32, count: u32) {
        self.pending |= u64::from(bits) << self.count;
        self.count += count;
        if self.count >= 32 {
            #[allow(clippy::cast_possible_truncation, reason = "the rest stays pending")]
            let low = self.pending as u32;
            if let Some(space) = self.out.get_mut(self.at..).and_then(|s| s.first_chunk_mut()) {
                *space = low.to_le_bytes();
            }
            self.at += 4;
            self.pending >>= 32;
            self.count -= 32;
        }
    }

    #[inline]
    fn literal(&mut self, byte: u8) {
        let (code, count) = LITERALS[usize::from(byte)];
        self.put(u32::from(code), u32::from(count));
    }

    /// §3.2.5: `length` of 3 to 258 bytes, `distance` of 1 to 32768 back.
    #[inline]
    fn reference(&mut self, length: usize, distance: usize) {
        let (code, count) = LENGTHS[(length - 3) & 0xFF];
        #[allow(clippy::cast_possible_truncation, reason = "at most 32768")]
        let (far, far_count) = distance_code(distance as u32);
        self.put(u32::from(code) | far << count, u32::from(count) + far_count);
    }

    /// Pads to a byte and leaves `out` with what was written.
    fn finish(self) {
        self.out.truncate(self.at);
        let bytes = self.count.div_ceil(8) as usize;
        self.out.extend(self.pending.to_le_bytes().iter().take(bytes));
    }
}

/// §3.2.6: the fixed code of each literal, as it goes on the wire, and its bits.
const LITERALS: [(u16, u16); 256] = {
    let mut table = [(0, 0); 256];
    let mut byte = 0u16;
    while byte < 256 {
        table[byte as usize] = fixed(byte);
        byte += 1;
    }
    table
};

/// §3.2.5, §3.2.6: for each length from 3 its code and extra bits, and how many they are.
const LENGTHS: [(u16, u16); 256] = {
    let mut table = [(0, 0); 256];
    let mut symbol = 257u16;
    let mut length = 3usize;
    while symbol < 285 {
        // Four symbols for each number of extra bits, after eight without.
        let extra = if symbol < 265 { 0 } else { (symbol - 261) / 4 };
        let (code, bits) = fixed(symbol);
        let mut value = 0;
        while value < 1 << extra && length < 258 {
            table[length - 3] = (code | value << bits, bits + extra);
            length += 1;
            value += 1;
        }
        symbol += 1;
    }
    table[255] = fixed(285);
    table
};

/// The fixed code of a literal or length symbol: Huffman codes begin with their highest bit.
const fn fixed(symbol: u16) -> (u16, u16) {
    let (code, bits) = match symbol {
        0..=143 => (0b0011_0000 + symbol, 8),
        144..=255 => (0b1_1001_0000 + symbol - 144, 9),
        256..=279 => (symbol - 256, 7),
        _ => (0b1100_0000 + symbol - 280, 8),
    };
    (code.reverse_bits() >> (16 - bits), bits)
}

/// §3.2.5, §3.2.6: the five bits of a distance's code with its extra bits, and how many they are.
#[inline]
fn distance_code(distance: u32) -> (u32, u32) {
    let far = distance - 1;
    let (symbol, extra) = if far < 4 {
        (far, 0)
    } else {
        // Two symbols for each power of two, told apart by the second highest bit.
        let extra = far.ilog2() - 1;
        (2 * extra + (far >> extra), extra)
    };
    let code = symbol.reverse_bits() >> (u32::BITS - 5);
    (code | (far & ((1 << extra) - 1)) << 5, 5 + extra)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inflated(message: &[u8]) -> Vec<u8> {
        let stream = [message, &[0x00, 0x00, 0xFF, 0xFF, 0x03, 0x00]].concat();
        miniz_oxide::inflate::decompress_to_vec(&stream).expect("a DEFLATE stream")
    }

    fn written(quick: &mut Quick, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        quick.write(payload, 1 << 15, &mut out);
        out
    }

    #[test]
    fn every_length_of_a_match_is_written_as_it_is() {
        for length in 0..600 {
            let mut payload = b"0123456789".to_vec();
            payload.extend(core::iter::repeat_n(b'x', length));
            payload.extend_from_slice(b"0123456789");
            let message = written(&mut Quick::new(), &payload);
            assert_eq!(inflated(&message), payload, "{length}");
        }
    }

    #[test]
    fn every_distance_of_a_match_is_written_as_it_is() {
        // Between two equal words lies what matches with neither.
        let mut filler = Vec::new();
        let mut seed = 1u32;
        while filler.len() < 33_000 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            filler.push((seed >> 24) as u8 | 0x80);
        }
        let distances = (4..600).chain((10..16).flat_map(|n| (1 << n) - 2..(1 << n) + 3));
        for distance in distances {
            let mut payload = b"abcdefgh"[..8.min(distance)].to_vec();
            payload.extend_from_slice(&filler[..distance - payload.len()]);
            payload.extend_from_within(..4);
            let message = written(&mut Quick::new(), &payload);
            assert_eq!(inflated(&message), payload, "{distance}");
        }
    }

    #[test]
    fn nothing_of_an_earlier_message_is_referred_to() {
        let mut quick = Quick::new();
        let first = written(&mut quick, b"the same words, the same words");
        for _ in 0..3 {
            assert_eq!(written(&mut quick, b"the same words, the same words"), first);
        }
        assert!(first.len() < 24);
    }

    #[test]
    fn the_epoch_begins_anew_when_it_is_used_up() {
        let payload = b"the same words, the same words";
        let first = written(&mut Quick::new(), payload);
        for below in 0..100 {
            let mut quick = Quick::new();
            quick.base = u32::MAX - below;
            quick.heads.fill(quick.base - 1);
            for _ in 0..5 {
                assert_eq!(written(&mut quick, payload), first, "{below}");
            }
        }
    }
}
