//! The command line of `autobahn/run`.

use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand, ValueEnum};

use crate::beyond::Beyond;

/// Runs the Autobahn suite (wstest 0.8.2) against sockeye and compares every verdict with
/// autobahn/expected.json.
///
/// As a server the testee is the shipped program: `sockeye --deflate`, path /echo, everything else as
/// it comes. As a client it is the public client, `sockeye::client`, offering its default
/// permessage-deflate. Both only on 127.0.0.1.
///
/// The suite is $WSTEST, or `wstest` on the PATH, or a Python 2.7 virtualenv that is made in
/// autobahn/.venv where a python2.7 is found, or the suite's own container where docker runs.
///
/// Exit status: 0 if every verdict is the expected one; 1 if any differs (better ones too), if
/// verdicts are missing or nothing could be run; 130 after Ctrl-C.
#[derive(Parser, Debug)]
#[command(
    name = "autobahn",
    bin_name = "autobahn/run",
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  autobahn/run                        everything, 7 to 12 minutes a role\n  \
        autobahn/run --sample               a sixth of the compressed cases, some 80 seconds a role\n  \
        autobahn/run server --cases 6.4,9.1 two groups, one role\n  \
        autobahn/run client --tls --sample  the client over wss://"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Option<Other>,
    /// Which side of the conversation sockeye takes.
    #[arg(value_enum, default_value_t = Side::All)]
    pub(crate) side: Side,
    /// Only these: `6.4.1`, `6.4` for the group, `6.*`, several with commas. Default: all 517.
    #[arg(long, value_name = "PATTERNS", value_delimiter = ',')]
    pub(crate) cases: Vec<String>,
    /// Of each group of sections 12 and 13 only three cases: messages of 16 octets, of 16 KiB, and of
    /// 32 KiB in fragments.
    #[arg(long)]
    pub(crate) sample: bool,
    /// Where reports go, in a folder for each variant.
    #[arg(long, value_name = "DIR", default_value_os_t = default_out())]
    pub(crate) out: PathBuf,
    /// Variant: wss:// with a certificate made for the run. The client verifies it; the suite does not.
    #[arg(long)]
    pub(crate) tls: bool,
    /// Variant, server only: so many loops in the shipped server.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) shards: Option<u16>,
    /// Variant: both sides may keep their compression window between messages, and even the smallest
    /// are compressed. The shipped server has no switch for that, so its place takes a small echo
    /// server on the public codec (src/bin/echo_server.rs): this tests the codec, not the event loop.
    #[arg(long, conflicts_with_all = ["tls", "shards"])]
    pub(crate) deflate_takeover: bool,
    /// Variant: every read gives one byte. As a client, the public client over a stream that gives it
    /// one byte a read, handshake included. As a server, a small echo server on the public codec
    /// (src/bin/echo_server.rs) that lends it one byte of frames at a time: this tests the codec, not
    /// the event loop, whose reads nobody can cut from outside for certain.
    #[arg(long, conflicts_with_all = ["tls", "shards"])]
    pub(crate) one_byte_reads: bool,
    /// Try this program instead of building one: a `sockeye`, or as a client an `echo-client`. The async
    /// adapter's are built beside this one: `tokio-echo-server`, `tokio-echo-client`.
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) testee: Option<PathBuf>,
    /// Afterwards keep the raw verdicts in autobahn/results and renew the README's table from them.
    /// Takes a run of all cases without a variant.
    #[arg(long, conflicts_with_all = ["cases", "sample", "tls", "shards", "deflate_takeover", "one_byte_reads", "testee"])]
    pub(crate) keep: bool,
    /// Run nothing: renew the README's table from autobahn/results.
    #[arg(long, conflicts_with = "keep")]
    pub(crate) readme: bool,
}

/// What else there is to run.
#[derive(Subcommand, Debug)]
pub(crate) enum Other {
    Beyond(Beyond),
}

/// Which roles are tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Side {
    /// As a server.
    Server,
    /// As a client.
    Client,
    /// First the one, then the other.
    All,
}

impl Args {
    /// The variant's name, which is its folder's too.
    pub(crate) fn variant(&self) -> String {
        let mut words = Vec::new();
        if self.tls {
            words.push("tls".to_owned());
        }
        if let Some(shards) = self.shards {
            words.push(format!("{shards}-shards"));
        }
        if self.deflate_takeover {
            words.push("deflate-takeover".to_owned());
        }
        if self.one_byte_reads {
            words.push("one-byte-reads".to_owned());
        }
        if words.is_empty() { "plain".to_owned() } else { words.join("-") }
    }
}

/// This folder: `autobahn` in the repository. The launcher compiles in place, so it is always true.
pub(crate) fn home() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The repository.
pub(crate) fn root() -> &'static Path {
    home().parent().expect("this package lies in a folder of the repository")
}

fn default_out() -> PathBuf {
    home().join("out")
}
