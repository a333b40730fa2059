//! A blocking client on `std::net`: for tools, tests and programs with a thread to spare. All it
//! knows of WebSocket is in [`proto`](crate::proto); here are addresses, proxies, TLS and time-outs.

mod connect;
mod error;
mod proxy;
mod stream;
#[cfg(feature = "tls")]
mod tls;
mod url;

use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

pub use connect::Connect;
pub use error::{ClientError, Refusal};
pub use stream::Stream;

use crate::proto::{
    CloseCode, CloseFrame, Connection, Ended, Event, Input, Message, ReadyState, SendError,
    SendOptions, Transport,
};

/// One read of the transport: what a socket gives at once on a fast link.
const READ_BYTES: usize = 64 * 1024;

/// A WebSocket that was opened, over a TCP or TLS [`Stream`] or over any other blocking stream.
///
/// - open: [`connect`](Client::connect), or [`Connect`] with options
/// - talk: [`text`](Self::text), [`binary`](Self::binary), [`send`](Self::send), [`receive`](Self::receive)
/// - end: [`close`](Self::close)
///
/// Pings are answered while [`receive`](Self::receive) runs. Nothing runs in the background.
///
/// ```no_run
/// use sockeye::client::{Client, Received};
///
/// let mut client = Client::connect("ws://127.0.0.1:8080/echo")?;
/// client.text("hello")?;
/// while let Some(received) = client.receive()? {
///     if let Received::Text(text) = received {
///         println!("{text}");
///         client.close(None)?;
///     }
/// }
/// # Ok::<(), sockeye::client::ClientError>(())
/// ```
#[derive(Debug)]
pub struct Client<S = Stream> {
    stream: S,
    connection: Connection,
    /// What is owed to the transport.
    out: Vec<u8>,
    /// Bytes of `out` that the transport has taken.
    written: usize,
    /// One read's worth of bytes, of which `unread` are not yet looked at.
    scratch: Vec<u8>,
    unread: std::ops::Range<usize>,
    subprotocol: Option<String>,
    headers: Vec<(String, Vec<u8>)>,
    close_timeout: Duration,
    ended: Option<Ended>,
}

/// What the server said, owned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Received {
    /// A whole text message.
    Text(String),
    /// A whole binary message.
    Binary(Vec<u8>),
    /// A ping, which has been answered.
    Ping(Vec<u8>),
    /// A pong.
    Pong(Vec<u8>),
    /// The server's close frame: its code, if it gave one, and its reason. It has been answered.
    Close(Option<CloseCode>, String),
}

impl Client<Stream> {
    /// Opens a `ws://` or (with feature `tls`) `wss://` URL with the default options of [`Connect`].
    ///
    /// # Errors
    ///
    /// Everything that can go wrong on the way, see [`ClientError`]; a refused upgrade is
    /// [`ClientError::Refused`] with status, headers and body.
    pub fn connect(url: &str) -> Result<Self, ClientError> {
        Connect::new().open(url)
    }

    /// How long one [`receive`](Self::receive) waits for bytes before it returns
    /// [`ClientError::TimedOut`], after which it can be called again: nothing is lost. `None`, the
    /// default, waits for ever.
    pub fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.stream.set_read_timeout(timeout);
    }

    /// How long one write waits for a server that does not read. `None`, the default, waits for
    /// ever. After [`ClientError::TimedOut`] what was not taken is kept, see
    /// [`buffered_amount`](Self::buffered_amount) and [`flush`](Self::flush).
    pub fn set_write_timeout(&mut self, timeout: Option<Duration>) -> Result<(), ClientError> {
        Ok(self.stream.set_write_timeout(timeout)?)
    }

    /// Sends a close frame, reads on until the server has answered it and ended TCP (RFC 6455
    /// §7.1.1), and says how that went. Messages that come meanwhile are dropped. Gives up after
    /// the close time-out (see [`Connect::close_timeout`]) and then reports [`Ended::Abrupt`], or
    /// what the server said if only the end of TCP is missing.
    ///
    /// # Errors
    ///
    /// What the server did wrong, or what the transport said; a time-out is no error here.
    pub fn close(&mut self, frame: Option<CloseFrame<'_>>) -> Result<Ended, ClientError> {
        self.stream.set_deadline(Some(Instant::now() + self.close_timeout));
        match self.connection.split_mut().1.close(frame, &mut self.out) {
            Ok(()) | Err(SendError::Closed) => {}
            Err(error) => return Err(error.into()),
        }
        let outcome = loop {
            match self.receive() {
                Ok(Some(_)) => {}
                Ok(None) => break Ok(()),
                Err(ClientError::TimedOut) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        let ended = self.end();
        outcome.map(|()| ended)
    }
}

impl<S: Read + Write> Client<S> {
    /// The next thing that the server said; `None` once the connection is over, see
    /// [`ended`](Self::ended). Waits for it, and sends what the protocol demands meanwhile.
    ///
    /// # Errors
    ///
    /// [`ClientError::TimedOut`] if a time-out was set: call again. [`ClientError::Violation`] if
    /// the server broke the protocol: the connection has failed and is over. [`ClientError::Io`] if
    /// the transport failed: it is over too.
    pub fn receive(&mut self) -> Result<Option<Received>, ClientError> {
        loop {
            if self.ended.is_some() {
                return Ok(None);
            }
            if let Some(received) = self.next_received()? {
                // Answers go out before the caller looks, as it may not come back for long. One that
                // the transport does not take now is kept, and so is what was received.
                match self.flush() {
                    Ok(()) | Err(ClientError::TimedOut) => {}
                    // A peer that is gone after its last word has said its last word all the same.
                    Err(_) => {}
                }
                return Ok(Some(received));
            }
            match self.flush() {
                Ok(()) => {}
                Err(error) if self.connection.transport() == Transport::KeepOpen => {
                    return Err(error);
                }
                Err(_) => {}
            }
            if self.connection.transport() == Transport::FlushThenClose {
                self.end();
                return Ok(None);
            }
            if !self.fill()? {
                self.end();
            }
        }
    }

    /// Sends a text message and flushes it.
    ///
    /// # Errors
    ///
    /// [`ClientError::Send`] after a close; [`ClientError::Io`] or [`ClientError::TimedOut`] from the transport.
    pub fn text(&mut self, text: &str) -> Result<(), ClientError> {
        self.send(Message::Text(text), SendOptions::default())
    }

    /// Sends a binary message and flushes it. Errors as [`text`](Self::text).
    pub fn binary(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        self.send(Message::Binary(bytes), SendOptions::default())
    }

    /// Sends a message, or a fragment of one, with options, and flushes it. Errors as [`text`](Self::text).
    pub fn send(&mut self, message: Message<'_>, options: SendOptions) -> Result<(), ClientError> {
        self.connection.split_mut().1.send(message, options, &mut self.out)?;
        self.flush()
    }

    /// Sends a ping with at most 125 bytes and flushes it. Errors as [`text`](Self::text).
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), ClientError> {
        self.connection.split_mut().1.ping(payload, &mut self.out)?;
        self.flush()
    }

    /// Writes what is buffered. Called by everything that sends; only after a write time-out is
    /// there something left for it.
    pub fn flush(&mut self) -> Result<(), ClientError> {
        while self.written < self.out.len() {
            match self.stream.write(&self.out[self.written..]) {
                Ok(0) => return Err(std::io::Error::from(ErrorKind::WriteZero).into()),
                Ok(n) => self.written += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.out.clear();
        self.written = 0;
        // A large message must not keep its memory for ever.
        self.out.shrink_to(READ_BYTES);
        Ok(self.stream.flush()?)
    }

    /// Bytes that the transport has not taken yet; not 0 only after a write time-out.
    pub fn buffered_amount(&self) -> usize {
        self.out.len() - self.written
    }

    /// The state by its usual name and number.
    pub fn ready_state(&self) -> ReadyState {
        if self.ended.is_some() { ReadyState::Closed } else { self.connection.ready_state() }
    }

    /// How the connection ended, once it has.
    pub fn ended(&self) -> Option<Ended> {
        self.ended
    }

    /// The subprotocol that the server chose.
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// Names and values of the headers of the response that opened the connection.
    pub fn headers(&self) -> &[(String, Vec<u8>)] {
        &self.headers
    }

    /// The stream below, to set its options or to ask its addresses.
    pub fn stream(&self) -> &S {
        &self.stream
    }

    fn next_received(&mut self) -> Result<Option<Received>, ClientError> {
        let range = self.unread.clone();
        let mut input = Input::new(&mut self.scratch[range]);
        let (rx, tx) = self.connection.split_mut();
        let outcome = rx.next(&mut input, tx, &mut self.out).map(|event| event.map(Received::from));
        self.unread.start = self.unread.end - input.remaining();
        match outcome {
            Ok(received) => Ok(received),
            Err(violation) => {
                // The close frame that says so is worth an attempt; the violation is the news.
                let _ = self.flush();
                self.end();
                Err(violation.into())
            }
        }
    }

    /// Reads once. False at the end of the transport.
    fn fill(&mut self) -> Result<bool, ClientError> {
        loop {
            match self.stream.read(&mut self.scratch) {
                Ok(0) => return Ok(false),
                Ok(n) => {
                    self.unread = 0..n;
                    return Ok(true);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // TLS ended without its own goodbye: WebSocket's close frame says whether that is clean.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(false),
                Err(error) => {
                    let error = ClientError::from(error);
                    if matches!(error, ClientError::TimedOut) {
                        return Err(error);
                    }
                    let said_goodbye = self.connection.transport() == Transport::AwaitPeerClose;
                    self.end();
                    // A reset after both close frames ends nothing that was not over.
                    return if said_goodbye { Ok(false) } else { Err(error) };
                }
            }
        }
    }

    fn end(&mut self) -> Ended {
        let ended = self.connection.receive_eof();
        self.ended = Some(ended);
        self.unread = 0..0;
        ended
    }
}

impl From<Event<'_>> for Received {
    /// Copies what the event borrows.
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Text(text) => Self::Text(text.to_owned()),
            Event::Binary(bytes) => Self::Binary(bytes.to_owned()),
            Event::Ping(bytes) => Self::Ping(bytes.to_owned()),
            Event::Pong(bytes) => Self::Pong(bytes.to_owned()),
            Event::Close(None) => Self::Close(None, String::new()),
            Event::Close(Some(frame)) => Self::Close(Some(frame.code), frame.reason.to_owned()),
        }
    }
}
