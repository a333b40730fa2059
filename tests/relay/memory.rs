//! What a session costs: the hub's heap and tables, as asked of the allocator.

use crate::opening;
use crate::world::World;
use sockeye::relay::{Dialect, Opening};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Counts what this thread asks for, each rounded up as common allocators do: 16 bytes apart, with 8
/// of their own.
struct Counting;

thread_local! {
    static LIVE: Cell<i64> = const { Cell::new(0) };
}

fn account(bytes: usize, sign: i64) {
    let bytes = i64::try_from((bytes + 8).next_multiple_of(16)).unwrap();
    LIVE.with(|live| live.set(live.get() + sign * bytes));
}

// SAFETY: every call is passed on to the system's allocator unchanged.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        account(layout.size(), 1);
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        account(layout.size(), -1);
        // SAFETY: the caller keeps the contract of `GlobalAlloc::dealloc`.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes of the hub for each of so many sessions: numbers in order, which is the worst for a table of
/// them; names in none.
fn each(sessions: u64, dialect: Dialect) -> i64 {
    let mut world = World::new(1);
    for conn in 1..=sessions {
        let user = format!("user-{:06}", conn * 7_919 % 999_983);
        let room = format!("room {}", conn % 100);
        let user = (dialect == Dialect::Chat).then_some(user.as_str());
        world.open(0, conn, &Opening { user, ..opening(conn % 1000, dialect, Some(&room)) });
        world.settle();
        world.told(conn);
    }
    let hub = std::mem::replace(
        &mut world.nodes[0].hub,
        sockeye::relay::Hub::new(sockeye::relay::Config::default()),
    );
    let before = LIVE.with(Cell::get);
    drop(hub);
    (before - LIVE.with(Cell::get)) / i64::try_from(sessions).unwrap()
}

#[test]
fn a_chat_session_with_user_and_room_costs_no_more_than_280_bytes_and_echo_none_but_its_entry() {
    let (chat, raw, echo) = (
        each(10_000, Dialect::Chat),
        each(10_000, Dialect::Broadcast),
        each(10_000, Dialect::Echo),
    );
    println!("bytes of the hub for each session: chat {chat}, raw {raw}, echo {echo}");
    assert!(chat <= 280, "{chat}");
    assert!(raw <= 150, "{raw}");
    assert!(echo <= 36, "{echo}");
}
