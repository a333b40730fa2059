//! TLS in the loop, against a client of rustls's that is turned by hand beside it, so that what is on the
//! wire at each moment is the test's choice.

use std::sync::OnceLock;

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{AlertDescription, ClientConfig, ClientConnection, HandshakeKind, RootCertStore};
use sockeye::net::TlsConfig;

use super::*;

/// A server's configuration and that of a client who trusts it.
pub(super) fn configs(version: &'static rustls::SupportedProtocolVersion) -> Configs {
    static CERTIFICATE: OnceLock<(CertificateDer<'static>, Vec<u8>)> = OnceLock::new();
    let (certificate, key) = CERTIFICATE.get_or_init(|| {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        (params.self_signed(&key).unwrap().into(), key.serialize_der())
    });
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = TlsConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], PrivateKeyDer::try_from(key.clone()).unwrap())
        .unwrap();
    let client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Configs { server: Arc::new(server), client: Arc::new(client) }
}

pub(super) struct Configs {
    pub(super) server: Arc<TlsConfig>,
    pub(super) client: Arc<ClientConfig>,
}

const VERSIONS: [&rustls::SupportedProtocolVersion; 2] =
    [&rustls::version::TLS12, &rustls::version::TLS13];

fn secure(limits: Limits, configs: &Configs) -> (Reactor<Echo>, SocketAddr) {
    let (mut reactor, address) = echo(limits);
    reactor.parts().0.tls = Some(Arc::clone(&configs.server));
    (reactor, address)
}

/// A client that never blocks: it does its part once each step.
pub(super) struct Hand {
    pub(super) tls: ClientConnection,
    pub(super) socket: TcpStream,
    pub(super) heard: Vec<u8>,
    /// Encrypted, not sent.
    out: Vec<u8>,
    /// Most bytes written in a step.
    stride: usize,
    reads: bool,
    /// The socket's end.
    eof: bool,
    goodbye: bool,
    fault: Option<rustls::Error>,
}

impl Hand {
    pub(super) fn new(socket: TcpStream, config: &Arc<ClientConfig>) -> Self {
        let name = ServerName::try_from("localhost").unwrap();
        let tls = ClientConnection::new(Arc::clone(config), name).unwrap();
        socket.set_nonblocking(true).unwrap();
        socket.set_nodelay(true).unwrap();
        Self {
            tls,
            socket,
            heard: Vec::new(),
            out: Vec::new(),
            stride: usize::MAX,
            reads: true,
            eof: false,
            goodbye: false,
            fault: None,
        }
    }

    pub(super) fn connect(address: SocketAddr, configs: &Configs) -> Self {
        Self::new(TcpStream::connect(address).unwrap(), &configs.client)
    }

    pub(super) fn say(&mut self, bytes: &[u8]) {
        self.tls.set_buffer_limit(None);
        self.tls.writer().write_all(bytes).unwrap();
    }

    /// Encrypts what was said; what is in `out` can be tampered with before the next step.
    fn encrypt(&mut self) {
        while self.tls.wants_write() {
            self.tls.write_tls(&mut self.out).unwrap();
        }
    }

    pub(super) fn step(&mut self) {
        self.encrypt();
        let mut most = self.stride;
        while !self.out.is_empty() && most > 0 {
            match self.socket.write(&self.out[..self.out.len().min(most)]) {
                Ok(count) => {
                    self.out.drain(..count);
                    most -= count;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // The other side has ended; what it said is still to be read.
                Err(_) => self.out.clear(),
            }
        }
        while self.reads && !self.eof && self.fault.is_none() {
            match self.tls.read_tls(&mut self.socket) {
                Ok(0) => {
                    self.eof = true;
                    break;
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
            match self.tls.process_new_packets() {
                Ok(state) => {
                    let from = self.heard.len();
                    self.heard.resize(from + state.plaintext_bytes_to_read(), 0);
                    self.tls.reader().read_exact(&mut self.heard[from..]).unwrap();
                    self.goodbye |= state.peer_has_closed();
                }
                Err(fault) => self.fault = Some(fault),
            }
            if self.goodbye {
                break;
            }
        }
    }

    /// Whether the socket has ended, once TLS has.
    fn sees_the_end(&mut self) -> bool {
        self.eof |= matches!(self.socket.read(&mut [0; 100]), Ok(0));
        self.eof
    }
}

/// Turns both until `done`, or fails.
pub(super) fn both(
    reactor: &mut Reactor<Echo>,
    hand: &mut Hand,
    what: &str,
    mut done: impl FnMut(&mut Hand, &mut Echo) -> bool,
) {
    let started = Instant::now();
    while !done(hand, reactor.parts().0) {
        hand.step();
        reactor.turn(Some(Duration::from_millis(1))).unwrap();
        assert!(started.elapsed() < SOON, "{what} never happened");
    }
}

fn greeted(reactor: &mut Reactor<Echo>, address: SocketAddr, configs: &Configs) -> (Hand, Token) {
    let before = reactor.driver().tokens.len();
    let mut hand = Hand::connect(address, configs);
    both(reactor, &mut hand, "handshake", |hand, driver| {
        driver.tokens.len() > before && !hand.tls.is_handshaking()
    });
    let token = reactor.driver().tokens[before];
    both(reactor, &mut hand, "the server's end of it", |_, _| true);
    while reactor.parts().1.is_handshaking(token) || reactor.parts().1.queued(token) > 0 {
        hand.step();
        reactor.turn(Some(Duration::from_millis(1))).unwrap();
    }
    (hand, token)
}

fn turns(reactor: &mut Reactor<Echo>, count: usize) {
    for _ in 0..count {
        reactor.turn(Some(Duration::from_millis(2))).unwrap();
    }
}

fn ended(_: &mut Hand, driver: &mut Echo) -> bool {
    !closes(driver).is_empty()
}

#[test]
fn a_large_echo_survives_encryption_byte_for_byte_and_ends_with_a_goodbye() {
    for version in VERSIONS {
        let configs = configs(version);
        let (mut reactor, address) = secure(Limits::default(), &configs);
        let said: Vec<u8> = (0..3_000_000u32).map(|n| n.to_le_bytes()[(n % 3) as usize]).collect();
        let (mut hand, _) = greeted(&mut reactor, address, &configs);
        hand.say(&said);
        hand.tls.send_close_notify();
        both(&mut reactor, &mut hand, "goodbye", |hand, _| hand.goodbye && hand.sees_the_end());
        assert!(hand.heard == said, "{} bytes of {}", hand.heard.len(), said.len());
        both(&mut reactor, &mut hand, "close", ended);
        assert_eq!(closes(reactor.driver()), [Closed::Asked]);
        let finished = reactor.driver().seen.iter().filter(|&it| *it == Seen::Finished).count();
        assert_eq!(finished, 1);
    }
}

#[test]
fn what_is_gathered_of_tls_comes_decrypted_in_one_piece() {
    let configs = configs(VERSIONS[0]);
    let (mut reactor, address) = secure(Limits::default(), &configs);
    let driver = reactor.parts().0;
    (driver.whole, driver.mouthful, driver.quiet) = (Some(300_000), Some(usize::MAX), true);
    let said: Vec<u8> = (0..600_000u32).map(|n| n.to_le_bytes()[(n % 3) as usize]).collect();
    let (mut hand, _) = greeted(&mut reactor, address, &configs);
    hand.say(&said);
    hand.tls.send_close_notify();
    both(&mut reactor, &mut hand, "close", ended);
    let driver = reactor.driver();
    assert!(driver.taken == said, "{} bytes of {}", driver.taken.len(), said.len());
    assert!(driver.reads <= 2, "{} pieces", driver.reads);
}

#[test]
fn a_peer_that_sends_a_byte_at_a_time_is_understood() {
    for version in VERSIONS {
        let configs = configs(version);
        let (mut reactor, address) = secure(Limits::default(), &configs);
        let mut hand = Hand::connect(address, &configs);
        hand.stride = 1;
        hand.say(b"slowly");
        hand.say(&[5; 300]);
        both(&mut reactor, &mut hand, "echo", |hand, _| hand.heard.len() == 306);
        assert!(hand.heard.starts_with(b"slowly"));
        hand.tls.send_close_notify();
        both(&mut reactor, &mut hand, "goodbye", |hand, _| hand.goodbye);
    }
}

#[test]
fn records_that_a_read_cuts_are_joined_and_nothing_waits_for_another_event() {
    for read_bytes in [1, 100, 1024, 20_000] {
        let limits = Limits { read_bytes, read_budget: read_bytes, ..Limits::default() };
        let configs = configs(VERSIONS[1]);
        let (mut reactor, address) = secure(limits, &configs);
        reactor.parts().0.quiet = true;
        let (mut hand, token) = greeted(&mut reactor, address, &configs);
        hand.say(&[8; 50_000]);
        hand.step();
        assert!(hand.out.is_empty(), "all is under way, and nothing more comes");
        until(&mut reactor, "the last byte", |driver| driver.received == 50_000);
        // Above the budget by no more than the record that was begun before.
        let most = reactor.driver().most_received;
        assert!(most <= read_bytes + (18 << 10), "{most} bytes at once");
        assert!(reactor.parts().1.is_open(token));
    }
}

#[test]
fn a_tls_flood_leaves_every_turn_to_the_others() {
    let limits = Limits { read_bytes: 4096, read_budget: 4096, ..Limits::default() };
    let configs = configs(VERSIONS[1]);
    let (mut reactor, address) = secure(limits, &configs);
    let (mut flood, _) = greeted(&mut reactor, address, &configs);
    let (mut other, _) = greeted(&mut reactor, address, &configs);
    reactor.parts().0.quiet = true;
    flood.say(&[0; 1 << 20]);
    flood.step();
    thread::sleep(Duration::from_millis(50));
    for _ in 0..20 {
        let reads = reactor.driver().reads;
        reactor.turn(Some(Duration::ZERO)).unwrap();
        assert!(reactor.driver().reads <= reads + 1, "more than its budget in a turn");
    }
    reactor.parts().0.quiet = false;
    reactor.parts().0.answer = Some(b"pong".as_slice().into());
    other.say(b"ping");
    other.step();
    thread::sleep(Duration::from_millis(50));
    let turns = (1..=3).find(|_| {
        reactor.turn(Some(Duration::ZERO)).unwrap();
        other.step();
        !other.heard.is_empty()
    });
    assert!(turns.is_some(), "no answer within three turns beside a flood");
}

#[test]
fn the_end_is_heard_with_the_last_bytes_by_goodbye_or_without() {
    for (goodbye, fin) in [(true, true), (true, false), (false, true)] {
        for _ in 0..10 {
            let configs = configs(VERSIONS[1]);
            let (mut reactor, address) = secure(Limits::default(), &configs);
            let (mut hand, _) = greeted(&mut reactor, address, &configs);
            hand.say(b"bye");
            if goodbye {
                hand.tls.send_close_notify();
            }
            hand.step();
            if fin {
                hand.socket.shutdown(Shutdown::Write).unwrap();
            }
            until(&mut reactor, "end", |driver| driver.seen.contains(&Seen::Finished));
            assert_eq!(reactor.driver().received, 3);
            // The answer is not lost by that.
            both(&mut reactor, &mut hand, "answer", |hand, _| hand.goodbye);
            assert_eq!(hand.heard, b"bye");
            both(&mut reactor, &mut hand, "close", ended);
            assert_eq!(closes(reactor.driver()), [Closed::Asked]);
        }
    }
}

#[test]
fn what_is_sent_before_the_handshake_is_done_arrives_after_it_however_it_is_closed() {
    for how in [None, Some(Close::Flush), Some(Close::Linger)] {
        for size in [10, 400_000] {
            let configs = configs(VERSIONS[1]);
            let (mut reactor, address) = secure(Limits::default(), &configs);
            // Above the high mark too, where input is not read: the handshake must go on.
            let greeting = vec![3; size];
            reactor.parts().0.greeting = Some((greeting.clone(), how));
            let mut hand = Hand::connect(address, &configs);
            both(&mut reactor, &mut hand, "greeting", |hand, _| hand.heard.len() == size);
            assert!(hand.heard == greeting);
            if how.is_some() {
                both(&mut reactor, &mut hand, "goodbye", |hand, _| hand.goodbye);
                hand.tls.send_close_notify();
                hand.step();
                let _ = hand.socket.shutdown(Shutdown::Write);
                both(&mut reactor, &mut hand, "close", ended);
                assert_eq!(closes(reactor.driver()), [Closed::Asked]);
                assert_eq!(reactor.driver().received, 0);
            }
        }
    }
}

#[test]
fn a_handshake_that_was_paused_goes_on_for_the_sake_of_a_last_word() {
    let configs = configs(VERSIONS[1]);
    for how in [Close::Flush, Close::Linger] {
        let (mut reactor, address) = secure(Limits::default(), &configs);
        let (socket, token) = connect(&mut reactor, address);
        reactor.parts().1.pause(token);
        let mut hand = Hand::new(socket, &configs.client);
        for _ in 0..5 {
            hand.step();
            turns(&mut reactor, 1);
        }
        let (_, mut ctx) = reactor.parts();
        assert!(hand.tls.is_handshaking() && ctx.is_handshaking(token));
        ctx.send_owned(token, &mut b"sorry".to_vec());
        ctx.close(token, how);
        both(&mut reactor, &mut hand, "goodbye", |hand, _| hand.goodbye);
        assert_eq!(hand.heard, b"sorry");
    }
}

#[test]
fn a_handshake_that_never_ends_is_the_drivers_to_end() {
    let configs = configs(VERSIONS[1]);
    for how in [Close::Now, Close::Flush] {
        let (mut reactor, address) = secure(Limits::default(), &configs);
        let (mut stream, token) = connect(&mut reactor, address);
        // A record that is announced and never comes.
        stream.write_all(&[0x16, 3, 1, 1, 0, 1]).unwrap();
        reactor.parts().1.set_timer(token, Timer::First, Duration::from_millis(50));
        let seen = |driver: &mut Echo| driver.seen.contains(&Seen::Timer(Timer::First));
        until(&mut reactor, "deadline", seen);
        let (_, mut ctx) = reactor.parts();
        assert!(ctx.is_open(token) && ctx.is_tls(token) && ctx.is_handshaking(token));
        ctx.close(token, how);
        until(&mut reactor, "close", |driver| closes(driver) == [Closed::Asked]);
    }
}

#[test]
fn an_end_within_the_handshake_is_a_fault_of_tls() {
    let configs = configs(VERSIONS[1]);
    for first in [&[][..], &[0x16, 3, 1]] {
        let (mut reactor, address) = secure(Limits::default(), &configs);
        let (mut stream, _) = connect(&mut reactor, address);
        stream.write_all(first).unwrap();
        drop(stream);
        until(&mut reactor, "close", |driver| !closes(driver).is_empty());
        assert_eq!(closes(reactor.driver()), [Closed::Tls]);
        assert!(!reactor.driver().seen.contains(&Seen::Finished));
    }
}

#[test]
fn what_is_no_tls_gets_an_alert_and_no_reset() {
    let configs = configs(VERSIONS[1]);
    for size in [0, 500_000] {
        let (mut reactor, address) = secure(Limits::default(), &configs);
        let (mut good, _) = greeted(&mut reactor, address, &configs);
        let (mut stream, token) = connect(&mut reactor, address);
        let client = thread::spawn(move || {
            let request =
                [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".as_slice(), &vec![7; size]].concat();
            stream.write_all(&request).unwrap();
            let mut heard = Vec::new();
            stream.read_to_end(&mut heard).unwrap();
            heard
        });
        until(&mut reactor, "close", |driver| !closes(driver).is_empty());
        assert_eq!(closes(reactor.driver()), [Closed::Tls]);
        assert!(!reactor.parts().1.is_open(token));
        let heard = client.join().unwrap();
        assert!(heard.len() == 7 && heard[0] == 0x15 && heard[5] == 2, "{heard:?} is no alert");
        // Nobody else notices.
        good.say(b"still");
        both(&mut reactor, &mut good, "echo", |hand, _| hand.heard == b"still");
    }
}

#[test]
fn a_record_that_was_changed_under_way_ends_it_behind_the_good_ones() {
    for version in VERSIONS {
        let configs = configs(version);
        let (mut reactor, address) = secure(Limits::default(), &configs);
        let (mut hand, token) = greeted(&mut reactor, address, &configs);
        hand.say(b"good");
        hand.encrypt();
        hand.say(b"evil");
        hand.encrypt();
        *hand.out.last_mut().unwrap() ^= 1;
        both(&mut reactor, &mut hand, "alert", |hand, _| hand.fault.is_some());
        let alert = rustls::Error::AlertReceived(AlertDescription::BadRecordMac);
        assert_eq!(hand.fault, Some(alert));
        assert_eq!(reactor.driver().received, 4, "what came before it is good");
        assert_eq!(reactor.parts().1.send_owned(token, &mut b"no".to_vec()), Sent::Gone);
        drop(hand);
        until(&mut reactor, "close", |driver| closes(driver) == [Closed::Tls]);
    }
}

#[test]
fn a_peer_that_refuses_our_certificate_is_told_apart() {
    let configs = configs(VERSIONS[1]);
    let (mut reactor, address) = secure(Limits::default(), &configs);
    let stranger =
        ClientConfig::builder_with_provider(Arc::clone(configs.client.crypto_provider()))
            .with_protocol_versions(&[VERSIONS[1]])
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
    let mut hand = Hand::new(TcpStream::connect(address).unwrap(), &Arc::new(stranger));
    both(&mut reactor, &mut hand, "refusal", |hand, _| hand.fault.is_some());
    hand.step();
    drop(hand);
    until(&mut reactor, "close", |driver| closes(driver) == [Closed::Tls]);
}

#[test]
fn a_handshake_message_without_end_is_not_gathered_for_ever() {
    let configs = configs(VERSIONS[1]);
    let (mut reactor, address) = secure(Limits::default(), &configs);
    let (mut stream, _) = connect(&mut reactor, address);
    stream.set_nonblocking(true).unwrap();
    // A hello of 65,535 bytes in records of one byte each: six times that on the wire.
    let mut records = Vec::new();
    for byte in [1, 0, 0xFF, 0xFF].into_iter().chain(std::iter::repeat_n(0, 65_000)) {
        records.extend_from_slice(&[0x16, 3, 1, 0, 1, byte]);
    }
    let mut sent = 0;
    let started = Instant::now();
    while closes(reactor.driver()).is_empty() {
        if let Ok(count) = stream.write(&records[sent..]) {
            sent += count;
        }
        reactor.turn(Some(Duration::from_millis(1))).unwrap();
        if sent == records.len() || reactor.parts().1.connections() == 0 {
            let _ = stream.shutdown(Shutdown::Write);
        }
        assert!(started.elapsed() < SOON, "{sent} bytes are kept");
    }
    assert_eq!(closes(reactor.driver()), [Closed::Tls]);
}

/// Sends until the socket takes no more and TLS holds what it encrypted, the outbox being empty.
fn clog(reactor: &mut Reactor<Echo>, token: Token) -> usize {
    let mut total = 0;
    let piece: Arc<[u8]> = vec![1; 30_000].into();
    while reactor.parts().1.queued(token) == 0 {
        assert_eq!(reactor.parts().1.send_shared(token, Arc::clone(&piece)), Sent::Queued);
        total += piece.len();
        reactor.turn(Some(Duration::ZERO)).unwrap();
        assert!(total < 64 << 20, "the socket takes everything");
    }
    let queued = reactor.parts().1.queued(token);
    assert!(queued <= 31_000, "{queued} bytes wait, more than was last sent");
    total
}

#[test]
fn ciphertext_that_the_socket_did_not_take_counts_as_waiting_and_a_flush_waits_for_it() {
    let configs = configs(VERSIONS[1]);
    for how in [Close::Flush, Close::Linger] {
        let (mut reactor, address) = secure(Limits::default(), &configs);
        let (mut hand, token) = greeted(&mut reactor, address, &configs);
        let total = clog(&mut reactor, token);
        reactor.parts().1.close(token, how);
        turns(&mut reactor, 5);
        assert_eq!(closes(reactor.driver()), [], "the peer has not got everything");
        both(&mut reactor, &mut hand, "goodbye", |hand, _| hand.goodbye);
        assert_eq!(hand.heard.len(), total);
        drop(hand);
        until(&mut reactor, "close", |driver| closes(driver) == [Closed::Asked]);
    }
}

#[test]
fn what_is_encrypted_already_moves_with_the_session() {
    let configs = configs(VERSIONS[1]);
    let (mut reactor, address) = secure(Limits::default(), &configs);
    let (mut other, _) = echo(Limits::default());
    let (mut hand, token) = greeted(&mut reactor, address, &configs);
    let total = clog(&mut reactor, token);
    let stream = reactor.parts().1.release(token).unwrap();
    assert!(stream.is_tls());
    let token = other.parts().1.adopt(stream, 0).unwrap();
    assert!(other.parts().1.queued(token) > 0);
    both(&mut other, &mut hand, "everything", |hand, _| hand.heard.len() == total);
    assert_eq!(other.parts().1.queued(token), 0);
    assert_eq!(closes(reactor.driver()), []);
}

#[test]
fn what_moved_encrypted_and_is_not_taken_stalls_where_it_came() {
    let configs = configs(VERSIONS[1]);
    let (mut reactor, address) = secure(Limits::default(), &configs);
    let limits = Limits { stall: Duration::from_millis(100), ..Limits::default() };
    let (mut other, _) = echo(limits);
    let (_hand, token) = greeted(&mut reactor, address, &configs);
    clog(&mut reactor, token);
    let stream = reactor.parts().1.release(token).unwrap();
    other.parts().1.adopt(stream, 0).unwrap();
    until(&mut other, "stall", |driver| closes(driver) == [Closed::Stalled]);
}

#[test]
fn no_more_is_encrypted_than_the_socket_is_about_to_take() {
    let configs = configs(VERSIONS[1]);
    let marks = Marks { full: 64 << 20, ..Marks::default() };
    let (mut reactor, address) = secure(Limits { marks, ..Limits::default() }, &configs);
    let (_hand, token) = greeted(&mut reactor, address, &configs);
    let piece: Arc<[u8]> = vec![2; 10_000].into();
    for _ in 0..2000 {
        reactor.parts().1.send_shared(token, Arc::clone(&piece));
    }
    turns(&mut reactor, 2);
    let (_, mut ctx) = reactor.parts();
    assert!(ctx.queued(token) > 5_000_000, "the socket takes everything");
    // What is not encrypted can still be dropped for a last word; what is, not.
    ctx.discard_unsent(token);
    let queued = ctx.queued(token);
    assert!(queued < 100_000, "{queued} bytes are encrypted");
}

#[test]
fn a_peer_that_does_not_take_what_is_encrypted_is_stalled() {
    let configs = configs(VERSIONS[1]);
    let limits = Limits { stall: Duration::from_millis(200), ..Limits::default() };
    let (mut reactor, address) = secure(limits, &configs);
    let (_hand, token) = greeted(&mut reactor, address, &configs);
    clog(&mut reactor, token);
    until(&mut reactor, "stall", |driver| closes(driver) == [Closed::Stalled]);
}

#[test]
fn a_tls_peer_that_never_reads_is_read_no_more_and_what_waits_is_bounded() {
    let configs = configs(VERSIONS[1]);
    let (mut reactor, address) = secure(Limits::default(), &configs);
    let (mut hand, token) = greeted(&mut reactor, address, &configs);
    hand.reads = false;
    let mut sent = 0;
    let mut refused = 0;
    while refused < 50 {
        if hand.out.is_empty() {
            hand.say(&[7; 65_536]);
            sent += 65_536;
            refused = 0;
        }
        refused += 1;
        hand.step();
        reactor.turn(Some(Duration::from_millis(1))).unwrap();
        assert!(sent < 64 << 20, "the flood was swallowed");
    }
    let most = reactor.driver().most_queued;
    let high = Marks::default().high;
    assert!((high..=high + (150 << 10)).contains(&most), "{most} bytes waited");
    hand.reads = true;
    both(&mut reactor, &mut hand, "everything", |hand, _| hand.heard.len() == sent);
    assert!(reactor.driver().seen.contains(&Seen::Drained));
    turns(&mut reactor, 2);
    assert_eq!(reactor.parts().1.queued(token), 0);
}

#[test]
fn a_shut_write_side_says_goodbye_and_still_hears() {
    for version in VERSIONS {
        let configs = configs(version);
        let (mut reactor, address) = secure(Limits::default(), &configs);
        reactor.parts().0.quiet = true;
        let (mut hand, token) = greeted(&mut reactor, address, &configs);
        let (_, mut ctx) = reactor.parts();
        ctx.send_owned(token, &mut b"done".to_vec());
        ctx.shutdown_write(token);
        assert_eq!(ctx.send_owned(token, &mut b"no".to_vec()), Sent::Gone);
        both(&mut reactor, &mut hand, "goodbye", |hand, _| hand.goodbye && hand.sees_the_end());
        assert_eq!(hand.heard, b"done");
        hand.say(b"still here");
        both(&mut reactor, &mut hand, "read", |_, driver| driver.received == 10);
        reactor.parts().1.close(token, Close::Flush);
        until(&mut reactor, "close", |driver| closes(driver) == [Closed::Asked]);
    }
}

#[test]
fn a_paused_tls_connection_is_not_read_until_it_is_resumed() {
    let configs = configs(VERSIONS[1]);
    let (mut reactor, address) = secure(Limits::default(), &configs);
    let (mut hand, token) = greeted(&mut reactor, address, &configs);
    reactor.parts().1.pause(token);
    hand.say(b"hello");
    hand.step();
    turns(&mut reactor, 10);
    assert_eq!(reactor.driver().received, 0);
    reactor.parts().1.resume(token);
    both(&mut reactor, &mut hand, "echo", |hand, _| hand.heard == b"hello");
}

#[test]
fn new_keys_are_taken_and_a_flood_of_them_is_not() {
    let configs = configs(VERSIONS[1]);
    let (mut reactor, address) = secure(Limits::default(), &configs);
    let (mut hand, _) = greeted(&mut reactor, address, &configs);
    for n in 1..=50 {
        hand.tls.refresh_traffic_keys().unwrap();
        hand.say(b"x");
        both(&mut reactor, &mut hand, "echo", |hand, _| hand.heard.len() == n);
    }
    for _ in 0..50 {
        hand.tls.refresh_traffic_keys().unwrap();
    }
    both(&mut reactor, &mut hand, "the end", |hand, _| hand.eof && !hand.goodbye);
    drop(hand);
    until(&mut reactor, "close", |driver| closes(driver) == [Closed::Tls]);
}

#[test]
fn a_peer_that_comes_again_resumes_its_session() {
    for version in VERSIONS {
        let configs = configs(version);
        let (mut reactor, address) = secure(Limits::default(), &configs);
        for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let (mut hand, _) = greeted(&mut reactor, address, &configs);
            hand.say(b"x");
            both(&mut reactor, &mut hand, "echo", |hand, _| hand.heard == b"x");
            assert_eq!(hand.tls.handshake_kind(), Some(expected));
        }
    }
}

#[test]
fn tls_begins_once_before_anything_is_sent_and_without_early_data() {
    let configs = configs(VERSIONS[1]);
    let (mut reactor, address) = echo(Limits::default());
    let (_stream, token) = connect(&mut reactor, address);
    let mut early = TlsConfig::clone(&configs.server);
    early.max_early_data_size = 1000;
    let (_, mut ctx) = reactor.parts();
    let refused = |ctx: &mut Ctx<'_>, config| ctx.start_tls(token, config).unwrap_err();
    let error = refused(&mut ctx, Arc::new(early));
    assert_eq!(error.to_string(), "early data of 1000 bytes is allowed, not 0");
    ctx.send_owned(token, &mut b"plain".to_vec());
    assert_eq!(refused(&mut ctx, Arc::clone(&configs.server)).to_string(), "bytes wait to be sent");
    assert!(!ctx.is_tls(token));
    turns(&mut reactor, 1);
    let (_, mut ctx) = reactor.parts();
    ctx.start_tls(token, Arc::clone(&configs.server)).unwrap();
    let error = refused(&mut ctx, Arc::clone(&configs.server));
    assert_eq!(error.to_string(), "TLS has begun already");
    ctx.close(token, Close::Now);
    assert_eq!(refused(&mut ctx, configs.server).kind(), ErrorKind::NotConnected);
}

#[cfg(unix)]
#[test]
fn tls_runs_over_a_unix_socket_too() {
    use rustls::StreamOwned;
    use std::os::unix::net::UnixStream;
    let path = std::env::temp_dir().join(format!("sockeye-tls-{}.sock", std::process::id()));
    let listener = Listener::bind(&Address::Unix(path.clone()), &ListenOptions::default()).unwrap();
    let mut reactor = Reactor::new(Echo::default(), vec![listener], Limits::default()).unwrap();
    let configs = configs(VERSIONS[1]);
    reactor.parts().0.tls = Some(Arc::clone(&configs.server));
    let client = thread::spawn(move || {
        let name = ServerName::try_from("localhost").unwrap();
        let tls = ClientConnection::new(configs.client, name).unwrap();
        let mut stream = StreamOwned::new(tls, UnixStream::connect(path).unwrap());
        stream.write_all(&[3; 200_000]).unwrap();
        stream.conn.send_close_notify();
        stream.flush().unwrap();
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).unwrap();
        heard.len()
    });
    until(&mut reactor, "close", |driver| closes(driver) == [Closed::Asked]);
    assert_eq!(client.join().unwrap(), 200_000);
}

/// A loop of its own that connects to `address` as a client who trusts by `config`, and keeps what it hears.
fn client(address: SocketAddr, config: &Arc<ClientConfig>) -> (Reactor<Echo>, Token) {
    let (mut reactor, _) = echo(Limits::default());
    let driver = reactor.parts().0;
    (driver.quiet, driver.mouthful) = (true, Some(usize::MAX));
    let stream = Stream::try_from(TcpStream::connect(address).unwrap()).unwrap();
    let (_, mut ctx) = reactor.parts();
    let token = ctx.adopt(stream, 0).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    ctx.start_tls_client(token, Arc::clone(config), name).unwrap();
    (reactor, token)
}

/// Turns both loops until `done` with the client's.
fn together(
    server: &mut Reactor<Echo>,
    client: &mut Reactor<Echo>,
    what: &str,
    mut done: impl FnMut(&Echo) -> bool,
) {
    let started = Instant::now();
    while !done(client.driver()) {
        server.turn(Some(Duration::from_millis(1))).unwrap();
        client.turn(Some(Duration::from_millis(1))).unwrap();
        assert!(started.elapsed() < SOON, "{what} never happened");
    }
}

#[test]
fn a_loop_is_the_client_of_another_and_its_megabytes_come_back() {
    let said: Vec<u8> = (0..3_000_000u32).map(|n| n.to_le_bytes()[(n % 3) as usize]).collect();
    for version in VERSIONS {
        let configs = configs(version);
        let (mut server, address) = secure(Limits::default(), &configs);
        let (mut client, token) = client(address, &configs.client);
        let (_, mut ctx) = client.parts();
        assert!(ctx.is_tls(token) && ctx.is_handshaking(token));
        // Said before the keys are agreed on: it waits for them.
        assert_ne!(ctx.send_owned(token, &mut said.clone()), Sent::Gone);
        together(&mut server, &mut client, "the echo", |it| it.taken.len() == said.len());
        assert!(client.driver().taken == said, "the echo differs from what was said");
        client.parts().1.close(token, Close::Linger);
        together(&mut server, &mut client, "the end", |it| !closes(it).is_empty());
        assert_eq!(client.driver().faults, [None]);
        assert_eq!(closes(server.driver()), [Closed::Asked], "a goodbye, and no reset");
    }
}

#[test]
fn a_client_trusts_nobody_whom_it_does_not_know_and_says_why() {
    for version in VERSIONS {
        let (mut server, address) = secure(Limits::default(), &configs(version));
        let stranger =
            ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_protocol_versions(&[version])
                .unwrap()
                .with_root_certificates(RootCertStore::empty())
                .with_no_client_auth();
        let (mut client, token) = client(address, &Arc::new(stranger));
        client.parts().1.send_owned(token, &mut b"secret".to_vec());
        together(&mut server, &mut client, "the refusal", |it| !closes(it).is_empty());
        assert_eq!(closes(client.driver()), [Closed::Tls]);
        let fault = client.driver().faults[0].clone().unwrap();
        assert!(fault.contains("UnknownIssuer"), "{fault}");
        until(&mut server, "the alert", |driver| !closes(driver).is_empty());
        assert_eq!(server.driver().received, 0);
    }
}
