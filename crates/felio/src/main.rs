//! A SCSI target in user space.
//!
//! The binary composes and decides nothing: [`cli`] is what can be typed, [`export`] turns it into a running target, [`daemon`] keeps a configuration that
//! clients ([`felio_client`]) change while it is served, [`shell`] is such a client for people, [`config`] one for whole configurations, [`configfs`] and
//! [`compat`] those for programs written for LIO, [`top`] and [`watch`] look at it, [`tokens`] lets others do so from afar, [`progress`] tells how far long work is, [`report`] is what is
//! printed, [`manual`] what packages bring along, [`attach`] the commands that it teaches, [`failure`] what went wrong and what to do about it.
#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, reason = "this crate is where files, sockets, threads and clocks live")]

mod attach;
mod beacon;
mod cli;
mod compat;
mod config;
mod configfs;
mod daemon;
mod disks;
mod export;
mod failure;
mod identity;
mod manual;
mod paths;
mod printer;
mod progress;
mod report;
mod secrets;
mod shell;
mod size;
mod threads;
mod tokens;
mod top;
mod watch;

use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli::Cli { command } = cli::Cli::parse_from(cli::words(std::env::args_os()));
    let done = match command {
        cli::Command::Export(args) => export::run(&args).map(|()| ExitCode::SUCCESS),
        cli::Command::Daemon(args) => daemon::run(&args).map(|()| ExitCode::SUCCESS),
        cli::Command::Shell(args) => shell::run(&args).map(|()| ExitCode::SUCCESS),
        cli::Command::Top(args) => top::run(&args).map(|()| ExitCode::SUCCESS),
        cli::Command::Config(args) => config::run(&args),
        cli::Command::Configfs(args) => configfs::run(&args).map(|()| ExitCode::SUCCESS),
        cli::Command::Compat(args) => compat::run(&args),
        cli::Command::Watch(args) => watch::run(&args).map(|()| ExitCode::SUCCESS),
        cli::Command::Drain(args) => progress::drain(&args).map(|()| ExitCode::SUCCESS),
        cli::Command::Token(args) => tokens::run(&args).map(|()| ExitCode::SUCCESS),
        cli::Command::Openapi => manual::openapi().map(|()| ExitCode::SUCCESS),
        cli::Command::Completions { shell } => manual::completions(shell).map(|()| ExitCode::SUCCESS),
        cli::Command::Man { folder } => manual::pages(&folder).map(|()| ExitCode::SUCCESS),
    };
    match done {
        Ok(code) => code,
        Err(error) => failure::report(&error),
    }
}
