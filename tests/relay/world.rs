//! Hubs, a broker too naive to be wrong, and wires that deliver when they are told to.

use crate::opening;
use sockeye::relay::{
    Ask, Config, ConnId, ContentKind, Cursor, Dialect, Effect, Elsewhere, Entry, Hub, Kind, NodeId,
    Opened, Opening, Page, Publish, Published, Refused, Replay,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

pub(crate) const EPOCH: u64 = 7;

pub(crate) struct World {
    pub(crate) nodes: Vec<Node>,
    pub(crate) logs: BTreeMap<String, Vec<Kept>>,
    once: BTreeMap<(String, u64), Cursor>,
    config: Config,
    next_node: u32,
    homes: BTreeMap<u64, usize>,
    told: BTreeMap<u64, Vec<String>>,
    pub(crate) closed: BTreeMap<u64, u16>,
    pub(crate) now: Duration,
    /// What the broker says instead of doing anything.
    pub(crate) refuses: Option<Refused>,
}

pub(crate) struct Node {
    pub(crate) hub: Hub,
    pub(crate) id: NodeId,
    pub(crate) follows: BTreeSet<String>,
    requests: VecDeque<Effect>,
    answers: VecDeque<Answer>,
    pub(crate) entries: BTreeMap<String, VecDeque<Kept>>,
    mail: VecDeque<(NodeId, Mail)>,
}

enum Mail {
    Up,
    Down,
    Says(Elsewhere),
}

#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) channel: String,
    pub(crate) offset: u64,
    pub(crate) from: String,
    to: Option<String>,
    content: ContentKind,
    pub(crate) body: Arc<[u8]>,
    origin: (NodeId, ConnId),
}

enum Answer {
    Published(Ask, Result<Published, Refused>),
    Opened { ask: Ask, head: u64, entries: Vec<Kept>, recovered: bool },
    Page { ask: Ask, entries: Vec<Kept>, more: bool },
    Refused(Effect, Refused),
}

impl Kept {
    fn entry(&self, node: NodeId) -> Entry<'_> {
        Entry {
            channel: &self.channel,
            at: Cursor { epoch: EPOCH, offset: self.offset },
            prev: self.offset - 1,
            at_ms: 1000 + self.offset,
            from: &self.from,
            to: self.to.as_deref(),
            content: self.content,
            body: &self.body,
            origin: (self.origin.0 == node).then_some(self.origin.1),
        }
    }
}

impl World {
    pub(crate) fn new(hubs: usize) -> Self {
        Self::with(hubs, Config::default())
    }

    pub(crate) fn with(hubs: usize, config: Config) -> Self {
        let config = Config { cluster: hubs > 1, ..config };
        let mut world = Self {
            nodes: Vec::new(),
            logs: BTreeMap::new(),
            once: BTreeMap::new(),
            config,
            next_node: 0,
            homes: BTreeMap::new(),
            told: BTreeMap::new(),
            closed: BTreeMap::new(),
            now: Duration::from_secs(100),
            refuses: None,
        };
        for _ in 0..hubs {
            let node = world.node();
            world.nodes.push(node);
        }
        for at in 0..hubs {
            world.introduce(at);
        }
        world.settle();
        world
    }

    fn node(&mut self) -> Node {
        self.next_node += 1;
        let id = NodeId(self.next_node);
        let hub = Hub::new(Config { hub_id: self.next_node.into(), ..self.config.clone() });
        let (follows, entries) = (BTreeSet::new(), BTreeMap::new());
        let (requests, answers, mail) = (VecDeque::new(), VecDeque::new(), VecDeque::new());
        Node { hub, id, follows, requests, answers, entries, mail }
    }

    fn introduce(&mut self, at: usize) {
        let id = self.nodes[at].id;
        for other in 0..self.nodes.len() {
            if other != at {
                let other_id = self.nodes[other].id;
                self.nodes[other].mail.push_back((id, Mail::Up));
                self.nodes[at].mail.push_back((other_id, Mail::Up));
            }
        }
    }

    /// A hub is gone, and another is in its place.
    pub(crate) fn crash(&mut self, at: usize) {
        let id = self.nodes[at].id;
        for (other, node) in self.nodes.iter_mut().enumerate() {
            if other != at {
                node.mail.push_back((id, Mail::Down));
            }
        }
        self.nodes[at] = self.node();
        self.homes.retain(|_, home| *home != at);
        self.introduce(at);
    }

    pub(crate) fn open(&mut self, at: usize, conn: u64, opening: &Opening<'_>) {
        let mut out = Vec::new();
        self.homes.insert(conn, at);
        self.nodes[at].hub.open(ConnId(conn), opening, &mut out).unwrap();
        self.perform(at, out);
    }

    /// In the chat dialect, on the first hub, settled.
    pub(crate) fn chat(
        &mut self,
        conn: u64,
        room: Option<&str>,
        user: Option<&str>,
    ) -> Vec<String> {
        self.open(0, conn, &Opening { user, ..opening(conn, Dialect::Chat, room) });
        self.settle();
        self.told(conn)
    }

    pub(crate) fn close(&mut self, conn: u64) {
        if let Some(at) = self.homes.remove(&conn) {
            let mut out = Vec::new();
            self.nodes[at].hub.close(ConnId(conn), &mut out);
            self.perform(at, out);
        }
    }

    pub(crate) fn say(&mut self, conn: u64, kind: Kind, bytes: &[u8]) {
        if let Some(&at) = self.homes.get(&conn) {
            let mut out = Vec::new();
            self.nodes[at].hub.message(ConnId(conn), kind, bytes, self.now, &mut out);
            crate::with_echoes(&mut out, kind, bytes);
            self.perform(at, out);
        }
    }

    /// Says it, settles, and returns what this connection is told.
    pub(crate) fn ask(&mut self, conn: u64, text: &str) -> Vec<String> {
        self.say(conn, Kind::Text, text.as_bytes());
        self.settle();
        self.told(conn)
    }

    pub(crate) fn told(&mut self, conn: u64) -> Vec<String> {
        self.told.remove(&conn).unwrap_or_default()
    }

    pub(crate) fn do_on(&mut self, at: usize, act: impl FnOnce(&mut Hub, &mut Vec<Effect>)) {
        let mut out = Vec::new();
        act(&mut self.nodes[at].hub, &mut out);
        self.perform(at, out);
    }

    fn perform(&mut self, at: usize, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Back { .. } => unreachable!("echoes were made messages"),
                Effect::Send { to, message } => self.tell(at, to, &message.bytes),
                Effect::SendMany { to, message } => {
                    let distinct: BTreeSet<_> = to.iter().collect();
                    assert!(to.len() > 1 && distinct.len() == to.len(), "{to:?}");
                    for to in to {
                        self.tell(at, to, &message.bytes);
                    }
                }
                Effect::Close { conn, code, .. } => {
                    self.homes.remove(&conn.0);
                    self.closed.insert(conn.0, code);
                }
                Effect::Follow(channel) => {
                    assert!(self.nodes[at].follows.insert(channel.to_string()), "{channel} twice");
                }
                Effect::Unfollow(channel) => {
                    assert!(self.nodes[at].follows.remove(&*channel), "{channel} was not followed");
                }
                Effect::Publish(_) | Effect::Open { .. } | Effect::Read { .. } => {
                    self.nodes[at].requests.push_back(effect);
                }
                Effect::Elsewhere(what) => {
                    let id = self.nodes[at].id;
                    let what = Elsewhere::from_parts(what.to_parts()).unwrap();
                    let for_all =
                        matches!(what, Elsewhere::Entered { .. } | Elsewhere::Left { .. });
                    for (other, node) in self.nodes.iter_mut().enumerate() {
                        if other != at && (for_all || node.follows.contains(what.channel())) {
                            node.mail.push_back((id, Mail::Says(what.clone())));
                        }
                    }
                }
                Effect::Introduce { to, what } => {
                    let id = self.nodes[at].id;
                    if let Some(node) = self.nodes.iter_mut().find(|node| node.id == to) {
                        node.mail.push_back((id, Mail::Says(what)));
                    }
                }
            }
        }
    }

    fn tell(&mut self, at: usize, to: ConnId, bytes: &[u8]) {
        assert_eq!(self.homes.get(&to.0), Some(&at), "{to:?} is not there");
        let text = String::from_utf8_lossy(bytes).into_owned();
        self.told.entry(to.0).or_default().push(text);
    }

    /// The broker does what a hub has asked for first.
    pub(crate) fn serve(&mut self, at: usize) -> bool {
        let Some(request) = self.nodes[at].requests.pop_front() else {
            return false;
        };
        let answer = match (self.refuses, request) {
            (Some(refused), request) => Answer::Refused(request, refused),
            (None, Effect::Publish(publish)) => self.publish(self.nodes[at].id, publish),
            (None, Effect::Open { ask, channel, replay, limit }) => {
                let log = self.logs.get(&*channel).map_or(&[][..], |log| log);
                let (head, mut recovered) = (log.len(), true);
                let entries = match replay {
                    Replay::None => &[][..],
                    Replay::Last(n) => &log[head.saturating_sub(n.min(limit))..],
                    Replay::After(cursor) => {
                        let since = usize::try_from(cursor.offset).unwrap();
                        recovered = cursor.epoch == EPOCH && since <= head;
                        let since = if recovered { since } else { head.saturating_sub(limit) };
                        &log[since..head.min(since + limit)]
                    }
                };
                Answer::Opened { ask, head: head as u64, entries: entries.to_vec(), recovered }
            }
            (None, Effect::Read { ask, channel, before, after, limit }) => {
                let log = self.logs.get(&*channel).map_or(&[][..], |log| log);
                let fits = |kept: &&Kept| {
                    before.is_none_or(|before| kept.offset < before)
                        && after.is_none_or(|after| kept.offset > after)
                };
                let all: Vec<Kept> = log.iter().filter(fits).cloned().collect();
                let (len, more) = (all.len(), all.len() > limit);
                let from = if after.is_some() { 0 } else { len.saturating_sub(limit) };
                Answer::Page { ask, entries: all[from..len.min(from + limit)].to_vec(), more }
            }
            (None, other) => panic!("{other:?}"),
        };
        self.nodes[at].answers.push_back(answer);
        true
    }

    fn publish(&mut self, node: NodeId, publish: Publish) -> Answer {
        let Publish { ask, channels, from, to, content, body, once, origin } = publish;
        let once = once.map(|(producer, seq)| (producer.to_string(), seq));
        if let Some(&at) = once.as_ref().and_then(|once| self.once.get(once)) {
            return Answer::Published(ask, Ok(Published { at, duplicate: true }));
        }
        let mut at = Cursor::default();
        for channel in &channels {
            let log = self.logs.entry(channel.to_string()).or_default();
            at = Cursor { epoch: EPOCH, offset: log.len() as u64 + 1 };
            let kept = Kept {
                channel: channel.to_string(),
                offset: at.offset,
                from: from.to_string(),
                to: to.as_deref().map(ToOwned::to_owned),
                content,
                body: Arc::clone(&body),
                origin: (node, origin),
            };
            log.push(kept.clone());
            for node in &mut self.nodes {
                if node.follows.contains(&**channel) {
                    node.entries.entry(channel.to_string()).or_default().push_back(kept.clone());
                }
            }
        }
        if let Some(once) = once {
            self.once.insert(once, at);
        }
        Answer::Published(ask, Ok(Published { at, duplicate: false }))
    }

    /// A hub hears the oldest answer.
    pub(crate) fn answer(&mut self, at: usize) -> bool {
        let Some(answer) = self.nodes[at].answers.pop_front() else {
            return false;
        };
        let id = self.nodes[at].id;
        let hub = &mut self.nodes[at].hub;
        let mut out = Vec::new();
        match answer {
            Answer::Published(ask, result) => hub.published(ask, result, &mut out),
            Answer::Opened { ask, head, entries, recovered } => {
                let entries: Vec<Entry<'_>> = entries.iter().map(|kept| kept.entry(id)).collect();
                let head = Cursor { epoch: EPOCH, offset: head };
                hub.opened(ask, Ok(Opened { head, entries: &entries, recovered }), &mut out);
            }
            Answer::Page { ask, entries, more } => {
                let entries: Vec<Entry<'_>> = entries.iter().map(|kept| kept.entry(id)).collect();
                hub.page(ask, Ok(Page { epoch: EPOCH, entries: &entries, more }), &mut out);
            }
            Answer::Refused(Effect::Publish(it), refused) => {
                hub.published(it.ask, Err(refused), &mut out);
            }
            Answer::Refused(Effect::Open { ask, .. }, refused) => {
                hub.opened(ask, Err(refused), &mut out);
            }
            Answer::Refused(Effect::Read { ask, .. }, refused) => {
                hub.page(ask, Err(refused), &mut out);
            }
            Answer::Refused(other, _) => panic!("{other:?}"),
        }
        self.perform(at, out);
        true
    }

    /// A hub hears the oldest entry of the nth channel that has one.
    pub(crate) fn deliver(&mut self, at: usize, nth: usize) -> bool {
        let node = &mut self.nodes[at];
        node.entries.retain(|_, waiting| !waiting.is_empty());
        let count = node.entries.len();
        if count == 0 {
            return false;
        }
        let waiting = node.entries.values_mut().nth(nth % count).unwrap();
        let kept = waiting.pop_front().unwrap();
        let mut out = Vec::new();
        node.hub.entry(&kept.entry(node.id), &mut out);
        self.perform(at, out);
        true
    }

    /// A hub hears the oldest word of the others.
    pub(crate) fn post(&mut self, at: usize) -> bool {
        let Some((from, mail)) = self.nodes[at].mail.pop_front() else {
            return false;
        };
        let mut out = Vec::new();
        let hub = &mut self.nodes[at].hub;
        match mail {
            Mail::Up => hub.node_up(from, &mut out),
            Mail::Down => hub.node_down(from, &mut out),
            Mail::Says(what) => hub.elsewhere(from, what, &mut out),
        }
        self.perform(at, out);
        true
    }

    /// Until nothing is under way: answers before entries.
    pub(crate) fn settle(&mut self) {
        let mut busy = true;
        while busy {
            busy = false;
            for at in 0..self.nodes.len() {
                while self.post(at) || self.serve(at) || self.answer(at) || self.deliver(at, 0) {
                    busy = true;
                }
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.nodes.iter().all(|node| node.hub.is_empty() && node.follows.is_empty())
    }
}
