//! The only place of this crate with `unsafe`: a ring shared with the kernel, memory shared between reactors,
//! ioctls and a counter. Every function that leaves here is safe to call.

pub(crate) mod device;
pub(crate) mod lock;
pub(crate) mod memory;
pub(crate) mod ring;
pub(crate) mod sg;
pub(crate) mod thread;
pub(crate) mod writeback;
