//! Data-Out: unasked, asked for, and against the rules.

use super::*;
use crate::pdu::{Bhs, R2t, ScsiDataOut, Sn, TaskManagementFunction, TaskTag, field};
use crate::peer::{Answers, Data};

const GOOD: (u8, u8, u8) = (0, 0, 0);
const CRC: (u8, u8, u8) = (2, 0x47, 0x05);
const UNEXPECTED: (u8, u8, u8) = (2, 0x0c, 0x0c);
const AMOUNT: (u8, u8, u8) = (2, 0x0c, 0x0d);

/// No data but what is asked for; bursts of 1,024 bytes, two R2Ts at a time, answered by the test.
fn solicited() -> World {
    let keys = [
        ("ImmediateData", "No"),
        ("InitialR2T", "Yes"),
        ("MaxBurstLength", "1024"),
        ("MaxOutstandingR2T", "2"),
    ];
    World::new(Settings { answers: Answers::Nobody, ..settings(&keys) }).logging_in()
}

/// A first burst of 1,024 bytes comes unasked, in PDUs of its own.
fn unsolicited() -> World {
    World::logged_in(&[("ImmediateData", "No"), ("InitialR2T", "No"), ("FirstBurstLength", "1024")])
}

fn asked(world: &mut World) -> Vec<R2t> {
    let r2t = |event| match event {
        PeerEvent::Asked(r2t) => Some(r2t),
        _ => None,
    };
    world.seen().into_iter().filter_map(r2t).collect()
}

fn data(itt: TaskTag, ttt: TaskTag, data_sn: u32, offset: u32, bytes: u32) -> ScsiDataOut {
    ScsiDataOut {
        final_pdu: true,
        data_segment_bytes: bytes,
        lun: 0,
        initiator_task_tag: itt,
        target_transfer_tag: ttt,
        exp_stat_sn: Sn(0),
        data_sn: Sn(data_sn),
        buffer_offset: offset,
    }
}

#[test]
fn as_many_r2ts_are_open_as_were_negotiated() {
    let mut world = solicited();
    let itt = world.peer.command(0, &[0x2a; 10], Data::Out(bytes(2500)));
    world.run();
    let first = asked(&mut world);
    assert_eq!(
        first.iter().map(|r| (r.buffer_offset, r.desired_bytes)).collect::<Vec<_>>(),
        [(0, 1024), (1024, 1024)]
    );
    world.peer.send_data(itt, first[0].target_transfer_tag, 0, 1024);
    world.run();
    let next = asked(&mut world);
    assert_eq!(next.iter().map(|r| (r.buffer_offset, r.desired_bytes)).collect::<Vec<_>>(), [(2048, 452)]);
    world.peer.send_data(itt, first[1].target_transfer_tag, 1024, 2048);
    world.peer.send_data(itt, next[0].target_transfer_tag, 2048, 2500);
    world.run();
    assert_eq!((world.outcome(), &world.written[0]), (GOOD, &bytes(2500)));
}

#[test]
fn the_engine_may_want_less_than_was_announced() {
    for keys in [&[][..], &[("InitialR2T", "No"), ("ImmediateData", "No")], &[("ImmediateData", "No")]] {
        let mut world = World::logged_in(keys);
        world.engine = Engine::Silent;
        world.peer.command(0, &[0x2a; 10], Data::Out(bytes(10_000)));
        world.run();
        let tag = world.told_command().tag;
        world.request(PortRequest::Solicit { tag, task: task(tag), bytes: 512 });
        world.run();
        let Some(PortEvent::DataOut { buf, .. }) = world.told.pop() else { panic!("{:?}", world.told) };
        assert_eq!(buf[..], bytes(512)[..]);
        world.good(tag, None, 512);
        world.run();
        assert_eq!(world.outcome(), GOOD);
    }
}

/// The header of the only sequence of a write is changed before it is sent.
#[track_caller]
fn check_solicited(change: impl FnOnce(&mut ScsiDataOut), want: (u8, u8, u8), rejections: usize) {
    let mut world = solicited();
    let itt = world.peer.command(0, &[0x2a; 10], Data::Out(bytes(512)));
    world.run();
    let r2t = asked(&mut world)[0];
    let mut pdu = data(itt, r2t.target_transfer_tag, 0, 0, 512);
    change(&mut pdu);
    let length = usize::try_from(pdu.data_segment_bytes).unwrap();
    world.peer.send(pdu.into(), &bytes(2048)[..length]);
    world.run();
    let seen = world.seen();
    let rejected = seen.iter().filter(|event| matches!(event, PeerEvent::Rejected(..))).count();
    let ended = seen.iter().find_map(|event| match event {
        PeerEvent::Completed(done) => Some((done.status, done.sense[12], done.sense[13])),
        _ => None,
    });
    assert_eq!((ended, rejected), (Some(want), rejections));
    assert!(world.written.is_empty(), "nothing reaches the engine");
}

#[test]
fn a_wrong_data_sn_fails_the_command() {
    check_solicited(|pdu| pdu.data_sn = Sn(27), CRC, 0);
    check_solicited(|pdu| pdu.data_sn = Sn(u32::MAX), CRC, 0);
}

#[test]
fn more_commands_can_fail_at_a_time_than_immediate_ones_are_allowed() {
    let mut world = solicited();
    let count = usize::try_from(Limits::default().immediate).unwrap() + 1;
    (0..count).for_each(|_| _ = world.peer.command(0, &[0x2a; 10], Data::Out(bytes(512))));
    world.run();
    world.engine = Engine::Silent;
    for r2t in asked(&mut world) {
        let pdu = data(r2t.initiator_task_tag, r2t.target_transfer_tag, 27, 0, 512);
        world.peer.send(pdu.into(), &bytes(512));
    }
    world.run();
    let aborts: Vec<_> = world
        .told
        .iter()
        .filter_map(|event| match event {
            PortEvent::TaskManagement(management) => Some(management.tag),
            _ => None,
        })
        .collect();
    assert_eq!((aborts.len(), world.fatal), (count, None));
}

#[test]
fn a_failed_command_that_is_aborted_ends_without_a_word() {
    let mut world = solicited();
    let itt = world.peer.command(0, &[0x2a; 10], Data::Out(bytes(512)));
    world.run();
    world.engine = Engine::Silent;
    let r2t = asked(&mut world)[0];
    world.peer.send(data(itt, r2t.target_transfer_tag, 27, 0, 512).into(), &bytes(512));
    world.peer.manage(TaskManagementFunction::ABORT_TASK, 0, itt, Sn(0));
    // What comes now cannot fail it a second time.
    world.peer.send(data(itt, r2t.target_transfer_tag, 27, 0, 512).into(), &bytes(512));
    world.run();
    assert_eq!(world.told.len(), 2, "our abort and the initiator's");
    let tag = PortTag(0);
    world.request(PortRequest::Abandon { tag });
    world.run();
    assert!(world.seen().is_empty());
}

#[test]
fn a_wrong_offset_fails_the_command() {
    check_solicited(
        |pdu| {
            pdu.buffer_offset = 4;
            pdu.data_segment_bytes = 508;
        },
        CRC,
        0,
    );
}

#[test]
fn less_than_was_asked_for_fails_the_command() {
    check_solicited(|pdu| pdu.data_segment_bytes = 508, AMOUNT, 0);
}

#[test]
fn data_beyond_the_transfer_is_rejected_and_fails_the_command() {
    check_solicited(|pdu| pdu.data_segment_bytes = 516, AMOUNT, 1);
}

#[test]
fn another_unit_is_rejected_and_fails_the_command() {
    check_solicited(|pdu| pdu.lun = 1 << 48, AMOUNT, 1);
}

#[test]
fn two_pdus_with_the_same_number_fail_an_unsolicited_write() {
    let mut world = unsolicited();
    world.peer.terms.initial_r2t = false;
    world.peer.terms.send_segment_bytes_max = 512;
    world.peer.command(0, &[0x2a; 10], Data::Out(bytes(1024)));
    let mut sent = world.peer.take_output();
    // Command, first and second Data-Out: DataSN stands in bytes 36 to 39.
    sent[48 + 48 + 512 + 39] = 0;
    world.pending = sent;
    world.run();
    assert_eq!(world.outcome(), CRC);
    assert!(world.written.is_empty());
}

#[test]
fn sequences_out_of_order_fail_an_unsolicited_write() {
    let mut world = unsolicited();
    world.peer.terms.send_segment_bytes_max = 512;
    world.peer.command(0, &[0x2a; 10], Data::Out(bytes(1024)));
    let mut sent = world.peer.take_output();
    sent[48 + 39] = 1;
    sent[48 + 48 + 512 + 39] = 0;
    world.pending = sent;
    world.run();
    assert_eq!(world.outcome(), CRC);
}

#[test]
fn a_first_burst_that_is_cut_short_fails_the_command() {
    let mut world = unsolicited();
    world.peer.terms.first_burst_bytes_max = 512;
    world.peer.command(0, &[0x2a; 10], Data::Out(bytes(2048)));
    world.run();
    assert_eq!(world.outcome(), AMOUNT);
}

#[test]
fn unsolicited_data_that_was_not_agreed_on_fails_the_command() {
    let mut world = World::logged_in(&[("ImmediateData", "No"), ("InitialR2T", "Yes")]);
    world.peer.terms.initial_r2t = false;
    world.peer.command(0, &[0x2a; 10], Data::Out(bytes(2048)));
    world.run();
    assert_eq!(world.outcome(), UNEXPECTED);
    assert!(world.told.is_empty());
}

#[test]
fn immediate_data_that_was_not_agreed_on_fails_the_command() {
    let mut world = World::logged_in(&[("ImmediateData", "No"), ("InitialR2T", "Yes")]);
    world.peer.terms.immediate_data = true;
    world.peer.command(0, &[0x2a; 10], Data::Out(bytes(2048)));
    world.run();
    assert_eq!(world.outcome(), UNEXPECTED);
}

#[test]
fn more_immediate_data_than_a_first_burst_fails_the_command() {
    let mut world = World::logged_in(&[("FirstBurstLength", "512")]);
    world.peer.terms.first_burst_bytes_max = 2048;
    world.peer.command(0, &[0x2a; 10], Data::Out(bytes(2048)));
    world.run();
    assert_eq!(world.outcome(), AMOUNT);
}

#[test]
fn an_early_refusal_waits_for_the_unsolicited_data() {
    let mut world = unsolicited();
    world.engine = Engine::Silent;
    world.peer.command(0, &[0x2a; 10], Data::Out(bytes(2048)));
    let sent = world.peer.take_output();
    let (front, back) = sent.split_at(48 + 48 + 100);
    world.pending = front.to_vec();
    world.run();
    let tag = world.told_command().tag;
    world.bad(tag, felio_spec::sense::code::WRITE_PROTECTED);
    world.run();
    assert!(world.seen().is_empty());
    world.pending = back.to_vec();
    world.run();
    assert_eq!(world.outcome(), (2, 0x27, 0));
}

#[test]
fn data_of_an_aborted_command_is_swallowed() {
    let mut world = unsolicited();
    world.engine = Engine::Silent;
    let itt = world.peer.command(0, &[0x2a; 10], Data::Out(bytes(2048)));
    let sent = world.peer.take_output();
    let (front, back) = sent.split_at(48 + 48 + 100);
    world.pending = front.to_vec();
    world.run();
    let tag = world.told_command().tag;
    world.request(PortRequest::Abandon { tag });
    world.peer.forget(itt);
    world.pending = back.to_vec();
    let ping = world.peer.ping(b"still here");
    world.run();
    assert_eq!(world.seen(), [PeerEvent::Pong(ping, b"still here".to_vec())]);
}

#[test]
fn data_for_an_r2t_of_an_aborted_command_is_swallowed() {
    let mut world = solicited();
    let itt = world.peer.command(0, &[0x2a; 10], Data::Out(bytes(512)));
    world.run();
    let r2t = asked(&mut world)[0];
    world.request(PortRequest::Abandon { tag: PortTag(0) });
    world.peer.send_data(itt, r2t.target_transfer_tag, 0, 512);
    world.run();
    assert!(world.seen().is_empty() && world.fatal.is_none() && world.written.is_empty());
}

#[test]
fn large_segments_go_straight_into_their_buffer() {
    let mut world = World::logged_in(&[("ImmediateData", "No")]);
    world.piece = 4096;
    world.peer.command(0, &[0x2a; 10], Data::Out(bytes(200_000)));
    world.run();
    assert!(world.sunk > 150_000, "{}", world.sunk);
    assert_eq!(world.written, [bytes(200_000)]);
}

#[test]
fn the_end_of_unsolicited_data_that_is_none_ends_the_wait_for_it() {
    let mut world = World::logged_in(&[("InitialR2T", "No")]);
    let itt = world.peer.command(0, &[0x2a; 10], Data::None);
    let mut sent = Bhs(world.peer.take_output().try_into().expect("a header"));
    sent.set(field::FINAL, false);
    sent.set(field::scsi_command::WRITE, true);
    world.pending = sent.0.to_vec();
    world.peer.send(data(itt, TaskTag::RESERVED, 0, 0, 0).into(), &[]);
    world.run();
    assert_eq!(world.outcome(), GOOD);
}

#[test]
fn what_comes_unasked_answers_no_r2t() {
    let mut world = solicited();
    let itt = world.peer.command(0, &[0x2a; 10], Data::Out(bytes(2048)));
    world.run();
    let r2ts = asked(&mut world);
    for _ in 0..2 {
        world.peer.send(data(itt, TaskTag::RESERVED, 0, 0, 0).into(), &[]);
    }
    world.run();
    assert!(world.seen().is_empty(), "its data is still to come");
    for r2t in r2ts {
        let (from, to) = (r2t.buffer_offset, r2t.buffer_offset + r2t.desired_bytes);
        world.peer.send_data(itt, r2t.target_transfer_tag, from, to);
    }
    world.run();
    assert_eq!(world.outcome(), UNEXPECTED);
}

#[test]
fn what_a_first_burst_could_hold_and_does_not_bring_is_asked_for() {
    let mut world = unsolicited();
    world.peer.terms.first_burst_bytes_max = 300;
    world.peer.command(0, &[0x2a; 10], Data::Out(bytes(1024)));
    world.run();
    assert_eq!((world.outcome(), &world.written[0]), (GOOD, &bytes(1024)));
}
