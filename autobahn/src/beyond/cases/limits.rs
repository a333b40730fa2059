//! Limits exist: what is told, sent or inflated without end is refused, and costs others nothing.

use crate::beyond::book::Book;
use crate::beyond::inflating::{Deflater, deflated};
use crate::beyond::link::{Link, Seen, Us};
use crate::beyond::trial::{Trial, Want};
use crate::beyond::verdict::{Tried, ensure, failed, undecided};
use crate::beyond::wire::{BINARY, FIN, Form, Head, PING, RSV1, TEXT};

pub(super) fn add(book: &mut Book) {
    for (name, length) in [("2-40", 1_u64 << 40), ("2-62", 1 << 62)] {
        book.both(
            format!("limit.a-frame-of-{name}-is-not-waited-for"),
            "§10.4",
            format!("tells a length of {length} and sends 1 MiB of it"),
            move |trial| {
                let mut link = trial.open()?;
                let key = link.key();
                let head = Head { first: FIN | BINARY, key, form: Form::In64, length };
                link.send(head.encode());
                link.send(vec![0; 1 << 20]);
                expect_too_big(&mut link)
            },
        );
    }
    book.both(
        "limit.a-message-without-end-is-refused",
        "§10.4",
        "sends fragments of 1 MiB until 256 of them were taken",
        |trial| {
            let mut link = trial.open()?;
            let piece = vec![b'x'; 1 << 20];
            link.send_frame(BINARY, &piece);
            let more = link.frame(0, &piece);
            for _ in 1..256 {
                // Not so far ahead that all lies in our memory.
                while link.waiting() > 4 {
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
                if let Some(seen) = glance(&mut link)? {
                    return judge(&seen);
                }
                link.send(more.as_slice());
            }
            expect_too_big(&mut link)
        },
    );
    book.both(
        "limit.a-compressed-message-that-becomes-256-mib-is-refused",
        "§10.4, RFC 7692 §8",
        "sends 256 KiB that inflate to 256 MiB of zeros, in one frame",
        |trial| bomb(trial, 1),
    );
    book.both(
        "limit.a-bomb-in-256-fragments-is-refused",
        "§10.4, RFC 7692 §8",
        "sends 256 fragments that inflate to 1 MiB each",
        |trial| bomb(trial, 256),
    );
    book.both(
        "limit.a-bomb-before-the-limit-is-a-message",
        "RFC 7692 §7.2.2",
        "sends 4 MiB of zeros compressed, a thousandth of that on the wire, and gets them back",
        |trial| {
            let mut link = trial.deflated(Want::WIDE)?;
            let zeros = vec![0; 4 << 20];
            link.send_frame(FIN | RSV1 | BINARY, &deflated(&zeros));
            link.expect_binary(&zeros)?;
            link.goodbye()
        },
    );
    book.server(
        "limit.a-head-of-1-mib-is-refused",
        "RFC 7230 §3.2.5, RFC 6585 §5",
        "sends a request with one header of 1 MiB",
        |trial| {
            let (lines, _) = trial.request()?;
            head_is_refused(trial, &lines.with(&format!("X-Long: {}", "x".repeat(1 << 20))).bytes())
        },
    );
    book.server(
        "limit.ten-thousand-headers-are-refused",
        "RFC 7230 §3.2.5, RFC 6585 §5",
        "sends a request with 10,000 headers",
        |trial| {
            let (mut lines, _) = trial.request()?;
            lines.lines.extend((0..10_000).map(|n| format!("X-Header-{n}: value {n}")));
            head_is_refused(trial, &lines.bytes())
        },
    );
    book.server(
        "limit.a-request-line-of-1-mib-is-refused",
        "RFC 7230 §3.1.1",
        "asks for a path of 1 MiB",
        |trial| {
            let (lines, _) = trial.request()?;
            let start = lines.start.replace(" HTTP", &format!("?{} HTTP", "x".repeat(1 << 20)));
            head_is_refused(trial, &lines.start(&start).bytes())
        },
    );
    book.client(
        "limit.a-response-without-end-is-given-up",
        "§10.4",
        "answers with headers until 64 MiB were taken",
        |trial| {
            let (mut link, _) = trial.receive()?;
            link.send(*b"HTTP/1.1 101 Switching Protocols\r\n");
            let many = "X-Header: value of sixty-four octets, which is what this line has.\r\n";
            let many = many.repeat(1 << 14);
            for _ in 0..64 {
                link.send(many.as_bytes());
                link.flush();
            }
            match link.next_within(std::time::Duration::from_secs(2))? {
                Seen::End => Ok(()),
                seen => failed(format!("expected the end of TCP, saw {seen}")),
            }
        },
    );
    book.both(
        "limit.pings-that-are-never-read-stop-nobody",
        "§5.5.3, §10.4",
        "sends 30,000 pings of 125 octets and reads no pong for as long; then all is well or over",
        flood,
    );
}

/// What has come, if anything.
fn glance(link: &mut Link) -> Tried<Option<Seen>> {
    match link.next_within(std::time::Duration::from_millis(1))? {
        Seen::Silence => Ok(None),
        seen => Ok(Some(seen)),
    }
}

fn judge(seen: &Seen) -> Tried {
    match seen {
        // 1009 is what it is for; memory kept by other words is kept as well.
        Seen::Close(Some(1009 | 1008 | 1011 | 1002), _) | Seen::End => Ok(()),
        Seen::Close(code, _) => failed(format!("expected a failure with 1009, saw close {code:?}")),
        Seen::Silence => failed("it is still waiting for the rest"),
        seen => failed(format!("there is no limit: {seen}")),
    }
}

fn expect_too_big(link: &mut Link) -> Tried {
    let seen = link.next()?;
    judge(&seen)
}

fn bomb(trial: &Trial<'_>, frames: usize) -> Tried {
    let mut link = trial.deflated(Want::WIDE)?;
    let mebibyte = Deflater::new(9).message(&vec![0; 1 << 20], false);
    // Each piece is a whole block that ends in a flush, so any number makes a message.
    let piece = [&mebibyte[..], &[0, 0, 0xFF, 0xFF]].concat();
    let mut bytes = Vec::new();
    let in_each = 256 / frames;
    for n in 0..frames {
        let first = if n == 0 { RSV1 | BINARY } else { 0 };
        let fin = if n + 1 == frames { FIN } else { 0 };
        bytes.extend(link.frame(fin | first, &piece.repeat(in_each)));
    }
    link.send(bytes);
    let begin = std::time::Instant::now();
    loop {
        match link.next()? {
            Seen::Silence if begin.elapsed().as_secs() < 20 => {}
            seen => return judge(&seen),
        }
    }
}

fn head_is_refused(trial: &Trial<'_>, bytes: &[u8]) -> Tried {
    let mut link = trial.dial()?;
    link.send(bytes);
    match link.head() {
        Ok(None) => Ok(()),
        Ok(Some(head)) => {
            let status = crate::beyond::http::Heard::read(&head)?.status()?;
            ensure((400..=599).contains(&status), format!("it was answered with {status}"))
        }
        Err(wrong) => Err(wrong),
    }
}

fn flood(trial: &Trial<'_>) -> Tried {
    let mut link = trial.open()?;
    let mut pings = Vec::new();
    for n in 0..30_000_u16 {
        let payload = [&n.to_be_bytes()[..], &[b'p'; 123]].concat();
        pings.extend(link.frame(FIN | PING, &payload));
    }
    link.send(pings);
    std::thread::sleep(std::time::Duration::from_millis(500));
    if trial.us() == Us::Client {
        // Nobody else waits for it.
        trial.open()?.goodbye()?;
    }
    link.send_text(b"end");
    let (mut last, mut end) = (None, false);
    loop {
        match link.next()? {
            Seen::Pong(it) => {
                let n = it.first_chunk::<2>().map(|it| u16::from_be_bytes(*it));
                ensure(n > last, format!("pong {n:?} after {last:?}"))?;
                last = n;
            }
            Seen::Text(it) if it == b"end" => end = true,
            Seen::End | Seen::Close(..) if !end => {
                return undecided("the testee gave the flood up");
            }
            seen => return failed(format!("expected pongs and a text, saw {seen}")),
        }
        if end && last == Some(29_999) {
            link.send_text(b"more");
            return link.expect_same(TEXT, b"more");
        }
    }
}
