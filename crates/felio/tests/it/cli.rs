//! What can be typed wrongly, what felio says then, and what it prints when all is well.

use crate::common::place::Place;
use crate::common::wire::{Wire, settings};
use crate::common::{Felio, Finished, PATIENCE, can_unshare, export, finish, lines};
use rustix::process::Signal;
use std::os::unix::fs::MetadataExt as _;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// Runs `felio export` with words in which `@` stands for a folder; it fails with this code and says all of this.
#[track_caller]
fn check(folder: &TempDir, words: &str, code: i32, says: &[&str]) {
    let folder = folder.path().to_str().expect("text");
    let words = words.replace('@', folder);
    let finished = finish(export(&words.split_whitespace().collect::<Vec<_>>()));
    told(&words, &finished, code, says);
}

#[track_caller]
fn told(words: &str, finished: &Finished, code: i32, says: &[&str]) {
    assert_eq!(finished.code, Some(code), "{words}: {finished:?}");
    assert_eq!(finished.out, "", "{words}");
    for part in says {
        assert!(finished.err.contains(part), "{words}: no {part:?} in {:?}", finished.err);
    }
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn file(folder: &TempDir, name: &str, bytes: u64) -> String {
    let path = folder.path().join(name);
    std::fs::File::create(&path).and_then(|file| file.set_len(bytes)).expect("a file");
    path.to_str().expect("text").to_owned()
}

#[test]
fn who_has_read_enough_of_what_is_printed_hears_nothing_more() {
    let place = Place::new();
    let all = "openapi|completions bash|--help|top --once --every 50|config history|watch|shell ls";
    for words in all.split('|') {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = Command::new(env!("CARGO_BIN_EXE_felio"));
        command.args(words.split(' ')).env("FELIO_SOCKET", place.path("socket"));
        let output =
            command.env("TARGETCLI_HOME", place.path("home")).stdout(writer).output().expect("it ends");
        assert!(output.status.success(), "{words}: {output:?}");
        assert!(output.stderr.is_empty(), "{words}: {output:?}");
    }
    place.felio.stop();
}

const USAGE: i32 = 2;
const BACKING: i32 = 3;
const LISTENING: i32 = 4;

#[test]
fn help_tells_every_exit_code_option_and_event() {
    let finished = finish(export(&["--help"]));
    assert_eq!(finished.code, Some(0));
    for part in [
        "Exit codes:",
        "  0 ",
        "  1 ",
        "  2 ",
        "  3 ",
        "  4 ",
        "  130",
        "--size",
        "--iqn",
        "--portal",
        "--read-only",
        "--block-size",
        "--physical-block-size",
        "--cache",
        "--chap-user",
        "--chap-password-file",
        "--mutual-chap-user",
        "--mutual-chap-password-file",
        "--allow",
        "--cores",
        "--spin",
        "--memory",
        "--json",
        "\"ready\"",
        "\"login\"",
        "\"logout\"",
        "\"flush_failed\"",
        "\"stopping\"",
        "\"stopped\"",
    ] {
        assert!(finished.out.contains(part), "no {part:?} in {}", finished.out);
    }
}

#[test]
fn the_program_alone_shows_its_help_and_fails() {
    let finished = finish(Command::new(env!("CARGO_BIN_EXE_felio")));
    assert_eq!(finished.code, Some(USAGE));
    assert!(finished.err.contains("felio export disk.img --size 1G"), "{finished:?}");
}

#[test]
fn a_wrong_command_line_is_told_with_what_would_be_right() {
    let folder = folder();
    let check = |words: &str, says: &[&str]| check(&folder, words, USAGE, says);
    check("", &["PATH"]);
    check("ram:1M --iqn disk", &["--iqn", "iqn.2026-11.org.example:disk1"]);
    check("ram:1M --portal nonsense", &["--portal", "ADDR:PORT", "127.0.0.1:3260"]);
    check("ram:1M --allow 10.0.0.0/33", &["--allow", "10.0.0.0/8"]);
    check("ram:1M --allow iqn.x", &["--allow", "iqn"]);
    check("ram:1M --block-size 513", &["--block-size", "512 or 4096"]);
    check("ram:1M --physical-block-size 5000", &["--physical-block-size", "power of two"]);
    check(
        "ram:1M --block-size 4096 --physical-block-size 512",
        &["--physical-block-size", "not smaller than --block-size"],
    );
    check("ram:1M --cache often", &["--cache"]);
    check("ram:1M --cores 0", &["--cores"]);
    check("ram:1M --memory 1M", &["--memory", "32M"]);
    check("ram:much", &["ram:much", "not a size"]);
    check("@/new --size lots", &["--size", "not a size"]);
    check("@/new --size 0", &["--size 0", "zero", "--size 1G"]);
    check("@/new --size 1000001", &["--size 1000001", "512", "--size 1000448"]);
    check("@/new --size 5K --block-size 4096", &["--size 5120", "4096", "--size 8192"]);
    for (one, other) in [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("[::1]", "[::]")] {
        let words = format!("ram:1M --portal {one}:3260,1 --portal [::2]:3260 --portal {other}:3260,2");
        check(&words, &["--portal", one, other, "same address", "leave one of them out"]);
    }
    check("ram:1M --chap-user alice", &["--chap-password-file"]);
    check("ram:1M --chap-password-file @/s", &["--chap-user"]);
    check("ram:1M --mutual-chap-user bob --mutual-chap-password-file @/s", &["--chap-user"]);
    check(
        "ram:1M --chap-user a --chap-password-file @/s --mutual-chap-user b",
        &["--mutual-chap-password-file"],
    );
}

#[test]
fn a_wrong_password_file_is_told_with_how_to_make_one() {
    let folder = folder();
    for (name, text) in [
        ("short", "eleven-byte\n"),
        ("good", "twelve-bytes\n"),
        ("same", "twelve-bytes\n\n"),
        ("windows", "twelve-bytes\r\n"),
        ("empty", ""),
    ] {
        std::fs::write(folder.path().join(name), text).expect("a file");
    }
    std::fs::write(folder.path().join("long"), [b'x'; 300]).expect("a file");
    let check = |words, says: &[&str]| check(&folder, words, USAGE, says);
    let make = "head -c 12 /dev/urandom | base64 | tr -d '\\n' > FILE";
    check(
        "ram:1M --chap-user a --chap-password-file @/absent",
        &["--chap-password-file", "absent", "No such file"],
    );
    check("ram:1M --chap-user a --chap-password-file @", &["--chap-password-file", "directory"]);
    check("ram:1M --chap-user a --chap-password-file @/short", &["/short", "11", "12", make]);
    check("ram:1M --chap-user a --chap-password-file @/empty", &["/empty", "12", make]);
    check("ram:1M --chap-user a --chap-password-file @/long", &["/long", "255", make]);
    check("ram:1M --chap-user a --chap-password-file @/windows", &["/windows", "carriage return", make]);
    check("ram:1M --chap-user a --chap-password-file /dev/zero", &["/dev/zero", "longer than 4096", make]);
    check(
        "ram:1M --chap-user a --chap-password-file @/good --mutual-chap-user b --mutual-chap-password-file @/same",
        &["--mutual-chap-password-file", "/same", "secret"],
    );
}

#[test]
fn a_wrong_chap_user_is_told_and_not_taken_for_a_wrong_secret() {
    let folder = folder();
    let secret = folder.path().join("s");
    std::fs::write(&secret, "twelve-bytes").expect("a file");
    let secret = secret.to_str().expect("text");
    let finished = finish(export(&["ram:1M", "--chap-user", "", "--chap-password-file", secret]));
    told("no name", &finished, USAGE, &["--chap-user", "user name is empty"]);
    assert!(!finished.err.contains("urandom"), "{finished:?}");
}

#[test]
fn a_disk_that_cannot_be_opened_is_told_with_what_to_do() {
    let folder = folder();
    file(&folder, "odd", 1_000_001);
    file(&folder, "disk", 1 << 20);
    file(&folder, "empty", 0);
    std::os::unix::fs::symlink("disk", folder.path().join("link")).expect("a link");
    std::os::unix::fs::symlink("nowhere", folder.path().join("dangling")).expect("a link");
    let check = |words, says: &[&str]| check(&folder, words, BACKING, says);
    check("@", &["is a directory", "regular file or a block device"]);
    check("/dev/null", &["/dev/null is a character device"]);
    check("@/new", &["does not exist", "--size"]);
    check("@/new --read-only --size 1M", &["does not exist", "--read-only"]);
    check("@/no/such/folder --size 1M", &["folder", "does not exist"]);
    check("@/dangling", &["/dangling is a link to nowhere", "mend the link"]);
    check("@/dangling --size 1M", &["/dangling is a link to nowhere", "mend the link"]);
    check("@/odd", &["1000001", "512", "make it 1000448 bytes long"]);
    check("@/empty", &["is empty", "--size"]);
    check("@/disk --size 2M", &["1048576", "2097152", "leave out --size"]);
    check("@/disk @/link", &["/disk", "/link", "are one disk", "export one of them"]);
    check("@/disk @/disk --read-only", &["are one disk"]);
    check("ram:1000", &["1000", "512"]);
    check("ram:0", &["zero"]);
    check("@/disk/inside", &["disk/inside"]);
    assert!(!folder.path().join("new").exists(), "what could not be exported leaves no file behind");
}

#[test]
fn protection_that_cannot_be_is_told_with_what_to_do() {
    let folder = folder();
    file(&folder, "disk", 1 << 20);
    file(&folder, "other", 1 << 20);
    std::fs::write(folder.path().join("other.protection"), "somebody's").expect("written");
    check(&folder, "@/disk --protection 4", USAGE, &["a protection type is 0, 1, 2 or 3"]);
    let check = |words, says: &[&str]| check(&folder, words, BACKING, says);
    check("null:1M --protection 1", &["forgets", "leave out --protection", "ram:SIZE"]);
    check("@/disk --protection 1 --read-only", &["disk.protection", "--read-only once"]);
    check("@/other --protection 1", &["other.protection", "not made by felio", "remove it"]);
    let path = folder.path().join("disk");
    Felio::start(&[path.to_str().expect("text"), "--protection", "1"]).stop();
    check("@/disk --protection 3", &["disk.protection", "type 1", "--protection 1", "sg_format", "remove"]);
    check("@/disk --block-size 4096", &["disk.protection", "512", "--block-size 512"]);
}

#[test]
fn a_new_file_has_its_size_and_takes_no_space() {
    let folder = folder();
    let path = folder.path().join("new");
    let felio = Felio::start(&[path.to_str().expect("text"), "--size", "1G"]);
    assert_eq!(felio.lun(0)["bytes"].as_u64(), Some(1 << 30));
    felio.stop();
    let file = std::fs::metadata(&path).expect("a file");
    assert!(file.len() == 1 << 30 && file.blocks() < 64, "{file:?}");
}

#[test]
fn a_file_is_served_by_one_felio_at_a_time_unless_none_writes() {
    let folder = folder();
    let path = file(&folder, "disk", 1 << 20);
    let first = Felio::start(&[&path]);
    check(
        &folder,
        "@/disk --portal 127.0.0.1:0",
        BACKING,
        &["in use by another program", "stop that program"],
    );
    first.stop();
    let readers = [Felio::start(&[&path, "--read-only"]), Felio::start(&[&path, "--read-only"])];
    readers.into_iter().for_each(Felio::stop);
}

#[test]
fn a_read_only_filesystem_wants_the_option() {
    if !can_unshare("-m") {
        return;
    }
    let folder = folder();
    let path = file(&folder, "disk", 1 << 20);
    let folder_text = folder.path().to_str().expect("text");
    let script = format!(
        "mount --bind {folder_text} {folder_text} && mount -o remount,ro,bind {folder_text} && exec \"$@\""
    );
    let within = |words: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", &script, "sh", env!("CARGO_BIN_EXE_felio"), "export"]).args(words);
        command
    };
    told("existing", &finish(within(&[&path])), BACKING, &["read-only", "--read-only"]);
    let new = format!("{path}.new");
    told("new", &finish(within(&[&new, "--size", "1M"])), BACKING, &[&new, "read-only"]);
    let felio = Felio::launch(within(&[&path, "--read-only", "--json", "--portal", "127.0.0.1:0"]));
    assert_eq!(felio.lun(0)["read_only"], true);
    felio.stop();
}

#[test]
fn a_portal_that_cannot_be_opened_is_told_with_what_to_do() {
    let folder = folder();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let portal = taken.local_addr().expect("bound").to_string();
    check(
        &folder,
        &format!("ram:1M --portal {portal}"),
        LISTENING,
        &[&portal, "in use", "ss -ltnp", "--portal 127.0.0.1:0"],
    );
    check(&folder, "ram:1M --portal 192.0.2.1:0", LISTENING, &["192.0.2.1", "ip address"]);
    check(&folder, "ram:1M --portal [::ffff:127.0.0.1]:0", LISTENING, &["IPv4", "--portal 127.0.0.1:0"]);
    check(
        &folder,
        "ram:1M --portal [fe80::1]:0",
        LISTENING,
        &["interface", "ip link", "--portal [fe80::1%2]:0"],
    );
}

#[test]
fn a_start_that_fails_takes_away_what_it_has_made_and_nothing_else() {
    let folder = folder();
    let exists = |name: &str| folder.path().join(name).exists();
    file(&folder, "hole", 1 << 20);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let portal = taken.local_addr().expect("bound");
    let words = format!("@/hole @/new --size 1M --portal {portal}");
    check(&folder, &words, LISTENING, &["in use"]);
    check(&folder, "@/hole @/new @/no/such --size 1M", BACKING, &["/no/such"]);
    assert!(exists("hole") && !exists("new"));
}

#[test]
fn a_disk_that_was_deleted_meanwhile_is_warned_of() {
    let folder = folder();
    let path = file(&folder, "disk", 1 << 20);
    let mut felio = Felio::start(&[&path]);
    std::fs::remove_file(&path).expect("it is there");
    felio.signal(Signal::TERM);
    let warning = felio.event("warning")["text"].as_str().expect("text").to_owned();
    assert!(warning.contains(&path) && warning.contains("deleted"), "{warning}");
    assert_eq!(felio.wait(PATIENCE), Some(0));
}

#[test]
fn listening_to_the_world_without_a_guard_is_warned_of() {
    let felio = Felio::start(&["ram:1M", "--portal", "0.0.0.0:0"]);
    let warning = felio.event("warning")["text"].as_str().expect("text").to_owned();
    assert!(warning.contains("--chap-user") && warning.contains("--allow"), "{warning}");
    felio.stop();
    for guarded in [
        &["--portal", "0.0.0.0:0", "--allow", "10.0.0.0/8"][..],
        &["--portal", "127.0.0.1:0", "--portal", "[::1]:0"],
    ] {
        let felio = Felio::start(&[&["ram:1M"], guarded].concat());
        felio.signal(Signal::TERM);
        assert_eq!(felio.line(PATIENCE).expect("a line")["event"], "stopping", "no warning for {guarded:?}");
    }
}

#[test]
fn json_lines_tell_the_whole_story_in_order() {
    let folder = folder();
    let path = file(&folder, "disk", 1 << 20);
    let mut felio = Felio::start(&[&path, "ram:2M", "--block-size", "4096"]);
    let ready = felio.ready.clone();
    let lun = &ready["luns"][0];
    assert_eq!(ready["portals"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        (lun["lun"].as_u64(), lun["path"].as_str(), lun["bytes"].as_u64()),
        (Some(0), Some(&*path), Some(1 << 20))
    );
    assert_eq!(lun["naa"].as_str().map(str::len), Some(32));
    assert_eq!(lun["block_bytes"], 4096);
    assert_eq!(
        (ready["luns"][1]["path"].as_str(), ready["luns"][1]["lun"].as_u64()),
        (Some("ram:2M"), Some(1))
    );
    assert!(
        lun["serial"].is_string() && ready["target"].as_str().is_some_and(|name| name.starts_with("iqn."))
    );
    let first = Wire::log_in(felio.portal(), settings(&felio.target(), "first"));
    let local = first.local().to_string();
    let login = felio.line(PATIENCE).expect("a line");
    assert_eq!((login["event"].as_str(), login["peer"].as_str()), (Some("login"), Some(&*local)));
    assert_eq!(
        (login["initiator"].as_str(), login["kind"].as_str()),
        (Some("iqn.2026-11.org.example:first"), Some("normal"))
    );
    assert_eq!(login["target"], ready["target"]);
    first.log_out();
    let logout = felio.line(PATIENCE).expect("a line");
    assert_eq!((logout["event"].as_str(), logout["peer"].as_str()), (Some("logout"), Some(&*local)));
    assert_eq!((logout["reason"].as_str(), &logout["session"]), (Some("logout"), &login["session"]));
    drop(Wire::log_in(felio.portal(), settings(&felio.target(), "second")));
    assert_eq!(felio.line(PATIENCE).expect("a line")["event"], "login");
    let logout = felio.line(PATIENCE).expect("a line");
    assert_eq!((logout["event"].as_str(), logout["reason"].as_str()), (Some("logout"), Some("connection")));
    felio.signal(Signal::INT);
    let stopping = felio.line(PATIENCE).expect("a line");
    assert_eq!((stopping["event"].as_str(), stopping["signal"].as_str()), (Some("stopping"), Some("SIGINT")));
    assert_eq!(felio.line(PATIENCE).expect("a line")["event"], "stopped");
    assert_eq!(felio.wait(PATIENCE), Some(0));
    assert_eq!(felio.kill(), "", "nothing on standard error");
}

#[test]
fn people_are_told_where_the_disk_is_and_how_to_attach_it() {
    let mut command = export(&["ram:2M", "--portal", "127.0.0.1:0"]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("felio starts");
    let out = lines(child.stdout.take().expect("piped"));
    let mut text = String::new();
    while !text.contains("Ctrl-C") {
        let Ok(line) = out.recv_timeout(PATIENCE) else { break };
        text.push_str(&line);
        text.push('\n');
    }
    let _ = child.kill();
    let _ = child.wait();
    let words = [
        "portal",
        "127.0.0.1:",
        "iqn.",
        "LUN 0",
        "2 MiB",
        "NAA 6001405",
        "serial",
        "Linux",
        "iscsiadm -m node -T iqn.",
    ];
    for part in words.iter().chain(&[
        "QEMU",
        "iscsi://127.0.0.1:",
        "Windows",
        "Connect-IscsiTarget -NodeAddress iqn.",
        "Ctrl-C",
    ]) {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
}
