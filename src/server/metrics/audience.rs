//! Who may see the numbers on the address that everybody is served on. Judges a request; answers nothing.

use std::net::IpAddr;

use crate::http::Head;
use crate::net::Peer;

/// Whom `/metrics` answers on the addresses where the chat is.
///
/// It tells how many people are there and how busy they are, which is nobody's business by default but that of
/// who is on the machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Audience {
    /// Requests from this machine that show no sign of a proxy. The default.
    Local,
    /// Everybody who may ask.
    All,
    /// Nobody.
    Nobody,
}

/// Whether a request comes from a program of this machine, and not through a proxy on it.
///
/// Three things tell a proxy: what it adds, that it comes by a Unix socket, which is there for proxies, and a
/// `Host` that is the name of a site. The last also keeps out pages whose name was made to mean this
/// machine. A proxy that hides all three is not found out.
pub(in crate::server) fn is_local(peer: Option<Peer>, head: &Head<'_>) -> bool {
    let from_here = match peer {
        Some(Peer::Tcp(address)) => address.ip().to_canonical().is_loopback(),
        Some(Peer::Unix) | None => false,
    };
    from_here
        && !head.fields().any(|(name, _)| is_of_proxy(name))
        && head.field("host").and_then(|host| std::str::from_utf8(host).ok()).is_none_or(is_here)
}

fn is_of_proxy(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with("x-forwarded") || OF_PROXIES.contains(&&*name)
}

/// Whether a `Host` names this machine.
fn is_here(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

/// What proxies say of those whom they speak for.
const OF_PROXIES: [&str; 6] =
    ["forwarded", "via", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Event, Limits, Requests};

    fn local(peer: &str, fields: &str) -> bool {
        let bytes = format!("GET /metrics HTTP/1.1\r\n{fields}\r\n");
        let mut requests = Requests::new(Limits::default());
        let step = requests.next(bytes.as_bytes()).unwrap();
        let Event::Head(head) = step.event else { panic!("no head in {bytes}") };
        let peer = match peer {
            "unix" => Peer::Unix,
            tcp => Peer::Tcp(tcp.parse().unwrap()),
        };
        is_local(Some(peer), &head)
    }

    #[test]
    fn who_asks_on_this_machine_is_local() {
        for peer in ["127.0.0.1:9", "127.1.2.3:9", "[::1]:9", "[::ffff:127.0.0.1]:9"] {
            for host in ["127.0.0.1:8080", "localhost", "LOCALHOST:80", "[::1]:8080", "127.0.0.2"] {
                assert!(local(peer, &format!("Host: {host}\r\n")), "{peer} {host}");
            }
        }
    }

    #[test]
    fn others_and_those_behind_a_proxy_are_not() {
        for peer in ["192.0.2.1:9", "[2001:db8::1]:9", "10.0.0.1:9", "unix"] {
            assert!(!local(peer, "Host: localhost\r\n"), "{peer}");
        }
        for field in [
            "X-Forwarded-For: 192.0.2.1",
            "x-forwarded-proto: https",
            "Forwarded: for=192.0.2.1",
            "Via: 1.1 proxy",
            "X-Real-IP: 192.0.2.1",
            "CF-Connecting-IP: 192.0.2.1",
        ] {
            assert!(!local("127.0.0.1:9", &format!("Host: localhost\r\n{field}\r\n")), "{field}");
        }
        for host in ["chat.example.com", "localhost.example.com", "192.0.2.1", "[2001:db8::1]:80"] {
            assert!(!local("127.0.0.1:9", &format!("Host: {host}\r\n")), "{host}");
        }
    }
}
