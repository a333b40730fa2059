//! What cannot begin: one sentence, with its remedy, and a status.

use std::io::{Read, Write};
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
    sentence(&[":8080/echo"], 2, &["write localhost:8080/echo"]);
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
fn a_url_without_a_scheme_is_ws() {
    let server = Server::start(&[]);
    let run = bench(&[server.url("/echo").trim_start_matches("ws://"), "-n", "5"]);
    assert_eq!(run.status, Some(0), "{}", run.said);
}

#[test]
fn what_may_help_is_said() {
    let moved = "HTTP/1.1 301 Moved\r\nLocation: https://example.com/x\r\n\r\n";
    for (answer, part) in [
        ("HTTP/1.1 401 Unauthorized\r\n\r\n", "--header 'Authorization: ...'"),
        (moved, "it sends you to wss://example.com/x"),
        ("HTTP/1.1 200 OK\r\n\r\n", "no WebSocket"),
        ("SSH-2.0-OpenSSH_9.6\r\n\r\n", "is there a WebSocket server on this port"),
        ("", "is there a WebSocket server on this port"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("ws://{}/", listener.local_addr().unwrap());
        let peer = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        });
        sentence(&[&url], 1, &[part]);
        peer.join().unwrap();
    }
}

#[test]
fn a_server_without_tls_that_waits_for_more_is_found_out() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("wss://{}/", listener.local_addr().unwrap());
    let peer = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"SSH-2.0-OpenSSH_9.6\r\n").unwrap();
        // Neither read nor closed while the run lasts.
        stream
    });
    sentence(&[&url, "--timeout", "300ms"], 1, &["does it speak TLS there?"]);
    drop(peer.join().unwrap());
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
