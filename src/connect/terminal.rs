//! The line at the bottom of the terminal: edited and remembered, while what comes is printed above it.
//!
//! Two threads: one edits; the other prints, and waits for the first where they meet. Nobody waits for the second for long.
//! Ctrl-C and Ctrl-D do not end the editing: what still comes is drawn as before, and the line goes when all is over.

use std::borrow::Cow;
use std::env;
use std::fs::DirBuilder;
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use rustyline::completion::Completer;
use rustyline::config::{BellStyle, ColorMode, CompletionType, Config};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{
    Cmd, ConditionalEventHandler, Context, Editor, Event, EventContext, EventHandler,
    ExternalPrinter, Helper, KeyEvent, RepeatCount,
};

use super::course::INTERRUPTED;
use super::news::News;

/// 1,000 lines: days of typing.
const HISTORY_MAX: usize = 1000;

/// 256 pieces of output may wait to be drawn; then whoever has more waits, and with it the server.
const PIECES_MAX: usize = 256;

/// Half a second for the last pieces, once somebody wants to leave: a flood is not drawn to its end, and a person in the
/// middle of a search through the history holds them up.
const LAST_DRAWN: Duration = Duration::from_millis(500);

const PROMPT: &str = "> ";

/// What puts the terminal back as it was found, once the editor no longer does.
#[derive(Clone)]
pub(super) struct Found {
    modes: Option<Termios>,
    /// A line is being edited.
    editing: Arc<AtomicBool>,
    /// When somebody first wanted to leave.
    leaving: Arc<OnceLock<Instant>>,
}

impl Found {
    /// Looks at the terminal, before anything changes it.
    pub(super) fn look() -> Self {
        Self {
            modes: tcgetattr(io::stdin()).ok(),
            editing: Arc::default(),
            leaving: Arc::default(),
        }
    }

    /// Somebody wants to leave. False: that is known.
    pub(super) fn leave(&self) -> bool {
        self.leaving.set(Instant::now()).is_ok()
    }

    /// There was time enough to draw what came before.
    fn is_late(&self) -> bool {
        self.leaving.get().is_some_and(|since| since.elapsed() > LAST_DRAWN)
    }

    /// Ends the editing, wherever it stands.
    pub(super) fn restore(&self) {
        if self.editing.swap(false, Ordering::SeqCst) {
            let mut out = io::stdout();
            // The line under way goes, and with it the modes for drawing at once and for pasted text.
            let _ = out.write_all(b"\x1b[?2026l\r\x1b[J\x1b[?2004l");
            let _ = out.flush();
            if let Some(modes) = &self.modes {
                let _ = tcsetattr(io::stdin(), OptionalActions::Drain, modes);
            }
        }
    }
}

/// A terminal with a line that is edited.
pub(super) struct Terminal {
    found: Found,
    pieces: SyncSender<Piece>,
    hidden: Arc<AtomicBool>,
}

enum Piece {
    /// What may be left out when somebody waits to leave.
    Text(String),
    /// What is drawn in any case.
    Word(String),
    /// Say so when everything before is drawn.
    Last(Sender<()>),
}

impl Terminal {
    /// Begins to edit. Lines go where news go, and so does the end.
    pub(super) fn begin(found: &Found, history: bool, news: Sender<News>) -> io::Result<Self> {
        let config = Config::builder()
            .max_history_size(HISTORY_MAX)
            .map_err(io::Error::other)?
            .history_ignore_dups(true)
            .map_err(io::Error::other)?
            .history_ignore_space(true)
            .completion_type(CompletionType::List)
            .bell_style(BellStyle::None)
            // The hand adds no colour, but where nobody wants any it would not be asked, and could not hide the line.
            .color_mode(ColorMode::Forced)
            .build();
        let mut editor: Editor<Hand, FileHistory> =
            Editor::with_config(config).map_err(io::Error::other)?;
        let hidden = Arc::new(AtomicBool::new(false));
        let (tell_rests, rests) = std::sync::mpsc::channel();
        let rest = Arc::new(AtomicBool::new(false));
        let hand = Hand { hidden: Arc::clone(&hidden), rest: Arc::clone(&rest), rests: tell_rests };
        editor.set_helper(Some(hand));
        for key in [Leave::C, Leave::D] {
            let handler = Leaving { key, found: found.clone(), news: news.clone() };
            let event = KeyEvent::ctrl(if key == Leave::C { 'C' } else { 'D' });
            editor.bind_sequence(event, EventHandler::Conditional(Box::new(handler)));
        }
        let file = if history { history_file() } else { None };
        if let Some(file) = &file {
            // There is none the first time.
            let _ = editor.load_history(file);
        }
        // A terminal that cannot move its cursor has no place above the line: there everything is simply written.
        let printer: Option<Box<dyn ExternalPrinter + Send>> =
            match editor.create_external_printer() {
                Ok(printer) => Some(Box::new(printer)),
                Err(_) => None,
            };
        let (pieces, drawn) = sync_channel(PIECES_MAX);
        // Otherwise there is nothing to put back.
        found.editing.store(printer.is_some(), Ordering::SeqCst);
        let edits = Arc::clone(&found.editing);
        // Where what comes is simply written, it would else stand behind the prompt.
        let prompt = if printer.is_some() { PROMPT } else { "" };
        let draws = found.clone();
        thread::Builder::new()
            .name("editor".into())
            .spawn(move || edit(editor, prompt, file, &news, &edits))?;
        thread::Builder::new()
            .name("printer".into())
            .spawn(move || print(&drawn, printer, &draws, &Rest { wanted: rest, told: rests }))?;
        Ok(Self { found: found.clone(), pieces, hidden })
    }

    /// Prints lines above the one that is edited.
    pub(super) fn print(&self, lines: String) {
        // The printer runs as long as this does.
        let _ = self.pieces.send(Piece::Text(lines));
    }

    /// Prints lines above the one that is edited, whoever waits to leave.
    pub(super) fn print_surely(&self, lines: String) {
        let _ = self.pieces.send(Piece::Word(lines));
    }

    /// Everything that was printed is there, and the line is gone.
    pub(super) fn finish(&self) {
        self.hidden.store(true, Ordering::SeqCst);
        let (sender, drawn) = std::sync::mpsc::channel();
        if self.pieces.try_send(Piece::Last(sender)).is_ok() {
            let _ = drawn.recv_timeout(LAST_DRAWN);
        }
        self.found.restore();
    }
}

/// The editor's thread.
fn edit(
    mut editor: Editor<Hand, FileHistory>,
    prompt: &str,
    file: Option<PathBuf>,
    news: &Sender<News>,
    editing: &AtomicBool,
) {
    while let Ok(line) = editor.readline(prompt) {
        let kept = editor.add_history_entry(&line).unwrap_or(false);
        if let (true, Some(file)) = (kept, &file) {
            // A home that cannot be written is no reason to stop talking.
            let _ = editor.append_history(file);
        }
        if news.send(News::Typed(line)).is_err() {
            break;
        }
    }
    editing.store(false, Ordering::SeqCst);
    // Whoever prints now writes by itself.
    drop(editor);
    let _ = news.send(News::Quit);
}

/// The printer's thread.
fn print(
    pieces: &Receiver<Piece>,
    mut printer: Option<Box<dyn ExternalPrinter + Send>>,
    found: &Found,
    rest: &Rest,
) {
    let mut draw = |text: &str| {
        let beside = printer.as_mut().filter(|_| found.editing.load(Ordering::SeqCst));
        if beside.is_none_or(|it| it.print(text.to_owned()).is_err()) {
            let mut out = io::stdout();
            let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        }
    };
    let mut left_out = 0;
    for piece in pieces {
        match piece {
            Piece::Text(text) if found.is_late() => left_out += text.len(),
            Piece::Text(text) => draw(&text),
            Piece::Word(text) => {
                if left_out > 0 {
                    draw(&format!("... {left_out} bytes more came and are not shown\n"));
                }
                draw(&text);
            }
            Piece::Last(sender) => {
                // The editor takes one piece ahead: once it has taken two more, those before are drawn. With the
                // next it comes to rest, and leaves the cursor where it is.
                if found.editing.load(Ordering::SeqCst) {
                    draw(NOTHING);
                    draw(NOTHING);
                    rest.wanted.store(true, Ordering::SeqCst);
                    let _ = rest.told.recv_timeout(LAST_DRAWN);
                }
                let _ = sender.send(());
            }
        }
    }
}

/// How the editor is made to draw no more.
struct Rest {
    wanted: Arc<AtomicBool>,
    told: Receiver<()>,
}

/// A line up and the end of a line: nothing to be seen. The editor ends whatever it prints with a line end.
const NOTHING: &str = "\x1b[A\n";

/// Where the history lies (XDG Base Directory Specification); its folder is made if it is not there.
fn history_file() -> Option<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|it| !it.is_empty()).map(PathBuf::from);
    let state = set("XDG_STATE_HOME")
        .filter(|it| it.is_absolute())
        .or_else(|| Some(set("HOME")?.join(".local/state")))?;
    let folder = state.join("sockeye");
    // Nobody else's business; the file itself is made with 0600.
    DirBuilder::new().recursive(true).mode(0o700).create(&folder).ok()?;
    Some(folder.join("connect_history"))
}

/// A key that leaves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leave {
    C,
    D,
}

/// What such a key does. Pressed again, Ctrl-C ends the program wherever it stands.
struct Leaving {
    key: Leave,
    found: Found,
    news: Sender<News>,
}

impl ConditionalEventHandler for Leaving {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, at: &EventContext<'_>) -> Option<Cmd> {
        // Within a line it deletes a character.
        if self.key == Leave::D && !at.line().is_empty() {
            return None;
        }
        let first = self.found.leave();
        if !first && self.key == Leave::C {
            self.found.restore();
            std::process::exit(INTERRUPTED.into());
        }
        // Nobody hears it once all is over.
        let _ = self.news.send(News::Quit);
        Some(Cmd::Noop)
    }
}

/// What the editor asks while a line is edited.
struct Hand {
    /// Neither prompt nor line are shown any more.
    hidden: Arc<AtomicBool>,
    /// Nothing is to be drawn any more.
    rest: Arc<AtomicBool>,
    /// Told when that is so.
    rests: Sender<()>,
}

impl Helper for Hand {}
impl Validator for Hand {}

impl Hinter for Hand {
    type Hint = String;
}

impl Highlighter for Hand {
    fn highlight<'l>(&self, line: &'l str, _: usize) -> Cow<'l, str> {
        Cow::Borrowed(if self.hidden.load(Ordering::SeqCst) { "" } else { line })
    }

    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _: bool) -> Cow<'b, str> {
        if self.rest.load(Ordering::SeqCst) {
            let _ = self.rests.send(());
            // The thread ends with the process, which is about to.
            loop {
                thread::park();
            }
        }
        Cow::Borrowed(if self.hidden.load(Ordering::SeqCst) { "" } else { prompt })
    }
}

impl Completer for Hand {
    type Candidate = String;

    /// Commands by their first letters.
    fn complete(
        &self,
        line: &str,
        at: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        const VERBS: [&str; 7] =
            ["/binary ", "/close ", "/file ", "/help", "/ping ", "/quit", "/save "];
        let begun = line.get(..at).unwrap_or_default();
        let fits = |verb: &&str| begun.starts_with('/') && verb.starts_with(begun);
        Ok((0, VERBS.into_iter().filter(fits).map(str::to_owned).collect()))
    }
}
