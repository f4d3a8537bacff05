//! `cargo xtask conformance`: libiscsi's suite, every test, over every way to back a disk.
//!
//! Each test of `iscsi-test-cu` runs in a process of its own, so that a hang or a crash costs one test ([`tool`]). Every
//! set-up has a felio of its own ([`setup`]), and a few of them run side by side. A test may be skipped only where the
//! ledger says so, with the reason ([`ledger`]); a skip that is not listed fails the run, and so does a listed one that is
//! skipped no more.

mod capture;
mod disk;
mod ledger;
mod recorder;
mod setup;
mod tool;

use crate::host::{self, Felio, say};
use core::fmt::Write as _;
use core::num::NonZeroUsize;
use ledger::{Expected, Ledger};
use recorder::Recorder;
use setup::{Setup, setups};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tool::Verdict;

const PROGRAMS: &[(&str, &str)] = &[
    ("iscsi-test-cu", "libiscsi-bin"),
    ("losetup", "mount"),
    ("valgrind", "valgrind"),
    ("tshark", "tshark"),
];

/// Runs libiscsi's suite (Debian's libiscsi-bin) against felio: file, block device and memory, write-back and direct, io_uring and helper
/// threads, 512 and 4096 byte blocks; and what needs a special disk on such a disk.
///
/// Exit status 0 if no test fails, hangs or crashes, and the skipped ones are those that conformance/skips.txt lists.
/// Block devices are loop devices; where this user may not make one, those set-ups are left out, and it is said.
/// With --trace the first set-up is recorded, and tshark must decode it without a malformed PDU or an error from our side.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run only the set-ups whose name holds this text, as in `file,direct` or `4096`.
    #[arg(long, default_value = "")]
    only: String,
    /// Run only the tests whose name holds this text, as in `iSCSIResiduals`.
    #[arg(long, default_value = "")]
    test: String,
    /// Record the first set-up and have tshark judge it.
    #[arg(long)]
    trace: bool,
    /// Set-ups that run side by side [default: one a processor]
    #[arg(long)]
    jobs: Option<NonZeroUsize>,
}

/// Carries the command out.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    host::install(PROGRAMS)?;
    let start = Instant::now();
    let workspace = host::workspace()?;
    let all = tool::tests()?;
    let suite = Suite {
        felio: host::build_felio(&workspace.target)?,
        ledger: Ledger::read(&workspace.root.join("xtask/conformance/skips.txt"), &all)?,
        tests: all.into_iter().filter(|test| test.contains(&args.test)).collect(),
        work: workspace.target.join("conformance"),
    };
    std::fs::create_dir_all(&suite.work)?;
    let mut queue: VecDeque<Setup> =
        setups(&suite.work).into_iter().filter(|setup| setup.name.contains(&args.only)).collect();
    if let Err(error) = queue.iter().find(|setup| setup.is_on_device()).map(Setup::disk).transpose() {
        say(&format!("no set-up on a block device: {error}"))?;
        queue.retain(|setup| !setup.is_on_device());
    }
    if let Some(first) = queue.front_mut() {
        first.trace = args.trace.then(|| suite.work.join("suite.pcap"));
    }
    let jobs = args.jobs.or(std::thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
    let Counts { passed, failed, skipped } = suite.run_side_by_side(jobs, queue)?;
    let seconds = start.elapsed().as_secs();
    say(&format!("conformance: {passed} passed, {failed} failed, {skipped} skipped as listed, {seconds} s"))?;
    Ok(if failed == 0 && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What every set-up needs to know.
struct Suite {
    felio: PathBuf,
    ledger: Ledger,
    tests: Vec<String>,
    work: PathBuf,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    passed: u32,
    failed: u32,
    skipped: u32,
}

impl Counts {
    const fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl Suite {
    /// Runs set-ups, so many at a time.
    fn run_side_by_side(&self, jobs: usize, queue: VecDeque<Setup>) -> anyhow::Result<Counts> {
        let queue = Mutex::new(queue);
        let take = || queue.lock().ok()?.pop_front();
        let work = || -> anyhow::Result<Counts> {
            let mut counts = Counts::default();
            while let Some(setup) = take() {
                counts.add(self.run(&setup)?);
            }
            Ok(counts)
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
            let mut total = Counts::default();
            for worker in workers {
                match worker.join() {
                    Ok(counts) => total.add(counts?),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            Ok(total)
        })
    }

    /// Runs a set-up's tests and tells at once how they went.
    fn run(&self, setup: &Setup) -> anyhow::Result<Counts> {
        let start = Instant::now();
        let disk = setup.disk()?;
        let mut felio = Felio::export(&self.felio, &[&setup.args[..], &disk.args].concat())?;
        let record = |file| Recorder::start(file, felio.portal.parse()?);
        let recorder = setup.trace.as_deref().map(record).transpose()?;
        let url =
            recorder.as_ref().map_or(felio.url(), |recorder| felio.url_by(&recorder.portal().to_string()));
        let (mut counts, mut report) = (Counts::default(), String::new());
        for test in &self.tests {
            let Some(expected) = self.ledger.expect(setup, test) else { continue };
            judge(test, expected, &url, &mut counts, &mut report)?;
            if !felio.is_alive() {
                writeln!(report, "    felio died in {test}")?;
                counts.failed += 1;
                break;
            }
        }
        if let Err(error) = felio.stop() {
            writeln!(report, "    {error}")?;
            counts.failed += 1;
        }
        if let (Some(recorder), Some(file)) = (recorder, &setup.trace) {
            recorder.flush()?;
            counts.failed += capture::judge(file, &mut report)?;
        }
        say((summary(&setup.name, counts, start.elapsed()) + &report).trim_end())?;
        Ok(counts)
    }
}

/// Runs one test and notes how it went.
fn judge(
    test: &str,
    expected: Expected,
    url: &str,
    counts: &mut Counts,
    report: &mut String,
) -> anyhow::Result<()> {
    let (verdict, output) = tool::run_test(test, url)?;
    let note = match (verdict, expected) {
        (Verdict::Passed, Expected::Passed) => {
            counts.passed += 1;
            return Ok(());
        }
        (Verdict::Skipped, Expected::Skipped) => {
            counts.skipped += 1;
            return Ok(());
        }
        (Verdict::Passed, Expected::Skipped) => " (listed as skipped: take it off the list)",
        (Verdict::Skipped, Expected::Passed) => " (not listed)",
        _ => "",
    };
    counts.failed += 1;
    writeln!(report, "    {test}: {verdict}{note}")?;
    for line in tool::telling_lines(&output) {
        writeln!(report, "        {line}")?;
    }
    Ok(())
}

fn summary(name: &str, counts: Counts, took: Duration) -> String {
    let Counts { passed, failed, skipped } = counts;
    let seconds = took.as_secs();
    format!(
        "{name:<32} {passed:>4} passed {failed:>3} failed {skipped:>3} skipped as listed {seconds:>4} s\n"
    )
}
