//! `cargo xtask web`: the daemon's web page in Chromium, with an initiator that reads from what is created there.

use crate::host::{self, say};
use std::process::{Command, ExitCode};

const PROGRAMS: &[(&str, &str)] =
    &[("chromium", "chromium"), ("node", "nodejs"), ("npm", "npm"), ("iscsi-perf", "libiscsi-bin")];

/// Uses the web page as people do: create a disk, attach an initiator, watch its plot, resize, delete. Screenshots are in target/web.
#[derive(clap::Args)]
pub(crate) struct Args {}

/// Carries the command out.
pub(crate) fn run(_args: &Args) -> anyhow::Result<ExitCode> {
    host::install(PROGRAMS)?;
    let workspace = host::workspace()?;
    let program = host::build_felio(&workspace.target)?;
    let (folder, shots) = (workspace.root.join("xtask/web"), workspace.target.join("web"));
    host::run(Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(&folder))?;
    host::run(
        Command::new("timeout")
            .args(["600", "node", "--test", "--test-timeout=300000"])
            .env("FELIO", program)
            .env("SHOTS", &shots)
            .current_dir(&folder),
    )?;
    say(&format!("web: passed; screenshots in {}", shots.display()))?;
    Ok(ExitCode::SUCCESS)
}
