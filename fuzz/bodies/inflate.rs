//! Compressed messages against another implementation of DEFLATE.
//!
//! The bytes: what is tried, the agreement (2), the limit, cuts into fragments, then messages, each
//! with its length (2) before it.

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};
use sockeye::proto::deflate::{Deflate, Params, WindowBits};
use sockeye::proto::{
    Config, Connection, Header, Limits, MaskKey, Message, OpCode, Violation, apply_mask,
};

use super::bytes::{Bytes, Cuts};
use super::inbound::entropy;
use super::run::{Run, Seen};

pub fn inflate(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let tried = bytes.byte();
    let takeover = bytes.flag();
    let bits = WindowBits::new(15 - bytes.byte() % 7).expect("9 to 15");
    let max = bytes.pick(&[20_000, 0, 1, 100, 16_384, 100_000]);
    let cuts = bytes.cuts();
    let mut messages = Vec::new();
    while !bytes.is_empty() && messages.len() < 8 {
        let len = usize::from(bytes.u16());
        messages.push(bytes.take(len));
    }
    let agreed = Agreed { takeover, bits, max };
    match tried % 3 {
        0 => anything(&messages, agreed, &cuts),
        1 => of_another(&messages, agreed, &cuts, tried / 3 % 11),
        _ => for_another(&messages, agreed, &cuts, tried / 3 % 10),
    }
}

#[derive(Clone, Copy)]
struct Agreed {
    takeover: bool,
    bits: WindowBits,
    max: usize,
}

impl Agreed {
    fn params(self) -> Params {
        Params {
            server_no_context_takeover: !self.takeover,
            client_no_context_takeover: !self.takeover,
            server_max_window_bits: self.bits,
            client_max_window_bits: self.bits,
        }
    }

    fn server(self) -> Run {
        let limits = Limits { message_bytes_max: self.max as u64, ..Limits::default() };
        let mut server = Connection::server(Config { limits, ..Config::default() });
        server.enable_deflate(&self.params(), &Deflate::default());
        Run::new(server, false, self.max)
    }
}

/// Bytes that claim to be compressed messages: what we make of them, another makes of them as well.
///
/// The other way round does not hold: zlib refuses incomplete codes that miniz_oxide lets pass.
fn anything(messages: &[&[u8]], agreed: Agreed, cuts: &Cuts) {
    let mut server = agreed.server();
    let mut oracle = Oracle::default();
    for message in messages {
        server.seen.clear();
        server.read(&frames(message, cuts));
        let expected = oracle.message(message, agreed);
        match server.seen.last() {
            Some(Seen::Binary(inflated)) => {
                assert_eq!(expected, Verdict::Message(inflated.clone()));
            }
            Some(Seen::Failed(Violation::InflatedTooLarge { .. })) => {
                // What goes wrong where the limit is reached nobody looks at.
                let full = expected == Verdict::TooLarge || expected == Verdict::Bad(agreed.max);
                assert!(full, "{expected:?}");
                return;
            }
            Some(Seen::Failed(Violation::Deflate)) => return,
            odd => panic!("{odd:?}"),
        }
    }
}

/// What another compressed is inflated to what it was.
fn of_another(messages: &[&[u8]], agreed: Agreed, cuts: &Cuts, level: u8) {
    // It knows no smaller window than the largest, and begins each message anew.
    let agreed = Agreed { bits: WindowBits::MAX, ..agreed };
    let mut server = agreed.server();
    for message in messages {
        // §7.2.3.4: it ends its stream with BFINAL; some senders add the byte that then follows.
        let mut compressed = miniz_oxide::deflate::compress_to_vec(message, level);
        if level.is_multiple_of(2) {
            compressed.push(0);
        }
        server.seen.clear();
        server.read(&frames(&compressed, cuts));
        if message.len() > agreed.max {
            let max = agreed.max as u64;
            assert_eq!(server.seen, [Seen::Failed(Violation::InflatedTooLarge { max })]);
            return;
        }
        assert_eq!(server.seen, [Seen::Binary(message.to_vec())]);
    }
}

/// What we compressed another inflates to what it was.
fn for_another(messages: &[&[u8]], agreed: Agreed, cuts: &Cuts, level: u8) {
    let mut client = Connection::client(Config::default(), entropy());
    client.enable_deflate(
        &agreed.params(),
        &Deflate { level, compress_from: 0, ..Deflate::default() },
    );
    let agreed = Agreed { max: usize::MAX, ..agreed };
    let mut oracle = Oracle::default();
    for message in messages {
        let mut out = Vec::new();
        let (_, tx) = client.split_mut();
        let pieces = cuts.pieces(message);
        for (at, piece) in pieces.iter().enumerate() {
            let fin = at + 1 == pieces.len();
            tx.fragment(Message::Binary(piece), fin, &mut out).expect("open");
        }
        if pieces.is_empty() {
            tx.binary(&[], &mut out).expect("open");
        }
        let (first, _) = Header::parse(&out).expect("we wrote it").expect("whole");
        let compressed = payload_of(&out);
        // What does not shrink goes out plain, where no window is shared.
        if first.rsv & Header::RSV1 == 0 {
            assert!(!agreed.takeover && compressed == *message);
            continue;
        }
        assert_eq!(oracle.message(&compressed, agreed), Verdict::Message(message.to_vec()));
    }
}

/// A compressed binary message, as a client sends it, in fragments.
fn frames(payload: &[u8], cuts: &Cuts) -> Vec<u8> {
    let mut pieces = cuts.pieces(payload);
    if pieces.is_empty() {
        pieces.push(&[]);
    }
    let mut wire = Vec::new();
    for (at, piece) in pieces.iter().enumerate() {
        let (opcode, rsv) =
            if at == 0 { (OpCode::Binary, Header::RSV1) } else { (OpCode::Continuation, 0) };
        let fin = at + 1 == pieces.len();
        let mask = Some(MaskKey([0; 4]));
        let header = Header { fin, rsv, opcode, mask, len: piece.len() as u64 };
        wire.extend_from_slice(&header.encode());
        wire.extend_from_slice(piece);
    }
    wire
}

/// The payload of all frames, unmasked.
fn payload_of(wire: &[u8]) -> Vec<u8> {
    let mut payload = Vec::new();
    let mut rest = wire;
    while let Some((header, used)) = Header::parse(rest).expect("we wrote it") {
        let len = usize::try_from(header.len).expect("it is here");
        let (frame, after) = rest[used..].split_at(len);
        let mut frame = frame.to_vec();
        apply_mask(header.mask.expect("a client masks"), &mut frame);
        payload.extend_from_slice(&frame);
        rest = after;
    }
    payload
}

#[derive(PartialEq, Eq, Debug)]
enum Verdict {
    Message(Vec<u8>),
    TooLarge,
    /// After so many bytes.
    Bad(usize),
}

/// No DEFLATE stream, or one that goes on longer than is of interest.
struct Bad;

/// RFC 7692 §7.2.2 by miniz_oxide, with all that was ever inflated as its window.
#[derive(Default)]
struct Oracle {
    out: Vec<u8>,
}

impl Oracle {
    fn message(&mut self, payload: &[u8], agreed: Agreed) -> Verdict {
        if !agreed.takeover {
            self.out.clear();
        }
        let begin = self.out.len();
        // One byte more than there may be shows that there are more; what follows it does not count.
        let max = agreed.max.min(1 << 20);
        let result = self.streams(payload, begin + max + 1);
        let message = &self.out[begin..];
        match result {
            _ if message.len() > max => Verdict::TooLarge,
            Ok(()) => Verdict::Message(message.to_vec()),
            Err(Bad) => Verdict::Bad(message.len()),
        }
    }

    /// One DEFLATE stream after the other (§7.2.3.4), the last without its end.
    fn streams(&mut self, payload: &[u8], end: usize) -> Result<(), Bad> {
        let mut rest = payload;
        while !rest.is_empty() {
            let mut state = DecompressorOxide::new();
            let (status, used) = self.pump(&mut state, rest, end);
            rest = &rest[used..];
            match status {
                TINFLStatus::Done => {}
                TINFLStatus::NeedsMoreInput => {
                    assert!(rest.is_empty());
                    // Where a sender left the four bytes in their place they are there already.
                    let tail: &[u8] = &[0x00, 0x00, 0xFF, 0xFF, 0x03, 0x00];
                    let tail = if payload.ends_with(&tail[..4]) { &tail[4..] } else { tail };
                    let (status, used) = self.pump(&mut state, tail, end);
                    return match status {
                        TINFLStatus::Done if used == tail.len() => Ok(()),
                        _ => Err(Bad),
                    };
                }
                _ => return Err(Bad),
            }
        }
        Ok(())
    }

    fn pump(
        &mut self,
        state: &mut DecompressorOxide,
        input: &[u8],
        end: usize,
    ) -> (TINFLStatus, usize) {
        let flags = inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF
            | inflate_flags::TINFL_FLAG_HAS_MORE_INPUT;
        let at = self.out.len();
        self.out.resize(end, 0);
        let (status, used, made) = decompress(state, input, &mut self.out, at, flags);
        self.out.truncate(at + made);
        (status, used)
    }
}
