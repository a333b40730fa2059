//! The binary without whatever `SOCKEYE_` variables this process has.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

pub(crate) fn sockeye() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sockeye"));
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("SOCKEYE_") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs to its end, which has to come.
pub(crate) fn output(command: &mut Command) -> Output {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    ended(&mut child);
    child.wait_with_output().unwrap()
}

/// What `--print-config` says with these arguments and variables.
pub(crate) fn printed(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let output =
        output(sockeye().args(arguments).arg("--print-config").envs(variables.iter().copied()));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_eq!(said, "");
    String::from_utf8(output.stdout).unwrap()
}

/// The line of a key.
pub(crate) fn line<'a>(printed: &'a str, key: &str) -> &'a str {
    let begin = format!("{key} = ");
    let mut lines = printed.lines().filter_map(|line| line.strip_prefix(&begin));
    let line = lines.next().unwrap_or_else(|| panic!("no {key} in\n{printed}"));
    assert_eq!(lines.next(), None, "{key} is there twice");
    line
}

pub(crate) fn ended(child: &mut Child) -> std::process::ExitStatus {
    let begin = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if begin.elapsed() > Duration::from_secs(20) {
            child.kill().unwrap();
            panic!("the program did not end");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A file of one test, gone with it.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn file(content: impl AsRef<[u8]>) -> Self {
        let scratch = Self::name();
        fs::write(&scratch.0, content).unwrap();
        scratch
    }

    /// A path where nothing is yet.
    pub(crate) fn name() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let nth = COUNT.fetch_add(1, Ordering::Relaxed);
        Self(env::temp_dir().join(format!("sockeye-config-{}-{nth}.toml", std::process::id())))
    }

    pub(crate) fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A server that runs, with what it has said on stdout so far.
pub(crate) struct Running {
    pub(crate) child: Child,
    /// The address of its first line.
    pub(crate) address: String,
}

impl Running {
    /// The command has to listen on one address.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("chat on http://").expect("a URL to open");
        let address = address.trim_end_matches('/').to_owned();
        Self { child, address }
    }

    /// The status line of an answer.
    pub(crate) fn get(&self, target: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        write!(stream, "GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Asks it to end, and how it did; with what stderr still had if that was piped.
    pub(crate) fn stop(mut self) -> (Option<i32>, String) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", "TERM", &pid]).status().unwrap().success());
        let status = ended(&mut self.child);
        let mut said = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            stderr.read_to_string(&mut said).unwrap();
        }
        (status.code(), said)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
