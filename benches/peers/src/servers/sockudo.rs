//! sockudo-ws by its `Protocol`, as in the server of its own benchmarks: all that a read brought is answered by one write.

use super::Task;
use bytes::{Buf, BytesMut};
use sockudo_ws::deflate::{DeflateConfig, negotiate_server_deflate};
use sockudo_ws::error::{Error, Result};
use sockudo_ws::handshake::{build_response, generate_accept_key, parse_request};
use sockudo_ws::protocol::{CompressedProtocol, Message, Protocol};
use sockudo_ws::{Config, Role};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub async fn serve(stream: TcpStream, task: Task) {
    let _ = talk(stream, task).await;
}

async fn talk(mut stream: TcpStream, task: Task) -> Result<()> {
    let mut buffer = BytesMut::with_capacity(sockudo_ws::RECV_BUFFER_SIZE);
    let deflate = open(&mut stream, &mut buffer, task).await?;
    let Config { max_frame_size, max_message_size, .. } = Config::default();
    match deflate {
        None => {
            let mut protocol = Protocol::new(Role::Server, max_frame_size, max_message_size);
            let mut messages = vec![];
            echo(stream, buffer, |buffer, out| {
                protocol.process_into(buffer, &mut messages)?;
                each(&mut messages, |message| protocol.encode_message(message, out))
            })
            .await
        }
        Some(config) => {
            let mut protocol = CompressedProtocol::server(max_frame_size, max_message_size, config);
            let mut messages = vec![];
            echo(stream, buffer, |buffer, out| {
                protocol.process_into(buffer, &mut messages)?;
                each(&mut messages, |message| protocol.encode_message(message, out))
            })
            .await
        }
    }
}

/// The handshake, and what was agreed on.
async fn open(
    stream: &mut TcpStream,
    buffer: &mut BytesMut,
    task: Task,
) -> Result<Option<DeflateConfig>> {
    loop {
        if stream.read_buf(buffer).await? == 0 {
            return Err(Error::ConnectionClosed);
        }
        let Some((request, consumed)) = parse_request(buffer)? else {
            continue;
        };
        let agreed = request
            .extensions
            .filter(|_| task.deflate)
            .and_then(|offer| negotiate_server_deflate(offer, &DeflateConfig::default()));
        let extensions = agreed.as_ref().map(|it| it.to_response_header());
        let key = generate_accept_key(request.key);
        stream.write_all(&build_response(&key, None, extensions.as_deref())).await?;
        buffer.advance(consumed);
        return Ok(agreed.map(|it| it.config));
    }
}

/// Encodes the replies; true if there was a close among the messages.
fn each(
    messages: &mut Vec<Message>,
    mut encode: impl FnMut(&Message) -> Result<()>,
) -> Result<bool> {
    let mut closing = false;
    for message in messages.drain(..) {
        match message {
            Message::Text(_) | Message::Binary(_) => encode(&message)?,
            Message::Close(_) => {
                encode(&message)?;
                closing = true;
            }
            _ => {}
        }
    }
    Ok(closing)
}

async fn echo(
    mut stream: TcpStream,
    mut buffer: BytesMut,
    mut answer: impl FnMut(&mut BytesMut, &mut BytesMut) -> Result<bool>,
) -> Result<()> {
    let mut out = BytesMut::new();
    loop {
        if stream.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
        let closing = answer(&mut buffer, &mut out)?;
        if !out.is_empty() {
            stream.write_all(&out).await?;
            out.clear();
        }
        if closing {
            return Ok(stream.shutdown().await?);
        }
    }
}
