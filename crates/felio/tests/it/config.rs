//! `felio config`: whole configurations, planned, applied, compared, taken back, checked and taken over.

use crate::common::place::{Place, TARGET, TPG, work};
use crate::common::wire::{Wire, pattern, settings};
use crate::common::{Finished, finish};
use serde_json::{Value, json};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// `felio config` with these words behind it.
fn config(place: &Place, words: &[&str]) -> Finished {
    let mut command = Command::new(env!("CARGO_BIN_EXE_felio"));
    command.arg("config").args(words).env("FELIO_SOCKET", place.path("socket"));
    finish(command)
}

#[track_caller]
fn says(finished: &Finished, code: i32, out: &str) {
    assert_eq!((finished.code, finished.out.as_str()), (Some(code), out), "{}", finished.err);
}

fn json(finished: &Finished) -> Value {
    serde_json::from_str(&finished.out).unwrap_or_else(|error| panic!("{error}: {finished:?}"))
}

/// The daemon's file with something done to it, beside it.
fn edited(place: &Place, edit: impl FnOnce(&mut Value)) -> String {
    let text = std::fs::read_to_string(place.path("saveconfig.json")).expect("it was saved");
    let mut file = serde_json::from_str(&text).expect("JSON");
    edit(&mut file);
    written(place, "wanted.json", &file.to_string())
}

fn written(place: &Place, name: &str, text: &str) -> String {
    let path = place.path(name);
    std::fs::write(&path, text).expect("written");
    path.to_str().expect("text").to_owned()
}

fn disk(place: &Place, name: &str) -> Value {
    json!({"plugin": "fileio", "name": name, "dev": place.path(&format!("{name}.img")), "size": 1 << 20, "write_back": true})
}

#[test]
fn a_plan_changes_nothing_and_an_application_no_more_than_the_plan() {
    let place = Place::new();
    place.set_up();
    let same = edited(&place, |_| {});
    says(&config(&place, &["plan", &same]), 0, "Nothing differs.\n");
    says(&config(&place, &["apply", &same]), 0, "Nothing differs: nothing is changed.\n");
    let stop = Arc::new(AtomicBool::new(false));
    let worker = work(place.log_in("worker"), Arc::clone(&stop));
    let new = edited(&place, |file| {
        let second = disk(&place, "second");
        file["storage_objects"].as_array_mut().expect("a list").push(second);
        let tpg = &mut file["targets"][0]["tpgs"][0];
        tpg["attributes"]["login_timeout"] = 9.into();
        // What nobody chose is left open.
        tpg["felio"].as_object_mut().expect("a map").remove("rtpi");
        tpg["luns"][0].as_object_mut().expect("a map").remove("alias");
        tpg["luns"]
            .as_array_mut()
            .expect("a list")
            .push(json!({"index": 5, "storage_object": "/backstores/fileio/second"}));
    });
    let before = place.snapshot();
    let image = place.path("second.img");
    let lines = format!(
        "+ /backstores/fileio/second: {}, 1048576 bytes\n~ {TPG}: attribute login_timeout = 9 (was 15)\n+ {TPG}/luns/lun5: /backstores/fileio/second\n",
        image.display()
    );
    says(&config(&place, &["plan", &new]), 2, &lines);
    assert_eq!(json(&config(&place, &["plan", &new, "--json"]))["changes"][0]["change"], "create_storage");
    assert_eq!(place.snapshot(), before);
    assert!(!image.exists());
    let applied = config(&place, &["apply", &new]);
    assert_eq!((applied.code, applied.out.lines().count()), (Some(0), 3), "{applied:?}");
    let mut other = place.log_in("other");
    other.write(5, 0, pattern(9, 512));
    assert_eq!(other.read(5, 0, 1), pattern(9, 512));
    says(&config(&place, &["plan", &new]), 0, "Nothing differs.\n");
    stop.store(true, Ordering::Relaxed);
    assert!(worker.join().expect("no error reaches who works meanwhile") > 0);
}

#[test]
fn what_is_refused_is_said_and_nothing_of_it_happens() {
    let place = Place::new();
    place.set_up();
    let before = place.snapshot();
    let bad = edited(&place, |file| {
        let mut nowhere = disk(&place, "bad");
        nowhere["dev"] = "/proc/nothing/x".into();
        let list = file["storage_objects"].as_array_mut().expect("a list");
        list.extend([disk(&place, "good"), nowhere]);
    });
    let refused = config(&place, &["apply", &bad]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("/proc/nothing"), "{refused:?}");
    assert_eq!(place.snapshot(), before);
    let missing = config(&place, &["apply", "/proc/nothing"]);
    assert_eq!(missing.code, Some(1));
}

#[test]
fn a_rollback_can_be_rolled_back() {
    let place = Place::new();
    place.set_up();
    let first = place.snapshot()["config"].clone();
    let more = edited(&place, |file| {
        file["storage_objects"].as_array_mut().expect("a list").push(disk(&place, "second"));
    });
    assert_eq!(config(&place, &["apply", &more]).code, Some(0));
    let second = place.snapshot()["config"].clone();
    let history = json(&config(&place, &["history", "--json"]));
    assert_eq!(history[0]["lines"][0]["path"], "/backstores/fileio/second");
    let id = history[0]["id"].to_string();
    let plus =
        format!("+ /backstores/fileio/second: {}, 1048576 bytes\n", place.path("second.img").display());
    says(&config(&place, &["diff"]), 2, &plus);
    says(&config(&place, &["diff", "current", &more]), 0, "Nothing differs.\n");
    let minus = "- /backstores/fileio/second: its blocks are not touched\n";
    says(&config(&place, &["diff", "current", &id]), 2, minus);
    let mut wire = place.log_in("stays");
    assert_eq!(config(&place, &["rollback"]).code, Some(0));
    assert_eq!(place.snapshot()["config"], first);
    assert_eq!(config(&place, &["rollback"]).code, Some(0));
    assert_eq!(place.snapshot()["config"], second);
    assert_eq!(config(&place, &["rollback", &id]).code, Some(0));
    assert_eq!(place.snapshot()["config"], first);
    let lines = config(&place, &["history"]).out;
    assert_eq!(lines.lines().count(), 2 + 3, "{lines}");
    assert!(lines.starts_with(char::is_numeric) && lines.contains(minus.trim()), "{lines}");
    assert_eq!(config(&place, &["rollback", "7"]).code, Some(1));
    wire.write(0, 0, pattern(1, 512));
}

#[test]
fn the_very_first_change_can_be_taken_back() {
    let place = Place::new();
    place.change(json!([place.file("first")])).expect("it is new");
    assert_eq!(config(&place, &["rollback"]).code, Some(0));
    assert_eq!(place.snapshot()["config"]["storage"], json!({}));
    assert_eq!(config(&place, &["rollback"]).code, Some(0));
    assert!(place.snapshot()["config"]["storage"]["/backstores/fileio/first"].is_object());
}

#[test]
fn secrets_are_applied_and_not_shown() {
    let place = Place::new();
    place.set_up();
    let file = edited(&place, |file| {
        let tpg = &mut file["targets"][0]["tpgs"][0];
        tpg["chap_userid"] = "me".into();
        tpg["chap_password"] = "correct horse 1".into();
    });
    let plan = [config(&place, &["plan", &file]), config(&place, &["plan", &file, "--json"])];
    let applied = config(&place, &["apply", &file]);
    let past = [config(&place, &["history"]), config(&place, &["diff", "--json"])];
    for shown in plan.iter().chain([&applied]).chain(&past) {
        assert!(shown.out.contains("password"), "{shown:?}");
        assert!(!format!("{shown:?}").contains("horse"), "{shown:?}");
    }
    assert!(place.snapshot().to_string().contains("horse"));
}

#[test]
fn a_file_is_checked_without_a_daemon_and_all_that_is_wrong_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let check = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_felio"));
        command.current_dir(folder.path()).args(["config", "validate", name, "--socket", "/proc/nothing"]);
        finish(command)
    };
    let wrong = check(
        "a.json",
        "{\"storage_objects\": [\n{\"plugin\": \"ramdisk\", \"name\": \"a\"},\n{\"plugin\": \"ramdisk\", \"name\": \"b\", \"size\": \"x\"}]}",
    );
    let told = "a.json:2: storage_objects[0].size: this is missing\n\
        a.json:3: storage_objects[1].size: this must be a number up to 18446744073709551615, not \"x\"\n";
    assert_eq!((wrong.code, wrong.err.as_str()), (Some(1), told));
    let empty =
        check("b.json", "{\"storage_objects\": [\n{\"plugin\": \"ramdisk\", \"name\": \"a\", \"size\": 0}]}");
    let told = "b.json:2: storage_objects[0]: /backstores/ramdisk/a would have no blocks\n  say a size, such as 1G\n";
    assert_eq!((empty.code, empty.err.as_str()), (Some(1), told));
    let open = check("targets.conf", "<target iqn.2024-01.org.example:x>\n");
    assert_eq!((open.code, open.err.as_str()), (Some(1), "targets.conf: line 1: this is never closed\n"));
    says(&check("c.json", "{}"), 0, "c.json can be applied.\n");
}

#[test]
fn targets_of_tgt_and_scst_are_taken_over_and_serve() {
    let place = Place::new();
    place.set_up();
    let image = |name: &str, number: u64| {
        std::fs::write(place.path(name), [pattern(number, 512), vec![0; (1 << 20) - 512]].concat())
            .expect("written");
        place.path(name).display().to_string()
    };
    let (a, b) = (image("a.img", 1), image("b.img", 2));
    let tgt = written(
        &place,
        "targets.conf",
        &format!(
            "<target iqn.2024-01.org.example:a>\n backing-store {a}\n initiator-address ALL\n bsoflags direct\n</target>\n"
        ),
    );
    let scst = written(
        &place,
        "mine",
        &format!(
            "HANDLER vdisk_fileio {{\n DEVICE b {{\n filename {b}\n }}\n}}\nTARGET_DRIVER iscsi {{\n TARGET iqn.2024-01.org.example:b {{\n allowed_portal 127.77.32.60\n LUN 0 b\n enabled 1\n }}\n}}\n"
        ),
    );
    let before = place.snapshot();
    let shown = config(&place, &["import", &tgt]);
    assert_eq!(shown.code, Some(2), "{shown:?}");
    assert!(shown.out.contains("+ /iscsi/iqn.2024-01.org.example:a/tpg1/luns/lun1"), "{shown:?}");
    assert!(shown.err.starts_with("note: line 4: "), "{shown:?}");
    assert_eq!(place.snapshot(), before);
    // Where the files say others may listen: what is planned is done elsewhere.
    for (file, name, lun, number) in [(&tgt, "a", 1, 1), (&scst, "b", 0, 2)] {
        let mut changes = json(&config(&place, &["import", file, "--json"]))["changes"].clone();
        for change in changes.as_array_mut().expect("a list") {
            if change["change"] == "create_portal" {
                change["portal"] = place.portal.to_string().into();
            }
        }
        place.change(changes).expect("it can be had");
        let target = format!("iqn.2024-01.org.example:{name}");
        let mut wire = Wire::log_in(place.portal, settings(&target, "i"));
        assert_eq!(wire.read(lun, 0, 1), pattern(number, 512));
    }
    let more = edited(&place, |file| {
        file["targets"].as_array_mut().expect("a list").clear();
        file["storage_objects"] = json!([disk(&place, "more")]);
    });
    let done = config(&place, &["import", &more, "--apply"]);
    assert_eq!((done.code, done.out.lines().count()), (Some(0), 1), "{done:?}");
    // What is there already stays, and what is taken over is no news any more.
    says(&config(&place, &["import", &more]), 0, "Nothing differs.\n");
    assert!(place.snapshot()["config"]["targets"].to_string().contains(TARGET));
}
