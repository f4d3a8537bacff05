//! `cargo xtask bench`: builds felio and the benchmark for speed and runs them, tgt and the null responder in turn; or, with
//! `--count`, counts the instructions of a command.

use crate::host;
use std::process::ExitCode;

const PROGRAMS: &[(&str, &str)] = &[("tgtd", "tgt"), ("tgtadm", "tgt"), ("fio", "fio")];

/// Measures felio, tgt and a null responder in interleaved rounds of one run.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Count instructions under valgrind instead of measuring time.
    #[arg(long)]
    count: bool,
    /// What felio-bench takes, as in `--case 4k --rounds 5 --json`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

/// Carries the command out.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let command = if args.count {
        host::install(&[("valgrind", "valgrind")])?;
        "count"
    } else {
        host::install(PROGRAMS)?;
        host::build_felio(&host::workspace()?.target)?;
        "run"
    };
    let mut words = vec!["run", "--quiet", "--release", "--package", "felio-bench", "--", command];
    words.extend(args.args.iter().map(String::as_str));
    host::cargo(&words)?;
    Ok(ExitCode::SUCCESS)
}
