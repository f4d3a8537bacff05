//! The threads beside the reactors that a serving program has: one waits for signals, one hands on the reactors' news. Both tell whoever
//! owns everything else, through one channel.

use crate::failure::{Failure, Kind};
use core::time::Duration;
use felio_runtime::Notice;
use signal_hook::consts::SIGXFSZ;
use signal_hook::iterator::Signals;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Instant;

/// Signals so soon after the first are taken for the first.
const SIGNAL_ECHO: Duration = Duration::from_millis(100);

/// Hands on signals. The first of those that end the program is carried out in order by whoever is told; the second ends the process
/// whatever the others do. Those that do not are just told.
pub(crate) fn watch_signals<H: Send + 'static>(
    ending: &'static [i32],
    others: &'static [i32],
    happenings: Sender<H>,
    wrap: fn(i32) -> H,
) -> Result<(), Failure> {
    let failed = |error| Failure::new(Kind::Running, format!("cannot wait for signals: {error}"));
    // A file that may not grow fails a write; it must not end the process, which other disks live in.
    let mut signals = Signals::new(ending.iter().chain(others).chain(&[SIGXFSZ])).map_err(failed)?;
    let watch = move || {
        let mut first: Option<Instant> = None;
        for signal in signals.forever().filter(|signal| *signal != SIGXFSZ) {
            if ending.contains(&signal) {
                // Supervisors signal a process and its group: the same wish, twice.
                match first {
                    Some(first) if first.elapsed() < SIGNAL_ECHO => continue,
                    Some(_) => std::process::exit(128 + signal),
                    None => first = Some(Instant::now()),
                }
            }
            let _ = happenings.send(wrap(signal));
        }
    };
    spawn("signals", watch)
}

/// Whether a signal was ignored when the program began, as nohup has it with SIGHUP. To be asked before it is watched.
pub(crate) fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    mask >> (signal - 1) & 1 == 1
}

/// Hands on the reactors' news until nobody wants them.
pub(crate) fn hand_on<H: Send + 'static>(
    news: Receiver<Notice>,
    happenings: Sender<H>,
    wrap: fn(Notice) -> H,
) -> Result<(), Failure> {
    spawn("news", move || {
        for notice in news {
            if happenings.send(wrap(notice)).is_err() {
                return;
            }
        }
    })
}

/// Starts a thread.
pub(crate) fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    let started = std::thread::Builder::new().name(name.to_owned()).spawn(run);
    started.map(drop).map_err(|error| no_thread(&error))
}

/// The system refused a thread.
pub(crate) fn no_thread(error: &std::io::Error) -> Failure {
    Failure::new(Kind::Running, format!("cannot start a thread: {error}"))
}
