//! Who a disk is: the same over restarts, moves and renamed hosts, another for each copy, and the same in print as on the wire.

use crate::common::wire::{Wire, settings};
use crate::common::{Felio, can_unshare, cdb};
use felio_iscsi::peer::Data;
use std::path::Path;
use std::process::Command;

type Who = (String, String, String);

/// Who a file is when it is exported.
fn who(path: &Path) -> Who {
    let felio = Felio::start(&[path.to_str().expect("text")]);
    let who = felio.who();
    felio.stop();
    who
}

#[track_caller]
fn run(program: &str, words: &[&str]) {
    assert!(Command::new(program).args(words).status().expect("it runs").success(), "{program} {words:?}");
}

/// A folder with a disk in it.
fn folder() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("disk.img");
    std::fs::File::create(&path).and_then(|file| file.set_len(1 << 20)).expect("a file");
    (folder, path)
}

#[test]
fn a_file_stays_who_it_is() {
    let (folder, path) = folder();
    let first = who(&path);
    assert_eq!(who(&path), first, "exported again");
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&path, &link).expect("a link");
    assert_eq!(who(&link), first, "through a symbolic link");
    let hard = folder.path().join("hard");
    std::fs::hard_link(&path, &hard).expect("a link");
    assert_eq!(who(&hard), first, "under a second name");
    let around = folder.path().join("./x/../disk.img");
    std::fs::create_dir(folder.path().join("x")).expect("a folder");
    assert_eq!(who(&around), first, "another way");
    let moved = folder.path().join("x/moved");
    std::fs::rename(&path, &moved).expect("moved");
    assert_eq!(who(&moved), first, "after a move");
    std::fs::write(folder.path().join("x/note"), "n").expect("a file");
    run("truncate", &["-s", "2M", moved.to_str().expect("text")]);
    assert_eq!(who(&moved), first, "grown");
}

#[test]
fn a_new_file_is_who_it_will_be() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("new.img");
    let felio = Felio::start(&[path.to_str().expect("text"), "--size", "1M"]);
    let first = felio.who();
    felio.stop();
    assert_eq!(who(&path), first);
}

#[test]
fn a_reader_sees_the_same_disk() {
    let (_folder, path) = folder();
    let first = who(&path);
    let felio = Felio::start(&[path.to_str().expect("text"), "--read-only"]);
    assert_eq!(felio.who(), first);
}

#[test]
fn the_name_of_the_host_does_not_matter() {
    if !can_unshare("-u") {
        return;
    }
    let (_folder, path) = folder();
    let first = who(&path);
    let mut command = Command::new("unshare");
    command.args([
        "-u",
        "sh",
        "-c",
        "hostname another-name && exec \"$@\"",
        "sh",
        env!("CARGO_BIN_EXE_felio"),
        "export",
    ]);
    command.arg(&path).args(["--json", "--portal", "127.0.0.1:0"]);
    command.env("FELIO_STATE_DIR", concat!(env!("CARGO_TARGET_TMPDIR"), "/state"));
    let felio = Felio::launch(command);
    assert_eq!(felio.who(), first);
}

#[test]
fn a_copy_is_somebody_else() {
    let (folder, path) = folder();
    let first = who(&path);
    let from = path.to_str().expect("text");
    for options in [&[][..], &["-a"], &["-a", "--preserve=xattr"], &["--preserve=all", "--reflink=auto"]] {
        let copy = folder.path().join("copy");
        run("cp", &[options, &[from, copy.to_str().expect("text")]].concat());
        let second = who(&copy);
        assert!(second.0 != first.0 && second.1 != first.1 && second.2 != first.2, "cp {options:?}");
        assert_eq!(who(&copy), second, "and stays so");
        assert_eq!(who(&path), first, "the first stays who it was");
        std::fs::remove_file(&copy).expect("removed");
    }
}

#[test]
fn memory_is_never_taken_for_other_memory() {
    let one = Felio::start(&["ram:1M", "ram:1M"]);
    let other = Felio::start(&["ram:1M"]);
    let names = [one.lun(0), one.lun(1), other.lun(0)].map(|lun| (lun["serial"].clone(), lun["naa"].clone()));
    for (at, name) in names.iter().enumerate() {
        assert!(names[..at].iter().all(|earlier| earlier.0 != name.0 && earlier.1 != name.1), "{names:?}");
    }
}

#[test]
fn memory_that_was_given_a_name_keeps_it() {
    let words = ["ram:1M", "--iqn", "iqn.2026-11.org.example:kept"];
    let first = Felio::start(&words).who();
    assert_eq!(Felio::start(&words).who(), first);
}

#[test]
fn the_wire_says_what_was_printed() {
    let (_folder, path) = folder();
    let felio = Felio::start(&[path.to_str().expect("text"), "ram:1M"]);
    let mut wire = Wire::log_in(felio.portal(), settings(&felio.target(), "reader"));
    for lun in 0..2 {
        let said = felio.lun(usize::try_from(lun).expect("small"));
        let page = wire.good(lun, &cdb::vital_product_data(0x80), &Data::In(1024));
        assert_eq!(
            std::str::from_utf8(&page[4..]).expect("ASCII").trim(),
            said["serial"].as_str().expect("text")
        );
        let page = wire.good(lun, &cdb::vital_product_data(0x83), &Data::In(1024));
        assert_eq!(naa(&page), said["naa"].as_str().expect("text"));
    }
    wire.log_out();
    felio.stop();
}

/// The NAA designator of the logical unit on a Device Identification page.
fn naa(page: &[u8]) -> String {
    let mut rest = &page[4..];
    while let [_, kind, _, length, after @ ..] = rest {
        let (designator, next) = after.split_at(usize::from(*length));
        if kind & 0x3f == 0x03 {
            return designator.iter().map(|byte| format!("{byte:02x}")).collect();
        }
        rest = next;
    }
    panic!("no NAA designator in {page:02x?}");
}
