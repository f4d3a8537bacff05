//! Another store under a storage object that initiators use: another file or device, or the same with another cache mode.
//!
//! The other one is opened first. Then what has been written is made durable while commands go on, so that little is left for the
//! second time: when no command begins and none runs any more. From then on until the units are opened again commands wait, for as long
//! as it takes to save the configuration. Whatever is refused, and whatever takes too long, leaves everything as it was.

use super::{Plant, Prepared};
use crate::daemon::disk::{Disk, Opening};
use core::time::Duration;
use felio_control::{Refusal, RefusalKind, StorageKey, StorageObject};
use felio_runtime::flush;

/// How long the first flush may take: as long as nobody waits for it but who asked.
const FIRST_FLUSH: Duration = Duration::from_secs(15);

/// How long commands may wait for those that run, and then for the second flush.
const STILLNESS: Duration = Duration::from_secs(5);
const SECOND_FLUSH: Duration = Duration::from_secs(5);

impl Plant {
    /// Opens the store that an object in use is to have.
    pub(super) fn open_other(
        &self,
        key: &StorageKey,
        disk: &Disk,
        object: &StorageObject,
    ) -> Result<Disk, Refusal> {
        if !disk.opening.can_become(&Opening::of(object)) {
            let what = format!("{key} must be opened anew for that, and is in use");
            return Err(Refusal::new(RefusalKind::InUse, what).hint("delete its LUNs first"));
        }
        let other = disk.other(key, object, &self.state);
        other.map_err(|why| Refusal::invalid(self.explained(object, why)).at(key))
    }

    /// Leaves nothing in a cache or on its way of the stores that others are to take the place of, and lets no command begin.
    pub(super) fn still(&self, prepared: &mut Prepared) -> Result<(), Refusal> {
        if prepared.others.is_empty() {
            return Ok(());
        }
        self.flush_for(prepared, FIRST_FLUSH)?;
        prepared.closed = prepared.others.values().map(|disk| disk.place).collect();
        self.runtime.close(&prepared.closed, STILLNESS).map_err(|_| {
            let keys: Vec<String> = prepared.others.keys().map(ToString::to_string).collect();
            let seconds = STILLNESS.as_secs();
            let what = format!("what runs on {} has not ended within {seconds} s", keys.join(", "));
            Refusal::new(RefusalKind::Busy, what).hint("nothing has changed; see what its device is doing")
        })?;
        self.flush_for(prepared, SECOND_FLUSH)
    }

    fn flush_for(&self, prepared: &Prepared, within: Duration) -> Result<(), Refusal> {
        for key in prepared.others.keys() {
            let Some(disk) = self.disks.get(key) else { continue };
            flush(&disk.store, within).map_err(|why| {
                let what = format!("the store of {key} stays, for {why}");
                Refusal::new(RefusalKind::Busy, what).hint("nothing has changed").at(key)
            })?;
        }
        Ok(())
    }
}
