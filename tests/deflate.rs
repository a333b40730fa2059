//! permessage-deflate through whole connections: RFC 7692 sections 6 and 7.2.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![cfg(feature = "deflate")]

mod support;

use std::sync::Arc;

use sockeye::proto::deflate::{Deflate, Params, WindowBits};
use sockeye::proto::{
    Config, Connection, Header, Message, OpCode, Prepared, SendOptions, Violation,
};
use support::*;

const RSV1: u8 = Header::RSV1;

fn params(takeover: bool, bits: u8) -> Params {
    let bits = WindowBits::new(bits).unwrap();
    Params {
        server_no_context_takeover: !takeover,
        client_no_context_takeover: !takeover,
        server_max_window_bits: bits,
        client_max_window_bits: bits,
    }
}

fn policy() -> Deflate {
    Deflate { compress_from: 0, ..Deflate::default() }
}

fn server(takeover: bool) -> Run {
    server_with(Config::default(), takeover)
}

fn server_with(config: Config, takeover: bool) -> Run {
    let mut run = Run::server(config);
    run.connection.enable_deflate(&params(takeover, 15), &policy());
    run
}

fn client(takeover: bool) -> Run {
    let mut run = Run::client(Config::default());
    run.connection.enable_deflate(&params(takeover, 15), &policy());
    run
}

/// "Hello" as RFC 7692 §7.2.3.1 compresses it.
const HELLO: [u8; 7] = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];

/// The frames in `out`: header and payload, unmasked.
fn frames(mut out: &[u8]) -> Vec<(Header, Vec<u8>)> {
    let mut found = Vec::new();
    while let Some((header, used)) = Header::parse(out).unwrap() {
        let end = used + usize::try_from(header.len).unwrap();
        let mut payload = out[used..end].to_vec();
        if let Some(key) = header.mask {
            sockeye::proto::apply_mask(key, &mut payload);
        }
        found.push((header, payload));
        out = &out[end..];
    }
    assert!(out.is_empty(), "whole frames only");
    found
}

#[test]
fn the_examples_of_rfc_7692_section_7_2_3_are_understood() {
    // §7.2.3.1: one frame, and two fragments.
    let mut run = server(true);
    run.read(&text(HELLO).rsv(RSV1).bytes());
    run.read(&wire(&[text(&HELLO[..3]).more().rsv(RSV1), continuation(&HELLO[3..])]));
    // §7.2.3.2: with the window of the first.
    run.read(&text([0xf2, 0x00, 0x11, 0x00, 0x00]).rsv(RSV1).bytes());
    // §7.2.3.3: a block without compression.
    let stored = [0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00];
    run.read(&text(stored).rsv(RSV1).bytes());
    // §7.2.3.4: a block with BFINAL.
    run.read(&text([0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00]).rsv(RSV1).bytes());
    // §7.2.3.5: two blocks.
    let two = [0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00];
    run.read(&text(two).rsv(RSV1).bytes());
    // §7.2.3.6: an empty message.
    run.read(&text([0x00]).rsv(RSV1).bytes());
    let mut expected = vec![seen_text("Hello"); 6];
    expected.push(seen_text(""));
    assert_eq!(run.seen, expected);
}

#[test]
fn what_is_sent_is_received_with_every_window_with_and_without_takeover() {
    let texts: Vec<String> = (0..40)
        .map(|i| format!("{{\"n\":{i},\"text\":\"{}\"}}", "sockeye ".repeat(i * i % 97)))
        .collect();
    for takeover in [false, true] {
        for bits in 9..=15 {
            let mut client = Run::client(Config::default());
            let mut server = Run::server(Config::default());
            client.connection.enable_deflate(&params(takeover, bits), &policy());
            server.connection.enable_deflate(&params(takeover, bits), &policy());
            for text in &texts {
                client.connection.split_mut().1.text(text, &mut client.out).unwrap();
                let bytes = client.take_out();
                server.echo(&bytes);
                let bytes = server.take_out();
                client.read(&bytes);
            }
            let expected: Vec<Seen> = texts.iter().map(|text| seen_text(text)).collect();
            assert_eq!(server.seen, expected, "{bits} bits, takeover {takeover}");
            assert_eq!(client.seen, expected, "{bits} bits, takeover {takeover}");
        }
    }
}

#[test]
fn plain_messages_pass_beside_compressed_ones() {
    let mut run = server(true);
    run.read(&wire(&[text("plain"), text(HELLO).rsv(RSV1), text("plain"), text(HELLO).rsv(RSV1)]));
    let hello = || seen_text("Hello");
    assert_eq!(run.seen, [seen_text("plain"), hello(), seen_text("plain"), hello()]);
}

#[test]
fn rsv1_may_stand_on_the_first_frame_of_a_message_only() {
    for (script, bits) in [
        (vec![text(&HELLO[..3]).more().rsv(RSV1), continuation(&HELLO[3..]).rsv(RSV1)], RSV1),
        (vec![text("plain").more(), continuation("x").rsv(RSV1)], RSV1),
        (vec![ping("").rsv(RSV1)], RSV1),
        (vec![close(1000, "").rsv(RSV1)], RSV1),
        (vec![text(HELLO).rsv(RSV1 | 2)], RSV1 | 2),
        (vec![text(HELLO).rsv(1)], 1),
    ] {
        let mut run = server(false);
        run.read(&wire(&script));
        assert_eq!(run.seen, [Seen::Failed(Violation::ReservedBits(bits))], "{script:?}");
    }
}

#[test]
fn a_ping_between_compressed_fragments_is_answered_first() {
    let mut run = server(false);
    run.read(&wire(&[text(&HELLO[..3]).more().rsv(RSV1), ping("p"), continuation(&HELLO[3..])]));
    assert_eq!(run.seen, [Seen::Ping(b"p".to_vec()), seen_text("Hello")]);
}

#[test]
fn compressed_text_is_judged_as_text_however_far_in_the_fault_is() {
    for offset in [0, 1, 63, 64, 65, 1000, 20_000, 99_999] {
        let mut payload = vec![b'x'; 100_000];
        payload[offset] = 0xff;
        let mut sender = client(false);
        sender.connection.split_mut().1.binary(&payload, &mut sender.out).unwrap();
        let mut bytes = sender.take_out();
        bytes[0] = bytes[0] & 0xf0 | OpCode::Text as u8;
        let mut run = server(false);
        run.read(&bytes);
        assert_eq!(run.seen, [Seen::Failed(Violation::InvalidUtf8)], "offset {offset}");
        let mut run = server(false);
        let mut message = Vec::new();
        run.read_parts(&bytes, &mut message);
        assert_eq!(run.seen, [Seen::Failed(Violation::InvalidUtf8)], "in parts, offset {offset}");
    }
}

#[test]
fn compressed_text_must_not_end_within_a_character() {
    let mut sender = client(false);
    sender.connection.split_mut().1.binary("x\u{20ac}".as_bytes(), &mut sender.out).unwrap();
    let mut cut = client(false);
    cut.connection.split_mut().1.binary(&"x\u{20ac}".as_bytes()[..3], &mut cut.out).unwrap();
    for (mut bytes, valid) in [(sender.take_out(), true), (cut.take_out(), false)] {
        bytes[0] = bytes[0] & 0xf0 | OpCode::Text as u8;
        let mut run = server(false);
        run.read(&bytes);
        let expected =
            if valid { seen_text("x\u{20ac}") } else { Seen::Failed(Violation::InvalidUtf8) };
        assert_eq!(run.seen, [expected]);
    }
}

#[test]
fn garbage_is_refused_with_1007() {
    for garbage in [&[0xff; 20][..], &[0x06, 0x00], &[0x00, 0x05, 0x00, 0xff, 0xff]] {
        let mut run = server(false);
        run.read(&binary(garbage).rsv(RSV1).bytes());
        assert_eq!(run.seen, [Seen::Failed(Violation::Deflate)], "{garbage:x?}");
        assert_eq!(close_code_in(&run.out), Some(1007));
    }
}

#[test]
fn a_text_that_is_wrong_twice_fails_by_its_first_fault_in_any_cut() {
    // A stored block with an octet that no text has, then a block of a type that does not exist.
    let wrong_twice = [0x00, 0x02, 0x00, 0xfd, 0xff, b'x', 0xff, 0x06, 0x00];
    let bytes = text(wrong_twice).rsv(RSV1).bytes();
    for cut in 0..=bytes.len() {
        let mut run = server(false);
        run.read(&bytes[..cut]).read(&bytes[cut..]);
        assert_eq!(run.seen, [Seen::Failed(Violation::InvalidUtf8)], "cut at {cut}");
        let mut run = server(false);
        let mut message = Vec::new();
        run.read_parts(&bytes[..cut], &mut message).read_parts(&bytes[cut..], &mut message);
        assert_eq!(run.seen, [Seen::Failed(Violation::InvalidUtf8)], "in parts, cut at {cut}");
    }
}

/// A message of `len` zeros, compressed by a client.
fn zeros(len: usize) -> Vec<u8> {
    let mut sender = client(false);
    sender.connection.split_mut().1.binary(&vec![0; len], &mut sender.out).unwrap();
    sender.out
}

#[test]
fn an_inflated_message_at_the_limit_passes_and_one_byte_more_is_refused() {
    for max in [1000, 16 << 10, 100_000] {
        let config = || Config::default().max_payload(max as u64);
        let mut run = server_with(config(), false);
        run.read(&zeros(max));
        assert_eq!(run.seen, [Seen::Binary(vec![0; max])]);
        let too_large = Seen::Failed(Violation::InflatedTooLarge { max: max as u64 });
        run.read(&zeros(max + 1));
        assert_eq!(run.seen[1..], *std::slice::from_ref(&too_large));
        assert_eq!(close_code_in(&run.out), Some(1009));
        // The same in parts.
        let mut message = Vec::new();
        let mut run = server_with(config(), false);
        run.read_parts(&zeros(max), &mut message);
        assert_eq!(run.seen, [Seen::Binary(vec![0; max])]);
        run.read_parts(&zeros(max + 1), &mut message);
        assert_eq!(run.seen[1..], [too_large]);
        assert!(message.len() <= max);
    }
}

#[test]
fn what_does_not_shrink_may_travel_larger_than_the_limit_on_messages() {
    // 1000 bytes of noise take more than 1000 when compressed; the limit is on the message.
    let noise: Vec<u8> =
        (0..1000u32).map(|i| i.wrapping_mul(2_654_435_761).to_be_bytes()[1]).collect();
    let mut sender = Run::client(Config::default());
    sender.connection.enable_deflate(&params(true, 15), &policy());
    sender.connection.split_mut().1.binary(&noise, &mut sender.out).unwrap();
    let mut run = server_with(Config::default().max_payload(1000), true);
    run.read(&sender.out);
    assert_eq!(run.seen, [Seen::Binary(noise)]);
}

#[test]
fn compressed_messages_in_any_cut_come_to_the_same() {
    let mut sender = client(true);
    let (_, tx) = sender.connection.split_mut();
    let out = &mut sender.out;
    tx.text(&"héllo ".repeat(50), out).unwrap();
    tx.fragment(Message::Text(&"one ".repeat(30)), false, out).unwrap();
    tx.ping(b"p", out).unwrap();
    tx.fragment(Message::Text(&"two ".repeat(30)), false, out).unwrap();
    tx.fragment(Message::Text(""), true, out).unwrap();
    tx.binary(&[7; 5000], out).unwrap();
    tx.binary(b"", out).unwrap();
    tx.close(None, out).unwrap();
    let bytes = sender.take_out();
    let mut whole = server(true);
    whole.read(&bytes);
    assert_eq!(whole.seen.len(), 6, "{:?}", whole.seen);
    for cut in 0..=bytes.len() {
        let mut run = server(true);
        run.read(&bytes[..cut]).read(&bytes[cut..]);
        assert_eq!((&run.seen, &run.out), (&whole.seen, &whole.out), "cut at {cut}");
        let mut message = Vec::new();
        let mut run = server(true);
        run.read_parts(&bytes[..cut], &mut message).read_parts(&bytes[cut..], &mut message);
        assert_eq!((&run.seen, &run.out), (&whole.seen, &whole.out), "parts, cut at {cut}");
    }
    let mut run = server(true);
    for byte in bytes.chunks(1) {
        run.read(byte);
    }
    assert_eq!((&run.seen, &run.out), (&whole.seen, &whole.out), "byte by byte");
}

#[test]
fn a_message_below_the_threshold_is_sent_plain_and_an_option_overrules_it() {
    let mut run = Run::server(Config::default());
    let policy = Deflate { compress_from: 100, ..Deflate::default() };
    run.connection.enable_deflate(&params(false, 15), &policy);
    let (_, tx) = run.connection.split_mut();
    let compressed = |out: &[u8]| out[0] & 0x40 != 0;
    for (len, compress, expected) in
        [(99, None, false), (100, None, true), (99, Some(true), true), (100, Some(false), false)]
    {
        run.out.clear();
        let options = SendOptions { compress, ..SendOptions::default() };
        tx.send(Message::Text(&"x".repeat(len)), options, &mut run.out).unwrap();
        assert_eq!(compressed(&run.out), expected, "{len} bytes, {compress:?}");
    }
}

#[test]
fn a_message_that_does_not_shrink_is_sent_plain_unless_the_window_is_shared() {
    let noise: Vec<u8> =
        (1..=200u32).map(|i| i.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let mut run = server(false);
    run.connection.split_mut().1.binary(&noise, &mut run.out).unwrap();
    assert_eq!(run.out, binary(&noise).unmasked().bytes());
    let mut run = server(true);
    run.connection.split_mut().1.binary(&noise, &mut run.out).unwrap();
    assert_eq!(frames(&run.out)[0].0.rsv, RSV1);
}

#[test]
fn fragments_of_a_compressed_message_carry_rsv1_once() {
    let mut run = server(false);
    let (_, tx) = run.connection.split_mut();
    for (piece, fin) in [("one ", false), ("two ", false), ("three", true)] {
        tx.fragment(Message::Text(piece), fin, &mut run.out).unwrap();
    }
    let frames = frames(&run.out);
    let rsv: Vec<u8> = frames.iter().map(|(header, _)| header.rsv).collect();
    assert_eq!(rsv, [RSV1, 0, 0]);
    assert!(frames[2].0.fin && !frames[1].0.fin);
}

#[test]
fn the_header_is_right_where_compression_changes_how_long_the_length_is() {
    // Shrinks from a 64-bit length to 7 bits or 16; grows past 125 and past 65,535.
    let noise = |len: u32| -> Vec<u8> {
        let mut state = 1u32;
        (0..len)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect()
    };
    let messages =
        [vec![0; 70_000], vec![0; 200], noise(125), noise(124), noise(65_535), noise(70_000)];
    for role in ["server", "client"] {
        for message in &messages {
            let (mut sender, mut receiver) = match role {
                "server" => (server(true), client(true)),
                _ => (client(true), server(true)),
            };
            sender.out.extend_from_slice(b"before");
            sender.connection.split_mut().1.binary(message, &mut sender.out).unwrap();
            assert!(sender.out.starts_with(b"before"));
            receiver.read(&sender.out[6..]);
            assert_eq!(receiver.seen, [Seen::Binary(message.clone())]);
        }
    }
}

#[test]
fn a_prepared_message_is_compressed_once_for_those_who_can_read_it() {
    let text = "the same for everyone ".repeat(20);
    let nine = WindowBits::new(9).unwrap();
    let news = Prepared::new(Message::Text(&text)).with_deflate(nine, 1);
    let shared = |takeover: Option<bool>, bits: u8| -> (bool, Arc<[u8]>) {
        let mut connection = Connection::server(Config::default());
        if let Some(takeover) = takeover {
            connection.enable_deflate(&params(takeover, bits), &policy());
        }
        let bytes = connection.split_mut().1.shared(&news).unwrap().clone();
        (bytes[0] & 0x40 != 0, bytes)
    };
    assert!(!shared(None, 15).0, "nothing agreed: plain");
    assert!(shared(Some(false), 15).0);
    assert!(shared(Some(false), 9).0);
    // With takeover the peer's window would get out of step.
    assert!(!shared(Some(true), 15).0);
    let wide = Prepared::new(Message::Text(&text)).with_deflate(WindowBits::MAX, 1);
    let mut narrow = Connection::server(Config::default());
    narrow.enable_deflate(&params(false, 9), &policy());
    assert_eq!(narrow.split_mut().1.shared(&wide).unwrap()[0] & 0x40, 0, "window too small: plain");

    let mut reader = client(false);
    reader.read(&shared(Some(false), 15).1);
    assert_eq!(reader.seen, [seen_text(&text)]);
}

#[test]
fn a_head_alone_cannot_bypass_the_compressor_in_the_middle_of_its_message() {
    let mut run = server(false);
    let (_, tx) = run.connection.split_mut();
    tx.fragment(Message::Binary(b"compressed"), false, &mut run.out).unwrap();
    assert!(tx.head(sockeye::proto::Kind::Binary, 5, true, &mut run.out).is_err());
    tx.fragment(Message::Binary(b" to the end"), true, &mut run.out).unwrap();
    let mut reader = client(false);
    reader.read(&run.out);
    assert_eq!(reader.seen, [Seen::Binary(b"compressed to the end".to_vec())]);
}

#[test]
fn both_sides_of_a_handshake_agree_and_talk_compressed() {
    use sockeye::proto::handshake::{
        Answer, ClientRequest, HeadLimits, RequestReader, ResponseReader,
    };
    let offered = Deflate { compress_from: 0, client_max_window_bits: WindowBits::MIN, ..policy() };
    let offer = offered.offer();
    let request = ClientRequest {
        extensions: Some(&offer),
        ..ClientRequest::new("example.com", "/", *b"the sample nonce")
    };
    let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
    request.write(&mut to_server).unwrap();

    let mut reader = RequestReader::new(HeadLimits::default());
    let upgrade = reader.read(&to_server).unwrap().unwrap().upgrade().unwrap();
    let (params, header) = upgrade.deflate(&policy()).expect("the offer is acceptable");
    let answer = Answer { extensions: Some(&header), ..Answer::default() };
    upgrade.accept(&answer, &mut to_client).unwrap();
    let mut server = Run::server(Config::default());
    server.connection.enable_deflate(&params, &policy());

    let mut reader = ResponseReader::new(&request, HeadLimits::default());
    let response = reader.read(&to_client).unwrap().unwrap();
    let agreed = response.deflate(&offered).unwrap().expect("the server accepted");
    assert_eq!(agreed, params);
    assert_eq!(agreed.client_max_window_bits, WindowBits::MIN);
    let mut client = Run::client(Config::default());
    client.connection.enable_deflate(&agreed, &offered);
    let said = "said twice, said twice, said twice";
    client.connection.split_mut().1.text(said, &mut client.out).unwrap();
    assert!(client.out.len() < said.len());
    server.read(&client.out);
    assert_eq!(server.seen, [seen_text(said)]);
}

#[test]
fn an_answer_with_two_agreements_is_refused() {
    use sockeye::proto::deflate::{EXTENSION, NegotiationError};
    use sockeye::proto::handshake::{ClientRequest, HeadLimits, ResponseReader};
    let offer = Deflate::default().offer();
    let request = ClientRequest {
        extensions: Some(&offer),
        ..ClientRequest::new("example.com", "/", *b"the sample nonce")
    };
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: {}\r\nSec-WebSocket-Extensions: {offer}, {offer}\r\n\r\n",
        sockeye::proto::handshake::accept_key(request.key().as_str()).as_str()
    );
    let mut reader = ResponseReader::new(&request, HeadLimits::default());
    let response = reader.read(answer.as_bytes()).unwrap().unwrap();
    let refused = response.deflate(&Deflate::default());
    assert_eq!(refused, Err(NegotiationError::Repeated(EXTENSION)));
}
