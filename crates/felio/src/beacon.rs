//! The revision of what a daemon shows, in a file beside its socket: whoever keeps a copy sees there, without a question, whether it still holds.
//!
//! The daemon writes a revision before anybody hears that what has led to it is done, and keeps the file locked for as long as it lives: one that
//! nobody has locked was left by a daemon that was killed, and says nothing. It is a short way only: where there is no file, or it cannot be read, the
//! daemon is asked.

use core::time::Duration;
use rustix::fs::{FlockOperation, flock};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// How often, and after how long, it is tried again to lock what somebody looks at.
const LOOKERS: u32 = 10;
const PAUSE: Duration = Duration::from_millis(5);

/// A daemon's, which goes out with it.
#[derive(Debug)]
pub(crate) struct Beacon {
    file: File,
    path: PathBuf,
}

impl Beacon {
    /// Lights that of the daemon on a socket; it shows nothing yet.
    pub(crate) fn light(socket: &Path) -> io::Result<Self> {
        let path = beside(socket);
        let mut options = OpenOptions::new();
        // Whoever can open it can keep it locked: nobody else may, and nobody is waited for. Who looks holds it for no longer than that.
        let file = options.write(true).create(true).truncate(false).mode(0o600).open(&path)?;
        let mut patience = LOOKERS;
        while let Err(error) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
            patience = patience.checked_sub(1).ok_or(error)?;
            std::thread::sleep(PAUSE);
        }
        file.set_len(0)?;
        Ok(Self { file, path })
    }

    /// This is shown from now on.
    pub(crate) fn show(&self, revision: u64) {
        if self.file.write_all_at(&revision.to_le_bytes(), 0).is_err() {
            let _ = self.file.set_len(0);
        }
    }

    /// What the daemon on a socket shows, if that can be seen.
    pub(crate) fn seen(socket: &Path) -> Option<u64> {
        let file = File::open(beside(socket)).ok()?;
        if flock(&file, FlockOperation::NonBlockingLockShared).is_ok() {
            return None;
        }
        let mut bytes = [0; 8];
        file.read_exact_at(&mut bytes, 0).ok()?;
        Some(u64::from_le_bytes(bytes))
    }
}

impl Drop for Beacon {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn beside(socket: &Path) -> PathBuf {
    let mut name = socket.as_os_str().to_owned();
    name.push(".revision");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_last_is_seen() {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("socket");
        assert_eq!(Beacon::seen(&socket), None, "there is no daemon");
        let beacon = Beacon::light(&socket).expect("lit");
        assert_eq!(Beacon::seen(&socket), None, "it shows nothing yet");
        for revision in [7 << 32, u64::MAX, 8] {
            beacon.show(revision);
            assert_eq!(Beacon::seen(&socket), Some(revision));
        }
        drop(beacon);
        assert_eq!(Beacon::seen(&socket), None, "it has gone out");
    }

    #[test]
    fn what_a_killed_daemon_has_left_is_not_believed() {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("socket");
        std::fs::write(beside(&socket), 7_u64.to_le_bytes()).expect("written");
        assert_eq!(Beacon::seen(&socket), None, "nobody has locked it");
        let _next = Beacon::light(&socket).expect("lit");
        assert_eq!(Beacon::seen(&socket), None, "the next has not shown anything");
    }
}
