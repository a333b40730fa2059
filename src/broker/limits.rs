//! What the broker keeps at most, and for how long. Every number has its reason here.

/// Bounds on what a broker keeps. Memory at the worst is about the sum of [`bytes`](Self::bytes),
/// [`producer_bytes`](Self::producer_bytes), 300 bytes and a name for each log, and
/// [`queue_bytes`](Self::queue_bytes) for each node that has stopped to poll.
///
/// ```
/// # use sockeye::broker::Limits;
/// let limits = Limits { entries_per_channel: 100, ..Limits::default() };
/// assert_eq!(limits.bytes, 64 << 20);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Entries that a log keeps; the oldest goes first.
    ///
    /// 1,000: an evening's talk, and what a phone missed in a tunnel many times over.
    pub entries_per_channel: usize,

    /// Bytes that a log keeps, entries counted with what stands around them (some 160 bytes). An entry
    /// that is larger alone is delivered and not kept.
    ///
    /// 1 MiB: a thousand messages of a kilobyte. A room of photographs can't push out the others.
    pub bytes_per_channel: usize,

    /// Bytes that all logs keep together. Over it, the log that was unused for longest loses its oldest.
    ///
    /// 64 MiB: sixty-four rooms at their fullest, or a few thousand as rooms are. Small beside the
    /// memory of the connections that fill it.
    pub bytes: usize,

    /// Logs. One more takes the place of the one that was unused for longest, among those that nobody
    /// follows; if all are followed, it is refused. As many names of dropped ones are remembered, by 16
    /// bytes or so each, so that their channels do not seem to begin as if nothing had been said.
    ///
    /// 65,536: a large relay has as many people who were written to within the day. With nothing in it a
    /// log is some 300 bytes.
    pub channels: usize,

    /// After so many milliseconds without use a log that nobody follows is dropped.
    ///
    /// 24 h: who comes back the next day at the same hour finds the conversation.
    pub idle_ms: u64,

    /// Producers that are remembered.
    ///
    /// 65,536: as many people talking within the hour.
    pub producers: usize,

    /// Bytes of all that is remembered of producers.
    ///
    /// 32 MiB: 65,536 who said a few things each, or 7,500 who said more than is remembered.
    pub producer_bytes: usize,

    /// Last messages of a producer whose places are remembered.
    ///
    /// 128: a client resends what was not acknowledged, and the relay's clients are told that they may
    /// have as much under way. Below that a resend of what is in the log would look too old.
    pub remembered: usize,

    /// A producer is not forgotten for so many milliseconds after it was last heard. Then it may be.
    ///
    /// One hour: the promise to clients. A laptop that slept for longer may see a message doubled, but
    /// only if there were so many producers that its place was needed.
    pub remember_ms: u64,

    /// Bytes of entries and passings that may wait for one node. What would go beyond is refused to
    /// whoever sends it; one that is larger alone passes into an empty queue.
    ///
    /// 32 MiB: a loop thread polls thousands of times a second, so one with this much waiting is stuck.
    /// It must be well above the largest message.
    pub queue_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries_per_channel: 1000,
            bytes_per_channel: 1 << 20,
            bytes: 64 << 20,
            channels: 65_536,
            idle_ms: 24 * 3_600_000,
            producers: 65_536,
            producer_bytes: 32 << 20,
            remembered: 128,
            remember_ms: 3_600_000,
            queue_bytes: 32 << 20,
        }
    }
}
