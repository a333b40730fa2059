//! yawc behind hyper, as in its documentation; in a batch it is fed all that is buffered before it flushes.

use super::Task;
use bytes::Bytes;
use futures_util::{FutureExt, SinkExt, StreamExt};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use yawc::frame::{Frame, OpCode};
use yawc::{Options, Result, UpgradeFut, WebSocket};

pub async fn serve(stream: TcpStream, task: Task) {
    let service = service_fn(move |request| open(request, task));
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let _ = connection.with_upgrades().await;
}

async fn open(mut request: Request<Incoming>, task: Task) -> Result<Response<Empty<Bytes>>> {
    let options = Options::default().with_utf8().with_limits(64 << 20, 128 << 20);
    let options = if task.deflate {
        // Without these it takes the smallest window there is.
        let options = options.with_balanced_compression();
        options.with_server_max_window_bits(15).with_client_max_window_bits(15)
    } else {
        options.without_compression()
    };
    let (response, socket) = WebSocket::upgrade_with_options(&mut request, options)?;
    tokio::spawn(tokio::task::unconstrained(async move {
        let _ = if task.batch { echo_batch(socket).await } else { echo(socket).await };
    }));
    Ok(response)
}

fn is_data(frame: &Frame) -> bool {
    matches!(frame.opcode(), OpCode::Text | OpCode::Binary)
}

async fn echo(socket: UpgradeFut) -> Result<()> {
    let mut socket = socket.await?;
    while let Some(frame) = socket.next().await {
        if is_data(&frame) {
            socket.send(frame).await?;
        }
    }
    Ok(())
}

async fn echo_batch(socket: UpgradeFut) -> Result<()> {
    let mut socket = socket.await?;
    while let Some(first) = socket.next().await {
        let mut next = Some(first);
        while let Some(frame) = next {
            if is_data(&frame) {
                socket.feed(frame).await?;
            }
            next = socket.next().now_or_never().flatten();
        }
        socket.flush().await?;
    }
    Ok(())
}
