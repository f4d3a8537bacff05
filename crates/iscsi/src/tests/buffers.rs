//! Buffers: none is lost, few suffice, and too few hurt nobody else.

use super::*;
use crate::pdu::{TaskManagementFunction as TaskManagement, TaskManagementResponseCode};
use crate::peer::{Answers, Data};

const PAGE: usize = 4096;

fn with_budget(keys: &[(&'static str, &str)], bytes: usize) -> World {
    let mut world = World::logged_in(keys);
    world.pool = Pool::new(Budget::new(bytes));
    world
}

/// Bytes that are neither free nor trimmed: held by someone.
fn held(world: &mut World) -> usize {
    world.pool.trim();
    world.pool.budget().bytes()
}

#[test]
fn after_the_end_every_buffer_is_home() {
    let keys = [("ImmediateData", "No"), ("InitialR2T", "No"), ("FirstBurstLength", "8192")];
    for cut in [48, 48 + 48 + 5000, 48 + 48 + 8192] {
        let mut world = World::new(Settings { answers: Answers::Nobody, ..settings(&keys) }).logging_in();
        world.reads = false;
        world.peer.command(0, &[0x28; 10], Data::In(100_000));
        world.peer.ping(&[3; 5000]);
        world.run();
        world.peer.command(0, &[0x2a; 10], Data::Out(bytes(60_000)));
        world.pending = world.peer.take_output()[..cut].to_vec();
        world.run();
        assert!(held(&mut world) > 0);
        world.port.handle_closed(&mut world.pool);
        world.run();
        assert_eq!(held(&mut world), 0);
    }
}

#[test]
fn a_write_waits_for_a_buffer_and_then_goes_on() {
    let mut world = with_budget(&[("ImmediateData", "No")], PAGE);
    let taken = world.pool.take(1).unwrap();
    world.peer.command(0, &[0x2a; 10], Data::Out(bytes(4096)));
    world.run();
    assert!(world.seen().is_empty() && world.fatal.is_none());
    world.pool.give(taken);
    assert_eq!(world.wait(), Ok(()));
    world.port.handle_input(world.now, &[], &mut world.pool).unwrap();
    world.run();
    assert_eq!(world.outcome(), (0, 0, 0));
}

#[test]
fn immediate_data_waits_for_a_buffer_without_a_deadline() {
    let mut world = with_budget(&[], PAGE);
    let taken = world.pool.take(1).unwrap();
    world.peer.command(0, &[0x2a; 10], Data::Out(bytes(4096)));
    world.run();
    assert!(!world.pending.is_empty());
    for _ in 0..100 {
        assert_eq!(world.wait(), Ok(()));
        world.run();
    }
    world.pool.give(taken);
    world.run();
    assert_eq!(world.outcome(), (0, 0, 0));
}

#[test]
fn immediate_data_is_refused_where_waiting_would_be_for_ourselves() {
    let keys = [("FirstBurstLength", "4096")];
    let mut world = World::new(Settings { answers: Answers::Nobody, ..settings(&keys) }).logging_in();
    world.pool = Pool::new(Budget::new(4 * PAGE));
    world.peer.command(0, &[0x2a; 10], Data::Out(bytes(16_384)));
    world.run();
    assert!(matches!(world.seen()[..], [PeerEvent::Asked(_)]));
    world.peer.command(0, &[0x2a; 10], Data::Out(bytes(4096)));
    world.run();
    assert_eq!(world.outcome(), (0x28, 0, 0), "TASK SET FULL");
    assert_eq!(world.fatal, None);
}

#[test]
fn what_waits_behind_a_gap_gives_its_buffer_to_what_fills_it() {
    let mut world = with_budget(&[], PAGE);
    let lost = world.peer.cmd_sn.take();
    world.peer.command(0, &[0x2a; 10], Data::Out(bytes(4096)));
    world.run();
    world.peer.cmd_sn = lost;
    world.peer.command(0, &[0x2a; 10], Data::Out(bytes(4096)));
    world.run();
    let statuses = world.seen().into_iter().map(|event| match event {
        PeerEvent::Completed(done) => done.status,
        other => panic!("{other:?}"),
    });
    let mut statuses: Vec<u8> = statuses.collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [0, 0x28], "GOOD, and TASK SET FULL");
}

#[test]
fn many_writes_share_few_buffers() {
    let keys = [
        ("ImmediateData", "Yes"),
        ("InitialR2T", "No"),
        ("FirstBurstLength", "8192"),
        ("MaxBurstLength", "16384"),
    ];
    let mut world = with_budget(&keys, 64 * PAGE);
    let mut good = 0;
    for _ in 0..10 {
        for _ in 0..64 {
            world.peer.command(0, &[0x2a; 10], Data::Out(bytes(65_536)));
        }
        world.run();
        let full = |event: &PeerEvent| matches!(event, PeerEvent::Completed(done) if done.status == 0x28);
        let seen = world.seen();
        assert_eq!(seen.len(), 64);
        good += seen.iter().filter(|event| !full(event)).count();
    }
    assert!(good >= 10);
    assert_eq!((held(&mut world), world.fatal), (0, None));
}

#[test]
fn a_read_whose_initiator_left_room_for_nothing_gives_its_buffer_back() {
    let mut world = World::logged_in(&[]);
    world.engine = Engine::Silent;
    world.peer.command(0, &[0x28; 10], Data::None);
    world.run();
    let tag = world.told_command().tag;
    let buf = world.read(512);
    world.good(tag, Some(buf), 512);
    world.run();
    assert_eq!(held(&mut world), 0);
}

#[test]
fn an_answer_after_the_end_gives_its_buffer_back() {
    let mut world = World::logged_in(&[]);
    world.engine = Engine::Silent;
    world.peer.command(0, &[0x28; 10], Data::In(512));
    world.run();
    let tag = world.told_command().tag;
    let buf = world.read(512);
    world.port.handle_closed(&mut world.pool);
    world.good(tag, Some(buf), 512);
    assert_eq!(held(&mut world), 0);
}

#[test]
fn an_idle_session_is_small_again_after_a_burst() {
    let mut world = World::logged_in(&[]);
    for _ in 0..100 {
        world.peer.command(0, &[0x28; 10], Data::In(8192));
    }
    world.run();
    assert_eq!(world.wait(), Ok(()));
    world.run();
    world.peer.command(0, &[0x28; 10], Data::In(8192));
    world.run();
    assert_eq!((world.seen().len(), held(&mut world)), (101, 0));
}

#[test]
fn reads_wait_for_those_before_them_to_be_sent() {
    let mut world = World::logged_in(&[]);
    world.reads = false;
    for _ in 0..64 {
        world.peer.command(0, &[0x28; 10], Data::In(1 << 20));
    }
    world.run();
    assert_eq!(held(&mut world), Limits::default().data_in_bytes_max);
    world.reads = true;
    world.run();
    assert_eq!(world.seen().len(), 64);
}

#[test]
fn a_read_that_waits_for_room_can_be_aborted() {
    let mut world = World::logged_in(&[]);
    world.engine = Engine::Silent;
    for _ in 0..9 {
        world.peer.command(0, &[0x28; 10], Data::In(1 << 20));
    }
    let last = world.peer.command(0, &[0x28; 10], Data::In(1 << 20));
    world.run();
    assert_eq!(world.told_commands(), 8);
    world.peer.manage(TaskManagement::ABORT_TASK, 0, last, world.peer.cmd_sn.previous());
    world.run();
    assert!(matches!(world.seen()[..], [PeerEvent::Managed(_, TaskManagementResponseCode::COMPLETE)]));
    for _ in 0..9 {
        let tag = world.told_command().tag;
        world.good(tag, None, 0);
        world.run();
    }
    assert_eq!((world.told_commands(), world.seen().len()), (0, 9));
}

#[test]
fn data_is_not_asked_for_beyond_what_one_session_may_hold() {
    let keys = [("ImmediateData", "No"), ("MaxBurstLength", "1048576")];
    let mut world = World::new(Settings { answers: Answers::Nobody, ..settings(&keys) }).logging_in();
    for _ in 0..40 {
        world.peer.command(0, &[0x2a; 10], Data::Out(bytes(1 << 20)));
    }
    world.run();
    assert_eq!(held(&mut world), Limits::default().data_out_bytes_max);
    assert_eq!(world.port.poll_timeout(), Some(Time(15_000_000_000)), "nothing is polled for");
    let mut done = 0;
    while done < 40 {
        let seen = world.seen();
        assert!(!seen.is_empty());
        for event in seen {
            match event {
                PeerEvent::Asked(r2t) => {
                    let end = r2t.buffer_offset + r2t.desired_bytes;
                    world.peer.send_data(
                        r2t.initiator_task_tag,
                        r2t.target_transfer_tag,
                        r2t.buffer_offset,
                        end,
                    );
                    world.run();
                }
                PeerEvent::Completed(_) => done += 1,
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(held(&mut world), 0);
}

#[test]
fn writes_that_came_with_data_do_not_wait_for_each_other() {
    let keys = [("FirstBurstLength", "262144"), ("MaxBurstLength", "1048576"), ("InitialR2T", "No")];
    let mut world = World::logged_in(&keys);
    let data = bytes(1 << 20);
    for _ in 0..2 {
        for _ in 0..128 {
            world.peer.command(0, &[0x2a; 10], Data::Out(data.clone()));
        }
        world.run();
        let good = |event: &PeerEvent| matches!(event, PeerEvent::Completed(done) if done.status == 0);
        assert_eq!(world.seen().iter().filter(|event| good(event)).count(), 128);
        world.written.clear();
    }
}

#[test]
fn sessions_that_share_too_little_memory_all_go_on() {
    let keys = [("FirstBurstLength", "65536"), ("MaxBurstLength", "1048576"), ("InitialR2T", "No")];
    let budget = Budget::new(4 << 20);
    let mut worlds: Vec<World> = (0..4).map(|_| World::logged_in(&keys)).collect();
    for world in &mut worlds {
        world.pool = Pool::new(budget.clone());
        for _ in 0..64 {
            world.peer.command(0, &[0x2a; 10], Data::Out(bytes(400_000)));
        }
    }
    let mut done = [0; 4];
    let mut rounds = 0;
    while done != [64; 4] {
        rounds += 1;
        assert!(rounds < 10_000, "{done:?}");
        for (world, done) in worlds.iter_mut().zip(&mut done) {
            world.run();
            assert_eq!(world.fatal, None);
            *done += world.seen().iter().filter(|event| matches!(event, PeerEvent::Completed(_))).count();
            world.pool.trim();
            if world
                .port
                .poll_timeout()
                .is_some_and(|at| at <= world.now + core::time::Duration::from_secs(1))
            {
                assert_eq!(world.wait(), Ok(()));
                world.port.handle_sent(world.now, 0, &mut world.pool);
            }
        }
    }
    assert_eq!(budget.bytes(), 0);
}
