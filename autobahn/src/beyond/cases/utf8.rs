//! Text is UTF-8, whole, compressed or in fragments, and wherever the wrong octet stands (§8.1).

use std::thread::sleep;

use crate::beyond::book::Book;
use crate::beyond::link::{DATA, Link, QUIET, Seen};
use crate::beyond::trial::{Trial, Want};
use crate::beyond::verdict::{Tried, failed, sweep};
use crate::beyond::wire::{BINARY, CLOSE, FIN, RSV1, TEXT};

/// What is no UTF-8, by RFC 3629.
const WRONG: [(&str, &[u8]); 18] = [
    ("a-lone-continuation", b"a\x80b"),
    ("an-octet-fe", b"a\xFEb"),
    ("an-octet-ff", b"\xFF"),
    ("an-octet-c0", b"\xC0\x80"),
    ("an-octet-c1", b"\xC1\xBF"),
    ("an-octet-f5", b"\xF5\x80\x80\x80"),
    ("a-long-form-of-three", b"\xE0\x80\xAF"),
    ("a-long-form-of-three-at-its-limit", b"\xE0\x9F\xBF"),
    ("a-long-form-of-four", b"\xF0\x80\x80\xAF"),
    ("a-long-form-of-four-at-its-limit", b"\xF0\x8F\xBF\xBF"),
    ("the-first-surrogate", b"\xED\xA0\x80"),
    ("the-last-surrogate", b"\xED\xBF\xBF"),
    ("a-surrogate-pair", b"\xED\xA1\x8C\xED\xBE\xB4"),
    ("more-than-10ffff", b"\xF4\x90\x80\x80"),
    ("a-character-that-ends-early", b"\xE2\x82a"),
    ("an-end-within-two", b"hello\xC3"),
    ("an-end-within-three", b"hello\xE2\x82"),
    ("an-end-within-four", b"hello\xF0\x9F\x98"),
];

/// What is.
const RIGHT: [(&str, &str); 5] = [
    ("nul-and-controls", "\0\u{1}\u{7f}\u{80}\u{9f}"),
    ("a-byte-order-mark", "\u{feff}hello\u{feff}"),
    ("noncharacters", "\u{fdd0}\u{fffe}\u{ffff}\u{1fffe}\u{10ffff}"),
    ("the-edges-of-each-length", "\u{7f}\u{80}\u{7ff}\u{800}\u{d7ff}\u{e000}\u{ffff}\u{10000}"),
    ("marks-that-combine", "e\u{301}\u{200d}\u{1f468}\u{200d}\u{1f469}\u{202e}"),
];

pub(super) fn add(book: &mut Book) {
    for (name, octets) in WRONG {
        book.both(
            format!("utf8.{name}-is-refused"),
            "§8.1, RFC 3629 §3",
            format!("sends the text {}: whole, then cut at each place", octets.escape_ascii()),
            move |trial| {
                sweep(0..=octets.len(), |&cut| {
                    let mut link = trial.open()?;
                    if cut == 0 {
                        link.send_text(octets);
                    } else {
                        link.send_frame(TEXT, &octets[..cut]);
                        link.send_frame(FIN, &octets[cut..]);
                    }
                    link.expect_failed(DATA)
                })
            },
        );
        book.both(
            format!("utf8.compressed-{name}-is-refused"),
            "§8.1, RFC 7692 §6",
            format!("sends the compressed text {}", octets.escape_ascii()),
            move |trial| {
                let mut link = trial.deflated(Want::WIDE)?;
                link.send_compressed(TEXT, octets);
                link.expect_failed(DATA)?;
                trial.done(&link);
                Ok(())
            },
        );
    }
    for (name, text) in RIGHT {
        book.both(
            format!("utf8.{name}-are-taken"),
            "§8.1, RFC 3629 §3",
            format!("sends the text {}: whole, and cut at each place", text.escape_unicode()),
            move |trial| {
                let mut link = trial.open()?;
                let bytes = text.as_bytes();
                link.echo(TEXT, bytes)?;
                for cut in 1..bytes.len() {
                    link.send_frame(TEXT, &bytes[..cut]);
                    link.send_frame(FIN, &bytes[cut..]);
                    link.expect_text(bytes)?;
                }
                link.goodbye()
            },
        );
    }
    offsets(book);
    elsewhere(book);
}

fn offsets(book: &mut Book) {
    // Around what one step of a vectorised check looks at.
    for around in [16_usize, 32, 64, 128] {
        book.both(
            format!("utf8.a-wrong-octet-anywhere-in-about-{around}-is-refused"),
            "§8.1",
            format!("sends texts of {} to {} octets, one of them wrong", around - 1, around + 1),
            move |trial| {
                for len in [around - 1, around, around + 1] {
                    let step = step(trial, len / 16);
                    sweep((0..len).step_by(step).chain([len - 1]), |&at| wrong_at(trial, len, at))?;
                }
                Ok(())
            },
        );
    }
    for len in [4095_usize, 4096, 4097, 65_536] {
        book.both(
            format!("utf8.a-wrong-octet-anywhere-in-{len}-is-refused"),
            "§8.1",
            format!("sends texts of {len} octets, one of them wrong"),
            move |trial| {
                let step = step(trial, len / 11);
                let places = (0..len).step_by(step).chain([63, 64, 65, 4000, len - 64, len - 1]);
                sweep(places, |&at| wrong_at(trial, len, at))
            },
        );
        book.both(
            format!("utf8.a-wrong-octet-anywhere-in-{len}-compressed-is-refused"),
            "§8.1, RFC 7692 §6",
            format!("sends compressed texts of {len} octets, one of them wrong"),
            move |trial| {
                let step = step(trial, len / 5);
                let places = (0..len).step_by(step).chain([64, 4000, len - 1]);
                sweep(places, |&at| {
                    let mut link = trial.deflated(Want::WIDE)?;
                    link.send_compressed(TEXT, &text_with(len, at));
                    link.expect_failed(DATA)
                })
            },
        );
    }
    book.both(
        "utf8.a-wide-character-anywhere-in-about-64-is-taken",
        "§8.1",
        "puts a character of four octets at each place of texts of 60 to 70",
        |trial| {
            let mut link = trial.open()?;
            for len in 60..=70 {
                for at in 0..len {
                    let text =
                        ["a".repeat(at), "\u{1f600}".to_owned(), "b".repeat(len - at)].concat();
                    link.send_text(text.as_bytes());
                    link.expect_text(text.as_bytes())?;
                }
            }
            link.goodbye()
        },
    );
}

/// Every place, or about as many as a quick run has time for.
fn step(trial: &Trial<'_>, quick: usize) -> usize {
    if trial.full { if quick > 300 { 16 } else { 1 } } else { quick.max(1) }
}

fn text_with(len: usize, at: usize) -> Vec<u8> {
    let mut text = vec![b'a'; len];
    text[at] = 0xFF;
    text
}

fn wrong_at(trial: &Trial<'_>, len: usize, at: usize) -> Tried {
    let mut link = trial.open()?;
    link.send_text(&text_with(len, at));
    link.expect_failed(DATA)
}

/// Judges a text that is only in its last frame, or only later, wrong.
fn later(link: &mut Link, compressed: bool) -> Tried {
    let good = [b'a'; 100];
    for _ in 0..3 {
        if compressed {
            link.echo_compressed(TEXT, &good)?;
        } else {
            link.echo(TEXT, &good)?;
        }
    }
    let bad = [&good[..], b"\xC0"].concat();
    if compressed {
        link.send_compressed(TEXT, &bad)
    } else {
        link.send_text(&bad)
    }
    link.expect_failed(DATA)
}

fn elsewhere(book: &mut Book) {
    book.both(
        "utf8.a-later-message-is-judged-too",
        "§8.1",
        "sends three good texts and one that is wrong after 100 octets",
        |trial| later(&mut trial.open()?, false),
    );
    book.both(
        "utf8.a-later-compressed-message-is-judged-too",
        "§8.1",
        "sends three good compressed texts and one that is wrong after 100 octets",
        |trial| later(&mut trial.deflated(Want::WIDE)?, true),
    );
    book.both(
        "utf8.an-uncompressed-text-is-judged-where-deflate-is-agreed-on",
        "§8.1",
        "agrees on permessage-deflate and sends a wrong text without it",
        |trial| later(&mut trial.deflated(Want::WIDE)?, false),
    );
    book.both(
        "utf8.a-compressed-text-in-fragments-is-judged",
        "§8.1, RFC 7692 §6",
        "sends a wrong compressed text an octet a frame",
        |trial| {
            let mut link = trial.deflated(Want::WIDE)?;
            let payload = link.compress(b"hello \xED\xA0\x80 hello");
            for (at, octet) in payload.iter().enumerate() {
                let first = if at == 0 { RSV1 | TEXT } else { 0 };
                let fin = if at + 1 == payload.len() { FIN } else { 0 };
                link.send_frame(fin | first, &[*octet]);
            }
            link.expect_failed(DATA)
        },
    );
    book.both(
        "utf8.a-compressed-text-with-characters-cut-is-taken",
        "§8.1, RFC 7692 §6",
        "sends a good compressed text with wide characters an octet a frame",
        |trial| {
            let mut link = trial.deflated(Want::WIDE)?;
            let text = "h\u{e9}llo \u{20ac}\u{1f600}".as_bytes();
            let payload = link.compress(text);
            for (at, octet) in payload.iter().enumerate() {
                let first = if at == 0 { RSV1 | TEXT } else { 0 };
                let fin = if at + 1 == payload.len() { FIN } else { 0 };
                link.send_frame(fin | first, &[*octet]);
            }
            link.expect_text(text)?;
            link.goodbye()
        },
    );
    book.both(
        "utf8.binary-is-not-judged",
        "§5.6",
        "sends everything that is no UTF-8 as binary, whole, cut, and compressed",
        |trial| {
            let mut link = trial.open()?;
            for (_, octets) in WRONG {
                link.echo(BINARY, octets)?;
                link.send_frame(BINARY, &octets[..1]);
                link.send_frame(FIN, &octets[1..]);
                link.expect_binary(octets)?;
            }
            link.goodbye()
        },
    );
    book.both(
        "utf8.a-close-reason-is-judged",
        "§5.5.1, §8.1",
        "sends everything that is no UTF-8 as the reason of a close",
        |trial| {
            sweep(WRONG.map(|it| it.0), |&name| {
                let mut link = trial.open()?;
                let octets = WRONG.iter().find(|it| it.0 == name).map_or(&b""[..], |it| it.1);
                link.send_frame(FIN | CLOSE, &[&[0x03, 0xE8], octets].concat());
                link.expect_failed(&[1007, 1002])
            })
        },
    );
    book.both(
        "utf8.a-text-is-not-delivered-before-it-is-whole",
        "§5.4, §8.1",
        "sends a good first fragment: nothing may come back before the last",
        |trial| {
            let mut link = trial.open()?;
            link.send_frame(TEXT, b"half");
            sleep(QUIET);
            match link.next_within(QUIET)? {
                Seen::Silence => {}
                seen => return failed(format!("expected nothing yet, saw {seen}")),
            }
            link.send_frame(FIN, b" whole");
            link.expect_text(b"half whole")?;
            link.goodbye()
        },
    );
}
