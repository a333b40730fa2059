//! Requests that a server has to accept, in all their odd forms, and what its 101 says (§4.2).

use std::collections::BTreeSet;

use crate::beyond::book::Book;
use crate::beyond::http::{Heard, Lines};
use crate::beyond::link::Link;
use crate::beyond::trial::{Trial, check_101, response};
use crate::beyond::verdict::{Tried, ensure, failed, undecided};
use crate::beyond::wire::{BINARY, CLOSE, FIN, PING, TEXT, frame};

type Change = fn(Lines) -> Lines;

pub(super) fn add(book: &mut Book) {
    accepted(book);
    answers(book);
    segments(book);
}

/// Asks in this way, is welcome, and gets an echo.
fn ask(trial: &Trial<'_>, change: Change) -> Tried<Link> {
    let (lines, key) = trial.request()?;
    let mut link = trial.dial()?;
    link.send(change(lines).bytes());
    check_101(&response(&mut link)?, &key)?;
    link.echo(TEXT, b"hello")?;
    Ok(link)
}

fn accepted(book: &mut Book) {
    let cases: [(&str, &str, &str, Change); 25] = [
        ("the-plainest-request", "§4.1", "asks with what §4.1 demands and no more", |it| it),
        ("names-of-headers-in-capitals", "RFC 7230 §3.2", "writes names in capitals", |it| {
            cased(it, str::to_ascii_uppercase)
        }),
        ("names-of-headers-in-small-letters", "RFC 7230 §3.2", "writes them small", |it| {
            cased(it, str::to_ascii_lowercase)
        }),
        ("upgrade-in-any-case", "§4.2.1 (3)", "says Upgrade: WebSocket", |it| {
            it.instead("Upgrade", "Upgrade: WebSocket")
        }),
        ("upgrade-in-capitals", "§4.2.1 (3)", "says Upgrade: WEBSOCKET", |it| {
            it.instead("Upgrade", "Upgrade: WEBSOCKET")
        }),
        ("connection-in-any-case", "§4.2.1 (4)", "says Connection: uPgRaDe", |it| {
            it.instead("Connection", "Connection: uPgRaDe")
        }),
        ("connection-as-a-list", "§4.2.1 (4)", "says Connection: keep-alive, Upgrade", |it| {
            it.instead("Connection", "Connection: keep-alive, Upgrade")
        }),
        ("connection-as-a-list-without-spaces", "§4.2.1 (4)", "says keep-alive,Upgrade", |it| {
            it.instead("Connection", "Connection: keep-alive,Upgrade,TE")
        }),
        ("connection-as-a-list-with-gaps", "RFC 7230 §7", "has empty elements in the list", |it| {
            it.instead("Connection", "Connection: , keep-alive ,\t, Upgrade ,")
        }),
        ("connection-on-two-lines", "RFC 7230 §3.2.2", "has two Connection headers", |it| {
            it.instead("Connection", "Connection: keep-alive\r\nConnection: Upgrade")
        }),
        (
            "white-space-around-values",
            "RFC 7230 §3.2",
            "puts spaces and tabs around values",
            |it| {
                let lines =
                    it.lines.iter().map(|line| format!("{} \t ", line.replace(": ", ":  \t")));
                Lines { start: it.start.clone(), lines: lines.collect() }
            },
        ),
        ("no-white-space-before-values", "RFC 7230 §3.2", "writes Host:name and so on", |it| {
            let lines = it.lines.iter().map(|line| line.replacen(": ", ":", 1));
            Lines { start: it.start.clone(), lines: lines.collect() }
        }),
        ("headers-in-another-order", "RFC 7230 §3.2.2", "reverses the headers", |mut it| {
            it.lines.reverse();
            it
        }),
        ("headers-that-mean-nothing-here", "§4.2.1", "has a dozen other headers", |it| {
            it.with("User-Agent: beyond")
                .with("Accept: */*")
                .with("Accept-Language: de, en;q=0.5")
                .with("Accept-Encoding: gzip, br")
                .with("Cache-Control: no-cache")
                .with("Pragma: no-cache")
                .with("DNT: 1")
                .with("X-Empty:")
                .with("X-Odd: \"(,;)\"")
                .with("Sec-Fetch-Mode: websocket")
                .with("Cookie: a=b; c=d")
                .with("Via: 1.1 there")
        }),
        ("an-empty-header", "RFC 7230 §3.2", "has a header without a value", |it| {
            it.with("X-Empty:")
        }),
        ("fifty-headers", "§4.2.1", "has 50 more headers", |mut it| {
            it.lines.extend((0..50).map(|n| format!("X-Header-{n}: {n}")));
            it
        }),
        ("a-cookie-of-4-kib", "RFC 6265 §6.1", "has a cookie of 4,000 octets", |it| {
            it.with(&format!("Cookie: c={}", "x".repeat(4000)))
        }),
        ("octets-above-127-in-a-value", "RFC 7230 §3.2.6", "has obs-text in a value", |it| {
            it.with("X-Name: Gr\u{fc}\u{df}e")
        }),
        ("a-key-of-zeros", "§4.2.1 (5)", "has a key of 16 zeros", |it| it),
        ("an-extension-that-nobody-knows", "§9.1", "offers x-unknown; a=1; b=\"c\"", |it| {
            it.with("Sec-WebSocket-Extensions: x-unknown; a=1; b=\"c\"")
        }),
        ("extensions-on-two-lines", "§9.1", "offers two unknown ones on two lines", |it| {
            it.with("Sec-WebSocket-Extensions: x-one").with("Sec-WebSocket-Extensions: x-two; y")
        }),
        (
            "subprotocols",
            "§4.2.2",
            "offers two subprotocols; none or one of them comes back",
            |it| it.with("Sec-WebSocket-Protocol: one.example, two.example"),
        ),
        ("subprotocols-on-two-lines", "§11.3.4", "offers two subprotocols on two lines", |it| {
            it.with("Sec-WebSocket-Protocol: one").with("Sec-WebSocket-Protocol: two")
        }),
        ("a-query", "§4.2.1 (1)", "asks for the same path with a query", |it| {
            let start = it.start.replace(" HTTP", "?a=b&c=%20d%00 HTTP");
            it.start(&start)
        }),
        ("content-length-zero", "RFC 7230 §3.3.2", "says Content-Length: 0", |it| {
            it.with("Content-Length: 0")
        }),
    ];
    for (name, clause, what, change) in cases {
        book.server(format!("request.{name}-is-taken"), clause, what, move |trial| {
            if name == "a-key-of-zeros" {
                return key_of_zeros(trial);
            }
            ask(trial, change)?.close()
        });
    }
    book.server(
        "request.an-absolute-target-is-taken",
        "§4.2.1 (1), RFC 7230 §5.3.2",
        "asks for http://HOST/PATH instead of /PATH",
        |trial| {
            let (lines, key) = trial.request()?;
            let place = trial.place()?;
            let start = format!("GET http://{}{} HTTP/1.1", place.authority, place.path);
            let mut link = trial.dial()?;
            link.send(lines.start(&start).bytes());
            check_101(&response(&mut link)?, &key)?;
            link.goodbye()
        },
    );
    book.server(
        "request.an-origin-is-taken-or-forbidden",
        "§4.2.2 (1)",
        "says Origin: http://example.com: 101 or 403",
        |trial| {
            let (lines, key) = trial.request()?;
            let mut link = trial.dial()?;
            link.send(lines.with("Origin: http://example.com").bytes());
            let response = response(&mut link)?;
            if response.status()? == 403 {
                return Ok(());
            }
            check_101(&response, &key)
        },
    );
    book.server(
        "request.an-empty-line-before-it-is-skipped",
        "RFC 7230 §3.5",
        "sends an empty line, then the request",
        |trial| {
            let (lines, key) = trial.request()?;
            let mut link = trial.dial()?;
            link.send([&b"\r\n"[..], &lines.bytes()].concat());
            let response = response(&mut link)?;
            if response.status()? == 400 {
                return undecided("refused, which SHOULD does not forbid");
            }
            check_101(&response, &key)
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

fn key_of_zeros(trial: &Trial<'_>) -> Tried {
    let key = "AAAAAAAAAAAAAAAAAAAAAA==";
    let (lines, _) = trial.request()?;
    let mut link = trial.dial()?;
    link.send(lines.instead("Sec-WebSocket-Key", &format!("Sec-WebSocket-Key: {key}")).bytes());
    check_101(&response(&mut link)?, key)?;
    link.goodbye()
}

fn answers(book: &mut Book) {
    book.server(
        "welcome.accept-is-made-of-the-key",
        "§4.2.2 (5.4)",
        "asks with 32 keys and recomputes each answer",
        |trial| {
            for _ in 0..32 {
                trial.open()?;
            }
            Ok(())
        },
    );
    book.server(
        "welcome.promises-nothing-that-was-not-offered",
        "§4.2.2 (5.5, 5.6)",
        "asks without extensions and subprotocols: the answer has neither",
        |trial| {
            let (lines, key) = trial.request()?;
            let mut link = trial.dial()?;
            link.send(lines.bytes());
            let response = response(&mut link)?;
            check_101(&response, &key)?;
            for name in ["Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol"] {
                ensure(!response.has(name), format!("the answer has {name}"))?;
            }
            Ok(())
        },
    );
    book.server(
        "welcome.has-no-body",
        "RFC 7230 §3.3.1, §3.3.2",
        "looks for Content-Length and Transfer-Encoding in the 101",
        |trial| {
            let (lines, _) = trial.request()?;
            let mut link = trial.dial()?;
            link.send(lines.bytes());
            let response = response(&mut link)?;
            for name in ["Content-Length", "Transfer-Encoding"] {
                ensure(!response.has(name), format!("the 101 has {name}"))?;
            }
            link.expect_quiet()
        },
    );
    book.server(
        "welcome.chooses-a-subprotocol-that-was-offered",
        "§4.2.2 (5.5)",
        "offers three subprotocols: at most one comes back, as it was written",
        |trial| {
            let offered = ["chat.example", "Super-Chat", "x"];
            let (lines, key) = trial.request()?;
            let mut link = trial.dial()?;
            let line = format!("Sec-WebSocket-Protocol: {}", offered.join(", "));
            link.send(lines.with(&line).bytes());
            let response = response(&mut link)?;
            check_101(&response, &key)?;
            let chosen: BTreeSet<&str> = response.all("Sec-WebSocket-Protocol").collect();
            match chosen.into_iter().collect::<Vec<_>>()[..] {
                [] => Ok(()),
                [one] if offered.contains(&one) => Ok(()),
                ref other => failed(format!("chose {other:?}")),
            }
        },
    );
}

/// Sends the request with these octets behind it. A client has to wait for the answer (§4.1), so that a
/// server may send one away that does not; what it must not do is lose what came.
fn early(trial: &Trial<'_>, octets: &[u8]) -> Tried<Link> {
    let (lines, key) = trial.request()?;
    let mut link = trial.dial()?;
    link.send([&lines.bytes()[..], octets].concat());
    match link.head()?.map(|head| Heard::read(&head)).transpose()? {
        Some(response) if !(400..=499).contains(&response.status()?) => {
            check_101(&response, &key)?;
            Ok(link)
        }
        _ => undecided("the server sends a client away that does not wait for the answer"),
    }
}

/// A frame of a client.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    frame(first, payload, Some([1, 2, 3, 4]))
}

fn segments(book: &mut Book) {
    book.server(
        "request.frames-that-come-with-it-are-kept",
        "§4.1",
        "sends a ping, a text and a close in the segment of the request",
        |trial| {
            let mut octets = masked(FIN | PING, b"early");
            octets.extend(masked(FIN | TEXT, b"bird"));
            octets.extend(masked(FIN | CLOSE, &[0x03, 0xE8]));
            let mut link = early(trial, &octets)?;
            link.expect_pong(b"early")?;
            link.expect_text(b"bird")?;
            link.expect_closed(Some(1000))
        },
    );
    book.server(
        "request.half-a-frame-that-comes-with-it-is-kept",
        "§4.1",
        "sends a frame's first octets in the segment of the request, the others later",
        |trial| {
            for cut in 1..8 {
                let octets = masked(FIN | TEXT, b"hello");
                let mut link = early(trial, &octets[..cut])?;
                link.send(&octets[cut..]);
                link.expect_text(b"hello")?;
            }
            Ok(())
        },
    );
    book.server(
        "request.a-large-frame-that-comes-with-it-is-kept",
        "§4.1",
        "sends 100,000 octets of a message in one write with the request",
        |trial| {
            let message = trial.noise().bytes(100_000);
            let mut link = early(trial, &masked(FIN | BINARY, &message))?;
            link.expect_binary(&message)?;
            link.goodbye()
        },
    );
    book.server(
        "request.it-may-be-cut-at-every-octet",
        "RFC 7230 §3",
        "sends the request in two pieces, cut at each place (without --full at each seventh)",
        |trial| {
            let (lines, _) = trial.request()?;
            let step = if trial.full { 1 } else { 7 };
            for cut in (1..lines.bytes().len()).step_by(step) {
                let (lines, key) = trial.request()?;
                let mut link = trial.dial()?;
                link.send_cut(&lines.bytes(), &[cut]);
                check_101(&response(&mut link)?, &key)?;
                link.echo(TEXT, b"hello")?;
            }
            Ok(())
        },
    );
    book.server(
        "request.it-may-come-octet-by-octet",
        "RFC 7230 §3",
        "sends a request an octet a segment",
        |trial| {
            let (lines, key) = trial.request()?;
            let mut link = trial.dial()?;
            let bytes = lines.bytes();
            link.send_cut(&bytes, &(1..bytes.len()).collect::<Vec<_>>());
            check_101(&response(&mut link)?, &key)?;
            link.goodbye()
        },
    );
}
