//! Disks with protection information: it comes and goes over the wire, outlives the program, and shows what has changed.

use crate::common::wire::{Wire, sense, settings};
use crate::common::{Felio, PATIENCE, cdb};
use felio_iscsi::peer::Data;
use rustix::process::Signal;
use std::os::unix::fs::FileExt as _;
use tempfile::TempDir;

const GUARD_CHECK_FAILED: (u8, u8, u8) = (0xb, 0x10, 0x01);
const READ: u8 = 0x09;
const WRITE: u8 = 0x0b;

fn serve(folder: &TempDir, words: &[&str]) -> Felio {
    let path = |name: &str| folder.path().join(name).to_str().expect("text").to_owned();
    Felio::start(&[&[&*path("disk.img"), "--size", "1M", "--state-dir", &path("state")], words].concat())
}

fn log_in(felio: &Felio) -> Wire {
    let mut wire = Wire::log_in(felio.portal(), settings(&felio.target(), "protected"));
    wire.good(0, &cdb::TEST_UNIT_READY, &Data::None);
    wire
}

/// READ (32) or WRITE (32) of two blocks with protection information that is checked.
fn long(action: u8, reference: u32) -> [u8; 32] {
    let mut cdb = [0; 32];
    (cdb[0], cdb[7], cdb[9], cdb[10]) = (0x7f, 0x18, action, 1 << 5);
    cdb[19] = 10; // LBA
    cdb[20..24].copy_from_slice(&reference.to_be_bytes());
    cdb[31] = 2;
    cdb
}

/// Two blocks of zeros, whose guards are zero, with reference tags of the initiator's.
fn blocks() -> Vec<u8> {
    let block = |reference: u32| [vec![0; 514], vec![0, 7], reference.to_be_bytes().to_vec()].concat();
    [block(1000), block(1001)].concat()
}

#[test]
fn protection_information_outlives_the_program_and_shows_what_has_changed() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut felio = serve(&folder, &["--protection", "2"]);
    assert_eq!(felio.lun(0)["protection"], 2);
    assert_eq!(felio.lun(0)["write_cache"], false);
    log_in(&felio).good(0, &long(WRITE, 1000), &Data::Out(blocks()));
    felio.signal(Signal::KILL);
    felio.wait(PATIENCE);
    let mut felio = serve(&folder, &[]);
    assert_eq!(felio.lun(0)["protection"], 2);
    let mut wire = log_in(&felio);
    assert_eq!(wire.good(0, &long(READ, 1000), &Data::In(1040)), blocks());
    let done = wire.execute(0, &long(READ, 1001), Data::In(1040));
    assert_eq!(sense(&done), (0xb, 0x10, 0x03));
    felio.signal(Signal::KILL);
    felio.wait(PATIENCE);
    let file = std::fs::OpenOptions::new().write(true).open(folder.path().join("disk.img")).expect("there");
    file.write_at(&[1], 11 * 512).expect("written");
    let felio = serve(&folder, &[]);
    let mut wire = log_in(&felio);
    assert_eq!(sense(&wire.execute(0, &long(READ, 1000), Data::In(1040))), GUARD_CHECK_FAILED);
    assert_eq!(sense(&wire.execute(0, &cdb::read(11, 1), Data::In(512))), GUARD_CHECK_FAILED);
    assert_eq!(wire.read(0, 10, 1), [0; 512]);
    felio.stop();
}

#[test]
fn initiators_that_know_nothing_of_it_are_protected_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let felio = serve(&folder, &["--protection", "1"]);
    let mut wire = log_in(&felio);
    wire.write(0, 3, vec![5; 4096]);
    assert_eq!(wire.read(0, 3, 8), [5; 4096]);
    let file = std::fs::OpenOptions::new().write(true).open(folder.path().join("disk.img")).expect("there");
    file.write_at(&[1], 4 * 512).expect("written");
    assert_eq!(sense(&wire.execute(0, &cdb::read(3, 8), Data::In(4096))), GUARD_CHECK_FAILED);
    felio.stop();
}
