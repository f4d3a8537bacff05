//! PREEMPT, and PREEMPT AND ABORT.

use super::*;
use crate::cdb::*;
use crate::rig::BLOCK;
use core::time::Duration;
use felio_spec::status::TaskManagementFunction as Function;

const CONFLICT: Status = Status::RESERVATION_CONFLICT;

#[test]
fn the_holder_is_preempted() {
    let mut rig = Rig::reserved(WE);
    let generation = rig.generation();
    assert_eq!(rig.out(BOB, Out::Preempt, WE, &list(2, 1, 0)).status, Status::GOOD);
    assert_eq!(
        [ALICE, BOB, CAROL].map(|nexus| rig.attention(nexus)),
        [REGISTRATIONS_PREEMPTED, NOTHING, NOTHING]
    );
    assert_eq!((rig.keys(), rig.reservation()), (vec![2, 3], Some((2, WE))));
    assert_eq!(rig.generation(), generation + 1);
    assert_eq!(rig.run(ALICE, &write10(0, 1), &[1; BLOCK]).status, CONFLICT);
}

#[test]
fn another_type_is_told_to_those_who_stay() {
    let mut rig = Rig::reserved(WE);
    assert_eq!(rig.out(BOB, Out::Preempt, EA_RO, &list(2, 1, 0)).status, Status::GOOD);
    assert_eq!(
        [ALICE, BOB, CAROL].map(|nexus| rig.attention(nexus)),
        [REGISTRATIONS_PREEMPTED, NOTHING, RELEASED]
    );
    assert_eq!(rig.reservation(), Some((2, EA_RO)));
}

#[test]
fn the_holder_changes_the_type_by_preempting_itself() {
    let mut rig = Rig::reserved(WE);
    assert_eq!(rig.out(ALICE, Out::Preempt, EA_RO, &list(1, 1, 0)).status, Status::GOOD);
    assert_eq!([ALICE, BOB, CAROL].map(|nexus| rig.attention(nexus)), [NOTHING, RELEASED, RELEASED]);
    assert_eq!((rig.keys(), rig.reservation()), (vec![1, 2, 3], Some((1, EA_RO))));
}

#[test]
fn registrations_are_removed_without_the_reservation() {
    let mut rig = Rig::reserved(WE_RO);
    rig.register(CAROL, 2);
    assert_eq!(rig.out(ALICE, Out::Preempt, 0xff, &list(1, 2, 0)).status, Status::GOOD);
    let told = REGISTRATIONS_PREEMPTED;
    assert_eq!([ALICE, BOB, CAROL].map(|nexus| rig.attention(nexus)), [NOTHING, told, told]);
    assert_eq!((rig.keys(), rig.reservation()), (vec![1], Some((1, WE_RO))));
    assert_eq!(rig.run(BOB, &write10(0, 1), &[1; BLOCK]).status, CONFLICT);
}

#[test]
fn registrations_are_removed_where_nothing_is_reserved() {
    let mut rig = Rig::new();
    rig.register(ALICE, 1);
    rig.register(BOB, 2);
    assert_eq!(rig.out(ALICE, Out::Preempt, 0, &list(1, 2, 0)).status, Status::GOOD);
    assert_eq!(rig.attention(BOB), REGISTRATIONS_PREEMPTED);
    assert_eq!((rig.keys(), rig.reservation()), (vec![1], None));
}

#[test]
fn ones_own_registration_is_removed_without_a_word() {
    let mut rig = Rig::reserved(WE);
    assert_eq!(rig.out(BOB, Out::Preempt, WE, &list(2, 2, 0)).status, Status::GOOD);
    assert_eq!([ALICE, BOB, CAROL].map(|nexus| rig.attention(nexus)), [NOTHING; 3]);
    assert_eq!((rig.keys(), rig.reservation()), (vec![1, 3], Some((1, WE))));
}

#[test]
fn a_key_that_nobody_has_conflicts() {
    let mut rig = Rig::reserved(WE);
    assert_eq!(rig.out(BOB, Out::Preempt, WE, &list(2, 9, 0)).status, CONFLICT);
    assert_eq!(rig.out(BOB, Out::Preempt, WE, &list(9, 1, 0)).status, CONFLICT);
}

#[test]
fn no_key_means_all_where_all_hold_the_reservation() {
    let mut rig = Rig::reserved(EA_AR);
    assert_eq!(rig.out(BOB, Out::Preempt, EA_AR, &list(2, 0, 0)).status, Status::GOOD);
    let told = REGISTRATIONS_PREEMPTED;
    assert_eq!([ALICE, BOB, CAROL].map(|nexus| rig.attention(nexus)), [told, NOTHING, told]);
    assert_eq!((rig.keys(), rig.reservation()), (vec![2], Some((0, EA_AR))));
    for kind in [WE, WE_RO] {
        let mut rig = Rig::reserved(kind);
        let reply = rig.out(BOB, Out::Preempt, kind, &list(2, 0, 0));
        assert_eq!((reply.code(), reply.pointer()), (INVALID_LIST, 8));
    }
}

#[test]
fn a_key_removes_its_registrations_where_all_hold_the_reservation() {
    let mut rig = Rig::reserved(EA_AR);
    assert_eq!(rig.out(BOB, Out::Preempt, WE, &list(2, 1, 0)).status, Status::GOOD);
    assert_eq!(rig.attention(ALICE), REGISTRATIONS_PREEMPTED);
    assert_eq!((rig.keys(), rig.reservation()), (vec![2, 3], Some((0, EA_AR))));
    rig.out(BOB, Out::Preempt, WE, &list(2, 3, 0));
    rig.out(BOB, Out::Preempt, WE, &list(2, 2, 0));
    assert_eq!((rig.keys(), rig.reservation()), (vec![], None));
}

#[test]
fn the_new_type_must_be_one() {
    let mut rig = Rig::reserved(WE);
    let reply = rig.out(BOB, Out::Preempt, 2, &list(2, 1, 0));
    assert_eq!((reply.code(), reply.pointer()), (INVALID_CDB, 2));
    assert_eq!((rig.keys(), rig.generation()), (vec![1, 2, 3], 3));
}

#[test]
fn who_is_gone_is_preempted_all_the_same() {
    let mut rig = Rig::reserved(WE);
    rig.lose(ALICE);
    assert_eq!(rig.out(BOB, Out::Preempt, WE, &list(2, 1, 0)).status, Status::GOOD);
    let again = NexusId { generation: 1, ..ALICE };
    rig.login(again);
    assert_eq!(rig.attention(again), (6, 0x29, 7));
    assert_eq!(rig.attention(again), NOTHING);
    assert_eq!(rig.run(again, &write10(0, 1), &[1; BLOCK]).status, CONFLICT);
}

/// Alice's SYNCHRONIZE CACHE is with the store, and her WRITE waits for its data.
fn with_commands_of_alice(rig: &mut Rig) -> [PortTag; 2] {
    rig.hold = true;
    rig.send_data = false;
    let flush = rig.send(ALICE, &synchronize_cache10(0), &[]);
    let write = rig.send(ALICE, &write10(0, 1), &[1; BLOCK]);
    rig.send_data = true;
    [flush, write]
}

#[test]
fn commands_of_the_preempted_end_before_the_answer() {
    let mut rig = Rig::reserved(WE_RO);
    let [flush, write] = with_commands_of_alice(&mut rig);
    let others = rig.send(CAROL, &synchronize_cache10(0), &[]);
    let preempt = rig.send_out(BOB, Out::PreemptAndAbort, WE_RO, &list(2, 1, 0));
    assert_eq!(rig.reply(write).map(|reply| reply.status), Some(Status::TASK_ABORTED));
    assert_eq!((rig.reply(flush), rig.reply(preempt)), (None, None));
    rig.release();
    assert_eq!(rig.reply(flush).map(|reply| reply.status), Some(Status::TASK_ABORTED));
    assert_eq!(rig.reply(preempt).map(|reply| reply.status), Some(Status::GOOD));
    rig.release_all();
    assert_eq!(rig.reply(others).map(|reply| reply.status), Some(Status::GOOD));
    assert!(rig.engine.is_idle());
    assert_eq!(rig.attention(ALICE), REGISTRATIONS_PREEMPTED);
}

#[test]
fn data_that_come_after_their_command_was_preempted_are_not_written() {
    let mut rig = Rig::reserved(WE_RO);
    let [_, write] = with_commands_of_alice(&mut rig);
    let preempt = rig.send_out(BOB, Out::PreemptAndAbort, WE_RO, &list(2, 1, 0));
    rig.release_all();
    assert_eq!(rig.reply(write).map(|reply| reply.status), Some(Status::TASK_ABORTED));
    assert_eq!(rig.reply(preempt).map(|reply| reply.status), Some(Status::GOOD));
    rig.deliver();
    assert!(rig.held_names().is_empty() && rig.engine.is_idle());
    assert_eq!(rig.blocks(0, 1), [0; BLOCK]);
}

#[test]
fn preempt_alone_ends_no_commands() {
    let mut rig = Rig::reserved(WE_RO);
    let [flush, _] = with_commands_of_alice(&mut rig);
    let preempt = rig.send_out(BOB, Out::Preempt, WE_RO, &list(2, 1, 0));
    assert_eq!(rig.reply(preempt).map(|reply| reply.status), Some(Status::GOOD));
    rig.release_all();
    assert_eq!(rig.reply(flush).map(|reply| reply.status), Some(Status::GOOD));
}

#[test]
fn the_answer_does_not_wait_for_ever() {
    let mut rig = Rig::reserved(WE_RO);
    with_commands_of_alice(&mut rig);
    let preempt = rig.send_out(BOB, Out::PreemptAndAbort, WE_RO, &list(2, 1, 0));
    rig.pass(Duration::from_secs(10));
    assert_eq!(rig.reply(preempt).map(|reply| reply.status), Some(Status::GOOD));
    rig.release_all();
    assert!(rig.engine.is_idle());
}

#[test]
fn a_preempting_command_can_be_aborted_itself() {
    let mut rig = Rig::reserved(WE_RO);
    with_commands_of_alice(&mut rig);
    let preempt = rig.send_out(BOB, Out::PreemptAndAbort, WE_RO, &list(2, 1, 0));
    let function = rig.manage(BOB, Function::AbortTask, Some(preempt));
    assert!(rig.is_abandoned(preempt) && rig.managed(function).is_some());
    rig.release_all();
    assert!(rig.engine.is_idle());
    rig.hold = false;
    assert_eq!(rig.attention(ALICE), REGISTRATIONS_PREEMPTED);
    assert_eq!(rig.keys(), [2, 3]);
}

#[test]
fn the_preempted_prevent_no_removal() {
    let mut target = crate::rig::target();
    target.unit_mut(0).removable = true;
    let mut rig = Rig::with(target, 64, 1 << 20);
    rig.register(ALICE, 1);
    rig.register(BOB, 2);
    assert_eq!(rig.run(ALICE, &[0x1e, 0, 0, 0, 1, 0], &[]).status, Status::GOOD);
    let eject = [0x1b, 0, 0, 0, 2, 0];
    assert_eq!(rig.run(BOB, &eject, &[]).code(), (5, 0x53, 2));
    rig.out(BOB, Out::PreemptAndAbort, 0, &list(2, 1, 0));
    assert_eq!(rig.run(BOB, &eject, &[]).status, Status::GOOD);
}
