//! What the daemon has counted: exactly what initiators did, whichever reactor did it.

use crate::common::place::{Place, TARGET, ask};
use crate::common::wire::{Wire, pattern};
use crate::common::{PATIENCE, finish};
use felio_iscsi::peer::Data;
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;

/// The counts of the only storage object, target port and session.
struct Counts {
    storage: Value,
    port: Value,
    session: Value,
}

fn counts(place: &Place) -> Counts {
    let (status, stats) = ask(&place.folder, "GET", "/v1/stats", "").expect("an answer");
    assert_eq!(status, 200, "{stats}");
    let only = |name: &str| {
        assert_eq!(stats[name].as_array().map(Vec::len), Some(1), "{stats}");
        stats[name][0].clone()
    };
    assert_eq!(stats["total"]["commands"], only("ports")["commands"]);
    Counts { storage: only("storage"), port: only("ports"), session: only("sessions") }
}

/// By how much a number has grown; where it is left out it is zero.
fn grown(before: &Value, after: &Value, pointer: &str) -> u64 {
    let at = |value: &Value| value.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
    at(after) - at(before)
}

/// How many times are in a histogram's buckets.
fn times(value: &Value) -> u64 {
    value["buckets"].as_array().expect("a list").iter().filter_map(Value::as_u64).sum()
}

fn work(wire: &mut Wire) {
    for round in 0..3 {
        wire.write(0, round * 8, pattern(u64::from(round), 4096));
    }
    for round in 0..5 {
        wire.read(0, round, 1);
    }
    wire.good(0, &[0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0], &Data::None);
    wire.execute(0, &[0xff, 0, 0, 0, 0, 0], Data::None);
}

fn every_command_is_counted(cores: &str) {
    let place = Place::with(&["--cores", cores]);
    place.set_up();
    // With two reactors one of the two sessions is not served where the disk is at home.
    let mut wires = [place.log_in("a"), place.log_in("b")];
    wires.iter_mut().for_each(|wire| drop(wire.read(0, 0, 1)));
    for wire in &mut wires {
        let before = ask(&place.folder, "GET", "/v1/stats", "").expect("an answer").1;
        work(wire);
        let after = ask(&place.folder, "GET", "/v1/stats", "").expect("an answer").1;
        for kind in ["storage", "ports"] {
            let grown = |pointer: &str| grown(&before[kind][0], &after[kind][0], pointer);
            assert_eq!(grown("/commands/read"), 5, "{after}");
            assert_eq!(grown("/commands/write"), 3);
            assert_eq!(grown("/commands/flush"), 1);
            assert_eq!(grown("/commands/other"), 1);
            assert_eq!((grown("/bytes_in"), grown("/bytes_out")), (5 * 512, 3 * 4096));
            assert_eq!(grown("/check_conditions/illegal_request"), 1);
            assert_eq!(times(&after[kind][0]["latency"]) - times(&before[kind][0]["latency"]), 10);
            assert_eq!(after[kind][0]["in_flight"], 0);
        }
        let store = |stats: &Value| times(&stats["storage"][0]["store"]);
        assert!(store(&after) - store(&before) >= 9, "eight transfers and a flush: {after}");
    }
}

#[test]
fn every_command_is_counted_with_its_bytes_and_its_end() {
    every_command_is_counted("1");
}

#[test]
fn every_command_is_counted_once_where_two_reactors_share_a_disk() {
    every_command_is_counted("2");
}

#[test]
fn a_session_has_counts_of_its_own_and_its_port_keeps_them() {
    let place = Place::with(&[]);
    place.set_up();
    let mut first = place.log_in("first");
    place.felio.event("login");
    work(&mut first);
    let before = counts(&place);
    assert_eq!(before.session["commands"]["read"], 5);
    assert_eq!(before.session["initiator"], "iqn.2026-11.org.example:first");
    assert_eq!(before.storage["storage"], "/backstores/fileio/first");
    assert_eq!(before.port["sessions"], 1);
    first.log_out();
    place.felio.event("logout");
    let mut second = place.log_in("second");
    place.felio.event("login");
    second.read(0, 0, 1);
    let after = counts(&place);
    // Its first READ was told that the unit is new to it, and sent again.
    assert_eq!(after.session["commands"]["read"], 2, "it is another session");
    assert_eq!(after.session["check_conditions"]["unit_attention"], 1);
    assert_eq!(grown(&before.port, &after.port, "/commands/read"), 2, "the port has had both");
    assert_eq!(grown(&before.storage, &after.storage, "/attentions_told"), 1);
}

#[test]
fn metrics_are_openmetrics_text_on_tcp_and_nothing_else_is_there() {
    let place = Place::with(&["--metrics-listen", "0"]);
    place.set_up();
    let address = place.felio.event("metrics")["text"].as_str().expect("text").to_owned();
    let mut wire = place.log_in("a");
    place.felio.event("login");
    work(&mut wire);
    let (address, path) = address.trim_start_matches("http://").split_once('/').expect("a path");
    let get = |path: &str| {
        let mut socket = TcpStream::connect(address).expect("it listens");
        socket.set_read_timeout(Some(PATIENCE)).expect("a time");
        let request = format!("GET {path} HTTP/1.1\r\nhost: felio\r\nconnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("text");
        answer
    };
    let page = get(&format!("/{path}"));
    assert!(page.contains("content-type: application/openmetrics-text; version=1.0.0"), "{page}");
    assert!(page.contains("# EOF\n"), "{page}");
    let place_of = format!("target=\"{TARGET}\",tpg=\"1\"");
    for line in [
        "felio_storage_commands_total{storage=\"/backstores/fileio/first\",kind=\"read\"} 5".to_owned(),
        "felio_storage_received_bytes_total{storage=\"/backstores/fileio/first\"} 12288".to_owned(),
        format!("felio_port_check_conditions_total{{{place_of},sense_key=\"illegal_request\"}} 1"),
        format!(
            "felio_session_commands_total{{{place_of},initiator=\"iqn.2026-11.org.example:a\",kind=\"flush\"}} 1"
        ),
    ] {
        assert!(page.lines().any(|other| other == line), "no {line} in {page}");
    }
    assert!(get("/v1/snapshot").starts_with("HTTP/1.1 404"));
    // As long as it is logged in, its session is told of.
    wire.log_out();
}

#[test]
fn top_prints_one_sample_for_programs() {
    let place = Place::with(&[]);
    place.set_up();
    work(&mut place.log_in("a"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_felio"));
    command.args(["top", "--json", "--every", "50", "--socket"]).arg(place.folder.path().join("socket"));
    let finished = finish(command);
    assert_eq!(finished.code, Some(0), "{}", finished.err);
    let sample: Value = serde_json::from_str(&finished.out).expect("JSON");
    assert_eq!(sample["storage"][0]["name"], "/backstores/fileio/first");
    assert_eq!(
        (&sample["storage"][0]["commands"], &sample["storage"][0]["in_flight"]),
        (&json!(0), &json!(0))
    );
}
