//! What DIALECTS' tables say of each dialect, odd cases first.

use crate::{Chat, binary, opening, text};
use sockeye::relay::{Config, ConnId, Dialect, Effect, Hub, Opening, Zone};

#[test]
fn echo_gives_back_both_kinds_and_nothing_else_happens() {
    let mut chat = Chat::of(Dialect::Echo, 2);
    assert_eq!(chat.text(1, "hi"), [text(1, "hi")]);
    assert_eq!(chat.binary(1, b"hi"), [binary(1, "hi")]);
    assert_eq!(chat.text(2, ""), [text(2, "")]);
    assert_eq!(chat.hub.rooms(), 0);
}

#[test]
fn broadcast_goes_to_the_others_of_the_room_in_its_kind() {
    let mut chat = Chat::of(Dialect::Broadcast, 3);
    assert_eq!(chat.text(2, "hi"), [text(1, "hi"), text(3, "hi")]);
    assert_eq!(chat.binary(2, b"hi"), [binary(1, "hi"), binary(3, "hi")]);
    assert_eq!(chat.text(1, ""), [text(2, ""), text(3, "")]);
}

#[test]
fn directory_forwards_what_is_not_online_byte_for_byte() {
    let mut chat = Chat::of(Dialect::Directory, 2);
    assert_eq!(chat.text(2, r#"{"type":"online","from":"b"}"#), []);
    for message in [
        r#"{"type":"chat","from":"a","to":"b","msg":"hi"}"#,
        r#"{"to":"b"}"#,
        r#"{"type":"Online","from":"a","to":"b"}"#,
        r#"{"type":null,"to":"b"}"#,
        r#"{"type":["online"],"to":"b"}"#,
        "  { \"to\" : \"x\", \"z\":[1, 2 ,{}], \"to\":\"b\",\"n\":1.0e2, \"u\":\"\\u00e9\" }\n",
        r#"{"type":"online","type":"chat","from":"x","to":"b"}"#,
        r#"{"to":"\u0062","msg":"\ud800 \u0000"}"#,
        r#"{"t\u006f":"b"}"#,
    ] {
        assert_eq!(chat.text(1, message), [text(2, message)], "{message}");
        assert_eq!(chat.binary(1, message.as_bytes()), [binary(2, message)], "{message}");
        assert_eq!(chat.text(2, message), [text(2, message)], "to oneself: {message}");
    }
}

#[test]
fn directory_forwards_stray_bytes_in_a_binary_message_unchanged() {
    let mut chat = Chat::of(Dialect::Directory, 2);
    chat.text(2, r#"{"type":"online","from":"b"}"#);
    let message = b"{\"to\":\"b\",\"msg\":\"\xff\xfe\"}";
    let effects = chat.message(1, sockeye::relay::Kind::Binary, message);
    let [Effect::Send { to: ConnId(2), message: forwarded }] = effects.as_slice() else {
        panic!("{effects:?}");
    };
    assert_eq!(&forwarded.bytes[..], message);
}

#[test]
fn directory_ignores_what_means_nothing() {
    let mut chat = Chat::of(Dialect::Directory, 2);
    chat.text(2, r#"{"type":"online","from":"b"}"#);
    for message in [
        "",
        " ",
        "null",
        "42",
        "\"x\"",
        "[]",
        r#"[{"to":"b"}]"#,
        "{",
        r#"{"to":"b""#,
        r#"{"to":"b"}}"#,
        r#"{"to":"b",}"#,
        r#"{'to':'b'}"#,
        "\u{feff}{\"to\":\"b\"}",
        r#"{"to":"nobody"}"#,
        r#"{"to":null}"#,
        r#"{"msg":"to whom?"}"#,
        r#"{"type":"online"}"#,
        r#"{"type":"online","to":"b"}"#,
        r#"{"type":"\u006fnline","to":"b"}"#,
        r#"{"type":"chat","to":"b","type":"online"}"#,
    ] {
        assert_eq!(chat.text(1, message), [], "{message}");
        assert_eq!(chat.binary(1, message.as_bytes()), [], "{message}");
    }
    assert_eq!(chat.binary(1, b"\x00\xff\x00\xff"), []);
    assert_eq!(chat.text(2, r#"{"to":"b"}"#), [text(2, r#"{"to":"b"}"#)]);
}

#[test]
fn an_id_is_any_json_value_and_types_differ() {
    let ids = [
        "1",
        "\"1\"",
        "null",
        "\"null\"",
        "true",
        "false",
        "1.5",
        "[]",
        "[1]",
        "{}",
        r#"{"a":1}"#,
        "\"\"",
        "\"__proto__\"",
        "\"constructor\"",
        r#""\ud800""#,
        r#""\ud801""#,
    ];
    let mut chat = Chat::of(Dialect::Directory, ids.len() as u64);
    for (conn, id) in (1..).zip(ids) {
        chat.text(conn, &format!(r#"{{"type":"online","from":{id}}}"#));
    }
    for (conn, id) in (1..).zip(ids) {
        let message = format!(r#"{{"to":{id}}}"#);
        assert_eq!(chat.text(1, &message), [text(conn, &message)]);
    }
    for (conn, id) in [(1, "1.0"), (1, "10e-1"), (9, "[ 1 ]"), (2, r#""\u0031""#)] {
        let message = format!(r#"{{"to":{id}}}"#);
        assert_eq!(chat.text(1, &message), [text(conn, &message)]);
    }
}

#[test]
fn the_newest_holder_of_an_id_wins_and_the_one_before_when_it_closes() {
    let mut chat = Chat::of(Dialect::Directory, 4);
    let to_b = r#"{"to":"b"}"#;
    let online = r#"{"type":"online","from":"b"}"#;
    for conn in [1, 2, 3] {
        chat.text(conn, online);
        assert_eq!(chat.text(4, to_b), [text(conn, to_b)]);
    }
    chat.close(2);
    assert_eq!(chat.text(4, to_b), [text(3, to_b)]);
    chat.text(1, online);
    assert_eq!(chat.text(4, to_b), [text(1, to_b)], "to register again is newest, too");
    chat.close(1);
    assert_eq!(chat.text(4, to_b), [text(3, to_b)], "and it was registered once");
    chat.close(3);
    assert_eq!(chat.text(4, to_b), []);
}

#[test]
fn all_ids_of_a_connection_go_when_it_closes() {
    let mut chat = Chat::of(Dialect::Directory, 3);
    for id in ["\"b\"", "2", "null"] {
        chat.text(1, &format!(r#"{{"type":"online","from":{id}}}"#));
    }
    chat.text(2, r#"{"type":"online","from":2}"#);
    chat.close(1);
    assert_eq!(chat.text(3, r#"{"to":"b"}"#), []);
    assert_eq!(chat.text(3, r#"{"to":null}"#), []);
    assert_eq!(chat.text(3, r#"{"to":2}"#), [text(2, r#"{"to":2}"#)]);
    chat.close(2);
    chat.close(3);
    assert!(chat.hub.is_empty());
}

#[test]
fn named_welcomes_with_address_and_port_and_tells_everybody() {
    let mut chat = Chat::new();
    let welcome = chat.open(1, Dialect::Named, None);
    assert_eq!(welcome, [text(1, "Welcome ::ffff:127.0.0.150001")]);
    chat.open(2, Dialect::Named, None);
    let told = "::ffff:127.0.0.150001 -> hi";
    assert_eq!(chat.text(1, "hi"), [text(1, told), text(2, told)]);
    assert_eq!(chat.binary(1, b"hi"), [text(1, told), text(2, told)]);
    let told = "::ffff:127.0.0.150002 -> \u{0}\u{fffd}\u{fffd}A\u{fffd}";
    assert_eq!(chat.binary(2, b"\x00\xff\xfeA\xe4\xbd"), [text(1, told), text(2, told)]);
    let told = "::ffff:127.0.0.150002 -> ";
    assert_eq!(chat.text(2, ""), [text(1, told), text(2, told)]);
}

#[test]
fn named_shows_addresses_as_a_socket_for_both_families_does() {
    for (remote_addr, name) in [
        ("127.0.0.1", "::ffff:127.0.0.17"),
        ("::ffff:127.0.0.1", "::ffff:127.0.0.17"),
        ("::1", "::17"),
        ("unix", "unix7"),
    ] {
        let mut hub = Hub::new(Config::default());
        let mut effects = Vec::new();
        let opening = Opening { remote_addr, remote_port: 7, ..opening(1, Dialect::Named, None) };
        hub.open(ConnId(1), &opening, &mut effects).unwrap();
        assert_eq!(crate::sent(&effects), [text(1, &format!("Welcome {name}"))]);
    }
}

#[test]
fn a_name_asked_for_is_used_instead() {
    let mut hub = Hub::new(Config::default());
    let mut effects = Vec::new();
    let opening = Opening {
        dialect: Dialect::Named,
        room: Some(""),
        user: Some("Ann"),
        remote_addr: "::1",
        remote_port: 9,
        kept: false,
    };
    hub.open(ConnId(1), &opening, &mut effects).unwrap();
    assert_eq!(crate::sent(&effects), [text(1, "Welcome Ann")]);
}

const CREATED: &str = r#"{"code":"1","msg":"Channel Creation Successful"}"#;

fn pass(id: &str) -> String {
    format!(r#"{{"type":"get-pass","userId":{id}}}"#)
}

#[test]
fn im_answers_for_a_user_not_known_yet_only() {
    let mut chat = Chat::of(Dialect::Im, 3);
    assert_eq!(chat.text(1, &pass("\"u1\"")), [text(1, CREATED)]);
    assert_eq!(chat.text(1, &pass("\"u1\"")), []);
    assert_eq!(chat.text(2, &pass("\"u1\"")), []);
    assert_eq!(chat.text(2, &pass("1")), [text(2, CREATED)]);
    assert_eq!(chat.text(2, &pass("null")), [text(2, CREATED)]);
    assert_eq!(chat.text(2, r#"{"type":"get-pass"}"#), []);
    chat.close(2);
    assert_eq!(chat.text(3, &pass("\"u1\"")), [], "the older holder is still there");
    assert_eq!(chat.text(3, &pass("1")), [text(3, CREATED)]);
}

#[test]
fn im_knows_test001_from_the_start() {
    let mut chat = Chat::of(Dialect::Im, 3);
    let enter = r#"{"type":"get-enter","toId":"test001"}"#;
    let packet = r#"{"toId":"test001","timeStr":"0NaN:0NaN","read":false}"#;
    assert_eq!(chat.text(2, enter), [text(2, packet)], "known, and nobody there");
    assert_eq!(chat.text(1, &pass(r#""test\u0030\u00301""#)), []);
    assert_eq!(chat.text(2, enter), [text(2, packet), text(1, packet)]);
    chat.close(1);
    // Once it has been held it comes and goes as others do.
    assert_eq!(chat.text(3, &pass("\"test001\"")), [text(3, CREATED)]);
}

#[test]
fn im_packets_have_the_tutorial_s_members_in_its_order_as_written() {
    let mut chat = Chat::of(Dialect::Im, 1);
    for (request, packet) in [
        (
            r#"{"read":true,"createTime":0,"content":{"a": [1,null,"\u00e9"]},"msgUserId":7,"toId":"x","userId":"u1","formId":"fake","type":"get-enter"}"#,
            r#"{"formId":"u1","toId":"x","msgUserId":7,"content":{"a": [1,null,"\u00e9"]},"createTime":0,"timeStr":"00:00","read":false}"#,
        ),
        (r#"{"type":"get-enter"}"#, r#"{"timeStr":"0NaN:0NaN","read":false}"#),
        (
            r#"{"type":"get-\u0065nter","userId":1,"userId":null,"createTime":"1570507007000"}"#,
            r#"{"formId":null,"createTime":"1570507007000","timeStr":"0NaN:0NaN","read":false}"#,
        ),
        (
            r#"{"type":"get-enter","content":"\ud800","createTime":null}"#,
            r#"{"content":"\ud800","createTime":null,"timeStr":"00:00","read":false}"#,
        ),
    ] {
        assert_eq!(chat.text(1, request), [text(1, packet)]);
    }
}

#[test]
fn im_goes_to_the_sender_and_the_newest_channel_twice_to_oneself() {
    let mut chat = Chat::of(Dialect::Im, 3);
    chat.text(1, &pass("\"a\""));
    chat.text(2, &pass("\"b\""));
    chat.text(3, &pass("\"b\""));
    let packet = |to: &str| format!(r#"{{"toId":"{to}","timeStr":"0NaN:0NaN","read":false}}"#);
    let enter = |to: &str| format!(r#"{{"type":"get-enter","toId":"{to}"}}"#);
    assert_eq!(chat.text(1, &enter("b")), [text(1, &packet("b")), text(3, &packet("b"))]);
    assert_eq!(chat.text(1, &enter("a")), [text(1, &packet("a")), text(1, &packet("a"))]);
    chat.close(3);
    assert_eq!(chat.text(1, &enter("b")), [text(1, &packet("b")), text(2, &packet("b"))]);
    chat.close(2);
    assert_eq!(chat.text(1, &enter("b")), [text(1, &packet("b"))]);
}

#[test]
fn im_ignores_binary_and_what_means_nothing() {
    let mut chat = Chat::of(Dialect::Im, 1);
    for message in [
        "",
        "null",
        "42",
        "\"x\"",
        "[]",
        "{}",
        r#"{"type":"nope"}"#,
        r#"{"type":["get-pass"],"userId":1}"#,
        r#"{"type":"GET-PASS","userId":1}"#,
        r#"{"type":"get-pass","userId":1"#,
        r#"{"userId":1}"#,
    ] {
        assert_eq!(chat.text(1, message), [], "{message}");
    }
    assert_eq!(chat.binary(1, pass("1").as_bytes()), []);
    assert_eq!(chat.text(1, &pass("1")), [text(1, CREATED)], "none of them opened a channel");
}

#[test]
fn im_shows_times_of_the_server_s_zone() {
    let config = Config { zone: Zone::fixed(8 * 60), ..Config::default() };
    let mut chat = Chat::with(config);
    chat.open(1, Dialect::Im, None);
    let packets = chat.text(1, r#"{"type":"get-enter","createTime":1570507007000}"#);
    assert_eq!(
        packets,
        [text(1, r#"{"createTime":1570507007000,"timeStr":"11:56","read":false}"#)]
    );
}

#[test]
fn ids_of_one_dialect_mean_nothing_to_another() {
    let mut chat = Chat::new();
    chat.open(1, Dialect::Im, None);
    chat.open(2, Dialect::Directory, None);
    chat.text(1, &pass("\"a\""));
    assert_eq!(chat.text(2, r#"{"to":"a"}"#), []);
    chat.text(2, r#"{"type":"online","from":"b"}"#);
    assert_eq!(chat.text(1, r#"{"type":"get-enter","toId":"b"}"#).len(), 1);
}
