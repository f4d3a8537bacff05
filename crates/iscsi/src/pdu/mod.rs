//! PDUs of RFC 7143 as values: what the 48 bytes of a basic header segment say, and back.
//!
//! Start at [`Bhs`] (the bytes), go on to [`Request`] and [`Response`] (the values), and use [`Segments`] to know
//! how many bytes belong to the PDU behind its header.
//!
//! Not here: sequence numbers in force, negotiated limits, digests' values, the order in which PDUs may come. A PDU
//! that parses is well-formed, not permitted. Invariants: parsing never fails for a value that only a later rule can
//! judge (unknown reasons and functions survive as numbers), emitting sets every reserved bit to zero, and nothing
//! here allocates.

mod ahs;
mod codes;
pub mod field;
mod request;
mod response;
mod segments;
mod sn;

pub use ahs::{Ahs, AhsIter, BIDIRECTIONAL_READ_AHS_BYTES, emit_bidirectional_read, emit_extended_cdb};
pub use codes::{
    AhsType, AsyncEvent, LoginStatus, LogoutReason, LogoutResponseCode, Opcode, RejectReason,
    ScsiResponseCode, SnackType, Stage, TaskAttribute, TaskManagementFunction, TaskManagementResponseCode,
};
pub use request::{
    LoginRequest, LogoutRequest, NopOut, Request, ScsiCommand, ScsiDataOut, SnackRequest,
    TaskManagementRequest, TextRequest,
};
pub use response::{
    AsyncMessage, LoginResponse, LogoutResponse, NopIn, R2t, Reject, Response, ScsiDataIn, ScsiResponse,
    TaskManagementResponse, TextResponse,
};
pub use segments::{Segments, padding_bytes};
pub use sn::{Sn, TaskTag};

use core::fmt;

/// Bytes of a basic header segment.
pub const BHS_BYTES: usize = 48;

/// A basic header segment as it is on the wire.
//= RFC 7143 "Basic Header Segment (BHS)"
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Bhs(pub [u8; BHS_BYTES]);

impl Bhs {
    /// A header of zeros with an opcode.
    #[must_use]
    pub fn new(opcode: Opcode) -> Self {
        let mut bhs = Self([0; BHS_BYTES]);
        bhs.set(field::OPCODE, opcode.0);
        bhs
    }

    /// Writes one field.
    #[inline]
    pub fn set<F: field::Place>(&mut self, place: F, value: F::Value) {
        place.write(&mut self.0, value);
    }

    /// Reads one field.
    #[inline]
    #[must_use]
    pub fn get<F: field::Place>(&self, place: F) -> F::Value {
        place.read(&self.0)
    }

    /// What kind of PDU this is.
    #[inline]
    #[must_use]
    pub fn opcode(&self) -> Opcode {
        Opcode(self.get(field::OPCODE))
    }

    /// Whether the PDU is marked for immediate delivery.
    #[inline]
    #[must_use]
    pub fn immediate(&self) -> bool {
        self.get(field::IMMEDIATE)
    }

    /// Bytes of all additional header segments, with their padding.
    #[inline]
    #[must_use]
    pub fn total_ahs_bytes(&self) -> usize {
        usize::from(self.get(field::TOTAL_AHS_WORDS)) * 4
    }

    /// Bytes of the data segment, without its padding and digest.
    #[inline]
    #[must_use]
    pub fn data_segment_bytes(&self) -> u32 {
        self.get(field::DATA_SEGMENT_BYTES)
    }

    /// The initiator task tag.
    #[inline]
    #[must_use]
    pub fn initiator_task_tag(&self) -> TaskTag {
        TaskTag(self.get(field::INITIATOR_TASK_TAG))
    }

    /// Refuses a header of another kind.
    fn expect(&self, opcode: Opcode) -> Result<(), Malformed> {
        let found = self.opcode();
        if found == opcode { Ok(()) } else { Err(Malformed::Opcode { expected: opcode, found }) }
    }
}

impl Default for Bhs {
    fn default() -> Self {
        Self([0; BHS_BYTES])
    }
}

impl fmt::Debug for Bhs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bhs({:?}", self.opcode())?;
        for word in self.0.chunks_exact(4) {
            write!(f, " ")?;
            for byte in word {
                write!(f, "{byte:02x}")?;
            }
        }
        write!(f, ")")
    }
}

/// Why bytes are not the PDU that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// The header is of another kind.
    Opcode {
        /// The kind that was asked for.
        expected: Opcode,
        /// The kind that the header states.
        found: Opcode,
    },
    /// The opcode is none that this side may receive.
    UnknownOpcode(Opcode),
    /// An additional header segment reaches past the stated total, or is too short for its type.
    AdditionalHeader {
        /// Where in the additional header segments it begins.
        at: usize,
    },
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opcode { expected, found } => write!(f, "a {found} stands where a {expected} was expected"),
            Self::UnknownOpcode(opcode) => write!(f, "{opcode} is no PDU that may come from this side"),
            Self::AdditionalHeader { at } => {
                write!(f, "the additional header segment at byte {at} has a wrong length")
            }
        }
    }
}

impl core::error::Error for Malformed {}

/// Declares a PDU once: from its list of `member: Type = PLACE` come the struct, `parse` and `emit`.
///
/// `pdu! { /// A thing.\n Thing = THING sets FINAL { /// Its tag.\n tag: TaskTag = field::INITIATOR_TASK_TAG, } }` gives
/// `pub struct Thing { pub tag: TaskTag }`, whose `parse` refuses another opcode and reads each place, and whose
/// `emit` begins with zeros, writes the opcode, sets the bits named after `sets`, and writes each place.
macro_rules! pdu {
    ($(#[$doc:meta])* $name:ident = $opcode:ident $(sets $($bit:ident),+)? {
        $($(#[$member_doc:meta])* $member:ident: $ty:ty = $place:expr,)*
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name {
            $($(#[$member_doc])* pub $member: $ty,)*
        }

        impl $name {
            /// The opcode of this PDU.
            pub const OPCODE: Opcode = Opcode::$opcode;

            /// Reads the header; only an opcode of another PDU is refused.
            #[inline]
            pub fn parse(bhs: &Bhs) -> Result<Self, Malformed> {
                bhs.expect(Self::OPCODE)?;
                Ok(Self { $($member: <$ty>::from(bhs.get($place)),)* })
            }

            /// Writes the header; every reserved bit is zero.
            #[inline]
            #[must_use]
            pub fn emit(&self) -> [u8; BHS_BYTES] {
                let mut bhs = Bhs::new(Self::OPCODE);
                $($(bhs.set(field::$bit, true);)+)?
                $(bhs.set($place, self.$member.into());)*
                bhs.0
            }
        }
    };
}

/// Declares the PDUs of one direction as an enum with `parse` by opcode and `emit`.
macro_rules! direction {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(#[$variant_doc])* $variant($variant),)*
        }

        impl $name {
            /// Reads a header by its opcode.
            pub fn parse(bhs: &Bhs) -> Result<Self, Malformed> {
                match bhs.opcode() {
                    $($variant::OPCODE => $variant::parse(bhs).map(Self::$variant),)*
                    unknown => Err(Malformed::UnknownOpcode(unknown)),
                }
            }

            /// Writes the header.
            #[must_use]
            pub fn emit(&self) -> [u8; BHS_BYTES] {
                match self {
                    $(Self::$variant(pdu) => pdu.emit(),)*
                }
            }
        }

        $(impl From<$variant> for $name {
            fn from(pdu: $variant) -> Self {
                Self::$variant(pdu)
            }
        })*
    };
}

use {direction, pdu};

#[cfg(test)]
mod tests;
