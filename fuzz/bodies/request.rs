//! The bytes: limits (2), text for an answer and for a refusal, cuts, then a request and what follows it.

use sockeye::proto::deflate::{Deflate, EXTENSION};
use sockeye::proto::handshake::{
    Answer, Extension, HeadLimits, Refusal, Request, RequestError, RequestReader, Upgrade,
    accept_key,
};

use super::bytes::Bytes;

pub fn request(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let limits = HeadLimits {
        head_bytes_max: bytes.pick(&[16 * 1024, 64, 300, 1000]),
        headers_max: bytes.pick(&[100, 0, 3, 12]),
    };
    let (name, value, body) = (bytes.text(), bytes.text(), bytes.text());
    let status = bytes.u16();
    let cuts = bytes.cuts();
    let head = bytes.rest();

    let whole = RequestReader::new(limits).read(head);
    let mut reader = RequestReader::new(limits);
    let mut end = 0;
    let mut cut = Ok(None);
    for piece in cuts.pieces(head) {
        end += piece.len();
        cut = reader.read(&head[..end]);
        if !matches!(cut, Ok(None)) {
            // It comes again, the same.
            assert_eq!(laid_open(&reader.read(&head[..end])), laid_open(&cut));
            break;
        }
    }
    assert_eq!(laid_open(&cut), laid_open(&whole), "the cut changed the request");

    refuse(Refusal::new(status, body.clone()), &body, &name, &value);
    match whole {
        Ok(None) => {}
        Ok(Some(request)) => {
            assert!(request.head_len() <= head.len().min(limits.head_bytes_max));
            assert!(request.headers().count() <= limits.headers_max);
            look(&request);
            match request.upgrade() {
                Ok(upgrade) => accept(&request, &upgrade, &name, &value),
                Err(error) => refuse_for(error, &name, &value),
            }
        }
        Err(error) => refuse_for(error, &name, &value),
    }
}

type LaidOpen<'b> = (&'b str, &'b str, u8, Vec<(&'b str, &'b [u8])>, usize);

fn laid_open<'b>(
    result: &Result<Option<Request<'b>>, RequestError>,
) -> Result<Option<LaidOpen<'b>>, RequestError> {
    let open = |request: &Request<'b>| {
        let headers = request.headers().collect();
        (request.method(), request.target(), request.minor_version(), headers, request.head_len())
    };
    result.as_ref().map(|request| request.as_ref().map(open)).map_err(|error| *error)
}

/// All that can be asked of a request, with what must hold of the answers.
fn look(request: &Request<'_>) {
    assert!(request.target().contains(request.path()) || request.path() == "/");
    assert!(!request.path().contains('?'));
    if let Some(query) = request.query() {
        assert!(request.target().ends_with(query));
    }
    let _ = (request.host(), request.origin(), request.wants_websocket());
    let _ = (request.subprotocols().count(), request.extensions());
    for (name, value) in request.headers() {
        assert!(!name.is_empty() && !name.contains([' ', ':', '\r', '\n']));
        assert!(!value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
    }
}

fn accept(request: &Request<'_>, upgrade: &Upgrade<'_>, name: &str, value: &str) {
    assert!(request.wants_websocket() && request.host().is_some());
    assert_eq!(upgrade.key().len(), 24);
    let deflate = upgrade.extensions().iter().filter(|it| it.name == EXTENSION).map(params);
    let answered = Deflate::default().respond(deflate).map(|(_, header)| header);
    let headers = [(name, value)];
    for extra in [&headers[..], &[]] {
        let answer = Answer {
            subprotocol: upgrade.first_subprotocol(),
            extensions: answered.as_deref(),
            headers: extra,
        };
        let mut out = vec![1, 2, 3];
        if let Err(error) = upgrade.accept(&answer, &mut out) {
            assert!(!extra.is_empty(), "a plain answer was refused: {error}");
            assert_eq!(out, [1, 2, 3], "nothing is written on error");
            continue;
        }
        let mut expected = vec![("Upgrade", "websocket"), ("Connection", "Upgrade")];
        let accept = accept_key(upgrade.key());
        expected.push(("Sec-WebSocket-Accept", accept.as_str()));
        expected.extend(answer.subprotocol.map(|name| ("Sec-WebSocket-Protocol", name)));
        expected.extend(answer.extensions.map(|value| ("Sec-WebSocket-Extensions", value)));
        expected.extend_from_slice(extra);
        assert_response(&out[3..], 101, &expected, "");
    }
}

/// An extension's parameters as `Deflate` takes them.
pub fn params<'e>(extension: &'e Extension<'_>) -> Vec<(&'e str, Option<&'e str>)> {
    extension.params.iter().map(|it| (it.name, it.value.as_deref())).collect()
}

fn refuse_for(error: RequestError, name: &str, value: &str) {
    let refusal = Refusal::from(error);
    assert_eq!(refusal.status(), error.status());
    assert_eq!(refusal.body(), error.to_string());
    refuse(refusal, &error.to_string(), name, value);
}

fn refuse(refusal: Refusal, body: &str, name: &str, value: &str) {
    let with_header = refusal.clone().header(name.to_owned(), value.to_owned());
    for refusal in [Some(refusal), with_header.ok()].into_iter().flatten() {
        assert!((300..600).contains(&refusal.status()) && refusal.status() != 304);
        let has = |wanted: &str| refusal.headers().any(|(it, _)| it.eq_ignore_ascii_case(wanted));
        let length = body.len().to_string();
        let close = if has("upgrade") { "close, Upgrade" } else { "close" };
        let mut expected = vec![("Connection", close)];
        if !has("content-type") {
            expected.push(("Content-Type", "text/plain; charset=utf-8"));
        }
        expected.push(("Content-Length", &length));
        expected.extend(refusal.headers());
        let mut out = Vec::new();
        refusal.write(&mut out);
        assert_response(&out, refusal.status(), &expected, body);
    }
}

/// Another reader finds these headers in this order, no other, and then the body.
fn assert_response(out: &[u8], status: u16, expected: &[(&str, &str)], body: &str) {
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut response = httparse::Response::new(&mut headers);
    let parsed = response.parse(out).expect("another reader takes the response");
    let httparse::Status::Complete(used) = parsed else {
        panic!("the response is not complete");
    };
    assert_eq!((response.code, response.version), (Some(status), Some(1)));
    let found: Vec<_> = response.headers.iter().map(|it| (it.name, it.value)).collect();
    let trimmed = |(name, value): &(&'_ str, &'_ str)| {
        (name.to_string(), value.trim_matches([' ', '\t']).as_bytes().to_vec())
    };
    let expected: Vec<_> = expected.iter().map(trimmed).collect();
    let found: Vec<_> = found.into_iter().map(|(n, v)| (n.to_string(), v.to_vec())).collect();
    assert_eq!(found, expected);
    assert_eq!(&out[used..], body.as_bytes());
}
