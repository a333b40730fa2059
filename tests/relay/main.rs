//! The hub and its dialects, from outside: what is called, and what it wants done.

#![cfg(feature = "relay")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod chat;
mod chat_errors;
mod chat_rooms;
mod cluster;
mod dialects;
mod golden;
mod hostile;
mod memory;
mod rooms;
mod sha256;
mod simulation;
mod world;

use sockeye::relay::{Config, ConnId, Dialect, Effect, Hub, Kind, Opening};
use std::fs;
use std::path::Path;
use std::time::Duration;

/// A message on its way to somebody.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Sent {
    to: u64,
    kind: Kind,
    text: String,
}

fn text(to: u64, text: &str) -> Sent {
    Sent { to, kind: Kind::Text, text: text.to_owned() }
}

fn binary(to: u64, text: &str) -> Sent {
    Sent { to, kind: Kind::Binary, text: text.to_owned() }
}

/// A hub whose effects come back as what each receiver gets, in order.
struct Chat {
    hub: Hub,
    now: Duration,
}

impl Chat {
    fn new() -> Self {
        Self::with(Config::default())
    }

    fn with(config: Config) -> Self {
        Self { hub: Hub::new(config), now: Duration::ZERO }
    }

    /// Connections 1, 2, 3... of one dialect.
    fn of(dialect: Dialect, connections: u64) -> Self {
        let mut chat = Self::new();
        for conn in 1..=connections {
            chat.open(conn, dialect, None);
        }
        chat
    }

    fn open(&mut self, conn: u64, dialect: Dialect, room: Option<&str>) -> Vec<Sent> {
        let opening = opening(conn, dialect, room);
        let mut effects = Vec::new();
        self.hub.open(ConnId(conn), &opening, &mut effects).unwrap();
        sent(&effects)
    }

    fn message(&mut self, conn: u64, kind: Kind, bytes: &[u8]) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.hub.message(ConnId(conn), kind, bytes, self.now, &mut effects);
        with_echoes(&mut effects, kind, bytes);
        effects
    }

    fn text(&mut self, conn: u64, message: &str) -> Vec<Sent> {
        sent(&self.message(conn, Kind::Text, message.as_bytes()))
    }

    fn binary(&mut self, conn: u64, message: &[u8]) -> Vec<Sent> {
        sent(&self.message(conn, Kind::Binary, message))
    }

    fn close(&mut self, conn: u64) {
        let mut effects = Vec::new();
        self.hub.close(ConnId(conn), &mut effects);
        assert_eq!(sent(&effects), []);
    }
}

/// Connection n comes from port 50000 + n.
fn opening(conn: u64, dialect: Dialect, room: Option<&str>) -> Opening<'_> {
    let remote_port = u16::try_from(50_000 + conn).unwrap();
    Opening { dialect, room, user: None, remote_addr: "::ffff:127.0.0.1", remote_port, kept: false }
}

/// Those whose clients need no broker.
const PLAIN: [Dialect; 5] =
    [Dialect::Echo, Dialect::Broadcast, Dialect::Directory, Dialect::Named, Dialect::Im];

/// What is to be sent back as it came, as a message like all others.
fn with_echoes(effects: &mut [Effect], kind: Kind, bytes: &[u8]) {
    for effect in effects {
        if let Effect::Back { to } = *effect {
            *effect = Effect::Send { to, message: sockeye::relay::Shared::new(kind, bytes) };
        }
    }
}

fn sent(effects: &[Effect]) -> Vec<Sent> {
    let mut all = Vec::new();
    for effect in effects {
        let (receivers, message) = match effect {
            Effect::Send { to, message } => (std::slice::from_ref(to), message),
            Effect::SendMany { to, message } => {
                assert!(to.len() > 1, "{to:?} are not many");
                (to.as_slice(), message)
            }
            Effect::Follow(_) | Effect::Unfollow(_) => continue,
            _ => panic!("{effect:?}"),
        };
        let text = String::from_utf8_lossy(&message.bytes);
        all.extend(receivers.iter().map(|to| Sent {
            to: to.0,
            kind: message.kind,
            text: text.clone().into_owned(),
        }));
    }
    all
}

#[test]
fn the_relay_names_no_clock_io_thread_randomness_or_unordered_map() {
    fn read(below: &Path, files: &mut usize) {
        for entry in fs::read_dir(below).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                read(&path, files);
                continue;
            }
            *files += 1;
            let text = fs::read_to_string(&path).unwrap();
            let forbidden = [
                "HashMap",
                "HashSet",
                "std::net",
                "std::io",
                "std::fs",
                "std::thread",
                "Instant",
                "SystemTime",
                "rand",
                "Mutex",
                "crate::proto",
                "println!",
                "tracing",
            ];
            for word in forbidden {
                let found = text.lines().find(|line| line.contains(word) && !line.contains("//"));
                assert_eq!(found, None, "{} names {word}", path.display());
            }
        }
    }
    let mut files = 0;
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/relay"), &mut files);
    assert!(files > 10, "{files} files");
}
