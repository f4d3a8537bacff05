//! RFC 7143 target sessions over any byte stream.
//!
//! The crate does no I/O: it has no socket, no clock and no randomness of its own. Bytes, time and random numbers come
//! in as arguments, PDUs and decisions go out as values. Start at [`login`] for how a connection begins, at [`pdu`] for what
//! is on the wire, at [`keys`] for what is negotiated, at [`config`] for what an operator says.
#![forbid(unsafe_code)]

pub mod causes;
pub mod chap;
mod clock;
mod command;
pub mod config;
pub mod connection;
mod data_out;
pub mod digest;
pub mod discovery;
pub mod exchange;
pub mod keys;
pub mod limits;
pub mod login;
mod management;
mod outcome;
pub mod pdu;
pub mod peer;
mod receive;
mod seed;
mod session;
mod tasks;
pub mod text;
mod transfer;
mod transmit;
mod window;

pub use felio_hal::name;

#[cfg(test)]
mod tests;
