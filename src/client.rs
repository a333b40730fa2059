//! A blocking client on `std::net`: for tools, tests and programs with a thread to spare. All it
//! knows of WebSocket is in [`proto`](crate::proto); here are addresses, proxies, TLS and time-outs.

pub(crate) mod body;
pub(crate) mod connect;
pub(crate) mod dial;
mod error;
pub(crate) mod opening;
pub(crate) mod proxy;
mod stream;
mod timed;
#[cfg(feature = "tls")]
pub(crate) mod tls;
pub(crate) mod url;

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::ops::Range;
use std::time::{Duration, Instant};

pub use connect::Connect;
pub use error::{ClientError, Refusal};
#[cfg(any(feature = "bench", feature = "connect"))]
pub(crate) use proxy::basic;
pub use stream::Stream;

use crate::proto::{
    CloseCode, CloseFrame, Connection, Ended, Event, Input, Message, ReadyState, SendError,
    SendOptions, Transport, Violation,
};
use stream::Ending;

/// 64 KiB, one read of the transport: what a socket gives at once on a fast link.
const READ_BYTES: usize = 64 * 1024;

/// A WebSocket that was opened, over a TCP or TLS [`Stream`] or over any other blocking stream.
///
/// - open: [`connect`](Client::connect), or [`Connect`] with options
/// - talk: [`text`](Self::text), [`binary`](Self::binary), [`send`](Self::send), [`receive`](Self::receive)
/// - end: [`close`](Self::close); a client that is dropped hangs up without a word
/// - or go on with a loop of your own: [`into_parts`](Self::into_parts)
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
///
/// # Panics
///
/// Whatever sends panics if the system's source of randomness fails, which it does not once it has
/// worked: a frame with a mask that can be guessed must not leave (RFC 6455 §10.3).
pub struct Client<S = Stream> {
    stream: S,
    connection: Connection,
    /// What is owed to the transport.
    out: Vec<u8>,
    /// Bytes of `out` that the transport has taken.
    written: usize,
    /// Room for one read, of which `unread` is not yet looked at.
    scratch: Vec<u8>,
    unread: Range<usize>,
    subprotocol: Option<String>,
    headers: Vec<(String, Vec<u8>)>,
    ending: Ending<S>,
    close_timeout: Duration,
    /// Set when the end begins: when to stop waiting for the server's part of it.
    give_up: Option<Instant>,
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

/// What a client is made of, for those who go on with a loop of their own.
#[derive(Debug)]
#[non_exhaustive]
pub struct Parts<S = Stream> {
    /// The transport. For the socket below see [`Stream::into_tcp`].
    pub stream: S,
    /// The codec, in the middle of the conversation.
    pub connection: Connection,
    /// Bytes that were read and not yet looked at: the first [`Input`] to lend to `connection`.
    pub unread: Vec<u8>,
    /// Bytes to be written before any others; empty unless a write timed out.
    pub unsent: Vec<u8>,
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
    pub fn set_write_timeout(&mut self, timeout: Option<Duration>) {
        self.stream.set_write_timeout(timeout);
    }
}

impl<S: Read + Write> Client<S> {
    /// An open connection whose first bytes, `unread`, came with the handshake.
    fn new(stream: S, connection: Connection, ending: Ending<S>, unread: &[u8]) -> Self {
        let mut scratch = unread.to_vec();
        scratch.resize(READ_BYTES.max(unread.len()), 0);
        Self {
            stream,
            connection,
            out: Vec::new(),
            written: 0,
            scratch,
            unread: 0..unread.len(),
            subprotocol: None,
            headers: Vec::new(),
            ending,
            close_timeout: Duration::ZERO,
            give_up: None,
            ended: None,
        }
    }

    /// The next thing that the server said; `None` once the connection is over, see
    /// [`ended`](Self::ended). Waits for it, and sends what the protocol demands meanwhile.
    ///
    /// After the server's close frame only the end of TCP is waited for, which is the server's to
    /// make (RFC 6455 §7.1.1), and no longer than the [close time-out](Connect::close_timeout).
    ///
    /// # Errors
    ///
    /// - [`ClientError::TimedOut`] if a time-out was set: call again.
    /// - [`ClientError::Violation`] if the server broke the protocol. It has been told so, and the
    ///   connection is over; that takes until the server hangs up or the close time-out has passed.
    /// - [`ClientError::Io`] if the transport failed: the connection is over too.
    pub fn receive(&mut self) -> Result<Option<Received>, ClientError> {
        loop {
            if self.ended.is_some() {
                return Ok(None);
            }
            let received = self.next_received();
            if self.connection.transport() != Transport::KeepOpen {
                self.begin_end();
            }
            // Answers go out before the caller looks, as it may not come back for long. What the
            // transport does not take now is kept. A peer that is gone may have said a last word
            // all the same: if there is none, the next read says that it is gone.
            let _ = self.flush();
            match received {
                Ok(Some(received)) => return Ok(Some(received)),
                Ok(None) => {}
                Err(violation) => {
                    self.hang_up();
                    return Err(violation.into());
                }
            }
            match self.fill() {
                Ok(true) => {}
                Ok(false) => {
                    self.end();
                }
                // Both sides have said goodbye: the rest was a courtesy.
                Err(ClientError::TimedOut) if self.said_goodbye() && self.is_too_late() => {
                    self.end();
                }
                Err(ClientError::TimedOut) => return Err(ClientError::TimedOut),
                Err(error) => {
                    let said_goodbye = self.said_goodbye();
                    self.end();
                    if !said_goodbye {
                        return Err(error);
                    }
                }
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
    ///
    /// # Errors
    ///
    /// [`ClientError::TimedOut`]: what was not taken is kept. [`ClientError::Io`]: it is dropped,
    /// since nothing can be written any more.
    pub fn flush(&mut self) -> Result<(), ClientError> {
        let mut flushed = self.write_out();
        if flushed.is_ok() {
            self.out.clear();
            self.written = 0;
            // A pong that was held back while the transport was backed up can go now.
            self.connection.split_mut().1.hold_pongs(false, &mut self.out);
            if !self.out.is_empty() {
                flushed = self.write_out();
            }
        }
        if !matches!(flushed, Err(ClientError::TimedOut)) {
            self.out.clear();
            self.written = 0;
            // A large message must not keep its memory for ever.
            self.out.shrink_to(READ_BYTES);
        }
        flushed
    }

    /// Bytes that the transport has not taken yet; not 0 only after a write time-out. TLS takes up
    /// to 64 KiB that it may not have passed on, which [`flush`](Self::flush) cares for too.
    pub fn buffered_amount(&self) -> usize {
        self.out.len() - self.written
    }

    /// Sends a close frame, reads on until the server has answered it and ended TCP (RFC 6455
    /// §7.1.1), and says how that went. Messages that come meanwhile are dropped. Waits no longer
    /// than the [close time-out](Connect::close_timeout), then hangs up and reports
    /// [`Ended::Abrupt`], or what the server said if only the end of TCP was missing.
    ///
    /// On a connection that is over it sends nothing and says how that one ended.
    ///
    /// # Errors
    ///
    /// [`ClientError::Send`] for a reason of more than 123 bytes: nothing has happened. Else what
    /// the server did wrong, or what the transport said; a time-out is no error here.
    pub fn close(&mut self, frame: Option<CloseFrame<'_>>) -> Result<Ended, ClientError> {
        if let Some(ended) = self.ended {
            return Ok(ended);
        }
        match self.connection.split_mut().1.close(frame, &mut self.out) {
            Ok(()) | Err(SendError::Closed) => {}
            Err(error) => return Err(error.into()),
        }
        self.begin_end();
        let outcome = loop {
            match self.receive() {
                Ok(Some(_)) => {}
                Ok(None) => break Ok(()),
                Err(ClientError::TimedOut) if !self.is_too_late() => {}
                Err(ClientError::TimedOut) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        let ended = self.end();
        outcome.map(|()| ended)
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

    /// The value of the response's first header of that name, in any case, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        error::text_of(&self.headers, name)
    }

    /// The stream below, to set its options or to ask its addresses.
    pub fn stream(&self) -> &S {
        &self.stream
    }

    /// Takes the client apart. Copies what was received and not looked at, and what was not sent.
    ///
    /// ```no_run
    /// use std::io::Read as _;
    /// use sockeye::client::Client;
    /// use sockeye::proto::Input;
    ///
    /// let mut parts = Client::connect("ws://127.0.0.1:8080/")?.into_parts();
    /// let mut socket = parts.stream.into_tcp()?;
    /// let mut bytes = parts.unread; // then what `socket` gives
    /// let mut out = parts.unsent;
    /// let (rx, tx) = parts.connection.split_mut();
    /// let mut input = Input::new(&mut bytes);
    /// while let Some(part) = rx.next_part(&mut input, tx, &mut out)? {
    ///     println!("{part:?}");
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_parts(mut self) -> Parts<S> {
        let unsent = self.out.split_off(self.written);
        let unread = self.scratch.get(self.unread).unwrap_or_default().to_vec();
        Parts { stream: self.stream, connection: self.connection, unread, unsent }
    }

    fn next_received(&mut self) -> Result<Option<Received>, Violation> {
        let backed_up = self.buffered_amount() > 0;
        let unread = self.scratch.get_mut(self.unread.clone()).unwrap_or_default();
        let mut input = Input::new(unread);
        let (rx, tx) = self.connection.split_mut();
        // A server that pings and does not read cannot make the answers grow: see `flush`.
        tx.hold_pongs(backed_up, &mut self.out);
        let received =
            rx.next(&mut input, tx, &mut self.out).map(|event| event.map(Received::from));
        self.unread.start = self.unread.end - input.remaining();
        received
    }

    fn write_out(&mut self) -> Result<(), ClientError> {
        while let Some(rest @ [_, ..]) = self.out.get(self.written..) {
            match self.stream.write(rest) {
                Ok(0) => return Err(std::io::Error::from(ErrorKind::WriteZero).into()),
                Ok(n) => self.written += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(self.stream.flush()?)
    }

    /// Reads once, when all that was read before is used up. False at the end of the transport.
    fn fill(&mut self) -> Result<bool, ClientError> {
        loop {
            // Our own stream knows the deadline too; another may know none.
            if self.is_too_late() {
                return Err(ClientError::TimedOut);
            }
            match self.stream.read(&mut self.scratch) {
                Ok(n) => {
                    self.unread = 0..n;
                    return Ok(n > 0);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // TLS ended without its own goodbye: WebSocket's close frame says whether that is clean.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// From here on everything waits together no longer than the close time-out.
    fn begin_end(&mut self) {
        if self.give_up.is_none() {
            // No such moment: the caller is ready to wait for ever.
            self.give_up = Instant::now().checked_add(self.close_timeout);
            (self.ending.set_deadline)(&mut self.stream, self.give_up);
        }
    }

    fn is_too_late(&self) -> bool {
        self.give_up.is_some_and(|moment| Instant::now() >= moment)
    }

    /// Whether both close frames are there.
    fn said_goodbye(&self) -> bool {
        self.connection.transport() == Transport::AwaitPeerClose
    }

    /// After a violation, whose close frame was flushed: to close with bytes unread would send a
    /// reset, which can overtake and destroy that frame.
    fn hang_up(&mut self) {
        if let Some(shutdown_write) = self.ending.shutdown_write {
            shutdown_write(&mut self.stream);
            loop {
                match self.fill() {
                    Ok(true) => {}
                    Err(ClientError::TimedOut) if !self.is_too_late() => {}
                    Ok(false) | Err(_) => break,
                }
            }
        }
        self.end();
    }

    fn end(&mut self) -> Ended {
        if let Some(ended) = self.ended {
            return ended;
        }
        // TLS has a last word, which must not wait for ever for a server that does not read.
        self.begin_end();
        (self.ending.shutdown)(&mut self.stream);
        let ended = self.connection.receive_eof();
        self.ended = Some(ended);
        self.unread = 0..0;
        ended
    }
}

impl<S: fmt::Debug> fmt::Debug for Client<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("stream", &self.stream)
            .field("connection", &self.connection)
            .field("buffered_amount", &(self.out.len() - self.written))
            .field("unread", &self.unread.len())
            .field("subprotocol", &self.subprotocol)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
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
