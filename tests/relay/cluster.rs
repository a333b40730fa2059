//! Hubs, a broker and clients that keep the one rule of the contract, in any order of events: comings,
//! messages, goings, crashes, and wires that deliver late.

use crate::opening;
use crate::world::{EPOCH, World};
use proptest::prelude::*;
use serde_json::Value;
use sockeye::relay::{ChatLimits, Config, Dialect, Kind, Limits, Opening};
use std::collections::{BTreeMap, BTreeSet};

const HUBS: usize = 3;
const ROOMS: [&str; 2] = ["tea", "milk"];
const USERS: [&str; 3] = ["alice", "bob", "carol"];
/// Slots for connections; each new one gets a number of its own.
const SLOTS: usize = 8;

#[derive(Clone, Debug)]
enum Step {
    Open { slot: usize, hub: usize, user: usize },
    Raw { slot: usize, hub: usize, room: usize, named: bool },
    Join { slot: usize, room: usize, history: bool },
    Leave { slot: usize, room: usize },
    Say { slot: usize, room: usize },
    Tell { slot: usize, to: usize },
    Close { slot: usize },
    Crash { hub: usize },
    Serve { hub: usize },
    Answer { hub: usize },
    Deliver { hub: usize, nth: usize },
    Post { hub: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (slot, hub, room) = (|| 0..SLOTS, || 0..HUBS, || 0..ROOMS.len());
    let step = prop_oneof![
        4 => (slot(), hub(), 0..USERS.len()).prop_map(|(slot, hub, user)| Step::Open { slot, hub, user }),
        2 => (slot(), hub(), room(), any::<bool>()).prop_map(|(slot, hub, room, named)| Step::Raw { slot, hub, room, named }),
        5 => (slot(), room(), any::<bool>()).prop_map(|(slot, room, history)| Step::Join { slot, room, history }),
        2 => (slot(), room()).prop_map(|(slot, room)| Step::Leave { slot, room }),
        10 => (slot(), room()).prop_map(|(slot, room)| Step::Say { slot, room }),
        3 => (slot(), 0..USERS.len()).prop_map(|(slot, to)| Step::Tell { slot, to }),
        2 => slot().prop_map(|slot| Step::Close { slot }),
        1 => hub().prop_map(|hub| Step::Crash { hub }),
        12 => hub().prop_map(|hub| Step::Serve { hub }),
        12 => hub().prop_map(|hub| Step::Answer { hub }),
        12 => (hub(), 0..4usize).prop_map(|(hub, nth)| Step::Deliver { hub, nth }),
        12 => hub().prop_map(|hub| Step::Post { hub }),
    ];
    prop::collection::vec(step, 1..250)
}

/// What a client knows of a channel, by the one rule.
#[derive(Default, Debug)]
struct Channel {
    /// `prev` of the first thing it was told, and all that it delivered since.
    began: u64,
    last: u64,
    head: u64,
    delivered: Vec<(u64, String)>,
    /// Who is there, as far as it was told.
    people: BTreeSet<String>,
    paging: bool,
}

impl Channel {
    fn begin(&mut self, told: &Value) {
        let prev = told["prev"].as_u64().unwrap();
        *self = Self { began: prev, last: prev, ..Self::default() };
        self.head = told["offset"].as_u64().unwrap();
        for member in told["members"].as_array().into_iter().flatten() {
            self.people.insert(member.as_str().unwrap().to_owned());
        }
    }

    /// Whether it has to ask for what is between.
    fn hear(&mut self, message: &Value) -> bool {
        let (prev, offset) =
            (message["prev"].as_u64().unwrap(), message["offset"].as_u64().unwrap());
        assert_eq!(message["epoch"], EPOCH);
        if offset <= self.last {
            return false;
        }
        if prev != self.last {
            self.head = self.head.max(offset);
            return true;
        }
        self.last = offset;
        self.delivered.push((offset, message["body"].to_string()));
        false
    }
}

#[derive(Debug)]
struct Client {
    conn: u64,
    user: Option<&'static str>,
    hub: usize,
    /// Rooms by name, the inbox under `@`.
    channels: BTreeMap<String, Channel>,
    /// For a plain one: its room, since when, whether it hears itself, and what it heard.
    plain: Option<(&'static str, usize, bool)>,
    heard: Vec<String>,
}

struct Simulation {
    world: World,
    slots: Vec<Option<Client>>,
    next_conn: u64,
    next_body: u64,
    /// Who said which body.
    said: BTreeMap<u64, u64>,
}

impl Simulation {
    fn new() -> Self {
        // So small that replays are cut, what is held is lost, and pages are several.
        let chat = ChatLimits { replay: 3, history: 2, ..ChatLimits::default() };
        let limits = Limits { chat, ..Limits::default() };
        let config = Config { limits, chat_rates: None, ..Config::default() };
        Self {
            world: World::with(HUBS, config),
            slots: (0..SLOTS).map(|_| None).collect(),
            next_conn: 0,
            next_body: 0,
            said: BTreeMap::new(),
        }
    }

    fn arrive(&mut self, slot: usize, hub: usize, opening: &Opening<'_>, client: Client) {
        if self.slots[slot].is_none() {
            self.world.open(hub, client.conn, opening);
            self.slots[slot] = Some(client);
        }
    }

    fn client(&mut self, hub: usize) -> Client {
        self.next_conn += 1;
        Client {
            conn: self.next_conn,
            user: None,
            hub,
            channels: BTreeMap::new(),
            plain: None,
            heard: Vec::new(),
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Open { slot, hub, user } => {
                let client = Client { user: Some(USERS[user]), ..self.client(hub) };
                let opening =
                    Opening { user: client.user, ..opening(client.conn, Dialect::Chat, None) };
                self.arrive(slot, hub, &opening, client);
            }
            Step::Raw { slot, hub, room, named } => {
                let dialect = if named { Dialect::Named } else { Dialect::Broadcast };
                let room = ROOMS[room];
                let since = self.world.logs.get(room).map_or(0, Vec::len);
                let client = Client { plain: Some((room, since, named)), ..self.client(hub) };
                let opening = opening(client.conn, dialect, Some(room));
                self.arrive(slot, hub, &opening, client);
            }
            Step::Join { slot, room, history } => {
                let history = if history { r#","history":2"# } else { "" };
                self.ask(slot, &format!(r#"{{"op":"join","room":"{}"{history}}}"#, ROOMS[room]));
            }
            Step::Leave { slot, room } => {
                if let Some(client) = &mut self.slots[slot] {
                    client.channels.remove(ROOMS[room]);
                }
                self.ask(slot, &format!(r#"{{"op":"leave","room":"{}"}}"#, ROOMS[room]));
            }
            Step::Say { slot, room } => {
                self.next_body += 1;
                let body = self.next_body;
                let Some(client) = &self.slots[slot] else { return };
                let conn = client.conn;
                self.said.insert(body, conn);
                let text = match client.plain {
                    Some(_) => body.to_string(),
                    None => format!(
                        r#"{{"op":"say","seq":{body},"room":"{}","body":"{body}"}}"#,
                        ROOMS[room]
                    ),
                };
                self.world.say(conn, Kind::Text, text.as_bytes());
            }
            Step::Tell { slot, to } => {
                self.next_body += 1;
                let body = self.next_body;
                self.ask(slot, &format!(r#"{{"op":"tell","to":"{}","body":"{body}"}}"#, USERS[to]));
            }
            Step::Close { slot } => {
                if let Some(client) = self.slots[slot].take() {
                    self.hear(client.conn);
                    self.world.close(client.conn);
                }
            }
            Step::Crash { hub } => {
                self.world.crash(hub);
                for slot in &mut self.slots {
                    if slot.as_ref().is_some_and(|client| client.hub == hub) {
                        *slot = None;
                    }
                }
            }
            Step::Serve { hub } => _ = self.world.serve(hub),
            Step::Answer { hub } => _ = self.world.answer(hub),
            Step::Deliver { hub, nth } => _ = self.world.deliver(hub, nth),
            Step::Post { hub } => _ = self.world.post(hub),
        }
        self.hear_all();
    }

    /// Of chat clients only.
    fn ask(&mut self, slot: usize, text: &str) {
        if let Some(client) = self.slots[slot].as_ref().filter(|client| client.user.is_some()) {
            self.world.say(client.conn, Kind::Text, text.as_bytes());
        }
    }

    fn hear_all(&mut self) {
        let conns: Vec<u64> = self.slots.iter().flatten().map(|client| client.conn).collect();
        conns.into_iter().for_each(|conn| self.hear(conn));
    }

    fn hear(&mut self, conn: u64) {
        let told = self.world.told(conn);
        let mut client = self.slots.iter_mut().flatten().find(|client| client.conn == conn);
        for text in told {
            let Some(client) = &mut client else { continue };
            if client.plain.is_some() {
                client.heard.push(text);
                continue;
            }
            let event: Value = serde_json::from_str(&text).unwrap();
            let room = event["room"].as_str().unwrap_or("@").to_owned();
            let mut ask = None;
            match event["ev"].as_str().unwrap() {
                "hello" => {
                    client.channels.entry("@".to_owned()).or_default().begin(&event["inbox"])
                }
                "joined" => client.channels.entry(room).or_default().begin(&event),
                "message" | "direct" => {
                    // Left meanwhile: what was under way then is of no interest.
                    if let Some(channel) = client.channels.get_mut(&room)
                        && channel.hear(&event)
                        && !std::mem::replace(&mut channel.paging, true)
                    {
                        ask = Some(channel.last);
                    }
                }
                "history" => {
                    if let Some(channel) = client.channels.get_mut(&room) {
                        for message in event["messages"].as_array().unwrap() {
                            assert!(
                                !channel.hear(message),
                                "a page after {} has a gap",
                                channel.last
                            );
                        }
                        channel.paging = event["more"] == true;
                        ask = channel.paging.then_some(channel.last);
                    }
                }
                "presence" => {
                    if let Some(channel) = client.channels.get_mut(&room) {
                        let user = event["user"].as_str().unwrap().to_owned();
                        if event["change"] == "join" {
                            assert!(channel.people.insert(user), "told twice: {event}");
                        } else {
                            assert!(channel.people.remove(&user), "was not there: {event}");
                        }
                        assert_eq!(event["online"], channel.people.len());
                    }
                }
                "ack" | "left" => {}
                "error" => assert_eq!(event["code"], "not_joined", "{event}"),
                other => panic!("{other}"),
            }
            if let Some(after) = ask {
                let place = if event["room"].is_null() {
                    r#""inbox":true"#.to_owned()
                } else {
                    format!(r#""room":{}"#, event["room"])
                };
                let request = format!(r#"{{"op":"history",{place},"after":{after}}}"#);
                self.world.say(conn, Kind::Text, request.as_bytes());
            }
        }
    }

    /// Lets everything arrive; then clients that know of more than they have ask for it.
    fn settle(&mut self) {
        loop {
            self.world.settle();
            self.hear_all();
            let mut asked = false;
            for client in self.slots.iter_mut().flatten() {
                for (name, channel) in &mut client.channels {
                    if channel.last < channel.head && !std::mem::replace(&mut channel.paging, true)
                    {
                        asked = true;
                        let place = if name == "@" {
                            r#""inbox":true"#.to_owned()
                        } else {
                            format!(r#""room":"{name}""#)
                        };
                        let after = channel.last;
                        let request = format!(r#"{{"op":"history",{place},"after":{after}}}"#);
                        self.world.say(client.conn, Kind::Text, request.as_bytes());
                    }
                }
            }
            if !asked {
                break;
            }
        }
        self.world.settle();
        self.hear_all();
    }

    fn judge(&self) -> Result<(), TestCaseError> {
        for client in self.slots.iter().flatten() {
            match client.plain {
                Some((room, since, named)) => self.judge_plain(client, room, since, named)?,
                None => self.judge_chat(client)?,
            }
        }
        for log in self.world.logs.values() {
            let mut newest: BTreeMap<u64, u64> = BTreeMap::new();
            for kept in log {
                let body = number(&String::from_utf8_lossy(&kept.body));
                if let Some(sender) = self.said.get(&body) {
                    let before = newest.insert(*sender, body);
                    prop_assert!(before < Some(body), "{sender}'s {body} after {before:?}");
                }
            }
        }
        Ok(())
    }

    fn judge_chat(&self, client: &Client) -> Result<(), TestCaseError> {
        for (name, channel) in &client.channels {
            let name =
                if name == "@" { format!("@{}", client.user.unwrap()) } else { name.clone() };
            let log = self.world.logs.get(&name).map_or(&[][..], |log| log);
            let expected: Vec<(u64, u64)> = log
                .iter()
                .skip(usize::try_from(channel.began).unwrap())
                .map(|kept| (kept.offset, number(&String::from_utf8_lossy(&kept.body))))
                .collect();
            let got: Vec<(u64, u64)> =
                channel.delivered.iter().map(|(offset, body)| (*offset, number(body))).collect();
            prop_assert_eq!(got, expected, "{:?} in {}", client.user, name);
            if !name.starts_with('@') {
                prop_assert_eq!(
                    &channel.people,
                    &self.people(&name),
                    "as {:?} sees it",
                    client.user
                );
            }
        }
        Ok(())
    }

    /// Everybody who was told `joined` and has not left.
    fn people(&self, room: &str) -> BTreeSet<String> {
        let clients = self.slots.iter().flatten();
        let there = clients.filter(|client| client.channels.contains_key(room));
        there.filter_map(|client| client.user).map(ToOwned::to_owned).collect()
    }

    fn judge_plain(
        &self,
        client: &Client,
        room: &str,
        since: usize,
        named: bool,
    ) -> Result<(), TestCaseError> {
        let heard: Vec<u64> = client
            .heard
            .iter()
            .filter(|it| !it.starts_with("Welcome"))
            .map(|it| number(it))
            .collect();
        let distinct: BTreeSet<u64> = heard.iter().copied().collect();
        prop_assert_eq!(distinct.len(), heard.len(), "each once");
        let log = self.world.logs.get(room).map_or(&[][..], |log| log);
        let kept: Vec<u64> =
            log.iter().map(|kept| number(&String::from_utf8_lossy(&kept.body))).collect();
        let hears = |body: &&u64| named || self.said.get(body) != Some(&client.conn);
        let expected: Vec<u64> = kept.iter().skip(since).filter(hears).copied().collect();
        let got: Vec<u64> = heard.iter().filter(|body| kept.contains(body)).copied().collect();
        // What was on its way to the hub before it came may be heard, too.
        prop_assert!(got.ends_with(&expected), "{:?} lacks some of {:?}", got, expected);
        let mut rest = kept.iter();
        prop_assert!(got.iter().all(|body| rest.any(|it| it == body)), "in the log's order");
        let mut newest: BTreeMap<u64, u64> = BTreeMap::new();
        for body in heard.iter().filter(|body| !kept.contains(body)) {
            let before = newest.insert(self.said[body], *body);
            prop_assert!(before < Some(*body), "in each sender's order");
        }
        Ok(())
    }
}

/// Of `5`, of `"5"`, and of what a named client is told: nothing more may stand there.
fn number(text: &str) -> u64 {
    let said = match text.split_once(" -> ") {
        Some((from, said)) => {
            let port = from.strip_prefix("::ffff:127.0.0.1").unwrap_or(from);
            assert!(USERS.contains(&from) || port.parse::<u32>().is_ok(), "{text}");
            said
        }
        None => text.trim_matches('"'),
    };
    said.parse().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_member_has_its_room_s_log_and_presence_is_true(steps in steps()) {
        let mut simulation = Simulation::new();
        for step in &steps {
            simulation.step(step);
        }
        simulation.settle();
        simulation.judge()?;
        for hub in 0..HUBS {
            for room in ROOMS {
                let watcher = 1_000 + hub as u64;
                let opening = Opening { user: Some("watcher"), ..opening(watcher % 1000, Dialect::Chat, None) };
                simulation.world.open(hub, watcher, &opening);
                simulation.world.settle();
                simulation.world.told(watcher);
                let told = simulation.world.ask(watcher, &format!(r#"{{"op":"who","room":"{room}"}}"#));
                let who: Value = serde_json::from_str(&told[0]).unwrap();
                let members: BTreeSet<String> =
                    who["members"].as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned()).collect();
                prop_assert_eq!(members, simulation.people(room), "as hub {} has it", hub);
                simulation.world.close(watcher);
            }
        }
        for client in simulation.slots.iter().flatten() {
            simulation.world.close(client.conn);
        }
        simulation.world.settle();
        prop_assert!(simulation.world.is_empty());
    }
}
