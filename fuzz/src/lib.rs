//! What the fuzz targets do, as functions of their input: a target in `fuzz_targets` only calls one of them, so that
//! `replay` can do the same without the fuzzer and tell the story.
//!
//! The input is a [`Script`]: bytes that decide, step by step, what a peer does. Most steps are well-formed with a few
//! wrong bits, because noise alone never gets past the first check. What operators write (files, lines, bodies of requests) is the input
//! itself, with seeds and words. What must hold is asserted on the way; a broken
//! assertion is a finding.
#![forbid(unsafe_code)]

pub mod cdb;
pub mod changes;
pub mod configfs;
pub mod importers;
pub mod pdu_stream;
pub mod requests;
pub mod saveconfig;
pub mod script;
pub mod shell_line;
pub mod story;
pub mod text_keys;

pub use script::Script;

/// What can be fuzzed.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name of its binary.
    pub name: &'static str,
    /// One run.
    pub run: fn(&[u8]),
    /// Inputs that show the fuzzer its way around.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Words that it would hardly find by itself.
    pub words: fn() -> Vec<String>,
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "text_keys", run: text_keys::run, seeds: text_keys::seeds, words: text_keys::words },
    Target { name: "cdb", run: cdb::run, seeds: cdb::seeds, words: Vec::new },
    Target { name: "pdu_stream", run: pdu_stream::run, seeds: pdu_stream::seeds, words: Vec::new },
    Target { name: "saveconfig", run: saveconfig::run, seeds: saveconfig::seeds, words: saveconfig::words },
    Target { name: "changes", run: changes::run, seeds: changes::seeds, words: changes::words },
    Target { name: "requests", run: requests::run, seeds: requests::seeds, words: requests::words },
    Target { name: "shell_line", run: shell_line::run, seeds: shell_line::seeds, words: shell_line::words },
    Target { name: "configfs", run: configfs::run, seeds: configfs::seeds, words: configfs::words },
    Target { name: "importers", run: importers::run, seeds: importers::seeds, words: importers::words },
];

#[cfg(test)]
mod tests {
    use super::TARGETS;

    #[test]
    fn every_seed_runs() {
        for target in TARGETS {
            (target.seeds)().iter().for_each(|seed| (target.run)(seed));
        }
    }
}
