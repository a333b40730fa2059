//! A server of one's own: the binary, on ports that the system chooses.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

pub(crate) struct Server {
    child: Child,
    /// Where it says that it is to be found, line by line.
    pub(crate) urls: Vec<String>,
    /// Of these those of TCP: 127.0.0.1, then ::1 if the machine has it.
    pub(crate) addresses: Vec<SocketAddr>,
}

impl Server {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut all = vec!["--listen", "127.0.0.1:0"];
        let v6 = std::net::TcpListener::bind("[::1]:0").is_ok();
        if v6 {
            all.extend(["--listen", "[::1]:0"]);
        }
        all.extend(arguments);
        Self::listening(&all, 1 + usize::from(v6))
    }

    /// A server that is told itself where to listen, at so many places.
    pub(crate) fn listening(arguments: &[&str], places: usize) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_sockeye"))
            .args(arguments)
            .env("SOCKEYE_LOG", "warn")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let urls: Vec<String> = (0..places)
            .map(|_| {
                let line = lines.next().expect("the server says where it listens").unwrap();
                line.strip_prefix("chat on ").expect("a URL to open").to_owned()
            })
            .collect();
        let address = |url: &String| {
            let (_, rest) = url.split_once("://")?;
            Some(rest.trim_end_matches('/').parse().unwrap())
        };
        let addresses = urls.iter().filter_map(address).collect();
        Self { child, urls, addresses }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory in bytes.
    pub(crate) fn memory(&self) -> usize {
        let statm = std::fs::read_to_string(format!("/proc/{}/statm", self.pid())).unwrap();
        statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
    }

    /// How many sockets each of its loops watches, where the system tells.
    pub(crate) fn watched(&self) -> Option<Vec<usize>> {
        let (fds, infos) =
            (format!("/proc/{}/fd", self.pid()), format!("/proc/{}/fdinfo", self.pid()));
        // A loop may hold its poll twice: what it watches tells which is which.
        let mut polls: Vec<Vec<String>> = Vec::new();
        for fd in std::fs::read_dir(fds).ok()? {
            let fd = fd.ok()?;
            let is_poll = std::fs::read_link(fd.path())
                .is_ok_and(|to| to.to_string_lossy().contains("[eventpoll]"));
            if !is_poll {
                continue;
            }
            let text = std::fs::read_to_string(Path::new(&infos).join(fd.file_name())).ok()?;
            let mut watched: Vec<String> =
                text.lines().filter(|line| line.starts_with("tfd:")).map(str::to_owned).collect();
            watched.sort_unstable();
            if !polls.contains(&watched) {
                polls.push(watched);
            }
        }
        Some(polls.iter().map(Vec::len).collect())
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// How it ended, within so much time.
    pub(crate) fn ended(&mut self, within: Duration) -> ExitStatus {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begin.elapsed() < within, "the server did not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the binary says and how it ends, where it does not serve.
pub(crate) fn fails(arguments: &[&str]) -> (Option<i32>, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_sockeye"))
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    (child.wait().unwrap().code(), said)
}
