//! Login, commands, pings and logout.

use super::*;
use crate::pdu::LogoutReason;
use crate::peer::{Completed, Data};
use felio_hal::port::LossReason;

fn completed(world: &mut World) -> Completed {
    match world.seen().as_slice() {
        [PeerEvent::Completed(completed)] => completed.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_initiator_logs_in_and_reads() {
    let mut world = World::logged_in(&[]);
    world.peer.command(0, &[0x28; 10], Data::In(4096));
    world.run();
    let done = completed(&mut world);
    assert_eq!((done.status, done.residual, done.collapsed), (0, 0, true));
    assert!(done.data.iter().enumerate().all(|(at, byte)| *byte == pattern(at)));
}

#[test]
fn an_initiator_writes_with_whatever_was_negotiated() {
    for immediate in ["Yes", "No"] {
        for initial in ["Yes", "No"] {
            for r2ts in ["1", "4"] {
                for bytes in [1_u32, 511, 4096, 65_536, 300_000, 1_048_576] {
                    let keys = [
                        ("ImmediateData", immediate),
                        ("InitialR2T", initial),
                        ("MaxOutstandingR2T", r2ts),
                        ("MaxBurstLength", "65536"),
                        ("FirstBurstLength", "16384"),
                    ];
                    let mut world = World::logged_in(&keys);
                    let data = super::bytes(bytes);
                    world.peer.command(0, &[0x2a; 10], Data::Out(data.clone()));
                    world.run();
                    assert_eq!((completed(&mut world).status, world.written[0] == data), (0, true));
                }
            }
        }
    }
}

#[test]
fn a_ping_comes_back_with_its_data() {
    let mut world = World::logged_in(&[]);
    let itt = world.peer.ping(b"hello");
    world.run();
    assert_eq!(world.seen(), [PeerEvent::Pong(itt, b"hello".to_vec())]);
}

#[test]
fn logout_ends_the_nexus_and_then_the_connection() {
    let mut world = World::logged_in(&[]);
    world.peer.log_out(LogoutReason::CLOSE_SESSION, 0);
    world.run();
    assert!(matches!(world.told[..], [PortEvent::NexusLoss { reason: LossReason::Logout }]));
    assert!(matches!(world.seen()[..], [PeerEvent::LoggedOut(_)]));
    assert!(world.port.is_finished());
}
