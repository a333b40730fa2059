//! The way bytes are cut into reads changes neither events nor output.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use proptest::prelude::*;
use sockeye::proto::{Config, Limits, OpCode};
use support::*;

/// Limits small enough for short scripts to run into them.
fn config() -> Config {
    let limits = Limits {
        message_bytes_max: 300,
        frame_bytes_max: 200,
        fragments_max: 5,
        // Which pings of a flood are answered does depend on the cut, as it is per read.
        pings_per_read: u32::MAX,
    };
    Config::default().limits(limits)
}

fn outcome(pieces: &[&[u8]]) -> (Vec<Seen>, Vec<u8>) {
    let mut run = Run::server(config());
    for piece in pieces {
        run.echo(piece);
    }
    (run.seen, run.out)
}

fn outcome_in_parts(pieces: &[&[u8]]) -> (Vec<Seen>, Vec<u8>) {
    let mut run = Run::server(config());
    let mut message = Vec::new();
    for piece in pieces {
        run.read_parts(piece, &mut message);
    }
    (run.seen, run.out)
}

/// Short conversations that touch every kind of frame and every way to fail.
fn scripts() -> Vec<Vec<Wire>> {
    vec![
        vec![text("hello"), binary([0; 130]), ping("p"), close(1000, "bye"), text("late")],
        vec![text("a").more(), ping("1"), continuation("é").more(), pong("2"), continuation("")],
        vec![
            text([0xe4, 0xbd]).more(),
            continuation([0xa0, 0xe5]).more(),
            continuation([0xa5, 0xbd]),
        ],
        vec![text("ok"), text([b'x', 0xed, 0xa0, 0x80]), ping("never")],
        vec![text("ok").more(), continuation([0xff]), ping("never")],
        vec![text(&"cut \u{20ac}".as_bytes()[..6])],
        vec![binary("x").rsv(4), ping("never")],
        vec![text("x").unmasked()],
        vec![continuation("x")],
        vec![text("a").more(), text("b")],
        vec![binary([7; 201])],
        vec![binary([7; 200]).more(), continuation([7; 101])],
        vec![
            binary("").more(),
            continuation("").more(),
            continuation("").more(),
            continuation("").more(),
            continuation("").more(),
            continuation(""),
        ],
        vec![frame(OpCode::Close, [1])],
        vec![close(1005, "")],
        vec![frame(OpCode::Close, [0x03, 0xe8, 0xff])],
        vec![ping([1; 125]), frame(OpCode::Ping, [1; 126])],
        vec![text("").declaring(u64::MAX)],
        vec![text("").declaring(1 << 40)],
    ]
}

#[test]
fn every_cut_in_two_and_the_cut_into_single_bytes_change_nothing() {
    for script in scripts() {
        let bytes = wire(&script);
        let whole = outcome(&[&bytes]);
        for cut in 0..=bytes.len() {
            let (a, b) = bytes.split_at(cut);
            assert_eq!(outcome(&[a, b]), whole, "{script:?} cut at {cut}");
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(outcome(&single), whole, "{script:?} byte by byte");
    }
}

#[test]
fn every_cut_in_three_of_a_short_script_changes_nothing() {
    let scripts = [
        vec![text("a").more(), ping("12"), continuation("é"), close(1000, "")],
        vec![binary([1; 126]).more(), continuation("z"), text([0xf0, 0x9f, 0x91, 0x8b])],
    ];
    for script in scripts {
        let bytes = wire(&script);
        let whole = outcome(&[&bytes]);
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                assert_eq!(outcome(&pieces), whole, "{script:?} cut at {first} and {second}");
            }
        }
    }
}

#[test]
fn messages_taken_in_parts_are_the_same_messages_in_any_cut() {
    for script in scripts() {
        let bytes = wire(&script);
        let mut whole = Run::server(config());
        whole.read(&bytes);
        for cut in 0..=bytes.len() {
            let (a, b) = bytes.split_at(cut);
            let (seen, out) = outcome_in_parts(&[a, b]);
            assert_eq!((&seen, &out), (&whole.seen, &whole.out), "{script:?} cut at {cut}");
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(outcome_in_parts(&single), (whole.seen, whole.out), "{script:?} byte by byte");
    }
}

#[test]
fn changing_over_between_parts_and_whole_messages_loses_no_later_message() {
    let script = [text("a€").more(), ping("p"), continuation("\u{1f44b}f")];
    let cuts = 0..=wire(&script).len();
    let bytes = wire(&[&script[..], &[text("next")]].concat());
    for cut in cuts {
        // Whole first: what was kept comes as the first part.
        let mut run = Run::server(Config::default());
        let mut message = Vec::new();
        run.read(&bytes[..cut]);
        run.read_parts(&bytes[cut..], &mut message);
        let expected = [Seen::Ping(b"p".to_vec()), seen_text("a€\u{1f44b}f"), seen_text("next")];
        assert_eq!(run.seen, expected, "cut at {cut}");
        // Parts first: the rest of a message begun in parts is skipped.
        let mut run = Run::server(Config::default());
        run.read_parts(&bytes[..cut], &mut message);
        run.read(&bytes[cut..]);
        assert_eq!(run.seen.last(), Some(&seen_text("next")), "cut at {cut}");
        message.clear();
    }
}

fn any_frame() -> impl Strategy<Value = Wire> {
    let opcode = prop_oneof![
        4 => Just(OpCode::Text),
        4 => Just(OpCode::Binary),
        6 => Just(OpCode::Continuation),
        2 => Just(OpCode::Ping),
        1 => Just(OpCode::Pong),
        1 => Just(OpCode::Close),
    ];
    let payload = prop_oneof![
        "\\PC{0,20}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..20),
        prop::collection::vec(Just(b'a'), 120..150),
    ];
    (
        opcode,
        payload,
        any::<bool>(),
        prop_oneof![20 => Just(0u8), 1 => 0..8u8],
        prop_oneof![20 => Just(true), 1 => Just(false)],
    )
        .prop_map(|(opcode, payload, more, rsv, masked)| {
            let wire = frame(opcode, payload).rsv(rsv);
            let wire = if more && !opcode.is_control() { wire.more() } else { wire };
            if masked { wire } else { wire.unmasked() }
        })
}

fn cut(bytes: &[u8], cuts: &[prop::sample::Index]) -> Vec<Vec<u8>> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| bytes[pair[0]..pair[1]].to_vec()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_frames_in_any_cut_come_to_the_same(
        frames in prop::collection::vec(any_frame(), 0..12),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let bytes = wire(&frames);
        let pieces = cut(&bytes, &cuts);
        let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        let whole = outcome(&[&bytes]);
        prop_assert_eq!(outcome(&pieces), whole);
        prop_assert_eq!(outcome_in_parts(&pieces), outcome_in_parts(&[&bytes]));
    }

    #[test]
    fn any_bytes_in_any_cut_come_to_the_same_without_a_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let pieces = cut(&bytes, &cuts);
        let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        prop_assert_eq!(outcome(&pieces), outcome(&[&bytes]));
        prop_assert_eq!(outcome_in_parts(&pieces), outcome_in_parts(&[&bytes]));
    }

    #[test]
    fn the_same_input_gives_the_same_bytes(frames in prop::collection::vec(any_frame(), 0..12)) {
        let bytes = wire(&frames);
        prop_assert_eq!(outcome(&[&bytes]), outcome(&[&bytes]));
    }
}
