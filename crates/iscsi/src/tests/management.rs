//! Task management, text, logout, asynchronous messages.

use super::*;
use crate::pdu::{
    AsyncEvent, LogoutReason, LogoutResponseCode, ScsiCommand, Sn, TaskAttribute,
    TaskManagementFunction as Function, TaskManagementResponseCode as Code, TaskTag,
};
use crate::peer::Data;
use core::time::Duration;
use felio_hal::port::{LossReason, TaskManagement};

fn silent() -> World {
    let mut world = World::logged_in(&[]);
    world.engine = Engine::Silent;
    world
}

fn told_management(world: &mut World) -> TaskManagement {
    match world.told.pop() {
        Some(PortEvent::TaskManagement(ask)) => ask,
        other => panic!("{other:?}"),
    }
}

fn managed(world: &mut World) -> Vec<Code> {
    world.run();
    let code = |event| match event {
        PeerEvent::Managed(_, code) => Some(code),
        _ => None,
    };
    world.seen().into_iter().filter_map(code).collect()
}

/// A command with a number of the test's choice.
fn send_command(world: &mut World, itt: u32, cmd_sn: Sn, lun: u64) {
    let pdu = ScsiCommand {
        immediate: false,
        final_pdu: true,
        read: false,
        write: false,
        attribute: TaskAttribute::SIMPLE,
        total_ahs_words: 0,
        data_segment_bytes: 0,
        lun,
        initiator_task_tag: TaskTag(itt),
        expected_data_bytes: 0,
        cmd_sn,
        exp_stat_sn: world.peer.exp_stat_sn(),
        cdb: [0; 16],
    };
    world.peer.send(pdu.into(), &[]);
}

#[test]
fn abort_task_names_the_command_to_the_engine() {
    let mut world = silent();
    let itt = world.peer.command(0, &[0; 6], Data::None);
    world.peer.manage(Function::ABORT_TASK, 0, itt, Sn(1));
    world.run();
    let ask = told_management(&mut world);
    assert_eq!(
        (ask.function, ask.referenced),
        (TaskManagementFunction::AbortTask, Some(world.told_command().tag))
    );
}

#[test]
fn every_outcome_has_its_response() {
    let rows = [
        (TaskManagementResponse::FunctionComplete, Code::COMPLETE),
        (TaskManagementResponse::FunctionSucceeded([0; 3]), Code::SUCCEEDED),
        (TaskManagementResponse::FunctionRejected, Code::REJECTED),
        (TaskManagementResponse::NotSupported, Code::NOT_SUPPORTED),
        (TaskManagementResponse::IncorrectLun, Code::LUN_DOES_NOT_EXIST),
        (TaskManagementResponse::NoSuchTask, Code::TASK_DOES_NOT_EXIST),
    ];
    for (response, want) in rows {
        let mut world = silent();
        world.peer.manage(Function::LOGICAL_UNIT_RESET, 0, TaskTag::RESERVED, Sn(0));
        world.run();
        let tag = told_management(&mut world).tag;
        world.request(PortRequest::TaskManagementResult { tag, response });
        assert_eq!(managed(&mut world), [want]);
    }
}

#[test]
fn every_function_of_the_engine_reaches_it() {
    let functions = [1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12];
    for number in functions {
        let mut world = silent();
        let itt = world.peer.command(0, &[0; 6], Data::None);
        world.peer.manage(Function(number), 0, itt, Sn(1));
        world.run();
        told_management(&mut world);
    }
}

#[test]
fn reassignment_and_unknown_functions_are_not_supported() {
    let mut world = silent();
    world.peer.manage(Function::TASK_REASSIGN, 0, TaskTag(1), Sn(0));
    world.peer.manage(Function(77), 0, TaskTag(1), Sn(0));
    assert_eq!(managed(&mut world), [Code::REASSIGNMENT_NOT_SUPPORTED, Code::NOT_SUPPORTED]);
}

#[test]
fn aborting_a_task_that_never_was_fails() {
    let mut world = silent();
    let (old, next) = (world.peer.cmd_sn.previous(), world.peer.cmd_sn);
    world.peer.manage(Function::ABORT_TASK, 0, TaskTag(77), old);
    world.peer.manage(Function::ABORT_TASK, 0, TaskTag(77), next);
    assert_eq!(managed(&mut world), [Code::TASK_DOES_NOT_EXIST; 2]);
}

#[test]
fn aborting_a_task_that_has_not_come_counts_it_as_received() {
    let mut world = silent();
    let lost = world.peer.cmd_sn.take();
    send_command(&mut world, 40, lost + 1, 0);
    world.peer.cmd_sn = lost + 2;
    world.peer.manage(Function::ABORT_TASK, 0, TaskTag(77), lost);
    assert_eq!(managed(&mut world), [Code::COMPLETE]);
    assert_eq!(world.told_commands(), 1);
    send_command(&mut world, 77, lost, 0);
    world.run();
    assert_eq!(world.told_commands(), 1);
}

#[test]
fn aborting_a_task_that_waits_for_its_turn_is_ours_to_do() {
    let mut world = silent();
    let next = world.peer.cmd_sn;
    send_command(&mut world, 40, next + 1, 0);
    world.peer.cmd_sn = next + 2;
    world.peer.manage(Function::ABORT_TASK, 0, TaskTag(40), next + 1);
    assert_eq!(managed(&mut world), [Code::COMPLETE]);
    send_command(&mut world, 41, next, 0);
    world.run();
    assert_eq!(world.told_commands(), 1);
}

#[test]
fn a_reset_reaches_the_tasks_of_its_unit_that_wait_for_their_turn() {
    let mut world = silent();
    let next = world.peer.cmd_sn;
    send_command(&mut world, 40, next + 1, 0);
    send_command(&mut world, 41, next + 2, 1 << 48);
    world.peer.cmd_sn = next + 3;
    world.peer.manage(Function::LOGICAL_UNIT_RESET, 0, TaskTag::RESERVED, Sn(0));
    send_command(&mut world, 42, next, 1 << 48);
    world.run();
    assert_eq!(world.told_commands(), 2);
}

#[test]
fn a_command_of_another_unit_is_not_aborted() {
    let mut world = silent();
    let itt = world.peer.command(0, &[0; 6], Data::None);
    world.peer.manage(Function::ABORT_TASK, 1 << 48, itt, Sn(1));
    assert_eq!(managed(&mut world), [Code::TASK_DOES_NOT_EXIST]);
}

/// A write whose unsolicited data have not come yet: its tags, and the data.
fn write_that_owes(world: &mut World) -> (TaskTag, PortTag, Vec<u8>) {
    let itt = world.peer.command(0, &[0x2a; 10], Data::Out(bytes(1024)));
    let mut sent = world.peer.take_output();
    let data = sent.split_off(48);
    world.pending = sent;
    world.run();
    (itt, world.told_command().tag, data)
}

fn query(world: &mut World, function: Function, lun: u64, itt: TaskTag) -> Vec<Code> {
    world.peer.manage(function, lun, itt, Sn(0));
    managed(world)
}

#[test]
fn a_command_that_waits_for_room_is_there_for_who_asks() {
    let mut world = silent();
    for _ in 0..8 {
        world.peer.command(0, &[0x28; 10], Data::In(1 << 20));
    }
    let last = world.peer.command(1 << 48, &[0x28; 10], Data::In(1 << 20));
    world.run();
    assert_eq!(query(&mut world, Function::QUERY_TASK, 1 << 48, last), [Code::SUCCEEDED]);
    assert_eq!(query(&mut world, Function::QUERY_TASK_SET, 1 << 48, TaskTag::RESERVED), [Code::SUCCEEDED]);
    assert_eq!(query(&mut world, Function::QUERY_TASK_SET, 0, TaskTag::RESERVED), [], "the engine knows");
}

#[test]
fn a_command_whose_response_waits_for_data_is_there_for_who_asks() {
    let mut world = silent_with_unsolicited_data();
    let (itt, tag, _) = write_that_owes(&mut world);
    assert_eq!(query(&mut world, Function::QUERY_TASK, 0, itt), [], "the engine knows");
    world.bad(tag, felio_spec::sense::code::WRITE_PROTECTED);
    assert_eq!(query(&mut world, Function::QUERY_TASK, 0, itt), [Code::SUCCEEDED]);
}

fn silent_with_unsolicited_data() -> World {
    let mut world =
        World::logged_in(&[("ImmediateData", "No"), ("InitialR2T", "No"), ("FirstBurstLength", "1024")]);
    world.engine = Engine::Silent;
    world
}

#[test]
fn a_response_that_waits_for_data_is_aborted_without_a_word() {
    let mut world = silent_with_unsolicited_data();
    let (itt, tag, data) = write_that_owes(&mut world);
    world.bad(tag, felio_spec::sense::code::WRITE_PROTECTED);
    world.peer.manage(Function::ABORT_TASK, 0, itt, Sn(1));
    assert_eq!(managed(&mut world), [Code::COMPLETE]);
    world.pending = data;
    world.run();
    assert!(world.seen().is_empty() && world.fatal.is_none());
}

/// A function crosses the engine's response to a command that still owes data: nothing of the command comes after the function's answer.
#[track_caller]
fn check_crossing(function: Function, outcome: TaskManagementResponse) {
    let mut world = silent_with_unsolicited_data();
    let (itt, tag, data) = write_that_owes(&mut world);
    world.peer.manage(function, 0, itt, Sn(1));
    world.run();
    let ask = told_management(&mut world);
    world.bad(tag, felio_spec::sense::code::WRITE_PROTECTED);
    world.request(PortRequest::TaskManagementResult { tag: ask.tag, response: outcome });
    assert_eq!(managed(&mut world), [Code::COMPLETE]);
    world.pending = data;
    world.run();
    assert!(world.seen().is_empty() && world.fatal.is_none());
}

#[test]
fn a_response_that_crosses_a_function_does_not_follow_its_answer() {
    check_crossing(Function::ABORT_TASK, TaskManagementResponse::NoSuchTask);
    check_crossing(Function::ABORT_TASK_SET, TaskManagementResponse::FunctionComplete);
    check_crossing(Function::LOGICAL_UNIT_RESET, TaskManagementResponse::FunctionComplete);
    check_crossing(Function::I_T_NEXUS_RESET, TaskManagementResponse::FunctionComplete);
}

#[test]
fn a_response_that_waits_for_data_outlives_a_function_that_came_before_its_command() {
    let mut world = silent_with_unsolicited_data();
    world.peer.manage(Function::ABORT_TASK_SET, 0, TaskTag::RESERVED, Sn(0));
    world.run();
    let ask = told_management(&mut world);
    let (_, tag, data) = write_that_owes(&mut world);
    world.bad(tag, felio_spec::sense::code::WRITE_PROTECTED);
    let response = TaskManagementResponse::FunctionComplete;
    world.request(PortRequest::TaskManagementResult { tag: ask.tag, response });
    assert_eq!(managed(&mut world), [Code::COMPLETE]);
    world.pending = data;
    world.run();
    assert!(matches!(&world.seen()[..], [PeerEvent::Completed(done)] if done.status == 2));
}

#[track_caller]
fn check_logout(reason: LogoutReason, cid: u16, want: LogoutResponseCode, ends: bool) {
    let mut world = World::new(Settings { cid: 7, ..settings(&[]) }).logging_in();
    world.peer.log_out(reason, cid);
    world.run();
    let seen = world.seen();
    assert!(matches!(&seen[..], [PeerEvent::LoggedOut(pdu)] if pdu.response == want), "{seen:?}");
    assert_eq!((world.port.is_finished(), world.told.len()), (ends, usize::from(ends)));
}

#[test]
fn logouts_end_what_they_name() {
    check_logout(LogoutReason::CLOSE_SESSION, 9, LogoutResponseCode::SUCCESS, true);
    check_logout(LogoutReason::CLOSE_CONNECTION, 7, LogoutResponseCode::SUCCESS, true);
    check_logout(LogoutReason::CLOSE_CONNECTION, 9, LogoutResponseCode::CID_NOT_FOUND, false);
    check_logout(LogoutReason::REMOVE_FOR_RECOVERY, 7, LogoutResponseCode::RECOVERY_NOT_SUPPORTED, false);
}

#[test]
fn what_was_answered_before_a_logout_still_arrives() {
    let mut world = World::logged_in(&[]);
    world.reads = false;
    world.peer.command(0, &[0x28; 10], Data::In(100_000));
    world.run();
    world.peer.log_out(LogoutReason::CLOSE_SESSION, 0);
    world.run();
    world.reads = true;
    world.run();
    assert!(
        matches!(&world.seen()[..], [PeerEvent::Completed(done), PeerEvent::LoggedOut(_)] if done.data.len() == 100_000)
    );
}

#[test]
fn a_logout_waits_until_the_functions_before_it_are_answered() {
    let mut world = silent();
    world.peer.manage(Function::LOGICAL_UNIT_RESET, 0, TaskTag::RESERVED, Sn(0));
    world.peer.log_out(LogoutReason::CLOSE_SESSION, 0);
    world.run();
    assert!(world.seen().is_empty() && !world.port.is_finished());
    let tag = told_management(&mut world).tag;
    let response = TaskManagementResponse::FunctionComplete;
    world.request(PortRequest::TaskManagementResult { tag, response });
    world.run();
    let seen = world.seen();
    assert!(
        matches!(&seen[..], [PeerEvent::Managed(_, Code::COMPLETE), PeerEvent::LoggedOut(_)]),
        "{seen:?}"
    );
    assert!(matches!(world.told[..], [PortEvent::NexusLoss { reason: LossReason::Logout }]));
}

#[test]
fn discovery_tells_the_targets() {
    let mut world = World::new(Settings { target: None, ..settings(&[]) }).logging_in();
    let itt = world.peer.say(b"SendTargets=All\0");
    world.run();
    let want = format!("TargetName={TARGET}\0TargetAddress=127.0.0.1:3260,1\0").into_bytes();
    assert_eq!(world.seen(), [PeerEvent::Text(itt, want)]);
}

#[test]
fn a_segment_length_declared_anew_holds_at_once() {
    let mut world = World::logged_in(&[]);
    world.peer.say(b"MaxRecvDataSegmentLength=512\0");
    world.run();
    world.peer.terms.receive_segment_bytes_max = 512;
    world.peer.command(0, &[0x28; 10], Data::In(4096));
    world.run();
    assert!(matches!(&world.seen()[..], [_, PeerEvent::Completed(done)] if done.data.len() == 4096));
}

#[test]
fn an_operator_asks_for_a_logout() {
    let mut world = World::logged_in(&[]);
    world.request(PortRequest::RequestLogout { within: Duration::from_secs(10) });
    world.run();
    let seen = world.seen();
    let [PeerEvent::Async(message)] = seen.as_slice() else { panic!("{seen:?}") };
    assert_eq!((message.event, message.parameter3), (AsyncEvent::LOGOUT_REQUESTED, 10));
    assert_eq!(world.wait(), Err(Fatal("the initiator did not log out when asked to")));
    world.turn();
    let seen = world.seen();
    assert!(
        matches!(&seen[..], [PeerEvent::Async(message)] if message.event == AsyncEvent::CONNECTION_DROPPED)
    );
}

#[test]
fn an_operator_drops_the_session() {
    let mut world = World::logged_in(&[]);
    world.request(PortRequest::Close(LossReason::Administrative));
    world.run();
    assert!(
        matches!(&world.seen()[..], [PeerEvent::Async(message)] if message.event == AsyncEvent::SESSION_DROPPED)
    );
    assert!(matches!(world.told[..], [PortEvent::NexusLoss { reason: LossReason::Administrative }]));
    assert!(world.port.is_finished());
}

#[test]
fn a_reinstated_session_ends_in_silence() {
    let mut world = World::logged_in(&[]);
    world.request(PortRequest::Close(LossReason::Reinstated));
    world.run();
    assert!(world.seen().is_empty());
    assert!(matches!(world.told[..], [PortEvent::NexusLoss { reason: LossReason::Reinstated }]));
}

#[test]
fn a_nexus_is_lost_once() {
    let mut world = World::logged_in(&[]);
    world.request(PortRequest::Close(LossReason::Administrative));
    world.port.handle_closed(&mut world.pool);
    world.request(PortRequest::Close(LossReason::Administrative));
    world.run();
    assert_eq!(world.told.len(), 1);
}

#[test]
fn a_login_that_is_granted_too_late_is_lost_at_once() {
    let mut world = World::new(settings(&[]));
    let sent = world.peer.take_output();
    world.port.handle_input(world.now, &sent, &mut world.pool).unwrap();
    world.port.handle_closed(&mut world.pool);
    world.run();
    assert!(matches!(world.told[..], [PortEvent::NexusLoss { reason: LossReason::Connection }]));
}

#[test]
fn an_initiator_port_is_named_by_name_and_isid() {
    let mut world = World::new(Settings { isid: [0x80, 0, 0, 0xab, 1, 2], ..settings(&[]) });
    let sent = world.peer.take_output();
    world.port.handle_input(world.now, &sent, &mut world.pool).unwrap();
    let Some(PortEvent::Login(login)) = world.port.poll_event() else { panic!("no login") };
    assert_eq!(login.initiator_port, "iqn.2024-01.org.example:peer,i,0x800000ab0102");
    assert_eq!((login.target.as_str(), login.session), (TARGET, 0));
}
