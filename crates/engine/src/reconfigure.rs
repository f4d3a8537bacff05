//! The operator changes the configuration while initiators work.
//!
//! Every engine is given the same new configuration. A unit keeps its place and its state as long as its `birth` is the same; what may
//! change of it meanwhile is who may write, who it says it is, its ports, and its store. A unit that nobody finds any more goes on with what it has
//! begun; once it [`is quiet`](Engine::is_quiet) at every engine its place may be given to another.
//!
//! A unit's store may be another in the new configuration while `swap` keeps the unit closed.
//!
//! The driver's part: a new unit is known to every engine before any initiator finds it (two configurations, one after the other),
//! for engines name units by their places.

use crate::attention::Attention;
use crate::config::{LunMap, TargetConfig, UnitConfig};
use crate::copy;
use crate::engine::{Engine, index};
use crate::geometry::Geometry;
use crate::unit::{Probe, Unit};
use felio_hal::store::Limits;
use felio_hal::{NexusId, Pool, Time};
use felio_spec::Lun;
use std::sync::Arc;

impl Engine {
    /// The configuration is this one from now on.
    pub fn handle_config(&mut self, now: Time, target: Arc<TargetConfig>, pool: &mut Pool) {
        self.tell_meters();
        let before = Arc::clone(&self.target);
        for (at, config) in (0u32..).zip(&target.units) {
            if !before.units.get(index(at)).is_some_and(|old| Arc::ptr_eq(old, config)) {
                self.place_unit(now, at, config);
            }
        }
        self.copies.tokens.set_peers(copy::other_homes(&target, self.reactor));
        self.target = target;
        self.seat_nexuses(&before);
        self.settle(now, pool);
    }

    /// Whether nothing of a unit is under way here.
    #[must_use]
    pub fn is_quiet(&self, unit: u32) -> bool {
        let Some(of) = self.units.get(index(unit)) else { return true };
        let asks = of.probe == Probe::Asked || of.self_tests.running.is_some() || of.condition.is_busy();
        !asks
            && !of.is_fenced()
            && !self.copies.is_about(unit)
            && self.table.iter().all(|(_, task)| task.unit != unit)
    }

    /// The reactor that executes the commands to an address, where there is a unit.
    #[must_use]
    pub fn home_of(&self, nexus: NexusId, lun: Lun) -> Option<u16> {
        let mapping = self.nexuses.get(nexus)?.luns.find(lun)?;
        Some(self.units[index(mapping.unit)].config.home)
    }

    fn place_unit(&mut self, now: Time, at: u32, config: &UnitConfig) {
        match self.units.get_mut(index(at)) {
            Some(unit) if unit.config.birth == config.birth => {
                let was_cached = unit.is_cached();
                let news = unit.follow(config);
                if unit.is_cached() && !was_cached {
                    let tasks = unit.tasks.iter(&self.table).map(|(slot, _)| self.table.id(slot)).collect();
                    unit.be_careful(tasks);
                }
                if !news.is_empty() {
                    self.void_passes(at);
                }
                for attention in news {
                    self.nexuses.attend(at, attention, |_| true);
                }
                return;
            }
            Some(unit) => {
                assert!(unit.tasks.count() == 0, "a place is given away when it is quiet");
                *unit = Unit::at(config, self.reactor);
                self.copies.reset(at);
                self.copies.tokens.forget(at);
            }
            None => self.units.push(Unit::at(config, self.reactor)),
        }
        let unit = &self.units[index(at)];
        if unit.condition.is_busy() {
            self.overhauls.push((now, at));
        }
        self.nexuses.count_for(at, unit.meter_at_home());
        self.nexuses.welcome(at, |nexus, path| unit.reservations.obstacle(nexus, path));
    }

    /// Every nexus finds what the configuration says, and is told of what is new.
    //= SPC-4 "REPORT LUNS command": the unit attention condition when the inventory changes
    fn seat_nexuses(&mut self, before: &TargetConfig) {
        let mut established = Vec::new();
        for nexus in self.nexuses.iter_mut() {
            let was = before.ports.get(nexus.port).map(|port| (port.target.as_str(), port.tag));
            // Where its port is gone the nexus will be, too: the driver sees to it.
            let port = was.and_then(|(target, tag)| self.target.port(target, tag));
            nexus.port = port.unwrap_or(0);
            let luns = port.map(|port| Arc::clone(self.target.ports[port].luns_for(&nexus.initiator)));
            let luns = luns.unwrap_or_default();
            nexus.lun_meters = luns.meters_of(self.reactor);
            let old = core::mem::replace(&mut nexus.luns, Arc::clone(&luns));
            if !Arc::ptr_eq(&old, &luns) && *old != *luns {
                let news = news(&old, &luns);
                established.extend(news.iter().map(|(unit, _)| *unit));
                nexus.notice(news);
            }
        }
        for unit in established {
            self.nexuses.count_established(unit, 1);
        }
    }
}

/// What a nexus must be told of the units that it finds.
fn news(old: &LunMap, new: &LunMap) -> Vec<(u32, Attention)> {
    let inventory =
        |luns: &LunMap| luns.iter().map(|mapping| (mapping.lun, mapping.unit)).collect::<Vec<_>>();
    let moved = inventory(old) != inventory(new);
    let tell = |unit: u32| match old.lun_of(unit) {
        None => Some((unit, Attention::PowerOn)),
        Some(_) if moved => Some((unit, Attention::LunsChanged)),
        Some(_) => {
            (old.protects(unit) != new.protects(unit)).then_some((unit, Attention::ModeParametersChanged))
        }
    };
    new.iter().filter_map(|mapping| tell(mapping.unit)).collect()
}

impl Unit {
    /// A unit as the engine of a reactor needs it.
    pub(crate) fn at(config: &UnitConfig, reactor: u16) -> Self {
        let mut unit = match config.home == reactor {
            true => Self::new(config.clone()),
            false => Self::guest(config.clone()),
        };
        unit.meter = config.meters.of(reactor);
        unit
    }

    /// The operator has changed what may change while the unit exists: what everybody must be told.
    fn follow(&mut self, config: &UnitConfig) -> Vec<Attention> {
        let mut news = Vec::new();
        if self.config.identity != config.identity || self.config.removable != config.removable {
            news.push(Attention::InquiryChanged);
        }
        if self.config.read_only != config.read_only {
            news.push(Attention::ModeParametersChanged);
        }
        if self.config.access != config.access && self.groups.follow(&config.access) {
            news.push(Attention::AccessStateChanged);
        }
        if self.config.limits != config.limits {
            news.extend(self.follow_store(config));
        }
        let UnitConfig { read_only, removable, identity, access, .. } = config;
        (self.config.read_only, self.config.removable) = (*read_only, *removable);
        (self.config.identity, self.config.access) = (identity.clone(), access.clone());
        news
    }

    /// There is another store, or it may be used otherwise: the blocks are as many as that says, if it says anything new.
    //= SPC-4 "INQUIRY command": what VPD pages tell is INQUIRY data, too
    fn follow_store(&mut self, config: &UnitConfig) -> Vec<Attention> {
        let (old, new) = (&self.config.limits, &config.limits);
        let is_shown = |limits: &Limits| Limits { bytes: 0, state: false, ..limits.clone() };
        let fresh = Geometry::new(config);
        let blocks = if old.bytes == new.bytes { self.geometry.blocks } else { fresh.blocks };
        let geometry = Geometry { blocks, protection: self.geometry.protection, ..fresh };
        let capacity = |of: &Geometry| (of.blocks, of.physical_block_bytes);
        let selected = self.mode.follow(new);
        let news = [
            (is_shown(old) != is_shown(new), Attention::InquiryChanged),
            (selected, Attention::ModeParametersChanged),
            (capacity(&self.geometry) != capacity(&geometry), Attention::CapacityChanged),
        ];
        self.geometry = geometry;
        self.config.physical_block_bytes = config.physical_block_bytes;
        self.config.limits = new.clone();
        self.follow_mode();
        news.into_iter().filter_map(|(is_new, attention)| is_new.then_some(attention)).collect()
    }
}
