//! Another cache mode, and another file, under a disk at work: initiators wait a moment, and nothing else.

use crate::common::cdb;
use crate::common::place::{Place, TPG, ask};
use crate::common::wire::{UNIT_ATTENTION, Wire, pattern, sense};
use felio_iscsi::peer::Data;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

const DISK: &str = "/backstores/fileio/first";
const BYTES: usize = 4 << 20;

/// Initiators that work at a time, each on so many blocks.
const WORKERS: u32 = 4;
const BLOCKS: u32 = 1024;

fn write_cache(is_on: bool) -> Value {
    let value = if is_on { "1" } else { "0" };
    json!({"change": "set", "path": DISK, "group": "attribute", "name": "emulate_write_cache", "value": value})
}

fn backing(dev: &Path, aio: bool) -> Value {
    json!({"change": "set_backing", "storage": DISK, "backing": {"fileio": {"dev": dev, "size": 0, "aio": aio}}})
}

/// WCE of the caching mode page.
fn write_cache_is_on(wire: &mut Wire) -> bool {
    wire.good(0, &[0x1a, 0x08, 0x08, 0, 24, 0], &Data::In(24))[6] & 4 != 0
}

/// Whoever works until told to stop.
struct Crew {
    stop: Arc<AtomicBool>,
    workers: Vec<JoinHandle<u64>>,
}

impl Crew {
    /// Each does its `round` again and again, on blocks of its own from the one it is given.
    fn start(place: &Place, round: fn(&mut Wire, u32, u64)) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let worker = |number: u32| {
            let (mut wire, stop) = (place.log_in(&format!("worker{number}")), Arc::clone(&stop));
            std::thread::spawn(move || {
                for count in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        wire.log_out();
                        return count;
                    }
                    round(&mut wire, number * BLOCKS, count);
                }
                0
            })
        };
        Self { workers: (0..WORKERS).map(worker).collect(), stop }
    }

    /// All of them have worked, and no error has reached any.
    fn finish(self) {
        self.stop.store(true, Ordering::Relaxed);
        for worker in self.workers {
            assert!(worker.join().expect("no error reaches an initiator") > 0);
        }
    }
}

/// A command, again as long as the target has news first: there may be more of them meanwhile.
fn good(wire: &mut Wire, cdb: &[u8], data: &Data) -> Vec<u8> {
    loop {
        let done = wire.execute(0, cdb, data.clone());
        if done.status == 0 {
            return done.data;
        }
        assert_eq!(sense(&done).0, UNIT_ATTENTION, "{done:?}");
    }
}

fn read(wire: &mut Wire, lba: u32, blocks: u16) -> Vec<u8> {
    good(wire, &cdb::read(lba, blocks), &Data::In(u32::from(blocks) * 512))
}

fn write_and_read(wire: &mut Wire, first: u32, count: u64) {
    let lba = first + u32::try_from(count % 64 * 8).expect("small");
    let bytes = pattern(u64::from(first) + count, 4096);
    good(wire, &cdb::write(lba, 8), &Data::Out(bytes.clone()));
    assert!(read(wire, lba, 8) == bytes, "what was written is read");
}

fn read_what_was_written(wire: &mut Wire, first: u32, _: u64) {
    assert!(read(wire, first, 512) == pattern(first.into(), 256 << 10), "the blocks are the same");
}

fn under_io(cores: &str) {
    let place = Place::with(&["--cores", cores]);
    place.set_up();
    let (file, link) = (place.path("first.img"), place.path("link.img"));
    fs::hard_link(&file, &link).expect("the same file");
    let mut wire = place.log_in("looker");
    let crew = Crew::start(&place, write_and_read);
    for is_on in [true, false, true, false] {
        place.change(json!([write_cache(is_on)])).expect("the disk stays in use");
        assert_eq!(write_cache_is_on(&mut wire), is_on);
        // The same blocks by another name, and past the page cache.
        place.change(json!([backing(&link, true)])).expect("the disk stays in use");
        place.change(json!([backing(&file, false)])).expect("the disk stays in use");
    }
    crew.finish();
    wire.log_out();
    place.felio.stop();
}

#[test]
fn the_cache_mode_and_the_path_change_under_io_with_one_reactor() {
    under_io("1");
}

#[test]
fn the_cache_mode_and_the_path_change_under_io_with_two_reactors() {
    under_io("2");
}

#[test]
fn a_copy_takes_the_place_of_a_file_that_is_read() {
    let mut place = Place::with(&["--cores", "2"]);
    place.set_up();
    place.change(json!([write_cache(true)])).expect("valid");
    let mut wire = place.log_in("writer");
    let serial = wire.good(0, &[0x12, 1, 0x80, 0, 64, 0], &Data::In(64));
    for first in (0..WORKERS).map(|worker| worker * BLOCKS) {
        wire.write(0, first, pattern(first.into(), 256 << 10));
    }
    let crew = Crew::start(&place, read_what_was_written);
    let (file, copy) = (place.path("first.img"), place.path("copy.img"));
    fs::copy(&file, &copy).expect("there is room");
    let (said, is_error) = place.line(&format!("{DISK} replace dev={}", copy.display()));
    assert!(!is_error, "{said}");
    wire.write(0, 8000, pattern(9, 512));
    crew.finish();
    assert_eq!(wire.good(0, &[0x12, 1, 0x80, 0, 64, 0], &Data::In(64)), serial, "it is the same disk");
    wire.log_out();
    let block = |path: &Path| fs::read(path).expect("a file")[8000 * 512..8001 * 512].to_vec();
    assert!(block(&copy) == pattern(9, 512) && block(&file) == [0; 512]);
    place.crash();
    let shown = place.snapshot();
    assert_eq!(shown["config"]["storage"][DISK]["backing"]["fileio"]["dev"], json!(copy));
    let mut wire = place.log_in("reader");
    assert!(wire.read(0, 8000, 1) == pattern(9, 512));
    wire.log_out();
}

#[test]
fn what_cannot_take_the_place_is_refused_and_work_goes_on() {
    let place = Place::new();
    place.set_up();
    let crew = Crew::start(&place, write_and_read);
    let (small, odd) = (place.path("small.img"), place.path("odd.img"));
    fs::write(&small, vec![0; BYTES / 2]).expect("there is room");
    fs::write(&odd, vec![0; BYTES + 100]).expect("there is room");
    place.change(json!([place.file("second")])).expect("it is new");
    fs::hard_link(place.path("second.img"), place.path("alias.img")).expect("the same file");
    let reasons = [
        (small, "has 2097152 bytes, fewer than the 4194304 that initiators know"),
        (odd, "no multiple of the block size"),
        (place.path("nowhere.img"), "No such file"),
        (place.path("second.img"), "is already behind"),
        (place.path("alias.img"), "is in use by another program"),
    ];
    for (dev, reason) in reasons {
        let refusal = place.change(json!([backing(&dev, false)])).expect_err("it cannot be");
        assert!(refusal["what"].as_str().is_some_and(|why| why.contains(reason)), "{refusal}");
    }
    let (status, refusal) = ask(
        &place.folder,
        "PATCH",
        "/v1/tree/backstores/fileio/first",
        &json!({"backing": {"fileio": {"dev": place.path("first.img"), "size": BYTES, "aio": true}}})
            .to_string(),
    )
    .expect("an answer");
    assert_eq!(status, 200, "{refusal}");
    crew.finish();
    let shown = place.snapshot();
    assert_eq!(shown["config"]["storage"][DISK]["backing"]["fileio"]["aio"], json!(true));
    place.felio.stop();
}

#[test]
fn a_larger_file_is_a_larger_disk() {
    let place = Place::new();
    place.set_up();
    let mut wire = place.log_in("i");
    let larger = place.path("larger.img");
    fs::write(&larger, vec![1; 2 * BYTES]).expect("there is room");
    place.change(json!([backing(&larger, false)])).expect("it has all blocks and more");
    let capacity = wire.good(0, &[0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0], &Data::In(8));
    assert_eq!(capacity[..4], (u32::try_from(2 * BYTES / 512).expect("small") - 1).to_be_bytes());
    assert_eq!(wire.read(0, 16000, 1), [1; 512]);
    wire.log_out();
    place.felio.stop();
}

#[test]
fn memory_has_no_write_cache_to_change() {
    let place = Place::new();
    place.set_up();
    let memory = "/backstores/ramdisk/m";
    place
        .change(json!([
            {"change": "create_storage", "storage": memory, "backing": {"ramdisk": {"size": BYTES}}},
            {"change": "create_lun", "tpg": TPG, "storage": memory},
        ]))
        .expect("it is new");
    let set = json!([{"change": "set", "path": memory, "group": "attribute", "name": "emulate_write_cache", "value": "1"}]);
    let refusal = place.change(set).expect_err("it is in use");
    assert_eq!(refusal["kind"], "in_use", "{refusal}");
    place.felio.stop();
}
