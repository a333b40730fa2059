//! The bytes: the key (4), where the payload begins in its buffer, where it is cut, its length (2),
//! then the payload, which is repeated up to its length.

use sockeye::proto::{MaskKey, apply_mask};

use super::bytes::Bytes;

const GUARD: u8 = 0xA5;

pub fn mask(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let key = [bytes.byte(), bytes.byte(), bytes.byte(), bytes.byte()];
    let offset = usize::from(bytes.byte()) % 80;
    let cut = usize::from(bytes.u16());
    let len = usize::from(bytes.u16()) % 5000;
    let pattern = bytes.rest();
    let payload: Vec<u8> = match pattern {
        [] => vec![0; len],
        _ => pattern.iter().copied().cycle().take(len.max(pattern.len())).collect(),
    };
    let naive: Vec<u8> = payload.iter().zip(key.iter().cycle()).map(|(a, b)| a ^ b).collect();

    let mut buffer = Guarded::new(&payload, offset);
    let (first, rest) = buffer.payload().split_at_mut(cut % (payload.len() + 1));
    let rotated = apply_mask(MaskKey(key), first);
    let end = apply_mask(rotated, rest);
    buffer.assert(&naive);
    let at = |i: usize| key[(payload.len() + i) % 4];
    assert_eq!(end, MaskKey([at(0), at(1), at(2), at(3)]), "the key for what follows");

    let mut buffer = Guarded::new(&payload, offset);
    apply_mask(MaskKey(key), buffer.payload());
    buffer.assert(&naive);

    #[cfg(fuzzing)]
    MaskKey(key).with_each_kernel(|kernel| {
        let mut buffer = Guarded::new(&payload, offset);
        if kernel(buffer.payload()) {
            buffer.assert(&naive);
        }
    });

    #[cfg(fuzzing)]
    MaskKey(key).with_each_mover(|mover| {
        let gap = cut % 200;
        let window = [&vec![GUARD; gap][..], &payload].concat();
        let mut buffer = Guarded::new(&window, offset);
        if mover(buffer.payload(), payload.len()) {
            // What is left behind the payload may be anything that was in the window.
            let mut expected = buffer.payload().to_vec();
            expected[..payload.len()].copy_from_slice(&naive);
            buffer.assert(&expected);
        }
    });
}

/// A payload at an offset of its buffer, with bytes round it that nobody may touch.
struct Guarded {
    bytes: Vec<u8>,
    offset: usize,
    len: usize,
}

impl Guarded {
    fn new(payload: &[u8], offset: usize) -> Self {
        let mut bytes = vec![GUARD; offset];
        bytes.extend_from_slice(payload);
        bytes.extend_from_slice(&[GUARD; 64]);
        Self { bytes, offset, len: payload.len() }
    }

    fn payload(&mut self) -> &mut [u8] {
        &mut self.bytes[self.offset..][..self.len]
    }

    fn assert(&mut self, expected: &[u8]) {
        assert!(self.payload() == expected, "masked otherwise than byte by byte");
        let (before, rest) = self.bytes.split_at(self.offset);
        let guards = before.iter().chain(&rest[self.len..]);
        assert!(
            guards.into_iter().all(|&byte| byte == GUARD),
            "touched a byte that is not its own"
        );
    }
}
