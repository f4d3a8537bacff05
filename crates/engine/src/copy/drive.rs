//! The engine's side of the copy manager: commands become jobs, pieces become tasks, ends become answers.

use super::job::{End, Job, Spot};
use super::ledger::{Format, Progress, Record};
use super::tokens::News;
use super::{Copies, list};
use crate::config::LunMap;
use crate::engine::{Engine, index};
use crate::gate::{Content, Role};
use crate::table::{Effort, State};
use crate::unit::Unit;
use crate::work::{Next, Outcome, Work};
use felio_hal::{Buf, NexusId, Op, Pool, PortRequest, TaskId, Time};
use felio_spec::sense::{Segment, Sense, code};
use felio_spec::{Bits, Cdb, Status};

/// What a copy command sees.
#[derive(Debug)]
pub struct Bench<'a> {
    pub(crate) now: Time,
    pub(crate) nexus: NexusId,
    /// Index of the unit that is asked.
    pub(crate) unit: u32,
    /// What the nexus finds where. A unit that it does not find cannot be copied.
    pub(crate) luns: &'a LunMap,
    pub(crate) units: &'a [Unit],
    pub(crate) copies: &'a mut Copies,
}

/// What a question about copies sees.
#[derive(Debug)]
pub struct Ledgers<'a> {
    pub(crate) nexus: NexusId,
    /// Index of the unit that is asked.
    pub(crate) at: u32,
    pub(crate) unit: &'a Unit,
    pub(crate) copies: &'a Copies,
}

/// What a copy command asks for.
#[derive(Debug)]
pub enum Order {
    /// Nothing: the list was empty.
    Nothing,
    /// Nothing more: the token is made.
    TokenMade,
    /// A copy, and its answer when it has ended.
    Run(Box<Job>, Option<(u32, Format)>),
    /// A copy, and an answer now.
    Background(Box<Job>, Option<(u32, Format)>),
}

impl Bench<'_> {
    /// The unit that is asked.
    pub(crate) fn here(&self) -> &Unit {
        &self.units[index(self.unit)]
    }

    /// Its blocks.
    pub(crate) fn this(&self) -> Spot {
        list::spot(self.here(), self.unit, None)
    }

    /// The blocks of a unit, if the nexus finds it.
    pub(crate) fn spot(&self, unit: u32, named_at: Option<u16>) -> Option<Spot> {
        self.luns.lun_of(unit)?;
        self.units.get(index(unit)).map(|of| list::spot(of, unit, named_at))
    }

    pub(crate) fn check_name(&self, name: (u32, Format), field: Bits) -> Result<(), Sense> {
        self.copies.ledger.check(self.nexus, self.unit, name, field)
    }

    /// The same for a name in the CDB.
    pub(crate) fn check_token_name(&self, name: (u32, Format), field: Bits) -> Result<(), Sense> {
        self.check_name(name, field).map_err(|sense| match sense.pointer {
            Some(_) => Sense::invalid_field(field),
            None => sense,
        })
    }
}

impl Ledgers<'_> {
    /// Segments and bytes that are done.
    pub(crate) fn done(&self, record: &Record) -> (u16, u64) {
        match self.copies.named(record.nexus, record.unit, record.id) {
            Some(job) => (job.segments_done(), job.bytes_done()),
            None => (record.segments, record.bytes),
        }
    }
}

/// COPY OPERATION ABORT.
//= SPC-4 "COPY OPERATION ABORT command"
pub(crate) fn abort(bench: &mut Bench<'_>, cdb: &Cdb, _list: &[u8]) -> Result<Order, Sense> {
    use felio_spec::commands::copy_operation_abort::LIST_IDENTIFIER;
    let id = cdb.get(LIST_IDENTIFIER);
    let known = bench.copies.cancel_list(bench.nexus, bench.unit, id);
    if known { Ok(Order::Nothing) } else { Err(Sense::invalid_field(LIST_IDENTIFIER.bits)) }
}

impl Engine {
    /// An answer, or a wish, for a command that this engine sent to a unit's home.
    pub fn handle_copy_request(&mut self, now: Time, nexus: NexusId, request: PortRequest, pool: &mut Pool) {
        self.copies.inbox.push_back((nexus, request));
        self.settle(now, pool);
    }

    /// The next data that a task of another reactor has solicited.
    #[must_use]
    pub fn poll_data_out(&mut self) -> Option<(TaskId, Buf)> {
        self.data_out.pop_front()
    }

    /// Every engine that makes and takes tokens knows of all.
    pub(crate) fn tell_of_tokens(&mut self) {
        for news in self.copies.tokens.take_news() {
            for peer in self.copies.tokens.peers().to_vec() {
                let news = match &news {
                    News::Made(rod) => News::Made(rod.clone()),
                    News::Ended(id, standing) => News::Ended(*id, *standing),
                    News::Used(id) => News::Used(*id),
                };
                self.peers.write(peer, Content::Token(Box::new(news)));
            }
        }
    }

    /// Asks a port something; a piece's port is the copy manager.
    pub(crate) fn tell(&mut self, nexus: NexusId, request: PortRequest) {
        let sender = request.tag().and_then(felio_hal::PortTag::piece);
        match sender {
            Some((reactor, _)) if reactor == self.reactor => self.copies.inbox.push_back((nexus, request)),
            _ => self.requests.push_back((nexus, request)),
        }
    }

    /// Lets the copy manager work until it waits.
    pub(crate) fn drive_copies(&mut self, now: Time, pool: &mut Pool) {
        while let Some((nexus, request)) = self.copies.inbox.pop_front() {
            self.copies.handle_request(now, nexus, request, pool);
        }
        while let Some((task, buf)) = self.copies.poll_data_out() {
            if task.reactor == self.reactor {
                self.accept_data(now, task, buf, pool);
            } else {
                self.data_out.push_back((task, buf));
            }
        }
        while let Some((nexus, unit, command)) = self.copies.poll_command() {
            match self.units[index(unit)].role {
                // The operator may take a unit away from the nexus while it is copied.
                _ if !self.finds(nexus, unit) => self.answer_for_nobody(nexus, &command, pool),
                Role::Home(_) => self.arrive(now, nexus, unit, &command, pool),
                // Always its home: a pass is for who sends from here.
                Role::Guest(_) => {
                    let home = self.units[index(unit)].config.home;
                    self.peers.write(home, Content::Placed { nexus, unit, command, handed: None });
                }
            }
        }
        while let Some((task, op)) = self.copies.poll_operation() {
            self.copy_by_store(task, op);
        }
        while let Some(task) = self.copies.poll_release() {
            self.release_hold(task);
        }
        while let Some(job) = self.copies.poll_ended() {
            self.end_copy(&job);
        }
    }

    /// A task holds its blocks from now on: its sender is told by being asked for no data.
    pub(crate) fn hold(&mut self, slot: u32) {
        let id = self.table.id(slot);
        let Some(task) = self.table.get_mut(slot) else { return };
        task.state = State::Held;
        let (nexus, tag) = (task.nexus, task.tag);
        self.tell(nexus, PortRequest::Solicit { tag, task: id, bytes: 0 });
    }

    /// All that an operation touches is held: it begins, for the task that holds what it writes.
    fn copy_by_store(&mut self, task: TaskId, op: Op) {
        let slot = self.table.slot(task);
        let held = |slot: &u32| matches!(self.table.get(*slot).map(|task| &task.state), Some(State::Held));
        if let Some(slot) = slot.filter(held) {
            self.submit(slot, op, State::InStore(Effort::Write, Work::Zero { transfer_bytes: 0 }));
        }
    }

    /// Lets a held task go; nobody waits for an answer.
    fn release_hold(&mut self, task: TaskId) {
        if let Some(slot) = self.table.slot(task)
            && matches!(self.table.get(slot).map(|task| &task.state), Some(State::Held))
        {
            self.let_go(slot);
        }
    }

    /// Carries out what a copy command asks for.
    pub(crate) fn follow_order(&mut self, now: Time, slot: u32, list_bytes: u64, order: Order) -> Next {
        let (mut job, name, progress) = match order {
            Order::Nothing | Order::TokenMade => return Next::Finish(Outcome::good(list_bytes)),
            Order::Run(job, name) => (job, name, Progress::Foreground),
            Order::Background(job, name) => (job, name, Progress::Background),
        };
        let (nexus, unit) = (job.nexus, job.unit);
        if progress == Progress::Foreground {
            job.command = Some(self.table.id(slot));
        }
        let command = job.command;
        //= SPC-4 "Third-party copy commands": no more copies than the Third-party Copy page says
        if self.copies.start(now, job).is_err() {
            return Next::Finish(Outcome::status(Status::BUSY, list_bytes));
        }
        if let Some((id, format)) = name {
            let record = Record { nexus, unit, id, format, progress, segments: 0, bytes: 0, token: None };
            self.copies.ledger.insert(record);
        }
        match command {
            Some(_) => Next::Copying,
            None => Next::Finish(Outcome::good(list_bytes)),
        }
    }

    /// A copy has ended: its record says so, and its command is answered.
    fn end_copy(&mut self, job: &Job) {
        let end = job.end();
        if let Some(id) = job.list {
            let done = (job.segments_done(), job.bytes_done());
            self.copies.ledger.settle(job.nexus, job.unit, id, end, done);
        }
        if let Some(rod) = job.token.filter(|_| job.delete_token) {
            self.copies.tokens.delete(rod);
        }
        let Some(slot) = job.command.and_then(|command| self.table.slot(command)) else { return };
        match self.table.get(slot).map(|task| &task.state) {
            Some(State::Copying) => {
                let outcome = match end {
                    End::Good if job.good_sense => {
                        let segment = Segment { number: job.segments_done(), cause: None };
                        let sense =
                            Sense { segment: Some(segment), ..Sense::new(code::COPY_INFORMATION_AVAILABLE) };
                        Outcome { sense: Some(Box::new(sense)), ..Outcome::good(job.list_bytes) }
                    }
                    End::Good => Outcome::good(job.list_bytes),
                    End::Failed(sense) => Outcome::check(sense, job.list_bytes),
                    End::Cancelled => Outcome::check(code::COPY_OPERATION_ABORTED.into(), job.list_bytes),
                };
                self.finish(slot, outcome);
            }
            Some(State::Doomed(fate, effort)) => {
                let (fate, effort) = (*fate, *effort);
                self.bury(slot, fate, effort);
            }
            _ => {}
        }
    }
}
