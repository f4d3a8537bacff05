//! Killed at every point: before each call to the file system that a change makes, from outside, one call after the other.
//!
//! What is found after the next start is what was before the change or what it makes, whole; and what was answered is there. strace kills.

use crate::common::Felio;
use crate::common::place::{Place, TPG, ask, snapshot, start};
use crate::common::wire::{Wire, settings};
use crate::common::{PATIENCE, cdb, lines};
use crate::paths::{set_request, states};
use crate::reservations::{REGISTER_AND_IGNORE, RESERVE, reserve_in, reserve_out, reserve_request};
use core::time::Duration;
use felio_iscsi::peer::{Data, PeerEvent};
use serde_json::{Value, json};
use std::fmt::Debug;
use std::fs;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// Whatever can change what is found on the disk. Those with a question mark not every machine has.
const CALLS: [&str; 16] = [
    "openat",
    "write",
    "pwrite64",
    "fsync",
    "fdatasync",
    "ftruncate",
    "copy_file_range",
    "sendfile",
    "linkat",
    "?rename",
    "?renameat",
    "renameat2",
    "?unlink",
    "unlinkat",
    "mkdirat",
    "fchmod",
];

/// So long may somebody who has answered take to die.
const DYING: Duration = Duration::from_millis(200);

/// How often any change is killed at the least.
const KILLS_MIN: usize = 5;

/// What a change is killed in, and how it is seen what came of it.
struct Trial<B, A, L, U> {
    /// Gets ready.
    begin: B,
    /// Makes the change; whether it is answered.
    act: A,
    /// What is there.
    look: L,
    /// Takes the change back.
    undo: U,
}

impl<B, A, L, U> Trial<B, A, L, U> {
    /// Kills at the first call of a kind, at the second, and so on, until the change comes through unharmed.
    fn run<P, S: PartialEq + Debug>(&self, serve: impl Fn() -> Felio)
    where
        B: Fn(&Felio) -> P,
        A: Fn(&mut P) -> bool,
        L: Fn(&Felio) -> S,
        U: Fn(&Felio),
    {
        let mut felio = serve();
        let old = (self.look)(&felio);
        assert!((self.act)(&mut (self.begin)(&felio)), "it can be made");
        let new = (self.look)(&felio);
        (self.undo)(&felio);
        assert_eq!((self.look)(&felio), old, "it can be taken back");
        assert_ne!(old, new);
        let mut kills = 0;
        for call in CALLS {
            for nth in 1.. {
                let mut ready = (self.begin)(&felio);
                let killer = Killer::attach(&felio, call, nth);
                let answered = (self.act)(&mut ready);
                killer.detach();
                let is_killed = felio.ends_within(if answered { DYING } else { PATIENCE });
                felio.kill();
                felio = serve();
                let found = (self.look)(&felio);
                let at = format!("{call} {nth}: killed {is_killed}, answered {answered}, found {found:?}");
                assert!(answered || is_killed, "it lives and does not answer: {at}");
                assert!(found == old || found == new, "something else: {at}");
                assert!(found == new || !answered, "what was answered is lost: {at}");
                if found == new {
                    (self.undo)(&felio);
                }
                if !is_killed {
                    break;
                }
                kills += 1;
            }
        }
        assert!(kills >= KILLS_MIN, "killed only {kills} times");
    }
}

/// Watches a process, and kills it when one of its threads makes a call for the nth time.
struct Killer(Child);

impl Killer {
    fn attach(felio: &Felio, call: &str, nth: u32) -> Self {
        let mut command = Command::new("strace");
        command.args(["-f", "-o", "/dev/null", "-e", &format!("trace={call}")]);
        command.args(["-e", &format!("inject={call}:signal=KILL:when={nth}"), "-p", &felio.id().to_string()]);
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("strace is there");
        let said = lines(child.stderr.take().expect("piped")).recv_timeout(PATIENCE).unwrap_or_default();
        assert!(said.contains("attached"), "strace does not begin: {said}");
        Self(child)
    }

    /// What it watched goes on, if it lives.
    fn detach(mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether a command succeeds before the connection ends.
fn is_done(wire: &mut Wire, cdb: &[u8], list: Vec<u8>) -> bool {
    let itt = wire.peer.command(cdb::lun(0), cdb, Data::Out(list));
    loop {
        match wire.event(PATIENCE) {
            Some(PeerEvent::Completed(done)) if done.itt == itt => return done.status == 0,
            Some(_) => {}
            None => return false,
        }
    }
}

/// A session that has heard all news.
fn log_in(felio: &Felio) -> Wire {
    let mut wire = Wire::log_in(felio.portal(), settings(&felio.target(), "iqn.2026-01.net.x:holder"));
    wire.good(0, &cdb::TEST_UNIT_READY, &Data::None);
    wire
}

fn export(folder: &TempDir) -> Felio {
    let path = |name: &str| folder.path().join(name).to_str().expect("text").to_owned();
    let portals = ["--portal", "127.0.0.1:0,1", "--portal", "127.0.0.1:0,2"];
    let disk = [&path("disk.img"), "--size", "1M", "--state-dir", &path("state")];
    Felio::start(&[&disk[..], &portals].concat())
}

#[test]
fn a_transaction_killed_at_any_point_has_happened_or_not() {
    kill_amid_a_transaction(0);
}

#[test]
fn the_same_where_the_configuration_is_so_long_that_changes_are_recorded() {
    kill_amid_a_transaction(2 << 20);
}

/// In a configuration with so many bytes of something that felio does not know.
fn kill_amid_a_transaction(unknown: usize) {
    let place = Place::new();
    place.set_up();
    let file = place.path("saveconfig.json");
    let Place { folder, felio, .. } = place;
    felio.stop();
    let mut saved: Value = serde_json::from_slice(&fs::read(&file).expect("a file")).expect("JSON");
    saved["unknown"] = "x".repeat(unknown).into();
    fs::write(&file, saved.to_string()).expect("a file");
    let dev = folder.path().join("second.img");
    let storage = "/backstores/fileio/second";
    let changes = json!([
        {"change": "create_storage", "storage": storage, "backing": {"fileio": {"dev": dev, "size": 65536}}, "wwn": "second"},
        {"change": "create_lun", "tpg": TPG, "storage": storage, "index": 4, "alias": "0123456789"},
        {"change": "set", "path": TPG, "group": "attribute", "name": "login_timeout", "value": "9"},
    ]);
    let back = json!([
        {"change": "delete_storage", "storage": storage},
        {"change": "reset", "path": TPG, "group": "attribute", "name": "login_timeout"},
    ]);
    let change =
        |changes: &Value| matches!(ask(&folder, "POST", "/v1/changes", &changes.to_string()), Some((200, _)));
    let trial = Trial {
        begin: |_: &Felio| (),
        act: |_: &mut ()| change(&changes),
        look: |_: &Felio| snapshot(&folder),
        undo: |_: &Felio| assert!(change(&back)),
    };
    trial.run(|| start(&folder, &["--cores", "1"]));
}

#[test]
fn a_registration_killed_at_any_point_has_happened_or_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = |wire: &mut Wire, key: u64| reserve_out(wire, REGISTER_AND_IGNORE, 0, key, 1);
    let mut felio = export(&folder);
    let mut holder = log_in(&felio);
    key(&mut holder, 0xa);
    reserve_out(&mut holder, RESERVE, 0xa, 0, 0);
    felio.kill();
    let (cdb, list) = reserve_request(REGISTER_AND_IGNORE, 0, 0xb, 1);
    let trial = Trial {
        begin: log_in,
        act: |wire: &mut Wire| is_done(wire, &cdb, list.clone()),
        look: |felio: &Felio| {
            let mut wire = log_in(felio);
            (reserve_in(&mut wire, 0), reserve_in(&mut wire, 1))
        },
        undo: |felio: &Felio| key(&mut log_in(felio), 0xa),
    };
    trial.run(|| export(&folder));
}

#[test]
fn an_access_state_killed_at_any_point_is_the_old_or_the_new_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let (cdb, list) = set_request(2, 2);
    let trial = Trial {
        begin: log_in,
        act: |wire: &mut Wire| is_done(wire, &cdb, list.clone()),
        look: |felio: &Felio| states(&mut log_in(felio)),
        undo: |felio: &Felio| crate::paths::set(&mut log_in(felio), 2, 0),
    };
    trial.run(|| export(&folder));
}
