//! What an initiator must be told of the unit, each time once: that it has another length, and that somebody else has changed mode
//! parameters.
//!
//! The target notices a change at some time between two that the initiators know. Nobody can have been told of it before the first; of the
//! commands that are sent after the second none ends GOOD before its initiator was told, and one at the most tells it.

use felio_hal::Time;
use felio_spec::sense::{Code, code};
use felio_spec::{SenseKey, Status};

/// The last change of something.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    since: Time,
    /// It may have been none: only one of which that is not so must be told.
    certain: bool,
    noticed: Option<Time>,
}

impl Change {
    /// There was none, as the target knows.
    pub(super) const NEVER: Self = Self { since: Time(0), certain: false, noticed: Some(Time(0)) };

    /// From now on the target may notice one.
    #[must_use]
    pub(super) const fn certain(now: Time) -> Self {
        Self { since: now, certain: true, noticed: None }
    }

    /// The same of one that perhaps is none.
    #[must_use]
    pub(super) const fn possible(now: Time) -> Self {
        Self { since: now, certain: false, noticed: None }
    }

    /// The target has noticed.
    pub(super) fn note(&mut self, now: Time) {
        self.noticed.get_or_insert(now);
    }

    /// Whether a command that was sent then came after it.
    #[must_use]
    pub(super) fn precedes(&self, sent: Time) -> bool {
        self.since < sent
    }

    /// Whether the target has surely noticed.
    #[must_use]
    pub(super) const fn is_noticed(&self) -> bool {
        self.noticed.is_some()
    }

    /// Whether it had surely noticed when a command was sent.
    #[must_use]
    pub(super) fn is_noticed_before(&self, sent: Time) -> bool {
        self.noticed.is_some_and(|at| at < sent)
    }
}

/// What an initiator has heard in its session.
#[derive(Debug, Default)]
pub(super) struct Ear {
    length: Heard,
    mode: Heard,
}

#[derive(Debug, Default)]
struct Heard {
    /// When it last heard of a change, or may have.
    at: Time,
    /// Of which change it has heard when that was already noticed.
    of: Option<Time>,
    /// When a command ended well that it should have heard before.
    missed: Option<Time>,
}

/// An answer, as far as it matters here.
pub(super) struct Answer<'a> {
    pub(super) status: Status,
    pub(super) sense: &'a [u8],
    /// When its command was sent.
    pub(super) sent: Time,
    /// When the oldest of those was sent that are not answered yet.
    pub(super) oldest: Option<Time>,
}

impl Ear {
    /// A session begins.
    pub(super) const fn begin(now: Time) -> Self {
        Self { length: Heard::begin(now), mode: Heard::begin(now) }
    }

    /// A command was ended that may have been about to tell.
    pub(super) const fn miss(&mut self, now: Time) {
        (self.length, self.mode) = (Heard::begin(now), Heard::begin(now));
    }

    /// A command is answered now.
    pub(super) fn check_length(
        &mut self,
        now: Time,
        answer: &Answer<'_>,
        change: &Change,
    ) -> Result<(), String> {
        let told = answer.tells(code::CAPACITY_DATA_HAS_CHANGED);
        let foul = self.length.check(now, answer, told, change);
        foul.map_err(|foul| format!("it {foul} that the unit has another length"))
    }

    /// The same for mode parameters.
    pub(super) fn check_mode(
        &mut self,
        now: Time,
        answer: &Answer<'_>,
        change: &Change,
    ) -> Result<(), String> {
        let told = answer.tells(code::MODE_PARAMETERS_CHANGED);
        let foul = self.mode.check(now, answer, told, change);
        foul.map_err(|foul| format!("it {foul} that mode parameters have changed"))
    }
}

impl Heard {
    const fn begin(now: Time) -> Self {
        Self { at: now, of: None, missed: None }
    }

    //= SAM-5 "Unit attention condition": reported once to each I_T nexus, before a command of its is processed
    fn check(
        &mut self,
        now: Time,
        answer: &Answer<'_>,
        told: bool,
        change: &Change,
    ) -> Result<(), &'static str> {
        let noticed = change.is_noticed_before(answer.sent);
        if told {
            if change.since == Time(0) {
                return Err("was told without reason");
            }
            if noticed && self.of.replace(change.since) == Some(change.since) {
                return Err("was told twice");
            }
            (self.at, self.missed) = (now, None);
        } else if noticed && change.certain && self.at <= change.since && answer.status == Status::GOOD {
            self.missed.get_or_insert(now);
        }
        // Of two commands either may be answered first: what told it may still be on its way.
        match self.missed {
            Some(missed) if answer.oldest.is_none_or(|oldest| oldest > missed) => Err("was not told"),
            _ => Ok(()),
        }
    }
}

impl Answer<'_> {
    fn tells(&self, code: Code) -> bool {
        let key = self.sense.get(2).map(|byte| SenseKey(byte & 0x0f));
        key == Some(code.key) && self.sense.get(12..14) == Some(&[code.asc, code.ascq][..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANGE: Change = Change { since: Time(10), certain: true, noticed: Some(Time(20)) };

    /// Answers of a session that began at 1: when each command was sent, and whether it tells; then how the last is judged.
    fn check(change: &Change, answers: &[(u64, bool)], oldest: Option<Time>, want: Result<(), &str>) {
        let mut heard = Heard::begin(Time(1));
        let judge = |(sent, told): &(u64, bool)| {
            let status = if *told { Status::CHECK_CONDITION } else { Status::GOOD };
            let answer = Answer { status, sense: &[], sent: Time(*sent), oldest };
            heard.check(Time(sent + 1), &answer, *told, change)
        };
        let verdicts: Vec<_> = answers.iter().map(judge).collect();
        assert_eq!(verdicts.last().copied(), Some(want), "{answers:?}");
    }

    #[test]
    fn nothing_ends_well_before_a_change_that_was_noticed_is_told() {
        check(&CHANGE, &[(15, false)], None, Ok(()));
        check(&CHANGE, &[(21, false)], None, Err("was not told"));
        check(&CHANGE, &[(21, true), (21, false)], None, Ok(()));
        check(&CHANGE, &[(15, true), (21, false)], None, Ok(()));
        check(&CHANGE, &[(5, true), (21, false)], None, Err("was not told"));
        check(&Change { certain: false, ..CHANGE }, &[(21, false)], None, Ok(()));
    }

    #[test]
    fn an_older_command_may_be_answered_later_and_tell() {
        check(&CHANGE, &[(21, false)], Some(Time(18)), Ok(()));
        check(&CHANGE, &[(21, false), (18, true)], Some(Time(18)), Ok(()));
        check(&CHANGE, &[(21, false), (24, false)], Some(Time(23)), Err("was not told"));
    }

    #[test]
    fn a_change_is_told_once() {
        check(&CHANGE, &[(21, true), (22, true)], None, Err("was told twice"));
        check(&CHANGE, &[(15, true), (22, true)], None, Ok(()));
        check(&Change::NEVER, &[(21, true)], None, Err("was told without reason"));
    }
}
