//! Copies between units on several reactors, of several kinds of store.

use crate::common::wire::{Wire, pattern, sense, settings};
use crate::common::{Felio, cdb};
use felio_iscsi::peer::{Completed, Data};

const BLOCK: usize = 512;
const BLOCKS: u16 = 3000;

fn copy_cdb(action: u8, list: &[u8]) -> [u8; 16] {
    let mut cdb = [0; 16];
    (cdb[0], cdb[1]) = (0x83, action);
    cdb[10..14].copy_from_slice(&u32::try_from(list.len()).expect("short").to_be_bytes());
    cdb
}

/// A CSCD descriptor of a unit, by the first designator that it tells of itself.
fn cscd(wire: &mut Wire, lun: u64) -> Vec<u8> {
    let page = wire.good(lun, &cdb::vital_product_data(0x83), &Data::In(1024));
    let mut bytes = vec![0xe4, 0, 0, 0];
    bytes.extend(&page[4..4 + 20]);
    bytes.resize(32, 0);
    bytes
}

/// EXTENDED COPY of blocks from one unit to another, asked of a third.
fn copy(wire: &mut Wire, asked: u64, (from, to): (u64, u64), (lba, blocks): (u64, u16)) {
    let mut list = vec![1, 0, 0, 64, 0, 0, 0, 0, 0, 0, 0, 28, 0, 0, 0, 0];
    list.extend(cscd(wire, from));
    list.extend(cscd(wire, to));
    list.extend([2, 0, 0, 24, 0, 0, 0, 1, 0, 0]);
    list.extend(blocks.to_be_bytes());
    list.extend(lba.to_be_bytes());
    list.extend((lba + 7).to_be_bytes());
    wire.good(asked, &copy_cdb(0, &list), &Data::Out(list));
}

fn check(disks: &[&str]) {
    let felio = Felio::start(disks);
    // Sessions go round the reactors.
    for session in 0..2u64 {
        let mut wire = Wire::log_in(felio.portal(), settings(&felio.target(), &format!("i{session}")));
        for lun in 0..3 {
            wire.execute(lun, &cdb::TEST_UNIT_READY, Data::None);
        }
        for (from, to) in [(0, 1), (1, 2), (2, 0), (1, 1)] {
            let data = pattern(session * 10 + from, usize::from(BLOCKS) * BLOCK);
            wire.write(from, 0, data.clone());
            for asked in 0..3 {
                copy(&mut wire, asked, (from, to), (0, BLOCKS));
                assert!(wire.read(to, 7, BLOCKS) == data, "{from} {to} {asked}");
                wire.write(from, 0, data.clone());
            }
        }
        wire.log_out();
    }
    felio.stop();
}

#[test]
fn units_on_several_reactors_are_copied_to_each_other() {
    check(&["ram:8M", "ram:8M", "ram:8M", "--cores", "2"]);
}

#[test]
fn files_are_copied_to_each_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let paths = ["a", "b"].map(|name| folder.path().join(name));
    for path in &paths {
        std::fs::write(path, vec![0; 8 << 20]).expect("a file");
    }
    let paths = paths.map(|path| path.to_str().expect("a name").to_owned());
    check(&[&paths[0], &paths[1], "ram:8M"]);
}

fn token_cdb(action: u8, list: &[u8]) -> [u8; 16] {
    let mut cdb = copy_cdb(action, list);
    cdb[9] = 7;
    cdb
}

fn range(lba: u64, blocks: u16) -> Vec<u8> {
    let mut bytes = lba.to_be_bytes().to_vec();
    bytes.extend([0, 0]);
    bytes.extend(blocks.to_be_bytes());
    bytes.extend([0; 4]);
    bytes
}

/// A token of the first blocks of a unit.
fn token(wire: &mut Wire, lun: u64) -> Vec<u8> {
    let mut list = vec![0, 30, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 16];
    list.extend(range(0, BLOCKS));
    wire.good(lun, &token_cdb(0x10, &list), &Data::Out(list));
    let information = wire.good(lun, &[0x84, 7, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0], &Data::In(1024));
    information[38..38 + 512].to_vec()
}

fn write_using_token(wire: &mut Wire, lun: u64, token: &[u8]) -> Completed {
    let mut list = vec![0; 536];
    list[..2].copy_from_slice(&550u16.to_be_bytes());
    list[16..528].copy_from_slice(token);
    list[535] = 16;
    list.extend(range(9, BLOCKS));
    wire.execute(lun, &token_cdb(0x11, &list), Data::Out(list))
}

#[test]
fn a_token_is_good_on_every_reactor_until_its_blocks_are_written() {
    let felio = Felio::start(&["ram:8M", "ram:8M", "ram:8M", "--cores", "2"]);
    for session in 0..2u64 {
        let mut wire = Wire::log_in(felio.portal(), settings(&felio.target(), &format!("i{session}")));
        for lun in 0..3 {
            wire.execute(lun, &cdb::TEST_UNIT_READY, Data::None);
        }
        for (from, to) in [(0, 1), (1, 2), (2, 0)] {
            let data = pattern(session * 10 + from + 40, usize::from(BLOCKS) * BLOCK);
            wire.write(from, 0, data.clone());
            let token = token(&mut wire, from);
            assert_eq!(sense(&write_using_token(&mut wire, to, &token)), (0, 0, 0));
            assert!(wire.read(to, 9, BLOCKS) == data, "{from} {to}");
            wire.write(from, u32::from(BLOCKS) - 1, vec![0; BLOCK]);
            assert_eq!(sense(&write_using_token(&mut wire, to, &token)), (5, 0x23, 8), "TOKEN CANCELLED");
        }
        wire.log_out();
    }
    felio.stop();
}
