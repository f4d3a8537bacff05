//! Mode pages: the parameters of a unit that initiators may read and change.

use felio_hal::Limits;
use felio_hal::store::WriteCache;

/// The mode parameters of a unit.
#[derive(Clone, Debug)]
pub struct ModePages {
    write_cache: bool,
}

impl ModePages {
    /// As after power on.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self { write_cache: limits.write_cache == WriteCache::On }
    }

    /// WCE of the caching page.
    #[must_use]
    pub const fn write_cache_enabled(&self) -> bool {
        self.write_cache
    }

    /// D_SENSE of the control page.
    #[must_use]
    pub const fn descriptor_sense(&self) -> bool {
        false
    }

    /// SWP of the control page.
    #[must_use]
    pub const fn software_write_protect(&self) -> bool {
        false
    }

    /// TAS of the control page.
    #[must_use]
    pub const fn task_aborted_status(&self) -> bool {
        true
    }

    /// Back to the saved values.
    pub const fn reset(&mut self) {}
}
