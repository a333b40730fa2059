//! The testee in the server role for `sockeye::aio`: an echo server on the async adapter. Takes the
//! command line that the shipped server is started with, as far as the suite uses it:
//! `autobahn/run server --testee target/autobahn/release/tokio-echo-server`.

use std::time::Duration;

use clap::Parser;
use futures_util::{SinkExt, StreamExt};
use sockeye::aio::{Config, Message, accept_async_with_config};
use sockeye::proto;
use sockeye::proto::deflate::Deflate;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// How long a peer that broke the protocol may go on talking before we hang up.
const DRAIN_MAX: Duration = Duration::from_secs(1);

/// Echoes, and prints where.
#[derive(Parser)]
struct Args {
    /// The address to listen on.
    #[arg(long)]
    listen: String,
    /// Accept permessage-deflate.
    #[arg(long)]
    deflate: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let args = Args::parse();
    let policy = args.deflate.then(Deflate::default);
    let config = Config::from(proto::Config { deflate: policy, ..proto::Config::default() });
    let listener = TcpListener::bind(&args.listen).await?;
    println!("echo on http://{}/", listener.local_addr()?);
    loop {
        let (tcp, _) = listener.accept().await?;
        let config = config.clone();
        tokio::spawn(async move {
            if let Err(error) = talk(tcp, config).await {
                eprintln!("{error}");
            }
        });
    }
}

async fn talk(
    tcp: TcpStream,
    config: Config,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    tcp.set_nodelay(true)?;
    let mut ws = accept_async_with_config(tcp, config).await?;
    let outcome = loop {
        match ws.next().await {
            Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => ws.send(message).await?,
            Some(Ok(_)) => {}
            Some(Err(error)) => break Err(error.into()),
            None => break Ok(()),
        }
    };
    let _ = timeout(DRAIN_MAX, ws.finish(None)).await;
    outcome
}
