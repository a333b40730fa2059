//! The floors: what is left of a server when it does nothing but what the kernel and the wire demand. No limits, no
//! checks, no events, no API.

use super::Task;
use super::pool::{self, Pool, unblocked};
use mio::event::Event;
use mio::net::TcpStream;
use sockeye::proto::handshake::{Answer, HeadLimits, RequestReader};
use sockeye::proto::{MaskKey, apply_mask};
use std::io::{self, Read, Write};

/// One buffer for all connections, as a loop can have it.
const BUFFER: usize = 64 << 10;

/// A connection, and what the kernel would not take yet.
struct Wire {
    stream: TcpStream,
    unsent: Vec<u8>,
}

impl Wire {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut sent = 0;
        while self.unsent.is_empty() && sent < bytes.len() {
            match unblocked(self.stream.write(&bytes[sent..]))? {
                Some(n) => sent += n,
                None => break,
            }
        }
        self.unsent.extend_from_slice(&bytes[sent..]);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let waiting = std::mem::take(&mut self.unsent);
        if waiting.is_empty() { Ok(()) } else { self.send(&waiting) }
    }
}

/// Bare TCP: sends back what it gets.
pub fn bytes() -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    let mut ready = move |wire: &mut Wire, event: &Event| -> io::Result<bool> {
        if event.is_writable() {
            wire.flush()?;
        }
        loop {
            let Some(n) = unblocked(wire.stream.read(&mut buffer))? else {
                return Ok(true);
            };
            if n == 0 {
                return Ok(false);
            }
            wire.send(&buffer[..n])?;
            // Less than there was room for: the socket is empty, and says so when it is not any more.
            if n < buffer.len() && !event.is_read_closed() {
                return Ok(true);
            }
        }
    };
    pool::serve(
        |stream| Wire { stream, unsent: vec![] },
        move |pool, at, event| pool.get(at).is_some_and(|it| ready(it, event).unwrap_or(false)),
    )
}

/// Frames: unmasks in place, writes the reply's header over what was the key, and sends. A message is never put
/// together; what came of it goes back at once.
pub fn frames(task: Task) -> io::Result<()> {
    let mut buffer = vec![0; HEADER_MAX + BUFFER];
    let begin = |stream| Guest {
        wire: Wire { stream, unsent: vec![] },
        head: Some(vec![]),
        frames: Frames::default(),
    };
    pool::serve(begin, move |pool, at, event| {
        talk(pool, at, event, &mut buffer, task).unwrap_or(false)
    })
}

struct Guest {
    wire: Wire,
    /// Of the request, until it is whole.
    head: Option<Vec<u8>>,
    frames: Frames,
}

fn talk(
    pool: &mut Pool<Guest>,
    at: usize,
    event: &Event,
    buffer: &mut [u8],
    task: Task,
) -> io::Result<bool> {
    loop {
        let Some(guest) = pool.get(at) else {
            return Ok(false);
        };
        if event.is_writable() {
            guest.wire.flush()?;
        }
        let Some(n) = unblocked(guest.wire.stream.read(&mut buffer[HEADER_MAX..]))? else {
            return Ok(true);
        };
        if n == 0 {
            return Ok(false);
        }
        if guest.head.is_some() {
            guest.shake_hands(&buffer[HEADER_MAX..][..n])?;
        } else {
            let reply = guest.frames.answer(buffer, n, task.broadcast && !task.batch);
            let ours = &buffer[reply.start..reply.end];
            if reply.closing {
                guest.wire.send(ours)?;
                return Ok(false);
            }
            if !task.broadcast {
                guest.wire.send(ours)?;
            } else if task.batch {
                for other in pool.others(at).filter(|it| it.head.is_none()) {
                    other.wire.send(ours)?;
                }
            } else {
                let mut from = reply.start;
                // What is left is the part of a frame.
                for end in reply.ends.into_iter().chain([reply.end]) {
                    if end == from {
                        continue;
                    }
                    for other in pool.others(at).filter(|it| it.head.is_none()) {
                        other.wire.send(&buffer[from..end])?;
                    }
                    from = end;
                }
            }
        }
        if n < buffer.len() - HEADER_MAX && !event.is_read_closed() {
            return Ok(true);
        }
    }
}

impl Guest {
    fn shake_hands(&mut self, bytes: &[u8]) -> io::Result<()> {
        let head = self.head.get_or_insert_default();
        head.extend_from_slice(bytes);
        let mut out = vec![];
        let mut reader = RequestReader::new(HeadLimits::default());
        let Some(request) = reader.read(head).map_err(io::Error::other)? else {
            return Ok(());
        };
        let upgrade = request.upgrade().map_err(io::Error::other)?;
        upgrade.accept(&Answer::default(), &mut out).map_err(io::Error::other)?;
        self.head = None;
        self.wire.send(&out)
    }
}

/// Where in the frames a connection is.
#[derive(Default)]
struct Frames {
    /// Of the payload that is still to come.
    left: u64,
    /// For its next byte.
    key: [u8; 4],
    /// The beginning of a header.
    head: [u8; HEADER_MAX],
    head_len: usize,
}

/// What is to be sent, as a part of the buffer.
struct Reply {
    start: usize,
    end: usize,
    /// Where frames end in it, if that was asked for.
    ends: Vec<usize>,
    closing: bool,
}

impl Frames {
    /// The `n` bytes that were read behind the room for a header become the reply. It is never longer: a server's
    /// header has no key.
    fn answer(&mut self, buffer: &mut [u8], n: usize, mark: bool) -> Reply {
        let start = HEADER_MAX - self.head_len;
        buffer[start..HEADER_MAX].copy_from_slice(&self.head[..self.head_len]);
        let bytes = &mut buffer[..HEADER_MAX + n];
        let (mut read, mut write) = (start, start);
        let (mut ends, mut closing) = (vec![], false);
        loop {
            if self.left > 0 {
                let here = bytes.len() - read;
                let take = usize::try_from(self.left).unwrap_or(here).min(here);
                if write != read {
                    bytes.copy_within(read..read + take, write);
                }
                apply_mask(MaskKey(self.key), &mut bytes[write..write + take]);
                self.key.rotate_left(take % 4);
                self.left -= take as u64;
                (read, write) = (read + take, write + take);
                if self.left > 0 {
                    break;
                }
                if mark {
                    ends.push(write);
                }
            }
            let Some((header, len)) = header(&bytes[read..]) else {
                break;
            };
            self.left = len;
            self.key.copy_from_slice(&bytes[read + header - 4..read + header]);
            closing |= bytes[read] & 0xF == 8;
            // The same header without the key and the bit that announces it.
            bytes.copy_within(read..read + header - 4, write);
            bytes[write + 1] &= 0x7F;
            (read, write) = (read + header, write + header - 4);
        }
        self.head_len = bytes.len() - read;
        self.head[..self.head_len].copy_from_slice(&bytes[read..]);
        Reply { start, end: write, ends, closing }
    }
}

/// A client's header, and its payload: lengths in bytes.
fn header(bytes: &[u8]) -> Option<(usize, u64)> {
    let (header, len) = match bytes.get(1)? & 0x7F {
        126 => (8, u64::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]))),
        127 => (14, u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?)),
        short => (6, u64::from(short)),
    };
    (bytes.len() >= header).then_some((header, len))
}

const HEADER_MAX: usize = 14;
