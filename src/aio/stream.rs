//! The open connection: the codec between a transport's polls and a program's messages.

use std::cell::Cell;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::{FusedStream, Stream};
use futures_sink::Sink;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::wakers::Side;
use super::wire::Wire;
use super::{CloseFrame, Config, Error, Message};
use crate::proto::{
    self, Connection, Ended, Input, ReadyState, Role, SendError, SendOptions, Transport, Violation,
};

/// 64 KiB, one read of the transport: what a socket gives at once on a fast link. One such buffer
/// serves all connections of a thread.
const READ_BYTES: usize = 64 * 1024;

/// 64 reads in one poll without anything to tell, then other tasks have their turn.
const READS_PER_POLL: u32 = 64;

thread_local! {
    /// Where reads land. Between two polls it holds nothing of anybody's.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// An open WebSocket over a transport of tokio's kind, as a [`Stream`] and [`Sink`] of [`Message`]s.
///
/// - open: [`accept_async`](super::accept_async), `connect_async`,
///   [`from_raw_socket`](Self::from_raw_socket), [`from_connection`](Self::from_connection)
/// - talk: the traits, by `futures_util`'s `StreamExt` and `SinkExt`; [`text`](Self::text) and
///   [`binary`](Self::binary) send what is only borrowed
/// - end: [`close`](Self::close), then read on to the end, or [`finish`](Self::finish), which does both
///
/// # As a stream
///
/// It yields what the peer says, and sends on the way what the protocol demands: pongs, the answer to
/// a close, the close after a violation. When the conversation is over it ends the transport as RFC
/// 6455 §7.1.1 wants it, a server at once and a client when the server has, and yields `None`:
///
/// | the peer | it yields |
/// |---|---|
/// | said goodbye | [`Message::Close`], then `None` |
/// | broke the protocol | [`Error::Violation`], then `None` when the peer has hung up |
/// | vanished | [`Error::NoClose`] or [`Error::Io`], then `None` |
///
/// # As a sink
///
/// It is ready while fewer than [`Config::write_bytes_max`] bytes wait. [`Message::Close`] and
/// `close()` begin the closing handshake; the stream goes on until the peer has answered. Pings of a
/// peer that does not read make nothing grow: only the newest is answered.
///
/// # Memory
///
/// At rest it owns at most 4 KiB of write buffer beyond itself, and nothing for reading.
pub struct WebSocketStream<S> {
    stream: S,
    connection: Connection,
    wire: Wire,
    /// Bytes that were read and not looked at, from `looked_at` on.
    unread: Vec<u8>,
    looked_at: usize,
    reading: Reading,
    write_bytes_max: usize,
}

/// What a connection is made of, for those who go on by themselves.
#[derive(Debug)]
#[non_exhaustive]
pub struct Parts<S> {
    /// The transport.
    pub stream: S,
    /// The codec, in the middle of the conversation.
    pub connection: Connection,
    /// Bytes that were read and not looked at: the first [`Input`] to lend to `connection`.
    pub unread: Vec<u8>,
    /// Bytes to be written before any others.
    pub unsent: Vec<u8>,
}

/// How the stream stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Reading {
    /// Messages may come.
    Open,
    /// Nothing the peer says counts any more; the transport is to be ended.
    Ending,
    /// And the peer has ended its side of it.
    Drained,
    /// `None` from now on.
    Over,
}

impl<S> WebSocketStream<S> {
    /// A connection whose opening handshake somebody else has made, without extensions. `unread` are
    /// bytes that came behind the handshake; most often there are none.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use futures_util::{SinkExt, StreamExt};
    /// use sockeye::aio::{Config, WebSocketStream};
    /// use sockeye::proto::Role;
    ///
    /// let (here, there) = tokio::io::duplex(1024);
    /// let mut server = WebSocketStream::from_raw_socket(here, Role::Server, Config::default(), Vec::new());
    /// let mut client = WebSocketStream::from_raw_socket(there, Role::Client, Config::default(), Vec::new());
    /// client.send("hello".into()).await?;
    /// assert_eq!(server.next().await.unwrap()?, "hello".into());
    /// # Ok::<(), sockeye::aio::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Panics
    ///
    /// A client that sends panics if the system's source of randomness fails: a frame with a mask that
    /// can be guessed must not leave (RFC 6455 §10.3).
    pub fn from_raw_socket(stream: S, role: Role, config: Config, unread: Vec<u8>) -> Self {
        let connection = match role {
            Role::Server => Connection::server(config.proto.clone()),
            Role::Client => client_connection(&config),
        };
        Self::from_connection(stream, connection, &config, unread)
    }

    /// A connection with a codec that was set up by the caller, for one that agreed on compression.
    /// Of `config` only what concerns the transport is used.
    pub fn from_connection(
        stream: S,
        connection: Connection,
        config: &Config,
        unread: Vec<u8>,
    ) -> Self {
        Self {
            stream,
            connection,
            wire: Wire::default(),
            unread,
            looked_at: 0,
            reading: Reading::Open,
            write_bytes_max: config.write_bytes_max,
        }
    }

    /// The transport.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    /// The transport, to set its options. Who reads or writes here breaks the conversation.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// The transport alone. What was read and not looked at, or not sent, is dropped: see
    /// [`into_parts`](Self::into_parts).
    pub fn into_inner(self) -> S {
        self.stream
    }

    /// Takes the connection apart. Copies what was received and not looked at, and what was not sent.
    pub fn into_parts(mut self) -> Parts<S> {
        let unsent = self.wire.take_unsent();
        self.unread.drain(..self.looked_at);
        Parts { stream: self.stream, connection: self.connection, unread: self.unread, unsent }
    }

    /// The state by its usual name and number.
    pub fn ready_state(&self) -> ReadyState {
        if self.reading == Reading::Over {
            ReadyState::Closed
        } else {
            self.connection.ready_state()
        }
    }

    /// Which end this is.
    pub fn role(&self) -> Role {
        self.connection.role()
    }

    /// Bytes that the transport has not taken yet.
    pub fn buffered_amount(&self) -> usize {
        self.wire.pending()
    }

    /// Puts a message, or a fragment of one, into the buffer with options, as
    /// [`Sink::start_send`] does without: after the sink was ready, and before a flush.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] for what cannot be sent now, [`Error::Io`] if the transport has failed.
    pub fn start_send_with(
        &mut self,
        message: proto::Message<'_>,
        options: SendOptions,
    ) -> Result<(), Error> {
        self.may_send()?;
        Ok(self.connection.split_mut().1.send(message, options, &mut self.wire.out)?)
    }

    fn may_send(&mut self) -> Result<(), Error> {
        if let Some(error) = self.wire.failure() {
            return Err(error.into());
        }
        match self.ready_state() {
            ReadyState::Open => Ok(()),
            _ => Err(SendError::Closed.into()),
        }
    }

    fn take(&mut self, message: &Message) -> Result<(), Error> {
        self.may_send()?;
        let (_, tx) = self.connection.split_mut();
        let out = &mut self.wire.out;
        Ok(match message {
            Message::Text(text) => tx.text(text, out),
            Message::Binary(bytes) => tx.binary(bytes, out),
            Message::Ping(bytes) => tx.ping(bytes, out),
            Message::Pong(bytes) => tx.pong(bytes, out),
            Message::Close(frame) => tx.close(frame.as_ref().map(CloseFrame::borrowed), out),
        }?)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocketStream<S> {
    /// Sends a text message that is only borrowed, and flushes it. Dropped in the middle, it has taken
    /// the message whole or not at all.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] after a close; [`Error::Io`] from the transport.
    pub async fn text(&mut self, text: &str) -> Result<(), Error> {
        self.send_borrowed(proto::Message::Text(text)).await
    }

    /// Sends a binary message that is only borrowed, as [`text`](Self::text) does.
    ///
    /// # Errors
    ///
    /// As [`text`](Self::text).
    pub async fn binary(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.send_borrowed(proto::Message::Binary(bytes)).await
    }

    async fn send_borrowed(&mut self, message: proto::Message<'_>) -> Result<(), Error> {
        poll_fn(|cx| self.poll_room(cx)).await?;
        self.start_send_with(message, SendOptions::default())?;
        poll_fn(|cx| self.poll_sent(cx)).await
    }

    /// Begins the closing handshake (RFC 6455 §7.1.2) and flushes it; `None` gives no code. The stream
    /// goes on: read it to its end, or the peer is cut off. Where the peer may not read before it is read
    /// itself, [`finish`](Self::finish) does both at once. Once the closing handshake has begun, by
    /// either side, only flushes what is left.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] for a reason of more than 123 bytes: nothing has happened. [`Error::Io`] from
    /// the transport.
    pub async fn close(&mut self, frame: Option<CloseFrame>) -> Result<(), Error> {
        self.begin_close(frame.as_ref())?;
        poll_fn(|cx| self.poll_closed(cx)).await
    }

    /// Closes, and reads on until the peer has answered and the transport has ended, so that nothing
    /// that was sent is lost; messages that come meanwhile are dropped. Says how it ended. After a
    /// violation too: the peer may still be writing, and to hang up then could destroy the close frame
    /// on its way.
    ///
    /// A peer can make this wait for ever: put a time-out around it.
    ///
    /// ```no_run
    /// # async fn end<S>(mut ws: sockeye::aio::WebSocketStream<S>)
    /// # where S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin {
    /// use std::time::Duration;
    /// let _ = tokio::time::timeout(Duration::from_secs(5), ws.finish(None)).await;
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`close`](Self::close), and what the peer did wrong since.
    pub async fn finish(&mut self, frame: Option<CloseFrame>) -> Result<Ended, Error> {
        if self.reading != Reading::Over {
            self.begin_close(frame.as_ref())?;
        }
        let mut outcome = Ok(());
        while let Some(message) = poll_fn(|cx| self.poll_message(cx)).await {
            // After an error there is still the transport to be ended.
            outcome = outcome.and(message.map(drop));
        }
        // It has been said already, so that this changes nothing.
        let ended = self.connection.receive_eof();
        outcome.map(|()| ended)
    }

    fn begin_close(&mut self, frame: Option<&CloseFrame>) -> Result<(), Error> {
        let frame = frame.map(CloseFrame::borrowed);
        match self.connection.split_mut().1.close(frame, &mut self.wire.out) {
            Ok(()) | Err(SendError::Closed) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    // --- the stream --------------------------------------------------------------------------------

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Message, Error>>> {
        for _ in 0..READS_PER_POLL {
            match self.reading {
                Reading::Over => return Poll::Ready(None),
                Reading::Ending | Reading::Drained => return self.poll_end(cx).map(|()| None),
                Reading::Open => {}
            }
            // Also when nothing is left: at the end of the input the codec gives back what it holds.
            let mut unread = std::mem::take(&mut self.unread);
            let found = self.look(unread.get_mut(self.looked_at..).unwrap_or_default());
            self.looked_at = unread.len() - found.left;
            self.unread = unread;
            if let Some(outcome) = self.settle(found.outcome, cx) {
                return Poll::Ready(Some(outcome));
            }
            // Before a wait, what is owed goes out, so that the peer is not waiting for us.
            let written = self.wire.poll_flush(&mut self.stream, Side::Stream, cx);
            if written.is_ready() {
                self.release_pong(cx);
            }
            let found = match self.poll_read(cx) {
                Poll::Ready(Ok(Some(found))) => found,
                Poll::Ready(Ok(None)) => {
                    self.end_reading();
                    return Poll::Ready(Some(Err(Error::NoClose)));
                }
                Poll::Ready(Err(error)) => {
                    self.end_reading();
                    return Poll::Ready(Some(Err(error.into())));
                }
                Poll::Pending => match self.wire.failure() {
                    None => return Poll::Pending,
                    // A peer that takes nothing may have said a last word. It has not.
                    Some(error) => {
                        self.end_reading();
                        return Poll::Ready(Some(Err(error.into())));
                    }
                },
            };
            if let Some(outcome) = self.settle(found, cx) {
                return Poll::Ready(Some(outcome));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reads once and looks at what came. `None`: the transport has ended.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Outcome>>> {
        // Taken out, for the transport may be a WebSocket of ours itself.
        let mut scratch = SCRATCH.try_with(Cell::take).unwrap_or_default();
        scratch.resize(READ_BYTES, 0);
        let mut filled = ReadBuf::new(&mut scratch);
        let read = Pin::new(&mut self.stream).poll_read(cx, &mut filled);
        let n = filled.filled().len();
        let outcome = match read {
            Poll::Pending => {
                // Idle: the next read needs none of this.
                self.unread = Vec::new();
                self.looked_at = 0;
                Poll::Pending
            }
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {
                Poll::Ready(Ok(Some(Ok(None))))
            }
            // TLS ended without its own goodbye: WebSocket's close frame says whether that is clean.
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Poll::Ready(Ok(None))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) if n == 0 => Poll::Ready(Ok(None)),
            Poll::Ready(Ok(())) => {
                let bytes = scratch.get_mut(..n).unwrap_or_default();
                let found = self.look(bytes);
                self.unread.clear();
                self.unread.extend_from_slice(bytes.get(n - found.left..).unwrap_or_default());
                self.looked_at = 0;
                Poll::Ready(Ok(Some(found.outcome)))
            }
        };
        let _ = SCRATCH.try_with(|it| it.set(scratch));
        outcome
    }

    /// The next message in `bytes`, and how many of them are left.
    fn look(&mut self, bytes: &mut [u8]) -> Found {
        let mut input = Input::new(bytes);
        let (rx, tx) = self.connection.split_mut();
        // A peer that pings and does not read cannot make the answers grow.
        tx.hold_pongs(self.wire.is_backed_up(), &mut self.wire.out);
        let outcome =
            rx.next(&mut input, tx, &mut self.wire.out).map(|event| event.map(Message::from));
        Found { outcome, left: input.remaining() }
    }

    /// What the caller is told, after the transport was offered what it makes us say.
    fn settle(&mut self, outcome: Outcome, cx: &mut Context<'_>) -> Option<Result<Message, Error>> {
        let told = outcome.transpose()?;
        if self.connection.transport() != Transport::KeepOpen {
            self.reading = Reading::Ending;
            self.unread = Vec::new();
            self.looked_at = 0;
            // Who waits for room would wait for nothing.
            self.wire.wake_sink();
        }
        if !matches!(told, Ok(Message::Text(_) | Message::Binary(_))) {
            // The caller may not come back for long, or hang up: the answer goes out now. What is
            // not taken is kept, and an error is told to who sends, or at the next read.
            let _ = self.wire.poll_flush(&mut self.stream, Side::Stream, cx);
        }
        Some(told.map_err(Error::from))
    }

    /// Ends the transport as the closing handshake wants it.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let side = Side::Stream;
        let transport = self.connection.transport();
        // Whether the peer takes our last words changes nothing any more: it has said its own. A
        // `Pending` is come back to below.
        if transport == Transport::FlushThenShutdownWrite {
            let _ = self.wire.poll_shutdown(&mut self.stream, side, cx);
        } else {
            let _ = self.wire.poll_flush(&mut self.stream, side, cx);
        }
        // Not only when all is written: the peer may not read before it is through with its own.
        if transport != Transport::FlushThenClose && self.reading == Reading::Ending {
            ready!(self.poll_drain(cx));
            self.reading = Reading::Drained;
        }
        let _ = ready!(self.wire.poll_shutdown(&mut self.stream, side, cx));
        self.end_reading();
        Poll::Ready(())
    }

    /// Reads and drops until the peer has hung up.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..READS_PER_POLL {
            match ready!(self.poll_read(cx)) {
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return Poll::Ready(()),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn end_reading(&mut self) {
        self.connection.receive_eof();
        self.reading = Reading::Over;
        self.unread = Vec::new();
        self.looked_at = 0;
        self.wire.wake_sink();
    }

    /// The way is free again: a pong that was held back goes now.
    fn release_pong(&mut self, cx: &mut Context<'_>) {
        self.connection.split_mut().1.hold_pongs(false, &mut self.wire.out);
        if self.wire.pending() > 0 {
            let _ = self.wire.poll_flush(&mut self.stream, Side::Stream, cx);
        }
    }

    // --- the sink ----------------------------------------------------------------------------------

    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.may_send()?;
        let left = self.write_bytes_max.saturating_sub(1);
        ready!(self.wire.poll_write(&mut self.stream, Side::Sink, cx, left))?;
        Poll::Ready(Ok(()))
    }

    fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if let Some(error) = self.wire.failure() {
            return Poll::Ready(Err(error.into()));
        }
        ready!(self.wire.poll_flush(&mut self.stream, Side::Sink, cx))?;
        Poll::Ready(Ok(()))
    }

    fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.begin_close(None)?;
        ready!(self.poll_sent(cx))?;
        if self.connection.transport() == Transport::FlushThenClose {
            let _ = ready!(self.wire.poll_shutdown(&mut self.stream, Side::Sink, cx));
        }
        Poll::Ready(Ok(()))
    }
}

/// What the codec made of some bytes.
type Outcome = Result<Option<Message>, Violation>;

struct Found {
    outcome: Outcome,
    left: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for WebSocketStream<S> {
    type Item = Result<Message, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_message(cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> FusedStream for WebSocketStream<S> {
    fn is_terminated(&self) -> bool {
        self.reading == Reading::Over
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Sink<Message> for WebSocketStream<S> {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.poll_room(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        self.take(&message)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.poll_sent(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.poll_closed(cx)
    }
}

impl<S: fmt::Debug> fmt::Debug for WebSocketStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketStream")
            .field("stream", &self.stream)
            .field("role", &self.role())
            .field("ready_state", &self.ready_state())
            .field("buffered_amount", &self.buffered_amount())
            .finish_non_exhaustive()
    }
}

/// A client's codec, on the system's randomness.
pub(super) fn client_connection(config: &Config) -> Connection {
    Connection::client(config.proto.clone(), |bytes: &mut [u8]| {
        // §10.3: without strong randomness nothing may be sent at all, so there is nothing to fall
        // back to.
        getrandom::fill(bytes).expect("the system's randomness does not run dry");
    })
}
