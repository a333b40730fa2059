//! Any order of comings, messages and goings, beside a model that is too simple to be wrong.

use crate::{PLAIN, Sent, opening, sent};
use proptest::prelude::*;
use sockeye::relay::{Config, ConnId, Dialect, Effect, Elsewhere, Hub, Kind, NodeId, Said};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

const CONNECTIONS: u64 = 9;
const ROOMS: [&str; 3] = ["tea", "coffee", "lobby"];

#[derive(Clone, Debug)]
enum Step {
    Open {
        conn: u64,
        dialect: Dialect,
        room: usize,
    },
    Say {
        conn: u64,
        kind: Kind,
    },
    Register {
        conn: u64,
        id: u64,
    },
    Tell {
        conn: u64,
        id: u64,
    },
    Close {
        conn: u64,
    },
    /// Hubs of a cluster: one hands over the oldest message that waits for the other.
    Carry {
        from: usize,
        to: usize,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let conn = || 0..CONNECTIONS;
    let step = prop_oneof![
        4 => (conn(), 0..PLAIN.len(), 0..ROOMS.len()).prop_map(|(conn, dialect, room)| {
            Step::Open { conn, dialect: PLAIN[dialect], room }
        }),
        6 => (conn(), any::<bool>()).prop_map(|(conn, text)| {
            Step::Say { conn, kind: if text { Kind::Text } else { Kind::Binary } }
        }),
        3 => (conn(), 0..3u64).prop_map(|(conn, id)| Step::Register { conn, id }),
        3 => (conn(), 0..3u64).prop_map(|(conn, id)| Step::Tell { conn, id }),
        2 => conn().prop_map(|conn| Step::Close { conn }),
        6 => (0..3usize, 0..3usize).prop_map(|(from, to)| Step::Carry { from, to }),
    ];
    prop::collection::vec(step, 1..120)
}

/// Who is open, as a list; who registered, as a history.
#[derive(Default)]
struct Model {
    open: BTreeMap<u64, (Dialect, usize)>,
    registered: Vec<(Dialect, u64, u64)>,
}

impl Model {
    /// What is to arrive when this is said, sorted.
    fn said(&self, conn: u64, kind: Kind, body: &str) -> Vec<Sent> {
        let Some(&(dialect, room)) = self.open.get(&conn) else {
            return Vec::new();
        };
        let as_said = |to| Sent { to, kind, text: body.to_owned() };
        let told = format!("::ffff:127.0.0.1{} -> {body}", 50_000 + conn);
        match dialect {
            Dialect::Echo => vec![as_said(conn)],
            // What is said is not JSON.
            Dialect::Directory | Dialect::Im | Dialect::Chat => Vec::new(),
            Dialect::Broadcast | Dialect::Named => self
                .open
                .iter()
                .filter(|(_, place)| place.1 == room)
                .filter_map(|(&to, place)| match place.0 {
                    Dialect::Broadcast if to != conn => Some(as_said(to)),
                    Dialect::Named => Some(crate::text(to, &told)),
                    _ => None,
                })
                .collect(),
        }
    }

    fn holder(&self, dialect: Dialect, id: u64) -> Option<u64> {
        let mut newest_first = self.registered.iter().rev();
        newest_first.find(|it| (it.0, it.2) == (dialect, id)).map(|it| it.1)
    }

    fn close(&mut self, conn: u64) {
        self.open.remove(&conn);
        self.registered.retain(|it| it.1 != conn);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_member_gets_every_message_once_and_nothing_remains(steps in steps()) {
        let mut hub = Hub::new(Config::default());
        let mut again = Hub::new(Config::default());
        let mut model = Model::default();
        for (n, step) in steps.iter().enumerate() {
            let mut effects = Vec::new();
            let mut the_same = Vec::new();
            apply(&mut hub, n, step, &mut effects);
            apply(&mut again, n, step, &mut the_same);
            prop_assert_eq!(&effects, &the_same, "same calls, same effects");
            let mut found = sent(&effects);
            found.sort();
            match *step {
                Step::Open { conn, dialect, room } => {
                    if let Entry::Vacant(free) = model.open.entry(conn) {
                        free.insert((dialect, room));
                        prop_assert_eq!(found.len(), usize::from(dialect == Dialect::Named));
                    }
                }
                Step::Say { conn, kind } => {
                    let mut expected = model.said(conn, kind, &body(n));
                    expected.sort();
                    prop_assert_eq!(found, expected);
                }
                Step::Register { conn, id } => {
                    if let Some(&(dialect @ (Dialect::Directory | Dialect::Im), _)) = model.open.get(&conn) {
                        let is_new = dialect == Dialect::Im && model.holder(dialect, id).is_none();
                        prop_assert_eq!(found.len(), usize::from(is_new));
                        model.registered.retain(|it| *it != (dialect, conn, id));
                        model.registered.push((dialect, conn, id));
                    }
                }
                Step::Tell { conn, id } => {
                    if let Some(&(dialect @ (Dialect::Directory | Dialect::Im), _)) = model.open.get(&conn) {
                        let copy = (dialect == Dialect::Im).then_some(conn);
                        let mut expected: Vec<u64> = copy.into_iter().chain(model.holder(dialect, id)).collect();
                        expected.sort_unstable();
                        prop_assert_eq!(found.iter().map(|it| it.to).collect::<Vec<_>>(), expected);
                    }
                }
                Step::Close { conn } => model.close(conn),
                Step::Carry { .. } => {}
            }
            prop_assert_eq!(hub.connections(), model.open.len());
        }
        for conn in 0..CONNECTIONS {
            hub.close(ConnId(conn), &mut Vec::new());
        }
        prop_assert!(hub.is_empty(), "{:?}", hub);
    }

    #[test]
    fn in_a_cluster_every_member_gets_every_message_once_in_its_sender_s_order(steps in steps()) {
        let mut cluster = Cluster::new(3);
        for (n, step) in steps.iter().enumerate() {
            cluster.step(n, step);
        }
        cluster.carry_all();
        cluster.judge()?;
        for conn in 0..CONNECTIONS {
            cluster.hubs[home(conn)].close(ConnId(conn), &mut Vec::new());
        }
        prop_assert!(cluster.hubs.iter().all(Hub::is_empty));
    }
}

fn body(n: usize) -> String {
    format!("#{n}")
}

fn apply(hub: &mut Hub, n: usize, step: &Step, effects: &mut Vec<Effect>) {
    let mut message = |hub: &mut Hub, conn, kind, text: &str| {
        hub.message(ConnId(conn), kind, text.as_bytes(), Duration::ZERO, effects);
        crate::with_echoes(effects, kind, text.as_bytes());
    };
    match *step {
        Step::Say { conn, kind } => message(hub, conn, kind, &body(n)),
        // One text asks for the same in both dialects.
        Step::Register { conn, id } => {
            for request in ["online", "get-pass"] {
                message(hub, conn, Kind::Text, &registration(request, id));
            }
        }
        Step::Tell { conn, id } => {
            message(
                hub,
                conn,
                Kind::Text,
                &format!(r#"{{"type":"get-enter","to":{id},"toId":{id}}}"#),
            );
        }
        Step::Open { conn, dialect, room } => {
            // In use, now and then: then nothing may happen.
            _ = hub.open(ConnId(conn), &opening(conn, dialect, Some(ROOMS[room])), effects);
        }
        Step::Close { conn } => hub.close(ConnId(conn), effects),
        Step::Carry { .. } => {}
    }
}

fn registration(request: &str, id: u64) -> String {
    format!(r#"{{"type":"{request}","from":{id},"userId":{id}}}"#)
}

/// Hubs that pass on what is said, in order between two, in any order among several.
struct Cluster {
    hubs: Vec<Hub>,
    waiting: BTreeMap<(usize, usize), VecDeque<Said>>,
    /// Since when a connection is in its room, by the step; gone ones with their last step.
    open: BTreeMap<u64, (Dialect, usize, usize)>,
    members: Vec<Member>,
    /// Step, sender, room.
    said: Vec<(usize, u64, usize)>,
    received: BTreeMap<u64, Vec<(usize, usize)>>,
}

/// Was in a room from one step to another.
struct Member {
    conn: u64,
    dialect: Dialect,
    room: usize,
    from: usize,
    to: usize,
}

fn home(conn: u64) -> usize {
    usize::try_from(conn % 3).unwrap()
}

impl Cluster {
    fn new(hubs: usize) -> Self {
        let config = Config { cluster: true, ..Config::default() };
        Self {
            hubs: (0..hubs).map(|_| Hub::new(config.clone())).collect(),
            waiting: BTreeMap::new(),
            open: BTreeMap::new(),
            members: Vec::new(),
            said: Vec::new(),
            received: BTreeMap::new(),
        }
    }

    fn step(&mut self, n: usize, step: &Step) {
        let mut effects = Vec::new();
        let hub = match *step {
            Step::Open { conn, dialect, room } => {
                if !matches!(dialect, Dialect::Broadcast | Dialect::Named) {
                    return;
                }
                self.open.entry(conn).or_insert((dialect, room, n));
                home(conn)
            }
            Step::Say { conn, .. } => {
                if let Some(&(_, room, _)) = self.open.get(&conn) {
                    self.said.push((n, conn, room));
                }
                home(conn)
            }
            Step::Close { conn } => {
                self.left(conn, n);
                home(conn)
            }
            Step::Carry { from, to } => return self.carry(n, from, to),
            Step::Register { .. } | Step::Tell { .. } => return,
        };
        apply(&mut self.hubs[hub], n, step, &mut effects);
        self.settle(n, hub, effects);
    }

    fn left(&mut self, conn: u64, n: usize) {
        if let Some((dialect, room, from)) = self.open.remove(&conn) {
            self.members.push(Member { conn, dialect, room, from, to: n });
        }
    }

    fn settle(&mut self, n: usize, hub: usize, effects: Vec<Effect>) {
        for effect in effects {
            if let Effect::Elsewhere(Elsewhere::Said(said)) = effect {
                for other in (0..self.hubs.len()).filter(|&other| other != hub) {
                    self.waiting.entry((hub, other)).or_default().push_back(said.clone());
                }
                continue;
            }
            for message in sent(&[effect]) {
                assert_eq!(home(message.to), hub);
                if let Some((_, number)) = message.text.split_once('#') {
                    let number = number.parse().unwrap();
                    self.received.entry(message.to).or_default().push((n, number));
                }
            }
        }
    }

    fn carry(&mut self, n: usize, from: usize, to: usize) {
        if let Some(said) = self.waiting.get_mut(&(from, to)).and_then(VecDeque::pop_front) {
            let mut effects = Vec::new();
            self.hubs[to].elsewhere(NodeId(0), Elsewhere::Said(said.clone()), &mut effects);
            self.settle(n, to, effects);
        }
    }

    fn carry_all(&mut self) {
        for pair in self.waiting.keys().copied().collect::<Vec<_>>() {
            while !self.waiting[&pair].is_empty() {
                self.carry(usize::MAX, pair.0, pair.1);
            }
        }
        for conn in 0..CONNECTIONS {
            self.left(conn, usize::MAX);
        }
    }

    fn judge(&self) -> Result<(), TestCaseError> {
        for member in &self.members {
            let mine = self.received.get(&member.conn).map_or(&[][..], Vec::as_slice);
            let got: Vec<usize> = mine
                .iter()
                .filter(|(at, _)| (member.from..=member.to).contains(at))
                .map(|&(_, number)| number)
                .collect();
            let distinct: BTreeSet<usize> = got.iter().copied().collect();
            prop_assert_eq!(distinct.len(), got.len(), "each once");
            for sender in 0..CONNECTIONS {
                let of_sender = |number: &usize| {
                    self.said
                        .iter()
                        .any(|said| (said.0, said.1, said.2) == (*number, sender, member.room))
                };
                let in_order: Vec<usize> = got.iter().copied().filter(|n| of_sender(n)).collect();
                prop_assert!(in_order.is_sorted(), "{:?}", in_order);
            }
            for &(number, sender, room) in &self.said {
                let stayed = member.to == usize::MAX && member.from < number;
                let hears = sender != member.conn || member.dialect == Dialect::Named;
                if room == member.room && stayed && hears {
                    prop_assert!(got.contains(&number), "{} missed {}", member.conn, number);
                }
            }
            let foreign = got.iter().find(|&&number| {
                !self.said.iter().any(|said| said.0 == number && said.2 == member.room)
            });
            prop_assert_eq!(foreign, None, "of another room");
        }
        Ok(())
    }
}
