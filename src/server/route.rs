//! What a request asks for by its path.

use crate::proto::handshake::Request;
use crate::relay::Dialect;

/// A path's meaning. Only its first segment counts.
///
/// | path | |
/// |---|---|
/// | `/echo` | everything comes back |
/// | `/direct` | the user directory |
/// | `/ws` | the named chat |
/// | `/im` | one-to-one messages |
/// | all others, `/broadcast` too | everything goes to the others of the room |
///
/// `?room=` and `?user=` say where and who.
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
    /// Reads path and query of a request's target.
    ///
    /// ```
    /// # use sockeye::relay::Dialect;
    /// # use sockeye::server::Route;
    /// let route = Route::new("/ws", Some("room=lobby&user=a%20b"));
    /// assert_eq!(route.dialect, Dialect::Named);
    /// assert_eq!(route.user.as_deref(), Some("a b"));
    /// ```
    pub fn new(path: &str, query: Option<&str>) -> Self {
        let dialect = match path.split('/').nth(1) {
            Some("echo") => Dialect::Echo,
            Some("direct") => Dialect::Directory,
            Some("ws") => Dialect::Named,
            Some("im") => Dialect::Im,
            _ => Dialect::Broadcast,
        };
        let mut route = Self { dialect, room: None, user: None };
        for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            match &*name {
                "room" => route.room = Some(value.into_owned()),
                "user" => route.user = Some(value.into_owned()),
                _ => {}
            }
        }
        route
    }

    pub(super) fn of(request: &Request<'_>) -> Self {
        Self::new(request.path(), request.query())
    }
}
