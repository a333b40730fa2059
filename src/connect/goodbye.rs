//! What a close code says, in words, and whether it is the end of a conversation or of a server.

/// A few words for a code; those from 3000 on are the applications' own.
pub(super) const fn name(code: u16) -> &'static str {
    match code {
        1000 => "normal closure",
        1001 => "going away",
        1002 => "protocol error",
        1003 => "unsupported data",
        1005 => "no code given",
        1006 => "cut without a goodbye",
        1007 => "invalid payload",
        1008 => "policy violation",
        1009 => "message too big",
        1010 => "extension missing",
        1011 => "internal error",
        1012 => "service restart",
        1013 => "try again later",
        1014 => "bad gateway",
        3000..=3999 => "registered with IANA",
        4000..=4999 => "the application's own",
        _ => "unknown",
    }
}

/// Whether this is how conversations end when nothing went wrong.
pub(super) const fn is_normal(code: u16) -> bool {
    matches!(code, 1000 | 1001 | 1005)
}

/// Whether another attempt may fare better: not where the server has finished, or where it would say the same again.
pub(super) const fn may_come_back(code: u16) -> bool {
    !matches!(code, 1000 | 1002 | 1003 | 1005 | 1007..=1010)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_restarts_is_tried_again_and_who_said_goodbye_is_not() {
        for code in [1001, 1006, 1011, 1012, 1013, 1014, 4008] {
            assert!(may_come_back(code), "{code}");
        }
        for code in [1000, 1002, 1005, 1008, 1009] {
            assert!(!may_come_back(code), "{code}");
        }
    }
}
