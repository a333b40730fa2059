//! An echo server on the async adapter: a task for each connection, messages up to 1 MiB, compression,
//! a path and a subprotocol.
//!
//! `cargo run --example tokio_server -- 127.0.0.1:9001`

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use sockeye::aio::{Config, Message, Reply, accept_hdr_async_with_config};
use sockeye::proto::deflate::Deflate;
use sockeye::proto::handshake::{Refusal, Request};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// How long a client has for its request, and for its part of the end.
const PATIENCE: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".into());
    let listener = TcpListener::bind(address).await?;
    println!("listening on ws://{}/echo", listener.local_addr()?);
    serve(listener).await
}

/// Accepts for ever.
pub async fn serve(listener: TcpListener) -> std::io::Result<()> {
    let codec = sockeye::proto::Config::default()
        .max_payload(1 << 20)
        .per_message_deflate(Deflate::default());
    let config = Config::from(codec);
    loop {
        let (tcp, peer) = listener.accept().await?;
        let config = config.clone();
        tokio::spawn(async move {
            if let Err(error) = talk(tcp, config).await {
                eprintln!("{peer}: {error}");
            }
        });
    }
}

async fn talk(
    tcp: TcpStream,
    config: Config,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    tcp.set_nodelay(true)?;
    let mut ws = timeout(PATIENCE, accept_hdr_async_with_config(tcp, welcome, config)).await??;
    let outcome = loop {
        match ws.next().await {
            Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => ws.send(message).await?,
            Some(Ok(_)) => {} // pings and closes are answered by themselves
            Some(Err(error)) => break Err(error.into()),
            None => break Ok(()),
        }
    };
    // After an error the client may still be writing: to hang up now could destroy the close frame.
    let _ = timeout(PATIENCE, ws.finish(None)).await;
    outcome
}

/// Who is let in, and what we speak.
fn welcome(request: &Request<'_>, reply: Reply) -> Result<Reply, Refusal> {
    if request.path() != "/echo" {
        return Err(Refusal::new(404, "there is only /echo"));
    }
    match request.subprotocols().any(|it| it == b"echo") {
        true => Ok(reply.subprotocol("echo")),
        false => Ok(reply),
    }
}
