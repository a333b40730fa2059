//! What is sent, to whom, and what happens when somebody does not take it.

use std::thread;
use std::time::{Duration, Instant};

use sockeye::net::{self, Marks};
use sockeye::proto::SendError;
use sockeye::serve::{Message, Options, SendOptions, Sent};

use crate::actor::{Actor, Saw, frame};
use crate::probe::*;

/// Small marks, so that little is needed to be slow.
fn tight() -> Options {
    let marks = Marks { low: 16 << 10, high: 64 << 10, full: 256 << 10 };
    Options { net: net::Limits { marks, ..net::Limits::default() }, ..Options::default() }
}

#[test]
fn a_broadcast_reaches_the_others_in_its_own_kind_and_all_means_all() {
    let (probe, told) = Probe::new(|socket, message, tell| {
        let reached = match message {
            Message::Text("all") => socket.clients().broadcast(message),
            _ => socket.broadcast(message),
        };
        tell.send(Told::Note(reached.to_string())).unwrap();
    });
    let server = Running::with(Options::default(), probe);
    let mut actors: Vec<Actor> = (0..3).map(|_| Actor::open(server.addresses[0], "/")).collect();
    actors[1].text("others");
    assert_eq!(note(&told), "2");
    actors[1].write(&frame(0x82, b"bytes", true, None));
    assert_eq!(note(&told), "2");
    actors[1].text("all");
    assert_eq!(note(&told), "3");
    let all = [Saw::Text("others".into()), Saw::Binary(b"bytes".into()), Saw::Text("all".into())];
    for (index, actor) in actors.iter_mut().enumerate() {
        let wanted = if index == 1 { &all[2..] } else { &all[..] };
        actor.watch(wanted.len());
        assert_eq!(actor.saw, wanted);
    }
}

#[test]
fn pongs_answers_and_broadcasts_keep_their_order() {
    let (probe, _told) = Probe::new(|socket, message, _| {
        socket.clients().broadcast(Message::Text("to all"));
        socket.send(message);
        socket.ping(b"are you there");
    });
    let server = Running::with(Options::default(), probe);
    let mut actor = Actor::open(server.addresses[0], "/");
    let one = [frame(0x89, b"p", true, None), frame(0x81, b"x", true, None)].concat();
    actor.write(&[one.clone(), one].concat());
    actor.watch(6);
    let round = [Saw::Pong(b"p".into()), Saw::Text("to all".into()), Saw::Text("x".into())];
    assert_eq!(actor.saw, [round.clone(), round].concat());
}

#[test]
fn a_message_goes_to_those_named() {
    let mut ids = Vec::new();
    let (probe, _told) = Probe::new(move |socket, message, _| {
        ids.push(socket.id());
        if message == Message::Text("go") {
            assert_eq!(socket.clients().send_many(ids.iter().copied(), Message::Text("room")), 2);
        }
    });
    let server = Running::with(Options::default(), probe);
    let mut actors: Vec<Actor> = (0..3).map(|_| Actor::open(server.addresses[0], "/")).collect();
    actors[0].write(&frame(0x89, b"", true, None));
    actors[0].watch(1);
    actors[0].saw.clear();
    actors[0].text("in");
    actors[0].write(&frame(0x89, b"", true, None));
    actors[0].watch(1);
    actors[2].text("go");
    actors[0].watch(2);
    actors[2].watch(1);
    assert_eq!(actors[0].saw[1..], [Saw::Text("room".into())]);
    assert_eq!(actors[2].saw, [Saw::Text("room".into())]);
    actors[1].watch_for(1, Duration::from_millis(20));
    assert_eq!(actors[1].saw, []);
}

#[test]
fn options_of_a_send_go_by_their_names() {
    let (probe, told) = Probe::new(|socket, _, tell| {
        let options = SendOptions::default();
        let begun = SendOptions { fin: false, ..options };
        assert_eq!(socket.send_with(Message::Text("Hel"), begun), Sent::Sent);
        // What is for many cannot go between the fragments.
        assert_eq!(socket.clients().broadcast(Message::Text("all")), 0);
        let other_kind = socket.send(Message::Binary(b"x"));
        assert_eq!(other_kind, Sent::Misused(SendError::KindChanged));
        assert_eq!(socket.send_with(Message::Text("lo"), options), Sent::Sent);
        let binary = SendOptions { binary: Some(true), ..options };
        assert_eq!(socket.send_with(Message::Text("bytes"), binary), Sent::Sent);
        let text = SendOptions { binary: Some(false), ..options };
        assert_eq!(
            socket.send_with(Message::Binary(b"\xff"), text),
            Sent::Misused(SendError::NotUtf8)
        );
        let masked = SendOptions { mask: Some(true), ..options };
        assert_eq!(
            socket.send_with(Message::Text("x"), masked),
            Sent::Misused(SendError::MaskForbidden)
        );
        assert_eq!(socket.ping(&[0; 126]), Sent::Misused(SendError::ControlTooLong { len: 126 }));
        tell.send(Told::Note("done".into())).unwrap();
    });
    let server = Running::with(Options::default(), probe);
    let mut actor = Actor::open(server.addresses[0], "/");
    actor.text("x");
    assert_eq!(note(&told), "done");
    actor.watch(2);
    assert_eq!(actor.saw, [Saw::Text("Hello".into()), Saw::Binary(b"bytes".into())]);
}

#[test]
fn a_handler_that_sends_to_one_who_does_not_read_is_told_to_wait_and_when_to_go_on() {
    let (probe, told) = Probe::new(|socket, _, tell| {
        let mut queued = 0;
        loop {
            match socket.send(Message::Binary(&[7; 10_000])) {
                Sent::Sent => assert_eq!(queued, 0),
                Sent::Queued(bytes) => {
                    assert!(bytes >= 10_000, "{bytes}");
                    assert_eq!(bytes, socket.buffered_amount());
                    queued += 1;
                }
                other => {
                    assert_eq!(other, Sent::Full);
                    break;
                }
            }
        }
        assert!(socket.buffered_amount() <= (256 << 10) + 20_000);
        tell.send(Told::Note(queued.to_string())).unwrap();
    });
    let server = Running::with(tight(), probe);
    let mut actor = Actor::open(server.addresses[0], "/");
    let id = opened(&told);
    actor.text("go");
    assert_ne!(note(&told), "0");
    assert!(told.recv_timeout(Duration::from_millis(50)).is_err(), "drained before it was read");
    assert_eq!(drained(&told, &mut actor), Told::Drain(id));
}

/// Reads on until the handler is told something.
fn drained(told: &std::sync::mpsc::Receiver<Told>, actor: &mut Actor) -> Told {
    let begin = Instant::now();
    loop {
        actor.saw.clear();
        actor.watch_for(usize::MAX, Duration::from_millis(10));
        if let Ok(told) = told.try_recv() {
            return told;
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "nobody was told of room");
    }
}

#[test]
fn other_threads_send_until_full_and_hear_when_there_is_room() {
    let (probe, told) = Probe::echo();
    let server = Running::with(tight(), probe);
    let mut actor = Actor::open(server.addresses[0], "/");
    let id = opened(&told);
    for round in 0..3 {
        let senders: Vec<_> = (0..2)
            .map(|_| {
                let handle = server.handle.clone();
                thread::spawn(move || {
                    let (mut taken, mut queued) = (0_usize, 0_usize);
                    loop {
                        match handle.send(id, Message::Binary(&[7; 10_000])) {
                            Sent::Sent => taken += 1,
                            Sent::Queued(bytes) => {
                                assert!(bytes >= 64 << 10, "{bytes}");
                                taken += 1;
                                queued += 1;
                            }
                            Sent::Full => return (taken, queued),
                            other => panic!("{other:?}"),
                        }
                        // A loop that cannot follow is another matter.
                        thread::sleep(Duration::from_micros(200));
                    }
                })
            })
            .collect();
        let (mut taken, mut queued) = (0, 0);
        for sender in senders {
            let counts = sender.join().unwrap();
            taken += counts.0;
            queued += counts.1;
        }
        assert!(queued > 0, "round {round}");
        // Everything that was taken arrives, in whole.
        let begin = Instant::now();
        actor.saw.clear();
        actor.watch_for(taken, Duration::from_secs(20));
        assert_eq!(actor.saw.len(), taken, "round {round} after {:?}", begin.elapsed());
        assert!(actor.saw.iter().all(|saw| *saw == Saw::Binary(vec![7; 10_000])));
        assert_eq!(next(&told), Told::Drain(id), "round {round}");
        while told.recv_timeout(Duration::from_millis(50)).is_ok() {}
    }
}

#[test]
fn a_full_mailbox_is_full_and_says_when_it_is_not() {
    let options = tight();
    let net = net::Limits { mailbox_max: 4, ..options.net };
    let (go, stand) = std::sync::mpsc::channel::<()>();
    // The loop stands still until it is told to go on.
    let (probe, told) = Probe::new(move |_, _, _| stand.recv().unwrap_or_default());
    let server = Running::with(Options { net, ..options }, probe);
    let mut actor = Actor::open(server.addresses[0], "/");
    let id = opened(&told);
    actor.text("stand still");
    assert_eq!(next(&told), Told::Text("stand still".into()));
    let sent: Vec<Sent> = (0..6).map(|_| server.handle.send(id, Message::Text("x"))).collect();
    assert_eq!(sent[..4], [Sent::Sent; 4]);
    assert_eq!(sent[4..], [Sent::Full; 2]);
    assert_eq!(server.handle.broadcast(Message::Text("y")), Sent::Full);
    // A close and a stop need no room.
    let mut told_of: Vec<Told> = Vec::new();
    go.send(()).unwrap();
    told_of.push(next(&told));
    told_of.push(next(&told));
    assert!(told_of.contains(&Told::Drain(id)), "{told_of:?}");
    assert!(told_of.contains(&Told::BroadcastDrain), "{told_of:?}");
    actor.watch(4);
    assert_eq!(actor.saw, vec![Saw::Text("x".into()); 4]);
    assert_eq!(server.handle.broadcast(Message::Text("y")), Sent::Sent);
    actor.watch(5);
    assert_eq!(actor.saw[4], Saw::Text("y".into()));
}

#[test]
fn one_that_never_reads_a_broadcast_is_closed_and_the_others_go_on() {
    let (probe, told) = Probe::new(|socket, message, _| {
        socket.broadcast(message);
    });
    let server = Running::with(tight(), probe);
    let mut deaf = Actor::open(server.addresses[0], "/");
    let id = opened(&told);
    let mut listener = Actor::open(server.addresses[0], "/");
    let mut speaker = Actor::open(server.addresses[0], "/");
    // More than the system holds for one that does not read.
    for round in 0..600 {
        speaker.write(&frame(0x82, &[7; 50_000], true, None));
        listener.watch(1);
        assert_eq!(listener.saw, [Saw::Binary(vec![7; 50_000])], "round {round}");
        listener.saw.clear();
    }
    deaf.watch(usize::MAX);
    let last = deaf.saw.split_off(deaf.saw.len() - 2);
    assert_eq!(last, [Saw::Close(Some(1013), "too slow".into()), Saw::TcpEnd]);
    // What it did get is whole.
    assert!(deaf.saw.iter().all(|saw| *saw == Saw::Binary(vec![7; 50_000])));
    drop(deaf);
    while !matches!(next(&told), Told::Close { id: gone, code: 1006, .. } if gone == id) {}
    assert_eq!(server.handle.connections(), 2);
}

#[test]
fn messages_of_ten_million_bytes_pass_both_ways_and_from_other_threads() {
    let (probe, told) = Probe::echo();
    let server = Running::with(Options::default(), probe);
    let mut actor = Actor::open(server.addresses[0], "/");
    let id = opened(&told);
    let bytes = vec![7; 10_000_000];
    actor.write(&frame(0x82, &bytes, true, None));
    actor.watch(1);
    assert!(actor.saw == [Saw::Binary(bytes.clone())]);
    actor.saw.clear();
    assert!(server.handle.send(id, Message::Binary(&bytes)).is_taken());
    actor.watch(1);
    assert!(actor.saw == [Saw::Binary(bytes.clone())]);
    actor.saw.clear();
    assert!(server.handle.broadcast(Message::Binary(&bytes)).is_taken());
    actor.watch(1);
    assert!(actor.saw == [Saw::Binary(bytes)]);
}

/// Of one read's messages, before somebody else is heard.
fn heard_before_the_other(message: &[u8], answer: usize) -> u32 {
    let mut heard = 0;
    let answer = vec![7; answer];
    let (probe, told) = Probe::new(move |socket, message, tell| {
        if message == Message::Text("how many") {
            tell.send(Told::Note(heard.to_string())).unwrap();
        } else {
            heard += 1;
            if heard == 1 {
                tell.send(Told::Note("begun".into())).unwrap();
            }
            socket.send(Message::Binary(&answer));
        }
    });
    let server = Running::with(Options::default(), probe);
    let mut busy = Actor::open(server.addresses[0], "/");
    let mut other = Actor::open(server.addresses[0], "/");
    let mut all = Vec::new();
    while all.len() < 60_000 {
        all.extend(frame(0x82, message, true, None));
    }
    busy.write(&all);
    assert_eq!(note(&told), "begun");
    other.text("how many");
    note(&told).parse().unwrap()
}

#[test]
fn answers_much_longer_than_what_asks_for_them_are_a_few_a_turn() {
    // 64 KiB of answers end a turn, and at 256 KiB that nobody takes the peer is not heard.
    let heard = heard_before_the_other(b"", 64 << 10);
    assert!(heard < 1000, "{heard} of some ten thousand");
}

#[test]
fn a_long_message_is_heard_whole_however_slowly_it_comes() {
    let (probe, told) = Probe::echo();
    let options = Options {
        ping_interval: Duration::from_millis(300),
        idle_timeout: Duration::from_millis(300),
        ..Options::default()
    };
    let server = Running::with(options, probe);
    // It answers no ping, so that its bytes are all that tells it is alive.
    let mut slow = Actor::open(server.addresses[0], "/").without_auto_close();
    opened(&told);
    for len in [70_000, 1 << 20, 5 << 20] {
        let payload: Vec<u8> = (0..=250).cycle().take(len).collect();
        let message = frame(0x82, &payload, true, None);
        for piece in message.chunks(message.len() / 8 + 1) {
            slow.write(piece);
            thread::sleep(Duration::from_millis(100));
        }
        let before = slow.saw.len();
        slow.watch(before + 1);
        assert!(slow.saw[before] == Saw::Binary(payload), "{len} bytes");
    }
}
