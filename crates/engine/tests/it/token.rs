//! ROD tokens: POPULATE TOKEN, WRITE USING TOKEN and what is told of them.

use crate::cdb::*;
use crate::copy::{ask4, rig};
use crate::rig::{ALICE, BLOCK, BLOCKS, BOB, Code, Rig};
use core::time::Duration;

const GOOD: Code = (0, 0, 0);
const INVALID_PARAMETER: Code = (5, 0x26, 0);
const UNKNOWN: Code = (5, 0x23, 4);
const CORRUPT: Code = (5, 0x23, 5);
const EXPIRED: Code = (5, 0x23, 7);
const CANCELLED: Code = (5, 0x23, 8);
const DELETED: Code = (5, 0x23, 9);

const ACCESS_UPON_REFERENCE: u32 = 0x0001_0000;

type Ranges<'a> = &'a [(u64, u32)];

fn ranges(ranges: Ranges<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (lba, blocks) in ranges {
        bytes.extend(lba.to_be_bytes());
        bytes.extend(blocks.to_be_bytes());
        bytes.extend([0; 4]);
    }
    bytes
}

fn length(bytes: usize) -> [u8; 2] {
    u16::try_from(bytes).expect("short").to_be_bytes()
}

fn populate_list(kind: Option<u32>, timeout: u32, of: Ranges<'_>) -> Vec<u8> {
    let ranges = ranges(of);
    let mut bytes = vec![0; 16];
    bytes[..2].copy_from_slice(&length(14 + ranges.len()));
    bytes[2] = if kind.is_some() { 2 } else { 0 };
    bytes[4..8].copy_from_slice(&timeout.to_be_bytes());
    bytes[8..12].copy_from_slice(&kind.unwrap_or(0).to_be_bytes());
    bytes[14..16].copy_from_slice(&length(ranges.len()));
    [bytes, ranges].concat()
}

/// `flags` are DEL_TKN and IMMED.
pub(crate) fn write_list(flags: u8, offset: u64, token: &[u8], to: Ranges<'_>) -> Vec<u8> {
    let ranges = ranges(to);
    let mut bytes = vec![0; 536];
    bytes[..2].copy_from_slice(&length(534 + ranges.len()));
    bytes[2] = flags;
    bytes[8..16].copy_from_slice(&offset.to_be_bytes());
    bytes[16..528].copy_from_slice(token);
    bytes[534..536].copy_from_slice(&length(ranges.len()));
    [bytes, ranges].concat()
}

pub(crate) fn token_cdb(action: u8, id: u32, list: &[u8]) -> [u8; 16] {
    let mut cdb = [0; 16];
    (cdb[0], cdb[1]) = (0x83, action);
    cdb[6..10].copy_from_slice(&id.to_be_bytes());
    cdb[10..14].copy_from_slice(&u32::try_from(list.len()).expect("short").to_be_bytes());
    cdb
}

pub(crate) fn zero_token() -> Vec<u8> {
    let mut token = vec![0; 512];
    token[..8].copy_from_slice(&[0xff, 0xff, 0, 1, 0, 0, 1, 0xf8]);
    token
}

/// A token of blocks of unit 0, made for Alice.
pub(crate) fn make(rig: &mut Rig, kind: Option<u32>, of: Ranges<'_>) -> Vec<u8> {
    let list = populate_list(kind, 0, of);
    assert_eq!(rig.run(ALICE, &token_cdb(0x10, 7, &list), &list).code(), GOOD);
    let data = rig.run(ALICE, &ask4(7, 7), &[]).data;
    assert_eq!((data.len(), &data[32..38]), (32 + 4 + 2 + 512, &[0, 0, 2, 2, 0, 0][..]));
    data[38..].to_vec()
}

fn fill(rig: &mut Rig) {
    for (at, byte) in rig.disk.bytes.iter_mut().enumerate() {
        *byte = u8::try_from((at / BLOCK * 7 + at) % 251).expect("a byte");
    }
}

fn write(rig: &mut Rig, lun: u16, list: &[u8]) -> Code {
    rig.run_on(lun, BOB, &token_cdb(0x11, 9, list), list).code()
}

/// A token of blocks 100 to 109 of unit 0; `then` happens; Bob writes by it to unit 1.
fn check(kind: Option<u32>, then: impl FnOnce(&mut Rig), want: Code) {
    let mut rig = rig();
    fill(&mut rig);
    let token = make(&mut rig, kind, &[(100, 10)]);
    then(&mut rig);
    assert_eq!(write(&mut rig, 1, &write_list(0, 0, &token, &[(0, 10)])), want);
    assert_eq!(rig.more[0].bytes[..10 * BLOCK] == *rig.blocks(100, 10), want == GOOD);
}

#[test]
fn whoever_has_a_token_can_write_what_it_stands_for() {
    check(None, |_| {}, GOOD);
}

#[test]
fn a_token_says_what_it_is() {
    let mut rig = rig();
    let token = make(&mut rig, None, &[(100, 10), (5, 1)]);
    assert_eq!(token[..8], [0, 0x80, 0, 0, 0, 0, 1, 0xf8]);
    assert_eq!(token[16..24], [0xe4, 0, 0, 0, 1, 3, 0, 16]);
    assert_eq!(token[56..64], (11 * 512u64).to_be_bytes());
    assert_ne!(make(&mut rig, None, &[(100, 10), (5, 1)])[480..], token[480..]);
}

#[test]
fn ranges_are_cut_at_each_others_borders() {
    let mut rig = rig();
    fill(&mut rig);
    let token = make(&mut rig, None, &[(100, 10), (500, 5), (300, 200)]);
    let want = [rig.blocks(103, 7), rig.blocks(500, 5), rig.blocks(300, 150)].concat();
    let list = write_list(0, 3, &token, &[(2000, 2), (1000, 8), (3000, 152)]);
    assert_eq!(write(&mut rig, 1, &list), GOOD);
    let to = &rig.more[0].bytes;
    let got = [(2000, 2), (1000, 8), (3000, 152)].map(|(lba, n)| to[lba * BLOCK..(lba + n) * BLOCK].to_vec());
    assert!(got.concat() == want);
}

#[test]
fn a_write_to_its_blocks_cancels_a_token_of_a_point_in_time() {
    let write = |lba| move |rig: &mut Rig| drop(rig.run(BOB, &write10(lba, 1), &[1; BLOCK]));
    check(None, write(109), CANCELLED);
    check(Some(0x0080_0001), write(100), CANCELLED);
    check(None, write(110), GOOD);
    check(Some(ACCESS_UPON_REFERENCE), write(109), GOOD);
    check(None, |rig| drop(rig.run(BOB, &write_same10(0, 90, 11), &[0; BLOCK])), CANCELLED);
}

#[test]
fn a_write_that_begins_while_a_token_is_used_fails_the_use() {
    let mut rig = rig();
    fill(&mut rig);
    let token = make(&mut rig, None, &[(0, 600)]);
    rig.hold = true;
    let list = write_list(0, 0, &token, &[(0, 600)]);
    let tag = rig.send_on(1, BOB, &token_cdb(0x11, 9, &list), &list);
    rig.send(ALICE, &write10(599, 1), &[1; BLOCK]);
    rig.release_all();
    assert_eq!(rig.reply(tag).map(|reply| reply.code()), Some((0xa, 0x23, 8)));
}

#[test]
fn a_token_that_nobody_uses_expires() {
    check(None, |rig| rig.pass(Duration::from_secs(59)), GOOD);
    check(None, |rig| rig.pass(Duration::from_secs(60)), EXPIRED);
}

#[test]
fn using_a_token_keeps_it_alive() {
    let mut rig = rig();
    let token = make(&mut rig, None, &[(100, 10)]);
    for _ in 0..3 {
        rig.pass(Duration::from_secs(50));
        assert_eq!(write(&mut rig, 1, &write_list(0, 0, &token, &[(0, 1)])), GOOD);
    }
}

#[test]
fn a_token_can_be_deleted_with_its_last_use() {
    let mut rig = rig();
    let token = make(&mut rig, None, &[(100, 10)]);
    assert_eq!(write(&mut rig, 1, &write_list(2, 0, &token, &[(0, 1)])), GOOD);
    assert_eq!(write(&mut rig, 1, &write_list(0, 0, &token, &[(0, 1)])), DELETED);
}

#[test]
fn a_token_that_was_not_made_here_is_not_taken() {
    let mut rig = rig();
    let mut token = make(&mut rig, None, &[(100, 10)]);
    token[500] ^= 1;
    assert_eq!(write(&mut rig, 1, &write_list(0, 0, &token, &[(0, 1)])), CORRUPT);
    token[9] ^= 1;
    assert_eq!(write(&mut rig, 1, &write_list(0, 0, &token, &[(0, 1)])), UNKNOWN);
    token[7] = 0;
    assert_eq!(write(&mut rig, 1, &write_list(0, 0, &token, &[(0, 1)])), (5, 0x23, 0xa));
}

#[test]
fn a_token_yields_no_more_than_it_stands_for() {
    let mut rig = rig();
    let token = make(&mut rig, None, &[(100, 10)]);
    for (offset, blocks) in [(0, 11), (10, 1), (u64::MAX, 1)] {
        assert_eq!(write(&mut rig, 1, &write_list(0, offset, &token, &[(0, blocks)])), INVALID_PARAMETER);
    }
}

#[test]
fn the_zero_token_makes_zeros() {
    let mut rig = rig();
    fill(&mut rig);
    let list = write_list(0, 0, &zero_token(), &[(8, 700), (2000, 1)]);
    assert_eq!(rig.run(ALICE, &token_cdb(0x11, 9, &list), &list).code(), GOOD);
    assert!(rig.blocks(8, 700).iter().chain(rig.blocks(2000, 1)).all(|byte| *byte == 0));
    assert!(rig.blocks(7, 1)[1] != 0 && rig.blocks(708, 1)[1] != 0);
    assert_eq!(rig.disk.log, ["zero 8+700 unmap", "zero 2000+1 unmap"]);
}

#[test]
fn lists_that_cannot_be_right_are_refused() {
    let mut rig = rig();
    let mut ask = |list: &[u8]| rig.run(ALICE, &token_cdb(0x10, 7, list), list).code();
    assert_eq!(ask(&[]), GOOD);
    assert_eq!(ask(&populate_list(None, 0, &[])), INVALID_PARAMETER);
    assert_eq!(ask(&populate_list(None, 0, &[(0, 2), (1, 1)])), INVALID_PARAMETER);
    assert_eq!(ask(&populate_list(None, 0, &[(BLOCKS - 1, 2)])), (5, 0x21, 0));
    assert_eq!(ask(&populate_list(None, 301, &[(0, 1)])), INVALID_PARAMETER);
    assert_eq!(ask(&populate_list(Some(0x0080_0002), 0, &[(0, 1)])), (5, 0x23, 1));
    assert_eq!(ask(&populate_list(None, 0, &[(0, 1); 65])), (5, 0x26, 8));
    assert_eq!(ask(&populate_list(None, 0, &[(0, 1)])[..20]), (5, 0x1a, 0));
}

#[test]
fn a_write_in_the_background_is_asked_for_later() {
    let mut rig = rig();
    fill(&mut rig);
    let token = make(&mut rig, None, &[(0, 600)]);
    rig.hold = true;
    let list = write_list(1, 0, &token, &[(0, 600)]);
    assert_eq!(write(&mut rig, 1, &list), GOOD);
    let status = |rig: &mut Rig| rig.run_on(1, BOB, &ask4(7, 9), &[]).data;
    assert_eq!(status(&mut rig)[4..6], [0x11, 0x12]);
    rig.release_all();
    let data = status(&mut rig);
    assert_eq!(
        (data.len(), &data[4..6], data[15], &data[16..24]),
        (36, &[0x11, 1][..], 0xf1, &600u64.to_be_bytes()[..])
    );
}

#[test]
fn what_is_told_of_all_tokens_is_no_key() {
    let mut rig = rig();
    let token = make(&mut rig, None, &[(100, 10)]);
    let data = rig.run(BOB, &ask4(8, 0), &[]).data;
    assert_eq!((data.len(), &data[..4], &data[8..]), (8 + 96, &[0, 0, 0, 100][..], &token[..96]));
}

#[test]
fn there_are_not_too_many_tokens() {
    let mut rig = rig();
    for _ in 0..256 {
        make(&mut rig, None, &[(100, 10)]);
    }
    let list = populate_list(None, 0, &[(0, 1)]);
    assert_eq!(rig.run(ALICE, &token_cdb(0x10, 7, &list), &list).code(), (5, 0x55, 0xd));
    rig.run(BOB, &write10(100, 1), &[1; BLOCK]);
    assert_eq!(rig.run(ALICE, &token_cdb(0x10, 7, &list), &list).code(), GOOD);
}
