//! What the hub remembers of one session of the chat dialect.

use crate::relay::effect::Shared;
use crate::relay::places::Places;
use crate::relay::quota::Faults;
use crate::relay::room::Membership;
use std::mem;
use std::sync::Arc;

/// What is known of a session beyond its meter. Kept small: there are as many as people.
#[derive(Default, Debug)]
pub(super) struct Chat {
    /// Who it is, as `@user`. None until the first request.
    pub(super) inbox: Option<Arc<str>>,
    /// `user\nproducer`: names have no line feeds, so that no two users share one.
    pub(super) producer: Option<Arc<str>>,
    pub(super) rooms: Places,
    /// What waits for the log; most of the time nothing, and no box.
    pub(super) waiting: Option<Box<Waiting>>,
    pub(super) faults: Faults,
    /// Of the last opening.
    number: u32,
    pub(super) unacked: u16,
    pub(super) over_rate: u16,
    pub(super) in_inbox: bool,
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

    pub(super) fn opening_begins(&mut self, channel: &Arc<str>) -> u32 {
        self.number = self.number.wrapping_add(1);
        let one = UnderWay { channel: Arc::clone(channel), number: self.number };
        self.waiting.get_or_insert_default().openings.push(one);
        self.number
    }

    /// What waited for it; `None` if it is given up.
    pub(super) fn opening_ends(&mut self, number: u32) -> Option<Vec<Shared>> {
        let waiting = self.waiting.as_mut()?;
        let at = waiting.openings.iter().position(|it| it.number == number)?;
        let ended = waiting.openings.swap_remove(at);
        let is_inbox = ended.channel.starts_with('@');
        let answers = if is_inbox { mem::take(&mut waiting.answers) } else { Vec::new() };
        if waiting.openings.is_empty() {
            self.waiting = None;
        }
        Some(answers)
    }

    /// Bytes of replays since it began to wait.
    pub(super) fn replayed(&self) -> usize {
        self.waiting.as_ref().map_or(0, |waiting| waiting.replayed)
    }

    /// So many more were told. Does nothing once it waits no longer.
    pub(super) fn count_replay(&mut self, bytes: usize) {
        if let Some(waiting) = &mut self.waiting {
            waiting.replayed += bytes;
        }
    }

    /// Gives up the openings of a room and says how many there were.
    pub(super) fn give_up(&mut self, room: &str) -> usize {
        let of_room = self.under_way().filter(|it| &*it.channel == room);
        let numbers: Vec<u32> = of_room.map(|it| it.number).collect();
        numbers.into_iter().filter(|&number| self.opening_ends(number).is_some()).count()
    }

    pub(super) fn under_way(&self) -> impl Iterator<Item = &UnderWay> {
        self.waiting.iter().flat_map(|waiting| &waiting.openings)
    }

    /// Keeps an answer until `hello` is told; returns it if that was, or if too much waits.
    pub(super) fn keep_answer(&mut self, answer: Shared, bytes_max: usize) -> Option<Shared> {
        let greeted = self.in_inbox || !self.inbox.as_ref().is_some_and(|it| self.is_opening(it));
        let waiting = match &mut self.waiting {
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
