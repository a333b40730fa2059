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

fn start_std() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || echo_std::serve(&listener));
    address
}

fn start_tokio() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            echo_tokio::serve(listener).await
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
    let address = start_tokio();
    behaves(address);
    tells_who_breaks_the_protocol(address);
    refuses_what_is_no_upgrade(address);
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
