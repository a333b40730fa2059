//! What a run will do: the command line after everything in it was found to fit together.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;

use super::args::{Args, Mode, addresses};
use super::body::{Body, Stamp, with_conn};
use super::error::BenchError;
use crate::client::tls::Trust;
use crate::client::url::{Target, in_full};
use crate::proto::Kind;

/// Everything that the threads need to know, and do not change.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) mode: Mode,
    pub(super) url: String,
    /// The same for all connections, unless the URL names them.
    target: Target,
    url_varies: bool,
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) sources: Vec<IpAddr>,
    /// Connections that are open at once, senders among them.
    pub(super) connections: u32,
    /// The first so many connections send.
    pub(super) senders: u32,
    pub(super) threads: u32,
    pub(super) ramp: Option<u32>,
    pub(super) pace: Pace,
    pub(super) until: Until,
    pub(super) warm_up: Duration,
    pub(super) timeout: Duration,
    pub(super) body: Body,
    pub(super) size: u32,
    pub(super) preamble: Vec<String>,
    pub(super) deflate: bool,
    /// No WebSocket: messages as they are.
    pub(super) raw: bool,
    pub(super) headers: Vec<(String, String)>,
    pub(super) subprotocols: Vec<String>,
    pub(super) pid: Option<u32>,
    /// For `wss://`: whom to trust, and the server's name.
    pub(super) tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

/// When the next message is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Pace {
    /// When fewer than so many of the connection's are in flight.
    Closed { depth: u32 },
    /// At its time: so many a second over all connections.
    Open { rate: u64 },
}

/// When measuring ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Until {
    Time(Duration),
    Count(u64),
}

impl Plan {
    pub(super) fn new(args: Args) -> Result<Self, BenchError> {
        let url = in_full(&args.url).map_err(BenchError::Usage)?;
        let target = parse(&with_conn(&url, 0))?;
        let sources = match &args.source_ip {
            None => Vec::new(),
            Some(text) => {
                addresses(text).map_err(|it| BenchError::Usage(format!("--source-ip: {it}")))?
            }
        };
        let headers = args.headers.iter().map(|line| header(line)).collect::<Result<_, _>>()?;
        let kind = if args.binary { Kind::Binary } else { Kind::Text };
        let template =
            if args.json_message { Some(JSON_MESSAGE) } else { args.template.as_deref() };
        let size = usize::try_from(args.size).unwrap_or(usize::MAX);
        let body = Body::new(kind, template, size);
        let senders = match args.mode {
            Mode::Echo => args.connections,
            Mode::Broadcast => args.senders,
            Mode::Idle | Mode::Handshake => 0,
        };
        let connections = match args.mode {
            Mode::Broadcast => args.connections.saturating_add(senders),
            _ => args.connections,
        };
        if args.mode == Mode::Broadcast && !body.stamped() {
            return Err(BenchError::Usage(format!(
                "a broadcast is followed by a stamp in each message: --size must be at least {} and a --template must hold {{pad}}",
                Stamp::LEN
            )));
        }
        if args.raw && (args.mode != Mode::Echo || !body.stamped()) {
            return Err(BenchError::Usage(format!(
                "--raw is for --mode echo and a --size of at least {}: without frames a stamp in each message tells them apart",
                Stamp::LEN
            )));
        }
        if connections > Stamp::CONNS {
            return Err(BenchError::Usage(format!(
                "{connections} connections are more than {}",
                Stamp::CONNS
            )));
        }
        let pace = match args.rate {
            Some(rate) => Pace::Open { rate },
            None => Pace::Closed { depth: args.depth },
        };
        if pace != (Pace::Closed { depth: 1 }) && senders == 0 {
            return Err(BenchError::Usage(format!(
                "--depth and --rate are for messages, and --mode {} sends none",
                args.mode.name()
            )));
        }
        let until = match args.count {
            Some(count) if args.mode == Mode::Idle => {
                return Err(BenchError::Usage(format!(
                    "--mode idle lasts a --duration; there is nothing of which it could take {count}"
                )));
            }
            Some(count) => Until::Count(count),
            None => Until::Time(args.duration.unwrap_or(Duration::from_secs(10))),
        };
        let warm_up = match (args.warm_up, args.mode, until) {
            (_, Mode::Idle, _) => Duration::ZERO,
            (Some(_), Mode::Handshake, Until::Count(_)) => {
                return Err(BenchError::Usage(
                    "--mode handshake with a --count measures every handshake; leave --warm-up out"
                        .into(),
                ));
            }
            (Some(wanted), ..) => wanted,
            (None, _, Until::Time(_)) => Duration::from_secs(1),
            (None, _, Until::Count(_)) => Duration::ZERO,
        };
        let tls = tls(&target, args.ca)?;
        Ok(Self {
            mode: args.mode,
            tls,
            addresses: super::dial::resolve(&target.host, target.port)?,
            url_varies: url.contains("{conn}"),
            url,
            target,
            sources,
            connections,
            senders,
            threads: u32::from(args.threads).min(connections),
            ramp: args.ramp,
            pace,
            until,
            warm_up,
            timeout: args.timeout,
            body,
            size: args.size,
            preamble: args.preamble,
            deflate: args.deflate,
            raw: args.raw,
            headers,
            subprotocols: args.subprotocol,
            pid: args.pid,
        })
    }

    /// `Host` and target of a connection's request.
    pub(super) fn request(&self, conn: u32) -> Result<(String, String), BenchError> {
        if self.url_varies {
            let target = parse(&with_conn(&self.url, conn))?;
            return Ok((target.authority, target.resource));
        }
        Ok((self.target.authority.clone(), self.target.resource.clone()))
    }

    /// `Authorization` of the URL's user and password.
    pub(super) fn authorization(&self) -> Option<String> {
        self.target.userinfo.as_deref().map(crate::client::basic)
    }

    /// How many of `count` messages fall to the sender of this number.
    pub(super) fn quota(&self, sender: u32) -> u64 {
        let (Until::Count(count), senders @ 1..) = (self.until, u64::from(self.senders)) else {
            return u64::MAX;
        };
        count / senders + u64::from(u64::from(sender) < count % senders)
    }
}

fn parse(url: &str) -> Result<Target, BenchError> {
    Target::parse(url).map_err(|error| BenchError::Usage(error.to_string()))
}

/// No session is resumed: each connection costs the server a whole handshake, as new clients do.
fn tls(
    target: &Target,
    ca: Option<PathBuf>,
) -> Result<Option<(Arc<ClientConfig>, ServerName<'static>)>, BenchError> {
    if !target.tls {
        return match ca {
            None => Ok(None),
            Some(_) => Err(BenchError::Usage("--ca is for wss:// URLs, and this is none".into())),
        };
    }
    let trust = ca.map_or(Trust::Platform, Trust::File);
    let (config, name) =
        trust.terms(&target.host).map_err(|error| BenchError::Usage(error.to_string()))?;
    let mut config = (*config).clone();
    config.resumption = Resumption::disabled();
    Ok(Some((Arc::new(config), name)))
}

fn header(line: &str) -> Result<(String, String), BenchError> {
    match line.split_once(':') {
        Some((name, value)) => Ok((name.trim().to_owned(), value.trim().to_owned())),
        None => Err(BenchError::Usage(format!("--header {line:?} is not of the form NAME: VALUE"))),
    }
}

const JSON_MESSAGE: &str = r#"{"seq":{seq},"conn":{conn},"pad":"{pad}"}"#;
