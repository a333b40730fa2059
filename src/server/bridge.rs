//! Between a loop's hub and the broker: what the hub asks is put in the broker's words, what the broker
//! tells in the hub's. Decides only how much may wait on the way.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use super::shard::Post;
use crate::broker::{
    self, Broker, Cluster, Content, Cursor, Event, Memory, Once, Outcome, Passing, Request,
};
use crate::net::Mail;
use crate::relay::{self, Ask, ConnId, Effect, Elsewhere, Hub};

/// One loop's end of the broker.
pub(super) struct Bridge {
    broker: Memory,
    /// Where the broker rings when something came from other loops.
    bell: Arc<OnceLock<Mail<Post>>>,
    /// Who waits for which answer.
    asked: HashMap<broker::Ticket, Ask>,
    tickets: broker::Ticket,
    /// What other loops have no room for yet. Bounded by the senders, who are not heard meanwhile.
    held: VecDeque<Held>,
    /// The broker may have something for this node.
    news: bool,
    /// Something went out since it was last asked whether the others can follow.
    spoke: bool,
    /// Empty between calls.
    events: Vec<Event>,
}

/// Something that may fill the queues of other loops.
enum Held {
    Publish(Ask, Request),
    Pass(Passing),
}

impl Bridge {
    pub(super) fn new(cluster: &Cluster) -> Self {
        let bell = Arc::new(OnceLock::<Mail<Post>>::new());
        let rings = Arc::clone(&bell);
        let broker = cluster.join(move || {
            if let Some(mail) = rings.get() {
                // A full box is looked into anyway, and then the news is read, too.
                let _ = mail.post(Post::News);
            }
        });
        Self {
            broker,
            bell,
            asked: HashMap::new(),
            tickets: 0,
            held: VecDeque::new(),
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

    /// Whether other loops lag behind so far that who speaks should wait for them.
    pub(super) fn is_congested(&mut self) -> bool {
        std::mem::take(&mut self.spoke) && (!self.held.is_empty() || self.broker.backlog() > SLOW)
    }

    /// Tells the broker what the hub wants of it.
    pub(super) fn carry(&mut self, effect: Effect) {
        match effect {
            Effect::Follow(channel) => self.broker.follow(&channel),
            Effect::Unfollow(channel) => self.broker.unfollow(&channel),
            Effect::Publish(publish) => {
                let content = Content {
                    from: publish.from,
                    to: publish.to,
                    kind: publish.content as u8,
                    body: publish.body,
                    origin: publish.origin.0,
                };
                let once = publish.once.map(|(producer, seq)| Once { producer, seq });
                let request = Request::Publish { channels: publish.channels, content, once };
                self.send(Held::Publish(publish.ask, request));
            }
            Effect::Elsewhere(elsewhere) => self.send(Held::Pass(passing(&elsewhere))),
            Effect::Send { .. } | Effect::SendMany { .. } | Effect::Close { .. } => {}
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
}

/// Bytes waiting at another loop at which who speaks is made to wait: some milliseconds of its work.
const SLOW: usize = 4 << 20;
/// Bytes at which nothing more is handed over, well below what the broker refuses.
const FULL: usize = 16 << 20;

/// Milliseconds since 1970 (UTC).
pub(super) fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}
