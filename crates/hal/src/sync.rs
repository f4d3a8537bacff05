//! The atomics that reactors share, by a name under which a test can put others.

pub(crate) use core::sync::atomic::{AtomicUsize, Ordering};
