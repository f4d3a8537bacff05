//! The daemon under a supervisor: what it says, and the sockets that outlive it.

use crate::common::place::{Place, TARGET, TPG, command};
use crate::common::supervisor::Supervisor;
use crate::common::sys::Held;
use crate::common::wire::{Wire, pattern, settings};
use crate::common::{Felio, PATIENCE, can_unshare};
use rustix::process::Signal;
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// Ample time for many signs of life.
const WHILE: Duration = Duration::from_millis(1500);

/// A daemon with a supervisor, which wants a sign of life within this time.
fn supervised(folder: TempDir, within: Option<Duration>) -> (Place, Supervisor) {
    let supervisor = Supervisor::new();
    let mut command = command(&folder, &["--cores", "2"]);
    supervisor.supervise(&mut command);
    if let Some(within) = within {
        command.env("WATCHDOG_USEC", within.as_micros().to_string());
    }
    let felio = Felio::launch(command);
    (Place::of(folder, felio), supervisor)
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

/// A daemon that is started with this socket.
fn with_socket(folder: TempDir, socket: impl Into<OwnedFd>, name: &str, supervisor: &Supervisor) -> Place {
    let daemon = command(&folder, &["--cores", "1"]);
    let script = r#"LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" "$@" 3<&0 0</dev/null"#;
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).arg(daemon.get_program()).args(daemon.get_args());
    shell.env("LISTEN_FDNAMES", name);
    supervisor.supervise(&mut shell);
    let felio = Felio::launch_with(shell, Stdio::from(socket.into()));
    Place::of(folder, felio)
}

#[test]
fn a_supervisor_is_told_of_the_start_of_a_reload_and_of_the_end() {
    let (place, supervisor) = supervised(folder(), None);
    supervisor.hear_line("STATUS=Serving 0 disks in 0 targets at 0 portals");
    supervisor.hear_line("READY=1");
    place.set_up();
    supervisor.hear_line("STATUS=Serving 1 disk in 1 target at 1 portal");
    place.felio.signal(Signal::HUP);
    let reloading = supervisor.hear_line("RELOADING=1");
    let micros: i64 = reloading.value("MONOTONIC_USEC").and_then(|text| text.parse().ok()).expect("a time");
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    assert!(
        (now.tv_sec * 1_000_000 - micros).abs() < 60_000_000,
        "{micros} is not the time of the monotonic clock"
    );
    supervisor.hear_line("READY=1");
    place.felio.signal(Signal::TERM);
    supervisor.hear_line("STOPPING=1");
}

#[test]
fn signs_of_life_come_only_while_every_reactor_takes_its_turns() {
    let (place, supervisor) = supervised(folder(), Some(Duration::from_millis(400)));
    supervisor.hear_line("WATCHDOG=1");
    supervisor.hear_line("WATCHDOG=1");
    let held = Held::hold(place.felio.id(), "reactor-1");
    // One was under way, perhaps.
    let _ = supervisor.hear(Duration::from_millis(200));
    let said = supervisor.hear(WHILE);
    assert!(said.is_none(), "a reactor hangs, and it says {said:?}");
    // The desk goes on meanwhile.
    place.snapshot();
    drop(held);
    supervisor.hear_line("WATCHDOG=1");
    place.felio.stop();
}

#[test]
fn who_connects_while_the_daemon_is_away_is_served_when_it_is_back() {
    let (mut place, supervisor) = supervised(folder(), None);
    place.set_up();
    place.log_in("i").write(0, 0, pattern(1, 512));
    let name = format!("felio-portal-{}", place.portal.to_string().replace(':', "_"));
    let kept = supervisor.hear_line(&format!("FDNAME={name}"));
    assert_eq!(kept.value("FDSTORE"), Some("1"));
    place.felio.kill();
    let portal = place.portal;
    let waiting = std::thread::spawn(move || Wire::log_in(portal, settings(TARGET, "i")));
    let back = with_socket(place.folder, kept.fd.expect("a socket"), &name, &supervisor);
    assert_eq!(waiting.join().expect("it is let in").read(0, 0, 1), pattern(1, 512));
    // It is kept again, and not when nobody wants it any more.
    supervisor.hear_line(&format!("FDNAME={name}"));
    back.change(json!([{"change": "disable_tpg", "tpg": TPG}])).expect("it is enabled");
    let gone = supervisor.hear_line(&format!("FDNAME={name}"));
    assert_eq!(gone.value("FDSTOREREMOVE"), Some("1"));
    back.felio.stop();
}

#[test]
fn what_was_kept_and_is_not_wanted_any_more_is_let_go() {
    let folder = folder();
    let supervisor = Supervisor::new();
    let socket = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let place = with_socket(folder, socket, "felio-portal-x", &supervisor);
    assert_eq!(supervisor.hear_line("FDNAME=felio-portal-x").value("FDSTOREREMOVE"), Some("1"));
    place.felio.stop();
}

#[test]
fn a_portal_of_the_supervisor_can_be_left_and_taken_again() {
    let supervisor = Supervisor::new();
    let socket = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let portal = socket.local_addr().expect("bound");
    let held = socket.try_clone().expect("a descriptor");
    let place = Place { portal, ..with_socket(folder(), socket, "felio.socket", &supervisor) };
    place.set_up();
    assert_eq!(place.log_in("i").read(0, 0, 1), [0; 512]);
    let tpg = |change: &str| place.change(json!([{"change": change, "tpg": TPG}])).expect("it can be");
    tpg("disable_tpg");
    tpg("enable_tpg");
    assert_eq!(place.log_in("i").read(0, 0, 1), [0; 512]);
    drop(held);
    place.felio.stop();
}

#[test]
fn the_control_socket_can_be_there_before_the_daemon_and_stays_behind() {
    let folder = folder();
    let path = folder.path().join("socket");
    let socket = UnixListener::bind(&path).expect("a socket");
    // Whoever comes too early waits.
    let mut early = UnixStream::connect(&path).expect("it listens");
    early.write_all(b"GET /v1/revision HTTP/1.1\r\nhost: felio\r\nconnection: close\r\n\r\n").expect("room");
    let supervisor = Supervisor::new();
    let place = with_socket(folder, socket, "felio.socket", &supervisor);
    assert!(supervisor.hear_line("FDNAME=felio-control").fd.is_some());
    early.set_read_timeout(Some(PATIENCE)).expect("a time");
    let mut answer = String::new();
    early.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let Place { folder: _kept, felio, .. } = place;
    felio.stop();
    assert!(path.exists());
}

#[test]
fn systemd_starts_reloads_and_restarts_it_by_the_units_of_packages() {
    if !Path::new("/lib/systemd/systemd").exists() || !can_unshare("--mount") || !can_unshare("--net") {
        return eprintln!("skipped: no systemd, or no namespaces for it");
    }
    let folder = folder();
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let mut command = Command::new("timeout");
    command.args(["120", "unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc", "bash"]);
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/service/under-systemd.sh"));
    command.arg(env!("CARGO_BIN_EXE_felio")).arg(format!("{root}/packaging/systemd")).arg(folder.path());
    let output = command.output().expect("timeout runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
}
