//! Operations that do not come home: nobody waits for ever, and nobody is overtaken by them.

use crate::cdb::*;
use crate::rig::{ALICE, BLOCK, BOB, Code, Rig, target};
use core::time::Duration;
use felio_engine::UnitConfig;
use felio_hal::{NexusId, StoreId};
use felio_spec::TaskAttribute::{HeadOfQueue, Ordered, Simple};
use felio_spec::status::{TaskManagementFunction as Function, TaskManagementResponse as Answer};
use felio_spec::{Lun, Status};

const PATIENCE: Duration = Duration::from_secs(10);
/// MODE SENSE (6), all pages.
const MODE_SENSE: [u8; 6] = [0x1a, 0, 0x3f, 0, 255, 0];
const BECOMING_READY: Code = (2, 0x04, 0x01);
const STORE: StoreId = StoreId(0);

/// A write of Alice's hangs; she has aborted it, and was answered in time.
fn hung() -> Rig {
    let mut rig = Rig::new();
    rig.hold = true;
    rig.send(ALICE, &write10(0, 1), &[7; BLOCK]);
    let function = rig.manage(ALICE, Function::AbortTaskSet, None);
    assert_eq!(rig.managed(function), None);
    rig.pass(PATIENCE - Duration::from_nanos(1));
    assert_eq!(rig.managed(function), None);
    rig.pass(Duration::from_nanos(1));
    assert_eq!(rig.managed(function), Some(Answer::FunctionComplete));
    rig
}

fn code(rig: &mut Rig, nexus: NexusId, cdb: &[u8], data: &[u8]) -> Code {
    rig.run(nexus, cdb, data).code()
}

#[test]
fn nobody_touches_the_medium_beside_an_operation_that_hangs() {
    let mut rig = hung();
    for nexus in [ALICE, BOB] {
        assert_eq!(code(&mut rig, nexus, &read10(9, 1), &[]), BECOMING_READY);
        assert_eq!(code(&mut rig, nexus, &write10(9, 1), &[1; BLOCK]), BECOMING_READY);
        assert_eq!(code(&mut rig, nexus, &TEST_UNIT_READY, &[]), BECOMING_READY);
        assert_eq!(rig.run(nexus, &INQUIRY, &[]).status, Status::GOOD);
        assert_eq!(rig.run(nexus, &MODE_SENSE, &[]).status, Status::GOOD);
    }
    assert_eq!(rig.held_names().iter().filter(|name| *name != "size").count(), 1);
    assert!(rig.engine.is_stuck() && rig.engine.is_fenced(STORE) && !rig.engine.is_idle());
    assert_eq!(rig.engine.poll_timeout(), None);
}

#[test]
fn when_it_is_home_all_is_well_again() {
    let mut rig = hung();
    rig.pool.trim();
    assert!(rig.pool.budget().bytes() > 0, "the buffer is the store's");
    rig.hold = false;
    rig.release();
    assert!(rig.engine.is_idle() && !rig.engine.is_fenced(STORE));
    assert_eq!(code(&mut rig, BOB, &write10(0, 1), &[2; BLOCK]), (0, 0, 0));
    assert_eq!(rig.blocks(0, 1), [2; BLOCK]);
    rig.pool.trim();
    assert_eq!(rig.pool.budget().bytes(), 0);
}

#[test]
fn who_waited_for_its_blocks_is_told() {
    let mut rig = Rig::new();
    rig.hold = true;
    rig.send(ALICE, &write10(0, 1), &[7; BLOCK]);
    rig.manage(ALICE, Function::AbortTaskSet, None);
    let waits = rig.send(BOB, &write10(0, 1), &[1; BLOCK]);
    let mode_select = rig.send(BOB, &[0x15, 0x10, 0, 0, 0, 0], &[]);
    assert_eq!(rig.reply(waits), None);
    rig.pass(PATIENCE);
    assert_eq!(rig.reply(waits).map(|reply| reply.code()), Some(BECOMING_READY));
    assert_eq!(rig.reply(mode_select).map(|reply| reply.status), Some(Status::GOOD));
}

#[test]
fn nobody_keeps_a_place_behind_what_hangs() {
    let mut rig = Rig::new();
    rig.hold = true;
    let hangs = rig.send_as(HeadOfQueue, ALICE, &write10(0, 1), &[7; BLOCK]);
    let ordered = rig.send_as(Ordered, BOB, &read10(9, 1), &[]);
    let behind = rig.send(ALICE, &MODE_SENSE, &[]);
    rig.manage(ALICE, Function::AbortTask, Some(hangs));
    rig.pass(PATIENCE);
    assert_eq!(rig.reply(ordered).map(|reply| reply.code()), Some(BECOMING_READY));
    assert_eq!(rig.reply(behind).map(|reply| reply.status), Some(Status::GOOD));
    for attribute in [Ordered, Simple] {
        let now = rig.send_as(attribute, BOB, &MODE_SENSE, &[]);
        assert_eq!(rig.reply(now).map(|reply| reply.status), Some(Status::GOOD));
    }
}

#[test]
fn where_one_hangs_nobody_waits_for_another() {
    let mut rig = Rig::new();
    rig.hold = true;
    rig.send(ALICE, &read10(0, 1), &[]);
    let others = rig.send(BOB, &read10(1, 1), &[]);
    rig.manage(ALICE, Function::AbortTaskSet, None);
    rig.pass(PATIENCE);
    assert_eq!(rig.reply(others), None);
    let function = rig.manage(ALICE, Function::LogicalUnitReset, None);
    assert_eq!(rig.managed(function), Some(Answer::FunctionComplete));
    assert_eq!(rig.reply(others).map(|reply| reply.status), Some(Status::TASK_ABORTED));
    rig.release_all();
    assert!(rig.engine.is_idle());
}

#[test]
fn who_is_to_be_told_task_aborted_is_told_in_time() {
    let mut rig = Rig::new();
    rig.hold = true;
    let task = rig.send(BOB, &write10(1, 1), &[1; BLOCK]);
    rig.manage(ALICE, Function::ClearTaskSet, None);
    rig.pass(PATIENCE);
    assert_eq!(rig.reply(task).map(|reply| reply.status), Some(Status::TASK_ABORTED));
    rig.release();
    assert!(rig.engine.is_idle());
}

#[test]
fn a_lost_nexus_does_not_keep_its_successor_waiting() {
    let mut rig = Rig::new();
    rig.hold = true;
    rig.send(ALICE, &write10(0, 1), &[7; BLOCK]);
    rig.lose(ALICE);
    assert!(rig.engine.holds(ALICE));
    assert_eq!(rig.engine.poll_timeout(), Some(rig.now + PATIENCE));
    rig.pass(PATIENCE);
    assert!(!rig.engine.holds(ALICE));
    let again = NexusId { generation: 1, ..ALICE };
    rig.login(again);
    rig.run(again, &REQUEST_SENSE, &[]);
    assert_eq!(code(&mut rig, again, &read10(0, 1), &[]), BECOMING_READY);
}

#[test]
fn a_flush_that_takes_long_keeps_nobody_from_working() {
    let mut rig = Rig::new();
    rig.hold = true;
    rig.send(ALICE, &synchronize_cache10(0), &[]);
    rig.run(ALICE, &synchronize_cache10(0x02), &[]);
    let function = rig.manage(ALICE, Function::LogicalUnitReset, None);
    rig.run(BOB, &REQUEST_SENSE, &[]);
    rig.pass(PATIENCE);
    assert_eq!(rig.managed(function), Some(Answer::FunctionComplete));
    let read = rig.send(BOB, &read10(0, 1), &[]);
    rig.release_all();
    assert_eq!(rig.reply(read).map(|reply| reply.status), Some(Status::GOOD));
}

#[test]
fn another_unit_goes_on() {
    let mut target = target();
    let mut second = UnitConfig::clone(&target.units[0]);
    (second.birth, second.store) = (1, StoreId(1));
    target.units.push(second.into());
    let mut rig = Rig::with(target, 8, 1 << 20);
    let lun = Lun::from_number(1).expect("a LUN");
    rig.send_to(lun, Simple, ALICE, &REQUEST_SENSE, &[]);
    rig.hold = true;
    let sent: Vec<_> = (0..8).map(|lba| rig.send(ALICE, &read10(lba, 1), &[])).collect();
    assert_eq!(sent.iter().filter(|tag| rig.reply(**tag).is_none()).count(), 4, "half of the table");
    let other = rig.send_to(lun, Simple, ALICE, &read10(0, 1), &[]);
    rig.held.rotate_right(1);
    rig.release();
    assert_eq!(rig.reply(other).map(|reply| reply.status), Some(Status::GOOD));
    rig.manage(ALICE, Function::AbortTaskSet, None);
    rig.pass(PATIENCE);
    rig.hold = false;
    let other = rig.send_to(lun, Simple, ALICE, &read10(0, 1), &[]);
    assert_eq!(rig.reply(other).map(|reply| reply.status), Some(Status::GOOD));
}
