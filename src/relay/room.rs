//! Who is in which room of this hub. Members of one form stand together, in one list that a message
//! goes to.

use super::ConnId;
use super::dialect::Form;
use super::held::Held;
use std::collections::BTreeMap;
use std::sync::Arc;

/// All rooms with somebody in them, or with somebody at the door.
#[derive(Default, Debug)]
pub(super) struct Rooms(BTreeMap<Arc<str>, Room>);

/// Never without a group or an opening under way, and no group without a member.
#[derive(Default, Debug)]
pub(super) struct Room {
    groups: Vec<Group>,
    /// What is said here goes through the broker's log.
    pub(super) kept: bool,
    pub(super) held: Held,
}

#[derive(Debug)]
struct Group {
    form: Form,
    members: Vec<ConnId>,
}

/// Where a connection stands in a room: its place in the list, so that leaving needs no search.
#[derive(Debug)]
pub(super) struct Membership {
    pub(super) room: Arc<str>,
    pub(super) form: Form,
    /// There are never 2^32 connections: each is an entry of a table in memory.
    at: u32,
}

impl Membership {
    pub(super) fn at(&self) -> usize {
        self.at as usize
    }

    /// Takes over the place of another that has left.
    pub(super) fn moves_to(&mut self, left: &Self) {
        self.at = left.at;
    }
}

/// What a leaving changed.
#[derive(Debug)]
pub(super) struct Left {
    /// Who has the place now: the last of the list, if it is another.
    pub(super) moved: Option<ConnId>,
    /// The room is gone.
    pub(super) gone: bool,
}

impl Rooms {
    /// Puts a member in, and says whether the room is new.
    pub(super) fn enter(
        &mut self,
        room: &Arc<str>,
        form: Form,
        conn: ConnId,
    ) -> (Membership, bool) {
        let known = self.0.get_key_value(room).map(|(name, _)| Arc::clone(name));
        let is_new = known.is_none();
        // One allocation of the name serves all its members.
        let room = known.unwrap_or_else(|| Arc::clone(room));
        let groups = &mut self.0.entry(Arc::clone(&room)).or_default().groups;
        let index =
            groups.binary_search_by_key(&form, |group| group.form).unwrap_or_else(|index| {
                groups.reserve_exact(1);
                groups.insert(index, Group { form, members: Vec::with_capacity(1) });
                index
            });
        let members = &mut groups[index].members;
        members.push(conn);
        let at = u32::try_from(members.len() - 1).expect("fewer than 2^32 connections");
        (Membership { room, form, at }, is_new)
    }

    /// Takes a member out.
    pub(super) fn leave(&mut self, place: &Membership) -> Left {
        let mut left = Left { moved: None, gone: false };
        let Some(room) = self.0.get_mut(&place.room) else {
            return left;
        };
        if let Ok(index) = room.groups.binary_search_by_key(&place.form, |group| group.form) {
            let members = &mut room.groups[index].members;
            members.swap_remove(place.at());
            left.moved = members.get(place.at()).copied();
            if members.is_empty() {
                room.groups.remove(index);
            } else if members.len() < members.capacity() / 4 {
                members.shrink_to(members.len() * 2);
            }
        }
        left.gone = self.sweep(&place.room);
        left
    }

    /// Somebody's opening of the room is under way. Says whether the room is new.
    pub(super) fn opening_begins(&mut self, room: &Arc<str>) -> bool {
        let is_new = !self.0.contains_key(room);
        self.0.entry(Arc::clone(room)).or_default().held.begin();
        is_new
    }

    /// It is over, either way. Says whether the room is gone.
    pub(super) fn opening_ends(&mut self, room: &str) -> bool {
        if let Some(room) = self.0.get_mut(room) {
            room.held.end();
        }
        self.sweep(room)
    }

    fn sweep(&mut self, name: &str) -> bool {
        let empty =
            self.0.get(name).is_some_and(|room| room.groups.is_empty() && room.held.is_idle());
        if empty {
            self.0.remove(name);
        }
        empty
    }

    pub(super) fn room(&self, name: &str) -> Option<&Room> {
        self.0.get(name)
    }

    pub(super) fn room_mut(&mut self, name: &str) -> Option<&mut Room> {
        self.0.get_mut(name)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Room {
    /// The lists, in the order of their forms.
    pub(super) fn groups(&self) -> impl Iterator<Item = (Form, &[ConnId])> {
        self.groups.iter().map(|group| (group.form, group.members.as_slice()))
    }

    /// The members of one form.
    pub(super) fn members(&self, form: Form) -> &[ConnId] {
        self.groups().find(|group| group.0 == form).map_or(&[], |group| group.1)
    }
}
