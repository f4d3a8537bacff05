//! ROD tokens: 512 bytes that stand for data, SPC-4 "ROD tokens" and SBC-3 "ROD token operations".
//!
//! Who has a token may read what it stands for: it must be as hard to guess as a password. What makes it so is the
//! engine's; here is where it goes.

use crate::layout::layouts;

/// Bytes of every token that we make or take.
pub const TOKEN_BYTES: usize = 512;

layouts! {
    /// SPC-4 "ROD token format".
    rod_token, 512 {
        ROD_TYPE: u32 = 0, 7, 32;
        /// Of what follows this field.
        ROD_TOKEN_LENGTH: u16 = 6, 7, 16;
        COPY_MANAGER_ROD_TOKEN_IDENTIFIER: u64 = 8, 7, 64;
        /// The upper half of NUMBER OF BYTES REPRESENTED.
        NUMBER_OF_BYTES_REPRESENTED_HIGH: u64 = 48, 7, 64;
        /// The lower half.
        NUMBER_OF_BYTES_REPRESENTED: u64 = 56, 7, 64;
        /// SBC-3 "Block device specific ROD token data": the length of a block.
        LOGICAL_BLOCK_LENGTH: u32 = 96, 7, 32;
    }
}

/// Where CREATOR LOGICAL UNIT DESCRIPTOR lies, bytes.
pub const CREATOR: core::ops::Range<usize> = 16..48;

/// Where the part lies that nobody can guess: the end of EXTENDED ROD TOKEN DATA.
pub const SECRET: core::ops::Range<usize> = 480..512;

/// ROD TOKEN LENGTH of a token of [`TOKEN_BYTES`].
pub const LENGTH: u16 = 0x01f8;

/// SPC-4 "ROD type". Open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RodType(pub u32);

impl RodType {
    /// Access upon reference: whatever the blocks hold when the token is used.
    pub const ACCESS_UPON_REFERENCE: Self = Self(0x0001_0000);
    /// Point in time copy, default: what the blocks held when the token was made.
    pub const POINT_IN_TIME: Self = Self(0x0080_0000);
    /// Point in time copy, change vulnerable: the same, and a write to the blocks may end it.
    pub const CHANGE_VULNERABLE: Self = Self(0x0080_0001);
    /// SBC-3 "Block device zero ROD token": zeros, as many as one likes.
    pub const ZERO: Self = Self(0xffff_0001);
}
