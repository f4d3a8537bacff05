//! Who keeps buffers from others when they are wanting, and who does not.

use super::*;
use crate::pdu::{LogoutReason, R2t, ScsiDataOut, Sn};
use crate::peer::{Answers, Data};
use core::time::Duration;

const PDU: Option<Fatal> = Some(Fatal("the rest of a PDU did not come while memory is short"));
const DATA: Option<Fatal> = Some(Fatal("data of a write did not come while memory is short"));
const OUTPUT: Option<Fatal> = Some(Fatal("the initiator takes no output while memory is short"));
const GAP: Option<Fatal> = Some(Fatal("a gap in CmdSN was not filled while memory is short"));

/// A session whose initiator answers nothing by itself.
fn quiet(keys: &[(&'static str, &str)]) -> World {
    World::new(Settings { answers: Answers::Nobody, ..settings(keys) }).logging_in()
}

fn pass(world: &mut World, millis: u64) {
    world.now = world.now + Duration::from_millis(millis);
}

/// What the connection is dropped for if buffers are wanting then.
fn hoards_after(world: &mut World, millis: u64) -> Option<Fatal> {
    pass(world, millis);
    world.port.hoards(world.now)
}

/// The next bytes of what was sent arrive.
fn arrive(world: &mut World, sent: &mut Vec<u8>, bytes: usize) {
    world.pending.extend(sent.drain(..bytes));
    world.run();
}

/// A write of 64 KiB that brings 8 KiB along, of which only the header has come; and what has not.
fn stopped_after_the_header() -> (World, Vec<u8>) {
    let mut world = quiet(&[]);
    world.peer.command(0, &[0x2a; 10], Data::Out(bytes(64 << 10)));
    let mut sent = world.peer.take_output();
    arrive(&mut world, &mut sent, 48);
    (world, sent)
}

fn asked(world: &mut World) -> Vec<R2t> {
    let r2t = |event| match event {
        PeerEvent::Asked(r2t) => Some(r2t),
        _ => None,
    };
    world.seen().into_iter().filter_map(r2t).collect()
}

/// Data that answers an R2T; less than all of it.
fn part(r2t: &R2t, data_sn: u32, offset: u32, bytes: u32) -> ScsiDataOut {
    ScsiDataOut {
        final_pdu: false,
        data_segment_bytes: bytes,
        lun: r2t.lun,
        initiator_task_tag: r2t.initiator_task_tag,
        target_transfer_tag: r2t.target_transfer_tag,
        exp_stat_sn: Sn(0),
        data_sn: Sn(data_sn),
        buffer_offset: offset,
    }
}

#[test]
fn a_buffer_for_a_pdu_that_stops_is_kept_from_others_for_a_second() {
    let (mut world, _) = stopped_after_the_header();
    assert_eq!(hoards_after(&mut world, 900), None);
    assert_eq!(hoards_after(&mut world, 100), PDU);
}

#[test]
fn a_buffer_for_a_ping_that_stops_is_kept_from_others_for_a_second() {
    let mut world = quiet(&[]);
    world.peer.ping(&[1; 8192]);
    let mut sent = world.peer.take_output();
    arrive(&mut world, &mut sent, 100);
    assert_eq!(hoards_after(&mut world, 1000), PDU);
}

#[test]
fn a_byte_once_in_a_while_is_no_progress() {
    let (mut world, mut sent) = stopped_after_the_header();
    for _ in 0..10 {
        pass(&mut world, 100);
        arrive(&mut world, &mut sent, 8);
    }
    assert_eq!(world.port.hoards(world.now), PDU);
}

#[test]
fn a_sixty_fourth_of_the_buffer_in_a_second_is_progress() {
    let (mut world, mut sent) = stopped_after_the_header();
    for _ in 0..14 {
        pass(&mut world, 500);
        arrive(&mut world, &mut sent, 512);
        assert_eq!(world.port.hoards(world.now), None);
    }
}

#[test]
fn a_pdu_that_stops_and_keeps_no_buffer_may_have_its_time() {
    let mut world = quiet(&[]);
    world.peer.ping(&[1; 8192]);
    let mut sent = world.peer.take_output();
    arrive(&mut world, &mut sent, 40);
    assert_eq!(hoards_after(&mut world, 10_000), None);
}

#[test]
fn a_write_behind_a_gap_keeps_its_buffer_from_others_for_a_second() {
    let mut world = quiet(&[]);
    world.peer.cmd_sn = world.peer.cmd_sn.next();
    world.peer.command(0, &[0x2a; 10], Data::Out(bytes(512)));
    world.run();
    assert_eq!(hoards_after(&mut world, 900), None);
    assert_eq!(hoards_after(&mut world, 100), GAP);
}

#[test]
fn a_ping_behind_a_gap_keeps_its_buffer_from_others_for_a_second() {
    let mut world = quiet(&[]);
    world.peer.cmd_sn = world.peer.cmd_sn.next();
    world.peer.ping(&[1; 8192]);
    world.run();
    assert_eq!(hoards_after(&mut world, 1000), GAP);
}

#[test]
fn what_keeps_no_buffer_behind_a_gap_may_have_its_time() {
    let mut world = quiet(&[]);
    world.peer.cmd_sn = world.peer.cmd_sn.next();
    world.peer.command(0, &[0x28; 10], Data::In(512));
    world.run();
    assert_eq!(hoards_after(&mut world, 10_000), None);
}

#[test]
fn a_write_behind_a_gap_gets_a_buffer_for_no_more_than_it_brings() {
    let mut world = quiet(&[("FirstBurstLength", "65536")]);
    world.peer.terms.first_burst_bytes_max = 1;
    world.peer.cmd_sn = world.peer.cmd_sn.next();
    world.peer.command(0, &[0x2a; 10], Data::Out(bytes(64 << 10)));
    world.run();
    assert_eq!(world.pool.budget().bytes(), 4096);
}

#[test]
fn empty_data_keeps_no_buffer_from_others() {
    let mut world = quiet(&[("ImmediateData", "No")]);
    world.peer.command(0, &[0x2a; 10], Data::Out(bytes(64 << 10)));
    world.run();
    let r2t = asked(&mut world)[0];
    for sn in 0..2 {
        pass(&mut world, 500);
        world.peer.send(part(&r2t, sn, 0, 0).into(), &[]);
        world.run();
    }
    assert_eq!(world.port.hoards(world.now), DATA);
}

#[test]
fn empty_data_keeps_no_command_alive() {
    let mut world = quiet(&[("ImmediateData", "No")]);
    world.peer.command(0, &[0x2a; 10], Data::Out(bytes(64 << 10)));
    world.run();
    let r2t = asked(&mut world)[0];
    for sn in 0..29 {
        pass(&mut world, 1000);
        world.peer.send(part(&r2t, sn, 0, 0).into(), &[]);
        world.run();
        assert_eq!(world.port.handle_timeout(world.now), Ok(()));
    }
    pass(&mut world, 1000);
    assert_eq!(world.port.handle_timeout(world.now), Err(Fatal("data of a write did not come")));
}

#[test]
fn a_new_command_wins_no_time_for_an_old_one() {
    let mut world = quiet(&[("ImmediateData", "No")]);
    for _ in 0..3 {
        world.peer.command(0, &[0x2a; 10], Data::Out(bytes(64 << 10)));
        world.run();
        pass(&mut world, 500);
    }
    assert_eq!(world.port.hoards(world.now), DATA);
}

#[test]
fn data_that_keeps_coming_is_progress() {
    let mut world = quiet(&[("ImmediateData", "No")]);
    world.peer.command(0, &[0x2a; 10], Data::Out(bytes(64 << 10)));
    world.run();
    let r2t = asked(&mut world)[0];
    for sn in 0..10 {
        pass(&mut world, 900);
        world.peer.send(part(&r2t, sn, sn * 1024, 1024).into(), &[5; 1024]);
        world.run();
        assert_eq!(world.port.hoards(world.now), None);
    }
}

/// The initiator takes so much of what is to be sent.
fn take(world: &mut World, bytes: usize) {
    let mut slices = Vec::new();
    world.port.output(&mut slices, bytes);
    let taken = slices.iter().map(|slice| slice.len()).sum();
    drop(slices);
    world.port.handle_sent(world.now, taken, &mut world.pool);
}

fn reading(bytes: u32) -> World {
    let mut world = quiet(&[]);
    world.reads = false;
    world.peer.command(0, &[0x28; 10], Data::In(bytes));
    world.run();
    world
}

#[test]
fn output_that_is_taken_by_the_byte_is_not_taken() {
    let mut world = reading(64 << 10);
    for _ in 0..10 {
        pass(&mut world, 100);
        take(&mut world, 8);
    }
    assert_eq!(world.port.hoards(world.now), OUTPUT);
}

#[test]
fn output_that_is_taken_slowly_is_taken() {
    let mut world = reading(64 << 10);
    for _ in 0..100 {
        pass(&mut world, 500);
        take(&mut world, 512);
        assert_eq!(world.port.hoards(world.now), None);
    }
}

#[test]
fn what_a_finished_session_still_has_to_send_is_kept_from_others_for_a_second() {
    let mut world = reading(64 << 10);
    world.peer.log_out(LogoutReason::CLOSE_SESSION, 0);
    world.run();
    assert!(world.port.is_finished());
    assert_eq!(hoards_after(&mut world, 1000), OUTPUT);
}

#[test]
fn a_login_does_not_wait_for_those_who_keep_buffers() {
    let mut world = World::new(settings(&[]));
    world.pool = Pool::new(Budget::new(0));
    world.logging_in();
}
