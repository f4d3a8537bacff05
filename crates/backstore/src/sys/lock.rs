//! Locks of byte ranges, which QEMU takes on its images: that of one byte says what it does, that of another what others may not do.
//! `flock`, which keeps another felio away, says nothing to QEMU, nor QEMU's locks to `flock`.

use std::os::fd::{AsRawFd, BorrowedFd};

/// "I write", and "others shall not write": bytes of the image that QEMU locks for it, be there data or not.
const WRITES: i64 = 101;
const KEEPS_WRITERS_OUT: i64 = 201;

/// Whether somebody else has locked any of a file that is to be written, or says that he writes to one that is to be read.
pub(crate) fn is_taken(fd: BorrowedFd<'_>, writable: bool) -> bool {
    // A length of zero is all there is and will be.
    let (start, len) = if writable { (0, 0) } else { (WRITES, 1) };
    let mut question = range(libc::F_WRLCK, start, len);
    // SAFETY: the descriptor is open, and the kernel reads and writes the structure only during the call.
    // JUSTIFICATION: rustix has no locks of open files.
    let answer = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_OFD_GETLK, &raw mut question) };
    answer == 0 && question.l_type != short(libc::F_UNLCK)
}

/// Tells QEMU that the file is in use, for as long as it is open. A filesystem without such locks is not told.
pub(crate) fn take(fd: BorrowedFd<'_>, writable: bool) {
    let bytes: &[i64] = if writable { &[WRITES, KEEPS_WRITERS_OUT] } else { &[KEEPS_WRITERS_OUT] };
    for byte in bytes {
        let lock = range(libc::F_RDLCK, *byte, 1);
        // SAFETY: the descriptor is open, and the kernel reads the structure only during the call.
        // JUSTIFICATION: as above.
        let _ = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_OFD_SETLK, &raw const lock) };
    }
}

fn range(kind: i32, start: i64, len: i64) -> libc::flock {
    libc::flock { l_type: short(kind), l_whence: short(libc::SEEK_SET), l_start: start, l_len: len, l_pid: 0 }
}

/// The kinds are small, and other types in the structure than as constants.
fn short(value: i32) -> i16 {
    i16::try_from(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;

    use super::*;

    /// The same file, opened twice.
    fn twice() -> (tempfile::NamedTempFile, File) {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let again = file.reopen().expect("the same");
        (file, again)
    }

    #[test]
    fn who_writes_is_seen_by_all_and_who_reads_only_by_who_would_write() {
        for (writes, seen_by) in [(true, [true, true]), (false, [true, false])] {
            let (file, other) = twice();
            assert!(!is_taken(other.as_fd(), true));
            take(file.as_file().as_fd(), writes);
            assert_eq!([true, false].map(|writable| is_taken(other.as_fd(), writable)), seen_by);
            assert!(!is_taken(file.as_file().as_fd(), true), "one's own is no obstacle");
        }
    }
}
