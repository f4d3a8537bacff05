//! What the kernel remembers of data that it could not write.

use std::os::fd::{AsRawFd, OwnedFd};

use rustix::io::Errno;

/// Whether cached data of the file were lost since the descriptor was opened or last asked. Every opening of a file is told
/// once of each loss, whatever others have been told; asking waits for nothing.
pub(crate) fn was_lost(fd: &OwnedFd) -> bool {
    /// Behind the end of any file: no page is there to wait for.
    const NOWHERE: i64 = i64::MAX - 1;
    // SAFETY: the descriptor is open, and the call touches no memory of ours.
    // JUSTIFICATION: rustix does not have this call.
    let answer =
        unsafe { libc::sync_file_range(fd.as_raw_fd(), NOWHERE, 1, libc::SYNC_FILE_RANGE_WAIT_BEFORE) };
    answer != 0 && is_loss(&std::io::Error::last_os_error())
}

/// A device, or a filesystem over a network, has its own reasons not to have written. What is no file with a page cache has lost nothing.
fn is_loss(error: &std::io::Error) -> bool {
    !matches!(Errno::from_io_error(error), Some(Errno::SPIPE | Errno::INVAL | Errno::BADF | Errno::INTR))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_the_reason_lost_is_lost() {
        for errno in [Errno::IO, Errno::NOSPC, Errno::TIMEDOUT, Errno::REMOTEIO, Errno::STALE, Errno::ROFS] {
            assert!(is_loss(&errno.into()));
        }
        assert!(!is_loss(&Errno::SPIPE.into()), "no file");
    }

    #[test]
    fn a_healthy_file_has_lost_nothing() {
        let file = tempfile::tempfile().expect("a file");
        assert!(!was_lost(&file.into()));
    }

    #[test]
    fn what_is_no_file_has_lost_nothing() {
        let event = rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC).expect("a descriptor");
        assert!(!was_lost(&event));
    }
}
