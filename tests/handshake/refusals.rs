//! Refusals as they read on the wire, those of the handshake and those of an embedder.

use super::{RFC_REQUEST, refused, with, written};
use sockeye::proto::handshake::{ComposeError, Refusal};

#[test]
fn the_bad_requests_that_clients_were_seen_to_send_get_their_statuses() {
    for (from, to, status) in [
        ("Sec-WebSocket-Version", "Sec-WebSocket-Version: 12", 426),
        ("Sec-WebSocket-Version", "", 426),
        ("Sec-WebSocket-Key", "", 400),
        ("Sec-WebSocket-Key", "Sec-WebSocket-Key: short", 400),
        ("Upgrade", "Upgrade: h2c", 400),
        ("GET", "POST /chat HTTP/1.1", 405),
    ] {
        let refusal = Refusal::from(refused(&with(&RFC_REQUEST, from, to)));
        assert_eq!(refusal.status(), status, "{to}");
        assert!(written(&refusal).contains("\r\nConnection: close"), "{to}");
        let versions = refusal.headers().any(|it| it == ("Sec-WebSocket-Version", "13"));
        assert_eq!(versions, from == "Sec-WebSocket-Version", "{to}");
    }
}

#[test]
fn a_refusal_is_a_whole_response_with_a_plain_reason() {
    assert_eq!(
        written(&refused(&with(&RFC_REQUEST, "Sec-WebSocket-Key", "")).into()),
        "HTTP/1.1 400 Bad Request\r\n\
         Connection: close\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\
         Content-Length: 27\r\n\r\n\
         no Sec-WebSocket-Key header"
    );
    for (status, line) in [
        (403, "HTTP/1.1 403 Forbidden\r\n"),
        (404, "HTTP/1.1 404 Not Found\r\n"),
        (413, "HTTP/1.1 413 Content Too Large\r\n"),
        (431, "HTTP/1.1 431 Request Header Fields Too Large\r\n"),
        (599, "HTTP/1.1 599 \r\n"),
    ] {
        assert!(written(&Refusal::new(status, "no")).starts_with(line));
    }
}

#[test]
fn a_refusal_takes_a_callbacks_status_body_and_headers() {
    let refusal = Refusal::new(401, String::from("<p>caf\u{e9}"))
        .header("Content-Type", "text/html")
        .and_then(|refusal| refusal.header("WWW-Authenticate", "Basic"))
        .unwrap();
    assert_eq!((refusal.status(), refusal.body()), (401, "<p>caf\u{e9}"));
    assert_eq!(
        written(&refusal),
        "HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 8\r\n\
         Content-Type: text/html\r\nWWW-Authenticate: Basic\r\n\r\n<p>caf\u{e9}"
    );
}

#[test]
fn a_refusal_never_looks_like_consent() {
    for status in [0, 100, 101, 200, 204, 299, 304, 600, 999] {
        assert_eq!(Refusal::new(status, "").status(), 500, "{status}");
    }
    for status in [300, 302, 400, 503, 599] {
        assert_eq!(Refusal::new(status, "").status(), status);
    }
}

#[test]
fn a_refusals_headers_cannot_end_their_line_nor_frame_the_body_anew() {
    let header = |name: &'static str, value| Refusal::new(403, "no").header(name, value).err();
    assert_eq!(header("X", "a\r\nb"), Some(ComposeError::HeaderValue("X".into())));
    assert_eq!(header("X Y", "a"), Some(ComposeError::HeaderName("X Y".into())));
    for name in ["connection", "Content-Length", "Transfer-Encoding"] {
        assert_eq!(header(name, "1"), Some(ComposeError::Reserved(name.into())));
    }
    assert_eq!(header("X", "a\tb"), None);
}

#[test]
fn every_refusal_says_its_own_length_and_nothing_of_the_peers_bytes() {
    let head = with(&RFC_REQUEST, "Host", "Host: <script>");
    let answer = written(&refused(&head).into());
    assert!(!answer.contains("script"));
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(&format!("Content-Length: {}", body.len())));
}
