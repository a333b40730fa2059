//! Writes the inputs that each target begins with to `corpus/<target>/`: the examples of the RFCs, and
//! short conversations that touch every kind of frame and every way to fail.
//!
//!     cargo run --bin seeds

use std::fs;
use std::path::Path;

/// What stands in front of a conversation: limits, echo and cuts; here: generous, and byte by byte.
const INBOUND: [u8; 5] = [7, 0, 0, 0, 0];
/// The same with deflate's parameters.
const INBOUND_DEFLATE: [u8; 9] = [7, 0, 0, 0, 3, 6, 6, 6, 0];

fn main() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let write = |target: &str, name: &str, parts: &[&[u8]]| {
        let folder = corpus.join(target);
        fs::create_dir_all(&folder).expect("the corpus can be written to");
        fs::write(folder.join(format!("seed-{name}")), parts.concat())
            .expect("the corpus can be written to");
    };

    for (name, frames) in conversations() {
        let server: Vec<u8> = frames.iter().flat_map(|frame| frame.masked()).collect();
        let client: Vec<u8> = frames.iter().flat_map(|frame| frame.plain()).collect();
        write("inbound_server", name, &[&INBOUND, &server]);
        write("inbound_client", name, &[&INBOUND, &client]);
        write("inbound_deflate_server", name, &[&INBOUND_DEFLATE, &server]);
        write("inbound_deflate_client", name, &[&INBOUND_DEFLATE, &client]);
        write("differential_tungstenite", name, &[&server]);
        write("header", name, &[&client]);
    }
    for (name, head) in [
        ("minimal-2", &[0x82, 0x7E, 0, 125][..]),
        ("minimal-8", &[0x82, 0x7F, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]),
        ("top-bit", &[0x82, 0x7F, 0x80, 0, 0, 0, 0, 0, 0, 0]),
        ("longest", &[0x82, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 2, 3, 4]),
        ("fragmented-control", &[0x09, 0x00]),
        ("reserved", &[0x83, 0x00]),
    ] {
        write("header", name, &[head]);
        write("differential_tungstenite", name, &[head, &[1; 140]]);
        write("inbound_client", name, &[&INBOUND, head]);
        write("inbound_server", name, &[&INBOUND, head]);
    }
    for (name, payload) in compressed() {
        let frame = Frame(0xC1, payload.clone());
        let halves = payload.split_at(payload.len() / 2);
        let fragments = [Frame(0x41, halves.0.to_vec()), Frame(0x80, halves.1.to_vec())];
        let twice = [&frame, &frame, &fragments[0], &fragments[1]];
        let server: Vec<u8> = twice.iter().flat_map(|frame| frame.masked()).collect();
        let client: Vec<u8> = twice.iter().flat_map(|frame| frame.plain()).collect();
        write("inbound_deflate_server", name, &[&INBOUND_DEFLATE, &server]);
        write("inbound_deflate_client", name, &[&INBOUND_DEFLATE, &client]);
        let len = u16::try_from(payload.len()).expect("short").to_be_bytes();
        for takeover in 0..2 {
            let name = format!("{name}-{takeover}");
            let message: [&[u8]; 2] = [&len, &payload];
            let start: &[u8] = &[0, takeover, 0, 0, 1, 3];
            write("inflate", &name, &[start, &message.concat(), &message.concat()]);
        }
    }
    // RFC 7692 §7.2.3.2: with takeover the second message refers to the first.
    let (first, second) = (b"\0\x07\xF2\x48\xCD\xC9\xC9\x07\0", b"\0\x05\xF2\0\x11\0\0");
    for takeover in 0..2 {
        write("inflate", &format!("shared-{takeover}"), &[&[0, takeover, 0, 0, 0], first, second]);
    }
    for tried in [1, 2, 4, 5, 20, 29] {
        let text = b"\x00\x20the same words, the same words. \x00\x05Hello";
        write("inflate", &format!("words-{tried}"), &[&[tried, 1, 0, 0, 1, 200], text]);
    }

    for (name, head) in REQUESTS {
        write("request", name, &[b"\0\0\x06Server\x04fuzz\x02no\x01\x93\x01\x07", head]);
    }
    let rfc = REQUESTS[0].1;
    write("request", "injection", &[b"\0\0\x01a\x07b\r\nc: d\x02no\x01\x93\x01\x07", rfc]);
    write("request", "injection-of-name", &[b"\0\0\x07a: b\r\nc\x01d\x02no\x01\x93\x01\x07", rfc]);
    for (bit, text) in
        ["a\r\nb: c", "/ HTTP/1.1\r\nb: c", "a, b", "a: b\r\nc", "a\r\nb: c", "a\nb: c", "a\rb"]
            .iter()
            .enumerate()
    {
        let len = u8::try_from(text.len()).expect("short");
        let start = [0, 0, 1 << bit, len];
        write("response", &format!("injection-{bit}"), &[&start, text.as_bytes(), &[0]]);
    }
    for (name, head) in RESPONSES {
        write("response", name, &[b"\0\0\0\x01\x07", head]);
    }
    let all = b"\0\0\x7F\x0bexample.com\x05/chat\x01v\x01X\x01y\x10http://localhost\x05x-mux\0";
    write("response", "request-of-all-fields", &[all]);
    for (name, lines) in EXTENSIONS {
        write("extensions", name, &[&[1, 1, 6, 6, 1, 1, 1, 6, 6, 1], lines]);
        write("extensions", &format!("{name}-own"), &[&[0, 0, 3, 4, 1, 0, 0, 2, 5, 1], lines]);
    }

    let texts: [(&str, &[u8]); 5] = [
        ("kosme", "κόσμε, 你好 👋 ~\u{7f}\u{80}\u{7ff}\u{800}\u{10ffff}".as_bytes()),
        ("surrogate", b"a\xED\xA0\x80b"),
        ("overlong", b"\xC0\x80\xE0\x80\x80"),
        ("too-large", b"\xF4\x90\x80\x80"),
        ("cut", b"long enough for a vector of 32 or of 64 bytes, one would hope: \xF0\x9F\x91"),
    ];
    for (name, text) in texts {
        write("utf8", name, &[&[2, 1, 3], text]);
        write("utf8", &format!("{name}-whole"), &[&[1, 255], text]);
    }
    for len in [0u16, 3, 7, 15, 16, 31, 33, 64, 65, 127, 129, 255, 300, 1000, 4999] {
        let [high, low] = len.to_be_bytes();
        let start = [0x37, 0xFA, 0x21, 0x3D, (len % 70) as u8, 0, 5, high, low];
        write("mask", &len.to_string(), &[&start, b"Hello, world"]);
    }

    for flags in [0, 3, 4, 8 + 16, 3 + 8 + 16] {
        let start = [flags, 0, 6, 1, 0, 6, 0];
        #[rustfmt::skip]
        let talk = [
            // The client's text, and of the server's binary message 8192 bytes.
            &[0x90, 5][..], b"Hello", &[0x01, 0x85], b"Hello", &[0x20, 0],
            // A message of the client in fragments, with a ping between; some bytes reach the other side.
            &[2, 1, 0, 3], b"abc", &[6, 3], b"png", &[4, 0, 1, 3], b"def", &[14, 0, 7, 15, 1, 0],
            // The server's prepared message, and a bare head.
            &[11, 0x85], b"to us", &[1, 0, 1, 13, 4], b"head", &[1],
            // Of either side twice the same, for a window that is taken over.
            &[0, 0x84], b"twic", &[0, 90, 0, 0x84], b"twic", &[0, 90],
            &[1, 0x84], b"twic", &[0, 90, 1, 0x84], b"twic", &[0, 90],
            &[9, 3, 0xE8, 3], b"bye", &[16, 255, 255, 17, 255, 255],
        ]
        .concat();
        write("round_trip", &flags.to_string(), &[&start, &talk]);
    }
}

/// A frame's first byte and its payload.
struct Frame(u8, Vec<u8>);

impl Frame {
    fn head(&self, mask: u8) -> Vec<u8> {
        let len = self.1.len();
        match u8::try_from(len) {
            Ok(short @ 0..=125) => vec![self.0, mask | short],
            _ => {
                let [high, low] = u16::try_from(len).expect("seeds are small").to_be_bytes();
                vec![self.0, mask | 126, high, low]
            }
        }
    }

    /// As a client sends it. With a key of zeros, so that the fuzzer sees what it changes.
    fn masked(&self) -> Vec<u8> {
        [&self.head(0x80)[..], &[0; 4], &self.1].concat()
    }

    fn plain(&self) -> Vec<u8> {
        [&self.head(0)[..], &self.1].concat()
    }
}

fn conversations() -> Vec<(&'static str, Vec<Frame>)> {
    let frame = |first, payload: &[u8]| Frame(first, payload.to_vec());
    vec![
        // RFC 6455 §5.7.
        ("rfc-text", vec![frame(0x81, b"Hello")]),
        ("rfc-fragments", vec![frame(0x01, b"Hel"), frame(0x80, b"lo")]),
        ("rfc-ping", vec![frame(0x89, b"Hello"), frame(0x8A, b"Hello")]),
        ("rfc-256", vec![frame(0x82, &[7; 256])]),
        (
            "all",
            vec![
                frame(0x81, "Hello, wörld".as_bytes()),
                frame(0x82, &[0; 130]),
                frame(0x89, b"p"),
                frame(0x88, b"\x03\xE8bye"),
                frame(0x81, b"late"),
            ],
        ),
        (
            "between",
            vec![
                frame(0x01, "\u{4f60}".as_bytes()[..2].into()),
                frame(0x89, b"1"),
                frame(0x00, &"\u{4f60}".as_bytes()[2..]),
                frame(0x8A, b""),
                frame(0x80, b""),
            ],
        ),
        ("not-utf8", vec![frame(0x81, b"ok"), frame(0x81, b"x\xED\xA0\x80"), frame(0x89, b"")]),
        ("rsv", vec![frame(0xA2, b"x")]),
        ("nothing-to-continue", vec![frame(0x80, b"x")]),
        ("unfinished", vec![frame(0x01, b"a"), frame(0x81, b"b")]),
        ("close", vec![frame(0x88, b"")]),
        ("close-short", vec![frame(0x88, b"\x03")]),
        ("close-1005", vec![frame(0x88, b"\x03\xED")]),
        ("close-1014", vec![frame(0x88, b"\x03\xF6x")]),
        ("close-4000", vec![frame(0x88, b"\x0F\xA0 application")]),
        ("close-not-utf8", vec![frame(0x88, b"\x03\xE8\xFF")]),
        ("long-ping", vec![frame(0x89, &[1; 125]), frame(0x89, &[1; 126])]),
        ("large", vec![frame(0x02, &[1; 700]), frame(0x80, &[2; 700])]),
        ("empty", vec![frame(0x02, b""), frame(0, b""), frame(0, b""), frame(0x80, b"")]),
    ]
}

fn compressed() -> Vec<(&'static str, Vec<u8>)> {
    let of = |text: &[u8], level| {
        let mut deflated = miniz_oxide::deflate::compress_to_vec(text, level);
        deflated.push(0);
        deflated
    };
    let words = b"the same words, the same words, the same words. ".repeat(20);
    vec![
        // RFC 7692 §7.2.3.1 to §7.2.3.6.
        ("rfc-hello", vec![0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00]),
        ("rfc-shared", vec![0xF2, 0x00, 0x11, 0x00, 0x00]),
        ("rfc-stored", b"\x00\x05\x00\xFA\xFFHello\x00".to_vec()),
        ("rfc-final", vec![0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00]),
        (
            "rfc-two-blocks",
            vec![0xF2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xCA, 0xC9, 0xC9, 0x07, 0x00],
        ),
        ("rfc-empty", vec![0x00]),
        ("none", vec![]),
        ("dynamic", of(&words, 9)),
        ("fixed", of(b"a short text, a short text", 1)),
        ("stored", of(b"stored", 0)),
        ("zeros", of(&[0; 30_000], 9)),
        ("bomb", of(&[0; 200_000], 9)),
        ("cut", vec![0xF2, 0x48, 0xCD]),
    ]
}

const REQUESTS: [(&str, &[u8]); 6] = [
    // RFC 6455 §1.2.
    ("rfc", b"GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://example.com\r\nSec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Version: 13\r\n\r\n\x81\x80\0\0\0\0"),
    ("deflate", b"GET ws://a/?b=c HTTP/1.1\r\nHost: a:8080\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEC==\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits; server_max_window_bits=\"10\"\r\nSec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Version: 13\r\nContent-Length: 0\r\n\r\n"),
    ("page", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("version", b"GET / HTTP/1.1\r\nHost: [::1]\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 8\r\n\r\n"),
    ("folded", b"POST / HTTP/1.0\r\nHost: a\r\n b\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ("tls", b"\x16\x03\x01\x02\x00"),
];

const RESPONSES: [(&str, &[u8]); 5] = [
    ("rfc", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n\x81\x00"),
    ("deflate", b"HTTP/1.1 101 \r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=10, x-mux\r\n\r\n"),
    ("interim", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"),
    ("refused", b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 4\r\nLocation: /login\r\n\r\nshut"),
    ("wrong-accept", b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOO=\r\n\r\n"),
];

const EXTENSIONS: [(&str, &[u8]); 6] = [
    // RFC 7692 §7.1, RFC 6455 §9.1.
    ("chrome", b"permessage-deflate; client_max_window_bits"),
    ("rfc-fallback", b"permessage-deflate; client_max_window_bits; server_max_window_bits=10, permessage-deflate; client_max_window_bits"),
    ("rfc-quoted", b"permessage-deflate; server_max_window_bits=\"10\""),
    ("all", b"permessage-deflate;server_no_context_takeover;client_no_context_takeover;server_max_window_bits=9;client_max_window_bits=15"),
    ("eight", b"permessage-deflate; server_max_window_bits=8\npermessage-deflate; client_max_window_bits=8"),
    ("others", b"deflate-stream\nmux; max-channels=4; flow-control, x; y=\"a\\b\""),
];
