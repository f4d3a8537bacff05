//! What helper threads share, and the threads themselves, by names under which a test can put others.

pub(crate) use core::sync::atomic::{AtomicUsize, Ordering};
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Starts a thread that nobody joins.
pub(crate) fn spawn(life: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    std::thread::Builder::new().name("felio-io".to_owned()).spawn(life).map(drop)
}
