//! The values that labels may have. All are known beforehand: no peer can make a new series.

use crate::http::Fault;
use crate::proto::CloseCode;
use crate::proto::handshake::{HeadError, RequestError};
use crate::relay::Dialect;
use crate::server::Door;

/// Words for things that are counted one by one.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(in crate::server) enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            pub(in crate::server) const WORDS: &'static [&'static str] = &[$($word,)*];
            pub(in crate::server) const COUNT: usize = Self::WORDS.len();

            pub(in crate::server) const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }
    };
}

words! {
    /// Why somebody who came did not get a WebSocket.
    Failure {
        /// More connections from its address than one may have.
        Address = "address",
        /// No trusted proxy, or none that says by the PROXY protocol whom it passes on.
        Proxy = "proxy",
        /// The bytes are no request.
        Malformed = "malformed",
        /// The head, or what it declares, is larger than is taken.
        TooLarge = "too_large",
        /// Not GET.
        Method = "method",
        /// HTTP before 1.1.
        HttpVersion = "http_version",
        Host = "host",
        /// `Upgrade` or `Connection` is missing or says something else.
        Upgrade = "upgrade",
        /// Not version 13.
        Version = "version",
        Key = "key",
        /// Not one of those that may connect, or none that can be read.
        Origin = "origin",
        Subprotocol = "subprotocol",
        Extensions = "extensions",
        /// A field that stands twice.
        Duplicate = "duplicate",
        /// A request with a body.
        Body = "body",
        /// Nothing speaks WebSocket there.
        Path = "path",
        /// A room or a user that cannot be.
        Name = "name",
        /// The server is going down.
        Draining = "draining",
        /// The request did not come, or not whole, in time.
        Timeout = "timeout",
        /// The TLS handshake failed.
        Tls = "tls",
        /// Our fault.
        Internal = "internal",
    }
}

words! {
    /// What ended a connection: the first cause.
    Ending {
        /// An HTTP connection, after its answers or without a request.
        Http = "http",
        /// Refused before it was a WebSocket, with an answer.
        Refused = "refused",
        /// Hung up on: its address has its share.
        Address = "address",
        /// Hung up on: no trusted proxy, or none that says by the PROXY protocol whom it passes on.
        Proxy = "proxy",
        /// No whole request in time.
        Timeout = "timeout",
        /// The peer began the closing handshake.
        Closed = "closed",
        /// TCP ended without a close frame.
        Left = "left",
        /// The connection broke.
        Reset = "reset",
        /// TLS failed.
        Tls = "tls",
        /// The peer broke the protocol.
        Violation = "violation",
        /// Closed for sending more than it may.
        RateLimited = "rate_limited",
        /// Closed by the chat for another reason.
        Expelled = "expelled",
        /// Too much waited for it.
        Slow = "slow",
        /// It took nothing at all for too long.
        Stalled = "stalled",
        /// It said nothing, not even to a ping.
        Silent = "silent",
        /// The server went down.
        Draining = "draining",
    }
}

impl From<&RequestError> for Failure {
    fn from(error: &RequestError) -> Self {
        match error {
            RequestError::Head(HeadError::TooLong { .. } | HeadError::TooManyHeaders { .. }) => {
                Self::TooLarge
            }
            RequestError::Method => Self::Method,
            RequestError::HttpVersion(_) => Self::HttpVersion,
            RequestError::Host => Self::Host,
            RequestError::NoUpgrade | RequestError::OtherUpgrade | RequestError::Connection => {
                Self::Upgrade
            }
            RequestError::Version => Self::Version,
            RequestError::Key(_) => Self::Key,
            RequestError::Missing(name) if name.eq_ignore_ascii_case("sec-websocket-key") => {
                Self::Key
            }
            RequestError::Missing(name) if name.eq_ignore_ascii_case("host") => Self::Host,
            RequestError::Origin => Self::Origin,
            RequestError::Subprotocol | RequestError::DuplicateSubprotocol => Self::Subprotocol,
            RequestError::Extensions(_) => Self::Extensions,
            RequestError::Duplicate(_) => Self::Duplicate,
            RequestError::Body | RequestError::ContentLength => Self::Body,
            _ => Self::Malformed,
        }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Version => Self::HttpVersion,
            Fault::Host(_) => Self::Host,
            Fault::LineTooLong(_)
            | Fault::HeadTooLong(_)
            | Fault::TooManyFields(_)
            | Fault::ChunkExtraTooLong(_)
            | Fault::BodyTooLong { .. } => Self::TooLarge,
            _ => Self::Malformed,
        }
    }
}

/// Where the wire languages stand in a row, and what they are called: as in their paths.
pub(super) const DIALECTS: [(Dialect, &str); 6] = [
    (Dialect::Echo, Door::Echo.name()),
    (Dialect::Broadcast, Door::Broadcast.name()),
    (Dialect::Directory, Door::Direct.name()),
    (Dialect::Named, Door::Ws.name()),
    (Dialect::Im, Door::Im.name()),
    (Dialect::Chat, Door::Chat.name()),
];

/// Its name.
pub(in crate::server) fn dialect_word(dialect: Dialect) -> &'static str {
    DIALECTS.get(dialect as usize).map_or("", |it| it.1)
}

/// Close codes that are counted one by one; `none` is a close without one, `other` what is left.
pub(super) const CODES: [&str; 16] = [
    "1000", "1001", "1002", "1003", "1007", "1008", "1009", "1010", "1011", "1012", "1013", "1014",
    "4008", "4029", "none", "other",
];

/// Where a code stands among [`CODES`].
pub(super) fn place_of(code: Option<CloseCode>) -> usize {
    match code.map(CloseCode::as_u16) {
        Some(code @ 1000..=1003) => usize::from(code) - 1000,
        Some(code @ 1007..=1014) => usize::from(code) - 1007 + 4,
        Some(4008) => 12,
        Some(4029) => 13,
        None => 14,
        Some(_) => 15,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_counted_under_its_own_name_or_as_another() {
        for code in (1000..5000).filter_map(CloseCode::new) {
            let word = CODES[place_of(Some(code))];
            let own = code.as_u16().to_string();
            assert_eq!(word, if CODES.contains(&&*own) { &own } else { "other" });
        }
        assert_eq!(CODES[place_of(None)], "none");
    }

    #[test]
    fn every_dialect_stands_at_its_place() {
        for (at, dialect) in Dialect::ALL.into_iter().enumerate() {
            assert_eq!((dialect as usize, DIALECTS[at].0), (at, dialect));
        }
    }

    #[test]
    fn no_word_stands_twice() {
        for words in [Failure::WORDS, Ending::WORDS, &CODES] {
            let all: std::collections::BTreeSet<_> = words.iter().collect();
            assert_eq!(all.len(), words.len());
        }
        assert_eq!(Failure::WORDS[Failure::Internal as usize], Failure::Internal.word());
        assert_eq!(Ending::WORDS[Ending::Draining as usize], Ending::Draining.word());
    }
}
