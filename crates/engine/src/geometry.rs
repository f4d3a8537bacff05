//! Blocks: how many, how large, and how many a command may name.
//!
//! Everything that the Block Limits page advertises and the commands enforce is computed here, once.
//!
//! Invariant: an [`Extent`] never reaches past the last block of the geometry that made it; whoever kept one asks
//! [`Geometry::check`] again.

use crate::config::UnitConfig;
use felio_hal::store::{AtomicLimits, Protection, UnmapLimits, WriteCache};
use felio_spec::field::Bits;
use felio_spec::protection::{Kind, TUPLE_BYTES};
use felio_spec::sense::{Sense, code};

/// Longest transfer of one command, bytes.
pub const TRANSFER_BYTES_MAX: u32 = 8 << 20;
/// Longest COMPARE AND WRITE, blocks. The CDB has a byte for it, so that one more can still be asked for and refused.
pub(crate) const COMPARE_AND_WRITE_BLOCKS_MAX: u32 = 128;
/// Longest WRITE SAME, blocks: what WRITE SAME (10) can name.
pub(crate) const WRITE_SAME_BLOCKS_MAX: u64 = 0xffff;
/// Most block descriptors of one UNMAP.
pub(crate) const UNMAP_DESCRIPTORS_MAX: u32 = 256;
/// Most blocks of one UNMAP: what an initiator would still call a sane limit (libiscsi's suite says 1 Mi).
pub(crate) const UNMAP_BLOCKS_MAX: u32 = 1 << 20;
/// Longest store operation of a command that works in pieces, bytes.
pub(crate) const PIECE_BYTES_MAX: u32 = 1 << 20;

/// The shape of a unit and the limits that follow from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// How many logical blocks; changes when the store is resized.
    pub blocks: u64,
    /// Logical block, bytes.
    pub block_bytes: u32,
    /// Physical block, bytes.
    pub physical_block_bytes: u32,
    /// MAXIMUM TRANSFER LENGTH, blocks.
    pub transfer_blocks_max: u32,
    /// Completed writes need a flush to be durable.
    pub write_cache: WriteCache,
    /// What can be deallocated.
    pub unmap: Option<UnmapLimits>,
    /// What can be written as one step.
    pub atomic: Option<AtomicLimits>,
    /// The store knows which blocks are allocated.
    pub extents: bool,
    /// What stands behind each block; changes when the unit is formatted.
    pub protection: Option<Kind>,
}

/// What WRITE ATOMIC takes, in blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AtomicBlocks {
    /// MAXIMUM ATOMIC TRANSFER LENGTH.
    pub max: u32,
    /// ATOMIC TRANSFER LENGTH GRANULARITY.
    pub granularity: u32,
    /// ATOMIC ALIGNMENT.
    pub alignment: u32,
}

/// A range of blocks that exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// First block.
    pub lba: u64,
    /// How many.
    pub blocks: u64,
}

impl Extent {
    /// Whether the two share a block.
    #[must_use]
    pub const fn overlaps(self, other: Self) -> bool {
        self.blocks > 0
            && other.blocks > 0
            && self.lba < other.lba + other.blocks
            && other.lba < self.lba + self.blocks
    }

    /// The smallest range that holds both.
    #[must_use]
    pub fn hull(self, other: Self) -> Self {
        match (self.blocks, other.blocks) {
            (0, _) => other,
            (_, 0) => self,
            _ => {
                let lba = self.lba.min(other.lba);
                let end = (self.lba + self.blocks).max(other.lba + other.blocks);
                Self { lba, blocks: end - lba }
            }
        }
    }
}

impl Geometry {
    /// The shape of a unit as configured.
    ///
    /// # Panics
    /// When the block size is zero: the configuration was not checked.
    #[must_use]
    pub fn new(config: &UnitConfig) -> Self {
        assert!(config.block_bytes > 0, "a unit needs blocks of some size");
        let limits = &config.limits;
        let transfer_bytes_max = limits.transfer_bytes_max.min(TRANSFER_BYTES_MAX);
        // Whatever the unit is formatted with, a transfer of the longest kind fits in a buffer.
        let sent_bytes = match limits.protection {
            Protection::Impossible => config.block_bytes,
            Protection::Off | Protection::On(_) => config.block_bytes + TUPLE_BYTES,
        };
        Self {
            blocks: limits.bytes / u64::from(config.block_bytes),
            block_bytes: config.block_bytes,
            physical_block_bytes: config.physical_block_bytes,
            transfer_blocks_max: (transfer_bytes_max / sent_bytes).max(1),
            write_cache: limits.write_cache,
            unmap: limits.unmap,
            atomic: limits.atomic.filter(|atomic| atomic.bytes_max >= config.block_bytes),
            extents: limits.extents,
            protection: limits.protection.kind(),
        }
    }

    /// MAXIMUM COMPARE AND WRITE LENGTH, blocks; Data-Out holds each block twice.
    #[must_use]
    pub fn compare_and_write_blocks_max(&self) -> u32 {
        COMPARE_AND_WRITE_BLOCKS_MAX.min(self.transfer_blocks_max)
    }

    /// The limits of WRITE ATOMIC.
    #[must_use]
    pub fn atomic_blocks(&self) -> Option<AtomicBlocks> {
        let limits = self.atomic?;
        let blocks = |bytes: u32| (bytes / self.block_bytes).max(1);
        Some(AtomicBlocks {
            max: blocks(limits.bytes_max).min(self.transfer_blocks_max),
            granularity: blocks(limits.granularity_bytes),
            alignment: blocks(limits.alignment_bytes),
        })
    }

    /// MAXIMUM WRITE SAME LENGTH, blocks.
    #[must_use]
    pub const fn write_same_blocks_max(&self) -> u64 {
        WRITE_SAME_BLOCKS_MAX
    }

    /// WSNZ: whether WRITE SAME refuses a length of zero. It stands for all blocks up to the end, so it is taken only
    /// where that can never be too many.
    #[must_use]
    pub const fn write_same_non_zero(&self) -> bool {
        self.blocks > self.write_same_blocks_max()
    }

    /// MAXIMUM UNMAP LBA COUNT, blocks.
    #[must_use]
    pub const fn unmap_blocks_max(&self) -> u32 {
        UNMAP_BLOCKS_MAX
    }

    /// Blocks of one piece of a command that works in pieces.
    #[must_use]
    pub fn piece_blocks_max(&self) -> u64 {
        u64::from((PIECE_BYTES_MAX / self.block_bytes).clamp(1, self.transfer_blocks_max))
    }

    /// The same blocks, each with what stands behind it: how they are transferred and stored with protection information.
    #[must_use]
    pub const fn whole(&self) -> Self {
        Self { block_bytes: self.block_bytes + TUPLE_BYTES, ..*self }
    }

    /// The last block's address; zero for a unit without blocks.
    #[must_use]
    pub const fn last_lba(&self) -> u64 {
        self.blocks.saturating_sub(1)
    }

    /// Byte offset of a block.
    #[must_use]
    pub fn offset(&self, lba: u64) -> u64 {
        lba * u64::from(self.block_bytes)
    }

    /// Bytes of so many blocks.
    #[must_use]
    pub fn bytes(&self, blocks: u64) -> u64 {
        blocks * u64::from(self.block_bytes)
    }

    /// Bytes of so many blocks, for a buffer. A command's length was checked before, so it fits.
    #[must_use]
    pub fn buf_bytes(&self, blocks: u64) -> usize {
        usize::try_from(self.bytes(blocks)).unwrap_or(usize::MAX)
    }

    /// The extent that a CDB names, wherever its length is not limited.
    //= SBC-3 "LBA out of range": an address past the last block is refused, whatever the length is.
    pub fn extent(&self, lba: u64, blocks: u64) -> Result<Extent, Sense> {
        match lba.checked_add(blocks) {
            Some(end) if lba < self.blocks && end <= self.blocks => Ok(Extent { lba, blocks }),
            _ => Err(Sense::with_information(code::LBA_OUT_OF_RANGE, lba.max(self.blocks))),
        }
    }

    /// Refuses an extent that no longer exists, as the unit has become smaller since it was made.
    pub fn check(&self, extent: Extent) -> Result<(), Sense> {
        match extent.blocks {
            0 => Ok(()),
            blocks => self.extent(extent.lba, blocks).map(|_| ()),
        }
    }

    /// The extent that a CDB names, where zero blocks stand for all up to the end.
    pub fn extent_or_rest(&self, lba: u64, blocks: u64) -> Result<Extent, Sense> {
        let Extent { lba, blocks } = self.extent(lba, blocks)?;
        Ok(Extent { lba, blocks: if blocks == 0 { self.blocks - lba } else { blocks } })
    }

    /// The extent of a transfer; `length` is the field that names its length.
    //= SBC-3 "Block Limits VPD page": a longer transfer is an invalid field in the CDB.
    pub fn transfer(&self, lba: u64, blocks: u32, length: Bits) -> Result<Extent, Sense> {
        let extent = self.extent(lba, u64::from(blocks))?;
        if blocks > self.transfer_blocks_max {
            return Err(Sense::invalid_field(length));
        }
        Ok(extent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use felio_spec::field::Field;

    const LENGTH: Bits = Field::<u32>::bytes(10, 4).bits;

    fn geometry() -> Geometry {
        Geometry {
            blocks: 100,
            block_bytes: 512,
            physical_block_bytes: 512,
            transfer_blocks_max: 64,
            write_cache: WriteCache::Off,
            unmap: None,
            atomic: None,
            extents: false,
            protection: None,
        }
    }

    fn check(lba: u64, blocks: u32, want: Result<Extent, Sense>) {
        assert_eq!(geometry().transfer(lba, blocks, LENGTH), want);
    }

    fn out_of_range(lba: u64) -> Result<Extent, Sense> {
        Err(Sense::with_information(code::LBA_OUT_OF_RANGE, lba))
    }

    #[test]
    fn the_last_block_exists() {
        check(99, 1, Ok(Extent { lba: 99, blocks: 1 }));
    }

    #[test]
    fn one_past_the_last_block_is_out_of_range() {
        check(99, 2, out_of_range(100));
    }

    #[test]
    fn an_address_past_the_end_is_out_of_range_even_for_no_blocks() {
        check(100, 0, out_of_range(100));
    }

    #[test]
    fn an_address_near_the_top_does_not_wrap() {
        check(u64::MAX, 1, out_of_range(u64::MAX));
    }

    #[test]
    fn too_long_points_at_the_length() {
        check(0, 65, Err(Sense::invalid_field(LENGTH)));
    }

    #[test]
    fn extents_that_touch_do_not_overlap() {
        assert!(!Extent { lba: 0, blocks: 8 }.overlaps(Extent { lba: 8, blocks: 8 }));
        assert!(Extent { lba: 0, blocks: 9 }.overlaps(Extent { lba: 8, blocks: 8 }));
    }
}
