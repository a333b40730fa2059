//! Messages become bytes here, appended to a buffer of the caller's. Queues nothing and flushes nothing.

use alloc::{boxed::Box, sync::Arc, vec::Vec};

#[cfg(feature = "deflate")]
use super::deflate::{Compress, WindowBits};
use super::{
    CloseCode, CloseFrame, Header, Kind, MaskKey, Message, OpCode, Prepared, SendError, apply_mask,
    utf8,
};

/// The sending half of a [`Connection`](super::Connection).
///
/// Every method appends whole frames to `out` or, on error, appends nothing and changes nothing.
/// `out` is the caller's: write it to the transport in order, then clear it. What replies the
/// receiving half owes (pongs, the answer to a close) it appends to the same `out`, so bytes of
/// one connection must go through one buffer, or at least one order.
///
/// - messages: [`text`](Self::text), [`binary`](Self::binary), [`send`](Self::send) with options
/// - a message in pieces: [`fragment`](Self::fragment)
/// - a message for many: [`prepared`](Self::prepared), [`shared`](Self::shared)
/// - payload that must not be copied: [`head`](Self::head)
/// - control frames: [`ping`](Self::ping), [`pong`](Self::pong), [`close`](Self::close)
#[derive(Debug)]
pub struct Outbound {
    /// Keys for a client's frames; a server has none and masks nothing.
    masker: Option<Box<Masker>>,
    #[cfg(feature = "deflate")]
    compress: Option<Box<Compressing>>,
    /// The payload of the newest ping not yet answered, while answers are held back.
    owed_pong: Option<Box<Pong>>,
    /// The message of which fragments are out and the last is not.
    unfinished: Option<Unfinished>,
    pub(super) sent_close: bool,
    hold_pongs: bool,
}

/// How [`Outbound::send`] sends, by the names that users of ws know.
///
/// ```
/// # use sockeye::proto::SendOptions;
/// let options = SendOptions { compress: Some(false), ..SendOptions::default() };
/// assert!(options.fin);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SendOptions {
    /// Compress this message, or not; `None` leaves it to the policy's threshold. Without agreed
    /// permessage-deflate nothing is compressed.
    pub compress: Option<bool>,
    /// Send as binary (`true`) or text (`false`) whatever the message is; `None` keeps its kind.
    pub binary: Option<bool>,
    /// Whether the frame is masked. `None` does what the role demands; anything that contradicts it
    /// is [`SendError::MaskForbidden`].
    pub mask: Option<bool>,
    /// Whether this ends the message; `false` makes it a fragment.
    pub fin: bool,
}

impl Default for SendOptions {
    fn default() -> Self {
        Self { compress: None, binary: None, mask: None, fin: true }
    }
}

#[derive(Clone, Copy, Debug)]
struct Unfinished {
    kind: Kind,
    #[cfg(feature = "deflate")]
    compressed: bool,
}

impl Outbound {
    pub(super) fn new(masker: Option<Masker>) -> Self {
        Self {
            masker: masker.map(Box::new),
            #[cfg(feature = "deflate")]
            compress: None,
            owed_pong: None,
            unfinished: None,
            sent_close: false,
            hold_pongs: false,
        }
    }

    #[cfg(feature = "deflate")]
    pub(super) fn enable_deflate(&mut self, compressing: Compressing) {
        self.compress = Some(Box::new(compressing));
    }

    /// Sends a text message (RFC 6455 §5.6).
    #[inline]
    pub fn text(&mut self, text: &str, out: &mut Vec<u8>) -> Result<(), SendError> {
        self.message(Message::Text(text), out)
    }

    /// Sends a binary message (§5.6).
    #[inline]
    pub fn binary(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), SendError> {
        self.message(Message::Binary(bytes), out)
    }

    /// Sends a message, or a fragment of one, with options.
    ///
    /// ```
    /// # use sockeye::proto::{Config, Connection, Message, SendOptions};
    /// let mut connection = Connection::server(Config::default());
    /// let (_, tx) = connection.split_mut();
    /// let mut out = Vec::new();
    /// tx.send(Message::Text("hi"), SendOptions { binary: Some(true), ..Default::default() }, &mut out)?;
    /// assert_eq!(out, b"\x82\x02hi");
    /// # Ok::<(), sockeye::proto::SendError>(())
    /// ```
    pub fn send(
        &mut self,
        message: Message<'_>,
        options: SendOptions,
        out: &mut Vec<u8>,
    ) -> Result<(), SendError> {
        if options.mask.is_some_and(|mask| mask != self.masker.is_some()) {
            return Err(SendError::MaskForbidden);
        }
        let message = match (options.binary, message) {
            (Some(true), message) => Message::Binary(message.as_bytes()),
            (Some(false), Message::Binary(bytes)) => {
                Message::Text(utf8::whole(bytes).ok_or(SendError::NotUtf8)?)
            }
            _ => message,
        };
        self.piece(message, options.fin, options.compress, out)
    }

    /// Sends the next piece of a message; `fin` ends it. Control frames may go between the pieces,
    /// other messages may not (§5.4). A message of any size passes so in bounded memory.
    ///
    /// ```
    /// # use sockeye::proto::{Config, Connection, Message};
    /// # let mut connection = Connection::server(Config::default());
    /// # let (_, tx) = connection.split_mut();
    /// # let mut out = Vec::new();
    /// // RFC 6455 §5.7: a fragmented unmasked text message, "Hel" and "lo".
    /// tx.fragment(Message::Text("Hel"), false, &mut out)?;
    /// tx.fragment(Message::Text("lo"), true, &mut out)?;
    /// assert_eq!(out, b"\x01\x03Hel\x80\x02lo");
    /// # Ok::<(), sockeye::proto::SendError>(())
    /// ```
    pub fn fragment(
        &mut self,
        piece: Message<'_>,
        fin: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), SendError> {
        self.piece(piece, fin, None, out)
    }

    /// Appends only the head of a plain frame whose `len` bytes of payload the caller sends itself,
    /// straight after (with `writev`, `sendfile`): zero copies here. Servers only: a client's
    /// payload must be masked.
    pub fn head(
        &mut self,
        kind: Kind,
        len: u64,
        fin: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), SendError> {
        if self.masker.is_some() {
            return Err(SendError::ClientMustMask);
        }
        let opcode = self.opcode_of_piece(kind)?;
        #[cfg(feature = "deflate")]
        if self.unfinished.is_some_and(|message| message.compressed) {
            // The rest of a compressed message is compressed too: bytes cannot bypass the compressor.
            return Err(SendError::MessageUnfinished);
        }
        self.unfinished = (!fin).then_some(Unfinished {
            kind,
            #[cfg(feature = "deflate")]
            compressed: false,
        });
        out.extend_from_slice(&Header { fin, rsv: 0, opcode, mask: None, len }.encode());
        Ok(())
    }

    /// Sends a message that was encoded before, once for many. Copies it; a server that can send
    /// shared bytes takes [`shared`](Self::shared).
    pub fn prepared(&mut self, prepared: &Prepared, out: &mut Vec<u8>) -> Result<(), SendError> {
        if self.masker.is_some() {
            return self.message(prepared.message(), out);
        }
        let bytes = self.shared(prepared)?;
        out.extend_from_slice(bytes);
        Ok(())
    }

    /// The bytes that send a prepared message on this connection, to be queued as they are by
    /// everyone who gets it: compressed if that was agreed and prepared, else plain. Servers only.
    pub fn shared<'p>(&self, prepared: &'p Prepared) -> Result<&'p Arc<[u8]>, SendError> {
        if self.masker.is_some() {
            return Err(SendError::ClientMustMask);
        }
        self.may_begin()?;
        #[cfg(feature = "deflate")]
        if let Some(bytes) = self.compress.as_ref().and_then(|c| prepared.deflated_for(c.agreed()))
        {
            return Ok(bytes);
        }
        Ok(prepared.plain())
    }

    /// Sends a ping with at most 125 bytes, which the pong brings back (§5.5.2).
    pub fn ping(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), SendError> {
        self.control(OpCode::Ping, payload, out)
    }

    /// Sends a pong that nobody asked for (§5.5.3). Pings are answered without it.
    pub fn pong(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), SendError> {
        self.control(OpCode::Pong, payload, out)
    }

    /// Begins the closing handshake (§7.1.2): nothing may be sent after. `None` sends a close
    /// without a code, which the peer reports as 1005.
    ///
    /// The connection goes on receiving until the peer's close comes;
    /// [`Connection::transport`](super::Connection::transport) says what to do with the transport.
    pub fn close(
        &mut self,
        frame: Option<CloseFrame<'_>>,
        out: &mut Vec<u8>,
    ) -> Result<(), SendError> {
        if self.sent_close {
            return Err(SendError::Closed);
        }
        if let Some(CloseFrame { reason, .. }) = frame
            && reason.len() > CloseFrame::REASON_MAX
        {
            return Err(SendError::ReasonTooLong { len: reason.len() });
        }
        self.write_close(frame, out);
        Ok(())
    }

    /// While `hold` is set pings are not answered at once: only the newest is remembered, and
    /// answered when the hold ends. For a transport that is backed up: a peer that pings and never
    /// reads cannot make the answers grow.
    pub fn hold_pongs(&mut self, hold: bool, out: &mut Vec<u8>) {
        self.hold_pongs = hold;
        self.settle_pongs(out);
    }

    /// A ping came. `burst`: there were so many that this answer may be replaced by the next one.
    pub(super) fn answer_ping(&mut self, payload: &[u8], burst: bool, out: &mut Vec<u8>) {
        if self.sent_close {
            return;
        }
        if !(burst || self.hold_pongs) {
            self.frame(true, 0, OpCode::Pong, payload, out);
            return;
        }
        let pong = self.owed_pong.get_or_insert_with(Box::default);
        let room = payload.len().min(Header::CONTROL_MAX);
        pong.payload[..room].copy_from_slice(&payload[..room]);
        pong.len = room;
    }

    /// The input is used up: what a burst of pings left unanswered is answered now.
    pub(super) fn settle_pongs(&mut self, out: &mut Vec<u8>) {
        if self.hold_pongs {
            return;
        }
        if let Some(pong) = self.owed_pong.take()
            && !self.sent_close
        {
            self.frame(true, 0, OpCode::Pong, &pong.payload[..pong.len], out);
        }
    }

    /// The one place that writes a close frame: as the first word, as the answer, or on failure.
    pub(super) fn write_close(&mut self, frame: Option<CloseFrame<'_>>, out: &mut Vec<u8>) {
        if self.sent_close {
            return;
        }
        // Pings owed an answer came before: the answers go before.
        self.hold_pongs = false;
        self.settle_pongs(out);
        let mut body = [0; Header::CONTROL_MAX];
        let len = frame.map_or(0, |CloseFrame { code, reason }| {
            let reason = &reason.as_bytes()[..reason.len().min(CloseFrame::REASON_MAX)];
            body[..2].copy_from_slice(&code.as_u16().to_be_bytes());
            body[2..2 + reason.len()].copy_from_slice(reason);
            2 + reason.len()
        });
        self.frame(true, 0, OpCode::Close, &body[..len], out);
        self.end();
    }

    /// Nothing may be sent any more, and nothing for sending is kept.
    pub(super) fn end(&mut self) {
        self.sent_close = true;
        self.unfinished = None;
        self.owed_pong = None;
        #[cfg(feature = "deflate")]
        {
            self.compress = None;
        }
    }

    /// Closes with a code after the peer broke the protocol (§7.1.7).
    pub(super) fn fail(&mut self, code: CloseCode, out: &mut Vec<u8>) {
        self.write_close(Some(CloseFrame { code, reason: "" }), out);
    }

    #[inline]
    fn message(&mut self, message: Message<'_>, out: &mut Vec<u8>) -> Result<(), SendError> {
        self.may_begin()?;
        #[cfg(feature = "deflate")]
        if self.compress.is_some() {
            return self.piece(message, true, None, out);
        }
        let opcode = opcode_of(message.kind());
        self.frame(true, 0, opcode, message.as_bytes(), out);
        Ok(())
    }

    #[cfg_attr(not(feature = "deflate"), allow(unused_variables))]
    fn piece(
        &mut self,
        piece: Message<'_>,
        fin: bool,
        compress: Option<bool>,
        out: &mut Vec<u8>,
    ) -> Result<(), SendError> {
        let kind = piece.kind();
        let opcode = self.opcode_of_piece(kind)?;
        let payload = piece.as_bytes();
        #[cfg(feature = "deflate")]
        {
            let compressed = match (&self.unfinished, &self.compress) {
                (Some(message), _) => message.compressed,
                (None, None) => false,
                (None, Some(agreed)) => compress.unwrap_or(payload.len() >= agreed.compress_from),
            };
            self.unfinished = (!fin).then_some(Unfinished { kind, compressed });
            if compressed {
                self.compressed_frame(fin, opcode, payload, out);
                return Ok(());
            }
        }
        #[cfg(not(feature = "deflate"))]
        {
            self.unfinished = (!fin).then_some(Unfinished { kind });
        }
        self.frame(fin, 0, opcode, payload, out);
        Ok(())
    }

    /// The opcode that a piece of this kind has now: the message's, or a continuation's.
    fn opcode_of_piece(&self, kind: Kind) -> Result<OpCode, SendError> {
        match self.unfinished {
            _ if self.sent_close => Err(SendError::Closed),
            None => Ok(opcode_of(kind)),
            Some(message) if message.kind == kind => Ok(OpCode::Continuation),
            Some(_) => Err(SendError::KindChanged),
        }
    }

    /// Whether a message could be sent now, unmasked and as it is.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        #[cfg(feature = "deflate")]
        if self.compress.is_some() {
            return false;
        }
        self.masker.is_none() && self.may_begin().is_ok()
    }

    #[inline]
    fn may_begin(&self) -> Result<(), SendError> {
        if self.sent_close {
            Err(SendError::Closed)
        } else if self.unfinished.is_some() {
            Err(SendError::MessageUnfinished)
        } else {
            Ok(())
        }
    }

    fn control(
        &mut self,
        opcode: OpCode,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), SendError> {
        if self.sent_close {
            return Err(SendError::Closed);
        }
        if payload.len() > Header::CONTROL_MAX {
            return Err(SendError::ControlTooLong { len: payload.len() });
        }
        self.frame(true, 0, opcode, payload, out);
        Ok(())
    }

    /// Appends one frame. Copies the payload once, into `out`.
    #[inline]
    fn frame(&mut self, fin: bool, rsv: u8, opcode: OpCode, payload: &[u8], out: &mut Vec<u8>) {
        if self.masker.is_none() {
            return plain_frame(u8::from(fin) << 7 | rsv << 4 | opcode as u8, payload, out);
        }
        let mask = self.masker.as_mut().map(|masker| masker.key());
        let len = payload.len() as u64;
        let head = Header { fin, rsv, opcode, mask, len }.encode();
        out.reserve(head.len() + payload.len());
        out.extend_from_slice(&head);
        let start = out.len();
        out.extend_from_slice(payload);
        if let Some(key) = mask {
            apply_mask(key, &mut out[start..]);
        }
    }

    /// Appends one frame with its payload compressed (RFC 7692 §7.2.1).
    #[cfg(feature = "deflate")]
    fn compressed_frame(&mut self, fin: bool, opcode: OpCode, payload: &[u8], out: &mut Vec<u8>) {
        let Some(compressing) = self.compress.as_mut() else {
            return self.frame(fin, 0, opcode, payload, out);
        };
        // RFC 7692 §6: RSV1 stands on the first frame of a compressed message only.
        let rsv = if opcode == OpCode::Continuation { 0 } else { Header::RSV1 };
        let mask = self.masker.as_mut().map(|masker| masker.key());
        // The compressed length is known last: room for the head is guessed from the plain length
        // and put right by moving the payload in the rare case that the guess was wrong.
        let head_of = |len: usize| Header { fin, rsv, opcode, mask, len: len as u64 }.encode();
        let start = out.len();
        out.extend_from_slice(&head_of(payload.len()));
        let guessed = out.len();
        compressing.compress.write(payload, fin, out);
        // What did not shrink goes out plain, if it is a whole message and the peer's window is not
        // to have it.
        let whole = fin && opcode != OpCode::Continuation;
        if whole && !compressing.takeover && out.len() - guessed >= payload.len() {
            out.truncate(start);
            return self.frame(true, 0, opcode, payload, out);
        }
        let head = head_of(out.len() - guessed);
        let end = start + head.len();
        if end < guessed {
            out.drain(end..guessed);
        } else if end > guessed {
            out.splice(guessed..guessed, core::iter::repeat_n(0, end - guessed));
        }
        out[start..end].copy_from_slice(&head);
        if let Some(key) = mask {
            apply_mask(key, &mut out[end..]);
        }
    }
}

/// What `Header::encode` and a copy would write, for a server's frame. A frame of 20 bytes is built in
/// half the time if the length of its head is known where it is copied.
#[inline]
fn plain_frame(first: u8, payload: &[u8], out: &mut Vec<u8>) {
    out.reserve(Header::MAX_LEN + payload.len());
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(len @ 0..=125), _) => out.extend_from_slice(&[first, len]),
        (_, Ok(len)) => {
            let [high, low] = len.to_be_bytes();
            out.extend_from_slice(&[first, 126, high, low]);
        }
        _ => {
            out.extend_from_slice(&[first, 127]);
            out.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
}

const fn opcode_of(kind: Kind) -> OpCode {
    match kind {
        Kind::Text => OpCode::Text,
        Kind::Binary => OpCode::Binary,
    }
}

/// What the sending half needs once permessage-deflate is agreed.
#[cfg(feature = "deflate")]
pub(super) struct Compressing {
    pub(super) compress: Compress,
    /// Messages shorter than this go out plain.
    pub(super) compress_from: usize,
    pub(super) window_bits: WindowBits,
    pub(super) takeover: bool,
}

#[cfg(feature = "deflate")]
impl Compressing {
    /// The window that foreign compressed bytes may use here: none with context takeover, since
    /// they would put the peer's window out of step with this side's compressor.
    fn agreed(&self) -> Option<WindowBits> {
        (!self.takeover).then_some(self.window_bits)
    }
}

#[cfg(feature = "deflate")]
impl core::fmt::Debug for Compressing {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { compress_from, window_bits, takeover, .. } = self;
        f.debug_struct("Compressing")
            .field("compress_from", compress_from)
            .field("window_bits", window_bits)
            .field("takeover", takeover)
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Pong {
    payload: [u8; Header::CONTROL_MAX],
    len: usize,
}

impl Default for Pong {
    fn default() -> Self {
        Self { payload: [0; Header::CONTROL_MAX], len: 0 }
    }
}

/// Fills a slice with strong randomness.
type Entropy = Box<dyn FnMut(&mut [u8]) + Send>;

/// Keys for a client's frames, from the entropy that was injected, asked for in blocks.
pub(super) struct Masker {
    entropy: Entropy,
    pool: [u8; Masker::POOL],
    at: usize,
}

impl Masker {
    /// 256 bytes: 64 keys for one call to the source, which may be a system call.
    const POOL: usize = 256;

    pub(super) fn new(entropy: Entropy) -> Self {
        Self { entropy, pool: [0; Self::POOL], at: Self::POOL }
    }

    /// §5.3: a fresh key for every frame, which nobody can predict.
    fn key(&mut self) -> MaskKey {
        if self.at >= Self::POOL {
            (self.entropy)(&mut self.pool);
            self.at = 0;
        }
        let mut key = [0; 4];
        key.copy_from_slice(&self.pool[self.at..self.at + 4]);
        self.at += 4;
        MaskKey(key)
    }
}

impl core::fmt::Debug for Masker {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        // The keys to come stay out of logs.
        f.debug_struct("Masker").finish_non_exhaustive()
    }
}
