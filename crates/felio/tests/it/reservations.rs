//! Reservations that outlive the program: what was answered is there again, however it ended.

use crate::common::wire::{Wire, pattern, settings};
use crate::common::{Felio, PATIENCE, cdb};
use felio_iscsi::peer::Data;
use rustix::process::Signal;
use tempfile::TempDir;

const RESERVATION_CONFLICT: u8 = 0x18;
pub(crate) const REGISTER_AND_IGNORE: u8 = 6;
pub(crate) const RESERVE: u8 = 1;
const WRITE_EXCLUSIVE: u8 = 1;

fn serve(folder: &TempDir) -> Felio {
    let path = |name: &str| folder.path().join(name).to_str().expect("text").to_owned();
    Felio::start(&[&path("disk.img"), "--size", "1M", "--state-dir", &path("state")])
}

fn log_in(felio: &Felio, name: &str) -> Wire {
    Wire::log_in(felio.portal(), settings(&felio.target(), name))
}

pub(crate) fn reserve_out(wire: &mut Wire, action: u8, key: u64, action_key: u64, flags: u8) {
    let (cdb, list) = reserve_request(action, key, action_key, flags);
    wire.good(0, &cdb, &Data::Out(list));
}

/// PERSISTENT RESERVE OUT.
pub(crate) fn reserve_request(action: u8, key: u64, action_key: u64, flags: u8) -> ([u8; 10], Vec<u8>) {
    let mut list = [key.to_be_bytes(), action_key.to_be_bytes()].concat();
    list.extend([0, 0, 0, 0, flags, 0, 0, 0]);
    ([0x5f, action, WRITE_EXCLUSIVE, 0, 0, 0, 0, 0, 24, 0], list)
}

/// READ KEYS or READ RESERVATION, without the generation.
pub(crate) fn reserve_in(wire: &mut Wire, action: u8) -> Vec<u8> {
    wire.good(0, &[0x5e, action, 0, 0, 0, 0, 0, 1, 0, 0], &Data::In(256))[4..].to_vec()
}

/// Whether a write is kept out, once what the target has to tell is told.
fn is_kept_out(wire: &mut Wire) -> bool {
    wire.good(0, &cdb::TEST_UNIT_READY, &Data::None);
    let done = wire.execute(0, &cdb::write(0, 1), Data::Out(pattern(1, 512)));
    done.status == RESERVATION_CONFLICT
}

#[test]
fn a_reservation_is_there_again_after_the_program_was_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut felio = serve(&folder);
    let mut holder = log_in(&felio, "iqn.2026-01.net.x:holder");
    reserve_out(&mut holder, REGISTER_AND_IGNORE, 0, 0xabcd, 1);
    reserve_out(&mut holder, RESERVE, 0xabcd, 0, 0);
    let before = (reserve_in(&mut holder, 0), reserve_in(&mut holder, 1));
    assert_eq!(before.0, [0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0xab, 0xcd]);
    for signal in [Signal::KILL, Signal::TERM] {
        felio.signal(signal);
        felio.wait(PATIENCE);
        felio = serve(&folder);
        let mut other = log_in(&felio, "iqn.2026-01.net.x:other");
        assert!(is_kept_out(&mut other), "before the holder is there");
        let mut holder = log_in(&felio, "iqn.2026-01.net.x:holder");
        assert!(!is_kept_out(&mut holder));
        assert_eq!((reserve_in(&mut holder, 0), reserve_in(&mut holder, 1)), before);
    }
    // The last word is that nothing shall be kept.
    let mut holder = log_in(&felio, "iqn.2026-01.net.x:third");
    reserve_out(&mut holder, REGISTER_AND_IGNORE, 0, 1, 0);
    felio.signal(Signal::KILL);
    felio.wait(PATIENCE);
    let felio = serve(&folder);
    let mut other = log_in(&felio, "iqn.2026-01.net.x:other");
    assert!(!is_kept_out(&mut other));
    assert_eq!(reserve_in(&mut other, 0), [0; 4]);
}
