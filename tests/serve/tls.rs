//! The same server behind TLS: its certificate, its page, its chat, and how it is renewed.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::json;
use sockeye::client::{Client, ClientError, Connect, Received};

use crate::actor::frame;
use crate::chatter::{CHAT, Chatter};
use crate::process::{Server, fails};

/// An authority with the files of a server that it has vouched for.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("serve-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let authority = Self { issuer, folder };
        std::fs::write(authority.path("ca"), authority.issuer.pem()).unwrap();
        authority.renew();
        authority
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(format!("{name}.pem")).to_str().unwrap().to_owned()
    }

    /// Writes a new certificate and key where the old ones were.
    fn renew(&self) {
        let key = KeyPair::generate().unwrap();
        let names = ["127.0.0.1", "::1", "localhost"].map(str::to_owned);
        let certificate =
            CertificateParams::new(names).unwrap().signed_by(&key, &self.issuer).unwrap();
        std::fs::write(self.path("cert"), certificate.pem()).unwrap();
        std::fs::write(self.path("key"), key.serialize_pem()).unwrap();
    }

    pub(crate) fn serve(&self, arguments: &[&str]) -> Server {
        let (cert, key) = (self.path("cert"), self.path("key"));
        Server::start(&[&["--tls-cert", &cert, "--tls-key", &key], arguments].concat())
    }

    fn connect(&self) -> Connect {
        Connect::new().ca_file(self.path("ca")).max_payload(64 << 20)
    }

    fn open(&self, server: &Server, target: &str) -> Client {
        let mut client =
            self.connect().open(&format!("wss://{}{target}", server.addresses[0])).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(30)));
        client
    }

    fn chatter(&self, server: &Server, target: &str) -> Chatter {
        let url = format!("wss://{}{target}", server.addresses[0]);
        Chatter::of(self.connect().subprotocol(CHAT).open(&url).unwrap())
    }

    /// A bare TLS connection.
    fn secure(&self, address: SocketAddr) -> Secure {
        let tcp = TcpStream::connect(address).unwrap();
        tcp.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        BufReader::new(self.over(tcp))
    }

    /// TLS over whatever there is, before its first byte.
    pub(crate) fn over<S: Read + Write>(&self, stream: S) -> StreamOwned<ClientConnection, S> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let config =
            ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(roots)
                .with_no_client_auth();
        let name = "localhost".try_into().unwrap();
        StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), stream)
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

type Secure = BufReader<StreamOwned<ClientConnection, TcpStream>>;

/// Status, head and body of the next response.
fn response(stream: &mut impl BufRead, has_body: bool) -> (u16, String, Vec<u8>) {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(stream.read_line(&mut head).unwrap() > 0, "the server hung up after {head:?}");
    }
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let len = field(&head, "Content-Length").map_or(0, |len| len.parse().unwrap());
    let mut body = vec![0; if has_body { len } else { 0 }];
    stream.read_exact(&mut body).unwrap();
    (status, head, body)
}

fn field(head: &str, name: &str) -> Option<String> {
    head.lines()
        .filter_map(|line| line.split_once(": "))
        .find_map(|(known, value)| known.eq_ignore_ascii_case(name).then(|| value.to_owned()))
}

fn certificate(client: &Client) -> CertificateDer<'static> {
    client.stream().tls_session().unwrap().peer_certificates().unwrap()[0].clone()
}

#[test]
fn two_chat_over_tls() {
    let authority = Authority::new("chat");
    for shards in ["1", "4"] {
        let server = authority.serve(&["--shards", shards]);
        assert!(server.urls.iter().all(|url| url.starts_with("https://")), "{:?}", server.urls);
        let mut alice = authority.chatter(&server, "/chat?user=alice&room=tea");
        assert_eq!(alice.until("hello")["user"], "alice");
        alice.until("joined");
        let mut bob = authority.chatter(&server, "/chat?user=bob&room=tea");
        bob.until("joined");
        assert_eq!(alice.until("presence")["user"], "bob");
        bob.say("tea", &json!("behind closed doors"));
        bob.until("ack");
        assert_eq!(alice.until("message")["body"], "behind closed doors");
        let mut plain = authority.open(&server, "/broadcast?room=tea");
        alice.say("tea", &json!("to all"));
        assert_eq!(plain.receive().unwrap(), Some(Received::Text("to all".into())));
    }
}

#[test]
fn the_page_is_had_by_https_on_one_connection() {
    let authority = Authority::new("page");
    let server = authority.serve(&[]);
    let mut stream = authority.secure(server.addresses[0]);
    let mut tags = Vec::new();
    for target in ["/", "/chat.js", "/chat.css", "/healthz"] {
        stream
            .get_mut()
            .write_all(format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes())
            .unwrap();
        let (status, head, body) = response(&mut stream, true);
        assert_eq!(status, 200, "{target}");
        assert!(!body.is_empty());
        tags.extend(field(&head, "ETag").map(|tag| (target, tag)));
    }
    assert_eq!(tags.len(), 3);
    for (target, tag) in tags {
        let request = format!("GET {target} HTTP/1.1\r\nHost: x\r\nIf-None-Match: {tag}\r\n\r\n");
        stream.get_mut().write_all(request.as_bytes()).unwrap();
        assert_eq!(response(&mut stream, false).0, 304, "{target}");
    }
    // Who speaks plainly at this door is not served.
    let mut plain = TcpStream::connect(server.addresses[0]).unwrap();
    plain.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP/"), "{answer:?}");
}

#[test]
fn frames_behind_the_request_move_with_their_connection() {
    let authority = Authority::new("early");
    let server = authority.serve(&["--shards", "4"]);
    for round in 0..12 {
        let mut stream = authority.secure(server.addresses[0]);
        let mut request =
            b"GET /direct HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
                .to_vec();
        for message in [r#"{"type":"online","from":"me"}"#, r#"{"to":"me","round":1}"#] {
            request.extend_from_slice(&frame(0x81, message.as_bytes(), true, None));
        }
        stream.get_mut().write_all(&request).unwrap();
        assert_eq!(response(&mut stream, false).0, 101, "round {round}");
        let mut message = vec![0; 2 + r#"{"to":"me","round":1}"#.len()];
        stream.read_exact(&mut message).unwrap();
        assert_eq!(&message[2..], br#"{"to":"me","round":1}"#);
        // And it goes on there.
        stream.get_mut().write_all(&frame(0x81, br#"{"to":"me"}"#, true, None)).unwrap();
        let mut message = [0; 13];
        stream.read_exact(&mut message).unwrap();
        assert_eq!(&message[2..], br#"{"to":"me"}"#);
    }
}

#[test]
fn large_messages_pass_both_ways() {
    let authority = Authority::new("large");
    let server = authority.serve(&["--shards", "4"]);
    let large: Vec<u8> = (0..=250).cycle().take(10_000_000).collect();
    let mut echo = authority.open(&server, "/echo");
    let mut listener = authority.open(&server, "/broadcast");
    let mut speaker = authority.open(&server, "/broadcast");
    for _ in 0..2 {
        echo.binary(&large).unwrap();
        assert!(echo.receive().unwrap() == Some(Received::Binary(large.clone())));
        speaker.binary(&large).unwrap();
        assert!(listener.receive().unwrap() == Some(Received::Binary(large.clone())));
    }
}

#[test]
fn a_renewed_certificate_is_for_new_connections_and_the_old_ones_live() {
    let authority = Authority::new("renewed");
    let server = authority.serve(&["--shards", "2"]);
    let mut old = authority.open(&server, "/echo");
    let first = certificate(&old);
    authority.renew();
    server.signal("HUP");
    let begin = Instant::now();
    let second = loop {
        let now = certificate(&authority.open(&server, "/echo"));
        if now != first {
            break now;
        }
        assert!(begin.elapsed() < Duration::from_secs(10), "the old one is still shown");
        std::thread::sleep(Duration::from_millis(10));
    };
    // Every loop shows it.
    for _ in 0..12 {
        assert_eq!(certificate(&authority.open(&server, "/echo")), second);
    }
    old.text("still here").unwrap();
    assert_eq!(old.receive().unwrap(), Some(Received::Text("still here".into())));
    // One that cannot be used changes nothing.
    std::fs::write(authority.path("cert"), "no certificate").unwrap();
    server.signal("HUP");
    std::thread::sleep(Duration::from_millis(300));
    for _ in 0..4 {
        let mut client = authority.open(&server, "/echo");
        assert_eq!(certificate(&client), second);
        client.text("as before").unwrap();
        assert_eq!(client.receive().unwrap(), Some(Received::Text("as before".into())));
    }
    // And the next good one is taken again.
    authority.renew();
    server.signal("HUP");
    let begin = Instant::now();
    while certificate(&authority.open(&server, "/echo")) == second {
        assert!(begin.elapsed() < Duration::from_secs(10), "the renewed one is not shown");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn sigterm_says_goodbye_over_tls() {
    let authority = Authority::new("goodbye");
    let mut server = authority.serve(&["--shards", "4"]);
    let mut clients: Vec<Client> =
        (0..12).map(|at| authority.open(&server, ["/echo", "/im"][at % 2])).collect();
    server.signal("TERM");
    for client in &mut clients {
        let Some(Received::Close(code, _)) = client.receive().unwrap() else {
            panic!("no close frame")
        };
        assert_eq!(code.map(|code| code.as_u16()), Some(1001));
        assert_eq!(client.receive().unwrap(), None);
    }
    assert_eq!(server.ended(Duration::from_secs(10)).code(), Some(0));
}

#[test]
fn who_does_not_know_the_authority_does_not_come_in() {
    let (authority, other) = (Authority::new("mine"), Authority::new("theirs"));
    let server = authority.serve(&[]);
    let error = other.connect().open(&format!("wss://{}/echo", server.addresses[0]));
    assert!(matches!(error, Err(ClientError::Tls(_))), "{error:?}");
}

#[test]
fn a_certificate_that_cannot_be_used_is_one_sentence_and_status_1() {
    let (authority, other) = (Authority::new("pair"), Authority::new("pairs"));
    for (cert, key, word) in [
        ("/no/such/file.pem".to_owned(), authority.path("key"), "/no/such/file.pem"),
        (authority.path("cert"), other.path("key"), "not that of"),
        (authority.path("key"), authority.path("cert"), "no certificate"),
    ] {
        let (status, said) =
            fails(&["--listen", "127.0.0.1:0", "--tls-cert", &cert, "--tls-key", &key]);
        assert_eq!(status, Some(1), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.contains(word), "{said}");
    }
}
