//! Changes that reach into what other sessions do, and what they promise: software write protection and reservations.
//!
//! Initiator 0 asks for them, one at a time. What the answer promises is held against everything that others do afterwards:
//! - once MODE SELECT with SWP was answered, no write that is sent from then on ends GOOD, and none that is under way happens any more,
//!   until protection is taken off or a reset may have done so;
//! - once PREEMPT AND ABORT was answered, no write of the preempted nexus that is under way happens any more, unless it may have
//!   registered again meanwhile.

use super::commands::{cdb, narrow};
use super::news::Change;
use super::{INITIATORS_MAX, Initiator, Kind, Sender, Shared};
use crate::random::Random;
use crate::referee::{Moment, WriteId};
use felio_hal::Time;
use felio_iscsi::peer::Data;
use felio_spec::commands::{
    SERVICE_ACTION, mode_select6, persistent_reserve_out_preempt_and_abort as preempt,
    persistent_reserve_out_register_and_ignore_existing_key as register,
    persistent_reserve_out_reserve as reserve,
};
use felio_spec::mode::{PAGES, control, header6};
use felio_spec::reservation::basic_list;
use felio_spec::{Row, Status};
use std::collections::BTreeMap;

/// Write exclusive, registrants only.
const REGISTRANTS_ONLY: u8 = 5;

const CONTROL_PAGE: u8 = 0x0a;

/// What holds because it was answered.
#[derive(Debug)]
pub struct Promises {
    /// Initiators ask for reservations.
    reserving: bool,
    /// Initiator 0 protects the unit now and then.
    pub(super) protecting: bool,
    /// Since when the unit is protected, if that is certain.
    protected: Option<Moment>,
    /// When the writes that were under way then were given up.
    given_up: Vec<Moment>,
    /// How often protection may have ended.
    ends: u64,
    /// SWP, while that is certain.
    swp: Option<bool>,
    /// When initiator 0 last changed it.
    mode: Change,
    /// By initiator: REGISTER commands without an answer, and when there was last one sent or answered.
    registers: BTreeMap<u8, (u32, Moment)>,
}

/// Where an initiator stands with reservations.
#[derive(Debug, Default)]
pub(super) struct Registration {
    registered: bool,
    reserved: bool,
}

impl Promises {
    /// Nothing was promised yet. Initiator 0 surely protects the unit, or perhaps.
    #[must_use]
    pub fn new(guarded: bool, random: &mut Random) -> Self {
        Self {
            reserving: random.chance(400),
            protecting: guarded || random.chance(400),
            protected: None,
            given_up: Vec::new(),
            ends: 0,
            swp: Some(false),
            mode: Change::NEVER,
            registers: BTreeMap::new(),
        }
    }

    /// Protection may end from now on.
    fn end_protection(&mut self) {
        self.protected = None;
        self.given_up.clear();
        self.ends += 1;
    }

    /// A new program is there: it knows nothing of protection.
    pub fn restart(&mut self) {
        self.end_protection();
        self.swp = Some(false);
    }

    /// What an initiator must be told of mode parameters, if nobody but initiator 0 changes them.
    pub(super) const fn mode_change(&self, initiator: u8) -> Change {
        if initiator == 0 { Change::NEVER } else { self.mode }
    }

    /// Somebody else, if possible who has registered.
    fn draw_victim(&self, random: &mut Random) -> u8 {
        let others: Vec<u8> = self.registers.keys().copied().filter(|who| *who != 0).collect();
        if others.is_empty() { 1 } else { others[random.index(others.len())] }
    }

    /// A write was answered GOOD.
    pub(super) fn check_write(&self, write: WriteId) -> Result<(), String> {
        match self.protected {
            Some(since) if since < write.sent() => {
                Err("a write that was sent when the unit was write protected ended GOOD".to_owned())
            }
            _ => Ok(()),
        }
    }
}

impl Initiator {
    /// Asks for a change, if it is time. Whether it did.
    pub(super) fn change(&mut self, now: Time, shared: &mut Shared) -> bool {
        if self.tasks.values().any(|task| task.kind.is_change()) {
            return false;
        }
        let first = self.number == 0;
        if shared.promises.reserving && !self.registration.registered && self.random.chance(200) {
            let register = shared.promises.registers.entry(self.number).or_default();
            *register = (register.0 + 1, shared.referee.tick());
            self.reserve_out(now, &register::ROW, 0, self.key(), Kind::Register);
        } else if first && self.wants_protection(shared) {
            self.protect(now, shared);
        } else if first && self.wants_access(shared) {
            self.set_access(now, shared);
        } else if first && self.registration.registered && !self.registration.reserved {
            self.reserve_out(now, &reserve::ROW, self.key(), 0, Kind::Reserve);
        } else if first && self.registration.reserved && self.random.chance(8 * self.habits.eager) {
            let victim = shared.promises.draw_victim(&mut self.random);
            let kind = Kind::Preempt { victim, sent: shared.referee.tick() };
            self.reserve_out(now, &preempt::ROW, self.key(), 1 + u64::from(victim), kind);
        } else {
            return false;
        }
        true
    }

    /// A change was answered GOOD.
    pub(super) fn end_change(&mut self, now: Time, kind: &Kind, shared: &mut Shared) -> Result<(), String> {
        match kind {
            Kind::Access { shuts } => Self::end_access(now, *shuts, shared),
            Kind::Protect { on, ends, changes } if *ends == shared.promises.ends => {
                shared.promises.swp = Some(*on);
                if *changes {
                    shared.promises.mode.note(now);
                }
                if *on {
                    if shared.landed > shared.answered {
                        return Err("a block was written after the unit was write protected".to_owned());
                    }
                    shared.promises.protected = Some(shared.referee.tick());
                    let all =
                        (0..INITIATORS_MAX).map(|initiator| shared.referee.give_up_writes_of(initiator));
                    shared.promises.given_up = all.collect();
                }
            }
            Kind::Register => {
                self.registration.registered = true;
                let register = shared.promises.registers.entry(self.number).or_default();
                *register = (register.0.saturating_sub(1), shared.referee.tick());
            }
            Kind::Reserve => self.registration.reserved = true,
            Kind::Preempt { victim, sent } => {
                let (open, last) = shared.promises.registers.get(victim).copied().unwrap_or_default();
                if open == 0 && last < *sent {
                    _ = shared.referee.give_up_writes_of(*victim);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// A command was not answered GOOD: what was reserved may be gone.
    pub(super) fn note_refusal(&mut self, status: Status) {
        let conflict = status == Status::RESERVATION_CONFLICT;
        if conflict || status == Status::CHECK_CONDITION {
            self.registration = Registration::default();
        }
    }

    fn key(&self) -> u64 {
        1 + u64::from(self.number)
    }

    fn wants_protection(&mut self, shared: &Shared) -> bool {
        let often = if shared.promises.protected.is_some() { 6 } else { 15 };
        shared.promises.protecting && self.random.chance(often * self.habits.eager)
    }

    fn protect(&mut self, now: Time, shared: &mut Shared) {
        let on = shared.promises.protected.is_none() && self.random.chance(700);
        for moment in &shared.promises.given_up {
            shared.referee.take_back(*moment);
        }
        shared.promises.end_protection();
        let changes = shared.promises.swp.take().is_some_and(|swp| swp != on);
        shared.promises.mode = if changes { Change::certain(now) } else { Change::possible(now) };
        let Some(control_page) = PAGES.iter().find(|page| (page.page, page.subpage) == (CONTROL_PAGE, 0))
        else {
            return;
        };
        let mut list = vec![0; header6::BYTES + control::BYTES];
        let (_, page) = list.split_at_mut(header6::BYTES);
        control_page.encode_header(page);
        control_page.default.iter().for_each(|(bits, value)| bits.write(page, *value));
        control::SWP.set(page, on);
        let mut cdb = cdb(&mode_select6::ROW);
        mode_select6::PF.set(&mut cdb, true);
        mode_select6::PARAMETER_LIST_LENGTH.set(&mut cdb, narrow(list.len()));
        let by = self.sender();
        let kind = Kind::Protect { on, ends: shared.promises.ends, changes };
        self.send(now, by, &cdb, Data::Out(list), kind);
    }

    fn reserve_out(&mut self, now: Time, row: &Row, key: u64, action_key: u64, kind: Kind) {
        let mut list = vec![0; basic_list::BYTES];
        basic_list::RESERVATION_KEY.set(&mut list, key);
        basic_list::SERVICE_ACTION_RESERVATION_KEY.set(&mut list, action_key);
        let mut cdb = cdb(row);
        let action = row.service_action.map_or(0, |action| u64::from(action.value));
        SERVICE_ACTION.write(&mut cdb, action);
        if !matches!(kind, Kind::Register) {
            reserve::TYPE.set(&mut cdb, REGISTRANTS_ONLY);
        }
        reserve::PARAMETER_LIST_LENGTH.set(&mut cdb, narrow(list.len()));
        let by = Sender { initiator: self.number, attribute: felio_spec::TaskAttribute::Simple };
        self.send(now, by, &cdb, Data::Out(list), kind);
    }
}
