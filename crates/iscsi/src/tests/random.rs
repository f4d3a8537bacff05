//! Random work in random pieces, and random bytes.

use super::*;
use crate::pdu::{TaskManagementFunction as Function, TaskTag};
use crate::peer::Data;
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Act {
    Read(u32),
    Write(u32),
    Nothing,
    Ping(usize),
    Abort,
    Run,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        (1..200_000_u32).prop_map(Act::Read),
        (1..200_000_u32).prop_map(Act::Write),
        Just(Act::Nothing),
        (0..5000_usize).prop_map(Act::Ping),
        Just(Act::Abort),
        Just(Act::Run),
    ]
}

fn keys() -> impl Strategy<Value = Vec<(&'static str, String)>> {
    let digest = || prop::sample::select(vec!["None", "CRC32C"]);
    let boolean = || prop::sample::select(vec!["Yes", "No"]);
    (digest(), digest(), boolean(), boolean(), 1..5_u32, 512..70_000_u32, 512..70_000_u32, 512..20_000_u32)
        .prop_map(|(header, data, immediate, initial, r2ts, burst, first, segment)| {
            vec![
                ("HeaderDigest", header.to_owned()),
                ("DataDigest", data.to_owned()),
                ("ImmediateData", immediate.to_owned()),
                ("InitialR2T", initial.to_owned()),
                ("MaxOutstandingR2T", r2ts.to_string()),
                ("MaxBurstLength", burst.to_string()),
                ("FirstBurstLength", first.to_string()),
                ("MaxRecvDataSegmentLength", segment.to_string()),
            ]
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Every command is answered, every byte arrives, every rule that the peer watches is kept, every buffer comes home.
    #[test]
    fn any_work_in_any_pieces_is_done(keys in keys(), acts in prop::collection::vec(act(), 1..24), piece in 1..9000_usize, share in 1..200_000_usize) {
        let limits = Limits { data_in_bytes_max: share, data_out_bytes_max: share, ..Limits::default() };
        let settings = Settings { target: Some(TARGET.to_owned()), keys, ..Settings::default() };
        let mut world = World::with_limits(settings, limits).logging_in();
        world.piece = piece;
        let (mut expected, mut aborts, mut writes) = (0, 0, Vec::new());
        let mut last = TaskTag(0);
        for act in acts {
            if !world.peer.has_window() {
                world.run();
            }
            expected += 1;
            match act {
                Act::Read(count) => last = world.peer.command(0, &[0x28; 10], Data::In(count)),
                Act::Write(count) => {
                    writes.push(count);
                    last = world.peer.command(0, &[0x2a; 10], Data::Out(bytes(count)));
                }
                Act::Nothing => last = world.peer.command(0, &[0; 6], Data::None),
                Act::Ping(count) => drop(world.peer.ping(&vec![7; count])),
                Act::Abort => {
                    aborts += 1;
                    let cmd_sn = world.peer.cmd_sn.previous();
                    world.peer.manage(Function::ABORT_TASK, 0, last, cmd_sn);
                }
                Act::Run => {
                    expected -= 1;
                    world.run();
                }
            }
        }
        world.run();
        prop_assert_eq!(world.fatal, None);
        let seen = world.seen();
        prop_assert!(seen.len() <= expected && seen.len() + aborts >= expected, "{} of {expected}", seen.len());
        for event in &seen {
            if let PeerEvent::Completed(done) = event {
                prop_assert_eq!((done.status, done.residual), (0, 0));
                prop_assert!(done.data.iter().enumerate().all(|(at, byte)| *byte == pattern(at)));
            }
        }
        for written in &world.written {
            prop_assert_eq!(written, &bytes(u32::try_from(written.len()).unwrap()));
        }
        prop_assert!(world.written.len() <= writes.len() && world.written.len() + aborts >= writes.len());
        world.port.handle_closed(&mut world.pool);
        world.pool.trim();
        prop_assert_eq!(world.pool.budget().bytes(), 0);
    }

    /// Garbage from the first byte on neither panics nor grows.
    #[test]
    fn random_bytes_before_login_do_no_harm(garbage in prop::collection::vec(any::<u8>(), 0..2000)) {
        let mut world = World::new(settings(&[]));
        let _ = world.peer.take_output();
        world.pending = garbage;
        world.run();
        world.port.handle_closed(&mut world.pool);
        world.pool.trim();
        prop_assert_eq!(world.pool.budget().bytes(), 0);
    }

    /// Headers of real opcodes with random fields, in full feature phase.
    #[test]
    fn random_headers_in_full_feature_phase_do_no_harm(
        headers in prop::collection::vec((prop::sample::select(vec![0_u8, 1, 2, 4, 5, 6, 16]), any::<[u8; 32]>(), 0..64_u8, any::<bool>()), 1..40),
        piece in 1..500_usize,
    ) {
        let mut world = World::logged_in(&[]);
        world.piece = piece;
        for (opcode, random, length, close) in headers {
            let mut header = [0; 48];
            header[0] = opcode | if random[0] & 1 == 1 { 0x40 } else { 0 };
            header[1] = random[1];
            header[7] = length;
            header[8..16].copy_from_slice(&random[2..10]);
            header[16..48].copy_from_slice(&random);
            if close {
                // Tags and numbers that mean something.
                header[8..16].fill(0);
                header[16..20].copy_from_slice(&[0, 0, 0, random[3] & 3]);
                header[20..24].copy_from_slice(&[0, 0, random[4] & 1, random[5]]);
                header[24..28].copy_from_slice(&world.peer.cmd_sn.0.to_be_bytes());
                world.peer.cmd_sn += u32::from(random[6] & 1);
            }
            world.pending.extend_from_slice(&header);
            let padded = usize::from(length).next_multiple_of(4);
            world.pending.extend(core::iter::repeat_n(0x55, padded));
            world.raw = true;
            world.run();
        }
        world.port.handle_closed(&mut world.pool);
        world.told.clear();
        world.pool.trim();
        prop_assert_eq!(world.pool.budget().bytes(), 0);
    }
}
