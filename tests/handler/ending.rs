//! How connections end, and how servers do.

use std::time::Duration;

use sockeye::proto::Violation;
use sockeye::serve::{CloseCode, Message, Options, ReadyState, Sent};

use crate::actor::{Actor, Saw, frame};
use crate::probe::*;

fn close(code: u16, reason: &str) -> Vec<u8> {
    frame(0x88, &[&code.to_be_bytes()[..], reason.as_bytes()].concat(), true, None)
}

fn closed(told: Told) -> (u16, String, bool, Option<Violation>) {
    match told {
        Told::Close { code, reason, clean, fault, .. } => (code, reason, clean, fault),
        other => panic!("{other:?} instead of an end"),
    }
}

#[test]
fn a_close_is_told_with_its_code_and_reason_as_clean() {
    let (probe, told) = Probe::echo();
    let server = Running::with(Options::default(), probe);
    for (bytes, code, reason) in
        [(close(4001, "enough"), 4001, "enough"), (frame(0x88, b"", true, None), 1005, "")]
    {
        let mut actor = Actor::open(server.addresses[0], "/");
        opened(&told);
        actor.write(&bytes);
        actor.watch(2);
        let wanted = (code != 1005).then_some(code);
        assert_eq!(actor.saw, [Saw::Close(wanted, reason.into()), Saw::TcpEnd]);
        assert_eq!(closed(next(&told)), (code, reason.into(), true, None));
        assert_eq!(server.handle.connections(), 0);
    }
}

#[test]
fn a_reset_a_bare_end_and_a_broken_rule_are_abrupt() {
    let (probe, told) = Probe::echo();
    let server = Running::with(Options::default(), probe);
    let actor = Actor::open(server.addresses[0], "/");
    opened(&told);
    actor.abort();
    assert_eq!(closed(next(&told)), (1006, String::new(), false, None));
    let actor = Actor::open(server.addresses[0], "/");
    opened(&told);
    drop(actor);
    assert_eq!(closed(next(&told)), (1006, String::new(), false, None));
    let mut actor = Actor::open(server.addresses[0], "/");
    opened(&told);
    actor.write(&frame(0x83, b"", true, None));
    actor.watch(2);
    assert!(matches!(actor.saw[..], [Saw::Close(Some(1002), _), Saw::TcpEnd]), "{:?}", actor.saw);
    assert!(matches!(closed(next(&told)), (1006, _, false, Some(Violation::Header(_)))));
    // Each was told once.
    drop(server);
    assert!(told.recv().is_err());
}

#[test]
fn what_comes_after_a_close_is_not_heard() {
    let (probe, told) = Probe::echo();
    let server = Running::with(Options::default(), probe);
    let mut actor = Actor::open(server.addresses[0], "/");
    opened(&told);
    actor.write(&[close(1000, ""), frame(0x81, b"late", true, None)].concat());
    actor.watch(2);
    assert_eq!(closed(next(&told)).0, 1000);
    drop(server);
    assert!(told.recv().is_err());
}

#[test]
fn ready_state_goes_from_open_over_closing_to_closed() {
    let mut first = None;
    let (probe, told) = Probe::new(move |socket, _, tell| {
        let me = socket.id();
        if let Some(gone) = first {
            let clients = socket.clients();
            assert_eq!(clients.ready_state(gone), ReadyState::Closed);
            assert_eq!(clients.send(gone, Message::Text("late")), Sent::Closed);
            assert_eq!(clients.remote(gone), None);
            tell.send(Told::Note("closed".into())).unwrap();
            return;
        }
        first = Some(me);
        assert_eq!(socket.ready_state() as u8, 1);
        assert_eq!(socket.clients().ids().collect::<Vec<_>>(), [me]);
        socket.close(CloseCode::POLICY, "go").unwrap();
        assert_eq!(socket.ready_state() as u8, 2);
        assert_eq!(socket.clients().ids().count(), 0);
        assert_eq!(socket.send(Message::Text("after")), Sent::Closed);
        assert_eq!(socket.broadcast(Message::Text("after")), 0);
        assert_eq!(socket.close(CloseCode::NORMAL, "twice"), Ok(()));
        tell.send(Told::Note("closing".into())).unwrap();
    });
    let server = Running::with(Options::default(), probe);
    let mut actor = Actor::open(server.addresses[0], "/");
    actor.text("x");
    actor.watch(2);
    assert_eq!(actor.saw, [Saw::Close(Some(1008), "go".into()), Saw::TcpEnd]);
    assert_eq!(note(&told), "closing");
    assert_eq!(closed(next(&told)), (1008, "go".into(), true, None));
    let mut other = Actor::open(server.addresses[0], "/");
    other.text("x");
    assert_eq!(note(&told), "closed");
}

#[test]
fn a_client_that_does_not_answer_a_close_is_cut_off() {
    let (probe, told) = Probe::new(|socket, _, _| socket.close(CloseCode::NORMAL, "").unwrap());
    let close_timeout = Duration::from_millis(50);
    let server = Running::with(Options { close_timeout, ..Options::default() }, probe);
    let mut actor = Actor::open(server.addresses[0], "/").without_auto_close();
    actor.text("x");
    actor.watch(2);
    assert_eq!(actor.saw, [Saw::Close(Some(1000), String::new()), Saw::TcpEnd]);
    opened(&told);
    next(&told);
    assert_eq!(closed(next(&told)), (1006, String::new(), false, None));
}

#[test]
fn terminate_ends_without_a_word() {
    let (probe, told) = Probe::new(|socket, _, _| socket.terminate());
    let server = Running::with(Options::default(), probe);
    let mut actor = Actor::open(server.addresses[0], "/");
    actor.text("x");
    actor.watch(1);
    assert_eq!(actor.saw, [Saw::TcpEnd]);
    opened(&told);
    next(&told);
    assert_eq!(closed(next(&told)), (1006, String::new(), false, None));
}

#[test]
fn another_thread_closes_a_client_and_too_long_a_reason_is_an_error() {
    let (probe, told) = Probe::echo();
    let server = Running::with(Options::default(), probe);
    let mut actor = Actor::open(server.addresses[0], "/");
    let id = opened(&told);
    assert!(server.handle.close(id, CloseCode::NORMAL, &"x".repeat(124)).is_err());
    server.handle.close(id, CloseCode::GOING_AWAY, "move on").unwrap();
    actor.watch(2);
    assert_eq!(actor.saw, [Saw::Close(Some(1001), "move on".into()), Saw::TcpEnd]);
    assert_eq!(closed(next(&told)), (1001, "move on".into(), true, None));
    assert!(server.handle.close(id, CloseCode::NORMAL, "").is_err());
}

#[test]
fn a_server_that_stops_says_goodbye_and_returns() {
    let (probe, told) = Probe::echo();
    let server = Running::with(Options::default(), probe);
    let mut actor = Actor::open(server.addresses[0], "/");
    let id = opened(&told);
    let handle = server.handle.clone();
    handle.stop();
    actor.watch(2);
    assert!(matches!(actor.saw[..], [Saw::Close(Some(1001), _), Saw::TcpEnd]), "{:?}", actor.saw);
    server.ends();
    assert_eq!(closed(next(&told)).0, 1001);
    assert_eq!(handle.send(id, Message::Text("late")), Sent::Closed);
    assert_eq!(handle.broadcast(Message::Text("late")), Sent::Closed);
    assert_eq!(handle.connections(), 0);
}

#[test]
fn a_server_that_stops_waits_only_so_long_for_those_who_do_not_answer() {
    let (probe, told) = Probe::echo();
    let close_timeout = Duration::from_millis(50);
    let server = Running::with(Options { close_timeout, ..Options::default() }, probe);
    let _deaf = Actor::open(server.addresses[0], "/").without_auto_close();
    opened(&told);
    server.handle.stop();
    server.ends();
    assert_eq!(closed(next(&told)).0, 1006);
}
