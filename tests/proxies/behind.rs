//! What holds behind each proxy, wherever TLS ends.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sockeye::client::{Client, ClientError, Connect, Received};
use sockeye::proto::deflate::Deflate;
use sockeye::proto::{CloseCode, CloseFrame, Ended};

use crate::files::Patience;
use crate::scene::{Kind, PATIENCE, Scene, Shape, Wire};

type Through = Client<Box<dyn Wire>>;

macro_rules! behind {
    ($($kind:ident: $proxy:ident { $($test:ident)* })*) => {$(
        mod $proxy {
            $(#[test]
            fn $test() {
                for shape in super::Kind::$kind.shapes() {
                    super::$test(super::Kind::$kind, shape);
                }
            })*
        }
    )*};
}

behind! {
    Nginx: nginx {
        people_get_the_page_and_chat
        close_codes_arrive_in_both_directions
        each_client_has_its_own_address
        a_client_cannot_pretend_to_be_another
        silence_longer_than_the_proxys_patience_is_filled_by_pings
        large_and_compressed_messages_pass
        open_connections_outlive_a_reload
        who_comes_without_tls_is_sent_where_there_is
    }
    Haproxy: haproxy {
        people_get_the_page_and_chat
        close_codes_arrive_in_both_directions
        each_client_has_its_own_address
        a_client_cannot_pretend_to_be_another
        silence_longer_than_the_proxys_patience_is_filled_by_pings
        large_and_compressed_messages_pass
        open_connections_outlive_a_reload
        who_comes_without_tls_is_sent_where_there_is
    }
    Caddy: caddy {
        people_get_the_page_and_chat
        close_codes_arrive_in_both_directions
        each_client_has_its_own_address
        a_client_cannot_pretend_to_be_another
        large_and_compressed_messages_pass
    }
}

fn open(scene: &Scene, last: u8, target: &str) -> Through {
    scene.open(last, target, &Connect::new().max_payload(64 << 20)).unwrap()
}

fn text(client: &mut Through) -> String {
    match client.receive().unwrap() {
        Some(Received::Text(text)) => text,
        other => panic!("{other:?}"),
    }
}

/// The next event of this kind that the chat tells.
fn until(client: &mut Through, event: &str) -> Value {
    loop {
        let told: Value = serde_json::from_str(&text(client)).unwrap();
        if told["ev"] == event {
            return told;
        }
    }
}

/// How the server ended the conversation.
fn ended(client: &mut Through) -> Option<Ended> {
    loop {
        match client.receive() {
            Ok(Some(_)) => {}
            Ok(None) => return client.ended(),
            Err(error) => panic!("{error}"),
        }
    }
}

fn clean(code: u16) -> Ended {
    Ended::Clean(CloseCode::new(code))
}

fn people_get_the_page_and_chat(kind: Kind, shape: Shape) {
    let Some(scene) = Scene::start(kind, shape, &[]) else { return };
    let mut page = scene.stream(2);
    page.write_all(b"GET / HTTP/1.1\r\nHost: chat.example.com\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut html = Vec::new();
    page.read_to_end(&mut html).unwrap();
    let html = String::from_utf8_lossy(&html);
    assert!(html.starts_with("HTTP/1.1 200") && html.contains("<!doctype html>"), "{html:.300}");
    let mut alice = open(&scene, 2, "/chat?user=alice&room=tea");
    until(&mut alice, "joined");
    let mut bob = open(&scene, 3, "/chat?user=bob&room=tea");
    assert_eq!(until(&mut alice, "presence")["user"], "bob");
    until(&mut bob, "joined");
    bob.text(&json!({"op": "say", "room": "tea", "seq": 1, "body": "hello"}).to_string()).unwrap();
    let heard = until(&mut alice, "message");
    assert_eq!((&heard["from"], &heard["body"]), (&json!("bob"), &json!("hello")));
    assert_eq!(until(&mut bob, "ack")["offset"], heard["offset"]);
    alice.text(&json!({"op": "tell", "to": "bob", "body": "psst"}).to_string()).unwrap();
    assert_eq!(until(&mut bob, "direct")["body"], "psst");
}

fn close_codes_arrive_in_both_directions(kind: Kind, shape: Shape) {
    let Some(mut scene) = Scene::start(kind, shape, &["--max-payload", "1KiB"]) else { return };
    // The answer to a close names its code, and only the server could have heard it.
    let mut leaving = open(&scene, 2, "/echo");
    let code = CloseCode::new(4000).unwrap();
    let frame = CloseFrame { code, reason: "enough for today" };
    assert_eq!(leaving.close(Some(frame)).unwrap(), clean(4000));
    let mut large = open(&scene, 2, "/echo");
    large.binary(&[0; 1025]).unwrap();
    assert_eq!(ended(&mut large), Some(clean(1009)));
    let mut junk = open(&scene, 2, "/chat?user=eve");
    for _ in 0..70 {
        // It may have had enough before the last.
        let _ = junk.text("junk");
    }
    assert_eq!(ended(&mut junk), Some(clean(1008)));
    let mut staying = [open(&scene, 2, "/echo"), open(&scene, 3, "/broadcast")];
    scene.signal_server("TERM");
    for client in &mut staying {
        assert_eq!(ended(client), Some(clean(1001)));
    }
    assert_eq!(scene.server_ended().code(), Some(0));
}

/// What `/ws` calls a client that has no name: its address, and a port to tell it from others.
fn address(scene: &Scene, last: u8, options: &Connect) -> String {
    let mut client = scene.open(last, "/ws", options).unwrap();
    let welcome = text(&mut client);
    let name = welcome.strip_prefix("Welcome ").unwrap();
    // By a Unix socket there is no port.
    name.strip_prefix("::ffff:").unwrap_or(name).to_owned()
}

fn each_client_has_its_own_address(kind: Kind, shape: Shape) {
    let Some(scene) = Scene::start(kind, shape, &["--max-per-ip", "1"]) else { return };
    let plain = Connect::new();
    for last in [2, 3] {
        let name = address(&scene, last, &plain);
        assert!(name.starts_with(&format!("127.0.0.{last}")), "{name}");
    }
    let open_from = |last: u8| {
        // The last of that address may have ended a moment ago.
        let begin = Instant::now();
        loop {
            match scene.open(last, "/echo", &plain) {
                Ok(client) => return client,
                Err(error) => assert!(begin.elapsed() < PATIENCE, "{error}"),
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let _two = open_from(2);
    let _three = open_from(3);
    match scene.open(2, "/echo", &plain) {
        Err(ClientError::Refused(refusal)) => assert_eq!(refusal.status, 429),
        // Who says whose a connection is before TLS is hung up on before TLS.
        Err(_) => assert_eq!(shape, Shape::Through),
        Ok(_) => panic!("127.0.0.2 has its share"),
    }
    // Whoever logs does not wait for the line to be written.
    let begin = Instant::now();
    // The other's second may have come before its first was gone.
    let told = |line: &str| line.contains("turned away") && line.ends_with("address=127.0.0.2");
    while !scene.log().lines().any(told) {
        assert!(begin.elapsed() < PATIENCE, "it is not logged: {}", scene.log());
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn a_client_cannot_pretend_to_be_another(kind: Kind, shape: Shape) {
    let Some(scene) = Scene::start(kind, shape, &[]) else { return };
    let pretending = Connect::new()
        .header("X-Forwarded-For", "192.0.2.7, 192.0.2.8")
        .header("Forwarded", "for=192.0.2.9")
        .header("X-Real-IP", "192.0.2.10");
    let name = address(&scene, 2, &pretending);
    assert!(name.starts_with("127.0.0.2"), "{name}");
}

fn silence_longer_than_the_proxys_patience_is_filled_by_pings(kind: Kind, shape: Shape) {
    let patience = Patience("2s");
    for (interval, lives) in [("400ms", true), ("60s", false)] {
        let arguments = ["--ping-interval", interval];
        let Some(scene) = Scene::with_patience(kind, shape, &arguments, &patience) else { return };
        let mut client = scene.open(2, "/broadcast?room=tea", &Connect::new()).unwrap();
        let silent = Instant::now();
        let heard = std::thread::scope(|scope| {
            // Somebody says something when the proxy has long lost its patience.
            scope.spawn(|| {
                std::thread::sleep(Duration::from_secs(4));
                let mut other = open(&scene, 3, "/broadcast?room=tea");
                other.text("still there?").unwrap();
                other.close(None).unwrap();
            });
            loop {
                match client.receive() {
                    Ok(Some(Received::Ping(_))) => {}
                    heard => break (heard, silent.elapsed()),
                }
            }
        });
        match heard {
            (Ok(Some(Received::Text(said))), _) => {
                assert_eq!(said, "still there?");
                assert!(lives, "without pings the proxy should have cut it");
            }
            (cut, after) => {
                assert!(!lives, "with pings every {interval}: {cut:?}");
                assert!(after < Duration::from_secs(4), "cut by somebody else");
            }
        }
    }
}

fn large_and_compressed_messages_pass(kind: Kind, shape: Shape) {
    let Some(scene) = Scene::start(kind, shape, &["--deflate"]) else { return };
    let mut plain = open(&scene, 2, "/echo");
    let large: Vec<u8> =
        (0..16u32 << 20).map(|at| at.wrapping_mul(2_654_435_761).to_be_bytes()[1]).collect();
    plain.binary(&large).unwrap();
    assert!(plain.receive().unwrap() == Some(Received::Binary(large)), "another message came back");
    let options = Connect::new().max_payload(64 << 20).per_message_deflate(Deflate::default());
    let mut packed = scene.open(3, "/echo", &options).unwrap();
    let agreed = packed.header("Sec-WebSocket-Extensions").unwrap_or_default().to_owned();
    assert!(agreed.starts_with("permessage-deflate"), "{agreed:?}");
    for size in [10, 4096, 16 << 20] {
        let words = "as it was said, so it is heard. ".repeat(size / 32 + 1);
        let words = &words[..size];
        packed.text(words).unwrap();
        assert!(
            packed.receive().unwrap() == Some(Received::Text(words.into())),
            "{size} bytes came back otherwise"
        );
    }
}

fn open_connections_outlive_a_reload(kind: Kind, shape: Shape) {
    let Some(scene) = Scene::start(kind, shape, &[]) else { return };
    let mut before = open(&scene, 2, "/broadcast?room=tea");
    scene.reload_proxy();
    let mut after = open(&scene, 3, "/broadcast?room=tea");
    after.text("to the old").unwrap();
    assert_eq!(text(&mut before), "to the old");
    before.text("to the new").unwrap();
    assert_eq!(text(&mut after), "to the new");
}

fn who_comes_without_tls_is_sent_where_there_is(kind: Kind, shape: Shape) {
    if shape != Shape::Edge {
        return;
    }
    let Some(scene) = Scene::start(kind, shape, &[]) else { return };
    let mut stream = scene.redirecting();
    stream
        .write_all(b"GET /x?y HTTP/1.1\r\nHost: chat.example.com\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    assert!(said.starts_with("HTTP/1.1 301"), "{said}");
    assert!(said.to_ascii_lowercase().contains("location: https://chat.example.com/x?y"), "{said}");
}
