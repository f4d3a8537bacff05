//! RFC 7143 target sessions over any byte stream.
#![forbid(unsafe_code)]
