//! The XOR alone. Each candidate masks, in place, payloads that lie one after the other in a piece
//! of memory that the first-level cache holds, or one payload where that is larger. One payload
//! over and over would measure how the CPU forwards a store to the next load, which no server does.
//!
//! `+6` begins each payload six bytes after a boundary of 64, where a frame's header of 2 bytes and
//! key of 4 put it. Every payload has its own key, and every candidate may be inlined into the loop,
//! as in its own crate.

use crate::harness::{Row, Work, table};
use std::cell::RefCell;

type Mask = fn(&mut Memory, usize);

pub fn run() {
    #[cfg_attr(not(feature = "yawc"), allow(unused_mut, reason = "yawc may join"))]
    let mut candidates: Vec<(&str, Mask)> = vec![
        ("sockeye", |m, n| {
            pass(m, n, |key, bytes, _| {
                sockeye::proto::apply_mask(sockeye::proto::MaskKey(key), bytes);
            })
        }),
        ("byte loop", |m, n| {
            pass(m, n, |key, bytes, _| {
                for (i, byte) in bytes.iter_mut().enumerate() {
                    *byte ^= key[i % 4];
                }
            })
        }),
        ("memcpy", |m, n| pass(m, n, |_, bytes, other| bytes.copy_from_slice(other))),
        ("tungstenite", |m, n| pass(m, n, |key, bytes, _| tungstenite::apply_mask(bytes, key))),
        ("fastwebsockets", |m, n| pass(m, n, |key, bytes, _| fastwebsockets::unmask(bytes, key))),
        ("tokio-websockets", |m, n| {
            pass(m, n, |mut key, bytes, _| {
                tokio_websockets::frame(&mut key, bytes);
            })
        }),
        ("sockudo-ws", |m, n| pass(m, n, |key, bytes, _| sockudo_ws::mask::apply_mask(bytes, key))),
    ];
    #[cfg(feature = "yawc")]
    candidates
        .push(("yawc", |m, n| pass(m, n, |key, bytes, _| yawc::mask::apply_mask(bytes, key))));

    let names: Vec<&str> = candidates.iter().map(|c| c.0).collect();
    let sizes = [
        4,
        8,
        16,
        20,
        32,
        64,
        125,
        128,
        256,
        512,
        1 << 10,
        4 << 10,
        16 << 10,
        64 << 10,
        256 << 10,
        1 << 20,
    ];
    let mut inputs = vec![];
    for size in sizes {
        for offset in [0, 6] {
            let label =
                if offset == 0 { format!("{size} B") } else { format!("{size} B +{offset}") };
            inputs.push((label, RefCell::new(Memory::new(|_| size, offset))));
        }
    }
    // Lengths that no branch predictor knows.
    for (label, most) in [("1-125 B mixed +6", 125), ("1-1000 B mixed +6", 1000)] {
        inputs.push((label.into(), RefCell::new(Memory::new(|noise| 1 + noise % most, 6))));
    }

    let rows = inputs.iter().map(|(label, memory)| Row {
        label: label.clone(),
        things: memory.borrow().slots.len(),
        work: candidates
            .iter()
            .map(|&(_, mask)| {
                Some(Box::new(move |times| mask(&mut memory.borrow_mut(), times)) as Work<'_>)
            })
            .collect(),
    });
    table(&names, 2, rounds(), rows);
}

fn rounds() -> usize {
    std::env::args().nth(2).and_then(|n| n.parse().ok()).unwrap_or(201)
}

/// Half of a first-level cache of 32 KiB: the source of the copy has the other half.
const NEAR: usize = 16 << 10;

struct Memory {
    bytes: Vec<u8>,
    other: Vec<u8>,
    slots: Vec<Slot>,
}

struct Slot {
    start: usize,
    end: usize,
    key: [u8; 4],
}

impl Memory {
    fn new(mut len: impl FnMut(usize) -> usize, offset: usize) -> Self {
        let mut slots = vec![];
        let mut noise = 0x2545_F491_u32;
        let mut next = 0;
        loop {
            noise ^= noise << 13;
            noise ^= noise >> 17;
            noise ^= noise << 5;
            let start = next + offset;
            let end = start + len(noise as usize);
            next = end.next_multiple_of(64);
            if next > NEAR && !slots.is_empty() {
                break;
            }
            slots.push(Slot { start, end, key: noise.to_le_bytes() });
        }
        let len = slots.last().map_or(0, |slot| slot.end);
        // The mapping's start is a multiple of 64 at least; put every slot at its place relative to that.
        let mut bytes = vec![1; len + 64];
        let shift = bytes.as_ptr().addr().wrapping_neg() % 64;
        for slot in &mut slots {
            slot.start += shift;
            slot.end += shift;
        }
        bytes.fill(7);
        Self { other: vec![3; bytes.len()], bytes, slots }
    }
}

#[inline(always)]
fn pass(memory: &mut Memory, times: usize, mask: impl Fn([u8; 4], &mut [u8], &[u8])) {
    for _ in 0..times {
        for slot in &memory.slots {
            let (bytes, other) =
                (&mut memory.bytes[slot.start..slot.end], &memory.other[slot.start..slot.end]);
            mask(slot.key, bytes, other);
        }
        std::hint::black_box(&mut *memory);
    }
}

#[allow(dead_code, unexpected_cfgs, unused_imports, clippy::all)]
mod tokio_websockets {
    include!(concat!(env!("OUT_DIR"), "/tokio-websockets.rs"));
}

#[allow(dead_code, clippy::all)]
mod tungstenite {
    /// The file also draws keys, which is not measured.
    mod rand {
        pub(super) fn random() -> [u8; 4] {
            [0; 4]
        }
    }
    include!(concat!(env!("OUT_DIR"), "/tungstenite.rs"));
}
