//! The way through an HTTP proxy.

use std::io::{Write as _, copy};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use sockeye::client::{ClientError, Received};
use sockeye::proto::Config;

use crate::opening::trickle;
use crate::peer::*;

/// A proxy for one connection, which leads wherever it is asked to. Returns the request.
pub fn proxy() -> Scripted<String> {
    scripted(|mut peer| {
        let request = peer.request();
        let authority = request.split(' ').nth(1).unwrap();
        let there: SocketAddr = authority.parse().unwrap();
        let there = TcpStream::connect(there).unwrap();
        // As some do: a length that means nothing here (RFC 9110 §9.3.6).
        peer.send("HTTP/1.1 200 Connection established\r\nContent-Length: 3\r\n\r\n");
        let (mut from, mut to) = (there.try_clone().unwrap(), peer.stream.try_clone().unwrap());
        let back = thread::spawn(move || {
            let _ = copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        });
        let _ = copy(&mut peer.stream, &mut &there);
        let _ = there.shutdown(Shutdown::Write);
        back.join().unwrap();
        request
    })
}

/// A proxy that answers so and leads nowhere.
fn refusing(answer: &'static str) -> Scripted<String> {
    scripted(move |mut peer| {
        let request = peer.request();
        peer.send(answer);
        request
    })
}

fn error_of(proxy: &Scripted<String>) -> ClientError {
    let options = connect().proxy(format!("http://{}", proxy.address));
    options.open("ws://unreachable.example/").map(drop).unwrap_err()
}

#[test]
fn a_websocket_goes_through_a_proxy() {
    let (server, proxy) = (echo_server(Config::default()), proxy());
    let options = connect().proxy(format!("http://{}", proxy.address));
    let mut client = open_with(&server, &options);
    client.text("through").unwrap();
    assert_eq!(client.receive().unwrap(), Some(Received::Text("through".into())));
    client.close(None).unwrap();
    let address = server.address;
    server.join();
    let request = proxy.join();
    assert!(request.starts_with(&format!("CONNECT {address} HTTP/1.1\r\n")), "{request}");
    assert_eq!(header(&request, "Host"), Some(&*address.to_string()));
    assert_eq!(header(&request, "Proxy-Authorization"), None);
}

#[test]
fn user_and_password_are_for_the_proxy_alone() {
    let (server, proxy) = (scripted(|mut peer| peer.upgrade("")), proxy());
    let options = connect().proxy(format!("http://user:p%40ss@{}", proxy.address));
    drop(options.open(&server.url()).unwrap());
    // "user:p@ss"
    assert_eq!(header(&proxy.join(), "Proxy-Authorization"), Some("Basic dXNlcjpwQHNz"));
    let request = server.join();
    assert_eq!(header(&request, "Proxy-Authorization"), None);
    assert_eq!(header(&request, "Authorization"), None);
}

#[test]
fn the_proxy_is_asked_for_a_host_by_its_name_and_with_its_port() {
    for (url, authority) in [
        ("ws://unreachable.example/", "unreachable.example:80"),
        ("ws://[::1]/", "[::1]:80"),
        ("ws://[::1]:9000/", "[::1]:9000"),
        #[cfg(feature = "tls")]
        ("wss://unreachable.example/", "unreachable.example:443"),
    ] {
        let proxy = refusing("HTTP/1.1 502 No\r\n\r\n");
        let options = connect().proxy(format!("http://{}", proxy.address));
        options.open(url).map(drop).unwrap_err();
        let request = proxy.join();
        assert!(request.starts_with(&format!("CONNECT {authority} HTTP/1.1\r\n")), "{request}");
    }
}

#[test]
fn a_proxy_that_refuses_is_quoted() {
    let proxy = refusing("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(
        error_of(&proxy).to_string(),
        "the proxy refused: 407 Proxy Authentication Required"
    );
}

#[test]
fn a_proxy_that_talks_nonsense_or_hangs_up_is_said_to() {
    for (answer, problem) in [
        ("", "the proxy refused: it closed the connection"),
        ("HTTP/1.1 200 OK\r\n", "the proxy refused: it closed the connection"),
        ("nonsense\r\n\r\n", "the proxy refused: its answer is not HTTP: invalid HTTP version"),
    ] {
        assert_eq!(error_of(&refusing(answer)).to_string(), problem);
    }
}

#[test]
fn a_proxy_that_says_too_much_is_refused() {
    let proxy = scripted(|mut peer| {
        let request = peer.request();
        let fields = "X: y\r\n".repeat(65);
        peer.stream.write_all(format!("HTTP/1.1 200 OK\r\n{fields}\r\n").as_bytes()).unwrap();
        request
    });
    let problem = "the proxy refused: its answer is not HTTP: too many headers";
    assert_eq!(error_of(&proxy).to_string(), problem);
}

#[test]
fn a_proxy_that_never_stops_talking_is_given_up() {
    let proxy = scripted(|mut peer| {
        let request = peer.request();
        trickle(&mut peer.stream, &[b'x'; 17 * 1024], b'x');
        request
    });
    assert_eq!(error_of(&proxy).to_string(), "the proxy refused: its answer exceeds 16384 bytes");

    let slow = scripted(|mut peer| {
        peer.request();
        trickle(&mut peer.stream, b"HTTP/1.1 200 ", b'x');
    });
    let options = connect().proxy(format!("http://{}", slow.address));
    let options = options.connect_timeout(Duration::from_millis(60));
    let error = options.open("ws://unreachable.example/").map(drop).unwrap_err();
    assert!(matches!(error, ClientError::TimedOut), "{error:?}");
}

#[test]
fn a_proxy_that_is_not_there_is_the_one_that_is_named() {
    let options = connect().proxy("http://127.0.0.1:1");
    let error = options.open("ws://unreachable.example/").map(drop).unwrap_err().to_string();
    assert!(error.starts_with("cannot connect to 127.0.0.1:1: "), "{error}");
}

#[test]
fn a_proxy_of_another_scheme_is_refused_with_its_reason() {
    let error = connect().proxy("socks5://a").open("ws://b/").map(drop).unwrap_err().to_string();
    assert_eq!(error, "cannot open \"socks5://a\": the scheme of a proxy must be http");
}
