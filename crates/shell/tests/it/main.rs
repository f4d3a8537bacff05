//! The shell on a daemon that keeps everything in memory.
#![allow(clippy::disallowed_methods, reason = "the transcripts are files")]

mod memory;
mod random;
mod terminal;
mod transcripts;
