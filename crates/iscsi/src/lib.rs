//! RFC 7143 target sessions over any byte stream.
//!
//! The crate does no I/O: it has no socket, no clock and no randomness of its own. Bytes, time and random numbers come
//! in as arguments, PDUs and decisions go out as values. Start at [`pdu`] for what is on the wire.
#![forbid(unsafe_code)]

pub mod digest;
pub mod pdu;
