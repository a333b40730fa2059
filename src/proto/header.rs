//! Bytes to frame header and back (RFC 6455 section 5.2). No state, no allocation, no policy:
//! whether a mask, a reserved bit or a continuation is welcome here is the connection's affair.

use super::{MaskKey, OpCode};

/// The header of one frame, everything before its payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// The last (or only) frame of a message; always set on control frames.
    pub fin: bool,
    /// RSV1, RSV2, RSV3 as the bits `0x4`, `0x2`, `0x1`. RSV1 marks a compressed message (RFC 7692 §6).
    pub rsv: u8,
    /// What the frame is.
    pub opcode: OpCode,
    /// The key, if the payload is masked: every frame of a client, none of a server (§5.1).
    pub mask: Option<MaskKey>,
    /// Bytes of payload that follow. Declared by the sender: limit by it, never reserve by it.
    pub len: u64,
}

/// The bytes that begin a frame can begin no legal one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum HeaderError {
    /// Opcodes 3-7 and 11-15 are reserved (§5.2). Carries the four bits seen.
    ReservedOpcode(u8),
    /// A control frame without FIN (§5.5).
    FragmentedControl(OpCode),
    /// A control frame that declares more than 125 bytes (§5.5).
    ControlTooLong(OpCode),
    /// A length that fits a shorter encoding (§5.2: "the minimal number of bytes MUST be used").
    /// Carries the length.
    LengthNotMinimal(u64),
    /// A 64-bit length with its top bit set (§5.2). Carries the 64 bits.
    LengthTopBit(u64),
}

impl Header {
    /// The longest header: 2 bytes, 8 of length, 4 of key.
    pub const MAX_LEN: usize = 14;

    /// RSV1 in [`Header::rsv`].
    pub const RSV1: u8 = 0x4;

    /// The most payload that a control frame carries (§5.5).
    pub const CONTROL_MAX: usize = 125;

    /// Reads a header from the start of `bytes` and says how many bytes it took; `None` when it is
    /// not complete. What is wrong is found at the earliest byte that shows it, and the same error
    /// comes out however the header was cut.
    ///
    /// ```
    /// # use sockeye::proto::{Header, OpCode};
    /// // RFC 6455 §5.7: a single-frame unmasked text message, "Hello".
    /// let (header, used) = Header::parse(&[0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f])?.unwrap();
    /// assert_eq!((header.opcode, header.fin, header.len, used), (OpCode::Text, true, 5, 2));
    /// assert_eq!(Header::parse(&[0x81])?, None);
    /// # Ok::<(), sockeye::proto::HeaderError>(())
    /// ```
    #[inline]
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, HeaderError> {
        let Some(&first) = bytes.first() else {
            return Ok(None);
        };
        let fin = first & 0x80 != 0;
        let Some(opcode) = OpCode::new(first & 0x0F) else {
            return Err(HeaderError::ReservedOpcode(first & 0x0F));
        };
        // §5.5: a control frame is never fragmented ...
        if opcode.is_control() && !fin {
            return Err(HeaderError::FragmentedControl(opcode));
        }
        let Some(&second) = bytes.get(1) else {
            return Ok(None);
        };
        // ... and carries at most 125 bytes, so it never has an extended length.
        let len7 = second & 0x7F;
        if opcode.is_control() && len7 > 125 {
            return Err(HeaderError::ControlTooLong(opcode));
        }
        let (len, mut used) = match len7 {
            126 => {
                let Some(field) = bytes.get(2..4).and_then(|b| <[u8; 2]>::try_from(b).ok()) else {
                    return Ok(None);
                };
                let len = u64::from(u16::from_be_bytes(field));
                if len < 126 {
                    return Err(HeaderError::LengthNotMinimal(len));
                }
                (len, 4)
            }
            127 => {
                let Some(field) = bytes.get(2..10).and_then(|b| <[u8; 8]>::try_from(b).ok()) else {
                    return Ok(None);
                };
                let len = u64::from_be_bytes(field);
                // §5.2: the most significant bit of a 64-bit length is 0.
                if len >> 63 != 0 {
                    return Err(HeaderError::LengthTopBit(len));
                }
                if len <= 0xFFFF {
                    return Err(HeaderError::LengthNotMinimal(len));
                }
                (len, 10)
            }
            short => (u64::from(short), 2),
        };
        let mask = if second & 0x80 != 0 {
            let Some(key) = bytes.get(used..used + 4).and_then(|b| <[u8; 4]>::try_from(b).ok())
            else {
                return Ok(None);
            };
            used += 4;
            Some(MaskKey(key))
        } else {
            None
        };
        let rsv = (first >> 4) & 0x7;
        Ok(Some((Self { fin, rsv, opcode, mask, len }, used)))
    }

    /// The header as it stands on the wire, with the shortest length encoding.
    ///
    /// Writes what it is given: a caller can build frames that [`Header::parse`] refuses, which tests do.
    ///
    /// ```
    /// # use sockeye::proto::{Header, OpCode};
    /// let header = Header { fin: true, rsv: 0, opcode: OpCode::Binary, mask: None, len: 256 };
    /// assert_eq!(&*header.encode(), &[0x82, 0x7E, 0x01, 0x00]);
    /// ```
    #[inline]
    pub fn encode(&self) -> FrameHead {
        let mut bytes = [0; Self::MAX_LEN];
        bytes[0] = u8::from(self.fin) << 7 | (self.rsv & 0x7) << 4 | self.opcode as u8;
        let mut used = match self.len {
            0..=125 => {
                bytes[1] = self.len.to_be_bytes()[7];
                2
            }
            126..=0xFFFF => {
                bytes[1] = 126;
                bytes[2..4].copy_from_slice(&self.len.to_be_bytes()[6..]);
                4
            }
            _ => {
                bytes[1] = 127;
                bytes[2..10].copy_from_slice(&self.len.to_be_bytes());
                10
            }
        };
        if let Some(MaskKey(key)) = self.mask {
            bytes[1] |= 0x80;
            bytes[usize::from(used)..usize::from(used) + 4].copy_from_slice(&key);
            used += 4;
        }
        FrameHead { bytes, len: used }
    }
}

/// The bytes of an encoded header, on the stack. Dereferences to `[u8]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrameHead {
    bytes: [u8; Header::MAX_LEN],
    len: u8,
}

impl core::ops::Deref for FrameHead {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl core::fmt::Display for HeaderError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::ReservedOpcode(bits) => write!(f, "reserved opcode {bits:#x}"),
            Self::FragmentedControl(opcode) => write!(f, "fragmented {opcode:?} frame"),
            Self::ControlTooLong(opcode) => write!(f, "{opcode:?} frame of more than 125 bytes"),
            Self::LengthNotMinimal(len) => {
                write!(f, "length {len} is not in its shortest encoding")
            }
            Self::LengthTopBit(len) => write!(f, "length {len:#x} has its top bit set"),
        }
    }
}

impl core::error::Error for HeaderError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_parsed_back_and_every_shorter_prefix_asks_for_more() {
        let opcodes = [
            OpCode::Continuation,
            OpCode::Text,
            OpCode::Binary,
            OpCode::Close,
            OpCode::Ping,
            OpCode::Pong,
        ];
        for opcode in opcodes {
            for len in [0, 1, 125, 126, 127, 0xFFFF, 0x1_0000, u64::MAX >> 1] {
                for mask in [None, Some(MaskKey([1, 2, 3, 4]))] {
                    for rsv in 0..8 {
                        if opcode.is_control() && len > 125 {
                            continue;
                        }
                        let header = Header { fin: true, rsv, opcode, mask, len };
                        let head = header.encode();
                        assert_eq!(Header::parse(&head), Ok(Some((header, head.len()))));
                        for cut in 0..head.len() {
                            assert_eq!(
                                Header::parse(&head[..cut]),
                                Ok(None),
                                "{header:?} cut at {cut}"
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn every_first_byte_is_judged_by_its_opcode_and_fin() {
        for first in 0..=255u8 {
            let expected = match first & 0x0F {
                bits @ (3..=7 | 11..=15) => Err(HeaderError::ReservedOpcode(bits)),
                bits @ 8..=10 if first & 0x80 == 0 => {
                    Err(HeaderError::FragmentedControl(OpCode::new(bits).unwrap()))
                }
                _ => Ok(None),
            };
            assert_eq!(Header::parse(&[first]), expected, "{first:#x}");
        }
    }

    #[test]
    fn a_length_must_use_the_fewest_bytes() {
        assert_eq!(Header::parse(&[0x82, 126, 0, 125]), Err(HeaderError::LengthNotMinimal(125)));
        assert!(Header::parse(&[0x82, 126, 0, 126]).is_ok());
        let long = |len: u64| {
            let mut bytes = vec![0x82, 127];
            bytes.extend_from_slice(&len.to_be_bytes());
            Header::parse(&bytes)
        };
        assert_eq!(long(0), Err(HeaderError::LengthNotMinimal(0)));
        assert_eq!(long(0xFFFF), Err(HeaderError::LengthNotMinimal(0xFFFF)));
        assert!(long(0x1_0000).is_ok());
    }

    #[test]
    fn a_64_bit_length_must_not_have_its_top_bit_set() {
        let mut bytes = vec![0x82, 127];
        bytes.extend_from_slice(&(1u64 << 63).to_be_bytes());
        assert_eq!(Header::parse(&bytes), Err(HeaderError::LengthTopBit(1 << 63)));
    }

    #[test]
    fn a_control_frame_carries_at_most_125_bytes() {
        for opcode in [OpCode::Close, OpCode::Ping, OpCode::Pong] {
            let first = 0x80 | opcode as u8;
            assert!(matches!(Header::parse(&[first, 125]), Ok(Some(_))));
            assert_eq!(Header::parse(&[first, 126]), Err(HeaderError::ControlTooLong(opcode)));
            assert_eq!(Header::parse(&[first, 127]), Err(HeaderError::ControlTooLong(opcode)));
        }
    }
}
