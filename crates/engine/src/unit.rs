//! A unit: its configuration, its blocks, its mode parameters, its state.
//!
//! What is pending for each nexus is in `nexus`, the tasks are in `table` and `order`.

use crate::alua::PortGroups;
use crate::attention::Attention;
use crate::config::UnitConfig;
use crate::counters::Counters;
use crate::gate::{Gate, Keeper, Role, Snapshot};
use crate::geometry::Geometry;
use crate::order::TaskSet;
use crate::overhaul::Condition;
use crate::parameters::buffer::Buffers;
use crate::parameters::identifying::{self, Identifying};
use crate::parameters::log::Notes;
use crate::parameters::mode::{ModePages, Reporting, Selected, saved};
use crate::parameters::timestamp::Clock;
use crate::power::{Power, Rest, Rule};
use crate::reservation::Reservations;
use crate::selftest::{Kind, Results};
use crate::thin::Thin;
use crate::work::{Desk, Generations};
use core::cell::Cell;
use core::time::Duration;
use felio_hal::meter::UnitMeter;
use felio_hal::state::{Save, Saved};
use felio_hal::store::{Durability, WriteCache};
use felio_hal::{NexusId, Pool, TaskId, Time};
use felio_spec::Row;
use felio_spec::cdb::Medium;
use felio_spec::log::self_test_results;
use felio_spec::sense::{Sense, code};
use std::sync::Arc;

/// A unit on its home reactor.
#[derive(Debug)]
pub struct Unit {
    /// What the operator decided.
    pub config: UnitConfig,
    /// Its blocks.
    pub geometry: Geometry,
    /// Its mode parameters.
    pub mode: ModePages,
    /// Through which ports it can be used.
    pub(crate) groups: PortGroups,
    /// What it has done.
    pub counters: Counters,
    /// What others are told of what it has done here.
    pub(crate) meter: Arc<UnitMeter>,
    /// What initiators have noted in its log.
    pub(crate) notes: Notes,
    /// What initiators call it.
    pub(crate) identifying: Identifying,
    /// What time it is.
    pub(crate) clock: Clock,
    /// What initiators have written to be read again.
    pub(crate) buffers: Buffers,
    /// What its self-tests have found.
    pub(crate) self_tests: Results,
    /// Whether its medium can be accessed.
    pub(crate) power: Power,
    /// How deeply it sleeps.
    pub(crate) rest: Rest,
    /// Who wants the medium to stay.
    //= SPC-4 "PREVENT ALLOW MEDIUM REMOVAL command": for each nexus, until it allows the removal, is lost, or a reset
    pub(crate) preventing: Vec<NexusId>,
    /// By which its ORWRITE commands are judged. Changed by a command that runs alone.
    pub(crate) generations: Cell<Generations>,
    /// Who may do what.
    pub(crate) reservations: Reservations,
    /// How its blocks are, as a whole.
    pub(crate) condition: Condition,
    /// There are ROD tokens that a write to the unit may cancel.
    pub(crate) has_rods: bool,
    /// What a write must promise that asks for nothing special.
    durability: Durability,
    /// Tasks that came while there was no write cache, and that are answered as if there still was none.
    careful: Vec<TaskId>,
    /// Its tasks.
    pub(crate) tasks: TaskSet,
    /// Operations on its blocks that nobody waits for any longer and that are not home: until they are, nobody else touches
    /// the medium, so that no command is overtaken by one that its initiator thinks ended.
    pub(crate) hanging: u32,
    /// What is known of its space.
    pub(crate) thin: Thin,
    /// When its size was last asked for, and whether the answer is still out.
    pub(crate) probe: Probe,
    /// Whether its home is here.
    pub(crate) role: Role,
}

/// Looking whether the store was resized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probe {
    /// Not before then.
    Idle {
        /// When to look again, if commands arrive.
        after: Time,
    },
    /// The store was asked.
    Asked,
}

/// How often we look whether a store was resized, while commands arrive.
pub(crate) const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// What a parameter list asks for. What can fail has been checked; it takes effect once it is saved, where it is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    Nothing,
    /// Mode parameters.
    Mode(Box<Selected>),
    /// The device's identifying information.
    Identifying(Box<Identifying>),
    /// The clock: milliseconds since 1970.
    Timestamp(u64),
    /// What the nexus wants to read again.
    Echo(Box<[u8]>),
    /// A self-test begins.
    SelfTest(Kind),
    /// The self-test in the background ends.
    AbortSelfTest,
    /// Log parameters: done, but the other nexuses must be told.
    LogParameters,
}

impl Change {
    /// The document that must be kept before the change takes effect.
    pub(crate) fn document(&self) -> Option<Save> {
        match self {
            Self::Mode(selected) => selected.document(),
            Self::Identifying(information) => Some(information.document()),
            Self::Nothing
            | Self::Timestamp(_)
            | Self::Echo(_)
            | Self::SelfTest(_)
            | Self::AbortSelfTest
            | Self::LogParameters => None,
        }
    }
}

/// What follows when a change has taken effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Effect {
    /// What the other nexuses must be told.
    pub(crate) others: Option<Attention>,
    /// What every nexus must be told.
    pub(crate) all: Option<Attention>,
    /// What is in the cache must become durable.
    pub(crate) flush: bool,
}

impl Effect {
    const fn told_to_others(attention: Attention) -> Self {
        Self { others: Some(attention), all: None, flush: false }
    }
}

/// How the state of a unit shall change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Not at all.
    Nothing,
    /// The medium shall be accessible.
    Start,
    /// It shall not; cached writes are made durable first.
    Stop,
    /// It shall not, and cached writes may stay where they are.
    StopWithoutFlush,
    /// There shall be a medium.
    Load,
    /// There shall be none; cached writes are made durable first.
    Eject,
    /// The medium shall be accessible, and the unit in the condition that this leads to.
    Rest(Rule),
    /// The nexus wants the medium to stay.
    Prevent,
    /// It does so no more.
    Allow,
    /// The nexus wants the unit for itself.
    Reserve,
    /// It does so no more.
    Release,
}

impl Unit {
    /// A unit as it is after power on.
    #[must_use]
    pub fn new(config: UnitConfig) -> Self {
        let geometry = Geometry::new(&config);
        let mode = ModePages::new(&config.limits, config.saved.get(saved::PART));
        let groups = PortGroups::new(&config.access, &config.saved);
        let reservations = Reservations::new(&config.saved);
        let identifying = Identifying::new(config.saved.get(identifying::PART));
        let probe = Probe::Idle { after: Time(0) + PROBE_INTERVAL };
        let mut unit = Self {
            condition: Condition::of(&config.saved),
            config,
            geometry,
            mode,
            groups,
            counters: Counters::default(),
            meter: Arc::default(),
            notes: Notes::default(),
            identifying,
            clock: Clock::Host,
            buffers: Buffers::default(),
            self_tests: Results::default(),
            power: Power::Active,
            rest: Rest::new(),
            preventing: Vec::new(),
            generations: Cell::new(Generations::NEW),
            reservations,
            has_rods: false,
            durability: Durability::Cached,
            careful: Vec::new(),
            tasks: TaskSet::new(),
            hanging: 0,
            thin: Thin::default(),
            probe,
            role: Role::Home(Keeper::default()),
        };
        unit.follow_mode();
        unit
    }

    /// Mode parameters may have changed: what else follows them does.
    pub(crate) fn follow_mode(&mut self) {
        self.tasks.set_rules(self.mode.rules());
        self.decide_durability();
    }

    /// The store has a write cache from now on: who came before does not know it.
    //= SBC-3 "Caching mode page": while WCE=0, a write is on the medium before it is answered
    pub(crate) fn be_careful(&mut self, with: Vec<TaskId>) {
        self.careful.extend(with);
        self.decide_durability();
    }

    /// Looks whether some of those are still there.
    pub(crate) fn note_present(&mut self, is_there: impl Fn(TaskId) -> bool) {
        if !self.careful.is_empty() {
            self.careful.retain(|task| is_there(*task));
            self.decide_durability();
        }
    }

    //= SBC-3 "Caching mode page": while WCE=0, a write is on the medium before it is answered
    fn decide_durability(&mut self) {
        let promised = !self.is_cached(); // By the store, for every write.
        let may_wait = self.mode.write_cache_enabled() && self.careful.is_empty();
        self.durability = if promised || may_wait { Durability::Cached } else { Durability::Durable };
    }

    /// A change that a nexus asked for takes effect.
    pub(crate) fn apply(&mut self, change: Change, nexus: NexusId, now: Time) -> Effect {
        match change {
            Change::Nothing | Change::SelfTest(_) => Effect::default(),
            Change::AbortSelfTest => {
                self.self_tests.end(self_test_results::ABORTED);
                Effect::default()
            }
            Change::LogParameters => Effect::told_to_others(Attention::LogParametersChanged),
            Change::Identifying(information) => {
                self.identifying = *information;
                Effect::told_to_others(Attention::IdentifierChanged)
            }
            Change::Timestamp(millis) => {
                self.clock = Clock::Set { millis, at: now };
                Effect::told_to_others(Attention::TimestampChanged)
            }
            Change::Echo(bytes) => {
                self.buffers.write_echo(nexus, bytes);
                Effect::default()
            }
            Change::Mode(selected) => self.apply_mode(&selected),
        }
    }

    //= SBC-3 "Caching mode page": whoever turns WCE off may take all that was written before for durable
    fn apply_mode(&mut self, selected: &Selected) -> Effect {
        let was_cached = self.mode.write_cache_enabled();
        let before = self.mode.false_exception();
        let others = self.mode.is_changed_by(selected).then_some(Attention::ModeParametersChanged);
        self.mode.apply(selected);
        self.follow_mode();
        let now = self.mode.false_exception();
        let raised = now == Some(Reporting::Attention) && now != before;
        Effect {
            others,
            all: raised.then_some(Attention::FailurePredicted),
            flush: was_cached && !self.mode.write_cache_enabled(),
        }
    }

    /// A unit whose home is elsewhere, and with it everything that was saved.
    pub(crate) fn guest(config: UnitConfig) -> Self {
        let config = UnitConfig { saved: Saved::default(), ..config };
        Self { role: Role::Guest(Gate::default()), ..Self::new(config) }
    }

    /// The unit as guests need to know it.
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot { geometry: self.geometry, mode: self.mode.clone(), groups: self.groups.clone() }
    }

    /// The unit is as its home says.
    pub(crate) fn adopt(&mut self, snapshot: Snapshot) {
        let Snapshot { geometry, mode, groups } = snapshot;
        (self.geometry, self.mode, self.groups) = (geometry, mode, groups);
        self.follow_mode();
    }

    /// What a step of a command on this unit may use.
    pub(crate) fn desk<'a>(&'a self, pool: &'a mut Pool) -> Desk<'a> {
        Desk { unit: self, geometry: &self.geometry, durability: self.durability, pool }
    }

    /// Whether initiators can be told of space that runs out.
    pub(crate) fn has_thresholds(&self) -> bool {
        self.config.limits.space && self.geometry.unmap.is_some()
    }

    /// Whether written blocks may still sit in a volatile cache.
    pub(crate) fn is_cached(&self) -> bool {
        self.geometry.write_cache == WriteCache::On
    }

    /// Whether a command may run as far as the medium is concerned.
    #[inline]
    pub(crate) fn check_medium(&self, row: &Row) -> Result<(), Sense> {
        self.condition.check(row)?;
        match (row.medium, self.power) {
            (Medium::Untouched, _) => Ok(()),
            _ if self.is_fenced() => Err(code::LU_NOT_READY_BECOMING_READY.into()),
            (_, Power::Stopped) => Err(code::LU_NOT_READY_INITIALIZING.into()),
            (_, Power::Ejected) => Err(code::MEDIUM_NOT_PRESENT.into()),
            (Medium::Read, Power::Active) => Ok(()),
            (Medium::Write, Power::Active) => self.check_writable(),
        }
    }

    /// Whether operations hang.
    pub(crate) const fn is_fenced(&self) -> bool {
        self.hanging > 0
    }

    //= SBC-3 "Write protection"
    pub(crate) fn check_writable(&self) -> Result<(), Sense> {
        if self.config.read_only || !self.config.limits.writable {
            return Err(code::WRITE_PROTECTED.into());
        }
        if self.mode.software_write_protect() {
            return Err(code::SOFTWARE_WRITE_PROTECTED.into());
        }
        Ok(())
    }

    /// Back to how it was after power on, but for its blocks.
    //= SAM-5 "Logical unit reset"
    pub(crate) fn reset(&mut self) {
        if matches!(self.role, Role::Home(_)) {
            self.meter.resets.add(1);
        }
        self.mode.reset();
        self.follow_mode();
        self.tasks.end_allegiances(|_| true);
        self.self_tests.end(self_test_results::INTERRUPTED);
        self.preventing.clear();
        self.reservations.reset();
        self.rest.decide(Rule::Timers);
        if self.power == Power::Stopped {
            self.power = Power::Active; // What was ejected does not come back by itself.
        }
    }
}
