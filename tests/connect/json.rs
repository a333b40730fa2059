//! Events as JSON, and messages given as JSON.

use serde_json::{Value, json};

use crate::peer::{scripted, upgraded};
use crate::process::{Server, begin, connect, say};
use crate::support::{binary, close, ping, pong, text};

/// The events but the first, which has the server's headers.
fn after_open(events: &[Value]) -> &[Value] {
    assert_eq!(events[0]["event"], "open", "{events:?}");
    &events[1..]
}

#[test]
fn everything_that_happens_is_an_object_a_line() {
    let peer = scripted(|mut peer| {
        peer.upgrade("Sec-WebSocket-Protocol: chat\r\nX-One: 1\r\nX-One: 2\r\n");
        peer.send(text("line\nend \x1b \u{9b}").unmasked().bytes());
        peer.send(binary("hi").unmasked().bytes());
        peer.send(ping("p").unmasked().bytes());
        peer.frame();
        peer.send(pong("q").unmasked().bytes());
        peer.send(close(1001, "so \"long\"").unmasked().bytes());
        peer.frame();
    });
    let url = peer.url();
    let run = say(&[&url, "--json", "-s", "chat"]);
    assert_eq!(run.status, Some(0), "{}", run.said);
    assert!(!run.out.contains(['\x1b', '\u{9b}']), "{:?}", run.out);
    let events = run.events();
    let open = &events[0];
    assert_eq!((&open["status"], &open["subprotocol"]), (&json!(101), &json!("chat")));
    assert_eq!((&open["url"], &open["headers"]["x-one"]), (&json!(url), &json!("1, 2")));
    assert_eq!(
        after_open(&events),
        [
            json!({"event": "message", "text": "line\nend \x1b \u{9b}"}),
            json!({"event": "message", "binary": "aGk="}),
            json!({"event": "ping", "payload": "cA=="}),
            json!({"event": "pong", "payload": "cQ==", "round_trip_ms": null}),
            json!({"event": "close", "code": 1001, "name": "going away", "reason": "so \"long\"",
                "by": "server", "clean": true, "error": null, "unsent_bytes": 0}),
        ]
    );
}

#[test]
fn messages_are_given_as_json() {
    let server = Server::start(&[]);
    let mut running = begin(&[&server.url("/echo"), "--json", "--json-input"]);
    running.line();
    running.write("{\"text\": \"a\\nb\"}\n{\"binary\": \"aGk=\"}\n{\"ping\": \"x\"}\n");
    let next = || -> Value { serde_json::from_str(&running.line()).unwrap() };
    assert_eq!(next(), json!({"event": "message", "text": "a\nb"}));
    assert_eq!(next(), json!({"event": "message", "binary": "aGk="}));
    let pong = next();
    assert_eq!((&pong["event"], &pong["payload"]), (&json!("pong"), &json!("eA==")));
    assert!(pong["round_trip_ms"].as_f64().unwrap() > 0.0, "{pong}");
    running.write("{\"close\": 4001, \"reason\": \"done\"}\n");
    let run = running.end();
    let events = run.events();
    let goodbye = events.last().unwrap();
    assert_eq!((&goodbye["code"], &goodbye["by"]), (&json!(4001), &json!("client")));
    assert_eq!(run.status, Some(0));
}

#[test]
fn json_that_is_no_message_is_told_by_its_number() {
    let server = Server::start(&[]);
    let run = connect(&[&server.url("/echo"), "--json-input"], "{\"text\":\"a\"}\nhello\n");
    assert_eq!(run.status, Some(1));
    assert!(run.said.contains("message 2 of the input: not JSON"), "{}", run.said);
}

#[test]
fn a_refusal_is_an_event_too() {
    let peer = scripted(|mut peer| {
        peer.request();
        peer.send("HTTP/1.1 403 Forbidden\r\nX-Why: because\r\nContent-Length: 4\r\n\r\nshut");
    });
    let run = say(&[&peer.url(), "--json"]);
    assert_eq!(run.status, Some(1));
    let events = run.events();
    assert_eq!(events.len(), 1);
    let event = &events[0];
    assert_eq!((&event["event"], &event["status"]), (&json!("refused"), &json!(403)));
    assert_eq!((&event["reason"], &event["body"]), (&json!("Forbidden"), &json!("shut")));
    assert_eq!(event["headers"]["x-why"], "because");
}

#[test]
fn a_cut_is_a_close_that_is_not_clean() {
    let peer = upgraded(|peer| {
        peer.send(text("hi").unmasked().bytes());
    });
    let run = say(&[&peer.url(), "--json"]);
    assert_eq!(run.status, Some(1));
    let events = run.events();
    let goodbye = events.last().unwrap();
    assert_eq!((&goodbye["code"], &goodbye["clean"]), (&json!(1006), &json!(false)));
}
