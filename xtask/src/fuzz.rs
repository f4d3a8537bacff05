//! `cargo xtask fuzz`: every fuzz target for a while.

use crate::host::{self, say};
use anyhow::ensure;
use std::path::Path;
use std::process::{Command, ExitCode};

/// Runs every fuzz target (or one) for so many seconds; a finding fails the run and is kept in fuzz/artifacts.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Seconds for each target.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Only this one.
    #[arg(long)]
    target: Option<String>,
}

/// Carries the command out.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let root = &host::workspace()?.root;
    host::install_cargo_tools(&["cargo-fuzz"])?;
    let listed = nightly(root).args(["fuzz", "list"]).output()?;
    ensure!(listed.status.success(), "cargo fuzz list: {}", String::from_utf8_lossy(&listed.stderr));
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let targets: Vec<&str> =
        listed.lines().filter(|name| args.target.as_deref().is_none_or(|only| only == *name)).collect();
    ensure!(!targets.is_empty(), "there is no such fuzz target; there are:\n{listed}");
    for target in &targets {
        say(&format!("fuzz: {target}, {} s", args.seconds))?;
        fuzz(root, target, args.seconds)?;
    }
    say(&format!("fuzz: {} passed, 0 failed", targets.len()))?;
    Ok(ExitCode::SUCCESS)
}

/// One target, from what was found interesting before, or from the seeds if it runs for the first time.
fn fuzz(root: &Path, target: &str, seconds: u32) -> anyhow::Result<()> {
    let corpus = root.join("fuzz/corpus");
    if !corpus.join(target).exists() {
        let seeds =
            ["run", "--quiet", "--manifest-path", "fuzz/Cargo.toml", "--bin", "seeds", "--", "fuzz/corpus"];
        host::run(nightly(root).args(seeds))?;
    }
    let mut command = nightly(root);
    // The crates are safe Rust: a sanitizer would find nothing that a panic does not tell, at a tenth of the speed.
    command.args(["fuzz", "run", "--sanitizer", "none", target, "--", "-rss_limit_mb=4096", "-timeout=20"]);
    command.arg(format!("-max_total_time={seconds}")).arg("-print_final_stats=1");
    let dictionary = corpus.join(target).with_extension("dict");
    if dictionary.exists() {
        command.arg(format!("-dict={}", dictionary.display()));
    }
    host::run(&mut command)?;
    Ok(())
}

/// Cargo of the nightly toolchain, which rustup chooses: what it chose for this process must not be inherited.
fn nightly(root: &Path) -> Command {
    let mut command = Command::new("cargo");
    command.env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO").current_dir(root).arg("+nightly");
    command
}
