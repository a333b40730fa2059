//! A terminal of the test's own: what a person would see on it, and keys pressed on it.

use std::io::{Read, Write};
use std::num::NonZero;
use std::process::Child;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use pty_process::Size;
use pty_process::blocking::{Command, Pty};
use rustix::termios::{LocalModes, tcgetattr};
use vt100::Parser;

use crate::process::PATIENCE;

/// 24 lines of 80 characters.
pub struct Tty {
    pty: Arc<Pty>,
    child: Child,
    seen: Arc<Mutex<Seen>>,
}

struct Seen {
    parser: Parser,
    raw: Vec<u8>,
}

pub const ENTER: &str = "\r";
pub const UP: &str = "\x1b[A";
pub const CTRL_C: &str = "\x03";
pub const CTRL_D: &str = "\x04";

impl Tty {
    /// `sockeye connect` on a terminal, with a state directory of its own.
    pub fn connect(state: &str, arguments: &[&str]) -> Self {
        Self::with(state, arguments, &[])
    }

    pub fn with(state: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let (pty, pts) = pty_process::blocking::open().unwrap();
        pty.resize(Size::new(24, 80)).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_sockeye"))
            .arg("connect")
            .args(arguments)
            .env("XDG_STATE_HOME", state)
            .env("TERM", "xterm-256color")
            .env_remove("NO_COLOR")
            .env_remove("SOCKEYE_PASSWORD")
            .envs(variables.iter().copied())
            .spawn(pts)
            .unwrap();
        let pty = Arc::new(pty);
        let (lines, columns) = (NonZero::new(24).unwrap(), NonZero::new(80).unwrap());
        let parser = Parser::new(lines, columns, 0);
        let seen = Arc::new(Mutex::new(Seen { parser, raw: Vec::new() }));
        let (from, to) = (Arc::clone(&pty), Arc::clone(&seen));
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(n @ 1..) = (&*from).read(&mut bytes) {
                let mut seen = to.lock().unwrap();
                seen.parser.process(&bytes[..n]);
                seen.raw.extend_from_slice(&bytes[..n]);
            }
        });
        Self { pty, child, seen }
    }

    /// Presses keys.
    pub fn press(&self, keys: &str) -> &Self {
        (&*self.pty).write_all(keys.as_bytes()).unwrap();
        self
    }

    /// Lines that are not empty, as they stand on the screen now.
    pub fn lines(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        let lines = seen.parser.screen().contents();
        lines.lines().filter(|line| !line.is_empty()).map(|it| it.trim_end().to_owned()).collect()
    }

    /// Where the cursor stands in its line, counted from 0.
    pub fn column(&self) -> u16 {
        self.seen.lock().unwrap().parser.screen().cursor_position().1
    }

    /// Everything that was written to the terminal.
    pub fn raw(&self) -> Vec<u8> {
        self.seen.lock().unwrap().raw.clone()
    }

    /// Waits until the screen is so.
    #[track_caller]
    pub fn until(&self, what: impl Fn(&[String]) -> bool) -> Vec<String> {
        let begin = Instant::now();
        loop {
            let lines = self.lines();
            if what(&lines) {
                return lines;
            }
            assert!(begin.elapsed() < PATIENCE, "the screen stays {lines:#?}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until the last lines are these.
    #[track_caller]
    pub fn ends_with(&self, last: &[&str]) -> Vec<String> {
        self.until(|lines| {
            lines.ends_with(&last.iter().map(|&it| it.to_owned()).collect::<Vec<_>>())
        })
    }

    /// Whether the terminal shows what is typed and gives lines, as a shell expects it.
    pub fn is_as_found(&self) -> bool {
        let modes = tcgetattr(&*self.pty).unwrap();
        modes.local_modes.contains(LocalModes::ECHO | LocalModes::ICANON)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its exit status.
    #[track_caller]
    pub fn status(&mut self) -> Option<i32> {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                // What it wrote last has still to be read.
                thread::sleep(Duration::from_millis(50));
                return status.code();
            }
            assert!(begin.elapsed() < PATIENCE, "it does not end: {:#?}", self.lines());
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Tty {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An empty folder for this test.
pub fn folder(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("connect-{name}"));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Processor time of a process so far, in ticks of the system.
pub fn ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let after = stat.rsplit_once(')').unwrap().1;
    let fields: Vec<&str> = after.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}
