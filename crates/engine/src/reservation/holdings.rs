//! Who has reserved a unit and who is registered, as plain values for whoever looks from outside.

use super::persistent::{Holder, Path};
use super::{Record, Reservations};
use crate::engine::{Engine, index};
use crate::gate::Role;

/// Who has reserved a unit, and who is registered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// PRGENERATION.
    pub generation: u32,
    /// Registrations outlive a loss of power.
    pub aptpl: bool,
    /// What was saved of them cannot be read.
    pub is_lost: bool,
    /// In the order in which they were made.
    pub registrations: Vec<Registered>,
    /// The TYPE of the persistent reservation.
    pub kind: Option<u8>,
    /// Whose it is, if it is not everybody's who is registered.
    pub holder: Option<Port>,
    /// The initiator that has sent RESERVE.
    pub reserved_by: Option<String>,
}

/// A registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// Whose.
    pub port: Port,
    /// With which key.
    pub key: u64,
}

/// An I_T nexus by the names of its ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// The initiator port.
    pub initiator: String,
    /// RELATIVE TARGET PORT IDENTIFIER.
    pub target: u16,
}

impl Engine {
    /// Who has reserved a unit, and who is registered; `None` where the unit is not at home.
    #[must_use]
    pub fn holdings(&self, unit: u32) -> Option<Holdings> {
        let unit = self.units.get(index(unit)).filter(|unit| matches!(unit.role, Role::Home(_)))?;
        let Reservations { record, reserved, .. } = &unit.reservations;
        let state = unit.reservations.persistent();
        let holder = match state.held.as_ref().map(|held| &held.holder) {
            Some(Holder::Nexus(path)) => Some(path.into()),
            Some(Holder::AllRegistrants) | None => None,
        };
        let registered = |one: &super::persistent::Registration| Registered {
            port: (&one.path).into(),
            key: one.key.get(),
        };
        Some(Holdings {
            generation: state.generation,
            aptpl: state.aptpl,
            is_lost: matches!(record, Record::Lost),
            registrations: state.registrations.iter().map(registered).collect(),
            kind: state.held.as_ref().map(|held| held.kind.code()),
            holder,
            reserved_by: reserved.and_then(|nexus| Some(self.nexuses.get(nexus)?.initiator.clone())),
        })
    }
}

impl From<&Path> for Port {
    fn from(path: &Path) -> Self {
        Self { initiator: path.initiator.to_string(), target: path.port }
    }
}
