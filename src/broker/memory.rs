//! The broker whose logs live in memory, and end with it. Everything is done at once, under one lock;
//! its order is the order of the lock.

use super::Broker;
use super::channels::Channels;
use super::entry::{Content, Cursor, Passing};
use super::limits::Limits;
use super::log::Log;
use super::producers::{Producers, Verdict};
use super::queue::{Queue, Wake};
use super::request::{Bounded, Event, NodeId, Once, Outcome, Refusal, Replay, Request, Ticket};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The nodes of one process and what they keep together. Logs last as long as it or one of its nodes.
///
/// ```
/// use sockeye::broker::{Broker, Cluster, Content, Event, Limits, Request};
///
/// let cluster = Cluster::new(Limits::default(), 1_700_000_000_000);
/// let mut ann = cluster.join(|| {});
/// let mut bob = cluster.join(|| { /* tell bob's loop to poll */ });
/// bob.follow("tea");
///
/// let body = b"hello".as_slice().into();
/// let content = Content { from: "ann".into(), to: None, kind: 0, body, origin: 1 };
/// let publish = Request::Publish { channels: vec!["tea".into()], content, once: None };
/// ann.submit(7, publish, 1_700_000_000_500);
///
/// let mut events = Vec::new();
/// bob.poll(&mut events);
/// assert_eq!(events[0], Event::NodeUp(ann.node()));
/// let Event::Entry(entry) = &events[1] else { panic!("{events:?}") };
/// assert_eq!((entry.at.offset, &*entry.content.body), (1, b"hello".as_slice()));
/// ```
#[derive(Clone, Debug)]
pub struct Cluster(Arc<Shared>);

/// One node of a [`Cluster`].
#[derive(Debug)]
pub struct Memory {
    shared: Arc<Shared>,
    node: NodeId,
}

/// How much a cluster holds.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Usage {
    /// Nodes that are there.
    pub nodes: usize,
    /// Pairs of a node and a channel that it follows by its name.
    pub follows: usize,
    /// Events that wait, of all nodes.
    pub waiting: usize,
    /// Logs.
    pub logs: usize,
    /// Entries in them.
    pub entries: usize,
    /// Bytes of these, as [`Limits::bytes`] counts.
    pub bytes: usize,
    /// Producers that are remembered.
    pub producers: usize,
    /// Bytes of what is remembered, as [`Limits::producer_bytes`] counts.
    pub producer_bytes: usize,
}

/// How much waits and is kept: what can be told at once, however many channels there are.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Load {
    /// Events that wait, of all nodes.
    pub waiting: usize,
    /// Bytes of entries and passings among them, as [`Limits::queue_bytes`] counts.
    pub waiting_bytes: usize,
    /// Logs.
    pub logs: usize,
    /// Bytes of their entries, as [`Limits::bytes`] counts.
    pub bytes: usize,
}

impl Cluster {
    /// A cluster without nodes.
    ///
    /// `generation` makes its epochs differ from those of every cluster before it: the time of its
    /// start in milliseconds since 1970 will do. Each leaves room for 1,024 logs a
    /// millisecond that take the place of dropped ones, and the epochs stay below 2^53 until the year 2248.
    pub fn new(limits: Limits, generation: u64) -> Self {
        const LOGS_BITS: u32 = 10;
        let generation = generation.min((1 << (53 - LOGS_BITS)) - 2);
        let state = State {
            channels: Channels::new(generation << LOGS_BITS),
            producers: Producers::new(),
            queues: BTreeMap::new(),
            last_node: 0,
        };
        Self(Arc::new(Shared { limits, state: Mutex::new(state) }))
    }

    /// One more node. It and each other are told of one another.
    ///
    /// `wake` is called, from the thread of another node and outside of every lock, when something new
    /// waits because of that one; then not again until the node has polled. It may still be called
    /// once when the node is just gone.
    pub fn join(&self, wake: impl Fn() + Send + Sync + 'static) -> Memory {
        let mut wakes = Vec::new();
        let mut state = self.0.state();
        state.last_node += 1;
        let node = NodeId(state.last_node);
        let mut queue = Queue::new(Arc::new(wake));
        for (&other, others) in &mut state.queues {
            others.push(Event::NodeUp(node), 0, &mut wakes);
            queue.push_own(Event::NodeUp(other), 0);
        }
        state.queues.insert(node, queue);
        drop(state);
        call(wakes);
        Memory { shared: Arc::clone(&self.0), node }
    }

    /// What of its figures costs a short lock and nothing else.
    pub fn load(&self) -> Load {
        let state = self.0.state();
        Load {
            waiting: state.queues.values().map(Queue::len).sum(),
            waiting_bytes: state.queues.values().map(Queue::bytes).sum(),
            logs: state.channels.logs(),
            bytes: state.channels.bytes(),
        }
    }

    /// What it holds now. Walks over all channels under the lock: for figures, not for every message.
    pub fn usage(&self) -> Usage {
        let state = self.0.state();
        let (follows, entries) = state.channels.count();
        Usage {
            nodes: state.queues.len(),
            follows,
            waiting: state.queues.values().map(Queue::len).sum(),
            logs: state.channels.logs(),
            entries,
            bytes: state.channels.bytes(),
            producers: state.producers.len(),
            producer_bytes: state.producers.bytes(),
        }
    }
}

impl Memory {
    /// The cluster that it belongs to.
    pub fn cluster(&self) -> Cluster {
        Cluster(Arc::clone(&self.shared))
    }
}

impl Broker for Memory {
    fn node(&self) -> NodeId {
        self.node
    }

    fn submit(&mut self, ticket: Ticket, request: Request, at_ms: u64) {
        let mut wakes = Vec::new();
        let mut state = self.shared.state();
        let outcome = state
            .answer(self.node, request, at_ms, &self.shared.limits, &mut wakes)
            .unwrap_or_else(Outcome::Refused);
        if let Some(queue) = state.queues.get_mut(&self.node) {
            queue.push_own(Event::Done { ticket, outcome }, 0);
        }
        drop(state);
        call(wakes);
    }

    fn follow(&mut self, channel: &str) {
        self.shared.state().channels.follow(channel, self.node);
    }

    fn follow_family(&mut self, family: &str) {
        self.shared.state().channels.follow_family(family, self.node);
    }

    fn unfollow(&mut self, channel: &str) {
        self.shared.state().channels.unfollow(channel, self.node);
    }

    fn pass(&mut self, passing: Passing) -> Result<(), Refusal> {
        let mut wakes = Vec::new();
        let passed = {
            let mut state = self.shared.state();
            state.pass(self.node, passing, &self.shared.limits, &mut wakes)
        };
        call(wakes);
        passed
    }

    fn keeps(&self, channel: &str) -> bool {
        self.shared.state().channels.log(channel).is_some()
    }

    fn poll(&mut self, events: &mut Vec<Event>) {
        if let Some(queue) = self.shared.state().queues.get_mut(&self.node) {
            queue.take(events);
        }
    }

    fn backlog(&self) -> usize {
        let state = self.shared.state();
        let others = state.queues.iter().filter(|&(&node, _)| node != self.node);
        others.map(|(_, queue)| queue.bytes()).max().unwrap_or(0)
    }

    fn audience(&self, channel: &str) -> Option<usize> {
        let state = self.shared.state();
        let others = state.channels.followers(channel).filter(|&node| node != self.node);
        others.filter_map(|node| state.queues.get(&node)).map(Queue::bytes).max()
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let mut wakes = Vec::new();
        let mut state = self.shared.state();
        let left = state.queues.remove(&self.node);
        state.channels.forget(self.node);
        for queue in state.queues.values_mut() {
            queue.push(Event::NodeDown(self.node), 0, &mut wakes);
        }
        drop(state);
        drop(left);
        call(wakes);
    }
}

#[derive(Debug)]
struct Shared {
    limits: Limits,
    state: Mutex<State>,
}

impl Shared {
    /// Nothing of the caller's runs under the lock, so that a panic elsewhere leaves the state whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct State {
    channels: Channels,
    producers: Producers,
    queues: BTreeMap<NodeId, Queue>,
    last_node: u32,
}

impl State {
    fn answer(
        &mut self,
        node: NodeId,
        request: Request,
        at_ms: u64,
        limits: &Limits,
        wakes: &mut Vec<Wake>,
    ) -> Result<Outcome, Refusal> {
        self.channels.age(at_ms, limits);
        self.producers.age(at_ms, limits);
        match request {
            Request::Publish { channels, content, once } => {
                if let Some(places) = self.find_known(once.as_ref())? {
                    return Ok(Outcome::Published { places, duplicate: true });
                }
                self.make_room(&channels, &content, once.as_ref(), limits)?;
                let places = self.append(node, &channels, &content, at_ms, limits, wakes);
                if let Some(once) = once {
                    self.producers.remember(once, &places, limits);
                }
                Ok(Outcome::Published { places, duplicate: false })
            }
            Request::Open { channel, keep, replay, limit } => {
                self.open(channel, keep, replay, limit, limits)
            }
            Request::Read { channel, before, after, limit } => {
                self.channels.touch(&channel);
                let Some(log) = self.channels.log(&channel) else {
                    let head = self.channels.beginning(&channel).ok_or(Refusal::NoLog)?;
                    return Ok(Outcome::Page { head, entries: Vec::new(), more: false });
                };
                let (entries, more) = log.page(before, after, limit);
                Ok(Outcome::Page { head: log.head(), entries, more })
            }
        }
    }

    fn open(
        &mut self,
        channel: Arc<str>,
        keep: bool,
        replay: Replay,
        limit: usize,
        limits: &Limits,
    ) -> Result<Outcome, Refusal> {
        if !keep
            && self.channels.log(&channel).is_none()
            && let Some(head) = self.channels.beginning(&channel)
        {
            let (entries, recovered) = Log::new(head.epoch).replay(replay, limit);
            return Ok(Outcome::Opened { head, entries, recovered });
        }
        let full = Refusal::Full { what: Bounded::Logs, max: limits.channels };
        let names = [channel];
        if !self.channels.open(&names, limits) {
            return Err(full);
        }
        let log = self.channels.log(&names[0]).ok_or(full)?;
        let (entries, recovered) = log.replay(replay, limit);
        Ok(Outcome::Opened { head: log.head(), entries, recovered })
    }

    /// The places of a resend.
    fn find_known(&mut self, once: Option<&Once>) -> Result<Option<Vec<Cursor>>, Refusal> {
        let Some(once) = once else {
            return Ok(None);
        };
        match self.producers.judge(once) {
            Verdict::New => Ok(None),
            Verdict::Known(places) => Ok(Some(places)),
            Verdict::Old { last } => Err(Refusal::OutOfOrder { seq: once.seq, last }),
        }
    }

    /// Everything that can be refused is, before anything is appended.
    fn make_room(
        &mut self,
        channels: &[Arc<str>],
        content: &Content,
        once: Option<&Once>,
        limits: &Limits,
    ) -> Result<(), Refusal> {
        if !matches!(channels.len(), 1 | 2) {
            return Err(Refusal::Channels { count: channels.len() });
        }
        // Whoever follows both gets both.
        let bytes = content.bytes() * channels.len();
        for channel in channels {
            let followers = self.channels.followers(channel);
            let mut queues = followers.filter_map(|node| self.queues.get(&node));
            if !queues.all(|queue| queue.has_room(bytes, limits.queue_bytes)) {
                return Err(queue_full(limits));
            }
        }
        if let Some(once) = once {
            self.producers.make_room(once, limits)?;
        }
        if !self.channels.open(channels, limits) {
            return Err(Refusal::Full { what: Bounded::Logs, max: limits.channels });
        }
        Ok(())
    }

    fn append(
        &mut self,
        node: NodeId,
        channels: &[Arc<str>],
        content: &Content,
        at_ms: u64,
        limits: &Limits,
        wakes: &mut Vec<Wake>,
    ) -> Vec<Cursor> {
        let bytes = content.bytes();
        let mut places = Vec::with_capacity(channels.len());
        for (index, channel) in channels.iter().enumerate() {
            if let Some(same) = channels[..index].iter().position(|other| other == channel) {
                places.extend(places.get(same).copied());
                continue;
            }
            let entry = self
                .channels
                .append(channel, at_ms, content.clone(), limits)
                .expect("every channel was given a log before");
            places.push(entry.at);
            for follower in self.channels.followers(channel) {
                let Some(queue) = self.queues.get_mut(&follower) else {
                    continue;
                };
                let event = Event::Entry(Arc::clone(&entry));
                if follower == node {
                    queue.push_own(event, bytes);
                } else {
                    queue.push(event, bytes, wakes);
                }
            }
        }
        places
    }

    fn pass(
        &mut self,
        node: NodeId,
        passing: Passing,
        limits: &Limits,
        wakes: &mut Vec<Wake>,
    ) -> Result<(), Refusal> {
        let bytes = passing.content.bytes();
        let passing = Arc::new(passing);
        let followers = passing.channel.as_ref();
        let followers = followers.map(|it| self.channels.followers(it).collect::<Vec<_>>());
        let concerned = |other: &NodeId| {
            *other != node && followers.as_ref().is_none_or(|followers| followers.contains(other))
        };
        let mut queues: Vec<_> = self
            .queues
            .iter_mut()
            .filter_map(|(other, queue)| concerned(other).then_some(queue))
            .collect();
        if !queues.iter().all(|queue| queue.has_room(bytes, limits.queue_bytes)) {
            return Err(queue_full(limits));
        }
        for queue in &mut queues {
            let event = Event::Passed { from: node, passing: Arc::clone(&passing) };
            queue.push(event, bytes, wakes);
        }
        Ok(())
    }
}

fn queue_full(limits: &Limits) -> Refusal {
    Refusal::Full { what: Bounded::QueueBytes, max: limits.queue_bytes }
}

fn call(wakes: Vec<Wake>) {
    for wake in wakes {
        wake();
    }
}
