//! Who comes in, by which door, and who is turned away with which words.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use sockeye::serve::{Options, Refusal, Server};

use crate::actor::{Actor, Saw, frame};
use crate::probe::*;

const REQUEST: &str = "GET /ws?a=1 HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

/// All that a server says to a request and nothing more.
fn answer(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn verify_refuses_with_the_status_body_and_headers_that_it_gives() {
    let (probe, told) = Probe::echo();
    let server = Running::with(
        Options::default(),
        probe.verify(|opening| match opening.header("authorization") {
            Some(b"Bearer secret") => Ok(()),
            Some(_) => Err(Refusal::new(403, "not you")),
            None => {
                Err(Refusal::new(401, "who are you").header("WWW-Authenticate", "Bearer").unwrap())
            }
        }),
    );
    let at = server.addresses[0];
    let refused = answer(at, &format!("{REQUEST}\r\n"));
    assert!(refused.starts_with("HTTP/1.1 401 Unauthorized\r\n"), "{refused}");
    assert!(refused.contains("\r\nWWW-Authenticate: Bearer\r\n"), "{refused}");
    assert!(refused.ends_with("\r\n\r\nwho are you"), "{refused}");
    let refused = answer(at, &format!("{REQUEST}Authorization: Basic YTpi\r\n\r\n"));
    assert!(refused.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{refused}");

    let secret = [("Authorization".to_owned(), Some("Bearer secret".to_owned()))];
    let mut actor = Actor::request(at, "GET", "/", &secret, b"");
    actor.watch(1);
    assert!(matches!(actor.saw[..], [Saw::Open { accept_ok: true, .. }]), "{:?}", actor.saw);
    // Who was refused was never open.
    assert!(matches!(next(&told), Told::Open { path, .. } if path == "/"));
}

#[test]
fn verify_sees_path_query_origin_and_address() {
    let (probe, told) = Probe::echo();
    let (saw, seen) = std::sync::mpsc::channel();
    let server = Running::with(
        Options::default(),
        probe.verify(move |opening| {
            let line = format!(
                "{} {:?} {:?} {} {:?}",
                opening.path(),
                opening.query(),
                opening.origin(),
                opening.is_secure(),
                opening.subprotocol()
            );
            saw.send((line, opening.remote())).unwrap();
            Ok(())
        }),
    );
    let origin = [("Origin".to_owned(), Some("https://a.example".to_owned()))];
    let mut actor = Actor::request(server.addresses[0], "GET", "/x/y?z=1", &origin, b"");
    actor.watch(1);
    let (line, remote) = seen.recv_timeout(Duration::from_secs(20)).unwrap();
    assert_eq!(line, r#"/x/y Some("z=1") Some("https://a.example") false None"#);
    assert_eq!(remote.port(), actor.port());
    let Told::Open { path, query, remote, secure, .. } = next(&told) else { panic!() };
    assert_eq!((&*path, query.as_deref(), secure), ("/x/y", Some("z=1"), false));
    assert_eq!(remote, SocketAddr::from(([127, 0, 0, 1], actor.port())));
}

#[test]
fn another_path_than_the_one_of_the_options_is_refused_with_400() {
    let (probe, _told) = Probe::echo();
    let server = Running::with(
        Options { path: Some("/ws".into()), ..Options::default() },
        // What is refused for its path is not even asked about.
        probe.verify(|opening| {
            assert_eq!(opening.path(), "/ws");
            Ok(())
        }),
    );
    for (target, status) in [("/", 400), ("/ws/", 400), ("/WS", 400), ("/w", 400)] {
        let mut actor = Actor::request(server.addresses[0], "GET", target, &[], b"");
        actor.watch(2);
        assert_eq!(actor.saw, [Saw::Http(status), Saw::TcpEnd], "{target}");
    }
    Actor::open(server.addresses[0], "/ws?room=1");
}

#[test]
fn what_is_no_request_for_a_websocket_is_told_so() {
    let (probe, _told) = Probe::echo();
    let server = Running::with(Options::default(), probe);
    let at = server.addresses[0];
    for (request, status) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 426),
        ("POST / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        ("nonsense\r\n\r\n", 400),
    ] {
        let answer = answer(at, request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {answer}");
    }
}

#[test]
fn a_head_beyond_the_limits_is_refused() {
    let (probe, _told) = Probe::echo();
    let head = sockeye::proto::handshake::HeadLimits { head_bytes_max: 300, ..Default::default() };
    let server = Running::with(Options { head, ..Options::default() }, probe);
    let long = format!("{REQUEST}X: {}\r\n\r\n", "x".repeat(300));
    let answer = answer(server.addresses[0], &long);
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

fn agreed(offered: Option<&str>, known: &[&'static str]) -> Option<String> {
    let (probe, _told) = Probe::echo();
    let server = Running::with(Options::default(), probe.protocols(known));
    let offer = offered.map(|it| ("Sec-WebSocket-Protocol".to_owned(), Some(it.to_owned())));
    let headers: Vec<_> = offer.into_iter().collect();
    let mut actor = Actor::request(server.addresses[0], "GET", "/", &headers, b"");
    actor.watch(1);
    match actor.saw.remove(0) {
        Saw::Open { accept_ok: true, protocol } => protocol,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_handler_chooses_among_the_subprotocols_that_are_offered() {
    assert_eq!(agreed(Some("a, b"), &[]).as_deref(), Some("a"));
    assert_eq!(agreed(Some("a, b"), &["b", "a"]).as_deref(), Some("a"));
    assert_eq!(agreed(Some("a, b"), &["b"]).as_deref(), Some("b"));
    assert_eq!(agreed(Some("a, b"), &["c"]), None);
    assert_eq!(agreed(None, &["c"]), None);
}

#[test]
fn a_subprotocol_that_was_not_offered_is_the_handlers_mistake_and_not_sent() {
    struct Wrong;
    impl sockeye::serve::Handler for Wrong {
        fn select_protocol<'o>(
            &mut self,
            _: &[&'o str],
            _: &sockeye::serve::Opening<'_>,
        ) -> Option<&'o str> {
            Some("other")
        }
        fn on_message(
            &mut self,
            _: &mut sockeye::serve::Socket<'_>,
            _: sockeye::serve::Message<'_>,
        ) {
        }
    }
    let server = Running::with(Options::default(), Wrong);
    let refused =
        answer(server.addresses[0], &format!("{REQUEST}Sec-WebSocket-Protocol: a\r\n\r\n"));
    assert!(refused.starts_with("HTTP/1.1 500 "), "{refused}");
}

#[test]
fn a_frame_in_the_requests_segment_is_heard_after_the_opening() {
    let (probe, told) = Probe::echo();
    let server = Running::with(Options::default(), probe);
    let early = frame(0x81, b"early", true, None);
    let mut actor = Actor::request(server.addresses[0], "GET", "/", &[], &early);
    actor.watch(2);
    assert!(matches!(actor.saw[..], [Saw::Open { .. }, Saw::Text(_)]), "{:?}", actor.saw);
    opened(&told);
    assert_eq!(next(&told), Told::Text("early".into()));
}

#[test]
fn a_socket_that_was_accepted_elsewhere_is_adopted_with_what_was_read_of_it() {
    let (probe, told) = Probe::echo();
    let server = Running::with(Options { no_server: true, ..Options::default() }, probe);
    assert_eq!(server.addresses, []);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // Nothing, a part of the head, and the head with a frame behind it.
    for parts in [0, 30, usize::MAX] {
        let early = frame(0x81, b"early", true, None);
        let address = listener.local_addr().unwrap();
        let mut actor = Actor::request(address, "GET", "/adopted", &[], &early);
        let (mut stream, _) = listener.accept().unwrap();
        let mut read = vec![0; parts.min(4096)];
        let n = if parts == 0 { 0 } else { stream.read(&mut read).unwrap() };
        server.handle.adopt(stream, &read[..n]).unwrap();
        actor.watch(2);
        assert!(matches!(actor.saw[..], [Saw::Open { .. }, Saw::Text(_)]), "{:?}", actor.saw);
        let Told::Open { path, remote, .. } = next(&told) else { panic!() };
        assert_eq!((&*path, remote.port()), ("/adopted", actor.port()));
        assert_eq!(next(&told), Told::Text("early".into()));
        drop(actor);
        assert!(matches!(next(&told), Told::Close { code: 1006, clean: false, .. }));
    }
}

#[test]
fn a_server_that_has_ended_adopts_nobody() {
    let (probe, _told) = Probe::echo();
    let server = Running::with(Options::default(), probe);
    let (handle, at) = (server.handle.clone(), server.addresses[0]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    handle.stop();
    server.ends();
    let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let error = handle.adopt(listener.accept().unwrap().0, b"").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotConnected);
    assert!(TcpStream::connect(at).is_err());
}

#[test]
fn a_listener_of_ones_own_is_served() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (probe, _told) = Probe::echo();
    let server = Running::start(Server::on(listener, Options::default(), probe).unwrap());
    assert_eq!(server.addresses, [address]);
    let mut actor = Actor::open(address, "/");
    actor.text("hello");
    actor.watch(1);
    assert_eq!(actor.saw, [Saw::Text("hello".into())]);
}
