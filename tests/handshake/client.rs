//! The client's side: what is asked, and what is made of the answer.

use super::{RFC_REQUEST, RFC_RESPONSE, answered, rfc_client, serve, text, wire, with};
use sockeye::proto::handshake::{
    ClientRequest, ComposeError, GrammarError, HeadError, HeadLimits, Refused, ResponseError,
    ResponseReader,
};

fn write(request: &ClientRequest<'_>) -> Result<String, ComposeError> {
    let mut out = b"before".to_vec();
    match request.write(&mut out) {
        Ok(()) => Ok(text(out.split_off(6))),
        Err(error) => {
            assert_eq!(out, b"before", "nothing is written before all is judged");
            Err(error)
        }
    }
}

fn plain() -> ClientRequest<'static> {
    ClientRequest::new("a.example", "/", *b"the sample nonce")
}

fn wrong(from: &str, to: &str) -> ResponseError {
    answered(&rfc_client(), &with(&RFC_RESPONSE, from, to)).expect_err("this answer is wrong")
}

fn refusal(head: &[u8]) -> Refused {
    match answered(&plain(), head) {
        Err(ResponseError::Refused(refused)) => refused,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn the_request_of_the_rfc_is_written_byte_for_byte() {
    assert_eq!(write(&rfc_client()), Ok(text(wire(&RFC_REQUEST))));
}

#[test]
fn the_response_of_the_rfc_opens_the_connection() {
    let answer = wire(&RFC_RESPONSE);
    assert_eq!(answered(&rfc_client(), &answer), Ok(Some("chat".into())));
}

#[test]
fn offers_and_headers_are_written_with_exactly_one_space() {
    let request = ClientRequest {
        extensions: Some("permessage-deflate; client_max_window_bits"),
        headers: &[("Authorization", " Bearer x "), ("Cookie", "a=b")],
        ..plain()
    };
    assert_eq!(
        write(&request).unwrap(),
        "GET / HTTP/1.1\r\n\
         Host: a.example\r\n\
         Upgrade: websocket\r\n\
         Connection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\
         Authorization: Bearer x\r\n\
         Cookie: a=b\r\n\r\n"
    );
}

#[test]
fn what_cannot_stand_in_a_request_is_refused_before_anything_is_written() {
    for host in ["", "a b", "a\r\nX: y", "a/b", "u@a", "a, b"] {
        let request = ClientRequest { host, ..plain() };
        assert_eq!(write(&request), Err(ComposeError::Host(host.into())));
    }
    for target in ["", "chat", "http://a/", "/a b", "/a\r\nX: y", "/a#b", "/caf\u{e9}", "/\0"] {
        let request = ClientRequest { target, ..plain() };
        assert_eq!(write(&request), Err(ComposeError::Target(target.into())));
    }
    let origin = ClientRequest { origin: Some("http://a\r\nX: y"), ..plain() };
    assert_eq!(write(&origin), Err(ComposeError::HeaderValue("Origin".into())));
    for name in ["", "a b", "a,b", "a\r\n"] {
        let request = ClientRequest { subprotocols: &["fine", name], ..plain() };
        assert_eq!(write(&request), Err(ComposeError::Subprotocol(name.into())));
    }
    let twice = ClientRequest { subprotocols: &["a", "b", "a"], ..plain() };
    assert_eq!(write(&twice), Err(ComposeError::DuplicateSubprotocol("a".into())));
    let extensions = ClientRequest { extensions: Some("a;"), ..plain() };
    assert_eq!(
        write(&extensions),
        Err(ComposeError::Extensions(GrammarError::NotToken { line: 0, at: 2 }))
    );
}

#[test]
fn a_requests_headers_cannot_end_their_line_nor_speak_for_the_handshake() {
    let header = |name, value| {
        let headers = [(name, value)];
        let request = ClientRequest { headers: &headers, ..plain() };
        write(&request)
    };
    assert_eq!(header("X", "a\r\nY: z"), Err(ComposeError::HeaderValue("X".into())));
    assert_eq!(header("X:", "a"), Err(ComposeError::HeaderName("X:".into())));
    for name in ["Host", "upgrade", "Connection", "Sec-WebSocket-Key", "sec-websocket-version"] {
        assert_eq!(header(name, "a"), Err(ComposeError::Reserved(name.into())));
    }
    assert!(header("Origin", "null").is_ok());
    let twice =
        ClientRequest { origin: Some("http://a"), headers: &[("origin", "http://b")], ..plain() };
    assert_eq!(write(&twice), Err(ComposeError::Reserved("origin".into())));
}

#[test]
fn an_answer_in_other_letters_and_spaces_opens_the_connection_too() {
    let answer = wire(&[
        "HTTP/1.1 101 ",
        "UPGRADE:WebSocket",
        "connection: keep-alive",
        "connection:\tupgrade \t",
        "sec-websocket-accept:s3pPLMBiTxaQ9kYGzzhZRbK+xOo=  ",
        "",
    ]);
    assert_eq!(answered(&rfc_client(), &answer), Ok(None));
}

#[test]
fn an_answer_without_upgrade_websocket_fails() {
    assert_eq!(wrong("Upgrade", ""), ResponseError::Upgrade);
    assert_eq!(wrong("Upgrade", "Upgrade: h2c"), ResponseError::Upgrade);
    assert_eq!(wrong("Upgrade", "Upgrade: websocket, h2c"), ResponseError::Upgrade);
    let twice = "Upgrade: websocket\r\nUpgrade: websocket";
    assert_eq!(wrong("Upgrade", twice), ResponseError::Duplicate("Upgrade"));
}

#[test]
fn an_answer_without_connection_upgrade_fails() {
    assert_eq!(wrong("Connection", ""), ResponseError::Connection);
    assert_eq!(wrong("Connection", "Connection: close"), ResponseError::Connection);
}

#[test]
fn an_accept_that_is_missing_wrong_or_there_twice_fails() {
    let name = "Sec-WebSocket-Accept";
    assert_eq!(wrong(name, ""), ResponseError::MissingAccept);
    for bad in [
        "",
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo",
        "S3PPLMBITXAQ9KYGZZHZRBK+XOO=",
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOp=",
        "dGhlIHNhbXBsZSBub25jZQ==",
    ] {
        let line = format!("{name}: {bad}");
        assert_eq!(wrong(name, &line), ResponseError::WrongAccept, "{bad}");
    }
    let good = format!("{name}: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    let twice = format!("{good}\r\n{good}");
    assert_eq!(wrong(name, &twice), ResponseError::Duplicate(name));
}

#[test]
fn a_subprotocol_that_was_not_offered_fails() {
    let name = "Sec-WebSocket-Protocol";
    for bad in ["other", "Chat", "", "chat, superchat"] {
        assert_eq!(
            wrong(name, &format!("{name}: {bad}")),
            ResponseError::UnofferedSubprotocol(bad.into())
        );
    }
    assert_eq!(
        answered(&plain(), &wire(&RFC_RESPONSE)),
        Err(ResponseError::UnofferedSubprotocol("chat".into()))
    );
    let twice = format!("{name}: chat\r\n{name}: chat");
    assert_eq!(wrong(name, &twice), ResponseError::Duplicate(name));
}

#[test]
fn no_subprotocol_where_some_were_offered_is_legal() {
    let answer = with(&RFC_RESPONSE, "Sec-WebSocket-Protocol", "");
    assert_eq!(answered(&rfc_client(), &answer), Ok(None));
}

#[test]
fn an_extension_that_was_not_offered_fails() {
    let with_extensions = |value: &str| {
        let line = format!("Sec-WebSocket-Extensions: {value}");
        with(&RFC_RESPONSE, "Sec-WebSocket-Protocol", &line)
    };
    let asked = ClientRequest {
        extensions: Some("permessage-deflate; client_max_window_bits, x"),
        ..plain()
    };
    let head = with_extensions("permessage-deflate; server_max_window_bits=\"10\"");
    let mut reader = ResponseReader::new(&asked, HeadLimits::default());
    let response = reader.read(&head).unwrap().unwrap();
    let chosen = response.extensions().first().unwrap();
    assert_eq!(chosen.name, "permessage-deflate");
    assert_eq!(chosen.params.first().unwrap().value.as_deref(), Some("10"));

    assert_eq!(
        answered(&asked, &with_extensions("x, y")),
        Err(ResponseError::UnofferedExtension("y".into()))
    );
    assert_eq!(
        answered(&plain(), &with_extensions("permessage-deflate")),
        Err(ResponseError::UnofferedExtension("permessage-deflate".into()))
    );
    assert_eq!(
        answered(&asked, &with_extensions("x y")),
        Err(ResponseError::Extensions(GrammarError::NotSeparator { line: 0, at: 2 }))
    );
}

#[test]
fn a_101_before_http_1_1_fails() {
    let error = wrong("HTTP", "HTTP/1.0 101 Switching Protocols");
    assert_eq!(error, ResponseError::HttpVersion(0));
}

#[test]
fn a_refused_upgrade_is_handed_over_as_status_reason_headers_and_where_the_body_begins() {
    let mut answer =
        wire(&["HTTP/1.1 401 Who Are You", "WWW-Authenticate: Basic", "Content-Length: 4", ""]);
    let head_len = answer.len();
    answer.extend_from_slice(b"shut");
    let refused = refusal(&answer);
    assert_eq!((refused.status, &refused.reason[..]), (401, "Who Are You"));
    assert_eq!(refused.header("www-authenticate"), Some("Basic"));
    assert_eq!(refused.headers.len(), 2);
    assert_eq!(refused.head_len, head_len);
    assert_eq!(refused.content_length(), Some(4));
    assert_eq!(refused.to_string(), "upgrade refused with 401 Who Are You");
    assert_eq!(refusal(b"HTTP/1.0 302\r\n\r\n").to_string(), "upgrade refused with 302");
    assert_eq!(refusal(b"HTTP/1.1 200 OK\r\n\r\n").status, 200);
}

#[test]
fn a_bodys_length_is_believed_only_where_it_is_said_once() {
    let length = |lines: &str| {
        let head = format!("HTTP/1.1 500 No\r\n{lines}\r\n\r\n");
        refusal(head.as_bytes()).content_length()
    };
    assert_eq!(length("content-length: 12"), Some(12));
    assert_eq!(length("X: y"), None);
    assert_eq!(length("Content-Length: 1\r\nContent-Length: 1"), None);
    assert_eq!(length("Content-Length: +1"), None);
    assert_eq!(length("Content-Length: 1\r\nTransfer-Encoding: chunked"), None);
}

#[test]
fn interim_responses_are_passed_over() {
    let mut answer =
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n".to_vec();
    let interim = answer.len();
    answer.extend_from_slice(&wire(&RFC_RESPONSE));
    let head_len = answer.len();
    answer.extend_from_slice(b"\x81\x00");
    let asked = rfc_client();
    let mut reader = ResponseReader::new(&asked, HeadLimits::default());
    assert!(reader.read(&answer[..interim]).unwrap().is_none());
    let response = reader.read(&answer).unwrap().unwrap();
    assert_eq!(response.head_len(), head_len);
    assert_eq!(response.headers().count(), 4);
    assert!(response.header("link").next().is_none());
}

#[test]
fn interim_responses_share_the_answers_limit() {
    let flood = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(10_000);
    assert_eq!(
        answered(&plain(), &flood),
        Err(ResponseError::Head(HeadError::TooLong { limit: 16 * 1024 }))
    );
}

#[test]
fn what_is_not_http_fails_at_the_first_byte_that_shows_it() {
    let head = |bytes: &[u8]| {
        let asked = plain();
        let mut reader = ResponseReader::new(&asked, HeadLimits::default());
        reader.read(bytes).map(|response| response.is_some())
    };
    let not_http = |at, byte| Err(ResponseError::Head(HeadError::NotHttp { at, byte }));
    assert_eq!(head(b"\x15\x03\x01"), not_http(0, 0x15));
    assert_eq!(head(b"HTTP/2"), not_http(5, b'2'));
    assert_eq!(head(b"SSH-2.0-"), not_http(0, b'S'));
    assert_eq!(head(b"HTTP/1"), Ok(false));
    for line in
        ["HTTP/1.1 20 OK", "HTTP/1.1 099 Low", "HTTP/1.1 600 High", "HTTP/1.1 2000 OK", "HTTP/1.1"]
    {
        let error = head(&wire(&[line, ""])).unwrap_err();
        assert!(matches!(error, ResponseError::Head(_)), "{line}: {error}");
    }
}

#[test]
fn both_sides_agree() {
    let asked = ClientRequest { nonce: [0xA5; 16], ..rfc_client() };
    let answer = serve(write(&asked).unwrap().as_bytes()).unwrap();
    assert_eq!(answered(&asked, answer.as_bytes()), Ok(Some("chat".into())));
    assert_eq!(answered(&rfc_client(), answer.as_bytes()), Err(ResponseError::WrongAccept));
}
