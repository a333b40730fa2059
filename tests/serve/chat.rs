//! The native chat end to end: who is where, what was said, what was missed.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use sockeye::client::{ClientError, Connect};

use crate::actor::{Actor, Saw};
use crate::chatter::{CHAT, Chatter};
use crate::process::Server;

fn bodies(events: &[Value]) -> Vec<&Value> {
    events.iter().filter(|it| it["ev"] == "message").map(|it| &it["body"]).collect()
}

#[test]
fn a_message_is_acknowledged_and_reaches_everybody_in_the_room() {
    let server = Server::start(&[]);
    let mut alice = Chatter::enter(server.addresses[0], "alice", "tea");
    let mut bob = Chatter::enter(server.addresses[0], "bob", "tea");
    assert_eq!(alice.until("presence")["user"], "bob");
    let mut elsewhere = Chatter::enter(server.addresses[0], "eve", "coffee");
    bob.ask(&json!({"op": "say", "room": "tea", "id": [1, "x"], "seq": 7, "body": {"a": 1.50}}));
    let ack = bob.until("ack");
    assert_eq!((&ack["id"], &ack["seq"]), (&json!([1, "x"]), &json!(7)));
    let heard = alice.until("message");
    assert_eq!(heard["from"], "bob");
    assert_eq!(heard["body"], json!({"a": 1.50}));
    assert_eq!((&heard["epoch"], &heard["offset"]), (&ack["epoch"], &ack["offset"]));
    assert_eq!(bob.until("message"), heard);
    assert_eq!(elsewhere.rest(), [] as [Value; 0]);
    // The next builds on it.
    alice.say("tea", &json!("and you?"));
    let next = bob.until("message");
    assert_eq!((&next["from"], &next["prev"]), (&json!("alice"), &heard["offset"]));
}

#[test]
fn a_user_comes_once_and_leaves_once_however_many_tabs() {
    let server = Server::start(&[]);
    let mut alice = Chatter::enter(server.addresses[0], "alice", "tea");
    let mut tabs: Vec<Chatter> =
        (0..3).map(|_| Chatter::enter(server.addresses[0], "bob", "tea")).collect();
    let came = alice.until("presence");
    assert_eq!(
        came,
        json!({"ev": "presence", "room": "tea", "user": "bob", "change": "join", "online": 2})
    );
    alice.ask(&json!({"op": "who", "room": "tea"}));
    let who = alice.until("who");
    assert_eq!((&who["members"], &who["online"]), (&json!(["alice", "bob"]), &json!(2)));
    tabs.pop().unwrap().leave();
    tabs.pop().unwrap().cut();
    let mut last = tabs.pop().unwrap();
    last.ask(&json!({"op": "leave", "room": "tea"}));
    last.until("left");
    let left = alice.until("presence");
    assert_eq!(
        (&left["user"], &left["change"], &left["online"]),
        (&json!("bob"), &json!("leave"), &json!(1))
    );
    assert_eq!(alice.rest(), [] as [Value; 0]);
}

#[test]
fn history_is_read_page_by_page_in_both_directions() {
    let server = Server::start(&[]);
    let mut alice = Chatter::enter(server.addresses[0], "alice", "tea");
    for n in 0..25 {
        alice.say("tea", &json!(n));
    }
    let all: Vec<Value> = (0..25).map(|_| alice.until("message")).collect();
    let mut backwards = Vec::new();
    let mut before = Value::Null;
    loop {
        alice.ask(&json!({"op": "history", "room": "tea", "before": before, "limit": 10}));
        let page = alice.until("history");
        let messages = page["messages"].as_array().unwrap().clone();
        before = messages[0]["offset"].clone();
        backwards.splice(0..0, messages);
        if page["more"] != true {
            break;
        }
    }
    assert_eq!(backwards, all);
    alice.ask(&json!({"op": "history", "room": "tea", "after": all[11]["offset"], "limit": 3}));
    let page = alice.until("history");
    assert_eq!(page["messages"].as_array().unwrap()[..], all[12..15]);
    assert_eq!(page["more"], true);
    // Joining can ask for the last ones, or for what is behind a place.
    let at = |n: usize| json!({"epoch": all[n]["epoch"], "offset": all[n]["offset"]});
    for (request, replayed) in [
        (json!({"op": "join", "room": "tea", "history": 4}), &all[21..]),
        (json!({"op": "join", "room": "tea", "since": at(19)}), &all[20..]),
        (json!({"op": "join", "room": "tea"}), &[]),
    ] {
        let mut bob = Chatter::open(server.addresses[0], "/chat");
        bob.ask(&request);
        let joined = bob.until("joined");
        assert_eq!(joined["recovered"], true, "{request}");
        assert_eq!(joined["offset"], all[24]["offset"]);
        let rest = bob.rest();
        let messages: Vec<Value> =
            rest.into_iter().filter(|event| event["ev"] == "message").collect();
        assert_eq!(messages, replayed, "{request}");
        if let Some(first) = replayed.first() {
            assert_eq!(joined["prev"], first["prev"]);
        }
    }
}

#[test]
fn a_direct_message_reaches_all_tabs_of_both_and_waits_for_who_is_away() {
    let server = Server::start(&[]);
    let open = |user: &str| {
        let mut chatter = Chatter::open(server.addresses[0], &format!("/chat?user={user}"));
        chatter.until("hello");
        chatter
    };
    let mut alice = [open("alice"), open("alice")];
    let mut bob = [open("bob"), open("bob")];
    let mut eve = open("eve");
    alice[0].ask(&json!({"op": "tell", "to": "bob", "seq": 1, "body": "psst"}));
    let ack = alice[0].until("ack");
    assert_eq!((&ack["to"], &ack["seq"]), (&json!("bob"), &json!(1)));
    for (tab, own) in
        alice.iter_mut().map(|tab| (tab, true)).chain(bob.iter_mut().map(|tab| (tab, false)))
    {
        let direct = tab.until("direct");
        assert_eq!(
            (&direct["from"], &direct["to"], &direct["body"]),
            (&json!("alice"), &json!("bob"), &json!("psst"))
        );
        if own {
            assert_eq!(direct["offset"], ack["offset"]);
        }
        assert_eq!(tab.rest(), [] as [Value; 0]);
    }
    assert_eq!(eve.rest(), [] as [Value; 0]);
    // Carol has never been here.
    for n in 0..3 {
        alice[1].ask(&json!({"op": "tell", "to": "carol", "body": n}));
        alice[1].until("ack");
    }
    let mut carol = open("carol");
    carol.ask(&json!({"op": "history", "inbox": true}));
    let page = carol.until("history");
    let messages = page["messages"].as_array().unwrap();
    let said: Vec<&Value> = messages.iter().map(|it| &it["body"]).collect();
    assert_eq!(said, [0, 1, 2]);
    assert_eq!(messages[0]["ev"], "direct");
    let at = json!({"epoch": messages[0]["epoch"], "offset": messages[0]["offset"]});
    // And resumed from a cursor, by who has been here.
    drop(carol);
    let mut carol = Chatter::open(server.addresses[0], "/chat");
    carol.ask(&json!({"op": "hello", "user": "carol", "resume": {"@carol": at}}));
    assert_eq!(carol.until("hello")["inbox"]["recovered"], true);
    assert_eq!([&carol.next()["body"], &carol.next()["body"]], [1, 2]);
    // Nobody reads another's.
    carol.ask(&json!({"op": "join", "room": "@alice"}));
    assert_eq!(carol.until("error")["code"], "bad_request");
}

#[test]
fn a_signal_is_heard_by_the_others_and_never_kept() {
    let server = Server::start(&[]);
    let mut alice = Chatter::enter(server.addresses[0], "alice", "tea");
    let mut bob = [0, 1].map(|_| Chatter::enter(server.addresses[0], "bob", "tea"));
    alice.until("presence");
    alice.ask(&json!({"op": "signal", "room": "tea", "body": "typing"}));
    bob[0].ask(&json!({"op": "signal", "to": "bob", "body": {"read": 3}}));
    let seen = bob[1].until("signal");
    let other = bob[1].until("signal");
    let mut both = [&seen["body"], &other["body"]];
    both.sort_by_key(|body| body.is_object());
    assert_eq!(both, [&json!("typing"), &json!({"read": 3})]);
    assert_eq!(
        bob[0].until("signal"),
        json!({"ev": "signal", "room": "tea", "from": "alice", "body": "typing"})
    );
    assert_eq!(bob[0].rest(), [] as [Value; 0]);
    assert_eq!(alice.rest(), [] as [Value; 0]);
    alice.ask(&json!({"op": "history", "room": "tea"}));
    assert_eq!(alice.until("history")["messages"], json!([]));
}

#[test]
fn whoever_gives_no_name_is_a_guest_with_one_of_their_own() {
    let server = Server::start(&[]);
    let mut names = Vec::new();
    for by_query in [true, false, false] {
        let target = if by_query { "/chat?room=tea" } else { "/chat" };
        let mut guest = Chatter::open(server.addresses[0], target);
        if !by_query {
            guest.ask(&json!({"op": "join", "room": "tea", "id": 1}));
        }
        let hello = guest.next();
        assert_eq!(hello["ev"], "hello");
        assert_eq!(guest.next()["ev"], "joined");
        names.push(hello["user"].as_str().unwrap().to_owned());
    }
    assert!(names.iter().all(|name| name.starts_with("guest-")), "{names:?}");
    names.dedup();
    assert_eq!(names.len(), 3);
}

#[test]
fn the_query_says_who_and_where_and_the_answers_come_unasked() {
    let server = Server::start(&[]);
    let mut alice = Chatter::open(server.addresses[0], "/chat?user=al%20ice&room=te%C3%A9");
    let hello = alice.next();
    assert_eq!((&hello["ev"], &hello["user"]), (&json!("hello"), &json!("al ice")));
    for limit in
        ["body_bytes", "message_bytes", "unacked", "history", "replay", "rooms", "presence_members"]
    {
        assert!(hello["limits"][limit].is_u64(), "{limit} in {hello}");
    }
    let joined = alice.next();
    assert_eq!((&joined["ev"], &joined["room"]), (&json!("joined"), &json!("teé")));
    assert_eq!(joined["members"], json!(["al ice"]));
}

#[test]
fn the_chats_own_subprotocol_is_chosen_wherever_it_stands_in_the_offer() {
    let server = Server::start(&["--subprotocol", "soap"]);
    for (path, offer, chosen) in [
        ("/chat", ["soap", "wamp", CHAT], Some(CHAT)),
        ("/chat", ["wamp", "x", "soap"], Some("soap")),
        ("/chat", ["wamp", "x", "y"], None),
        ("/broadcast", ["wamp", CHAT, "soap"], Some("soap")),
    ] {
        let mut options = Connect::new();
        for name in offer {
            options = options.subprotocol(name);
        }
        match options.open(&format!("ws://{}{path}", server.addresses[0])) {
            Ok(client) => assert_eq!(client.subprotocol(), chosen, "{offer:?} at {path}"),
            // A client that offered something and got nothing may refuse that.
            Err(error) => assert!(chosen.is_none(), "{error} for {offer:?} at {path}"),
        }
    }
}

/// Keeps the rule of the dialect's description for one room.
#[derive(Default)]
struct Follower {
    at: Option<(u64, u64)>,
    heard: Vec<String>,
}

impl Follower {
    fn resume(&self) -> Value {
        match self.at {
            Some((epoch, offset)) => json!({"tea": {"epoch": epoch, "offset": offset}}),
            None => json!({}),
        }
    }

    fn take(&mut self, event: &Value) {
        let number = |name: &str| event[name].as_u64().unwrap();
        match event["ev"].as_str().unwrap() {
            "joined" => {
                assert_eq!(event["recovered"], true);
                if let Some(at) = self.at {
                    assert_eq!(
                        at,
                        (number("epoch"), number("prev")),
                        "the replay begins where I was"
                    );
                }
                self.at = Some((number("epoch"), number("prev")));
            }
            "message" => {
                let (epoch, last) = self.at.unwrap();
                assert_eq!(epoch, number("epoch"));
                if number("offset") > last {
                    assert_eq!(number("prev"), last, "nothing is missing between");
                    self.at = Some((epoch, number("offset")));
                    self.heard.push(event["body"].as_str().unwrap().to_owned());
                }
            }
            _ => {}
        }
    }
}

#[test]
fn over_cut_lines_nothing_is_lost_and_nothing_doubled() {
    let server = Server::start(&[]);
    let mut listener = Follower::default();
    let mut unacked: BTreeMap<u64, String> = BTreeMap::new();
    let mut seq = 0;
    let mut duplicates = 0;
    for round in 0..12 {
        let mut speaker = Chatter::open(server.addresses[0], "/chat");
        speaker.ask(&json!({"op": "hello", "user": "ada", "producer": "p1"}));
        speaker.ask(&json!({"op": "join", "room": "tea"}));
        let mut ear = Chatter::open(server.addresses[0], "/chat");
        ear.ask(&json!({"op": "hello", "user": "bob", "resume": listener.resume()}));
        if round == 0 {
            ear.ask(&json!({"op": "join", "room": "tea"}));
        }
        listener.take(&ear.until("joined"));
        for (seq, body) in &unacked {
            speaker.ask(&json!({"op": "say", "room": "tea", "seq": seq, "body": body}));
        }
        for _ in 0..20 {
            seq += 1;
            let body = format!("number {seq}");
            speaker.ask(&json!({"op": "say", "room": "tea", "seq": seq, "body": body}));
            unacked.insert(seq, body);
        }
        // Some of the answers, then the line is cut.
        let last = round == 11;
        let patience = if last { unacked.len() } else { round * 3 };
        for _ in 0..patience {
            let ack = loop {
                let event = speaker.next();
                assert_ne!(event["ev"], "error", "round {round}: {event}");
                if event["ev"] == "ack" {
                    break event;
                }
            };
            duplicates += usize::from(ack["duplicate"] == true);
            assert!(unacked.remove(&ack["seq"].as_u64().unwrap()).is_some(), "{ack}");
        }
        let wanted =
            if last { usize::try_from(seq).unwrap() } else { listener.heard.len() + round };
        while listener.heard.len() < wanted {
            let event = ear.next();
            listener.take(&event);
        }
        speaker.cut();
        ear.cut();
    }
    let all: Vec<String> = (1..=seq).map(|n| format!("number {n}")).collect();
    assert_eq!(listener.heard, all);
    assert!(duplicates > 0, "some answers were lost with their line");
    // Also long after: the log has it already, at its old place.
    let mut speaker = Chatter::open(server.addresses[0], "/chat");
    speaker.ask(&json!({"op": "hello", "user": "ada", "producer": "p1"}));
    speaker.ask(&json!({"op": "join", "room": "tea"}));
    speaker.ask(&json!({"op": "say", "room": "tea", "seq": seq, "body": all.last()}));
    let ack = speaker.until("ack");
    assert_eq!(ack["duplicate"], true);
    assert_eq!(ack["offset"], listener.at.unwrap().1);
    // Another user's producer is another, whatever it is called.
    let mut other = Chatter::open(server.addresses[0], "/chat");
    other.ask(&json!({"op": "hello", "user": "mallory", "producer": "p1"}));
    other.ask(&json!({"op": "join", "room": "tea"}));
    other.ask(&json!({"op": "say", "room": "tea", "seq": seq, "body": "mine"}));
    assert_ne!(other.until("ack")["duplicate"], true);
}

#[test]
fn what_was_forgotten_is_said_to_be_gone() {
    let server = Server::start(&["--history-messages", "5"]);
    let mut alice = Chatter::enter(server.addresses[0], "alice", "tea");
    let mut at = Vec::new();
    for n in 0..12 {
        alice.say("tea", &json!(n));
        let ack = alice.until("ack");
        at.push(json!({"epoch": ack["epoch"], "offset": ack["offset"]}));
    }
    for (since, recovered, first) in [(2, false, 7), (6, true, 7), (9, true, 10)] {
        let mut bob = Chatter::open(server.addresses[0], "/chat");
        bob.ask(&json!({"op": "hello", "user": "bob", "resume": {"tea": at[since]}}));
        let joined = bob.until("joined");
        assert_eq!(joined["recovered"], recovered, "since {since}");
        let rest = bob.rest();
        assert_eq!(
            bodies(&rest),
            (first..12).map(|n| json!(n)).collect::<Vec<_>>().iter().collect::<Vec<_>>()
        );
    }
    let mut stranger = Chatter::open(server.addresses[0], "/chat?user=carol");
    let other = json!({"epoch": 1, "offset": 3});
    stranger.ask(&json!({"op": "join", "room": "tea", "since": other}));
    assert_eq!(stranger.until("joined")["recovered"], false, "another epoch");
}

#[test]
fn who_goes_down_says_when_to_come_back_and_closes_with_1001() {
    for shards in ["1", "4"] {
        // Where each loop takes no more than its share, all have the same number of connections.
        let mut server = Server::start(&["--shards", shards, "--max-connections", "20"]);
        let enter = |n| Chatter::enter(server.addresses[0], &format!("user{n}"), "tea");
        let mut chatters: Vec<Chatter> = (0..20).map(enter).collect();
        for chatter in &mut chatters {
            chatter.rest();
        }
        server.signal("TERM");
        let mut delays = Vec::new();
        for chatter in &mut chatters {
            let (code, _) = chatter.close();
            assert_eq!(code, Some(1001));
            delays.push(chatter.until("drain")["reconnect_in_ms"].as_u64().unwrap());
        }
        delays.sort_unstable();
        delays.dedup();
        assert_eq!(delays.len(), 20, "{shards} loops: all at a time of their own: {delays:?}");
        drop(chatters);
        assert_eq!(server.ended(Duration::from_secs(10)).code(), Some(0));
    }
}

#[test]
fn plain_clients_talk_with_the_chat_in_one_room() {
    let server = Server::start(&[]);
    let address = server.addresses[0];
    let mut alice = Chatter::enter(address, "alice", "tea");
    let mut raw = Actor::open(address, "/broadcast?room=tea");
    let mut named = Actor::open(address, "/ws?room=tea");
    named.watch(1);
    named.saw.clear();
    // From the chat: strings as text, other JSON as written.
    alice.ask(&json!({"op": "say", "room": "tea", "body": "hello"}));
    alice.client().text(r#"{"op":"say","room":"tea","body":{ "b" :1.0}}"#).unwrap();
    raw.watch(2);
    assert_eq!(raw.saw, [Saw::Text("hello".into()), Saw::Text(r#"{ "b" :1.0}"#.into())]);
    named.watch(2);
    assert_eq!(
        named.saw,
        [Saw::Text("alice -> hello".into()), Saw::Text(r#"alice -> { "b" :1.0}"#.into())]
    );
    assert_eq!(alice.until("message")["body"], "hello");
    assert_eq!(alice.until("message")["body"], json!({"b": 1.0}));
    (raw.saw, named.saw) = Default::default();
    // From plain clients: text as a string, binary in base64; each in its order.
    raw.text("one");
    raw.write(&crate::actor::frame(0x82, &[0, 1, 2, 0xff], true, None));
    raw.text("{\"three\":3}");
    let name = format!("::ffff:127.0.0.1{}", raw.port());
    let said: Vec<Value> = (0..3).map(|_| alice.until("message")["body"].clone()).collect();
    assert_eq!(said, [json!("one"), json!({"base64": "AAEC/w=="}), json!("{\"three\":3}")]);
    named.watch(3);
    assert_eq!(
        named.saw,
        [
            Saw::Text(format!("{name} -> one")),
            Saw::Text(format!("{name} -> \0\u{1}\u{2}\u{fffd}")),
            Saw::Text(format!("{name} -> {{\"three\":3}}")),
        ]
    );
    named.saw.clear();
    named.text("from me");
    assert_eq!(alice.until("message")["body"], "from me");
    raw.watch(1);
    assert_eq!(raw.saw, [Saw::Text("from me".into())]);
    named.watch(1);
    assert!(matches!(&named.saw[..], [Saw::Text(text)] if text.ends_with(" -> from me")));
    // They are in the log like any other.
    alice.ask(&json!({"op": "history", "room": "tea"}));
    assert_eq!(alice.until("history")["messages"].as_array().unwrap().len(), 6);
}

#[test]
fn sixteen_mebibytes_pass_and_a_byte_more_is_1009() {
    let server = Server::start(&[]);
    let whole = 16 << 20;
    for path in ["/broadcast", "/broadcast?room=kept"] {
        let mut chat =
            (path.ends_with("kept")).then(|| Chatter::enter(server.addresses[0], "alice", "kept"));
        let mut listener = Actor::open(server.addresses[0], path);
        let mut speaker = Actor::open(server.addresses[0], path);
        speaker.write(&crate::actor::frame(0x82, &vec![7; whole], true, None));
        listener.watch_for(1, Duration::from_secs(30));
        assert!(
            matches!(&listener.saw[..], [Saw::Binary(bytes)] if bytes.len() == whole),
            "{path}"
        );
        if let Some(chat) = &mut chat {
            let message = chat.until("message");
            let base64 = message["body"]["base64"].as_str().unwrap();
            assert_eq!(base64.len(), whole.div_ceil(3) * 4);
        }
        listener.saw.clear();
        speaker.write(&crate::actor::frame(0x81, &vec![b'x'; whole], true, None));
        listener.watch_for(1, Duration::from_secs(30));
        assert!(matches!(&listener.saw[..], [Saw::Text(text)] if text.len() == whole), "{path}");
        speaker.write(&crate::actor::frame(0x81, &[], true, Some(1 + whole as u64)));
        speaker.watch(1);
        assert!(matches!(speaker.saw[..], [Saw::Close(Some(1009), _), ..]), "{:?}", speaker.saw);
    }
}

#[test]
fn an_error_says_what_is_wrong_and_the_connection_lives() {
    let server = Server::start(&[]);
    let mut alice = Chatter::enter(server.addresses[0], "alice", "tea");
    for (request, code) in [
        ("not json", "bad_request"),
        ("[1]", "bad_request"),
        (r#"{"op":"fly","id":1}"#, "unknown_op"),
        (r#"{"op":"say","room":"coffee","body":1,"id":2}"#, "not_joined"),
        (r#"{"op":"say","room":"tea","id":3}"#, "bad_request"),
        (r#"{"op":"leave","room":"coffee","id":4}"#, "not_joined"),
        (r#"{"op":"hello","user":"bob","id":5}"#, "forbidden"),
        (r#"{"op":"join","room":"@bob","id":6}"#, "bad_request"),
        (r#"{"op":"join","room":7,"id":7}"#, "bad_request"),
    ] {
        alice.client().text(request).unwrap();
        let error = alice.until("error");
        assert_eq!(error["code"], code, "{request}: {error}");
        let id = serde_json::from_str::<Value>(request).map(|it| it["id"].clone());
        assert_eq!(error["id"], id.unwrap_or_default(), "{request}");
        assert!(error["message"].as_str().is_some_and(|it| !it.is_empty()), "{error}");
    }
    alice.client().binary(b"{}").unwrap();
    assert_eq!(alice.until("error")["code"], "bad_request");
    alice.ask(&json!({"op": "say", "room": "tea", "seq": 1, "body": "x".repeat(300_000)}));
    let error = alice.until("error");
    assert_eq!((&error["code"], &error["seq"]), (&json!("too_large"), &json!(1)));
    alice.say("tea", &json!("still here"));
    assert_eq!(alice.until("message")["body"], "still here");
}

#[test]
fn who_talks_nonsense_is_closed_with_1008() {
    let server = Server::start(&[]);
    let mut alice = Chatter::enter(server.addresses[0], "alice", "tea");
    for _ in 0..100 {
        let _ = alice.try_ask(&json!("nonsense"));
    }
    assert_eq!(alice.close().0, Some(1008));
}

#[test]
fn who_says_more_than_the_rate_is_told_when_to_go_on() {
    let server = Server::start(&[]);
    let mut alice = Chatter::enter(server.addresses[0], "alice", "tea");
    let mut bob = Chatter::enter(server.addresses[0], "bob", "tea");
    let rate = json!({"op": "signal", "room": "tea", "body": "x", "id": 5});
    let wait = loop {
        // Ten seconds' worth passes at once.
        for _ in 0..500 {
            alice.ask(&rate);
        }
        let rest = alice.rest_though_limited();
        if let Some(error) = rest.iter().find(|event| event["ev"] == "error") {
            assert_eq!((&error["code"], &error["id"]), (&json!("rate_limited"), &json!(5)));
            break error["retry"].as_u64().unwrap();
        }
    };
    assert!((1..=1000).contains(&wait), "{wait} ms");
    // What is said within the rate goes on, by others and later.
    bob.say("tea", &json!("calmly"));
    assert_eq!(bob.until("message")["body"], "calmly");
    std::thread::sleep(Duration::from_millis(wait + 100));
    alice.say("tea", &json!("patiently"));
    assert_eq!(bob.until("message")["body"], "patiently");
}

#[test]
fn a_name_that_may_not_be_is_refused_before_the_upgrade() {
    let server = Server::start(&[]);
    for query in ["room=@alice", "user=%00", &format!("user={}", "x".repeat(129))] {
        let url = format!("ws://{}/chat?{query}", server.addresses[0]);
        let Err(ClientError::Refused(refusal)) = Connect::new().open(&url) else {
            panic!("{query} was let in")
        };
        assert_eq!(refusal.status, 400, "{query}");
    }
}

#[test]
fn what_was_over_the_rate_is_taken_later_under_a_new_number() {
    let server = Server::start(&[]);
    let mut alice = Chatter::open(server.addresses[0], "/chat");
    alice.ask(&json!({"op": "hello", "user": "alice", "producer": "p"}));
    alice.ask(&json!({"op": "join", "room": "tea"}));
    let mut seq = 0;
    let mut to_say: Vec<u64> = (0..1100).collect();
    let mut said: Vec<u64> = Vec::new();
    let mut refused = 0;
    while !to_say.is_empty() {
        let mut waiting = BTreeMap::new();
        for body in to_say.drain(..) {
            seq += 1;
            alice.ask(&json!({"op": "say", "room": "tea", "seq": seq, "body": body}));
            waiting.insert(seq, body);
        }
        let mut wait = 0;
        while !waiting.is_empty() {
            let event = alice.next();
            let number = event["seq"].as_u64().unwrap_or_default();
            match event["ev"].as_str().unwrap() {
                "ack" => said.extend(waiting.remove(&number)),
                "error" => {
                    assert_eq!(event["code"], "rate_limited", "{event}");
                    wait = event["retry"].as_u64().unwrap();
                    refused += 1;
                    to_say.extend(waiting.remove(&number));
                }
                _ => {}
            }
        }
        std::thread::sleep(Duration::from_millis(wait + 400));
    }
    assert!(refused > 0, "a thousand at once are the limit");
    said.sort_unstable();
    assert_eq!(said, (0..1100).collect::<Vec<_>>());
}
