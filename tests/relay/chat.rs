//! The chat dialect, request by request: what is asked, and the exact answer.

use crate::opening;
use crate::world::World;
use sockeye::relay::{ChatLimits, Config, Dialect, Kind, Limits, Opening};
use std::time::Duration;

/// Without the parts that are the same in every `hello`.
fn brief(event: &str) -> String {
    let Some((before, limits)) = event.split_once(r#","server":"#) else {
        return event.to_owned();
    };
    let (_, inbox) = limits.split_once(r#"},"inbox""#).unwrap();
    format!(r#"{before},"inbox"{inbox}"#)
}

fn hello(user: &str, session: &str, offset: u64) -> String {
    format!(
        r#"{{"ev":"hello","session":"{session}","user":"{user}","inbox":{{"epoch":7,"offset":{offset},"prev":{offset},"recovered":true}}}}"#
    )
}

/// Alice (1) and Bob (2) in the tea room, on one hub, up to date.
fn tea() -> World {
    let mut world = World::new(1);
    world.chat(1, Some("tea"), Some("alice"));
    world.chat(2, Some("tea"), Some("bob"));
    world.told(1);
    world
}

#[test]
fn a_name_in_the_url_is_greeted_at_once_and_a_room_joined() {
    let mut world = World::new(1);
    let told = world.chat(1, Some("tea"), Some("alice"));
    assert_eq!(brief(&told[0]), hello("alice", "1-1", 0));
    assert_eq!(
        told[1..],
        [
            r#"{"ev":"joined","room":"tea","epoch":7,"offset":0,"prev":0,"recovered":true,"members":["alice"],"online":1}"#
        ]
    );
}

#[test]
fn hello_tells_version_and_limits() {
    let mut world = World::new(1);
    let told = world.chat(1, None, Some("alice"));
    let hello: serde_json::Value = serde_json::from_str(&told[0]).unwrap();
    assert_eq!(hello["server"], concat!("sockeye/", env!("CARGO_PKG_VERSION")));
    let expected = r#"{"body_bytes":262144,"message_bytes":327680,"id_bytes":128,"producer_bytes":64,"unacked":128,"history":100,"replay":1000,"rooms":64,"presence_members":256,"messages_per_second":100,"bytes_per_second":1048576,"burst_ms":10000}"#;
    assert_eq!(hello["limits"].to_string(), expected);
}

#[test]
fn without_a_name_the_first_request_decides() {
    let mut world = World::new(1);
    assert_eq!(world.chat(1, None, None), [""; 0]);
    let told = world.ask(1, r#"{"op":"hello","id":"a","user":"alice"}"#);
    assert_eq!(told.len(), 1);
    assert!(told[0].starts_with(r#"{"ev":"hello","id":"a","session":"1-1","user":"alice","#));
    world.chat(2, None, None);
    let told = world.ask(2, r#"{"op":"ping","id":2}"#);
    assert_eq!(brief(&told[0]), hello("guest-2-1", "2-1", 0));
    assert_eq!(told[1..], [r#"{"ev":"pong","id":2}"#], "it needs no log, and waits all the same");
    world.chat(36, None, None);
    let told = world.ask(36, r#"{"op":"hello"}"#);
    assert_eq!(brief(&told[0]), hello("guest-10-1", "10-1", 0));
}

#[test]
fn what_means_nothing_does_not_make_a_guest() {
    let mut world = World::new(1);
    world.chat(1, None, None);
    assert_eq!(world.ask(1, "hi").len(), 1);
    assert!(world.ask(1, r#"{"op":"hello","user":"alice"}"#)[0].contains(r#""user":"alice""#));
}

#[test]
fn hello_again_is_fine_for_the_same_user_and_forbidden_for_another() {
    let mut world = tea();
    let told = world.ask(1, r#"{"op":"hello","user":"alice"}"#);
    assert_eq!(brief(&told[0]), hello("alice", "1-1", 0));
    assert_eq!(world.ask(1, r#"{"op":"hello"}"#).len(), 1);
    assert_eq!(
        world.ask(1, r#"{"op":"hello","id":1,"user":"bob"}"#),
        [
            r#"{"ev":"error","id":1,"code":"forbidden","message":"This session is somebody else's already: open another connection."}"#
        ]
    );
    assert_eq!(
        world.ask(1, r#"{"op":"tell","to":"alice","body":1}"#).len(),
        2,
        "still in its inbox once"
    );
}

#[test]
fn a_message_is_acknowledged_and_comes_to_all_members() {
    let mut world = tea();
    let told = world.ask(1, r#"{"op":"say","id":"x","room":"tea","seq":1,"body":{"text": "hi"}}"#);
    let message = r#"{"ev":"message","room":"tea","from":"alice","epoch":7,"offset":1,"prev":0,"at":1001,"body":{"text": "hi"}}"#;
    let ack = r#"{"ev":"ack","id":"x","seq":1,"room":"tea","epoch":7,"offset":1}"#;
    assert_eq!(told, [ack, message]);
    assert_eq!(world.told(2), [message]);
}

#[test]
fn a_number_is_taken_once_for_each_producer_of_each_user() {
    let mut world = tea();
    let say = r#"{"op":"say","room":"tea","seq":1,"body":0}"#;
    world.ask(1, say);
    let again = r#"{"ev":"ack","seq":1,"room":"tea","epoch":7,"offset":1,"duplicate":true}"#;
    assert_eq!(world.ask(1, say), [again]);
    world.ask(1, r#"{"op":"hello","producer":"p"}"#);
    assert_eq!(world.ask(1, say).len(), 2, "another producer");
    world.ask(2, r#"{"op":"hello","producer":"p"}"#);
    world.told(2);
    assert_eq!(world.ask(2, say).len(), 2, "another user");
    // Another session of the user goes on with the producer.
    world.chat(3, Some("tea"), Some("alice"));
    world.ask(3, r#"{"op":"hello","producer":"p"}"#);
    assert!(world.ask(3, say)[0].contains(r#""duplicate":true"#));
    world.told(1);
    let without = r#"{"op":"say","room":"tea","body":0}"#;
    assert_eq!(world.ask(1, without).len(), 2);
    assert!(world.ask(1, without)[0].starts_with(r#"{"ev":"ack","room":"tea","epoch":7,"#));
}

#[test]
fn a_session_without_a_producer_is_one_by_itself() {
    let mut world = World::new(2);
    for hub in 0..2 {
        let opening = Opening { user: Some("alice"), ..opening(1, Dialect::Chat, Some("tea")) };
        world.open(hub, 5, &opening);
        world.settle();
        world.told(5);
        let told = world.ask(5, r#"{"op":"say","room":"tea","seq":1,"body":0}"#);
        assert!(!told[0].contains("duplicate"), "{told:?}");
        world.close(5);
    }
}

#[test]
fn a_direct_message_comes_to_both_inboxes_once_in_each_session() {
    let mut world = tea();
    world.chat(3, None, Some("alice"));
    let told = world.ask(1, r#"{"op":"tell","id":1,"to":"bob","seq":9,"body":"psst"}"#);
    let direct = r#"{"ev":"direct","from":"alice","to":"bob","epoch":7,"offset":1,"prev":0,"at":1001,"body":"psst"}"#;
    let ack = r#"{"ev":"ack","id":1,"seq":9,"to":"bob","epoch":7,"offset":1}"#;
    assert_eq!(told, [ack, direct]);
    assert_eq!(world.told(2), [direct]);
    assert_eq!(world.told(3), [direct]);
    // To oneself: one copy.
    assert_eq!(world.ask(2, r#"{"op":"tell","to":"bob","body":1}"#).len(), 2);
    assert_eq!(world.logs["@bob"].len(), 2);
    // The place in the own inbox is told, not that in the other's.
    let told = world.ask(2, r#"{"op":"tell","to":"alice","body":1}"#);
    assert_eq!(told[0], r#"{"ev":"ack","to":"alice","epoch":7,"offset":3}"#);
}

#[test]
fn who_was_away_is_told_what_came() {
    let mut world = tea();
    world.ask(1, r#"{"op":"tell","to":"carol","body":1}"#);
    world.ask(1, r#"{"op":"tell","to":"carol","body":2}"#);
    world.chat(3, None, None);
    let told =
        world.ask(3, r#"{"op":"hello","user":"carol","resume":{"@carol":{"epoch":7,"offset":1}}}"#);
    assert!(told[0].ends_with(r#""inbox":{"epoch":7,"offset":2,"prev":1,"recovered":true}}"#));
    assert_eq!(
        told[1..],
        [
            r#"{"ev":"direct","from":"alice","to":"carol","epoch":7,"offset":2,"prev":1,"at":1002,"body":2}"#
        ]
    );
}

#[test]
fn a_join_replays_what_is_behind_a_cursor_and_prev_goes_on_from_it() {
    let mut world = tea();
    for n in 1..=4 {
        world.ask(1, &format!(r#"{{"op":"say","room":"tea","body":{n}}}"#));
    }
    let message = |n: u64| {
        format!(
            r#"{{"ev":"message","room":"tea","from":"alice","epoch":7,"offset":{n},"prev":{},"at":{},"body":{n}}}"#,
            n - 1,
            1000 + n
        )
    };
    let joined = |prev: u64, recovered: bool| {
        format!(
            r#"{{"ev":"joined","room":"tea","epoch":7,"offset":4,"prev":{prev},"recovered":{recovered},"members":["alice","bob","carol"],"online":3}}"#
        )
    };
    world.chat(3, None, Some("carol"));
    let since = |epoch: u64, offset: u64| {
        format!(r#"{{"op":"join","room":"tea","since":{{"epoch":{epoch},"offset":{offset}}}}}"#)
    };
    assert_eq!(world.ask(3, &since(7, 2)), [joined(2, true), message(3), message(4)]);
    // Joined already: the same again, and still each message once.
    assert_eq!(world.ask(3, &since(7, 4)), [joined(4, true)]);
    assert_eq!(
        world.ask(3, r#"{"op":"join","room":"tea","history":1}"#),
        [joined(3, true), message(4)]
    );
    assert_eq!(world.ask(3, r#"{"op":"join","room":"tea","history":0}"#), [joined(4, true)]);
    let told = world.ask(3, &since(6, 2));
    assert_eq!(told[0], joined(0, false), "of another log");
    world.ask(1, r#"{"op":"say","room":"tea","body":5}"#);
    assert_eq!(world.told(3), [message(5)]);
}

#[test]
fn what_comes_while_a_join_is_under_way_follows_the_replay() {
    let mut world = tea();
    world.ask(1, r#"{"op":"say","room":"tea","body":1}"#);
    world.told(2);
    world.chat(3, None, Some("carol"));
    world.say(3, Kind::Text, br#"{"op":"join","room":"tea","history":9}"#);
    assert!(world.serve(0), "the head is 1 now");
    world.say(1, Kind::Text, br#"{"op":"say","room":"tea","body":2}"#);
    assert!(world.serve(0));
    assert!(world.deliver(0, 0));
    assert_eq!(world.told(2).len(), 1, "a member has it");
    assert_eq!(world.told(3), [""; 0], "who is coming in does not yet");
    world.settle();
    let told = world.told(3);
    let offsets: Vec<&str> =
        told.iter().map(|it| &it[it.find(r#""offset""#).unwrap()..][..18]).collect();
    assert_eq!(
        offsets,
        [r#""offset":1,"prev":"#, r#""offset":1,"prev":"#, r#""offset":2,"prev":"#]
    );
    world.close(3);
    world.close(2);
    world.close(1);
    assert!(world.is_empty());
}

#[test]
fn what_the_head_knows_is_not_told_again_though_it_came_while_the_join_was_under_way() {
    let mut world = tea();
    world.chat(3, None, Some("carol"));
    world.say(1, Kind::Text, br#"{"op":"say","room":"tea","body":1}"#);
    world.say(3, Kind::Text, br#"{"op":"join","room":"tea","history":9}"#);
    assert!(world.serve(0) && world.deliver(0, 0), "it is held for carol");
    assert_eq!(world.told(2).len(), 1);
    world.settle();
    let told = world.told(3);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains(r#""offset":1,"prev":0"#) && told[1].contains(r#""offset":1,"#));
}

#[test]
fn a_replay_is_bounded_and_says_that_there_is_more() {
    let chat = ChatLimits { replay: 2, ..ChatLimits::default() };
    let limits = Limits { chat, ..Limits::default() };
    let mut world = World::with(1, Config { limits, ..Config::default() });
    world.chat(1, Some("tea"), Some("alice"));
    for n in 1..=5 {
        world.ask(1, &format!(r#"{{"op":"say","room":"tea","body":{n}}}"#));
    }
    let told = world.ask(1, r#"{"op":"join","room":"tea","since":{"epoch":7,"offset":1}}"#);
    assert!(told[0].contains(r#""offset":5,"prev":1,"recovered":true,"more":true,"#), "{told:?}");
    assert_eq!(told.len(), 3);
    let told = world.ask(1, r#"{"op":"join","room":"tea","history":99}"#);
    assert!(told[0].contains(r#""offset":5,"prev":3,"recovered":true,"members""#), "{told:?}");
    assert_eq!(told.len(), 3);
}

#[test]
fn a_replay_in_bytes_keeps_the_oldest_after_a_cursor_and_the_newest_without() {
    let chat = ChatLimits { replay_bytes: 250, history_bytes: 250, ..ChatLimits::default() };
    let limits = Limits { chat, ..Limits::default() };
    let mut world = World::with(1, Config { limits, ..Config::default() });
    world.chat(1, Some("tea"), Some("alice"));
    for n in 1..=5 {
        world.ask(1, &format!(r#"{{"op":"say","room":"tea","body":{n}}}"#));
    }
    let offsets = |told: &[String]| -> Vec<u64> {
        let all = told.iter().map(|it| serde_json::from_str::<serde_json::Value>(it).unwrap());
        all.filter_map(|it| it["offset"].as_u64()).collect()
    };
    let told = world.ask(1, r#"{"op":"join","room":"tea","since":{"epoch":7,"offset":0}}"#);
    assert_eq!(offsets(&told), [5, 1, 2]);
    let told = world.ask(1, r#"{"op":"join","room":"tea","history":5}"#);
    assert_eq!(offsets(&told), [5, 4, 5]);
    for (request, expected) in [
        (r#"{"op":"history","room":"tea","after":0}"#, [1, 2]),
        (r#"{"op":"history","room":"tea"}"#, [4, 5]),
    ] {
        let told = world.ask(1, request);
        let page: serde_json::Value = serde_json::from_str(&told[0]).unwrap();
        let found: Vec<u64> = page["messages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["offset"].as_u64().unwrap())
            .collect();
        assert_eq!(found, expected);
        assert_eq!(page["more"], true);
    }
}

#[test]
fn rooms_that_are_resumed_at_once_share_the_bytes_of_one_replay() {
    let chat = ChatLimits { replay_bytes: 250, ..ChatLimits::default() };
    let limits = Limits { chat, ..Limits::default() };
    let mut world = World::with(1, Config { limits, ..Config::default() });
    world.chat(1, Some("tea"), Some("alice"));
    world.ask(1, r#"{"op":"join","room":"milk"}"#);
    for room in ["tea", "tea", "tea", "milk", "milk"] {
        world.ask(1, &format!(r#"{{"op":"say","room":"{room}","body":0}}"#));
    }
    world.chat(2, None, None);
    let resume = r#"{"op":"hello","user":"bob","resume":{"tea":{"epoch":7,"offset":1},"milk":{"epoch":7,"offset":1}}}"#;
    let told = world.ask(2, resume);
    let rooms: Vec<&String> = told.iter().filter(|it| it.contains(r#""room""#)).collect();
    assert_eq!(rooms.len(), 4, "{told:?}");
    assert!(rooms[0].contains(r#""room":"tea","epoch":7,"offset":3,"prev":1,"recovered":true"#));
    assert!(!rooms[0].contains("more"), "{rooms:?}");
    // Nothing was left for the milk, and that is said.
    let milk = r#""room":"milk","epoch":7,"offset":2,"prev":1,"recovered":true,"more":true"#;
    assert!(rooms[3].contains(milk), "{rooms:?}");
    // Asked for alone it is told.
    let told = world.ask(2, r#"{"op":"join","room":"milk","since":{"epoch":7,"offset":1}}"#);
    assert_eq!(told.len(), 2, "{told:?}");
}

#[test]
fn resume_rejoins_rooms_and_tells_what_was_missed() {
    let mut world = tea();
    world.chat(3, Some("milk"), Some("carol"));
    world.close(2);
    for room in ["tea", "tea"] {
        world.ask(1, &format!(r#"{{"op":"say","room":"{room}","body":0}}"#));
    }
    world.chat(4, None, None);
    let told = world.ask(
        4,
        r#"{"op":"hello","id":5,"user":"bob","resume":{"tea":{"epoch":7,"offset":1},"milk":{"epoch":7,"offset":0},"@alice":{"epoch":7,"offset":0}}}"#,
    );
    let kinds: Vec<String> = told
        .iter()
        .map(|it| serde_json::from_str::<serde_json::Value>(it).unwrap())
        .map(|it| {
            format!("{} {}", it["ev"], if it["room"].is_null() { &it["code"] } else { &it["room"] })
        })
        .collect();
    assert_eq!(
        kinds,
        [
            r#""hello" null"#,
            r#""error" "forbidden""#,
            r#""joined" "tea""#,
            r#""message" "tea""#,
            r#""joined" "milk""#
        ]
    );
    assert!(told[2..].iter().all(|it| !it.contains(r#""id""#)), "they answer nobody");
}

#[test]
fn history_pages_through_a_room_and_the_own_inbox() {
    let mut world = tea();
    for n in 1..=5 {
        world.ask(1, &format!(r#"{{"op":"say","room":"tea","body":{n}}}"#));
    }
    let page = |request: &str, world: &mut World| {
        let told = world.ask(1, request);
        assert_eq!(told.len(), 1, "{told:?}");
        let page: serde_json::Value = serde_json::from_str(&told[0]).unwrap();
        let offsets: Vec<u64> = page["messages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["offset"].as_u64().unwrap())
            .collect();
        (offsets, page["more"] == true)
    };
    let mut tea =
        |bounds: &str| page(&format!(r#"{{"op":"history","room":"tea"{bounds}}}"#), &mut world);
    assert_eq!(tea(""), (vec![1, 2, 3, 4, 5], false));
    assert_eq!(tea(r#","limit":2"#), (vec![4, 5], true));
    assert_eq!(tea(r#","before":4,"limit":2"#), (vec![2, 3], true));
    assert_eq!(tea(r#","after":1,"limit":2"#), (vec![2, 3], true));
    assert_eq!(tea(r#","after":1,"before":4"#), (vec![2, 3], false));
    assert_eq!(tea(r#","after":5"#), (vec![], false));
    assert_eq!(
        world.ask(1, r#"{"op":"history","id":1,"room":"tea","after":4}"#),
        [
            r#"{"ev":"history","id":1,"room":"tea","epoch":7,"messages":[{"ev":"message","room":"tea","from":"alice","epoch":7,"offset":5,"prev":4,"at":1005,"body":5}]}"#
        ]
    );
    world.ask(2, r#"{"op":"tell","to":"alice","body":0}"#);
    world.told(1);
    assert_eq!(
        world.ask(1, r#"{"op":"history","inbox":true}"#),
        [
            r#"{"ev":"history","inbox":true,"epoch":7,"messages":[{"ev":"direct","from":"bob","to":"alice","epoch":7,"offset":1,"prev":0,"at":1001,"body":0}]}"#
        ]
    );
}

#[test]
fn presence_is_once_for_each_person_not_for_each_tab() {
    let mut world = tea();
    world.chat(3, Some("tea"), Some("carol"));
    let join = r#"{"ev":"presence","room":"tea","user":"carol","change":"join","online":3}"#;
    assert_eq!((world.told(1), world.told(2)), (vec![join.to_owned()], vec![join.to_owned()]));
    let told = world.chat(4, Some("tea"), Some("carol"));
    assert!(told[1].ends_with(r#""members":["alice","bob","carol"],"online":3}"#), "{told:?}");
    world.close(3);
    world.settle();
    assert_eq!(world.told(1), [""; 0], "a tab less");
    assert_eq!(
        world.ask(4, r#"{"op":"leave","id":1,"room":"tea"}"#),
        [r#"{"ev":"left","id":1,"room":"tea"}"#]
    );
    assert_eq!(
        world.told(1),
        [r#"{"ev":"presence","room":"tea","user":"carol","change":"leave","online":2}"#]
    );
    assert_eq!(
        world.ask(4, r#"{"op":"who","id":"w","room":"tea"}"#),
        [r#"{"ev":"who","id":"w","room":"tea","members":["alice","bob"],"online":2}"#]
    );
    assert_eq!(
        world.ask(4, r#"{"op":"who","room":"x"}"#),
        [r#"{"ev":"who","room":"x","members":[],"online":0}"#]
    );
}

#[test]
fn in_a_large_room_only_the_number_is_told_and_when_it_changed_by_a_sixteenth() {
    let chat = ChatLimits { presence_members: 32, who_members: 3, ..ChatLimits::default() };
    let limits = Limits { chat, ..Limits::default() };
    let mut world = World::with(1, Config { limits, ..Config::default() });
    world.chat(1, Some("tea"), Some("user 1"));
    let mut told = Vec::new();
    for n in 2..=64 {
        let joined = world.chat(n, Some("tea"), Some(&format!("user {n}")));
        assert_eq!(joined[1].contains("members"), n <= 32, "{joined:?}");
        told.extend(world.told(1));
    }
    assert_eq!(
        told[30],
        r#"{"ev":"presence","room":"tea","user":"user 32","change":"join","online":32}"#
    );
    // 32, then each sixteenth, rounded up, of what was told last.
    let numbers: Vec<&str> = told[31..].iter().map(String::as_str).collect();
    let number = |n: u64| format!(r#"{{"ev":"presence","room":"tea","online":{n}}}"#);
    let expected: Vec<String> =
        [34, 37, 40, 43, 46, 49, 53, 57, 61].into_iter().map(number).collect();
    assert_eq!(numbers, expected);
    for n in 2..=64 {
        world.close(n);
    }
    let told = world.told(1);
    assert_eq!(
        told.last().unwrap(),
        r#"{"ev":"presence","room":"tea","user":"user 64","change":"leave","online":1}"#
    );
    world.chat(2, Some("tea"), Some("b"));
    world.chat(3, Some("tea"), Some("c"));
    world.chat(4, Some("tea"), Some("d"));
    let told = world.ask(4, r#"{"op":"who","room":"tea"}"#);
    assert_eq!(
        told,
        [r#"{"ev":"who","room":"tea","members":["b","c","d"],"online":4,"more":true}"#]
    );
}

#[test]
fn signals_reach_a_room_or_a_user_but_not_the_session_that_sent_them() {
    let mut world = tea();
    world.chat(3, None, Some("alice"));
    world.told(1);
    assert_eq!(
        world.ask(1, r#"{"op":"signal","id":1,"room":"tea","body":{"typing":true}}"#),
        [""; 0]
    );
    assert_eq!(
        world.told(2),
        [r#"{"ev":"signal","room":"tea","from":"alice","body":{"typing":true}}"#]
    );
    assert_eq!(world.told(3), [""; 0], "not in the room");
    world.ask(2, r#"{"op":"signal","to":"alice","body":1}"#);
    let signal = r#"{"ev":"signal","to":"alice","from":"bob","body":1}"#;
    assert_eq!((world.told(1), world.told(3)), (vec![signal.to_owned()], vec![signal.to_owned()]));
    assert_eq!(world.ask(1, r#"{"op":"signal","to":"alice","body":1}"#), [""; 0]);
    assert_eq!(world.told(3).len(), 1);
    assert!(world.logs.is_empty(), "nothing is kept");
}

#[test]
fn ping_is_answered_with_what_it_holds() {
    let mut world = tea();
    assert_eq!(
        world.ask(1, r#"{"op":"ping","id":[1, 2],"t":1.50}"#),
        [r#"{"ev":"pong","id":[1, 2],"t":1.50}"#]
    );
    assert_eq!(
        world.ask(1, r#"{"op":"ping","id":null,"t":null}"#),
        [r#"{"ev":"pong","id":null,"t":null}"#]
    );
}

#[test]
fn what_one_was_told_does_not_stand_before_what_the_next_is_told() {
    let mut world = tea();
    world.open(0, 3, &Opening { user: Some("n"), ..opening(3, Dialect::Named, Some("milk")) });
    world.chat(4, Some("tea"), Some("carol"));
    world.told(3);
    world.ask(1, r#"{"op":"say","room":"tea","body":1}"#);
    assert_eq!(world.ask(3, "x"), ["n -> x"], "after an entry");
    world.say(1, Kind::Text, br#"{"op":"say","room":"tea","body":1}"#);
    assert!(world.serve(0) && world.answer(0));
    assert_eq!(world.ask(3, "x"), ["n -> x"], "after an answer");
    world.close(4);
    assert_eq!(world.ask(3, "x"), ["n -> x"], "after a going");
    world.do_on(0, |hub, out| hub.drain(Duration::ZERO, 0, 1, out));
    assert_eq!(world.ask(3, "x"), ["n -> x"], "after a drain");
}

#[test]
fn a_drain_is_told_to_chat_sessions_and_spread_evenly() {
    let mut world = tea();
    world.chat(3, None, None);
    world.open(0, 4, &opening(4, Dialect::Echo, None));
    world.chat(5, None, None);
    world.do_on(0, |hub, out| hub.drain(Duration::from_secs(2), 0, 1, out));
    for (conn, delay) in [(1, 0), (2, 500), (3, 1000), (5, 1500)] {
        assert_eq!(world.told(conn), [format!(r#"{{"ev":"drain","reconnect_in_ms":{delay}}}"#)]);
    }
    assert_eq!(world.told(4), [""; 0]);
}

#[test]
fn hubs_that_drain_together_send_their_sessions_back_between_one_another() {
    let delays = |number| {
        let mut world = tea();
        world.do_on(0, |hub, out| hub.drain(Duration::from_secs(2), number, 2, out));
        [world.told(1).concat(), world.told(2).concat()]
    };
    let drain = |delay| format!(r#"{{"ev":"drain","reconnect_in_ms":{delay}}}"#);
    assert_eq!(delays(0), [drain(0), drain(1000)]);
    assert_eq!(delays(1), [drain(500), drain(1500)]);
}
