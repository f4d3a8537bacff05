//! Serial numbers and task tags.
//!
//! A serial number wraps; it has no order among all numbers, only against one that is less than 2³¹ away. That is why
//! [`Sn`] has named comparisons and not `Ord`.

use core::fmt;
use core::ops::{Add, AddAssign};

/// A serial number: CmdSN, StatSN, DataSN, R2TSN and what is expected or allowed of them.
//= RFC 1982 "Comparison"
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Sn(pub u32);

impl Sn {
    /// Moves on by one and returns the number that was there.
    pub fn take(&mut self) -> Self {
        let taken = *self;
        *self += 1;
        taken
    }

    /// The number that follows.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }

    /// The number before.
    #[must_use]
    pub const fn previous(self) -> Self {
        Self(self.0.wrapping_sub(1))
    }

    /// How many steps lead from here to `later`.
    #[must_use]
    pub const fn steps_to(self, later: Self) -> u32 {
        later.0.wrapping_sub(self.0)
    }

    /// Whether this number comes before `other`.
    #[must_use]
    pub const fn is_before(self, other: Self) -> bool {
        let steps = self.steps_to(other);
        steps != 0 && steps < HALF
    }

    /// Whether this number comes after `other`.
    #[must_use]
    pub const fn is_after(self, other: Self) -> bool {
        other.is_before(self)
    }

    /// Whether this number is in `first..=last`; a window whose last is the one before its first is empty.
    #[must_use]
    pub const fn is_within(self, first: Self, last: Self) -> bool {
        // Counted from `first`: a number half the space away has no order with either end.
        !last.is_before(first) && first.steps_to(self) <= first.steps_to(last)
    }
}

impl Add<u32> for Sn {
    type Output = Self;

    fn add(self, steps: u32) -> Self {
        Self(self.0.wrapping_add(steps))
    }
}

impl AddAssign<u32> for Sn {
    fn add_assign(&mut self, steps: u32) {
        *self = *self + steps;
    }
}

impl From<u32> for Sn {
    fn from(value: u32) -> Self {
        Self(value)
    }
}

impl From<Sn> for u32 {
    fn from(sn: Sn) -> Self {
        sn.0
    }
}

impl fmt::Debug for Sn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sn({:#x})", self.0)
    }
}

/// An initiator task tag, target transfer tag, referenced task tag or SNACK tag.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskTag(pub u32);

impl TaskTag {
    /// The value that names no task.
    pub const RESERVED: Self = Self(0xffff_ffff);

    /// Whether this is the value that names no task.
    #[must_use]
    pub const fn is_reserved(self) -> bool {
        self.0 == Self::RESERVED.0
    }
}

impl From<u32> for TaskTag {
    fn from(value: u32) -> Self {
        Self(value)
    }
}

impl From<TaskTag> for u32 {
    fn from(tag: TaskTag) -> Self {
        tag.0
    }
}

impl fmt::Debug for TaskTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// Half of the number space: what is farther away counts as behind.
const HALF: u32 = 1 << 31;

#[cfg(test)]
mod tests {
    use super::Sn;

    #[test]
    fn a_number_before_the_wrap_comes_before_one_behind_it() {
        assert!(Sn(0xffff_ffff).is_before(Sn(0)));
        assert!(Sn(0).is_after(Sn(0xffff_ffff)));
    }

    #[test]
    fn a_number_does_not_come_before_itself() {
        assert!(!Sn(7).is_before(Sn(7)));
    }

    #[test]
    fn a_window_over_the_wrap_holds_both_ends() {
        let (first, last) = (Sn(0xffff_fffe), Sn(1));
        assert!(first.is_within(first, last) && Sn(0).is_within(first, last) && last.is_within(first, last));
        assert!(!Sn(2).is_within(first, last));
        assert!(!Sn(0xffff_fffd).is_within(first, last));
    }

    #[test]
    fn a_number_half_the_space_away_is_in_no_window() {
        for last in [5, 6, 100] {
            assert!(!Sn(5 + (1 << 31)).is_within(Sn(5), Sn(last)));
        }
    }

    #[test]
    fn a_closed_window_holds_nothing() {
        let (first, last) = (Sn(5), Sn(4));
        assert!(
            !Sn(4).is_within(first, last) && !Sn(5).is_within(first, last) && !Sn(6).is_within(first, last)
        );
    }

    #[test]
    fn numbers_half_the_space_apart_have_no_order() {
        assert!(!Sn(0).is_before(Sn(1 << 31)) && !Sn(1 << 31).is_before(Sn(0)));
    }
}
