//! `cargo xtask conformance`: libiscsi's suite, every test, over every way to back a disk.
//!
//! Each test of `iscsi-test-cu` runs in a process of its own, so that a hang or a crash costs one test. A test may be
//! skipped only if `conformance/skips.txt` names it with the reason; a skip that is not listed fails the run, and so does a
//! listed one that is skipped no more.

use crate::host::{self, Felio, say};
use anyhow::{Context, ensure};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

const PROGRAMS: &[(&str, &str)] = &[("iscsi-test-cu", "libiscsi-bin"), ("tshark", "tshark")];
const TEST_LIMIT: Duration = Duration::from_secs(60);

/// Runs libiscsi's suite (Debian's libiscsi-bin) against felio: file and memory, write-back and direct, io_uring and helper
/// threads, 512 and 4096 byte blocks.
///
/// Exit status 0 if no test fails, hangs or crashes, and the skipped ones are those that conformance/skips.txt lists.
/// With --trace the first run is captured and tshark must decode it without a malformed PDU or an error from our side.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run only the set-ups whose name holds this text, as in `file,direct` or `4096`.
    #[arg(long, default_value = "")]
    only: String,
    /// Run only the tests whose name holds this text, as in `iSCSIResiduals`.
    #[arg(long, default_value = "")]
    test: String,
    /// Capture the first run (needs the right to capture on the loopback) and have tshark judge it.
    #[arg(long)]
    trace: bool,
}

/// Carries the command out.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    host::install(PROGRAMS)?;
    let workspace = host::workspace()?;
    let felio = host::build_felio(&workspace.target)?;
    let ledger = ledger(&workspace.root.join("xtask/conformance/skips.txt"))?;
    let tests: Vec<String> = tests()?.into_iter().filter(|test| test.contains(&args.test)).collect();
    let work = workspace.target.join("conformance");
    std::fs::create_dir_all(&work)?;
    let (mut passed, mut skipped, mut failed) = (0, 0, 0);
    let mut trace = args.trace;
    for setup in setups(&work).into_iter().filter(|setup| setup.name.contains(&args.only)) {
        let start = Instant::now();
        let counts =
            setup.run(&felio, &tests, &ledger, std::mem::take(&mut trace).then_some(work.as_path()))?;
        say(&format!(
            "{:<34} {} passed, {} failed, {} skipped as listed, {} s",
            setup.name,
            counts.passed,
            counts.failed,
            counts.skipped,
            start.elapsed().as_secs()
        ))?;
        passed += counts.passed;
        skipped += counts.skipped;
        failed += counts.failed;
    }
    say(&format!("conformance: {passed} passed, {failed} failed, {skipped} skipped"))?;
    Ok(if failed == 0 && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// One way to back the disk.
struct Setup {
    name: String,
    args: Vec<String>,
    image: Option<PathBuf>,
}

#[derive(Default)]
struct Counts {
    passed: u32,
    failed: u32,
    skipped: u32,
}

/// Every combination.
fn setups(work: &Path) -> Vec<Setup> {
    let mut setups = Vec::new();
    for backing in ["file", "ram"] {
        for cache in ["write-back", "direct"] {
            for io in ["ring", "helpers"] {
                for block in ["512", "4096"] {
                    setups.push(setup(work, backing, cache, io, block));
                }
            }
        }
    }
    setups
}

fn setup(work: &Path, backing: &str, cache: &str, io: &str, block: &str) -> Setup {
    let name = [backing, cache, io, block].join(",");
    let mut args = ["--cache", cache, "--io", io, "--block-size", block].map(str::to_owned).to_vec();
    if backing == "ram" {
        args.push("ram:256M".to_owned());
        return Setup { name, args, image: None };
    }
    let image = work.join(format!("disk-{cache}-{io}-{block}.img"));
    args.extend(["--size".to_owned(), "256M".to_owned(), image.display().to_string()]);
    Setup { name, args, image: Some(image) }
}

impl Setup {
    fn run(
        &self,
        felio: &Path,
        tests: &[String],
        ledger: &BTreeMap<String, String>,
        trace: Option<&Path>,
    ) -> anyhow::Result<Counts> {
        self.remove_image();
        let mut target = Felio::export(felio, &self.args)?;
        let capture = trace.map(|work| Capture::start(work, &target)).transpose()?;
        let mut counts = Counts::default();
        for test in tests {
            let (verdict, output) = run_test(test, &target.url())?;
            let listed = ledger.contains_key(test);
            match verdict {
                "PASSED" if !listed => counts.passed += 1,
                "SKIPPED" if listed => counts.skipped += 1,
                _ => {
                    counts.failed += 1;
                    let note = match verdict {
                        "PASSED" => " (listed as skipped: take it off the list)",
                        "SKIPPED" => " (not listed)",
                        _ => "",
                    };
                    say(&format!("{}: {test}: {verdict}{note}\n{}", self.name, indent(&output)))?;
                }
            }
            if !target.is_alive() {
                say(&format!("{}: felio died in {test}", self.name))?;
                counts.failed += 1;
                target = Felio::export(felio, &self.args)?;
            }
        }
        if let Some(capture) = capture {
            counts.failed += capture.judge()?;
        }
        target.stop()?;
        self.remove_image();
        Ok(counts)
    }

    fn remove_image(&self) {
        if let Some(image) = &self.image {
            // There may be none yet.
            let _ = std::fs::remove_file(image);
        }
    }
}

/// Every test as `Suite.Test`.
fn tests() -> anyhow::Result<Vec<String>> {
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

fn run_test(test: &str, url: &str) -> anyhow::Result<(&'static str, String)> {
    let mut command = Command::new("iscsi-test-cu");
    command.args(["-d", "-S", "-v", "-t", &format!("ALL.{test}"), url]);
    if test.starts_with("MultipathIO.") {
        command.arg(url);
    }
    let (output, code) = host::limited(TEST_LIMIT, &mut command)?;
    // Before the first test the tool probes the device, and says so.
    let told = output.find("Suite:").map_or(output.as_str(), |at| &output[at..]);
    Ok((verdict(told, code), told.to_owned()))
}

fn verdict(output: &str, code: Option<i32>) -> &'static str {
    let failed = output.contains("...FAILED") || output.lines().any(is_assertion);
    // What stands behind the verdict comes from the tool's tidying up after the test.
    let (told, passed) = output.split_once("passed").map_or((output, false), |(told, _)| (told, true));
    match code {
        None => "HUNG",
        Some(code) if code >= 128 => "CRASHED",
        Some(_) if failed => "FAILED",
        Some(_) if told.contains("[SKIPPED]") => "SKIPPED",
        Some(_) if passed => "PASSED",
        Some(_) => "DID NOT RUN",
    }
}

/// CUnit lists failed assertions as `  1. file.c:12  - …`.
fn is_assertion(line: &str) -> bool {
    let line = line.trim_start();
    let rest = line.trim_start_matches(|c: char| c.is_ascii_digit());
    rest.len() < line.len() && rest.starts_with(". ") && rest.contains(".c:")
}

fn indent(output: &str) -> String {
    let noise = ["CUnit", "cunit.source", "Run Summary", "Elapsed", "suites ", "tests ", "asserts "];
    output
        .lines()
        .filter(|line| !line.trim().is_empty() && !noise.iter().any(|word| line.contains(word)))
        .take(20)
        .map(|line| format!("    {line}\n"))
        .collect()
}

/// The listed skips: a test's name, white space, the reason.
fn ledger(path: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let (test, reason) = line.split_once(char::is_whitespace).context("a skip needs a reason")?;
            Ok((test.to_owned(), reason.trim().to_owned()))
        })
        .collect()
}

/// tshark at the loopback while the suite runs.
struct Capture {
    child: Child,
    file: PathBuf,
    port: u16,
}

impl Capture {
    fn start(work: &Path, felio: &Felio) -> anyhow::Result<Self> {
        let file = work.join("suite.pcapng");
        let port = felio.port()?;
        let child = Command::new("tshark")
            .args(["-q", "-i", "lo", "-B", "64", "-f", &format!("tcp port {port}"), "-w"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot run tshark")?;
        // The capture begins when its file does.
        let deadline = Instant::now() + Duration::from_secs(20);
        while !file.exists() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(50));
        }
        std::thread::sleep(Duration::from_millis(500));
        Ok(Self { child, file, port })
    }

    /// Ends the capture and counts what tshark has against us.
    fn judge(mut self) -> anyhow::Result<u32> {
        std::thread::sleep(Duration::from_secs(1));
        host::run(Command::new("kill").arg("-INT").arg(self.child.id().to_string()))?;
        self.child.wait()?;
        let ours =
            format!("tcp.srcport == {} and (_ws.malformed or _ws.expert.severity >= 8388608)", self.port);
        let decode = format!("tcp.port=={},iscsi", self.port);
        let read = |filter: &str| -> anyhow::Result<String> {
            let output = Command::new("tshark")
                .args(["-d", &decode, "-r"])
                .arg(&self.file)
                .args(["-Y", filter])
                .output()?;
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        };
        let decoded = read(&format!("iscsi and tcp.srcport == {}", self.port))?.lines().count();
        ensure!(decoded > 0, "tshark saw no iSCSI PDU of ours in {}", self.file.display());
        let complaints = read(&ours)?;
        say(&format!("tshark: {decoded} frames of ours, {} with a complaint", complaints.lines().count()))?;
        for line in complaints.lines().take(20) {
            say(&format!("    {line}"))?;
        }
        Ok(u32::try_from(complaints.lines().count()).unwrap_or(u32::MAX))
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listed_assertion_is_a_failure() {
        assert_eq!(
            verdict("Test: Simple ...passed\n    1. test_read10.c:31  - CU_ASSERT\n", Some(0)),
            "FAILED"
        );
    }

    #[test]
    fn what_is_skipped_after_the_verdict_is_not_the_test() {
        assert_eq!(verdict("  Test: Simple ...passed    [SKIPPED] PERSISTENT RESERVE IN", Some(0)), "PASSED");
        assert_eq!(verdict("  Test: Simple ...    [SKIPPED] No PR passed", Some(0)), "SKIPPED");
    }

    #[test]
    fn a_killed_test_hung() {
        assert_eq!(verdict("", None), "HUNG");
    }

    #[test]
    fn a_test_that_says_nothing_did_not_run() {
        assert_eq!(verdict("", Some(0)), "DID NOT RUN");
    }

    #[test]
    fn there_are_sixteen_set_ups() {
        assert_eq!(setups(Path::new("")).len(), 16);
    }
}
