//! How a conversation ends: in order, by somebody's fault, or not at all.

use std::io;
use std::task::Poll;

use futures_util::stream::FusedStream as _;
use futures_util::{SinkExt as _, StreamExt as _};
use sockeye::aio::{CloseFrame, Config, Error, Message, WebSocketStream};
use sockeye::proto::{self, CloseCode, Ended, ReadyState, Role, SendError, Violation};

use crate::pipe::*;

/// A server's close frame with a code and no reason.
fn close_frame(code: u16) -> Vec<u8> {
    let [high, low] = code.to_be_bytes();
    vec![0x88, 2, high, low]
}

fn next(ws: &mut WebSocketStream<Pipe>) -> Option<Result<Message, Error>> {
    now(ws.next())
}

#[test]
fn a_server_answers_a_close_ends_the_transport_and_then_the_stream() {
    let (mut ws, peer) = server();
    peer.hear(&close(1001));
    let goodbye = next(&mut ws).unwrap().unwrap();
    assert_eq!(goodbye, Message::Close(Some(CloseFrame::new(CloseCode::GOING_AWAY, ""))));
    // Before the caller looks: it may hang up now.
    assert_eq!(peer.output(), close_frame(1001));
    assert!(!peer.state().is_shut && !ws.is_terminated());
    assert!(next(&mut ws).is_none());
    // §7.1.1: without waiting for the client to do it.
    assert!(peer.state().is_shut && ws.is_terminated());
    assert!(next(&mut ws).is_none());
    assert_eq!(ws.ready_state(), ReadyState::Closed);
}

#[test]
fn a_client_answers_a_close_and_leaves_the_end_to_the_server() {
    let (mut ws, peer) = open(Role::Client, Config::default());
    peer.hear(&close_frame(1000));
    assert!(next(&mut ws).unwrap().unwrap().is_close());
    assert_eq!(peer.output().len(), 8, "the masked answer");
    assert!(poll_once(ws.next()).is_pending());
    assert!(!peer.state().is_shut);
    peer.hear(b"what comes after a close is dropped");
    assert!(poll_once(ws.next()).is_pending());
    peer.end_input();
    assert!(next(&mut ws).is_none());
    assert!(peer.state().is_shut);
}

#[test]
fn a_server_that_hung_up_one_side_still_gets_our_goodbye() {
    let (mut ws, peer) = open(Role::Client, Config::default());
    peer.stall();
    peer.hear(&close_frame(1000));
    peer.end_input();
    assert!(next(&mut ws).unwrap().unwrap().is_close());
    assert!(poll_once(ws.next()).is_pending());
    peer.take(100);
    assert!(next(&mut ws).is_none());
    assert_eq!(peer.output().len(), 8);
}

#[test]
fn after_our_close_messages_still_come_until_the_peer_has_answered() {
    let (mut ws, peer) = server();
    now(ws.close(Some(CloseFrame::new(CloseCode::NORMAL, "bye")))).unwrap();
    assert_eq!(peer.output(), b"\x88\x05\x03\xE8bye");
    assert_eq!(ws.ready_state(), ReadyState::Closing);
    // A second close, of whatever kind, says nothing more.
    now(ws.close(None)).unwrap();
    now(futures_util::SinkExt::close(&mut ws)).unwrap();
    peer.hear(&text("late"));
    assert_eq!(next(&mut ws).unwrap().unwrap(), "late".into());
    assert!(poll_once(ws.next()).is_pending());
    peer.hear(&close(1000));
    assert!(next(&mut ws).unwrap().unwrap().is_close());
    assert!(next(&mut ws).is_none());
    assert_eq!(peer.output().len(), 7, "one close frame");
}

#[test]
fn finish_closes_and_says_how_it_ended() {
    let (mut ws, peer) = server();
    peer.hear(&text("not looked at"));
    assert!(poll_once(ws.finish(None)).is_pending());
    assert_eq!(peer.output(), [0x88, 0]);
    peer.hear(&close(4001));
    assert_eq!(now(ws.finish(None)).unwrap(), Ended::Clean(CloseCode::new(4001)));
    assert!(peer.state().is_shut);
    assert_eq!(now(ws.finish(None)).unwrap(), Ended::Clean(CloseCode::new(4001)));
}

#[test]
fn an_end_without_a_close_is_an_error_that_says_so() {
    for begun in [vec![], text("cut")[..5].to_vec()] {
        let (mut ws, peer) = server();
        peer.hear(&begun);
        peer.end_input();
        let error = next(&mut ws).unwrap().unwrap_err();
        assert!(matches!(error, Error::NoClose), "{error:?}");
        assert_eq!(error.to_string(), "the peer ended the connection without a close frame");
        assert!(next(&mut ws).is_none() && ws.is_terminated());
        assert!(matches!(now(ws.send("x".into())), Err(Error::Send(SendError::Closed))));
    }
    // Also when we have said goodbye and the peer has not.
    let (mut ws, peer) = server();
    now(ws.close(None)).unwrap();
    peer.end_input();
    assert!(matches!(now(ws.finish(None)), Err(Error::NoClose)));
}

#[test]
fn tls_that_ends_without_its_own_goodbye_is_an_end_like_any_other() {
    let (mut ws, peer) = server();
    peer.hear(&text("whole"));
    peer.state().read_error = Some(io::ErrorKind::UnexpectedEof);
    assert_eq!(next(&mut ws).unwrap().unwrap(), "whole".into());
    assert!(matches!(next(&mut ws), Some(Err(Error::NoClose))));
}

#[test]
fn what_the_transport_says_is_passed_on_and_then_it_is_over() {
    let (mut ws, peer) = server();
    peer.state().read_error = Some(io::ErrorKind::ConnectionReset);
    let error = next(&mut ws).unwrap().unwrap_err();
    assert!(matches!(&error, Error::Io(it) if it.kind() == io::ErrorKind::ConnectionReset));
    assert_eq!(error.close_code(), None);
    assert!(next(&mut ws).is_none());
    assert!(!peer.state().is_shut);
}

#[test]
fn each_breach_of_the_protocol_is_told_to_both_sides_with_its_code() {
    let small = proto::Config::default().max_payload(3);
    let cases: [(Vec<u8>, Violation, u16); 4] = [
        (b"\x81\x01x".to_vec(), Violation::Unmasked, 1002),
        (b"\x81\x81\0\0\0\0\xFF".to_vec(), Violation::InvalidUtf8, 1007),
        (text("four"), Violation::MessageTooLarge { len: 4, max: 3 }, 1009),
        (b"\xC1\x80\0\0\0\0".to_vec(), Violation::ReservedBits(4), 1002),
    ];
    for (bytes, violation, code) in cases {
        let (mut ws, peer) = open(Role::Server, small.clone().into());
        peer.hear(&bytes);
        let error = next(&mut ws).unwrap().unwrap_err();
        assert!(matches!(&error, Error::Violation(it) if *it == violation), "{error:?}");
        assert_eq!(error.close_code(), CloseCode::new(code));
        assert_eq!(peer.output(), close_frame(code));
        // It may still be writing: to hang up now could destroy the close frame on its way.
        assert!(poll_once(ws.next()).is_pending());
        assert!(peer.state().is_shut);
        peer.hear(&text("ignored"));
        assert!(poll_once(ws.next()).is_pending());
        peer.end_input();
        assert!(next(&mut ws).is_none());
        assert_eq!(peer.output().len(), 4);
    }
}

#[test]
fn a_peer_that_breaks_the_protocol_and_never_reads_is_waited_for_without_a_deadlock() {
    let (mut ws, peer) = server();
    peer.stall();
    peer.hear(b"\x81\x01x");
    assert!(next(&mut ws).unwrap().is_err());
    // Its writes go on being read, or it would never come to its end.
    for _ in 0..3 {
        peer.hear(&vec![0; 100_000]);
        assert!(poll_once(ws.next()).is_pending());
        assert_eq!(peer.state().input.len(), 0);
    }
    peer.end_input();
    assert!(poll_once(ws.next()).is_pending(), "it may still want to know why");
    peer.state().write_error = Some(io::ErrorKind::BrokenPipe);
    assert!(next(&mut ws).is_none());
}

#[test]
fn nothing_is_sent_after_a_close_and_the_caller_is_told() {
    let (mut ws, peer) = server();
    now(ws.close(None)).unwrap();
    for attempt in [
        now(ws.send("x".into())),
        now(ws.feed(Message::Close(None))),
        now(ws.text("x")),
        now(ws.binary(b"x")),
        now(ws.send(Message::Ping("x".into()))),
    ] {
        assert!(matches!(attempt, Err(Error::Send(SendError::Closed))), "{attempt:?}");
    }
    now(ws.flush()).unwrap();
    assert_eq!(peer.output(), [0x88, 0]);
}

#[test]
fn what_cannot_be_sent_changes_nothing() {
    let (mut ws, peer) = server();
    let long = vec![0; 126];
    let error = now(ws.send(Message::Ping(long.into()))).unwrap_err();
    assert!(matches!(error, Error::Send(SendError::ControlTooLong { len: 126 })));
    let frame = CloseFrame::new(CloseCode::NORMAL, "x".repeat(124));
    let error = now(ws.close(Some(frame))).unwrap_err();
    assert!(matches!(error, Error::Send(SendError::ReasonTooLong { len: 124 })));
    now(ws.send("still open".into())).unwrap();
    assert_eq!(peer.output(), b"\x81\x0Astill open");
}

#[test]
fn a_sender_is_told_what_the_transport_said() {
    let (mut ws, peer) = server();
    peer.state().write_error = Some(io::ErrorKind::ConnectionAborted);
    let error = now(ws.send("x".into())).unwrap_err();
    assert!(matches!(&error, Error::Io(it) if it.kind() == io::ErrorKind::ConnectionAborted));
    let error = now(ws.send("x".into())).unwrap_err();
    assert!(matches!(&error, Error::Io(it) if it.kind() == io::ErrorKind::BrokenPipe));
    assert_eq!(ws.buffered_amount(), 0);
}

#[test]
fn the_last_word_of_a_peer_that_takes_nothing_more_is_heard() {
    let (mut ws, peer) = server();
    peer.state().write_error = Some(io::ErrorKind::BrokenPipe);
    // The pong cannot be written, and that is not the reader's affair yet.
    peer.hear(&[ping(b"?"), text("my last word")].concat());
    assert_eq!(next(&mut ws).unwrap().unwrap(), Message::Ping("?".into()));
    assert_eq!(next(&mut ws).unwrap().unwrap(), "my last word".into());
    let error = next(&mut ws).unwrap().unwrap_err();
    assert!(matches!(&error, Error::Io(it) if it.kind() == io::ErrorKind::BrokenPipe));
    assert!(next(&mut ws).is_none());
}

#[test]
fn nobody_is_woken_and_nothing_is_tried_while_nothing_happens() {
    let (mut ws, peer) = server();
    let (bell, waker) = Bell::new();
    let mut cx = std::task::Context::from_waker(&waker);
    assert!(ws.poll_next_unpin(&mut cx).is_pending());
    assert_eq!(bell.rang(), 0);
    assert_eq!(peer.tries(), (1, 0));
    peer.stall();
    peer.hear(&ping(b"?"));
    assert_eq!(bell.rang(), 1);
    assert!(matches!(ws.poll_next_unpin(&mut cx), Poll::Ready(Some(Ok(Message::Ping(_))))));
    assert!(ws.poll_next_unpin(&mut cx).is_pending());
    let before = peer.state().writes;
    assert_eq!(bell.rang(), 0);
    // The answer goes out when there is room, by one wake.
    peer.take(100);
    assert_eq!(bell.rang(), 1);
    assert!(ws.poll_next_unpin(&mut cx).is_pending());
    assert_eq!(peer.output(), b"\x8A\x01?");
    assert_eq!(peer.state().writes, before + 1);
    assert_eq!(bell.rang(), 0);
}

#[test]
fn the_connection_taken_apart_loses_nothing() {
    let (mut ws, peer) = server();
    peer.hear(&[text("one"), text("two"), text("three")].concat());
    assert_eq!(next(&mut ws).unwrap().unwrap(), "one".into());
    peer.stall();
    now(ws.feed("unsent".into())).unwrap();
    peer.take(3);
    assert!(poll_once(ws.flush()).is_pending());
    let parts = ws.into_parts();
    assert_eq!(parts.unread, [text("two"), text("three")].concat());
    assert_eq!([peer.output(), parts.unsent].concat(), b"\x81\x06unsent");
    let unread = heard(parts.connection, parts.unread);
    assert_eq!(unread, ["two".into(), "three".into()]);
}

#[test]
fn a_transport_that_buffers_is_flushed_by_either_side() {
    let pipe = Pipe::default();
    let buffered = tokio::io::BufStream::new(pipe.clone());
    let mut ws =
        WebSocketStream::from_raw_socket(buffered, Role::Server, Config::default(), Vec::new());
    pipe.hear(&ping(b"?"));
    assert!(matches!(now(ws.next()), Some(Ok(Message::Ping(_)))));
    assert_eq!(pipe.output(), b"\x8A\x01?");
    now(ws.send("x".into())).unwrap();
    assert_eq!(pipe.output(), b"\x8A\x01?\x81\x01x");
}
