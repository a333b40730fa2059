//! From a host and a port to a TCP connection, within a deadline. Knows no proxy, TLS or WebSocket.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::ClientError;

/// What is left until `deadline`; without one there is always time.
pub(super) fn time_left(deadline: Option<Instant>) -> Result<Duration, ClientError> {
    let left = deadline.map_or(Duration::MAX, |it| it.saturating_duration_since(Instant::now()));
    if left.is_zero() { Err(ClientError::TimedOut) } else { Ok(left) }
}

/// `host:port`, with the brackets that an IPv6 address needs there.
pub(super) fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Tries the addresses of a host in the order in which the system gives them. Each has its share of
/// the time that is left, so that one that swallows packets does not hide the next one.
pub(super) fn dial(
    host: &str,
    port: u16,
    deadline: Option<Instant>,
) -> Result<TcpStream, ClientError> {
    let failed = |source| ClientError::Connect { address: authority(host, port), source };
    let addresses = resolve(host, port, deadline)?.map_err(failed)?;
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    let mut untried = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    for address in &addresses {
        let share = time_left(deadline)? / untried;
        untried -= 1;
        match TcpStream::connect_timeout(address, share.max(Duration::from_millis(1))) {
            Ok(tcp) => return Ok(tcp),
            Err(error) => last = error,
        }
    }
    match ClientError::from(last) {
        ClientError::Io(error) => Err(failed(error)),
        timed_out => Err(timed_out),
    }
}

/// The addresses of a host. The system's resolver takes no deadline, so a name is looked up on a
/// thread, which is left behind when the time is over.
fn resolve(
    host: &str,
    port: u16,
    deadline: Option<Instant>,
) -> Result<io::Result<Vec<SocketAddr>>, ClientError> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(Ok(vec![SocketAddr::new(address, port)]));
    }
    let (sender, receiver) = mpsc::sync_channel(1);
    let name = host.to_owned();
    let look_up = move || {
        let found = (&*name, port).to_socket_addrs().map(Iterator::collect);
        // Nobody may be waiting any more.
        let _ = sender.send(found);
    };
    std::thread::Builder::new().name("resolver".into()).spawn(look_up).map_err(ClientError::Io)?;
    receiver.recv_timeout(time_left(deadline)?).map_err(|_| ClientError::TimedOut)
}
