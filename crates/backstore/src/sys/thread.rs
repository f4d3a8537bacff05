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
    fn a_thread_that_waits_for_another_is_seen_to_wait() {
        let before = waits();
        let (give, take) = std::sync::mpsc::channel();
        let other = std::thread::spawn(move || take.recv());
        give.send(()).expect("it listens");
        let _ = other.join();
        assert!(waits() >= before);
    }
}
