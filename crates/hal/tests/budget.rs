//! The budget of buffer memory under threads that take and give at the same time: its very source, upon shuttle's atomics.
#![allow(missing_docs, dead_code, unreachable_pub, reason = "a part of the crate, built apart")]

#[path = "../src/buf/budget.rs"]
mod budget;

mod sync {
    pub(crate) use shuttle::sync::atomic::{AtomicUsize, Ordering};
}

use budget::Budget;
use shuttle::rand::{Rng, thread_rng};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const BYTES_MAX: usize = 8;
const ORDERS: usize = 5_000;

/// Threads take what they can get, and give it back.
fn crowd() {
    let budget = Budget::new(BYTES_MAX);
    // Counted beside the budget, in steps that nothing comes between.
    let held = Arc::new(AtomicUsize::new(0));
    let thread = |_| {
        let (budget, held) = (Arc::clone(&budget), Arc::clone(&held));
        shuttle::thread::spawn(move || {
            for _ in 0..3 {
                let bytes = thread_rng().gen_range(1..=BYTES_MAX);
                if budget.reserve(bytes) {
                    assert!(
                        held.fetch_add(bytes, Ordering::Relaxed) + bytes <= BYTES_MAX,
                        "more than there is"
                    );
                    held.fetch_sub(bytes, Ordering::Relaxed);
                    budget.release(bytes);
                }
            }
        })
    };
    let threads: Vec<_> = (0..3).map(thread).collect();
    threads.into_iter().for_each(|thread| thread.join().expect("it does not panic"));
    assert_eq!(budget.bytes(), 0, "all was given back");
    assert!(budget.reserve(BYTES_MAX), "nothing is lost");
}

#[test]
fn threads_never_hold_more_than_the_budget_and_lose_none_of_it() {
    shuttle::check_random(crowd, ORDERS);
    shuttle::check_pct(crowd, ORDERS, 3);
}
