//! What a request asks for by its path and query.

use super::paths::{Door, Paths};
use crate::relay::Dialect;

/// A path's meaning. `?room=` and `?user=` say where and who.
///
/// ```
/// # use sockeye::relay::Dialect;
/// # use sockeye::server::{Paths, Route};
/// let route = Route::of(&Paths::default(), "/ws", Some("room=lobby&user=a%20b")).unwrap();
/// assert_eq!(route.dialect, Dialect::Named);
/// assert_eq!(route.user.as_deref(), Some("a b"));
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Route {
    /// The wire language.
    pub dialect: Dialect,
    /// The room, unescaped.
    pub room: Option<String>,
    /// The name, unescaped.
    pub user: Option<String>,
}

impl Route {
    /// Reads path and query of a request's target. `None` if nobody speaks WebSocket there.
    pub fn of(paths: &Paths, path: &str, query: Option<&str>) -> Option<Self> {
        let dialect = match paths.door(path)? {
            Door::Echo => Dialect::Echo,
            Door::Broadcast => Dialect::Broadcast,
            Door::Direct => Dialect::Directory,
            Door::Ws => Dialect::Named,
            Door::Im => Dialect::Im,
            Door::Chat => Dialect::Chat,
        };
        let mut route = Self { dialect, room: None, user: None };
        for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            match &*name {
                "room" => route.room = Some(value.into_owned()),
                "user" => route.user = Some(value.into_owned()),
                _ => {}
            }
        }
        Some(route)
    }
}
