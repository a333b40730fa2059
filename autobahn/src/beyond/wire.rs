//! RFC 6455 section 5 on the wire, written for these tests alone: shares nothing with the codec that is
//! tested, so that a fault of that codec cannot hide here. Builds whatever it is told, right or wrong.

/// The opcodes of §5.2.
pub(crate) const CONTINUATION: u8 = 0x0;
pub(crate) const TEXT: u8 = 0x1;
pub(crate) const BINARY: u8 = 0x2;
pub(crate) const CLOSE: u8 = 0x8;
pub(crate) const PING: u8 = 0x9;
pub(crate) const PONG: u8 = 0xA;

/// The first bits of a frame.
pub(crate) const FIN: u8 = 0x80;
pub(crate) const RSV1: u8 = 0x40;

/// In which form a length is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    Shortest,
    In16,
    In64,
}

/// A frame's head as it is to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    /// FIN, the reserved bits and the opcode.
    pub(crate) first: u8,
    pub(crate) key: Option<[u8; 4]>,
    pub(crate) form: Form,
    /// The length that is told.
    pub(crate) length: u64,
}

impl Head {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mask = if self.key.is_some() { 0x80 } else { 0 };
        let mut out = vec![self.first];
        match (self.form, u8::try_from(self.length), u16::try_from(self.length)) {
            (Form::Shortest, Ok(short @ 0..=125), _) => out.push(mask | short),
            (Form::Shortest | Form::In16, _, Ok(middle)) => {
                out.push(mask | 126);
                out.extend(middle.to_be_bytes());
            }
            _ => {
                out.push(mask | 127);
                out.extend(self.length.to_be_bytes());
            }
        }
        out.extend(self.key.into_iter().flatten());
        out
    }
}

/// A whole frame, its payload masked if there is a key.
pub(crate) fn frame(first: u8, payload: &[u8], key: Option<[u8; 4]>) -> Vec<u8> {
    in_form(first, payload, key, Form::Shortest)
}

/// A whole frame whose length is written in this form, minimal or not.
pub(crate) fn in_form(first: u8, payload: &[u8], key: Option<[u8; 4]>, form: Form) -> Vec<u8> {
    let mut out = Head { first, key, form, length: payload.len() as u64 }.encode();
    out.extend_from_slice(payload);
    if let Some(key) = key {
        let start = out.len() - payload.len();
        unmask(&mut out[start..], key);
    }
    out
}

/// §5.3, octet by octet. Its own reverse.
pub(crate) fn unmask(bytes: &mut [u8], key: [u8; 4]) {
    for (byte, key) in bytes.iter_mut().zip(key.into_iter().cycle()) {
        *byte ^= key;
    }
}

/// A frame that was received, unmasked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Frame {
    pub(crate) first: u8,
    pub(crate) key: Option<[u8; 4]>,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn opcode(&self) -> u8 {
        self.first & 0x0F
    }

    pub(crate) fn is_final(&self) -> bool {
        self.first & FIN != 0
    }

    pub(crate) fn reserved(&self) -> u8 {
        self.first & 0x70
    }
}

/// The frame at the start of `bytes` and its length there; `None` asks for more of them.
///
/// # Errors
///
/// What §5.2 forbids in any frame, as a sentence.
pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(Frame, usize)>, String> {
    let &[first, second, ref rest @ ..] = bytes else { return Ok(None) };
    let (length, at) = match second & 0x7F {
        126 => {
            let Some((length, _)) = rest.split_first_chunk::<2>() else { return Ok(None) };
            let length = u64::from(u16::from_be_bytes(*length));
            if length < 126 {
                return Err(format!("a length of {length} written in 16 bits"));
            }
            (length, 4)
        }
        127 => {
            let Some((length, _)) = rest.split_first_chunk::<8>() else { return Ok(None) };
            let length = u64::from_be_bytes(*length);
            if length < 65_536 || length >> 63 == 1 {
                return Err(format!("a length of {length} written in 64 bits"));
            }
            (length, 10)
        }
        short => (u64::from(short), 2),
    };
    if length > LENGTH_MAX {
        return Err(format!("a frame of {length} octets"));
    }
    let length = usize::try_from(length).map_err(|_| "a frame larger than memory".to_owned())?;
    let (key, at) = if second & 0x80 == 0 {
        (None, at)
    } else {
        let Some(key) = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>()) else {
            return Ok(None);
        };
        (Some(*key), at + 4)
    };
    let Some(payload) = bytes.get(at..at + length) else { return Ok(None) };
    let mut payload = payload.to_vec();
    if let Some(key) = key {
        unmask(&mut payload, key);
    }
    Ok(Some((Frame { first, key, payload }, at + length)))
}

/// More than any of these tests gets back: 512 MiB.
const LENGTH_MAX: u64 = 512 << 20;

/// Deterministic noise: the same octets in each run.
#[derive(Clone, Debug)]
pub(crate) struct Noise(u64);

impl Noise {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub(crate) fn key(&mut self) -> [u8; 4] {
        let [a, b, c, d, ..] = self.next().to_be_bytes();
        [a, b, c, d]
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(len + 8);
        while out.len() < len {
            out.extend(self.next().to_be_bytes());
        }
        out.truncate(len);
        out
    }

    /// Letters, digits and the like: every octet is a character.
    pub(crate) fn letters(&mut self, len: usize) -> Vec<u8> {
        self.bytes(len).into_iter().map(|byte| b' ' + byte % 95).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_section_5_7_are_written_and_read() {
        let key = [0x37, 0xfa, 0x21, 0x3d];
        let masked = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        assert_eq!(frame(FIN | TEXT, b"Hello", Some(key)), masked);
        let (read, len) = parse(&masked).unwrap().unwrap();
        assert_eq!((read.payload.as_slice(), read.key, len), (&b"Hello"[..], Some(key), 11));
        assert_eq!(frame(FIN | TEXT, b"Hello", None), b"\x81\x05Hello");
    }

    #[test]
    fn a_cut_frame_asks_for_more_and_a_long_form_is_refused() {
        let whole = frame(FIN | BINARY, &[7; 300], Some([1, 2, 3, 4]));
        for cut in 0..whole.len() {
            assert_eq!(parse(&whole[..cut]).unwrap(), None, "{cut}");
        }
        assert!(parse(&in_form(FIN | TEXT, b"abc", None, Form::In16)).is_err());
        assert!(parse(&in_form(FIN | TEXT, &[b'a'; 300], None, Form::In64)).is_err());
    }
}
