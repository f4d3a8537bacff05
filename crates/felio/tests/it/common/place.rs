//! A daemon in a folder of its own, and what is asked of it.

use super::wire::{Wire, pattern, settings};
use super::{Felio, PATIENCE};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use tempfile::TempDir;

pub(crate) const TARGET: &str = "iqn.2026-01.net.x:t";
pub(crate) const TPG: &str = "/iscsi/iqn.2026-01.net.x:t/tpg1";

/// A place for a daemon, and the daemon.
pub(crate) struct Place {
    pub(crate) folder: TempDir,
    pub(crate) felio: Felio,
    pub(crate) portal: SocketAddr,
}

impl Place {
    /// A line of the shell; what it says, and whether that is about a failure.
    pub(crate) fn line(&self, text: &str) -> (String, bool) {
        let output = Command::new(env!("CARGO_BIN_EXE_felio"))
            .args(["shell", "--socket"])
            .arg(self.path("socket"))
            .args(text.split(' '))
            .env("TARGETCLI_HOME", self.path("home"))
            .output()
            .expect("felio runs");
        let said = [output.stdout, output.stderr].concat();
        (String::from_utf8_lossy(&said).into_owned(), !output.status.success())
    }

    pub(crate) fn new() -> Self {
        Self::with(&["--cores", "1"])
    }

    /// With these words behind `felio daemon`.
    pub(crate) fn with(words: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let felio = start(&folder, words);
        Self::of(folder, felio)
    }

    /// Of a daemon that was started there.
    pub(crate) fn of(folder: TempDir, felio: Felio) -> Self {
        // Nobody listens there for now, and somebody else only by bad luck.
        let portal =
            TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("loopback");
        Self { folder, felio, portal }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Kills it and starts it again.
    pub(crate) fn crash(&mut self) {
        self.felio.kill();
        self.felio = start(&self.folder, &["--cores", "2"]);
    }

    pub(crate) fn snapshot(&self) -> Value {
        snapshot(&self.folder)
    }

    /// One transaction; what it says where it is refused.
    pub(crate) fn change(&self, changes: Value) -> Result<Value, Value> {
        let (status, answer) =
            ask(&self.folder, "POST", "/v1/changes", &changes.to_string()).expect("an answer");
        if status == 200 { Ok(answer) } else { Err(answer) }
    }

    /// A target that everybody may write to, with one disk in a file.
    pub(crate) fn set_up(&self) {
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

    pub(crate) fn file(&self, name: &str) -> Value {
        let dev = self.path(&format!("{name}.img"));
        json!({"change": "create_storage", "storage": format!("/backstores/fileio/{name}"), "backing": {"fileio": {"dev": dev, "size": 4 << 20}}})
    }

    pub(crate) fn log_in(&self, name: &str) -> Wire {
        Wire::log_in(self.portal, settings(TARGET, name))
    }
}

pub(crate) fn start(folder: &TempDir, words: &[&str]) -> Felio {
    Felio::launch(command(folder, words))
}

/// What starts a daemon there.
pub(crate) fn command(folder: &TempDir, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_felio"));
    command.arg("daemon").arg("--json").args(words);
    command.arg("--config").arg(folder.path().join("saveconfig.json"));
    command.arg("--socket").arg(folder.path().join("socket"));
    command.arg("--state-dir").arg(folder.path().join("state"));
    command
}

/// What the daemon shows, but for the number of it: that is another after each start.
pub(crate) fn snapshot(folder: &TempDir) -> Value {
    let mut shown = ask(folder, "GET", "/v1/snapshot", "").expect("an answer").1;
    shown.as_object_mut().expect("an object").remove("revision");
    shown
}

/// A request on the daemon's socket; nothing when it is gone.
pub(crate) fn ask(folder: &TempDir, method: &str, path: &str, body: &str) -> Option<(u16, Value)> {
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
pub(crate) fn work(mut wire: Wire, stop: Arc<AtomicBool>) -> JoinHandle<u64> {
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
