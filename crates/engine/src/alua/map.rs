//! The LBA-dependent state: which blocks a group reaches, and how well.

use crate::config::{LbaMap, LbaRange};
use crate::geometry::Extent;
use felio_spec::alua::AccessState;
use felio_spec::cdb::Alua;
use felio_spec::sense::{Sense, code};

impl LbaMap {
    /// Whether a group reaches all blocks of an extent.
    pub(super) fn check(&self, group: u16, extent: Extent) -> Result<(), Sense> {
        let end = extent.lba.saturating_add(extent.blocks);
        let mut at = extent.lba;
        while at < end {
            let next = self.next_edge(at).min(end);
            // Between two edges of ranges everything repeats, so that one period shows all there is.
            let stop = self.period().map_or(next, |period| next.min(at.saturating_add(period)));
            while at < stop {
                let (state, run_end) = self.reach(group, at).ok_or(code::LU_ACCESS_UNAVAILABLE)?;
                if let Some(code) = state.refuses(Alua::Active) {
                    return Err(code.into());
                }
                at = run_end;
            }
            at = at.max(next);
        }
        Ok(())
    }

    /// The range that a block belongs to.
    pub(super) fn range_of(&self, lba: u64) -> Option<&LbaRange> {
        self.ranges.iter().find(|range| self.run_end(range, lba).is_some())
    }

    /// The state of a group for a block, and the block behind those that follow with it.
    fn reach(&self, group: u16, lba: u64) -> Option<(AccessState, u64)> {
        let (range, end) = self.ranges.iter().find_map(|range| Some((range, self.run_end(range, lba)?)))?;
        let (_, state) = range.groups.iter().find(|(id, _)| *id == group)?;
        Some((*state, end))
    }

    /// The end of the segment that a block is in, if it is one of the range's.
    //= SBC-3 "Referrals": segments of a size begin at the first block and at every multiple of size and multiplier behind it
    fn run_end(&self, range: &LbaRange, lba: u64) -> Option<u64> {
        if !(range.first..=range.last).contains(&lba) {
            return None;
        }
        let range_end = range.last.saturating_add(1);
        let Some(period) = self.period() else { return Some(range_end) };
        let segment = u64::from(self.segment_blocks);
        let within = (lba - range.first) % period;
        (within < segment).then(|| lba.saturating_add(segment - within).min(range_end))
    }

    /// After how many blocks the segments repeat.
    fn period(&self) -> Option<u64> {
        let period = u64::from(self.segment_blocks) * u64::from(self.segment_multiplier.max(1));
        (period > 0).then_some(period)
    }

    /// The first block behind this one where a range begins or has ended.
    fn next_edge(&self, at: u64) -> u64 {
        let edges = self.ranges.iter().flat_map(|range| [range.first, range.last.saturating_add(1)]);
        edges.filter(|edge| *edge > at).min().unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: u64, last: u64, near: u16, far: u16) -> LbaRange {
        let groups = vec![(near, AccessState::ActiveOptimized), (far, AccessState::Standby)];
        LbaRange { first, last, groups }
    }

    /// The lower half is group 1's, the upper half group 2's.
    fn halves() -> LbaMap {
        let ranges = vec![range(0, 99, 1, 2), range(100, 199, 2, 1)];
        LbaMap { segment_blocks: 0, segment_multiplier: 0, ranges }
    }

    /// Stripes of eight blocks by turns.
    fn stripes() -> LbaMap {
        let ranges = vec![range(0, u64::MAX, 1, 2), range(8, u64::MAX, 2, 1)];
        LbaMap { segment_blocks: 8, segment_multiplier: 2, ranges }
    }

    fn check(map: &LbaMap, group: u16, lba: u64, blocks: u64, want: Result<(), (u8, u8)>) {
        let got = map.check(group, Extent { lba, blocks });
        assert_eq!(got.map_err(|sense| (sense.code.asc, sense.code.ascq)), want);
    }

    const STANDBY: Result<(), (u8, u8)> = Err((0x04, 0x0b));
    const UNAVAILABLE: Result<(), (u8, u8)> = Err((0x04, 0x0c));

    #[test]
    fn a_group_reaches_its_own_blocks() {
        check(&halves(), 1, 0, 100, Ok(()));
        check(&halves(), 1, 99, 2, STANDBY);
        check(&halves(), 2, 99, 1, STANDBY);
        check(&halves(), 2, 100, 100, Ok(()));
    }

    #[test]
    fn a_block_that_no_range_names_is_out_of_reach() {
        check(&halves(), 2, 199, 2, UNAVAILABLE);
        check(&halves(), 3, 0, 1, UNAVAILABLE);
    }

    #[test]
    fn no_blocks_can_be_reached_by_anybody() {
        check(&halves(), 3, 0, 0, Ok(()));
    }

    #[test]
    fn stripes_repeat() {
        check(&stripes(), 1, 16, 8, Ok(()));
        check(&stripes(), 1, 16, 9, STANDBY);
        check(&stripes(), 2, 24, 8, Ok(()));
        check(&stripes(), 2, 1 << 40, 1, STANDBY);
    }

    #[test]
    fn a_long_extent_is_judged_by_one_period() {
        check(&stripes(), 1, 0, u64::MAX, STANDBY);
        let alike = LbaRange { first: 0, last: u64::MAX, groups: vec![(1, AccessState::ActiveNonOptimized)] };
        let other = LbaRange { first: 8, ..alike.clone() };
        let map = LbaMap { ranges: vec![alike, other], ..stripes() };
        check(&map, 1, 3, u64::MAX - 3, Ok(()));
    }
}
