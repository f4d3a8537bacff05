//! What of a unit outlives the process beside its blocks: reservations, saved mode parameters, access states.
//!
//! The engine writes documents by name and never reads them again: what was saved is handed to it when a unit is made
//! ([`Saved`]). A document is written with [`Op::Save`](crate::Op::Save), as any other operation of a store, so that a task
//! waits for it as it waits for a flush.
//!
//! Invariant: after a crash at any time a document is the old one or the new one, whole; once the operation has completed
//! it is the new one.

use crate::store::Failure;

/// One document on its way to where it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Save {
    /// Its name: lower case letters and `_`.
    pub part: &'static str,
    /// The whole document.
    pub bytes: Vec<u8>,
}

/// What was saved of a unit, by name of the document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Saved(pub Vec<(String, Vec<u8>)>);

impl Saved {
    /// A document, if there is one.
    #[must_use]
    pub fn get(&self, part: &str) -> Option<&[u8]> {
        self.0.iter().find(|(name, _)| name == part).map(|(_, bytes)| bytes.as_slice())
    }
}

/// Where documents are kept, of all units: a folder, or something that several hosts share. Calls may come from any thread
/// and may block.
pub trait StateStore: Send + Sync {
    /// Everything that was saved of a unit.
    fn load(&self, unit: &UnitName) -> Result<Saved, Failure>;
    /// Replaces one document, atomically and durably.
    fn save(&self, unit: &UnitName, save: &Save) -> Result<(), Failure>;
}

/// A unit by its NAA designator: the same wherever and whenever it is exported.
pub type UnitName = [u8; 16];
