//! Peers that do not read: what waits for them is bounded.

use futures_util::{SinkExt as _, StreamExt as _};
use sockeye::aio::{Config, Message};
use sockeye::proto::{self, Role};

use crate::memory::peak_of;
use crate::pipe::*;

fn tight(bytes: usize) -> Config {
    Config { write_bytes_max: bytes, ..Config::default() }
}

#[test]
fn the_sink_is_ready_until_the_bound_and_again_when_there_is_room() {
    let (mut ws, peer) = open(Role::Server, tight(100));
    peer.stall();
    let message = Message::text("x".repeat(58)); // 60 bytes as a frame
    now(ws.feed(message.clone())).unwrap();
    now(ws.feed(message.clone())).unwrap();
    assert_eq!(ws.buffered_amount(), 120, "the bound and no more than one message beyond");
    assert!(poll_once(ws.feed(message.clone())).is_pending());
    assert!(poll_once(ws.send(message.clone())).is_pending());
    assert!(poll_once(ws.text("x")).is_pending());
    assert_eq!(ws.buffered_amount(), 120, "what was not taken is not there");
    peer.take(20);
    assert!(poll_once(ws.feed(message.clone())).is_pending());
    peer.take(1);
    now(ws.feed(message)).unwrap();
    assert_eq!(ws.buffered_amount(), 159);
}

#[test]
fn a_message_larger_than_the_bound_is_taken_whole() {
    let (mut ws, peer) = open(Role::Server, tight(10));
    peer.stall();
    now(ws.feed(Message::text("x".repeat(1000)))).unwrap();
    assert!(poll_once(ws.flush()).is_pending());
    peer.take(2000);
    now(ws.flush()).unwrap();
    assert_eq!(peer.output().len(), 1004);
}

#[test]
fn a_bound_of_nothing_waits_for_each_message() {
    let (mut ws, peer) = open(Role::Server, tight(0));
    peer.stall();
    now(ws.feed("x".into())).unwrap();
    assert!(poll_once(ws.feed("y".into())).is_pending());
    peer.take(100);
    now(ws.feed("y".into())).unwrap();
}

#[test]
fn a_peer_that_pings_and_does_not_read_makes_nothing_grow_and_gets_the_newest_answer() {
    let (mut ws, peer) = server();
    peer.stall();
    for number in 0..10_000_u32 {
        peer.hear(&ping(&number.to_be_bytes()));
        assert!(matches!(now(ws.next()), Some(Ok(Message::Ping(_)))));
        assert!(ws.buffered_amount() <= 2 * 6, "{number}: {}", ws.buffered_amount());
    }
    assert!(poll_once(ws.next()).is_pending());
    peer.take(1000);
    assert!(poll_once(ws.next()).is_pending());
    let output = peer.output();
    assert_eq!(output[output.len() - 6..], [0x8A, 4, 0, 0, 0x27, 0x0F]);
    assert!(output.len() <= 12, "{output:?}");
}

#[test]
fn the_answer_that_was_held_back_goes_out_with_what_the_sink_flushes_too() {
    let (mut ws, peer) = server();
    peer.stall();
    for payload in [b"1", b"2", b"3"] {
        peer.hear(&ping(payload));
        now(ws.next()).unwrap().unwrap();
    }
    peer.take(1000);
    now(ws.send("x".into())).unwrap();
    assert!(poll_once(ws.next()).is_pending());
    let client = client_codec();
    let got = heard(client, peer.output());
    assert_eq!(got.last().unwrap(), &Message::Pong("3".into()));
    assert!(got.contains(&"x".into()) && got.len() == 3, "{got:?}");
}

#[test]
fn a_peer_that_is_never_quite_through_does_not_make_the_buffer_grow() {
    let (mut ws, peer) = open(Role::Server, tight(1000));
    peer.stall();
    let message = Message::binary(vec![1; 498]); // 502 bytes as a frame
    let peak = peak_of(|| {
        for _ in 0..2000 {
            while let std::task::Poll::Ready(sent) = poll_once(ws.feed(message.clone())) {
                sent.unwrap();
            }
            peer.take(502);
            // What was read is not what is measured.
            peer.state().output.clear();
        }
    });
    // A megabyte has passed.
    assert!(peak < 20_000, "{peak} bytes");
}

#[test]
fn limits_on_what_the_peer_may_send_are_the_codecs() {
    let config = proto::Config::default().max_payload(10);
    let (mut ws, peer) = open(Role::Server, config.into());
    peer.hear(&text("0123456789"));
    assert_eq!(now(ws.next()).unwrap().unwrap(), "0123456789".into());
    // Declared, not sent.
    peer.hear(&[0x81, 0xFF, 0x7F, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert!(now(ws.next()).unwrap().is_err());
    assert_eq!(peer.output(), [0x88, 2, 3, 0xF1]);
}
