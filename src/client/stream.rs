//! The transport of a client: TCP, or TLS over it, and how either is ended. Knows no WebSocket.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use super::timed::Timed;

/// The transport of a client: TCP, or TLS over TCP.
#[derive(Debug)]
pub struct Stream(Io);

#[derive(Debug)]
enum Io {
    Plain(Timed),
    #[cfg(feature = "tls")]
    Tls(Box<rustls::StreamOwned<rustls::ClientConnection, Timed>>),
}

impl Stream {
    pub(super) fn plain(tcp: Timed) -> Self {
        Self(Io::Plain(tcp))
    }

    /// TLS over `tcp`. The TLS handshake runs with the first bytes written.
    #[cfg(feature = "tls")]
    pub(super) fn tls(tcp: Timed, session: rustls::ClientConnection) -> Self {
        Self(Io::Tls(Box::new(rustls::StreamOwned::new(session, tcp))))
    }

    /// The socket below, to ask its addresses or to set its options; but not its time-outs, which
    /// the client sets itself.
    pub fn tcp(&self) -> &TcpStream {
        self.timed().tcp()
    }

    /// The socket below, for a loop of the caller's own, with the time-outs that were set.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::Unsupported`] over TLS, where the socket alone would be of no use; else what
    /// the system says to the time-outs.
    pub fn into_tcp(self) -> io::Result<TcpStream> {
        match self.0 {
            Io::Plain(tcp) => tcp.into_tcp(),
            #[cfg(feature = "tls")]
            Io::Tls(_) => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "the bytes on this socket are TLS, not WebSocket",
            )),
        }
    }

    /// The socket below and the TLS session over it, for a loop of this crate's own that speaks TLS itself.
    #[cfg(feature = "connect")]
    pub(crate) fn take_apart(self) -> io::Result<(TcpStream, Option<rustls::ClientConnection>)> {
        match self.0 {
            Io::Plain(tcp) => Ok((tcp.into_tcp()?, None)),
            Io::Tls(tls) => {
                let (session, tcp) = tls.into_parts();
                Ok((tcp.into_tcp()?, Some(session)))
            }
        }
    }

    /// Whether the bytes are encrypted on their way.
    pub fn is_tls(&self) -> bool {
        !matches!(self.0, Io::Plain(_))
    }

    /// The TLS session, to ask for the server's certificates or the version agreed on.
    #[cfg(feature = "tls")]
    pub fn tls_session(&self) -> Option<&rustls::ClientConnection> {
        match &self.0 {
            Io::Plain(_) => None,
            Io::Tls(tls) => Some(&tls.conn),
        }
    }

    pub(super) fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.timed_mut().read_timeout = timeout;
    }

    pub(super) fn set_write_timeout(&mut self, timeout: Option<Duration>) {
        self.timed_mut().write_timeout = timeout;
    }

    pub(super) fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.timed_mut().deadline = deadline;
    }

    /// Says that nothing more will be written. An error would change nothing for the caller.
    pub(super) fn shutdown_write(&mut self) {
        self.end_tls();
        let _ = self.tcp().shutdown(Shutdown::Write);
    }

    /// Ends both directions, though the caller may keep the value for long.
    pub(super) fn shutdown(&mut self) {
        self.end_tls();
        let _ = self.tcp().shutdown(Shutdown::Both);
    }

    /// TLS says goodbye by itself, so that nobody can cut the end off (RFC 8446 §6.1).
    fn end_tls(&mut self) {
        #[cfg(feature = "tls")]
        if let Io::Tls(tls) = &mut self.0 {
            tls.conn.send_close_notify();
            let _ = tls.flush();
        }
    }

    fn timed(&self) -> &Timed {
        match &self.0 {
            Io::Plain(tcp) => tcp,
            #[cfg(feature = "tls")]
            Io::Tls(tls) => tls.get_ref(),
        }
    }

    fn timed_mut(&mut self) -> &mut Timed {
        match &mut self.0 {
            Io::Plain(tcp) => tcp,
            #[cfg(feature = "tls")]
            Io::Tls(tls) => tls.get_mut(),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Io::Plain(tcp) => tcp.read(buffer),
            #[cfg(feature = "tls")]
            Io::Tls(tls) => tls.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Io::Plain(tcp) => tcp.write(bytes),
            #[cfg(feature = "tls")]
            Io::Tls(tls) => tls.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Io::Plain(tcp) => tcp.flush(),
            #[cfg(feature = "tls")]
            Io::Tls(tls) => tls.flush(),
        }
    }
}

/// What the end of a connection asks of the stream below and std's traits cannot say.
pub(super) struct Ending<S> {
    pub(super) set_deadline: fn(&mut S, Option<Instant>),
    /// `None`: the stream has no such thing.
    pub(super) shutdown_write: Option<fn(&mut S)>,
    pub(super) shutdown: fn(&mut S),
}

impl Ending<Stream> {
    pub(super) const TCP: Self = Self {
        set_deadline: Stream::set_deadline,
        shutdown_write: Some(Stream::shutdown_write),
        shutdown: Stream::shutdown,
    };
}

impl<S> Ending<S> {
    /// For a stream that can only be read, written and dropped.
    pub(super) const BY_DROP: Self =
        Self { set_deadline: |_, _| {}, shutdown_write: None, shutdown: |_| {} };
}
