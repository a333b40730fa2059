//! Which path leads to which wire language. Knows paths only: what is spoken behind a door is the
//! relay's affair.

use std::fmt;

/// A wire language, by the name that operators know it by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Door {
    /// Everything comes back.
    Echo,
    /// Everything goes to the others of the room.
    Broadcast,
    /// The user directory.
    Direct,
    /// The named chat.
    Ws,
    /// One-to-one messages.
    Im,
    /// The native chat, with acks, presence and history.
    Chat,
}

impl Door {
    /// Every door.
    pub const ALL: [Self; 6] =
        [Self::Echo, Self::Broadcast, Self::Direct, Self::Ws, Self::Im, Self::Chat];

    /// Its name, which is its default path without the slash.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Broadcast => "broadcast",
            Self::Direct => "direct",
            Self::Ws => "ws",
            Self::Im => "im",
            Self::Chat => "chat",
        }
    }

    /// The door of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|door| door.name() == name)
    }
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where the doors are. By default each is at its name, and all paths that nobody has lead to
/// [`Door::Broadcast`], since the tutorials' clients connect to any.
///
/// ```
/// # use sockeye::server::{Door, Paths};
/// let mut paths = Paths::default();
/// paths.set(Door::Ws, Some("/rooms/named".to_owned()));
/// paths.set(Door::Echo, None);
/// paths.others = None;
/// assert_eq!(paths.door("/rooms/named"), Some(Door::Ws));
/// assert_eq!(paths.door("/ws"), None);
/// assert_eq!(paths.door("/echo"), None);
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Paths {
    /// In the order of [`Door::ALL`].
    paths: [Option<String>; 6],
    /// What paths lead to that are no door's. `None` refuses them.
    pub others: Option<Door>,
}

impl Default for Paths {
    fn default() -> Self {
        let paths = Door::ALL.map(|door| Some(format!("/{door}")));
        Self { paths, others: Some(Door::Broadcast) }
    }
}

impl Paths {
    /// The path of a door; `None` if it is closed.
    pub fn get(&self, door: Door) -> Option<&str> {
        self.paths[door as usize].as_deref()
    }

    /// Moves a door, or closes it. The path begins with a slash; a slash at its end means nothing.
    pub fn set(&mut self, door: Door, path: Option<String>) {
        self.paths[door as usize] = path;
    }

    /// Where a request's path leads. What stands below a door's path leads there too, the longest first:
    /// `/ws/anything` is `/ws`. Only `/` stands for itself alone.
    pub fn door(&self, path: &str) -> Option<Door> {
        self.own_door(path).or(self.others)
    }

    /// The same, but nothing for paths that no door has.
    pub(super) fn own_door(&self, path: &str) -> Option<Door> {
        let doors = Door::ALL.into_iter().filter_map(|door| Some((door, self.get(door)?)));
        doors
            .filter(|(_, at)| leads(path, at))
            .max_by_key(|(_, at)| trimmed(at).len())
            .map(|(door, _)| door)
    }
}

fn leads(path: &str, at: &str) -> bool {
    let at = trimmed(at);
    match path.strip_prefix(at) {
        Some(rest) if at.is_empty() => rest.is_empty() || rest == "/",
        Some(rest) => rest.is_empty() || rest.starts_with('/'),
        None => false,
    }
}

/// `/ws/` is `/ws`, and `/` is nothing.
pub(super) fn trimmed(path: &str) -> &str {
    path.trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_door_is_at_its_name_and_nobodys_path_is_broadcast() {
        let paths = Paths::default();
        for door in Door::ALL {
            assert_eq!(Door::named(door.name()), Some(door));
            assert_eq!(paths.door(&format!("/{door}")), Some(door));
            assert_eq!(paths.door(&format!("/{door}/")), Some(door));
            assert_eq!(paths.door(&format!("/{door}/below")), Some(door));
            assert_eq!(paths.door(&format!("/{door}x")), Some(Door::Broadcast));
        }
        assert_eq!(paths.door("/"), Some(Door::Broadcast));
        assert_eq!(paths.door(""), Some(Door::Broadcast));
    }

    #[test]
    fn the_longest_path_wins_and_the_root_is_itself_alone() {
        let mut paths = Paths { others: None, ..Paths::default() };
        paths.set(Door::Ws, Some("/a".into()));
        paths.set(Door::Im, Some("/a/b/".into()));
        paths.set(Door::Chat, Some("/".into()));
        assert_eq!(paths.door("/a/c"), Some(Door::Ws));
        assert_eq!(paths.door("/a/b"), Some(Door::Im));
        assert_eq!(paths.door("/a/b/c"), Some(Door::Im));
        assert_eq!(paths.door("/"), Some(Door::Chat));
        assert_eq!(paths.door("/c"), None);
    }
}
