//! Durability in one place: what each cache mode tells the initiator, and what it does to be true to it.
//!
//! | mode | write cache told | opened | cached write | durable write (FUA) | flush |
//! |---|---|---|---|---|---|
//! | write-back | on | buffered | page cache | `RWF_DSYNC` | `fdatasync` |
//! | write-through | off | buffered | `RWF_DSYNC` | `RWF_DSYNC` | `fdatasync` |
//! | direct | on | `O_DIRECT` | the device's own cache | `RWF_DSYNC` | `fdatasync` |
//!
//! `fdatasync` and `RWF_DSYNC` also flush the cache of the device below. What deallocates or zeroes a range is made
//! durable like a write: at once where the cache is off, by the next flush otherwise.
//!
//! With write-back, a flush that failed is never followed by one that succeeds: the kernel no longer knows which of the data
//! did not reach the medium. Only opening the store anew, which every initiator notices, begins afresh.
//!
//! Memory stores have no cache to speak of and no durability to offer: they tell `off` and keep what they were given for
//! as long as the process lives.

use core::fmt;
use core::str::FromStr;

use felio_hal::store::{Durability, WriteCache};
use rustix::io::ReadWriteFlags;

/// How a file or device is cached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CacheMode {
    /// Through the page cache; a flush makes it durable.
    #[default]
    WriteBack,
    /// Through the page cache, every write durable before it is acknowledged.
    WriteThrough,
    /// Past the page cache, to the device.
    Direct,
}

/// A row of the table.
#[derive(Debug)]
pub struct Policy {
    /// Whose row this is.
    pub mode: CacheMode,
    /// How it is spelled on the command line.
    pub name: &'static str,
    /// What the initiator is told.
    pub write_cache: WriteCache,
    /// Past the page cache.
    pub direct: bool,
    /// Flags of a write that may be cached.
    pub cached: ReadWriteFlags,
    /// Flags of a write that must be durable.
    pub durable: ReadWriteFlags,
}

/// The table.
pub const POLICIES: [Policy; 3] = [
    Policy {
        mode: CacheMode::WriteBack,
        name: "write-back",
        write_cache: WriteCache::On,
        direct: false,
        cached: ReadWriteFlags::empty(),
        durable: ReadWriteFlags::DSYNC,
    },
    Policy {
        mode: CacheMode::WriteThrough,
        name: "write-through",
        write_cache: WriteCache::Off,
        direct: false,
        cached: ReadWriteFlags::DSYNC,
        durable: ReadWriteFlags::DSYNC,
    },
    Policy {
        mode: CacheMode::Direct,
        name: "direct",
        write_cache: WriteCache::On,
        direct: true,
        cached: ReadWriteFlags::empty(),
        durable: ReadWriteFlags::DSYNC,
    },
];

impl Policy {
    /// The row of `mode`.
    #[must_use]
    pub fn of(mode: CacheMode) -> &'static Self {
        match mode {
            CacheMode::WriteBack => &POLICIES[0],
            CacheMode::WriteThrough => &POLICIES[1],
            CacheMode::Direct => &POLICIES[2],
        }
    }

    /// Flags of a write.
    #[must_use]
    pub const fn flags(&self, durability: Durability) -> ReadWriteFlags {
        match durability {
            Durability::Cached => self.cached,
            Durability::Durable => self.durable,
        }
    }
}

impl fmt::Display for CacheMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Policy::of(*self).name)
    }
}

/// Not the name of a cache mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cache mode must be write-back, write-through or direct")]
pub struct UnknownCacheMode;

impl FromStr for CacheMode {
    type Err = UnknownCacheMode;
    fn from_str(name: &str) -> Result<Self, UnknownCacheMode> {
        POLICIES.iter().find(|row| row.name == name).map(|row| row.mode).ok_or(UnknownCacheMode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mode_finds_its_own_row_and_name() {
        for row in &POLICIES {
            assert_eq!(Policy::of(row.mode).name, row.name);
            assert_eq!(row.name.parse(), Ok(row.mode));
        }
    }

    #[test]
    fn a_durable_write_is_synchronous_in_every_mode() {
        for row in &POLICIES {
            assert!(row.flags(Durability::Durable).contains(ReadWriteFlags::DSYNC), "{}", row.name);
        }
    }

    #[test]
    fn no_write_cache_means_that_every_write_is_synchronous() {
        for row in POLICIES.iter().filter(|row| row.write_cache == WriteCache::Off) {
            assert!(row.flags(Durability::Cached).contains(ReadWriteFlags::DSYNC), "{}", row.name);
        }
    }
}
