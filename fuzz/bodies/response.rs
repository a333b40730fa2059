//! The bytes: limits (2), what the client asks for, cuts, then a response and what follows it.

use sockeye::proto::handshake::{
    Answer, ClientRequest, HeadLimits, RequestReader, Response, ResponseError, ResponseReader,
};

use super::bytes::Bytes;

pub fn response(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let limits = HeadLimits {
        head_bytes_max: bytes.pick(&[16 * 1024, 64, 300, 1000]),
        headers_max: bytes.pick(&[100, 0, 3, 12]),
    };
    let flags = bytes.byte();
    let texts: Vec<String> = (0..7)
        .map(|bit| if flags & 1 << bit != 0 { bytes.text() } else { String::new() })
        .collect();
    let text = |bit: usize, or: &'static str| if flags & 1 << bit != 0 { &texts[bit] } else { or };
    let subprotocols = ["chat", text(2, "superchat")];
    let headers = [(text(3, "User-Agent"), text(4, "fuzz"))];
    let request = ClientRequest {
        origin: (flags & 1 << 5 != 0).then_some(&texts[5]),
        subprotocols: &subprotocols,
        extensions: Some(text(6, "permessage-deflate; client_max_window_bits, x-mux")),
        headers: &headers,
        ..ClientRequest::new(text(0, "example.com"), text(1, "/chat"), *b"the sample nonce")
    };
    let cuts = bytes.cuts();
    let head = bytes.rest();

    ask(&request);

    let whole = ResponseReader::new(&request, limits).read(head);
    let mut reader = ResponseReader::new(&request, limits);
    let mut end = 0;
    let mut cut = Ok(None);
    for piece in cuts.pieces(head) {
        end += piece.len();
        cut = reader.read(&head[..end]);
        if !matches!(cut, Ok(None)) {
            break;
        }
    }
    assert_eq!(laid_open(&cut), laid_open(&whole), "the cut changed the response");

    match &whole {
        Ok(None) => {}
        Ok(Some(response)) => {
            assert!(response.head_len() <= head.len().min(limits.head_bytes_max));
            assert!(response.headers().count() <= limits.headers_max);
            assert!(response.subprotocol().is_none_or(|name| subprotocols.contains(&name)));
        }
        Err(ResponseError::Refused(refused)) => {
            assert!(refused.head_len <= head.len().min(limits.head_bytes_max));
            assert!(refused.headers.len() <= limits.headers_max);
            let _ = (refused.content_length(), refused.header("Location"), refused.to_string());
        }
        Err(error) => {
            let _ = error.to_string();
        }
    }
}

/// What a client of ours writes, a server of ours takes, and its answer satisfies the client.
fn ask(request: &ClientRequest<'_>) {
    let mut out = vec![1, 2, 3];
    if request.write(&mut out).is_err() {
        assert_eq!(out, [1, 2, 3], "nothing is written on error");
        return;
    }
    let read = RequestReader::new(HeadLimits::default()).read(&out[3..]);
    let asked = read.expect("a written request is read").expect("it is whole");
    assert_eq!(asked.head_len(), out.len() - 3, "the head ends where it was meant to end");
    assert_eq!(asked.target(), request.target);
    let count = 7 + usize::from(request.origin.is_some()) + request.headers.len();
    assert_eq!(asked.headers().count(), count, "no text became a header of its own");
    let upgrade = asked.upgrade().expect("a written request is one for an upgrade");
    assert_eq!(upgrade.subprotocols(), request.subprotocols);

    let answer = Answer { subprotocol: upgrade.first_subprotocol(), ..Answer::default() };
    let mut reply = Vec::new();
    upgrade.accept(&answer, &mut reply).expect("the answer is one of those offered");
    let len = reply.len();
    reply.extend_from_slice(&[0x81, 0x00]);
    let mut reader = ResponseReader::new(request, HeadLimits::default());
    let opened = reader.read(&reply).expect("the answer fits").expect("it is whole");
    assert_eq!((opened.head_len(), opened.subprotocol()), (len, answer.subprotocol));
}

type LaidOpen<'b> = (usize, Option<&'b str>, String, Vec<(&'b str, &'b [u8])>);

fn laid_open<'b>(
    result: &Result<Option<Response<'b>>, ResponseError>,
) -> Result<Option<LaidOpen<'b>>, ResponseError> {
    let open = |response: &Response<'b>| {
        let extensions = format!("{:?}", response.extensions());
        (response.head_len(), response.subprotocol(), extensions, response.headers().collect())
    };
    result.as_ref().map(|response| response.as_ref().map(open)).map_err(Clone::clone)
}
