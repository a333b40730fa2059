//! Compressed messages: every form that RFC 7692 allows, and what no inflater must take (§7.2).

use crate::beyond::book::Book;
use crate::beyond::inflating::{Block, Deflater, deflated, stored};
use crate::beyond::link::{Link, PROTOCOL_OR_DATA, Seen};
use crate::beyond::trial::{Trial, Want};
use crate::beyond::verdict::{Tried, Wrong, failed, undecided};
use crate::beyond::wire::{BINARY, FIN, PING, RSV1, TEXT};

pub(super) fn add(book: &mut Book) {
    forms(book);
    empty(book);
    fragments(book);
    windows(book);
    takeover(book);
    wrong(book);
}

/// Sends a payload as a compressed text, and gets this back.
fn inflates(link: &mut Link, payload: &[u8], wanted: &[u8]) -> Tried {
    link.send_frame(FIN | RSV1 | BINARY, payload);
    link.expect_binary(wanted)
}

fn forms(book: &mut Book) {
    type Form = (&'static str, &'static str, &'static str, &'static [u8]);
    let examples: [Form; 5] = [
        (
            "one-block",
            "RFC 7692 §7.2.3.1",
            "sends the first example",
            &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
        ),
        (
            "a-stored-block",
            "RFC 7692 §7.2.3.3",
            "sends the example without compression",
            &[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00],
        ),
        (
            "a-final-block",
            "RFC 7692 §7.2.3.4",
            "sends the example whose block has BFINAL set",
            &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00],
        ),
        (
            "two-blocks",
            "RFC 7692 §7.2.3.5",
            "sends the example of two blocks",
            &[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00],
        ),
        (
            "a-final-stored-block",
            "RFC 7692 §7.2.3.4",
            "sends a stored block with BFINAL set and an empty one",
            &[0x01, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00],
        ),
    ];
    for (name, clause, what, payload) in examples {
        book.both(format!("deflate.{name}-is-inflated"), clause, what, move |trial| {
            let mut link = trial.deflated(Want::WIDE)?;
            inflates(&mut link, payload, b"Hello")?;
            inflates(&mut link, payload, b"Hello")?;
            link.goodbye()
        });
    }
    book.both(
        "deflate.blocks-behind-a-final-one-are-inflated",
        "RFC 7692 §7.2.3.4, §7.2.3.5",
        "sends a message of a final block, a stored one and another final one",
        |trial| {
            let mut link = trial.deflated(Want::WIDE)?;
            let last = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
            let middle = [0x00, 0x02, 0x00, 0xfd, 0xff, b',', b' '];
            let payload = [&last[..], &middle, &last, &[0]].concat();
            inflates(&mut link, &payload, b"Hello, Hello")?;
            link.goodbye()
        },
    );
    book.both(
        "deflate.a-message-after-a-final-block-is-inflated",
        "RFC 7692 §7.2.3.4",
        "sends a message that ends in a final block, then three that do not",
        |trial| {
            let mut link = trial.deflated(Want::WIDE)?;
            let last = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
            for _ in 0..3 {
                inflates(&mut link, &last, b"Hello")?;
                link.echo_compressed(TEXT, b"and then something else")?;
            }
            link.goodbye()
        },
    );
    for level in [0_u8, 1, 4, 6, 9] {
        book.both(
            format!("deflate.level-{level}-is-inflated"),
            "RFC 7692 §7.2.1",
            format!("compresses texts and noise of 0 to 100,000 octets at level {level}"),
            move |trial| {
                let mut link = trial.deflated(Want::WIDE)?;
                if link.need_deflate()?.our_bits < 15 {
                    return undecided("the testee wants a smaller window");
                }
                for len in [0, 1, 2, 3, 31, 258, 259, 1000, 32_768, 40_000, 100_000] {
                    let mut noise = trial.noise();
                    let piece = noise.letters(200);
                    let text: Vec<u8> = piece.iter().copied().cycle().take(len).collect();
                    for bytes in [text, noise.bytes(len)] {
                        let payload = Deflater::new(level).message(&bytes, false);
                        inflates(&mut link, &payload, &bytes)?;
                    }
                }
                link.goodbye()
            },
        );
    }
    book.both(
        "deflate.stored-blocks-over-64-kib-are-inflated",
        "RFC 7692 §7.2.1",
        "sends 200,000 octets in stored blocks",
        |trial| {
            let mut link = trial.deflated(Want::WIDE)?;
            let bytes = trial.noise().bytes(200_000);
            inflates(&mut link, &stored(&bytes), &bytes)?;
            link.goodbye()
        },
    );
    book.both(
        "deflate.a-thousand-empty-blocks-are-nothing",
        "RFC 7692 §7.2.3.5",
        "puts a thousand empty stored blocks before and after the words",
        |trial| {
            let mut link = trial.deflated(Want::WIDE)?;
            let nothing = [0x00, 0x00, 0x00, 0xFF, 0xFF].repeat(1000);
            let payload = [&nothing[..], &stored(b"words")[..10], &nothing, &[0]].concat();
            inflates(&mut link, &payload, b"words")?;
            link.goodbye()
        },
    );
}

fn empty(book: &mut Book) {
    for (name, what, payload) in [
        ("one-octet", "sends the octet 00 (§7.2.3.6)", &[0x00][..]),
        ("an-empty-block", "sends an empty block with fixed codes", &[0x02, 0x00]),
        ("a-final-empty-block", "sends an empty final block", &[0x03, 0x00, 0x00]),
        (
            "a-stored-empty-block",
            "sends an empty stored block",
            &[0x00, 0x00, 0x00, 0xFF, 0xFF, 0x00],
        ),
    ] {
        book.both(
            format!("deflate.an-empty-message-of-{name}-is-inflated"),
            "RFC 7692 §7.2.3.6",
            what,
            move |trial| {
                let mut link = trial.deflated(Want::WIDE)?;
                for opcode in [TEXT, BINARY] {
                    link.send_frame(FIN | RSV1 | opcode, payload);
                    link.expect_same(opcode, b"")?;
                }
                link.echo_compressed(TEXT, b"after it")?;
                link.goodbye()
            },
        );
    }
    book.both(
        "deflate.a-frame-without-payload-is-empty-or-refused",
        "RFC 7692 §7.2.2",
        "sends a compressed message without an octet",
        |trial| {
            let mut link = trial.deflated(Want::WIDE)?;
            link.send_frame(FIN | RSV1 | BINARY, b"");
            match link.next()? {
                Seen::Binary(it) if it.is_empty() => link.goodbye(),
                Seen::Close(Some(1002 | 1007), _) | Seen::End => Ok(()),
                seen => failed(format!("expected an empty message or a failure, saw {seen}")),
            }
        },
    );
}

fn fragments(book: &mut Book) {
    book.both(
        "deflate.every-cut-of-the-payload-gives-the-same",
        "RFC 7692 §6.1, §7.2.3.1",
        "sends a compressed message in two frames, cut at each place, empty ones too",
        |trial| {
            let mut link = trial.deflated(Want::WIDE)?;
            let words = b"a message in two frames, two frames in a message";
            let payload = link.compress(words);
            for cut in 0..=payload.len() {
                link.send_frame(RSV1 | TEXT, &payload[..cut]);
                link.send_frame(FIN, &payload[cut..]);
                link.expect_text(words)?;
            }
            link.goodbye()
        },
    );
    book.both(
        "deflate.a-frame-for-each-octet-with-pings-between",
        "RFC 7692 §6.1, §5.4",
        "sends each octet of a compressed message in a frame, a ping before each",
        |trial| {
            let mut link = trial.deflated(Want::WIDE)?;
            let payload = link.compress(b"octet by octet");
            for (at, octet) in payload.iter().enumerate() {
                link.send_frame(FIN | PING, &[*octet]);
                link.expect_pong(&[*octet])?;
                let first = if at == 0 { RSV1 | BINARY } else { 0 };
                link.send_frame(first, &[*octet]);
            }
            link.send_frame(FIN, b"");
            link.expect_binary(b"octet by octet")?;
            link.goodbye()
        },
    );
    book.both(
        "deflate.a-large-message-in-many-fragments",
        "RFC 7692 §6.1",
        "sends 300,000 compressed octets in frames of 1,000",
        |trial| {
            let mut link = trial.deflated(Want::WIDE)?;
            let bytes = trial.noise().letters(300_000);
            let payload = link.compress(&bytes);
            for (at, piece) in payload.chunks(1000).enumerate() {
                link.send_frame(if at == 0 { RSV1 | TEXT } else { 0 }, piece);
            }
            link.send_frame(FIN, b"");
            link.expect_text(&bytes)?;
            link.goodbye()
        },
    );
}

/// A message that repeats itself just inside, and just outside, of a window of so many bits.
fn tempting(trial: &Trial<'_>, bits: u8) -> Vec<u8> {
    let mut noise = trial.noise();
    let far = noise.letters((1 << bits) + 60);
    let near = noise.letters((1 << bits) * 3 / 4);
    [&far[..], &far, &near, &near, &near].concat()
}

fn windows(book: &mut Book) {
    for bits in 8..=15_u8 {
        book.both(
            format!("deflate.a-window-of-{bits}-bits-is-kept"),
            "RFC 7692 §7.1.2",
            format!("limits the testee to {bits} bits and looks how far back its messages point"),
            move |trial| {
                let mut link = trial.deflated(Want { their_bits: Some(bits), ..Want::WIDE })?;
                if bits == 8 {
                    link.send_text(b"hello");
                    if link.next()? == Seen::End {
                        return undecided("the testee refuses a window that it cannot keep");
                    }
                }
                for _ in 0..3 {
                    link.echo(TEXT, &tempting(trial, bits))?;
                }
                link.goodbye()
            },
        );
        book.both(
            format!("deflate.all-of-a-window-of-{bits}-bits-is-reached"),
            "RFC 7692 §7.1.2",
            format!("agrees on {bits} bits for itself and points that far back"),
            move |trial| {
                let mut link = trial.deflated(Want { our_bits: Some(bits), ..Want::WIDE })?;
                let far = 1 << link.need_deflate()?.our_bits;
                let (payload, wanted) = pointing(trial, far, far);
                inflates(&mut link, &payload, &wanted)?;
                link.goodbye()
            },
        );
    }
    for bits in 8..=14_u8 {
        book.both(
            format!("deflate.beyond-a-window-of-{bits}-bits-does-no-harm"),
            "RFC 7692 §7.1.2",
            format!(
                "agrees on {bits} bits for itself and points one octet further back: refused or right"
            ),
            move |trial| {
                let mut link = trial.deflated(Want { our_bits: Some(bits), ..Want::WIDE })?;
                let window = 1 << link.need_deflate()?.our_bits;
                let mut far = window + 1;
                if bits == 8 {
                    // What has no window of 8 bits takes one of 9.
                    far = 513;
                }
                let (payload, wanted) = pointing(trial, far, far + 600);
                link.send_frame(FIN | RSV1 | BINARY, &payload);
                match refused_or_right(&mut link, &wanted) {
                    Err(Wrong::Undecided(_)) => {
                        trial.note("inflates what points beyond the agreed window");
                        Ok(())
                    }
                    other => other,
                }
            },
        );
    }
}

/// A message of so much noise and three octets from so far back, and what it inflates to.
fn pointing(trial: &Trial<'_>, distance: usize, len: usize) -> (Vec<u8>, Vec<u8>) {
    let mut bytes = trial.noise().bytes(len);
    let mut block = Block::fixed();
    block.literals(&bytes);
    block.back(distance);
    let at = len - distance;
    bytes.extend_from_within(at..at + 3);
    (block.message(), bytes)
}

/// Refused is good; right all the same is the reader's own business; wrong is wrong.
fn refused_or_right(link: &mut Link, wanted: &[u8]) -> Tried {
    match link.next()? {
        Seen::Close(Some(1002 | 1007), _) | Seen::End => Ok(()),
        Seen::Binary(it) if it == wanted => undecided(
            "it was inflated: the testee keeps more than was agreed on, which hurts nobody",
        ),
        seen => failed(format!("expected a failure, saw {seen}")),
    }
}

fn takeover(book: &mut Book) {
    book.both(
        "deflate.without-takeover-each-message-stands-alone",
        "RFC 7692 §7.1.1",
        "agrees that the testee keeps no window and inflates each message by itself",
        |trial| {
            let mut link = trial.deflated(Want { their_takeover: false, ..Want::WIDE })?;
            let words = trial.noise().letters(500);
            for _ in 0..5 {
                link.echo(TEXT, &words)?;
                link.echo_compressed(TEXT, &words)?;
            }
            link.goodbye()
        },
    );
    book.both(
        "deflate.without-takeover-on-both-sides",
        "RFC 7692 §7.1.1",
        "agrees that nobody keeps a window",
        |trial| {
            let mut link = trial.deflated(Want::FRESH)?;
            for n in 0..20 {
                let words = trial.noise().letters(n * 50);
                link.echo_compressed(TEXT, &words)?;
                link.echo_compressed(TEXT, &words)?;
            }
            link.goodbye()
        },
    );
    book.both(
        "deflate.with-takeover-a-message-may-point-into-the-last",
        "RFC 7692 §7.2.3.2",
        "sends 20 messages that share a window, if the testee allows it",
        |trial| {
            let mut link = trial.deflated(Want::WIDE)?;
            let agreed = link.need_deflate()?;
            if !agreed.our_takeover || agreed.our_bits < 15 {
                return undecided("the testee does not allow it");
            }
            let (mut deflater, words) = (Deflater::new(6), trial.noise().letters(3000));
            for n in 0..20 {
                let message = [&words[..], format!("{n}").as_bytes()].concat();
                let payload = deflater.message(&message, true);
                inflates(&mut link, &payload, &message)?;
                // A plain message in between changes no window.
                link.echo(TEXT, b"plain")?;
            }
            link.goodbye()
        },
    );
    book.both(
        "deflate.without-takeover-a-message-may-not-point-into-the-last",
        "RFC 7692 §7.1.1",
        "promises to keep no window and points into the message before",
        |trial| {
            let mut link = trial.deflated(Want { our_takeover: false, ..Want::WIDE })?;
            let words = trial.noise().letters(100);
            inflates(&mut link, &deflated(&words), &words)?;
            let mut block = Block::fixed();
            block.literals(b"abc");
            block.back(50);
            link.send_frame(FIN | RSV1 | BINARY, &block.message());
            let all = [&words[..], b"abc"].concat();
            let at = all.len() - 50;
            let wanted = [b"abc", &all[at..at + 3]].concat();
            refused_or_right(&mut link, &wanted)
        },
    );
}

fn wrong(book: &mut Book) {
    let noise = |seed: u64| crate::beyond::wire::Noise::new(seed).bytes(1000);
    let with = |write: &dyn Fn(&mut Block)| {
        let mut block = Block::fixed();
        block.literals(b"hello");
        write(&mut block);
        block.message()
    };
    let dynamic = |write: &dyn Fn(&mut Block)| {
        let mut block = Block::default();
        block.put(0, 1);
        block.put(2, 2);
        write(&mut block);
        let mut bytes = block.bytes();
        bytes.extend([0x55; 200]);
        bytes
    };
    let text =
        deflated(&b"a text that is long enough to be compressed, and compressed it is ".repeat(40));
    let random = deflated(&crate::beyond::wire::Noise::new(9).letters(5000));
    let cases: Vec<(&str, &str, Vec<u8>)> = vec![
        ("a-block-of-the-third-type", "RFC 1951 §3.2.3", vec![0x06, 0x00]),
        (
            "a-block-of-the-third-type-later",
            "RFC 1951 §3.2.3",
            with(&|it| {
                it.symbol(256);
                it.put(6, 3);
            }),
        ),
        (
            "a-stored-block-with-a-wrong-check",
            "RFC 1951 §3.2.4",
            vec![0, 5, 0, 0, 0, b'h', b'e', b'l', b'l', b'o', 0],
        ),
        (
            "a-stored-block-that-ends-early",
            "RFC 7692 §7.2.2",
            [&[0, 100, 0, 155, 255][..], b"hello"].concat(),
        ),
        ("a-stored-block-without-its-length", "RFC 7692 §7.2.2", vec![0, 5]),
        ("a-distance-before-the-start", "RFC 1951 §3.2.5", with(&|it| it.back(6))),
        ("a-distance-of-32768-at-the-start", "RFC 1951 §3.2.5", with(&|it| it.back(32_768))),
        ("a-length-code-of-286", "RFC 1951 §3.2.6", with(&|it| it.symbol(286))),
        ("a-length-code-of-287", "RFC 1951 §3.2.6", with(&|it| it.symbol(287))),
        (
            "a-distance-code-of-30",
            "RFC 1951 §3.2.6",
            with(&|it| {
                it.symbol(257);
                it.distance_code(30);
            }),
        ),
        (
            "a-distance-code-of-31",
            "RFC 1951 §3.2.6",
            with(&|it| {
                it.symbol(257);
                it.distance_code(31);
            }),
        ),
        (
            "too-many-literal-codes",
            "RFC 1951 §3.2.7",
            dynamic(&|it| {
                it.put(31, 5);
                it.put(0, 5);
                it.put(15, 4);
            }),
        ),
        (
            "a-repetition-of-nothing",
            "RFC 1951 §3.2.7",
            dynamic(&|it| {
                it.put(0, 5);
                it.put(0, 5);
                it.put(0, 4);
                // Only codes 16 and 17 exist; the first symbol repeats a length before the first.
                for length in [1, 1, 0, 0] {
                    it.put(length, 3);
                }
                it.put(0, 1);
            }),
        ),
        (
            "too-many-codes-of-one-bit",
            "RFC 1951 §3.2.2",
            dynamic(&|it| {
                it.put(0, 5);
                it.put(0, 5);
                it.put(15, 4);
                for _ in 0..19 {
                    it.put(1, 3);
                }
            }),
        ),
        ("a-compressed-text-cut-in-half", "RFC 7692 §7.2.2", random[..random.len() / 2].to_vec()),
        ("a-compressed-text-cut-in-its-codes", "RFC 7692 §7.2.2", text[..20].to_vec()),
        ("a-zlib-stream", "RFC 7692 §7.2.1", [&[0x78, 0x9C][..], &text].concat()),
        (
            "a-gzip-stream",
            "RFC 7692 §7.2.1",
            [&[0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3][..], &text].concat(),
        ),
        ("plain-text-with-rsv1", "RFC 7692 §6.1", b"this was never compressed at all".to_vec()),
        ("noise", "RFC 7692 §7.2.2", noise(3)),
        ("other-noise", "RFC 7692 §7.2.2", noise(4)),
    ];
    for (name, clause, payload) in cases {
        book.both(
            format!("deflate.{name}-is-refused"),
            clause,
            format!("sends a compressed message that is none: {name}").replace('-', " "),
            move |trial| {
                let mut link =
                    trial.deflated(Want::FRESH).or_else(|_| trial.deflated(Want::WIDE))?;
                link.send_frame(FIN | RSV1 | BINARY, &payload);
                link.expect_failed(PROTOCOL_OR_DATA)?;
                trial.done(&link);
                Ok(())
            },
        );
    }
    book.both(
        "deflate.a-wrong-second-fragment-is-refused",
        "RFC 7692 §7.2.2",
        "sends a good half of a compressed message, then octets that are none",
        |trial| {
            let mut link = trial.deflated(Want::WIDE)?;
            let payload = link.compress(b"hello hello hello");
            link.send_frame(RSV1 | TEXT, &payload[..4]);
            link.send_frame(FIN, &[0xFF; 100]);
            link.expect_failed(PROTOCOL_OR_DATA)
        },
    );
}
