//! The engine: events in, decisions out.
//!
//! This file is the surface: what the runtime calls. `arrival` checks commands and admits them to the task set,
//! `progress` drives them to their end, `management` ends them early.
//!
//! Invariant: when a `handle_*` call returns, every task that could go on has gone on.

use crate::attention::Attention;
use crate::config::TargetConfig;
use crate::copy::{self, Copies};
use crate::gate::Peers;
use crate::management::{Functions, is_given_up};
use crate::metering::Tally;
use crate::nexus::{Newcomer, Nexuses};
use crate::reservation::Path;
use crate::table::Table;
use crate::unit::Unit;
use crate::writer::Writer;
use core::time::Duration;
use felio_hal::meter::{Meter, Meters};
use felio_hal::port::{Login, LoginKind};
use felio_hal::store::Space;
use felio_hal::{Buf, NexusId, Pool, PortRequest, StoreId, Submission, TaskId, Time};
use std::collections::VecDeque;
use std::sync::Arc;

/// How often starved tasks look for a buffer when nothing else happens: buffers come home without a word to us.
const STARVED_RETRY: Duration = Duration::from_millis(1);

/// The device server of one reactor.
#[derive(Debug)]
pub struct Engine {
    pub(crate) target: Arc<TargetConfig>,
    pub(crate) reactor: u16,
    /// When it was called last.
    pub(crate) now: Time,
    /// All units, in the order of the configuration: those whose home is here, and those of which this engine is a guest.
    pub(crate) units: Vec<Unit>,
    pub(crate) table: Table,
    pub(crate) nexuses: Nexuses,
    pub(crate) functions: Functions,
    /// Tasks that were ended while an operation was under way, and until when it is waited for; the earliest first.
    pub(crate) doomed: VecDeque<(Time, TaskId)>,
    /// Tasks that want a buffer, in the order in which they get one.
    pub(crate) starved: VecDeque<TaskId>,
    pub(crate) starved_retry: Time,
    /// When transitions of port groups end, and of which unit.
    pub(crate) transitions: Vec<(Time, u32)>,
    /// When overhauls are to be driven on, and of which unit.
    pub(crate) overhauls: Vec<(Time, u32)>,
    /// Units where something has ended that others waited for.
    pub(crate) unsettled: Vec<u32>,
    /// Copies that initiators asked for.
    pub(crate) copies: Copies,
    /// Data that tasks of other reactors solicited from it.
    pub(crate) data_out: VecDeque<(TaskId, Buf)>,
    /// Units where a command of a nexus has failed, and others end for it.
    pub(crate) faults: Vec<(u32, NexusId)>,
    /// Parameter data under construction.
    pub(crate) writer: Writer,
    pub(crate) requests: VecDeque<(NexusId, PortRequest)>,
    pub(crate) submissions: VecDeque<Submission>,
    pub(crate) peers: Peers,
    /// What no meter has heard of yet.
    pub(crate) tally: Tally,
}

impl Engine {
    /// Serves the units of `target`, as the home of those whose home is `reactor` and as a guest of the others, with at most
    /// `tasks_max` commands at a time.
    #[must_use]
    pub fn new(target: Arc<TargetConfig>, reactor: u16, tasks_max: u32) -> Self {
        let units: Vec<Unit> = target.units.iter().map(|config| Unit::at(config, reactor)).collect();
        let tasks = usize::try_from(tasks_max).unwrap_or(0);
        let mut nexuses = Nexuses::default();
        for (at, unit) in (0u32..).zip(&units) {
            nexuses.count_for(at, unit.meter_at_home());
        }
        let resumed = (0u32..).zip(&units).filter(|(_, unit)| unit.condition.is_busy());
        Self {
            overhauls: resumed.map(|(at, _)| (Time(0), at)).collect(),
            table: Table::new(reactor, tasks_max),
            nexuses,
            functions: Functions::default(),
            doomed: VecDeque::new(),
            starved: VecDeque::with_capacity(tasks),
            starved_retry: Time(0),
            transitions: Vec::new(),
            unsettled: Vec::with_capacity(units.len()),
            copies: Copies::new(reactor, target.token_seed, copy::other_homes(&target, reactor)),
            data_out: VecDeque::new(),
            faults: Vec::new(),
            writer: Writer::new(),
            requests: VecDeque::with_capacity(tasks),
            submissions: VecDeque::with_capacity(tasks + units.len()),
            peers: Peers::default(),
            tally: Tally::NONE,
            target,
            reactor,
            now: Time(0),
            units,
        }
    }

    /// A nexus exists from now on, whose commands are counted by `meters`; the engines of all reactors must be told. A discovery session
    /// has no nexus.
    pub fn handle_login(&mut self, _now: Time, nexus: NexusId, login: &Login, meters: &Meters<Meter>) {
        if login.kind == LoginKind::Normal {
            // Whose port is gone already will soon be gone, too; until then there is nothing for it.
            let port = self.target.port(&login.target, login.target_port_tag);
            let config = port.map(|port| &self.target.ports[port]);
            let path = Path::new(&login.initiator_port, config.map_or(0, |port| port.relative_port));
            let obstacles: Vec<_> =
                self.units.iter().map(|unit| unit.reservations.obstacle(nexus, &path)).collect();
            let luns = config.map(|port| Arc::clone(port.luns_for(&login.initiator))).unwrap_or_default();
            let port_meter = config.map(|port| port.meters.of(self.reactor)).unwrap_or_default();
            let port = port.unwrap_or(0);
            let (meter, lun_meters) = (meters.of(self.reactor), luns.meters_of(self.reactor));
            let initiator = &login.initiator;
            let newcomer = Newcomer { initiator, port, luns, path, obstacles, meter, port_meter, lun_meters };
            self.nexuses.insert(nexus, &login.initiator_port, newcomer);
        }
    }

    /// The time of [`Engine::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, now: Time, pool: &mut Pool) {
        self.now = now;
        self.give_up_starved(now, pool);
        self.give_up_doomed(now);
        self.end_transitions(now);
        self.retry_overhauls(now, pool);
        self.copies.handle_timeout(now);
        self.settle(now, pool);
    }

    /// The store queue had no room: the submission comes back, to be polled again first.
    pub fn unsubmit(&mut self, submission: Submission) {
        self.submissions.push_front(submission);
    }

    /// The next answer or wish for a port.
    #[must_use]
    #[inline]
    pub fn poll_request(&mut self) -> Option<(NexusId, PortRequest)> {
        self.tell_meters();
        // Before an initiator hears of a change, every guest has.
        if self.peers.voiding > 0 { None } else { self.requests.pop_front() }
    }

    /// The next operation for a store.
    #[must_use]
    #[inline]
    pub fn poll_submission(&mut self) -> Option<Submission> {
        self.submissions.pop_front()
    }

    /// When [`Engine::handle_timeout`] wants to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        let starved = (!self.starved.is_empty()).then_some(self.starved_retry);
        let overhauls = self.overhauls.iter().map(|(time, _)| *time).min();
        let times = [starved, self.doomed_until(), self.next_transition(), overhauls, self.copies.deadline()];
        times.into_iter().flatten().min()
    }

    /// Whether there is no task, answered or not.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.table.is_empty() && self.functions.is_empty() && self.peers.voiding == 0 && self.copies.is_idle()
    }

    /// Whether all that there is are operations that nobody waits for any longer: they may never come home.
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        self.functions.is_empty()
            && self.peers.voiding == 0
            && self.table.iter().all(|(_, task)| is_given_up(task))
    }

    /// Whether an operation on this store hangs.
    #[must_use]
    pub fn is_fenced(&self, store: StoreId) -> bool {
        self.units.iter().any(|unit| unit.config.store == store && unit.is_fenced())
    }

    /// Whether a task of this nexus is still under way, be it only in a store: until then a session of the same initiator port
    /// must not begin, for what it writes could be overwritten by what it thinks lost. Not for ever: where an operation
    /// hangs, the unit is fenced instead.
    #[must_use]
    pub fn holds(&self, nexus: NexusId) -> bool {
        self.table.iter().any(|(_, task)| task.nexus == nexus && !is_given_up(task))
    }

    /// Lets go on what can go on, until nothing can.
    #[inline]
    pub(crate) fn settle(&mut self, now: Time, pool: &mut Pool) {
        if !self.is_settled() {
            self.settle_all(now, pool);
        }
    }

    /// Whether nothing happened but to the task at hand: after nearly all commands.
    fn is_settled(&self) -> bool {
        self.starved.is_empty()
            && self.faults.is_empty()
            && self.unsettled.is_empty()
            && self.copies.is_still()
            && !self.copies.tokens.has_news()
            && self.peers.promises.is_empty()
            && !self.nexuses.has_revoked()
    }

    fn settle_all(&mut self, now: Time, pool: &mut Pool) {
        loop {
            if !self.starved.is_empty() {
                self.feed(now, pool);
            }
            loop {
                while let Some((unit, nexus)) = self.faults.pop() {
                    self.abort_rest(now, unit, nexus, pool);
                }
                let Some(unit) = self.unsettled.pop() else { break };
                self.settle_unit(now, unit, pool);
            }
            if self.copies.is_still() {
                break;
            }
            self.drive_copies(now, pool);
        }
        if self.copies.tokens.has_news() {
            self.tell_of_tokens();
        }
        if !self.starved.is_empty() {
            self.starved_retry = now + STARVED_RETRY;
        }
        if !self.peers.promises.is_empty() {
            self.keep_promises();
        }
        while let Some(unit) = self.nexuses.poll_revoked() {
            self.void_passes(unit);
        }
    }

    /// Lets go on what can go on in a unit. Once through: what one begins or ends here cannot let go on what stands before
    /// it, but by way of `unsettled`.
    fn settle_unit(&mut self, now: Time, unit: u32, pool: &mut Pool) {
        let mut at = self.units[index(unit)].tasks.first();
        while let Some(slot) = self.units[index(unit)].tasks.next_answer(&self.table, at) {
            at = self.table.links(slot).next;
            self.finish_held(slot);
        }
        at = self.units[index(unit)].tasks.first();
        while self.faults.is_empty()
            && let Some(slot) = self.units[index(unit)].tasks.next(&mut self.table, at)
        {
            at = self.table.links(slot).next;
            self.begin_dormant(now, slot, pool);
        }
        if !self.faults.is_empty() {
            self.unsettle(unit);
        }
    }

    /// Something of the unit has ended: others may have waited for it.
    pub(crate) fn unsettle(&mut self, unit: u32) {
        if self.units[index(unit)].tasks.has_waiting() && !self.unsettled.contains(&unit) {
            self.unsettled.push(unit);
        }
    }

    /// A unit's store tells how much space it uses and has left; every nexus learns of a threshold that is reached.
    pub(crate) fn note_space(&mut self, at: u32, space: Space) {
        let unit = &mut self.units[index(at)];
        if unit.thin.note(space, unit.mode.provisioning(), &unit.geometry) {
            self.nexuses.attend(at, Attention::ThresholdReached, |_| true);
        }
    }

    /// A unit's store tells its size; every nexus learns of a change.
    pub(crate) fn resize(&mut self, unit: u32, bytes: u64) {
        let geometry = &mut self.units[index(unit)].geometry;
        let blocks = bytes / u64::from(geometry.block_bytes);
        if geometry.blocks != blocks {
            geometry.blocks = blocks;
            self.nexuses.attend(unit, Attention::CapacityChanged, |_| true);
        }
    }
}

/// A unit's place in memory.
pub(crate) fn index(unit: u32) -> usize {
    usize::try_from(unit).unwrap_or(usize::MAX)
}
