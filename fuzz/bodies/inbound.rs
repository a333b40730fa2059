//! Any bytes from a peer, in any cut, in both ways of taking messages: the same comes out.
//!
//! The bytes: limits (3), echo (1), with deflate its parameters (4), cuts, then the conversation.

use sockeye::proto::deflate::{Deflate, Params, WindowBits};
use sockeye::proto::{Config, Connection, Header, Limits, OpCode, Role};

use super::bytes::Bytes;
use super::run::{Held, Run, Seen};

pub fn inbound_server(data: &[u8]) {
    inbound(data, Role::Server, false);
}

pub fn inbound_client(data: &[u8]) {
    inbound(data, Role::Client, false);
}

pub fn inbound_deflate_server(data: &[u8]) {
    inbound(data, Role::Server, true);
}

pub fn inbound_deflate_client(data: &[u8]) {
    inbound(data, Role::Client, true);
}

fn inbound(data: &[u8], role: Role, deflate: bool) {
    let mut bytes = Bytes::new(data);
    let limits = Limits {
        message_bytes_max: bytes.pick(&[300, 0, 1, 10, 125, 1000, 20_000, 100_000]),
        frame_bytes_max: bytes.pick(&[u64::MAX, 0, 125, 200, 70_000]),
        fragments_max: bytes.pick(&[131_072, 1, 2, 5]),
        // Which pings of a flood are answered does depend on the cut, as it is per read.
        pings_per_read: u32::MAX,
    };
    let echo = bytes.flag();
    let params = deflate.then(|| params(&mut bytes));
    let cuts = bytes.cuts();
    let conversation = bytes.rest();
    let pieces = cuts.pieces(conversation);

    let run = || {
        let config = Config { limits, ..Config::default() };
        let mut connection = match role {
            Role::Server => Connection::server(config),
            Role::Client => Connection::client(config, entropy()),
        };
        if let Some((params, policy)) = &params {
            connection.enable_deflate(params, policy);
        }
        let max = usize::try_from(limits.message_bytes_max).expect("the limits above are small");
        Run::new(connection, echo, max)
    };

    let mut whole = run();
    whole.read(conversation);
    let mut cut = run();
    let mut in_parts = run();
    for piece in &pieces {
        cut.read(piece);
        in_parts.read_parts(piece);
    }
    let between = |run: &mut Run| run.connection.split_mut().0.is_between_messages();
    assert_eq!(between(&mut whole), between(&mut cut), "the cut changed what is unfinished");
    if role == Role::Server && echo {
        let mut in_place = run();
        let mut held = Held::default();
        for piece in &pieces {
            in_place.read_in_place(piece, &mut held);
        }
        if !deflate {
            assert!(in_place.out == whole.out, "turning messages round changed what was sent");
        }
    }
    let (mut whole, mut cut, mut in_parts) = (whole.end(), cut.end(), in_parts.end());
    if let Some((params, policy)) = &params
        && params.server_no_context_takeover | params.client_no_context_takeover
    {
        // A compressor that others used before may choose other bytes for the same message.
        for (_, out) in [&mut whole, &mut cut, &mut in_parts] {
            *out = heard(out, role, params, policy);
        }
    }
    if !matches!(whole.0.last(), Some(Seen::Failed(_))) {
        assert_legal(conversation, role, deflate, &limits);
    }
    assert_same(&cut, &whole, "the cut changed what was seen");
    assert_same(&in_parts, &whole, "taking messages in parts changed what was seen");
}

fn assert_same(seen: &(Vec<Seen>, Vec<u8>), whole: &(Vec<Seen>, Vec<u8>), what: &str) {
    assert_eq!(seen.0, whole.0, "{what}");
    assert_eq!(seen.1, whole.1, "{what}: the output");
}

/// What the peer makes of an output, as text.
fn heard(out: &[u8], role: Role, params: &Params, policy: &Deflate) -> Vec<u8> {
    let mut peer = match role {
        Role::Server => Connection::client(Config::default(), entropy()),
        Role::Client => Connection::server(Config::default()),
    };
    peer.enable_deflate(params, policy);
    let mut run = Run::new(peer, false, usize::MAX);
    run.read(out);
    format!("{:?}", run.end().0).into_bytes()
}

/// What was taken without complaint obeys the rules of RFC 6455 §5, frame by frame.
fn assert_legal(conversation: &[u8], role: Role, deflate: bool, limits: &Limits) {
    let mut rest = conversation;
    // Frames of the message in progress.
    let mut frames = 0;
    while let Some((header, used)) = Header::parse(rest).expect("a header that was taken") {
        let begins = matches!(header.opcode, OpCode::Text | OpCode::Binary);
        assert_eq!(header.mask.is_some(), role == Role::Server, "{header:?}");
        let compressed = deflate && begins && header.rsv == Header::RSV1;
        assert!(header.rsv == 0 || compressed, "{header:?}");
        assert!(header.len <= limits.frame_bytes_max, "{header:?}");
        if !header.opcode.is_control() {
            assert_eq!(begins, frames == 0, "{header:?} after {frames} frames");
            frames += 1;
            assert!(frames <= limits.fragments_max, "{header:?} after {frames} frames");
            frames = if header.fin { 0 } else { frames };
        }
        let len = usize::try_from(header.len).unwrap_or(usize::MAX).saturating_add(used);
        match rest.get(len..) {
            // What follows a close nobody reads.
            Some(after) if header.opcode != OpCode::Close => rest = after,
            _ => break,
        }
    }
}

fn params(bytes: &mut Bytes<'_>) -> (Params, Deflate) {
    let flags = bytes.byte();
    let window = |bits: u8| WindowBits::new(9 + bits % 7).expect("9 to 15");
    let params = Params {
        server_no_context_takeover: flags & 1 != 0,
        client_no_context_takeover: flags & 2 != 0,
        server_max_window_bits: window(bytes.byte()),
        client_max_window_bits: window(bytes.byte()),
    };
    let level = bytes.byte();
    let compress_from = if flags & 4 != 0 { 0 } else { 128 };
    (params, Deflate { level: level % 10, compress_from, ..Deflate::default() })
}

/// The same keys in every run.
pub fn entropy() -> impl FnMut(&mut [u8]) + Send + 'static {
    let mut next = 0u8;
    move |bytes| {
        for byte in bytes {
            next = next.wrapping_mul(5).wrapping_add(7);
            *byte = next;
        }
    }
}
