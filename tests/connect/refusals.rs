//! Why there is no connection: a sentence with its remedy, the server's own words, and a status.

use std::net::TcpListener;

use crate::peer::scripted;
use crate::process::{Server, begin_command, command, say};

/// What it says when it cannot connect.
#[track_caller]
fn sentence(arguments: &[&str], status: i32, parts: &[&str]) -> String {
    let run = say(arguments);
    run.expect(status, "");
    for part in parts {
        assert!(run.said.contains(part), "{part:?} in {}", run.said);
    }
    run.said
}

fn answering(answer: &'static str) -> crate::peer::Scripted<String> {
    scripted(move |mut peer| {
        let request = peer.request();
        peer.send(answer);
        request
    })
}

#[test]
fn a_refusal_is_told_with_status_and_body() {
    let server = Server::start(&["--origin", "https://example.com"]);
    let url = server.url("/echo");
    let said = sentence(
        &[&url, "--origin", "https://evil.example"],
        1,
        &["answered 403 Forbidden", "--origin"],
    );
    assert!(said.lines().count() >= 2, "the body is there: {said}");
    say(&[&url, "--origin", "https://example.com", "-m", "hi", "--exit-after", "1"])
        .expect(0, "hi\n");
}

#[test]
fn a_body_cannot_drive_the_terminal() {
    let peer = answering("HTTP/1.1 500 \x1b[31mred\r\nContent-Length: 9\r\n\r\na\r\n\x1b]0;b\x07");
    let run = say(&[&peer.url()]);
    assert_eq!(run.status, Some(1));
    assert!(!run.said.contains(['\x1b', '\x07', '\r']), "{:?}", run.said);
    let peer = answering("HTTP/1.1 500 Oops\r\nContent-Length: 9\r\n\r\na\r\n\x1b]0;b\x07");
    let run = say(&[&peer.url()]);
    assert!(run.said.ends_with("answered 500 Oops\n  a\n  \\x1b]0;b\\x07\n"), "{:?}", run.said);
}

#[test]
fn what_may_help_is_said() {
    for (answer, parts) in [
        ("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", &["401", "--user"][..]),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", &["404", "path"]),
        ("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage", &["200 OK", "no WebSocket", "  page"]),
        (
            "HTTP/1.1 301 Moved\r\nLocation: https://example.com/x\r\nContent-Length: 0\r\n\r\n",
            &["301", "wss://example.com/x"],
        ),
        ("SSH-2.0-OpenSSH_9.6\r\n\r\n", &["is there a WebSocket server on this port?"]),
    ] {
        let peer = answering(answer);
        sentence(&[&peer.url()], 1, parts);
    }
}

#[test]
fn nobody_listens() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let said =
        sentence(&[&nobody.to_string()], 1, &[&nobody.to_string(), "is the server running?"]);
    assert_eq!(said.lines().count(), 1, "{said}");
    sentence(&["ws://localhost/", "--unix", "/no/such.sock"], 1, &["/no/such.sock"]);
    sentence(&["ws://no-such-host.invalid/"], 1, &["cannot find the host", "no-such-host.invalid"]);
}

#[test]
fn nobody_answers() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    sentence(&[&url, "--timeout", "200ms"], 1, &["within 200ms", "--timeout"]);
}

#[test]
fn a_port_without_tls_is_suspected() {
    let server = Server::start(&[]);
    let url = format!("wss://{}/echo", server.address);
    sentence(&[&url], 1, &["no TLS on this port", &server.url("/echo")]);
}

#[test]
fn what_cannot_be_is_status_2() {
    sentence(&["ftp://localhost/"], 2, &["ws or wss"]);
    sentence(&["ws://localhost/#x"], 2, &["%23"]);
    sentence(&["ws://localhost/", "-H", "nonsense"], 2, &["NAME: VALUE"]);
    sentence(&["ws://localhost/", "-H", "Bad Name: x"], 2, &["Bad Name"]);
    sentence(&["ws://localhost/", "--user", "me"], 2, &["SOCKEYE_PASSWORD"]);
    sentence(&["ws://localhost/", "-m", "x", "--binary"], 2, &["-m"]);
    sentence(&["wss://localhost/", "--unix", "/x"], 2, &["Unix"]);
    sentence(&["ws://localhost/", "--linger", "soon"], 2, &["--linger"]);
    sentence(&["ws://localhost/", "--json", "--raw"], 2, &["--raw"]);
}

#[test]
fn help_teaches_by_examples_and_groups() {
    let run = say(&["--help"]);
    assert_eq!(run.status, Some(0));
    for part in [
        "Examples:",
        "Exit status:",
        "Sending:",
        "Output:",
        "Connection:",
        "End and reconnect:",
        "jq",
    ] {
        assert!(run.out.contains(part), "{part:?}");
    }
}

#[test]
fn a_password_is_in_no_list_of_processes_and_in_no_error() {
    let peer = answering("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
    let mut quiet = command(&[&peer.url(), "--user", "me"]);
    quiet.env("SOCKEYE_PASSWORD", "p@ss");
    let run = begin_command(quiet).end();
    run.expect(1, "");
    assert!(run.said.contains("does not know this name and password"), "{}", run.said);
    // "me:p@ss"
    assert_eq!(crate::peer::header(&peer.join(), "Authorization"), Some("Basic bWU6cEBzcw=="));
    let run = say(&["ws://me:hush@127.0.0.1:1/"]);
    assert!(!run.said.contains("hush"), "{}", run.said);
}

#[test]
fn who_hangs_up_or_speaks_tls_is_suspected_to_be_no_websocket_server() {
    let peer = scripted(drop);
    sentence(&[&peer.url()], 1, &["is there a WebSocket server on this port?", "wss://"]);
    let peer = scripted(drop);
    sentence(&[&peer.url().replace("ws", "wss")], 1, &["does it speak TLS on this port?"]);
    // An alert of TLS about a request that is none of its records.
    let peer = scripted(|mut peer| {
        peer.request();
        peer.send([0x15, 3, 1, 0, 2, 2, 70]);
    });
    sentence(&[&peer.url()], 1, &[&format!("write wss://{}/", peer.address)]);
}

#[test]
fn a_port_without_a_host_is_asked_for_one() {
    for (given, meant) in [
        ("8080", "localhost:8080"),
        (":8080/echo?x", "localhost:8080/echo?x"),
        ("/echo", "localhost:8080/echo"),
    ] {
        let said = sentence(&[given], 2, &["names no host"]);
        assert!(said.ends_with(&format!("write {meant}\n")), "{said}");
    }
}
