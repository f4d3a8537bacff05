//! The program as its users have it: started, talked to over loopback, signalled, stopped.
//!
//! Every test starts felio processes of its own, on free ports and in folders of their own, and waits for nothing without a bound.
//! What has to be root or in another namespace says so on standard error where it cannot run.
#![allow(missing_docs, reason = "tests")]
#![allow(
    clippy::disallowed_methods,
    reason = "tests of the whole program: real sockets, files, threads and clocks"
)]
#![allow(clippy::print_stderr, reason = "a check that cannot be made here says so")]

mod access;
mod audit;
mod cli;
mod common;
mod compat;
mod config;
mod copy;
mod cores;
mod crash;
mod crowd;
mod daemon;
mod drain;
mod hostile;
mod identity;
mod lifecycle;
mod live;
mod manual;
mod metrics;
mod paths;
mod protection;
mod pypi;
mod reservations;
mod rest;
mod sandbox;
mod service;
mod shell;
mod signals;
mod swap;
mod terminal;
mod tls;
mod work;
