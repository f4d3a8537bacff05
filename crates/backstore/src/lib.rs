//! Blocks from files, devices and memory.
