//! RESERVE and RELEASE of SPC-2, alone and beside persistent reservations.

use super::*;
use crate::cdb::*;
use crate::rig::BLOCK;
use felio_spec::status::TaskManagementFunction as Function;

const CONFLICT: Status = Status::RESERVATION_CONFLICT;

fn reserved() -> Rig {
    let mut rig = Rig::new();
    assert_eq!(rig.run(ALICE, &RESERVE6, &[]).status, Status::GOOD);
    rig
}

#[test]
fn the_unit_is_for_who_has_reserved_it() {
    for (reserve, release) in [(&RESERVE6[..], &RELEASE6[..]), (&RESERVE10[..], &RELEASE10[..])] {
        let mut rig = Rig::new();
        assert_eq!(rig.run(ALICE, reserve, &[]).status, Status::GOOD);
        assert_eq!(rig.run(ALICE, reserve, &[]).status, Status::GOOD);
        assert_eq!(rig.run(BOB, reserve, &[]).status, CONFLICT);
        assert_eq!(rig.run(ALICE, &write10(0, 1), &[1; BLOCK]).status, Status::GOOD);
        for cdb in [&TEST_UNIT_READY[..], &read10(0, 1), &synchronize_cache10(0)] {
            assert_eq!(rig.run(BOB, cdb, &[]).status, CONFLICT);
        }
        assert_eq!(rig.run(BOB, &INQUIRY, &[]).status, Status::GOOD);
        assert_eq!(rig.run(BOB, release, &[]).status, Status::GOOD);
        assert_eq!(rig.run(BOB, &read10(0, 1), &[]).status, CONFLICT);
        assert_eq!(rig.run(ALICE, release, &[]).status, Status::GOOD);
        assert_eq!(rig.run(BOB, &read10(0, 1), &[]).status, Status::GOOD);
    }
}

#[test]
fn it_ends_with_the_nexus_and_with_resets() {
    let mut rig = reserved();
    rig.lose(ALICE);
    assert_eq!(rig.run(BOB, &read10(0, 1), &[]).status, Status::GOOD);
    for function in [Function::LogicalUnitReset, Function::TargetWarmReset] {
        let mut rig = reserved();
        rig.manage(BOB, function, None);
        rig.run(BOB, &REQUEST_SENSE, &[]);
        assert_eq!(rig.run(BOB, &read10(0, 1), &[]).status, Status::GOOD);
    }
    let mut rig = reserved();
    rig.manage(BOB, Function::ITNexusReset, None);
    rig.run(BOB, &REQUEST_SENSE, &[]);
    assert_eq!(rig.run(BOB, &read10(0, 1), &[]).status, CONFLICT);
    rig.manage(ALICE, Function::ITNexusReset, None);
    assert_eq!(rig.run(BOB, &read10(0, 1), &[]).status, Status::GOOD);
}

#[test]
fn persistent_reservations_have_to_wait_for_its_end() {
    let mut rig = reserved();
    for nexus in [ALICE, BOB] {
        assert_eq!(rig.out(nexus, Out::Register, 0, &list(0, 1, 0)).status, CONFLICT);
        assert_eq!(rig.run(nexus, &in_cdb(0, 8), &[]).status, CONFLICT);
    }
    rig.run(ALICE, &RELEASE6, &[]);
    assert_eq!(rig.out(BOB, Out::Register, 0, &list(0, 1, 0)).status, Status::GOOD);
}

#[test]
fn it_conflicts_with_registrations() {
    let mut rig = Rig::new();
    rig.register(ALICE, 1);
    for nexus in [ALICE, BOB] {
        assert_eq!(rig.run(nexus, &RESERVE6, &[]).status, CONFLICT);
        assert_eq!(rig.run(nexus, &RELEASE6, &[]).status, CONFLICT);
    }
}

#[test]
fn who_has_access_anyway_is_told_good() {
    for kind in TYPES {
        let mut rig = Rig::with_carol();
        rig.register(ALICE, 1);
        rig.register(BOB, 2);
        rig.reserve(ALICE, 1, kind);
        let registered = if kind >= WE_RO { Status::GOOD } else { CONFLICT };
        for cdb in [RESERVE6, RELEASE6] {
            let statuses = [ALICE, BOB, CAROL].map(|nexus| rig.run(nexus, &cdb, &[]).status);
            assert_eq!(statuses, [Status::GOOD, registered, CONFLICT], "{kind}");
        }
        assert!(rig.reservation().is_some());
    }
}

#[test]
fn nobody_reserves_for_another() {
    let mut rig = Rig::new();
    for cdb in [[0x16, 0x10, 0, 0, 0, 0], [0x16, 1, 0, 0, 0, 0], [0x17, 0x12, 0, 0, 0, 0]] {
        assert_eq!(rig.run(ALICE, &cdb, &[]).code(), INVALID_CDB);
    }
    assert_eq!(rig.run(ALICE, &[0x56, 2, 0, 0, 0, 0, 0, 0, 8, 0], &[]).code(), INVALID_CDB);
}
