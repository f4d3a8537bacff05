//! The copy manager: copies that an initiator asks for and we carry out.
//!
//! A command's function ([`list`] for EXTENDED COPY, [`ranges`] for tokens) turns its parameter list into an [`Order`]: a
//! list of moves that cannot be wrong, but may still fail. A [`Job`] cuts its moves into pieces. A piece is an ordinary READ
//! (16) and then a WRITE (16), or a WRITE SAME (16) of zeros, that the copy manager sends for the nexus that asked: so
//! reservations, access states, write protection and the order of both task sets are those of any command, at one place, and
//! a unit whose home is another reactor is reached as by any port. Nothing here is locked: a piece waits its turn.
//!
//! What the manager remembers: [`ledger`] (what became of each copy), [`tokens`] (what stands for data).
//!
//! Not here: the pieces' tasks (the engine's, like all others), the way to other reactors (the runtime's).
//!
//! Bounds: [`JOBS_MAX`] copies on a reactor, [`DEPTH`] pieces of each at a time, of [`PIECE_BYTES_MAX`] at the most; no piece
//! holds more than one buffer.

mod drive;
pub(crate) mod hold;
mod job;
pub(crate) mod ledger;
pub(crate) mod list;
mod offload;
pub(crate) mod ranges;
pub(crate) mod results;
pub(crate) mod tokens;

pub(crate) use drive::abort;
pub(crate) use drive::{Bench, Ledgers, Order};
pub(crate) use job::{Job, Move, Source, Spot};

use crate::config::TargetConfig;
use crate::engine::index;
use core::time::Duration;
use felio_hal::{Buf, Command, NexusId, Op, Pool, PortRequest, PortTag, Response, TaskId, Time};
use felio_spec::Status;
use felio_spec::sense::{Cause, Code, Sense, Side, code};
use job::{Failure, Range};
use ledger::Ledger;
use offload::{Offload, SOURCE_HOLD};
use std::collections::VecDeque;
use tokens::Tokens;

/// Copies at a time on a reactor.
pub(crate) const JOBS_MAX: usize = 8;
/// Pieces of a copy at a time.
pub(crate) const DEPTH: usize = 4;
/// The longest piece, bytes.
pub(crate) const PIECE_BYTES_MAX: u32 = 1 << 20;
/// The longest piece that stores copy by themselves, bytes: they cannot be stopped in between.
pub(crate) const STORE_PIECE_BYTES_MAX: u32 = 16 << 20;
/// How soon a piece is tried again that was refused for want of a slot or a buffer.
const RETRY: Duration = Duration::from_millis(5);
/// How long a copy may get nowhere for want of slots and buffers.
const PATIENCE: Duration = Duration::from_secs(20);

/// The copy manager of one reactor.
#[derive(Debug)]
pub(crate) struct Copies {
    reactor: u16,
    jobs: Vec<Option<Box<Job>>>,
    pieces: Vec<Option<Piece>>,
    /// What was asked of our pieces' sender, which is us.
    pub(crate) inbox: VecDeque<(NexusId, PortRequest)>,
    /// With the unit that each is for.
    commands: VecDeque<(NexusId, u32, Command)>,
    data_out: VecDeque<(TaskId, Buf)>,
    operations: VecDeque<(TaskId, Op)>,
    releases: VecDeque<TaskId>,
    ended: VecDeque<Box<Job>>,
    pub(crate) ledger: Ledger,
    pub(crate) tokens: Tokens,
}

/// The reactors but this one that are some unit's home.
pub(crate) fn other_homes(target: &TargetConfig, reactor: u16) -> Vec<u16> {
    let mut homes: Vec<u16> = target.units.iter().map(|unit| unit.home).collect();
    homes.sort_unstable();
    homes.dedup();
    homes.retain(|home| *home != reactor);
    homes
}

/// A part of a copy that is under way.
#[derive(Debug)]
struct Piece {
    /// Index of its job.
    job: usize,
    range: Range,
    doing: Doing,
}

/// What a piece waits for.
#[derive(Debug)]
enum Doing {
    /// Its READ.
    Reading,
    /// Its WRITE, which takes this buffer when it wants the data.
    Writing(Option<Buf>),
    /// Its WRITE SAME.
    Zeroing,
    /// Its holds, or its operation: see [`offload`].
    ByStore(Box<Offload>),
}

impl Copies {
    pub(crate) fn new(reactor: u16, seed: [u8; 32], peers: Vec<u16>) -> Self {
        Self {
            reactor,
            jobs: Vec::new(),
            pieces: Vec::new(),
            inbox: VecDeque::new(),
            commands: VecDeque::new(),
            data_out: VecDeque::new(),
            operations: VecDeque::new(),
            releases: VecDeque::new(),
            ended: VecDeque::new(),
            ledger: Ledger::default(),
            tokens: Tokens::new(reactor, seed, peers),
        }
    }

    /// Takes a job, or gives it back where there are too many.
    pub(crate) fn start(&mut self, now: Time, job: Box<Job>) -> Result<(), Box<Job>> {
        let free = self.jobs.iter().position(Option::is_none);
        let at = match free {
            Some(at) => at,
            None if self.jobs.len() < JOBS_MAX => {
                self.jobs.push(None);
                self.jobs.len() - 1
            }
            None => return Err(job),
        };
        self.jobs[at] = Some(job);
        self.advance(now, at);
        Ok(())
    }

    /// A piece's command was answered, or wants its data.
    pub(crate) fn handle_request(
        &mut self,
        now: Time,
        nexus: NexusId,
        request: PortRequest,
        pool: &mut Pool,
    ) {
        let tag = request.tag().and_then(PortTag::piece).map(|(_, number)| number);
        let number = tag.map(|number| usize::from(number & !SOURCE_HOLD));
        let job = number.and_then(|at| self.pieces.get(at)?.as_ref()).map(|piece| piece.job);
        let is_ours = job.is_some_and(|job| self.job(job).is_some_and(|job| job.nexus == nexus));
        // Its copy was dropped with its nexus.
        let (Some(number), true) = (number, is_ours) else { return self.discard(request, pool) };
        match request {
            request if self.is_by_store(number) => {
                let side = if tag.is_some_and(|tag| tag & SOURCE_HOLD != 0) {
                    Side::Source
                } else {
                    Side::Destination
                };
                self.handle_hold(now, number, side, request);
            }
            PortRequest::Solicit { task, bytes, .. } => self.hand_over(number, task, bytes),
            PortRequest::Respond(response) => self.take_response(now, number, response, pool),
            _ => self.fail(number, Status::TASK_ABORTED, code::NO_ADDITIONAL_SENSE, pool),
        }
        if let Some(job) = job {
            self.advance(now, job);
        }
    }

    /// The time of [`Copies::deadline`] has come.
    pub(crate) fn handle_timeout(&mut self, now: Time) {
        for at in 0..self.jobs.len() {
            if let Some(job) = self.job_mut(at)
                && job.retry_at.take_if(|time| now >= *time).is_some()
            {
                if job.stuck_since.is_some_and(|since| now.since(since) >= PATIENCE) {
                    job.fail(Failure::Own(Sense::new(code::COPY_INSUFFICIENT_RESOURCES)));
                }
                self.advance(now, at);
            }
        }
    }

    /// Ends the copy of a command as soon as nothing of it is under way: whether something is.
    pub(crate) fn cancel(&mut self, command: TaskId) -> bool {
        let found = self.find(|job| job.command == Some(command));
        found.is_some_and(|at| self.cancel_at(at))
    }

    /// The same for the copy that a nexus has named so.
    pub(crate) fn cancel_list(&mut self, nexus: NexusId, unit: u32, id: u32) -> bool {
        let found = self.find(|job| job.nexus == nexus && job.unit == unit && job.list == Some(id));
        found.inspect(|at| _ = self.cancel_at(*at)).is_some()
    }

    /// A unit was reset: its copies end, and nobody asks what became of those that were.
    pub(crate) fn reset(&mut self, unit: u32) {
        while let Some(at) = self.find(|job| job.unit == unit && !job.is_stopped()) {
            self.cancel_at(at);
        }
        self.ledger.forget(|record| record.unit == unit);
    }

    /// A nexus is gone, and with it its copies. What is under way for them ends by itself.
    //= SPC-4 "Third-party copy commands": an I_T nexus loss aborts what the nexus asked for
    pub(crate) fn forget(&mut self, nexus: NexusId, pool: &mut Pool) {
        while let Some(at) = self.find(|job| job.nexus == nexus) {
            self.jobs[at] = None;
            for piece in self.pieces.iter_mut().filter(|piece| piece.as_ref().is_some_and(|p| p.job == at)) {
                if let Some(Piece { doing: Doing::Writing(Some(buf)), .. }) = piece.take() {
                    pool.give(buf);
                }
            }
        }
        self.commands.retain(|(of, ..)| *of != nexus);
        self.ledger.forget(|record| record.nexus == nexus);
    }

    /// The next command to send, and to which unit.
    #[must_use]
    pub(crate) fn poll_command(&mut self) -> Option<(NexusId, u32, Command)> {
        self.commands.pop_front()
    }

    /// The next data that a command of ours is given.
    #[must_use]
    pub(crate) fn poll_data_out(&mut self) -> Option<(TaskId, Buf)> {
        self.data_out.pop_front()
    }

    /// The next copy that has come to its end.
    #[must_use]
    pub(crate) fn poll_ended(&mut self) -> Option<Box<Job>> {
        self.ended.pop_front()
    }

    /// Whether there is nothing to poll and nothing to handle.
    pub(crate) fn is_still(&self) -> bool {
        self.inbox.is_empty()
            && self.commands.is_empty()
            && self.data_out.is_empty()
            && self.operations.is_empty()
            && self.releases.is_empty()
            && self.ended.is_empty()
    }

    /// Whether no copy is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.jobs.iter().all(Option::is_none) && self.is_still()
    }

    /// Whether a copy is under way that reads or writes a unit's blocks.
    pub(crate) fn is_about(&self, unit: u32) -> bool {
        self.jobs.iter().flatten().any(|job| job.is_about(unit))
    }

    /// When [`Copies::handle_timeout`] wants to be called.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.jobs.iter().flatten().filter_map(|job| job.retry_at).min()
    }

    /// The copy under way that a nexus has named so.
    pub(crate) fn named(&self, nexus: NexusId, unit: u32, id: u32) -> Option<&Job> {
        let at = self.find(|job| job.nexus == nexus && job.unit == unit && job.list == Some(id))?;
        self.job(at)
    }

    fn find(&self, chosen: impl Fn(&Job) -> bool) -> Option<usize> {
        self.jobs.iter().position(|job| job.as_ref().is_some_and(|job| chosen(job)))
    }

    fn job(&self, at: usize) -> Option<&Job> {
        self.jobs.get(at)?.as_deref()
    }

    fn job_mut(&mut self, at: usize) -> Option<&mut Job> {
        self.jobs.get_mut(at)?.as_deref_mut()
    }

    fn cancel_at(&mut self, at: usize) -> bool {
        if let Some(job) = self.job_mut(at) {
            job.cancel();
        }
        self.end_if_over(at);
        self.job(at).is_some()
    }

    /// Sends as many commands as a job may have under way; ends it when there is nothing left.
    fn advance(&mut self, now: Time, at: usize) {
        let free = |pieces: &[Option<Piece>]| pieces.iter().position(Option::is_none);
        while let Some(job) = self.jobs.get_mut(at).and_then(Option::as_deref_mut)
            && let Some(range) = job.next_range(now, self.reactor)
        {
            let number = free(&self.pieces).unwrap_or(self.pieces.len());
            let Ok(piece) = u16::try_from(number) else { return };
            let tag = PortTag::of_piece(self.reactor, piece);
            let (sent, doing) = match (job.by_store(range, self.reactor), job.read(range, tag)) {
                (Some(by_store), _) => {
                    let mut offload = Offload::new(by_store);
                    (offload.next_hold(self.reactor, piece), Doing::ByStore(Box::new(offload)))
                }
                (None, Some(read)) => (Some(read), Doing::Reading),
                (None, None) => (Some(job.zero(range, tag)), Doing::Zeroing),
            };
            self.commands.extend(sent.map(|(unit, command)| (job.nexus, unit, command)));
            let piece = Some(Piece { job: at, range, doing });
            match self.pieces.get_mut(number) {
                Some(slot) => *slot = piece,
                None => self.pieces.push(piece),
            }
        }
        self.end_if_over(at);
    }

    fn end_if_over(&mut self, at: usize) {
        if let Some(ended) = self.jobs.get_mut(at).and_then(|job| job.take_if(|job| job.is_over())) {
            self.ended.push_back(ended);
        }
    }

    /// A WRITE wants the data that its READ has brought.
    fn hand_over(&mut self, number: usize, task: TaskId, bytes: u32) {
        if let Some(Piece { doing: Doing::Writing(buf), .. }) = &mut self.pieces[number]
            && let Some(mut buf) = buf.take()
        {
            buf.set_len(buf.len().min(index(bytes)));
            self.data_out.push_back((task, buf));
        }
    }

    fn take_response(&mut self, now: Time, number: usize, response: Response, pool: &mut Pool) {
        let Response { status, sense, data, .. } = response;
        let Some(piece) = self.pieces.get_mut(number).and_then(Option::as_mut) else { return };
        let (at, range) = (piece.job, piece.range);
        let Some(job) = self.jobs.get_mut(at).and_then(Option::as_deref_mut) else { return };
        let is_good = status == Status::GOOD;
        match (&piece.doing, data) {
            (Doing::Reading, Some(buf)) if is_good && buf.len() == index_of(range.bytes) => {
                if let Some(id) = job.token
                    && !self.tokens.is_valid(id)
                {
                    job.fail(Failure::Own(Sense::new(code::COPY_TOKEN_CANCELLED)));
                }
                if job.is_stopped() {
                    return self.end_piece(number, Some(buf), pool);
                }
                piece.doing = Doing::Writing(Some(buf));
                let tag = PortTag::of_piece(self.reactor, u16::try_from(number).unwrap_or(u16::MAX));
                let (unit, command) = job.write(range, tag);
                self.commands.push_back((job.nexus, unit, command));
            }
            (Doing::Writing(_) | Doing::Zeroing, data) if is_good => {
                job.done(range);
                self.end_piece(number, data, pool);
            }
            (_, data) if matches!(status, Status::BUSY | Status::TASK_SET_FULL) => {
                job.put_back(range, now + RETRY, now);
                self.end_piece(number, data, pool);
            }
            (_, data) => {
                let code = sense.map_or(code::NO_ADDITIONAL_SENSE, |sense| Code::of(sense.bytes()));
                if let Some(buf) = data {
                    pool.give(buf);
                }
                self.fail(number, status, code, pool);
            }
        }
    }

    /// A unit refused a piece.
    fn fail(&mut self, number: usize, status: Status, code: Code, pool: &mut Pool) {
        let Some(piece) = self.pieces.get(number).and_then(Option::as_ref) else { return };
        let side = match piece.doing {
            Doing::Reading => Side::Source,
            Doing::Writing(_) | Doing::Zeroing | Doing::ByStore(_) => Side::Destination,
        };
        let at = piece.job;
        if let Some(job) = self.job_mut(at) {
            job.fail(Failure::There(Cause { side, status, code }));
        }
        self.end_piece(number, None, pool);
    }

    /// Nobody wants it any more.
    fn discard(&mut self, request: PortRequest, pool: &mut Pool) {
        match request {
            PortRequest::Respond(Response { data: Some(buf), .. }) => pool.give(buf),
            PortRequest::Solicit { task, bytes: 0, .. } => self.releases.push_back(task),
            _ => {}
        }
    }

    /// A piece is no more.
    fn end_piece(&mut self, number: usize, buf: Option<Buf>, pool: &mut Pool) {
        let Some(piece) = self.pieces.get_mut(number).and_then(Option::take) else { return };
        let held = if let Doing::Writing(buf) = piece.doing { buf } else { None };
        for buf in [buf, held].into_iter().flatten() {
            pool.give(buf);
        }
        if let Some(job) = self.job_mut(piece.job) {
            job.in_flight -= 1;
        }
    }
}

fn index_of(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
