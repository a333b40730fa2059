//! The closing handshake, begun by us in every way there is (§5.5.1, §7).

use crate::beyond::book::Book;
use crate::beyond::link::{Link, PROTOCOL, PROTOCOL_OR_DATA, QUIET, Seen, Us};
use crate::beyond::trial::Trial;
use crate::beyond::verdict::{Tried, failed, sweep};
use crate::beyond::wire::{CLOSE, FIN, PING, TEXT, frame};

pub(super) fn add(book: &mut Book) {
    codes(book);
    bodies(book);
    after(book);
    ends(book);
}

/// §7.4: what may be in a close frame.
fn is_legal(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

fn take(trial: &Trial<'_>, code: u16) -> Tried {
    let mut link = trial.open()?;
    link.send_close(code);
    link.expect_closed(Some(code))?;
    trial.done(&link);
    Ok(())
}

fn refuse(trial: &Trial<'_>, code: u16) -> Tried {
    let mut link = trial.open()?;
    link.send_close(code);
    link.expect_failed(PROTOCOL_OR_DATA)
}

fn codes(book: &mut Book) {
    for code in (1000..=1003).chain(1007..=1014).chain([3000, 3999, 4000, 4999]) {
        book.both(
            format!("close.{code}-is-taken"),
            "§7.4.1, IANA registry",
            format!("closes with {code} and gets an answer that is no failure"),
            move |trial| take(trial, code),
        );
    }
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000, 2999] {
        book.both(
            format!("close.{code}-is-refused"),
            "§7.4.1, §7.4.2",
            format!("closes with {code}, which must not travel or means nothing"),
            move |trial| refuse(trial, code),
        );
    }
    let ranges: [(&str, &str, u16, u16, u16); 5] = [
        ("every-code-from-0-to-999-is-refused", "§7.4.2", 0, 999, 53),
        ("every-code-from-1000-to-1099-is-judged", "§7.4.1", 1000, 1099, 7),
        ("every-code-from-1100-to-2999-is-refused", "§7.4.2", 1100, 2999, 101),
        ("every-code-from-3000-to-4999-is-taken", "§7.4.2", 3000, 4999, 103),
        ("every-code-from-5000-to-65535-is-refused", "§7.4.2 ends at 4999", 5000, 65_535, 2521),
    ];
    for (name, clause, first, last, step) in ranges {
        book.both(
            format!("close.{name}"),
            clause,
            "closes with the codes of the range; without --full with a sample of them",
            move |trial| {
                let step = if trial.full { 1 } else { usize::from(step) };
                sweep((first..=last).step_by(step).chain([last]), |&code| {
                    if is_legal(code) { take(trial, code) } else { refuse(trial, code) }
                })
            },
        );
    }
}

fn bodies(book: &mut Book) {
    book.both("close.without-a-code-is-answered", "§5.5.1", "sends an empty close", |trial| {
        let mut link = trial.open()?;
        link.send_frame(FIN | CLOSE, b"");
        link.expect_closed(None)?;
        trial.done(&link);
        Ok(())
    });
    book.both(
        "close.with-one-octet-is-refused",
        "§5.5.1",
        "sends a close with a body of one octet, each of 256",
        |trial| {
            let step = if trial.full { 1 } else { 51 };
            sweep((0..=255).step_by(step), |&octet| {
                let mut link = trial.open()?;
                link.send_frame(FIN | CLOSE, &[octet]);
                link.expect_failed(PROTOCOL)
            })
        },
    );
    book.both(
        "close.with-every-length-of-reason-is-answered",
        "§5.5.1",
        "closes with reasons of 0 to 123 octets",
        |trial| {
            let step = if trial.full { 1 } else { 41 };
            sweep((0..=123).step_by(step).chain([1, 122]), |&len| {
                let mut link = trial.open()?;
                let body = [&1000_u16.to_be_bytes()[..], &vec![b'r'; len]].concat();
                link.send_frame(FIN | CLOSE, &body);
                link.expect_closed(Some(1000))
            })
        },
    );
    book.both(
        "close.with-a-reason-of-wide-characters-is-answered",
        "§5.5.1",
        "closes with 30 characters of four octets as the reason",
        |trial| {
            let mut link = trial.open()?;
            let reason = "\u{1f600}".repeat(30);
            link.send_frame(FIN | CLOSE, &[&[0x0F, 0xA1], reason.as_bytes()].concat());
            link.expect_closed(Some(4001))
        },
    );
}

fn after(book: &mut Book) {
    type Frames = &'static [(u8, &'static [u8])];
    let cases: [(&str, Frames); 6] = [
        ("a-text", &[(FIN | TEXT, b"late")]),
        ("a-ping", &[(FIN | PING, b"late")]),
        ("a-second-close", &[(FIN | CLOSE, &[0x0F, 0xA0])]),
        ("a-frame-that-is-wrong", &[(FIN | 0x33, b"late")]),
        ("a-close-that-is-wrong", &[(FIN | CLOSE, &[0x00])]),
        ("a-cut-message", &[(TEXT, b"late"), (FIN, b"later"), (TEXT, b"never")]),
    ];
    for (name, frames) in cases {
        book.both(
            format!("close.{name}-after-it-is-ignored"),
            "§5.5.1, §7.1.1",
            "sends more in the same segment as a close: one close comes back, nothing else",
            move |trial| {
                let mut link = trial.open()?;
                let mut bytes = link.frame(FIN | CLOSE, &[0x03, 0xE8]);
                for (first, payload) in frames {
                    bytes.extend(link.frame(*first, payload));
                }
                link.send(bytes);
                link.expect_closed(Some(1000))
            },
        );
    }
    book.both(
        "close.noise-after-it-is-ignored",
        "§7.1.1",
        "sends a close and 10,000 octets of noise behind it",
        |trial| {
            let mut link = trial.open()?;
            let mut bytes = link.frame(FIN | CLOSE, &[0x03, 0xE8]);
            bytes.extend(trial.noise().bytes(10_000));
            link.send(bytes);
            link.expect_closed(Some(1000))
        },
    );
    book.both(
        "close.what-was-sent-before-comes-back-before",
        "§5.5.1",
        "sends 100 messages and a close in one write: 100 echoes, then the close",
        |trial| {
            let mut link = trial.open()?;
            let mut bytes = Vec::new();
            for n in 0..100 {
                bytes.extend(link.frame(FIN | TEXT, format!("{n}").as_bytes()));
            }
            bytes.extend(link.frame(FIN | CLOSE, &[0x03, 0xE8]));
            link.send(bytes);
            for n in 0..100 {
                link.expect_text(format!("{n}").as_bytes())?;
            }
            link.expect_closed(Some(1000))
        },
    );
    book.both(
        "close.inside-a-message-is-answered",
        "§5.4, §5.5.1",
        "closes between two fragments; the second never comes",
        |trial| {
            let mut link = trial.open()?;
            link.send_frame(TEXT, b"half");
            link.send_close(1001);
            link.expect_closed(Some(1001))
        },
    );
    book.both(
        "close.the-rest-of-a-message-after-it-is-ignored",
        "§5.5.1",
        "closes between two fragments and sends the second all the same",
        |trial| {
            let mut link = trial.open()?;
            let mut bytes = link.frame(TEXT, b"half");
            bytes.extend(link.frame(FIN | CLOSE, &[0x03, 0xE8]));
            bytes.extend(link.frame(FIN, b"whole"));
            link.send(bytes);
            link.expect_closed(Some(1000))
        },
    );
    book.both(
        "close.crossing-a-failure-is-not-answered-twice",
        "§7.1.7, §5.5.1",
        "sends a wrong frame and a close in one segment: one close comes, with 1002",
        |trial| {
            let mut link = trial.open()?;
            let mut bytes = link.frame(FIN | 0x70 | TEXT, b"wrong");
            bytes.extend(link.frame(FIN | CLOSE, &[0x03, 0xE8]));
            link.send(bytes);
            link.expect_failed(PROTOCOL)
        },
    );
    book.both(
        "close.both-at-once-end-well",
        "§7.1.1",
        "makes the testee fail and sends a close when its own is on its way",
        |trial| {
            let mut link = trial.open()?;
            link.send_frame(FIN | 0x3, b"");
            link.flush();
            link.send_close(1000);
            match link.next()? {
                Seen::Close(Some(1002), _) => {}
                Seen::End => return Ok(()),
                seen => return failed(format!("expected a failure, saw {seen}")),
            }
            link.half_close();
            match link.next()? {
                Seen::End => Ok(()),
                seen => failed(format!("expected one close and the end of TCP, saw {seen}")),
            }
        },
    );
}

fn ends(book: &mut Book) {
    for (name, reason) in [("without-a-reason", &b""[..]), ("with-a-reason", b"goodbye, then")] {
        book.both(
            format!("close.{name}-may-be-cut-at-every-octet"),
            "§5.5.1",
            "sends a close in two pieces, cut at each place",
            move |trial| {
                let body = [&[0x03, 0xE8], reason].concat();
                let key = (trial.us() == Us::Client).then_some([0; 4]);
                let len = frame(FIN | CLOSE, &body, key).len();
                let step = if trial.full || len < 10 { 1 } else { 4 };
                sweep((1..len).step_by(step), |&cut| {
                    let mut link = trial.open()?;
                    let bytes = link.frame(FIN | CLOSE, &body);
                    link.send_cut(&bytes, &[cut]);
                    link.expect_closed(Some(1000))
                })
            },
        );
    }
    book.server(
        "close.a-server-ends-tcp-at-once",
        "§7.1.1",
        "closes and waits for the server to end TCP, with our half open",
        |trial| {
            let mut link = trial.open()?;
            link.send_close(1000);
            let Seen::Close(..) = link.next()? else {
                return failed("the close was not answered");
            };
            match link.next_within(std::time::Duration::from_secs(1))? {
                Seen::End => Ok(()),
                seen => failed(format!("expected the end of TCP within a second, saw {seen}")),
            }
        },
    );
    book.client(
        "close.a-client-lets-the-server-end-tcp",
        "§7.1.1",
        "closes and waits a moment before it ends TCP: the client should not be the first",
        |trial| {
            let mut link = trial.open()?;
            link.send_close(1000);
            let Seen::Close(..) = link.next()? else {
                return failed("the close was not answered");
            };
            match link.next_within(QUIET)? {
                Seen::Silence => link.expect_end_after_close(),
                Seen::End => {
                    // §7.1.1 says SHOULD.
                    trial.note("a client ends TCP before the server");
                    Ok(())
                }
                seen => failed(format!("expected nothing, saw {seen}")),
            }
        },
    );
    book.both(
        "close.tcp-ends-without-a-close",
        "§7.1.5",
        "ends our half of TCP without a word: the testee ends too",
        |trial| expect_end(trial, |_| {}),
    );
    book.both(
        "close.tcp-ends-inside-a-message",
        "§7.1.5",
        "ends our half between two fragments",
        |trial| expect_end(trial, |link| link.send_frame(TEXT, b"half")),
    );
    book.both(
        "close.tcp-ends-inside-a-frame",
        "§7.1.5",
        "ends our half in the middle of a frame",
        |trial| {
            expect_end(trial, |link| {
                let bytes = link.frame(FIN | TEXT, b"hello");
                link.send(&bytes[..bytes.len() - 2]);
            })
        },
    );
}

/// Ends our half after this, and waits for the other.
fn expect_end(trial: &Trial<'_>, before: impl Fn(&mut Link)) -> Tried {
    let mut link = trial.open()?;
    before(&mut link);
    link.half_close();
    loop {
        match link.next()? {
            Seen::End => return Ok(()),
            // A last word is allowed.
            Seen::Close(..) => trial.note("answers the end of TCP with a close"),
            seen => return failed(format!("expected the end of TCP, saw {seen}")),
        }
    }
}
