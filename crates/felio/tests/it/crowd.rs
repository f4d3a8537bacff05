//! Many at once: connections, logins, and sessions that replace each other.

use crate::common::load::Load;
use crate::common::wire::{Wire, pattern, settings};
use crate::common::{Felio, cdb};
use crate::hostile::{MEMORY, MEMORY_PEAK_KIB};
use felio_iscsi::peer::{Data, Settings};
use std::net::{SocketAddr, TcpStream};

fn start() -> Felio {
    Felio::start(&["ram:8M", "--memory", MEMORY])
}

#[track_caller]
fn end(felio: Felio, load: Load) {
    let done = load.finish();
    let peak = felio.memory_peak_kib();
    eprintln!("{peak} KiB at the most, {done:?}");
    assert!(peak < MEMORY_PEAK_KIB, "{peak} KiB, {done:?}");
    felio.stop();
}

#[test]
fn a_flood_of_mute_connections_keeps_nobody_out() {
    let felio = start();
    let load = Load::start(&felio, "good");
    let mut mute = Vec::new();
    for round in 0..6 {
        mute.extend((0..50).map(|_| TcpStream::connect(felio.portal()).expect("felio listens")));
        let mut wire = Wire::log_in(felio.portal(), settings(&felio.target(), &format!("newcomer-{round}")));
        wire.good(0, &cdb::TEST_UNIT_READY, &Data::None);
        wire.log_out();
    }
    end(felio, load);
    drop(mute);
}

#[test]
fn connections_that_come_and_go_leave_nothing_behind() {
    let felio = start();
    let load = Load::start(&felio, "good");
    for _ in 0..1500 {
        drop(TcpStream::connect(felio.portal()).expect("felio listens"));
    }
    end(felio, load);
}

#[test]
fn many_log_in_at_once() {
    let felio = start();
    let load = Load::start(&felio, "good");
    let (portal, target) = (felio.portal(), felio.target());
    let thread = |thread: u32| {
        let target = target.clone();
        std::thread::spawn(move || {
            (0..16).map(|at| busy_session(portal, &target, &format!("i{thread}-{at}"))).collect::<Vec<_>>()
        })
    };
    let threads: Vec<_> = (0..12).map(thread).collect();
    let wires: Vec<Wire> =
        threads.into_iter().flat_map(|thread| thread.join().expect("all log in")).collect();
    assert_eq!(wires.len(), 192);
    wires.into_iter().for_each(Wire::log_out);
    end(felio, load);
}

fn busy_session(portal: SocketAddr, target: &str, name: &str) -> Wire {
    let mut wire = Wire::log_in(portal, settings(target, name));
    wire.good(0, &cdb::read(0, 64), &Data::In(32 << 10));
    wire
}

/// Each login of the same initiator port replaces the session before it, in the middle of its work.
#[test]
fn a_storm_of_reinstatements_leaves_one_session_that_works() {
    for cores in ["1", "2"] {
        let felio = Felio::start(&["ram:8M", "--memory", MEMORY, "--cores", cores]);
        let load = Load::start(&felio, "good");
        let (portal, same) = (felio.portal(), settings(&felio.target(), "twin"));
        let thread = |seed: u64| {
            let same = same.clone();
            std::thread::spawn(move || storm(portal, &same, seed))
        };
        let threads: Vec<_> = (0..4).map(thread).collect();
        let admitted: usize =
            threads.into_iter().map(|thread| thread.join().expect("no rule is broken")).sum();
        assert!(admitted > 0);
        let mut last = Wire::log_in(portal, same);
        last.write(0, 8192, pattern(1, 4096));
        assert!(last.read(0, 8192, 8) == pattern(1, 4096));
        last.log_out();
        end(felio, load);
    }
}

/// Logs in again and again, leaves work behind each time; how often it got in.
fn storm(portal: SocketAddr, same: &Settings, seed: u64) -> usize {
    let mut left = Vec::new();
    let mut admitted = 0;
    for round in 0..30 {
        // A login that is overtaken by the next is closed without a word, or refused.
        let Ok(mut wire) = Wire::try_log_in(portal, same.clone()) else { continue };
        admitted += 1;
        for at in 0..4 {
            let lba = 8200 + 128 * at;
            wire.peer.command(0, &cdb::write(lba, 128), Data::Out(pattern(seed * 100 + round, 64 << 10)));
            wire.peer.command(0, &cdb::read(lba, 128), Data::In(64 << 10));
        }
        wire.send_only();
        left.push(wire);
    }
    admitted
}
