//! HTTP/1.1 requests and responses as bytes: one test per rule, and that cutting changes nothing.

#![cfg(feature = "http")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod responses;

use std::time::Duration;

use proptest::prelude::*;
use sockeye::http::{
    Answer, CONTINUE, Event, Fault, Files, Framing, Head, Limits, Reply, Requests, Served, Status,
    http_date, percent_decoded, query_value, refuse,
};

/// A request as it was understood: head bytes, body, and whether the connection went on after it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Heard {
    head: Vec<u8>,
    body: Vec<u8>,
    complete: bool,
    kept: bool,
}

/// What a server hears that answers everything at once, given the bytes in these pieces; the fault, and
/// what is left over.
fn hear(pieces: &[&[u8]], limits: Limits) -> (Vec<Heard>, Option<Fault>, Vec<u8>) {
    let mut requests = Requests::new(limits);
    let (mut heard, mut buffer) = (Vec::<Heard>::new(), Vec::new());
    let mut answer = Answer::to_nothing();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        let mut from = 0;
        loop {
            let step = match requests.next(&buffer[from..]) {
                Ok(step) => step,
                Err(fault) => {
                    assert!(requests.is_over());
                    return (heard, Some(fault), Vec::new());
                }
            };
            from += step.used;
            match step.event {
                Event::Head(head) => {
                    answer = head.answer();
                    heard.push(Heard { head: head.raw().to_vec(), ..Heard::default() });
                }
                Event::Body(part) => {
                    assert!(!part.is_empty());
                    heard.last_mut().unwrap().body.extend_from_slice(part);
                }
                Event::End => {
                    heard.last_mut().unwrap().complete = true;
                    heard.last_mut().unwrap().kept = requests.answered(answer);
                }
                Event::More | Event::Wait | Event::Over => break,
            }
        }
        buffer.drain(..from);
    }
    (heard, None, buffer)
}

fn hear_one(bytes: &[u8]) -> Heard {
    let (mut heard, fault, left) = hear(&[bytes], Limits::default());
    assert_eq!((fault, heard.len(), left.as_slice()), (None, 1, &b""[..]));
    heard.remove(0)
}

/// The fault of these bytes, however they are cut; it must show in the last of them at the latest.
fn fault(bytes: &[u8]) -> Fault {
    let (heard, whole, _) = hear(&[bytes], Limits::default());
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    let (bytewise, cut, _) = hear(&single, Limits::default());
    assert_eq!((heard, whole), (bytewise, cut));
    whole.expect("a fault")
}

/// A request with these lines in its head and `rest` after it.
fn request(line: &str, fields: &[&str], rest: &str) -> Vec<u8> {
    format!(
        "{line}\r\n{}\r\n{rest}",
        fields.iter().map(|it| format!("{it}\r\n")).collect::<String>()
    )
    .into_bytes()
}

fn get(fields: &[&str]) -> Vec<u8> {
    let all: Vec<&str> = [&["Host: a.example"], fields].concat();
    request("GET / HTTP/1.1", &all, "")
}

fn post(fields: &[&str], body: &str) -> Vec<u8> {
    let all: Vec<&str> = [&["Host: a.example"], fields].concat();
    request("POST / HTTP/1.1", &all, body)
}

/// Looks at a head that is sound.
fn with_head<T>(bytes: &[u8], look: impl FnOnce(&Head<'_>) -> T) -> T {
    let mut requests = Requests::new(Limits::default());
    match requests.next(bytes).unwrap().event {
        Event::Head(head) => look(&head),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_request_is_laid_open() {
    let bytes = request("GET /a/b?c=d?e HTTP/1.1", &["Host: x", "X-Y:  z \t", "x-y: 2"], "");
    with_head(&bytes, |head| {
        assert_eq!((head.method(), head.target(), head.minor()), ("GET", "/a/b?c=d?e", 1));
        assert_eq!((head.path(), head.query()), ("/a/b", Some("c=d?e")));
        assert_eq!(head.field("X-y"), Some(&b"z"[..]));
        assert_eq!(head.field("absent"), None);
        assert_eq!(head.fields().count(), 3);
        assert_eq!(head.raw(), bytes);
        assert_eq!(head.framing(), Framing::None);
    });
}

#[test]
fn an_absolute_target_has_a_path_too() {
    for (target, path, query) in [
        ("http://a.example/x?y", "/x", Some("y")),
        ("HTTPS://a.example?y", "/", Some("y")),
        ("http://a.example", "/", None),
        ("*", "*", None),
        ("/x?u=http://z/y", "/x", Some("u=http://z/y")),
        ("ftp://a/b", "ftp://a/b", None),
    ] {
        let bytes = request(&format!("GET {target} HTTP/1.1"), &["Host: x"], "");
        with_head(&bytes, |head| assert_eq!((head.path(), head.query()), (path, query)));
    }
}

#[test]
fn one_empty_line_before_a_request_is_ignored_and_two_are_not() {
    let bytes = get(&[]);
    let one = [b"\r\n", bytes.as_slice()].concat();
    assert_eq!(hear_one(&one).head, bytes);
    let two = [b"\r\n\r\n", bytes.as_slice()].concat();
    assert_eq!(fault(&two), Fault::RequestLine);
}

#[test]
fn tls_on_the_plain_port_is_refused_at_its_first_byte() {
    assert_eq!(fault(b"\x16"), Fault::RequestLine);
}

#[test]
fn control_characters_are_refused_wherever_they_stand() {
    assert_eq!(fault(b"GET /\0 HTTP/1.1"), Fault::ControlByte(0));
    assert_eq!(fault(b"GET / HTTP/1.1\r\nHost: a\0"), Fault::ControlByte(0));
    assert_eq!(fault(b"GET / HTTP/1.1\r\nHost: a\x7f"), Fault::ControlByte(0x7F));
    assert_eq!(fault(b"GET / HTTP/1.1\r\n\0"), Fault::ControlByte(0));
    assert_eq!(fault(b"GET / HTTP/1.1\r\nTransfer-Encoding: \x0b"), Fault::ControlByte(0x0B));
    assert_eq!(fault(b"G\0"), Fault::RequestLine);
}

#[test]
fn a_line_feed_alone_ends_no_line() {
    assert_eq!(fault(b"GET / HTTP/1.1\n"), Fault::BareLf);
    assert_eq!(fault(b"GET / HTTP/1.1\r\nHost: a\n"), Fault::BareLf);
    assert_eq!(fault(b"GET / HTTP/1.1\r\nHost: a\r\n\n"), Fault::BareLf);
}

#[test]
fn a_carriage_return_alone_ends_no_line() {
    assert_eq!(fault(b"GET / HTTP/1.1\rH"), Fault::BareCr);
    assert_eq!(fault(b"GET / HTTP/1.1\r\nHost: a\r\r"), Fault::BareCr);
    assert_eq!(fault(b"GET / HTTP/1.1\r\nHost: a\r\n\rX"), Fault::BareCr);
    assert_eq!(fault(b"\rG"), Fault::BareCr);
}

#[test]
fn a_folded_field_is_refused() {
    assert_eq!(fault(b"GET / HTTP/1.1\r\nHost: a\r\n "), Fault::Folded);
    assert_eq!(fault(b"GET / HTTP/1.1\r\n\t"), Fault::Folded);
}

#[test]
fn what_is_no_field_is_refused() {
    for line in ["Host : a", "Content-Length : 5", ": x", "(x): y", "no colon", "a b: c"] {
        assert_eq!(fault(&get(&[line])), Fault::Field, "{line}");
    }
}

#[test]
fn what_is_no_request_line_is_refused() {
    for line in
        ["GET /", "GET", "GET  / HTTP/1.1", " GET / HTTP/1.1", "GET / HTTP/1.1 x", "G(T / HTTP/1.1"]
    {
        let fault = fault(&request(line, &["Host: x"], ""));
        assert!(matches!(fault, Fault::RequestLine | Fault::Version), "{line}: {fault:?}");
        assert!(matches!(fault.status().code(), 400 | 505));
    }
}

#[test]
fn other_versions_are_refused() {
    for version in ["HTTP/2.0", "HTTP/1.2", "HTTP/0.9", "http/1.1"] {
        let bytes = request(&format!("GET / {version}"), &["Host: x"], "");
        assert_eq!(fault(&bytes), Fault::Version, "{version}");
    }
}

#[test]
fn a_head_of_the_limit_passes_and_one_byte_more_does_not() {
    let of = |len: usize| {
        let rest = len - get(&["X: "]).len();
        get(&[&format!("X: {}", "a".repeat(rest))])
    };
    assert_eq!(hear_one(&of(16_384)).head.len(), 16_384);
    assert_eq!(fault(&of(16_385)), Fault::HeadTooLong(16_384));
    // The fault shows without the end of the head.
    assert_eq!(fault(&of(102_400)[..16_385]), Fault::HeadTooLong(16_384));
    assert_eq!(Fault::HeadTooLong(16_384).status().code(), 431);
}

#[test]
fn a_request_line_has_a_limit_of_its_own() {
    let line = |len: usize| format!("GET /{} HTTP/1.1", "a".repeat(len - "GET / HTTP/1.1".len()));
    hear_one(&request(&line(8000), &["Host: x"], ""));
    let long = fault(&request(&line(8001), &["Host: x"], ""));
    assert_eq!((long, long.status().code()), (Fault::LineTooLong(8000), 414));
}

#[test]
fn a_hundred_fields_pass_and_the_next_is_refused_as_it_ends() {
    let fields = |count: usize| vec!["X: y"; count - 1];
    hear_one(&get(&fields(100)));
    let bytes = get(&fields(101));
    assert_eq!(fault(&bytes[..bytes.len() - 2]), Fault::TooManyFields(100));
    assert_eq!(fault(&get(&fields(10_000))), Fault::TooManyFields(100));
    assert_eq!(Fault::TooManyFields(100).status().code(), 431);
}

#[test]
fn exactly_one_host_and_in_http_1_0_at_most_one() {
    assert_eq!(fault(&request("GET / HTTP/1.1", &[], "")), Fault::Host(0));
    assert_eq!(fault(&get(&["host: b"])), Fault::Host(2));
    hear_one(&request("GET / HTTP/1.0", &[], ""));
    assert_eq!(fault(&request("GET / HTTP/1.0", &["Host: a", "Host: a"], "")), Fault::Host(2));
}

#[test]
fn a_body_has_the_declared_length_and_the_next_request_follows() {
    let bytes = [post(&["Content-Length: 5"], "hello"), get(&[])].concat();
    let (heard, fault, left) = hear(&[&bytes], Limits::default());
    assert_eq!((heard.len(), fault, left.len()), (2, None, 0));
    assert_eq!((heard[0].body.as_slice(), heard[0].complete), (&b"hello"[..], true));
    assert!(!hear_one(&post(&["Content-Length: 5"], "hell")).complete);
    assert!(hear_one(&post(&["Content-Length: 0"], "")).complete);
}

#[test]
fn two_content_lengths_are_refused_even_when_they_agree() {
    let conflicting = post(&["Content-Length: 5", "Content-Length: 6"], "hello!");
    assert_eq!(fault(&conflicting), Fault::ContentLength);
    let agreeing = post(&["Content-Length: 5", "content-length: 5"], "hello");
    assert_eq!(fault(&agreeing), Fault::ContentLength);
}

#[test]
fn length_and_encoding_together_are_refused_in_either_order() {
    for fields in [
        ["Content-Length: 5", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: chunked", "Content-Length: 5"],
        ["Transfer-Encoding: gzip", "Content-Length: 5"],
    ] {
        let fault = fault(&post(&fields, "0\r\n\r\n"));
        assert_eq!((fault, fault.status().code()), (Fault::LengthAndEncoding, 400));
    }
}

#[test]
fn a_transfer_encoding_is_chunked_once_or_refused() {
    let encoded =
        |value: &str| fault(&post(&[&format!("Transfer-Encoding: {value}")], "0\r\n\r\n"));
    for value in ["", "identity", "xchunked", "chunked, gzip", "chunked, chunked", "chunked,"] {
        assert_eq!(encoded(value), Fault::TransferEncoding, "{value}");
    }
    assert_eq!(encoded("gzip, chunked"), Fault::UnknownCoding);
    assert_eq!(Fault::UnknownCoding.status().code(), 501);
    let twice = post(&["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], "");
    assert_eq!(fault(&twice), Fault::TransferEncoding);
    let old = request("POST / HTTP/1.0", &["Transfer-Encoding: chunked"], "0\r\n\r\n");
    assert_eq!(fault(&old), Fault::TransferEncoding);
    assert!(hear_one(&post(&["Transfer-Encoding:\tCHUNKED "], "0\r\n\r\n")).complete);
}

#[test]
fn a_body_longer_than_the_limit_is_refused_by_what_is_declared() {
    let limits = Limits { body_bytes_max: 10, ..Limits::default() };
    let fault_of = |bytes: &[u8]| hear(&[bytes], limits).1;
    assert_eq!(fault_of(&post(&["Content-Length: 10"], "0123456789")), None);
    let long = fault_of(&post(&["Content-Length: 11"], "")).unwrap();
    assert_eq!(long, Fault::BodyTooLong { declared: 11, allowed: 10 });
    assert_eq!(long.status().code(), 413);
    let chunked = |body: &str| fault_of(&post(&["Transfer-Encoding: chunked"], body));
    assert_eq!(chunked("6\r\n012345\r\n4\r\n6789\r\n0\r\n\r\n"), None);
    let sum = chunked("6\r\n012345\r\n5\r\n");
    assert_eq!(sum, Some(Fault::BodyTooLong { declared: 11, allowed: 10 }));
    assert!(matches!(chunked("ffffffff\r\n"), Some(Fault::BodyTooLong { .. })));
}

const CHUNKED: &[&str] = &["Transfer-Encoding: chunked"];

#[test]
fn chunks_join_to_a_body_and_extensions_and_trailers_are_dropped() {
    let body = "5\r\nhello\r\n00A;x=\"y\";z\r\n0123456789\r\n0\r\nX-Sum: 7\r\nY:\r\n\r\n";
    let bytes = [post(CHUNKED, body), get(&[])].concat();
    let (heard, fault, left) = hear(&[&bytes], Limits::default());
    assert_eq!((fault, heard.len(), left.len()), (None, 2, 0));
    assert_eq!(heard[0].body, b"hello0123456789");
}

#[test]
fn a_chunk_that_is_not_as_it_says_is_refused() {
    for body in [
        "\r\n",
        ";x\r\n",
        "g\r\n",
        "0x5\r\n",
        "+5\r\n",
        "-1\r\n",
        " 5\r\n",
        "5 \r\nhello",
        "5\n",
        "5;\n",
        "5;x\0",
        "5\r\r",
        "5\r\nhelloX",
        "5\r\nhello\rX",
        "5\r\nhello\n",
        "000000005\r\n",
        "0\r\nX-Y\r\n",
        "0\r\n X: y",
        "0\r\nX: y\n",
        "0\r\n\n",
        "0\r\n\rX",
        "0\r\nX : y",
        "0\r\n: x",
        "0\r\nX: \0",
    ] {
        assert_eq!(fault(&post(CHUNKED, body)), Fault::Chunk, "{body:?}");
    }
}

#[test]
fn chunk_extensions_and_trailers_are_bounded_in_sum() {
    let extensions: String = (0..42).map(|_| format!("1;{}\r\nx\r\n", "e".repeat(100))).collect();
    assert_eq!(fault(&post(CHUNKED, &extensions)), Fault::ChunkExtraTooLong(4096));
    let trailer = format!("0\r\n{}", "X: y\r\n".repeat(1100));
    assert_eq!(fault(&post(CHUNKED, &trailer)), Fault::ChunkExtraTooLong(4096));
}

#[test]
fn the_connection_goes_on_as_both_sides_agree() {
    let kept = |line: &str, field: &str| hear_one(&request(line, &["Host: x", field], "")).kept;
    assert!(kept("GET / HTTP/1.1", "X: y"));
    assert!(!kept("GET / HTTP/1.1", "Connection: Close"));
    assert!(!kept("GET / HTTP/1.1", "Connection: keep-alive, close"));
    assert!(!kept("GET / HTTP/1.0", "X: y"));
    assert!(kept("GET / HTTP/1.0", "Connection: Keep-Alive"));
    // The server's word counts too.
    let bytes = get(&[]);
    let mut requests = Requests::new(Limits::default());
    let Event::Head(head) = requests.next(&bytes).unwrap().event else { panic!("no head") };
    let answer = head.answer().closing();
    assert!(matches!(requests.next(b"").unwrap().event, Event::End));
    assert!(!requests.answered(answer));
    assert!(matches!(requests.next(&bytes).unwrap().event, Event::Over));
}

#[test]
fn a_pipelined_request_waits_for_the_answer_to_the_last() {
    let bytes = [get(&[]), get(&[])].concat();
    let mut requests = Requests::new(Limits::default());
    assert!(!requests.is_busy());
    let step = requests.next(&bytes).unwrap();
    let Event::Head(head) = step.event else { panic!("no head") };
    let (answer, rest) = (head.answer(), &bytes[step.used..]);
    assert!(matches!(requests.next(rest).unwrap().event, Event::End));
    // Parked for as long as it takes.
    for _ in 0..3 {
        let step = requests.next(rest).unwrap();
        assert!(matches!(step.event, Event::Wait) && step.used == 0 && requests.is_busy());
    }
    assert!(requests.answered(answer));
    assert!(matches!(requests.next(rest).unwrap().event, Event::Head(_)));
}

#[test]
fn an_answer_before_the_end_of_the_request_ends_the_connection() {
    let bytes = post(&["Content-Length: 5"], "GET /");
    let mut requests = Requests::new(Limits::default());
    let step = requests.next(&bytes).unwrap();
    let Event::Head(head) = step.event else { panic!("no head") };
    assert!(!requests.answered(head.answer()));
    assert!(matches!(requests.next(&bytes[step.used..]).unwrap().event, Event::Over));
}

#[test]
fn after_a_fault_nothing_more_is_understood() {
    let mut requests = Requests::new(Limits::default());
    assert_eq!(requests.next(b"\0").unwrap_err(), Fault::RequestLine);
    assert!(matches!(requests.next(&get(&[])).unwrap().event, Event::Over));
}

#[test]
fn a_body_is_waited_for_only_if_it_may_come() {
    let expects = |bytes: &[u8]| with_head(bytes, |head| head.expects_continue());
    assert!(expects(&post(&["Expect: 100-Continue", "Content-Length: 5"], "")));
    assert!(expects(&post(&["Expect: 100-continue", "Transfer-Encoding: chunked"], "")));
    assert!(!expects(&post(&["Expect: 100-continue"], "")));
    assert!(!expects(&post(&["Content-Length: 5"], "")));
    let old = request("POST / HTTP/1.0", &["Expect: 100-continue", "Content-Length: 5"], "");
    assert!(!expects(&old));
    let fault = fault(&post(&["Expect: tea"], ""));
    assert_eq!((fault, fault.status().code()), (Fault::Expectation, 417));
    assert_eq!(CONTINUE, b"HTTP/1.1 100 Continue\r\n\r\n");
}

#[test]
fn an_upgrade_is_recognised_and_the_bytes_after_its_head_are_left() {
    let fields = ["Host: x", "Connection: keep-alive, Upgrade", "Upgrade: h2c, WebSocket"];
    let bytes = request("GET /chat HTTP/1.1", &fields, "\u{1}frames");
    let mut requests = Requests::new(Limits::default());
    let step = requests.next(&bytes).unwrap();
    let Event::Head(head) = step.event else { panic!("no head") };
    assert!(head.upgrades_to("websocket") && !head.upgrades_to("web"));
    assert_eq!(head.raw(), &bytes[..step.used]);
    assert_eq!(&bytes[step.used..], b"\x01frames");
    requests.upgraded();
    let step = requests.next(&bytes[step.used..]).unwrap();
    assert!(matches!(step.event, Event::Over) && step.used == 0);
}

#[test]
fn what_only_looks_like_an_upgrade_is_an_ordinary_request() {
    let upgrades = |line: &str, fields: &[&str]| {
        with_head(&request(line, fields, ""), |head| head.upgrades_to("websocket"))
    };
    let (host, connection, upgrade) = ("Host: x", "Connection: upgrade", "Upgrade: websocket");
    assert!(upgrades("GET / HTTP/1.1", &[host, connection, upgrade]));
    assert!(!upgrades("GET / HTTP/1.0", &[host, connection, upgrade]));
    assert!(!upgrades("GET / HTTP/1.1", &[host, upgrade]));
    assert!(!upgrades("GET / HTTP/1.1", &[host, connection]));
    assert!(!upgrades("GET / HTTP/1.1", &[host, connection, upgrade, "Content-Length: 2"]));
    assert!(!upgrades("GET / HTTP/1.1", &[host, connection, upgrade, CHUNKED[0]]));
}

fn value<'t>(response: &'t str, name: &str) -> Option<&'t str> {
    response.lines().find_map(|it| it.strip_prefix(name)?.strip_prefix(": "))
}

#[test]
fn a_connection_between_requests_holds_no_heap_and_is_small() {
    assert!(size_of::<Requests>() <= 104, "{}", size_of::<Requests>());
}

/// Pieces of requests, right and wrong, so that random ones come near the interesting places.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let words: Vec<&'static [u8]> = vec![
        b"GET / HTTP/1.1\r\n",
        b"POST /x?y HTTP/1.1\r\n",
        b"GET / HTTP/1.0\r\n",
        b"Host: a\r\n",
        b"Host: a\r\n\r\n",
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Connection: close\r\n",
        b"Connection: upgrade\r\nUpgrade: websocket\r\n",
        b"\r\n",
        b"\n",
        b"\r",
        b" ",
        b"hello",
        b"5\r\nhello\r\n",
        b"0\r\n\r\n",
        b"0\r\nX: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    ];
    prop_oneof![
        8 => proptest::sample::select(words).prop_map(<[u8]>::to_vec),
        1 => proptest::collection::vec(any::<u8>(), 1..4),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn cuts_change_nothing_and_no_bytes_make_it_panic(
        pieces in proptest::collection::vec(piece(), 0..12),
        cuts in proptest::collection::vec(1usize..20, 1..40),
    ) {
        let bytes = pieces.concat();
        let whole = hear(&[&bytes], Limits::default());
        let (mut rest, mut cut) = (bytes.as_slice(), Vec::new());
        for &len in cuts.iter().cycle() {
            let (piece, more) = rest.split_at(len.min(rest.len()));
            cut.push(piece);
            rest = more;
            if rest.is_empty() {
                break;
            }
        }
        let cut = hear(&cut, Limits::default());
        if whole.1.is_none() {
            prop_assert_eq!(whole.2.len(), cut.2.len());
        }
        prop_assert_eq!(whole.0, cut.0);
        prop_assert_eq!(whole.1, cut.1);
    }

    #[test]
    fn random_bytes_are_refused_or_wait(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let (heard, _, _) = hear(&[&bytes], Limits::default());
        prop_assert!(heard.is_empty());
    }

    #[test]
    fn any_body_in_any_chunks_comes_out_as_it_went_in(
        chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..300), 0..20),
    ) {
        let mut bytes = post(CHUNKED, "");
        for chunk in &chunks {
            bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            bytes.extend_from_slice(chunk);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"0\r\n\r\n");
        let heard = hear_one(&bytes);
        prop_assert!(heard.complete);
        prop_assert_eq!(heard.body, chunks.concat());
    }
}
