//! Digests in both directions, and PDUs that come byte by byte.

use super::*;
use crate::peer::Data;

const COMBINATIONS: [(&str, &str); 4] =
    [("None", "None"), ("CRC32C", "None"), ("None", "CRC32C"), ("CRC32C", "CRC32C")];

fn with_digests(header: &str, data: &str) -> World {
    World::logged_in(&[
        ("HeaderDigest", header),
        ("DataDigest", data),
        ("InitialR2T", "No"),
        ("FirstBurstLength", "1024"),
    ])
}

#[test]
fn every_combination_of_digests_carries_data_in_pieces_of_any_size() {
    for (header, data) in COMBINATIONS {
        for piece in [1, 7, 48, 53, 4096] {
            let mut world = with_digests(header, data);
            world.piece = piece;
            world.peer.command(0, &[0x2a; 10], Data::Out(bytes(3001)));
            world.peer.command(0, &[0x28; 10], Data::In(3001));
            world.run();
            assert_eq!(world.written, [bytes(3001)], "{header} {data} {piece}");
            let read = world.seen().into_iter().find_map(|event| match event {
                PeerEvent::Completed(done) if !done.data.is_empty() => Some(done.data),
                _ => None,
            });
            assert_eq!(read, Some(bytes(3001)));
        }
    }
}

#[test]
fn a_wrong_header_digest_ends_the_connection() {
    let mut world = with_digests("CRC32C", "None");
    world.peer.command(0, &[0; 6], Data::None);
    let mut sent = world.peer.take_output();
    sent[20] ^= 1;
    world.pending = sent;
    world.run();
    assert_eq!(world.fatal, Some(Fatal("header digest error")));
    assert!(world.told.is_empty());
}

#[test]
fn a_wrong_data_digest_is_rejected_and_ends_the_connection() {
    let mut world = with_digests("None", "CRC32C");
    world.peer.ping(b"data");
    let mut sent = world.peer.take_output();
    sent[48] ^= 1;
    world.pending = sent;
    world.run();
    world.turn();
    assert_eq!(world.fatal, Some(Fatal("data digest error")));
    assert_eq!(world.rejections(), [RejectReason::DATA_DIGEST_ERROR]);
}
