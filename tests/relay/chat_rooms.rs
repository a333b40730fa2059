//! The chat dialect across hubs, and in one room with clients of other dialects.

use crate::opening;
use crate::world::World;
use sockeye::relay::{ContentKind, Cursor, Dialect, Entry, Kind, Opening};
use std::sync::Arc;

#[test]
fn presence_signals_and_direct_messages_cross_hubs() {
    let mut world = World::new(3);
    let on = |world: &mut World, hub: usize, conn: u64, user: &str| {
        world.open(
            hub,
            conn,
            &Opening { user: Some(user), ..opening(conn, Dialect::Chat, Some("tea")) },
        );
        world.settle();
    };
    on(&mut world, 0, 1, "alice");
    on(&mut world, 1, 2, "bob");
    on(&mut world, 2, 3, "alice");
    assert!(world.told(3)[1].ends_with(r#""members":["alice","bob"],"online":2}"#));
    assert_eq!(
        world.told(1)[2..],
        [r#"{"ev":"presence","room":"tea","user":"bob","change":"join","online":2}"#]
    );
    assert_eq!(world.told(2).len(), 2, "alice was there already");
    world.ask(2, r#"{"op":"signal","to":"alice","body":0}"#);
    assert_eq!((world.told(1).len(), world.told(3).len()), (1, 1));
    world.ask(1, r#"{"op":"signal","room":"tea","body":0}"#);
    assert_eq!((world.told(2).len(), world.told(3).len()), (1, 1));
    world.ask(2, r#"{"op":"tell","to":"alice","body":0}"#);
    assert_eq!((world.told(1).len(), world.told(3).len()), (1, 1));
    world.crash(0);
    world.settle();
    assert_eq!(world.told(2), [""; 0], "alice is there still");
    world.crash(2);
    world.settle();
    assert_eq!(
        world.told(2),
        [r#"{"ev":"presence","room":"tea","user":"alice","change":"leave","online":1}"#]
    );
    // A hub that is new is told who is there.
    on(&mut world, 0, 4, "carol");
    assert!(world.told(4)[1].ends_with(r#""members":["bob","carol"],"online":2}"#));
}

#[test]
fn raw_and_named_clients_share_a_kept_room_in_the_log_s_order() {
    let mut world = World::new(1);
    let open = |world: &mut World, conn, dialect, user| {
        world.open(0, conn, &Opening { user: Some(user), ..opening(conn, dialect, Some("tea")) });
        world.settle();
        world.told(conn);
    };
    open(&mut world, 1, Dialect::Broadcast, "raw");
    open(&mut world, 2, Dialect::Named, "ann");
    open(&mut world, 3, Dialect::Broadcast, "raw 2");
    assert_eq!(world.ask(1, "before"), [""; 0]);
    assert!(world.logs.is_empty(), "nobody keeps it");
    assert_eq!(
        (world.told(2), world.told(3)),
        (vec!["raw -> before".into()], vec!["before".into()])
    );
    open(&mut world, 4, Dialect::Chat, "chat");
    world.say(1, Kind::Text, "\"é\n".as_bytes());
    assert_eq!(world.told(3), [""; 0], "not before the log has it");
    world.settle();
    assert_eq!(world.told(1), [""; 0], "it does not hear itself");
    assert_eq!((world.told(2), world.told(3)), (vec!["raw -> \"é\n".into()], vec!["\"é\n".into()]));
    let message = |offset: u64, from: &str, body: &str| {
        format!(
            r#"{{"ev":"message","room":"tea","from":"{from}","epoch":7,"offset":{offset},"prev":{},"at":{},"body":{body}}}"#,
            offset - 1,
            1000 + offset
        )
    };
    assert_eq!(world.told(4), [message(1, "raw", r#""\"é\n""#)]);
    world.say(2, Kind::Binary, &[0, 255, 1]);
    world.settle();
    assert_eq!(world.told(2), ["ann -> \0\u{fffd}\u{1}"]);
    assert_eq!(world.told(1), ["\0\u{fffd}\u{1}"]);
    assert_eq!(world.told(4), [message(2, "ann", r#"{"base64":"AP8B"}"#)]);
    for (body, plain) in [
        (r#""h\u00e9\ud83d\ude00\ud800""#, "hé😀\u{fffd}\u{fffd}\u{fffd}"),
        (r#"{"a": 1}"#, r#"{"a": 1}"#),
    ] {
        world.told(1);
        world.ask(4, &format!(r#"{{"op":"say","room":"tea","body":{body}}}"#));
        assert_eq!(world.told(1), [plain]);
        assert_eq!(world.told(2), [format!("chat -> {plain}")]);
    }
    // As long as it has members.
    world.close(4);
    world.ask(1, "kept");
    assert_eq!(world.logs["tea"].len(), 5);
    for conn in 1..=3 {
        world.close(conn);
    }
    assert!(world.is_empty());
    open(&mut world, 1, Dialect::Broadcast, "raw");
    world.ask(1, "not kept");
    assert_eq!(world.logs["tea"].len(), 5);
    world.close(1);
    world.open(0, 1, &Opening { kept: true, ..opening(1, Dialect::Broadcast, Some("tea")) });
    world.ask(1, "kept");
    assert_eq!(world.logs["tea"].len(), 6);
}

#[test]
fn a_join_on_another_hub_makes_a_room_kept() {
    let mut world = World::new(2);
    for (hub, conn) in [(0, 1), (1, 2)] {
        world.open(hub, conn, &opening(conn, Dialect::Broadcast, Some("tea")));
    }
    world.ask(1, "said");
    assert_eq!(world.told(2), ["said"]);
    world.open(1, 3, &Opening { user: Some("c"), ..opening(3, Dialect::Chat, Some("tea")) });
    world.settle();
    world.ask(1, "kept");
    assert_eq!(world.logs["tea"].len(), 1);
    assert_eq!(world.told(2), ["kept"]);
    // Who comes later, with nobody here before, knows by presence.
    world.close(1);
    world.open(0, 4, &opening(4, Dialect::Broadcast, Some("tea")));
    world.ask(4, "kept");
    assert_eq!(world.logs["tea"].len(), 2);
}

#[test]
fn an_entry_that_somebody_else_published_makes_a_room_kept() {
    let mut world = World::new(1);
    world.open(0, 1, &opening(1, Dialect::Broadcast, Some("tea")));
    let entry = Entry {
        channel: "tea",
        at: Cursor { epoch: 7, offset: 1 },
        prev: 0,
        at_ms: 0,
        from: "backend",
        to: None,
        content: ContentKind::Json,
        body: &Arc::from(&b"\"news\""[..]),
        origin: None,
    };
    world.do_on(0, |hub, out| hub.entry(&entry, out));
    assert_eq!(world.told(1), ["news"]);
    world.ask(1, "x");
    assert_eq!(world.logs["tea"].len(), 1);
}
