//! Every kind of run against the real server: what was sent is what was received.

use serde_json::{Value, json};

use crate::crooked::{Wrong, serve, serve_bytes};
use crate::process::{Server, begin, bench, clean};

/// Sent, expected, received, lost, late, skipped, other.
fn counts(report: &Value) -> [u64; 7] {
    ["sent", "expected", "received", "lost", "late_or_double", "skipped", "other"]
        .map(|name| report["messages"][name].as_u64().unwrap_or_else(|| panic!("{name}: {report}")))
}

#[test]
fn every_echo_comes_back_once() {
    let server = Server::start(&[]);
    let url = server.url("/echo");
    for more in [
        &["--text"][..],
        &["--binary", "--depth", "16"],
        &["--json-message", "--threads", "2"],
        &["--size", "70000", "--depth", "4"],
        &["--size", "0"],
        &["--rate", "5000"],
        &["--rate", "5000", "--threads", "3"],
        &["--template", "{seq} of {conn}"],
    ] {
        let report = clean(&[&[&*url, "-c", "5", "-n", "1003"], more].concat());
        assert_eq!(counts(&report), [1003, 1003, 1003, 0, 0, 0, 0], "{more:?}");
        assert_eq!(report["latency_us"]["count"], 1003, "{more:?}");
        assert_eq!(report["window"]["received"], 1003, "{more:?}");
        assert_eq!(report["close_codes"], json!({"1000": 5}), "{more:?}");
    }
}

#[test]
fn what_compresses_is_compressed_where_both_want_it() {
    let fixed = ["-c", "3", "-n", "300", "--size", "2000", "--json-message"];
    for (server, offer, agreed) in [
        (&["--deflate"][..], &["--deflate"][..], 3),
        (&[], &["--deflate"], 0),
        (&["--deflate"], &[], 0),
    ] {
        let server = Server::start(server);
        let report = clean(&[&[&*server.url("/echo")], &fixed[..], offer].concat());
        assert_eq!(counts(&report), [300, 300, 300, 0, 0, 0, 0]);
        assert_eq!(report["connections"]["deflated"], agreed);
        let warned = report["warnings"].to_string().contains("declined permessage-deflate on 3");
        assert_eq!(warned, !offer.is_empty() && agreed == 0, "{report}");
    }
}

#[test]
fn every_receiver_of_a_broadcast_gets_every_message_once_and_in_order() {
    let server = Server::start(&[]);
    for (senders, threads) in [("1", "1"), ("1", "2"), ("3", "1"), ("3", "2")] {
        let room = server.url(&format!("/broadcast?room=r{senders}{threads}"));
        let fixed = [&*room, "-m", "broadcast", "-c", "20", "-n", "300"];
        let more = ["--senders", senders, "--threads", threads];
        let others = 20 + senders.parse::<u64>().unwrap() - 1;
        for pace in [["--depth", "1"], ["--depth", "8"], ["--rate", "3000"]] {
            let report = clean(&[&fixed[..], &more, &pace].concat());
            let copies = 300 * others;
            assert_eq!(counts(&report), [300, copies, copies, 0, 0, 0, 0], "{more:?} {pace:?}");
            assert_eq!(report["latency_us"]["count"], copies);
        }
    }
}

#[test]
fn a_chat_that_wraps_messages_is_followed_too() {
    let server = Server::start(&[]);
    // Everybody is welcomed, and hears what everybody says, also oneself.
    let url = server.url("/ws?room=named&user=u{conn}");
    let report = clean(&[&url, "-m", "broadcast", "-c", "10", "-n", "50"]);
    assert_eq!(counts(&report), [50, 500, 500, 0, 0, 0, 11 + 50]);
    let report = clean(&[&url, "-c", "4", "-n", "100"]);
    assert_eq!(counts(&report)[..6], [100, 100, 100, 0, 0, 0]);
}

#[test]
fn a_preamble_and_a_template_speak_any_dialect() {
    let server = Server::start(&[]);
    let url = server.url("/direct");
    let online = r#"{"type":"online","from":"u{conn}"}"#;
    let message = r#"{"type":"msg","to":"u{conn}","n":{seq},"text":"{pad}"}"#;
    let report = clean(&[
        &url,
        "-c",
        "7",
        "-n",
        "200",
        "--preamble",
        online,
        "--template",
        message,
        "-s",
        "150",
    ]);
    assert_eq!(counts(&report), [200, 200, 200, 0, 0, 0, 0]);
}

#[test]
fn warming_up_does_not_count() {
    let server = Server::start(&[]);
    let report = clean(&[&server.url("/echo"), "-n", "100", "--warm-up", "200ms"]);
    let [sent, _, received, ..] = counts(&report);
    assert!(sent > 100, "{report}");
    assert_eq!(received, sent);
    assert_eq!(report["latency_us"]["count"], 100);
}

#[test]
fn idle_connections_are_opened_held_and_closed() {
    let server = Server::start(&[]);
    let pid = server.pid();
    let url = server.url("/echo");
    let report = clean(&[&url, "-m", "idle", "-c", "300", "-d", "200ms", "--pid", &pid]);
    assert_eq!(report["connections"]["opened"], 300);
    assert_eq!(report["handshake_us"]["count"], 300);
    assert_eq!(report["close_codes"], json!({"1000": 300}));
    assert_eq!(report["messages"], Value::Null);
    let server = &report["server"];
    assert!(server["rss_before"].as_u64().unwrap() > 1 << 20, "{server}");
    assert!(server["rss_per_connection"].is_number(), "{server}");
}

#[test]
fn handshakes_are_counted_one_by_one() {
    let server = Server::start(&[]);
    for more in [&["-c", "1"][..], &["-c", "8"], &["-c", "8", "--threads", "2"]] {
        let report =
            clean(&[&[&*server.url("/echo"), "-m", "handshake", "-n", "200"], more].concat());
        assert_eq!(report["window"]["handshakes"], 200);
        assert_eq!(report["handshake_us"]["count"], 200);
        assert_eq!(report["connections"]["opened"], 201, "the first is a trial");
    }
}

#[test]
fn handshakes_that_the_end_of_the_run_cuts_off_are_no_failures() {
    let url = format!("ws://{}/", serve(Wrong::Hesitates).0);
    let report = clean(&[&url, "-m", "handshake", "-c", "8", "-d", "200ms", "--warm-up", "0"]);
    assert_eq!(report["connections"]["opened"], 1, "the trial");
    assert_eq!(report["connections"]["failed"], 0);
}

#[test]
fn connections_come_from_the_addresses_that_were_given() {
    let (address, peers) = serve(Wrong::Nothing);
    let url = format!("ws://{address}/");
    clean(&[&url, "-c", "6", "-n", "60", "--source-ip", "127.0.0.1-127.0.0.3"]);
    let mut seen: Vec<String> = peers.try_iter().map(|it| it.to_string()).collect();
    seen.sort();
    assert_eq!(
        seen,
        ["127.0.0.1", "127.0.0.1", "127.0.0.2", "127.0.0.2", "127.0.0.3", "127.0.0.3"]
    );
}

#[test]
fn the_cost_for_the_server_is_reported_beside_the_figures() {
    let server = Server::start(&[]);
    let pid = server.pid();
    let report = clean(&[&server.url("/echo"), "-d", "500ms", "--depth", "16", "--pid", &pid]);
    assert_eq!(report["server"]["pid"].as_u64(), pid.parse().ok());
    for name in ["cpu_seconds", "cpu_share", "cpu_seconds_per_million", "rss_open", "rss_end"] {
        assert!(report["server"][name].is_number(), "{name}: {report}");
    }
    for name in ["cpu_seconds", "busiest_thread", "bottleneck"] {
        assert!(!report["generator"][name].is_null(), "{name}: {report}");
    }
}

#[test]
fn the_page_for_people_says_the_same() {
    let server = Server::start(&[]);
    let run = bench(&[&server.url("/echo"), "-n", "500", "--pid", &server.pid()]);
    assert_eq!(run.status, Some(0), "{}", run.said);
    for part in [
        "round trips/s",
        "500 sent, 500 expected, 500 received\n  0 lost",
        "p99.9",
        "close codes: 1000: 1",
        "per million",
    ] {
        assert!(run.out.contains(part), "{part:?} in {}", run.out);
    }
    assert!(run.out.lines().all(|line| line.len() <= 80), "{}", run.out);
    assert_eq!(run.said, "", "no progress where there is no terminal");
}

#[test]
fn an_interrupted_run_tells_the_figures_so_far() {
    // What is under way is waited for, and not called lost.
    let url = format!("ws://{}/", serve(Wrong::Dawdles).0);
    let running = begin(&[&url, "--depth", "64", "-d", "1h", "--warm-up", "0s", "--json"]);
    std::thread::sleep(std::time::Duration::from_millis(700));
    running.interrupt();
    let run = running.end();
    assert_eq!(run.status, Some(130), "{}", run.said);
    let report = run.json();
    assert_eq!(report["interrupted"], true);
    let [sent, expected, received, lost, ..] = counts(&report);
    assert!(sent > 0, "{report}");
    assert_eq!((expected, received, lost), (sent, sent, 0));
}

#[test]
fn without_frames_every_message_comes_back_too() {
    let url = format!("ws://{}/", serve_bytes(None));
    for more in [
        &["-s", "11"][..],
        &["-s", "26", "--binary", "--depth", "16"],
        &["-s", "70000", "--depth", "3", "--threads", "2"],
        &["-s", "100", "--rate", "5000"],
    ] {
        let report = clean(&[&[&*url, "--raw", "-c", "5", "-n", "1003"], more].concat());
        assert_eq!(counts(&report), [1003, 1003, 1003, 0, 0, 0, 0], "{more:?}");
        assert_eq!(report["connections"]["broken"], 0);
        assert_eq!(report["close_codes"], json!({}), "{more:?}");
    }
}
