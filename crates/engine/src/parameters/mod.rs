//! Parameter data: what a unit tells of itself, and what initiators may change.
//!
//! A function for each command, called through the table in [`commands`](crate::commands); the layouts are those of
//! `felio_spec`. [`inquiry`], [`vpd`] and [`ports`] say who the unit is, [`mode`] how it behaves, [`supported`] what it can do,
//! [`capacity`] and [`luns`] what is there, [`sense`] what happened; [`state`] reads the commands that change its state.
//!
//! Not here: GET LBA STATUS (it asks the store, see `work`), truncation to the allocation length, checks from the
//! command's row, the telling of other nexuses.
//!
//! Invariant: a parameter list takes effect as a whole or not at all.

pub mod capacity;
pub mod defects;
pub mod inquiry;
pub mod luns;
pub mod mode;
pub mod ports;
pub mod sense;
pub mod state;
pub mod supported;
pub mod vpd;

#[cfg(test)]
pub(crate) mod fixture;
