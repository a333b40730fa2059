//! One connection to the testee, from either side. What arrives is judged by the rules that hold for
//! every frame, in every case; what is sent is what the case says.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::inflating::{Inflater, deflated, stored};
use super::testee::Visitor;
use super::verdict::{Tried, ensure, failed, shown, undecided};
use super::wire::{
    BINARY, CLOSE, CONTINUATION, FIN, Form, Frame, Noise, PING, PONG, RSV1, TEXT, frame, in_form,
    parse,
};

/// For something that has to happen. Long, since a machine may be busy; only failures take so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// For something that must not happen.
pub(crate) const QUIET: Duration = Duration::from_millis(100);

/// For a side that should end TCP by itself.
const END_PATIENCE: Duration = Duration::from_secs(2);

/// Codes of a connection that failed by the protocol or by its data.
pub(crate) const PROTOCOL: &[u16] = &[1002];
pub(crate) const DATA: &[u16] = &[1007];
pub(crate) const PROTOCOL_OR_DATA: &[u16] = &[1002, 1007];
pub(crate) const TOO_BIG: &[u16] = &[1009];

/// Which side these tests take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Us {
    Client,
    Server,
}

/// What both agreed to about permessage-deflate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Agreed {
    pub(crate) our_takeover: bool,
    pub(crate) their_takeover: bool,
    pub(crate) our_bits: u8,
    pub(crate) their_bits: u8,
}

/// What was seen next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Seen {
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, Vec<u8>),
    /// TCP ended, in order or by a reset.
    End,
    Silence,
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(it) => write!(f, "the text {}", shown(it)),
            Self::Binary(it) => write!(f, "the binary message {}", shown(it)),
            Self::Ping(it) => write!(f, "a ping with {}", shown(it)),
            Self::Pong(it) => write!(f, "a pong with {}", shown(it)),
            Self::Close(None, _) => f.write_str("a close without a code"),
            Self::Close(Some(code), _) => write!(f, "a close with {code}"),
            Self::End => f.write_str("the end of TCP"),
            Self::Silence => f.write_str("nothing"),
        }
    }
}

pub(crate) struct Link {
    pub(crate) us: Us,
    pub(crate) agreed: Option<Agreed>,
    /// The keys of the frames that were received.
    pub(crate) keys: Vec<[u8; 4]>,
    /// The longest way back in what was inflated.
    pub(crate) distance_max: usize,
    /// Messages that came compressed.
    pub(crate) compressed: usize,
    /// What was tolerated, for the report.
    pub(crate) notes: Vec<&'static str>,
    pub(crate) visitor: Option<Visitor>,
    stream: TcpStream,
    unread: Vec<u8>,
    at: usize,
    partial: Option<Partial>,
    inflater: Inflater,
    noise: Noise,
    writer: Option<Writer>,
}

struct Partial {
    opcode: u8,
    compressed: bool,
    payload: Vec<u8>,
}

impl Link {
    pub(crate) fn new(stream: TcpStream, us: Us, visitor: Option<Visitor>) -> Tried<Self> {
        let doing = || -> std::io::Result<Writer> {
            stream.set_nodelay(true)?;
            Ok(Writer::start(stream.try_clone()?))
        };
        let writer = match doing() {
            Ok(writer) => writer,
            Err(error) => return failed(format!("the connection was gone at once: {error}")),
        };
        Ok(Self {
            us,
            agreed: None,
            keys: Vec::new(),
            distance_max: 0,
            compressed: 0,
            notes: Vec::new(),
            visitor,
            stream,
            unread: Vec::new(),
            at: 0,
            partial: None,
            inflater: Inflater::default(),
            noise: Noise::new(7),
            writer: Some(writer),
        })
    }

    // --- sending: never waits, never fails; a peer that is gone is seen when one reads ---

    pub(crate) fn send(&mut self, bytes: impl Into<Vec<u8>>) {
        if let Some(writer) = &self.writer {
            writer.queued.fetch_add(1, Ordering::SeqCst);
            let _ = writer.orders.send(Order::Write(bytes.into()));
        }
    }

    /// In pieces that arrive apart.
    pub(crate) fn send_cut(&mut self, bytes: &[u8], cuts: &[usize]) {
        let mut from = 0;
        for &cut in cuts.iter().chain([&bytes.len()]) {
            self.send(&bytes[from..cut]);
            if cut < bytes.len() {
                self.flush();
                thread::sleep(Duration::from_micros(300));
            }
            from = cut;
        }
    }

    /// Waits until all that was sent is the system's.
    pub(crate) fn flush(&mut self) {
        let begin = Instant::now();
        while self.waiting() > 0 && begin.elapsed() < PATIENCE {
            thread::sleep(Duration::from_micros(20));
        }
    }

    /// Pieces that the system has not taken yet.
    pub(crate) fn waiting(&self) -> usize {
        self.writer.as_ref().map_or(0, |it| it.queued.load(Ordering::SeqCst))
    }

    /// Ends our half, behind all that was sent.
    pub(crate) fn half_close(&mut self) {
        if let Some(writer) = &self.writer {
            let _ = writer.orders.send(Order::Shutdown);
        }
    }

    /// Ends TCP by a reset.
    pub(crate) fn reset(mut self) {
        self.flush();
        let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
        if let Some(Writer { orders, thread, .. }) = self.writer.take() {
            drop(orders);
            let _ = thread.join();
        }
    }

    /// A key as this side has to use: a fresh one, or none.
    pub(crate) fn key(&mut self) -> Option<[u8; 4]> {
        (self.us == Us::Client).then(|| self.noise.key())
    }

    pub(crate) fn frame(&mut self, first: u8, payload: &[u8]) -> Vec<u8> {
        let key = self.key();
        frame(first, payload, key)
    }

    pub(crate) fn frame_in(&mut self, first: u8, payload: &[u8], form: Form) -> Vec<u8> {
        let key = self.key();
        in_form(first, payload, key, form)
    }

    pub(crate) fn send_frame(&mut self, first: u8, payload: &[u8]) {
        let bytes = self.frame(first, payload);
        self.send(bytes);
    }

    pub(crate) fn send_text(&mut self, payload: &[u8]) {
        self.send_frame(FIN | TEXT, payload);
    }

    pub(crate) fn send_close(&mut self, code: u16) {
        self.send_frame(FIN | CLOSE, &code.to_be_bytes());
    }

    /// A payload as both agreed to compress it; each message by itself.
    pub(crate) fn compress(&self, bytes: &[u8]) -> Vec<u8> {
        let window = self.agreed.map_or(0, |it| 1 << it.our_bits);
        if bytes.len() <= window { deflated(bytes) } else { stored(bytes) }
    }

    pub(crate) fn send_compressed(&mut self, opcode: u8, bytes: &[u8]) {
        let payload = self.compress(bytes);
        self.send_frame(FIN | RSV1 | opcode, &payload);
    }

    // --- receiving ---

    /// More bytes; `false` at the end of TCP, `None` if none came.
    fn fill(&mut self, until: Instant) -> Option<bool> {
        let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        let _ = self.stream.set_read_timeout(Some(left));
        if self.at > 0 {
            self.unread.drain(..self.at);
            self.at = 0;
        }
        let mut room = [0; 64 << 10];
        loop {
            match self.stream.read(&mut room) {
                Ok(0) => return Some(false),
                Ok(n) => {
                    self.unread.extend_from_slice(&room[..n]);
                    return Some(true);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    return None;
                }
                Err(_) => return Some(false),
            }
        }
    }

    /// A head up to its blank line; `None` if TCP ends before a byte of it.
    pub(crate) fn head(&mut self) -> Tried<Option<Vec<u8>>> {
        let until = Instant::now() + PATIENCE;
        loop {
            let rest = &self.unread[self.at..];
            if let Some(end) = rest.windows(4).position(|it| it == b"\r\n\r\n") {
                let head = rest[..end].to_vec();
                self.at += end + 4;
                return Ok(Some(head));
            }
            match self.fill(until) {
                Some(true) => {}
                Some(false) if self.unread.len() == self.at => return Ok(None),
                Some(false) => return failed("TCP ended in the middle of a head"),
                None => return failed(format!("no head within {} s", PATIENCE.as_secs())),
            }
        }
    }

    /// All that comes until TCP ends or nothing comes for so long.
    pub(crate) fn rest(&mut self, quiet: Duration) -> Vec<u8> {
        while self.fill(Instant::now() + quiet) == Some(true) {}
        self.unread.split_off(std::mem::take(&mut self.at))
    }

    fn next_frame(&mut self, patience: Duration) -> Tried<Result<Frame, Seen>> {
        let until = Instant::now() + patience;
        loop {
            match parse(&self.unread[self.at..]) {
                Err(wrong) => return failed(format!("a frame came with {wrong}")),
                Ok(Some((frame, len))) => {
                    self.at += len;
                    return Ok(Ok(frame));
                }
                Ok(None) => {}
            }
            match self.fill(until) {
                Some(true) => {}
                // In the middle of a frame too: a reset may cut what was on its way.
                Some(false) => return Ok(Err(Seen::End)),
                None => return Ok(Err(Seen::Silence)),
            }
        }
    }

    /// What comes next, within five seconds.
    pub(crate) fn next(&mut self) -> Tried<Seen> {
        self.next_within(PATIENCE)
    }

    pub(crate) fn next_within(&mut self, patience: Duration) -> Tried<Seen> {
        loop {
            let frame = match self.next_frame(patience)? {
                Ok(frame) => frame,
                Err(seen) => return Ok(seen),
            };
            self.judge(&frame)?;
            self.keys.extend(frame.key);
            let seen = match frame.opcode() {
                PING => Seen::Ping(frame.payload),
                PONG => Seen::Pong(frame.payload),
                CLOSE => close_of(&frame.payload)?,
                _ => match self.assemble(frame)? {
                    Some(seen) => seen,
                    None => continue,
                },
            };
            return Ok(seen);
        }
    }

    /// What holds for every frame.
    fn judge(&self, frame: &Frame) -> Tried {
        let from_client = self.us == Us::Server;
        ensure(
            frame.key.is_some() == from_client,
            format!("a frame came {} a mask (§5.1)", if from_client { "without" } else { "with" }),
        )?;
        let opcode = frame.opcode();
        let may = match (opcode, self.agreed) {
            (TEXT | BINARY, Some(_)) => RSV1,
            _ => 0,
        };
        ensure(
            frame.reserved() & !may == 0,
            format!("a frame came with reserved bits, {:#04x} (§5.2)", frame.first),
        )?;
        match opcode {
            CLOSE | PING | PONG => ensure(
                frame.is_final() && frame.payload.len() <= 125,
                format!("a control frame came with {} octets (§5.5)", frame.payload.len()),
            ),
            CONTINUATION => ensure(self.partial.is_some(), "a continuation of nothing came (§5.4)"),
            TEXT | BINARY => ensure(self.partial.is_none(), "a message came inside another (§5.4)"),
            _ => failed(format!("a frame came with the reserved opcode {opcode:#x} (§5.2)")),
        }
    }

    fn assemble(&mut self, frame: Frame) -> Tried<Option<Seen>> {
        let last = frame.is_final();
        let mut message = match self.partial.take() {
            Some(mut partial) => {
                partial.payload.extend_from_slice(&frame.payload);
                partial
            }
            None => Partial {
                opcode: frame.opcode(),
                compressed: frame.reserved() != 0,
                payload: frame.payload,
            },
        };
        if !last {
            self.partial = Some(message);
            return Ok(None);
        }
        if let (true, Some(agreed)) = (message.compressed, self.agreed) {
            match self.inflater.message(&message.payload, agreed.their_takeover) {
                Ok(inflated) => {
                    message.payload = inflated.bytes;
                    self.compressed += 1;
                    self.distance_max = self.distance_max.max(inflated.distance_max);
                    ensure(
                        inflated.distance_max <= 1 << agreed.their_bits,
                        format!(
                            "a message points {} back where a window of {} bits was agreed on",
                            inflated.distance_max, agreed.their_bits
                        ),
                    )?;
                }
                Err(why) => return failed(format!("a message came that does not inflate: {why}")),
            }
        }
        if message.opcode == BINARY {
            return Ok(Some(Seen::Binary(message.payload)));
        }
        ensure(
            std::str::from_utf8(&message.payload).is_ok(),
            format!("a text came that is not UTF-8: {}", shown(&message.payload)),
        )?;
        Ok(Some(Seen::Text(message.payload)))
    }

    // --- what has to happen ---

    pub(crate) fn expect(&mut self, wanted: &Seen) -> Tried {
        let seen = self.next()?;
        if seen == *wanted {
            return Ok(());
        }
        let same = |a: &[u8], b: &[u8]| {
            let at = a.iter().zip(b).position(|(a, b)| a != b).unwrap_or(a.len().min(b.len()));
            format!(" (they differ at octet {at})")
        };
        let hint = match (wanted, &seen) {
            (Seen::Text(a), Seen::Text(b)) | (Seen::Binary(a), Seen::Binary(b)) => same(a, b),
            _ => String::new(),
        };
        failed(format!("expected {wanted}, saw {seen}{hint}"))
    }

    pub(crate) fn expect_text(&mut self, payload: &[u8]) -> Tried {
        self.expect(&Seen::Text(payload.to_vec()))
    }

    pub(crate) fn expect_binary(&mut self, payload: &[u8]) -> Tried {
        self.expect(&Seen::Binary(payload.to_vec()))
    }

    pub(crate) fn expect_pong(&mut self, payload: &[u8]) -> Tried {
        self.expect(&Seen::Pong(payload.to_vec()))
    }

    /// Sends a message and gets it back.
    pub(crate) fn echo(&mut self, opcode: u8, payload: &[u8]) -> Tried {
        self.send_frame(FIN | opcode, payload);
        self.expect_same(opcode, payload)
    }

    /// The same, compressed on the way there.
    pub(crate) fn echo_compressed(&mut self, opcode: u8, payload: &[u8]) -> Tried {
        self.send_compressed(opcode, payload);
        self.expect_same(opcode, payload)
    }

    pub(crate) fn expect_same(&mut self, opcode: u8, payload: &[u8]) -> Tried {
        if opcode == TEXT { self.expect_text(payload) } else { self.expect_binary(payload) }
    }

    /// §7.1.7: the testee fails the connection, with one of these codes if it says anything. A close without
    /// a code could as well be the answer to a good close, and is not taken for a failure.
    pub(crate) fn expect_failed(&mut self, codes: &[u16]) -> Tried {
        match self.next()? {
            Seen::Close(Some(code), _) if codes.contains(&code) => self.expect_end_after_failure(),
            Seen::End => {
                self.notes.push("fails without a close frame");
                Ok(())
            }
            seen => {
                let codes: Vec<String> = codes.iter().map(u16::to_string).collect();
                failed(format!("expected a failure with {}, saw {seen}", codes.join(" or ")))
            }
        }
    }

    fn expect_end_after_failure(&mut self) -> Tried {
        if self.us == Us::Client {
            match self.next_within(END_PATIENCE)? {
                Seen::End => return Ok(()),
                Seen::Silence => {
                    self.notes.push("after failing waits for the other side to end TCP")
                }
                seen => return failed(format!("{seen} after its close frame")),
            }
        }
        self.send_close(1000);
        self.half_close();
        match self.next()? {
            Seen::End => Ok(()),
            seen => failed(format!("after its failure the end of TCP was expected, not {seen}")),
        }
    }

    /// The answer to our close: a close that is no failure, then the end of TCP, which is the server's
    /// to make (§7.1.1).
    pub(crate) fn expect_closed(&mut self, ours: Option<u16>) -> Tried {
        match self.next()? {
            Seen::Close(theirs, _) if theirs == ours => {}
            // §5.5.1: an endpoint typically echoes the code.
            Seen::Close(None | Some(1000), _) => {
                self.notes.push("answers a close with another code")
            }
            seen => return failed(format!("expected the answer to a close, saw {seen}")),
        }
        self.expect_end_after_close()
    }

    pub(crate) fn expect_end_after_close(&mut self) -> Tried {
        if self.us == Us::Server {
            self.half_close();
        }
        match self.next()? {
            Seen::End => Ok(()),
            seen => failed(format!("expected the end of TCP after both closes, saw {seen}")),
        }
    }

    /// Shows that the connection still works, and ends it in order.
    pub(crate) fn goodbye(&mut self) -> Tried {
        self.echo(TEXT, b"still there")?;
        self.close()
    }

    pub(crate) fn close(&mut self) -> Tried {
        self.send_close(1000);
        self.expect_closed(Some(1000))
    }

    /// Nothing comes for a moment.
    pub(crate) fn expect_quiet(&mut self) -> Tried {
        match self.next_within(QUIET)? {
            Seen::Silence => Ok(()),
            seen => failed(format!("expected nothing, saw {seen}")),
        }
    }

    pub(crate) fn need_deflate(&self) -> Tried<Agreed> {
        self.agreed.map_or_else(|| undecided("permessage-deflate was not agreed on"), Ok)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // Tens of thousands of connections must not wait for their ports in TIME_WAIT.
        let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
        if self.waiting() > 0 {
            let _ = self.stream.shutdown(Shutdown::Both);
        }
    }
}

fn close_of(payload: &[u8]) -> Tried<Seen> {
    match payload {
        [] => Ok(Seen::Close(None, Vec::new())),
        [_] => failed("a close came with one octet (§5.5.1)"),
        &[high, low, ref reason @ ..] => {
            let code = u16::from_be_bytes([high, low]);
            ensure(
                matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999),
                format!("a close came with {code}, which must not travel (§7.4)"),
            )?;
            ensure(std::str::from_utf8(reason).is_ok(), "a close came whose reason is not UTF-8")?;
            Ok(Seen::Close(Some(code), reason.to_vec()))
        }
    }
}

enum Order {
    Write(Vec<u8>),
    Shutdown,
}

/// Writes in a thread, so that a testee that does not read stops nobody.
struct Writer {
    orders: Sender<Order>,
    queued: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
}

impl Writer {
    fn start(mut stream: TcpStream) -> Self {
        let (orders, taken) = mpsc::channel();
        let queued = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&queued);
        let thread = thread::spawn(move || {
            let mut broken = false;
            for order in taken {
                match order {
                    Order::Write(bytes) => {
                        broken = broken || stream.write_all(&bytes).is_err();
                        count.fetch_sub(1, Ordering::SeqCst);
                    }
                    Order::Shutdown => {
                        let _ = stream.shutdown(Shutdown::Write);
                    }
                }
            }
        });
        Self { orders, queued, thread }
    }
}
