//! How the hub is set up, and what one client can make it keep. Every number has its reason here.

use super::RoomName;
use super::quota::Rates;
use std::fmt;
use std::sync::Arc;

/// Bounds on what one connection can make the hub remember. A message over one of them is ignored, or
/// answered with an error in the dialect that has errors; the connection lives.
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

    /// What else the chat dialect bounds.
    pub chat: ChatLimits,
}

/// Bounds of the chat dialect. Its `hello` tells those that a client has to know.
///
/// ```
/// # use sockeye::relay::ChatLimits;
/// let limits = ChatLimits { body_bytes: 1024, ..ChatLimits::default() };
/// assert_eq!(limits.history, 100);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChatLimits {
    /// Bytes of one body, as written.
    ///
    /// 256 KiB: a long text or a small picture. A log keeps it for all, and each member is sent it.
    pub body_bytes: usize,

    /// Bytes of one message of a client, body included.
    ///
    /// 320 KiB: the largest body, and 64 KiB for the rest: a `hello` that resumes 64 rooms whose
    /// names are as long as may be, each character escaped.
    pub message_bytes: usize,

    /// Bytes of a request's `id`, as written.
    ///
    /// 128: a UUID and a prefix. It waits with the request until the answer comes.
    pub id_bytes: usize,

    /// Bytes of a `producer`.
    ///
    /// 64: a UUID is 36. The broker remembers it for an hour or more.
    pub producer_bytes: usize,

    /// `say`, `tell` and `history` of one connection whose answers are still to come.
    ///
    /// 128: at 5 ms for the disk that is 25,000 messages a second.
    pub unacked: u16,

    /// Messages in one page of `history`, and how many a client gets that asks for no number.
    ///
    /// 100: some screens full.
    pub history: usize,

    /// Bytes of one page of `history`. The page ends early then, after one message at least.
    ///
    /// 512 KiB: half of what may wait for a slow reader.
    pub history_bytes: usize,

    /// Messages that are replayed to who joins with a cursor or asks for the last ones. What is
    /// behind them is had by `history`.
    ///
    /// 1000: a lively room's last minutes.
    pub replay: usize,

    /// Bytes of one replay, and of what is held for who is joining.
    ///
    /// 512 KiB: half of what may wait for a slow reader.
    pub replay_bytes: usize,

    /// People in a room up to whom each coming and going is told by name, and all are named to who
    /// joins. In larger rooms only the number is told.
    ///
    /// 256: a coming costs one message to each; nobody reads a longer list.
    pub presence_members: usize,

    /// People that `who` names; it says how many there are all the same.
    ///
    /// 1000: 128 KiB of the longest names.
    pub who_members: usize,

    /// Messages that mean nothing, within a minute or so: each costs a second's credit, and this
    /// many may be owed. One more closes with 1008.
    ///
    /// 60: a person at a console mistypes less, a broken program more.
    pub faults: u32,

    /// Messages over the rate, less those within it, until the connection is closed with 4029.
    ///
    /// 1000: a client that hears `rate_limited` that often does not listen.
    pub over_rate: u16,
}

impl Default for ChatLimits {
    fn default() -> Self {
        Self {
            body_bytes: 256 << 10,
            message_bytes: 320 << 10,
            id_bytes: 128,
            producer_bytes: 64,
            unacked: 128,
            history: 100,
            history_bytes: 512 << 10,
            replay: 1000,
            replay_bytes: 512 << 10,
            presence_members: 256,
            who_members: 1000,
            faults: 60,
            over_rate: 1000,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            json_depth: 128,
            ids_per_connection: 64,
            id_bytes: 1024,
            ids_bytes_per_connection: 8 << 10,
            rooms_per_connection: 64,
            chat: ChatLimits::default(),
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
#[derive(Clone, Debug)]
pub struct Config {
    /// What one connection can make the hub keep.
    pub limits: Limits,
    /// Messages and bytes per second that one connection may send. None by default: how much is too
    /// much depends on the chat, and TCP already slows a sender down to the relay's pace.
    pub rates: Option<Rates>,
    /// The same for the chat dialect, which tells a client to wait before it closes. On by default:
    /// what is said there is kept.
    pub chat_rates: Option<Rates>,
    /// Where those meet who ask for no room.
    pub default_room: RoomName,
    /// The server's time zone, for the times of day that `im` shows. UTC by default.
    pub zone: Zone,
    /// Other hubs have members of the same rooms, and want to hear what is said here.
    pub cluster: bool,
    /// What tells this hub from all others, earlier ones of the same machine included: sessions and
    /// guests are named after it. A random number of 48 bits will do; 0, the default, is for a hub
    /// that is alone and keeps nothing beyond its life.
    pub hub_id: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            rates: None,
            chat_rates: Some(Rates::default()),
            default_room: RoomName::default(),
            zone: Zone::default(),
            cluster: false,
            hub_id: 0,
        }
    }
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
