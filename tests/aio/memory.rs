//! What a connection allocates.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use futures_util::{SinkExt as _, StreamExt as _};
use sockeye::aio::Message;

use crate::pipe::*;

/// Counts what this thread asks for.
struct Counting;

thread_local! {
    static CALLS: Cell<usize> = const { Cell::new(0) };
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn account(grown: usize, shrunk: usize, call: bool) {
    CALLS.with(|calls| calls.set(calls.get() + usize::from(call)));
    let live = LIVE.with(|live| {
        live.set(live.get().saturating_add_unsigned(grown).saturating_sub_unsigned(shrunk));
        live.get()
    });
    PEAK.with(|peak| peak.set(peak.get().max(live)));
}

// SAFETY: every call is passed on to the system's allocator unchanged.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        account(layout.size(), 0, true);
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        account(0, layout.size(), false);
        // SAFETY: the caller keeps the contract of `GlobalAlloc::dealloc`.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        account(new_size, layout.size(), true);
        // SAFETY: the caller keeps the contract of `GlobalAlloc::realloc`.
        unsafe { System.realloc(ptr, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes at the highest point while `work` ran, beyond those before.
pub(crate) fn peak_of(work: impl FnOnce()) -> isize {
    let before = LIVE.get();
    PEAK.set(before);
    work();
    PEAK.get() - before
}

/// Calls of the allocator while `work` ran, and the bytes that are kept after it.
fn cost_of(work: impl FnOnce()) -> (usize, isize) {
    let (calls, live) = (CALLS.get(), LIVE.get());
    work();
    (CALLS.get() - calls, LIVE.get() - live)
}

#[test]
fn a_small_message_costs_one_allocation_its_own_and_its_echo_none() {
    let (mut ws, peer) = server();
    let bytes = text("a text of some length");
    let mut round = || {
        peer.state().input.extend(&bytes);
        let message = now(ws.next()).unwrap().unwrap();
        // The pipe's own vector, whose place the next line takes.
        now(ws.send(message)).unwrap();
        peer.state().output.clear();
        assert!(poll_once(ws.next()).is_pending());
    };
    // The buffers of the thread, the pipe and the connection come into being.
    round();
    let (calls, kept) = cost_of(|| (0..100).for_each(|_| round()));
    // The pipe allocates once for each read.
    assert_eq!((calls, kept), (200, 0));
}

#[test]
fn a_connection_at_rest_holds_no_more_than_a_little_write_buffer() {
    let (mut ws, peer) = server();
    let large = vec![3; 1 << 20];
    let bytes = said(|tx, out| {
        tx.fragment(sockeye::proto::Message::Binary(&large), false, out).unwrap();
        tx.fragment(sockeye::proto::Message::Binary(&large), true, out).unwrap();
        for _ in 0..1000 {
            tx.text("many at once", out).unwrap();
        }
    });
    assert!(poll_once(ws.next()).is_pending());
    let (_, kept) = cost_of(|| {
        peer.state().input.extend(&bytes);
        for _ in 0..1001 {
            let message = now(ws.next()).unwrap().unwrap();
            now(ws.feed(message)).unwrap();
        }
        now(ws.flush()).unwrap();
        assert!(poll_once(ws.next()).is_pending());
        let mut state = peer.state();
        state.input = Default::default();
        state.output = Vec::new();
    });
    assert!(kept <= 4096, "{kept} bytes");
}

#[test]
fn to_clone_a_message_copies_nothing() {
    let messages = [Message::text("x".repeat(1000)), Message::binary(vec![0; 1000])];
    for message in &messages {
        // Bytes become shared with the first clone.
        let first = message.clone();
        assert_eq!(cost_of(|| drop((message.clone(), first.clone()))).0, 0);
    }
}
