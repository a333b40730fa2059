//! Frames to messages, as a server gets them from a client, without sockets: one buffer of masked
//! frames, one after the other, read over and over through the public interface of each library.
//!
//! Who reads from a stream is given one in memory, which copies out of that buffer at most 64 KiB at
//! a time, as a socket would. So nobody's unmasking touches the original and nothing needs
//! restoring; and who takes bytes instead of a stream pays for the same copy, from the same stream
//! into its buffer. Connections live for the whole run: opening one is not measured. Text is checked
//! to be UTF-8 by all, and a message is whatever owns or borrows its bytes in that library.

use crate::harness::{Row, Work, table};
use bytes::BytesMut;
use fastwebsockets::FragmentCollector;
use futures_core::Stream;
use std::{
    io,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, Waker},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

type Prepare = fn(&Case) -> Option<Work<'static>>;

pub fn run() {
    #[cfg_attr(not(feature = "yawc"), allow(unused_mut, reason = "yawc may join"))]
    let mut candidates: Vec<(&str, Prepare)> = vec![
        ("sockeye", sockeye),
        ("memcpy", memcpy),
        ("tungstenite", tungstenite),
        ("fastwebsockets", fastwebsockets),
        ("tokio-websockets", tokio_websockets),
        ("sockudo-ws", sockudo),
    ];
    #[cfg(feature = "yawc")]
    candidates.push(("yawc", yawc));

    let names: Vec<&str> = candidates.iter().map(|c| c.0).collect();
    let cases = [
        Case::new("20 B binary", 0x2, 20),
        Case::new("125 B binary", 0x2, 125),
        Case::new("1 KiB text", 0x1, 1 << 10),
        Case::new("1 KiB text, one a read", 0x1, 1 << 10).one_a_read(),
        Case::new("16 KiB text", 0x1, 16 << 10),
        Case::new("16 KiB text, one a read", 0x1, 16 << 10).one_a_read(),
        Case::new("1 MiB binary", 0x2, 1 << 20),
    ];
    let rounds = std::env::args().nth(2).and_then(|n| n.parse().ok()).unwrap_or(101);
    let rows = cases.iter().map(|case| Row {
        label: case.label.into(),
        things: case.messages,
        work: candidates.iter().map(|(_, prepare)| prepare(case)).collect(),
    });
    table(&names, 1, rounds, rows);
}

/// One kind of message.
struct Case {
    label: &'static str,
    wire: Rc<[u8]>,
    messages: usize,
    len: usize,
    /// The most that one read gets.
    read_max: usize,
}

impl Case {
    fn new(label: &'static str, opcode: u8, len: usize) -> Self {
        let messages = ((256 << 10) / len).max(4);
        let mut wire = vec![];
        for i in 0..messages {
            let key = (i as u32 + 1).wrapping_mul(0x9E37_79B9).to_be_bytes();
            wire.push(0x80 | opcode);
            match len {
                ..126 => wire.push(0x80 | len as u8),
                126..0x1_0000 => {
                    wire.push(0x80 | 126);
                    wire.extend((len as u16).to_be_bytes());
                }
                _ => {
                    wire.push(0x80 | 127);
                    wire.extend((len as u64).to_be_bytes());
                }
            }
            wire.extend(key);
            wire.extend((0..len).map(|j| (b'a' + (j % 26) as u8) ^ key[j % 4]));
        }
        Self { label, wire: wire.into(), messages, len, read_max: 64 << 10 }
    }

    /// No read gets bytes of two messages: a client that waits for its answers, where the case
    /// without it is one that does not.
    fn one_a_read(mut self) -> Self {
        self.read_max = self.wire.len() / self.messages;
        self
    }

    fn stream(&self) -> Wire {
        Wire { wire: self.wire.clone(), at: 0, read_max: self.read_max }
    }

    /// Work out of a function that takes the next message and says how long it is.
    fn each(&self, mut next: impl FnMut() -> usize + 'static) -> Option<Work<'static>> {
        let (messages, len) = (self.messages, self.len);
        Some(Box::new(move |times| {
            for _ in 0..times * messages {
                assert_eq!(next(), len);
            }
        }))
    }
}

/// The frames without end, at most 64 KiB at once; what is written to it is dropped.
struct Wire {
    wire: Rc<[u8]>,
    at: usize,
    read_max: usize,
}

impl Wire {
    fn take(&mut self, room: usize) -> &[u8] {
        let boundary = (self.at / self.read_max + 1) * self.read_max;
        let end = self.wire.len().min(self.at + room).min(boundary);
        let bytes = &self.wire[self.at..end];
        self.at = end % self.wire.len();
        bytes
    }
}

impl io::Read for Wire {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let bytes = self.take(buf.len());
        buf[..bytes.len()].copy_from_slice(bytes);
        Ok(bytes.len())
    }
}

impl io::Write for Wire {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        buf.put_slice(self.take(buf.remaining()));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A future on a stream that is always ready is ready at once, or after as many polls as it likes.
fn now<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}

fn next<S: Stream + Unpin>(stream: &mut S) -> S::Item {
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(item) = Pin::new(&mut *stream).poll_next(&mut context) {
            return item.expect("the wire has no end");
        }
    }
}

/// Reads into one buffer that is lent to the codec, as the loop of the README does.
fn sockeye(case: &Case) -> Option<Work<'static>> {
    use sockeye::proto::{Config, Connection, Event, Input};
    let (messages, len) = (case.messages, case.len);
    let mut stream = case.stream();
    let mut connection = Connection::server(Config::default());
    // Not 64 KiB: with what it is copied from, that would leave the first-level cache.
    let (mut scratch, mut out) = (vec![0; 16 << 10 | 64], vec![]);
    let mut over = 0;
    Some(Box::new(move |times| {
        let mut left = (times * messages).saturating_sub(over);
        over = over.saturating_sub(times * messages);
        while left > 0 {
            let n = io::Read::read(&mut stream, &mut scratch).expect("never fails");
            let mut input = Input::new(&mut scratch[..n]);
            let (rx, tx) = connection.split_mut();
            while let Some(event) = rx.next(&mut input, tx, &mut out).expect("messages") {
                let got = match std::hint::black_box(event) {
                    Event::Text(text) => text.len(),
                    Event::Binary(bytes) => bytes.len(),
                    _ => 0,
                };
                assert_eq!(got, len);
                // Messages of the last read that were not asked for count for the next time.
                match left {
                    0 => over += 1,
                    _ => left -= 1,
                }
            }
        }
    }))
}

/// The copy from the stream into one buffer, which everybody pays at least once.
fn memcpy(case: &Case) -> Option<Work<'static>> {
    let mut stream = case.stream();
    let mut scratch = vec![0; 64 << 10];
    let whole = case.wire.len();
    Some(Box::new(move |times| {
        let mut left = times * whole;
        while left > 0 {
            left -= io::Read::read(&mut stream, &mut scratch).expect("never fails");
            std::hint::black_box(&mut scratch);
        }
    }))
}

fn tungstenite(case: &Case) -> Option<Work<'static>> {
    use tungstenite::{WebSocket, protocol::Role};
    let mut socket = WebSocket::from_raw_socket(case.stream(), Role::Server, None);
    case.each(move || socket.read().expect("a message").len())
}

fn fastwebsockets(case: &Case) -> Option<Work<'static>> {
    use fastwebsockets::{Role, WebSocket};
    let mut socket =
        FragmentCollector::new(WebSocket::after_handshake(case.stream(), Role::Server));
    case.each(move || now(socket.read_frame()).expect("a message").payload.len())
}

fn tokio_websockets(case: &Case) -> Option<Work<'static>> {
    let mut socket = tokio_websockets::ServerBuilder::new().serve(case.stream());
    case.each(move || next(&mut socket).expect("a message").as_payload().len())
}

fn sockudo(case: &Case) -> Option<Work<'static>> {
    use sockudo_ws::{Role, protocol::Protocol};
    let mut stream = case.stream();
    let mut protocol = Protocol::new(Role::Server, 64 << 20, 64 << 20);
    let mut buffer = BytesMut::new();
    let (mut ready, mut taken) = (vec![], 0);
    case.each(move || {
        while taken == ready.len() {
            taken = 0;
            buffer.extend_from_slice(stream.take(64 << 10));
            protocol.process_into(&mut buffer, &mut ready).expect("messages");
        }
        taken += 1;
        std::hint::black_box(&ready[taken - 1]).as_bytes().len()
    })
}

#[cfg(feature = "yawc")]
fn yawc(case: &Case) -> Option<Work<'static>> {
    use yawc::{Options, Role, WebSocket};
    let options = Options::default().with_utf8().with_limits(64 << 20, 128 << 20);
    let mut socket =
        WebSocket::from_stream(case.stream(), Role::Server, options).expect("a socket");
    case.each(move || next(&mut socket).payload().len())
}
