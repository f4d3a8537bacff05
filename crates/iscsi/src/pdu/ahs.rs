//! Additional header segments: the rest of a long CDB, and the read length of a bidirectional command.
//!
//! Invariant: [`AhsIter`] never reaches past the bytes it was given and always ends; an unknown type is handed out
//! with its bytes, a wrong length ends the walk with an error.

use super::{AhsType, Malformed};

/// One additional header segment.
//= RFC 7143 "Additional Header Segment (AHS)"
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ahs<'a> {
    /// The bytes of the CDB behind its first 16.
    ExtendedCdb(&'a [u8]),
    /// How much a bidirectional command may read.
    BidirectionalRead {
        /// Bytes.
        expected_bytes: u32,
    },
    /// A type that has no meaning here.
    Unknown(AhsType),
}

/// Walks over the additional header segments of a PDU.
#[derive(Debug, Clone)]
pub struct AhsIter<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> AhsIter<'a> {
    /// Begins at the first; `bytes` is all that the header's TotalAHSLength covers.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }
}

impl<'a> Iterator for AhsIter<'a> {
    type Item = Result<Ahs<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.bytes.get(self.at..).filter(|rest| !rest.is_empty())?;
        let begin = self.at;
        let malformed = Malformed::AdditionalHeader { at: begin };
        let Some((kind, body, whole)) = split(rest) else {
            self.at = self.bytes.len();
            return Some(Err(malformed));
        };
        self.at += whole;
        Some(match kind {
            AhsType::EXTENDED_CDB => Ok(Ahs::ExtendedCdb(body)),
            AhsType::BIDIRECTIONAL_READ => match body.try_into() {
                Ok(bytes) => Ok(Ahs::BidirectionalRead { expected_bytes: u32::from_be_bytes(bytes) }),
                Err(_) => Err(malformed),
            },
            unknown => Ok(Ahs::Unknown(unknown)),
        })
    }
}

/// Bytes of a bidirectional read length on the wire.
pub const BIDIRECTIONAL_READ_AHS_BYTES: usize = 8;

/// Writes the segment that says how much a bidirectional command may read.
#[must_use]
pub fn emit_bidirectional_read(expected_bytes: u32) -> [u8; BIDIRECTIONAL_READ_AHS_BYTES] {
    let [a, b, c, d] = expected_bytes.to_be_bytes();
    [0, 5, AhsType::BIDIRECTIONAL_READ.0, 0, a, b, c, d]
}

/// Writes the segment with the rest of a CDB (what follows its first 16 bytes) to the front of `out`, and tells how
/// many bytes it takes with padding; `None` if `out` or the length field is too small for it.
pub fn emit_extended_cdb(rest: &[u8], out: &mut [u8]) -> Option<usize> {
    let length = u16::try_from(rest.len() + RESERVED_BYTES).ok()?;
    let whole = HEADER_BYTES + rest.len() + super::padding_bytes(rest.len());
    let out = out.get_mut(..whole)?;
    out.fill(0);
    let (header, body) = out.split_at_mut(HEADER_BYTES);
    let [high, low] = length.to_be_bytes();
    header.copy_from_slice(&[high, low, AhsType::EXTENDED_CDB.0, 0]);
    body[..rest.len()].copy_from_slice(rest);
    Some(whole)
}

/// Type, bytes behind the segment's own header, and length with padding of the first segment.
fn split(bytes: &[u8]) -> Option<(AhsType, &[u8], usize)> {
    let (&[high, low, kind, _reserved], rest) = bytes.split_first_chunk::<HEADER_BYTES>()?;
    let body_bytes = usize::from(u16::from_be_bytes([high, low])).checked_sub(RESERVED_BYTES)?;
    let body = rest.get(..body_bytes)?;
    let whole = HEADER_BYTES + body_bytes + super::padding_bytes(body_bytes);
    Some((AhsType(kind & TYPE_MASK), body, whole))
}

/// AHSLength, AHSType and the byte behind it.
const HEADER_BYTES: usize = 4;
/// AHSLength counts the byte behind AHSType too, which both known types reserve.
const RESERVED_BYTES: usize = 1;
/// The upper two bits of the type byte are reserved.
const TYPE_MASK: u8 = 0x3f;

#[cfg(test)]
mod tests {
    use super::{Ahs, AhsIter, emit_bidirectional_read, emit_extended_cdb};
    use crate::pdu::{AhsType, Malformed};
    use proptest::prelude::*;

    fn walk(bytes: &[u8]) -> Vec<Result<Ahs<'_>, Malformed>> {
        AhsIter::new(bytes).collect()
    }

    #[test]
    fn a_long_cdb_comes_back() {
        let mut out = [0xff; 24];
        let cdb: Vec<u8> = (16..33).collect();
        assert_eq!(emit_extended_cdb(&cdb, &mut out), Some(24));
        assert_eq!(out[..4], [0, 18, 1, 0]);
        assert_eq!(walk(&out), [Ok(Ahs::ExtendedCdb(&cdb))]);
    }

    #[test]
    fn two_segments_are_both_found() {
        let mut bytes = vec![0; 8];
        assert_eq!(emit_extended_cdb(&[7, 8, 9], &mut bytes), Some(8));
        bytes.extend(emit_bidirectional_read(0x0102_0304));
        let want = [
            Ok(Ahs::ExtendedCdb(&[7, 8, 9][..])),
            Ok(Ahs::BidirectionalRead { expected_bytes: 0x0102_0304 }),
        ];
        assert_eq!(walk(&bytes), want);
    }

    #[test]
    fn an_unknown_type_survives() {
        assert_eq!(walk(&[0, 1, 0x2a, 0]), [Ok(Ahs::Unknown(AhsType(0x2a)))]);
    }

    #[test]
    fn a_length_past_the_end_is_malformed() {
        assert_eq!(walk(&[0, 9, 1, 0, 1, 2, 3, 4]), [Err(Malformed::AdditionalHeader { at: 0 })]);
    }

    #[test]
    fn a_length_of_zero_is_malformed_and_ends_the_walk() {
        assert_eq!(walk(&[0, 0, 1, 0, 0, 0, 1, 0]), [Err(Malformed::AdditionalHeader { at: 0 })]);
    }

    #[test]
    fn a_short_read_length_is_malformed() {
        assert_eq!(walk(&[0, 4, 2, 0, 1, 2, 3, 0]), [Err(Malformed::AdditionalHeader { at: 0 })]);
    }

    proptest! {
        #[test]
        fn random_bytes_end_the_walk_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..1024)) {
            prop_assert!(walk(&bytes).len() <= bytes.len() / 4 + 1);
        }
    }
}
