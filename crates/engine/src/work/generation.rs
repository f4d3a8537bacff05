//! The generations by which ORWRITE commands of several initiators agree on a bitmap.
//!
//! A unit remembers its current and its previous generation, and what to do with a set operation that expects another than
//! the current one. They begin anew with power on; a logical unit reset leaves them alone.

use super::{Desk, Next, Outcome};

/// What a unit remembers of generations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Generations {
    current: u32,
    previous: u32,
    policy: Policy,
}

/// PREVIOUS GENERATION PROCESSING, the code of a row of [`POLICIES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Policy(u8);

/// What becomes of a set operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is done.
    Perform,
    /// Its data are thrown away, and it ends well.
    Discard,
    /// ORWRITE GENERATION DOES NOT MATCH.
    Refuse,
}

/// Code; what becomes of an operation that expects the current, the previous, any other generation.
//= SBC-3 "Set operation"
const POLICIES: [(u8, [Verdict; 3]); 5] = {
    use Verdict::{Discard, Perform, Refuse};
    [
        (0x0, [Perform, Perform, Refuse]),
        (0x2, [Perform, Discard, Refuse]),
        (0x3, [Perform, Perform, Perform]),
        (0x5, [Perform, Discard, Discard]),
        (0x7, [Perform, Refuse, Refuse]),
    ]
};

/// The policy after power on.
const AT_FIRST: Policy = Policy(0x7);

impl Policy {
    /// The policy of that code, unless it is reserved.
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        POLICIES.iter().any(|(of, _)| *of == code).then_some(Self(code))
    }
}

impl Generations {
    /// As after power on.
    //= SBC-3 "Change generation and clear operation"
    pub(crate) const NEW: Self = Self { current: 0, previous: 0, policy: AT_FIRST };

    /// What becomes of a set operation that expects this generation.
    pub(super) fn judge(self, expected: u32) -> Verdict {
        let column = match expected {
            expected if expected == self.current => 0,
            expected if expected == self.previous => 1,
            _ => 2,
        };
        let row = POLICIES.iter().find(|(code, _)| *code == self.policy.0);
        row.map_or(Verdict::Refuse, |(_, verdicts)| verdicts[column])
    }

    /// The generations once a change that expects this one is done; nothing if it must not be.
    pub(super) fn change(self, expected: u32, new: u32, policy: Policy) -> Option<Self> {
        (expected == self.current).then_some(Self { current: new, previous: self.current, policy })
    }

    /// The change is done.
    pub(super) fn begin(self, transfer_bytes: u64, desk: &Desk<'_>) -> Next {
        desk.unit.generations.set(self);
        Next::Finish(Outcome::good(transfer_bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_first_only_generation_zero_is_current() {
        assert_eq!(Generations::NEW.judge(0), Verdict::Perform);
        assert_eq!(Generations::NEW.judge(1), Verdict::Refuse);
    }

    #[test]
    fn each_policy_judges_as_its_row_says() {
        for (code, verdicts) in POLICIES {
            let policy = Policy::from_code(code).expect("a row");
            let generations = Generations { current: 7, previous: 6, policy };
            assert_eq!([7, 6, 5].map(|expected| generations.judge(expected)), verdicts, "{code:x}");
        }
    }

    #[test]
    fn other_policies_are_reserved() {
        for code in [0x1, 0x4, 0x6, 0x8, 0xf] {
            assert_eq!(Policy::from_code(code), None);
        }
    }

    #[test]
    fn a_change_must_expect_the_current_generation() {
        let first = Generations::NEW.change(0, 9, Policy(0x2)).expect("zero is current");
        assert_eq!(first, Generations { current: 9, previous: 0, policy: Policy(0x2) });
        assert_eq!(first.change(0, 10, Policy(0x2)), None);
    }
}
