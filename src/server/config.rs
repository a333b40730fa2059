//! What a server does and takes. Plain data: where it comes from is the command line's affair.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use crate::net::{self, Address};
use crate::proto;
use crate::proto::handshake::HeadLimits;
use crate::relay;

/// One address to listen on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listen {
    /// The address.
    pub address: Address,
    /// It is no error if the machine has no such address: true of the default's IPv6 half.
    pub may_lack: bool,
}

/// Everything that can be set.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen. Default `127.0.0.1:8080` and `[::1]:8080`, as `localhost` is either.
    pub listen: Vec<Listen>,
    /// Connections at once; more wait in the backlog. Default 100,000.
    pub max_connections: usize,
    /// Of a request's head. Default 16 KiB and 100 headers.
    pub head: HeadLimits,
    /// Limits of the codec, and permessage-deflate if it is on. Default: off, as in ws.
    pub codec: proto::Config,
    /// The hub's limits and rates.
    pub hub: relay::Config,
    /// Origins that may connect; empty lets everybody. Clients that send none are no browsers and pass.
    pub origins: Vec<String>,
    /// From accept to the upgrade. Default 5 s: slower is a slowloris.
    pub handshake_timeout: Duration,
    /// Silence after which a peer is pinged. Default 25 s: below the usual 30 s of proxies.
    pub ping_interval: Duration,
    /// Silence after a ping until the peer is given up. Default 30 s.
    pub pong_wait: Duration,
    /// For the answer to a close. Default 5 s.
    pub close_timeout: Duration,
    /// For everybody to leave after SIGTERM. Default 10 s.
    pub grace: Duration,
}

impl Default for Config {
    fn default() -> Self {
        let v4 = Address::Tcp((Ipv4Addr::LOCALHOST, 8080).into());
        let v6 = Address::Tcp((Ipv6Addr::LOCALHOST, 8080).into());
        Self {
            listen: vec![
                Listen { address: v4, may_lack: false },
                Listen { address: v6, may_lack: true },
            ],
            max_connections: 100_000,
            head: HeadLimits::default(),
            codec: proto::Config::default(),
            hub: relay::Config::default(),
            origins: Vec::new(),
            handshake_timeout: Duration::from_secs(5),
            ping_interval: Duration::from_secs(25),
            pong_wait: Duration::from_secs(30),
            close_timeout: Duration::from_secs(5),
            grace: Duration::from_secs(10),
        }
    }
}

impl Config {
    pub(super) fn net_limits(&self) -> net::Limits {
        net::Limits {
            connections_max: self.max_connections,
            linger: self.close_timeout,
            ..net::Limits::default()
        }
    }
}
