//! What a unit keeps for initiators: buffers, names, the time.

use crate::cdb::*;
use crate::rig::{ALICE, BOB, Rig, target};
use core::time::Duration;
use felio_hal::state::Saved;
use felio_hal::{NexusId, Time};
use felio_spec::Status;

fn buffer(opcode: u8, mode: u8, offset: u8, length: u16) -> [u8; 10] {
    let [high, low] = length.to_be_bytes();
    [opcode, mode, 0, 0, 0, offset, 0, high, low, 0]
}

const SET_NAME: [u8; 12] = [0xa4, 6, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0];
const NAME: [u8; 12] = [0xa3, 5, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0];
const SET_TIME: [u8; 12] = [0xa4, 15, 0, 0, 0, 0, 0, 0, 0, 12, 0, 0];
const TIME: [u8; 12] = [0xa3, 15, 0, 0, 0, 0, 0, 0, 0, 12, 0, 0];

fn text(cdb: [u8; 12]) -> [u8; 12] {
    let mut cdb = cdb;
    cdb[10] = 4;
    cdb
}

fn time(rig: &mut Rig, nexus: NexusId) -> (u8, u64) {
    let data = rig.run(nexus, &TIME, &[]).data;
    assert_eq!((data.len(), &data[..2]), (12, &[0, 10][..]));
    (data[2], data[4..10].iter().fold(0, |millis, byte| millis << 8 | u64::from(*byte)))
}

#[test]
fn the_data_buffer_is_shared_and_the_echo_buffer_is_not() {
    let mut rig = Rig::new();
    assert_eq!(rig.ask(&buffer(0x3b, 2, 3, 2), &[1, 2]).0, Status::GOOD);
    assert_eq!(rig.run(BOB, &buffer(0x3c, 2, 2, 4), &[]).data, [0, 1, 2, 0]);
    assert_eq!(rig.ask(&buffer(0x3b, 10, 0, 3), &[7, 8, 9]).0, Status::GOOD);
    assert_eq!(rig.run(ALICE, &buffer(0x3c, 10, 0, 9), &[]).data, [7, 8, 9]);
    assert_eq!(rig.run(BOB, &buffer(0x3c, 10, 0, 9), &[]).code(), (5, 0x2c, 0));
}

#[test]
fn an_echo_ends_with_its_nexus() {
    let mut rig = Rig::new();
    rig.ask(&buffer(0x3b, 10, 0, 3), &[7, 8, 9]);
    rig.lose(ALICE);
    rig.login(ALICE);
    rig.run(ALICE, &TEST_UNIT_READY, &[]);
    assert_eq!(rig.ask(&buffer(0x3c, 10, 0, 9), &[]).1, (5, 0x2c, 0));
}

#[test]
fn buffers_are_described() {
    let mut rig = Rig::new();
    assert_eq!(rig.run(ALICE, &buffer(0x3c, 3, 0, 4), &[]).data, [0, 0, 0xff, 0]);
    assert_eq!(rig.run(ALICE, &buffer(0x3c, 11, 0, 4), &[]).data, [1, 0, 0x10, 0]);
}

#[test]
fn microcode_and_the_error_history_are_refused() {
    let mut rig = Rig::new();
    for mode in [0x04, 0x05, 0x06, 0x07, 0x0d, 0x0e, 0x0f] {
        let reply = rig.run(ALICE, &buffer(0x3b, mode, 0, 4), &[0; 4]);
        assert_eq!((reply.code(), reply.pointer()), ((5, 0x24, 0), 1));
    }
    assert_eq!(rig.run(ALICE, &buffer(0x3c, 0x1c, 0, 4), &[]).pointer(), 1);
}

#[test]
fn a_list_of_absurd_length_is_refused_before_it_is_sent() {
    let mut rig = Rig::new();
    let mut cdb = buffer(0x3b, 2, 0, 0);
    cdb[6] = 1;
    assert_eq!(rig.run(ALICE, &cdb, &[0; 4]).pointer(), 6);
    let mut cdb = SET_NAME;
    cdb[6] = 0xff;
    assert_eq!(rig.run(ALICE, &cdb, &[0; 4]).pointer(), 6);
}

#[test]
fn a_name_is_saved_told_to_others_and_comes_back() {
    let mut rig = Rig::new();
    assert_eq!(rig.ask(&SET_NAME, b"abcde").0, Status::GOOD);
    assert_eq!(rig.ask(&text(SET_NAME), "k\u{e4}se".as_bytes()).1, (5, 0x26, 0));
    assert_eq!(rig.ask(&text(SET_NAME), b"disk\0").0, Status::GOOD);
    assert_eq!(rig.disk.log, ["save identifying", "save identifying"]);
    assert_eq!(rig.run(BOB, &TEST_UNIT_READY, &[]).code(), (6, 0x3f, 5));
    let mut target = target();
    let document = rig.disk.saved["identifying"].clone();
    target.unit_mut(0).saved = Saved(vec![("identifying".to_owned(), document)]);
    let mut rig = Rig::with(target, 64, 64 << 20);
    assert_eq!(rig.run(BOB, &NAME, &[]).data, b"\0\0\0\x05abcde");
    assert_eq!(rig.run(BOB, &text(NAME), &[]).data, b"\0\0\0\x05disk\0");
}

#[test]
fn the_kinds_of_names_are_told() {
    let mut rig = Rig::new();
    let mut cdb = NAME;
    cdb[10] = 0xfe;
    assert_eq!(rig.run(ALICE, &cdb, &[]).data, [0, 0, 0, 8, 0, 0, 2, 0, 4, 0, 1, 0]);
    cdb[10] = 6;
    assert_eq!(rig.run(ALICE, &cdb, &[]).pointer(), 10);
}

#[test]
fn without_a_place_for_it_there_are_no_names() {
    let mut target = target();
    target.unit_mut(0).limits.state = false;
    let mut rig = Rig::with(target, 64, 64 << 20);
    assert_eq!(rig.ask(&NAME, &[]).0, Status::CHECK_CONDITION);
    assert_eq!(rig.ask(&SET_NAME, b"abcde").0, Status::CHECK_CONDITION);
}

#[test]
fn the_clock_is_the_hosts_until_somebody_sets_it() {
    let mut rig = Rig::new();
    rig.now = Time(5_000_000_000);
    assert_eq!(time(&mut rig, ALICE), (3, 1_000_000 + 5_000));
    assert_eq!(rig.ask(&SET_TIME, &[0, 0, 0, 0, 0, 0, 0, 0, 3, 0xe8, 0, 0]).0, Status::GOOD);
    rig.pass(Duration::from_millis(7));
    assert_eq!(rig.run(BOB, &TEST_UNIT_READY, &[]).code(), (6, 0x2a, 0x10));
    assert_eq!(time(&mut rig, BOB), (2, 1007));
    assert_eq!(rig.ask(&SET_TIME, &[0; 4]).1, (5, 0x1a, 0));
}
