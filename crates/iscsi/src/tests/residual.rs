//! Residuals, row by row.

use super::*;
use crate::peer::Data;

/// What the initiator makes room for or sends, what the command would transfer, and what the initiator is told.
#[track_caller]
fn check(data: Data, transfer_bytes: u64, want: i64) {
    let mut world = World::logged_in(&[]);
    world.engine = Engine::Silent;
    let read = matches!(data, Data::In(_));
    check_answered(&mut world, data, read, transfer_bytes, want);
}

/// The same, where the engine answers with data or without.
#[track_caller]
fn check_answered(world: &mut World, data: Data, read: bool, transfer_bytes: u64, want: i64) {
    world.peer.command(0, &[0x28; 10], data);
    world.run();
    let tag = world.told_command().tag;
    let buf = (read && transfer_bytes > 0).then(|| world.read(u32::try_from(transfer_bytes).unwrap()));
    world.good(tag, buf, transfer_bytes);
    world.run();
    let seen = world.seen();
    let [PeerEvent::Completed(done)] = seen.as_slice() else { panic!("{seen:?}") };
    assert_eq!((done.status, done.residual), (0, want));
}

#[test]
fn a_read_of_what_there_is_room_for_has_none() {
    check(Data::In(512), 512, 0);
}

#[test]
fn a_shorter_read_underflows() {
    check(Data::In(1024), 512, -512);
    check(Data::In(1024), 0, -1024);
}

#[test]
fn a_longer_read_overflows_and_is_cut() {
    check(Data::In(512), 1024, 512);
    check(Data::In(511), 1024, 513);
}

#[test]
fn a_read_without_room_overflows() {
    check(Data::None, 512, 512);
}

#[test]
fn a_read_that_was_announced_as_a_write_underflows_by_all_of_it() {
    let mut world = World::logged_in(&[]);
    world.engine = Engine::Silent;
    check_answered(&mut world, Data::Out(vec![0; 512]), true, 512, -512);
}

#[test]
fn a_write_that_takes_less_underflows() {
    check(Data::Out(vec![0; 1024]), 512, -512);
}

#[test]
fn a_write_that_would_take_more_overflows() {
    check(Data::Out(vec![0; 512]), 1024, 512);
}

#[test]
fn an_overflow_beyond_32_bits_is_told_as_the_largest() {
    let mut world = World::logged_in(&[]);
    world.engine = Engine::Silent;
    world.peer.command(0, &[0x28; 10], Data::None);
    world.run();
    let tag = world.told_command().tag;
    world.good(tag, None, 1 << 40);
    world.run();
    let seen = world.seen();
    assert!(
        matches!(&seen[..], [PeerEvent::Completed(done)] if done.residual == i64::from(u32::MAX)),
        "{seen:?}"
    );
}

#[test]
fn a_failed_read_has_a_response_of_its_own_with_sense() {
    let mut world = World::logged_in(&[]);
    world.engine = Engine::Silent;
    world.peer.command(0, &[0x28; 10], Data::In(512));
    world.run();
    let tag = world.told_command().tag;
    world.bad(tag, felio_spec::sense::code::LBA_OUT_OF_RANGE);
    world.run();
    let seen = world.seen();
    let [PeerEvent::Completed(done)] = seen.as_slice() else { panic!("{seen:?}") };
    assert_eq!((done.status, done.residual, done.collapsed), (2, -512, false));
    assert_eq!(done.sense.len(), 18);
}

#[test]
fn data_and_sense_both_arrive() {
    let mut world = World::logged_in(&[]);
    world.engine = Engine::Silent;
    world.peer.command(0, &[0x28; 10], Data::In(20_000));
    world.run();
    let tag = world.told_command().tag;
    let data = Some(world.read(20_000));
    let sense = Some(SenseData::new(&Sense::new(felio_spec::sense::code::UNRECOVERED_READ_ERROR), true));
    let status = Status::CHECK_CONDITION;
    world.request(PortRequest::Respond(Response { tag, status, sense, data, transfer_bytes: 20_000 }));
    world.run();
    let seen = world.seen();
    let [PeerEvent::Completed(done)] = seen.as_slice() else { panic!("{seen:?}") };
    assert_eq!((done.data.len(), done.sense.len(), done.collapsed), (20_000, 8, false));
}
