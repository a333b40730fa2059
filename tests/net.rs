//! The event loop over real sockets: two tiny drivers, an echo and a broadcast of lines, and peers that
//! misbehave. What is bounded is measured in bytes, turns and descriptors, not in seconds.

#![cfg(feature = "net")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use sockeye::net::{
    Address, Close, Closed, Ctx, Driver, Limits, ListenOptions, Listener, Marks, Outbox, Peer,
    Reactor, Sent, Slots, Spare, Timer, Token, Undelivered, Wheel,
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
    /// Bytes to answer each read with, instead of the same.
    answer: Option<Arc<[u8]>>,
    /// How to close on `finished`, if not as by default.
    on_finished: Option<Close>,
    quiet: bool,
}

impl Driver for Echo {
    type Mail = u32;

    fn accepted(&mut self, _: &mut Ctx<'_>, token: Token, listener: usize, _: Peer) {
        self.tokens.push(token);
        self.seen.push(Seen::Accepted(listener));
    }

    fn received(&mut self, ctx: &mut Ctx<'_>, token: Token, bytes: &mut [u8]) {
        self.received += bytes.len();
        self.reads += 1;
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
    let mut taken = 0;
    // Each long segment keeps the next tiny one from being copied behind the one before.
    while ctx.send_shared(token, Arc::clone(&long)) != Sent::Full {
        ctx.send_shared(token, Arc::clone(&tiny));
        taken += 1;
    }
    assert!(taken * (602 + 64) <= (1 << 20) + 666, "{taken} pairs are above the mark");
    let mut more = b"more".to_vec();
    assert_eq!(ctx.send_owned(token, &mut more), Sent::Full);
    assert_eq!(more, b"more", "refused bytes stay with the caller");
}

#[test]
fn a_peer_that_takes_nothing_for_the_stall_time_is_dropped() {
    let limits = Limits { stall: Duration::from_millis(200), ..Limits::default() };
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
    let whole: Arc<[u8]> = vec![1; 12 << 20].into();
    assert_eq!(
        reactor.parts().1.send_shared(token, whole),
        Sent::High,
        "one message of any size is taken"
    );
    let mut some = vec![0; 1 << 20];
    for _ in 0..12 {
        let started = Instant::now();
        while started.elapsed() < Duration::from_millis(100) {
            reactor.turn(Some(Duration::from_millis(10))).unwrap();
        }
        let mut got = 0;
        while got < some.len() {
            got += stream.read(&mut some[got..]).unwrap();
            reactor.turn(Some(Duration::ZERO)).unwrap();
        }
    }
    assert_eq!(closes(reactor.driver()), [], "it took 1 MiB every 100 ms");
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

#[test]
fn out_of_descriptors_the_held_are_served_and_new_ones_get_in_soon_after() {
    const ROLE: &str = "SOCKEYE_TEST_FEW_DESCRIPTORS";
    if std::env::var_os(ROLE).is_none() {
        let me = std::env::current_exe().unwrap();
        let name = "out_of_descriptors_the_held_are_served_and_new_ones_get_in_soon_after";
        let done = std::process::Command::new("sh")
            .args(["-c", "ulimit -n 40 && exec \"$0\" --exact \"$1\" --nocapture"])
            .args([me.as_os_str(), name.as_ref()])
            .env(ROLE, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stdout));
        return;
    }
    let (listener, address) = listener();
    let mut clients = Vec::new();
    // The clients' own descriptors count too: leave the loop with fewer than wait for it.
    let mut reactor = Reactor::new(Echo::default(), vec![listener], Limits::default()).unwrap();
    while let Ok(stream) = TcpStream::connect(address) {
        clients.push(stream);
    }
    let room = clients.len() / 3;
    clients.drain(..room);
    until(&mut reactor, "the limit", |driver| driver.seen.contains(&Seen::Failed));
    for _ in 0..20 {
        reactor.turn(Some(Duration::from_millis(5))).unwrap();
    }
    let failures = |driver: &Echo| driver.seen.iter().filter(|it| **it == Seen::Failed).count();
    let before = failures(reactor.driver());
    // No busy loop: a quarter of a second has a few turns, for the retries.
    let (started, mut turns) = (Instant::now(), 0);
    while started.elapsed() < Duration::from_millis(250) {
        reactor.turn(Some(Duration::from_millis(250))).unwrap();
        turns += 1;
    }
    assert!(turns < 12, "{turns} turns in 250 ms without work");
    assert_eq!(failures(reactor.driver()), before, "retries that fail are not told again");
    // Those that are in are served; those that went away made room, so let some stay.
    let accepted = reactor.driver().tokens.len();
    let held = clients.iter_mut().any(|it| {
        it.write_all(b"x").is_ok() && {
            let received = reactor.driver().received;
            for _ in 0..5 {
                reactor.turn(Some(Duration::from_millis(2))).unwrap();
            }
            reactor.driver().received > received
        }
    });
    assert!(held, "no held client is served");
    let waiting = clients.len();
    clients.truncate(waiting / 2);
    let started = Instant::now();
    until(&mut reactor, "recovery", |driver| driver.tokens.len() > accepted);
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
}

#[test]
fn at_the_connection_limit_one_waits_until_another_goes() {
    let (mut reactor, address) = echo(Limits { connections_max: 1, ..Limits::default() });
    let (first, _) = connect(&mut reactor, address);
    let _second = TcpStream::connect(address).unwrap();
    for _ in 0..20 {
        reactor.turn(Some(Duration::from_millis(2))).unwrap();
    }
    assert_eq!(reactor.driver().tokens.len(), 1);
    drop(first);
    until(&mut reactor, "the second", |driver| driver.tokens.len() == 2);
}

#[test]
fn accepting_can_pause_and_listening_can_end() {
    let (mut reactor, address) = echo(Limits::default());
    reactor.parts().1.pause_accepting();
    let _waiting = TcpStream::connect(address).unwrap();
    for _ in 0..10 {
        reactor.turn(Some(Duration::from_millis(2))).unwrap();
    }
    assert_eq!(reactor.driver().tokens.len(), 0);
    reactor.parts().1.resume_accepting();
    until(&mut reactor, "accept", |driver| driver.tokens.len() == 1);
    reactor.parts().1.stop_listening();
    let refused = TcpStream::connect(address).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
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

#[cfg(unix)]
#[test]
fn a_unix_socket_serves_replaces_an_abandoned_file_and_leaves_none() {
    use std::os::unix::net::{UnixListener, UnixStream};
    let path = std::env::temp_dir().join(format!("sockeye-net-{}.sock", std::process::id()));
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "abandoned");
    let address = Address::Unix(path.clone());
    let listener = Listener::bind(&address, &ListenOptions::default()).unwrap();
    let second = Listener::bind(&address, &ListenOptions::default()).unwrap_err();
    assert_eq!(second.kind(), ErrorKind::AddrInUse, "one that is alive is not replaced");
    let mut reactor = Reactor::new(Echo::default(), vec![listener], Limits::default()).unwrap();
    let client = {
        let path = path.clone();
        thread::spawn(move || {
            let mut stream = UnixStream::connect(path).unwrap();
            stream.write_all(&[3; 300_000]).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            io::copy(&mut stream, &mut io::sink()).unwrap()
        })
    };
    // The client writes all before it reads, so the loop must hold what waits.
    reactor.parts().0.quiet = true;
    until(&mut reactor, "all", |driver| driver.received == 300_000);
    // Two connections: the second bind looked whether anyone is there.
    until(&mut reactor, "ends", |driver| closes(driver) == [Closed::Asked; 2]);
    assert_eq!(client.join().unwrap(), 0);
    drop(reactor);
    assert!(!path.exists());
}

#[test]
fn ipv6_and_ipv4_stand_side_by_side_on_one_port() {
    let v6 = Address::Tcp("[::]:0".parse().unwrap());
    let Ok(v6) = Listener::bind(&v6, &ListenOptions::default()) else {
        eprintln!("skipped: no IPv6 here");
        return;
    };
    let Address::Tcp(address) = v6.address().unwrap() else { panic!("not TCP") };
    let v4 = Address::Tcp(SocketAddr::from(([127, 0, 0, 1], address.port())));
    let v4 = Listener::bind(&v4, &ListenOptions::default()).unwrap();
    let mut reactor = Reactor::new(Echo::default(), vec![v6, v4], Limits::default()).unwrap();
    let six = SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], address.port()));
    let four = SocketAddr::from(([127, 0, 0, 1], address.port()));
    let (_six, _) = connect(&mut reactor, six);
    let (_four, token) = connect(&mut reactor, four);
    assert_eq!(reactor.driver().seen, [Seen::Accepted(0), Seen::Accepted(1)]);
    assert_eq!(reactor.parts().1.listener(token), Some(1));
    assert_eq!(reactor.parts().1.local(token), Some(Peer::Tcp(four)));
}

#[test]
fn a_port_in_use_is_an_error_unless_it_is_shared() {
    let (_listener, address) = listener();
    let taken = Listener::bind(&Address::Tcp(address), &ListenOptions::default()).unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::AddrInUse);
    let shared = ListenOptions { reuse_port: true, ..ListenOptions::default() };
    let first = Listener::bind(&Address::Tcp("127.0.0.1:0".parse().unwrap()), &shared).unwrap();
    Listener::bind(&first.address().unwrap(), &shared).unwrap();
}

#[test]
fn an_idle_connection_is_small() {
    let bytes = Reactor::<Echo>::CONNECTION_BYTES;
    assert!(bytes <= 96, "{bytes} bytes");
    assert_eq!(size_of::<Outbox>(), 8);
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
fn an_outbox_keeps_the_order_of_owned_and_shared_and_holds_nothing_when_empty() {
    let (mut outbox, mut spare) = (Outbox::default(), Spare::default());
    let mut expected = Vec::new();
    for n in 0..400u32 {
        let bytes = vec![n.to_le_bytes()[0]; (n as usize * 37) % 9000];
        expected.extend_from_slice(&bytes);
        if n % 3 == 0 {
            outbox.push_shared(bytes.into(), &mut spare);
        } else {
            let mut bytes = bytes;
            outbox.push_owned(&mut bytes, &mut spare);
            assert!(bytes.is_empty());
        }
        assert_eq!(outbox.bytes(), expected.len());
    }
    /// Takes a little at a time and refuses every other time.
    struct Narrow(Vec<u8>, usize);
    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.write_vectored(&[io::IoSlice::new(bytes)])
        }
        fn write_vectored(&mut self, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
            self.1 += 1;
            if self.1.is_multiple_of(3) {
                return Err(ErrorKind::WouldBlock.into());
            }
            if self.1.is_multiple_of(5) {
                return Err(ErrorKind::Interrupted.into());
            }
            assert!(slices.len() <= 64);
            let mut left = 5003;
            for slice in slices {
                let part = &slice[..slice.len().min(left)];
                assert!(!slice.is_empty(), "an empty slice among many");
                self.0.extend_from_slice(part);
                left -= part.len();
            }
            Ok(5003 - left)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut narrow = Narrow(Vec::new(), 0);
    let mut went = 0;
    loop {
        let (all, bytes) = outbox.flush(&mut narrow, &mut spare).unwrap();
        went += bytes;
        assert_eq!(outbox.bytes(), expected.len() - went);
        if all {
            break;
        }
    }
    assert!(narrow.0 == expected);
    assert!(outbox.is_empty());
    assert_eq!((outbox.bytes(), outbox.cost()), (0, 0));
}

#[test]
fn discarding_keeps_the_segment_that_is_half_sent() {
    struct Three(Vec<u8>, bool);
    impl Write for Three {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if std::mem::replace(&mut self.1, true) {
                return Err(ErrorKind::WouldBlock.into());
            }
            self.0.extend_from_slice(&bytes[..3.min(bytes.len())]);
            Ok(3.min(bytes.len()))
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (mut outbox, mut spare) = (Outbox::default(), Spare::default());
    outbox.push_shared(b"first".as_slice().into(), &mut spare);
    outbox.push_shared(vec![0; 1000].into(), &mut spare);
    let mut to = Three(Vec::new(), false);
    assert_eq!(outbox.flush(&mut to, &mut spare).unwrap(), (false, 3));
    outbox.discard_unsent(&mut spare);
    outbox.push_owned(&mut b" last".to_vec(), &mut spare);
    assert_eq!(outbox.bytes(), 7);
    outbox.flush(&mut to.0, &mut spare).unwrap();
    assert_eq!(to.0, b"first last");
    outbox.push_shared(b"never".as_slice().into(), &mut spare);
    outbox.discard_unsent(&mut spare);
    assert!(outbox.is_empty());
}

proptest::proptest! {
    /// Against a sorted list: the same items, in the same order, whatever is set, cancelled and skipped.
    #[test]
    fn the_wheel_fires_what_a_sorted_list_would(
        steps in proptest::collection::vec((0u64..60_000, 0u8..4), 1..200),
    ) {
        let ms = Duration::from_millis;
        let mut wheel = Wheel::new(ms(1));
        let mut naive: Vec<(u64, usize)> = Vec::new();
        let mut handles = Vec::new();
        let mut now = 0;
        for (n, &(value, action)) in steps.iter().enumerate() {
            match action {
                0 | 1 => {
                    let at = now + value % 20_000;
                    handles.push((wheel.set(ms(at), n), n));
                    naive.push((at.max(now + 1), n));
                }
                2 if !handles.is_empty() => {
                    let which = usize::try_from(value).unwrap() % handles.len();
                    let (handle, item) = handles.swap_remove(which);
                    let pending = naive.iter().any(|it| it.1 == item);
                    proptest::prop_assert_eq!(wheel.cancel(handle), pending.then_some(item));
                    naive.retain(|it| it.1 != item);
                }
                _ => {
                    if let Some(wait) = wheel.wait(ms(now)) {
                        let first = naive.iter().map(|it| it.0).min().unwrap();
                        proptest::prop_assert!(wait <= ms(first.saturating_sub(now)));
                    }
                    now += value % 9000;
                    naive.sort();
                    let due = naive.iter().take_while(|it| it.0 <= now).count();
                    for (_, item) in naive.drain(..due) {
                        proptest::prop_assert_eq!(wheel.pop(ms(now)), Some(item));
                    }
                    proptest::prop_assert_eq!(wheel.pop(ms(now)), None);
                }
            }
            proptest::prop_assert_eq!(wheel.len(), naive.len());
        }
    }

    #[test]
    fn slots_find_what_is_there_and_nothing_else(steps in proptest::collection::vec((0usize..64, proptest::bool::ANY), 1..300)) {
        let mut slots = Slots::new();
        let mut live: Vec<(Token, usize)> = Vec::new();
        let mut dead = Vec::new();
        for (n, &(which, insert)) in steps.iter().enumerate() {
            if insert || live.is_empty() {
                let next = slots.next_token();
                let token = slots.insert(n).unwrap();
                proptest::prop_assert_eq!(next, Some(token));
                live.push((token, n));
            } else {
                let (token, state) = live.swap_remove(which % live.len());
                proptest::prop_assert_eq!(slots.remove(token), Some(state));
                dead.push(token);
            }
            proptest::prop_assert_eq!(slots.len(), live.len());
            for &(token, state) in &live {
                proptest::prop_assert_eq!(slots.get(token), Some(&state));
            }
            for &token in &dead {
                proptest::prop_assert!(slots.get(token).is_none() && slots.get_mut(token).is_none());
            }
        }
    }
}
