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
/// lets a task go that libiscsi still writes to, so that the tool would mostly crash of itself: valgrind does not give freed
/// memory to others so soon. (Behind the other test of its suite it seems to pass, but does nothing: that one leaves no
/// session, and so takes it for no iSCSI.)
const SECOND_ROUND: &str = "iSCSITMF.LUNResetSimpleAsync";
const VALGRIND: [&str; 4] = ["-q", "--leak-check=no", "--undef-value-errors=no", TOOL];

const TOOL: &str = "iscsi-test-cu";

/// Where the output of a round begins. Before the first, the tool probes the device, and says so.
const ROUND: &str = "Suite:";

/// Every test as `Suite.Test`.
pub(super) fn tests() -> anyhow::Result<Vec<String>> {
    let output = Command::new(TOOL).arg("--list").output().context("cannot run iscsi-test-cu")?;
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
        let mut valgrind = Command::new("valgrind");
        valgrind.args(VALGRIND);
        let (output, code) =
            host::limited(TEST_LIMIT, &mut run(valgrind, &format!("ALL.{test},ALL.{test}"), url))?;
        let second = output.match_indices(ROUND).nth(1).map_or("", |(at, _)| &output[at..]);
        return Ok((verdict(second, code), output));
    }
    let mut command = run(Command::new(TOOL), &format!("ALL.{test}"), url);
    if test.starts_with("MultipathIO.") {
        command.arg(url);
    }
    let (output, code) = host::limited(TEST_LIMIT, &mut command)?;
    let told = output.find(ROUND).map_or(output.as_str(), |at| &output[at..]);
    Ok((verdict(told, code), told.to_owned()))
}

fn run(mut tool: Command, tests: &str, url: &str) -> Command {
    tool.args(["-d", "-S", "-v", "-t", tests, url]);
    tool
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
