//! A deterministic world of initiators, networks and disks, with referees.
//!
//! [`world::World`] drives the very [`Hub`](felio_runtime::hub::Hub) that the program runs, with the real iSCSI port and engine, through a virtual
//! network, disk and clock. [`referee::Referee`] and [`bits::Bits`] know what each block may hold. Start at [`world`].
#![forbid(unsafe_code)]

pub mod bits;
pub mod disk;
pub mod initiator;
pub mod net;
pub mod operator;
pub mod program;
pub mod random;
pub mod referee;
pub mod world;
