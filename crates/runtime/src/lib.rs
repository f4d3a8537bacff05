//! Turns readiness and completions into calls; owns every thread, descriptor and page.
//!
//! Two halves. [`hub`] is where a reactor's parts meet: ports, engine, stores, timers, other reactors. It is safe code without a
//! system call and asks everything of the world through [`hub::Io`]; the simulator drives the very same hub. The rest is Linux:
//! `sys` (sockets, epoll, eventfd, clock), `mailbox` (between reactors), `reactor` (one thread's loop) and [`start`] (the whole
//! process: listeners, reactors, stopping).
//!
//! Memory, at the most: `RuntimeConfig::buffer_bytes_max` for data, and for each connection its port's own state and at most
//! [`hub::STASH_BYTES_MAX`] of input that waits; for each reactor one receive buffer of [`hub::SCRATCH_BYTES`] and its task table.
#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, reason = "this crate is where files, sockets, threads and clocks live")]

pub mod adopt;
pub mod hub;
mod look;
mod mailbox;
mod reactor;
mod spin;
pub mod start;
mod swap;
mod sync;
mod sys;

pub use adopt::{Families, Late, Portal, Pulse, Retired, Served};
pub use hub::Event;
pub use start::{Notice, Runtime, RuntimeConfig, StartError};
pub use swap::{NotFlushed, flush};
