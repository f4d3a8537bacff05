//! Several logical units on several reactors: every session reaches every unit, whichever reactor either is on.

use crate::common::wire::{UNIT_ATTENTION, Wire, pattern, sense, settings};
use crate::common::{Felio, PATIENCE, cdb};
use felio_iscsi::pdu::{Sn, TaskManagementFunction, TaskManagementResponseCode, TaskTag};
use felio_iscsi::peer::{Data, PeerEvent};

const LUNS: u64 = 4;
const BLOCKS: u16 = 64;

fn start() -> Felio {
    Felio::start(&["ram:8M", "ram:8M", "ram:8M", "ram:8M", "--cores", "2"])
}

fn log_in(felio: &Felio, name: &str) -> Wire {
    Wire::log_in(felio.portal(), settings(&felio.target(), name))
}

/// A disk that all sessions share, wherever they are served.
fn start_one() -> Felio {
    Felio::start(&["ram:8M", "--cores", "2"])
}

/// COMPARE AND WRITE of one block.
fn compare_and_write(lba: u8) -> [u8; 16] {
    let mut cdb = [0; 16];
    (cdb[0], cdb[9], cdb[13]) = (0x89, lba, 1);
    cdb
}

#[test]
fn sessions_on_two_cores_count_together() {
    let felio = start_one();
    let (portal, target) = (felio.portal(), felio.target());
    let count = |name: u8| {
        let target = target.clone();
        std::thread::spawn(move || {
            let mut wire = Wire::log_in(portal, settings(&target, &format!("c{name}")));
            let mut moved = 0;
            while moved < 50 {
                let mine = pattern(moved, 8 * 512);
                wire.write(0, 100 + 8 * u32::from(name), mine.clone());
                let block = wire.read(0, 7, 1);
                let (value, _) = block.split_first_chunk().expect("a block");
                let mut next = block.clone();
                next[..8].copy_from_slice(&(u64::from_le_bytes(*value) + 1).to_le_bytes());
                let done = wire.execute(0, &compare_and_write(7), Data::Out([block, next].concat()));
                match done.status {
                    0 => moved += 1,
                    _ => assert_eq!(sense(&done), (0xe, 0x1d, 0), "somebody else was faster"),
                }
                assert!(wire.read(0, 100 + 8 * u32::from(name), 8) == mine);
            }
            wire.log_out();
        })
    };
    let counters: Vec<_> = (0..4).map(count).collect();
    counters.into_iter().for_each(|counter| counter.join().expect("every command succeeds"));
    let mut wire = log_in(&felio, "reader");
    assert_eq!(wire.read(0, 7, 1)[..8], 200u64.to_le_bytes());
    wire.log_out();
    felio.stop();
}

#[test]
fn what_one_session_changes_holds_for_one_on_another_core_at_once() {
    let felio = start_one();
    let (mut alice, mut bob) = (log_in(&felio, "alice"), log_in(&felio, "bob"));
    for round in 0..8 {
        alice.write(0, 0, pattern(round, 512));
        bob.write(0, 1, pattern(round, 512));
        // The control page with SWP turned over.
        let mut page = alice.good(0, &[0x1a, 8, 0x0a, 0, 16, 0], &Data::In(16));
        (page[0], page[2], page[4], page[8]) = (0, 0, page[4] & 0x3f, page[8] ^ 8);
        alice.good(0, &[0x15, 0x10, 0, 0, 16, 0], &Data::Out(page.clone()));
        let told = bob.execute(0, &cdb::read(0, 1), Data::In(512));
        assert_eq!(sense(&told), (UNIT_ATTENTION, 0x2a, 1));
        let refused = bob.execute(0, &cdb::write(1, 1), Data::Out(pattern(99, 512)));
        assert_eq!(sense(&refused), (7, 0x27, 2), "write protected");
        assert!(bob.read(0, 1, 1) == pattern(round, 512));
        page[8] ^= 8;
        alice.good(0, &[0x15, 0x10, 0, 0, 16, 0], &Data::Out(page));
        let told = bob.execute(0, &cdb::read(0, 1), Data::In(512));
        assert_eq!(sense(&told), (UNIT_ATTENTION, 0x2a, 1));
    }
    alice.log_out();
    bob.log_out();
    felio.stop();
}

/// Sends a task management function and waits for its answer.
fn manage(
    wire: &mut Wire,
    function: TaskManagementFunction,
    lun: u64,
    task: TaskTag,
) -> TaskManagementResponseCode {
    let itt = wire.peer.manage(function, cdb::lun(lun), task, Sn(wire.peer.cmd_sn.0.wrapping_sub(1)));
    loop {
        match wire.event(PATIENCE) {
            Some(PeerEvent::Managed(tag, code)) if tag == itt => return code,
            Some(_) => {}
            None => panic!("no answer to {function:?}"),
        }
    }
}

#[test]
fn every_session_sees_all_units() {
    let felio = start();
    for at in 0..3 {
        let mut wire = log_in(&felio, &format!("i{at}"));
        let report = wire.good(0, &cdb::REPORT_LUNS, &Data::In(1024));
        let luns: Vec<u8> = report[8..].chunks(8).map(|lun| lun[1]).collect();
        assert_eq!(luns, [0, 1, 2, 3]);
        for lun in 0..LUNS {
            wire.good(lun, &cdb::TEST_UNIT_READY, &Data::None);
        }
        let absent = wire.execute(LUNS, &cdb::TEST_UNIT_READY, Data::None);
        assert_eq!(sense(&absent), (5, 0x25, 0), "LOGICAL UNIT NOT SUPPORTED");
        wire.log_out();
    }
    felio.stop();
}

#[test]
fn what_one_session_writes_under_load_another_reads() {
    let felio = start();
    let (portal, target) = (felio.portal(), felio.target());
    let writer = |name: u64| {
        let target = target.clone();
        std::thread::spawn(move || {
            let mut wire = Wire::log_in(portal, settings(&target, &format!("w{name}")));
            for lun in 0..LUNS {
                wire.good(lun, &cdb::TEST_UNIT_READY, &Data::None);
            }
            for round in 0..24 {
                work(&mut wire, name, round);
            }
            wire.log_out();
        })
    };
    let writers: Vec<_> = (0..4).map(writer).collect();
    writers.into_iter().for_each(|writer| writer.join().expect("every command succeeds"));
    let mut wire = log_in(&felio, "reader");
    for (name, lun) in (0..4).flat_map(|name| (0..LUNS).map(move |lun| (name, lun))) {
        let want = pattern(number(name, lun, 23), usize::from(BLOCKS) * 512);
        assert!(wire.read(lun, place(name), BLOCKS) == want, "writer {name}, LUN {lun}");
    }
    wire.log_out();
    felio.stop();
}

/// Writes to all units at once, then reads all back at once.
fn work(wire: &mut Wire, name: u64, round: u64) {
    let bytes = |lun| pattern(number(name, lun, round), usize::from(BLOCKS) * 512);
    let writes: Vec<_> = (0..LUNS)
        .map(|lun| wire.peer.command(cdb::lun(lun), &cdb::write(place(name), BLOCKS), Data::Out(bytes(lun))))
        .collect();
    for itt in writes {
        assert_eq!(wire.completed(itt).status, 0);
    }
    let room = Data::In(u32::from(BLOCKS) * 512);
    let reads: Vec<_> = (0..LUNS)
        .map(|lun| (lun, wire.peer.command(cdb::lun(lun), &cdb::read(place(name), BLOCKS), room.clone())))
        .collect();
    for (lun, itt) in reads {
        assert!(wire.completed(itt).data == bytes(lun), "writer {name}, LUN {lun}, round {round}");
    }
}

fn place(name: u64) -> u32 {
    u32::try_from(name).expect("small") * 1024
}

fn number(name: u64, lun: u64, round: u64) -> u64 {
    1 + name * 10_000 + lun * 1000 + round
}

#[test]
fn task_management_reaches_the_unit_wherever_it_is() {
    let felio = start();
    let (mut alice, mut bob) = (log_in(&felio, "alice"), log_in(&felio, "bob"));
    for lun in 0..LUNS {
        alice.good(lun, &cdb::TEST_UNIT_READY, &Data::None);
        bob.good(lun, &cdb::TEST_UNIT_READY, &Data::None);
        let none = TaskTag::RESERVED;
        let abort = manage(&mut alice, TaskManagementFunction::ABORT_TASK, lun, TaskTag(77_777));
        assert!(abort != TaskManagementResponseCode::NOT_SUPPORTED, "{abort:?}");
        let code = manage(&mut alice, TaskManagementFunction::ABORT_TASK_SET, lun, none);
        assert_eq!(code, TaskManagementResponseCode::COMPLETE);
        let code = manage(&mut alice, TaskManagementFunction::LOGICAL_UNIT_RESET, lun, none);
        assert_eq!(code, TaskManagementResponseCode::COMPLETE);
        let told = bob.execute(lun, &cdb::TEST_UNIT_READY, Data::None);
        assert_eq!(
            (sense(&told).0, sense(&told).1),
            (UNIT_ATTENTION, 0x29),
            "the other initiator is told of the reset"
        );
        bob.good(lun, &cdb::TEST_UNIT_READY, &Data::None);
    }
    let absent = manage(&mut alice, TaskManagementFunction::LOGICAL_UNIT_RESET, LUNS, TaskTag::RESERVED);
    assert_eq!(absent, TaskManagementResponseCode::LUN_DOES_NOT_EXIST);
    alice.log_out();
    bob.log_out();
    felio.stop();
}

#[test]
fn a_target_reset_resets_every_unit_under_load() {
    let felio = start();
    let (mut alice, mut bob) = (log_in(&felio, "alice"), log_in(&felio, "bob"));
    for round in 0..8 {
        for lun in 0..LUNS {
            alice.good(lun, &cdb::TEST_UNIT_READY, &Data::None);
            bob.good(lun, &cdb::TEST_UNIT_READY, &Data::None);
        }
        let load: Vec<_> = (0..32)
            .map(|at| {
                bob.peer.command(cdb::lun(at % LUNS), &cdb::write(0, 128), Data::Out(pattern(at, 64 << 10)))
            })
            .collect();
        bob.send_only();
        let code = manage(&mut alice, TaskManagementFunction::TARGET_WARM_RESET, 0, TaskTag::RESERVED);
        assert_eq!(code, TaskManagementResponseCode::COMPLETE, "round {round}");
        // What the reset ended without a word (TAS is 0) is not waited for.
        load.into_iter().for_each(|itt| bob.peer.forget(itt));
        drop(bob);
        bob = log_in(&felio, "bob");
        for lun in 0..LUNS {
            bob.good(lun, &cdb::read(0, 8), &Data::In(4096));
            bob.write(lun, 4096, pattern(round, 4096));
            assert!(alice.read(lun, 4096, 8) == pattern(round, 4096));
        }
    }
    alice.log_out();
    bob.log_out();
    felio.stop();
}
