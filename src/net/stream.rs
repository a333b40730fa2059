//! One connected socket, of whatever family. It reads and writes; when to do so is the reactor's affair.

use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr};

use mio::event::Source;
use mio::net::TcpStream;
#[cfg(unix)]
use mio::net::UnixStream;
use mio::{Interest, Registry, Token};

/// Who is at the other end.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Peer {
    /// An internet address.
    Tcp(SocketAddr),
    /// A process of this machine, by a Unix socket.
    Unix,
}

/// A connected, non-blocking socket. Made from one of `std`'s, as another thread may have accepted it.
#[derive(Debug)]
pub struct Stream(Kind);

#[derive(Debug)]
enum Kind {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl TryFrom<std::net::TcpStream> for Stream {
    type Error = io::Error;

    fn try_from(stream: std::net::TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self(Kind::Tcp(TcpStream::from_std(stream))))
    }
}

#[cfg(unix)]
impl TryFrom<std::os::unix::net::UnixStream> for Stream {
    type Error = io::Error;

    fn try_from(stream: std::os::unix::net::UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self(Kind::Unix(UnixStream::from_std(stream))))
    }
}

impl Stream {
    pub(super) fn tcp(stream: TcpStream) -> Self {
        Self(Kind::Tcp(stream))
    }

    #[cfg(unix)]
    pub(super) fn unix(stream: UnixStream) -> Self {
        Self(Kind::Unix(stream))
    }

    /// Who is at the other end.
    ///
    /// # Errors
    /// The system's, when the peer is gone.
    pub fn peer(&self) -> io::Result<Peer> {
        match &self.0 {
            Kind::Tcp(stream) => stream.peer_addr().map(Peer::Tcp),
            #[cfg(unix)]
            Kind::Unix(_) => Ok(Peer::Unix),
        }
    }

    /// This end's address, where it has one.
    ///
    /// # Errors
    /// The system's.
    pub fn local(&self) -> io::Result<Peer> {
        match &self.0 {
            Kind::Tcp(stream) => stream.local_addr().map(Peer::Tcp),
            #[cfg(unix)]
            Kind::Unix(_) => Ok(Peer::Unix),
        }
    }

    /// Whether a read that fills less than its buffer has emptied the socket, so that the next bytes make a
    /// new event. Unix sockets also stop at ancillary data.
    pub(super) fn short_read_is_last(&self) -> bool {
        matches!(self.0, Kind::Tcp(_))
    }

    pub(super) fn shutdown_write(&self) -> io::Result<()> {
        match &self.0 {
            Kind::Tcp(stream) => stream.shutdown(Shutdown::Write),
            #[cfg(unix)]
            Kind::Unix(stream) => stream.shutdown(Shutdown::Write),
        }
    }

    /// Small messages leave at once instead of waiting for the answer to the last (Nagle).
    pub(super) fn set_nodelay(&self) -> io::Result<()> {
        match &self.0 {
            Kind::Tcp(stream) => stream.set_nodelay(true),
            #[cfg(unix)]
            Kind::Unix(_) => Ok(()),
        }
    }

    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        match &mut self.0 {
            Kind::Tcp(stream) => stream.register(registry, token, both),
            #[cfg(unix)]
            Kind::Unix(stream) => stream.register(registry, token, both),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Kind::Tcp(stream) => stream.read(buffer),
            #[cfg(unix)]
            Kind::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match &mut self.0 {
            Kind::Tcp(stream) => stream.write_vectored(slices),
            #[cfg(unix)]
            Kind::Unix(stream) => stream.write_vectored(slices),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
