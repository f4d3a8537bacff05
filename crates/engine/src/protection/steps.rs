//! What happens to blocks and their protection information in memory: compared, combined, repeated.

use super::guarded::{Guarded, How};
use super::terms::wholes;
use super::{differing, guard};
use crate::geometry::Geometry;
use crate::work::Against;
use felio_spec::Sense;
use felio_spec::protection::{COMPARED, Kind, Tuple};
use felio_spec::sense::code;

/// A block that was sent, and what was sent behind it.
struct Sent<'a> {
    block: &'a [u8],
    tuple: Option<Tuple>,
}

impl Guarded {
    /// The block of Data-Out in that place.
    fn sent(&self, at: u64, geometry: &Geometry) -> Option<Sent<'_>> {
        let bytes = self.terms.sent_bytes(geometry);
        let from = usize::try_from(at).ok()?.checked_mul(bytes)?;
        let whole = self.data.as_deref()?.get(from..)?.get(..bytes)?;
        let (block, tuple) = whole.split_at_checked(geometry.buf_bytes(1))?;
        Some(Sent { block, tuple: self.terms.is_sent().then(|| Tuple::read(tuple)) })
    }

    /// One block's tuple, as it stands behind the block that is so many further on.
    //= SBC-3 "WRITE SAME (10) command": reference tags of types 1 and 2 count up from the one that was sent
    fn counted(&self, tuple: Tuple, further: u64) -> Tuple {
        match self.terms.kind {
            Kind::Type3 => tuple,
            Kind::Type1 | Kind::Type2 => {
                let further = felio_spec::protection::low_half(further);
                Tuple { reference: tuple.reference.wrapping_add(further), ..tuple }
            }
        }
    }
}

/// Compares a piece of the medium with what was sent.
pub(super) fn compare(
    command: &Guarded,
    against: Against,
    piece: &[u8],
    geometry: &Geometry,
) -> Result<(), Sense> {
    let rule = command.terms.rule(&COMPARED);
    for (at, stored) in (command.done..).zip(wholes(piece, geometry)) {
        let sent = match against {
            Against::Nothing => None,
            Against::Each => command.sent(at, geometry),
            Against::One => command.sent(0, geometry).map(|sent| {
                let tuple = sent.tuple.map(|tuple| command.counted(tuple, at));
                Sent { tuple, ..sent }
            }),
        };
        let Some(sent) = sent else { continue };
        if stored.block != sent.block {
            return Err(code::MISCOMPARE_DURING_VERIFY.into());
        }
        if let Some(tuple) = sent.tuple {
            rule.compare(stored.tuple, tuple)
                .map_err(|flaw| Sense::with_information(differing(flaw), command.extent.lba + at))?;
        }
    }
    Ok(())
}

/// Makes new blocks of those that were read and those that were sent, with what stands behind them.
pub(super) fn combine(
    command: &Guarded,
    how: How,
    blocks: &mut [u8],
    geometry: &Geometry,
) -> Result<(), Sense> {
    let count = command.extent.blocks;
    if matches!(how, How::Replace) {
        check_same(command, blocks, geometry)?;
    }
    let (whole_bytes, block_bytes) = (geometry.whole().buf_bytes(1), geometry.buf_bytes(1));
    for (at, whole) in (0..count).zip(blocks.chunks_exact_mut(whole_bytes)) {
        let from = if matches!(how, How::Replace) { count + at } else { at };
        let Some(sent) = command.sent(from, geometry) else { continue };
        let (block, tuple) = whole.split_at_mut(block_bytes);
        let sent_tuple = match how {
            How::Replace => {
                block.copy_from_slice(sent.block);
                sent.tuple
            }
            How::Or | How::And(_) => {
                for (byte, bits) in block.iter_mut().zip(sent.block) {
                    *byte = if matches!(how, How::Or) { *byte | *bits } else { *byte & *bits };
                }
                //= SBC-3 "ORWRITE commands overview": the guard is made anew, the tags are those that were sent
                sent.tuple.map(|tuple| Tuple { guard: guard(block), ..tuple })
            }
        };
        command.terms.tuple(at, sent_tuple, block).write(tuple);
    }
    Ok(())
}

//= SBC-3 "COMPARE AND WRITE command": INFORMATION is the offset of the first byte of Data-Out that differs
fn check_same(command: &Guarded, blocks: &[u8], geometry: &Geometry) -> Result<(), Sense> {
    let sent_bytes = u64::try_from(command.terms.sent_bytes(geometry)).unwrap_or(u64::MAX);
    for (at, stored) in (0..).zip(wholes(blocks, geometry)) {
        let Some(sent) = command.sent(at, geometry) else { continue };
        if stored.block != sent.block {
            let same = stored.block.iter().zip(sent.block).take_while(|(a, b)| a == b).count();
            let offset = at * sent_bytes + u64::try_from(same).unwrap_or(0);
            return Err(Sense::with_information(code::MISCOMPARE_DURING_VERIFY, offset));
        }
    }
    Ok(())
}

/// Fills a piece with the block that was sent.
pub(super) fn repeat(command: &Guarded, piece: &mut [u8], geometry: &Geometry) {
    let Some(sent) = command.sent(0, geometry) else { return };
    let (whole_bytes, block_bytes) = (geometry.whole().buf_bytes(1), geometry.buf_bytes(1));
    for (at, whole) in (command.done..).zip(piece.chunks_exact_mut(whole_bytes)) {
        let (block, tuple) = whole.split_at_mut(block_bytes);
        block.copy_from_slice(sent.block);
        let counted = sent.tuple.map(|tuple| command.counted(tuple, at));
        command.terms.tuple(at, counted, block).write(tuple);
    }
}
