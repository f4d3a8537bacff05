//! A disk in memory. What was never written, or was deallocated, takes none.
//!
//! Invariant: a granule that is not marked as written reads as zeros.

use core::fmt;

use felio_hal::store::{AtomicLimits, Done, Failure, Limits, Mapping, Op, Space, UnmapLimits, WriteCache};
use rustix::io::Errno;

use crate::granules::{GRANULE_BYTES, Granules};
use crate::store::{Answer, Attempt, Entry, NOT_HERE, Store, TRANSFER_BYTES_MAX, bytes, changes, fits};
use crate::sys::memory::Region;

/// Offsets and lengths are multiples of this; memory itself is content with less.
pub(crate) const BLOCK_BYTES: u32 = 512;

/// Ranges up to this long are deallocated and zeroed on the spot: some milliseconds at worst.
const INLINE_BYTES: u64 = 16 << 20;

/// Other commands see a write whole or not at all, as the engine keeps them away meanwhile; and no part of it outlives the
/// process, which is when this store ends.
pub(crate) const ATOMIC: AtomicLimits = AtomicLimits {
    bytes_max: TRANSFER_BYTES_MAX,
    granularity_bytes: BLOCK_BYTES,
    alignment_bytes: BLOCK_BYTES,
};

/// Memory as a store.
pub struct Ram {
    region: Region,
    written: Granules,
    limits: Limits,
}

impl Ram {
    /// `size` bytes, all zeros; a multiple of 512.
    pub fn new(size: u64, writable: bool) -> Result<Self, Errno> {
        let len = usize::try_from(size).map_err(|_| Errno::NOMEM)?;
        if len == 0 || !size.is_multiple_of(u64::from(BLOCK_BYTES)) {
            return Err(Errno::INVAL);
        }
        // The granularity fits: it is a constant below 2^32.
        let granularity_bytes = u32::try_from(GRANULE_BYTES).map_err(|_| Errno::OVERFLOW)?;
        let unmap = UnmapLimits { granularity_bytes, alignment_bytes: 0, zeroes: true, anchor: false };
        let limits = Limits {
            bytes: size,
            writable,
            logical_block_bytes: BLOCK_BYTES,
            physical_block_bytes: BLOCK_BYTES,
            optimal_io_bytes: None,
            transfer_bytes_max: TRANSFER_BYTES_MAX,
            write_cache: WriteCache::Off,
            unmap: Some(unmap),
            atomic: Some(ATOMIC),
            extents: true,
            space: true,
            rotational: Some(false),
            protection: felio_hal::store::Protection::Impossible,
            state: false,
            passes: None,
        };
        Ok(Self { region: Region::new(len)?, written: Granules::new(size).ok_or(Errno::NOMEM)?, limits })
    }

    /// Why the operation must not be done, if so.
    fn objection(&self, op: &Op) -> Option<Failure> {
        let block = u64::from(BLOCK_BYTES);
        let aligned = match op {
            Op::Read { at, buf } | Op::Write { at, buf, .. } | Op::WriteAtomic { at, buf, .. } => {
                (*at, bytes(buf.len()))
            }
            Op::Unmap { at, len } | Op::Zero { at, len, .. } => (*at, *len),
            _ => (0, 0),
        };
        match op {
            op if changes(op) && !self.limits.writable => Some(Failure::WriteProtected),
            op if !fits(op, self.limits.bytes) => Some(Failure::Short),
            _ if aligned.0 % block != 0 || aligned.1 % block != 0 => Some(Failure::Other(libc::EINVAL)),
            _ => None,
        }
    }

    fn write(&self, at: u64, data: &[u8]) {
        self.written.mark(at, bytes(data.len()));
        self.region.write(place(at), data);
    }

    /// Frees the granules within the range and zeroes what of it lies in others.
    fn unmap(&self, at: u64, len: u64) {
        let end = at + len;
        let inner = at.next_multiple_of(GRANULE_BYTES).min(end);
        let tail = (end - end % GRANULE_BYTES).max(inner);
        self.blank(at, inner - at);
        if self.region.discard(place(inner), place(tail - inner)).is_err() {
            self.region.zero(place(inner), place(tail - inner));
        }
        self.written.clear(inner, tail - inner);
        self.blank(tail, end - tail);
    }

    /// Zeroes a part of a granule, if it holds anything.
    fn blank(&self, at: u64, len: u64) {
        if len > 0 && self.written.run(at).0 {
            self.region.zero(place(at), place(len));
        }
    }

    fn zero(&self, at: u64, len: u64, unmap: bool) {
        if unmap {
            self.unmap(at, len);
        } else {
            self.written.mark(at, len);
            self.region.zero(place(at), place(len));
        }
    }

    fn finish(&self, op: Op) -> Answer {
        let done = match op {
            Op::Read { at, mut buf } => {
                self.region.read(place(at), &mut buf);
                return Answer::with(Ok(Done::Done), buf);
            }
            Op::Write { at, buf, .. } | Op::WriteAtomic { at, buf, .. } => {
                self.write(at, &buf);
                return Answer::with(Ok(Done::Done), buf);
            }
            Op::Unmap { at, len } => {
                self.unmap(at, len);
                Done::Done
            }
            Op::Zero { at, len, unmap } => {
                self.zero(at, len, unmap);
                Done::Done
            }
            Op::Extent { at } => {
                let (written, len) = self.written.run(at);
                Done::Extent { mapping: if written { Mapping::Mapped } else { Mapping::Deallocated }, len }
            }
            Op::Copy { .. } => return Answer::bare(Err(Failure::NotPossible)),
            Op::Size => Done::Size(self.limits.bytes),
            Op::Space => {
                let used = self.written.written_bytes();
                Done::Space(Space { used, available: self.limits.bytes.saturating_sub(used) })
            }
            Op::Flush | Op::Prefetch { .. } => Done::Done,
            op @ (Op::Save(_)
            | Op::Pass(_)
            | Op::ReadProtected { .. }
            | Op::WriteProtected { .. }
            | Op::Protect { .. }) => return Answer::without(op, Err(NOT_HERE)),
        };
        Answer::bare(Ok(done))
    }
}

impl Store for Ram {
    fn limits(&self) -> Limits {
        self.limits.clone()
    }

    fn attempt(&self, op: Op) -> Attempt {
        match op {
            Op::Unmap { len, .. } | Op::Zero { len, .. } if len > INLINE_BYTES => Attempt::Later(op),
            Op::Space => Attempt::Later(op), // It counts.
            op => Attempt::Done(self.run(op)),
        }
    }

    fn entry(&self, _: &Op) -> Option<Entry<'_>> {
        None
    }

    fn run(&self, op: Op) -> Answer {
        match self.objection(&op) {
            Some(failure) => Answer::without(op, Err(failure)),
            None => self.finish(op),
        }
    }
}

impl fmt::Debug for Ram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ram({} bytes)", self.limits.bytes)
    }
}

/// An offset within the size, which was checked to fit.
fn place(at: u64) -> usize {
    usize::try_from(at).unwrap_or(usize::MAX)
}
