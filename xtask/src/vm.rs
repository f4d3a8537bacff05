//! `cargo xtask vm`: felio before the real initiators of a stock Debian kernel, in a virtual machine.
//!
//! This module brings what the host lacks, builds felio, lays out what the guest finds at `/host` (the felio program and
//! the scripts' library) and hands over to `vm/vmrun`, which makes the guest's image, boots it and brings the script's
//! output and exit status back. The tests themselves are the scripts in `vm/tests`; felio runs inside the guest, so
//! that it can be killed, cut off and robbed of its power there.
//!
//! What a run leaves behind lies under `target/vm`: the image, and for each script its run directory with console.log
//! and dmesg. One guest runs at a time: a lock keeps later ones waiting.

use crate::host;
use anyhow::{Context, ensure};
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// What the host must have: a program, and the Debian package that brings it.
const HOST_PROGRAMS: &[(&str, &str)] = &[
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("nbdkit", "nbdkit"),
    ("cpio", "cpio"),
    ("xz", "xz-utils"),
    ("mke2fs", "e2fsprogs"),
];
/// What the scripts source; not themselves tests.
const LIBRARIES: [&str; 4] = ["lib.sh", "walks.sh", "lio-differences.txt", "transcript-differences.txt"];
/// What comes from elsewhere: what targetcli does in felio's own tests, and so in the guest; and the units of packages.
const FILES: [&str; 3] = [
    "crates/felio/tests/it/compat/targetcli.txt",
    "packaging/systemd/felio.service",
    "packaging/systemd/felio.socket",
];

/// Boots Debian's stock kernel in QEMU (no KVM needed) and runs a script in it: output and exit status come back.
///
/// The script is bash, run as root. It finds felio at /host/felio and the helpers of vm/tests/lib.sh at /host/lib.sh. Lines in it that begin
/// with "# vm: " hold options for vm/vmrun (its --help lists them), such as `# vm: --mem 2048 --timeout 600 --add strace`.
/// The exit status is the script's; 124: it took too long; 125: the guest died or could not be started.
///
/// What the host lacks (QEMU, nbdkit, cpio, xz, mke2fs) is installed by apt-get, and the guest's image is built from Debian packages the first
/// time; both need root on a Debian host. Everything is kept under target/vm.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run every test in vm/tests, one after the other, and sum up.
    #[arg(long, conflicts_with = "script")]
    all: bool,
    /// Use this felio program; without it the release build is made and used.
    #[arg(long, value_name = "FILE")]
    felio: Option<PathBuf>,
    /// A further option for vm/vmrun, as one word or two (`--vmrun '--mem 2048'`); repeatable.
    #[arg(long, value_name = "OPTION", allow_hyphen_values = true)]
    vmrun: Vec<String>,
    /// The script to run.
    #[arg(required_unless_present = "all")]
    script: Option<PathBuf>,
    /// Arguments for the script.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, conflicts_with = "all")]
    args: Vec<OsString>,
}

/// Carries the command out.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let workspace = host::workspace()?;
    let lab = Lab {
        vmrun: workspace.root.join("vm/vmrun"),
        tests: workspace.root.join("vm/tests"),
        files: FILES.map(|file| workspace.root.join(file)),
        work: workspace.target.join("vm"),
        options: args.vmrun.iter().flat_map(|option| option.split_whitespace().map(str::to_owned)).collect(),
    };
    host::install(HOST_PROGRAMS)?;
    fs::create_dir_all(&lab.work)?;
    let felio = match &args.felio {
        Some(file) => file.clone(),
        None => host::build_felio(&workspace.target)?,
    };
    let _one_guest_at_a_time = lock(&lab.work)?;
    lab.fill_share(&felio)?;
    match &args.script {
        Some(script) => lab.run_script(script, &args.args).map(ExitCode::from),
        None => lab.run_all(),
    }
}

/// Where things are on this side of the guest.
struct Lab {
    vmrun: PathBuf,
    tests: PathBuf,
    files: [PathBuf; FILES.len()],
    work: PathBuf,
    options: Vec<String>,
}

impl Lab {
    /// Lays out what the guest sees at /host.
    fn fill_share(&self, felio: &Path) -> anyhow::Result<()> {
        let share = self.share();
        if share.exists() {
            fs::remove_dir_all(&share)?;
        }
        fs::create_dir_all(&share)?;
        fs::copy(felio, share.join("felio"))
            .with_context(|| format!("cannot copy {} for the guest", felio.display()))?;
        let libraries = LIBRARIES.map(|library| self.tests.join(library));
        for file in libraries.iter().chain(&self.files) {
            fs::copy(file, share.join(file.file_name().context("a file")?))
                .with_context(|| format!("cannot copy {} for the guest", file.display()))?;
        }
        Ok(())
    }

    /// Runs one script in a fresh guest. Its exit status, or vmrun's own.
    fn run_script(&self, script: &Path, args: &[OsString]) -> anyhow::Result<u8> {
        ensure!(
            script.is_file(),
            "there is no script {}: the tests are in {}",
            script.display(),
            self.tests.display()
        );
        let name = script.file_stem().context("the script has no name")?;
        let status = Command::new(&self.vmrun)
            .env("VMRUN_CACHE", &self.work)
            .arg("--share")
            .arg(self.share())
            .arg("--run-dir")
            .arg(self.work.join("runs").join(name))
            .args(&self.options)
            .arg(script)
            .args(args)
            .status()
            .with_context(|| format!("cannot run {}", self.vmrun.display()))?;
        // Ended by a signal: the guest is gone too.
        Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(125))
    }

    /// Runs every test and says how each ended. Success if all passed.
    fn run_all(&self) -> anyhow::Result<ExitCode> {
        let mut results = Vec::new();
        for script in tests_in(&self.tests)? {
            host::say(&format!("==== {}", script.display()))?;
            let start = Instant::now();
            let status = self.run_script(&script, &[])?;
            results.push(Outcome { script, status, took: start.elapsed() });
        }
        host::say("==== summary")?;
        for outcome in &results {
            host::say(&outcome.to_string())?;
        }
        let passed = results.iter().all(|outcome| outcome.status == 0);
        Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn share(&self) -> PathBuf {
        self.work.join("share")
    }
}

/// How one test ended.
struct Outcome {
    script: PathBuf,
    status: u8,
    took: Duration,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.status {
            0 => write!(f, "passed   ")?,
            124 => write!(f, "TIMEOUT  ")?,
            status => write!(f, "FAILED {status:<2}")?,
        }
        write!(f, " {:>4} s  {}", self.took.as_secs(), self.script.display())
    }
}

/// The test scripts of a folder, by name.
fn tests_in(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut scripts = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "sh")
            && !LIBRARIES.iter().any(|library| path.ends_with(library))
        {
            scripts.push(path);
        }
    }
    scripts.sort();
    ensure!(!scripts.is_empty(), "there is no test in {}", folder.display());
    Ok(scripts)
}

/// Waits for its turn; the turn ends when the file is dropped.
fn lock(work: &Path) -> anyhow::Result<File> {
    let file = File::create(work.join("guest.lock"))?;
    if file.try_lock().is_err() {
        host::say("waiting for another virtual machine to end")?;
        file.lock()?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_told_from_a_failure() {
        let shown =
            |status| Outcome { script: "a.sh".into(), status, took: Duration::from_secs(7) }.to_string();
        assert_eq!(shown(124), "TIMEOUT      7 s  a.sh");
        assert_eq!(shown(1), "FAILED 1     7 s  a.sh");
        assert_eq!(shown(0), "passed       7 s  a.sh");
    }

    #[test]
    fn the_library_is_not_a_test() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vm/tests");
        let scripts = tests_in(&folder).expect("the folder has tests");
        assert!(scripts.iter().all(|script| !LIBRARIES.iter().any(|library| script.ends_with(library))));
    }
}
