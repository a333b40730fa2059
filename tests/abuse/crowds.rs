//! Many that come and go, do not read, or want more than there is.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::actor::{Actor, Saw, frame};
use crate::trial::{GROWTH_MAX, Trial, dial, request, upgrade};

const PATIENCE: Duration = Duration::from_secs(30);

fn reset(stream: TcpStream) {
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
}

#[test]
fn a_reset_in_the_middle_of_a_frame_or_head_leaves_nothing() {
    let trial = Trial::start(&[]);
    let descriptors = trial.descriptors();
    let message = frame(0x82, &[7; 5000], true, None);
    for round in 0..300 {
        // In the header, in the mask, in the payload; and between two fragments.
        let cut = [1, 3, 5, 9, 100, 4999][round % 6];
        let mut client = upgrade(trial.address(), "/broadcast", None);
        if round % 2 == 0 {
            client.write_all(&frame(0x02, b"begun", true, None)).unwrap();
        } else {
            client.write_all(&message[..cut]).unwrap();
        }
        reset(client);
        let mut client = dial(trial.address());
        client.write_all(&request("/echo", None).as_bytes()[..cut.min(100)]).unwrap();
        reset(client);
    }
    trial.until_descriptors(descriptors, PATIENCE);
    trial.survived();
}

#[test]
fn twenty_thousand_come_and_go_and_leave_no_descriptor_and_no_memory() {
    let trial = Trial::start(&[]);
    let descriptors = trial.descriptors();
    let head = request("/ws?room=hall", None);
    let mut halfway = 0;
    for round in 0..20_000 {
        let mut client = TcpStream::connect(trial.address()).unwrap();
        match round % 5 {
            // Without a word; in the middle of the head; upgraded; refused.
            0 => {}
            1 => client.write_all(&head.as_bytes()[..50]).unwrap(),
            2 | 3 => {
                client.write_all(head.as_bytes()).unwrap();
                // The greeting is in the same write.
                assert!(client.read(&mut [0; 1000]).unwrap() > 0);
            }
            _ => client.write_all(b"\0").unwrap(),
        }
        // Half of them by a reset, half by an end.
        if round % 2 == 0 {
            reset(client);
        }
        if round == 10_000 {
            halfway = trial.server.memory();
        }
    }
    trial.until_descriptors(descriptors, PATIENCE);
    let (half, whole) = (halfway.saturating_sub(trial.memory), trial.server.memory());
    let grown = whole.saturating_sub(halfway);
    assert!(grown < 2 << 20, "{grown} bytes more by the second half, {half} by the first");
    trial.survived();
}

#[test]
fn who_never_reads_a_broadcast_is_dropped_and_the_readers_get_everything() {
    let trial = Trial::start(&[]);
    let descriptors = trial.descriptors();
    let mut deaf: Vec<_> = (0..10).map(|_| upgrade(trial.address(), "/broadcast", None)).collect();
    let mut listener = Actor::open(trial.address(), "/broadcast");
    let mut speaker = Actor::open(trial.address(), "/broadcast");
    let message = frame(0x82, &[7; 50_000], true, None);
    for round in 0..400 {
        speaker.write(&message);
        listener.watch(1);
        assert_eq!(listener.saw, [Saw::Binary(vec![7; 50_000])], "round {round}");
        listener.saw.clear();
    }
    // Each had its socket's buffers and 1 MiB, then 1013 as the last word, whenever it gets to it.
    for stream in &mut deaf {
        let mut said = Vec::new();
        stream.read_to_end(&mut said).unwrap();
        let last =
            said.windows(4).rposition(|it| it[0] == 0x88 && it[2..] == 1013u16.to_be_bytes());
        assert!(last.is_some_and(|at| at + 20 > said.len()), "{} bytes, no 1013", said.len());
    }
    drop(deaf);
    trial.until_descriptors(descriptors + 2, PATIENCE);
    drop((listener, speaker));
    trial.survived();
}

#[test]
fn a_burst_of_tiny_messages_gets_nobody_dropped_who_reads() {
    let trial = Trial::start(&[]);
    // With the longest of names before each, a burst is twenty times as long for those who hear it.
    let target = format!("/ws?user={}", "n".repeat(128));
    let mut listener = Actor::open(trial.address(), "/ws");
    let mut speaker = Actor::open(trial.address(), &target);
    let count = 15_000;
    let burst = frame(0x81, b"x", true, None).repeat(count);
    let heard = thread::spawn(move || {
        listener.watch_for(1 + count, PATIENCE);
        listener.saw
    });
    let own = thread::spawn(move || {
        speaker.write(&burst);
        speaker.watch_for(1 + count, PATIENCE);
        speaker.saw
    });
    for saw in [heard.join().unwrap(), own.join().unwrap()] {
        assert_eq!(saw.len(), 1 + count, "the last was {:?}", saw.last());
    }
    trial.survived();
}

#[test]
fn a_message_of_16_mib_to_many_that_never_read_is_kept_once() {
    let trial = Trial::start(&[]);
    let deaf: Vec<_> = (0..20).map(|_| upgrade(trial.address(), "/broadcast", None)).collect();
    let mut speaker = Actor::open(trial.address(), "/broadcast");
    speaker.write(&frame(0x82, &vec![7; 16 << 20], true, None));
    speaker.text("it was all heard");
    thread::sleep(Duration::from_millis(500));
    drop(deaf);
    // The message as it arrives, as the hub and the codec hold it, and the frame that all share; not 20.
    trial.survived_within(5 * (16 << 20));
}

/// Connects and asks for a WebSocket, without waiting for the answer.
fn ask(address: SocketAddr) -> TcpStream {
    let mut stream = dial(address);
    stream.write_all(request("/echo", None).as_bytes()).unwrap();
    stream
}

/// Whether the 101 is there.
fn is_open(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    match stream.peek(&mut [0; 12]) {
        Ok(count) => count == 12,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
            false
        }
    }
}

fn allow_descriptors(trial: &Trial, count: usize) {
    let status = Command::new("prlimit")
        .arg(format!("--pid={}", trial.server.pid()))
        .arg(format!("--nofile={count}:"))
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
fn out_of_descriptors_it_rests_serves_the_held_and_lets_others_in_when_some_come_free() {
    let trial = Trial::start(&["--handshake-timeout", "60"]);
    allow_descriptors(&trial, trial.descriptors() + 40);
    let mut clients: Vec<_> = (0..100).map(|_| ask(trial.address())).collect();
    thread::sleep(Duration::from_millis(500));
    let (mut held, waiting): (Vec<_>, Vec<_>) = clients.drain(..).partition(is_open);
    assert!((30..=41).contains(&held.len()), "{} are in", held.len());
    // It does not spin on an accept that fails.
    let ticks = trial.ticks();
    thread::sleep(Duration::from_secs(2));
    let ticks = trial.ticks() - ticks;
    assert!(ticks < 20, "{ticks} of 200 ticks of processor time while nothing could be done");
    // Those that are in are served.
    for stream in held.iter_mut().take(3) {
        stream.set_nonblocking(false).unwrap();
        stream.write_all(&frame(0x81, b"held", true, None)).unwrap();
        let mut heard = Vec::new();
        while !heard.ends_with(b"held") {
            let mut bytes = [0; 1000];
            let count = stream.read(&mut bytes).unwrap();
            heard.extend_from_slice(&bytes[..count]);
        }
    }
    let begin = Instant::now();
    held.truncate(10);
    while !waiting.iter().any(is_open) {
        assert!(begin.elapsed() < PATIENCE, "nobody was let in");
        thread::sleep(Duration::from_millis(5));
    }
    println!("let in after {:.0?}", begin.elapsed());
    assert!(begin.elapsed() < Duration::from_secs(1), "let in after {:?}", begin.elapsed());
    // Nor does anybody have to leave: where descriptors come free elsewhere, no event says so.
    let begin = Instant::now();
    allow_descriptors(&trial, trial.descriptors() + 100);
    while !waiting.iter().all(is_open) {
        assert!(begin.elapsed() < Duration::from_secs(1), "not all are in after a second");
        thread::sleep(Duration::from_millis(5));
    }
    drop(waiting);
    drop(held);
    trial.survived();
}

#[test]
fn at_the_limit_of_connections_the_next_waits_and_the_held_are_served() {
    // The good client is one of them.
    let trial = Trial::start(&["--max-connections", "11"]);
    let clients: Vec<_> = (0..30).map(|_| ask(trial.address())).collect();
    let begin = Instant::now();
    while clients.iter().filter(|it| is_open(it)).count() < 10 {
        assert!(begin.elapsed() < PATIENCE);
        thread::sleep(Duration::from_millis(5));
    }
    thread::sleep(Duration::from_millis(300));
    let (held, waiting): (Vec<_>, Vec<_>) = clients.into_iter().partition(is_open);
    assert_eq!(held.len(), 10);
    drop(held);
    let begin = Instant::now();
    while waiting.iter().filter(|it| is_open(it)).count() < 10 {
        assert!(begin.elapsed() < PATIENCE, "nobody follows");
        thread::sleep(Duration::from_millis(5));
    }
    drop(waiting);
    trial.survived();
}

#[test]
fn one_address_has_so_many_connections_and_another_is_let_in() {
    let trial = Trial::start(&["--max-per-ip", "11"]);
    let clients: Vec<_> = (0..30).map(|_| TcpStream::connect(trial.address()).unwrap()).collect();
    let mut open = 0;
    for mut stream in &clients {
        stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        // One too many is told so, or hung up on; either way it is not kept.
        let _ = stream.write_all(request("/echo", None).as_bytes());
        let mut answer = [0; 12];
        open += usize::from(stream.read_exact(&mut answer).is_ok() && &answer == b"HTTP/1.1 101");
    }
    assert_eq!(open, 10);
    // Another address of this machine.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 2], 0)).into()).unwrap();
    socket.connect(&trial.address().into()).unwrap();
    let mut other = TcpStream::from(socket);
    other.write_all(request("/echo", None).as_bytes()).unwrap();
    let mut answer = [0; 12];
    other.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 101");
    drop(clients);
    trial.held_within(GROWTH_MAX);
}

#[test]
fn one_client_s_flood_starves_nobody_of_its_shard_or_another() {
    let trial = Trial::start(&["--shards", "2"]);
    let many = frame(0x82, b"x", true, None).repeat(10_000);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut greedy = upgrade(trial.address(), "/broadcast?room=empty", None);
                crate::trial::pour(&mut greedy, &many, 7_000_000);
            });
        }
    });
    trial.survived();
}
