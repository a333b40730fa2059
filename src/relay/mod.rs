//! What the chat means: rooms, users, and the wire languages of their clients. Deterministic: no
//! sockets, frames, clocks, threads or disk; it is told what came and says what to do.
//!
//! ```text
//! message of a client -> Dialect::hear -> Command -> Hub: who is concerned?
//!                                                     |
//!   effects of the caller <- Form: what they are told <+
//! ```
//!
//! - A [`Dialect`] knows one wire language and nobody's connection; the [`Hub`] knows everybody and no
//!   language. So a raw client and a named one can sit in one room: what is said goes to each in its
//!   own form, one message per form, shared by all its receivers.
//! - Rooms belong to all dialects that have them (`broadcast`, `named`); ids of users belong to one
//!   each (`directory`, `im`), since the messages that come with them mean nothing elsewhere.
//! - Several hubs may share rooms ([`Config::cluster`]): each passes on what is said in it. Ids need
//!   one hub ([`Dialect::needs_one_hub`]).
//! - What a hostile client can make the hub keep is bounded by [`Limits`]; what it may send, by
//!   [`Rates`]. Bad input costs a message, never a connection.

mod command;
mod dialect;
mod effect;
mod hub;
mod ids;
mod json;
mod key;
mod limits;
mod quota;
mod room;
mod users;

pub use dialect::Dialect;
pub use effect::{Effect, Kind, Said, Shared};
pub use hub::{Hub, OpenError, Opening};
pub use ids::{ConnId, NameError, RoomName, UserName};
pub use limits::{Config, Limits, Zone};
pub use quota::Rates;
