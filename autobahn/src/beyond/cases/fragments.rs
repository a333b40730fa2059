//! Messages in several frames, and what may stand between them (§5.4, §5.5).

use crate::beyond::book::Book;
use crate::beyond::link::{Link, PROTOCOL, Seen};
use crate::beyond::trial::Trial;
use crate::beyond::verdict::{Tried, ensure, failed, sweep};
use crate::beyond::wire::{BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT};

pub(super) fn add(book: &mut Book) {
    refused(book);
    taken(book);
    control(book);
}

/// Sends these frames and expects a failure.
fn refuses(trial: &Trial<'_>, frames: &[(u8, &[u8])]) -> Tried {
    let mut link = trial.open()?;
    for (first, payload) in frames {
        link.send_frame(*first, payload);
    }
    link.expect_failed(PROTOCOL)?;
    trial.done(&link);
    Ok(())
}

fn refused(book: &mut Book) {
    type Frames = &'static [(u8, &'static [u8])];
    let cases: [(&str, &str, Frames); 12] = [
        ("a-continuation-of-nothing", "begins with a final continuation", &[(FIN, b"x")]),
        ("an-open-continuation-of-nothing", "begins with a continuation", &[(0, b"x")]),
        ("an-empty-continuation-of-nothing", "begins with an empty one", &[(FIN, b"")]),
        (
            "a-continuation-after-the-end",
            "continues a message that was complete",
            &[(TEXT, b"a"), (FIN, b"b"), (PONG | FIN, b""), (FIN, b"c")],
        ),
        ("a-text-inside-a-text", "begins a text in a text", &[(TEXT, b"a"), (TEXT | FIN, b"b")]),
        (
            "a-binary-inside-a-text",
            "begins a binary message in a text",
            &[(TEXT, b"a"), (BINARY | FIN, b"b")],
        ),
        (
            "an-empty-text-inside-a-binary",
            "begins an empty text in a binary message",
            &[(BINARY, b""), (TEXT | FIN, b"")],
        ),
        ("a-cut-ping", "sends a ping that is not final", &[(PING, b"a"), (FIN, b"b")]),
        ("a-cut-pong", "sends a pong that is not final", &[(PONG, b"a"), (FIN, b"b")]),
        ("a-cut-close", "sends a close that is not final", &[(CLOSE, &[3]), (FIN, &[0xE8])]),
        (
            "a-cut-ping-inside-a-message",
            "sends a ping that is not final in a message",
            &[(TEXT, b"a"), (PING, b"x"), (FIN, b"b")],
        ),
        (
            "a-message-that-ends-twice",
            "sends two final continuations",
            &[(TEXT, b"a"), (FIN, b""), (PONG | FIN, b""), (FIN, b"")],
        ),
    ];
    for (name, what, frames) in cases {
        book.both(format!("fragment.{name}-is-refused"), "§5.4, §5.5", what, move |trial| {
            if name.contains("after-the-end") || name.contains("ends-twice") {
                let mut link = trial.open()?;
                for (first, payload) in frames {
                    link.send_frame(*first, payload);
                }
                let Seen::Text(_) = link.next()? else {
                    return failed("the message before did not come back");
                };
                return link.expect_failed(PROTOCOL);
            }
            refuses(trial, frames)
        });
    }
}

/// Sends a message in these pieces.
fn pieces(link: &mut Link, opcode: u8, pieces: &[&[u8]]) {
    for (at, piece) in pieces.iter().enumerate() {
        let opcode = if at == 0 { opcode } else { CONTINUATION };
        let fin = if at + 1 == pieces.len() { FIN } else { 0 };
        link.send_frame(fin | opcode, piece);
    }
}

fn taken(book: &mut Book) {
    book.both(
        "fragment.empty-ones-count-for-nothing",
        "§5.4",
        "puts empty fragments at the start, in the middle and at the end",
        |trial| {
            let mut link = trial.open()?;
            pieces(&mut link, TEXT, &[b"", b"a", b"", b"", b"b", b""]);
            link.expect_text(b"ab")?;
            pieces(&mut link, BINARY, &[b"", b"", b""]);
            link.expect_binary(b"")?;
            pieces(&mut link, TEXT, &[b"", b""]);
            link.expect_text(b"")?;
            link.goodbye()
        },
    );
    book.both(
        "fragment.300-of-one-octet",
        "§5.4",
        "sends a message of 300 octets, each in a frame",
        |trial| {
            let mut link = trial.open()?;
            let bytes = trial.noise().bytes(300);
            pieces(&mut link, BINARY, &bytes.chunks(1).collect::<Vec<_>>());
            link.expect_binary(&bytes)?;
            link.goodbye()
        },
    );
    book.both(
        "fragment.every-cut-of-a-message-gives-the-same",
        "§5.4",
        "sends 64 octets in two frames, cut at each place",
        |trial| {
            let mut link = trial.open()?;
            let bytes = trial.noise().letters(64);
            for cut in 0..=64 {
                pieces(&mut link, TEXT, &[&bytes[..cut], &bytes[cut..]]);
                link.expect_text(&bytes)?;
            }
            link.goodbye()
        },
    );
    book.both(
        "fragment.large-and-small-ones-mixed",
        "§5.4",
        "sends frames of 1, 65,535, 125, 65,536, 126 and 200,000 octets as one message",
        |trial| {
            let mut link = trial.open()?;
            let bytes = trial.noise().bytes(1 + 65_535 + 125 + 65_536 + 126 + 200_000);
            let (mut rest, mut parts) = (&bytes[..], Vec::new());
            for len in [1, 65_535, 125, 65_536, 126, 200_000] {
                let (piece, others) = rest.split_at(len);
                parts.push(piece);
                rest = others;
            }
            pieces(&mut link, BINARY, &parts);
            link.expect_binary(&bytes)?;
            link.goodbye()
        },
    );
    book.both(
        "fragment.a-whole-message-after-a-cut-one",
        "§5.4",
        "alternates between cut and whole messages of both kinds",
        |trial| {
            let mut link = trial.open()?;
            for _ in 0..20 {
                pieces(&mut link, BINARY, &[b"\xFF\xFE", b"\xFD"]);
                link.send_text(b"whole");
                pieces(&mut link, TEXT, &["Gr\u{fc}".as_bytes(), "\u{df}e".as_bytes()]);
                link.expect_binary(b"\xFF\xFE\xFD")?;
                link.expect_text(b"whole")?;
                link.expect_text("Gr\u{fc}\u{df}e".as_bytes())?;
            }
            link.goodbye()
        },
    );
    book.both(
        "fragment.a-character-may-be-cut-anywhere",
        "§5.6, §8.1",
        "cuts a text with characters of one to four octets at each place, a ping between",
        |trial| {
            let mut link = trial.open()?;
            let text = "a\u{e9}\u{20ac}\u{1f600}z".as_bytes();
            for cut in 0..=text.len() {
                link.send_frame(TEXT, &text[..cut]);
                link.send_frame(FIN | PING, &[0xFF]);
                link.send_frame(FIN, &text[cut..]);
                link.expect_pong(&[0xFF])?;
                link.expect_text(text)?;
            }
            link.goodbye()
        },
    );
}

fn control(book: &mut Book) {
    book.both(
        "control.a-ping-between-fragments-is-answered-first",
        "§5.4, §5.5.2",
        "puts a ping between two fragments and waits for the pong before the second",
        |trial| {
            let mut link = trial.open()?;
            link.send_frame(TEXT, b"a");
            link.send_frame(FIN | PING, b"now");
            link.expect_pong(b"now")?;
            link.send_frame(FIN, b"b");
            link.expect_text(b"ab")?;
            link.goodbye()
        },
    );
    book.both(
        "control.every-length-of-ping-comes-back",
        "§5.5.2, §5.5.3",
        "pings with 0 to 125 octets, not all of them UTF-8",
        |trial| {
            let mut link = trial.open()?;
            for len in 0..=125 {
                let bytes = trial.noise().bytes(len);
                link.send_frame(FIN | PING, &bytes);
                link.expect_pong(&bytes)?;
            }
            link.goodbye()
        },
    );
    book.both(
        "control.a-pong-that-nobody-asked-for-is-ignored",
        "§5.5.3",
        "sends pongs of 0 to 125 octets, between fragments too",
        |trial| {
            let mut link = trial.open()?;
            for len in 0..=125 {
                link.send_frame(FIN | PONG, &trial.noise().bytes(len));
            }
            link.send_frame(TEXT, b"a");
            link.send_frame(FIN | PONG, b"x");
            link.send_frame(FIN, b"b");
            link.expect_text(b"ab")?;
            link.goodbye()
        },
    );
    book.both(
        "control.fifty-pings-at-once-are-answered",
        "§5.5.3",
        "sends 50 pings in one write: each pong is the next or a later ping, the last one is there",
        |trial| {
            let mut link = trial.open()?;
            let pings: Vec<u8> = (0..50_u8).flat_map(|n| link.frame(FIN | PING, &[n])).collect();
            link.send(pings);
            link.send_text(b"end");
            let mut last = None;
            loop {
                match link.next()? {
                    Seen::Pong(it) => {
                        let [n] = it[..] else { return failed("a pong for no ping") };
                        ensure(last < Some(n), format!("pong {n} after {last:?}"))?;
                        last = Some(n);
                        if n == 49 {
                            break;
                        }
                    }
                    // Pongs may come after what was sent later.
                    Seen::Text(it) if it == b"end" => {}
                    seen => return failed(format!("expected pongs, saw {seen} after {last:?}")),
                }
            }
            Ok(())
        },
    );
    book.both(
        "control.a-ping-and-a-close-in-one-segment",
        "§5.5.2",
        "sends a ping and a close in one write; the pong, if it comes, comes first",
        |trial| {
            let mut link = trial.open()?;
            let mut bytes = link.frame(FIN | PING, b"last");
            bytes.extend(link.frame(FIN | CLOSE, &[0x03, 0xE8]));
            link.send(bytes);
            match link.next()? {
                Seen::Pong(it) if it == b"last" => link.expect_closed(Some(1000)),
                // §5.5.2: unless it already received a close.
                Seen::Close(..) => link.expect_end_after_close(),
                seen => failed(format!("expected a pong or a close, saw {seen}")),
            }
        },
    );
    book.both(
        "control.a-ping-cut-at-every-octet",
        "§5.5.2",
        "sends a ping in two pieces, cut at each place, inside a message",
        |trial| {
            let mut link = trial.open()?;
            sweep(1..17, |&cut| {
                link.send_frame(BINARY, b"a");
                let bytes = link.frame(FIN | PING, b"0123456789");
                link.send_cut(&bytes, &[cut.min(bytes.len() - 1)]);
                link.expect_pong(b"0123456789")?;
                link.send_frame(FIN, b"b");
                link.expect_binary(b"ab")
            })
        },
    );
}
