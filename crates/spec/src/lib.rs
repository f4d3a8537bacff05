//! What the SCSI standards say, as data and total functions.
#![forbid(unsafe_code)]
