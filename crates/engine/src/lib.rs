//! A SCSI device server: decides what every command means, and does no I/O.
#![forbid(unsafe_code)]
