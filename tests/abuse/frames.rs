//! Frames that RFC 6455 forbids, and lengths that nobody means.

use std::io::Write;
use std::time::Duration;

use crate::actor::{Actor, Saw, frame};
use crate::trial::{Trial, upgrade};

const DEFLATE: &str = "permessage-deflate";

/// What a client sees whose connection fails with this code.
fn fails_with(mut client: Actor, code: u16, what: &str) {
    client.watch_for(usize::MAX, Duration::from_secs(20));
    let saw = &client.saw[client.saw.len().saturating_sub(2)..];
    let failed = matches!(saw, [Saw::Close(Some(seen), _), Saw::TcpEnd] if *seen == code);
    assert!(failed, "{what}: {saw:?} instead of {code}");
}

fn sends(trial: &Trial, what: &str, code: u16, wire: &[Vec<u8>]) {
    // Whole, and a byte at a time for a while.
    for cut in [usize::MAX, 1] {
        let mut client = Actor::open(trial.address(), "/echo");
        let bytes = wire.concat();
        let slow = cut.min(bytes.len()).min(20);
        for byte in bytes[..if cut == 1 { slow } else { 0 }].chunks(1) {
            client.write(byte);
        }
        client.write(&bytes[if cut == 1 { slow } else { 0 }..]);
        fails_with(client, code, what);
    }
}

/// A frame whose header is written by hand.
fn by_hand(header: &[u8], payload: &[u8]) -> Vec<u8> {
    // The mask key is zero.
    [header, &[0; 4], payload].concat()
}

fn good(first: u8, payload: &[u8]) -> Vec<u8> {
    frame(first, payload, true, None)
}

#[test]
fn an_unmasked_frame_of_any_kind_fails_with_1002() {
    let trial = Trial::start(&[]);
    for first in [0x81, 0x82, 0x01, 0x80, 0x88, 0x89, 0x8A] {
        let what = format!("unmasked {first:#04x}");
        sends(&trial, &what, 1002, &[frame(first, b"hi", false, None)]);
        sends(&trial, &what, 1002, &[frame(first, b"", false, None)]);
    }
    trial.survived();
}

#[test]
fn a_reserved_bit_or_opcode_fails_with_1002() {
    let trial = Trial::start(&[]);
    for bits in [0x40, 0x20, 0x10, 0x70] {
        for opcode in [0x1, 0x2, 0x8, 0x9, 0xA] {
            let first = 0x80 | bits | opcode;
            sends(&trial, &format!("{first:#04x}"), 1002, &[good(first, b"hi")]);
        }
        let continued = [good(0x01, b"a"), good(0x80 | bits, b"b")];
        sends(&trial, &format!("continuation with {bits:#04x}"), 1002, &continued);
    }
    for opcode in [3, 4, 5, 6, 7, 0xB, 0xC, 0xD, 0xE, 0xF] {
        sends(&trial, &format!("opcode {opcode}"), 1002, &[good(0x80 | opcode, b"hi")]);
        sends(&trial, &format!("opcode {opcode}, no fin"), 1002, &[good(opcode, b"")]);
    }
    trial.survived();
}

#[test]
fn a_control_frame_that_is_long_or_in_fragments_fails_with_1002() {
    let trial = Trial::start(&[]);
    for opcode in [0x8, 0x9, 0xA] {
        sends(&trial, "126 bytes", 1002, &[good(0x80 | opcode, &[0; 126])]);
        sends(&trial, "70,000 bytes", 1002, &[good(0x80 | opcode, &[0; 70_000])]);
        sends(&trial, "no fin", 1002, &[good(opcode, b"")]);
    }
    trial.survived();
}

#[test]
fn a_length_in_more_bytes_than_it_needs_fails_with_1002() {
    let trial = Trial::start(&[]);
    sends(&trial, "5 in 16 bits", 1002, &[by_hand(&[0x82, 0xFE, 0, 5], b"hello")]);
    sends(&trial, "125 in 16 bits", 1002, &[by_hand(&[0x82, 0xFE, 0, 125], &[0; 125])]);
    let header = [0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0, 5];
    sends(&trial, "5 in 64 bits", 1002, &[by_hand(&header, b"hello")]);
    let header = [0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF];
    sends(&trial, "65,535 in 64 bits", 1002, &[by_hand(&header, &[0; 65_535])]);
    trial.survived();
}

#[test]
fn fragments_out_of_order_fail_with_1002() {
    let trial = Trial::start(&[]);
    sends(&trial, "a continuation of nothing", 1002, &[good(0x80, b"a")]);
    sends(&trial, "an open continuation of nothing", 1002, &[good(0x00, b"")]);
    let again = [good(0x81, b"whole"), good(0x80, b"more")];
    sends(&trial, "a continuation behind a whole message", 1002, &again);
    for second in [0x81, 0x82, 0x01, 0x02] {
        let mixed = [good(0x01, b"a"), good(second, b"b")];
        sends(&trial, "a message within a message", 1002, &mixed);
    }
    trial.survived();
}

#[test]
fn a_close_frame_with_a_bad_body_fails_with_1002_or_1007() {
    let trial = Trial::start(&[]);
    sends(&trial, "a body of one byte", 1002, &[good(0x88, &[3])]);
    for code in [0u16, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535] {
        sends(&trial, &format!("code {code}"), 1002, &[good(0x88, &code.to_be_bytes())]);
    }
    let reason = [&1000u16.to_be_bytes()[..], b"\xFF"].concat();
    sends(&trial, "a reason that is no text", 1007, &[good(0x88, &reason)]);
    trial.survived();
}

#[test]
fn text_that_is_not_utf_8_fails_with_1007() {
    let trial = Trial::start(&[]);
    let bad: [&[u8]; 7] = [
        b"\xFF",
        b"ok \xC0\x80",
        b"\xED\xA0\x80",
        b"\xF4\x90\x80\x80",
        b"\x80",
        b"cut \xE2\x82",
        b"\xF8\x88\x80\x80\x80",
    ];
    for text in bad {
        sends(&trial, &format!("{text:02x?}"), 1007, &[good(0x81, text)]);
        let (one, two) = text.split_at(text.len() / 2);
        sends(&trial, &format!("{text:02x?}, cut"), 1007, &[good(0x01, one), good(0x80, two)]);
    }
    trial.survived();
}

#[test]
fn compressed_frames_that_may_not_be_fail_with_1002_or_1007() {
    let trial = Trial::start(&["--deflate"]);
    let sends = |what: &str, code, wire: &[Vec<u8>]| {
        let header = ("Sec-WebSocket-Extensions".to_owned(), Some(DEFLATE.to_owned()));
        let mut client = Actor::request(trial.address(), "GET", "/broadcast", &[header], b"");
        client.watch(1);
        client.write(&wire.concat());
        fails_with(client, code, what);
    };
    sends("RSV1 on a ping", 1002, &[good(0xC9, b"")]);
    sends("RSV1 on a close", 1002, &[good(0xC8, b"")]);
    sends("RSV1 on a continuation", 1002, &[good(0x41, b"\x00"), good(0xC0, b"\x00")]);
    sends("RSV2", 1002, &[good(0xA1, b"hi")]);
    sends("not deflate data", 1007, &[good(0xC1, b"\xFF\xFF\xFF\xFF\xFF")]);
    sends("a block type that is none", 1007, &[good(0xC2, b"\x07")]);
    sends("a stored block that is cut", 1007, &[good(0xC2, b"\x01\xFF\x00\x00\xFF")]);
    sends("a reference to before the start", 1007, &[good(0xC2, b"\x4A\x04\x06\x00")]);
    trial.survived();
}

#[test]
fn a_length_declared_beyond_the_limit_fails_with_1009_and_reserves_nothing() {
    let trial = Trial::start(&["--max-payload", "65536"]);
    for declared in [65_537, 1 << 20, 1 << 40, u64::MAX >> 1] {
        let what = format!("{declared} bytes declared");
        sends(&trial, &what, 1009, &[frame(0x82, &[7; 100], true, Some(declared))]);
        let second = [good(0x02, &[7; 100]), frame(0x80, &[7; 100], true, Some(declared))];
        sends(&trial, &format!("{what} by a continuation"), 1009, &second);
    }
    // §5.2: the most significant bit is 0.
    let header = [&[0x82, 0xFF][..], &u64::MAX.to_be_bytes()].concat();
    sends(&trial, "2^64 - 1 bytes", 1002, &[by_hand(&header, b"")]);
    trial.survived();
}

#[test]
fn a_large_length_within_the_limit_costs_what_has_arrived() {
    let trial = Trial::start(&[]);
    let mut clients = Vec::new();
    for _ in 0..100 {
        let mut client = upgrade(trial.address(), "/echo", None);
        // Each may send 16 MiB and sends 100 bytes of them.
        client.write_all(&frame(0x82, &[7; 100], true, Some(16 << 20))).unwrap();
        clients.push(client);
    }
    std::thread::sleep(Duration::from_millis(300));
    trial.survived();
}
