//! How felio ends: in order, at once, or killed; and what is then on the disk.

use crate::common::wire::{Wire, pattern, sense, settings};
use crate::common::{Felio, PATIENCE, cdb};
use felio_iscsi::pdu::{AsyncEvent, R2t};
use felio_iscsi::peer::{Answers, Data, PeerEvent, Settings};
use rustix::process::Signal;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Signals that come sooner after the first are taken for its echo.
const ECHO: Duration = Duration::from_millis(300);

/// What felio gives initiators to log out, and some more for a busy machine.
const GRACE: Duration = Duration::from_secs(5);
const GRACE_MAX: Duration = Duration::from_secs(12);

fn disk() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("disk.img");
    (folder, path)
}

fn serve(path: &std::path::Path) -> Felio {
    Felio::start(&[path.to_str().expect("text"), "--size", "16M"])
}

fn log_in(felio: &Felio, name: &str) -> Wire {
    Wire::log_in(felio.portal(), settings(&felio.target(), name))
}

/// Waits for the target's wish that we log out.
pub(crate) fn asked_to_log_out(wire: &mut Wire) {
    loop {
        match wire.event(PATIENCE) {
            Some(PeerEvent::Async(message)) if message.event == AsyncEvent::LOGOUT_REQUESTED => return,
            Some(_) => {}
            None => panic!("no wish; closed: {}", wire.is_closed()),
        }
    }
}

#[test]
fn without_sessions_it_ends_at_once() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let mut felio = Felio::start(&["ram:1M"]);
        let start = Instant::now();
        felio.signal(signal);
        assert_eq!(felio.wait(PATIENCE), Some(0));
        assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    }
}

#[test]
fn under_nohup_a_hangup_is_no_reason_to_end() {
    let mut command = Command::new("nohup");
    command.arg(env!("CARGO_BIN_EXE_felio")).args(["export", "ram:1M", "--json", "--portal", "127.0.0.1:0"]);
    let felio = Felio::launch(command);
    felio.signal(Signal::HUP);
    log_in(&felio, "late").log_out();
    felio.signal(Signal::TERM);
    assert_eq!(felio.event("stopping")["signal"], "SIGTERM");
}

#[test]
fn a_file_that_may_not_grow_fails_a_write_and_ends_nothing() {
    let (_folder, path) = disk();
    std::fs::File::create(&path).and_then(|file| file.set_len(16 << 20)).expect("a file");
    let mut command = Command::new("prlimit");
    command.arg(format!("--fsize={}", 1 << 20)).arg(env!("CARGO_BIN_EXE_felio"));
    command.arg("export").arg(&path).args(["ram:1M", "--json", "--portal", "127.0.0.1:0"]);
    let felio = Felio::launch(command);
    let mut wire = log_in(&felio, "writer");
    wire.good(0, &cdb::TEST_UNIT_READY, &Data::None);
    let done = wire.execute(0, &cdb::write(8192, 8), Data::Out(pattern(1, 4096)));
    assert_eq!((done.status, sense(&done)), (2, (7, 0x27, 7)), "SPACE ALLOCATION FAILED WRITE PROTECT");
    wire.write(0, 0, pattern(2, 4096));
    wire.good(1, &cdb::TEST_UNIT_READY, &Data::None);
    wire.log_out();
    felio.stop();
}

#[test]
fn a_session_may_finish_what_runs_and_log_out() {
    let (_folder, path) = disk();
    let mut felio = serve(&path);
    let keys = [("ImmediateData", "No"), ("InitialR2T", "Yes"), ("MaxRecvDataSegmentLength", "65536")];
    let keys = keys.map(|(key, value)| (key, value.to_owned())).to_vec();
    let mut wire = Wire::log_in(
        felio.portal(),
        Settings { answers: Answers::Nobody, keys, ..settings(&felio.target(), "writer") },
    );
    wire.good(0, &cdb::TEST_UNIT_READY, &Data::None);
    let bytes = pattern(1, 64 << 10);
    let itt = wire.peer.command(0, &cdb::write(8, 128), Data::Out(bytes.clone()));
    let r2t = asked(&mut wire);
    felio.signal(Signal::TERM);
    asked_to_log_out(&mut wire);
    wire.peer.send_data(
        itt,
        r2t.target_transfer_tag,
        r2t.buffer_offset,
        r2t.buffer_offset + r2t.desired_bytes,
    );
    assert_eq!(wire.completed(itt).status, 0, "what ran is finished");
    let start = Instant::now();
    wire.log_out();
    assert_eq!(felio.wait(PATIENCE), Some(0));
    assert!(start.elapsed() < GRACE, "nothing was left to wait for: {:?}", start.elapsed());
    let kept = std::fs::read(&path).expect("a file");
    assert!(kept[4096..][..bytes.len()] == bytes, "what was acknowledged is there");
}

/// The R2T for a write.
pub(crate) fn asked(wire: &mut Wire) -> R2t {
    loop {
        match wire.event(PATIENCE) {
            Some(PeerEvent::Asked(r2t)) => return r2t,
            Some(_) => {}
            None => panic!("no R2T"),
        }
    }
}

#[test]
fn all_of_many_sessions_are_asked() {
    let mut felio = Felio::start(&["ram:1M", "--cores", "2"]);
    let mut wires: Vec<Wire> = (0..8).map(|at| log_in(&felio, &format!("i{at}"))).collect();
    felio.signal(Signal::INT);
    wires.iter_mut().for_each(asked_to_log_out);
    wires.into_iter().for_each(Wire::log_out);
    assert_eq!(felio.wait(GRACE), Some(0));
}

#[test]
fn who_ignores_the_wish_is_closed_when_the_grace_is_over() {
    let mut felio = Felio::start(&["ram:1M"]);
    let mut wire = log_in(&felio, "stubborn");
    let start = Instant::now();
    felio.signal(Signal::TERM);
    asked_to_log_out(&mut wire);
    wire.wait_closed();
    assert_eq!(felio.wait(PATIENCE), Some(0));
    assert!((GRACE..GRACE_MAX).contains(&start.elapsed()), "{:?}", start.elapsed());
}

#[test]
fn a_peer_that_neither_reads_nor_sends_its_data_does_not_keep_it_from_ending() {
    let mut felio = Felio::start(&["ram:8M"]);
    let mut deaf = log_in(&felio, "deaf");
    for _ in 0..32 {
        deaf.peer.command(0, &cdb::read(0, 2048), Data::In(1 << 20));
    }
    let mut mean = Wire::log_in(
        felio.portal(),
        Settings { answers: Answers::Nobody, ..settings(&felio.target(), "mean") },
    );
    mean.good(0, &cdb::TEST_UNIT_READY, &Data::None);
    mean.peer.command(0, &cdb::write(0, 2048), Data::Out(vec![1; 1 << 20]));
    asked(&mut mean);
    deaf.send_only();
    let start = Instant::now();
    felio.signal(Signal::TERM);
    assert_eq!(felio.wait(PATIENCE), Some(0));
    assert!(start.elapsed() < GRACE_MAX, "{:?}", start.elapsed());
}

#[test]
fn while_it_ends_nobody_new_is_let_in() {
    let mut felio = Felio::start(&["ram:1M"]);
    let mut old = log_in(&felio, "old");
    felio.signal(Signal::TERM);
    asked_to_log_out(&mut old);
    if let Ok(socket) = std::net::TcpStream::connect(felio.portal()) {
        let mut new = Wire::over(socket, felio_iscsi::peer::Peer::new(settings(&felio.target(), "new")));
        let answer = new.event(PATIENCE);
        assert!(!matches!(answer, Some(PeerEvent::LoggedIn { .. })), "{answer:?}");
    }
    old.log_out();
    assert_eq!(felio.wait(PATIENCE), Some(0));
}

#[test]
fn a_second_signal_ends_it_at_once() {
    for (first, second, code) in [(Signal::TERM, Signal::INT, 130), (Signal::INT, Signal::TERM, 143)] {
        let mut felio = Felio::start(&["ram:1M"]);
        let mut wire = log_in(&felio, "stubborn");
        felio.signal(first);
        asked_to_log_out(&mut wire);
        std::thread::sleep(ECHO);
        let start = Instant::now();
        felio.signal(second);
        assert_eq!(felio.wait(PATIENCE), Some(code));
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    }
}

#[test]
fn killed_and_started_again_it_has_what_was_made_durable() {
    let (_folder, path) = disk();
    let mut felio = serve(&path);
    let mut wire = log_in(&felio, "writer");
    wire.good(0, &cdb::write_through(0, 8), &Data::Out(pattern(1, 4096)));
    wire.write(0, 100, pattern(2, 256 << 10));
    wire.good(0, &cdb::SYNCHRONIZE_CACHE, &Data::None);
    // Killed in the middle of work.
    for at in 0..8 {
        wire.peer.command(0, &cdb::write(4096 + 64 * at, 64), Data::Out(pattern(3, 32 << 10)));
    }
    wire.send_only();
    let who = felio.who();
    felio.kill();
    wire.wait_closed();
    let felio = serve(&path);
    assert_eq!(felio.who(), who);
    let mut wire = log_in(&felio, "writer");
    assert!(wire.read(0, 0, 8) == pattern(1, 4096));
    assert!(wire.read(0, 100, 512) == pattern(2, 256 << 10));
    wire.log_out();
    felio.stop();
}

#[test]
fn every_cache_mode_keeps_what_was_acknowledged_over_a_stop() {
    for mode in ["write-back", "write-through", "direct"] {
        let (_folder, path) = disk();
        let words = [path.to_str().expect("text"), "--size", "16M", "--cache", mode];
        let felio = Felio::start(&words);
        let mut wire = log_in(&felio, "writer");
        wire.write(0, 64, pattern(7, 128 << 10));
        felio.stop();
        assert!(
            std::fs::read(&path).expect("a file")[64 * 512..][..128 << 10] == pattern(7, 128 << 10),
            "{mode}"
        );
    }
}
