//! Reservations of a unit: RESERVE and RELEASE of SPC-2, persistent reservations of SPC-4.
//!
//! A reader starts with `persistent` (the state and what each service action makes of it), then `request` (how a PERSISTENT
//! RESERVE OUT is read), `run` (who carries a change out, and when) and `saved` (what outlives a loss of power). Which command
//! is allowed past which reservation is a column of the commands' rows and [`felio_spec::reservation::line`].
//!
//! Where a command arrives and where it begins, only one thing is looked at: the [`Obstacle`] between its nexus and its unit,
//! which every change writes beside what is pending for the nexus.
//!
//! Invariant: a unit that is reserved by RESERVE has no registrations.

mod holdings;
mod persistent;
pub(crate) mod report;
mod request;
mod run;
mod saved;

pub use holdings::{Holdings, Port, Registered};
pub(crate) use persistent::Path;
pub(crate) use request::LIST_BYTES_MAX;
pub use request::Service;

use crate::unit::{Control, Unit};
use felio_hal::state::Saved;
use felio_hal::{NexusId, TaskId};
use felio_spec::reservation::Obstacle;
use felio_spec::{Cdb, Sense};
use persistent::{Change, Persistent};

/// Who may do what on a unit.
#[derive(Debug)]
pub struct Reservations {
    record: Record,
    /// Who has sent RESERVE.
    reserved: Option<NexusId>,
    /// Whether anything can stand in anybody's way.
    stands: bool,
    /// What takes effect once it is saved.
    saving: Option<Box<Saving>>,
}

/// What is known of registrations.
#[derive(Debug)]
enum Record {
    Known(Persistent),
    /// They were saved, and what was saved cannot be read.
    Lost,
}

/// A change that is on its way to where it is kept.
#[derive(Debug)]
struct Saving {
    task: TaskId,
    /// Bytes of the parameter list.
    transfer_bytes: u64,
    change: Change,
}

static NOTHING: Persistent = Persistent::new();

impl Reservations {
    /// As after power on.
    pub(crate) fn new(saved: &Saved) -> Self {
        let record = match saved.get(saved::PART).map(saved::decode) {
            None => Record::Known(Persistent::new()),
            Some(Some(state)) => Record::Known(state),
            Some(None) => Record::Lost,
        };
        let mut reservations = Self { record, reserved: None, stands: false, saving: None };
        reservations.stands = reservations.is_in_the_way();
        reservations
    }

    /// What goes with a reset of the unit.
    //= SPC-2 "RESERVE (6) command"; persistent reservations stay
    pub(crate) fn reset(&mut self) {
        self.reserved = None;
    }

    /// What stands between a nexus and the unit.
    pub(crate) fn obstacle(&self, nexus: NexusId, path: &Path) -> Option<Obstacle> {
        match (self.reserved, &self.record) {
            (Some(owner), _) if owner == nexus => Some(Obstacle::OwnReserve),
            (Some(_), _) => Some(Obstacle::Reserve),
            (None, Record::Lost) => Some(Obstacle::Lost),
            (None, Record::Known(state)) => state.obstacle(path),
        }
    }

    /// Whether anything can stand in anybody's way: the quick look.
    pub(crate) const fn stands(&self) -> bool {
        self.stands
    }

    fn is_in_the_way(&self) -> bool {
        let is_held = match &self.record {
            Record::Known(state) => state.held.is_some(),
            Record::Lost => true,
        };
        is_held || self.reserved.is_some()
    }

    fn persistent(&self) -> &Persistent {
        match &self.record {
            Record::Known(state) => state,
            Record::Lost => &NOTHING,
        }
    }
}

/// RESERVE.
pub(crate) fn reserve(_unit: &Unit, _cdb: &Cdb) -> Result<Control, Sense> {
    Ok(Control::Reserve)
}

/// RELEASE.
pub(crate) fn release(_unit: &Unit, _cdb: &Cdb) -> Result<Control, Sense> {
    Ok(Control::Release)
}
