//! Requests that a server must refuse (§4.2.1), and those by which something is smuggled.

use crate::beyond::book::Book;
use crate::beyond::http::{Heard, Lines};
use crate::beyond::link::{Link, PATIENCE, QUIET};
use crate::beyond::trial::{Trial, response};
use crate::beyond::verdict::{Tried, ensure, failed, shown, sweep, undecided};
use crate::beyond::wire::{FIN, TEXT};

type Change = fn(Lines) -> Lines;
type Rewrite = fn(Vec<u8>) -> Vec<u8>;

pub(super) fn add(book: &mut Book) {
    refused(book);
    versions(book);
    keys(book);
    malformed(book);
    smuggled(book);
}

/// Sends this head and expects an answer of 4xx or 5xx; then a text, and expects no echo.
fn expect_refused(trial: &Trial<'_>, head: &[u8], may_hang_up: bool) -> Tried<Option<u16>> {
    let mut link = trial.dial()?;
    link.send(head);
    let status = match link.head()? {
        None if may_hang_up => return Ok(None),
        None => return failed("TCP ended without an answer (§4.2.2 demands a status)"),
        Some(head) => Heard::read(&head)?.status()?,
    };
    ensure((400..=599).contains(&status), format!("expected a refusal, saw status {status}"))?;
    link.send_text(b"smuggled");
    let rest = link.rest(QUIET);
    ensure(
        !rest.windows(8).any(|it| it == b"smuggled"),
        format!("the text behind the refused request came back: {}", shown(&rest)),
    )?;
    Ok(Some(status))
}

fn refused(book: &mut Book) {
    let cases: [(&str, &str, &str, Change); 23] = [
        ("post", "§4.2.1 (1)", "asks by POST", |it| method(it, "POST")),
        ("put", "§4.2.1 (1)", "asks by PUT", |it| method(it, "PUT")),
        ("head", "§4.2.1 (1)", "asks by HEAD", |it| method(it, "HEAD")),
        ("options", "§4.2.1 (1)", "asks by OPTIONS", |it| method(it, "OPTIONS")),
        ("get-in-small-letters", "RFC 7230 §3.1.1", "asks by get", |it| method(it, "get")),
        ("a-method-that-nobody-knows", "§4.2.1 (1)", "asks by GETS", |it| method(it, "GETS")),
        ("http-1-0", "§4.2.1 (1)", "asks in HTTP/1.0", |it| version(it, "HTTP/1.0")),
        ("http-0-9", "§4.2.1 (1)", "asks in HTTP/0.9", |it| version(it, "HTTP/0.9")),
        ("no-host", "§4.2.1 (2)", "leaves Host out", |it| it.without("Host")),
        ("two-hosts", "RFC 7230 §5.4", "has two different Host headers", |it| {
            it.with("Host: b.example")
        }),
        ("no-upgrade", "§4.2.1 (3)", "leaves Upgrade out", |it| it.without("Upgrade")),
        ("another-upgrade", "§4.2.1 (3)", "says Upgrade: h2c", |it| {
            it.instead("Upgrade", "Upgrade: h2c")
        }),
        ("an-upgrade-that-begins-so", "§4.2.1 (3)", "says Upgrade: websocket2", |it| {
            it.instead("Upgrade", "Upgrade: websocket2")
        }),
        ("an-empty-upgrade", "§4.2.1 (3)", "says Upgrade:", |it| {
            it.instead("Upgrade", "Upgrade:")
        }),
        ("no-connection", "§4.2.1 (4)", "leaves Connection out", |it| it.without("Connection")),
        ("connection-without-upgrade", "§4.2.1 (4)", "says Connection: keep-alive", |it| {
            it.instead("Connection", "Connection: keep-alive")
        }),
        ("connection-that-contains-it", "§4.2.1 (4)", "says Connection: no-upgrade", |it| {
            it.instead("Connection", "Connection: no-upgrade, upgrades, xUpgrade")
        }),
        ("connection-with-spaces-for-commas", "§4.2.1 (4)", "says keep-alive Upgrade", |it| {
            it.instead("Connection", "Connection: keep-alive Upgrade")
        }),
        ("no-key", "§4.2.1 (5)", "leaves the key out", |it| it.without("Sec-WebSocket-Key")),
        ("two-keys", "§11.3.1", "has two keys", |it| {
            it.with("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==")
        }),
        ("no-version", "§4.2.1 (6)", "leaves the version out", |it| {
            it.without("Sec-WebSocket-Version")
        }),
        ("two-versions", "§11.3.5", "has versions 13 and 8 on two lines", |it| {
            it.with("Sec-WebSocket-Version: 8")
        }),
        ("a-fragment-in-the-target", "§3, RFC 7230 §5.3.1", "asks for /path#there", |it| {
            let start = it.start.replace(" HTTP", "#there HTTP");
            it.start(&start)
        }),
    ];
    for (name, clause, what, change) in cases {
        book.server(format!("request.{name}-is-refused"), clause, what, move |trial| {
            let (lines, _) = trial.request()?;
            expect_refused(trial, &change(lines).bytes(), false).map(|_| ())
        });
    }
    book.server(
        "request.version-13-twice-is-refused",
        "§11.3.5",
        "has version 13 on two lines",
        |trial| {
            let (lines, _) = trial.request()?;
            let twice = lines.with("Sec-WebSocket-Version: 13");
            expect_refused(trial, &twice.bytes(), false).map(|_| ())
        },
    );
    book.server(
        "request.a-websocket-of-http-1-0-with-everything-else-is-refused",
        "§4.2.1 (1)",
        "asks in HTTP/1.0 with Connection: keep-alive, Upgrade",
        |trial| {
            let (lines, _) = trial.request()?;
            let lines = lines.instead("Connection", "Connection: keep-alive, Upgrade");
            expect_refused(trial, &version(lines, "HTTP/1.0").bytes(), false).map(|_| ())
        },
    );
}

fn method(lines: Lines, method: &str) -> Lines {
    let start = lines.start.replacen("GET", method, 1);
    lines.start(&start)
}

fn version(lines: Lines, version: &str) -> Lines {
    let start = lines.start.replacen("HTTP/1.1", version, 1);
    lines.start(&start)
}

fn versions(book: &mut Book) {
    for (name, value) in [
        ("0", "0"),
        ("7", "7"),
        ("8", "8"),
        ("12", "12"),
        ("14", "14"),
        ("255", "255"),
        ("130", "130"),
        ("of-nothing", ""),
        ("13-13", "13,13"),
        ("13-and-8", "13, 8"),
        ("013", "013"),
        ("plus-13", "+13"),
        ("13-dot-0", "13.0"),
        ("in-words", "thirteen"),
        ("of-hex", "0xd"),
    ] {
        book.server(
            format!("request.version-{name}-is-refused"),
            "§4.2.1 (6), §4.4",
            format!("says Sec-WebSocket-Version: {value}"),
            move |trial| {
                let (lines, _) = trial.request()?;
                let line = format!("Sec-WebSocket-Version: {value}");
                let bytes = lines.instead("Sec-WebSocket-Version", &line).bytes();
                expect_refused(trial, &bytes, false).map(|_| ())
            },
        );
    }
    book.server(
        "request.another-version-is-told-which-one-there-is",
        "§4.2.2 (4), §4.4",
        "asks with versions 0, 8 and 14: the refusal says Sec-WebSocket-Version: 13",
        |trial| {
            sweep(["0", "8", "14"], |version| {
                let (lines, _) = trial.request()?;
                let line = format!("Sec-WebSocket-Version: {version}");
                let mut link = trial.dial()?;
                link.send(lines.instead("Sec-WebSocket-Version", &line).bytes());
                let response = response(&mut link)?;
                ensure(
                    response.lists("Sec-WebSocket-Version", "13"),
                    format!("{:?} without Sec-WebSocket-Version: 13", response.start),
                )
            })
        },
    );
}

fn keys(book: &mut Book) {
    for (name, key) in [
        ("of-nothing", ""),
        ("of-15-octets", "AAAAAAAAAAAAAAAAAAAA"),
        ("of-17-octets", "AAAAAAAAAAAAAAAAAAAAAAA="),
        ("of-18-octets", "AAAAAAAAAAAAAAAAAAAAAAAA"),
        ("of-32-octets", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        ("of-one-octet", "AA=="),
        ("without-its-padding", "AAAAAAAAAAAAAAAAAAAAAA"),
        ("with-too-much-padding", "AAAAAAAAAAAAAAAAAAAAA==="),
        ("that-is-no-base64", "this is no base 64 key=="),
        ("of-another-alphabet", "AAAAAAAAAAAAAAAAAAAA-_=="),
        ("with-a-space-in-it", "AAAAAAAAAAA AAAAAAAAAA=="),
        ("that-is-two", "AAAAAAAAAAAAAAAAAAAAAA==, AAAAAAAAAAAAAAAAAAAAAA=="),
    ] {
        book.server(
            format!("request.a-key-{name}-is-refused"),
            "§4.2.1 (5)",
            format!("says Sec-WebSocket-Key: {key}"),
            move |trial| {
                let (lines, _) = trial.request()?;
                let line = format!("Sec-WebSocket-Key: {key}");
                let bytes = lines.instead("Sec-WebSocket-Key", &line).bytes();
                expect_refused(trial, &bytes, false).map(|_| ())
            },
        );
    }
}

fn malformed(book: &mut Book) {
    let cases: [(&str, &str, &str, &str); 12] = [
        ("nul-in-a-value", "RFC 9110 §5.5", "has NUL in a value", "X-Odd: a\0b"),
        ("cr-in-a-value", "RFC 9110 §5.5", "has CR in a value", "X-Odd: a\rb"),
        (
            "a-control-character-in-a-value",
            "RFC 7230 §3.2",
            "has 0x01 in a value",
            "X-Odd: a\u{1}b",
        ),
        ("a-space-before-the-colon", "RFC 7230 §3.2.4", "writes X-Odd : a", "X-Odd : a"),
        ("a-tab-before-the-colon", "RFC 7230 §3.2.4", "writes X-Odd<TAB>: a", "X-Odd\t: a"),
        ("a-line-without-a-colon", "RFC 7230 §3.2", "has a line without a colon", "nonsense"),
        ("a-name-of-nothing", "RFC 7230 §3.2", "has a line that begins with the colon", ": a"),
        ("a-name-with-a-space", "RFC 7230 §3.2", "writes X Odd: a", "X Odd: a"),
        ("a-name-with-a-slash", "RFC 7230 §3.2.6", "writes X/Odd: a", "X/Odd: a"),
        ("a-name-with-nul", "RFC 7230 §3.2.6", "has NUL in a name", "X-\0dd: a"),
        ("extensions-of-no-grammar", "§9.1", "offers ;=,;", "Sec-WebSocket-Extensions: ;=,;"),
        (
            "two-equal-subprotocols",
            "§4.1 (10)",
            "offers a, b, a",
            "Sec-WebSocket-Protocol: a, b, a",
        ),
    ];
    for (name, clause, what, line) in cases {
        book.server(format!("request.{name}-is-refused"), clause, what, move |trial| {
            let (lines, key) = trial.request()?;
            let bytes = lines.with(line).bytes();
            if name == "two-equal-subprotocols" || name == "extensions-of-no-grammar" {
                // A demand on clients: a server need not look where it chooses nothing of it.
                return lenient(trial, &bytes, &key);
            }
            expect_refused(trial, &bytes, true).map(|_| ())
        });
    }
    // What a lenient reader may take, as long as it reads it as one.
    let cases: [(&str, &str, &str, Rewrite); 5] = [
        ("a-folded-line", "RFC 7230 §3.2.4", "folds a header over two lines", |head| {
            replaced(&head, b"Upgrade: websocket", b"X-Odd: a\r\n b\r\nUpgrade: websocket")
        }),
        ("bare-line-feeds", "RFC 7230 §3.5", "ends every line with LF alone", |head| {
            head.into_iter().filter(|byte| *byte != b'\r').collect()
        }),
        ("one-bare-line-feed", "RFC 7230 §3.5", "ends one line with LF alone", |head| {
            replaced(&head, b"Upgrade: websocket", b"X-Odd: a\nUpgrade: websocket")
        }),
        ("a-space-before-the-first-header", "RFC 7230 §3", "indents the first header", |head| {
            replaced(&head, b"\r\nHost:", b"\r\n X-Odd: a\r\nHost:")
        }),
        ("spaces-in-the-request-line", "RFC 7230 §3.5", "has two spaces before HTTP/1.1", |head| {
            replaced(&head, b" HTTP/1.1", b"  HTTP/1.1")
        }),
    ];
    for (name, clause, what, change) in cases {
        book.server(format!("request.{name}-is-refused"), clause, what, move |trial| {
            let (lines, key) = trial.request()?;
            lenient(trial, &change(lines.bytes()), &key)
        });
    }
    book.server(
        "request.noise-is-refused",
        "RFC 7230 §3.1.1",
        "sends 1,000 octets of noise with an empty line behind, eight times",
        |trial| {
            sweep(0..8_u8, |&first| {
                let mut bytes = trial.noise().bytes(1000);
                bytes[0] = first;
                bytes.extend(b"\r\n\r\n");
                expect_refused(trial, &bytes, true).map(|_| ())
            })
        },
    );
    book.server(
        "request.a-tls-hello-is-refused",
        "RFC 7230 §3.1.1",
        "begins TLS on the plain port: the server does not wait for more for ever",
        |trial| {
            let mut hello = vec![0x16, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3];
            hello.resize(205, 0x5A);
            let mut link = trial.dial()?;
            link.send(hello);
            link.half_close();
            let rest = link.rest(PATIENCE);
            ensure(!rest.starts_with(b"HTTP/1.1 101"), "it was upgraded")
        },
    );
}

/// Refused is good. Taken is no fault if it was read as its writer meant it.
fn lenient(trial: &Trial<'_>, head: &[u8], key: &str) -> Tried {
    let mut link = trial.dial()?;
    link.send(head);
    let Some(head) = link.head()? else { return Ok(()) };
    let response = Heard::read(&head)?;
    match response.status()? {
        400..=599 => Ok(()),
        _ => {
            crate::beyond::trial::check_101(&response, key)?;
            link.goodbye()?;
            undecided("it was taken, which the RFC leaves to the reader")
        }
    }
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    match bytes.windows(from.len()).position(|it| it == from) {
        Some(at) => [&bytes[..at], to, &bytes[at + from.len()..]].concat(),
        None => bytes.to_vec(),
    }
}

fn smuggled(book: &mut Book) {
    for (name, lines) in [
        ("a-length", "Content-Length: 14"),
        ("two-lengths", "Content-Length: 0\r\nContent-Length: 14"),
        ("chunks", "Transfer-Encoding: chunked"),
        ("chunks-and-a-length", "Transfer-Encoding: chunked\r\nContent-Length: 14"),
    ] {
        book.server(
            format!("smuggle.a-body-told-by-{name}-is-no-frame"),
            "RFC 7230 §3.3.3, §9.5",
            format!("says {}, then sends a frame where the body stands", lines.escape_debug()),
            move |trial| {
                let (head, _) = trial.request()?;
                let mut link = trial.dial()?;
                let mut bytes = head.with(lines).bytes();
                // 14 octets: what one reader takes for a body is a text to the other.
                bytes.extend(link.frame(FIN | TEXT, b"smuggled"));
                link.send(bytes);
                let answer = link.rest(PATIENCE.min(QUIET * 3));
                ensure(
                    !answer.windows(8).any(|it| it == b"smuggled"),
                    "the body was read as a frame and came back",
                )
            },
        );
    }
    book.server(
        "smuggle.a-second-request-behind-the-upgrade-is-not-answered",
        "§4.1, RFC 7230 §6.7",
        "sends a request for a page right behind the upgrade: those are frames, and wrong ones",
        |trial| {
            let (lines, _) = trial.request()?;
            let mut link = trial.dial()?;
            let second = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", trial.authority());
            link.send([lines.bytes(), second.into_bytes()].concat());
            one_answer(&mut link)
        },
    );
    book.server(
        "smuggle.a-second-upgrade-behind-the-upgrade-is-not-answered",
        "§4.1, RFC 7230 §6.7",
        "sends the same request twice in one segment",
        |trial| {
            let (lines, _) = trial.request()?;
            let mut link = trial.dial()?;
            link.send([lines.bytes(), lines.bytes()].concat());
            one_answer(&mut link)
        },
    );
    book.server(
        "smuggle.a-request-inside-a-frame-is-data",
        "§10.3",
        "sends a request as the text of a message",
        |trial| {
            let mut link = trial.open()?;
            link.echo(TEXT, b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")?;
            link.goodbye()
        },
    );
}

fn one_answer(link: &mut Link) -> Tried {
    // §4.1: a client waits for the answer, so one that does not may be sent away.
    let Some(head) = link.head()? else { return Ok(()) };
    if Heard::read(&head)?.status()? != 101 {
        return Ok(());
    }
    let rest = link.rest(QUIET * 5);
    ensure(
        !rest.windows(7).any(|it| it == b"HTTP/1."),
        format!("a second answer came behind the 101: {}", shown(&rest)),
    )
}
