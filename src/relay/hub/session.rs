//! What the hub remembers of one session of the chat dialect.

use crate::relay::effect::Shared;
use crate::relay::places::Places;
use crate::relay::quota::{Faults, Meter};
use crate::relay::room::Membership;
use std::mem;
use std::sync::Arc;

/// What is known of a session. Kept small: there are as many as people.
#[derive(Default, Debug)]
pub(super) struct Chat {
    /// Who it is, as `@user`. None until the first request.
    pub(super) inbox: Option<Arc<str>>,
    pub(super) rooms: Places,
    /// None for who only listens.
    busy: Option<Box<Busy>>,
    pub(super) in_inbox: bool,
}

/// What there is of a session beside its places: from its first request on, or while it waits.
#[derive(Default, Debug)]
pub(super) struct Busy {
    /// `user\nproducer`: names have no line feeds, so that no two users share one.
    pub(super) producer: Option<Arc<str>>,
    /// What waits for the log; most of the time nothing, and no box.
    waiting: Option<Box<Waiting>>,
    pub(super) meter: Meter,
    pub(super) faults: Faults,
    pub(super) unacked: u16,
    pub(super) over_rate: u16,
    /// It has said something of its own.
    spoke: bool,
}

/// Never without an opening.
#[derive(Default, Debug)]
pub(super) struct Waiting {
    pub(super) openings: Vec<UnderWay>,
    /// Answers that need no log, and must not stand before the first `hello`.
    answers: Vec<Shared>,
    /// Bytes of the replays that were told meanwhile: one request may open many rooms.
    replayed: usize,
}

#[derive(Debug)]
pub(super) struct UnderWay {
    pub(super) channel: Arc<str>,
    number: u32,
}

impl Chat {
    /// One of its places is another now.
    pub(super) fn moves_to(&mut self, left: &Membership) {
        if let Some(place) = self.rooms.of_mut(&left.room) {
            place.moves_to(left);
        }
    }

    pub(super) fn place(&self, room: &str) -> Option<&Membership> {
        self.rooms.of(room)
    }

    /// What a session is counted by that speaks, for as long as it is there.
    pub(super) fn speaks(&mut self) -> &mut Busy {
        let busy = self.busy.get_or_insert_default();
        busy.spoke = true;
        busy
    }

    /// One of its questions has its answer.
    pub(super) fn question_ends(&mut self) {
        if let Some(busy) = &mut self.busy {
            busy.unacked = busy.unacked.saturating_sub(1);
        }
    }

    /// `number` tells it from every other that may be under way.
    pub(super) fn opening_begins(&mut self, channel: &Arc<str>, number: u32) {
        let one = UnderWay { channel: Arc::clone(channel), number };
        let busy = self.busy.get_or_insert_default();
        busy.waiting.get_or_insert_default().openings.push(one);
    }

    /// What waited for it; `None` if it is given up.
    pub(super) fn opening_ends(&mut self, number: u32) -> Option<Vec<Shared>> {
        let busy = self.busy.as_mut()?;
        let waiting = busy.waiting.as_mut()?;
        let at = waiting.openings.iter().position(|it| it.number == number)?;
        let ended = waiting.openings.swap_remove(at);
        let is_inbox = ended.channel.starts_with('@');
        let answers = if is_inbox { mem::take(&mut waiting.answers) } else { Vec::new() };
        if waiting.openings.is_empty() {
            busy.waiting = None;
            if !busy.spoke {
                self.busy = None;
            }
        }
        Some(answers)
    }

    /// Bytes of replays since it began to wait.
    pub(super) fn replayed(&self) -> usize {
        let waiting = self.busy.as_ref().and_then(|busy| busy.waiting.as_ref());
        waiting.map_or(0, |waiting| waiting.replayed)
    }

    /// So many more were told. Does nothing once it waits no longer.
    pub(super) fn count_replay(&mut self, bytes: usize) {
        if let Some(waiting) = self.busy.as_mut().and_then(|busy| busy.waiting.as_mut()) {
            waiting.replayed += bytes;
        }
    }

    /// The openings of a session that ends.
    pub(super) fn openings(self) -> Vec<UnderWay> {
        let waiting = self.busy.and_then(|busy| busy.waiting);
        waiting.map(|waiting| waiting.openings).unwrap_or_default()
    }

    /// Gives up the openings of a room and says how many there were.
    pub(super) fn give_up(&mut self, room: &str) -> usize {
        let of_room = self.under_way().filter(|it| &*it.channel == room);
        let numbers: Vec<u32> = of_room.map(|it| it.number).collect();
        numbers.into_iter().filter(|&number| self.opening_ends(number).is_some()).count()
    }

    pub(super) fn under_way(&self) -> impl Iterator<Item = &UnderWay> {
        let waiting = self.busy.iter().flat_map(|busy| &busy.waiting);
        waiting.flat_map(|waiting| &waiting.openings)
    }

    /// Keeps an answer until `hello` is told; returns it if that was, or if too much waits.
    pub(super) fn keep_answer(&mut self, answer: Shared, bytes_max: usize) -> Option<Shared> {
        let greeted = self.in_inbox || !self.inbox.as_ref().is_some_and(|it| self.is_opening(it));
        let waiting = match self.busy.as_mut().and_then(|busy| busy.waiting.as_mut()) {
            Some(waiting) if !greeted => waiting,
            _ => return Some(answer),
        };
        let bytes: usize = waiting.answers.iter().map(|it| it.bytes.len()).sum();
        if bytes + answer.bytes.len() > bytes_max {
            return Some(answer);
        }
        waiting.answers.push(answer);
        None
    }

    pub(super) fn is_opening(&self, channel: &str) -> bool {
        self.under_way().any(|it| &*it.channel == channel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_small_and_one_that_only_listens_has_nothing_else() {
        assert!(size_of::<Chat>() <= 56, "{} bytes", size_of::<Chat>());
        let mut chat = Chat::default();
        for number in [1, 2] {
            chat.opening_begins(&"tea".into(), number);
        }
        assert!(chat.opening_ends(1).is_some() && chat.busy.is_some());
        assert!(chat.opening_ends(2).is_some() && chat.busy.is_none());
        chat.speaks().unacked = 1;
        chat.opening_begins(&"tea".into(), 3);
        assert!(chat.opening_ends(3).is_some() && chat.busy.is_some());
    }
}
