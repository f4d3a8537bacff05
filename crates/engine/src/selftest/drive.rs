//! Self-tests in the engine: who reads, who is told.

use super::{Ground, Kind, Report, SelfTest};
use crate::engine::{Engine, index};
use crate::failure;
use crate::progress::give_back;
use crate::table::Effort;
use crate::work::{Next, Outcome, Wanting, Work};
use felio_hal::store::{Done, Failure};
use felio_hal::{Buf, Op, Pool, Submission, Time};
use felio_spec::log::self_test_results;
use felio_spec::sense::{Sense, code};

impl Engine {
    /// SEND DIAGNOSTIC asks for a test: it wants a buffer first.
    pub(crate) fn want_self_test(&mut self, now: Time, at: u32, kind: Kind) -> Next {
        let geometry = &self.units[index(at)].geometry;
        let test = SelfTest::new(kind, geometry, now);
        match test.buf_bytes(geometry) {
            0 => Next::Finish(self.conclude_self_test(now, at, &test, None)), // There are no blocks.
            bytes => Next::Need(bytes, Wanting::SelfTest(Box::new(test))),
        }
    }

    /// A test has its buffer.
    pub(crate) fn begin_self_test(
        &mut self,
        at: u32,
        test: Box<SelfTest>,
        buf: Buf,
        pool: &mut Pool,
    ) -> Next {
        let unit = &mut self.units[index(at)];
        if unit.self_tests.running.is_some() {
            pool.give(buf);
            return Next::Finish(Outcome::check(code::SELF_TEST_IN_PROGRESS.into(), 0));
        }
        let Some(extent) = test.piece(&unit.geometry) else {
            pool.give(buf);
            return Next::Finish(Outcome::good(0)); // The blocks have gone meanwhile.
        };
        let op = Op::Read { at: unit.geometry.offset(extent.lba), buf };
        match test.kind.ground() {
            Ground::Foreground => Next::Submit(op, Work::SelfTest(test)),
            Ground::Background => {
                let serial = unit.self_tests.begin(*test);
                self.submit_self_test(at, serial, op);
                Next::Finish(Outcome::good(0))
            }
        }
    }

    /// A test in the foreground has read a piece.
    pub(crate) fn go_on_with_self_test(
        &mut self,
        now: Time,
        at: u32,
        mut test: Box<SelfTest>,
        result: Result<Done, Failure>,
        buf: Option<Buf>,
        pool: &mut Pool,
    ) -> Next {
        match self.step_self_test(now, at, &mut test, result, buf, pool) {
            Ok(op) => Next::Submit(op, Work::SelfTest(test)),
            Err(outcome) => Next::Finish(outcome),
        }
    }

    /// The test in the background has read a piece, if it was that one's.
    pub(crate) fn self_test_came_home(
        &mut self,
        now: Time,
        (at, serial): (u32, u32),
        result: Result<Done, Failure>,
        buf: Option<Buf>,
        pool: &mut Pool,
    ) {
        let tests = &mut self.units[index(at)].self_tests;
        let running = if tests.serial == serial { tests.running.take() } else { None };
        let Some(mut test) = running else { return give_back(buf, pool) };
        if let Ok(op) = self.step_self_test(now, at, &mut test, result, buf, pool) {
            self.units[index(at)].self_tests.running = Some(test);
            self.submit_self_test(at, serial, op);
        }
    }

    /// What a test does after a piece; or how it ends.
    fn step_self_test(
        &mut self,
        now: Time,
        at: u32,
        test: &mut SelfTest,
        result: Result<Done, Failure>,
        buf: Option<Buf>,
        pool: &mut Pool,
    ) -> Result<Op, Outcome> {
        let geometry = &self.units[index(at)].geometry;
        let lba = test.piece(geometry).map(|extent| extent.lba);
        test.done += 1;
        match (result, test.piece(geometry), buf) {
            (Ok(_), Some(next), Some(buf)) => Ok(Op::Read { at: geometry.offset(next.lba), buf }),
            (result, _, buf) => {
                give_back(buf, pool);
                let sense = result.err().map(|failure| failure::sense(failure, Effort::Read, geometry));
                let sense = sense.map(|sense| Sense { information: sense.information.or(lba), ..sense });
                Err(self.conclude_self_test(now, at, test, sense))
            }
        }
    }

    /// A test is over.
    fn conclude_self_test(
        &mut self,
        at: Time,
        unit: u32,
        test: &SelfTest,
        failure: Option<Sense>,
    ) -> Outcome {
        let result = failure.map_or(self_test_results::PASSED, |_| self_test_results::FAILED);
        self.units[index(unit)].self_tests.note(Report { kind: test.kind, result, at, failure });
        match failure {
            Some(_) => Outcome::check(code::LU_FAILED_SELF_TEST.into(), 0),
            None => Outcome::good(0),
        }
    }

    fn submit_self_test(&mut self, at: u32, serial: u32, op: Op) {
        let task = self.self_test_id(at, serial);
        let store = self.units[index(at)].config.store;
        self.submissions.push_back(Submission { store, task, op });
    }
}
