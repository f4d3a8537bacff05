//! Unit attentions: what an initiator must be told of a unit before its next command runs.
//!
//! An [`Attention`] is established for a nexus and a unit, and reported once. [`Attentions`] is the set that is pending:
//! a bit each, in the order of reporting.
//!
//! Invariant: a condition is pending at most once, however often it was established.

use felio_spec::sense::{Code, Sense, code};

/// What can happen to a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attention {
    /// The unit is new to the nexus, or the whole target was reset.
    PowerOn,
    /// A reset of the unit.
    Reset,
    /// The nexus was lost and is back.
    NexusLoss,
    /// The blocks have become more, or fewer.
    CapacityChanged,
    /// Another nexus changed mode parameters.
    ModeParametersChanged,
    /// Another nexus ended our commands.
    CommandsCleared,
    /// There is a medium again, perhaps another one.
    MediumChanged,
}

/// The order of reporting, and the sense code.
//= SAM-5 "Unit attention conditions": the more a condition covers, the sooner it is reported.
const TABLE: [(Attention, Code); 7] = [
    (Attention::PowerOn, code::POWER_ON_OCCURRED),
    (Attention::Reset, code::BUS_DEVICE_RESET),
    (Attention::NexusLoss, code::I_T_NEXUS_LOSS),
    (Attention::CommandsCleared, code::COMMANDS_CLEARED),
    (Attention::MediumChanged, code::MEDIUM_MAY_HAVE_CHANGED),
    (Attention::CapacityChanged, code::CAPACITY_DATA_HAS_CHANGED),
    (Attention::ModeParametersChanged, code::MODE_PARAMETERS_CHANGED),
];

impl Attention {
    fn bit(self) -> u8 {
        TABLE.iter().position(|(attention, _)| *attention == self).map_or(0, |at| 1 << at)
    }
}

/// What is pending for a nexus and a unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attentions(u8);

impl Attentions {
    /// Nothing.
    pub(crate) const NONE: Self = Self(0);

    /// Establishes a condition.
    pub(crate) fn insert(&mut self, attention: Attention) {
        self.0 |= attention.bit();
    }

    /// Takes the condition that is reported next.
    pub(crate) fn take(&mut self) -> Option<Sense> {
        let sense = self.first()?;
        self.0 &= self.0 - 1;
        Some(sense)
    }

    /// The condition that is reported next.
    #[must_use]
    pub(crate) fn first(self) -> Option<Sense> {
        let at = usize::try_from(self.0.trailing_zeros()).ok()?;
        TABLE.get(at).map(|(_, code)| Sense::new(*code))
    }

    /// How many are pending.
    #[must_use]
    pub(crate) const fn len(self) -> u32 {
        self.0.count_ones()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_widest_condition_is_reported_first() {
        let mut pending = Attentions::NONE;
        pending.insert(Attention::ModeParametersChanged);
        pending.insert(Attention::PowerOn);
        assert_eq!(pending.take(), Some(code::POWER_ON_OCCURRED.into()));
        assert_eq!(pending.take(), Some(code::MODE_PARAMETERS_CHANGED.into()));
        assert_eq!(pending.take(), None);
    }

    #[test]
    fn a_condition_established_twice_is_reported_once() {
        let mut pending = Attentions::NONE;
        pending.insert(Attention::Reset);
        pending.insert(Attention::Reset);
        assert!(pending.take().is_some() && pending.first().is_none());
    }
}
