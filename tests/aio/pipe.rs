//! A transport that the test holds in its hand: what can be read, how much is taken, when it stalls,
//! and who is woken. It remembers one waker for each direction, the last, as sockets do.

use std::collections::VecDeque;
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};

use sockeye::aio::{Config, Message, WebSocketStream};
use sockeye::proto::{self, Connection, Event, Input, Role};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// One end; the test keeps a clone.
#[derive(Clone, Default, Debug)]
pub(crate) struct Pipe(Arc<Mutex<State>>);

#[derive(Default, Debug)]
pub(crate) struct State {
    /// What is there to be read.
    pub(crate) input: VecDeque<u8>,
    /// After the input comes the end.
    pub(crate) input_ends: bool,
    /// After the input comes this error.
    pub(crate) read_error: Option<io::ErrorKind>,
    pub(crate) output: Vec<u8>,
    /// How many bytes are taken before writing stalls; `None`: all.
    pub(crate) room: Option<usize>,
    pub(crate) write_error: Option<io::ErrorKind>,
    /// Stall once before every call that gets on, with at most so many bytes.
    pub(crate) hiccup: Option<usize>,
    hiccuped: [bool; 4],
    pub(crate) is_shut: bool,
    pub(crate) reads: usize,
    pub(crate) writes: usize,
    read_waker: Option<Waker>,
    write_waker: Option<Waker>,
}

impl Pipe {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// The peer says something.
    pub(crate) fn hear(&self, bytes: &[u8]) {
        let waker = {
            let mut state = self.state();
            state.input.extend(bytes);
            state.read_waker.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }

    /// The peer ends its side.
    pub(crate) fn end_input(&self) {
        self.state().input_ends = true;
        self.hear(b"");
    }

    /// So many more bytes are taken.
    pub(crate) fn take(&self, bytes: usize) {
        let waker = {
            let mut state = self.state();
            state.room = Some(state.room.unwrap_or(0) + bytes);
            state.write_waker.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }

    /// Takes nothing from now on.
    pub(crate) fn stall(&self) {
        self.state().room = Some(0);
    }

    /// How often reading and writing were tried.
    pub(crate) fn tries(&self) -> (usize, usize) {
        let state = self.state();
        (state.reads, state.writes)
    }

    pub(crate) fn output(&self) -> Vec<u8> {
        self.state().output.clone()
    }
}

impl State {
    /// Whether this call stalls: every other one does, and wakes at once.
    fn stalls(&mut self, call: usize, cx: &Context<'_>) -> bool {
        if self.hiccup.is_none() {
            return false;
        }
        self.hiccuped[call] = !self.hiccuped[call];
        if self.hiccuped[call] {
            cx.waker().wake_by_ref();
        }
        self.hiccuped[call]
    }
}

impl AsyncRead for Pipe {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.state();
        state.reads += 1;
        if state.stalls(0, cx) {
            return Poll::Pending;
        }
        if state.input.is_empty() {
            if let Some(kind) = state.read_error {
                return Poll::Ready(Err(kind.into()));
            }
            if state.input_ends {
                return Poll::Ready(Ok(()));
            }
            state.read_waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let most = state.hiccup.unwrap_or(usize::MAX).min(buffer.remaining());
        let n = most.min(state.input.len());
        let bytes: Vec<u8> = state.input.drain(..n).collect();
        buffer.put_slice(&bytes);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.state();
        state.writes += 1;
        if state.stalls(1, cx) {
            return Poll::Pending;
        }
        if let Some(kind) = state.write_error {
            return Poll::Ready(Err(kind.into()));
        }
        let most = state.hiccup.unwrap_or(usize::MAX).min(state.room.unwrap_or(usize::MAX));
        if most == 0 {
            state.write_waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let n = most.min(bytes.len());
        state.output.extend_from_slice(&bytes[..n]);
        state.room = state.room.map(|room| room - n);
        Poll::Ready(Ok(n))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.state().stalls(2, cx) { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state();
        if state.stalls(3, cx) {
            return Poll::Pending;
        }
        assert!(!state.is_shut, "shut down twice");
        state.is_shut = true;
        Poll::Ready(Ok(()))
    }
}

/// A server's connection over a pipe, and the test's end of it.
pub(crate) fn server() -> (WebSocketStream<Pipe>, Pipe) {
    open(Role::Server, Config::default())
}

pub(crate) fn open(role: Role, config: Config) -> (WebSocketStream<Pipe>, Pipe) {
    let pipe = Pipe::default();
    let ws = WebSocketStream::from_raw_socket(pipe.clone(), role, config, Vec::new());
    (ws, pipe)
}

/// A codec to speak for the peer of a server.
pub(crate) fn client_codec() -> Connection {
    Connection::client(proto::Config::default(), |bytes: &mut [u8]| bytes.fill(0x5A))
}

/// What a client sends, by calls on its codec.
pub(crate) fn said(say: impl FnOnce(&mut proto::Outbound, &mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    say(client_codec().split_mut().1, &mut out);
    out
}

pub(crate) fn text(text: &str) -> Vec<u8> {
    said(|tx, out| tx.text(text, out).unwrap())
}

pub(crate) fn ping(payload: &[u8]) -> Vec<u8> {
    said(|tx, out| tx.ping(payload, out).unwrap())
}

pub(crate) fn close(code: u16) -> Vec<u8> {
    let code = proto::CloseCode::new(code).unwrap();
    said(|tx, out| tx.close(Some(proto::CloseFrame { code, reason: "" }), out).unwrap())
}

/// What a codec makes of bytes.
pub(crate) fn heard(mut codec: Connection, mut bytes: Vec<u8>) -> Vec<Message> {
    let (rx, tx) = codec.split_mut();
    let mut input = Input::new(&mut bytes);
    let mut answers = Vec::new();
    let mut all = Vec::new();
    while let Some(event) = rx.next(&mut input, tx, &mut answers).unwrap() {
        all.push(Message::from(event as Event<'_>));
    }
    all
}

/// Counts how often it wakes.
#[derive(Default, Debug)]
pub(crate) struct Bell(AtomicUsize);

impl Bell {
    pub(crate) fn new() -> (Arc<Self>, Waker) {
        let bell = Arc::new(Self::default());
        (bell.clone(), Waker::from(bell))
    }

    /// How often it rang since it was asked.
    pub(crate) fn rang(&self) -> usize {
        self.0.swap(0, Ordering::SeqCst)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// One poll of a future that is dropped after it.
pub(crate) fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// A future that is ready now.
pub(crate) fn now<F: Future>(future: F) -> F::Output {
    match poll_once(future) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it is not ready"),
    }
}
