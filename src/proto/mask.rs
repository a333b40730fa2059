//! Masking (RFC 6455 section 5.3): XOR with a rotating key of four bytes.

/// The masking key of a client's frame, as it stands on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub struct MaskKey(pub [u8; 4]);

/// Masks or unmasks `bytes` in place (the operation is its own inverse) and returns the key
/// rotated so that the next bytes of the same payload can be masked with it.
pub fn apply_mask(key: MaskKey, bytes: &mut [u8]) -> MaskKey {
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte ^= key.0[i % 4];
    }
    let mut rotated = key.0;
    rotated.rotate_left(bytes.len() % 4);
    MaskKey(rotated)
}
