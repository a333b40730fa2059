//! What the command line means: the options of the connection, where messages come from, and when it ends.

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::time::Duration;

use super::args::Args;
use super::error::ConnectError;
use super::{password, trust};
use crate::client::opening::Wish;
use crate::client::proxy::Proxy;
use crate::client::url::{Target, in_full, without_userinfo};
use crate::client::{ClientError, Connect, basic};
use crate::proto::deflate::Deflate;

/// One second: an answer that takes longer than that needs a --linger of its own.
const LINGER: Duration = Duration::from_secs(1);

/// Everything that the course of things depends on.
pub(super) struct Plan {
    pub(super) connect: Connect,
    pub(super) url: String,
    /// Without password.
    pub(super) shown_url: String,
    pub(super) unix: Option<PathBuf>,
    pub(super) timeout: Duration,
    pub(super) source: Source,
    pub(super) output: Output,
    pub(super) verbose: bool,
    pub(super) quiet: bool,
    pub(super) exit_after: Option<u64>,
    /// How long it must be quiet after the end of the input; `None` stays.
    pub(super) linger: Option<Duration>,
    /// Attempts in a row.
    pub(super) reconnect: Option<u32>,
    pub(super) ping_interval: Option<Duration>,
    pub(super) history: bool,
    pub(super) insecure: bool,
    pub(super) user_given: bool,
}

/// Where messages come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Source {
    /// A person types.
    Terminal,
    /// These, and no input.
    Given(Vec<Given>),
    /// Standard input.
    Pipe(Pipe),
}

/// A message of the command line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Given {
    /// Text.
    Text(String),
    /// A file, which is read when it is sent.
    File(PathBuf),
}

/// How input is cut and read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Pipe {
    pub(super) cut: Cut,
    pub(super) kind: Kind,
}

/// Where a message of the input ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Cut {
    /// At a line end, which may be CR LF.
    Lines,
    /// At a zero byte.
    Null,
    /// At the end of the input.
    Whole,
}

/// What the bytes of an input message are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Text to be sent.
    Text,
    /// Hexadecimal digits of bytes to be sent.
    Hex,
    /// Bytes to be sent.
    Bytes,
    /// A JSON object.
    Json,
}

/// What standard output gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Output {
    /// What a person reads beside the prompt.
    Terminal,
    /// Messages, each with this behind it.
    Plain(Option<u8>),
    /// Events.
    Json,
}

impl Plan {
    /// Checks what was asked for. May ask a person for the password.
    pub(super) fn new(args: Args) -> Result<Self, ConnectError> {
        let url = in_full(&args.url).map_err(usage)?;
        let target = Target::parse(&url).map_err(|error| ConnectError::Usage(error.to_string()))?;
        if args.unix.is_some() && target.tls {
            return Err(usage("there is no TLS over a Unix socket; write the URL as ws://"));
        }
        let mut connect =
            Connect::new().connect_timeout(args.timeout).max_payload(args.max_payload);
        for header in &args.headers {
            let Some((name, value)) = header.split_once(':') else {
                return Err(usage(format!("{header:?} is no header; write it as 'NAME: VALUE'")));
            };
            connect = connect.header(name.trim(), value.trim());
        }
        if let Some(user) = &args.user {
            let login = match user.contains(':') {
                true => user.clone(),
                false => format!("{user}:{}", password::of(user)?),
            };
            connect = connect.header("Authorization", basic(&login));
        }
        if let Some(origin) = args.origin {
            connect = connect.origin(origin);
        }
        for name in args.subprotocol {
            connect = connect.subprotocol(name);
        }
        if args.deflate {
            connect = connect.per_message_deflate(Deflate::default());
        }
        if let Some(path) = args.ca {
            connect = connect.ca_file(path);
        }
        if args.insecure {
            connect = connect.tls_config(trust::anybody()?);
        }
        if let Some(proxy) = args.proxy {
            let proxy = if proxy.contains("://") { proxy } else { format!("http://{proxy}") };
            Proxy::parse(&proxy).map_err(|error| usage(error.to_string()))?;
            connect = connect.proxy(proxy);
        }
        check(&connect, &target)?;
        let given = args.message.into_iter().map(Given::Text);
        let given: Vec<Given> = given.chain(args.file.into_iter().map(Given::File)).collect();
        let reads_pipe = args.binary || args.json_input || args.whole || args.null;
        if reads_pipe && !given.is_empty() && !args.null {
            return Err(usage(
                "with -m and -f no input is read; leave --binary, --json-input and --whole out",
            ));
        }
        let at_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
        let plain = args.json || args.raw || reads_pipe;
        let source = if !given.is_empty() {
            Source::Given(given)
        } else if at_terminal && !plain {
            Source::Terminal
        } else {
            let cut = match (args.whole, args.null) {
                (true, _) => Cut::Whole,
                (_, true) => Cut::Null,
                _ => Cut::Lines,
            };
            let kind = match (args.binary, args.json_input) {
                (true, _) if args.whole => Kind::Bytes,
                (true, _) => Kind::Hex,
                (_, true) => Kind::Json,
                _ => Kind::Text,
            };
            Source::Pipe(Pipe { cut, kind })
        };
        let output = match source {
            _ if args.json => Output::Json,
            Source::Terminal => Output::Terminal,
            _ if args.raw => Output::Plain(None),
            _ if args.null => Output::Plain(Some(0)),
            _ => Output::Plain(Some(b'\n')),
        };
        let stays = args.stay || (args.exit_after.is_some() && args.linger.is_none());
        Ok(Self {
            connect,
            shown_url: without_userinfo(&url),
            user_given: args.user.is_some() || target.userinfo.is_some(),
            url,
            unix: args.unix,
            timeout: args.timeout,
            source,
            output,
            verbose: args.verbose,
            quiet: args.quiet,
            exit_after: args.exit_after,
            linger: (!stays).then(|| args.linger.unwrap_or(LINGER)),
            reconnect: args.reconnect,
            ping_interval: args.ping_interval.filter(|it| !it.is_zero()),
            history: !args.no_history,
            insecure: args.insecure,
        })
    }
}

/// Whether what is asked for can stand in a request, before anybody is troubled with a connection.
fn check(connect: &Connect, target: &Target) -> Result<(), ConnectError> {
    let wrong = |error: ClientError| usage(error.to_string());
    let wish = Wish::new(connect, target).map_err(wrong)?;
    let (subprotocols, headers) = (wish.subprotocols(), wish.headers());
    let request = wish.request(&subprotocols, &headers);
    request.write(&mut Vec::new()).map_err(|error| usage(error.to_string()))
}

fn usage(problem: impl Into<String>) -> ConnectError {
    ConnectError::Usage(problem.into())
}
