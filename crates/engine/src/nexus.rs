//! Who may send commands, and what each must be told of each unit.
//!
//! Nexuses are found by the reactor and slot of their port, without a search.
//!
//! Invariant: a nexus whose slot was given to another is not found by its old name.

use crate::attention::{Attention, Attentions, Interlock};
use crate::config::LunMap;
use crate::gate::{Abroad, Pass};
use crate::reservation::Path;
use felio_hal::NexusId;
use felio_hal::meter::{LunMeter, Meter, UnitMeter};
use felio_spec::Sense;
use felio_spec::reservation::Obstacle;
use std::collections::VecDeque;
use std::sync::Arc;

/// An I_T nexus.
#[derive(Debug)]
pub(crate) struct Nexus {
    /// Its name.
    pub(crate) id: NexusId,
    /// The initiator that its port belongs to.
    pub(crate) initiator: String,
    /// Its target port, as an index into those of the target.
    pub(crate) port: usize,
    /// What it finds behind it.
    pub(crate) luns: Arc<LunMap>,
    /// The name of it that is the same when it comes back.
    pub(crate) path: Path,
    /// Slots that its commands hold, answered or not: who has others work for nothing has his share like everybody.
    pub(crate) tasks: u32,
    /// Where its commands are counted.
    pub(crate) meter: Arc<Meter>,
    /// Where those of its target port are.
    pub(crate) port_meter: Arc<Meter>,
    /// By index of the unit: where what comes to the number under which it finds it is counted.
    pub(crate) lun_meters: Vec<Option<Arc<LunMeter>>>,
    /// What it must be told, by index of the unit.
    pub(crate) attentions: Vec<Attentions>,
    /// What keeps its commands from running, by index of the unit.
    obstacles: Vec<Option<Obstacle>>,
    /// By index of the unit: at its home what was granted, at a guest what may be done.
    pub(crate) passes: Vec<Pass>,
    /// Commands at homes elsewhere that hold up later ones.
    pub(crate) abroad: Vec<Abroad>,
    /// Errors of commands that were answered before they were done, at most one for each unit.
    deferred: Vec<(u32, Sense)>,
}

impl Nexus {
    /// What is pending on a unit.
    pub(crate) fn pending(&self, unit: u32) -> Attentions {
        self.attentions.get(index(unit)).copied().unwrap_or(Attentions::NONE)
    }

    /// Where what comes to a unit is counted, if somebody asks.
    #[inline]
    pub(crate) fn lun_meter(&self, unit: u32) -> Option<&LunMeter> {
        self.lun_meters.get(index(unit))?.as_deref()
    }

    /// The pass for a unit.
    pub(crate) fn pass(&self, unit: u32) -> Pass {
        self.passes.get(index(unit)).copied().unwrap_or(Pass::NONE)
    }

    /// The pass for a unit.
    pub(crate) fn pass_mut(&mut self, unit: u32) -> Option<&mut Pass> {
        self.passes.get_mut(index(unit))
    }

    pub(crate) fn deferred(&self, unit: u32) -> Option<Sense> {
        self.deferred.iter().find(|(of, _)| *of == unit).map(|(_, sense)| *sense)
    }

    fn take_deferred(&mut self, unit: u32) -> Option<Sense> {
        let at = self.deferred.iter().position(|(of, _)| *of == unit)?;
        Some(self.deferred.swap_remove(at).1)
    }

    /// What is pending on a unit.
    pub(crate) fn pending_mut(&mut self, unit: u32) -> Option<&mut Attentions> {
        self.attentions.get_mut(index(unit))
    }

    /// Which reservation of a unit stands in the way.
    pub(crate) fn obstacle(&self, unit: u32) -> Option<Obstacle> {
        self.obstacles.get(index(unit)).copied().flatten()
    }

    /// What it finds is not what it was: it is told of each unit what is new. Of one that was not there before it knows nothing.
    pub(crate) fn notice(&mut self, news: Vec<(u32, Attention)>) {
        for (unit, attention) in news {
            if attention == Attention::PowerOn {
                self.deferred.retain(|(of, _)| *of != unit);
            }
            if let Some(pending) = self.pending_mut(unit) {
                if attention == Attention::PowerOn {
                    *pending = Attentions::NONE;
                }
                pending.insert(attention);
            }
        }
    }

    /// Another reservation of a unit stands in the way, or none.
    pub(crate) fn set_obstacle(&mut self, unit: u32, obstacle: Option<Obstacle>) {
        if let Some(at) = self.obstacles.get_mut(index(unit)) {
            *at = obstacle;
        }
    }
}

/// What is known of a nexus that begins.
pub(crate) struct Newcomer<'a> {
    pub(crate) initiator: &'a str,
    pub(crate) port: usize,
    pub(crate) luns: Arc<LunMap>,
    pub(crate) path: Path,
    /// By index of the unit.
    pub(crate) obstacles: Vec<Option<Obstacle>>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) port_meter: Arc<Meter>,
    pub(crate) lun_meters: Vec<Option<Arc<LunMeter>>>,
}

/// All nexuses.
#[derive(Debug, Default)]
pub(crate) struct Nexuses {
    seats: Vec<Vec<Option<Nexus>>>,
    count: u32,
    /// Initiator ports that were here before, and at which target port, the latest last.
    known: VecDeque<(String, usize)>,
    /// Units whose passes hold no more.
    revoked: Vec<u32>,
    /// By index of the unit: where conditions are counted, at its home.
    meters: Vec<Option<Arc<UnitMeter>>>,
}

/// How many initiator ports are remembered after they have gone; a forgotten one is told of power on instead.
const KNOWN_MAX: usize = 1024;

/// The runtime numbers its ports densely; more than this many on one reactor is not a number but a mistake.
const SLOTS_MAX: u32 = 1 << 20;

impl Nexuses {
    /// A nexus exists from now on.
    //= SAM-5 "Unit attention conditions": an initiator port that comes back is told of the nexus loss, not of power on.
    pub(crate) fn insert(&mut self, id: NexusId, initiator_port: &str, newcomer: Newcomer<'_>) {
        let Newcomer { initiator, port, luns, path, obstacles, meter, port_meter, lun_meters } = newcomer;
        assert!(id.slot < SLOTS_MAX, "ports are numbered densely");
        let mut pending = Attentions::NONE;
        pending.insert(self.acquaint(initiator_port, port));
        let (reactor, slot) = (usize::from(id.reactor), index(id.slot));
        if self.seats.len() <= reactor {
            self.seats.resize_with(reactor + 1, Vec::new);
        }
        let seats = &mut self.seats[reactor];
        if seats.len() <= slot {
            seats.resize_with(slot + 1, || None);
        }
        assert!(seats[slot].is_none(), "a port's slot has one nexus at a time");
        self.count += 1;
        for mapping in luns.iter() {
            self.count_established(mapping.unit, 1);
        }
        let seats = &mut self.seats[reactor];
        let units = obstacles.len();
        seats[slot] = Some(Nexus {
            id,
            initiator: initiator.to_owned(),
            port,
            luns,
            path,
            tasks: 0,
            meter,
            port_meter,
            lun_meters,
            attentions: vec![pending; units],
            obstacles,
            passes: vec![Pass::NONE; units],
            abroad: Vec::new(),
            deferred: Vec::new(),
        });
    }

    /// A unit has taken a place: nobody knows anything of it.
    pub(crate) fn welcome(&mut self, unit: u32, obstacle: impl Fn(NexusId, &Path) -> Option<Obstacle>) {
        for nexus in self.iter_mut() {
            let units = nexus.attentions.len().max(index(unit) + 1);
            nexus.attentions.resize(units, Attentions::NONE);
            nexus.obstacles.resize(units, None);
            nexus.passes.resize(units, Pass::NONE);
            nexus.attentions[index(unit)] = Attentions::NONE;
            nexus.passes[index(unit)] = Pass::NONE;
            nexus.obstacles[index(unit)] = obstacle(nexus.id, &nexus.path);
            nexus.deferred.retain(|(of, _)| *of != unit);
        }
    }

    /// Conditions of a unit are counted there from now on.
    pub(crate) fn count_for(&mut self, unit: u32, meter: Option<Arc<UnitMeter>>) {
        let units = self.meters.len().max(index(unit) + 1);
        self.meters.resize(units, None);
        self.meters[index(unit)] = meter;
    }

    /// Conditions of a unit were established for so many.
    pub(crate) fn count_established(&self, unit: u32, nexuses: u64) {
        if let Some(meter) = self.meter(unit) {
            meter.attentions.add(nexuses);
        }
    }

    fn meter(&self, unit: u32) -> Option<&UnitMeter> {
        self.meters.get(index(unit))?.as_deref()
    }

    /// A nexus is gone.
    pub(crate) fn remove(&mut self, id: NexusId) -> Option<Nexus> {
        let nexus = self.seat(id)?.take_if(|nexus| nexus.id == id)?;
        self.count -= 1;
        Some(nexus)
    }

    /// Forgets who was here before.
    pub(crate) fn forget(&mut self) {
        self.known.clear();
    }

    /// How many there are.
    pub(crate) const fn count(&self) -> u32 {
        self.count
    }

    /// A nexus, while it exists.
    pub(crate) fn get(&self, id: NexusId) -> Option<&Nexus> {
        let seat = self.seats.get(usize::from(id.reactor))?.get(index(id.slot))?;
        seat.as_ref().filter(|nexus| nexus.id == id)
    }

    /// A nexus, while it exists.
    pub(crate) fn get_mut(&mut self, id: NexusId) -> Option<&mut Nexus> {
        self.seat(id)?.as_mut().filter(|nexus| nexus.id == id)
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Nexus> {
        self.seats.iter().flatten().flatten()
    }

    /// All of them.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Nexus> {
        self.seats.iter_mut().flatten().flatten()
    }

    /// The initiator ports that have been here.
    pub(crate) fn known(&self) -> impl Iterator<Item = &str> {
        self.known.iter().map(|(initiator_port, _)| initiator_port.as_str())
    }

    /// Establishes a condition of a unit for the nexus of that name, while it exists.
    pub(crate) fn attend_path(&mut self, unit: u32, attention: Attention, path: &Path) {
        self.establish(unit, attention, |nexus| nexus.path == *path);
    }

    /// What a nexus will be told of a unit next.
    pub(crate) fn pending(&mut self, id: NexusId, unit: u32) -> Option<Sense> {
        let nexus = self.get_mut(id)?;
        nexus.pending(unit).first().map(Attention::sense).or_else(|| nexus.deferred(unit))
    }

    /// How many things a nexus will be told of a unit.
    pub(crate) fn pending_count(&mut self, id: NexusId, unit: u32) -> u32 {
        let Some(nexus) = self.get_mut(id) else { return 0 };
        nexus.pending(unit).len() + u32::from(nexus.deferred(unit).is_some())
    }

    /// What a nexus is told of a unit next: a unit attention, which stays pending where `interlock` says so, or the error of a
    /// command that was answered before it was done.
    pub(crate) fn report(&mut self, id: NexusId, unit: u32, interlock: Interlock) -> Option<Sense> {
        let nexus = self.get_mut(id)?;
        let Some(attention) = nexus.pending(unit).first() else { return nexus.take_deferred(unit) };
        let pending = nexus.pending_mut(unit)?;
        if interlock == Interlock::No {
            pending.remove(attention);
            //= SAM-5 "Unit attention condition": that the inventory has changed is told once, by whichever unit
            if attention == Attention::LunsChanged {
                self.tell_inventory(id);
            }
        }
        if let Some(meter) = self.meter(unit) {
            meter.attentions_told.add(1);
        }
        Some(attention.sense())
    }

    /// A command of the nexus has failed after it was answered. One such error is kept for a unit, the oldest: what it says
    /// holds for all that was not durable by then.
    //= SPC-4 "Deferred errors"
    pub(crate) fn defer(&mut self, id: NexusId, unit: u32, sense: Sense) {
        let Some(nexus) = self.get_mut(id) else { return };
        if nexus.deferred(unit).is_none() {
            nexus.deferred.push((unit, Sense { is_deferred: true, ..sense }));
        }
    }

    /// A nexus knows which units there are.
    pub(crate) fn tell_inventory(&mut self, id: NexusId) {
        let Some(nexus) = self.get_mut(id) else { return };
        for pending in &mut nexus.attentions {
            pending.remove(Attention::LunsChanged);
        }
    }

    /// Establishes a condition of a unit for every nexus that `concerned` picks.
    pub(crate) fn attend(&mut self, unit: u32, attention: Attention, concerned: impl Fn(NexusId) -> bool) {
        self.establish(unit, attention, |nexus| concerned(nexus.id));
    }

    /// Where there is something to be told, something has changed: no pass holds any more.
    fn establish(&mut self, unit: u32, attention: Attention, concerned: impl Fn(&Nexus) -> bool) {
        let (mut passes, mut told) = (false, 0);
        for nexus in self.seats.iter_mut().flatten().flatten() {
            passes |= nexus.pass(unit) != Pass::NONE;
            if concerned(nexus)
                && let Some(pending) = nexus.pending_mut(unit)
            {
                pending.insert(attention);
                told += 1;
            }
        }
        self.count_established(unit, told);
        if passes && !self.revoked.contains(&unit) {
            self.revoked.push(unit);
        }
    }

    /// Whether there are units whose passes must become void.
    pub(crate) const fn has_revoked(&self) -> bool {
        !self.revoked.is_empty()
    }

    /// The next unit whose passes must become void.
    pub(crate) fn poll_revoked(&mut self) -> Option<u32> {
        self.revoked.pop()
    }

    /// Takes back all passes for a unit. Whether there were any.
    pub(crate) fn void(&mut self, unit: u32) -> bool {
        let passes = self.seats.iter_mut().flatten().flatten().filter_map(|nexus| nexus.pass_mut(unit));
        passes.filter_map(|pass| (core::mem::take(pass) != Pass::NONE).then_some(())).count() > 0
    }

    fn seat(&mut self, id: NexusId) -> Option<&mut Option<Nexus>> {
        self.seats.get_mut(usize::from(id.reactor))?.get_mut(index(id.slot))
    }

    fn acquaint(&mut self, initiator_port: &str, port: usize) -> Attention {
        if self.known.iter().any(|(name, at)| name == initiator_port && *at == port) {
            return Attention::NexusLoss;
        }
        if self.known.len() == KNOWN_MAX {
            self.known.pop_front();
        }
        self.known.push_back((initiator_port.to_owned(), port));
        Attention::PowerOn
    }
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
