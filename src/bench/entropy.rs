//! Mask keys by the million: the system's own randomness, fetched in large pieces. The codec asks once for each
//! 64 frames, and so many system calls showed beside the messages' own.

use std::cell::RefCell;

/// Fills `bytes` with randomness that is strong enough for masks and keys (RFC 6455 §10.3).
pub(super) fn fill(bytes: &mut [u8]) {
    POOL.with_borrow_mut(|pool| pool.fill(bytes));
}

thread_local! {
    static POOL: RefCell<Pool> = RefCell::new(Pool { bytes: vec![0; POOL_BYTES].into(), at: POOL_BYTES });
}

struct Pool {
    bytes: Box<[u8]>,
    /// Everything before is used, once.
    at: usize,
}

impl Pool {
    fn fill(&mut self, mut to: &mut [u8]) {
        while !to.is_empty() {
            if self.at >= self.bytes.len() {
                getrandom::fill(&mut self.bytes)
                    .expect("a system that can open sockets has randomness");
                self.at = 0;
            }
            let fresh = &mut self.bytes[self.at..];
            let count = to.len().min(fresh.len());
            let (now, later) = to.split_at_mut(count);
            now.copy_from_slice(&fresh[..count]);
            self.at += count;
            to = later;
        }
    }
}

/// 16 KiB: 4,096 frames.
const POOL_BYTES: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_piece_is_handed_out_twice() {
        let mut pieces: Vec<[u8; 16]> = Vec::new();
        for _ in 0..3 * POOL_BYTES / 16 {
            let mut piece = [0; 16];
            fill(&mut piece);
            pieces.push(piece);
        }
        pieces.sort_unstable();
        pieces.dedup();
        assert_eq!(pieces.len(), 3 * POOL_BYTES / 16);
    }
}
