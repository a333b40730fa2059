//! The command line of the load tool. Only shapes are checked here; what fits together is [`Plan`]'s affair.
//!
//! [`Plan`]: super::plan::Plan

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::units::duration;

/// Put load on a WebSocket server, and say what it did.
///
/// Opens connections, sends messages, counts what comes back and how long that took. Every message carries a stamp by
/// which its way is followed: a reply that is missing, doubled or out of order is told, and makes the exit status 1.
#[derive(Parser, Debug, Clone)]
#[command(name = "bench", bin_name = "sockeye bench", version, after_help = EXAMPLES)]
pub struct Args {
    /// Where to connect, as ws://host:port/path?query, or wss:// for TLS; without a scheme it is ws://. {conn} in it becomes the connection's number.
    #[arg(value_name = "URL")]
    pub(super) url: String,

    /// What to do there.
    #[arg(short, long, value_enum, default_value_t = Mode::Echo)]
    pub(super) mode: Mode,

    /// Connections; in a broadcast the receivers, in a handshake run those under way at once.
    #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=4_000_000), help_heading = LOAD)]
    pub(super) connections: u32,
    /// Connections that send, in a broadcast.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000), help_heading = LOAD)]
    pub(super) senders: u32,
    /// Threads that talk.
    #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024), help_heading = LOAD)]
    pub(super) threads: u16,
    /// Open so many connections a second; without it as fast as they are taken.
    #[arg(long, value_name = "PER_SECOND", value_parser = clap::value_parser!(u32).range(1..), help_heading = LOAD)]
    pub(super) ramp: Option<u32>,
    /// Messages in flight on each connection that sends.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=65_536), help_heading = LOAD)]
    pub(super) depth: u32,
    /// Send so many messages a second, over all connections, whatever comes back (open loop). Latency is then counted from
    /// the moment a message was due, so that a server that stalls does not hide its stalls. Above
    /// some hundreds a second this keeps a processor busy, with looking whether something is due or came.
    #[arg(long, value_name = "PER_SECOND", conflicts_with = "depth", value_parser = clap::value_parser!(u64).range(1..), help_heading = LOAD)]
    pub(super) rate: Option<u64>,
    /// How long to measure, or to hold idle connections: 10s, 500ms, 2m. Default 10s.
    #[arg(short, long, value_name = "TIME", value_parser = duration, help_heading = LOAD)]
    pub(super) duration: Option<Duration>,
    /// Measure so many messages (or handshakes) instead of a time.
    #[arg(short = 'n', long, value_name = "N", conflicts_with = "duration", value_parser = clap::value_parser!(u64).range(1..), help_heading = LOAD)]
    pub(super) count: Option<u64>,
    /// Talk so long before measuring. Default 1s, and none with --count.
    #[arg(long, value_name = "TIME", value_parser = duration, help_heading = LOAD)]
    pub(super) warm_up: Option<Duration>,

    /// Bytes of a message; with a template, of the message once {pad} is filled in.
    #[arg(short, long, value_name = "BYTES", default_value_t = 64, value_parser = clap::value_parser!(u32).range(..=1 << 30), help_heading = MESSAGES)]
    pub(super) size: u32,
    /// Send text. The default.
    #[arg(long, group = "kind", help_heading = MESSAGES)]
    pub(super) text: bool,
    /// Send binary.
    #[arg(long, group = "kind", help_heading = MESSAGES)]
    pub(super) binary: bool,
    /// Send JSON: an object with seq, conn and pad.
    #[arg(long, group = "kind", conflicts_with = "template", help_heading = MESSAGES)]
    pub(super) json_message: bool,
    /// The body of each message. {seq} is its number, {conn} the sender's, {pad} fills up to --size and carries the stamp.
    #[arg(long, value_name = "TEXT", help_heading = MESSAGES)]
    pub(super) template: Option<String>,
    /// Send this on each connection once it is open, before anything else; may be given several times. {conn} as above.
    #[arg(long, value_name = "TEXT", help_heading = MESSAGES)]
    pub(super) preamble: Vec<String>,
    /// Offer permessage-deflate.
    #[arg(long, help_heading = MESSAGES)]
    pub(super) deflate: bool,
    /// Speak no WebSocket: no handshake, no frames, the messages as they are, to a server that sends back what it gets.
    /// What an echo costs then is what TCP costs.
    #[arg(long, conflicts_with_all = ["deflate", "template", "json_message", "preamble", "headers", "subprotocol"], help_heading = MESSAGES)]
    pub(super) raw: bool,

    /// Add a header to the request; may be given several times.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", help_heading = CONNECTION)]
    pub(super) headers: Vec<String>,
    /// Offer this subprotocol; may be given several times.
    #[arg(long, value_name = "NAME", help_heading = CONNECTION)]
    pub(super) subprotocol: Vec<String>,
    /// Trust the certificates in this PEM file, and no others, for wss://. Without it the system's.
    #[arg(long, value_name = "FILE", help_heading = CONNECTION)]
    pub(super) ca: Option<PathBuf>,
    /// Connect from this address or these in turn, as 127.0.0.1-127.0.0.9: one address has some 28,000 ports.
    #[arg(long, value_name = "IP[-IP]", help_heading = CONNECTION)]
    pub(super) source_ip: Option<String>,
    /// Time for one connection to open, and for replies that are due at the end.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration, help_heading = CONNECTION)]
    pub(super) timeout: Duration,

    /// Process of the server, on this machine: report its CPU time and memory.
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(u32).range(1..), help_heading = OUTPUT)]
    pub(super) pid: Option<u32>,
    /// Print the report as JSON, alone on standard output.
    #[arg(long, help_heading = OUTPUT)]
    pub(super) json: bool,
    /// No progress bar and no live figures.
    #[arg(short, long, help_heading = OUTPUT)]
    pub(super) quiet: bool,
}

/// What a run does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum Mode {
    /// Each connection waits for its own messages to come back.
    Echo,
    /// A few send, everybody else receives.
    Broadcast,
    /// Connections are opened and held, and nothing is said.
    Idle,
    /// Connections are opened and closed, over and over.
    Handshake,
}

impl Mode {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Broadcast => "broadcast",
            Self::Idle => "idle",
            Self::Handshake => "handshake",
        }
    }
}

/// The addresses of `A` or `A-B`, both ends included.
pub(super) fn addresses(text: &str) -> Result<Vec<IpAddr>, String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let parse = |ip: &str| ip.trim().parse::<IpAddr>().map_err(|_| format!("{ip:?} is no address"));
    let (first, last) = (parse(first)?, parse(last)?);
    if first == last {
        return Ok(vec![first]);
    }
    let (IpAddr::V4(from), IpAddr::V4(to)) = (first, last) else {
        return Err("a range of addresses has an IPv4 address at both ends".into());
    };
    let (from, to) = (u32::from(from), u32::from(to));
    match to.checked_sub(from) {
        Some(count) if count < SOURCES_MAX => {
            Ok((from..=to).map(|it| IpAddr::V4(it.into())).collect())
        }
        Some(count) => {
            Err(format!("{} addresses are more than {SOURCES_MAX}", u64::from(count) + 1))
        }
        None => Err("the range ends before it begins".into()),
    }
}

/// 4,096 addresses with 28,000 ports each: more than a machine holds.
const SOURCES_MAX: u32 = 4096;

const LOAD: &str = "Load";
const MESSAGES: &str = "Messages";
const CONNECTION: &str = "Connection";
const OUTPUT: &str = "Output";

const EXAMPLES: &str = "\
Examples:
  One connection, one message at a time: how long is a round trip?
    sockeye bench ws://127.0.0.1:8080/echo

  As much as it can: 64 connections, 16 messages in flight on each, 1 KiB binary
    sockeye bench ws://127.0.0.1:8080/echo -c 64 --depth 16 --size 1024 --binary

  50,000 messages a second, latency from the due time, the server's CPU beside it
    sockeye bench ws://127.0.0.1:8080/echo -c 100 --rate 50000 --pid $(pidof -s sockeye)

  One sender to 1,000 receivers
    sockeye bench ws://127.0.0.1:8080/broadcast?room=load -m broadcast -c 1000

  What does an idle connection cost? 60,000 of them, from three addresses
    sockeye bench ws://127.0.0.1:8080/echo -m idle -c 60000 --source-ip 127.0.0.1-127.0.0.3 --pid PID

  How many connections a second open and close
    sockeye bench ws://127.0.0.1:8080/echo -m handshake -c 32

  The same over TLS, with a certificate of one's own; no session is resumed
    sockeye bench wss://127.0.0.1:8443/echo -m handshake -c 32 --ca ca.pem

  Another language: register first, then send to oneself
    sockeye bench ws://127.0.0.1:8080/direct -c 10 --preamble '{\"type\":\"online\",\"from\":\"u{conn}\"}' \\
      --template '{\"type\":\"msg\",\"to\":\"u{conn}\",\"n\":{seq},\"text\":\"{pad}\"}' --size 200

Exit status: 0 when everything arrived, 1 when something failed or was lost, 2 when it could not begin as
asked, 130 when it was interrupted (the figures so far are printed).";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_addresses_has_both_its_ends() {
        let found = addresses("127.0.0.254-127.0.1.1").unwrap();
        assert_eq!(found.len(), 4);
        assert_eq!(found[3].to_string(), "127.0.1.1");
        assert_eq!(addresses("::1").unwrap().len(), 1);
        for bad in ["x", "127.0.0.2-127.0.0.1", "::1-::2", "10.0.0.0-10.1.0.0"] {
            assert!(addresses(bad).is_err(), "{bad}");
        }
    }
}
