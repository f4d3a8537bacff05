//! A piece that stores copy by themselves: hold what is read and what is written, then one operation.
//!
//! The holds are taken one after the other, in the order of the units' stores (see [`hold`](super::hold)). When a hold is
//! refused, the other is let go and the piece is tried again or fails, as any piece.
//!
//! Invariant: a piece ends only when nothing that it has sent can still be answered.

use super::hold::{self, Purpose};
use super::job::{ByStore, Failure, Spot, command};
use super::{Copies, Doing, Piece, RETRY};
use crate::geometry::Extent;
use felio_hal::{Command, Op, PortRequest, PortTag, TaskId, Time};
use felio_spec::Status;
use felio_spec::sense::{Cause, Code, Side, code};

/// What tells the hold of the source from that of the destination in the number of a piece.
pub(crate) const SOURCE_HOLD: u16 = 0x8000;

/// A piece that stores copy.
#[derive(Debug)]
pub(crate) struct Offload {
    source: Hold,
    destination: Hold,
    written: Extent,
    /// What to do once all is held.
    op: Option<Op>,
}

/// Blocks that are to be held.
#[derive(Debug)]
enum Hold {
    /// None, or no more.
    Nothing,
    /// Not yet asked for.
    Planned(Spot, Extent),
    /// Asked for.
    Asked,
    /// By this task.
    Held(TaskId),
}

impl Offload {
    pub(crate) fn new(by_store: ByStore) -> Self {
        let ByStore { source, destination: (spot, extent), written, op } = by_store;
        let source = source.map_or(Hold::Nothing, |(spot, extent)| Hold::Planned(spot, extent));
        Self { source, destination: Hold::Planned(spot, extent), written, op: Some(op) }
    }

    /// The command for the next hold, if one is still to be asked for; with its unit.
    pub(crate) fn next_hold(&mut self, reactor: u16, piece: u16) -> Option<(u32, Command)> {
        let is_source_next = match (&self.source, &self.destination) {
            (Hold::Planned(source, _), Hold::Planned(destination, _)) => source.store < destination.store,
            (Hold::Planned(..), _) => true,
            _ => false,
        };
        let (hold, purpose, number) = if is_source_next {
            (&mut self.source, Purpose::Read, piece | SOURCE_HOLD)
        } else {
            (&mut self.destination, Purpose::Write(self.written), piece)
        };
        let Hold::Planned(spot, extent) = *hold else { return None };
        *hold = Hold::Asked;
        let tag = PortTag::of_piece(reactor, number);
        Some((spot.unit, command(tag, &hold::cdb(purpose, extent), 0, 0)))
    }

    fn hold_mut(&mut self, side: Side) -> &mut Hold {
        if side == Side::Source { &mut self.source } else { &mut self.destination }
    }

    /// Nothing more is asked for; what is held, is held for nothing.
    fn give_up(&mut self) -> impl Iterator<Item = TaskId> {
        self.op = None;
        let held = [&mut self.source, &mut self.destination].map(|hold| match *hold {
            Hold::Held(task) => {
                *hold = Hold::Nothing;
                Some(task)
            }
            Hold::Planned(..) => {
                *hold = Hold::Nothing;
                None
            }
            Hold::Nothing | Hold::Asked => None,
        });
        held.into_iter().flatten()
    }

    /// Whether an answer is still to come.
    const fn is_waiting(&self) -> bool {
        matches!(self.source, Hold::Asked) || matches!(self.destination, Hold::Asked)
    }
}

impl Copies {
    pub(super) fn is_by_store(&self, number: usize) -> bool {
        let piece = self.pieces.get(number).and_then(Option::as_ref);
        piece.is_some_and(|piece| matches!(piece.doing, Doing::ByStore(_)))
    }

    /// The next operation that a held task is to begin.
    #[must_use]
    pub(crate) fn poll_operation(&mut self) -> Option<(TaskId, Op)> {
        self.operations.pop_front()
    }

    /// The next task that is to be let go.
    #[must_use]
    pub(crate) fn poll_release(&mut self) -> Option<TaskId> {
        self.releases.pop_front()
    }

    /// A hold is granted, refused or gone, or the operation is done.
    pub(super) fn handle_hold(&mut self, now: Time, number: usize, side: Side, request: PortRequest) {
        match request {
            PortRequest::Solicit { task, .. } => self.take_hold(number, side, task),
            PortRequest::Respond(response) => {
                let code = response.sense.map(|sense| Code::of(sense.bytes()));
                self.take_end(now, number, side, response.status, code.unwrap_or(code::NO_ADDITIONAL_SENSE));
            }
            _ => self.take_end(now, number, side, Status::TASK_ABORTED, code::NO_ADDITIONAL_SENSE),
        }
    }

    fn take_hold(&mut self, number: usize, side: Side, task: TaskId) {
        let (Some(Some(Piece { job, doing: Doing::ByStore(offload), .. })), Ok(piece)) =
            (self.pieces.get_mut(number), u16::try_from(number))
        else {
            return;
        };
        *offload.hold_mut(side) = Hold::Held(task);
        let Some(job) = self.jobs.get(*job).and_then(Option::as_deref) else { return };
        if job.is_stopped() || offload.op.is_none() {
            self.releases.extend(offload.give_up());
            return self.end_offload(number);
        }
        if let Some((unit, command)) = offload.next_hold(self.reactor, piece) {
            return self.commands.push_back((job.nexus, unit, command));
        }
        if let (Hold::Held(task), Some(op)) = (&offload.destination, offload.op.take()) {
            let task = *task;
            self.operations.push_back((task, op));
            // The operation is the task's from here on; it is answered when that is done.
            offload.destination = Hold::Asked;
        }
    }

    /// The command of one side has ended.
    fn take_end(&mut self, now: Time, number: usize, side: Side, status: Status, code: Code) {
        let Some(Some(Piece { job, range, doing: Doing::ByStore(offload) })) = self.pieces.get_mut(number)
        else {
            return;
        };
        let Some(job) = self.jobs.get_mut(*job).and_then(Option::as_deref_mut) else { return };
        // Only a destination whose operation was begun is answered GOOD.
        let was_begun = offload.op.is_none() && side == Side::Destination;
        *offload.hold_mut(side) = Hold::Nothing;
        self.releases.extend(offload.give_up());
        match status {
            Status::GOOD => job.done(*range),
            Status::BUSY | Status::TASK_SET_FULL => job.put_back(*range, now + RETRY, now),
            _ if was_begun && code == code::INVALID_COMMAND_OPERATION_CODE => job.do_without_store(*range),
            _ => job.fail(Failure::There(Cause { side, status, code })),
        }
        self.end_offload(number);
    }

    /// Ends a piece, unless something that it sent is still to be answered.
    fn end_offload(&mut self, number: usize) {
        let Some(Some(Piece { job, doing: Doing::ByStore(offload), .. })) = self.pieces.get(number) else {
            return;
        };
        if offload.is_waiting() {
            return;
        }
        let at = *job;
        self.pieces[number] = None;
        if let Some(job) = self.job_mut(at) {
            job.in_flight -= 1;
        }
    }
}
