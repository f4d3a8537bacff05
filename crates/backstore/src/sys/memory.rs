//! Memory that all reactors read and write at once: the body of a memory store.
//!
//! Copies in and out are the equivalent of relaxed atomic accesses, byte by byte: two that meet mix their bytes and do
//! nothing worse. On x86-64 the copy is one string instruction, which runs 1.5 to 2 times as fast as a loop over
//! atomic words (4 KiB out of 1 GiB, measured); elsewhere it is that loop.

use core::ffi::c_void;
use core::ptr::{self, NonNull};

use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};

/// What offsets and lengths must be multiples of.
pub(crate) const WORD_BYTES: usize = 8;

/// An anonymous mapping, zeros at first; a page takes memory once it is written.
#[derive(Debug)]
pub(crate) struct Region {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping belongs to no thread, and every access to it is equivalent to an atomic one.
// JUSTIFICATION: a raw pointer forbids what its use here allows.
unsafe impl Send for Region {}
// SAFETY: as above.
// JUSTIFICATION: as above.
unsafe impl Sync for Region {}

impl Region {
    /// `len` bytes of zeros.
    pub(crate) fn new(len: usize) -> Result<Self, Errno> {
        let (access, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE | MapFlags::NORESERVE);
        // SAFETY: a fresh mapping at an address of the kernel's choice touches no memory that exists.
        // JUSTIFICATION: the allocator can neither give single pages back nor ask for huge ones.
        let start = unsafe { mmap_anonymous(ptr::null_mut(), len, access, flags) }?;
        let start = NonNull::new(start.cast::<u8>()).ok_or(Errno::NOMEM)?;
        let region = Self { start, len };
        // Huge pages halve the time of random access; a kernel without them refuses, and nothing is lost.
        let _ = region.advise(0, len, Advice::LinuxHugepage);
        Ok(region)
    }

    /// Copies out.
    pub(crate) fn read(&self, at: usize, to: &mut [u8]) {
        let from = self.range(at, to.len());
        // SAFETY: `range` has checked that the source lies in the mapping; the target is ours alone, and apart from it.
        // JUSTIFICATION: no safe copy exists from memory that another thread may write.
        unsafe { copy::load(from, to.as_mut_ptr(), to.len()) }
    }

    /// Copies in.
    pub(crate) fn write(&self, at: usize, from: &[u8]) {
        let to = self.range(at, from.len());
        // SAFETY: `range` has checked that the target lies in the mapping; the source is not written meanwhile.
        // JUSTIFICATION: no safe copy exists to memory that another thread may read.
        unsafe { copy::store(from.as_ptr(), to, from.len()) }
    }

    /// Overwrites with zeros.
    pub(crate) fn zero(&self, at: usize, len: usize) {
        let to = self.range(at, len);
        // SAFETY: `range` has checked that the target lies in the mapping.
        // JUSTIFICATION: as for `write`.
        unsafe { copy::zero(to, len) }
    }

    /// Gives whole pages back; they read as zeros.
    pub(crate) fn discard(&self, at: usize, len: usize) -> Result<(), Errno> {
        self.advise(at, len, Advice::LinuxDontNeed)
    }

    fn advise(&self, at: usize, len: usize, advice: Advice) -> Result<(), Errno> {
        let start = self.range(at, len);
        // SAFETY: `range` has checked that the pages are the mapping's. Nothing points into them but this struct, and
        // whoever reads them meanwhile sees their content or zeros, as if someone stored zeros there.
        // JUSTIFICATION: giving pages back has no other interface.
        unsafe { madvise(start.cast::<c_void>(), len, advice) }
    }

    /// Where `at` is, after a check that `len` bytes from there are the mapping's.
    fn range(&self, at: usize, len: usize) -> *mut u8 {
        assert!(
            at.is_multiple_of(WORD_BYTES) && len.is_multiple_of(WORD_BYTES),
            "memory is addressed by words"
        );
        assert!(at.checked_add(len).is_some_and(|end| end <= self.len), "a range within the mapping");
        self.start.as_ptr().wrapping_add(at)
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the mapping was made with this start and length, and nobody has it but us.
        // JUSTIFICATION: memory that was mapped is given back by unmapping it.
        let _ = unsafe { munmap(self.start.as_ptr().cast::<c_void>(), self.len) };
    }
}

/// Copies as string instructions.
#[cfg(target_arch = "x86_64")]
mod copy {
    use core::arch::asm;

    /// # Safety
    /// `from` is readable, shared and in no Rust reference; `to` is writable and exclusive; they do not overlap.
    pub(super) unsafe fn load(from: *const u8, to: *mut u8, len: usize) {
        // SAFETY: the instruction reads `len` bytes at `from` and writes them at `to`, each byte atomically.
        // JUSTIFICATION: faster than a loop over atomic words, see the module's head.
        unsafe {
            asm!("rep movsb", inout("rcx") len => _, inout("rsi") from => _, inout("rdi") to => _,
                options(nostack, preserves_flags));
        }
    }

    /// # Safety
    /// `from` is readable and not written meanwhile; `to` is writable, shared and in no Rust reference.
    pub(super) unsafe fn store(from: *const u8, to: *mut u8, len: usize) {
        // SAFETY: the caller's promise is what `load` asks for but for which side is shared; both are accessed alike.
        // JUSTIFICATION: as for `load`.
        unsafe { load(from, to, len) }
    }

    /// # Safety
    /// `to` is writable, shared and in no Rust reference.
    pub(super) unsafe fn zero(to: *mut u8, len: usize) {
        // SAFETY: the instruction writes `len` bytes at `to`, each atomically.
        // JUSTIFICATION: as for `load`.
        unsafe {
            asm!("rep stosb", inout("rcx") len => _, inout("rdi") to => _, in("al") 0u8,
                options(nostack, preserves_flags));
        }
    }
}

/// Copies as loops over atomic words.
#[cfg(not(target_arch = "x86_64"))]
mod copy {
    use core::slice;
    use core::sync::atomic::{AtomicU64, Ordering};

    use super::WORD_BYTES;

    /// # Safety
    /// `start` is aligned to words, and `len` bytes from it are mapped for as long as the result lives.
    unsafe fn words<'a>(start: *const u8, len: usize) -> &'a [AtomicU64] {
        // SAFETY: the caller's promise; atomics may be shared with any other atomic access.
        // JUSTIFICATION: turns mapped memory into something that safe code can copy.
        unsafe { slice::from_raw_parts(start.cast::<AtomicU64>(), len / WORD_BYTES) }
    }

    /// # Safety
    /// `from` is readable, shared and in no Rust reference; `to` is writable and exclusive; they do not overlap.
    pub(super) unsafe fn load(from: *const u8, to: *mut u8, len: usize) {
        // SAFETY: the caller's promise.
        // JUSTIFICATION: gives the raw memory back its length.
        let (from, to) = unsafe { (words(from, len), slice::from_raw_parts_mut(to, len)) };
        for (word, bytes) in from.iter().zip(to.chunks_exact_mut(WORD_BYTES)) {
            bytes.copy_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes());
        }
    }

    /// # Safety
    /// `from` is readable and not written meanwhile; `to` is writable, shared and in no Rust reference.
    pub(super) unsafe fn store(from: *const u8, to: *mut u8, len: usize) {
        // SAFETY: the caller's promise.
        // JUSTIFICATION: gives the raw memory back its length.
        let (from, to) = unsafe { (slice::from_raw_parts(from, len), words(to, len)) };
        for (bytes, word) in from.as_chunks::<WORD_BYTES>().0.iter().zip(to) {
            word.store(u64::from_ne_bytes(*bytes), Ordering::Relaxed);
        }
    }

    /// # Safety
    /// `to` is writable, shared and in no Rust reference.
    pub(super) unsafe fn zero(to: *mut u8, len: usize) {
        // SAFETY: the caller's promise.
        // JUSTIFICATION: gives the raw memory back its length.
        for word in unsafe { words(to, len) } {
            word.store(0, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region() -> Region {
        Region::new(1 << 20).expect("a megabyte")
    }

    #[test]
    fn what_is_written_is_read() {
        let (region, data) = (region(), [7u8; 512]);
        let mut back = [0u8; 1024];
        region.write(4096 - 256, &data);
        region.read(4096 - 512, &mut back);
        assert_eq!((&back[..256], &back[256..768], &back[768..]), (&[0; 256][..], &data[..], &[0; 256][..]));
    }

    #[test]
    fn discarded_pages_read_as_zeros() {
        let region = region();
        let mut back = [1u8; 4096];
        region.write(8192, &[7; 4096]);
        region.discard(8192, 4096).expect("whole pages");
        region.read(8192, &mut back);
        assert_eq!(back, [0; 4096]);
    }

    #[test]
    fn zeroing_leaves_the_neighbours() {
        let region = region();
        let mut back = [0u8; 24];
        region.write(0, &[7; 24]);
        region.zero(8, 8);
        region.read(0, &mut back);
        assert_eq!(back.as_chunks::<8>().0, [[7; 8], [0; 8], [7; 8]]);
    }

    #[test]
    #[should_panic = "a range within the mapping"]
    fn a_range_past_the_end_is_our_own_mistake() {
        region().read((1 << 20) - 8, &mut [0; 16]);
    }
}
