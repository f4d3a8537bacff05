//! Lines of the shell: see `felio_fuzz::shell_line`.
#![no_main]
#![expect(clippy::disallowed_methods, reason = "libFuzzer's macro writes files when it is told to")]

libfuzzer_sys::fuzz_target!(|input: &[u8]| felio_fuzz::shell_line::run(input));
