//! Long payloads: the same XOR with the widest vectors that the CPU has. The only `unsafe` of the
//! crate lives here, in three kinds: a call that needs a CPU feature, an unaligned vector load from
//! an array, and a store to one. All arithmetic on positions is done by safe slices.
//!
//! Every kernel has one shape. What stands at the two ends is read before anything is written and
//! written after everything else, so it may overlap what lies between; between the ends, whole
//! vectors at aligned addresses, for a store across two cache lines costs two. No byte is masked on
//! its own.

#![allow(unsafe_code)]

use super::{MaskKey, put, xor16};

/// 48 KiB, the first-level data cache of the larger CPUs with AVX-512. What is longer comes from the
/// second level, and from there vectors of 32 bytes were measured 4 % faster than those of 64.
#[cfg(target_arch = "x86_64")]
const NEAR: usize = 48 << 10;

/// Masks `bytes` with the fastest kernel there is here. Correct at any length, worth it above 128.
#[inline]
pub(super) fn long(key: MaskKey, bytes: &mut [u8]) {
    #[cfg(target_arch = "x86_64")]
    {
        if bytes.len() <= NEAR && has!("avx512f") {
            // SAFETY: the CPU has AVX-512F, as just found.
            return unsafe { avx512::mask(key, bytes) };
        }
        if has!("avx2") {
            // SAFETY: the CPU has AVX2, as just found.
            return unsafe { avx2::mask(key, bytes) };
        }
    }
    portable(key, bytes);
}

/// Unmasks the last `len` bytes of `window` to its front, with the fastest kernel there is here. Correct
/// at any length, worth it above 128.
#[inline]
pub(super) fn long_to_front(key: MaskKey, window: &mut [u8], len: usize) {
    #[cfg(target_arch = "x86_64")]
    if has!("avx2") {
        // SAFETY: the CPU has AVX2, as just found.
        return unsafe { avx2::to_front(key, window, len) };
    }
    portable_to_front(key, window, len);
}

/// Whether the CPU has a feature: asked at run time where `std` can (a cached load), else what the
/// build's target promises.
#[cfg(target_arch = "x86_64")]
macro_rules! has {
    ($feature:tt) => {{
        #[cfg(feature = "std")]
        {
            std::arch::is_x86_feature_detected!($feature)
        }
        #[cfg(not(feature = "std"))]
        {
            cfg!(target_feature = $feature)
        }
    }};
}
#[cfg(target_arch = "x86_64")]
use has;

/// No intrinsics: blocks of words that compilers turn into the target's vectors.
#[inline(never)]
fn portable(key: MaskKey, bytes: &mut [u8]) {
    const WIDTH: usize = 16;
    let (Some(&head), Some(&tail)) = (bytes.first_chunk(), bytes.last_chunk()) else {
        for (byte, key) in bytes.iter_mut().zip(key.0.iter().cycle()) {
            *byte ^= key;
        }
        return;
    };
    let (mut head, mut tail) = (head, tail);
    xor16(&mut head, key);
    xor16(&mut tail, key.rotated(bytes.len()));

    let start = WIDTH - bytes.as_ptr().addr() % WIDTH;
    let end = bytes.len() - 1;
    let between = bytes.get_mut(start..end).unwrap_or_default();
    let key = key.rotated(start);
    let (fours, rest) = between.as_chunks_mut::<{ 4 * WIDTH }>();
    for four in fours {
        for place in four.as_chunks_mut().0 {
            xor16(place, key);
        }
    }
    for place in rest.as_chunks_mut().0.iter_mut().take(3) {
        xor16(place, key);
    }

    put(bytes, head, tail);
}

/// No intrinsics, and none needed: what is moved is short.
#[inline(never)]
fn portable_to_front(key: MaskKey, window: &mut [u8], len: usize) {
    const WIDTH: usize = 16;
    let gap = window.len() - len;
    let Some(&(mut tail)) = window[gap..].last_chunk() else {
        for at in 0..len {
            window[at] = window[gap + at] ^ key.0[at % 4];
        }
        return;
    };
    xor16(&mut tail, key.rotated(len));
    for at in (0..len - WIDTH).step_by(WIDTH) {
        if let Some(&(mut piece)) = window[gap + at..].first_chunk() {
            xor16(&mut piece, key);
            window[at..at + WIDTH].copy_from_slice(&piece);
        }
    }
    window[len - WIDTH..len].copy_from_slice(&tail);
}

/// A kernel on vectors of `$width` bytes, in a module of its own.
#[cfg(target_arch = "x86_64")]
macro_rules! vector_kernel {
    ($name:ident, $feature:tt, $width:literal, $vector:ident, $splat:ident, $xor:ident, $load:ident, $store:ident) => {
        mod $name {
            use super::{MaskKey, portable, portable_to_front};
            use core::arch::x86_64::{$load, $splat, $store, $vector, $xor};

            const WIDTH: usize = $width;

            #[target_feature(enable = $feature)]
            pub(super) fn mask(key: MaskKey, bytes: &mut [u8]) {
                let rotated = key.rotated(bytes.len());
                if bytes.len() <= 4 * WIDTH {
                    if bytes.len() >= 2 * WIDTH {
                        return ends::<2>(splat(key), splat(rotated), bytes);
                    } else if bytes.len() >= WIDTH {
                        return ends::<1>(splat(key), splat(rotated), bytes);
                    }
                    return portable(key, bytes);
                }
                // Up to here unaligned stores cost less than a loop that can be left at any turn.
                if bytes.len() <= 8 * WIDTH {
                    return ends::<4>(splat(key), splat(rotated), bytes);
                }
                let (Some(head), Some(tail)) = (bytes.first_chunk(), bytes.last_chunk()) else {
                    return portable(key, bytes);
                };
                let head = $xor(load(head), splat(key));
                let tail = $xor(load(tail), splat(rotated));

                // From the first aligned address after the start, at most one vector in, to the
                // last byte but one: a vector that ends with the payload is the tail already.
                let start = WIDTH - bytes.as_ptr().addr() % WIDTH;
                let end = bytes.len() - 1;
                let between = bytes.get_mut(start..end).unwrap_or_default();
                let key = splat(key.rotated(start));
                let (fours, rest) = between.as_chunks_mut::<{ 4 * WIDTH }>();
                for four in fours {
                    for place in four.as_chunks_mut().0 {
                        store(place, $xor(load(place), key));
                    }
                }
                // There are at most three; saying so spares a loop made for many.
                for place in rest.as_chunks_mut().0.iter_mut().take(3) {
                    store(place, $xor(load(place), key));
                }

                if let Some(place) = bytes.first_chunk_mut() {
                    store(place, head);
                }
                if let Some(place) = bytes.last_chunk_mut() {
                    store(place, tail);
                }
            }

            /// From the back of the window to its front. What is written lies before what is still to be
            /// read, but for the two ends, which are read first and written last.
            #[target_feature(enable = $feature)]
            #[allow(dead_code, reason = "one width is enough for what is moved")]
            pub(super) fn to_front(key: MaskKey, window: &mut [u8], len: usize) {
                let gap = window.len() - len;
                let payload = &window[gap..];
                let (Some(head), Some(tail)) = (payload.first_chunk(), payload.last_chunk()) else {
                    return portable_to_front(key, window, len);
                };
                let head = $xor(load(head), splat(key));
                let tail = $xor(load(tail), splat(key.rotated(len)));

                // Aligned where it is written: for a store across two cache lines costs two.
                let mut at = WIDTH - window.as_ptr().addr() % WIDTH;
                let key = splat(key.rotated(at));
                while at + 4 * WIDTH < len {
                    let Some(from) = window[gap + at..].as_chunks().0.first_chunk::<4>() else {
                        break;
                    };
                    let mut vectors = [key; 4];
                    for (vector, from) in vectors.iter_mut().zip(from) {
                        *vector = $xor(load(from), key);
                    }
                    if let Some(to) = window[at..].as_chunks_mut().0.first_chunk_mut::<4>() {
                        for (place, vector) in to.iter_mut().zip(vectors) {
                            store(place, vector);
                        }
                    }
                    at += 4 * WIDTH;
                }
                while at + WIDTH < len {
                    let Some(from) = window[gap + at..].first_chunk() else {
                        break;
                    };
                    let vector = $xor(load(from), key);
                    if let Some(place) = window[at..].first_chunk_mut() {
                        store(place, vector);
                    }
                    at += WIDTH;
                }

                if let Some(place) = window.first_chunk_mut() {
                    store(place, head);
                }
                if let Some(place) = window[..len].last_chunk_mut() {
                    store(place, tail);
                }
            }

            /// `N` vectors from the front and as many from the back, all read before any is written.
            #[inline]
            #[target_feature(enable = $feature)]
            fn ends<const N: usize>(key: $vector, rotated: $vector, bytes: &mut [u8]) {
                let (Some(heads), Some(tails)) = (
                    bytes.as_chunks().0.first_chunk::<N>(),
                    bytes.as_rchunks().1.last_chunk::<N>(),
                ) else {
                    return;
                };
                let mut vectors = [[key, rotated]; N];
                for ((vector, head), tail) in vectors.iter_mut().zip(heads).zip(tails) {
                    *vector = [$xor(load(head), key), $xor(load(tail), rotated)];
                }
                if let Some(heads) = bytes.as_chunks_mut().0.first_chunk_mut::<N>() {
                    for (place, vector) in heads.iter_mut().zip(vectors) {
                        store(place, vector[0]);
                    }
                }
                if let Some(tails) = bytes.as_rchunks_mut().1.last_chunk_mut::<N>() {
                    for (place, vector) in tails.iter_mut().zip(vectors) {
                        store(place, vector[1]);
                    }
                }
            }

            #[inline]
            #[target_feature(enable = $feature)]
            fn splat(key: MaskKey) -> $vector {
                $splat(key.word().cast_signed())
            }

            #[inline]
            #[target_feature(enable = $feature)]
            fn load(from: &[u8; WIDTH]) -> $vector {
                // SAFETY: the array is as long as the vector, and this load asks no alignment.
                unsafe { $load(from.as_ptr().cast()) }
            }

            #[inline]
            #[target_feature(enable = $feature)]
            fn store(to: &mut [u8; WIDTH], vector: $vector) {
                // SAFETY: the array is as long as the vector, and this store asks no alignment.
                unsafe { $store(to.as_mut_ptr().cast(), vector) }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
vector_kernel!(
    avx2,
    "avx2",
    32,
    __m256i,
    _mm256_set1_epi32,
    _mm256_xor_si256,
    _mm256_loadu_si256,
    _mm256_storeu_si256
);
#[cfg(target_arch = "x86_64")]
vector_kernel!(
    avx512,
    "avx512f",
    64,
    __m512i,
    _mm512_set1_epi32,
    _mm512_xor_si512,
    _mm512_loadu_si512,
    _mm512_storeu_si512
);

/// One way of masking, to be tried on its own by tests and fuzzers.
#[cfg(any(test, fuzzing))]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kernel {
    /// Safe code, for any target.
    Portable,
    /// 32 bytes at a time.
    Avx2,
    /// 64 bytes at a time.
    Avx512,
}

#[cfg(any(test, fuzzing))]
impl Kernel {
    /// All of them, whether or not this CPU has them.
    pub(super) const ALL: [Self; 3] = [Self::Portable, Self::Avx2, Self::Avx512];

    /// Masks `bytes` with this kernel at whatever length; `false`, and nothing done, where the CPU
    /// has it not.
    pub(super) fn mask(self, key: MaskKey, bytes: &mut [u8]) -> bool {
        match self {
            Self::Portable => portable(key, bytes),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the CPU has AVX2, as the guard found.
            Self::Avx2 if std::is_x86_feature_detected!("avx2") => unsafe {
                avx2::mask(key, bytes);
            },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the CPU has AVX-512F, as the guard found.
            Self::Avx512 if std::is_x86_feature_detected!("avx512f") => unsafe {
                avx512::mask(key, bytes);
            },
            _ => return false,
        }
        true
    }

    /// Unmasks the last `len` bytes of `window` to its front with this kernel; `false`, and nothing done,
    /// where the CPU has it not.
    pub(super) fn to_front(self, key: MaskKey, window: &mut [u8], len: usize) -> bool {
        match self {
            Self::Portable => portable_to_front(key, window, len),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the CPU has AVX2, as the guard found.
            Self::Avx2 if std::is_x86_feature_detected!("avx2") => unsafe {
                avx2::to_front(key, window, len);
            },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the CPU has AVX-512F, as the guard found.
            Self::Avx512 if std::is_x86_feature_detected!("avx512f") => unsafe {
                avx512::to_front(key, window, len);
            },
            _ => return false,
        }
        true
    }
}
