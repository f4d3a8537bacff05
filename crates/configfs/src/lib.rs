//! What stands below `/sys/kernel/config/target`, as a function of the object tree, and what it means to change it.
//!
//! A [`Tree`] answers what a file system is asked: [`Tree::entry`], [`Tree::list`], [`Tree::read`]. What makes, removes or writes is
//! a [`Step`]: the [`Change`]s to carry out, and what the tree has to remember of it once that is done ([`Tree::settle`]). A path has no
//! leading slash; the root is the empty path. Attributes and parameters are the rows of [`felio_control::attr`].
//!
//! A tree remembers what the kernel's has and a configuration has not: devices that are not enabled yet (`device`), LUNs that lead
//! nowhere yet, and which number the folder of a device has.
//!
//! Nothing here opens a file or talks to a daemon: what runs (sessions, counts, reservations) is a part of the [`View`], and
//! [`Tree::needs`] says which of it a file tells of.
#![forbid(unsafe_code)]

mod act;
mod device;
mod place;
mod reservations;
mod show;
mod statistics;
#[cfg(test)]
mod tests;
mod tree;
mod write;

pub use tree::{Entry, Errno, Mode, Needs, Step, Tree};

use felio_control::stats::Stats;
use felio_control::view::{ReservationView, SessionView, Snapshot};

/// What there is, to look at.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// What is wanted.
    pub snapshot: &'a Snapshot,
    /// Who is logged in.
    pub sessions: &'a [SessionView],
    /// What was counted; without it everything is zero.
    pub stats: Option<&'a Stats>,
    /// Who has reserved the device that is looked at; without it nobody.
    pub reservations: Option<&'a ReservationView>,
}

impl<'a> View<'a> {
    /// What is wanted, and nothing of what runs.
    #[must_use]
    pub const fn of(snapshot: &'a Snapshot) -> Self {
        Self { snapshot, sessions: &[], stats: None, reservations: None }
    }
}

#[cfg(doc)]
use felio_control::Change;
