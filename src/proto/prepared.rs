//! A message encoded once and sent to many. Knows nothing of who gets it.

use alloc::{sync::Arc, vec::Vec};

#[cfg(feature = "deflate")]
use super::deflate::{Compress, WindowBits};
use super::{Header, Kind, Message, OpCode};

/// A message as a server's frame, encoded once (and compressed once), to be shared by everyone who
/// gets it. Cloning it copies no payload.
///
/// ```
/// # use sockeye::proto::{Config, Connection, Message, Prepared};
/// let news = Prepared::new(Message::Text("news"));
/// for connection in &mut [Connection::server(Config::default()), Connection::server(Config::default())] {
///     let bytes = connection.split_mut().1.shared(&news)?;
///     assert_eq!(&**bytes, b"\x81\x04news");
/// }
/// # Ok::<(), sockeye::proto::SendError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Prepared {
    kind: Kind,
    plain: Arc<[u8]>,
    head_len: usize,
    #[cfg(feature = "deflate")]
    deflated: Option<(WindowBits, Arc<[u8]>)>,
}

impl Prepared {
    /// Encodes a whole message. Copies it once.
    pub fn new(message: Message<'_>) -> Self {
        let payload = message.as_bytes();
        let head = Self::header(message.kind(), 0, payload.len()).encode();
        let mut plain = Vec::with_capacity(head.len() + payload.len());
        plain.extend_from_slice(&head);
        plain.extend_from_slice(payload);
        Self {
            kind: message.kind(),
            plain: plain.into(),
            head_len: head.len(),
            #[cfg(feature = "deflate")]
            deflated: None,
        }
    }

    /// Adds the compressed form, for the connections that agreed on permessage-deflate with at
    /// least `window_bits` for the server and without context takeover; the others get the plain one.
    /// Compresses now, once, at zlib's `level` (0-9); kept only if it is the smaller of the two.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn with_deflate(mut self, window_bits: WindowBits, level: u8) -> Self {
        let mut compressed = Vec::new();
        let payload = &self.plain[self.head_len..];
        Compress::new(window_bits, false, level).write(payload, true, &mut compressed);
        if compressed.len() < payload.len() {
            let head = Self::header(self.kind, Header::RSV1, compressed.len()).encode();
            let bytes = [&head[..], &compressed].concat();
            self.deflated = Some((window_bits, bytes.into()));
        }
        self
    }

    /// Bytes of the payload's compressed form, if there is one.
    #[cfg(feature = "deflate")]
    pub fn compressed_len(&self) -> Option<usize> {
        let (_, bytes) = self.deflated.as_ref()?;
        let (_, head_len) = Header::parse(bytes).ok()??;
        Some(bytes.len() - head_len)
    }

    /// The message again.
    pub(super) fn message(&self) -> Message<'_> {
        let payload = &self.plain[self.head_len..];
        match self.kind {
            Kind::Binary => Message::Binary(payload),
            Kind::Text => Message::Text(
                core::str::from_utf8(payload).expect("a prepared text was made from a str"),
            ),
        }
    }

    /// The frame as it goes to a peer without permessage-deflate.
    pub(crate) fn plain(&self) -> &Arc<[u8]> {
        &self.plain
    }

    /// The compressed form, if a peer that agreed on `window_bits` can read it.
    #[cfg(feature = "deflate")]
    pub(super) fn deflated_for(&self, agreed: Option<WindowBits>) -> Option<&Arc<[u8]>> {
        let (needed, bytes) = self.deflated.as_ref()?;
        (*needed <= agreed?).then_some(bytes)
    }

    fn header(kind: Kind, rsv: u8, len: usize) -> Header {
        let opcode = match kind {
            Kind::Text => OpCode::Text,
            Kind::Binary => OpCode::Binary,
        };
        Header { fin: true, rsv, opcode, mask: None, len: len as u64 }
    }
}
