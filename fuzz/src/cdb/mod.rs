//! Commands of every kind at a device server, with parameter data, failures, aborts and too little memory.
//!
//! [`world`] is what is around an engine: initiators, a store, a pool, and the account of who was promised what. [`crowd`]
//! plays many commands at once, or one by one beside a [`mirror`] of what they must do; [`maps`] holds commands against
//! what REPORT SUPPORTED OPERATION CODES says of them.

mod crowd;
mod disk;
mod maps;
mod mirror;
mod sense;
mod words;
mod world;

use crate::Script;

/// Does what an input says.
pub fn run(input: &[u8]) {
    let mut script = Script::new(input);
    match script.byte() % 4 {
        0 => maps::run(script),
        _ => crowd::run(script),
    }
}

/// Inputs to begin with.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for part in 0..8_u8 {
        for stride in [1_u8, 3, 11, 37, 83] {
            let steps = (0..250_u8).map(|step| step.wrapping_mul(stride).wrapping_add(part));
            seeds.push([part].into_iter().chain(steps).collect());
        }
    }
    seeds
}
