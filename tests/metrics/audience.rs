//! Who sees the numbers.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

use crate::server::{Server, get, parsed};

fn status(head: &str) -> &str {
    head.split(' ').nth(1).unwrap()
}

#[test]
fn by_default_this_machine_sees_them_and_nobody_through_a_proxy() {
    let server = Server::start(&[]);
    let of = |fields: &str| get(server.address, "/metrics", fields);
    assert_eq!(status(&of("").0), "200");
    assert_eq!(status(&of("Host: localhost\r\n").0), "200");
    let nothing = get(server.address, "/nothing", "");
    for fields in [
        "X-Forwarded-For: 192.0.2.1\r\n",
        "Forwarded: for=192.0.2.1\r\n",
        "Via: 1.1 proxy\r\n",
        "X-Real-IP: 127.0.0.1\r\n",
        "Host: chat.example.com\r\n",
    ] {
        let (head, body) = of(fields);
        // As of any path that is not there.
        assert_eq!((status(&head), &body), (status(&nothing.0), &nothing.1), "{fields}");
    }
}

#[test]
fn a_unix_socket_is_a_proxys() {
    let path = std::env::temp_dir().join(format!("sockeye-metrics-{}", std::process::id()));
    let ask = |server: &Server| {
        let _ = server;
        let mut stream = UnixStream::connect(&path).unwrap();
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        status(&answer).to_owned()
    };
    let unix = ["--unix", path.to_str().unwrap()];
    assert_eq!(ask(&Server::start(&unix)), "404");
    assert_eq!(ask(&Server::start(&[unix[0], unix[1], "--metrics", "all"])), "200");
}

#[test]
fn whoever_comes_by_a_trusted_proxy_is_nobody_of_this_machine() {
    let server = Server::start(&["--trusted-proxy", "127.0.0.1"]);
    assert_eq!(status(&get(server.address, "/metrics", "").0), "404");
    let server = Server::start(&["--trusted-proxy", "127.0.0.1", "--proxy-protocol"]);
    for header in ["PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n", "PROXY UNKNOWN\r\n"] {
        let mut stream = TcpStream::connect(server.address).unwrap();
        let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(format!("{header}{request}").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(status(&answer), "404", "{header}");
    }
}

#[test]
fn all_are_shown_them_or_nobody_is_if_that_is_set() {
    let proxied = "Host: chat.example.com\r\nX-Forwarded-For: 192.0.2.1\r\n";
    let server = Server::start(&["--metrics", "all"]);
    assert_eq!(status(&get(server.address, "/metrics", proxied).0), "200");
    let server = Server::start(&["--metrics", "off"]);
    assert_eq!(status(&get(server.address, "/metrics", "").0), "404");
    // Its own address is another matter.
    assert_eq!(status(&get(server.apart, "/metrics", proxied).0), "200");
}

#[test]
fn only_get_and_head_are_answered() {
    let server = Server::start(&[]);
    for address in [server.address, server.apart] {
        let ask = |method: &str| {
            let mut stream = TcpStream::connect(address).unwrap();
            let request = format!(
                "{method} /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            );
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        };
        let head = ask("HEAD");
        assert!(head.starts_with("HTTP/1.1 200 OK") && head.ends_with("\r\n\r\n"), "{head}");
        let refused = ask("DELETE");
        assert!(refused.starts_with("HTTP/1.1 405 ") && refused.contains("Allow: GET, HEAD"));
    }
}

#[test]
fn an_address_of_its_own_has_the_numbers_and_nothing_else() {
    let server = Server::start(&["--max-connections", "1"]);
    // The only place is taken, and the numbers are there all the same.
    let mut held = TcpStream::connect(server.address).unwrap();
    held.write_all(
        b"GET /echo HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    )
    .unwrap();
    let mut first = [0; 12];
    held.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 101");
    let (head, body) = get(server.apart, "/metrics", "");
    assert_eq!(status(&head), "200");
    assert!(!parsed(&body).samples.is_empty());
    for target in ["/", "/healthz", "/echo"] {
        assert_eq!(status(&get(server.apart, target, "").0), "404", "{target}");
    }
    let mut nonsense = TcpStream::connect(server.apart).unwrap();
    nonsense.write_all(b"\x16\x03\x01nonsense\r\n\r\n").unwrap();
    let mut answer = String::new();
    nonsense.read_to_string(&mut answer).unwrap();
    assert_eq!(status(&answer), "400");
}

#[test]
fn who_says_nothing_there_is_given_up_and_others_are_served() {
    let server = Server::start(&[]);
    let mut silent = TcpStream::connect(server.apart).unwrap();
    silent.set_read_timeout(Some(crate::server::PATIENCE)).unwrap();
    assert_eq!(status(&get(server.apart, "/metrics", "").0), "200");
    assert_eq!(silent.read(&mut [0]).unwrap(), 0);
}

#[test]
fn an_address_that_is_taken_is_told_with_the_remedy() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_sockeye"))
        .args(["--listen", "127.0.0.1:0", "--metrics-listen", &address])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&address) && said.contains("--metrics-listen"), "{said}");
}
