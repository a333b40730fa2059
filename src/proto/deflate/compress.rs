//! A message becomes its compressed bytes here (RFC 7692 section 7.2.1). Knows no frames, and does not
//! decide which messages are worth it.

use alloc::boxed::Box;
use alloc::vec::Vec;

use flate2::{Compression, FlushCompress};

use super::negotiate::WindowBits;
use super::pool::Pool;

/// Compresses the messages of one direction of a connection.
///
/// Without takeover it holds nothing between messages; with it, about 390 KiB from the first message on.
pub(crate) struct Compress {
    working: Option<Box<Working>>,
    window_bits: WindowBits,
    level: u8,
    takeover: bool,
}

impl Compress {
    /// `takeover`: a message may refer to the last `window_bits` of the messages before it. `level` as in
    /// [`Deflate`](super::Deflate::level).
    pub(crate) fn new(window_bits: WindowBits, takeover: bool, level: u8) -> Self {
        Self { working: None, window_bits, level: level.min(9), takeover }
    }

    /// Appends the compressed form of the next `payload` of the current message to `out`; all of it, so
    /// that a receiver gets every byte of the fragment. `fin`: the message ends with it.
    ///
    /// An unfinished message with no payload appends nothing.
    pub(crate) fn write(&mut self, payload: &[u8], fin: bool, out: &mut Vec<u8>) {
        if payload.is_empty() {
            // §7.2.3.6: what was written before ended with a byte, so this is the header of an empty block.
            if fin {
                out.push(0x00);
            }
        } else {
            self.zlib(payload, out);
            if fin {
                // §7.2.1: the receiver puts them back.
                debug_assert!(out.ends_with(&FLUSHED));
                out.truncate(out.len() - FLUSHED.len());
            }
        }
        if fin && !self.takeover {
            self.release();
        }
    }

    fn zlib(&mut self, payload: &[u8], out: &mut Vec<u8>) {
        let (window_bits, level) = (self.window_bits, self.level);
        // A state that was reset may choose other matches than a new one. Where it stays with one
        // connection it is new, so that what is sent depends on nothing but that connection.
        let working = self.working.get_or_insert_with(|| match self.takeover {
            true => Working::new(window_bits, level),
            false => Working::take(window_bits, level),
        });
        working.write(payload, out);
    }

    fn release(&mut self) {
        if let Some(working) = self.working.take()
            && !self.takeover
        {
            // Where the thread is ending there is no pool any more, and the state is freed.
            let _ = POOL.try_with(|pool| pool.give(working));
        }
    }
}

impl Drop for Compress {
    fn drop(&mut self) {
        self.release();
    }
}

std::thread_local! {
    static POOL: Pool<Box<Working>> = const { Pool::new() };
}

/// The end of what a sync flush makes: an empty stored block without its header.
const FLUSHED: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];

/// zlib's state, with what it was made for.
struct Working {
    zlib: flate2::Compress,
    window_bits: WindowBits,
    level: u8,
    space: Box<[u8]>,
}

/// The space for output at a time, always the same: zlib may end a block where it runs out of it, and
/// the room in the caller's buffer must not show in the bytes.
const SPACE: usize = 16 * 1024;

impl Working {
    /// One that has compressed nothing yet.
    fn take(window_bits: WindowBits, level: u8) -> Box<Self> {
        let waiting = POOL.try_with(|pool| {
            pool.take(|waiting| waiting.window_bits == window_bits && waiting.level == level)
        });
        match waiting {
            Ok(Some(mut working)) => {
                working.zlib.reset();
                working
            }
            _ => Self::new(window_bits, level),
        }
    }

    fn new(window_bits: WindowBits, level: u8) -> Box<Self> {
        Box::new(Self {
            zlib: flate2::Compress::new_with_window_bits(
                Compression::new(level.into()),
                false,
                window_bits.bits(),
            ),
            window_bits,
            level,
            space: vec![0; SPACE].into_boxed_slice(),
        })
    }

    /// Compresses and flushes to a byte.
    fn write(&mut self, payload: &[u8], out: &mut Vec<u8>) {
        let begin = self.zlib.total_in();
        let mut rest = payload;
        loop {
            let before = self.zlib.total_out();
            self.zlib
                .compress(rest, &mut self.space, FlushCompress::Sync)
                .expect("a state that zlib made does not fail");
            let made = usize::try_from(self.zlib.total_out() - before)
                .expect("zlib makes no more than there is space for");
            out.extend_from_slice(self.space.get(..made).unwrap_or_default());
            let used = usize::try_from(self.zlib.total_in() - begin)
                .expect("zlib takes no more than the payload's length");
            rest = payload.get(used..).unwrap_or_default();
            // As long as it fills the space there may be more.
            if rest.is_empty() && made < self.space.len() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::inflate::{Inflate, InflateError, Step};
    use super::super::walk;
    use super::*;
    use proptest::prelude::*;
    use std::vec;

    fn text(len: usize) -> Vec<u8> {
        let words = ["ape ", "bee ", "cat ", "doe ", "elk ", "fox ", "gnu ", "\u{e9}mu "];
        let mut seed = 7u32;
        let mut text = Vec::new();
        while text.len() < len {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            text.extend_from_slice(words[(seed >> 16) as usize % words.len()].as_bytes());
            text.extend_from_slice((seed % 97).to_string().as_bytes());
        }
        text.truncate(len);
        text
    }

    fn noise(len: usize) -> Vec<u8> {
        let mut seed = 1u32;
        core::iter::repeat_with(|| {
            seed ^= seed << 13;
            seed ^= seed >> 17;
            seed ^= seed << 5;
            seed.to_le_bytes()[1]
        })
        .take(len)
        .collect()
    }

    fn compressed(level: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        Compress::new(WindowBits::MAX, false, level).write(payload, true, &mut out);
        out
    }

    /// What another implementation makes of the message.
    fn oracle(message: &[u8]) -> Vec<u8> {
        // §7.2.2, then an empty block with BFINAL, since it wants an end.
        let stream = [message, &FLUSHED, &[0x03, 0x00]].concat();
        miniz_oxide::inflate::decompress_to_vec(&stream).expect("a DEFLATE stream")
    }

    #[test]
    fn every_level_is_read_by_another_implementation() {
        let payloads = [
            text(1),
            text(2),
            text(3),
            text(5),
            text(1000),
            text(100_000),
            noise(1),
            noise(1000),
            noise(200_000),
            vec![0; 1 << 20],
            [vec![0; 1 << 17], noise(40_000)].concat(),
            (0..=255).collect(),
        ];
        for level in 0..=9 {
            for payload in &payloads {
                let message = compressed(level, payload);
                assert!(oracle(&message) == *payload, "{} at level {level}", payload.len());
            }
        }
    }

    #[test]
    fn what_another_implementation_makes_is_inflated() {
        for level in 0..=10 {
            for payload in [text(0), text(1), text(1000), text(100_000), noise(70_000)] {
                // It ends its stream with BFINAL.
                let mut message = miniz_oxide::deflate::compress_to_vec(&payload, level);
                message.push(0x00);
                let mut out = Vec::new();
                let mut inflate = Inflate::new(WindowBits::MAX, false);
                let stop = inflate.step(&message, true, &mut out, payload.len());
                assert_eq!(stop, Ok((message.len(), Step::Done)));
                assert!(out == payload);
            }
        }
    }

    #[test]
    fn an_empty_message_is_one_zero_byte() {
        // §7.2.3.6
        for takeover in [false, true] {
            let mut compress = Compress::new(WindowBits::MAX, takeover, 1);
            for _ in 0..2 {
                let mut out = Vec::new();
                compress.write(b"", true, &mut out);
                assert_eq!(out, [0x00]);
                compress.write(b"Hello", true, &mut out);
            }
        }
    }

    #[test]
    fn the_rfc_example_of_one_block_and_of_a_shared_window() {
        // §7.2.3.1 and §7.2.3.2, with the fixed code as there.
        let hello = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
        assert_eq!(compressed(1, b"Hello"), hello);
        assert_eq!(compressed(6, b"Hello"), hello);
        let mut compress = Compress::new(WindowBits::MAX, true, 6);
        let mut out = Vec::new();
        compress.write(b"Hello", true, &mut out);
        assert_eq!(out, hello);
        out.clear();
        compress.write(b"Hello", true, &mut out);
        assert_eq!(out, [0xf2, 0x00, 0x11, 0x00, 0x00]);
    }

    #[test]
    fn a_fragment_keeps_its_flush_and_the_last_one_loses_it() {
        for level in [1, 6] {
            for takeover in [false, true] {
                let mut compress = Compress::new(WindowBits::MAX, takeover, level);
                let mut first = Vec::new();
                compress.write(&text(100), false, &mut first);
                assert!(first.ends_with(&FLUSHED));
                let mut last = Vec::new();
                compress.write(b"", false, &mut last);
                assert!(last.is_empty());
                compress.write(&text(50), true, &mut last);
                assert!(!last.ends_with(&FLUSHED));
                let all = oracle(&[first, last].concat());
                assert_eq!(all, [text(100), text(50)].concat());
            }
        }
    }

    #[test]
    fn without_takeover_each_message_stands_alone() {
        for level in 0..=9 {
            let mut compress = Compress::new(WindowBits::MAX, false, level);
            let mut first = Vec::new();
            compress.write(&text(500), true, &mut first);
            let mut second = Vec::new();
            compress.write(&text(500), true, &mut second);
            assert_eq!(first, second, "level {level}");
        }
    }

    #[test]
    fn noise_grows_by_little() {
        for level in 0..=9 {
            for len in [1, 100, 1000, 65_535, 65_536, 200_000] {
                let grown = compressed(level, &noise(len)).len() - len;
                assert!(grown <= 8 + len / 16, "{len} bytes grow by {grown} at level {level}");
            }
        }
    }

    #[test]
    fn the_output_is_appended_and_its_memory_follows_what_was_made() {
        for level in [1, 6] {
            let mut out = b"head".to_vec();
            Compress::new(WindowBits::MAX, false, level).write(&vec![7; 4 << 20], true, &mut out);
            assert!(out.starts_with(b"head"));
            assert!(out.len() < 41_000, "{}", out.len());
            assert!(out.capacity() <= 128 << 10, "{}", out.capacity());
        }
    }

    #[test]
    fn the_room_in_the_callers_buffer_does_not_change_the_bytes() {
        for level in 1..=9 {
            let bytes_with_room = |room: usize| {
                let mut compress = Compress::new(WindowBits::MAX, true, level);
                let mut bytes = Vec::new();
                for len in [13, 400, 20_000, 0, 70_000] {
                    let mut out = Vec::with_capacity(room);
                    compress.write(&noise(len), true, &mut out);
                    bytes.extend(out);
                }
                bytes
            };
            let tight = bytes_with_room(0);
            for room in [1, 100, 1000, 30_000, 1 << 20] {
                assert_eq!(bytes_with_room(room), tight, "level {level}, room for {room}");
            }
        }
    }

    #[test]
    fn with_takeover_what_others_compressed_before_does_not_change_the_bytes() {
        let messages: Vec<Vec<u8>> = (0..400usize)
            .map(|i| match i % 4 {
                0 => noise(i % 23 + 1),
                1 => text(i % 61 + 1),
                2 => vec![b'b'; i % 5 + 1],
                _ => [text(i % 17 + 1), noise(9), text(i % 17 + 1)].concat(),
            })
            .collect();
        for level in [1, 2, 6] {
            let said = |takeover: bool| {
                let mut compress = Compress::new(WindowBits::MAX, takeover, level);
                let mut bytes = Vec::new();
                for message in &messages {
                    compress.write(message, true, &mut bytes);
                }
                bytes
            };
            let alone = said(true);
            said(false);
            assert_eq!(said(true), alone, "level {level}");
        }
    }

    #[test]
    fn no_reference_is_farther_than_the_window() {
        // Repetitions at every distance, so that a larger window would be used if it were allowed.
        let mut payload = noise(300);
        for distance in [200, 400, 600, 1500, 3000, 6000, 12_000] {
            while payload.len() < distance {
                payload.extend(noise(payload.len() + 77));
            }
            let again = payload[payload.len() - distance..][..150].to_vec();
            payload.extend(again);
        }
        payload.extend(text(5_000));
        for level in [1, 2, 6] {
            for takeover in [false, true] {
                let mut farthest = Vec::new();
                for bits in [9, 10, 15] {
                    let window_bits = WindowBits::new(bits).unwrap();
                    let mut compress = Compress::new(window_bits, takeover, level);
                    let mut message = Vec::new();
                    for part in payload.chunks(10_000) {
                        compress.write(part, false, &mut message);
                    }
                    compress.write(b"", true, &mut message);
                    let (bytes, reach) = walk::inflate(&[&message[..], &FLUSHED].concat());
                    assert!(bytes == payload);
                    assert!(reach <= 1 << bits, "{reach} at {bits} bits, level {level}");
                    farthest.push(reach);
                }
                // The window is used as well: else this test could not fail.
                assert!(farthest[2] > 1 << 12, "{farthest:?} at level {level}");
            }
        }
    }

    #[test]
    fn an_idle_compressor_holds_no_state() {
        assert!(size_of::<Compress>() <= 16);
        std::thread::spawn(|| {
            let pooled = || POOL.with(Pool::len);
            let mut out = Vec::new();
            let mut compress: Vec<_> =
                (0..20).map(|_| Compress::new(WindowBits::MAX, false, 6)).collect();
            for compress in &mut compress {
                compress.write(b"Hello", true, &mut out);
                assert!(compress.working.is_none());
            }
            assert_eq!(pooled(), 1);
            let mut small = Compress::new(WindowBits::MIN, false, 6);
            small.write(b"Hello", false, &mut out);
            assert_eq!(pooled(), 1, "another window is another state");
            drop(small);
            assert_eq!(pooled(), 2);
            for compress in &mut compress {
                compress.write(b"Hello", false, &mut out);
            }
            drop(compress);
            assert_eq!(pooled(), super::super::pool::KEPT_MAX);
        })
        .join()
        .unwrap();
    }

    /// Text with repetitions, or noise, or zeros.
    fn payload() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..40),
            (0..3000usize).prop_map(text),
            (0..3000usize).prop_map(noise),
            (0..40_000usize).prop_map(|len| vec![0; len]),
            prop::collection::vec(0..3u8, 0..600),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn messages_come_through_whatever_is_agreed_and_however_they_are_cut(
            messages in prop::collection::vec(prop::collection::vec(payload(), 1..4), 1..5),
            bits in 9..=15u8,
            takeover: bool,
            level in 0..=9u8,
            cut in 1..500usize,
            room in 1..3000usize,
        ) {
            let window_bits = WindowBits::new(bits).unwrap();
            let mut compress = Compress::new(window_bits, takeover, level);
            let mut inflate = Inflate::new(window_bits, takeover);
            for fragments in messages {
                let mut message = Vec::new();
                let count = fragments.len();
                for (i, fragment) in fragments.iter().enumerate() {
                    compress.write(fragment, i + 1 == count, &mut message);
                }
                let mut all = Vec::new();
                let mut from = 0;
                loop {
                    let to = message.len().min(from + cut);
                    let last = to == message.len();
                    let mut out = Vec::new();
                    let (used, step) = inflate
                        .step(&message[from..to], last, &mut out, room)
                        .expect("what was compressed can be inflated");
                    prop_assert!(out.len() <= room);
                    prop_assert!(used > 0 || !out.is_empty() || step == Step::Done || from == to);
                    from += used;
                    all.extend(out);
                    if step == Step::Done {
                        break;
                    }
                }
                prop_assert_eq!(from, message.len());
                prop_assert!(all == fragments.concat());
            }
        }

        #[test]
        fn any_bytes_are_inflated_alike_in_any_cut_and_any_room(
            bytes in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..60),
                (payload(), 0..2000usize, any::<u8>()).prop_map(|(payload, at, bits)| {
                    let mut message = compressed(6, &payload);
                    let len = message.len();
                    message[at % len] ^= bits;
                    message
                }),
            ],
            takeover: bool,
            cut in 1..20usize,
            room in 1..100usize,
        ) {
            let run = |cut: usize, room: usize| {
                let mut inflate = Inflate::new(WindowBits::MAX, takeover);
                let mut all = Vec::new();
                let mut from = 0;
                loop {
                    let to = bytes.len().min(from + cut);
                    let mut out = Vec::new();
                    let (used, step) =
                        inflate.step(&bytes[from..to], to == bytes.len(), &mut out, room)?;
                    from += used;
                    all.extend(out);
                    if step == Step::Done {
                        return Ok::<_, InflateError>(all);
                    }
                }
            };
            prop_assert_eq!(run(cut, room), run(usize::MAX >> 1, 1 << 20));
        }
    }
}
