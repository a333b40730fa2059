//! Who is in which room. Members of one form stand together, in one list that a message goes to.

use super::dialect::Form;
use super::{ConnId, RoomName};
use std::collections::BTreeMap;

/// All rooms with somebody in them.
#[derive(Default, Debug)]
pub(super) struct Rooms(BTreeMap<RoomName, Room>);

/// Never without a group, and no group without a member.
#[derive(Default, Debug)]
struct Room(Vec<Group>);

#[derive(Debug)]
struct Group {
    form: Form,
    members: Vec<ConnId>,
}

/// Where a connection stands in a room: its place in the list, so that leaving needs no search.
#[derive(Debug)]
pub(super) struct Membership {
    pub(super) room: RoomName,
    pub(super) form: Form,
    pub(super) at: usize,
}

impl Rooms {
    pub(super) fn enter(&mut self, room: RoomName, form: Form, conn: ConnId) -> Membership {
        let groups = &mut self.0.entry(room.clone()).or_default().0;
        let index =
            groups.binary_search_by_key(&form, |group| group.form).unwrap_or_else(|index| {
                groups.insert(index, Group { form, members: Vec::with_capacity(1) });
                index
            });
        let members = &mut groups[index].members;
        members.push(conn);
        Membership { room, form, at: members.len() - 1 }
    }

    /// Takes a member out. The last of its list takes its place and is returned, if it is another.
    pub(super) fn leave(&mut self, place: &Membership) -> Option<ConnId> {
        let groups = &mut self.0.get_mut(&place.room)?.0;
        let index = groups.binary_search_by_key(&place.form, |group| group.form).ok()?;
        let members = &mut groups[index].members;
        members.swap_remove(place.at);
        let moved = members.get(place.at).copied();
        if members.is_empty() {
            groups.remove(index);
        } else if members.len() < members.capacity() / 4 {
            members.shrink_to(members.len() * 2);
        }
        if groups.is_empty() {
            self.0.remove(&place.room);
        }
        moved
    }

    /// The lists of a room, in the order of their forms.
    pub(super) fn groups(&self, room: &RoomName) -> impl Iterator<Item = (Form, &[ConnId])> {
        let groups = self.0.get(room).map_or(&[][..], |room| &room.0);
        groups.iter().map(|group| (group.form, group.members.as_slice()))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
