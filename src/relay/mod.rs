//! What the chat means: rooms, users, and the wire languages of their clients. Deterministic: no
//! sockets, frames, clocks, threads or disk; it is told what came and says what to do.
//!
//! ```text
//! message of a client -> Dialect -> Command or Request -> Hub: who is concerned?
//!                                                          |
//!     effects of the caller <- Form or notice: their words <+-> the broker's log, other hubs
//! ```
//!
//! - A [`Dialect`] knows one wire language and nobody's connection; the [`Hub`] knows everybody. So a
//!   raw client, a named one and one of the chat dialect can sit in one room: what is said goes to
//!   each in its own form, one message per form, shared by all its receivers.
//! - Rooms belong to all dialects that have them (`broadcast`, `named`, `chat`); ids of users belong
//!   to one each (`directory`, `im`), since the messages that come with them mean nothing elsewhere.
//! - A hub is a small node of a cluster. What it wants of the others, and of the broker that orders and
//!   keeps messages, it says by effects; what comes back it is told by calls, in any order and at any
//!   time. An answer carries the [`Ask`] of its question.
//! - What a hostile client can make the hub keep is bounded by [`Limits`]; what it may send, by
//!   [`Rates`]. Bad input costs a message; only a flood of it costs the connection.
//!
//! # Kept rooms
//!
//! A room is kept from the first join in the chat dialect, on any hub, for as long as it has members
//! on this one; or if [`Opening::kept`] says so. In a kept room everything is published, what plain
//! dialects say too, and reaches all members through [`Hub::entry`], in the log's order. In other
//! rooms what plain dialects say reaches members here at once, and other hubs by
//! [`Elsewhere::Said`]; members of the chat dialect, if any came meanwhile on another hub, are not
//! told: it has no place in the log.
//!
//! # What a client of the chat dialect sees, in which order
//!
//! - Who joins gets `joined`, then what is replayed, then what came meanwhile, then what comes. The
//!   first of them follows on `joined`'s `prev`: with *my last offset is `prev`; deliver what has my
//!   last offset as its own `prev`; drop what is at or below it; else ask for `history` after it* a
//!   client is right whatever it asked for and whatever was lost on the way.
//! - An `ack` is told when [`Hub::published`] is called, one's own copy when [`Hub::entry`] is: a
//!   caller that calls them in this order gives an `ack` first. Clients must take either.

mod ask;
mod command;
mod dialect;
mod effect;
mod elsewhere;
mod held;
mod hub;
mod ids;
mod inbox;
mod json;
mod key;
mod limits;
mod log;
mod notice;
mod ordered;
mod places;
mod presence;
mod quota;
mod room;
mod users;

pub use ask::Ask;
pub use dialect::Dialect;
pub use effect::{Effect, Kind, Publish, Replay, Said, Shared};
pub use elsewhere::{Elsewhere, NodeId, Parts};
pub use hub::{Hub, OpenError, Opening};
pub use ids::{ConnId, NameError, RoomName, UserName};
pub use limits::{ChatLimits, Config, Limits, Zone};
pub use log::{ContentKind, Cursor, Entry, Opened, Page, Published, Refused};
pub use quota::Rates;

/// Whether this is one JSON value, nested no deeper than clients may nest: what a body has to be that
/// is published past the hub.
///
/// ```
/// # use sockeye::relay::{Limits, is_json};
/// assert!(is_json(r#"{"text":"hi"}"#, &Limits::default()));
/// assert!(!is_json("hi", &Limits::default()));
/// ```
pub fn is_json(text: &str, limits: &Limits) -> bool {
    json::Value::read(text, limits.json_depth).is_some()
}
