//! The closing handshake: RFC 6455 sections 5.5.1 and 7, every cell of the table.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use sockeye::proto::{
    CloseCode, CloseFrame, Config, Ended, Input, Message, OpCode, ReadyState, Role, SendError,
    Transport, Violation,
};
use support::*;

fn of_role(role: Role) -> Run {
    match role {
        Role::Server => Run::server(Config::default()),
        Role::Client => Run::client(Config::default()),
    }
}

/// The frame as the peer of this role sends it.
fn to(role: Role, wire: Wire) -> Vec<u8> {
    match role {
        Role::Server => wire.bytes(),
        Role::Client => wire.unmasked().bytes(),
    }
}

/// What comes back from this role, where the client's key is zero.
fn from(role: Role, opcode: OpCode, body: &[u8]) -> Vec<u8> {
    let masked = role == Role::Client;
    let len = u8::try_from(body.len()).unwrap();
    let mut bytes = vec![0x80 | opcode as u8, if masked { 0x80 | len } else { len }];
    if masked {
        bytes.extend_from_slice(&[0; 4]);
    }
    [&bytes[..], body].concat()
}

const GOODBYE: Option<CloseFrame<'static>> =
    Some(CloseFrame { code: CloseCode::NORMAL, reason: "bye" });

const ROLES: [Role; 2] = [Role::Server, Role::Client];

fn after_goodbye(role: Role) -> Transport {
    match role {
        Role::Server => Transport::FlushThenClose,
        Role::Client => Transport::AwaitPeerClose,
    }
}

#[test]
fn open_and_nothing_said() {
    for role in ROLES {
        let run = of_role(role);
        assert_eq!(run.connection.transport(), Transport::KeepOpen);
        assert_eq!(run.connection.ready_state(), ReadyState::Open);
    }
}

#[test]
fn the_peer_closes_first_and_is_answered_with_its_code_and_reason() {
    for role in ROLES {
        for (code, reason) in
            [(1000, "done"), (1001, ""), (3000, ""), (4001, "custom é"), (1014, "x")]
        {
            let mut run = of_role(role);
            run.read(&to(role, close(code, reason)));
            assert_eq!(run.seen, [Seen::Close(Some((code, reason.into())))]);
            let body = [&code.to_be_bytes()[..], reason.as_bytes()].concat();
            assert_eq!(run.out, from(role, OpCode::Close, &body));
            assert_eq!(run.connection.transport(), after_goodbye(role));
            let ended = run.connection.receive_eof();
            assert_eq!(ended, Ended::Clean(CloseCode::new(code)));
            assert_eq!(run.connection.ready_state(), ReadyState::Closed);
        }
    }
}

#[test]
fn a_close_without_a_code_is_answered_without_one() {
    for role in ROLES {
        let mut run = of_role(role);
        run.read(&to(role, frame(OpCode::Close, "")));
        assert_eq!(run.seen, [Seen::Close(None)]);
        assert_eq!(run.out, from(role, OpCode::Close, b""));
        assert_eq!(run.connection.transport(), after_goodbye(role));
        assert_eq!(run.connection.receive_eof(), Ended::Clean(None));
    }
}

#[test]
fn we_close_first_and_wait_for_the_answer() {
    for role in ROLES {
        let mut run = of_role(role);
        let (_, tx) = run.connection.split_mut();
        tx.close(GOODBYE, &mut run.out).unwrap();
        assert_eq!(run.take_out(), from(role, OpCode::Close, b"\x03\xe8bye"));
        assert_eq!(run.connection.transport(), Transport::KeepOpen);
        assert_eq!(run.connection.ready_state(), ReadyState::Closing);
        // What the peer had under way still counts; its pings get no answer any more (§5.5.1).
        run.read(&to(role, text("on its way")));
        run.read(&to(role, ping("p")));
        assert_eq!(run.take_seen(), [seen_text("on its way"), Seen::Ping(b"p".to_vec())]);
        run.read(&to(role, close(1000, "bye")));
        assert_eq!(run.seen, [Seen::Close(Some((1000, "bye".into())))]);
        assert!(run.out.is_empty(), "one close frame in each direction");
        assert_eq!(run.connection.transport(), after_goodbye(role));
        assert_eq!(run.connection.receive_eof(), Ended::Clean(Some(CloseCode::NORMAL)));
    }
}

#[test]
fn both_close_at_once() {
    for role in ROLES {
        let mut run = of_role(role);
        let theirs = to(role, close(4000, "theirs"));
        run.connection.split_mut().1.close(GOODBYE, &mut run.out).unwrap();
        run.read(&theirs);
        assert_eq!(run.out, from(role, OpCode::Close, b"\x03\xe8bye"));
        assert_eq!(run.connection.transport(), after_goodbye(role));
    }
}

#[test]
fn whatever_follows_a_close_frame_is_ignored() {
    for role in ROLES {
        let mut run = of_role(role);
        let late =
            [to(role, close(1000, "")), to(role, text("too late")), to(role, ping("p"))].concat();
        run.read(&late);
        run.read(&to(role, text("later")));
        run.read(&[0xff; 100]);
        run.read(&to(role, close(1001, "")));
        assert_eq!(run.seen, [Seen::Close(Some((1000, String::new())))]);
        assert_eq!(run.out, from(role, OpCode::Close, b"\x03\xe8"));
    }
}

#[test]
fn nothing_can_be_sent_after_the_close() {
    for role in ROLES {
        for peer_first in [false, true] {
            let mut run = of_role(role);
            if peer_first {
                run.read(&to(role, close(1000, "")));
            } else {
                run.connection.split_mut().1.close(GOODBYE, &mut run.out).unwrap();
            }
            run.take_out();
            let (_, tx) = run.connection.split_mut();
            let out = &mut run.out;
            assert_eq!(tx.text("x", out), Err(SendError::Closed));
            assert_eq!(tx.binary(b"x", out), Err(SendError::Closed));
            assert_eq!(tx.ping(b"x", out), Err(SendError::Closed));
            assert_eq!(tx.pong(b"x", out), Err(SendError::Closed));
            assert_eq!(tx.fragment(Message::Text("x"), false, out), Err(SendError::Closed));
            assert_eq!(tx.close(None, out), Err(SendError::Closed));
            assert!(out.is_empty());
        }
    }
}

#[test]
fn a_violation_closes_with_its_code_and_shuts_down_writing() {
    for role in ROLES {
        let mut run = of_role(role);
        run.read(&to(role, text("x").rsv(1)));
        assert_eq!(run.seen, [Seen::Failed(Violation::ReservedBits(1))]);
        assert_eq!(run.out, from(role, OpCode::Close, b"\x03\xea"));
        assert_eq!(run.connection.transport(), Transport::FlushThenShutdownWrite);
        assert_eq!(run.connection.ready_state(), ReadyState::Closing);
        // Nothing it says counts any more, not even goodbye.
        run.read(&to(role, close(1000, "")));
        assert_eq!(run.seen.len(), 1);
        assert_eq!(run.connection.transport(), Transport::FlushThenShutdownWrite);
        assert_eq!(run.connection.receive_eof(), Ended::Abrupt);
        assert_eq!(run.connection.transport(), Transport::FlushThenClose);
    }
}

#[test]
fn a_violation_after_our_close_writes_no_second_close() {
    for role in ROLES {
        let mut run = of_role(role);
        run.connection.split_mut().1.close(None, &mut run.out).unwrap();
        run.take_out();
        run.read(&to(role, text([0xff])));
        assert_eq!(run.seen, [Seen::Failed(Violation::InvalidUtf8)]);
        assert!(run.out.is_empty());
        assert_eq!(run.connection.transport(), Transport::FlushThenShutdownWrite);
    }
}

#[test]
fn the_end_of_the_transport_is_abrupt_unless_the_peer_said_goodbye() {
    for role in ROLES {
        assert_eq!(of_role(role).connection.receive_eof(), Ended::Abrupt);

        let mut run = of_role(role);
        run.read(&to(role, text("half").more()));
        assert!(!run.connection.split_mut().0.is_between_messages());
        assert_eq!(run.connection.receive_eof(), Ended::Abrupt);

        let mut run = of_role(role);
        run.connection.split_mut().1.close(GOODBYE, &mut run.out).unwrap();
        assert_eq!(run.connection.receive_eof(), Ended::Abrupt, "our goodbye was not answered");
        assert_eq!(run.connection.receive_eof(), Ended::Abrupt, "said twice");
    }
}

#[test]
fn after_the_end_of_the_transport_nothing_is_read_or_sent() {
    for role in ROLES {
        let mut run = of_role(role);
        run.connection.receive_eof();
        assert_eq!(run.connection.transport(), Transport::FlushThenClose);
        assert_eq!(run.connection.ready_state(), ReadyState::Closed);
        run.read(&to(role, ping("ghost")));
        assert!(run.seen.is_empty() && run.out.is_empty());
        let (_, tx) = run.connection.split_mut();
        assert_eq!(tx.text("x", &mut run.out), Err(SendError::Closed));
    }
}

#[test]
fn a_close_body_of_one_byte_is_refused() {
    let run = server_reads(&[frame(OpCode::Close, [3])]);
    assert_eq!(run.seen, [Seen::Failed(Violation::CloseBodyTooShort)]);
    assert_eq!(close_code_in(&run.out), Some(1002));
}

#[test]
fn every_close_code_from_0_to_65535_is_taken_or_refused_as_the_registry_says() {
    for code in 0..=u16::MAX {
        let run = server_reads(&[close(code, "")]);
        let legal = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
        if legal {
            assert_eq!(run.seen, [Seen::Close(Some((code, String::new())))]);
            assert_eq!(close_code_in(&run.out), Some(code));
        } else {
            assert_eq!(run.seen, [Seen::Failed(Violation::CloseCode(code))]);
            assert_eq!(close_code_in(&run.out), Some(1002));
        }
    }
}

#[test]
fn a_close_reason_must_be_utf_8() {
    for reason in [&[0xff][..], &[0xed, 0xa0, 0x80], b"cut \xe2\x82"] {
        let run = server_reads(&[frame(OpCode::Close, [&[0x03, 0xe8], reason].concat())]);
        assert_eq!(run.seen, [Seen::Failed(Violation::CloseReasonNotUtf8)]);
        assert_eq!(close_code_in(&run.out), Some(1007));
    }
}

#[test]
fn the_longest_reason_is_123_bytes() {
    let reason = "r".repeat(123);
    let run = server_reads(&[close(1000, &reason)]);
    assert_eq!(run.seen, [Seen::Close(Some((1000, reason.clone())))]);
    assert_eq!(run.out, close(1000, &reason).unmasked().bytes());

    let mut run = Run::server(Config::default());
    let (_, tx) = run.connection.split_mut();
    let too_long = CloseFrame { code: CloseCode::NORMAL, reason: &"r".repeat(124) };
    let refused = tx.close(Some(too_long), &mut run.out);
    assert_eq!(refused, Err(SendError::ReasonTooLong { len: 124 }));
    assert!(tx.text("still open", &mut run.out).is_ok());
}

#[test]
fn a_close_in_the_middle_of_a_message_ends_the_connection() {
    let run = server_reads(&[text("half").more(), close(1000, ""), continuation("late")]);
    assert_eq!(run.seen, [Seen::Close(Some((1000, String::new())))]);
}

#[test]
fn a_close_frame_split_at_every_byte_is_understood() {
    let bytes = close(4001, "custom é").bytes();
    for cut in 0..=bytes.len() {
        let mut run = Run::server(Config::default());
        run.read(&bytes[..cut]).read(&bytes[cut..]);
        assert_eq!(run.seen, [Seen::Close(Some((4001, "custom é".into())))], "cut at {cut}");
    }
}

#[test]
fn with_the_close_frame_the_input_is_used_up() {
    let mut bytes = wire(&[close(1000, ""), text("late")]);
    let mut run = Run::server(Config::default());
    let mut input = Input::new(&mut bytes);
    let (rx, tx) = run.connection.split_mut();
    assert!(matches!(rx.next(&mut input, tx, &mut run.out), Ok(Some(_))));
    assert_eq!(input.remaining(), 0);
}

#[test]
fn after_an_error_the_input_is_used_up_and_more_of_it_is_ignored() {
    let mut bytes = wire(&[text("x").rsv(1), text("y")]);
    let mut run = Run::server(Config::default());
    let mut input = Input::new(&mut bytes);
    let (rx, tx) = run.connection.split_mut();
    assert!(rx.next(&mut input, tx, &mut run.out).is_err());
    assert_eq!(rx.next(&mut input, tx, &mut run.out), Ok(None));
    assert_eq!(input.remaining(), 0);
}
