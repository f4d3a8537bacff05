//! Both directions of a non-blocking socket, batched: many PDUs a `read`, many PDUs a `write`.
//!
//! Payload is never copied on its way out: an [`Outbox`] queues places in one payload region and gathers them behind
//! their headers. An [`Inbox`] holds what was received and not yet understood; long payload can bypass it.

use std::{
    io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write},
    net::TcpStream,
    ops::Range,
};

use crate::pdu::{HEADER_BYTES, Header};

/// What one system call takes (`UIO_MAXIOV`).
const SLICES_MAX: usize = 1024;
/// Sent bytes of the arena are given back above this size, at the latest.
const ARENA_BYTES_MAX: usize = 1 << 20;

/// Received, not yet consumed bytes.
pub(crate) struct Inbox {
    buffer: Vec<u8>,
    head: usize,
    tail: usize,
}

impl Inbox {
    pub(crate) fn new(bytes: usize) -> Self {
        Self { buffer: vec![0; bytes], head: 0, tail: 0 }
    }

    /// Reads once. `None`: nothing there.
    pub(crate) fn fill(&mut self, stream: &TcpStream) -> io::Result<Option<usize>> {
        self.make_room();
        let read = received((&*stream).read(&mut self.buffer[self.tail..]))?;
        self.tail += read.unwrap_or(0);
        Ok(read)
    }

    /// Reads once: into `payload` first, then at most `ahead` bytes more. Returns what went into `payload`.
    /// The inbox must be empty.
    pub(crate) fn fill_behind(
        &mut self,
        stream: &TcpStream,
        payload: &mut [u8],
        ahead: usize,
    ) -> io::Result<Option<usize>> {
        assert!(self.head == self.tail, "payload bypasses an empty inbox only");
        (self.head, self.tail) = (0, 0);
        let ahead = ahead.min(self.buffer.len());
        let payload_bytes = payload.len();
        let mut slices = [IoSliceMut::new(payload), IoSliceMut::new(&mut self.buffer[..ahead])];
        let Some(read) = received((&*stream).read_vectored(&mut slices))? else { return Ok(None) };
        self.tail = read.saturating_sub(payload_bytes);
        Ok(Some(read.min(payload_bytes)))
    }

    pub(crate) fn consume(&mut self, bytes: usize) {
        self.head += bytes;
        assert!(self.head <= self.tail);
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer[self.head..self.tail]
    }

    fn make_room(&mut self) {
        if self.head == self.tail {
            (self.head, self.tail) = (0, 0);
        } else if self.buffer.len() - self.tail < self.buffer.len() / 2 {
            self.buffer.copy_within(self.head..self.tail, 0);
            (self.head, self.tail) = (0, self.tail - self.head);
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Arena,
    Payload,
}

#[derive(Clone, Copy)]
struct Piece {
    source: Source,
    start: usize,
    bytes: usize,
}

/// PDUs waiting to be sent.
pub(crate) struct Outbox {
    arena: Vec<u8>,
    pieces: Vec<Piece>,
    /// The first piece not wholly sent.
    first: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flushed {
    All,
    /// The socket is full, or the byte budget spent.
    Some,
}

impl Outbox {
    pub(crate) fn new() -> Self {
        Self {
            arena: Vec::with_capacity(ARENA_BYTES_MAX),
            pieces: Vec::with_capacity(2 * SLICES_MAX),
            first: 0,
        }
    }

    pub(crate) fn push(&mut self, header: &Header) {
        self.push_bytes(&header.0);
    }

    /// Bytes that belong to no region: headers, digests, sense.
    pub(crate) fn push_bytes(&mut self, bytes: &[u8]) {
        let start = self.arena.len();
        self.arena.extend_from_slice(bytes);
        if let Some(last) = self.pieces[self.first..].last_mut()
            && last.source == Source::Arena
            && last.start + last.bytes == start
        {
            last.bytes += bytes.len();
            return;
        }
        self.pieces.push(Piece { source: Source::Arena, start, bytes: bytes.len() });
    }

    /// A place in the payload region.
    pub(crate) fn push_payload(&mut self, place: Range<usize>) {
        if !place.is_empty() {
            self.pieces.push(Piece { source: Source::Payload, start: place.start, bytes: place.len() });
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first == self.pieces.len()
    }

    /// One gathered send of at most `budget` bytes (and a piece).
    pub(crate) fn flush(&mut self, stream: &TcpStream, payload: &[u8], budget: usize) -> io::Result<Flushed> {
        match self.pieces.len() - self.first {
            0 => return Ok(Flushed::All),
            // Filling a thousand slices would show at depth 1.
            1..=8 => self.gather::<8>(stream, payload, budget)?,
            _ => self.gather::<SLICES_MAX>(stream, payload, budget)?,
        }
        Ok(if self.is_empty() { Flushed::All } else { Flushed::Some })
    }

    fn gather<const N: usize>(
        &mut self,
        stream: &TcpStream,
        payload: &[u8],
        budget: usize,
    ) -> io::Result<()> {
        let mut slices = [IoSlice::new(&[]); N];
        let mut count = 0;
        let mut bytes = 0;
        for (slice, piece) in slices.iter_mut().zip(&self.pieces[self.first..]) {
            let from = if piece.source == Source::Arena { &self.arena } else { payload };
            *slice = IoSlice::new(&from[piece.start..piece.start + piece.bytes]);
            count += 1;
            bytes += piece.bytes;
            if bytes >= budget {
                break;
            }
        }
        match (&*stream).write_vectored(&slices[..count]) {
            Ok(sent) => self.sent(sent),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(e) => return Err(e),
        }
        Ok(())
    }

    fn sent(&mut self, mut bytes: usize) {
        while bytes > 0 {
            let piece = &mut self.pieces[self.first];
            let part = bytes.min(piece.bytes);
            piece.start += part;
            piece.bytes -= part;
            bytes -= part;
            self.first += usize::from(piece.bytes == 0);
        }
        if self.is_empty() {
            self.arena.clear();
            self.pieces.clear();
            self.first = 0;
        } else if self.arena.len() > ARENA_BYTES_MAX - HEADER_BYTES || self.first > 4 * SLICES_MAX {
            self.compact();
        }
    }

    fn compact(&mut self) {
        self.pieces.drain(..self.first);
        self.first = 0;
        let in_arena = |piece: &&mut Piece| piece.source == Source::Arena;
        let start = self.pieces.iter_mut().find(in_arena).map_or(self.arena.len(), |piece| piece.start);
        self.arena.drain(..start);
        self.pieces.iter_mut().filter(in_arena).for_each(|piece| piece.start -= start);
    }
}

fn received(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(0) => Err(io::Error::new(ErrorKind::UnexpectedEof, "the peer closed the connection")),
        Ok(read) => Ok(Some(read)),
        Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(None),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_in_a_row_are_one_piece() {
        let mut outbox = Outbox::new();
        outbox.push_bytes(&[1; 48]);
        outbox.push_bytes(&[2; 48]);
        outbox.push_payload(0..8);
        outbox.push_bytes(&[3; 48]);
        assert_eq!(outbox.pieces.iter().map(|p| p.bytes).collect::<Vec<_>>(), [96, 8, 48]);
    }

    #[test]
    fn a_partial_send_goes_on_where_it_stopped() {
        let mut outbox = Outbox::new();
        outbox.push_bytes(&[1; 48]);
        outbox.push_payload(100..200);
        outbox.sent(50);
        assert_eq!((outbox.pieces[1].start, outbox.pieces[1].bytes), (102, 98));
        outbox.sent(98);
        assert!(outbox.is_empty() && outbox.arena.is_empty());
    }

    #[test]
    fn giving_back_the_arena_keeps_what_is_unsent() {
        let mut outbox = Outbox::new();
        outbox.push_bytes(&[1; 48]);
        outbox.push_payload(0..8);
        outbox.push_bytes(&[3; 48]);
        outbox.sent(60);
        outbox.compact();
        assert_eq!(outbox.arena.len(), 44);
        assert_eq!((outbox.pieces[0].start, outbox.pieces[0].bytes), (0, 44));
    }
}
