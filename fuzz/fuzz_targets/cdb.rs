//! Commands: see `felio_fuzz::cdb`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| felio_fuzz::cdb::run(input));
