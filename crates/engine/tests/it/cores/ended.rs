//! What has ended, or is given up, before its operation is home; and what guests know of a task of their home when it has gone.

use super::*;
use crate::cdb::{format_unit, sanitize_block_erase};
use core::time::Duration;

/// How long an operation of an ended task is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

impl Cores {
    /// An engine has waited long enough for what is under way at its stores and has ended.
    fn give_up(&mut self, at: usize) {
        self.engines[at].handle_timeout(NOW + PATIENCE, &mut self.pool);
        self.collect();
    }
}

#[test]
fn nobody_writes_where_a_write_that_was_ended_at_a_guest_is_not_home() {
    let mut cores = Cores::new();
    cores.write(CAROL, 7);
    cores.give_data(&[]);
    cores.lose(CAROL);
    cores.write(ALICE, 7);
    cores.give_data(&[]);
    assert_eq!(cores.under_way(), [0, 1], "the lost session's");
    assert!(cores.engines[HOME].holds(CAROL));
    cores.settle();
    cores.check_said(&["2 good"]);
    assert!(!cores.engines[HOME].holds(CAROL));
}

/// A write of Carol's, who is gone, hangs at the guest.
fn hanging_at_guest() -> Cores {
    let mut cores = Cores::of(&[ALICE, CAROL, DAVE]);
    cores.write(CAROL, 7);
    cores.give_data(&[]);
    cores.lose(CAROL);
    cores
}

#[test]
fn who_waited_for_a_write_that_hangs_at_a_guest_is_told() {
    let mut cores = hanging_at_guest();
    cores.write(ALICE, 7);
    cores.give_data(&[]);
    cores.give_up(GUEST);
    cores.carry();
    cores.check_said(&["2 sense [04, 01]"]);
    assert_eq!(cores.under_way(), [0, 1], "the lost session's alone");
}

#[test]
fn a_guest_does_not_write_where_a_write_hangs_at_another() {
    let mut cores = hanging_at_guest();
    cores.give_up(GUEST);
    while !cores.letters[GUEST].is_empty() {
        cores.carry_one(GUEST);
    }
    cores.collect();
    // Whatever it hears first.
    while cores.carry_one(HOME) != OTHER {}
    cores.write(DAVE, 7);
    cores.carry();
    cores.check_said(&["2 sense [04, 01]"]);
}

/// What Carol reads afterwards she reads on her own reactor.
fn check_nothing_is_left(cores: &mut Cores) {
    for _ in 0..2 {
        cores.send(CAROL, &TEST_UNIT_READY);
        cores.settle();
    }
    cores.send(CAROL, &read10(7, 1));
    assert_eq!(cores.under_way(), [0, 1]);
}

#[test]
fn what_makes_all_blocks_anew_leaves_nothing_behind() {
    for cdb in [&format_unit(0)[..], &sanitize_block_erase(0)] {
        let mut cores = Cores::new();
        cores.send(ALICE, cdb);
        cores.settle();
        check_nothing_is_left(&mut cores);
        cores.check_said(&["1 good", "2 sense [28, 00]", "3 good"]);
    }
}

#[test]
fn what_was_given_up_leaves_nothing_behind_once_it_is_home() {
    let mut cores = Cores::new();
    cores.send_as(TaskAttribute::Simple, ALICE, &compare_and_write(7, 1), 2 * BLOCK);
    cores.give_data(&[]);
    cores.carry();
    cores.manage(ALICE, Function::AbortTaskSet);
    cores.give_up(HOME);
    cores.carry();
    cores.check_said(&["1 abandoned", "managed"]);
    cores.settle();
    check_nothing_is_left(&mut cores);
}
