//! Who orders and keeps messages, and carries them from node to node. Knows channels, nodes and opaque
//! bytes; knows no sockets, sessions, wire languages or clocks, and has no threads of its own.
//!
//! A **node** is one hub: a loop thread, or a whole process. Each holds a handle, a [`Broker`], and from
//! it drinks **one ordered queue of events**, so that order holds across everything that it is told:
//!
//! ```text
//! submit(Publish) --> place (epoch, offset, prev) --> log --+--> queue of every node that follows
//! submit(Open, Read) ---------------------------------------+--> queue of the one that asked
//! pass (never stored) --------------------------------------+--> queues of the others that follow
//! ```
//!
//! - A [`Cursor`] `{ epoch, offset }` is one value. Offsets of a channel begin at 1 and grow by 1; the
//!   epoch tells a log from every other that the same channel has had, also before a restart.
//!   Channels whose logs are their first share one epoch, so that where a channel without a log stands
//!   is known without keeping anything for it.
//! - When [`Outcome::Opened`] is polled, every entry up to its head stood before it in the queue and
//!   every later one stands behind it, if the node followed the channel before it asked. So whoever
//!   joins shows the replay, then what follows in the queue: no gap, nothing twice. The same holds for
//!   [`Outcome::Published`] and its places, [`Outcome::Page`] and its head.
//! - What one node published and passed arrives at each other in the order in which it did so.
//! - [`Once`] makes a resend harmless: found in the memory of its producer, it is answered with the place
//!   that it has; too old for the memory, it is refused by name, never dropped, never appended again.
//! - Nothing grows without bound: see [`Limits`].
//!
//! [`Memory`] is the broker whose logs live as long as the process. It is also the specification of
//! others: those may complete later (a disk, a network), never in another order.

mod channels;
mod entry;
mod limits;
mod log;
mod memory;
mod order;
mod producers;
mod queue;
mod request;
mod table;

pub use entry::{Content, Cursor, Entry, Passing};
pub use limits::Limits;
pub use memory::{Cluster, Load, Memory, Usage};
pub use request::{Bounded, Event, NodeId, Once, Outcome, Refusal, Replay, Request, Ticket};

/// One node's handle. Nothing here blocks for others than the time of a short lock, and nothing is
/// answered but through [`poll`](Self::poll).
///
/// - [`follow`](Self::follow) a channel, then [`submit`](Self::submit) a [`Request::Open`] for it: that
///   order gives no gap.
/// - Poll after calls of one's own, and when the handle's wake was called.
/// - Dropping the handle takes the node out: its queue and what it followed are gone, and the others are
///   told ([`Event::NodeDown`]) after everything that it did before.
pub trait Broker {
    /// Which node this is.
    fn node(&self) -> NodeId;

    /// Asks for something. The answer comes as [`Event::Done`] with the same ticket, which is opaque.
    /// `at_ms`, milliseconds since 1970 (UTC), becomes the time of what is published, and ages what is
    /// remembered; steps back are harmless.
    fn submit(&mut self, ticket: Ticket, request: Request, at_ms: u64);

    /// From now on entries and passings of this channel come as events. Following twice is following.
    ///
    /// Costs memory until [`unfollow`](Self::unfollow); how many channels to follow is the caller's to
    /// bound, by the rooms that its members may be in.
    /// A log that somebody follows by its channel's name is not dropped. For a channel of a family that
    /// the node follows this is all that it does, and where there is no log yet it does nothing: follow
    /// again when the first entry comes.
    fn follow(&mut self, channel: &str);

    /// From now on entries and passings of all channels whose names begin so come as events, as long as
    /// the node is there; of a channel that it also follows by name they come once.
    ///
    /// Costs nothing for each channel, and a turn of this node for each message in them, whether anybody
    /// here is concerned or not: right for many channels of little traffic and nodes that are near each
    /// other, as the inboxes of people between the loops of a process. Far nodes had better follow by name.
    fn follow_family(&mut self, family: &str);

    /// No more events of this channel, except those that wait already.
    fn unfollow(&mut self, channel: &str);

    /// Passes something to every *other* node that follows its channel, or to all others where it names
    /// none. It is never stored.
    ///
    /// # Errors
    /// [`Refusal::Full`]: too much waits at one of them. Then nobody gets it; it may be passed later.
    fn pass(&mut self, passing: Passing) -> Result<(), Refusal>;

    /// Whether the channel has a log.
    fn keeps(&self, channel: &str) -> bool;

    /// Appends everything that waits for this node, in order. Never waits itself.
    fn poll(&mut self, events: &mut Vec<Event>);

    /// Bytes of entries and passings that wait at the slowest other node. Callers slow their senders
    /// down by it, well before the hard bound refuses ([`Limits::queue_bytes`]).
    fn backlog(&self) -> usize;

    /// The same of those other nodes that follow the channel; `None` if none does: what would be passed
    /// there need not be made.
    fn audience(&self, channel: &str) -> Option<usize>;
}
