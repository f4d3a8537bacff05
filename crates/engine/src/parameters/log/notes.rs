//! The Application Client page: what initiators have noted, for each other or for themselves.
//!
//! Notes live as long as the unit; a reset leaves them alone.
//!
//! Invariant: at most [`GENERAL_USAGE_PARAMETERS`] notes of [`GENERAL_USAGE_BYTES`] bytes.

use super::{Parameters, Write};
use crate::commands::View;
use crate::unit::Unit;
use felio_spec::Bits;
use felio_spec::log::{GENERAL_USAGE_BYTES, GENERAL_USAGE_PARAMETERS, parameter};
use std::collections::BTreeMap;

/// What initiators have noted; what nobody wrote reads as zeros.
#[derive(Debug, Default)]
pub struct Notes(BTreeMap<u16, Box<[u8]>>);

/// LOG SELECT writes notes whole.
pub(super) const WRITE: Write = Write { check, apply };

//= SPC-4 "Application Client log page"
pub(super) fn application_client(view: &View<'_>, parameters: &mut Parameters<'_>) {
    for code in 0..GENERAL_USAGE_PARAMETERS {
        let note = view.unit.notes.0.get(&code);
        parameters.binary(code, note.map_or(&[0; GENERAL_USAGE_BYTES][..], |note| &note[..]));
    }
}

pub(super) fn reset(unit: &mut Unit, _subpage: u8) {
    unit.notes.0.clear();
}

fn check(code: u16, value: &[u8]) -> Result<(), Bits> {
    if code >= GENERAL_USAGE_PARAMETERS {
        return Err(parameter::PARAMETER_CODE.bits);
    }
    if value.len() == GENERAL_USAGE_BYTES { Ok(()) } else { Err(parameter::PARAMETER_LENGTH.bits) }
}

fn apply(unit: &mut Unit, code: u16, value: &[u8]) {
    unit.notes.0.insert(code, value.into());
}
