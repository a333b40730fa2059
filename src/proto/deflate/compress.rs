//! A message becomes its compressed bytes here (RFC 7692 section 7.2.1). Knows no frames, and does not
//! decide which messages are worth it.

use alloc::boxed::Box;
use alloc::vec::Vec;

use flate2::{Compression, FlushCompress};

use super::negotiate::WindowBits;
use super::pool::Pool;

pub(crate) struct Compress {
    working: Option<Box<Working>>,
    window_bits: WindowBits,
    level: u8,
    takeover: bool,
}

struct Working {
    zlib: flate2::Compress,
    window_bits: WindowBits,
    level: u8,
}

std::thread_local! {
    static POOL: Pool<Box<Working>> = const { Pool::new() };
}

impl Compress {
    pub(crate) fn new(window_bits: WindowBits, takeover: bool, level: u8) -> Self {
        Self {
            working: None,
            window_bits,
            level: level.min(9),
            takeover,
        }
    }

    pub(crate) fn write(&mut self, payload: &[u8], fin: bool, out: &mut Vec<u8>) {
        let _ = (
            payload,
            fin,
            out,
            &self.working,
            self.window_bits,
            self.takeover,
            self.level,
        );
        let _ = POOL.try_with(|p| {
            p.take(|w: &Box<Working>| w.level == 0 && w.window_bits == self.window_bits)
                .map(|mut w| w.zlib.reset())
        });
        let _ = (Compression::new(1), FlushCompress::Sync);
    }
}
