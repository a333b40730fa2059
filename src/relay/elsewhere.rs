//! What hubs tell each other without keeping it: plain data that can travel over any wire.

use super::effect::{Kind, Shared};
use super::json;
use super::{RoomName, Said, UserName};
use std::sync::Arc;

/// Another hub of the cluster, as the caller numbers it. A hub that comes back after it was down
/// needs a new number, or what is late from its first life would count in its second.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NodeId(pub u32);

/// Something that other hubs want to know. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Elsewhere {
    /// Said in a room that is not kept. Only for hubs that follow the room.
    Said(Said),
    /// A signal for the members of a room or the sessions of a user (`@user`). Only for hubs that
    /// follow that channel.
    Signal {
        /// The room, or `@user`.
        channel: Arc<str>,
        /// By whom.
        from: UserName,
        /// One JSON value, as its sender wrote it.
        body: Arc<[u8]>,
    },
    /// This user is in this room, with a first session on the hub that says so. For all hubs.
    Entered {
        /// Where.
        room: RoomName,
        /// Who.
        user: UserName,
    },
    /// This user's last session on the hub that says so has left the room. For all hubs.
    Left {
        /// Where.
        room: RoomName,
        /// Who.
        user: UserName,
    },
}

/// An [`Elsewhere`] as fields that any wire has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Parts<'a> {
    /// Which of them.
    pub kind: u8,
    /// A room, or `@user`.
    pub channel: Option<&'a str>,
    /// A user's name.
    pub from: &'a str,
    /// The message; empty if it has none.
    pub body: Arc<[u8]>,
}

const SAID_TEXT: u8 = 0;
const SAID_BINARY: u8 = 1;
const SIGNAL: u8 = 2;
const ENTERED: u8 = 3;
const LEFT: u8 = 4;

fn nothing() -> Arc<[u8]> {
    Arc::new([])
}

/// What travels was within its sender's limit; this only bounds what is judged.
const DEPTH_MAX: u8 = u8::MAX;

impl Elsewhere {
    /// Whether it is only for hubs that follow its channel; all others are for every hub.
    pub const fn is_for_followers(&self) -> bool {
        matches!(self, Self::Said(_) | Self::Signal { .. })
    }

    /// The room or inbox that it is about.
    pub fn channel(&self) -> &str {
        match self {
            Self::Said(said) => said.room.as_str(),
            Self::Signal { channel, .. } => channel,
            Self::Entered { room, .. } | Self::Left { room, .. } => room.as_str(),
        }
    }

    /// Its fields.
    ///
    /// ```
    /// use sockeye::relay::{Elsewhere, RoomName, UserName};
    /// let (room, user) = (RoomName::new("tea")?, UserName::new("alice")?);
    /// let entered = Elsewhere::Entered { room, user };
    /// assert_eq!(Elsewhere::from_parts(entered.to_parts()), Some(entered));
    /// # Ok::<(), sockeye::relay::NameError>(())
    /// ```
    pub fn to_parts(&self) -> Parts<'_> {
        let channel = Some(self.channel());
        match self {
            Self::Said(said) => {
                let kind = match said.message.kind {
                    Kind::Text => SAID_TEXT,
                    Kind::Binary => SAID_BINARY,
                };
                Parts {
                    kind,
                    channel,
                    from: said.from.as_str(),
                    body: Arc::clone(&said.message.bytes),
                }
            }
            Self::Signal { from, body, .. } => {
                Parts { kind: SIGNAL, channel, from: from.as_str(), body: Arc::clone(body) }
            }
            Self::Entered { user, .. } => {
                Parts { kind: ENTERED, channel, from: user.as_str(), body: nothing() }
            }
            Self::Left { user, .. } => {
                Parts { kind: LEFT, channel, from: user.as_str(), body: nothing() }
            }
        }
    }

    /// Makes one of its fields; the body is shared. `None` for what no hub says: an unknown kind, a name that may not
    /// be, a text that is not UTF-8, a signal that is not JSON.
    pub fn from_parts(parts: Parts<'_>) -> Option<Self> {
        let channel = parts.channel?;
        let from = UserName::new(parts.from).ok()?;
        let body = parts.body;
        Some(match parts.kind {
            SAID_TEXT | SAID_BINARY => {
                let kind = if parts.kind == SAID_TEXT { Kind::Text } else { Kind::Binary };
                if kind == Kind::Text {
                    str::from_utf8(&body).ok()?;
                }
                let room = RoomName::new(channel).ok()?;
                Self::Said(Said { room, from, message: Shared { kind, bytes: body } })
            }
            SIGNAL => {
                match channel.strip_prefix('@') {
                    Some(user) => _ = UserName::new(user).ok()?,
                    None => _ = RoomName::new(channel).ok()?,
                }
                json::Value::read(str::from_utf8(&body).ok()?, DEPTH_MAX)?;
                Self::Signal { channel: channel.into(), from, body }
            }
            ENTERED => Self::Entered { room: RoomName::new(channel).ok()?, user: from },
            LEFT => Self::Left { room: RoomName::new(channel).ok()?, user: from },
            _ => return None,
        })
    }
}
