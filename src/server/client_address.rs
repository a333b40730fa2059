//! Whose address a connection has when proxies stand before it: which of them are believed, and what follows
//! from what they say. Reads no header's grammar (`forwarded` does) and no socket.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use super::forwarded::{self, Hop};
use crate::net::Peer;

/// Who may say whose connection it passes on.
///
/// ```
/// # use sockeye::server::TrustedProxy;
/// let network: TrustedProxy = "10.0.0.0/8".parse()?;
/// assert_eq!(network.to_string(), "10.0.0.0/8");
/// let one: TrustedProxy = "::1".parse()?;
/// let socket: TrustedProxy = "unix".parse()?;
/// assert_eq!([one, socket].map(|it| it.to_string()), ["::1", "unix"]);
/// assert!("10.0.0.1/8".parse::<TrustedProxy>().is_err());
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TrustedProxy(Who);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Who {
    /// Addresses that begin with so many bits of this one, which has no others.
    Network(IpAddr, u32),
    /// Whoever may open our Unix sockets.
    Unix,
}

/// The header that a trusted proxy writes. Only one is believed: of a header that the proxy does not
/// write it passes on whatever the client made up.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`, which nginx, HAProxy and Caddy are mostly set up to write.
    #[default]
    XForwardedFor,
    /// `Forwarded`, RFC 7239.
    Forwarded,
}

/// Whom a connection is from, as far as is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Client {
    /// `None`: a process of this machine, by a Unix socket.
    pub(super) ip: Option<IpAddr>,
    /// 0 for a Unix socket.
    pub(super) port: u16,
}

/// A connection's first say on whom it is from: the socket's, or the PROXY protocol's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guest {
    pub(super) client: Client,
    /// That is a proxy whose requests say more.
    pub(super) speaks_for_others: bool,
}

impl Client {
    pub(super) fn of(peer: Option<Peer>) -> Self {
        match peer {
            Some(Peer::Tcp(address)) => address.into(),
            Some(Peer::Unix) | None => Self { ip: None, port: 0 },
        }
    }
}

impl From<SocketAddr> for Client {
    fn from(address: SocketAddr) -> Self {
        // An IPv4 peer of an IPv6 socket is an IPv4 peer.
        Self { ip: Some(address.ip().to_canonical()), port: address.port() }
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ip {
            Some(ip) => ip.fmt(f),
            None => f.write_str("unix"),
        }
    }
}

impl TrustedProxy {
    fn is(self, client: Client) -> bool {
        match (self.0, client.ip) {
            (Who::Unix, None) => true,
            (Who::Network(IpAddr::V4(network), bits), Some(IpAddr::V4(ip))) => {
                first_bits(ip.to_bits().into(), bits, 32) == network.to_bits().into()
            }
            (Who::Network(IpAddr::V6(network), bits), Some(IpAddr::V6(ip))) => {
                first_bits(ip.to_bits(), bits, 128) == network.to_bits()
            }
            _ => false,
        }
    }
}

/// A connection's guest, before it has said anything.
pub(super) fn guest(client: Client, trusted: &[TrustedProxy]) -> Guest {
    Guest { client, speaks_for_others: is_trusted(client, trusted) }
}

pub(super) fn is_trusted(client: Client, trusted: &[TrustedProxy]) -> bool {
    trusted.iter().any(|proxy| proxy.is(client))
}

/// Whom a request is from that came by `proxy`, which is trusted: each hop names the one before it, the last
/// is the nearest. The first that is no trusted proxy is the client; what stands before it is the client's own
/// word. Where the chain breaks off, the farthest that is known stands for whoever is behind it.
pub(super) fn client_of<'h>(
    fields: impl Iterator<Item = (&'h str, &'h [u8])>,
    header: ForwardedHeader,
    proxy: Client,
    trusted: &[TrustedProxy],
) -> Client {
    let mut farthest = proxy;
    for hop in forwarded::hops(fields, header).into_iter().take(HOPS_MAX) {
        let Hop::Address { ip, port } = hop else {
            break;
        };
        // The proxy's port tells clients apart where their own is not known.
        farthest = Client { ip: Some(ip.to_canonical()), port: port.unwrap_or(proxy.port) };
        if !is_trusted(farthest, trusted) {
            break;
        }
    }
    farthest
}

/// Proxies between a client and us: two or three; more is somebody's game.
const HOPS_MAX: usize = 16;

/// The first `bits` of an address of `width` bits.
fn first_bits(address: u128, bits: u32, width: u32) -> u128 {
    let rest = width - bits.min(width);
    address.checked_shr(rest).unwrap_or(0).checked_shl(rest).unwrap_or(0)
}

impl FromStr for TrustedProxy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "unix" {
            return Ok(Self(Who::Unix));
        }
        let wrong = || {
            format!(
                "{text:?} is no proxy; write its address, a network such as 10.0.0.0/8, or unix"
            )
        };
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let width = |address: IpAddr| if address.is_ipv4() { 32 } else { 128 };
        let bits: u32 = match bits {
            // No sign, no empty text: digits as people write them.
            Some(bits) if bits.bytes().all(|it| it.is_ascii_digit()) => {
                bits.parse().map_err(|_| wrong())?
            }
            Some(_) => return Err(wrong()),
            None => width(address),
        };
        if bits > width(address) {
            return Err(format!("{text:?} has a prefix of more than {} bits", width(address)));
        }
        // Peers are compared in their plain form.
        let (address, bits) = match address.to_canonical() {
            plain if plain.is_ipv4() && address.is_ipv6() && bits >= 96 => (plain, bits - 96),
            _ => (address, bits),
        };
        let network = match address {
            IpAddr::V4(it) => u32::try_from(first_bits(it.to_bits().into(), bits, 32))
                .map(|it| IpAddr::V4(it.into()))
                .map_err(|_| wrong())?,
            IpAddr::V6(it) => IpAddr::V6(first_bits(it.to_bits(), bits, 128).into()),
        };
        if network != address {
            return Err(format!("{text:?} has bits behind its prefix; write {network}/{bits}"));
        }
        Ok(Self(Who::Network(network, bits)))
    }
}

impl fmt::Display for TrustedProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Who::Unix => f.write_str("unix"),
            Who::Network(address @ IpAddr::V4(_), 32) => address.fmt(f),
            Who::Network(address @ IpAddr::V6(_), 128) => address.fmt(f),
            Who::Network(network, bits) => write!(f, "{network}/{bits}"),
        }
    }
}

impl FromStr for ForwardedHeader {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("x-forwarded-for") {
            Ok(Self::XForwardedFor)
        } else if text.eq_ignore_ascii_case("forwarded") {
            Ok(Self::Forwarded)
        } else {
            Err(format!("{text:?} is no header that is known; write x-forwarded-for or forwarded"))
        }
    }
}

impl fmt::Display for ForwardedHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::XForwardedFor => "x-forwarded-for",
            Self::Forwarded => "forwarded",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trusted(names: &[&str]) -> Vec<TrustedProxy> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn client(ip: &str) -> Client {
        Client::from(SocketAddr::new(ip.parse().unwrap(), 9))
    }

    #[test]
    fn a_network_has_those_that_begin_like_it_and_no_others() {
        for (proxy, within, without) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
            ("192.0.2.1", "192.0.2.1", "192.0.2.2"),
            ("192.0.2.128/25", "192.0.2.200", "192.0.2.127"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::1"),
            ("::1", "::1", "::2"),
            ("0.0.0.0/0", "192.0.2.1", "2001:db8::1"),
            ("::/0", "2001:db8::1", "192.0.2.1"),
            ("::ffff:10.0.0.0/104", "10.1.2.3", "11.0.0.1"),
            // A peer of an IPv6 socket is the same peer.
            ("10.0.0.0/8", "::ffff:10.1.2.3", "::ffff:11.1.2.3"),
        ] {
            let proxies = trusted(&[proxy]);
            assert!(is_trusted(client(within), &proxies), "{within} is of {proxy}");
            assert!(!is_trusted(client(without), &proxies), "{without} is not of {proxy}");
            assert!(!is_trusted(Client::of(Some(Peer::Unix)), &proxies));
        }
        let unix = trusted(&["unix"]);
        assert!(is_trusted(Client::of(Some(Peer::Unix)), &unix));
        assert!(!is_trusted(client("127.0.0.1"), &unix));
    }

    #[test]
    fn a_proxy_is_written_as_it_is_read() {
        for text in ["10.0.0.0/8", "192.0.2.1", "2001:db8::/32", "::1", "unix", "0.0.0.0/0"] {
            assert_eq!(text.parse::<TrustedProxy>().unwrap().to_string(), text);
        }
        assert_eq!("192.0.2.1/32".parse::<TrustedProxy>().unwrap().to_string(), "192.0.2.1");
        let bad = [
            "",
            "/",
            "/8",
            "10.0.0.0/",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "10.0.0.1/8",
            "2001:db8::1/64",
            "nginx",
            "10.0.0",
            "10.0.0.0/8/8",
            "[::1]",
            "Unix",
            "127.0.0.1:80",
            "10.0.0.0/99999999999",
        ];
        for bad in bad {
            assert!(bad.parse::<TrustedProxy>().unwrap_err().contains(bad), "{bad:?}");
        }
        assert!("10.0.0.1/8".parse::<TrustedProxy>().unwrap_err().ends_with("write 10.0.0.0/8"));
    }

    fn of(fields: &[(&str, &str)], header: ForwardedHeader) -> String {
        let trusted = trusted(&["10.0.0.0/8", "::1"]);
        let fields = fields.iter().map(|&(name, value)| (name, value.as_bytes()));
        client_of(fields, header, client("10.0.0.1"), &trusted).to_string()
    }

    #[test]
    fn the_nearest_that_is_no_proxy_is_the_client() {
        use ForwardedHeader::{Forwarded, XForwardedFor};
        for (value, address) in [
            ("192.0.2.7", "192.0.2.7"),
            // What the client wrote itself stands before what the proxy saw.
            ("203.0.113.1, 192.0.2.7", "192.0.2.7"),
            ("203.0.113.1, 192.0.2.7, 10.9.9.9", "192.0.2.7"),
            ("unknown, 192.0.2.7", "192.0.2.7"),
            ("\", 192.0.2.7", "192.0.2.7"),
            // All are proxies: the farthest is somebody of the house.
            ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
            // Where the chain breaks off.
            ("192.0.2.7, unknown", "10.0.0.1"),
            ("192.0.2.7, junk, 10.0.0.2", "10.0.0.2"),
            ("", "10.0.0.1"),
            (",", "10.0.0.1"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8::7, ::1", "2001:db8::7"),
        ] {
            assert_eq!(of(&[("X-Forwarded-For", value)], XForwardedFor), address, "{value}");
        }
        let two = [("x-forwarded-for", "192.0.2.7"), ("X-FORWARDED-FOR", "10.0.0.9")];
        assert_eq!(of(&two, XForwardedFor), "192.0.2.7");
        assert_eq!(of(&[], XForwardedFor), "10.0.0.1");
        assert_eq!(of(&[("Forwarded", "for=192.0.2.7")], Forwarded), "192.0.2.7");
    }

    #[test]
    fn a_header_that_the_proxy_does_not_write_is_the_clients_invention() {
        let both = [("Forwarded", "for=192.0.2.1"), ("X-Forwarded-For", "192.0.2.2")];
        assert_eq!(of(&both, ForwardedHeader::XForwardedFor), "192.0.2.2");
        assert_eq!(of(&both, ForwardedHeader::Forwarded), "192.0.2.1");
        assert_eq!(of(&both[..1], ForwardedHeader::XForwardedFor), "10.0.0.1");
    }

    #[test]
    fn a_chain_is_followed_so_far_and_no_farther() {
        let chain: Vec<String> = (1..=200).map(|n| format!("10.1.1.{n}")).collect();
        let value = format!("192.0.2.7, {}", chain.join(", "));
        let farthest = format!("10.1.1.{}", 201 - HOPS_MAX);
        assert_eq!(of(&[("X-Forwarded-For", &value)], ForwardedHeader::XForwardedFor), farthest);
    }
}
