//! Opening: what it refuses, what it says then, and who a store is.

#![allow(clippy::disallowed_methods, reason = "stores live in files")]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Loop, MODES, SIZE, folders, skip, spec};
use felio_backstore::identity::IdentitySource;
use felio_backstore::{CacheMode, OpenError, Opened, Source, Spec, open, open_beside};
use felio_hal::store::WriteCache;
use tempfile::TempDir;

fn home() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder")
}

fn plain(path: &Path, size: Option<u64>) -> Spec {
    spec(path, size, CacheMode::WriteBack)
}

fn file(folder: &TempDir, name: &str, bytes: u64) -> PathBuf {
    let path = folder.path().join(name);
    fs::File::create(&path).and_then(|file| file.set_len(bytes)).expect("a file");
    path
}

/// Opens. A program that another test starts has our descriptors, and with them the locks of what we closed, until it is
/// itself: for that long it is tried again.
fn must(spec: &Spec) -> Opened {
    let mut attempts = core::iter::repeat_with(|| open(spec)).take(10_000);
    let free = |attempt: &Result<Opened, OpenError>| {
        std::thread::yield_now();
        !matches!(attempt, Err(OpenError::Busy { .. }))
    };
    attempts.find(free).expect("nobody else has it").unwrap_or_else(|error| panic!("{error}"))
}

/// Opening must fail, with a message that holds each of `words`.
fn refused(spec: &Spec, words: &[&str]) -> OpenError {
    let Err(error) = open(spec) else { panic!("opened: {spec:?}") };
    let message = error.to_string();
    for word in words {
        assert!(message.contains(word), "{message:?} lacks {word:?}");
    }
    error
}

#[test]
fn a_new_file_is_created_sparse_and_private() {
    use std::os::unix::fs::MetadataExt;
    let folder = home();
    let path = folder.path().join("new.img");
    let opened = must(&plain(&path, Some(1 << 30)));
    let found = path.metadata().expect("created");
    assert_eq!(opened.limits.bytes, 1 << 30);
    assert_eq!((found.len(), found.permissions().mode() & 0o777), (1 << 30, 0o600));
    assert!(found.blocks() < 64);
}

#[test]
fn an_existing_file_is_opened_as_it_is() {
    let folder = home();
    let path = file(&folder, "old.img", SIZE);
    let opened = must(&plain(&path, None));
    assert_eq!(opened.limits.bytes, SIZE);
}

#[test]
fn the_cache_mode_fixes_what_is_told() {
    let told = [WriteCache::On, WriteCache::Off, WriteCache::On];
    for (mode, want) in MODES.into_iter().zip(told) {
        let folder = home();
        let opened = must(&spec(&folder.path().join("a.img"), Some(SIZE), mode));
        assert_eq!(opened.limits.write_cache, want, "{mode}");
    }
}

#[test]
fn a_missing_file_without_a_size_is_refused() {
    let folder = home();
    refused(&plain(&folder.path().join("none.img"), None), &["none.img", "does not exist", "--size"]);
}

#[test]
fn a_missing_folder_is_named_as_such() {
    let folder = home();
    refused(&plain(&folder.path().join("no/none.img"), Some(SIZE)), &["folder", "create it"]);
}

#[test]
fn a_new_read_only_file_makes_no_sense() {
    let folder = home();
    let spec = Spec { read_only: true, ..plain(&folder.path().join("none.img"), Some(SIZE)) };
    refused(&spec, &["does not exist", "--read-only"]);
}

#[test]
fn another_size_is_refused_and_the_file_stays() {
    let folder = home();
    let path = file(&folder, "old.img", SIZE);
    refused(&plain(&path, Some(2 * SIZE)), &[&SIZE.to_string(), &(2 * SIZE).to_string(), "leave out --size"]);
    assert_eq!(path.metadata().expect("there").len(), SIZE);
}

#[test]
fn an_empty_file_is_not_made_longer() {
    let folder = home();
    let path = file(&folder, "empty.img", 0);
    refused(&plain(&path, Some(SIZE)), &["0 bytes"]);
    refused(&plain(&path, None), &["is empty", "truncate"]);
    assert_eq!(path.metadata().expect("there").len(), 0);
}

#[test]
fn a_size_that_cuts_a_block_is_refused() {
    let folder = home();
    let path = file(&folder, "odd.img", SIZE + 512);
    let spec = Spec { block_bytes: 4096, ..plain(&path, None) };
    refused(&spec, &["no multiple of the block size 4096", "--block-size 512"]);
}

#[test]
fn a_new_file_that_is_refused_leaves_nothing_behind() {
    let folder = home();
    let path = folder.path().join("odd.img");
    refused(&plain(&path, Some(1000)), &["make it 1024 bytes long"]);
    refused(&plain(&path, Some(i64::MAX.unsigned_abs() & !511)), &["cannot be made"]);
    assert!(!path.exists());
}

#[test]
fn a_folder_is_refused() {
    let folder = home();
    refused(&plain(folder.path(), None), &["is a directory", "regular file"]);
}

#[test]
fn a_character_device_is_refused() {
    refused(&plain(Path::new("/dev/null"), None), &["character device"]);
}

#[test]
fn a_file_is_written_by_one_at_a_time() {
    let folder = home();
    let path = file(&folder, "disk.img", SIZE);
    let first = must(&plain(&path, None));
    refused(&plain(&path, None), &["in use"]);
    drop(first);
    must(&plain(&path, None));
}

#[test]
fn readers_share_a_file_but_not_with_a_writer() {
    let folder = home();
    let path = file(&folder, "disk.img", SIZE);
    let reader = Spec { read_only: true, ..plain(&path, None) };
    let one = must(&reader);
    let two = must(&reader);
    refused(&plain(&path, None), &["in use"]);
    drop((one, two));
    let _writer = must(&plain(&path, None));
    refused(&reader, &["in use"]);
}

#[test]
fn zero_bytes_of_memory_are_refused() {
    for source in [Source::Ram(0), Source::Null(0)] {
        refused(&Spec { source, ..plain(Path::new(""), None) }, &["zero"]);
    }
}

#[test]
fn more_memory_than_there_are_addresses_is_refused() {
    let source = Source::Ram(1 << 60);
    refused(&Spec { source, ..plain(Path::new(""), None) }, &["memory", "smaller"]);
}

#[test]
fn a_read_only_filesystem_suggests_read_only() {
    let folder = home();
    file(&folder, "disk.img", SIZE);
    let mount = |args: &[&str]| {
        let done = Command::new("mount").args(args).arg(folder.path()).output();
        done.is_ok_and(|output| output.status.success())
    };
    let bound = Command::new("mount").arg("--bind").args([folder.path(), folder.path()]).output();
    if !bound.is_ok_and(|output| output.status.success()) {
        return skip("a read-only filesystem", "mounting needs root");
    }
    let path = folder.path().join("disk.img");
    let outcome = mount(&["-o", "remount,bind,ro"]).then(|| {
        let error = open(&plain(&path, None)).err().map(|error| error.to_string());
        let reader = open(&Spec { read_only: true, ..plain(&path, None) }).is_ok();
        (error, reader)
    });
    let _ = Command::new("umount").arg("--lazy").arg(folder.path()).status();
    let (error, reader) = outcome.expect("remounted");
    assert!(error.is_some_and(|message| message.contains("export it with --read-only")));
    assert!(reader);
}

#[test]
fn a_device_is_claimed() {
    let Some(device) = Loop::new(SIZE) else { return };
    let spec = plain(&device.device, None);
    let opened = must(&spec);
    assert_eq!(opened.limits.bytes, SIZE);
    refused(&spec, &["in use"]);
}

#[test]
fn a_device_with_larger_blocks_asks_for_them() {
    let Some(device) = Loop::new(SIZE) else { return };
    let spec = Spec { block_bytes: 256, ..plain(&device.device, None) };
    refused(&spec, &["blocks of 512 bytes", "--block-size 512"]);
}

#[test]
fn a_read_only_device_suggests_read_only() {
    let Some(device) = Loop::new(SIZE) else { return };
    let set = |flag: &str| {
        let status = Command::new("blockdev").args([Path::new(flag), &device.device]).status();
        assert!(status.is_ok_and(|status| status.success()));
    };
    set("--setro");
    let writer = open(&plain(&device.device, None)).err().map(|error| error.to_string());
    let reader = open(&Spec { read_only: true, ..plain(&device.device, None) });
    // The next who gets this device writes to it.
    set("--setrw");
    assert!(writer.is_some_and(|words| words.contains("export it with --read-only")));
    assert!(reader.is_ok());
}

#[test]
fn a_file_is_not_given_other_blocks_for_direct_io() {
    let folder = home();
    let path = file(&folder, "disk.img", SIZE);
    // Half a sector, as no disk with larger ones may be at hand.
    let spec = Spec { block_bytes: 256, ..spec(&path, None, CacheMode::Direct) };
    refused(&spec, &["with direct I/O", "--cache write-back"]);
}

#[test]
fn an_absurd_size_is_refused_in_words() {
    let spec = Spec { source: Source::Null(u64::MAX), block_bytes: 4096, ..plain(Path::new(""), None) };
    refused(&spec, &["smaller"]);
}

#[test]
fn a_file_is_the_same_after_a_move() {
    for (place, folder) in folders() {
        let (old, new) = (folder.path().join("a.img"), folder.path().join("b.img"));
        let first = must(&plain(&old, Some(SIZE))).identity;
        fs::rename(&old, &new).expect("moved");
        assert_eq!(must(&plain(&new, None)).identity, first, "{place}");
        let reader = Spec { read_only: true, ..plain(&new, None) };
        assert_eq!(must(&reader).identity, first, "{place}");
    }
}

#[test]
fn a_copy_is_another_even_if_it_carries_the_attribute() {
    let folder = home();
    let (original, copy) = (folder.path().join("a.img"), folder.path().join("b.img"));
    let first = must(&plain(&original, Some(SIZE))).identity;
    let copied = Command::new("cp").arg("--archive").args([&original, &copy]).status();
    assert!(copied.is_ok_and(|status| status.success()));
    let second = must(&plain(&copy, None)).identity;
    assert_ne!(first.bytes, second.bytes);
    assert_eq!(must(&plain(&original, None)).identity, first, "the original keeps its own");
    assert_eq!(must(&plain(&copy, None)).identity, second, "the copy keeps its own");
}

#[test]
fn two_files_are_two() {
    let folder = home();
    let identity = |name: &str| must(&plain(&folder.path().join(name), Some(SIZE))).identity.bytes;
    assert_ne!(identity("a.img"), identity("b.img"));
}

#[test]
fn a_file_is_the_same_before_and_after_it_may_be_touched() {
    for (place, folder) in folders() {
        let path = file(&folder, "disk.img", SIZE);
        let before = must(&Spec { read_only: true, ..plain(&path, None) }).identity.bytes;
        assert_eq!(must(&plain(&path, None)).identity.bytes, before, "{place}");
    }
}

#[test]
fn a_file_that_may_not_be_touched_is_named_after_its_inode() {
    let folder = home();
    let reader = |path: &Path| must(&Spec { read_only: true, ..plain(path, None) }).identity;
    let (a, b) = (file(&folder, "a.img", SIZE), file(&folder, "b.img", SIZE));
    assert_eq!(reader(&a).source, IdentitySource::Inode);
    assert_eq!(reader(&a), reader(&a));
    assert_ne!(reader(&a).bytes, reader(&b).bytes);
}

#[test]
fn a_device_has_an_identity_that_stays() {
    let Some(device) = Loop::new(SIZE) else { return };
    let spec = plain(&device.device, None);
    let first = must(&spec).identity;
    assert_eq!(must(&spec).identity, first);
}

#[test]
fn memory_is_named_after_its_label() {
    let identity = |label: &str| {
        let spec = Spec { source: Source::Ram(SIZE), label: label.to_owned(), ..plain(Path::new(""), None) };
        must(&spec).identity
    };
    assert_eq!(identity("target 0"), identity("target 0"));
    assert_ne!(identity("target 0").bytes, identity("target 1").bytes);
}

#[test]
fn another_store_of_a_file_is_opened_beside_it_and_keeps_others_away_when_that_has_gone() {
    let folder = home();
    let path = file(&folder, "disk.img", SIZE);
    let link = folder.path().join("link.img");
    fs::hard_link(&path, &link).expect("the same file");
    let mut opened = must(&plain(&path, None));
    for mode in MODES {
        opened = open_beside(&spec(&link, None, mode), &*opened.store).expect("it is ours");
        refused(&plain(&path, None), &["in use by another program"]);
    }
    drop(opened);
    must(&plain(&path, None));
}

#[test]
fn another_store_of_a_device_is_opened_beside_it_and_keeps_others_away_when_that_has_gone() {
    let Some(device) = Loop::new(SIZE) else { return };
    let spec = plain(&device.device, None);
    let opened = must(&spec);
    let other = open_beside(&spec, &*opened.store).expect("it is ours");
    drop(opened);
    refused(&spec, &["in use"]);
    drop(other);
    must(&spec);
}

#[test]
fn what_is_opened_beside_a_store_must_be_there_and_be_nobody_elses() {
    let folder = home();
    let (ours, theirs) = (file(&folder, "ours.img", SIZE), file(&folder, "theirs.img", SIZE));
    let (ours, _them) = (must(&plain(&ours, None)), must(&plain(&theirs, None)));
    let missing = open_beside(&plain(&folder.path().join("new.img"), Some(SIZE)), &*ours.store);
    assert!(matches!(missing, Err(OpenError::Gone { .. })));
    let taken = open_beside(&plain(&theirs, None), &*ours.store);
    assert!(matches!(taken, Err(OpenError::Busy { .. })));
}
