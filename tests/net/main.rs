//! The event loop over real sockets: two tiny drivers, an echo and a broadcast of lines, and peers that
//! misbehave. What is bounded is measured in bytes, turns and descriptors, not in seconds.

#![cfg(feature = "net")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod closing;
mod doors;
mod gathering;
mod idle;
mod moving;
mod pieces;
#[cfg(feature = "net-tls")]
mod tls;

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use sockeye::net::{
    Address, Close, Closed, Ctx, Driver, Limits, ListenOptions, Listener, Marks, Outbox, Peer,
    Reactor, Sent, Slots, Spare, Stream, Timer, Token, Undelivered, Wheel,
};

const SOON: Duration = Duration::from_secs(20);

/// What happened to the connections of a loop, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Accepted(usize),
    Finished,
    Closed(Closed),
    Drained,
    Timer(Timer),
    Alarm(u32),
    Failed,
}

/// Says everything back; a few first bytes are orders.
#[derive(Default)]
struct Echo {
    seen: Vec<Seen>,
    tokens: Vec<Token>,
    mail: Vec<u32>,
    received: usize,
    reads: usize,
    most_queued: usize,
    /// In one call.
    most_received: usize,
    /// Bytes to answer each read with, instead of the same.
    answer: Option<Arc<[u8]>>,
    /// How to close on `finished`, if not as by default.
    on_finished: Option<Close>,
    quiet: bool,
    /// Sent in `accepted`, and how to close then.
    greeting: Option<(Vec<u8>, Option<Close>)>,
    #[cfg(feature = "net-tls")]
    tls: Option<Arc<sockeye::net::TlsConfig>>,
    /// How many bytes of a read to take; the others are given back.
    mouthful: Option<usize>,
    /// Bytes to wait for, of which fewer are gathered.
    whole: Option<usize>,
    /// Bytes of what was taken, in order.
    taken: Vec<u8>,
    /// How much each call brought.
    offered: Vec<usize>,
    /// What was wrong with the TLS of those that have closed.
    faults: Vec<Option<String>>,
}

impl Driver for Echo {
    type Mail = u32;

    fn accepted(&mut self, ctx: &mut Ctx<'_>, token: Token, listener: usize, _: Peer) {
        self.tokens.push(token);
        self.seen.push(Seen::Accepted(listener));
        #[cfg(feature = "net-tls")]
        if let Some(config) = &self.tls {
            ctx.start_tls(token, Arc::clone(config)).unwrap();
        }
        if let Some((greeting, close)) = &self.greeting {
            assert!(matches!(
                ctx.send_owned(token, &mut greeting.clone()),
                Sent::Queued | Sent::High
            ));
            if let Some(how) = close {
                ctx.close(token, *how);
            }
        }
    }

    fn received(&mut self, ctx: &mut Ctx<'_>, token: Token, bytes: &mut [u8]) {
        self.offered.push(bytes.len());
        if let Some(whole) = self.whole.filter(|&it| bytes.len() < it) {
            return ctx.gather(token, bytes, whole);
        }
        let taken = self.whole.or(self.mouthful).map_or(bytes.len(), |it| it.min(bytes.len()));
        let (bytes, rest) = bytes.split_at_mut(taken);
        match self.whole {
            Some(whole) => ctx.gather(token, rest, whole),
            None => ctx.give_back(token, rest),
        }
        if self.mouthful.is_some() {
            self.taken.extend_from_slice(bytes);
        }
        self.received += bytes.len();
        self.reads += 1;
        self.most_received = self.most_received.max(bytes.len());
        match &self.answer {
            _ if self.quiet => {}
            Some(answer) => {
                ctx.send_shared(token, Arc::clone(answer));
            }
            None => {
                ctx.send_owned(token, &mut bytes.to_vec());
            }
        }
        self.most_queued = self.most_queued.max(ctx.queued(token));
    }

    fn finished(&mut self, ctx: &mut Ctx<'_>, token: Token) {
        self.seen.push(Seen::Finished);
        if let Some(how) = self.on_finished {
            ctx.close(token, how);
        } else {
            ctx.close(token, Close::Flush);
        }
    }

    fn drained(&mut self, _: &mut Ctx<'_>, _: Token) {
        self.seen.push(Seen::Drained);
    }

    fn closed(&mut self, ctx: &mut Ctx<'_>, token: Token, why: Closed) {
        assert!(!ctx.is_open(token));
        assert_eq!(ctx.send_owned(token, &mut b"late".to_vec()), Sent::Gone);
        self.seen.push(Seen::Closed(why));
        self.faults.push(ctx.tls_fault(token));
    }

    fn timer(&mut self, _: &mut Ctx<'_>, _: Token, timer: Timer) {
        self.seen.push(Seen::Timer(timer));
    }

    fn alarm(&mut self, _: &mut Ctx<'_>, alarm: u32) {
        self.seen.push(Seen::Alarm(alarm));
    }

    fn message(&mut self, _: &mut Ctx<'_>, mail: u32) {
        self.mail.push(mail);
    }

    fn accept_failed(&mut self, _: &mut Ctx<'_>, _: usize, _: &io::Error) {
        self.seen.push(Seen::Failed);
    }
}

fn listener() -> (Listener, SocketAddr) {
    let here = Address::Tcp("127.0.0.1:0".parse().unwrap());
    let listener = Listener::bind(&here, &ListenOptions::default()).unwrap();
    let Address::Tcp(address) = listener.address().unwrap() else { panic!("not TCP") };
    (listener, address)
}

fn echo(limits: Limits) -> (Reactor<Echo>, SocketAddr) {
    let (listener, address) = listener();
    (Reactor::new(Echo::default(), vec![listener], limits).unwrap(), address)
}

/// Turns the loop until `done`, or fails.
fn until<D: Driver>(reactor: &mut Reactor<D>, what: &str, mut done: impl FnMut(&mut D) -> bool) {
    let started = Instant::now();
    while !done(reactor.parts().0) {
        reactor.turn(Some(Duration::from_millis(5))).unwrap();
        assert!(started.elapsed() < SOON, "{what} never happened");
    }
}

fn connect(reactor: &mut Reactor<Echo>, address: SocketAddr) -> (TcpStream, Token) {
    let before = reactor.driver().tokens.len();
    let stream = TcpStream::connect(address).unwrap();
    until(reactor, "accept", |driver| driver.tokens.len() > before);
    stream.set_read_timeout(Some(SOON)).unwrap();
    (stream, reactor.driver().tokens[before])
}

fn closes(driver: &Echo) -> Vec<Closed> {
    let closed = |seen: &Seen| if let Seen::Closed(why) = seen { Some(*why) } else { None };
    driver.seen.iter().filter_map(closed).collect()
}

/// Closes by reset.
fn reset(stream: TcpStream) {
    let socket = socket2::Socket::from(stream);
    socket.set_linger(Some(Duration::ZERO)).unwrap();
}

/// Writes until the other side takes no more for a while; how much went.
fn fill(stream: &mut TcpStream, reactor: &mut Reactor<Echo>, at_most: usize) -> usize {
    stream.set_nonblocking(true).unwrap();
    let (mut total, mut refused) = (0, 0);
    while total < at_most && refused < 50 {
        match stream.write(&[7; 65_536]) {
            Ok(count) => (total, refused) = (total + count, 0),
            Err(error) if error.kind() == ErrorKind::WouldBlock => refused += 1,
            // Given up already, where the machine is slow and the patience short.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) => panic!("{error}"),
        }
        reactor.turn(Some(Duration::from_millis(1))).unwrap();
    }
    stream.set_nonblocking(false).unwrap();
    total
}

#[test]
fn what_is_said_comes_back() {
    let (mut reactor, address) = echo(Limits::default());
    let (mut stream, _) = connect(&mut reactor, address);
    stream.write_all(b"hello").unwrap();
    until(&mut reactor, "echo", |driver| driver.received == 5);
    let mut heard = [0; 5];
    stream.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"hello");
}

#[test]
fn a_large_echo_survives_partial_writes_byte_for_byte() {
    let (mut reactor, address) = echo(Limits::default());
    let said: Vec<u8> = (0..8_000_000u32).map(|n| n.to_le_bytes()[(n % 3) as usize]).collect();
    let expected = said.clone();
    let client = thread::spawn(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        let mut reader = stream.try_clone().unwrap();
        let writer = thread::spawn(move || {
            stream.write_all(&said).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
        });
        let mut heard = Vec::new();
        reader.read_to_end(&mut heard).unwrap();
        writer.join().unwrap();
        heard
    });
    until(&mut reactor, "close", |driver| !closes(driver).is_empty());
    assert!(client.join().unwrap() == expected, "the echo differs from what was said");
    assert_eq!(closes(reactor.driver()), [Closed::Asked]);
}

#[test]
fn a_peer_that_never_reads_is_read_no_more_and_what_waits_is_bounded() {
    let (mut reactor, address) = echo(Limits::default());
    let (mut stream, token) = connect(&mut reactor, address);
    let sent = fill(&mut stream, &mut reactor, 64 << 20);
    let marks = Marks::default();
    assert!(sent < 64 << 20, "the flood was swallowed");
    assert!(reactor.driver().most_queued >= marks.high, "{}", reactor.driver().most_queued);
    assert!(reactor.driver().most_queued <= marks.high + (64 << 10));
    // Backpressure ends when the peer reads: everything comes, and the driver hears of it.
    stream.shutdown(Shutdown::Write).unwrap();
    let reader = thread::spawn(move || io::copy(&mut stream, &mut io::sink()).unwrap());
    until(&mut reactor, "close", |driver| !closes(driver).is_empty());
    assert_eq!(reader.join().unwrap(), sent as u64);
    assert!(reactor.driver().seen.contains(&Seen::Drained));
    assert_eq!(reactor.parts().1.queued(token), 0);
}

#[test]
fn many_tiny_answers_count_their_places_too() {
    let (mut reactor, address) = echo(Limits::default());
    let (_stream, token) = connect(&mut reactor, address);
    let (_, mut ctx) = reactor.parts();
    let long: Arc<[u8]> = vec![0; 600].into();
    let tiny: Arc<[u8]> = vec![0; 2].into();
    // Each long segment keeps the next tiny one from being copied behind the one before. It goes on until the
    // system takes no more either.
    while ctx.send_shared(token, Arc::clone(&long)) != Sent::Full {
        ctx.send_shared(token, Arc::clone(&tiny));
    }
    let waiting = ctx.queued(token) / 602;
    assert!(waiting * (602 + 64) <= (1 << 20) + 1332, "{waiting} pairs are above the mark");
    let mut more = b"more".to_vec();
    assert_eq!(ctx.send_owned(token, &mut more), Sent::Full);
    assert_eq!(more, b"more", "refused bytes stay with the caller");
}

#[test]
fn a_peer_that_takes_nothing_for_the_stall_time_is_dropped() {
    // Longer than the filling takes on a busy machine.
    let limits = Limits { stall: Duration::from_secs(1), ..Limits::default() };
    let (mut reactor, address) = echo(limits);
    let (mut stream, _) = connect(&mut reactor, address);
    fill(&mut stream, &mut reactor, 64 << 20);
    until(&mut reactor, "stall", |driver| closes(driver) == [Closed::Stalled]);
}

#[test]
fn a_slow_peer_that_takes_something_is_kept() {
    let limits = Limits { stall: Duration::from_millis(300), ..Limits::default() };
    let (mut reactor, address) = echo(limits);
    let (mut stream, token) = connect(&mut reactor, address);
    let whole: Arc<[u8]> = vec![1; 48 << 20].into();
    assert_eq!(
        reactor.parts().1.send_shared(token, whole),
        Sent::High,
        "one message of any size is taken"
    );
    let mut some = vec![0; 4 << 20];
    for round in 0..12 {
        let started = Instant::now();
        while started.elapsed() < Duration::from_millis(100) {
            reactor.turn(Some(Duration::from_millis(10))).unwrap();
        }
        // Longer than the stall time by then, and never empty.
        assert!(round > 5 || reactor.parts().1.queued(token) > 0);
        let mut got = 0;
        while got < some.len() {
            got += stream.read(&mut some[got..]).unwrap();
            reactor.turn(Some(Duration::ZERO)).unwrap();
        }
    }
    assert_eq!(closes(reactor.driver()), [], "it took 4 MiB every 100 ms");
}

#[test]
fn a_flood_on_one_connection_leaves_every_turn_to_the_others() {
    let limits = Limits { read_bytes: 4096, read_budget: 4096, ..Limits::default() };
    let (mut reactor, address) = echo(limits);
    reactor.parts().0.quiet = true;
    let (mut flood, _) = connect(&mut reactor, address);
    let (mut other, _) = connect(&mut reactor, address);
    flood.set_nonblocking(true).unwrap();
    // More than a turn can read, so that the flood is ready in every turn.
    while flood.write(&[0; 65_536]).is_ok() {}
    thread::sleep(Duration::from_millis(50));
    for _ in 0..20 {
        let reads = reactor.driver().reads;
        reactor.turn(Some(Duration::ZERO)).unwrap();
        assert!(
            reactor.driver().reads <= reads + 1,
            "the flood had more than its budget in a turn"
        );
    }
    reactor.parts().0.quiet = false;
    reactor.parts().0.answer = Some(b"pong".as_slice().into());
    other.write_all(b"ping").unwrap();
    other.set_nonblocking(true).unwrap();
    thread::sleep(Duration::from_millis(50));
    // One turn sees the event, reads and writes; a second is allowed for the kernel.
    let mut heard = [0; 4];
    let turns = (1..=3).find(|_| {
        reactor.turn(Some(Duration::ZERO)).unwrap();
        other.read(&mut heard).is_ok()
    });
    assert!(turns.is_some(), "no answer within three turns beside a flood");
    assert_eq!(&heard, b"pong");
}

#[test]
fn a_paused_connection_is_not_read_until_it_is_resumed() {
    let (mut reactor, address) = echo(Limits::default());
    let (mut stream, token) = connect(&mut reactor, address);
    reactor.parts().1.pause(token);
    stream.write_all(b"hello").unwrap();
    for _ in 0..20 {
        reactor.turn(Some(Duration::from_millis(5))).unwrap();
    }
    assert_eq!(reactor.driver().received, 0);
    reactor.parts().1.resume(token);
    until(&mut reactor, "read", |driver| driver.received == 5);
}

#[test]
fn what_is_given_back_comes_again_before_anything_newer_and_after_the_others() {
    let (mut reactor, address) = echo(Limits { read_bytes: 1000, ..Limits::default() });
    let (mut hungry, _) = connect(&mut reactor, address);
    let (mut other, _) = connect(&mut reactor, address);
    reactor.parts().0.mouthful = Some(7);
    let sent: Vec<u8> = (0..=32).cycle().take(5000).collect();
    hungry.write_all(&sent).unwrap();
    until(&mut reactor, "a first mouthful", |driver| driver.reads > 0);
    other.write_all(b"!").unwrap();
    let before = reactor.driver().reads;
    until(&mut reactor, "the other", |driver| driver.taken.contains(&b'!') || driver.reads > 100);
    // The system may be slow to tell of it, the loop is not: a mouthful or a few, not 700.
    assert!(reactor.driver().reads - before < 90, "{} turns", reactor.driver().reads - before);
    until(&mut reactor, "all of it", |driver| driver.received == 5001);
    let mut taken = std::mem::take(&mut reactor.parts().0.taken);
    taken.retain(|&it| it != b'!');
    assert_eq!(taken, sent);
}

#[test]
fn what_is_given_back_waits_while_paused_or_choked_and_goes_with_the_connection() {
    let marks = Marks { low: 10, high: 100, full: 1 << 20 };
    let (mut reactor, address) = echo(Limits { marks, ..Limits::default() });
    let (mut hungry, token) = connect(&mut reactor, address);
    reactor.parts().0.mouthful = Some(5);
    hungry.write_all(b"hello again").unwrap();
    until(&mut reactor, "a mouthful", |driver| driver.reads == 1);
    reactor.parts().1.pause(token);
    for _ in 0..20 {
        reactor.turn(Some(Duration::from_millis(1))).unwrap();
    }
    assert_eq!(reactor.driver().taken, b"hello");
    reactor.parts().1.resume(token);
    until(&mut reactor, "the second", |driver| driver.taken == b"hello again");
    // Each answer is above the high mark: nothing more is looked at until the peer has taken it.
    let answer: Arc<[u8]> = vec![7; 16 << 20].into();
    reactor.parts().0.answer = Some(answer);
    hungry.write_all(b"one two three").unwrap();
    until(&mut reactor, "the third", |driver| driver.reads == 4);
    for _ in 0..20 {
        reactor.turn(Some(Duration::from_millis(1))).unwrap();
    }
    assert_eq!(reactor.driver().reads, 4, "the rest waits behind an answer that is not read");
    // Closing forgets it.
    reactor.parts().1.close(token, Close::Now);
    until(&mut reactor, "the end", |driver| driver.seen.contains(&Seen::Closed(Closed::Asked)));
    assert_eq!(reactor.driver().reads, 4);
}

#[test]
fn the_end_comes_behind_what_was_given_back() {
    let (mut reactor, address) = echo(Limits::default());
    let (mut hungry, _) = connect(&mut reactor, address);
    reactor.parts().0.mouthful = Some(3);
    hungry.write_all(b"the last words").unwrap();
    hungry.shutdown(Shutdown::Write).unwrap();
    until(&mut reactor, "the end", |driver| driver.seen.contains(&Seen::Finished));
    assert_eq!(reactor.driver().taken, b"the last words");
}

#[test]
fn timers_fire_in_order_move_when_set_again_and_not_when_cleared() {
    let (mut reactor, address) = echo(Limits::default());
    let (_stream, token) = connect(&mut reactor, address);
    let ms = Duration::from_millis;
    let (_, mut ctx) = reactor.parts();
    ctx.set_timer(token, Timer::First, ms(20));
    ctx.set_timer(token, Timer::Second, ms(40));
    ctx.set_timer(token, Timer::Third, ms(30));
    ctx.set_timer(token, Timer::First, ms(120));
    ctx.clear_timer(token, Timer::Third);
    ctx.set_alarm(5, ms(80));
    let seen = |driver: &mut Echo| driver.seen.contains(&Seen::Timer(Timer::First));
    until(&mut reactor, "timers", seen);
    let expected = [Seen::Timer(Timer::Second), Seen::Alarm(5), Seen::Timer(Timer::First)];
    assert_eq!(reactor.driver().seen[1..], expected);
}

#[test]
fn mail_wakes_the_loop_and_a_full_box_gives_it_back() {
    let (mut reactor, _) = echo(Limits { mailbox_max: 3, ..Limits::default() });
    let mail = reactor.mail();
    for n in 0..3 {
        mail.post(n).unwrap();
    }
    assert_eq!(mail.post(3), Err(Undelivered::Full(3)));
    until(&mut reactor, "mail", |driver| driver.mail == [0, 1, 2]);
    let poster = {
        let mail = mail.clone();
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(50));
            mail.post(4).unwrap();
        })
    };
    let started = Instant::now();
    while reactor.driver().mail.len() < 4 {
        reactor.turn(Some(SOON)).unwrap();
        assert!(started.elapsed() < SOON / 2, "nobody woke the loop");
    }
    poster.join().unwrap();
    drop(reactor);
    assert_eq!(mail.post(5), Err(Undelivered::Gone(5)));
}

#[test]
fn mail_of_many_threads_arrives_once_each_and_in_their_order() {
    let (mut reactor, _) = echo(Limits::default());
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let mail = reactor.mail();
            thread::spawn(move || {
                for n in 0..5000 {
                    let mut wanted = thread << 16 | n;
                    while let Err(Undelivered::Full(back)) = mail.post(wanted) {
                        wanted = back;
                        thread::yield_now();
                    }
                }
            })
        })
        .collect();
    until(&mut reactor, "20,000 messages", |driver| driver.mail.len() == 20_000);
    for thread in threads {
        thread.join().unwrap();
    }
    for thread in 0..4 {
        let of_thread = reactor.driver().mail.iter().filter(|&&it| it >> 16 == thread);
        assert!(of_thread.map(|it| it & 0xFFFF).eq(0..5000));
    }
}

/// A chat of lines: each goes to everyone, as one shared segment.
#[derive(Default)]
struct Lines {
    members: Vec<(Token, Vec<u8>)>,
    dropped: Vec<Closed>,
    refused: usize,
}

impl Driver for Lines {
    type Mail = ();

    fn accepted(&mut self, _: &mut Ctx<'_>, token: Token, _: usize, _: Peer) {
        self.members.push((token, Vec::new()));
    }

    fn received(&mut self, ctx: &mut Ctx<'_>, token: Token, bytes: &mut [u8]) {
        let member = self.members.iter_mut().find(|it| it.0 == token).unwrap();
        member.1.extend_from_slice(bytes);
        while let Some(member) = self.members.iter_mut().find(|it| it.0 == token)
            && let Some(end) = member.1.iter().position(|&it| it == b'\n')
        {
            let line: Arc<[u8]> = member.1.drain(..=end).collect();
            for &(to, _) in &self.members {
                if ctx.send_shared(to, Arc::clone(&line)) == Sent::Full {
                    // A slow consumer gets a last word instead of the rest.
                    self.refused += 1;
                    ctx.discard_unsent(to);
                    ctx.send_owned(to, &mut b"too slow\n".to_vec());
                    ctx.close(to, Close::Linger);
                }
            }
        }
    }

    fn closed(&mut self, _: &mut Ctx<'_>, token: Token, why: Closed) {
        self.members.retain(|it| it.0 != token);
        self.dropped.push(why);
    }
}

#[test]
fn much_in_one_turn_is_no_reason_to_refuse_a_peer_who_would_take_it() {
    let (listener, address) = listener();
    let marks = Marks { low: 1 << 10, high: 4 << 10, full: 8 << 10 };
    let limits = Limits { marks, ..Limits::default() };
    let mut reactor = Reactor::new(Lines::default(), vec![listener], limits).unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    until(&mut reactor, "join", |driver| !driver.members.is_empty());
    let token = reactor.driver().members[0].0;
    let (_, mut ctx) = reactor.parts();
    for _ in 0..6 {
        let sent = ctx.send_owned(token, &mut vec![7; 4 << 10]);
        assert!(matches!(sent, Sent::Queued | Sent::High), "{sent:?}");
    }
    reactor.turn(Some(Duration::ZERO)).unwrap();
    stream.read_exact(&mut [0; 24 << 10]).unwrap();
}

#[test]
fn a_broadcast_reaches_all_and_a_member_who_never_reads_gets_a_last_word_only() {
    let (listener, address) = listener();
    let mut reactor = Reactor::new(Lines::default(), vec![listener], Limits::default()).unwrap();
    let join = |reactor: &mut Reactor<Lines>| {
        let before = reactor.driver().members.len();
        let stream = TcpStream::connect(address).unwrap();
        until(reactor, "join", |driver| driver.members.len() > before);
        stream
    };
    let mut mute = join(&mut reactor);
    let readers: Vec<_> = (0..3).map(|_| join(&mut reactor)).collect();
    let mut speaker = readers[0].try_clone().unwrap();
    let total = 300;
    let line = [vec![b'x'; 99_999], vec![b'\n']].concat();
    let readers: Vec<_> = readers
        .into_iter()
        .map(|mut stream| {
            thread::spawn(move || {
                let mut left = total * 100_000;
                let mut buffer = vec![0; 65_536];
                while left > 0 {
                    left -= stream.read(&mut buffer).unwrap();
                }
            })
        })
        .collect();
    let speaker = thread::spawn(move || {
        for _ in 0..total {
            speaker.write_all(&line).unwrap();
        }
    });
    until(&mut reactor, "the whole", |_| readers.iter().all(thread::JoinHandle::is_finished));
    for reader in readers {
        reader.join().unwrap();
    }
    speaker.join().unwrap();
    assert_eq!(reactor.driver().refused, 1);
    let reader = thread::spawn(move || {
        let mut heard = Vec::new();
        mute.read_to_end(&mut heard).unwrap();
        heard
    });
    until(&mut reactor, "its end", |_| reader.is_finished());
    let heard = reader.join().unwrap();
    assert!(heard.len() < total * 100_000 && heard.ends_with(b"x\ntoo slow\n"));
    assert_eq!((heard.len() - 9) % 100_000, 0, "what was cut was cut between lines");
}

#[test]
fn long_bytes_leave_at_once_but_never_before_others() {
    let (mut reactor, address) = echo(Limits::default());
    let (mut stream, token) = connect(&mut reactor, address);
    let (_, mut ctx) = reactor.parts();
    assert_eq!(ctx.send_owned(token, &mut vec![1; 20_000]), Sent::Queued);
    assert_eq!(ctx.queued(token), 0, "the socket took them");
    let mut heard = vec![0; 20_000];
    stream.read_exact(&mut heard).unwrap();
    assert!(heard.iter().all(|&it| it == 1));
    assert_eq!(ctx.send_owned(token, &mut vec![2; 100]), Sent::Queued);
    assert_eq!(ctx.send_owned(token, &mut vec![3; 20_000]), Sent::Queued);
    assert_eq!(ctx.queued(token), 20_100, "they wait behind the short ones");
    reactor.turn(Some(Duration::ZERO)).unwrap();
    heard.resize(20_100, 0);
    stream.read_exact(&mut heard).unwrap();
    assert!(heard[..100].iter().all(|&it| it == 2) && heard[100..].iter().all(|&it| it == 3));
    // More than any socket takes: the rest waits, counts, and keeps what comes after it behind it.
    let long: Vec<u8> = (0..30_000_000u32).map(|n| n.to_le_bytes()[(n % 3) as usize]).collect();
    let (_, mut ctx) = reactor.parts();
    assert_eq!(ctx.send_owned(token, &mut long.clone()), Sent::High);
    let left = ctx.queued(token);
    assert!(left > 0 && left < long.len(), "{left}");
    assert_eq!(ctx.send_owned(token, &mut vec![4; 20_000]), Sent::Full);
    let reader = thread::spawn(move || {
        let mut heard = vec![0; 30_000_000];
        stream.read_exact(&mut heard).unwrap();
        heard
    });
    until(&mut reactor, "drained", |driver| driver.seen.contains(&Seen::Drained));
    while reactor.parts().1.queued(token) > 0 {
        reactor.turn(Some(Duration::from_millis(5))).unwrap();
    }
    assert!(reader.join().unwrap() == long, "what came differs from what was sent");
}

#[test]
fn slices_leave_at_once_in_order_and_a_part_that_has_begun_is_never_dropped() {
    let (mut reactor, address) = echo(Limits::default());
    let (mut stream, token) = connect(&mut reactor, address);
    let (_, mut ctx) = reactor.parts();
    let slices =
        |parts: &[&'static [u8]]| parts.iter().map(|it| IoSlice::new(it)).collect::<Vec<_>>();
    assert_eq!(ctx.send_slices(token, &mut slices(&[b"ab", b"", b"c", b""])), Sent::Queued);
    assert_eq!(ctx.queued(token), 0, "the socket took them");
    assert_eq!(ctx.send_slices(token, &mut slices(&[b"", b""])), Sent::Queued);
    ctx.send_owned(token, &mut b"d".to_vec());
    assert_eq!(ctx.send_slices(token, &mut slices(&[b"e", b"f"])), Sent::Queued);
    assert_eq!(ctx.queued(token), 3, "they wait behind what waits");
    reactor.turn(Some(Duration::ZERO)).unwrap();
    let mut heard = [0; 6];
    stream.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"abcdef");
    // More than any socket takes, of which some has left: it must be followed by its rest, whatever is dropped.
    let long: Vec<u8> = (0..30_000_000u32).map(|n| n.to_le_bytes()[(n % 3) as usize]).collect();
    let (_, mut ctx) = reactor.parts();
    let (one, two) = long.split_at(100_000);
    let sent = ctx.send_slices(token, &mut [IoSlice::new(one), IoSlice::new(two)]);
    assert_eq!(sent, Sent::High);
    let left = ctx.queued(token);
    assert!(left > 0 && left < long.len(), "{left}");
    assert_eq!(ctx.send_slices(token, &mut slices(&[b"more"])), Sent::Full);
    ctx.discard_unsent(token);
    assert_eq!(ctx.queued(token), left);
    ctx.close(token, Close::Flush);
    let reader = thread::spawn(move || {
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).unwrap();
        heard
    });
    until(&mut reactor, "close", |driver| !closes(driver).is_empty());
    let heard = reader.join().unwrap();
    assert!(heard == long, "{} came", heard.len());
}

#[test]
fn while_much_is_given_back_little_is_read() {
    let limits = Limits { given_back_bytes_max: 50_000, ..Limits::default() };
    let (mut reactor, address) = echo(limits);
    // Takes a byte at a time, and answers none.
    (reactor.parts().0.quiet, reactor.parts().0.mouthful) = (true, Some(1));
    let mut first = connect(&mut reactor, address).0;
    let mut second = connect(&mut reactor, address).0;
    first.write_all(&[1; 60_000]).unwrap();
    until(&mut reactor, "the first read", |driver| driver.received > 2);
    second.write_all(&[2; 60_000]).unwrap();
    until(&mut reactor, "the second read", |driver| driver.taken.contains(&2));
    reactor.parts().0.mouthful = Some(usize::MAX);
    reactor.parts().0.offered.clear();
    // All of it in one go: of the second no more than a piece had been read.
    until(&mut reactor, "the rest", |driver| driver.received == 120_000);
    let offered = &reactor.driver().offered;
    assert!(offered.iter().any(|&it| it > 50_000), "{offered:?}");
    assert!(offered.iter().any(|&it| it > 4000 && it <= 4096), "{offered:?}");
}
