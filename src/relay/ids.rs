//! Names that cannot be wrong once they exist: connections, rooms, people. Knows no dialect.

use core::net::Ipv4Addr;
use std::fmt;
use std::sync::Arc;

/// A connection, as its owner numbers it. The hub only compares it.
///
/// It need not be a socket: whoever keeps sessions that outlive their connections passes the
/// session's number. A number must not be used again before [`Hub::close`](super::Hub::close).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConnId(pub u64);

/// The name of a room: 1 to 128 bytes of UTF-8 without control characters, not beginning with `@`,
/// which is for the inboxes of people.
///
/// ```
/// # use sockeye::relay::{NameError, RoomName};
/// assert_eq!(RoomName::new("tea room").unwrap().as_str(), "tea room");
/// assert_eq!(RoomName::new(""), Err(NameError::Empty));
/// assert_eq!(RoomName::new("@alice"), Err(NameError::Reserved));
/// assert_eq!(RoomName::new(&"x".repeat(129)), Err(NameError::TooLong { bytes: 129 }));
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RoomName(Arc<str>);

impl RoomName {
    /// Copies a name that may be a room's.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn new(name: &str) -> Result<Self, NameError> {
        check(name)?;
        if name.starts_with('@') {
            return Err(NameError::Reserved);
        }
        Ok(Self(name.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn shared(&self) -> &Arc<str> {
        &self.0
    }

    /// For what was a room's name before.
    pub(super) fn of_shared(name: &Arc<str>) -> Self {
        Self(Arc::clone(name))
    }
}

impl Default for RoomName {
    /// `lobby`: where those meet who asked for no room.
    fn default() -> Self {
        Self("lobby".into())
    }
}

impl fmt::Display for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a person is called in a room: the name they asked for (1 to 128 bytes of UTF-8 without
/// control characters), or their address and port.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct UserName(Arc<str>);

impl UserName {
    /// Copies a name that may be a person's.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn new(name: &str) -> Result<Self, NameError> {
        check(name)?;
        Ok(Self(name.into()))
    }

    /// Address and port without anything between them, as the tutorial of the named chat has it; and
    /// as its one socket for both families shows them, IPv4 addresses within IPv6.
    pub(super) fn of_address(address: &str, port: u16) -> Self {
        let mapped = if address.parse::<Ipv4Addr>().is_ok() { "::ffff:" } else { "" };
        Self(format!("{mapped}{address}{port}").into())
    }

    /// For an inbox, `@name`.
    pub(super) fn of_inbox(inbox: &str) -> Self {
        Self(inbox.strip_prefix('@').unwrap_or(inbox).into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn shared(&self) -> &Arc<str> {
        &self.0
    }

    /// `@name`: the channel of their direct messages.
    pub(super) fn inbox(&self) -> Arc<str> {
        format!("@{}", self.0).into()
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// 128: a name is shown in one line and travels in a URL, where it may become three times as long.
const NAME_BYTES_MAX: usize = 128;

/// Why a name is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NameError {
    /// It has no bytes.
    Empty,
    /// It has more than 128 bytes.
    TooLong {
        /// How many it has.
        bytes: usize,
    },
    /// It has a control character (a line feed, a NUL, an escape), which would break lines and logs.
    Control {
        /// The first one.
        character: char,
    },
    /// It begins with `@`: that is an inbox, not a room.
    Reserved,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("an empty name; give it 1 to 128 bytes"),
            Self::TooLong { bytes } => write!(f, "name of {bytes} bytes exceeds {NAME_BYTES_MAX}"),
            Self::Control { character } => {
                write!(f, "control character U+{:04X} in a name", u32::from(*character))
            }
            Self::Reserved => f.write_str("names of rooms do not begin with @, inboxes do"),
        }
    }
}

impl std::error::Error for NameError {}

fn check(name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(NameError::TooLong { bytes: name.len() });
    }
    match name.chars().find(|character| character.is_control()) {
        Some(character) => Err(NameError::Control { character }),
        None => Ok(()),
    }
}
