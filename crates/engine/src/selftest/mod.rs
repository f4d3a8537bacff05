//! Self-tests: a unit reads a sample of its blocks and remembers what came of it.
//!
//! A [`SelfTest`] says which blocks come next. In the foreground it is part of its task; in the background it is the
//! unit's own errand, which goes on whatever becomes of the command and its nexus. Other commands run beside it.
//! [`Results`] is what the Self-Test Results log page tells. `drive` connects all that with the engine.
//!
//! Invariant: a unit has at most one test in the background, and a test has one operation with the store at a time.

mod drive;

use crate::geometry::{Extent, Geometry};
use felio_hal::Time;
use felio_spec::log::{SELF_TEST_RESULTS, self_test_results};
use felio_spec::report::self_test_code as code;
use felio_spec::sense::Sense;
use std::collections::VecDeque;

/// Longest piece that is read at once, bytes.
const PIECE_BYTES_MAX: u64 = 64 << 10;

/// Which test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// SELFTEST=1.
    Default,
    /// A short one.
    Short(Ground),
    /// An extended one.
    Extended(Ground),
}

/// When the command that asks for it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    /// When the test is over.
    Foreground,
    /// When it begins.
    Background,
}

impl Kind {
    /// SELF-TEST CODE.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Default => code::NONE,
            Self::Short(Ground::Background) => code::BACKGROUND_SHORT,
            Self::Extended(Ground::Background) => code::BACKGROUND_EXTENDED,
            Self::Short(Ground::Foreground) => code::FOREGROUND_SHORT,
            Self::Extended(Ground::Foreground) => code::FOREGROUND_EXTENDED,
        }
    }

    const fn ground(self) -> Ground {
        match self {
            Self::Default => Ground::Foreground,
            Self::Short(ground) | Self::Extended(ground) => ground,
        }
    }

    /// How many pieces it reads, spread over the whole unit.
    const fn pieces(self) -> u64 {
        match self {
            Self::Default | Self::Short(_) => 16,
            Self::Extended(_) => 1024,
        }
    }
}

/// A test that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SelfTest {
    kind: Kind,
    /// When it began.
    at: Time,
    /// Blocks of a piece.
    blocks: u64,
    /// Pieces that are read.
    done: u64,
}

impl SelfTest {
    /// A test that has read nothing.
    pub(crate) fn new(kind: Kind, geometry: &Geometry, at: Time) -> Self {
        let blocks = (PIECE_BYTES_MAX / u64::from(geometry.block_bytes)).max(1);
        let blocks = blocks.min(geometry.transfer_blocks_max.into()).min(geometry.blocks);
        Self { kind, at, blocks, done: 0 }
    }

    /// Bytes of the buffer that it needs: those of a piece.
    pub(crate) fn buf_bytes(&self, geometry: &Geometry) -> usize {
        geometry.buf_bytes(self.blocks)
    }

    /// What is read next; the last piece ends where the unit ends. The unit may have become smaller meanwhile.
    fn piece(&self, geometry: &Geometry) -> Option<Extent> {
        let pieces = self.kind.pieces().min(geometry.blocks.checked_div(self.blocks)?);
        if self.done >= pieces {
            return None;
        }
        let room = u128::from(geometry.blocks - self.blocks);
        let lba = room * u128::from(self.done) / u128::from((pieces - 1).max(1));
        Some(Extent { lba: u64::try_from(lba).ok()?, blocks: self.blocks })
    }

    /// How far it is, in parts of 65,536.
    pub(crate) fn progress(&self) -> u16 {
        u16::try_from((self.done << 16) / self.kind.pieces()).unwrap_or(u16::MAX)
    }
}

/// What came of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) kind: Kind,
    /// SELF-TEST RESULTS.
    pub(crate) result: u8,
    /// When it was over, or began.
    pub(crate) at: Time,
    /// What went wrong, with the block where that is known.
    pub(crate) failure: Option<Sense>,
}

/// The last tests, the latest first.
#[derive(Debug, Default)]
pub(crate) struct Results {
    reports: VecDeque<Report>,
    /// The test in the background.
    pub(crate) running: Option<SelfTest>,
    /// The number of the latest one in the background: what an earlier one has read concerns nobody.
    serial: u32,
}

impl Results {
    /// A test begins in the background; this is its number, never zero.
    fn begin(&mut self, test: SelfTest) -> u32 {
        self.running = Some(test);
        self.serial = self.serial.wrapping_add(1).max(1);
        self.serial
    }

    /// A test is over. Of the default one, only its initiator is told.
    pub(crate) fn note(&mut self, report: Report) {
        if report.kind == Kind::Default {
            return;
        }
        self.reports.truncate(SELF_TEST_RESULTS - 1);
        self.reports.push_front(report);
    }

    /// Ends the test in the background, for this reason; its last operation comes home to nobody.
    pub(crate) fn end(&mut self, result: u8) {
        if let Some(SelfTest { kind, at, .. }) = self.running.take() {
            self.note(Report { kind, result, at, failure: None });
        }
    }

    /// What the log tells: the test that is under way, then those that are over.
    pub(crate) fn reports(&self, now: Time) -> impl Iterator<Item = Report> {
        let running = self.running.as_ref().map(|test| Report {
            kind: test.kind,
            result: self_test_results::IN_PROGRESS,
            at: now,
            failure: None,
        });
        running.into_iter().chain(self.reports.iter().copied()).take(SELF_TEST_RESULTS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameters::fixture;

    fn geometry(blocks: u64) -> Geometry {
        Geometry { blocks, ..Geometry::new(&fixture::unit(0)) }
    }

    fn pieces(kind: Kind, geometry: &Geometry) -> Vec<Extent> {
        let mut test = SelfTest::new(kind, geometry, Time(0));
        core::iter::from_fn(|| {
            let piece = test.piece(geometry);
            test.done += 1;
            piece
        })
        .collect()
    }

    #[test]
    fn a_sample_reaches_from_the_first_block_to_the_last() {
        for (kind, count) in [(Kind::Default, 16), (Kind::Extended(Ground::Background), 1024)] {
            let found = pieces(kind, &geometry(1 << 40));
            assert_eq!((found.len(), found[0].lba), (count, 0));
            assert_eq!(found.last().map(|piece| piece.lba + piece.blocks), Some(1 << 40));
        }
    }

    #[test]
    fn a_small_unit_is_read_as_a_whole_and_an_empty_one_not_at_all() {
        let one = [Extent { lba: 0, blocks: 100 }];
        assert_eq!(pieces(Kind::Default, &geometry(100)), one);
        assert_eq!(pieces(Kind::Default, &geometry(0)), []);
    }

    #[test]
    fn the_latest_twenty_results_are_kept() {
        let mut results = Results::default();
        for second in 0..30 {
            let at = Time(second);
            results.note(Report { kind: Kind::Short(Ground::Foreground), result: 0, at, failure: None });
        }
        let told: Vec<u64> = results.reports(Time(99)).map(|report| report.at.0).collect();
        assert_eq!((told.len(), told[0], told[19]), (20, 29, 10));
    }
}
