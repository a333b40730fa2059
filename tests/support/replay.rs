//! Replays a recorded session: what each client saw then, it sees now. Starts no server.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::actor::{Actor, Saw, frame};

/// The sessions of a dialect; never none.
pub(crate) fn sessions(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(folder);
    let sessions: Vec<PathBuf> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!sessions.is_empty(), "{} is empty", folder.display());
    sessions
}

/// A reference that answered a frame in the request's segment with 400; here it is heard, as the
/// session's own description asks.
const HEARD_HERE: &str = "pipelined_first_frame";

/// Replays one session against a server at these addresses, 127.0.0.1 first, ::1 last. `base`: below which path
/// it speaks the dialect.
pub(crate) fn replay(path: &Path, base: &str, addresses: &[SocketAddr]) {
    let text = fs::read_to_string(path).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut session = Session {
        name: path.file_stem().unwrap().to_str().unwrap().to_owned(),
        base: base.to_owned(),
        addresses: addresses.to_owned(),
        actors: BTreeMap::new(),
    };
    let steps = lines.iter().filter(|line| line["dir"] == "step");
    for step in steps {
        session.act(step);
        let n = &step["n"];
        let seen = lines.iter().filter(|line| line["dir"] == "obs" && line["n"] == *n);
        let mut expected: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
        for line in seen {
            expected.entry(line["actor"].as_str().unwrap()).or_default().push(line);
        }
        session.check(n, &expected);
    }
}

struct Session {
    name: String,
    base: String,
    addresses: Vec<SocketAddr>,
    actors: BTreeMap<String, Actor>,
}

impl Session {
    fn act(&mut self, step: &Value) {
        let op = step["op"].as_str().unwrap();
        let name = step["actor"].as_str().unwrap_or_default().to_owned();
        if matches!(op, "connect" | "connect_with_frame" | "http") {
            let actor = self.connect(step, op);
            self.actors.insert(name, actor);
            return;
        }
        if op == "wait" {
            return;
        }
        if op == "abort" {
            self.actors.remove(&name).unwrap().abort();
            return;
        }
        let bytes = match op {
            "text" => frame(0x81, &payload(step), true, None),
            "binary" => frame(0x82, &payload(step), true, None),
            "ping" => frame(0x89, &payload(step), true, None),
            "frame" => raw(step),
            "raw_frames" => step["frames"].as_array().unwrap().iter().flat_map(raw).collect(),
            "close" => {
                let code = u16::try_from(step["code"].as_u64().unwrap()).unwrap();
                let reason = step["reason"].as_str().unwrap_or_default();
                let body = [&code.to_be_bytes()[..], reason.as_bytes()].concat();
                frame(0x88, &body, true, None)
            }
            other => panic!("unknown step {other}"),
        };
        self.actors.get_mut(&name).unwrap().write(&bytes);
    }

    fn connect(&self, step: &Value, op: &str) -> Actor {
        let address = match step["host"].as_str() {
            Some("::1") => *self.addresses.last().unwrap(),
            _ => self.addresses[0],
        };
        let path = step["path"].as_str().unwrap_or_default();
        // One server has all dialects, each below a path of its own.
        let target = match path.starts_with(&self.base) {
            true => path.to_owned(),
            false => format!("{}{path}", self.base),
        };
        let mut headers: Vec<(String, Option<String>)> = step["headers"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), value.as_str().map(str::to_owned)))
            .collect();
        if let Some(extensions) = step["extensions"].as_str() {
            headers.push(("Sec-WebSocket-Extensions".into(), Some(extensions.into())));
        }
        let early = match op {
            "connect_with_frame" => frame(0x81, &payload(step), true, None),
            _ => Vec::new(),
        };
        let method = step["method"].as_str().unwrap_or("GET");
        let actor = Actor::request(address, method, &target, &headers, &early);
        if step["autoClose"] == false { actor.without_auto_close() } else { actor }
    }

    fn check(&mut self, n: &Value, expected: &BTreeMap<&str, Vec<&Value>>) {
        if self.name == HEARD_HERE && n == 2 {
            self.actors.get_mut("B").unwrap().watch(1);
            assert_eq!(self.actors["B"].saw, [Saw::Text("early bird".into())]);
            return;
        }
        let ports: Vec<(String, u16)> =
            self.actors.iter().map(|(name, actor)| (name.clone(), actor.port())).collect();
        for (name, lines) in expected {
            let actor = self.actors.get_mut(*name).unwrap();
            actor.watch(lines.len());
            let mut saw = std::mem::take(&mut actor.saw);
            let mut wanted: Vec<Wanted> =
                lines.iter().map(|line| Wanted::of(line, &ports)).collect();
            // A refusal's answer and the end of TCP are one event with two names.
            saw.sort_by_key(|saw| *saw == Saw::TcpEnd);
            wanted.sort_by_key(|wanted| matches!(wanted, Wanted::Saw(Saw::TcpEnd)));
            let same = saw.len() == wanted.len()
                && saw.iter().zip(&wanted).all(|(saw, wanted)| wanted.is(saw));
            assert!(
                same,
                "{} step {n}, {name} saw {:.300?} instead of {:.300?}",
                self.name, saw, wanted
            );
        }
        // Who is not named sees nothing.
        for (name, actor) in &mut self.actors {
            if !expected.contains_key(name.as_str()) {
                actor.watch_for(1, Duration::from_millis(15));
                assert!(
                    actor.saw.is_empty(),
                    "{} step {n}, {name} saw {:.300?}",
                    self.name,
                    actor.saw
                );
            }
        }
    }
}

#[derive(Debug)]
enum Wanted {
    Saw(Saw),
    /// Any of these statuses.
    Http(Vec<u16>),
    /// A message of so many bytes with this digest.
    Large {
        text: bool,
        len: u64,
        sha256: String,
    },
}

impl Wanted {
    fn of(line: &Value, ports: &[(String, u16)]) -> Self {
        let filled = |text: &str| {
            ports.iter().fold(text.to_owned(), |text, (name, port)| {
                text.replace(&format!("{{{{{name}.port}}}}"), &port.to_string())
            })
        };
        let event = line["ev"].as_str().unwrap();
        if let Some(len) = line["len"].as_u64() {
            let sha256 = line["sha256"].as_str().unwrap().to_owned();
            return Self::Large { text: event == "text", len, sha256 };
        }
        Self::Saw(match event {
            "open" => Saw::Open {
                accept_ok: line["accept_ok"].as_bool().unwrap(),
                protocol: line["protocol"].as_str().map(str::to_owned),
            },
            "text" => Saw::Text(filled(line["data"].as_str().unwrap())),
            "binary" => Saw::Binary(unhex(line["hex"].as_str().unwrap())),
            "pong" => Saw::Pong(unhex(line["hex"].as_str().unwrap())),
            "close" => Saw::Close(
                line["code"].as_u64().map(|code| u16::try_from(code).unwrap()),
                line["reason"].as_str().unwrap_or_default().to_owned(),
            ),
            "tcp-end" => Saw::TcpEnd,
            "http" => {
                let status = u16::try_from(line["status"].as_u64().unwrap()).unwrap();
                // RFC 6455 §4.4 wants 426 where the recorded server said 400.
                let version = line["headers"].get("sec-websocket-version").is_some();
                return Self::Http(if version { vec![426] } else { vec![status] });
            }
            other => panic!("unknown observation {other}"),
        })
    }

    fn is(&self, saw: &Saw) -> bool {
        match (self, saw) {
            (Self::Saw(Saw::Close(code, reason)), Saw::Close(seen, said)) => {
                // What a server says in the reason of a failure is its own affair.
                code == seen && (reason == said || reason.is_empty())
            }
            (Self::Saw(wanted), saw) => wanted == saw,
            (Self::Http(statuses), Saw::Http(status)) => statuses.contains(status),
            (Self::Large { text: true, len, sha256 }, Saw::Text(text)) => {
                text.len() as u64 == *len && digest(text.as_bytes()) == *sha256
            }
            (Self::Large { text: false, len, sha256 }, Saw::Binary(bytes)) => {
                bytes.len() as u64 == *len && digest(bytes) == *sha256
            }
            _ => false,
        }
    }
}

fn digest(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// One frame, good or bad, as a step describes it.
fn raw(step: &Value) -> Vec<u8> {
    let fin = step["fin"].as_bool().unwrap_or(true);
    let opcode = u8::try_from(step["opcode"].as_u64().unwrap()).unwrap();
    let masked = step["masked"].as_bool().unwrap_or(true);
    let first = if fin { 0x80 | opcode } else { opcode };
    frame(first, &payload(step), masked, step["declared_len"].as_u64())
}

fn payload(step: &Value) -> Vec<u8> {
    if let Some(hex) = step["hex"].as_str() {
        return unhex(hex);
    }
    if step["gen"].is_object() {
        return generated(&step["gen"]).into_bytes();
    }
    if let Some(object) = step["json_gen"].as_object() {
        let members: Vec<String> = object
            .iter()
            .map(|(name, value)| match value.is_object() {
                true => format!("\"{name}\":\"{}\"", generated(value)),
                false => format!("\"{name}\":{value}"),
            })
            .collect();
        return format!("{{{}}}", members.join(",")).into_bytes();
    }
    step["data"].as_str().unwrap_or_default().as_bytes().to_vec()
}

fn generated(recipe: &Value) -> String {
    let len = usize::try_from(recipe["len"].as_u64().unwrap()).unwrap();
    recipe["char"].as_str().unwrap().repeat(len)
}
