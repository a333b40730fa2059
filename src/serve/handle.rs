//! How other threads reach a server. What they have under way is bounded, for each client and for broadcasts.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use super::clients::prepare;
use super::options::Options;
use super::peers::ClientId;
use super::reach::Sent;
use crate::net::{Mail, Marks, Stream, Undelivered};
use crate::proto::{CloseCode, CloseFrame, Kind, Message, Prepared, SendError, SendOptions};

/// A server's address for other threads. Clone it freely; it outlives the server, which then takes nothing.
///
/// ```
/// use sockeye::serve::{Handler, Message, Options, Sent, Server, Socket};
///
/// struct Quiet;
/// impl Handler for Quiet {
///     fn on_message(&mut self, _: &mut Socket<'_>, _: Message<'_>) {}
/// }
///
/// let server = Server::bind(Options { port: 0, ..Options::default() }, Quiet)?;
/// let handle = server.handle();
/// let ticker = std::thread::spawn(move || {
///     let sent = handle.broadcast(Message::Text("tick"));
///     handle.stop();
///     sent
/// });
/// server.run()?;
/// assert_eq!(ticker.join().unwrap(), Sent::Sent);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Handle {
    pub(super) mail: Mail<Post>,
    pub(super) shared: Arc<Shared>,
}

impl Handle {
    /// Sends a message.
    ///
    /// It is copied and goes to the loop. What is under way there from other threads to one client, taken by the
    /// loop and not yet by the client's own queue, is bounded by [`Marks`]: [`Sent::Queued`] from the high mark
    /// on, [`Sent::Full`] from the full mark on, or when the loop's mailbox is full. After either,
    /// [`Handler::on_drain`](super::Handler::on_drain) is called when there is room.
    pub fn send(&self, id: ClientId, message: Message<'_>) -> Sent {
        self.send_with(id, message, SendOptions::default())
    }

    /// The same with options.
    pub fn send_with(&self, id: ClientId, message: Message<'_>, options: SendOptions) -> Sent {
        let Some(gauge) = self.shared.gauge(id) else { return Sent::Closed };
        let parcel = Parcel::new(message, options);
        self.post(&gauge, Some(id), parcel.cost(), Post::Send(id, parcel))
    }

    /// Sends a message to everybody. Encoded, and compressed, once, on this thread; bounded like
    /// [`send`](Self::send), and [`on_broadcast_drain`](super::Handler::on_broadcast_drain) is called when
    /// there is room.
    pub fn broadcast(&self, message: Message<'_>) -> Sent {
        let cost = message.as_bytes().len() + PARCEL_COST;
        let gauge = &self.shared.everybody;
        // Before it is encoded: what is refused should cost nothing.
        if gauge.level.load(Ordering::Acquire) >= self.shared.options.net.marks.full {
            self.starve(gauge, None);
            return Sent::Full;
        }
        let prepared = prepare(message, &self.shared.options);
        self.post(gauge, None, cost, Post::Broadcast(prepared, cost))
    }

    /// Begins the closing handshake. Always taken, and not behind messages that still wait.
    ///
    /// # Errors
    /// [`SendError::ReasonTooLong`]; [`SendError::Closed`] if there is no such client.
    pub fn close(&self, id: ClientId, code: CloseCode, reason: &str) -> Result<(), SendError> {
        if reason.len() > CloseFrame::REASON_MAX {
            return Err(SendError::ReasonTooLong { len: reason.len() });
        }
        let gauge = self.shared.gauge(id).ok_or(SendError::Closed)?;
        if !gauge.closing.swap(true, Ordering::AcqRel) {
            self.shared.urgent().closes.push((id, code, reason.to_owned()));
            self.nudge();
        }
        Ok(())
    }

    /// Open WebSockets.
    pub fn connections(&self) -> usize {
        self.shared.gauges.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Serves a connection that somebody else accepted: ws's `noServer`. `read` is what was read from it, from
    /// the first byte of its request for a WebSocket on; the answer is the server's. It speaks no TLS here.
    ///
    /// ```no_run
    /// # use std::io::Read as _;
    /// # fn adopt_all(listener: std::net::TcpListener, handle: sockeye::serve::Handle) -> std::io::Result<()> {
    /// for stream in listener.incoming() {
    ///     let mut stream = stream?;
    ///     let mut head = vec![0; 1024];
    ///     let n = stream.read(&mut head)?;
    ///     // Ordinary pages are answered here; whoever asks for /ws is handed over.
    ///     if head.starts_with(b"GET /ws ") {
    ///         handle.adopt(stream, &head[..n])?;
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `WouldBlock`: too much waits for the loop already; `NotConnected`: the server has ended, or the peer is
    /// gone; else the system's. The socket is closed then.
    pub fn adopt(&self, stream: TcpStream, read: &[u8]) -> io::Result<()> {
        let remote = stream.peer_addr()?;
        let moving = Moving { stream: stream.try_into()?, remote, bytes: read.to_vec() };
        self.mail.post(Post::Adopt(Box::new(moving))).map_err(|undelivered| match undelivered {
            Undelivered::Full(_) => io::ErrorKind::WouldBlock.into(),
            Undelivered::Gone(_) => io::ErrorKind::NotConnected.into(),
        })
    }

    /// Ends the server: nobody new is let in, everybody is told goodbye (1001), and
    /// [`run`](super::Server::run) returns when they are gone, or after [`Options::close_timeout`].
    pub fn stop(&self) {
        self.shared.urgent().stop = true;
        self.nudge();
    }

    fn post(&self, gauge: &Gauge, id: Option<ClientId>, cost: usize, post: Post) -> Sent {
        let Marks { high, full, .. } = self.shared.options.net.marks;
        let Some(level) = gauge.add(cost, full) else {
            self.starve(gauge, id);
            return Sent::Full;
        };
        match self.mail.post(post) {
            Ok(()) if level < high => Sent::Sent,
            Ok(()) => {
                self.starve(gauge, id);
                Sent::Queued(level)
            }
            Err(Undelivered::Full(_)) => {
                gauge.sub(cost);
                self.starve(gauge, id);
                Sent::Full
            }
            Err(Undelivered::Gone(_)) => {
                gauge.sub(cost);
                Sent::Closed
            }
        }
    }

    /// Sees to it that the loop says when there is room.
    fn starve(&self, gauge: &Gauge, id: Option<ClientId>) {
        if !gauge.starved.swap(true, Ordering::AcqRel) {
            self.shared.urgent().starved.push(id);
            self.nudge();
        }
    }

    /// Lets the loop look at what is urgent. A full mailbox is one that it has yet to look at, and then it will.
    fn nudge(&self) {
        self.shared.attention.store(true, Ordering::Release);
        let _ = self.mail.post(Post::Nudge);
    }
}

/// What goes through the mailbox.
#[derive(Debug)]
pub(super) enum Post {
    Send(ClientId, Parcel),
    /// And what it counts.
    Broadcast(Prepared, usize),
    Adopt(Box<Moving>),
    /// There is something urgent.
    Nudge,
}

/// A message on its way to the loop.
#[derive(Debug)]
pub(super) struct Parcel {
    kind: Kind,
    /// UTF-8 if it is a text: made from a `str`.
    bytes: Box<[u8]>,
    pub(super) options: SendOptions,
}

/// What a message counts beside its bytes, so that a flood of tiny ones is bounded too.
const PARCEL_COST: usize = 64;

impl Parcel {
    fn new(message: Message<'_>, options: SendOptions) -> Self {
        Self { kind: message.kind(), bytes: message.as_bytes().into(), options }
    }

    pub(super) fn cost(&self) -> usize {
        self.bytes.len() + PARCEL_COST
    }

    /// As bytes, with the option that says what kind they are.
    pub(super) fn message(&self) -> (Message<'_>, SendOptions) {
        let binary = self.options.binary.unwrap_or(self.kind == Kind::Binary);
        (Message::Binary(&self.bytes), SendOptions { binary: Some(binary), ..self.options })
    }
}

/// A connection that somebody else accepted.
#[derive(Debug)]
pub(super) struct Moving {
    pub(super) stream: Stream,
    pub(super) remote: SocketAddr,
    pub(super) bytes: Vec<u8>,
}

/// What other threads have under way, and whether one of them was told to wait.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    level: AtomicUsize,
    starved: AtomicBool,
    closing: AtomicBool,
}

impl Gauge {
    /// The new level; `None`, and nothing changes, at the full mark.
    fn add(&self, cost: usize, full: usize) -> Option<usize> {
        let add = |level: usize| (level < full).then(|| level.saturating_add(cost));
        let before = self.level.fetch_update(Ordering::AcqRel, Ordering::Acquire, add).ok()?;
        Some(before.saturating_add(cost))
    }

    pub(super) fn sub(&self, cost: usize) {
        self.level.fetch_sub(cost, Ordering::AcqRel);
    }

    /// Whether somebody is to be told that there is room. True once.
    pub(super) fn relieved(&self, low: usize) -> bool {
        self.level.load(Ordering::Acquire) <= low && self.starved.swap(false, Ordering::AcqRel)
    }
}

/// What the handles and the loop look at together.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) options: Options,
    gauges: RwLock<HashMap<ClientId, Arc<Gauge>>>,
    pub(super) everybody: Gauge,
    /// There is something urgent.
    pub(super) attention: AtomicBool,
    urgent: Mutex<Urgent>,
}

/// What must not wait for room in the mailbox. Bounded by the number of clients: each stands here once.
#[derive(Debug, Default)]
pub(super) struct Urgent {
    pub(super) closes: Vec<(ClientId, CloseCode, String)>,
    /// Who was told to wait; `None` is everybody's sender.
    pub(super) starved: Vec<Option<ClientId>>,
    pub(super) stop: bool,
}

impl Shared {
    pub(super) fn new(options: Options) -> Self {
        Self {
            options,
            gauges: RwLock::default(),
            everybody: Gauge::default(),
            attention: AtomicBool::new(false),
            urgent: Mutex::default(),
        }
    }

    pub(super) fn join(&self, id: ClientId) -> Arc<Gauge> {
        let gauge = Arc::new(Gauge::default());
        let mut gauges = self.gauges.write().unwrap_or_else(PoisonError::into_inner);
        gauges.insert(id, Arc::clone(&gauge));
        gauge
    }

    pub(super) fn leave(&self, id: ClientId) {
        self.gauges.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    fn gauge(&self, id: ClientId) -> Option<Arc<Gauge>> {
        self.gauges.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// Each change is one push or one store: poison says nothing here.
    pub(super) fn urgent(&self) -> MutexGuard<'_, Urgent> {
        self.urgent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
