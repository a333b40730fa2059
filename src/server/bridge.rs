//! Between a loop's hub and the broker: what the hub asks is put in the broker's words, what the broker
//! tells in the hub's. Decides only how much may wait on the way.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use super::shard::Post;
use crate::broker::{
    self, Broker, Cluster, Content, Cursor, Entry, Event, Memory, Once, Outcome, Passing, Refusal,
    Request,
};
use crate::net::Mail;
use crate::relay::{
    self, Ask, ConnId, ContentKind, Effect, Elsewhere, Hub, NodeId, Opened, Page, Parts, Published,
    Refused, Replay,
};

/// One loop's end of the broker.
#[derive(Debug)]
pub(super) struct Bridge {
    broker: Memory,
    /// Where the broker rings when something came from other loops.
    bell: Arc<OnceLock<Mail<Post>>>,
    /// Who waits for which answer.
    asked: HashMap<broker::Ticket, (Ask, Answer)>,
    tickets: broker::Ticket,
    /// What other loops have no room for yet. Bounded by the senders, who are not heard meanwhile.
    held: VecDeque<Held>,
    /// There are no other loops.
    alone: bool,
    /// The broker may have something for this node.
    news: bool,
    /// Something went out since it was last asked whether the others can follow.
    spoke: bool,
    /// Empty between calls.
    events: Vec<Event>,
}

/// How the hub is to be answered.
#[derive(Clone, Copy, Debug)]
enum Answer {
    Published,
    Opened,
    Page,
}

/// Something that may fill the queues of other loops.
#[derive(Debug)]
enum Held {
    Publish(Ask, Request),
    Pass(Passing),
}

impl Bridge {
    pub(super) fn new(cluster: &Cluster, alone: bool) -> Self {
        let bell = Arc::new(OnceLock::<Mail<Post>>::new());
        let rings = Arc::clone(&bell);
        let mut broker = cluster.join(move || {
            if let Some(mail) = rings.get() {
                // A full box is looked into anyway, and then the news is read, too.
                let _ = mail.post(Post::News);
            }
        });
        // One entry at the broker serves everybody's inbox, so that people who wait for messages cost it
        // nothing. A direct message comes to every loop of the process for that, and those where nobody is
        // concerned drop it. Between machines it would be the other way round: there, follow by name.
        broker.follow_family(INBOXES);
        Self {
            broker,
            bell,
            asked: HashMap::new(),
            tickets: 0,
            held: VecDeque::new(),
            alone,
            news: true,
            spoke: false,
            events: Vec::new(),
        }
    }

    /// From here on the broker can wake this loop.
    pub(super) fn attach(&mut self, mail: Mail<Post>) {
        let _ = self.bell.set(mail);
    }

    /// The broker rang.
    pub(super) fn rang(&mut self) {
        self.news = true;
    }

    /// Whether the channel has a past.
    pub(super) fn keeps(&self, channel: &str) -> bool {
        self.broker.keeps(channel)
    }

    /// Whether other loops lag behind so far that who spoke just now should wait for them.
    pub(super) fn is_congested(&mut self) -> bool {
        std::mem::take(&mut self.spoke) && self.is_behind()
    }

    /// Whether they lag behind so far that who waits for them should go on waiting.
    pub(super) fn is_behind(&self) -> bool {
        self.is_holding() || self.broker.backlog() > WAITING_SLOW_BYTES
    }

    /// Whether something is held for them already. Then nobody else is to be heard either: each of a
    /// thousand speakers who have not had to wait yet would add a turn's worth.
    pub(super) fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }

    /// Tells the broker what the hub wants of it.
    pub(super) fn carry(&mut self, effect: Effect) {
        match effect {
            Effect::Follow(channel) => self.broker.follow(&channel),
            Effect::Unfollow(channel) => self.broker.unfollow(&channel),
            Effect::Publish(it) => {
                let content = Content {
                    from: it.from,
                    to: it.to,
                    kind: mark(it.content),
                    body: it.body,
                    origin: it.origin.0,
                };
                let once = it.once.map(|(producer, seq)| Once { producer, seq });
                let request = Request::Publish { channels: it.channels, content, once };
                self.send(Held::Publish(it.ask, request));
            }
            Effect::Open { ask, channel, replay, limit } => {
                let replay = match replay {
                    Replay::None => broker::Replay::None,
                    Replay::Last(count) => broker::Replay::Last(count),
                    Replay::After(at) => {
                        broker::Replay::After(Cursor { epoch: at.epoch, offset: at.offset })
                    }
                };
                // A room is kept from its first opening on; an inbox, when something comes into it.
                let keep = !channel.starts_with(INBOXES);
                let name = (!keep).then(|| Arc::clone(&channel));
                let request = Request::Open { channel, keep, replay, limit };
                self.submit(ask, Answer::Opened, request);
                // If it has a log, that is held now.
                if let Some(name) = name {
                    self.broker.follow(&name);
                }
            }
            Effect::Read { ask, channel, before, after, limit } => {
                let request = Request::Read { channel, before, after, limit };
                self.submit(ask, Answer::Page, request);
            }
            // A room is mostly on one loop alone, and a flood in it is no concern of the others.
            Effect::Elsewhere(what)
                if what.is_for_followers() && self.broker.audience(what.channel()).is_none() => {}
            Effect::Elsewhere(what) | Effect::Introduce { what, .. } => {
                self.send(Held::Pass(passing(&what)));
            }
            // Not the broker's.
            Effect::Back { .. }
            | Effect::Send { .. }
            | Effect::SendMany { .. }
            | Effect::Close { .. } => {}
        }
    }

    fn submit(&mut self, ask: Ask, answer: Answer, request: Request) {
        self.tickets += 1;
        self.asked.insert(self.tickets, (ask, answer));
        self.broker.submit(self.tickets, request, now_ms());
        self.news = true;
    }

    /// Hands over what goes to other loops, in order, unless they have too much already.
    fn send(&mut self, what: Held) {
        self.spoke = true;
        self.held.push_back(what);
        self.release();
    }

    fn release(&mut self) {
        while let Some(what) = self.held.pop_front() {
            if self.alone {
                // There is nobody who could lag behind.
            } else if self.broker.backlog() > WAITING_BYTES_MAX {
                return self.held.push_front(what);
            }
            match what {
                Held::Publish(ask, request) => self.submit(ask, Answer::Published, request),
                Held::Pass(passing) => {
                    // Refused only where a message larger than all that may wait meets others.
                    if let Err(refusal) = self.broker.pass(passing.clone()) {
                        tracing::debug!(%refusal, "held back for other loops");
                        return self.held.push_front(Held::Pass(passing));
                    }
                }
            }
        }
    }

    /// Lets the hub hear what the broker has to tell. False if there was nothing.
    pub(super) fn receive(&mut self, hub: &mut Hub, effects: &mut Vec<Effect>) -> bool {
        self.release();
        if !std::mem::take(&mut self.news) {
            return false;
        }
        let mut events = std::mem::take(&mut self.events);
        self.broker.poll(&mut events);
        let any = !events.is_empty();
        for event in events.drain(..) {
            self.tell(hub, event, effects);
        }
        self.events = events;
        any
    }

    fn tell(&mut self, hub: &mut Hub, event: Event, out: &mut Vec<Effect>) {
        match event {
            Event::Entry(entry) => {
                // A log has begun: held for as long as its owner is here, as their cursor is worth nothing
                // without it.
                let is_new = entry.prev == 0 && entry.channel.starts_with(INBOXES);
                if is_new && hub.has_inbox(&entry.channel) {
                    self.broker.follow(&entry.channel);
                }
                hub.entry(&self.entry(&entry), out);
            }
            Event::Done { ticket, outcome } => {
                if let Some((ask, answer)) = self.asked.remove(&ticket) {
                    self.answer(hub, ask, answer, &outcome, out);
                }
            }
            Event::Passed { from, passing } => {
                if let Some(what) = elsewhere(&passing) {
                    hub.elsewhere(NodeId(from.0), what, out);
                }
            }
            Event::NodeUp(node) => hub.node_up(NodeId(node.0), out),
            Event::NodeDown(node) => hub.node_down(NodeId(node.0), out),
        }
    }

    fn answer(
        &self,
        hub: &mut Hub,
        ask: Ask,
        answer: Answer,
        outcome: &Outcome,
        out: &mut Vec<Effect>,
    ) {
        match outcome {
            Outcome::Published { places, duplicate } => {
                let at = places.last().map_or(relay::Cursor::default(), |&at| cursor(at));
                hub.published(ask, Ok(Published { at, duplicate: *duplicate }), out);
            }
            Outcome::Opened { head, entries, recovered } => {
                let entries: Vec<_> = entries.iter().map(|entry| self.entry(entry)).collect();
                let (head, recovered) = (cursor(*head), *recovered);
                hub.opened(ask, Ok(Opened { head, entries: &entries, recovered }), out);
            }
            Outcome::Page { head, entries, more } => {
                let entries: Vec<_> = entries.iter().map(|entry| self.entry(entry)).collect();
                let page = Page { epoch: head.epoch, entries: &entries, more: *more };
                hub.page(ask, Ok(page), out);
            }
            Outcome::Refused(refusal) => {
                let refused = refused(*refusal);
                match answer {
                    Answer::Published => hub.published(ask, Err(refused), out),
                    Answer::Opened => hub.opened(ask, Err(refused), out),
                    Answer::Page => hub.page(ask, Err(refused), out),
                }
            }
        }
    }

    /// The same in the hub's words. Loops give their connections numbers that no other loop gives.
    fn entry<'e>(&self, entry: &'e Entry) -> relay::Entry<'e> {
        let content = &entry.content;
        relay::Entry {
            channel: &entry.channel,
            at: cursor(entry.at),
            prev: entry.prev,
            at_ms: entry.at_ms,
            from: &content.from,
            to: content.to.as_deref(),
            content: unmark(content.kind),
            body: &content.body,
            origin: Some(ConnId(content.origin)),
        }
    }
}

fn cursor(at: Cursor) -> relay::Cursor {
    relay::Cursor { epoch: at.epoch, offset: at.offset }
}

fn mark(content: ContentKind) -> u8 {
    match content {
        ContentKind::Text => 0,
        ContentKind::Binary => 1,
        ContentKind::Json => 2,
    }
}

/// What is not known here is at least bytes.
fn unmark(mark: u8) -> ContentKind {
    match mark {
        0 => ContentKind::Text,
        2 => ContentKind::Json,
        _ => ContentKind::Binary,
    }
}

fn refused(refusal: Refusal) -> Refused {
    match refusal {
        Refusal::OutOfOrder { .. } => Refused::OldNumber,
        Refusal::Full { .. } => Refused::Overloaded { retry_ms: 1000 },
        Refusal::NoLog | Refusal::Channels { .. } => Refused::Unavailable { retry_ms: 1000 },
    }
}

/// Presence is for every node, all else for those that follow the channel.
fn passing(what: &Elsewhere) -> Passing {
    let parts = what.to_parts();
    let content = Content {
        from: parts.from.into(),
        to: parts.channel.map(Into::into),
        kind: parts.kind,
        body: parts.body,
        origin: 0,
    };
    let channel = content.to.clone().filter(|_| what.is_for_followers());
    Passing { channel, content }
}

fn elsewhere(passing: &Passing) -> Option<Elsewhere> {
    Elsewhere::from_parts(Parts {
        kind: passing.content.kind,
        channel: passing.content.to.as_deref(),
        from: &passing.content.from,
        body: Arc::clone(&passing.content.body),
    })
}

/// How the hub's names of inboxes begin, and of nothing else.
const INBOXES: &str = "@";
/// Bytes waiting at another loop at which who speaks is made to wait: some thousand of the smallest
/// messages, a few milliseconds of its work.
const WAITING_SLOW_BYTES: usize = 256 << 10;
/// Bytes at which nothing more is handed over, well below what the broker refuses. As the smallest
/// messages take half as much again as is counted, this is what a flood may cost a loop.
const WAITING_BYTES_MAX: usize = 1 << 20;

/// Milliseconds since 1970 (UTC).
pub(super) fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}
