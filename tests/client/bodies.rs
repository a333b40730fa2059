//! Refused upgrades: status, headers and body come to the caller, whatever the server does with the body.

use std::time::{Duration, Instant};

use sockeye::client::{ClientError, Connect, Refusal};

use crate::opening::trickle;
use crate::peer::*;

/// What `answer` becomes; the server keeps the connection open until the client ends it.
fn refused(answer: impl AsRef<[u8]>) -> Refusal {
    let answer = answer.as_ref().to_vec();
    let server = scripted(move |mut peer| {
        peer.request();
        peer.send(&answer);
        assert!(peer.is_at_end());
    });
    let refusal = refusal(&server, &connect());
    server.join();
    refusal
}

fn refusal<T>(server: &Scripted<T>, options: &Connect) -> Refusal {
    match fails(server, options) {
        ClientError::Refused(refusal) => *refusal,
        error => panic!("{error:?}"),
    }
}

#[test]
fn a_refusal_has_status_reason_headers_and_a_body_of_declared_length() {
    let refusal = refused(
        "HTTP/1.1 401 Who are you\r\nWWW-Authenticate: Bearer\r\nContent-Length: 4\r\n\r\nshut",
    );
    assert_eq!((refusal.status, &*refusal.reason), (401, "Who are you"));
    assert_eq!(refusal.header("www-authenticate"), Some("Bearer"));
    assert_eq!(refusal.body, b"shut");
    let error = ClientError::Refused(Box::new(refusal)).to_string();
    assert_eq!(error, "upgrade refused with 401 Who are you");
}

#[test]
fn a_redirect_is_a_refusal_that_says_where_to_go() {
    let refusal = refused("HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n");
    assert_eq!((refusal.status, refusal.header("location")), (302, Some("/there")));
}

#[test]
fn a_chunked_body_ends_with_its_last_chunk() {
    let head = "HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n";
    for end in ["0\r\n\r\n", "0\r\nTrailer: 1\r\n\r\n"] {
        let refusal = refused(format!("{head}5\r\nHello\r\n7\r\n, world\r\n{end}"));
        assert_eq!(refusal.body, b"Hello, world");
    }
}

#[test]
fn a_body_without_a_length_ends_with_the_connection() {
    let server = scripted(|mut peer| {
        peer.request();
        peer.send("HTTP/1.1 500 Broken\r\n\r\nfirst, ").send("then");
    });
    assert_eq!(refusal(&server, &connect()).body, b"first, then");
}

#[test]
fn a_body_is_kept_up_to_64_kib() {
    let page = vec![b'x'; 1 << 20];
    for head in
        ["Content-Length: 1048576\r\n\r\n", "\r\n", "Transfer-Encoding: chunked\r\n\r\n100000\r\n"]
    {
        let head = format!("HTTP/1.1 500 Broken\r\n{head}");
        let long = page.clone();
        let server = scripted(move |mut peer| {
            peer.request();
            // The client does not wait for all of it.
            let _ = std::io::Write::write_all(&mut peer.stream, &[head.as_bytes(), &long].concat());
        });
        assert_eq!(refusal(&server, &connect()).body, &page[..64 * 1024]);
    }
}

#[test]
fn a_body_that_never_ends_stops_at_the_deadline_and_is_a_refusal_all_the_same() {
    for head in [
        "HTTP/1.1 503 Busy\r\n\r\n",
        "HTTP/1.1 503 Busy\r\nContent-Length: 60000\r\n\r\n",
        "HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n1;",
    ] {
        let server = scripted(move |mut peer| {
            peer.request();
            trickle(&mut peer.stream, head.as_bytes(), b'x');
        });
        let begin = Instant::now();
        let refusal = refusal(&server, &connect().connect_timeout(Duration::from_millis(60)));
        assert_eq!(refusal.status, 503);
        assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
        server.join();
    }
}

#[test]
fn a_body_that_ends_early_is_what_there_was() {
    let server = scripted(|mut peer| {
        peer.request();
        peer.send("HTTP/1.1 500 Broken\r\nContent-Length: 10\r\n\r\ncut");
    });
    assert_eq!(refusal(&server, &connect()).body, b"cut");
}
