//! Futures that are dropped: after every poll that there is, by a transport that stalls before each
//! few bytes. What comes through is the same as if nobody had dropped anything.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::{Sink, SinkExt as _, StreamExt as _};
use sockeye::aio::{CloseFrame, Config, Error, Message, Reply, WebSocketStream, accept_hdr_async};
use sockeye::proto::deflate::Deflate;
use sockeye::proto::handshake::Request;
use sockeye::proto::{self, CloseCode, Connection, Role};

use crate::pipe::*;

/// When a future is dropped.
#[derive(Clone, Copy, Debug)]
enum Drops {
    Never,
    /// After this poll of the whole run, once.
    After(usize),
    /// Whenever a future has been polled so often.
    Every(usize),
}

/// Polls futures, and drops them as it was told.
struct Driver {
    drops: Drops,
    polls: usize,
    dropped: usize,
}

impl Driver {
    fn new(drops: Drops) -> Self {
        Self { drops, polls: 0, dropped: 0 }
    }

    /// One life of a future: its output, or `None` if it was dropped before.
    fn live<F: Future>(&mut self, future: F) -> Option<F::Output> {
        let mut future = std::pin::pin!(future);
        let mut of_this = 0;
        loop {
            let (bell, waker) = Bell::new();
            self.polls += 1;
            of_this += 1;
            assert!(self.polls < 1_000_000, "it never ends");
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return Some(output);
            }
            assert!(bell.rang() > 0, "it waits for something that will not come");
            let drop_it = match self.drops {
                Drops::Never => false,
                Drops::After(poll) => self.polls == poll,
                Drops::Every(polls) => of_this == polls,
            };
            if drop_it {
                self.dropped += 1;
                return None;
            }
        }
    }
}

/// Makes a future again and again until one lives to its end.
macro_rules! insist {
    ($driver:expr, $future:expr) => {
        loop {
            if let Some(output) = $driver.live($future) {
                break output;
            }
        }
    };
}

/// Runs the scenario for every poll at which something can be dropped.
fn at_every_poll(mut run: impl FnMut(&mut Driver)) {
    let mut whole = Driver::new(Drops::Never);
    run(&mut whole);
    assert!(whole.polls > 20, "{} polls", whole.polls);
    let mut dropped = 0;
    for poll in 1..whole.polls {
        let mut driver = Driver::new(Drops::After(poll));
        run(&mut driver);
        dropped += driver.dropped;
    }
    // Not every poll leaves something to be dropped, but most do.
    assert!(dropped > whole.polls / 3, "{dropped} of {}", whole.polls);
    for polls in 1..20 {
        let mut driver = Driver::new(Drops::Every(polls));
        run(&mut driver);
    }
}

fn stalling(
    role: Role,
    connection: Option<Connection>,
    piece: usize,
) -> (WebSocketStream<Pipe>, Pipe) {
    let pipe = Pipe::default();
    pipe.state().hiccup = Some(piece);
    let config = Config { write_bytes_max: 64, ..Config::default() };
    let ws = match connection {
        None => WebSocketStream::from_raw_socket(pipe.clone(), role, config, Vec::new()),
        Some(it) => WebSocketStream::from_connection(pipe.clone(), it, &config, Vec::new()),
    };
    (ws, pipe)
}

/// Everything a peer may say: empty, long, binary, in fragments with a ping between, and goodbye.
fn speech(codec: &mut Connection) -> Vec<u8> {
    let (_, tx) = codec.split_mut();
    let mut out = Vec::new();
    tx.text("", &mut out).unwrap();
    tx.text("a text", &mut out).unwrap();
    tx.binary(&[7; 130], &mut out).unwrap();
    tx.fragment(proto::Message::Text("in "), false, &mut out).unwrap();
    tx.ping(b"between", &mut out).unwrap();
    tx.fragment(proto::Message::Text("two parts"), true, &mut out).unwrap();
    tx.pong(b"unasked", &mut out).unwrap();
    tx.text("the last", &mut out).unwrap();
    let frame = proto::CloseFrame { code: CloseCode::NORMAL, reason: "bye" };
    tx.close(Some(frame), &mut out).unwrap();
    out
}

/// What comes back from an echo of [`speech`].
fn echoes() -> Vec<Message> {
    vec![
        "".into(),
        "a text".into(),
        vec![7; 130].into(),
        Message::Pong("between".into()),
        "in two parts".into(),
        "the last".into(),
        Message::Close(Some(CloseFrame::new(CloseCode::NORMAL, "bye"))),
    ]
}

/// Echoes until the end, every await through the driver.
fn echo(driver: &mut Driver, ws: &mut WebSocketStream<Pipe>) {
    while let Some(message) = insist!(driver, ws.next()) {
        let message = message.unwrap();
        if matches!(message, Message::Text(_) | Message::Binary(_)) {
            insist!(driver, poll_fn(|cx| ws.poll_ready_unpin(cx))).unwrap();
            ws.start_send_unpin(message).unwrap();
            insist!(driver, ws.flush()).unwrap();
        }
    }
}

#[test]
fn a_server_echoes_the_same_at_whatever_poll_it_is_dropped() {
    for piece in [1, 3, 50, 1000] {
        at_every_poll(|driver| {
            let (mut ws, peer) = stalling(Role::Server, None, piece);
            peer.hear(&speech(&mut client_codec()));
            echo(driver, &mut ws);
            assert_eq!(heard(client_codec(), peer.output()), echoes(), "{:?}", driver.drops);
            assert!(peer.state().is_shut);
        });
    }
}

#[test]
fn a_client_echoes_the_same_at_whatever_poll_it_is_dropped() {
    for piece in [1, 40] {
        at_every_poll(|driver| {
            let (mut ws, peer) = stalling(Role::Client, None, piece);
            let mut codec = Connection::server(proto::Config::default());
            peer.hear(&speech(&mut codec));
            peer.end_input();
            echo(driver, &mut ws);
            let server = Connection::server(proto::Config::default());
            assert_eq!(heard(server, peer.output()), echoes(), "{:?}", driver.drops);
        });
    }
}

#[test]
fn compressed_messages_come_through_at_whatever_poll_it_is_dropped() {
    let policy = Deflate {
        server_no_context_takeover: false,
        client_no_context_takeover: false,
        compress_from: 0,
        ..Deflate::default()
    };
    let (agreed, _) = policy.respond([[("client_max_window_bits", None)]]).unwrap();
    let deflating = |mut connection: Connection| {
        connection.enable_deflate(&agreed, &policy);
        connection
    };
    at_every_poll(|driver| {
        let server = deflating(Connection::server(proto::Config::default()));
        let (mut ws, peer) = stalling(Role::Server, Some(server), 3);
        peer.hear(&speech(&mut deflating(client_codec())));
        echo(driver, &mut ws);
        assert_eq!(heard(deflating(client_codec()), peer.output()), echoes());
    });
}

/// A sink that knows how many messages were really taken.
struct Counted<'w>(&'w mut WebSocketStream<Pipe>, &'w mut usize);

impl Sink<Message> for Counted<'_> {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.0.poll_ready_unpin(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        *self.1 += 1;
        self.0.start_send_unpin(message)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.0.poll_flush_unpin(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.0.poll_close_unpin(cx)
    }
}

#[test]
fn a_send_that_is_dropped_has_taken_its_message_whole_or_not_at_all() {
    at_every_poll(|driver| {
        let (mut ws, peer) = stalling(Role::Server, None, 5);
        let mut wanted: Vec<Message> = Vec::new();
        for number in 0..8 {
            let message = Message::text(format!("{number} ").repeat(10));
            let mut taken = 0;
            let _ = driver.live(Counted(&mut ws, &mut taken).send(message.clone()));
            wanted.extend(std::iter::repeat_n(message, taken));
            // Nothing is flushed in between: the next may find a part of this one in its way.
        }
        insist!(driver, ws.flush()).unwrap();
        assert_eq!(heard(client_codec(), peer.output()), wanted, "{:?}", driver.drops);
    });
}

#[test]
fn a_close_that_is_dropped_says_goodbye_once() {
    at_every_poll(|driver| {
        let (mut ws, peer) = stalling(Role::Server, None, 1);
        let frame = || Some(CloseFrame::new(CloseCode::GOING_AWAY, "x".repeat(40)));
        insist!(driver, ws.close(frame())).unwrap();
        peer.hear(&[text("late"), close(1001)].concat());
        assert_eq!(insist!(driver, ws.next()).unwrap().unwrap(), "late".into());
        insist!(driver, ws.finish(None)).unwrap();
        assert_eq!(heard(client_codec(), peer.output()), [Message::Close(frame())]);
        assert!(peer.state().is_shut);
    });
}

#[test]
fn a_loop_that_selects_between_both_directions_loses_nothing() {
    // Whatever is not ready first is dropped, every time.
    let (mut ws, peer) = stalling(Role::Server, None, 2);
    let messages: Vec<String> = (0..50).map(|number| format!("message {number}")).collect();
    for message in &messages {
        peer.hear(&text(message));
    }
    let (mut got, mut sent) = (Vec::new(), 0);
    let (_, waker) = Bell::new();
    let mut cx = Context::from_waker(&waker);
    while got.len() < messages.len() || sent < messages.len() {
        if let Poll::Ready(message) = std::pin::pin!(ws.next()).poll(&mut cx) {
            got.push(message.unwrap().unwrap());
        }
        if sent < messages.len()
            && std::pin::pin!(poll_fn(|cx| ws.poll_ready_unpin(cx))).poll(&mut cx).is_ready()
        {
            ws.start_send_unpin(Message::text(&*messages[sent])).unwrap();
            sent += 1;
        }
        let _ = std::pin::pin!(ws.flush()).poll(&mut cx);
    }
    insist!(Driver::new(Drops::Every(1)), ws.flush()).unwrap();
    let wanted: Vec<Message> = messages.iter().map(|it| Message::text(&**it)).collect();
    assert_eq!(got, wanted);
    assert_eq!(heard(client_codec(), peer.output()), wanted);
}

#[test]
fn frames_that_come_with_the_request_are_heard_however_it_is_cut() {
    let request = b"GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    for piece in [1, 7, 1000] {
        let pipe = Pipe::default();
        pipe.state().hiccup = Some(piece);
        pipe.hear(&[&request[..], &text("early"), &close(1000)].concat());
        let mut paths = Vec::new();
        let look = |request: &Request<'_>, reply: Reply| {
            paths.push(request.path().to_owned());
            Ok(reply)
        };
        let mut driver = Driver::new(Drops::Never);
        let mut ws = driver.live(accept_hdr_async(pipe.clone(), look)).unwrap().unwrap();
        assert_eq!(paths, ["/chat"]);
        let mut driver = Driver::new(Drops::Every(1));
        assert_eq!(insist!(driver, ws.next()).unwrap().unwrap(), "early".into());
        assert!(insist!(driver, ws.next()).unwrap().unwrap().is_close());
        assert!(insist!(driver, ws.next()).is_none());
        let output = pipe.output();
        assert!(
            output.starts_with(b"HTTP/1.1 101 ") && output.ends_with(b"\r\n\r\n\x88\x02\x03\xE8")
        );
    }
}
