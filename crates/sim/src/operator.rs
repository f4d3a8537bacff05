//! The operator, who puts another store under the unit while initiators work, as the program does it.
//!
//! In steps, each of which a reactor takes when it gets to it: no command begins any more; once nothing is under way anywhere the store
//! is flushed; the other one is recorded and takes its place; every reactor learns how that is; commands go on. Now and then the flush
//! fails, or what is under way takes too long: then commands go on with the store that was there. What the program's death leaves is
//! the one or the other.
//!
//! The other store has the same blocks with a write cache or without one, or is a copy of what had reached the medium: what was
//! not flushed is lost with the first.

use crate::disk::{Disk, Flush};
use crate::initiator::Shared;
use crate::program::Program;
use crate::random::Random;
use felio_hal::Time;
use felio_hal::store::WriteCache;
use std::time::Duration;

/// How long what is under way may take.
const PATIENCE: Duration = Duration::from_millis(20);

/// The operator.
#[derive(Debug)]
pub struct Operator {
    random: Random,
    step: Step,
    /// When the next step begins, or is given up.
    at: Time,
    /// When which reactor takes the step.
    due: Vec<(Time, u16)>,
    /// Stores that took the place of others.
    pub swaps: u64,
}

#[derive(Debug)]
enum Step {
    /// Nothing is to be changed for now.
    Resting,
    /// Reactors are told that no command shall begin.
    Closing,
    /// What is under way ends.
    Waiting,
    /// The store is being flushed.
    Flushing(Flush),
    /// Reactors learn how the other store is.
    Telling,
    /// Reactors let commands go on.
    Opening,
}

impl Operator {
    /// One who comes for the first time at that time.
    #[must_use]
    pub const fn new(at: Time, random: Random) -> Self {
        Self { random, step: Step::Resting, at, due: Vec::new(), swaps: 0 }
    }

    /// When there is something to do.
    #[must_use]
    pub fn next(&self) -> Time {
        self.due.iter().map(|(at, _)| *at).min().unwrap_or(self.at)
    }

    /// The program has died, and another one serves what was recorded.
    pub fn handle_crash(&mut self, now: Time) {
        self.due.clear();
        self.rest(now);
    }

    /// Does what it is time for. Nothing is begun that is not `wanted`.
    pub fn act(
        &mut self,
        now: Time,
        wanted: bool,
        program: &mut Program,
        disk: &mut Disk,
        shared: &mut Shared,
    ) -> Result<(), String> {
        let due: Vec<(Time, u16)> = self.due.extract_if(.., |(at, _)| *at <= now).collect();
        for (_, reactor) in &due {
            match self.step {
                Step::Closing => program.hub(*reactor).handle_close(now, 0),
                Step::Telling => program.tell(now, *reactor, disk),
                Step::Opening => program.hub(*reactor).handle_open(now, 0),
                Step::Resting | Step::Waiting | Step::Flushing(_) => {}
            }
        }
        if !self.due.is_empty() {
            return Ok(());
        }
        match self.step {
            Step::Resting if now < self.at => {}
            Step::Resting if wanted => self.begin(now, Step::Closing, program),
            Step::Resting => self.at = now + Duration::from_secs(3600),
            Step::Closing => (self.step, self.at) = (Step::Waiting, now + PATIENCE),
            Step::Waiting if program.is_still() => {
                self.at = now + Duration::from_micros(self.random.below(2_000));
                self.step = Step::Flushing(disk.begin_flush());
            }
            Step::Waiting if now < self.at => {}
            Step::Waiting => self.begin(now, Step::Opening, program),
            Step::Flushing(_) if now < self.at => {}
            Step::Flushing(_) if self.random.chance(200) => self.begin(now, Step::Opening, program),
            Step::Flushing(ref flush) => {
                disk.end_flush(flush);
                self.replace(disk, shared)?;
                self.begin(now, Step::Telling, program);
            }
            Step::Telling => self.begin(now, Step::Opening, program),
            Step::Opening => {
                shared.cached = disk.limits().write_cache == WriteCache::On;
                self.rest(now);
            }
        }
        Ok(())
    }

    /// The other store is recorded: whatever happens now, it is the one.
    fn replace(&mut self, disk: &mut Disk, shared: &mut Shared) -> Result<(), String> {
        let cache = if self.random.chance(500) { WriteCache::On } else { WriteCache::Off };
        disk.replace(cache, self.random.chance(500))?;
        // Who has not been told yet may still rely on there being none; who sends something from now on will be told first.
        shared.cached |= cache == WriteCache::On;
        self.swaps += 1;
        Ok(())
    }

    fn begin(&mut self, now: Time, step: Step, program: &Program) {
        self.step = step;
        let at = |random: &mut Random| now + Duration::from_micros(random.below(300));
        self.due = (0..program.reactors()).map(|reactor| (at(&mut self.random), reactor)).collect();
    }

    fn rest(&mut self, now: Time) {
        self.step = Step::Resting;
        self.at = now + Duration::from_millis(1 + self.random.below(20));
    }
}
