//! `felio export` as whoever types it sees it: what it prints, how it ends, what it says when it cannot.

#![allow(clippy::disallowed_methods, reason = "files and sockets are what the tests are about")]

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Lines};
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use tempfile::TempDir;

/// A felio that serves; killed if a test forgets it.
struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    ready: Value,
}

impl Running {
    fn start(folder: &TempDir, words: &str) -> Self {
        let mut command = felio(folder, &format!("--json --portal 127.0.0.1:0 {words}"));
        let mut child = command.stdout(Stdio::piped()).spawn().expect("felio starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let ready = parse(&mut lines).expect("a first line");
        Self { child, lines, ready }
    }

    /// Ends it in order: its exit code and the events that it told.
    fn stop(mut self) -> (Option<i32>, Vec<String>) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).expect("it runs");
        let events =
            core::iter::from_fn(|| parse(&mut self.lines)).map(|line| text(&line["event"])).collect();
        (self.child.wait().expect("it ends").code(), events)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn felio(folder: &TempDir, words: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_felio"));
    command.arg("export").args(words.split(' ')).current_dir(folder);
    command
}

fn parse(lines: &mut Lines<BufReader<ChildStdout>>) -> Option<Value> {
    let line = lines.next()?.expect("text");
    Some(serde_json::from_str(&line).expect("JSON"))
}

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

/// It must refuse to start, with this exit code, and say all of these.
#[track_caller]
fn check_refusal(folder: &TempDir, words: &str, code: i32, says: &[&str]) {
    let output = felio(folder, words).output().expect("felio starts");
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{error}");
    for part in says {
        assert!(error.contains(part), "{part:?} is not in {error:?}");
    }
}

fn folder() -> TempDir {
    TempDir::new().expect("a folder")
}

fn sized(folder: &TempDir, name: &str, bytes: u64) {
    File::create(folder.path().join(name)).and_then(|file| file.set_len(bytes)).expect("a file");
}

#[test]
fn the_first_line_says_where_and_what() {
    let folder = folder();
    let ready = Running::start(&folder, "disk.img --size 8M").ready.clone();
    let lun = &ready["luns"][0];
    assert_eq!(
        (text(&ready["event"]), text(&lun["path"]), &lun["bytes"]),
        ("ready".into(), "disk.img".into(), &Value::from(8 << 20))
    );
    assert!(text(&ready["target"]).starts_with("iqn.2026-11.org.felio:"));
    assert!(text(&ready["portals"][0]).starts_with("127.0.0.1:"));
    assert!(text(&lun["naa"]).starts_with("6001405"));
}

#[test]
fn a_new_file_takes_no_space() {
    let folder = folder();
    let _running = Running::start(&folder, "disk.img --size 64M");
    let file = folder.path().join("disk.img").metadata().expect("created");
    assert_eq!((file.len(), file.blocks() < 1024), (64 << 20, true));
}

#[test]
fn a_signal_ends_it_in_order() {
    let folder = folder();
    let (code, events) = Running::start(&folder, "ram:8M disk.img --size 8M").stop();
    assert_eq!((code, events), (Some(0), vec!["stopping".to_owned(), "stopped".to_owned()]));
}

#[test]
fn several_reactors_end_in_order_too() {
    let folder = folder();
    let (code, _) = Running::start(&folder, "ram:8M ram:8M --cores 3 --io helpers").stop();
    assert_eq!(code, Some(0));
}

#[test]
fn a_moved_file_keeps_its_names() {
    let folder = folder();
    let before = Running::start(&folder, "disk.img --size 8M");
    let names = |ready: &Value| {
        (text(&ready["target"]), text(&ready["luns"][0]["serial"]), text(&ready["luns"][0]["naa"]))
    };
    let want = names(&before.ready);
    before.stop();
    let path = |name: &str| folder.path().join(name);
    std::fs::rename(path("disk.img"), path("moved.img")).expect("renamed");
    assert_eq!(names(&Running::start(&folder, "moved.img").ready), want);
}

#[test]
fn an_open_portal_without_chap_is_warned_of() {
    let folder = folder();
    let mut running = Running::start(&folder, "ram:8M --portal 0.0.0.0:0");
    let warning = parse(&mut running.lines).expect("a second line");
    assert!(text(&warning["event"]) == "warning" && text(&warning["text"]).contains("--chap-user"));
}

#[test]
fn a_missing_file_asks_for_a_size() {
    check_refusal(&folder(), "disk.img", 3, &["disk.img does not exist", "--size"]);
}

#[test]
fn a_file_in_use_is_named() {
    let folder = folder();
    let _running = Running::start(&folder, "disk.img --size 8M");
    check_refusal(&folder, "disk.img --portal 127.0.0.1:0", 3, &["disk.img is in use"]);
}

#[test]
fn an_odd_size_says_which_would_do() {
    let folder = folder();
    sized(&folder, "odd.img", 1000);
    check_refusal(&folder, "odd.img", 3, &["1000 bytes", "512", "1024"]);
}

#[test]
fn a_portal_in_use_says_how_to_find_out_by_whom() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let portal = taken.local_addr().expect("bound");
    let says = [format!("cannot listen on {portal}"), format!("sport = :{}", portal.port())];
    check_refusal(&folder(), &format!("ram:8M --portal {portal}"), 4, &says.each_ref().map(String::as_str));
}

#[test]
fn a_short_secret_says_how_long_it_must_be() {
    let folder = folder();
    std::fs::write(folder.path().join("secret"), "short\n").expect("written");
    let words = "ram:8M --chap-user a --chap-password-file secret";
    check_refusal(&folder, words, 2, &["at least 12 bytes"]);
}

#[test]
fn a_missing_secret_is_a_mistake_of_usage() {
    check_refusal(&folder(), "ram:8M --chap-user a --chap-password-file none", 2, &["cannot read none"]);
}

#[test]
fn the_same_disk_twice_is_refused() {
    let folder = folder();
    sized(&folder, "disk.img", 8 << 20);
    check_refusal(&folder, "disk.img ./disk.img --portal 127.0.0.1:0", 3, &["in use"]);
}

#[test]
fn too_little_memory_is_refused() {
    check_refusal(&folder(), "ram:8M --memory 1M", 2, &["--memory"]);
}

#[test]
fn every_exit_code_is_documented() {
    let output = felio(&folder(), "--help").output().expect("felio starts");
    let help = String::from_utf8_lossy(&output.stdout);
    assert!(
        ["  0 ", "  1 ", "  2 ", "  3 ", "  4 ", "  130"].iter().all(|code| help.contains(code)),
        "{help}"
    );
    assert!(Path::new(env!("CARGO_BIN_EXE_felio")).exists());
}
