//! Draining: nobody new gets there, who is there leaves, and what has not ended is told.

use crate::common::place::{Place, TARGET, TPG, ask};
use crate::common::wire::{Wire, settings};
use felio_iscsi::peer::{Data, PeerEvent};
use serde_json::json;

//= SPC-4 "Fixed format sense data"
const LU_NOT_SUPPORTED: [u8; 2] = [0x25, 0x00];

/// Logs out as soon as it is asked to.
fn obey(mut wire: Wire) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        while !matches!(wire.event(crate::common::PATIENCE), Some(PeerEvent::Async(_))) {}
        wire.log_out();
    })
}

#[test]
fn a_drained_portal_group_lets_nobody_in_until_it_is_served_again() {
    let place = Place::new();
    place.set_up();
    let leaving = obey(place.log_in("a"));
    place.felio.event("login");
    let (said, is_error) = place.line(&format!("{TPG} drain"));
    assert!(!is_error && said.contains("is drained"), "{said}");
    leaving.join().expect("it was asked to log out");
    assert!(std::net::TcpStream::connect(place.portal).is_err(), "nobody listens there");
    let shown = place.snapshot();
    assert_eq!(shown["conditions"][TPG]["condition"], "drained");
    assert_eq!(shown["config"]["targets"][format!("/iscsi/{TARGET}")]["tpgs"]["1"]["enable"], json!(true));
    // What is changed meanwhile does not end it.
    place.change(json!([place.file("second")])).expect("it is new");
    assert!(std::net::TcpStream::connect(place.portal).is_err(), "nobody listens there");
    let (said, is_error) = place.line(&format!("{TPG} drain off=true"));
    assert!(!is_error, "{said}");
    place.log_in("b").log_out();
}

#[test]
fn who_does_not_leave_in_time_is_told_of() {
    let place = Place::new();
    place.set_up();
    let stubborn = place.log_in("a");
    place.felio.event("login");
    let (said, is_error) = place.line("/ drain timeout=0");
    assert!(is_error && said.contains("still logged in: iqn.2026-11.org.example:a; "), "{said}");
    drop(stubborn);
    place.felio.event("logout");
    let (said, is_error) = place.line("/ drain");
    assert!(!is_error, "{said}");
}

#[test]
fn a_drained_lun_is_not_found_and_its_session_stays() {
    let place = Place::new();
    place.set_up();
    let mut wire = place.log_in("a");
    place.felio.event("login");
    wire.read(0, 0, 1);
    let (said, is_error) = place.line(&format!("{TPG}/luns/lun0 drain"));
    assert!(!is_error, "{said}");
    let done = wire.execute(0, &crate::common::cdb::TEST_UNIT_READY, Data::None);
    assert_eq!(done.sense[12..14], LU_NOT_SUPPORTED);
    let (said, is_error) = place.line(&format!("{TPG}/luns/lun0 drain off=true"));
    assert!(!is_error, "{said}");
    wire.read(0, 0, 1);
    wire.log_out();
    assert!(Wire::try_log_in(place.portal, settings(TARGET, "b")).is_ok());
    assert_eq!(ask(&place.folder, "GET", "/v1/snapshot", "").expect("an answer").1["conditions"], json!({}));
}
