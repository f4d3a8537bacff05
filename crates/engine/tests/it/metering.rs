//! What is counted of commands, of a batch as one by one.

use crate::cdb::{TEST_UNIT_READY, read10, write10};
use crate::rig::{ALICE, BLOCK, BOB, Rig, target};
use felio_hal::meter::{Meter, Meters, UnitMeter};
use felio_hal::store::Failure;
use felio_spec::cdb::Kind;
use felio_spec::sense::SenseKey;
use std::sync::Arc;

/// A rig that holds its operations, and the meters of its unit and of its port.
fn rig() -> (Rig, Arc<UnitMeter>, Arc<Meter>) {
    let (of_unit, of_port) = (Meters::<UnitMeter>::new(1), Meters::<Meter>::new(1));
    let mut target = target();
    Arc::make_mut(&mut target.units[0]).meters = of_unit.clone();
    target.ports[0].meters = of_port.clone();
    let mut rig = Rig::silent(target, 64, 64 << 20);
    rig.login(ALICE);
    rig.login(BOB);
    rig.hold = true;
    (rig, of_unit.of(0), of_port.of(0))
}

fn count(meter: &Meter, kind: Kind) -> u64 {
    meter.commands[kind.index()].get()
}

#[test]
fn commands_that_end_together_are_all_counted_with_what_each_moved() {
    let (mut rig, unit, port) = rig();
    for nexus in [ALICE, BOB] {
        rig.run(nexus, &TEST_UNIT_READY, &[]); // Tells of the power on.
        rig.send(nexus, &read10(0, 1), &[]);
        rig.send(nexus, &read10(0, 1), &[]);
        rig.send(nexus, &read10(0, 2), &[]);
        rig.send(nexus, &write10(8, 4), &[1; 4 * BLOCK]);
        rig.send(nexus, &read10(0, 1), &[]);
    }
    rig.release_together();
    for meter in [&unit.commands, &port] {
        assert_eq!((count(meter, Kind::Read), count(meter, Kind::Write)), (8, 2));
        assert_eq!((meter.bytes_in.get(), meter.bytes_out.get()), (10 * 512, 8 * 512));
        assert_eq!(meter.latency.counts().sum::<u64>(), 12);
        assert_eq!(meter.checks[usize::from(SenseKey::UNIT_ATTENTION.0)].get(), 2);
    }
    assert_eq!(unit.store.counts().sum::<u64>(), 10);
    assert_eq!(unit.store_failures.get(), 0);
}

#[test]
fn a_failure_among_those_that_end_together_is_counted_as_one() {
    let (mut rig, unit, port) = rig();
    rig.run(ALICE, &TEST_UNIT_READY, &[]);
    for _ in 0..3 {
        rig.send(ALICE, &read10(0, 1), &[]);
    }
    rig.disk.failure = Some(Failure::Medium(None));
    rig.release_together();
    for meter in [&unit.commands, &port] {
        assert_eq!(count(meter, Kind::Read), 3);
        assert_eq!(meter.checks[usize::from(SenseKey::MEDIUM_ERROR.0)].get(), 1);
        assert_eq!(meter.bytes_in.get(), 2 * 512);
    }
    assert_eq!((unit.store.counts().sum::<u64>(), unit.store_failures.get()), (3, 1));
}

#[test]
fn what_ended_is_counted_although_its_session_is_lost_before_it_hears_of_it() {
    let (mut rig, unit, port) = rig();
    rig.run(ALICE, &TEST_UNIT_READY, &[]);
    rig.send(ALICE, &read10(0, 1), &[]);
    let submission = rig.held.pop_front().expect("the read's operation");
    rig.complete(submission);
    rig.lose(ALICE);
    assert_eq!((count(&unit.commands, Kind::Read), count(&port, Kind::Read)), (1, 1));
}
