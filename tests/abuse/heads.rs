//! Requests that are none, or that two readers would read differently.

use std::io::{Read, Write};
use std::time::Duration;

use crate::trial::{Trial, dial, pour, read_to_end, request, status_of};

/// A good request for a WebSocket with these lines in it.
fn with(lines: &str) -> Vec<u8> {
    let good = request("/echo", None);
    good.replacen("\r\n", &format!("\r\n{lines}\r\n"), 1).into_bytes()
}

/// An ordinary request with these lines in it.
fn page_with(lines: &str) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\nHost: a.example\r\n{lines}\r\n\r\n").into_bytes()
}

#[test]
fn garbage_is_refused_with_400_at_its_first_byte() {
    let trial = Trial::start(&[]);
    let mut noise: u32 = 1;
    for first in 0..=u8::MAX {
        // Not a byte that could begin a method.
        if first.is_ascii_graphic() || first == b'\r' || first == b'\n' {
            continue;
        }
        let mut bytes = vec![first];
        for _ in 0..1000 {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            bytes.push(noise.to_be_bytes()[0]);
        }
        assert_eq!(status_of(trial.address(), &bytes), Some(400), "{first:#04x}");
        assert_eq!(status_of(trial.address(), &[first]), Some(400), "{first:#04x} alone");
    }
    trial.survived();
}

#[test]
fn a_tls_hello_on_the_plain_port_is_refused_at_once() {
    let trial = Trial::start(&[]);
    // A record header, a handshake header, version, and a random that happens to be of one byte.
    let mut hello = vec![0x16, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3];
    hello.resize(205, 0x5A);
    for bytes in [&hello[..], &hello[..1], &hello[..5]] {
        assert_eq!(status_of(trial.address(), bytes), Some(400), "{} bytes", bytes.len());
    }
    trial.survived();
}

#[test]
fn a_head_of_100_kib_is_refused_with_431_after_16() {
    let trial = Trial::start(&[]);
    let long = format!("X-Long: {}", "x".repeat(100 << 10));
    for _ in 0..50 {
        assert_eq!(status_of(trial.address(), &with(&long)), Some(431));
    }
    // The end of the line is not waited for.
    let unfinished = &with(&long)[..20 << 10];
    assert_eq!(status_of(trial.address(), unfinished), Some(431));
    trial.survived();
}

#[test]
fn ten_thousand_headers_are_refused_with_431_after_100() {
    let trial = Trial::start(&[]);
    let many = vec!["X: y"; 10_000].join("\r\n");
    for _ in 0..50 {
        assert_eq!(status_of(trial.address(), &with(&many)), Some(431));
    }
    let too_many = vec!["X: y"; 101].join("\r\n");
    assert_eq!(status_of(trial.address(), &page_with(&too_many)), Some(431));
    trial.survived();
}

#[test]
fn a_folded_line_is_refused_with_400() {
    let trial = Trial::start(&[]);
    for fold in ["X: a\r\n b", "X: a\r\n\tb", " X: a"] {
        assert_eq!(status_of(trial.address(), &with(fold)), Some(400), "{fold:?}");
        assert_eq!(status_of(trial.address(), &page_with(fold)), Some(400), "{fold:?}");
    }
    trial.survived();
}

#[test]
fn a_line_that_ends_in_lf_or_cr_alone_is_refused_with_400() {
    let trial = Trial::start(&[]);
    for line in ["X: a\nY: b", "X: a\rY: b", "X: a\n\nY: b", "X: a\r\rY: b", "X: a\n\r"] {
        assert_eq!(status_of(trial.address(), &with(line)), Some(400), "{line:?}");
        assert_eq!(status_of(trial.address(), &page_with(line)), Some(400), "{line:?}");
    }
    let all_lf = request("/echo", None).replace("\r\n", "\n");
    assert_eq!(status_of(trial.address(), all_lf.as_bytes()), Some(400));
    trial.survived();
}

/// Ways to say two things about where a body ends.
const AMBIGUOUS: [&str; 8] = [
    "Content-Length: 5\r\nContent-Length: 6",
    "Content-Length: 5, 6",
    "Content-Length: 5\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nContent-Length: 5",
    "Content-Length: +5",
    "Content-Length: -1",
    "Content-Length: 99999999999999999999999",
    "Transfer-Encoding: chunked, identity",
];

#[test]
fn an_upgrade_with_lengths_that_conflict_is_refused() {
    let trial = Trial::start(&[]);
    for lines in AMBIGUOUS {
        let status = status_of(trial.address(), &with(lines));
        assert!(matches!(status, Some(400 | 413 | 501)), "{status:?} for {lines:?}");
    }
    trial.survived();
}

#[test]
fn a_page_asked_for_with_lengths_that_conflict_is_refused() {
    let trial = Trial::start(&[]);
    for lines in AMBIGUOUS {
        let status = status_of(trial.address(), &page_with(lines));
        assert!(matches!(status, Some(400 | 413 | 501)), "{status:?} for {lines:?}");
    }
    trial.survived();
}

#[test]
fn nothing_is_smuggled_behind_a_body_that_nobody_asked_for() {
    let trial = Trial::start(&[]);
    // Whoever took the first length would see a second request, to a page that exists.
    for lines in
        ["Content-Length: 0\r\nContent-Length: 44", "Content-Length: 44\r\nContent-Length: 0"]
    {
        let mut bytes = page_with(lines);
        bytes.extend_from_slice(b"GET /healthz HTTP/1.1\r\nHost: a.example\r\n\r\n");
        let mut stream = dial(trial.address());
        stream.write_all(&bytes).unwrap();
        let answers = read_to_end(&mut stream);
        let answers = String::from_utf8_lossy(&answers);
        assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{answers}");
    }
    trial.survived();
}

#[test]
fn requests_without_end_whose_answers_are_never_read_cost_bounded_memory() {
    let trial = Trial::start(&[]);
    let many = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n".repeat(1000);
    let mut greedy: Vec<_> = (0..10).map(|_| dial(trial.address())).collect();
    for stream in &mut greedy {
        // Hung up on, or no longer read from: in either case it comes to a halt.
        assert!(pour(stream, many.as_bytes(), 64 << 20) < 64 << 20);
    }
    drop(greedy);
    trial.survived();
}

#[test]
fn an_offer_of_thousands_of_subprotocols_or_extensions_costs_little() {
    let trial = Trial::start(&["--deflate"]);
    let protocols: Vec<_> = (0..2500).map(|n| format!("p{n}")).collect();
    let lines = [
        format!("Sec-WebSocket-Protocol: {}", protocols.join(",")),
        format!("Sec-WebSocket-Protocol: {}", vec!["p"; 8000].join(",")),
        format!("Sec-WebSocket-Extensions: {}", vec!["permessage-deflate;q"; 700].join(",")),
    ];
    let asked: Vec<_> = (0..60)
        .map(|round| {
            let mut stream = dial(trial.address());
            // What is well-formed is upgraded, so not all hang up.
            stream.write_all(&with(&lines[round % lines.len()])).unwrap();
            stream
        })
        .collect();
    for mut stream in asked {
        let mut answer = [0; 9];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 ");
    }
    trial.survived();
}

#[test]
fn an_upgrade_in_http_1_0_is_refused_and_other_versions_too() {
    let trial = Trial::start(&[]);
    for version in ["HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/1.2", "HTTP/11", "http/1.1", ""] {
        let bytes = request("/echo", None).replacen("HTTP/1.1", version, 1).into_bytes();
        let status = status_of(trial.address(), &bytes);
        assert!(matches!(status, Some(400 | 426 | 505)), "{status:?} for {version:?}");
    }
    trial.survived();
}

#[test]
fn a_page_asked_for_in_http_1_0_is_answered_once_and_hung_up_on() {
    let trial = Trial::start(&[]);
    assert_eq!(status_of(trial.address(), b"GET / HTTP/1.0\r\n\r\n"), Some(200));
    let twice = b"GET / HTTP/1.0\r\n\r\nGET / HTTP/1.0\r\n\r\n";
    let mut stream = dial(trial.address());
    stream.write_all(twice).unwrap();
    let answers = read_to_end(&mut stream);
    assert_eq!(String::from_utf8_lossy(&answers).matches("HTTP/1.1 200").count(), 1);
    trial.survived();
}

#[test]
fn a_hundred_thousand_requests_for_a_file_whose_answers_are_never_read_cost_bounded_memory() {
    let trial = Trial::start(&["--stall-timeout", "2"]);
    let descriptors = trial.descriptors();
    let many = "GET /chat.js HTTP/1.1\r\nHost: a.example\r\n\r\n".repeat(100_000);
    let mut greedy: Vec<_> = (0..5).map(|_| dial(trial.address())).collect();
    for stream in &mut greedy {
        // The sockets' own buffers hold some megabytes.
        assert!(pour(stream, many.as_bytes(), 64 << 20) < 64 << 20, "it reads without end");
    }
    // Nor is it kept for ever.
    trial.until_descriptors(descriptors, Duration::from_secs(10));
    drop(greedy);
    trial.survived();
}

#[test]
fn a_request_with_a_large_body_is_answered_before_the_body_and_it_is_not_read() {
    let trial = Trial::start(&[]);
    let descriptors = trial.descriptors();
    for framing in ["Content-Length: 10000000000", "Transfer-Encoding: chunked"] {
        for target in ["/", "/healthz", "/chat", "/nothing"] {
            let head = format!("POST {target} HTTP/1.1\r\nHost: a.example\r\n{framing}\r\n\r\n");
            let mut stream = dial(trial.address());
            stream.write_all(head.as_bytes()).unwrap();
            // Chunks of one size, or simply bytes.
            let body = format!("8000\r\n{}\r\n", "x".repeat(0x8000));
            let taken = pour(&mut stream, body.as_bytes(), 64 << 20);
            assert!(taken < 32 << 20, "{taken} bytes of a body were read");
            let answer = String::from_utf8_lossy(&read_some(&mut stream)).into_owned();
            // A reset may have taken the answer with it.
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
        }
    }
    trial.until_descriptors(descriptors, Duration::from_secs(10));
    trial.survived();
}

fn read_some(stream: &mut impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    bytes
}
