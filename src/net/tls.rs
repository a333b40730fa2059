//! TLS on one connection, either side of it: ciphertext of the socket becomes plaintext and back. Between
//! calls it holds what the peer has sent of a record that is not whole, and what the socket did not take;
//! never plaintext, so that a connection is as readable as its socket. Certificates are the caller's affair.

use std::fmt;
use std::io::{self, ErrorKind, IoSlice, Read};
use std::sync::Arc;

use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::pki_types::ServerName;
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, InsufficientSizeError,
    UnbufferedStatus, WriteTraffic,
};

/// How a client speaks TLS: whom it trusts, versions, resumption. rustls's own.
pub use rustls::ClientConfig as TlsClientConfig;
/// How a server speaks TLS: certificate, key, versions, resumption. rustls's own.
pub use rustls::ServerConfig as TlsConfig;

use super::stream::Socket;

/// One session. Boxed by its stream: plain connections don't pay for it.
pub(super) struct Tls {
    session: Session,
    /// From the socket, of a record or a handshake message that is not whole.
    partial: Vec<u8>,
    flow: Flow,
    /// How much of the flow's `unsent` has gone.
    sent: usize,
    /// Our goodbye has been encrypted.
    goodbye: bool,
}

/// Boxed with the rest, so the larger side costs the smaller nothing that an allocator would not round up.
#[allow(clippy::large_enum_variant, reason = "always behind the stream's box")]
enum Session {
    Server(UnbufferedServerConnection),
    Client(UnbufferedClientConnection),
}

/// What a session's steps leave behind.
#[derive(Default)]
struct Flow {
    /// For the socket.
    unsent: Vec<u8>,
    /// The peer's last byte has come, by its goodbye or the socket's end.
    ended: bool,
    /// The peer broke the protocol; the session is of no more use.
    failed: bool,
    /// How, where rustls said so.
    fault: Option<rustls::Error>,
}

/// What rustls has for either side under one name, in two types.
trait Steps {
    type Side;

    fn step<'c, 'i>(&'c mut self, input: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Side>;
    fn wants_write(&self) -> bool;
}

impl Steps for UnbufferedServerConnection {
    type Side = ServerConnectionData;

    fn step<'c, 'i>(&'c mut self, input: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Side> {
        self.process_tls_records(input)
    }

    fn wants_write(&self) -> bool {
        (**self).wants_write()
    }
}

impl Steps for UnbufferedClientConnection {
    type Side = ClientConnectionData;

    fn step<'c, 'i>(&'c mut self, input: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Side> {
        self.process_tls_records(input)
    }

    fn wants_write(&self) -> bool {
        (**self).wants_write()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("handshaking", &self.is_handshaking())
            .field("failed", &self.flow.failed)
            .finish_non_exhaustive()
    }
}

/// The buffers that all sessions of a loop share. They hold nothing between calls but `plain`, what the last
/// read gave. Allocated when first used.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub(super) plain: Vec<u8>,
    cipher: Vec<u8>,
    /// Bytes that sockets have taken since it was last asked.
    pub(super) wire: u64,
}

impl Tls {
    /// # Errors
    /// `InvalidInput` when rustls does not take the configuration, or it would take early data.
    pub(super) fn server(config: Arc<TlsConfig>) -> io::Result<Self> {
        if config.max_early_data_size > 0 {
            // RFC 8446 §8: it can be replayed, and nobody here could tell it from the rest.
            let size = config.max_early_data_size;
            return Err(refused(format!("early data of {size} bytes is allowed, not 0")));
        }
        let session =
            UnbufferedServerConnection::new(config).map_err(|e| refused(e.to_string()))?;
        Ok(Self::new(Session::Server(session)))
    }

    /// A client speaks first: its hello waits to be sent.
    ///
    /// # Errors
    /// `InvalidInput` when rustls does not take the configuration or the name.
    pub(super) fn client(
        config: Arc<TlsClientConfig>,
        name: ServerName<'static>,
    ) -> io::Result<Self> {
        let session =
            UnbufferedClientConnection::new(config, name).map_err(|e| refused(e.to_string()))?;
        let mut tls = Self::new(Session::Client(session));
        tls.advance(&mut [], &mut Vec::new(), None);
        Ok(tls)
    }

    fn new(session: Session) -> Self {
        Self { session, partial: Vec::new(), flow: Flow::default(), sent: 0, goodbye: false }
    }

    /// Takes the peer's first bytes, which came before there was a session.
    pub(super) fn begin(&mut self, received: &[u8]) {
        let (mut partial, mut plain) = (received.to_vec(), Vec::new());
        let done = self.advance(&mut partial, &mut plain, None);
        partial.drain(..done);
        // Before it has heard from us nobody can have said anything but its hello.
        self.flow.failed |= !plain.is_empty() || partial.len() > PARTIAL_MAX;
        if !partial.is_empty() && !self.flow.ended && !self.flow.failed {
            self.partial = partial;
        }
    }

    /// Reads once, at most `most` bytes, and decrypts all that is whole into `scratch.plain`. A fault of the
    /// peer's is no error here but [`has_failed`](Self::has_failed), as good bytes may stand before it.
    pub(super) fn read(
        &mut self,
        socket: &mut Socket,
        most: usize,
        scratch: &mut Scratch,
    ) -> io::Result<usize> {
        let Scratch { plain, cipher, .. } = scratch;
        plain.clear();
        if self.flow.ended {
            return Ok(0);
        }
        // The new bytes are put where the old ones fit before them.
        let kept = self.partial.len();
        if cipher.len() < kept + most {
            cipher.resize(kept + most, 0);
        }
        let count = socket.read(cipher.get_mut(kept..kept + most).unwrap_or_default())?;
        if count == 0 {
            self.flow.ended = true;
        }
        if count == 0 || self.flow.failed {
            return Ok(count);
        }
        let mut partial = std::mem::take(&mut self.partial);
        // Whichever is less is copied, so that a trickle costs no more than its bytes.
        if kept > 0 && count <= kept {
            partial.extend_from_slice(cipher.get(kept..kept + count).unwrap_or_default());
            let done = self.advance(&mut partial, plain, None);
            partial.drain(..done);
        } else {
            let input = cipher.get_mut(..kept + count).unwrap_or_default();
            if let Some(front) = input.get_mut(..kept) {
                front.copy_from_slice(&partial);
            }
            let done = self.advance(input, plain, None);
            partial.clear();
            partial.extend_from_slice(input.get(done..).unwrap_or_default());
        }
        if partial.len() > PARTIAL_MAX {
            // rustls refuses longer messages by themselves; this is for what it may overlook.
            self.flow.failed = true;
        }
        // Nothing, not even its capacity, is held between records.
        if !partial.is_empty() && !self.flow.ended && !self.flow.failed {
            self.partial = partial;
        }
        Ok(count)
    }

    /// Encrypts at most 64 KiB of `slices` and sends that, keeping what the socket does not take.
    pub(super) fn write(
        &mut self,
        socket: &mut Socket,
        slices: &[IoSlice<'_>],
        scratch: &mut Scratch,
    ) -> io::Result<usize> {
        let (all, _) = self.flush(socket, scratch)?;
        if !all || self.is_handshaking() {
            return Err(ErrorKind::WouldBlock.into());
        }
        let Scratch { plain, cipher, wire } = scratch;
        plain.clear();
        for slice in slices {
            let room = WRITE_MAX - plain.len();
            plain.extend_from_slice(slice.get(..room.min(slice.len())).unwrap_or_default());
        }
        let mut task = Task { what: What::Encrypt(plain), out: cipher, len: None };
        self.act(&mut task)?;
        let Some(len) = task.len else {
            return Err(ErrorKind::BrokenPipe.into());
        };
        let (taken, mut rest) = (plain.len(), cipher.get(..len).unwrap_or_default());
        // Unless rustls had something to say before that.
        if self.unsent() == 0 {
            let written = socket.write_most(rest)?;
            *wire += written as u64;
            rest = rest.get(written..).unwrap_or_default();
        }
        self.flow.unsent.extend_from_slice(rest);
        Ok(taken)
    }

    /// Sends what is encrypted. Whether all is gone, and how much went.
    pub(super) fn flush(
        &mut self,
        socket: &mut Socket,
        scratch: &mut Scratch,
    ) -> io::Result<(bool, usize)> {
        let written = socket.write_most(self.flow.unsent.get(self.sent..).unwrap_or_default())?;
        scratch.wire += written as u64;
        self.sent += written;
        let all = self.sent == self.flow.unsent.len();
        if all {
            self.flow.unsent = Vec::new();
            self.sent = 0;
        }
        Ok((all, written))
    }

    /// Encrypts the goodbye, once: without it the peer must take the end for a truncation. During the
    /// handshake there is nothing that could be cut off.
    pub(super) fn say_goodbye(&mut self, scratch: &mut Scratch) -> io::Result<()> {
        if self.goodbye || self.flow.failed || self.is_handshaking() {
            return Ok(());
        }
        self.goodbye = true;
        let mut task = Task { what: What::Goodbye, out: &mut scratch.cipher, len: None };
        self.act(&mut task)?;
        let len = task.len.unwrap_or_default();
        self.flow.unsent.extend_from_slice(scratch.cipher.get(..len).unwrap_or_default());
        Ok(())
    }

    pub(super) fn unsent(&self) -> usize {
        self.flow.unsent.len() - self.sent
    }

    pub(super) fn is_handshaking(&self) -> bool {
        match &self.session {
            Session::Server(session) => session.is_handshaking(),
            Session::Client(session) => session.is_handshaking(),
        }
    }

    pub(super) fn has_failed(&self) -> bool {
        self.flow.failed
    }

    /// What the peer did wrong, for people to read.
    pub(super) fn fault(&self) -> Option<String> {
        self.flow.fault.as_ref().map(ToString::to_string)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.flow.ended
    }

    /// Does a task between reads.
    fn act(&mut self, task: &mut Task<'_>) -> io::Result<()> {
        // The session's place in the input counts from the first byte that it has not given up.
        let mut partial = std::mem::take(&mut self.partial);
        let done = self.advance(&mut partial, &mut Vec::new(), Some(task));
        partial.drain(..done);
        self.partial = partial;
        if self.flow.failed { Err(ErrorKind::InvalidData.into()) } else { Ok(()) }
    }

    /// Lets the session go on until it needs more input. Returns how much of `input` it is done with.
    fn advance(
        &mut self,
        input: &mut [u8],
        plain: &mut Vec<u8>,
        task: Option<&mut Task<'_>>,
    ) -> usize {
        match &mut self.session {
            Session::Server(session) => self.flow.advance(session, input, plain, task),
            Session::Client(session) => self.flow.advance(session, input, plain, task),
        }
    }
}

impl Flow {
    fn advance(
        &mut self,
        session: &mut impl Steps,
        input: &mut [u8],
        plain: &mut Vec<u8>,
        mut task: Option<&mut Task<'_>>,
    ) -> usize {
        let mut at = 0;
        loop {
            let rest = input.get_mut(at..).unwrap_or_default();
            let UnbufferedStatus { mut discard, state } = session.step(rest);
            let go_on = match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        match record {
                            Ok(record) => {
                                discard += record.discard;
                                plain.extend_from_slice(record.payload);
                            }
                            Err(fault) => self.fail(fault),
                        }
                    }
                    true
                }
                Ok(ConnectionState::EncodeTlsData(data)) => append(data, &mut self.unsent).is_ok(),
                // It is in `unsent`, which goes in order.
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    data.done();
                    true
                }
                Ok(ConnectionState::PeerClosed) => {
                    self.ended = true;
                    true
                }
                Ok(ConnectionState::WriteTraffic(traffic)) => match task.take() {
                    Some(task) => {
                        // What rustls queues besides goes out before the next.
                        self.failed |= task.perform(traffic).is_err();
                        false
                    }
                    None => false,
                },
                Ok(ConnectionState::Closed | ConnectionState::BlockedHandshake) => false,
                // Early data cannot come, as none is allowed; nor a state that did not exist.
                Ok(_) => {
                    self.failed = true;
                    false
                }
                Err(fault) => {
                    self.fail(fault);
                    false
                }
            };
            at += discard;
            // After a fault the session must see no more input, but hands over its alert.
            let go_on = if self.failed { session.wants_write() } else { go_on };
            if !go_on {
                return at;
            }
        }
    }

    /// The first fault is the cause of those after it.
    fn fail(&mut self, fault: rustls::Error) {
        self.failed = true;
        self.fault.get_or_insert(fault);
    }
}

/// What is to be encrypted, and where to.
struct Task<'a> {
    what: What<'a>,
    out: &'a mut Vec<u8>,
    /// How much of `out` that was; `None` while it has not been done.
    len: Option<usize>,
}

enum What<'a> {
    Encrypt(&'a [u8]),
    Goodbye,
}

impl Task<'_> {
    fn perform<D>(&mut self, mut traffic: WriteTraffic<'_, D>) -> Result<(), EncryptError> {
        let mut attempt = |out: &mut [u8]| match self.what {
            What::Encrypt(plain) => traffic.encrypt(plain, out),
            What::Goodbye => traffic.queue_close_notify(out),
        };
        let len = match attempt(self.out) {
            Err(EncryptError::InsufficientSize(InsufficientSizeError { required_size })) => {
                // It never shrinks: to zero it each time would cost more than to encrypt a little.
                self.out.resize(required_size, 0);
                attempt(self.out)
            }
            other => other,
        };
        self.len = Some(len?);
        Ok(())
    }
}

fn refused(why: String) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, why)
}

/// Appends a record that rustls has made.
fn append<D>(mut data: EncodeTlsData<'_, D>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    match data.encode(&mut []) {
        Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size })) => {
            let from = out.len();
            out.resize(from + required_size, 0);
            data.encode(out.get_mut(from..).unwrap_or_default()).map(drop)
        }
        other => other.map(drop),
    }
}

/// Plaintext encrypted at once, and so what may wait as ciphertext for a slow peer: four full records.
const WRITE_MAX: usize = 64 << 10;
/// A handshake message of 64 KiB, the longest there is, and a record. An application record has 18 KiB at most.
const PARTIAL_MAX: usize = 82 << 10;
