//! Messages that are lost, doubled or swapped, and connections that are: told, and status 1.

use serde_json::Value;

use crate::crooked::{Wrong, serve, serve_bytes, serve_room};
use crate::process::bench;

/// The report of so many connections, with 40 messages over all of them, four in flight on each.
fn report(wrong: Wrong, connections: &str) -> Value {
    let url = format!("ws://{}/", serve(wrong).0);
    let run =
        bench(&[&*url, "--json", "--timeout", "1s", "-c", connections, "-n", "40", "--depth", "4"]);
    assert_eq!(run.status, Some(1), "{}{}", run.out, run.said);
    run.json()
}

fn count(report: &Value, name: &str) -> u64 {
    report["messages"][name].as_u64().unwrap()
}

#[test]
fn a_message_that_never_comes_back_is_lost() {
    let report = report(Wrong::Drops, "2");
    assert_eq!(count(&report, "sent"), 40);
    assert_eq!(count(&report, "received"), 36);
    assert_eq!(count(&report, "lost"), 4);
    assert_eq!(count(&report, "skipped"), 4);
}

#[test]
fn a_message_that_comes_twice_is_counted_once() {
    let report = report(Wrong::Doubles, "2");
    assert_eq!(count(&report, "received"), 40);
    assert_eq!(count(&report, "late_or_double"), 2);
}

#[test]
fn a_message_that_overtakes_another_is_told() {
    let report = report(Wrong::Swaps, "2");
    assert_eq!(count(&report, "skipped"), 2);
    assert_eq!(count(&report, "late_or_double"), 2);
}

#[test]
fn a_broadcast_that_is_lost_doubled_or_out_of_order_is_told_for_each_receiver() {
    // Lost, late or double, skipped.
    for (wrong, expected) in
        [(Wrong::Drops, [12, 0, 12]), (Wrong::Doubles, [0, 3, 0]), (Wrong::Swaps, [3, 3, 3])]
    {
        let url = format!("ws://{}/", serve_room(wrong));
        let fixed = [&*url, "--json", "-m", "broadcast", "-c", "3", "-n", "40"];
        for depth in ["2", "7"] {
            let run = bench(&[&fixed[..], &["--depth", depth]].concat());
            assert_eq!(run.status, Some(1), "{}{}", run.out, run.said);
            let report = run.json();
            let told = ["lost", "late_or_double", "skipped"].map(|name| count(&report, name));
            assert_eq!((told, count(&report, "sent")), (expected, 40), "{report}");
        }
    }
}

#[test]
fn a_close_that_nobody_asked_for_is_told_with_its_code_and_reason() {
    let report = report(Wrong::Closes, "2");
    assert_eq!(report["close_codes"]["1013"], 2);
    assert_eq!(report["errors"]["the server closed with 1013 too slow"], 2);
    assert_eq!(report["connections"]["broken"], 2);
    assert!(count(&report, "lost") > 0);
}

#[test]
fn a_connection_that_breaks_off_is_a_1006() {
    let report = report(Wrong::Breaks, "2");
    assert_eq!(report["close_codes"]["1006"], 2);
    assert_eq!(report["connections"]["broken"], 2);
}

#[test]
fn refused_connections_are_counted_and_the_others_go_on() {
    let report = report(Wrong::Refuses, "6");
    assert_eq!(report["connections"]["opened"], 3);
    assert_eq!(report["connections"]["failed"], 3);
    assert_eq!(report["errors"]["upgrade refused with 503 Busy"], 3);
    assert_eq!(count(&report, "lost"), 0);
}

#[test]
fn a_byte_that_is_lost_without_frames_is_noticed() {
    let url = format!("ws://{}/", serve_bytes(Some(26 * 40 + 3)));
    let common = [&*url, "--raw", "-s", "26", "-c", "1", "-n", "100", "--depth", "8"];
    let run = bench(&[&common[..], &["--timeout", "300ms", "--json"]].concat());
    assert_eq!(run.status, Some(1), "{}", run.said);
    let messages = &run.json()["messages"];
    // Its message and those after it are no messages any more.
    assert_eq!(messages["received"], 40, "{messages}");
    assert_eq!(messages["lost"], 8, "{messages}");
}

#[test]
fn a_server_that_sends_nothing_back_is_asked_whether_it_echoes() {
    let server = crate::process::Server::start(&[]);
    let run = bench(&[&server.url("/broadcast"), "-n", "5", "--timeout", "300ms"]);
    assert_eq!(run.status, Some(1), "{}", run.said);
    let out = run.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(out.contains("does the server echo at this path?"), "{out}");
    assert!(run.out.lines().all(|line| line.len() <= 80), "{}", run.out);
}

#[test]
fn a_run_of_no_time_blames_nobody_for_being_slow() {
    for _ in 0..5 {
        let url = format!("ws://{}/", serve(Wrong::Leaves).0);
        let run = bench(&[&*url, "--json", "-d", "200ms", "--warm-up", "100ms"]);
        assert_eq!(run.status, Some(1), "{}", run.said);
        let report = run.json();
        assert!(report["window"]["seconds"].as_f64().unwrap() < 0.1, "{report}");
        assert_eq!(report["warnings"].as_array().unwrap().len(), 0, "{report}");
    }
}
