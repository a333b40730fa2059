//! The course of a run: open, warm up, measure, drain, close. Here the threads are started and told what time it is.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use signal_hook::consts::SIGINT;
use signal_hook::flag;

use super::args::{Args, Mode};
use super::dial::Dialler;
use super::error::BenchError;
use super::plan::{Plan, Until};
use super::report::{Report, Usage};
use super::shared::{Figures, Phase, Post, Shared};
use super::tally::Tally;
use super::text::grouped;
use super::watch::{Process, Sockets, descriptors_of};
use super::worker;
use crate::net::Mail;
use crate::proto;
use crate::proto::deflate::Deflate;

/// Does it all.
pub(super) fn run(args: Args) -> Result<Report, BenchError> {
    let quiet = args.quiet;
    let plan = Plan::new(args)?;
    make_room(&plan)?;
    let server =
        |pid: u32| Process::sample(pid).map_err(|source| BenchError::Process { pid, source });
    let before = plan.pid.map(server).transpose()?;
    let sockets_before = Sockets::sample();
    let mut warnings = Vec::new();
    if let Some(limit) = plan.pid.and_then(descriptors_of)
        && limit < u64::from(plan.connections) + 32
    {
        warnings.push(format!(
            "the server may open {limit} files, too few for {} connections",
            plan.connections
        ));
    }
    let interrupted = Arc::new(AtomicBool::new(false));
    // The second signal finds the flag set, and ends the process.
    let again = flag::register_conditional_shutdown(SIGINT, 130, Arc::clone(&interrupted));
    let first = flag::register(SIGINT, Arc::clone(&interrupted));
    let (again, first) = (again.map_err(BenchError::System)?, first.map_err(BenchError::System)?);

    let shared = Arc::new(Shared::new(plan));
    let mut crew = Crew::muster(&shared)?;
    let mut course = Course {
        bar: bar(&shared.plan, quiet),
        shared: &shared,
        interrupted: &interrupted,
        last: (Duration::ZERO, Figures::default()),
        draining: false,
    };
    let outcome = course.follow(&mut crew);
    course.bar.finish_and_clear();
    shared.dialler.stop();
    crew.tell(if outcome.is_ok() { Phase::Close } else { Phase::Over });
    let tally = crew.dismiss(&shared);
    signal_hook::low_level::unregister(again);
    signal_hook::low_level::unregister(first);
    let usage = outcome?;
    Ok(Report {
        address: shared.dialler.address(),
        interrupted: interrupted.load(Ordering::Relaxed),
        server_before: before,
        sockets_before,
        warnings,
        usage,
        tally: tally?,
        shared,
    })
}

/// Raises the limit of open files as far as it may be, and says if that is not enough.
fn make_room(plan: &Plan) -> Result<(), BenchError> {
    let needed = u64::from(plan.connections) + u64::from(plan.threads) * 8 + 64;
    // On systems without such limits there is nothing to raise, and it says so.
    let limit = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(u64::MAX);
    if limit < needed { Err(BenchError::Descriptors { needed, limit }) } else { Ok(()) }
}

/// The threads.
struct Crew {
    mails: Vec<Mail<Post>>,
    workers: Vec<JoinHandle<io::Result<Tally>>>,
    diallers: Vec<JoinHandle<()>>,
}

impl Crew {
    fn muster(shared: &Arc<Shared>) -> Result<Self, BenchError> {
        let mut codec = proto::Config::default();
        // What one sends may come back wrapped; what a server sends of itself is its own affair.
        codec.limits.message_bytes_max =
            u64::from(shared.plan.size).saturating_mul(2).max(64 << 20);
        if shared.plan.deflate {
            codec = codec.per_message_deflate(Deflate::default());
        }
        let codec = Arc::new(codec);
        let mut workers = Vec::new();
        let mut mails = Vec::new();
        let mut hand_over = Vec::new();
        for index in 0..shared.plan.threads as usize {
            let (shared, codec) = (Arc::clone(shared), Arc::clone(&codec));
            let (tell, told) = mpsc::channel();
            let (give, take) = mpsc::channel();
            let work = move || {
                let reactor = match worker::reactor(&shared, index, &codec) {
                    Ok(reactor) => reactor,
                    Err(error) => {
                        let _ = tell.send(Err(error));
                        return Ok(Tally::default());
                    }
                };
                let _ = tell.send(Ok(reactor.mail()));
                let Ok(mails) = take.recv() else {
                    return Ok(Tally::default());
                };
                worker::run(reactor, mails).inspect_err(|error| {
                    shared
                        .fail(BenchError::System(io::Error::new(error.kind(), error.to_string())));
                })
            };
            let thread = std::thread::Builder::new().name(format!("load {index}"));
            workers.push(thread.spawn(work).map_err(BenchError::System)?);
            let mail = told.recv().map_err(|_| BenchError::System(io::ErrorKind::Other.into()))?;
            mails.push(mail.map_err(BenchError::System)?);
            hand_over.push(give);
        }
        for give in hand_over {
            // A thread that is gone has said why.
            let _ = give.send(mails.clone());
        }
        let mut diallers = Vec::new();
        for index in 0..Dialler::threads(&shared.plan.addresses) {
            let (shared, mails) = (Arc::clone(shared), mails.clone());
            let thread = std::thread::Builder::new().name(format!("dial {index}"));
            let dial = move || shared.dialler.run(&shared, &mails);
            diallers.push(thread.spawn(dial).map_err(BenchError::System)?);
        }
        Ok(Self { mails, workers, diallers })
    }

    fn tell(&self, phase: Phase) {
        for mail in &self.mails {
            // A thread that has ended needs no telling.
            let _ = mail.post(Post::Phase(phase));
        }
    }

    /// Waits for all, and adds up what they counted.
    fn dismiss(self, shared: &Shared) -> Result<Tally, BenchError> {
        drop(self.mails);
        // One that is in the middle of a `connect` is not waited for: that may take its whole time-out.
        drop(self.diallers);
        let mut sum = Tally::default();
        for worker in self.workers {
            let tally = worker.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()));
            sum.add(tally.map_err(BenchError::System)?);
        }
        let (failed, errors) = shared.dial_errors();
        sum.failed += failed;
        for (what, count) in errors {
            *sum.errors.entry(what).or_default() += count;
        }
        Ok(sum)
    }
}

/// The conductor, on the main thread.
struct Course<'a> {
    shared: &'a Shared,
    interrupted: &'a AtomicBool,
    bar: ProgressBar,
    /// When the bar was last drawn, and what it said.
    last: (Duration, Figures),
    /// What is under way is waited for, interrupted or not: else it would look lost.
    draining: bool,
}

impl Course<'_> {
    fn follow(&mut self, crew: &mut Crew) -> Result<Usage, BenchError> {
        let plan = &self.shared.plan;
        let mut usage = Usage::default();
        self.open(&mut usage)?;
        // Until the server has heard all the preambles.
        if !plan.preamble.is_empty() {
            self.wait(Duration::from_millis(200), |_| false);
        }
        self.shared.board.assemble(self.shared.now().opened);
        usage.server_opened = plan.pid.and_then(|pid| Process::sample(pid).ok());
        if !plan.warm_up.is_zero() {
            crew.tell(Phase::WarmUp);
            self.let_loose();
            self.bar.set_prefix("warming up");
            self.bar.set_length(millis(plan.warm_up));
            self.wait(plan.warm_up, |it| gone_all(plan, it));
        }
        self.bar.set_prefix(if plan.mode == Mode::Idle { "holding" } else { "measuring" });
        usage.server_start = plan.pid.and_then(|pid| Process::sample(pid).ok());
        usage.own_start = Process::own();
        let begin = self.shared.clock.now();
        usage.began = begin;
        self.shared.measure_from(begin);
        crew.tell(Phase::Measure);
        if plan.warm_up.is_zero() {
            self.let_loose();
        }
        match plan.until {
            Until::Time(time) => {
                self.bar.set_length(millis(time));
                self.wait(time, |it| gone_all(plan, it));
            }
            Until::Count(count) => {
                self.bar.set_length(count);
                let mut progress = (Instant::now(), Figures::default());
                let timeout = plan.timeout;
                self.wait(Duration::MAX, |it| {
                    if progress.1 != it {
                        progress = (Instant::now(), it);
                    }
                    let stuck = progress.0.elapsed() > timeout;
                    let through = match plan.mode {
                        Mode::Handshake => it.gone + it.failed > count,
                        _ => it.left == 0 && it.owed == 0 && it.sent > 0,
                    };
                    through || stuck || gone_all(plan, it)
                });
            }
        }
        usage.ended = self.shared.clock.now();
        usage.server_end = plan.pid.and_then(|pid| Process::sample(pid).ok());
        usage.own_end = Process::own();
        usage.sockets_end = Sockets::sample();
        crew.tell(Phase::Drain);
        self.shared.dialler.stop();
        if let Some(error) = self.shared.failure() {
            return Err(error);
        }
        self.bar.set_prefix("draining");
        self.draining = true;
        // The threads have the news before their figures are believed.
        std::thread::sleep(Duration::from_millis(20));
        self.wait(plan.timeout, |it| match plan.mode {
            Mode::Handshake => it.gone >= it.opened,
            _ => it.owed == 0,
        });
        Ok(usage)
    }

    fn open(&mut self, usage: &mut Usage) -> Result<(), BenchError> {
        let plan = &self.shared.plan;
        let wanted = if plan.mode == Mode::Handshake { 1 } else { u64::from(plan.connections) };
        self.bar.set_prefix("opening");
        self.bar.set_length(wanted);
        // The first goes alone: if it fails there is no point in more.
        let begin = Instant::now();
        self.wait(Duration::MAX, |it| it.opened + it.failed > 0);
        if plan.mode != Mode::Handshake {
            self.shared.dialler.allow(OPENING_MAX);
        }
        self.wait(Duration::MAX, |it| it.opened + it.failed >= wanted);
        usage.opening = begin.elapsed();
        match self.shared.failure() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// In a handshake run the trial is over: the others may come, and know what time it is.
    fn let_loose(&self) {
        let plan = &self.shared.plan;
        if plan.mode == Mode::Handshake {
            self.shared.dialler.allow(plan.connections);
        }
    }

    /// Waits so long, or until `done`, or until the run cannot or shall not go on.
    fn wait(&mut self, time: Duration, mut done: impl FnMut(Figures) -> bool) {
        let begin = Instant::now();
        loop {
            let figures = self.shared.now();
            self.draw(begin.elapsed(), figures);
            let left = time.saturating_sub(begin.elapsed());
            let over = left.is_zero() || done(figures);
            let interrupted = !self.draining && self.interrupted.load(Ordering::Relaxed);
            if over || interrupted || self.shared.has_failed() {
                return;
            }
            std::thread::sleep(LOOK.min(left));
        }
    }

    fn draw(&mut self, elapsed: Duration, figures: Figures) {
        let now = self.shared.clock.elapsed();
        let (then, before) = self.last;
        let since = now.saturating_sub(then);
        if self.bar.is_hidden() || since < Duration::from_millis(250) {
            return;
        }
        self.last = (now, figures);
        let position = match (&*self.bar.prefix(), self.shared.plan.until) {
            ("opening", _) => figures.opened + figures.failed,
            ("measuring", Until::Count(_)) if self.shared.plan.mode == Mode::Handshake => {
                figures.gone
            }
            ("measuring", Until::Count(count)) => count.saturating_sub(figures.left),
            _ => millis(elapsed),
        };
        self.bar.set_position(position);
        let per_second = |now: u64, before: u64| (now - before) as f64 / since.as_secs_f64();
        self.bar.set_message(format!(
            "{} open, {}/s sent, {}/s received",
            figures.opened - figures.gone,
            grouped(per_second(figures.sent, before.sent)),
            grouped(per_second(figures.received, before.received)),
        ));
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Nobody is left to talk to.
fn gone_all(plan: &Plan, figures: Figures) -> bool {
    plan.mode != Mode::Handshake && figures.gone >= figures.opened
}

fn bar(plan: &Plan, quiet: bool) -> ProgressBar {
    let target = if quiet || !io::stderr().is_terminal() {
        ProgressDrawTarget::hidden()
    } else {
        ProgressDrawTarget::stderr()
    };
    let bar = ProgressBar::with_draw_target(Some(u64::from(plan.connections)), target);
    let style = ProgressStyle::with_template("{prefix:10} [{bar:20}] {wide_msg}");
    bar.set_style(style.expect("the template is a valid one").progress_chars("=> "));
    bar
}

/// How often the main thread looks round. It shares the processor with what it measures.
const LOOK: Duration = Duration::from_millis(10);
/// Connections whose opening is under way at once: within every server's backlog.
const OPENING_MAX: u32 = 127;
