//! How one gets in: addresses, sockets, paths, limits, and the little HTTP before the upgrade.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use sockeye::client::{Client, ClientError, Connect, Received};

use crate::actor::{Actor, Saw, frame};
use crate::process::{Server, fails};

fn echoes<S: Read + Write>(client: &mut Client<S>) {
    client.text("hello").unwrap();
    assert_eq!(client.receive().unwrap(), Some(Received::Text("hello".into())));
}

/// The status that a request for a WebSocket is answered with.
fn status(address: SocketAddr, target: &str, headers: &[(&str, &str)]) -> u16 {
    let headers: Vec<(String, Option<String>)> =
        headers.iter().map(|&(name, value)| (name.to_owned(), Some(value.to_owned()))).collect();
    let mut actor = Actor::request(address, "GET", target, &headers, b"");
    actor.watch(1);
    match actor.saw.first() {
        Some(Saw::Open { .. }) => 101,
        Some(&Saw::Http(status)) => status,
        other => panic!("{target}: {other:?}"),
    }
}

struct Socket(PathBuf);

impl Socket {
    fn new(name: &str) -> Self {
        let file = format!("sockeye-{name}-{}.sock", std::process::id());
        Self(std::env::temp_dir().join(file))
    }

    fn flag(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn a_unix_socket_serves_the_page_and_every_dialect_and_goes_with_the_server() {
    let socket = Socket::new("all");
    let mut server = Server::listening(&["--unix", socket.flag(), "--shards", "3"], 1);
    assert_eq!(server.urls, [format!("unix:{}", socket.flag())]);
    let open = |target: &str| {
        let stream = UnixStream::connect(&socket.0).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Connect::new().over(stream, &format!("ws://localhost{target}")).unwrap()
    };
    echoes(&mut open("/echo"));
    let mut named = open("/ws");
    assert_eq!(named.receive().unwrap(), Some(Received::Text("Welcome unix0".into())));
    // Some of these move to another loop.
    let mut users: Vec<_> = (0..6)
        .map(|user| {
            let mut client = open("/direct");
            client.text(&format!(r#"{{"type":"online","from":{user}}}"#)).unwrap();
            client.ping(b"").unwrap();
            assert_eq!(client.receive().unwrap(), Some(Received::Pong(Vec::new())));
            client
        })
        .collect();
    for user in 0..6 {
        let message = format!(r#"{{"to":{user}}}"#);
        users[5 - user].text(&message).unwrap();
        assert_eq!(users[user].receive().unwrap(), Some(Received::Text(message)));
    }
    let mut page = UnixStream::connect(&socket.0).unwrap();
    page.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    page.read_to_string(&mut text).unwrap();
    assert!(
        text.starts_with("HTTP/1.1 200 OK\r\n") && text.contains("<!doctype html>"),
        "{text:.300}"
    );
    // Another server does not take it away.
    let (code, said) = fails(&["--unix", socket.flag()]);
    assert_eq!(code, Some(1));
    assert!(said.contains(socket.flag()), "{said}");
    drop((named, users));
    server.signal("TERM");
    assert_eq!(server.ended(Duration::from_secs(15)).code(), Some(0));
    assert!(!socket.0.exists(), "the file went with the server");
}

#[test]
fn a_socket_that_a_killed_server_left_behind_is_taken_over() {
    let socket = Socket::new("left");
    let mut killed = Server::listening(&["--unix", socket.flag()], 1);
    killed.signal("KILL");
    killed.ended(Duration::from_secs(5));
    assert!(socket.0.exists());
    let _server = Server::listening(&["--unix", socket.flag()], 1);
    let stream = UnixStream::connect(&socket.0).unwrap();
    echoes(&mut Connect::new().over(stream, "ws://localhost/echo").unwrap());
}

#[test]
fn all_addresses_lead_to_the_same_rooms() {
    let socket = Socket::new("also");
    let server = Server::listening(
        &[
            "--listen",
            "127.0.0.1:0",
            "--listen",
            "127.0.0.2:0",
            "--listen",
            "127.0.0.1:0",
            "--unix",
            socket.flag(),
        ],
        4,
    );
    assert_eq!(server.addresses.len(), 3);
    let mut clients: Vec<Actor> =
        server.addresses.iter().map(|&address| Actor::open(address, "/broadcast")).collect();
    let mut local = Connect::new()
        .over(UnixStream::connect(&socket.0).unwrap(), "ws://localhost/broadcast")
        .unwrap();
    clients[2].text("to all");
    for client in &mut clients[..2] {
        client.watch(1);
        assert_eq!(client.saw, [Saw::Text("to all".into())]);
    }
    assert_eq!(local.receive().unwrap(), Some(Received::Text("to all".into())));
}

#[test]
fn over_ipv6_one_has_an_ipv6_name() {
    let server = Server::start(&[]);
    let Some(&address) = server.addresses.iter().find(|address| address.is_ipv6()) else {
        eprintln!("skipped: this machine has no IPv6");
        return;
    };
    let mut six = Actor::open(address, "/ws");
    six.watch(1);
    assert_eq!(six.saw, [Saw::Text(format!("Welcome ::1{}", six.port()))]);
    let mut four = Actor::open(server.addresses[0], "/ws");
    four.watch(1);
    four.text("hi");
    six.watch(2);
    assert_eq!(six.saw[1], Saw::Text(format!("::ffff:127.0.0.1{} -> hi", four.port())));
}

#[test]
fn dialects_are_where_they_are_put() {
    let server = Server::start(&[
        "--path",
        "echo=/mirror",
        "--path",
        "im=off",
        "--path",
        "ws=/",
        "--path",
        "other=off",
    ]);
    let address = server.addresses[0];
    for (target, answer) in [
        ("/mirror", 101),
        ("/mirror/below?x", 101),
        ("/", 101),
        ("/chat", 101),
        ("/echo", 400),
        ("/im", 400),
        ("/ws", 400),
        ("/mirrors", 400),
        ("/nowhere", 400),
    ] {
        assert_eq!(status(address, target, &[]), answer, "{target}");
    }
    let mut mirror = Actor::open(address, "/mirror");
    mirror.text("me");
    mirror.watch(1);
    assert_eq!(mirror.saw, [Saw::Text("me".into())]);
    let mut named = Actor::open(address, "/");
    named.watch(1);
    assert!(matches!(&named.saw[0], Saw::Text(text) if text.starts_with("Welcome ")));
    // The page is still there for who wants no WebSocket.
    assert_eq!(Browser::to(address).get("/").status, 200);
    let elsewhere = Server::start(&["--path", "other=echo"]);
    let mut echo = Actor::open(elsewhere.addresses[0], "/any/thing");
    echo.text("back");
    echo.watch(1);
    assert_eq!(echo.saw, [Saw::Text("back".into())]);
}

#[test]
fn of_the_subprotocols_the_first_offered_that_is_allowed_is_agreed_on() {
    let free = Server::start(&[]);
    let listed = Server::start(&["--subprotocol", "soap", "--subprotocol", "wamp"]);
    for (offer, freely, of_the_list) in [
        ("x, wamp, soap", Some("x"), Some("wamp")),
        ("soap", Some("soap"), Some("soap")),
        ("x", Some("x"), None),
        ("", None, None),
    ] {
        for (server, wanted) in [(&free, freely), (&listed, of_the_list)] {
            let offer = (
                "Sec-WebSocket-Protocol".to_owned(),
                (!offer.is_empty()).then(|| offer.to_owned()),
            );
            let mut actor = Actor::request(server.addresses[0], "GET", "/echo", &[offer], b"");
            actor.watch(1);
            let protocol = wanted.map(str::to_owned);
            assert_eq!(actor.saw, [Saw::Open { accept_ok: true, protocol }]);
        }
    }
}

#[test]
fn an_address_has_its_share_of_connections_and_gets_it_back() {
    let server = Server::start(&["--max-per-ip", "3", "--shards", "3"]);
    let address = server.addresses[0];
    // Two of them move to another loop and count once all the same.
    let mut mine: Vec<Actor> =
        ["/echo", "/direct", "/im"].map(|path| Actor::open(address, path)).into();
    let mut fourth = Actor::request(address, "GET", "/echo", &[], b"");
    fourth.watch(1);
    assert_eq!(fourth.saw, [Saw::TcpEnd]);
    // Another address is another matter.
    if let Some(&six) = server.addresses.iter().find(|address| address.is_ipv6()) {
        Actor::open(six, "/echo");
    }
    for round in 0..6 {
        drop(mine.remove(0));
        // The server has to see the end first.
        let mut patience = 200;
        loop {
            let mut next = Actor::request(address, "GET", "/direct", &[], b"");
            next.watch(1);
            if matches!(next.saw[..], [Saw::Open { .. }]) {
                mine.push(next);
                break;
            }
            patience -= 1;
            assert!(patience > 0, "round {round}: nobody is let in any more");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

#[test]
fn only_pages_of_the_origins_named_connect() {
    let server =
        Server::start(&["--origin", "https://example.com", "--origin", "http://localhost:3000"]);
    for (origin, answer) in [
        ("https://example.com", 101),
        ("HTTPS://EXAMPLE.COM", 101),
        ("http://localhost:3000", 101),
        ("http://example.com", 403),
        ("https://example.com.evil.example", 403),
        ("https://example.com:444", 403),
        ("null", 403),
    ] {
        assert_eq!(status(server.addresses[0], "/chat", &[("Origin", origin)]), answer, "{origin}");
    }
    // A program that is no browser sends none.
    assert_eq!(status(server.addresses[0], "/chat", &[]), 101);
    let url = format!("ws://{}/echo", server.addresses[0]);
    let refused = Connect::new().origin("http://evil.example").open(&url);
    let Err(ClientError::Refused(refusal)) = refused else { panic!("{refused:?}") };
    assert_eq!(refusal.status, 403);
}

#[test]
fn at_the_limit_the_next_waits_and_is_served_when_one_leaves() {
    for shards in ["1", "3"] {
        let server = Server::start(&["--max-connections", "4", "--shards", shards]);
        let mut all: Vec<Actor> =
            (0..4).map(|_| Actor::open(server.addresses[0], "/echo")).collect();
        let early = frame(0x81, b"patience", true, None);
        let mut waiting: Vec<Actor> = (0..3)
            .map(|_| Actor::request(server.addresses[0], "GET", "/echo", &[], &early))
            .collect();
        for next in &mut waiting {
            next.watch_for(1, Duration::from_millis(100));
            assert_eq!(next.saw, [], "{shards} loops");
        }
        // Those who are in are served as ever.
        all[0].text("hello");
        all[0].watch(1);
        assert_eq!(all[0].saw, [Saw::Text("hello".into())]);
        for next in &mut waiting {
            drop(all.pop());
            next.watch(2);
            assert_eq!(next.saw.get(1), Some(&Saw::Text("patience".into())), "{shards} loops");
        }
    }
}

/// One HTTP connection that is kept.
struct Browser(BufReader<TcpStream>);

struct Response {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Response {
    fn field(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find_map(|(known, value)| known.eq_ignore_ascii_case(name).then_some(value))
    }
}

impl Browser {
    fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Self(BufReader::new(stream))
    }

    fn write(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
    }

    fn read(&mut self, has_body: bool) -> Response {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(self.0.read_line(&mut head).unwrap() > 0, "hung up after {head:?}");
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut response = Response { status, head, body: Vec::new() };
        if has_body {
            let len = response.field("Content-Length").unwrap().parse().unwrap();
            response.body.resize(len, 0);
            self.0.read_exact(&mut response.body).unwrap();
        }
        response
    }

    fn get(&mut self, target: &str) -> Response {
        self.write(&format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n"));
        self.read(true)
    }

    fn is_over(&mut self) -> bool {
        matches!(self.0.read(&mut [0]), Ok(0) | Err(_))
    }
}

#[test]
fn a_connection_is_kept_for_request_after_request() {
    let server = Server::start(&[]);
    let mut browser = Browser::to(server.addresses[0]);
    let page = browser.get("/");
    assert_eq!((page.status, page.field("Content-Type")), (200, Some("text/html; charset=utf-8")));
    assert!(page.field("Content-Security-Policy").unwrap().contains("default-src 'none'"));
    let html = String::from_utf8(page.body.clone()).unwrap();
    for file in ["/chat.js", "/chat.css", "/icon.svg"] {
        assert!(html.contains(file.trim_start_matches('/')), "{file} is the page's");
        assert_eq!(browser.get(file).status, 200, "{file}");
    }
    // HEAD is GET without the body.
    browser.write("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
    let head = browser.read(false);
    assert_eq!((head.status, head.field("Content-Length")), (200, page.field("Content-Length")));
    // What is known already is not sent again.
    let tag = page.field("ETag").unwrap();
    browser.write(&format!("GET / HTTP/1.1\r\nHost: x\r\nIf-None-Match: {tag}\r\n\r\n"));
    assert_eq!(browser.read(false).status, 304);
    assert_eq!(browser.get("/nothing/here").status, 404);
    browser.write("DELETE / HTTP/1.1\r\nHost: x\r\n\r\n");
    let refused = browser.read(true);
    assert_eq!((refused.status, refused.field("Allow")), (405, Some("GET, HEAD")));
    for health in ["/healthz", "/readyz"] {
        let response = browser.get(health);
        assert_eq!((response.status, &response.body[..]), (200, &b"ok\n"[..]));
        assert_eq!(response.field("Cache-Control"), Some("no-store"));
        browser.write(&format!("HEAD {health} HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert_eq!(browser.read(false).status, 200);
        browser.write(&format!("DELETE {health} HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert_eq!(browser.read(true).status, 405);
    }
    browser.write("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_eq!(browser.read(true).body, page.body);
    assert!(browser.is_over());
}

#[test]
fn pipelined_requests_are_answered_in_order_and_an_upgrade_may_be_the_last() {
    let server = Server::start(&[]);
    let mut browser = Browser::to(server.addresses[0]);
    let get = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut all = String::new();
    let order = ["/healthz", "/nowhere", "/chat.js", "/", "/chat.css"];
    for target in order.iter().cycle().take(100) {
        all += &get(target);
    }
    all += "GET /echo HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    browser.write(&all);
    let sizes: Vec<(u16, usize)> = order
        .iter()
        .map(|target| {
            let response = Browser::to(server.addresses[0]).get(target);
            (response.status, response.body.len())
        })
        .collect();
    for at in 0..100 {
        let response = browser.read(true);
        assert_eq!((response.status, response.body.len()), sizes[at % 5], "response {at}");
    }
    assert_eq!(browser.read(false).status, 101);
    browser.0.get_mut().write_all(&frame(0x81, b"hi", true, None)).unwrap();
    let mut echo = [0; 4];
    browser.0.read_exact(&mut echo).unwrap();
    assert_eq!(&echo, b"\x81\x02hi");
}

#[test]
fn a_door_that_is_asked_for_without_an_upgrade_says_what_it_wants() {
    let server = Server::start(&[]);
    for door in ["/echo", "/broadcast", "/direct", "/ws", "/im", "/chat"] {
        let response = Browser::to(server.addresses[0]).get(door);
        assert_eq!(response.status, 426, "{door}");
        assert_eq!(response.field("Upgrade"), Some("websocket"), "{door}");
    }
    // The version is the server's to tell.
    let mut browser = Browser::to(server.addresses[0]);
    browser.write(
        "GET /chat HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    let response = browser.read(true);
    assert_eq!((response.status, response.field("Sec-WebSocket-Version")), (426, Some("13")));
}

#[test]
fn every_header_stands_behind_a_colon_and_one_space() {
    let server = Server::start(&["--deflate"]);
    let mut browser = Browser::to(server.addresses[0]);
    browser.write(
        "GET /chat HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    let upgraded = browser.read(false);
    assert_eq!(upgraded.status, 101);
    let page = Browser::to(server.addresses[0]).get("/");
    for head in [upgraded.head, page.head] {
        for line in head.trim_end().lines().skip(1) {
            let (name, value) = line.split_once(": ").unwrap();
            assert!(!name.contains([' ', ':']) && value == value.trim(), "{line:?}");
        }
    }
}
