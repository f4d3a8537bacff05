//! The device server, seen from its two seams: commands in, answers out, a small disk below.
#![allow(missing_docs, reason = "tests")]

mod allegiance;
mod alua;
mod alua_model;
mod atomic;
mod attention;
mod cdb;
mod chaos;
mod copy;
mod copy_model;
mod cores;
mod dice;
mod fence;
mod keeping;
mod log;
mod management;
mod medium;
mod metering;
mod mode;
mod order;
mod overhaul;
mod pass;
mod power;
mod protection;
mod protection_model;
mod provisioning;
mod reconfigure;
mod removal;
mod reservation;
mod rig;
mod selftest;
mod starvation;
mod swap;
mod token;
mod variable;
