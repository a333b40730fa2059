//! Each option of the server, seen from outside. `path` is with the doors.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sockeye::client::{Connect, Received};
use sockeye::net;
use sockeye::proto::deflate::Deflate;
use sockeye::serve::{Message, Options, Server};

use crate::actor::{Actor, Saw, frame};
use crate::probe::*;

#[test]
fn the_defaults_listen_on_loopback_in_both_families() {
    let (probe, _told) = Probe::echo();
    let server = Running::with(Options::default(), probe);
    assert_eq!(Options::default().host.as_deref(), Some("localhost"));
    assert!(server.addresses.iter().all(|it| it.ip().is_loopback()));
    let port = server.addresses[0].port();
    assert!(server.addresses.iter().all(|it| it.port() == port));
    if std::net::TcpListener::bind("[::1]:0").is_ok() {
        assert_eq!(server.addresses.len(), 2);
        Actor::open(*server.addresses.last().unwrap(), "/");
    }
}

#[test]
fn a_host_is_an_address_a_name_or_everything() {
    let listening = |host: Option<&str>| {
        let (probe, _told) = Probe::echo();
        let host = host.map(str::to_owned);
        Server::bind(Options { host, port: 0, ..Options::default() }, probe)
            .map(|server| server.addresses().iter().map(SocketAddr::ip).collect::<Vec<_>>())
    };
    assert_eq!(
        listening(Some("127.0.0.1")).unwrap(),
        ["127.0.0.1".parse::<std::net::IpAddr>().unwrap()]
    );
    let everywhere = listening(None).unwrap();
    assert!(!everywhere.is_empty() && everywhere.iter().all(|ip| ip.is_unspecified()));
    // TEST-NET-1: no machine has it.
    let error = listening(Some("192.0.2.1")).unwrap_err();
    assert!(error.to_string().starts_with("192.0.2.1:0: "), "{error}");
}

#[test]
fn a_port_that_is_taken_is_an_error_that_names_it() {
    let (probe, _told) = Probe::echo();
    let server = Running::with(Options::default(), probe);
    let port = server.addresses[0].port();
    let (probe, _told) = Probe::echo();
    let error = Server::bind(Options { port, ..Options::default() }, probe).unwrap_err();
    assert!(error.to_string().contains(&port.to_string()), "{error}");
}

#[cfg(target_os = "linux")]
#[test]
fn the_backlog_is_the_systems_to_keep() {
    let (probe, _told) = Probe::echo();
    // Not running: nobody is accepted.
    let server =
        Server::bind(Options { port: 0, backlog: 1, ..Options::default() }, probe).unwrap();
    let within = Duration::from_millis(300);
    let held: Vec<_> = (0..8)
        .map(|_| TcpStream::connect_timeout(&server.addresses()[0], within))
        .take_while(Result::is_ok)
        .collect();
    assert!((1..8).contains(&held.len()), "{}", held.len());
}

#[test]
fn a_message_over_max_payload_is_refused_with_1009() {
    let (probe, told) = Probe::echo();
    let server = Running::with(Options { max_payload: 10, ..Options::default() }, probe);
    let mut actor = Actor::open(server.addresses[0], "/");
    actor.text("0123456789");
    actor.watch(1);
    actor.write(&frame(0x01, b"01234", true, None));
    actor.write(&frame(0x80, b"567890", true, None));
    actor.watch(3);
    assert!(matches!(actor.saw[1], Saw::Close(Some(1009), _)), "{:?}", actor.saw);
    opened(&told);
    assert_eq!(next(&told), Told::Text("0123456789".into()));
    let Told::Close { code: 1006, clean: false, fault: Some(fault), .. } = next(&told) else {
        panic!()
    };
    assert_eq!(fault.close_code().as_u16(), 1009);
}

fn deflated(policy: Option<Deflate>) -> (bool, Option<Received>, Running) {
    let (probe, _told) = Probe::new(|socket, message, _| {
        assert_eq!(socket.clients().broadcast(message), 1);
        assert!(socket.send(message).is_taken());
    });
    let options = Options { per_message_deflate: policy, ..Options::default() };
    let server = Running::with(options, probe);
    let mut client = Connect::new()
        .per_message_deflate(Deflate::default())
        .open(&format!("ws://{}/", server.addresses[0]))
        .unwrap();
    let text = "again and again, ".repeat(100);
    client.text(&text).unwrap();
    assert_eq!(client.receive().unwrap(), Some(Received::Text(text)));
    let second = client.receive().unwrap();
    (client.header("Sec-WebSocket-Extensions").is_some(), second, server)
}

#[test]
fn per_message_deflate_is_off_until_it_is_asked_for() {
    let text = Some(Received::Text("again and again, ".repeat(100)));
    let (agreed, heard, _server) = deflated(None);
    assert_eq!((agreed, &heard), (false, &text));
    let takeover = Deflate { server_no_context_takeover: false, ..Deflate::default() };
    for policy in [Deflate::default(), takeover] {
        let (agreed, heard, _server) = deflated(Some(policy));
        assert_eq!((agreed, &heard), (true, &text));
    }
}

#[test]
fn without_client_tracking_nobody_is_known_as_a_whole_but_ids_work() {
    for (client_tracking, others) in [(true, 1), (false, 0)] {
        let (probe, told) = Probe::new(|socket, message, tell| {
            let reached = socket.broadcast(message);
            let known = socket.clients().ids().count();
            tell.send(Told::Note(format!("{reached} of {known}"))).unwrap();
        });
        let server = Running::with(Options { client_tracking, ..Options::default() }, probe);
        let mut first = Actor::open(server.addresses[0], "/");
        let mut second = Actor::open(server.addresses[0], "/");
        let id = opened(&told);
        second.text("x");
        let known = if client_tracking { 2 } else { 0 };
        assert_eq!(note(&told), format!("{others} of {known}"));
        assert_eq!(server.handle.connections(), 2);
        assert!(server.handle.send(id, Message::Text("by id")).is_taken());
        first.watch(1 + others);
        assert_eq!(first.saw.last(), Some(&Saw::Text("by id".into())));
    }
}

#[test]
fn ticks_come_again_and_again() {
    let (probe, told) = Probe::echo();
    let tick = Some(Duration::from_millis(5));
    let _server = Running::with(Options { tick, ..Options::default() }, probe);
    for _ in 0..3 {
        assert_eq!(next(&told), Told::Tick);
    }
}

#[test]
fn more_connections_than_allowed_wait_until_one_ends() {
    let (probe, _told) = Probe::echo();
    let net = net::Limits { connections_max: 1, ..net::Limits::default() };
    let server = Running::with(Options { net, ..Options::default() }, probe);
    let first = Actor::open(server.addresses[0], "/");
    let mut second = Actor::request(server.addresses[0], "GET", "/", &[], b"");
    second.watch_for(1, Duration::from_millis(50));
    assert_eq!(second.saw, []);
    drop(first);
    second.watch(1);
    assert!(matches!(second.saw[..], [Saw::Open { .. }]), "{:?}", second.saw);
}

#[test]
fn a_request_that_never_ends_is_given_up_with_408() {
    let (probe, _told) = Probe::echo();
    let handshake_timeout = Duration::from_millis(30);
    let server = Running::with(Options { handshake_timeout, ..Options::default() }, probe);
    let slow = [("X-Slow".to_owned(), None)];
    let mut actor = Actor::request(server.addresses[0], "GET", "/ HTTP/1.1\r\nX", &slow, b"");
    actor.watch(1);
    assert!(matches!(actor.saw[..], [Saw::Http(400)]), "{:?}", actor.saw);
    let mut quiet = TcpStream::connect(server.addresses[0]).unwrap();
    quiet.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    assert_eq!(std::io::Read::read(&mut quiet, &mut [0; 1]).unwrap(), 0);
    let mut begun = TcpStream::connect(server.addresses[0]).unwrap();
    begun.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    std::io::Write::write_all(&mut begun, b"GET / HTTP/1.1\r\n").unwrap();
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut begun, &mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

#[test]
fn a_silent_client_is_pinged_and_one_that_does_not_answer_given_up() {
    let (probe, told) = Probe::echo();
    let options = Options {
        ping_interval: Duration::from_millis(30),
        idle_timeout: Duration::from_millis(200),
        ..Options::default()
    };
    let server = Running::with(options, probe);
    let begin = Instant::now();
    let mut awake = Actor::open(server.addresses[0], "/");
    let id = opened(&told);
    awake.watch_for(1, Duration::from_millis(500));
    assert_eq!(awake.saw, [], "still open after {:?}", begin.elapsed());
    assert_eq!(next(&told), Told::Pong(Vec::new()));
    // Now it answers no more.
    loop {
        match next(&told) {
            Told::Pong(_) => {}
            told => {
                let fault = None;
                let reason = String::new();
                assert_eq!(told, Told::Close { id, code: 1006, reason, clean: false, fault });
                break;
            }
        }
    }
}

#[test]
fn who_answers_is_pinged_again_when_the_interval_has_passed() {
    let (probe, told) = Probe::echo();
    let options = Options {
        ping_interval: Duration::from_millis(30),
        idle_timeout: Duration::from_secs(600),
        ..Options::default()
    };
    let server = Running::with(options, probe);
    let mut awake = Actor::open(server.addresses[0], "/");
    opened(&told);
    std::thread::scope(|scope| {
        let watching = scope.spawn(|| awake.watch_for(1, Duration::from_secs(2)));
        for _ in 0..3 {
            assert_eq!(next(&told), Told::Pong(Vec::new()));
        }
        watching.join().unwrap();
    });
}

#[test]
fn tls_is_spoken_with_a_given_configuration() {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate =
        rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let file = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("handler-{}.pem", std::process::id()));
    std::fs::write(&file, certificate.pem()).unwrap();
    let certificate: CertificateDer<'static> = certificate.into();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = net::TlsConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let (probe, told) = Probe::echo();
    let options = Options { tls: Some(Arc::new(config)), ..Options::default() };
    let server = Running::with(options, probe);
    let url = format!("wss://localhost:{}/", server.addresses[0].port());
    let mut client = Connect::new().ca_file(&file).open(&url).unwrap();
    let text = "secret".repeat(100_000);
    client.text(&text).unwrap();
    assert!(client.receive().unwrap() == Some(Received::Text(text)));
    assert!(matches!(next(&told), Told::Open { secure: true, .. }));
    std::fs::remove_file(file).unwrap();
}
