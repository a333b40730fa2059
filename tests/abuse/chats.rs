//! The native chat, whose clients may make it keep and repeat what was said.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::actor::{Actor, Saw, frame};
use crate::trial::{GROWTH_MAX, Trial, pour, request, upgrade};

const PATIENCE: Duration = Duration::from_secs(30);

fn masked(message: &str) -> Vec<u8> {
    frame(0x81, message.as_bytes(), true, None)
}

/// One that speaks the dialect.
struct Chatter {
    actor: Actor,
    told: VecDeque<Value>,
}

impl Chatter {
    fn open(address: SocketAddr, target: &str) -> Self {
        Self { actor: Actor::open(address, target), told: VecDeque::new() }
    }

    fn ask(&mut self, request: &Value) {
        self.actor.text(&request.to_string());
    }

    /// The next thing it is told; `None` when it is closed.
    fn next(&mut self) -> Option<Value> {
        if self.told.is_empty() {
            self.actor.watch_for(1, PATIENCE);
            let texts = self.actor.saw.drain(..).map_while(|saw| match saw {
                Saw::Text(text) => Some(serde_json::from_str(&text).unwrap()),
                _ => None,
            });
            self.told.extend(texts);
        }
        self.told.pop_front()
    }

    /// The next of this kind; others are passed over.
    fn until(&mut self, ev: &str) -> Value {
        loop {
            let event = self.next().expect("it is not closed");
            if event["ev"] == ev {
                return event;
            }
        }
    }
}

/// Sends all this, reads everything, and tells how often each event and error came, and the close.
fn flooded(trial: &Trial, target: &str, flood: &[u8]) -> (Vec<(String, usize)>, Option<u16>) {
    let mut actor = Actor::open(trial.address(), target);
    actor.write(flood);
    actor.watch_for(usize::MAX, PATIENCE);
    let mut counts: Vec<(String, usize)> = Vec::new();
    let mut code = None;
    for saw in actor.saw {
        match saw {
            Saw::Text(text) => {
                let event: Value = serde_json::from_str(&text).unwrap();
                let name = event["code"].as_str().or(event["ev"].as_str()).unwrap().to_owned();
                match counts.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, count)) => *count += 1,
                    None => counts.push((name, 1)),
                }
            }
            Saw::Close(with, _) => code = with,
            Saw::TcpEnd => {}
            other => panic!("{other:?}"),
        }
    }
    (counts, code)
}

fn count(counts: &[(String, usize)], name: &str) -> usize {
    counts.iter().find(|(known, _)| known == name).map_or(0, |&(_, count)| count)
}

#[test]
fn over_the_rate_what_is_said_is_refused_with_the_wait_and_then_the_connection_is_closed_with_4029()
{
    let trial = Trial::start(&[]);
    let say = masked(r#"{"op":"say","room":"tea","body":"x"}"#);
    let (counts, code) = flooded(&trial, "/chat?user=eve&room=tea", &say.repeat(4000));
    // Ten seconds' worth at once, and then a thousand warnings.
    let (acks, warnings) = (count(&counts, "ack"), count(&counts, "rate_limited"));
    assert!((1000..1300).contains(&acks), "{counts:?}");
    assert!(warnings >= 999, "{counts:?}");
    assert_eq!(code, Some(4029), "{counts:?}");
    trial.survived();
}

#[test]
fn what_means_nothing_is_forgiven_sixty_times_and_then_closed_with_1008() {
    let trial = Trial::start(&[]);
    for nonsense in ["{\"op\":", "[]", "{\"op\":\"fly\"}", &"[".repeat(2000), "\u{0}"] {
        let flood = masked(nonsense).repeat(900);
        let (counts, code) = flooded(&trial, "/chat?user=eve", &flood);
        let errors = count(&counts, "bad_request") + count(&counts, "unknown_op");
        assert!((60..90).contains(&errors), "{counts:?}");
        assert_eq!(code, Some(1008), "{counts:?}");
    }
    trial.survived();
}

#[test]
fn tiny_pings_of_the_dialect_whose_answers_are_never_read_cost_bounded_memory() {
    let trial = Trial::start(&[]);
    let ping = masked(r#"{"op":"ping","t":1}"#).repeat(1000);
    let mut greedy: Vec<_> =
        (0..10).map(|n| upgrade(trial.address(), &format!("/chat?user=u{n}"), None)).collect();
    for stream in &mut greedy {
        pour(stream, &ping, 4 * ping.len());
    }
    thread::sleep(Duration::from_millis(300));
    drop(greedy);
    trial.survived();
}

/// Fills a room with a megabyte.
fn fill(address: SocketAddr, room: &str) -> Chatter {
    let mut speaker = Chatter::open(address, &format!("/chat?user=speaker&room={room}"));
    for seq in 1..=10 {
        let body = "x".repeat(90_000);
        speaker.ask(&json!({"op": "say", "room": room, "seq": seq, "body": body}));
        speaker.until("ack");
    }
    speaker
}

#[test]
fn pages_of_history_that_are_never_read_cost_bounded_memory_and_who_reads_gets_all() {
    let trial = Trial::start(&[]);
    drop(fill(trial.address(), "tea"));
    let page = masked(r#"{"op":"history","room":"tea"}"#);
    let mut deaf: Vec<_> = (0..8)
        .map(|n| upgrade(trial.address(), &format!("/chat?user=u{n}&room=tea"), None))
        .collect();
    for stream in &mut deaf {
        // Half a megabyte each is asked for 500 times.
        pour(stream, &page, 500 * page.len());
    }
    let mut reader = Chatter::open(trial.address(), "/chat?user=reader&room=tea");
    reader.actor.write(&page.repeat(60));
    for _ in 0..60 {
        assert!(reader.until("history")["messages"].as_array().unwrap().len() > 3);
    }
    drop(deaf);
    trial.survived();
}

#[test]
fn rooms_that_are_resumed_by_many_who_never_read_cost_bounded_memory() {
    let trial = Trial::start(&[]);
    let message = frame(0x81, &[b'x'; 8000], true, None);
    let mut resume = serde_json::Map::new();
    for room in 0..24 {
        let joined = format!("/chat?user=host&room=r{room}");
        let mut host = Chatter::open(trial.address(), &joined);
        let epoch = host.until("joined")["epoch"].clone();
        resume.insert(format!("r{room}"), json!({"epoch": epoch, "offset": 0}));
        let mut raw = upgrade(trial.address(), &format!("/broadcast?room=r{room}"), None);
        crate::trial::pour_all(&mut raw, &message, 600_000);
        while host.until("message")["offset"].as_u64().unwrap() < 70 {}
    }
    let hello = json!({"op": "hello", "user": "eve", "resume": resume}).to_string();
    let deaf: Vec<_> = (0..8)
        .map(|_| {
            let mut stream = upgrade(trial.address(), "/chat", None);
            stream.write_all(&masked(&hello)).unwrap();
            stream
        })
        .collect();
    thread::sleep(Duration::from_millis(500));
    drop(deaf);
    // The rooms are 14 MB; half a megabyte of each for everybody would be 100.
    trial.survived_within((14 << 20) + GROWTH_MAX);
}

#[test]
fn a_new_producer_with_each_message_costs_what_little_is_remembered_of_it() {
    let trial = Trial::start(&[]);
    thread::scope(|scope| {
        for client in 0..4 {
            let trial = &trial;
            scope.spawn(move || {
                let target = format!("/chat?user=u{client}&room=tea");
                let mut flood = Vec::new();
                for n in 0..490 {
                    let producer = format!("{n:0>64}");
                    let hello = json!({"op": "hello", "producer": producer});
                    let say = json!({"op": "say", "room": "tea", "seq": 1, "body": 1});
                    flood.extend(masked(&hello.to_string()));
                    flood.extend(masked(&say.to_string()));
                }
                let mut eve = Chatter::open(trial.address(), &target);
                eve.actor.write(&flood);
                for _ in 0..490 {
                    assert_eq!(eve.until("ack")["duplicate"], Value::Null);
                }
            });
        }
    });
    trial.survived();
}

/// A connection that takes little at a time, so that what it does not read waits at the server.
fn narrow(address: SocketAddr, target: &str) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&address.into()).unwrap();
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request(target, None).as_bytes()).unwrap();
    stream
}

#[test]
fn a_slow_consumer_is_closed_with_4008_and_gets_the_rest_when_it_comes_back() {
    let trial = Trial::start(&["--history-bytes", "16MiB"]);
    let mut slow = narrow(trial.address(), "/chat?user=slow&room=tea");
    // It is in the room when its own `joined` is on its way.
    let mut first = vec![0; 700];
    slow.read_exact(&mut first[..200]).unwrap();
    thread::sleep(Duration::from_millis(200));
    let mut speaker = Chatter::open(trial.address(), "/chat?user=speaker&room=tea");
    let count = 80;
    for seq in 1..=count {
        let body = "x".repeat(100_000);
        speaker.ask(&json!({"op": "say", "room": "tea", "seq": seq, "body": body}));
        speaker.until("ack");
    }
    let mut bytes = Vec::new();
    slow.read_to_end(&mut bytes).unwrap();
    let close = bytes.len() - 4 - "too slow".len();
    assert_eq!(bytes[close..close + 4], [0x88, 10, 0x0F, 0xA8], "4008");
    let (mut last, mut epoch) = (0, 0);
    let texts = String::from_utf8_lossy(&bytes);
    for (at, _) in texts.match_indices(r#"{"ev":"message""#) {
        // Up to the body; the last but the close may be cut off by no frame.
        let number = |name: &str| -> u64 {
            let rest = texts[at..].split_once(&format!("\"{name}\":")).unwrap().1;
            rest.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
        };
        assert_eq!(number("prev"), last);
        (last, epoch) = (number("offset"), number("epoch"));
    }
    assert!((1..count).contains(&last), "{last} of {count} came before the close");
    let mut back = Chatter::open(trial.address(), "/chat");
    let since = json!({"tea": {"epoch": epoch, "offset": last}});
    back.ask(&json!({"op": "hello", "user": "slow", "resume": since}));
    assert_eq!(back.until("joined")["recovered"], true);
    // A replay is bounded: what is behind it is asked for by pages.
    let mut asked = false;
    while last < count {
        if asked {
            back.ask(&json!({"op": "history", "room": "tea", "after": last}));
            let page = back.until("history");
            let messages = page["messages"].as_array().unwrap();
            assert!(!messages.is_empty(), "nothing after {last} of {count}");
            for message in messages {
                assert_eq!(message["offset"], last + 1);
                last += 1;
            }
        } else {
            back.ask(&json!({"op": "ping"}));
            while let Some(event) = back.next() {
                if event["ev"] == "pong" {
                    break;
                }
                assert_eq!((&event["ev"], &event["offset"]), (&json!("message"), &json!(last + 1)));
                last += 1;
            }
            asked = true;
        }
    }
    // The 8 MB are the room's history; not also each reader's.
    trial.survived_within((8 << 20) + GROWTH_MAX);
}

#[test]
fn a_flood_of_raw_clients_into_kept_rooms_costs_no_more_than_the_memory_for_history() {
    let trial = Trial::start(&["--history-memory", "4MiB"]);
    let message = frame(0x82, &[7; 8000], true, None);
    // Two megabytes each into twenty rooms with a past.
    for room in 0..20 {
        let joined = format!("/chat?user=host&room=r{room}");
        let mut host = Chatter::open(trial.address(), &joined);
        host.until("joined");
        drop(host);
        let mut raw = upgrade(trial.address(), &format!("/broadcast?room=r{room}"), None);
        crate::trial::pour_all(&mut raw, &message, 2 << 20);
    }
    trial.survived();
}

#[test]
fn a_room_remembers_so_many_messages_and_so_many_bytes() {
    for (flag, value, kept) in
        [("--history-messages", "7", 7..8), ("--history-bytes", "64KiB", 5..7)]
    {
        let trial = Trial::start(&[flag, value]);
        let mut speaker = Chatter::open(trial.address(), "/chat?user=speaker&room=tea");
        for seq in 1..=20 {
            let body = "x".repeat(10_000);
            speaker.ask(&json!({"op": "say", "room": "tea", "seq": seq, "body": body}));
            speaker.until("ack");
        }
        speaker.ask(&json!({"op": "history", "room": "tea"}));
        let page = speaker.until("history");
        let messages = page["messages"].as_array().unwrap();
        assert!(kept.contains(&messages.len()), "{flag} {value}: {}", messages.len());
        assert_eq!(messages.last().unwrap()["offset"], 20, "the newest stay");
        trial.survived();
    }
}

#[test]
fn a_page_of_history_has_a_hundred_messages_at_most_whatever_is_asked_for() {
    let trial = Trial::start(&[]);
    let mut speaker = Chatter::open(trial.address(), "/chat?user=speaker&room=tea");
    let say = masked(r#"{"op":"say","room":"tea","body":0}"#);
    speaker.actor.write(&say.repeat(130));
    for limit in [100, 101, 1_000_000_000] {
        speaker.ask(&json!({"op": "history", "room": "tea", "limit": limit}));
        let page = speaker.until("history");
        assert_eq!(page["messages"].as_array().unwrap().len(), 100);
        assert_eq!(page["more"], true);
    }
    trial.survived();
}

#[test]
fn messages_of_16_mib_into_a_kept_room_are_told_and_not_kept() {
    let trial = Trial::start(&[]);
    let mut host = Chatter::open(trial.address(), "/chat?user=host&room=tea");
    host.until("joined");
    let mut raw = Actor::open(trial.address(), "/broadcast?room=tea");
    let mut other = Actor::open(trial.address(), "/broadcast?room=tea");
    // With what stands around it in the dialect it is 16 MiB at most, which is what clients take.
    let len = (16 << 20) - 1000;
    let message = frame(0x81, &vec![b'x'; len], true, None);
    let begin = Instant::now();
    for _ in 0..3 {
        raw.write(&message);
        other.watch_for(1, PATIENCE);
        assert!(matches!(&other.saw[..], [Saw::Text(text)] if text.len() == len));
        other.saw.clear();
        assert_eq!(host.until("message")["body"].as_str().unwrap().len(), len);
    }
    println!("three of 16 MiB took {:.0?}", begin.elapsed());
    host.ask(&json!({"op": "history", "room": "tea"}));
    assert_eq!(host.until("history")["messages"], json!([]));
    // As it arrives, as the log tells it, and as a frame in each of two forms; not three times that.
    trial.survived_within(7 * (16 << 20) + (1 << 20));
}
