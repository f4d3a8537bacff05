//! What a store's failure is called: one table.

use crate::geometry::Geometry;
use crate::protection;
use crate::table::Effort;
use felio_hal::store::Failure;
use felio_spec::sense::{Code, Sense, code};

/// The sense data of a failed operation.
//= SPC-4 "Sense key and sense code definitions"; INFORMATION is the address of the block, SBC-3 "Reporting defects".
pub(crate) fn sense(failure: Failure, effort: Effort, geometry: &Geometry) -> Sense {
    match (failure, effort) {
        (Failure::Medium(at), Effort::Read) => medium(code::UNRECOVERED_READ_ERROR, at, geometry),
        (Failure::Medium(at), Effort::Write | Effort::Flush | Effort::Save) => {
            medium(code::WRITE_ERROR, at, geometry)
        }
        (Failure::Short, Effort::Read) => code::UNRECOVERED_READ_ERROR.into(),
        (Failure::Short, Effort::Write | Effort::Flush | Effort::Save) => code::WRITE_ERROR.into(),
        // Only a copy can ask for what a store does not do, and is told so.
        (Failure::NotPossible, _) => code::INVALID_COMMAND_OPERATION_CODE.into(),
        (Failure::NoSpace, _) => code::SPACE_ALLOCATION_FAILED.into(),
        (Failure::WriteProtected, _) => code::WRITE_PROTECTED.into(),
        (Failure::Gone, _) => code::LU_NOT_READY_MANUAL.into(),
        (Failure::Protection { flaw, at }, _) => medium(protection::flawed(flaw), Some(at), geometry),
        (Failure::Other(_), _) => code::INTERNAL_TARGET_FAILURE.into(),
    }
}

fn medium(code: Code, at: Option<u64>, geometry: &Geometry) -> Sense {
    let information = at.map(|byte| byte / u64::from(geometry.block_bytes));
    Sense { information, ..Sense::new(code) }
}
