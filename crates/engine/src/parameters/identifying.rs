//! REPORT and SET IDENTIFYING INFORMATION: what somebody wants the unit to be called.
//!
//! It is kept in the document `identifying`; where there is no place for documents, neither command is supported.

use crate::commands::View;
use crate::unit::{Change, Unit};
use crate::writer::Writer;
use felio_hal::state::Save;
use felio_spec::commands::{report_identifying_information as report, set_identifying_information as set};
use felio_spec::report::{identifying_information, identifying_information_type, identifying_type};
use felio_spec::sense::code;
use felio_spec::{Cdb, Sense};
use serde::{Deserialize, Serialize};

/// The document's name.
pub(crate) const PART: &str = "identifying";

/// What a unit is called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Identifying {
    /// Whatever bytes initiators use to know it again.
    device: Vec<u8>,
    /// For people to read: UTF-8, without the zero at its end.
    text: String,
}

/// The types, and the most bytes of each.
const TYPES: [(u8, usize); 2] = [(identifying_type::DEVICE, 512), (identifying_type::TEXT, 256)];

impl Identifying {
    /// As it was saved; nothing where nothing was, or nothing that makes sense.
    pub(crate) fn new(document: Option<&[u8]>) -> Self {
        document.and_then(|document| serde_json::from_slice(document).ok()).unwrap_or_default()
    }

    /// The document to be kept.
    pub(crate) fn document(&self) -> Save {
        // Bytes and text: there is nothing that could not be written.
        Save { part: PART, bytes: serde_json::to_vec(self).unwrap_or_default() }
    }
}

//= SPC-4 "REPORT IDENTIFYING INFORMATION command"
/// REPORT IDENTIFYING INFORMATION.
pub fn report(view: &View<'_>, cdb: &Cdb, data: &mut Writer) -> Result<(), Sense> {
    let information = &view.unit.identifying;
    data.zeros(identifying_information::BYTES);
    match cdb.get(report::IDENTIFYING_INFORMATION_TYPE) {
        identifying_type::DEVICE => data.bytes(&information.device),
        identifying_type::TEXT if information.text.is_empty() => {}
        identifying_type::TEXT => {
            data.bytes(information.text.as_bytes());
            data.u8(0);
        }
        identifying_type::SUPPORTED => put_types(data),
        _ => return Err(Sense::invalid_field(report::IDENTIFYING_INFORMATION_TYPE.bits)),
    }
    let length = u16::try_from(data.len() - identifying_information::BYTES).unwrap_or(u16::MAX);
    data.set(0, identifying_information::IDENTIFYING_INFORMATION_LENGTH, length);
    Ok(())
}

//= SPC-4 "Identifying information types"
fn put_types(data: &mut Writer) {
    use identifying_information_type as field;
    for (number, bytes_max) in TYPES {
        let base = data.len();
        data.zeros(field::BYTES);
        data.set(base, field::IDENTIFYING_INFORMATION_TYPE, number);
        let bytes_max = u16::try_from(bytes_max).unwrap_or(u16::MAX);
        data.set(base, field::MAXIMUM_IDENTIFYING_INFORMATION_LENGTH, bytes_max);
    }
}

//= SPC-4 "SET IDENTIFYING INFORMATION command"
/// SET IDENTIFYING INFORMATION. No list takes away what was there.
pub fn set(unit: &mut Unit, cdb: &Cdb, list: &[u8]) -> Result<Change, Sense> {
    let number = cdb.get(set::IDENTIFYING_INFORMATION_TYPE);
    let Some((_, bytes_max)) = TYPES.iter().find(|(known, _)| *known == number) else {
        return Err(Sense::invalid_field(set::IDENTIFYING_INFORMATION_TYPE.bits));
    };
    if list.len() > *bytes_max {
        return Err(Sense::invalid_field(set::PARAMETER_LIST_LENGTH.bits));
    }
    let mut information = unit.identifying.clone();
    if number == identifying_type::TEXT {
        text(list)?.clone_into(&mut information.text);
    } else {
        list.clone_into(&mut information.device);
    }
    if information == unit.identifying {
        return Ok(Change::Nothing);
    }
    Ok(Change::Identifying(Box::new(information)))
}

/// Text without the zero at its end.
//= SPC-4 "UTF-8 data": ended by a zero
fn text(list: &[u8]) -> Result<&str, Sense> {
    let bytes = match list {
        [] => list,
        [bytes @ .., 0] => bytes,
        _ => return Err(code::INVALID_FIELD_IN_PARAMETER_LIST.into()),
    };
    let text = core::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0'));
    text.ok_or_else(|| code::INVALID_FIELD_IN_PARAMETER_LIST.into())
}
