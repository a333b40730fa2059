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

/// Lines that found no room since the process began. There is one log for a process.
static LINES_LOST: AtomicU64 = AtomicU64::new(0);

/// How many lines were dropped so far.
pub(super) fn lines_lost() -> u64 {
    LINES_LOST.load(Ordering::Relaxed)
}

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
            LINES_LOST.fetch_add(1, Ordering::Relaxed);
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// A reader that takes one line and then nothing, until it is let.
    #[derive(Clone, Default)]
    struct Stuck {
        taken: Arc<Mutex<Vec<u8>>>,
        gate: Arc<Mutex<()>>,
    }

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _open = self.gate.lock().unwrap();
            self.taken.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lost_after_a_stall(format: LogFormat) -> String {
        let reader = Stuck::default();
        let closed = reader.gate.lock().unwrap();
        let (mut lines, guard) = LogGuard::new(reader.clone(), format).unwrap();
        for _ in 0..QUEUE_MAX * 2 {
            // Would hang here if it waited.
            lines.write_all(b"{\"a\":1}\n").unwrap();
        }
        drop(closed);
        // The queue has room once the reader goes on; the end is said into it.
        while lines.to.try_send(Word::Line(b"{\"last\":1}\n".to_vec())).is_err() {
            thread::yield_now();
        }
        guard.done.recv_timeout(Duration::ZERO).unwrap_err();
        while guard.lines.as_ref().unwrap().try_send(Word::End).is_err() {
            thread::yield_now();
        }
        guard.done.recv_timeout(Duration::from_secs(20)).unwrap();
        let taken = reader.taken.lock().unwrap().clone();
        String::from_utf8(taken).unwrap()
    }

    #[test]
    fn who_logs_never_waits_and_what_was_lost_is_counted() {
        let text = lost_after_a_stall(LogFormat::Text);
        let told = text.lines().find(|line| line.ends_with("lines of the log were lost here"));
        let lost: usize = told.unwrap().split(' ').next().unwrap().parse().unwrap();
        assert_eq!(text.lines().count() - 2 + lost, QUEUE_MAX * 2);
        assert!(text.ends_with("{\"last\":1}\n"));
    }

    #[test]
    fn the_count_is_json_where_the_log_is() {
        let text = lost_after_a_stall(LogFormat::Json);
        assert!(text.lines().all(|line| line.starts_with('{') && line.ends_with('}')));
        assert!(text.contains(r#""level":"WARN""#));
    }

    #[test]
    fn the_last_lines_are_written_at_the_end() {
        let reader = Stuck::default();
        let (mut lines, guard) = LogGuard::new(reader.clone(), LogFormat::Text).unwrap();
        for _ in 0..100 {
            lines.write_all(b"a line\n").unwrap();
        }
        drop(guard);
        assert_eq!(reader.taken.lock().unwrap().len(), 700);
    }

    /// A disk that was full for one line.
    struct FullOnce(bool, Stuck);

    impl Write for FullOnce {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match std::mem::replace(&mut self.0, false) {
                true => Err(io::ErrorKind::StorageFull.into()),
                false => self.1.write(bytes),
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_that_cannot_be_written_is_not_the_last() {
        let reader = Stuck::default();
        let (mut lines, guard) =
            LogGuard::new(FullOnce(true, reader.clone()), LogFormat::Text).unwrap();
        lines.write_all(b"one\n").unwrap();
        lines.write_all(b"two\n").unwrap();
        drop(guard);
        assert_eq!(*reader.taken.lock().unwrap(), b"two\n");
    }

    #[test]
    fn a_word_that_is_no_level_is_no_filter() {
        for good in ["info", "off", "warn,sockeye=trace", " warn , sockeye::server=off "] {
            assert!(Filters::new(good).is_ok(), "{good}");
        }
        for bad in ["", "inof", "INFO!", "sockeye", "sockeye=", "info,", "sockeye=loud"] {
            assert!(Filters::new(bad).unwrap_err().contains("off, error, warn"), "{bad}");
        }
    }
}
