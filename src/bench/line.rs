//! What a connection speaks: WebSocket, or nothing at all, where a run is to show what TCP alone costs.

use super::body::Stamp;
use crate::proto::{CloseCode, CloseFrame, Connection, Kind, Message, SendOptions, Transport};

/// One end of a conversation.
#[derive(Debug)]
pub(super) enum Line {
    /// Messages in frames.
    Frames(Connection),
    /// Messages as they are, one after the other.
    Bytes(Bytes),
}

impl Line {
    /// Appends a message to `out`; false if none may be sent any more.
    pub(super) fn send(&mut self, kind: Kind, message: &[u8], out: &mut Vec<u8>) -> bool {
        match self {
            Self::Frames(connection) => {
                let options =
                    SendOptions { binary: Some(kind == Kind::Binary), ..SendOptions::default() };
                connection.split_mut().1.send(Message::Binary(message), options, out).is_ok()
            }
            Self::Bytes(_) => {
                out.extend_from_slice(message);
                true
            }
        }
    }

    /// Begins the end. True if what follows is the server's close; false if it closed first, which is answered already.
    pub(super) fn say_goodbye(&mut self, out: &mut Vec<u8>) -> bool {
        match self {
            Self::Frames(connection) => {
                let frame = CloseFrame { code: CloseCode::NORMAL, reason: "" };
                connection.split_mut().1.close(Some(frame), out).is_ok()
            }
            Self::Bytes(bytes) => {
                bytes.ended = true;
                true
            }
        }
    }

    /// What is to be done with TCP.
    pub(super) fn transport(&self) -> Transport {
        match self {
            Self::Frames(connection) => connection.transport(),
            Self::Bytes(Bytes { ended: true, .. }) => Transport::FlushThenShutdownWrite,
            Self::Bytes(_) => Transport::KeepOpen,
        }
    }
}

/// Cuts what comes into messages, which have no frame but are all of one size.
#[derive(Debug)]
pub(super) struct Bytes {
    size: usize,
    /// How much of the next message came.
    came: usize,
    /// Its beginning, where its stamp is.
    head: [u8; Stamp::LEN],
    ended: bool,
}

impl Bytes {
    /// For messages of `size` bytes, which hold a stamp at least.
    pub(super) fn new(size: usize) -> Self {
        Self { size: size.max(Stamp::LEN), came: 0, head: [0; Stamp::LEN], ended: false }
    }

    /// Takes the rest of one message from `bytes`, and says whose that was; `None` when it has not come whole.
    pub(super) fn next(&mut self, bytes: &mut &[u8]) -> Option<Option<Stamp>> {
        let (mine, rest) = bytes.split_at_checked(self.size - self.came).unwrap_or((bytes, &[]));
        for (place, byte) in self.head.iter_mut().skip(self.came).zip(mine) {
            *place = *byte;
        }
        self.came += mine.len();
        *bytes = rest;
        if self.came < self.size {
            return None;
        }
        self.came = 0;
        Some(Stamp::find(&self.head))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::body::Body;

    #[test]
    fn messages_are_cut_by_their_size_however_they_come() {
        for size in [Stamp::LEN, 12, 100] {
            let body = Body::new(Kind::Binary, None, size);
            let mut draft = body.draft();
            let mut sent = Vec::new();
            for seq in 0..20 {
                sent.extend_from_slice(body.fill(&mut draft, Stamp { conn: 7, seq }));
            }
            for piece in [1, 3, size - 1, size, size + 1, sent.len()] {
                let mut line = Bytes::new(size);
                let mut heard = Vec::new();
                for mut bytes in sent.chunks(piece) {
                    while let Some(stamp) = line.next(&mut bytes) {
                        heard.push(stamp.map(|it| it.seq));
                    }
                }
                assert_eq!(heard, (0..20).map(Some).collect::<Vec<_>>(), "{size} {piece}");
            }
        }
    }
}
