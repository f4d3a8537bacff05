//! What the SCSI standards say, as data and total functions.
//!
//! A reader starts with [`field`] (how a bit field is named), then [`cdb`] (what a command's row says) and
//! [`sense`] (what a failure is called). Nothing here owns state, allocates or knows a transport.
//!
//! Invariant: no function panics, whatever bytes it is given.
#![forbid(unsafe_code)]

pub mod cdb;
pub mod commands;
pub mod field;
pub mod lun;
pub mod sense;
pub mod status;

pub use cdb::{Cdb, Direction, Row};
pub use field::{Bits, Field};
pub use lun::Lun;
pub use sense::{Sense, SenseKey};
pub use status::{Status, TaskAttribute, TaskManagementFunction};
