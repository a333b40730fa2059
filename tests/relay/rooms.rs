//! Rooms across dialects and hubs, names, quotas, closing.

use crate::{Chat, PLAIN, binary, opening, text};
use sockeye::relay::{
    Config, ConnId, Dialect, Effect, Elsewhere, Hub, Kind, NameError, NodeId, OpenError, Opening,
    Rates, RoomName,
};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

#[test]
fn dialects_share_rooms_and_each_hears_its_own_form() {
    let mut chat = Chat::new();
    chat.open(1, Dialect::Broadcast, None);
    chat.open(2, Dialect::Named, None);
    chat.open(3, Dialect::Broadcast, None);
    chat.open(4, Dialect::Named, None);
    let named = |from: u64, said: &str| format!("::ffff:127.0.0.15000{from} -> {said}");
    let told = named(1, "hi");
    assert_eq!(chat.text(1, "hi"), [text(3, "hi"), text(2, &told), text(4, &told)]);
    assert_eq!(chat.binary(3, b"hi").first(), Some(&binary(1, "hi")));
    let told = named(2, "ho");
    assert_eq!(chat.text(2, "ho"), [text(1, "ho"), text(3, "ho"), text(2, &told), text(4, &told)]);
}

#[test]
fn rooms_are_apart_and_no_room_is_the_default_room() {
    let mut chat = Chat::new();
    chat.open(1, Dialect::Broadcast, Some("tea"));
    chat.open(2, Dialect::Broadcast, Some("coffee"));
    chat.open(3, Dialect::Broadcast, Some("tea"));
    chat.open(4, Dialect::Broadcast, None);
    chat.open(5, Dialect::Broadcast, Some(""));
    chat.open(6, Dialect::Broadcast, Some("lobby"));
    assert_eq!(chat.text(1, "x"), [text(3, "x")]);
    assert_eq!(chat.text(2, "x"), []);
    assert_eq!(chat.text(4, "x"), [text(5, "x"), text(6, "x")]);
    assert_eq!(chat.hub.rooms(), 3);
    chat.close(2);
    assert_eq!(chat.hub.rooms(), 2);
}

#[test]
fn echo_directory_and_im_clients_are_in_no_room() {
    let mut chat = Chat::new();
    for (conn, dialect) in (1..).zip(PLAIN) {
        chat.open(conn, dialect, None);
    }
    let of = |dialect| 1 + PLAIN.iter().position(|&it| it == dialect).unwrap() as u64;
    let (raw, named) = (of(Dialect::Broadcast), of(Dialect::Named));
    let told = format!("::ffff:127.0.0.15000{raw} -> x");
    assert_eq!(chat.text(raw, "x"), [text(named, &told)]);
}

#[test]
fn a_message_for_a_thousand_is_one_allocation_and_one_effect_for_each_form() {
    let mut chat = Chat::new();
    for conn in 1..=1000 {
        let dialect = if conn % 2 == 0 { Dialect::Named } else { Dialect::Broadcast };
        chat.open(conn, dialect, None);
    }
    let effects = chat.message(1, Kind::Text, b"hi");
    let [raw, named] = effects.as_slice() else {
        panic!("{} effects", effects.len());
    };
    for (effect, receivers, bytes) in
        [(raw, 499, &b"hi"[..]), (named, 500, b"::ffff:127.0.0.150001 -> hi")]
    {
        let Effect::SendMany { to, message } = effect else { panic!("{effect:?}") };
        assert_eq!((to.len(), &message.bytes[..]), (receivers, bytes));
        assert_eq!(Arc::strong_count(&message.bytes), 1);
    }
}

#[test]
fn a_closed_connection_is_neither_heard_nor_told() {
    let mut chat = Chat::of(Dialect::Named, 2);
    chat.close(1);
    assert_eq!(chat.text(1, "too late"), []);
    assert_eq!(chat.text(2, "x").len(), 1);
    chat.close(1);
    chat.close(7);
    assert_eq!(chat.hub.connections(), 1);
}

#[test]
fn bad_names_and_numbers_in_use_are_refused_and_nothing_has_changed() {
    let mut hub = Hub::new(Config::default());
    let mut effects = Vec::new();
    let good = opening(1, Dialect::Named, None);
    for (opening, error) in [
        (Opening { room: Some("@bob"), ..good }, OpenError::Room(NameError::Reserved)),
        (
            Opening { room: Some("a\nb"), ..good },
            OpenError::Room(NameError::Control { character: '\n' }),
        ),
        (
            Opening { user: Some("\u{85}"), ..good },
            OpenError::User(NameError::Control { character: '\u{85}' }),
        ),
        (
            Opening { user: Some(&"é".repeat(65)), ..good },
            OpenError::User(NameError::TooLong { bytes: 130 }),
        ),
    ] {
        assert_eq!(hub.open(ConnId(1), &opening, &mut effects), Err(error));
        assert!(hub.is_empty() && effects.is_empty());
    }
    hub.open(ConnId(1), &good, &mut effects).unwrap();
    let before = effects.clone();
    assert_eq!(hub.open(ConnId(1), &good, &mut effects), Err(OpenError::InUse(ConnId(1))));
    assert_eq!((effects, hub.connections()), (before, 1));
}

#[test]
fn over_its_quota_a_connection_is_closed_with_4029_and_the_others_go_on() {
    let rates = Rates {
        messages_per_second: NonZeroU32::new(10).unwrap(),
        burst: Duration::from_secs(1),
        ..Rates::default()
    };
    let mut chat = Chat::with(Config { rates: Some(rates), ..Config::default() });
    for conn in 1..=3 {
        chat.open(conn, Dialect::Broadcast, None);
    }
    chat.now = Duration::from_secs(100);
    for _ in 0..10 {
        assert_eq!(chat.text(1, "x").len(), 2);
    }
    let effects = chat.message(1, Kind::Text, b"x");
    assert!(
        matches!(effects.as_slice(), [Effect::Close { conn: ConnId(1), code: 4029, .. }]),
        "{effects:?}"
    );
    assert_eq!(chat.text(1, "x"), []);
    assert_eq!(chat.text(2, "x"), [text(3, "x")]);
    chat.now += Duration::from_millis(100);
    assert_eq!(chat.text(2, "x"), [text(3, "x")]);
}

#[test]
fn hubs_of_a_cluster_tell_their_members_what_was_said_in_another() {
    let config = Config { cluster: true, ..Config::default() };
    let (mut here, mut there) = (Chat::with(config.clone()), Chat::with(config));
    here.open(1, Dialect::Named, Some("tea"));
    there.open(2, Dialect::Named, Some("tea"));
    there.open(3, Dialect::Broadcast, Some("tea"));
    there.open(4, Dialect::Broadcast, Some("coffee"));
    there.open(5, Dialect::Broadcast, Some("tea"));
    let effects = here.message(1, Kind::Binary, b"hi");
    let [Effect::Send { to: ConnId(1), .. }, Effect::Elsewhere(Elsewhere::Said(said))] =
        effects.as_slice()
    else {
        panic!("{effects:?}");
    };
    assert_eq!(said.room, RoomName::new("tea").unwrap());
    let mut effects = Vec::new();
    there.hub.elsewhere(NodeId(1), Elsewhere::Said(said.clone()), &mut effects);
    let told = "::ffff:127.0.0.150001 -> hi";
    assert_eq!(crate::sent(&effects), [binary(3, "hi"), binary(5, "hi"), text(2, told)]);
    let Effect::SendMany { message, .. } = &effects[0] else { panic!("{effects:?}") };
    assert!(Arc::ptr_eq(&message.bytes, &said.message.bytes), "it is not copied");
}
