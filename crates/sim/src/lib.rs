//! A deterministic world of initiators, networks and disks, with referees.
#![forbid(unsafe_code)]
