//! A SCSI device server: decides what every command means, and does no I/O.
//!
//! A reader starts with [`Engine`] (what goes in and out), then [`commands`] (the table of what is supported) and
//! `order` (which commands run side by side). One engine serves the units of one reactor; bytes, time and completions
//! come in as arguments, decisions go out as values.
//!
//! Not here: sessions and PDUs (port engines), descriptors and system calls (backstore), threads (runtime).
//!
//! Invariants: a command is answered exactly once, by a response or by being abandoned; a task keeps its slot until its
//! buffer is home; nothing is allocated for a READ or WRITE once the tables have grown to their size.
#![forbid(unsafe_code)]

mod allegiance;
mod alua;
mod answers;
mod arrival;
mod attention;
pub mod commands;
mod config;
mod copy;
mod counters;
mod engine;
mod failure;
mod gate;
mod geometry;
mod guest;
mod home;
mod management;
mod metering;
mod nexus;
mod order;
mod overhaul;
pub mod parameters;
mod pass;
mod power;
mod progress;
mod protection;
mod reconfigure;
pub mod reservation;
mod selftest;
mod swap;
mod table;
mod thin;
mod unit;
mod work;
mod writer;

pub use config::{
    Access, Identity, LbaMap, LbaRange, LunMap, Mapping, PortConfig, PortGroup, Ports, TargetConfig,
    UnitConfig,
};
pub use counters::{Counters, Tally, Traffic};
pub use engine::Engine;
pub use gate::Letter;
pub use geometry::{Geometry, TRANSFER_BYTES_MAX};
pub use reservation::Holdings;
pub use unit::Unit;
pub use writer::Writer;
