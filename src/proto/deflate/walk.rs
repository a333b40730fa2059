//! For tests: the plainest inflater, written from RFC 1951 alone, which tells how far back a stream refers.

use std::collections::HashMap;
use std::vec;
use std::vec::Vec;

struct Bits<'a>(&'a [u8], usize);

impl Bits<'_> {
    fn take(&mut self, count: usize) -> usize {
        (0..count).fold(0, |value, i| {
            let bit = self.0[self.1 / 8] >> (self.1 % 8) & 1;
            self.1 += 1;
            value | usize::from(bit) << i
        })
    }

    fn octet(&mut self) -> u8 {
        u8::try_from(self.take(8)).unwrap()
    }

    /// The symbol whose canonical code (§3.2.2) comes next.
    fn symbol(&mut self, code: &Code) -> usize {
        let mut bits = 0;
        for length in 1..16 {
            bits = bits << 1 | self.take(1);
            if let Some(&symbol) = code.get(&(length, bits)) {
                return symbol;
            }
        }
        panic!("no such code")
    }
}

type Code = HashMap<(usize, usize), usize>;

fn code(lengths: &[usize]) -> Code {
    let (mut code, mut next) = (Code::new(), 0);
    for length in 1..16 {
        next <<= 1;
        for symbol in (0..lengths.len()).filter(|&i| lengths[i] == length) {
            code.insert((length, next), symbol);
            next += 1;
        }
    }
    code
}

fn extra(symbol: usize, per: usize) -> usize {
    (symbol / per).saturating_sub(1)
}

/// The bytes of all blocks to the end of the input, and the largest distance.
pub(super) fn inflate(stream: &[u8]) -> (Vec<u8>, usize) {
    let mut bits = Bits(stream, 0);
    let (mut out, mut reach) = (Vec::new(), 0);
    while bits.1 + 10 <= stream.len() * 8 {
        assert_eq!(bits.take(1), 0, "final");
        let (literals, distances) = match bits.take(2) {
            0 => {
                bits.1 = bits.1.next_multiple_of(8);
                let len = bits.take(16);
                assert_eq!(len ^ 0xFFFF, bits.take(16));
                out.extend((0..len).map(|_| bits.octet()));
                continue;
            }
            1 => {
                let lengths = [(144, 8), (112, 9), (24, 7), (8, 8)];
                let lengths = lengths.iter().flat_map(|&(n, bits)| vec![bits; n]);
                let lengths: Vec<_> = lengths.collect();
                (code(&lengths), code(&[5; 30]))
            }
            _ => dynamic(&mut bits),
        };
        loop {
            let symbol = bits.symbol(&literals);
            match symbol {
                0..256 => out.push(u8::try_from(symbol).unwrap()),
                256 => break,
                _ => {
                    let length = match symbol - 257 {
                        28 => 258,
                        n @ 0..8 => 3 + n,
                        n => 3 + ((4 + n % 4) << extra(n, 4)) + bits.take(extra(n, 4)),
                    };
                    let distance = match bits.symbol(&distances) {
                        n @ 0..4 => 1 + n,
                        n => 1 + ((2 + n % 2) << extra(n, 2)) + bits.take(extra(n, 2)),
                    };
                    reach = reach.max(distance);
                    let from = out.len() - distance;
                    (from..from + length).for_each(|i| out.push(out[i]));
                }
            }
        }
    }
    (out, reach)
}

fn dynamic(bits: &mut Bits<'_>) -> (Code, Code) {
    let (literals, distances, codes) = (bits.take(5) + 257, bits.take(5) + 1, bits.take(4) + 4);
    let mut of_codes = [0; 19];
    let order = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
    for &i in order.iter().take(codes) {
        of_codes[i] = bits.take(3);
    }
    let of_codes = code(&of_codes);
    let mut lengths = Vec::new();
    while lengths.len() < literals + distances {
        let (length, times) = match bits.symbol(&of_codes) {
            16 => (*lengths.last().unwrap(), 3 + bits.take(2)),
            17 => (0, 3 + bits.take(3)),
            18 => (0, 11 + bits.take(7)),
            length => (length, 1),
        };
        lengths.extend(vec![length; times]);
    }
    let distances = lengths.split_off(literals);
    (code(&lengths), code(&distances))
}
