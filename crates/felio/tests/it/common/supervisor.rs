//! The one who starts services and wants to know how they are, as systemd is.

use super::PATIENCE;
use core::mem::MaybeUninit;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
use std::io::IoSliceMut;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A socket for what it is told.
pub(crate) struct Supervisor {
    socket: UnixDatagram,
    folder: TempDir,
}

/// A datagram: lines, and perhaps a descriptor.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) text: String,
    pub(crate) fd: Option<OwnedFd>,
}

impl Told {
    /// The value of a line.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
    }
}

impl Supervisor {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = UnixDatagram::bind(folder.path().join("notify")).expect("a socket");
        Self { socket, folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("notify")
    }

    /// Tells a program to be where it is.
    pub(crate) fn supervise(&self, command: &mut Command) {
        command.env("NOTIFY_SOCKET", self.path());
    }

    /// What it is told next, if that is soon.
    pub(crate) fn hear(&self, patience: Duration) -> Option<Told> {
        self.socket.set_read_timeout(Some(patience)).expect("a time");
        let mut text = [0; 4096];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let into = &mut [IoSliceMut::new(&mut text)];
        let bytes =
            rustix::net::recvmsg(&self.socket, into, &mut control, RecvFlags::CMSG_CLOEXEC).ok()?.bytes;
        let fd = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
            _ => None,
        });
        let text = String::from_utf8(text[..bytes].to_vec()).expect("text");
        Some(Told { text, fd })
    }

    /// The next thing with this line; others before it are passed over.
    pub(crate) fn hear_line(&self, line: &str) -> Told {
        let until = Instant::now() + PATIENCE;
        loop {
            let told =
                self.hear(until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1)));
            let told = told.unwrap_or_else(|| panic!("nobody says {line}"));
            if told.text.lines().any(|own| own == line) {
                return told;
            }
        }
    }
}
