//! Close codes and close frames (RFC 6455 sections 5.5.1 and 7.4). Knows which codes may travel.

/// A close code that is legal on the wire (RFC 6455 §7.4, IANA registry): 1000-1003, 1007-1014 and
/// 3000-4999. The codes that only exist in an API (1005, 1006, 1015) cannot be expressed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the purpose of the connection is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// 1001: the server goes down, or the page was left.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: the peer broke the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// 1003: a kind of data that this endpoint does not take.
    pub const UNSUPPORTED: Self = Self(1003);
    /// 1007: text that is not UTF-8, or a compressed message that does not inflate.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// 1008: against the endpoint's policy.
    pub const POLICY: Self = Self(1008);
    /// 1009: larger than the endpoint is willing to take.
    pub const TOO_BIG: Self = Self(1009);
    /// 1010: the client misses an extension that it needs.
    pub const MANDATORY_EXTENSION: Self = Self(1010);
    /// 1011: the server met a condition that it did not expect.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// 1012: the service restarts; come back.
    pub const SERVICE_RESTART: Self = Self(1012);
    /// 1013: overloaded; come back later.
    pub const TRY_AGAIN_LATER: Self = Self(1013);
    /// 1014: a gateway got an invalid answer from upstream.
    pub const BAD_GATEWAY: Self = Self(1014);

    /// The code, if it may be sent in a close frame.
    ///
    /// ```
    /// # use sockeye::proto::CloseCode;
    /// assert_eq!(CloseCode::new(1000), Some(CloseCode::NORMAL));
    /// assert_eq!(CloseCode::new(1006), None); // means "no close frame came": never on the wire
    /// assert_eq!(CloseCode::new(4001).map(u16::from), Some(4001));
    /// ```
    #[inline]
    pub const fn new(code: u16) -> Option<Self> {
        match code {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Some(Self(code)),
            _ => None,
        }
    }

    /// The number on the wire.
    #[inline]
    pub const fn as_u16(self) -> u16 {
        self.0
    }
}

impl From<CloseCode> for u16 {
    fn from(code: CloseCode) -> u16 {
        code.0
    }
}

impl core::fmt::Display for CloseCode {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

/// The body of a close frame: a code and up to 123 bytes of reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CloseFrame<'a> {
    /// Why the sender closes.
    pub code: CloseCode,
    /// For a log; not for a person, and not to be parsed (§5.5.1).
    pub reason: &'a str,
}

impl CloseFrame<'_> {
    /// A control frame's 125 bytes less two of code.
    pub const REASON_MAX: usize = 123;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_close_code_from_0_to_65535_is_judged_as_the_registry_says() {
        for code in 0..=u16::MAX {
            let legal = matches!(
                code,
                1000 | 1001 | 1002 | 1003 | 1007 | 1008 | 1009 | 1010 | 1011 | 1012 | 1013 | 1014
            ) || (3000..5000).contains(&code);
            assert_eq!(CloseCode::new(code).is_some(), legal, "{code}");
        }
    }
}
