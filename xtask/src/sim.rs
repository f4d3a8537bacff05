//! `cargo xtask sim`: runs the simulator's program, built for speed.

use crate::host;
use std::process::ExitCode;

/// Simulates initiators, network, disks and power cuts from seeds; a seed that fails replays exactly.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// What felio-sim takes, as in `--seeds 1000` or `--seed 42 --trace`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

/// Carries the command out.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut words = vec!["run", "--quiet", "--release", "--package", "felio-sim", "--"];
    words.extend(args.args.iter().map(String::as_str));
    host::cargo(&words)?;
    Ok(ExitCode::SUCCESS)
}
