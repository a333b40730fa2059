//! The same bytes to a server of ours and to one of tungstenite: both see the same messages and
//! answer the same, or both fail.
//!
//! Where the two may differ, and why each is no fault:
//!
//! 1. We judge a frame by its header, and a text as it arrives; tungstenite when the frame is whole.
//!    So where we failed and it waits, it is given enough bytes for any frame to become whole, and
//!    must not see one message more.
//! 2. tungstenite takes a length that has a shorter encoding (RFC 6455 §5.2 says that the shortest
//!    must be used). There we fail and it goes on. So it does with a control frame whose length
//!    takes two or eight bytes.
//! 3. tungstenite reports a close with a code that must not travel as one with 1002; we fail with 1002.
//!    It counts 1014 among those codes; we do not, as it was registered after the RFC.
//!
//! tungstenite leaves it to its user to send a close after a failure, so output is compared only
//! where nobody failed.
//!
//! The bytes: the conversation, and nothing else.

use std::io::{Read, Write};

use sockeye::proto::{Config, Connection, Event, HeaderError, Input, Limits, Violation};
use tungstenite::protocol::{Role, WebSocket, WebSocketConfig};
use tungstenite::{Error, Message};

const FRAME_MAX: usize = 1000;
const MESSAGE_MAX: usize = 1500;

pub fn differential_tungstenite(data: &[u8]) {
    let ours = ours(data);
    let theirs = theirs(data);
    match (&ours.end, &theirs.end) {
        // 2.
        (
            End::Failed(Violation::Header(
                HeaderError::LengthNotMinimal(_) | HeaderError::ControlTooLong(_),
            )),
            _,
        ) => {
            assert!(theirs.seen.starts_with(&ours.seen), "{ours:?} but {theirs:?}");
        }
        // 3.
        (End::Failed(Violation::CloseCode(_)), End::Closed) => {
            assert_eq!(theirs.seen.split_last(), Some((&refused_code(), &ours.seen[..])));
        }
        (End::Closed, End::Closed) if ours.seen.last().is_some_and(Seen::is_1014) => {
            let common = ours.seen.len() - 1;
            assert_eq!(theirs.seen.split_last(), Some((&refused_code(), &ours.seen[..common])));
        }
        // 1.
        (End::Failed(_), End::Open) => {
            assert_eq!(theirs.seen, ours.seen, "{:?}", ours.end);
            let mut longer = data.to_vec();
            longer.resize(data.len() + FRAME_MAX + 14, 0);
            let theirs = self::theirs(&longer);
            assert_eq!(theirs.seen, ours.seen, "after more bytes {:?}", ours.end);
        }
        (End::Failed(_), End::Failed(_)) => assert_eq!(theirs.seen, ours.seen),
        (End::Open, End::Open) | (End::Closed, End::Closed) => {
            assert_eq!((theirs.seen, theirs.out), (ours.seen, ours.out));
        }
        (ours, theirs) => panic!("{ours:?} but {theirs:?}"),
    }
}

#[derive(Debug)]
struct Outcome<E> {
    seen: Vec<Seen>,
    out: Vec<u8>,
    end: End<E>,
}

#[derive(Debug)]
enum End<E> {
    Open,
    Closed,
    Failed(E),
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, String)>),
}

impl Seen {
    fn is_1014(&self) -> bool {
        matches!(self, Self::Close(Some((1014, _))))
    }
}

/// What tungstenite makes of a close with a code that it does not take.
fn refused_code() -> Seen {
    Seen::Close(Some((1002, "Protocol violation".into())))
}

fn ours(data: &[u8]) -> Outcome<Violation> {
    let limits = Limits {
        message_bytes_max: MESSAGE_MAX as u64,
        frame_bytes_max: FRAME_MAX as u64,
        fragments_max: u32::MAX,
        pings_per_read: u32::MAX,
    };
    #[allow(clippy::needless_update, reason = "with deflate there is one more field")]
    let config = Config { limits, ..Config::default() };
    let mut connection = Connection::server(config);
    let mut outcome = Outcome { seen: Vec::new(), out: Vec::new(), end: End::Open };
    let mut bytes = data.to_vec();
    let mut input = Input::new(&mut bytes);
    let (rx, tx) = connection.split_mut();
    loop {
        match rx.next(&mut input, tx, &mut outcome.out) {
            Ok(None) => return outcome,
            Ok(Some(event)) => outcome.seen.push(match event {
                Event::Text(text) => Seen::Text(text.into()),
                Event::Binary(bytes) => Seen::Binary(bytes.into()),
                Event::Ping(bytes) => Seen::Ping(bytes.into()),
                Event::Pong(bytes) => Seen::Pong(bytes.into()),
                Event::Close(frame) => {
                    outcome.end = End::Closed;
                    Seen::Close(frame.map(|it| (it.code.as_u16(), it.reason.into())))
                }
            }),
            Err(violation) => outcome.end = End::Failed(violation),
        }
    }
}

fn theirs(data: &[u8]) -> Outcome<String> {
    let config = WebSocketConfig::default()
        .read_buffer_size(4096)
        .max_frame_size(Some(FRAME_MAX))
        .max_message_size(Some(MESSAGE_MAX));
    let stream = Memory { input: data, out: Vec::new() };
    let mut socket = WebSocket::from_raw_socket(stream, Role::Server, Some(config));
    let mut seen = Vec::new();
    let end = loop {
        match socket.read() {
            Ok(message) => seen.push(match message {
                Message::Text(text) => Seen::Text(text.as_str().into()),
                Message::Binary(bytes) => Seen::Binary(bytes.to_vec()),
                Message::Ping(bytes) => Seen::Ping(bytes.to_vec()),
                Message::Pong(bytes) => Seen::Pong(bytes.to_vec()),
                Message::Close(frame) => {
                    Seen::Close(frame.map(|it| (it.code.into(), it.reason.as_str().into())))
                }
                Message::Frame(_) => panic!("tungstenite reads no raw frames"),
            }),
            Err(Error::ConnectionClosed) => break End::Closed,
            Err(Error::Protocol(
                tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
            )) => break End::Open,
            Err(error) => break End::Failed(error.to_string()),
        }
    };
    // Answers still in its buffer.
    let _ = socket.flush();
    Outcome { seen, out: socket.get_ref().out.clone(), end }
}

/// A transport whose peer has said everything already.
struct Memory<'d> {
    input: &'d [u8],
    out: Vec<u8>,
}

impl Read for Memory<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.input.read(buffer)
    }
}

impl Write for Memory<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
