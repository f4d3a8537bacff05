//! SANITIZE: what its CDBs and list ask for. There is no key that could be forgotten: CRYPTOGRAPHIC ERASE is not
//! supported.

use super::{Condition, Exit, Kind, Method, Overhaul, Pattern, Start};
use crate::unit::Unit;
use crate::work::Answer;
use felio_spec::commands::{
    SERVICE_ACTION, sanitize_block_erase as erase, sanitize_overwrite as overwrite_cdb,
};
use felio_spec::medium::overwrite as field;
use felio_spec::sense::code;
use felio_spec::{Cdb, Field, Sense};

/// How long the list is.
pub(crate) fn overwrite_list_bytes(cdb: &Cdb) -> u64 {
    u64::from(cdb.get(overwrite_cdb::PARAMETER_LIST_LENGTH))
}

/// There is none.
pub(crate) const fn no_list_bytes(_cdb: &Cdb) -> u64 {
    0
}

//= SBC-3 "SANITIZE command", OVERWRITE service action
pub(crate) fn overwrite(unit: &Unit, cdb: &Cdb, list: &[u8]) -> Result<Option<Start>, Sense> {
    let exit = exit(unit, cdb, overwrite_cdb::AUSE)?;
    let block_bytes = unit.geometry.buf_bytes(1);
    let length = overwrite_cdb::PARAMETER_LIST_LENGTH;
    let named = usize::from(cdb.get(length));
    if named <= field::BYTES || named > field::BYTES + block_bytes {
        return Err(Sense::invalid_field(length.bits));
    }
    let Some(bytes) = list.get(field::BYTES..).filter(|_| list.len() >= named) else {
        return Err(code::PARAMETER_LIST_LENGTH_ERROR.into());
    };
    if field::TEST.get(list) != 0 {
        return Err(Sense::invalid_parameter(field::TEST.bits));
    }
    let passes = field::OVERWRITE_COUNT.get(list);
    if passes == 0 {
        return Err(Sense::invalid_parameter(field::OVERWRITE_COUNT.bits));
    }
    let pattern_bytes = usize::from(field::INITIALIZATION_PATTERN_LENGTH.get(list));
    let pattern = bytes.get(..pattern_bytes).filter(|_| (1..=block_bytes).contains(&pattern_bytes));
    let pattern =
        pattern.ok_or(Sense::invalid_parameter(field::INITIALIZATION_PATTERN_LENGTH.bits))?.to_vec();
    let pattern = Pattern { bytes: pattern, passes, invert: field::INVERT.get(list) };
    Ok(Some(start(exit, Method::Write(pattern), cdb.get(overwrite_cdb::IMMED))))
}

//= SBC-3 "SANITIZE command", BLOCK ERASE service action
pub(crate) fn block_erase(unit: &Unit, cdb: &Cdb, _list: &[u8]) -> Result<Option<Start>, Sense> {
    let exit = exit(unit, cdb, erase::AUSE)?;
    Ok(Some(start(exit, Method::Zero { unmap: true }, cdb.get(erase::IMMED))))
}

//= SBC-3 "SANITIZE command", EXIT FAILURE MODE service action: where nothing failed, there is nothing to leave
pub(crate) fn exit_failure_mode(unit: &Unit, _cdb: &Cdb, _list: &[u8]) -> Result<Option<Start>, Sense> {
    match unit.condition {
        Condition::Failed(Kind::Sanitize(Exit::Restricted)) => Err(Sense::invalid_field(SERVICE_ACTION)),
        Condition::Failed(kind @ Kind::Sanitize(Exit::Unrestricted)) => {
            Ok(Some(Start { overhaul: Overhaul::acquittal(kind), answer: Answer::Afterwards }))
        }
        Condition::Failed(Kind::Format) | Condition::Sound | Condition::Busy(_) => Ok(None),
    }
}

fn start(exit: Exit, method: Method, immed: bool) -> Start {
    Start { overhaul: Overhaul::new(Kind::Sanitize(exit), method), answer: Answer::immed(immed) }
}

//= SBC-3 "Sanitize operations": what failed in the restricted completion mode is not made good in the other one
fn exit(unit: &Unit, cdb: &Cdb, ause: Field<bool>) -> Result<Exit, Sense> {
    match (&unit.condition, Exit::ause(cdb.get(ause))) {
        (Condition::Failed(Kind::Sanitize(Exit::Restricted)), Exit::Unrestricted) => {
            Err(Sense::invalid_field(ause.bits))
        }
        (_, exit) => Ok(exit),
    }
}
