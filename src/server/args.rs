//! The command line. Its help is the first thing that an operator reads.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;

use super::config::{Config, Listen};
use crate::net::Address;
use crate::proto::deflate::Deflate;

/// A chat relay that speaks WebSocket.
///
/// Without arguments it serves on http://127.0.0.1:8080/ (and the same port of ::1): a page to try it with, and by path
/// /broadcast (to all others of the room), /ws (with names), /direct (user directory), /im (one-to-one)
/// and /echo. ?room= and ?user= say where and who.
#[derive(Parser, Debug)]
#[command(
    name = "sockeye",
    version,
    after_help = "Examples:\n  sockeye\n  sockeye --listen 0.0.0.0:80 --listen [::]:80\n  \
        sockeye --listen 127.0.0.1:9000 --deflate --max-payload 65536 --origin https://example.com"
)]
pub struct Args {
    /// Listen here; may be given several times.
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Vec<SocketAddr>,
    /// Largest message in bytes, fragments summed and inflated.
    #[arg(long, value_name = "BYTES", default_value_t = 16 << 20)]
    max_payload: u64,
    /// Most connections at once; more wait to be accepted.
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    max_connections: u32,
    /// Compress messages (permessage-deflate) for clients that can.
    #[arg(long)]
    deflate: bool,
    /// Let only pages of this origin connect; may be given several times.
    #[arg(long, value_name = "URL")]
    origin: Vec<String>,
    /// Time for a client to send its request.
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    handshake_timeout: u32,
    /// Ping a client after so much silence.
    #[arg(long, value_name = "SECONDS", default_value_t = 25, value_parser = clap::value_parser!(u32).range(1..))]
    ping_interval: u32,
    /// Give a client up after so much more silence.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    idle_timeout: u32,
    /// Time for everybody to leave after SIGTERM.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    grace: u32,
}

impl From<Args> for Config {
    fn from(args: Args) -> Self {
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        let mut config = Self {
            max_connections: usize::try_from(args.max_connections).unwrap_or(usize::MAX),
            origins: args.origin,
            handshake_timeout: seconds(args.handshake_timeout),
            ping_interval: seconds(args.ping_interval),
            pong_wait: seconds(args.idle_timeout),
            grace: seconds(args.grace),
            ..Self::default()
        };
        config.codec = config.codec.max_payload(args.max_payload);
        if args.deflate {
            config.codec = config.codec.per_message_deflate(Deflate::default());
        }
        if !args.listen.is_empty() {
            let listen = |address| Listen { address: Address::Tcp(address), may_lack: false };
            config.listen = args.listen.into_iter().map(listen).collect();
        }
        config
    }
}
