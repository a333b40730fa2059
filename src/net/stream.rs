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

/// A connected, non-blocking socket.
#[derive(Debug)]
#[non_exhaustive]
pub enum Stream {
    /// TCP, either version of IP.
    Tcp(TcpStream),
    /// A Unix socket.
    #[cfg(unix)]
    Unix(UnixStream),
}

impl Stream {
    /// Who is at the other end.
    ///
    /// # Errors
    /// The system's, when the peer is gone.
    pub fn peer(&self) -> io::Result<Peer> {
        match self {
            Self::Tcp(stream) => stream.peer_addr().map(Peer::Tcp),
            #[cfg(unix)]
            Self::Unix(_) => Ok(Peer::Unix),
        }
    }

    /// This end's address, where it has one.
    ///
    /// # Errors
    /// The system's.
    pub fn local(&self) -> io::Result<Peer> {
        match self {
            Self::Tcp(stream) => stream.local_addr().map(Peer::Tcp),
            #[cfg(unix)]
            Self::Unix(_) => Ok(Peer::Unix),
        }
    }

    /// Whether a read that fills less than its buffer has emptied the socket, so that the next bytes make a
    /// new event. Unix sockets also stop at ancillary data.
    pub(super) fn short_read_is_last(&self) -> bool {
        matches!(self, Self::Tcp(_))
    }

    pub(super) fn shutdown_write(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            #[cfg(unix)]
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
        }
    }

    /// Small messages leave at once instead of waiting for the answer to the last (Nagle).
    pub(super) fn set_nodelay(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_nodelay(true),
            #[cfg(unix)]
            Self::Unix(_) => Ok(()),
        }
    }

    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        match self {
            Self::Tcp(stream) => stream.register(registry, token, both),
            #[cfg(unix)]
            Self::Unix(stream) => stream.register(registry, token, both),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            #[cfg(unix)]
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
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
