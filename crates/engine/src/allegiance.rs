//! What a command that ends badly means for the others: auto contingent allegiance, and QERR.
//!
//! A command that asked for it (NACA) and ends with CHECK CONDITION leaves an allegiance: until its initiator has dealt with
//! it, no other task of the task set begins or is answered, but for one at a time that its initiator sends with the ACA
//! attribute. `order` keeps the tasks back; here is who is let in meanwhile, and how it begins and ends.
//!
//! Invariant: while an allegiance is in effect, its nexus exists.

use crate::attention::Attention;
use crate::engine::{Engine, index};
use crate::order::Sharing;
use crate::table::{State, Task};
use felio_hal::{Command, NexusId, Pool, Time};
use felio_spec::commands::SERVICE_ACTION;
use felio_spec::{Cdb, Status, TaskAttribute};

/// Whose command arrives while an allegiance is in effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    /// That of the nexus whose command failed.
    Faulted,
    /// That of another.
    Other,
    /// That of another, and it preempts the first: PERSISTENT RESERVE OUT with PREEMPT AND ABORT.
    Preemptor,
}

/// Something that a row may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Want {
    Yes,
    No,
    Either,
}

/// What becomes of a new command while an allegiance is in effect: whose it is, whether it has the ACA attribute, whether
/// such a task is there already (or the control mode page's TMF_ONLY forbids one), whether it asks for an allegiance itself;
/// then what it is refused with. The first row that fits counts.
//= SAM-5 "Handling new commands received on the faulted I_T nexus when ACA is in effect", "Handling new commands received on
//= non-faulted I_T nexuses when ACA is in effect"; where task sets are not shared, others are not concerned.
const NEWCOMERS: [(Whose, Want, Want, Want, Option<Status>); 5] = {
    use Want::{Either, No, Yes};
    [
        (Whose::Faulted, Yes, No, Either, None),
        (Whose::Faulted, Either, Either, Either, Some(Status::ACA_ACTIVE)),
        (Whose::Preemptor, Either, Either, Either, None),
        (Whose::Other, Either, Either, Yes, Some(Status::ACA_ACTIVE)),
        (Whose::Other, Either, Either, No, Some(Status::BUSY)),
    ]
};

/// QERR: what a CHECK CONDITION does to the other commands of the task set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// They go on.
    Stays,
    /// They are aborted.
    Ends,
}

/// QERR, what it does to commands of the nexus itself, and to those of others.
//= SPC-4 "Control mode page": QERR
const QUERY_ERROR: [(u8, Rest, Rest); 3] =
    [(0b00, Rest::Stays, Rest::Stays), (0b01, Rest::Ends, Rest::Ends), (0b11, Rest::Ends, Rest::Stays)];

/// A command that has ended with something else than GOOD.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trouble {
    status: Status,
    naca: bool,
    attribute: TaskAttribute,
}

/// Status, and what it leaves pending where UA_INTLCK_CTRL says so.
//= SPC-4 "Control mode page": UA_INTLCK_CTRL
const INTERLOCKED: [(Status, Attention); 3] = [
    (Status::BUSY, Attention::PreviousBusy),
    (Status::RESERVATION_CONFLICT, Attention::PreviousReservationConflict),
    (Status::TASK_SET_FULL, Attention::PreviousTaskSetFull),
];

impl Trouble {
    pub(crate) fn new(status: Status, cdb: &Cdb, attribute: TaskAttribute) -> Self {
        Self { status, naca: cdb.naca(), attribute }
    }
}

impl Want {
    fn fits(self, is: bool) -> bool {
        match self {
            Self::Yes => is,
            Self::No => !is,
            Self::Either => true,
        }
    }
}

impl Engine {
    /// The status that a new command is refused with because of an allegiance.
    //= SAM-5 "Status precedence": before anything that CHECK CONDITION would tell
    pub(crate) fn barred(&self, nexus: NexusId, at: u32, command: &Command) -> Option<Status> {
        let unit = &self.units[index(at)];
        let faulted = unit.tasks.faulted(nexus).filter(|_| command.tag.piece().is_none())?;
        let whose = match &command.cdb {
            _ if faulted == nexus => Whose::Faulted,
            cdb if preempts_and_aborts(cdb) => Whose::Preemptor,
            _ => Whose::Other,
        };
        let is_one =
            |task: &Task| task.unit == at && task.nexus == faulted && task.attribute == TaskAttribute::Aca;
        let mut tasks = self.table.iter().map(|(_, task)| task);
        let taken = unit.mode.task_management_only()
            || tasks.any(|task| is_one(task) && !matches!(task.state, State::Doomed(..)));
        let is_aca = command.attribute == TaskAttribute::Aca;
        let fits = |row: &&(Whose, Want, Want, Want, Option<Status>)| {
            row.0 == whose && row.1.fits(is_aca) && row.2.fits(taken) && row.3.fits(command.cdb.naca())
        };
        NEWCOMERS.iter().find(fits).and_then(|row| row.4)
    }

    /// A command has ended badly: what follows for its nexus and for the others.
    pub(crate) fn handle_trouble(&mut self, nexus: NexusId, at: u32, trouble: Trouble) {
        let Trouble { status, naca, attribute } = trouble;
        let unit = &mut self.units[index(at)];
        if status == Status::CHECK_CONDITION {
            let (_, own, others) = rest(unit.mode.query_error());
            if (own, others) != (Rest::Stays, Rest::Stays) {
                self.faults.push((at, nexus));
            }
            //= SAM-5 "Clearing an ACA condition": the task with the ACA attribute has failed itself
            let ended = attribute == TaskAttribute::Aca && unit.tasks.end_allegiances(|id| id == nexus);
            if naca && unit.tasks.faulted(nexus).is_none() {
                unit.tasks.establish(nexus);
                self.void_passes(at);
            } else if ended {
                self.unsettle(at);
            }
        } else if unit.mode.interlock().is_established_for_statuses()
            && let Some((_, attention)) = INTERLOCKED.iter().find(|(other, _)| *other == status)
            && let Some(pending) = self.nexuses.get_mut(nexus).and_then(|n| n.pending_mut(at))
        {
            pending.insert(*attention);
        }
    }

    /// Aborts what QERR says, where a command of `nexus` has failed.
    pub(crate) fn abort_rest(&mut self, now: Time, at: u32, nexus: NexusId, pool: &mut Pool) {
        let unit = &self.units[index(at)];
        let (_, own, mut others) = rest(unit.mode.query_error());
        if unit.mode.rules().sharing == Sharing::Nobody {
            others = Rest::Stays;
        }
        let concerned = |task: &Task| {
            task.unit == at && if task.nexus == nexus { own == Rest::Ends } else { others == Rest::Ends }
        };
        let tasks = self.select(concerned);
        self.end_rest(now, nexus, at, tasks, pool);
    }

    /// Allegiances of a unit end; whoever waited for that goes on.
    //= SAM-5 "Clearing an ACA condition"
    pub(crate) fn end_allegiances(&mut self, at: u32, over: impl Fn(NexusId) -> bool) -> bool {
        let ended = self.units[index(at)].tasks.end_allegiances(over);
        if ended {
            self.unsettle(at);
        }
        ended
    }
}

fn rest(query_error: u8) -> (u8, Rest, Rest) {
    let row = QUERY_ERROR.iter().find(|(value, ..)| *value == query_error);
    *row.unwrap_or(&QUERY_ERROR[0])
}

//= SPC-4 "PERSISTENT RESERVE OUT command"
fn preempts_and_aborts(cdb: &Cdb) -> bool {
    const PERSISTENT_RESERVE_OUT: u8 = 0x5f;
    const PREEMPT_AND_ABORT: u64 = 0x05;
    cdb.opcode() == PERSISTENT_RESERVE_OUT && SERVICE_ACTION.read(cdb.bytes()) == PREEMPT_AND_ABORT
}
