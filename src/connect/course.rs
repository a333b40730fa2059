//! The course of things: one thread that hears all news and decides what follows. It waits for news and for moments, and
//! for whoever reads its output; never for the server.

mod saying;

use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::backoff::Backoff;
use super::command::Ask;
use super::error::{ConnectError, may_pass, sentence};
use super::face::{Face, Goodbye};
use super::goodbye::{is_normal, may_come_back};
use super::json::Json;
use super::link::{End, Link};
use super::news::{Gate, News};
use super::opening::{self, Opened};
use super::pipe;
use super::plain::Plain;
use super::plan::{Given, Output, Plan, Source};
use super::screen::Screen;
use super::terminal::{Found, Terminal};
use crate::client::{ClientError, Received};
use crate::proto::{CloseCode, Ended};

/// Three seconds for the server to answer a close and to end TCP: a person waits for it.
const CLOSE_WAIT: Duration = Duration::from_secs(3);

/// Ten seconds: a connection that has lasted so long was a good one, and the next loss is a new one.
const GOOD: Duration = Duration::from_secs(10);

/// Does it all; returns the exit status.
pub(super) fn run(plan: Plan) -> Result<u8, ConnectError> {
    let (sender, news) = channel();
    let found = Found::look();
    watch_signals(sender.clone(), found.clone())?;
    let face = match plan.output {
        Output::Terminal => Shown::Screen(Screen::new(plan.verbose, plan.quiet)),
        Output::Plain(end) => Shown::Plain(Plain::new(end, plan.verbose, plan.quiet)),
        Output::Json => Shown::Json(Json::new()),
    };
    let mut course = Course {
        backoff: Backoff::new(plan.reconnect.unwrap_or(0)),
        plan: Arc::new(plan),
        sender,
        found,
        face,
        terminal: None,
        number: 0,
        stage: Stage::Opening,
        link: None,
        opened_at: None,
        ours: false,
        reason: String::new(),
        fault: None,
        quiet_since: Instant::now(),
        input: Input::default(),
        held: VecDeque::new(),
        last: None,
        messages: 0,
        pings: VecDeque::new(),
        pinged: 0,
        keepalive: None,
        status: 0,
        muted: false,
    };
    course.open()?;
    let status = course.follow(&news);
    if let Some(terminal) = &course.terminal {
        terminal.finish();
    }
    status
}

/// The first signal is news like others; the second ends the process.
fn watch_signals(news: Sender<News>, found: Found) -> Result<(), ConnectError> {
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(ConnectError::System)?;
    let run = move || {
        for (count, _) in signals.forever().enumerate() {
            if count > 0 {
                found.restore();
                std::process::exit(INTERRUPTED.into());
            }
            found.leave();
            let _ = news.send(News::Quit);
        }
    };
    thread::Builder::new().name("signals".into()).spawn(run).map(drop).map_err(ConnectError::System)
}

/// 128 and the number of SIGINT, as shells report it.
pub(super) const INTERRUPTED: u8 = 130;

enum Shown {
    Screen(Screen),
    Plain(Plain),
    Json(Json),
}

/// Where a connection stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// A thread tries to open it.
    Opening,
    /// Messages go and come.
    Open,
    /// A close went or came; it is cut at that moment.
    Closing(Instant),
    /// The next attempt comes at that moment.
    Waiting(Instant),
}

/// What comes from the input.
#[derive(Default)]
struct Input {
    /// Opened when the next batch may come.
    gate: Option<Gate>,
    /// A batch that came while there was no connection.
    pending: Option<(u64, Vec<Vec<u8>>)>,
    /// The next batch comes when all is written.
    withheld: bool,
    over: bool,
}

struct Course {
    plan: Arc<Plan>,
    sender: Sender<News>,
    found: Found,
    face: Shown,
    terminal: Option<Rc<Terminal>>,
    /// Of the connection, counted from 1.
    number: u32,
    stage: Stage,
    link: Option<Link>,
    opened_at: Option<Instant>,
    /// We said goodbye first.
    ours: bool,
    /// The server's words at the end.
    reason: String,
    /// What we found wrong with it.
    fault: Option<String>,
    /// Since when nothing has come and nothing was left to be written.
    quiet_since: Instant,
    input: Input,
    /// Typed while there was no connection.
    held: VecDeque<Ask>,
    /// The last message, for `/save`.
    last: Option<Received>,
    messages: u64,
    /// Payloads of pings under way, and since when.
    pings: VecDeque<(Vec<u8>, Instant)>,
    pinged: u64,
    /// When the next ping is due, and how much the server had said at the last, if there was one.
    keepalive: Option<(Instant, Option<u64>)>,
    backoff: Backoff,
    status: u8,
    /// Nobody takes the output any more.
    muted: bool,
}

/// How it ended: a status.
type Over = Option<u8>;

impl Course {
    fn follow(&mut self, news: &Receiver<News>) -> Result<u8, ConnectError> {
        loop {
            // A server that talks on and on does not put off the end.
            let overdue = matches!(self.stage, Stage::Closing(moment) if Instant::now() >= moment);
            let told = match self.next_moment() {
                _ if overdue => None,
                Some(moment) => {
                    match news.recv_timeout(moment.saturating_duration_since(Instant::now())) {
                        Ok(told) => Some(told),
                        Err(RecvTimeoutError::Timeout) => None,
                        Err(RecvTimeoutError::Disconnected) => {
                            unreachable!("a sender is kept here")
                        }
                    }
                }
                None => news.recv().ok(),
            };
            let over = match told {
                Some(told) => self.hear(told)?,
                None => self.moment()?,
            };
            self.show(|face| face.flush())?;
            if let Some(status) = over {
                return Ok(status.max(self.status));
            }
        }
    }

    fn hear(&mut self, told: News) -> Result<Over, ConnectError> {
        match told {
            News::Opened(number, outcome) if number == self.number => match *outcome {
                Ok(opened) => self.opened(opened),
                Err(error) => self.not_opened(&error),
            },
            News::Heard(number, batch) if number == self.number => {
                for received in batch {
                    self.heard(received)?;
                }
                if let Some(link) = &self.link {
                    link.dealt();
                }
                Ok(None)
            }
            News::Drained(number) if number == self.number => {
                self.quiet_since = Instant::now();
                if std::mem::take(&mut self.input.withheld) {
                    self.input.let_next_come();
                }
                Ok(None)
            }
            News::Ended(number, end) if number == self.number => self.ended(end),
            News::Failed(number) if number == self.number => {
                // Once: a server that talks on wins no time by it.
                if self.stage == Stage::Open {
                    self.stage = Stage::Closing(Instant::now() + CLOSE_WAIT);
                }
                Ok(None)
            }
            News::Opened(..)
            | News::Heard(..)
            | News::Drained(_)
            | News::Failed(_)
            | News::Ended(..) => Ok(None),
            News::Typed(line) => self.typed(&line),
            News::Read(first, batch) => {
                self.input.pending = Some((first, batch));
                self.send_pending()?;
                Ok(None)
            }
            News::InputEnd(problem) => {
                self.input.over = true;
                self.quiet_since = Instant::now();
                if let Some(problem) = problem {
                    self.give_up(&problem)?;
                }
                Ok(None)
            }
            News::Quit => self.quit(),
        }
    }

    /// When something is due.
    fn next_moment(&self) -> Option<Instant> {
        match self.stage {
            Stage::Opening => None,
            Stage::Closing(moment) | Stage::Waiting(moment) => Some(moment),
            Stage::Open => {
                let ping = self.keepalive.map(|(due, _)| due);
                [ping, self.leave_at()].into_iter().flatten().min()
            }
        }
    }

    /// When to close because the input is over and nothing comes.
    fn leave_at(&self) -> Option<Instant> {
        let idle = self.input.over && self.input.pending.is_none();
        let linger = self.plan.linger.filter(|_| idle)?;
        let busy = self.link.as_ref().is_some_and(Link::tell_when_drained);
        if busy { None } else { Some(self.quiet_since + linger) }
    }

    fn moment(&mut self) -> Result<Over, ConnectError> {
        let now = Instant::now();
        match self.stage {
            Stage::Opening => {}
            Stage::Waiting(moment) if now >= moment => self.open()?,
            Stage::Closing(moment) if now >= moment => {
                if let Some(link) = &self.link {
                    link.cut();
                }
                // The end comes as news; whatever became of the thread that tells it, this ends.
                self.stage = Stage::Closing(now + CLOSE_WAIT);
            }
            Stage::Waiting(_) | Stage::Closing(_) => {}
            Stage::Open => {
                if self.keepalive.is_some_and(|(due, _)| now >= due) {
                    self.keep_alive(now)?;
                }
                if self.stage == Stage::Open && self.leave_at().is_some_and(|it| now >= it) {
                    self.close(CloseCode::NORMAL, "")?;
                }
            }
        }
        Ok(None)
    }

    /// Tries to open the next connection.
    fn open(&mut self) -> Result<(), ConnectError> {
        self.number += 1;
        self.stage = Stage::Opening;
        let (number, plan, news) = (self.number, Arc::clone(&self.plan), self.sender.clone());
        let run = move || {
            let _ = news.send(News::Opened(number, Box::new(opening::open(&plan))));
        };
        thread::Builder::new()
            .name("opener".into())
            .spawn(run)
            .map(drop)
            .map_err(ConnectError::System)
    }

    fn opened(&mut self, opened: Opened) -> Result<Over, ConnectError> {
        let now = Instant::now();
        let is_first = self.opened_at.is_none();
        self.show(|face| face.opened(&opened.greeting))?;
        if self.plan.insecure {
            let warning = "nobody has checked whose server this is (--insecure): all that is said may be read and changed on its way";
            self.show(|face| face.problem(warning))?;
        }
        // Before there is a prompt.
        self.show(|face| face.flush())?;
        let link = Link::begin(opened.parts, self.number, self.sender.clone());
        self.link = Some(link.map_err(ConnectError::System)?);
        self.stage = Stage::Open;
        (self.ours, self.opened_at, self.quiet_since) = (false, Some(now), now);
        self.reason.clear();
        self.pings.clear();
        self.keepalive = self.plan.ping_interval.map(|it| (now + it, None));
        if is_first {
            self.begin_input()?;
        }
        if let Source::Given(given) = &self.plan.clone().source {
            for message in given {
                let ask = match message {
                    Given::Text(text) => Ask::Text(text.clone()),
                    Given::File(path) => Ask::File(path.clone()),
                };
                if let Err(problem) = self.say(ask) {
                    self.give_up(&problem)?;
                    return Ok(None);
                }
            }
        }
        for ask in std::mem::take(&mut self.held) {
            if let Err(problem) = self.say(ask) {
                self.show(|face| face.problem(&problem))?;
            }
        }
        self.send_pending()?;
        Ok(None)
    }

    fn begin_input(&mut self) -> Result<(), ConnectError> {
        match &self.plan.source {
            Source::Terminal => {
                let terminal = Terminal::begin(&self.found, self.plan.history, self.sender.clone());
                let terminal = Rc::new(terminal.map_err(ConnectError::System)?);
                if let Shown::Screen(screen) = &mut self.face {
                    screen.beside(Rc::clone(&terminal));
                }
                self.terminal = Some(terminal);
            }
            Source::Given(_) => self.input.over = true,
            Source::Pipe(pipe) => {
                let gate = Gate::new(1);
                pipe::begin(pipe.cut, gate.clone(), self.sender.clone())
                    .map_err(ConnectError::System)?;
                self.input.gate = Some(gate);
            }
        }
        Ok(())
    }

    fn not_opened(&mut self, error: &ClientError) -> Result<Over, ConnectError> {
        let why = sentence(error, &self.plan);
        self.show(|face| face.refused(&why, error))?;
        if may_pass(error) {
            return self.try_again(1);
        }
        Ok(Some(1))
    }

    /// Waits for the next attempt, or ends with this status if there is none.
    fn try_again(&mut self, status: u8) -> Result<Over, ConnectError> {
        let Some(attempts) = self.plan.reconnect else {
            return Ok(Some(status));
        };
        let mut random = [0; 2];
        // It only spreads those who come back.
        let _ = getrandom::fill(&mut random);
        let luck = f64::from(u16::from_ne_bytes(random)) / f64::from(u16::MAX);
        let Some(wait) = self.backoff.next(luck) else {
            let said = format!("given up after {attempts} attempts");
            self.show(|face| face.problem(&said))?;
            return Ok(Some(status.max(1)));
        };
        let attempt = self.backoff.made();
        self.show(|face| face.waits(wait, attempt, attempts))?;
        self.stage = Stage::Waiting(Instant::now() + wait);
        Ok(None)
    }

    fn heard(&mut self, received: Received) -> Result<(), ConnectError> {
        let now = Instant::now();
        match &received {
            Received::Text(_) | Received::Binary(_) => {
                if self.plan.exit_after.is_some_and(|it| self.messages >= it) {
                    return Ok(());
                }
                self.messages += 1;
                self.quiet_since = now;
                self.backoff.reset();
                self.show(|face| face.heard(&received, None))?;
                if self.plan.exit_after == Some(self.messages) {
                    self.close(CloseCode::NORMAL, "")?;
                }
                if self.terminal.is_some() {
                    self.last = Some(received);
                }
            }
            Received::Pong(payload) => {
                let at = self.pings.iter().position(|(sent, _)| sent == payload);
                // Those before it are answered by it, too (§5.5.3).
                let sent = at.and_then(|at| self.pings.drain(..=at).next_back());
                let took = sent.map(|(_, since)| now.saturating_duration_since(since));
                self.show(|face| face.heard(&received, took))?;
            }
            Received::Ping(_) => self.show(|face| face.heard(&received, None))?,
            Received::Close(_, reason) => {
                self.reason.clone_from(reason);
                self.stage = Stage::Closing(now + CLOSE_WAIT);
            }
        }
        Ok(())
    }

    fn ended(&mut self, end: End) -> Result<Over, ConnectError> {
        let unsent = self.link.take().map_or(0, |link| link.backlog());
        let code = match end.ended {
            Ended::Clean(code) => code.map_or(1005, CloseCode::as_u16),
            Ended::Abrupt => 1006,
        };
        let unanswered = || {
            let what = format!("the server did not answer the close within {CLOSE_WAIT:?}");
            matches!(self.stage, Stage::Closing(_)).then_some(what)
        };
        let fault = self.fault.take().or(end.fault);
        let fault = if code == 1006 && self.ours { fault.or_else(unanswered) } else { fault };
        let unsent = if code == 1006 { unsent } else { 0 };
        let asked_for = self.ours && code != 1006;
        let normal = fault.is_none() && (asked_for || is_normal(code));
        let reason = std::mem::take(&mut self.reason);
        let goodbye = Goodbye { code, reason, ours: self.ours, fault, unsent, normal };
        self.show(|face| face.closed(&goodbye))?;
        if self.opened_at.is_some_and(|it| it.elapsed() >= GOOD) {
            self.backoff.reset();
        }
        let satisfied = self.plan.exit_after.is_some_and(|it| self.messages >= it);
        if satisfied || self.muted {
            return Ok(Some(0));
        }
        let status = u8::from(!normal);
        if !self.ours && may_come_back(code) && self.plan.reconnect.is_some() {
            // A batch that was withheld until all was written has nothing left to wait for but the next connection.
            if std::mem::take(&mut self.input.withheld) {
                self.input.let_next_come();
            }
            return self.try_again(status);
        }
        if let Some(wanted) = self.plan.exit_after {
            let said = format!("only {} of {wanted} messages came", self.messages);
            self.show(|face| face.problem(&said))?;
            return Ok(Some(1));
        }
        Ok(Some(status))
    }

    fn quit(&mut self) -> Result<Over, ConnectError> {
        match self.stage {
            Stage::Open => {
                self.close(CloseCode::NORMAL, "")?;
                Ok(None)
            }
            // It will end by itself, soon.
            Stage::Closing(_) => Ok(None),
            Stage::Opening | Stage::Waiting(_) => Ok(Some(INTERRUPTED)),
        }
    }

    /// Shows something. Where nobody looks any more the connection is closed and nothing more is shown.
    fn show(
        &mut self,
        what: impl FnOnce(&mut dyn Face) -> io::Result<()>,
    ) -> Result<(), ConnectError> {
        if self.muted {
            return Ok(());
        }
        let face: &mut dyn Face = match &mut self.face {
            Shown::Screen(screen) => screen,
            Shown::Plain(plain) => plain,
            Shown::Json(json) => json,
        };
        match what(face) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.muted = true;
                self.close(CloseCode::NORMAL, "")
            }
            Err(error) => Err(ConnectError::Output(error)),
        }
    }
}

impl Input {
    fn let_next_come(&mut self) {
        if let Some(gate) = &self.gate {
            gate.open();
        }
    }
}
