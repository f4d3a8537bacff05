//! Who is let in, who sees what, and what holds for those that are in.

use crate::common::chap::{self, Back, Proof};
use crate::common::wire::{DATA_PROTECT, Wire, pattern, sense, settings};
use crate::common::{Felio, PATIENCE, cdb};
use felio_iscsi::chap::Algorithm;
use felio_iscsi::pdu::LoginStatus;
use felio_iscsi::peer::{Data, PeerEvent, Settings};
use serde_json::json;
use std::net::SocketAddr;
use tempfile::TempDir;

const ALICE: &str = "iqn.2026-11.org.example:alice";
const BOB: &str = "iqn.2026-11.org.example:bob";

fn log_in(felio: &Felio, name: &str) -> Result<Wire, Option<LoginStatus>> {
    Wire::try_log_in(felio.portal(), settings(&felio.target(), name))
}

/// What SendTargets shows.
fn discover(wire: &mut Wire) -> String {
    wire.peer.say(b"SendTargets=All\0");
    match wire.event(PATIENCE) {
        Some(PeerEvent::Text(_, text)) => String::from_utf8(text).expect("text"),
        other => panic!("{other:?}"),
    }
}

fn discovery(initiator: &str) -> Settings {
    Settings { initiator: initiator.to_owned(), ..Settings::default() }
}

fn discover_as(portal: SocketAddr, initiator: &str) -> String {
    let mut wire = Wire::log_in(portal, discovery(initiator));
    let text = discover(&mut wire);
    wire.log_out();
    text
}

#[test]
fn a_name_on_the_list_is_let_in_and_no_other() {
    let felio = Felio::start(&["ram:1M", "--allow", ALICE]);
    log_in(&felio, "alice").expect("on the list").log_out();
    assert_eq!(log_in(&felio, "bob").err(), Some(Some(LoginStatus::AUTHORIZATION_FAILURE)));
    let refused = felio.event("refused");
    assert_eq!((&refused["initiator"], &refused["target"]), (&json!(BOB), &json!(felio.target())));
    felio.stop();
}

#[test]
fn an_address_of_a_listed_network_is_let_in_and_no_other() {
    let inside = Felio::start(&["ram:1M", "--allow", "10.0.0.0/8", "--allow", "127.0.0.0/8"]);
    log_in(&inside, "anyone").expect("from the network").log_out();
    let outside = Felio::start(&["ram:1M", "--allow", "10.0.0.0/8", "--allow", "::1"]);
    assert_eq!(log_in(&outside, "anyone").err(), Some(Some(LoginStatus::AUTHORIZATION_FAILURE)));
}

#[test]
fn another_target_is_not_found() {
    let felio = Felio::start(&["ram:1M"]);
    let wanted = Wire::try_log_in(felio.portal(), settings("iqn.2026-11.org.example:other", "alice"));
    assert_eq!(wanted.err(), Some(Some(LoginStatus::NOT_FOUND)));
    let refused = felio.event("refused");
    assert_eq!(
        (&refused["initiator"], &refused["target"]),
        (&json!(ALICE), &json!("iqn.2026-11.org.example:other"))
    );
}

#[test]
fn discovery_shows_what_may_be_seen() {
    let felio = Felio::start(&["ram:1M", "--allow", ALICE]);
    let text = discover_as(felio.portal(), ALICE);
    assert!(text.contains(&format!("TargetName={}\0", felio.target())), "{text:?}");
    assert!(text.contains(&format!("TargetAddress={},1\0", felio.portal())), "{text:?}");
    let other = Wire::try_log_in(felio.portal(), discovery(BOB));
    assert_eq!(other.err(), Some(Some(LoginStatus::AUTHORIZATION_FAILURE)), "who may see nothing is told so");
}

#[test]
fn every_portal_serves_and_is_shown() {
    let portals = ["--portal", "127.0.0.1:0", "--portal", "[::1]:0", "--portal", "127.0.0.2:0"];
    let felio = Felio::start(&[&["ram:1M"][..], &portals].concat());
    let found = felio.portals();
    let text = discover_as(found[0], ALICE);
    assert_eq!(found.len(), 3);
    for (at, portal) in found.iter().enumerate() {
        assert!(text.contains(&format!("TargetAddress={portal},1\0")), "{portal} in {text:?}");
        let mut wire = Wire::log_in(*portal, settings(&felio.target(), &format!("i{at}")));
        wire.write(0, 8, pattern(1, 4096));
        assert!(wire.read(0, 8, 8) == pattern(1, 4096));
        wire.log_out();
    }
    felio.stop();
}

/// A felio that demands CHAP, and of which it can be demanded.
fn guarded() -> (TempDir, Felio) {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, secret: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, format!("{secret}\n")).expect("a file");
        path.to_str().expect("text").to_owned()
    };
    let (own, back) = (write("own", SECRET), write("back", BACK_SECRET));
    let chap = ["--chap-user", "alice", "--chap-password-file", &own];
    let mutual = ["--mutual-chap-user", "felio", "--mutual-chap-password-file", &back];
    let felio = Felio::start(&[&["ram:1M"][..], &chap, &mutual].concat());
    (folder, felio)
}

const SECRET: &str = "correct horse battery";
const BACK_SECRET: &str = "staple of the target";
const ALGORITHMS: [Algorithm; 4] = [Algorithm::Md5, Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha3_256];

fn proof(algorithm: Algorithm, back: Back) -> Proof {
    Proof { user: "alice", secret: SECRET, algorithm, back }
}

#[test]
fn each_algorithm_lets_in_one_way_and_mutual() {
    let (_folder, felio) = guarded();
    for algorithm in ALGORITHMS {
        for back in [Back::Nothing, Back::Proof("felio", BACK_SECRET)] {
            let wanted = settings(&felio.target(), "alice");
            let mut wire = chap::log_in(felio.portal(), &wanted, &proof(algorithm, back)).expect("let in");
            wire.write(0, 0, pattern(2, 4096));
            assert!(wire.read(0, 0, 8) == pattern(2, 4096));
            wire.log_out();
        }
    }
    felio.stop();
}

#[test]
fn who_cannot_prove_who_it_is_stays_out() {
    let (_folder, felio) = guarded();
    let good = proof(Algorithm::Sha256, Back::Nothing);
    let refuse = |proof: Proof| {
        let wanted = settings(&felio.target(), "alice");
        let login = chap::log_in(felio.portal(), &wanted, &proof);
        assert_eq!(login.err(), Some(LoginStatus::AUTHENTICATION_FAILURE), "{proof:?}");
    };
    refuse(Proof { secret: "another secret", ..good.clone() });
    refuse(Proof { user: "bob", ..good.clone() });
    refuse(Proof { secret: BACK_SECRET, user: "felio", ..good.clone() });
    refuse(Proof { back: Back::Reflection, ..good });
    assert_eq!(
        log_in(&felio, "alice").err(),
        Some(Some(LoginStatus::AUTHENTICATION_FAILURE)),
        "no proof at all"
    );
    let discovery = Wire::try_log_in(felio.portal(), discovery(ALICE));
    assert_eq!(discovery.err(), Some(Some(LoginStatus::AUTHENTICATION_FAILURE)), "discovery neither");
    felio.stop();
}

#[test]
fn discovery_with_a_proof_shows_the_target() {
    let (_folder, felio) = guarded();
    let proof = proof(Algorithm::Sha1, Back::Proof("felio", BACK_SECRET));
    let mut wire = chap::log_in(felio.portal(), &discovery(ALICE), &proof).expect("let in");
    assert!(discover(&mut wire).contains(&felio.target()));
    wire.log_out();
}

#[test]
fn a_read_only_disk_refuses_writes_and_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("disk");
    std::fs::write(&path, pattern(9, 1 << 20)).expect("a file");
    let felio = Felio::start(&[path.to_str().expect("text"), "--read-only"]);
    let mut wire = log_in(&felio, "reader").expect("open");
    assert!(wire.read(0, 0, 2048) == pattern(9, 1 << 20));
    let done = wire.execute(0, &cdb::write(0, 8), Data::Out(vec![0; 4096]));
    assert_eq!((done.status, sense(&done)), (2, (DATA_PROTECT, 0x27, 0)), "WRITE PROTECTED");
    let mode = wire.good(0, &[0x1a, 0, 0x3f, 0, 0xff, 0], &Data::In(255));
    assert_eq!(mode[2] & 0x80, 0x80, "MODE SENSE tells the initiator beforehand");
    wire.log_out();
    felio.stop();
    assert!(std::fs::read(&path).expect("a file") == pattern(9, 1 << 20));
}

#[test]
fn digests_protect_large_transfers_both_ways() {
    let felio = Felio::start(&["ram:16M"]);
    for (header, data) in [("CRC32C", "CRC32C"), ("CRC32C", "None"), ("None,CRC32C", "CRC32C,None")] {
        let mut wanted = settings(&felio.target(), "careful");
        wanted.keys.extend([("HeaderDigest", header.to_owned()), ("DataDigest", data.to_owned())]);
        let mut wire = Wire::log_in(felio.portal(), wanted);
        for (number, blocks) in [(1, 8192), (2, 1), (3, 4095), (4, 2049)] {
            let bytes = pattern(number, usize::from(blocks) * 512);
            wire.write(0, 3, bytes.clone());
            assert!(wire.read(0, 3, blocks) == bytes, "{header} {data} {blocks}");
        }
        wire.log_out();
    }
    felio.stop();
}
