//! A handler that tells what it hears and does what a test says, and a server around it.

use std::net::SocketAddr;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use sockeye::proto::Violation;
use sockeye::serve::{
    ClientId, Clients, End, Handle, Handler, Message, Opening, Options, Refusal, Server, Socket,
};

/// What the handler was told.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Told {
    Open {
        id: ClientId,
        path: String,
        query: Option<String>,
        remote: SocketAddr,
        secure: bool,
    },
    Text(String),
    Binary(usize),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Drain(ClientId),
    BroadcastDrain,
    Close {
        id: ClientId,
        code: u16,
        reason: String,
        clean: bool,
        fault: Option<Violation>,
    },
    Tick,
    /// Whatever the test's own part has to say.
    Note(String),
}

type Act = Box<dyn FnMut(&mut Socket<'_>, Message<'_>, &Sender<Told>) + Send>;
type Verify = Box<dyn FnMut(&Opening<'_>) -> Result<(), Refusal> + Send>;

pub(crate) struct Probe {
    tell: Sender<Told>,
    act: Act,
    verify: Verify,
    protocols: Vec<&'static str>,
}

impl Probe {
    /// `act` is done for each message.
    pub(crate) fn new(
        act: impl FnMut(&mut Socket<'_>, Message<'_>, &Sender<Told>) + Send + 'static,
    ) -> (Self, Receiver<Told>) {
        let (tell, told) = mpsc::channel();
        let act = Box::new(act);
        (Self { tell, act, verify: Box::new(|_| Ok(())), protocols: Vec::new() }, told)
    }

    /// Says everything back.
    pub(crate) fn echo() -> (Self, Receiver<Told>) {
        Self::new(|socket, message, _| assert!(socket.send(message).is_taken()))
    }

    pub(crate) fn verify(
        mut self,
        verify: impl FnMut(&Opening<'_>) -> Result<(), Refusal> + Send + 'static,
    ) -> Self {
        self.verify = Box::new(verify);
        self
    }

    /// Agrees on these alone; on the first offered if there is none.
    pub(crate) fn protocols(mut self, protocols: &[&'static str]) -> Self {
        self.protocols = protocols.to_vec();
        self
    }

    fn tell(&self, told: Told) {
        // A test that has heard enough is no fault of the server's.
        let _ = self.tell.send(told);
    }
}

impl Handler for Probe {
    fn verify(&mut self, opening: &Opening<'_>) -> Result<(), Refusal> {
        (self.verify)(opening)
    }

    fn select_protocol<'o>(&mut self, offered: &[&'o str], _: &Opening<'_>) -> Option<&'o str> {
        let mine = |name: &&str| self.protocols.is_empty() || self.protocols.contains(name);
        offered.iter().copied().find(mine)
    }

    fn on_open(&mut self, socket: &mut Socket<'_>, opening: &Opening<'_>) {
        assert_eq!(opening.remote(), socket.remote());
        self.tell(Told::Open {
            id: socket.id(),
            path: opening.path().into(),
            query: opening.query().map(str::to_owned),
            remote: opening.remote(),
            secure: opening.is_secure(),
        });
    }

    fn on_message(&mut self, socket: &mut Socket<'_>, message: Message<'_>) {
        self.tell(match message {
            Message::Text(text) => Told::Text(text.into()),
            Message::Binary(bytes) => Told::Binary(bytes.len()),
        });
        (self.act)(socket, message, &self.tell);
    }

    fn on_ping(&mut self, _: &mut Socket<'_>, payload: &[u8]) {
        self.tell(Told::Ping(payload.into()));
    }

    fn on_pong(&mut self, _: &mut Socket<'_>, payload: &[u8]) {
        self.tell(Told::Pong(payload.into()));
    }

    fn on_drain(&mut self, socket: &mut Socket<'_>) {
        self.tell(Told::Drain(socket.id()));
    }

    fn on_broadcast_drain(&mut self, _: &mut Clients<'_>) {
        self.tell(Told::BroadcastDrain);
    }

    fn on_close(&mut self, clients: &mut Clients<'_>, id: ClientId, end: &End<'_>) {
        assert_eq!(clients.ready_state(id) as u8, 3);
        self.tell(Told::Close {
            id,
            code: end.code,
            reason: end.reason.into(),
            clean: end.was_clean,
            fault: end.fault,
        });
    }

    fn on_tick(&mut self, _: &mut Clients<'_>) {
        self.tell(Told::Tick);
    }
}

/// A server on a thread of its own, which ends with it.
pub(crate) struct Running {
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) handle: Handle,
    thread: Option<JoinHandle<std::io::Result<()>>>,
}

impl Running {
    pub(crate) fn start<H: Handler + Send + 'static>(server: Server<H>) -> Self {
        let (addresses, handle) = (server.addresses().to_owned(), server.handle());
        Self { addresses, handle, thread: Some(thread::spawn(move || server.run())) }
    }

    pub(crate) fn with<H: Handler + Send + 'static>(options: Options, handler: H) -> Self {
        Self::start(Server::bind(Options { port: 0, ..options }, handler).unwrap())
    }

    /// Whether it ends by itself.
    pub(crate) fn ends(mut self) {
        self.thread.take().unwrap().join().unwrap().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        self.handle.stop();
        let ended = thread.join();
        if !thread::panicking() {
            ended.unwrap().unwrap();
        }
    }
}

/// The next thing that the handler was told.
pub(crate) fn next(told: &Receiver<Told>) -> Told {
    told.recv_timeout(Duration::from_secs(20)).expect("the handler is told something")
}

/// The name of the next to come.
pub(crate) fn opened(told: &Receiver<Told>) -> ClientId {
    match next(told) {
        Told::Open { id, .. } => id,
        other => panic!("{other:?} instead of an opening"),
    }
}

/// The next note, whatever else was told before it.
pub(crate) fn note(told: &Receiver<Told>) -> String {
    loop {
        if let Told::Note(note) = next(told) {
            return note;
        }
    }
}
