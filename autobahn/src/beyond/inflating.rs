//! RFC 1951 for these tests: an inflater that knows how far back it was sent, blocks written bit by bit,
//! and compression by another's hand. What is tested uses none of this.

use miniz_oxide::deflate::core::create_comp_flags_from_zip_params;
use miniz_oxide::deflate::core::{CompressorOxide, TDEFLFlush, compress_to_output};

/// What is put behind each message before it is inflated (RFC 7692 §7.2.2).
const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];

/// More than any test gets back.
const OUTPUT_MAX: usize = 512 << 20;

/// Inflates messages, with or without what came before them.
#[derive(Debug, Default)]
pub(crate) struct Inflater {
    /// What earlier messages said, where context takeover was agreed on.
    window: Vec<u8>,
}

/// What a message held.
#[derive(Debug)]
pub(crate) struct Inflated {
    pub(crate) bytes: Vec<u8>,
    /// The longest way that it pointed back.
    pub(crate) distance_max: usize,
}

impl Inflater {
    /// The message whose payload travelled as `payload`.
    ///
    /// # Errors
    ///
    /// What is wrong with it, as a sentence.
    pub(crate) fn message(&mut self, payload: &[u8], takeover: bool) -> Result<Inflated, String> {
        let input = [payload, &TAIL].concat();
        if !takeover {
            self.window.clear();
        }
        let history = self.window.len();
        let mut out = std::mem::take(&mut self.window);
        let mut bits = Bits { bytes: &input, at: 0 };
        let mut distance_max = 0;
        // A final block ends no message (§7.2.3.4): the next block begins behind it. What is left over
        // once the bytes end are the zeros that fill the last one.
        while bits.left() >= 10 {
            block(&mut bits, &mut out, &mut distance_max)?;
        }
        let bytes = out[history..].to_vec();
        let keep = out.len().saturating_sub(32_768);
        self.window = out.split_off(keep);
        Ok(Inflated { bytes, distance_max })
    }
}

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn left(&self) -> usize {
        (self.bytes.len() * 8).saturating_sub(self.at)
    }

    fn bit(&mut self) -> Result<usize, String> {
        let byte = self.bytes.get(self.at / 8).ok_or("it ends in the middle of a block")?;
        let bit = (byte >> (self.at % 8)) & 1;
        self.at += 1;
        Ok(usize::from(bit))
    }

    fn take(&mut self, count: u8) -> Result<usize, String> {
        let mut value = 0;
        for at in 0..count {
            value |= self.bit()? << at;
        }
        Ok(value)
    }
}

/// How many codes there are of each length, and the symbols in the order of their codes.
struct Huffman {
    counts: [usize; 16],
    symbols: Vec<usize>,
}

impl Huffman {
    fn new(lengths: &[usize]) -> Self {
        let mut counts = [0; 16];
        for &length in lengths {
            counts[length] += 1;
        }
        counts[0] = 0;
        let mut symbols = Vec::new();
        for wanted in 1..16 {
            let of_it = lengths.iter().enumerate().filter(|it| *it.1 == wanted);
            symbols.extend(of_it.map(|(symbol, _)| symbol));
        }
        Self { counts, symbols }
    }

    fn symbol(&self, bits: &mut Bits<'_>) -> Result<usize, String> {
        let (mut code, mut first, mut index) = (0, 0, 0);
        for count in &self.counts[1..] {
            code |= bits.bit()?;
            if code < first + count {
                return self
                    .symbols
                    .get(index + code - first)
                    .copied()
                    .ok_or_else(|| "a code without a symbol".to_owned());
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        Err("a code that stands for nothing".to_owned())
    }
}

const LENGTH_BASE: [usize; 29] = [
    3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131,
    163, 195, 227, 258,
];
const LENGTH_BITS: [u8; 29] =
    [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
const DISTANCE_BASE: [usize; 30] = [
    1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537,
    2049, 3073, 4097, 6145, 8193, 12_289, 16_385, 24_577,
];
const DISTANCE_BITS: [u8; 30] = [
    0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13,
    13,
];
const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

fn fixed_lengths() -> (Vec<usize>, Vec<usize>) {
    let lengths = [vec![8; 144], vec![9; 112], vec![7; 24], vec![8; 8]].concat();
    (lengths, vec![5; 30])
}

fn block(bits: &mut Bits<'_>, out: &mut Vec<u8>, distance_max: &mut usize) -> Result<(), String> {
    let last = bits.bit()? == 1;
    content(bits, out, distance_max)?;
    if last {
        // What follows a final block begins with an octet.
        bits.at = bits.at.next_multiple_of(8);
    }
    Ok(())
}

fn content(bits: &mut Bits<'_>, out: &mut Vec<u8>, distance_max: &mut usize) -> Result<(), String> {
    match bits.take(2)? {
        0 => {
            bits.at = bits.at.next_multiple_of(8);
            let (length, check) = (bits.take(16)?, bits.take(16)?);
            if length != check ^ 0xFFFF {
                return Err("a stored block whose length and check differ".to_owned());
            }
            let at = bits.at / 8;
            let stored =
                bits.bytes.get(at..at + length).ok_or("it ends in the middle of a stored block")?;
            out.extend_from_slice(stored);
            bits.at += length * 8;
            Ok(())
        }
        1 => {
            let (lengths, distances) = fixed_lengths();
            symbols(bits, out, distance_max, &Huffman::new(&lengths), &Huffman::new(&distances))
        }
        2 => {
            let (literals, distances) = (bits.take(5)? + 257, bits.take(5)? + 1);
            let count = bits.take(4)? + 4;
            let mut of_lengths = [0; 19];
            for &at in &ORDER[..count] {
                of_lengths[at] = bits.take(3)?;
            }
            let code = Huffman::new(&of_lengths);
            let mut lengths = Vec::new();
            while lengths.len() < literals + distances {
                let (value, times) = match code.symbol(bits)? {
                    16 => {
                        let last = lengths.last().copied();
                        (last.ok_or("it repeats a length before the first")?, bits.take(2)? + 3)
                    }
                    17 => (0, bits.take(3)? + 3),
                    18 => (0, bits.take(7)? + 11),
                    length => (length, 1),
                };
                lengths.extend(std::iter::repeat_n(value, times));
            }
            let (literals, distances) = lengths.split_at(literals);
            symbols(bits, out, distance_max, &Huffman::new(literals), &Huffman::new(distances))
        }
        _ => Err("a block of the type that does not exist".to_owned()),
    }
}

fn symbols(
    bits: &mut Bits<'_>,
    out: &mut Vec<u8>,
    distance_max: &mut usize,
    literals: &Huffman,
    distances: &Huffman,
) -> Result<(), String> {
    loop {
        if out.len() > OUTPUT_MAX {
            return Err("it inflates without end".to_owned());
        }
        let symbol = literals.symbol(bits)?;
        match (u8::try_from(symbol), symbol) {
            (Ok(octet), _) => out.push(octet),
            (Err(_), 256) => return Ok(()),
            (Err(_), symbol) => {
                let at = symbol - 257;
                let base = LENGTH_BASE.get(at).ok_or("a length code that does not exist")?;
                let length = base + bits.take(LENGTH_BITS[at])?;
                let at = distances.symbol(bits)?;
                let base = DISTANCE_BASE.get(at).ok_or("a distance code that does not exist")?;
                let distance = base + bits.take(DISTANCE_BITS[at])?;
                *distance_max = distance.max(*distance_max);
                let from = out.len().checked_sub(distance).ok_or_else(|| {
                    format!("it points {distance} back, before all that was said")
                })?;
                for at in from..from + length {
                    out.push(out[at]);
                }
            }
        }
    }
}

/// Blocks written by hand.
#[derive(Debug, Default)]
pub(crate) struct Block {
    bytes: Vec<u8>,
    used: u8,
}

impl Block {
    /// A block with the fixed codes of RFC 1951 §3.2.6, begun.
    pub(crate) fn fixed() -> Self {
        let mut block = Self::default();
        block.put(0, 1);
        block.put(1, 2);
        block
    }

    /// Bits with the lowest first.
    pub(crate) fn put(&mut self, value: usize, count: u8) {
        for at in 0..count {
            if self.used == 0 {
                self.bytes.push(0);
            }
            if let Some(last) = self.bytes.last_mut() {
                *last |= u8::from(value >> at & 1 == 1) << self.used;
            }
            self.used = (self.used + 1) % 8;
        }
    }

    /// A Huffman code: the highest bit first.
    fn code(&mut self, code: usize, length: u8) {
        for at in (0..length).rev() {
            self.put(code >> at & 1, 1);
        }
    }

    /// A symbol of the fixed literal code, existing or not.
    pub(crate) fn symbol(&mut self, symbol: usize) {
        match symbol {
            0..144 => self.code(0x30 + symbol, 8),
            144..256 => self.code(0x190 + symbol - 144, 9),
            256..280 => self.code(symbol - 256, 7),
            _ => self.code(0xC0 + symbol - 280, 8),
        }
    }

    pub(crate) fn literals(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.symbol(usize::from(byte));
        }
    }

    /// Three octets from so far back.
    pub(crate) fn back(&mut self, distance: usize) {
        self.symbol(257);
        let at = DISTANCE_BASE.iter().rposition(|&base| base <= distance).unwrap_or_default();
        self.distance_code(at);
        self.put(distance - DISTANCE_BASE[at], DISTANCE_BITS[at]);
    }

    pub(crate) fn distance_code(&mut self, code: usize) {
        self.code(code, 5);
    }

    /// Ends the block as a message ends: with an empty stored block without its last four octets.
    pub(crate) fn message(mut self) -> Vec<u8> {
        self.symbol(256);
        self.put(0, 3);
        self.bytes
    }

    /// As it is, filled up with zeros.
    pub(crate) fn bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Compresses messages, by default with what came before them.
pub(crate) struct Deflater {
    core: Box<CompressorOxide>,
    level: u8,
}

impl Deflater {
    /// With a window of 32 KiB; there is no other.
    pub(crate) fn new(level: u8) -> Self {
        Self { core: fresh(level), level }
    }

    /// A message's payload as it travels.
    pub(crate) fn message(&mut self, bytes: &[u8], takeover: bool) -> Vec<u8> {
        if !takeover {
            self.core = fresh(self.level);
        }
        let mut out = Vec::new();
        let (_, read) = compress_to_output(&mut self.core, bytes, TDEFLFlush::Sync, |piece| {
            out.extend_from_slice(piece);
            true
        });
        debug_assert_eq!(read, bytes.len());
        // A flush ends with the four octets that are left out.
        if out.ends_with(&TAIL) {
            out.truncate(out.len() - TAIL.len());
        }
        // An empty message is one octet (§7.2.3.6).
        if out.is_empty() { vec![0] } else { out }
    }
}

fn fresh(level: u8) -> Box<CompressorOxide> {
    let raw = -15;
    Box::new(CompressorOxide::new(create_comp_flags_from_zip_params(i32::from(level), raw, 0)))
}

/// A message's payload as it travels, compressed by itself.
pub(crate) fn deflated(bytes: &[u8]) -> Vec<u8> {
    Deflater::new(6).message(bytes, false)
}

/// A message of stored blocks.
pub(crate) fn stored(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in bytes.chunks(65_535) {
        let length = u16::try_from(piece.len()).unwrap_or(u16::MAX);
        out.push(0);
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend_from_slice(piece);
    }
    out.push(0);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::beyond::wire::Noise;

    #[test]
    fn what_was_compressed_is_inflated_again() {
        let mut noise = Noise::new(1);
        for len in [0, 1, 5, 300, 70_000] {
            for bytes in [vec![b'a'; len], noise.bytes(len), noise.letters(len)] {
                for level in [0, 1, 6, 9] {
                    let (mut deflater, mut inflater) = (Deflater::new(level), Inflater::default());
                    for takeover in [true, true, false] {
                        let payload = deflater.message(&bytes, takeover);
                        let inflated = inflater.message(&payload, takeover).unwrap();
                        assert_eq!(inflated.bytes, bytes, "{len} at level {level}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_examples_of_rfc_7692_are_read() {
        let mut inflater = Inflater::default();
        let mut read = |payload: &[u8]| inflater.message(payload, true).unwrap().bytes;
        assert_eq!(read(&[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]), b"Hello");
        assert_eq!(read(&[0xf2, 0x00, 0x11, 0x00, 0x00]), b"Hello");
        assert_eq!(read(&[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00]), b"Hello");
        assert_eq!(read(&stored(b"Hello")), b"Hello");
        let two = [0xf2, 0x48, 0x05, 0, 0, 0, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00];
        assert_eq!(read(&two), b"Hello");
        assert_eq!(read(&[0x00]), b"");
    }

    #[test]
    fn a_block_by_hand_is_read_and_its_distance_is_known() {
        let mut block = Block::fixed();
        block.literals(b"abcdefgh\xC8\xFF");
        block.back(10);
        let inflated = Inflater::default().message(&block.message(), false).unwrap();
        assert_eq!(inflated.bytes, b"abcdefgh\xC8\xFFabc");
        assert_eq!(inflated.distance_max, 10);
        let mut block = Block::fixed();
        block.back(1);
        let error = Inflater::default().message(&block.message(), false).unwrap_err();
        assert!(error.contains("1 back"), "{error}");
    }
}
