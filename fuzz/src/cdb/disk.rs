//! A small store in memory, or a large one that forgets: it does what it is asked, when the script says so, or fails.
//!
//! Asserted here: an operation lies within the store as the engine can know it, in whole blocks, and moves something.

use felio_hal::store::{Done, Failure, Mapping, UnmapLimits, WriteCache};
use felio_hal::{Completion, Limits, Op, StoreId, Submission};

/// One store.
pub(super) struct Disk {
    pub(super) id: StoreId,
    pub(super) block_bytes: u64,
    /// The size that it tells.
    pub(super) bytes: u64,
    /// The largest size that it ever told.
    bytes_ever: u64,
    /// What it holds, if it is small.
    content: Vec<u8>,
}

impl Disk {
    /// A store of `bytes` bytes, all zeros.
    pub(super) fn new(id: u32, bytes: u64, block_bytes: u32) -> Self {
        let kept = if bytes <= KEPT_BYTES_MAX { bytes } else { 0 };
        Self {
            id: StoreId(id),
            block_bytes: u64::from(block_bytes),
            bytes,
            bytes_ever: bytes,
            content: vec![0; usize::try_from(kept).expect("small")],
        }
    }

    /// What it can do, as `flags` say.
    pub(super) fn limits(&self, flags: u8) -> Limits {
        Limits {
            bytes: self.bytes,
            writable: flags & 1 == 0,
            logical_block_bytes: 1,
            physical_block_bytes: 4096,
            optimal_io_bytes: (flags & 2 != 0).then_some(65_536),
            transfer_bytes_max: if flags & 4 != 0 { 32 << 10 } else { 4 << 20 },
            write_cache: if flags & 8 != 0 { WriteCache::On } else { WriteCache::Off },
            unmap: (flags & 16 == 0).then_some(UnmapLimits {
                granularity_bytes: 4096,
                alignment_bytes: 0,
                zeroes: flags & 32 == 0,
                anchor: flags & 2 != 0,
            }),
            atomic: None,
            space: false,
            extents: flags & 64 == 0,
            rotational: Some(flags & 128 != 0),
            protection: felio_hal::store::Protection::Impossible,
            state: flags & 1 == 0,
            passes: None,
        }
    }

    /// Somebody made it longer or shorter.
    pub(super) fn resize(&mut self, bytes: u64) {
        self.bytes = bytes;
        self.bytes_ever = self.bytes_ever.max(bytes);
        if bytes <= KEPT_BYTES_MAX && !self.content.is_empty() {
            self.content.resize(usize::try_from(bytes).expect("small"), 0);
        }
    }

    /// What it holds.
    pub(super) fn content(&self) -> &[u8] {
        &self.content
    }

    /// An operation is submitted.
    pub(super) fn check(&self, op: &Op) {
        let (at, bytes) = match op {
            Op::Read { at, buf } | Op::Write { at, buf, .. } | Op::WriteAtomic { at, buf, .. } => {
                (*at, u64::try_from(buf.len()).expect("a buffer"))
            }
            Op::Unmap { at, len }
            | Op::Zero { at, len, .. }
            | Op::Prefetch { at, len }
            | Op::Copy { at, len, .. } => (*at, *len),
            Op::Extent { at } => (*at, self.block_bytes),
            Op::Flush | Op::Space | Op::Size | Op::Save(_) | Op::Pass(_) => return,
            Op::ReadProtected { .. } | Op::WriteProtected { .. } | Op::Protect { .. } => {
                panic!("nobody keeps protection information here")
            }
        };
        assert!(bytes > 0, "{op:?} moves nothing");
        assert_eq!((at % self.block_bytes, bytes % self.block_bytes), (0, 0), "{op:?} in whole blocks");
        let end = at.checked_add(bytes).expect("an end");
        assert!(end <= self.bytes_ever, "{op:?} reaches beyond {}", self.bytes_ever);
    }

    /// Carries an operation out, or fails.
    pub(super) fn complete(&mut self, submission: Submission, failure: Option<Failure>) -> Completion {
        let Submission { store, task, op } = submission;
        let (result, buf) = match op {
            Op::Read { at, mut buf } => {
                let result = self.read(at, &mut buf, failure);
                (result, Some(buf))
            }
            Op::Write { at, buf, .. } | Op::WriteAtomic { at, buf, .. } => {
                let result = self.place(at, buf.len(), failure);
                let write = |place: Option<&mut [u8]>| place.map_or((), |place| place.copy_from_slice(&buf));
                (result.map(write).map(|()| Done::Done), Some(buf))
            }
            Op::Unmap { at, len } | Op::Zero { at, len, .. } => {
                let result = self.place(at, usize::try_from(len).unwrap_or(usize::MAX), failure);
                (result.map(|place| place.map_or((), |place| place.fill(0))).map(|()| Done::Done), None)
            }
            Op::Extent { at } => (failure.map_or_else(|| self.extent(at), Err), None),
            Op::Space => (failure.map_or(Err(Failure::Other(0)), Err), None),
            Op::Copy { .. } => (Err(failure.unwrap_or(Failure::NotPossible)), None),
            Op::Size => (failure.map_or(Ok(Done::Size(self.bytes)), Err), None),
            Op::ReadProtected { .. } | Op::WriteProtected { .. } | Op::Protect { .. } => {
                unreachable!("checked")
            }
            Op::Pass(pass) => (Err(Failure::Gone), pass.data),
            Op::Flush | Op::Prefetch { .. } | Op::Save(_) => (failure.map_or(Ok(Done::Done), Err), None),
        };
        Completion { store, task, result, buf }
    }

    fn read(&mut self, at: u64, buf: &mut [u8], failure: Option<Failure>) -> Result<Done, Failure> {
        if let Some(place) = self.place(at, buf.len(), failure)? {
            buf.copy_from_slice(place);
        } else {
            buf.fill(0);
        }
        Ok(Done::Done)
    }

    /// Where a range is kept, if it is.
    fn place(
        &mut self,
        at: u64,
        bytes: usize,
        failure: Option<Failure>,
    ) -> Result<Option<&mut [u8]>, Failure> {
        if let Some(failure) = failure {
            return Err(failure);
        }
        let end = at + u64::try_from(bytes).expect("a length");
        if end > self.bytes {
            return Err(Failure::Short);
        }
        let range = usize::try_from(at).unwrap_or(usize::MAX)..usize::try_from(end).unwrap_or(usize::MAX);
        Ok(self.content.get_mut(range))
    }

    /// Holes and data by turns, 64 KiB each, and one of unequal length at the end.
    fn extent(&self, at: u64) -> Result<Done, Failure> {
        if at >= self.bytes {
            return Err(Failure::Short);
        }
        let end = (at / STRIPE_BYTES + 1).saturating_mul(STRIPE_BYTES).min(self.bytes);
        let mapping =
            if (at / STRIPE_BYTES).is_multiple_of(2) { Mapping::Mapped } else { Mapping::Deallocated };
        Ok(Done::Extent { mapping, len: end - at })
    }
}

const KEPT_BYTES_MAX: u64 = 256 << 10;
const STRIPE_BYTES: u64 = 64 << 10;
