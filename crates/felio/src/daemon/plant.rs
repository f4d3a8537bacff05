//! What runs, and how it becomes what the configuration wants.
//!
//! In two halves: [`Plant::prepare`] opens what is new (and may fail, leaving everything as it was), [`Plant::carry_out`] hands it to the
//! reactors. In between, the configuration is saved. Where it must not fail, as at the start, what cannot be opened is remembered as
//! degraded and tried again later; everything that leads to it keeps its place in the configuration.

mod swap;

use super::disk::{Disk, Opening, lu_group, vacant};
use super::drain::Drained;
use super::iscsi;
use super::metrics::StorageSource;
use super::sandbox::Fence;
use super::service::{Inherited, Supervisor, portal_name};
use super::work::Work;
use core::cmp::Ordering;
use core::time::Duration;
use felio_backstore::{Store, UDEV_PATIENCE};
use felio_control::{
    Backing, Condition, Conditions, Config, DEFAULT_GROUP, Fabric, InStep, Path, PortalKey, Refusal,
    RefusalKind, StorageKey, StorageObject, Target, TargetKey, Tpg, TpgKey,
};
use felio_engine::{Holdings, LunMap, Mapping, PortConfig, TargetConfig, UnitConfig};
use felio_hal::StoreId;
use felio_hal::meter::{LunMeter, Meter, Meters};
use felio_hal::state::StateStore;
use felio_runtime::{Families, Late, Portal, Pulse, Retired, Runtime, Served};
use felio_spec::Lun;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Instant;

/// How long what runs on a unit that goes may take.
const RETIREMENT: Duration = Duration::from_secs(10);

/// A portal group, and what each initiator finds there.
pub(super) type LunMaps = (TpgKey, Vec<(Option<String>, Arc<LunMap>)>);

/// What runs.
pub(super) struct Plant {
    runtime: Runtime,
    pub(super) supervisor: Supervisor,
    inherited: Inherited,
    fence: Fence,
    state: Arc<dyn StateStore>,
    disks: BTreeMap<StorageKey, Disk>,
    /// Where it listens.
    portals: BTreeSet<PortalKey>,
    /// Places of units that are vacant.
    free: Vec<u32>,
    /// The target ports as they are served, by their targets.
    ports: BTreeMap<TargetKey, Vec<PortConfig>>,
    births: u64,
    /// Stores that did not end what they had begun.
    stuck: Vec<Arc<dyn Store>>,
    /// Objects that were closed and whose last blocks may be lost: to be told.
    not_durable: Vec<StorageKey>,
    /// What nobody gets to for now.
    pub(super) drained: Drained,
    /// What is served.
    served: Arc<Config>,
    pub(super) conditions: Conditions,
    /// What is told how far the next preparation is.
    pub(super) work: Option<Work>,
}

/// Whether what cannot be opened is a reason to refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// It is: somebody waits for an answer.
    Strict,
    /// It is degraded.
    Lenient,
}

/// What is open and not served yet.
pub(super) struct Prepared {
    disks: BTreeMap<StorageKey, Disk>,
    /// Objects in use that get another store.
    others: BTreeMap<StorageKey, Disk>,
    /// Places of units to which no command begins for that.
    closed: Vec<u32>,
    portals: Vec<(PortalKey, Portal)>,
    /// Files that were made longer.
    grown: Vec<StorageKey>,
    pub(super) conditions: Conditions,
}

impl Prepared {
    /// Whether nothing is new.
    pub(super) fn is_empty(&self) -> bool {
        self.disks.is_empty() && self.others.is_empty() && self.portals.is_empty()
    }
}

impl Plant {
    pub(super) fn new(
        runtime: Runtime,
        (supervisor, inherited): (Supervisor, Inherited),
        fence: Fence,
        state: Arc<dyn StateStore>,
    ) -> Self {
        Self {
            runtime,
            supervisor,
            inherited,
            fence,
            state,
            disks: BTreeMap::new(),
            portals: BTreeSet::new(),
            free: Vec::new(),
            ports: BTreeMap::new(),
            births: 0,
            stuck: Vec::new(),
            not_durable: Vec::new(),
            drained: Drained::default(),
            served: Arc::default(),
            conditions: Conditions::default(),
            work: None,
        }
    }

    pub(super) fn stop(&self, grace: Duration) {
        self.runtime.stop(grace);
    }

    /// Asks the initiator of a session to log out.
    pub(super) fn end_session(&self, id: u16) {
        self.runtime.end_session(id);
    }

    pub(super) fn reactors(&self) -> usize {
        self.runtime.reactors()
    }

    pub(super) fn feel_pulse(&self) -> Pulse {
        self.runtime.feel_pulse()
    }

    /// All that is wanted at the start is open: sockets of an earlier felio that are left are not.
    pub(super) fn handle_started(&mut self) {
        self.inherited.let_go(&self.supervisor);
    }

    /// Says what is served.
    pub(super) fn tell_status(&mut self) {
        let count =
            |what: &str, number: usize| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
        let degraded =
            self.conditions.iter().filter(|(_, is)| matches!(is, Condition::Degraded { .. })).count();
        let of = |number| if number == 0 { String::new() } else { format!("; {number} degraded") };
        self.supervisor.tell_status(format!(
            "Serving {} in {} at {}{}",
            count("disk", self.disks.len()),
            count("target", self.served.targets.len()),
            count("portal", self.portals.len()),
            of(degraded)
        ));
    }

    /// What is counted of storage objects and of target ports.
    pub(super) fn meters(&self) -> (Vec<StorageSource>, Vec<(TpgKey, Meters<Meter>)>) {
        let disks = self.disks.iter();
        let storage = disks.map(|(key, disk)| (key.clone(), disk.opened, disk.meters.clone())).collect();
        let ports = self.ports.iter().flat_map(|(key, ports)| ports.iter().map(move |port| (key, port)));
        (storage, ports.map(|(key, port)| (key.tpg(port.tag), port.meters.clone())).collect())
    }

    /// The number under which initiators find what, and what is counted of each: by portal group, for those without an ACL and for those
    /// with one.
    pub(super) fn lun_maps(&self) -> Vec<LunMaps> {
        let ports = self.ports.iter().flat_map(|(key, ports)| ports.iter().map(move |port| (key, port)));
        let maps = |(key, port): (&TargetKey, &PortConfig)| {
            let named = port.initiators.iter().map(|(name, map)| (Some(name.clone()), Arc::clone(map)));
            (key.tpg(port.tag), named.chain([(None, Arc::clone(&port.luns))]).collect())
        };
        ports.map(maps).collect()
    }

    /// Who has reserved a storage object: the receiver will be told. Nothing where it is not open.
    pub(super) fn holdings(&self, key: &StorageKey) -> Option<Receiver<Holdings>> {
        self.disks.get(key).map(|disk| self.runtime.holdings(disk.place))
    }

    /// How many commands of the storage object behind a LUN run, whichever way they came.
    pub(super) fn running(&self, path: &Path, config: &Config) -> u64 {
        let Path::Lun(key, index) = path else { return 0 };
        let lun = config.tpg(key).and_then(|tpg| tpg.luns.get(index));
        let disk = lun.and_then(|lun| self.disks.get(&lun.storage));
        let meters = disk.into_iter().flat_map(|disk| disk.meters.iter());
        meters.map(|meter| meter.commands.in_flight.get()).sum()
    }

    pub(super) fn join(self) {
        self.runtime.join();
    }

    /// The next object that was closed and whose last blocks may be lost.
    #[must_use]
    pub(super) fn poll_not_durable(&mut self) -> Option<StorageKey> {
        self.not_durable.pop()
    }

    /// What was prepared is not wanted: things are to be as they were.
    pub(super) fn discard(&mut self, prepared: Prepared) {
        self.open(&prepared.closed);
        for key in &prepared.grown {
            if let Some(object) = self.served.storage.get(key) {
                let _ = resize(key, object, Ordering::Less);
            }
        }
        self.free.extend(prepared.disks.into_values().map(|disk| disk.place));
    }

    /// Opens what is new. Nothing that runs is touched, but that an object nobody finds is closed if it must be opened anew.
    pub(super) fn prepare(&mut self, wanted: &Config, mode: Mode) -> Result<Prepared, Refusal> {
        check_secrets(wanted)?;
        let whole = wanted;
        let wanted = &self.drained.served(whole);
        let mut prepared = Prepared {
            disks: BTreeMap::new(),
            others: BTreeMap::new(),
            closed: Vec::new(),
            portals: Vec::new(),
            grown: Vec::new(),
            conditions: Conditions::default(),
        };
        let done = self
            .prepare_disks(wanted, mode, &mut prepared)
            .and_then(|()| self.prepare_portals(wanted, mode, &mut prepared))
            .and_then(|()| self.still(&mut prepared));
        if let Err(refusal) = done {
            self.discard(prepared);
            return Err(refusal);
        }
        self.drained.mark(whole, &mut prepared.conditions);
        Ok(prepared)
    }

    fn prepare_disks(&mut self, wanted: &Config, mode: Mode, prepared: &mut Prepared) -> Result<(), Refusal> {
        let (work, unserved) = (self.work.take(), self.unserved(wanted));
        let total = u64::try_from(unserved.len()).unwrap_or(u64::MAX);
        let until = Instant::now() + UDEV_PATIENCE;
        for (done, (key, object)) in (0..).zip(unserved) {
            if let Some(work) = &work {
                work.reach(done, total)?;
            }
            match self.disks.get(key) {
                Some(disk) if disk.opening == Opening::of(object) => {
                    if resize(key, object, Ordering::Greater)? {
                        prepared.grown.push(key.clone());
                    }
                    continue;
                }
                Some(disk) if self.served.is_exported(key) => {
                    let other = self.open_other(key, disk, object)?;
                    prepared.others.insert(key.clone(), other);
                    continue;
                }
                Some(_) => self.close(core::slice::from_ref(key))?,
                None => {}
            }
            if let Some(why) = self.fence.forbids(&object.backing) {
                prepared.conditions.set(key.into(), Condition::Degraded { why });
                continue;
            }
            let place = self.place(prepared);
            self.births += 1;
            let meters = Meters::new(self.runtime.reactors());
            // What could not be opened before is no reason to refuse something else, and nobody waits for it.
            let known = self.served.storage.get(key).is_some_and(|served| **served == *object);
            let patience =
                if known { Duration::ZERO } else { until.saturating_duration_since(Instant::now()) };
            match Disk::open(key, object, (place, self.births), &self.state, meters, patience) {
                Ok(disk) => {
                    prepared.disks.insert(key.clone(), disk);
                }
                Err(why) => {
                    self.free.push(place);
                    let mode = if known { Mode::Lenient } else { mode };
                    degrade(key.into(), self.explained(object, why), mode, &mut prepared.conditions)?;
                }
            }
        }
        Ok(())
    }

    /// Why an object cannot be opened, with what the sandbox has to do with it.
    fn explained(&self, object: &StorageObject, why: String) -> String {
        match object.backing.dev().and_then(|dev| self.fence.explain(dev.as_ref())) {
            Some(reason) => format!("{why}: {reason}"),
            None => why,
        }
    }

    /// Lets commands to units go on.
    fn open(&self, places: &[u32]) {
        if !places.is_empty() {
            self.runtime.open(places);
        }
    }

    /// A refusal about a file, with what to do if it is the sandbox's.
    pub(super) fn hinted(&self, file: &std::path::Path, refusal: Refusal) -> Refusal {
        match self.fence.explain(file) {
            Some(reason) => refusal.hint(reason),
            None => refusal,
        }
    }

    fn prepare_portals(
        &mut self,
        wanted: &Config,
        mode: Mode,
        prepared: &mut Prepared,
    ) -> Result<(), Refusal> {
        let all = wanted_portals(wanted);
        for portal in &all {
            if self.portals.contains(portal) {
                continue;
            }
            let address = SocketAddr::new(portal.address, portal.port);
            // As with LIO, all of IPv6 is all of IPv4 as well, unless that is a portal of its own.
            let four = PortalKey { address: Ipv4Addr::UNSPECIFIED.into(), port: portal.port };
            let families = if all.contains(&four) { Families::Own } else { Families::Both };
            let inherited = self.inherited.take_portal(address);
            match inherited.unwrap_or_else(|| Portal::bind(address, families)) {
                Ok(open) => prepared.portals.push((*portal, open)),
                Err(error) => {
                    let users =
                        wanted.tpgs().filter(|(_, tpg)| tpg.enable && tpg.portals.contains_key(portal));
                    let why = format!("cannot listen on {portal}: {error}");
                    let known = wanted_portals(&self.served).contains(portal);
                    let mode = if known { Mode::Lenient } else { mode };
                    for (key, _) in users {
                        degrade(Path::Portal(key, *portal), why.clone(), mode, &mut prepared.conditions)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Serves what the configuration wants, of which what is new was prepared.
    pub(super) fn carry_out(&mut self, wanted: &Arc<Config>, prepared: Prepared) -> Result<(), Late> {
        let wanted = &match self.drained.served(wanted) {
            Cow::Borrowed(_) => Arc::clone(wanted),
            Cow::Owned(served) => Arc::new(served),
        };
        let Prepared { disks, others, closed, portals, conditions, grown: _ } = prepared;
        let mut kept = InStep::new(&wanted.storage);
        let gone: Vec<StorageKey> =
            self.disks.keys().filter(|key| kept.get(key).is_none()).cloned().collect();
        let moved: BTreeSet<StorageKey> = disks.keys().chain(&gone).cloned().collect();
        let mut touched = moved.clone();
        for (key, object) in self.unserved(wanted) {
            touched.insert(key.clone());
            if self.disks.contains_key(key) {
                let _ = resize(key, object, Ordering::Less);
            }
        }
        let stores = disks.values().chain(others.values());
        let stores = stores.map(|disk| (StoreId(disk.place), Arc::clone(&disk.store))).collect();
        for (key, disk) in disks.into_iter().chain(others) {
            self.disks.insert(key, disk);
        }
        self.conditions = conditions;
        let needed = wanted_portals(wanted);
        let close: Vec<PortalKey> = self.portals.difference(&needed).copied().collect();
        let address = |key: &PortalKey| SocketAddr::new(key.address, key.port);
        close.iter().for_each(|key| self.supervisor.let_go(&portal_name(address(key))));
        portals.iter().for_each(|(key, socket)| self.supervisor.keep(&portal_name(address(key)), socket));
        self.portals.retain(|portal| needed.contains(portal));
        self.portals.extend(portals.iter().map(|(key, _)| *key));
        let served = Served {
            iscsi: iscsi::config(wanted),
            target: self.target(wanted, touched, &moved),
            stores,
            open: portals.into_iter().map(|(_, portal)| portal).collect(),
            close: close.iter().map(address).collect(),
        };
        self.served = Arc::clone(wanted);
        let adopted = self.runtime.adopt(served);
        self.open(&closed);
        adopted?;
        // What does not get quiet keeps its place and store for good; the object is gone nevertheless.
        let _ = self.close(&gone);
        Ok(())
    }

    /// Closes objects that nobody finds any more, once what they have begun has ended.
    fn close(&mut self, keys: &[StorageKey]) -> Result<(), Refusal> {
        if keys.is_empty() {
            return Ok(());
        }
        let disks: Vec<Disk> = keys.iter().filter_map(|key| self.disks.remove(key)).collect();
        self.births += 1;
        let husk = |disk: &Disk| Arc::new(vacant(disk.place, self.births, &disk.store.limits()));
        let husks: Vec<(u32, Arc<UnitConfig>)> = disks.iter().map(|disk| (disk.place, husk(disk))).collect();
        let stores: Vec<Arc<dyn Store>> = disks.iter().map(|disk| Arc::clone(&disk.store)).collect();
        let retired = self.runtime.retire(&husks, &stores, RETIREMENT);
        if retired == Retired::NotDurable {
            self.not_durable.extend(keys.iter().cloned());
        }
        if retired != Retired::Stuck {
            self.free.extend(husks.iter().map(|(place, _)| *place));
            return Ok(());
        }
        // It may still write: as long as this process lives, neither place nor store is given to others.
        self.stuck.extend(stores);
        Err(Refusal::new(RefusalKind::Busy, "operations on it do not end")
            .hint("see what its device is doing"))
    }

    fn place(&mut self, prepared: &Prepared) -> u32 {
        if let Some(place) = self.free.pop() {
            return place;
        }
        let used = self.disks.values().chain(prepared.disks.values()).map(|disk| disk.place + 1).max();
        used.unwrap_or(0).max(u32::try_from(self.runtime.units().len()).unwrap_or(u32::MAX))
    }

    /// The objects that are not open, or not served as they are wanted.
    fn unserved<'w>(&self, wanted: &'w Config) -> Vec<(&'w StorageKey, &'w StorageObject)> {
        let (mut served, mut open) = (InStep::new(&self.served.storage), InStep::new(&self.disks));
        let all = wanted.storage.iter();
        let due = all.filter(|(key, object)| !served.shares(key, object) || open.get(key).is_none());
        due.map(|(key, object)| (key, &**object)).collect()
    }

    /// Ports and units for the engines: those anew that the configuration has `touched`, and those that lead to what has `moved` to another
    /// place, or away.
    fn target(
        &mut self,
        wanted: &Config,
        mut touched: BTreeSet<StorageKey>,
        moved: &BTreeSet<StorageKey>,
    ) -> TargetConfig {
        let mut ports = BTreeMap::new();
        for (key, target) in &wanted.targets {
            let before = self.served.targets.get(key);
            let same = before.is_some_and(|before| Arc::ptr_eq(before, target));
            let leads_elsewhere = || !moved.is_empty() && exposed(target).any(|key| moved.contains(key));
            let mut known = self.ports.remove(key).unwrap_or_default();
            if !same || leads_elsewhere() {
                let before = before.into_iter().flat_map(|before| exposed(before));
                touched.extend(exposed(target).chain(before).cloned());
                known = self.ports_of(key, target, &known);
            }
            ports.insert(key.clone(), known);
        }
        let lost = core::mem::replace(&mut self.ports, ports);
        let lost = lost.keys().filter_map(|key| self.served.targets.get(key));
        touched.extend(lost.flat_map(|target| exposed(target)).cloned());
        if wanted.lu_groups != self.served.lu_groups {
            touched.extend(wanted.storage.keys().cloned());
        }
        TargetConfig {
            ports: self.ports.values().flatten().cloned().collect(),
            epoch_millis: 0,
            units: self.units(wanted, &touched),
            token_seed: [0; 32],
        }
    }

    /// The units by their places, of which those of some objects are made anew.
    fn units(&self, wanted: &Config, touched: &BTreeSet<StorageKey>) -> Vec<Arc<UnitConfig>> {
        let ports = exposing(wanted, touched);
        let mut units = self.runtime.units().to_vec();
        for key in touched {
            let (Some(disk), Some(object)) = (self.disks.get(key), wanted.storage.get(key)) else { continue };
            let nowhere = BTreeMap::new();
            let unit =
                disk.unit(object, &key.name, lu_group(wanted, object), ports.get(key).unwrap_or(&nowhere));
            while units.len() <= usize::try_from(disk.place).unwrap_or(0) {
                let place = u32::try_from(units.len()).unwrap_or(u32::MAX);
                units.push(Arc::new(vacant(place, 0, &disk.store.limits())));
            }
            if let Some(at) = usize::try_from(disk.place).ok().and_then(|at| units.get_mut(at)) {
                *at = Arc::new(unit);
            }
        }
        units
    }

    /// The target ports that reactors serve. Those that were there before go on counting.
    fn ports_of(&self, key: &TargetKey, target: &Target, before: &[PortConfig]) -> Vec<PortConfig> {
        let tpgs = target.tpgs.iter().filter(|_| key.fabric == Fabric::Iscsi);
        let known = |tag: u16| before.iter().find(|port| port.tag == tag);
        tpgs.filter_map(|(tag, tpg)| self.port(&key.tpg(*tag), tpg, known(*tag))).collect()
    }

    fn port(&self, key: &TpgKey, tpg: &Tpg, before: Option<&PortConfig>) -> Option<PortConfig> {
        let on = |name: &str| tpg.attribute(name).is_some_and(|value| value.is_on());
        let unit = |index: u16| self.disks.get(&tpg.luns.get(&index)?.storage).map(|disk| disk.place);
        let (demo, prod) = (on("demo_mode_write_protect"), on("prod_mode_write_protect"));
        let luns = tpg
            .luns
            .keys()
            .filter_map(|index| Some(Mapping { lun: *index, unit: unit(*index)?, read_only: demo }));
        let luns = if on("generate_node_acls") { LunMap::new(luns.collect()) } else { LunMap::default() };
        let luns = self.counted(luns, before.map(|port| &*port.luns));
        let own = |(wwn, acl): (&String, &felio_control::Acl)| {
            let mappings = acl.mapped_luns.iter().filter_map(|(index, mapped)| {
                let read_only = mapped.write_protect || prod;
                Some(Mapping { lun: *index, unit: unit(mapped.tpg_lun)?, read_only })
            });
            let before = before.and_then(|port| port.initiators.get(wwn)).map(|map| &**map);
            (wwn.clone(), Arc::new(self.counted(LunMap::new(mappings.collect()), before)))
        };
        Some(PortConfig {
            target: key.target.wwn.clone(),
            tag: key.tag,
            relative_port: tpg.rtpi?,
            luns: Arc::new(luns),
            initiators: tpg.acls.iter().map(|(wwn, acl)| own((wwn, acl))).collect(),
            meters: match before {
                Some(port) => port.meters.clone(),
                None => Meters::new(self.runtime.reactors()),
            },
        })
    }

    /// Numbers that lead where they did before go on counting.
    fn counted(&self, map: LunMap, before: Option<&LunMap>) -> LunMap {
        let known = |mapping: &Mapping| -> Option<Meters<LunMeter>> {
            let (before, lun) = (before?, Lun::from_number(mapping.lun)?);
            before.find(lun).filter(|old| old.unit == mapping.unit)?;
            before.meter(lun).cloned()
        };
        map.counted(|mapping| known(mapping).unwrap_or_else(|| Meters::new(self.runtime.reactors())))
    }
}

/// The objects that a target's LUNs lead to.
fn exposed(target: &Target) -> impl Iterator<Item = &StorageKey> {
    target.tpgs.values().flat_map(|tpg| tpg.luns.values()).map(|lun| &lun.storage)
}

/// Through which target ports each of these objects is reached, and in which of its groups each port is.
fn exposing<'a>(
    wanted: &'a Config,
    objects: &BTreeSet<StorageKey>,
) -> BTreeMap<&'a StorageKey, BTreeMap<u16, String>> {
    let mut all: BTreeMap<&StorageKey, BTreeMap<u16, String>> = BTreeMap::new();
    for tpg in wanted.targets.values().flat_map(|target| target.tpgs.values()) {
        let Some(port) = tpg.rtpi else { continue };
        for lun in tpg.luns.values().filter(|lun| objects.contains(&lun.storage)) {
            let group = lun.alua_group.clone().unwrap_or_else(|| DEFAULT_GROUP.to_owned());
            all.entry(&lun.storage).or_default().insert(port, group);
        }
    }
    all
}

/// Where enabled portal groups listen.
fn wanted_portals(wanted: &Config) -> BTreeSet<PortalKey> {
    let groups = wanted.tpgs().filter(|(key, tpg)| tpg.enable && key.target.fabric == Fabric::Iscsi);
    groups.flat_map(|(_, tpg)| tpg.portals.keys().copied()).collect()
}

/// What cannot be had: a refusal, or something to remember.
fn degrade(path: Path, why: String, mode: Mode, conditions: &mut Conditions) -> Result<(), Refusal> {
    match mode {
        Mode::Strict => Err(Refusal::new(RefusalKind::Invalid, why).at(path)),
        Mode::Lenient => {
            conditions.set(path, Condition::Degraded { why });
            Ok(())
        }
    }
}

/// Secrets that CHAP cannot use are better known now than at a login.
fn check_secrets(wanted: &Config) -> Result<(), Refusal> {
    for (key, tpg) in wanted.tpgs() {
        let own = tpg.acls.iter().map(|(wwn, acl)| (Path::from(key.acl(wwn.as_str())), &acl.auth));
        for (path, secrets) in own.chain([(Path::from(&key), &tpg.auth)]) {
            if let Some(why) = iscsi::flaw(secrets) {
                return Err(Refusal::invalid(why).at(path));
            }
        }
    }
    Ok(())
}

/// A file becomes as long as the configuration says, if it is shorter (`Greater`) or longer (`Less`) than that; whether it was.
fn resize(key: &StorageKey, object: &StorageObject, which: Ordering) -> Result<bool, Refusal> {
    let Backing::Fileio { dev, size, .. } = &object.backing else { return Ok(false) };
    let change = || {
        let file = OpenOptions::new().write(true).open(dev)?;
        let data = file.metadata()?;
        let is_due = data.is_file() && size.cmp(&data.len()) == which;
        if is_due {
            file.set_len(*size)?;
            file.sync_all()?;
        }
        Ok(is_due)
    };
    change().map_err(|error: io::Error| {
        Refusal::invalid(format!("{dev} cannot be made {size} bytes long: {error}")).at(key)
    })
}
