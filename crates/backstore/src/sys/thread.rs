//! What the kernel counts for a thread.

use core::mem::MaybeUninit;

/// How often the calling thread has gone to sleep of its own accord: it waited for something, and was not just put aside
/// in favour of another thread.
pub(crate) fn waits() -> i64 {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the kernel fills the struct or leaves it alone, and zeros are a valid one.
    // JUSTIFICATION: rustix does not have this call.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr());
        usage.assume_init()
    };
    usage.ru_nvcsw
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_waits_is_seen_to_wait() {
        let before = waits();
        let millisecond = rustix::event::Timespec { tv_sec: 0, tv_nsec: 1_000_000 };
        rustix::event::poll(&mut [], Some(&millisecond)).expect("nothing to come");
        assert!(waits() > before);
    }
}
