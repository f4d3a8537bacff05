//! What a port's events must be: the account of nexus, commands and task management functions.

use felio_hal::port::{Command, PortEvent, TaskManagement};
use felio_hal::{Buf, Pool, PortTag};
use std::collections::{BTreeMap, BTreeSet};

/// An engine that takes down what it is told.
#[derive(Default)]
pub(super) struct Backend {
    pub(super) nexus: Nexus,
    pub(super) commands: BTreeMap<u32, Task>,
    pub(super) managements: BTreeMap<u32, TaskManagement>,
    /// Names for tasks, all different.
    pub(super) next_task: u32,
    /// Commands that were let go without an answer, by the identity in the CDB.
    pub(super) abandoned: BTreeSet<u32>,
    /// Whether data may be anybody's: a wrong bit can make one command's data another's.
    pub(super) is_blind: bool,
    /// What was answered, by the identity in the CDB.
    pub(super) answers: BTreeMap<u32, Given>,
}

/// The nexus as the engine knows it.
#[derive(Default, Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Nexus {
    /// Nobody asked.
    #[default]
    None,
    /// It asks to exist.
    Asking,
    /// It exists.
    Alive,
    /// It is gone, or was never let in.
    Gone,
}

/// A command.
pub(super) struct Task {
    pub(super) command: Command,
    pub(super) data: Data,
}

/// How far its data is.
pub(super) enum Data {
    /// Not asked for.
    None,
    /// Asked for under this name.
    Asked { task: u32, bytes: u32 },
    /// Here.
    Here(Buf),
}

/// An answer.
pub(super) struct Given {
    pub(super) status: u8,
    /// Data-In that the initiator has room for.
    pub(super) data_bytes: usize,
    pub(super) residual: i64,
}

impl Backend {
    /// Takes an event down.
    pub(super) fn hear(&mut self, event: PortEvent) {
        match event {
            PortEvent::Login(login) => {
                assert_eq!(self.nexus, Nexus::None, "a connection logs in once");
                assert!(login.initiator_port.starts_with(&login.initiator), "{login:?}");
                self.nexus = Nexus::Asking;
            }
            PortEvent::Command(command) => {
                assert_eq!(self.nexus, Nexus::Alive, "a command without a nexus");
                self.check_free(command.tag);
                self.commands.insert(command.tag.0, Task { command, data: Data::None });
            }
            PortEvent::DataOut { task, buf } => {
                assert_eq!(self.nexus, Nexus::Alive, "data without a nexus");
                let asked = |held: &&mut Task| matches!(held.data, Data::Asked { task: name, .. } if name == task.slot);
                let held = self.commands.values_mut().find(asked).expect("data that was asked for");
                let Data::Asked { bytes, .. } = held.data else { unreachable!("just found") };
                assert_eq!(u32::try_from(buf.len()), Ok(bytes), "exactly what was asked for");
                if !self.is_blind {
                    check_data(&held.command, &buf);
                }
                held.data = Data::Here(buf);
            }
            PortEvent::TaskManagement(request) => {
                assert_eq!(self.nexus, Nexus::Alive, "a function without a nexus");
                self.check_free(request.tag);
                self.managements.insert(request.tag.0, request);
            }
            PortEvent::NexusLoss { .. } => {
                assert_eq!(self.nexus, Nexus::Alive, "a nexus is lost once, and only one that was");
                self.nexus = Nexus::Gone;
            }
        }
    }

    /// The connection is over: what it left here goes home.
    pub(super) fn forget(&mut self, pool: &mut Pool) {
        for task in std::mem::take(&mut self.commands).into_values() {
            if let Data::Here(buf) = task.data {
                pool.give(buf);
            }
        }
        self.managements.clear();
    }

    /// What must hold once the connection is closed.
    pub(super) fn check_end(&self) {
        assert_ne!(self.nexus, Nexus::Alive, "the end of a connection is the end of its nexus");
    }

    fn check_free(&self, tag: PortTag) {
        let taken = self.commands.contains_key(&tag.0) || self.managements.contains_key(&tag.0);
        assert!(!taken, "{tag:?} is in use");
    }
}

/// The identity that our own initiators put into a CDB.
pub(super) fn identity(command: &Command) -> Option<u32> {
    let bytes = command.cdb.bytes();
    let (mark, rest) = bytes.split_first_chunk::<4>()?;
    (*mark == MARK).then(|| rest.first_chunk().map(|id| u32::from_be_bytes(*id)))?
}

/// Data-Out of an identified command is its pattern.
fn check_data(command: &Command, data: &[u8]) {
    let Some(id) = identity(command) else { return };
    for (at, byte) in data.iter().enumerate() {
        assert_eq!(*byte, pattern(id, at), "byte {at} of {id}");
    }
}

/// The byte at a place of an identified command's data.
pub(super) fn pattern(id: u32, at: usize) -> u8 {
    let [_, _, _, low] = id.to_be_bytes();
    let [place, ..] = (at % 251).to_le_bytes();
    low.wrapping_mul(31) ^ place
}

/// How a CDB with an identity begins.
pub(super) const MARK: [u8; 4] = *b"\xeaID:";
