//! What makes a reactor look at its lane.

use std::os::fd::OwnedFd;

/// An eventfd.
pub(crate) type Event = OwnedFd;

/// Makes it readable.
pub(crate) fn signal(event: &Event) {
    // It fails only if the counter is full, and then it is readable already.
    let _ = rustix::io::write(event, &1u64.to_ne_bytes());
}
