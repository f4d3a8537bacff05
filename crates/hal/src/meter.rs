//! What commands came to, counted by the thread that answers them and read by any other.
//!
//! Every reactor has a [`Meter`] of its own for whatever is counted, and is the only one that writes it ([`Meters`] has them all): a count is a
//! load, an addition and a store without a lock, and no cache line is written by two. Whoever wants to know adds the reactors up. Times are
//! those of the reactor's turns: its clock is not read for this.
//!
//! Built with `--cfg felio_uncounted`, nothing is counted: what counting costs is measured against such a build (bench/README.md).
//!
//! Not here: names for what is counted, and how it is shown.

use core::sync::atomic::{AtomicU64, Ordering};
use felio_spec::cdb::Kind;
use felio_spec::sense::SenseKey;
use felio_spec::{Status, TaskManagementFunction};
use std::sync::Arc;

/// One number. It has one writer.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// So many more.
    #[inline]
    pub fn add(&self, more: u64) {
        if cfg!(felio_uncounted) {
            return;
        }
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
    }

    /// So many now.
    #[inline]
    pub fn set(&self, now: u64) {
        if cfg!(felio_uncounted) {
            return;
        }
        self.0.store(now, Ordering::Relaxed);
    }

    /// So many.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What is counted of commands, be it of a unit, of a session or of a target port.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct Meter {
    /// Commands that are not answered, or of which an operation is not home.
    pub in_flight: Count,
    /// Commands that were answered, by [`Kind`].
    pub commands: [Count; Kind::COUNT],
    /// Bytes of Data-In that they got.
    pub bytes_in: Count,
    /// Bytes of Data-Out that they brought.
    pub bytes_out: Count,
    /// From arrival to answer.
    pub latency: Histogram,
    /// Those that ended with CHECK CONDITION, by sense key.
    pub checks: [Count; SENSE_KEYS],
    /// Those that ended in another way, by [`FAILURES`].
    pub failures: [Count; FAILURES.len()],
    /// Commands that ended without an answer: aborted, or their session was lost.
    pub abandoned: Count,
    /// Task management functions, by [`TaskManagementFunction::ALL`].
    pub functions: [Count; TaskManagementFunction::ALL.len()],
}

/// What is counted of a unit.
#[derive(Debug, Default)]
pub struct UnitMeter {
    /// Its commands.
    pub commands: Meter,
    /// Its store's operations, from submission to completion.
    pub store: Histogram,
    /// Those that failed.
    pub store_failures: Count,
    /// Unit attention conditions that were established, for each initiator that is concerned.
    pub attentions: Count,
    /// Those that initiators were told by CHECK CONDITION.
    pub attentions_told: Count,
    /// How often it was reset.
    pub resets: Count,
    /// ABORT TASK that found its task,
    pub aborts: Count,
    /// and those that did not.
    pub aborts_missed: Count,
}

/// What is counted of a unit under one of its numbers, for those who find it there. It is short: there is one for each number and reactor.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct LunMeter {
    /// Commands that were answered.
    pub commands: Count,
    /// Those that ended otherwise than well.
    pub errors: Count,
    /// Bytes of Data-In that they got.
    pub bytes_in: Count,
    /// Bytes of Data-Out that they brought.
    pub bytes_out: Count,
    /// From arrival to answer, all together, nanoseconds.
    pub nanos: Count,
}

impl LunMeter {
    /// Commands were answered.
    #[inline]
    pub fn note(&self, ended: &Ended) {
        self.commands.add(ended.commands);
        self.bytes_in.add(ended.bytes_in);
        self.bytes_out.add(ended.bytes_out);
        self.nanos.add(ended.nanos.wrapping_mul(ended.commands));
        if ended.status != Status::GOOD {
            self.errors.add(ended.commands);
        }
    }
}

/// How many sense keys there are.
pub const SENSE_KEYS: usize = 16;

/// The statuses that mean no success, but for CHECK CONDITION.
pub const FAILURES: [Status; 5] = [
    Status::BUSY,
    Status::TASK_SET_FULL,
    Status::RESERVATION_CONFLICT,
    Status::ACA_ACTIVE,
    Status::TASK_ABORTED,
];

/// How a command ended, or some that ended alike.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// What each was.
    pub kind: Kind,
    /// How.
    pub status: Status,
    /// What was wrong.
    pub key: Option<SenseKey>,
    /// From arrival to answer, each.
    pub nanos: u64,
    /// How many they are.
    pub commands: u64,
    /// Bytes to the initiator, all together.
    pub bytes_in: u64,
    /// Bytes from it, all together.
    pub bytes_out: u64,
}

impl Meter {
    /// Commands were answered.
    #[inline]
    pub fn note(&self, ended: &Ended) {
        self.commands[ended.kind.index()].add(ended.commands);
        self.bytes_in.add(ended.bytes_in);
        self.bytes_out.add(ended.bytes_out);
        self.latency.note(ended.nanos, ended.commands);
        if ended.status != Status::GOOD {
            self.note_failure(ended);
        }
    }

    #[cold]
    fn note_failure(&self, ended: &Ended) {
        if ended.status == Status::CHECK_CONDITION {
            let key = ended.key.unwrap_or(SenseKey::NO_SENSE);
            if let Some(count) = self.checks.get(usize::from(key.0)) {
                count.add(ended.commands);
            }
        } else if let Some(at) = FAILURES.iter().position(|status| *status == ended.status) {
            self.failures[at].add(ended.commands);
        }
    }

    /// A task management function arrived.
    pub fn note_function(&self, function: TaskManagementFunction) {
        if let Some(at) = TaskManagementFunction::ALL.iter().position(|other| *other == function) {
            self.functions[at].add(1);
        }
    }
}

/// How long something took, how often: buckets that are a quarter as wide as their lower bound, so that no time is off by more.
#[derive(Debug)]
pub struct Histogram {
    /// All times together, nanoseconds.
    pub total: Count,
    buckets: [Count; BUCKETS],
}

/// How many buckets a histogram has. The last has no upper bound.
pub const BUCKETS: usize = 101;

/// The width of the narrowest bucket, as a power of two of nanoseconds.
const NARROWEST: u32 = 8;

/// Each power of two is cut into so many buckets, as a power of two.
const CUT: u32 = 2;

/// Up to here buckets are equally wide.
const LINEAR: u64 = 1 << CUT;

impl Default for Histogram {
    fn default() -> Self {
        Self { total: Count::default(), buckets: [const { Count(AtomicU64::new(0)) }; BUCKETS] }
    }
}

impl Histogram {
    /// It took so long, so many times.
    #[inline]
    pub fn note(&self, nanos: u64, times: u64) {
        self.total.add(nanos.wrapping_mul(times));
        self.buckets[bucket_of(nanos)].add(times);
    }

    /// The buckets' counts.
    pub fn counts(&self) -> impl Iterator<Item = u64> {
        self.buckets.iter().map(Count::get)
    }
}

/// The bucket of a time.
#[inline]
fn bucket_of(nanos: u64) -> usize {
    let widths = nanos >> NARROWEST;
    let coarse = (widths | LINEAR).ilog2() - CUT;
    let at = (widths >> coarse) + (u64::from(coarse) << CUT);
    usize::try_from(at).unwrap_or(usize::MAX).min(BUCKETS - 1)
}

/// What is below the upper bound of each bucket but the last, nanoseconds.
#[must_use]
pub fn bounds() -> [u64; BUCKETS - 1] {
    core::array::from_fn(|at| {
        let next = u64::try_from(at).unwrap_or(u64::MAX).saturating_add(1);
        let coarse = (next >> CUT).saturating_sub(1);
        (next - (coarse << CUT)) << coarse << NARROWEST
    })
}

/// A meter for each reactor, of one thing.
#[derive(Debug)]
pub struct Meters<T>(Arc<[Arc<T>]>);

impl<T: Default> Meters<T> {
    /// For so many reactors.
    #[must_use]
    pub fn new(reactors: usize) -> Self {
        Self((0..reactors).map(|_| Arc::default()).collect())
    }

    /// A reactor's own. Where nobody reads any, it is nobody else's.
    #[must_use]
    pub fn of(&self, reactor: u16) -> Arc<T> {
        self.0.get(usize::from(reactor)).cloned().unwrap_or_default()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &T> + Clone {
        self.0.iter().map(Arc::as_ref)
    }
}

/// Nobody reads them.
impl<T> Default for Meters<T> {
    fn default() -> Self {
        Self(Arc::new([]))
    }
}

impl<T> Clone for Meters<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// What is counted of a thing does not make it another.
impl<T> PartialEq for Meters<T> {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl<T> Eq for Meters<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(status: Status, key: Option<SenseKey>) -> Ended {
        Ended { kind: Kind::Read, status, key, nanos: 1000, commands: 1, bytes_in: 512, bytes_out: 0 }
    }

    #[test]
    fn every_time_is_in_the_bucket_whose_bounds_are_around_it() {
        let bounds = bounds();
        for power in 0..40 {
            for nanos in [(1u64 << power) - 1, 1 << power, (1 << power) + (1 << power) / 3] {
                let at = bucket_of(nanos);
                assert!(at == BUCKETS - 1 || nanos < bounds[at], "{nanos}");
                assert!(at == 0 || nanos >= bounds[at - 1], "{nanos}");
            }
        }
    }

    #[test]
    fn no_bucket_is_wider_than_a_quarter_of_what_is_in_it() {
        for pair in bounds().windows(2).skip(4) {
            assert!(pair[1] - pair[0] <= pair[0] / 4, "{pair:?}");
        }
    }

    #[test]
    fn the_longest_time_is_in_the_last_bucket() {
        let histogram = Histogram::default();
        histogram.note(u64::MAX, 1);
        assert_eq!(histogram.counts().last(), Some(1));
        assert_eq!(histogram.counts().sum::<u64>(), 1);
    }

    #[test]
    fn a_success_is_counted_with_its_bytes_and_no_failure() {
        let meter = Meter::default();
        meter.note(&ended(Status::GOOD, None));
        assert_eq!((meter.commands[Kind::Read.index()].get(), meter.bytes_in.get()), (1, 512));
        assert!(meter.checks.iter().chain(&meter.failures).all(|count| count.get() == 0));
    }

    #[test]
    fn a_check_condition_is_counted_by_its_sense_key() {
        let meter = Meter::default();
        meter.note(&ended(Status::CHECK_CONDITION, Some(SenseKey::MEDIUM_ERROR)));
        assert_eq!(meter.checks[usize::from(SenseKey::MEDIUM_ERROR.0)].get(), 1);
    }

    #[test]
    fn every_other_failure_has_a_count_of_its_own() {
        let meter = Meter::default();
        FAILURES.iter().for_each(|status| meter.note(&ended(*status, None)));
        assert_eq!(meter.failures.each_ref().map(Count::get), [1; FAILURES.len()]);
    }

    #[test]
    fn a_number_has_failures_among_its_commands() {
        let meter = LunMeter::default();
        meter.note(&ended(Status::GOOD, None));
        meter.note(&ended(Status::BUSY, None));
        let counts = [&meter.commands, &meter.errors, &meter.bytes_in, &meter.bytes_out, &meter.nanos];
        assert_eq!(counts.map(Count::get), [2, 1, 1024, 0, 2000]);
    }

    #[test]
    fn commands_that_end_alike_count_as_they_would_one_by_one() {
        for status in [Status::GOOD, Status::BUSY, Status::CHECK_CONDITION] {
            let (together, single) = (Meter::default(), Meter::default());
            let one = ended(status, None);
            together.note(&Ended { commands: 2, bytes_in: 2 * one.bytes_in, ..one });
            single.note(&one);
            single.note(&one);
            assert_eq!(format!("{together:?}"), format!("{single:?}"));
        }
    }

    #[test]
    fn a_reactor_without_a_reader_counts_for_itself() {
        let meters = Meters::<Meter>::new(1);
        meters.of(0).bytes_in.add(1);
        meters.of(1).bytes_in.add(1);
        assert_eq!(meters.iter().map(|meter| meter.bytes_in.get()).sum::<u64>(), 1);
    }
}
