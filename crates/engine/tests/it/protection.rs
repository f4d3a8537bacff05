//! Units whose blocks have protection information behind them.

use crate::cdb::*;
use crate::rig::{ALICE, BLOCK, BOB, Reply, Rig, WHOLE, guard, target};
use felio_hal::store::{Failure, Protection, WriteCache};
use felio_spec::Status;
use felio_spec::protection::{Flaw, Kind, Tuple};

type Code = (u8, u8, u8);

const GUARD_FAILED: Code = (0xb, 0x10, 1);
const APPLICATION_FAILED: Code = (0xb, 0x10, 2);
const REFERENCE_FAILED: Code = (0xb, 0x10, 3);
const MISCOMPARE: Code = (0xe, 0x1d, 0);
const GOOD: Code = (0, 0, 0);

fn rig(kind: Kind) -> Rig {
    let mut target = target();
    target.unit_mut(0).limits.protection = Protection::On(kind);
    target.unit_mut(0).limits.write_cache = WriteCache::Off;
    Rig::with(target, 64, 64 << 20)
}

/// With a protection field in byte 1 or 10.
fn with<const N: usize>(mut cdb: [u8; N], value: u8) -> [u8; N] {
    cdb[if N == 32 { 10 } else { 1 }] |= value << 5;
    cdb
}

fn right(lba: u32, fill: u8) -> Tuple {
    Tuple { guard: guard(&[fill; BLOCK]), application: 0, reference: lba }
}

/// A block with what stands behind it.
fn whole(fill: u8, tuple: Tuple) -> Vec<u8> {
    let mut bytes = vec![fill; WHOLE];
    tuple.write(&mut bytes[BLOCK..]);
    bytes
}

fn wholes(lba: u32, fills: &[u8]) -> Vec<u8> {
    (lba..).zip(fills).flat_map(|(lba, fill)| whole(*fill, right(lba, *fill))).collect()
}

fn set(rig: &mut Rig, lba: usize, fill: u8, tuple: Tuple) {
    rig.disk.bytes[lba * BLOCK..][..BLOCK].fill(fill);
    rig.disk.tuples[lba] = tuple;
}

/// The three fields, each with a flaw, and what that is called.
fn flaws(right: Tuple) -> [(Tuple, Code); 3] {
    [
        (Tuple { guard: !right.guard, ..right }, GUARD_FAILED),
        (Tuple { application: right.application ^ 1, ..right }, APPLICATION_FAILED),
        (Tuple { reference: right.reference ^ 1, ..right }, REFERENCE_FAILED),
    ]
}

#[test]
fn what_was_written_with_protection_information_is_read_with_it() {
    let mut rig = rig(Kind::Type1);
    let data = wholes(5, &[7, 8]);
    let reply = rig.run(ALICE, &with(write10(5, 2), 1), &data);
    assert_eq!((reply.status, reply.transfer_bytes), (Status::GOOD, 2 * 520));
    assert_eq!(rig.run(ALICE, &with(read16(5, 2), 1), &[]).data, data);
    assert_eq!(rig.disk.log, ["write 5+2 protected", "read 5+2 protected"]);
    assert_eq!(rig.run(ALICE, &read10(5, 1), &[]).data, [7; BLOCK]);
}

#[test]
fn without_a_word_of_it_commands_are_as_on_any_unit() {
    let mut rig = rig(Kind::Type1);
    rig.run(ALICE, &write10(5, 1), &[7; BLOCK]);
    rig.run(ALICE, &read10(5, 1), &[]);
    rig.run(ALICE, &verify10(1, 5, 1), &[7; BLOCK]);
    assert_eq!(rig.disk.log, ["write 5+1", "read 5+1", "read 5+1"]);
}

#[test]
fn what_the_store_finds_flawed_is_told_with_its_block() {
    let mut rig = rig(Kind::Type1);
    for (flaw, code) in [
        (Flaw::Guard, GUARD_FAILED),
        (Flaw::Application, APPLICATION_FAILED),
        (Flaw::Reference, REFERENCE_FAILED),
    ] {
        rig.disk.failure = Some(Failure::Protection { flaw, at: 9 * 512 });
        let reply = rig.run(ALICE, &read10(8, 4), &[]);
        assert_eq!((reply.code(), reply.information()), (code, Some(9)));
    }
}

/// Which fields are looked at for each value of a protection field: guard, application tag, reference tag.
fn check_values(kind: Kind, table: [[bool; 3]; 5], mut run: impl FnMut(&mut Rig, u8, Tuple) -> Reply) {
    let right = right(6, 3);
    for (value, looked_at) in (1..).zip(table) {
        for ((flawed, code), looked_at) in flaws(right).into_iter().zip(looked_at) {
            let mut rig = rig(kind);
            let reply = run(&mut rig, value, flawed);
            let want = if looked_at { (code, Some(6)) } else { (GOOD, None) };
            let information = (reply.status != Status::GOOD).then(|| reply.information()).flatten();
            assert_eq!((reply.code(), information), want, "{kind:?}, {value}, {flawed:?}");
        }
    }
}

/// 001b to 101b of type 1: nobody knows what to expect of application tags.
const TYPE1: [[bool; 3]; 5] = [
    [true, false, true],
    [false, false, true],
    [false, false, false],
    [true, false, false],
    [true, false, true],
];

/// The same of type 2, where the CDB says it.
const TYPE2: [[bool; 3]; 5] = [
    [true, true, true],
    [false, true, true],
    [false, false, false],
    [true, false, false],
    [true, true, true],
];

/// The same of type 3, whose reference tags are the initiator's.
const TYPE3: [[bool; 3]; 5] =
    [[true, false, false], [false; 3], [false; 3], [true, false, false], [true, false, false]];

#[test]
fn writes_check_what_was_sent_as_their_table_says() {
    let write = |rig: &mut Rig, value, tuple| {
        let data = [wholes(5, &[1]), whole(3, tuple)].concat();
        let reply = rig.run(ALICE, &with(write10(5, 2), value), &data);
        assert_eq!(rig.disk.log.is_empty(), reply.status != Status::GOOD, "nothing of it is written");
        reply
    };
    check_values(Kind::Type1, TYPE1, write);
    check_values(Kind::Type3, TYPE3, write);
}

#[test]
fn reads_check_what_stands_behind_blocks_as_their_table_says() {
    let read = |rig: &mut Rig, value, tuple| {
        set(rig, 5, 1, right(5, 1));
        set(rig, 6, 3, tuple);
        rig.run(ALICE, &with(read10(5, 2), value), &[])
    };
    check_values(Kind::Type1, TYPE1, read);
    check_values(Kind::Type3, TYPE3, read);
}

#[test]
fn verify_without_data_checks_as_a_read_does() {
    check_values(Kind::Type1, TYPE1, |rig, value, tuple| {
        set(rig, 5, 1, right(5, 1));
        set(rig, 6, 3, tuple);
        rig.run(ALICE, &with(verify10(0, 5, 2), value), &[])
    });
}

/// A CDB of 32 bytes that expects these tags.
fn expecting(action: u16, value: u8, lba: u64, blocks: u32, reference: u32, tag: (u16, u16)) -> [u8; 32] {
    let mut cdb = with(thirty_two(action, 0, lba, blocks), value);
    cdb[20..24].copy_from_slice(&reference.to_be_bytes());
    cdb[24..26].copy_from_slice(&tag.0.to_be_bytes());
    cdb[26..28].copy_from_slice(&tag.1.to_be_bytes());
    cdb
}

#[test]
fn type_2_expects_what_the_cdb_says() {
    check_values(Kind::Type2, TYPE2, |rig, value, tuple| {
        // The block is number 77; its reference tag has nothing to do with that.
        set(rig, 76, 1, right(5, 1));
        set(rig, 77, 3, tuple);
        let reply = rig.run(ALICE, &expecting(0x09, value, 76, 2, 5, (0, u16::MAX)), &[]);
        if reply.status != Status::GOOD {
            assert_eq!(reply.information(), Some(77));
            return Reply { sense: with_information(&reply.sense, 6), ..reply };
        }
        reply
    });
    check_values(Kind::Type2, TYPE2, |rig, value, tuple| {
        let data = [wholes(5, &[1]), whole(3, tuple)].concat();
        rig.run(ALICE, &expecting(0x0b, value, 5, 2, 5, (0, u16::MAX)), &data)
    });
}

fn with_information(sense: &[u8], information: u32) -> Vec<u8> {
    let mut sense = sense.to_vec();
    sense[3..7].copy_from_slice(&information.to_be_bytes());
    sense
}

#[test]
fn only_the_masked_bits_of_application_tags_count() {
    let mut rig = rig(Kind::Type2);
    set(&mut rig, 5, 1, Tuple { application: 0x1234, ..right(5, 1) });
    let mut read = |tag| rig.run(ALICE, &expecting(0x09, 1, 5, 1, 5, tag), &[]).code();
    assert_eq!(read((0x1200, 0xff00)), GOOD);
    assert_eq!(read((0x1200, 0xff01)), GOOD);
    assert_eq!(read((0x1200, 0xff04)), APPLICATION_FAILED);
}

#[test]
fn type_2_transfers_protection_information_with_long_cdbs_only() {
    let mut rig = rig(Kind::Type2);
    let unknown = (Status::CHECK_CONDITION, (5, 0x20, 0));
    assert_eq!(rig.ask(&with(read10(0, 1), 1), &[]), unknown);
    assert_eq!(rig.ask(&with(write10(0, 1), 1), &wholes(0, &[1])), unknown);
    assert_eq!(rig.ask(&with(verify16(0, 0, 1), 3), &[]), unknown);
    assert_eq!(rig.ask(&read10(0, 1), &[]), (Status::GOOD, GOOD));
}

#[test]
fn reserved_values_are_refused() {
    for kind in [Kind::Type1, Kind::Type3] {
        let mut rig = rig(kind);
        for value in [6, 7] {
            let reply = rig.run(ALICE, &with(read10(0, 1), value), &[]);
            assert_eq!((reply.code(), reply.pointer()), ((5, 0x24, 0), 1));
            let reply = rig.run(ALICE, &with(thirty_two(0x09, 0, 0, 1), value), &[]);
            assert_eq!((reply.code(), reply.pointer()), ((5, 0x24, 0), 10));
        }
    }
}

#[test]
fn other_reserved_bits_stay_refused() {
    let mut rig = rig(Kind::Type1);
    let mut cdb = with(read10(0, 1), 1);
    cdb[1] |= 1;
    let reply = rig.run(ALICE, &cdb, &[]);
    assert_eq!((reply.code(), reply.pointer()), ((5, 0x24, 0), 1));
}

#[test]
fn a_unit_without_it_refuses_the_field() {
    let mut rig = Rig::new();
    for cdb in [&with(read10(0, 1), 1)[..], &with(thirty_two(0x09, 0, 0, 1), 1)] {
        assert_eq!(rig.run(ALICE, cdb, &[]).code(), (5, 0x24, 0));
    }
}

#[test]
fn usage_data_have_the_field_where_it_counts() {
    let usage = |rig: &mut Rig, cdb: &[u8; 12], at: usize| rig.run(ALICE, cdb, &[]).data[4 + at] & 0xe0;
    let (short, long) =
        ([0xa3, 0x0c, 1, 0x28, 0, 0, 0, 0, 1, 0, 0, 0], [0xa3, 0x0c, 2, 0x7f, 0, 0x09, 0, 0, 1, 0, 0, 0]);
    for (kind, want) in [(Kind::Type1, 0xe0), (Kind::Type2, 0), (Kind::Type3, 0xe0)] {
        let mut rig = rig(kind);
        assert_eq!((usage(&mut rig, &short, 1), usage(&mut rig, &long, 10)), (want, 0xe0), "{kind:?}");
    }
    assert_eq!(usage(&mut Rig::new(), &long, 10), 0);
}

#[test]
fn tags_of_all_ones_switch_checking_off() {
    let escape = Tuple { guard: 0, application: u16::MAX, reference: u32::MAX };
    for kind in [Kind::Type1, Kind::Type3] {
        let mut rig = rig(kind);
        assert_eq!(rig.run(ALICE, &with(write10(9, 1), 1), &whole(1, escape)).code(), GOOD);
        assert_eq!(rig.run(ALICE, &with(read10(9, 1), 1), &[]).data, whole(1, escape));
    }
    let other = Tuple { reference: 9, ..escape };
    assert_eq!(rig(Kind::Type3).run(ALICE, &with(write10(9, 1), 1), &whole(1, other)).code(), GUARD_FAILED);
}

#[test]
fn with_dpicz_nothing_is_checked_that_is_not_transferred() {
    let mut rig = rig(Kind::Type1);
    set(&mut rig, 5, 1, Tuple { guard: 0, ..right(5, 1) });
    let mut page = rig.run(ALICE, &[0x1a, 0x08, 0x0a, 0, 255, 0], &[]).data;
    page[0] = 0;
    page[2] = 0;
    page[4] &= 0x7f; // PS
    page[4 + 2] |= 0x08;
    let length = u8::try_from(page.len()).expect("short");
    assert_eq!(rig.run(ALICE, &[0x15, 0x10, 0, 0, length, 0], &page).code(), GOOD);
    assert_eq!(rig.run(ALICE, &read10(5, 1), &[]).data, [1; BLOCK]);
    assert_eq!(rig.run(ALICE, &verify10(1, 5, 1), &[1; BLOCK]).code(), GOOD);
    assert_eq!(rig.run(ALICE, &orwrite16(5, 1), &[2; BLOCK]).code(), GOOD);
    assert_eq!(rig.disk.tuples[5], right(5, 3));
    set(&mut rig, 5, 1, Tuple { guard: 0, ..right(5, 1) });
    assert_eq!(rig.run(ALICE, &with(read10(5, 1), 1), &[]).code(), GUARD_FAILED);
}

#[test]
fn fewer_whole_blocks_than_named_are_written() {
    let mut rig = rig(Kind::Type1);
    let reply = rig.run(ALICE, &with(write10(5, 4), 1), &wholes(5, &[1, 2]));
    assert_eq!((reply.status, reply.transfer_bytes), (Status::GOOD, 4 * 520));
    assert_eq!((rig.blocks(5, 2).last(), rig.disk.tuples[7]), (Some(&2), Tuple::FRESH));
    // Blocks without what belongs behind them are not whole.
    assert_eq!(rig.run(ALICE, &with(write10(5, 2), 1), &[1; 2 * BLOCK]).code(), (5, 0x0e, 3));
}

#[test]
fn verify_compares_what_stands_behind_blocks() {
    let compare = |value, stored: Tuple, sent: Tuple| {
        let mut rig = rig(Kind::Type1);
        set(&mut rig, 5, 3, stored);
        rig.run(ALICE, &with(verify10(1, 5, 1), value), &whole(3, sent))
    };
    let right = right(5, 3);
    let (guard, reference) = (Tuple { guard: 1, ..right }, Tuple { reference: 6, ..right });
    // Guard and reference tag, for 001b to 101b: what is stored is not what was sent.
    for (value, guards, references) in
        [(1, true, true), (2, false, true), (3, true, true), (4, true, true), (5, true, false)]
    {
        for (stored, compared, code) in
            [(guard, guards, (0xe, 0x10, 1)), (reference, references, (0xe, 0x10, 3))]
        {
            let reply = compare(value, stored, right);
            assert_eq!(reply.code(), if compared { code } else { GOOD }, "{value}");
        }
    }
    assert_eq!(compare(1, guard, right).information(), Some(5));
    assert_eq!(compare(3, right, right).code(), GOOD);
    assert_eq!(compare(1, right, guard).code(), GUARD_FAILED);
    let mut rig = rig(Kind::Type1);
    set(&mut rig, 5, 3, right);
    assert_eq!(rig.run(ALICE, &with(verify10(1, 5, 1), 3), &whole(4, right)).code(), MISCOMPARE);
}

#[test]
fn one_block_is_compared_with_all_and_its_reference_tag_counts_up() {
    let mut rig = rig(Kind::Type1);
    for lba in 5..8 {
        set(&mut rig, lba, 3, right(u32::try_from(lba).expect("small"), 3));
    }
    assert_eq!(rig.run(ALICE, &with(verify10(3, 5, 3), 1), &wholes(5, &[3])).code(), GOOD);
    set(&mut rig, 7, 3, right(5, 3));
    assert_eq!(rig.run(ALICE, &with(verify10(3, 5, 3), 1), &wholes(5, &[3])).code(), (0xe, 0x10, 3));
}

#[test]
fn write_and_verify_reads_what_is_on_the_medium() {
    let mut rig = rig(Kind::Type1);
    let reply = rig.run(ALICE, &with(write_and_verify10(5, 2), 1), &wholes(5, &[1, 2]));
    assert_eq!((reply.status, reply.transfer_bytes), (Status::GOOD, 2 * 520));
    assert_eq!(rig.disk.log, ["write 5+2 protected durable", "read 5+2 protected"]);
    assert_eq!(rig.disk.tuples[6], right(6, 2));
}

#[test]
fn compare_and_write_writes_what_was_sent_behind_the_second_half() {
    let mut rig = rig(Kind::Type1);
    set(&mut rig, 5, 1, right(5, 1));
    let data = [wholes(5, &[1]), wholes(5, &[2])].concat();
    assert_eq!(rig.run(ALICE, &with(compare_and_write(5, 1), 1), &data).code(), GOOD);
    assert_eq!((rig.blocks(5, 1), rig.disk.tuples[5]), (&[2; BLOCK][..], right(5, 2)));
    let reply = rig.run(ALICE, &with(compare_and_write(5, 1), 1), &data);
    assert_eq!((reply.code(), reply.information()), (MISCOMPARE, Some(0)));
    rig.disk.tuples[5].guard ^= 1;
    assert_eq!(rig.run(ALICE, &with(compare_and_write(5, 1), 1), &data).code(), GUARD_FAILED);
}

#[test]
fn orwrite_makes_the_guard_anew_and_takes_the_tags() {
    let mut rig = rig(Kind::Type1);
    set(&mut rig, 5, 1, right(5, 1));
    let sent = whole(2, Tuple { application: 7, ..right(5, 2) });
    assert_eq!(rig.run(ALICE, &with(orwrite16(5, 1), 1), &sent).code(), GOOD);
    assert_eq!(rig.disk.tuples[5], Tuple { application: 7, ..right(5, 3) });
}

#[test]
fn write_same_counts_reference_tags_up() {
    let mut rig = rig(Kind::Type1);
    assert_eq!(rig.run(ALICE, &with(write_same10(0, 5, 300), 1), &wholes(5, &[9])).code(), GOOD);
    assert_eq!(rig.disk.log, ["write 5+126 protected", "write 131+126 protected", "write 257+48 protected"]);
    assert_eq!((rig.disk.tuples[5], rig.disk.tuples[304]), (right(5, 9), right(304, 9)));
    let mut rig = self::rig(Kind::Type3);
    assert_eq!(rig.run(ALICE, &with(write_same10(0, 5, 3), 1), &wholes(5, &[9])).code(), GOOD);
    assert_eq!(rig.disk.tuples[7], right(5, 9));
}

#[test]
fn what_reads_as_deallocated_may_be_deallocated() {
    let mut rig = rig(Kind::Type1);
    assert_eq!(rig.run(ALICE, &with(write_same10(0x08, 5, 3), 1), &whole(0, Tuple::FRESH)).code(), GOOD);
    assert_eq!(rig.run(ALICE, &with(write_same10(0x08, 5, 3), 1), &wholes(5, &[0])).code(), GOOD);
    assert_eq!(rig.disk.log, ["zero 5+3 unmap", "write 5+3 protected"]);
}

#[test]
fn the_longest_transfer_fits_in_a_buffer_with_protection_information() {
    let rig = rig(Kind::Type1);
    let pages = Rig::new();
    let longest = |mut rig: Rig| {
        let page = rig.run(ALICE, &[0x12, 1, 0xb0, 0, 64, 0], &[]).data;
        u32::from_be_bytes([page[8], page[9], page[10], page[11]])
    };
    assert_eq!((longest(rig), longest(pages)), (65536 / 520, 65536 / 512));
}

#[test]
fn every_buffer_comes_home() {
    let mut rig = rig(Kind::Type1);
    rig.disk.failure = Some(Failure::Medium(None));
    rig.run(ALICE, &with(orwrite16(5, 1), 1), &wholes(5, &[2]));
    rig.run(ALICE, &with(verify10(1, 5, 2), 1), &wholes(5, &[2, 3]));
    rig.run(ALICE, &with(write10(5, 1), 1), &wholes(6, &[2]));
    let used = rig.pool.budget().bytes();
    rig.pool.trim();
    assert!(used > 0);
    assert_eq!(rig.pool.budget().bytes(), 0);
}

/// FORMAT UNIT with a short list, and what the unit is then.
fn format(rig: &mut Rig, fmtpinfo: u8, usage: u8) -> (Code, u8) {
    let code = rig.run(ALICE, &[0x04, (fmtpinfo << 6) | 0x10, 0, 0, 0, 0], &[usage, 0, 0, 0]).code();
    (code, rig.run(ALICE, &read_capacity16(), &[]).data[12])
}

#[test]
fn a_unit_is_formatted_with_the_type_that_was_asked_for() {
    let mut rig = rig(Kind::Type1);
    rig.run(ALICE, &write10(5, 1), &[7; BLOCK]);
    assert_eq!(format(&mut rig, 0b11, 1), (GOOD, 0b101));
    assert_eq!((rig.disk.kind, rig.disk.tuples[5]), (Some(Kind::Type3), Tuple::FRESH));
    assert_eq!(rig.disk.log.iter().filter(|op| op.starts_with("protect")).count(), 1);
    assert_eq!(format(&mut rig, 0b11, 0), (GOOD, 0b011));
    assert_eq!(rig.run(ALICE, &[0x1a, 0x08, 0x0a, 0, 255, 0], &[]).data[4 + 5] & 0x80, 0x80, "ATO");
    assert_eq!(format(&mut rig, 0b10, 0), (GOOD, 0b001));
    assert_eq!(format(&mut rig, 0b00, 0), (GOOD, 0));
    assert_eq!(rig.run(ALICE, &with(read10(5, 1), 1), &[]).code(), (5, 0x24, 0));
}

#[test]
fn the_others_learn_of_another_type() {
    let mut rig = rig(Kind::Type1);
    format(&mut rig, 0b11, 1);
    let mut told = Vec::new();
    for _ in 0..3 {
        told.push(rig.run(BOB, &TEST_UNIT_READY, &[]).code());
    }
    assert!(told.contains(&(6, 0x2a, 0x09)), "{told:?}");
}

#[test]
fn types_that_there_are_not_are_refused() {
    let mut rig = rig(Kind::Type1);
    assert_eq!(format(&mut rig, 0b01, 0), ((5, 0x24, 0), 0b001));
    for (fmtpinfo, usage) in [(0b00, 1), (0b10, 1), (0b11, 2)] {
        assert_eq!(format(&mut rig, fmtpinfo, usage), ((5, 0x26, 0), 0b001));
    }
    assert_eq!(format(&mut Rig::new(), 0b10, 0), ((5, 0x24, 0), 0));
}
