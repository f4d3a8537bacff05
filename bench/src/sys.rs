//! What the benchmark asks of the system: cores, processor time, memory; and the number conversions it lives on.
//!
//! No unsafe code: children are pinned and tied to our life by `taskset` and `setpriv` (see `targets`).

use std::{fs, time::Duration};

use anyhow::{Context, Result};
use rustix::thread::{CpuSet, sched_setaffinity};

/// Ties the calling thread to a core.
pub(crate) fn pin(core: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).with_context(|| format!("cannot run on core {core}"))
}

/// Processor time of all threads of a process, to the nanosecond.
pub(crate) fn cpu_time(pid: u32) -> Result<Duration> {
    let mut nanos = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread that ends between the listing and the reading takes its time with it.
        let Ok(text) = fs::read_to_string(thread?.path().join("schedstat")) else { continue };
        nanos += text.split(' ').next().and_then(|n| n.parse::<u64>().ok()).context("schedstat")?;
    }
    Ok(Duration::from_nanos(nanos))
}

/// Time that some cores were busy with anything, to the tick.
pub(crate) fn busy_time(cores: [usize; 2]) -> Result<Duration> {
    let text = fs::read_to_string("/proc/stat")?;
    let mut ticks = 0;
    for core in cores {
        let name = format!("cpu{core} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&name)).context("/proc/stat")?;
        let states = line.split(' ').enumerate().filter(|(at, _)| !IDLE_STATES.contains(at));
        ticks += states.filter_map(|(_, n)| n.parse::<u64>().ok()).sum::<u64>();
    }
    Ok(Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second()))
}

/// `idle` and `iowait`, and the guests that are already in `user` and `nice`.
const IDLE_STATES: [usize; 4] = [3, 4, 8, 9];

#[derive(Clone, Copy)]
pub(crate) struct Memory {
    pub(crate) rss: u64,
    pub(crate) pss: u64,
}

pub(crate) fn memory(pid: u32) -> Result<Memory> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let kib = |name: &str| -> Result<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).context("smaps_rollup")?;
        Ok(line.split_whitespace().next().context("smaps_rollup")?.parse::<u64>()? * 1024)
    };
    Ok(Memory { rss: kib("Rss:")?, pss: kib("Pss:")? })
}

/// A size as people write it: `4k`, `1M`, `2G`.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match &text[digits.len()..] {
        "" => 0,
        "k" | "K" => 10,
        "m" | "M" => 20,
        "g" | "G" => 30,
        unit => return Err(format!("unknown unit {unit}: use k, M or G")),
    };
    let number: u64 = digits.parse().map_err(|_| format!("{text} is not a size such as 4k or 1G"))?;
    number.checked_mul(1 << shift).ok_or_else(|| format!("{text} is too large"))
}

/// `usize` is 64 bits on every machine this runs on.
pub(crate) fn wide(n: usize) -> u64 {
    u64::try_from(n).expect("usize has at most 64 bits")
}

pub(crate) fn index(n: u32) -> usize {
    usize::try_from(n).expect("usize has at least 32 bits")
}

pub(crate) fn place(n: u64) -> usize {
    usize::try_from(n).expect("usize has 64 bits")
}

pub(crate) fn short(n: usize) -> u32 {
    u32::try_from(n).expect("lengths on the wire fit 32 bits")
}

#[expect(
    clippy::as_conversions,
    reason = "there is no other way from u64 to f64; 53 bits are enough for a figure"
)]
pub(crate) fn float(n: u64) -> f64 {
    n as f64
}

pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_binary_units() {
        assert_eq!(parse_size("4k"), Ok(4096));
        assert_eq!(parse_size("1G"), Ok(1 << 30));
        assert_eq!(parse_size("512"), Ok(512));
        assert!(parse_size("4kB").is_err() && parse_size("k").is_err());
    }
}
