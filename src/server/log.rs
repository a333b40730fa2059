//! What is said of the server's doings, and where: lines on stderr. Whoever logs never waits: lines go
//! through a bounded queue to a thread of their own, and what finds no room is counted and told.
//!
//! Only sets the log up. Nothing here knows what is logged; that nobody's words are is held where they
//! are handled.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::Duration;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, Registry};

/// Lines that wait for stderr. 1,024: seconds of the busiest log, and at most some hundred kilobytes.
const QUEUE_MAX: usize = 1024;

/// How long the end of the program waits for the last lines. A reader that takes nothing for so long
/// will not take them later.
const LAST_LINES: Duration = Duration::from_secs(1);

/// What is logged, and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Log {
    /// A level (`off`, `error`, `warn`, `info`, `debug`, `trace`), or levels by module as in
    /// `warn,sockeye::server=debug`. Default `info`: starts, ends and trouble, nothing per message.
    pub filter: String,
    /// Default [`LogFormat::Text`].
    pub format: LogFormat,
}

/// How a line of the log is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    /// For people: time, level, message, fields. In colour on a terminal, unless `NO_COLOR` is set.
    Text,
    /// For programs: an object of JSON a line.
    Json,
}

impl Default for Log {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: LogFormat::Text }
    }
}

impl Log {
    /// Makes this the log of the process: what `tracing` is told goes to stderr from now on. Keep the
    /// answer until the end, or the last lines may be lost.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the filter is none, `AlreadyExists` if the process has a log, and the
    /// system's if it gives no thread.
    pub fn start(&self) -> io::Result<LogGuard> {
        let filters = Filters::new(&self.filter)
            .map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, why))?;
        let (lines, guard) = LogGuard::new(io::stderr(), self.format)?;
        let layer = tracing_subscriber::fmt::layer().with_writer(lines).log_internal_errors(false);
        let layer = match self.format {
            LogFormat::Text => {
                let plain = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                let colour = !plain && io::stderr().is_terminal();
                layer.with_ansi(colour).with_target(false).boxed()
            }
            LogFormat::Json => layer.json().flatten_event(true).with_current_span(false).boxed(),
        };
        tracing::subscriber::set_global_default(
            Registry::default().with(layer.with_filter(filters.0)),
        )
        .map_err(|error| io::Error::new(io::ErrorKind::AlreadyExists, error))?;
        Ok(guard)
    }
}

/// A filter that was understood.
#[derive(Debug)]
pub(super) struct Filters(Targets);

impl Filters {
    /// Reads levels, by module or for all. `Err` is one sentence.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        let mut targets = Targets::new();
        for part in text.split(',').map(str::trim) {
            let (module, level) = match part.split_once('=') {
                Some((module, level)) => (Some(module), level),
                None => (None, part),
            };
            let level: LevelFilter = match level {
                "off" | "error" | "warn" | "info" | "debug" | "trace" => {
                    level.parse().expect("these are the levels")
                }
                _ => {
                    return Err(format!(
                        "{level:?} is no level; write off, error, warn, info, debug or trace"
                    ));
                }
            };
            targets = match module {
                Some(module) => targets.with_target(module, level),
                None => targets.with_default(level),
            };
        }
        Ok(Self(targets))
    }
}

/// The log's end: when this goes, the last lines are written.
#[derive(Debug)]
pub struct LogGuard {
    done: Receiver<()>,
    lines: Option<SyncSender<Word>>,
}

#[derive(Debug)]
enum Word {
    Line(Vec<u8>),
    /// Nothing more is waited for.
    End,
}

impl LogGuard {
    fn new(mut to: impl Write + Send + 'static, format: LogFormat) -> io::Result<(Lines, Self)> {
        let (lines, queue) = mpsc::sync_channel(QUEUE_MAX);
        let (written, done) = mpsc::sync_channel(1);
        let lost = Arc::new(AtomicU64::new(0));
        let lines_lost = Arc::clone(&lost);
        thread::Builder::new().name("log".to_owned()).spawn(move || {
            write_lines(&queue, &lines_lost, &mut to, format);
            let _ = written.send(());
        })?;
        Ok((Lines { to: lines.clone(), lost }, Self { done, lines: Some(lines) }))
    }
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        // Those who log keep their senders for good, so the end has to be said.
        let ended = self.lines.take().is_some_and(|lines| lines.try_send(Word::End).is_ok());
        if ended {
            let _: Result<(), RecvTimeoutError> = self.done.recv_timeout(LAST_LINES);
        }
    }
}

fn write_lines(queue: &Receiver<Word>, lost: &AtomicU64, to: &mut impl Write, format: LogFormat) {
    while let Ok(Word::Line(line)) = queue.recv() {
        // A log that cannot be written is no reason to stop what it tells of.
        let _ = to.write_all(&line);
        let lost = lost.swap(0, Ordering::Relaxed);
        let _ = match format {
            _ if lost == 0 => Ok(()),
            LogFormat::Text => writeln!(to, "{lost} lines of the log were lost here"),
            LogFormat::Json => writeln!(
                to,
                r#"{{"level":"WARN","message":"lines of the log were lost here","lines":{lost}}}"#
            ),
        };
    }
}

/// Takes lines, one a write, and never waits.
#[derive(Clone, Debug)]
struct Lines {
    to: SyncSender<Word>,
    lost: Arc<AtomicU64>,
}

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.to.try_send(Word::Line(line.to_vec())).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
