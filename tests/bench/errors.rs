//! What cannot begin: one sentence, with its remedy, and a status.

use std::net::TcpListener;

use crate::process::{Server, bench};

#[track_caller]
fn sentence(arguments: &[&str], status: i32, parts: &[&str]) {
    let run = bench(arguments);
    assert_eq!(run.status, Some(status), "{}{}", run.out, run.said);
    assert_eq!(run.said.lines().count(), 1, "{}", run.said);
    assert_eq!(run.out, "");
    for part in parts {
        assert!(run.said.contains(part), "{part:?} in {}", run.said);
    }
}

#[test]
fn a_port_where_nobody_listens() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("ws://{nobody}/");
    for mode in ["echo", "broadcast", "idle", "handshake"] {
        sentence(&[&url, "-m", mode], 1, &[&nobody.to_string(), "is the server running?"]);
    }
}

#[test]
fn a_url_that_is_none() {
    sentence(&["localhost:8080"], 2, &["localhost:8080", "ws"]);
    sentence(&["ftp://localhost/"], 2, &["ws or wss"]);
    sentence(&["ws://localhost/#x"], 2, &["%23"]);
}

#[test]
fn a_host_that_nobody_knows() {
    sentence(&["ws://no-such-host.invalid/"], 1, &["no-such-host.invalid"]);
}

#[test]
fn a_page_that_is_no_websocket() {
    let server = Server::start(&["--origin", "https://example.com"]);
    let wrong = ["-H", "Origin: https://evil.example"];
    sentence(&[&[&*server.url("/echo")][..], &wrong].concat(), 1, &["/echo", "403"]);
    let good = ["-H", "Origin: https://example.com", "-n", "5"];
    assert_eq!(bench(&[&[&*server.url("/echo")][..], &good].concat()).status, Some(0));
}

#[test]
fn more_connections_than_files_may_be_open() {
    // No system allows four million unasked, but one may allow everything.
    let run = bench(&["ws://127.0.0.1:1/", "-m", "idle", "-c", "4000000"]);
    if run.said.contains("file descriptors") {
        assert_eq!(run.status, Some(2));
        assert!(run.said.contains("ulimit -n 4000"), "{}", run.said);
        assert_eq!(run.said.lines().count(), 1);
    }
}

#[test]
fn options_that_do_not_fit_together() {
    let url = "ws://127.0.0.1:1/";
    sentence(&[url, "-m", "broadcast", "-s", "5"], 2, &["--size", "11"]);
    sentence(&[url, "-m", "broadcast", "--template", "x"], 2, &["{pad}"]);
    sentence(&[url, "-m", "idle", "--rate", "5"], 2, &["--rate"]);
    sentence(&[url, "-m", "idle", "-n", "5"], 2, &["--duration"]);
    sentence(&[url, "-H", "nonsense"], 2, &["NAME: VALUE"]);
    sentence(&[url, "--source-ip", "here"], 2, &["--source-ip", "here"]);
    for bad in [&["-d", "10y"][..], &["--depth", "0"], &["-c", "0"], &["--text", "--binary"]] {
        let run = bench(&[&[url], bad].concat());
        assert_eq!(run.status, Some(2), "{bad:?}");
        assert!(run.said.contains("error:"), "{}", run.said);
    }
}

#[test]
fn a_process_that_is_not_there() {
    sentence(&["ws://127.0.0.1:1/", "--pid", "4000000"], 2, &["4000000"]);
}

#[test]
fn help_teaches_by_examples() {
    let run = bench(&["--help"]);
    assert_eq!(run.status, Some(0));
    for part in ["Examples:", "Exit status:", "--source-ip", "broadcast", "sockeye bench ws://"] {
        assert!(run.out.contains(part), "{part:?}");
    }
}

#[test]
fn certificates_that_cannot_be_read() {
    sentence(&["wss://127.0.0.1:1/", "--ca", "no-such-file.pem"], 2, &["no-such-file.pem"]);
    sentence(&["wss://127.0.0.1:1/", "--ca", "Cargo.toml"], 2, &["Cargo.toml", "no certificate"]);
    sentence(&["ws://127.0.0.1:1/", "--ca", "Cargo.toml"], 2, &["--ca", "wss://"]);
}

#[test]
fn bytes_without_frames_where_nothing_would_tell_messages_apart() {
    let url = "ws://127.0.0.1:1/";
    for more in [&["-s", "10"][..], &["-m", "broadcast"], &["-m", "idle"], &["-m", "handshake"]] {
        sentence(&[&[url, "--raw"], more].concat(), 2, &["--raw", "--mode echo", "at least 11"]);
    }
}
