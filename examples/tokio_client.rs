//! An async client that reads and writes in two tasks: lines of standard input become messages,
//! messages are printed.
//!
//! `cargo run --example tokio_client -- ws://127.0.0.1:9001/echo`

use futures_util::{SinkExt, StreamExt};
use sockeye::aio::{Message, connect_async};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, BufReader};

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "ws://127.0.0.1:9001/echo".into());
    talk(&url, BufReader::new(tokio::io::stdin()), true).await?;
    Ok(())
}

/// Sends each line, and returns the last text that came, once both sides have said goodbye.
pub async fn talk(
    url: &str,
    lines: impl AsyncBufRead + Unpin + Send + 'static,
    print: bool,
) -> Result<Option<String>, Failure> {
    let (ws, _) = connect_async(url).await?;
    let (mut writing, mut reading) = ws.split();
    let sender = tokio::spawn(async move {
        let mut lines = lines.lines();
        while let Some(line) = lines.next_line().await? {
            writing.send(Message::text(line)).await?;
        }
        writing.close().await?;
        Ok::<(), Failure>(())
    });
    let mut last = None;
    // The reading half answers pings, and sees the goodbye of the server.
    while let Some(message) = reading.next().await {
        if let Message::Text(text) = message? {
            if print {
                println!("{text}");
            }
            last = Some(text.to_string());
        }
    }
    sender.abort();
    match sender.await {
        Ok(sent) => sent.map(|()| last),
        Err(_) => Ok(last), // the server closed first, while we waited for a line
    }
}
