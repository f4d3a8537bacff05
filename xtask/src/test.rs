//! `cargo xtask test`: everything that judges felio, in the order that finds trouble soonest.
//!
//! A step is a row: its name and the command that a developer would type for it alone.

use crate::host::{self, say};
use crate::pypi;
use std::process::{Command, ExitCode};
use std::time::Instant;

/// Installs what it needs and runs every test: style, lints, documentation, dependencies, unit and simulation tests,
/// fuzzers for a short while, libiscsi's suite, QEMU's tools, the web page in Chromium and the Linux kernel's initiator in a virtual machine.
///
/// Each step is a command of its own (`--list` shows them); a failed step does not keep the others from running.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Show the steps and stop.
    #[arg(long)]
    list: bool,
    /// Run only the steps whose name holds this text.
    #[arg(long, default_value = "")]
    only: String,
}

/// What the tests of the program run, and the Debian packages that have it.
const PROGRAMS: &[(&str, &str)] = &[
    ("targetcli", "targetcli-fb"),
    ("dbus-daemon", "dbus-daemon"),
    ("iscsi-ls", "libiscsi-bin"),
    ("strace", "strace"),
    ("tmux", "tmux"),
    ("losetup", "mount"),
    ("pip3", "python3-pip"),
    ("curl", "curl"),
    ("openssl", "openssl"),
];

/// Name and `cargo` arguments.
const STEPS: &[(&str, &[&str])] = &[
    ("format", &["fmt", "--all", "--check"]),
    ("lints", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
    ("python packages", &["xtask", "pypi"]),
    ("unit", &["test", "--workspace"]),
    ("documentation", &["doc", "--workspace", "--no-deps"]),
    ("dependencies", &["deny", "check", "licenses", "bans", "sources"]),
    ("conformance", &["xtask", "conformance", "--trace"]),
    ("qemu", &["xtask", "qemu"]),
    ("web page", &["xtask", "web"]),
    ("simulation", &["xtask", "sim", "--seeds", "200"]),
    ("fuzzers", &["xtask", "fuzz", "--seconds", "20"]),
    ("virtual machine", &["xtask", "vm", "--all"]),
];

/// Carries the command out.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let steps: Vec<_> = STEPS.iter().filter(|(name, _)| name.contains(&args.only)).collect();
    if args.list {
        for (name, command) in steps {
            say(&format!("{name:<16} cargo {}", command.join(" ")))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    host::install_cargo_tools(&["cargo-deny", "cargo-fuzz"])?;
    host::install(PROGRAMS)?;
    let packages = pypi::folder(&host::workspace()?.target);
    let mut summary = Vec::new();
    for (name, command) in steps {
        say(&format!("==== {name}: cargo {}", command.join(" ")))?;
        let start = Instant::now();
        let mut cargo = Command::new("cargo");
        cargo.args(*command).env("RUSTDOCFLAGS", "-D warnings").env("FELIO_PYPI", &packages);
        let passed = cargo.status()?.success();
        summary.push((name, passed, start.elapsed()));
    }
    say("==== summary")?;
    for (name, passed, took) in &summary {
        let verdict = if *passed { "passed" } else { "FAILED" };
        say(&format!("{verdict} {:>5} s  {name}", took.as_secs()))?;
    }
    let failed = summary.iter().filter(|(_, passed, _)| !passed).count();
    say(&format!("{} passed, {failed} failed", summary.len() - failed))?;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
