//! The operator changes units, who finds them and who may write, while Alice and Bob work.

use crate::cdb::*;
use crate::copy::{across, copy_cdb, fill, three_units};
use crate::rig::{ALICE, BOB, Code, Rig, target};
use felio_engine::{Engine, LunMap, Mapping, TargetConfig, UnitConfig};
use felio_hal::{NexusId, PortTag, StoreId};
use felio_spec::Status;
use felio_spec::alua::AccessState;
use std::sync::Arc;

/// Her session is on another reactor.
const CAROL: NexusId = NexusId { reactor: 1, slot: 0, generation: 0 };
const POWER_ON: Code = (6, 0x29, 0x01);
const LUNS_CHANGED: Code = (6, 0x3f, 0x0e);
const INQUIRY_CHANGED: Code = (6, 0x3f, 0x03);
const MODE_CHANGED: Code = (6, 0x2a, 0x01);
const NO_UNIT: Code = (5, 0x25, 0);
const PROTECTED: Code = (7, 0x27, 0);
const NOTHING: Code = (0, 0, 0);

/// So many units, all found by everybody.
fn units(count: u16) -> TargetConfig {
    let mut target = target();
    for number in 1..count {
        let mut unit = UnitConfig::clone(&target.units[0]);
        (unit.birth, unit.store) = (number.into(), StoreId(number.into()));
        target.units.push(unit.into());
    }
    show(&mut target, LunMap::numbered(count));
    target
}

fn show(target: &mut TargetConfig, luns: LunMap) {
    target.ports[0].luns = Arc::new(luns);
}

const fn mapping(lun: u16, unit: u32, read_only: bool) -> Mapping {
    Mapping { lun, unit, read_only }
}

fn ready(rig: &mut Rig, lun: u16) -> Code {
    rig.run_on(lun, ALICE, &TEST_UNIT_READY, &[]).code()
}

#[test]
fn a_unit_that_comes_is_told_of_by_the_others_once() {
    let mut rig = Rig::with(units(2), 64, 64 << 20);
    rig.configure(&units(3));
    assert_eq!([ready(&mut rig, 0), ready(&mut rig, 1)], [LUNS_CHANGED, NOTHING]);
    assert_eq!([ready(&mut rig, 2), ready(&mut rig, 2)], [POWER_ON, NOTHING]);
    assert_eq!(rig.run_on(2, ALICE, &read10(0, 1), &[]).status, Status::GOOD);
}

#[test]
fn a_unit_that_goes_is_not_found_any_more() {
    let mut rig = Rig::with(units(2), 64, 64 << 20);
    let mut target = units(2);
    show(&mut target, LunMap::numbered(1));
    rig.configure(&target);
    assert_eq!([ready(&mut rig, 1), ready(&mut rig, 0)], [NO_UNIT, LUNS_CHANGED]);
    let luns = rig.run(ALICE, &[0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0], &[]).data;
    assert_eq!(luns.len(), 16);
}

#[test]
fn a_unit_can_be_found_under_another_number_by_one_initiator() {
    let mut rig = Rig::with(units(2), 64, 64 << 20);
    let mut target = units(2);
    let own = LunMap::new(vec![mapping(700, 1, false)]);
    target.ports[0].initiators.insert("iqn.2026-01.net.x:i1".into(), Arc::new(own));
    rig.configure(&target);
    let (alice, bob) =
        (rig.run_on(700, ALICE, &TEST_UNIT_READY, &[]), rig.run_on(700, BOB, &TEST_UNIT_READY, &[]));
    let codes = [alice.code(), bob.code()];
    assert!(codes.contains(&NO_UNIT) && codes.contains(&LUNS_CHANGED), "{codes:?}");
}

#[test]
fn who_may_only_read_cannot_write_and_is_told_so() {
    let mut rig = Rig::new();
    let mut target = units(1);
    let own = LunMap::new(vec![mapping(0, 0, true)]);
    target.ports[0].initiators.insert("iqn.2026-01.net.x:i1".into(), Arc::new(own));
    rig.configure(&target);
    let writes: Vec<_> = [ALICE, BOB]
        .into_iter()
        .map(|nexus| {
            let sense = [
                rig.run(nexus, &TEST_UNIT_READY, &[]).code(),
                rig.run(nexus, &write10(0, 1), &[7; 512]).code(),
            ];
            (sense, rig.run(nexus, &[0x1a, 8, 0x3f, 0, 255, 0], &[]).data[2] & 0x80)
        })
        .collect();
    assert!(writes.contains(&([MODE_CHANGED, PROTECTED], 0x80)), "{writes:?}");
    assert!(writes.contains(&([NOTHING, NOTHING], 0)), "{writes:?}");
}

#[test]
fn what_may_change_of_a_unit_changes_under_it() {
    let mut rig = Rig::new();
    let mut target = units(1);
    target.unit_mut(0).identity.product = "other".into();
    target.unit_mut(0).read_only = true;
    rig.configure(&target);
    assert_eq!(
        [ready(&mut rig, 0), ready(&mut rig, 0), ready(&mut rig, 0)],
        [INQUIRY_CHANGED, MODE_CHANGED, NOTHING]
    );
    assert_eq!(rig.run(ALICE, &write10(0, 1), &[7; 512]).code(), PROTECTED);
    assert_eq!(&rig.run(ALICE, &[0x12, 0, 0, 0, 96, 0], &[]).data[16..21], b"other");
}

#[test]
fn the_operator_sets_the_state_of_a_port_group() {
    let mut rig = Rig::new();
    let mut target = units(1);
    target.unit_mut(0).access.port_groups[0].state = AccessState::Standby;
    rig.configure(&target);
    assert_eq!(ready(&mut rig, 0), (6, 0x2a, 0x06));
    assert_eq!(rig.run(ALICE, &read10(0, 1), &[]).code(), (2, 0x04, 0x0b));
    rig.configure(&units(1));
    assert_eq!(ready(&mut rig, 0), (6, 0x2a, 0x06));
    assert_eq!(rig.run(ALICE, &read10(0, 1), &[]).code(), NOTHING);
}

#[test]
fn the_same_configuration_tells_nobody_anything() {
    let mut rig = Rig::with(units(2), 64, 64 << 20);
    rig.configure(&units(2));
    assert_eq!([ready(&mut rig, 0), ready(&mut rig, 1)], [NOTHING, NOTHING]);
}

#[test]
fn a_unit_is_quiet_once_what_it_has_begun_has_ended() {
    let mut rig = Rig::with(units(2), 64, 64 << 20);
    rig.hold = true;
    let read = rig.send_on(1, ALICE, &read10(0, 1), &[]);
    let mut target = units(2);
    show(&mut target, LunMap::numbered(1));
    rig.configure(&target);
    assert!(!rig.engine.is_quiet(1));
    rig.release_all();
    assert_eq!(rig.reply(read).map(|reply| reply.status), Some(Status::GOOD));
    assert!(rig.engine.is_quiet(1));
}

#[test]
fn a_unit_that_takes_the_place_of_another_knows_nothing_of_it() {
    let mut rig = Rig::with(units(2), 64, 64 << 20);
    let key = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];
    let register = [0x5f, 0, 0, 0, 0, 0, 0, 0, 24, 0];
    assert_eq!(rig.run_on(1, ALICE, &register, &[&key[..], &[0; 8]].concat()).status, Status::GOOD);
    let mut target = units(2);
    show(&mut target, LunMap::numbered(1));
    rig.configure(&target);
    target.unit_mut(1).birth = 9;
    rig.configure(&target);
    show(&mut target, LunMap::numbered(2));
    rig.configure(&target);
    assert_eq!([ready(&mut rig, 1), ready(&mut rig, 1)], [POWER_ON, NOTHING]);
    let keys = rig.run_on(1, ALICE, &[0x5e, 0, 0, 0, 0, 0, 0, 0, 64, 0], &[]).data;
    assert_eq!(keys, [0; 8]);
}

/// Carol's write to unit 1 has begun on her own reactor and waits for its data, where it may not begin any more; then the operator lets
/// everybody find what `luns` says, and she is told.
fn overtaken_write(luns: LunMap) -> (Rig, PortTag) {
    let mut target = units(2);
    let mut rig = Rig::with(target.clone(), 64, 64 << 20);
    rig.guest = Some(Engine::new(Arc::new(target.clone()), 1, 64));
    rig.login(CAROL);
    for lun in [0, 0, 1, 1, 1] {
        rig.run_on(lun, CAROL, &TEST_UNIT_READY, &[]);
    }
    rig.send_data = false;
    let write = rig.send_on(1, CAROL, &write10(7, 1), &[7; 512]);
    assert_eq!(rig.unsent[0].1.reactor, 1, "it runs on her own reactor");
    assert_eq!(rig.run_on(1, ALICE, &START, &[]).status, Status::GOOD);
    show(&mut target, luns);
    rig.configure(&target);
    rig.run(CAROL, &TEST_UNIT_READY, &[]);
    (rig, write)
}

#[test]
fn a_write_that_is_handed_over_reaches_no_unit_but_its_own() {
    let (mut rig, write) = overtaken_write(LunMap::numbered(1));
    rig.deliver();
    assert_eq!(rig.reply(write).map(|reply| reply.code()), Some(NO_UNIT));
    assert_eq!(rig.blocks(7, 1), [0; 512]);
}

#[test]
fn a_write_that_is_handed_over_is_judged_by_all_numbers_of_its_unit() {
    for (read_only, want) in [(false, NOTHING), (true, PROTECTED)] {
        let luns = vec![mapping(0, 0, false), mapping(1, 1, true), mapping(2, 1, read_only)];
        let (mut rig, write) = overtaken_write(LunMap::new(luns));
        rig.deliver();
        assert_eq!(rig.reply(write).map(|reply| reply.code()), Some(want));
    }
}

/// Alice has unit 0 copied to unit 1; meanwhile the operator lets everybody find what `luns` says.
fn overtaken_copy(luns: Vec<Mapping>) -> (Rig, Code) {
    let mut target = three_units();
    let mut rig = Rig::with(target.clone(), 64, 64 << 20);
    fill(&mut rig);
    rig.hold = true;
    let list = across();
    let copy = rig.send(ALICE, &copy_cdb(0, &list), &list);
    show(&mut target, LunMap::new(luns));
    rig.configure(&target);
    assert_eq!([0, 1, 2].map(|unit| rig.engine.is_quiet(unit)), [false, false, true]);
    rig.release_all();
    assert_eq!([0, 1, 2].map(|unit| rig.engine.is_quiet(unit)), [true; 3]);
    assert!(rig.more[1].log.iter().all(|op| op == "size"), "nothing is done with the third");
    let code = rig.reply(copy).expect("it ends").code();
    (rig, code)
}

#[test]
fn a_copy_goes_on_with_its_units_whatever_their_numbers_are_by_now() {
    let (rig, code) = overtaken_copy(vec![mapping(0, 2, false), mapping(1, 0, false), mapping(2, 1, false)]);
    assert_eq!(code, NOTHING);
    assert!(rig.more[0].bytes[1000 * 512..1600 * 512] == *rig.blocks(10, 600));
}

#[test]
fn a_copy_ends_where_a_unit_of_its_is_not_found_any_more() {
    let (rig, code) = overtaken_copy(vec![mapping(0, 0, false), mapping(1, 2, false)]);
    assert_eq!(code, (0xa, 0, 0));
    assert!(rig.more[0].bytes.iter().all(|byte| *byte == 0));
}
