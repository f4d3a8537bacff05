//! No slot, no buffer.

use crate::cdb::*;
use crate::rig::{ALICE, BLOCK, BOB, Rig, target};
use core::time::Duration;
use felio_spec::Status;
use felio_spec::status::TaskManagementFunction as Function;

#[test]
fn a_full_table_is_told_by_who_has_tasks() {
    let mut rig = Rig::with(target(), 1, 1 << 20);
    rig.hold = true;
    rig.send(ALICE, &read10(0, 1), &[]);
    assert_eq!(rig.run(ALICE, &read10(0, 1), &[]).status, Status::TASK_SET_FULL);
    assert_eq!(rig.run(BOB, &read10(0, 1), &[]).status, Status::BUSY);
    rig.release();
    rig.hold = false;
    assert_eq!(rig.run(BOB, &read10(0, 1), &[]).status, Status::GOOD);
}

#[test]
fn nobody_fills_the_table_for_all_others() {
    let mut rig = Rig::with(target(), 8, 1 << 20);
    rig.hold = true;
    let tags: Vec<_> = (0..8).map(|lba| rig.send(ALICE, &read10(lba, 1), &[])).collect();
    assert_eq!(tags.iter().filter(|tag| rig.reply(**tag).is_none()).count(), 6);
    rig.send(BOB, &read10(0, 1), &[]);
    rig.send(BOB, &read10(0, 1), &[]);
    assert_eq!(rig.held.len(), 8);
}

#[test]
fn answered_commands_count_as_long_as_the_store_works_for_them() {
    let mut rig = Rig::with(target(), 8, 1 << 20);
    rig.hold = true;
    for _ in 0..6 {
        assert_eq!(rig.run(ALICE, &synchronize_cache10(0x02), &[]).status, Status::GOOD);
    }
    assert_eq!(rig.run(ALICE, &synchronize_cache10(0x02), &[]).status, Status::TASK_SET_FULL);
    assert_eq!(rig.run(BOB, &synchronize_cache10(0x02), &[]).status, Status::GOOD);
    rig.release_all();
    assert_eq!(rig.run(ALICE, &synchronize_cache10(0x02), &[]).status, Status::GOOD);
}

#[test]
fn commands_wait_for_buffers_in_order() {
    let mut rig = Rig::with(target(), 8, 8192);
    rig.hold = true;
    let tags: Vec<_> = (0..4).map(|lba| rig.send(ALICE, &read10(lba, 1), &[])).collect();
    assert_eq!(rig.held_names(), ["read 0+1", "read 1+1"]);
    rig.release();
    rig.pass(Duration::from_millis(1));
    assert_eq!(rig.held_names(), ["read 1+1", "read 2+1"]);
    rig.release_all();
    rig.pass(Duration::from_millis(1));
    rig.release_all();
    assert!(tags.iter().all(|tag| rig.reply(*tag).is_some_and(|reply| reply.status == Status::GOOD)));
}

#[test]
fn parameter_data_wait_for_buffers_too() {
    let mut rig = Rig::with(target(), 8, 4096);
    let taken = rig.pool.take(1).expect("the only buffer");
    let tag = rig.send(ALICE, &INQUIRY, &[]);
    assert_eq!(rig.reply(tag), None);
    rig.pool.give(taken);
    rig.pass(Duration::from_millis(1));
    assert_eq!(rig.reply(tag).map(|reply| reply.status), Some(Status::GOOD));
}

#[test]
fn nobody_waits_for_a_buffer_for_ever() {
    let mut rig = Rig::with(target(), 8, 4096);
    let taken = rig.pool.take(1).expect("the only buffer");
    let tags = [rig.send(ALICE, &read10(0, 1), &[]), rig.send(ALICE, &read10(0, 1), &[])];
    assert!(rig.engine.poll_timeout().is_some());
    rig.pass(Duration::from_secs(1));
    assert!(tags.iter().all(|tag| rig.reply(*tag).is_none()));
    rig.pass(Duration::from_secs(1));
    let statuses = tags.map(|tag| rig.reply(tag).expect("an answer").status);
    assert_eq!(statuses, [Status::TASK_SET_FULL, Status::BUSY]);
    assert_eq!(rig.engine.poll_timeout(), None);
    rig.pool.give(taken);
}

#[test]
fn starved_commands_can_be_aborted() {
    let mut rig = Rig::with(target(), 8, 4096);
    let taken = rig.pool.take(1).expect("the only buffer");
    let tag = rig.send(ALICE, &read10(0, 1), &[]);
    rig.manage(ALICE, Function::AbortTaskSet, None);
    assert!(rig.is_abandoned(tag) && rig.engine.is_idle());
    assert_eq!(rig.engine.poll_timeout(), None);
    rig.pool.give(taken);
}

#[test]
fn every_buffer_comes_home() {
    let mut rig = Rig::with(target(), 8, 1 << 20);
    rig.run(ALICE, &write10(0, 8), &[1; 8 * BLOCK]);
    rig.run(ALICE, &compare_and_write(0, 1), &[0; 2 * BLOCK]);
    rig.run(ALICE, &verify10(1, 0, 8), &[1; 8 * BLOCK]);
    rig.run(ALICE, &verify10(3, 0, 8), &[2; BLOCK]);
    rig.run(ALICE, &write_same10(0, 0, 200), &[1; BLOCK]);
    rig.run(ALICE, &orwrite16(0, 1), &[1; BLOCK]);
    rig.run(ALICE, &get_lba_status(0, 100), &[]);
    rig.hold = true;
    rig.send(ALICE, &compare_and_write(0, 1), &[0; 2 * BLOCK]);
    rig.send(ALICE, &verify10(1, 8, 8), &[1; 8 * BLOCK]);
    rig.manage(ALICE, Function::AbortTaskSet, None);
    rig.release_all();
    rig.pool.trim();
    assert_eq!(rig.pool.budget().bytes(), 0);
}
