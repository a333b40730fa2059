//! Messages that own their payload, to be kept and to be sent between tasks.

use std::sync::Arc;

use bytes::Bytes;

use crate::proto::{self, CloseCode, Event};

/// A message or control frame, owned. Making one of a received event copies the payload once; to
/// clone one costs a count.
///
/// ```
/// use sockeye::aio::Message;
///
/// let message = Message::text("hi");
/// assert_eq!(message, "hi".into());
/// assert_eq!((message.as_text(), message.payload()), (Some("hi"), &b"hi"[..]));
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Message {
    /// UTF-8 text.
    Text(Arc<str>),
    /// Octets.
    Binary(Bytes),
    /// A ping of at most 125 bytes. One that was received has been answered.
    Ping(Bytes),
    /// A pong of at most 125 bytes. None needs to be sent: pings are answered without it.
    Pong(Bytes),
    /// The close frame; `None` if it gives no code. One that was received has been answered; to send
    /// one is to begin the closing handshake.
    Close(Option<CloseFrame>),
}

/// Why the sender of a close frame closes, owned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CloseFrame {
    /// The code.
    pub code: CloseCode,
    /// For a log: at most 123 bytes.
    pub reason: Arc<str>,
}

impl Message {
    /// A text message. Copies a `&str` or `String`; takes an `Arc<str>` as it is.
    pub fn text(text: impl Into<Arc<str>>) -> Self {
        Self::Text(text.into())
    }

    /// A binary message. Copies nothing.
    pub fn binary(bytes: impl Into<Bytes>) -> Self {
        Self::Binary(bytes.into())
    }

    /// The text of a text message.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The payload; of a close frame its reason.
    pub fn payload(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) | Self::Ping(bytes) | Self::Pong(bytes) => bytes,
            Self::Close(frame) => frame.as_ref().map_or(&[], |frame| frame.reason.as_bytes()),
        }
    }

    /// Whether this is text.
    pub const fn is_text(&self) -> bool {
        matches!(self, Self::Text(_))
    }

    /// Whether this is binary.
    pub const fn is_binary(&self) -> bool {
        matches!(self, Self::Binary(_))
    }

    /// Whether this is a close frame.
    pub const fn is_close(&self) -> bool {
        matches!(self, Self::Close(_))
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl From<Vec<u8>> for Message {
    fn from(bytes: Vec<u8>) -> Self {
        Self::binary(bytes)
    }
}

impl From<Bytes> for Message {
    fn from(bytes: Bytes) -> Self {
        Self::binary(bytes)
    }
}

impl From<Event<'_>> for Message {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Text(text) => Self::Text(text.into()),
            Event::Binary(bytes) => Self::Binary(Bytes::copy_from_slice(bytes)),
            Event::Ping(bytes) => Self::Ping(Bytes::copy_from_slice(bytes)),
            Event::Pong(bytes) => Self::Pong(Bytes::copy_from_slice(bytes)),
            Event::Close(frame) => Self::Close(frame.map(CloseFrame::from)),
        }
    }
}

impl CloseFrame {
    /// A code and a reason.
    pub fn new(code: CloseCode, reason: impl Into<Arc<str>>) -> Self {
        Self { code, reason: reason.into() }
    }

    pub(super) fn borrowed(&self) -> proto::CloseFrame<'_> {
        proto::CloseFrame { code: self.code, reason: &self.reason }
    }
}

impl From<proto::CloseFrame<'_>> for CloseFrame {
    fn from(frame: proto::CloseFrame<'_>) -> Self {
        Self::new(frame.code, frame.reason)
    }
}
