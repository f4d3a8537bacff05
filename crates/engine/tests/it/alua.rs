//! Asymmetric access: two ports in two groups, Alice at the first and Bob at the second.

use crate::cdb::*;
use crate::rig::{ALICE, BOB, Code, Rig, Said, target};
use core::time::Duration;
use felio_engine::{Access, LbaMap, LbaRange, PortConfig, PortGroup, Ports, TargetConfig, UnitConfig};
use felio_hal::NexusId;
use felio_hal::state::Saved;
use felio_hal::store::Failure;
use felio_spec::alua::AccessState;
use felio_spec::{Lun, Status, TaskAttribute};

const NOTHING: Code = (0, 0, 0);
const CHANGED: Code = (6, 0x2a, 0x06);
const TRANSITION: Code = (2, 0x04, 0x0a);
const STANDBY: Code = (2, 0x04, 0x0b);
const UNAVAILABLE: Code = (2, 0x04, 0x0c);
const OFFLINE: Code = (2, 0x04, 0x12);
const BAD_LIST: Code = (5, 0x26, 0);

const REPORT: [u8; 12] = [0xa3, 0x0a, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0];

fn config() -> TargetConfig {
    let mut target = target();
    target.ports.push(PortConfig { tag: 2, relative_port: 2, ..target.ports[0].clone() });
    target.unit_mut(0).access = access();
    target
}

fn access() -> Access {
    let group = |id| PortGroup::new(id, Ports::These(vec![id]));
    Access { port_groups: vec![group(1), group(2)], ..Access::default() }
}

/// Alice is at the first port, Bob at the second.
fn rig_of(target: TargetConfig) -> Rig {
    let mut rig = Rig::silent(target, 64, 64 << 20);
    for (nexus, tag) in [(ALICE, 1), (BOB, 2)] {
        rig.login_at(nexus, tag);
        rig.run(nexus, &REQUEST_SENSE, &[]);
    }
    rig.said.clear();
    rig.disk.log.clear();
    rig
}

fn rig() -> Rig {
    rig_of(config())
}

/// Groups, or with the state 0eh ports, and their states.
fn set(moves: &[(u8, u8)]) -> ([u8; 12], Vec<u8>) {
    let mut list = vec![0; 4];
    list.extend(moves.iter().flat_map(|(object, state)| [*state, 0, 0, *object]));
    let length = u8::try_from(list.len()).expect("small");
    ([0xa4, 0x0a, 0, 0, 0, 0, 0, 0, 0, length, 0, 0], list)
}

fn change(rig: &mut Rig, nexus: NexusId, moves: &[(u8, u8)]) -> Code {
    let (cdb, list) = set(moves);
    rig.run(nexus, &cdb, &list).code()
}

fn ready(rig: &mut Rig, nexus: NexusId) -> Code {
    rig.run(nexus, &TEST_UNIT_READY, &[]).code()
}

/// Group, state, status code and ports of each group that is told.
fn groups(rig: &mut Rig) -> Vec<(u8, u8, u8, Vec<u8>)> {
    let data = rig.run(ALICE, &REPORT, &[]).data;
    assert_eq!(usize::from(data[3]), data.len() - 4);
    let mut rest = &data[4..];
    let mut found = Vec::new();
    while let [flags, _, _, id, _, status, _, count, tail @ ..] = rest {
        let (ports, next) = tail.split_at(4 * usize::from(*count));
        found.push((*id, *flags & 0x0f, *status, ports.chunks(4).map(|port| port[3]).collect()));
        rest = next;
    }
    found
}

#[test]
fn groups_are_told_with_their_ports_and_what_they_support() {
    let mut rig = rig();
    let want = [0, 0, 0, 24, 0, 0xcf, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0xcf, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2];
    assert_eq!(rig.run(ALICE, &REPORT, &[]).data, want);
}

#[test]
fn the_extended_header_tells_how_long_an_implicit_transition_takes() {
    let mut target = config();
    target.unit_mut(0).access.port_groups[0].implicit_transition_secs = 7;
    target.unit_mut(0).access.port_groups[1].preferred = true;
    let mut rig = rig_of(target);
    let mut cdb = REPORT;
    cdb[1] |= 0x20;
    let data = rig.run(ALICE, &cdb, &[]).data;
    assert_eq!(data[..10], [0, 0, 0, 28, 0x10, 7, 0, 0, 0, 0xcf]);
    assert_eq!(data[20], 0x80);
    cdb[1] = 0x4a;
    assert_eq!(rig.run(ALICE, &cdb, &[]).code(), (5, 0x24, 0));
}

#[test]
fn a_report_is_cut_to_what_the_initiator_has_room_for() {
    let mut rig = rig();
    let mut cdb = REPORT;
    cdb[8..10].copy_from_slice(&[0, 6]);
    assert_eq!(rig.run(ALICE, &cdb, &[]).data, [0, 0, 0, 24, 0, 0xcf]);
}

#[test]
fn one_group_with_every_port_is_there_without_being_asked_for() {
    let mut rig = Rig::new();
    assert_eq!(groups(&mut rig), [(0, 0, 0, vec![1])]);
    assert_eq!(rig.run(ALICE, &INQUIRY, &[]).data[5] & 0x30, 0x30);
}

#[test]
fn an_initiator_moves_groups_and_the_others_are_told() {
    let mut rig = rig();
    assert_eq!(change(&mut rig, ALICE, &[(1, 0), (2, 2)]), NOTHING);
    assert_eq!(groups(&mut rig), [(1, 0, 0, vec![1]), (2, 2, 1, vec![2])]);
    assert_eq!(ready(&mut rig, ALICE), NOTHING);
    assert_eq!(ready(&mut rig, BOB), CHANGED);
    assert_eq!(ready(&mut rig, BOB), STANDBY);
}

#[test]
fn what_changes_nothing_is_not_told() {
    let mut rig = rig();
    assert_eq!(change(&mut rig, ALICE, &[(1, 0), (2, 0)]), NOTHING);
    assert_eq!(change(&mut rig, ALICE, &[]), (5, 0x24, 0));
    assert_eq!(rig.run(ALICE, &[0xa4, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[]).status, Status::GOOD);
    assert_eq!(ready(&mut rig, BOB), NOTHING);
    assert!(!rig.disk.log.iter().any(|op| op.starts_with("save")));
}

fn check(state: u8, want: Code, answered: &[&[u8]]) {
    let mut rig = rig();
    assert_eq!(change(&mut rig, ALICE, &[(2, state)]), NOTHING);
    assert_eq!(ready(&mut rig, BOB), CHANGED);
    assert_eq!(ready(&mut rig, BOB), want);
    assert_eq!(rig.run(BOB, &read10(0, 1), &[]).code(), want);
    assert_eq!(rig.run(BOB, &[0xff; 6], &[]).code(), want);
    let sense = rig.run(BOB, &REQUEST_SENSE, &[]).data;
    assert_eq!((sense[2], sense[12], sense[13]), want);
    for cdb in answered {
        assert_eq!(rig.run(BOB, cdb, &[]).status, Status::GOOD, "{cdb:02x?}");
    }
    assert_eq!(change(&mut rig, BOB, &[(2, 0)]), NOTHING);
    assert_eq!(ready(&mut rig, BOB), NOTHING);
    assert_eq!(ready(&mut rig, ALICE), CHANGED);
}

const REPORT_LUNS: [u8; 12] = [0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0];
const MODE_SENSE: [u8; 6] = [0x1a, 0, 0x0a, 0, 255, 0];

#[test]
fn standby_answers_what_tells_of_the_unit() {
    check(2, STANDBY, &[&INQUIRY, &REPORT_LUNS, &REPORT, &MODE_SENSE, &read_capacity16()]);
}

#[test]
fn unavailable_answers_what_tells_of_the_port() {
    check(3, UNAVAILABLE, &[&INQUIRY, &REPORT_LUNS, &REPORT]);
}

#[test]
fn a_port_goes_offline_alone_and_comes_back_with_its_group() {
    check(0x0e, OFFLINE, &[&INQUIRY, &REPORT_LUNS, &REPORT]);
}

#[test]
fn ports_that_are_offline_form_a_group() {
    let mut rig = rig();
    assert_eq!(change(&mut rig, ALICE, &[(2, 0x0e)]), NOTHING);
    let want = [(1, 0, 0, vec![1]), (2, 0, 0, vec![2]), (0xff, 0x0e, 1, vec![2])];
    assert_eq!(groups(&mut rig), want);
}

#[test]
fn a_port_that_is_unavailable_is_connected_to_no_unit() {
    let mut rig = rig();
    change(&mut rig, ALICE, &[(2, 3)]);
    assert_eq!(rig.run(BOB, &INQUIRY, &[]).data[0], 0x20);
    assert_eq!(rig.run(ALICE, &INQUIRY, &[]).data[0], 0);
}

fn refused(moves: &[(u8, u8)], byte: u16) {
    let mut rig = rig();
    let (cdb, list) = set(moves);
    let reply = rig.run(ALICE, &cdb, &list);
    assert_eq!((reply.code(), reply.pointer()), (BAD_LIST, byte));
    assert_eq!(groups(&mut rig), [(1, 0, 0, vec![1]), (2, 0, 0, vec![2])]);
}

#[test]
fn what_makes_no_sense_is_refused_as_a_whole() {
    refused(&[(1, 2), (3, 0)], 10); // No such group.
    refused(&[(1, 2), (1, 0)], 10); // Twice.
    refused(&[(1, 2), (2, 0x0f)], 8); // Only the target gets there.
    refused(&[(1, 4)], 4);
    refused(&[(1, 7)], 4); // No state at all.
    refused(&[(3, 0x0e)], 6); // No such port.
}

#[test]
fn a_group_gets_only_into_states_that_it_supports_and_only_if_initiators_may() {
    let mut target = config();
    target.unit_mut(0).access.port_groups[0].supported.retain(|state| *state != AccessState::Standby);
    target.unit_mut(0).access.port_groups[1].tpgs.explicit = false;
    let mut rig = rig_of(target);
    assert_eq!(change(&mut rig, ALICE, &[(1, 2)]), BAD_LIST);
    assert_eq!(change(&mut rig, ALICE, &[(2, 2)]), BAD_LIST);
    assert_eq!(change(&mut rig, ALICE, &[(1, 1)]), NOTHING);
}

#[test]
fn a_unit_whose_states_nobody_changes_does_not_know_the_commands() {
    let mut target = config();
    for group in &mut target.unit_mut(0).access.port_groups {
        group.tpgs.explicit = false;
    }
    let mut rig = rig_of(target.clone());
    assert_eq!(change(&mut rig, ALICE, &[(1, 2)]), (5, 0x20, 0));
    assert_eq!(rig.run(ALICE, &INQUIRY, &[]).data[5] & 0x30, 0x10);
    for group in &mut target.unit_mut(0).access.port_groups {
        group.tpgs.implicit = false;
    }
    let mut rig = rig_of(target);
    assert_eq!(rig.run(ALICE, &INQUIRY, &[]).data[5] & 0x30, 0);
    assert_eq!(rig.run(ALICE, &REPORT, &[]).status, Status::CHECK_CONDITION);
}

#[test]
fn lengths_that_cannot_be_are_refused() {
    let mut rig = rig();
    let (mut cdb, list) = set(&[(1, 2)]);
    cdb[9] = 9;
    assert_eq!(rig.run(ALICE, &cdb, &list).code(), (5, 0x24, 0));
    cdb[9] = 8;
    assert_eq!(rig.run(ALICE, &cdb, &list[..6]).code(), (5, 0x1a, 0));
    cdb[6] = 1;
    assert_eq!(rig.run(ALICE, &cdb, &list).code(), (5, 0x24, 0));
}

#[test]
fn a_change_waits_for_what_runs_and_holds_up_what_comes() {
    let mut rig = rig();
    rig.hold = true;
    let before = rig.send(BOB, &read10(0, 1), &[]);
    let (cdb, list) = set(&[(2, 2)]);
    let change = rig.send(ALICE, &cdb, &list);
    let behind = rig.send(BOB, &read10(0, 1), &[]);
    assert_eq!(rig.held_names(), ["read 0+1"]);
    rig.release();
    assert_eq!(rig.reply(before).expect("answered").status, Status::GOOD);
    assert_eq!(rig.held_names(), ["save port_groups"]);
    assert_eq!(rig.reply(change), None);
    rig.release();
    assert_eq!(rig.reply(change).expect("answered").status, Status::GOOD);
    assert_eq!(rig.reply(behind).expect("answered").code(), STANDBY);
}

#[test]
fn a_transition_refuses_and_ends_by_itself() {
    let mut target = config();
    target.unit_mut(0).access.port_groups[1].transition = Duration::from_secs(3);
    let mut rig = rig_of(target);
    assert_eq!(change(&mut rig, ALICE, &[(2, 1)]), NOTHING);
    assert_eq!(groups(&mut rig)[1], (2, 0x0f, 1, vec![2]));
    assert_eq!(ready(&mut rig, BOB), CHANGED);
    assert_eq!(ready(&mut rig, BOB), TRANSITION);
    assert_eq!(change(&mut rig, BOB, &[(2, 0)]), TRANSITION);
    assert_eq!(rig.run(BOB, &REPORT, &[]).status, Status::GOOD);
    assert_eq!(rig.engine.poll_timeout(), Some(rig.now + Duration::from_secs(3)));
    rig.pass(Duration::from_secs(2));
    assert_eq!(ready(&mut rig, BOB), TRANSITION);
    rig.pass(Duration::from_secs(1));
    assert_eq!(rig.engine.poll_timeout(), None);
    assert_eq!(ready(&mut rig, BOB), CHANGED);
    assert_eq!(ready(&mut rig, BOB), NOTHING);
    assert_eq!(ready(&mut rig, ALICE), NOTHING);
    assert_eq!(groups(&mut rig)[1], (2, 1, 1, vec![2]));
}

#[test]
fn a_transition_can_be_turned_around_from_another_port() {
    let mut target = config();
    target.unit_mut(0).access.port_groups[1].transition = Duration::from_secs(3);
    let mut rig = rig_of(target);
    change(&mut rig, ALICE, &[(2, 2)]);
    rig.pass(Duration::from_secs(2));
    change(&mut rig, ALICE, &[(2, 0)]);
    rig.pass(Duration::from_secs(2));
    assert_eq!(groups(&mut rig)[1].1, 0x0f);
    rig.pass(Duration::from_secs(1));
    assert_eq!(groups(&mut rig)[1].1, 0);
}

/// The same target after a restart.
fn restarted(rig: &Rig, mut target: TargetConfig) -> Rig {
    let documents = rig.disk.saved.iter().map(|(part, bytes)| ((*part).to_owned(), bytes.clone()));
    target.unit_mut(0).saved = Saved(documents.collect());
    rig_of(target)
}

#[test]
fn states_outlive_the_process() {
    let mut rig = rig();
    change(&mut rig, ALICE, &[(1, 1), (2, 2), (1, 0x0e)]);
    let mut rig = restarted(&rig, config());
    let want = [(1, 1, 1, vec![1]), (2, 2, 1, vec![2]), (0xff, 0x0e, 1, vec![1])];
    assert_eq!(groups(&mut rig), want);
    assert_eq!((ready(&mut rig, ALICE), ready(&mut rig, BOB)), (OFFLINE, STANDBY));
}

#[test]
fn an_operator_who_decides_anew_is_obeyed() {
    let mut rig = rig();
    change(&mut rig, ALICE, &[(2, 2), (2, 0x0e)]);
    let mut target = config();
    target.unit_mut(0).access.port_groups[1].state = AccessState::ActiveNonOptimized;
    let mut rig = restarted(&rig, target);
    // Changed by implicit behaviour, as the initiator sees it.
    assert_eq!(groups(&mut rig), [(1, 0, 0, vec![1]), (2, 1, 2, vec![2])]);
}

#[test]
fn a_state_that_cannot_be_saved_is_not_taken() {
    let mut rig = rig();
    rig.disk.failure = Some(Failure::NoSpace);
    assert_eq!(change(&mut rig, ALICE, &[(2, 2)]), (4, 0x67, 0x0a));
    assert_eq!(groups(&mut rig)[1], (2, 0, 0, vec![2]));
    assert_eq!(ready(&mut rig, BOB), CHANGED);
    assert_eq!(ready(&mut rig, BOB), NOTHING);
}

#[test]
fn without_a_place_for_states_they_last_as_long_as_the_process() {
    let mut target = config();
    target.unit_mut(0).limits.state = false;
    let mut rig = rig_of(target);
    assert_eq!(change(&mut rig, ALICE, &[(2, 2)]), NOTHING);
    assert!(rig.disk.saved.is_empty());
    assert_eq!(groups(&mut rig)[1].1, 2);
}

/// Units 0 and 1 are of one group, unit 2 is alone.
fn group_of_two() -> Rig {
    let mut target = config();
    target.unit_mut(0).access.lu_group = 9;
    let mut second = UnitConfig::clone(&target.units[0]);
    second.birth = 1;
    let mut third = second.clone();
    third.birth = 2;
    third.access.lu_group = 0;
    target.units.extend([second, third].map(Into::into));
    let mut rig = rig_of(target);
    for lun in 1..3 {
        for nexus in [ALICE, BOB] {
            rig.send_to(lun_of(lun), TaskAttribute::Simple, nexus, &REQUEST_SENSE, &[]);
        }
    }
    rig.disk.log.clear();
    rig
}

#[test]
fn units_of_a_group_change_together() {
    let mut rig = group_of_two();
    assert_eq!(change(&mut rig, ALICE, &[(2, 2)]), NOTHING);
    assert_eq!(rig.disk.log.iter().filter(|op| *op == "save port_groups").count(), 2);
    let ready_at = |rig: &mut Rig, lun, nexus| {
        let tag = rig.send_to(lun_of(lun), TaskAttribute::Simple, nexus, &TEST_UNIT_READY, &[]);
        rig.reply(tag).expect("answered").code()
    };
    assert_eq!(ready_at(&mut rig, 1, BOB), CHANGED);
    assert_eq!(ready_at(&mut rig, 1, BOB), STANDBY);
    assert_eq!(ready_at(&mut rig, 1, ALICE), NOTHING);
    assert_eq!(ready_at(&mut rig, 2, BOB), NOTHING);
}

#[test]
fn a_group_changes_once_at_a_time() {
    let mut rig = group_of_two();
    rig.hold = true;
    let (cdb, list) = set(&[(2, 2)]);
    let first = rig.send(ALICE, &cdb, &list);
    let (cdb, list) = set(&[(1, 2)]);
    let second = rig.send_to(lun_of(1), TaskAttribute::Simple, ALICE, &cdb, &list);
    // The second unit tells what has changed before.
    assert_eq!(rig.reply(second).expect("answered").status, Status::BUSY);
    rig.release_all();
    assert_eq!(rig.reply(first).expect("answered").status, Status::GOOD);
}

fn lun_of(number: u16) -> Lun {
    Lun::from_number(number).expect("small")
}

#[test]
fn a_change_that_is_aborted_while_it_is_saved_stays() {
    let mut rig = rig();
    rig.hold = true;
    let (cdb, list) = set(&[(2, 2)]);
    let tag = rig.send(ALICE, &cdb, &list);
    let function = felio_spec::TaskManagementFunction::AbortTask;
    rig.manage(ALICE, function, Some(tag));
    rig.release_all();
    rig.hold = false;
    assert!(rig.said.iter().all(|(_, said)| !matches!(said, Said::Reply(of, _) if *of == tag)));
    assert_eq!(groups(&mut rig)[1].1, 2);
    assert_eq!(groups(&mut restarted(&rig, config()))[1].1, 2);
}

fn halves() -> TargetConfig {
    use AccessState::{ActiveOptimized as O, Standby as S};
    let mut target = config();
    for group in &mut target.unit_mut(0).access.port_groups {
        group.state = AccessState::LbaDependent;
        group.supported.push(AccessState::LbaDependent);
    }
    let ranges = vec![
        LbaRange { first: 0, last: 2047, groups: vec![(1, O), (2, S)] },
        LbaRange { first: 2048, last: 4095, groups: vec![(1, S), (2, O)] },
    ];
    target.unit_mut(0).access.map = Some(LbaMap { segment_blocks: 0, segment_multiplier: 0, ranges });
    target
}

#[test]
fn an_lba_dependent_port_reaches_its_own_blocks() {
    let mut rig = rig_of(halves());
    assert_eq!(ready(&mut rig, ALICE), NOTHING);
    assert_eq!(rig.run(ALICE, &read10(2047, 1), &[]).code(), NOTHING);
    assert_eq!(rig.run(ALICE, &read10(2047, 2), &[]).code(), STANDBY);
    assert_eq!(rig.run(BOB, &read10(2047, 1), &[]).code(), STANDBY);
    assert_eq!(rig.run(BOB, &read10(2048, 1), &[]).code(), NOTHING);
    let mut list = vec![0, 22, 0, 16, 0, 0, 0, 0];
    list.extend([0, 0, 0, 0, 0, 0, 0x08, 0, 0, 0, 0, 1, 0, 0, 0, 0]);
    let unmap = [0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0];
    assert_eq!(rig.run(ALICE, &unmap, &list).code(), STANDBY);
    assert_eq!(rig.run(BOB, &unmap, &list).code(), NOTHING);
}

#[test]
fn referrals_say_where_to_go() {
    let mut rig = rig_of(halves());
    let mut cdb = [0x9e, 0x13, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0];
    let all = rig.run(ALICE, &cdb, &[]).data;
    assert_eq!((all.len(), &all[..8]), (60, &[0, 0, 0, 56, 0, 0, 0, 2][..]));
    assert_eq!(all[24..32], [0, 0, 0, 1, 2, 0, 0, 2]);
    cdb[14] = 1;
    let first = rig.run(ALICE, &cdb, &[]).data;
    assert_eq!(first[4..], all[4..32]);
    cdb[8] = 8;
    let second = rig.run(ALICE, &cdb, &[]).data;
    assert_eq!(second[4..], all[32..]);
    cdb[8] = 16;
    assert_eq!(rig.run(ALICE, &cdb, &[]).code(), (5, 0x21, 0));
    let mut rig = Rig::new();
    assert_eq!(rig.run(ALICE, &cdb, &[]).status, Status::CHECK_CONDITION);
}
