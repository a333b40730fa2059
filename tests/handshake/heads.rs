//! Heads of both sides as bytes that arrive: cuts, limits, and what no line may look like.

use super::{RFC_REQUEST, RFC_RESPONSE, refused, request, rfc_client, wire, with};
use proptest::prelude::*;
use sockeye::proto::handshake::{
    HeadError, HeadLimits, RequestError, RequestReader, ResponseError, ResponseReader,
};

const LIMITS: HeadLimits = HeadLimits { head_bytes_max: 400, headers_max: 9 };

/// Feeds `bytes` up to each of `cuts` in turn, and then whole; the first verdict, printed.
fn requested(bytes: &[u8], cuts: impl IntoIterator<Item = usize>) -> String {
    let mut reader = RequestReader::new(LIMITS);
    for cut in cuts.into_iter().chain([bytes.len()]) {
        match reader.read(&bytes[..cut]) {
            Ok(None) => {}
            // The slices differ in where they end, never in what they say.
            Ok(Some(request)) => return format!("{request:?} {:?}", request.upgrade()),
            Err(error) => return format!("{error:?}"),
        }
    }
    String::from("more")
}

fn responded(bytes: &[u8], cuts: impl IntoIterator<Item = usize>) -> String {
    let asked = rfc_client();
    let mut reader = ResponseReader::new(&asked, LIMITS);
    for cut in cuts.into_iter().chain([bytes.len()]) {
        match reader.read(&bytes[..cut]) {
            Ok(None) => {}
            Ok(Some(response)) => return format!("{response:?}"),
            Err(error) => return format!("{error:?}"),
        }
    }
    String::from("more")
}

/// Heads good and bad, each with bytes after it.
fn scripts() -> Vec<Vec<u8>> {
    let mut scripts = vec![
        wire(&RFC_REQUEST),
        wire(&RFC_RESPONSE),
        with(&RFC_REQUEST, "Host", "Host: a\n"),
        with(&RFC_REQUEST, "Host", "Host: a\rb"),
        with(&RFC_REQUEST, "Host", "Host: a\0"),
        with(&RFC_REQUEST, "Host", "Host: a\r\n b"),
        with(&RFC_REQUEST, "Host", "Host : a"),
        with(&RFC_REQUEST, "Host", &"X: y\r\n".repeat(3)[..16]),
        with(&RFC_REQUEST, "Host", &"x".repeat(500)),
        with(&RFC_RESPONSE, "Upgrade", "Upgrade: h2c"),
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403 Forbidden\r\nA: b\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00".to_vec(),
    ];
    for script in &mut scripts {
        script.extend_from_slice(b"\x81\x80\0\r\n\r\n");
    }
    scripts
}

#[test]
fn one_byte_at_a_time_a_head_is_judged_as_it_is_whole() {
    for script in scripts() {
        let whole = requested(&script, []);
        assert_eq!(requested(&script, 0..script.len()), whole);
        let whole = responded(&script, []);
        assert_eq!(responded(&script, 0..script.len()), whole);
    }
}

#[test]
fn wherever_a_head_is_cut_once_or_twice_it_is_judged_as_it_is_whole() {
    for script in scripts() {
        let (request, response) = (requested(&script, []), responded(&script, []));
        for first in 0..=script.len() {
            assert_eq!(requested(&script, [first]), request, "cut at {first}");
            assert_eq!(responded(&script, [first]), response, "cut at {first}");
            for second in (first..=script.len()).step_by(17) {
                assert_eq!(requested(&script, [first, second]), request);
                assert_eq!(responded(&script, [first, second]), response);
            }
        }
    }
}

#[test]
fn until_the_last_byte_of_the_blank_line_more_is_needed() {
    let head = wire(&RFC_REQUEST);
    for cut in 0..head.len() {
        assert!(request(&head[..cut]).unwrap().is_none(), "cut at {cut}");
    }
    assert!(request(&head).unwrap().is_some());
}

/// Bytes that were looked at are overwritten with zeros, which would be refused if anybody looked again.
#[test]
fn a_byte_is_looked_at_once_while_the_head_is_incomplete() {
    let whole = wire(&RFC_REQUEST);
    let mut bytes = vec![0; whole.len()];
    let mut reader = RequestReader::new(HeadLimits::default());
    for (at, &byte) in whole.iter().enumerate().take(whole.len() - 1) {
        bytes[at] = byte;
        assert!(reader.read(&bytes[..=at]).unwrap().is_none(), "byte {at}");
        bytes[at] = 0;
    }
    assert!(reader.read(&whole).unwrap().is_some());

    let whole = wire(&RFC_RESPONSE);
    let mut bytes = vec![0; whole.len()];
    let asked = rfc_client();
    let mut reader = ResponseReader::new(&asked, HeadLimits::default());
    for (at, &byte) in whole.iter().enumerate().take(whole.len() - 1) {
        bytes[at] = byte;
        assert!(reader.read(&bytes[..=at]).unwrap().is_none(), "byte {at}");
        bytes[at] = 0;
    }
    assert!(reader.read(&whole).unwrap().is_some());
}

#[test]
fn bytes_after_the_head_are_handed_over() {
    let head = wire(&RFC_REQUEST);
    for tail in [&b""[..], b"\x81\x80\0\0\0\0", b"GET / HTTP/1.1\r\n\r\n", b"\r\n\r\n", b"\0"] {
        let bytes = [&head[..], tail].concat();
        let request = request(&bytes).unwrap().unwrap();
        assert_eq!(request.head_len(), head.len());
        assert_eq!(&bytes[request.head_len()..], tail);
    }
    let bytes = [&wire(&RFC_RESPONSE)[..], b"\x81\x02hi"].concat();
    let asked = rfc_client();
    let mut reader = ResponseReader::new(&asked, HeadLimits::default());
    let response = reader.read(&bytes).unwrap().unwrap();
    assert_eq!(&bytes[response.head_len()..], b"\x81\x02hi");
}

#[test]
fn a_verdict_stands_when_it_is_asked_for_again() {
    let mut head = wire(&RFC_REQUEST);
    let mut reader = RequestReader::new(HeadLimits::default());
    let len = reader.read(&head).unwrap().unwrap().head_len();
    head.extend_from_slice(b"more");
    assert_eq!(reader.read(&head).unwrap().unwrap().head_len(), len);

    let bad = with(&RFC_REQUEST, "Host", "Host: a\0");
    let mut reader = RequestReader::new(HeadLimits::default());
    let error = reader.read(&bad).unwrap_err();
    assert_eq!(reader.read(&bad).unwrap_err(), error);
}

#[test]
fn a_buffer_that_shrinks_is_the_callers_mistake_and_no_panic() {
    let mut reader = RequestReader::new(HeadLimits::default());
    assert!(reader.read(b"GET / HTTP/1.1\r\n").unwrap().is_none());
    assert!(reader.read(b"GET").unwrap().is_none());
    assert!(reader.read(b"").unwrap().is_none());
}

#[test]
fn a_line_that_ends_in_lf_alone_is_refused() {
    let head = with(&RFC_REQUEST, "Host", "Host: a\nX: y");
    assert_eq!(refused(&head), RequestError::Head(HeadError::BareLf { at: 27 }));
    let all = String::from_utf8(wire(&RFC_REQUEST)).unwrap().replace("\r\n", "\n");
    assert_eq!(refused(all.as_bytes()), RequestError::Head(HeadError::BareLf { at: 18 }));
    let last = b"GET / HTTP/1.1\r\nHost: a\r\n\n";
    assert_eq!(refused(last), RequestError::Head(HeadError::BareLf { at: 25 }));
}

#[test]
fn a_cr_without_lf_is_refused() {
    let head = with(&RFC_REQUEST, "Host", "Host: a\rX: y");
    assert_eq!(refused(&head), RequestError::Head(HeadError::BareCr { at: 27 }));
    let blank = b"GET / HTTP/1.1\r\n\rX: y\r\n\r\n";
    assert_eq!(refused(blank), RequestError::Head(HeadError::BareCr { at: 16 }));
    assert_eq!(
        refused(b"GET / HTTP/1.1\r\r\n\r\n"),
        RequestError::Head(HeadError::BareCr { at: 14 })
    );
}

#[test]
fn a_folded_line_is_refused() {
    for fold in ["Host: a\r\n b", "Host: a\r\n\tb", "Host: a\r\n "] {
        let head = with(&RFC_REQUEST, "Host", fold);
        assert_eq!(refused(&head), RequestError::Head(HeadError::Folded { at: 29 }));
    }
    let first = b"GET / HTTP/1.1\r\n Host: a\r\n\r\n";
    assert_eq!(refused(first), RequestError::Head(HeadError::Folded { at: 16 }));
}

#[test]
fn a_zero_byte_is_refused_wherever_it_stands() {
    let head = wire(&RFC_REQUEST);
    for at in 1..head.len() {
        let mut bytes = head.clone();
        bytes[at] = 0;
        assert_eq!(refused(&bytes), RequestError::Head(HeadError::Nul { at }));
    }
}

#[test]
fn a_first_byte_that_begins_no_method_is_refused_at_once() {
    for byte in 0..=255u8 {
        let token = byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        match request(&[byte]) {
            Ok(None) => assert!(token, "{byte:#x}"),
            other => {
                assert!(!token, "{byte:#x}");
                let error = RequestError::Head(HeadError::NotHttp { at: 0, byte });
                assert_eq!(other.unwrap_err(), error);
            }
        }
    }
    assert_eq!(request(b"\x16\x03\x01").unwrap_err().status(), 400);
}

#[test]
fn odd_header_names_and_values_are_refused() {
    for (line, error) in [
        ("Host : a", HeadError::HeaderName),
        ("Ho st: a", HeadError::HeaderName),
        (": a", HeadError::HeaderName),
        ("Host", HeadError::HeaderName),
        ("H\u{f6}st: a", HeadError::HeaderName),
        ("Host: a\x01", HeadError::HeaderValue),
        ("Host: a\x7F", HeadError::HeaderValue),
    ] {
        let head = with(&RFC_REQUEST, "Host", line);
        assert_eq!(refused(&head), RequestError::Head(error), "{line:?}");
        assert_eq!(refused(&head).status(), 400);
    }
}

#[test]
fn bytes_beyond_ascii_in_headers_that_nobody_reads_are_let_through() {
    let mut head = with(&RFC_REQUEST, "Origin", "X-Name: ???");
    for byte in head.iter_mut().filter(|byte| **byte == b'?') {
        *byte = 0xE9;
    }
    let request = request(&head).unwrap().unwrap();
    assert!(request.header("x-name").eq([&b"\xE9\xE9\xE9"[..]]));
    assert!(request.upgrade().is_ok());
}

#[test]
fn a_head_of_100_kib_is_refused_with_431_as_soon_as_the_limit_is_reached() {
    let head = with(&RFC_REQUEST, "Origin", &format!("Cookie: {}", "x".repeat(100 * 1024)));
    let error = RequestError::Head(HeadError::TooLong { limit: 16 * 1024 });
    assert_eq!(refused(&head), error);
    assert_eq!(error.status(), 431);
    assert!(request(&head[..16 * 1024 - 1]).unwrap().is_none());
    assert_eq!(request(&head[..16 * 1024]).unwrap_err(), error);
}

#[test]
fn a_head_of_exactly_the_limit_passes_and_what_follows_it_does_not_count() {
    let head = wire(&RFC_REQUEST);
    for (head_bytes_max, fits) in [(head.len(), true), (head.len() - 1, false)] {
        let limits = HeadLimits { head_bytes_max, ..HeadLimits::default() };
        let bytes = [&head[..], &[b'x'; 1000]].concat();
        assert_eq!(RequestReader::new(limits).read(&head).is_ok(), fits);
        assert_eq!(RequestReader::new(limits).read(&bytes).is_ok(), fits);
    }
}

#[test]
fn headers_beyond_the_limit_are_refused_with_431_as_soon_as_one_too_many_begins() {
    let flood = |count: usize| {
        let mut bytes = b"GET / HTTP/1.1\r\n".to_vec();
        bytes.extend_from_slice(&b"a:\r\n".repeat(count));
        bytes
    };
    let error = RequestError::Head(HeadError::TooManyHeaders { limit: 100 });
    assert_eq!(request(&flood(10_000)).unwrap_err(), error);
    assert_eq!(error.status(), 431);
    assert!(request(&flood(100)).unwrap().is_none());
    let whole = [&flood(100)[..], b"\r\n"].concat();
    assert_eq!(request(&whole).unwrap().unwrap().headers().count(), 100);
    let more = [&flood(100)[..], b"a"].concat();
    assert_eq!(request(&more).unwrap_err(), error);

    let response = [&b"HTTP/1.1 101 \r\n"[..], &b"a:\r\n".repeat(101)].concat();
    let asked = rfc_client();
    let mut reader = ResponseReader::new(&asked, HeadLimits::default());
    assert_eq!(
        reader.read(&response).unwrap_err(),
        ResponseError::Head(HeadError::TooManyHeaders { limit: 100 })
    );
}

#[test]
fn a_limit_of_nothing_lets_nothing_through() {
    let limits = HeadLimits { head_bytes_max: 0, headers_max: 0 };
    let error = RequestError::Head(HeadError::TooLong { limit: 0 });
    assert_eq!(RequestReader::new(limits).read(b"G").unwrap_err(), error);
    let lone = HeadLimits { headers_max: 0, ..HeadLimits::default() };
    assert!(RequestReader::new(lone).read(b"GET / HTTP/1.1\r\n\r\n").is_ok());
}

/// Something near a head: its lines, changed, and bytes of any kind.
fn near_a_head() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        4 => prop::sample::select([&RFC_REQUEST[..], &RFC_RESPONSE[..]].concat())
            .prop_map(|line| line.as_bytes().to_vec()),
        1 => "[ -~]{0,20}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..12),
    ];
    let end = prop_oneof![8 => Just(&b"\r\n"[..]), 1 => Just(&b"\n"[..]), 1 => Just(&b"\r"[..])];
    (
        prop::sample::select(vec![RFC_REQUEST[0], RFC_RESPONSE[0], "", "HTTP/1.1 100 "]),
        prop::collection::vec((line, end), 0..14),
    )
        .prop_map(|(first, lines)| {
            let mut bytes = wire(&[first]);
            for (line, end) in lines {
                bytes.extend_from_slice(&line);
                bytes.extend_from_slice(end);
            }
            bytes
        })
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_panic(bytes in any::<Vec<u8>>()) {
        requested(&bytes, 0..bytes.len());
        responded(&bytes, 0..bytes.len());
    }

    #[test]
    fn cuts_change_nothing(bytes in near_a_head(), mut cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8)) {
        let mut cuts: Vec<_> = cuts.drain(..).map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.sort_unstable();
        prop_assert_eq!(requested(&bytes, cuts.iter().copied()), requested(&bytes, []));
        prop_assert_eq!(responded(&bytes, cuts.iter().copied()), responded(&bytes, []));
        prop_assert_eq!(requested(&bytes, 0..bytes.len()), requested(&bytes, []));
        prop_assert_eq!(responded(&bytes, 0..bytes.len()), responded(&bytes, []));
    }
}
