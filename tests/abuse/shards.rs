//! Connections that are handed from one loop to another, and rooms that have members at several.

use std::io::{Read, Write};
use std::thread;
use std::time::Duration;

use crate::actor::{Actor, Saw, frame};
use crate::trial::{Trial, dial, pour, request, upgrade};

const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn connections_that_are_handed_over_come_and_go_and_leave_nothing() {
    let trial = Trial::start(&["--shards", "4"]);
    let descriptors = trial.descriptors();
    let register = frame(0x81, br#"{"type":"get-pass","userId":"me"}"#, true, None);
    let both = [request("/im", None).as_bytes(), &register].concat();
    thread::scope(|scope| {
        for _ in 0..4 {
            let (trial, both) = (&trial, &both);
            scope.spawn(move || {
                for round in 0..500 {
                    let mut client = dial(trial.address());
                    // With a message behind the head, which is heard where it arrives; some are cut.
                    let cut = if round % 3 == 0 { both.len() - 7 } else { both.len() };
                    client.write_all(&both[..cut]).unwrap();
                    if round % 2 == 0 {
                        let mut answer = [0; 12];
                        client.read_exact(&mut answer).unwrap();
                        assert_eq!(&answer, b"HTTP/1.1 101");
                    } else {
                        let linger = Some(Duration::ZERO);
                        socket2::SockRef::from(&client).set_linger(linger).unwrap();
                    }
                }
            });
        }
    });
    trial.until_descriptors(descriptors, PATIENCE);
    trial.survived();
}

#[test]
fn who_is_handed_over_is_counted_once_for_its_address() {
    let trial = Trial::start(&["--shards", "4", "--max-per-ip", "9"]);
    let descriptors = trial.descriptors();
    for _ in 0..20 {
        // The good client is one of nine.
        let clients: Vec<_> = (0..8).map(|_| upgrade(trial.address(), "/im", None)).collect();
        assert_eq!(crate::trial::status_of(trial.address(), request("/im", None).as_bytes()), None);
        drop(clients);
        trial.until_descriptors(descriptors, PATIENCE);
    }
    trial.survived();
}

#[test]
fn a_flood_of_connections_that_were_handed_over_starves_nobody() {
    let trial = Trial::start(&["--shards", "4"]);
    let packet = br#"{"type":"get-enter","toId":"me","userId":"me"}"#;
    let enter = br#"{"type":"get-pass","userId":"me"}"#;
    let many = [frame(0x81, enter, true, None), frame(0x81, packet, true, None)].concat();
    let many = many.repeat(1000);
    let mut greedy: Vec<_> = (0..6).map(|_| upgrade(trial.address(), "/im", None)).collect();
    for stream in &mut greedy {
        assert!(pour(stream, &many, 64 << 20) < 64 << 20, "answers that nobody reads");
    }
    drop(greedy);
    trial.survived();
}

#[test]
fn a_flood_in_a_room_of_several_shards_is_bounded_and_reaches_those_who_read() {
    let trial = Trial::start(&["--shards", "4"]);
    let address = trial.address();
    let tiny = frame(0x82, b"x", true, None).repeat(10_000);
    // Members everywhere: whoever is idle takes the next connection.
    let mut readers: Vec<_> = (0..3).map(|_| Actor::open(address, "/broadcast?room=all")).collect();
    let greedy: Vec<_> = (0..3)
        .map(|_| {
            let tiny = tiny.clone();
            thread::spawn(move || {
                let mut greedy = upgrade(address, "/broadcast?room=all", None);
                // It hears the others and does not read them, so it may be dropped on the way.
                pour(&mut greedy, &tiny, 500_000);
                greedy
            })
        })
        .collect();
    thread::scope(|scope| {
        for reader in &mut readers {
            // Two seconds of silence are the end.
            scope.spawn(move || {
                let mut seen = 0;
                loop {
                    reader.watch_for(1, Duration::from_secs(2));
                    if reader.saw.is_empty() {
                        break;
                    }
                    let heard = reader.saw.drain(..).all(|saw| saw == Saw::Binary(b"x".into()));
                    assert!(heard, "who reads is not dropped");
                    seen += 1;
                }
                assert!(seen > 0);
            });
        }
    });
    drop(greedy);
    trial.survived();
}
