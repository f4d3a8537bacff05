//! RFC 7143 target sessions over any byte stream.
//!
//! The crate does no I/O: it has no socket, no clock and no randomness of its own. Bytes, time and random numbers come
//! in as arguments, PDUs and decisions go out as values. Start at [`login`] for how a connection begins, at [`pdu`] for what
//! is on the wire, at [`keys`] for what is negotiated, at [`config`] for what an operator says.
#![forbid(unsafe_code)]

pub mod chap;
pub mod config;
pub mod digest;
pub mod discovery;
pub mod exchange;
pub mod keys;
pub mod login;
pub mod name;
pub mod pdu;
pub mod text;
