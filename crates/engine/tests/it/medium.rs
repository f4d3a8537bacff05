//! READ, WRITE, VERIFY, COMPARE AND WRITE, ORWRITE, caches, failures.

use crate::cdb::*;
use crate::rig::{ALICE, BLOCK, BOB, Rig, target};
use felio_hal::store::{Failure, WriteCache};
use felio_spec::{Lun, Status, TaskAttribute};

const GOOD: (Status, (u8, u8, u8)) = (Status::GOOD, (0, 0, 0));

fn check(key: u8, asc: u8, ascq: u8) -> (Status, (u8, u8, u8)) {
    (Status::CHECK_CONDITION, (key, asc, ascq))
}

fn out_of_range() -> (Status, (u8, u8, u8)) {
    check(5, 0x21, 0)
}

fn invalid_field() -> (Status, (u8, u8, u8)) {
    check(5, 0x24, 0)
}

#[test]
fn what_was_written_is_read() {
    let mut rig = Rig::new();
    let data = vec![7; 3 * BLOCK];
    assert_eq!(rig.ask(&write10(5, 3), &data), GOOD);
    let reply = rig.run(ALICE, &read16(5, 3), &[]);
    assert_eq!((reply.data, reply.transfer_bytes), (data, 1536));
}

#[test]
fn a_write_that_announces_only_data_in_is_refused() {
    let mut rig = Rig::new();
    assert_eq!(rig.run_announcing(ALICE, &write10(5, 1), 512, 0).code(), (5, 0x0e, 3));
    assert!(rig.disk.log.is_empty(), "{:?}", rig.disk.log);
}

#[test]
fn six_byte_commands_take_zero_for_256_blocks() {
    let mut target = target();
    target.unit_mut(0).limits.transfer_bytes_max = 1 << 20;
    let mut rig = Rig::with(target, 8, 64 << 20);
    assert_eq!(rig.run(ALICE, &[0x08, 0, 0, 1, 0, 0], &[]).transfer_bytes, 256 * 512);
    assert_eq!(rig.disk.log, ["read 1+256"]);
}

#[test]
fn no_blocks_transfer_nothing() {
    let mut rig = Rig::new();
    assert_eq!(rig.ask(&read10(0, 0), &[]), GOOD);
    assert_eq!(rig.ask(&write10(0, 0), &[]), GOOD);
    assert_eq!(rig.ask(&orwrite16(0, 0), &[]), GOOD);
    assert_eq!(rig.ask(&compare_and_write(0, 0), &[]), GOOD);
    assert_eq!(rig.ask(&verify10(1, 0, 0), &[]), GOOD);
    assert!(rig.disk.log.is_empty());
}

#[test]
fn blocks_past_the_end_do_not_exist() {
    let mut rig = Rig::new();
    assert_eq!(rig.ask(&read10(4095, 2), &[]), out_of_range());
    assert_eq!(rig.ask(&write10(4096, 0), &[]), out_of_range());
    assert_eq!(rig.ask(&read16(u64::MAX, 1), &[]), out_of_range());
    assert_eq!(rig.ask(&synchronize_cache10(0).map(|byte| byte | 0x80), &[]).0, Status::CHECK_CONDITION);
}

#[test]
fn the_longest_transfer_is_what_the_store_can_do() {
    let mut rig = Rig::new();
    assert_eq!(rig.ask(&read10(0, 128), &[]), GOOD);
    let reply = rig.run(ALICE, &read10(0, 129), &[]);
    assert_eq!((reply.code(), reply.pointer()), ((5, 0x24, 0), 7));
}

#[test]
fn reserved_bits_are_refused() {
    let mut rig = Rig::new();
    let reply = rig.run(ALICE, &[0x28, 0x01, 0, 0, 0, 0, 0, 0, 1, 0], &[]);
    assert_eq!((reply.code(), reply.sense[15], reply.pointer()), ((5, 0x24, 0), 0xc8, 1));
}

#[test]
fn unknown_commands_are_refused() {
    let mut rig = Rig::new();
    assert_eq!(rig.ask(&[0xff; 6], &[]), check(5, 0x20, 0));
    assert_eq!(rig.ask(&[0x9e, 0x1f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[]), invalid_field());
}

#[test]
fn where_there_is_no_unit_only_identity_is_told() {
    let mut rig = Rig::new();
    let lun = Lun::from_number(9).expect("a LUN");
    let ask = |rig: &mut Rig, cdb: &[u8]| {
        let tag = rig.send_to(lun, TaskAttribute::Simple, ALICE, cdb, &[]);
        rig.reply(tag).expect("an answer")
    };
    assert_eq!(ask(&mut rig, &TEST_UNIT_READY).code(), (5, 0x25, 0));
    assert_eq!(ask(&mut rig, &INQUIRY).data[0], 0x7f);
    assert_eq!(ask(&mut rig, &[0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0]).data[3], 8);
}

#[test]
fn flat_addresses_reach_the_same_unit() {
    let mut rig = Rig::new();
    let flat = Lun([0x40, 0, 0, 0, 0, 0, 0, 0]);
    let tag = rig.send_to(flat, TaskAttribute::Simple, ALICE, &TEST_UNIT_READY, &[]);
    assert_eq!(rig.reply(tag).expect("an answer").status, Status::GOOD);
}

#[test]
fn fewer_whole_blocks_than_named_are_written() {
    let mut rig = Rig::new();
    let reply = rig.run(ALICE, &write10(0, 2), &[1; BLOCK]);
    assert_eq!((reply.status, reply.transfer_bytes), (Status::GOOD, 1024));
    assert_eq!(rig.blocks(0, 2), [vec![1; BLOCK], vec![0; BLOCK]].concat());
}

#[test]
fn parts_of_blocks_are_refused_and_nothing_is_written() {
    let mut rig = Rig::new();
    let reply = rig.run(ALICE, &write10(0, 1), &[1; 200]);
    assert_eq!((reply.code(), reply.transfer_bytes), ((5, 0x0e, 3), 512));
    assert_eq!(rig.blocks(0, 1), [0; BLOCK]);
}

#[test]
fn more_data_than_named_are_left_with_the_initiator() {
    let mut rig = Rig::new();
    let reply = rig.run(ALICE, &write10(0, 1), &[1; 2 * BLOCK]);
    assert_eq!((reply.status, reply.transfer_bytes), (Status::GOOD, 512));
    assert_eq!(rig.disk.log, ["write 0+1"]);
}

#[test]
fn fua_asks_for_durability() {
    let mut rig = Rig::new();
    rig.run(ALICE, &write10_fua(0, 1), &[0; BLOCK]);
    rig.run(ALICE, &read10_fua(0, 1), &[]);
    assert_eq!(rig.disk.log, ["write 0+1 durable", "flush", "read 0+1"]);
}

#[test]
fn a_store_without_cache_is_never_flushed() {
    let mut target = target();
    target.unit_mut(0).limits.write_cache = WriteCache::Off;
    let mut rig = Rig::with(target, 8, 64 << 20);
    rig.run(ALICE, &read10_fua(0, 1), &[]);
    rig.run(ALICE, &synchronize_cache10(0), &[]);
    assert_eq!(rig.disk.log, ["read 0+1"]);
}

fn without_write_cache() -> Rig {
    let mut rig = Rig::new();
    let mut list = rig.run(ALICE, &[0x1a, 0x08, 0x08, 0, 255, 0], &[]).data;
    (list[0], list[2]) = (0, 0);
    list[6] &= !0x04;
    assert_eq!(rig.ask(&[0x15, 0x10, 0, 0, 24, 0], &list), GOOD);
    assert_eq!(rig.disk.log, ["flush"]);
    rig.disk.log.clear();
    rig
}

#[test]
fn without_the_write_cache_every_write_is_durable() {
    let mut rig = without_write_cache();
    rig.run(ALICE, &write10(0, 1), &[0; BLOCK]);
    rig.run(ALICE, &compare_and_write(0, 1), &[0; 2 * BLOCK]);
    rig.run(ALICE, &orwrite16(0, 1), &[0; BLOCK]);
    rig.run(ALICE, &write_same10(0, 0, 1), &[1; BLOCK]);
    let written: Vec<&String> = rig.disk.log.iter().filter(|op| !op.starts_with("read")).collect();
    assert_eq!(written, ["write 0+1 durable"; 4]);
}

#[test]
fn without_the_write_cache_zeros_and_deallocations_are_flushed() {
    let mut rig = without_write_cache();
    rig.run(ALICE, &write_same10(0, 0, 4), &[0; BLOCK]);
    let list = [0, 38, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 4, 0, 0, 0, 0];
    let list = [&list[..], &[0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 4, 0, 0, 0, 0]].concat();
    assert_eq!(rig.ask(&unmap(40), &list), GOOD);
    assert_eq!(rig.ask(&unmap(8), &[0, 6, 0, 0, 0, 0, 0, 0]), GOOD);
    assert_eq!(rig.disk.log, ["zero 0+4", "flush", "unmap 8+4", "unmap 16+4", "flush"]);
}

#[test]
fn synchronizing_waits_for_the_store() {
    let mut rig = Rig::new();
    rig.hold = true;
    let tag = rig.send(ALICE, &synchronize_cache10(0), &[]);
    assert_eq!(rig.reply(tag), None);
    rig.release();
    assert_eq!(rig.reply(tag).map(|reply| reply.status), Some(Status::GOOD));
}

#[test]
fn with_immed_synchronizing_is_answered_before_the_store_is_done() {
    let mut rig = Rig::new();
    rig.hold = true;
    let tag = rig.send(ALICE, &synchronize_cache10(0x02), &[]);
    assert_eq!(rig.reply(tag).map(|reply| reply.status), Some(Status::GOOD));
    assert!(!rig.engine.is_idle());
    rig.release();
    assert!(rig.engine.is_idle());
}

#[test]
fn prefetch_promises_nothing() {
    let mut rig = Rig::new();
    assert_eq!(rig.ask(&prefetch10(4000, 0), &[]), GOOD);
    assert_eq!(rig.disk.log, ["prefetch 4000+96"]);
}

#[test]
fn verify_compares_each_block() {
    let mut rig = Rig::new();
    rig.disk.bytes[BLOCK..2 * BLOCK].fill(3);
    let mut data = [vec![0; BLOCK], vec![3; BLOCK]].concat();
    assert_eq!(rig.ask(&verify10(1, 0, 2), &data), GOOD);
    data[700] ^= 1;
    assert_eq!(rig.ask(&verify10(1, 0, 2), &data), check(0xe, 0x1d, 0));
}

#[test]
fn verify_compares_one_block_with_all() {
    let mut rig = Rig::new();
    rig.disk.bytes[..300 * BLOCK].fill(9);
    assert_eq!(rig.ask(&verify16(3, 0, 300), &[9; BLOCK]), GOOD);
    assert_eq!(rig.ask(&verify16(3, 0, 301), &[9; BLOCK]), check(0xe, 0x1d, 0));
    assert_eq!(rig.ask(&verify10(2, 0, 1), &[]), invalid_field());
}

#[test]
fn verify_reads_the_medium_in_pieces_and_transfers_nothing() {
    let mut rig = Rig::new();
    assert_eq!(rig.ask(&verify16(0, 0, 300), &[]), GOOD);
    assert_eq!(rig.disk.log, ["read 0+128", "read 128+128", "read 256+44"]);
}

#[test]
fn write_and_verify_reads_what_is_on_the_medium() {
    let mut rig = Rig::new();
    assert_eq!(rig.ask(&write_and_verify10(1, 2), &[5; 2 * BLOCK]), GOOD);
    assert_eq!(rig.disk.log, ["write 1+2 durable", "read 1+2"]);
    let reply = rig.run(ALICE, &write_and_verify10(1, 2), &[6; BLOCK]);
    assert_eq!((reply.status, reply.transfer_bytes), (Status::GOOD, 1024));
}

#[test]
fn compare_and_write_writes_where_all_blocks_are_the_same() {
    let mut rig = Rig::new();
    let data = [vec![0; 2 * BLOCK], vec![8; 2 * BLOCK]].concat();
    assert_eq!(rig.ask(&compare_and_write(3, 2), &data), GOOD);
    assert_eq!(rig.blocks(3, 2), [8; 2 * BLOCK]);
}

#[test]
fn compare_and_write_names_the_first_byte_that_differs() {
    let mut rig = Rig::new();
    let mut data = vec![0; 4 * BLOCK];
    data[777] = 1;
    let reply = rig.run(ALICE, &compare_and_write(3, 2), &data);
    assert_eq!((reply.code(), reply.information()), ((0xe, 0x1d, 0), Some(777)));
    assert_eq!(rig.disk.log, ["read 3+2"]);
}

#[test]
fn compare_and_write_wants_exactly_its_data() {
    let mut rig = Rig::new();
    assert_eq!(rig.ask(&compare_and_write(0, 1), &[0; BLOCK]), invalid_field());
    assert_eq!(rig.ask(&compare_and_write(0, 1), &[0; 3 * BLOCK]), invalid_field());
    assert_eq!(rig.ask(&compare_and_write(0, 200), &[0; 400 * BLOCK]), invalid_field());
}

#[test]
fn orwrite_sets_bits() {
    let mut rig = Rig::new();
    rig.disk.bytes[..BLOCK].fill(0b0101);
    assert_eq!(rig.ask(&orwrite16(0, 1), &[0b0011; BLOCK]), GOOD);
    assert_eq!(rig.blocks(0, 1), [0b0111; BLOCK]);
}

#[test]
fn each_failure_has_its_own_sense() {
    let table = [
        (Failure::Medium(Some(5 * 512)), (3, 0x11, 0), (3, 0x0c, 0)),
        (Failure::NoSpace, (7, 0x27, 7), (7, 0x27, 7)),
        (Failure::WriteProtected, (7, 0x27, 0), (7, 0x27, 0)),
        (Failure::Gone, (2, 0x04, 3), (2, 0x04, 3)),
        (Failure::Short, (3, 0x11, 0), (3, 0x0c, 0)),
        (Failure::Other(5), (4, 0x44, 0), (4, 0x44, 0)),
    ];
    for (failure, read, write) in table {
        let mut rig = Rig::new();
        rig.disk.failure = Some(failure);
        assert_eq!(rig.run(ALICE, &read10(0, 8), &[]).code(), read);
        let mut rig = Rig::new();
        rig.disk.failure = Some(failure);
        assert_eq!(rig.run(ALICE, &write10(0, 8), &[0; 8 * BLOCK]).code(), write);
    }
}

#[test]
fn a_medium_error_names_the_block() {
    let mut rig = Rig::new();
    rig.disk.failure = Some(Failure::Medium(Some(5 * 512 + 3)));
    assert_eq!(rig.run(ALICE, &read10(0, 8), &[]).information(), Some(5));
}

#[test]
fn a_failure_in_the_middle_of_a_command_ends_it() {
    let mut rig = Rig::new();
    rig.hold = true;
    let tag = rig.send(ALICE, &compare_and_write(0, 1), &[0; 2 * BLOCK]);
    rig.release();
    rig.disk.failure = Some(Failure::NoSpace);
    rig.release();
    assert_eq!(rig.reply(tag).expect("an answer").code(), (7, 0x27, 7));
    assert!(rig.engine.is_idle());
}

#[test]
fn a_read_only_unit_is_write_protected() {
    let mut target = target();
    target.unit_mut(0).read_only = true;
    let mut rig = Rig::with(target, 8, 64 << 20);
    assert_eq!(rig.ask(&write10(0, 1), &[0; BLOCK]), check(7, 0x27, 0));
    assert_eq!(rig.ask(&compare_and_write(0, 1), &[0; 2 * BLOCK]), check(7, 0x27, 0));
    assert_eq!(rig.ask(&read10(0, 1), &[]), GOOD);
}

#[test]
fn a_stopped_unit_flushes_and_is_not_ready() {
    let mut rig = Rig::new();
    assert_eq!(rig.ask(&STOP, &[]), GOOD);
    assert_eq!(rig.disk.log, ["flush"]);
    assert_eq!(rig.ask(&read10(0, 1), &[]), check(2, 0x04, 2));
    assert_eq!(rig.ask(&TEST_UNIT_READY, &[]), check(2, 0x04, 2));
    assert_eq!(rig.run(BOB, &REQUEST_SENSE, &[]).data[2], 2);
    assert_eq!(rig.ask(&START, &[]), GOOD);
    assert_eq!(rig.ask(&read10(0, 1), &[]), GOOD);
}

#[test]
fn a_unit_stopped_while_data_are_on_the_way_writes_nothing() {
    let mut rig = Rig::new();
    rig.send_data = false;
    let tag = rig.send(ALICE, &write10(0, 1), &[1; BLOCK]);
    rig.run(BOB, &STOP, &[]);
    rig.deliver();
    assert_eq!(rig.reply(tag).expect("an answer").code(), (2, 0x04, 2));
    assert_eq!(rig.blocks(0, 1), [0; BLOCK]);
}

#[test]
fn a_unit_made_smaller_while_data_are_on_the_way_is_not_written_past_its_end() {
    let mut rig = Rig::new();
    rig.send_data = false;
    let tag = rig.send(ALICE, &write10(4000, 1), &[1; BLOCK]);
    rig.disk.bytes.truncate(4000 * BLOCK);
    rig.run(BOB, &read_capacity16(), &[]);
    rig.disk.log.clear();
    rig.deliver();
    let reply = rig.reply(tag).expect("an answer");
    assert_eq!((reply.code(), reply.information()), ((5, 0x21, 0), Some(4000)));
    assert!(rig.disk.log.is_empty());
}

#[test]
fn parameter_data_are_cut_to_the_allocation_length() {
    let mut rig = Rig::new();
    let reply = rig.run(ALICE, &[0x12, 0, 0, 0, 5, 0], &[]);
    assert_eq!((reply.data.len(), reply.transfer_bytes), (5, 5));
    assert!(rig.run(ALICE, &[0x12, 0, 0, 0, 0, 0], &[]).data.is_empty());
}

#[test]
fn a_rejected_submission_is_polled_again_first() {
    let mut rig = Rig::new();
    rig.hold = true;
    let tags = [rig.send(ALICE, &read10(0, 1), &[]), rig.send(ALICE, &read10(1, 1), &[])];
    let second = rig.held.pop_back().expect("two operations");
    let first = rig.held.pop_back().expect("two operations");
    rig.engine.unsubmit(second);
    rig.engine.unsubmit(first);
    rig.pump();
    assert_eq!(rig.held_names(), ["read 0+1", "read 1+1"]);
    rig.release_all();
    assert!(tags.iter().all(|tag| rig.reply(*tag).is_some()));
}
