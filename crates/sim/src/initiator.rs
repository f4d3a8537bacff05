//! An initiator that does what initiators do, at random, and tells the referee.
//!
//! It has one session at a time: sends `commands`, aborts, resets, logs out, breaks off, and comes back. Data blocks hold the stamp of
//! the write that they come from; behind them are counters that only COMPARE AND WRITE moves, each by one, and blocks in which only
//! ORWRITE sets bits, each once.

use crate::bits::Bits;
use crate::random::Random;
use crate::referee::witness::Event;
use crate::referee::{Moment, Referee, Sender, Sent, WriteId};
use felio_hal::Time;
use felio_iscsi::pdu::{
    self, LogoutReason, R2t, Sn, TaskManagementFunction, TaskManagementResponseCode, TaskTag,
};
use felio_iscsi::peer::{Answers, Completed, Data, Peer, PeerEvent, Settings};
use felio_spec::{SenseKey, Status, TaskAttribute};
use std::collections::BTreeMap;
use std::time::Duration;

mod access;
mod change;
mod commands;
mod habits;
mod kind;
mod news;
pub(crate) mod size;

pub use access::Access;
pub(crate) use access::port_of;
pub use change::Promises;
pub use habits::Habits;
use kind::Kind;
use news::{Answer, Ear};
pub use size::{Length, TAIL_BLOCKS};

/// Initiators, at the most.
pub const INITIATORS_MAX: u8 = 4;
/// Logical block, bytes.
pub const BLOCK_BYTES: usize = 512;
/// Blocks with stamps.
pub const DATA_BLOCKS: usize = 192;
/// Blocks with counters, behind them.
pub const COUNTER_BLOCKS: usize = 4;
/// Blocks with bits, behind those.
pub const BIT_BLOCKS: usize = 8;
/// All blocks.
pub const BLOCKS: usize = FIRST_BITS + BIT_BLOCKS;

/// Where the blocks with bits begin.
pub const FIRST_BITS: usize = DATA_BLOCKS + COUNTER_BLOCKS;

/// How long a command may take where the disk and the network are merely slow.
const PATIENCE: Duration = Duration::from_secs(100);

const DEPTH: usize = 12;

/// What an initiator shares with the others.
#[derive(Debug)]
pub struct Shared {
    /// What blocks may hold.
    pub referee: Referee,
    /// The last stamp.
    pub stamp: u64,
    /// By counter: the values from which it was moved, with GOOD.
    pub moved: Vec<Vec<u64>>,
    /// What the blocks with bits may hold.
    pub bits: Bits,
    /// Writes that were answered may be lost until they are flushed.
    pub cached: bool,
    /// Somebody shall switch the write cache off, and nobody on again by a reset.
    pub write_through: bool,
    /// What holds because it was answered.
    pub promises: Promises,
    /// The same of access states.
    pub access: Access,
    /// How long the unit is.
    pub length: Length,
    /// Somebody changes that.
    pub resizing: bool,
    /// Somebody puts another store under the unit.
    pub swapping: bool,
    /// When the target had sent what an initiator reads now.
    pub answered: Time,
    /// When a write last changed a block.
    pub landed: Time,
    /// How many commands ended.
    pub completed: u64,
    /// How many of them GOOD.
    pub good: u64,
}

/// Where an initiator stands.
#[derive(Debug)]
pub enum Standing {
    /// Not connected until then.
    Away(Time),
    /// Its login is under way.
    LoggingIn,
    /// At work.
    Working,
    /// Its logout is under way.
    Leaving,
}

/// What it asks of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Nothing.
    None,
    /// The link shall break.
    Break,
    /// The session is over in good order: the link can go.
    Left,
}

/// One initiator.
#[derive(Debug)]
pub struct Initiator {
    pub(crate) number: u8,
    random: Random,
    settings: Settings,
    /// The protocol.
    pub peer: Peer,
    /// Where it stands.
    pub standing: Standing,
    /// When it does something next.
    pub next_action: Time,
    tasks: BTreeMap<u32, Task>,
    functions: BTreeMap<u32, Function>,
    /// Data that the target asked for, and when they are sent.
    owed: Vec<(Time, R2t)>,
    /// How long it may keep the target waiting for them.
    dawdling: Duration,
    habits: Habits,
    /// Writes of a session that is gone, which may still be under way.
    orphans: Vec<WriteId>,
    counters: [u64; COUNTER_BLOCKS],
    /// What we last saw in the data blocks.
    seen: Vec<u64>,
    registration: change::Registration,
    ear: Ear,
    /// What it does, if somebody wants to know.
    pub story: Option<Vec<String>>,
}

#[derive(Debug)]
struct Task {
    kind: Kind,
    since: Time,
    cmd_sn: Sn,
}

#[derive(Debug)]
struct Function {
    /// Our tasks that it ends.
    aborted: Vec<u32>,
    /// It ends everybody's.
    of_all: bool,
    since: Time,
    sent: Moment,
}

impl Initiator {
    /// Initiator `number` of `target`, with keys drawn from the seed.
    #[must_use]
    pub fn new(number: u8, target: &str, habits: Habits, mut random: Random) -> Self {
        let digest = |random: &mut Random| if random.chance(500) { "CRC32C,None" } else { "None" };
        let yes_no = |random: &mut Random| if random.chance(500) { "Yes" } else { "No" };
        let sizes = ["512", "4096", "8192", "65536", "262144"];
        let keys = vec![
            ("HeaderDigest", digest(&mut random).to_owned()),
            ("DataDigest", digest(&mut random).to_owned()),
            ("InitialR2T", yes_no(&mut random).to_owned()),
            ("ImmediateData", yes_no(&mut random).to_owned()),
            ("MaxRecvDataSegmentLength", sizes[random.index(5)].to_owned()),
            ("MaxBurstLength", sizes[1 + random.index(4)].to_owned()),
            ("FirstBurstLength", sizes[random.index(3)].to_owned()),
            ("MaxOutstandingR2T", (1 + random.below(4)).to_string()),
        ];
        let settings = Settings {
            initiator: format!("iqn.2024-01.org.example:sim{number}"),
            target: Some(target.to_owned()),
            isid: [0x80, 0, 0, 0, 0, number],
            keys,
            answers: Answers::Nobody,
            ..Settings::default()
        };
        Self {
            number,
            peer: Peer::new(settings.clone()),
            settings,
            standing: Standing::Away(Time(0)),
            next_action: Time(0),
            tasks: BTreeMap::new(),
            functions: BTreeMap::new(),
            owed: Vec::new(),
            dawdling: Duration::from_micros(if random.chance(300) { 3_000 } else { 0 }),
            habits,
            orphans: Vec::new(),
            counters: [0; COUNTER_BLOCKS],
            seen: vec![0; DATA_BLOCKS],
            registration: change::Registration::default(),
            ear: Ear::default(),
            story: None,
            random,
        }
    }

    /// Whether both digests were agreed, so that a flipped bit must be noticed.
    #[must_use]
    pub fn has_digests(&self) -> bool {
        let digests = self.peer.terms.digests;
        digests.header == felio_iscsi::digest::Digest::Crc32c
            && digests.data == felio_iscsi::digest::Digest::Crc32c
    }

    /// Begins a login on a fresh link.
    pub fn connect(&mut self, now: Time) {
        self.registration = change::Registration::default();
        self.settings.cmd_sn = u32::try_from(self.random.next() >> 32).unwrap_or(0);
        self.peer = Peer::new(self.settings.clone());
        self.standing = Standing::LoggingIn;
        self.next_action = now + PATIENCE;
    }

    /// The link is gone. Writes without an answer may still happen until a new session stands.
    pub fn handle_break(&mut self, now: Time) {
        self.orphans
            .extend(std::mem::take(&mut self.tasks).into_values().filter_map(|task| task.kind.write()));
        self.functions.clear();
        self.owed.clear();
        let away = Duration::from_micros(100 + self.random.below(self.habits.away_micros));
        self.standing = Standing::Away(now + away);
        self.next_action = now + away;
    }

    /// The target died: nothing that was under way will happen any more.
    pub fn handle_crash(&mut self, now: Time, shared: &mut Shared) {
        self.handle_break(now);
        self.settle_orphans(shared);
    }

    /// The same for one that was not connected.
    pub fn settle_after_crash(&mut self, shared: &mut Shared) {
        self.settle_orphans(shared);
    }

    /// Takes what arrived.
    pub fn handle_input(&mut self, now: Time, bytes: &[u8], shared: &mut Shared) -> Result<Wish, String> {
        self.peer
            .handle_input(bytes)
            .map_err(|foul| format!("initiator {}: the target broke a rule: {}", self.number, foul.0))?;
        let mut wish = Wish::None;
        while let Some(event) = self.peer.poll_event() {
            match self.handle_event(now, event, shared)? {
                Wish::None => {}
                other => wish = other,
            }
        }
        Ok(wish)
    }

    /// Does something, if it is time.
    pub fn act(&mut self, now: Time, busy: bool, shared: &mut Shared) -> Result<Wish, String> {
        self.complain_of_delays(now)?;
        self.send_owed(now);
        if now < self.next_action || !matches!(self.standing, Standing::Working) {
            return Ok(Wish::None);
        }
        self.next_action = now + Duration::from_micros(1 + self.random.below(400));
        if !busy {
            if self.tasks.is_empty() && self.functions.is_empty() && self.peer.has_window() {
                self.peer.log_out(LogoutReason::CLOSE_SESSION, 0);
                self.standing = Standing::Leaving;
                self.next_action = now + PATIENCE;
            }
            return Ok(Wish::None);
        }
        if self.random.chance(1) {
            return Ok(Wish::Break);
        }
        if self.random.chance(self.habits.managing) {
            self.manage(now, shared);
        }
        if self.tasks.len() < DEPTH && self.peer.has_window() && !self.change(now, shared) {
            self.send_command(now, shared);
        }
        Ok(Wish::None)
    }

    /// Whether it has nothing to do any more.
    #[must_use]
    pub const fn is_away(&self) -> bool {
        matches!(self.standing, Standing::Away(_))
    }

    fn complain_of_delays(&self, now: Time) -> Result<(), String> {
        let late = |since: Time| now.since(since) > PATIENCE;
        if let Some((itt, task)) = self.tasks.iter().find(|(_, task)| late(task.since)) {
            return Err(format!("initiator {}: task {itt:#x} ({:?}) hangs", self.number, task.kind));
        }
        if let Some((itt, _)) = self.functions.iter().find(|(_, function)| late(function.since)) {
            return Err(format!("initiator {}: task management function {itt:#x} hangs", self.number));
        }
        if matches!(self.standing, Standing::LoggingIn) && now >= self.next_action {
            return Err(format!("initiator {}: its login hangs", self.number));
        }
        if matches!(self.standing, Standing::Leaving) && now >= self.next_action {
            return Err(format!("initiator {}: its logout hangs", self.number));
        }
        Ok(())
    }

    fn handle_event(&mut self, now: Time, event: PeerEvent, shared: &mut Shared) -> Result<Wish, String> {
        match event {
            PeerEvent::LoggedIn { .. } => {
                // Nothing of the session before this one is left: the standards, and our register of sessions, say so.
                self.settle_orphans(shared);
                self.ear = Ear::begin(now);
                self.standing = Standing::Working;
                self.next_action = now;
                Ok(Wish::None)
            }
            PeerEvent::Completed(completed) => {
                self.handle_completed(now, &completed, shared).map(|()| Wish::None)
            }
            PeerEvent::Managed(itt, code) => {
                self.tell(|| format!("is answered {:#x} {code:?}", itt.0));
                if let Some(function) = self.functions.remove(&itt.0) {
                    self.end_function(now, function, code, shared);
                }
                Ok(Wish::None)
            }
            PeerEvent::LoggedOut(_) => Ok(Wish::Left),
            // A digest error at recovery level 0, or the target wants us gone: start afresh.
            PeerEvent::Rejected(..) | PeerEvent::Async(_) | PeerEvent::LoginRefused(_) => Ok(Wish::Break),
            PeerEvent::Asked(r2t) => {
                if let Some(write) =
                    self.tasks.get(&r2t.initiator_task_tag.0).and_then(|task| task.kind.write())
                {
                    shared.referee.note_arrival(write);
                }
                let micros = u64::try_from(self.dawdling.as_micros()).unwrap_or(0);
                let pause = Duration::from_micros(if micros > 0 { self.random.below(micros) } else { 0 });
                self.owed.push((now + pause, r2t));
                Ok(Wish::None)
            }
            PeerEvent::Pong(..) | PeerEvent::Pinged(_) | PeerEvent::Text(..) => Ok(Wish::None),
        }
    }

    fn handle_completed(
        &mut self,
        now: Time,
        completed: &Completed,
        shared: &mut Shared,
    ) -> Result<(), String> {
        let Some(task) = self.tasks.remove(&completed.itt.0) else {
            return Err(format!("initiator {}: an answer to no task", self.number));
        };
        shared.completed += 1;
        self.tell(|| format!("is answered {:#x} status {:#x}", completed.itt.0, completed.status));
        Self::check_length(now, task.since, &task.kind, completed, &mut shared.length)?;
        let oldest = self.tasks.values().map(|task| task.since).min();
        let (status, sense) = (Status(completed.status), completed.sense.as_slice());
        self.check_news(now, &Answer { status, sense, sent: task.since, oldest }, shared)
            .map_err(|foul| format!("initiator {}: {foul}", self.number))?;
        if Status(completed.status) != Status::GOOD {
            if sense.get(2).is_some_and(|key| key & 0x0f == SenseKey::UNIT_ATTENTION.0) {
                self.doubt(shared);
            }
            self.note_refusal(Status(completed.status));
            let is_miscompare =
                completed.sense.get(2).is_some_and(|key| key & 0x0f == SenseKey::MISCOMPARE.0);
            match task.kind {
                Kind::Swap { write, counter, .. } if is_miscompare => {
                    shared.referee.cancel_write(write);
                    // Somebody else moved it; look where it is.
                    self.counters[counter] = u64::MAX;
                }
                Kind::Write { .. } if is_miscompare => {
                    return Err("something came between the two halves of a WRITE AND VERIFY".to_owned());
                }
                kind => give_up(&kind, shared),
            }
            return Ok(());
        }
        shared.good += 1;
        if let Some(write) = task.kind.write() {
            shared.promises.check_write(write)?;
        }
        if task.kind.touches_blocks() {
            shared.access.check(port_of(self.number), task.since)?;
        }
        self.end_change(now, &task.kind, shared)?;
        match task.kind {
            Kind::Read { first, sent } => self.check_read(first, sent, &completed.data, shared)?,
            Kind::Verify { first, sent, stamps } => self.check_stamps(first, sent, &stamps, shared)?,
            Kind::Write { write, durable } => shared.referee.end_write(write, durable),
            Kind::Swap { write, counter, from, durable } => {
                if shared.moved[counter].contains(&from) {
                    return Err(format!("counter {counter} was moved from {from} twice: an update is lost"));
                }
                shared.moved[counter].push(from);
                self.counters[counter] = from + 1;
                shared.referee.end_write(write, durable);
            }
            Kind::SetBit { block, bit, durable } => {
                let now = shared.referee.tick();
                shared.bits.end(now, block, bit, durable);
            }
            Kind::Flush { sent } => shared.end_flush(sent),
            Kind::CacheOff { sent } => {
                shared.end_flush(sent);
                shared.cached = false;
            }
            Kind::Protect { .. }
            | Kind::Register
            | Kind::Reserve
            | Kind::Preempt { .. }
            | Kind::Access { .. }
            | Kind::Capacity
            | Kind::Tail { .. }
            | Kind::Other => {}
        }
        Ok(())
    }

    fn check_news(&mut self, now: Time, answer: &Answer<'_>, shared: &Shared) -> Result<(), String> {
        self.ear.check_length(now, answer, &shared.length.change)?;
        if shared.write_through || shared.swapping {
            return Ok(()); // Anybody may change mode parameters.
        }
        self.ear.check_mode(now, answer, &shared.promises.mode_change(self.number))
    }

    fn check_read(
        &mut self,
        first: usize,
        sent: Sent,
        data: &[u8],
        shared: &mut Shared,
    ) -> Result<(), String> {
        let stamps: Vec<u64> = data.chunks_exact(BLOCK_BYTES).map(stamp_of).collect::<Result<_, _>>()?;
        for (block, stamp) in (first..).zip(&stamps) {
            if let Some(seen) = self.seen.get_mut(block) {
                *seen = *stamp;
            } else if let Some(counter) = self.counters.get_mut(block - DATA_BLOCKS) {
                *counter = *stamp;
            }
        }
        self.check_stamps(first, sent, &stamps, shared)
    }

    fn check_stamps(
        &self,
        first: usize,
        sent: Sent,
        stamps: &[u64],
        shared: &mut Shared,
    ) -> Result<(), String> {
        shared.check_read(sent, first, stamps).map_err(|foul| format!("initiator {}: {foul}", self.number))
    }

    fn tell(&mut self, line: impl FnOnce() -> String) {
        if let Some(story) = &mut self.story {
            story.push(line());
        }
    }

    /// Sends data that the target asked for, if it is time.
    fn send_owed(&mut self, now: Time) {
        let Self { owed, peer, tasks, .. } = self;
        for (_, r2t) in owed.extract_if(.., |(at, _)| *at <= now) {
            // Whoever was told that the task is over sends nothing.
            if tasks.contains_key(&r2t.initiator_task_tag.0) {
                let end = r2t.buffer_offset + r2t.desired_bytes;
                peer.send_data(r2t.initiator_task_tag, r2t.target_transfer_tag, r2t.buffer_offset, end);
            }
        }
    }

    /// A function was answered: what it ended happens no more. Of others' tasks it surely ended those for whose data the target had asked
    /// before it was sent.
    fn end_function(
        &mut self,
        now: Time,
        function: Function,
        code: TaskManagementResponseCode,
        shared: &mut Shared,
    ) {
        if function.of_all && code == TaskManagementResponseCode::COMPLETE {
            shared.referee.give_up_arrived(function.sent);
        }
        for itt in function.aborted {
            // What the target does not know any more another function may have ended that still waits for the disk.
            let waits = code != TaskManagementResponseCode::COMPLETE
                && self.functions.values().any(|other| other.aborted.contains(&itt));
            if waits {
                continue;
            }
            if let Some(task) = self.tasks.remove(&itt) {
                self.peer.forget(TaskTag(itt));
                self.ear.miss(now);
                self.doubt(shared);
                give_up(&task.kind, shared);
            }
        }
    }

    /// It has been told of a change, or what was to tell was lost: that there was no write cache when a command was sent is no promise
    /// any more.
    fn doubt(&mut self, shared: &Shared) {
        if shared.swapping {
            self.tasks.values_mut().for_each(|task| task.kind.doubt());
        }
    }

    fn settle_orphans(&mut self, shared: &mut Shared) {
        for write in self.orphans.drain(..) {
            shared.referee.give_up_write(write);
        }
    }

    /// The next command is ours, with some task attribute.
    fn sender(&mut self) -> Sender {
        let attribute = match self.random.below(100) {
            0..2 => TaskAttribute::HeadOfQueue,
            number if number < 2 + self.habits.ordered => TaskAttribute::Ordered,
            _ => TaskAttribute::Simple,
        };
        Sender { initiator: self.number, attribute }
    }

    fn send(&mut self, now: Time, by: Sender, cdb: &[u8], data: Data, kind: Kind) {
        let attribute = match by.attribute {
            TaskAttribute::Ordered => pdu::TaskAttribute::ORDERED,
            TaskAttribute::HeadOfQueue => pdu::TaskAttribute::HEAD_OF_QUEUE,
            TaskAttribute::Simple | TaskAttribute::Aca => pdu::TaskAttribute::SIMPLE,
        };
        let cmd_sn = self.peer.cmd_sn;
        let itt = self.peer.command_with(0, cdb, data, attribute);
        self.tell(|| format!("sends {:#x} {:?} {kind:x?}", itt.0, by.attribute));
        self.tasks.insert(itt.0, Task { kind, since: now, cmd_sn });
    }

    /// Ends one task, all of ours, or everybody's.
    fn manage(&mut self, now: Time, shared: &mut Shared) {
        let all: Vec<u32> = self.tasks.keys().copied().collect();
        let (function, referenced, aborted) = match self.random.below(10) {
            // A reset would switch the write cache on again, and end write protection.
            0 if !shared.write_through && !shared.promises.protecting => {
                (TaskManagementFunction::LOGICAL_UNIT_RESET, None, all)
            }
            0 | 1 => (TaskManagementFunction::ABORT_TASK_SET, None, all),
            2 => (TaskManagementFunction::CLEAR_TASK_SET, None, all),
            3 => (TaskManagementFunction::I_T_NEXUS_RESET, None, all),
            _ => {
                let Some(itt) = (!all.is_empty()).then(|| all[self.random.index(all.len())]) else { return };
                (TaskManagementFunction::ABORT_TASK, Some(itt), vec![itt])
            }
        };
        let cmd_sn = referenced.and_then(|itt| self.tasks.get(&itt)).map_or(Sn(0), |task| task.cmd_sn);
        let itt = self.peer.manage(function, 0, referenced.map_or(TaskTag::RESERVED, TaskTag), cmd_sn);
        self.tell(|| format!("asks {:#x} {function:?} of {aborted:x?}", itt.0));
        let of_all = matches!(
            function,
            TaskManagementFunction::LOGICAL_UNIT_RESET | TaskManagementFunction::CLEAR_TASK_SET
        );
        let sent = shared.referee.tick();
        self.functions.insert(itt.0, Function { aborted, of_all, since: now, sent });
    }
}

impl Shared {
    fn end_flush(&mut self, sent: Sent) {
        self.referee.end_flush(sent);
        self.bits.end_flush(sent);
    }

    /// A read that ends now found these stamps.
    pub fn check_read(&mut self, sent: Sent, first: usize, stamps: &[u64]) -> Result<(), String> {
        let with_bits = FIRST_BITS.saturating_sub(first).min(stamps.len());
        let (stamps, values) = stamps.split_at(with_bits);
        self.referee.check_read(sent, first, stamps).map_err(|foul| foul.to_string())?;
        let now = self.referee.tick();
        let first_bits = first.max(FIRST_BITS) - FIRST_BITS;
        (first_bits..).zip(values).try_for_each(|(at, value)| self.bits.check_read(now, sent, at, *value))
    }

    /// The disk saw something.
    pub fn check_event(&mut self, now: Time, event: &Event) -> Result<(), String> {
        if matches!(event, Event::Landed(_)) {
            self.landed = now;
        }
        self.referee.check_event(event)
    }

    /// The power failed, and the blocks hold these stamps now.
    pub fn lose_power(&mut self, stamps: &[u64]) -> Result<(), String> {
        let (stamps, values) = stamps.split_at(FIRST_BITS);
        self.referee.lose_power(stamps).map_err(|foul| foul.to_string())?;
        self.bits.lose_power(values)?;
        // A counter may have gone back; what was moved since counts anew.
        for (moved, now) in self.moved.iter_mut().zip(&stamps[DATA_BLOCKS..]) {
            moved.retain(|from| from < now);
        }
        Ok(())
    }
}

fn give_up(kind: &Kind, shared: &mut Shared) {
    if let Some(write) = kind.write() {
        shared.referee.give_up_write(write);
    }
}

/// The stamp that fills a block.
pub fn stamp_of(block: &[u8]) -> Result<u64, String> {
    let words = block.as_chunks::<8>().0;
    let first = words.first().copied().unwrap_or_default();
    if words.iter().any(|word| *word != first) {
        return Err(format!("a block is torn: {:x?} and more", &block[..16]));
    }
    Ok(u64::from_le_bytes(first))
}
