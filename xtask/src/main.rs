//! The developer's commands: `cargo xtask COMMAND`. One module each; this file only picks one.
#![allow(clippy::disallowed_methods, reason = "this crate is where files, sockets, threads and clocks live")]
#![forbid(unsafe_code)]

mod bench;
mod conformance;
mod fuzz;
mod host;
mod pypi;
mod qemu;
mod sim;
mod test;
mod vm;
mod web;

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
    /// Install what is needed and run every test.
    Test(test::Args),
    /// Run libiscsi's suite against felio.
    Conformance(conformance::Args),
    /// Run QEMU's tools against felio.
    Qemu(qemu::Args),
    /// Run the simulator.
    Sim(sim::Args),
    /// Run the fuzzers.
    Fuzz(fuzz::Args),
    /// Fetch the Python packages that tests run.
    Pypi,
    /// Measure felio beside its peers.
    Bench(bench::Args),
    /// Run a script in a virtual machine with Debian's kernel and its iSCSI initiator.
    Vm(vm::Args),
    /// Use the daemon's web page in Chromium.
    Web(web::Args),
}

fn main() -> anyhow::Result<ExitCode> {
    match Cli::parse().command {
        Command::Test(args) => test::run(&args),
        Command::Conformance(args) => conformance::run(&args),
        Command::Qemu(args) => qemu::run(&args),
        Command::Sim(args) => sim::run(&args),
        Command::Fuzz(args) => fuzz::run(&args),
        Command::Pypi => pypi::run(),
        Command::Bench(args) => bench::run(&args),
        Command::Vm(args) => vm::run(&args),
        Command::Web(args) => web::run(&args),
    }
}
