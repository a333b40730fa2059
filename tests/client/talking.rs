//! An open connection: messages, pings, time-outs, and the parts it is made of.

use std::io::{Read, Write};
use std::sync::mpsc;
use std::time::Duration;

use sockeye::client::{ClientError, Received};
use sockeye::proto::{Config, Event, Input, Message, OpCode, SendError, SendOptions};

use crate::peer::*;
use crate::support::*;

const MS: fn(u64) -> Duration = Duration::from_millis;

#[test]
fn text_and_binary_of_every_length_form_are_echoed() {
    let server = echo_server(Config::default());
    let mut client = open(&server);
    for len in [0, 1, 125, 126, 127, 65_535, 65_536, 1 << 20] {
        let letters: String = ('a'..='z').cycle().take(len).collect();
        client.text(&letters).unwrap();
        assert!(client.receive().unwrap() == Some(Received::Text(letters)), "text of {len}");
        let bytes: Vec<u8> = (0..=255).cycle().take(len).collect();
        client.binary(&bytes).unwrap();
        assert!(client.receive().unwrap() == Some(Received::Binary(bytes)), "binary of {len}");
    }
    client.close(None).unwrap();
    server.join();
}

#[test]
fn fragments_arrive_as_one_message() {
    let server = echo_server(Config::default());
    let mut client = open(&server);
    let more = SendOptions { fin: false, ..SendOptions::default() };
    client.send(Message::Text("Hel"), more).unwrap();
    client.ping(b"between").unwrap();
    client.send(Message::Text("lo"), SendOptions::default()).unwrap();
    assert_eq!(client.receive().unwrap(), Some(Received::Pong(b"between".to_vec())));
    assert_eq!(client.receive().unwrap(), Some(Received::Text("Hello".into())));
    client.close(None).unwrap();
    server.join();
}

#[test]
fn pings_are_answered_while_receiving() {
    let server = upgraded(|peer| {
        peer.send(ping("are you there").unmasked().bytes());
        let (header, payload) = peer.frame();
        // Only now does the message come that the client waits for.
        peer.send(text("done").unmasked().bytes());
        (header.opcode, payload)
    });
    let mut client = open(&server);
    assert_eq!(client.receive().unwrap(), Some(Received::Ping(b"are you there".to_vec())));
    assert_eq!(client.receive().unwrap(), Some(Received::Text("done".into())));
    assert_eq!(server.join(), (OpCode::Pong, b"are you there".to_vec()));
}

#[test]
fn a_read_time_out_loses_nothing_of_a_frame_that_it_cuts() {
    let (go_on, went_on) = mpsc::channel();
    let server = upgraded(move |peer| {
        let bytes = text("in two halves").unmasked().bytes();
        for half in bytes.chunks(6) {
            peer.send(half);
            went_on.recv().unwrap();
        }
    });
    let mut client = open(&server);
    client.set_read_timeout(Some(MS(20)));
    for _ in 0..2 {
        assert!(matches!(client.receive(), Err(ClientError::TimedOut)));
        go_on.send(()).unwrap();
    }
    client.set_read_timeout(Some(MS(2000)));
    assert_eq!(client.receive().unwrap(), Some(Received::Text("in two halves".into())));
    go_on.send(()).unwrap();
    server.join();
}

#[test]
fn a_time_out_of_zero_is_a_short_one() {
    let server = upgraded(|peer| peer.is_at_end());
    let mut client = open(&server);
    client.set_read_timeout(Some(Duration::ZERO));
    client.set_write_timeout(Some(Duration::ZERO));
    assert!(matches!(client.receive(), Err(ClientError::TimedOut)));
    drop(client);
    assert!(server.join());
}

#[test]
fn a_write_time_out_keeps_what_was_not_taken() {
    let (go_on, went_on) = mpsc::channel();
    let server = upgraded(move |peer| {
        went_on.recv().unwrap();
        let (_, payload) = peer.frame();
        peer.send(text("got it").unmasked().bytes());
        payload
    });
    let mut client = open(&server);
    client.set_write_timeout(Some(MS(30)));
    // More than the system buffers for a connection.
    let bytes: Vec<u8> = (0..=250).cycle().take(24 << 20).collect();
    assert!(matches!(client.binary(&bytes), Err(ClientError::TimedOut)));
    let buffered = client.buffered_amount();
    assert!((1..bytes.len()).contains(&buffered), "{buffered}");
    go_on.send(()).unwrap();
    client.set_write_timeout(Some(MS(2000)));
    client.flush().unwrap();
    assert_eq!(client.buffered_amount(), 0);
    assert_eq!(client.receive().unwrap(), Some(Received::Text("got it".into())));
    assert!(server.join() == bytes, "nothing is missing and nothing is twice");
}

#[cfg(unix)]
#[test]
fn a_client_that_cannot_write_still_reads_and_its_pongs_do_not_pile_up() {
    // Unlike TCP's, the buffers of such a pair do not grow.
    let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    ours.set_write_timeout(Some(MS(1))).unwrap();
    ours.set_read_timeout(Some(MS(2000))).unwrap();
    let (go_on, went_on) = mpsc::channel();
    let server = std::thread::spawn(move || {
        upgrade_over(&mut theirs);
        for _ in 0..50 {
            theirs.write_all(&ping("p").unmasked().bytes()).unwrap();
        }
        theirs.write_all(&text("read me").unmasked().bytes()).unwrap();
        went_on.recv().unwrap();
        let mut written = Vec::new();
        theirs.read_to_end(&mut written).unwrap();
        written.len()
    });
    let mut client = connect().over(ours, "ws://localhost/").unwrap();
    assert!(matches!(client.binary(&vec![0; 4 << 20]), Err(ClientError::TimedOut)));
    let buffered = client.buffered_amount();
    for _ in 0..50 {
        assert_eq!(client.receive().unwrap(), Some(Received::Ping(b"p".to_vec())));
    }
    assert_eq!(client.receive().unwrap(), Some(Received::Text("read me".into())));
    assert!(client.buffered_amount() <= buffered, "{} > {buffered}", client.buffered_amount());
    go_on.send(()).unwrap();
    while client.buffered_amount() > 0 {
        let _ = client.flush();
    }
    // The newest of the pings is answered now.
    client.text("last").unwrap();
    drop(client);
    // Message, at most one pong, and the last text, each masked.
    let longest = (14 + (4 << 20)) + (6 + 1) + (6 + 4);
    assert_eq!(server.join().unwrap(), longest);
}

#[test]
fn what_may_not_be_sent_is_said_and_nothing_is_sent() {
    let server = upgraded(|peer| peer.frame().1);
    let mut client = open(&server);
    let error = client.ping(&[0; 126]).unwrap_err();
    assert!(matches!(error, ClientError::Send(SendError::ControlTooLong { len: 126 })));
    client.text("next").unwrap();
    assert_eq!(server.join(), b"next");
}

#[test]
fn a_client_taken_apart_goes_on_in_a_loop_of_the_callers_own() {
    let (go_on, went_on) = mpsc::channel();
    let server = scripted(move |mut peer| {
        let request = peer.request();
        let frames =
            wire(&[text("one").unmasked(), text("two").unmasked(), text("thr").unmasked().more()]);
        // One segment, so that all of it has been read when the client opens.
        peer.send([switching(&request, "").into_bytes(), frames].concat());
        went_on.recv().unwrap();
        peer.send(continuation("ee").unmasked().bytes());
        peer.frame().1
    });
    let mut client = open(&server);
    assert_eq!(client.receive().unwrap(), Some(Received::Text("one".into())));
    let mut parts = client.into_parts();
    let mut socket = parts.stream.into_tcp().unwrap();
    assert!(socket.read_timeout().unwrap().is_some(), "the time-out that was set goes along");
    assert_eq!(parts.unsent, b"");
    go_on.send(()).unwrap();

    let (rx, tx) = parts.connection.split_mut();
    let (mut bytes, mut out, mut seen) = (parts.unread, Vec::new(), Vec::new());
    while seen.len() < 2 {
        let mut input = Input::new(&mut bytes);
        while let Some(event) = rx.next(&mut input, tx, &mut out).unwrap() {
            let Event::Text(text) = event else { panic!("{event:?}") };
            seen.push(text.to_owned());
        }
        if seen.len() < 2 {
            bytes.resize(100, 0);
            let n = socket.read(&mut bytes).unwrap();
            bytes.truncate(n);
        }
    }
    assert_eq!(seen, ["two", "three"]);
    tx.text("mine", &mut out).unwrap();
    socket.write_all(&out).unwrap();
    assert_eq!(server.join(), b"mine");
}

#[test]
fn nothing_of_what_was_said_shows_in_debug_output() {
    let server = upgraded(|_| ());
    let client = open(&server);
    let shown = format!("{client:?}");
    assert!(shown.starts_with("Client {") && shown.len() < 4000, "{shown}");
}
