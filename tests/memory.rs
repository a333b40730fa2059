//! What the codec allocates: nothing for a whole plain message, and never more than has arrived.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use sockeye::proto::{Config, Connection, Event, Input, Part};
use support::*;

/// Counts what this thread asks for, so that tests side by side do not disturb each other.
struct Counting;

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
    static LIVE: Cell<i64> = const { Cell::new(0) };
    static PEAK: Cell<i64> = const { Cell::new(0) };
}

fn account(delta: i64, call: bool) {
    CALLS.with(|calls| calls.set(calls.get() + u64::from(call)));
    let live = LIVE.with(|live| {
        live.set(live.get() + delta);
        live.get()
    });
    PEAK.with(|peak| peak.set(peak.get().max(live)));
}

fn size(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap()
}

// SAFETY: every call is passed on to the system's allocator unchanged.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        account(size(layout.size()), true);
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        account(-size(layout.size()), false);
        // SAFETY: the caller keeps the contract of `GlobalAlloc::dealloc`.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        account(size(new_size) - size(layout.size()), true);
        // SAFETY: the caller keeps the contract of `GlobalAlloc::realloc`.
        unsafe { System.realloc(ptr, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocator calls, bytes at the highest point and bytes kept, while `work` ran.
fn measure(work: impl FnOnce()) -> (u64, i64, i64) {
    let (calls, live) = (CALLS.get(), LIVE.get());
    PEAK.set(live);
    work();
    (CALLS.get() - calls, PEAK.get() - live, LIVE.get() - live)
}

#[test]
fn echo_of_a_whole_plain_message_allocates_nothing_and_copies_the_payload_once() {
    for len in [0, 20, 125, 126, 1024, 16 << 10, 65_535, 65_536, 1 << 20] {
        for wire in [text(vec![b'x'; len]), binary(vec![0xff; len])] {
            let mut bytes = wire.bytes();
            let mut connection = Connection::server(Config::default());
            let mut out = Vec::with_capacity(len + 14);
            let (calls, ..) = measure(|| {
                let (rx, tx) = connection.split_mut();
                let lent = bytes.as_ptr_range();
                let mut input = Input::new(&mut bytes);
                while let Some(event) = rx.next(&mut input, tx, &mut out).unwrap() {
                    let payload = match event {
                        Event::Text(text) => {
                            tx.text(text, &mut out).unwrap();
                            text.as_bytes()
                        }
                        Event::Binary(bytes) => {
                            tx.binary(bytes, &mut out).unwrap();
                            bytes
                        }
                        _ => unreachable!("one message was sent"),
                    };
                    assert!(lent.contains(&payload.as_ptr()) || len == 0, "the event is the input");
                }
            });
            assert_eq!(calls, 0, "{len} bytes");
            assert_eq!(out, wire.unmasked().bytes());
        }
    }
}

#[test]
fn between_two_messages_nothing_is_kept_on_the_heap() {
    let mut run = Run::server(Config::default());
    run.seen.reserve(100);
    run.out.reserve(100_000);
    let fragmented = wire(&[text("a").more(), ping([1; 125]), continuation(vec![b'b'; 50_000])]);
    for cut in [1, 3, 9, 100, 30_000] {
        let (_, _, kept) = measure(|| {
            run.read(&fragmented[..cut]).read(&fragmented[cut..]).read(&[]);
            run.seen.clear();
            run.out.clear();
        });
        assert_eq!(kept, 0, "cut at {cut}");
        let mut message = Vec::with_capacity(100_000);
        let (_, _, kept) = measure(|| {
            // The end of a message kept whole, then the next in parts, which leaves nothing either.
            run.read(&fragmented[..cut]);
            run.read_parts(&fragmented[cut..], &mut message).read_parts(&[], &mut message);
            run.seen.clear();
            run.out.clear();
            message = Vec::new();
        });
        assert!(kept <= 0, "{kept} bytes, changed over at {cut}");
    }
}

#[test]
fn a_resting_connection_is_small() {
    assert!(size_of::<Connection>() <= 80, "{} bytes", size_of::<Connection>());
}

#[test]
fn a_declared_length_reserves_nothing() {
    let config = std::sync::Arc::new(Config::default().max_payload(u64::MAX));
    for declared in [70_000, 16 << 20, 1 << 40, u64::MAX >> 1] {
        let bytes = binary([7; 100]).declaring(declared).bytes();
        let mut connection = Connection::server(config.clone());
        let mut lent = bytes.clone();
        let mut out = Vec::new();
        let (_, peak, _) = measure(|| {
            let (rx, tx) = connection.split_mut();
            assert_eq!(rx.next(&mut Input::new(&mut lent), tx, &mut out), Ok(None));
        });
        assert!(peak < 1024, "{peak} bytes for a frame that declares {declared}");
    }
}

#[test]
fn reassembly_holds_at_most_twice_what_has_arrived() {
    let piece = continuation(vec![7; 1000]).more().bytes();
    let mut connection = Connection::server(Config::default());
    let mut out = Vec::new();
    let (_, peak, _) = measure(|| {
        let (rx, tx) = connection.split_mut();
        let mut first = binary("").more().bytes();
        rx.next(&mut Input::new(&mut first), tx, &mut out).unwrap();
        for _ in 0..1000 {
            let mut bytes = piece.clone();
            assert_eq!(rx.next(&mut Input::new(&mut bytes), tx, &mut out), Ok(None));
        }
    });
    assert!(peak <= 2 * 1_000_000 + 4096, "{peak} bytes for a message of 1,000,000");
}

#[test]
fn empty_fragments_and_pings_without_end_keep_nothing() {
    let flood = wire(&vec![continuation("").more(); 1000]);
    let pings = wire(&vec![ping([1; 125]); 1000]);
    let mut connection = Connection::server(Config::default());
    let mut out = Vec::with_capacity(16 << 10);
    let (_, peak, _) = measure(|| {
        let (rx, tx) = connection.split_mut();
        let mut first = binary("").more().bytes();
        rx.next(&mut Input::new(&mut first), tx, &mut out).unwrap();
        for bytes in [&flood, &pings] {
            let mut bytes = bytes.clone();
            let mut input = Input::new(&mut bytes);
            while rx.next(&mut input, tx, &mut out).unwrap().is_some() {}
        }
    });
    // The copy of the input itself, and the few words of a message in progress.
    assert!(peak < size(pings.len().max(flood.len())) + 1024, "{peak} bytes");
    assert!(out.len() <= 65 * 127, "{} bytes of pongs", out.len());
}

#[test]
fn a_message_of_a_gibibyte_passes_through_in_bounded_memory() {
    const READ: usize = 64 << 10;
    let total = 1u64 << 30;
    let mut receiver = Connection::server(Config::default().max_payload(u64::MAX));
    let mut scratch = vec![7; READ];
    let mut out = Vec::new();
    let mut received = 0;
    let (_, peak, _) = measure(|| {
        let (rx, tx) = receiver.split_mut();
        let mut head = binary("").declaring(total).bytes();
        let mut input = Input::new(&mut head);
        assert_eq!(rx.next_part(&mut input, tx, &mut out), Ok(None));
        let mut ended = false;
        for _ in 0..total / READ as u64 {
            let mut input = Input::new(&mut scratch);
            while let Some(part) = rx.next_part(&mut input, tx, &mut out).unwrap() {
                let Part::Data { bytes, fin, .. } = part else {
                    panic!("{part:?}");
                };
                received += bytes.len() as u64;
                ended = fin;
            }
        }
        assert!(ended);
    });
    assert_eq!(received, total);
    assert!(peak < 1024, "{peak} bytes");
}

#[cfg(feature = "deflate")]
mod deflate {
    use sockeye::proto::deflate::{Deflate, Params, WindowBits};

    use super::*;

    const PARAMS: Params = Params {
        server_no_context_takeover: true,
        client_no_context_takeover: true,
        server_max_window_bits: WindowBits::MAX,
        client_max_window_bits: WindowBits::MAX,
    };

    /// A message of so many zeros, in fragments, compressed as a client does.
    fn bomb(bytes: usize) -> Vec<u8> {
        let mut client = Connection::client(Config::default(), |bytes: &mut [u8]| bytes.fill(0));
        client.enable_deflate(&PARAMS, &Deflate::default());
        let (_, tx) = client.split_mut();
        let mut out = Vec::new();
        let piece = vec![0; 1 << 20];
        for i in 1..=bytes >> 20 {
            let piece = sockeye::proto::Message::Binary(&piece);
            tx.fragment(piece, i == bytes >> 20, &mut out).unwrap();
        }
        out
    }

    #[test]
    fn a_bomb_is_stopped_before_its_memory_is_spent() {
        let mut bytes = bomb(256 << 20);
        let max = 1 << 20;
        let mut server = Connection::server(Config::default().max_payload(max));
        server.enable_deflate(&PARAMS, &Deflate::default());
        let mut out = Vec::new();
        let (_, peak, _) = measure(|| {
            let (rx, tx) = server.split_mut();
            let mut input = Input::new(&mut bytes);
            let outcome = rx.next(&mut input, tx, &mut out);
            assert_eq!(outcome, Err(sockeye::proto::Violation::InflatedTooLarge { max }));
        });
        // The message as far as the limit (times two, as it grows) and zlib's own state.
        assert!(peak < 2 * (1 << 20) + (512 << 10), "{peak} bytes");
    }

    #[test]
    fn in_parts_a_bomb_is_an_ordinary_message_of_bounded_memory() {
        let mut bytes = bomb(256 << 20);
        let mut server = Connection::server(Config::default().max_payload(u64::MAX));
        server.enable_deflate(&PARAMS, &Deflate::default());
        let mut out = Vec::new();
        let mut total = 0;
        let (_, peak, _) = measure(|| {
            let (rx, tx) = server.split_mut();
            let mut input = Input::new(&mut bytes);
            while let Some(part) = rx.next_part(&mut input, tx, &mut out).unwrap() {
                let Part::Data { bytes, .. } = part else { panic!("{part:?}") };
                total += bytes.len();
            }
        });
        assert_eq!(total, 256 << 20);
        assert!(peak < 512 << 10, "{peak} bytes");
    }

    #[test]
    fn without_takeover_a_resting_connection_keeps_nothing_of_zlib() {
        let mut run = Run::server(Config::default());
        run.connection.enable_deflate(&PARAMS, &Deflate::default());
        run.seen.reserve(100);
        run.out.reserve(100_000);
        let message = bomb(1 << 20);
        // The first message fills the thread's pool.
        run.echo(&message).read(&[]);
        let (_, _, kept) = measure(|| {
            for _ in 0..10 {
                run.seen.clear();
                run.out.clear();
                run.echo(&message).read(&[]);
            }
            run.seen.clear();
        });
        assert_eq!(kept, -(1 << 20), "only the first run's copy of the message went");
    }
}
