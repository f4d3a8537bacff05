//! What an operator changes while initiators work, and what they notice of it.

use crate::common::cdb;
use crate::common::chap::{self, Back, Proof};
use crate::common::place::{Place, TARGET, TPG, ask, work};
use crate::common::wire::{Wire, pattern, settings};
use crate::lifecycle::{asked, asked_to_log_out};
use felio_iscsi::chap::Algorithm;
use felio_iscsi::pdu::LoginStatus;
use felio_iscsi::peer::{Answers, Data, Settings};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const INITIATOR: &str = "iqn.2026-11.org.example:alice";

fn set(path: &str, group: &str, name: &str, value: &str) -> Value {
    json!({"change": "set", "path": path, "group": group, "name": name, "value": value})
}

/// An initiator that sends no data but what it was asked for, and that only when the test does.
fn slow(name: &str) -> Settings {
    let keys = [("ImmediateData", "No"), ("InitialR2T", "Yes")].map(|(key, value)| (key, value.to_owned()));
    Settings { answers: Answers::Nobody, keys: keys.to_vec(), ..settings(TARGET, name) }
}

/// The number of an initiator's session.
fn session_of(place: &Place, initiator: &str) -> Value {
    let (_, sessions) = ask(&place.folder, "GET", "/v1/sessions", "").expect("an answer");
    let sessions = sessions.as_array().expect("a list");
    sessions.iter().find(|session| session["initiator"] == initiator).expect("logged in")["id"].clone()
}

#[test]
fn a_secret_is_another_for_the_next_login_and_who_is_in_stays() {
    let place = Place::new();
    place.set_up();
    let acl = format!("{TPG}/acls/{INITIATOR}");
    let create = json!({"change": "create_acl", "tpg": TPG, "wwn": INITIATOR, "add_mapped_luns": true});
    let (user, secret) =
        (set(&acl, "auth", "userid", "alice"), set(&acl, "auth", "password", "the first secret"));
    place.change(json!([create, set(TPG, "attribute", "authentication", "1"), user, secret])).expect("valid");
    let log_in = |secret| {
        let proof = Proof { user: "alice", secret, algorithm: Algorithm::Sha256, back: Back::Nothing };
        chap::log_in(place.portal, &settings(TARGET, "alice"), &proof)
    };
    let stop = Arc::new(AtomicBool::new(false));
    let worker = work(log_in("the first secret").expect("let in"), Arc::clone(&stop));
    place.change(json!([set(&acl, "auth", "password", "the second one")])).expect("valid");
    assert!(matches!(log_in("the first secret"), Err(LoginStatus::AUTHENTICATION_FAILURE)));
    assert!(!worker.is_finished(), "the secret was needed for the login only");
    stop.store(true, Ordering::Relaxed);
    assert!(worker.join().expect("no error reaches who is in") > 0);
    log_in("the second one").expect("let in").log_out();
    place.felio.stop();
}

#[test]
fn a_portal_group_that_is_disabled_finishes_what_runs() {
    let place = Place::new();
    place.set_up();
    let mut wire = Wire::log_in(place.portal, slow("i"));
    wire.good(0, &cdb::TEST_UNIT_READY, &Data::None);
    let itt = wire.peer.command(0, &cdb::write(8, 8), Data::Out(pattern(1, 4096)));
    let r2t = asked(&mut wire);
    place.change(json!([{"change": "disable_tpg", "tpg": TPG}])).expect("it is enabled");
    asked_to_log_out(&mut wire);
    let (from, bytes) = (r2t.buffer_offset, r2t.desired_bytes);
    wire.peer.send_data(itt, r2t.target_transfer_tag, from, from + bytes);
    assert_eq!(wire.completed(itt).status, 0, "what ran is finished");
    wire.log_out();
    assert!(std::fs::read(place.path("first.img")).expect("a file")[4096..8192] == pattern(1, 4096));
    assert!(std::net::TcpStream::connect(place.portal).is_err(), "nobody listens there");
    place.felio.stop();
}

#[test]
fn a_session_that_is_ended_finishes_what_runs_and_may_come_again() {
    let place = Place::new();
    place.set_up();
    let mut wire = Wire::log_in(place.portal, slow("alice"));
    place.felio.event("login");
    let session = session_of(&place, INITIATOR);
    let mut other = place.log_in("bob");
    wire.good(0, &cdb::TEST_UNIT_READY, &Data::None);
    let itt = wire.peer.command(0, &cdb::write(8, 8), Data::Out(pattern(1, 4096)));
    let r2t = asked(&mut wire);
    let (said, is_error) = place.line(&format!("sessions end {session}"));
    assert!(!is_error && said.contains("alice is asked to log out"), "{said}");
    asked_to_log_out(&mut wire);
    let (from, bytes) = (r2t.buffer_offset, r2t.desired_bytes);
    wire.peer.send_data(itt, r2t.target_transfer_tag, from, from + bytes);
    assert_eq!(wire.completed(itt).status, 0, "what ran is finished");
    wire.log_out();
    other.good(0, &cdb::TEST_UNIT_READY, &Data::None);
    place.log_in("alice").log_out();
    place.felio.stop();
}

#[test]
fn a_session_that_does_not_end_when_asked_is_cut_off() {
    let place = Place::new();
    place.set_up();
    let mut stubborn = place.log_in("alice");
    place.felio.event("login");
    let session = session_of(&place, INITIATOR);
    let at = format!("/v1/sessions/{session}");
    let (status, shown) = ask(&place.folder, "GET", &at, "").expect("it is there");
    assert_eq!((status, shown["id"].clone()), (200, session.clone()));
    let (status, ended) = ask(&place.folder, "DELETE", &at, "").expect("it is there");
    assert_eq!((status, ended["id"].clone()), (200, session));
    stubborn.wait_closed();
    place.felio.event("logout");
    for (method, at) in
        ["GET", "DELETE"].into_iter().flat_map(|method| [(method, at.as_str()), (method, "/v1/sessions/x")])
    {
        let (status, refusal) = ask(&place.folder, method, at, "").expect("an answer");
        assert_eq!((status, refusal["kind"].as_str()), (404, Some("not_found")), "{refusal}");
    }
    place.felio.stop();
}
