//! The operator puts another store under a unit while initiators work.
//!
//! The unit keeps everything that initiators know of it: who it is, its sessions, its reservations, its tasks. Its engines close it
//! first: what has begun ends, what comes waits in its place, and no guest has a pass. Once all of them are
//! [still](Engine::is_still) no operation is with the old store or on its way there, and none follows. The driver then
//! makes that durable, installs the other store, tells the new configuration to every engine, and opens the unit again. If something
//! of that cannot be, it opens the unit with the store that it had, and nobody has noticed more than a pause.
//!
//! Who came before the unit had a write cache is served as if it still had none (`Unit::be_careful`).
//!
//! Invariant: between close and open, no task of the unit goes from waiting to begun.

use crate::engine::{Engine, index};
use crate::gate::Role;
use crate::table::State;
use crate::unit::Probe;
use felio_hal::{Pool, Time};

impl Engine {
    /// No task of a unit begins from now on.
    pub fn handle_close(&mut self, now: Time, unit: u32) {
        self.now = now;
        let Some(of) = self.units.get_mut(index(unit)) else { return };
        of.tasks.close();
        self.void_passes(unit);
    }

    /// Whether nothing that has begun on a closed unit needs its store any more.
    #[must_use]
    pub fn is_still(&self, unit: u32) -> bool {
        let Some(of) = self.units.get(index(unit)) else { return true };
        let asks = of.probe == Probe::Asked || of.self_tests.running.is_some() || of.condition.is_busy();
        let voids = matches!(of.role, Role::Home(_)) && self.peers.voiding > 0;
        let needs = |state: &State| {
            matches!(state, State::Held | State::Starved(..) | State::InStore(..) | State::Doomed(..))
        };
        !asks && !voids && !of.is_fenced() && !of.tasks.iter(&self.table).any(|(_, task)| needs(&task.state))
    }

    /// What has waited goes on, and somebody looks how large the store is.
    pub fn handle_open(&mut self, now: Time, unit: u32, pool: &mut Pool) {
        self.now = now;
        let Some(of) = self.units.get_mut(index(unit)) else { return };
        of.tasks.open();
        self.plan_probe(unit, now);
        self.unsettle(unit);
        self.settle(now, pool);
    }
}
