//! What a frame is. Knows the six opcodes of RFC 6455 section 5.2 and no other.

/// The opcode of a frame (RFC 6455 §5.2). The reserved values cannot be expressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
pub enum OpCode {
    /// `0x0`: goes on with the message that an unfinished `Text` or `Binary` frame began.
    Continuation = 0x0,
    /// `0x1`: UTF-8 text.
    Text = 0x1,
    /// `0x2`: octets.
    Binary = 0x2,
    /// `0x8`: begins or answers the closing handshake (§5.5.1).
    Close = 0x8,
    /// `0x9`: asks for a pong (§5.5.2).
    Ping = 0x9,
    /// `0xA`: answers a ping, or comes unasked (§5.5.3).
    Pong = 0xA,
}

impl OpCode {
    /// Reads the low four bits of a frame's first byte; `None` for the reserved opcodes 3-7 and 11-15.
    ///
    /// ```
    /// # use sockeye::proto::OpCode;
    /// assert_eq!(OpCode::new(0x9), Some(OpCode::Ping));
    /// assert_eq!(OpCode::new(0x3), None);
    /// ```
    #[inline]
    pub const fn new(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xA => Self::Pong,
            _ => return None,
        })
    }

    /// Close, ping and pong are control frames (§5.5): at most 125 bytes, never fragmented.
    #[inline]
    pub const fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }
}
