//! What is measured against what, and what the project promises: two tables.
//!
//! A case is one shape of load; its contenders run it one after the other in every round. A goal compares two series,
//! round by round. Adding a case is adding a row.

use std::fmt;

use crate::{
    initiator::{Group, Order, Waiting},
    pdu::Direction,
};

/// Who is measured. Each is its own process, started when first needed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub(crate) enum Contender {
    Null,
    /// Polls 50 µs before it sleeps.
    NullSpin,
    Felio,
    /// Polls 50 µs before it sleeps.
    FelioSpin,
    /// Another build of it (`--other`).
    FelioOther,
    /// Two reactors for the one unit.
    FelioTwo,
    /// A file in the page cache.
    FelioFile,
    /// A file past the page cache.
    FelioDirect,
    Tgt,
    /// fio with io_uring on the file of `FelioDirect`: no network at all.
    Fio,
}

/// What `--targets` selects.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(crate) enum Family {
    Null,
    Felio,
    Tgt,
    Fio,
}

pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// The first group is the one reported.
    pub(crate) groups: &'static [Group],
    pub(crate) waiting: Waiting,
    pub(crate) contenders: &'static [Contender],
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Metric {
    Iops,
    P50,
    P99,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

/// `metric` of `of`, divided by that of `to`, keeps the bound.
pub(crate) struct Goal {
    pub(crate) text: &'static str,
    pub(crate) metric: Metric,
    pub(crate) of: Series,
    pub(crate) to: Series,
    pub(crate) bound: Bound,
}

/// A case's name and a contender.
pub(crate) type Series = (&'static str, Contender);

use Contender::{Felio, FelioDirect, FelioFile, FelioOther, FelioSpin, FelioTwo, Fio, Null, NullSpin, Tgt};
use Direction::{Read, Write};
use Waiting::{Sleep, Spin};

const fn group(sessions: usize, depth: usize, bytes: u32, direction: Direction) -> Group {
    Group { sessions, depth, bytes, direction, order: Order::Random }
}

const KIB: u32 = 1 << 10;
const MIB: u32 = 1 << 20;
const ALL: &[Contender] = &[Null, Felio, Tgt];

#[rustfmt::skip]
pub(crate) const CASES: &[Case] = &[
    Case { name: "4k-randread",        about: "4 KiB random reads, 4 sessions x 32",   waiting: Sleep, groups: &[group(4, 32, 4 * KIB, Read)],    contenders: ALL },
    Case { name: "4k-randwrite",       about: "4 KiB random writes, 4 sessions x 32",  waiting: Sleep, groups: &[group(4, 32, 4 * KIB, Write)],   contenders: ALL },
    Case { name: "4k-read-depth1",     about: "4 KiB reads one by one, client spins",  waiting: Spin,  groups: &[group(1, 1, 4 * KIB, Read)],     contenders: &[Null, NullSpin, Felio, FelioSpin, Tgt] },
    Case { name: "4k-read-1x32",       about: "4 KiB random reads, 1 session x 32",    waiting: Sleep, groups: &[group(1, 32, 4 * KIB, Read)],    contenders: ALL },
    Case { name: "4k-write-1x32",      about: "4 KiB random writes, 1 session x 32",   waiting: Sleep, groups: &[group(1, 32, 4 * KIB, Write)],   contenders: ALL },
    Case { name: "128k-read",          about: "128 KiB reads, 1 session x 8",          waiting: Sleep, groups: &[group(1, 8, 128 * KIB, Read)],   contenders: ALL },
    Case { name: "128k-write",         about: "128 KiB writes, 1 session x 8",         waiting: Sleep, groups: &[group(1, 8, 128 * KIB, Write)],  contenders: ALL },
    Case { name: "1m-read",            about: "1 MiB reads, 1 session x 4",            waiting: Sleep, groups: &[group(1, 4, MIB, Read)],         contenders: ALL },
    Case { name: "1m-write",           about: "1 MiB writes, 1 session x 4",           waiting: Sleep, groups: &[group(1, 4, MIB, Write)],        contenders: ALL },
    Case { name: "cached-4k-randread", about: "page-cached file against ram",          waiting: Sleep, groups: &[group(4, 32, 4 * KIB, Read)],    contenders: &[Felio, FelioFile] },
    Case { name: "cached-4k-randwrite", about: "page-cached file against ram",         waiting: Sleep, groups: &[group(4, 32, 4 * KIB, Write)],   contenders: &[Felio, FelioFile] },
    Case { name: "direct-4k-randread", about: "O_DIRECT file against fio, 1 x 32",     waiting: Sleep, groups: &[group(1, 32, 4 * KIB, Read)],    contenders: &[FelioDirect, Fio] },
    Case { name: "direct-4k-randwrite", about: "O_DIRECT file against fio, 1 x 32",    waiting: Sleep, groups: &[group(1, 32, 4 * KIB, Write)],   contenders: &[FelioDirect, Fio] },
    Case { name: "direct-4x32-randread", about: "O_DIRECT file against fio, 4 x 32",   waiting: Sleep, groups: &[group(4, 32, 4 * KIB, Read)],    contenders: &[FelioDirect, Fio] },
    Case { name: "direct-4x32-randwrite", about: "O_DIRECT file against fio, 4 x 32",  waiting: Sleep, groups: &[group(4, 32, 4 * KIB, Write)],   contenders: &[FelioDirect, Fio] },
    Case { name: "cores-4k-randread",  about: "one unit on one core and on two",       waiting: Sleep, groups: &[group(4, 32, 4 * KIB, Read)],    contenders: &[Felio, FelioTwo] },
    Case { name: "cores-4k-randwrite", about: "one unit on one core and on two",       waiting: Sleep, groups: &[group(4, 32, 4 * KIB, Write)],   contenders: &[Felio, FelioTwo] },
    Case { name: "cores-64k-read",     about: "one unit on one core and on two",       waiting: Sleep, groups: &[group(4, 8, 64 * KIB, Read)],    contenders: &[Felio, FelioTwo] },
    Case { name: "builds-4k-randread", about: "one build against another (--other)",    waiting: Sleep, groups: &[group(4, 32, 4 * KIB, Read)],    contenders: &[Felio, FelioOther] },
    Case { name: "builds-4k-randwrite", about: "one build against another (--other)",   waiting: Sleep, groups: &[group(4, 32, 4 * KIB, Write)],   contenders: &[Felio, FelioOther] },
    Case { name: "fair-quiet",         about: "4 KiB reads one by one, nobody else",   waiting: Spin,  groups: &[group(1, 1, 4 * KIB, Read)],     contenders: ALL },
    Case { name: "fair-loaded",        about: "the same beside 1 x 64 reads of 1 MiB", waiting: Spin,  groups: &[group(1, 1, 4 * KIB, Read), group(1, 64, MIB, Read)], contenders: ALL },
];

/// Memory an idle session costs; not a load, and measured once.
pub(crate) const IDLE_CASE: &str = "idle-sessions";
pub(crate) const IDLE_SESSIONS: u32 = 200;

/// Fills a unit from end to end, so that nobody reads a hole.
pub(crate) const FILL: &[Group] =
    &[Group { sessions: 1, depth: 4, bytes: MIB, direction: Write, order: Order::Once }];

#[rustfmt::skip]
pub(crate) const GOALS: &[Goal] = &[
    Goal { text: "4 KiB random reads, ram: 8 x tgt",              metric: Metric::Iops, of: ("4k-randread", Felio),             to: ("4k-randread", Tgt),           bound: Bound::AtLeast(8.0) },
    Goal { text: "4 KiB random writes, ram: 8 x tgt",             metric: Metric::Iops, of: ("4k-randwrite", Felio),            to: ("4k-randwrite", Tgt),          bound: Bound::AtLeast(8.0) },
    Goal { text: "128 KiB reads: 1.5 x tgt",                      metric: Metric::Iops, of: ("128k-read", Felio),               to: ("128k-read", Tgt),             bound: Bound::AtLeast(1.5) },
    Goal { text: "128 KiB writes: 1.5 x tgt",                     metric: Metric::Iops, of: ("128k-write", Felio),              to: ("128k-write", Tgt),            bound: Bound::AtLeast(1.5) },
    Goal { text: "1 MiB reads: 1.5 x tgt",                        metric: Metric::Iops, of: ("1m-read", Felio),                 to: ("1m-read", Tgt),               bound: Bound::AtLeast(1.5) },
    Goal { text: "1 MiB writes: 1.5 x tgt",                       metric: Metric::Iops, of: ("1m-write", Felio),                to: ("1m-write", Tgt),              bound: Bound::AtLeast(1.5) },
    Goal { text: "page-cached file, reads: 0.8 of ram",           metric: Metric::Iops, of: ("cached-4k-randread", FelioFile),  to: ("cached-4k-randread", Felio),  bound: Bound::AtLeast(0.8) },
    Goal { text: "page-cached file, writes: 0.8 of ram",          metric: Metric::Iops, of: ("cached-4k-randwrite", FelioFile), to: ("cached-4k-randwrite", Felio), bound: Bound::AtLeast(0.8) },
    Goal { text: "O_DIRECT, reads at depth 128: 0.9 of fio",      metric: Metric::Iops, of: ("direct-4x32-randread", FelioDirect), to: ("direct-4x32-randread", Fio), bound: Bound::AtLeast(0.9) },
    Goal { text: "O_DIRECT, writes at depth 128: 0.9 of fio",     metric: Metric::Iops, of: ("direct-4x32-randwrite", FelioDirect), to: ("direct-4x32-randwrite", Fio), bound: Bound::AtLeast(0.9) },
    Goal { text: "O_DIRECT, reads at depth 32: 0.9 of fio",                   metric: Metric::Iops, of: ("direct-4k-randread", FelioDirect), to: ("direct-4k-randread", Fio),   bound: Bound::AtLeast(0.9) },
    Goal { text: "O_DIRECT, writes at depth 32: 0.9 of fio",                  metric: Metric::Iops, of: ("direct-4k-randwrite", FelioDirect), to: ("direct-4k-randwrite", Fio), bound: Bound::AtLeast(0.9) },
    Goal { text: "depth 1: p50 at most 1.2 x the null responder", metric: Metric::P50,  of: ("4k-read-depth1", Felio),          to: ("4k-read-depth1", Null),       bound: Bound::AtMost(1.2) },
    Goal { text: "--spin halves the p50 of depth 1",              metric: Metric::P50,  of: ("4k-read-depth1", FelioSpin),      to: ("4k-read-depth1", Felio),      bound: Bound::AtMost(0.5) },
    Goal { text: "4 KiB reads: 0.99 of the other build",          metric: Metric::Iops, of: ("builds-4k-randread", Felio),        to: ("builds-4k-randread", FelioOther),  bound: Bound::AtLeast(0.99) },
    Goal { text: "4 KiB writes: 0.99 of the other build",         metric: Metric::Iops, of: ("builds-4k-randwrite", Felio),       to: ("builds-4k-randwrite", FelioOther), bound: Bound::AtLeast(0.99) },
    Goal { text: "p99 beside a heavy connection: 3 x quiet",      metric: Metric::P99,  of: ("fair-loaded", Felio),             to: ("fair-quiet", Felio),          bound: Bound::AtMost(3.0) },
];

impl Contender {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Null => "null",
            NullSpin => "null --spin",
            Felio => "felio",
            FelioOther => "felio other",
            FelioSpin => "felio --spin",
            FelioTwo => "felio --cores 2",
            FelioFile => "felio file",
            FelioDirect => "felio direct",
            Tgt => "tgt",
            Fio => "fio",
        }
    }

    pub(crate) fn family(self) -> Family {
        match self {
            Null | NullSpin => Family::Null,
            Felio | FelioOther | FelioSpin | FelioTwo | FelioFile | FelioDirect => Family::Felio,
            Tgt => Family::Tgt,
            Fio => Family::Fio,
        }
    }
}

impl Bound {
    pub(crate) fn holds(self, ratio: f64) -> bool {
        match self {
            Self::AtLeast(bound) => ratio >= bound,
            Self::AtMost(bound) => ratio <= bound,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(bound) => write!(f, ">= {bound}"),
            Self::AtMost(bound) => write!(f, "<= {bound}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_goal_names_a_series_that_is_measured() {
        for (name, contender) in GOALS.iter().flat_map(|goal| [goal.of, goal.to]) {
            let case = CASES.iter().find(|case| case.name == name).expect(name);
            assert!(case.contenders.contains(&contender), "{name} {}", contender.name());
        }
    }

    #[test]
    fn case_names_are_unique() {
        for (at, case) in CASES.iter().enumerate() {
            assert!(CASES[..at].iter().all(|other| other.name != case.name), "{}", case.name);
        }
    }
}
