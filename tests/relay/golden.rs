//! Recorded sessions of the dialects (`tests/golden`), replayed on a hub. What is the handshake's or
//! the codec's in them is told apart, by name.

use crate::sha256::sha256_hex;
use serde_json::Value;
use sockeye::relay::{Config, ConnId, Dialect, Effect, Hub, Kind, Opening};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Sessions without anything for a hub, and why.
const NOT_REPLAYED: [(&str, &str); 2] = [
    ("broadcast/handshake_errors", "upgrades that are refused: the handshake's"),
    ("broadcast/pipelined_first_frame", "a request that is answered with 400: the handshake's"),
];

/// Sessions with a step that is the codec's alone: pings, pongs, frames that do not end a message.
const WITH_STEPS_OF_THE_CODEC: [&str; 6] = [
    "broadcast/fragmented",
    "broadcast/fragmented_split_codepoint",
    "broadcast/ping",
    "im/fragmented",
    "im/fragmented_split_codepoint",
    "named/fragmented",
];

#[test]
fn every_recorded_session_is_replayed_or_named_with_a_reason() {
    let mut replayed = BTreeMap::new();
    let mut skipped = Vec::new();
    let mut with_codec_steps = Vec::new();
    for (name, path) in recordings() {
        if let Some((_, reason)) = NOT_REPLAYED.iter().find(|(skip, _)| *skip == name) {
            println!("skipped: {name}: {reason}");
            skipped.push(name);
            continue;
        }
        let session = Session::read(&fs::read_to_string(path).unwrap());
        let done = session.replay(&name);
        for step in &done.of_the_codec {
            println!("left to the codec: {name}: step {step}");
        }
        if !done.of_the_codec.is_empty() {
            with_codec_steps.push(name.clone());
        }
        replayed.insert(name, done.received);
    }
    assert_eq!(skipped, NOT_REPLAYED.map(|(name, _)| name));
    assert_eq!(with_codec_steps, WITH_STEPS_OF_THE_CODEC);
    assert!(replayed.len() >= 77, "only {} sessions", replayed.len());
    let received: usize = replayed.values().sum();
    assert!(received >= 160, "only {received} messages were received in all of them");
}

fn recordings() -> BTreeMap<String, PathBuf> {
    let mut found = BTreeMap::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    for dialect in fs::read_dir(root).unwrap() {
        for entry in fs::read_dir(dialect.unwrap().path()).unwrap() {
            let path = entry.unwrap().path();
            let dialect = path.parent().unwrap().file_name().unwrap().to_string_lossy();
            let name = format!("{dialect}/{}", path.file_stem().unwrap().to_string_lossy());
            found.insert(name, path);
        }
    }
    found
}

struct Session {
    dialect: Dialect,
    steps: Vec<Value>,
    /// By step and actor, in order.
    seen: BTreeMap<(u64, String), Vec<Value>>,
}

struct Done {
    received: usize,
    of_the_codec: Vec<u64>,
}

/// What an actor got, or is to get.
#[derive(PartialEq, Eq, Debug)]
enum Got {
    Whole(Kind, String),
    Digest(Kind, usize, String),
}

struct Actor {
    conn: ConnId,
    port: u16,
    /// A message whose last fragment has not come.
    fragments: Option<(Kind, Vec<u8>)>,
}

impl Session {
    fn read(text: &str) -> Self {
        let mut lines = text.lines();
        let meta: Value = serde_json::from_str(lines.next().unwrap()).unwrap();
        let dialect = match meta["meta"]["dialect"].as_str().unwrap() {
            "echo" => Dialect::Echo,
            "broadcast" => Dialect::Broadcast,
            "directory" => Dialect::Directory,
            "named" => Dialect::Named,
            "im" => Dialect::Im,
            other => panic!("no dialect {other}"),
        };
        let mut session = Self { dialect, steps: Vec::new(), seen: BTreeMap::new() };
        for line in lines {
            let mut entry: Value = serde_json::from_str(line).unwrap();
            match entry["dir"].as_str().unwrap() {
                "step" => {
                    if let Some(message) = generated_json(line) {
                        entry["data"] = message.into();
                    }
                    session.steps.push(entry);
                }
                "obs" => {
                    let actor = entry["actor"].as_str().unwrap().to_owned();
                    let n = entry["n"].as_u64().unwrap();
                    session.seen.entry((n, actor)).or_default().push(entry);
                }
                other => panic!("no direction {other}"),
            }
        }
        session
    }

    fn saw(&self, n: u64, actor: &str) -> &[Value] {
        self.seen.get(&(n, actor.to_owned())).map_or(&[], Vec::as_slice)
    }

    fn saw_event(&self, n: u64, actor: &str, event: &str) -> bool {
        self.saw(n, actor).iter().any(|entry| entry["ev"] == event)
    }

    fn replay(&self, name: &str) -> Done {
        let mut hub = Hub::new(Config::default());
        let mut actors: BTreeMap<String, Actor> = BTreeMap::new();
        let mut done = Done { received: 0, of_the_codec: Vec::new() };
        for step in &self.steps {
            let n = step["n"].as_u64().unwrap();
            let mut effects = Vec::new();
            if step["op"] == "wait" {
                continue;
            }
            let who = step["actor"].as_str().unwrap();
            match step["op"].as_str().unwrap() {
                "connect" => {
                    assert!(self.saw_event(n, who, "open"), "{name} {n}");
                    let number = actors.len() as u64;
                    let port = u16::try_from(40_000 + number).unwrap();
                    let conn = ConnId(number);
                    actors.insert(who.to_owned(), Actor { conn, port, fragments: None });
                    let remote_addr = step["host"].as_str().unwrap_or("::ffff:127.0.0.1");
                    let (dialect, remote_port) = (self.dialect, port);
                    let opening = Opening {
                        dialect,
                        room: None,
                        user: None,
                        remote_addr,
                        remote_port,
                        kept: false,
                    };
                    hub.open(conn, &opening, &mut effects).unwrap();
                }
                "close" | "abort" => hub.close(actors[who].conn, &mut effects),
                op @ ("text" | "binary") => {
                    let kind = if op == "text" { Kind::Text } else { Kind::Binary };
                    hear(&mut hub, actors[who].conn, kind, &bytes_of(step), &mut effects);
                }
                "frame" | "raw_frames" => {
                    let one = [step.clone()];
                    let frames = step["frames"].as_array().map_or(&one[..], Vec::as_slice);
                    let actor = actors.get_mut(who).unwrap();
                    let fault = step["op"] == "frame" && self.saw_event(n, who, "close");
                    if fault || !actor.frames(&mut hub, frames, &mut effects) {
                        // A frame that is a fault: the codec answers it, and the hub hears of the end.
                        if fault {
                            hub.close(actor.conn, &mut effects);
                        } else {
                            done.of_the_codec.push(n);
                        }
                    }
                }
                "ping" => done.of_the_codec.push(n),
                op => panic!("{name}: no step {op}"),
            }
            done.received += self.compare(name, n, &actors, &effects);
        }
        for actor in actors.values() {
            hub.close(actor.conn, &mut Vec::new());
        }
        assert!(hub.is_empty(), "{name}: {hub:?}");
        done
    }

    /// How many messages were received in this step, all of them as recorded.
    fn compare(
        &self,
        name: &str,
        n: u64,
        actors: &BTreeMap<String, Actor>,
        effects: &[Effect],
    ) -> usize {
        let mut received = 0;
        let seers = self.seen.keys().filter(|key| key.0 == n).map(|key| &key.1);
        let all: BTreeSet<&String> = actors.keys().chain(seers).collect();
        for who in all {
            let expected: Vec<Got> =
                self.saw(n, who).iter().filter_map(|entry| expectation(entry, actors)).collect();
            let got: Vec<Got> = received_by(actors[who].conn, effects)
                .zip(&expected)
                .map(|((kind, bytes), expected)| match expected {
                    Got::Digest(..) => Got::Digest(kind, bytes.len(), sha256_hex(bytes)),
                    Got::Whole(..) => Got::Whole(kind, shown(kind, bytes)),
                })
                .collect();
            let count = received_by(actors[who].conn, effects).count();
            assert_eq!(count, expected.len(), "{name}, step {n}, {who}: {effects:?}");
            assert_eq!(got, expected, "{name}, step {n}, {who}");
            received += got.len();
        }
        received
    }
}

impl Actor {
    /// Assembles messages, as the codec would. False if all that came was for the codec.
    fn frames(&mut self, hub: &mut Hub, frames: &[Value], effects: &mut Vec<Effect>) -> bool {
        let mut for_the_hub = false;
        for frame in frames {
            let payload = bytes_of(frame);
            let fin = frame["fin"].as_bool().unwrap_or(true);
            match frame["opcode"].as_u64().unwrap() {
                0 => self.fragments.as_mut().unwrap().1.extend(payload),
                1 => self.fragments = Some((Kind::Text, payload)),
                2 => self.fragments = Some((Kind::Binary, payload)),
                8 => {
                    hub.close(self.conn, effects);
                    for_the_hub = true;
                    continue;
                }
                9 | 10 => continue,
                opcode => panic!("opcode {opcode} is a fault"),
            }
            if fin && let Some((kind, message)) = self.fragments.take() {
                hear(hub, self.conn, kind, &message, effects);
                for_the_hub = true;
            }
        }
        for_the_hub
    }
}

fn hear(hub: &mut Hub, conn: ConnId, kind: Kind, bytes: &[u8], effects: &mut Vec<Effect>) {
    hub.message(conn, kind, bytes, Duration::ZERO, effects);
    crate::with_echoes(effects, kind, bytes);
}

fn received_by(conn: ConnId, effects: &[Effect]) -> impl Iterator<Item = (Kind, &[u8])> {
    effects.iter().flat_map(move |effect| match effect {
        Effect::Send { to, message } => {
            std::iter::repeat_n((message.kind, &message.bytes[..]), usize::from(*to == conn))
        }
        Effect::SendMany { to, message } => {
            let times = to.iter().filter(|&&to| to == conn).count();
            std::iter::repeat_n((message.kind, &message.bytes[..]), times)
        }
        Effect::Follow(_) | Effect::Unfollow(_) => std::iter::repeat_n((Kind::Text, &b""[..]), 0),
        _ => panic!("{effect:?}"),
    })
}

/// What is the codec's (`open`, `close`, `pong`, `tcp-end`) is no expectation here.
fn expectation(entry: &Value, actors: &BTreeMap<String, Actor>) -> Option<Got> {
    let kind = match entry["ev"].as_str().unwrap() {
        "text" => Kind::Text,
        "binary" => Kind::Binary,
        "open" | "close" | "pong" | "tcp-end" => return None,
        event => panic!("no event {event}"),
    };
    if let Some(digest) = entry["sha256"].as_str() {
        let len = usize::try_from(entry["len"].as_u64().unwrap()).unwrap();
        return Some(Got::Digest(kind, len, digest.to_owned()));
    }
    let member = if kind == Kind::Text { "data" } else { "hex" };
    let mut data = entry[member].as_str().unwrap().to_owned();
    for (name, actor) in actors {
        data = data.replace(&format!("{{{{{name}.port}}}}"), &actor.port.to_string());
    }
    Some(Got::Whole(kind, data))
}

fn shown(kind: Kind, bytes: &[u8]) -> String {
    match kind {
        Kind::Text => String::from_utf8(bytes.to_vec()).unwrap(),
        Kind::Binary => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

fn bytes_of(step: &Value) -> Vec<u8> {
    if let Some(text) = step["data"].as_str() {
        return text.as_bytes().to_vec();
    }
    if let Some(hex) = step["hex"].as_str() {
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        return (0..hex.len()).step_by(2).map(byte).collect();
    }
    let len = usize::try_from(step["gen"]["len"].as_u64().unwrap()).unwrap();
    step["gen"]["char"].as_str().unwrap().repeat(len).into_bytes()
}

/// A message that is described: `{"char":"z","len":3}` in it stands for `"zzz"`. The order of its
/// members counts, so that it is taken from the line itself.
fn generated_json(line: &str) -> Option<String> {
    let (_, message) = line.split_once("\"json_gen\":")?;
    let message = message.strip_suffix('}').unwrap();
    let (before, generator) = message.split_once("{\"char\":\"").unwrap();
    let (character, generator) = generator.split_once("\",\"len\":").unwrap();
    let (len, after) = generator.split_once('}').unwrap();
    Some(format!("{before}\"{}\"{after}", character.repeat(len.parse().unwrap())))
}
