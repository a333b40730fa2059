//! How it ends, what status that is, and when it comes back.

use std::net::TcpListener;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use crate::peer::{Peer, scripted, upgraded};
use crate::process::{PATIENCE, begin, say};
use crate::pty::ticks;
use crate::support::{close, text};

type Script = Box<dyn FnOnce(&mut Peer) + Send>;

/// A server that does to one connection after the other what the scripts say.
fn one_after_another(scripts: Vec<Script>) -> (String, thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let run = move || {
        for script in scripts {
            let mut peer = Peer::new(listener.accept().unwrap().0);
            script(&mut peer);
        }
    };
    (url, thread::spawn(run))
}

#[test]
fn the_status_tells_how_the_server_closed() {
    for (code, status) in [(1000, 0), (1001, 0), (1011, 1), (1008, 1), (4000, 1)] {
        let peer = upgraded(move |peer| {
            peer.send(close(code, "that's it").unmasked().bytes());
            peer.frame();
        });
        let run = say(&[&peer.url()]);
        run.expect(status, "");
        if status == 1 {
            let said = format!("the server closed with {code}");
            assert!(run.said.contains(&said) && run.said.contains("that's it"), "{}", run.said);
        } else {
            assert_eq!(run.said, "");
        }
    }
}

#[test]
fn a_server_that_breaks_the_protocol_is_told_and_reported() {
    let peer = upgraded(|peer| {
        peer.send([0xff, 0x00]);
        peer.frame().1
    });
    let run = say(&[&peer.url()]);
    run.expect(1, "");
    assert!(run.said.contains("the server broke the protocol"), "{}", run.said);
    assert_eq!(peer.join()[..2], 1002u16.to_be_bytes());
}

#[test]
fn a_server_that_breaks_the_protocol_and_stays_is_left_and_costs_nothing_meanwhile() {
    let (tell, told) = channel();
    let peer = upgraded(move |peer| {
        peer.send([0x83, 0x00]);
        // It holds on, and ends nothing.
        told.recv_timeout(PATIENCE)
    });
    let running = begin(&[&peer.url(), "-m", "hi"]);
    // By now it would close, as nothing comes.
    thread::sleep(Duration::from_millis(1500));
    let before = ticks(running.pid());
    thread::sleep(Duration::from_secs(1));
    let spent = ticks(running.pid()) - before;
    let run = running.end();
    assert_eq!(run.status, Some(1));
    assert!(run.said.contains("the server broke the protocol: reserved opcode"), "{}", run.said);
    assert!(spent <= 5, "{spent} ticks of 10 ms in a second of waiting");
    tell.send(()).unwrap();
    peer.join().unwrap();
}

#[test]
fn a_close_that_is_not_answered_is_given_up() {
    let peer = upgraded(|peer| {
        peer.frame();
        peer.is_at_end()
    });
    let run = say(&[&peer.url(), "-m", "", "--linger", "0"]);
    assert_eq!(run.status, Some(1));
    assert!(run.said.contains("did not answer the close"), "{}", run.said);
}

#[test]
fn too_few_messages_are_told() {
    let peer = upgraded(|peer| {
        peer.send(text("one").unmasked().bytes());
        peer.send(close(1000, "").unmasked().bytes());
        peer.frame();
    });
    let run = say(&[&peer.url(), "--exit-after", "2"]);
    run.expect(1, "one\n");
    assert!(run.said.contains("only 1 of 2 messages came"), "{}", run.said);
}

#[test]
fn after_a_cut_it_comes_back_and_says_so() {
    let (url, server) = one_after_another(vec![
        Box::new(|peer| {
            peer.upgrade("");
            peer.send(text("before").unmasked().bytes());
            assert_eq!(peer.frame().1, b"subscribe");
        }),
        Box::new(|peer| {
            peer.request();
            peer.send("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
        }),
        Box::new(|peer| {
            peer.upgrade("");
            assert_eq!(peer.frame().1, b"subscribe");
            peer.send(text("after").unmasked().bytes());
            peer.frame();
        }),
    ]);
    let run = say(&[&url, "-m", "subscribe", "--reconnect", "--exit-after", "2"]);
    run.expect(0, "before\nafter\n");
    assert!(run.said.contains("trying again in") && run.said.contains("(1 of 10)"), "{}", run.said);
    assert!(run.said.contains("503") && run.said.contains("(2 of 10)"), "{}", run.said);
    server.join().unwrap();
}

#[test]
fn input_meanwhile_waits_for_the_next_connection() {
    let (url, server) = one_after_another(vec![
        Box::new(|peer| {
            peer.upgrade("");
            peer.send(text("first").unmasked().bytes());
            peer.send(close(1012, "").unmasked().bytes());
            peer.frame();
        }),
        Box::new(|peer| {
            peer.upgrade("");
            assert_eq!(peer.frame().1, b"typed meanwhile");
            assert_eq!(peer.frame().1, b"and more");
            peer.send(text("second").unmasked().bytes());
            peer.frame();
        }),
    ]);
    let mut running = begin(&[&url, "--reconnect=3", "--exit-after", "2", "--json"]);
    let event = |running: &crate::process::Running| -> String {
        let event: serde_json::Value = serde_json::from_str(&running.line()).unwrap();
        event["event"].as_str().unwrap().to_owned()
    };
    for expected in ["open", "message", "close", "reconnect"] {
        assert_eq!(event(&running), expected);
    }
    running.write("typed meanwhile\n");
    thread::sleep(Duration::from_millis(50));
    running.write("and more\n");
    assert_eq!(running.end().status, Some(0));
    server.join().unwrap();
}

#[test]
fn it_does_not_come_back_where_that_would_be_of_no_use() {
    for code in [1000, 1002, 1008, 1009] {
        let peer = upgraded(move |peer| {
            peer.send(close(code, "").unmasked().bytes());
            peer.frame();
        });
        let run = say(&[&peer.url(), "--reconnect"]);
        assert_eq!(run.status, Some(i32::from(code != 1000)), "{}", run.said);
        assert!(!run.said.contains("trying again"), "{}", run.said);
    }
    let peer = scripted(|mut peer| {
        peer.request();
        peer.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    });
    let run = say(&[&peer.url(), "--reconnect"]);
    assert!(!run.said.contains("trying again"), "{}", run.said);
    assert_eq!(run.status, Some(1));
}

#[test]
fn it_gives_up_after_so_many_attempts() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let run = say(&[&format!("ws://{nobody}/"), "--reconnect=2"]);
    run.expect(1, "");
    assert!(run.said.contains("given up after 2 attempts"), "{}", run.said);
    assert_eq!(run.said.matches("is the server running?").count(), 3, "{}", run.said);
}

#[test]
fn a_server_that_answers_no_ping_is_given_up() {
    let peer = upgraded(|peer| {
        peer.frame();
        // The ping stays unanswered, until the client hangs up.
        while peer.stream.peek(&mut [0]).is_ok_and(|n| n > 0) {
            peer.frame();
        }
    });
    let run = say(&[&peer.url(), "--ping-interval", "200ms"]);
    run.expect(1, "");
    assert!(run.said.contains("nothing came for 200ms"), "{}", run.said);
}

#[test]
fn a_server_that_answers_pings_is_kept() {
    let server = crate::process::Server::start(&[]);
    let run = say(&[
        &server.url("/echo"),
        "--ping-interval",
        "50ms",
        "-m",
        "x",
        "--linger",
        "500ms",
        "-v",
    ]);
    run.expect(0, "x\n");
    assert!(run.said.matches("pong").count() >= 3, "{}", run.said);
}
