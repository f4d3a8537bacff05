//! Tasks that end before they are done.

use crate::cdb::*;
use crate::rig::{ALICE, BLOCK, BOB, Rig, Said};
use felio_hal::NexusId;
use felio_spec::Status;
use felio_spec::TaskAttribute::Ordered;
use felio_spec::status::TaskManagementFunction as Function;
use felio_spec::status::TaskManagementResponse as Answer;

const RESET: (u8, u8, u8) = (6, 0x29, 3);

fn rig() -> Rig {
    let mut rig = Rig::new();
    rig.hold = true;
    rig
}

/// Without TAS, aborted commands of others just vanish.
fn without_task_aborted_status(rig: &mut Rig) {
    rig.set_control(|page| page[5] &= !0x40);
}

#[test]
fn an_aborted_task_keeps_its_response_waiting_until_its_buffer_is_home() {
    let mut rig = rig();
    let task = rig.send(ALICE, &write10(0, 1), &[1; BLOCK]);
    let function = rig.manage(ALICE, Function::AbortTask, Some(task));
    assert!(rig.is_abandoned(task));
    assert_eq!(rig.managed(function), None);
    rig.release();
    assert_eq!(rig.managed(function), Some(Answer::FunctionComplete));
    assert!(rig.engine.is_idle());
}

#[test]
fn a_waiting_task_is_aborted_at_once() {
    let mut rig = rig();
    rig.send_as(Ordered, ALICE, &read10(0, 1), &[]);
    let waiting = rig.send_as(Ordered, ALICE, &write10(1, 1), &[0; BLOCK]);
    let function = rig.manage(ALICE, Function::AbortTask, Some(waiting));
    assert!(rig.is_abandoned(waiting));
    assert_eq!(rig.managed(function), Some(Answer::FunctionComplete));
}

#[test]
fn data_that_come_too_late_find_no_task() {
    let mut rig = rig();
    rig.send_data = false;
    let task = rig.send(ALICE, &write10(0, 1), &[1; BLOCK]);
    rig.manage(ALICE, Function::AbortTask, Some(task));
    rig.deliver();
    assert!(rig.engine.is_idle() && rig.held.is_empty());
}

#[test]
fn a_task_that_is_not_there_cannot_be_aborted() {
    let mut rig = rig();
    let task = rig.send(ALICE, &read10(0, 1), &[]);
    let others = rig.manage(BOB, Function::AbortTask, Some(task));
    let unknown = rig.manage(ALICE, Function::AbortTask, None);
    assert_eq!(rig.managed(others), Some(Answer::NoSuchTask));
    assert_eq!(rig.managed(unknown), Some(Answer::NoSuchTask));
}

#[test]
fn abort_task_set_spares_the_others() {
    let mut rig = rig();
    let own = rig.send(ALICE, &read10(0, 1), &[]);
    let others = rig.send(BOB, &read10(1, 1), &[]);
    rig.manage(ALICE, Function::AbortTaskSet, None);
    rig.release_all();
    assert!(rig.is_abandoned(own) && rig.reply(own).is_none());
    assert_eq!(rig.reply(others).map(|reply| reply.status), Some(Status::GOOD));
}

#[test]
fn clear_task_set_tells_the_others_by_task_aborted() {
    let mut rig = rig();
    let own = rig.send(ALICE, &write10(0, 1), &[0; BLOCK]);
    let others = rig.send(BOB, &write10(1, 1), &[0; BLOCK]);
    let function = rig.manage(ALICE, Function::ClearTaskSet, None);
    assert_eq!(rig.reply(others), None);
    rig.release_all();
    assert!(rig.is_abandoned(own));
    assert_eq!(rig.reply(others).map(|reply| reply.status), Some(Status::TASK_ABORTED));
    assert_eq!(rig.managed(function), Some(Answer::FunctionComplete));
}

#[test]
fn without_tas_the_others_get_a_unit_attention() {
    let mut rig = Rig::new();
    without_task_aborted_status(&mut rig);
    rig.hold = true;
    let others = rig.send(BOB, &read10(1, 1), &[]);
    rig.manage(ALICE, Function::ClearTaskSet, None);
    rig.hold = false;
    rig.release_all();
    assert!(rig.is_abandoned(others));
    assert_eq!(rig.run(BOB, &TEST_UNIT_READY, &[]).code(), (6, 0x2f, 0));
    assert_eq!(rig.run(ALICE, &TEST_UNIT_READY, &[]).code(), (0, 0, 0));
}

#[test]
fn without_tas_whose_commands_were_all_answered_learns_nothing() {
    let mut rig = Rig::new();
    without_task_aborted_status(&mut rig);
    rig.hold = true;
    rig.run(BOB, &synchronize_cache10(0x02), &[]);
    rig.manage(ALICE, Function::ClearTaskSet, None);
    rig.hold = false;
    rig.release_all();
    assert_eq!(rig.run(BOB, &TEST_UNIT_READY, &[]).code(), (0, 0, 0));
}

#[test]
fn a_reset_unit_tells_every_nexus() {
    let mut rig = rig();
    let task = rig.send(ALICE, &read10(0, 1), &[]);
    let function = rig.manage(BOB, Function::LogicalUnitReset, None);
    rig.hold = false;
    rig.release_all();
    assert_eq!(rig.reply(task).map(|reply| reply.status), Some(Status::TASK_ABORTED));
    assert_eq!(rig.managed(function), Some(Answer::FunctionComplete));
    assert_eq!(rig.run(ALICE, &TEST_UNIT_READY, &[]).code(), RESET);
    assert_eq!(rig.run(BOB, &TEST_UNIT_READY, &[]).code(), RESET);
}

#[test]
fn a_reset_starts_a_stopped_unit() {
    let mut rig = Rig::new();
    rig.run(ALICE, &STOP, &[]);
    rig.manage(ALICE, Function::LogicalUnitReset, None);
    rig.run(ALICE, &REQUEST_SENSE, &[]);
    assert_eq!(rig.run(ALICE, &TEST_UNIT_READY, &[]).status, Status::GOOD);
}

#[test]
fn two_functions_wait_for_the_same_task() {
    let mut rig = rig();
    rig.send(ALICE, &write10(0, 1), &[0; BLOCK]);
    let one = rig.manage(ALICE, Function::AbortTaskSet, None);
    let two = rig.manage(BOB, Function::LogicalUnitReset, None);
    assert_eq!((rig.managed(one), rig.managed(two)), (None, None));
    rig.release();
    assert_eq!(rig.managed(one), Some(Answer::FunctionComplete));
    assert_eq!(rig.managed(two), Some(Answer::FunctionComplete));
}

#[test]
fn a_cold_reset_ends_the_sessions() {
    let mut rig = Rig::new();
    let function = rig.manage(ALICE, Function::TargetColdReset, None);
    assert_eq!(rig.managed(function), Some(Answer::FunctionComplete));
    let closed: Vec<NexusId> =
        rig.said.iter().filter(|(_, said)| *said == Said::Close).map(|(nexus, _)| *nexus).collect();
    assert_eq!(closed, [ALICE, BOB]);
}

#[test]
fn a_nexus_reset_concerns_that_nexus() {
    let mut rig = rig();
    let own = rig.send(ALICE, &read10(0, 1), &[]);
    let others = rig.send(BOB, &read10(1, 1), &[]);
    rig.manage(ALICE, Function::ITNexusReset, None);
    rig.hold = false;
    rig.release_all();
    assert!(rig.is_abandoned(own) && rig.reply(others).is_some());
    assert_eq!(rig.run(ALICE, &TEST_UNIT_READY, &[]).code(), (6, 0x29, 7));
    assert_eq!(rig.run(BOB, &TEST_UNIT_READY, &[]).code(), (0, 0, 0));
}

#[test]
fn queries_tell_what_is_there() {
    let mut rig = rig();
    let task = rig.send(ALICE, &read10(0, 1), &[]);
    let found =
        [rig.manage(ALICE, Function::QueryTask, Some(task)), rig.manage(ALICE, Function::QueryTaskSet, None)];
    let missed = [
        rig.manage(BOB, Function::QueryTask, Some(task)),
        rig.manage(BOB, Function::QueryTaskSet, None),
        rig.manage(BOB, Function::QueryAsynchronousEvent, None),
    ];
    assert_eq!(found.map(|tag| rig.managed(tag)), [Some(Answer::FunctionSucceeded([0; 3])); 2]);
    assert_eq!(missed.map(|tag| rig.managed(tag)), [Some(Answer::FunctionComplete); 3]);
}

#[test]
fn a_pending_attention_is_found_by_query() {
    let mut rig = Rig::new();
    rig.manage(BOB, Function::LogicalUnitReset, None);
    let query = rig.manage(ALICE, Function::QueryAsynchronousEvent, None);
    assert_eq!(rig.managed(query), Some(Answer::FunctionSucceeded([0x16, 0x29, 3])));
}

#[test]
fn a_lost_nexus_gets_no_answers() {
    let mut rig = rig();
    rig.send(ALICE, &write10(0, 1), &[0; BLOCK]);
    rig.send_as(Ordered, ALICE, &read10(0, 1), &[]);
    rig.manage(ALICE, Function::AbortTaskSet, None);
    rig.said.clear();
    rig.lose(ALICE);
    rig.release_all();
    assert!(rig.said.is_empty() && rig.engine.is_idle());
}

#[test]
fn a_write_of_a_lost_nexus_is_not_overtaken_by_its_retry() {
    let mut rig = rig();
    rig.send(ALICE, &write10(0, 2), &[1; 2 * BLOCK]);
    rig.lose(ALICE);
    let again = NexusId { generation: 1, ..ALICE };
    rig.login(again);
    rig.send(again, &REQUEST_SENSE, &[]);
    rig.send(again, &write10(1, 1), &[2; BLOCK]);
    rig.send(again, &write10(2, 1), &[2; BLOCK]);
    assert_eq!(rig.held_names(), ["write 0+2", "write 2+1"]);
    rig.release_all();
    assert_eq!(rig.blocks(1, 1), [2; BLOCK]);
}

#[test]
fn functions_for_no_unit_are_told_so() {
    use felio_hal::port::TaskManagement;
    let mut rig = rig();
    let tag = felio_hal::PortTag(900);
    let lun = felio_spec::Lun::from_number(7).expect("a LUN");
    let management = TaskManagement { tag, function: Function::LogicalUnitReset, lun, referenced: None };
    rig.engine.handle_task_management(rig.now, ALICE, management, &mut rig.pool);
    rig.pump();
    assert_eq!(rig.managed(tag), Some(Answer::IncorrectLun));
}
