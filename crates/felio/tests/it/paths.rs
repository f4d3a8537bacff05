//! Two portal groups are two target ports: two paths to a disk, each with its state.

use crate::common::wire::{Wire, sense, settings};
use crate::common::{Felio, PATIENCE, cdb};
use felio_iscsi::peer::{Data, PeerEvent, Settings};
use std::path::Path;

const TWO: [&str; 4] = ["--portal", "127.0.0.1:0", "--portal", "127.0.0.1:0,2"];
const READY: [u8; 6] = [0; 6];
const REPORT: [u8; 12] = [0xa3, 0x0a, 0, 0, 0, 0, 0, 0, 0, 255, 0, 0];
const SET: [u8; 12] = [0xa4, 0x0a, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0];
const STANDBY: (u8, u8, u8) = (2, 0x04, 0x0b);
const CHANGED: (u8, u8, u8) = (6, 0x2a, 0x06);

/// felio with two paths to a disk in `folder`, and what else is said.
fn two_paths(folder: &Path, more: &[&str]) -> Felio {
    let (disk, state) = (folder.join("disk.img"), folder.join("state"));
    let text = |path: &Path| path.to_str().expect("text").to_owned();
    let (disk, state) = (text(&disk), text(&state));
    let words = [&[disk.as_str(), "--size", "1M", "--state-dir", state.as_str()][..], &TWO, more].concat();
    Felio::start(&words)
}

/// The same initiator, through the first path and through the second.
fn log_in(felio: &Felio) -> [Wire; 2] {
    [0, 1].map(|path| {
        let mut wire = Wire::log_in(felio.portals()[path], settings(&felio.target(), "alice"));
        // What a new nexus is told is none of our business.
        wire.execute(0, &[0x03, 0, 0, 0, 18, 0], Data::In(18));
        wire
    })
}

fn ready(wire: &mut Wire) -> (u8, u8, u8) {
    let done = wire.execute(0, &READY, Data::None);
    if done.status == 0 { (0, 0, 0) } else { sense(&done) }
}

pub(crate) fn set(wire: &mut Wire, group: u8, state: u8) {
    let (cdb, list) = set_request(group, state);
    wire.good(0, &cdb, &Data::Out(list));
}

/// SET TARGET PORT GROUPS for one group.
pub(crate) fn set_request(group: u8, state: u8) -> ([u8; 12], Vec<u8>) {
    (SET, vec![0, 0, 0, 0, state, 0, 0, group])
}

/// Group and state of each group.
pub(crate) fn states(wire: &mut Wire) -> Vec<(u8, u8)> {
    let data = wire.good(0, &REPORT, &Data::In(255));
    data[4..].chunks(12).map(|group| (group[3], group[0] & 0x0f)).collect()
}

#[test]
fn both_paths_tell_of_both_and_know_which_they_are() {
    let folder = tempfile::tempdir().expect("a folder");
    let felio = two_paths(folder.path(), &["--alua", "2=standby"]);
    assert_eq!(felio.ready["portal_groups"], serde_json::json!([1, 2]));
    for (path, mut wire) in (1..).zip(log_in(&felio)) {
        assert_eq!(states(&mut wire), [(1, 0), (2, 2)]);
        let page = wire.good(0, &[0x12, 1, 0x83, 1, 0, 0], &Data::In(256));
        let designator = |kind: u8| [0x51, kind, 0, 4, 0, 0, 0, path];
        assert!(page.windows(8).any(|found| found == designator(0x94)), "the port, in {page:02x?}");
        assert!(page.windows(8).any(|found| found == designator(0x95)), "its group, in {page:02x?}");
        let name = format!("{},t,0x000{path}", felio.target());
        assert!(page.windows(name.len()).any(|found| found == name.as_bytes()), "its name, in {page:02x?}");
        wire.log_out();
    }
    felio.stop();
}

#[test]
fn discovery_tells_the_group_of_each_portal() {
    let folder = tempfile::tempdir().expect("a folder");
    let felio = two_paths(folder.path(), &[]);
    let initiator = "iqn.2026-11.org.example:alice".to_owned();
    let mut wire = Wire::log_in(felio.portal(), Settings { initiator, ..Settings::default() });
    wire.peer.say(b"SendTargets=All\0");
    let Some(PeerEvent::Text(_, text)) = wire.event(PATIENCE) else { panic!("no answer") };
    let text = String::from_utf8(text).expect("text");
    for (portal, group) in felio.portals().iter().zip([1, 2]) {
        assert!(text.contains(&format!("TargetAddress={portal},{group}\0")), "{text:?}");
    }
    felio.stop();
}

#[test]
fn states_move_and_outlast_the_target() {
    let folder = tempfile::tempdir().expect("a folder");
    let felio = two_paths(folder.path(), &["--alua", "2=active_nonoptimized"]);
    let [mut one, mut two] = log_in(&felio);
    assert_eq!((ready(&mut one), ready(&mut two)), ((0, 0, 0), (0, 0, 0)));
    set(&mut one, 2, 2);
    assert_eq!((ready(&mut one), ready(&mut two), ready(&mut two)), ((0, 0, 0), CHANGED, STANDBY));
    assert_eq!(states(&mut two), [(1, 0), (2, 2)]);
    drop(felio); // As hard as can be.
    let felio = two_paths(folder.path(), &["--alua", "2=active_nonoptimized"]);
    let [mut one, mut two] = log_in(&felio);
    assert_eq!((ready(&mut one), ready(&mut two)), ((0, 0, 0), STANDBY));
    // The operator has another opinion now.
    drop(felio);
    let felio = two_paths(folder.path(), &["--alua", "2=active_optimized"]);
    let [_, mut two] = log_in(&felio);
    assert_eq!(ready(&mut two), (0, 0, 0));
    felio.stop();
}

#[test]
fn a_transition_ends_without_anybody_asking() {
    let felio = Felio::start(&[&["ram:1M"][..], &TWO, &["--alua", "2=standby,transition=1"]].concat());
    let [mut one, mut two] = log_in(&felio);
    set(&mut one, 2, 0);
    assert_eq!(ready(&mut two), CHANGED);
    assert_eq!(ready(&mut two), (2, 0x04, 0x0a));
    let until = std::time::Instant::now() + PATIENCE;
    while states(&mut one)[1] != (2, 0) {
        assert!(std::time::Instant::now() < until, "the transition does not end");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!((ready(&mut two), ready(&mut two)), (CHANGED, (0, 0, 0)));
    felio.stop();
}

#[test]
fn sessions_on_several_reactors_see_a_change_at_once() {
    let felio = Felio::start(&[&["ram:1M"][..], &TWO, &["--cores", "2"]].concat());
    let [mut one, mut two] = log_in(&felio);
    for round in 0..20 {
        // The second path gets used to reading by itself.
        for _ in 0..3 {
            two.read(0, 0, 1);
        }
        set(&mut one, 2, 2);
        let mut read = || sense(&two.execute(0, &cdb::read(0, 1), Data::In(512)));
        assert_eq!((read(), read(), read()), (CHANGED, STANDBY, STANDBY), "round {round}");
        set(&mut one, 2, 0);
    }
    felio.stop();
}

#[test]
fn each_path_can_have_its_own_blocks() {
    let folder = tempfile::tempdir().expect("a folder");
    let map = folder.path().join("map");
    std::fs::write(&map, "0 0\n0 1023 1:O 2:S\n1024 2047 1:S 2:O\n").expect("written");
    let map = map.to_str().expect("text");
    let states = ["--alua", "1=lba_dependent", "--alua", "2=lba_dependent", "--lba-map", map];
    let felio = Felio::start(&[&["ram:1M"][..], &TWO, &states].concat());
    let [mut one, mut two] = log_in(&felio);
    assert_eq!((one.read(0, 1023, 1), two.read(0, 1024, 1)), (vec![0; 512], vec![0; 512]));
    let far = one.execute(0, &cdb::read(1024, 1), Data::In(512));
    assert_eq!(sense(&far), STANDBY);
    let referrals = [0x9e, 0x13, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 1, 0, 1, 0];
    let data = one.good(0, &referrals, &Data::In(256));
    assert_eq!(data[data.len() - 8..], [2, 0, 0, 1, 0, 0, 0, 2], "standby at 1, optimized at 2");
    felio.stop();
}

#[test]
fn a_tag_that_no_portal_has_is_refused() {
    let output = crate::common::export(&["ram:1M", "--alua", "2=standby"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--portal ADDR:PORT,2"));
}
