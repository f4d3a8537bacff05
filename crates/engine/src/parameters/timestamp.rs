//! REPORT TIMESTAMP and SET TIMESTAMP: the unit's clock.
//!
//! It is the host's until an initiator sets it, and then that initiator's (SCSIP=1): for the unit, until the process ends.

use crate::commands::View;
use crate::unit::{Change, Unit};
use crate::writer::Writer;
use felio_hal::Time;
use felio_spec::report::{set_timestamp, timestamp, timestamp_origin};
use felio_spec::sense::code;
use felio_spec::{Cdb, Sense};

/// Where a unit's time comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clock {
    /// The host's clock.
    Host,
    /// An initiator's, as it told us.
    Set {
        /// Milliseconds since 1970.
        millis: u64,
        /// When we were told.
        at: Time,
    },
}

//= SPC-4 "REPORT TIMESTAMP command"
/// REPORT TIMESTAMP.
pub fn report(view: &View<'_>, _cdb: &Cdb, data: &mut Writer) -> Result<(), Sense> {
    const DATA_LENGTH: u16 = 10; // of the bytes behind the field
    let (origin, base, since) = match view.unit.clock {
        Clock::Host => (timestamp_origin::OTHERWISE, view.target.epoch_millis, Time(0)),
        Clock::Set { millis, at } => (timestamp_origin::SET, millis, at),
    };
    let passed = u64::try_from(view.now.since(since).as_millis()).unwrap_or(u64::MAX);
    data.zeros(timestamp::BYTES);
    data.set(0, timestamp::TIMESTAMP_PARAMETER_DATA_LENGTH, DATA_LENGTH);
    data.set(0, timestamp::TIMESTAMP_ORIGIN, origin);
    data.set(0, timestamp::TIMESTAMP, base.saturating_add(passed));
    Ok(())
}

//= SPC-4 "SET TIMESTAMP command"
/// SET TIMESTAMP.
pub fn set(_unit: &mut Unit, _cdb: &Cdb, list: &[u8]) -> Result<Change, Sense> {
    if list.is_empty() {
        return Ok(Change::Nothing);
    }
    if list.len() < set_timestamp::BYTES {
        return Err(code::PARAMETER_LIST_LENGTH_ERROR.into());
    }
    Ok(Change::Timestamp(set_timestamp::TIMESTAMP.get(list)))
}
