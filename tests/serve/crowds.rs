//! What many are told at once.

use crate::actor::{Actor, Saw, frame};
use crate::chatter::Chatter;
use crate::process::Server;
use serde_json::json;

/// Of all lengths that a frame's head tells apart, and longer than what is queued together; in both kinds.
fn messages(from: u8) -> Vec<Saw> {
    let lens = [0, 1, 100, 125, 126, 3000, 5000, 16_000, 16_384, 17_000, 70_000, 3, 2, 1];
    let both = |(n, &len): (usize, &usize)| {
        let filling = char::from(b'a' + from % 26).to_string().repeat(len);
        if n % 3 == 2 { Saw::Binary(filling.into_bytes()) } else { Saw::Text(filling) }
    };
    (0..4).flat_map(|_| lens.iter().enumerate().map(both)).collect()
}

fn on_the_wire(messages: &[Saw]) -> Vec<u8> {
    let one = |message: &Saw| match message {
        Saw::Text(text) => frame(0x81, text.as_bytes(), true, None),
        Saw::Binary(bytes) => frame(0x82, bytes, true, None),
        other => panic!("{other:?} is no message"),
    };
    messages.iter().flat_map(one).collect()
}

#[test]
fn what_the_same_ones_are_told_in_one_turn_comes_in_order() {
    for shards in ["1", "3"] {
        let server = Server::start(&["--shards", shards]);
        let open = || Actor::open(server.addresses[0], "/broadcast?room=crowd");
        let mut speakers = [open(), open()];
        let listeners: Vec<Actor> = (0..12).map(|_| open()).collect();
        let listeners: Vec<_> = listeners
            .into_iter()
            .map(|mut listener| {
                std::thread::spawn(move || {
                    listener.watch(2 * messages(0).len());
                    listener.saw
                })
            })
            .collect();
        for (speaker, from) in speakers.iter_mut().zip([0, 1]) {
            // All in one write, so that a read of the server holds many.
            speaker.write(&on_the_wire(&messages(from)));
        }
        for listener in listeners {
            let saw = listener.join().unwrap();
            for (from, letter) in [(0, b'a'), (1, b'b')] {
                let of = |it: &Saw| match it {
                    Saw::Text(text) => text.bytes().all(|byte| byte == letter),
                    Saw::Binary(bytes) => bytes.iter().all(|byte| *byte == letter),
                    _ => false,
                };
                // An empty one could be anybody's.
                let full = |it: &&Saw| !matches!(it, Saw::Text(text) if text.is_empty());
                let said = messages(from);
                let said: Vec<_> = said.iter().filter(full).collect();
                let heard: Vec<_> = saw.iter().filter(|it| of(it)).filter(full).collect();
                assert!(heard == said, "{} of {} from {from}", heard.len(), said.len());
            }
        }
    }
}

#[test]
fn what_one_is_told_between_keeps_its_place() {
    let server = Server::start(&["--shards", "1"]);
    let mut speaker = Chatter::enter(server.addresses[0], "ann", "r");
    let mut listener = Chatter::enter(server.addresses[0], "bob", "r");
    // To the room, to one of it alone, and to the room again, in one read.
    for n in 0..50 {
        speaker.say("r", &json!({"n": 3 * n}));
        speaker.ask(&json!({"op": "tell", "to": "bob", "body": {"n": 3 * n + 1}}));
        speaker.say("r", &json!({"n": 3 * n + 2}));
    }
    let mut heard = Vec::new();
    while heard.len() < 150 {
        let event = listener.next();
        if let Some(n) = event["body"]["n"].as_i64() {
            heard.push(n);
        }
    }
    assert!(heard.is_sorted(), "{heard:?}");
}
