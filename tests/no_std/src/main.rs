//! A server's end of one connection on core, alloc and 64 KiB of memory. Does no IO: the bytes are here.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;
use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::panic::PanicInfo;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicUsize, Ordering};

use sockeye::proto::{Config, Connection, Event, Input, Violation};

/// Called by the C runtime; the exit status is 0 if every byte is as it should be.
#[unsafe(no_mangle)]
pub extern "C" fn main(_count: i32, _values: *const *const u8) -> i32 {
    #[cfg(feature = "handshake")]
    if !upgrades() {
        return 2;
    }
    // RFC 6455 §5.7: a single-frame masked text message, "Hello".
    let mut bytes = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    // Once in one piece and once byte by byte, which takes the path that allocates.
    let whole = bytes;
    for size in [bytes.len(), 1] {
        bytes = whole;
        let mut connection = Connection::server(Config::default());
        let mut out = Vec::new();
        for piece in bytes.chunks_mut(size) {
            if echo(&mut connection, piece, &mut out).is_err() {
                return 1;
            }
        }
        if out != b"\x81\x05Hello" {
            return 1;
        }
    }
    0
}

fn echo(connection: &mut Connection, bytes: &mut [u8], out: &mut Vec<u8>) -> Result<(), Violation> {
    let (rx, tx) = connection.split_mut();
    let mut input = Input::new(bytes);
    while let Some(event) = rx.next(&mut input, tx, out)? {
        let sent = match event {
            Event::Text(text) => tx.text(text, out),
            Event::Binary(bytes) => tx.binary(bytes, out),
            Event::Ping(_) | Event::Pong(_) | Event::Close(_) => Ok(()),
        };
        sent.expect("nobody closed");
    }
    Ok(())
}

#[cfg(feature = "handshake")]
fn upgrades() -> bool {
    use sockeye::proto::handshake::{Answer, HeadLimits, RequestReader};

    // RFC 6455 §1.3: this key is answered with that accept.
    let head = b"GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Version: 13\r\n\r\n";
    let mut out = Vec::new();
    let mut reader = RequestReader::new(HeadLimits::default());
    let Ok(Some(request)) = reader.read(head) else {
        return false;
    };
    let Ok(upgrade) = request.upgrade() else {
        return false;
    };
    upgrade.accept(&Answer::default(), &mut out).is_ok()
        && out.windows(28).any(|accept| accept == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
}

// The C library holds `main`'s caller too.
#[link(name = "c")]
unsafe extern "C" {
    safe fn abort() -> !;
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    abort()
}

/// Hands out memory front to back and takes none back: this program ends before it runs out.
struct Bump {
    memory: UnsafeCell<[u8; SIZE]>,
    used: AtomicUsize,
}

const SIZE: usize = 64 << 10;

#[global_allocator]
static ALLOCATOR: Bump = Bump { memory: UnsafeCell::new([0; SIZE]), used: AtomicUsize::new(0) };

// SAFETY: the memory is reached only through `alloc`, which gives no byte of it out twice.
unsafe impl Sync for Bump {}

// SAFETY: what `alloc` returns lies in `memory`, is aligned, is of the size asked for and overlaps
// nothing given out before, as `used` only grows and grows past it in one step.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let base = self.memory.get().cast::<u8>();
        let mut start = 0;
        let claimed = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            start =
                used + (base.addr() + used).next_multiple_of(layout.align()) - (base.addr() + used);
            start.checked_add(layout.size()).filter(|&end| end <= SIZE)
        });
        match claimed {
            // SAFETY: `start` is at most `SIZE`, as just checked.
            Ok(_) => unsafe { base.add(start) },
            Err(_) => null_mut(),
        }
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

/// The prebuilt alloc names it in tables for unwinding, which nobody reads here.
#[unsafe(no_mangle)]
pub extern "C" fn rust_eh_personality() {}
