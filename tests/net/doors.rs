//! Listening and accepting: addresses, limits, and no descriptor left.

use super::*;

#[test]
fn out_of_descriptors_the_held_are_served_and_new_ones_get_in_soon_after() {
    const ROLE: &str = "SOCKEYE_TEST_FEW_DESCRIPTORS";
    if std::env::var_os(ROLE).is_none() {
        let me = std::env::current_exe().unwrap();
        let name = "doors::out_of_descriptors_the_held_are_served_and_new_ones_get_in_soon_after";
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
fn a_socket_that_another_thread_accepted_is_served_like_the_rest() {
    let (mut reactor, _) = echo(Limits::default());
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = TcpStream::connect(other.local_addr().unwrap()).unwrap();
    client.write_all(b"early").unwrap();
    let stream = Stream::try_from(other.accept().unwrap().0).unwrap();
    assert_eq!(stream.peer().unwrap(), Peer::Tcp(client.local_addr().unwrap()));
    let token = reactor.parts().1.adopt(stream, 7).unwrap();
    until(&mut reactor, "read", |driver| driver.received == 5);
    assert_eq!(reactor.parts().1.listener(token), Some(7));
    assert_eq!(reactor.driver().seen, [], "it was not accepted here");
    drop(client);
    until(&mut reactor, "close", |driver| closes(driver).len() == 1);
}

#[cfg(unix)]
#[test]
fn two_loops_share_one_listener_and_its_file() {
    use std::os::unix::net::UnixStream;
    let path = std::env::temp_dir().join(format!("sockeye-shared-{}.sock", std::process::id()));
    let one = Listener::bind(&Address::Unix(path.clone()), &ListenOptions::default()).unwrap();
    let two = one.try_clone().unwrap();
    let mut one = Reactor::new(Echo::default(), vec![one], Limits::default()).unwrap();
    let mut two = Reactor::new(Echo::default(), vec![two], Limits::default()).unwrap();
    let clients: Vec<_> = (0..2).map(|_| UnixStream::connect(&path).unwrap()).collect();
    until(&mut one, "both", |driver| driver.tokens.len() == 2);
    two.turn(Some(Duration::from_millis(10))).unwrap();
    assert_eq!(two.driver().tokens.len(), 0, "the other was first");
    drop((one, clients));
    let _third = UnixStream::connect(&path).unwrap();
    until(&mut two, "the third", |driver| driver.tokens.len() == 1);
    drop(two);
    assert!(!path.exists());
}

#[test]
fn a_crowd_at_the_door_comes_in_a_few_at_a_turn() {
    let (mut reactor, address) = echo(Limits { accept_budget: 3, ..Limits::default() });
    let crowd: Vec<_> = (0..10).map(|_| TcpStream::connect(address).unwrap()).collect();
    let mut before = 0;
    let started = Instant::now();
    while before < crowd.len() {
        reactor.turn(Some(Duration::from_millis(5))).unwrap();
        let accepted = reactor.driver().tokens.len();
        assert!(accepted - before <= 3, "{} in one turn", accepted - before);
        before = accepted;
        assert!(started.elapsed() < SOON);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_backlog_is_full() {
    let here = Address::Tcp("127.0.0.1:0".parse().unwrap());
    let few = ListenOptions { backlog: 4, ..ListenOptions::default() };
    let listener = Listener::bind(&here, &few).unwrap();
    let Address::Tcp(address) = listener.address().unwrap() else { panic!("not TCP") };
    let waiting: Vec<_> = (0..12)
        .filter_map(|_| TcpStream::connect_timeout(&address, Duration::from_millis(50)).ok())
        .collect();
    // The system lets one more in than it was told.
    assert!((4..=6).contains(&waiting.len()), "{} of 12 wait", waiting.len());
}
