//! Commands that are answered from memory: parameter data, parameter lists, the state of the unit.
//!
//! Some of them ask the store for something first: TEST UNIT READY and READ CAPACITY for the size, a stop or a
//! write cache that is turned off for a flush.

use crate::attention::{Attention, Interlock};
use crate::commands::{Allocation, Run, View};
use crate::config::LunMap;
use crate::copy::{Bench, Ledgers, Order};
use crate::engine::{Engine, index};
use crate::parameters::mode::Reporting;
use crate::power::{Power, Rule};
use crate::progress::give_back;
use crate::unit::{Change, Control, Effect};
use crate::work::{Deferred, Next, Outcome, Wanting, Work};
use crate::writer::Writer;
use felio_hal::{Buf, NexusId, Op, Pool, Time};
use felio_spec::cdb::{Alua, Attention as AttentionRule};
use felio_spec::sense::{Sense, code};
use std::sync::Arc;

impl Engine {
    /// Runs a command that is no plan.
    pub(crate) fn run_entry(&mut self, now: Time, slot: u32, data: Option<Buf>, pool: &mut Pool) -> Next {
        let Some(task) = self.table.get(slot) else { return Next::Finish(Outcome::good(0)) };
        match task.entry.run {
            Run::Hold => Next::Hold,
            Run::CopyResults(..) => {
                self.copies.tokens.expire(now);
                self.run_parameters(now, slot, pool)
            }
            Run::Copy(_, function) => {
                let (cdb, nexus, unit) = (task.cdb, task.nexus, task.unit);
                self.copies.tokens.expire(now);
                let list = data.as_deref().unwrap_or_default();
                let list_bytes = u64::try_from(list.len()).unwrap_or(u64::MAX);
                let luns = self.nexuses.get(nexus).map(|nexus| Arc::clone(&nexus.luns)).unwrap_or_default();
                let (units, copies) = (&self.units, &mut self.copies);
                let mut bench = Bench { now, nexus, unit, luns: &luns, units, copies };
                let order = function(&mut bench, &cdb, list);
                give_back(data, pool);
                match order {
                    Ok(order) => {
                        self.units[index(unit)].has_rods |= matches!(order, Order::TokenMade);
                        self.follow_order(now, slot, list_bytes, order)
                    }
                    Err(sense) => Next::Finish(Outcome::check(sense, list_bytes)),
                }
            }
            Run::Parameters(..) | Run::Sense(..) => self.run_parameters(now, slot, pool),
            Run::Capacity(..) | Run::Ready => Next::Submit(Op::Size, Work::Size),
            Run::ParameterList(length, function) => {
                let (cdb, nexus, at) = (task.cdb, task.nexus, task.unit);
                let list = data.as_deref().unwrap_or_default();
                let transfer_bytes = length.read(cdb.bytes());
                let result = function(&mut self.units[index(at)], &cdb, list);
                give_back(data, pool);
                match result {
                    Ok(change) => self.carry_out(now, Deferred { change, transfer_bytes }, nexus, at),
                    Err(sense) => Next::Finish(Outcome::check(sense, transfer_bytes)),
                }
            }
            Run::ReserveOut(_, service) => self.reserve_out(now, slot, service, data, pool),
            Run::Overhaul(list_bytes, function) => {
                let (cdb, at) = (task.cdb, task.unit);
                let list = data.as_deref().unwrap_or_default();
                let transfer_bytes = list_bytes(&cdb);
                let start = function(&self.units[index(at)], &cdb, list);
                give_back(data, pool);
                match start {
                    Ok(start) => self.start_overhaul(slot, start, transfer_bytes),
                    Err(sense) => Next::Finish(Outcome::check(sense, transfer_bytes)),
                }
            }
            Run::Control(function) => {
                let (nexus, at) = (task.nexus, task.unit);
                match function(&self.units[index(at)], &task.cdb) {
                    Ok(control) => self.control(control, nexus, at),
                    Err(sense) => Next::Finish(Outcome::check(sense, 0)),
                }
            }
            Run::PortGroups => self.set_port_groups(now, slot, data, pool),
            // A plan is made where the command arrives.
            Run::Medium(_) | Run::Pass => Next::Finish(Outcome::good(0)),
        }
    }

    /// Builds parameter data.
    pub(crate) fn run_parameters(&mut self, now: Time, slot: u32, pool: &mut Pool) -> Next {
        let Some(task) = self.table.get(slot) else { return Next::Finish(Outcome::good(0)) };
        let unit = &self.units[index(task.unit)];
        let pending = match task.entry.run {
            Run::Sense(..) => self.nexuses.pending(task.nexus, task.unit),
            _ => None,
        };
        let (who, nothing) = (self.nexuses.get(task.nexus), LunMap::default());
        let view = View {
            target: &self.target,
            port: &self.target.ports[who.map_or(0, |nexus| nexus.port)],
            luns: who.map_or(&nothing, |nexus| &nexus.luns),
            nexus: task.nexus,
            at: task.unit,
            now,
            unit,
        };
        self.writer.clear();
        let (allocation, result) = match task.entry.run {
            Run::Parameters(allocation, run) | Run::Capacity(allocation, run) => {
                (allocation, run(&view, &task.cdb, &mut self.writer))
            }
            Run::Sense(allocation, run) => {
                let sense = pending.or_else(|| unit.condition.standing()).unwrap_or_else(|| standing(&view));
                (allocation, run(&sense, &task.cdb, &mut self.writer))
            }
            Run::CopyResults(allocation, run) => {
                let of = Ledgers { nexus: task.nexus, at: task.unit, unit, copies: &self.copies };
                (allocation, run(&of, &task.cdb, &mut self.writer))
            }
            Run::Copy(..)
            | Run::Hold
            | Run::Ready
            | Run::ParameterList(..)
            | Run::PortGroups
            | Run::ReserveOut(..)
            | Run::Overhaul(..)
            | Run::Control(_)
            | Run::Pass
            | Run::Medium(_) => (Allocation::All, Ok(())),
        };
        if let Err(sense) = result {
            return Next::Finish(Outcome::check(sense, 0));
        }
        let bytes_max = allocation.bytes(&task.cdb);
        let outcome = match parameter_data(&self.writer, bytes_max, pool) {
            Ok(outcome) => outcome,
            Err(bytes) => return Next::Need(bytes, Wanting::Entry),
        };
        match task.entry.row.attention {
            //= SPC-4 "REQUEST SENSE command": what was returned is no longer pending
            AttentionRule::Return if bytes_max == 0 => {}
            AttentionRule::Return => drop(self.nexuses.report(task.nexus, task.unit, Interlock::No)),
            //= SPC-4 "REPORT LUNS command": whoever reads the inventory knows it, of every unit
            AttentionRule::Inventory => self.nexuses.tell_inventory(task.nexus),
            AttentionRule::Report | AttentionRule::Bypass => {}
        }
        Next::Finish(outcome)
    }

    /// The size is known: TEST UNIT READY and READ CAPACITY can be answered.
    pub(crate) fn run_sized(&mut self, now: Time, slot: u32, pool: &mut Pool) -> Next {
        let Some(task) = self.table.get(slot) else { return Next::Finish(Outcome::good(0)) };
        match task.entry.run {
            Run::Capacity(..) => self.run_parameters(now, slot, pool),
            // The look may have found something to report.
            _ => {
                let interlock = self.units[index(task.unit)].mode.interlock();
                Next::Finish(match self.nexuses.report(task.nexus, task.unit, interlock) {
                    Some(sense) => Outcome::check(sense, 0),
                    None => Outcome::good(0),
                })
            }
        }
    }

    //= SBC-3 "START STOP UNIT command": stopping writes the cache to the medium first, unless NO_FLUSH
    fn control(&mut self, control: Control, nexus: NexusId, at: u32) -> Next {
        let unit = &mut self.units[index(at)];
        let power = match control {
            Control::Reserve => return Next::Finish(self.reserve(nexus, at)),
            Control::Release => return Next::Finish(self.release(nexus, at)),
            Control::Nothing => unit.power,
            Control::Start => {
                unit.counters.starts.add(u64::from(unit.power == Power::Stopped));
                unit.rest.decide(Rule::Timers);
                Power::Active
            }
            Control::Rest(rule) => {
                unit.rest.decide(rule);
                if unit.power == Power::Ejected { Power::Ejected } else { Power::Active }
            }
            Control::Stop if unit.is_cached() => return Next::Submit(Op::Flush, Work::Stop(Power::Stopped)),
            Control::Stop | Control::StopWithoutFlush => Power::Stopped,
            Control::Eject if unit.is_cached() => return Next::Submit(Op::Flush, Work::Stop(Power::Ejected)),
            Control::Eject => Power::Ejected,
            Control::Load => {
                //= SPC-4 "Unit attention conditions": who loads the medium knows
                if unit.power == Power::Ejected {
                    self.nexuses.attend(at, Attention::MediumChanged, |other| other != nexus);
                }
                Power::Active
            }
            Control::Prevent => {
                if !unit.preventing.contains(&nexus) {
                    unit.preventing.push(nexus);
                }
                unit.power
            }
            Control::Allow => {
                unit.preventing.retain(|other| *other != nexus);
                unit.power
            }
        };
        unit.power = power;
        Next::Finish(Outcome::good(0))
    }

    /// Makes a change: at once, or once it is saved.
    fn carry_out(&mut self, now: Time, deferred: Deferred, nexus: NexusId, at: u32) -> Next {
        match deferred.change.document() {
            Some(save) => Next::Submit(Op::Save(Box::new(save)), Work::Save(Box::new(deferred))),
            None => self.take_effect(now, deferred, nexus, at),
        }
    }

    /// A change is saved, or need not be.
    //= SPC-4 "MODE SELECT (6) command", "LOG SELECT command": every other nexus is told
    pub(crate) fn take_effect(&mut self, now: Time, deferred: Deferred, nexus: NexusId, at: u32) -> Next {
        let Deferred { change, transfer_bytes } = deferred;
        if let Change::SelfTest(kind) = change {
            return self.want_self_test(now, at, kind);
        }
        let Effect { others, all, flush } = self.units[index(at)].apply(change, nexus, now);
        if let Some(attention) = others {
            self.nexuses.attend(at, attention, |other| other != nexus);
        }
        if let Some(attention) = all {
            self.nexuses.attend(at, attention, |_| true);
        }
        if flush {
            Next::Submit(Op::Flush, Work::Last { transfer_bytes })
        } else {
            Next::Finish(Outcome::good(transfer_bytes))
        }
    }
}

/// What REQUEST SENSE says when nothing is pending.
//= SPC-4 "REQUEST SENSE command": what TEST UNIT READY would say, or how deeply the unit sleeps
fn standing(view: &View<'_>) -> Sense {
    let unit = view.unit;
    if let Err(sense) = unit.groups.check(view.port.relative_port, Alua::Active) {
        return sense;
    }
    if let Some(test) = &unit.self_tests.running {
        return Sense::with_progress(code::SELF_TEST_IN_PROGRESS, test.progress());
    }
    match unit.power {
        Power::Active if unit.mode.false_exception() == Some(Reporting::OnRequest) => {
            code::FAILURE_PREDICTION_FALSE.into()
        }
        Power::Active => {
            unit.rest.code(unit.mode.power_condition()).unwrap_or(code::NO_ADDITIONAL_SENSE).into()
        }
        Power::Stopped => code::LU_NOT_READY_INITIALIZING.into(),
        Power::Ejected => code::MEDIUM_NOT_PRESENT.into(),
    }
}

/// Parameter data as Data-In, cut to what the initiator allocated; or how many bytes the pool has no buffer for.
//= SPC-4 "Allocation length": cutting is no error
pub(crate) fn parameter_data(writer: &Writer, bytes_max: usize, pool: &mut Pool) -> Result<Outcome, usize> {
    let bytes = writer.as_slice();
    let bytes = &bytes[..bytes.len().min(bytes_max)];
    if bytes.is_empty() {
        return Ok(Outcome::good(0));
    }
    let mut buf = pool.take(bytes.len()).ok_or(bytes.len())?;
    buf.copy_from_slice(bytes);
    Ok(Outcome::data(buf))
}
