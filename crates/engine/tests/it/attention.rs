//! Unit attentions, and what else a unit tells unasked.

use crate::cdb::*;
use crate::rig::{ALICE, BLOCK, BOB, Rig, target};
use core::time::Duration;
use felio_hal::NexusId;
use felio_spec::Status;
use felio_spec::status::{TaskManagementFunction as Function, TaskManagementResponse as Answer};

const POWER_ON: (u8, u8, u8) = (6, 0x29, 1);
const NEXUS_LOSS: (u8, u8, u8) = (6, 0x29, 7);
const CAPACITY_CHANGED: (u8, u8, u8) = (6, 0x2a, 9);
const MODE_CHANGED: (u8, u8, u8) = (6, 0x2a, 1);
const NOTHING: (u8, u8, u8) = (0, 0, 0);

fn fresh() -> Rig {
    let mut rig = Rig::silent(target(), 8, 1 << 20);
    rig.login(ALICE);
    rig
}

fn ready(rig: &mut Rig, nexus: NexusId) -> (u8, u8, u8) {
    rig.run(nexus, &TEST_UNIT_READY, &[]).code()
}

#[test]
fn a_new_nexus_is_told_of_power_on_once() {
    let mut rig = fresh();
    assert_eq!(ready(&mut rig, ALICE), POWER_ON);
    assert_eq!(ready(&mut rig, ALICE), NOTHING);
}

#[test]
fn inquiry_and_report_luns_leave_it_pending() {
    let mut rig = fresh();
    assert_eq!(rig.run(ALICE, &INQUIRY, &[]).status, Status::GOOD);
    assert_eq!(rig.run(ALICE, &[0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0], &[]).status, Status::GOOD);
    assert_eq!(ready(&mut rig, ALICE), POWER_ON);
}

#[test]
fn request_sense_returns_and_clears_it() {
    let mut rig = fresh();
    let data = rig.run(ALICE, &REQUEST_SENSE, &[]).data;
    assert_eq!((data[2], data[12], data[13]), POWER_ON);
    assert_eq!(rig.run(ALICE, &REQUEST_SENSE, &[]).data[2], 0);
    assert_eq!(ready(&mut rig, ALICE), NOTHING);
}

#[test]
fn request_sense_does_not_clear_what_it_had_no_room_to_return() {
    let mut rig = fresh();
    assert_eq!(rig.run(ALICE, &[0x03, 0, 0, 0, 0, 0], &[]).data, [0; 0]);
    assert_eq!(ready(&mut rig, ALICE), POWER_ON);
}

#[test]
fn an_unknown_command_reports_it_first() {
    let mut rig = fresh();
    assert_eq!(rig.run(ALICE, &[0xff; 6], &[]).code(), POWER_ON);
    assert_eq!(rig.run(ALICE, &[0xff; 6], &[]).code(), (5, 0x20, 0));
}

#[test]
fn an_initiator_port_that_comes_back_is_told_of_the_loss() {
    let mut rig = Rig::new();
    rig.lose(ALICE);
    let again = NexusId { generation: 1, ..ALICE };
    rig.login(again);
    assert_eq!(ready(&mut rig, again), NEXUS_LOSS);
    assert_eq!(ready(&mut rig, BOB), NOTHING);
}

#[test]
fn test_unit_ready_notices_a_new_size_and_says_so() {
    let mut rig = Rig::new();
    rig.disk.bytes.resize(5000 * BLOCK, 0);
    assert_eq!(ready(&mut rig, ALICE), CAPACITY_CHANGED);
    assert_eq!(ready(&mut rig, ALICE), NOTHING);
    assert_eq!(ready(&mut rig, BOB), CAPACITY_CHANGED);
    assert_eq!(rig.run(ALICE, &read10(4999, 1), &[]).status, Status::GOOD);
}

#[test]
fn read_capacity_tells_the_new_size() {
    let mut rig = Rig::new();
    rig.disk.bytes.resize(5000 * BLOCK, 0);
    let data = rig.run(ALICE, &read_capacity16(), &[]).data;
    assert_eq!(data[..8], 4999u64.to_be_bytes());
}

#[test]
fn a_new_size_is_noticed_while_commands_run() {
    let mut rig = Rig::new();
    rig.disk.bytes.resize(5000 * BLOCK, 0);
    rig.run(ALICE, &read10(0, 1), &[]);
    assert_eq!(rig.disk.log, ["read 0+1"]);
    rig.now = rig.now + Duration::from_secs(1);
    rig.run(ALICE, &read10(0, 1), &[]);
    rig.run(BOB, &read10(0, 1), &[]);
    assert_eq!(rig.disk.log.iter().filter(|op| *op == "size").count(), 1);
    assert_eq!(rig.run(ALICE, &read10(0, 1), &[]).code(), CAPACITY_CHANGED);
}

#[test]
fn a_store_that_does_not_tell_its_size_is_not_asked_again() {
    let mut rig = Rig::new();
    rig.hold = true;
    rig.now = rig.now + Duration::from_secs(1);
    rig.send(ALICE, &INQUIRY, &[]);
    rig.send(ALICE, &TEST_UNIT_READY, &[]);
    // The command's own question comes home, the one before does not.
    rig.held.rotate_left(1);
    rig.release();
    rig.now = rig.now + Duration::from_secs(2);
    rig.send(ALICE, &INQUIRY, &[]);
    assert_eq!(rig.held_names(), ["size"]);
}

#[test]
fn a_store_that_ends_too_soon_is_measured_at_the_next_command() {
    let mut rig = Rig::new();
    rig.disk.failure = Some(felio_hal::store::Failure::Short);
    rig.run(ALICE, &read10(4095, 1), &[]);
    rig.disk.bytes.truncate(4000 * BLOCK);
    rig.run(BOB, &INQUIRY, &[]);
    assert_eq!(rig.run(ALICE, &read10(4095, 1), &[]).code(), CAPACITY_CHANGED);
    assert_eq!(rig.run(ALICE, &read10(4095, 1), &[]).code(), (5, 0x21, 0));
}

#[test]
fn changed_mode_parameters_are_told_to_the_others() {
    let mut rig = Rig::new();
    let mut list = rig.run(ALICE, &[0x1a, 0x08, 0x08, 0, 255, 0], &[]).data;
    list[0] = 0;
    list[2] = 0;
    list[4] &= 0x3f;
    list[6] ^= 0x04;
    let length = u8::try_from(list.len()).expect("small");
    assert_eq!(rig.run(ALICE, &[0x15, 0x10, 0, 0, length, 0], &list).status, Status::GOOD);
    assert_eq!(ready(&mut rig, ALICE), NOTHING);
    assert_eq!(ready(&mut rig, BOB), MODE_CHANGED);
}

/// UA_INTLCK_CTRL.
fn interlocked(bits: u8) -> Rig {
    let mut rig = Rig::new();
    rig.set_control(|page| page[4] |= bits << 4);
    rig
}

#[test]
fn an_interlocked_condition_is_told_until_it_is_fetched() {
    for bits in [0b10, 0b11] {
        let mut rig = interlocked(bits);
        rig.disk.bytes.resize(5000 * BLOCK, 0);
        assert_eq!(ready(&mut rig, ALICE), CAPACITY_CHANGED);
        assert_eq!(ready(&mut rig, ALICE), CAPACITY_CHANGED);
        assert_eq!(rig.ask(&read10(0, 1), &[]).1, CAPACITY_CHANGED);
        let data = rig.run(ALICE, &REQUEST_SENSE, &[]).data;
        assert_eq!((data[2], data[12], data[13]), CAPACITY_CHANGED);
        assert_eq!(ready(&mut rig, ALICE), NOTHING);
    }
}

#[test]
fn some_statuses_are_conditions_where_the_mode_page_says_so() {
    for (bits, want) in [(0b00, NOTHING), (0b10, NOTHING), (0b11, (6, 0x2c, 7))] {
        let mut rig = interlocked(bits);
        assert_eq!(rig.run(ALICE, &[0, 0, 1, 0, 0, 4], &[]).status, Status::CHECK_CONDITION);
        assert_eq!(rig.run(BOB, &TEST_UNIT_READY, &[]).status, Status::BUSY);
        assert_eq!(rig.run(BOB, &TEST_UNIT_READY, &[]).status, Status::BUSY);
        rig.manage(ALICE, Function::ClearAca, None);
        assert_eq!(ready(&mut rig, BOB), want);
        assert_eq!(ready(&mut rig, BOB), want);
        rig.run(BOB, &REQUEST_SENSE, &[]);
        assert_eq!(ready(&mut rig, BOB), NOTHING, "it is established once");
    }
}

#[test]
fn a_full_task_set_is_a_condition_of_its_own() {
    let mut rig = Rig::with(target(), 1, 1 << 20);
    rig.set_control(|page| page[4] |= 0x30);
    rig.hold = true;
    rig.send(ALICE, &read10(0, 1), &[]);
    assert_eq!(rig.run(ALICE, &read10(0, 1), &[]).status, Status::TASK_SET_FULL);
    rig.release();
    assert_eq!(ready(&mut rig, ALICE), (6, 0x2c, 8));
}

#[test]
fn a_command_that_fails_after_it_was_answered_is_told_with_the_next() {
    let mut rig = Rig::new();
    rig.hold = true;
    assert_eq!(rig.ask(&synchronize_cache10(0x02), &[]).0, Status::GOOD);
    rig.disk.failure = Some(felio_hal::store::Failure::Medium(None));
    rig.release();
    rig.hold = false;
    assert_eq!(ready(&mut rig, BOB), NOTHING);
    let query = rig.manage(ALICE, Function::QueryAsynchronousEvent, None);
    assert_eq!(rig.managed(query), Some(Answer::FunctionSucceeded([0x13, 0x0c, 0])));
    let reply = rig.run(ALICE, &write10(0, 1), &[1; BLOCK]);
    assert_eq!((reply.sense[0], reply.code()), (0x71, (3, 0x0c, 0)));
    assert_eq!(rig.blocks(0, 1), [0; BLOCK], "the command that tells it was not done");
    assert_eq!(ready(&mut rig, ALICE), NOTHING);
}

#[test]
fn request_sense_fetches_a_deferred_error() {
    let mut rig = Rig::new();
    rig.disk.failure = Some(felio_hal::store::Failure::Medium(None));
    rig.run(ALICE, &synchronize_cache10(0x02), &[]);
    let data = rig.run(ALICE, &[0x03, 1, 0, 0, 252, 0], &[]).data;
    assert_eq!(data[..4], [0x73, 3, 0x0c, 0]);
    assert_eq!(ready(&mut rig, ALICE), NOTHING);
}

#[test]
fn a_prefetch_that_fails_is_nobodys_business() {
    let mut rig = Rig::new();
    rig.disk.failure = Some(felio_hal::store::Failure::Medium(None));
    rig.run(ALICE, &[0x34, 0x02, 0, 0, 0, 0, 0, 0, 1, 0], &[]);
    assert_eq!(ready(&mut rig, ALICE), NOTHING);
}

#[test]
fn a_warm_and_a_cold_reset_are_told_apart() {
    let mut rig = Rig::new();
    rig.manage(ALICE, Function::TargetWarmReset, None);
    assert_eq!(ready(&mut rig, BOB), (6, 0x29, 2));
    rig.manage(ALICE, Function::TargetColdReset, None);
    rig.lose(BOB);
    let again = NexusId { generation: 1, ..BOB };
    rig.login(again);
    assert_eq!(ready(&mut rig, again), POWER_ON);
}
