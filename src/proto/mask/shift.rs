//! Unmasking on the way to another place: one pass where a mask and a copy would be two, of which the
//! second would wait for what the first has just written.

use super::{MaskKey, kernels, put, xor16};

/// Unmasks the last `len` bytes of `window`, at most all of them, and leaves them at its front. What
/// was there is overwritten; what lies between is any of the bytes that were in the window.
#[inline]
pub(in crate::proto) fn unmask_to_front(key: MaskKey, window: &mut [u8], len: usize) {
    let Some(gap) = window.len().checked_sub(len) else {
        debug_assert!(false, "the window is shorter than the payload");
        return;
    };
    let rotated = key.rotated(len);
    match len {
        0..4 => {
            for (at, key) in (0..len).zip(key.0) {
                window[at] = window[gap + at] ^ key;
            }
        }
        4..8 => {
            let (Some(&head), Some(&tail)) = (window[gap..].first_chunk(), window.last_chunk())
            else {
                return;
            };
            let head = u32::from_ne_bytes(head) ^ key.word();
            let tail = u32::from_ne_bytes(tail) ^ rotated.word();
            put(&mut window[..len], head.to_ne_bytes(), tail.to_ne_bytes());
        }
        8..16 => {
            let (Some(&head), Some(&tail)) = (window[gap..].first_chunk(), window.last_chunk())
            else {
                return;
            };
            let head = u64::from_ne_bytes(head) ^ key.word64();
            let tail = u64::from_ne_bytes(tail) ^ rotated.word64();
            put(&mut window[..len], head.to_ne_bytes(), tail.to_ne_bytes());
        }
        16..=32 => ends::<1>(key, rotated, window, len),
        33..=64 => ends::<2>(key, rotated, window, len),
        65..=128 => ends::<4>(key, rotated, window, len),
        _ => kernels::long_to_front(key, window, len),
    }
}

/// As the masking in place does it: everything is read before anything is written.
#[inline(always)]
fn ends<const N: usize>(key: MaskKey, rotated: MaskKey, window: &mut [u8], len: usize) {
    let gap = window.len() - len;
    let (Some(&heads), Some(&tails)) =
        (window[gap..].as_chunks().0.first_chunk::<N>(), window.as_rchunks().1.last_chunk::<N>())
    else {
        return;
    };
    let (mut heads, mut tails): ([[u8; 16]; N], [[u8; 16]; N]) = (heads, tails);
    for (head, tail) in heads.iter_mut().zip(&mut tails) {
        xor16(head, key);
        xor16(tail, rotated);
    }
    let payload = &mut window[..len];
    if let Some(place) = payload.as_chunks_mut().0.first_chunk_mut::<N>() {
        *place = heads;
    }
    if let Some(place) = payload.as_rchunks_mut().1.last_chunk_mut::<N>() {
        *place = tails;
    }
}
