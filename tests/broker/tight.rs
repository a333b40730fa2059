//! Limits so narrow that something always has to go: what is promised holds all the same.

use super::*;
use proptest::prelude::*;
use sockeye::broker::Refusal;
use std::collections::{BTreeMap, BTreeSet};

const NODES: usize = 3;

const LIMITS: Limits = Limits {
    entries_per_channel: 3,
    bytes_per_channel: 900,
    bytes: 2200,
    channels: 4,
    idle_ms: 40,
    producers: 3,
    producer_bytes: 2000,
    remembered: 2,
    remember_ms: 30,
    queue_bytes: 2500,
};

#[derive(Clone, Debug)]
enum Step {
    Publish { channels: Vec<usize>, len: usize, once: Option<(usize, u64)> },
    Resend,
    Open { channel: usize, keep: bool, limit: usize },
    Follow { channel: usize },
    Unfollow { channel: usize },
    Pass { channel: Option<usize> },
    Poll,
    Wait { ms: u64 },
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<(usize, Step)>> {
    let channel = || 0..7usize;
    let once = prop::option::of((0..5usize, 0..30u64));
    let step = prop_oneof![
        9 => (prop::collection::vec(channel(), 1..=2), 0..900usize, once).prop_map(
            |(channels, len, once)| Step::Publish { channels, len: len / 3 * (len % 3), once }
        ),
        3 => Just(Step::Resend),
        6 => (channel(), any::<bool>(), 0..5usize).prop_map(
            |(channel, keep, limit)| Step::Open { channel, keep, limit }
        ),
        3 => channel().prop_map(|channel| Step::Follow { channel }),
        3 => channel().prop_map(|channel| Step::Unfollow { channel }),
        2 => prop::option::of(channel()).prop_map(|channel| Step::Pass { channel }),
        5 => Just(Step::Poll),
        2 => (0..50u64).prop_map(|ms| Step::Wait { ms }),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec((0..NODES, step), 1..150)
}

/// A channel's name, an epoch of it, an offset there.
type Place = (String, u64, u64);

struct Node {
    handle: Memory,
    follows: BTreeSet<String>,
    /// What it must be told, in this order.
    owed: Vec<Place>,
    told: Vec<Place>,
}

struct Run {
    cluster: Cluster,
    nodes: Vec<Node>,
    now_ms: u64,
    /// Everything that was ever published, and the newest place of each channel.
    history: BTreeMap<Place, String>,
    heads: BTreeMap<String, Cursor>,
    /// Of each channel.
    epochs: BTreeSet<(String, u64)>,
    last_numbered: Option<(Request, Vec<Cursor>, u64)>,
}

impl Node {
    fn new(cluster: &Cluster) -> Self {
        let handle = silent(cluster);
        Self { handle, follows: BTreeSet::new(), owed: vec![], told: vec![] }
    }
}

fn name(channel: usize) -> String {
    format!("room {channel}")
}

fn place(channel: &str, at: Cursor) -> Place {
    (channel.to_owned(), at.epoch, at.offset)
}

impl Run {
    fn new() -> Self {
        let cluster = cluster(LIMITS);
        Self {
            nodes: (0..NODES).map(|_| Node::new(&cluster)).collect(),
            cluster,
            now_ms: NOW,
            history: BTreeMap::new(),
            heads: BTreeMap::new(),
            epochs: BTreeSet::new(),
            last_numbered: None,
        }
    }

    fn step(&mut self, node: usize, step: &Step) {
        match step {
            Step::Publish { channels, len, once } => {
                let names: Vec<_> = channels.iter().map(|&channel| name(channel)).collect();
                let names: Vec<_> = names.iter().map(String::as_str).collect();
                let producer = once.map(|(producer, seq)| (format!("producer {producer}"), seq));
                let once = producer.as_ref().map(|(producer, seq)| (producer.as_str(), *seq));
                let body = format!("{}{}", self.history.len(), "x".repeat(*len));
                self.publish(node, &names, &body, once);
            }
            Step::Resend => self.resend(node),
            Step::Open { channel, keep, limit } => self.open(node, &name(*channel), *keep, *limit),
            Step::Follow { channel } => {
                let node = &mut self.nodes[node];
                node.handle.follow(&name(*channel));
                node.follows.insert(name(*channel));
            }
            Step::Unfollow { channel } => {
                let node = &mut self.nodes[node];
                node.handle.unfollow(&name(*channel));
                node.follows.remove(&name(*channel));
            }
            Step::Pass { channel } => {
                let channel = channel.map(name);
                let full = self.nodes[node].handle.backlog() + 900 > LIMITS.queue_bytes;
                let passed =
                    self.nodes[node].handle.pass(passing(channel.as_deref(), &"x".repeat(300)));
                assert!(passed.is_ok() || full, "{passed:?}");
            }
            Step::Poll => drop(self.ask(node, None)),
            Step::Wait { ms } => self.now_ms += ms,
            Step::Restart => self.nodes[node] = Node::new(&self.cluster),
        }
    }

    /// Submits and polls; remembers the entries that came, and gives the answer.
    fn ask(&mut self, node: usize, request: Option<Request>) -> Option<Outcome> {
        let node = &mut self.nodes[node];
        if let Some(request) = request {
            node.handle.submit(1, request, self.now_ms);
        }
        let mut answer = None;
        for event in poll(&mut node.handle) {
            match event {
                Event::Done { outcome, .. } => answer = Some(outcome),
                Event::Entry(entry) => node.told.push(place(&entry.channel, entry.at)),
                _ => {}
            }
        }
        answer
    }

    fn publish(&mut self, node: usize, names: &[&str], body: &str, once: Option<(&str, u64)>) {
        let request = publish(names, body, once);
        let outcome = self.ask(node, Some(request.clone())).unwrap();
        let Outcome::Published { places, duplicate } = outcome else {
            assert!(matches!(
                outcome,
                Outcome::Refused(Refusal::Full { .. } | Refusal::OutOfOrder { .. })
            ));
            return;
        };
        assert!(!duplicate || once.is_some());
        if duplicate {
            return;
        }
        for (index, (name, at)) in names.iter().zip(&places).enumerate() {
            if names[..index].contains(name) {
                continue;
            }
            let new = self.history.insert(place(name, *at), body.to_owned());
            assert_eq!(new, None, "a place was given twice");
            self.see(name, *at, 1);
            for node in &mut self.nodes {
                if node.follows.contains(*name) {
                    node.owed.push(place(name, *at));
                }
            }
        }
        if once.is_some() {
            self.last_numbered = Some((request, places, self.now_ms));
        }
    }

    /// A head is the one before moved on, or begins a log of a new epoch; only an unfollowed log ends.
    fn see(&mut self, channel: &str, head: Cursor, moved: u64) {
        let before = self.heads.insert(channel.to_owned(), head);
        match before.filter(|before| before.epoch == head.epoch) {
            Some(before) => assert_eq!(head.offset, before.offset + moved),
            None => {
                assert!(
                    self.epochs.insert((channel.to_owned(), head.epoch)),
                    "an epoch came again"
                );
                assert_eq!(head.offset, moved, "a new log begins at its beginning");
            }
        }
    }

    /// The newest numbered message again, through any node: within the time it is known.
    fn resend(&mut self, node: usize) {
        let Some((request, places, at_ms)) = self.last_numbered.clone() else {
            return;
        };
        if self.now_ms - at_ms > LIMITS.remember_ms {
            return;
        }
        let again = self.ask(node, Some(request)).unwrap();
        assert_eq!(again, Outcome::Published { places, duplicate: true });
    }

    fn open(&mut self, node: usize, channel: &str, keep: bool, limit: usize) {
        let known = self.heads.get(channel).copied();
        let back = |at: Cursor| Cursor { offset: at.offset.saturating_sub(2), ..at };
        let cursor = known.map_or(Cursor { epoch: 1, offset: 0 }, back);
        let replay = Replay::After(cursor);
        let request = Request::Open { channel: channel.into(), keep, replay, limit };
        let outcome = self.ask(node, Some(request)).unwrap();
        let Outcome::Opened { head, entries, recovered } = outcome else {
            assert!(matches!(outcome, Outcome::Refused(Refusal::Full { .. })), "{outcome:?}");
            return;
        };
        let followed = self.nodes.iter().any(|node| node.follows.contains(channel));
        self.see(channel, head, 0);
        assert!(entries.len() <= limit);
        for entry in &entries {
            assert_eq!(self.history[&place(channel, entry.at)], text(&entry.content));
            assert_eq!((entry.at.epoch, entry.prev), (head.epoch, entry.at.offset - 1));
        }
        assert!(entries.is_sorted_by(|left, right| left.at.offset < right.at.offset));
        let missed =
            if cursor.epoch == head.epoch { head.offset - cursor.offset } else { u64::MAX };
        let offsets: Vec<_> = entries.iter().map(|entry| entry.at.offset).collect();
        let whole = offsets.len() as u64 == missed;
        assert_eq!(recovered, whole, "{cursor:?} to {head:?}: {offsets:?}, followed: {followed}");
    }

    fn check(&self) {
        let usage = self.cluster.usage();
        assert!(usage.logs <= LIMITS.channels, "{usage:?}");
        assert!(usage.entries <= LIMITS.channels * LIMITS.entries_per_channel, "{usage:?}");
        assert!(usage.bytes <= LIMITS.bytes, "{usage:?}");
        assert!(usage.producers <= LIMITS.producers, "{usage:?}");
        assert!(usage.producer_bytes <= LIMITS.producer_bytes, "{usage:?}");
        let follows: usize = self.nodes.iter().map(|node| node.follows.len()).sum();
        assert_eq!((usage.follows, usage.nodes), (follows, NODES));
        for node in &self.nodes {
            assert!(node.handle.backlog() <= LIMITS.queue_bytes);
        }
    }
}

proptest! {
    #[test]
    fn narrow_limits_lose_history_and_nothing_else(steps in steps()) {
        let mut run = Run::new();
        for (node, step) in &steps {
            // A log that was followed before and after a step is the same log.
            let followed: BTreeSet<_> =
                run.nodes.iter().flat_map(|node| node.follows.iter().cloned()).collect();
            let kept: Vec<_> = followed.into_iter().filter(|it| run.nodes[0].handle.keeps(it)).collect();
            let heads: Vec<_> = kept.iter().map(|it| run.heads.get(it).copied()).collect();
            run.step(*node, step);
            run.check();
            for (channel, before) in kept.iter().zip(heads) {
                if run.nodes.iter().any(|node| node.follows.contains(channel)) {
                    let now = run.heads.get(channel).copied();
                    prop_assert_eq!(now.map(|at| at.epoch), before.map(|at| at.epoch));
                    prop_assert!(run.nodes[0].handle.keeps(channel), "{} was dropped", channel);
                }
            }
        }
        for node in 0..NODES {
            run.ask(node, None);
            prop_assert_eq!(&run.nodes[node].told, &run.nodes[node].owed, "node {}", node);
        }
        run.nodes.clear();
        let usage = run.cluster.usage();
        prop_assert_eq!((usage.nodes, usage.follows, usage.waiting), (0, 0, 0));
    }
}
