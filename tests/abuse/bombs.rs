//! Few bytes on the wire that are many behind it (RFC 7692 section 8).

use std::io::Write;
use std::thread;
use std::time::Duration;

use sockeye::proto::deflate::{Deflate, Params, WindowBits};
use sockeye::proto::{Config, Connection, Message};

use crate::actor::{Actor, Saw};
use crate::trial::{Trial, pour, pour_all, upgrade};

const OFFER: &str = "permessage-deflate; client_no_context_takeover";

/// A message of these parts, compressed as a client may.
fn compressed(parts: &[&[u8]]) -> Vec<u8> {
    let params = Params {
        server_no_context_takeover: true,
        client_no_context_takeover: true,
        server_max_window_bits: WindowBits::MAX,
        client_max_window_bits: WindowBits::MAX,
    };
    let mut client = Connection::client(Config::default(), |bytes: &mut [u8]| bytes.fill(9));
    client.enable_deflate(&params, &Deflate::default());
    let mut out = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        let (_, tx) = client.split_mut();
        tx.fragment(Message::Binary(part), at + 1 == parts.len(), &mut out).unwrap();
    }
    out
}

fn open(trial: &Trial, target: &str) -> Actor {
    let header = ("Sec-WebSocket-Extensions".to_owned(), Some(OFFER.to_owned()));
    let mut actor = Actor::request(trial.address(), "GET", target, &[header], b"");
    actor.watch(1);
    assert!(matches!(actor.saw.remove(0), Saw::Open { accept_ok: true, .. }));
    actor
}

#[test]
fn a_deflate_bomb_fails_with_1009_at_the_limit_and_no_more_is_spent() {
    let trial = Trial::start(&["--deflate", "--max-payload", "1048576"]);
    let zeros = vec![0; 1 << 20];
    // 256 MiB in one message, in one frame or in many.
    let bomb = compressed(&vec![&zeros[..]; 256]);
    for target in ["/broadcast", "/echo", "/im"] {
        for _ in 0..5 {
            let mut client = open(&trial, target);
            client.write(&bomb);
            client.watch(2);
            let saw = &client.saw[..];
            assert!(matches!(saw, [Saw::Close(Some(1009), _), Saw::TcpEnd]), "{target}: {saw:?}");
        }
    }
    trial.survived();
}

#[test]
fn many_bombs_at_once_cost_no_more_than_the_messages_they_may_be() {
    let trial = Trial::start(&["--deflate", "--max-payload", "65536"]);
    let zeros = vec![0; 1 << 20];
    let bomb = compressed(&[&zeros[..]; 64]);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let mut client = open(&trial, "/broadcast");
                    client.write(&bomb);
                    client.watch(2);
                    assert_eq!(client.saw.last(), Some(&Saw::TcpEnd), "{:?}", client.saw);
                }
            });
        }
    });
    trial.survived();
}

#[test]
fn a_bomb_at_the_default_limit_costs_one_message_at_most() {
    let trial = Trial::start(&["--deflate"]);
    let zeros = vec![0; 1 << 20];
    let bomb = compressed(&vec![&zeros[..]; 256]);
    let mut client = open(&trial, "/broadcast");
    client.write(&bomb);
    client.watch(2);
    assert!(matches!(client.saw[..], [Saw::Close(Some(1009), _), Saw::TcpEnd]), "{:?}", client.saw);
    // 16 MiB of message while its buffer grows, and no 256.
    trial.survived_within(34 << 20);
}

/// Pours messages that are legal, small on the wire and 60 KiB behind it, from several clients.
fn bomblets(trial: &Trial, target: &str, extensions: &str, message: &[u8], patience: Duration) {
    let wire = compressed(&[message]);
    assert!(wire.len() < 1000, "{} bytes", wire.len());
    let many = wire.repeat((256 << 10) / wire.len());
    let begin = std::time::Instant::now();
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut client = upgrade(trial.address(), target, Some(extensions));
                // A million would be 60 GB; as many as go in some seconds show what they cost others.
                while begin.elapsed() < patience {
                    if pour(&mut client, &many, many.len()) < many.len() {
                        // A unit was cut: this one is blocked, and need not go on.
                        break;
                    }
                }
                thread::sleep(Duration::from_millis(300));
            });
        }
    });
}

#[test]
fn small_legal_bomblets_without_end_starve_nobody() {
    let trial = Trial::start(&["--deflate"]);
    let patience = Duration::from_secs(4);
    bomblets(&trial, "/broadcast?room=empty", OFFER, &[0; 60 << 10], patience);
    trial.survived();
}

#[test]
fn bomblets_whose_echoes_are_never_read_cost_bounded_memory() {
    let trial = Trial::start(&["--deflate"]);
    bomblets(&trial, "/echo", OFFER, &[0; 60 << 10], Duration::from_secs(4));
    trial.survived();
}

#[test]
fn bomblets_whose_echoes_cannot_be_compressed_again_cost_bounded_memory() {
    let trial = Trial::start(&["--deflate"]);
    // What repeats at a distance that the server's window, as the client wants it, does not reach.
    let mut noise: u32 = 1;
    let mut period = vec![0; 700];
    period.fill_with(|| {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        noise.to_be_bytes()[0]
    });
    let message: Vec<u8> = period.into_iter().cycle().take(60 << 10).collect();
    let offer = format!("{OFFER}; server_max_window_bits=9");
    let wire = compressed(&[&message]);
    assert!(wire.len() < 2000, "{} bytes", wire.len());
    // A read of 64 KiB holds 70 of them: 4 MiB of answers, for each client.
    let many = wire.repeat((64 << 10) / wire.len());
    let mut clients: Vec<_> =
        (0..6).map(|_| upgrade(trial.address(), "/echo", Some(&offer))).collect();
    for client in &mut clients {
        pour(client, &many, many.len());
    }
    thread::sleep(Duration::from_secs(2));
    drop(clients);
    trial.survived();
}

#[test]
fn a_compressed_message_of_empty_blocks_ends_at_the_fragment_limit() {
    let trial = Trial::start(&["--deflate"]);
    let mut client = open(&trial, "/broadcast");
    let mut first = masked(0x42, b"");
    first.extend(masked(0x00, b"").repeat(131_072));
    client.write(&first);
    client.watch(2);
    assert!(matches!(client.saw[..], [Saw::Close(Some(1009), _), Saw::TcpEnd]), "{:?}", client.saw);
    trial.survived();
}

#[test]
fn compressed_bytes_that_make_nothing_are_read_without_being_kept() {
    let trial = Trial::start(&["--deflate"]);
    let mut client = upgrade(trial.address(), "/broadcast", Some(OFFER));
    // Empty stored blocks: five bytes each that inflate to none.
    let nothing = [0x00, 0x00, 0x00, 0xFF, 0xFF].repeat(13_000);
    client.write_all(&masked(0x42, &nothing)).unwrap();
    let more = masked(0x00, &nothing);
    pour_all(&mut client, &more, 16 << 20);
    trial.survived();
}

fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    crate::actor::frame(first, payload, true, None)
}
