//! Commands with CDBs of 32 bytes: what READ, WRITE and their kind do, with what protection information is expected to say.
//!
//! SBC-3 has them for type 2 protection. We take them on every unit, as other targets do: where there is nothing to
//! expect, the fields for it have no effect.

use crate::cdb::Cdb;
use crate::sense::Sense;

/// ADDITIONAL CDB LENGTH of a CDB of 32 bytes: how many stand behind the field that the standard counts from.
const ADDITIONAL_BYTES: u8 = 0x18;

/// Refuses a CDB that says of itself that it is of another length.
//= SPC-4 "Variable length CDB formats"
pub fn check_length(cdb: &Cdb) -> Result<(), Sense> {
    let field = read32::ADDITIONAL_CDB_LENGTH; // in the same place in all of them
    if cdb.get(field) == ADDITIONAL_BYTES { Ok(()) } else { Err(Sense::invalid_field(field.bits)) }
}

commands! {
    /// SBC-3 "READ (32) command".
    read32 read "READ (32)" 0x7f / 0x0009 at VARIABLE_SERVICE_ACTION, 32 {
        GROUP_NUMBER: u8 = 6, 5, 6;
        ADDITIONAL_CDB_LENGTH: u8 = 7, 7, 8;
        DPO: bool = 10, 4, 1;
        FUA: bool = 10, 3, 1;
        FUA_NV: bool = 10, 1, 1;
        LBA: u64 = 12, 7, 64;
        EXPECTED_INITIAL_LOGICAL_BLOCK_REFERENCE_TAG: u32 = 20, 7, 32;
        EXPECTED_LOGICAL_BLOCK_APPLICATION_TAG: u16 = 24, 7, 16;
        LOGICAL_BLOCK_APPLICATION_TAG_MASK: u16 = 26, 7, 16;
        TRANSFER_LENGTH: u32 = 28, 7, 32;
    } = protection {
        RDPROTECT = 10, 7, 3;
    }

    /// SBC-3 "VERIFY (32) command".
    verify32 verify "VERIFY (32)" 0x7f / 0x000a at VARIABLE_SERVICE_ACTION, 32 {
        GROUP_NUMBER: u8 = 6, 5, 6;
        ADDITIONAL_CDB_LENGTH: u8 = 7, 7, 8;
        DPO: bool = 10, 4, 1;
        BYTCHK: u8 = 10, 2, 2;
        LBA: u64 = 12, 7, 64;
        EXPECTED_INITIAL_LOGICAL_BLOCK_REFERENCE_TAG: u32 = 20, 7, 32;
        EXPECTED_LOGICAL_BLOCK_APPLICATION_TAG: u16 = 24, 7, 16;
        LOGICAL_BLOCK_APPLICATION_TAG_MASK: u16 = 26, 7, 16;
        VERIFICATION_LENGTH: u32 = 28, 7, 32;
    } = protection {
        VRPROTECT = 10, 7, 3;
    }

    /// SBC-3 "WRITE (32) command".
    write32 write "WRITE (32)" 0x7f / 0x000b at VARIABLE_SERVICE_ACTION, 32 {
        GROUP_NUMBER: u8 = 6, 5, 6;
        ADDITIONAL_CDB_LENGTH: u8 = 7, 7, 8;
        DPO: bool = 10, 4, 1;
        FUA: bool = 10, 3, 1;
        FUA_NV: bool = 10, 1, 1;
        LBA: u64 = 12, 7, 64;
        EXPECTED_INITIAL_LOGICAL_BLOCK_REFERENCE_TAG: u32 = 20, 7, 32;
        EXPECTED_LOGICAL_BLOCK_APPLICATION_TAG: u16 = 24, 7, 16;
        LOGICAL_BLOCK_APPLICATION_TAG_MASK: u16 = 26, 7, 16;
        TRANSFER_LENGTH: u32 = 28, 7, 32;
    } = protection {
        WRPROTECT = 10, 7, 3;
    }

    /// SBC-3 "WRITE AND VERIFY (32) command". Nothing may come between the writing and the comparing.
    write_and_verify32 exclusive "WRITE AND VERIFY (32)" 0x7f / 0x000c at VARIABLE_SERVICE_ACTION, 32 {
        GROUP_NUMBER: u8 = 6, 5, 6;
        ADDITIONAL_CDB_LENGTH: u8 = 7, 7, 8;
        DPO: bool = 10, 4, 1;
        BYTCHK: u8 = 10, 2, 2;
        LBA: u64 = 12, 7, 64;
        EXPECTED_INITIAL_LOGICAL_BLOCK_REFERENCE_TAG: u32 = 20, 7, 32;
        EXPECTED_LOGICAL_BLOCK_APPLICATION_TAG: u16 = 24, 7, 16;
        LOGICAL_BLOCK_APPLICATION_TAG_MASK: u16 = 26, 7, 16;
        TRANSFER_LENGTH: u32 = 28, 7, 32;
    } = protection {
        WRPROTECT = 10, 7, 3;
    }

    /// SBC-3 "WRITE SAME (32) command"; NDOB as in SBC-4.
    write_same32 write "WRITE SAME (32)" 0x7f / 0x000d at VARIABLE_SERVICE_ACTION, 32 {
        GROUP_NUMBER: u8 = 6, 5, 6;
        ADDITIONAL_CDB_LENGTH: u8 = 7, 7, 8;
        /// With UNMAP: the blocks keep their space.
        ANCHOR: bool = 10, 4, 1;
        UNMAP: bool = 10, 3, 1;
        /// No Data-Out: the blocks become zeros.
        NDOB: bool = 10, 0, 1;
        LBA: u64 = 12, 7, 64;
        EXPECTED_INITIAL_LOGICAL_BLOCK_REFERENCE_TAG: u32 = 20, 7, 32;
        EXPECTED_LOGICAL_BLOCK_APPLICATION_TAG: u16 = 24, 7, 16;
        LOGICAL_BLOCK_APPLICATION_TAG_MASK: u16 = 26, 7, 16;
        /// Zero stands for all up to the end, where WSNZ=0.
        NUMBER_OF_LOGICAL_BLOCKS: u32 = 28, 7, 32;
    } = protection {
        WRPROTECT = 10, 7, 3;
    }

    /// SBC-3 "ORWRITE (32) command". It may change the generation that every other one is judged by.
    orwrite32 combine_alone "ORWRITE (32)" 0x7f / 0x000e at VARIABLE_SERVICE_ACTION, 32 {
        /// 000b sets bits, 001b clears some and begins a new generation.
        BMOP: u8 = 2, 2, 3;
        PREVIOUS_GENERATION_PROCESSING: u8 = 3, 3, 4;
        GROUP_NUMBER: u8 = 6, 5, 6;
        ADDITIONAL_CDB_LENGTH: u8 = 7, 7, 8;
        DPO: bool = 10, 4, 1;
        FUA: bool = 10, 3, 1;
        FUA_NV: bool = 10, 1, 1;
        LBA: u64 = 12, 7, 64;
        EXPECTED_ORWGENERATION: u32 = 20, 7, 32;
        NEW_ORWGENERATION: u32 = 24, 7, 32;
        TRANSFER_LENGTH: u32 = 28, 7, 32;
    } = protection {
        ORPROTECT = 10, 7, 3;
    }
}
