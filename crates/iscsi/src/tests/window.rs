//! CmdSN and StatSN on the wire.

use super::*;
use crate::pdu::{
    NopOut, ScsiCommand, Sn, TaskAttribute, TaskManagementFunction, TaskManagementRequest, TaskTag,
};
use crate::peer::Data;

fn command(itt: u32, cmd_sn: Sn, immediate: bool) -> ScsiCommand {
    ScsiCommand {
        immediate,
        final_pdu: true,
        read: false,
        write: false,
        attribute: TaskAttribute::SIMPLE,
        total_ahs_words: 0,
        data_segment_bytes: 0,
        lun: 0,
        initiator_task_tag: TaskTag(itt),
        expected_data_bytes: 0,
        cmd_sn,
        exp_stat_sn: Sn(0),
        cdb: [0; 16],
    }
}

fn silent(window: u32) -> World {
    let limits = Limits { window, ..Limits::default() };
    let mut world = World::with_limits(settings(&[]), limits).logging_in();
    world.engine = Engine::Silent;
    world
}

#[test]
fn commands_outside_the_window_are_ignored_without_a_word() {
    let mut world = silent(4);
    let first = world.peer.cmd_sn;
    for sn in [first.previous(), first + 4, first + 0x4000_0000] {
        world.peer.send(command(99, sn, false).into(), &[]);
    }
    world.run();
    assert!(world.told.is_empty() && world.seen().is_empty());
    world.peer.command(0, &[0; 6], Data::None);
    world.run();
    assert_eq!(world.told_commands(), 1);
}

#[test]
fn a_function_that_ends_a_command_does_not_give_its_own_place_away() {
    let keys = [("ImmediateData", "No"), ("InitialR2T", "No"), ("FirstBurstLength", "1024")];
    let limits = Limits { window: 1, ..Limits::default() };
    let mut world = World::with_limits(settings(&keys), limits).logging_in();
    world.engine = Engine::Silent;
    let first = world.peer.cmd_sn;
    let write =
        ScsiCommand { final_pdu: false, write: true, expected_data_bytes: 1024, ..command(1, first, true) };
    world.peer.send(write.into(), &[]);
    world.run();
    let tag = world.told_command().tag;
    world.bad(tag, felio_spec::sense::code::WRITE_PROTECTED);
    let reset = TaskManagementRequest {
        immediate: false,
        function: TaskManagementFunction::LOGICAL_UNIT_RESET,
        lun: 0,
        initiator_task_tag: TaskTag(2),
        referenced_task_tag: TaskTag::RESERVED,
        cmd_sn: first,
        exp_stat_sn: Sn(0),
        ref_cmd_sn: Sn(0),
        exp_data_sn: Sn(0),
    };
    world.peer.send(reset.into(), &[]);
    world.peer.send(NopOut { immediate: true, ..ping(3, first + 1) }.into(), &[]);
    world.run();
    assert_eq!(world.peer.max_cmd_sn, first, "the only place is the function's own");
}

#[test]
fn aborting_an_immediate_command_leaves_the_one_alone_whose_number_it_bears() {
    let limits = Limits { data_in_bytes_max: 1, ..Limits::default() };
    let mut world = World::with_limits(settings(&[]), limits).logging_in();
    world.engine = Engine::Silent;
    world.raw = true;
    let first = world.peer.cmd_sn;
    let read = ScsiCommand { read: true, expected_data_bytes: 512, ..command(1, first, false) };
    let abort = TaskManagementRequest {
        immediate: true,
        function: TaskManagementFunction::ABORT_TASK,
        lun: 0,
        initiator_task_tag: TaskTag(4),
        referenced_task_tag: TaskTag(3),
        cmd_sn: first + 2,
        exp_stat_sn: Sn(0),
        ref_cmd_sn: first + 2,
        exp_data_sn: Sn(0),
    };
    world.peer.send(read.into(), &[]);
    world.peer.send(command(2, first + 2, false).into(), &[]);
    world.peer.send(command(3, first + 2, true).into(), &[]);
    world.peer.send(abort.into(), &[]);
    world.peer.send(command(5, first + 1, false).into(), &[]);
    world.run();
    let tag = world.told_command().tag;
    world.good(tag, None, 0);
    world.run();
    assert_eq!(world.told_commands(), 2);
}

#[test]
fn commands_behind_a_gap_wait_and_come_in_order() {
    let mut world = silent(8);
    let first = world.peer.cmd_sn;
    for ahead in [2, 1, 3, 0] {
        assert!(world.told.is_empty());
        world.peer.send(command(ahead, first + ahead, false).into(), &[]);
        world.run();
    }
    let tags: Vec<u32> = (0..4).map(|_| world.told_command().tag.0).collect();
    // Slots were taken in the order of arrival: 2, 1, 3, 0.
    assert_eq!(tags, [3, 1, 0, 2]);
}

#[test]
fn a_command_that_comes_twice_is_told_once() {
    let mut world = silent(8);
    let first = world.peer.cmd_sn;
    for itt in [1, 2] {
        world.peer.send(command(itt, first + 1, false).into(), &[]);
    }
    world.peer.send(command(3, first, false).into(), &[]);
    world.run();
    assert_eq!(world.told_commands(), 2);
}

#[test]
fn the_window_closes_with_commands_and_opens_with_their_answers() {
    let mut world = silent(2);
    world.peer.command(0, &[0; 6], Data::None);
    world.peer.command(0, &[0; 6], Data::None);
    world.run();
    assert!(!world.peer.has_window());
    let ignored = world.peer.cmd_sn;
    world.peer.send(command(50, ignored, false).into(), &[]);
    world.run();
    assert_eq!(world.told_commands(), 2);
    let tag = world.told_command().tag;
    world.good(tag, None, 0);
    world.run();
    assert!(world.peer.has_window());
    assert_eq!(world.peer.max_cmd_sn, ignored);
}

#[test]
fn an_immediate_command_does_not_use_up_a_number() {
    let mut world = silent(1);
    let next = world.peer.cmd_sn;
    world.peer.send(command(77, next, true).into(), &[]);
    world.peer.command(0, &[0; 6], Data::None);
    world.run();
    assert_eq!(world.told_commands(), 2);
}

#[test]
fn an_immediate_command_overtakes_those_that_wait() {
    let mut world = silent(8);
    let next = world.peer.cmd_sn;
    world.peer.send(command(1, next + 1, false).into(), &[]);
    world.peer.send(command(2, next + 2, true).into(), &[]);
    world.run();
    assert_eq!(world.told_commands(), 1);
}

#[test]
fn an_unnumbered_ping_without_a_tag_is_swallowed() {
    let mut world = silent(8);
    let pdu = NopOut {
        immediate: true,
        data_segment_bytes: 3,
        lun: 0,
        initiator_task_tag: TaskTag::RESERVED,
        target_transfer_tag: TaskTag::RESERVED,
        cmd_sn: world.peer.cmd_sn,
        exp_stat_sn: Sn(0),
    };
    world.peer.send(pdu.into(), b"abc");
    let itt = world.peer.ping(b"");
    world.run();
    assert_eq!(world.seen(), [PeerEvent::Pong(itt, Vec::new())]);
}

#[test]
fn numbers_wrap() {
    let start = Settings { cmd_sn: u32::MAX - 1, ..settings(&[]) };
    let mut world = World::new(start).logging_in();
    for _ in 0..5 {
        world.peer.command(0, &[0; 6], Data::None);
        world.run();
    }
    assert_eq!(world.seen().len(), 5);
}

#[test]
fn an_initiator_that_acknowledges_nothing_is_dropped() {
    let mut world = World::logged_in(&[]);
    let mut itt = 0;
    while world.fatal.is_none() && itt < 70_000 {
        itt += 1;
        let cmd_sn = world.peer.cmd_sn.take();
        world.peer.send(NopOut { ..ping(itt, cmd_sn) }.into(), &[]);
        world.run();
    }
    assert_eq!(world.fatal, Some(Fatal("the initiator does not acknowledge statuses")));
}

fn ping(itt: u32, cmd_sn: Sn) -> NopOut {
    NopOut {
        immediate: false,
        data_segment_bytes: 0,
        lun: 0,
        initiator_task_tag: TaskTag(itt),
        target_transfer_tag: TaskTag::RESERVED,
        cmd_sn,
        exp_stat_sn: Sn(0),
    }
}
