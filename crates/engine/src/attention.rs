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
    /// The unit is new to the nexus, or the whole target was switched off and on.
    PowerOn,
    /// A reset of the whole target.
    TargetReset,
    /// The target runs another version of the program.
    MicrocodeChanged,
    /// A reset of the unit.
    Reset,
    /// The nexus was lost and is back.
    NexusLoss,
    /// Another nexus ended our commands.
    CommandsCleared,
    /// There is a medium again, perhaps another one.
    MediumChanged,
    /// Units came or went.
    LunsChanged,
    /// What INQUIRY says is no longer what it was.
    InquiryChanged,
    /// Another nexus changed the identifying information.
    IdentifierChanged,
    /// The blocks have become more, or fewer.
    CapacityChanged,
    /// A reservation of ours was taken away.
    ReservationsPreempted,
    /// A reservation that concerned us was given up.
    ReservationsReleased,
    /// Our registration was taken away.
    RegistrationsPreempted,
    /// Port groups changed their access states.
    AccessStateChanged,
    /// Another nexus changed mode parameters.
    ModeParametersChanged,
    /// Another nexus changed log parameters.
    LogParametersChanged,
    /// Another nexus set the clock.
    TimestampChanged,
    /// A failure is predicted, if only as a test.
    FailurePredicted,
    /// Space is running out.
    ThresholdReached,
    /// A command was answered with RESERVATION CONFLICT while UA_INTLCK_CTRL was 11b.
    PreviousReservationConflict,
    /// A command was answered with BUSY while UA_INTLCK_CTRL was 11b.
    PreviousBusy,
    /// A command was answered with TASK SET FULL while UA_INTLCK_CTRL was 11b.
    PreviousTaskSetFull,
}

/// The order of reporting, and the sense code.
//= SAM-5 "Unit attention condition": the more a condition covers, the sooner it is reported; those below the resets have
//= no order among each other, so that what decides how to go on comes before what is only news.
const TABLE: [(Attention, Code); 23] = [
    (Attention::PowerOn, code::POWER_ON_OCCURRED),
    (Attention::TargetReset, code::SCSI_BUS_RESET),
    (Attention::MicrocodeChanged, code::MICROCODE_CHANGED),
    (Attention::Reset, code::BUS_DEVICE_RESET),
    (Attention::NexusLoss, code::I_T_NEXUS_LOSS),
    (Attention::CommandsCleared, code::COMMANDS_CLEARED),
    (Attention::MediumChanged, code::MEDIUM_MAY_HAVE_CHANGED),
    (Attention::LunsChanged, code::REPORTED_LUNS_DATA_HAS_CHANGED),
    (Attention::InquiryChanged, code::INQUIRY_DATA_HAS_CHANGED),
    (Attention::IdentifierChanged, code::DEVICE_IDENTIFIER_CHANGED),
    (Attention::CapacityChanged, code::CAPACITY_DATA_HAS_CHANGED),
    (Attention::ReservationsPreempted, code::RESERVATIONS_PREEMPTED),
    (Attention::ReservationsReleased, code::RESERVATIONS_RELEASED),
    (Attention::RegistrationsPreempted, code::REGISTRATIONS_PREEMPTED),
    (Attention::AccessStateChanged, code::ASYMMETRIC_ACCESS_STATE_CHANGED),
    (Attention::ModeParametersChanged, code::MODE_PARAMETERS_CHANGED),
    (Attention::LogParametersChanged, code::LOG_PARAMETERS_CHANGED),
    (Attention::TimestampChanged, code::TIMESTAMP_CHANGED),
    (Attention::FailurePredicted, code::FAILURE_PREDICTION_FALSE_ATTENTION),
    (Attention::ThresholdReached, code::THIN_PROVISIONING_THRESHOLD),
    (Attention::PreviousReservationConflict, code::PREVIOUS_RESERVATION_CONFLICT),
    (Attention::PreviousBusy, code::PREVIOUS_BUSY),
    (Attention::PreviousTaskSetFull, code::PREVIOUS_TASK_SET_FULL),
];

/// UA_INTLCK_CTRL: whether a condition stays pending after CHECK CONDITION has told it.
//= SPC-4 "Control mode page"
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interlock {
    /// It is told once.
    No,
    /// It is told until REQUEST SENSE fetches it.
    UntilFetched,
    /// The same, and some statuses establish a condition of their own.
    AlsoStatuses,
}

impl Interlock {
    pub(crate) const fn from_bits(bits: u8) -> Self {
        match bits {
            0b10 => Self::UntilFetched,
            0b11 => Self::AlsoStatuses,
            _ => Self::No,
        }
    }

    /// Whether BUSY, TASK SET FULL and RESERVATION CONFLICT are conditions.
    pub(crate) const fn is_established_for_statuses(self) -> bool {
        matches!(self, Self::AlsoStatuses)
    }
}

impl Attention {
    /// The condition that is reported with this code.
    pub(crate) fn of(code: Code) -> Option<Self> {
        TABLE.iter().find(|(_, other)| *other == code).map(|(attention, _)| *attention)
    }

    fn bit(self) -> u32 {
        TABLE.iter().position(|(attention, _)| *attention == self).map_or(0, |at| 1 << at)
    }

    /// How it is reported.
    pub(crate) fn sense(self) -> Sense {
        let code = TABLE.iter().find(|(attention, _)| *attention == self).map(|(_, code)| *code);
        code.unwrap_or(code::NO_ADDITIONAL_SENSE).into()
    }
}

/// What is pending for a nexus and a unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attentions(u32);

impl Attentions {
    /// Nothing.
    pub(crate) const NONE: Self = Self(0);

    /// Establishes a condition.
    pub(crate) fn insert(&mut self, attention: Attention) {
        self.0 |= attention.bit();
    }

    /// A condition is no longer pending.
    pub(crate) fn remove(&mut self, attention: Attention) {
        self.0 &= !attention.bit();
    }

    /// The condition that is reported next.
    #[must_use]
    pub(crate) fn first(self) -> Option<Attention> {
        let at = usize::try_from(self.0.trailing_zeros()).ok()?;
        TABLE.get(at).map(|(attention, _)| *attention)
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
        assert_eq!(pending.first(), Some(Attention::PowerOn));
        pending.remove(Attention::PowerOn);
        assert_eq!(pending.first(), Some(Attention::ModeParametersChanged));
        pending.remove(Attention::ModeParametersChanged);
        assert_eq!(pending.first(), None);
    }

    #[test]
    fn a_condition_established_twice_is_reported_once() {
        let mut pending = Attentions::NONE;
        pending.insert(Attention::Reset);
        pending.insert(Attention::Reset);
        pending.remove(Attention::Reset);
        assert_eq!(pending.first(), None);
    }

    #[test]
    fn every_condition_has_one_row_and_a_code_of_its_own() {
        for (at, (attention, code)) in TABLE.iter().enumerate() {
            assert_eq!(attention.sense(), (*code).into());
            assert!(TABLE[..at].iter().all(|(other, same)| other != attention && same != code));
        }
    }
}
