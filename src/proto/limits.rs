//! What a connection takes from its peer at most. Every number has its reason here and nowhere else.

/// Bounds on what a peer may send. Each is checked on what is *declared*, before a byte of it is
/// kept; memory grows only by bytes that have arrived.
///
/// ```
/// # use sockeye::proto::Limits;
/// let limits = Limits { message_bytes_max: 64 * 1024, ..Limits::default() };
/// assert_eq!(limits.fragments_max, 131_072);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Bytes of one message: the sum of its fragments, and of what a compressed one inflates to.
    /// More is refused with 1009.
    ///
    /// 16 MiB: ten times the largest thing that people paste into a chat, and the largest message
    /// that the Autobahn suite sends. It is also the most that one connection's reassembly holds
    /// (times two while the buffer grows), so worst-case memory is this times the connections.
    pub message_bytes_max: u64,

    /// Bytes of one frame's payload as it travels (compressed, if it is). More is refused with 1009.
    ///
    /// No bound of its own by default: a frame is never buffered apart from its message, which has one.
    pub frame_bytes_max: u64,

    /// Frames that one message may come in, empty ones included. More is refused with 1009; 1
    /// refuses every fragmented message.
    ///
    /// 131,072: twice the 65,537 fragments of the Autobahn suite's hardest case, so that a message
    /// without bytes cannot go on for ever.
    pub fragments_max: u32,

    /// Pings in one [`Input`](super::Input) that are answered one by one; a flood beyond them is
    /// answered once, with the newest payload (RFC 6455 §5.5.3 allows it).
    ///
    /// 64: no honest peer has so many in flight, and 64 pongs of 127 bytes are 8 KiB.
    pub pings_per_read: u32,
}

impl Limits {
    /// The defaults, as a constant.
    pub const DEFAULT: Self = Self {
        message_bytes_max: 16 << 20,
        frame_bytes_max: u64::MAX,
        fragments_max: 131_072,
        pings_per_read: 64,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
