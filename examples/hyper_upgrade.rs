//! A WebSocket in an HTTP server of somebody else's: hyper reads the request and answers 101, the codec
//! judges the request, and the upgraded connection becomes a `WebSocketStream`. In the same way with
//! axum, whose upgraded connections are hyper's.
//!
//! `cargo run --example hyper_upgrade -- 127.0.0.1:9001`

use std::convert::Infallible;

use futures_util::{SinkExt, StreamExt};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, UPGRADE};
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response, StatusCode, Version};
use hyper_util::rt::TokioIo;
use sockeye::aio::{Config, Message, WebSocketStream};
use sockeye::proto::Role;
use sockeye::proto::handshake::{self, Refusal, accept_key};
use tokio::net::TcpListener;

type Page = Response<Full<Bytes>>;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".into());
    let listener = TcpListener::bind(address).await?;
    println!("http://{0}/, ws://{0}/echo", listener.local_addr()?);
    serve(listener).await
}

/// Accepts for ever.
pub async fn serve(listener: TcpListener) -> std::io::Result<()> {
    loop {
        let (tcp, _) = listener.accept().await?;
        tokio::spawn(async move {
            let service = service_fn(|request| async { Ok::<_, Infallible>(answer(request)) });
            let http = hyper::server::conn::http1::Builder::new();
            let connection = http.serve_connection(TokioIo::new(tcp), service).with_upgrades();
            if let Err(error) = connection.await {
                eprintln!("{error}");
            }
        });
    }
}

fn answer(mut request: Request<Incoming>) -> Page {
    if request.uri().path() != "/echo" {
        return Response::new(Full::from("a page; the WebSocket is at /echo\n"));
    }
    match upgrade(&mut request) {
        Ok(page) => page,
        Err(refusal) => {
            let mut page = Response::new(Full::from(refusal.body().to_owned()));
            *page.status_mut() =
                StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_REQUEST);
            page
        }
    }
}

/// Judges the request by RFC 6455 §4.2.1, and has a task wait for the connection that hyper gives up.
fn upgrade(request: &mut Request<Incoming>) -> Result<Page, Refusal> {
    let headers = request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let target = request.uri().to_string();
    let minor_version = u8::from(request.version() == Version::HTTP_11);
    let judged =
        handshake::Request::from_parts(request.method().as_str(), &target, minor_version, headers);
    let accept = accept_key(judged.upgrade()?.key());
    let page = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_ACCEPT, accept.as_str())
        .body(Full::default())
        .map_err(|error| Refusal::new(500, error.to_string()))?;
    tokio::spawn(talk(hyper::upgrade::on(request)));
    Ok(page)
}

async fn talk(upgrade: OnUpgrade) {
    let Ok(upgraded) = upgrade.await else { return };
    // What hyper has read too far comes out of its stream first, so that nothing is left over here.
    let io = TokioIo::new(upgraded);
    let mut ws = WebSocketStream::from_raw_socket(io, Role::Server, Config::default(), Vec::new());
    while let Some(Ok(message)) = ws.next().await {
        if matches!(message, Message::Text(_) | Message::Binary(_))
            && ws.send(message).await.is_err()
        {
            break;
        }
    }
}
