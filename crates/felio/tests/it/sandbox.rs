//! What the daemon has given up, as the kernel says it, and as those find out who want something of it.

use crate::common::place::{Place, command};
use crate::common::sys::has_landlock;
use crate::common::{Felio, PATIENCE, wire::pattern};
use serde_json::{Value, json};
use std::path::Path;
use tempfile::TempDir;

/// A line of what the kernel says of each thread.
fn of_each_thread(felio: &Felio, name: &str) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", felio.id())).expect("it runs");
    let status = tasks
        .filter_map(Result::ok)
        .filter_map(|task| std::fs::read_to_string(task.path().join("status")).ok());
    let line = |status: String| {
        Some(status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?.trim().to_owned())
    };
    status.filter_map(line).collect()
}

/// A storage object in a folder.
fn file_in(folder: &Path, name: &str) -> Value {
    let storage = format!("/backstores/fileio/{name}");
    let dev = folder.join(format!("{name}.img"));
    json!([{"change": "create_storage", "storage": storage, "backing": {"fileio": {"dev": dev, "size": 65536}}}])
}

/// A folder where disks are not unless somebody says so.
fn home() -> TempDir {
    tempfile::tempdir_in(std::env::var_os("HOME").expect("a home")).expect("a folder")
}

#[test]
fn no_thread_has_more_than_it_needs() {
    let place = Place::with(&["--cores", "2", "--web", "0"]);
    place.set_up();
    let mut wire = place.log_in("i");
    wire.write(0, 0, pattern(1, 512));
    let seccomp = of_each_thread(&place.felio, "Seccomp");
    assert!(seccomp.len() > 5, "{seccomp:?}");
    assert!(seccomp.iter().all(|mode| mode == "2"), "{seccomp:?}");
    assert!(of_each_thread(&place.felio, "NoNewPrivs").iter().all(|set| set == "1"));
    // CAP_DAC_OVERRIDE and CAP_NET_BIND_SERVICE.
    let beyond = |set: &String| u64::from_str_radix(set, 16).expect("a number") & !(1 << 1 | 1 << 10);
    for set in ["CapEff", "CapPrm", "CapInh", "CapAmb"] {
        assert!(of_each_thread(&place.felio, set).iter().all(|set| beyond(set) == 0), "{set}");
    }
    place.felio.stop();
}

#[test]
fn whoever_wants_to_keep_everything_does() {
    let place = Place::with(&["--cores", "1", "--no-sandbox"]);
    assert!(of_each_thread(&place.felio, "Seccomp").iter().all(|mode| mode == "0"));
    place.felio.stop();
}

#[test]
fn a_disk_outside_of_the_allowed_folders_is_refused_and_can_be_allowed() {
    if !has_landlock() {
        return;
    }
    let home = home();
    let mut place = Place::new();
    let refusal = place.change(file_in(home.path(), "x")).expect_err("it is outside");
    let hint = format!("start it with --allow-path {}", home.path().display());
    assert!(refusal.to_string().contains(&hint), "{refusal}");
    assert!(!home.path().join("x.img").exists());
    let save = json!({"file": home.path().join("saved.json")}).to_string();
    let (status, refusal) =
        crate::common::place::ask(&place.folder, "POST", "/v1/save", &save).expect("an answer");
    assert_eq!(status, 409);
    assert!(refusal.to_string().contains(&hint), "{refusal}");
    let words = ["--cores", "1", "--allow-path", home.path().to_str().expect("text")];
    place.felio.kill();
    place.felio = Felio::launch(command(&place.folder, &words));
    place.change(file_in(home.path(), "x")).expect("it is allowed");
    // What is configured is served without being allowed once more.
    place.crash();
    assert_eq!(place.snapshot()["conditions"], json!({}));
    let resize = json!([{"change": "resize", "storage": "/backstores/fileio/x", "size": 131_072}]);
    place.change(resize).expect("its file can be changed");
    assert!(place.felio.line(PATIENCE).is_some());
    place.felio.stop();
}
