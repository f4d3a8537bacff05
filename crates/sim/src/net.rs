//! A network that splits, delays and breaks.
//!
//! Each direction of a [`Link`] is a queue of chunks with the time at which they arrive; TCP keeps their order, and so do they. What was sent
//! arrives whole or, when the link breaks, up to some byte.

use crate::random::Random;
use felio_hal::Time;
use std::collections::VecDeque;
use std::time::Duration;

/// One direction.
#[derive(Debug, Default)]
pub struct Stream {
    chunks: VecDeque<Chunk>,
    /// Bytes on the way.
    bytes: usize,
    last_arrival: Time,
    /// Of a thousand pieces so many take very long.
    stalls: u64,
    /// When the last byte that was received had been sent.
    pub sent: Time,
}

#[derive(Debug)]
struct Chunk {
    sent: Time,
    arrival: Time,
    bytes: Vec<u8>,
}

/// A connection.
#[derive(Debug, Default)]
pub struct Link {
    /// To the target.
    pub up: Stream,
    /// To the initiator.
    pub down: Stream,
    /// Nothing arrives any more, and both ends find out.
    pub broken: bool,
    /// The target closed it: what is on the way down still arrives.
    pub closed: bool,
    /// The target found no room below.
    pub was_full: bool,
}

/// Bytes on the way in one direction, at the most.
pub const WINDOW_BYTES: usize = 128 << 10;

impl Link {
    /// A connection on which of a thousand pieces so many take very long.
    #[must_use]
    pub fn new(stalls: u64) -> Self {
        let stream = || Stream { stalls, ..Stream::default() };
        Self { up: stream(), down: stream(), ..Self::default() }
    }
}

impl Stream {
    /// Bytes that would still be taken.
    #[must_use]
    pub const fn room(&self) -> usize {
        WINDOW_BYTES.saturating_sub(self.bytes)
    }

    /// Sends bytes, in pieces that arrive each in its own time.
    pub fn send(&mut self, now: Time, bytes: &[u8], random: &mut Random) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let most = if random.chance(300) { 64 } else { 16 << 10 };
            let (piece, behind) = rest.split_at((1 + random.index(most)).min(rest.len()));
            let delay = if random.chance(self.stalls) { 50_000 } else { 10 + random.below(150) };
            self.last_arrival = self.last_arrival.max(now + Duration::from_micros(delay));
            self.chunks.push_back(Chunk { sent: now, arrival: self.last_arrival, bytes: piece.to_vec() });
            rest = behind;
        }
        self.bytes += bytes.len();
    }

    /// Takes up to `bytes_max` bytes that have arrived.
    pub fn receive(&mut self, now: Time, bytes_max: usize) -> Vec<u8> {
        let mut taken = Vec::new();
        while taken.len() < bytes_max {
            let Some(chunk) = self.chunks.front_mut().filter(|chunk| chunk.arrival <= now) else {
                break;
            };
            let count = chunk.bytes.len().min(bytes_max - taken.len());
            taken.extend(chunk.bytes.drain(..count));
            self.sent = chunk.sent;
            if chunk.bytes.is_empty() {
                self.chunks.pop_front();
            }
        }
        self.bytes -= taken.len();
        taken
    }

    /// Whether something has arrived.
    #[must_use]
    pub fn is_readable(&self, now: Time) -> bool {
        self.chunks.front().is_some_and(|chunk| chunk.arrival <= now)
    }

    /// When the next chunk arrives.
    #[must_use]
    pub fn next_arrival(&self) -> Option<Time> {
        self.chunks.front().map(|chunk| chunk.arrival)
    }

    /// Turns over one bit of what is on the way.
    pub fn corrupt(&mut self, random: &mut Random) -> bool {
        let Some(at) = self.chunks.len().checked_sub(1).map(|last| random.index(last + 1)) else {
            return false;
        };
        let chunk = &mut self.chunks[at].bytes;
        let byte = random.index(chunk.len());
        chunk[byte] ^= 1 << random.below(8);
        true
    }

    /// Loses what is on the way from some byte on.
    pub fn cut(&mut self, random: &mut Random) {
        let keep = random.index(self.chunks.len() + 1);
        self.chunks.truncate(keep);
        self.bytes = self.chunks.iter().map(|chunk| chunk.bytes.len()).sum();
    }
}
