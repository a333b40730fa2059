//! Which people are in which room, over all hubs. A person counts once, however many sessions and hubs
//! they are on.

use super::NodeId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// All rooms with people in them, here and elsewhere. Names of people stand as `@name`, so that they
/// can be shared with the table of inboxes.
#[derive(Default, Debug)]
pub(super) struct Presence {
    rooms: BTreeMap<Arc<str>, People>,
    /// The other hubs that are up: what others say is not believed.
    nodes: BTreeSet<NodeId>,
}

/// Never nobody.
#[derive(Default, Debug)]
struct People {
    /// Where each is, and with how many sessions if that is here (`None`). One person's places are
    /// neighbours.
    places: BTreeMap<(Arc<str>, Option<NodeId>), u32>,
    online: usize,
    /// What the members here were told last.
    told: usize,
}

/// What a coming or going changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Change {
    /// The person is new in this place, or gone from it.
    pub(super) of_place: bool,
    /// The person is new in the room, or gone from it.
    pub(super) of_room: bool,
}

impl Presence {
    pub(super) fn enter(
        &mut self,
        room: &Arc<str>,
        user: &Arc<str>,
        node: Option<NodeId>,
    ) -> Change {
        let people = self.rooms.entry(Arc::clone(room)).or_default();
        let of_room = !people.has(user);
        let sessions = people.places.entry((Arc::clone(user), node)).or_default();
        let of_place = *sessions == 0;
        // Of another hub it is only known that there is one.
        *sessions = if node.is_some() { 1 } else { *sessions + 1 };
        people.online += usize::from(of_room);
        Change { of_place, of_room }
    }

    pub(super) fn leave(
        &mut self,
        room: &Arc<str>,
        user: &Arc<str>,
        node: Option<NodeId>,
    ) -> Change {
        let unchanged = Change { of_place: false, of_room: false };
        let Some(people) = self.rooms.get_mut(room) else {
            return unchanged;
        };
        let place = (Arc::clone(user), node);
        match people.places.get_mut(&place) {
            None => return unchanged,
            Some(sessions) if *sessions > 1 => {
                *sessions -= 1;
                return unchanged;
            }
            Some(_) => _ = people.places.remove(&place),
        }
        let of_room = !people.has(user);
        people.online -= usize::from(of_room);
        if people.places.is_empty() {
            self.rooms.remove(room);
        }
        Change { of_place: true, of_room }
    }

    pub(super) fn node_up(&mut self, node: NodeId) {
        self.nodes.insert(node);
    }

    pub(super) fn is_up(&self, node: NodeId) -> bool {
        self.nodes.contains(&node)
    }

    /// Forgets a hub. Returns who was on it, with their rooms.
    pub(super) fn node_down(&mut self, node: NodeId) -> Vec<(Arc<str>, Arc<str>)> {
        if !self.nodes.remove(&node) {
            return Vec::new();
        }
        let mut were_there = Vec::new();
        for (room, people) in &self.rooms {
            for (user, place) in people.places.keys() {
                if *place == Some(node) {
                    were_there.push((Arc::clone(room), Arc::clone(user)));
                }
            }
        }
        were_there
    }

    /// Who is on this hub, with their rooms.
    pub(super) fn here(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<str>)> {
        self.rooms.iter().flat_map(|(room, people)| {
            let here = people.places.keys().filter(|place| place.1.is_none());
            here.map(move |(user, _)| (room, user))
        })
    }

    pub(super) fn online(&self, room: &str) -> usize {
        self.rooms.get(room).map_or(0, |people| people.online)
    }

    /// The people of a room, as `@name`, in the order of their names.
    pub(super) fn people(&self, room: &str) -> impl Iterator<Item = &Arc<str>> {
        let places = self.rooms.get(room).into_iter().flat_map(|people| people.places.keys());
        let mut last: Option<&Arc<str>> = None;
        places.map(|place| &place.0).filter(move |&user| last.replace(user) != Some(user))
    }

    /// Whether the members here are to be told the number, now that it has changed: always up to
    /// `always_max`, beyond that when it has changed by a sixteenth since they were told.
    pub(super) fn tell_number(&mut self, room: &str, always_max: usize) -> bool {
        let Some(people) = self.rooms.get_mut(room) else {
            return true;
        };
        let tell = people.online <= always_max
            || people.online.abs_diff(people.told) >= people.told.div_ceil(16).max(1);
        if tell {
            people.told = people.online;
        }
        tell
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rooms.is_empty()
    }
}

impl People {
    fn has(&self, user: &Arc<str>) -> bool {
        let from = (Arc::clone(user), None);
        self.places.range(from..).next().is_some_and(|(place, _)| place.0 == *user)
    }
}
