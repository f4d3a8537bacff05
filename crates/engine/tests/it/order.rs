//! Which commands run side by side.

use crate::cdb::*;
use crate::rig::{ALICE, BLOCK, BOB, Rig};
use felio_spec::TaskAttribute::{HeadOfQueue, Ordered, Simple};

fn rig() -> Rig {
    let mut rig = Rig::new();
    rig.hold = true;
    rig
}

#[test]
fn simple_reads_and_writes_run_side_by_side() {
    let mut rig = rig();
    rig.send(ALICE, &read10(0, 1), &[]);
    rig.send(ALICE, &write10(0, 1), &[0; BLOCK]);
    rig.send(BOB, &write10(0, 1), &[0; BLOCK]);
    assert_eq!(rig.held_names(), ["read 0+1", "write 0+1", "write 0+1"]);
}

#[test]
fn ordered_waits_for_the_older_and_holds_up_the_newer() {
    let mut rig = rig();
    rig.send_as(Simple, ALICE, &read10(0, 1), &[]);
    rig.send_as(Ordered, ALICE, &read10(1, 1), &[]);
    rig.send_as(Simple, ALICE, &read10(2, 1), &[]);
    rig.send_as(Simple, BOB, &read10(3, 1), &[]);
    assert_eq!(rig.held_names(), ["read 0+1"]);
    rig.release();
    assert_eq!(rig.held_names(), ["read 1+1"]);
    rig.release();
    assert_eq!(rig.held_names(), ["read 2+1", "read 3+1"]);
}

#[test]
fn head_of_queue_overtakes_what_has_not_begun() {
    let mut rig = rig();
    rig.send_as(Ordered, ALICE, &read10(0, 1), &[]);
    rig.send_as(Ordered, ALICE, &read10(1, 1), &[]);
    rig.send_as(HeadOfQueue, ALICE, &read10(2, 1), &[]);
    assert_eq!(rig.held_names(), ["read 0+1", "read 2+1"]);
    rig.release();
    assert_eq!(rig.held_names(), ["read 2+1"]);
    rig.release();
    assert_eq!(rig.held_names(), ["read 1+1"]);
}

#[test]
fn compare_and_write_excludes_what_overlaps() {
    let mut rig = rig();
    rig.send(ALICE, &compare_and_write(4, 2), &[0; 4 * BLOCK]);
    rig.send(BOB, &compare_and_write(5, 1), &[0; 2 * BLOCK]);
    rig.send(BOB, &read10(5, 1), &[]);
    rig.send(BOB, &write10(0, 4), &[0; 4 * BLOCK]);
    assert_eq!(rig.held_names(), ["read 4+2", "write 0+4"]);
    rig.release();
    rig.release();
    assert_eq!(rig.held_names(), ["write 4+2"]);
    rig.release();
    assert_eq!(rig.held_names(), ["read 5+1"]);
}

#[test]
fn compare_and_write_waits_for_what_is_under_way_and_is_not_overtaken() {
    let mut rig = rig();
    rig.send(ALICE, &write10(0, 1), &[0; BLOCK]);
    rig.send(BOB, &compare_and_write(0, 1), &[0; 2 * BLOCK]);
    rig.send(ALICE, &write10(0, 1), &[0; BLOCK]);
    assert_eq!(rig.held_names(), ["write 0+1"]);
    rig.release();
    assert_eq!(rig.held_names(), ["read 0+1"]);
}

#[test]
fn contending_increments_are_never_lost() {
    let mut rig = rig();
    let counter = |rig: &Rig| u16::from_be_bytes([rig.disk.bytes[0], rig.disk.bytes[1]]);
    let step = |value: u16| {
        let mut data = vec![0; 2 * BLOCK];
        data[..2].copy_from_slice(&value.to_be_bytes());
        data[BLOCK..BLOCK + 2].copy_from_slice(&(value + 1).to_be_bytes());
        data
    };
    for _ in 0..100 {
        let before = counter(&rig);
        let one = rig.send(ALICE, &compare_and_write(0, 1), &step(before));
        let two = rig.send(BOB, &compare_and_write(0, 1), &step(before));
        rig.release_all();
        let won = [one, two].map(|tag| rig.reply(tag).expect("an answer").code() == (0, 0, 0));
        assert_eq!(won.iter().filter(|won| **won).count(), 1);
        assert_eq!(counter(&rig), before + 1);
        rig.said.clear();
    }
}

#[test]
fn a_command_without_its_data_excludes_nobody() {
    let mut rig = rig();
    rig.send_data = false;
    rig.send(ALICE, &compare_and_write(0, 1), &[0; 2 * BLOCK]);
    rig.send(BOB, &read10(0, 1), &[]);
    assert_eq!(rig.held_names(), ["read 0+1"]);
    rig.deliver();
    assert_eq!(rig.held_names(), ["read 0+1"]);
    rig.release();
    assert_eq!(rig.held_names(), ["read 0+1"]);
    assert_eq!(rig.said.len(), 1);
}

/// Simple tasks may not change what a nexus has written.
fn restricted() -> Rig {
    let mut rig = Rig::new();
    rig.set_control(|page| page[3] &= 0x0f);
    rig.hold = true;
    rig
}

#[test]
fn restricted_reordering_keeps_the_order_of_what_overlaps() {
    let mut rig = restricted();
    rig.send(ALICE, &write10(0, 4), &[1; 4 * BLOCK]);
    rig.send(ALICE, &write10(3, 1), &[2; BLOCK]);
    rig.send(ALICE, &read10(3, 1), &[]);
    rig.send(ALICE, &read10(4, 1), &[]);
    rig.send(ALICE, &read10(4, 1), &[]);
    rig.send(BOB, &write10(3, 1), &[3; BLOCK]);
    assert_eq!(rig.held_names(), ["write 0+4", "read 4+1", "read 4+1", "write 3+1"]);
    rig.release();
    assert_eq!(rig.held_names(), ["read 4+1", "read 4+1", "write 3+1", "write 3+1"]);
}

#[test]
fn restricted_reordering_waits_even_for_data_that_are_on_the_way() {
    let mut rig = restricted();
    rig.send_data = false;
    rig.send(ALICE, &write10(0, 1), &[1; BLOCK]);
    rig.send(ALICE, &read10(0, 1), &[]);
    rig.send(ALICE, &read10(1, 1), &[]);
    assert_eq!(rig.held_names(), ["read 1+1"]);
    rig.deliver();
    rig.release_all();
    assert_eq!(rig.disk.log, ["read 1+1", "write 0+1", "read 0+1"]);
}

#[test]
fn restricted_reordering_does_not_trust_a_list_that_it_has_not_seen() {
    let mut rig = restricted();
    rig.send_data = false;
    rig.send(ALICE, &unmap(24), &[0, 22, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 0]);
    rig.send(ALICE, &read10(9, 1), &[]);
    assert_eq!(rig.held_names(), [""; 0]);
    rig.deliver();
    rig.release();
    assert_eq!(rig.held_names(), ["read 9+1"]);
}

#[test]
fn inquiry_does_not_wait() {
    let mut rig = rig();
    rig.send_as(Ordered, ALICE, &read10(0, 1), &[]);
    rig.send_as(Ordered, ALICE, &read10(1, 1), &[]);
    assert_eq!(rig.run(BOB, &INQUIRY, &[]).data.len(), 96);
}

#[test]
fn mode_select_waits_until_nothing_is_under_way() {
    let mut rig = rig();
    rig.send(ALICE, &read10(0, 1), &[]);
    let stop = rig.send(BOB, &[0x1b, 0, 0, 0, 4, 0], &[]);
    assert_eq!(rig.reply(stop), None);
    rig.release();
    assert!(rig.reply(stop).is_some());
}

#[test]
fn who_waits_behind_two_waits_for_both() {
    let mut rig = rig();
    rig.send(ALICE, &compare_and_write(0, 1), &[0; 2 * BLOCK]);
    rig.send(ALICE, &compare_and_write(8, 1), &[0; 2 * BLOCK]);
    rig.send(BOB, &write10(0, 16), &[1; 16 * BLOCK]);
    rig.send(BOB, &read10(9, 1), &[]);
    assert_eq!(rig.held_names(), ["read 0+1", "read 8+1", "read 9+1"]);
    rig.release();
    assert_eq!(rig.held_names(), ["read 8+1", "read 9+1", "write 0+1"]);
    rig.release();
    rig.release();
    rig.release();
    assert_eq!(rig.held_names(), ["write 8+1"]);
    rig.release();
    assert_eq!(rig.held_names(), ["write 0+16"]);
}

#[test]
fn many_waiting_commands_go_on_one_after_the_other() {
    let mut rig = rig();
    for lba in 0..40 {
        rig.send_as(Ordered, ALICE, &read10(lba, 1), &[]);
    }
    for lba in 0..40 {
        assert_eq!(rig.held_names(), [format!("read {lba}+1")]);
        rig.release();
    }
    assert!(rig.engine.is_idle());
}
