//! How many bytes belong to a PDU: what a receiver must wait for, and what a sender must put behind a header.
//!
//! Invariant: a PDU's parts are the header (48), additional headers, header digest, data, padding, data digest, in
//! this order; a data digest is there only if there is data.

use super::{BHS_BYTES, Bhs};
use crate::digest::Digests;

/// Lengths of a PDU's parts behind its basic header.
//= RFC 7143 "iSCSI PDU Length and Padding"
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segments {
    /// Additional header segments.
    pub ahs_bytes: usize,
    /// Header digest: 0 or 4.
    pub header_digest_bytes: usize,
    /// Data, without padding.
    pub data_bytes: usize,
    /// Padding of the data: 0 to 3.
    pub padding_bytes: usize,
    /// Data digest: 0 or 4.
    pub data_digest_bytes: usize,
}

impl Segments {
    /// What follows a header under the digests that are in force.
    #[inline]
    #[must_use]
    pub fn of(bhs: &Bhs, digests: Digests) -> Self {
        let [_, high, middle, low] = bhs.data_segment_bytes().to_be_bytes();
        let data_bytes = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        Self {
            ahs_bytes: bhs.total_ahs_bytes(),
            header_digest_bytes: digests.header.bytes(),
            data_bytes,
            padding_bytes: padding_bytes(data_bytes),
            data_digest_bytes: if data_bytes == 0 { 0 } else { digests.data.bytes() },
        }
    }

    /// Everything up to the data: basic header, additional headers, header digest.
    #[inline]
    #[must_use]
    pub fn header_bytes(&self) -> usize {
        BHS_BYTES + self.ahs_bytes + self.header_digest_bytes
    }

    /// Everything from the data on: data, padding, data digest.
    #[inline]
    #[must_use]
    pub fn payload_bytes(&self) -> usize {
        self.data_bytes + self.padding_bytes + self.data_digest_bytes
    }

    /// The whole PDU.
    #[inline]
    #[must_use]
    pub fn total_bytes(&self) -> usize {
        self.header_bytes() + self.payload_bytes()
    }
}

/// Bytes of zeros that follow `bytes` of data up to a multiple of four.
#[inline]
#[must_use]
pub const fn padding_bytes(bytes: usize) -> usize {
    bytes.wrapping_neg() & 3
}

#[cfg(test)]
mod tests {
    use super::{Segments, padding_bytes};
    use crate::digest::{Digest, Digests};
    use crate::pdu::{Bhs, Opcode, field};

    fn segments(ahs_words: u8, data: u32, digests: Digests) -> Segments {
        let mut bhs = Bhs::new(Opcode::SCSI_COMMAND);
        bhs.set(field::TOTAL_AHS_WORDS, ahs_words);
        bhs.set(field::DATA_SEGMENT_BYTES, data);
        Segments::of(&bhs, digests)
    }

    const BOTH: Digests = Digests { header: Digest::Crc32c, data: Digest::Crc32c };

    #[test]
    fn data_is_padded_to_words() {
        assert_eq!([0, 1, 2, 3, 4, 5].map(padding_bytes), [0, 3, 2, 1, 0, 3]);
    }

    #[test]
    fn a_bare_header_is_48_bytes() {
        assert_eq!(segments(0, 0, Digests::NONE).total_bytes(), 48);
    }

    #[test]
    fn without_data_there_is_no_data_digest() {
        assert_eq!(segments(0, 0, BOTH).total_bytes(), 52);
    }

    #[test]
    fn all_parts_are_counted() {
        assert_eq!(segments(2, 5, BOTH).total_bytes(), 48 + 8 + 4 + 5 + 3 + 4);
    }
}
