//! What the fuzz targets do, as functions of their input: a target in `fuzz_targets` only calls one of them, so that a test
//! can replay an input without the fuzzer.
//!
//! The input is a [`Script`]: bytes that decide, step by step, what a peer does. Most steps are well-formed with a few
//! wrong bits, because noise alone never gets past the first check. What must hold is asserted on the way; a broken
//! assertion is a finding.
#![forbid(unsafe_code)]

pub mod script;
pub mod text_keys;

pub use script::Script;

/// A target by name, and inputs that show the fuzzer its way around.
pub type Seeds = (&'static str, fn() -> Vec<Vec<u8>>);

/// The seeds of every target.
pub const SEEDS: &[Seeds] = &[("text_keys", text_keys::seeds)];
