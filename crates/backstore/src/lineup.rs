//! Which job begins when: in the order in which they came, but a store that hangs does not keep the others waiting.
//!
//! So many jobs run together, of whichever stores; as many again may run beside them, each the only one of its store. So one
//! store may occupy all the common places for ever, and the others still have one each.

use std::collections::VecDeque;

use felio_hal::StoreId;

/// Jobs that wait, and how many of each store run.
pub(crate) struct Lineup<J> {
    waiting: VecDeque<(StoreId, J)>,
    /// Of the stores that have any.
    loads: Vec<Load>,
    running: usize,
    common_max: usize,
}

struct Load {
    store: StoreId,
    waiting: usize,
    running: usize,
}

impl<J> Lineup<J> {
    /// Nothing waits; there will be `depth` jobs at most, `common_max` of which run together whatever their stores.
    pub(crate) fn new(depth: usize, common_max: usize) -> Self {
        Self { waiting: VecDeque::with_capacity(depth), loads: Vec::new(), running: 0, common_max }
    }

    /// A job waits.
    pub(crate) fn push(&mut self, store: StoreId, job: J) {
        self.waiting.push_back((store, job));
        match self.loads.iter_mut().find(|load| load.store == store) {
            Some(load) => load.waiting += 1,
            None => self.loads.push(Load { store, waiting: 1, running: 0 }),
        }
    }

    /// The next job that may begin now, if there is one; it runs from now on.
    pub(crate) fn begin(&mut self) -> Option<J> {
        let at = if self.running < self.common_max { 0 } else { self.first_alone()? };
        let (store, job) = self.waiting.remove(at)?;
        let load = self.loads.iter_mut().find(|load| load.store == store).expect("it had a job waiting");
        load.waiting -= 1;
        load.running += 1;
        self.running += 1;
        Some(job)
    }

    /// A job of this store runs no more.
    pub(crate) fn end(&mut self, store: StoreId) {
        let at = self.loads.iter().position(|load| load.store == store).expect("it had a job running");
        let load = &mut self.loads[at];
        load.running -= 1;
        self.running -= 1;
        if load.waiting + load.running == 0 {
            self.loads.swap_remove(at);
        }
    }

    /// Jobs that run.
    pub(crate) const fn running(&self) -> usize {
        self.running
    }

    /// Forgets the jobs that wait.
    pub(crate) fn take_waiting(&mut self) -> impl Iterator<Item = J> + use<J> {
        self.loads.iter_mut().for_each(|load| load.waiting = 0);
        core::mem::take(&mut self.waiting).into_iter().map(|(_, job)| job)
    }

    /// The first job that would run beside the common ones. Seldom is there one, so that is found out first.
    fn first_alone(&self) -> Option<usize> {
        if self.running >= self.common_max * 2 || self.loads.iter().all(|load| load.running > 0) {
            return None;
        }
        let is_alone =
            |store: StoreId| self.loads.iter().any(|load| load.store == store && load.running == 0);
        self.waiting.iter().position(|(store, _)| is_alone(*store))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COMMON: usize = 3;

    fn lineup(stores: &[u32]) -> Lineup<u32> {
        let mut lineup = Lineup::new(16, COMMON);
        stores.iter().for_each(|store| lineup.push(StoreId(*store), *store));
        lineup
    }

    fn begin_all(lineup: &mut Lineup<u32>) -> Vec<u32> {
        std::iter::from_fn(|| lineup.begin()).collect()
    }

    #[test]
    fn one_store_may_have_all_common_places_and_no_more() {
        assert_eq!(begin_all(&mut lineup(&[0; 5])), [0; COMMON]);
    }

    #[test]
    fn while_one_store_hangs_the_others_still_run_one_by_one() {
        let mut lineup = lineup(&[0, 0, 0, 0, 1, 1, 2]);
        assert_eq!(begin_all(&mut lineup), [0, 0, 0, 1, 2]);
        lineup.end(StoreId(1));
        assert_eq!(begin_all(&mut lineup), [1]);
    }

    #[test]
    fn as_many_stores_as_there_are_common_places_run_beside_them() {
        assert_eq!(begin_all(&mut lineup(&[0, 0, 0, 1, 2, 3, 4])), [0, 0, 0, 1, 2, 3]);
    }

    proptest! {
        /// Stores below `hung` never end a job: those that do are served completely, in order, and never is a place left free that
        /// a waiting job might take.
        #[test]
        fn whoever_may_run_runs_and_nothing_is_lost(
            stores in prop::collection::vec(0u32..6, 0..60),
            hung in 0u32..=3,
            picks in prop::collection::vec(any::<prop::sample::Index>(), 60),
        ) {
            let mut lineup = Lineup::new(0, COMMON);
            let (mut running, mut begun): (Vec<u32>, Vec<(u32, usize)>) = (Vec::new(), Vec::new());
            stores.iter().enumerate().for_each(|(at, store)| lineup.push(StoreId(*store), (*store, at)));
            for pick in picks {
                while let Some((store, at)) = lineup.begin() {
                    running.push(store);
                    begun.push((store, at));
                }
                prop_assert_eq!(lineup.running(), running.len());
                let left = stores.len() - begun.len();
                prop_assert!(left == 0 || running.len() >= COMMON, "a common place was left free");
                prop_assert!(running.len() <= 2 * COMMON);
                let able: Vec<usize> = (0..running.len()).filter(|at| running[*at] >= hung).collect();
                if able.is_empty() {
                    break;
                }
                lineup.end(StoreId(running.swap_remove(able[pick.index(able.len())])));
            }
            let of = |store: u32| stores.iter().enumerate().filter(move |(_, of)| **of == store);
            for store in hung..6 {
                let theirs: Vec<usize> = begun.iter().filter(|(of, _)| *of == store).map(|(_, at)| *at).collect();
                prop_assert_eq!(theirs, of(store).map(|(at, _)| at).collect::<Vec<_>>());
            }
        }
    }
}
