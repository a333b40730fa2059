//! Sends the lines of standard input and prints what comes, like a telnet for WebSocket.
//!
//! `cargo run --example client -- ws://127.0.0.1:9001/`

use std::io::{BufRead as _, stdin};
use std::sync::mpsc::{self, TryRecvError};
use std::time::Duration;

use sockeye::client::{Client, ClientError, Connect, Received};
use sockeye::proto::deflate::Deflate;
use sockeye::proto::{CloseCode, CloseFrame};

/// How long a line waits for its turn at most: one thread both sends and receives, in turns.
const TURN: Duration = Duration::from_millis(20);

fn main() {
    let Some(url) = std::env::args().nth(1) else {
        eprintln!("usage: client URL");
        std::process::exit(2);
    };
    if let Err(error) = run(&url) {
        if let ClientError::Refused(refusal) = &error {
            eprint!("{}", String::from_utf8_lossy(&refusal.body));
        }
        eprintln!("{error}");
        std::process::exit(1);
    }
}

fn run(url: &str) -> Result<(), ClientError> {
    let mut client = Connect::new().per_message_deflate(Deflate::default()).open(url)?;
    client.set_read_timeout(Some(TURN));
    // Standard input cannot be read with a time-out, so it has a thread of its own.
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in stdin().lock().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    loop {
        match lines.try_recv() {
            Ok(line) => client.text(&line)?,
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => return finish(client),
        }
        match client.receive() {
            Ok(Some(received)) => print(&received),
            Ok(None) => {
                eprintln!("ended: {:?}", client.ended());
                return Ok(());
            }
            Err(ClientError::TimedOut) => {}
            Err(error) => return Err(error),
        }
    }
}

/// The input is at its end: waits for answers until none has come for a while, then says goodbye.
fn finish(mut client: Client) -> Result<(), ClientError> {
    client.set_read_timeout(Some(Duration::from_millis(500)));
    loop {
        match client.receive() {
            Ok(Some(received)) => print(&received),
            Ok(None) | Err(ClientError::TimedOut) => break,
            Err(error) => return Err(error),
        }
    }
    let ended = client.close(Some(CloseFrame { code: CloseCode::NORMAL, reason: "" }))?;
    eprintln!("ended: {ended:?}");
    Ok(())
}

fn print(received: &Received) {
    match received {
        Received::Text(text) => println!("{text}"),
        Received::Binary(bytes) => println!("{} bytes", bytes.len()),
        Received::Ping(_) | Received::Pong(_) => {}
        Received::Close(code, reason) => {
            eprintln!("closed by the server: {} {reason}", code.map_or(1005, u16::from));
        }
    }
}
