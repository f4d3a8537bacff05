//! What the reactors have counted, with the names of what it was counted of.
//!
//! The desk knows who there is ([`Sources`]); reading is adding up, in the thread of whoever asked: neither the desk nor a reactor waits for it.

use super::plant::LunMaps;
use felio_control::stats::{
    Commands, LunStats, PortStats, SessionStats, Stats, StorageStats, TargetStats, Times, Traffic,
};
use felio_control::{Config, Path, StorageKey, TpgKey};
use felio_engine::{LunMap, Mapping};
use felio_hal::meter::{self, BUCKETS, Count, FAILURES, Histogram, LunMeter, Meter, Meters, UnitMeter};
use felio_spec::cdb::Kind;
use felio_spec::{Status, TaskManagementFunction};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// Everything that is counted, by the names of the objects.
pub(super) struct Sources {
    /// When the daemon was started.
    pub(super) since: Instant,
    pub(super) storage: Vec<StorageSource>,
    pub(super) ports: Vec<(TpgKey, Meters<Meter>)>,
    /// What leads where.
    pub(super) config: Arc<Config>,
    pub(super) luns: Vec<LunMaps>,
    pub(super) targets: Vec<TargetStats>,
    pub(super) sessions: Vec<SessionSource>,
}

/// A storage object, and when it was opened.
pub(super) type StorageSource = (StorageKey, Instant, Meters<UnitMeter>);

/// A session.
pub(super) struct SessionSource {
    pub(super) id: u16,
    pub(super) initiator: String,
    pub(super) tpg: TpgKey,
    pub(super) peer: String,
    pub(super) meters: Meters<Meter>,
}

impl Sources {
    /// Only what is of an object, or below it.
    pub(super) fn of(mut self, object: &Path) -> Self {
        let is_meant =
            |path: Path| core::iter::successors(Some(path), Path::parent).any(|path| path == *object);
        self.storage.retain(|(key, ..)| is_meant(key.into()));
        self.ports.retain(|(key, _)| is_meant(key.into()));
        self.luns.retain(|(key, _)| is_meant(key.into()));
        self.targets.retain(|target| is_meant((&target.target).into()));
        self.sessions.retain(|session| is_meant((&session.tpg).into()));
        self
    }

    /// The numbers as they are now.
    pub(super) fn read(self) -> Stats {
        let sessions: Vec<SessionStats> = self.sessions.into_iter().map(read_session).collect();
        let mut present: BTreeMap<&TpgKey, (u64, u64)> = BTreeMap::new();
        for session in &sessions {
            let (count, in_flight) = present.entry(&session.tpg).or_default();
            *count += 1;
            *in_flight += session.traffic.in_flight;
        }
        let port = |(tpg, meters): (TpgKey, Meters<Meter>)| {
            let (sessions, in_flight) = present.get(&tpg).copied().unwrap_or_default();
            PortStats { tpg, sessions, traffic: Traffic { in_flight, ..sum(meters.iter()) } }
        };
        let ports: Vec<PortStats> = self.ports.into_iter().map(port).collect();
        Stats {
            at_nanos: self.since.elapsed().as_nanos().try_into().unwrap_or(u64::MAX),
            bounds_nanos: meter::bounds().to_vec(),
            total: ports.iter().fold(Traffic::default(), |total, port| total.and(&port.traffic)),
            storage: self.storage.into_iter().map(|source| read_storage(source, self.since)).collect(),
            ports,
            luns: self.luns.iter().flat_map(|maps| read_luns(maps, &self.config)).collect(),
            targets: self.targets,
            sessions,
        }
    }
}

fn read_luns((tpg, maps): &LunMaps, config: &Config) -> Vec<LunStats> {
    maps.iter().flat_map(|(initiator, map)| read_map(tpg, initiator.as_ref(), map, config)).collect()
}

fn read_map(tpg: &TpgKey, initiator: Option<&String>, map: &LunMap, config: &Config) -> Vec<LunStats> {
    let Some(group) = config.tpg(tpg) else { return Vec::new() };
    let acl = initiator.and_then(|name| group.acls.get(name));
    let read = |(mapping, meters): (Mapping, &Meters<LunMeter>)| {
        let all = |count: fn(&LunMeter) -> &Count| meters.iter().map(|meter| count(meter).get()).sum();
        let lun = match acl {
            Some(acl) => acl.mapped_luns.get(&mapping.lun)?.tpg_lun,
            None => mapping.lun,
        };
        Some(LunStats {
            tpg: tpg.clone(),
            lun,
            initiator: initiator.cloned(),
            mapped_lun: mapping.lun,
            storage: group.luns.get(&lun)?.storage.clone(),
            commands: all(|meter| &meter.commands),
            errors: all(|meter| &meter.errors),
            bytes_in: all(|meter| &meter.bytes_in),
            bytes_out: all(|meter| &meter.bytes_out),
            nanos: all(|meter| &meter.nanos),
        })
    };
    map.meters().filter_map(read).collect()
}

fn read_storage((storage, opened, meters): StorageSource, since: Instant) -> StorageStats {
    let all = |count: fn(&UnitMeter) -> &Count| meters.iter().map(|meter| count(meter).get()).sum();
    StorageStats {
        storage,
        traffic: sum(meters.iter().map(|meter| &meter.commands)),
        store: times(meters.iter().map(|meter| &meter.store)),
        store_failures: all(|meter| &meter.store_failures),
        attentions: all(|meter| &meter.attentions),
        attentions_told: all(|meter| &meter.attentions_told),
        resets: all(|meter| &meter.resets),
        aborts: all(|meter| &meter.aborts),
        aborts_missed: all(|meter| &meter.aborts_missed),
        opened_nanos: opened.saturating_duration_since(since).as_nanos().try_into().unwrap_or(u64::MAX),
    }
}

fn read_session(source: SessionSource) -> SessionStats {
    let SessionSource { id, initiator, tpg, peer, meters } = source;
    SessionStats { id, initiator, tpg, peer, traffic: sum(meters.iter()) }
}

/// All reactors together.
fn sum<'a>(meters: impl Iterator<Item = &'a Meter> + Clone) -> Traffic {
    let all = |count: &dyn Fn(&Meter) -> &Count| meters.clone().map(|meter| count(meter).get()).sum::<u64>();
    let kind = |kind: Kind| all(&|meter| &meter.commands[kind.index()]);
    let named = |names: Vec<String>, count: &dyn Fn(&Meter, usize) -> u64| -> BTreeMap<String, u64> {
        let counted = |at| meters.clone().map(|meter| count(meter, at)).sum();
        let counts = names.into_iter().enumerate().map(|(at, name)| (name, counted(at)));
        counts.filter(|(_, count)| *count > 0).collect()
    };
    Traffic {
        in_flight: all(&|meter| &meter.in_flight),
        commands: Commands {
            read: kind(Kind::Read),
            write: kind(Kind::Write),
            combine: kind(Kind::Combine),
            flush: kind(Kind::Flush),
            unmap: kind(Kind::Unmap),
            other: kind(Kind::Other),
        },
        bytes_in: all(&|meter| &meter.bytes_in),
        bytes_out: all(&|meter| &meter.bytes_out),
        latency: times(meters.clone().map(|meter| &meter.latency)),
        check_conditions: named(SENSE_KEYS.map(str::to_owned).to_vec(), &|meter, at| meter.checks[at].get()),
        failures: named(FAILURES.map(status_name).to_vec(), &|meter, at| meter.failures[at].get()),
        abandoned: all(&|meter| &meter.abandoned),
        functions: named(TaskManagementFunction::ALL.map(function_name).to_vec(), &|meter, at| {
            meter.functions[at].get()
        }),
    }
}

fn times<'a>(histograms: impl Iterator<Item = &'a Histogram>) -> Times {
    let (mut total_nanos, mut buckets) = (0, vec![0; BUCKETS]);
    for histogram in histograms {
        total_nanos += histogram.total.get();
        buckets.iter_mut().zip(histogram.counts()).for_each(|(sum, count)| *sum += count);
    }
    let used = buckets.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1);
    buckets.truncate(used);
    Times { total_nanos, buckets }
}

//= SPC-4 "Sense key and additional sense code definitions"
const SENSE_KEYS: [&str; meter::SENSE_KEYS] = [
    "no_sense",
    "recovered_error",
    "not_ready",
    "medium_error",
    "hardware_error",
    "illegal_request",
    "unit_attention",
    "data_protect",
    "blank_check",
    "vendor_specific",
    "copy_aborted",
    "aborted_command",
    "reserved",
    "volume_overflow",
    "miscompare",
    "completed",
];

fn status_name(status: Status) -> String {
    match status {
        Status::BUSY => "busy".to_owned(),
        Status::TASK_SET_FULL => "task_set_full".to_owned(),
        Status::RESERVATION_CONFLICT => "reservation_conflict".to_owned(),
        Status::ACA_ACTIVE => "aca_active".to_owned(),
        Status::TASK_ABORTED => "task_aborted".to_owned(),
        Status(other) => format!("{other:#04x}"),
    }
}

fn function_name(function: TaskManagementFunction) -> String {
    match function {
        TaskManagementFunction::AbortTask => "abort_task",
        TaskManagementFunction::AbortTaskSet => "abort_task_set",
        TaskManagementFunction::ClearAca => "clear_aca",
        TaskManagementFunction::ClearTaskSet => "clear_task_set",
        TaskManagementFunction::LogicalUnitReset => "logical_unit_reset",
        TaskManagementFunction::TargetWarmReset => "target_warm_reset",
        TaskManagementFunction::TargetColdReset => "target_cold_reset",
        TaskManagementFunction::ITNexusReset => "i_t_nexus_reset",
        TaskManagementFunction::QueryTask => "query_task",
        TaskManagementFunction::QueryTaskSet => "query_task_set",
        TaskManagementFunction::QueryAsynchronousEvent => "query_asynchronous_event",
    }
    .to_owned()
}
