//! Bytes that a driver wants many of at once.

use super::*;

fn said(len: usize) -> Vec<u8> {
    (0..=250).cycle().take(len).collect()
}

/// A loop that takes 300,000 bytes at a time.
fn gatherer(limits: Limits) -> (Reactor<Echo>, SocketAddr) {
    let (mut reactor, address) = echo(limits);
    let driver = reactor.parts().0;
    (driver.whole, driver.mouthful, driver.quiet) = (Some(300_000), Some(usize::MAX), true);
    (reactor, address)
}

#[test]
fn what_is_gathered_comes_in_one_piece() {
    // As little room at first as a length that is only promised may cost, and more.
    for first in [1, 5_000, 299_999] {
        let (mut reactor, address) = gatherer(Limits::default());
        let (mut stream, token) = connect(&mut reactor, address);
        let said = said(300_010);
        stream.write_all(&said[..first]).unwrap();
        until(&mut reactor, "the first read", |driver| !driver.offered.is_empty());
        assert!(reactor.parts().1.has_gathered(token));
        assert!(!reactor.parts().1.has_gathered(token), "nothing came since");
        let writer = thread::spawn(move || {
            stream.write_all(&said[first..]).unwrap();
            (stream, said)
        });
        until(&mut reactor, "all of it", |driver| driver.received == 300_000);
        let (_stream, said) = writer.join().unwrap();
        let driver = reactor.driver();
        assert_eq!(driver.reads, 1, "in one piece");
        assert!(driver.taken == said[..300_000]);
        assert!(driver.offered.len() <= 3, "not asked in vain: {:?}", driver.offered);
    }
}

#[test]
fn one_after_the_other_is_gathered_on_many_connections_and_none_gets_anothers() {
    let (mut reactor, address) = gatherer(Limits::default());
    let clients: Vec<_> = (0..8u8)
        .map(|client| {
            let (mut stream, _) = connect(&mut reactor, address);
            thread::spawn(move || {
                for _ in 0..5 {
                    stream.write_all(&vec![client; 300_000]).unwrap();
                }
                stream
            })
        })
        .collect();
    until(&mut reactor, "all of it", |driver| driver.received == 8 * 5 * 300_000);
    let mut each = [0; 8];
    for piece in reactor.driver().taken.chunks(300_000) {
        each[usize::from(piece[0])] += 1;
        assert!(piece.iter().all(|byte| *byte == piece[0]), "two clients in one piece");
    }
    assert_eq!(each, [5; 8]);
    clients.into_iter().for_each(|it| drop(it.join().unwrap()));
}

#[test]
fn what_is_never_completed_does_not_come_again() {
    let (mut reactor, address) = gatherer(Limits::default());
    let (mut stream, _) = connect(&mut reactor, address);
    stream.write_all(&said(200_000)).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    until(&mut reactor, "close", |driver| !closes(driver).is_empty());
    assert_eq!((reactor.driver().received, closes(reactor.driver())), (0, vec![Closed::Asked]));
    assert!(reactor.driver().seen.contains(&Seen::Finished));
    // And one that breaks in the midst of it.
    let (mut stream, _) = connect(&mut reactor, address);
    stream.write_all(&said(200_000)).unwrap();
    let before = reactor.driver().offered.len();
    until(&mut reactor, "a read", |driver| driver.offered.len() > before);
    reset(stream);
    until(&mut reactor, "reset", |driver| closes(driver).len() == 2);
    assert_eq!(reactor.driver().received, 0);
}

#[test]
fn who_is_paused_is_not_gathered_from_and_who_is_closed_no_more() {
    let (mut reactor, address) = gatherer(Limits::default());
    let (mut stream, token) = connect(&mut reactor, address);
    stream.write_all(&said(1000)).unwrap();
    until(&mut reactor, "a read", |driver| !driver.offered.is_empty());
    reactor.parts().1.pause(token);
    reactor.parts().1.has_gathered(token);
    stream.write_all(&said(1000)).unwrap();
    for _ in 0..10 {
        reactor.turn(Some(Duration::from_millis(5))).unwrap();
    }
    assert!(!reactor.parts().1.has_gathered(token), "it was read while it was paused");
    assert!(reactor.parts().1.release(token).is_none(), "bytes of it are held here");
    reactor.parts().1.resume(token);
    until(&mut reactor, "more", |_| true);
    reactor.turn(Some(Duration::from_millis(50))).unwrap();
    assert!(reactor.parts().1.has_gathered(token));
    reactor.parts().1.close(token, Close::Linger);
    stream.write_all(&said(400_000)).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    until(&mut reactor, "close", |driver| !closes(driver).is_empty());
    assert_eq!(reactor.driver().received, 0, "nobody wants it any more");
}

#[test]
fn a_driver_that_changes_its_mind_gets_what_it_asked_for_last_and_nothing_is_left_behind() {
    /// Gathers, gives back, and gathers again, all in one call, until there are ten bytes.
    #[derive(Default)]
    struct Fickle(Vec<Vec<u8>>, Vec<Token>);
    impl Driver for Fickle {
        type Mail = ();
        fn accepted(&mut self, _: &mut Ctx<'_>, token: Token, _: usize, _: Peer) {
            self.1.push(token);
        }
        fn received(&mut self, ctx: &mut Ctx<'_>, token: Token, bytes: &mut [u8]) {
            self.0.push(bytes.to_vec());
            if self.0.len() == 1 {
                ctx.gather(token, bytes, 1000);
                ctx.give_back(token, b"old");
                ctx.gather(token, bytes, 10);
            } else if self.0.len() == 2 {
                ctx.gather(token, bytes, 1000);
                ctx.give_back(token, b"new");
            }
        }
        fn closed(&mut self, _: &mut Ctx<'_>, _: Token, _: Closed) {}
    }
    let (listener, address) = listener();
    let mut reactor = Reactor::new(Fickle::default(), vec![listener], Limits::default()).unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"12345").unwrap();
    until(&mut reactor, "the first read", |driver| driver.0.len() == 1);
    stream.write_all(b"67890").unwrap();
    until(&mut reactor, "all of it", |driver| driver.0.len() == 3);
    assert_eq!(reactor.driver().0, [&b"12345"[..], b"1234567890", b"new"]);
    let token = reactor.driver().1[0];
    assert!(!reactor.parts().1.has_gathered(token), "nothing is gathered any more");
}
