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

impl PortTag {
    /// The name of a command that a copy manager sends, as if it were a port: the `piece`-th under way on `reactor`. Ports
    /// name their commands by small numbers.
    #[must_use]
    pub const fn of_piece(reactor: u16, piece: u16) -> Self {
        let ([a, b], [c, d]) = (reactor.to_be_bytes(), piece.to_be_bytes());
        Self(u32::from_be_bytes([PIECE | (a & !PIECE_MASK), b, c, d]))
    }

    /// The reactor and the piece, if a copy manager sends the command.
    #[must_use]
    pub const fn piece(self) -> Option<(u16, u16)> {
        let [a, b, c, d] = self.0.to_be_bytes();
        if a & PIECE_MASK != PIECE {
            return None;
        }
        Some((u16::from_be_bytes([a & !PIECE_MASK, b]), u16::from_be_bytes([c, d])))
    }
}

/// What the first byte of a copy manager's names has in its upper bits.
const PIECE: u8 = 0x40;
const PIECE_MASK: u8 = 0xc0;

/// A store: the index by which reactor, engine and store queue know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoreId(pub u32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_is_told_from_a_ports_command() {
        assert_eq!(PortTag::of_piece(3, 700).piece(), Some((3, 700)));
        assert_eq!(PortTag(700).piece(), None);
        assert_eq!(PortTag(u32::MAX).piece(), None);
    }
}
