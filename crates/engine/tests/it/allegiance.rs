//! Commands that fail, and what that means for the others: auto contingent allegiance, QERR.

use crate::cdb::*;
use crate::rig::{ALICE, BLOCK, BOB, CAROL, Rig};
use felio_hal::{NexusId, PortTag};
use felio_spec::TaskAttribute::{Aca, HeadOfQueue, Ordered, Simple};
use felio_spec::status::{TaskManagementFunction as Function, TaskManagementResponse as Answer};
use felio_spec::{Status, TaskAttribute};

/// Fails, and asks for an allegiance.
const FAILS: [u8; 10] = [0x28, 0, 0, 0, 0xff, 0xff, 0, 0, 1, 4];
/// The same without asking.
const JUST_FAILS: [u8; 10] = [0x28, 0, 0, 0, 0xff, 0xff, 0, 0, 1, 0];

const TUR_WITH_NACA: [u8; 6] = [0, 0, 0, 0, 0, 4];

/// Alice has an allegiance.
fn faulted() -> Rig {
    let mut rig = Rig::new();
    fail(&mut rig);
    rig
}

fn fail(rig: &mut Rig) {
    assert_eq!(rig.ask(&FAILS, &[]), (Status::CHECK_CONDITION, (5, 0x21, 0)));
}

fn status(rig: &mut Rig, attribute: TaskAttribute, nexus: NexusId, cdb: &[u8]) -> Status {
    let tag = rig.send_as(attribute, nexus, cdb, &[]);
    rig.reply(tag).expect("an answer").status
}

fn is_good(rig: &Rig, tag: PortTag) -> bool {
    rig.reply(tag).is_some_and(|reply| reply.status == Status::GOOD)
}

#[test]
fn inquiry_says_that_there_are_allegiances() {
    let mut rig = Rig::new();
    assert_eq!(rig.run(ALICE, &INQUIRY, &[]).data[3] & 0x20, 0x20);
}

#[test]
fn who_does_not_ask_gets_no_allegiance() {
    let mut rig = Rig::new();
    rig.run(ALICE, &JUST_FAILS, &[]);
    assert_eq!(rig.ask(&TEST_UNIT_READY, &[]).0, Status::GOOD);
}

#[test]
fn what_goes_well_leaves_no_allegiance() {
    let mut rig = Rig::new();
    assert_eq!(rig.ask(&TUR_WITH_NACA, &[]).0, Status::GOOD);
    assert_eq!(rig.ask(&TEST_UNIT_READY, &[]).0, Status::GOOD);
}

#[test]
fn new_commands_are_refused_whosever_they_are() {
    let mut rig = faulted();
    for attribute in [Simple, Ordered, HeadOfQueue] {
        assert_eq!(status(&mut rig, attribute, ALICE, &TEST_UNIT_READY), Status::ACA_ACTIVE);
        assert_eq!(status(&mut rig, attribute, BOB, &TEST_UNIT_READY), Status::BUSY);
        assert_eq!(status(&mut rig, attribute, BOB, &TUR_WITH_NACA), Status::ACA_ACTIVE);
    }
    assert_eq!(status(&mut rig, Simple, ALICE, &INQUIRY), Status::ACA_ACTIVE);
    assert_eq!(status(&mut rig, Aca, BOB, &TEST_UNIT_READY), Status::BUSY);
}

#[test]
fn its_initiator_sends_one_command_at_a_time() {
    let mut rig = faulted();
    rig.hold = true;
    let one = rig.send_as(Aca, ALICE, &read10(0, 1), &[]);
    assert_eq!(rig.held_names(), ["read 0+1"]);
    assert_eq!(status(&mut rig, Aca, ALICE, &read10(1, 1)), Status::ACA_ACTIVE);
    rig.release();
    assert!(is_good(&rig, one));
    rig.hold = false;
    assert_eq!(status(&mut rig, Aca, ALICE, &read10(1, 1)), Status::GOOD);
    assert_eq!(status(&mut rig, Simple, ALICE, &read10(1, 1)), Status::ACA_ACTIVE);
}

#[test]
fn task_management_only_is_what_the_mode_page_can_ask_for() {
    let mut rig = Rig::new();
    rig.set_control(|page| page[2] |= 0x10);
    fail(&mut rig);
    assert_eq!(status(&mut rig, Aca, ALICE, &read10(1, 1)), Status::ACA_ACTIVE);
}

#[test]
fn without_an_allegiance_the_attribute_is_wrong() {
    let mut rig = Rig::new();
    let tag = rig.send_as(Aca, ALICE, &TEST_UNIT_READY, &[]);
    assert_eq!(rig.reply(tag).map(|reply| reply.code()), Some((5, 0x49, 0)));
}

#[test]
fn what_runs_is_answered_when_the_allegiance_has_ended() {
    let mut rig = Rig::new();
    rig.hold = true;
    let others = rig.send(BOB, &read10(0, 1), &[]);
    let own = rig.send(ALICE, &write10(1, 1), &[7; BLOCK]);
    fail(&mut rig);
    rig.release_all();
    assert_eq!((rig.reply(others), rig.reply(own)), (None, None));
    rig.hold = false;
    assert_eq!(status(&mut rig, Aca, ALICE, &write10(1, 1)), Status::GOOD, "it waits for no blocks");
    rig.manage(ALICE, Function::ClearAca, None);
    assert!(is_good(&rig, others) && is_good(&rig, own) && rig.engine.is_idle());
}

#[test]
fn what_waits_goes_on_waiting() {
    let mut rig = Rig::new();
    rig.hold = true;
    let first = rig.send_as(Ordered, BOB, &read10(0, 1), &[]);
    let second = rig.send_as(Ordered, BOB, &read10(1, 1), &[]);
    fail(&mut rig);
    rig.release();
    assert_eq!(rig.held_names(), [""; 0]);
    rig.manage(ALICE, Function::ClearAca, None);
    assert!(is_good(&rig, first));
    rig.release();
    assert!(is_good(&rig, second));
}

#[test]
fn data_that_come_meanwhile_are_kept() {
    let mut rig = Rig::new();
    rig.send_data = false;
    let write = rig.send(BOB, &write10(0, 1), &[9; BLOCK]);
    fail(&mut rig);
    rig.deliver();
    assert_eq!((rig.reply(write), rig.disk.log.len()), (None, 0));
    rig.manage(ALICE, Function::ClearAca, None);
    assert!(is_good(&rig, write));
}

#[test]
fn what_waits_can_be_aborted_by_its_own_initiator() {
    let mut rig = Rig::new();
    rig.hold = true;
    let read = rig.send(BOB, &read10(0, 1), &[]);
    fail(&mut rig);
    rig.release();
    let function = rig.manage(BOB, Function::AbortTask, Some(read));
    assert_eq!(rig.managed(function), Some(Answer::FunctionComplete));
    assert!(rig.is_abandoned(read) && rig.engine.is_idle());
    rig.pool.trim();
    assert_eq!(rig.pool.budget().bytes(), 0);
}

#[test]
fn clear_aca_is_for_whom_it_concerns() {
    let mut rig = faulted();
    let others = rig.manage(BOB, Function::ClearAca, None);
    assert_eq!(rig.managed(others), Some(Answer::FunctionComplete));
    assert_eq!(status(&mut rig, Simple, ALICE, &TEST_UNIT_READY), Status::ACA_ACTIVE);
    let own = rig.manage(ALICE, Function::ClearAca, None);
    assert_eq!(rig.managed(own), Some(Answer::FunctionComplete));
    assert_eq!(status(&mut rig, Simple, BOB, &TEST_UNIT_READY), Status::GOOD);
    let again = rig.manage(ALICE, Function::ClearAca, None);
    assert_eq!(rig.managed(again), Some(Answer::FunctionComplete));
}

#[test]
fn clear_aca_aborts_the_command_with_the_attribute() {
    let mut rig = faulted();
    rig.hold = true;
    let tag = rig.send_as(Aca, ALICE, &read10(0, 1), &[]);
    let function = rig.manage(ALICE, Function::ClearAca, None);
    assert!(rig.is_abandoned(tag));
    assert_eq!(rig.managed(function), None);
    rig.release();
    assert_eq!(rig.managed(function), Some(Answer::FunctionComplete));
}

#[test]
fn a_command_with_the_attribute_that_fails_ends_the_allegiance_or_renews_it() {
    let mut rig = faulted();
    assert_eq!(status(&mut rig, Aca, ALICE, &FAILS), Status::CHECK_CONDITION);
    assert_eq!(status(&mut rig, Simple, BOB, &TEST_UNIT_READY), Status::BUSY);
    assert_eq!(status(&mut rig, Aca, ALICE, &JUST_FAILS), Status::CHECK_CONDITION);
    assert_eq!(status(&mut rig, Simple, BOB, &TEST_UNIT_READY), Status::GOOD);
}

#[test]
fn a_command_that_fails_in_the_store_leaves_one_too() {
    let mut rig = Rig::new();
    rig.disk.failure = Some(felio_hal::store::Failure::Medium(None));
    assert_eq!(rig.ask(&[0x28, 0, 0, 0, 0, 0, 0, 0, 1, 4], &[]).1, (3, 0x11, 0));
    assert_eq!(status(&mut rig, Simple, BOB, &TEST_UNIT_READY), Status::BUSY);
}

#[test]
fn resets_and_losses_end_it() {
    for function in [Function::LogicalUnitReset, Function::TargetWarmReset] {
        let mut rig = faulted();
        rig.manage(BOB, function, None);
        rig.run(BOB, &REQUEST_SENSE, &[]);
        assert_eq!(status(&mut rig, Simple, BOB, &TEST_UNIT_READY), Status::GOOD);
    }
    let mut rig = faulted();
    rig.manage(ALICE, Function::ITNexusReset, None);
    assert_eq!(status(&mut rig, Simple, BOB, &TEST_UNIT_READY), Status::GOOD);
    let mut rig = faulted();
    rig.lose(ALICE);
    assert_eq!(status(&mut rig, Simple, BOB, &TEST_UNIT_READY), Status::GOOD);
}

#[test]
fn another_nexus_cannot_end_it_by_leaving() {
    let mut rig = faulted();
    rig.manage(BOB, Function::AbortTaskSet, None);
    rig.lose(BOB);
    assert_eq!(status(&mut rig, Simple, ALICE, &TEST_UNIT_READY), Status::ACA_ACTIVE);
}

#[test]
fn with_a_task_set_each_the_others_are_not_concerned() {
    let mut rig = Rig::new();
    rig.set_control(|page| page[2] |= 0x20);
    rig.hold = true;
    let read = rig.send(BOB, &read10(0, 1), &[]);
    fail(&mut rig);
    assert_eq!(status(&mut rig, Simple, ALICE, &TEST_UNIT_READY), Status::ACA_ACTIVE);
    assert_eq!(status(&mut rig, Simple, BOB, &INQUIRY), Status::GOOD);
    rig.release();
    assert!(is_good(&rig, read));
    let tag = rig.send_as(Aca, BOB, &INQUIRY, &[]);
    assert_eq!(rig.reply(tag).map(|reply| reply.code()), Some((5, 0x49, 0)));
}

#[test]
fn with_a_task_set_each_nobody_waits_for_the_order_of_others() {
    let mut rig = Rig::new();
    rig.set_control(|page| page[2] |= 0x20);
    rig.hold = true;
    rig.send_as(Ordered, ALICE, &read10(0, 1), &[]);
    rig.send_as(Ordered, ALICE, &read10(1, 1), &[]);
    rig.send_as(Ordered, BOB, &read10(2, 1), &[]);
    rig.send_as(Simple, BOB, &read10(3, 1), &[]);
    assert_eq!(rig.held_names(), ["read 0+1", "read 2+1"]);
    rig.held.rotate_left(1);
    rig.release();
    assert_eq!(rig.held_names(), ["read 0+1", "read 3+1"]);
}

#[test]
fn with_a_task_set_each_clearing_spares_the_others() {
    let mut rig = Rig::new();
    rig.set_control(|page| page[2] |= 0x20);
    rig.hold = true;
    let others = rig.send(BOB, &read10(0, 1), &[]);
    let own = rig.send(ALICE, &read10(1, 1), &[]);
    rig.manage(ALICE, Function::ClearTaskSet, None);
    rig.release_all();
    assert!(is_good(&rig, others) && rig.is_abandoned(own));
}

/// Alice's command fails while Alice, Bob and Carol have one each; what became of those.
fn query_error(control: impl FnOnce(&mut [u8])) -> (Rig, [PortTag; 3]) {
    let mut rig = Rig::new();
    rig.login(CAROL);
    rig.run(CAROL, &REQUEST_SENSE, &[]);
    rig.set_control(control);
    rig.run(CAROL, &REQUEST_SENSE, &[]);
    rig.hold = true;
    let tags = [(ALICE, 0), (BOB, 1), (CAROL, 2)].map(|(nexus, lba)| rig.send(nexus, &read10(lba, 1), &[]));
    rig.run(ALICE, &JUST_FAILS, &[]);
    rig.hold = false;
    rig.release_all();
    (rig, tags)
}

fn statuses(rig: &Rig, tags: [PortTag; 3]) -> [Option<Status>; 3] {
    tags.map(|tag| rig.reply(tag).map(|reply| reply.status))
}

#[test]
fn query_error_00_lets_the_others_go_on() {
    let (rig, tags) = query_error(|_| {});
    assert_eq!(statuses(&rig, tags), [Some(Status::GOOD); 3]);
}

#[test]
fn query_error_01_aborts_all_of_the_task_set() {
    let (rig, tags) = query_error(|page| page[3] |= 0x02);
    assert!(rig.is_abandoned(tags[0]));
    assert_eq!(statuses(&rig, tags)[1..], [Some(Status::TASK_ABORTED); 2]);
}

#[test]
fn query_error_01_without_tas_tells_the_others_by_a_unit_attention() {
    let (mut rig, tags) = query_error(|page| {
        page[3] |= 0x02;
        page[5] &= !0x40;
    });
    assert!(tags.iter().all(|tag| rig.is_abandoned(*tag)));
    assert_eq!(rig.run(BOB, &TEST_UNIT_READY, &[]).code(), (6, 0x2f, 0));
    assert_eq!(rig.run(ALICE, &TEST_UNIT_READY, &[]).code(), (0, 0, 0));
}

#[test]
fn query_error_01_spares_other_task_sets() {
    let (rig, tags) = query_error(|page| {
        page[2] |= 0x20;
        page[3] |= 0x02;
    });
    assert_eq!(statuses(&rig, tags), [None, Some(Status::GOOD), Some(Status::GOOD)]);
}

#[test]
fn query_error_11_aborts_those_of_the_nexus() {
    let (rig, tags) = query_error(|page| page[3] |= 0x06);
    assert!(rig.is_abandoned(tags[0]));
    assert_eq!(statuses(&rig, tags), [None, Some(Status::GOOD), Some(Status::GOOD)]);
}

#[test]
fn what_query_error_aborts_does_not_begin_first() {
    let mut rig = Rig::new();
    rig.set_control(|page| page[3] |= 0x02);
    rig.hold = true;
    rig.send_as(Ordered, ALICE, &read10(0, 1), &[]);
    let waiting = rig.send_as(Ordered, BOB, &write10(1, 1), &[1; BLOCK]);
    rig.disk.failure = Some(felio_hal::store::Failure::Medium(None));
    rig.release();
    assert_eq!(rig.reply(waiting).map(|reply| reply.status), Some(Status::TASK_ABORTED));
    assert!(rig.held.is_empty() && rig.engine.is_idle());
}
