//! What stands below `/sys/kernel/config/target`, as a function of the object tree, and what it means to change it.
//!
//! A [`Tree`] answers what a file system is asked: [`Tree::entry`], [`Tree::list`], [`Tree::read`]. What makes, removes or writes is
//! a [`Step`]: the [`Change`]s to carry out, and what the tree has to remember of it once that is done ([`Tree::settle`]). A path has no
//! leading slash; the root is the empty path. Attributes and parameters are the rows of [`felio_control::attr`].
//!
//! A tree remembers what the kernel's has and a configuration has not: devices that are not enabled yet (`device`), LUNs that lead
//! nowhere yet, and which number the folder of a device has.
//!
//! Nothing here opens a file or talks to a daemon. Not here either: statistics, and the content of `pr/` beyond the type of reservations; these
//! are the running unit's.
#![forbid(unsafe_code)]

mod act;
mod device;
mod place;
mod show;
#[cfg(test)]
mod tests;
mod tree;
mod write;

pub use tree::{Entry, Errno, Mode, Step, Tree};

use felio_control::view::{SessionView, Snapshot};

/// What there is, to look at.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// What is wanted.
    pub snapshot: &'a Snapshot,
    /// Who is logged in.
    pub sessions: &'a [SessionView],
}

#[cfg(doc)]
use felio_control::Change;
