//! The rooms of one session of the chat dialect. Most are in one, and need no list for it.

use super::room::Membership;
use std::mem;
use std::slice;

/// In no order.
#[derive(Default, Debug)]
pub(super) enum Places {
    #[default]
    None,
    One(Membership),
    /// Two or more.
    #[allow(clippy::box_collection, reason = "so that the one room of most takes no more space")]
    Many(Box<Vec<Membership>>),
}

impl Places {
    pub(super) fn add(&mut self, place: Membership) {
        *self = match mem::take(self) {
            Self::None => Self::One(place),
            Self::One(one) => Self::Many(Box::new(vec![one, place])),
            Self::Many(mut many) => {
                many.reserve_exact(1);
                many.push(place);
                Self::Many(many)
            }
        };
    }

    pub(super) fn remove(&mut self, room: &str) -> Option<Membership> {
        let at = self.all().iter().position(|place| &*place.room == room)?;
        let (rest, removed) = match mem::take(self) {
            Self::None => return None,
            Self::One(one) => (Self::None, Some(one)),
            Self::Many(mut many) => {
                let removed = many.swap_remove(at);
                many.shrink_to_fit();
                let last = if many.len() == 1 { many.pop() } else { None };
                (last.map_or(Self::Many(many), Self::One), Some(removed))
            }
        };
        *self = rest;
        removed
    }

    pub(super) fn of(&self, room: &str) -> Option<&Membership> {
        self.all().iter().find(|place| &*place.room == room)
    }

    pub(super) fn of_mut(&mut self, room: &str) -> Option<&mut Membership> {
        let all = match self {
            Self::None => &mut [],
            Self::One(one) => slice::from_mut(one),
            Self::Many(many) => many.as_mut_slice(),
        };
        all.iter_mut().find(|place| &*place.room == room)
    }

    pub(super) fn all(&self) -> &[Membership] {
        match self {
            Self::None => &[],
            Self::One(one) => slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}
