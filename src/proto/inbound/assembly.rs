//! What a cut leaves unfinished: half a header, half a frame, a message of which more will come.

use alloc::string::String;
use alloc::vec::Vec;

use super::frames::Frame;
use crate::proto::{Header, Kind, Utf8, Violation};

/// Everything that a connection remembers of what is unfinished. Exists only while something is.
#[derive(Debug, Default)]
pub(super) struct Partial {
    /// The bytes of a header that was cut.
    pub(super) head: [u8; Header::MAX_LEN],
    pub(super) head_len: usize,
    pub(super) frame: Option<Frame>,
    pub(super) message: Option<Assembly>,
    /// The binary message so far; or what was just inflated of any message.
    pub(super) bytes: Vec<u8>,
    /// The text message so far, but for the character that it may break off in.
    pub(super) text: String,
    /// The control frame so far.
    pub(super) control: Vec<u8>,
}

/// A message whose first frame was seen and whose end was not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Assembly {
    pub(super) kind: Kind,
    pub(super) compressed: bool,
    pub(super) fragments: u32,
    /// Bytes declared by its frames.
    pub(super) declared: u64,
    /// Bytes inflated.
    #[cfg(feature = "deflate")]
    pub(super) produced: u64,
    /// What came so far, if it is text.
    pub(super) utf8: Utf8,
    /// Is taken in parts: nothing is kept.
    pub(super) in_parts: bool,
    /// There is compressed data that has not been inflated.
    #[cfg(feature = "deflate")]
    pub(super) inflating: bool,
    /// The last frame's last byte is there.
    pub(super) arrived: bool,
}

impl Assembly {
    pub(super) fn new(kind: Kind, compressed: bool) -> Self {
        Self {
            kind,
            compressed,
            fragments: 0,
            declared: 0,
            #[cfg(feature = "deflate")]
            produced: 0,
            utf8: Utf8::default(),
            in_parts: false,
            #[cfg(feature = "deflate")]
            inflating: false,
            arrived: false,
        }
    }

    /// Judges the next bytes of the message, as text if it is that: §8.1: as the octets arrive, not
    /// when the frame or the message ends.
    pub(super) fn judge(&mut self, bytes: &[u8]) -> Result<(), Violation> {
        if self.kind == Kind::Text {
            self.utf8.feed(bytes).map_err(|_| Violation::InvalidUtf8)?;
        }
        Ok(())
    }
}

impl Partial {
    /// Nothing is begun: whatever is still in the buffers was handed out.
    pub(super) fn is_settled(&self) -> bool {
        self.head_len == 0 && self.frame.is_none() && self.message.is_none()
    }

    /// Ready for the next message, with the memory of the last.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.text.clear();
        self.control.clear();
    }

    /// Makes room for `here` bytes of the message in progress that have come, of `left` that its frame still
    /// has: at most twice what has come in all, so that a length that is only declared costs nothing.
    pub(super) fn make_room(&mut self, here: usize, left: u64) {
        let (len, capacity) = if self.message.is_some_and(|message| message.kind == Kind::Text) {
            (self.text.len(), self.text.capacity())
        } else {
            (self.bytes.len(), self.bytes.capacity())
        };
        if capacity - len >= here {
            return;
        }
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        let more = left.min(len.saturating_add(here).saturating_add(here));
        if self.message.is_some_and(|message| message.kind == Kind::Text) {
            self.text.reserve_exact(more);
        } else {
            self.bytes.reserve_exact(more);
        }
    }

    /// Keeps the next bytes of the message in progress. Copies them.
    pub(super) fn keep(&mut self, bytes: &[u8]) -> Result<(), Violation> {
        match &mut self.message {
            Some(message) if message.kind == Kind::Text => {
                let text = &mut self.text;
                let kept = message.utf8.feed_with(bytes, |whole| text.push_str(whole));
                kept.map_err(|_| Violation::InvalidUtf8)
            }
            _ => {
                self.bytes.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    /// Ends the message in progress if its last byte is there, and says of which kind it was.
    pub(super) fn finish_if_arrived(&mut self) -> Result<Option<Kind>, Violation> {
        let Some(message) = self.message.filter(|message| message.arrived) else {
            return Ok(None);
        };
        // §5.6: a text ends between two characters.
        if !message.utf8.is_complete() {
            return Err(Violation::InvalidUtf8);
        }
        self.message = None;
        Ok(Some(message.kind))
    }
}
