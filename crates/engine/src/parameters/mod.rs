//! Parameter data: what a unit tells of itself, and what initiators may change.
//!
//! A function for each command, called through the table in [`commands`](crate::commands); the layouts are those of
//! `felio_spec`. [`inquiry`], [`vpd`] and [`ports`] say who the unit is, [`mode`] how it behaves, [`log`] what it has
//! done, [`identifying`] what it is called, [`timestamp`] what time it is, [`buffer`] what comes back, [`diagnostic`] how
//! it tests itself, [`supported`] what it can do,
//! [`capacity`] and [`luns`] what is there, [`sense`] what happened; [`state`] reads the commands that change its state.
//!
//! Not here: GET LBA STATUS (it asks the store, see `work`), truncation to the allocation length, checks from the
//! command's row, the telling of other nexuses.
//!
//! Invariant: a parameter list takes effect as a whole or not at all.

pub mod buffer;
pub mod capacity;
pub mod defects;
pub mod diagnostic;
pub mod identifying;
pub mod inquiry;
pub mod log;
pub mod luns;
pub mod mode;
pub mod ports;
pub mod sense;
pub mod state;
pub mod supported;
mod third_party;
pub mod timestamp;
pub mod vpd;

#[cfg(test)]
pub(crate) mod fixture;
