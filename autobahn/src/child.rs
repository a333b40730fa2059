//! Programs that are started, and that end with us: each in a process group of its own, which is ended
//! as a whole when the value is dropped. Ctrl-C reaches only us; we say what else ends.

use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::failure::{Failure, While as _};

/// How long a program may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(3);

/// How long the last words of a program are listened to.
const LAST_WORDS_MAX: Duration = Duration::from_secs(1);

/// How often is looked whether somebody pressed Ctrl-C.
const GLANCE: Duration = Duration::from_millis(50);

/// The last lines that a program said, for the sentence that says why it failed.
const TAIL_LINES: usize = 15;

/// Whether somebody wants us to end.
#[derive(Clone, Debug)]
pub(crate) struct Stop(Arc<AtomicUsize>);

impl Stop {
    /// From here on Ctrl-C and its like are noticed here, instead of ending this process at once.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let signal = Arc::new(AtomicUsize::new(0));
        for (number, value) in [(SIGINT, 2), (SIGTERM, 15), (SIGHUP, 1)] {
            signal_hook::flag::register_usize(number, Arc::clone(&signal), value)
                .or_fail("listen to signals")?;
        }
        Ok(Self(signal))
    }

    pub(crate) fn check(&self) -> Result<(), Failure> {
        match i32::try_from(self.0.load(Ordering::Relaxed)) {
            Ok(0) => Ok(()),
            signal => Err(Failure::Stopped(signal.unwrap_or(SIGTERM))),
        }
    }
}

/// A program that runs. Both its outputs arrive as lines.
pub(crate) struct Running {
    name: String,
    child: Child,
    group: Option<Pid>,
    lines: Receiver<String>,
    tail: Vec<String>,
    stop: Stop,
}

/// What came of waiting for a line.
pub(crate) enum Said {
    Line(String),
    /// Nothing in that time.
    Nothing,
    /// Both outputs are closed.
    End,
}

impl Running {
    pub(crate) fn start(name: &str, command: &mut Command, stop: &Stop) -> Result<Self, Failure> {
        stop.check()?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .or_fail(format!("start {name} ({})", command.get_program().display()))?;
        let (sender, lines) = mpsc::channel();
        let forward = |output: Option<Box<dyn Read + Send>>| {
            let (Some(output), sender) = (output, sender.clone()) else { return };
            thread::spawn(move || {
                // A byte that is no UTF-8 must not end the listening: a full pipe stops the program.
                for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                    let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                    if sender.send(line).is_err() {
                        break;
                    }
                }
            });
        };
        forward(child.stdout.take().map(|it| Box::new(it) as Box<dyn Read + Send>));
        forward(child.stderr.take().map(|it| Box::new(it) as Box<dyn Read + Send>));
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let (name, stop) = (name.to_owned(), stop.clone());
        Ok(Self { name, child, group, lines, tail: Vec::new(), stop })
    }

    /// The next line, waiting so long for it.
    pub(crate) fn line(&mut self, within: Duration) -> Result<Said, Failure> {
        let begin = Instant::now();
        loop {
            self.stop.check()?;
            match self.lines.recv_timeout(GLANCE) {
                Ok(line) => {
                    if self.tail.len() == TAIL_LINES {
                        self.tail.remove(0);
                    }
                    self.tail.push(line.clone());
                    return Ok(Said::Line(line));
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(Said::End),
                Err(RecvTimeoutError::Timeout) if begin.elapsed() >= within => {
                    return Ok(Said::Nothing);
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// Reads on until a line in which `find` finds something.
    pub(crate) fn wait_for<T>(
        &mut self,
        within: Duration,
        mut find: impl FnMut(&str) -> Option<T>,
    ) -> Result<T, Failure> {
        let begin = Instant::now();
        loop {
            match self.line(within.saturating_sub(begin.elapsed()))? {
                Said::Line(line) => {
                    if let Some(found) = find(&line) {
                        return Ok(found);
                    }
                }
                Said::Nothing => return Err(self.failed("did not come up")),
                Said::End => return Err(self.failed("ended")),
            }
        }
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits for the end, and fails unless it is a success.
    pub(crate) fn succeed(mut self, within: Duration) -> Result<(), Failure> {
        let begin = Instant::now();
        loop {
            match self.line(GLANCE)? {
                Said::Line(_) => {}
                Said::Nothing | Said::End => match self.ended() {
                    Some(status) if status.success() => return Ok(()),
                    Some(_) => return Err(self.failed("failed")),
                    None if begin.elapsed() > within => {
                        return Err(self.failed(&format!("took more than {} s", within.as_secs())));
                    }
                    None => thread::sleep(GLANCE),
                },
            }
        }
    }

    /// A sentence with the last words of the program.
    pub(crate) fn failed(&mut self, how: &str) -> Failure {
        // Not for ever, as it may go on talking.
        let begin = Instant::now();
        while begin.elapsed() < LAST_WORDS_MAX && matches!(self.line(GLANCE), Ok(Said::Line(_))) {}
        let status = self.ended().map(|it| format!(" ({it})")).unwrap_or_default();
        let words = if self.tail.is_empty() { ", without a word" } else { "; its last words:" };
        let tail: String = self.tail.iter().map(|line| format!("\n    {line}")).collect();
        Failure::Because(format!("{} {how}{status}{words}{tail}", self.name))
    }

    /// Asks it to end, then makes it.
    fn end(&mut self) {
        let Some(group) = self.group else { return };
        // An error means that nobody is left.
        let _ = kill_process_group(group, Signal::TERM);
        let begin = Instant::now();
        while self.ended().is_none() && begin.elapsed() < GRACE {
            thread::sleep(Duration::from_millis(10));
        }
        let _ = kill_process_group(group, Signal::KILL);
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// Whether a short command succeeds. Its output goes nowhere.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Running {
        let stop = Stop(Arc::default());
        Running::start("sh", Command::new("sh").args(["-c", script]), &stop).unwrap()
    }

    #[test]
    fn what_a_program_started_ends_with_it() {
        let mut running = shell("sleep 1000 & echo $!; wait");
        let pid: String = running.wait_for(GRACE, |line| Some(line.to_owned())).unwrap();
        let alive = || succeeds(Command::new("kill").args(["-0", &pid]));
        assert!(alive());
        drop(running);
        let begin = Instant::now();
        while alive() && begin.elapsed() < GRACE {
            thread::sleep(Duration::from_millis(10));
        }
        assert!(!alive());
    }

    #[test]
    fn a_program_that_does_not_want_to_end_is_made_to() {
        let mut running = shell("trap '' TERM; echo ready; while :; do sleep 0.1; done");
        running.wait_for(GRACE, |line| (line == "ready").then_some(())).unwrap();
        running.end();
        assert!(running.ended().is_some());
    }

    #[test]
    fn a_failure_tells_the_last_words() {
        let error = shell("echo first; echo second >&2; exit 3").succeed(GRACE).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("    first") && text.contains("    second"), "{text}");
        assert!(text.contains("exit status: 3"), "{text}");
    }

    #[test]
    fn ctrl_c_ends_the_waiting() {
        let mut running = shell("sleep 1000");
        running.stop.0.store(2, Ordering::Relaxed);
        let failure = running.line(Duration::from_secs(1000)).map(|_| ()).unwrap_err();
        assert_eq!(failure.status(), 130);
    }
}
