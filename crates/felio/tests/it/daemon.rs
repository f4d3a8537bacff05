//! The daemon: a configuration that changes while initiators work, and that no crash loses.

use crate::common::wire::{Wire, pattern, settings};
use crate::common::{Felio, PATIENCE};
use felio_iscsi::pdu::LoginStatus;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const TARGET: &str = "iqn.2026-01.net.x:t";
const TPG: &str = "/iscsi/iqn.2026-01.net.x:t/tpg1";

/// A place for a daemon, and the daemon.
struct Place {
    folder: TempDir,
    felio: Felio,
    portal: SocketAddr,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let felio = start(&folder, "1");
        // Nobody listens there for now, and somebody else only by bad luck.
        let portal =
            TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("loopback");
        Self { folder, felio, portal }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Kills it and starts it again.
    fn crash(&mut self) {
        self.felio.kill();
        self.felio = start(&self.folder, "2");
    }

    fn snapshot(&self) -> Value {
        ask(&self.folder, "GET", "/v1/snapshot", "").expect("an answer").1
    }

    /// One transaction; what it says where it is refused.
    fn change(&self, changes: Value) -> Result<Value, Value> {
        let (status, answer) =
            ask(&self.folder, "POST", "/v1/changes", &changes.to_string()).expect("an answer");
        if status == 200 { Ok(answer) } else { Err(answer) }
    }

    /// A target that everybody may write to, with one disk in a file.
    fn set_up(&self) {
        let set = |name: &str, value: &str| json!({"change": "set", "path": TPG, "group": "attribute", "name": name, "value": value});
        self.change(json!([
            self.file("first"),
            {"change": "create_target", "fabric": "iscsi", "wwn": TARGET, "tpg": {"open": true, "enable": true}},
            {"change": "create_portal", "tpg": TPG, "portal": self.portal.to_string()},
            {"change": "create_lun", "tpg": TPG, "storage": "/backstores/fileio/first"},
            set("generate_node_acls", "1"),
            set("demo_mode_write_protect", "0"),
        ]))
        .expect("everything is new");
    }

    fn file(&self, name: &str) -> Value {
        let dev = self.path(&format!("{name}.img"));
        json!({"change": "create_storage", "storage": format!("/backstores/fileio/{name}"), "backing": {"fileio": {"dev": dev, "size": 4 << 20}}})
    }

    fn log_in(&self, name: &str) -> Wire {
        Wire::log_in(self.portal, settings(TARGET, name))
    }
}

fn start(folder: &TempDir, cores: &str) -> Felio {
    let mut command = Command::new(env!("CARGO_BIN_EXE_felio"));
    command.arg("daemon").args(["--json", "--cores", cores]);
    command.arg("--config").arg(folder.path().join("saveconfig.json"));
    command.arg("--socket").arg(folder.path().join("socket"));
    command.arg("--state-dir").arg(folder.path().join("state"));
    Felio::launch(command)
}

/// A request on the daemon's socket; nothing when it is gone.
fn ask(folder: &TempDir, method: &str, path: &str, body: &str) -> Option<(u16, Value)> {
    let mut socket = UnixStream::connect(folder.path().join("socket")).ok()?;
    socket.set_read_timeout(Some(PATIENCE)).expect("a time");
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: felio\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    socket.write_all((head + body).as_bytes()).ok()?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, serde_json::from_str(body).unwrap_or(Value::Null)))
}

/// Writes and reads back on LUN 0 until told to stop; how often.
fn work(mut wire: Wire, stop: Arc<AtomicBool>) -> JoinHandle<u64> {
    std::thread::spawn(move || {
        for round in 0.. {
            if stop.load(Ordering::Relaxed) {
                wire.log_out();
                return round;
            }
            let lba = u32::try_from(round % 64 * 8).expect("small");
            wire.write(0, lba, pattern(round, 4096));
            assert_eq!(wire.read(0, lba, 8), pattern(round, 4096), "round {round}");
        }
        0
    })
}

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
        place.felio = start(&place.folder, "1");
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
