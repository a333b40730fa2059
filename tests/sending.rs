//! Messages to frames: what the sending half writes and what it refuses to.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use sockeye::proto::{
    Config, Connection, Header, Kind, Message, OpCode, Prepared, SendError, SendOptions,
};
use support::*;

fn sent(
    send: impl FnOnce(&mut sockeye::proto::Outbound, &mut Vec<u8>) -> Result<(), SendError>,
) -> Vec<u8> {
    let mut run = Run::server(Config::default());
    send(run.connection.split_mut().1, &mut run.out).unwrap();
    run.out
}

#[test]
fn a_server_writes_the_examples_of_rfc_6455_section_5_7() {
    assert_eq!(sent(|tx, out| tx.text("Hello", out)), b"\x81\x05Hello");
    assert_eq!(sent(|tx, out| tx.ping(b"Hello", out)), b"\x89\x05Hello");
    assert_eq!(sent(|tx, out| tx.binary(&[1; 256], out))[..4], [0x82, 0x7E, 0x01, 0x00]);
    let head = [0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0];
    assert_eq!(sent(|tx, out| tx.binary(&[1; 65536], out))[..10], head);
}

#[test]
fn a_client_writes_the_masked_example_of_rfc_6455_section_5_7() {
    let mut connection = Connection::client(Config::default(), |bytes: &mut [u8]| {
        for key in bytes.chunks_mut(4) {
            key.copy_from_slice(&[0x37, 0xfa, 0x21, 0x3d]);
        }
    });
    let mut out = Vec::new();
    connection.split_mut().1.text("Hello", &mut out).unwrap();
    assert_eq!(out, [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
}

#[test]
fn a_client_masks_every_frame_with_a_fresh_key() {
    let mut seed = 1u8;
    let mut connection = Connection::client(Config::default(), move |bytes: &mut [u8]| {
        for byte in bytes {
            seed = seed.wrapping_mul(141).wrapping_add(3);
            *byte = seed;
        }
    });
    let (_, tx) = connection.split_mut();
    let mut keys = std::collections::BTreeSet::new();
    for i in 0..60 {
        let mut out = Vec::new();
        match i % 4 {
            0 => tx.text("x", &mut out).unwrap(),
            1 => tx.ping(b"x", &mut out).unwrap(),
            2 => tx.fragment(Message::Binary(b"x"), false, &mut out).unwrap(),
            _ => tx.fragment(Message::Binary(b"x"), true, &mut out).unwrap(),
        }
        let (header, _) = Header::parse(&out).unwrap().unwrap();
        keys.insert(header.mask.expect("a client's frame is masked").0);
    }
    assert!(keys.len() > 55, "{} keys in 60 frames", keys.len());
}

#[test]
fn fragments_continue_their_message_and_control_frames_go_between() {
    let out = sent(|tx, out| {
        tx.fragment(Message::Binary(b"a"), false, out)?;
        tx.ping(b"p", out)?;
        tx.fragment(Message::Binary(b"b"), false, out)?;
        tx.fragment(Message::Binary(b""), true, out)?;
        tx.text("next", out)
    });
    let expected =
        [binary("a").more(), ping("p"), continuation("b").more(), continuation(""), text("next")]
            .map(Wire::unmasked);
    assert_eq!(out, wire(&expected));
}

#[test]
fn nothing_but_its_next_fragment_may_follow_an_unfinished_message() {
    let mut run = Run::server(Config::default());
    let (_, tx) = run.connection.split_mut();
    let out = &mut run.out;
    tx.fragment(Message::Text("a"), false, out).unwrap();
    let before = out.clone();
    assert_eq!(tx.text("x", out), Err(SendError::MessageUnfinished));
    assert_eq!(tx.binary(b"x", out), Err(SendError::MessageUnfinished));
    assert_eq!(
        tx.prepared(&Prepared::new(Message::Text("x")), out),
        Err(SendError::MessageUnfinished)
    );
    assert_eq!(tx.fragment(Message::Binary(b"x"), true, out), Err(SendError::KindChanged));
    assert_eq!(tx.head(Kind::Binary, 5, true, out), Err(SendError::KindChanged));
    assert_eq!(*out, before, "an error writes nothing");
    tx.fragment(Message::Text("b"), true, out).unwrap();
    tx.text("x", out).unwrap();
}

#[test]
fn control_payloads_are_at_most_125_bytes() {
    let mut run = Run::server(Config::default());
    let (_, tx) = run.connection.split_mut();
    assert_eq!(tx.ping(&[0; 126], &mut run.out), Err(SendError::ControlTooLong { len: 126 }));
    assert_eq!(tx.pong(&[0; 126], &mut run.out), Err(SendError::ControlTooLong { len: 126 }));
    assert!(run.out.is_empty());
    tx.ping(&[0; 125], &mut run.out).unwrap();
}

#[test]
fn options_by_the_names_of_ws() {
    let options = SendOptions::default();
    let binary_of_text = SendOptions { binary: Some(true), ..options };
    assert_eq!(sent(|tx, out| tx.send(Message::Text("x"), binary_of_text, out)), b"\x82\x01x");
    let text_of_binary = SendOptions { binary: Some(false), ..options };
    assert_eq!(sent(|tx, out| tx.send(Message::Binary(b"x"), text_of_binary, out)), b"\x81\x01x");
    let first = SendOptions { fin: false, ..options };
    assert_eq!(sent(|tx, out| tx.send(Message::Text("x"), first, out)), b"\x01\x01x");
    let plain = SendOptions { mask: Some(false), compress: Some(true), ..options };
    assert_eq!(sent(|tx, out| tx.send(Message::Text("x"), plain, out)), b"\x81\x01x");

    let mut run = Run::server(Config::default());
    let (_, tx) = run.connection.split_mut();
    let refused = tx.send(Message::Binary(&[0xff]), text_of_binary, &mut run.out);
    assert_eq!(refused, Err(SendError::NotUtf8));
    let masked = SendOptions { mask: Some(true), ..options };
    assert_eq!(tx.send(Message::Text("x"), masked, &mut run.out), Err(SendError::MaskForbidden));
    let mut run = Run::client(Config::default());
    let (_, tx) = run.connection.split_mut();
    assert_eq!(tx.send(Message::Text("x"), plain, &mut run.out), Err(SendError::MaskForbidden));
    assert!(tx.send(Message::Text("x"), masked, &mut run.out).is_ok());
}

#[test]
fn a_head_alone_lets_the_caller_send_the_payload_itself() {
    let out = sent(|tx, out| {
        tx.head(Kind::Binary, 1 << 32, false, out)?;
        tx.head(Kind::Binary, 3, true, out)?;
        out.extend_from_slice(b"abc");
        tx.text("x", out)
    });
    assert_eq!(out, b"\x02\x7f\0\0\0\x01\0\0\0\0\x80\x03abc\x81\x01x");
    let mut run = Run::client(Config::default());
    let (_, tx) = run.connection.split_mut();
    assert_eq!(tx.head(Kind::Text, 3, true, &mut run.out), Err(SendError::ClientMustMask));
}

#[test]
fn a_prepared_message_is_encoded_once_and_shared() {
    let news = Prepared::new(Message::Binary(&[7; 300]));
    let mut one = Run::server(Config::default());
    let mut two = Run::server(Config::default());
    let first = one.connection.split_mut().1.shared(&news).unwrap();
    let second = two.connection.split_mut().1.shared(&news).unwrap();
    assert!(std::sync::Arc::ptr_eq(first, second));
    assert_eq!(**first, binary([7; 300]).unmasked().bytes()[..]);
    two.connection.split_mut().1.prepared(&news, &mut two.out).unwrap();
    assert_eq!(two.out, **first);
}

#[test]
fn a_client_masks_a_prepared_message_anew() {
    let news = Prepared::new(Message::Text("news"));
    let mut run = Run::client(Config::default());
    let (_, tx) = run.connection.split_mut();
    assert_eq!(tx.shared(&news).err(), Some(SendError::ClientMustMask));
    tx.prepared(&news, &mut run.out).unwrap();
    assert_eq!(run.out, b"\x81\x84\0\0\0\0news");
}

#[test]
fn what_is_sent_is_appended_to_what_is_there() {
    let mut run = Run::server(Config::default());
    run.out.extend_from_slice(b"before");
    run.connection.split_mut().1.text("x", &mut run.out).unwrap();
    assert_eq!(run.out, b"before\x81\x01x");
}

#[test]
fn every_opcode_that_a_client_sends_is_understood_by_a_server() {
    let mut client = Run::client(Config::default());
    let (_, tx) = client.connection.split_mut();
    let out = &mut client.out;
    tx.text("text", out).unwrap();
    tx.binary(&[0; 70_000], out).unwrap();
    tx.ping(b"ping", out).unwrap();
    tx.pong(b"pong", out).unwrap();
    tx.close(None, out).unwrap();
    let mut server = Run::server(Config::default());
    server.read(&client.out);
    let expected = [
        seen_text("text"),
        Seen::Binary(vec![0; 70_000]),
        Seen::Ping(b"ping".to_vec()),
        Seen::Pong(b"pong".to_vec()),
        Seen::Close(None),
    ];
    assert_eq!(server.seen, expected);
    assert_eq!(OpCode::new(8), Some(OpCode::Close));
}
