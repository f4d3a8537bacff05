//! Sense data: what went wrong, by the names the standards give it.
//!
//! A reader starts with [`Sense`]; the constants of [`code`] are the only additional sense codes that felio sends.
//! Encoding to fixed or descriptor format is [`Sense::encode`]; which of the two is the control mode page's business.
//!
//! Not here: unit attention queues (engine).

use crate::field::Bits;
use crate::status::Status;

/// SPC-4 "Sense key and sense code definitions".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenseKey(pub u8);

impl SenseKey {
    /// Nothing to report.
    pub const NO_SENSE: Self = Self(0x0);
    /// Done, with our help.
    pub const RECOVERED_ERROR: Self = Self(0x1);
    /// Not accessible now.
    pub const NOT_READY: Self = Self(0x2);
    /// The medium is flawed.
    pub const MEDIUM_ERROR: Self = Self(0x3);
    /// Something below the medium is broken.
    pub const HARDWARE_ERROR: Self = Self(0x4);
    /// The request is wrong.
    pub const ILLEGAL_REQUEST: Self = Self(0x5);
    /// Something happened that the initiator must know.
    pub const UNIT_ATTENTION: Self = Self(0x6);
    /// Protected.
    pub const DATA_PROTECT: Self = Self(0x7);
    /// A third party copy failed.
    pub const COPY_ABORTED: Self = Self(0xa);
    /// The target gave up the command.
    pub const ABORTED_COMMAND: Self = Self(0xb);
    /// The compared data differ.
    pub const MISCOMPARE: Self = Self(0xe);
    /// Done, with something to tell.
    pub const COMPLETED: Self = Self(0xf);
}

/// Sense key, additional sense code and qualifier: one line of SPC-4's "ASC and ASCQ assignments".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// The sense key it is reported with.
    pub key: SenseKey,
    /// ADDITIONAL SENSE CODE.
    pub asc: u8,
    /// ADDITIONAL SENSE CODE QUALIFIER.
    pub ascq: u8,
}

impl Code {
    /// The essence of encoded sense data; all zeros where there are none.
    #[must_use]
    pub fn of(sense: &[u8]) -> Self {
        let byte = |at: usize| sense.get(at).copied().unwrap_or(0);
        let (key, asc, ascq) = if byte(0) & 0x7e == 0x72 { (1, 2, 3) } else { (2, 12, 13) };
        Self { key: SenseKey(byte(key) & 0x0f), asc: byte(asc), ascq: byte(ascq) }
    }
}

/// The table: constant, key, code, qualifier, T10's text.
macro_rules! codes {
    ($($name:ident = $key:ident $asc:literal $ascq:literal $text:literal;)*) => {
        /// Every code that felio sends.
        pub mod code {
            use super::{Code, SenseKey};
            $(#[doc = $text] pub const $name: Code = Code { key: SenseKey::$key, asc: $asc, ascq: $ascq };)*
            /// Code and text, in table order.
            pub const ALL: &[(Code, &str)] = &[$(($name, $text)),*];
        }
    };
}
codes! {
    NO_ADDITIONAL_SENSE = NO_SENSE 0x00 0x00 "NO ADDITIONAL SENSE INFORMATION";
    IDLE_A_BY_TIMER = NO_SENSE 0x5e 0x01 "IDLE CONDITION ACTIVATED BY TIMER";
    STANDBY_Z_BY_TIMER = NO_SENSE 0x5e 0x02 "STANDBY CONDITION ACTIVATED BY TIMER";
    IDLE_A_BY_COMMAND = NO_SENSE 0x5e 0x03 "IDLE CONDITION ACTIVATED BY COMMAND";
    STANDBY_Z_BY_COMMAND = NO_SENSE 0x5e 0x04 "STANDBY CONDITION ACTIVATED BY COMMAND";
    IDLE_B_BY_TIMER = NO_SENSE 0x5e 0x05 "IDLE_B CONDITION ACTIVATED BY TIMER";
    IDLE_B_BY_COMMAND = NO_SENSE 0x5e 0x06 "IDLE_B CONDITION ACTIVATED BY COMMAND";
    IDLE_C_BY_TIMER = NO_SENSE 0x5e 0x07 "IDLE_C CONDITION ACTIVATED BY TIMER";
    IDLE_C_BY_COMMAND = NO_SENSE 0x5e 0x08 "IDLE_C CONDITION ACTIVATED BY COMMAND";
    STANDBY_Y_BY_TIMER = NO_SENSE 0x5e 0x09 "STANDBY_Y CONDITION ACTIVATED BY TIMER";
    STANDBY_Y_BY_COMMAND = NO_SENSE 0x5e 0x0a "STANDBY_Y CONDITION ACTIVATED BY COMMAND";
    COPY_INFORMATION_AVAILABLE = COMPLETED 0x00 0x20 "EXTENDED COPY INFORMATION AVAILABLE";
    OPERATION_IN_PROGRESS = ILLEGAL_REQUEST 0x00 0x16 "OPERATION IN PROGRESS";
    FAILURE_PREDICTION_FALSE = NO_SENSE 0x5d 0xff "FAILURE PREDICTION THRESHOLD EXCEEDED (FALSE)";
    LU_NOT_READY_BECOMING_READY = NOT_READY 0x04 0x01 "LOGICAL UNIT IS IN PROCESS OF BECOMING READY";
    LU_NOT_READY_MANUAL = NOT_READY 0x04 0x03 "LOGICAL UNIT NOT READY, MANUAL INTERVENTION REQUIRED";
    LU_NOT_READY_INITIALIZING = NOT_READY 0x04 0x02 "LOGICAL UNIT NOT READY, INITIALIZING COMMAND REQUIRED";
    LU_ACCESS_TRANSITION = NOT_READY 0x04 0x0a "LOGICAL UNIT NOT ACCESSIBLE, ASYMMETRIC ACCESS STATE TRANSITION";
    LU_ACCESS_STANDBY = NOT_READY 0x04 0x0b "LOGICAL UNIT NOT ACCESSIBLE, TARGET PORT IN STANDBY STATE";
    LU_ACCESS_UNAVAILABLE = NOT_READY 0x04 0x0c "LOGICAL UNIT NOT ACCESSIBLE, TARGET PORT IN UNAVAILABLE STATE";
    LU_NOT_READY_OFFLINE = NOT_READY 0x04 0x12 "LOGICAL UNIT NOT READY, OFFLINE";
    FORMAT_IN_PROGRESS = NOT_READY 0x04 0x04 "LOGICAL UNIT NOT READY, FORMAT IN PROGRESS";
    SANITIZE_IN_PROGRESS = NOT_READY 0x04 0x1b "LOGICAL UNIT NOT READY, SANITIZE IN PROGRESS";
    SELF_TEST_IN_PROGRESS = NOT_READY 0x04 0x09 "LOGICAL UNIT NOT READY, SELF-TEST IN PROGRESS";
    MEDIUM_NOT_PRESENT = NOT_READY 0x3a 0x00 "MEDIUM NOT PRESENT";
    WRITE_ERROR = MEDIUM_ERROR 0x0c 0x00 "WRITE ERROR";
    UNRECOVERED_READ_ERROR = MEDIUM_ERROR 0x11 0x00 "UNRECOVERED READ ERROR";
    PERSISTENT_RESERVATION_INFORMATION_LOST = DATA_PROTECT 0x44 0x01 "PERSISTENT RESERVATION INFORMATION LOST";
    MEDIUM_FORMAT_CORRUPTED = MEDIUM_ERROR 0x31 0x00 "MEDIUM FORMAT CORRUPTED";
    FORMAT_COMMAND_FAILED = MEDIUM_ERROR 0x31 0x01 "FORMAT COMMAND FAILED";
    SANITIZE_COMMAND_FAILED = MEDIUM_ERROR 0x31 0x03 "SANITIZE COMMAND FAILED";
    LU_FAILED_SELF_TEST = HARDWARE_ERROR 0x3e 0x03 "LOGICAL UNIT FAILED SELF-TEST";
    INTERNAL_TARGET_FAILURE = HARDWARE_ERROR 0x44 0x00 "INTERNAL TARGET FAILURE";
    SET_TARGET_PORT_GROUPS_FAILED = HARDWARE_ERROR 0x67 0x0a "SET TARGET PORT GROUPS COMMAND FAILED";
    PARAMETER_LIST_LENGTH_ERROR = ILLEGAL_REQUEST 0x1a 0x00 "PARAMETER LIST LENGTH ERROR";
    INVALID_COMMAND_OPERATION_CODE = ILLEGAL_REQUEST 0x20 0x00 "INVALID COMMAND OPERATION CODE";
    LBA_OUT_OF_RANGE = ILLEGAL_REQUEST 0x21 0x00 "LOGICAL BLOCK ADDRESS OUT OF RANGE";
    INVALID_TOKEN_UNSUPPORTED_TYPE = ILLEGAL_REQUEST 0x23 0x01 "INVALID TOKEN OPERATION, UNSUPPORTED TOKEN TYPE";
    INVALID_TOKEN_UNKNOWN = ILLEGAL_REQUEST 0x23 0x04 "INVALID TOKEN OPERATION, TOKEN UNKNOWN";
    INVALID_TOKEN_CORRUPT = ILLEGAL_REQUEST 0x23 0x05 "INVALID TOKEN OPERATION, TOKEN CORRUPT";
    INVALID_TOKEN_EXPIRED = ILLEGAL_REQUEST 0x23 0x07 "INVALID TOKEN OPERATION, TOKEN EXPIRED";
    INVALID_TOKEN_CANCELLED = ILLEGAL_REQUEST 0x23 0x08 "INVALID TOKEN OPERATION, TOKEN CANCELLED";
    INVALID_TOKEN_DELETED = ILLEGAL_REQUEST 0x23 0x09 "INVALID TOKEN OPERATION, TOKEN DELETED";
    INVALID_TOKEN_LENGTH = ILLEGAL_REQUEST 0x23 0x0a "INVALID TOKEN OPERATION, INVALID TOKEN LENGTH";
    INVALID_FIELD_IN_CDB = ILLEGAL_REQUEST 0x24 0x00 "INVALID FIELD IN CDB";
    LU_NOT_SUPPORTED = ILLEGAL_REQUEST 0x25 0x00 "LOGICAL UNIT NOT SUPPORTED";
    INVALID_FIELD_IN_PARAMETER_LIST = ILLEGAL_REQUEST 0x26 0x00 "INVALID FIELD IN PARAMETER LIST";
    TOO_MANY_TARGET_DESCRIPTORS = ILLEGAL_REQUEST 0x26 0x06 "TOO MANY TARGET DESCRIPTORS";
    UNSUPPORTED_TARGET_DESCRIPTOR = ILLEGAL_REQUEST 0x26 0x07 "UNSUPPORTED TARGET DESCRIPTOR TYPE CODE";
    TOO_MANY_SEGMENT_DESCRIPTORS = ILLEGAL_REQUEST 0x26 0x08 "TOO MANY SEGMENT DESCRIPTORS";
    UNSUPPORTED_SEGMENT_DESCRIPTOR = ILLEGAL_REQUEST 0x26 0x09 "UNSUPPORTED SEGMENT DESCRIPTOR TYPE CODE";
    INLINE_DATA_LENGTH_EXCEEDED = ILLEGAL_REQUEST 0x26 0x0b "INLINE DATA LENGTH EXCEEDED";
    ORWRITE_GENERATION_DOES_NOT_MATCH = ILLEGAL_REQUEST 0x2c 0x0c "ORWRITE GENERATION DOES NOT MATCH";
    INVALID_RELEASE_OF_PERSISTENT_RESERVATION = ILLEGAL_REQUEST 0x26 0x04 "INVALID RELEASE OF PERSISTENT RESERVATION";
    INSUFFICIENT_REGISTRATION_RESOURCES = ILLEGAL_REQUEST 0x55 0x04 "INSUFFICIENT REGISTRATION RESOURCES";
    COMMAND_SEQUENCE_ERROR = ILLEGAL_REQUEST 0x2c 0x00 "COMMAND SEQUENCE ERROR";
    SAVING_PARAMETERS_NOT_SUPPORTED = ILLEGAL_REQUEST 0x39 0x00 "SAVING PARAMETERS NOT SUPPORTED";
    INVALID_MESSAGE = ILLEGAL_REQUEST 0x49 0x00 "INVALID MESSAGE ERROR";
    MEDIUM_REMOVAL_PREVENTED = ILLEGAL_REQUEST 0x53 0x02 "MEDIUM REMOVAL PREVENTED";
    INVALID_FIELD_IN_COMMAND_IU = ILLEGAL_REQUEST 0x0e 0x03 "INVALID FIELD IN COMMAND INFORMATION UNIT";
    MEDIUM_MAY_HAVE_CHANGED = UNIT_ATTENTION 0x28 0x00 "NOT READY TO READY CHANGE, MEDIUM MAY HAVE CHANGED";
    FAILURE_PREDICTION_FALSE_ATTENTION = UNIT_ATTENTION 0x5d 0xff "FAILURE PREDICTION THRESHOLD EXCEEDED (FALSE)";
    POWER_ON_OCCURRED = UNIT_ATTENTION 0x29 0x01 "POWER ON OCCURRED";
    SCSI_BUS_RESET = UNIT_ATTENTION 0x29 0x02 "SCSI BUS RESET OCCURRED";
    BUS_DEVICE_RESET = UNIT_ATTENTION 0x29 0x03 "BUS DEVICE RESET FUNCTION OCCURRED";
    I_T_NEXUS_LOSS = UNIT_ATTENTION 0x29 0x07 "I_T NEXUS LOSS OCCURRED";
    MODE_PARAMETERS_CHANGED = UNIT_ATTENTION 0x2a 0x01 "MODE PARAMETERS CHANGED";
    LOG_PARAMETERS_CHANGED = UNIT_ATTENTION 0x2a 0x02 "LOG PARAMETERS CHANGED";
    RESERVATIONS_PREEMPTED = UNIT_ATTENTION 0x2a 0x03 "RESERVATIONS PREEMPTED";
    RESERVATIONS_RELEASED = UNIT_ATTENTION 0x2a 0x04 "RESERVATIONS RELEASED";
    REGISTRATIONS_PREEMPTED = UNIT_ATTENTION 0x2a 0x05 "REGISTRATIONS PREEMPTED";
    ASYMMETRIC_ACCESS_STATE_CHANGED = UNIT_ATTENTION 0x2a 0x06 "ASYMMETRIC ACCESS STATE CHANGED";
    CAPACITY_DATA_HAS_CHANGED = UNIT_ATTENTION 0x2a 0x09 "CAPACITY DATA HAS CHANGED";
    TIMESTAMP_CHANGED = UNIT_ATTENTION 0x2a 0x10 "TIMESTAMP CHANGED";
    PREVIOUS_BUSY = UNIT_ATTENTION 0x2c 0x07 "PREVIOUS BUSY STATUS";
    PREVIOUS_TASK_SET_FULL = UNIT_ATTENTION 0x2c 0x08 "PREVIOUS TASK SET FULL STATUS";
    PREVIOUS_RESERVATION_CONFLICT = UNIT_ATTENTION 0x2c 0x09 "PREVIOUS RESERVATION CONFLICT STATUS";
    COMMANDS_CLEARED = UNIT_ATTENTION 0x2f 0x00 "COMMANDS CLEARED BY ANOTHER INITIATOR";
    THIN_PROVISIONING_THRESHOLD = UNIT_ATTENTION 0x38 0x07 "THIN PROVISIONING SOFT THRESHOLD REACHED";
    MICROCODE_CHANGED = UNIT_ATTENTION 0x3f 0x01 "MICROCODE HAS BEEN CHANGED";
    INQUIRY_DATA_HAS_CHANGED = UNIT_ATTENTION 0x3f 0x03 "INQUIRY DATA HAS CHANGED";
    DEVICE_IDENTIFIER_CHANGED = UNIT_ATTENTION 0x3f 0x05 "DEVICE IDENTIFIER CHANGED";
    REPORTED_LUNS_DATA_HAS_CHANGED = UNIT_ATTENTION 0x3f 0x0e "REPORTED LUNS DATA HAS CHANGED";
    WRITE_PROTECTED = DATA_PROTECT 0x27 0x00 "WRITE PROTECTED";
    SOFTWARE_WRITE_PROTECTED = DATA_PROTECT 0x27 0x02 "LOGICAL UNIT SOFTWARE WRITE PROTECTED";
    SPACE_ALLOCATION_FAILED = DATA_PROTECT 0x27 0x07 "SPACE ALLOCATION FAILED WRITE PROTECT";
    COPY_FAILED = COPY_ABORTED 0x00 0x00 "NO ADDITIONAL SENSE INFORMATION";
    COPY_OPERATION_ABORTED = COPY_ABORTED 0x00 0x06 "I/O PROCESS TERMINATED";
    UNREACHABLE_COPY_TARGET = COPY_ABORTED 0x08 0x04 "UNREACHABLE COPY TARGET";
    COPY_TARGET_NOT_REACHABLE = COPY_ABORTED 0x0d 0x02 "COPY TARGET DEVICE NOT REACHABLE";
    INCORRECT_COPY_TARGET_TYPE = COPY_ABORTED 0x0d 0x03 "INCORRECT COPY TARGET DEVICE TYPE";
    COPY_TOKEN_CANCELLED = COPY_ABORTED 0x23 0x08 "INVALID TOKEN OPERATION, TOKEN CANCELLED";
    UNEXPECTED_INEXACT_SEGMENT = COPY_ABORTED 0x26 0x0a "UNEXPECTED INEXACT SEGMENT";
    INSUFFICIENT_RESOURCES_TO_CREATE_ROD_TOKEN =
        ILLEGAL_REQUEST 0x55 0x0d "INSUFFICIENT RESOURCES TO CREATE ROD TOKEN";
    COPY_INSUFFICIENT_RESOURCES = COPY_ABORTED 0x55 0x03 "INSUFFICIENT RESOURCES";
    UNEXPECTED_UNSOLICITED_DATA = ABORTED_COMMAND 0x0c 0x0c "WRITE ERROR - UNEXPECTED UNSOLICITED DATA";
    NOT_ENOUGH_UNSOLICITED_DATA = ABORTED_COMMAND 0x0c 0x0d "WRITE ERROR - NOT ENOUGH UNSOLICITED DATA";
    LOGICAL_BLOCK_GUARD_CHECK_FAILED = ABORTED_COMMAND 0x10 0x01 "LOGICAL BLOCK GUARD CHECK FAILED";
    LOGICAL_BLOCK_APPLICATION_TAG_CHECK_FAILED = ABORTED_COMMAND 0x10 0x02 "LOGICAL BLOCK APPLICATION TAG CHECK FAILED";
    LOGICAL_BLOCK_REFERENCE_TAG_CHECK_FAILED = ABORTED_COMMAND 0x10 0x03 "LOGICAL BLOCK REFERENCE TAG CHECK FAILED";
    ECHO_BUFFER_OVERWRITTEN = ABORTED_COMMAND 0x3f 0x0f "ECHO BUFFER OVERWRITTEN";
    PROTOCOL_SERVICE_CRC_ERROR = ABORTED_COMMAND 0x47 0x05 "PROTOCOL SERVICE CRC ERROR";
    LOGICAL_BLOCK_GUARD_MISCOMPARE = MISCOMPARE 0x10 0x01 "LOGICAL BLOCK GUARD CHECK FAILED";
    LOGICAL_BLOCK_APPLICATION_TAG_MISCOMPARE = MISCOMPARE 0x10 0x02 "LOGICAL BLOCK APPLICATION TAG CHECK FAILED";
    LOGICAL_BLOCK_REFERENCE_TAG_MISCOMPARE = MISCOMPARE 0x10 0x03 "LOGICAL BLOCK REFERENCE TAG CHECK FAILED";
    MISCOMPARE_DURING_VERIFY = MISCOMPARE 0x1d 0x00 "MISCOMPARE DURING VERIFY OPERATION";
}

/// Where the error lies, SPC-4 "Field pointer sense key specific data".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldPointer {
    /// In the CDB, or else in the parameter data.
    pub in_cdb: bool,
    /// The byte where the field starts.
    pub byte: u16,
    /// The leftmost bit of the field, where it does not fill its bytes.
    pub bit: Option<u8>,
}

/// One condition, as it is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sense {
    /// Key, code and qualifier.
    pub code: Code,
    /// INFORMATION: an LBA, or an offset as the command's clause says.
    pub information: Option<u64>,
    /// The field at fault.
    pub pointer: Option<FieldPointer>,
    /// It is not the command that reports it that failed, but an earlier one that was answered before it was done.
    pub is_deferred: bool,
    /// Of a third-party copy: where it stood.
    pub segment: Option<Segment>,
    /// PROGRESS INDICATION: how far something is that takes long, in parts of 65,536.
    pub progress: Option<u16>,
}

/// SPC-4 "Errors detected during processing of segment descriptors": where a third-party copy stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Which segment, the first being number zero.
    pub number: u16,
    /// What stopped it, if that was an answer of a unit.
    pub cause: Option<Cause>,
}

/// What a unit answered to the copy manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Which unit.
    pub side: Side,
    /// The status.
    pub status: Status,
    /// The essence of its sense data; for another status than CHECK CONDITION nothing.
    pub code: Code,
}

/// The ends of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Where it reads.
    Source,
    /// Where it writes.
    Destination,
}

/// Longest encoding that [`Sense::encode`] makes.
pub const SENSE_BYTES_MAX: usize = 44;

impl From<Code> for Sense {
    fn from(code: Code) -> Self {
        Self::new(code)
    }
}

impl Sense {
    /// Just the code.
    #[must_use]
    pub const fn new(code: Code) -> Self {
        Self { code, information: None, pointer: None, segment: None, progress: None, is_deferred: false }
    }

    /// With PROGRESS INDICATION.
    #[must_use]
    pub const fn with_progress(code: Code, progress: u16) -> Self {
        Self { progress: Some(progress), ..Self::new(code) }
    }

    /// With INFORMATION.
    #[must_use]
    pub const fn with_information(code: Code, information: u64) -> Self {
        Self { information: Some(information), ..Self::new(code) }
    }

    /// INVALID FIELD IN CDB that points at `field`.
    #[must_use]
    pub const fn invalid_field(field: Bits) -> Self {
        Self { pointer: Some(pointer_to(true, field)), ..Self::new(code::INVALID_FIELD_IN_CDB) }
    }

    /// INVALID FIELD IN PARAMETER LIST that points at `field`.
    #[must_use]
    pub const fn invalid_parameter(field: Bits) -> Self {
        Self::parameter(code::INVALID_FIELD_IN_PARAMETER_LIST, field)
    }

    /// With a pointer to `field` of the parameter list.
    #[must_use]
    pub const fn parameter(code: Code, field: Bits) -> Self {
        Self { pointer: Some(pointer_to(false, field)), ..Self::new(code) }
    }

    /// Writes fixed or descriptor format sense data into `out` and returns its length.
    #[must_use]
    pub fn encode(&self, descriptor: bool, out: &mut [u8; SENSE_BYTES_MAX]) -> usize {
        out.fill(0);
        if descriptor { self.encode_descriptor(out) } else { self.encode_fixed(out) }
    }

    /// SENSE KEY SPECIFIC, if there is any.
    fn specific(&self) -> Option<[u8; 3]> {
        self.pointer.map(encode_pointer).or_else(|| self.progress.map(encode_progress))
    }

    //= SPC-4 "Fixed format sense data"
    fn encode_fixed(&self, out: &mut [u8; SENSE_BYTES_MAX]) -> usize {
        const LENGTH: usize = 18;
        out[0] = if self.is_deferred { 0x71 } else { 0x70 };
        out[2] = self.code.key.0;
        out[12] = self.code.asc;
        out[13] = self.code.ascq;
        // The field has four bytes: a larger value leaves VALID at zero.
        if let Some(information) = self.information.and_then(|i| u32::try_from(i).ok()) {
            out[0] |= 0x80;
            out[3..7].copy_from_slice(&information.to_be_bytes());
        }
        if let Some(specific) = self.specific() {
            out[15..18].copy_from_slice(&specific);
        }
        let mut at = LENGTH;
        if let Some(segment) = self.segment {
            out[10..12].copy_from_slice(&segment.number.to_be_bytes());
            if let Some(cause) = segment.cause {
                out[if cause.side == Side::Source { 8 } else { 9 }] = u8::try_from(at).unwrap_or(0);
                out[at] = cause.status.0;
                out[at + 1..at + 1 + ABRIDGED].copy_from_slice(&abridge(cause.code));
                at += 1 + ABRIDGED;
            }
        }
        out[7] = u8::try_from(at - 8).unwrap_or(0);
        at
    }

    //= SPC-4 "Descriptor format sense data"
    fn encode_descriptor(&self, out: &mut [u8; SENSE_BYTES_MAX]) -> usize {
        out[0] = if self.is_deferred { 0x73 } else { 0x72 };
        out[1] = self.code.key.0;
        out[2] = self.code.asc;
        out[3] = self.code.ascq;
        let mut at = 8;
        if let Some(information) = self.information {
            out[at..at + 4].copy_from_slice(&[0x00, 0x0a, 0x80, 0]);
            out[at + 4..at + 12].copy_from_slice(&information.to_be_bytes());
            at += 12;
        }
        if let Some(segment) = self.segment {
            at += encode_segment(segment, &mut out[at..]);
        }
        if let Some(specific) = self.specific()
            && at + 8 <= out.len()
        {
            out[at..at + 2].copy_from_slice(&[0x02, 0x06]);
            out[at + 4..at + 7].copy_from_slice(&specific);
            at += 8;
        }
        out[7] = u8::try_from(at - 8).unwrap_or(0);
        at
    }
}

/// Bytes of [`abridge`].
const ABRIDGED: usize = 8;

/// Sense data of a code alone: descriptor format without descriptors.
const fn abridge(code: Code) -> [u8; ABRIDGED] {
    [0x72, code.key.0, code.asc, code.ascq, 0, 0, 0, 0]
}

//= SPC-4 "Command-specific information sense data descriptor", "Forwarded sense data descriptor"
fn encode_segment(segment: Segment, out: &mut [u8]) -> usize {
    const COMMAND_SPECIFIC: usize = 12;
    let [high, low] = segment.number.to_be_bytes();
    out[..8].copy_from_slice(&[0x01, 0x0a, 0, 0, 0, 0, high, low]);
    let Some(cause) = segment.cause else { return COMMAND_SPECIFIC };
    let source = if cause.side == Side::Source { 1 } else { 2 };
    let forwarded = &mut out[COMMAND_SPECIFIC..];
    forwarded[..4].copy_from_slice(&[0x0c, 0x0a, source, cause.status.0]);
    forwarded[4..4 + ABRIDGED].copy_from_slice(&abridge(cause.code));
    COMMAND_SPECIFIC + 4 + ABRIDGED
}

/// Key, code and qualifier of sense data in either format.
//= SPC-4 "Sense data": response code 70h and 71h, or 72h and 73h
#[must_use]
pub fn code_of(sense: &[u8]) -> Option<Code> {
    let (key, asc, ascq) = match sense.first()? & 0x7f {
        0x70 | 0x71 => (sense.get(2)?, sense.get(12)?, sense.get(13)?),
        0x72 | 0x73 => (sense.get(1)?, sense.get(2)?, sense.get(3)?),
        _ => return None,
    };
    Some(Code { key: SenseKey(key & 0x0f), asc: *asc, ascq: *ascq })
}

const fn pointer_to(in_cdb: bool, field: Bits) -> FieldPointer {
    let whole_bytes = field.msb == 7 && field.width.is_multiple_of(8);
    FieldPointer { in_cdb, byte: field.byte, bit: if whole_bytes { None } else { Some(field.msb) } }
}

//= SPC-4 "Field pointer sense key specific data": SKSV, C/D, BPV, BIT POINTER, FIELD POINTER
fn encode_pointer(pointer: FieldPointer) -> [u8; 3] {
    let [high, low] = pointer.byte.to_be_bytes();
    let flags = 0x80 | (u8::from(pointer.in_cdb) << 6) | pointer.bit.map_or(0, |bit| 0x08 | (bit & 7));
    [flags, high, low]
}

//= SPC-4 "Progress indication sense key specific data": SKSV, PROGRESS INDICATION
const fn encode_progress(progress: u16) -> [u8; 3] {
    let [high, low] = progress.to_be_bytes();
    [0x80, high, low]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::Field;

    fn check(sense: Sense, descriptor: bool, want: &[u8]) {
        let mut out = [0; SENSE_BYTES_MAX];
        let length = sense.encode(descriptor, &mut out);
        assert_eq!(&out[..length], want);
    }

    #[test]
    fn fixed_format_points_at_bit_and_byte() {
        let sense = Sense::invalid_field(Field::<bool>::bit(1, 3).bits);
        check(sense, false, &[0x70, 0, 5, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x24, 0, 0, 0xcb, 0, 1]);
    }

    #[test]
    fn descriptor_format_carries_eight_bytes_of_information() {
        let sense = Sense::with_information(code::UNRECOVERED_READ_ERROR, 1 << 40);
        check(sense, true, &[0x72, 3, 0x11, 0, 0, 0, 0, 12, 0, 10, 0x80, 0, 0, 0, 1, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn fixed_format_leaves_out_information_that_does_not_fit() {
        let sense = Sense::with_information(code::UNRECOVERED_READ_ERROR, 1 << 40);
        check(sense, false, &[0x70, 0, 3, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x11, 0, 0, 0, 0, 0]);
    }

    const FAILED_THERE: Sense = Sense {
        segment: Some(Segment {
            number: 0x0102,
            cause: Some(Cause {
                side: Side::Destination,
                status: Status::CHECK_CONDITION,
                code: code::WRITE_PROTECTED,
            }),
        }),
        ..Sense::new(code::COPY_FAILED)
    };

    #[test]
    fn fixed_format_says_which_segment_failed_and_forwards_why() {
        let mut want = vec![0x70, 0, 0xa, 0, 0, 0, 0, 19, 0, 18, 1, 2, 0, 0, 0, 0, 0, 0];
        want.extend([2, 0x72, 7, 0x27, 0, 0, 0, 0, 0]);
        check(FAILED_THERE, false, &want);
    }

    #[test]
    fn descriptor_format_says_which_segment_failed_and_forwards_why() {
        let mut want = vec![0x72, 0xa, 0, 0, 0, 0, 0, 24];
        want.extend([1, 10, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0]);
        want.extend([12, 10, 2, 2, 0x72, 7, 0x27, 0, 0, 0, 0, 0]);
        check(FAILED_THERE, true, &want);
    }

    #[test]
    fn what_does_not_fit_into_descriptor_format_is_left_out() {
        let pointer = Sense::invalid_parameter(Field::<u8>::bytes(16, 1).bits).pointer;
        let sense = Sense { information: Some(7), pointer, ..FAILED_THERE };
        assert_eq!(sense.encode(true, &mut [0; SENSE_BYTES_MAX]), SENSE_BYTES_MAX);
    }

    #[test]
    fn the_essence_of_sense_data_is_found_in_both_formats() {
        for descriptor in [false, true] {
            let mut out = [0; SENSE_BYTES_MAX];
            let length = FAILED_THERE.encode(descriptor, &mut out);
            assert_eq!(Code::of(&out[..length]), code::COPY_FAILED);
        }
        assert_eq!(Code::of(&[]).key, SenseKey::NO_SENSE);
    }

    #[test]
    fn progress_is_told_in_either_format() {
        let sense = Sense::with_progress(code::SANITIZE_IN_PROGRESS, 0x8001);
        check(sense, false, &[0x70, 0, 2, 0, 0, 0, 0, 10, 0, 0, 0, 0, 4, 0x1b, 0, 0x80, 0x80, 1]);
        check(sense, true, &[0x72, 2, 4, 0x1b, 0, 0, 0, 8, 2, 6, 0, 0, 0x80, 0x80, 1, 0]);
    }

    #[test]
    fn a_deferred_error_is_told_by_the_response_code() {
        let sense = Sense { is_deferred: true, ..Sense::new(code::WRITE_ERROR) };
        check(sense, false, &[0x71, 0, 3, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x0c, 0, 0, 0, 0, 0]);
        check(sense, true, &[0x73, 3, 0x0c, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn no_code_stands_twice_in_the_table() {
        for (i, (one, text)) in code::ALL.iter().enumerate() {
            assert!(!code::ALL[..i].iter().any(|(other, _)| other == one), "{text}");
        }
    }
}
