//! The opening handshake from outside: what comes in as bytes, what goes out as bytes.

#![cfg(feature = "handshake")]

mod client;
mod heads;
mod refusals;
mod server;

use sockeye::proto::handshake::{
    Answer, ClientRequest, HeadLimits, Refusal, Request, RequestError, RequestReader,
    ResponseError, ResponseReader,
};

/// The request of RFC 6455 §1.2, line by line.
const RFC_REQUEST: [&str; 9] = [
    "GET /chat HTTP/1.1",
    "Host: server.example.com",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Origin: http://example.com",
    "Sec-WebSocket-Protocol: chat, superchat",
    "Sec-WebSocket-Version: 13",
    "",
];

/// The response of RFC 6455 §1.2, line by line.
const RFC_RESPONSE: [&str; 6] = [
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
    "Sec-WebSocket-Protocol: chat",
    "",
];

fn wire(lines: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in lines {
        bytes.extend_from_slice(line.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// A head like `lines`, but with `from` (a whole line's beginning) replaced by `to`; an empty `to` takes
/// the line out, and line ends in it make more of it.
fn with(lines: &[&str], from: &str, to: &str) -> Vec<u8> {
    let mut changed = Vec::new();
    let mut found = false;
    for line in lines {
        if line.starts_with(from) && !found {
            found = true;
            if !to.is_empty() {
                changed.push(to);
            }
        } else {
            changed.push(line);
        }
    }
    assert!(found, "no line begins with {from:?}");
    wire(&changed)
}

fn request(head: &[u8]) -> Result<Option<Request<'_>>, RequestError> {
    RequestReader::new(HeadLimits::default()).read(head)
}

/// What a plain server does with a head that is whole: 101 and the first subprotocol, or a refusal.
fn serve(head: &[u8]) -> Result<String, RequestError> {
    let request = request(head)?.expect("the head is whole");
    let upgrade = request.upgrade()?;
    let answer = Answer { subprotocol: upgrade.first_subprotocol(), ..Answer::default() };
    let mut out = Vec::new();
    upgrade.accept(&answer, &mut out).expect("the first subprotocol is an offered one");
    Ok(text(out))
}

fn refused(head: &[u8]) -> RequestError {
    serve(head).expect_err("this head is to be refused")
}

fn written(refusal: &Refusal) -> String {
    let mut out = Vec::new();
    refusal.write(&mut out);
    text(out)
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("heads of ours are text")
}

fn rfc_client() -> ClientRequest<'static> {
    ClientRequest {
        origin: Some("http://example.com"),
        subprotocols: &["chat", "superchat"],
        ..ClientRequest::new("server.example.com", "/chat", *b"the sample nonce")
    }
}

/// What a client that asked `asked` makes of an answer: the subprotocol, or what is wrong.
fn answered(asked: &ClientRequest<'_>, head: &[u8]) -> Result<Option<String>, ResponseError> {
    let response =
        ResponseReader::new(asked, HeadLimits::default()).read(head)?.expect("the head is whole");
    Ok(response.subprotocol().map(String::from))
}
