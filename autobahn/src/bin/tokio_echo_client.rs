//! The testee in the client role for `sockeye::aio`: goes to the suite's server case by case, through
//! `connect_async`, and sends everything back:
//! `autobahn/run client --testee target/autobahn/release/tokio-echo-client`.

use std::time::Duration;

use clap::Parser;
use futures_util::{SinkExt, StreamExt};
use sockeye::aio::{ConnectError, Error, Message, connect_async_with};
use sockeye::client::Connect;
use sockeye::proto::SendError;
use sockeye::proto::deflate::Deflate;
use tokio::time::timeout;

/// How long a server that is to end the connection may go on talking before we hang up.
const DRAIN_MAX: Duration = Duration::from_secs(1);

/// Goes through the cases of a server of the Autobahn suite and echoes.
#[derive(Parser)]
struct Args {
    /// Where the server is, such as ws://127.0.0.1:9001.
    url: String,
    /// The name in the report.
    #[arg(long)]
    agent: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    let said = visit(&format!("{}/getCaseCount", args.url), false).await?;
    let count: usize = said.parse()?;
    for case in 1..=count {
        visit(&format!("{}/runCase?case={case}&agent={}", args.url, args.agent), true).await?;
    }
    visit(&format!("{}/updateReports?agent={}", args.url, args.agent), false).await?;
    Ok(())
}

/// Reads until the connection is over, and returns the last text. Sends messages back if asked to.
async fn visit(url: &str, echo: bool) -> Result<String, ConnectError> {
    let options = Connect::new().per_message_deflate(Deflate::default());
    let (mut ws, _) = connect_async_with(url, &options).await?;
    let mut last = String::new();
    // Most cases break the protocol on purpose. What that did to us is the suite's to judge.
    while let Some(Ok(message)) = ws.next().await {
        if let Message::Text(text) = &message {
            last = text.to_string();
        }
        let is_data = matches!(message, Message::Text(_) | Message::Binary(_));
        match if echo && is_data { ws.send(message).await } else { Ok(()) } {
            Ok(()) | Err(Error::Send(SendError::Closed)) => {}
            Err(_) => break,
        }
    }
    let _ = timeout(DRAIN_MAX, ws.finish(None)).await;
    Ok(last)
}
