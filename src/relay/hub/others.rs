//! What other hubs say, who is on them, and the end.

use super::chat::user_of;
use super::{Effect, Hub, Role, emptied, send};
use crate::relay::command::Payload;
use crate::relay::dialect::Form;
use crate::relay::notice::Event;
use crate::relay::{ConnId, Elsewhere, NodeId, RoomName, Said, UserName};
use std::mem;
use std::sync::Arc;
use std::time::Duration;

impl Hub {
    /// Another hub says something. Who is on a hub that is not up is not believed.
    pub fn elsewhere(&mut self, node: NodeId, what: Elsewhere, out: &mut Vec<Effect>) {
        match what {
            Elsewhere::Said(said) => self.said_elsewhere(&said, out),
            Elsewhere::Signal { channel, from, body } => {
                self.spread_signal(&channel, from.as_str(), &body, None, out);
            }
            Elsewhere::Entered { room, user } if self.presence.is_up(node) => {
                self.entered_elsewhere(node, &room, &user, out);
            }
            Elsewhere::Left { room, user } if self.presence.is_up(node) => {
                let inbox = user.inbox();
                self.left_elsewhere(node, room.shared(), &inbox, out);
            }
            Elsewhere::Entered { .. } | Elsewhere::Left { .. } => {}
        }
        self.told = emptied(mem::take(&mut self.told));
    }

    /// Tells the members here what was said in a room that another hub does not keep.
    fn said_elsewhere(&mut self, said: &Said, out: &mut Vec<Effect>) {
        let Some(room) = self.rooms.room(said.room.as_str()) else {
            return;
        };
        let mut message = Some(said.message.clone());
        let bytes = &said.message.bytes;
        for (form, members) in room.groups().filter(|group| group.0 != Form::Chat) {
            self.told.clear();
            let payload = Payload { kind: said.message.kind, bytes };
            let own = form.tell(said.from.as_str(), payload, &mut self.told, &mut message);
            send(members.to_vec(), own, out);
        }
    }

    fn entered_elsewhere(
        &mut self,
        node: NodeId,
        room: &RoomName,
        user: &UserName,
        out: &mut Vec<Effect>,
    ) {
        let inbox = user.inbox();
        let inbox = self.inboxes.shared(&inbox).unwrap_or(inbox);
        if let Some(room) = self.rooms.room_mut(room.as_str()) {
            room.kept = true;
        }
        if self.presence.enter(room.shared(), &inbox, Some(node)).of_room {
            self.announce(room.shared(), &inbox, "join", out);
        }
    }

    fn left_elsewhere(
        &mut self,
        node: NodeId,
        room: &Arc<str>,
        inbox: &Arc<str>,
        out: &mut Vec<Effect>,
    ) {
        if self.presence.leave(room, inbox, Some(node)).of_room {
            self.announce(room, inbox, "leave", out);
        }
    }

    /// Another hub is there, and is told who is here. To call it twice does no harm.
    pub fn node_up(&mut self, node: NodeId, out: &mut Vec<Effect>) {
        self.presence.node_up(node);
        for (room, inbox) in self.presence.here() {
            let (room, user) = (RoomName::of_shared(room), UserName::of_inbox(inbox));
            out.push(Effect::Introduce { to: node, what: Elsewhere::Entered { room, user } });
        }
    }

    /// Another hub is gone, and with it all who were there only.
    pub fn node_down(&mut self, node: NodeId, out: &mut Vec<Effect>) {
        for (room, inbox) in self.presence.node_down(node) {
            self.left_elsewhere(node, &room, &inbox, out);
        }
    }

    /// Tells every session of the chat dialect when to come back elsewhere: spread evenly, so that a
    /// restart is no storm. Closing them is the caller's.
    ///
    /// This is hub `number` (from 0) `of` so many that are sent away together: their times lie between
    /// one another, as the sessions of one hub do.
    pub fn drain(&mut self, spread: Duration, number: u8, of: u8, out: &mut Vec<Effect>) {
        let chats = self.sessions.iter().filter(|(_, it)| matches!(it.role, Role::Chat(_)));
        let chats: Vec<ConnId> = chats.map(|(conn, _)| conn).collect();
        let (spread_ms, of) = (spread.as_millis(), u128::from(of.max(1)));
        for (at, &to) in chats.iter().enumerate() {
            let place = at as u128 * of + u128::from(number);
            let share = spread_ms.saturating_mul(place) / (chats.len() as u128 * of);
            let delay_ms = u64::try_from(share).unwrap_or(u64::MAX);
            let event = Event::new("drain", &mut self.told).number("reconnect_in_ms", delay_ms);
            out.push(Effect::Send { to, message: event.done() });
        }
    }

    /// Tells the members here that a person is new in a room, or gone; in a large one only how many
    /// there are, and not each time.
    pub(super) fn announce(
        &mut self,
        room: &Arc<str>,
        inbox: &str,
        change: &str,
        out: &mut Vec<Effect>,
    ) {
        let members = self.rooms.room(room).map_or(&[][..], |room| room.members(Form::Chat));
        if members.is_empty() {
            return;
        }
        let always_max = self.config.limits.chat.presence_members;
        let online = self.presence.online(room);
        if !self.presence.tell_number(room, always_max) {
            return;
        }
        let event = Event::new("presence", &mut self.told).text("room", room);
        let event = if online <= always_max {
            event.text("user", user_of(inbox)).text("change", change)
        } else {
            event
        };
        send(members.to_vec(), event.count("online", online).done(), out);
    }
}
