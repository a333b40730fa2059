//! TCP as it is: many at once, some that say nothing, some that read nothing, some that are cut.

use std::thread::sleep;
use std::time::Duration;

use crate::beyond::book::Book;
use crate::beyond::link::{Link, Seen};
use crate::beyond::trial::Trial;
use crate::beyond::verdict::{Tried, ensure, failed, undecided};
use crate::beyond::wire::{BINARY, FIN, TEXT};

pub(super) fn add(book: &mut Book) {
    book.server(
        "tcp.two-hundred-at-once",
        "§7.2.2, §10.4",
        "opens 200 connections, then each says something and gets it back, in turns",
        |trial| {
            let mut links = Vec::new();
            for _ in 0..200 {
                links.push(trial.open()?);
            }
            for round in 0..3 {
                for (n, link) in links.iter_mut().enumerate() {
                    link.send_text(format!("{n} in round {round}").as_bytes());
                }
                for (n, link) in links.iter_mut().enumerate() {
                    link.expect_text(format!("{n} in round {round}").as_bytes())?;
                }
            }
            links.iter_mut().try_for_each(Link::close)
        },
    );
    book.server(
        "tcp.the-silent-stop-nobody",
        "§10.4",
        "opens 20 connections that send nothing or half a request; another one works",
        |trial| {
            let mut silent = Vec::new();
            for n in 0..20 {
                let mut link = trial.dial()?;
                let (lines, _) = trial.request()?;
                link.send(&lines.bytes()[..n * 5]);
                silent.push(link);
            }
            trial.open()?.goodbye()
        },
    );
    book.server(
        "tcp.half-a-frame-stops-nobody",
        "§10.4",
        "leaves 20 connections in the middle of a frame; another one works, then all of them",
        |trial| {
            let mut halves = Vec::new();
            for _ in 0..20 {
                let mut link = trial.open()?;
                let bytes = link.frame(FIN | TEXT, b"hello");
                let (now, later) = bytes.split_at(8);
                link.send(now);
                halves.push((link, later.to_vec()));
            }
            trial.open()?.goodbye()?;
            for (link, later) in &mut halves {
                link.send(later.as_slice());
                link.expect_text(b"hello")?;
            }
            Ok(())
        },
    );
    book.server(
        "tcp.who-does-not-read-stops-nobody",
        "§10.4",
        "sends 64 messages of 256 KiB without reading; another one works; then all come, or the end",
        slow_reader,
    );
    book.client(
        "tcp.a-server-that-reads-late-gets-everything",
        "§5.6",
        "sends 64 messages of 256 KiB without reading for a while; then all come",
        slow_reader,
    );
    for (name, what, cut) in CUTS {
        book.server(
            format!("tcp.a-reset-{name}-is-survived"),
            "§7.1.7",
            format!("resets 20 connections {what}; another one works"),
            move |trial| {
                for _ in 0..20 {
                    let mut link =
                        if name == "inside-the-request" { trial.dial()? } else { trial.open()? };
                    cut(trial, &mut link)?;
                    link.reset();
                }
                trial.open()?.goodbye()
            },
        );
        if name != "inside-the-request" {
            book.client(
                format!("tcp.a-reset-{name}-is-survived"),
                "§7.1.7",
                format!("resets the connection {what}: the client ends, and not by a signal"),
                move |trial| {
                    let mut link = trial.open()?;
                    cut(trial, &mut link)?;
                    let mut visitor = link.visitor.take();
                    link.reset();
                    ends_by_itself(visitor.as_mut().and_then(|it| it.end()))
                },
            );
        }
    }
    book.client(
        "tcp.the-end-before-the-response-is-survived",
        "§4.1",
        "hangs up where a response was due: the client ends, and not by a signal",
        |trial| {
            let (mut link, _) = trial.receive()?;
            let mut visitor = link.visitor.take();
            drop(link);
            ends_by_itself(visitor.as_mut().and_then(|it| it.end()))
        },
    );
    book.both(
        "tcp.after-a-pause-it-goes-on",
        "§5.5.2",
        "is silent for a second between two messages",
        |trial| {
            let mut link = trial.open()?;
            link.echo(TEXT, b"before")?;
            sleep(Duration::from_secs(1));
            link.goodbye()
        },
    );
}

type Cut = (&'static str, &'static str, fn(&Trial<'_>, &mut Link) -> Tried);

const CUTS: [Cut; 5] = [
    ("inside-the-request", "in the middle of the request", |trial, link| {
        let (lines, _) = trial.request()?;
        link.send(&lines.bytes()[..50]);
        Ok(())
    }),
    ("at-rest", "right after they opened", |_, _| Ok(())),
    ("inside-a-frame", "in the middle of a frame", |_, link| {
        let bytes = link.frame(FIN | BINARY, &[7; 1000]);
        link.send(&bytes[..500]);
        Ok(())
    }),
    ("inside-a-message", "between two fragments", |_, link| {
        link.send_frame(TEXT, b"half");
        Ok(())
    }),
    ("with-echoes-on-their-way", "while echoes are on their way", |_, link| {
        for _ in 0..10 {
            link.send_frame(FIN | BINARY, &[7; 30_000]);
        }
        Ok(())
    }),
];

fn ends_by_itself(status: Option<std::process::ExitStatus>) -> Tried {
    use std::os::unix::process::ExitStatusExt as _;
    match status {
        None => failed("the client goes on"),
        Some(status) => {
            ensure(status.signal().is_none(), format!("the client ended by a signal: {status}"))
        }
    }
}

fn slow_reader(trial: &Trial<'_>) -> Tried {
    let mut link = trial.open()?;
    let messages: Vec<Vec<u8>> = (0..64).map(|_| trial.noise().bytes(256 << 10)).collect();
    for message in &messages {
        link.send_frame(FIN | BINARY, message);
    }
    sleep(Duration::from_millis(500));
    if trial.place().is_ok() {
        trial.open()?.goodbye()?;
    }
    for (n, message) in messages.iter().enumerate() {
        match link.next()? {
            Seen::Binary(it) if it == *message => {}
            Seen::End | Seen::Close(..) => {
                return undecided(format!("the testee gave up after {n} messages"));
            }
            seen => return failed(format!("expected message {n}, saw {seen}")),
        }
    }
    link.goodbye()
}
