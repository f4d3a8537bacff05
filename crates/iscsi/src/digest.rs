//! Header and data digests: CRC32C over a PDU's parts, as bytes in wire order.
//!
//! Not here: which digest was negotiated (`keys`) and where the digests stand in a PDU ([`pdu::Segments`](crate::pdu::Segments)).
//! The checksum itself is crc-fast's, which uses what the processor has.

use crc_fast::CrcAlgorithm;

/// Bytes of a digest on the wire.
pub const DIGEST_BYTES: usize = 4;

/// What protects one kind of segment.
//= RFC 7143 "HeaderDigest and DataDigest"
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Digest {
    /// Nothing.
    #[default]
    None,
    /// CRC32C.
    Crc32c,
}

impl Digest {
    /// Bytes that this digest takes on the wire.
    #[inline]
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::None => 0,
            Self::Crc32c => DIGEST_BYTES,
        }
    }

    /// The name in text.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Crc32c => "CRC32C",
        }
    }
}

/// The digests that are in force on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Digests {
    /// Over the basic and additional headers.
    pub header: Digest,
    /// Over the data and its padding.
    pub data: Digest,
}

impl Digests {
    /// No digests: the login phase, and what holds if nothing is negotiated.
    pub const NONE: Self = Self { header: Digest::None, data: Digest::None };
}

/// A CRC32C that grows with the bytes that arrive or leave. Only its state: it is moved with every PDU, and what crc-fast keeps
/// beside that is thirty times as long.
#[derive(Debug, Clone, Copy)]
pub struct Crc32c(u64);

impl Crc32c {
    /// Nothing seen yet.
    #[must_use]
    pub fn new() -> Self {
        Self(crc_fast::Digest::new(CrcAlgorithm::Crc32Iscsi).get_state())
    }

    /// Takes in more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        let mut digest = self.resume();
        digest.update(bytes);
        self.0 = digest.get_state();
    }

    /// The digest of all bytes so far, in wire order.
    #[must_use]
    pub fn wire(&self) -> [u8; DIGEST_BYTES] {
        low_half(self.resume().finalize())
    }

    fn resume(self) -> crc_fast::Digest {
        crc_fast::Digest::new_with_init_state(CrcAlgorithm::Crc32Iscsi, self.0)
    }
}

impl Default for Crc32c {
    fn default() -> Self {
        Self::new()
    }
}

/// The digest of bytes that lie in one piece.
#[must_use]
pub fn crc32c(bytes: &[u8]) -> [u8; DIGEST_BYTES] {
    low_half(crc_fast::checksum(CrcAlgorithm::Crc32Iscsi, bytes))
}

/// The header digest: over the basic header and the additional headers.
//= RFC 7143 "Header Digest and Data Digest"
#[must_use]
pub fn header_digest(bhs: &[u8], ahs: &[u8]) -> [u8; DIGEST_BYTES] {
    if ahs.is_empty() { crc32c(bhs) } else { crc32c_of([bhs, ahs]) }
}

/// The data digest: over the data and its padding, which is zeros when we send and whatever came when we receive.
#[must_use]
pub fn data_digest(data: &[u8], padding: &[u8]) -> [u8; DIGEST_BYTES] {
    if padding.is_empty() { crc32c(data) } else { crc32c_of([data, padding]) }
}

/// The digest of bytes that lie in several pieces.
#[must_use]
pub fn crc32c_of<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> [u8; DIGEST_BYTES] {
    let mut crc = Crc32c::new();
    for piece in pieces {
        crc.update(piece);
    }
    crc.wire()
}

/// The CRC's 32 bits, least significant byte first: bit 31 of the polynomial's remainder is bit 0 of the first byte.
fn low_half(checksum: u64) -> [u8; DIGEST_BYTES] {
    let [a, b, c, d, ..] = checksum.to_le_bytes();
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::{Crc32c, crc32c, crc32c_of, data_digest, header_digest};
    use proptest::prelude::*;

    //= RFC 7143 "CRC Examples"
    #[test]
    fn zeros_are_as_in_the_standard() {
        assert_eq!(crc32c(&[0; 32]), [0xaa, 0x36, 0x91, 0x8a]);
    }

    #[test]
    fn ones_are_as_in_the_standard() {
        assert_eq!(crc32c(&[0xff; 32]), [0x43, 0xab, 0xa8, 0x62]);
    }

    #[test]
    fn incrementing_bytes_are_as_in_the_standard() {
        let bytes: Vec<u8> = (0..32).collect();
        assert_eq!(crc32c(&bytes), [0x4e, 0x79, 0xdd, 0x46]);
    }

    #[test]
    fn decrementing_bytes_are_as_in_the_standard() {
        let bytes: Vec<u8> = (0..32).rev().collect();
        assert_eq!(crc32c(&bytes), [0x5c, 0xdb, 0x3f, 0x11]);
    }

    #[test]
    fn a_read_command_is_as_in_the_standard() {
        let mut bytes = [0; 48];
        bytes[0] = 0x01;
        bytes[1] = 0xc0;
        bytes[16] = 0x14;
        bytes[22] = 0x04;
        bytes[27] = 0x14;
        bytes[31] = 0x18;
        bytes[32] = 0x28;
        bytes[40] = 0x02;
        assert_eq!(header_digest(&bytes, &[]), [0x56, 0x3a, 0x96, 0xd9]);
    }

    #[test]
    fn padding_is_part_of_the_data_digest() {
        assert_eq!(data_digest(&[1, 2, 3, 4, 5], &[0, 0, 0]), crc32c(&[1, 2, 3, 4, 5, 0, 0, 0]));
    }

    proptest! {
        #[test]
        fn pieces_have_the_digest_of_the_whole(bytes in proptest::collection::vec(any::<u8>(), 0..600), cut in 0_usize..600) {
            let (front, back) = bytes.split_at(cut.min(bytes.len()));
            prop_assert_eq!(crc32c_of([front, back]), crc32c(&bytes));
            let mut crc = Crc32c::new();
            bytes.iter().for_each(|byte| crc.update(&[*byte]));
            prop_assert_eq!(crc.wire(), crc32c(&bytes));
        }
    }
}
