//! The end of a connection, from either side, in order and out of it.

use std::io::Write;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use sockeye::client::{ClientError, Received};
use sockeye::proto::{CloseCode, CloseFrame, Ended, OpCode, ReadyState, SendError, Violation};

use crate::peer::*;
use crate::support::*;

const MS: fn(u64) -> Duration = Duration::from_millis;

fn going_away() -> CloseFrame<'static> {
    CloseFrame { code: CloseCode::GOING_AWAY, reason: "bye" }
}

#[test]
fn the_client_closes_and_the_server_ends_tcp_first() {
    let server = upgraded(|peer| {
        let said = peer.frame();
        peer.send(close(1001, "bye").unmasked().bytes());
        assert!(peer.hears_nothing_for(MS(30)), "the client waits for the server to end TCP");
        said
    });
    let mut client = open(&server);
    let ended = client.close(Some(going_away())).unwrap();
    assert_eq!(ended, Ended::Clean(Some(CloseCode::GOING_AWAY)));
    assert_eq!((client.ended(), client.ready_state()), (Some(ended), ReadyState::Closed));
    let (header, body) = server.join();
    assert_eq!((header.opcode, &body[..]), (OpCode::Close, &b"\x03\xe9bye"[..]));
}

#[test]
fn the_server_closes_and_gets_its_answer() {
    let server = upgraded(|peer| {
        peer.send(text("last words").unmasked().bytes());
        peer.send(close(4000, "enough").unmasked().bytes());
        peer.frame().1
    });
    let mut client = open(&server);
    assert_eq!(client.receive().unwrap(), Some(Received::Text("last words".into())));
    let code = CloseCode::new(4000);
    assert_eq!(client.receive().unwrap(), Some(Received::Close(code, "enough".into())));
    assert_eq!(client.receive().unwrap(), None);
    assert_eq!(client.ended(), Some(Ended::Clean(code)));
    assert_eq!(server.join(), b"\x0f\xa0enough");
}

#[test]
fn messages_that_cross_the_close_frame_are_dropped() {
    let server = upgraded(|peer| {
        peer.frame();
        peer.send(wire(&[
            text("crossing").unmasked(),
            ping("p").unmasked(),
            close(1000, "").unmasked(),
        ]));
    });
    assert_eq!(open(&server).close(None).unwrap(), Ended::Clean(Some(CloseCode::NORMAL)));
}

#[test]
fn a_server_that_never_answers_a_close_is_given_up_in_time() {
    let (go_on, went_on) = mpsc::channel::<()>();
    let server = upgraded(move |peer| {
        peer.frame();
        went_on.recv().unwrap();
        // The client is still there and has ended TCP all the same.
        peer.is_at_end()
    });
    let mut client = open_with(&server, &connect().close_timeout(MS(80)));
    let begin = Instant::now();
    assert_eq!(client.close(None).unwrap(), Ended::Abrupt);
    assert!((MS(80)..MS(1000)).contains(&begin.elapsed()), "{:?}", begin.elapsed());
    go_on.send(()).unwrap();
    assert!(server.join());
}

#[test]
fn a_short_read_time_out_does_not_shorten_the_close() {
    let server = upgraded(|peer| {
        peer.frame();
        assert!(peer.hears_nothing_for(MS(60)));
        peer.send(close(1000, "").unmasked().bytes());
        assert!(peer.hears_nothing_for(MS(60)));
    });
    let mut client = open(&server);
    client.set_read_timeout(Some(MS(10)));
    assert_eq!(client.close(None).unwrap(), Ended::Clean(Some(CloseCode::NORMAL)));
    server.join();
}

#[test]
fn a_server_that_floods_instead_of_answering_is_given_up_in_time() {
    let server = upgraded(|peer| {
        let flood = text("x".repeat(100)).unmasked().bytes().repeat(1000);
        while peer.stream.write_all(&flood).is_ok() {}
    });
    let mut client = open_with(&server, &connect().close_timeout(MS(80)));
    let begin = Instant::now();
    assert_eq!(client.close(None).unwrap(), Ended::Abrupt);
    assert!(begin.elapsed() < MS(1000), "{:?}", begin.elapsed());
    drop(client);
    server.join();
}

#[cfg(unix)]
#[test]
fn a_flood_over_a_stream_of_another_kind_ends_in_time_too() {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let server = std::thread::spawn(move || {
        let mut theirs = theirs;
        upgrade_over(&mut theirs);
        while theirs.write_all(&text("x").unmasked().bytes().repeat(100)).is_ok() {}
    });
    let options = connect().close_timeout(MS(80));
    let mut client = options.over(ours, "ws://localhost/").unwrap();
    let begin = Instant::now();
    assert_eq!(client.close(None).unwrap(), Ended::Abrupt);
    assert!(begin.elapsed() < MS(1000), "{:?}", begin.elapsed());
    drop(client);
    server.join().unwrap();
}

#[test]
fn a_server_that_says_goodbye_and_does_not_hang_up_is_not_waited_for_for_ever() {
    for client_closes in [true, false] {
        let server = upgraded(move |peer| {
            if client_closes {
                peer.frame();
                peer.send(close(1000, "").unmasked().bytes());
            } else {
                peer.send(close(1000, "").unmasked().bytes());
                peer.frame();
            }
            peer.is_at_end()
        });
        let mut client = open_with(&server, &connect().close_timeout(MS(60)));
        client.set_read_timeout(None);
        let clean = Ended::Clean(Some(CloseCode::NORMAL));
        if client_closes {
            assert_eq!(client.close(None).unwrap(), clean);
        } else {
            assert!(matches!(client.receive(), Ok(Some(Received::Close(..)))));
            assert_eq!(client.receive().unwrap(), None);
            assert_eq!(client.ended(), Some(clean));
        }
        assert!(server.join(), "the client has hung up while it is still held");
    }
}

#[test]
fn a_server_that_resets_the_connection_is_an_error_once_and_the_end_from_then_on() {
    let (go_on, went_on) = mpsc::channel::<()>();
    // What it has not read makes its system send a reset.
    let server = upgraded(move |_| went_on.recv().unwrap());
    let mut client = open(&server);
    client.text("unread").unwrap();
    go_on.send(()).unwrap();
    server.join();
    let error = client.receive().unwrap_err();
    assert!(
        matches!(&error, ClientError::Io(it) if it.kind() == std::io::ErrorKind::ConnectionReset),
        "{error:?}"
    );
    assert_eq!(client.receive().unwrap(), None);
    assert_eq!(client.ended(), Some(Ended::Abrupt));
    assert_eq!(client.close(None).unwrap(), Ended::Abrupt);
}

#[test]
fn a_reset_after_both_close_frames_ends_what_was_over() {
    let (go_on, went_on) = mpsc::channel::<()>();
    let server = upgraded(move |peer| {
        peer.send(close(1000, "").unmasked().bytes());
        // The answer stays unread, so the end is a reset.
        went_on.recv().unwrap();
    });
    let mut client = open(&server);
    assert!(matches!(client.receive(), Ok(Some(Received::Close(..)))));
    go_on.send(()).unwrap();
    server.join();
    assert_eq!(client.receive().unwrap(), None);
    assert_eq!(client.ended(), Some(Ended::Clean(Some(CloseCode::NORMAL))));
}

#[test]
fn the_last_words_of_a_server_that_is_gone_are_heard() {
    let (go_on, went_on) = mpsc::channel::<()>();
    let server = upgraded(move |peer| {
        peer.send(wire(&[
            ping("p").unmasked(),
            text("last").unmasked(),
            close(1001, "").unmasked(),
        ]));
        peer.stream.shutdown(std::net::Shutdown::Both).unwrap();
        went_on.recv().unwrap();
    });
    let mut client = open(&server);
    std::thread::sleep(MS(20));
    // The pong meets a closed socket and a reset is the answer; what came before it still counts.
    assert_eq!(client.receive().unwrap(), Some(Received::Ping(b"p".to_vec())));
    std::thread::sleep(MS(20));
    assert_eq!(client.receive().unwrap(), Some(Received::Text("last".into())));
    let code = Some(CloseCode::GOING_AWAY);
    assert_eq!(client.receive().unwrap(), Some(Received::Close(code, String::new())));
    assert_eq!(client.receive().unwrap(), None);
    assert_eq!(client.ended(), Some(Ended::Clean(code)));
    go_on.send(()).unwrap();
}

#[test]
fn an_end_in_the_middle_of_a_frame_is_abrupt() {
    let server = upgraded(|peer| {
        peer.send(&text("cut off").unmasked().bytes()[..4]);
    });
    let mut client = open(&server);
    assert_eq!(client.receive().unwrap(), None);
    assert_eq!(client.ended(), Some(Ended::Abrupt));
    assert!(matches!(client.text("x"), Err(ClientError::Send(SendError::Closed))));
    assert_eq!(client.receive().unwrap(), None);
}

#[test]
fn a_server_that_breaks_the_protocol_is_told_so_however_much_it_has_to_say() {
    let server = upgraded(|peer| {
        peer.send(text("fine").unmasked().bytes());
        // A masked frame, and more than the system buffers: a client that hung up at once would
        // break this write, and its close frame would be lost.
        peer.send(text("bad").bytes()).send(vec![0; 16 << 20]);
        let (header, body) = peer.frame();
        assert!(peer.is_at_end(), "the client writes nothing more");
        (header.opcode, body)
    });
    let mut client = open(&server);
    assert_eq!(client.receive().unwrap(), Some(Received::Text("fine".into())));
    let error = client.receive().unwrap_err();
    assert!(matches!(error, ClientError::Violation(Violation::Masked)), "{error:?}");
    assert_eq!(
        error.to_string(),
        "protocol violation by the server: frame from a server is masked"
    );
    assert_eq!((client.receive().unwrap(), client.ended()), (None, Some(Ended::Abrupt)));
    assert!(matches!(client.text("x"), Err(ClientError::Send(SendError::Closed))));
    assert_eq!(server.join(), (OpCode::Close, 1002_u16.to_be_bytes().to_vec()));
}

#[test]
fn a_server_that_breaks_the_protocol_and_stays_is_left_in_time() {
    let server = upgraded(|peer| {
        peer.send(text("bad").rsv(4).unmasked().bytes());
        peer.frame();
        assert!(peer.is_at_end());
        // Still here when the client goes.
        while peer.stream.write_all(&[0; 1000]).is_ok() {}
    });
    let mut client = open_with(&server, &connect().close_timeout(MS(60)));
    client.set_read_timeout(Some(MS(10)));
    let begin = Instant::now();
    assert!(matches!(client.receive(), Err(ClientError::Violation(_))));
    assert!((MS(60)..MS(1000)).contains(&begin.elapsed()), "{:?}", begin.elapsed());
    drop(client);
    server.join();
}

#[test]
fn a_message_over_the_limit_is_refused_with_1009() {
    let server = upgraded(|peer| {
        peer.send(binary([0; 101]).unmasked().bytes());
        peer.frame().1
    });
    let mut client = open_with(&server, &connect().max_payload(100));
    let error = client.receive().unwrap_err();
    assert_eq!(
        error.to_string(),
        "protocol violation by the server: message of 101 bytes or more exceeds 100"
    );
    assert_eq!(server.join(), 1009_u16.to_be_bytes());
}

#[test]
fn a_reason_that_is_too_long_changes_nothing() {
    let server = echo_server(sockeye::proto::Config::default());
    let mut client = open_with(&server, &connect().close_timeout(MS(30)));
    let reason = &*"x".repeat(124);
    let error = client.close(Some(CloseFrame { code: CloseCode::NORMAL, reason })).unwrap_err();
    assert!(matches!(error, ClientError::Send(SendError::ReasonTooLong { len: 124 })));
    // Not even a deadline was set.
    std::thread::sleep(MS(40));
    client.text("still here").unwrap();
    assert_eq!(client.receive().unwrap(), Some(Received::Text("still here".into())));
    client.close(None).unwrap();
    server.join();
}
