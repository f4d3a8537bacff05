//! Files of a configuration: see `felio_fuzz::saveconfig`.
#![no_main]
#![expect(clippy::disallowed_methods, reason = "libFuzzer's macro writes files when it is told to")]

libfuzzer_sys::fuzz_target!(|input: &[u8]| felio_fuzz::saveconfig::run(input));
