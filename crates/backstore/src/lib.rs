//! Blocks from files, devices and memory.
//!
//! A reader starts with [`Store`]: what one file, device or piece of memory can do. [`open()`] makes one from a [`Spec`].
//! A reactor does not speak to stores but to its [`Lane`], which tries each operation on the spot, and gives what would
//! block to an io_uring ring or, where that is refused, to helper threads. [`policy`] is the one place that says what a
//! cache mode promises and how it keeps it. [`Fault`] is a store around a store that fails as told, [`state::Stateful`] one
//! whose unit has a place for documents.
//!
//! Not here: what a command means (the engine), and when to wait (the reactor).
//!
//! Invariant: memory that the kernel may still write to is owned by the ring or by a helper thread, never by a caller.
#![deny(unsafe_code)]
#![allow(clippy::disallowed_methods, reason = "this crate is where files, threads and their clocks live")]

pub mod fault;
pub mod identity;
pub mod lane;
pub mod open;
pub mod policy;
pub mod protect;
pub mod state;

mod block;
mod copy;
mod disk;
mod errno;
mod event;
mod file;
mod granules;
mod helpers;
mod lineup;
mod null;
mod ram;
mod scsi;
mod store;
mod sync;
#[allow(unsafe_code)]
mod sys;
mod transfer;

pub use fault::Fault;
pub use identity::Identity;
pub use lane::{Engine, Lane, LaneConfig, LaneError};
pub use null::Null;
pub use open::{OpenError, Opened, Source, Spec, UDEV_PATIENCE, open, open_beside};
pub use policy::CacheMode;
pub use protect::Protect;
pub use ram::Ram;
pub use store::{Answer, Attempt, Entry, Store};
