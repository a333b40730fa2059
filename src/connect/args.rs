//! The command line of the client. Only shapes are checked here; what fits together is [`Plan`]'s affair.
//!
//! [`Plan`]: super::plan::Plan

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::units::{bytes, duration};

/// Talk to a WebSocket server, at the terminal or in a pipe.
///
/// At a terminal: type a line and it is sent, what comes is shown above it; /help lists the commands. In a pipe: each
/// line of standard input is sent as a message, and each message that comes is a line of standard output.
#[derive(Parser, Clone)]
#[command(name = "connect", bin_name = "sockeye connect", version, after_help = EXAMPLES)]
pub struct Args {
    /// Where to connect, as ws://host:port/path?query or wss://; without a scheme it is ws://.
    #[arg(value_name = "URL")]
    pub(super) url: String,

    /// Send this text once connected, and read no input; may be given several times. After a reconnect it is sent again.
    #[arg(short, long, value_name = "TEXT", help_heading = SENDING)]
    pub(super) message: Vec<String>,
    /// Send this file as one binary message, after the messages of -m; may be given several times.
    #[arg(short, long, value_name = "PATH", help_heading = SENDING)]
    pub(super) file: Vec<PathBuf>,
    /// Each line of input is the hexadecimal digits of a binary message: 01 ab ff.
    #[arg(short, long, group = "input", help_heading = SENDING)]
    pub(super) binary: bool,
    /// Each line of input is a JSON object: {"text": "hi"}, {"binary": "aGk="} (base64), {"ping": "hi"} or
    /// {"close": 1000, "reason": "done"}.
    #[arg(long, group = "input", help_heading = SENDING)]
    pub(super) json_input: bool,
    /// All of the input is one message: text, or with --binary bytes as they are.
    #[arg(long, conflicts_with = "json_input", help_heading = SENDING)]
    pub(super) whole: bool,
    /// Messages end with a zero byte instead of a line end, in the input and in the output: for messages that contain line ends.
    #[arg(short = '0', long, conflicts_with = "whole", help_heading = SENDING)]
    pub(super) null: bool,

    /// Print everything that happens as JSON, one object a line: open, message, ping, pong, close, refused, error, reconnect.
    #[arg(long, conflicts_with_all = ["null", "raw"], help_heading = OUTPUT)]
    pub(super) json: bool,
    /// Print the bytes of each message as they are, with nothing between messages.
    #[arg(long, conflicts_with = "null", help_heading = OUTPUT)]
    pub(super) raw: bool,
    /// Tell headers, pings, pongs and the close code, on standard error in a pipe; and show long messages whole.
    #[arg(short, long, help_heading = OUTPUT)]
    pub(super) verbose: bool,
    /// Write nothing about the connection, only messages and errors.
    #[arg(short, long, conflicts_with = "verbose", help_heading = OUTPUT)]
    pub(super) quiet: bool,

    /// End with status 0 once so many messages have come. The end of the input does not end it then, unless --linger is given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = END)]
    pub(super) exit_after: Option<u64>,
    /// After the end of the input, close once no message has come for so long. Default 1s.
    #[arg(long, value_name = "TIME", value_parser = duration, help_heading = END)]
    pub(super) linger: Option<Duration>,
    /// After the end of the input, stay until the server closes.
    #[arg(long, conflicts_with = "linger", help_heading = END)]
    pub(super) stay: bool,
    /// When the connection breaks or cannot be opened, try again, so many times in a row; without a number 10 times.
    /// Waits 0.5 s, then twice as long each time, up to 30 s, less up to half of it by chance. Not after the server closed
    /// with 1000 or an error that would be the same again, nor after it refused with a status of 4xx (408, 425 and 429 excepted).
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "10", value_parser = clap::value_parser!(u32).range(1..), help_heading = END)]
    pub(super) reconnect: Option<u32>,

    /// Add a header to the request; may be given several times.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", help_heading = CONNECTION)]
    pub(super) headers: Vec<String>,
    /// Say where the request comes from, as browsers do, with scheme and host
    #[arg(short, long, value_name = "ORIGIN", help_heading = CONNECTION)]
    pub(super) origin: Option<String>,
    /// Offer this subprotocol, the most wanted first; may be given several times.
    #[arg(short, long, value_name = "NAME", help_heading = CONNECTION)]
    pub(super) subprotocol: Vec<String>,
    /// Offer permessage-deflate.
    #[arg(short, long, help_heading = CONNECTION)]
    pub(super) deflate: bool,
    /// Log in with this name and password (basic authentication). Without a password it is taken from the variable
    /// SOCKEYE_PASSWORD, where no list of processes shows it, or else asked for. Also as ws://NAME:PASSWORD@host/.
    #[arg(short, long, value_name = "NAME[:PASSWORD]", help_heading = CONNECTION)]
    pub(super) user: Option<String>,
    /// Trust the certificates in this PEM file for wss://, instead of the system's.
    #[arg(long, value_name = "FILE", help_heading = CONNECTION)]
    pub(super) ca: Option<PathBuf>,
    /// Believe any certificate. Whoever is between can then read and change everything.
    #[arg(long, conflicts_with = "ca", help_heading = CONNECTION)]
    pub(super) insecure: bool,
    /// Go through this HTTP proxy, http://[NAME:PASSWORD@]HOST[:PORT].
    #[arg(short = 'x', long, value_name = "URL", help_heading = CONNECTION)]
    pub(super) proxy: Option<String>,
    /// Connect to this Unix socket; the URL (ws://) gives host and path of the request.
    #[arg(long, value_name = "PATH", conflicts_with_all = ["proxy", "ca", "insecure"], help_heading = CONNECTION)]
    pub(super) unix: Option<PathBuf>,
    /// Time for the connection to open.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration, help_heading = CONNECTION)]
    pub(super) timeout: Duration,
    /// Send a ping so often; a server that says nothing until the next is given up.
    #[arg(long, value_name = "TIME", value_parser = duration, help_heading = CONNECTION)]
    pub(super) ping_interval: Option<Duration>,
    /// The largest message that is taken; a larger one ends the connection with 1009.
    #[arg(long, value_name = "SIZE", default_value = "16MiB", value_parser = bytes, help_heading = CONNECTION)]
    pub(super) max_payload: u64,

    /// Keep no history of what was typed. It is else in sockeye/connect_history below $XDG_STATE_HOME or ~/.local/state;
    /// a line that begins with a space is never kept.
    #[arg(long, help_heading = TERMINAL)]
    pub(super) no_history: bool,
}

impl std::fmt::Debug for Args {
    /// Without what may be a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let url = crate::client::url::without_userinfo(&self.url);
        f.debug_struct("Args").field("url", &url).finish_non_exhaustive()
    }
}

const SENDING: &str = "Sending";
const OUTPUT: &str = "Output";
const END: &str = "End and reconnect";
const CONNECTION: &str = "Connection";
const TERMINAL: &str = "Terminal";

const EXAMPLES: &str = "\
Examples:
  Talk: type, Enter sends, arrow up brings back, Ctrl-D ends
    sockeye connect ws://127.0.0.1:8080/echo

  Log in, speak a subprotocol, show what goes on
    sockeye connect wss://example.com/chat -u me -s chat.v1 -H 'X-Room: tea' -v

  A server with a certificate of one's own authority
    sockeye connect wss://localhost:8443/ --ca ca.pem

  One question, one answer
    sockeye connect ws://127.0.0.1:8080/echo -m 'hello' --exit-after 1

  A pipe: lines become messages, messages become lines
    printf 'one\\ntwo\\n' | sockeye connect ws://127.0.0.1:8080/echo --exit-after 2

  Follow a stream for ever, whatever happens to the server
    sockeye connect ws://127.0.0.1:8080/broadcast?room=tea --stay --reconnect=1000 < /dev/null

  What comes, as JSON for another program
    sockeye connect ws://127.0.0.1:8080/echo -m hi --json | jq -r 'select(.event == \"message\").text'

In a pipe a binary message is printed as hexadecimal digits, and a text that contains line ends as several lines: where
that matters take --json, --null or --raw. A server's text is printed as it is into a pipe or file; on a terminal its
control characters are escaped.

Exit status: 0 after a normal end (1000, 1001, no code, or a close of one's own), 1 when anything went wrong, 2 when it
was told what cannot be, 130 when it was interrupted before it was open or a second time.";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn clap_finds_no_fault_with_the_definition() {
        Args::command().debug_assert();
    }

    #[test]
    fn reconnect_has_a_number_only_behind_an_equals_sign() {
        let args = Args::parse_from(["connect", "--reconnect", "ws://localhost/"]);
        assert_eq!((args.reconnect, &*args.url), (Some(10), "ws://localhost/"));
        let args = Args::parse_from(["connect", "--reconnect=3", "ws://localhost/"]);
        assert_eq!(args.reconnect, Some(3));
    }

    #[test]
    fn no_secret_shows_in_debug_output() {
        let args = Args::parse_from(["connect", "ws://me:hush@localhost/", "-u", "me:hush"]);
        assert!(!format!("{args:?}").contains("hush"));
    }
}
