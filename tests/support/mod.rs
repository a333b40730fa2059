//! Frames that read like the wire, and a run of a connection that remembers all it saw.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part of this")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use sockeye::proto::{
    CloseFrame, Config, Connection, Event, Header, Input, MaskKey, OpCode, Part, Violation,
    apply_mask,
};

/// A frame under construction: `text("Hel").more()`, `ping("p")`, `text("x").rsv(4).unmasked()`.
#[derive(Clone, Debug)]
pub struct Wire {
    header: Header,
    payload: Vec<u8>,
}

pub const KEY: MaskKey = MaskKey([0x37, 0xfa, 0x21, 0x3d]);

/// A masked, final frame, as a client sends it.
pub fn frame(opcode: OpCode, payload: impl AsRef<[u8]>) -> Wire {
    let payload = payload.as_ref().to_vec();
    let len = payload.len() as u64;
    Wire { header: Header { fin: true, rsv: 0, opcode, mask: Some(KEY), len }, payload }
}

pub fn text(payload: impl AsRef<[u8]>) -> Wire {
    frame(OpCode::Text, payload)
}

pub fn binary(payload: impl AsRef<[u8]>) -> Wire {
    frame(OpCode::Binary, payload)
}

pub fn continuation(payload: impl AsRef<[u8]>) -> Wire {
    frame(OpCode::Continuation, payload)
}

pub fn ping(payload: impl AsRef<[u8]>) -> Wire {
    frame(OpCode::Ping, payload)
}

pub fn pong(payload: impl AsRef<[u8]>) -> Wire {
    frame(OpCode::Pong, payload)
}

pub fn close(code: u16, reason: &str) -> Wire {
    frame(OpCode::Close, [&code.to_be_bytes()[..], reason.as_bytes()].concat())
}

impl Wire {
    /// Without FIN: more of the message follows.
    pub fn more(mut self) -> Self {
        self.header.fin = false;
        self
    }

    pub fn rsv(mut self, bits: u8) -> Self {
        self.header.rsv = bits;
        self
    }

    /// As a server sends it.
    pub fn unmasked(mut self) -> Self {
        self.header.mask = None;
        self
    }

    /// Declares this length whatever the payload is.
    pub fn declaring(mut self, len: u64) -> Self {
        self.header.len = len;
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.header.encode().to_vec();
        let start = bytes.len();
        bytes.extend_from_slice(&self.payload);
        if let Some(key) = self.header.mask {
            apply_mask(key, &mut bytes[start..]);
        }
        bytes
    }
}

/// Frames one after the other, as one run of bytes.
pub fn wire(frames: &[Wire]) -> Vec<u8> {
    frames.iter().flat_map(Wire::bytes).collect()
}

/// An [`Event`] that owns what it saw.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, String)>),
    Failed(Violation),
}

impl From<Event<'_>> for Seen {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Text(text) => Self::Text(text.into()),
            Event::Binary(bytes) => Self::Binary(bytes.into()),
            Event::Ping(bytes) => Self::Ping(bytes.into()),
            Event::Pong(bytes) => Self::Pong(bytes.into()),
            Event::Close(frame) => Self::Close(owned(frame)),
        }
    }
}

fn owned(frame: Option<CloseFrame<'_>>) -> Option<(u16, String)> {
    frame.map(|frame| (frame.code.as_u16(), frame.reason.to_owned()))
}

pub fn seen_text(text: &str) -> Seen {
    Seen::Text(text.into())
}

/// A connection, what it reported and what it wants written.
pub struct Run {
    pub connection: Connection,
    pub seen: Vec<Seen>,
    pub out: Vec<u8>,
}

impl Run {
    pub fn server(config: Config) -> Self {
        Self::of(Connection::server(config))
    }

    /// A client whose every masking key is zero, so that its output reads plainly.
    pub fn client(config: Config) -> Self {
        Self::of(Connection::client(config, |bytes: &mut [u8]| bytes.fill(0)))
    }

    pub fn of(connection: Connection) -> Self {
        Self { connection, seen: Vec::new(), out: Vec::new() }
    }

    /// Lends one run of bytes, as one read of a socket gives it.
    pub fn read(&mut self, bytes: &[u8]) -> &mut Self {
        self.read_each(bytes, |_| {})
    }

    /// The same, and whatever comes is sent back.
    pub fn echo(&mut self, bytes: &[u8]) -> &mut Self {
        let mut bytes = bytes.to_vec();
        let mut input = Input::new(&mut bytes);
        let (rx, tx) = self.connection.split_mut();
        loop {
            match rx.next(&mut input, tx, &mut self.out) {
                Ok(None) => break,
                Ok(Some(event)) => {
                    self.seen.push(event.into());
                    // A refusal to send after a close is as it should be.
                    let _ = match event {
                        Event::Text(text) => tx.text(text, &mut self.out),
                        Event::Binary(bytes) => tx.binary(bytes, &mut self.out),
                        _ => Ok(()),
                    };
                }
                Err(violation) => self.seen.push(Seen::Failed(violation)),
            }
        }
        self
    }

    fn read_each(&mut self, bytes: &[u8], mut each: impl FnMut(&Seen)) -> &mut Self {
        let mut bytes = bytes.to_vec();
        let mut input = Input::new(&mut bytes);
        let (rx, tx) = self.connection.split_mut();
        loop {
            match rx.next(&mut input, tx, &mut self.out) {
                Ok(None) => break,
                Ok(Some(event)) => self.seen.push(event.into()),
                Err(violation) => self.seen.push(Seen::Failed(violation)),
            }
            each(&self.seen[self.seen.len() - 1]);
        }
        assert_eq!(input.remaining(), 0, "after `None` nothing is left in the input");
        self
    }

    /// The same by parts: a message is put together again here.
    pub fn read_parts(&mut self, bytes: &[u8], message: &mut Vec<u8>) -> &mut Self {
        use sockeye::proto::Kind;
        let mut bytes = bytes.to_vec();
        let mut input = Input::new(&mut bytes);
        let (rx, tx) = self.connection.split_mut();
        loop {
            match rx.next_part(&mut input, tx, &mut self.out) {
                Ok(None) => break,
                Ok(Some(Part::Data { kind, bytes, fin })) => {
                    assert!(fin || !bytes.is_empty(), "a part is empty only at the end");
                    message.extend_from_slice(bytes);
                    if fin {
                        let whole = std::mem::take(message);
                        self.seen.push(match kind {
                            Kind::Text => Seen::Text(String::from_utf8(whole).unwrap()),
                            Kind::Binary => Seen::Binary(whole),
                        });
                    }
                }
                Ok(Some(Part::Ping(bytes))) => self.seen.push(Seen::Ping(bytes.into())),
                Ok(Some(Part::Pong(bytes))) => self.seen.push(Seen::Pong(bytes.into())),
                Ok(Some(Part::Close(frame))) => self.seen.push(Seen::Close(owned(frame))),
                Err(violation) => self.seen.push(Seen::Failed(violation)),
            }
        }
        self
    }

    /// What was reported since the last look.
    pub fn take_seen(&mut self) -> Vec<Seen> {
        std::mem::take(&mut self.seen)
    }

    /// What is to be written since the last look.
    pub fn take_out(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }
}

/// What a fresh server with the default configuration makes of these frames.
pub fn server_reads(frames: &[Wire]) -> Run {
    let mut run = Run::server(Config::default());
    run.read(&wire(frames));
    run
}

/// The code of the one close frame that `out` ends with, unmasked.
pub fn close_code_in(out: &[u8]) -> Option<u16> {
    let at = out.len().checked_sub(4)?;
    match out[at..] {
        [0x88, 0x02, high, low] => Some(u16::from_be_bytes([high, low])),
        _ => None,
    }
}
