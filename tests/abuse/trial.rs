//! The frame of every abuse: a server of its own, a good client whose round trips are one half of the
//! verdict, and the server's memory, which is the other.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use sockeye::client::{Client, Connect, Received, Stream};

use crate::process::Server;

/// What an abuse may add to the server's memory.
pub(crate) const GROWTH_MAX: usize = 16 << 20;

/// The worst round trip that passes: on a quiet machine it is below 250 ms, on one that builds something
/// meanwhile it says only that nobody is starved.
const ROUND_TRIP_MAX: Duration = Duration::from_secs(2);

pub(crate) struct Trial {
    pub(crate) server: Server,
    /// What is trusted, where the server speaks TLS.
    authority: Option<PathBuf>,
    /// Resident bytes before the abuse, when the highest mark was set back to that.
    pub(crate) memory: usize,
    stop: Arc<AtomicBool>,
    good: Option<JoinHandle<Verdict>>,
}

struct Verdict {
    rounds: usize,
    worst: Duration,
}

impl Trial {
    /// A server with these flags, settled, and a good client that goes round and round on it.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::begin(Server::start(arguments), None)
    }

    /// The same with TLS. The name is for the files of its certificate.
    pub(crate) fn start_tls(name: &str, arguments: &[&str]) -> Self {
        let (certificate, key) = certificate(name);
        let files =
            ["--tls-cert", certificate.to_str().unwrap(), "--tls-key", key.to_str().unwrap()];
        let server = Server::start(&[&files[..], arguments].concat());
        Self::begin(server, Some(certificate))
    }

    fn begin(server: Server, authority: Option<PathBuf>) -> Self {
        let mut client = connect(server.addresses[0], authority.as_ref());
        for round in 0..50 {
            go_round(&mut client, round);
        }
        // 5 sets the kernel's highest mark of resident memory (VmHWM) back to what there is.
        std::fs::write(format!("/proc/{}/clear_refs", server.pid()), "5").unwrap();
        let memory = highest(&server);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let good = thread::spawn(move || {
            let mut verdict = Verdict { rounds: 0, worst: Duration::ZERO };
            // One round at least after the abuse is over.
            let mut last = false;
            while !last {
                last = stopped.load(Ordering::Relaxed);
                let begin = Instant::now();
                go_round(&mut client, verdict.rounds);
                verdict.worst = verdict.worst.max(begin.elapsed());
                verdict.rounds += 1;
                thread::sleep(Duration::from_millis(5));
            }
            verdict
        });
        Self { server, authority, memory, stop, good: Some(good) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.addresses[0]
    }

    /// One more client, of `/echo`.
    pub(crate) fn client(&self) -> Client<Stream> {
        connect(self.address(), self.authority.as_ref())
    }

    /// The abuse is over: the good client was served all the time, a newcomer is, and memory stayed bounded.
    #[track_caller]
    pub(crate) fn survived(self) {
        self.survived_within(GROWTH_MAX);
    }

    /// As [`survived`](Self::survived), with a bound of its own on the memory.
    #[track_caller]
    pub(crate) fn survived_within(self, growth_max: usize) {
        let mut newcomer = self.client();
        go_round(&mut newcomer, 0);
        self.held_within(growth_max);
    }

    /// As [`survived`](Self::survived) where no newcomer may come in.
    #[track_caller]
    pub(crate) fn held_within(mut self, growth_max: usize) {
        let verdict = self.verdict();
        let grown = highest(&self.server).saturating_sub(self.memory);
        let (rounds, worst) = (verdict.rounds, verdict.worst);
        let name = thread::current().name().unwrap_or_default().to_owned();
        println!("{name}: worst of {rounds} rounds {worst:.0?}, memory + {} KiB", grown >> 10);
        assert!(worst <= ROUND_TRIP_MAX, "a good client waited {worst:?}");
        assert!(grown <= growth_max, "{grown} bytes more, {growth_max} are allowed");
    }

    fn verdict(&mut self) -> Verdict {
        self.stop.store(true, Ordering::Relaxed);
        let good = self.good.take().expect("the verdict is asked for once");
        good.join().expect("the good client is served to the end")
    }

    /// Ends the good client before the server ends, and gives the server back.
    pub(crate) fn without_the_good_client(mut self) -> Server {
        self.verdict();
        self.server
    }

    /// Open descriptors of the server.
    pub(crate) fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.server.pid())).unwrap().count()
    }

    /// Processor time of the server so far, in ticks of 10 ms.
    pub(crate) fn ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.server.pid())).unwrap();
        // The name in brackets may hold anything; user and system time are 11 and 12 behind it.
        let (_, fields) = stat.rsplit_once(')').unwrap();
        fields.split(' ').skip(12).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum()
    }

    /// Waits until the server has at most so many descriptors.
    #[track_caller]
    pub(crate) fn until_descriptors(&self, count: usize, patience: Duration) {
        let begin = Instant::now();
        while self.descriptors() > count {
            let now = self.descriptors();
            assert!(begin.elapsed() < patience, "{now} descriptors are open, not {count}");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

fn connect(address: SocketAddr, authority: Option<&PathBuf>) -> Client<Stream> {
    let connect = match authority {
        Some(file) => Connect::new().ca_file(file).open(&format!("wss://{address}/echo")),
        None => Connect::new().open(&format!("ws://{address}/echo")),
    };
    let mut client = connect.expect("a newcomer is let in");
    client.set_read_timeout(Some(Duration::from_secs(20)));
    client
}

fn go_round(client: &mut Client<Stream>, round: usize) {
    let said = format!("round {round}");
    client.text(&said).unwrap();
    loop {
        match client.receive() {
            Ok(Some(Received::Text(text))) if text == said => return,
            Ok(Some(Received::Ping(_))) => {}
            other => panic!("instead of the echo of {said}: {other:?}"),
        }
    }
}

/// The most bytes that were resident since the mark was set back, also within one turn of the loop.
fn highest(server: &Server) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}

/// A certificate and its key, in files of their own.
pub(crate) fn certificate(name: &str) -> (PathBuf, PathBuf) {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let file = |kind: &str, text: String| {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{kind}.pem"));
        std::fs::write(&path, text).unwrap();
        path
    };
    (file("cert", made.cert.pem()), file("key", made.signing_key.serialize_pem()))
}

/// A TCP connection that knows no protocol.
pub(crate) fn dial(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// Everything until the end, or until the peer resets; panics when neither comes.
pub(crate) fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            panic!("the server does not hang up; so far {}", String::from_utf8_lossy(&bytes))
        }
        _ => bytes,
    }
}

/// The status of what the server answers to these bytes before it hangs up; `None` if it says nothing.
pub(crate) fn status_of(address: SocketAddr, bytes: &[u8]) -> Option<u16> {
    let mut stream = dial(address);
    // It may refuse, and hang up, before it has all.
    let _ = stream.write_all(bytes);
    let answer = read_to_end(&mut stream);
    let answer = String::from_utf8_lossy(&answer);
    answer.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
}

/// Writes `bytes` again and again until the server takes no more for a while, or `bytes_max` are taken.
/// Returns how many were.
pub(crate) fn pour(stream: &mut TcpStream, bytes: &[u8], bytes_max: usize) -> usize {
    pour_for(stream, bytes, bytes_max, Duration::from_millis(300))
}

/// As [`pour`], where all must be taken, however slow the machine is.
pub(crate) fn pour_all(stream: &mut TcpStream, bytes: &[u8], bytes_max: usize) {
    let taken = pour_for(stream, bytes, bytes_max, Duration::from_secs(10));
    assert!(taken >= bytes_max, "only {taken} of {bytes_max} bytes were taken");
}

fn pour_for(stream: &mut TcpStream, bytes: &[u8], bytes_max: usize, patience: Duration) -> usize {
    stream.set_write_timeout(Some(patience)).unwrap();
    let mut taken = 0;
    while taken < bytes_max {
        // Not from the start of a unit where the last write was cut: a flood is a valid one or none.
        match stream.write(&bytes[taken % bytes.len()..]) {
            Ok(0) | Err(_) => break,
            Ok(count) => taken += count,
        }
    }
    taken
}

/// An upgraded connection as a bare socket.
pub(crate) fn upgrade(address: SocketAddr, target: &str, extensions: Option<&str>) -> TcpStream {
    let mut stream = dial(address);
    stream.write_all(request(target, extensions).as_bytes()).unwrap();
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
    stream
}

/// A good request for a WebSocket.
pub(crate) fn request(target: &str, extensions: Option<&str>) -> String {
    let extensions =
        extensions.map(|it| format!("Sec-WebSocket-Extensions: {it}\r\n")).unwrap_or_default();
    format!(
        "GET {target} HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{extensions}\r\n"
    )
}
