//! Masking keys: any may come, and those of a client must not be guessed (§5.3, §10.3).

use std::collections::BTreeSet;

use crate::beyond::book::Book;
use crate::beyond::link::{Link, Seen};
use crate::beyond::trial::Trial;
use crate::beyond::verdict::{Tried, ensure, failed};
use crate::beyond::wire::{BINARY, CLOSE, FIN, PING, TEXT, frame};

pub(super) fn add(book: &mut Book) {
    for (name, key) in [
        ("of-zeros", [0; 4]),
        ("of-ones", [0xFF; 4]),
        ("with-a-zero-in-it", [0, 1, 0, 1]),
        ("whose-octets-differ", [0x80, 0x01, 0x7F, 0xFE]),
    ] {
        book.server(
            format!("mask.a-key-{name}-is-taken"),
            "§5.3",
            format!("masks messages of 0 to 70 octets with the key {key:02x?}"),
            move |trial| {
                let mut link = trial.open()?;
                for len in 0..=70 {
                    let bytes = trial.noise().bytes(len);
                    link.send(frame(FIN | BINARY, &bytes, Some(key)));
                    link.expect_binary(&bytes)?;
                }
                link.goodbye()
            },
        );
    }
    book.server(
        "mask.each-fragment-has-its-own-key",
        "§5.3",
        "sends a message in fragments of 1 to 40 octets, each with another key",
        |trial| {
            let mut link = trial.open()?;
            let bytes = trial.noise().bytes((1..=40).sum());
            let mut rest = &bytes[..];
            for len in 1..=40 {
                let (piece, others) = rest.split_at(len);
                let opcode = if len == 1 { BINARY } else { 0 };
                link.send_frame(if others.is_empty() { FIN } else { 0 } | opcode, piece);
                rest = others;
            }
            link.expect_binary(&bytes)?;
            link.goodbye()
        },
    );
    book.server(
        "mask.servers-do-not-mask",
        "§5.1",
        "gets a text, a pong and a close, and looks at their masks",
        |trial| {
            let mut link = trial.open()?;
            link.send_frame(FIN | PING, b"p");
            link.expect_pong(b"p")?;
            link.goodbye()
        },
    );
    of_clients(book);
}

/// The keys of so many echoes.
fn keys(trial: &Trial<'_>, count: usize) -> Tried<(Vec<[u8; 4]>, Link)> {
    let mut link = trial.open()?;
    for _ in 0..count {
        link.echo(TEXT, b"hello")?;
    }
    Ok((link.keys.clone(), link))
}

fn of_clients(book: &mut Book) {
    book.client(
        "mask.every-frame-of-a-client-is-masked",
        "§5.1",
        "gets a text, a binary message, a pong, empty ones of each, and a close",
        |trial| {
            let mut link = trial.open()?;
            for payload in [&b""[..], b"hello"] {
                link.echo(TEXT, payload)?;
                link.echo(BINARY, payload)?;
                link.send_frame(FIN | PING, payload);
                link.expect_pong(payload)?;
            }
            link.send_frame(FIN | CLOSE, b"");
            link.expect_closed(None)?;
            ensure(link.keys.len() == 7, format!("{} masks on 7 frames", link.keys.len()))
        },
    );
    book.client(
        "mask.keys-are-not-zero",
        "§5.3, §10.3",
        "looks at the keys of 64 messages",
        |trial| {
            let (keys, _) = keys(trial, 64)?;
            let zero = keys.iter().filter(|key| **key == [0; 4]).count();
            ensure(zero < 2, format!("{zero} of 64 keys are zero"))
        },
    );
    book.client("mask.keys-differ", "§5.3", "looks at the keys of 64 messages", |trial| {
        let (keys, _) = keys(trial, 64)?;
        let different: BTreeSet<_> = keys.iter().collect();
        ensure(different.len() > 62, format!("{} different keys in 64", different.len()))
    });
    book.client(
        "mask.keys-do-not-count",
        "§5.3, §10.3",
        "looks for a constant step between the keys of 64 messages",
        |trial| {
            let (keys, _) = keys(trial, 64)?;
            let numbers: Vec<u32> = keys.into_iter().map(u32::from_be_bytes).collect();
            let swapped: Vec<u32> = numbers.iter().map(|it| it.swap_bytes()).collect();
            for numbers in [numbers, swapped] {
                let steps: BTreeSet<u32> =
                    numbers.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
                ensure(steps.len() > 32, format!("{} different steps in 63", steps.len()))?;
            }
            Ok(())
        },
    );
    book.client(
        "mask.every-bit-of-a-key-varies",
        "§5.3, §10.3",
        "counts how often each bit is set in the keys of 128 messages",
        |trial| {
            let (keys, _) = keys(trial, 128)?;
            for bit in 0..32 {
                let set = keys.iter().filter(|key| u32::from_be_bytes(**key) >> bit & 1 == 1);
                let count = set.count();
                // 128 throws of a coin leave these bounds once in a thousand million.
                ensure((28..=100).contains(&count), format!("bit {bit} is set in {count} of 128"))?;
            }
            Ok(())
        },
    );
    book.client(
        "mask.keys-of-control-frames-are-fresh",
        "§5.3",
        "looks at the keys of 32 pongs and of the close",
        |trial| {
            let mut link = trial.open()?;
            for _ in 0..32 {
                link.send_frame(FIN | PING, b"hello");
                link.expect_pong(b"hello")?;
            }
            link.close()?;
            let different: BTreeSet<_> = link.keys.iter().collect();
            let zero = link.keys.iter().filter(|key| **key == [0; 4]).count();
            ensure(
                different.len() > 31 && zero < 2,
                format!("{} different keys in 33 frames, {zero} of zeros", different.len()),
            )
        },
    );
    book.client(
        "mask.keys-of-another-connection-are-others",
        "§5.3, §10.3",
        "looks at the first keys of four connections",
        |trial| {
            let mut firsts = BTreeSet::new();
            for _ in 0..4 {
                let (keys, _) = keys(trial, 2)?;
                firsts.extend(keys);
            }
            ensure(firsts.len() > 6, format!("{} different keys in 8 frames", firsts.len()))
        },
    );
    book.client(
        "mask.keys-do-not-follow-from-the-payload",
        "§5.3, §10.3",
        "sends the same payload in the same place of two connections",
        |trial| {
            let (one, mut link) = keys(trial, 1)?;
            let (other, _) = keys(trial, 1)?;
            if one == other {
                return failed(format!("both used {one:02x?}"));
            }
            link.send_close(1000);
            match link.next()? {
                Seen::Close(..) => Ok(()),
                seen => failed(format!("expected the answer to a close, saw {seen}")),
            }
        },
    );
}
