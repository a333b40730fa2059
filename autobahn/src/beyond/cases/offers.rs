//! What a server answers to offers of permessage-deflate, checked against the offer (RFC 7692 §5, §7.1).

use crate::beyond::book::Book;
use crate::beyond::http::{Extension, Heard};
use crate::beyond::link::{Agreed, Link};
use crate::beyond::trial::{DEFLATE, Testee, Trial, check_101, response};
use crate::beyond::verdict::{Tried, ensure, failed, undecided};
use crate::beyond::wire::{BINARY, TEXT};

const SERVER_FRESH: &str = "server_no_context_takeover";
const CLIENT_FRESH: &str = "client_no_context_takeover";
const SERVER_BITS: &str = "server_max_window_bits";
const CLIENT_BITS: &str = "client_max_window_bits";

pub(super) fn add(book: &mut Book) {
    good(book);
    lists(book);
    bad(book);
}

/// What an offer came to.
enum Asked {
    Agreed(Box<Link>, Extension),
    Declined(Box<Link>),
    /// The whole request.
    Refused,
}

fn ask(trial: &Trial<'_>, lines: &[&str]) -> Tried<Asked> {
    let (mut request, key) = trial.request()?;
    for line in lines {
        request = request.with(&format!("Sec-WebSocket-Extensions: {line}"));
    }
    let mut link = trial.dial()?;
    link.send(request.bytes());
    let response: Heard = response(&mut link)?;
    if (400..=499).contains(&response.status()?) {
        return Ok(Asked::Refused);
    }
    check_101(&response, &key)?;
    let answers = response.extensions()?;
    match answers.as_slice() {
        [] => Ok(Asked::Declined(Box::new(link))),
        [answer] if answer.name == DEFLATE => {
            link.agreed = Some(Agreed {
                our_takeover: !answer.has(CLIENT_FRESH),
                their_takeover: !answer.has(SERVER_FRESH),
                our_bits: answer.bits(CLIENT_BITS).unwrap_or(15),
                their_bits: answer.bits(SERVER_BITS).unwrap_or(15),
            });
            Ok(Asked::Agreed(Box::new(link), answer.clone()))
        }
        other => failed(format!("the answer to {lines:?} is {other:?}")),
    }
}

/// §7.1: whether the answer is one to this offer.
fn fits(offer: &Extension, answer: &Extension) -> Tried {
    let mut seen: Vec<&str> = Vec::new();
    for (name, value) in &answer.parameters {
        ensure(!seen.contains(&name.as_str()), format!("{name} comes twice in the answer"))?;
        seen.push(name);
        match name.as_str() {
            SERVER_FRESH | CLIENT_FRESH => {
                ensure(value.is_none(), format!("{name} has a value in the answer"))?;
            }
            SERVER_BITS => {
                let Some(bits) = answer.bits(SERVER_BITS) else {
                    return failed(format!("{name} is answered with {value:?}"));
                };
                let most = offer.bits(SERVER_BITS).unwrap_or(15);
                ensure(bits <= most, format!("{name}={bits} was answered to {most}"))?;
            }
            CLIENT_BITS => {
                ensure(offer.has(CLIENT_BITS), format!("{name} is answered and was not offered"))?;
                let Some(bits) = answer.bits(CLIENT_BITS) else {
                    return failed(format!("{name} is answered with {value:?}"));
                };
                let most = offer.bits(CLIENT_BITS).unwrap_or(15);
                ensure(bits <= most, format!("{name}={bits} was answered to {most}"))?;
            }
            _ => return failed(format!("the answer has the parameter {name}")),
        }
    }
    for name in [SERVER_FRESH, SERVER_BITS] {
        ensure(
            !offer.has(name) || answer.has(name),
            format!("{name} was offered and is not confirmed: {answer:?}"),
        )?;
    }
    Ok(())
}

/// Offers this, checks the answer, and talks by what was agreed.
fn check(trial: &Trial<'_>, offer: &str) -> Tried {
    let head = Heard::read(format!("X\r\nSec-WebSocket-Extensions: {offer}").as_bytes())?;
    let offers = head.extensions()?;
    match ask(trial, &[offer])? {
        Asked::Refused => failed("a good offer had the request refused"),
        Asked::Declined(mut link) => {
            link.goodbye()?;
            undecided("declined")
        }
        Asked::Agreed(mut link, answer) => {
            let Some(offer) = offers.first() else { return failed("there is no offer") };
            fits(offer, &answer)?;
            if offer.has(CLIENT_FRESH)
                && let Some(agreed) = &mut link.agreed
            {
                agreed.our_takeover = false;
            }
            talk(trial, &mut link)
        }
    }
}

/// Messages whose echoes would break what was agreed, if it were not kept.
fn talk(trial: &Trial<'_>, link: &mut Link) -> Tried {
    let piece = trial.noise().letters(1500);
    let far = [&piece[..], &vec![b'.'; 30_000], &piece].concat();
    for _ in 0..2 {
        link.echo_compressed(TEXT, &piece.repeat(6))?;
        link.echo(TEXT, &far)?;
        link.echo_compressed(BINARY, &trial.noise().bytes(300))?;
    }
    link.goodbye()
}

fn good(book: &mut Book) {
    book.server("offer.plain", "RFC 7692 §7.1", "offers permessage-deflate", |trial| {
        check(trial, DEFLATE)
    });
    for name in [SERVER_FRESH, CLIENT_FRESH, CLIENT_BITS] {
        book.server(
            format!("offer.{}", name.replace('_', "-")),
            "RFC 7692 §7.1",
            format!("offers {DEFLATE}; {name}"),
            move |trial| check(trial, &format!("{DEFLATE}; {name}")),
        );
    }
    for bits in 8..=15 {
        for name in [SERVER_BITS, CLIENT_BITS] {
            book.server(
                format!("offer.{}-of-{bits}", name.replace('_', "-")),
                if name == SERVER_BITS { "RFC 7692 §7.1.2.1" } else { "RFC 7692 §7.1.2.2" },
                format!("offers {name}={bits}: confirmed with no more, or declined"),
                move |trial| check(trial, &format!("{DEFLATE}; {name}={bits}")),
            );
        }
    }
    book.server(
        "offer.every-set-of-parameters",
        "RFC 7692 §7.1",
        "offers each of the 24 sets of parameters, windows of 12 and 10 bits",
        |trial| {
            let mut agreed = 0;
            for set in 0..24 {
                let mut offer = DEFLATE.to_owned();
                if set & 1 != 0 {
                    offer += &format!("; {SERVER_FRESH}");
                }
                if set & 2 != 0 {
                    offer += &format!("; {CLIENT_FRESH}");
                }
                if set & 4 != 0 {
                    offer += &format!("; {SERVER_BITS}=12");
                }
                match set / 8 {
                    0 => {}
                    1 => offer += &format!("; {CLIENT_BITS}"),
                    _ => offer += &format!("; {CLIENT_BITS}=10"),
                }
                match check(trial, &offer) {
                    Ok(()) => agreed += 1,
                    Err(super::super::verdict::Wrong::Undecided(_)) => {}
                    Err(super::super::verdict::Wrong::Failed(why)) => {
                        return failed(format!("{offer}: {why}"));
                    }
                }
            }
            if agreed == 0 { undecided("all were declined") } else { Ok(()) }
        },
    );
    book.server(
        "offer.in-another-order-and-without-spaces",
        "§9.1",
        "offers client_max_window_bits;server_max_window_bits=11 and so on without spaces",
        |trial| {
            check(
                trial,
                &format!("{DEFLATE};{CLIENT_BITS};{SERVER_BITS}=11;{CLIENT_FRESH};{SERVER_FRESH}"),
            )
        },
    );
    book.server(
        "offer.a-quoted-value-is-the-value",
        "§9.1",
        "offers server_max_window_bits=\"10\"",
        |trial| check(trial, &format!("{DEFLATE}; {SERVER_BITS}=\"10\"")),
    );
    book.server(
        "offer.to-a-server-without-deflate-is-declined",
        "RFC 7692 §5",
        "offers to the same server with compression off: no answer, no compressed frame",
        |trial| {
            let Testee::Server { plain: Some(plain), .. } = trial.testee else {
                return undecided("there is no such server");
            };
            let mut link = trial.open_at(plain, Some(DEFLATE))?;
            ensure(link.agreed.is_none(), "it was accepted")?;
            link.echo(TEXT, &[b'a'; 10_000])?;
            link.goodbye()
        },
    );
}

fn lists(book: &mut Book) {
    let second: [(&str, &str, String); 5] = [
        (
            "a-bad-offer-and-a-good-one",
            "16 window bits",
            format!("{DEFLATE}; {SERVER_BITS}=16, {DEFLATE}"),
        ),
        ("an-unknown-parameter-first", "x=1 first", format!("{DEFLATE}; x=1, {DEFLATE}")),
        (
            "an-unknown-extension-first",
            "an unknown extension first",
            format!("x-other; a, {DEFLATE}"),
        ),
        (
            "ten-bad-ones-and-a-good-one",
            "ten bad offers first",
            format!("{}{DEFLATE}", format!("{DEFLATE}; {CLIENT_BITS}=7, ").repeat(10)),
        ),
        ("two-good-ones", "two good offers", format!("{DEFLATE}, {DEFLATE}")),
    ];
    for (name, what, offer) in second {
        book.server(
            format!("offer.{name}"),
            "RFC 7692 §5.1",
            format!("offers {what}: the answer, if there is one, is to the plain offer"),
            move |trial| second_is_taken(trial, &[&offer]),
        );
    }
    book.server(
        "offer.on-two-lines",
        "§9.1",
        "offers an unknown extension and permessage-deflate on two lines",
        |trial| second_is_taken(trial, &["x-other", DEFLATE]),
    );
    book.server(
        "offer.the-first-good-one-or-the-second-not-a-mixture",
        "RFC 7692 §5.1",
        "offers server_max_window_bits=10 and, second, client_max_window_bits: fits the one or the other",
        |trial| {
            let offer = format!("{DEFLATE}; {SERVER_BITS}=10, {DEFLATE}; {CLIENT_BITS}");
            let read = |it: &str| -> Tried<Vec<Extension>> {
                Heard::read(format!("X\r\nSec-WebSocket-Extensions: {it}").as_bytes())?.extensions()
            };
            let offers = read(&offer)?;
            match ask(trial, &[&offer])? {
                Asked::Refused => failed("a good offer had the request refused"),
                Asked::Declined(_) => undecided("declined"),
                Asked::Agreed(mut link, answer) => {
                    let mut why = Ok(());
                    for offer in &offers {
                        why = fits(offer, &answer);
                        if why.is_ok() {
                            break;
                        }
                    }
                    why?;
                    talk(trial, &mut link)
                }
            }
        },
    );
}

fn second_is_taken(trial: &Trial<'_>, lines: &[&str]) -> Tried {
    let plain = Extension { name: DEFLATE.to_owned(), parameters: Vec::new() };
    match ask(trial, lines)? {
        Asked::Refused => {
            trial.note("refuses the whole request for an offer it has to decline");
            Ok(())
        }
        Asked::Declined(mut link) => {
            link.goodbye()?;
            undecided("declined")
        }
        Asked::Agreed(mut link, answer) => {
            fits(&plain, &answer)?;
            talk(trial, &mut link)
        }
    }
}

fn bad(book: &mut Book) {
    let cases: [(&str, &str); 30] = [
        ("server-bits-of-7", "server_max_window_bits=7"),
        ("server-bits-of-16", "server_max_window_bits=16"),
        ("server-bits-of-0", "server_max_window_bits=0"),
        ("server-bits-of-010", "server_max_window_bits=010"),
        ("server-bits-of-08", "server_max_window_bits=08"),
        ("server-bits-of-plus-10", "server_max_window_bits=+10"),
        ("server-bits-of-minus-10", "server_max_window_bits=-10"),
        ("server-bits-of-10-5", "server_max_window_bits=10.5"),
        ("server-bits-of-hex", "server_max_window_bits=0xa"),
        ("server-bits-of-ten", "server_max_window_bits=ten"),
        ("server-bits-of-266", "server_max_window_bits=266"),
        ("server-bits-of-2-64-and-10", "server_max_window_bits=18446744073709551626"),
        ("server-bits-without-a-value", "server_max_window_bits"),
        ("server-bits-twice", "server_max_window_bits=10; server_max_window_bits=10"),
        ("client-bits-of-7", "client_max_window_bits=7"),
        ("client-bits-of-16", "client_max_window_bits=16"),
        ("client-bits-of-0", "client_max_window_bits=0"),
        ("client-bits-of-09", "client_max_window_bits=09"),
        ("client-bits-of-ten", "client_max_window_bits=ten"),
        ("client-bits-twice", "client_max_window_bits; client_max_window_bits"),
        ("client-bits-twice-and-different", "client_max_window_bits=10; client_max_window_bits=11"),
        ("server-takeover-with-a-value", "server_no_context_takeover=1"),
        ("server-takeover-with-true", "server_no_context_takeover=true"),
        ("client-takeover-with-a-value", "client_no_context_takeover=0"),
        ("server-takeover-twice", "server_no_context_takeover; server_no_context_takeover"),
        ("client-takeover-twice", "client_no_context_takeover; client_no_context_takeover"),
        ("an-unknown-parameter", "x"),
        ("an-unknown-parameter-with-a-value", "level=9"),
        ("a-known-parameter-in-capitals", "SERVER_MAX_WINDOW_BITS=10; Q"),
        ("a-parameter-of-another-draft", "c2s_max_window_bits"),
    ];
    for (name, parameters) in cases {
        book.server(
            format!("offer.{name}-is-declined"),
            "RFC 7692 §7.1",
            format!("offers {DEFLATE}; {parameters}"),
            move |trial| match ask(trial, &[&format!("{DEFLATE}; {parameters}")])? {
                Asked::Refused => {
                    trial.note("refuses the whole request for an offer it has to decline");
                    Ok(())
                }
                Asked::Declined(mut link) => link.goodbye(),
                Asked::Agreed(_, answer) => failed(format!("it was accepted: {answer:?}")),
            },
        );
    }
    for (name, offer) in [
        ("x-webkit-deflate-frame", "x-webkit-deflate-frame"),
        ("permessage-bzip2", "permessage-bzip2"),
        ("a-name-that-begins-so", "permessage-deflate2"),
        ("permessage-compress", "permessage-compress; method=deflate"),
    ] {
        book.server(
            format!("offer.{name}-is-not-permessage-deflate"),
            "§9.1",
            format!("offers {offer}"),
            move |trial| match ask(trial, &[offer])? {
                Asked::Refused => failed("an unknown extension had the request refused"),
                Asked::Declined(mut link) => link.goodbye(),
                Asked::Agreed(_, answer) => failed(format!("it was accepted: {answer:?}")),
            },
        );
    }
}
