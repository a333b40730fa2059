//! Several loops: nobody can tell on which one they are, nor where the others are.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::actor::{Actor, Saw, frame};
use crate::chatter::Chatter;
use crate::process::Server;

/// A server of four loops for so many connections. Which loop takes one is chance, but each takes no more
/// than its share of them.
fn four(connections: usize) -> Server {
    Server::start(&["--shards", "4", "--max-connections", &connections.to_string()])
}

/// How many connections each loop has got since `before`, fewest first.
fn shares(server: &Server, before: &[usize]) -> Vec<usize> {
    let now = server.watched().unwrap_or_default();
    let mut shares: Vec<usize> = now.iter().zip(before).map(|(now, before)| now - before).collect();
    shares.sort_unstable();
    shares
}

/// So many connections, on two loops at least.
fn spread<T>(server: &Server, count: usize, mut open: impl FnMut(usize) -> T) -> Vec<T> {
    let before = server.watched().unwrap_or_default();
    let all: Vec<T> = (0..count).map(&mut open).collect();
    let shares = shares(server, &before);
    if cfg!(target_os = "linux") {
        assert!(shares.iter().filter(|&&share| share > 0).count() >= 2, "{shares:?}");
        assert_eq!(shares.iter().sum::<usize>(), count, "{shares:?}");
    }
    all
}

#[test]
fn a_broadcast_reaches_everybody_once_and_in_its_senders_order() {
    let server = four(16);
    let mut clients = spread(&server, 16, |_| Actor::open(server.addresses[0], "/broadcast"));
    for n in 0..40 {
        for (at, client) in clients.iter_mut().enumerate() {
            // Text and binary by turns: both keep their kind.
            let first = if n % 2 == 0 { 0x81 } else { 0x82 };
            client.write(&frame(first, format!("{at} {n}").as_bytes(), true, None));
        }
    }
    for (at, client) in clients.iter_mut().enumerate() {
        client.watch_for(15 * 40, Duration::from_secs(30));
        let mut heard: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for saw in &client.saw {
            let (text, is_text) = match saw {
                Saw::Text(text) => (text.clone(), true),
                Saw::Binary(bytes) => (String::from_utf8(bytes.clone()).unwrap(), false),
                other => panic!("{other:?}"),
            };
            let (from, n) = text.split_once(' ').unwrap();
            let n: usize = n.parse().unwrap();
            assert_eq!(is_text, n.is_multiple_of(2));
            heard.entry(from.parse().unwrap()).or_default().push(n);
        }
        let all: Vec<usize> = (0..40).collect();
        let wanted = (0..16).filter(|&from| from != at).map(|from| (from, all.clone())).collect();
        assert_eq!(heard, wanted, "client {at}");
        client.saw.clear();
    }
    for client in &mut clients {
        client.watch_for(1, Duration::from_millis(20));
        assert_eq!(client.saw, [], "nothing comes twice");
    }
}

#[test]
fn the_named_chat_goes_to_all_and_to_oneself_under_the_right_name() {
    let server = four(16);
    let mut clients = spread(&server, 16, |_| {
        let mut client = Actor::open(server.addresses[0], "/ws");
        client.watch(1);
        client.saw.clear();
        client
    });
    let names: Vec<String> =
        clients.iter().map(|client| format!("::ffff:127.0.0.1{}", client.port())).collect();
    for (name, at) in names.iter().zip(0..) {
        clients[at].text("me");
        for client in &mut clients {
            client.watch(1);
            assert_eq!(client.saw, [Saw::Text(format!("{name} -> me"))]);
            client.saw.clear();
        }
    }
}

#[test]
fn the_chats_log_is_the_same_to_all_members() {
    let server = four(20);
    let mut members =
        spread(&server, 12, |n| Chatter::enter(server.addresses[0], &format!("user{n}"), "tea"));
    let mut raw = spread(&server, 8, |_| Actor::open(server.addresses[0], "/broadcast?room=tea"));
    for n in 0..20 {
        for member in &mut members {
            member.say("tea", &json!(n));
        }
        for client in &mut raw {
            client.text(&n.to_string());
        }
    }
    let mut logs: Vec<Vec<Value>> = Vec::new();
    for member in &mut members {
        logs.push((0..20 * 20).map(|_| member.until("message")).collect());
    }
    for log in &logs {
        assert!(log == &logs[0], "all see one order");
        for pair in log.windows(2) {
            assert_eq!(pair[1]["prev"], pair[0]["offset"]);
        }
    }
    let mut by_sender: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for message in &logs[0] {
        let body = &message["body"];
        let n = body.as_u64().unwrap_or_else(|| body.as_str().unwrap().parse().unwrap());
        by_sender.entry(message["from"].as_str().unwrap()).or_default().push(n);
    }
    assert_eq!(by_sender.len(), 20);
    for (from, said) in by_sender {
        assert_eq!(said, (0..20).collect::<Vec<_>>(), "{from}");
    }
    // Plain clients hear all but their own.
    for client in &mut raw {
        client.watch_for(19 * 20, Duration::from_secs(20));
        assert_eq!(client.saw.len(), 19 * 20);
    }
}

#[test]
fn presence_is_the_same_to_all_members_and_told_once_for_a_user() {
    let server = four(24);
    let mut watchers =
        spread(&server, 12, |n| Chatter::enter(server.addresses[0], &format!("watcher{n}"), "tea"));
    let mut members: Vec<String> = (0..12).map(|n| format!("watcher{n}")).collect();
    // All have heard of all.
    for (at, watcher) in watchers.iter_mut().enumerate() {
        let came: Vec<Value> =
            (at + 1..12).map(|_| watcher.until("presence")["user"].clone()).collect();
        assert_eq!(came, members[at + 1..], "watcher {at}");
    }
    let tabs = spread(&server, 12, |_| Chatter::enter(server.addresses[0], "bob", "tea"));
    members.insert(0, "bob".to_owned());
    members.sort();
    for watcher in &mut watchers {
        assert_eq!(
            watcher.until("presence"),
            json!({"ev": "presence", "room": "tea", "user": "bob", "change": "join", "online": 13})
        );
        watcher.ask(&json!({"op": "who", "room": "tea"}));
        assert_eq!(watcher.until("who")["members"], json!(members));
    }
    for tab in tabs {
        tab.leave();
    }
    for watcher in &mut watchers {
        assert_eq!(
            watcher.until("presence"),
            json!({"ev": "presence", "room": "tea", "user": "bob", "change": "leave", "online": 12})
        );
        assert_eq!(watcher.rest(), [] as [Value; 0]);
    }
}

#[test]
fn a_direct_message_and_a_signal_find_all_tabs_on_all_loops() {
    let server = four(12);
    let mut tabs = spread(&server, 8, |_| Chatter::enter(server.addresses[0], "bob", "tea"));
    let mut alice = Chatter::enter(server.addresses[0], "alice", "tea");
    alice.ask(&json!({"op": "tell", "to": "bob", "body": "psst"}));
    alice.ask(&json!({"op": "signal", "to": "bob", "body": "ding"}));
    alice.ask(&json!({"op": "signal", "room": "tea", "body": "dong"}));
    for tab in &mut tabs {
        assert_eq!(tab.until("direct")["body"], "psst");
        assert_eq!(tab.until("signal")["body"], "ding");
        assert_eq!(tab.until("signal")["body"], "dong");
        assert!(tab.rest().iter().all(|event| event["ev"] == "presence"));
    }
    assert_eq!(alice.until("direct")["to"], "bob");
}

#[test]
fn the_user_directory_knows_everybody_whichever_loop_took_them() {
    let server = four(16);
    let before = server.watched().unwrap_or_default();
    let mut clients: Vec<Actor> = (0..16)
        .map(|at| {
            // The registration comes in the segment of the request itself.
            let online =
                frame(0x81, format!(r#"{{"type":"online","from":{at}}}"#).as_bytes(), true, None);
            let mut client = Actor::request(server.addresses[0], "GET", "/direct", &[], &online);
            client.watch(1);
            assert!(matches!(client.saw[..], [Saw::Open { accept_ok: true, .. }]));
            client.saw.clear();
            client
        })
        .collect();
    if cfg!(target_os = "linux") {
        assert_eq!(shares(&server, &before), [0, 0, 0, 16], "all on the loop that knows them");
    }
    for (from, client) in clients.iter_mut().enumerate() {
        for to in 0..16 {
            client.text(&format!(r#"{{"to":{to},"from":{from}}}"#));
        }
    }
    for (to, client) in clients.iter_mut().enumerate() {
        client.watch_for(16, Duration::from_secs(20));
        let mut heard = std::mem::take(&mut client.saw);
        let mut wanted: Vec<Saw> =
            (0..16).map(|from| Saw::Text(format!(r#"{{"to":{to},"from":{from}}}"#))).collect();
        let key = |saw: &Saw| format!("{saw:?}");
        wanted.sort_by_key(key);
        heard.sort_by_key(key);
        assert_eq!(heard, wanted);
    }
}

#[test]
fn one_to_one_messages_find_their_receiver_whichever_loop_took_them() {
    let server = four(12);
    let mut clients: Vec<Actor> =
        (0..12).map(|_| Actor::open(server.addresses[0], "/im")).collect();
    for (at, client) in clients.iter_mut().enumerate() {
        client.text(&format!(r#"{{"type":"get-pass","userId":{at}}}"#));
        client.watch(1);
        assert_eq!(
            client.saw,
            [Saw::Text(r#"{"code":"1","msg":"Channel Creation Successful"}"#.into())]
        );
        client.saw.clear();
    }
    for from in 0..12 {
        let to = (from + 5) % 12;
        clients[from].text(&format!(
            r#"{{"type":"get-enter","userId":{from},"toId":{to},"content":"for {to}"}}"#
        ));
        let packet = Saw::Text(format!(
            r#"{{"formId":{from},"toId":{to},"content":"for {to}","timeStr":"0NaN:0NaN","read":false}}"#
        ));
        for at in [from, to] {
            clients[at].watch(1);
            assert_eq!(clients[at].saw, std::slice::from_ref(&packet));
            clients[at].saw.clear();
        }
    }
}

#[test]
fn a_request_that_waits_behind_an_answer_is_handed_over_when_that_has_left() {
    let server = four(64);
    for round in 0..12 {
        // A page, and in the same segment the upgrade with its first message: the connection is to
        // change its loop while the page is still on its way.
        let upgrade = "GET /direct HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        let mut then = upgrade.as_bytes().to_vec();
        for message in [r#"{"type":"online","from":"me"}"#, r#"{"to":"me","round":1}"#] {
            then.extend_from_slice(&frame(0x81, message.as_bytes(), true, None));
        }
        let none = ["Upgrade", "Connection"].map(|name| (name.to_owned(), None));
        let mut client =
            Actor::request(server.addresses[0], "GET", "/", &none, &then).behind_pages(1);
        client.watch_for(2, Duration::from_secs(3));
        assert!(
            matches!(&client.saw[..], [Saw::Open { accept_ok: true, .. }, Saw::Text(text)] if text.contains("round")),
            "round {round}: {:?}",
            client.saw
        );
    }
}

#[test]
fn all_loops_say_goodbye() {
    let mut server = four(60);
    let mut clients = spread(&server, 60, |n| {
        let path = ["/broadcast", "/ws", "/direct", "/im", "/echo"][n % 5];
        let mut client = Actor::open(server.addresses[0], path);
        if path == "/ws" {
            client.watch(1);
            client.saw.clear();
        }
        client
    });
    server.signal("TERM");
    for client in &mut clients {
        client.watch(2);
        assert!(
            matches!(client.saw[..], [Saw::Close(Some(1001), _), Saw::TcpEnd]),
            "{:?}",
            client.saw
        );
    }
    assert_eq!(server.ended(Duration::from_secs(5)).code(), Some(0));
}

#[test]
fn a_crowd_of_five_hundred_hears_every_word_once() {
    let server = four(504);
    let mut crowd =
        spread(&server, 500, |_| Actor::open(server.addresses[0], "/broadcast?room=hall"));
    let mut speakers =
        [0, 1, 2].map(|n| Chatter::enter(server.addresses[0], &format!("speaker{n}"), "hall"));
    for n in 0..20 {
        for (speaker, name) in speakers.iter_mut().zip("abc".chars()) {
            speaker.say("hall", &json!(format!("{name}{n}")));
        }
    }
    let log: Vec<Saw> = (0..60)
        .map(|_| Saw::Text(speakers[0].until("message")["body"].as_str().unwrap().to_owned()))
        .collect();
    for (at, client) in crowd.iter_mut().enumerate() {
        client.watch_for(60, Duration::from_secs(30));
        assert_eq!(client.saw, log, "client {at}");
    }
    // All leave; the room is as it was.
    drop(crowd);
    speakers[0].say("hall", &json!("anybody here?"));
    let bodies: Vec<Value> = (0..61).map(|_| speakers[1].until("message")["body"].take()).collect();
    assert_eq!(bodies.last().unwrap(), "anybody here?");
}

#[test]
fn the_limit_of_connections_holds_for_all_loops_together() {
    let server = four(8);
    // Those of the directory all move to one loop, whose own share is smaller, and leave their places
    // behind. Round after round, so that none is lost nor made.
    for round in 0..6 {
        let path = if round % 2 == 0 { "/direct" } else { "/echo" };
        let mut clients: Vec<Actor> =
            (0..8).map(|_| Actor::open(server.addresses[0], path)).collect();
        let mut next = Actor::request(server.addresses[0], "GET", path, &[], b"");
        next.watch_for(1, Duration::from_millis(200));
        assert_eq!(next.saw, [], "round {round}: the ninth waits");
        drop(clients.pop());
        next.watch(1);
        assert!(matches!(next.saw[..], [Saw::Open { .. }]), "round {round}: {:?}", next.saw);
    }
}
