//! Sessions from their first byte: see `felio_fuzz::pdu_stream`.
#![no_main]
#![expect(clippy::disallowed_methods, reason = "libFuzzer's macro writes files when it is told to")]

libfuzzer_sys::fuzz_target!(|input: &[u8]| felio_fuzz::pdu_stream::run(input));
