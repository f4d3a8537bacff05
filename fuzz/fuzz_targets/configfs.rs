//! What is done to LIO's tree of files: see `felio_fuzz::configfs`.
#![no_main]
#![expect(clippy::disallowed_methods, reason = "libFuzzer's macro writes files when it is told to")]

libfuzzer_sys::fuzz_target!(|input: &[u8]| felio_fuzz::configfs::run(input));
