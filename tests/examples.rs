//! The example servers, started as they are and talked to.

#![cfg(all(feature = "client", feature = "deflate"))]
// Not every `main` of an example is run here.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use sockeye::client::{Client, ClientError, Connect, Received};
use sockeye::proto::deflate::Deflate;
use sockeye::proto::{CloseCode, CloseFrame, Ended};

#[path = "../examples/codec_in_memory.rs"]
mod codec_in_memory;
#[path = "../examples/echo_std.rs"]
mod echo_std;
#[path = "../examples/echo_tokio.rs"]
mod echo_tokio;
#[cfg(feature = "tokio")]
#[path = "../examples/hyper_upgrade.rs"]
mod hyper_upgrade;
#[cfg(feature = "tokio")]
#[path = "../examples/tokio_client.rs"]
mod tokio_client;
#[cfg(feature = "tokio")]
#[path = "../examples/tokio_server.rs"]
mod tokio_server;

fn start_std() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || echo_std::serve(&listener));
    address
}

fn start_tokio<S>(serve: impl FnOnce(tokio::net::TcpListener) -> S + Send + 'static) -> SocketAddr
where
    S: Future<Output = std::io::Result<()>>,
{
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            serve(tokio::net::TcpListener::from_std(listener).unwrap()).await
        })
    });
    address
}

fn open(address: SocketAddr, options: &Connect) -> Client {
    let mut client = options.open(&format!("ws://{address}/")).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(3)));
    client
}

fn echoes(client: &mut Client) {
    for len in [0, 125, 126, 65_535, 65_536, 1 << 20] {
        let text = "x".repeat(len);
        client.text(&text).unwrap();
        assert!(client.receive().unwrap() == Some(Received::Text(text)), "text of {len}");
        client.binary(&vec![7; len]).unwrap();
        assert!(client.receive().unwrap() == Some(Received::Binary(vec![7; len])));
    }
    client.ping(b"p").unwrap();
    assert_eq!(client.receive().unwrap(), Some(Received::Pong(b"p".to_vec())));
}

fn behaves(address: SocketAddr) {
    let mut first = open(address, &Connect::new().subprotocol("chat"));
    assert_eq!(first.subprotocol(), Some("chat"));
    // Another connection is served meanwhile.
    let mut second = open(address, &Connect::new());
    for client in [&mut first, &mut second] {
        echoes(client);
        let frame = CloseFrame { code: CloseCode::NORMAL, reason: "enough" };
        assert_eq!(client.close(Some(frame)).unwrap(), Ended::Clean(Some(CloseCode::NORMAL)));
    }
}

/// Breaks the protocol and writes on: the server's close frame arrives, then the end.
fn tells_who_breaks_the_protocol(address: SocketAddr) {
    let parts = open(address, &Connect::new()).into_parts();
    let mut socket = parts.stream.into_tcp().unwrap();
    // An unmasked frame, and more than the system buffers.
    socket.write_all(b"\x81\x03bad").unwrap();
    socket.write_all(&vec![0; 16 << 20]).unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, b"\x88\x02\x03\xea");
}

fn refuses_what_is_no_upgrade(address: SocketAddr) {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 426 Upgrade Required\r\n"), "{answer}");
}

#[test]
fn the_echo_server_on_std_echoes_many_and_ends_in_order() {
    let address = start_std();
    behaves(address);
    tells_who_breaks_the_protocol(address);
    refuses_what_is_no_upgrade(address);
}

#[test]
fn the_echo_server_on_std_compresses_when_asked() {
    let mut client = open(start_std(), &Connect::new().per_message_deflate(Deflate::default()));
    let agreed = client.header("Sec-WebSocket-Extensions").unwrap();
    assert!(agreed.starts_with("permessage-deflate"), "{agreed}");
    echoes(&mut client);
    client.close(None).unwrap();
}

#[test]
fn the_echo_server_on_tokio_echoes_many_and_ends_in_order() {
    let address = start_tokio(echo_tokio::serve);
    behaves(address);
    tells_who_breaks_the_protocol(address);
    refuses_what_is_no_upgrade(address);
}

#[cfg(feature = "tokio")]
#[test]
fn the_async_server_echoes_and_tells_who_is_wrong() {
    let address = start_tokio(tokio_server::serve);
    let options = Connect::new().subprotocol("echo").per_message_deflate(Deflate::default());
    let mut client = options.open(&format!("ws://{address}/echo")).unwrap();
    assert_eq!(client.subprotocol(), Some("echo"));
    client.set_read_timeout(Some(Duration::from_secs(3)));
    echoes(&mut client);
    assert_eq!(client.close(None).unwrap(), Ended::Clean(None));
    let Err(ClientError::Refused(refusal)) = Client::connect(&format!("ws://{address}/")) else {
        panic!("it is refused");
    };
    assert_eq!(refusal.status, 404);

    let parts = Client::connect(&format!("ws://{address}/echo")).unwrap().into_parts();
    let mut socket = parts.stream.into_tcp().unwrap();
    socket.write_all(b"\x81\x03bad").unwrap();
    socket.write_all(&vec![0; 16 << 20]).unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, b"\x88\x02\x03\xea");
}

#[cfg(feature = "tokio")]
#[test]
fn the_async_client_sends_lines_and_says_goodbye() {
    let address = start_tokio(tokio_server::serve);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let last = runtime.block_on(async {
        let url = format!("ws://{address}/echo");
        let talk = tokio_client::talk(&url, &b"one\ntwo\n"[..], false);
        tokio::time::timeout(Duration::from_secs(30), talk).await.unwrap()
    });
    assert_eq!(last.unwrap().as_deref(), Some("two"));
}

#[cfg(feature = "tokio")]
#[test]
fn hyper_hands_its_connection_over() {
    let address = start_tokio(hyper_upgrade::serve);
    let mut client = Client::connect(&format!("ws://{address}/echo")).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(3)));
    echoes(&mut client);
    assert_eq!(client.close(None).unwrap(), Ended::Clean(None));
    // The same server has pages, and refuses what is no upgrade.
    for (path, status) in [("/", "200 OK"), ("/echo", "426 Upgrade Required")] {
        let mut socket = TcpStream::connect(address).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{answer}");
    }
}

#[test]
fn the_codec_talks_to_itself_in_memory() {
    codec_in_memory::main().unwrap();
}

#[test]
fn an_example_server_that_is_gone_is_an_error_with_its_address() {
    let error = Client::connect("ws://127.0.0.1:1/").map(drop).unwrap_err();
    assert!(matches!(&error, ClientError::Connect { address, .. } if address == "127.0.0.1:1"));
}
