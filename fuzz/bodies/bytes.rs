//! The fuzzer's bytes as choices: a few at the front choose, the rest is what is tried. Where they
//! run out the choice is 0, so that every input means something.

/// Bytes not yet used for a choice.
#[derive(Clone, Copy)]
pub struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    pub fn flag(&mut self) -> bool {
        self.byte() & 1 != 0
    }

    pub fn u16(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// At most `len` bytes.
    pub fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }

    pub fn pick<T: Copy>(&mut self, among: &[T]) -> T {
        among[usize::from(self.byte()) % among.len()]
    }

    /// A length, then as many bytes, as text.
    pub fn text(&mut self) -> String {
        let len = usize::from(self.byte());
        String::from_utf8_lossy(self.take(len)).into_owned()
    }

    pub fn rest(self) -> &'a [u8] {
        self.0
    }

    /// How what follows is cut into reads: up to seven lengths, taken in turn.
    pub fn cuts(&mut self) -> Cuts {
        let count = usize::from(self.byte() & 7);
        Cuts((0..count).map(|_| usize::from(self.byte())).collect())
    }
}

/// Lengths of reads.
pub struct Cuts(Vec<usize>);

impl Cuts {
    /// `bytes` in pieces, some perhaps empty. Without a length above 0: byte by byte.
    pub fn pieces<'d>(&self, bytes: &'d [u8]) -> Vec<&'d [u8]> {
        if self.0.iter().all(|&len| len == 0) {
            return bytes.chunks(1).collect();
        }
        let mut lens = self.0.iter().cycle();
        let mut pieces = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let len = lens.next().map_or(1, |&len| len.min(rest.len()));
            let (piece, after) = rest.split_at(len);
            pieces.push(piece);
            rest = after;
        }
        pieces
    }
}
