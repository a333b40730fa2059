//! The testee in the server role for what the shipped server has no switch for: an echo server on
//! sockeye's public codec, a thread for each connection. It feeds the codec one byte at a time, or
//! keeps compression windows, as asked.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use sockeye::proto::deflate::Deflate;
use sockeye::proto::handshake::{Answer, HeadLimits, Refusal, RequestReader};
use sockeye::proto::{Config, Connection, Event, Input, SendError, Transport};

/// How long a peer may be silent before it is dropped: longer than the suite ever is.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// How long a peer that broke the protocol may go on talking before we hang up.
const DRAIN_MAX: Duration = Duration::from_secs(1);

/// Echoes on a loopback port of the system's choice, which it prints.
#[derive(Parser)]
struct Args {
    /// Keep the compression window between messages, and compress the smallest too.
    #[arg(long)]
    deflate_takeover: bool,
    /// Lend the codec one byte at a time.
    #[arg(long)]
    one_byte_reads: bool,
}

fn main() -> io::Result<()> {
    let args = Args::parse();
    let mut policy = Deflate::default();
    if args.deflate_takeover {
        policy.server_no_context_takeover = false;
        policy.client_no_context_takeover = false;
        policy.compress_from = 0;
    }
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("echo on http://{}/", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept()?;
        let cut = if args.one_byte_reads { 1 } else { usize::MAX };
        thread::spawn(move || {
            if let Err(error) = talk(stream, &policy, cut) {
                eprintln!("{error}");
            }
        });
    }
}

fn talk(mut stream: TcpStream, policy: &Deflate, cut: usize) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SILENCE_MAX))?;
    let mut scratch = vec![0; 64 * 1024];
    let mut out = Vec::new();
    let Some((mut connection, mut n)) = open(&mut stream, &mut scratch, &mut out, policy)? else {
        return Ok(());
    };
    loop {
        for piece in scratch[..n].chunks_mut(cut) {
            // A violation is told to the peer in `out`, and the suite judges that.
            let _ = echo(&mut connection, piece, &mut out);
            if connection.transport() != Transport::KeepOpen {
                break;
            }
        }
        stream.write_all(&out)?;
        out.clear();
        match connection.transport() {
            Transport::KeepOpen | Transport::AwaitPeerClose => {}
            Transport::FlushThenClose => return Ok(()),
            Transport::FlushThenShutdownWrite => return drain(stream, &mut scratch),
        }
        n = stream.read(&mut scratch)?;
        if n == 0 {
            return Ok(());
        }
    }
}

fn echo(
    connection: &mut Connection,
    bytes: &mut [u8],
    out: &mut Vec<u8>,
) -> Result<(), Box<dyn std::error::Error>> {
    let (rx, tx) = connection.split_mut();
    let mut input = Input::new(bytes);
    while let Some(event) = rx.next(&mut input, tx, out)? {
        let sent = match event {
            Event::Text(text) => tx.text(text, out),
            Event::Binary(bytes) => tx.binary(bytes, out),
            Event::Ping(_) | Event::Pong(_) | Event::Close(_) => Ok(()),
        };
        match sent {
            Ok(()) | Err(SendError::Closed) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// The opening handshake. Leaves the bytes that follow the request at the start of `scratch` and
/// says how many; `None` if the request was refused.
fn open(
    stream: &mut TcpStream,
    scratch: &mut [u8],
    out: &mut Vec<u8>,
    policy: &Deflate,
) -> io::Result<Option<(Connection, usize)>> {
    let mut reader = RequestReader::new(HeadLimits::default());
    let mut head = Vec::new();
    loop {
        let n = stream.read(scratch)?;
        if n == 0 {
            return Ok(None);
        }
        head.extend_from_slice(&scratch[..n]);
        match accept(&mut reader, &head, out, policy) {
            Ok(None) => {}
            Ok(Some((connection, head_len))) => {
                let rest = &head[head_len..];
                scratch[..rest.len()].copy_from_slice(rest);
                return Ok(Some((connection, rest.len())));
            }
            Err(refusal) => {
                refusal.write(out);
                stream.write_all(out)?;
                return Ok(None);
            }
        }
    }
}

/// Judges the request once it is whole, and writes the 101.
fn accept(
    reader: &mut RequestReader,
    head: &[u8],
    out: &mut Vec<u8>,
    policy: &Deflate,
) -> Result<Option<(Connection, usize)>, Refusal> {
    let Some(request) = reader.read(head)? else { return Ok(None) };
    let upgrade = request.upgrade()?;
    let mut connection = Connection::server(Config::default());
    let agreed = upgrade.deflate(policy);
    if let Some((params, _)) = &agreed {
        connection.enable_deflate(params, policy);
    }
    let answer =
        Answer { extensions: agreed.as_ref().map(|(_, header)| &**header), ..Answer::default() };
    upgrade.accept(&answer, out).map_err(|error| Refusal::new(500, error.to_string()))?;
    Ok(Some((connection, request.head_len())))
}

/// To close a socket with bytes unread sends a reset, which can destroy our close frame on its way.
fn drain(mut stream: TcpStream, scratch: &mut [u8]) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    stream.set_read_timeout(Some(DRAIN_MAX))?;
    let begin = Instant::now();
    while begin.elapsed() < DRAIN_MAX {
        match stream.read(scratch) {
            Ok(n) if n > 0 => {}
            _ => break,
        }
    }
    Ok(())
}
