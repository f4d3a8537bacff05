//! A store around a store that keeps protection information beside its blocks.
//!
//! Behind each block stand eight bytes, kept in a side (a file, or memory): see [`felio_spec::protection`]. Blocks that come
//! without get some, blocks that go without are checked first; [`Op::ReadProtected`] and [`Op::WriteProtected`] carry both.
//!
//! Two places cannot be written at once, so this is what a power cut leaves behind. Every write is durable before it is
//! answered (there is no write cache, whatever the store below has), and a chunk of the side is durable before its blocks
//! are written: it has for each block what stands behind it now and what stood there before. So a block whose write was
//! answered has what belongs to it, and a block whose write was under way has it too, be it old or new. A chunk that
//! was torn all the same is known by its checksum, and one that got lost by the guards of its blocks: reading such a block fails as
//! a check of its guard does, until it is written again. Only where nothing is to be checked (a block never written since
//! it was formatted or deallocated, or one whose tags say so) can a lost chunk not show.
//!
//! Not here: what a command wants to be checked (the engine).
//!
//! Invariant: a chunk and its blocks are read together and written together, under the chunk's lock.

mod chunk;
mod header;
mod side;

use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use felio_hal::buf::{Budget, PAGE_BYTES};
use felio_hal::store::{Done, Durability, Failure, Limits, Op, Protection, WriteCache};
use felio_hal::{Buf, Pool};
use felio_spec::protection::{self, Checks, Expected, Flaw, Kind, Rule, Tuple, pack, spread};
use rustix::io::Errno;

use self::chunk::{CHUNK_BLOCKS, CHUNK_BYTES, Chunk, Draft, Standing};
use self::header::{CHUNKS_AT, HEADER_BYTES, Header, NoHeader, State};
pub use self::side::Side;
pub(crate) use self::side::{FileSide, MemorySide};
use crate::errno::failure;
use crate::store::{Answer, Attempt, Entry, Store, bytes, changes};

/// Chunks that are locked apart from each other.
const STRIPES: usize = 64;

/// Chunks that are written at once: a mebibyte, so that what deallocates a whole disk needs no more.
const CHUNKS_AT_ONCE: u64 = 2048;

/// Chunks whose blocks are read aside at a time: more than there are threads to do it.
const ASIDE_MAX: usize = 64;

/// Ranges up to this long are deallocated and zeroed on the spot, where blocks are in memory.
const INLINE_BYTES: u64 = 16 << 20;

/// A store with protection information.
pub struct Protect {
    inner: Arc<dyn Store>,
    side: Arc<dyn Side>,
    block_bytes: usize,
    speed: Speed,
    header: RwLock<Header>,
    /// A write failed half done: what this run wrote counts as if it had not ended by closing.
    failed: AtomicBool,
    stripes: [RwLock<()>; STRIPES],
    /// For blocks that nobody asked for.
    scratch: Mutex<Pool>,
}

/// Whether blocks and side can make a caller wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speed {
    /// Both are in memory.
    AtOnce,
    /// They may take their time.
    Later,
}

/// How a store shall be formatted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// As it is.
    AsItIs,
    /// With this type, or none; a new one is formatted so. One that is formatted otherwise is refused, unless the wish is none: who leaves
    /// the type to initiators takes what they have chosen.
    Be(Option<Kind>),
}

/// Why a side does not go with a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtectError {
    /// It is not ours.
    #[error("it was not made by felio")]
    Foreign,
    /// It was.
    #[error("it is damaged")]
    Damaged,
    /// It was being formatted, and that cannot be brought to its end.
    #[error("it was being formatted when felio ended, and may not be written")]
    Unfinished,
    /// There is none, and none can be made.
    #[error("there is none yet, and it may not be written")]
    Missing,
    /// Of blocks of another size.
    #[error("it belongs to blocks of {0} bytes")]
    OtherBlocks(u32),
    /// Of another type.
    #[error("it is of protection type {0}")]
    OtherKind(u8),
    /// The system refused.
    #[error("{0}")]
    System(#[from] Errno),
}

impl Protect {
    /// Puts `side` beside `inner`, whose blocks have `block_bytes`.
    pub fn open(
        inner: Arc<dyn Store>,
        side: Arc<dyn Side>,
        block_bytes: u32,
        wish: Wish,
        speed: Speed,
    ) -> Result<Self, ProtectError> {
        let mut first = [0; HEADER_BYTES];
        side.read(0, &mut first)?;
        let writable = inner.limits().writable;
        let mut header = match (Header::read(&first), wish) {
            (Ok(header), _) if header.block_bytes != block_bytes => {
                return Err(ProtectError::OtherBlocks(header.block_bytes));
            }
            (Ok(header), Wish::Be(kind @ Some(_))) if header.kind != kind => {
                return Err(ProtectError::OtherKind(header.kind.map_or(0, Kind::number)));
            }
            (Ok(header), _) if header.state == State::Formatting && !writable => {
                return Err(ProtectError::Unfinished);
            }
            (Ok(header), _) => header,
            (Err(NoHeader::Nothing), Wish::Be(kind)) if writable => Header::new(kind, block_bytes),
            (Err(NoHeader::Nothing), _) => return Err(ProtectError::Missing),
            (Err(NoHeader::Foreign), _) => return Err(ProtectError::Foreign),
            (Err(NoHeader::Damaged), _) => return Err(ProtectError::Damaged),
        };
        header.remember();
        if writable {
            if header.state == State::Formatting {
                side.write(0, &header.bytes())?;
                side.cut(CHUNKS_AT)?;
            }
            header.begin_run();
            side.write(0, &header.bytes())?;
        }
        let chunk_bytes = usize::try_from(u64::from(block_bytes) * CHUNK_BLOCKS).unwrap_or(usize::MAX);
        let budget = Budget::new(ASIDE_MAX * chunk_bytes.next_power_of_two().max(PAGE_BYTES));
        Ok(Self {
            inner,
            side,
            block_bytes: usize::try_from(block_bytes).unwrap_or(usize::MAX),
            speed,
            header: RwLock::new(header),
            failed: AtomicBool::new(false),
            stripes: [const { RwLock::new(()) }; STRIPES],
            scratch: Mutex::new(Pool::new(budget)),
        })
    }

    fn header(&self) -> RwLockReadGuard<'_, Header> {
        self.header.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a run may have ended within a write.
    fn is_open(&self, header: &Header, run: u32) -> bool {
        header.open_runs.contains(&run) || (run == header.run && self.failed.load(Ordering::Acquire))
    }

    /// The blocks of a range, if they exist.
    fn run_of(&self, at: u64, len: u64) -> Result<Run, Failure> {
        let block = bytes(self.block_bytes);
        if !at.is_multiple_of(block) || !len.is_multiple_of(block) {
            return Err(Failure::Other(libc::EINVAL));
        }
        match at.checked_add(len) {
            Some(end) if end <= self.inner.limits().bytes => {
                Ok(Run { first: at / block, count: len / block })
            }
            _ => Err(Failure::Short),
        }
    }

    /// Reads blocks, and what stands behind each.
    fn read(&self, header: &Header, kind: Kind, at: u64, buf: Buf) -> (Result<Vec<Tuple>, Failure>, Buf) {
        let run = match self.run_of(at, bytes(buf.len())) {
            Ok(run) => run,
            Err(failure) => return (Err(failure), buf),
        };
        let _shared: Vec<RwLockReadGuard<'_, ()>> = stripes_of(run)
            .map(|at| self.stripes[at].read().unwrap_or_else(PoisonError::into_inner))
            .collect();
        let (result, buf) = self.inner_with_buf(Op::Read { at, buf });
        let tuples = result.and_then(|_| self.tuples(header, kind, run, &buf));
        (tuples, buf)
    }

    fn tuples(&self, header: &Header, kind: Kind, run: Run, data: &[u8]) -> Result<Vec<Tuple>, Failure> {
        let mut tuples = Vec::with_capacity(data.len() / self.block_bytes);
        let mut blocks = data.chunks_exact(self.block_bytes);
        let chunks = self.load(run)?;
        for (piece, bytes) in run.pieces().zip(chunks.chunks_exact(CHUNK_BYTES)) {
            let chunk = Chunk::of(bytes, piece.number);
            for (slot, block) in piece.slots.zip(&mut blocks) {
                tuples.push(match chunk.standing(slot, |run| self.is_open(header, run)) {
                    Standing::Now(tuple) => tuple,
                    Standing::Either(now, before) => likelier(kind, now, before, block),
                    Standing::Lost => {
                        let at = (piece.number * CHUNK_BLOCKS + place(slot)) * self.block();
                        return Err(Failure::Protection { flaw: Flaw::Guard, at });
                    }
                });
            }
        }
        Ok(tuples)
    }

    /// Checks what goes without its protection information.
    fn check(&self, kind: Kind, at: u64, tuples: &[Tuple], data: &[u8]) -> Result<Done, Failure> {
        let first = at / self.block();
        let rule = Rule { checks: Checks::ALL, kind, expected: Expected::of_blocks(kind, first) };
        for ((number, tuple), block) in (0..).zip(tuples).zip(data.chunks_exact(self.block_bytes)) {
            rule.check(number, *tuple, || guard(block))
                .map_err(|flaw| Failure::Protection { flaw, at: (first + number) * self.block() })?;
        }
        Ok(Done::Done)
    }

    /// Writes what stands behind blocks, then does to the blocks what shall be done.
    fn write(
        &self,
        header: &Header,
        kind: Kind,
        (at, len): (u64, u64),
        tuples: &dyn Fn(u64) -> Tuple,
        op: Op,
    ) -> Answer {
        let run = match self.run_of(at, len) {
            Ok(run) => run,
            Err(failure) => return Answer::without(op, Err(failure)),
        };
        let _alone = self.lock(run);
        let side = run.batches().try_for_each(|batch| {
            let first = batch.first - run.first;
            self.store(header, kind, batch, &|number| tuples(first + number))
        });
        match side {
            Ok(()) => self.finish(op),
            Err(failure) => Answer::without(op, Err(failure)),
        }
    }

    /// Forgets what stands behind blocks, then deallocates them.
    fn forget(&self, header: &Header, kind: Kind, (at, len): (u64, u64), op: Op) -> Answer {
        let run = match self.run_of(at, len) {
            Ok(run) => run,
            Err(failure) => return Answer::without(op, Err(failure)),
        };
        let _alone = self.lock(run);
        let (front, whole, back) = run.split();
        let mut edges = [front, back].into_iter().filter(|edge| edge.count > 0);
        let cleared = match whole.count / CHUNK_BLOCKS {
            0 => Ok(()),
            chunks => {
                let at = chunk_at(whole.first / CHUNK_BLOCKS);
                self.side.clear(at, chunks * bytes(CHUNK_BYTES)).map_err(|errno| failure(errno, None))
            }
        };
        let forgotten = edges.try_for_each(|edge| self.store(header, kind, edge, &|_| Tuple::FRESH));
        match cleared.and(forgotten) {
            Ok(()) => self.finish(op),
            Err(failure) => Answer::without(op, Err(failure)),
        }
    }

    /// Does to the blocks what shall be done, durably. Their side is written already.
    fn finish(&self, op: Op) -> Answer {
        let settle = !matches!(op, Op::Write { .. } | Op::WriteAtomic { .. })
            && self.inner.limits().write_cache == WriteCache::On;
        let mut answer = self.inner_answer(op);
        if settle && answer.result.is_ok() {
            answer.result = self.inner_answer(Op::Flush).result;
        }
        if answer.result.is_err() {
            // Some blocks are new and some are old.
            self.failed.store(true, Ordering::Release);
        }
        answer
    }

    /// Writes the chunks of a run of blocks.
    fn store(
        &self,
        header: &Header,
        kind: Kind,
        run: Run,
        tuples: &dyn Fn(u64) -> Tuple,
    ) -> Result<(), Failure> {
        let mut chunks = self.load(run)?;
        let mut number = 0;
        for (piece, bytes) in run.pieces().zip(chunks.chunks_exact_mut(CHUNK_BYTES)) {
            if Chunk::of(bytes, piece.number).is_open(|run| self.is_open(header, run)) {
                self.decide(header, kind, piece.number, bytes)?;
            }
            let standing: Vec<Standing> = {
                let chunk = Chunk::of(bytes, piece.number);
                piece.slots.clone().map(|slot| chunk.standing(slot, |_| false)).collect()
            };
            let next: Vec<Tuple> = (number..).take(standing.len()).map(tuples).collect();
            let before = self.before(kind, &piece, &standing, &next)?;
            number += place(next.len());
            let mut draft = Draft::on(bytes, piece.number);
            for ((slot, next), before) in piece.slots.zip(next).zip(before) {
                draft.set(slot, next, before);
            }
            draft.finish(piece.number, header.run);
        }
        let at = chunk_at(run.first / CHUNK_BLOCKS);
        self.side.write(at, &chunks).map_err(|errno| failure(errno, None))
    }

    /// What stands behind blocks that are about to be written, so that they can be told from the new ones. Where nothing is to
    /// be checked of them their guards may be anything: these are made anew.
    fn before(
        &self,
        kind: Kind,
        piece: &Piece,
        standing: &[Standing],
        next: &[Tuple],
    ) -> Result<Vec<Tuple>, Failure> {
        let mut before: Vec<Tuple> = standing
            .iter()
            .zip(next)
            .map(|(standing, next)| if let Standing::Now(before) = standing { *before } else { *next })
            .collect();
        let blind = |(before, next): (&Tuple, &Tuple)| before.is_escape(kind) && !next.is_escape(kind);
        if before.iter().zip(next).any(blind) {
            let first = piece.number * CHUNK_BLOCKS + place(piece.slots.start);
            let buf = self.read_aside(first, place(piece.slots.len()))?;
            for (before, block) in before.iter_mut().zip(buf.chunks_exact(self.block_bytes)) {
                if before.is_escape(kind) {
                    before.guard = guard(block);
                }
            }
            self.scratch().give(buf);
        }
        Ok(before)
    }

    /// Blocks that nobody asked for.
    fn read_aside(&self, first: u64, count: u64) -> Result<Buf, Failure> {
        let len = usize::try_from(count * self.block()).unwrap_or(usize::MAX);
        let buf = self.scratch().take(len).ok_or(Failure::Other(libc::ENOMEM))?;
        match self.inner_with_buf(Op::Read { at: first * self.block(), buf }) {
            (Ok(_), buf) => Ok(buf),
            (Err(failure), buf) => {
                self.scratch().give(buf);
                Err(failure)
            }
        }
    }

    /// Finds out, for a chunk that may not have come to pass, what stands behind each of its blocks.
    fn decide(&self, header: &Header, kind: Kind, number: u64, chunk: &mut [u8]) -> Result<(), Failure> {
        let first = number * CHUNK_BLOCKS;
        let count = CHUNK_BLOCKS.min(self.inner.limits().bytes / self.block() - first);
        let buf = self.read_aside(first, count)?;
        let is_open = |run| self.is_open(header, run);
        let read = Chunk::of(chunk, number);
        let standing: Vec<Standing> = (0..)
            .zip(buf.chunks_exact(self.block_bytes))
            .map(|(slot, block)| match read.standing(slot, is_open) {
                Standing::Either(now, before) => Standing::Now(likelier(kind, now, before, block)),
                standing => standing,
            })
            .collect();
        self.scratch().give(buf);
        let mut draft = Draft::on(chunk, number);
        for (slot, standing) in standing.into_iter().enumerate() {
            match standing {
                Standing::Now(tuple) | Standing::Either(tuple, _) => draft.set(slot, tuple, tuple),
                Standing::Lost => draft.lose(slot),
            }
        }
        draft.finish(number, header.run);
        Ok(())
    }

    /// The chunks that speak of a run of blocks.
    fn load(&self, run: Run) -> Result<Vec<u8>, Failure> {
        let count = usize::try_from(run.chunks()).unwrap_or(usize::MAX);
        let mut chunks = vec![0; count * CHUNK_BYTES];
        let at = chunk_at(run.first / CHUNK_BLOCKS);
        self.side.read(at, &mut chunks).map_err(|errno| failure(errno, None))?;
        Ok(chunks)
    }

    //= SBC-3 "FORMAT UNIT command": the protection information of every block becomes all ones
    fn format(&self, kind: Option<Kind>) -> Result<Done, Failure> {
        let told = |errno| failure(errno, None);
        let mut header = self.header.write().unwrap_or_else(PoisonError::into_inner);
        // A power cut leaves the old format, or one that is finished when the store is opened next.
        let next = Header { kind, state: State::Formatting, open_runs: Vec::new(), ..header.clone() };
        self.side.write(0, &next.bytes()).map_err(told)?;
        *header = next;
        self.side.cut(CHUNKS_AT).map_err(told)?;
        header.state = State::Open;
        self.side.write(0, &header.bytes()).map_err(told)?;
        Ok(Done::Done)
    }

    /// Does an operation of a store that is formatted with protection.
    fn run_protected(&self, header: &Header, kind: Kind, op: Op) -> Answer {
        match op {
            Op::Read { at, buf } => {
                let (tuples, buf) = self.read(header, kind, at, buf);
                Answer::with(tuples.and_then(|tuples| self.check(kind, at, &tuples, &buf)), buf)
            }
            Op::ReadProtected { at, mut buf } => {
                let len = buf.len();
                buf.set_len(len / self.whole() * self.block_bytes);
                let (tuples, mut buf) = self.read(header, kind, at, buf);
                buf.set_len(len);
                Answer::with(tuples.map(|tuples| self.interleave(&mut buf, &tuples)), buf)
            }
            Op::Write { at, ref buf, .. } | Op::WriteAtomic { at, ref buf, .. } => {
                let first = at / self.block();
                let guards: Vec<u16> = buf.chunks_exact(self.block_bytes).map(guard).collect();
                let insert = |number| {
                    let guard = usize::try_from(number).ok().and_then(|number| guards.get(number));
                    Tuple::inserted(kind, first + number, guard.copied().unwrap_or_default())
                };
                let range = (at, bytes(buf.len()));
                self.write(header, kind, range, &insert, durably(op))
            }
            Op::WriteProtected { at, mut buf, .. } => {
                let len = buf.len();
                let tuples: Vec<Tuple> = buf
                    .chunks_exact(self.whole())
                    .map(|whole| Tuple::read(&whole[self.block_bytes..]))
                    .collect();
                let packed = pack(&mut buf, self.block_bytes);
                buf.set_len(packed);
                let sent = |number| {
                    let tuple = usize::try_from(number).ok().and_then(|number| tuples.get(number));
                    tuple.copied().unwrap_or(Tuple::FRESH)
                };
                let op = Op::Write { at, buf, durability: Durability::Durable };
                let mut answer = self.write(header, kind, (at, bytes(packed)), &sent, op);
                if let Some(buf) = &mut answer.buf {
                    buf.set_len(len);
                }
                answer
            }
            Op::Unmap { at, len } | Op::Zero { at, len, unmap: true } => {
                self.forget(header, kind, (at, len), op)
            }
            Op::Zero { at, len, unmap: false } => {
                const GUARD_OF_ZEROS: u16 = 0;
                let first = at / self.block();
                let insert = |number| Tuple::inserted(kind, first + number, GUARD_OF_ZEROS);
                self.write(header, kind, (at, len), &insert, op)
            }
            op => self.inner_answer(op),
        }
    }

    fn interleave(&self, buf: &mut [u8], tuples: &[Tuple]) -> Done {
        spread(buf, self.block_bytes);
        for (whole, tuple) in buf.chunks_exact_mut(self.whole()).zip(tuples) {
            tuple.write(&mut whole[self.block_bytes..]);
        }
        Done::Done
    }

    /// Does an operation of a store that is formatted without.
    fn run_plain(&self, op: Op) -> Answer {
        match op {
            op @ (Op::ReadProtected { .. } | Op::WriteProtected { .. }) => {
                Answer::without(op, Err(Failure::Other(libc::EINVAL)))
            }
            op if changes(&op) => self.finish(durably(op)),
            op => self.inner.run(op),
        }
    }

    fn inner_answer(&self, op: Op) -> Answer {
        match self.inner.attempt(op) {
            Attempt::Done(answer) => answer,
            Attempt::Later(op) => self.inner.run(op),
        }
    }

    fn inner_with_buf(&self, op: Op) -> (Result<Done, Failure>, Buf) {
        match self.inner_answer(op) {
            Answer { result, buf: Some(buf) } => (result, buf),
            Answer { .. } => panic!("a store gives the buffer of a read back"),
        }
    }

    /// Bytes of a block.
    fn block(&self) -> u64 {
        bytes(self.block_bytes)
    }

    /// Bytes of a block with what stands behind it.
    const fn whole(&self) -> usize {
        self.block_bytes + protection::tuple::BYTES
    }

    fn lock(&self, run: Run) -> Vec<RwLockWriteGuard<'_, ()>> {
        let stripes = stripes_of(run);
        stripes.map(|at| self.stripes[at].write().unwrap_or_else(PoisonError::into_inner)).collect()
    }

    fn scratch(&self) -> std::sync::MutexGuard<'_, Pool> {
        self.scratch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Protect {
    fn limits(&self) -> Limits {
        let protection = self.header().kind.map_or(Protection::Off, Protection::On);
        Limits { write_cache: WriteCache::Off, protection, ..self.inner.limits() }
    }

    fn attempt(&self, op: Op) -> Attempt {
        match (&op, self.speed) {
            (Op::Unmap { len, .. } | Op::Zero { len, .. }, Speed::AtOnce) if *len > INLINE_BYTES => {
                Attempt::Later(op)
            }
            (Op::Save(_), _) => self.inner.attempt(op),
            (_, Speed::AtOnce) => Attempt::Done(self.run(op)),
            (Op::Read { .. } | Op::Write { .. }, Speed::Later) if self.header().kind.is_none() => {
                self.inner.attempt(durably(op))
            }
            (_, Speed::Later) => Attempt::Later(op),
        }
    }

    fn entry(&self, op: &Op) -> Option<Entry<'_>> {
        if self.header().kind.is_none() { self.inner.entry(op) } else { None }
    }

    fn judge(&self, op: &Op, result: Result<Done, Failure>) -> Result<Done, Failure> {
        self.inner.judge(op, result)
    }

    fn run(&self, op: Op) -> Answer {
        if changes(&op) && !self.inner.limits().writable {
            return Answer::without(op, Err(Failure::WriteProtected));
        }
        if let Op::Protect { kind } = op {
            return Answer::bare(self.format(kind));
        }
        let header = self.header();
        match header.kind {
            Some(kind) => self.run_protected(&header, kind, op),
            None => self.run_plain(op),
        }
    }
}

impl Drop for Protect {
    /// Closes the run, if all that it wrote came to pass.
    fn drop(&mut self) {
        let mut header = self.header.write().unwrap_or_else(PoisonError::into_inner);
        if header.state == State::Open && self.inner.limits().writable && !self.failed.load(Ordering::Acquire)
        {
            header.state = State::Closed;
            // A run that stays open is only less sure of what it wrote.
            let _ = self.side.write(0, &header.bytes());
        }
    }
}

impl fmt::Debug for Protect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Protect({:?})", self.header().kind)
    }
}

/// Bytes of a side that speaks of so many bytes of blocks.
pub(crate) fn side_bytes(bytes_of_blocks: u64, block_bytes: u32) -> u64 {
    chunk_at((bytes_of_blocks / u64::from(block_bytes)).div_ceil(CHUNK_BLOCKS))
}

/// A run of blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    first: u64,
    count: u64,
}

/// What a run has of a chunk.
struct Piece {
    number: u64,
    slots: core::ops::Range<usize>,
}

impl Run {
    const fn end(self) -> u64 {
        self.first + self.count
    }

    /// How many chunks speak of it.
    const fn chunks(self) -> u64 {
        self.end().div_ceil(CHUNK_BLOCKS) - self.first / CHUNK_BLOCKS
    }

    fn pieces(self) -> impl Iterator<Item = Piece> {
        let first = self.first / CHUNK_BLOCKS;
        (first..first + self.chunks()).map(move |number| {
            let base = number * CHUNK_BLOCKS;
            let from = self.first.max(base) - base;
            let to = self.end().min(base + CHUNK_BLOCKS) - base;
            Piece { number, slots: slot(from)..slot(to) }
        })
    }

    /// The same in shorter runs, each of whole chunks but for the edges.
    fn batches(self) -> impl Iterator<Item = Self> {
        const BLOCKS: u64 = CHUNKS_AT_ONCE * CHUNK_BLOCKS;
        let first = self.first / BLOCKS;
        (first..self.end().div_ceil(BLOCKS)).map(move |batch| {
            let from = self.first.max(batch * BLOCKS);
            Self { first: from, count: self.end().min((batch + 1) * BLOCKS) - from }
        })
    }

    /// What is in front of the whole chunks in it, those, and what is behind them.
    fn split(self) -> (Self, Self, Self) {
        let from = self.first.next_multiple_of(CHUNK_BLOCKS).min(self.end());
        let to = (self.end() / CHUNK_BLOCKS * CHUNK_BLOCKS).max(from);
        (
            Self { first: self.first, count: from - self.first },
            Self { first: from, count: to - from },
            Self { first: to, count: self.end() - to },
        )
    }
}

/// The locks of a run, in the order in which they are taken.
fn stripes_of(run: Run) -> impl Iterator<Item = usize> {
    let first = run.first / CHUNK_BLOCKS;
    let all = run.chunks() >= bytes(STRIPES);
    let mut taken = [all; STRIPES];
    if !all {
        for number in first..first + run.chunks() {
            taken[slot(number % bytes(STRIPES))] = true;
        }
    }
    (0..STRIPES).filter(move |at| taken[*at])
}

/// Which of the two stands behind a block that may be old or new.
fn likelier(kind: Kind, now: Tuple, before: Tuple, block: &[u8]) -> Tuple {
    let guard = guard(block);
    if now.guard == guard || before.guard != guard {
        return now;
    }
    // The guard of a block of which nothing is to be checked was made to tell it by.
    let is_fresh = before.is_escape(kind) && before.reference == u32::MAX;
    if is_fresh { Tuple::FRESH } else { before }
}

/// The same operation, durable once it is done.
fn durably(op: Op) -> Op {
    match op {
        Op::Write { at, buf, .. } => Op::Write { at, buf, durability: Durability::Durable },
        Op::WriteAtomic { at, buf, .. } => Op::WriteAtomic { at, buf, durability: Durability::Durable },
        op => op,
    }
}

//= SBC-3 "CRC-16": LOGICAL BLOCK GUARD
fn guard(block: &[u8]) -> u16 {
    let sum = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc16T10Dif, block);
    u16::try_from(sum).unwrap_or_default()
}

const fn chunk_at(number: u64) -> u64 {
    CHUNKS_AT + number * 512
}
const _: () = assert!(CHUNK_BYTES == 512);

/// A number below a small bound.
fn slot(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn place(slot: usize) -> u64 {
    bytes(slot)
}
