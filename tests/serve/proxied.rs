//! Whose connection it is when a proxy stands before the server: by headers, by the PROXY protocol, and by
//! nobody's word who is not trusted.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use sockeye::client::{Client, ClientError, Connect, Received};

use crate::process::{Server, fails};
use crate::tls::Authority;

/// Binary, for 192.0.2.7:4711, with two extensions behind the addresses.
const V2: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x18\xc0\x00\x02\x07\x7f\x00\x00\x01\x12\x67\x01\xbb\
    \x04\x00\x02..\xea\x00\x04....";
/// Text, for the same.
const V1: &[u8] = b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 443\r\n";
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00";

/// A connection from one of this machine's addresses.
fn from(source: [u8; 4], server: SocketAddr) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((source, 0)).into()).unwrap();
    socket.connect(&server.into()).unwrap();
    let stream: TcpStream = socket.into();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

const NEAR: [u8; 4] = [127, 0, 0, 1];
const FAR: [u8; 4] = [127, 0, 0, 2];

/// How the server calls the client of a connection, which `/ws` tells: address and port.
fn name<S: Read + Write>(stream: S, headers: &[(&str, &str)]) -> String {
    let mut options = Connect::new();
    for &(name, value) in headers {
        options = options.header(name, value);
    }
    let mut client = options.over(stream, "ws://localhost/ws").unwrap();
    match client.receive().unwrap() {
        Some(Received::Text(text)) => text.strip_prefix("Welcome ").unwrap().to_owned(),
        other => panic!("{other:?}"),
    }
}

fn port(stream: &TcpStream) -> u16 {
    stream.local_addr().unwrap().port()
}

/// Says something before the first byte of somebody else's, in one segment with it.
struct Announced<S>(S, Vec<u8>);

impl<S: Read> Read for Announced<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl<S: Write> Write for Announced<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut header = std::mem::take(&mut self.1);
        header.extend_from_slice(bytes);
        self.0.write_all(&header)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[test]
fn a_trusted_proxys_header_names_the_client_and_nobody_elses_does() {
    let server = Server::start(&["--trusted-proxy", "127.0.0.1", "--trusted-proxy", "10.0.0.0/8"]);
    let address = server.addresses[0];
    for (header, named) in [
        ("192.0.2.7", "192.0.2.7"),
        ("203.0.113.9, 192.0.2.7, 10.1.2.3", "192.0.2.7"),
        ("203.0.113.9, unknown", "127.0.0.1"),
        ("", "127.0.0.1"),
    ] {
        let stream = from(NEAR, address);
        // A port of the client's own is not known: the proxy's tells its clients apart.
        let wanted = format!("::ffff:{named}{}", port(&stream));
        assert_eq!(name(stream, &[("X-Forwarded-For", header)]), wanted, "{header}");
    }
    let stream = from(NEAR, address);
    assert_eq!(name(stream, &[("X-Forwarded-For", "192.0.2.7:4711")]), "::ffff:192.0.2.74711");
    let stream = from(NEAR, address);
    assert_eq!(
        name(stream, &[("X-Forwarded-For", "[2001:db8::7]:4711")]),
        "2001:db8::74711",
        "as the tutorial writes it"
    );
    let stream = from(FAR, address);
    let wanted = format!("::ffff:127.0.0.2{}", port(&stream));
    assert_eq!(name(stream, &[("X-Forwarded-For", "192.0.2.7")]), wanted);
}

#[test]
fn without_a_trusted_proxy_no_header_is_believed() {
    let server = Server::start(&[]);
    let stream = from(NEAR, server.addresses[0]);
    let wanted = format!("::ffff:127.0.0.1{}", port(&stream));
    let headers = [("X-Forwarded-For", "192.0.2.7"), ("Forwarded", "for=192.0.2.7")];
    assert_eq!(name(stream, &headers), wanted);
}

#[test]
fn of_two_headers_the_one_that_the_proxy_writes_is_read() {
    let headers =
        [("X-Forwarded-For", "192.0.2.1:1"), ("Forwarded", "for=\"192.0.2.2:2\";proto=https")];
    for (flag, named) in [("x-forwarded-for", "192.0.2.11"), ("forwarded", "192.0.2.22")] {
        let server = Server::start(&["--trusted-proxy", "127.0.0.1", "--forwarded-header", flag]);
        let stream = from(NEAR, server.addresses[0]);
        assert_eq!(name(stream, &headers), format!("::ffff:{named}"));
    }
}

#[test]
fn a_proxy_on_a_unix_socket_is_trusted_by_that_name() {
    let path = std::env::temp_dir().join(format!("sockeye-proxied-{}.sock", std::process::id()));
    let flag = path.to_str().unwrap();
    let server = Server::listening(&["--unix", flag, "--trusted-proxy", "unix"], 1);
    let headers = [("X-Forwarded-For", "192.0.2.7:4711")];
    assert_eq!(name(UnixStream::connect(&path).unwrap(), &headers), "::ffff:192.0.2.74711");
    drop(server);
    let _ = std::fs::remove_file(&path);
    let server = Server::listening(&["--unix", flag, "--trusted-proxy", "127.0.0.1"], 1);
    assert_eq!(name(UnixStream::connect(&path).unwrap(), &headers), "unix0");
    drop(server);
    let _ = std::fs::remove_file(&path);
}

/// An upgrade at a path, for a client behind the proxy at 127.0.0.1: the open connection or the refusal's status.
fn behind(server: &Server, path: &str, client: &str) -> Result<Client<TcpStream>, u16> {
    let stream = from(NEAR, server.addresses[0]);
    let options = Connect::new().header("X-Forwarded-For", client);
    match options.over(stream, &format!("ws://localhost{path}")) {
        Ok(client) => Ok(client),
        Err(ClientError::Refused(refusal)) => Err(refusal.status),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn behind_a_proxy_each_client_has_its_own_share() {
    let server =
        Server::start(&["--trusted-proxy", "127.0.0.1", "--max-per-ip", "2", "--shards", "3"]);
    let mine = [behind(&server, "/echo", "192.0.2.7"), behind(&server, "/direct", "192.0.2.7")];
    assert!(mine.iter().all(Result::is_ok));
    for path in ["/echo", "/direct", "/im"] {
        assert_eq!(behind(&server, path, "192.0.2.7").err(), Some(429), "{path}");
    }
    let others: Vec<_> = (1..=20)
        .map(|n| behind(&server, "/im", &format!("192.0.2.7, 198.51.100.{n}")).unwrap())
        .collect();
    // Pages are the proxy's own business to ration, on connections that serve many.
    let mut page = from(NEAR, server.addresses[0]);
    for _ in 0..3 {
        page.write_all(b"HEAD / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n")
            .unwrap();
        let mut status = [0; 15];
        page.read_exact(&mut status).unwrap();
        assert_eq!(&status, b"HTTP/1.1 200 OK");
        let mut rest = [0; 4096];
        while page.read(&mut rest).unwrap() == rest.len() {}
    }
    // Who comes by itself has a share of its own, and is turned away before it says anything.
    let direct: Vec<TcpStream> = (0..2).map(|_| from(FAR, server.addresses[0])).collect();
    let mut third = from(FAR, server.addresses[0]);
    assert_eq!(third.read(&mut [0]).unwrap_or(0), 0);
    drop((direct, others));
    // A place that is given back is somebody's again.
    drop(mine);
    let mut patience = 500;
    while behind(&server, "/direct", "192.0.2.7").is_err() {
        patience -= 1;
        assert!(patience > 0, "nobody is let in any more");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn proxied(arguments: &[&str]) -> Server {
    Server::start(&[&["--proxy-protocol", "--trusted-proxy", "127.0.0.1"], arguments].concat())
}

#[test]
fn the_proxy_protocol_names_the_client_of_a_connection() {
    let server = proxied(&["--shards", "3"]);
    let address = server.addresses[0];
    for header in [V1, V2] {
        let whole = Announced(from(NEAR, address), header.to_vec());
        assert_eq!(name(whole, &[]), "::ffff:192.0.2.74711");
        let mut slow = from(NEAR, address);
        slow.set_nodelay(true).unwrap();
        for &byte in header {
            slow.write_all(&[byte]).unwrap();
        }
        // A stranger's header stays a stranger's.
        assert_eq!(name(slow, &[("X-Forwarded-For", "203.0.113.1")]), "::ffff:192.0.2.74711");
    }
    let client = from(NEAR, address);
    let mut moved =
        Connect::new().over(Announced(client, V2.to_vec()), "ws://localhost/direct").unwrap();
    moved.text(r#"{"type":"online","from":1}"#).unwrap();
    moved.text(r#"{"to":1,"hi":1}"#).unwrap();
    assert_eq!(moved.receive().unwrap(), Some(Received::Text(r#"{"to":1,"hi":1}"#.into())));
}

#[test]
fn a_proxys_own_connections_are_its_own_and_hidden_clients_stay_hidden() {
    let server = proxied(&["--trusted-proxy", "10.0.0.0/8"]);
    let behind = [("X-Forwarded-For", "203.0.113.1:1")];
    for (header, named) in [
        (LOCAL, Some("203.0.113.11")),
        // Two proxies in a row: the first speaks TCP, the second HTTP.
        (b"PROXY TCP4 10.1.1.1 127.0.0.1 4711 443\r\n", Some("203.0.113.11")),
        (b"PROXY UNKNOWN\r\n", None),
    ] {
        let stream = from(NEAR, server.addresses[0]);
        let wanted = match named {
            Some(named) => format!("::ffff:{named}"),
            None => format!("::ffff:127.0.0.1{}", port(&stream)),
        };
        let said = String::from_utf8_lossy(header);
        assert_eq!(name(Announced(stream, header.to_vec()), &behind), wanted, "{said}");
    }
}

/// What the server says to these bytes before it hangs up, as long as it takes.
fn answer(mut stream: TcpStream, bytes: &[u8]) -> Vec<u8> {
    let mut said = Vec::new();
    // It may have hung up already, which is an answer, too.
    let _ = stream.write_all(bytes);
    let _ = stream.read_to_end(&mut said);
    said
}

#[test]
fn without_its_header_or_from_a_stranger_nobody_gets_in() {
    let server = proxied(&["--handshake-timeout", "1s"]);
    let address = server.addresses[0];
    let get = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let with = |header: &[u8]| [header, get].concat();
    assert!(answer(from(NEAR, address), &with(V1)).starts_with(b"HTTP/1.1 200 OK"));
    assert!(answer(from(NEAR, address), &with(LOCAL)).starts_with(b"HTTP/1.1 200 OK"));
    assert_eq!(answer(from(FAR, address), &with(V1)), b"");
    assert_eq!(answer(from(NEAR, address), get), b"");
    assert_eq!(answer(from(NEAR, address), &with(b"PROXY TCP9\r\n")), b"");
    assert_eq!(answer(from(NEAR, address), &with(b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff")), b"");
    // A header that does not come, or does not end, in the time for a handshake.
    assert_eq!(answer(from(NEAR, address), b""), b"");
    assert_eq!(answer(from(NEAR, address), &V2[..20]), b"");
    assert_eq!(answer(from(NEAR, address), b"PROXY TCP4 "), b"");
    // Who leaves in the middle leaves nothing behind.
    from(NEAR, address).shutdown(Shutdown::Write).unwrap();
}

#[test]
fn by_the_proxy_protocol_each_client_has_its_own_share() {
    let server = proxied(&["--max-per-ip", "2", "--shards", "3"]);
    let address = server.addresses[0];
    let header = |n: u8| format!("PROXY TCP4 192.0.2.{n} 127.0.0.1 4711 443\r\n").into_bytes();
    let open = |n: u8| {
        Connect::new().over(Announced(from(NEAR, address), header(n)), "ws://localhost/direct")
    };
    let all: Vec<_> = [7, 7, 8, 8].map(|n| open(n).unwrap()).into();
    assert_eq!(answer(from(NEAR, address), &header(7)), b"");
    // Those who move to another loop keep their names.
    let others: Vec<_> = (10..90).map(|n| open(n).unwrap()).collect();
    drop((all, others));
}

#[test]
fn who_has_announced_nobody_yet_holds_up_no_end() {
    let mut server = proxied(&["--handshake-timeout", "60s"]);
    let mut waiting = from(NEAR, server.addresses[0]);
    waiting.write_all(&V2[..9]).unwrap();
    let open = name(Announced(from(NEAR, server.addresses[0]), V1.to_vec()), &[]);
    assert!(!open.is_empty());
    server.signal("TERM");
    assert_eq!(server.ended(Duration::from_secs(5)).code(), Some(0));
}

#[test]
fn tls_follows_the_proxy_protocol_in_any_cut() {
    let authority = Authority::new("announced");
    let server = authority.serve(&["--proxy-protocol", "--trusted-proxy", "127.0.0.1"]);
    let address = server.addresses[0];
    for header in [V1, V2] {
        // The header and TLS's first words in one segment.
        let whole = Announced(from(NEAR, address), header.to_vec());
        assert_eq!(name(authority.over(whole), &[]), "::ffff:192.0.2.74711");
        // Each by itself.
        let mut apart = from(NEAR, address);
        apart.write_all(header).unwrap();
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(name(authority.over(apart), &[]), "::ffff:192.0.2.74711");
        // Cut within TLS's first record.
        let cut = Announced(Trickle(from(NEAR, address)), header.to_vec());
        assert_eq!(name(authority.over(cut), &[]), "::ffff:192.0.2.74711");
    }
    // What is no TLS is told so, as without a proxy.
    let said = answer(from(NEAR, address), &[V1, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"].concat());
    assert_eq!(said.first(), Some(&0x15), "an alert: {said:?}");
}

/// Sends the first bytes in pieces, each on its own way.
struct Trickle(TcpStream);

impl Read for Trickle {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Trickle {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.set_nodelay(true)?;
        let middle = bytes.len() / 2;
        for piece in [&bytes[..middle], &bytes[middle..]] {
            self.0.write_all(piece)?;
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[test]
fn what_cannot_be_is_told_in_one_sentence() {
    let (code, said) = fails(&["--proxy-protocol"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("--proxy-protocol") && said.contains("trusted-proxy"), "{said}");
    let (code, said) = fails(&["--trusted-proxy", "10.0.0.1/8"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("write 10.0.0.0/8"), "{said}");
}

#[test]
fn who_answers_is_pinged_again_when_the_interval_has_passed_and_not_the_patience() {
    let server = Server::start(&["--ping-interval", "200ms", "--idle-timeout", "10m"]);
    let stream = from(NEAR, server.addresses[0]);
    let mut client = Connect::new().over(stream, "ws://localhost/echo").unwrap();
    for _ in 0..3 {
        assert_eq!(client.receive().unwrap(), Some(Received::Ping(Vec::new())));
    }
}
