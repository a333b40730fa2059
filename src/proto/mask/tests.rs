//! Every way of masking against the sentence of RFC 6455 section 5.3:
//! octet i of the payload is XORed with octet i modulo 4 of the key.

use super::kernels::Kernel;
use super::*;
use proptest::prelude::*;
use std::{format, vec, vec::Vec};

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Every length up to where the loops of the widest vectors have turned several times.
const LENGTHS: core::ops::RangeInclusive<usize> = 0..=1100;

/// What stands before and after the payload, and must stand there afterwards.
const GUARD: usize = 64;

fn oracle(key: MaskKey, bytes: &mut [u8]) {
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte ^= key.0[i % 4];
    }
}

/// The key, begun at another of its octets.
fn turned(phase: usize) -> MaskKey {
    MaskKey(core::array::from_fn(|i| KEY[(phase + i) % 4]))
}

/// Bytes without a period that a mask could hide behind.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_u32;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(0x0019_660D).wrapping_add(0x3C6E_F35F);
            state.to_be_bytes()[0]
        })
        .collect()
}

/// A buffer whose first byte lies on a boundary of 64, however the allocator felt.
#[repr(align(64))]
struct Aligned<const N: usize>([u8; N]);

/// Masks every length at every alignment and phase in the midst of other bytes, by `mask`.
fn agrees_with_the_oracle(mut mask: impl FnMut(MaskKey, &mut [u8])) {
    const SIZE: usize = GUARD + 64 + 1100 + GUARD;
    let before = noise(SIZE);
    // The whole buffer as it would be masked from its first byte, by each turn of the key.
    let masked: [Vec<u8>; 4] = core::array::from_fn(|phase| {
        let mut bytes = before.clone();
        oracle(turned(phase), &mut bytes);
        bytes
    });
    let mut buffer = Aligned([0; SIZE]);
    for phase in 0..4 {
        for start in GUARD..GUARD + 64 {
            // The key that a mask from the buffer's first byte begins with, to be at `phase` here.
            let expected = &masked[(phase + 4 - start % 4) % 4];
            for len in LENGTHS {
                let end = start + len;
                buffer.0.copy_from_slice(&before);
                mask(turned(phase), &mut buffer.0[start..end]);
                assert!(
                    buffer.0[start..end] == expected[start..end],
                    "{len} bytes at {start}, phase {phase}: not as the oracle masks them"
                );
                assert!(
                    buffer.0[..start] == before[..start] && buffer.0[end..] == before[end..],
                    "{len} bytes at {start}, phase {phase}: bytes around the payload changed"
                );
            }
        }
    }
}

/// Runs the sweep over one kernel; where the CPU lacks it, says so and passes.
fn kernel_agrees_with_the_oracle(kernel: Kernel) {
    if !kernel.mask(MaskKey(KEY), &mut []) {
        std::eprintln!("{kernel:?} not on this CPU, not tested");
        return;
    }
    agrees_with_the_oracle(|key, bytes| assert!(kernel.mask(key, bytes)));
}

#[test]
fn any_payload_at_any_address_is_masked_as_the_rfc_says() {
    agrees_with_the_oracle(|key, bytes| {
        apply_mask(key, bytes);
    });
}

#[test]
fn the_portable_kernel_masks_as_the_rfc_says() {
    kernel_agrees_with_the_oracle(Kernel::Portable);
}

#[test]
fn the_avx2_kernel_masks_as_the_rfc_says() {
    kernel_agrees_with_the_oracle(Kernel::Avx2);
}

#[test]
fn the_avx512_kernel_masks_as_the_rfc_says() {
    kernel_agrees_with_the_oracle(Kernel::Avx512);
}

/// Unmasks to the front from every distance that matters, every length and alignment, by `shift`.
fn moves_as_the_oracle_unmasks(mut shift: impl FnMut(MaskKey, &mut [u8], usize)) {
    const SIZE: usize = GUARD + 64 + 80 + 1100 + GUARD;
    let before = noise(SIZE);
    let mut buffer = Aligned([0; SIZE]);
    for gap in (0..=17).chain([31, 32, 33, 63, 64, 65, 80]) {
        for start in [GUARD, GUARD + 1, GUARD + 4, GUARD + 31, GUARD + 62] {
            for len in LENGTHS {
                buffer.0.copy_from_slice(&before);
                let (from, end) = (start + gap, start + gap + len);
                let mut expected = before[from..end].to_vec();
                oracle(MaskKey(KEY), &mut expected);
                shift(MaskKey(KEY), &mut buffer.0[start..end], len);
                let what = format!("{len} bytes to {start} by {gap}");
                assert!(buffer.0[start..start + len] == expected, "{what}");
                let (around, after) = (&buffer.0[..start], &buffer.0[end..]);
                assert!(around == &before[..start] && after == &before[end..], "{what}: around");
            }
        }
    }
}

#[test]
fn a_payload_is_unmasked_on_the_way_to_the_front() {
    moves_as_the_oracle_unmasks(unmask_to_front);
}

#[test]
fn every_kernel_unmasks_on_the_way_to_the_front() {
    for kernel in Kernel::ALL {
        if kernel.to_front(MaskKey(KEY), &mut [], 0) {
            moves_as_the_oracle_unmasks(|key, window, len| {
                kernel.to_front(key, window, len);
            });
        } else {
            std::eprintln!("{kernel:?} not on this CPU, not tested");
        }
    }
}

#[test]
fn the_rotated_key_begins_with_the_octet_that_comes_next() {
    assert_eq!(apply_mask(MaskKey(KEY), &mut []), MaskKey(KEY));
    for len in LENGTHS {
        let next = apply_mask(MaskKey(KEY), &mut vec![0; len]);
        assert_eq!(next, turned(len), "{len} bytes");
    }
}

#[test]
fn a_payload_cut_anywhere_is_masked_as_the_whole() {
    for len in (0..=140).chain([255, 256, 257, 512, 513, 577, 1100]) {
        let mut whole = noise(len);
        let end = apply_mask(MaskKey(KEY), &mut whole);
        for cut in 0..=len {
            let mut pieces = noise(len);
            let (first, second) = pieces.split_at_mut(cut);
            let key = apply_mask(MaskKey(KEY), first);
            assert_eq!(apply_mask(key, second), end, "{len} bytes cut at {cut}");
            assert_eq!(pieces, whole, "{len} bytes cut at {cut}");
        }
    }
}

#[test]
fn a_payload_of_many_pages_is_masked_as_the_rfc_says() {
    for len in [4096, 65_535, 65_536, 1 << 20, (1 << 20) + 77] {
        for start in [0, 6, 14, 63] {
            let mut bytes = noise(start + len);
            let mut expected = bytes.clone();
            apply_mask(MaskKey(KEY), &mut bytes[start..]);
            oracle(MaskKey(KEY), &mut expected[start..]);
            assert!(bytes == expected, "{len} bytes from {start}");
            for kernel in Kernel::ALL {
                if kernel.mask(MaskKey(KEY), &mut bytes[start..]) {
                    assert!(bytes == noise(start + len), "{kernel:?}, {len} bytes from {start}");
                    oracle(MaskKey(KEY), &mut bytes[start..]);
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn whatever_the_key_the_payload_and_the_cuts(
        key: [u8; 4],
        payload in prop::collection::vec(any::<u8>(), 0..3000),
        cuts in prop::collection::vec(0.0..1.0f64, 0..6),
    ) {
        let mut expected = payload.clone();
        oracle(MaskKey(key), &mut expected);

        for kernel in Kernel::ALL {
            let mut bytes = payload.clone();
            if kernel.mask(MaskKey(key), &mut bytes) {
                prop_assert!(bytes == expected, "{}", format!("{kernel:?}"));
            }
        }

        let mut bytes = payload.clone();
        let mut rest = &mut bytes[..];
        let mut key = MaskKey(key);
        for cut in cuts {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
            let (piece, after) = rest.split_at_mut((cut * rest.len() as f64) as usize);
            key = apply_mask(key, piece);
            rest = after;
        }
        apply_mask(key, rest);
        prop_assert_eq!(bytes, expected);
    }
}
