//! Sessions from their first byte: see `felio_fuzz::pdu_stream`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| felio_fuzz::pdu_stream::run(input));
