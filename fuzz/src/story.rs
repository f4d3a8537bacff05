//! What happens in a run, told line by line when somebody replays an input to understand it; silent in fuzzing.

use std::sync::atomic::{AtomicBool, Ordering};

static TOLD: AtomicBool = AtomicBool::new(false);

/// From now on everything is told on standard error.
pub fn begin() {
    TOLD.store(true, Ordering::Relaxed);
}

/// Tells one thing.
#[expect(clippy::print_stderr, reason = "a developer reads it")]
pub fn tell(line: impl FnOnce() -> String) {
    if TOLD.load(Ordering::Relaxed) {
        eprintln!("{}", line());
    }
}
