//! A client and a server talk as the bytes command: what one sends is what the other receives.
//!
//! The bytes: how both are set up (8), then one command after the other (see `Talk::command`).

use std::collections::VecDeque;

use sockeye::proto::deflate::{Deflate, Params, WindowBits};
use sockeye::proto::{
    CloseCode, CloseFrame, Config, Connection, Ended, Kind, Limits, Message, Prepared, SendError,
    SendOptions,
};

use super::bytes::Bytes;
use super::inbound::entropy;
use super::run::{Run, Seen};

/// Nothing here is longer than what all commands of an input can send.
const MESSAGE_MAX: usize = 16 << 20;

pub fn round_trip(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let flags = bytes.byte();
    let window = |bits: u8| WindowBits::new(9 + bits % 7).expect("9 to 15");
    let params = Params {
        server_no_context_takeover: flags & 1 != 0,
        client_no_context_takeover: flags & 2 != 0,
        server_max_window_bits: window(bytes.byte()),
        client_max_window_bits: window(bytes.byte()),
    };
    let mut policy = || Deflate {
        level: bytes.byte() % 10,
        compress_from: usize::from(bytes.byte()),
        ..Deflate::default()
    };
    let (server_policy, client_policy) = (policy(), policy());

    let config = || Config {
        limits: Limits { pings_per_read: u32::MAX, ..Limits::default() },
        ..Config::default()
    };
    let mut server = Connection::server(config());
    let mut client = Connection::client(config(), entropy());
    if flags & 4 == 0 {
        server.enable_deflate(&params, &server_policy);
        client.enable_deflate(&params, &client_policy);
    }
    let mut talk =
        Talk { ends: [End::new(client, flags & 8 != 0), End::new(server, flags & 16 != 0)] };
    // A command is a few microseconds; a thousand of them are as good as more.
    for _ in 0..1000 {
        if bytes.is_empty() {
            break;
        }
        talk.command(&mut bytes);
    }
    talk.end();
}

struct Talk {
    /// The client, then the server.
    ends: [End; 2],
}

struct End {
    run: Run,
    in_parts: bool,
    /// What was sent and the peer has not seen yet.
    sent: VecDeque<Seen>,
    /// The message sent in fragments.
    unfinished: Option<(Kind, Vec<u8>)>,
    closed: bool,
}

impl Talk {
    fn command(&mut self, bytes: &mut Bytes<'_>) {
        let code = bytes.byte();
        let who = usize::from(code & 1);
        let end = &mut self.ends[who];
        match (code >> 1) % 9 {
            0 => {
                let payload = payload(bytes);
                match code >> 7 {
                    0 => end.binary(&payload),
                    _ => end.text(&String::from_utf8_lossy(&payload)),
                }
            }
            1 | 2 => {
                let options = SendOptions {
                    compress: bytes.pick(&[None, Some(true), Some(false)]),
                    fin: bytes.flag(),
                    ..SendOptions::default()
                };
                let payload = payload(bytes);
                match code >> 7 {
                    0 => end.send(Message::Binary(&payload), options),
                    _ => end.send(Message::Text(&String::from_utf8_lossy(&payload)), options),
                }
            }
            3 => {
                let len = usize::from(bytes.byte());
                end.control(code >> 7 == 0, bytes.take(len));
            }
            4 => end.close(bytes.u16(), &bytes.text()),
            5 => {
                let payload = payload(bytes);
                let level = bytes.byte();
                let bits = WindowBits::new(9 + level % 7).expect("9 to 15");
                end.prepared(&payload, (code >> 7 == 0).then_some((bits, level % 10)));
            }
            6 => end.head(&payload(bytes), bytes.flag()),
            _ => {
                let len = usize::from(bytes.u16());
                self.deliver(who, len);
            }
        }
    }

    /// Up to `len` bytes reach the other end in one read.
    fn deliver(&mut self, from: usize, len: usize) {
        let [client, server] = &mut self.ends;
        let (from, to) = if from == 0 { (client, server) } else { (server, client) };
        let len = len.min(from.run.out.len());
        let piece: Vec<u8> = from.run.out.drain(..len).collect();
        to.receive(&piece, &mut from.sent);
    }

    fn end(mut self) {
        while self.ends.iter().any(|end| !end.run.out.is_empty()) {
            self.deliver(0, usize::MAX);
            self.deliver(1, usize::MAX);
        }
        for end in &mut self.ends {
            assert!(end.sent.is_empty(), "sent and not received: {:?}", end.sent);
            let (_, tx) = end.run.connection.split_mut();
            // The peer heard a close if one was sent, and then so did this end.
            assert_eq!(
                tx.text("", &mut Vec::new()).is_err(),
                end.closed || end.unfinished.is_some()
            );
        }
        let [client, server] = self.ends;
        assert_eq!(client.closed, server.closed, "a close is answered");
        for mut end in [client, server] {
            let ended = end.run.connection.receive_eof();
            assert_eq!(matches!(ended, Ended::Clean(_)), end.closed);
        }
    }
}

impl End {
    fn new(connection: Connection, in_parts: bool) -> Self {
        let run = Run::new(connection, false, MESSAGE_MAX);
        let (sent, unfinished) = Default::default();
        Self { run, in_parts, sent, unfinished, closed: false }
    }

    fn receive(&mut self, piece: &[u8], expected: &mut VecDeque<Seen>) {
        if self.in_parts {
            self.run.read_parts(piece);
        } else {
            self.run.read(piece);
        }
        for seen in std::mem::take(&mut self.run.seen) {
            assert_eq!(Some(&seen), expected.front(), "what came is not what was sent");
            expected.pop_front();
            match seen {
                Seen::Ping(payload) if !self.closed => self.sent.push_back(Seen::Pong(payload)),
                Seen::Close(frame) if !self.closed => {
                    self.closed = true;
                    self.unfinished = None;
                    self.sent.push_back(Seen::Close(frame));
                }
                _ => {}
            }
        }
    }

    /// Sends and holds the outcome against what is known of this end. True if it was sent.
    fn attempt(
        &mut self,
        expected: Result<(), SendError>,
        send: impl FnOnce(&mut Connection, &mut Vec<u8>) -> Result<(), SendError>,
    ) -> bool {
        let before = self.run.out.len();
        let result = send(&mut self.run.connection, &mut self.run.out);
        assert_eq!(result, expected);
        assert_eq!(result.is_ok(), self.run.out.len() > before, "an error writes nothing");
        result.is_ok()
    }

    fn may_begin(&self) -> Result<(), SendError> {
        match self.unfinished {
            _ if self.closed => Err(SendError::Closed),
            Some(_) => Err(SendError::MessageUnfinished),
            None => Ok(()),
        }
    }

    fn may_go_on(&self, kind: Kind) -> Result<(), SendError> {
        match self.unfinished {
            _ if self.closed => Err(SendError::Closed),
            Some((begun, _)) if begun != kind => Err(SendError::KindChanged),
            _ => Ok(()),
        }
    }

    fn text(&mut self, text: &str) {
        if self.attempt(self.may_begin(), |it, out| it.split_mut().1.text(text, out)) {
            self.sent.push_back(Seen::Text(text.into()));
        }
    }

    fn binary(&mut self, bytes: &[u8]) {
        if self.attempt(self.may_begin(), |it, out| it.split_mut().1.binary(bytes, out)) {
            self.sent.push_back(Seen::Binary(bytes.into()));
        }
    }

    fn send(&mut self, message: Message<'_>, options: SendOptions) {
        let kind = message.kind();
        if self
            .attempt(self.may_go_on(kind), |it, out| it.split_mut().1.send(message, options, out))
        {
            self.sent_piece(kind, message.as_bytes(), options.fin);
        }
    }

    fn sent_piece(&mut self, kind: Kind, piece: &[u8], fin: bool) {
        let (_, payload) = self.unfinished.get_or_insert_with(|| (kind, Vec::new()));
        payload.extend_from_slice(piece);
        if fin && let Some((_, payload)) = self.unfinished.take() {
            self.sent.push_back(match kind {
                Kind::Text => Seen::Text(String::from_utf8(payload).expect("made of texts")),
                Kind::Binary => Seen::Binary(payload),
            });
        }
    }

    fn control(&mut self, ping: bool, payload: &[u8]) {
        let expected = match payload.len() {
            _ if self.closed => Err(SendError::Closed),
            0..=125 => Ok(()),
            len => Err(SendError::ControlTooLong { len }),
        };
        let sent = self.attempt(expected, |it, out| {
            let (_, tx) = it.split_mut();
            if ping { tx.ping(payload, out) } else { tx.pong(payload, out) }
        });
        if sent {
            let payload = payload.to_vec();
            self.sent.push_back(if ping { Seen::Ping(payload) } else { Seen::Pong(payload) });
        }
    }

    fn close(&mut self, code: u16, reason: &str) {
        let frame = CloseCode::new(code).map(|code| CloseFrame { code, reason });
        let expected = match frame {
            _ if self.closed => Err(SendError::Closed),
            Some(CloseFrame { reason, .. }) if reason.len() > CloseFrame::REASON_MAX => {
                Err(SendError::ReasonTooLong { len: reason.len() })
            }
            _ => Ok(()),
        };
        if self.attempt(expected, |it, out| it.split_mut().1.close(frame, out)) {
            self.closed = true;
            self.run.closing = true;
            self.unfinished = None;
            self.sent.push_back(Seen::close(frame));
        }
    }

    fn prepared(&mut self, payload: &[u8], deflate: Option<(WindowBits, u8)>) {
        let text = core::str::from_utf8(payload);
        let message = text.map_or(Message::Binary(payload), Message::Text);
        let mut prepared = Prepared::new(message);
        if let Some((bits, level)) = deflate {
            prepared = prepared.with_deflate(bits, level);
        }
        if self.attempt(self.may_begin(), |it, out| it.split_mut().1.prepared(&prepared, out)) {
            self.sent.push_back(match message {
                Message::Text(text) => Seen::Text(text.into()),
                Message::Binary(bytes) => Seen::Binary(bytes.into()),
            });
        }
    }

    /// Where the library lets us, only the head is its work and the payload is ours.
    fn head(&mut self, payload: &[u8], fin: bool) {
        let (_, tx) = self.run.connection.split_mut();
        let before = self.run.out.len();
        if tx.head(Kind::Binary, payload.len() as u64, fin, &mut self.run.out).is_ok() {
            self.run.out.extend_from_slice(payload);
            self.sent_piece(Kind::Binary, payload, fin);
        } else {
            assert_eq!(self.run.out.len(), before, "an error writes nothing");
        }
    }
}

/// A pattern and how long it goes on: short as it is, or up to 64 KiB of it.
fn payload(bytes: &mut Bytes<'_>) -> Vec<u8> {
    let shape = bytes.byte();
    let pattern = bytes.take(usize::from(shape & 0x7F));
    match (pattern, shape >> 7) {
        ([], _) | (_, 0) => pattern.to_vec(),
        _ => {
            let len = usize::from(bytes.u16());
            pattern.iter().copied().cycle().take(len).collect()
        }
    }
}
