//! Text keys: see `felio_fuzz::text_keys`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| felio_fuzz::text_keys::run(input));
