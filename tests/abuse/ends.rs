//! How it ends under load, and how it does not begin.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::actor::{Actor, Saw, frame};
use crate::process::fails;
use crate::trial::{GROWTH_MAX, Trial, certificate, dial, pour, upgrade};

#[test]
fn sigterm_under_load_says_1001_to_every_reader_and_ends_with_0_whoever_is_stalled() {
    let trial = Trial::start(&["--grace", "4"]);
    let address = trial.address();
    let message = frame(0x82, &[7; 10_000], true, None);
    // Some do not read what they are owed, some do not answer a close, some are still at their heads.
    let mut stalled: Vec<_> = (0..3).map(|_| upgrade(address, "/echo", None)).collect();
    for stream in &mut stalled {
        pour(stream, &message, 32 << 20);
    }
    let deaf: Vec<_> = (0..3).map(|_| upgrade(address, "/broadcast", None)).collect();
    let silent = Actor::open(address, "/echo").without_auto_close();
    let heads: Vec<_> = (0..3).map(|_| dial(address)).collect();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let readers: Vec<_> = (0..10)
            .map(|_| {
                let mut reader = Actor::open(address, "/broadcast");
                scope.spawn(move || {
                    let begin = Instant::now();
                    while reader.saw.last() != Some(&Saw::TcpEnd) {
                        assert!(begin.elapsed() < Duration::from_secs(30), "no end");
                        // What was said is of no interest, how it ends is.
                        let last = reader.saw.len().saturating_sub(1);
                        reader.saw.drain(..last);
                        reader.watch(reader.saw.len() + 1);
                    }
                    reader.saw
                })
            })
            .collect();
        for _ in 0..2 {
            let mut speaker = Actor::open(address, "/broadcast");
            speaker.patience(Duration::from_millis(300));
            let (stop, message) = (&stop, &message);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    speaker.write(message);
                    thread::sleep(Duration::from_millis(5));
                }
            });
        }
        thread::sleep(Duration::from_millis(500));
        let mut server = trial.without_the_good_client();
        let begin = Instant::now();
        server.signal("TERM");
        // Whatever comes of it, the speakers end.
        let status = catch_unwind(AssertUnwindSafe(|| server.ended(Duration::from_secs(8))));
        println!("ended after {:.0?}", begin.elapsed());
        stop.store(true, Ordering::Relaxed);
        drop(server);
        assert_eq!(status.expect("it ends").code(), Some(0));
        for reader in readers {
            let saw = reader.join().unwrap();
            let goodbye = saw.iter().any(|it| matches!(it, Saw::Close(Some(1001), _)));
            assert!(goodbye, "a reader saw {saw:?}");
        }
    });
    drop((stalled, deaf, silent, heads));
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let trial = Trial::start(&["--grace", "60"]);
    let silent = Actor::open(trial.address(), "/echo").without_auto_close();
    let mut server = trial.without_the_good_client();
    server.signal("TERM");
    thread::sleep(Duration::from_millis(300));
    server.signal("TERM");
    assert_ne!(server.ended(Duration::from_secs(3)).code(), Some(0));
    drop(silent);
}

#[test]
fn a_port_in_use_is_said_and_whoever_has_it_is_not_disturbed() {
    let trial = Trial::start(&[]);
    let address = trial.address().to_string();
    for _ in 0..5 {
        let (status, said) = fails(&["--listen", &address]);
        assert_eq!(status, Some(1), "{said}");
        assert!(said.contains(&address) && said.contains("--listen"), "{said}");
    }
    trial.held_within(GROWTH_MAX);
}

#[test]
fn a_certificate_that_cannot_be_read_is_said_with_its_path_and_status_1() {
    let (certificate, key) = certificate("unreadable");
    let (other, other_key) = crate::trial::certificate("other");
    let none = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("there-is-none.pem");
    let nonsense = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("nonsense.pem");
    std::fs::write(&nonsense, "this is no certificate\n").unwrap();
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    // What has no end is not read to it.
    let endless = PathBuf::from("/dev/zero");
    let cases = [
        (&endless, &key, &endless),
        (&certificate, &endless, &endless),
        (&none, &key, &none),
        (&nonsense, &key, &nonsense),
        (&directory, &key, &directory),
        (&certificate, &none, &none),
        (&certificate, &nonsense, &nonsense),
        (&certificate, &other_key, &other_key),
        (&other, &key, &key),
    ];
    for (certificate, key, named) in cases {
        let files = [certificate.to_str().unwrap(), key.to_str().unwrap()];
        let (status, said) =
            fails(&["--listen", "127.0.0.1:0", "--tls-cert", files[0], "--tls-key", files[1]]);
        assert_eq!(status, Some(1), "{said}");
        assert_eq!(said.trim_end().lines().count(), 1, "{said}");
        assert!(said.contains(named.to_str().unwrap()), "{said} does not name {}", named.display());
    }
}
