//! A connection that remembers all it saw and checks what must hold after every read.

use sockeye::proto::{
    CloseFrame, Connection, Event, Input, Kind, Part, Role, Transport, Violation,
};

/// An event that owns what it saw.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, String)>),
    Failed(Violation),
}

impl Seen {
    pub fn close(frame: Option<CloseFrame<'_>>) -> Self {
        Self::Close(frame.map(|frame| (frame.code.as_u16(), frame.reason.to_owned())))
    }

    fn ends(&self) -> bool {
        matches!(self, Self::Close(_) | Self::Failed(_))
    }
}

impl From<Event<'_>> for Seen {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Text(text) => Self::Text(text.into()),
            Event::Binary(bytes) => Self::Binary(bytes.into()),
            Event::Ping(bytes) => Self::Ping(bytes.into()),
            Event::Pong(bytes) => Self::Pong(bytes.into()),
            Event::Close(frame) => Self::close(frame),
        }
    }
}

pub struct Run {
    pub connection: Connection,
    pub seen: Vec<Seen>,
    pub out: Vec<u8>,
    /// Of the message that is taken in parts.
    parts: Vec<u8>,
    echo: bool,
    message_bytes_max: usize,
    /// A close was sent, as the first word: nothing is answered any more.
    pub closing: bool,
}

impl Run {
    pub fn new(connection: Connection, echo: bool, message_bytes_max: usize) -> Self {
        let (seen, out, parts) = Default::default();
        Self { connection, seen, out, parts, echo, message_bytes_max, closing: false }
    }

    /// One read, its messages whole.
    pub fn read(&mut self, bytes: &[u8]) {
        let mut bytes = bytes.to_vec();
        let mut input = Input::new(&mut bytes);
        loop {
            let (rx, tx) = self.connection.split_mut();
            let before = self.out.len();
            match rx.next(&mut input, tx, &mut self.out) {
                Ok(None) => break,
                Ok(Some(event)) => {
                    let event = event.into();
                    self.note(event, before);
                }
                Err(violation) => self.note(Seen::Failed(violation), before),
            }
        }
        assert_eq!(input.remaining(), 0, "after `None` nothing is left in the input");
    }

    /// One read, its messages in parts, put together again here.
    pub fn read_parts(&mut self, bytes: &[u8]) {
        let mut bytes = bytes.to_vec();
        let mut input = Input::new(&mut bytes);
        loop {
            let (rx, tx) = self.connection.split_mut();
            let before = self.out.len();
            let seen = match rx.next_part(&mut input, tx, &mut self.out) {
                Ok(None) => break,
                Ok(Some(Part::Data { kind, bytes, fin })) => {
                    assert!(fin || !bytes.is_empty(), "a part is empty only at the end");
                    self.parts.extend_from_slice(bytes);
                    assert!(self.parts.len() <= self.message_bytes_max, "parts within the limit");
                    if !fin {
                        continue;
                    }
                    let whole = std::mem::take(&mut self.parts);
                    match kind {
                        Kind::Text => Seen::Text(
                            String::from_utf8(whole).expect("the parts of a text are UTF-8"),
                        ),
                        Kind::Binary => Seen::Binary(whole),
                    }
                }
                Ok(Some(Part::Ping(bytes))) => Seen::Ping(bytes.into()),
                Ok(Some(Part::Pong(bytes))) => Seen::Pong(bytes.into()),
                Ok(Some(Part::Close(frame))) => Seen::close(frame),
                Err(violation) => Seen::Failed(violation),
            };
            self.note(seen, before);
        }
        assert_eq!(input.remaining(), 0, "after `None` nothing is left in the input");
    }

    /// One read of a server that echoes, its messages turned round where they lie, as far as they are such; what
    /// is begun and awaited is kept in `held` for the next.
    pub fn read_in_place(&mut self, bytes: &[u8], held: &mut Held) {
        held.bytes.extend_from_slice(bytes);
        if held.bytes.len() < held.until {
            return;
        }
        let mut bytes = std::mem::take(&mut held.bytes);
        held.until = 0;
        let mut input = Input::new(&mut bytes);
        // Where frames to send lie in the input, and how much stands in `out` before them.
        let mut lent = Vec::new();
        loop {
            let (rx, tx) = self.connection.split_mut();
            if let Some(echoed) = rx.echo(&mut input, tx) {
                assert!(echoed.bytes < echoed.frames.len(), "heads, too");
                lent.push((self.out.len(), echoed.frames));
                continue;
            }
            if let Some(whole) = rx.awaits(&input, tx, &mut self.out) {
                assert!(whole > input.remaining() && whole > 65_536);
                held.until = whole;
                break;
            }
            let before = self.out.len();
            match rx.next(&mut input, tx, &mut self.out) {
                Ok(None) => break,
                Ok(Some(event)) => {
                    let event = event.into();
                    self.note(event, before);
                }
                Err(violation) => self.note(Seen::Failed(violation), before),
            }
        }
        let rest = input.remaining();
        for (at, frames) in lent.into_iter().rev() {
            self.out.splice(at..at, bytes[frames].iter().copied());
        }
        held.bytes = bytes.split_off(bytes.len() - rest);
    }

    fn note(&mut self, seen: Seen, out_before: usize) {
        assert!(!self.seen.last().is_some_and(Seen::ends), "{seen:?} after {:?}", self.seen.last());
        let fresh = &self.out[out_before..];
        let role = self.connection.role();
        match &seen {
            Seen::Text(text) => assert!(text.len() <= self.message_bytes_max),
            Seen::Binary(bytes) => assert!(bytes.len() <= self.message_bytes_max),
            Seen::Ping(_) | Seen::Close(_) | Seen::Failed(_) if self.closing => {
                assert!(fresh.is_empty(), "an answer after the close: {seen:?}");
            }
            Seen::Ping(payload) => assert_eq!(*fresh, reply(role, 0x8A, payload, fresh)),
            Seen::Pong(_) => assert!(fresh.is_empty()),
            Seen::Close(frame) => {
                let mut body = Vec::new();
                if let Some((code, reason)) = frame {
                    body.extend_from_slice(&code.to_be_bytes());
                    body.extend_from_slice(reason.as_bytes());
                }
                assert_eq!(*fresh, reply(role, 0x88, &body, fresh));
            }
            Seen::Failed(violation) => {
                let code = violation.close_code().as_u16().to_be_bytes();
                assert_eq!(*fresh, reply(role, 0x88, &code, fresh), "{violation:?}");
            }
        }
        let (_, tx) = self.connection.split_mut();
        match &seen {
            Seen::Text(text) if self.echo => tx.text(text, &mut self.out).expect("open"),
            Seen::Binary(bytes) if self.echo => tx.binary(bytes, &mut self.out).expect("open"),
            _ => {}
        }
        self.seen.push(seen);
    }

    /// What holds at the end of any conversation.
    pub fn end(mut self) -> (Vec<Seen>, Vec<u8>) {
        let transport = match (self.seen.last(), self.connection.role()) {
            (Some(Seen::Failed(_)), _) => Transport::FlushThenShutdownWrite,
            (Some(Seen::Close(_)), Role::Server) => Transport::FlushThenClose,
            (Some(Seen::Close(_)), Role::Client) => Transport::AwaitPeerClose,
            _ => Transport::KeepOpen,
        };
        assert_eq!(self.connection.transport(), transport);
        if transport != Transport::KeepOpen {
            let (seen, out) = (self.seen.len(), self.out.len());
            self.read(&[0x81, 0x80, 0, 0, 0, 0, 0x89, 0x00]);
            self.read_parts(&[0xFF]);
            assert_eq!((self.seen.len(), self.out.len()), (seen, out), "nothing after the end");
            assert!(self.connection.split_mut().1.text("", &mut self.out).is_err());
        }
        self.connection.receive_eof();
        assert_eq!(self.connection.transport(), Transport::FlushThenClose);
        (self.seen, self.out)
    }
}

/// What a transport keeps that was asked to wait for more.
#[derive(Default)]
pub struct Held {
    bytes: Vec<u8>,
    until: usize,
}

/// The control frame that must have been written, with the mask that `written` has.
fn reply(role: Role, first: u8, payload: &[u8], written: &[u8]) -> Vec<u8> {
    let len = u8::try_from(payload.len()).expect("a control frame is short");
    let mut frame = match role {
        Role::Server => vec![first, len],
        Role::Client => {
            let key = written.get(2..6).unwrap_or_default();
            [&[first, 0x80 | len], key].concat()
        }
    };
    let key = frame[2..].to_vec();
    for (at, &byte) in payload.iter().enumerate() {
        frame.push(byte ^ key.get(at % 4).copied().unwrap_or(0));
    }
    frame
}
