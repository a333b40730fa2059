//! Much of something small, and answers that nobody reads.

use std::thread;
use std::time::Duration;

use crate::actor::{Actor, Saw, frame};
use crate::trial::{Trial, pour, pour_all, upgrade};

fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    frame(first, payload, true, None)
}

/// Pours one flood into several connections of which none is ever read. No more than `most` is taken of it.
fn unread_after(trial: &Trial, target: &str, unit: &[u8], most: usize) {
    let many = unit.repeat((64 << 10) / unit.len());
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut greedy = upgrade(trial.address(), target, None);
                let taken = pour(&mut greedy, &many, most);
                // Its own sending must come to a halt: nothing else bounds what it is owed.
                assert!(taken < most, "{taken} bytes were answered into the void");
                thread::sleep(Duration::from_millis(500));
            });
        }
    });
}

fn unread(trial: &Trial, target: &str, unit: &[u8]) {
    unread_after(trial, target, unit, 64 << 20);
}

#[test]
fn a_ping_flood_whose_answers_are_never_read_costs_bounded_memory() {
    let trial = Trial::start(&[]);
    // Of a read that holds two thousand pings some sixty are answered: it takes longer until that is too much.
    unread_after(&trial, "/echo", &masked(0x89, &[7; 125]), 512 << 20);
    trial.survived();
}

#[test]
fn an_empty_ping_flood_whose_answers_are_never_read_costs_bounded_memory() {
    let trial = Trial::start(&[]);
    let mut greedy = upgrade(trial.address(), "/echo", None);
    let many = masked(0x89, b"").repeat(10_000);
    // Answered by one pong for each read, it is not slowed down and need not be.
    pour(&mut greedy, &many, 8 << 20);
    trial.survived();
}

#[test]
fn pings_between_messages_whose_answers_are_never_read_cost_bounded_memory() {
    let trial = Trial::start(&[]);
    unread(&trial, "/echo", &[masked(0x89, &[7; 125]), masked(0x82, &[7; 10])].concat());
    trial.survived();
}

#[test]
fn an_echo_of_tiny_messages_that_is_never_read_costs_bounded_memory() {
    let trial = Trial::start(&[]);
    unread(&trial, "/echo", &masked(0x82, b"x"));
    unread(&trial, "/echo", &masked(0x81, b""));
    trial.survived();
}

#[test]
fn an_echo_of_large_messages_that_is_never_read_costs_bounded_memory() {
    let trial = Trial::start(&[]);
    unread(&trial, "/echo", &masked(0x82, &[7; 60_000]));
    trial.survived();
}

#[test]
fn answers_longer_than_what_asks_for_them_cost_bounded_memory_where_they_are_not_read() {
    let trial = Trial::start(&[]);
    // A byte comes back with the longest of names before it, and a packet comes back twice.
    unread(&trial, &format!("/ws?user={}", "n".repeat(128)), &masked(0x81, b"x"));
    let packet = br#"{"type":"get-enter","toId":"me","userId":"me"}"#;
    let enter = br#"{"type":"get-pass","userId":"me"}"#;
    unread(&trial, "/im", &[masked(0x81, enter), masked(0x81, packet)].concat());
    trial.survived();
}

#[test]
fn a_flood_of_tiny_messages_that_nobody_hears_starves_nobody() {
    let trial = Trial::start(&[]);
    let many = masked(0x82, b"x").repeat(10_000);
    thread::scope(|scope| {
        for room in ["one", "two", "three"] {
            let (trial, many) = (&trial, &many);
            scope.spawn(move || {
                let target = format!("/broadcast?room={room}");
                let mut greedy = upgrade(trial.address(), &target, None);
                // A million messages.
                pour_all(&mut greedy, many, 7_000_000);
            });
        }
    });
    trial.survived();
}

#[test]
fn a_flood_of_tiny_messages_among_many_is_bounded_where_they_are_not_read() {
    let trial = Trial::start(&[]);
    let deaf: Vec<_> = (0..20).map(|_| upgrade(trial.address(), "/broadcast", None)).collect();
    let mut greedy = upgrade(trial.address(), "/broadcast", None);
    let many = masked(0x82, b"x").repeat(10_000);
    pour(&mut greedy, &many, 1_400_000);
    thread::sleep(Duration::from_millis(200));
    drop(deaf);
    trial.survived();
}

#[test]
fn a_flood_of_tiny_messages_in_a_crowded_room_leaves_every_turn_to_the_others() {
    let trial = Trial::start(&["--shards", "1"]);
    let crowd: Vec<_> = (0..800).map(|_| upgrade(trial.address(), "/broadcast", None)).collect();
    let mut greedy = upgrade(trial.address(), "/broadcast", None);
    // Few enough for the sockets' own buffers to hold what nobody reads.
    pour_all(&mut greedy, &masked(0x82, b"x").repeat(10_000), 70_000);
    thread::sleep(Duration::from_millis(300));
    drop(crowd);
    // Eight million messages told in a few turns would take twice that to queue, and a second.
    trial.survived_within(6 << 20);
}

#[test]
fn empty_fragments_without_end_fail_with_1009_at_the_limit() {
    let trial = Trial::start(&[]);
    let mut client = Actor::open(trial.address(), "/echo");
    let piece = masked(0x00, b"").repeat(1024);
    client.write(&masked(0x02, b""));
    // The first, and 131,071 more: a whole message of 131,072 would pass.
    for _ in 0..128 {
        client.write(&piece);
    }
    client.watch(2);
    assert!(matches!(client.saw[..], [Saw::Close(Some(1009), _), Saw::TcpEnd]), "{:?}", client.saw);
    trial.survived();
}

#[test]
fn a_message_of_131_072_fragments_passes() {
    let trial = Trial::start(&[]);
    let mut client = Actor::open(trial.address(), "/echo");
    let mut bytes = masked(0x02, b"");
    bytes.extend(masked(0x00, b"").repeat(131_070));
    bytes.extend(masked(0x80, b"end"));
    client.write(&bytes);
    client.watch(1);
    assert_eq!(client.saw, [Saw::Binary(b"end".into())]);
    trial.survived();
}

#[test]
fn fragments_of_one_byte_without_end_cost_what_has_arrived() {
    let trial = Trial::start(&[]);
    let piece = masked(0x00, b"x").repeat(1000);
    let clients: Vec<_> = (0..20)
        .map(|_| {
            let mut client = upgrade(trial.address(), "/echo", None);
            pour(&mut client, &masked(0x02, b""), 6);
            pour(&mut client, &piece, 100 * 7 * 1000);
            client
        })
        .collect();
    thread::sleep(Duration::from_millis(200));
    drop(clients);
    trial.survived();
}

#[test]
fn a_pong_flood_costs_nothing() {
    let trial = Trial::start(&[]);
    let mut client = upgrade(trial.address(), "/echo", None);
    let many = masked(0x8A, &[7; 125]).repeat(500);
    pour_all(&mut client, &many, 32 << 20);
    trial.survived();
}
