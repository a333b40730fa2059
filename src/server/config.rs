//! What a server does and takes. Plain data: where it comes from is the settings' affair.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use super::client_address::{ForwardedHeader, TrustedProxy};
use super::log::Log;
use super::metrics::Audience;
use super::paths::Paths;
use crate::broker;
use crate::net::{self, Address};
use crate::proto;
use crate::proto::handshake::HeadLimits;
use crate::relay;

/// Most loops that a server runs.
///
/// 64: each keeps buffers of its own and a mailbox for every other, 4,096 pairs by then. The system's
/// own work for loopback or a network card is the limit long before.
pub const SHARDS_MAX: usize = 64;

/// One address to listen on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listen {
    /// The address.
    pub address: Address,
    /// It is no error if the machine has no such address: true of the default's IPv6 half.
    pub may_lack: bool,
}

/// Where the certificate and its key lie, both in PEM.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsFiles {
    /// The certificate, then those that lead to its root.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// How much of what was said rooms remember, in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct History {
    /// Messages of one room. Default 1,000: a day of a busy team's talk, ten screens of a page.
    pub messages_max: usize,
    /// Bytes of one room's messages. Default 1 MiB: the messages above at an ordinary kilobyte each.
    pub bytes_max: usize,
    /// Bytes of all rooms together; the oldest go first. Default 64 MiB: sixty-four full rooms, or many
    /// thousand quiet ones, however many rooms a hostile client opens.
    pub memory_max: usize,
}

impl Default for History {
    fn default() -> Self {
        Self { messages_max: 1000, bytes_max: 1 << 20, memory_max: 64 << 20 }
    }
}

/// Everything that can be set.
///
/// ```
/// # use sockeye::server::{Config, Door};
/// let mut config = Config::default();
/// config.paths.set(Door::Im, Some("/messages".to_owned()));
/// config.connections_per_ip_max = Some(100);
/// assert_eq!(config.paths.door("/messages"), Some(Door::Im));
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen. Default `127.0.0.1:8080` and `[::1]:8080`, as `localhost` is either; nobody but
    /// this machine, until somebody decides otherwise.
    pub listen: Vec<Listen>,
    /// Loops, one thread each. Default: the CPUs that this process may use, which containers limit; at
    /// most [`SHARDS_MAX`].
    pub shards: usize,
    /// Speak TLS on the TCP addresses. Default: no.
    pub tls: Option<TlsFiles>,
    /// Where each wire language is found. Default: under its own name.
    pub paths: Paths,
    /// Origins that may connect; empty lets everybody. Clients that send none are no browsers and pass.
    pub origins: Vec<String>,
    /// Subprotocols that may be agreed on: the first of the client's offer that is among them. Empty, the
    /// default, agrees to the first of the offer, as ws does.
    pub subprotocols: Vec<String>,
    /// Connections at once; more wait in the backlog. Default 100,000.
    pub max_connections: usize,
    /// Connections at once from one IP address, loopback like any other. Default: no limit, since
    /// behind a proxy that is not trusted everybody has the proxy's address, and an office has one for all.
    pub connections_per_ip_max: Option<usize>,
    /// Proxies whose word on whom they pass on is believed: the address that counts above and stands in the
    /// log is the client's then. Default: nobody, as anybody can write such a header.
    pub trusted_proxies: Vec<TrustedProxy>,
    /// The header that they write. Default `X-Forwarded-For`.
    pub forwarded_header: ForwardedHeader,
    /// Every connection begins with the PROXY protocol, and comes from one of the trusted. Default: no.
    pub proxy_protocol: bool,
    /// Of a request's head. Default 16 KiB and 100 headers.
    pub head: HeadLimits,
    /// Limits of the codec, and permessage-deflate if it is on. Default: off, as in ws.
    pub codec: proto::Config,
    /// The hub's limits and rates.
    pub hub: relay::Config,
    /// What rooms remember.
    pub history: History,
    /// From accept to the upgrade, TLS included. Default 5 s: slower is a slowloris.
    pub handshake_timeout: Duration,
    /// Silence after which a peer is pinged. Default 25 s: below the usual 30 s of proxies.
    pub ping_interval: Duration,
    /// Silence after a ping until the peer is given up. Default 30 s: a phone changes cells in that time.
    pub pong_wait: Duration,
    /// For the answer to a close. Default 5 s.
    pub close_timeout: Duration,
    /// How long a peer may take nothing at all while bytes wait for it. Default 10 s: longer than the
    /// usual gap of a phone between two cells.
    pub stall_timeout: Duration,
    /// Whom `/metrics` answers on these addresses. Default: requests from this machine that show no proxy.
    pub metrics: Audience,
    /// Where `/metrics` alone is served, to everybody who reaches it, by a thread of its own and without TLS.
    /// Default: nowhere.
    pub metrics_listen: Option<SocketAddr>,
    /// For everybody to leave after SIGTERM. Default 10 s: well below the 30 s after which those who
    /// stop programs kill them.
    pub grace: Duration,
    /// What is logged, and how. [`serve`](super::serve) logs to whatever `tracing` subscriber there is;
    /// this is what the program's own is set up by.
    pub log: Log,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: listen_on(
                [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
                    .map(|ip: IpAddr| Address::Tcp((ip, 8080).into())),
            ),
            shards: thread::available_parallelism().map_or(1, usize::from).min(SHARDS_MAX),
            tls: None,
            paths: Paths::default(),
            origins: Vec::new(),
            subprotocols: Vec::new(),
            max_connections: 100_000,
            connections_per_ip_max: None,
            trusted_proxies: Vec::new(),
            forwarded_header: ForwardedHeader::default(),
            proxy_protocol: false,
            head: HeadLimits::default(),
            codec: proto::Config::default(),
            hub: relay::Config::default(),
            history: History::default(),
            handshake_timeout: Duration::from_secs(5),
            ping_interval: Duration::from_secs(25),
            pong_wait: Duration::from_secs(30),
            close_timeout: Duration::from_secs(5),
            stall_timeout: Duration::from_secs(10),
            metrics: Audience::Local,
            metrics_listen: None,
            grace: Duration::from_secs(10),
            log: Log::default(),
        }
    }
}

impl Config {
    /// What to open in a browser to get to this address: a URL, or `unix:` and the path.
    ///
    /// ```
    /// # use sockeye::{net::Address, server::Config};
    /// let address = Address::Tcp("[::1]:8080".parse()?);
    /// assert_eq!(Config::default().url(&address), "http://[::1]:8080/");
    /// # Ok::<(), std::net::AddrParseError>(())
    /// ```
    pub fn url(&self, address: &Address) -> String {
        match address {
            Address::Tcp(address) if self.tls.is_some() => format!("https://{address}/"),
            Address::Tcp(address) => format!("http://{address}/"),
            Address::Unix(_) => address.to_string(),
        }
    }

    /// Of one loop of so many: connections are shared out evenly.
    pub(super) fn net_limits(&self, number: usize, of: usize) -> net::Limits {
        let (share, rest) = (self.max_connections / of, self.max_connections % of);
        net::Limits {
            connections_max: share + usize::from(number < rest),
            linger: self.close_timeout,
            stall: self.stall_timeout,
            ..net::Limits::default()
        }
    }
}

impl History {
    /// What the broker keeps.
    pub(super) fn limits(&self, message_bytes_max: u64) -> broker::Limits {
        let default = broker::Limits::default();
        // The largest message has to fit behind what may wait for another loop.
        let largest = usize::try_from(message_bytes_max).unwrap_or(usize::MAX);
        broker::Limits {
            queue_bytes: default.queue_bytes.max(largest.saturating_mul(2)),
            entries_per_channel: self.messages_max,
            bytes_per_channel: self.bytes_max,
            bytes: self.memory_max,
            ..default
        }
    }
}

/// Addresses to listen on. Where `127.0.0.1` is one of them, `::1` on the same port is its other half:
/// both are called `localhost`, and a machine without IPv6 may lack it.
pub(super) fn listen_on(addresses: impl IntoIterator<Item = Address>) -> Vec<Listen> {
    let addresses: Vec<Address> = addresses.into_iter().collect();
    let is_half = |address: &Address| match address {
        Address::Tcp(SocketAddr::V6(six)) if *six.ip() == Ipv6Addr::LOCALHOST => {
            addresses.contains(&Address::Tcp((Ipv4Addr::LOCALHOST, six.port()).into()))
        }
        _ => false,
    };
    let listen =
        |address: &Address| Listen { address: address.clone(), may_lack: is_half(address) };
    addresses.iter().map(listen).collect()
}
