//! What an error number of the operating system means for a command: one table.
//!
//! Numbers that are not in it stay what they are ([`Failure::Other`]) and become a hardware error in the engine.

use felio_hal::store::Failure;
use rustix::io::Errno;

/// What a number means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Medium,
    NoSpace,
    WriteProtected,
    Gone,
}

/// Every number that means something to an initiator.
const TABLE: [(Errno, Meaning); 15] = [
    (Errno::IO, Meaning::Medium),
    (Errno::BADMSG, Meaning::Medium), // A checksum of the filesystem does not match.
    (Errno::NODATA, Meaning::Medium), // Block layer: critical medium error.
    (Errno::ILSEQ, Meaning::Medium),  // Block layer: protection information does not match.
    (Errno::UCLEAN, Meaning::Medium), // The filesystem found itself corrupted.
    (Errno::NOSPC, Meaning::NoSpace),
    (Errno::DQUOT, Meaning::NoSpace),
    (Errno::FBIG, Meaning::NoSpace), // The filesystem cannot make the file so long.
    (Errno::ROFS, Meaning::WriteProtected),
    (Errno::PERM, Meaning::WriteProtected), // The file was made immutable, or sealed.
    (Errno::ACCESS, Meaning::WriteProtected),
    (Errno::NODEV, Meaning::Gone),
    (Errno::NXIO, Meaning::Gone),
    (Errno::STALE, Meaning::Gone),
    (Errno::SHUTDOWN, Meaning::Gone), // The filesystem was shut down.
];

/// The failure that `errno` stands for; `at` is the byte offset, if that is known.
pub(crate) fn failure(errno: Errno, at: Option<u64>) -> Failure {
    match TABLE.iter().find(|(known, _)| *known == errno).map(|(_, meaning)| meaning) {
        Some(Meaning::Medium) => Failure::Medium(at),
        Some(Meaning::NoSpace) => Failure::NoSpace,
        Some(Meaning::WriteProtected) => Failure::WriteProtected,
        Some(Meaning::Gone) => Failure::Gone,
        None => Failure::Other(errno.raw_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(errno: Errno, want: Failure) {
        assert_eq!(failure(errno, Some(4096)), want);
    }

    #[test]
    fn an_io_error_is_the_mediums_and_keeps_its_offset() {
        check(Errno::IO, Failure::Medium(Some(4096)));
    }

    #[test]
    fn a_full_filesystem_and_a_spent_quota_are_the_same() {
        check(Errno::NOSPC, Failure::NoSpace);
        check(Errno::DQUOT, Failure::NoSpace);
    }

    #[test]
    fn a_filesystem_that_turned_read_only_is_write_protection() {
        check(Errno::ROFS, Failure::WriteProtected);
    }

    #[test]
    fn a_device_that_left_is_gone() {
        check(Errno::NODEV, Failure::Gone);
    }

    #[test]
    fn an_unknown_number_survives() {
        check(Errno::NOMEM, Failure::Other(libc::ENOMEM));
    }

    #[test]
    fn no_number_has_two_meanings() {
        for (index, (errno, _)) in TABLE.iter().enumerate() {
            assert!(!TABLE[..index].iter().any(|(earlier, _)| earlier == errno), "{errno:?} stands twice");
        }
    }
}
