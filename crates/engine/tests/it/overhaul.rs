//! FORMAT UNIT and SANITIZE: all blocks are made anew.

use crate::cdb::*;
use crate::rig::{ALICE, BLOCK, BOB, Code, Rig, target};
use core::time::Duration;
use felio_hal::state::Saved;
use felio_hal::store::Failure;
use felio_spec::Status;
use felio_spec::status::TaskManagementFunction as Function;

const GOOD: Code = (0, 0, 0);
const SANITIZING: Code = (2, 0x04, 0x1b);
const FORMATTING: Code = (2, 0x04, 0x04);
const SANITIZE_FAILED: Code = (3, 0x31, 0x03);
const FORMAT_FAILED: Code = (3, 0x31, 0x01);
const FORMAT_CORRUPT: Code = (3, 0x31, 0x00);
const MEDIUM_MAY_HAVE_CHANGED: Code = (6, 0x28, 0);
const INVALID_FIELD: Code = (5, 0x24, 0);
const INVALID_PARAMETER: Code = (5, 0x26, 0);
const LIST_LENGTH: Code = (5, 0x1a, 0);

const FMTDATA: u8 = 0x10;
const LONGLIST: u8 = 0x20;

fn list(flags: u8, pattern: &[u8]) -> Vec<u8> {
    let length = u16::try_from(pattern.len()).expect("short").to_be_bytes();
    [&[flags, 0, length[0], length[1]], pattern].concat()
}

fn overwrite(rig: &mut Rig, flags: u8, list: &[u8]) -> Code {
    let bytes = u16::try_from(list.len()).expect("short");
    rig.run(ALICE, &sanitize_overwrite(flags, bytes), list).code()
}

fn ready(rig: &mut Rig) -> Code {
    rig.run(ALICE, &TEST_UNIT_READY, &[]).code()
}

/// Sense data as REQUEST SENSE tells them, and the progress in them.
fn sense(rig: &mut Rig) -> (Code, u16) {
    let data = rig.run(BOB, &REQUEST_SENSE, &[]).data;
    let progress = if data[15] == 0x80 { u16::from_be_bytes([data[16], data[17]]) } else { 0 };
    ((data[2], data[12], data[13]), progress)
}

/// Another process takes the unit over.
fn restarted(rig: &Rig) -> Rig {
    let mut target = target();
    let saved = rig.disk.saved.iter().map(|(part, bytes)| ((*part).to_owned(), bytes.clone()));
    target.unit_mut(0).saved = Saved(saved.collect());
    let mut next = Rig::silent(target, 64, 64 << 20);
    next.login(ALICE);
    next
}

/// What another process says when it has told of its beginning.
fn welcome(rig: &Rig) -> Code {
    let mut next = restarted(rig);
    next.run(ALICE, &REQUEST_SENSE, &[]);
    ready(&mut next)
}

#[test]
fn an_overwrite_writes_the_pattern_into_every_block() {
    let mut rig = Rig::new();
    assert_eq!(overwrite(&mut rig, 0, &list(1, &[1, 2, 3])), GOOD);
    let block: Vec<u8> = [1, 2, 3].into_iter().cycle().take(BLOCK).collect();
    assert!(rig.disk.bytes.chunks(BLOCK).all(|found| found == block));
    let ops =
        [rig.disk.log[0].as_str(), &rig.disk.log[1], &rig.disk.log[32], &rig.disk.log[33], &rig.disk.log[34]];
    assert_eq!(ops, ["save medium", "write 0+128", "write 3968+128", "flush", "save medium"]);
    assert_eq!(rig.disk.log.len(), 35);
}

#[test]
fn inverted_passes_end_with_the_pattern_as_it_is() {
    for (passes, first) in [(1, 0x0f), (2, 0xf0), (3, 0x0f)] {
        let mut rig = Rig::new();
        rig.hold = true;
        rig.send(ALICE, &sanitize_overwrite(0, 5), &list(0x80 | passes, &[0x0f]));
        rig.release();
        rig.release();
        assert_eq!(rig.disk.bytes[0], first);
        rig.release_all();
        assert_eq!(rig.disk.bytes[0], 0x0f);
        assert_eq!(rig.disk.log.iter().filter(|op| *op == "flush").count(), usize::from(passes));
    }
}

#[test]
fn an_erase_deallocates_every_block() {
    let mut rig = Rig::new();
    rig.run(ALICE, &write10(7, 1), &[1; BLOCK]);
    rig.disk.log.clear();
    assert_eq!(rig.run(ALICE, &sanitize_block_erase(0), &[]).code(), GOOD);
    assert_eq!(rig.disk.log, ["save medium", "zero 0+4096 unmap", "flush", "save medium"]);
    assert_eq!(rig.blocks(7, 1), [0; BLOCK]);
}

#[test]
fn the_others_learn_that_what_they_knew_is_gone() {
    let mut rig = Rig::new();
    rig.run(ALICE, &sanitize_block_erase(0), &[]);
    assert_eq!(ready(&mut rig), GOOD);
    assert_eq!(rig.run(BOB, &TEST_UNIT_READY, &[]).code(), MEDIUM_MAY_HAVE_CHANGED);
}

#[test]
fn meanwhile_nothing_is_answered_but_who_and_how_we_are() {
    let mut rig = Rig::new();
    rig.hold = true;
    let tag = rig.send(ALICE, &sanitize_overwrite(0, 5), &list(1, &[1]));
    for cdb in [&TEST_UNIT_READY[..], &read10(0, 1), &START, &sanitize_block_erase(0), &format_unit(0)] {
        assert_eq!(rig.run(BOB, cdb, &[]).code(), SANITIZING, "{cdb:x?}");
    }
    assert_eq!(rig.run(BOB, &INQUIRY, &[]).code(), GOOD);
    assert_eq!(rig.run(BOB, &[0xa3, 0x0c, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0], &[]).code(), GOOD);
    assert_eq!(sense(&mut rig), (SANITIZING, 0));
    assert_eq!(rig.reply(tag), None);
    for _ in 0..17 {
        rig.release();
    }
    assert_eq!(sense(&mut rig), (SANITIZING, 0x8000));
    rig.release_all();
    rig.hold = false;
    assert_eq!(rig.reply(tag).expect("an answer").code(), GOOD);
    assert_eq!(ready(&mut rig), GOOD);
}

#[test]
fn with_immed_the_answer_comes_first() {
    let mut rig = Rig::new();
    rig.hold = true;
    assert_eq!(rig.run(ALICE, &sanitize_block_erase(IMMED), &[]).code(), GOOD);
    assert_eq!(ready(&mut rig), SANITIZING);
    rig.release_all();
    rig.hold = false;
    assert_eq!(ready(&mut rig), GOOD);
}

#[test]
fn a_sanitize_waits_for_older_commands() {
    let mut rig = Rig::new();
    rig.hold = true;
    rig.send(BOB, &write10(0, 1), &[1; BLOCK]);
    rig.send(ALICE, &sanitize_block_erase(0), &[]);
    assert_eq!(rig.held_names(), ["write 0+1"]);
    rig.release_all();
    assert_eq!(rig.blocks(0, 1), [0; BLOCK]);
}

#[test]
fn nothing_ends_a_sanitize_but_its_end() {
    let mut rig = Rig::new();
    rig.hold = true;
    let tag = rig.send(ALICE, &sanitize_overwrite(0, 5), &list(1, &[1]));
    rig.manage(ALICE, Function::AbortTask, Some(tag));
    assert!(rig.is_abandoned(tag));
    rig.manage(BOB, Function::LogicalUnitReset, None);
    rig.manage(BOB, Function::TargetColdReset, None);
    rig.lose(ALICE);
    while sense(&mut rig).0.0 == 6 {}
    assert_eq!(rig.run(BOB, &TEST_UNIT_READY, &[]).code(), SANITIZING);
    rig.release_all();
    assert!(rig.disk.bytes.iter().all(|byte| *byte == 1));
}

#[test]
fn a_failed_sanitize_is_left_as_it_was_agreed() {
    for (ause, then, aused) in [(0, INVALID_FIELD, INVALID_FIELD), (AUSE, GOOD, GOOD)] {
        let mut rig = Rig::new();
        rig.hold = true;
        let tag = rig.send(ALICE, &sanitize_block_erase(ause), &[]);
        rig.release();
        rig.disk.failure = Some(Failure::Medium(None));
        rig.release_all();
        rig.hold = false;
        assert_eq!(rig.reply(tag).expect("an answer").code(), SANITIZE_FAILED);
        for cdb in [&TEST_UNIT_READY[..], &read10(0, 1), &format_unit(0)] {
            assert_eq!(rig.run(BOB, cdb, &[]).code(), SANITIZE_FAILED, "{cdb:x?}");
        }
        assert_eq!(sense(&mut rig).0, SANITIZE_FAILED);
        assert_eq!(rig.run(ALICE, &exit_failure_mode(), &[]).code(), then);
        assert_eq!(rig.run(ALICE, &sanitize_block_erase(AUSE), &[]).code(), aused);
        assert_eq!(rig.run(ALICE, &sanitize_block_erase(0), &[]).code(), GOOD);
        assert_eq!(ready(&mut rig), GOOD);
    }
}

#[test]
fn where_nothing_has_failed_there_is_nothing_to_leave() {
    let mut rig = Rig::new();
    assert_eq!(rig.run(ALICE, &exit_failure_mode(), &[]).code(), GOOD);
    assert!(rig.disk.log.is_empty());
}

#[test]
fn a_sanitize_that_is_not_on_record_touches_no_block() {
    let mut rig = Rig::new();
    rig.disk.failure = Some(Failure::NoSpace);
    assert_eq!(rig.run(ALICE, &sanitize_block_erase(AUSE), &[]).code(), SANITIZE_FAILED);
    assert_eq!(rig.disk.log, ["save medium", "save medium"]);
}

#[test]
fn another_process_goes_on_with_it() {
    let mut rig = Rig::new();
    rig.hold = true;
    rig.send(ALICE, &sanitize_overwrite(IMMED, 5), &list(1, &[1]));
    rig.release();
    let mut next = restarted(&rig);
    assert_eq!(next.engine.poll_timeout(), Some(felio_hal::Time(0)));
    next.hold = true;
    next.run(ALICE, &REQUEST_SENSE, &[]);
    assert_eq!(ready(&mut next), SANITIZING);
    next.hold = false;
    next.pass(Duration::ZERO);
    next.release_all();
    assert!(next.disk.bytes.iter().all(|byte| *byte == 1));
    next.run(ALICE, &REQUEST_SENSE, &[]);
    assert_eq!(ready(&mut next), GOOD);
    assert_eq!(welcome(&next), GOOD);
}

#[test]
fn another_process_knows_of_the_failure() {
    let mut rig = Rig::new();
    rig.disk.failure = Some(Failure::NoSpace);
    rig.run(ALICE, &sanitize_block_erase(0), &[]);
    let mut next = restarted(&rig);
    next.run(ALICE, &REQUEST_SENSE, &[]);
    assert_eq!(ready(&mut next), SANITIZE_FAILED);
    assert_eq!(next.run(ALICE, &exit_failure_mode(), &[]).code(), INVALID_FIELD);
    assert_eq!(next.run(ALICE, &sanitize_block_erase(0), &[]).code(), GOOD);
    assert_eq!(welcome(&next), GOOD);
}

#[test]
fn without_a_buffer_it_waits_for_one() {
    let mut rig = Rig::with(target(), 8, 68 << 10);
    let taken = rig.pool.take(64 << 10).expect("all but what the list needs");
    let tag = rig.send(ALICE, &sanitize_overwrite(0, 5), &list(1, &[1]));
    assert_eq!((rig.disk.log.as_slice(), rig.reply(tag)), (&["save medium".to_owned()][..], None));
    rig.pool.give(taken);
    rig.pass(Duration::from_millis(10));
    assert_eq!(rig.reply(tag).expect("an answer").code(), GOOD);
    assert_eq!(rig.engine.poll_timeout(), None);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let mut rig = Rig::new();
    assert_eq!(overwrite(&mut rig, 0, &list(1, &[])), INVALID_FIELD);
    assert_eq!(overwrite(&mut rig, 0, &list(1, &[0; BLOCK + 1])), INVALID_FIELD);
    assert_eq!(overwrite(&mut rig, 0, &list(0, &[1])), INVALID_PARAMETER);
    assert_eq!(overwrite(&mut rig, 0, &list(0x21, &[1])), INVALID_PARAMETER);
    assert_eq!(overwrite(&mut rig, 0, &[1, 0, 0, 0, 1]), INVALID_PARAMETER);
    assert_eq!(overwrite(&mut rig, 0, &[1, 0, 0, 2, 1]), INVALID_PARAMETER);
    assert_eq!(rig.run(ALICE, &sanitize_overwrite(0, 6), &list(1, &[1])).code(), LIST_LENGTH);
    assert_eq!(overwrite(&mut rig, 0x40, &list(1, &[1])), INVALID_FIELD);
    assert_eq!(rig.run(ALICE, &[0x48, 3, 0, 0, 0, 0, 0, 0, 0, 0], &[]).code(), INVALID_FIELD);
    assert_eq!(rig.run(ALICE, &[0x48, 2, 0, 0, 0, 0, 0, 0, 8, 0], &[0; 8]).code(), INVALID_FIELD);
    assert!(rig.disk.log.is_empty());
}

#[test]
fn what_is_write_protected_is_not_made_anew() {
    let mut target = target();
    target.unit_mut(0).read_only = true;
    let mut rig = Rig::with(target, 8, 64 << 20);
    assert_eq!(rig.run(ALICE, &sanitize_block_erase(0), &[]).code(), (7, 0x27, 0));
    assert_eq!(rig.run(ALICE, &format_unit(0), &[]).code(), (7, 0x27, 0));
}

#[test]
fn a_format_deallocates_every_block() {
    let mut rig = Rig::new();
    rig.run(ALICE, &write10(7, 1), &[1; BLOCK]);
    rig.disk.log.clear();
    assert_eq!(rig.run(ALICE, &format_unit(0), &[]).code(), GOOD);
    assert_eq!(rig.disk.log, ["save medium", "zero 0+4096 unmap", "flush", "save medium"]);
    assert_eq!(rig.run(BOB, &TEST_UNIT_READY, &[]).code(), MEDIUM_MAY_HAVE_CHANGED);
}

#[test]
fn a_format_tells_how_far_it_is() {
    let mut rig = Rig::new();
    rig.hold = true;
    let pattern = [&[0, 0x8a, 0, 0][..], &[0, 1, 0, 2], &[5, 6]].concat();
    assert_eq!(rig.run(ALICE, &format_unit(FMTDATA), &pattern).code(), GOOD);
    for _ in 0..9 {
        rig.release();
    }
    assert_eq!(sense(&mut rig), (FORMATTING, 0x4000));
    assert_eq!(rig.run(BOB, &read10(0, 1), &[]).code(), FORMATTING);
    rig.release_all();
    assert_eq!(rig.blocks(4095, 1)[..3], [5, 6, 5]);
}

#[test]
fn a_fast_format_leaves_the_blocks_alone() {
    let mut rig = Rig::new();
    rig.disk.bytes[0] = 9;
    assert_eq!(rig.run(ALICE, &[4, 0, 0, 0, 1, 0], &[]).code(), GOOD);
    assert_eq!((rig.disk.bytes[0], rig.run(ALICE, &[4, 0, 0, 0, 3, 0], &[]).code()), (9, INVALID_FIELD));
}

#[test]
fn an_aborted_format_leaves_the_medium_corrupt_until_the_next() {
    let mut rig = Rig::new();
    rig.hold = true;
    let tag = rig.send(ALICE, &format_unit(0), &[]);
    rig.release();
    rig.manage(ALICE, Function::AbortTask, Some(tag));
    rig.release_all();
    rig.hold = false;
    assert_eq!(rig.disk.log, ["save medium", "zero 0+4096 unmap", "save medium"]);
    assert_eq!(ready(&mut rig), FORMAT_CORRUPT);
    assert_eq!(rig.run(ALICE, &[0x1a, 8, 0x08, 0, 255, 0], &[]).code(), GOOD);
    let mut next = restarted(&rig);
    next.run(ALICE, &REQUEST_SENSE, &[]);
    assert_eq!(ready(&mut next), FORMAT_CORRUPT);
    assert_eq!(next.run(ALICE, &format_unit(0), &[]).code(), GOOD);
    assert_eq!(ready(&mut next), GOOD);
}

#[test]
fn a_failed_format_says_so() {
    let mut rig = Rig::new();
    rig.hold = true;
    let tag = rig.send(ALICE, &format_unit(0), &[]);
    rig.release();
    rig.disk.failure = Some(Failure::Medium(None));
    rig.release_all();
    rig.hold = false;
    assert_eq!(rig.reply(tag).expect("an answer").code(), FORMAT_FAILED);
    assert_eq!(ready(&mut rig), FORMAT_CORRUPT);
}

#[test]
fn lists_that_ask_for_what_we_do_not_do_are_refused() {
    let mut rig = Rig::new();
    let ask = |rig: &mut Rig, flags: u8, list: &[u8]| rig.run(ALICE, &format_unit(flags), list).code();
    assert_eq!(ask(&mut rig, FMTDATA, &[0, 0, 0]), LIST_LENGTH);
    assert_eq!(ask(&mut rig, FMTDATA | LONGLIST, &[0; 7]), LIST_LENGTH);
    assert_eq!(ask(&mut rig, FMTDATA, &[0, 0x40, 0, 0]), INVALID_PARAMETER); // DPRY without FOV
    assert_eq!(ask(&mut rig, FMTDATA, &[0, 0x84, 0, 0]), INVALID_PARAMETER); // DSP
    assert_eq!(ask(&mut rig, FMTDATA, &[0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0]), INVALID_PARAMETER);
    assert_eq!(ask(&mut rig, FMTDATA, &[1, 0, 0, 0]), INVALID_PARAMETER);
    assert_eq!(ask(&mut rig, FMTDATA | LONGLIST, &[0, 0, 0, 1, 0, 0, 0, 0]), INVALID_PARAMETER);
    assert_eq!(ask(&mut rig, FMTDATA | 0x40, &[0; 4]), INVALID_FIELD);
    assert_eq!(ask(&mut rig, FMTDATA, &[0, 0x88, 0, 0, 0, 1, 0, 0]), INVALID_PARAMETER); // no pattern
    assert_eq!(ask(&mut rig, FMTDATA, &[0, 0x88, 0, 0, 0, 2, 0, 0]), INVALID_PARAMETER); // which type
    assert_eq!(ask(&mut rig, FMTDATA, &[0, 0x88, 0, 0, 0, 1, 0, 2, 7]), LIST_LENGTH);
    assert!(rig.disk.log.is_empty());
    assert_eq!(ask(&mut rig, FMTDATA | LONGLIST, &[0, 0xf0, 0, 0, 0, 0, 0, 0]), GOOD);
}

#[test]
fn other_commands_than_these_two_wait_for_nobody() {
    let mut rig = Rig::new();
    assert_eq!(rig.run(ALICE, &format_unit(0), &[]).status, Status::GOOD);
    assert!(rig.engine.is_idle());
}
