//! The server's side: what is accepted, what is refused and how the refusal reads.

use super::{RFC_REQUEST, RFC_RESPONSE, refused, request, serve, text, wire, with, written};
use sockeye::proto::handshake::{
    Answer, ComposeError, GrammarError, HeadError, Request, RequestError,
};

fn status(head: &[u8]) -> u16 {
    refused(head).status()
}

fn accept(head: &[u8], answer: &Answer<'_>) -> Result<String, ComposeError> {
    let request = request(head).ok().flatten().expect("the head is whole");
    let upgrade = request.upgrade().expect("the request is a good one");
    let mut out = b"before".to_vec();
    let result = upgrade.accept(answer, &mut out);
    match result {
        Ok(()) => Ok(text(out.split_off(6))),
        Err(error) => {
            assert_eq!(out, b"before", "nothing is written before all is judged");
            Err(error)
        }
    }
}

#[test]
fn the_request_of_the_rfc_gets_the_response_of_the_rfc_byte_for_byte() {
    assert_eq!(serve(&wire(&RFC_REQUEST)), Ok(text(wire(&RFC_RESPONSE))));
}

#[test]
fn a_request_is_laid_open() {
    let head = with(&RFC_REQUEST, "GET", "GET /chat/a%20b?room=1&x=?y HTTP/1.1");
    let request = request(&head).unwrap().unwrap();
    assert_eq!(request.method(), "GET");
    assert_eq!(request.minor_version(), 1);
    assert_eq!(request.target(), "/chat/a%20b?room=1&x=?y");
    assert_eq!(request.path(), "/chat/a%20b");
    assert_eq!(request.query(), Some("room=1&x=?y"));
    assert_eq!(request.host(), Some("server.example.com"));
    assert_eq!(request.origin(), Some("http://example.com"));
    assert_eq!(request.headers().count(), 7);
    assert!(request.header("upgrade").eq([&b"websocket"[..]]));
    assert!(request.subprotocols().eq([&b"chat"[..], b"superchat"]));
    assert!(request.wants_websocket());
    let upgrade = request.upgrade().unwrap();
    assert_eq!(upgrade.key(), "dGhlIHNhbXBsZSBub25jZQ==");
    assert_eq!(upgrade.subprotocols(), ["chat", "superchat"]);
    assert!(upgrade.extensions().is_empty());
}

#[test]
fn an_absolute_target_has_the_path_of_its_uri() {
    for (target, path, query) in [
        ("http://a.example/chat?x=1", "/chat", Some("x=1")),
        ("HTTPS://a.example:80/chat", "/chat", None),
        ("ws://a.example", "/", None),
        ("wss://a.example?x", "/", Some("x")),
        ("/", "/", None),
        ("/?", "/", Some("")),
        ("/a://b?c://d", "/a://b", Some("c://d")),
    ] {
        let head = with(&RFC_REQUEST, "GET", &format!("GET {target} HTTP/1.1"));
        let request = request(&head).unwrap().unwrap();
        assert_eq!((request.path(), request.query()), (path, query), "{target}");
        assert!(request.upgrade().is_ok(), "{target}");
    }
}

#[test]
fn a_target_that_is_no_path_is_refused() {
    for target in ["*", "chat", "a.example:80", "ftp://a/b", "http://", "/chat#top", "?a=/b"] {
        let head = with(&RFC_REQUEST, "GET", &format!("GET {target} HTTP/1.1"));
        assert_eq!(refused(&head), RequestError::Target, "{target}");
    }
}

#[test]
fn a_method_other_than_get_is_refused_with_405_and_what_is_allowed() {
    for method in ["POST", "HEAD", "OPTIONS", "get", "G", "CONNECT", "PRI"] {
        let head = with(&RFC_REQUEST, "GET", &format!("{method} /chat HTTP/1.1"));
        assert_eq!(refused(&head), RequestError::Method, "{method}");
    }
    let answer = written(&RequestError::Method.into());
    assert!(answer.starts_with("HTTP/1.1 405 Method Not Allowed\r\n"));
    assert!(answer.contains("\r\nAllow: GET\r\n"));
}

#[test]
fn http_before_1_1_and_after_it_is_refused_with_505() {
    let old = with(&RFC_REQUEST, "GET", "GET /chat HTTP/1.0");
    assert_eq!(refused(&old), RequestError::HttpVersion(0));
    for version in ["HTTP/2.0", "HTTP/0.9", "HTTP/1.2"] {
        let head = with(&RFC_REQUEST, "GET", &format!("GET /chat {version}"));
        assert_eq!(refused(&head), RequestError::Head(HeadError::Version));
        assert_eq!(status(&head), 505);
    }
    assert_eq!(status(&old), 505);
}

#[test]
fn a_malformed_request_line_is_refused() {
    for line in ["GET", "GET /chat", "GET  /chat HTTP/1.1", "G@T / HTTP/1.1", "GET / http/1.1"] {
        let head = with(&RFC_REQUEST, "GET", line);
        assert!(
            matches!(refused(&head), RequestError::Head(HeadError::StartLine | HeadError::Version)),
            "{line}"
        );
    }
}

#[test]
fn a_host_stands_once_and_names_a_host() {
    let host = |line: &str| refused(&with(&RFC_REQUEST, "Host", line));
    assert_eq!(host(""), RequestError::Missing("Host"));
    assert_eq!(host("Host: a\r\nhost: a"), RequestError::Duplicate("Host"));
    for bad in ["Host:", "Host: ", "Host: a b", "Host: a, b", "Host: a/b", "Host: u@a"] {
        assert_eq!(host(bad), RequestError::Host, "{bad}");
    }
    for good in ["Host: a", "HOST:a:80", "Host: \t [::1]:8080 \t"] {
        assert!(serve(&with(&RFC_REQUEST, "Host", good)).is_ok(), "{good}");
    }
}

#[test]
fn an_upgrade_header_lists_websocket_in_any_case_on_any_line() {
    for good in [
        "Upgrade: WebSocket",
        "upgrade:WEBSOCKET",
        "Upgrade: h2c, websocket",
        "Upgrade: h2c\r\nUpgrade: websocket",
        "Upgrade:\t websocket \t",
    ] {
        assert!(serve(&with(&RFC_REQUEST, "Upgrade", good)).is_ok(), "{good}");
    }
    for bad in ["Upgrade: h2c", "Upgrade:", "Upgrade: websockets", "Upgrade: web socket"] {
        let head = with(&RFC_REQUEST, "Upgrade", bad);
        assert_eq!(refused(&head), RequestError::OtherUpgrade, "{bad}");
        assert_eq!(status(&head), 400);
    }
}

#[test]
fn a_request_without_an_upgrade_is_told_to_upgrade_with_426() {
    let head = with(&RFC_REQUEST, "Upgrade", "");
    assert_eq!(refused(&head), RequestError::NoUpgrade);
    assert_eq!(
        written(&RequestError::NoUpgrade.into()),
        "HTTP/1.1 426 Upgrade Required\r\n\
         Connection: close, Upgrade\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\
         Content-Length: 48\r\n\
         Upgrade: websocket\r\n\r\n\
         only WebSocket is spoken here: no Upgrade header"
    );
    assert!(!request(&head).unwrap().unwrap().wants_websocket());
}

#[test]
fn a_connection_header_lists_upgrade_in_any_case_on_any_line() {
    for good in [
        "Connection: keep-alive, Upgrade",
        "connection:keep-alive,upgrade",
        "Connection: UPGRADE",
        "Connection: keep-alive\r\nConnection: Upgrade",
        "Connection: , Upgrade ,",
    ] {
        assert!(serve(&with(&RFC_REQUEST, "Connection", good)).is_ok(), "{good}");
    }
    for bad in ["", "Connection: keep-alive", "Connection: upgraded", "Connection: Upgrade;x"] {
        let head = with(&RFC_REQUEST, "Connection", bad);
        assert_eq!(refused(&head), RequestError::Connection, "{bad}");
    }
}

#[test]
fn another_version_is_refused_with_426_and_the_one_that_is_spoken() {
    let version = |line: &str| refused(&with(&RFC_REQUEST, "Sec-WebSocket-Version", line));
    for bad in ["", "Sec-WebSocket-Version: 12", "Sec-WebSocket-Version:"] {
        assert_eq!(version(bad), RequestError::Version, "{bad}");
    }
    for bad in ["8", "013", "13.0", "+13", "13, 8", "thirteen", "130"] {
        let line = format!("Sec-WebSocket-Version: {bad}");
        assert_eq!(version(&line), RequestError::Version, "{bad}");
    }
    assert_eq!(
        written(&RequestError::Version.into()),
        "HTTP/1.1 426 Upgrade Required\r\n\
         Connection: close, Upgrade\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\
         Content-Length: 38\r\n\
         Upgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\n\r\n\
         Sec-WebSocket-Version header is not 13"
    );
}

#[test]
fn a_version_stands_once() {
    let twice = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 13";
    assert_eq!(
        refused(&with(&RFC_REQUEST, "Sec-WebSocket-Version", twice)),
        RequestError::Duplicate("Sec-WebSocket-Version")
    );
}

#[test]
fn a_key_stands_once_and_is_base64_of_16_bytes() {
    let key = |line: &str| refused(&with(&RFC_REQUEST, "Sec-WebSocket-Key", line));
    assert_eq!(key(""), RequestError::Missing("Sec-WebSocket-Key"));
    assert_eq!(key("Sec-WebSocket-Key:"), RequestError::Key(0));
    assert_eq!(key("Sec-WebSocket-Key: short"), RequestError::Key(5));
    assert_eq!(key("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j"), RequestError::Key(20));
    assert_eq!(key("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQAA"), RequestError::Key(24));
    assert_eq!(key("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ\u{e9}=="), RequestError::Key(25));
    let twice = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                 sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==";
    assert_eq!(key(twice), RequestError::Duplicate("Sec-WebSocket-Key"));
}

#[test]
fn spaces_round_a_key_are_not_of_the_key() {
    let head = with(
        &RFC_REQUEST,
        "Sec-WebSocket-Key",
        "SEC-WEBSOCKET-KEY:\t  dGhlIHNhbXBsZSBub25jZQ== \t",
    );
    assert!(serve(&head).unwrap().contains(": s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
}

#[test]
fn an_origin_is_optional_and_stands_once_and_is_text() {
    assert!(serve(&with(&RFC_REQUEST, "Origin", "")).is_ok());
    assert!(serve(&with(&RFC_REQUEST, "Origin", "Origin: null")).is_ok());
    assert_eq!(
        refused(&with(&RFC_REQUEST, "Origin", "Origin: http://a\r\nOrigin: http://b")),
        RequestError::Duplicate("Origin")
    );
    let mut head = wire(&RFC_REQUEST);
    let at = head.windows(6).position(|part| part == b"Origin").unwrap();
    head[at + 10] = 0xFF;
    assert_eq!(request(&head).unwrap().unwrap().origin(), None);
    assert_eq!(refused(&head), RequestError::Origin);
}

#[test]
fn a_request_with_a_body_is_refused_because_frames_follow_the_head() {
    let body = |line: &str| serve(&with(&RFC_REQUEST, "Origin", line));
    assert!(body("Content-Length: 0").is_ok());
    assert_eq!(body("Content-Length: 1"), Err(RequestError::Body));
    assert_eq!(body("Transfer-Encoding: chunked"), Err(RequestError::Body));
    assert_eq!(RequestError::Body.status(), 413);
    for bad in ["-1", "+0", "0x0", "", "0, 0", "99999999999999999999"] {
        let line = format!("Content-Length: {bad}");
        assert_eq!(body(&line), Err(RequestError::ContentLength), "{bad}");
    }
    assert_eq!(
        body("Content-Length: 0\r\nContent-Length: 0"),
        Err(RequestError::Duplicate("Content-Length"))
    );
}

#[test]
fn subprotocols_are_read_over_several_lines_in_order() {
    let head = with(
        &RFC_REQUEST,
        "Sec-WebSocket-Protocol",
        "Sec-WebSocket-Protocol: v2 ,v1\r\nsec-websocket-protocol: , V1",
    );
    let request = request(&head).unwrap().unwrap();
    let upgrade = request.upgrade().unwrap();
    assert_eq!(upgrade.subprotocols(), ["v2", "v1", "V1"]);
    assert_eq!(upgrade.first_subprotocol(), Some("v2"));
}

#[test]
fn subprotocols_are_tokens_and_all_different() {
    let protocol = |value: &str| {
        let line = format!("Sec-WebSocket-Protocol: {value}");
        refused(&with(&RFC_REQUEST, "Sec-WebSocket-Protocol", &line))
    };
    for bad in ["a b", "a/b", "a;b", "\"a\"", "caf\u{e9}", "", ","] {
        assert_eq!(protocol(bad), RequestError::Subprotocol, "{bad}");
    }
    for bad in ["a, a", "a, b, a", "b\r\nSec-WebSocket-Protocol: b"] {
        assert_eq!(protocol(bad), RequestError::DuplicateSubprotocol, "{bad}");
    }
}

#[test]
fn malformed_extensions_are_refused_and_well_formed_ones_listed() {
    let head = with(
        &RFC_REQUEST,
        "Origin",
        "Sec-WebSocket-Extensions: permessage-deflate; a=\"1\", x\r\nSec-WebSocket-Extensions: y",
    );
    let request = request(&head).unwrap().unwrap();
    let upgrade = request.upgrade().unwrap();
    let names: Vec<_> = upgrade.extensions().iter().map(|it| it.name).collect();
    assert_eq!(names, ["permessage-deflate", "x", "y"]);
    assert_eq!(
        refused(&with(&RFC_REQUEST, "Origin", "Sec-WebSocket-Extensions: a;;b")),
        RequestError::Extensions(GrammarError::NotToken { line: 0, at: 2 })
    );
}

#[test]
fn of_several_faults_the_first_in_the_documented_order_is_told() {
    let post = wire(&["POST / HTTP/1.0", ""]);
    assert_eq!(refused(&post), RequestError::Method);
    assert_eq!(refused(&wire(&["GET x HTTP/1.0", ""])), RequestError::HttpVersion(0));
    assert_eq!(refused(&wire(&["GET / HTTP/1.1", ""])), RequestError::Missing("Host"));
    let mut lines = vec!["GET / HTTP/1.1", "Host: a", ""];
    for (expected, line) in [
        (RequestError::NoUpgrade, "Upgrade: websocket"),
        (RequestError::Connection, "Connection: Upgrade"),
        (RequestError::Version, "Sec-WebSocket-Version: 13"),
        (RequestError::Missing("Sec-WebSocket-Key"), "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
    ] {
        assert_eq!(refused(&wire(&lines)), expected);
        lines.insert(1, line);
    }
    assert!(serve(&wire(&lines)).is_ok());
}

#[test]
fn a_request_that_somebody_else_has_read_is_judged_alike() {
    let headers: [(&str, &[u8]); 5] = [
        ("host", b"a"),
        ("upgrade", b"websocket"),
        ("connection", b"upgrade"),
        ("sec-websocket-version", b"13"),
        ("sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let request = Request::from_parts("GET", "/x?y", 1, headers);
    assert_eq!((request.path(), request.head_len()), ("/x", 0));
    assert!(request.upgrade().is_ok());
    let without = Request::from_parts("GET", "/x", 1, headers.into_iter().skip(1));
    assert_eq!(without.upgrade().err(), Some(RequestError::Missing("Host")));
}

#[test]
fn an_answer_carries_extensions_and_headers_with_exactly_one_space() {
    let head = with(&RFC_REQUEST, "Origin", "Sec-WebSocket-Extensions: permessage-deflate");
    let answer = Answer {
        subprotocol: Some("superchat"),
        extensions: Some("permessage-deflate; server_no_context_takeover"),
        headers: &[("Server", "  sockeye "), ("Set-Cookie", "a=b")],
    };
    assert_eq!(
        accept(&head, &answer).unwrap(),
        "HTTP/1.1 101 Switching Protocols\r\n\
         Upgrade: websocket\r\n\
         Connection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
         Sec-WebSocket-Protocol: superchat\r\n\
         Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n\
         Server: sockeye\r\n\
         Set-Cookie: a=b\r\n\r\n"
    );
}

#[test]
fn an_answer_chooses_only_what_was_offered() {
    let head = with(&RFC_REQUEST, "Origin", "Sec-WebSocket-Extensions: x");
    let subprotocol = |name| Answer { subprotocol: Some(name), ..Answer::default() };
    for name in ["other", "Chat", "", "chat\r\nX: y"] {
        assert_eq!(
            accept(&head, &subprotocol(name)),
            Err(ComposeError::UnofferedSubprotocol(name.into()))
        );
    }
    let extensions = |value| Answer { extensions: Some(value), ..Answer::default() };
    assert!(accept(&head, &extensions("x; any=1")).is_ok());
    assert_eq!(
        accept(&head, &extensions("x, y")),
        Err(ComposeError::UnofferedExtension("y".into()))
    );
    for bad in ["", "x\r\nY: z", "x; a=\"\r\n\""] {
        let result = accept(&head, &extensions(bad));
        assert!(matches!(result, Err(ComposeError::Extensions(_))), "{bad:?}");
    }
}

#[test]
fn an_answers_headers_cannot_end_their_line_nor_speak_for_the_handshake() {
    let header = |name, value| {
        let headers = [("Server", "fine"), (name, value)];
        let answer = Answer { headers: &headers, ..Answer::default() };
        accept(&wire(&RFC_REQUEST), &answer).unwrap_err()
    };
    for value in ["a\r\nb: c", "a\n", "\r", "a\0", "\x7F", "\x1B[0m"] {
        assert_eq!(header("X", value), ComposeError::HeaderValue("X".into()), "{value:?}");
    }
    for name in ["", "a b", "a:", "a\r\nb", "a\0", "caf\u{e9}"] {
        assert_eq!(header(name, "v"), ComposeError::HeaderName(name.into()), "{name:?}");
    }
    for name in [
        "upgrade",
        "Connection",
        "Sec-WebSocket-Accept",
        "SEC-WEBSOCKET-PROTOCOL",
        "Sec-WebSocket-Extensions",
        "Content-Length",
        "transfer-encoding",
    ] {
        assert_eq!(header(name, "v"), ComposeError::Reserved(name.into()));
    }
}
