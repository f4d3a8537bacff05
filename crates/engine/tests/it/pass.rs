//! Units that are devices of the host.

use crate::rig::{ALICE, BOB, Rig, target};
use felio_spec::Status;
use felio_spec::inquiry::DeviceType;

const READ_POSITION: [u8; 10] = [0x34, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const WRITE_FILEMARKS: [u8; 6] = [0x10, 0, 0, 0, 1, 0];
const LOAD_DISPLAY: [u8; 6] = [0x06, 0, 0, 0, 3, 0];

fn tape() -> Rig {
    let mut target = target();
    target.unit_mut(0).limits.passes = Some(DeviceType::SEQUENTIAL_ACCESS);
    let mut rig = Rig::with(target, 64, 64 << 20);
    rig.disk.log.clear();
    rig
}

#[test]
fn a_command_that_we_do_not_know_reaches_the_device() {
    let mut rig = tape();
    rig.disk.device.data_in = vec![7; 20];
    let reply = rig.run(ALICE, &READ_POSITION, &[]);
    assert_eq!((reply.status, reply.data, reply.transfer_bytes), (Status::GOOD, vec![7; 20], 20));
    assert_eq!(rig.disk.log, ["pass 34000000000000000000"]);
}

#[test]
fn data_reach_the_device() {
    let mut rig = tape();
    let reply = rig.run(ALICE, &LOAD_DISPLAY, &[1, 2, 3]);
    assert_eq!((reply.status, rig.disk.device.data_out.as_slice()), (Status::GOOD, &[1, 2, 3][..]));
}

#[test]
fn sense_data_of_the_device_come_back_bit_by_bit() {
    let mut rig = tape();
    // FILEMARK and INFORMATION, which no error of ours has.
    let sense = [0xf0, 0, 0x80, 0, 0, 0, 5, 10, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
    rig.disk.device.sense = sense.to_vec();
    let reply = rig.run(ALICE, &READ_POSITION, &[]);
    assert_eq!((reply.status, reply.sense.as_slice()), (Status::CHECK_CONDITION, &sense[..]));
}

#[test]
fn a_unit_attention_of_the_device_is_for_everybody() {
    let mut rig = tape();
    rig.disk.device.sense = vec![0x70, 0, 6, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x28, 0, 0, 0, 0, 0];
    assert_eq!(rig.run(ALICE, &READ_POSITION, &[]).code(), (6, 0x28, 0));
    rig.disk.device.sense.clear();
    assert_eq!(rig.run(BOB, &READ_POSITION, &[]).code(), (6, 0x28, 0));
    assert_eq!(rig.run(BOB, &READ_POSITION, &[]).status, Status::GOOD);
    assert_eq!(rig.run(ALICE, &READ_POSITION, &[]).status, Status::GOOD);
}

#[test]
fn the_list_of_units_is_ours() {
    let mut rig = tape();
    let reply = rig.run(ALICE, &[0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0], &[]);
    assert_eq!((reply.status, reply.data.len()), (Status::GOOD, 16));
    assert!(rig.disk.log.is_empty());
}

#[test]
fn what_sends_data_to_a_read_only_device_is_refused() {
    let mut target = target();
    target.unit_mut(0).limits.passes = Some(DeviceType::SEQUENTIAL_ACCESS);
    target.unit_mut(0).read_only = true;
    let mut rig = Rig::with(target, 64, 64 << 20);
    assert_eq!(rig.run(ALICE, &LOAD_DISPLAY, &[1, 2, 3]).code(), (7, 0x27, 0));
    assert_eq!(rig.run(ALICE, &WRITE_FILEMARKS, &[]).status, Status::GOOD);
}

#[test]
fn an_aborted_command_waits_for_the_device() {
    let mut rig = tape();
    rig.hold = true;
    let tag = rig.send(ALICE, &READ_POSITION, &[]);
    let abort = rig.manage(ALICE, felio_spec::TaskManagementFunction::AbortTask, Some(tag));
    assert!(rig.managed(abort).is_none() && rig.is_abandoned(tag));
    rig.release();
    assert!(rig.managed(abort).is_some());
}
