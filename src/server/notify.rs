//! A word to the service manager on how the service stands, by the protocol of systemd's `Type=notify`: a
//! datagram to the socket that `NOTIFY_SOCKET` names. Without that variable nothing is said; that nobody
//! listens is nobody's failure.

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::unix::net::UnixDatagram;

/// Serving, or serving again.
pub(super) const READY: &str = "READY=1";
/// Reading the certificate again.
pub(super) const RELOADING: &str = "RELOADING=1";
/// Saying goodbye to everybody.
pub(super) const STOPPING: &str = "STOPPING=1";

pub(super) fn say(word: &str) {
    if let Some(socket) = env::var_os("NOTIFY_SOCKET").filter(|it| !it.is_empty())
        && let Err(error) = send(&socket, word)
    {
        tracing::debug!(%error, word, "the service manager was not told");
    }
}

fn send(socket: &OsString, word: &str) -> io::Result<()> {
    let datagram = UnixDatagram::unbound()?;
    // A manager that does not read must not hold up the service.
    datagram.set_nonblocking(true)?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        #[cfg(target_os = "android")]
        use std::os::android::net::SocketAddrExt;
        #[cfg(target_os = "linux")]
        use std::os::linux::net::SocketAddrExt;
        use std::os::unix::ffi::OsStrExt;
        // Names that begin with @ are of no file system.
        if let Some(name) = socket.as_bytes().strip_prefix(b"@") {
            let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
            return datagram.send_to_addr(word.as_bytes(), &address).map(drop);
        }
    }
    datagram.send_to(word.as_bytes(), socket).map(drop)
}
