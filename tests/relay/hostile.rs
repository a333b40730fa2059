//! Clients that mean harm: whatever they send, nobody is disconnected, nothing panics, little is kept.

use crate::{Chat, PLAIN, text};
use proptest::prelude::*;
use sockeye::relay::{Config, Dialect, Kind, Limits};

fn nested(open: &str, inside: &str, close: &str, depth: usize) -> String {
    format!("{}{inside}{}", open.repeat(depth), close.repeat(depth))
}

#[test]
fn json_too_deep_is_ignored_and_the_connection_lives() {
    let ten_kib = [
        nested("[", "", "]", 5_000),
        "[".repeat(10_000),
        "{\"a\":".repeat(2_000),
        nested("{\"a\":", "1", "}", 1_700),
        nested("[", "\"", "]", 5_000),
    ];
    for dialect in [Dialect::Directory, Dialect::Im] {
        let mut chat = Chat::of(dialect, 1);
        for deep in &ten_kib {
            assert_eq!(chat.text(1, deep), []);
            for member in ["from", "to", "userId", "toId", "content", "type"] {
                for request in ["online", "chat", "get-pass", "get-enter"] {
                    let message = format!(r#"{{"type":"{request}","{member}":{deep}}}"#);
                    assert_eq!(chat.text(1, &message), [], "{request} {member}");
                }
            }
        }
        assert_lives(&mut chat, dialect);
    }
}

fn assert_lives(chat: &mut Chat, dialect: Dialect) {
    let received = match dialect {
        Dialect::Directory => {
            chat.text(1, r#"{"type":"online","from":"me"}"#);
            chat.text(1, r#"{"to":"me"}"#)
        }
        _ => chat.text(1, r#"{"type":"get-enter"}"#),
    };
    assert_eq!(received.len(), 1);
}

#[test]
fn json_at_the_limit_of_depth_passes_and_one_deeper_does_not() {
    let mut chat = Chat::of(Dialect::Directory, 1);
    chat.text(1, r#"{"type":"online","from":1}"#);
    let message = |depth: usize| format!(r#"{{"to":1,"x":{}}}"#, nested("[", "", "]", depth - 1));
    assert_eq!(chat.text(1, &message(128)), [text(1, &message(128))]);
    assert_eq!(chat.text(1, &message(129)), []);
}

#[test]
fn odd_json_neither_panics_nor_disconnects() {
    let long = "9".repeat(100_000);
    let values = [
        "1e999999999",
        "-1e-999999999",
        "1e99999999999999999999999",
        "0.00000000000000000000001",
        "-0",
        long.as_str(),
        r#""\ud800""#,
        r#""\udc00\ud800""#,
        r#""\ud83d""#,
        r#""\u0000""#,
        r#""\uD83D\uDE00""#,
        r#"{"a":1,"a":2,"a":{"a":3}}"#,
        r#"{"":{"":{}}}"#,
        "[[],[[]],{}]",
        "01",
        "1.",
        ".5",
        "+1",
        "1e",
        "NaN",
        "Infinity",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\ud83d\\u\"",
        "\"\n\"",
        "\"",
        "tru",
        "nul",
        "\u{0}",
        "'a'",
        "é",
    ];
    for dialect in [Dialect::Directory, Dialect::Im] {
        let mut chat = Chat::of(dialect, 1);
        for value in values {
            for member in
                ["type", "from", "to", "userId", "toId", "msgUserId", "content", "createTime"]
            {
                for request in ["online", "chat", "get-pass", "get-enter"] {
                    chat.text(1, &format!(r#"{{"type":"{request}","{member}":{value}}}"#));
                    chat.text(
                        1,
                        &format!(r#"{{"{member}":{value},"type":"{request}","{member}":{value}}}"#),
                    );
                }
            }
        }
        assert_eq!(chat.hub.connections(), 1);
        assert_lives(&mut chat, dialect);
    }
}

#[test]
fn a_connection_holds_so_many_ids_and_so_many_bytes_of_them() {
    let limits = Limits {
        ids_per_connection: 3,
        id_bytes: 10,
        ids_bytes_per_connection: 21,
        ..Limits::default()
    };
    let mut chat = Chat::with(Config { limits, ..Config::default() });
    let online = |id: &str| format!(r#"{{"type":"online","from":{id}}}"#);
    let to = |id: &str| format!(r#"{{"to":{id}}}"#);
    chat.open(1, Dialect::Directory, None);
    for id in ["1", "2", "3", "4"] {
        chat.text(1, &online(id));
    }
    assert_eq!(chat.text(1, &to("3")).len(), 1);
    assert_eq!(chat.text(1, &to("4")), [], "a fourth");
    chat.open(2, Dialect::Directory, None);
    chat.text(2, &online("\"eleven...\""));
    assert_eq!(chat.text(2, &to("\"eleven...\"")), [], "longer than ten as written");
    for id in ["\"aaaaaaaa\"", "\"bbbbbbbb\"", "5"] {
        chat.text(2, &online(id));
    }
    assert_eq!(chat.text(2, &to("\"bbbbbbbb\"")).len(), 1);
    assert_eq!(chat.text(2, &to("5")), [], "more than 21 bytes together");
    // To register what one holds already costs nothing.
    chat.open(3, Dialect::Directory, None);
    chat.text(3, &online("1"));
    chat.text(1, &online("1"));
    assert_eq!(chat.text(2, &to("1")), [text(1, &to("1"))]);
}

/// Everything that a hub keeps is in its `Debug` form.
fn kept(chat: &Chat) -> usize {
    format!("{:?}", chat.hub).len()
}

#[test]
fn to_repeat_oneself_leaves_nothing_more() {
    for (dialect, message) in [
        (Dialect::Directory, r#"{"type":"online","from":"a"}"#),
        (Dialect::Directory, r#"{"to":"nobody"}"#),
        (Dialect::Im, r#"{"type":"get-pass","userId":"a"}"#),
        (Dialect::Im, r#"{"type":"get-enter","userId":"a","toId":"b"}"#),
        (Dialect::Named, "x"),
        (Dialect::Broadcast, "x"),
        (Dialect::Echo, "x"),
    ] {
        let mut chat = Chat::of(dialect, 2);
        chat.text(1, message);
        let once = kept(&chat);
        for _ in 0..1000 {
            chat.text(1, message);
        }
        assert_eq!(kept(&chat), once, "{dialect:?}: {message}");
    }
}

#[test]
fn to_come_and_go_leaves_nothing() {
    let mut chat = Chat::of(Dialect::Named, 1);
    let before = kept(&chat);
    for (conn, dialect) in (2..502).chain(2..502).zip(PLAIN.into_iter().cycle()) {
        chat.open(conn, dialect, Some(&format!("room {conn}")));
        chat.text(conn, &format!(r#"{{"type":"online","from":{conn}}}"#));
        chat.text(conn, &format!(r#"{{"type":"get-pass","userId":{conn}}}"#));
        chat.close(conn);
    }
    assert_eq!(kept(&chat), before);
}

#[test]
fn a_flood_of_ids_leaves_64_and_none_after_closing() {
    let mut chat = Chat::of(Dialect::Im, 1);
    let answered = (0..10_000)
        .filter(|id| !chat.text(1, &format!(r#"{{"type":"get-pass","userId":{id}}}"#)).is_empty())
        .count();
    assert_eq!(answered, 64);
    chat.close(1);
    assert!(chat.hub.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_panic_or_disconnect_in_any_dialect(
        messages in prop::collection::vec((any::<bool>(), prop_oneof![
            prop::collection::vec(any::<u8>(), 0..40),
            "(\\{\"(type|from|to|userId|toId|createTime)\":(\"(online|get-pass|get-enter|a|\\\\ud83d)\"|1|null|\\[|\\{)[,}]?){1,4}\\}?".prop_map(String::into_bytes),
        ]), 1..20)
    ) {
        for dialect in PLAIN {
            let mut chat = Chat::of(dialect, 2);
            for (is_text, message) in &messages {
                let kind = if *is_text { Kind::Text } else { Kind::Binary };
                crate::sent(&chat.message(1, kind, message));
            }
            prop_assert_eq!(chat.hub.connections(), 2);
            chat.close(1);
            chat.close(2);
            prop_assert!(chat.hub.is_empty());
        }
    }
}
