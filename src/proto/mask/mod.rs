//! Masking (RFC 6455 section 5.3): XOR with a rotating key of four bytes. Short payloads are masked
//! here, in safe code small enough to be inlined; long ones go to [`kernels`]. Knows no frames and
//! draws no keys: where a payload begins and who chose its key is the connection's affair.

mod kernels;
mod shift;

pub(in crate::proto) use shift::unmask_to_front;

/// The masking key of a client's frame, as it stands on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub struct MaskKey(pub [u8; 4]);

impl MaskKey {
    /// The key for the bytes after the next `len`: its first byte goes with the first of them.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "it is at most 3")]
    const fn rotated(self, len: usize) -> Self {
        // Little-endian on any machine: the first byte on the wire is then the lowest, and
        // turning the word right drops bytes from the front.
        let word = u32::from_le_bytes(self.0);
        Self(word.rotate_right(8 * (len % 4) as u32).to_le_bytes())
    }

    /// The key four bytes at a time, laid out as memory is.
    #[inline]
    const fn word(self) -> u32 {
        u32::from_ne_bytes(self.0)
    }

    #[inline]
    const fn word64(self) -> u64 {
        self.word() as u64 * 0x1_0000_0001
    }

    /// For fuzzers: each kernel by itself, as a function that says whether this CPU has it.
    #[cfg(fuzzing)]
    #[doc(hidden)]
    pub fn with_each_kernel(self, mut each: impl FnMut(&dyn Fn(&mut [u8]) -> bool)) {
        for kernel in kernels::Kernel::ALL {
            each(&|bytes| kernel.mask(self, bytes));
        }
    }

    /// The same, of unmasking the last bytes of a window, so many, to its front.
    #[cfg(fuzzing)]
    #[doc(hidden)]
    pub fn with_each_mover(self, mut each: impl FnMut(&dyn Fn(&mut [u8], usize) -> bool)) {
        for kernel in kernels::Kernel::ALL {
            each(&|window, len| kernel.to_front(self, window, len));
        }
    }
}

/// Masks or unmasks `bytes` in place (the operation is its own inverse, §5.3) and returns the key
/// rotated so that the next bytes of the same payload can be masked with it: however a payload is
/// cut, the outcome is the same.
///
/// Allocates nothing and touches no byte outside `bytes`. With the feature `std` the widest vectors
/// that the CPU has are used (on x86-64: AVX-512, AVX2, SSE2); without it, those that the build's
/// target allows.
///
/// ```
/// use sockeye::proto::{MaskKey, apply_mask};
/// // RFC 6455 §5.7: a single-frame masked text message, "Hello".
/// let key = MaskKey([0x37, 0xfa, 0x21, 0x3d]);
/// let mut payload = [0x7f, 0x9f, 0x4d, 0x51, 0x58];
/// let (first, rest) = payload.split_at_mut(3);
/// let rotated = apply_mask(key, first);
/// apply_mask(rotated, rest);
/// assert_eq!(&payload, b"Hello");
/// ```
#[inline]
pub fn apply_mask(key: MaskKey, bytes: &mut [u8]) -> MaskKey {
    let rotated = key.rotated(bytes.len());
    // The shortest first: what the questions cost is most of what they cost.
    if bytes.len() < 16 {
        if let (Some(&head), Some(&tail)) = (bytes.first_chunk(), bytes.last_chunk()) {
            let head = u64::from_ne_bytes(head) ^ key.word64();
            let tail = u64::from_ne_bytes(tail) ^ rotated.word64();
            put(bytes, head.to_ne_bytes(), tail.to_ne_bytes());
        } else if let (Some(&head), Some(&tail)) = (bytes.first_chunk(), bytes.last_chunk()) {
            let head = u32::from_ne_bytes(head) ^ key.word();
            let tail = u32::from_ne_bytes(tail) ^ rotated.word();
            put(bytes, head.to_ne_bytes(), tail.to_ne_bytes());
        } else {
            for (byte, key) in bytes.iter_mut().zip(key.0) {
                *byte ^= key;
            }
        }
    } else if bytes.len() <= 32 {
        ends::<1>(key, rotated, bytes);
    } else if bytes.len() <= 64 {
        ends::<2>(key, rotated, bytes);
    } else if bytes.len() <= 128 {
        ends::<4>(key, rotated, bytes);
    } else {
        kernels::long(key, bytes);
    }
    rotated
}

/// Masks `N` times 16 bytes from the front and as many from the back, which together are the whole
/// of `bytes`. The two may overlap: both are read before either is written, so a byte that belongs
/// to both is masked once and written twice. The back begins at a phase of `bytes.len() % 4`,
/// whatever its width, so its key is the rotated one.
#[inline(always)]
fn ends<const N: usize>(key: MaskKey, rotated: MaskKey, bytes: &mut [u8]) {
    debug_assert!((16 * N..=32 * N).contains(&bytes.len()));
    let mut heads = [[0; 16]; N];
    let mut tails = [[0; 16]; N];
    if let (Some(head), Some(tail)) =
        (bytes.as_chunks().0.first_chunk::<N>(), bytes.as_rchunks().1.last_chunk::<N>())
    {
        heads = *head;
        tails = *tail;
    }
    for (head, tail) in heads.iter_mut().zip(&mut tails) {
        xor16(head, key);
        xor16(tail, rotated);
    }
    if let Some(place) = bytes.as_chunks_mut().0.first_chunk_mut::<N>() {
        *place = heads;
    }
    if let Some(place) = bytes.as_rchunks_mut().1.last_chunk_mut::<N>() {
        *place = tails;
    }
}

/// Two words rather than one of 16 bytes: that is what compilers make a vector of.
#[inline(always)]
fn xor16(bytes: &mut [u8; 16], key: MaskKey) {
    for word in bytes.as_chunks_mut().0 {
        *word = (u64::from_ne_bytes(*word) ^ key.word64()).to_ne_bytes();
    }
}

/// Writes `head` to the front and `tail` to the back; they may overlap.
#[inline(always)]
fn put<const N: usize>(bytes: &mut [u8], head: [u8; N], tail: [u8; N]) {
    if let Some(place) = bytes.first_chunk_mut() {
        *place = head;
    }
    if let Some(place) = bytes.last_chunk_mut() {
        *place = tail;
    }
}

#[cfg(test)]
mod tests;
