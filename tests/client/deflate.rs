//! permessage-deflate, from the offer to the messages.

use sockeye::client::{ClientError, Received};
use sockeye::proto::Config;
use sockeye::proto::deflate::Deflate;

use crate::peer::*;
use crate::support::*;

/// 1 KiB of digits that say nothing twice, unless they were said before, and 2 KiB that are soon said.
fn message() -> String {
    let mut state = 1_u32;
    let mut digit = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from_digit(state >> 28, 16).unwrap()
    };
    (0..1024).map(|_| digit()).chain(std::iter::repeat_n('-', 2048)).collect()
}

#[test]
fn every_combination_of_context_takeover_is_negotiated_and_used() {
    let message = message();
    for bits in 0..16_u8 {
        let flag = |bit: u8| bits & (1 << bit) != 0;
        let policy = |server, client| Deflate {
            server_no_context_takeover: server,
            client_no_context_takeover: client,
            ..Deflate::default()
        };
        let server = echo_server(Config::default().per_message_deflate(policy(flag(0), flag(1))));
        let options = connect().per_message_deflate(policy(flag(2), flag(3)));
        let mut client = open_with(&server, &options);
        for _ in 0..4 {
            client.text(&message).unwrap();
            assert_eq!(client.receive().unwrap(), Some(Received::Text(message.clone())));
        }
        client.close(None).unwrap();
        let traffic = server.join();
        for (name, sent, forgets) in [
            ("client", traffic.read, flag(1) || flag(3)),
            ("server", traffic.written, flag(0) || flag(2)),
        ] {
            // Four times some 1 KiB; or once, and then as little as a quick search finds.
            let expected = if forgets { 2500..5000 } else { 500..1800 };
            assert!(expected.contains(&sent), "{bits:04b}: the {name} sent {sent} bytes");
        }
    }
}

#[test]
fn a_server_that_does_not_compress_is_taken_as_it_is() {
    let server = echo_server(Config::default());
    let mut client = open_with(&server, &connect().per_message_deflate(Deflate::default()));
    assert_eq!(client.header("Sec-WebSocket-Extensions"), None);
    client.text(&message()).unwrap();
    assert_eq!(client.receive().unwrap(), Some(Received::Text(message())));
    client.close(None).unwrap();
    assert!(server.join().read > message().len());
}

#[test]
fn an_answer_that_breaks_rfc_7692_is_refused() {
    for (answer, problem) in [
        ("permessage-deflate", "server_no_context_takeover was asked for and is not confirmed"),
        ("permessage-deflate; server_no_context_takeover; x=1", "x"),
    ] {
        let server = scripted(move |mut peer| {
            peer.upgrade(&format!("Sec-WebSocket-Extensions: {answer}\r\n"))
        });
        let error = fails(&server, &connect().per_message_deflate(Deflate::default()));
        assert!(matches!(error, ClientError::Deflate(_)), "{error:?}");
        let error = error.to_string();
        assert!(error.starts_with("handshake failed: permessage-deflate: "), "{error}");
        assert!(error.contains(problem), "{error}");
    }
}

#[test]
fn an_answer_that_accepts_one_offer_twice_is_refused() {
    let server = scripted(|mut peer| {
        let one = "permessage-deflate; server_no_context_takeover";
        peer.upgrade(&format!("Sec-WebSocket-Extensions: {one}, {one}\r\n"))
    });
    let error = fails(&server, &connect().per_message_deflate(Deflate::default()));
    assert!(matches!(error, ClientError::Deflate(_)), "{error:?}");
}

#[test]
fn a_bomb_is_refused_with_1009() {
    let server = scripted(|mut peer| {
        peer.upgrade(
            "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n",
        );
        let zeros = miniz_oxide::deflate::compress_to_vec(&vec![0; 1 << 20], 6);
        peer.send(binary(zeros).rsv(4).unmasked().bytes());
        peer.frame().1
    });
    let options = connect().per_message_deflate(Deflate::default()).max_payload(100_000);
    let error = open_with(&server, &options).receive().unwrap_err().to_string();
    assert_eq!(
        error,
        "protocol violation by the server: message inflates to more than 100000 bytes"
    );
    assert_eq!(server.join(), 1009_u16.to_be_bytes());
}
