//! Who is tried: a server at an address, or a program that visits ours, once for each connection.

use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::link::PATIENCE;
use super::verdict::{Tried, failed};
use crate::failure::{Failure, While as _};

/// For a program to start and to dial: some are slow to begin.
const DIAL_MAX: Duration = Duration::from_secs(15);

/// A server's place.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) address: SocketAddr,
    /// As the URL says it.
    pub(crate) authority: String,
    pub(crate) path: String,
}

impl Place {
    pub(crate) fn of(url: &str) -> Result<Self, Failure> {
        let wrong = || Failure::Because(format!("{url:?} is not of the form ws://HOST:PORT/PATH"));
        let rest = url.strip_prefix("ws://").ok_or_else(wrong)?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let named =
            if authority.contains(':') { authority.into() } else { format!("{authority}:80") };
        let mut found = named.to_socket_addrs().or_fail(format!("find {named}"))?;
        let address = found.next().ok_or_else(wrong)?;
        Ok(Self { address, authority: authority.to_owned(), path: format!("/{path}") })
    }

    pub(crate) fn dial(&self) -> Tried<TcpStream> {
        match TcpStream::connect_timeout(&self.address, PATIENCE) {
            Ok(stream) => Ok(stream),
            Err(error) => failed(format!("the server cannot be reached: {error}")),
        }
    }
}

/// Who waits for programs that visit.
#[derive(Debug)]
pub(crate) struct Door {
    listener: TcpListener,
    program: Vec<String>,
}

impl Door {
    /// `command`: words, `{url}` among them for the URL to go to.
    pub(crate) fn open(command: &str) -> Result<Self, Failure> {
        let program: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        if !program.iter().any(|word| word.contains("{url}")) {
            return Err(Failure::because("the command of --with has no {url} in it"));
        }
        let listener = TcpListener::bind("127.0.0.1:0").or_fail("listen on loopback")?;
        listener.set_nonblocking(true).or_fail("listen on loopback")?;
        Ok(Self { listener, program })
    }

    pub(crate) fn authority(&self) -> String {
        self.listener.local_addr().map(|it| it.to_string()).unwrap_or_default()
    }

    /// Starts the program and waits for its connection.
    pub(crate) fn visit(&self, path: &str) -> Tried<(TcpStream, Visitor)> {
        let url = format!("ws://{}{path}", self.authority());
        let mut words = self.program.iter().map(|word| word.replace("{url}", &url));
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = match command.process_group(0).spawn() {
            Ok(child) => child,
            Err(error) => return failed(format!("the client cannot be started: {error}")),
        };
        let mut visitor = Visitor(child);
        let begin = Instant::now();
        while begin.elapsed() < DIAL_MAX {
            if let Ok((stream, _)) = self.listener.accept() {
                let blocking = stream.set_nonblocking(false);
                return blocking.map_or_else(failed, |()| Ok((stream, visitor)));
            }
            if let Some(status) = visitor.ended() {
                return failed(format!("the client ended without connecting ({status})"));
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        failed(format!("the client did not connect within {} s", DIAL_MAX.as_secs()))
    }
}

/// A program that visits. Ends with this value.
#[derive(Debug)]
pub(crate) struct Visitor(Child);

impl Visitor {
    fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().ok().flatten()
    }

    /// How it ended, if it does within five seconds.
    pub(crate) fn end(&mut self) -> Option<ExitStatus> {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            if let Some(status) = self.ended() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        None
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        if self.ended().is_some() {
            return;
        }
        if let Some(group) = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.0.wait();
    }
}
