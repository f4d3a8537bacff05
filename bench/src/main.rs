//! `felio-bench`: measures felio and its peers over iSCSI on one machine.
//!
//! Start at `cases` (what is measured and promised) and `run` (how). `initiator` makes the load, `null` is the limit,
//! `targets` starts the processes, `report` prints. Nothing here is part of the program that people run.
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "figures on standard output are what this program is for"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "it measures real sockets, processes and clocks; the layers are not its own"
)]

mod cases;
mod connection;
mod count;
mod initiator;
mod null;
mod pdu;
mod report;
mod run;
mod scale;
mod stream;
mod sys;
mod targets;

use std::{
    io::Write,
    net::SocketAddr,
    process::ExitCode,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use anyhow::{Result, ensure};
use clap::{Parser, Subcommand};
use signal_hook::{consts::SIGINT, consts::SIGTERM, flag};

use crate::{
    cases::{CASES, IDLE_CASE, IDLE_SESSIONS},
    connection::{Address, Digests},
    initiator::{Group, Load, Order, Payload, Waiting},
    pdu::Direction,
    run::Sample,
};

/// Measures felio, tgt and the limit of the sockets, in interleaved rounds of one run.
///
/// The target runs on one core, the initiator on another. Every figure is a median over the rounds; ratios compare two
/// targets within the same round. A goal that is missed is printed, never a failure: the exit status tells only whether
/// everything could be measured.
#[derive(Parser)]
#[command(after_help = "Examples:
  felio-bench run                                        everything, some minutes
  felio-bench run --case 4k-rand --rounds 3              two cases
  felio-bench run --targets null,tgt --json              what the machine and the peer do
  felio-bench null --core 0 &                            a responder to point an initiator at
  felio-bench initiator --portal 127.0.0.1:3260 --target iqn.2026-01.example:disk --depth 8 --bytes 128k")]
struct Cli {
    #[command(subcommand)]
    command: Subcommands,
}

#[derive(Subcommand)]
enum Subcommands {
    /// Starts the targets, runs the cases and prints the tables
    Run(run::Options),
    /// Lists the cases
    Cases,
    /// Serves as the null responder: what the sockets allow
    Null(null::Options),
    /// Counts the instructions that our own code spends on a command, by valgrind
    Count(count::Options),
    /// Starts the daemon on a large configuration and times that, and the shell's commands after it
    Scale(scale::Options),
    /// Loads any target once and prints the figures
    Initiator(InitiatorOptions),
}

#[derive(clap::Args)]
struct InitiatorOptions {
    /// Address and port of the portal
    #[arg(long)]
    portal: SocketAddr,
    /// Name of the target
    #[arg(long, default_value = null::TARGET)]
    target: String,
    #[arg(long, default_value_t = 0)]
    lun: u8,
    #[arg(long, default_value_t = 1)]
    sessions: usize,
    /// Commands under way in each session
    #[arg(long, default_value_t = 1)]
    depth: usize,
    /// Bytes of a command
    #[arg(long, default_value = "4k", value_parser = sys::parse_size)]
    bytes: u64,
    #[arg(long, value_enum, default_value = "read")]
    direction: Direction,
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Poll instead of sleeping
    #[arg(long)]
    spin: bool,
    /// CRC32C over headers and data
    #[arg(long)]
    digests: bool,
    /// Write stamps over the first 64 MiB, then compare what is read; overwrites data
    #[arg(long)]
    verify: bool,
    /// Core to run on
    #[arg(long)]
    core: Option<usize>,
    /// Process of the target, for its processor time
    #[arg(long)]
    pid: Option<u32>,
}

const VERIFIED_BYTES: u64 = 64 << 20;

fn main() -> ExitCode {
    match answer(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn answer(command: Subcommands) -> Result<()> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // The second one ends us at once; children follow by their parent-death signal.
        flag::register_conditional_shutdown(signal, 130, Arc::clone(&stop))?;
        flag::register(signal, Arc::clone(&stop))?;
    }
    match command {
        Subcommands::Run(options) => run::run(&options, &stop),
        Subcommands::Null(options) => null::serve(&options, &stop),
        Subcommands::Initiator(options) => load_once(&options, &stop),
        Subcommands::Scale(options) => scale::run(&options, &stop),
        Subcommands::Count(options) => count::run(&options),
        Subcommands::Cases => {
            let mut text: String =
                CASES.iter().map(|case| format!("{:20} {}\n", case.name, case.about)).collect();
            text += &format!("{IDLE_CASE:20} memory that each of {IDLE_SESSIONS} idle sessions costs\n");
            Ok(std::io::stdout().write_all(text.as_bytes())?)
        }
    }
}

fn load_once(options: &InitiatorOptions, stop: &AtomicBool) -> Result<()> {
    if let Some(core) = options.core {
        sys::pin(core)?;
    }
    ensure!(options.depth > 0 && options.sessions > 0, "nothing to do");
    ensure!(options.bytes > 0 && options.bytes.is_multiple_of(512) && options.bytes <= 16 << 20, "--bytes");
    let digests = if options.digests { Digests::Crc32c } else { Digests::None };
    let address =
        Address { portal: options.portal, target: options.target.clone(), lun: options.lun, digests };
    let group = Group {
        sessions: options.sessions,
        depth: options.depth,
        bytes: sys::short(sys::place(options.bytes)),
        direction: options.direction,
        order: Order::Random,
    };
    let (payload, span) =
        if options.verify { (Payload::Stamped, VERIFIED_BYTES) } else { (Payload::Ignored, u64::MAX) };
    let duration = Duration::from_secs_f64(options.seconds);
    let mut load = Load {
        groups: &[group],
        waiting: if options.spin { Waiting::Spin } else { Waiting::Sleep },
        payload,
        span,
        warm_up: Duration::ZERO,
        duration,
    };
    if options.verify {
        let fill = [Group { sessions: 1, direction: Direction::Write, order: Order::Once, ..group }];
        let load = Load { groups: &fill, duration: Duration::from_secs(3600), ..load };
        initiator::run(&address, &load, options.pid, stop)?;
    }
    load.warm_up = duration / 10;
    let sample = Sample::of(&initiator::run(&address, &load, options.pid, stop)?)?;
    println!("{}", serde_json::to_string_pretty(&sample)?);
    Ok(())
}
