//! `GET /metrics`: what was counted, as OpenMetrics text.
//!
//! Each number is a row of a table, with the sentence that explains it; the same rows tell of storage objects, target ports and sessions. Times of
//! sessions, and the finer buckets of all times, are in `/v1/stats` only: series here are as many as objects, times a constant.

use core::time::Duration;
use felio_control::TpgKey;
use felio_control::stats::{LunStats, SessionStats, Stats, StorageStats, TargetStats, Times, Traffic};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::registry::{Registry, Unit};
use std::collections::BTreeMap;
use std::fmt;

/// What the text is, for HTTP.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The text.
pub(super) fn text(stats: Stats) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("felio");
    registry.register_collector(Box::new(Page(stats)));
    let mut page = String::new();
    text::encode(&mut page, &registry)?;
    Ok(page)
}

/// A number of an object.
struct Row<T> {
    name: &'static str,
    unit: Option<Unit>,
    /// What it counts, before "of a storage object" and the like.
    help: &'static str,
    values: Values<T>,
}

enum Values<T> {
    Counter(fn(&T) -> u64),
    Gauge(fn(&T) -> u64),
    /// One for each value of a label.
    Counters(&'static str, fn(&T) -> Vec<(String, u64)>),
    Times(fn(&T) -> &Times),
    /// Nanoseconds that grow.
    Seconds(fn(&T) -> u64),
}

/// What is told of all commands.
static TRAFFIC: [Row<Traffic>; 9] = [
    Row {
        name: "commands",
        unit: None,
        help: "Commands that were answered, by what they do",
        values: Values::Counters("kind", |traffic| {
            traffic.commands.by_name().map(|(name, count)| (name.to_owned(), count)).to_vec()
        }),
    },
    Row {
        name: "sent",
        unit: Some(Unit::Bytes),
        help: "Data-In of commands",
        values: Values::Counter(|traffic| traffic.bytes_in),
    },
    Row {
        name: "received",
        unit: Some(Unit::Bytes),
        help: "Data-Out of commands",
        values: Values::Counter(|traffic| traffic.bytes_out),
    },
    Row {
        name: "in_flight",
        unit: None,
        help: "Commands that are not answered, or of which an operation is not finished",
        values: Values::Gauge(|traffic| traffic.in_flight),
    },
    Row {
        name: "check_conditions",
        unit: None,
        help: "Commands that ended with CHECK CONDITION, by sense key",
        values: Values::Counters("sense_key", |traffic| listed(&traffic.check_conditions)),
    },
    Row {
        name: "failures",
        unit: None,
        help: "Commands that ended with another status than GOOD or CHECK CONDITION",
        values: Values::Counters("status", |traffic| listed(&traffic.failures)),
    },
    Row {
        name: "abandoned_commands",
        unit: None,
        help: "Commands that ended without an answer: aborted, or their session was lost",
        values: Values::Counter(|traffic| traffic.abandoned),
    },
    Row {
        name: "task_management",
        unit: None,
        help: "Task management functions",
        values: Values::Counters("function", |traffic| listed(&traffic.functions)),
    },
    Row {
        name: "command_duration",
        unit: Some(Unit::Seconds),
        help: "Time from the arrival of a command to its answer",
        values: Values::Times(|traffic| &traffic.latency),
    },
];

/// What is told of storage objects beside.
static STORAGE: [Row<StorageStats>; 6] = [
    Row {
        name: "store_duration",
        unit: Some(Unit::Seconds),
        help: "Time from the submission of an operation of the device or file to its completion",
        values: Values::Times(|storage| &storage.store),
    },
    Row {
        name: "store_failures",
        unit: None,
        help: "Operations of the device or file that failed",
        values: Values::Counter(|storage| storage.store_failures),
    },
    Row {
        name: "unit_attentions",
        unit: None,
        help: "Unit attention conditions that were established, for each initiator concerned",
        values: Values::Counter(|storage| storage.attentions),
    },
    Row {
        name: "unit_attentions_told",
        unit: None,
        help: "Unit attention conditions that initiators were told by CHECK CONDITION",
        values: Values::Counter(|storage| storage.attentions_told),
    },
    Row {
        name: "resets",
        unit: None,
        help: "Resets of the logical unit",
        values: Values::Counter(|storage| storage.resets),
    },
    Row {
        name: "aborts",
        unit: None,
        help: "ABORT TASK functions, by whether they found their task",
        values: Values::Counters("task", |storage| {
            vec![("found".to_owned(), storage.aborts), ("missed".to_owned(), storage.aborts_missed)]
        }),
    },
];

/// What is told of numbers.
static LUNS: [Row<LunStats>; 5] = [
    Row {
        name: "commands",
        unit: None,
        help: "Commands that were answered",
        values: Values::Counter(|lun| lun.commands),
    },
    Row {
        name: "errors",
        unit: None,
        help: "Commands that ended with another status than GOOD",
        values: Values::Counter(|lun| lun.errors),
    },
    Row {
        name: "sent",
        unit: Some(Unit::Bytes),
        help: "Data-In of commands",
        values: Values::Counter(|lun| lun.bytes_in),
    },
    Row {
        name: "received",
        unit: Some(Unit::Bytes),
        help: "Data-Out of commands",
        values: Values::Counter(|lun| lun.bytes_out),
    },
    Row {
        name: "command_time",
        unit: Some(Unit::Seconds),
        help: "Time from the arrival of commands to their answers, all together",
        values: Values::Seconds(|lun| lun.nanos),
    },
];

/// What is told of iSCSI targets.
static TARGETS: [Row<TargetStats>; 4] = [
    Row {
        name: "logins",
        unit: None,
        help: "Logins that were accepted",
        values: Values::Counter(|of| of.logins.accepted),
    },
    Row {
        name: "failed_logins",
        unit: None,
        help: "Logins that were refused",
        values: Values::Counters("why", |TargetStats { logins, .. }| {
            let counts = [
                ("not_authorized", logins.not_authorized),
                ("not_authenticated", logins.not_authenticated),
                ("not_negotiated", logins.not_negotiated),
                ("other", logins.failed_otherwise),
            ];
            counts.map(|(name, count)| (name.to_owned(), count)).to_vec()
        }),
    },
    Row {
        name: "ended_sessions",
        unit: None,
        help: "Sessions that ended, by logout or otherwise",
        values: Values::Counters("how", |TargetStats { logins, .. }| {
            [("logout", logins.logouts), ("lost", logins.losses)]
                .map(|(name, count)| (name.to_owned(), count))
                .to_vec()
        }),
    },
    Row {
        name: "session_failures",
        unit: None,
        help: "Sessions that were ended for a failure",
        values: Values::Counters("failure", |TargetStats { logins, .. }| {
            let counts = [
                ("digest", logins.digest_errors),
                ("timeout", logins.timeouts),
                ("format", logins.format_errors),
            ];
            counts.map(|(name, count)| (name.to_owned(), count)).to_vec()
        }),
    },
];

fn listed(counts: &BTreeMap<String, u64>) -> Vec<(String, u64)> {
    counts.iter().map(|(name, count)| (name.clone(), *count)).collect()
}

type Labels = Vec<(&'static str, String)>;

#[derive(Debug)]
struct Page(Stats);

impl Collector for Page {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Stats { bounds_nanos, storage, ports, luns, targets, sessions, .. } = &self.0;
        let labelled: Vec<(Labels, &StorageStats)> =
            storage.iter().map(|of| (vec![("storage", of.storage.to_string())], of)).collect();
        let commands: Vec<(Labels, &Traffic)> =
            labelled.iter().map(|(labels, of)| (labels.clone(), &of.traffic)).collect();
        let ports: Vec<(Labels, &Traffic)> = ports.iter().map(|of| (place(&of.tpg), &of.traffic)).collect();
        let merged = by_initiator(sessions);
        let sessions: Vec<(Labels, &Traffic)> =
            merged.iter().map(|((tpg, initiator), of)| (who(tpg, initiator), of)).collect();
        let fabric = [(vec![("fabric", "iscsi".to_owned())], &self.0.total)];
        for row in &TRAFFIC {
            encode(&mut encoder, row, ("fabric", "of a fabric"), &fabric, bounds_nanos)?;
            encode(&mut encoder, row, ("storage", "of a storage object"), &commands, bounds_nanos)?;
            encode(&mut encoder, row, ("port", "of a target port"), &ports, bounds_nanos)?;
            if !matches!(row.values, Values::Times(_)) {
                encode(
                    &mut encoder,
                    row,
                    ("session", "of an initiator's sessions"),
                    &sessions,
                    bounds_nanos,
                )?;
            }
        }
        for row in &STORAGE {
            encode(&mut encoder, row, ("storage", "of a storage object"), &labelled, bounds_nanos)?;
        }
        let whole = by_lun(luns);
        let whole: Vec<(Labels, &LunStats)> = whole.iter().map(|lun| (number(lun), lun)).collect();
        let mapped: Vec<(Labels, &LunStats)> =
            luns.iter().filter_map(|lun| Some((mapped(lun, lun.initiator.as_ref()?), lun))).collect();
        for row in &LUNS {
            encode(&mut encoder, row, ("lun", "of a LUN of a portal group"), &whole, bounds_nanos)?;
            encode(&mut encoder, row, ("mapped_lun", "of a LUN of an initiator"), &mapped, bounds_nanos)?;
        }
        let targets: Vec<(Labels, &TargetStats)> =
            targets.iter().map(|of| (vec![("target", of.target.wwn.clone())], of)).collect();
        for row in &TARGETS {
            encode(&mut encoder, row, ("target", "of a target"), &targets, bounds_nanos)?;
        }
        Ok(())
    }
}

/// Sessions of one initiator at one target port: their numbers would be new series with each login.
fn by_initiator(sessions: &[SessionStats]) -> BTreeMap<(&TpgKey, &str), Traffic> {
    let mut merged = BTreeMap::new();
    for session in sessions {
        let traffic: &mut Traffic = merged.entry((&session.tpg, session.initiator.as_str())).or_default();
        *traffic = core::mem::take(traffic).and(&session.traffic);
    }
    merged
}

/// All who find a number of a portal group together.
fn by_lun(luns: &[LunStats]) -> Vec<LunStats> {
    let mut merged: BTreeMap<(&TpgKey, u16), LunStats> = BTreeMap::new();
    for lun in luns {
        let nothing =
            || LunStats { commands: 0, errors: 0, bytes_in: 0, bytes_out: 0, nanos: 0, ..lun.clone() };
        let all = merged.entry((&lun.tpg, lun.lun)).or_insert_with(nothing);
        all.commands += lun.commands;
        all.errors += lun.errors;
        all.bytes_in += lun.bytes_in;
        all.bytes_out += lun.bytes_out;
        all.nanos += lun.nanos;
    }
    merged.into_values().collect()
}

fn number(lun: &LunStats) -> Labels {
    [place(&lun.tpg), vec![("lun", lun.lun.to_string()), ("storage", lun.storage.to_string())]].concat()
}

fn mapped(lun: &LunStats, initiator: &str) -> Labels {
    let own = vec![("initiator", initiator.to_owned()), ("mapped_lun", lun.mapped_lun.to_string())];
    [number(lun), own].concat()
}

fn place(tpg: &TpgKey) -> Labels {
    vec![("target", tpg.target.wwn.clone()), ("tpg", tpg.tag.to_string())]
}

fn who(tpg: &TpgKey, initiator: &str) -> Labels {
    [place(tpg), vec![("initiator", initiator.to_owned())]].concat()
}

/// A row, of all objects.
fn encode<T>(
    encoder: &mut DescriptorEncoder<'_>,
    row: &Row<T>,
    (level, whose): (&str, &str),
    objects: &[(Labels, &T)],
    bounds: &[u64],
) -> fmt::Result {
    let name = format!("{level}_{}", row.name);
    let kind = match row.values {
        Values::Counter(_) | Values::Counters(..) | Values::Seconds(_) => MetricType::Counter,
        Values::Gauge(_) => MetricType::Gauge,
        Values::Times(_) => MetricType::Histogram,
    };
    let help = format!("{}, {whose}.", row.help);
    let mut family = encoder.encode_descriptor(&name, &help, row.unit.as_ref(), kind)?;
    for (labels, object) in objects {
        match row.values {
            Values::Counter(value) => counter(&mut family.encode_family(labels)?, value(object))?,
            Values::Seconds(value) => {
                let seconds = Duration::from_nanos(value(object)).as_secs_f64();
                family.encode_family(labels)?.encode_counter(&seconds, None::<&Exemplar<NoLabelSet, f64>>)?;
            }
            Values::Gauge(value) => family.encode_family(labels)?.encode_gauge(&gauge(value(object)))?,
            Values::Counters(label, values) => {
                for (name, value) in values(object) {
                    let labels = [labels.clone(), vec![(label, name)]].concat();
                    counter(&mut family.encode_family(&labels)?, value)?;
                }
            }
            Values::Times(times) => {
                histogram(&mut family.encode_family(labels)?, times(object), bounds)?;
            }
        }
    }
    Ok(())
}

fn counter(encoder: &mut MetricEncoder<'_>, value: u64) -> fmt::Result {
    encoder.encode_counter(&value, None::<&Exemplar<NoLabelSet, f64>>)
}

fn gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// So many of our buckets are one here.
const MERGED: usize = 8;

fn histogram(encoder: &mut MetricEncoder<'_>, times: &Times, bounds: &[u64]) -> fmt::Result {
    let seconds = |nanos: u64| Duration::from_nanos(nanos).as_secs_f64();
    let mut buckets: Vec<(f64, u64)> = Vec::new();
    let mut from = 0;
    // The first bound is a power of two, and every one that follows is four times as much.
    for at in (MERGED / 2 - 1..bounds.len()).step_by(MERGED) {
        let counts = times.buckets.iter().skip(from).take(at + 1 - from);
        buckets.push((seconds(bounds[at]), counts.sum()));
        from = at + 1;
    }
    buckets.push((f64::INFINITY, times.buckets.iter().skip(from).sum()));
    encoder.encode_histogram::<NoLabelSet>(seconds(times.total_nanos), times.count(), &buckets, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats() -> Stats {
        let traffic = Traffic {
            latency: Times { total_nanos: 3_000, buckets: vec![0, 0, 0, 2, 0, 1] },
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
        Stats {
            bounds_nanos: felio_hal::meter::bounds().to_vec(),
            storage: vec![storage],
            ..Stats::default()
        }
    }

    fn line(start: &str) -> String {
        let page = text(stats()).expect("text");
        let line = page.lines().find(|line| line.starts_with(start));
        line.unwrap_or_else(|| panic!("no {start} in {page}")).to_owned()
    }

    #[test]
    fn every_family_has_a_sentence_a_type_and_its_lines_together() {
        let page = text(stats()).expect("text");
        assert!(page.ends_with("# EOF\n"), "{page}");
        let mut described: Vec<&str> = Vec::new();
        for line in page.lines().filter(|line| *line != "# EOF") {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, help) = help.split_once(' ').expect("a name and a sentence");
                assert!(help.ends_with('.') && !described.contains(&name), "{line}");
                described.push(name);
            } else if !line.starts_with('#') {
                let family = described.last().expect("a family");
                assert!(line.starts_with(family), "{line} belongs to {family}");
            }
        }
    }

    #[test]
    fn bounds_are_powers_of_four_and_counts_add_up() {
        let bucket = "felio_storage_command_duration_seconds_bucket";
        let page = text(stats()).expect("text");
        let buckets: Vec<&str> = page.lines().filter(|line| line.starts_with(bucket)).collect();
        assert!(buckets[0].contains("le=\"0.000001024\"") && buckets[0].ends_with(" 2"), "{buckets:?}");
        assert!(buckets[1].contains("le=\"0.000004096\"") && buckets[1].ends_with(" 3"), "{buckets:?}");
        assert!(buckets.last().is_some_and(|last| last.contains("+Inf") && last.ends_with(" 3")));
    }

    #[test]
    fn an_object_is_known_by_its_path() {
        let wanted = "felio_storage_sent_bytes_total{storage=\"/backstores/ramdisk/a\"} 0";
        assert_eq!(line("felio_storage_sent_bytes_total"), wanted);
    }
}
