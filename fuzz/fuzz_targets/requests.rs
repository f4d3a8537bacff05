//! Requests about objects by their addresses: see `felio_fuzz::requests`.
#![no_main]
#![expect(clippy::disallowed_methods, reason = "libFuzzer's macro writes files when it is told to")]

libfuzzer_sys::fuzz_target!(|input: &[u8]| felio_fuzz::requests::run(input));
