//! One connection from its first byte to its end, with a peer and an engine that follow the script.
//!
//! Three kinds of peer: [`clean`] keeps every rule and is a referee of ours; [`rough`] logs in well and then bends what it
//! sends; and one that sends the script itself. The engine behind the port ([`backend`]) keeps its own rules always. What
//! must hold whatever the peer does is asserted in [`world`], [`backend`] and [`wire`].

mod backend;
mod clean;
mod engine_side;
mod login;
mod rough;
mod wire;
mod world;

use crate::Script;
use world::World;

/// Does what an input says.
pub fn run(input: &[u8]) {
    let mut script = Script::new(input);
    match script.byte() % 8 {
        0..=2 => clean::run(script),
        3..=6 => rough::run(script),
        _ => raw(script),
    }
}

/// Inputs to begin with.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for part in 0..8_u8 {
        for stride in [1_u8, 7, 29, 53, 101] {
            let steps = (0..240_u8).map(|step| step.wrapping_mul(stride).wrapping_add(part));
            seeds.push([part].into_iter().chain(steps).collect());
        }
    }
    seeds
}

/// A peer that sends anything at all.
fn raw(mut script: Script<'_>) {
    let mut world = World::new(&mut script);
    let step = script.length(4096).max(1);
    let bytes = script.rest();
    for piece in bytes.chunks(step) {
        world.push(piece);
        world.settle();
        if world.is_over() {
            break;
        }
    }
    world.finish();
}
