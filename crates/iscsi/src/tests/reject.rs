//! What is rejected, with which reason, and whether the connection survives.

use super::*;
use crate::pdu::{
    Bhs, LogoutReason, NopOut, Opcode, ScsiCommand, ScsiDataOut, Sn, SnackRequest, SnackType, TaskAttribute,
    TaskManagementFunction, TaskTag, TextRequest, emit_bidirectional_read, field,
};
use crate::peer::Data;

#[track_caller]
fn check(world: &mut World, want: RejectReason) {
    world.run();
    world.turn();
    assert_eq!(world.rejections(), [want]);
}

#[track_caller]
fn survives(world: &mut World) {
    let ping = world.peer.ping(b"");
    world.run();
    assert_eq!((world.fatal, world.seen()), (None, vec![PeerEvent::Pong(ping, Vec::new())]));
}

fn command(world: &mut World) -> ScsiCommand {
    ScsiCommand {
        immediate: false,
        final_pdu: true,
        read: false,
        write: false,
        attribute: TaskAttribute::SIMPLE,
        total_ahs_words: 0,
        data_segment_bytes: 0,
        lun: 0,
        initiator_task_tag: world.peer.take_itt(),
        expected_data_bytes: 0,
        cmd_sn: world.peer.cmd_sn,
        exp_stat_sn: world.peer.exp_stat_sn(),
        cdb: [0; 16],
    }
}

/// A text that goes on with a tag that is none of ours.
fn text(world: &mut World) -> TextRequest {
    TextRequest {
        immediate: false,
        final_pdu: true,
        continued: false,
        data_segment_bytes: 0,
        lun: 0,
        initiator_task_tag: world.peer.take_itt(),
        target_transfer_tag: TaskTag(9),
        cmd_sn: world.peer.cmd_sn,
        exp_stat_sn: world.peer.exp_stat_sn(),
    }
}

fn data_out(itt: TaskTag, ttt: TaskTag) -> ScsiDataOut {
    ScsiDataOut {
        final_pdu: true,
        data_segment_bytes: 4,
        lun: 0,
        initiator_task_tag: itt,
        target_transfer_tag: ttt,
        exp_stat_sn: Sn(0),
        data_sn: Sn(0),
        buffer_offset: 0,
    }
}

#[test]
fn an_unknown_opcode_is_not_supported_and_its_data_is_swallowed() {
    let mut world = World::logged_in(&[]);
    let mut bhs = Bhs::new(Opcode(0x1d));
    bhs.set(field::DATA_SEGMENT_BYTES, 5);
    world.peer.send_bytes(&bhs.0, &[], b"12345");
    check(&mut world, RejectReason::COMMAND_NOT_SUPPORTED);
    survives(&mut world);
}

#[test]
fn the_rejected_header_comes_back() {
    let mut world = World::logged_in(&[]);
    let bhs = Bhs::new(Opcode(0x1d));
    world.peer.send_bytes(&bhs.0, &[], &[]);
    world.run();
    assert_eq!(world.seen(), [PeerEvent::Rejected(RejectReason::COMMAND_NOT_SUPPORTED, bhs)]);
}

#[test]
fn the_additional_headers_of_a_rejected_command_come_back_too() {
    let mut world = World::logged_in(&[]);
    world.engine = Engine::Silent;
    let itt = world.peer.command(0, &[0; 6], Data::None);
    let pdu = ScsiCommand { initiator_task_tag: itt, total_ahs_words: 2, ..command(&mut world) };
    // The referee of `peer` counts them.
    world.peer.send_with(pdu.into(), &emit_bidirectional_read(1024), &[]);
    check(&mut world, RejectReason::TASK_IN_PROGRESS);
}

#[test]
fn additional_headers_that_the_initiator_has_no_room_for_do_not_come_back() {
    let mut world = World::logged_in(&[("MaxRecvDataSegmentLength", "512")]);
    world.raw = true;
    let mut bhs = Bhs::new(Opcode(0x1d));
    bhs.set(field::TOTAL_AHS_WORDS, 255);
    world.peer.send_bytes(&bhs.0, &[0; 255 * 4], &[]);
    let sent = world.peer.take_output();
    world.port.handle_input(world.now, &sent, &mut world.pool).unwrap();
    let mut slices = Vec::new();
    world.port.output(&mut slices, usize::MAX);
    assert_eq!(slices.iter().map(|slice| slice.len()).sum::<usize>(), 48 + 48);
}

#[test]
fn a_logout_for_a_reason_that_is_none_is_an_invalid_field_and_its_number_is_not_used_up() {
    let mut world = World::logged_in(&[]);
    let next = world.peer.cmd_sn;
    world.peer.log_out(LogoutReason(5), 0);
    check(&mut world, RejectReason::INVALID_PDU_FIELD);
    world.peer.cmd_sn = next;
    survives(&mut world);
}

#[test]
fn a_snack_is_rejected() {
    let mut world = World::logged_in(&[]);
    let snack = SnackRequest {
        kind: SnackType::STATUS,
        lun: 0,
        initiator_task_tag: TaskTag::RESERVED,
        target_transfer_tag: TaskTag::RESERVED,
        exp_stat_sn: world.peer.exp_stat_sn(),
        beg_run: Sn(0),
        run_length: 1,
    };
    world.peer.send(snack.into(), &[]);
    check(&mut world, RejectReason::SNACK_REJECT);
    survives(&mut world);
}

#[test]
fn a_login_after_login_is_a_protocol_error_and_ends_the_connection() {
    let mut world = World::logged_in(&[]);
    let mut bhs = Bhs::new(Opcode::LOGIN_REQUEST);
    bhs.set(field::IMMEDIATE, true);
    world.peer.send_bytes(&bhs.0, &[], &[]);
    check(&mut world, RejectReason::PROTOCOL_ERROR);
    assert!(world.fatal.is_some());
}

#[test]
fn a_segment_longer_than_declared_is_a_protocol_error_and_ends_the_connection() {
    let mut world = World::logged_in(&[]);
    let mut bhs = Bhs::new(Opcode::NOP_OUT);
    bhs.set(field::DATA_SEGMENT_BYTES, 0x00ff_fff0);
    world.peer.send_bytes(&bhs.0, &[], &[]);
    check(&mut world, RejectReason::PROTOCOL_ERROR);
    assert!(world.fatal.is_some());
}

#[test]
fn too_many_immediate_commands_are_rejected() {
    let limits = Limits { immediate: 3, ..Limits::default() };
    let mut world = World::with_limits(settings(&[]), limits).logging_in();
    world.engine = Engine::Silent;
    for _ in 0..3 {
        let pdu = ScsiCommand { immediate: true, ..command(&mut world) };
        world.peer.send(pdu.into(), &[]);
    }
    check(&mut world, RejectReason::IMMEDIATE_COMMAND_REJECT);
    survives(&mut world);
}

#[test]
fn a_function_gets_through_however_many_immediate_commands_there_are() {
    let mut world = World::logged_in(&[]);
    world.engine = Engine::Silent;
    for _ in 0..=Limits::default().immediate {
        let pdu = ScsiCommand { immediate: true, ..command(&mut world) };
        world.peer.send(pdu.into(), &[]);
    }
    world.run();
    assert_eq!(world.rejections(), [RejectReason::IMMEDIATE_COMMAND_REJECT; 2]);
    world.peer.manage(TaskManagementFunction::LOGICAL_UNIT_RESET, 0, TaskTag::RESERVED, Sn(0));
    world.run();
    assert_eq!((world.rejections(), world.told.len()), (vec![], 32));
}

#[test]
fn a_task_tag_in_use_is_rejected_and_its_number_is_not_used_up() {
    let mut world = World::logged_in(&[]);
    world.engine = Engine::Silent;
    let itt = world.peer.command(0, &[0; 6], Data::None);
    let pdu = ScsiCommand { initiator_task_tag: itt, ..command(&mut world) };
    world.peer.send(pdu.into(), &[]);
    check(&mut world, RejectReason::TASK_IN_PROGRESS);
    survives(&mut world);
}

#[test]
fn data_for_a_transfer_tag_that_never_was_is_an_invalid_field() {
    let mut world = World::logged_in(&[]);
    world.peer.send(data_out(TaskTag(5), TaskTag(0x123)).into(), b"data");
    check(&mut world, RejectReason::INVALID_PDU_FIELD);
    survives(&mut world);
}

#[test]
fn unsolicited_data_for_no_task_is_an_invalid_field() {
    let mut world = World::logged_in(&[]);
    world.peer.send(data_out(TaskTag(5), TaskTag::RESERVED).into(), b"data");
    check(&mut world, RejectReason::INVALID_PDU_FIELD);
    survives(&mut world);
}

#[test]
fn data_for_a_read_is_a_protocol_error() {
    let mut world = World::logged_in(&[]);
    world.engine = Engine::Silent;
    let itt = world.peer.command(0, &[0x28; 10], Data::In(512));
    world.peer.send(data_out(itt, TaskTag::RESERVED).into(), b"data");
    check(&mut world, RejectReason::PROTOCOL_ERROR);
    survives(&mut world);
}

#[test]
fn text_that_goes_on_with_a_tag_of_ours_that_is_none_is_a_protocol_error() {
    let mut world = World::logged_in(&[]);
    let pdu = text(&mut world);
    world.peer.send(pdu.into(), &[]);
    check(&mut world, RejectReason::PROTOCOL_ERROR);
    survives(&mut world);
}

#[test]
fn the_number_of_a_rejected_text_is_expected_again() {
    let mut world = World::logged_in(&[]);
    let bad = text(&mut world);
    world.peer.send(bad.into(), &[]);
    world.peer.cmd_sn = bad.cmd_sn.next();
    let after = world.peer.ping(b"after");
    check(&mut world, RejectReason::PROTOCOL_ERROR);
    world.peer.cmd_sn = bad.cmd_sn;
    let again = world.peer.ping(b"again");
    world.run();
    let seen = world.seen();
    assert_eq!(seen, [PeerEvent::Pong(again, b"again".to_vec()), PeerEvent::Pong(after, b"after".to_vec())]);
}

#[test]
fn the_header_of_a_rejected_text_comes_back_as_it_came() {
    let mut world = World::logged_in(&[]);
    let mut bhs = text(&mut world).emit();
    (bhs[2], bhs[40], bhs[47]) = (1, 2, 3);
    world.peer.send_bytes(&bhs, &[], &[]);
    world.run();
    assert_eq!(world.seen(), [PeerEvent::Rejected(RejectReason::PROTOCOL_ERROR, Bhs(bhs))]);
}

#[test]
fn a_ping_with_additional_headers_ends_the_connection() {
    let mut world = World::logged_in(&[]);
    let pdu = NopOut {
        immediate: true,
        data_segment_bytes: 0,
        lun: 0,
        initiator_task_tag: TaskTag(1),
        target_transfer_tag: TaskTag::RESERVED,
        cmd_sn: world.peer.cmd_sn,
        exp_stat_sn: Sn(0),
    };
    let mut bhs = Bhs(pdu.emit());
    bhs.set(field::TOTAL_AHS_WORDS, 1);
    world.peer.send_bytes(&bhs.0, &[0, 1, 1, 0], &[]);
    check(&mut world, RejectReason::INVALID_PDU_FIELD);
    assert!(world.fatal.is_some());
}

#[test]
fn malformed_additional_headers_end_the_connection() {
    let mut world = World::logged_in(&[]);
    let pdu = ScsiCommand { total_ahs_words: 1, ..command(&mut world) };
    world.peer.send_with(pdu.into(), &[0, 200, 1, 0], &[]);
    check(&mut world, RejectReason::INVALID_PDU_FIELD);
    assert!(world.fatal.is_some());
}

#[test]
fn a_discovery_session_takes_no_commands() {
    let mut world = World::new(Settings { target: None, ..settings(&[]) }).logging_in();
    let pdu = command(&mut world);
    world.peer.send(pdu.into(), &[]);
    check(&mut world, RejectReason::PROTOCOL_ERROR);
    survives(&mut world);
}

#[test]
fn a_bidirectional_command_is_an_invalid_information_unit() {
    let mut world = World::logged_in(&[]);
    let pdu = ScsiCommand {
        read: true,
        write: true,
        expected_data_bytes: 512,
        total_ahs_words: 2,
        cmd_sn: world.peer.cmd_sn.take(),
        ..command(&mut world)
    };
    world.peer.send_with(pdu.into(), &emit_bidirectional_read(1024), &[]);
    let sent = world.peer.take_output();
    world.port.handle_input(world.now, &sent, &mut world.pool).unwrap();
    let mut slices = Vec::new();
    world.port.output(&mut slices, usize::MAX);
    let answer: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
    // SCSI Response: u and U with both residuals, CHECK CONDITION, 5/0E/03.
    assert_eq!((answer[0], answer[1], answer[3]), (0x21, 0x80 | 0x08 | 0x02, 2));
    assert_eq!(
        (&answer[40..48], &answer[48 + 2 + 12..48 + 2 + 14]),
        (&[0, 0, 4, 0, 0, 0, 2, 0][..], &[0x0e, 3][..])
    );
}

#[test]
fn a_long_cdb_arrives_whole() {
    let mut world = World::logged_in(&[]);
    world.engine = Engine::Silent;
    let cdb: Vec<u8> = (0..32).collect();
    world.peer.command(0, &cdb, Data::None);
    world.run();
    let told = world.told_command().cdb;
    assert_eq!((told.bytes(), told.length()), (&cdb[..], 32));
}

#[test]
fn a_cdb_longer_than_any_keeps_its_length() {
    let mut world = World::logged_in(&[]);
    world.engine = Engine::Silent;
    world.peer.command(0, &[0x7f; 260], Data::None);
    world.run();
    assert_eq!(world.told_command().cdb.length(), 260);
}
