//! What a connection costs while nothing happens on it: counted by the allocator, on the loop's thread.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use super::*;

/// Counts what this thread holds.
struct Counting;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
}

fn account(delta: isize) {
    LIVE.with(|live| live.set(live.get() + delta));
}

// SAFETY: every call is passed on to the system's allocator unchanged.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        account(layout.size().cast_signed());
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        account(-layout.size().cast_signed());
        // SAFETY: the caller keeps the contract of `GlobalAlloc::dealloc`.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Below nothing, if the thread frees what others gave it.
fn live() -> isize {
    LIVE.with(Cell::get)
}

#[test]
fn an_idle_connection_is_small() {
    let bytes = Reactor::<Echo>::CONNECTION_BYTES;
    println!("a place of {bytes} bytes");
    // mio's sockets are larger where they check which loop they belong to.
    assert!(bytes <= if cfg!(debug_assertions) { 96 } else { 80 }, "{bytes} bytes");
    assert_eq!(size_of::<Outbox>(), 8);
}

#[test]
fn one_message_for_a_crowd_costs_each_receiver_64_bytes_at_most_until_it_is_sent() {
    const COUNT: usize = 1000;
    let message: Arc<[u8]> = [7; 100].into();
    let mut spare = sockeye::net::Spare::default();
    let mut outboxes: Vec<Outbox> = (0..COUNT).map(|_| Outbox::default()).collect();
    let before = live();
    for outbox in &mut outboxes {
        outbox.push_shared(Arc::clone(&message), &mut spare);
    }
    let bytes = usize::try_from(live() - before).unwrap() / COUNT;
    // As common allocators round it.
    assert!((bytes + 8).next_multiple_of(16) <= 64, "{bytes} bytes");
    assert!(outboxes.iter().all(|outbox| outbox.bytes() == message.len()));
}

#[cfg(feature = "net-tls")]
#[test]
fn an_idle_tls_connection_holds_its_keys_and_no_buffers() {
    const COUNT: usize = 32;
    for (version, most) in [(&rustls::version::TLS12, 4000), (&rustls::version::TLS13, 4000)] {
        let configs = tls::configs(version);
        let (mut reactor, address) = echo(Limits::default());
        reactor.parts().0.tls = Some(Arc::clone(&configs.server));
        let client = |count| {
            let config = Arc::clone(&configs.client);
            move || {
                let visit = |_| {
                    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
                    let session = rustls::ClientConnection::new(Arc::clone(&config), name).unwrap();
                    let stream = TcpStream::connect(address).unwrap();
                    let mut stream = rustls::StreamOwned::new(session, stream);
                    let mut heard = [0; 20_000];
                    stream.write_all(&heard).unwrap();
                    stream.read_exact(&mut heard).unwrap();
                    stream
                };
                (0..count).map(visit).collect::<Vec<_>>()
            }
        };
        // What all share, and places for as many, are there before.
        let visit = |reactor: &mut Reactor<Echo>| {
            let client = thread::spawn(client(COUNT));
            until(reactor, "handshakes", |_| client.is_finished());
            client.join().unwrap()
        };
        drop(visit(&mut reactor));
        until(&mut reactor, "ends", |driver| closes(driver).len() == COUNT);
        let before = live();
        let held = visit(&mut reactor);
        let bytes = usize::try_from(live() - before).unwrap() / COUNT;
        println!("{bytes} bytes of heap for an idle {version:?} session");
        assert!(bytes <= most, "{bytes} bytes");
        assert_eq!(reactor.parts().1.connections(), COUNT);
        drop(held);
    }
}
