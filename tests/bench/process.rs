//! The binary, once as a server and once as its load.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A server of one's own, on a port that the system chooses.
pub(crate) struct Server {
    child: Child,
    address: String,
}

impl Server {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sockeye"));
        command.args(["--listen", "127.0.0.1:0"]).args(arguments);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.next().expect("the server says where it listens").unwrap();
        let (_, address) = line.split_once("://").expect("a URL to open");
        let address = address.trim_end_matches('/').to_owned();
        Self { child, address }
    }

    pub(crate) fn url(&self, target: &str) -> String {
        format!("ws://{}{target}", self.address)
    }

    pub(crate) fn secure_url(&self, target: &str) -> String {
        format!("wss://{}{target}", self.address)
    }

    pub(crate) fn pid(&self) -> String {
        self.child.id().to_string()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a run ended.
pub(crate) struct Run {
    pub(crate) status: Option<i32>,
    pub(crate) out: String,
    pub(crate) said: String,
}

impl Run {
    /// The report.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|error| panic!("{error} in {:?}; {}", self.out, self.said))
    }
}

/// A run under way.
pub(crate) struct Running(Child);

pub(crate) fn begin(arguments: &[&str]) -> Running {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sockeye"));
    command.arg("bench").args(arguments);
    Running(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
}

impl Running {
    pub(crate) fn interrupt(&self) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args(["-s", "INT", &pid]).status().unwrap().success());
    }

    /// Waits for the end; a run that hangs fails the test.
    pub(crate) fn end(mut self) -> Run {
        let begin = Instant::now();
        // What it writes fits into the pipes.
        let status = loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                break status;
            }
            if begin.elapsed() > Duration::from_secs(60) {
                let _ = self.0.kill();
                panic!("the run did not end");
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let (mut out, mut said) = (String::new(), String::new());
        self.0.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        self.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        Run { status: status.code(), out, said }
    }
}

/// Runs it to its end.
pub(crate) fn bench(arguments: &[&str]) -> Run {
    begin(arguments).end()
}

/// The report of a run in which nothing was to go wrong.
pub(crate) fn clean(arguments: &[&str]) -> Value {
    let run = bench(&[arguments, &["--json"]].concat());
    assert_eq!(run.status, Some(0), "{}{}", run.out, run.said);
    let report = run.json();
    assert_eq!(report["errors"], serde_json::json!({}));
    report
}
