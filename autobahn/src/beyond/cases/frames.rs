//! Single frames that must be refused: masks, lengths, reserved bits, opcodes (§5.1, §5.2, §5.5).

use crate::beyond::book::Book;
use crate::beyond::link::{Link, PROTOCOL, TOO_BIG, Us};
use crate::beyond::trial::{Trial, Want};
use crate::beyond::verdict::{Tried, sweep};
use crate::beyond::wire::{
    BINARY, CLOSE, CONTINUATION, FIN, Form, Head, PING, PONG, RSV1, TEXT, frame, in_form,
};

const OPCODES: [(&str, u8); 6] = [
    ("text", TEXT),
    ("binary", BINARY),
    ("continuation", CONTINUATION),
    ("close", CLOSE),
    ("ping", PING),
    ("pong", PONG),
];

const CONTROL: [(&str, u8); 3] = [("close", CLOSE), ("ping", PING), ("pong", PONG)];

const KEY: [u8; 4] = [0x11, 0x22, 0x33, 0x44];

pub(super) fn add(book: &mut Book) {
    masks(book);
    lengths(book);
    reserved_bits(book);
    opcodes(book);
}

/// A payload that would be taken if only the frame were.
fn payload(opcode: u8) -> &'static [u8] {
    if opcode == CLOSE { &[0x03, 0xE8] } else { b"hello" }
}

/// Begins a message where the frame to come continues one.
fn lead(link: &mut Link, opcode: u8) {
    if opcode == CONTINUATION {
        link.send_frame(TEXT, b"he");
    }
}

fn masks(book: &mut Book) {
    for (name, opcode) in OPCODES {
        let run = move |trial: &Trial<'_>| -> Tried {
            let mut link = trial.open()?;
            lead(&mut link, opcode);
            let key = (link.us == Us::Server).then_some(KEY);
            link.send(frame(FIN | opcode, payload(opcode), key));
            expect_refused(trial, link)
        };
        let (server, client) =
            (format!("mask.unmasked-{name}-is-refused"), format!("mask.masked-{name}-is-refused"));
        book.server(server, "§5.1", format!("sends a {name} frame without a mask"), run);
        book.client(client, "§5.1", format!("sends a {name} frame with a mask"), run);
    }
    book.both(
        "mask.a-wrong-second-frame-is-refused",
        "§5.1",
        "sends a good text, gets it back, then one masked the wrong way",
        |trial| {
            let mut link = trial.open()?;
            link.echo(TEXT, b"good")?;
            let key = (link.us == Us::Server).then_some(KEY);
            link.send(frame(FIN | TEXT, b"bad", key));
            expect_refused(trial, link)
        },
    );
    book.both(
        "mask.an-empty-frame-is-no-exception",
        "§5.1",
        "sends an empty binary frame masked the wrong way",
        |trial| {
            let mut link = trial.open()?;
            let key = (link.us == Us::Server).then_some([0; 4]);
            link.send(frame(FIN | BINARY, b"", key));
            expect_refused(trial, link)
        },
    );
}

fn lengths(book: &mut Book) {
    for (form, name, long) in [
        (Form::In16, "16", &[0_usize, 1, 2, 124, 125][..]),
        (Form::In64, "64", &[0, 1, 125, 126, 127, 65_534, 65_535]),
    ] {
        for &len in long {
            book.both(
                format!("length.{len}-in-{name}-bits-is-refused"),
                "§5.2",
                format!("sends a binary frame whose length, {len}, is written in {name} bits"),
                move |trial| {
                    let mut link = trial.open()?;
                    let bytes = link.frame_in(FIN | BINARY, &vec![b'x'; len], form);
                    link.send(bytes);
                    expect_refused(trial, link)
                },
            );
        }
        for (kind, opcode) in CONTROL {
            book.both(
                format!("length.a-{kind}-with-its-length-in-{name}-bits-is-refused"),
                "§5.2, §5.5",
                format!("sends a {kind} whose length is written in {name} bits"),
                move |trial| {
                    let mut link = trial.open()?;
                    let bytes = link.frame_in(FIN | opcode, payload(opcode), form);
                    link.send(bytes);
                    expect_refused(trial, link)
                },
            );
        }
        book.both(
            format!("length.a-continuation-with-its-length-in-{name}-bits-is-refused"),
            "§5.2",
            format!("continues a message by a frame whose length, 3, is written in {name} bits"),
            move |trial| {
                let mut link = trial.open()?;
                link.send_frame(TEXT, b"he");
                let bytes = link.frame_in(FIN, b"llo", form);
                link.send(bytes);
                expect_refused(trial, link)
            },
        );
    }
    for (name, length) in
        [("2-63", 1 << 63), ("2-63-and-70000", (1 << 63) + 70_000), ("2-64-less-1", u64::MAX)]
    {
        book.both(
            format!("length.{name}-is-refused"),
            "§5.2",
            format!("tells a length with the top bit set, {length:#x}"),
            move |trial| {
                let mut link = trial.open()?;
                let key = link.key();
                let head = Head { first: FIN | BINARY, key, form: Form::In64, length };
                link.send(head.encode());
                // As many as it would be without that bit.
                link.send(vec![0; 70_000]);
                // Too large is as true as malformed.
                link.expect_failed(&[PROTOCOL, TOO_BIG].concat())?;
                trial.done(&link);
                Ok(())
            },
        );
    }
    book.both(
        "length.each-form-is-taken-where-it-is-the-shortest",
        "§5.2",
        "echoes 0, 1, 125, 126, 127, 65,535 and 65,536 octets",
        |trial| {
            let mut link = trial.open()?;
            for len in [0, 1, 125, 126, 127, 65_535, 65_536] {
                let bytes = trial.noise().bytes(len);
                link.echo(BINARY, &bytes)?;
            }
            link.goodbye()
        },
    );
    for len in [126_usize, 127, 128, 1000, 65_536] {
        for (name, opcode) in CONTROL {
            book.both(
                format!("length.a-{name}-of-{len}-octets-is-refused"),
                "§5.5",
                format!("sends a {name} with {len} octets"),
                move |trial| {
                    let mut link = trial.open()?;
                    let mut payload = vec![b'x'; len];
                    payload[..2].copy_from_slice(&[0x03, 0xE8]);
                    link.send_frame(FIN | opcode, &payload);
                    expect_refused(trial, link)
                },
            );
        }
    }
}

fn reserved_bits(book: &mut Book) {
    for (name, opcode) in OPCODES {
        book.both(
            format!("rsv.every-bit-on-{name}-is-refused"),
            "§5.2",
            format!("sets each combination of reserved bits on a {name} frame, nothing agreed on"),
            move |trial| {
                sweep(1..=7_u8, |bits| {
                    let mut link = trial.open()?;
                    lead(&mut link, opcode);
                    link.send_frame(FIN | bits << 4 | opcode, payload(opcode));
                    link.expect_failed(PROTOCOL)
                })
            },
        );
        // RSV1 means something on the first frame of a message, and nowhere else.
        let wrong: &'static [u8] = if matches!(opcode, TEXT | BINARY) {
            &[1, 2, 3, 5, 6, 7]
        } else {
            &[1, 2, 3, 4, 5, 6, 7]
        };
        book.both(
            format!("rsv.a-bit-that-deflate-does-not-use-on-{name}-is-refused"),
            "§5.2, RFC 7692 §6",
            format!("agrees on permessage-deflate, then sets the bits it does not use on {name}"),
            move |trial| {
                sweep(wrong, |&&bits| {
                    let mut link = trial.deflated(Want::WIDE)?;
                    lead(&mut link, opcode);
                    let payload = match (opcode, bits & 4) {
                        (TEXT | BINARY, 4) => link.compress(b"hello"),
                        _ => payload(opcode).to_vec(),
                    };
                    link.send_frame(FIN | bits << 4 | opcode, &payload);
                    link.expect_failed(PROTOCOL)
                })
            },
        );
    }
    book.both(
        "rsv.rsv1-on-the-continuation-of-a-compressed-message-is-refused",
        "RFC 7692 §6.1",
        "sends a compressed message in two frames with RSV1 on both",
        |trial| {
            let mut link = trial.deflated(Want::WIDE)?;
            let payload = link.compress(b"hello hello hello");
            link.send_frame(RSV1 | TEXT, &payload[..3]);
            link.send_frame(FIN | RSV1, &payload[3..]);
            expect_refused(trial, link)
        },
    );
    book.both(
        "rsv.rsv1-on-a-ping-inside-a-compressed-message-is-refused",
        "RFC 7692 §6.1",
        "puts a ping with RSV1 between the frames of a compressed message",
        |trial| {
            let mut link = trial.deflated(Want::WIDE)?;
            let payload = link.compress(b"hello hello hello");
            link.send_frame(RSV1 | TEXT, &payload[..3]);
            link.send_frame(FIN | RSV1 | PING, b"hello");
            expect_refused(trial, link)
        },
    );
}

fn opcodes(book: &mut Book) {
    const RESERVED: [u8; 10] = [0x3, 0x4, 0x5, 0x6, 0x7, 0xB, 0xC, 0xD, 0xE, 0xF];
    for (name, octets) in [("empty", &b""[..]), ("full", b"hello")] {
        for (how, fin) in [("whole", FIN), ("begun", 0)] {
            book.both(
                format!("opcode.a-reserved-one-on-a-{name}-frame-{how}-is-refused"),
                "§5.2",
                format!("sends each reserved opcode on a frame that is {name} and {how}"),
                move |trial| {
                    sweep(RESERVED, |opcode| {
                        let mut link = trial.open()?;
                        link.send_frame(fin | opcode, octets);
                        link.expect_failed(PROTOCOL)
                    })
                },
            );
        }
    }
    book.both(
        "opcode.a-reserved-one-inside-a-message-is-refused",
        "§5.2, §5.4",
        "sends each reserved opcode between the frames of a message",
        |trial| {
            sweep(RESERVED, |opcode| {
                let mut link = trial.open()?;
                link.send_frame(TEXT, b"he");
                link.send_frame(FIN | opcode, b"");
                link.send_frame(FIN, b"llo");
                link.expect_failed(PROTOCOL)
            })
        },
    );
    book.both(
        "opcode.a-reserved-one-with-rsv1-is-refused",
        "§5.2, RFC 7692 §6",
        "agrees on permessage-deflate and sets RSV1 on each reserved opcode",
        |trial| {
            sweep(RESERVED, |opcode| {
                let mut link = trial.deflated(Want::WIDE)?;
                link.send_frame(FIN | RSV1 | opcode, b"hello");
                link.expect_failed(PROTOCOL)
            })
        },
    );
    book.both(
        "opcode.a-good-message-before-a-bad-frame-comes-back-first",
        "§5.2, §7.1.7",
        "sends a text and a frame with a reserved opcode in one segment",
        |trial| {
            let mut link = trial.open()?;
            let mut bytes = link.frame(FIN | TEXT, b"good");
            bytes.extend(in_form(FIN | 0x3, b"", link.key(), Form::Shortest));
            link.send(bytes);
            link.expect_text(b"good")?;
            expect_refused(trial, link)
        },
    );
}

fn expect_refused(trial: &Trial<'_>, mut link: Link) -> Tried {
    link.expect_failed(PROTOCOL)?;
    trial.done(&link);
    Ok(())
}
