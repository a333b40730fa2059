//! One thread's connections: opened, fed and heard on the event loop.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::args::Mode;
use super::entropy;
use super::error::{self, BenchError};
use super::line::{Bytes, Line};
use super::plan::{Pace, Until};
use super::shared::{Phase, Post, Shared};
use super::talk::{Job, Progress, Talk};
use super::tally::Tally;
use super::watch::Turns;
use crate::net::{
    Close, Closed, Ctx, Driver, Limits, Mail, Marks, Peer, Reactor, Stream, Timer, Token,
};
use crate::proto::handshake::{ClientRequest, HeadLimits, ResponseError, ResponseReader};
use crate::proto::{self, Connection, Transport};

/// The answer to the request.
const OPENING: Timer = Timer::First;
/// The answer to a close, and the end of TCP.
const CLOSING: Timer = Timer::Second;

/// A thread's loop, ready to run on it.
pub(super) fn reactor(
    shared: &Arc<Shared>,
    index: usize,
    codec: &Arc<proto::Config>,
) -> io::Result<Reactor<Worker>> {
    let limits = Limits {
        connections_max: usize::MAX,
        // Reading goes on whatever waits to be written: a server that waits for us to read must not wait for ever.
        marks: Marks { low: usize::MAX, high: usize::MAX, full: usize::MAX },
        stall: Duration::from_secs(60),
        read_bytes: 256 << 10,
        read_budget: 1 << 20,
        mailbox_max: 1 << 22,
        ..Limits::default()
    };
    Reactor::new(Worker::new(shared, index, codec), Vec::new(), limits)
}

/// Turns until the run is over, and returns what was counted.
pub(super) fn run(mut reactor: Reactor<Worker>, mails: Vec<Mail<Post>>) -> io::Result<Tally> {
    reactor.parts().0.mails = mails;
    loop {
        let begin = Instant::now();
        let patience = reactor.driver().patience();
        reactor.turn(Some(patience))?;
        let (worker, ctx) = reactor.parts();
        if patience.is_zero() && !std::mem::take(&mut worker.worked) {
            std::thread::yield_now();
            // If another had the processor meanwhile, that was not this thread's time.
            worker.job.spun += begin.elapsed().min(LOOK_TAKES_MAX);
        }
        if worker.over || worker.job.phase == Phase::Close && ctx.connections() == 0 {
            worker.publish();
            return Ok(std::mem::take(&mut worker.job.tally));
        }
    }
}

#[derive(Debug)]
pub(super) struct Worker {
    shared: Arc<Shared>,
    index: usize,
    mails: Vec<Mail<Post>>,
    codec: Arc<proto::Config>,
    /// By the token's index.
    sessions: Vec<Option<Session>>,
    /// Open connections that send, those that are gone among them until somebody looks.
    senders: Vec<Token>,
    /// Whose turn it is to send, in an open loop.
    turn: usize,
    /// Messages that were due so far, in an open loop.
    due: u64,
    job: Job,
    /// The last turn did something.
    worked: bool,
    over: bool,
    turns_before: Turns,
    out: Vec<u8>,
}

#[derive(Debug)]
struct Session {
    token: Token,
    conn: u32,
    began: u64,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Opening { nonce: [u8; 16], head: Vec<u8> },
    Open(Box<Talk>),
}

/// What a 101 brought.
struct Opened {
    connection: Connection,
    /// Where frames begin.
    head_len: usize,
    deflated: bool,
}

impl Worker {
    fn new(shared: &Arc<Shared>, index: usize, codec: &Arc<proto::Config>) -> Self {
        Self {
            job: Job::new(Arc::clone(shared), index),
            shared: Arc::clone(shared),
            index,
            mails: Vec::new(),
            codec: Arc::clone(codec),
            sessions: Vec::new(),
            senders: Vec::new(),
            turn: 0,
            due: 0,
            worked: false,
            over: false,
            turns_before: Turns::default(),
            out: Vec::new(),
        }
    }

    /// How long the loop may wait for something to happen. Below a millisecond it turns without waiting, as the
    /// system's timer would be late.
    fn patience(&self) -> Duration {
        let Some(due) = self.next_due() else {
            return LOOK_UP;
        };
        let wait = due.saturating_sub(self.shared.clock.now());
        if self.held() {
            // Not before something came back.
            return Duration::from_millis(1);
        }
        LOOK_UP.min(Duration::from_millis(wait / 1_000_000))
    }

    /// When the next message of an open loop is due.
    fn next_due(&self) -> Option<u64> {
        let Pace::Open { rate } = self.shared.plan.pace else {
            return None;
        };
        let began = self.job.sending_since?;
        if self.senders.is_empty() {
            return None;
        }
        // This thread's share, as wide apart as its part of the senders demands.
        let all = u128::from(self.shared.plan.senders);
        let own = self.senders.len() as u128;
        let after = u128::from(self.due) * 1_000_000_000 * all / (u128::from(rate) * own);
        Some(began.saturating_add(u64::try_from(after).unwrap_or(u64::MAX)))
    }

    /// Whether a due message could not be sent, because too much is under way.
    fn held(&self) -> bool {
        self.job.held
    }

    fn adopt(&mut self, ctx: &mut Ctx<'_>, tcp: TcpStream, conn: u32, began: u64) {
        if self.job.phase >= Phase::Drain {
            return self.cut_off();
        }
        match self.begin(ctx, tcp, conn, began) {
            Ok(()) => {}
            Err(problem) => self.not_opened(problem),
        }
    }

    fn begin(
        &mut self,
        ctx: &mut Ctx<'_>,
        tcp: TcpStream,
        conn: u32,
        began: u64,
    ) -> Result<(), String> {
        let (mut nonce, mut out) = ([0; 16], Vec::new());
        if self.shared.plan.raw {
            let token = self.enrol(ctx, tcp)?;
            let line = Line::Bytes(Bytes::new(self.shared.plan.size as usize));
            self.opened(ctx, token, line, conn, began);
            return Ok(());
        }
        entropy::fill(&mut nonce);
        self.with_request(conn, nonce, |request| {
            request.write(&mut out).map_err(|it| it.to_string())
        })??;
        let token = self.enrol(ctx, tcp)?;
        let stage = Stage::Opening { nonce, head: Vec::new() };
        self.sessions[token.index()] = Some(Session { token, conn, began, stage });
        ctx.send_owned(token, &mut out);
        ctx.set_timer(token, OPENING, self.shared.plan.timeout);
        Ok(())
    }

    /// A place on the loop, and among the sessions.
    fn enrol(&mut self, ctx: &mut Ctx<'_>, tcp: TcpStream) -> Result<Token, String> {
        let stream = Stream::try_from(tcp).map_err(|error| error.to_string())?;
        let token = ctx.adopt(stream, 0).map_err(|error| error.to_string())?;
        if let Some((config, name)) = &self.shared.plan.tls {
            ctx.start_tls_client(token, Arc::clone(config), name.clone())
                .map_err(|error| error.to_string())?;
        }
        if self.sessions.len() <= token.index() {
            self.sessions.resize_with(token.index() + 1, || None);
        }
        Ok(token)
    }

    /// Never open: the first of all ends the run, others are counted.
    fn not_opened(&mut self, problem: String) {
        let shared = &self.shared;
        if shared.now().opened == 0 {
            shared.fail(BenchError::Refused { url: shared.plan.url.clone(), problem });
        } else {
            self.job.tally.error(problem);
        }
        self.job.tally.failed += 1;
        self.publish();
        shared.dialler.done();
    }

    /// The run ended before it was open, which is no fault of the server's: not counted.
    fn cut_off(&mut self) {
        self.publish();
        self.shared.dialler.done();
    }

    fn with_request<T>(
        &self,
        conn: u32,
        nonce: [u8; 16],
        with: impl FnOnce(&ClientRequest<'_>) -> T,
    ) -> Result<T, String> {
        let plan = &self.shared.plan;
        let (host, target) = plan.request(conn).map_err(|error| error.to_string())?;
        let subprotocols: Vec<&str> = plan.subprotocols.iter().map(String::as_str).collect();
        let authorization = plan.authorization();
        let mut headers: Vec<(&str, &str)> =
            plan.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        if let Some(value) = &authorization {
            headers.push(("Authorization", value));
        }
        let offer = self.codec.deflate.as_ref().map(proto::deflate::Deflate::offer);
        Ok(with(&ClientRequest {
            subprotocols: &subprotocols,
            extensions: offer.as_deref(),
            headers: &headers,
            ..ClientRequest::new(&host, &target, nonce)
        }))
    }

    /// The answer so far, once it is whole and a 101.
    fn answer(&self, conn: u32, nonce: [u8; 16], head: &[u8]) -> Result<Option<Opened>, String> {
        self.with_request(conn, nonce, |request| {
            // Answers come in one piece; to begin anew with each of several is no loss.
            let response = match ResponseReader::new(request, HeadLimits::default()).read(head) {
                Ok(None) => return Ok(None),
                Ok(Some(response)) => response,
                Err(ResponseError::Refused(refused)) => {
                    return Err(format!("{refused}{}", error::remedy(&refused)));
                }
                // A record of TLS: an alert about our request.
                Err(_) if head.starts_with(&[0x15, 3]) => {
                    return Err("it speaks TLS there; give wss://".to_owned());
                }
                Err(error) => {
                    return Err(format!("handshake failed: {error}; {NO_WEBSOCKET}"));
                }
            };
            let mut connection =
                Connection::client(Arc::clone(&self.codec), |bytes: &mut [u8]| {
                    getrandom::fill(bytes)
                        .expect("the system's randomness does not run dry once it has worked");
                });
            let mut deflated = false;
            if let Some(policy) = &self.codec.deflate
                && let Some(agreed) = response.deflate(policy).map_err(|error| error.to_string())?
            {
                connection.enable_deflate(&agreed, policy);
                deflated = true;
            }
            Ok(Some(Opened { connection, head_len: response.head_len(), deflated }))
        })?
    }

    fn opening(&mut self, ctx: &mut Ctx<'_>, mut session: Session, bytes: &[u8]) {
        let (token, conn) = (session.token, session.conn);
        let Stage::Opening { nonce, head } = &mut session.stage else {
            return;
        };
        head.extend_from_slice(bytes);
        let Opened { connection, head_len, deflated } = match self.answer(conn, *nonce, head) {
            Ok(Some(found)) => found,
            Ok(None) => {
                self.sessions[token.index()] = Some(session);
                return;
            }
            Err(problem) => {
                ctx.close(token, Close::Now);
                return self.not_opened(problem);
            }
        };
        let mut after = head.split_off(head_len);
        ctx.clear_timer(token, OPENING);
        self.job.tally.deflated += u64::from(deflated);
        self.opened(ctx, token, Line::Frames(connection), conn, session.began);
        if !after.is_empty() {
            self.received(ctx, token, &mut after);
        }
    }

    /// From now on they talk.
    fn opened(&mut self, ctx: &mut Ctx<'_>, token: Token, line: Line, conn: u32, began: u64) {
        let mut talk = Box::new(Talk::new(line, conn, began, &self.shared));
        self.job.opened(&mut talk, &mut self.out);
        if conn < self.shared.plan.senders {
            self.senders.push(token);
        }
        if self.shared.plan.mode == Mode::Handshake {
            talk.say_goodbye(&mut self.out);
            ctx.set_timer(token, CLOSING, GOODBYE);
        } else {
            self.shared.dialler.done();
        }
        ctx.send_owned(token, &mut self.out);
        let stage = Stage::Open(talk);
        self.sessions[token.index()] = Some(Session { token, conn, began, stage });
    }

    /// Sends what a closed loop allows on a connection.
    fn refill(&mut self, ctx: &mut Ctx<'_>, token: Token) {
        let session = self.sessions.get_mut(token.index()).and_then(Option::as_mut);
        if let Some(session) = session.filter(|it| it.token == token)
            && let Stage::Open(talk) = &mut session.stage
        {
            self.job.refill(talk, self.shared.clock.now(), &mut self.out);
            ctx.send_owned(token, &mut self.out);
        }
    }

    fn refill_all(&mut self, ctx: &mut Ctx<'_>) {
        for at in 0..self.senders.len() {
            if let Some(&token) = self.senders.get(at) {
                self.refill(ctx, token);
            }
        }
    }

    /// Sends what is due in an open loop. What no connection can take stays due, and its latency grows.
    fn send_due(&mut self, ctx: &mut Ctx<'_>) {
        self.job.held = false;
        let now = self.shared.clock.now();
        let mut refused = 0;
        while let Some(due) = self.next_due().filter(|&due| due <= now) {
            self.turn = (self.turn + 1) % self.senders.len().max(1);
            let Some(&token) = self.senders.get(self.turn) else {
                return;
            };
            let room = ctx.queued(token) < QUEUED_MAX;
            let session = self.sessions.get_mut(token.index()).and_then(Option::as_mut);
            let sent = match session.filter(|it| it.token == token) {
                Some(Session { stage: Stage::Open(talk), .. }) if room => {
                    self.job.send_one(talk, due, &mut self.out)
                }
                _ => false,
            };
            if sent {
                ctx.send_owned(token, &mut self.out);
                self.due += 1;
                self.worked = true;
                refused = 0;
            } else {
                refused += 1;
                if refused >= self.senders.len() {
                    self.job.held = true;
                    return;
                }
            }
        }
    }

    fn enter(&mut self, ctx: &mut Ctx<'_>, phase: Phase) {
        match phase {
            Phase::Measure => {
                self.turns_before = Turns::of_this_thread();
                self.job.spun = Duration::ZERO;
            }
            // The window is over.
            Phase::Drain => {
                let mut turns = Turns::of_this_thread().since(self.turns_before);
                // Looking whether something came is not work.
                turns.ran = turns.ran.saturating_sub(self.job.spun);
                self.job.tally.turns.push(turns);
            }
            _ => {}
        }
        self.job.enter(phase);
        match phase {
            Phase::WarmUp | Phase::Measure => self.refill_all(ctx),
            Phase::Close => self.close_all(ctx),
            Phase::Over => self.over = true,
            Phase::Opening | Phase::Drain => {}
        }
    }

    fn close_all(&mut self, ctx: &mut Ctx<'_>) {
        for session in self.sessions.iter_mut().flatten() {
            let token = session.token;
            match &mut session.stage {
                Stage::Opening { .. } => ctx.close(token, Close::Now),
                Stage::Open(talk) => {
                    talk.say_goodbye(&mut self.out);
                    ctx.send_owned(token, &mut self.out);
                    ctx.set_timer(token, CLOSING, GOODBYE);
                    if matches!(talk.line, Line::Bytes(_)) {
                        ctx.close(token, Close::Linger);
                    }
                }
            }
        }
    }

    /// Lets the others see how far this thread is.
    fn publish(&self) {
        let Some(live) = self.shared.live.get(self.index) else {
            return;
        };
        let Progress { owed, left, gone } = self.job.progress;
        let tally = &self.job.tally;
        let ending =
            self.job.phase >= Phase::Drain || matches!(self.shared.plan.until, Until::Count(_));
        let owed = if self.shared.plan.mode == Mode::Broadcast && ending {
            self.senders_talks().map(|talk| self.job.under_way(talk)).sum()
        } else {
            owed
        };
        for (place, value) in [
            (&live.opened, tally.opened),
            (&live.failed, tally.failed),
            (&live.gone, gone),
            (&live.sent, tally.sent),
            (&live.received, tally.received),
            (&live.owed, owed),
            (&live.left, left),
        ] {
            store(place, value);
        }
    }

    fn senders_talks(&self) -> impl Iterator<Item = &Talk> {
        self.senders.iter().filter_map(|&token| {
            let session = self.sessions.get(token.index())?.as_ref()?;
            match &session.stage {
                Stage::Open(talk) if session.token == token => Some(&**talk),
                _ => None,
            }
        })
    }
}

/// Written by this thread only, so an unchanged value need not disturb who reads it.
fn store(place: &AtomicU64, value: u64) {
    if place.load(Ordering::Relaxed) != value {
        place.store(value, Ordering::Relaxed);
    }
}

impl Driver for Worker {
    type Mail = Post;

    fn accepted(&mut self, _: &mut Ctx<'_>, _: Token, _: usize, _: Peer) {}

    fn message(&mut self, ctx: &mut Ctx<'_>, mail: Post) {
        match mail {
            Post::Dialled { stream, conn, began } => self.adopt(ctx, stream, conn, began),
            Post::Phase(phase) => self.enter(ctx, phase),
            Post::Delivered => self.job.refill_wanted = true,
        }
    }

    fn received(&mut self, ctx: &mut Ctx<'_>, token: Token, bytes: &mut [u8]) {
        self.worked = true;
        let Some(place) = self.sessions.get_mut(token.index()) else {
            return;
        };
        let Some(session) = place.as_mut().filter(|it| it.token == token) else {
            return;
        };
        let Stage::Open(talk) = &mut session.stage else {
            if let Some(session) = place.take() {
                self.opening(ctx, session, bytes);
            }
            return;
        };
        self.job.hear(talk, bytes, &mut self.out);
        ctx.send_owned(token, &mut self.out);
        match talk.line.transport() {
            Transport::KeepOpen => {}
            Transport::FlushThenClose => ctx.close(token, Close::Flush),
            Transport::FlushThenShutdownWrite => ctx.close(token, Close::Linger),
            // §7.1.1: the server ends TCP.
            Transport::AwaitPeerClose => ctx.set_timer(token, CLOSING, GOODBYE),
        }
    }

    fn closed(&mut self, ctx: &mut Ctx<'_>, token: Token, why: Closed) {
        self.worked = true;
        let Some(session) = self.sessions.get_mut(token.index()).and_then(Option::take) else {
            return;
        };
        match session.stage {
            Stage::Opening { .. } => {
                let problem = match why {
                    Closed::Failed(kind) => {
                        format!("the connection broke before it was open: {kind}; {NO_WEBSOCKET}")
                    }
                    Closed::Tls => tls_problem(ctx.tls_fault(token)),
                    _ if self.job.phase >= Phase::Drain => return self.cut_off(),
                    _ => format!(
                        "the server closed the connection before it answered; {NO_WEBSOCKET}"
                    ),
                };
                self.not_opened(problem);
            }
            Stage::Open(mut talk) => {
                self.job.gone(&mut talk, why);
                self.senders.retain(|&it| it != token);
                self.job.refill_wanted = true;
                // After the trial it is for the conductor to say when others may come.
                if self.shared.plan.mode == Mode::Handshake && session.conn != 0 {
                    self.publish();
                    self.shared.dialler.done();
                }
            }
        }
    }

    fn timer(&mut self, ctx: &mut Ctx<'_>, token: Token, timer: Timer) {
        if timer == OPENING {
            if self.sessions.get_mut(token.index()).and_then(Option::take).is_some() {
                let seconds = self.shared.plan.timeout.as_secs_f64();
                self.not_opened(match ctx.tls_fault(token) {
                    // A server that is none waits for us, and we for it.
                    fault @ Some(_) => tls_problem(fault),
                    None => {
                        format!("no answer to the handshake within {seconds} s; {NO_WEBSOCKET}")
                    }
                });
            }
        } else {
            self.job.tally.error(format!(
                "no end of the connection within {} s of its close",
                GOODBYE.as_secs()
            ));
        }
        ctx.close(token, Close::Now);
    }

    fn turn_ended(&mut self, ctx: &mut Ctx<'_>) {
        if std::mem::take(&mut self.job.refill_wanted) {
            self.refill_all(ctx);
        }
        self.send_due(ctx);
        for thread in self.job.delivered_elsewhere() {
            if let Some(mail) = self.mails.get(thread) {
                // A thread that ended waits for nothing.
                let _ = mail.post(Post::Delivered);
            }
        }
        self.publish();
    }
}

/// Why there is no TLS, and what to do about it.
fn tls_problem(fault: Option<String>) -> String {
    let fault = fault.unwrap_or_else(|| "the session broke".to_owned());
    match crate::client::tls::remedy(&fault) {
        Some(remedy) => format!("no TLS with the server: {fault}; {remedy}"),
        None => format!("no TLS with the server: {fault}"),
    }
}

/// What may be wrong where nobody answers as a WebSocket server does.
const NO_WEBSOCKET: &str =
    "is there a WebSocket server on this port, and does the URL rightly say ws:// or wss://?";
/// What looking for something to do takes at most.
const LOOK_TAKES_MAX: Duration = Duration::from_micros(20);
/// How long the loop sleeps at most when nothing happens.
const LOOK_UP: Duration = Duration::from_millis(100);
/// For the server's close frame, and for its end of TCP: the usual 5 s.
const GOODBYE: Duration = Duration::from_secs(5);
/// 16 MiB that wait to be written on one connection: the server does not read, and more would only fill memory.
const QUEUED_MAX: usize = 16 << 20;
