//! What travels: messages and events. Plain types without behaviour.

use super::CloseFrame;

/// The two kinds of message (RFC 6455 §5.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Kind {
    /// UTF-8 text.
    Text,
    /// Octets.
    Binary,
}

/// A message, or one fragment of it, on its way out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Message<'a> {
    /// UTF-8 text; a fragment ends between two characters.
    Text(&'a str),
    /// Octets.
    Binary(&'a [u8]),
}

impl<'a> Message<'a> {
    /// Text or binary.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Text(_) => Kind::Text,
            Self::Binary(_) => Kind::Binary,
        }
    }

    /// The payload.
    pub const fn as_bytes(&self) -> &'a [u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }
}

/// What the peer said. Borrows from the input or from the inbound half, never copies a message
/// that arrived in one piece.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event<'a> {
    /// A whole text message.
    Text(&'a str),
    /// A whole binary message.
    Binary(&'a [u8]),
    /// A ping. Its pong is already in the output.
    Ping(&'a [u8]),
    /// A pong, asked for or not.
    Pong(&'a [u8]),
    /// The peer's close frame; `None` if it gave no code. The answer is already in the output.
    Close(Option<CloseFrame<'a>>),
}

/// What the peer said, with messages in the pieces in which they come through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part<'a> {
    /// The next bytes of the message in progress, never empty unless `fin`.
    Data {
        /// The message's kind, the same for all of its parts.
        kind: Kind,
        /// The bytes. Those of a text are UTF-8 so far; a part may end within a character.
        bytes: &'a [u8],
        /// Whether the message ends here.
        fin: bool,
    },
    /// A ping. Its pong is already in the output.
    Ping(&'a [u8]),
    /// A pong, asked for or not.
    Pong(&'a [u8]),
    /// The peer's close frame; `None` if it gave no code. The answer is already in the output.
    Close(Option<CloseFrame<'a>>),
}
