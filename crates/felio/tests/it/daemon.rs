//! The daemon: a configuration that changes while initiators work, and that no crash loses.

use crate::common::PATIENCE;
use crate::common::place::{Place, TARGET, TPG, ask, start, work};
use crate::common::wire::{Wire, pattern, settings};
use felio_iscsi::pdu::LoginStatus;
use rustix::process::Signal;
use serde_json::json;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

#[test]
fn disks_come_and_go_while_another_is_used() {
    let place = Place::new();
    place.set_up();
    let stop = Arc::new(AtomicBool::new(false));
    let worker = work(place.log_in("worker"), Arc::clone(&stop));
    let mut other = place.log_in("other");
    for round in 0..8u64 {
        let lun =
            json!({"change": "create_lun", "tpg": TPG, "storage": "/backstores/fileio/second", "index": 7});
        place.change(json!([place.file("second"), lun])).expect("it is new");
        other.write(7, 0, pattern(round, 512));
        assert_eq!(other.read(7, 0, 1), pattern(round, 512));
        place
            .change(json!([{"change": "delete_storage", "storage": "/backstores/fileio/second"}]))
            .expect("it is there");
        let gone = other.execute(7, &[0; 6], felio_iscsi::peer::Data::None);
        assert_eq!(crate::common::wire::sense(&gone), (5, 0x25, 0));
    }
    stop.store(true, Ordering::Relaxed);
    assert!(worker.join().expect("no error reaches who works on another disk") > 0);
    place.felio.stop();
}

#[test]
fn what_was_answered_is_there_after_a_crash() {
    let mut place = Place::new();
    place.set_up();
    let mut wire = place.log_in("i");
    wire.write(0, 8, pattern(1, 512));
    let before = place.snapshot();
    place.crash();
    assert_eq!(place.snapshot(), before);
    let mut wire = place.log_in("i");
    assert_eq!(wire.read(0, 8, 1), pattern(1, 512));
}

#[test]
fn a_crash_amid_changes_leaves_what_was_before_or_after_one_of_them() {
    let mut place = Place::new();
    place.set_up();
    let mut names = Vec::new();
    for round in 0..6u64 {
        let folder = place.folder.path().to_path_buf();
        let number = names.len();
        let started = Instant::now();
        let changes = |number: usize| {
            let name = format!("d{number}");
            let dev = folder.join(format!("{name}.img"));
            let storage = format!("/backstores/fileio/{name}");
            let lun = json!({"change": "create_lun", "tpg": TPG, "storage": storage});
            json!([{"change": "create_storage", "storage": storage, "backing": {"fileio": {"dev": dev, "size": 65536}}}, lun])
        };
        // Somewhere in the third change or so.
        for more in 0..2 {
            place.change(changes(number + more)).expect("it is new");
        }
        let one = started.elapsed() / 2;
        std::thread::scope(|scope| {
            let folder = &place.folder;
            let body = changes(number + 2).to_string();
            let answer = scope.spawn(move || ask(folder, "POST", "/v1/changes", &body));
            std::thread::sleep(one * u32::try_from(round).expect("small") / 6);
            place.felio.signal(Signal::KILL);
            place.felio.wait(PATIENCE);
            let answered = matches!(answer.join().expect("a thread"), Some((200, _)));
            names.push(true);
            names.push(true);
            names.push(answered);
        });
        place.felio = start(&place.folder, &["--cores", "1"]);
        let config = &place.snapshot()["config"];
        for (number, answered) in names.iter().enumerate() {
            let is_there = !config["storage"][format!("/backstores/fileio/d{number}")].is_null();
            let luns = config["targets"].to_string();
            let leads_there = luns.contains(&format!("/backstores/fileio/d{number}\""));
            assert_eq!(is_there, leads_there, "d{number} is there in part");
            assert!(is_there || !answered, "d{number} was answered");
        }
        // What came through without an answer counts from now on.
        for (number, answered) in names.iter_mut().enumerate() {
            *answered = !config["storage"][format!("/backstores/fileio/d{number}")].is_null();
        }
    }
}

#[test]
fn what_cannot_be_opened_keeps_its_place_and_comes_back_by_itself() {
    let mut place = Place::new();
    place.set_up();
    std::fs::create_dir(place.path("away")).expect("a folder");
    std::fs::rename(place.path("first.img"), place.path("away/first.img")).expect("moved");
    std::fs::create_dir(place.path("first.img")).expect("something else in its place");
    place.crash();
    let snapshot = place.snapshot();
    assert_eq!(snapshot["conditions"]["/backstores/fileio/first"]["condition"], "degraded", "{snapshot}");
    assert_eq!(
        snapshot["config"]["targets"][format!("/iscsi/{TARGET}")]["tpgs"]["1"]["luns"]["0"]["storage"],
        "/backstores/fileio/first"
    );
    // Another change is not refused for it.
    place.change(json!([place.file("other")])).expect("it has nothing to do with that");
    std::fs::remove_dir(place.path("first.img")).expect("a folder");
    std::fs::rename(place.path("away/first.img"), place.path("first.img")).expect("moved");
    let until = Instant::now() + PATIENCE;
    while !place.snapshot()["conditions"].as_object().expect("a map").is_empty() {
        assert!(Instant::now() < until, "it does not come back");
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(place.log_in("i").read(0, 0, 1), [0; 512]);
}

#[test]
fn a_change_that_fails_in_part_does_not_happen() {
    let place = Place::new();
    place.set_up();
    let before = place.snapshot();
    let bad = json!({"change": "create_storage", "storage": "/backstores/fileio/bad", "backing": {"fileio": {"dev": "/proc/nothing/x", "size": 512}}});
    let refusal = place.change(json!([place.file("good"), bad])).expect_err("it cannot be opened");
    assert!(refusal["what"].as_str().is_some_and(|what| what.contains("/proc/nothing")), "{refusal}");
    assert_eq!(place.snapshot(), before);
    place.change(json!([place.file("good")])).expect("nothing of it was kept");
}

#[test]
fn who_is_not_let_in_any_more_is_asked_to_leave_and_the_others_stay() {
    let place = Place::new();
    place.set_up();
    let names = ["stays", "goes"];
    let wwn = |name: &str| format!("iqn.2026-11.org.example:{name}");
    let acl =
        |name: &str| json!({"change": "create_acl", "tpg": TPG, "wwn": wwn(name), "add_mapped_luns": true});
    let closed = json!({"change": "set", "path": TPG, "group": "attribute", "name": "generate_node_acls", "value": "0"});
    place.change(json!([acl(names[0]), acl(names[1]), closed])).expect("valid");
    let [mut stays, mut goes] = names.map(|name| place.log_in(name));
    stays.write(0, 0, pattern(3, 512));
    assert_eq!(goes.read(0, 0, 1), pattern(3, 512));
    place
        .change(json!([{"change": "delete_acl", "acl": format!("{TPG}/acls/{}", wwn(names[1]))}]))
        .expect("it is there");
    goes.wait_closed();
    let status = Wire::try_log_in(place.portal, settings(TARGET, names[1])).err().flatten();
    assert_eq!(status, Some(LoginStatus::AUTHORIZATION_FAILURE));
    assert_eq!(stays.read(0, 0, 1), pattern(3, 512));
    place.change(json!([{"change": "disable_tpg", "tpg": TPG}])).expect("it is enabled");
    stays.wait_closed();
}

#[test]
fn a_disk_grows_under_its_initiator() {
    let place = Place::new();
    place.set_up();
    let mut wire = place.log_in("i");
    let capacity = |wire: &mut Wire| {
        let data = wire.good(0, &[0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0], &felio_iscsi::peer::Data::In(8));
        u32::from_be_bytes([data[0], data[1], data[2], data[3]])
    };
    assert_eq!(capacity(&mut wire), 8191);
    place
        .change(json!([{"change": "resize", "storage": "/backstores/fileio/first", "size": 8 << 20}]))
        .expect("larger");
    assert_eq!(capacity(&mut wire), 16383);
    wire.write(0, 16380, pattern(5, 512));
    assert_eq!(wire.read(0, 16380, 1), pattern(5, 512));
}

#[test]
fn two_daemons_do_not_share_a_configuration() {
    let place = Place::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_felio"));
    command.arg("daemon").arg("--config").arg(place.path("saveconfig.json"));
    command.arg("--socket").arg(place.path("socket2")).arg("--state-dir").arg(place.path("state"));
    let finished = crate::common::finish(command);
    assert_eq!(finished.code, Some(3), "{}", finished.err);
}
