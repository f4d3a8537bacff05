//! The developer's commands: `cargo xtask COMMAND`. One module each; this file only picks one.
#![forbid(unsafe_code)]

mod vm;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// The developer's commands of felio.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a script in a virtual machine with Debian's kernel and its iSCSI initiator.
    Vm(vm::Args),
}

fn main() -> anyhow::Result<ExitCode> {
    match Cli::parse().command {
        Command::Vm(args) => vm::run(&args),
    }
}
