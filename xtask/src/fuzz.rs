//! `cargo xtask fuzz`: every fuzz target for a while.

use crate::host::{self, say};
use anyhow::ensure;
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
    let workspace = host::workspace()?;
    let cargo = || {
        let mut command = Command::new("cargo");
        // The nightly toolchain is chosen by rustup, whose choice for this process must not be inherited.
        command
            .env_remove("RUSTUP_TOOLCHAIN")
            .env_remove("CARGO")
            .current_dir(&workspace.root)
            .arg("+nightly");
        command
    };
    let listed = cargo().args(["fuzz", "list"]).output()?;
    ensure!(listed.status.success(), "cargo fuzz list: {}", String::from_utf8_lossy(&listed.stderr));
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let targets: Vec<&str> =
        listed.lines().filter(|name| args.target.as_deref().is_none_or(|only| only == *name)).collect();
    ensure!(!targets.is_empty(), "there is no such fuzz target; there are:\n{listed}");
    for target in &targets {
        say(&format!("fuzz: {target}, {} s", args.seconds))?;
        let limit = format!("-max_total_time={}", args.seconds);
        let options = [
            "fuzz",
            "run",
            target,
            "--",
            &limit,
            "-rss_limit_mb=4096",
            "-timeout=20",
            "-print_final_stats=1",
        ];
        host::run(cargo().args(options))?;
    }
    say(&format!("fuzz: {} passed, 0 failed", targets.len()))?;
    Ok(ExitCode::SUCCESS)
}
