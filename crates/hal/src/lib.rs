//! The vocabulary that two neighbours of felio use to speak: a port engine with the device server, the device server
//! with a store, and all of them with the reactor that drives them.
//!
//! A reader starts with [`port`] (above the engine) and [`store`] (below it). [`buf`] is the memory that travels
//! between them, [`time`] the clock as a value.
//!
//! Nothing here does I/O, knows a protocol or decides anything.
#![forbid(unsafe_code)]

pub mod buf;
pub mod ids;
pub mod meter;
pub mod name;
pub mod port;
pub mod state;
pub mod store;
mod sync;
pub mod time;

pub use buf::{Buf, Pool};
pub use ids::{NexusId, PortTag, StoreId, TaskId};
pub use port::{Command, Port, PortEvent, PortRequest, Response};
pub use store::{Completion, Limits, Op, StoreQueue, Submission};
pub use time::Time;
