//! How the hub is set up, and what one client can make it keep. Every number has its reason here.

use super::RoomName;
use super::quota::Rates;
use std::fmt;
use std::sync::Arc;

/// Bounds on what one connection can make the hub remember. A message over one of them is ignored,
/// the connection lives.
///
/// ```
/// # use sockeye::relay::Limits;
/// let limits = Limits { ids_per_connection: 1, ..Limits::default() };
/// assert_eq!(limits.json_depth, 128);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Arrays and objects inside each other in one message of JSON, the outermost included.
    ///
    /// 128: what people write nests under ten; common readers stop at 128 too. Reading keeps one bit
    /// per level and does not recurse, so that this guards the receivers more than the relay.
    pub json_depth: u8,

    /// Ids that one connection may hold in the user directory (`direct`, `im`). One more is ignored.
    ///
    /// 64: a page has one; a gateway that speaks for a few people has some.
    pub ids_per_connection: usize,

    /// Bytes of one id, as written and as kept.
    ///
    /// 1024: a name of 128 characters, each written as `\u1234`, fits.
    pub id_bytes: usize,

    /// Bytes of all ids of a connection together, as kept.
    ///
    /// 8 KiB: eight of the longest. Ten thousand hostile connections then pin 80 MB, not 640.
    pub ids_bytes_per_connection: usize,

    /// Rooms that a connection may be in.
    ///
    /// 64: more than a person reads. The tutorials' dialects have one.
    pub rooms_per_connection: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            json_depth: 128,
            ids_per_connection: 64,
            id_bytes: 1024,
            ids_bytes_per_connection: 8 << 10,
            rooms_per_connection: 64,
        }
    }
}

/// How a [`Hub`](super::Hub) is set up.
///
/// ```
/// # use sockeye::relay::{Config, Zone};
/// let config = Config { zone: Zone::fixed(8 * 60), ..Config::default() };
/// assert_eq!(config.zone.offset_minutes(0), 480);
/// ```
#[derive(Clone, Default, Debug)]
pub struct Config {
    /// What one connection can make the hub keep.
    pub limits: Limits,
    /// Messages and bytes per second that one connection may send. None by default: how much is too
    /// much depends on the chat, and TCP already slows a sender down to the relay's pace.
    pub rates: Option<Rates>,
    /// Where those meet who ask for no room.
    pub default_room: RoomName,
    /// The server's time zone, for the times of day that `im` shows. UTC by default.
    pub zone: Zone,
    /// Other hubs have members of the same rooms, and want to hear what is said here.
    pub cluster: bool,
}

/// A time zone: how far its clocks are ahead of UTC at a moment. The hub has no clock to ask.
#[derive(Clone)]
pub struct Zone(Arc<dyn Fn(i64) -> i32 + Send + Sync>);

impl Zone {
    /// A zone whose clocks never change: minutes east of Greenwich.
    pub fn fixed(minutes: i32) -> Self {
        Self::new(move |_| minutes)
    }

    /// A zone with a history: from milliseconds since 1970 (UTC) to minutes east of Greenwich.
    pub fn new(offset_minutes: impl Fn(i64) -> i32 + Send + Sync + 'static) -> Self {
        Self(Arc::new(offset_minutes))
    }

    /// Minutes east of Greenwich at this moment, in milliseconds since 1970 (UTC).
    pub fn offset_minutes(&self, at_ms: i64) -> i32 {
        (self.0)(at_ms)
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self::fixed(0)
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zone({} minutes in 1970)", self.offset_minutes(0))
    }
}
