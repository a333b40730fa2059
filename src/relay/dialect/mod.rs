//! The wire languages. Each file knows one: what a client's message asks for, and how the client is
//! told what happened. None knows who is connected.

mod broadcast;
pub(super) mod chat;
mod clock;
mod directory;
mod echo;
mod im;
mod named;

use super::command::Command;
use super::effect::Kind;
use super::key::Key;
use super::limits::{Limits, Zone};

/// The wire language of a connection. The path of its upgrade says which.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Dialect {
    /// Everything comes back as it came.
    Echo,
    /// Everything goes to the others of the room, as it came.
    Broadcast,
    /// JSON with `from` and `to`, forwarded as it came to who registered under that id.
    Directory,
    /// Everything goes to all of the room, the sender included, as `name -> message`.
    Named,
    /// One-to-one messages as packets of JSON; users open channels.
    Im,
    /// The relay's own: kept rooms, direct messages, presence, recovery.
    Chat,
}

impl Dialect {
    /// Every dialect.
    pub const ALL: [Self; 6] =
        [Self::Echo, Self::Broadcast, Self::Directory, Self::Named, Self::Im, Self::Chat];

    /// Whether its clients meet under ids in the hub's user directory. Such clients reach each other
    /// within one hub only: "the newest wins" needs one who orders them. All others may be spread
    /// over the hubs of a cluster.
    ///
    /// The hub need not be where the sockets are: it can be told of their messages through a queue
    /// that keeps each connection's order, and its effects find their way back by
    /// [`ConnId`](super::ConnId).
    pub const fn needs_one_hub(self) -> bool {
        matches!(self, Self::Directory | Self::Im)
    }

    /// How its clients are in a room from the start; `None` if they are not.
    pub(super) const fn form(self) -> Option<Form> {
        match self {
            Self::Broadcast => Some(Form::AsSaid),
            Self::Named => Some(Form::Named),
            Self::Echo | Self::Directory | Self::Im | Self::Chat => None,
        }
    }

    /// What this message asks for. Text that is written for it goes to `scratch`, which is empty.
    pub(super) fn hear<'a>(
        self,
        kind: Kind,
        bytes: &'a [u8],
        context: &Context<'_>,
        scratch: &'a mut Vec<u8>,
    ) -> Command<'a> {
        match self {
            Self::Echo => echo::hear(),
            Self::Broadcast => broadcast::hear(kind, bytes),
            Self::Directory => directory::hear(kind, bytes, context),
            Self::Named => named::hear(kind, bytes),
            Self::Im => im::hear(kind, bytes, context, scratch),
            // Asks for more than a command can say: `chat::hear`.
            Self::Chat => Command::Nothing,
        }
    }

    /// What a client is told on arrival, if anything.
    pub(super) fn greeting(self, name: &str) -> Option<String> {
        match self {
            Self::Named => Some(named::greeting(name)),
            _ => None,
        }
    }
}

/// How members of a room are told what was said. Members of one form share one message.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Form {
    AsSaid,
    Named,
    /// As events, with a place in the log.
    Chat,
}

impl Form {
    /// Whether who speaks is told, too.
    pub(super) const fn hears_itself(self) -> bool {
        match self {
            Self::AsSaid => broadcast::HEARS_ITSELF,
            Self::Named => named::HEARS_ITSELF,
            Self::Chat => true,
        }
    }

    /// Writes into `scratch`, which is empty, and returns the kind; `None` for what was said, unchanged.
    pub(super) fn write(self, from: &str, said: &[u8], scratch: &mut Vec<u8>) -> Option<Kind> {
        match self {
            Self::AsSaid | Self::Chat => None,
            Self::Named => Some(named::tell(from, said, scratch)),
        }
    }
}

/// What a dialect may need to know.
pub(super) struct Context<'a> {
    pub(super) limits: &'a Limits,
    pub(super) zone: &'a Zone,
}

/// Ids that exist before anybody comes.
pub(super) fn known_from_the_start() -> Vec<Key> {
    vec![im::known_from_the_start()]
}
