//! The chat dialect and clients that are wrong, hasty or hostile: each gets an error, few are closed.

use crate::opening;
use crate::world::World;
use proptest::prelude::*;
use sockeye::relay::{
    ChatLimits, Config, ConnId, Dialect, Elsewhere, Hub, Kind, Limits, Opening, Parts, Rates,
    Refused, RoomName, UserName, is_json,
};
use std::num::NonZeroU32;
use std::time::Duration;

/// Alice (1) in the tea room, and Bob (2) in none.
fn tea() -> World {
    tea_with(Config::default())
}

fn tea_with(config: Config) -> World {
    let mut world = World::with(1, config);
    world.chat(1, Some("tea"), Some("alice"));
    world.chat(2, None, Some("bob"));
    world
}

/// The one error that this is answered with: its code, and all of it.
fn error(world: &mut World, conn: u64, text: &str) -> (String, serde_json::Value) {
    let told = world.ask(conn, text);
    assert_eq!(told.len(), 1, "{text}: {told:?}");
    let error: serde_json::Value = serde_json::from_str(&told[0]).unwrap();
    assert_eq!(error["ev"], "error", "{text}: {error}");
    let message = error["message"].as_str().unwrap();
    assert!(message.ends_with('.') && message.len() < 200, "{message}");
    (error["code"].as_str().unwrap().to_owned(), error)
}

#[test]
fn what_is_wrong_with_a_request_is_told_and_nothing_else_happens() {
    let mut world = tea();
    let long = "x".repeat(129);
    let cases = [
        ("", "bad_request"),
        ("hi", "bad_request"),
        ("[]", "bad_request"),
        ("1", "bad_request"),
        (r#"{"op":"ping"}x"#, "bad_request"),
        ("{}", "bad_request"),
        (r#"{"op":1}"#, "bad_request"),
        (r#"{"op":null}"#, "bad_request"),
        (r#"{"op":"\ud800"}"#, "bad_request"),
        (r#"{"op":"read","room":"tea","offset":1}"#, "unknown_op"),
        (r#"{"op":"PING"}"#, "unknown_op"),
        (r#"{"op":""}"#, "unknown_op"),
        (r#"{"op":"join"}"#, "bad_request"),
        (r#"{"op":"join","room":1}"#, "bad_request"),
        (r#"{"op":"join","room":null}"#, "bad_request"),
        (r#"{"op":"join","room":""}"#, "bad_request"),
        (r#"{"op":"join","room":"@bob"}"#, "bad_request"),
        (r#"{"op":"join","room":"a\nb"}"#, "bad_request"),
        (r#"{"op":"join","room":"\udc00"}"#, "bad_request"),
        (r#"{"op":"join","room":"a","since":1}"#, "bad_request"),
        (r#"{"op":"join","room":"a","since":{"epoch":1}}"#, "bad_request"),
        (r#"{"op":"join","room":"a","since":{"epoch":1,"offset":-1}}"#, "bad_request"),
        (r#"{"op":"join","room":"a","since":{"epoch":1,"offset":1.0}}"#, "bad_request"),
        (r#"{"op":"join","room":"a","since":{"epoch":"1","offset":1}}"#, "bad_request"),
        (r#"{"op":"join","room":"a","history":"1"}"#, "bad_request"),
        (r#"{"op":"join","room":"a","history":1e2}"#, "bad_request"),
        (r#"{"op":"leave"}"#, "bad_request"),
        (r#"{"op":"leave","room":"coffee"}"#, "not_joined"),
        (r#"{"op":"say","room":"tea"}"#, "bad_request"),
        (r#"{"op":"say","body":1}"#, "bad_request"),
        (r#"{"op":"say","room":"coffee","body":1}"#, "not_joined"),
        (r#"{"op":"say","room":"tea","body":1,"seq":"1"}"#, "bad_request"),
        (r#"{"op":"say","room":"tea","body":1,"seq":9007199254740992}"#, "bad_request"),
        (r#"{"op":"say","room":"tea","body":1,"seq":99999999999999999999999}"#, "bad_request"),
        (r#"{"op":"tell","body":1}"#, "bad_request"),
        (r#"{"op":"tell","to":"","body":1}"#, "bad_request"),
        (r#"{"op":"tell","to":["bob"],"body":1}"#, "bad_request"),
        (r#"{"op":"tell","to":"bob"}"#, "bad_request"),
        (r#"{"op":"signal","body":1}"#, "bad_request"),
        (r#"{"op":"signal","room":"tea","to":"bob","body":1}"#, "bad_request"),
        (r#"{"op":"signal","room":"tea"}"#, "bad_request"),
        (r#"{"op":"signal","room":"coffee","body":1}"#, "not_joined"),
        (r#"{"op":"history"}"#, "bad_request"),
        (r#"{"op":"history","inbox":1}"#, "bad_request"),
        (r#"{"op":"history","room":"tea","inbox":true}"#, "bad_request"),
        (r#"{"op":"history","room":"tea","before":-1}"#, "bad_request"),
        (r#"{"op":"history","room":"tea","limit":{}}"#, "bad_request"),
        (r#"{"op":"history","room":"coffee"}"#, "not_joined"),
        (r#"{"op":"who"}"#, "bad_request"),
        (r#"{"op":"hello","user":1}"#, "bad_request"),
        (r#"{"op":"hello","user":"bob"}"#, "forbidden"),
        (r#"{"op":"hello","producer":""}"#, "bad_request"),
        (r#"{"op":"hello","producer":"a\nb"}"#, "bad_request"),
        (r#"{"op":"hello","producer":7}"#, "bad_request"),
        (r#"{"op":"hello","resume":[]}"#, "bad_request"),
        (r#"{"op":"hello","resume":{"tea":1}}"#, "bad_request"),
        (r#"{"op":"hello","resume":{"":{"epoch":1,"offset":1}}}"#, "bad_request"),
    ];
    for (request, code) in cases {
        world.now += Duration::from_secs(1);
        let (found, error) = error(&mut world, 1, request);
        assert_eq!(found, code, "{request}: {error}");
        assert!(error.get("retry").is_none());
    }
    for request in [
        format!(r#"{{"op":"hello","producer":"{}"}}"#, &long[..65]),
        format!(r#"{{"op":"hello","user":"{long}"}}"#),
        format!(r#"{{"op":"ping","id":"{long}"}}"#),
    ] {
        assert_eq!(error(&mut world, 1, &request).0, "bad_request");
    }
    assert!(world.logs.is_empty() && world.closed.is_empty());
    assert_eq!(
        world.ask(1, r#"{"op":"who","room":"tea"}"#),
        [r#"{"ev":"who","room":"tea","members":["alice"],"online":1}"#]
    );
}

#[test]
fn an_error_repeats_id_and_number_as_far_as_they_can_be_read() {
    let mut world = tea();
    for (request, id, seq) in [
        (
            r#"{"op":"say","id":{"a": [1.0]},"seq":5,"room":"x","body":1}"#,
            r#""id":{"a": [1.0]},"#,
            r#""seq":5,"#,
        ),
        (r#"{"op":"say","seq":5,"id":"\u0061","room":1}"#, r#""id":"\u0061","#, r#""seq":5,"#),
        (r#"{"op":"what","id":1,"id":2}"#, r#""id":2,"#, ""),
    ] {
        let told = world.ask(1, request);
        assert!(told[0].starts_with(&format!(r#"{{"ev":"error",{id}{seq}"code":"#)), "{told:?}");
    }
}

#[test]
fn unknown_members_nulls_and_duplicates_do_no_harm() {
    let mut world = tea();
    let told = world.ask(
        2,
        r#" {"zz":[{}],"room":"no","op":"leave","since":null,"history":null,"op":"jo\u0069n","token":"t","room":"tea"} "#,
    );
    assert!(told[0].starts_with(r#"{"ev":"joined","room":"tea""#), "{told:?}");
    assert_eq!(world.ask(2, r#"{"op":"say","room":"tea","seq":null,"body":null}"#).len(), 2);
}

#[test]
fn binary_messages_and_what_is_too_large_or_too_deep_are_refused() {
    let mut world = tea();
    world.say(1, Kind::Binary, br#"{"op":"ping"}"#);
    assert!(world.told(1)[0].contains(r#""code":"bad_request","message":"Binary"#));
    let body = |len: usize| {
        format!(r#"{{"op":"say","seq":3,"room":"tea","body":"{}"}}"#, "x".repeat(len - 2))
    };
    let (code, told) = error(&mut world, 1, &body((256 << 10) + 1));
    assert_eq!((code.as_str(), told["seq"].as_u64()), ("too_large", Some(3)));
    assert_eq!(world.ask(1, &body(256 << 10)).len(), 2);
    let padded = |len: usize| format!(r#"{{"op":"ping"{}}}"#, " ".repeat(len - 13));
    assert_eq!(error(&mut world, 1, &padded((320 << 10) + 1)).0, "too_large");
    world.now += Duration::from_secs(5);
    assert_eq!(world.ask(1, &padded(320 << 10)), [r#"{"ev":"pong"}"#]);
    let deep = |depth: usize| {
        format!(
            r#"{{"op":"say","room":"tea","body":{}{}}}"#,
            "[".repeat(depth - 1),
            "]".repeat(depth - 1)
        )
    };
    assert_eq!(world.ask(1, &deep(128)).len(), 2);
    assert_eq!(error(&mut world, 1, &deep(129)).0, "bad_request");
    assert_eq!(error(&mut world, 1, &deep(100_000)).0, "bad_request");
    assert_eq!(world.logs["tea"].len(), 2);
}

#[test]
fn bodies_travel_as_written() {
    let mut world = tea();
    for body in [
        "null",
        "true",
        "0",
        "-0.0e+00",
        "1e999999",
        r#""\ud800\u0000""#,
        r#"{"a":1,"a": 2}"#,
        r#"[ 1,
 2 ]"#,
        r#""</script>""#,
        "\"\u{2028}\"",
    ] {
        let told = world.ask(1, &format!(r#"{{"op":"say","room":"tea","body": {body} }}"#));
        assert!(told[1].ends_with(&format!(r#","body":{body}}}"#)), "{told:?}");
        assert_eq!(&*world.logs["tea"].last().unwrap().body, body.as_bytes());
    }
}

#[test]
fn faults_cost_credit_and_a_flood_of_them_the_connection() {
    let mut world = tea();
    for _ in 0..60 {
        assert_eq!(error(&mut world, 1, "x").0, "bad_request");
    }
    world.now += Duration::from_secs(2);
    for _ in 0..2 {
        assert_eq!(error(&mut world, 1, r#"{"op":"x"}"#).0, "unknown_op");
    }
    assert_eq!(error(&mut world, 1, r#"{"op":"say","room":"no","body":1}"#).0, "not_joined");
    assert_eq!(
        world.ask(1, r#"{"op":"ping"}"#),
        [r#"{"ev":"pong"}"#],
        "what means something is free"
    );
    assert!(world.closed.is_empty());
    world.ask(1, "x");
    assert_eq!(world.closed[&1], 1008);
    assert_eq!(
        world.ask(2, r#"{"op":"who","room":"tea"}"#),
        [r#"{"ev":"who","room":"tea","members":[],"online":0}"#]
    );
}

#[test]
fn over_the_rate_nothing_is_done_and_the_wait_is_told() {
    let rates = Rates {
        messages_per_second: NonZeroU32::new(4).unwrap(),
        burst: Duration::from_secs(1),
        ..Rates::default()
    };
    let mut world = tea_with(Config { chat_rates: Some(rates), ..Config::default() });
    let say = r#"{"op":"say","id":1,"seq":9,"room":"tea","body":0}"#;
    for _ in 0..4 {
        assert!(world.ask(1, say)[0].contains("ack"));
    }
    let (code, told) = error(&mut world, 1, say);
    assert_eq!((code.as_str(), told["retry"].as_u64()), ("rate_limited", Some(250)));
    assert_eq!((told["id"].as_u64(), told["seq"].as_u64()), (Some(1), Some(9)));
    assert_eq!(world.logs["tea"].len(), 1);
    world.now += Duration::from_millis(250);
    assert_eq!(world.ask(1, say).len(), 1);
    for _ in 0..999 {
        assert_eq!(error(&mut world, 1, "x").0, "rate_limited");
    }
    assert_eq!(world.ask(2, r#"{"op":"ping"}"#).len(), 1, "each has a rate of its own");
    world.ask(1, "x");
    assert_eq!(world.closed[&1], 4029);
    // Not in a row: an hour of it does no harm.
    for _ in 0..5000 {
        world.now += Duration::from_millis(125);
        world.ask(2, r#"{"op":"ping"}"#);
    }
    assert!(!world.closed.contains_key(&2));
}

#[test]
fn the_wait_is_rounded_up() {
    let rates = Rates {
        messages_per_second: NonZeroU32::new(3).unwrap(),
        burst: Duration::ZERO,
        ..Rates::default()
    };
    let mut world = tea_with(Config { chat_rates: Some(rates), ..Config::default() });
    world.ask(1, r#"{"op":"ping"}"#);
    assert_eq!(error(&mut world, 1, r#"{"op":"ping"}"#).1["retry"], 334);
}

#[test]
fn what_is_held_for_who_is_coming_is_bounded_and_the_gap_can_be_seen() {
    let chat = ChatLimits { replay: 1, ..ChatLimits::default() };
    let limits = Limits { chat, ..Limits::default() };
    let mut world = tea_with(Config { limits, ..Config::default() });
    world.say(2, Kind::Text, br#"{"op":"join","room":"tea"}"#);
    assert!(world.serve(0));
    for _ in 0..2 {
        world.say(1, Kind::Text, br#"{"op":"say","room":"tea","body":0}"#);
        assert!(world.serve(0) && world.deliver(0, 0));
    }
    world.settle();
    let told = world.told(2);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains(r#""prev":0"#) && told[1].contains(r#""offset":2,"prev":1"#));
}

#[test]
fn what_the_log_refuses_is_told_with_the_remedy() {
    let mut world = tea();
    for (refused, code, retry) in [
        (Refused::Unavailable { retry_ms: 500 }, "unavailable", Some(500)),
        (Refused::Overloaded { retry_ms: 9 }, "rate_limited", Some(9)),
        (Refused::TooLarge, "too_large", None),
        (Refused::OldNumber, "bad_request", None),
        (Refused::Forbidden, "forbidden", None),
    ] {
        world.refuses = Some(refused);
        for request in [
            r#"{"op":"say","id":1,"seq":2,"room":"tea","body":0}"#,
            r#"{"op":"tell","id":1,"seq":2,"to":"bob","body":0}"#,
            r#"{"op":"join","id":1,"room":"coffee"}"#,
            r#"{"op":"hello","id":1}"#,
            r#"{"op":"history","id":1,"inbox":true}"#,
        ] {
            let (found, told) = error(&mut world, 1, request);
            assert_eq!(
                (found.as_str(), told["retry"].as_u64(), told["id"].as_u64()),
                (code, retry, Some(1))
            );
            assert_eq!(told["seq"].as_u64(), request.contains("seq").then_some(2));
            assert_eq!(told["room"].as_str(), request.contains("coffee").then_some("coffee"));
        }
    }
    // A newcomer too: then `hello` again.
    world.chat(3, None, None);
    assert_eq!(world.ask(3, r#"{"op":"ping"}"#).len(), 2);
    world.refuses = None;
    assert!(world.ask(3, r#"{"op":"hello"}"#)[0].starts_with(r#"{"ev":"hello""#));
    for conn in 1..=3 {
        world.close(conn);
    }
    assert!(world.is_empty());
}

#[test]
fn so_many_requests_may_wait_for_their_answers() {
    let chat = ChatLimits { unacked: 3, ..ChatLimits::default() };
    let mut world =
        tea_with(Config { limits: Limits { chat, ..Limits::default() }, ..Config::default() });
    let requests = [
        r#"{"op":"say","room":"tea","body":0}"#,
        r#"{"op":"tell","to":"bob","body":0}"#,
        r#"{"op":"history","inbox":true}"#,
    ];
    for request in requests.into_iter().chain(requests) {
        world.say(1, Kind::Text, request.as_bytes());
    }
    let told = world.told(1);
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told.iter().all(|it| it.contains(r#""code":"rate_limited""#)));
    world.settle();
    world.told(1);
    for request in requests {
        assert!(!world.ask(1, request)[0].contains("error"));
    }
}

#[test]
fn so_many_rooms_may_be_joined_at_a_time() {
    let limits = Limits { rooms_per_connection: 2, ..Limits::default() };
    let mut world = tea_with(Config { limits, ..Config::default() });
    let join = |n: u32| format!(r#"{{"op":"join","room":"{n}"}}"#);
    for n in 1..=2 {
        world.say(2, Kind::Text, join(n).as_bytes());
    }
    assert_eq!(world.told(2), [""; 0]);
    world.say(2, Kind::Text, join(3).as_bytes());
    assert!(world.told(2)[0].contains(r#""code":"too_large""#), "those under way count");
    world.settle();
    assert_eq!(world.told(2).len(), 2);
    assert_eq!(error(&mut world, 2, &join(3)).0, "too_large");
    assert_eq!(world.ask(2, &join(2)).len(), 1, "once more is no more");
    world.ask(2, r#"{"op":"leave","room":"1"}"#);
    assert_eq!(world.ask(2, &join(3)).len(), 1);
    // Asking again and again while nothing is answered.
    for _ in 0..3 {
        world.say(2, Kind::Text, join(3).as_bytes());
    }
    assert_eq!(world.told(2), [""; 0]);
    world.say(2, Kind::Text, join(3).as_bytes());
    assert!(world.told(2)[0].contains(r#""code":"rate_limited""#));
}

#[test]
fn leaving_before_the_join_is_done_answers_both() {
    let mut world = tea();
    world.say(2, Kind::Text, br#"{"op":"join","id":1,"room":"coffee"}"#);
    world.say(2, Kind::Text, br#"{"op":"leave","id":2,"room":"coffee"}"#);
    world.settle();
    let told = world.told(2);
    assert_eq!(told[0], r#"{"ev":"left","id":2,"room":"coffee"}"#);
    assert!(told[1].starts_with(r#"{"ev":"error","id":1,"code":"not_joined""#), "{told:?}");
    assert_eq!(told.len(), 2);
    // And in again at once: only the last counts.
    for request in ["join", "leave", "join"] {
        world.say(2, Kind::Text, format!(r#"{{"op":"{request}","room":"coffee"}}"#).as_bytes());
    }
    world.settle();
    let told = world.told(2);
    assert!(told[0].contains("left") && told[1].contains("joined") && told.len() == 2, "{told:?}");
    world.close(1);
    world.close(2);
    assert!(world.is_empty());
}

#[test]
fn answers_for_who_is_gone_do_nothing() {
    let mut world = tea();
    for request in [
        r#"{"op":"say","room":"tea","body":0}"#,
        r#"{"op":"join","room":"coffee"}"#,
        r#"{"op":"hello"}"#,
        r#"{"op":"history","inbox":true}"#,
    ] {
        world.say(1, Kind::Text, request.as_bytes());
    }
    world.close(1);
    world.close(2);
    world.settle();
    assert!(world.is_empty());
}

#[test]
fn what_no_hub_says_is_not_taken_from_a_wire() {
    let body = |bytes: &[u8]| bytes.into();
    let good = || Parts { kind: 2, channel: Some("tea"), from: "alice", body: body(b"{}") };
    assert!(Elsewhere::from_parts(good()).is_some());
    for bad in [
        Parts { kind: 5, ..good() },
        Parts { channel: None, ..good() },
        Parts { channel: Some(""), ..good() },
        Parts { channel: Some("@"), ..good() },
        Parts { channel: Some("a\nb"), ..good() },
        Parts { from: "", ..good() },
        Parts { from: "a\u{1b}", ..good() },
        Parts { body: body(b""), ..good() },
        Parts { body: body(b"}"), ..good() },
        Parts { body: body(b"1,\"ev\":2"), ..good() },
        Parts { body: body(b"\"\xff\""), ..good() },
        Parts { kind: 0, body: body(b"\xff"), ..good() },
        Parts { kind: 1, channel: Some("@alice"), ..good() },
        Parts { kind: 3, channel: Some("@alice"), ..good() },
        Parts { kind: 4, channel: Some("@alice"), ..good() },
    ] {
        assert_eq!(Elsewhere::from_parts(bad.clone()), None, "{bad:?}");
    }
    for (kind, bytes) in [(0, "é".as_bytes()), (1, b"\xff"), (2, b"[1]"), (3, b""), (4, b"")] {
        let parts = Parts { kind, channel: Some("tea"), from: "@x", body: body(bytes) };
        assert_eq!(Elsewhere::from_parts(parts.clone()).unwrap().to_parts(), parts);
    }
    assert!(is_json(" [1] ", &Limits::default()) && !is_json("[1", &Limits::default()));
}

#[test]
fn who_is_on_a_hub_that_is_not_up_is_not_believed() {
    let mut hub = Hub::new(Config::default());
    let (room, user) = (RoomName::new("tea").unwrap(), UserName::new("ghost").unwrap());
    let node = sockeye::relay::NodeId(9);
    let entered = Elsewhere::Entered { room, user };
    hub.elsewhere(node, entered.clone(), &mut Vec::new());
    assert!(hub.is_empty());
    hub.node_up(node, &mut Vec::new());
    hub.elsewhere(node, entered.clone(), &mut Vec::new());
    hub.elsewhere(node, entered.clone(), &mut Vec::new());
    assert!(!hub.is_empty());
    hub.node_down(node, &mut Vec::new());
    assert!(hub.is_empty());
    hub.elsewhere(node, entered, &mut Vec::new());
    assert!(hub.is_empty(), "late from its first life");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_panic_and_every_event_is_json(
        messages in prop::collection::vec((any::<bool>(), prop_oneof![
            prop::collection::vec(any::<u8>(), 0..40),
            r#"\{"op":"(hello|join|leave|say|tell|signal|history|who|ping)"(,"(room|to|user|body|seq|id|since|history|resume|inbox|before|after|limit|t|producer)":("tea"|"a"|"\\ud83d"|"@a"|1|-1|1e9|null|true|\{"tea":\{"epoch":7,"offset":0\}\}|\{"epoch":7,"offset":1\})){0,4}\}"#
                .prop_map(String::into_bytes),
        ]), 1..30)
    ) {
        let mut world = World::new(2);
        for (conn, user) in [(1, Some("a")), (2, None)] {
            world.open(1, conn, &Opening { user, ..opening(conn, Dialect::Chat, None) });
        }
        for (is_text, message) in &messages {
            for conn in 1..=2 {
                let is_text = *is_text || message.starts_with(b"{\"op\"");
                world.say(conn, if is_text { Kind::Text } else { Kind::Binary }, message);
            }
        }
        world.settle();
        for conn in 1..=2 {
            for event in world.told(conn) {
                let read: Result<serde::de::IgnoredAny, _> = serde_json::from_str(&event);
                prop_assert!(read.is_ok() || event.contains("\\ud83d"), "{}", event);
            }
            prop_assert!(!world.closed.contains_key(&conn));
            world.close(conn);
        }
        world.settle();
        prop_assert!(world.is_empty());
        world.do_on(0, |hub, out| hub.close(ConnId(1), out));
    }
}
