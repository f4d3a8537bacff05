//! Commands at work on the medium.

use crate::geometry::Extent;

/// What a checked CDB asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Data-In from the medium.
    Read {
        /// Which blocks.
        extent: Extent,
        /// From the medium itself.
        fua: bool,
    },
}
