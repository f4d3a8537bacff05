//! REGISTER, REGISTER AND IGNORE EXISTING KEY, and what PERSISTENT RESERVE IN says of it.

use super::*;
use crate::rig::target;
use felio_engine::PortConfig;

#[test]
fn a_registration_is_there_until_its_holder_ends_it() {
    let mut rig = Rig::new();
    assert_eq!(rig.out(ALICE, Out::Register, 0, &list(0, 0xabcd, 0)).status, Status::GOOD);
    assert_eq!((rig.keys(), rig.generation()), (vec![0xabcd], 1));
    assert_eq!(rig.out(ALICE, Out::Register, 0, &list(0xabcd, 0, 0)).status, Status::GOOD);
    assert_eq!((rig.keys(), rig.generation()), (vec![], 2));
}

#[test]
fn a_key_is_changed_by_who_knows_it() {
    let mut rig = Rig::new();
    rig.register(ALICE, 1);
    assert_eq!(rig.out(ALICE, Out::Register, 0, &list(2, 3, 0)).status, Status::RESERVATION_CONFLICT);
    assert_eq!(rig.out(ALICE, Out::Register, 0, &list(0, 3, 0)).status, Status::RESERVATION_CONFLICT);
    assert_eq!(rig.out(ALICE, Out::Register, 0, &list(1, 3, 0)).status, Status::GOOD);
    assert_eq!(rig.out(ALICE, Out::Ignore, 0, &list(9, 4, 0)).status, Status::GOOD);
    assert_eq!((rig.keys(), rig.generation()), (vec![4], 3));
}

#[test]
fn who_is_not_registered_registers_with_no_key() {
    let mut rig = Rig::new();
    assert_eq!(rig.out(ALICE, Out::Register, 0, &list(1, 2, 0)).status, Status::RESERVATION_CONFLICT);
    assert_eq!(rig.out(ALICE, Out::Register, 0, &list(0, 0, 0)).status, Status::GOOD);
    assert_eq!(rig.out(ALICE, Out::Ignore, 0, &list(7, 0, 0)).status, Status::GOOD);
    assert_eq!((rig.keys(), rig.generation()), (vec![], 0));
}

#[test]
fn two_nexuses_may_have_the_same_key() {
    let mut rig = Rig::new();
    rig.register(ALICE, 1);
    rig.register(BOB, 1);
    assert_eq!(rig.keys(), [1, 1]);
}

#[test]
fn scope_and_type_mean_nothing_to_a_registration() {
    let mut rig = Rig::new();
    assert_eq!(rig.out(ALICE, Out::Register, 0xff, &list(0, 1, 0)).status, Status::GOOD);
}

#[test]
fn lists_of_the_wrong_length_are_refused() {
    let mut rig = Rig::new();
    let basic = list(0, 1, 0);
    assert_eq!(rig.out(ALICE, Out::Register, 0, &basic[..23]).code(), LIST_LENGTH);
    assert_eq!(rig.out(ALICE, Out::Register, 0, &[&basic[..], &[0]].concat()).code(), LIST_LENGTH);
    assert_eq!(rig.out(ALICE, Out::Register, 0, &[]).code(), LIST_LENGTH);
    // The CDB says more than comes, or more than we take.
    assert_eq!(rig.run(ALICE, &out_cdb(Out::Register, 0, 24), &basic[..20]).code(), LIST_LENGTH);
    assert_eq!(rig.run(ALICE, &out_cdb(Out::Register, 0, 1 << 24), &basic).code(), LIST_LENGTH);
    assert!(rig.keys().is_empty());
}

#[test]
fn other_initiator_ports_are_registered_along() {
    let mut rig = Rig::new();
    let ids = [transport_id(1), transport_id(7)].concat();
    let length = u32::try_from(ids.len()).expect("short").to_be_bytes();
    let named = [list(0, 5, 8), length.to_vec(), ids].concat();
    assert_eq!(rig.out(ALICE, Out::Register, 0, &named).status, Status::GOOD);
    assert_eq!((rig.keys(), rig.generation()), (vec![5, 5, 5], 1));
    rig.reserve(BOB, 5, EA_RO);
    // The registered may not name others any more.
    let reply = rig.out(ALICE, Out::Register, 0, &named);
    assert_eq!(reply.status, Status::RESERVATION_CONFLICT);
    let known = [list(5, 6, 8), named[24..].to_vec()].concat();
    let reply = rig.out(ALICE, Out::Register, 0, &known);
    assert_eq!((reply.code(), reply.pointer()), (INVALID_LIST, 20));
}

#[test]
fn all_or_none_of_the_named_ports_are_registered() {
    let mut rig = Rig::new();
    let mut ids = [transport_id(1), transport_id(7)].concat();
    let second = transport_id(1).len();
    ids[second] = 0x85; // no format of iSCSI
    let length = u32::try_from(ids.len()).expect("short").to_be_bytes();
    let reply = rig.out(ALICE, Out::Register, 0, &[list(0, 5, 8), length.to_vec(), ids].concat());
    assert_eq!((reply.code(), usize::from(reply.pointer())), (INVALID_LIST, 28 + second));
    assert_eq!((rig.keys(), rig.generation()), (vec![], 0));
}

#[test]
fn an_initiator_named_without_a_port_stands_for_its_known_ports() {
    let mut rig = Rig::new();
    let id = |name: &str| {
        let mut id = vec![0x05, 0, 0, 28];
        id.extend(name.bytes());
        id.resize(32, 0);
        [list(0, 5, 8), vec![0, 0, 0, 32], id].concat()
    };
    let reply = rig.out(ALICE, Out::Register, 0, &id("iqn.2026-01.net.x:i9"));
    assert_eq!((reply.code(), reply.pointer()), (INVALID_LIST, 28));
    assert_eq!(rig.out(ALICE, Out::Register, 0, &id("IQN.2026-01.net.x:i1")).status, Status::GOOD);
    assert_eq!(rig.keys(), [5, 5]);
    assert_eq!(rig.out(BOB, Out::Register, 0, &list(5, 0, 0)).status, Status::GOOD);
}

#[test]
fn only_register_names_other_ports() {
    let mut rig = Rig::new();
    for out in [Out::Ignore, Out::Reserve, Out::Clear, Out::Preempt] {
        let reply = rig.out(ALICE, out, WE, &[list(0, 5, 8), vec![0; 4]].concat());
        assert_eq!((reply.code(), reply.pointer()), (INVALID_LIST, 20));
    }
}

/// Alice is there through two ports, as nexus 0 and 4.
fn two_ports() -> (Rig, NexusId) {
    let mut target = target();
    target.ports.push(PortConfig { tag: 2, relative_port: 7, ..target.ports[0].clone() });
    let mut rig = Rig::with(target, 64, 64 << 20);
    let other = NexusId { slot: 4, ..ALICE };
    rig.login_as(other, 0, 2);
    rig.attention(other);
    (rig, other)
}

#[test]
fn a_registration_is_for_one_target_port() {
    let (mut rig, other) = two_ports();
    rig.register(ALICE, 1);
    rig.reserve(ALICE, 1, EA_RO);
    assert_eq!(rig.run(other, &crate::cdb::read10(0, 1), &[]).status, Status::RESERVATION_CONFLICT);
    assert_eq!(rig.run(ALICE, &crate::cdb::read10(0, 1), &[]).status, Status::GOOD);
}

#[test]
fn or_for_all_of_them() {
    let (mut rig, other) = two_ports();
    assert_eq!(rig.out(ALICE, Out::Register, 0, &list(0, 1, 4)).status, Status::GOOD);
    assert_eq!((rig.keys(), rig.generation()), (vec![1, 1], 1));
    rig.reserve(other, 1, EA_RO);
    assert_eq!(rig.run(ALICE, &crate::cdb::read10(0, 1), &[]).status, Status::GOOD);
    let status = rig.run(ALICE, &in_cdb(3, 512), &[]).data;
    let second = 8 + 24 + transport_id(0).len();
    assert_eq!((status[8 + 19], status[8 + 12]), (1, 0));
    assert_eq!((status[second + 19], status[second + 12]), (7, 1));
    // What ends for all ports ends the reservation of another one.
    assert_eq!(rig.out(ALICE, Out::Register, 0, &list(1, 0, 4)).status, Status::GOOD);
    assert_eq!((rig.keys(), rig.reservation()), (vec![], None));
}

#[test]
fn all_ports_means_that_none_has_another_key() {
    let (mut rig, other) = two_ports();
    rig.register(other, 9);
    assert_eq!(rig.out(ALICE, Out::Register, 0, &list(0, 1, 4)).status, Status::RESERVATION_CONFLICT);
    assert_eq!(rig.keys(), [9]);
    assert_eq!(rig.out(ALICE, Out::Ignore, 0, &list(0, 1, 4)).status, Status::GOOD);
    assert_eq!(rig.keys(), [1, 1]);
}

#[test]
fn full_status_names_the_registered() {
    let mut rig = Rig::new();
    rig.register(BOB, 0x0102_0304_0506_0708);
    rig.register(ALICE, 1);
    rig.reserve(BOB, 0x0102_0304_0506_0708, WE);
    let data = rig.run(ALICE, &in_cdb(3, u16::MAX), &[]).data;
    let id = transport_id(1);
    let length = u8::try_from(id.len()).expect("short");
    assert_eq!(data[..8], [0, 0, 0, 2, 0, 0, 0, 2 * (24 + length)]);
    assert_eq!(data[8..16], [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(data[16..32], [0, 0, 0, 0, 1, WE, 0, 0, 0, 0, 0, 1, 0, 0, 0, length]);
    assert_eq!(data[32..32 + id.len()], id);
    assert_eq!(data[32 + id.len() + 12..][..2], [0, 0]);
}

#[test]
fn parameter_data_are_cut_to_the_allocation_length() {
    let mut rig = Rig::new();
    rig.register(ALICE, 1);
    for (action, whole) in [(0, 16), (1, 8), (2, 8), (3, 8 + 24 + transport_id(0).len())] {
        let all = rig.run(ALICE, &in_cdb(action, 512), &[]).data;
        assert_eq!(all.len(), whole);
        for length in [0u16, 1, 4, 7, 8, 9] {
            let reply = rig.run(ALICE, &in_cdb(action, length), &[]);
            assert_eq!(reply.status, Status::GOOD);
            assert_eq!(reply.data, all[..usize::from(length).min(whole)]);
        }
    }
}

#[test]
fn capabilities_are_all_there_are() {
    let mut rig = Rig::new();
    assert_eq!(rig.run(ALICE, &in_cdb(2, 8), &[]).data, [0, 8, 0x9d, 0xb0, 0xea, 0x01, 0, 0]);
    let mut volatile = target();
    volatile.unit_mut(0).limits.state = false;
    let mut rig = Rig::with(volatile, 64, 1 << 20);
    assert_eq!(rig.run(ALICE, &in_cdb(2, 8), &[]).data, [0, 8, 0x9c, 0xb0, 0xea, 0x01, 0, 0]);
}

#[test]
fn unknown_service_actions_are_refused() {
    let mut rig = Rig::new();
    for cdb in [in_cdb(4, 8), in_cdb(31, 8)] {
        let reply = rig.run(ALICE, &cdb, &[]);
        assert_eq!((reply.code(), reply.pointer()), (INVALID_CDB, 1));
    }
    let mut cdb = out_cdb(Out::Register, 0, 24);
    cdb[1] = 9;
    assert_eq!(rig.run(ALICE, &cdb, &list(0, 1, 0)).code(), INVALID_CDB);
}

#[test]
fn there_is_room_for_so_many_and_no_more() {
    let mut target = target();
    target.ports =
        (1..=1100).map(|port| PortConfig { relative_port: port, ..target.ports[0].clone() }).collect();
    let mut rig = Rig::with(target, 8, 1 << 20);
    assert_eq!(rig.out(ALICE, Out::Register, 0, &list(0, 1, 4)).code(), (5, 0x55, 4));
    assert!(rig.keys().is_empty());
}
