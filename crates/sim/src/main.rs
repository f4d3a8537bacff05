//! `felio-sim`: worlds from seeds.
#![allow(clippy::print_stdout, reason = "this is a program")]

use clap::Parser;
use felio_sim::world::World;
use std::process::ExitCode;

/// Runs felio's engine, iSCSI port and reactor turn in simulated worlds: initiators that read, write, verify, deallocate, compare and write, set
/// bits, switch the write cache off, abort, reset and break off; a network that splits, delays, corrupts and breaks; a disk that fails, dawdles and loses its power;
/// an operator who puts another one in its place.
///
/// Each seed is one world, and the same seed is the same world. A seed that fails is printed with the end of its log; `--seed N --trace` shows all
/// of it again.
#[derive(Parser)]
struct Args {
    /// How many worlds.
    #[arg(long, default_value_t = 100, conflicts_with = "seed")]
    seeds: u64,
    /// The first one's seed.
    #[arg(long, default_value_t = 1, conflicts_with = "seed")]
    first: u64,
    /// Just this one.
    #[arg(long)]
    seed: Option<u64>,
    /// Print what happens.
    #[arg(long, requires = "seed")]
    trace: bool,
}

/// Lines of its log that a failed seed shows.
const LINES_MAX: usize = 400;

fn main() -> ExitCode {
    let args = Args::parse();
    let (first, count) = args.seed.map_or((args.first, args.seeds), |seed| (seed, 1));
    let mut total = (0, 0, 0, 0, 0);
    let mut failed = 0u64;
    for seed in first..first.saturating_add(count) {
        match run(seed, args.trace) {
            Ok(summary) => {
                total.0 += summary.completed;
                total.1 += summary.logins;
                total.2 += summary.power_cuts;
                total.3 += summary.kills;
                total.4 += summary.swaps;
            }
            Err(told) => {
                failed += 1;
                println!("{told}");
                if failed == 5 {
                    println!("five seeds are enough to begin with");
                    break;
                }
            }
        }
        if (seed - first + 1).is_multiple_of(100) {
            println!("{} of {count} seeds, {failed} failed", seed - first + 1);
        }
    }
    let (commands, logins, power_cuts, kills, swaps) = total;
    println!(
        "{commands} commands, {logins} logins, {power_cuts} power cuts, {kills} kills, {swaps} other stores"
    );
    println!("sim: {} passed, {failed} failed", count - failed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// One world; the first time without a log, and again with it if it fails.
fn run(seed: u64, trace: bool) -> Result<felio_sim::world::Summary, String> {
    let result = World::new(seed, false).run();
    let mut again = World::new(seed, true);
    if trace || result.is_err() || seed.is_multiple_of(64) {
        // Whatever the outcome, it must be the same.
        let second = again.run();
        if second != result {
            return Err(format!("seed {seed} does not replay: {result:?}, then {second:?}"));
        }
    }
    if trace {
        println!("{}", again.log().join("\n"));
    }
    result.map_err(|why| {
        // With a trace it was told already.
        let end = if trace { &[] } else { &again.log()[again.log().len().saturating_sub(LINES_MAX)..] };
        let end = end.join("\n");
        format!("{end}\nseed {seed} failed: {why}\nagain: cargo xtask sim --seed {seed} --trace")
    })
}
