//! Frames to messages: RFC 6455 section 5, rule by rule.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use sockeye::proto::{Config, HeaderError, Limits, OpCode, Violation};
use support::*;

fn failure(frames: &[Wire]) -> Violation {
    let run = server_reads(frames);
    let Some(Seen::Failed(violation)) = run.seen.last() else {
        panic!("{frames:?} was accepted: {:?}", run.seen);
    };
    assert_eq!(close_code_in(&run.out), Some(violation.close_code().as_u16()));
    *violation
}

#[test]
fn the_examples_of_rfc_6455_section_5_7_read_as_the_rfc_says() {
    // A single-frame masked text message, and a masked pong.
    let mut server = Run::server(Config::default());
    server.read(&[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    server.read(&[0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    assert_eq!(server.seen, [seen_text("Hello"), Seen::Pong(b"Hello".to_vec())]);

    // Unmasked: single-frame text, two fragments, ping, 256 bytes and 64 KiB of binary.
    let mut client = Run::client(Config::default());
    client.read(&[0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
    client.read(&[0x01, 0x03, 0x48, 0x65, 0x6c]);
    client.read(&[0x80, 0x02, 0x6c, 0x6f]);
    client.read(&[0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
    client.read(&[&[0x82, 0x7E, 0x01, 0x00][..], &[7; 256]].concat());
    client.read(&[&[0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0][..], &[8; 65536]].concat());
    let expected = [
        seen_text("Hello"),
        seen_text("Hello"),
        Seen::Ping(b"Hello".to_vec()),
        Seen::Binary(vec![7; 256]),
        Seen::Binary(vec![8; 65536]),
    ];
    assert_eq!(client.seen, expected);
    // The ping was answered by a masked pong (the key of this test's client is zero).
    assert_eq!(client.out, b"\x8a\x85\0\0\0\0Hello");
}

#[test]
fn a_message_is_echoed_at_every_length_around_the_encodings() {
    for len in (0..300).chain(65_530..65_540).chain([1 << 20]) {
        let payload: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
        let run = server_reads(&[binary(&payload)]);
        assert_eq!(run.seen, [Seen::Binary(payload.clone())], "{len}");
        let mut echo = Run::server(Config::default());
        echo.echo(&binary(&payload).bytes());
        assert_eq!(echo.out, binary(&payload).unmasked().bytes(), "{len}");
    }
}

#[test]
fn fragments_become_one_message() {
    let run =
        server_reads(&[text("one-").more(), continuation("two-").more(), continuation("three")]);
    assert_eq!(run.seen, [seen_text("one-two-three")]);
}

#[test]
fn empty_fragments_add_nothing() {
    let run = server_reads(&[text("").more(), continuation("").more(), continuation("")]);
    assert_eq!(run.seen, [seen_text("")]);
    let run = server_reads(&[binary("").more(), continuation("x").more(), continuation("")]);
    assert_eq!(run.seen, [Seen::Binary(b"x".to_vec())]);
}

#[test]
fn a_ping_between_fragments_is_answered_first() {
    let run = server_reads(&[text("a").more(), ping("p"), continuation("b")]);
    assert_eq!(run.seen, [Seen::Ping(b"p".to_vec()), seen_text("ab")]);
    assert_eq!(run.out, b"\x8a\x01p");
}

#[test]
fn a_pong_between_fragments_and_unasked_is_reported_and_not_answered() {
    let run = server_reads(&[text("a").more(), pong("x"), continuation("b")]);
    assert_eq!(run.seen, [Seen::Pong(b"x".to_vec()), seen_text("ab")]);
    assert!(run.out.is_empty());
}

#[test]
fn a_character_may_be_split_over_fragments() {
    let run = server_reads(&[text([0xe4, 0xbd]).more(), continuation([0xa0, 0xe5, 0xa5, 0xbd])]);
    assert_eq!(run.seen, [seen_text("你好")]);
}

#[test]
fn invalid_text_fails_at_the_first_impossible_octet_before_the_frame_is_complete() {
    // κόσμε, then a surrogate, then text that never comes: a frame of 1000 bytes.
    let mut bytes = text(["κόσμε".as_bytes(), &[0xed, 0xa0]].concat()).declaring(1000).bytes();
    let last = bytes.pop().unwrap();
    let mut run = Run::server(Config::default());
    run.read(&bytes);
    assert!(run.seen.is_empty(), "ED alone may become a character");
    run.read(&[last]);
    assert_eq!(run.seen, [Seen::Failed(Violation::InvalidUtf8)]);
    assert_eq!(close_code_in(&run.out), Some(1007));
}

#[test]
fn invalid_text_fails_in_the_fragment_where_it_stands() {
    let run = server_reads(&[text("ok").more(), continuation([0xff]).more()]);
    assert_eq!(run.seen, [Seen::Failed(Violation::InvalidUtf8)]);
}

#[test]
fn a_text_must_not_end_within_a_character() {
    assert_eq!(failure(&[text([0xe4, 0xbd])]), Violation::InvalidUtf8);
    assert_eq!(failure(&[text([0xe4]).more(), continuation([0xbd])]), Violation::InvalidUtf8);
    assert_eq!(failure(&[text([0xe4]).more(), continuation("")]), Violation::InvalidUtf8);
}

#[test]
fn an_invalid_octet_fails_at_every_offset_and_every_length_around_the_vector_widths() {
    for len in
        [1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 125, 126, 127, 128, 129, 4095, 4096, 4097, 65536]
    {
        let step = (len / 70).max(1);
        for offset in (0..len).step_by(step).chain([len - 1]) {
            let mut payload = vec![b'x'; len];
            payload[offset] = 0xc0;
            assert_eq!(failure(&[text(&payload)]), Violation::InvalidUtf8, "{offset} of {len}");
            assert_eq!(server_reads(&[binary(&payload)]).seen, [Seen::Binary(payload)]);
        }
    }
}

#[test]
fn binary_is_not_judged_as_text() {
    let run = server_reads(&[binary([0xff]).more(), continuation([0xc0])]);
    assert_eq!(run.seen, [Seen::Binary(vec![0xff, 0xc0])]);
}

#[test]
fn a_continuation_without_a_message_is_refused() {
    assert_eq!(failure(&[continuation("x")]), Violation::NothingToContinue);
    assert_eq!(failure(&[continuation("x").more()]), Violation::NothingToContinue);
    assert_eq!(failure(&[text("done"), continuation("x")]), Violation::NothingToContinue);
}

#[test]
fn a_new_message_before_the_last_is_finished_is_refused() {
    assert_eq!(failure(&[text("a").more(), text("b")]), Violation::MessageUnfinished(OpCode::Text));
    assert_eq!(
        failure(&[text("a").more(), binary("b").more()]),
        Violation::MessageUnfinished(OpCode::Binary)
    );
}

#[test]
fn reserved_bits_are_refused_on_every_opcode() {
    for bits in 1..8 {
        for wire in [text("x"), binary("x"), ping("x"), pong("x"), close(1000, "")] {
            assert_eq!(failure(&[wire.rsv(bits)]), Violation::ReservedBits(bits));
        }
        assert_eq!(
            failure(&[text("x").more(), continuation("y").rsv(bits)]),
            Violation::ReservedBits(bits)
        );
    }
}

#[test]
fn reserved_opcodes_are_refused() {
    for bits in (3..8).chain(11..16) {
        let mut run = Run::server(Config::default());
        run.read(&text("good").bytes()).read(&[0x80 | bits, 0x80, 0, 0, 0, 0]);
        let violation = Violation::Header(HeaderError::ReservedOpcode(bits));
        assert_eq!(run.seen, [seen_text("good"), Seen::Failed(violation)]);
        assert_eq!(close_code_in(&run.out), Some(1002));
    }
}

#[test]
fn a_length_that_is_not_in_its_shortest_encoding_is_refused() {
    for len in [0, 5, 125] {
        let mut bytes = vec![0x82, 0x80 | 126, 0, len, 0, 0, 0, 0];
        bytes.extend(vec![7; usize::from(len)]);
        let mut run = Run::server(Config::default());
        run.read(&bytes);
        let violation = Violation::Header(HeaderError::LengthNotMinimal(u64::from(len)));
        assert_eq!(run.seen, [Seen::Failed(violation)]);
    }
    let mut run = Run::server(Config::default());
    run.read(&[0x82, 0x80 | 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0]);
    let violation = Violation::Header(HeaderError::LengthNotMinimal(0xffff));
    assert_eq!(run.seen, [Seen::Failed(violation)]);
}

#[test]
fn control_frames_must_be_short_and_whole() {
    for wire in [ping([0; 126]), pong([0; 126]), frame(OpCode::Close, [0; 126])] {
        assert!(matches!(failure(&[wire]), Violation::Header(HeaderError::ControlTooLong(_))));
    }
    for wire in [ping("x").more(), pong("x").more(), close(1000, "").more()] {
        assert!(matches!(failure(&[wire]), Violation::Header(HeaderError::FragmentedControl(_))));
    }
    assert_eq!(server_reads(&[ping([7; 125])]).seen, [Seen::Ping(vec![7; 125])]);
}

#[test]
fn a_server_refuses_frames_without_a_mask() {
    for wire in [text("x"), binary(""), ping(""), close(1000, ""), text(vec![b'x'; 70_000])] {
        assert_eq!(failure(&[wire.unmasked()]), Violation::Unmasked);
    }
}

#[test]
fn a_client_refuses_frames_with_a_mask() {
    for wire in [text("x"), binary(""), ping(""), close(1000, ""), text(vec![b'x'; 70_000])] {
        let mut run = Run::client(Config::default());
        run.read(&wire.bytes());
        assert_eq!(run.seen, [Seen::Failed(Violation::Masked)]);
    }
}

#[test]
fn a_masking_key_of_zero_is_a_masking_key() {
    let mut run = Run::server(Config::default());
    run.read(b"\x81\x82\0\0\0\0hi");
    assert_eq!(run.seen, [seen_text("hi")]);
}

#[test]
fn what_was_owed_stands_in_the_output_before_the_failure() {
    let mut run = Run::server(Config::default());
    run.echo(&wire(&[text("owed"), ping("p"), text("x").rsv(2), ping("never")]));
    assert_eq!(run.out, b"\x81\x04owed\x8a\x01p\x88\x02\x03\xea");
}

#[test]
fn a_message_at_the_limit_passes_and_one_byte_more_is_refused_at_its_header() {
    let config = || Config::default().max_payload(1000);
    let too_large = Seen::Failed(Violation::MessageTooLarge { len: 1001, max: 1000 });
    let mut run = Run::server(config());
    run.read(&binary([0; 1000]).bytes());
    assert_eq!(run.seen, [Seen::Binary(vec![0; 1000])]);

    // Of the message that is too large nothing but the header has come.
    let mut run = Run::server(config());
    run.read(&binary("").declaring(1001).bytes());
    assert_eq!(run.seen, std::slice::from_ref(&too_large));
    assert_eq!(close_code_in(&run.out), Some(1009));

    // The limit is on the sum of the fragments.
    let mut run = Run::server(config());
    run.read(&wire(&[binary([0; 600]).more(), continuation([0; 400])]));
    assert_eq!(run.seen, [Seen::Binary(vec![0; 1000])]);
    let mut run = Run::server(config());
    run.read(&wire(&[binary([0; 600]).more(), continuation("").declaring(401)]));
    assert_eq!(run.seen, [too_large]);
}

#[test]
fn a_frame_over_the_frame_limit_is_refused_at_its_header() {
    let limits = Limits { frame_bytes_max: 100, ..Limits::default() };
    let mut run = Run::server(Config::default().limits(limits));
    run.read(&wire(&[binary([0; 100]).more(), continuation([0; 100])]));
    assert_eq!(run.seen, [Seen::Binary(vec![0; 200])]);
    run.read(&binary("").declaring(101).bytes());
    assert_eq!(run.seen[1], Seen::Failed(Violation::FrameTooLarge { len: 101, max: 100 }));
}

#[test]
fn a_message_in_65537_fragments_passes_by_default_and_131073_do_not() {
    let mut run = Run::server(Config::default());
    run.read(&binary([1; 64]).more().bytes());
    let middle = wire(&vec![continuation([1; 64]).more(); 4096]);
    for _ in 0..16 {
        run.read(&middle);
    }
    run.read(&continuation("").bytes());
    assert_eq!(run.seen, [Seen::Binary(vec![1; 64 * 65_537])]);

    // A message of empty fragments ends at the limit.
    let mut run = Run::server(Config::default());
    run.read(&binary("").more().bytes());
    let empty = wire(&vec![continuation("").more(); 65_536]);
    run.read(&empty[..empty.len() - continuation("").bytes().len()]);
    run.read(&empty);
    assert!(run.seen.is_empty());
    run.read(&continuation("").bytes());
    assert_eq!(run.seen, [Seen::Failed(Violation::TooManyFragments { max: 131_072 })]);
    assert_eq!(close_code_in(&run.out), Some(1009));
}

#[test]
fn the_limits_hold_for_short_whole_messages_too() {
    let limits = Limits { frame_bytes_max: 3, ..Limits::default() };
    let mut run = Run::server(Config::default().limits(limits));
    run.read(&wire(&[text("abc"), text("abcd")]));
    assert_eq!(run.seen[1], Seen::Failed(Violation::FrameTooLarge { len: 4, max: 3 }));

    let limits = Limits { fragments_max: 1, ..Limits::default() };
    let mut run = Run::server(Config::default().limits(limits));
    run.read(&wire(&[text("whole"), text("a").more(), continuation("b")]));
    let fragmented = Violation::TooManyFragments { max: 1 };
    assert_eq!(run.seen, [seen_text("whole"), Seen::Failed(fragmented)]);

    let mut run = Run::server(Config::default().max_payload(0));
    run.read(&wire(&[text(""), text("x")]));
    let too_large = Violation::MessageTooLarge { len: 1, max: 0 };
    assert_eq!(run.seen, [seen_text(""), Seen::Failed(too_large)]);
}

#[test]
fn ten_pings_in_one_read_get_ten_pongs_in_order() {
    let pings: Vec<Wire> = (0..10u8).map(|i| ping([i])).collect();
    let pongs: Vec<Wire> = (0..10u8).map(|i| pong([i]).unmasked()).collect();
    assert_eq!(server_reads(&pings).out, wire(&pongs));
}

#[test]
fn a_flood_of_pings_is_answered_by_the_first_64_pongs_and_the_newest() {
    let pings: Vec<Wire> = (0..5000u16).map(|i| ping(i.to_be_bytes())).collect();
    let run = server_reads(&pings);
    assert_eq!(run.seen.len(), 5000, "every ping is reported");
    let mut pongs: Vec<Wire> = (0..64u16).map(|i| pong(i.to_be_bytes()).unmasked()).collect();
    pongs.push(pong(4999u16.to_be_bytes()).unmasked());
    assert_eq!(run.out, wire(&pongs));
}

#[test]
fn a_flood_of_pings_before_a_close_is_answered_before_the_close() {
    let mut frames = vec![ping("p"); 70];
    frames.push(close(1000, ""));
    let run = server_reads(&frames);
    assert_eq!(run.out.len(), 65 * 3 + 4);
    assert_eq!(close_code_in(&run.out), Some(1000));
}

#[test]
fn while_pongs_are_held_only_the_newest_ping_is_remembered() {
    let mut run = Run::server(Config::default());
    run.connection.split_mut().1.hold_pongs(true, &mut run.out);
    for i in 0..1000u16 {
        run.read(&ping(i.to_be_bytes()).bytes());
    }
    assert!(run.out.is_empty());
    run.connection.split_mut().1.hold_pongs(false, &mut run.out);
    assert_eq!(run.take_out(), pong(999u16.to_be_bytes()).unmasked().bytes());
    run.read(&ping("again").bytes());
    assert_eq!(run.out, pong("again").unmasked().bytes());
}
