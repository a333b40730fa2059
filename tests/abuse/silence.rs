//! Peers that are slow, or say nothing, or are gone without a word.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::actor::{Actor, Saw, frame};
use crate::trial::{Trial, dial, pour, read_to_end, request, upgrade};

const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn a_slowloris_is_given_up_at_the_handshake_timeout_however_it_drips() {
    let trial = Trial::start(&["--handshake-timeout", "1"]);
    let descriptors = trial.descriptors();
    let head = request("/echo", None);
    let mut slow: Vec<_> = (0..200).map(|_| dial(trial.address())).collect();
    let begin = Instant::now();
    // A byte every 50 ms would take 8 s.
    for byte in head.as_bytes().chunks(1).take(40) {
        for stream in &mut slow {
            // Some are given up by now.
            let _ = stream.write_all(byte);
        }
        thread::sleep(Duration::from_millis(50));
    }
    for mut stream in slow {
        let answer = read_to_end(&mut stream);
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 408 "), "{answer:?}");
    }
    assert!(begin.elapsed() >= Duration::from_secs(1));
    trial.until_descriptors(descriptors, PATIENCE);
    trial.survived();
}

#[test]
fn who_connects_and_says_nothing_is_given_up_at_the_handshake_timeout() {
    let trial = Trial::start(&["--handshake-timeout", "1"]);
    let descriptors = trial.descriptors();
    let begin = Instant::now();
    let silent: Vec<_> = (0..300).map(|_| dial(trial.address())).collect();
    for mut stream in silent {
        let answer = read_to_end(&mut stream);
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 408 "), "{answer:?}");
    }
    assert!(begin.elapsed() >= Duration::from_secs(1), "{:?} is too early", begin.elapsed());
    trial.until_descriptors(descriptors, PATIENCE);
    trial.survived();
}

#[test]
fn who_says_nothing_after_the_upgrade_is_pinged_and_then_dropped() {
    let trial = Trial::start(&["--ping-interval", "1", "--idle-timeout", "1"]);
    let descriptors = trial.descriptors();
    let begin = Instant::now();
    let silent: Vec<_> = (0..100).map(|_| upgrade(trial.address(), "/broadcast", None)).collect();
    // One that answers pings, and says nothing else, stays.
    let mut quiet = Actor::open(trial.address(), "/echo");
    let quiet = thread::spawn(move || {
        quiet.watch_for(1, Duration::from_secs(4));
        quiet
    });
    for mut stream in silent {
        assert_eq!(read_to_end(&mut stream), [0x89, 0x00], "one ping, then the end");
    }
    assert!(begin.elapsed() >= Duration::from_secs(2), "{:?} is too early", begin.elapsed());
    let mut quiet = quiet.join().unwrap();
    assert_eq!(quiet.saw, []);
    quiet.text("still here");
    quiet.watch(1);
    assert_eq!(quiet.saw, [Saw::Text("still here".into())]);
    drop(quiet);
    trial.until_descriptors(descriptors, PATIENCE);
    trial.survived();
}

#[test]
fn a_long_message_that_trickles_in_is_no_silence() {
    let trial = Trial::start(&["--ping-interval", "1", "--idle-timeout", "1"]);
    let mut slow = upgrade(trial.address(), "/echo", None);
    // What is gathered until it is whole, and what is put together as it comes.
    for first in [0x82, 0x81] {
        let message = frame(first, &[b'x'; 100_000], true, None);
        for piece in message.chunks(message.len() / 10 + 1) {
            slow.write_all(piece).unwrap();
            thread::sleep(Duration::from_millis(350));
        }
        let mut head = [0; 10];
        slow.read_exact(&mut head).unwrap();
        assert_eq!(head, [first, 127, 0, 0, 0, 0, 0, 1, 0x86, 0xA0], "not a ping before it");
        let mut body = vec![0; 100_000];
        slow.read_exact(&mut body).unwrap();
        assert!(body.iter().all(|&byte| byte == b'x'));
    }
    // Who stops in the midst of one is.
    slow.write_all(&frame(0x82, &[b'x'; 100_000], true, None)[..50_000]).unwrap();
    assert_eq!(read_to_end(&mut slow), [0x89, 0x00], "one ping, then the end");
    trial.survived();
}

#[test]
fn who_closes_one_half_gets_what_is_owed_and_is_let_go() {
    let trial = Trial::start(&[]);
    let descriptors = trial.descriptors();
    let hello = frame(0x81, b"hello", true, None);
    // In the head, after the upgrade, after a message and in the middle of one.
    for bytes in [&b""[..], &hello, &hello[..7]] {
        let mut half = upgrade(trial.address(), "/echo", None);
        half.write_all(bytes).unwrap();
        half.shutdown(Shutdown::Write).unwrap();
        let answer = read_to_end(&mut half);
        let echo = frame(0x81, b"hello", false, None);
        let owed: &[u8] = if bytes.len() == hello.len() { &echo } else { b"" };
        assert!(answer.starts_with(owed), "{answer:?}");
    }
    for bytes in ["", "GET /echo HT"] {
        let mut half = dial(trial.address());
        half.write_all(bytes.as_bytes()).unwrap();
        half.shutdown(Shutdown::Write).unwrap();
        let answer = read_to_end(&mut half);
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "{answer:?}");
    }
    trial.until_descriptors(descriptors, PATIENCE);
    trial.survived();
}

#[test]
fn a_hundred_that_vanished_in_the_middle_of_a_message_are_dropped() {
    let trial = Trial::start(&["--ping-interval", "1", "--idle-timeout", "1"]);
    let descriptors = trial.descriptors();
    let gone: Vec<_> = (0..100)
        .map(|_| {
            let mut stream = upgrade(trial.address(), "/echo", None);
            // What a cable says that is pulled: nothing more, and no FIN.
            stream.write_all(&frame(0x82, &[7; 1000], true, Some(100_000))).unwrap();
            stream
        })
        .collect();
    trial.until_descriptors(descriptors, PATIENCE);
    drop(gone);
    trial.survived();
}

/// A client whose connection failed, who has read the close frame and does not hang up.
fn failed(trial: &Trial) -> TcpStream {
    let mut stream = upgrade(trial.address(), "/echo", None);
    stream.write_all(&frame(0x83, b"", true, None)).unwrap();
    let mut said = [0; 4];
    stream.read_exact(&mut said).unwrap();
    assert_eq!((said[0], &said[2..]), (0x88, &1002u16.to_be_bytes()[..]));
    stream
}

#[test]
fn a_close_that_is_never_answered_ends_after_5_s() {
    let trial = Trial::start(&[]);
    let descriptors = trial.descriptors();
    let begin = Instant::now();
    let silent: Vec<_> = (0..50).map(|_| failed(&trial)).collect();
    thread::sleep(Duration::from_secs(2));
    assert_eq!(trial.descriptors(), descriptors + 50, "an answer has some time");
    trial.until_descriptors(descriptors, PATIENCE);
    assert!(begin.elapsed() >= Duration::from_secs(4), "{:?} is too early", begin.elapsed());
    drop(silent);
    trial.survived();
}

#[test]
fn a_close_that_is_never_answered_ends_after_the_close_timeout() {
    let trial = Trial::start(&["--close-timeout", "1"]);
    let descriptors = trial.descriptors();
    let silent: Vec<_> = (0..50).map(|_| failed(&trial)).collect();
    trial.until_descriptors(descriptors, Duration::from_secs(4));
    drop(silent);
    trial.survived();
}

#[test]
fn who_is_over_the_rate_and_goes_on_after_the_close_is_cut_off() {
    let trial = Trial::start(&["--rate-messages", "1000", "--close-timeout", "1"]);
    let descriptors = trial.descriptors();
    let mut hasty = upgrade(trial.address(), "/broadcast", None);
    // Ten seconds' worth may come at once.
    pour(&mut hasty, &frame(0x81, b"x", true, None).repeat(1000), 7 * 12_000);
    let begin = Instant::now();
    // What it says after the close frame is no sign of life that counts.
    while trial.descriptors() > descriptors {
        let _ = hasty.write_all(&frame(0x81, b"x", true, None));
        assert!(begin.elapsed() < Duration::from_secs(10), "it is still there");
        thread::sleep(Duration::from_millis(20));
    }
    trial.survived();
}

#[test]
fn a_close_that_is_answered_by_a_flood_ends_all_the_same() {
    let trial = Trial::start(&[]);
    let descriptors = trial.descriptors();
    let mut flooding = failed(&trial);
    let taken = pour(&mut flooding, &frame(0x82, &[7; 60_000], true, None), 64 << 20);
    assert!(taken < 32 << 20, "{taken} bytes were taken after the end");
    trial.until_descriptors(descriptors, Duration::from_secs(10));
    trial.survived();
}

#[test]
fn who_closes_gets_the_answer_and_the_end_at_once() {
    let trial = Trial::start(&[]);
    let mut client = upgrade(trial.address(), "/echo", None);
    let begin = Instant::now();
    client.write_all(&frame(0x88, &1000u16.to_be_bytes(), true, None)).unwrap();
    assert_eq!(read_to_end(&mut client), [0x88, 2, 0x03, 0xE8]);
    assert!(begin.elapsed() < Duration::from_secs(3), "the server ends TCP first");
    trial.survived();
}

#[test]
fn a_writer_that_is_stalled_is_dropped_after_the_stall_timeout() {
    let trial = Trial::start(&["--stall-timeout", "1"]);
    let descriptors = trial.descriptors();
    let mut greedy: Vec<_> = (0..5).map(|_| upgrade(trial.address(), "/echo", None)).collect();
    let message = frame(0x82, &[7; 60_000], true, None);
    for stream in &mut greedy {
        pour(stream, &message, 64 << 20);
    }
    trial.until_descriptors(descriptors, Duration::from_secs(8));
    trial.survived();
}

#[test]
fn a_writer_that_is_stalled_is_dropped_after_10_s() {
    let trial = Trial::start(&[]);
    let descriptors = trial.descriptors();
    let mut greedy: Vec<_> = (0..5).map(|_| upgrade(trial.address(), "/echo", None)).collect();
    let message = frame(0x82, &[7; 60_000], true, None);
    for stream in &mut greedy {
        let taken = pour(stream, &message, 64 << 20);
        assert!(taken < 64 << 20, "an echo that nobody reads was written all the same");
    }
    thread::sleep(Duration::from_secs(4));
    assert_eq!(trial.descriptors(), descriptors + 5, "a gap has some time");
    trial.until_descriptors(descriptors, PATIENCE);
    trial.survived();
}

#[test]
fn a_head_of_pieces_that_come_in_time_is_no_slowloris() {
    let trial = Trial::start(&["--handshake-timeout", "5"]);
    let mut slow = dial(trial.address());
    for piece in request("/echo", None).as_bytes().chunks(20) {
        slow.write_all(piece).unwrap();
        thread::sleep(Duration::from_millis(20));
    }
    let mut answer = [0; 12];
    slow.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 101");
    trial.survived();
}
