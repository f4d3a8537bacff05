//! Names for things that another crate owns. Each is an index with a generation, so that a late answer to a name that
//! was given away again is recognised.

/// An I_T nexus: which reactor serves its port, which slot there, which use of that slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NexusId {
    /// The reactor that owns the port.
    pub reactor: u16,
    /// The port's slot on that reactor.
    pub slot: u32,
    /// Which use of the slot.
    pub generation: u32,
}

/// A task in an engine's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TaskId {
    /// The reactor whose engine holds the task.
    pub reactor: u16,
    /// Slot in its table.
    pub slot: u32,
    /// Which use of the slot.
    pub generation: u32,
}

/// A command in its port's table: the port's own slot, unique among the commands that the port has not yet seen answered
/// or abandoned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PortTag(pub u32);

/// A store: the index by which reactor, engine and store queue know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoreId(pub u32);
