//! How the program behaves: its start, its end, its errors, and what one bad client can do to others.

use std::time::{Duration, Instant};

use crate::actor::{Actor, Saw, frame};
use crate::process::{Server, fails};

#[test]
fn the_page_and_its_health_are_served() {
    let server = Server::start(&[]);
    for (target, status) in
        [("/", 200), ("/healthz", 200), ("/readyz", 200), ("/nowhere", 404), ("/echo", 426)]
    {
        let none = ["Upgrade", "Connection"].map(|name| (name.to_owned(), None));
        let mut browser = Actor::request(server.addresses[0], "GET", target, &none, b"");
        browser.watch(2);
        assert_eq!(browser.saw[0], Saw::Http(status), "{target}");
    }
}

#[test]
fn a_port_in_use_is_one_sentence_with_its_remedy_and_status_1() {
    let server = Server::start(&[]);
    let (status, said) = fails(&["--listen", &server.addresses[0].to_string()]);
    assert_eq!(status, Some(1));
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("--listen") && said.contains(&server.addresses[0].to_string()), "{said}");
}

#[test]
fn a_bad_flag_ends_with_status_2() {
    let (status, said) = fails(&["--listen", "nowhere"]);
    assert_eq!(status, Some(2));
    assert!(said.contains("--listen"), "{said}");
}

#[test]
fn sigterm_says_1001_to_everybody_and_ends_with_status_0() {
    let mut server = Server::start(&[]);
    let mut clients: Vec<Actor> =
        (0..50).map(|_| Actor::open(server.addresses[0], "/broadcast")).collect();
    clients[0].text("hello");
    clients[1].watch(1);
    server.signal("TERM");
    for (at, client) in clients.iter_mut().enumerate() {
        client.watch(usize::from(at > 0) + 2);
        let saw = &client.saw[client.saw.len() - 2..];
        assert!(matches!(saw, [Saw::Close(Some(1001), _), Saw::TcpEnd]), "{saw:?}");
    }
    assert_eq!(server.ended(Duration::from_secs(5)).code(), Some(0));
}

#[test]
fn sigterm_ends_within_the_grace_whoever_does_not_answer() {
    let mut server = Server::start(&["--grace", "1"]);
    let _silent = Actor::open(server.addresses[0], "/echo").without_auto_close();
    server.signal("TERM");
    assert_eq!(server.ended(Duration::from_secs(5)).code(), Some(0));
}

#[test]
fn only_allowed_origins_connect() {
    let server = Server::start(&["--origin", "https://example.com"]);
    let from = |origin: &str| {
        let header = [("Origin".to_owned(), Some(origin.to_owned()))];
        let mut actor = Actor::request(server.addresses[0], "GET", "/echo", &header, b"");
        actor.watch(1);
        actor.saw.remove(0)
    };
    assert!(matches!(from("https://example.com"), Saw::Open { .. }));
    assert_eq!(from("https://evil.example"), Saw::Http(403));
}

#[test]
fn a_room_or_name_that_may_not_be_is_refused_before_the_upgrade() {
    let server = Server::start(&[]);
    for query in ["room=@inbox", "user=a%0Ab", "room=%00"] {
        let target = format!("/ws?{query}");
        let mut actor = Actor::request(server.addresses[0], "GET", &target, &[], b"");
        actor.watch(2);
        assert_eq!(actor.saw, [Saw::Http(400), Saw::TcpEnd], "{query}");
    }
}

#[test]
fn an_echo_that_is_never_read_costs_bounded_memory() {
    let server = Server::start(&[]);
    let mut good = Actor::open(server.addresses[0], "/echo");
    let before = server.memory();
    let mut greedy = Actor::open(server.addresses[0], "/echo");
    let message = frame(0x82, &[7; 60_000], true, None);
    greedy.patience(Duration::from_millis(300));
    let begin = Instant::now();
    for _ in 0..4000 {
        if !greedy.write_some(&message) || begin.elapsed() > Duration::from_secs(5) {
            break;
        }
    }
    let grown = server.memory().saturating_sub(before);
    assert!(grown < 16 << 20, "{grown} bytes for a client that never reads");
    good.text("still there?");
    good.watch(1);
    assert_eq!(good.saw, [Saw::Text("still there?".into())]);
}

#[test]
fn one_that_never_reads_a_broadcast_does_not_hold_up_the_others() {
    let server = Server::start(&[]);
    let _deaf = Actor::open(server.addresses[0], "/broadcast");
    let mut listener = Actor::open(server.addresses[0], "/broadcast");
    let mut speaker = Actor::open(server.addresses[0], "/broadcast");
    let before = server.memory();
    for round in 0..600 {
        speaker.write(&frame(0x82, &[7; 50_000], true, None));
        listener.watch(1);
        assert_eq!(listener.saw, [Saw::Binary(vec![7; 50_000])], "round {round}");
        listener.saw.clear();
    }
    let grown = server.memory().saturating_sub(before);
    assert!(grown < 16 << 20, "{grown} bytes for a client that never reads");
}

#[test]
fn a_request_that_never_ends_is_given_up() {
    let server = Server::start(&["--handshake-timeout", "1"]);
    let slow = [("X-Slow".to_owned(), Some("x\r\nX".to_owned()))];
    let mut actor =
        Actor::request(server.addresses[0], "GET", "/echo HTTP/1.1\r\nX: y", &slow, b"");
    actor.watch(2);
    assert!(matches!(actor.saw[..], [Saw::Http(400 | 408), Saw::TcpEnd]), "{:?}", actor.saw);
}

#[test]
fn a_deflate_that_is_on_is_agreed_on() {
    let server = Server::start(&["--deflate"]);
    let mut client = sockeye::client::Connect::new()
        .per_message_deflate(sockeye::proto::deflate::Deflate::default())
        .open(&format!("ws://{}/echo", server.addresses[0]))
        .unwrap();
    let text = "said again and again, ".repeat(50);
    client.text(&text).unwrap();
    let received = client.receive().unwrap();
    assert_eq!(received, Some(sockeye::client::Received::Text(text)));
    assert!(client.header("Sec-WebSocket-Extensions").is_some());
}
