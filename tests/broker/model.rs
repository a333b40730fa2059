//! Any order of requests by several nodes, beside a model that is too simple to be wrong: it foretells
//! every event of every node.

use super::*;
use proptest::prelude::*;
use sockeye::broker::Refusal;
use std::collections::{BTreeMap, BTreeSet};

const NODES: usize = 3;
const CHANNELS: [&str; 3] = ["tea", "coffee", "@ann"];
/// The family of the last channel, among what a node follows.
const FAMILY: usize = 3;
const KEPT: usize = 4;
const REMEMBERED: usize = 2;

#[derive(Clone, Debug)]
enum Step {
    Join { node: usize },
    Leave { node: usize },
    Poll { node: usize },
    Follow { node: usize, channel: usize },
    Unfollow { node: usize, channel: usize },
    FollowFamily { node: usize },
    Publish { node: usize, channel: usize, also: Option<usize>, once: Option<(usize, u64)> },
    Open { node: usize, channel: usize, keep: bool, replay: Past, limit: usize },
    Read { node: usize, channel: usize, before: Option<u64>, after: Option<u64>, limit: usize },
    Pass { node: usize, channel: Option<usize> },
}

/// A [`Replay`] whose epoch is not known yet.
#[derive(Clone, Copy, Debug)]
enum Past {
    None,
    Last(usize),
    After(u64),
    AfterInAnotherLog(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let node = || 0..NODES;
    let channel = || 0..CHANNELS.len();
    let offset = || prop::option::of(0..9u64);
    let past = prop_oneof![
        Just(Past::None),
        (0..6usize).prop_map(Past::Last),
        (0..12u64).prop_map(Past::After),
        (0..3u64).prop_map(Past::AfterInAnotherLog),
    ];
    let once = prop::option::of((0..2usize, 0..9u64));
    let step = prop_oneof![
        2 => node().prop_map(|node| Step::Join { node }),
        1 => node().prop_map(|node| Step::Leave { node }),
        4 => node().prop_map(|node| Step::Poll { node }),
        4 => (node(), channel()).prop_map(|(node, channel)| Step::Follow { node, channel }),
        2 => (node(), channel()).prop_map(|(node, channel)| Step::Unfollow { node, channel }),
        1 => node().prop_map(|node| Step::FollowFamily { node }),
        9 => (node(), channel(), prop::option::of(channel()), once).prop_map(
            |(node, channel, also, once)| Step::Publish { node, channel, also, once }
        ),
        4 => (node(), channel(), any::<bool>(), past, 0..7usize).prop_map(
            |(node, channel, keep, replay, limit)| Step::Open { node, channel, keep, replay, limit }
        ),
        2 => (node(), channel(), offset(), offset(), 0..7usize).prop_map(
            |(node, channel, before, after, limit)| Step::Read { node, channel, before, after, limit }
        ),
        4 => (node(), prop::option::of(channel())).prop_map(
            |(node, channel)| Step::Pass { node, channel }
        ),
    ];
    prop::collection::vec(step, 1..120)
}

/// An event, as foretold. Epochs are left out, as a log of this test is never dropped: each channel has
/// one, from before its log on.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Told {
    Entry(Said),
    Passed(usize, u64),
    Up(usize),
    Down(usize),
    Published { ticket: u64, offsets: Vec<u64>, duplicate: bool },
    OutOfOrder { ticket: u64, last: u64 },
    Opened { ticket: u64, head: u64, entries: Vec<Said>, recovered: bool },
    Page { ticket: u64, head: u64, entries: Vec<Said>, more: bool },
}

/// Channel, offset, and the number of the step that said it.
type Said = (usize, u64, u64);

fn is_told_of(follows: &BTreeSet<usize>, channel: usize) -> bool {
    let of_family = CHANNELS[channel].starts_with('@') && follows.contains(&FAMILY);
    follows.contains(&channel) || of_family
}

#[derive(Default)]
struct Model {
    /// All that was ever said, by channel.
    logs: BTreeMap<usize, Vec<Said>>,
    producers: BTreeMap<usize, Vec<(u64, Vec<u64>)>>,
    /// What each node that is there has to be told, and what it follows.
    nodes: BTreeMap<usize, (Vec<Told>, BTreeSet<usize>)>,
}

impl Model {
    fn tell(&mut self, node: usize, told: Told) {
        self.nodes.get_mut(&node).unwrap().0.push(told);
    }

    fn tell_others(&mut self, node: usize, told: &Told, wanted: impl Fn(&BTreeSet<usize>) -> bool) {
        for (_, (waiting, follows)) in self.nodes.iter_mut().filter(|(other, _)| **other != node) {
            if wanted(follows) {
                waiting.push(told.clone());
            }
        }
    }

    fn kept(&self, channel: usize) -> &[Said] {
        let all = self.logs.get(&channel).map_or(&[][..], |log| log);
        &all[all.len().saturating_sub(KEPT)..]
    }

    fn publish(
        &mut self,
        node: usize,
        channels: &[usize],
        once: Option<(usize, u64)>,
        ticket: u64,
    ) {
        if let Some((producer, seq)) = once {
            let said = self.producers.entry(producer).or_default();
            let recent = said.iter().rev().take(REMEMBERED);
            if let Some((_, offsets)) = recent.clone().find(|(other, _)| *other == seq) {
                let offsets = offsets.clone();
                return self.tell(node, Told::Published { ticket, offsets, duplicate: true });
            }
            let last = said.last().map(|(last, _)| *last);
            if let Some(last) = last.filter(|last| seq <= *last) {
                return self.tell(node, Told::OutOfOrder { ticket, last });
            }
        }
        let mut offsets = Vec::new();
        for (index, channel) in channels.iter().enumerate() {
            let log = self.logs.entry(*channel).or_default();
            if !channels[..index].contains(channel) {
                let said = (*channel, log.len() as u64 + 1, ticket);
                log.push(said);
                for (waiting, follows) in self.nodes.values_mut() {
                    if is_told_of(follows, *channel) {
                        waiting.push(Told::Entry(said));
                    }
                }
            }
            offsets.push(self.logs[channel].len() as u64);
        }
        if let Some((producer, seq)) = once {
            self.producers.entry(producer).or_default().push((seq, offsets.clone()));
        }
        self.tell(node, Told::Published { ticket, offsets, duplicate: false });
    }

    fn open(
        &mut self,
        node: usize,
        (channel, keep): (usize, bool),
        past: Past,
        limit: usize,
        ticket: u64,
    ) {
        if keep {
            self.logs.entry(channel).or_default();
        }
        let head = self.logs.get(&channel).map_or(0, Vec::len) as u64;
        let kept = self.kept(channel);
        let wanted: Vec<Said> = match past {
            Past::None => vec![],
            Past::Last(count) => kept.iter().rev().take(count).rev().copied().collect(),
            Past::After(after) if after <= head => {
                kept.iter().filter(|(_, offset, _)| *offset > after).copied().collect()
            }
            Past::After(_) | Past::AfterInAnotherLog(_) => kept.to_vec(),
        };
        let entries: Vec<Said> = wanted.iter().rev().take(limit).rev().copied().collect();
        let recovered = match past {
            Past::None | Past::Last(_) => true,
            Past::After(after) => after <= head && entries.len() as u64 == head - after,
            Past::AfterInAnotherLog(_) => false,
        };
        self.tell(node, Told::Opened { ticket, head, entries, recovered });
    }

    fn read(
        &mut self,
        node: usize,
        channel: usize,
        (before, after): (Option<u64>, Option<u64>),
        limit: usize,
        ticket: u64,
    ) {
        let mut entries: Vec<Said> = self.kept(channel).to_vec();
        entries.retain(|(_, offset, _)| after.is_none_or(|after| *offset > after));
        entries.retain(|(_, offset, _)| before.is_none_or(|before| *offset < before));
        let more = entries.len() > limit;
        while entries.len() > limit {
            let cut = if after.is_some() { entries.len() - 1 } else { 0 };
            entries.remove(cut);
        }
        let head = self.logs.get(&channel).map_or(0, Vec::len) as u64;
        self.tell(node, Told::Page { ticket, head, entries, more });
    }
}

struct Run {
    cluster: Cluster,
    handles: [Option<Memory>; NODES],
    /// Which place in the test a number of a node was.
    places: BTreeMap<NodeId, usize>,
    epochs: BTreeMap<usize, u64>,
    /// Of which channel each opening and reading was.
    asked: BTreeMap<u64, usize>,
    model: Model,
}

impl Run {
    fn new() -> Self {
        let limits =
            Limits { entries_per_channel: KEPT, remembered: REMEMBERED, ..Limits::default() };
        Self {
            cluster: cluster(limits),
            handles: [const { None }; NODES],
            places: BTreeMap::new(),
            epochs: BTreeMap::new(),
            asked: BTreeMap::new(),
            model: Model::default(),
        }
    }

    fn step(&mut self, ticket: u64, step: &Step) {
        match *step {
            Step::Join { node } if self.handles[node].is_none() => self.join(node),
            Step::Leave { node } if self.handles[node].is_some() => {
                self.handles[node] = None;
                self.model.nodes.remove(&node);
                self.model.tell_others(node, &Told::Down(node), |_| true);
            }
            Step::Join { .. } | Step::Leave { .. } => {}
            Step::Poll { node }
            | Step::Follow { node, .. }
            | Step::Unfollow { node, .. }
            | Step::FollowFamily { node }
            | Step::Publish { node, .. }
            | Step::Open { node, .. }
            | Step::Read { node, .. }
            | Step::Pass { node, .. } => {
                if self.handles[node].is_none() {
                    self.join(node);
                }
                self.ask(ticket, step);
            }
        }
    }

    fn join(&mut self, node: usize) {
        let handle = silent(&self.cluster);
        self.places.insert(handle.node(), node);
        let waiting = self.model.nodes.keys().copied().collect::<Vec<_>>();
        self.model.tell_others(node, &Told::Up(node), |_| true);
        // The broker tells of those who came first, first.
        let mut waiting: Vec<_> = waiting
            .into_iter()
            .map(|other| (self.handles[other].as_ref().unwrap().node(), Told::Up(other)))
            .collect();
        waiting.sort_by_key(|(id, _)| *id);
        let waiting = waiting.into_iter().map(|(_, told)| told).collect();
        self.model.nodes.insert(node, (waiting, BTreeSet::new()));
        self.handles[node] = Some(handle);
    }

    fn ask(&mut self, ticket: u64, step: &Step) {
        let body = ticket.to_string();
        match *step {
            Step::Join { .. } | Step::Leave { .. } => {}
            Step::Poll { node } => self.poll(node),
            Step::Follow { node, channel } => {
                self.handle(node).follow(CHANNELS[channel]);
                self.model.nodes.get_mut(&node).unwrap().1.insert(channel);
            }
            Step::Unfollow { node, channel } => {
                self.handle(node).unfollow(CHANNELS[channel]);
                self.model.nodes.get_mut(&node).unwrap().1.remove(&channel);
            }
            Step::FollowFamily { node } => {
                self.handle(node).follow_family("@");
                self.model.nodes.get_mut(&node).unwrap().1.insert(FAMILY);
            }
            Step::Publish { node, channel, also, once } => {
                let channels: Vec<_> = [channel].into_iter().chain(also).collect();
                let names: Vec<_> = channels.iter().map(|&channel| CHANNELS[channel]).collect();
                let number = once.map(|(producer, seq)| (["ann", "bob"][producer], seq));
                self.handle(node).submit(ticket, publish(&names, &body, number), NOW);
                self.model.publish(node, &channels, once, ticket);
            }
            Step::Open { node, channel, keep, replay, limit } => {
                let epoch = self.epochs.get(&channel).copied().unwrap_or(1);
                let asked = match replay {
                    Past::None => Replay::None,
                    Past::Last(count) => Replay::Last(count),
                    // Without an epoch seen there is no cursor that it could be.
                    Past::After(offset) => Replay::After(Cursor { epoch, offset }),
                    Past::AfterInAnotherLog(offset) => {
                        Replay::After(Cursor { epoch: epoch + 1, offset })
                    }
                };
                let replay = match replay {
                    Past::After(offset) if !self.epochs.contains_key(&channel) => {
                        Past::AfterInAnotherLog(offset)
                    }
                    other => other,
                };
                self.asked.insert(ticket, channel);
                let name = CHANNELS[channel].into();
                let request = Request::Open { channel: name, keep, replay: asked, limit };
                self.handle(node).submit(ticket, request, NOW);
                self.model.open(node, (channel, keep), replay, limit, ticket);
            }
            Step::Read { node, channel, before, after, limit } => {
                self.asked.insert(ticket, channel);
                let channel_name = CHANNELS[channel].into();
                let request = Request::Read { channel: channel_name, before, after, limit };
                self.handle(node).submit(ticket, request, NOW);
                self.model.read(node, channel, (before, after), limit, ticket);
            }
            Step::Pass { node, channel } => {
                let name = channel.map(|channel| CHANNELS[channel]);
                self.handle(node).pass(passing(name, &body)).unwrap();
                self.model.tell_others(node, &Told::Passed(node, ticket), |follows| {
                    channel.is_none_or(|channel| is_told_of(follows, channel))
                });
            }
        }
    }

    fn handle(&mut self, node: usize) -> &mut Memory {
        self.handles[node].as_mut().unwrap()
    }

    fn poll(&mut self, node: usize) {
        let events = poll(self.handle(node));
        let told: Vec<_> = events.into_iter().map(|event| self.told(event)).collect();
        let foretold = std::mem::take(&mut self.model.nodes.get_mut(&node).unwrap().0);
        assert_eq!(told, foretold, "node {node}");
    }

    fn told(&mut self, event: Event) -> Told {
        match event {
            Event::Entry(entry) => Told::Entry(self.said(&entry)),
            Event::Passed { from, passing } => {
                Told::Passed(self.places[&from], text(&passing.content).parse().unwrap())
            }
            Event::NodeUp(node) => Told::Up(self.places[&node]),
            Event::NodeDown(node) => Told::Down(self.places[&node]),
            Event::Done { ticket, outcome } => match outcome {
                Outcome::Published { places, duplicate } => {
                    let offsets = places.iter().map(|at| at.offset).collect();
                    Told::Published { ticket, offsets, duplicate }
                }
                Outcome::Opened { head, entries, recovered } => {
                    self.see_head(ticket, head);
                    let entries = entries.iter().map(|entry| self.said(entry)).collect();
                    Told::Opened { ticket, head: head.offset, entries, recovered }
                }
                Outcome::Page { head, entries, more } => {
                    self.see_head(ticket, head);
                    let entries = entries.iter().map(|entry| self.said(entry)).collect();
                    Told::Page { ticket, head: head.offset, entries, more }
                }
                Outcome::Refused(Refusal::OutOfOrder { last, .. }) => {
                    Told::OutOfOrder { ticket, last }
                }
                Outcome::Refused(other) => panic!("{other}"),
            },
        }
    }

    /// Also of a channel that has no log yet: the epoch is that which the log will have.
    fn see_head(&mut self, ticket: u64, head: Cursor) {
        let epoch = *self.epochs.entry(self.asked[&ticket]).or_insert(head.epoch);
        assert_eq!(head.epoch, epoch, "{head:?}");
    }

    fn said(&mut self, entry: &Entry) -> Said {
        let channel = CHANNELS.iter().position(|name| *name == &*entry.channel).unwrap();
        let epoch = *self.epochs.entry(channel).or_insert(entry.at.epoch);
        assert_eq!((entry.at.epoch, entry.prev), (epoch, entry.at.offset - 1));
        (channel, entry.at.offset, text(&entry.content).parse().unwrap())
    }
}

proptest! {
    #[test]
    fn every_node_is_told_what_the_model_foretells(steps in steps()) {
        let mut run = Run::new();
        for (ticket, step) in (0..).zip(&steps) {
            run.step(ticket, step);
            for (channel, name) in CHANNELS.iter().enumerate() {
                let keeps = run.handles.iter().flatten().map(|node| node.keeps(name));
                prop_assert!(keeps.into_iter().all(|it| it == run.model.logs.contains_key(&channel)));
            }
        }
        for node in 0..NODES {
            if run.handles[node].is_some() {
                run.poll(node);
                run.handles[node] = None;
                run.model.nodes.remove(&node);
                run.model.tell_others(node, &Told::Down(node), |_| true);
            }
        }
        let usage = run.cluster.usage();
        prop_assert_eq!((usage.nodes, usage.follows, usage.waiting), (0, 0, 0));
        let kept: usize = run.model.logs.keys().map(|channel| run.model.kept(*channel).len()).sum();
        prop_assert_eq!((usage.logs, usage.entries), (run.model.logs.len(), kept));
        prop_assert_eq!(usage.producers, run.model.producers.len());
    }
}
