//! Which sessions of this hub are in which inbox. A person may have many; most have one.

use super::ConnId;
use super::held::Held;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// All inboxes, by `@user`, that somebody is in or is opening.
#[derive(Default, Debug)]
pub(super) struct Inboxes(BTreeMap<Arc<str>, Inbox>);

/// Never without a session or an opening under way.
#[derive(Default, Debug)]
pub(super) struct Inbox {
    sessions: Sessions,
    pub(super) held: Held,
}

#[derive(Default, Debug)]
enum Sessions {
    #[default]
    None,
    One(ConnId),
    /// Two or more.
    #[allow(clippy::box_collection, reason = "so that the one session of most takes 16 bytes")]
    #[expect(clippy::box_collection, reason = "one word: nearly everybody has one session")]
    Many(Box<BTreeSet<ConnId>>),
}

impl Inboxes {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Somebody's opening of the inbox is under way. Says whether the inbox is new.
    pub(super) fn opening_begins(&mut self, inbox: &Arc<str>) -> bool {
        let is_new = !self.0.contains_key(inbox);
        self.0.entry(Arc::clone(inbox)).or_default().held.begin();
        is_new
    }

    /// It is over, either way. Says whether the inbox is gone.
    pub(super) fn opening_ends(&mut self, inbox: &str) -> bool {
        if let Some(inbox) = self.0.get_mut(inbox) {
            inbox.held.end();
        }
        self.sweep(inbox)
    }

    /// For an inbox whose opening is under way.
    pub(super) fn enter(&mut self, inbox: &str, conn: ConnId) {
        let Some(Inbox { sessions, .. }) = self.0.get_mut(inbox) else {
            return;
        };
        match sessions {
            Sessions::None => *sessions = Sessions::One(conn),
            Sessions::One(one) if *one == conn => {}
            Sessions::One(one) => *sessions = Sessions::Many(Box::new([*one, conn].into())),
            Sessions::Many(many) => _ = many.insert(conn),
        }
    }

    /// Says whether the inbox is gone.
    pub(super) fn leave(&mut self, inbox: &str, conn: ConnId) -> bool {
        if let Some(Inbox { sessions, .. }) = self.0.get_mut(inbox) {
            match sessions {
                Sessions::One(one) if *one == conn => *sessions = Sessions::None,
                Sessions::One(_) | Sessions::None => {}
                Sessions::Many(many) => {
                    many.remove(&conn);
                    if let (1, Some(&last)) = (many.len(), many.first()) {
                        *sessions = Sessions::One(last);
                    }
                }
            }
        }
        self.sweep(inbox)
    }

    fn sweep(&mut self, name: &str) -> bool {
        let empty = self
            .0
            .get(name)
            .is_some_and(|inbox| matches!(inbox.sessions, Sessions::None) && inbox.held.is_idle());
        if empty {
            self.0.remove(name);
        }
        empty
    }

    pub(super) fn inbox_mut(&mut self, name: &str) -> Option<&mut Inbox> {
        self.0.get_mut(name)
    }

    pub(super) fn inbox(&self, name: &str) -> Option<&Inbox> {
        self.0.get(name)
    }

    /// The name as this table has it, so that one allocation serves all who keep it.
    pub(super) fn shared(&self, name: &str) -> Option<Arc<str>> {
        self.0.get_key_value(name).map(|(name, _)| Arc::clone(name))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Inbox {
    /// All sessions, without one.
    pub(super) fn sessions_but(&self, but: Option<ConnId>) -> Vec<ConnId> {
        let others = |&conn: &ConnId| Some(conn) != but;
        match &self.sessions {
            Sessions::None => Vec::new(),
            Sessions::One(one) => [*one].into_iter().filter(others).collect(),
            Sessions::Many(many) => many.iter().copied().filter(others).collect(),
        }
    }
}
