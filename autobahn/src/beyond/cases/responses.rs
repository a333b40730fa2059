//! What a client asks, and which answers it must refuse or take (§4.1).

use std::collections::BTreeSet;

use crate::beyond::book::Book;
use crate::beyond::http::{Heard, Lines};
use crate::beyond::link::{Link, QUIET, Seen};
use crate::beyond::trial::{Trial, nonce, welcome};
use crate::beyond::verdict::{Tried, ensure, failed, sweep, undecided};
use crate::beyond::wire::{BINARY, CLOSE, FIN, PING, TEXT};

type Change = fn(Lines) -> Lines;

pub(super) fn add(book: &mut Book) {
    asked(book);
    refused(book);
    statuses(book);
    taken(book);
}

fn asked(book: &mut Book) {
    type Check = fn(&Trial<'_>, &Heard) -> Tried;
    let cases: [(&str, &str, &str, Check); 12] = [
        ("by-get-in-http-1-1", "§4.1 (1, 2)", "reads the request line", |_, request| {
            let (start, end) = ("GET ", " HTTP/1.1");
            ensure(
                request.start.starts_with(start) && request.start.ends_with(end),
                format!("the request line is {:?}", request.start),
            )
        }),
        ("for-the-path-and-the-query", "§4.1 (3)", "reads the target", |_, request| {
            let target = request.start.split(' ').nth(1).unwrap_or_default();
            ensure(target.ends_with("/case?of=these"), format!("the target is {target:?}"))
        }),
        ("with-the-host-and-its-port", "§4.1 (4)", "reads Host", |trial, request| {
            let (host, wanted) = (request.one("Host")?, trial.authority());
            ensure(host == wanted, format!("Host is {host:?}, not {wanted:?}"))
        }),
        ("with-upgrade-websocket", "§4.1 (5)", "reads Upgrade", |_, request| {
            let upgrade = request.one("Upgrade")?;
            ensure(upgrade.eq_ignore_ascii_case("websocket"), format!("Upgrade is {upgrade:?}"))
        }),
        ("with-connection-upgrade", "§4.1 (6)", "reads Connection", |_, request| {
            ensure(request.lists("Connection", "upgrade"), "Connection does not say Upgrade")
        }),
        ("with-a-key-of-16-octets", "§4.1 (7)", "decodes the key", |_, request| {
            nonce(request).map(|_| ())
        }),
        ("with-version-13-once", "§4.1 (9)", "reads the version", |_, request| {
            let version = request.one("Sec-WebSocket-Version")?;
            ensure(version == "13", format!("the version is {version:?}"))
        }),
        ("with-different-subprotocols", "§4.1 (10)", "reads the subprotocols", |_, request| {
            let offered: Vec<&str> = request
                .all("Sec-WebSocket-Protocol")
                .flat_map(|it| it.split(',').map(str::trim))
                .collect();
            let different: BTreeSet<&&str> = offered.iter().collect();
            ensure(
                different.len() == offered.len() && !offered.contains(&""),
                format!("the subprotocols are {offered:?}"),
            )
        }),
        ("with-extensions-of-the-grammar", "§9.1", "reads the extensions", |_, request| {
            request.extensions().map(|_| ())
        }),
        ("without-a-body", "RFC 7230 §3.3", "looks for a body", |_, request| {
            ensure(
                !request.has("Transfer-Encoding")
                    && request.all("Content-Length").all(|it| it == "0"),
                "the request has a body",
            )
        }),
        ("without-an-answers-headers", "§11.3.3", "looks for Accept", |_, request| {
            ensure(!request.has("Sec-WebSocket-Accept"), "the request has Sec-WebSocket-Accept")
        }),
        (
            "with-good-parameters-for-deflate",
            "RFC 7692 §7.1",
            "judges the offers",
            |_, request| good_offers(request),
        ),
    ];
    for (name, clause, what, check) in cases {
        book.client(format!("ask.{name}"), clause, what, move |trial| {
            let (_, request) = trial.receive()?;
            check(trial, &request)
        });
    }
    book.client("ask.keys-are-never-the-same", "§4.1 (7)", "compares four keys", |trial| {
        let mut keys = BTreeSet::new();
        for _ in 0..4 {
            keys.insert(nonce(&trial.receive()?.1)?);
        }
        ensure(keys.len() == 4, format!("{} different keys in 4 requests", keys.len()))
    });
    book.client(
        "ask.nothing-is-sent-before-the-answer",
        "§4.1",
        "waits a moment before it answers",
        |trial| {
            let (mut link, request) = trial.receive()?;
            link.expect_quiet()?;
            link.send(welcome(&request)?.bytes());
            link.goodbye()
        },
    );
}

fn good_offers(request: &Heard) -> Tried {
    for offer in request.extensions()?.iter().filter(|it| it.name == "permessage-deflate") {
        let mut seen = BTreeSet::new();
        for (name, value) in &offer.parameters {
            ensure(seen.insert(name), format!("{name} comes twice"))?;
            let good = match name.as_str() {
                "server_no_context_takeover" | "client_no_context_takeover" => value.is_none(),
                "server_max_window_bits" => offer.bits(name).is_some(),
                "client_max_window_bits" => value.is_none() || offer.bits(name).is_some(),
                _ => false,
            };
            ensure(good, format!("the offer has {name} {value:?}"))?;
        }
    }
    Ok(())
}

/// Answers in this way with a text behind it: the client must not take it for open.
pub(super) fn expect_refused(trial: &Trial<'_>, link: &mut Link, answer: &[u8]) -> Tried {
    let text = link.frame(FIN | TEXT, b"taken");
    link.send([answer, &text].concat());
    loop {
        match link.next_within(std::time::Duration::from_secs(3)) {
            Ok(Seen::End) => return Ok(()),
            // Established or not: a client that says why may do so.
            Ok(Seen::Close(..)) => {
                trial.note("sends a close on a connection that it does not open");
                link.half_close();
            }
            Ok(Seen::Silence) => return failed("the client neither speaks nor hangs up"),
            Ok(seen) => return failed(format!("the client took the answer: {seen}")),
            Err(wrong) => return Err(wrong),
        }
    }
}

fn refused(book: &mut Book) {
    let cases: [(&str, &str, &str, Change); 30] = [
        ("no-accept", "§4.1 (4)", "leaves Sec-WebSocket-Accept out", |it| {
            it.without("Sec-WebSocket-Accept")
        }),
        ("an-empty-accept", "§4.1 (4)", "has an empty Accept", |it| accept(it, |_| String::new())),
        ("another-accept", "§4.1 (4)", "has the Accept of another key", |it| {
            accept(it, |_| "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".to_owned())
        }),
        ("an-accept-with-one-letter-changed", "§4.1 (4)", "changes the first letter", |it| {
            accept(it, |value| {
                let first = if value.starts_with('A') { "B" } else { "A" };
                format!("{first}{}", value.get(1..).unwrap_or_default())
            })
        }),
        ("an-accept-with-its-end-changed", "§4.1 (4)", "changes the last letter", |it| {
            accept(it, |value| {
                let end = if value.ends_with("A=") { "E=" } else { "A=" };
                format!("{}{end}", value.get(..value.len() - 2).unwrap_or_default())
            })
        }),
        ("an-accept-in-small-letters", "§4.1 (4)", "writes Accept in small letters", |it| {
            accept(it, |value| format!("{}x", value.to_ascii_lowercase()))
        }),
        ("an-accept-cut-short", "§4.1 (4)", "leaves the last letter out", |it| {
            accept(it, |value| value.get(..value.len() - 1).unwrap_or_default().to_owned())
        }),
        ("an-accept-with-more-behind", "§4.1 (4)", "appends a letter", |it| {
            accept(it, |value| format!("{value}="))
        }),
        ("two-accepts", "§11.3.3", "has a right and a wrong Accept", |it| {
            it.with("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        }),
        ("no-upgrade", "§4.1 (2)", "leaves Upgrade out", |it| it.without("Upgrade")),
        ("an-empty-upgrade", "§4.1 (2)", "has an empty Upgrade", |it| {
            it.instead("Upgrade", "Upgrade:")
        }),
        ("another-upgrade", "§4.1 (2)", "says Upgrade: h2c", |it| {
            it.instead("Upgrade", "Upgrade: h2c")
        }),
        ("an-upgrade-that-begins-so", "§4.1 (2)", "says Upgrade: websocket2", |it| {
            it.instead("Upgrade", "Upgrade: websocket2")
        }),
        ("an-upgrade-that-contains-it", "§4.1 (2)", "says Upgrade: not-websocket", |it| {
            it.instead("Upgrade", "Upgrade: not-websocket")
        }),
        ("no-connection", "§4.1 (3)", "leaves Connection out", |it| it.without("Connection")),
        ("an-empty-connection", "§4.1 (3)", "has an empty Connection", |it| {
            it.instead("Connection", "Connection:")
        }),
        ("connection-close", "§4.1 (3)", "says Connection: close", |it| {
            it.instead("Connection", "Connection: close")
        }),
        ("connection-that-contains-it", "§4.1 (3)", "says Connection: no-upgrade", |it| {
            it.instead("Connection", "Connection: no-upgrade")
        }),
        ("an-extension-that-was-not-offered", "§4.1 (5)", "agrees on x-unknown", |it| {
            it.with("Sec-WebSocket-Extensions: x-unknown")
        }),
        ("an-extension-of-another-name", "§4.1 (5)", "agrees on permessage-bzip2", |it| {
            it.with("Sec-WebSocket-Extensions: permessage-bzip2")
        }),
        (
            "two-extensions-one-not-offered",
            "§4.1 (5)",
            "agrees on x-a and x-b on two lines",
            |it| {
                it.with("Sec-WebSocket-Extensions: x-a").with("Sec-WebSocket-Extensions: x-b; c=1")
            },
        ),
        ("extensions-of-no-grammar", "§9.1", "agrees on ;=,", |it| {
            it.with("Sec-WebSocket-Extensions: ;=,")
        }),
        ("a-subprotocol-that-was-not-offered", "§4.1 (6)", "chooses chat.example", |it| {
            it.with("Sec-WebSocket-Protocol: chat.example")
        }),
        ("two-subprotocols", "§11.3.4", "chooses a and b", |it| {
            it.with("Sec-WebSocket-Protocol: a").with("Sec-WebSocket-Protocol: b")
        }),
        ("http-1-0", "§4.1", "answers in HTTP/1.0", |it| {
            it.start("HTTP/1.0 101 Switching Protocols")
        }),
        ("another-protocol", "RFC 7230 §3.1.2", "answers in ICY", |it| {
            it.start("ICY 101 Switching Protocols")
        }),
        ("a-status-of-four-digits", "RFC 7230 §3.1.2", "answers with 1010", |it| {
            it.start("HTTP/1.1 1010 Switching Protocols")
        }),
        ("a-status-with-a-sign", "RFC 7230 §3.1.2", "answers with +101", |it| {
            it.start("HTTP/1.1 +101 Switching Protocols")
        }),
        ("a-line-without-a-colon", "RFC 7230 §3.2", "has a line without a colon", |it| {
            it.with("nonsense")
        }),
        ("nul-in-a-value", "RFC 9110 §5.5", "has NUL in a value", |it| it.with("X-Odd: a\0b")),
    ];
    for (name, clause, what, change) in cases {
        book.client(format!("answer.{name}-is-refused"), clause, what, move |trial| {
            let (mut link, request) = trial.receive()?;
            if name == "extensions-of-no-grammar" || !name.contains("subprotocol") {
                let answer = change(welcome(&request)?).bytes();
                return expect_refused(trial, &mut link, &answer);
            }
            if request.has("Sec-WebSocket-Protocol") {
                return undecided("the client offers subprotocols");
            }
            expect_refused(trial, &mut link, &change(welcome(&request)?).bytes())
        });
    }
    book.client(
        "answer.the-key-itself-is-refused",
        "§4.1 (4)",
        "sends the key back as Accept",
        |trial| {
            let (mut link, request) = trial.receive()?;
            let line = format!("Sec-WebSocket-Accept: {}", request.one("Sec-WebSocket-Key")?);
            let answer = welcome(&request)?.instead("Sec-WebSocket-Accept", &line);
            expect_refused(trial, &mut link, &answer.bytes())
        },
    );
    book.client(
        "answer.noise-is-refused",
        "RFC 7230 §3.1.2",
        "sends 1,000 octets of noise with an empty line behind",
        |trial| {
            let (mut link, _) = trial.receive()?;
            let noise = [&trial.noise().bytes(1000)[..], b"\r\n\r\n"].concat();
            expect_refused(trial, &mut link, &noise)
        },
    );
    book.client(
        "answer.frames-without-a-head-are-refused",
        "§4.1",
        "sends a text at once, without any answer",
        |trial| {
            let (mut link, _) = trial.receive()?;
            expect_refused(trial, &mut link, b"\x81\x02hi\r\n\r\n")
        },
    );
    book.client(
        "answer.that-ends-in-the-head-is-refused",
        "§4.1",
        "hangs up in the middle of the answer, at ten places",
        |trial| {
            sweep((1..120).step_by(12), |&cut| {
                let (mut link, request) = trial.receive()?;
                let answer = welcome(&request)?.bytes();
                link.send(&answer[..cut]);
                link.half_close();
                match link.next()? {
                    Seen::End => Ok(()),
                    seen => failed(format!("expected the end of TCP, saw {seen}")),
                }
            })
        },
    );
}

fn accept(lines: Lines, change: fn(&str) -> String) -> Lines {
    let old = lines.lines.iter().find_map(|it| it.strip_prefix("Sec-WebSocket-Accept: "));
    let line = format!("Sec-WebSocket-Accept: {}", change(old.unwrap_or_default()));
    lines.instead("Sec-WebSocket-Accept", &line)
}

fn statuses(book: &mut Book) {
    for (status, reason) in [
        (200, "OK"),
        (204, "No Content"),
        (301, "Moved Permanently"),
        (302, "Found"),
        (307, "Temporary Redirect"),
        (400, "Bad Request"),
        (401, "Unauthorized"),
        (403, "Forbidden"),
        (404, "Not Found"),
        (407, "Proxy Authentication Required"),
        (426, "Upgrade Required"),
        (500, "Internal Server Error"),
        (503, "Service Unavailable"),
    ] {
        book.client(
            format!("answer.{status}-opens-nothing"),
            "§4.1 (1)",
            format!("answers with {status} and the headers of a 101"),
            move |trial| {
                let (mut link, request) = trial.receive()?;
                let answer = welcome(&request)?
                    .start(&format!("HTTP/1.1 {status} {reason}"))
                    .with("Location: /elsewhere")
                    .with("WWW-Authenticate: Basic realm=\"x\"")
                    .with("Content-Length: 0");
                // It may wait for the end of TCP, and may go elsewhere.
                let text = link.frame(FIN | TEXT, b"taken");
                link.send([answer.bytes(), text].concat());
                link.half_close();
                match link.next()? {
                    Seen::End => Ok(()),
                    seen => failed(format!("expected the end of TCP, saw {seen}")),
                }
            },
        );
    }
    for status in ["100 Continue", "102 Processing", "103 Early Hints"] {
        let number = &status[..3];
        book.client(
            format!("answer.{number}-may-come-before-101"),
            "RFC 7231 §6.2",
            format!("answers with {status} and then with 101"),
            move |trial| {
                let (mut link, request) = trial.receive()?;
                let first = format!("HTTP/1.1 {status}\r\nX-First: 1\r\n\r\n");
                link.send([first.into_bytes(), welcome(&request)?.bytes()].concat());
                link.goodbye()
            },
        );
    }
}

fn taken(book: &mut Book) {
    let cases: [(&str, &str, &str, Change); 12] = [
        ("the-plainest", "§4.1", "answers with what §4.2.2 demands and no more", |it| it),
        ("another-reason", "RFC 7230 §3.1.2", "says 101 Whatever", |it| {
            it.start("HTTP/1.1 101 Whatever It Takes")
        }),
        ("an-empty-reason", "RFC 7230 §3.1.2", "says 101 and a space", |it| {
            it.start("HTTP/1.1 101 ")
        }),
        ("upgrade-in-any-case", "§4.1 (2)", "says Upgrade: WebSocket", |it| {
            it.instead("Upgrade", "Upgrade: WebSocket")
        }),
        ("connection-in-any-case", "§4.1 (3)", "says Connection: UPGRADE", |it| {
            it.instead("Connection", "Connection: UPGRADE")
        }),
        ("connection-as-a-list", "§4.1 (3)", "says keep-alive, Upgrade", |it| {
            it.instead("Connection", "Connection: keep-alive, Upgrade")
        }),
        ("connection-on-two-lines", "RFC 7230 §3.2.2", "has two Connection headers", |it| {
            it.with("Connection: keep-alive")
        }),
        ("names-in-capitals", "RFC 7230 §3.2", "writes names in capitals", |it| {
            cased(it, str::to_ascii_uppercase)
        }),
        ("names-in-small-letters", "RFC 7230 §3.2", "writes names small", |it| {
            cased(it, str::to_ascii_lowercase)
        }),
        ("white-space-around-values", "RFC 7230 §3.2", "puts spaces and tabs around", |it| {
            let lines = it.lines.iter().map(|line| format!("{} \t ", line.replace(": ", ":\t ")));
            Lines { start: it.start.clone(), lines: lines.collect() }
        }),
        ("no-white-space-before-values", "RFC 7230 §3.2", "writes Upgrade:websocket", |it| {
            let lines = it.lines.iter().map(|line| line.replacen(": ", ":", 1));
            Lines { start: it.start.clone(), lines: lines.collect() }
        }),
        ("forty-more-headers", "§4.1", "has 40 more headers, cookies among them", |mut it| {
            it.lines.extend((0..40).map(|n| format!("X-Header-{n}: {n}")));
            it.with("Set-Cookie: a=b").with("Set-Cookie: c=d").with("Date: now").with("Server:")
        }),
    ];
    for (name, clause, what, change) in cases {
        book.client(format!("answer.{name}-is-taken"), clause, what, move |trial| {
            let (mut link, request) = trial.receive()?;
            link.send(change(welcome(&request)?).bytes());
            link.goodbye()
        });
    }
    book.client(
        "answer.frames-may-come-with-it",
        "§4.1",
        "sends a ping, a text and a close in the segment of the answer",
        |trial| {
            let (mut link, request) = trial.receive()?;
            let mut bytes = welcome(&request)?.bytes();
            bytes.extend(link.frame(FIN | PING, b"early"));
            bytes.extend(link.frame(FIN | TEXT, b"bird"));
            bytes.extend(link.frame(FIN | CLOSE, &[0x03, 0xE8]));
            link.send(bytes);
            link.expect_pong(b"early")?;
            link.expect_text(b"bird")?;
            link.expect_closed(Some(1000))
        },
    );
    book.client(
        "answer.a-close-may-come-with-it",
        "§4.1, §5.5.1",
        "sends a close in the segment of the answer",
        |trial| {
            let (mut link, request) = trial.receive()?;
            let mut bytes = welcome(&request)?.bytes();
            bytes.extend(link.frame(FIN | CLOSE, &[0x03, 0xE9]));
            link.send(bytes);
            link.expect_closed(Some(1001))
        },
    );
    book.client(
        "answer.a-large-frame-may-come-with-it",
        "§4.1",
        "sends 100,000 octets of a message in one write with the answer",
        |trial| {
            let (mut link, request) = trial.receive()?;
            let message = trial.noise().bytes(100_000);
            let frame = link.frame(FIN | BINARY, &message);
            link.send([welcome(&request)?.bytes(), frame].concat());
            link.expect_binary(&message)?;
            link.goodbye()
        },
    );
    book.client(
        "answer.it-may-be-cut-at-every-octet",
        "RFC 7230 §3",
        "sends the answer in two pieces, cut at each place (without --full at each eleventh)",
        |trial| {
            let step = if trial.full { 1 } else { 11 };
            sweep((1..129).step_by(step), |&cut| {
                let (mut link, request) = trial.receive()?;
                let text = link.frame(FIN | TEXT, b"hello");
                let bytes = [welcome(&request)?.bytes(), text].concat();
                link.send_cut(&bytes, &[cut]);
                link.expect_text(b"hello")
            })
        },
    );
    book.client(
        "answer.it-may-come-octet-by-octet",
        "RFC 7230 §3",
        "sends the answer and a text an octet a segment",
        |trial| {
            let (mut link, request) = trial.receive()?;
            let text = link.frame(FIN | TEXT, b"hello");
            let bytes = [welcome(&request)?.bytes(), text].concat();
            link.send_cut(&bytes, &(1..bytes.len()).collect::<Vec<_>>());
            link.expect_text(b"hello")
        },
    );
    for (name, clause, fold) in [
        ("a-folded-line", "RFC 7230 §3.2.4", "X-Odd: a\r\n b"),
        ("one-bare-line-feed", "RFC 7230 §3.5", "X-Odd: a\nX-Other: b"),
    ] {
        book.client(
            format!("answer.{name}-is-taken-or-refused"),
            clause,
            format!("has {} in the head", fold.escape_debug()),
            move |trial| {
                let (mut link, request) = trial.receive()?;
                link.send(welcome(&request)?.with(fold).bytes());
                link.send_text(b"hello");
                match link.next()? {
                    Seen::End => Ok(()),
                    Seen::Text(it) if it == b"hello" => link.goodbye(),
                    seen => failed(format!("expected an echo or the end of TCP, saw {seen}")),
                }
            },
        );
    }
    book.client(
        "answer.nothing-comes-uncalled-for",
        "§5",
        "opens the connection and says nothing: an echo client says nothing either",
        |trial| {
            let mut link = trial.open()?;
            match link.next_within(QUIET)? {
                Seen::Silence => link.goodbye(),
                seen => failed(format!("expected nothing, saw {seen}")),
            }
        },
    );
}

fn cased(lines: Lines, cased: fn(&str) -> String) -> Lines {
    let all = lines.lines.iter().map(|line| match line.split_once(':') {
        Some((name, value)) => format!("{}:{value}", cased(name)),
        None => line.clone(),
    });
    Lines { start: lines.start.clone(), lines: all.collect() }
}
