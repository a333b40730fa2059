//! Connections that move from one loop to another, and loops that share a door.

use std::sync::atomic::{AtomicBool, Ordering};

use sockeye::net::Mail;

use super::*;

/// A connection under way, with what was heard on it.
struct Moved {
    stream: Stream,
    heard: Vec<u8>,
    legs: usize,
}

/// Gathers what a peer says and passes it to the next loop every so many bytes; who hears the end says all
/// of it back.
struct Relay {
    stride: usize,
    legs_max: usize,
    next: Option<Mail<Moved>>,
    guests: Vec<(Token, Vec<u8>, usize)>,
    closed: Vec<Closed>,
    legs: Vec<usize>,
    #[cfg(feature = "net-tls")]
    tls: Option<Arc<sockeye::net::TlsConfig>>,
}

impl Relay {
    fn pass(&mut self, ctx: &mut Ctx<'_>, token: Token) {
        let place = self.guests.iter().position(|it| it.0 == token).unwrap();
        if self.guests[place].2 < self.legs_max {
            let timers = ctx.timers();
            let (_, heard, legs) = self.guests.swap_remove(place);
            ctx.set_timer(token, Timer::Third, SOON);
            let stream = ctx.release(token).unwrap();
            assert_eq!(ctx.timers(), timers, "its timer stayed behind");
            assert!(!ctx.is_open(token) && ctx.release(token).is_none());
            let moved = Moved { stream, heard, legs: legs + 1 };
            assert!(self.next.as_ref().unwrap().post(moved).is_ok());
        }
    }
}

impl Driver for Relay {
    type Mail = Moved;

    fn accepted(&mut self, ctx: &mut Ctx<'_>, token: Token, _: usize, _: Peer) {
        #[cfg(feature = "net-tls")]
        if let Some(config) = &self.tls {
            ctx.start_tls(token, Arc::clone(config)).unwrap();
        }
        self.guests.push((token, Vec::new(), 0));
        // Before a byte of it, the handshake included.
        self.pass(ctx, token);
    }

    fn message(&mut self, ctx: &mut Ctx<'_>, moved: Moved) {
        let token = ctx.adopt(moved.stream, 3).unwrap();
        assert_eq!(ctx.listener(token), Some(3));
        self.guests.push((token, moved.heard, moved.legs));
    }

    fn received(&mut self, ctx: &mut Ctx<'_>, token: Token, bytes: &mut [u8]) {
        let guest = self.guests.iter_mut().find(|it| it.0 == token).unwrap();
        let before = guest.1.len() / self.stride;
        guest.1.extend_from_slice(bytes);
        if guest.1.len() / self.stride > before {
            self.pass(ctx, token);
        }
    }

    fn finished(&mut self, ctx: &mut Ctx<'_>, token: Token) {
        let guest = self.guests.iter_mut().find(|it| it.0 == token).unwrap();
        if guest.2 < self.legs_max {
            // The next one hears of the end too.
            return self.pass(ctx, token);
        }
        self.legs.push(guest.2);
        ctx.send_shared(token, std::mem::take(&mut guest.1).into());
        assert!(ctx.release(token).is_none(), "bytes wait");
        ctx.close(token, Close::Flush);
        assert!(ctx.release(token).is_none(), "it is closing");
    }

    fn closed(&mut self, _: &mut Ctx<'_>, token: Token, why: Closed) {
        assert!(
            self.guests.iter().any(|it| it.0 == token),
            "one that went away was told as closed"
        );
        self.closed.push(why);
    }
}

/// Runs each loop on a thread of its own until `work` is done; the loops, and what it returned.
fn beside<D: Driver + Send + 'static, T>(
    reactors: Vec<Reactor<D>>,
    work: impl FnOnce() -> T,
) -> (Vec<Reactor<D>>, T) {
    let stop = Arc::new(AtomicBool::new(false));
    let run = |mut reactor: Reactor<D>| {
        let stop = Arc::clone(&stop);
        thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                reactor.turn(Some(Duration::from_millis(5))).unwrap();
            }
            reactor
        })
    };
    let loops: Vec<_> = reactors.into_iter().map(run).collect();
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    stop.store(true, Ordering::Relaxed);
    let reactors = loops.into_iter().map(|it| it.join().unwrap()).collect();
    match outcome {
        Ok(outcome) => (reactors, outcome),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

fn relays(legs_max: usize) -> (Vec<Reactor<Relay>>, SocketAddr) {
    let (listener, address) = listener();
    let relay = || Relay {
        stride: 50_000,
        legs_max,
        next: None,
        guests: Vec::new(),
        closed: Vec::new(),
        legs: Vec::new(),
        #[cfg(feature = "net-tls")]
        tls: None,
    };
    let mut one = Reactor::new(relay(), vec![listener], Limits::default()).unwrap();
    let mut two = Reactor::new(relay(), Vec::new(), Limits::default()).unwrap();
    one.parts().0.next = Some(two.mail());
    two.parts().0.next = Some(one.mail());
    (vec![one, two], address)
}

fn story() -> Vec<u8> {
    (0..1_000_000u32).map(|n| n.to_le_bytes()[(n % 3) as usize]).collect()
}

fn check(reactors: &mut [Reactor<Relay>], guests: usize, legs: usize) {
    let mut closed = 0;
    for reactor in reactors {
        let driver = reactor.driver();
        assert!(driver.legs.iter().all(|it| *it == legs), "{:?}, not {legs}", driver.legs);
        assert!(driver.closed.iter().all(|it| *it == Closed::Asked), "{:?}", driver.closed);
        closed += driver.closed.len();
        assert_eq!(reactor.parts().1.connections(), 0);
        assert_eq!(reactor.parts().1.timers(), 0);
    }
    assert_eq!(closed, guests);
}

#[test]
fn a_connection_moves_between_loops_in_the_middle_of_its_stream() {
    // With more legs than the stream has strides, its end moves too.
    for legs in [1, 2, 7, 1000] {
        let (reactors, address) = relays(legs);
        let (mut reactors, ()) = beside(reactors, || {
            let clients: Vec<_> = (0..3)
                .map(|_| {
                    thread::spawn(move || {
                        let mut stream = TcpStream::connect(address).unwrap();
                        stream.set_read_timeout(Some(SOON)).unwrap();
                        stream.write_all(&story()).unwrap();
                        stream.shutdown(Shutdown::Write).unwrap();
                        let mut heard = Vec::new();
                        stream.read_to_end(&mut heard).unwrap();
                        assert!(heard == story(), "{} bytes", heard.len());
                    })
                })
                .collect();
            for client in clients {
                client.join().unwrap();
            }
        });
        check(&mut reactors, 3, legs);
    }
}

#[cfg(feature = "net-tls")]
#[test]
fn a_tls_session_moves_between_loops_in_the_middle_of_its_stream() {
    use rustls::pki_types::ServerName;
    use rustls::{ClientConnection, StreamOwned};
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        for (legs, fin) in [(1, true), (2, true), (7, true), (60, false)] {
            let configs = tls::configs(version);
            let (mut reactors, address) = relays(legs);
            for reactor in &mut reactors {
                reactor.parts().0.tls = Some(Arc::clone(&configs.server));
            }
            let (mut reactors, ()) = beside(reactors, || {
                let name = ServerName::try_from("localhost").unwrap();
                let session = ClientConnection::new(Arc::clone(&configs.client), name).unwrap();
                let stream = TcpStream::connect(address).unwrap();
                stream.set_read_timeout(Some(SOON)).unwrap();
                let mut stream = StreamOwned::new(session, stream);
                stream.write_all(&story()).unwrap();
                stream.conn.send_close_notify();
                stream.flush().unwrap();
                if fin {
                    stream.sock.shutdown(Shutdown::Write).unwrap();
                }
                let mut heard = Vec::new();
                stream.read_to_end(&mut heard).unwrap();
                assert!(heard == story(), "{} bytes", heard.len());
            });
            check(&mut reactors, 1, legs);
        }
    }
}

#[cfg(unix)]
#[test]
fn loops_that_share_a_door_accept_each_once_and_a_full_one_keeps_nobody_waiting() {
    let (first, address) = listener();
    let limits = Limits { connections_max: 5, ..Limits::default() };
    let doors = [first.try_clone().unwrap(), first.try_clone().unwrap(), first];
    let reactors =
        doors.map(|door| Reactor::new(Echo::default(), vec![door], limits).unwrap()).into();
    let served = |client: &mut TcpStream| {
        let mut heard = [0; 2];
        client.read(&mut heard).is_ok_and(|count| heard[..count] == *b"x")
    };
    let (reactors, ()) = beside(reactors, || {
        for _ in 0..5 {
            let connect = |_| {
                let mut stream = TcpStream::connect(address).unwrap();
                stream.write_all(b"x").unwrap();
                stream.set_read_timeout(Some(Duration::from_millis(2))).unwrap();
                stream
            };
            let mut waiting: Vec<_> = (0..25).map(connect).collect();
            let mut inside = Vec::new();
            let started = Instant::now();
            // All places of all loops are taken, then each that is left is taken again.
            while !waiting.is_empty() {
                let (now, later) =
                    waiting.into_iter().partition(|it| served(&mut it.try_clone().unwrap()));
                waiting = later;
                let _: &Vec<TcpStream> = &now;
                inside.extend(now);
                assert!(inside.len() <= 15);
                if inside.len() == 15 {
                    inside.drain(..5);
                }
                assert!(started.elapsed() < SOON, "{} are stuck", waiting.len());
            }
        }
    });
    let accepted: usize = reactors.iter().map(|it| it.driver().tokens.len()).sum();
    assert_eq!(accepted, 125);
}
