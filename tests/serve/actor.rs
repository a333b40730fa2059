//! One client of a recorded session: raw bytes out, observations in.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use sockeye::proto::handshake::accept_key;
use sockeye::proto::{Config, Connection, Event, Header, Input, MaskKey, OpCode, apply_mask};

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// What a client sees.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Saw {
    Open { accept_ok: bool, protocol: Option<String> },
    Http(u16),
    Text(String),
    Binary(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
    TcpEnd,
}

pub(crate) struct Actor {
    stream: TcpStream,
    connection: Connection,
    open: bool,
    /// Ordinary responses that come before the upgrade's and are passed over.
    pages: usize,
    auto_close: bool,
    over: bool,
    head: Vec<u8>,
    pub(crate) saw: Vec<Saw>,
}

impl Actor {
    /// Connects and sends a request; `headers` replace those of a good one, or take them away.
    pub(crate) fn request(
        address: SocketAddr,
        method: &str,
        target: &str,
        headers: &[(String, Option<String>)],
        then: &[u8],
    ) -> Self {
        let mut fields: Vec<(String, String)> = [
            ("Host", address.to_string().as_str()),
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", KEY),
            ("Sec-WebSocket-Version", "13"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        for (name, value) in headers {
            fields.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
            if let Some(value) = value {
                fields.push((name.clone(), value.clone()));
            }
        }
        let mut request = format!("{method} {target} HTTP/1.1\r\n").into_bytes();
        for (name, value) in fields {
            request.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        request.extend_from_slice(b"\r\n");
        request.extend_from_slice(then);
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.write_all(&request).unwrap();
        Self {
            stream,
            connection: Connection::client(Config::default(), |bytes: &mut [u8]| bytes.fill(7)),
            open: false,
            pages: 0,
            auto_close: true,
            over: false,
            head: Vec::new(),
            saw: Vec::new(),
        }
    }

    pub(crate) fn open(address: SocketAddr, target: &str) -> Self {
        let mut actor = Self::request(address, "GET", target, &[], b"");
        actor.watch(1);
        assert!(
            matches!(actor.saw[..], [Saw::Open { accept_ok: true, .. }, ..]),
            "{:?}",
            actor.saw
        );
        actor.saw.remove(0);
        actor
    }

    /// Passes over so many ordinary responses before the one that opens the WebSocket.
    pub(crate) fn behind_pages(mut self, pages: usize) -> Self {
        self.pages = pages;
        self
    }

    /// Does not answer a close by itself.
    pub(crate) fn without_auto_close(mut self) -> Self {
        self.auto_close = false;
        self
    }

    pub(crate) fn port(&self) -> u16 {
        self.stream.local_addr().unwrap().port()
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        // A server that has hung up meanwhile is what the session is about.
        let _ = self.stream.write_all(bytes);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.write(&frame(0x81, text.as_bytes(), true, None));
    }

    /// How long a write may wait.
    pub(crate) fn patience(&mut self, patience: Duration) {
        self.stream.set_write_timeout(Some(patience)).unwrap();
    }

    /// Whether it was taken.
    pub(crate) fn write_some(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Ends TCP by a reset.
    pub(crate) fn abort(self) {
        let linger = Some(Duration::ZERO);
        socket2::SockRef::from(&self.stream).set_linger(linger).unwrap();
    }

    /// Reads until so much was seen, or patience ends.
    pub(crate) fn watch(&mut self, count: usize) {
        self.watch_for(count, Duration::from_secs(10));
    }

    pub(crate) fn watch_for(&mut self, count: usize, patience: Duration) {
        let begin = Instant::now();
        let mut scratch = vec![0; 64 << 10];
        while self.saw.len() < count && !self.over {
            let left = patience.saturating_sub(begin.elapsed());
            if left.is_zero() {
                return;
            }
            self.stream.set_read_timeout(Some(left)).unwrap();
            match self.stream.read(&mut scratch) {
                Ok(0) => self.ended(),
                Ok(n) => self.take(&mut scratch[..n]),
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => self.ended(),
            }
        }
    }

    fn ended(&mut self) {
        self.over = true;
        self.saw.push(Saw::TcpEnd);
    }

    fn take(&mut self, bytes: &mut [u8]) {
        if self.open {
            return self.frames(bytes);
        }
        self.head.extend_from_slice(bytes);
        let Some(end) = self.head.windows(4).position(|four| four == b"\r\n\r\n") else {
            return;
        };
        let mut rest = self.head.split_off(end + 4);
        let head = String::from_utf8(std::mem::take(&mut self.head)).unwrap();
        let status: u16 = head.split(' ').nth(1).unwrap().parse().unwrap();
        let field = |name: &str| {
            head.lines().filter_map(|line| line.split_once(": ")).find_map(|(known, value)| {
                known.eq_ignore_ascii_case(name).then(|| value.to_owned())
            })
        };
        if status != 101 && self.pages > 0 {
            let len: usize = field("Content-Length").unwrap().parse().unwrap();
            if rest.len() < len {
                self.head = [head.as_bytes(), &rest].concat();
                return;
            }
            self.pages -= 1;
            return self.take(&mut rest[len..]);
        }
        if status != 101 {
            self.saw.push(Saw::Http(status));
            return;
        }
        self.open = true;
        let accept_ok = field("Sec-WebSocket-Accept").as_deref() == Some(accept_key(KEY).as_str());
        self.saw.push(Saw::Open { accept_ok, protocol: field("Sec-WebSocket-Protocol") });
        self.frames(&mut rest);
    }

    fn frames(&mut self, bytes: &mut [u8]) {
        let mut out = Vec::new();
        let mut input = Input::new(bytes);
        let (rx, tx) = self.connection.split_mut();
        loop {
            let event = rx.next(&mut input, tx, &mut out).expect("the server keeps the protocol");
            self.saw.push(match event {
                None => break,
                Some(Event::Text(text)) => Saw::Text(text.into()),
                Some(Event::Binary(bytes)) => Saw::Binary(bytes.into()),
                Some(Event::Pong(bytes)) => Saw::Pong(bytes.into()),
                Some(Event::Ping(_)) => continue,
                Some(Event::Close(None)) => Saw::Close(None, String::new()),
                Some(Event::Close(Some(frame))) => {
                    Saw::Close(Some(frame.code.as_u16()), frame.reason.into())
                }
            });
        }
        if self.auto_close {
            let _ = self.stream.write_all(&out);
        }
    }
}

/// A frame as a client writes it, good or bad. `first`: FIN, RSV and opcode.
pub(crate) fn frame(first: u8, payload: &[u8], masked: bool, declared: Option<u64>) -> Vec<u8> {
    let key = MaskKey([1, 2, 3, 4]);
    let len = declared.unwrap_or(payload.len() as u64);
    let header =
        Header { fin: true, rsv: 0, opcode: OpCode::Binary, mask: masked.then_some(key), len };
    let mut bytes = header.encode().to_vec();
    bytes[0] = first;
    let start = bytes.len();
    bytes.extend_from_slice(payload);
    if masked {
        apply_mask(key, &mut bytes[start..]);
    }
    bytes
}
