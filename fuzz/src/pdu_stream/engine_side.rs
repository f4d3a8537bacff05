//! What the engine answers: any of what it may, as the script wants, or all that is open at the end.
//!
//! The engine keeps the seam's rules: a command is answered once, data is asked for once and within what was announced, a
//! function is answered after the commands that it ended.

use super::backend::{Backend, Data, Given, Nexus, Task, identity, pattern};
use crate::Script;
use felio_hal::port::{Command, LossReason, PortRequest, Refusal, Response, SenseData, TaskManagement};
use felio_hal::{Buf, Pool, PortTag, TaskId};
use felio_spec::sense::code;
use felio_spec::status::TaskManagementResponse;
use felio_spec::{Sense, Status, TaskManagementFunction};

impl Backend {
    /// The next thing that the script wants, if it can be.
    pub(super) fn answer(&mut self, script: &mut Script<'_>, pool: &mut Pool) -> Option<PortRequest> {
        if self.nexus == Nexus::Asking {
            return Some(self.decide(script));
        }
        let choice = script.byte();
        if choice & 0xe0 == 0xe0 && !self.managements.is_empty() {
            let at = script.below(self.managements.len());
            let tag = *self.managements.keys().nth(at)?;
            return Some(self.finish_management(tag, script.byte()));
        }
        let at = script.below(self.commands.len().max(1));
        let tag = *self.commands.keys().nth(at)?;
        let command = self.commands.get(&tag)?.command;
        let untouched = matches!(self.commands.get(&tag)?.data, Data::None);
        match choice & 7 {
            0 if choice & 0x10 != 0 => Some(self.abandon(tag, pool)),
            1..=3 if untouched && command.expect_out > 0 => {
                let bytes = match choice & 8 {
                    0 => command.expect_out,
                    _ => 1 + script.word() % command.expect_out,
                };
                // An engine has a limit for what it takes in one piece.
                (bytes <= TRANSFER_BYTES_MAX).then(|| self.solicit(tag, bytes))
            }
            4 => Some(self.refuse(tag, pool, Status::CHECK_CONDITION, script)),
            5 => Some(self.refuse(tag, pool, Status(script.byte()), script)),
            _ => {
                let more = if script.rarely(4) { script.length(4096) } else { 0 };
                let room = usize::try_from(command.expect_in).ok()?.min(64 << 10);
                let bytes = if script.coin() { room + more } else { script.below(room + 1) };
                Some(self.respond(tag, bytes, pool))
            }
        }
    }

    /// Ends one thing that is open; nothing if there is none.
    pub(super) fn finish_one(&mut self, pool: &mut Pool) -> Option<PortRequest> {
        if self.nexus == Nexus::Asking {
            self.nexus = Nexus::Alive;
            return Some(PortRequest::Admit { session: 1 });
        }
        if self.nexus != Nexus::Alive {
            return None;
        }
        let ready = |task: &Task| !matches!(task.data, Data::Asked { .. });
        if let Some(tag) = self.commands.iter().find(|(_, task)| ready(task)).map(|(tag, _)| *tag) {
            let room = usize::try_from(self.commands[&tag].command.expect_in).unwrap_or(0);
            return Some(self.respond(tag, room.min(8192), pool));
        }
        let tag = *self.managements.keys().next()?;
        Some(self.finish_management(tag, 0))
    }

    fn decide(&mut self, script: &mut Script<'_>) -> PortRequest {
        if script.rarely(16) {
            self.nexus = Nexus::Gone;
            let all = [
                Refusal::NoSuchSession,
                Refusal::TooManyConnections,
                Refusal::OutOfResources,
                Refusal::ServiceUnavailable,
            ];
            return PortRequest::Refuse(*script.pick(&all));
        }
        self.nexus = Nexus::Alive;
        PortRequest::Admit { session: script.short().max(1) }
    }

    fn solicit(&mut self, tag: u32, bytes: u32) -> PortRequest {
        self.next_task += 1;
        let task = TaskId { reactor: 0, slot: self.next_task, generation: 0 };
        self.commands.get_mut(&tag).expect("a live command").data = Data::Asked { task: task.slot, bytes };
        PortRequest::Solicit { tag: PortTag(tag), task, bytes }
    }

    fn abandon(&mut self, tag: u32, pool: &mut Pool) -> PortRequest {
        let command = self.take(tag, pool);
        self.abandoned.extend(identity(&command));
        PortRequest::Abandon { tag: PortTag(tag) }
    }

    fn refuse(&mut self, tag: u32, pool: &mut Pool, status: Status, script: &mut Script<'_>) -> PortRequest {
        let command = self.take(tag, pool);
        let sense = (status == Status::CHECK_CONDITION || script.rarely(8)).then(|| {
            let (code, _) = *script.pick(code::ALL);
            SenseData::new(&Sense::with_information(code, script.long()), script.coin())
        });
        let transfer_bytes = if script.rarely(4) { script.long() } else { 0 };
        self.end(&command, status, sense, None, transfer_bytes)
    }

    /// GOOD, with so many bytes of Data-In if there is room in the pool.
    fn respond(&mut self, tag: u32, bytes: usize, pool: &mut Pool) -> PortRequest {
        let command = self.take(tag, pool);
        let mut data = if bytes > 0 && command.expect_in > 0 { pool.take(bytes) } else { None };
        if let Some(buf) = &mut data {
            let id = identity(&command).unwrap_or(0);
            buf.iter_mut().enumerate().for_each(|(at, byte)| *byte = pattern(id, at));
        }
        let transferred = match &data {
            Some(buf) => buf.len().try_into().unwrap_or(0),
            None if command.expect_in > 0 => 0,
            None => u64::from(command.expect_out),
        };
        self.end(&command, Status::GOOD, None, data, transferred)
    }

    fn end(
        &mut self,
        command: &Command,
        status: Status,
        sense: Option<SenseData>,
        data: Option<Buf>,
        transfer_bytes: u64,
    ) -> PortRequest {
        if let Some(id) = identity(command) {
            let expect = i64::from(command.expect_out.max(command.expect_in));
            let room = usize::try_from(command.expect_in).unwrap_or(usize::MAX);
            let difference = i128::from(transfer_bytes) - i128::from(expect);
            let bound = i128::from(u32::MAX);
            let residual = i64::try_from(difference.clamp(-bound, bound)).unwrap_or(0);
            let data_bytes = data.as_ref().map_or(0, |buf| buf.len().min(room));
            self.answers.insert(id, Given { status: status.0, data_bytes, residual });
        }
        PortRequest::Respond(Response { tag: command.tag, status, sense, data, transfer_bytes })
    }

    /// A function is answered once the commands that it ends are: they are let go first, one at a time.
    fn finish_management(&mut self, tag: u32, choice: u8) -> PortRequest {
        let request = self.managements[&tag];
        if let Some(affected) = self.affected(&request) {
            let task = self.commands.remove(&affected).expect("a live command");
            self.abandoned.extend(identity(&task.command));
            // Its buffer is dropped: that counts as home too.
            drop(task);
            return PortRequest::Abandon { tag: PortTag(affected) };
        }
        self.managements.remove(&tag);
        let response = match choice % 8 {
            0 | 1 => TaskManagementResponse::FunctionComplete,
            2 => TaskManagementResponse::FunctionSucceeded([1, 2, 3]),
            3 => TaskManagementResponse::FunctionRejected,
            4 => TaskManagementResponse::NotSupported,
            5 => TaskManagementResponse::IncorrectLun,
            _ => TaskManagementResponse::NoSuchTask,
        };
        PortRequest::TaskManagementResult { tag: request.tag, response }
    }

    /// A command that a function ends.
    fn affected(&self, request: &TaskManagement) -> Option<u32> {
        use TaskManagementFunction as Function;
        let meant = |task: &Task| match request.function {
            Function::AbortTask => request.referenced == Some(task.command.tag),
            Function::AbortTaskSet | Function::ClearTaskSet | Function::LogicalUnitReset => {
                task.command.lun == request.lun
            }
            Function::TargetWarmReset | Function::TargetColdReset | Function::ITNexusReset => true,
            Function::ClearAca
            | Function::QueryTask
            | Function::QueryTaskSet
            | Function::QueryAsynchronousEvent => false,
        };
        self.commands.iter().find(|(_, task)| meant(task)).map(|(tag, _)| *tag)
    }

    fn take(&mut self, tag: u32, pool: &mut Pool) -> Command {
        let task = self.commands.remove(&tag).expect("a live command");
        if let Data::Here(buf) = task.data {
            pool.give(buf);
        }
        task.command
    }
}

/// A wish of the reactor.
pub(super) fn farewell(script: &mut Script<'_>) -> PortRequest {
    let reasons = [LossReason::Administrative, LossReason::Reinstated, LossReason::Connection];
    match script.coin() {
        true => PortRequest::Close(*script.pick(&reasons)),
        false => {
            PortRequest::RequestLogout { within: core::time::Duration::from_secs(u64::from(script.byte())) }
        }
    }
}

const TRANSFER_BYTES_MAX: u32 = 256 << 10;
