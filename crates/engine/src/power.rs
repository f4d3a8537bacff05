//! Power conditions: what START STOP UNIT and the Power Condition mode page make of a unit.
//!
//! We draw no power that could be saved: a unit is as ready in every condition as in the active one, unless it is stopped.
//! What the conditions are good for is that REQUEST SENSE tells of them. So nothing happens when a timer runs out, and
//! nobody waits for it: the condition is computed when somebody asks.

use core::time::Duration;
use felio_hal::Time;
use felio_spec::field::Field;
use felio_spec::mode::power_condition as page;
use felio_spec::sense::{Code, code};

/// SBC-3 "START STOP UNIT command".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Power {
    /// The medium can be accessed.
    Active,
    /// Stopped by an initiator.
    Stopped,
    /// There is no medium: an initiator has ejected it.
    Ejected,
}

/// SPC-4 "Power conditions", while the medium can be accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// In use.
    Active,
    /// A little asleep.
    IdleA,
    /// More so.
    IdleB,
    /// More so.
    IdleC,
    /// Asleep.
    StandbyY,
    /// Fast asleep.
    StandbyZ,
}

/// Who has decided on the condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The timers do, from the last use on.
    Timers,
    /// An initiator has ended a timer; they go on with the next use.
    Forced(Condition),
    /// An initiator has; the timers are off.
    Commanded(Condition),
}

/// How long a unit has had nothing to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rest {
    rule: Rule,
    /// When the rule was made.
    since: Time,
    /// When the medium was last used.
    used: Time,
    /// When somebody last asked for anything.
    now: Time,
}

/// A condition, its timer and what REQUEST SENSE calls it: entered by timer, by command.
struct Row {
    condition: Condition,
    enabled: Field<bool>,
    timer: Field<u32>,
    codes: [Code; 2],
}

/// From the lightest sleep to the deepest.
//= SPC-4 "Power Condition mode page"
const TABLE: [Row; 5] = [
    Row {
        condition: Condition::IdleA,
        enabled: page::IDLE_A,
        timer: page::IDLE_A_CONDITION_TIMER,
        codes: [code::IDLE_A_BY_TIMER, code::IDLE_A_BY_COMMAND],
    },
    Row {
        condition: Condition::IdleB,
        enabled: page::IDLE_B,
        timer: page::IDLE_B_CONDITION_TIMER,
        codes: [code::IDLE_B_BY_TIMER, code::IDLE_B_BY_COMMAND],
    },
    Row {
        condition: Condition::IdleC,
        enabled: page::IDLE_C,
        timer: page::IDLE_C_CONDITION_TIMER,
        codes: [code::IDLE_C_BY_TIMER, code::IDLE_C_BY_COMMAND],
    },
    Row {
        condition: Condition::StandbyY,
        enabled: page::STANDBY_Y,
        timer: page::STANDBY_Y_CONDITION_TIMER,
        codes: [code::STANDBY_Y_BY_TIMER, code::STANDBY_Y_BY_COMMAND],
    },
    Row {
        condition: Condition::StandbyZ,
        enabled: page::STANDBY_Z,
        timer: page::STANDBY_Z_CONDITION_TIMER,
        codes: [code::STANDBY_Z_BY_TIMER, code::STANDBY_Z_BY_COMMAND],
    },
];

/// What the timers count.
const TICK: Duration = Duration::from_millis(100);

impl Rest {
    /// As after power on.
    pub(crate) const fn new() -> Self {
        Self { rule: Rule::Timers, since: Time(0), used: Time(0), now: Time(0) }
    }

    /// Somebody asks for something.
    pub(crate) const fn note(&mut self, now: Time) {
        self.now = now;
    }

    /// And it needs the medium.
    pub(crate) const fn note_use(&mut self) {
        self.used = self.now;
    }

    /// An initiator decides.
    pub(crate) const fn decide(&mut self, rule: Rule) {
        self.rule = rule;
        self.since = self.now;
        if matches!(rule, Rule::Timers) {
            self.used = self.now;
        }
    }

    /// What REQUEST SENSE says of it, unless the unit is in use.
    //= SPC-4 "Power conditions": who needs the medium wakes the unit up
    pub(crate) fn code(&self, page: &[u8]) -> Option<Code> {
        let is_used_since = self.used > self.since;
        match self.rule {
            Rule::Commanded(_) if is_used_since => None,
            Rule::Commanded(condition) => row(condition).map(|row| row.codes[1]),
            Rule::Forced(condition) if !is_used_since => row(condition).map(|row| row.codes[0]),
            Rule::Forced(_) | Rule::Timers => self.run_out(page).map(|row| row.codes[0]),
        }
    }

    /// The deepest condition whose timer has run out.
    fn run_out(&self, page: &[u8]) -> Option<&'static Row> {
        let idle = self.now.since(self.used);
        TABLE.iter().rfind(|row| row.enabled.get(page) && idle >= TICK * row.timer.get(page))
    }
}

fn row(condition: Condition) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.condition == condition)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// IDLE_A after one second, STANDBY_Z after three.
    fn page_of() -> [u8; page::BYTES] {
        let mut bytes = [0; page::BYTES];
        page::IDLE_A.set(&mut bytes, true);
        page::IDLE_A_CONDITION_TIMER.set(&mut bytes, 10);
        page::STANDBY_Z.set(&mut bytes, true);
        page::STANDBY_Z_CONDITION_TIMER.set(&mut bytes, 30);
        page::IDLE_B_CONDITION_TIMER.set(&mut bytes, 20); // Not enabled.
        bytes
    }

    /// Used, then left alone for so many seconds.
    fn check(rule: Rule, used: bool, seconds: u64, want: Option<Code>) {
        let mut rest = Rest::new();
        rest.note(Time(SECOND));
        rest.decide(rule);
        if used {
            rest.note(Time(SECOND + 1));
            rest.note_use();
        }
        rest.note(Time(SECOND * (1 + seconds) + 1));
        assert_eq!(rest.code(&page_of()), want);
    }

    #[test]
    fn the_longer_a_unit_is_left_alone_the_deeper_it_sleeps() {
        check(Rule::Timers, true, 0, None);
        check(Rule::Timers, true, 1, Some(code::IDLE_A_BY_TIMER));
        check(Rule::Timers, true, 2, Some(code::IDLE_A_BY_TIMER));
        check(Rule::Timers, true, 3, Some(code::STANDBY_Z_BY_TIMER));
    }

    #[test]
    fn what_is_commanded_lasts_until_the_next_use_and_no_timer_counts() {
        check(Rule::Commanded(Condition::IdleC), false, 9, Some(code::IDLE_C_BY_COMMAND));
        check(Rule::Commanded(Condition::IdleC), true, 9, None);
        check(Rule::Commanded(Condition::Active), false, 9, None);
    }

    #[test]
    fn what_is_forced_lasts_until_the_next_use_and_the_timers_go_on() {
        check(Rule::Forced(Condition::StandbyY), false, 0, Some(code::STANDBY_Y_BY_TIMER));
        check(Rule::Forced(Condition::StandbyY), true, 0, None);
        check(Rule::Forced(Condition::StandbyY), true, 1, Some(code::IDLE_A_BY_TIMER));
    }
}
