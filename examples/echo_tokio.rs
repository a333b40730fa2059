//! An echo server on tokio, on one thread: the codec does no IO, so `.await` stands between its
//! calls and never inside. A read that is cancelled loses nothing, because no bytes are in flight
//! within the codec.
//!
//! `cargo run --example echo_tokio -- 127.0.0.1:9001`

use std::io;
use std::time::Duration;

use sockeye::proto::handshake::{Answer, HeadLimits, Refusal, RequestReader};
use sockeye::proto::{Config, Connection, Event, Input, SendError, Transport, Violation};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// How long a peer that broke the protocol may go on talking before we hang up.
const DRAIN_MAX: Duration = Duration::from_secs(1);

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".into());
    let listener = TcpListener::bind(address).await?;
    println!("listening on ws://{}", listener.local_addr()?);
    serve(listener).await
}

/// Accepts for ever.
pub async fn serve(listener: TcpListener) -> io::Result<()> {
    loop {
        let (stream, peer) = listener.accept().await?;
        tokio::spawn(async move {
            if let Err(error) = talk(stream).await {
                eprintln!("{peer}: {error}");
            }
        });
    }
}

async fn talk(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut out = Vec::new();
    // What was read: the request, then frames. `clear` keeps its memory for the next read.
    let mut bytes = Vec::with_capacity(16 * 1024);
    let head_len = match open(&mut stream, &mut bytes, &mut out).await? {
        Ok(head_len) => head_len,
        Err(refusal) => {
            refusal.write(&mut out);
            return stream.write_all(&out).await;
        }
    };
    let mut connection = Connection::server(Config::default());
    // Frames may follow the request in the same read.
    bytes.drain(..head_len);
    loop {
        // The events borrow from `bytes` and from the connection, the whole lot of them between
        // two awaits. So the future holds no borrow while it sleeps, and stays `Send`.
        if let Err(violation) = echo(&mut connection, &mut bytes, &mut out) {
            eprintln!("{violation}"); // the close frame that says so is in `out`
        }
        stream.write_all(&out).await?;
        out.clear();
        match connection.transport() {
            Transport::KeepOpen | Transport::AwaitPeerClose => {}
            Transport::FlushThenClose => return Ok(()),
            Transport::FlushThenShutdownWrite => {
                stream.shutdown().await?;
                // A reset could destroy the close frame: read to the end, for a while.
                let _ =
                    timeout(DRAIN_MAX, tokio::io::copy(&mut stream, &mut tokio::io::sink())).await;
                return Ok(());
            }
        }
        bytes.clear();
        if stream.read_buf(&mut bytes).await? == 0 {
            println!("ended: {:?}", connection.receive_eof());
            return Ok(());
        }
    }
}

fn echo(connection: &mut Connection, bytes: &mut [u8], out: &mut Vec<u8>) -> Result<(), Violation> {
    let (rx, tx) = connection.split_mut();
    let mut input = Input::new(bytes);
    while let Some(event) = rx.next(&mut input, tx, out)? {
        let sent = match event {
            Event::Text(text) => tx.text(text, out),
            Event::Binary(bytes) => tx.binary(bytes, out),
            Event::Ping(_) | Event::Pong(_) | Event::Close(_) => Ok(()),
        };
        debug_assert!(matches!(sent, Ok(()) | Err(SendError::Closed)), "whole messages only");
    }
    Ok(())
}

/// Reads until the request is whole; the inner error is the answer to one that is refused.
async fn open(
    stream: &mut TcpStream,
    bytes: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> io::Result<Result<usize, Refusal>> {
    let mut reader = RequestReader::new(HeadLimits::default());
    loop {
        if stream.read_buf(bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match accept(&mut reader, bytes, out) {
            Ok(None) => {}
            Ok(Some(head_len)) => return Ok(Ok(head_len)),
            Err(refusal) => return Ok(Err(refusal)),
        }
    }
}

fn accept(
    reader: &mut RequestReader,
    head: &[u8],
    out: &mut Vec<u8>,
) -> Result<Option<usize>, Refusal> {
    let Some(request) = reader.read(head)? else { return Ok(None) };
    let upgrade = request.upgrade()?;
    let answer = Answer { subprotocol: upgrade.first_subprotocol(), ..Answer::default() };
    upgrade.accept(&answer, out).map_err(|error| Refusal::new(500, error.to_string()))?;
    Ok(Some(request.head_len()))
}
