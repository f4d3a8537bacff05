//! What signals do to the daemon: SIGHUP takes up the file again, SIGTERM drains, a second one ends at once.

use crate::common::PATIENCE;
use crate::common::place::{Place, TPG};
use crate::common::wire::pattern;
use crate::lifecycle::asked_to_log_out;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Signals that come sooner after the first are taken for its echo.
const ECHO: Duration = Duration::from_millis(300);

#[test]
fn a_reload_takes_up_what_is_other_and_leaves_the_rest_alone() {
    let place = Place::new();
    place.set_up();
    place.change(json!([place.file("second"), place.file("third")])).expect("they are new");
    let mut wire = place.log_in("i");
    wire.write(0, 0, pattern(1, 512));
    let file = place.path("saveconfig.json");
    let mut saved: Value =
        serde_json::from_slice(&std::fs::read(&file).expect("it was saved")).expect("JSON");
    saved["storage_objects"].as_array_mut().expect("a list").retain(|object| object["name"] != "third");
    saved["targets"][0]["tpgs"][0]["attributes"]["login_timeout"] = json!(25);
    std::fs::write(&file, saved.to_string()).expect("there is room");
    place.felio.signal(Signal::HUP);
    place.felio.event("reloaded");
    let config = &place.snapshot()["config"];
    let names: Vec<&String> = config["storage"].as_object().expect("a map").keys().collect();
    assert_eq!(names, ["/backstores/fileio/first", "/backstores/fileio/second"]);
    let tpg = &config["targets"]["/iscsi/iqn.2026-01.net.x:t"]["tpgs"]["1"];
    assert!(tpg.to_string().contains("\"login_timeout\":25"), "{tpg}");
    // The very session, without a unit attention.
    assert_eq!(wire.read(0, 0, 1), pattern(1, 512));
    wire.log_out();
    place.felio.stop();
}

#[test]
fn a_file_that_cannot_be_read_changes_nothing() {
    let place = Place::new();
    place.set_up();
    let before = place.snapshot();
    std::fs::write(place.path("saveconfig.json"), "{").expect("there is room");
    place.felio.signal(Signal::HUP);
    let refused = place.felio.event("refused");
    assert!(refused["text"].as_str().is_some_and(|text| text.contains("saveconfig.json")), "{refused}");
    assert_eq!(place.snapshot(), before);
    place.change(json!([{"change": "disable_tpg", "tpg": TPG}])).expect("it goes on");
    place.felio.stop();
}

#[test]
fn a_stop_asks_initiators_to_log_out_and_ends_well_when_they_have() {
    let mut place = Place::new();
    place.set_up();
    let mut wire = place.log_in("i");
    wire.write(0, 0, pattern(2, 4096));
    place.felio.signal(Signal::TERM);
    asked_to_log_out(&mut wire);
    // What is begun before it logs out is finished.
    wire.write(0, 8, pattern(3, 4096));
    wire.log_out();
    assert_eq!(place.felio.wait(PATIENCE), Some(0));
    let kept = std::fs::read(place.path("first.img")).expect("a file");
    assert!(kept[..4096] == pattern(2, 4096) && kept[4096..8192] == pattern(3, 4096));
    assert!(!place.path("socket").exists());
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut place = Place::new();
    place.set_up();
    let mut wire = place.log_in("stubborn");
    place.felio.signal(Signal::TERM);
    asked_to_log_out(&mut wire);
    std::thread::sleep(ECHO);
    let start = Instant::now();
    place.felio.signal(Signal::TERM);
    assert_eq!(place.felio.wait(PATIENCE), Some(143));
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}
