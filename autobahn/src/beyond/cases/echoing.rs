//! What is sent comes back octet for octet, whatever its length, its place in memory and the way it was
//! cut into segments.

use crate::beyond::book::Book;
use crate::beyond::link::Link;
use crate::beyond::trial::{Trial, Want};
use crate::beyond::verdict::{Tried, ensure, sweep};
use crate::beyond::wire::{BINARY, FIN, PONG, TEXT};

pub(super) fn add(book: &mut Book) {
    lengths(book);
    cuts(book);
    large(book);
    compressed(book);
}

/// Sends everything in one go, then expects all of it back.
fn all_at_once(link: &mut Link, opcode: u8, messages: &[Vec<u8>]) -> Tried {
    let mut bytes = Vec::new();
    for message in messages {
        bytes.extend(link.frame(FIN | opcode, message));
    }
    link.send(bytes);
    for message in messages {
        link.expect_same(opcode, message)?;
    }
    Ok(())
}

fn lengths(book: &mut Book) {
    book.both(
        "echo.binary-of-0-to-300-octets",
        "§5.6",
        "sends one message of each length and waits for each",
        |trial| {
            let mut link = trial.open()?;
            for len in 0..=300 {
                let bytes = trial.noise().bytes(len);
                link.echo(BINARY, &bytes)?;
            }
            link.goodbye()
        },
    );
    book.both(
        "echo.text-of-0-to-300-octets",
        "§5.6",
        "sends one message of each length and waits for each",
        |trial| {
            let mut link = trial.open()?;
            for len in 0..=300 {
                let bytes = trial.noise().letters(len);
                link.echo(TEXT, &bytes)?;
            }
            link.goodbye()
        },
    );
    book.both(
        "echo.0-to-300-octets-in-one-segment",
        "§5.6",
        "sends one message of each length in one write",
        |trial| {
            let mut link = trial.open()?;
            let messages: Vec<Vec<u8>> = (0..=300).map(|len| trial.noise().bytes(len)).collect();
            all_at_once(&mut link, BINARY, &messages)?;
            link.goodbye()
        },
    );
    book.both(
        "echo.0-to-300-octets-at-every-place-in-memory",
        "§5.3, §5.6",
        "puts a pong of 0 to 15 octets before messages of 0 to 300, so that masks begin anywhere",
        |trial| {
            let mut link = trial.open()?;
            for shift in 0..16 {
                let mut bytes = Vec::new();
                let mut wanted = Vec::new();
                for len in 0..=300 {
                    let message = trial.noise().bytes(len);
                    bytes.extend(link.frame(FIN | PONG, &vec![0; (shift + len) % 16]));
                    bytes.extend(link.frame(FIN | BINARY, &message));
                    wanted.push(message);
                }
                link.send(bytes);
                for message in wanted {
                    link.expect_binary(&message)?;
                }
            }
            link.goodbye()
        },
    );
    book.both(
        "echo.every-octet-is-kept",
        "§5.6",
        "sends messages of one octet, all 256 of them, and all in one",
        |trial| {
            let mut link = trial.open()?;
            let all: Vec<u8> = (0..=255).collect();
            for octet in &all {
                link.echo(BINARY, &[*octet])?;
            }
            link.echo(BINARY, &all)?;
            let text: String = (0..128).map(char::from).collect();
            link.echo(TEXT, text.as_bytes())?;
            link.goodbye()
        },
    );
    book.both(
        "echo.the-kind-of-a-message-is-kept",
        "§5.6",
        "alternates between text and binary, the same octets and none",
        |trial| {
            let mut link = trial.open()?;
            for payload in [&b""[..], b"a", b"hello", &[b'x'; 126], &[b'x'; 70_000]] {
                link.echo(TEXT, payload)?;
                link.echo(BINARY, payload)?;
            }
            link.goodbye()
        },
    );
    book.both(
        "echo.5000-messages-in-order",
        "§5.6",
        "sends 5,000 numbered messages without waiting",
        |trial| {
            let mut link = trial.open()?;
            let messages: Vec<Vec<u8>> =
                (0..5000).map(|n| format!("message {n}").into_bytes()).collect();
            all_at_once(&mut link, TEXT, &messages)?;
            link.goodbye()
        },
    );
}

fn cuts(book: &mut Book) {
    book.both(
        "echo.a-frame-cut-at-every-octet",
        "§5.2",
        "sends frames of 0, 1, 5, 125, 126 and 300 octets in two pieces, cut at each place",
        |trial| {
            let mut link = trial.open()?;
            for len in [0, 1, 5, 125, 126, 300] {
                let message = trial.noise().bytes(len);
                let whole = link.frame(FIN | BINARY, &message).len();
                // Each second place of the longer ones, unless nothing is to be left out.
                let step = if trial.full || len < 10 { 1 } else { 3 };
                sweep((1..whole).step_by(step), |&cut| {
                    let bytes = link.frame(FIN | BINARY, &message);
                    link.send_cut(&bytes, &[cut]);
                    link.expect_binary(&message)
                })?;
            }
            link.goodbye()
        },
    );
    book.both(
        "echo.a-head-cut-at-every-octet-of-each-form",
        "§5.2",
        "sends the heads of frames of 5, 200 and 66,000 octets octet by octet",
        |trial| {
            let mut link = trial.open()?;
            for len in [5, 200, 66_000] {
                let message = trial.noise().bytes(len);
                let bytes = link.frame(FIN | BINARY, &message);
                let cuts: Vec<usize> = (1..16.min(bytes.len())).collect();
                link.send_cut(&bytes, &cuts);
                link.expect_binary(&message)?;
            }
            link.goodbye()
        },
    );
    book.both(
        "echo.a-conversation-octet-by-octet",
        "§5.2",
        "sends a text, a message in two frames, a ping between and a close, each octet by itself",
        |trial| {
            let mut link = trial.open()?;
            let mut bytes = link.frame(FIN | TEXT, "h\u{e9}llo".as_bytes());
            bytes.extend(link.frame(BINARY, b"\x00\xFF"));
            bytes.extend(link.frame(FIN | 0x9, b"ping"));
            bytes.extend(link.frame(FIN, &[7; 130]));
            bytes.extend(link.frame(FIN | 0x8, &[0x03, 0xE8]));
            let cuts: Vec<usize> = (1..bytes.len()).collect();
            link.send_cut(&bytes, &cuts);
            link.expect_text("h\u{e9}llo".as_bytes())?;
            link.expect_pong(b"ping")?;
            link.expect_binary(&[&b"\x00\xFF"[..], &[7; 130]].concat())?;
            link.expect_closed(Some(1000))
        },
    );
    book.both(
        "echo.a-stream-in-pieces-of-odd-sizes",
        "§5.2",
        "sends 60 messages as one stream, in pieces of 1 to 4,000 octets",
        |trial| {
            let mut link = trial.open()?;
            let mut noise = trial.noise();
            let messages: Vec<Vec<u8>> = (0..60).map(|n| noise.bytes(n * 37 % 1500)).collect();
            let mut bytes = Vec::new();
            for message in &messages {
                bytes.extend(link.frame(FIN | BINARY, message));
            }
            let (mut cuts, mut at) = (Vec::new(), 1);
            while at < bytes.len() {
                cuts.push(at);
                at += 1 + usize::from(noise.key()[0]) * usize::from(noise.key()[1] % 16);
            }
            link.send_cut(&bytes, &cuts);
            for message in &messages {
                link.expect_binary(message)?;
            }
            link.goodbye()
        },
    );
}

fn large(book: &mut Book) {
    for len in [65_534_usize, 65_535, 65_536, 65_537, 70_000, 131_072, 1 << 20, 4 << 20] {
        book.both(
            format!("echo.{len}-octets"),
            "§5.6",
            format!("sends {len} octets as binary and as text"),
            move |trial| {
                let mut link = trial.open()?;
                let mut noise = trial.noise();
                link.echo(BINARY, &noise.bytes(len))?;
                link.echo(TEXT, &noise.letters(len))?;
                link.goodbye()
            },
        );
    }
    book.both(
        "echo.a-large-text-of-wide-characters",
        "§5.6",
        "sends 300,000 octets of characters of one to four",
        |trial| {
            let mut link = trial.open()?;
            let text = "a\u{e9}\u{20ac}\u{1f600}".repeat(30_000);
            link.echo(TEXT, text.as_bytes())?;
            link.goodbye()
        },
    );
}

fn deflated(trial: &Trial<'_>) -> Tried<Link> {
    trial.deflated(Want::WIDE)
}

fn compressed(book: &mut Book) {
    book.both(
        "echo.compressed-of-0-to-300-octets",
        "RFC 7692 §7.2",
        "sends compressed messages of each length, of noise and of letters alike",
        |trial| {
            let mut link = deflated(trial)?;
            for len in 0..=300 {
                let noise = trial.noise().bytes(len);
                link.echo_compressed(BINARY, &noise)?;
                link.echo_compressed(TEXT, &vec![b'a'; len])?;
            }
            link.goodbye()
        },
    );
    for len in [65_535_usize, 65_536, 70_000, 1 << 20] {
        book.both(
            format!("echo.compressed-{len}-octets"),
            "RFC 7692 §7.2",
            format!("sends {len} compressed octets: noise, letters, and the same one"),
            move |trial| {
                let mut link = deflated(trial)?;
                let mut noise = trial.noise();
                link.echo_compressed(BINARY, &noise.bytes(len))?;
                link.echo_compressed(TEXT, &noise.letters(len))?;
                link.echo_compressed(BINARY, &vec![0; len])?;
                link.goodbye()
            },
        );
    }
    book.both(
        "echo.plain-over-64-kib-where-deflate-is-agreed-on",
        "RFC 7692 §6",
        "sends uncompressed messages of 126, 65,536 and 200,000 octets after agreeing on compression",
        |trial| {
            let mut link = deflated(trial)?;
            for len in [126, 65_536, 200_000] {
                let bytes = trial.noise().bytes(len);
                link.echo(BINARY, &bytes)?;
            }
            link.goodbye()
        },
    );
    book.both(
        "echo.plain-and-compressed-in-turns",
        "RFC 7692 §6",
        "alternates between compressed and uncompressed messages",
        |trial| {
            let mut link = deflated(trial)?;
            for n in 0..50 {
                let bytes = trial.noise().letters(n * 20);
                link.echo_compressed(TEXT, &bytes)?;
                link.echo(TEXT, &bytes)?;
            }
            link.goodbye()
        },
    );
    book.both(
        "echo.nothing-is-compressed-that-was-not-agreed-on",
        "RFC 7692 §5",
        "sends a text of 100,000 equal letters without permessage-deflate",
        |trial| {
            let mut link = trial.open()?;
            link.echo(TEXT, &[b'a'; 100_000])?;
            ensure(link.compressed == 0, "it came back compressed")?;
            link.goodbye()
        },
    );
}
