//! Every number moves when it should: a table of what is done, and which series move by it. A series of the
//! page that nothing in the table moves fails the test, so that whoever adds one says when it moves.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use serde_json::json;
use sockeye::client::Connect;
use sockeye::proto::deflate::Deflate;

use crate::actor::{Actor, frame};
use crate::server::{Numbers, PATIENCE, Server, get, until};

/// What is done, on a server of these flags.
struct Action {
    name: &'static str,
    flags: &'static [&'static str],
    run: fn(&Watch),
}

/// The table.
const ACTIONS: [Action; 25] = [
    Action { name: "a page is asked for", flags: &ONE, run: a_page_is_asked_for },
    Action { name: "every dialect is spoken", flags: &ONE, run: every_dialect_is_spoken },
    Action { name: "handshakes fail", flags: &REFUSING, run: handshakes_fail },
    Action { name: "a request takes too long", flags: &HASTY, run: a_request_takes_too_long },
    Action { name: "an address has its share", flags: &PER_IP, run: an_address_has_its_share },
    Action { name: "a proxy does not say for whom", flags: &PROXY, run: a_proxy_is_silent },
    Action { name: "TLS is not spoken", flags: &TLS, run: tls_is_not_spoken },
    Action { name: "closes with every code", flags: &ONE, run: closes_with_every_code },
    Action { name: "the server closes", flags: &LIMITED, run: the_server_closes },
    Action { name: "somebody hangs up", flags: &ONE, run: somebody_hangs_up },
    Action { name: "somebody is silent", flags: &SILENT, run: somebody_is_silent },
    Action { name: "somebody takes nothing", flags: &STALLED, run: somebody_takes_nothing },
    Action { name: "somebody is slow", flags: &ONE, run: somebody_is_slow },
    Action { name: "pings and pongs come", flags: &SILENT, run: pings_and_pongs_come },
    Action { name: "messages are compressed", flags: &DEFLATE, run: messages_are_compressed },
    Action { name: "one tells many", flags: &ONE, run: one_tells_many },
    Action { name: "people chat", flags: &ONE, run: people_chat },
    Action { name: "loops speak to each other", flags: &TWO, run: loops_speak_to_each_other },
    Action { name: "a loop is behind", flags: &TWO, run: a_loop_is_behind },
    Action { name: "timers fire", flags: &SILENT, run: timers_fire },
    Action { name: "the log is not read", flags: &LOUD, run: the_log_is_not_read },
    Action { name: "descriptors run out", flags: &HASTY, run: descriptors_run_out },
    Action { name: "the server goes down", flags: &GOING, run: the_server_goes_down },
    Action { name: "the process works", flags: &ONE, run: the_process_works },
    Action { name: "servers differ", flags: &TWO, run: servers_differ },
];

/// What cannot be moved from outside, and why.
const UNMOVED: [(&str, &str); 4] = [
    ("sockeye_handshake_failures_total{reason=internal}", "a fault of ours that is not known"),
    ("sockeye_messages_sent_total{dialect=ws,kind=binary}", "it answers in text"),
    ("sockeye_messages_sent_total{dialect=im,kind=binary}", "it answers in text"),
    ("sockeye_messages_sent_total{dialect=chat,kind=binary}", "it answers in text"),
];

const ONE: [&str; 2] = ["--shards", "1"];
const TWO: [&str; 2] = ["--shards", "2"];
const REFUSING: [&str; 6] =
    ["--shards", "1", "--origin", "https://here.example", "--path", "other=off"];
const HASTY: [&str; 4] = ["--shards", "1", "--handshake-timeout", "500ms"];
const PER_IP: [&str; 4] = ["--shards", "1", "--max-per-ip", "1"];
const PROXY: [&str; 5] = ["--shards", "1", "--proxy-protocol", "--trusted-proxy", "127.0.0.1"];
const TLS: [&str; 4] = ["--shards", "1", "--tls-cert", "CERT"];
const LIMITED: [&str; 4] = ["--shards", "1", "--rate-messages", "1"];
const SILENT: [&str; 6] = ["--shards", "1", "--ping-interval", "100ms", "--idle-timeout", "300ms"];
const STALLED: [&str; 4] = ["--shards", "1", "--stall-timeout", "500ms"];
const DEFLATE: [&str; 3] = ["--shards", "1", "--deflate"];
const LOUD: [&str; 4] = ["--shards", "1", "--log", "debug"];
const GOING: [&str; 4] = ["--shards", "1", "--close-timeout", "3s"];

#[test]
fn every_number_moves_when_it_should() {
    let moved = Mutex::new(BTreeSet::new());
    let seen = Mutex::new(BTreeSet::new());
    thread::scope(|scope| {
        for action in &ACTIONS {
            let (moved, seen) = (&moved, &seen);
            let body = move || {
                let watch = Watch::begin(action);
                (action.run)(&watch);
                seen.lock().unwrap().extend(watch.before.into_keys());
                moved.lock().unwrap().extend(watch.moved.into_inner().unwrap());
            };
            thread::Builder::new().name(action.name.to_owned()).spawn_scoped(scope, body).unwrap();
        }
    });
    let (moved, seen) = (moved.into_inner().unwrap(), seen.into_inner().unwrap());
    for (series, why) in UNMOVED {
        assert!(seen.contains(series) && !moved.contains(series), "{series}: {why}");
    }
    // Of several loops one is as good as another.
    let still: Vec<_> = seen
        .iter()
        .filter(|it| !moved.contains(*it) && !UNMOVED.iter().any(|(series, _)| series == it))
        .filter(|it| !it.contains("shard=1"))
        .collect();
    assert!(still.is_empty(), "nothing in the table moves {still:#?}");
}

/// A server and what its numbers were.
struct Watch {
    server: Server,
    before: Numbers,
    moved: Mutex<BTreeSet<String>>,
}

impl Watch {
    fn begin(action: &Action) -> Self {
        let files;
        let mut flags = action.flags.to_vec();
        if let Some(at) = flags.iter().position(|it| *it == "CERT") {
            files = certificate();
            flags[at] = &files.0;
            flags.extend(["--tls-key", &files.1]);
        }
        let server = Server::start(&flags);
        let before = server.numbers();
        Self { server, before, moved: Mutex::default() }
    }

    /// Waits until all of these are other than they were.
    #[track_caller]
    fn moves(&self, series: &[&str]) {
        until(|| {
            let now = self.server.numbers();
            match series.iter().find(|it| now.get(**it) == self.before.get(**it)) {
                Some(still) if now.contains_key(*still) => Err(format!("{still} has not moved")),
                Some(none) => Err(format!("there is no {none}")),
                None => Ok(()),
            }
        });
        self.moved.lock().unwrap().extend(series.iter().map(|&it| it.to_owned()));
    }

    /// Waits until it has this value.
    #[track_caller]
    fn comes_to(&self, series: &str, value: f64) {
        until(|| {
            let now = self.server.numbers()[series];
            if now == value { Ok(()) } else { Err(format!("{series} is {now}, not {value}")) }
        });
    }

    fn open(&self, target: &str) -> Actor {
        Actor::open(self.server.address, target)
    }

    /// A raw request, and what came back until the end.
    fn ask(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.server.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let _ = stream.write_all(request);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }
}

fn certificate() -> (String, String) {
    let folder =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("metrics-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = certificate.self_signed(&key).unwrap();
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    std::fs::write(path("cert.pem"), certificate.pem()).unwrap();
    std::fs::write(path("key.pem"), key.serialize_pem()).unwrap();
    (path("cert.pem"), path("key.pem"))
}

/// A request for a WebSocket with other lines in the place of the good ones.
fn upgrade(first: &str, changes: &[(&str, &str)], more: &str) -> Vec<u8> {
    let mut request = format!("{first}\r\n");
    for (name, value) in [
        ("Host", "here.example"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Version", "13"),
    ] {
        let value = changes.iter().find(|it| it.0 == name).map_or(value, |it| it.1);
        if !value.is_empty() {
            request += &format!("{name}: {value}\r\n");
        }
    }
    (request + more + "\r\n").into_bytes()
}

fn a_page_is_asked_for(watch: &Watch) {
    let _ = get(watch.server.address, "/", "");
    watch.moves(&[
        "sockeye_connections_accepted_total",
        "sockeye_connections_ended_total{reason=http}",
        "sockeye_received_bytes_total",
        "sockeye_sent_bytes_total",
        "sockeye_loop_turn_seconds{shard=0}",
        "sockeye_loop_turn_seconds_sum{shard=0}",
        "sockeye_loop_turn_seconds_count{shard=0}",
    ]);
    let held = TcpStream::connect(watch.server.address).unwrap();
    watch.moves(&["sockeye_connections"]);
    drop(held);
    watch.comes_to("sockeye_connections", 0.0);
}

fn every_dialect_is_spoken(watch: &Watch) {
    let tell = r#"{"type":"hello","to":1}"#;
    let enter = r#"{"type":"get-enter","userId":"u1","toId":"u1","content":"hi","createTime":0}"#;
    for (dialect, text, binary) in [
        ("echo", "hi", true),
        ("broadcast", "hi", true),
        ("direct", tell, true),
        ("ws", "hi", false),
        ("im", enter, false),
        ("chat", r#"{"op":"ping","t":1}"#, false),
    ] {
        let mut one = watch.open(&format!("/{dialect}?room=r&user=ann"));
        let mut other = watch.open(&format!("/{dialect}?room=r&user=bob"));
        other.text(r#"{"type":"online","from":1}"#);
        let name = |metric: &str| format!("sockeye_{metric}{{dialect={dialect}}}");
        watch.moves(&[&name("websockets"), &name("websockets_opened_total")]);
        let kinds = |metric: &str, kind: &str| {
            format!("sockeye_messages_{metric}_total{{dialect={dialect},kind={kind}}}")
        };
        one.text(text);
        watch.moves(&[&kinds("received", "text"), &kinds("sent", "text")]);
        one.write(&frame(0x82, text.as_bytes(), true, None));
        watch.moves(&[&kinds("received", "binary")]);
        if binary {
            watch.moves(&[&kinds("sent", "binary")]);
        }
        drop((one, other));
        watch.comes_to(&name("websockets"), 0.0);
    }
    watch.moves(&["sockeye_handshakes_total{outcome=accepted}"]);
}

fn handshakes_fail(watch: &Watch) {
    let good = "GET /echo HTTP/1.1";
    let long = format!("X-Long: {}\r\n", "x".repeat(20_000));
    let twice = "Sec-WebSocket-Version: 13\r\n";
    let room = format!("GET /ws?room={} HTTP/1.1", "r".repeat(1000));
    for (reason, request) in [
        ("malformed", b"\x16\x03\x01 no HTTP\r\n\r\n".to_vec()),
        ("too_large", upgrade(good, &[], &long)),
        ("method", upgrade("POST /echo HTTP/1.1", &[], "")),
        ("http_version", upgrade("GET /echo HTTP/1.0", &[], "")),
        ("host", upgrade(good, &[("Host", "")], "")),
        ("upgrade", upgrade(good, &[("Connection", "keep-alive")], "")),
        ("version", upgrade(good, &[("Sec-WebSocket-Version", "8")], "")),
        ("key", upgrade(good, &[("Sec-WebSocket-Key", "short")], "")),
        ("origin", upgrade(good, &[], "Origin: https://there.example\r\n")),
        ("subprotocol", upgrade(good, &[], "Sec-WebSocket-Protocol: a b\r\n")),
        ("extensions", upgrade(good, &[], "Sec-WebSocket-Extensions: ;;\r\n")),
        ("duplicate", upgrade(good, &[], twice)),
        ("body", upgrade(good, &[], "Content-Length: 5\r\n")),
        ("path", upgrade("GET /nothing HTTP/1.1", &[], "")),
        ("name", upgrade(&room, &[], "")),
    ] {
        let answer = watch.ask(&request);
        assert!(answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.1 5"), "{answer}");
        watch.moves(&[&format!("sockeye_handshake_failures_total{{reason={reason}}}")]);
    }
    watch.moves(&[
        "sockeye_handshakes_total{outcome=failed}",
        "sockeye_connections_ended_total{reason=refused}",
    ]);
    assert_eq!(watch.server.numbers()["sockeye_handshakes_total{outcome=failed}"], 15.0);
}

fn a_request_takes_too_long(watch: &Watch) {
    let answer = watch.ask(b"GET / HTTP/1.1\r\nHost: ");
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    watch.moves(&[
        "sockeye_handshake_failures_total{reason=timeout}",
        "sockeye_connections_ended_total{reason=timeout}",
    ]);
}

fn an_address_has_its_share(watch: &Watch) {
    let _held = watch.open("/echo");
    assert_eq!(watch.ask(b""), "");
    watch.moves(&[
        "sockeye_handshake_failures_total{reason=address}",
        "sockeye_connections_ended_total{reason=address}",
    ]);
}

fn a_proxy_is_silent(watch: &Watch) {
    assert_eq!(watch.ask(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), "");
    watch.moves(&[
        "sockeye_handshake_failures_total{reason=proxy}",
        "sockeye_connections_ended_total{reason=proxy}",
    ]);
}

fn tls_is_not_spoken(watch: &Watch) {
    watch.ask(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    watch.moves(&[
        "sockeye_handshake_failures_total{reason=tls}",
        "sockeye_connections_ended_total{reason=tls}",
    ]);
}

fn closes_with_every_code(watch: &Watch) {
    let codes = (1000..=1003).chain(1007..=1014).chain([4008, 4029, 3000]);
    for code in codes.map(Some).chain([None]) {
        let word = match code {
            None => "none".to_owned(),
            Some(3000) => "other".to_owned(),
            Some(code) => u16::to_string(&code),
        };
        let mut actor = watch.open("/echo");
        let payload = code.map(u16::to_be_bytes).map_or(Vec::new(), Into::into);
        actor.write(&frame(0x88, &payload, true, None));
        actor.watch(2);
        let name = |metric: &str| format!("sockeye_close_frames_{metric}_total{{code={word}}}");
        watch.moves(&[&name("received"), &name("sent")]);
    }
    watch.moves(&["sockeye_connections_ended_total{reason=closed}"]);
    watch.comes_to("sockeye_connections_ended_total{reason=closed}", 16.0);
}

fn the_server_closes(watch: &Watch) {
    let mut actor = watch.open("/echo");
    for _ in 0..50 {
        actor.text("too much");
    }
    actor.watch(100);
    watch.moves(&[
        "sockeye_rate_limited_total",
        "sockeye_connections_ended_total{reason=rate_limited}",
        "sockeye_close_frames_sent_total{code=4029}",
    ]);
    let mut actor = watch.open("/echo");
    actor.write(&frame(0x81, b"not masked", false, None));
    actor.watch(2);
    watch.moves(&[
        "sockeye_connections_ended_total{reason=violation}",
        "sockeye_close_frames_sent_total{code=1002}",
    ]);
    // What means nothing is forgiven some times.
    let mut actor = watch.open("/chat?user=eve");
    for _ in 0..100 {
        actor.text("nonsense");
    }
    actor.watch(1000);
    watch.moves(&[
        "sockeye_connections_ended_total{reason=expelled}",
        "sockeye_close_frames_sent_total{code=1008}",
    ]);
}

fn somebody_hangs_up(watch: &Watch) {
    drop(watch.open("/echo"));
    watch.moves(&["sockeye_connections_ended_total{reason=left}"]);
    watch.open("/echo").abort();
    watch.moves(&["sockeye_connections_ended_total{reason=reset}"]);
}

fn somebody_is_silent(watch: &Watch) {
    let _silent = watch.open("/echo");
    watch.moves(&["sockeye_pings_sent_total", "sockeye_connections_ended_total{reason=silent}"]);
}

/// Says much that is to come back, and takes nothing of it.
fn pour(actor: &mut Actor) {
    actor.patience(Duration::from_millis(200));
    let message = frame(0x82, &[7; 60_000], true, None);
    for _ in 0..1000 {
        if !actor.write_some(&message) {
            return;
        }
    }
    panic!("60 MB were taken");
}

fn somebody_takes_nothing(watch: &Watch) {
    let mut greedy = watch.open("/echo");
    pour(&mut greedy);
    watch.moves(&["sockeye_connections_ended_total{reason=stalled}"]);
    // What waited for it waits no more.
    watch.comes_to("sockeye_queued_bytes", 0.0);
}

fn somebody_is_slow(watch: &Watch) {
    let mut greedy = watch.open("/echo");
    pour(&mut greedy);
    watch.moves(&["sockeye_queued_bytes"]);
    greedy.abort();
    watch.comes_to("sockeye_queued_bytes", 0.0);
    let _deaf = watch.open("/broadcast?room=r");
    let mut speaker = watch.open("/broadcast?room=r");
    let message = frame(0x82, &[7; 60_000], true, None);
    until(|| {
        speaker.write(&message);
        match watch.server.numbers()["sockeye_slow_consumers_total"] {
            0.0 => Err("nobody is slow".to_owned()),
            _ => Ok(()),
        }
    });
    watch.moves(&["sockeye_slow_consumers_total", "sockeye_close_frames_sent_total{code=1013}"]);
    drop(_deaf);
    watch.moves(&["sockeye_connections_ended_total{reason=slow}"]);
}

fn pings_and_pongs_come(watch: &Watch) {
    let mut actor = watch.open("/echo");
    actor.write(&frame(0x89, b"ping", true, None));
    actor.write(&frame(0x8A, b"pong", true, None));
    watch.moves(&["sockeye_pings_received_total", "sockeye_pongs_received_total"]);
}

fn messages_are_compressed(watch: &Watch) {
    let mut client = Connect::new()
        .per_message_deflate(Deflate::default())
        .open(&format!("ws://{}/echo", watch.server.address))
        .unwrap();
    let text = "the same words ".repeat(200);
    client.text(&text).unwrap();
    client.receive().unwrap();
    for direction in ["in", "out"] {
        let name = |metric: &str| format!("sockeye_deflate_{metric}{{direction={direction}}}");
        let [plain, packed, ratio] =
            [name("plain_bytes_total"), name("compressed_bytes_total"), name("ratio")];
        watch.moves(&[&plain, &packed, &ratio]);
        let now = watch.server.numbers();
        assert_eq!(now[&plain], 3000.0);
        assert!(now[&packed] > 5.0 && now[&packed] < 200.0, "{}", now[&packed]);
        assert_eq!(now[&ratio], now[&packed] / now[&plain]);
    }
    // Told to many it is compressed once.
    let mut all: Vec<Actor> = (0..4).map(|_| watch.open("/broadcast?room=r")).collect();
    all[0].text(&text);
    watch.comes_to("sockeye_deflate_plain_bytes_total{direction=out}", 6000.0);
}

fn one_tells_many(watch: &Watch) {
    let mut all: Vec<Actor> = (0..5).map(|_| watch.open("/broadcast?room=r")).collect();
    all[0].text("hello");
    watch.moves(&[
        "sockeye_fanout_receivers",
        "sockeye_fanout_receivers_sum",
        "sockeye_fanout_receivers_count",
    ]);
    let now = watch.server.numbers();
    assert_eq!(now["sockeye_fanout_receivers_sum"], 4.0);
    assert_eq!(now["sockeye_messages_sent_total{dialect=broadcast,kind=text}"], 4.0);
}

fn people_chat(watch: &Watch) {
    let mut ann = watch.open("/chat?user=ann&room=tea");
    watch.moves(&["sockeye_rooms", "sockeye_users", "sockeye_sessions", "sockeye_history_logs"]);
    ann.text(&json!({"op": "say", "room": "tea", "body": "hello"}).to_string());
    watch.moves(&["sockeye_history_bytes"]);
    drop(ann);
    for series in ["sockeye_rooms", "sockeye_users", "sockeye_sessions"] {
        watch.comes_to(series, 0.0);
    }
}

/// Members of one room, so many that both loops have some.
fn members(watch: &Watch) -> Vec<Actor> {
    (0..16).map(|_| watch.open("/broadcast?room=r")).collect()
}

fn loops_speak_to_each_other(watch: &Watch) {
    let mut members = members(watch);
    let ended = std::sync::atomic::AtomicBool::new(false);
    let message = frame(0x82, &[7; 1000], true, None).repeat(20);
    thread::scope(|scope| {
        for member in &mut members {
            member.patience(Duration::from_millis(50));
            let (ended, message) = (&ended, &message);
            scope.spawn(move || {
                while !ended.load(std::sync::atomic::Ordering::Relaxed) {
                    member.write_some(message);
                    member.watch_for(usize::MAX, Duration::from_millis(1));
                    member.saw.clear();
                }
            });
        }
        let (events, bytes) = ("sockeye_broker_waiting_events", "sockeye_broker_waiting_bytes");
        let seen = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            until(|| {
                let now = watch.server.numbers();
                let both = now[events] > 0.0 && now[bytes] > 0.0;
                both.then_some(()).ok_or_else(|| "nothing waits at the broker".to_owned())
            });
        }));
        ended.store(true, std::sync::atomic::Ordering::Relaxed);
        seen.unwrap();
        watch.moved.lock().unwrap().extend([events.to_owned(), bytes.to_owned()]);
    });
}

fn a_loop_is_behind(watch: &Watch) {
    let mut members = members(watch);
    // More than may wait at another loop before who speaks is made to wait.
    let message = frame(0x82, &vec![7; 600_000], true, None);
    until(|| {
        members[0].write(&message);
        match watch.server.numbers()["sockeye_backpressure_waits_total"] {
            0.0 => Err("nobody had to wait".to_owned()),
            _ => Ok(()),
        }
    });
    watch.moves(&["sockeye_backpressure_waits_total"]);
}

fn timers_fire(watch: &Watch) {
    let _somebody = watch.open("/echo");
    watch.moves(&[
        "sockeye_loop_lag_seconds{shard=0}",
        "sockeye_loop_lag_seconds_sum{shard=0}",
        "sockeye_loop_lag_seconds_count{shard=0}",
    ]);
}

fn the_log_is_not_read(watch: &Watch) {
    // The pipe holds some hundred lines, and the queue before it a thousand.
    watch.server.stops_reading();
    until(|| {
        for _ in 0..200 {
            watch.ask(b"nonsense\r\n\r\n");
        }
        match watch.server.numbers()["sockeye_log_lines_lost_total"] {
            0.0 => Err("every line was taken".to_owned()),
            _ => Ok(()),
        }
    });
    watch.moves(&["sockeye_log_lines_lost_total"]);
}

fn descriptors_run_out(watch: &Watch) {
    let pid = format!("--pid={}", watch.server.pid());
    let limit = |count: &str| {
        let status = Command::new("prlimit").args([&pid, &format!("--nofile={count}:")]).status();
        assert!(status.unwrap().success());
    };
    limit("40");
    watch_held(watch);
    limit("200");
    watch.moves(&["sockeye_accept_failures_total", "process_max_fds"]);
}

/// Many come and go.
fn watch_held(watch: &Watch) {
    let held: Vec<_> =
        (0..60).filter_map(|_| TcpStream::connect(watch.server.address).ok()).collect();
    thread::sleep(Duration::from_millis(300));
    drop(held);
}

fn the_server_goes_down(watch: &Watch) {
    let mut late = TcpStream::connect(watch.server.address).unwrap();
    late.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = upgrade("GET /echo HTTP/1.1", &[], "");
    let (first, last) = request.split_at(20);
    late.write_all(first).unwrap();
    // One that takes its time to agree, so that the server is still there, and one that does not.
    let mut stays = watch.open("/echo").without_auto_close();
    let mut leaves = watch.open("/echo");
    watch.comes_to("sockeye_connections", 3.0);
    watch.server.signal("TERM");
    leaves.watch(2);
    stays.watch(1);
    late.write_all(last).unwrap();
    let mut answer = Vec::new();
    match late.read_to_end(&mut answer) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("{error}"),
        _ => {}
    }
    assert!(answer.starts_with(b"HTTP/1.1 503 "));
    watch.moves(&[
        "sockeye_connections_ended_total{reason=draining}",
        "sockeye_handshake_failures_total{reason=draining}",
        "sockeye_close_frames_sent_total{code=1001}",
    ]);
}

fn the_process_works(watch: &Watch) {
    let held: Vec<_> = (0..20).map(|_| TcpStream::connect(watch.server.address).unwrap()).collect();
    watch.moves(&["process_open_fds"]);
    drop(held);
    let mut actors: Vec<_> = (0..4).map(|_| watch.open("/chat?user=ann&room=tea")).collect();
    until(|| {
        let body = "x".repeat(50_000);
        for actor in &mut actors {
            actor.text(&json!({"op": "say", "room": "tea", "body": body}).to_string());
            actor.watch_for(usize::MAX, Duration::from_millis(10));
        }
        let (now, before) = (watch.server.numbers(), &watch.before);
        let of = |name: &str| now[name] - before[name];
        match of("process_cpu_seconds_total") > 0.0 && of("process_resident_memory_bytes") > 0.0 {
            true => Ok(()),
            false => Err("no time and no memory were spent".to_owned()),
        }
    });
    watch.moves(&["process_cpu_seconds_total", "process_resident_memory_bytes"]);
}

/// What does not move while a server runs is as it is started.
fn servers_differ(watch: &Watch) {
    // Each has all its threads once its loops answer.
    let other = Server::start(&["--shards", "1", "--max-connections", "7"]);
    let _ = (get(other.address, "/", ""), get(watch.server.address, "/", ""));
    let one = other.numbers();
    for (series, here, there) in
        [("sockeye_shards", 2.0, 1.0), ("sockeye_connections_max", 100_000.0, 7.0)]
    {
        assert_eq!((watch.before[series], one[series]), (here, there), "{series}");
    }
    let version = format!("sockeye_build_info{{version={}}}", env!("CARGO_PKG_VERSION"));
    assert_eq!(one[&version], 1.0);
    let told = ["process_threads", "process_virtual_memory_bytes", "process_start_time_seconds"];
    for series in told {
        until(|| match watch.server.numbers()[series] == one[series] {
            true => Err(format!("{series} is the same")),
            false => Ok(()),
        });
    }
    let mut moved = watch.moved.lock().unwrap();
    moved.extend(told.map(str::to_owned));
    moved.extend(["sockeye_shards", "sockeye_connections_max", &version].map(str::to_owned));
}
