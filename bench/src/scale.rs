//! A configuration of thousands of disks: how long the daemon takes until it serves it, and how long each change takes after that.
//!
//! A round starts the daemon on the configuration, in a folder of its own, and types one command after the other, each into a shell of its own
//! as scripts do: what is timed is the whole program. Nobody logs in, and disks keep nothing: this is about the configuration alone.

use std::{
    collections::BTreeMap,
    io::Write,
    net::{Ipv4Addr, TcpListener},
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::{Result, ensure};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    cases::Bound,
    report::{self, Judged},
    targets::{self, Daemon},
};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Targets of the configuration, all with one portal
    #[arg(long, default_value_t = SIZE.0, value_parser = clap::value_parser!(u32).range(1..))]
    targets: u32,
    /// LUNs of each, every one a disk of its own
    #[arg(long, default_value_t = SIZE.1, value_parser = clap::value_parser!(u32).range(1..))]
    luns: u32,
    /// How often everything is measured
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// The felio to measure [default: the one beside this program]
    #[arg(long, value_name = "PATH")]
    felio: Option<PathBuf>,
    /// One JSON document instead of tables
    #[arg(long)]
    json: bool,
}

/// What the goals are about: so many targets, with so many LUNs each.
const SIZE: (u32, u32) = (1000, 10);

const RESTORE: &str = "start until served";

/// In milliseconds.
const RESTORE_MAX: Bound = Bound::AtMost(2000.0);
const COMMAND_MAX: Bound = Bound::AtMost(50.0);

/// What is typed in a round, one after the other: {target} is one from the middle, {lun} the first that it has not.
const COMMANDS: &[(&str, &str)] = &[
    ("look at a target", "/iscsi/{target} ls"),
    ("create a backstore", "/backstores/ramdisk create added 1M nullio=true"),
    ("create a LUN", "/iscsi/{target}/tpg1/luns create /backstores/ramdisk/added {lun}"),
    ("set an attribute", "/iscsi/{target}/tpg1 set attribute login_timeout=20"),
    ("delete a LUN", "/iscsi/{target}/tpg1/luns delete {lun}"),
    ("delete a backstore", "/backstores/ramdisk delete added"),
];

/// What one thing took, over the rounds, in milliseconds.
#[derive(Serialize)]
struct Row {
    what: &'static str,
    median: f64,
    worst: f64,
}

pub(crate) fn run(options: &Options, stop: &AtomicBool) -> Result<()> {
    let felio = targets::felio(options.felio.as_deref())?;
    let mut seen: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for round in 0..options.rounds {
        eprintln!("round {} of {}", round + 1, options.rounds);
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let (daemon, took) = Daemon::start(&felio, &config(options.targets, options.luns, port))?;
        seen.entry(RESTORE).or_default().push(took.as_secs_f64() * 1e3);
        for (what, words) in COMMANDS {
            ensure!(!stop.load(Ordering::Relaxed), "interrupted");
            let words = words.replace("{target}", &target(options.targets / 2));
            let took = daemon.time(&words.replace("{lun}", &options.luns.to_string()))?;
            seen.entry(what).or_default().push(took.as_secs_f64() * 1e3);
        }
    }
    let things = [RESTORE].into_iter().chain(COMMANDS.iter().map(|(what, _)| *what));
    let rows: Vec<Row> = things.filter_map(|what| row(what, seen.get(what)?)).collect();
    let goals = judge(&rows, (options.targets, options.luns) == SIZE);
    let text = if options.json { in_json(options, &rows, &goals)? } else { in_tables(&rows, &goals) };
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

fn row(what: &'static str, seen: &[f64]) -> Option<Row> {
    let worst = seen.iter().copied().fold(0.0, f64::max);
    Some(Row { what, median: report::median(seen.iter().copied())?, worst })
}

/// By medians; of the commands by the slowest one's.
fn judge(rows: &[Row], of_size: bool) -> [Judged; 2] {
    let slowest = |is_restore: bool| {
        let medians = rows.iter().filter(|row| (row.what == RESTORE) == is_restore).map(|row| row.median);
        medians.reduce(f64::max).filter(|_| of_size)
    };
    [
        Judged { text: "1,000 x 10 LUNs served: 2 s", bound: RESTORE_MAX, figure: slowest(true) },
        Judged { text: "each later command: 50 ms", bound: COMMAND_MAX, figure: slowest(false) },
    ]
}

fn in_tables(rows: &[Row], goals: &[Judged]) -> String {
    let mut table = report::table(&["what", "median ms", "worst ms"]);
    for Row { what, median, worst } in rows {
        table.add_row([(*what).to_owned(), format!("{median:.1}"), format!("{worst:.1}")]);
    }
    format!("{table}\n{}", report::goal_table("ms", goals))
}

fn in_json(options: &Options, rows: &[Row], goals: &[Judged]) -> Result<String> {
    let goals = report::goal_json("ms", goals);
    let document = json!({"targets": options.targets, "luns": options.luns, "rounds": options.rounds, "ms": rows, "goals": goals});
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

/// A saveconfig.json: disks that keep nothing, so many to a target, open to everybody at this port.
fn config(targets: u32, luns: u32, port: u16) -> Value {
    let disks = (0..targets).flat_map(|at| (0..luns).map(move |lun| disk(at, lun)));
    let targets = (0..targets).map(|at| {
        let luns: Vec<Value> = (0..luns)
            .map(|lun| json!({"index": lun, "storage_object": format!("/backstores/ramdisk/{}", name(at, lun)), "alias": format!("a{lun}"), "alua_tg_pt_gp_name": "default_tg_pt_gp"}))
            .collect();
        let portal = json!({"ip_address": Ipv4Addr::LOCALHOST, "port": port, "iser": false});
        let attributes = json!({"authentication": 0, "generate_node_acls": 1});
        let tpg = json!({"tag": 1, "enable": true, "luns": luns, "node_acls": [], "portals": [portal], "attributes": attributes, "parameters": {}});
        json!({"fabric": "iscsi", "wwn": target(at), "tpgs": [tpg]})
    });
    json!({"storage_objects": disks.collect::<Vec<_>>(), "targets": targets.collect::<Vec<_>>(), "fabric_modules": []})
}

fn disk(target: u32, lun: u32) -> Value {
    let wwn = format!("{target:08x}-0000-4000-8000-{lun:012x}");
    json!({"plugin": "ramdisk", "name": name(target, lun), "size": 1 << 20, "nullio": true, "wwn": wwn, "attributes": {}})
}

fn name(target: u32, lun: u32) -> String {
    format!("d{target}_{lun}")
}

fn target(at: u32) -> String {
    format!("iqn.2026-01.example.felio:t{at:05}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use felio_control::save::{problems, read};

    #[test]
    fn the_configuration_is_one_that_felio_serves_as_it_is() {
        let text = config(3, 2, 3260).to_string();
        assert_eq!(problems(&text), []);
        let (config, notes) = read(&text).expect("valid");
        assert_eq!(notes, []);
        assert_eq!((config.storage.len(), config.targets.len()), (6, 3));
    }

    #[test]
    fn goals_are_judged_by_the_slowest_median_and_at_their_size_alone() {
        let row = |what, median| Row { what, median, worst: 1e9 };
        let rows = [row(RESTORE, 900.0), row("one", 20.0), row("other", 51.0)];
        assert_eq!(judge(&rows, true).map(|goal| goal.figure), [Some(900.0), Some(51.0)]);
        assert_eq!(judge(&rows, false).map(|goal| goal.figure), [None, None]);
    }
}
