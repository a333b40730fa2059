//! Where connections come in: TCP on several addresses, Unix sockets. It accepts one when asked;
//! how many, and what to do when there is no descriptor left, is the reactor's affair.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::PathBuf;
#[cfg(unix)]
use std::sync::Arc;

use mio::event::Source;
use mio::net::TcpListener;
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::stream::{Peer, Stream};

/// Where to listen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Address {
    /// An address and port; port 0 lets the system choose.
    Tcp(SocketAddr),
    /// The path of a Unix socket. A file left there by a process that is gone is replaced.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// How to listen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ListenOptions {
    /// Connections the system holds until they are accepted. Default 1024: what arrives while a loop
    /// is busy or out of descriptors; Linux caps it by `net.core.somaxconn`.
    pub backlog: u32,
    /// Lets several sockets share the port, each getting its part of the connections. Default off: then a
    /// second server on the port is an error, as it should be.
    pub reuse_port: bool,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self { backlog: 1024, reuse_port: false }
    }
}

/// A bound, listening, non-blocking socket. A Unix socket's file goes when the listener does.
#[derive(Debug)]
pub struct Listener(Inner);

/// A socket that listens already, as one that was inherited or bound with options of its own.
impl TryFrom<std::net::TcpListener> for Listener {
    type Error = io::Error;

    fn try_from(listener: std::net::TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self(Inner::Tcp(TcpListener::from_std(listener))))
    }
}

impl Listener {
    /// Listens. An IPv6 address is IPv6 only, so that `0.0.0.0` and `[::]` can stand side by side and
    /// nobody appears as `::ffff:1.2.3.4`.
    ///
    /// # Errors
    /// The system's: `AddrInUse`, `PermissionDenied` (ports below 1024), `AddrNotAvailable`.
    pub fn bind(address: &Address, options: &ListenOptions) -> io::Result<Self> {
        let backlog = i32::try_from(options.backlog).unwrap_or(i32::MAX);
        match address {
            Address::Tcp(address) => {
                let domain = Domain::for_address(*address);
                let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
                if address.is_ipv6() {
                    socket.set_only_v6(true)?;
                }
                // A restart must not wait for the last connections' TIME_WAIT. (On Windows the option
                // would let two servers take one port.)
                #[cfg(unix)]
                socket.set_reuse_address(true)?;
                #[cfg(unix)]
                if options.reuse_port {
                    socket.set_reuse_port(true)?;
                }
                socket.set_nonblocking(true)?;
                socket.bind(&SockAddr::from(*address))?;
                socket.listen(backlog)?;
                Ok(Self(Inner::Tcp(TcpListener::from_std(socket.into()))))
            }
            #[cfg(unix)]
            Address::Unix(path) => {
                remove_if_abandoned(path);
                let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
                socket.set_nonblocking(true)?;
                socket.bind(&SockAddr::unix(path)?)?;
                let owner = Arc::new(UnixPath(path.clone()));
                socket.listen(backlog)?;
                let listener =
                    std::os::unix::net::UnixListener::from(std::os::fd::OwnedFd::from(socket));
                Ok(Self(Inner::Unix(mio::net::UnixListener::from_std(listener), owner)))
            }
            #[cfg(not(unix))]
            Address::Unix(_) => Err(ErrorKind::Unsupported.into()),
        }
    }

    /// The same socket once more, for another loop. Whichever loop comes first gets a connection.
    ///
    /// # Errors
    /// The system's, when there is no descriptor left.
    #[cfg(unix)]
    pub fn try_clone(&self) -> io::Result<Self> {
        use std::os::fd::AsFd;
        Ok(Self(match &self.0 {
            Inner::Tcp(listener) => {
                let copy = listener.as_fd().try_clone_to_owned()?;
                Inner::Tcp(TcpListener::from_std(copy.into()))
            }
            Inner::Unix(listener, path) => {
                let copy = listener.as_fd().try_clone_to_owned()?;
                let copy = mio::net::UnixListener::from_std(copy.into());
                Inner::Unix(copy, Arc::clone(path))
            }
        }))
    }

    /// Where it listens, with the port that the system chose.
    ///
    /// # Errors
    /// The system's.
    pub fn address(&self) -> io::Result<Address> {
        match &self.0 {
            Inner::Tcp(listener) => listener.local_addr().map(Address::Tcp),
            #[cfg(unix)]
            Inner::Unix(_, path) => Ok(Address::Unix(path.0.clone())),
        }
    }

    pub(super) fn accept(&self) -> io::Result<(Stream, Peer)> {
        match &self.0 {
            Inner::Tcp(listener) => {
                listener.accept().map(|(stream, peer)| (Stream::tcp(stream), Peer::Tcp(peer)))
            }
            #[cfg(unix)]
            Inner::Unix(listener, _) => {
                listener.accept().map(|(stream, _)| (Stream::unix(stream), Peer::Unix))
            }
        }
    }

    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match &mut self.0 {
            Inner::Tcp(listener) => listener.register(registry, token, Interest::READABLE),
            #[cfg(unix)]
            Inner::Unix(listener, _) => listener.register(registry, token, Interest::READABLE),
        }
    }
}

/// Whether an error of `accept` is about the one connection that was to be accepted, so that the next
/// may be fine. Everything else (no descriptor left, no memory) is about us and asks for a pause.
pub(super) fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Interrupted | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset
    )
}

#[derive(Debug)]
enum Inner {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(mio::net::UnixListener, Arc<UnixPath>),
}

/// The file of a Unix socket, removed with its last listener.
#[cfg(unix)]
#[derive(Debug)]
struct UnixPath(PathBuf);

#[cfg(unix)]
impl Drop for UnixPath {
    fn drop(&mut self) {
        // If someone else removed it, that is what was wanted.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Removes a socket that nobody listens on; anything else stays, and binding will say what is wrong.
#[cfg(unix)]
fn remove_if_abandoned(path: &std::path::Path) {
    use std::os::unix::fs::FileTypeExt;
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|it| it.file_type().is_socket());
    let refused = || {
        std::os::unix::net::UnixStream::connect(path)
            .is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    };
    if is_socket && refused() {
        let _ = std::fs::remove_file(path);
    }
}
