//! EXTENDED COPY, and what the copy manager tells of it.

use crate::cdb::*;
use crate::rig::{ALICE, BLOCK, BLOCKS, BOB, Code, Rig, target};
use core::time::Duration;
use felio_engine::{TargetConfig, UnitConfig};
use felio_hal::StoreId;
use felio_hal::store::Failure;
use felio_spec::status::{TaskManagementFunction as Function, TaskManagementResponse};
use felio_spec::{Status, TaskAttribute};

const GOOD: Code = (0, 0, 0);
const COPY_ABORTED: Code = (0xa, 0, 0);
const PARAMETER_LIST_LENGTH: Code = (5, 0x1a, 0);
const INVALID_PARAMETER: Code = (5, 0x26, 0);
const INVALID_CDB: Code = (5, 0x24, 0);

/// Units 0, 1 and 2 of 4,096 blocks each.
pub(crate) fn three_units() -> TargetConfig {
    let mut target = target();
    for number in 1..3u8 {
        let mut unit = UnitConfig::clone(&target.units[0]);
        unit.birth = number.into();
        unit.store = StoreId(number.into());
        unit.identity.naa = naa(number);
        unit.identity.serial = format!("u{number}");
        target.units.push(unit.into());
    }
    target
}

pub(crate) fn rig() -> Rig {
    let mut rig = Rig::with(three_units(), 64, 64 << 20);
    for disk in &mut rig.more {
        disk.log.clear();
    }
    rig
}

fn naa(unit: u8) -> [u8; 16] {
    let mut naa = [0x60; 16];
    naa[15] += unit;
    naa
}

/// An identification descriptor of a unit.
pub(crate) fn cscd(unit: u8) -> Vec<u8> {
    let mut bytes = vec![0xe4, 0, 0, 0, 1, 3, 0, 16];
    bytes.extend(naa(unit));
    bytes.resize(32, 0);
    bytes[30] = 2; // 512
    bytes
}

pub(crate) fn segment(from: (u16, u64), to: (u16, u64), blocks: u16) -> Vec<u8> {
    let mut bytes = vec![2, 0, 0, 24];
    bytes.extend(from.0.to_be_bytes());
    bytes.extend(to.0.to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(blocks.to_be_bytes());
    bytes.extend(from.1.to_be_bytes());
    bytes.extend(to.1.to_be_bytes());
    bytes
}

/// A LID1 list.
pub(crate) fn list(id: u8, cscds: &[Vec<u8>], segments: &[Vec<u8>]) -> Vec<u8> {
    let (cscds, segments) = (cscds.concat(), segments.concat());
    let mut bytes = vec![0; 16];
    bytes[0] = id;
    bytes[2..4].copy_from_slice(&u16::try_from(cscds.len()).expect("short").to_be_bytes());
    bytes[8..12].copy_from_slice(&u32::try_from(segments.len()).expect("short").to_be_bytes());
    [bytes, cscds, segments].concat()
}

/// A LID4 list; `flags` are G_SENSE and IMMED.
fn list4(id: u32, flags: u8, cscds: &[Vec<u8>], segments: &[Vec<u8>]) -> Vec<u8> {
    let (cscds, segments) = (cscds.concat(), segments.concat());
    let mut bytes = vec![0; 48];
    bytes[0] = 1;
    bytes[3] = 0x20;
    bytes[15] = flags;
    bytes[16] = 0xff;
    bytes[20..24].copy_from_slice(&id.to_be_bytes());
    bytes[42..44].copy_from_slice(&u16::try_from(cscds.len()).expect("short").to_be_bytes());
    bytes[44..46].copy_from_slice(&u16::try_from(segments.len()).expect("short").to_be_bytes());
    [bytes, cscds, segments].concat()
}

pub(crate) fn copy_cdb(action: u8, list: &[u8]) -> [u8; 16] {
    let mut cdb = [0; 16];
    (cdb[0], cdb[1]) = (0x83, action);
    cdb[10..14].copy_from_slice(&u32::try_from(list.len()).expect("short").to_be_bytes());
    cdb
}

/// RECEIVE COPY …(LID1).
fn ask1(action: u8, id: u8) -> [u8; 16] {
    [0x84, action, id, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0]
}

/// RECEIVE COPY …(LID4).
pub(crate) fn ask4(action: u8, id: u32) -> [u8; 16] {
    let mut cdb = ask1(action, 0);
    cdb[2..6].copy_from_slice(&id.to_be_bytes());
    cdb
}

fn abort(id: u32) -> [u8; 16] {
    let mut cdb = [0; 16];
    (cdb[0], cdb[1]) = (0x83, 0x1c);
    cdb[2..6].copy_from_slice(&id.to_be_bytes());
    cdb
}

pub(crate) fn fill(rig: &mut Rig) {
    for (at, byte) in rig.disk.bytes.iter_mut().enumerate() {
        *byte = u8::try_from((at / BLOCK * 7 + at) % 251).expect("a byte");
    }
}

fn check(list: &[u8], want: Code) {
    let mut rig = rig();
    assert_eq!(rig.run(ALICE, &copy_cdb(0, list), list).code(), want);
}

fn check_pointer(list: &[u8], want: Code, byte: u16) {
    let mut rig = rig();
    let reply = rig.run(ALICE, &copy_cdb(0, list), list);
    assert_eq!((reply.code(), reply.pointer()), (want, byte));
}

/// A copy of 600 blocks of unit 0 to unit 1.
pub(crate) fn across() -> Vec<u8> {
    list(1, &[cscd(0), cscd(1)], &[segment((0, 10), (1, 1000), 600)])
}

#[test]
fn blocks_are_copied_from_unit_to_unit() {
    let mut rig = rig();
    fill(&mut rig);
    let list = across();
    let reply = rig.run(ALICE, &copy_cdb(0, &list), &list);
    assert_eq!((reply.status, reply.transfer_bytes), (Status::GOOD, 108));
    let (from, to) = (rig.blocks(10, 600).to_vec(), &rig.more[0].bytes);
    assert!(to[1000 * BLOCK..1600 * BLOCK] == from[..]);
    assert!(to[..1000 * BLOCK].iter().chain(&to[1600 * BLOCK..]).all(|byte| *byte == 0));
}

#[test]
fn whoever_is_asked_may_be_neither_source_nor_destination() {
    let mut rig = rig();
    fill(&mut rig);
    let list = across();
    assert_eq!(rig.run_on(2, ALICE, &copy_cdb(0, &list), &list).code(), GOOD);
    assert!(rig.more[0].bytes[1000 * BLOCK..1600 * BLOCK] == *rig.blocks(10, 600));
}

#[test]
fn blocks_that_are_moved_onto_themselves_arrive_as_they_were() {
    for (from, to) in [(100, 140), (140, 100), (100, 100), (0, 500)] {
        let mut rig = rig();
        fill(&mut rig);
        let want = rig.blocks(index(from), 600).to_vec();
        let list = list(1, &[cscd(0)], &[segment((0, from), (0, to), 600)]);
        assert_eq!(rig.run(ALICE, &copy_cdb(0, &list), &list).code(), GOOD);
        assert!(rig.blocks(index(to), 600) == want, "{from} {to}");
    }
}

fn index(lba: u64) -> usize {
    lba.try_into().expect("small")
}

#[test]
fn segments_are_carried_out_one_after_the_other() {
    let mut rig = rig();
    fill(&mut rig);
    let want = rig.blocks(0, 200).to_vec();
    let segments = [
        segment((0, 0), (1, 0), 200),
        segment((1, 0), (0xffff, 2000), 200),
        segment((0xffff, 2000), (1, 300), 200),
    ];
    let list = list(1, &[cscd(0), cscd(1)], &segments);
    assert_eq!(rig.run(ALICE, &copy_cdb(0, &list), &list).code(), GOOD);
    assert!(rig.blocks(2000, 200) == want && rig.more[0].bytes[300 * BLOCK..500 * BLOCK] == want);
}

#[test]
fn a_unit_may_be_named_by_its_vendor() {
    let mut rig = rig();
    fill(&mut rig);
    let mut named = vec![0xe4, 0, 0, 0, 2, 1, 0, 15];
    named.extend(b"FELIO   disk:u1");
    named.resize(32, 0);
    let list = list(1, &[cscd(0), named], &[segment((0, 0), (1, 0), 1)]);
    assert_eq!(rig.run(ALICE, &copy_cdb(0, &list), &list).code(), GOOD);
    assert!(rig.more[0].bytes[..BLOCK] == *rig.blocks(0, 1));
}

#[test]
fn reads_and_writes_run_side_by_side_within_bounds() {
    let mut rig = rig();
    rig.hold = true;
    let list = across(); // 600 blocks; a transfer is at most 64 KiB
    let tag = rig.send(ALICE, &copy_cdb(0, &list), &list);
    assert_eq!(rig.held_names(), ["read 10+128", "read 138+128", "read 266+128", "read 394+128"]);
    rig.release();
    assert_eq!(rig.held_names()[3], "write 1000+128");
    rig.release_all();
    assert_eq!(rig.reply(tag).map(|reply| reply.code()), Some(GOOD));
    rig.pool.trim();
    assert_eq!((rig.pool.budget().bytes(), rig.engine.is_idle()), (0, true));
}

#[test]
fn an_empty_list_is_no_error() {
    check(&[], GOOD);
    check(&list(1, &[cscd(0)], &[]), GOOD);
    check(&list(1, &[cscd(0)], &[segment((0, 0), (0, 9), 0)]), GOOD);
}

#[test]
fn a_list_that_ends_too_early_is_refused() {
    let list = across();
    for end in [1, 15, 16 + 31, 16 + 64 + 27] {
        check(&list[..end], PARAMETER_LIST_LENGTH);
    }
}

#[test]
fn there_are_not_too_many_descriptors() {
    let one = segment((0, 0), (0, 9), 1);
    check(&list(1, &vec![cscd(0); 17], core::slice::from_ref(&one)), (5, 0x26, 6));
    check(&list(1, &[cscd(0)], &vec![one.clone(); 65]), (5, 0x26, 8));
    check(&list(1, &vec![cscd(0); 17], &vec![one.clone(); 65]), PARAMETER_LIST_LENGTH);
    check(&list(1, &vec![cscd(0); 16], &vec![one; 64]), GOOD);
}

#[test]
fn descriptors_of_other_types_are_refused_and_pointed_at() {
    let mut other = cscd(0);
    other[0] = 0xe0;
    check_pointer(&list(1, &[cscd(0), other], &[segment((0, 0), (0, 9), 1)]), (5, 0x26, 7), 48);
    let mut stream = segment((0, 0), (0, 9), 1);
    stream[0] = 3;
    check_pointer(&list(1, &[cscd(0)], &[segment((0, 0), (0, 9), 1), stream]), (5, 0x26, 9), 76);
}

#[test]
fn fields_that_cannot_be_right_are_pointed_at() {
    let mut usage = across();
    usage[1] = 0x08;
    check_pointer(&usage, INVALID_PARAMETER, 1);
    let mut nameless = across();
    nameless[1] = 0x18;
    check_pointer(&nameless, INVALID_PARAMETER, 0);
    let mut length = across();
    length[16 + 64 + 3] = 23;
    check_pointer(&length, INVALID_PARAMETER, 16 + 64 + 2);
    let mut block = across();
    block[16 + 30] = 16;
    check_pointer(&block, INVALID_PARAMETER, 16 + 29);
    let mut inline = across();
    inline[15] = 1;
    check(&inline, (5, 0x26, 0xb));
}

#[test]
fn a_copy_without_a_name_leaves_no_trace() {
    let mut rig = rig();
    let mut list = across();
    (list[0], list[1]) = (0, 0x18);
    assert_eq!(rig.run(ALICE, &copy_cdb(0, &list), &list).code(), GOOD);
    assert_eq!(rig.run(ALICE, &ask1(0, 0), &[]).code(), INVALID_CDB);
}

#[test]
fn a_unit_that_is_not_there_is_not_reachable() {
    check_pointer(&list(1, &[cscd(0), cscd(9)], &[segment((0, 0), (1, 0), 1)]), (0xa, 0x0d, 2), 48);
    check_pointer(&list(1, &[cscd(0)], &[segment((0, 0), (1, 0), 1)]), (0xa, 0x08, 4), 16 + 32 + 6);
}

#[test]
fn a_segment_that_cannot_be_done_is_named_and_those_before_it_are_done() {
    let mut rig = rig();
    fill(&mut rig);
    let segments = [segment((0, 0), (0, 500), 1), segment((0, 0), (7, 0), 1)];
    let list = list(1, &[cscd(0)], &segments);
    let reply = rig.run(ALICE, &copy_cdb(0, &list), &list);
    assert_eq!((reply.code(), &reply.sense[8..12]), ((0xa, 8, 4), &[0, 0, 0, 1][..]));
    assert!(rig.blocks(500, 1) == rig.blocks(0, 1).to_vec());
}

#[test]
fn what_a_unit_refuses_is_forwarded() {
    let mut rig = rig();
    let list = list(1, &[cscd(0), cscd(1)], &[segment((0, 0), (1, BLOCKS - 1), 2)]);
    let reply = rig.run(ALICE, &copy_cdb(0, &list), &list);
    assert_eq!((reply.code(), reply.pointer()), (COPY_ABORTED, 48));
    // The destination's answer stands behind the sense data of the copy: LOGICAL BLOCK ADDRESS OUT OF RANGE.
    assert_eq!(reply.sense[8..12], [0, 18, 0, 0]);
    assert_eq!(reply.sense[18..], [2, 0x72, 5, 0x21, 0, 0, 0, 0, 0]);
}

#[test]
fn what_the_source_refuses_is_the_sources() {
    let mut rig = rig();
    rig.disk.failure = Some(Failure::Medium(None));
    let list = across();
    let reply = rig.run(ALICE, &copy_cdb(0, &list), &list);
    assert_eq!(
        (reply.code(), reply.sense[8..12].to_vec(), reply.sense[18]),
        (COPY_ABORTED, vec![18, 0, 0, 0], 2)
    );
}

#[test]
fn a_residual_tells_how_much_is_missing() {
    let mut rig = rig();
    rig.hold = true;
    let list = across();
    let tag = rig.send(ALICE, &copy_cdb(0, &list), &list);
    // Four reads, then the first write.
    for _ in 0..5 {
        rig.release();
    }
    rig.more[0].failure = Some(Failure::NoSpace);
    rig.release_all();
    let reply = rig.reply(tag).expect("an answer");
    assert_eq!((reply.code(), reply.information()), (COPY_ABORTED, Some(600 - 128)));
}

#[test]
fn a_write_protected_destination_is_not_written() {
    let mut target = three_units();
    target.unit_mut(1).read_only = true;
    let mut rig = Rig::with(target, 64, 64 << 20);
    fill(&mut rig);
    let list = across();
    let reply = rig.run(ALICE, &copy_cdb(0, &list), &list);
    assert_eq!((reply.code(), reply.sense[19..23].to_vec()), (COPY_ABORTED, vec![0x72, 7, 0x27, 0]));
    assert!(rig.more[0].bytes.iter().all(|byte| *byte == 0));
}

#[test]
fn pending_unit_attentions_are_left_to_the_initiator() {
    let mut rig = rig();
    let tag = felio_hal::PortTag(900);
    let lun = felio_spec::Lun::from_number(1).expect("a LUN");
    let reset =
        felio_hal::port::TaskManagement { tag, function: Function::LogicalUnitReset, lun, referenced: None };
    rig.engine.handle_task_management(rig.now, BOB, reset, &mut rig.pool);
    rig.pump();
    let list = across();
    assert_eq!(rig.run(ALICE, &copy_cdb(0, &list), &list).code(), GOOD);
    assert_eq!(rig.run_on(1, ALICE, &TEST_UNIT_READY, &[]).code(), (6, 0x29, 3));
}

#[test]
fn a_copy_respects_what_is_exclusive_on_both_units() {
    for lun in [0u16, 1] {
        let mut rig = rig();
        rig.hold = true;
        let lba = [10, 1000][usize::from(lun)];
        rig.send_on(lun, BOB, &compare_and_write(lba, 1), &[0; 2 * BLOCK]);
        let list = list(1, &[cscd(0), cscd(1)], &[segment((0, 10), (1, 1000), 1)]);
        let tag = rig.send(ALICE, &copy_cdb(0, &list), &list);
        assert_eq!(rig.held_names(), [format!("read {lba}+1")]);
        rig.release_all();
        assert_eq!(rig.reply(tag).map(|reply| reply.code()), Some(GOOD));
    }
}

#[test]
fn an_ordered_copy_does_not_wait_for_itself() {
    for attribute in [TaskAttribute::Ordered, TaskAttribute::HeadOfQueue, TaskAttribute::Simple] {
        let mut rig = rig();
        rig.hold = true;
        let list = across();
        let lun = felio_spec::Lun::default();
        let copy = rig.send_to(lun, attribute, ALICE, &copy_cdb(0, &list), &list);
        let ordered = rig.send_as(TaskAttribute::Ordered, BOB, &write10(20, 1), &[1; BLOCK]);
        let alone = rig.send(BOB, &STOP, &[]);
        rig.release_all();
        for tag in [copy, ordered, alone] {
            assert_eq!(rig.reply(tag).map(|reply| reply.status), Some(Status::GOOD), "{attribute:?}");
        }
    }
}

#[test]
fn who_wants_to_be_alone_has_its_turn_between_two_pieces() {
    let mut rig = rig();
    rig.hold = true;
    let list = list(1, &[cscd(0)], &[segment((0, 0), (0, 2000), 1500)]);
    let copy = rig.send(ALICE, &copy_cdb(0, &list), &list);
    let select = rig.send(BOB, &[0x1b, 0, 0, 0, 1, 0], &[]);
    for _ in 0..4 {
        assert_eq!(rig.reply(select), None);
        rig.release();
    }
    assert!(rig.reply(select).is_some() && rig.reply(copy).is_none());
    rig.release_all();
    assert_eq!(rig.reply(copy).map(|reply| reply.code()), Some(GOOD));
}

#[test]
fn copies_that_cross_do_not_wait_for_each_other() {
    let mut rig = rig();
    rig.hold = true;
    let there = list(1, &[cscd(0), cscd(1)], &[segment((0, 0), (1, 1000), 600)]);
    let back = list(1, &[cscd(0), cscd(1)], &[segment((1, 2000), (0, 2000), 600)]);
    let mut tags = Vec::new();
    for (lun, list) in [(0, &there), (1, &back)] {
        let lun = felio_spec::Lun::from_number(lun).expect("a LUN");
        tags.push(rig.send_to(lun, TaskAttribute::Ordered, ALICE, &copy_cdb(0, list), list));
        tags.push(rig.send_to(lun, TaskAttribute::Ordered, BOB, &write10(0, 1), &[1; BLOCK]));
        tags.push(rig.send_to(lun, TaskAttribute::Simple, BOB, &START, &[]));
    }
    rig.release_all();
    assert!(tags.iter().all(|tag| rig.reply(*tag).is_some_and(|reply| reply.status == Status::GOOD)));
}

#[test]
fn an_aborted_copy_stops_and_waits_for_what_is_under_way() {
    let mut rig = rig();
    rig.hold = true;
    let list = list(1, &[cscd(0), cscd(1)], &[segment((0, 0), (1, 0), 2000)]);
    let tag = rig.send(ALICE, &copy_cdb(0, &list), &list);
    rig.release();
    let function = rig.manage(ALICE, Function::AbortTask, Some(tag));
    assert!(rig.is_abandoned(tag) && rig.managed(function).is_none());
    assert_eq!(rig.held.len(), 4);
    rig.release_all();
    assert_eq!(rig.managed(function), Some(TaskManagementResponse::FunctionComplete));
    rig.pool.trim();
    assert_eq!((rig.pool.budget().bytes(), rig.engine.is_idle()), (0, true));
    assert_eq!(rig.run(ALICE, &ask4(5, 1), &[]).data[5], 0x60);
}

#[test]
fn a_copy_ends_with_its_nexus() {
    let mut rig = rig();
    rig.hold = true;
    let list = list(1, &[cscd(0), cscd(1)], &[segment((0, 0), (1, 0), 2000)]);
    rig.send(ALICE, &copy_cdb(0, &list), &list);
    rig.release();
    rig.lose(ALICE);
    rig.release_all();
    rig.pool.trim();
    assert_eq!((rig.pool.budget().bytes(), rig.engine.is_idle()), (0, true));
}

#[test]
fn a_reset_of_the_other_unit_fails_the_copy() {
    let mut rig = rig();
    rig.hold = true;
    let list = across();
    let tag = rig.send(ALICE, &copy_cdb(0, &list), &list);
    rig.release();
    rig.release();
    let lun = felio_spec::Lun::from_number(1).expect("a LUN");
    let function = felio_hal::port::TaskManagement {
        tag: felio_hal::PortTag(900),
        function: Function::LogicalUnitReset,
        lun,
        referenced: None,
    };
    rig.engine.handle_task_management(rig.now, BOB, function, &mut rig.pool);
    rig.pump();
    rig.release_all();
    let reply = rig.reply(tag).expect("an answer");
    assert_eq!((reply.code(), reply.sense[18]), (COPY_ABORTED, 0x40));
}

#[test]
fn a_copy_waits_for_buffers_and_takes_smaller_ones() {
    let mut rig = Rig::with(three_units(), 64, 16 << 10);
    fill(&mut rig);
    let list = across();
    let tag = rig.send(ALICE, &copy_cdb(0, &list), &list);
    for _ in 0..100 {
        rig.pass(Duration::from_millis(500));
    }
    assert_eq!(rig.reply(tag).map(|reply| reply.code()), Some(GOOD));
    assert!(rig.more[0].bytes[1000 * BLOCK..1600 * BLOCK] == *rig.blocks(10, 600));
}

#[test]
fn a_copy_that_gets_nowhere_gives_up() {
    let mut rig = Rig::with(three_units(), 1, 1 << 20);
    let list = across();
    let tag = rig.send(ALICE, &copy_cdb(0, &list), &list);
    for _ in 0..100 {
        rig.pass(Duration::from_millis(500));
    }
    assert_eq!(rig.reply(tag).map(|reply| reply.code()), Some((0xa, 0x55, 3)));
    assert!(rig.engine.is_idle());
}

#[test]
fn there_are_not_too_many_copies_at_a_time() {
    let mut rig = rig();
    rig.hold = true;
    let one = |id| list(id, &[cscd(0)], &[segment((0, 0), (0, 1), 1)]);
    for id in 0..8 {
        rig.send(ALICE, &copy_cdb(0, &one(id)), &one(id));
    }
    assert_eq!(rig.run(ALICE, &copy_cdb(0, &one(8)), &one(8)).status, Status::BUSY);
    rig.release_all();
    rig.hold = false;
    assert_eq!(rig.run(ALICE, &copy_cdb(0, &one(8)), &one(8)).code(), GOOD);
}

#[test]
fn a_name_is_used_by_one_copy_at_a_time() {
    let mut rig = rig();
    rig.hold = true;
    let one = list(5, &[cscd(0)], &[segment((0, 0), (0, 1), 1)]);
    rig.send(ALICE, &copy_cdb(0, &one), &one);
    assert_eq!(rig.run(ALICE, &copy_cdb(0, &one), &one).code(), (5, 0, 0x16));
    let other = list4(5, 0, &[cscd(0)], &[segment((0, 0), (0, 1), 1)]);
    let reply = rig.run(ALICE, &copy_cdb(1, &other), &other);
    assert_eq!((reply.code(), reply.pointer()), (INVALID_PARAMETER, 20));
    let tag = rig.send(BOB, &copy_cdb(0, &one), &one);
    rig.release_all();
    assert_eq!(rig.reply(tag).map(|reply| reply.code()), Some(GOOD));
    rig.hold = false;
    assert_eq!(rig.run(ALICE, &copy_cdb(0, &one), &one).code(), GOOD);
}

#[test]
fn the_status_of_a_copy_can_be_asked_for() {
    let mut rig = rig();
    rig.hold = true;
    let list = across();
    assert_eq!(rig.run(ALICE, &ask1(0, 1), &[]).code(), INVALID_CDB);
    rig.send(ALICE, &copy_cdb(0, &list), &list);
    assert_eq!(rig.run(ALICE, &ask1(0, 1), &[]).data, [0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0]);
    rig.release_all();
    let bytes = u32::try_from(600 * BLOCK).expect("small").to_be_bytes();
    let want = [[0, 0, 0, 8, 1, 0, 1, 0], [bytes[0], bytes[1], bytes[2], bytes[3], 0, 0, 0, 0]].concat();
    assert_eq!(rig.run(ALICE, &ask1(0, 1), &[]).data, want[..12]);
    assert_eq!(rig.run(BOB, &ask1(0, 1), &[]).code(), INVALID_CDB);
    assert_eq!(rig.run(ALICE, &ask1(4, 1), &[]).data, [0, 0, 0, 0]);
}

#[test]
fn the_details_of_a_failure_can_be_asked_for() {
    let mut rig = rig();
    let list = list(1, &[cscd(0)], &[segment((0, 0), (3, 0), 1)]);
    let sense = rig.run(ALICE, &copy_cdb(0, &list), &list).sense;
    let data = rig.run(ALICE, &ask1(4, 1), &[]).data;
    assert_eq!((data[56], usize::from(data[59]), &data[60..]), (2, sense.len(), &sense[..]));
    assert_eq!(rig.run(ALICE, &ask1(0, 1), &[]).data[4], 2);
}

#[test]
fn a_copy_in_the_background_is_answered_at_once_and_asked_for_later() {
    let mut rig = rig();
    fill(&mut rig);
    rig.hold = true;
    let list = list4(0x0102_0304, 1, &[cscd(0), cscd(1)], &[segment((0, 10), (1, 1000), 600)]);
    assert_eq!(rig.run(ALICE, &copy_cdb(1, &list), &list).code(), GOOD);
    let status = |rig: &mut Rig| rig.run(ALICE, &ask4(5, 0x0102_0304), &[]).data[4..6].to_vec();
    assert_eq!((status(&mut rig), rig.engine.is_idle()), (vec![1, 0x12], false));
    rig.release_all();
    assert_eq!(status(&mut rig), [1, 1]);
    assert!(rig.more[0].bytes[1000 * BLOCK..1600 * BLOCK] == *rig.blocks(10, 600));
}

#[test]
fn good_comes_with_sense_data_where_that_is_wanted() {
    let mut rig = rig();
    let list = list4(1, 2, &[cscd(0)], &[segment((0, 0), (0, 9), 1)]);
    let reply = rig.run(ALICE, &copy_cdb(1, &list), &list);
    assert_eq!((reply.status, reply.code(), reply.sense[11]), (Status::GOOD, (0xf, 0, 0x20), 1));
    let both = list4(1, 3, &[cscd(0)], &[segment((0, 0), (0, 9), 1)]);
    assert_eq!(rig.run(ALICE, &copy_cdb(1, &both), &both).code(), INVALID_CDB);
}

#[test]
fn a_copy_can_be_aborted_by_its_name() {
    let mut rig = rig();
    rig.hold = true;
    let list = list4(7, 0, &[cscd(0), cscd(1)], &[segment((0, 0), (1, 0), 2000)]);
    let tag = rig.send(ALICE, &copy_cdb(1, &list), &list);
    assert_eq!(rig.run(BOB, &abort(7), &[]).code(), INVALID_CDB);
    assert_eq!(rig.run(ALICE, &abort(7), &[]).code(), GOOD);
    rig.release_all();
    assert_eq!(rig.reply(tag).map(|reply| reply.code()), Some((0xa, 0, 6)));
    assert_eq!(rig.run(ALICE, &ask4(5, 7), &[]).data[5], 0x60);
    assert!(rig.more[0].log.is_empty());
}

#[test]
fn operating_parameters_are_those_that_are_enforced() {
    let data = rig().run(ALICE, &ask1(3, 0), &[]).data;
    assert_eq!((data.len(), data[3], data[4]), (46, 42, 1));
    assert_eq!(data[8..12], [0, 16, 0, 64]);
    assert_eq!(data[36..39], [8, 9, 0]);
    assert_eq!(data[43..], [2, 0x02, 0xe4]);
}

fn rig_with_offload() -> Rig {
    let mut rig = rig();
    fill(&mut rig);
    rig.offload = true;
    rig
}

#[test]
fn stores_that_can_copy_by_themselves_do() {
    let mut rig = rig_with_offload();
    let across = across();
    assert_eq!(rig.run(ALICE, &copy_cdb(0, &across), &across).code(), GOOD);
    assert!(rig.more[0].bytes[1000 * BLOCK..1600 * BLOCK] == *rig.blocks(10, 600));
    let within = list(1, &[cscd(0)], &[segment((0, 0), (0, 2000), 700)]);
    assert_eq!(rig.run(ALICE, &copy_cdb(0, &within), &within).code(), GOOD);
    assert!(rig.blocks(2000, 700) == rig.blocks(0, 700).to_vec());
    assert_eq!(
        (&rig.more[0].log[..], &rig.disk.log[..]),
        (&["copy 1000+600".to_owned()][..], &["copy 2000+700".to_owned()][..])
    );
    assert!(rig.engine.is_idle());
}

#[test]
fn what_stores_copy_is_held_on_both_units() {
    for (lun, lba) in [(0, 20), (1, 1100)] {
        let mut rig = rig_with_offload();
        rig.hold = true;
        let list = across();
        let copy = rig.send(ALICE, &copy_cdb(0, &list), &list);
        let compare = rig.send_on(lun, BOB, &compare_and_write(lba, 1), &[0; 2 * BLOCK]);
        assert_eq!(rig.held_names(), ["copy 1000+600"]);
        rig.release();
        assert_eq!(rig.reply(copy).map(|reply| reply.code()), Some(GOOD));
        assert_eq!(rig.held_names(), [format!("read {lba}+1")]);
        rig.release_all();
        assert!(rig.reply(compare).is_some() && rig.engine.is_idle());
    }
}

#[test]
fn stores_that_fail_to_copy_fail_the_copy() {
    let mut rig = rig_with_offload();
    rig.more[0].failure = Some(Failure::NoSpace);
    let list = across();
    let reply = rig.run(ALICE, &copy_cdb(0, &list), &list);
    assert_eq!((reply.code(), reply.sense[19..23].to_vec()), (COPY_ABORTED, vec![0x72, 7, 0x27, 7]));
    assert!(rig.engine.is_idle());
}

#[test]
fn copies_by_stores_that_cross_do_not_wait_for_each_other() {
    let mut rig = rig_with_offload();
    rig.hold = true;
    let there = list(1, &[cscd(0), cscd(1)], &[segment((0, 0), (1, 0), 600)]);
    let back = list(2, &[cscd(0), cscd(1)], &[segment((1, 0), (0, 0), 600)]);
    let mut tags = Vec::new();
    for _ in 0..2 {
        for lun in [0, 1] {
            tags.push(rig.send_on(lun, BOB, &compare_and_write(5, 1), &[0; 2 * BLOCK]));
        }
        for (lun, list) in [(0, &there), (1, &back)] {
            tags.push(rig.send_on(lun, ALICE, &copy_cdb(0, list), list));
        }
    }
    rig.release_all();
    let ended = tags.iter().filter(|tag| rig.reply(**tag).is_some()).count();
    assert_eq!((ended, rig.engine.is_idle()), (tags.len(), true));
}

#[test]
fn a_copy_by_stores_can_be_aborted_wherever_it_waits() {
    for at in [0, 1] {
        let mut rig = rig_with_offload();
        rig.hold = true;
        let lba = [20, 1100][usize::from(at)];
        rig.send_on(at, BOB, &compare_and_write(lba, 1), &[0; 2 * BLOCK]);
        let list = across();
        let tag = rig.send(ALICE, &copy_cdb(0, &list), &list);
        let function = rig.manage(ALICE, Function::AbortTask, Some(tag));
        rig.release_all();
        assert_eq!(rig.managed(function), Some(TaskManagementResponse::FunctionComplete));
        assert!(rig.engine.is_idle() && rig.more[0].log.iter().all(|op| !op.starts_with("copy")));
    }
}
