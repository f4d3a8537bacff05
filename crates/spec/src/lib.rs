//! What the SCSI standards say, as data and total functions.
//!
//! A reader starts with [`field`] (how a bit field is named), then [`cdb`] (what a command's row says),
//! [`commands`] (the rows) and [`sense`] (what a failure is called). Parameter data are layouts: [`inquiry`], [`vpd`],
//! [`mode`], [`log`], [`report`], [`reservation`], [`alua`]; names of initiator ports are in [`transport_id`];
//! [`protection`] is what stands behind each block. Nothing here owns state, allocates or knows a transport.
//!
//! Invariant: no function panics, whatever bytes it is given.
#![forbid(unsafe_code)]

pub mod alua;
pub mod cdb;
pub mod commands;
pub mod copy;
pub mod designator;
pub mod field;
pub mod inquiry;
mod layout;
pub mod log;
pub mod lun;
pub mod medium;
pub mod mode;
pub mod protection;
pub mod report;
pub mod reservation;
pub mod sense;
pub mod status;
pub mod token;
pub mod transport_id;
pub mod vpd;

pub use cdb::{Cdb, Direction, Row};
pub use field::{Bits, Field};
pub use lun::Lun;
pub use sense::{Sense, SenseKey};
pub use status::{Status, TaskAttribute, TaskManagementFunction};
