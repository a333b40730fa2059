//! What the codec costs in memory, without sockets: `cargo bench --bench codec [filter]`.
//!
//! Input is unmasked in place, so each round gets a fresh copy that is not timed. Beside its peers
//! the codec is measured by the package in `benches/peers`.

#![allow(missing_docs, reason = "the functions that the macros make")]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use sockeye::proto::deflate::{Deflate, Params, WindowBits};
use sockeye::proto::handshake::{Answer, HeadLimits, RequestReader};
use sockeye::proto::{
    Config, Connection, Event, Header, Input, MaskKey, Message, OpCode, Utf8, apply_mask,
};

/// Bytes of frames in one round: little enough for the second-level cache.
const ROUND: usize = 64 << 10;

fn masked(opcode: OpCode, fin: bool, payload: &[u8]) -> Vec<u8> {
    let key = MaskKey([0x37, 0xfa, 0x21, 0x3d]);
    let len = payload.len() as u64;
    let mut bytes = Header { fin, rsv: 0, opcode, mask: Some(key), len }.encode().to_vec();
    let start = bytes.len();
    bytes.extend_from_slice(payload);
    apply_mask(key, &mut bytes[start..]);
    bytes
}

/// As many of these frames as make a round, and how many.
fn round_of(frame: &[u8]) -> (Vec<u8>, usize) {
    let times = (ROUND / frame.len()).max(1);
    (frame.repeat(times), times)
}

/// A text of so many bytes, ASCII or of characters of two to four.
fn text(len: usize, mixed: bool) -> String {
    let piece = if mixed { "Привет, 你好 👋 " } else { "the quick brown fox " };
    let mut text = String::new();
    for character in piece.chars().cycle() {
        if text.len() + character.len_utf8() > len {
            break;
        }
        text.push(character);
    }
    text
}

fn header(c: &mut Criterion) {
    let mut group = c.benchmark_group("header");
    for len in [20, 1000, 100_000] {
        let mask = Some(MaskKey([1, 2, 3, 4]));
        let header = Header { fin: true, rsv: 0, opcode: OpCode::Binary, mask, len };
        let bytes = header.encode().to_vec();
        group.bench_function(format!("parse/{len}"), |b| {
            b.iter(|| Header::parse(black_box(&bytes)));
        });
        group.bench_function(format!("encode/{len}"), |b| b.iter(|| black_box(&header).encode()));
    }
}

/// Feeds `wire` to `connection`, sends back what comes if `echo`, and says how much came.
fn feed(connection: &mut Connection, wire: &mut [u8], echo: bool, out: &mut Vec<u8>) -> usize {
    let (rx, tx) = connection.split_mut();
    let mut input = Input::new(wire);
    let mut bytes = 0;
    while let Some(event) = rx.next(&mut input, tx, out).expect("the frames are good") {
        let message = match event {
            Event::Text(text) => Message::Text(text),
            Event::Binary(bytes) => Message::Binary(bytes),
            _ => continue,
        };
        bytes += message.as_bytes().len();
        if echo {
            let sent = match message {
                Message::Text(text) => tx.text(text, out),
                Message::Binary(bytes) => tx.binary(bytes, out),
            };
            sent.expect("the connection is open");
        }
    }
    bytes
}

fn messages(c: &mut Criterion) {
    for (name, echo) in [("parse", false), ("echo", true)] {
        let mut group = c.benchmark_group(name);
        for len in [16, 128, 1 << 10, 64 << 10] {
            for (kind, opcode) in [("text", OpCode::Text), ("binary", OpCode::Binary)] {
                let (wire, times) = round_of(&masked(opcode, true, text(len, false).as_bytes()));
                let mut connection = Connection::server(Config::default());
                let mut out = Vec::with_capacity(2 * wire.len());
                group.throughput(Throughput::Elements(times as u64));
                group.bench_function(format!("{kind}/{len}"), |b| {
                    b.iter_batched_ref(
                        || wire.clone(),
                        |wire| {
                            out.clear();
                            feed(&mut connection, wire, echo, &mut out)
                        },
                        BatchSize::SmallInput,
                    );
                });
            }
        }
    }
}

fn fragments(c: &mut Criterion) {
    let mut group = c.benchmark_group("fragments");
    let piece = text(64, false);
    let mut wire = masked(OpCode::Text, false, piece.as_bytes());
    for _ in 0..254 {
        wire.extend(masked(OpCode::Continuation, false, piece.as_bytes()));
    }
    wire.extend(masked(OpCode::Continuation, true, piece.as_bytes()));
    group.throughput(Throughput::Elements(256));
    let mut connection = Connection::server(Config::default());
    let mut out = Vec::new();
    group.bench_function("256 of 64", |b| {
        b.iter_batched_ref(
            || wire.clone(),
            |wire| feed(&mut connection, wire, false, &mut out),
            BatchSize::SmallInput,
        );
    });
}

fn encode(c: &mut Criterion) {
    let mut group = c.benchmark_group("encode");
    for len in [16, 128, 1 << 10, 64 << 10] {
        let payload = vec![7; len];
        let mut out = Vec::with_capacity(len + Header::MAX_LEN);
        let mut server = Connection::server(Config::default());
        let mut client = Connection::client(Config::default(), |bytes: &mut [u8]| bytes.fill(9));
        for (role, connection) in [("server", &mut server), ("client", &mut client)] {
            group.bench_function(format!("{role}/{len}"), |b| {
                b.iter(|| {
                    out.clear();
                    connection.split_mut().1.binary(black_box(&payload), &mut out)
                });
            });
        }
    }
}

fn utf8(c: &mut Criterion) {
    let mut group = c.benchmark_group("utf8");
    for (name, mixed) in [("ascii", false), ("mixed", true)] {
        for len in [16, 128, 1 << 10, 64 << 10] {
            let text = text(len, mixed);
            group.throughput(Throughput::Bytes(text.len() as u64));
            group.bench_function(format!("{name}/{len}"), |b| {
                b.iter(|| Utf8::default().feed(black_box(text.as_bytes())));
            });
        }
    }
}

fn handshake(c: &mut Criterion) {
    let head = b"GET /chat?room=1 HTTP/1.1\r\nHost: server.example.com\r\n\
        User-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nOrigin: http://example.com\r\n\
        Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";
    let mut out = Vec::with_capacity(512);
    c.bench_function("handshake/server", |b| {
        b.iter(|| {
            out.clear();
            let mut reader = RequestReader::new(HeadLimits::default());
            let request = reader.read(black_box(head)).expect("a good head").expect("a whole one");
            let upgrade = request.upgrade().expect("an upgrade");
            upgrade.accept(&Answer::default(), &mut out).expect("nothing was added")
        });
    });
}

fn deflate(c: &mut Criterion) {
    let mut group = c.benchmark_group("deflate");
    let json: String = (0..8)
        .map(|i| {
            format!(
                "{{\"id\":{i},\"user\":\"sockeye-{i}\",\"text\":\"a message of some length, as \
                people write them\",\"at\":17634{i}9911{i}3}},"
            )
        })
        .collect();
    for takeover in [false, true] {
        let params = Params {
            server_no_context_takeover: !takeover,
            client_no_context_takeover: !takeover,
            server_max_window_bits: WindowBits::MAX,
            client_max_window_bits: WindowBits::MAX,
        };
        let policy = Deflate::default();
        let mut client = Connection::client(Config::default(), |bytes: &mut [u8]| bytes.fill(9));
        client.enable_deflate(&params, &policy);
        let mut server = Connection::server(Config::default());
        server.enable_deflate(&params, &policy);
        let (mut sent, mut out) = (Vec::new(), Vec::new());
        let name = if takeover { "with takeover" } else { "without takeover" };
        group.bench_function(format!("compress/{name}/{}", json.len()), |b| {
            b.iter(|| {
                sent.clear();
                client.split_mut().1.text(black_box(&json), &mut sent)
            });
        });
        // The client's window is in step with what the server sees, so both run in each round.
        group.bench_function(format!("compress and inflate/{name}/{}", json.len()), |b| {
            let mut client =
                Connection::client(Config::default(), |bytes: &mut [u8]| bytes.fill(9));
            client.enable_deflate(&params, &policy);
            b.iter(|| {
                sent.clear();
                client.split_mut().1.text(black_box(&json), &mut sent).expect("open");
                feed(&mut server, &mut sent, false, &mut out)
            });
        });
    }
}

criterion_group!(benches, header, messages, fragments, encode, utf8, handshake, deflate);
criterion_main!(benches);
