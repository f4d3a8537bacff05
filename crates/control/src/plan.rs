//! What makes one configuration of another: only what differs, in an order that works.
//!
//! In two steps. First goes what is not wanted, or cannot become what is wanted while it is there: a LUN while its storage
//! object changes something that initiators must not see changing. Then is built, from what is left. What is the
//! same in both is in no change, so that sessions and I/O go on.

mod build;
mod clear;
mod line;
mod settle;
#[cfg(test)]
mod tests;

pub use line::{Line, Sign};
pub use settle::settled;

use crate::apply::Draft;
use crate::change::Change;
use crate::config::Config;
use crate::facts::Facts;

/// The changes that make the second of the first, both of which hold by the rules.
#[must_use]
pub fn difference(from: &Config, to: &Config) -> Vec<Change> {
    if *to == Config::default() && from != to {
        return vec![Change::Clear];
    }
    let mut changes = clear::changes(from, to);
    // All names are given, so that nothing of these is asked for.
    let nobody = Facts { host: String::new(), machine: String::new(), seed: [0; 16] };
    let mut draft = Draft::new(from.clone(), &nobody);
    // Where `from` is against the rules a change may be refused here, as it will be when it is applied.
    changes.retain(|change| draft.make(change).is_ok());
    changes.extend(build::changes(&draft.config, to));
    changes
}
