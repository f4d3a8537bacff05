//! `iscsi-test-cu`: its tests, one of them run, and what its output means.

use crate::host;
use anyhow::{Context, ensure};
use core::fmt;
use std::process::Command;
use std::time::Duration;

/// How one test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Passed,
    Skipped,
    Failed,
    Hung,
    Crashed,
    DidNotRun,
}

const TEST_LIMIT: Duration = Duration::from_secs(60);

/// A test that can only pass in its second round within one process.
///
/// In libiscsi 1.19 it looks whether the reset was answered before it has sent it (the look is in the right place since
/// 1.20). In a second round it finds the first one's answer, goes on, and does all that it should. The first round also
/// lets a task go that libiscsi still writes to, so that the tool may crash of itself: then it is tried again. (Behind the
/// other test of its suite it seems to pass, but does nothing: that one leaves no session, and so takes it for no iSCSI.)
const SECOND_ROUND: &str = "iSCSITMF.LUNResetSimpleAsync";
const SECOND_ROUND_TRIES: u32 = 20;
/// Without glibc's cache of freed memory that crash is rare.
const SECOND_ROUND_TUNABLES: &str = "glibc.malloc.tcache_count=0";

/// Where the output of a round begins. Before the first, the tool probes the device, and says so.
const ROUND: &str = "Suite:";

/// Every test as `Suite.Test`.
pub(super) fn tests() -> anyhow::Result<Vec<String>> {
    let output = Command::new("iscsi-test-cu").arg("--list").output().context("cannot run iscsi-test-cu")?;
    // The list goes to either stream, by version.
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let tests: Vec<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("ALL."))
        .filter(|name| name.matches('.').count() == 1)
        .map(str::to_owned)
        .collect();
    ensure!(!tests.is_empty(), "iscsi-test-cu --list named no test");
    Ok(tests)
}

/// Runs a test: how it ended, and what it said.
pub(super) fn run_test(test: &str, url: &str) -> anyhow::Result<(Verdict, String)> {
    if test == SECOND_ROUND {
        return run_second_round(test, url);
    }
    let mut command = command(&format!("ALL.{test}"), url);
    if test.starts_with("MultipathIO.") {
        command.arg(url);
    }
    let (output, code) = host::limited(TEST_LIMIT, &mut command)?;
    let told = output.find(ROUND).map_or(output.as_str(), |at| &output[at..]);
    Ok((verdict(told, code), told.to_owned()))
}

fn run_second_round(test: &str, url: &str) -> anyhow::Result<(Verdict, String)> {
    let mut last = (Verdict::DidNotRun, String::new());
    for _ in 0..SECOND_ROUND_TRIES {
        let mut command = command(&format!("ALL.{test},ALL.{test}"), url);
        command.env("GLIBC_TUNABLES", SECOND_ROUND_TUNABLES);
        let (output, code) = host::limited(TEST_LIMIT, &mut command)?;
        let second = output.match_indices(ROUND).nth(1).map_or("", |(at, _)| &output[at..]);
        last = (verdict(second, code), output.clone());
        if last.0 != Verdict::Crashed {
            break;
        }
    }
    Ok(last)
}

fn command(tests: &str, url: &str) -> Command {
    let mut command = Command::new("iscsi-test-cu");
    command.args(["-d", "-S", "-v", "-t", tests, url]);
    command
}

fn verdict(output: &str, code: Option<i32>) -> Verdict {
    let failed = output.contains("...FAILED") || output.lines().any(is_assertion);
    // What stands behind the verdict comes from the tool's tidying up after the test.
    let (told, passed) = output.split_once("passed").map_or((output, false), |(told, _)| (told, true));
    match code {
        None => Verdict::Hung,
        Some(code) if code >= 128 => Verdict::Crashed,
        Some(_) if failed => Verdict::Failed,
        Some(_) if told.contains("[SKIPPED]") => Verdict::Skipped,
        Some(_) if passed => Verdict::Passed,
        Some(_) => Verdict::DidNotRun,
    }
}

/// CUnit lists failed assertions as `  1. file.c:12  - …`.
fn is_assertion(line: &str) -> bool {
    let line = line.trim_start();
    let rest = line.trim_start_matches(|c: char| c.is_ascii_digit());
    rest.len() < line.len() && rest.starts_with(". ") && rest.contains(".c:")
}

/// The lines of an output that tell something.
pub(super) fn telling_lines(output: &str) -> impl Iterator<Item = &str> {
    let noise = ["CUnit", "cunit.source", "Run Summary", "Elapsed", "suites ", "tests ", "asserts "];
    let tells = move |line: &&str| !line.trim().is_empty() && !noise.iter().any(|word| line.contains(word));
    output.lines().filter(tells).map(str::trim).take(20)
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passed => "PASSED",
            Self::Skipped => "SKIPPED",
            Self::Failed => "FAILED",
            Self::Hung => "HUNG",
            Self::Crashed => "CRASHED",
            Self::DidNotRun => "DID NOT RUN",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listed_assertion_is_a_failure() {
        let output = "Test: Simple ...passed\n    1. test_read10.c:31  - CU_ASSERT\n";
        assert_eq!(verdict(output, Some(0)), Verdict::Failed);
    }

    #[test]
    fn what_is_skipped_after_the_verdict_is_not_the_test() {
        let tidying = "  Test: Simple ...passed    [SKIPPED] PERSISTENT RESERVE IN";
        assert_eq!(verdict(tidying, Some(0)), Verdict::Passed);
        assert_eq!(verdict("  Test: Simple ...    [SKIPPED] No PR passed", Some(0)), Verdict::Skipped);
    }

    #[test]
    fn a_killed_test_hung() {
        assert_eq!(verdict("", None), Verdict::Hung);
    }

    #[test]
    fn a_test_that_says_nothing_did_not_run() {
        assert_eq!(verdict("", Some(0)), Verdict::DidNotRun);
    }
}
