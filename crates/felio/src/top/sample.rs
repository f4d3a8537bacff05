//! Two readings become rows: what happened between them, in a second.

use felio_control::stats::{Stats, Times, Traffic};
use std::collections::BTreeMap;

/// What happened in a second, on average.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(super) struct Sample {
    /// How long it was looked at.
    pub(super) nanos: u64,
    pub(super) storage: Vec<Row>,
    pub(super) sessions: Vec<Row>,
}

/// A storage object, or a session.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(super) struct Row {
    pub(super) name: String,
    /// Commands a second.
    pub(super) commands: u64,
    pub(super) reads: u64,
    pub(super) writes: u64,
    /// Bytes a second, to initiators and from them.
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    /// What half of the commands, and all but one in a hundred, did not exceed. Without commands there is none.
    pub(super) p50_nanos: Option<u64>,
    pub(super) p99_nanos: Option<u64>,
    pub(super) in_flight: u64,
    /// Those that failed, in all of the time.
    pub(super) errors: u64,
}

impl Sample {
    /// What happened between two readings. Who was not there at the first is looked at from its beginning.
    pub(super) fn between(before: &Stats, after: &Stats) -> Self {
        let nanos = after.at_nanos.saturating_sub(before.at_nanos);
        let bounds = &after.bounds_nanos;
        let known: BTreeMap<_, _> = before.storage.iter().map(|of| (&of.storage, &of.traffic)).collect();
        let storage = after.storage.iter().map(|of| {
            row(of.storage.to_string(), known.get(&of.storage).copied(), &of.traffic, nanos, bounds)
        });
        let known: BTreeMap<_, _> =
            before.sessions.iter().map(|of| ((of.id, &of.initiator), &of.traffic)).collect();
        let sessions = after.sessions.iter().map(|of| {
            let name = format!("{} > {}", of.initiator, of.tpg);
            row(name, known.get(&(of.id, &of.initiator)).copied(), &of.traffic, nanos, bounds)
        });
        Self { nanos, storage: storage.collect(), sessions: sessions.collect() }
    }
}

fn row(name: String, before: Option<&Traffic>, after: &Traffic, nanos: u64, bounds: &[u64]) -> Row {
    let nothing = Traffic::default();
    let before = before.unwrap_or(&nothing);
    let rate = |count: fn(&Traffic) -> u64| a_second(count(after).saturating_sub(count(before)), nanos);
    let times: Times = &after.latency - &before.latency;
    Row {
        name,
        commands: rate(|traffic| traffic.commands.sum()),
        reads: rate(|traffic| traffic.commands.read),
        writes: rate(|traffic| traffic.commands.write),
        bytes_in: rate(|traffic| traffic.bytes_in),
        bytes_out: rate(|traffic| traffic.bytes_out),
        p50_nanos: times.quantile(0.5, bounds),
        p99_nanos: times.quantile(0.99, bounds),
        in_flight: after.in_flight,
        errors: after.errors(),
    }
}

/// So many in so long, as a rate; rounded.
fn a_second(count: u64, nanos: u64) -> u64 {
    let (count, nanos) = (u128::from(count), u128::from(nanos.max(1)));
    u64::try_from((count * 1_000_000_000 + nanos / 2) / nanos).unwrap_or(u64::MAX)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use felio_control::stats::{Commands, StorageStats};

    /// A reading with one storage object that has read so many times, half a second after the one before it.
    pub(in crate::top) fn reading(at_nanos: u64, read: u64) -> Stats {
        let traffic = Traffic {
            commands: Commands { read, ..Commands::default() },
            bytes_in: read * 4096,
            latency: Times { total_nanos: 0, buckets: vec![0, read] },
            in_flight: 3,
            ..Traffic::default()
        };
        let storage = StorageStats {
            storage: "/backstores/ramdisk/a".parse().expect("a key"),
            traffic,
            store: Times::default(),
            store_failures: 0,
            attentions: 0,
            attentions_told: 0,
            resets: 0,
            aborts: 0,
            aborts_missed: 0,
            opened_nanos: 0,
        };
        Stats { at_nanos, bounds_nanos: vec![256, 512], storage: vec![storage], ..Stats::default() }
    }

    #[test]
    fn a_rate_is_what_came_in_between_in_a_second() {
        let sample = Sample::between(&reading(0, 100), &reading(500_000_000, 150));
        let row = &sample.storage[0];
        assert_eq!((row.commands, row.reads, row.writes, row.bytes_in), (100, 100, 0, 409_600));
        assert_eq!((row.p50_nanos, row.p99_nanos, row.in_flight), (Some(512), Some(512), 3));
    }

    #[test]
    fn who_did_nothing_has_no_latency() {
        let sample = Sample::between(&reading(0, 100), &reading(500_000_000, 100));
        assert_eq!((sample.storage[0].commands, sample.storage[0].p50_nanos), (0, None));
    }

    #[test]
    fn who_was_not_there_before_is_seen_from_its_beginning() {
        let sample = Sample::between(&Stats::default(), &reading(1_000_000_000, 7));
        assert_eq!(sample.storage[0].commands, 7);
    }
}
