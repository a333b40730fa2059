//! One connected socket, of whatever family, with or without TLS. It reads and writes; when to do so is the
//! reactor's affair.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr};
#[cfg(target_os = "linux")]
use std::os::fd::{AsFd, BorrowedFd};
#[cfg(feature = "net-tls")]
use std::sync::Arc;

use mio::event::Source;
use mio::net::TcpStream;
#[cfg(unix)]
use mio::net::UnixStream;
use mio::{Interest, Registry, Token};
#[cfg(target_os = "linux")]
use rustix::net::{RecvFlags, SendFlags};

use super::tls::{Scratch, Tls};
#[cfg(feature = "net-tls")]
use super::tls::{TlsClientConfig, TlsConfig};

/// Who is at the other end.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Peer {
    /// An internet address.
    Tcp(SocketAddr),
    /// A process of this machine, by a Unix socket.
    Unix,
}

/// A connected, non-blocking socket, with its TLS session if it has one. Made from one of `std`'s, as another
/// thread may have accepted it, or [released](super::Ctx::release) by a loop.
#[derive(Debug)]
pub struct Stream {
    socket: Socket,
    tls: Option<Box<Tls>>,
}

#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl TryFrom<std::net::TcpStream> for Stream {
    type Error = io::Error;

    fn try_from(stream: std::net::TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Socket::Tcp(TcpStream::from_std(stream)).into())
    }
}

#[cfg(unix)]
impl TryFrom<std::os::unix::net::UnixStream> for Stream {
    type Error = io::Error;

    fn try_from(stream: std::os::unix::net::UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Socket::Unix(UnixStream::from_std(stream)).into())
    }
}

impl Stream {
    pub(super) fn tcp(stream: TcpStream) -> Self {
        Socket::Tcp(stream).into()
    }

    #[cfg(unix)]
    pub(super) fn unix(stream: UnixStream) -> Self {
        Socket::Unix(stream).into()
    }

    /// Who is at the other end.
    ///
    /// # Errors
    /// The system's, when the peer is gone.
    pub fn peer(&self) -> io::Result<Peer> {
        match &self.socket {
            Socket::Tcp(stream) => stream.peer_addr().map(Peer::Tcp),
            #[cfg(unix)]
            Socket::Unix(_) => Ok(Peer::Unix),
        }
    }

    /// This end's address, where it has one.
    ///
    /// # Errors
    /// The system's.
    pub fn local(&self) -> io::Result<Peer> {
        match &self.socket {
            Socket::Tcp(stream) => stream.local_addr().map(Peer::Tcp),
            #[cfg(unix)]
            Socket::Unix(_) => Ok(Peer::Unix),
        }
    }

    /// Whether a read that fills less than its buffer has emptied the socket, so that the next bytes make a
    /// new event. Unix sockets also stop at ancillary data.
    pub(super) fn short_read_is_last(&self) -> bool {
        matches!(self.socket, Socket::Tcp(_))
    }

    pub(super) fn shutdown_write(&self) -> io::Result<()> {
        match &self.socket {
            Socket::Tcp(stream) => stream.shutdown(Shutdown::Write),
            #[cfg(unix)]
            Socket::Unix(stream) => stream.shutdown(Shutdown::Write),
        }
    }

    /// Small messages leave at once instead of waiting for the answer to the last (Nagle).
    pub(super) fn set_nodelay(&self) -> io::Result<()> {
        match &self.socket {
            Socket::Tcp(stream) => stream.set_nodelay(true),
            #[cfg(unix)]
            Socket::Unix(_) => Ok(()),
        }
    }

    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        match &mut self.socket {
            Socket::Tcp(stream) => stream.register(registry, token, both),
            #[cfg(unix)]
            Socket::Unix(stream) => stream.register(registry, token, both),
        }
    }

    pub(super) fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        match &mut self.socket {
            Socket::Tcp(stream) => stream.deregister(registry),
            #[cfg(unix)]
            Socket::Unix(stream) => stream.deregister(registry),
        }
    }

    /// Reads from the socket into `buffer`, or decrypted into the scratch's `plain`. Returns how many bytes
    /// the socket gave; of TLS that may be none of plaintext, and 0 is the end, which TLS may know of first.
    pub(super) fn read(&mut self, buffer: &mut [u8], scratch: &mut Scratch) -> io::Result<usize> {
        match &mut self.tls {
            None => self.socket.read(buffer),
            Some(tls) => tls.read(&mut self.socket, buffer.len(), scratch),
        }
    }

    /// Reads behind what is in `bytes`, for plaintext no more than it has room for. Returns how many bytes the
    /// socket was asked for, and how many it gave, as [`read`](Self::read) does.
    pub(super) fn read_behind(
        &mut self,
        bytes: &mut Vec<u8>,
        scratch: &mut Scratch,
    ) -> (usize, io::Result<usize>) {
        let room = bytes.capacity() - bytes.len();
        let Some(tls) = &mut self.tls else {
            return (room, self.socket.read_behind(bytes));
        };
        // Of a record nothing can be decrypted before it is whole; and all connections share the memory for it.
        let most = room.clamp(RECORD_MAX, DECRYPTED_MAX);
        let count = tls.read(&mut self.socket, most, scratch);
        if count.is_ok() {
            bytes.append(&mut scratch.plain);
        }
        (most, count)
    }

    /// Writes past TLS, as much as is taken now. The slices that went are taken away.
    pub(super) fn write_plain_slices(
        &mut self,
        slices: &mut &mut [IoSlice<'_>],
    ) -> io::Result<usize> {
        self.socket.write_most_slices(slices)
    }

    /// Sends what TLS has encrypted. Whether all is gone, and how much went.
    pub(super) fn flush(&mut self, scratch: &mut Scratch) -> io::Result<(bool, usize)> {
        match &mut self.tls {
            None => Ok((true, 0)),
            Some(tls) => tls.flush(&mut self.socket, scratch),
        }
    }

    /// Lets TLS say that nothing more comes; [`flush`](Self::flush) sends it.
    pub(super) fn say_goodbye(&mut self, scratch: &mut Scratch) -> io::Result<()> {
        match &mut self.tls {
            None => Ok(()),
            Some(tls) => tls.say_goodbye(scratch),
        }
    }

    /// Bytes that are encrypted and not sent.
    pub(super) fn unsent(&self) -> usize {
        self.tls.as_ref().map_or(0, |tls| tls.unsent())
    }

    /// Whether it speaks TLS.
    pub fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    pub(super) fn is_handshaking(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_handshaking())
    }

    /// The peer broke TLS.
    pub(super) fn has_failed(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.has_failed())
    }

    pub(super) fn fault(&self) -> Option<String> {
        self.tls.as_ref().and_then(|tls| tls.fault())
    }

    /// TLS knows that nothing more comes; the socket may not.
    pub(super) fn has_ended(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.has_ended())
    }

    #[cfg(feature = "net-tls")]
    pub(super) fn start_tls(&mut self, side: TlsSide, received: &[u8]) -> io::Result<()> {
        if self.tls.is_some() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "TLS has begun already"));
        }
        let mut tls = match side {
            TlsSide::Server(config) => Tls::server(config)?,
            TlsSide::Client(config, name) => Tls::client(config, name)?,
        };
        if !received.is_empty() {
            tls.begin(received);
        }
        self.tls = Some(Box::new(tls));
        Ok(())
    }
}

/// Which end of TLS this is.
#[cfg(feature = "net-tls")]
pub(super) enum TlsSide {
    Server(Arc<TlsConfig>),
    Client(Arc<TlsClientConfig>, rustls::pki_types::ServerName<'static>),
}

impl From<Socket> for Stream {
    fn from(socket: Socket) -> Self {
        Self { socket, tls: None }
    }
}

/// A stream to write plaintext to.
pub(super) struct Writer<'a> {
    pub(super) stream: &'a mut Stream,
    pub(super) scratch: &'a mut Scratch,
}

impl Write for Writer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Stream { socket, tls: None } = &mut *self.stream else {
            return self.write_vectored(&[IoSlice::new(bytes)]);
        };
        let count = socket.write(bytes)?;
        self.scratch.wire += count as u64;
        Ok(count)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let Stream { socket, tls } = &mut *self.stream;
        match tls {
            None => {
                let count = socket.write_vectored(slices)?;
                self.scratch.wire += count as u64;
                Ok(count)
            }
            Some(tls) => tls.write(socket, slices, self.scratch),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Socket {
    #[cfg(target_os = "linux")]
    fn descriptor(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }

    #[cfg(target_os = "linux")]
    fn read_behind(&mut self, bytes: &mut Vec<u8>) -> io::Result<usize> {
        let (_, count) = rustix::net::recv(
            self.descriptor(),
            rustix::buffer::spare_capacity(bytes),
            RecvFlags::empty(),
        )?;
        Ok(count)
    }

    #[cfg(not(target_os = "linux"))]
    fn read_behind(&mut self, bytes: &mut Vec<u8>) -> io::Result<usize> {
        let len = bytes.len();
        bytes.resize(bytes.capacity(), 0);
        let outcome = self.read(bytes.get_mut(len..).unwrap_or_default());
        bytes.truncate(len + outcome.as_ref().copied().unwrap_or(0));
        outcome
    }

    /// Writes until all is gone or the system takes no more for now. Returns how much went.
    #[cfg(feature = "net-tls")]
    pub(super) fn write_most(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_most_slices(&mut &mut [IoSlice::new(bytes)][..])
    }

    /// The same with slices, of which those that went are taken away.
    fn write_most_slices(&mut self, slices: &mut &mut [IoSlice<'_>]) -> io::Result<usize> {
        let mut gone = 0;
        // Empty ones would be asked about for ever.
        IoSlice::advance_slices(slices, 0);
        while !slices.is_empty() {
            let written = match &**slices {
                [only] => self.write(only),
                many => self.write_vectored(many),
            };
            match written {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => {
                    gone += count;
                    IoSlice::advance_slices(slices, count);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(gone)
    }
}

// Linux is asked straight, as the C library's way there first arranges for the thread to be cancelled in the call,
// in every program with more than one: 2 % of an echo.

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        #[cfg(target_os = "linux")]
        return Ok(rustix::net::recv(self.descriptor(), buffer, RecvFlags::empty())?.0);
        #[cfg(not(target_os = "linux"))]
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            #[cfg(unix)]
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        #[cfg(target_os = "linux")]
        return Ok(rustix::net::send(self.descriptor(), bytes, SendFlags::NOSIGNAL)?);
        #[cfg(not(target_os = "linux"))]
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            #[cfg(unix)]
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        #[cfg(target_os = "linux")]
        return Ok(rustix::io::writev(self.descriptor(), slices)?);
        #[cfg(not(target_os = "linux"))]
        match self {
            Self::Tcp(stream) => stream.write_vectored(slices),
            #[cfg(unix)]
            Self::Unix(stream) => stream.write_vectored(slices),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// More than a record of TLS is long: 16 KiB and what encryption adds.
const RECORD_MAX: usize = 17 << 10;
/// 256 KiB are decrypted at once, as much as is read at once of others.
const DECRYPTED_MAX: usize = 256 << 10;
