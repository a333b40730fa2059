//! TCP whose waits end: every read and write waits as long as it may and no longer. Knows neither
//! TLS nor WebSocket. It stands below TLS, whose one read is several of TCP's.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

#[derive(Debug)]
pub(super) struct Timed {
    tcp: TcpStream,
    pub(super) read_timeout: Option<Duration>,
    pub(super) write_timeout: Option<Duration>,
    /// Until when anything may wait, whatever the two time-outs say.
    pub(super) deadline: Option<Instant>,
    /// What the socket was told last, to spare it from being told again.
    armed: Armed,
}

#[derive(Clone, Copy, Debug, Default)]
struct Armed {
    read: Option<Duration>,
    write: Option<Duration>,
}

impl Timed {
    /// A socket without time-outs of its own.
    pub(super) fn new(tcp: TcpStream) -> Self {
        let armed = Armed::default();
        Self { tcp, read_timeout: None, write_timeout: None, deadline: None, armed }
    }

    pub(super) fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// The socket, with the two time-outs and without the deadline.
    pub(super) fn into_tcp(mut self) -> io::Result<TcpStream> {
        self.deadline = None;
        self.arm_read()?;
        self.arm_write()?;
        Ok(self.tcp)
    }

    fn arm_read(&mut self) -> io::Result<()> {
        let wait = self.wait(self.read_timeout)?;
        if self.armed.read != wait {
            self.tcp.set_read_timeout(wait)?;
            self.armed.read = wait;
        }
        Ok(())
    }

    fn arm_write(&mut self) -> io::Result<()> {
        let wait = self.wait(self.write_timeout)?;
        if self.armed.write != wait {
            self.tcp.set_write_timeout(wait)?;
            self.armed.write = wait;
        }
        Ok(())
    }

    /// How long the next system call may wait.
    fn wait(&self, timeout: Option<Duration>) -> io::Result<Option<Duration>> {
        let wait = match self.deadline {
            None => timeout,
            Some(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                Some(timeout.map_or(left, |timeout| timeout.min(left)))
            }
        };
        // Zero would mean "for ever" to the system.
        Ok(wait.map(|wait| wait.max(Duration::from_micros(1))))
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.arm_read()?;
        self.tcp.read(buffer)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.arm_write()?;
        self.tcp.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tcp.flush()
    }
}
