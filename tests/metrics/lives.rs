//! The log tells each connection by one name, from its first line to its last, whichever loop has it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::actor::{Actor, Saw, frame};
use crate::server::Server;

/// Lines of the log by the connection that they are about.
fn by_connection(lines: &[String]) -> BTreeMap<String, Vec<Value>> {
    let mut all: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in lines {
        let line: Value = serde_json::from_str(line).unwrap();
        if let Some(conn) = line.get("conn") {
            all.entry(conn.as_str().expect("a name is text").to_owned()).or_default().push(line);
        }
    }
    all
}

fn messages(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["message"].as_str().unwrap()).collect()
}

#[test]
fn all_lines_of_a_connection_have_one_name_and_another_has_another() {
    let server = Server::start(&["--log", "debug", "--log-format", "json", "--shards", "1"]);
    let mut first = Actor::open(server.address, "/echo");
    let mut second =
        Actor::open(server.address, "/broadcast?room=a-secret-room&user=a-secret-name");
    first.text("a secret");
    first.write(&frame(0x82, b"another secret", true, None));
    first.watch(2);
    // 1000, and "a reason that nobody logs".
    first.write(&frame(0x88, b"\x03\xe8a reason", true, None));
    first.watch(4);
    assert_eq!(first.saw.last(), Some(&Saw::TcpEnd));
    // Not masked.
    second.write(&frame(0x81, b"x", false, None));
    second.watch(2);
    let lines = server.log();
    let text = lines.join("\n");
    assert!(!text.contains("secret") && !text.contains("a reason"), "{text}");
    let lives = by_connection(&lines);
    assert_eq!(lives.len(), 2, "{text}");
    for lines in lives.values() {
        let told = messages(lines);
        assert_eq!((told[0], told[1]), ("opened", "upgraded"));
        assert_eq!(told.last(), Some(&"closed"));
        assert!(lines[0]["address"].as_str().unwrap().starts_with("127.0.0.1:"));
    }
    let end = |dialect: &str| {
        let lines = lives.values().find(|lines| lines[1]["dialect"] == dialect).unwrap();
        (lines.len(), lines.last().unwrap().clone())
    };
    let (count, closed) = end("echo");
    assert_eq!(count, 3);
    assert_eq!((&closed["reason"], &closed["code"]), (&"closed".into(), &1000.into()));
    for (key, value) in
        [("messages_in", 2), ("messages_out", 2), ("bytes_in", 22), ("bytes_out", 22)]
    {
        assert_eq!(closed[key], value, "{closed}");
    }
    assert!(closed["seconds"].as_f64().unwrap() > 0.0);
    let (count, closed) = end("broadcast");
    assert_eq!(count, 4, "what was wrong has the same name");
    assert_eq!((&closed["reason"], &closed["code"]), (&"violation".into(), &1002.into()));
}

#[test]
fn a_connection_keeps_its_name_when_another_loop_takes_it() {
    let server = Server::start(&["--log", "debug", "--log-format", "json", "--shards", "4"]);
    // All of these belong to the first loop, whoever accepts them.
    let mut actors: Vec<Actor> = (0..24).map(|_| Actor::open(server.address, "/direct")).collect();
    for actor in &mut actors {
        actor.text(r#"{"type":"online","from":1}"#);
        actor.write(&frame(0x88, b"", true, None));
        actor.watch(2);
    }
    let lines = server.log();
    let lives = by_connection(&lines);
    assert_eq!(lives.len(), 24, "{lines:#?}");
    for lines in lives.values() {
        assert_eq!(messages(lines), ["opened", "upgraded", "closed"]);
        assert_eq!(lines[2]["messages_in"], 1);
    }
    let loops: BTreeSet<&str> = lives.keys().map(|name| name.split('-').next().unwrap()).collect();
    assert!(loops.len() > 1, "some came by another loop: {loops:?}");
}

#[test]
fn a_name_is_never_given_again() {
    let server = Server::start(&["--log", "debug", "--log-format", "json", "--shards", "2"]);
    for _ in 0..100 {
        let mut actor = Actor::open(server.address, "/echo");
        actor.write(&frame(0x88, b"", true, None));
        actor.watch(2);
    }
    let lives = by_connection(&server.log());
    assert_eq!(lives.len(), 100);
    assert!(lives.values().all(|lines| messages(lines) == ["opened", "upgraded", "closed"]));
}

#[test]
fn what_is_refused_is_told_with_its_name() {
    let server = Server::start(&["--log", "debug", "--log-format", "json", "--max-per-ip", "1"]);
    let _held = Actor::open(server.address, "/echo");
    let mut turned_away = Actor::request(server.address, "GET", "/echo", &[], b"");
    turned_away.watch(1);
    let lines = server.log();
    let lives = by_connection(&lines);
    let away = lives.values().find(|lines| lines.len() == 3 && lines[1]["level"] == "INFO");
    let away = away.unwrap_or_else(|| panic!("{lines:#?}"));
    assert!(messages(away)[1].starts_with("turned away"));
    assert_eq!(away[2]["reason"], "address");
}

#[test]
fn at_info_no_connection_is_told_of_that_gives_no_trouble() {
    let server = Server::start(&["--log-format", "json"]);
    let mut actor = Actor::open(server.address, "/echo");
    actor.text("hello");
    actor.watch(1);
    drop(actor);
    assert_eq!(by_connection(&server.log()).len(), 0);
}
