//! TLS that does not begin, does not go on, or is something else.

use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::trial::{Trial, dial, read_to_end};

const PATIENCE: Duration = Duration::from_secs(30);

/// The first flight of an ordinary client.
fn hello() -> Vec<u8> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let name = "localhost".try_into().unwrap();
    let mut client = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}

#[test]
fn a_tls_handshake_that_is_never_finished_is_given_up_at_the_handshake_timeout() {
    let trial = Trial::start_tls("unfinished", &["--handshake-timeout", "1"]);
    let descriptors = trial.descriptors();
    let hello = hello();
    // Nothing, half a hello, and a whole one whose answer is left lying.
    let begin = Instant::now();
    let silent: Vec<_> = (0..150)
        .map(|round| {
            let mut stream = dial(trial.address());
            stream.write_all(&hello[..[0, hello.len() / 2, hello.len()][round % 3]]).unwrap();
            stream
        })
        .collect();
    trial.until_descriptors(descriptors, Duration::from_secs(10));
    assert!(begin.elapsed() >= Duration::from_secs(1), "{:?} is too early", begin.elapsed());
    drop(silent);
    trial.survived();
}

#[test]
fn a_tls_hello_of_one_byte_at_a_time_is_given_up_at_the_handshake_timeout() {
    let trial = Trial::start_tls("drip", &["--handshake-timeout", "1"]);
    let descriptors = trial.descriptors();
    let hello = hello();
    let mut slow: Vec<_> = (0..100).map(|_| dial(trial.address())).collect();
    // Two hundred bytes and more would take six seconds.
    for byte in hello.chunks(1).take(60) {
        for stream in &mut slow {
            let _ = stream.write_all(byte);
        }
        thread::sleep(Duration::from_millis(30));
    }
    trial.until_descriptors(descriptors, Duration::from_secs(5));
    drop(slow);
    trial.survived();
}

#[test]
fn http_on_the_tls_port_gets_an_alert_and_the_end_at_once() {
    let trial = Trial::start_tls("plain", &[]);
    let descriptors = trial.descriptors();
    let begin = Instant::now();
    for _ in 0..50 {
        let mut stream = dial(trial.address());
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n").unwrap();
        let answer = read_to_end(&mut stream);
        // A record of alert, version and length; fatal.
        assert!(matches!(answer[..], [21, 3, _, 0, 2, 2, _]), "{answer:?}");
    }
    assert!(begin.elapsed() < Duration::from_secs(4), "not by the handshake timeout");
    trial.until_descriptors(descriptors, PATIENCE);
    trial.survived();
}

#[test]
fn noise_on_the_tls_port_costs_nothing() {
    let trial = Trial::start_tls("noise", &[]);
    let descriptors = trial.descriptors();
    let mut noise: u32 = 1;
    for first in 0..=255 {
        let mut bytes = vec![first];
        for _ in 0..2000 {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            bytes.push(noise.to_be_bytes()[0]);
        }
        // A handshake record of the largest length that may be, and more behind it.
        if first % 2 == 0 {
            bytes.splice(..9, [22, 3, 1, 0x40, 0, 1, 0, 0x3F, 0xFC]);
        }
        let mut stream = dial(trial.address());
        let _ = stream.write_all(&bytes);
    }
    trial.until_descriptors(descriptors, PATIENCE);
    trial.survived();
}

#[test]
fn an_echo_over_tls_that_is_never_read_costs_bounded_memory() {
    let trial = Trial::start_tls("unread", &[]);
    for _ in 0..3 {
        let mut greedy = trial.client();
        greedy.set_write_timeout(Some(Duration::from_millis(300)));
        let message = vec![7; 60_000];
        let mut sent = 0;
        while sent < 64 << 20 && greedy.binary(&message).is_ok() {
            sent += message.len();
        }
        assert!(sent < 64 << 20, "{sent} bytes were answered into the void");
    }
    trial.survived();
}

#[test]
fn a_reset_within_a_tls_handshake_leaves_nothing() {
    let trial = Trial::start_tls("reset", &[]);
    let descriptors = trial.descriptors();
    let hello = hello();
    for round in 0..300 {
        let mut stream = dial(trial.address());
        let _ = stream.write_all(&hello[..hello.len() * (round % 4) / 3]);
        if round % 4 == 3 {
            // The server's answer is under way.
            let mut some = [0; 5];
            match stream.read_exact(&mut some) {
                Ok(()) => assert_eq!(some[0], 22),
                Err(error) => assert_ne!(error.kind(), ErrorKind::WouldBlock),
            }
        }
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    }
    trial.until_descriptors(descriptors, PATIENCE);
    trial.survived();
}
