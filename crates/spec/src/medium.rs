//! Parameter lists and data of the commands that concern the medium as a whole: FORMAT UNIT, SANITIZE, READ DEFECT DATA.

use crate::layout::layouts;

layouts! {
    /// SBC-3 "Short parameter list header" of FORMAT UNIT.
    format_short, 4 {
        PROTECTION_FIELD_USAGE: u8 = 0, 2, 3;
        /// The other options are meant; else all must be zero.
        FOV: bool = 1, 7, 1;
        DPRY: bool = 1, 6, 1;
        DCRT: bool = 1, 5, 1;
        STPF: bool = 1, 4, 1;
        /// A [`pattern`](super::pattern) follows.
        IP: bool = 1, 3, 1;
        /// Once DISABLE SAVING PARAMETERS.
        DSP: bool = 1, 2, 1;
        IMMED: bool = 1, 1, 1;
        DEFECT_LIST_LENGTH: u32 = 2, 7, 16;
    }

    /// SBC-3 "Long parameter list header" of FORMAT UNIT; the options are as in the short one.
    format_long, 8 {
        PROTECTION_FIELD_USAGE: u8 = 0, 2, 3;
        P_I_INFORMATION: u8 = 3, 7, 4;
        PROTECTION_INTERVAL_EXPONENT: u8 = 3, 3, 4;
        DEFECT_LIST_LENGTH: u32 = 4, 7, 32;
    }

    /// SBC-3 "Initialization pattern descriptor": what stands before the pattern.
    pattern, 4 {
        /// Obsolete: block addresses in the blocks.
        IP_MODIFIER: u8 = 0, 7, 2;
        SI: bool = 0, 5, 1;
        IP_TYPE: u8 = 1, 7, 8;
        INITIALIZATION_PATTERN_LENGTH: u16 = 2, 7, 16;
    }

    /// SBC-3 "OVERWRITE service action parameter list": what stands before the pattern.
    overwrite, 4 {
        INVERT: bool = 0, 7, 1;
        TEST: u8 = 0, 6, 2;
        OVERWRITE_COUNT: u8 = 0, 4, 5;
        INITIALIZATION_PATTERN_LENGTH: u16 = 2, 7, 16;
    }

    /// SBC-3 "READ DEFECT DATA (10) parameter data": what stands before the descriptors.
    defects10, 4 {
        PLISTV: bool = 1, 4, 1;
        GLISTV: bool = 1, 3, 1;
        DEFECT_LIST_FORMAT: u8 = 1, 2, 3;
        DEFECT_LIST_LENGTH: u16 = 2, 7, 16;
    }

    /// SBC-3 "READ DEFECT DATA (12) parameter data": what stands before the descriptors.
    defects12, 8 {
        PLISTV: bool = 1, 4, 1;
        GLISTV: bool = 1, 3, 1;
        DEFECT_LIST_FORMAT: u8 = 1, 2, 3;
        GENERATION_CODE: u16 = 2, 7, 16;
        DEFECT_LIST_LENGTH: u32 = 4, 7, 32;
    }
}

/// IP TYPE: zeros, or whatever we like.
pub const IP_DEFAULT: u8 = 0x00;
/// IP TYPE: the pattern, as often as it fits.
pub const IP_REPEAT: u8 = 0x01;

/// FFMT: the medium is initialized.
pub const FFMT_WHOLE: u8 = 0;
/// FFMT: it is not, and every block can be read all the same.
pub const FFMT_FAST: u8 = 2;
