//! The bytes: two policies (10), then lines of `Sec-WebSocket-Extensions`, divided by line feeds.

use sockeye::proto::deflate::{Deflate, EXTENSION, Params, WindowBits};
use sockeye::proto::handshake::parse_extensions;

use super::bytes::Bytes;
use super::request::params;

const SERVER_BITS: &str = "server_max_window_bits";
const CLIENT_BITS: &str = "client_max_window_bits";

pub fn extensions(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let server = policy(&mut bytes);
    let client = policy(&mut bytes);
    let lines = bytes.rest();

    offered_and_answered(&client, &server);

    let Ok(list) = parse_extensions(lines.split(|&byte| byte == b'\n')) else {
        return;
    };
    let offers: Vec<_> = list.iter().filter(|it| it.name == EXTENSION).map(params).collect();

    // As a client reads it.
    for answer in &offers {
        if let Ok(agreed) = client.agree(answer.iter().copied()) {
            assert!(agreed.server_max_window_bits <= client.server_max_window_bits);
            assert!(agreed.client_max_window_bits <= client.client_max_window_bits);
            assert!(agreed.server_no_context_takeover || !client.server_no_context_takeover);
            assert!(agreed.client_no_context_takeover || !client.client_no_context_takeover);
        }
    }

    // As a server reads it: the first offer that is good by itself is the one that counts.
    let answer = server.respond(offers.iter().map(|offer| offer.iter().copied()));
    let first = offers
        .iter()
        .find_map(|offer| server.respond([offer.iter().copied()]).map(|answer| (offer, answer)));
    assert_eq!(answer, first.clone().map(|(_, answer)| answer));
    let Some((offer, (agreed, header))) = first else {
        return;
    };
    assert!(agreed.server_max_window_bits <= server.server_max_window_bits);
    assert!(agreed.server_no_context_takeover || !server.server_no_context_takeover);
    let list = parse_extensions([header.as_bytes()]).expect("an answer is a list");
    assert_eq!((list.len(), list[0].name), (1, EXTENSION));
    let answer = params(&list[0]);
    let value = |list: &[(&str, Option<&str>)], name| {
        list.iter().find(|it| it.0 == name).map(|it| it.1.map(|value| value.parse::<u8>().ok()))
    };
    // RFC 7692 §7.1.2.1: what was asked is promised, or less; §7.1.2.2: nothing unasked is demanded.
    if let Some(Some(Some(asked))) = value(offer, SERVER_BITS) {
        assert!(agreed.server_max_window_bits.bits() <= asked);
        assert!(matches!(value(&answer, SERVER_BITS), Some(Some(Some(bits))) if bits <= asked));
    }
    match (value(offer, CLIENT_BITS), value(&answer, CLIENT_BITS)) {
        (_, None) => {}
        (None, Some(_)) => panic!("the client cannot limit its window"),
        (Some(Some(Some(hint))), Some(Some(Some(told)))) => assert!(told <= hint),
        (Some(None), Some(Some(Some(told)))) => assert!((9..=15).contains(&told)),
        odd => panic!("{odd:?}"),
    }
    for flag in ["server_no_context_takeover", "client_no_context_takeover"] {
        let asked = offer.iter().any(|it| it.0 == flag);
        assert!(!asked || answer.iter().any(|it| it.0 == flag), "{flag} is confirmed");
    }
}

/// What our server accepts of our client's offer, our client accepts of our server's answer, and
/// each can read what the other writes.
fn offered_and_answered(client: &Deflate, server: &Deflate) {
    let offer = client.offer();
    let list = parse_extensions([offer.as_bytes()]).expect("an offer is a list");
    let answer = server.respond(list.iter().map(params));
    let (at_server, header): (Params, String) = answer.expect("our offer is acceptable");
    let list = parse_extensions([header.as_bytes()]).expect("an answer is a list");
    let at_client = client.agree(params(&list[0])).expect("our answer fits our offer");
    assert!(at_server.server_max_window_bits <= at_client.server_max_window_bits);
    assert!(at_client.client_max_window_bits <= at_server.client_max_window_bits);
    // Who forgets less than the other believes cannot be read.
    assert!(at_server.server_no_context_takeover || !at_client.server_no_context_takeover);
    assert!(at_client.client_no_context_takeover || !at_server.client_no_context_takeover);
}

fn policy(bytes: &mut Bytes<'_>) -> Deflate {
    let window = |bits: u8| WindowBits::new(9 + bits % 7).expect("9 to 15");
    Deflate {
        server_no_context_takeover: bytes.flag(),
        client_no_context_takeover: bytes.flag(),
        server_max_window_bits: window(bytes.byte()),
        client_max_window_bits: window(bytes.byte()),
        level: bytes.byte() % 10,
        ..Deflate::default()
    }
}
