//! How connections end: half, gently, by reset, by the thousand.

use super::*;

#[test]
fn a_peer_that_is_done_sending_still_gets_its_answer() {
    let (mut reactor, address) = echo(Limits::default());
    reactor.parts().0.answer = Some(vec![9; 3 << 20].into());
    let (mut stream, _) = connect(&mut reactor, address);
    stream.write_all(b"?").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let reader = thread::spawn(move || io::copy(&mut stream, &mut io::sink()).unwrap());
    until(&mut reactor, "close", |driver| !closes(driver).is_empty());
    assert_eq!(reader.join().unwrap(), 3 << 20);
}

#[test]
fn an_end_that_comes_with_the_last_bytes_is_not_missed() {
    // A short read must not be the last one when the end already stands behind it.
    for _ in 0..50 {
        let (mut reactor, address) = echo(Limits::default());
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"bye").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        until(&mut reactor, "end", |driver| driver.seen.contains(&Seen::Finished));
        assert_eq!(reactor.driver().received, 3);
    }
}

#[test]
fn a_lingering_close_delivers_the_last_word_though_input_is_unread() {
    let (mut reactor, address) = echo(Limits::default());
    reactor.parts().0.quiet = true;
    let (mut stream, token) = connect(&mut reactor, address);
    reactor.parts().1.pause(token);
    stream.write_all(&[1; 100_000]).unwrap();
    for _ in 0..5 {
        reactor.turn(Some(Duration::from_millis(5))).unwrap();
    }
    let (_, mut ctx) = reactor.parts();
    ctx.send_owned(token, &mut b"last word".to_vec());
    ctx.close(token, Close::Linger);
    assert!(!ctx.is_open(token));
    assert_eq!(ctx.send_owned(token, &mut b"no".to_vec()), Sent::Gone);
    for _ in 0..20 {
        reactor.turn(Some(Duration::from_millis(5))).unwrap();
    }
    // The peer goes on sending for a while; closing with that unread would be a reset.
    stream.write_all(&[1; 1000]).unwrap();
    let mut heard = String::new();
    stream.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "last word");
    assert_eq!(closes(reactor.driver()), [], "it waits for the peer's end");
    drop(stream);
    until(&mut reactor, "close", |driver| closes(driver) == [Closed::Asked]);
    assert_eq!(reactor.driver().received, 0, "input after the close is dropped");
}

#[test]
fn a_lingering_close_ends_by_its_deadline_and_by_its_bytes() {
    let limits = Limits { linger: Duration::from_millis(100), ..Limits::default() };
    let (mut reactor, address) = echo(limits);
    let (_stream, token) = connect(&mut reactor, address);
    reactor.parts().1.close(token, Close::Linger);
    until(&mut reactor, "deadline", |driver| closes(driver) == [Closed::Asked]);

    let limits = Limits { linger: 10 * SOON, linger_bytes_max: 100_000, ..Limits::default() };
    let (mut reactor, address) = echo(limits);
    let (mut stream, token) = connect(&mut reactor, address);
    reactor.parts().1.close(token, Close::Linger);
    let writer = thread::spawn(move || while stream.write_all(&[0; 65_536]).is_ok() {});
    until(&mut reactor, "limit", |driver| closes(driver) == [Closed::Asked]);
    writer.join().unwrap();
}

#[test]
fn a_shut_write_side_says_the_end_and_still_hears() {
    let (mut reactor, address) = echo(Limits::default());
    reactor.parts().0.quiet = true;
    let (mut stream, token) = connect(&mut reactor, address);
    let (_, mut ctx) = reactor.parts();
    ctx.send_owned(token, &mut b"done".to_vec());
    ctx.shutdown_write(token);
    assert_eq!(ctx.send_owned(token, &mut b"no".to_vec()), Sent::Gone);
    until(&mut reactor, "nothing", |_| true);
    reactor.turn(Some(Duration::ZERO)).unwrap();
    let mut heard = String::new();
    stream.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "done");
    stream.write_all(b"still here").unwrap();
    until(&mut reactor, "read", |driver| driver.received == 10);
    reactor.parts().1.close(token, Close::Flush);
    until(&mut reactor, "close", |driver| closes(driver) == [Closed::Asked]);
}

#[test]
fn a_reset_in_the_middle_closes_once_and_says_why() {
    let (mut reactor, address) = echo(Limits::default());
    let (mut stream, _) = connect(&mut reactor, address);
    stream.write_all(b"half a mess").unwrap();
    until(&mut reactor, "read", |driver| driver.received == 11);
    reset(stream);
    until(&mut reactor, "close", |driver| !closes(driver).is_empty());
    assert_eq!(closes(reactor.driver()), [Closed::Failed(ErrorKind::ConnectionReset)]);
}

#[test]
fn a_reset_is_noticed_while_nothing_is_read() {
    let (mut reactor, address) = echo(Limits::default());
    let (stream, token) = connect(&mut reactor, address);
    reactor.parts().1.pause(token);
    reset(stream);
    until(&mut reactor, "close", |driver| !closes(driver).is_empty());
    assert_eq!(closes(reactor.driver()), [Closed::Failed(ErrorKind::ConnectionReset)]);
}

#[test]
fn a_token_never_names_the_next_connection_in_its_place() {
    let (mut reactor, address) = echo(Limits::default());
    let (first, old) = connect(&mut reactor, address);
    reactor.parts().1.set_timer(old, Timer::First, Duration::from_millis(50));
    reactor.parts().1.close(old, Close::Now);
    reactor.parts().1.close(old, Close::Now);
    until(&mut reactor, "close", |driver| closes(driver) == [Closed::Asked]);
    assert_eq!(reactor.parts().1.timers(), 0, "the timer went with its connection");
    let (mut second, new) = connect(&mut reactor, address);
    assert_eq!(old.index(), new.index());
    let (_, mut ctx) = reactor.parts();
    assert_eq!(ctx.send_owned(old, &mut b"for the first".to_vec()), Sent::Gone);
    ctx.close(old, Close::Now);
    ctx.set_timer(old, Timer::Second, Duration::ZERO);
    assert_eq!(ctx.remote(old), None);
    assert_eq!(ctx.remote(new), Some(Peer::Tcp(second.local_addr().unwrap())));
    second.write_all(b"x").unwrap();
    until(&mut reactor, "echo", |driver| driver.received == 1);
    let started = Instant::now();
    while started.elapsed() < Duration::from_millis(100) {
        reactor.turn(Some(Duration::from_millis(10))).unwrap();
    }
    let timers = reactor.driver().seen.iter().filter(|it| matches!(it, Seen::Timer(_))).count();
    assert_eq!(timers, 0, "the first connection's timers went with it");
    drop(first);
}

#[test]
fn two_thousand_connections_leave_no_descriptor_behind() {
    let descriptors = || std::fs::read_dir("/proc/self/fd").map(Iterator::count);
    let (mut reactor, address) = echo(Limits::default());
    let client = thread::spawn(move || {
        for n in 0..2000 {
            let mut stream = TcpStream::connect(address).unwrap();
            match n % 3 {
                0 => stream.write_all(b"hi").unwrap(),
                1 => reset(stream),
                _ => {}
            }
        }
    });
    until(&mut reactor, "2,000 closes", |driver| closes(driver).len() == 2000);
    client.join().unwrap();
    let (_, ctx) = reactor.parts();
    assert_eq!(ctx.connections(), 0);
    // Other tests of this process open descriptors too, but not two thousand.
    if let Ok(count) = descriptors() {
        assert!(count < 500, "{count} descriptors are open");
    }
}
