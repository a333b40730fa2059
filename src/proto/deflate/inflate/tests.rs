use super::*;
use flate2::{Compress, Compression, FlushCompress};
use std::vec;

const ROOM: usize = 1 << 20;

fn whole(inflate: &mut Inflate, message: &[u8]) -> Result<Vec<u8>, InflateError> {
    let mut out = Vec::new();
    let (used, step) = inflate.step(message, true, &mut out, ROOM)?;
    assert_eq!((used, step), (message.len(), Step::Done));
    Ok(out)
}

fn fresh(takeover: bool) -> Inflate {
    Inflate::new(WindowBits::MAX, takeover)
}

/// The message in pieces of `cut` bytes into rooms of `room`, as a streaming caller would.
fn pieces(
    inflate: &mut Inflate,
    message: &[u8],
    cut: usize,
    room: usize,
) -> Result<Vec<u8>, InflateError> {
    let mut all = Vec::new();
    let mut cuts = message.chunks(cut).peekable();
    let mut rest = cuts.next().unwrap_or_default();
    loop {
        let mut out = Vec::new();
        let last = cuts.peek().is_none();
        let (used, step) = inflate.step(rest, last, &mut out, room)?;
        assert!(out.len() <= room);
        rest = &rest[used..];
        all.extend(out);
        match step {
            Step::Done => {
                assert!(last && rest.is_empty());
                return Ok(all);
            }
            Step::OutputFull => {}
            Step::NeedInput => {
                assert!(rest.is_empty());
                rest = cuts.next().expect("only the middle of a message needs more");
            }
        }
    }
}

fn deflated(payload: &[u8]) -> Vec<u8> {
    let mut zlib = Compress::new_with_window_bits(Compression::new(6), false, 15);
    let mut out = Vec::with_capacity(payload.len() + 1024);
    zlib.compress_vec(payload, &mut out, FlushCompress::Sync).unwrap();
    assert_eq!(zlib.total_in(), payload.len() as u64);
    out.truncate(out.len() - 4);
    out
}

fn text(len: usize) -> Vec<u8> {
    let words = ["ape ", "bee ", "cat ", "doe ", "elk ", "fox ", "gnu "];
    let mut seed = 7u32;
    let mut text = Vec::new();
    while text.len() < len {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        text.extend_from_slice(words[(seed >> 16) as usize % words.len()].as_bytes());
    }
    text.truncate(len);
    text
}

#[test]
fn the_rfc_example_of_one_block() {
    // §7.2.3.1
    let hello = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    assert_eq!(whole(&mut fresh(false), &hello).unwrap(), b"Hello");
    for cut in 1..hello.len() {
        assert_eq!(pieces(&mut fresh(false), &hello, cut, 1).unwrap(), b"Hello");
    }
}

#[test]
fn the_rfc_example_of_a_shared_window() {
    // §7.2.3.2
    let hello = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    let again = [0xf2, 0x00, 0x11, 0x00, 0x00];
    let mut inflate = fresh(true);
    assert_eq!(whole(&mut inflate, &hello).unwrap(), b"Hello");
    assert_eq!(whole(&mut inflate, &hello).unwrap(), b"Hello");
    assert_eq!(whole(&mut inflate, &again).unwrap(), b"Hello");

    let mut inflate = fresh(false);
    assert_eq!(whole(&mut inflate, &hello).unwrap(), b"Hello");
    assert_eq!(whole(&mut inflate, &again), Err(InflateError::Corrupt));
}

#[test]
fn the_rfc_example_of_a_stored_block() {
    // §7.2.3.3
    let stored = [0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00];
    assert_eq!(whole(&mut fresh(false), &stored).unwrap(), b"Hello");
}

#[test]
fn the_rfc_example_of_bfinal() {
    // §7.2.3.4
    let bfinal = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
    assert_eq!(whole(&mut fresh(false), &bfinal).unwrap(), b"Hello");
    // A sender that forgets the byte which makes room for the tail.
    assert_eq!(whole(&mut fresh(false), &bfinal[..7]).unwrap(), b"Hello");
}

#[test]
fn the_rfc_example_of_two_blocks() {
    // §7.2.3.5
    let two = [0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00];
    assert_eq!(whole(&mut fresh(false), &two).unwrap(), b"Hello");
    for cut in 1..two.len() {
        assert_eq!(pieces(&mut fresh(true), &two, cut, 2).unwrap(), b"Hello");
    }
}

#[test]
fn the_rfc_example_of_an_empty_message_and_one_without_any_byte() {
    // §7.2.3.6
    for takeover in [false, true] {
        let mut inflate = fresh(takeover);
        assert_eq!(whole(&mut inflate, &[0x00]).unwrap(), b"");
        assert_eq!(whole(&mut inflate, &[]).unwrap(), b"");
        let mut out = Vec::new();
        assert_eq!(inflate.step(&[], false, &mut out, 0), Ok((0, Step::NeedInput)));
        assert_eq!(inflate.step(&[0x00], true, &mut out, 0), Ok((1, Step::Done)));
    }
}

#[test]
fn blocks_may_follow_bfinal_and_refer_to_what_was_before_it() {
    // "Hello" with BFINAL, then §7.2.3.2's reference to it, with and without takeover.
    let message = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0xf2, 0x00, 0x11, 0x00, 0x00];
    for takeover in [false, true] {
        let mut inflate = fresh(takeover);
        assert_eq!(whole(&mut inflate, &message).unwrap(), b"HelloHello");
        for cut in 1..message.len() {
            for room in 1..11 {
                let all = pieces(&mut inflate, &message, cut, room).unwrap();
                assert_eq!(all, b"HelloHello", "cut {cut} room {room}");
            }
        }
    }
}

#[test]
fn the_window_outlives_bfinal_from_message_to_message() {
    let bfinal = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
    let again = [0xf2, 0x00, 0x11, 0x00, 0x00];
    let mut inflate = fresh(true);
    for _ in 0..3 {
        assert_eq!(whole(&mut inflate, &bfinal).unwrap(), b"Hello");
        assert_eq!(whole(&mut inflate, &again).unwrap(), b"Hello");
    }
}

#[test]
fn a_sender_that_does_not_cut_the_tail_off_is_understood() {
    let hello = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00, 0x00, 0xff, 0xff];
    for cut in 1..=hello.len() {
        for room in [5, 6] {
            let all = pieces(&mut fresh(true), &hello, cut, room).unwrap();
            assert_eq!(all, b"Hello", "cut {cut}");
        }
    }
    // The last fragment has no bytes at all, since there was nothing to flush any more.
    let mut out = Vec::new();
    let mut inflate = fresh(false);
    inflate.step(&hello, false, &mut out, 5).unwrap();
    assert_eq!(inflate.step(&[], true, &mut out, 0), Ok((0, Step::Done)));
    // But the four bytes are not the end of just anything.
    let stop = inflate.step(&[0x00, 0x00, 0xff, 0xff], true, &mut out, 5);
    assert_eq!(stop, Err(InflateError::Truncated));
}

#[test]
fn ten_thousand_streams_with_bfinal_make_one_message() {
    let mut message = [0x03, 0x00].repeat(10_000);
    message.push(0x00);
    assert_eq!(whole(&mut fresh(true), &message).unwrap(), b"");
}

#[test]
fn a_message_of_exactly_the_room_is_done_and_one_more_byte_is_not() {
    for len in [0, 1, 63, 64, 65, 1000, 16_384, 16_385, 70_000] {
        let message = deflated(&text(len));
        for capacity in [0, len, len + 1, len * 2 + 100] {
            let mut inflate = fresh(false);
            let mut out = Vec::with_capacity(capacity);
            let stop = inflate.step(&message, true, &mut out, len);
            assert_eq!(stop, Ok((message.len(), Step::Done)), "{len} in {capacity}");
            assert_eq!(out, text(len));
            if len > 0 {
                let mut out = Vec::with_capacity(capacity);
                let (_, step) = fresh(false).step(&message, true, &mut out, len - 1).unwrap();
                assert_eq!(step, Step::OutputFull, "{len} in {capacity}");
                assert_eq!(out, text(len - 1));
            }
        }
    }
}

#[test]
fn the_last_byte_of_input_may_hold_more_than_there_is_room_for() {
    // 92 bytes of three letters. Its codes are so short that the last letter, the end of the block and the
    // header of the next share a byte.
    let message = [
        0x54, 0xca, 0x31, 0x0e, 0x00, 0x00, 0x08, 0xc2, 0xc0, 0xd2, 0xff, 0x3f, 0xda, 0x49, 0x23,
        0x13, 0x39, 0x52, 0x84, 0x60, 0xd8, 0x2d, 0x88, 0xf1, 0x17, 0x85, 0xcd, 0xee, 0xfc, 0x50,
        0x06,
    ];
    let mut inflate = fresh(false);
    let mut out = Vec::new();
    let stop = inflate.step(&message, true, &mut out, 91);
    assert_eq!(stop, Ok((message.len(), Step::OutputFull)));
    assert_eq!(inflate.step(&[], true, &mut out, 0), Ok((0, Step::OutputFull)));
    assert_eq!(inflate.step(&[], true, &mut out, 1), Ok((0, Step::Done)));
    assert_eq!(out, whole(&mut inflate, &message).unwrap());
}

#[test]
fn after_a_full_room_the_message_goes_on_where_it_stopped() {
    let message = deflated(&text(5000));
    for room in [1, 2, 63, 64, 100, 4999] {
        let all = pieces(&mut fresh(false), &message, message.len(), room).unwrap();
        assert_eq!(all, text(5000));
    }
}

#[test]
fn a_bomb_stops_at_the_room_and_its_memory_too() {
    // After a full flush nothing refers back, so the same mebibyte can be repeated.
    let mut zlib = Compress::new_with_window_bits(Compression::new(9), false, 15);
    let mut mebibyte = Vec::with_capacity(1 << 16);
    zlib.compress_vec(&vec![0; 1 << 20], &mut mebibyte, FlushCompress::Full).unwrap();
    let mut bomb = mebibyte.repeat(100);
    bomb.truncate(bomb.len() - 4);
    assert!(bomb.len() < 120 << 10);

    let room = 64 << 10;
    for piece in [bomb.len(), 1000] {
        let mut inflate = fresh(false);
        let mut out = Vec::new();
        let stopped = bomb.chunks(piece).any(|input| {
            let left = room - out.len();
            let (_, step) = inflate.step(input, false, &mut out, left).unwrap();
            step == Step::OutputFull
        });
        assert!(stopped);
        assert_eq!(out.len(), room);
        assert!(out.capacity() <= room, "{}", out.capacity());
    }
}

#[test]
fn space_grows_with_what_was_produced_and_not_with_the_room() {
    let message = deflated(&text(1000));
    let mut out = Vec::new();
    fresh(false).step(&message, true, &mut out, usize::MAX).unwrap();
    assert_eq!(out, text(1000));
    assert!(out.capacity() <= 4 * message.len().max(500), "{}", out.capacity());
}

#[test]
fn a_truncated_message_is_found_out() {
    for payload in [text(10), text(3000)] {
        let message = deflated(&payload);
        for len in 1..message.len() {
            let mut out = Vec::new();
            let stop = fresh(false).step(&message[..len], true, &mut out, ROOM);
            assert_eq!(stop, Err(InflateError::Truncated), "{len} of {}", message.len());
        }
    }
    // A stored block of 5 bytes with 2 of them.
    let stored = [0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65];
    let stop = fresh(false).step(&stored, true, &mut Vec::new(), ROOM);
    assert_eq!(stop, Err(InflateError::Truncated));
}

#[test]
fn what_is_not_deflate_is_corrupt() {
    let cases: [&[u8]; 5] = [
        &[0x06],                                           // block type 3
        &[0x00, 0x05, 0x00, 0x00, 0x00, 0x00],             // LEN and NLEN disagree
        &[0xf2, 0x00, 0x11, 0x00, 0x00],                   // refers to nothing
        &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x07], // garbage after BFINAL
        &[0xff; 20],
    ];
    for case in cases {
        let stop = fresh(true).step(case, true, &mut Vec::new(), ROOM);
        assert_eq!(stop, Err(InflateError::Corrupt), "{case:x?}");
    }
}

#[test]
fn any_bytes_end_without_panic_and_a_flipped_bit_harms_only_its_message() {
    let message = deflated(&text(300));
    for bit in 0..message.len() * 8 {
        let mut bytes = message.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let mut inflate = fresh(false);
        for cut in [bytes.len(), 7] {
            let _ = pieces(&mut inflate, &bytes, cut, 100);
            assert_eq!(whole(&mut fresh(false), &message).unwrap(), text(300));
        }
    }
}

#[test]
fn an_idle_inflater_holds_no_state_and_its_window_is_what_was_agreed() {
    assert!(size_of::<Inflate>() <= 24);
    std::thread::spawn(|| {
        let pooled = || POOL.with(Pool::len);
        let message = deflated(&text(40_000));
        let mut inflate = fresh(false);
        whole(&mut inflate, &message).unwrap();
        assert_eq!(pooled(), 1);
        assert!(inflate.working.is_none() && inflate.kept.is_none());

        let mut small = Inflate::new(WindowBits::MIN, true);
        whole(&mut small, &message).unwrap();
        assert_eq!(pooled(), 1, "one state serves all agreements");
        assert!(small.working.is_none());
        assert!(small.kept.as_ref().unwrap().0.capacity() <= 512);

        // In the middle of a message each has its own, and gives it back when dropped.
        let mut many: Vec<_> = (0..20).map(|_| fresh(false)).collect();
        for inflate in &mut many {
            let mut out = Vec::new();
            inflate.step(&message[..50], false, &mut out, ROOM).unwrap();
        }
        assert_eq!(pooled(), 0);
        drop(many);
        assert_eq!(pooled(), super::super::pool::KEPT_MAX);
    })
    .join()
    .unwrap();
}

#[test]
fn a_message_goes_on_in_another_thread() {
    let message = deflated(&text(1000));
    let mut inflate = fresh(true);
    let mut out = Vec::new();
    inflate.step(&message[..100], false, &mut out, ROOM).unwrap();
    let out = std::thread::spawn(move || {
        inflate.step(&message[100..], true, &mut out, ROOM).unwrap();
        out
    });
    assert_eq!(out.join().unwrap(), text(1000));
}
