//! Who a disk says it is, derived from the 16 bytes that the backstore keeps with it.
//!
//! - Serial: the 16 bytes as a UUID.
//! - NAA id: NAA 6 (IEEE Registered Extended) with the company id 00 14 05 that Linux targets use, so that the device tables of multipath
//!   and of hypervisors treat the disk as they treat theirs, and 25 hexadecimal digits of the UUID.
//! - Default target name: the first disk's serial behind felio's own prefix; neither the host's name nor the path is in it, so a renamed
//!   host and a moved file change nothing.

use core::fmt;

/// felio's naming authority and the month in which it had it.
const PREFIX: &str = "iqn.2026-11.org.felio";

/// NAA 6 and the company id, seven hexadecimal digits: 6 001405.
const NAA_HEAD: [u8; 3] = [0x60, 0x01, 0x40];
const NAA_FIFTH: u8 = 0x50;

/// A UUID of version 8: sixteen bytes made by whoever made them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Uuid([u8; 16]);

impl Uuid {
    /// From a disk's 16 bytes.
    pub(crate) fn new(mut bytes: [u8; 16]) -> Self {
        bytes[6] = 0x80 | (bytes[6] & 0x0f);
        bytes[8] = 0x80 | (bytes[8] & 0x3f);
        Self(bytes)
    }

    /// The NAA designator.
    pub(crate) fn naa(self) -> [u8; 16] {
        // 25 digits: the last four bits of one byte, then twelve bytes and a half; the UUID's version and variant bits, which are
        // the same in all, are left to the serial.
        let mut naa = [0; 16];
        naa[..3].copy_from_slice(&NAA_HEAD);
        naa[3] = NAA_FIFTH | (self.0[6] & 0x0f);
        let (head, tail) = naa[4..].split_at_mut(6);
        head.copy_from_slice(&self.0[..6]);
        tail.copy_from_slice(&self.0[10..]);
        naa
    }

    /// The name of a target whose first disk this is.
    pub(crate) fn target_name(self) -> String {
        format!("{PREFIX}:{self}")
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

/// An NAA designator as people compare it.
pub(crate) fn show_naa(naa: [u8; 16]) -> String {
    naa.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: [u8; 16] =
        [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xfc, 0xdd, 0xfe, 0xff, 0x10, 0x32, 0x54, 0x76, 0x98, 0xba];

    #[test]
    fn the_serial_is_a_uuid() {
        assert_eq!(Uuid::new(BYTES).to_string(), "01234567-89ab-8cdd-beff-1032547698ba");
    }

    #[test]
    fn the_naa_id_begins_like_those_of_linux_targets() {
        assert_eq!(show_naa(Uuid::new(BYTES).naa()), "6001405c0123456789ab1032547698ba");
    }

    #[test]
    fn the_target_name_comes_from_the_disk() {
        let want = "iqn.2026-11.org.felio:01234567-89ab-8cdd-beff-1032547698ba";
        assert_eq!(Uuid::new(BYTES).target_name(), want);
    }
}
