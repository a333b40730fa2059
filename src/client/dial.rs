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
pub(crate) fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Connects to the first address of a host that answers.
pub(super) fn dial(
    host: &str,
    port: u16,
    deadline: Option<Instant>,
) -> Result<TcpStream, ClientError> {
    let failed = |source| ClientError::Connect { address: authority(host, port), source };
    let addresses = resolve(host, port, deadline)?.map_err(failed)?;
    first_of(&addresses, deadline)?.map_err(|error| match ClientError::from(error) {
        ClientError::Io(error) => failed(error),
        timed_out => timed_out,
    })
}

/// Tries addresses in the order in which the system gives them; the inner error is the last one's.
/// Each has its share of the time that is left, so that one that swallows packets does not hide the next.
fn first_of(
    addresses: &[SocketAddr],
    deadline: Option<Instant>,
) -> Result<io::Result<TcpStream>, ClientError> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for (tried, address) in addresses.iter().enumerate() {
        let untried = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        let share = time_left(deadline)? / untried;
        match TcpStream::connect_timeout(address, share.max(Duration::from_millis(1))) {
            Ok(tcp) => return Ok(Ok(tcp)),
            Err(error) => last = error,
        }
    }
    Ok(Err(last))
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

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn an_address_where_nobody_listens_does_not_hide_the_next() {
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let somebody = listener.local_addr().unwrap();
        let tcp = first_of(&[nobody, somebody], None).unwrap().unwrap();
        assert_eq!(tcp.peer_addr().unwrap(), somebody);
        let error = first_of(&[nobody], None).unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let error = first_of(&[], None).unwrap().unwrap_err();
        assert_eq!(error.to_string(), "the host has no address");
    }

    #[test]
    fn nobody_is_dialled_when_the_time_is_over() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let outcome = first_of(&[address], Some(Instant::now()));
        assert!(matches!(outcome, Err(ClientError::TimedOut)));
    }
}
