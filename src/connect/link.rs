//! An open connection that one thread reads and another writes, so that pings are answered and messages taken while
//! nobody asks, and a server that does not read blocks nothing but what is sent to it.
//!
//! Codec and TLS session stand behind one lock, which is never held while a socket is waited for.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustls::ClientConnection;

use super::news::{Gate, News};
use super::socket::Socket;
use crate::client::Received;
use crate::proto::{Connection, Ended, Input, Outbound, SendError, Transport};

/// 64 KiB, one read of the transport: what a socket gives at once on a fast link.
const READ_BYTES: usize = 64 << 10;

/// 1 MiB of messages handed on at once: few bytes can inflate to many.
const BATCH_BYTES: usize = 1 << 20;

/// Batches that may wait to be shown; then the server is not read.
const BATCHES_MAX: usize = 4;

/// Above this a server that pings and does not read gets its pongs later.
const BACKED_UP_BYTES: usize = 64 << 10;

/// A tenth of a second for a write that has come to its end to say so.
const WRITTEN_WAIT: Duration = Duration::from_millis(100);

/// How a connection ended.
#[derive(Debug)]
pub(super) struct End {
    /// As the codec tells it.
    pub(super) ended: Ended,
    /// What broke, if anything did.
    pub(super) fault: Option<String>,
}

/// What an open connection is made of.
pub(super) struct Parts {
    /// The transport.
    pub(super) socket: Socket,
    /// TLS over it.
    pub(super) tls: Option<ClientConnection>,
    /// The codec.
    pub(super) connection: Connection,
    /// What came with the handshake, decrypted.
    pub(super) unread: Vec<u8>,
    /// What is still to be written, in plain.
    pub(super) unsent: Vec<u8>,
}

/// A connection under way. It is cut when this is dropped.
pub(super) struct Link {
    shared: Arc<Shared>,
    gate: Gate,
}

struct Shared {
    number: u32,
    news: Sender<News>,
    socket: Socket,
    state: Mutex<State>,
    /// The writer has something to do.
    work: Condvar,
    /// The writer knows what became of what it had taken.
    wrote: Condvar,
}

struct State {
    connection: Connection,
    tls: Option<ClientConnection>,
    /// What the codec has to say, in plain.
    plain: Vec<u8>,
    /// What the writer is to write, as it travels.
    out: Vec<u8>,
    /// Bytes that the writer has taken and not yet written, or could not write.
    writing: usize,
    /// Somebody waits for all to be written.
    tell: bool,
    /// Nothing more will be said: end this direction when all is written.
    last: Last,
    /// Nobody cares any more.
    over: bool,
    /// Bytes that came, as they travelled.
    heard: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    No,
    /// TLS says goodbye, and TCP stays.
    Tls,
    /// TCP ends in this direction, too.
    Tcp,
    Done,
}

impl Link {
    /// Begins to read and write. News of this connection carry its number.
    pub(super) fn begin(parts: Parts, number: u32, news: Sender<News>) -> io::Result<Self> {
        let Parts { socket, tls, connection, unread, unsent } = parts;
        let mut state = State {
            connection,
            tls,
            plain: unsent,
            out: Vec::new(),
            writing: 0,
            tell: false,
            last: Last::No,
            over: false,
            heard: 0,
        };
        state.encrypt()?;
        let (state, work, wrote) = (Mutex::new(state), Condvar::new(), Condvar::new());
        let shared = Arc::new(Shared { number, news, socket, state, work, wrote });
        let gate = Gate::new(BATCHES_MAX);
        let reader = Reader { shared: Arc::clone(&shared), gate: gate.clone(), plain: unread };
        thread::Builder::new().name("reader".into()).spawn(move || reader.run())?;
        let writer = Arc::clone(&shared);
        thread::Builder::new().name("writer".into()).spawn(move || writer.write())?;
        Ok(Self { shared, gate })
    }

    /// Sends what `say` says. Takes memory for it and waits for nothing.
    pub(super) fn send(
        &self,
        say: impl FnOnce(&mut Outbound, &mut Vec<u8>) -> Result<(), SendError>,
    ) -> Result<(), SendError> {
        let mut state = self.shared.lock();
        let state = &mut *state;
        say(state.connection.split_mut().1, &mut state.plain)?;
        // TLS fails to encrypt only after it has failed to decrypt, which the reader tells.
        let _ = state.encrypt();
        self.shared.work.notify_one();
        Ok(())
    }

    /// Bytes that wait to be written.
    pub(super) fn backlog(&self) -> usize {
        self.shared.lock().backlog()
    }

    /// Asks for [`News::Drained`] once nothing waits to be written. False: nothing does.
    pub(super) fn tell_when_drained(&self) -> bool {
        let mut state = self.shared.lock();
        state.tell = state.backlog() > 0;
        state.tell
    }

    /// Bytes that came so far, of whatever kind.
    pub(super) fn bytes_heard(&self) -> u64 {
        self.shared.lock().heard
    }

    /// A batch of news was dealt with.
    pub(super) fn dealt(&self) {
        self.gate.open();
    }

    /// Ends it in both directions, whatever waits.
    pub(super) fn cut(&self) {
        self.shared.lock().over = true;
        self.shared.work.notify_one();
        self.shared.socket.shutdown(Shutdown::Both);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.cut();
        // A reader that waits to hand something on finds that it is over, and ends.
        self.gate.open();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The writer: takes what there is, writes it, and looks again.
    fn write(&self) {
        let mut state = self.lock();
        loop {
            let idle = |state: &mut State| {
                let ends = matches!(state.last, Last::Tls | Last::Tcp);
                state.out.is_empty() && !ends && !state.over
            };
            state = self.work.wait_while(state, idle).unwrap_or_else(PoisonError::into_inner);
            if state.over {
                return;
            }
            if state.out.is_empty() {
                self.end_writing(&mut state);
                continue;
            }
            let taken = std::mem::take(&mut state.out);
            state.writing = taken.len();
            drop(state);
            let left = self.write_out(&taken);
            state = self.lock();
            state.writing = left;
            self.wrote.notify_all();
            if left > 0 {
                // What the server said before it went is still read, and the reader tells the end.
                return;
            }
            let State { connection, plain, .. } = &mut *state;
            connection.split_mut().1.hold_pongs(false, plain);
            let _ = state.encrypt();
            if state.tell && state.backlog() == 0 {
                state.tell = false;
                let _ = self.news.send(News::Drained(self.number));
            }
        }
    }

    /// How many bytes the socket has not taken: none, unless it broke.
    fn write_out(&self, mut bytes: &[u8]) -> usize {
        while !bytes.is_empty() {
            match (&self.socket).write(bytes) {
                Ok(0) => break,
                Ok(n) => bytes = bytes.get(n..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        bytes.len()
    }

    fn end_writing(&self, state: &mut State) {
        if let Some(tls) = &mut state.tls {
            tls.send_close_notify();
            let _ = state.encrypt();
            self.write_out(&std::mem::take(&mut state.out));
        }
        if state.last == Last::Tcp {
            self.socket.shutdown(Shutdown::Write);
        }
        state.last = Last::Done;
    }
}

impl State {
    fn backlog(&self) -> usize {
        self.plain.len() + self.out.len() + self.writing
    }

    /// Makes what the codec has to say ready for the socket.
    fn encrypt(&mut self) -> io::Result<()> {
        let Some(tls) = &mut self.tls else {
            self.out.append(&mut self.plain);
            return Ok(());
        };
        // Encrypted at once: bounding is done by who asks for the backlog.
        tls.set_buffer_limit(None);
        tls.writer().write_all(&self.plain)?;
        self.plain.clear();
        while tls.wants_write() {
            tls.write_tls(&mut self.out)?;
        }
        Ok(())
    }

    /// What the socket gave, decrypted and appended to `plain`. False: TLS says that nothing follows.
    fn decrypt(&mut self, mut wire: &[u8], plain: &mut Vec<u8>) -> Result<bool, String> {
        let Some(tls) = &mut self.tls else {
            plain.extend_from_slice(wire);
            return Ok(true);
        };
        let mut more = true;
        while !wire.is_empty() && more {
            tls.read_tls(&mut wire).map_err(|error| error.to_string())?;
            let processed = tls.process_new_packets();
            let told = processed.as_ref().map_or(0, |it| it.plaintext_bytes_to_read());
            let start = plain.len();
            plain.resize(start + told, 0);
            tls.reader().read_exact(plain.get_mut(start..).unwrap_or_default()).ok();
            match processed {
                Ok(state) => more = !state.peer_has_closed(),
                Err(error) => {
                    // Its alert goes out.
                    let _ = self.encrypt();
                    return Err(format!("TLS: {error}"));
                }
            }
        }
        self.encrypt().map_err(|error| error.to_string())?;
        Ok(more)
    }

    /// Takes events from decrypted bytes until there are none or enough for now; says how many bytes were used up.
    fn hear(&mut self, plain: &mut [u8], heard: &mut Vec<Received>) -> (usize, Option<String>) {
        let len = plain.len();
        let backed_up = self.backlog() > BACKED_UP_BYTES;
        let (rx, tx) = self.connection.split_mut();
        tx.hold_pongs(backed_up, &mut self.plain);
        let mut input = Input::new(plain);
        let mut bytes = 0;
        let mut fault = None;
        while bytes < BATCH_BYTES {
            match rx.next(&mut input, tx, &mut self.plain) {
                Ok(Some(event)) => {
                    let received = Received::from(event);
                    bytes += 64 + weight(&received);
                    heard.push(received);
                }
                Ok(None) => break,
                Err(violation) => {
                    fault = Some(format!("the server broke the protocol: {violation}"));
                    break;
                }
            }
        }
        let used = len - input.remaining();
        if self.last == Last::No {
            self.last = match self.connection.transport() {
                Transport::KeepOpen => Last::No,
                Transport::AwaitPeerClose if self.tls.is_some() => Last::Tls,
                // §7.1.1: the server ends TCP.
                Transport::AwaitPeerClose => Last::Done,
                Transport::FlushThenClose | Transport::FlushThenShutdownWrite => Last::Tcp,
            };
        }
        let _ = self.encrypt();
        (used, fault)
    }
}

fn weight(received: &Received) -> usize {
    match received {
        Received::Text(text) => text.len(),
        Received::Binary(bytes) | Received::Ping(bytes) | Received::Pong(bytes) => bytes.len(),
        Received::Close(..) => 0,
    }
}

struct Reader {
    shared: Arc<Shared>,
    gate: Gate,
    /// Decrypted and not yet looked at.
    plain: Vec<u8>,
}

impl Reader {
    fn run(mut self) {
        let mut fault = None;
        let mut buffer = vec![0; READ_BYTES];
        // The handshake may have brought the first messages.
        let mut more = self.hand_on(&mut fault);
        while more {
            let n = match (&self.shared.socket).read(&mut buffer) {
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    fault = fault.or_else(|| Some(error.to_string()));
                    0
                }
            };
            if n == 0 {
                break;
            }
            let wire = buffer.get(..n).unwrap_or_default();
            let decrypted = {
                let mut state = self.shared.lock();
                state.heard += wire.len() as u64;
                state.decrypt(wire, &mut self.plain)
            };
            self.shared.work.notify_one();
            more = self.hand_on(&mut fault);
            match decrypted {
                Ok(open) => more &= open,
                Err(problem) => {
                    fault = fault.or(Some(problem));
                    more = false;
                }
            }
        }
        // What the server has taken is not to be called unsent because its end was faster than the writer.
        let state = self.shared.lock();
        let busy = |state: &mut State| state.writing > 0 && !state.over;
        let waited = self.shared.wrote.wait_timeout_while(state, WRITTEN_WAIT, busy);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let ended = state.connection.receive_eof();
        drop(state);
        let fault = fault.filter(|_| ended == Ended::Abrupt);
        let _ = self.shared.news.send(News::Ended(self.shared.number, End { ended, fault }));
    }

    /// Looks at what was read, and hands on what that says. False once nobody is interested.
    fn hand_on(&mut self, fault: &mut Option<String>) -> bool {
        let mut at = 0;
        loop {
            let mut heard = Vec::new();
            let rest = self.plain.get_mut(at..).unwrap_or_default();
            let (used, problem) = self.shared.lock().hear(rest, &mut heard);
            self.shared.work.notify_one();
            at += used;
            let failed = problem.is_some();
            if fault.is_none() {
                *fault = problem;
            }
            let (done, number) = (heard.is_empty(), self.shared.number);
            if !done {
                self.gate.pass();
                if self.shared.lock().over
                    || self.shared.news.send(News::Heard(number, heard)).is_err()
                {
                    return false;
                }
            }
            if failed && self.shared.news.send(News::Failed(number)).is_err() {
                return false;
            }
            if done {
                break;
            }
        }
        // The codec uses up all it is given, but after a violation it takes nothing.
        self.plain.clear();
        !self.shared.lock().over
    }
}
