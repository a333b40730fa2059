//! What waits to be sent to one peer: bytes of its own and segments shared with others, written many
//! at a time. An empty outbox holds no heap. It does not decide what happens when a peer is slow; it says
//! how much waits.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Write};
use std::sync::Arc;

/// How much may wait for one peer. A segment counts as its bytes and 32 more for its place in the queue,
/// so that a flood of tiny ones is bounded too.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Marks {
    /// Bytes at which a queue that was above `high` is drained enough to go on. Default 64 KiB: a send
    /// buffer's worth, so that the line does not run dry while the producer wakes up.
    pub low: usize,
    /// Bytes from which on the peer's own input is no longer read. Default 256 KiB: a burst of chat, and
    /// little enough for thousands of slow peers.
    pub high: usize,
    /// Bytes from which on nothing more is taken. Default 1 MiB. A message larger than that is taken
    /// whole while less than this waits.
    pub full: usize,
}

impl Default for Marks {
    fn default() -> Self {
        Self { low: 64 << 10, high: 256 << 10, full: 1 << 20 }
    }
}

/// The queue of one connection.
#[derive(Debug, Default)]
pub struct Outbox {
    queue: Option<Box<Queue>>,
}

/// Empty queues and buffers between uses, shared by the outboxes of a thread.
#[derive(Debug, Default)]
pub struct Spare {
    #[expect(
        clippy::vec_box,
        reason = "the box is what an outbox holds; it moves in and out whole"
    )]
    queues: Vec<Box<Queue>>,
    buffers: Vec<Vec<u8>>,
}

impl Outbox {
    /// Takes all of `bytes` and leaves it empty. Short ones are copied behind what waits; long ones change
    /// hands, and `bytes` gets another buffer for it, unless the buffer is mostly empty.
    pub fn push_owned(&mut self, bytes: &mut Vec<u8>, spare: &mut Spare) {
        if bytes.is_empty() {
            return;
        }
        let queue = self.queue(spare);
        queue.bytes += bytes.len();
        if let Some(Segment::Owned(tail)) = queue.segments.back_mut()
            && tail.len() + bytes.len() <= COALESCE_MAX
        {
            tail.append(bytes);
            return;
        }
        let mut segment = spare.buffers.pop().unwrap_or_default();
        // A large buffer with little in it is not worth keeping for one peer: only bytes are counted.
        if bytes.len() <= COPY_MAX || bytes.len() < bytes.capacity() / 2 {
            segment.append(bytes);
        } else {
            std::mem::swap(&mut segment, bytes);
        }
        self.queue(spare).segments.push_back(Segment::Owned(segment));
    }

    /// The same for bytes of which the first `sent` are gone already. Nothing may wait before them.
    pub(super) fn push_partly_sent(&mut self, bytes: &mut Vec<u8>, sent: usize, spare: &mut Spare) {
        debug_assert!(self.is_empty() && sent < bytes.len(), "not the first, or nothing is left");
        self.push_owned(bytes, spare);
        self.queue(spare).advance(sent, spare);
    }

    /// Takes the rest of bytes that have begun to leave. Nothing may wait before them.
    pub(super) fn push_rest(&mut self, bytes: &mut Vec<u8>, spare: &mut Spare) {
        debug_assert!(self.is_empty() && !bytes.is_empty(), "not the first, or nothing is left");
        self.push_owned(bytes, spare);
        self.queue(spare).begun = true;
    }

    /// Takes a segment that others hold too. Tiny ones are copied when there is a buffer to copy into.
    pub fn push_shared(&mut self, bytes: Arc<[u8]>, spare: &mut Spare) {
        if bytes.is_empty() {
            return;
        }
        let queue = self.queue(spare);
        queue.bytes += bytes.len();
        if bytes.len() <= SHARE_MIN {
            match queue.segments.back_mut() {
                Some(Segment::Owned(tail)) if tail.len() + bytes.len() <= COALESCE_MAX => {
                    tail.extend_from_slice(&bytes);
                    return;
                }
                Some(_) => {
                    let mut segment = spare.buffers.pop().unwrap_or_default();
                    segment.extend_from_slice(&bytes);
                    self.queue(spare).segments.push_back(Segment::Owned(segment));
                    return;
                }
                None => {}
            }
        }
        self.queue(spare).segments.push_back(Segment::Shared(bytes));
    }

    /// Writes until all is gone (`Ok(true)`) or `to` takes no more for now (`Ok(false)`), up to 64
    /// segments a call. Returns how many bytes went, too.
    ///
    /// # Errors
    /// What the writer says, and `WriteZero` if it takes nothing without saying why.
    pub fn flush(&mut self, to: &mut impl Write, spare: &mut Spare) -> io::Result<(bool, usize)> {
        let mut total = 0;
        while let Some(queue) = &mut self.queue {
            let written = match queue.write(to) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => written,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok((false, total)),
                Err(error) => return Err(error),
            };
            total += written;
            queue.advance(written, spare);
            if queue.segments.is_empty() {
                self.rest(spare);
            }
        }
        Ok((true, total))
    }

    /// Drops what has not begun to leave; the segment under way stays, or the peer would get half of it.
    pub fn discard_unsent(&mut self, spare: &mut Spare) {
        let Some(queue) = &mut self.queue else {
            return;
        };
        let keep = usize::from(queue.begun || queue.sent > 0);
        while queue.segments.len() > keep {
            let Some(segment) = queue.segments.pop_back() else {
                break;
            };
            queue.bytes -= segment.bytes().len();
            spare.take_back(segment);
        }
        if queue.segments.is_empty() {
            self.rest(spare);
        }
    }

    /// Bytes that wait.
    pub fn bytes(&self) -> usize {
        self.queue.as_ref().map_or(0, |queue| queue.bytes)
    }

    /// What counts against [`Marks`]: bytes and 32 for each segment.
    pub fn cost(&self) -> usize {
        self.queue.as_ref().map_or(0, |queue| queue.bytes + 32 * queue.segments.len())
    }

    /// Whether nothing waits, and no heap is held.
    pub fn is_empty(&self) -> bool {
        self.queue.is_none()
    }

    fn queue(&mut self, spare: &mut Spare) -> &mut Queue {
        self.queue.get_or_insert_with(|| spare.queues.pop().unwrap_or_default())
    }

    fn rest(&mut self, spare: &mut Spare) {
        if let Some(mut queue) = self.queue.take()
            && spare.queues.len() < SPARE_QUEUES_MAX
            && queue.segments.capacity() < SLICES_MAX
        {
            (queue.sent, queue.begun) = (0, false);
            spare.queues.push(queue);
        }
    }
}

impl Spare {
    fn take_back(&mut self, segment: Segment) {
        if let Segment::Owned(mut buffer) = segment
            && self.buffers.len() < SPARE_MAX
            && buffer.capacity() <= SPARE_BYTES_MAX
        {
            buffer.clear();
            self.buffers.push(buffer);
        }
    }
}

#[derive(Debug, Default)]
struct Queue {
    segments: Segments,
    /// How much of the first segment is gone.
    sent: usize,
    /// Bytes before the first segment are gone that it must follow.
    begun: bool,
    bytes: usize,
}

impl Queue {
    /// Offers what waits, once.
    fn write(&self, to: &mut impl Write) -> io::Result<usize> {
        if let Some(only) = self.segments.only() {
            // Mostly: a list of one would cost what it saves.
            return to.write(only.bytes().get(self.sent..).unwrap_or_default());
        }
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let mut used = 0;
        for (slice, segment) in slices.iter_mut().zip(self.segments.iter()) {
            let from = if used == 0 { self.sent } else { 0 };
            *slice = IoSlice::new(segment.bytes().get(from..).unwrap_or_default());
            used += 1;
        }
        to.write_vectored(slices.get(..used).unwrap_or_default())
    }

    fn advance(&mut self, written: usize, spare: &mut Spare) {
        self.bytes = self.bytes.saturating_sub(written);
        self.sent += written;
        while let Some(front) = &self.segments.first {
            let len = front.bytes().len();
            if self.sent < len {
                break;
            }
            self.sent -= len;
            self.begun = false;
            if let Some(segment) = self.segments.pop_front() {
                spare.take_back(segment);
            }
        }
    }
}

/// In order. The first needs no list: when a crowd is told something, that is all that most have waiting, and
/// it costs as many times its size.
#[derive(Debug, Default)]
struct Segments {
    /// None only if there are no others.
    first: Option<Segment>,
    #[expect(clippy::box_collection, reason = "one word for the many who never have others")]
    others: Option<Box<VecDeque<Segment>>>,
}

impl Segments {
    fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.others.as_ref().map_or(0, |others| others.len())
    }

    /// The first, if there are no others.
    fn only(&self) -> Option<&Segment> {
        self.first.as_ref().filter(|_| self.others.as_ref().is_none_or(|others| others.is_empty()))
    }

    /// Of the list, which stays while it is empty.
    fn capacity(&self) -> usize {
        self.others.as_ref().map_or(0, |others| others.capacity())
    }

    fn iter(&self) -> impl Iterator<Item = &Segment> {
        self.first.iter().chain(self.others.iter().flat_map(|others| others.iter()))
    }

    fn back_mut(&mut self) -> Option<&mut Segment> {
        let others = self.others.as_mut().and_then(|others| others.back_mut());
        others.or(self.first.as_mut())
    }

    fn push_back(&mut self, segment: Segment) {
        match self.first {
            None => self.first = Some(segment),
            Some(_) => self.others.get_or_insert_default().push_back(segment),
        }
    }

    fn pop_back(&mut self) -> Option<Segment> {
        let other = self.others.as_mut().and_then(|others| others.pop_back());
        other.or_else(|| self.first.take())
    }

    fn pop_front(&mut self) -> Option<Segment> {
        let next = self.others.as_mut().and_then(|others| others.pop_front());
        std::mem::replace(&mut self.first, next)
    }
}

#[derive(Debug)]
enum Segment {
    Owned(Vec<u8>),
    Shared(Arc<[u8]>),
}

impl Segment {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Owned(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

/// Slices in one system call: 64 of 16 bytes each stand on the stack.
const SLICES_MAX: usize = 64;
/// Own bytes are gathered in one segment up to 16 KiB: above that a copy costs more than a slice.
const COALESCE_MAX: usize = 16 << 10;
/// Up to 4 KiB the caller keeps its buffer and the bytes are copied; above that the buffers are swapped.
const COPY_MAX: usize = 4 << 10;
/// Shared segments up to 512 bytes are copied behind others, where a slice each would cost more.
const SHARE_MIN: usize = 512;
/// Spare queues that a thread keeps: what one burst needs; 25 KiB.
const SPARE_QUEUES_MAX: usize = 256;
/// Spare buffers that a thread keeps: what one burst needs; at most 2 MiB.
const SPARE_MAX: usize = 64;
/// A larger buffer is not kept.
const SPARE_BYTES_MAX: usize = 32 << 10;
