//! From settings to what the server uses, and back. What no single value shows is judged here: zeros
//! that would stop everything, and values that contradict each other.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use super::Settings;
use super::values::{self, Count, Crowd, Filter, Format, Origin, Place, Size, Subprotocol, Time};
use crate::net::Address;
use crate::proto::deflate::Deflate;
use crate::relay::Rates;
use crate::server::config::{Config, SHARDS_MAX, TlsFiles, listen_on};
use crate::server::paths::{Door, trimmed};

/// A setting that cannot be, and why, with the remedy.
#[derive(PartialEq, Debug)]
pub(crate) struct Fault {
    /// The setting's key.
    pub(crate) key: &'static str,
    /// One sentence.
    pub(crate) why: String,
}

impl Settings {
    /// All settings of a configuration.
    pub(crate) fn of(config: &Config) -> Self {
        let addresses = || config.listen.iter().map(|listen| &listen.address);
        let rates = config.hub.rates.as_ref();
        let messages = rates.map(|rates| rates.messages_per_second).filter(|&it| it != FREELY);
        let bytes = rates.map(|rates| rates.bytes_per_second).filter(|&it| it != AMPLY);
        let time = |time: Duration| Some(Time(time));
        let count = |number: usize| Some(Count(u32::try_from(number).unwrap_or(u32::MAX)));
        let size = |bytes: usize| Some(Size(bytes as u64));
        let doors = Door::ALL.map(|door| Place::Door(door, config.paths.get(door).map(Into::into)));
        let tls = config.tls.as_ref();
        Self {
            listen: Some(
                addresses()
                    .filter_map(|address| match address {
                        Address::Tcp(address) => Some(values::Address(*address)),
                        Address::Unix(_) => None,
                    })
                    .collect(),
            ),
            unix: Some(
                addresses()
                    .filter_map(|address| match address {
                        Address::Unix(path) => Some(path.to_string_lossy().into_owned()),
                        Address::Tcp(_) => None,
                    })
                    .collect(),
            ),
            shards: count(config.shards),
            tls_cert: tls.map(|files| files.cert.to_string_lossy().into_owned()),
            tls_key: tls.map(|files| files.key.to_string_lossy().into_owned()),
            origin: Some(config.origins.iter().cloned().map(Origin).collect()),
            max_connections: count(config.max_connections),
            max_per_ip: count(config.connections_per_ip_max.unwrap_or(0)),
            trusted_proxy: Some(config.trusted_proxies.clone()),
            forwarded_header: Some(config.forwarded_header),
            proxy_protocol: Some(config.proxy_protocol),
            max_payload: Some(Size(config.codec.limits.message_bytes_max)),
            deflate: Some(config.codec.deflate.is_some()),
            rate_messages: Some(Count(messages.map_or(0, NonZeroU32::get))),
            rate_bytes: Some(Size(bytes.map_or(0, NonZeroU64::get))),
            handshake_timeout: time(config.handshake_timeout),
            ping_interval: time(config.ping_interval),
            idle_timeout: time(config.pong_wait),
            stall_timeout: time(config.stall_timeout),
            close_timeout: time(config.close_timeout),
            grace: time(config.grace),
            path: Some(doors.into_iter().chain([Place::Others(config.paths.others)]).collect()),
            subprotocol: Some(config.subprotocols.iter().cloned().map(Subprotocol).collect()),
            history_messages: count(config.history.messages_max),
            history_bytes: size(config.history.bytes_max),
            history_memory: size(config.history.memory_max),
            metrics: Some(Crowd(config.metrics)),
            metrics_listen: config.metrics_listen.map(values::Address),
            log: Some(Filter(config.log.filter.clone())),
            log_format: Some(Format(config.log.format)),
        }
    }

    /// The default configuration with these settings made.
    pub(crate) fn apply(self) -> Result<Config, Fault> {
        let mut config = Config::default();
        self.apply_doors(&mut config)?;
        self.apply_times(&mut config)?;
        set(&mut config.shards, self.shards.map(number));
        if !(1..=SHARDS_MAX).contains(&config.shards) {
            let shards = config.shards;
            return fault("shards", format!("{shards} is not possible; give 1 to {SHARDS_MAX}"));
        }
        config.tls = match (self.tls_cert, self.tls_key) {
            (Some(cert), Some(key)) => Some(TlsFiles { cert: cert.into(), key: key.into() }),
            (None, None) => None,
            (Some(_), None) => return fault("tls-cert", "lacks its tls-key; give both or neither"),
            (None, Some(_)) => return fault("tls-key", "lacks its tls-cert; give both or neither"),
        };
        if let Some(origins) = self.origin {
            config.origins = origins.into_iter().map(|origin| origin.0).collect();
        }
        if let Some(names) = self.subprotocol {
            config.subprotocols = names.into_iter().map(|name| name.0).collect();
        }
        set(&mut config.max_connections, self.max_connections.map(number));
        if config.max_connections == 0 {
            return fault("max-connections", "0 lets nobody in; give 1 or more");
        }
        if let Some(most) = self.max_per_ip.map(number) {
            config.connections_per_ip_max = (most > 0).then_some(most);
        }
        set(&mut config.trusted_proxies, self.trusted_proxy);
        set(&mut config.forwarded_header, self.forwarded_header);
        set(&mut config.proxy_protocol, self.proxy_protocol);
        if config.proxy_protocol && config.trusted_proxies.is_empty() {
            let why = "is believed of trusted proxies only; name them with trusted-proxy";
            return fault("proxy-protocol", why);
        }
        set(&mut config.codec.limits.message_bytes_max, self.max_payload.map(|size| size.0));
        if config.codec.limits.message_bytes_max == 0 {
            return fault("max-payload", "0 lets no message through; give 1 byte or more");
        }
        if let Some(deflate) = self.deflate {
            config.codec.deflate = deflate.then(Deflate::default);
        }
        let messages = self.rate_messages.and_then(|count| NonZeroU32::new(count.0));
        let bytes = self.rate_bytes.and_then(|size| NonZeroU64::new(size.0));
        if messages.is_some() || bytes.is_some() {
            config.hub.rates = Some(Rates {
                messages_per_second: messages.unwrap_or(FREELY),
                bytes_per_second: bytes.unwrap_or(AMPLY),
                ..Rates::default()
            });
        }
        set(&mut config.history.messages_max, self.history_messages.map(number));
        set(&mut config.history.bytes_max, self.history_bytes.map(bytes_of));
        set(&mut config.history.memory_max, self.history_memory.map(bytes_of));
        set(&mut config.metrics, self.metrics.map(|crowd| crowd.0));
        config.metrics_listen = self.metrics_listen.map(|address| address.0);
        set(&mut config.log.filter, self.log.map(|filter| filter.0));
        set(&mut config.log.format, self.log_format.map(|format| format.0));
        Ok(config)
    }

    /// Where clients come in.
    fn apply_doors(&self, config: &mut Config) -> Result<(), Fault> {
        let unix = self.unix.as_deref().unwrap_or_default();
        // A socket for a proxy is mostly meant to be the only one.
        if self.listen.is_some() || !unix.is_empty() {
            let tcp = self.listen.iter().flatten().map(|address| Address::Tcp(address.0));
            config.listen = listen_on(tcp.chain(unix.iter().map(|it| Address::Unix(it.into()))));
        }
        if config.listen.is_empty() {
            return fault("listen", "there is nowhere to listen; give an address, or unix a path");
        }
        for (at, listen) in config.listen.iter().enumerate() {
            let any_port = matches!(&listen.address, Address::Tcp(address) if address.port() == 0);
            if !any_port && config.listen[..at].contains(listen) {
                let key = if matches!(listen.address, Address::Tcp(_)) { "listen" } else { "unix" };
                return fault(key, format!("{} is there twice; give it once", listen.address));
            }
        }
        let mut named = Vec::new();
        for place in self.path.iter().flatten() {
            let (door, written) = match place {
                Place::Door(door, path) => {
                    config.paths.set(*door, path.clone());
                    (Some(*door), door.name())
                }
                Place::Others(door) => {
                    config.paths.others = *door;
                    (None, "other")
                }
            };
            if named.contains(&door) {
                return fault("path", format!("{written} has two paths; give it one"));
            }
            named.push(door);
        }
        for (at, door) in Door::ALL.into_iter().enumerate() {
            let path = config.paths.get(door).map(trimmed);
            let same =
                |other: &&Door| path.is_some() && config.paths.get(**other).map(trimmed) == path;
            if let Some(other) = Door::ALL[..at].iter().find(same) {
                let path = config.paths.get(door).unwrap_or_default();
                return fault(
                    "path",
                    format!("{path} is of {other} and of {door}; move one of them"),
                );
            }
        }
        Ok(())
    }

    fn apply_times(&self, config: &mut Config) -> Result<(), Fault> {
        let times = [
            ("handshake-timeout", self.handshake_timeout, &mut config.handshake_timeout),
            ("ping-interval", self.ping_interval, &mut config.ping_interval),
            ("idle-timeout", self.idle_timeout, &mut config.pong_wait),
            ("stall-timeout", self.stall_timeout, &mut config.stall_timeout),
            ("close-timeout", self.close_timeout, &mut config.close_timeout),
        ];
        for (key, time, place) in times {
            set(place, time.map(|time| time.0));
            if place.is_zero() {
                return fault(key, "0 leaves clients no time at all; give 1s or more, at most 24h");
            }
        }
        set(&mut config.grace, self.grace.map(|time| time.0));
        Ok(())
    }
}

/// What no limit is, where the hub wants both numbers.
const FREELY: NonZeroU32 = NonZeroU32::MAX;
const AMPLY: NonZeroU64 = NonZeroU64::MAX;

fn fault<T>(key: &'static str, why: impl Into<String>) -> Result<T, Fault> {
    Err(Fault { key, why: why.into() })
}

fn set<T>(place: &mut T, made: Option<T>) {
    if let Some(value) = made {
        *place = value;
    }
}

fn number(count: Count) -> usize {
    usize::try_from(count.0).unwrap_or(usize::MAX)
}

fn bytes_of(size: Size) -> usize {
    usize::try_from(size.0).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(text: &str) -> Result<Config, Fault> {
        toml::from_str::<Settings>(text).unwrap().apply()
    }

    #[test]
    fn nothing_set_is_the_default() {
        let config = made("").unwrap();
        assert_eq!(format!("{config:?}"), format!("{:?}", Config::default()));
    }

    #[test]
    fn a_unix_socket_takes_the_place_of_the_default_addresses_but_not_of_given_ones() {
        let listen = |text: &str| made(text).unwrap().listen.len();
        assert_eq!(listen("unix = ['/s']"), 1);
        assert_eq!(listen("unix = []"), 2);
        assert_eq!(listen("unix = ['/s']\nlisten = ['[::]:80']"), 2);
    }

    #[test]
    fn the_other_half_of_localhost_may_lack_and_nothing_else() {
        let lacks = |text: &str| -> Vec<bool> {
            made(text).unwrap().listen.iter().map(|listen| listen.may_lack).collect()
        };
        assert_eq!(lacks(""), [false, true]);
        assert_eq!(lacks("listen = ['127.0.0.1:80', '[::1]:80']"), [false, true]);
        assert_eq!(lacks("listen = ['127.0.0.1:80', '[::1]:81']"), [false, false]);
        assert_eq!(lacks("listen = ['[::1]:80']"), [false]);
        assert_eq!(lacks("listen = ['127.0.0.1:80', '[::]:80']"), [false, false]);
    }

    #[test]
    fn one_rate_leaves_the_other_free() {
        let rates = made("rate-messages = 10").unwrap().hub.rates.unwrap();
        assert_eq!((rates.messages_per_second.get(), rates.bytes_per_second), (10, AMPLY));
        let rates = made("rate-bytes = '1KiB'").unwrap().hub.rates.unwrap();
        assert_eq!((rates.messages_per_second, rates.bytes_per_second.get()), (FREELY, 1024));
        assert_eq!(made("rate-bytes = 0").unwrap().hub.rates, None);
    }

    #[test]
    fn what_cannot_be_is_told_with_its_key() {
        let cases = [
            ("shards = 0", "shards"),
            ("shards = 65", "shards"),
            ("max-connections = 0", "max-connections"),
            ("max-payload = 0", "max-payload"),
            ("handshake-timeout = 0", "handshake-timeout"),
            ("ping-interval = '0ms'", "ping-interval"),
            ("idle-timeout = 0", "idle-timeout"),
            ("stall-timeout = 0", "stall-timeout"),
            ("close-timeout = 0", "close-timeout"),
            ("tls-cert = 'a'", "tls-cert"),
            ("tls-key = 'a'", "tls-key"),
            ("proxy-protocol = true", "proxy-protocol"),
            ("listen = []", "listen"),
            ("listen = ['[::1]:1', '[::1]:1']", "listen"),
            ("unix = ['/a', '/a']", "unix"),
            ("path = ['ws=/im']", "path"),
            ("path = ['ws=/a', 'im=/a/']", "path"),
            ("path = ['ws=/a', 'ws=/b']", "path"),
            ("path = ['other=off', 'other=ws']", "path"),
        ];
        for (text, key) in cases {
            assert_eq!(made(text).map(|_| ()).map_err(|fault| fault.key), Err(key), "{text}");
        }
        let may_be = [
            "grace = 0",
            "proxy-protocol = true\ntrusted-proxy = ['unix']",
            "max-per-ip = 0",
            "path = ['ws=/im', 'im=/ws']",
            "shards = 64",
            "path = ['ws=off', 'im=off']",
            "listen = ['[::1]:0', '[::1]:0']",
            "history-memory = 0",
        ];
        for text in may_be {
            assert_eq!(made(text).map(|_| ()), Ok(()), "{text}");
        }
    }
}
