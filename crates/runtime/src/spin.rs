//! Whether to look again for a while before sleeping.
//!
//! A wake-up costs more than a short wait. Where the last naps turned out shorter than the time allowed for looking, looking pays;
//! where they did not, it only burns the processor, and after a few vain attempts the reactor sleeps at once until a nap is short again.

use core::time::Duration;
use felio_hal::Time;

/// Vain attempts before giving up.
const CREDIT_MAX: u8 = 8;

/// Decides for one reactor.
#[derive(Debug)]
pub(crate) struct Spin {
    limit: Duration,
    credit: u8,
    /// When there was last something to do.
    idle_since: Option<Time>,
}

impl Spin {
    /// Looks for `limit` at the most; zero never looks.
    pub(crate) const fn new(limit: Duration) -> Self {
        Self { limit, credit: CREDIT_MAX, idle_since: None }
    }

    /// There is nothing to do at `now`: whether to look again rather than to sleep.
    pub(crate) fn poll_idle(&mut self, now: Time) -> bool {
        if self.limit.is_zero() {
            return false;
        }
        let since = *self.idle_since.get_or_insert(now);
        self.credit > 0 && now.since(since) < self.limit
    }

    /// There was something to do at `now`.
    pub(crate) fn handle_work(&mut self, now: Time) {
        let Some(since) = self.idle_since.take() else { return };
        self.credit = if now.since(since) < self.limit { CREDIT_MAX } else { self.credit.saturating_sub(1) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_nanos(50);

    #[test]
    fn it_looks_for_as_long_as_it_may() {
        let mut spin = Spin::new(LIMIT);
        assert_eq!([0, 49, 50].map(|at| spin.poll_idle(Time(at))), [true, true, false]);
    }

    #[test]
    fn vain_attempts_end_it_and_one_short_nap_brings_it_back() {
        let mut spin = Spin::new(LIMIT);
        for round in 0..u64::from(CREDIT_MAX) {
            assert!(spin.poll_idle(Time(round * 1000)));
            spin.handle_work(Time(round * 1000 + 900));
        }
        assert!(!spin.poll_idle(Time(100_000)));
        spin.handle_work(Time(100_010));
        assert!(spin.poll_idle(Time(100_020)));
    }

    #[test]
    fn zero_never_looks() {
        assert!(!Spin::new(Duration::ZERO).poll_idle(Time(0)));
    }
}
