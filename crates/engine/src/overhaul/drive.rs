//! An overhaul goes on: what the engine does for it.

use super::{Condition, Start, Step};
use crate::attention::Attention;
use crate::engine::{Engine, index};
use crate::progress::give_back;
use crate::table::State;
use crate::work::{Answer, Next, Outcome};
use core::time::Duration;
use felio_hal::store::{Done, Failure};
use felio_hal::{Buf, Pool, Submission, Time};
use felio_spec::Sense;
use felio_spec::protection::Kind;

/// How often one that wants a buffer looks for it.
const RETRY: Duration = Duration::from_millis(10);

impl Engine {
    /// A task asks for it.
    pub(crate) fn start_overhaul(&mut self, slot: u32, start: Option<Start>, transfer_bytes: u64) -> Next {
        let (Some(Start { mut overhaul, answer }), Some(task)) = (start, self.table.get_mut(slot)) else {
            return Next::Finish(Outcome::good(transfer_bytes));
        };
        overhaul.asker = Some(task.nexus);
        self.units[index(task.unit)].condition = Condition::Busy(overhaul);
        match answer {
            Answer::AtOnce => Next::Finish(Outcome::good(transfer_bytes)),
            Answer::Afterwards => Next::Watch { transfer_bytes },
        }
    }

    /// Lets a unit's overhaul go on, if there is one.
    pub(crate) fn drive_overhaul(&mut self, now: Time, at: u32, pool: &mut Pool) {
        let task = self.overhaul_id(at);
        let unit = &mut self.units[index(at)];
        let Condition::Busy(overhaul) = &mut unit.condition else { return };
        match overhaul.poll(&unit.geometry, unit.config.limits.state, pool) {
            Step::Submit(op) => {
                self.submissions.push_back(Submission { store: unit.config.store, task, op });
            }
            Step::UnderWay => {}
            Step::Starved => {
                self.overhauls.retain(|(_, other)| *other != at);
                self.overhauls.push((now + RETRY, at));
            }
            Step::Done => self.end_overhaul(at, pool),
        }
    }

    /// Lets every overhaul go on that waited for this time.
    pub(crate) fn retry_overhauls(&mut self, now: Time, pool: &mut Pool) {
        let due: Vec<(Time, u32)> = self.overhauls.extract_if(.., |(time, _)| *time <= now).collect();
        for (_, at) in due {
            self.drive_overhaul(now, at, pool);
        }
    }

    /// An operation of it has ended.
    pub(crate) fn overhaul_came_home(
        &mut self,
        now: Time,
        at: u32,
        result: Result<Done, Failure>,
        buf: Option<Buf>,
        pool: &mut Pool,
    ) {
        let unit = &mut self.units[index(at)];
        let Condition::Busy(overhaul) = &mut unit.condition else { return give_back(buf, pool) };
        let is_over = match result {
            Ok(_) => {
                if let Some(kind) = overhaul.protecting()
                    && unit.geometry.protection != kind
                {
                    unit.geometry.protection = kind;
                    unit.mode.own_application_tags(kind.is_some_and(Kind::application_tag_owner));
                    let asker = overhaul.asker;
                    self.nexuses.attend(at, Attention::CapacityChanged, |nexus| Some(nexus) != asker);
                }
                overhaul.handle_done(buf, &unit.geometry)
            }
            Err(_) => {
                give_back(buf, pool);
                overhaul.handle_failure()
            }
        };
        if is_over { self.end_overhaul(at, pool) } else { self.drive_overhaul(now, at, pool) }
    }

    /// All is done, or nothing more can be: who waited is answered, and the others learn of it.
    fn end_overhaul(&mut self, at: u32, pool: &mut Pool) {
        let unit = &mut self.units[index(at)];
        let Condition::Busy(mut overhaul) = core::mem::replace(&mut unit.condition, Condition::Sound) else {
            return;
        };
        give_back(overhaul.buf.take(), pool);
        let failure = overhaul.has_failed().then(|| overhaul.kind.failure());
        if failure.is_some() {
            unit.condition = Condition::Failed(overhaul.kind);
        } else {
            //= SPC-4 "Unit attention conditions": the unit was not ready, and is; nothing is on it that was
            let others = |nexus| Some(nexus) != overhaul.asker;
            self.nexuses.attend(at, Attention::MediumChanged, others);
        }
        let waiting = self.table.iter().filter_map(|(slot, task)| match task.state {
            State::Watching { transfer_bytes } if task.unit == at => Some((slot, transfer_bytes)),
            _ => None,
        });
        for (slot, transfer_bytes) in waiting.collect::<Vec<_>>() {
            self.finish(
                slot,
                failure.map_or(Outcome::good(transfer_bytes), |code| {
                    Outcome::check(Sense::new(code), transfer_bytes)
                }),
            );
        }
    }
}
