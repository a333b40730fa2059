//! Messages turned round where they lie are the messages that the ordinary way sends back, byte for byte.

mod support;

use proptest::prelude::*;
use sockeye::proto::{Config, Connection, Input, Limits, OpCode};
use support::{Run, Wire, binary, close, close_code_in, continuation, frame, ping, text, wire};

/// Echoes with `Inbound::echo` as far as that goes, and otherwise as anybody would. Waits for long messages as
/// `Inbound::awaits` asks.
struct InPlace {
    connection: Connection,
    held: Vec<u8>,
    until: usize,
    out: Vec<u8>,
    turned: usize,
}

impl InPlace {
    fn new(config: Config) -> Self {
        let connection = Connection::server(config);
        Self { connection, held: Vec::new(), until: 0, out: Vec::new(), turned: 0 }
    }

    fn read(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
        if self.held.len() < self.until {
            return;
        }
        let mut bytes = std::mem::take(&mut self.held);
        self.until = 0;
        let (rx, tx) = self.connection.split_mut();
        let mut input = Input::new(&mut bytes);
        // What is turned round lies in the input: it is taken down when the input is given back.
        let mut pieces: Vec<Result<std::ops::Range<usize>, Vec<u8>>> = Vec::new();
        loop {
            if let Some(echoed) = rx.echo(&mut input, tx) {
                assert!(!echoed.frames.is_empty() && echoed.texts + echoed.binaries > 0);
                self.turned += echoed.texts + echoed.binaries;
                pieces.push(Ok(echoed.frames));
                continue;
            }
            let mut own = Vec::new();
            if let Some(whole) = rx.awaits(&input, tx, &mut own) {
                assert!(whole > input.remaining());
                self.until = whole;
                pieces.push(Err(own));
                break;
            }
            match rx.next(&mut input, tx, &mut own) {
                Ok(None) => {
                    pieces.push(Err(own));
                    break;
                }
                Ok(Some(sockeye::proto::Event::Text(it))) => drop(tx.text(it, &mut own)),
                Ok(Some(sockeye::proto::Event::Binary(it))) => drop(tx.binary(it, &mut own)),
                _ => {}
            }
            pieces.push(Err(own));
        }
        let rest = input.remaining();
        for piece in pieces {
            match piece {
                Ok(frames) => self.out.extend_from_slice(&bytes[frames]),
                Err(own) => self.out.extend_from_slice(&own),
            }
        }
        self.held = bytes.split_off(bytes.len() - rest);
    }
}

/// How many messages were turned round, after comparing with the ordinary way.
fn same(config: &Config, conversation: &[u8], cut: usize) -> usize {
    let mut ordinary = Run::server(config.clone());
    let mut in_place = InPlace::new(config.clone());
    for piece in conversation.chunks(cut.max(1)) {
        ordinary.echo(piece);
        in_place.read(piece);
    }
    assert!(in_place.out == ordinary.out, "cut every {cut} bytes");
    in_place.turned
}

#[test]
fn short_messages_close_up_and_long_ones_stay() {
    let lens = [0, 1, 3, 4, 7, 8, 15, 16, 32, 33, 125, 126, 127, 1000, 4096, 4097, 20_000, 65_535];
    let conversation: Vec<Wire> =
        lens.iter().flat_map(|&len| [binary(vec![7; len]), text("é".repeat(len / 2))]).collect();
    let turned = same(&Config::default(), &wire(&conversation), usize::MAX);
    assert_eq!(turned, conversation.len(), "all of them in place");
    let mut bytes = wire(&[binary("one"), text("two"), binary(vec![1; 5000]), text("three")]);
    let len = bytes.len();
    let mut connection = Connection::server(Config::default());
    let (rx, tx) = connection.split_mut();
    let mut input = Input::new(&mut bytes);
    let first = rx.echo(&mut input, tx).unwrap();
    let second = rx.echo(&mut input, tx).unwrap();
    assert_eq!((first.texts, first.binaries, first.bytes), (1, 1, 6));
    assert_eq!((second.texts, second.binaries, second.bytes), (1, 1, 5005));
    assert_eq!((rx.echo(&mut input, tx), input.remaining()), (None, 0));
    assert_eq!(bytes[first.frames], *b"\x82\x03one\x81\x03two");
    assert_eq!(second.frames.end, len - 4, "the long one did not move, the next closed up to it");
}

#[test]
fn what_is_no_whole_plain_valid_message_is_left_as_it_was() {
    let limits = Limits { message_bytes_max: 10, ..Limits::default() };
    let config = Config::default().limits(limits);
    for odd in [
        text([0xFF, 0xFE]),
        text("Hi").more(),
        continuation("x"),
        ping("p"),
        close(1000, ""),
        binary("Hi").unmasked(),
        binary("Hi").rsv(4),
        binary("twelve bytes"),
        frame(OpCode::Binary, "Hi").declaring(3),
    ] {
        let before = wire(&[odd]);
        let mut bytes = before.clone();
        let mut connection = Connection::server(config.clone());
        let (rx, tx) = connection.split_mut();
        let mut input = Input::new(&mut bytes);
        assert_eq!(rx.echo(&mut input, tx), None);
        assert_eq!(input.remaining(), before.len());
        assert_eq!(bytes, before);
    }
}

#[test]
fn the_good_go_back_before_the_bad_one_ends_it() {
    let bytes = wire(&[text("good"), text([0xC3, 0x28]), text("never heard")]);
    assert_eq!(same(&Config::default(), &bytes, usize::MAX), 1);
    let mut run = InPlace::new(Config::default());
    run.read(&bytes);
    assert!(run.out.starts_with(b"\x81\x04good"));
    assert_eq!(close_code_in(&run.out), Some(1007));
}

#[test]
fn nothing_is_turned_round_where_it_could_not_be_sent_so() {
    let bytes = wire(&[text("Hi")]);
    // After a close of ours; in the midst of a message of ours; by a client; after a close of theirs.
    let mut closing = Connection::server(Config::default());
    closing.split_mut().1.close(None, &mut Vec::new()).unwrap();
    let mut busy = Connection::server(Config::default());
    let piece = sockeye::proto::Message::Text("piece");
    busy.split_mut().1.fragment(piece, false, &mut Vec::new()).unwrap();
    let mut over = Run::server(Config::default());
    over.echo(&wire(&[close(1000, "")]));
    for mut connection in [closing, busy, over.connection] {
        let mut bytes = bytes.clone();
        let (rx, tx) = connection.split_mut();
        assert_eq!(rx.echo(&mut Input::new(&mut bytes), tx), None);
    }
    let mut client = Run::client(Config::default()).connection;
    let (rx, tx) = client.split_mut();
    assert_eq!(rx.echo(&mut Input::new(&mut b"\x81\x02Hi".to_vec()), tx), None);
}

#[test]
fn only_long_binary_messages_that_are_welcome_are_waited_for() {
    let awaited = |config: &Config, bytes: &[u8]| {
        let mut connection = Connection::server(config.clone());
        let (rx, tx) = connection.split_mut();
        rx.awaits(&Input::new(&mut bytes.to_vec()), tx, &mut Vec::new())
    };
    let config = Config::default();
    let long = binary(vec![1; 70_000]).bytes();
    assert_eq!(awaited(&config, &long[..14]), Some(70_014));
    assert_eq!(awaited(&config, &long[..70_013]), Some(70_014));
    assert_eq!(awaited(&config, &long), None, "it is there");
    assert_eq!(awaited(&config, &long[..13]), None, "its header is not");
    assert_eq!(awaited(&config, &text("x".repeat(70_000)).bytes()[..100]), None);
    assert_eq!(awaited(&config, &binary(vec![1; 60_000]).bytes()[..100]), None);
    assert_eq!(awaited(&config, &binary(vec![1; 70_000]).unmasked().bytes()[..100]), None);
    assert_eq!(awaited(&config, &binary(vec![1; 70_000]).more().bytes()[..100]), None);
    let small = Config::default().max_payload(69_999);
    assert_eq!(awaited(&small, &long[..14]), None, "it is refused by its header");
    assert_eq!(awaited(&config, &binary("").declaring(u64::MAX).bytes()), None);
}

#[test]
fn no_answer_is_owed_while_a_long_message_is_waited_for() {
    let limits = Limits { pings_per_read: 1, ..Limits::default() };
    let mut run = InPlace::new(Config::default().limits(limits));
    let long = binary(vec![1; 70_000]).bytes();
    run.read(&[wire(&[ping("1"), ping("2"), ping("3")]), long[..100].to_vec()].concat());
    assert_eq!(run.out, b"\x8A\x011\x8A\x013", "the newest of a flood");
}

#[test]
fn a_long_message_is_the_same_however_it_comes() {
    let conversation = wire(&[
        text("before"),
        binary(vec![1; 70_000]),
        ping("p"),
        binary(vec![2; 200_000]),
        text("x"),
    ]);
    for cut in [usize::MAX, 100_000, 65_536, 8192, 1021] {
        same(&Config::default(), &conversation, cut);
    }
}

fn any_wire() -> impl Strategy<Value = Wire> {
    let len = prop_oneof![0..40usize, 100..140usize, 4000..4200usize, Just(70_000)];
    let data = (any::<bool>(), len).prop_map(|(is_text, len)| match is_text {
        true => text("é".repeat(len / 2)),
        false => binary((0..=252).cycle().take(len).collect::<Vec<u8>>()),
    });
    prop_oneof![
        12 => data,
        1 => Just(ping("ping")),
        1 => Just(text([0x80])),
        1 => Just(close(1000, "bye")),
        1 => Just(text("begun ").more()),
        1 => Just(continuation("ended")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn any_conversation_in_any_cut_is_echoed_as_ever(
        frames in prop::collection::vec(any_wire(), 1..40),
        cut in prop_oneof![1..60usize, 60..5000usize, Just(usize::MAX)],
    ) {
        same(&Config::default(), &wire(&frames), cut);
    }
}
