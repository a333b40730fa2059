//! A server of one's own, with what it says on stderr and what its page of numbers says.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use prometheus_parse::{Scrape, Value};

/// How long anything may take on a machine that is busy with other things.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    /// Where the numbers alone are.
    pub(crate) apart: SocketAddr,
    /// Lines of its log.
    lines: Option<Receiver<String>>,
    /// Nobody reads its log.
    deaf: Arc<AtomicBool>,
}

/// Numbers by the names and labels of their series.
pub(crate) type Numbers = BTreeMap<String, f64>;

impl Server {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::run(Command::new(env!("CARGO_BIN_EXE_sockeye")), arguments)
    }

    /// Through a command that takes the binary's arguments.
    pub(crate) fn run(mut command: Command, arguments: &[&str]) -> Self {
        let own = ["--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"];
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("SOCKEYE_") {
                command.env_remove(name);
            }
        }
        let mut child = command
            .args(own)
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        let apart = loop {
            line.clear();
            assert!(stderr.read_line(&mut line).unwrap() > 0, "it says where its numbers are");
            if let Some((_, rest)) = line.split_once("metrics on http://") {
                break rest.split('/').next().unwrap().parse().unwrap();
            }
        };
        let (to, lines) = mpsc::channel();
        let deaf = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&deaf);
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let _ = to.send(line);
                while stopped.load(Ordering::Relaxed) {
                    thread::park_timeout(Duration::from_millis(50));
                }
            }
        });
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let (_, rest) = line.trim_end().split_once("://").expect("a URL to open");
        let address = rest.trim_end_matches('/').parse().unwrap();
        Self { child, address, apart, lines: Some(lines), deaf }
    }

    /// The numbers now.
    pub(crate) fn numbers(&self) -> Numbers {
        numbers(&page(self.apart, ""))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// From now on nobody takes what it logs.
    pub(crate) fn stops_reading(&self) {
        self.deaf.store(true, Ordering::Relaxed);
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// The lines of the log up to its end, which is asked for.
    pub(crate) fn log(mut self) -> Vec<String> {
        self.signal("TERM");
        let lines = self.lines.take().unwrap();
        let mut all = Vec::new();
        while let Ok(line) = lines.recv_timeout(PATIENCE) {
            all.push(line);
        }
        all
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.deaf.store(false, Ordering::Relaxed);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An answer's head and body. `fields` end with a line break each.
pub(crate) fn get(address: SocketAddr, target: &str, fields: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let host =
        if fields.contains("Host: ") { String::new() } else { format!("Host: {address}\r\n") };
    let request = format!("GET {target} HTTP/1.1\r\n{host}Connection: close\r\n{fields}\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head.to_owned(), body.to_owned())
}

/// The page.
pub(crate) fn page(address: SocketAddr, fields: &str) -> String {
    let (head, body) = get(address, "/metrics", fields);
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    body
}

/// As a parser of Prometheus's text format reads it; nothing may be left over.
pub(crate) fn parsed(page: &str) -> Scrape {
    let scrape = Scrape::parse(page.lines().map(|line| Ok(line.to_owned()))).unwrap();
    let read: usize = scrape
        .samples
        .iter()
        .map(|sample| match &sample.value {
            Value::Histogram(buckets) => buckets.len(),
            Value::Summary(quantiles) => quantiles.len(),
            _ => 1,
        })
        .sum();
    let written = page.lines().filter(|line| !line.starts_with('#')).count();
    assert_eq!(read, written, "every line is a sample:\n{page}");
    scrape
}

pub(crate) fn numbers(page: &str) -> Numbers {
    let mut all = Numbers::new();
    for sample in parsed(page).samples {
        let mut labels: Vec<String> =
            sample.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        labels.sort();
        let name = if labels.is_empty() {
            sample.metric
        } else {
            format!("{}{{{}}}", sample.metric, labels.join(","))
        };
        let value = match sample.value {
            Value::Counter(value) | Value::Gauge(value) | Value::Untyped(value) => value,
            // All of them; what lies where is chance.
            Value::Histogram(buckets) => buckets.iter().map(|it| it.count).fold(0.0, f64::max),
            Value::Summary(_) => panic!("{name} is a summary"),
        };
        assert_eq!(all.insert(name.clone(), value), None, "{name} stands there twice");
    }
    all
}

/// Asks until the answer is yes.
#[track_caller]
pub(crate) fn until(mut what: impl FnMut() -> Result<(), String>) {
    let begun = Instant::now();
    loop {
        match what() {
            Ok(()) => return,
            Err(why) => assert!(begun.elapsed() < PATIENCE, "{why}"),
        }
        thread::sleep(Duration::from_millis(10));
    }
}
