//! Answers to a client's offer of permessage-deflate, good and bad (RFC 7692 §7.1).

use super::responses::expect_refused;
use crate::beyond::book::Book;
use crate::beyond::http::{Extension, Heard};
use crate::beyond::link::{Agreed, Link};
use crate::beyond::trial::{DEFLATE, Trial, welcome};
use crate::beyond::verdict::{Tried, undecided};
use crate::beyond::wire::{BINARY, TEXT};

const SERVER_FRESH: &str = "server_no_context_takeover";
const SERVER_BITS: &str = "server_max_window_bits";
const CLIENT_BITS: &str = "client_max_window_bits";

/// A visit of a client that offers permessage-deflate, and its offer.
fn offered(trial: &Trial<'_>) -> Tried<(Link, Heard, Extension)> {
    let (link, request) = trial.receive()?;
    let found = request.extensions()?.into_iter().find(|it| it.name == DEFLATE);
    match found {
        Some(offer) => Ok((link, request, offer)),
        None => undecided("the client did not offer permessage-deflate"),
    }
}

/// What a server has to confirm of this offer.
fn confirmed(offer: &Extension) -> String {
    let mut answer = DEFLATE.to_owned();
    if offer.has(SERVER_FRESH) {
        answer += &format!("; {SERVER_FRESH}");
    }
    if let Some(bits) = offer.bits(SERVER_BITS) {
        answer += &format!("; {SERVER_BITS}={bits}");
    }
    answer
}

pub(super) fn add(book: &mut Book) {
    bad(book);
    unconfirmed(book);
    good(book);
}

fn bad(book: &mut Book) {
    let cases: [(&str, &str); 23] = [
        ("server-bits-of-7", "server_max_window_bits=7"),
        ("server-bits-of-16", "server_max_window_bits=16"),
        ("server-bits-of-0", "server_max_window_bits=0"),
        ("server-bits-of-010", "server_max_window_bits=010"),
        ("server-bits-of-ten", "server_max_window_bits=ten"),
        ("server-bits-of-plus-10", "server_max_window_bits=+10"),
        ("server-bits-without-a-value", "server_max_window_bits"),
        ("server-bits-twice", "server_max_window_bits=10; server_max_window_bits=10"),
        ("client-bits-of-7", "client_max_window_bits=7"),
        ("client-bits-of-16", "client_max_window_bits=16"),
        ("client-bits-of-0", "client_max_window_bits=0"),
        ("client-bits-of-09", "client_max_window_bits=09"),
        ("client-bits-of-266", "client_max_window_bits=266"),
        ("client-bits-without-a-value", "client_max_window_bits"),
        ("client-bits-twice", "client_max_window_bits=10; client_max_window_bits=10"),
        ("server-takeover-with-a-value", "server_no_context_takeover=1"),
        ("client-takeover-with-a-value", "client_no_context_takeover=1"),
        ("client-takeover-with-true", "client_no_context_takeover=true"),
        ("server-takeover-twice", "server_no_context_takeover; server_no_context_takeover"),
        ("client-takeover-twice", "client_no_context_takeover; client_no_context_takeover"),
        ("an-unknown-parameter", "x"),
        ("an-unknown-parameter-with-a-value", "level=9"),
        ("a-parameter-of-another-draft", "s2c_no_context_takeover"),
    ];
    for (name, parameters) in cases {
        book.client(
            format!("agree.{name}-is-refused"),
            "RFC 7692 §7.1",
            format!("answers with {DEFLATE}; {parameters}"),
            move |trial| {
                let (mut link, request, offer) = offered(trial)?;
                let mut answer = confirmed(&offer);
                for own in [SERVER_FRESH, SERVER_BITS] {
                    // Not twice by accident.
                    if parameters.starts_with(own) {
                        answer = DEFLATE.to_owned();
                    }
                }
                let line = format!("Sec-WebSocket-Extensions: {answer}; {parameters}");
                let head = welcome(&request)?.with(&line).bytes();
                expect_refused(trial, &mut link, &head)
            },
        );
    }
    for (name, twice) in [("on-one-line", ", "), ("on-two-lines", "\r\nSec-WebSocket-Extensions: ")]
    {
        book.client(
            format!("agree.to-it-twice-{name}-is-refused"),
            "RFC 7692 §5, §6455 §9.1",
            "agrees on permessage-deflate twice",
            move |trial| {
                let (mut link, request, offer) = offered(trial)?;
                let answer = confirmed(&offer);
                let line = format!("Sec-WebSocket-Extensions: {answer}{twice}{answer}");
                let head = welcome(&request)?.with(&line).bytes();
                expect_refused(trial, &mut link, &head)
            },
        );
    }
}

fn unconfirmed(book: &mut Book) {
    book.client(
        "agree.without-confirming-no-takeover-is-refused",
        "RFC 7692 §7.1.1.1",
        "leaves server_no_context_takeover out, if the client asked for it",
        |trial| {
            let (mut link, request, offer) = offered(trial)?;
            if !offer.has(SERVER_FRESH) {
                return undecided("the client did not ask for it");
            }
            let line = format!("Sec-WebSocket-Extensions: {DEFLATE}");
            expect_refused(trial, &mut link, &welcome(&request)?.with(&line).bytes())
        },
    );
    book.client(
        "agree.without-confirming-the-window-is-refused",
        "RFC 7692 §7.1.2.1",
        "leaves server_max_window_bits out, if the client asked for it",
        |trial| {
            let (mut link, request, offer) = offered(trial)?;
            if !offer.has(SERVER_BITS) {
                return undecided("the client did not ask for it");
            }
            let line = format!("Sec-WebSocket-Extensions: {DEFLATE}; {SERVER_FRESH}");
            expect_refused(trial, &mut link, &welcome(&request)?.with(&line).bytes())
        },
    );
    book.client(
        "agree.to-a-window-that-was-not-offered-is-refused",
        "RFC 7692 §7.1.2.2",
        "answers client_max_window_bits=10, if the client did not offer it",
        |trial| {
            let (mut link, request, offer) = offered(trial)?;
            if offer.has(CLIENT_BITS) {
                return undecided("the client offers it");
            }
            let line = format!("Sec-WebSocket-Extensions: {}; {CLIENT_BITS}=10", confirmed(&offer));
            expect_refused(trial, &mut link, &welcome(&request)?.with(&line).bytes())
        },
    );
    book.client(
        "agree.to-none-is-taken",
        "RFC 7692 §5",
        "declines: nothing comes compressed",
        |trial| {
            let (mut link, request, _) = offered(trial)?;
            link.send(welcome(&request)?.bytes());
            link.echo(TEXT, &[b'a'; 10_000])?;
            link.goodbye()
        },
    );
}

fn good(book: &mut Book) {
    for bits in 8..=15_u8 {
        book.client(
            format!("agree.server-bits-of-{bits}-are-taken"),
            "RFC 7692 §7.1.2.1",
            format!("limits its own window to {bits} bits, unasked"),
            move |trial| {
                let (link, request, offer) = offered(trial)?;
                if offer.bits(SERVER_BITS).is_some_and(|most| most < bits) {
                    return undecided("the client wants a smaller window");
                }
                let fresh =
                    if offer.has(SERVER_FRESH) { "; server_no_context_takeover" } else { "" };
                let answer = format!("{DEFLATE}; {SERVER_BITS}={bits}{fresh}");
                let agreed = Agreed {
                    our_takeover: fresh.is_empty(),
                    their_takeover: true,
                    our_bits: bits,
                    their_bits: 15,
                };
                talk(trial, link, &request, &answer, agreed)
            },
        );
        book.client(
            format!("agree.client-bits-of-{bits}-are-kept"),
            "RFC 7692 §7.1.2.2",
            format!("limits the client's window to {bits} bits, if it offers that"),
            move |trial| {
                let (mut link, request, offer) = offered(trial)?;
                if !offer.has(CLIENT_BITS)
                    || offer.bits(CLIENT_BITS).is_some_and(|most| most < bits)
                {
                    return undecided("the client did not offer it");
                }
                let answer = format!("{}; {CLIENT_BITS}={bits}", confirmed(&offer));
                let agreed = Agreed {
                    our_takeover: !offer.has(SERVER_FRESH),
                    their_takeover: true,
                    our_bits: offer.bits(SERVER_BITS).unwrap_or(15),
                    their_bits: bits,
                };
                if bits == 8 {
                    // Legal, and more than a client on zlib can do.
                    let line = format!("Sec-WebSocket-Extensions: {answer}");
                    let head = welcome(&request)?.with(&line).bytes();
                    if expect_refused(trial, &mut link, &head).is_ok() {
                        return undecided("a client may refuse a window it cannot keep");
                    }
                    let (link, request, _) = offered(trial)?;
                    return talk(trial, link, &request, &answer, agreed);
                }
                talk(trial, link, &request, &answer, agreed)
            },
        );
    }
    book.client(
        "agree.client-no-context-takeover-is-kept-unasked",
        "RFC 7692 §7.1.1.2",
        "answers client_no_context_takeover, offered or not",
        |trial| {
            let (link, request, offer) = offered(trial)?;
            let answer = format!("{}; client_no_context_takeover", confirmed(&offer));
            let agreed = Agreed {
                our_takeover: !offer.has(SERVER_FRESH),
                their_takeover: false,
                our_bits: offer.bits(SERVER_BITS).unwrap_or(15),
                their_bits: 15,
            };
            talk(trial, link, &request, &answer, agreed)
        },
    );
    book.client(
        "agree.a-quoted-value-is-the-value",
        "§9.1",
        "answers server_max_window_bits=\"12\"",
        |trial| {
            let (link, request, offer) = offered(trial)?;
            let fresh = if offer.has(SERVER_FRESH) { "; server_no_context_takeover" } else { "" };
            let answer = format!("{DEFLATE}; {SERVER_BITS}=\"12\"{fresh}");
            let agreed = Agreed {
                our_takeover: fresh.is_empty(),
                their_takeover: true,
                our_bits: 12,
                their_bits: 15,
            };
            talk(trial, link, &request, &answer, agreed)
        },
    );
}

/// Opens in this way and talks by what was agreed.
fn talk(trial: &Trial<'_>, mut link: Link, request: &Heard, answer: &str, agreed: Agreed) -> Tried {
    let line = format!("Sec-WebSocket-Extensions: {answer}");
    link.send(welcome(request)?.with(&line).bytes());
    link.agreed = Some(agreed);
    let piece = trial.noise().letters(1500);
    let far = [&piece[..], &vec![b'.'; 30_000], &piece].concat();
    for _ in 0..2 {
        link.echo_compressed(TEXT, &piece.repeat(6))?;
        link.echo(TEXT, &far)?;
        link.echo_compressed(BINARY, &trial.noise().bytes(300))?;
    }
    link.goodbye()
}
