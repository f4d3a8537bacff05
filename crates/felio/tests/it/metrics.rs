//! What the daemon has counted: exactly what initiators did, whichever reactor did it.

use crate::common::place::{Place, TARGET, TPG, ask};
use crate::common::wire::{Wire, pattern, settings};
use crate::common::{PATIENCE, finish};
use crate::reservations::{REGISTER_AND_IGNORE, RESERVE, reserve_out};
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

/// A target whose only initiator is named, and finds the disk as LUN 5.
fn set_up_with_acl(place: &Place) {
    place.set_up();
    let acl = format!("{TPG}/acls/{NAMED}");
    place
        .change(json!([
            {"change": "create_acl", "tpg": TPG, "wwn": NAMED},
            {"change": "create_mapped_lun", "acl": acl, "index": 5, "tpg_lun": 0},
        ]))
        .expect("it is new");
}

const NAMED: &str = "iqn.2026-11.org.example:named";

#[test]
fn what_comes_to_a_number_is_counted_there_for_each_initiator() {
    let place = Place::with(&["--cores", "2"]);
    set_up_with_acl(&place);
    let mut anybody = place.log_in("anybody");
    let mut named = place.log_in("named");
    named.write(5, 0, pattern(1, 4096));
    anybody.read(0, 0, 8);
    anybody.execute(0, &[0xff, 0, 0, 0, 0, 0], Data::None);
    let luns = || ask(&place.folder, "GET", "/v1/stats", "").expect("an answer").1["luns"].clone();
    let before = luns();
    named.write(5, 0, pattern(2, 4096));
    anybody.read(0, 0, 8);
    anybody.execute(0, &[0xff, 0, 0, 0, 0, 0], Data::None);
    let after = luns();
    let of = |luns: &Value, initiator: Value| {
        let luns = luns.as_array().expect("a list");
        luns.iter().find(|lun| lun["initiator"] == initiator).expect("it is counted").clone()
    };
    for (initiator, number, commands, errors, bytes_in, bytes_out) in
        [(json!(NAMED), 5, 1, 0, 0, 4096), (Value::Null, 0, 2, 1, 4096, 0)]
    {
        let (before, after) = (of(&before, initiator.clone()), of(&after, initiator));
        assert_eq!((&after["mapped_lun"], &after["lun"]), (&json!(number), &json!(0)), "{after}");
        let counts =
            ["/commands", "/errors", "/bytes_in", "/bytes_out"].map(|name| grown(&before, &after, name));
        assert_eq!(counts, [commands, errors, bytes_in, bytes_out], "{after}");
    }
    // What changes elsewhere changes nothing of what was counted.
    place.change(json!([place.file("second")])).expect("it is new");
    assert_eq!(luns(), after);
    named.log_out();
    anybody.log_out();
}

#[test]
fn what_becomes_of_logins_is_counted_of_their_target() {
    let place = Place::with(&[]);
    place.set_up();
    let wire = place.log_in("a");
    place.felio.event("login");
    wire.log_out();
    place.felio.event("logout");
    place.change(json!([{"change": "set", "path": TPG, "group": "attribute", "name": "generate_node_acls", "value": "0"}]))
        .expect("it can be changed");
    assert!(Wire::try_log_in(place.portal, settings(TARGET, "b")).is_err(), "it has no ACL");
    place.felio.event("refused");
    let stats = ask(&place.folder, "GET", "/v1/stats", "").expect("an answer").1;
    let target = &stats["targets"][0];
    let counts = ["accepted", "not_authorized", "not_authenticated", "failed_otherwise", "logouts", "losses"];
    assert_eq!(counts.map(|name| target[name].as_u64()), [1, 1, 0, 0, 1, 0].map(Some), "{target}");
    assert_eq!(target["last_failed"]["initiator"], "iqn.2026-11.org.example:b");
    assert_eq!(target["last_failed"]["address"], "127.0.0.1");
}

#[test]
fn a_session_tells_what_was_negotiated() {
    let place = Place::with(&[]);
    place.set_up();
    place
        .change(json!([
            {"change": "set", "path": TPG, "group": "parameter", "name": "MaxBurstLength", "value": "131072"},
        ]))
        .expect("it can be changed");
    let wire = place.log_in("a");
    place.felio.event("login");
    let (_, sessions) = ask(&place.folder, "GET", "/v1/sessions", "").expect("an answer");
    let session = &sessions[0];
    let local = place.portal.to_string();
    assert_eq!(session["connections"][0]["local"], json!(local), "{session}");
    assert!(session["initiator_port"].as_str().is_some_and(|port| port.contains(",i,0x")), "{session}");
    assert_eq!((&session["authenticated"], &session["user"]), (&json!(false), &Value::Null));
    for (name, value) in [("MaxBurstLength", "131072"), ("HeaderDigest", "None"), ("ErrorRecoveryLevel", "0")]
    {
        assert_eq!(session["parameters"][name], json!(value), "{session}");
    }
    wire.log_out();
}

#[test]
fn who_has_reserved_a_disk_is_told() {
    let place = Place::with(&["--cores", "2"]);
    place.set_up();
    let look =
        || ask(&place.folder, "GET", "/v1/reservations/backstores/fileio/first", "").expect("an answer");
    assert_eq!(look().1["kind"], Value::Null);
    let mut wire = place.log_in("a");
    wire.read(0, 0, 1);
    reserve_out(&mut wire, REGISTER_AND_IGNORE, 0, 0xabcd, 0);
    reserve_out(&mut wire, RESERVE, 0xabcd, 0, 0);
    let (status, shown) = look();
    assert_eq!(status, 200, "{shown}");
    let port = shown["holder"]["initiator_port"].as_str().expect("a name");
    assert!(port.starts_with("iqn.2026-11.org.example:a,i,0x"), "{shown}");
    assert_eq!((&shown["kind"], &shown["aptpl"]), (&json!(1), &json!(false)));
    assert_eq!(shown["registrations"][0]["key"], json!(0xabcd));
    let none = ask(&place.folder, "GET", "/v1/reservations/backstores/fileio/none", "").expect("an answer");
    assert_eq!(none.0, 404);
    wire.log_out();
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
            "felio_lun_received_bytes_total{{{place_of},lun=\"0\",storage=\"/backstores/fileio/first\"}} 12288"
        ),
        format!("felio_target_logins_total{{target=\"{TARGET}\"}} 1"),
        "felio_fabric_received_bytes_total{fabric=\"iscsi\"} 12288".to_owned(),
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
