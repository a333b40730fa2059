//! TCP, or TLS over it, with deadlines. Knows no WebSocket.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// The transport of a client: TCP, or TLS over TCP.
#[derive(Debug)]
pub struct Stream {
    io: Io,
    read_timeout: Option<Duration>,
    /// Until when reads are allowed to wait, whatever `read_timeout` says.
    deadline: Option<Instant>,
}

#[derive(Debug)]
enum Io {
    Plain(TcpStream),
    #[cfg(feature = "tls")]
    Tls(Box<rustls::StreamOwned<rustls::ClientConnection, TcpStream>>),
}

impl Stream {
    pub(super) fn plain(tcp: TcpStream) -> Self {
        Self { io: Io::Plain(tcp), read_timeout: None, deadline: None }
    }

    /// TLS over `tcp`. The TLS handshake runs with the first bytes written.
    #[cfg(feature = "tls")]
    pub(super) fn tls(tcp: TcpStream, tls: rustls::ClientConnection) -> Self {
        let io = Io::Tls(Box::new(rustls::StreamOwned::new(tls, tcp)));
        Self { io, read_timeout: None, deadline: None }
    }

    /// The socket below.
    pub fn tcp(&self) -> &TcpStream {
        match &self.io {
            Io::Plain(tcp) => tcp,
            #[cfg(feature = "tls")]
            Io::Tls(tls) => tls.get_ref(),
        }
    }

    /// Whether the bytes are encrypted on their way.
    pub fn is_tls(&self) -> bool {
        !matches!(self.io, Io::Plain(_))
    }

    pub(super) fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.read_timeout = timeout;
    }

    pub(super) fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.deadline = deadline;
    }

    pub(super) fn set_write_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.tcp().set_write_timeout(timeout)
    }

    pub(super) fn into_tcp(self) -> Option<TcpStream> {
        match self.io {
            Io::Plain(tcp) => Some(tcp),
            #[cfg(feature = "tls")]
            Io::Tls(_) => None,
        }
    }

    /// Lets the next system call wait as long as it may, and no longer.
    fn arm(&self) -> io::Result<()> {
        let left = match self.deadline {
            None => self.read_timeout,
            Some(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                // A zero time-out would mean "for ever" to the system.
                if left.is_zero() {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                Some(self.read_timeout.map_or(left, |timeout| timeout.min(left)))
            }
        };
        if self.deadline.is_some() {
            self.tcp().set_write_timeout(left)?;
        }
        self.tcp().set_read_timeout(left.map(|left| left.max(Duration::from_micros(1))))
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.arm()?;
        match &mut self.io {
            Io::Plain(tcp) => tcp.read(buffer),
            #[cfg(feature = "tls")]
            Io::Tls(tls) => tls.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.deadline.is_some() {
            self.arm()?;
        }
        match &mut self.io {
            Io::Plain(tcp) => tcp.write(bytes),
            #[cfg(feature = "tls")]
            Io::Tls(tls) => tls.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.io {
            Io::Plain(tcp) => tcp.flush(),
            #[cfg(feature = "tls")]
            Io::Tls(tls) => tls.flush(),
        }
    }
}
