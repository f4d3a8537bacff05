//! Where the fields of a basic header segment stand: constants to read and write with [`Bhs::get`](super::Bhs::get)
//! and [`Bhs::set`](super::Bhs::set).
//!
//! Fields that all PDUs share stand at the top; those of a few PDUs are in a module named after the PDU or after
//! the PDUs that share them. This is the only file of the crate that knows offsets into a header.

use super::BHS_BYTES;

/// A place in a header and the kind of value that it holds.
pub trait Place: Copy {
    /// What is read from there and written to there.
    type Value;

    /// Reads the value.
    fn read(self, bytes: &[u8; BHS_BYTES]) -> Self::Value;

    /// Writes the value; the other bits stay.
    fn write(self, bytes: &mut [u8; BHS_BYTES], value: Self::Value);
}

/// One bit: byte, and number of the bit in it (7 is the first on the wire).
#[derive(Debug, Clone, Copy)]
pub struct Bit(usize, u8);

/// A few bits of one byte: byte, number of the lowest bit, count of bits.
#[derive(Debug, Clone, Copy)]
pub struct Bits(usize, u8, u8);

/// One byte.
#[derive(Debug, Clone, Copy)]
pub struct U8(usize);

/// Two bytes.
#[derive(Debug, Clone, Copy)]
pub struct U16(usize);

/// Three bytes.
#[derive(Debug, Clone, Copy)]
pub struct U24(usize);

/// Four bytes.
#[derive(Debug, Clone, Copy)]
pub struct U32(usize);

/// Eight bytes.
#[derive(Debug, Clone, Copy)]
pub struct U64(usize);

/// Bytes that are no number.
#[derive(Debug, Clone, Copy)]
pub struct Raw<const N: usize>(usize);

impl Bits {
    const fn mask(self) -> u8 {
        (0xff >> (8 - self.2)) << self.1
    }
}

impl Place for Bit {
    type Value = bool;

    #[inline]
    fn read(self, bytes: &[u8; BHS_BYTES]) -> bool {
        bytes[self.0] & (1 << self.1) != 0
    }

    #[inline]
    fn write(self, bytes: &mut [u8; BHS_BYTES], value: bool) {
        bytes[self.0] = (bytes[self.0] & !(1 << self.1)) | (u8::from(value) << self.1);
    }
}

impl Place for Bits {
    type Value = u8;

    #[inline]
    fn read(self, bytes: &[u8; BHS_BYTES]) -> u8 {
        (bytes[self.0] & self.mask()) >> self.1
    }

    #[inline]
    fn write(self, bytes: &mut [u8; BHS_BYTES], value: u8) {
        assert!(value <= self.mask() >> self.1, "a field of {} bits cannot hold {value:#x}", self.2);
        bytes[self.0] = (bytes[self.0] & !self.mask()) | (value << self.1);
    }
}

impl Place for U8 {
    type Value = u8;

    #[inline]
    fn read(self, bytes: &[u8; BHS_BYTES]) -> u8 {
        bytes[self.0]
    }

    #[inline]
    fn write(self, bytes: &mut [u8; BHS_BYTES], value: u8) {
        bytes[self.0] = value;
    }
}

impl Place for U16 {
    type Value = u16;

    #[inline]
    fn read(self, bytes: &[u8; BHS_BYTES]) -> u16 {
        u16::from_be_bytes(Raw(self.0).read(bytes))
    }

    #[inline]
    fn write(self, bytes: &mut [u8; BHS_BYTES], value: u16) {
        Raw(self.0).write(bytes, value.to_be_bytes());
    }
}

impl Place for U24 {
    type Value = u32;

    #[inline]
    fn read(self, bytes: &[u8; BHS_BYTES]) -> u32 {
        let [high, middle, low] = Raw(self.0).read(bytes);
        u32::from_be_bytes([0, high, middle, low])
    }

    #[inline]
    fn write(self, bytes: &mut [u8; BHS_BYTES], value: u32) {
        let [top, low @ ..] = value.to_be_bytes();
        assert!(top == 0, "a field of 24 bits cannot hold {value:#x}");
        Raw::<3>(self.0).write(bytes, low);
    }
}

impl Place for U32 {
    type Value = u32;

    #[inline]
    fn read(self, bytes: &[u8; BHS_BYTES]) -> u32 {
        u32::from_be_bytes(Raw(self.0).read(bytes))
    }

    #[inline]
    fn write(self, bytes: &mut [u8; BHS_BYTES], value: u32) {
        Raw(self.0).write(bytes, value.to_be_bytes());
    }
}

impl Place for U64 {
    type Value = u64;

    #[inline]
    fn read(self, bytes: &[u8; BHS_BYTES]) -> u64 {
        u64::from_be_bytes(Raw(self.0).read(bytes))
    }

    #[inline]
    fn write(self, bytes: &mut [u8; BHS_BYTES], value: u64) {
        Raw(self.0).write(bytes, value.to_be_bytes());
    }
}

impl<const N: usize> Place for Raw<N> {
    type Value = [u8; N];

    #[inline]
    fn read(self, bytes: &[u8; BHS_BYTES]) -> [u8; N] {
        let mut value = [0; N];
        value.copy_from_slice(&bytes[self.0..self.0 + N]);
        value
    }

    #[inline]
    fn write(self, bytes: &mut [u8; BHS_BYTES], value: [u8; N]) {
        bytes[self.0..self.0 + N].copy_from_slice(&value);
    }
}

/// I: deliver at once, outside the order of CmdSN.
pub const IMMEDIATE: Bit = Bit(0, 6);
/// What kind of PDU it is.
pub const OPCODE: Bits = Bits(0, 0, 6);
/// F: the last PDU of a sequence.
pub const FINAL: Bit = Bit(1, 7);
/// TotalAHSLength, counted in words of four bytes.
pub const TOTAL_AHS_WORDS: U8 = U8(4);
/// DataSegmentLength.
pub const DATA_SEGMENT_BYTES: U24 = U24(5);
/// LUN, as the eight bytes of SAM.
pub const LUN: U64 = U64(8);
/// Initiator Task Tag.
pub const INITIATOR_TASK_TAG: U32 = U32(16);
/// Target Transfer Tag.
pub const TARGET_TRANSFER_TAG: U32 = U32(20);
/// CmdSN, in requests.
pub const CMD_SN: U32 = U32(24);
/// ExpStatSN, in requests.
pub const EXP_STAT_SN: U32 = U32(28);
/// StatSN, in responses.
pub const STAT_SN: U32 = U32(24);
/// ExpCmdSN, in responses.
pub const EXP_CMD_SN: U32 = U32(28);
/// MaxCmdSN, in responses.
pub const MAX_CMD_SN: U32 = U32(32);

/// SCSI Command.
pub mod scsi_command {
    use super::{Bit, Bits, Raw, U32};

    /// R: data is expected from the target.
    pub const READ: Bit = Bit(1, 6);
    /// W: data goes to the target.
    pub const WRITE: Bit = Bit(1, 5);
    /// ATTR: the task attribute.
    pub const ATTR: Bits = Bits(1, 0, 3);
    /// Expected Data Transfer Length.
    pub const EXPECTED_DATA_BYTES: U32 = U32(20);
    /// The first 16 bytes of the CDB.
    pub const CDB: Raw<16> = Raw(32);
}

/// Residuals and status, in SCSI Response and SCSI Data-In.
pub mod scsi_response {
    use super::{Bit, U8, U32};

    /// o: overflow of the read part of a bidirectional command.
    pub const BIDIRECTIONAL_OVERFLOW: Bit = Bit(1, 4);
    /// u: underflow of the read part of a bidirectional command.
    pub const BIDIRECTIONAL_UNDERFLOW: Bit = Bit(1, 3);
    /// O: more data than expected.
    pub const OVERFLOW: Bit = Bit(1, 2);
    /// U: less data than expected.
    pub const UNDERFLOW: Bit = Bit(1, 1);
    /// Response, also of task management and logout.
    pub const RESPONSE: U8 = U8(2);
    /// SCSI status.
    pub const STATUS: U8 = U8(3);
    /// SNACK Tag.
    pub const SNACK_TAG: U32 = U32(20);
    /// ExpDataSN: how many Data-In and R2T PDUs there were.
    pub const EXP_DATA_SN: U32 = U32(36);
    /// Bidirectional Read Residual Count.
    pub const BIDIRECTIONAL_RESIDUAL_BYTES: U32 = U32(40);
    /// Residual Count.
    pub const RESIDUAL_BYTES: U32 = U32(44);
}

/// Task Management Function Request.
pub mod task_management {
    use super::{Bits, U32};

    /// Function.
    pub const FUNCTION: Bits = Bits(1, 0, 7);
    /// Referenced Task Tag.
    pub const REFERENCED_TASK_TAG: U32 = U32(20);
    /// RefCmdSN.
    pub const REF_CMD_SN: U32 = U32(32);
    /// ExpDataSN.
    pub const EXP_DATA_SN: U32 = U32(36);
}

/// SCSI Data-Out, SCSI Data-In, R2T, and the data number of Reject.
pub mod data {
    use super::{Bit, U32};

    /// A: the initiator should acknowledge.
    pub const ACKNOWLEDGE: Bit = Bit(1, 6);
    /// S: the PDU also carries the status.
    pub const STATUS_PRESENT: Bit = Bit(1, 0);
    /// DataSN, or R2TSN.
    pub const DATA_SN: U32 = U32(36);
    /// Buffer Offset.
    pub const BUFFER_OFFSET: U32 = U32(40);
    /// Desired Data Transfer Length.
    pub const DESIRED_BYTES: U32 = U32(44);
}

/// Text and Login, requests and responses.
pub mod text {
    use super::{Bit, Bits, Raw, U8, U16};

    /// C: the text goes on in the next PDU.
    pub const CONTINUE: Bit = Bit(1, 6);
    /// T: ready to go to the next stage.
    pub const TRANSIT: Bit = Bit(1, 7);
    /// CSG: the current stage.
    pub const CURRENT_STAGE: Bits = Bits(1, 2, 2);
    /// NSG: the next stage.
    pub const NEXT_STAGE: Bits = Bits(1, 0, 2);
    /// Version-max.
    pub const VERSION_MAX: U8 = U8(2);
    /// Version-min in requests, Version-active in responses.
    pub const VERSION_MIN: U8 = U8(3);
    /// ISID.
    pub const ISID: Raw<6> = Raw(8);
    /// TSIH.
    pub const TSIH: U16 = U16(14);
    /// CID, also of Logout.
    pub const CID: U16 = U16(20);
    /// Status-Class and Status-Detail as one number.
    pub const STATUS: U16 = U16(36);
}

/// Logout.
pub mod logout {
    use super::{Bits, U16};

    /// Reason Code.
    pub const REASON: Bits = Bits(1, 0, 7);
    /// Time2Wait, in seconds.
    pub const TIME_TO_WAIT: U16 = U16(40);
    /// Time2Retain, in seconds.
    pub const TIME_TO_RETAIN: U16 = U16(42);
}

/// SNACK Request.
pub mod snack {
    use super::{Bits, U32};

    /// Type.
    pub const TYPE: Bits = Bits(1, 0, 4);
    /// BegRun.
    pub const BEG_RUN: U32 = U32(40);
    /// RunLength.
    pub const RUN_LENGTH: U32 = U32(44);
}

/// Asynchronous Message.
pub mod async_message {
    use super::{U8, U16};

    /// AsyncEvent.
    pub const EVENT: U8 = U8(36);
    /// AsyncVCode.
    pub const VENDOR_CODE: U8 = U8(37);
    /// Parameter1.
    pub const PARAMETER1: U16 = U16(38);
    /// Parameter2.
    pub const PARAMETER2: U16 = U16(40);
    /// Parameter3.
    pub const PARAMETER3: U16 = U16(42);
}
