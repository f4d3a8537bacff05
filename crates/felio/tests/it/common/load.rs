//! An initiator that behaves, at work while others do not.

use super::wire::{Wire, pattern, settings};
use super::{Felio, PATIENCE};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A thread that writes and reads back.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Done>,
}

/// What it did.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) commands: u64,
    pub(crate) slowest: Duration,
}

impl Load {
    /// Begins on blocks 0 to 4095 of LUN 0; nobody else may write there.
    pub(crate) fn start(felio: &Felio, name: &str) -> Self {
        let mut wire = Wire::log_in(felio.portal(), settings(&felio.target(), name));
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let least = 16;
        let thread = std::thread::spawn(move || {
            let mut done = Done { commands: 0, slowest: Duration::ZERO };
            for round in 0.. {
                if stopped.load(Ordering::Relaxed) && round >= least {
                    break;
                }
                work(&mut wire, round, &mut done);
            }
            wire.log_out();
            done
        });
        Self { stop, thread }
    }

    /// Ends it. Nothing that it wrote may have changed, and no command may have taken long.
    pub(crate) fn finish(self) -> Done {
        self.stop.store(true, Ordering::Relaxed);
        let done = self.thread.join().expect("no error reaches an initiator that behaves");
        assert!(done.slowest < SLOW, "{done:?}");
        done
    }
}

/// A command that took so long was held up by somebody: far above what a busy machine does, far below any deadline of felio.
const SLOW: Duration = Duration::from_secs(4);

/// One write and one read of it, small mostly, large now and then.
fn work(wire: &mut Wire, round: u64, done: &mut Done) {
    let blocks: u16 = if round % 16 == 15 { 512 } else { 8 };
    let lba = u32::try_from(round * 512 % 4096).expect("small");
    let bytes = pattern(round, usize::from(blocks) * 512);
    timed(done, || wire.write(0, lba, bytes.clone()));
    timed(done, || assert!(wire.read(0, lba, blocks) == bytes, "what was written is read"));
    std::thread::sleep(Duration::from_millis(2));
}

fn timed(done: &mut Done, act: impl FnOnce()) {
    let start = Instant::now();
    act();
    done.commands += 1;
    done.slowest = done.slowest.max(start.elapsed());
    assert!(done.slowest < PATIENCE, "{done:?}");
}
