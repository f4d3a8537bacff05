//! Thin provisioning: how much space a unit's store uses and has left, and the thresholds that initiators set for it.
//!
//! The store is asked once in a while, together with its size. Space is told in threshold sets: so many blocks, a power
//! of two of them. A threshold that is reached is told to every nexus once; it is armed again when space has gone back
//! to the other side by a whole set.

use crate::geometry::Geometry;
use felio_hal::store::Space;
use felio_spec::field::Field;
use felio_spec::mode::provisioning as page;

/// What is known of a unit's space.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Thin {
    /// As last told by the store.
    pub(crate) space: Option<Space>,
    /// Which thresholds were reached and are not armed again.
    reached: [bool; 2],
}

/// A threshold descriptor of the mode page.
struct Threshold {
    enabled: Field<bool>,
    count: Field<u32>,
    resource: fn(&Space) -> u64,
    arming: Arming,
}

/// THRESHOLD ARMING: from which side it is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arming {
    Decreasing,
    Increasing,
}

//= SBC-3 "Logical Block Provisioning mode page"
const THRESHOLDS: [Threshold; 2] = [
    Threshold {
        enabled: page::AVAILABLE_ENABLED,
        count: page::AVAILABLE_COUNT,
        resource: |space| space.available,
        arming: Arming::Decreasing,
    },
    Threshold {
        enabled: page::USED_ENABLED,
        count: page::USED_COUNT,
        resource: |space| space.used,
        arming: Arming::Increasing,
    },
];

/// A threshold set, unless the unit is too large for it.
const SET_BYTES: u32 = 1 << 20;

impl Thin {
    /// The store has told. Whether a threshold is reached that was not before; `mode_page` is today's.
    //= SBC-3 "Logical block provisioning thresholds": a range of one set around the count
    pub(crate) fn note(&mut self, space: Space, mode_page: &[u8], geometry: &Geometry) -> bool {
        self.space = Some(space);
        let set = u128::from(geometry.block_bytes) << threshold_exponent(geometry);
        let mut news = false;
        for (threshold, reached) in THRESHOLDS.iter().zip(&mut self.reached) {
            if !threshold.enabled.get(mode_page) {
                *reached = false;
                continue;
            }
            let center = u128::from(threshold.count.get(mode_page)) * set;
            let (low, high) = (center.saturating_sub(set / 2), center + set / 2);
            let found = u128::from((threshold.resource)(&space));
            let (is_past, is_back) = match threshold.arming {
                Arming::Decreasing => (found <= low, found > high),
                Arming::Increasing => (found >= high, found < low),
            };
            news |= is_past && !*reached;
            *reached = is_past || (*reached && !is_back);
        }
        news
    }
}

/// So many bytes in threshold sets.
pub(crate) fn threshold_sets(bytes: u64, geometry: &Geometry) -> u32 {
    let blocks = bytes / u64::from(geometry.block_bytes);
    u32::try_from(blocks >> threshold_exponent(geometry)).unwrap_or(u32::MAX)
}

/// THRESHOLD EXPONENT: a threshold set is two to this power blocks; the whole unit has fewer than 2^32 of them.
//= SBC-3 "Logical Block Provisioning VPD page"
pub(crate) fn threshold_exponent(geometry: &Geometry) -> u8 {
    let wanted = (SET_BYTES / geometry.block_bytes).max(2).ilog2();
    let bits = u64::BITS - geometry.blocks.leading_zeros();
    u8::try_from(wanted.max(bits.saturating_sub(u32::BITS))).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameters::fixture;

    const MIB: u64 = 1 << 20;

    fn geometry() -> Geometry {
        Geometry::new(&fixture::unit(0))
    }

    /// Told when 10 MiB are left, or 20 used.
    fn page_of() -> [u8; page::BYTES] {
        let mut bytes = [0; page::BYTES];
        page::AVAILABLE_ENABLED.set(&mut bytes, true);
        page::AVAILABLE_COUNT.set(&mut bytes, 10);
        page::USED_ENABLED.set(&mut bytes, true);
        page::USED_COUNT.set(&mut bytes, 20);
        bytes
    }

    fn check(steps: &[(u64, u64, bool)]) {
        let mut thin = Thin::default();
        for (used, available, want) in steps {
            let space = Space { used: used * MIB / 2, available: available * MIB / 2 };
            assert_eq!(thin.note(space, &page_of(), &geometry()), *want, "{used} {available}");
        }
    }

    #[test]
    fn a_threshold_is_told_once_until_space_is_back() {
        check(&[(0, 40, false), (0, 20, false), (0, 19, true), (0, 10, false), (0, 21, false)]);
        check(&[(0, 19, true), (0, 21, false), (0, 19, false), (0, 22, false), (0, 19, true)]);
    }

    #[test]
    fn used_space_comes_from_below() {
        check(&[(40, 90, false), (41, 90, true), (39, 90, false), (41, 90, false), (38, 90, false)]);
        check(&[(41, 90, true), (38, 90, false), (41, 90, true)]);
    }

    #[test]
    fn a_threshold_that_is_off_is_never_reached() {
        let space = Space { used: u64::MAX, available: 0 };
        assert!(!Thin::default().note(space, &[0; page::BYTES], &geometry()));
    }

    #[test]
    fn sets_are_a_megabyte_and_more_where_there_would_be_too_many() {
        let exponent = |blocks| threshold_exponent(&Geometry { blocks, ..geometry() });
        assert_eq!([exponent(1), exponent(1 << 42), exponent(1 << 43), exponent(u64::MAX)], [11, 11, 12, 32]);
    }
}
