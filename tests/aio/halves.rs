//! One task reads and another writes: each does its own and is woken for it.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use sockeye::aio::{Config, Error, Message, WebSocketStream};
use sockeye::proto::{Role, SendError};
use tokio::time::timeout;

use crate::pipe::*;

/// Far more than anything here takes.
const HANG: Duration = Duration::from_secs(30);

#[test]
fn the_reading_half_alone_answers_pings_and_closes() {
    let (ws, peer) = server();
    let (_writing, mut reading) = ws.split();
    peer.hear(&[ping(b"1"), text("x"), ping(b"2")].concat());
    assert_eq!(now(reading.next()).unwrap().unwrap(), Message::Ping("1".into()));
    assert_eq!(peer.output(), b"\x8A\x011", "before the caller looks");
    assert_eq!(now(reading.next()).unwrap().unwrap(), "x".into());
    assert_eq!(now(reading.next()).unwrap().unwrap(), Message::Ping("2".into()));
    assert_eq!(peer.output(), b"\x8A\x011\x8A\x012");
    peer.hear(&close(1000));
    assert!(now(reading.next()).unwrap().unwrap().is_close());
    assert!(now(reading.next()).is_none());
    assert_eq!(peer.output(), b"\x8A\x011\x8A\x012\x88\x02\x03\xE8");
    assert!(peer.state().is_shut);
}

#[test]
fn whoever_waits_for_the_transport_is_woken_whoever_asked_it_last() {
    for reader_last in [false, true] {
        let (ws, peer) = server();
        let (mut writing, mut reading) = ws.split();
        let (reader, reader_waker) = Bell::new();
        let (writer, writer_waker) = Bell::new();
        peer.stall();
        peer.hear(&ping(b"?"));
        assert!(matches!(now(reading.next()), Some(Ok(Message::Ping(_)))));
        now(writing.feed("x".into())).unwrap();
        let mut poll_writer = || {
            assert!(writing.poll_flush_unpin(&mut Context::from_waker(&writer_waker)).is_pending())
        };
        let mut poll_reader = || {
            assert!(reading.poll_next_unpin(&mut Context::from_waker(&reader_waker)).is_pending())
        };
        if reader_last {
            poll_writer();
            poll_reader();
        } else {
            poll_reader();
            poll_writer();
        }
        assert_eq!((reader.rang(), writer.rang()), (0, 0));
        peer.take(2);
        // The transport woke one; behind it stand both.
        assert_eq!((reader.rang(), writer.rang()), (1, 1), "reader last: {reader_last}");
    }
}

#[test]
fn a_sender_is_woken_when_the_reader_has_written_for_it() {
    let (ws, peer) = server();
    let (mut writing, mut reading) = ws.split();
    let (writer, waker) = Bell::new();
    let mut cx = Context::from_waker(&waker);
    peer.stall();
    now(writing.feed("x".into())).unwrap();
    assert!(writing.poll_flush_unpin(&mut cx).is_pending());
    // There is room, and the transport is late with saying so: the reader finds out.
    peer.state().room = None;
    assert!(poll_once(reading.next()).is_pending());
    assert_eq!(peer.output(), b"\x81\x01x");
    assert_eq!(writer.rang(), 1);
    assert!(matches!(writing.poll_flush_unpin(&mut cx), Poll::Ready(Ok(()))));
}

#[test]
fn a_sender_that_waits_for_room_is_woken_by_the_end() {
    for end in [close(1000), b"\x81\x01x".to_vec(), Vec::new()] {
        let pipe = Pipe::default();
        let config = Config { write_bytes_max: 1, ..Config::default() };
        let ws = WebSocketStream::from_raw_socket(pipe.clone(), Role::Server, config, Vec::new());
        let (mut writing, mut reading) = ws.split();
        let (writer, waker) = Bell::new();
        let mut cx = Context::from_waker(&waker);
        pipe.stall();
        // The half has a place of its own for one message, before the bound.
        now(writing.feed("x".into())).unwrap();
        now(writing.feed("y".into())).unwrap();
        assert!(writing.poll_ready_unpin(&mut cx).is_pending());
        pipe.hear(&end);
        if end.is_empty() {
            pipe.end_input();
        }
        let _ = now(reading.next());
        assert!(writer.rang() > 0, "{end:?}");
        let ready = writing.poll_ready_unpin(&mut cx);
        assert!(matches!(ready, Poll::Ready(Err(Error::Send(SendError::Closed)))), "{ready:?}");
    }
}

#[test]
fn the_reading_task_may_change() {
    let (mut ws, peer) = server();
    let (first, first_waker) = Bell::new();
    let (second, second_waker) = Bell::new();
    assert!(ws.poll_next_unpin(&mut Context::from_waker(&first_waker)).is_pending());
    assert!(ws.poll_next_unpin(&mut Context::from_waker(&second_waker)).is_pending());
    peer.hear(&text("x"));
    assert_eq!((first.rang(), second.rang()), (0, 1));
}

/// Sends many, and reads what the other end sends meanwhile, in two tasks.
async fn both_ways<S>(ws: WebSocketStream<S>, count: usize, pings: bool) -> usize
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (mut writing, mut reading) = ws.split();
    let mut sender = tokio::spawn(async move {
        for number in 0..count {
            writing.send(Message::text(number.to_string())).await.unwrap();
            if pings && number % 3 == 0 {
                writing.send(Message::Ping(number.to_string().into())).await.unwrap();
            }
        }
        writing
    });
    let (mut got, mut pongs) = (0, 0);
    let mut writing = None;
    // Who stops reading while both still write makes both wait for ever.
    while got < count || writing.is_none() {
        let message = tokio::select! {
            message = reading.next() => match message {
                Some(message) => message.unwrap(),
                None => {
                    writing = Some((&mut sender).await.unwrap());
                    break;
                }
            },
            sent = &mut sender, if writing.is_none() => {
                writing = Some(sent.unwrap());
                continue;
            }
        };
        match message {
            Message::Text(text) => {
                assert_eq!(&*text, got.to_string());
                got += 1;
            }
            Message::Pong(_) => pongs += 1,
            _ => {}
        }
    }
    let mut ws = reading.reunite(writing.unwrap()).unwrap();
    // Not `close().await`: neither end would read while both wait for the other to take its goodbye.
    // The other may have been first with it.
    let closed = ws.start_send_unpin(Message::Close(None));
    assert!(matches!(closed, Ok(()) | Err(Error::Send(SendError::Closed))), "{closed:?}");
    while let Some(message) = ws.next().await {
        pongs += usize::from(matches!(message.unwrap(), Message::Pong(_)));
    }
    // While an end is backed up it answers the newest ping only.
    assert_eq!(pongs > 0, pings);
    got
}

#[test]
fn halves_in_two_tasks_each_over_a_narrow_pipe_pass_everything_in_order() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        for width in [1, 7, 64, 4096] {
            let (here, there) = tokio::io::duplex(width);
            let config = Config { write_bytes_max: 50, ..Config::default() };
            let server =
                WebSocketStream::from_raw_socket(here, Role::Server, config.clone(), Vec::new());
            let client = WebSocketStream::from_raw_socket(there, Role::Client, config, Vec::new());
            let both = async {
                tokio::join!(
                    tokio::spawn(both_ways(server, 2000, true)),
                    tokio::spawn(both_ways(client, 2000, false))
                )
            };
            let (server, client) = timeout(HANG, both).await.expect("it hangs");
            assert_eq!((server.unwrap(), client.unwrap()), (2000, 2000), "width {width}");
        }
    });
}

#[test]
fn a_connection_can_move_between_threads() {
    fn moves<T: Send>(_: &T) {}
    let (ws, peer) = server();
    moves(&ws);
    drop(Arc::new(peer));
}
