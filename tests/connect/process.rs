//! The binary, once as a server and once as a client.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Longer than anything takes that works.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A server of one's own, on a port that the system chooses.
pub struct Server {
    child: Child,
    pub address: String,
}

impl Server {
    pub fn start(arguments: &[&str]) -> Self {
        Self::at("127.0.0.1:0", arguments)
    }

    pub fn at(address: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sockeye"));
        command.args(["--listen", address]).args(arguments);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.next().expect("the server says where it listens").unwrap();
        let (_, address) = line.split_once("://").expect("a URL to open");
        Self { child, address: address.trim_end_matches('/').to_owned() }
    }

    pub fn url(&self, target: &str) -> String {
        format!("ws://{}{target}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn signal(pid: u32, name: &str) {
    let pid = pid.to_string();
    assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
}

/// How a client ended.
#[derive(Debug)]
pub struct Run {
    pub status: Option<i32>,
    pub out: String,
    pub said: String,
}

impl Run {
    /// What was printed, as JSON.
    pub fn events(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[track_caller]
    pub fn expect(&self, status: i32, out: &str) -> &Self {
        assert_eq!((self.status, &*self.out), (Some(status), out), "{}", self.said);
        self
    }
}

/// A client under way.
pub struct Running {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    out: JoinHandle<String>,
    said: JoinHandle<String>,
}

pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sockeye"));
    command.arg("connect").args(arguments).env_remove("SOCKEYE_PASSWORD");
    command
}

pub fn begin(arguments: &[&str]) -> Running {
    begin_command(command(arguments))
}

pub fn begin_command(mut command: Command) -> Running {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut err = child.stderr.take().unwrap();
    let (sender, lines) = channel();
    let out = thread::spawn(move || {
        let mut all = Vec::new();
        let mut from = 0;
        while out.read_until(b'\n', &mut all).unwrap() > 0 {
            let line = String::from_utf8_lossy(&all[from..]).trim_end().to_owned();
            let _ = sender.send(line);
            from = all.len();
        }
        String::from_utf8_lossy(&all).into_owned()
    });
    let said = thread::spawn(move || {
        let mut all = Vec::new();
        err.read_to_end(&mut all).unwrap();
        String::from_utf8_lossy(&all).into_owned()
    });
    let input = child.stdin.take();
    Running { child, input, lines, out, said }
}

impl Running {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Writes to its input.
    pub fn write(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let input = self.input.as_mut().expect("the input is open");
        input.write_all(bytes.as_ref()).unwrap();
        input.flush().unwrap();
        self
    }

    /// Its input, for a thread that writes more than it takes.
    pub fn take_input(&mut self) -> ChildStdin {
        self.input.take().expect("the input is open")
    }

    /// Ends its input.
    pub fn end_input(&mut self) -> &mut Self {
        self.input = None;
        self
    }

    /// The next line that it prints.
    #[track_caller]
    pub fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("a line is printed")
    }

    /// Waits for the end; a client that hangs fails the test. Its input stays as it is meanwhile.
    #[track_caller]
    pub fn end(mut self) -> Run {
        let begin = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if begin.elapsed() > PATIENCE {
                let _ = self.child.kill();
                panic!("it did not end: {:?}", self.said.join());
            }
            thread::sleep(Duration::from_millis(5));
        };
        drop(self.input);
        let (out, said) = (self.out.join().unwrap(), self.said.join().unwrap());
        Run { status: status.code(), out, said }
    }
}

/// Runs it to its end on this input.
#[track_caller]
pub fn connect(arguments: &[&str], input: impl AsRef<[u8]>) -> Run {
    let mut running = begin(arguments);
    running.write(input).end_input();
    running.end()
}

/// Runs it to its end, with an input that never ends.
#[track_caller]
pub fn say(arguments: &[&str]) -> Run {
    begin(arguments).end()
}
