//! Many commands at once, of two initiators, in any order and with any luck.

use super::mirror::Mirror;
use super::words::{announced, cdb, data};
use super::world::World;
use crate::Script;
use core::time::Duration;
use felio_hal::store::Failure;
use felio_spec::cdb::Direction;
use felio_spec::{Lun, TaskAttribute, TaskManagementFunction};

/// Plays.
pub(super) fn run(mut script: Script<'_>) {
    let mut world = World::new(&mut script);
    if !script.rarely(4) {
        greet(&mut world);
    }
    match script.coin() {
        true => one_by_one(&mut world, &mut script),
        false => {
            while !script.is_over() {
                step(&mut world, &mut script);
            }
        }
    }
    world.finish();
}

/// Every command alone: then it can be said what each of them must do.
fn one_by_one(world: &mut World, script: &mut Script<'_>) {
    world.settle();
    let mut mirror = Mirror::new(world.disks[0].content(), world.disks[0].block_bytes);
    while !script.is_over() {
        if script.rarely(16) {
            step(world, script);
            world.settle();
            // Whatever that was, it may have changed anything.
            mirror = Mirror::new(world.disks[0].content(), world.disks[0].block_bytes);
            continue;
        }
        world.last = None;
        let who = usize::from(script.byte() & 1);
        let sent = command(world, script, who);
        world.settle();
        // A size that the engine has not noticed yet is nobody's fault.
        let ended = world.last.take().filter(|_| !world.is_resized);
        if let (Some(ended), Some((cdb, out))) = (ended, sent) {
            mirror.follow(&cdb, &out, &ended, world.disks[0].content());
        }
    }
}

/// Both initiators take note of their unit attentions.
fn greet(world: &mut World) {
    for who in [0, 1] {
        for lun in LUNS {
            world.send(who, lun, TaskAttribute::Simple, (&[0; 6], None), (Vec::new(), 0));
            world.settle();
        }
    }
}

fn step(world: &mut World, script: &mut Script<'_>) {
    let who = usize::from(script.byte() & 1);
    match script.byte() % 32 {
        0..=13 => _ = command(world, script, who),
        14..=17 => _ = world.deliver(script.below(world.asked.len().max(1))),
        18..=22 => {
            let failure = script.rarely(8).then(|| failure(script));
            world.complete(script.below(world.held.len().max(1)), failure);
        }
        23 => world.refuse(),
        24 if script.rarely(4) => manage(world, script, who),
        25 => world.wait(Duration::from_millis(u64::from(script.short()) % 3000)),
        26 => world.hoard(script.length(64 << 10)),
        27 if script.rarely(8) => world.replace(who),
        28 if script.rarely(8) => resize(world, script),
        29 => world.settle(),
        _ => _ = world.complete(0, None),
    }
}

/// Sends a command; one to the first unit comes back with its Data-Out.
fn command(world: &mut World, script: &mut Script<'_>, who: usize) -> Option<(Vec<u8>, Vec<u8>)> {
    let (cdb, row) = cdb(script);
    let number = script.below(world.disks.len());
    let block_bytes = world.disks[number].block_bytes;
    let lun = if script.rarely(32) { Lun(script.array()) } else { LUNS[number] };
    let attribute = match script.byte() % 16 {
        0 => TaskAttribute::Aca,
        1 | 2 => TaskAttribute::Ordered,
        3 | 4 => TaskAttribute::HeadOfQueue,
        _ => TaskAttribute::Simple,
    };
    let announced = announced(script, &cdb, block_bytes);
    let outward = match row.map(|row| row.direction) {
        Some(Direction::Out) => !script.rarely(32),
        Some(Direction::In | Direction::None) => script.rarely(32),
        None => script.coin(),
    };
    let seen = world.seen.clone();
    let (out, expect_in) = match outward {
        true => (data(script, usize::try_from(announced).expect("a length"), &seen), 0),
        false => (Vec::new(), announced),
    };
    world.send(who, lun, attribute, (&cdb, row), (out.clone(), expect_in));
    (lun == LUNS[0]).then_some((cdb, out))
}

fn manage(world: &mut World, script: &mut Script<'_>, who: usize) {
    let function = *script.pick(&TaskManagementFunction::ALL);
    let lun = if script.rarely(16) { Lun(script.array()) } else { LUNS[script.below(world.disks.len())] };
    let at = script.below(world.open.len().max(1));
    let referenced = world.open.keys().nth(at).map(|(_, tag)| *tag).filter(|_| !script.rarely(8));
    world.manage(who, function, lun, referenced);
}

/// Somebody changes the size of a store.
fn resize(world: &mut World, script: &mut Script<'_>) {
    let number = script.below(world.disks.len());
    let bytes = u64::from(script.byte()) * 512;
    world.disks[number].resize(bytes);
    world.is_resized = true;
}

fn failure(script: &mut Script<'_>) -> Failure {
    match script.byte() % 8 {
        0 => Failure::Medium(None),
        1 => Failure::Medium(Some(script.long())),
        2 => Failure::NoSpace,
        3 => Failure::WriteProtected,
        4 => Failure::Gone,
        5 => Failure::Short,
        _ => Failure::Other(5),
    }
}

/// The addresses of the units.
pub(super) const LUNS: [Lun; 2] = [Lun([0; 8]), Lun([0x41, 0x2c, 0, 0, 0, 0, 0, 0])];
