//! A deterministic world of initiators, networks and disks, with referees.
#![forbid(unsafe_code)]

pub mod disk;
pub mod random;
pub mod referee;
