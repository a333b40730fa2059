//! The opening handshake over real sockets: with ourselves, with the blocking client, through TLS and
//! a proxy, and with those who want nothing of it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use sockeye::aio::{
    AcceptError, Config, ConnectError, Message, Reply, WebSocketStream, accept_async,
    accept_async_with_config, accept_hdr_async, client_async, client_async_with, connect_async,
    connect_async_with,
};
use sockeye::client::{Client, Connect, Received};
use sockeye::proto;
use sockeye::proto::deflate::Deflate;
use sockeye::proto::handshake::{Refusal, Request};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

fn run<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(30), future).await.expect("it hangs")
    })
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/chat?room=1", listener.local_addr().unwrap());
    (listener, url)
}

async fn echo<S: AsyncRead + AsyncWrite + Unpin>(mut ws: WebSocketStream<S>) {
    while let Some(Ok(message)) = ws.next().await {
        if matches!(message, Message::Text(_) | Message::Binary(_)) {
            ws.send(message).await.unwrap();
        }
    }
}

async fn talks<S: AsyncRead + AsyncWrite + Unpin>(mut ws: WebSocketStream<S>) {
    for len in [0, 125, 126, 65_536, 1 << 20] {
        let message = Message::text("x".repeat(len));
        ws.send(message.clone()).await.unwrap();
        assert!(ws.next().await.unwrap().unwrap() == message, "{len} bytes");
    }
    ws.finish(None).await.unwrap();
}

#[test]
fn a_client_and_a_server_of_ours_talk_over_tcp() {
    run(async {
        let (listener, url) = listen().await;
        let server =
            async { echo(accept_async(listener.accept().await.unwrap().0).await.unwrap()).await };
        let client = async { talks(connect_async(&url).await.unwrap().0).await };
        tokio::join!(server, client);
    });
}

#[test]
fn what_is_asked_for_and_what_is_chosen_arrive() {
    run(async {
        let (listener, url) = listen().await;
        let server = async {
            let look = |request: &Request<'_>, reply: Reply| {
                assert_eq!((request.path(), request.query()), ("/chat", Some("room=1")));
                assert_eq!(request.origin(), Some("https://a.example"));
                assert_eq!(request.header("x-more").next(), Some(&b"1"[..]));
                assert!(request.subprotocols().eq([&b"new"[..], b"old"]));
                Ok(reply.subprotocol("old").header("X-Hello", "there"))
            };
            accept_hdr_async(listener.accept().await.unwrap().0, look).await.unwrap();
        };
        let options = Connect::new()
            .subprotocol("new")
            .subprotocol("old")
            .origin("https://a.example")
            .header("X-More", "1");
        let (_, opened) = tokio::join!(server, connect_async_with(&url, &options));
        let response = opened.unwrap().1;
        assert_eq!(response.subprotocol.as_deref(), Some("old"));
        assert_eq!(response.header("x-hello"), Some("there"));
    });
}

#[test]
fn compression_is_agreed_on_when_both_want_it() {
    run(async {
        let policy = Deflate { compress_from: 0, ..Deflate::default() };
        let deflating = proto::Config::default().per_message_deflate(policy);
        let options = Connect::new().per_message_deflate(policy);
        for (config, agreed) in [(Config::from(deflating), true), (Config::default(), false)] {
            let (here, there) = tokio::io::duplex(1 << 16);
            let (server, client) = tokio::join!(
                accept_async_with_config(there, config),
                client_async_with("ws://a/", here, &options)
            );
            let (mut client, response) = client.unwrap();
            assert_eq!(response.header("sec-websocket-extensions").is_some(), agreed);
            client.feed("x".repeat(1000).into()).await.unwrap();
            assert_eq!(client.buffered_amount() < 100, agreed);
            client.flush().await.unwrap();
            let got = server.unwrap().next().await.unwrap().unwrap();
            assert_eq!(got, "x".repeat(1000).into());
        }
    });
}

#[test]
fn a_refusal_arrives_with_its_status_headers_and_body() {
    run(async {
        let (listener, url) = listen().await;
        let server = async {
            let refuse = |_: &Request<'_>, _: Reply| {
                Err(Refusal::new(401, "who are you").header("WWW-Authenticate", "Bearer").unwrap())
            };
            accept_hdr_async(listener.accept().await.unwrap().0, refuse).await
        };
        let (refused, error) = tokio::join!(server, connect_async(&url));
        let refused = refused.map(drop).unwrap_err();
        assert_eq!(refused.to_string(), "upgrade refused with 401: who are you");
        let Err(ConnectError::Refused(refusal)) = error else { panic!("{error:?}") };
        assert_eq!((refusal.status, &*refusal.body), (401, &b"who are you"[..]));
        assert_eq!(refusal.header("www-authenticate"), Some("Bearer"));
    });
}

/// What a server answers to these bytes, and what it says itself.
async fn answer(bytes: &[u8]) -> (String, AcceptError) {
    let (mut here, there) = tokio::io::duplex(1 << 20);
    here.write_all(bytes).await.unwrap();
    here.shutdown().await.unwrap();
    let bad = |_: &Request<'_>, reply: Reply| Ok(reply.subprotocol("not offered"));
    let error = accept_hdr_async(there, bad).await.map(drop).unwrap_err();
    let mut answer = String::new();
    here.read_to_string(&mut answer).await.unwrap();
    (answer.lines().next().unwrap_or_default().to_owned(), error)
}

#[test]
fn who_sends_no_upgrade_is_told_so() {
    let fine = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    run(async {
        let (line, error) = answer(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(line, "HTTP/1.1 426 Upgrade Required");
        assert!(matches!(error, AcceptError::Refused(refusal) if refusal.status() == 426));
        let (line, _) = answer(b"\x16\x03\x01").await;
        assert_eq!(line, "HTTP/1.1 400 Bad Request");
        let (line, _) =
            answer(format!("GET / HTTP/1.1\r\n{}", "x".repeat(20_000)).as_bytes()).await;
        assert_eq!(line, "HTTP/1.1 431 Request Header Fields Too Large");
        let (line, error) = answer(b"GET / HTTP/1.1\r\nHo").await;
        assert!(line.is_empty() && matches!(error, AcceptError::NoRequest));
        // The server's own mistake is not the client's.
        let (line, error) = answer(fine.as_bytes()).await;
        assert_eq!(line, "HTTP/1.1 500 Internal Server Error");
        assert!(matches!(error, AcceptError::Compose(_)), "{error:?}");
    });
}

#[test]
fn a_client_that_gets_no_answer_says_so() {
    run(async {
        let (here, there) = tokio::io::duplex(4096);
        drop(there);
        let error = client_async("ws://a/", here).await.map(drop).unwrap_err();
        assert!(matches!(error, ConnectError::Io(_)), "{error:?}");
        let error = connect_async("ws://127.0.0.1:1/").await.map(drop).unwrap_err();
        let ConnectError::Connect { address, .. } = error else { panic!("{error:?}") };
        assert_eq!(address, "127.0.0.1:1");
        let (_listener, url) = listen().await; // accepts nobody
        let options = Connect::new().connect_timeout(Duration::from_millis(50));
        let error = connect_async_with(&url, &options).await.map(drop).unwrap_err();
        assert!(matches!(error, ConnectError::TimedOut), "{error:?}");
        let error = connect_async("ftp://a/").await.map(drop).unwrap_err();
        assert!(matches!(error, ConnectError::Url { .. }), "{error:?}");
    });
}

#[test]
fn the_blocking_client_talks_to_an_async_server() {
    run(async {
        let (listener, url) = listen().await;
        let client = tokio::task::spawn_blocking(move || {
            let mut client = Client::connect(&url).unwrap();
            client.text("hello").unwrap();
            assert_eq!(client.receive().unwrap(), Some(Received::Text("hello".into())));
            client.close(None).unwrap()
        });
        echo(accept_async(listener.accept().await.unwrap().0).await.unwrap()).await;
        assert_eq!(client.await.unwrap(), proto::Ended::Clean(None));
    });
}

#[test]
fn tls_is_spoken_where_the_url_says_so_with_the_trust_that_was_given() {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let file = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("aio-{}.pem", std::process::id()));
    std::fs::write(&file, certificate.pem()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    run(async {
        let (listener, _) = listen().await;
        let url = format!("wss://localhost:{}/", listener.local_addr().unwrap().port());
        let server = async {
            let tls = acceptor.accept(listener.accept().await.unwrap().0).await.unwrap();
            echo(accept_async(tls).await.unwrap()).await;
        };
        let options = Connect::new().ca_file(&file);
        let client = async {
            let (ws, _) = connect_async_with(&url, &options).await.unwrap();
            assert!(ws.get_ref().is_tls());
            talks(ws).await;
        };
        tokio::join!(server, client);
        // Whom nobody vouches for is not talked to.
        let server = async {
            let _ = acceptor.accept(listener.accept().await.unwrap().0).await;
        };
        let (_, refused) = tokio::join!(server, connect_async(&url));
        let error = refused.map(drop).unwrap_err();
        assert!(matches!(error, ConnectError::Tls(_)), "{error:?}");
    });
    std::fs::remove_file(file).unwrap();
}

#[test]
fn a_proxy_is_asked_for_a_tunnel() {
    run(async {
        let (listener, url) = listen().await;
        let authority = listener.local_addr().unwrap().to_string();
        let (proxy, _) = listen().await;
        let proxy_url = format!("http://me:pass@{}", proxy.local_addr().unwrap());
        let between = async {
            let mut near = proxy.accept().await.unwrap().0;
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(near.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap();
            assert!(head.starts_with(&format!("CONNECT {authority} HTTP/1.1\r\n")), "{head}");
            assert!(head.contains("Proxy-Authorization: Basic bWU6cGFzcw==\r\n"), "{head}");
            near.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            let mut far = TcpStream::connect(&authority).await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
        };
        let server =
            async { echo(accept_async(listener.accept().await.unwrap().0).await.unwrap()).await };
        let options = Connect::new().proxy(proxy_url);
        let client = async { talks(connect_async_with(&url, &options).await.unwrap().0).await };
        tokio::join!(between, server, client);
    });
}
