//! An echo server on `std::net`, a thread for each connection: the codec with the plainest IO there is.
//!
//! `cargo run --example echo_std -- 127.0.0.1:9001`

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use sockeye::proto::deflate::Deflate;
use sockeye::proto::handshake::{Answer, HeadLimits, Refusal, RequestReader};
use sockeye::proto::{Config, Connection, Event, Input, SendError, Transport};

/// How long a peer may be silent before it has to be pinged or dropped; here it is dropped.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// How long a peer that broke the protocol may go on talking before we hang up.
const DRAIN_MAX: Duration = Duration::from_secs(1);

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".into());
    let listener = TcpListener::bind(address)?;
    println!("listening on ws://{}", listener.local_addr()?);
    serve(&listener)
}

/// Accepts for ever.
pub fn serve(listener: &TcpListener) -> io::Result<()> {
    loop {
        let (stream, peer) = listener.accept()?;
        thread::spawn(move || {
            if let Err(error) = talk(stream) {
                eprintln!("{peer}: {error}");
            }
        });
    }
}

fn talk(mut stream: TcpStream) -> io::Result<()> {
    // Answers are written whole: to hold them back for more would only make them late.
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SILENCE_MAX))?;
    stream.set_write_timeout(Some(SILENCE_MAX))?;
    // The one read buffer; the codec works in it and keeps only what a cut left unfinished.
    let mut scratch = vec![0; 64 * 1024];
    let mut out = Vec::new();
    let Some((mut connection, mut n)) = open(&mut stream, &mut scratch, &mut out)? else {
        return Ok(());
    };
    loop {
        match echo(&mut connection, &mut scratch[..n], &mut out) {
            Ok(()) => {}
            Err(error) => eprintln!("{error}"), // the close frame that says so is in `out`
        }
        stream.write_all(&out)?;
        out.clear();
        match connection.transport() {
            // A server never has to wait for the other side to hang up first.
            Transport::KeepOpen | Transport::AwaitPeerClose => {}
            Transport::FlushThenClose => return Ok(()),
            Transport::FlushThenShutdownWrite => return drain(stream, &mut scratch),
        }
        n = stream.read(&mut scratch)?;
        if n == 0 {
            println!("ended: {:?}", connection.receive_eof());
            return Ok(());
        }
    }
}

/// The loop that every embedder writes.
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
            // Pings and closes have been answered.
            Event::Ping(_) | Event::Pong(_) | Event::Close(_) => Ok(()),
        };
        match sent {
            // Only if we had closed first: what the peer says until it has heard of that is not answered.
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
) -> io::Result<Option<(Connection, usize)>> {
    let mut reader = RequestReader::new(HeadLimits::default());
    let mut head = Vec::new();
    loop {
        let n = stream.read(scratch)?;
        if n == 0 {
            return Ok(None);
        }
        head.extend_from_slice(&scratch[..n]);
        match accept(&mut reader, &head, out) {
            Ok(None) => {}
            Ok(Some((connection, head_len))) => {
                // Frames may follow the request in the same read.
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
) -> Result<Option<(Connection, usize)>, Refusal> {
    let Some(request) = reader.read(head)? else { return Ok(None) };
    let upgrade = request.upgrade()?;
    let mut connection = Connection::server(Config::default());
    let policy = Deflate::default();
    let agreed = upgrade.deflate(&policy);
    if let Some((params, _)) = &agreed {
        connection.enable_deflate(params, &policy);
    }
    let answer = Answer {
        subprotocol: upgrade.first_subprotocol(),
        extensions: agreed.as_ref().map(|(_, header)| &**header),
        ..Answer::default()
    };
    upgrade.accept(&answer, out).map_err(|error| Refusal::new(500, error.to_string()))?;
    Ok(Some((connection, request.head_len())))
}

/// To close a socket with bytes unread sends a reset, which can destroy our close frame on its way:
/// so say that nothing more is written, and read what still comes, for a while.
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
