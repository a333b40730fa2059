//! The testee in the client role: sockeye's public client, which goes to the suite's server case by
//! case and sends everything back. It has no options that the client does not have.

use std::io::{self, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use sockeye::client::{Client, ClientError, Connect, Received};
use sockeye::proto::SendError;
use sockeye::proto::deflate::Deflate;

/// How long a server that is to end the connection may go on talking before we hang up.
const DRAIN_MAX: Duration = Duration::from_secs(1);

/// Goes through the cases of a server of the Autobahn suite and echoes.
#[derive(Parser)]
struct Args {
    /// Where the server is, such as ws://127.0.0.1:9001.
    url: String,
    /// The name in the report.
    #[arg(long, default_value = "sockeye")]
    agent: String,
    /// Go to this very URL, echo until the connection is over, and end.
    #[arg(long)]
    once: bool,
    /// Trust the certificates in this PEM file, for wss://.
    #[arg(long)]
    ca: Option<PathBuf>,
    /// Offer to keep the compression window between messages, and compress the smallest too.
    #[arg(long)]
    deflate_takeover: bool,
    /// Let the client read from a stream that gives one byte at a time.
    #[arg(long)]
    one_byte_reads: bool,
}

fn main() {
    if let Err(error) = run(&Args::parse()) {
        eprintln!("{error}");
        std::process::exit(1);
    }
}

fn run(args: &Args) -> Result<(), ClientError> {
    let mut connect = Connect::new().per_message_deflate(policy(args.deflate_takeover));
    if let Some(ca) = &args.ca {
        connect = connect.ca_file(ca);
    }
    if args.once {
        return talk(connect.open(&args.url)?, true).map(|_| ());
    }
    let visit = |path: &str, echo: bool| {
        let url = format!("{}{path}", args.url);
        if args.one_byte_reads {
            talk(connect.over(OneByte::connect(&args.url)?, &url)?, echo)
        } else {
            talk(connect.open(&url)?, echo)
        }
    };
    let said = visit("/getCaseCount", false)?;
    let count: usize = said.parse().map_err(|_| {
        io::Error::other(format!("the server said {said:?} when asked how many cases there are"))
    })?;
    for case in 1..=count {
        match visit(&format!("/runCase?case={case}&agent={}", args.agent), true) {
            // Most cases break the protocol on purpose. What that did to us is the server's to judge.
            Ok(_) | Err(ClientError::Violation(_) | ClientError::Io(_)) => {}
            Err(error) => return Err(error),
        }
    }
    // Not with `shutdownOnComplete`: the suite would end before its answer to our handshake has left.
    visit(&format!("/updateReports?agent={}", args.agent), false)?;
    Ok(())
}

/// Reads until the connection is over, and returns the last text. Sends messages back if asked to.
fn talk<S: Read + Write>(mut client: Client<S>, echo: bool) -> Result<String, ClientError> {
    let mut last = String::new();
    while let Some(received) = client.receive()? {
        let sent = match &received {
            Received::Text(text) if echo => client.text(text),
            Received::Binary(bytes) if echo => client.binary(bytes),
            _ => Ok(()),
        };
        match sent {
            Ok(()) | Err(ClientError::Send(SendError::Closed)) => {}
            Err(error) => return Err(error),
        }
        if let Received::Text(text) = received {
            last = text;
        }
    }
    Ok(last)
}

fn policy(takeover: bool) -> Deflate {
    if !takeover {
        return Deflate::default();
    }
    Deflate {
        server_no_context_takeover: false,
        client_no_context_takeover: false,
        compress_from: 0,
        ..Deflate::default()
    }
}

/// A socket that gives one byte a read, out of a buffer, since a system call a byte would make the
/// suite's largest messages late.
struct OneByte(BufReader<TcpStream>);

impl OneByte {
    fn connect(url: &str) -> io::Result<Self> {
        let address = url.strip_prefix("ws://").unwrap_or(url);
        let tcp = TcpStream::connect(address)?;
        tcp.set_nodelay(true)?;
        Ok(Self(BufReader::with_capacity(64 * 1024, tcp)))
    }
}

impl Read for OneByte {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = buffer.len().min(1);
        self.0.read(&mut buffer[..room])
    }
}

impl Write for OneByte {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.get_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.get_mut().flush()
    }
}

impl Drop for OneByte {
    /// What [`Connect::open`] does for its own stream: to close with bytes unread sends a reset, which
    /// can destroy the close frame on its way.
    fn drop(&mut self) {
        let tcp = self.0.get_mut();
        let _ = tcp.shutdown(Shutdown::Write);
        let _ = tcp.set_read_timeout(Some(DRAIN_MAX));
        while matches!(tcp.read(&mut [0; 4096]), Ok(1..)) {}
    }
}
