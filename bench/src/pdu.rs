//! The 48-byte header of RFC 7143, as seen from both ends of the benchmark, and the few CDBs it needs.
//!
//! Written apart from the target's own codec on purpose: a shared mistake would not show. Not a validator; the
//! initiator checks what it relies on and nothing more.

/// Basic header segment.
#[derive(Clone, Copy)]
pub(crate) struct Header(pub(crate) [u8; HEADER_BYTES]);

pub(crate) const HEADER_BYTES: usize = 48;
/// "No tag": an initiator or target transfer tag that names nothing.
pub(crate) const NO_TAG: u32 = u32::MAX;

/// A big-endian word of the header, by its place.
#[derive(Clone, Copy)]
pub(crate) struct Word(usize);

/// A byte of the header, by its place.
#[derive(Clone, Copy)]
pub(crate) struct Octet(usize);

//= RFC 7143 "iSCSI PDU Formats"
pub(crate) mod field {
    use super::{Octet, Word};

    pub(crate) const FLAGS: Octet = Octet(1);
    pub(crate) const RESPONSE: Octet = Octet(2);
    pub(crate) const STATUS: Octet = Octet(3);
    /// The low byte of a peripheral-addressed LUN.
    pub(crate) const LUN: Octet = Octet(9);
    pub(crate) const ISID_TYPE: Octet = Octet(8);
    pub(crate) const ISID_QUALIFIER: Octet = Octet(13);
    pub(crate) const ISID_RANDOM: Word = Word(9);
    pub(crate) const LOGIN_CLASS: Octet = Octet(36);
    pub(crate) const LOGIN_DETAIL: Octet = Octet(37);
    pub(crate) const ITT: Word = Word(16);
    pub(crate) const TTT: Word = Word(20);
    pub(crate) const EXPECTED_LENGTH: Word = Word(20);
    pub(crate) const CMD_SN: Word = Word(24);
    pub(crate) const EXP_STAT_SN: Word = Word(28);
    pub(crate) const STAT_SN: Word = Word(24);
    pub(crate) const EXP_CMD_SN: Word = Word(28);
    pub(crate) const MAX_CMD_SN: Word = Word(32);
    pub(crate) const DATA_SN: Word = Word(36);
    pub(crate) const BUFFER_OFFSET: Word = Word(40);
    pub(crate) const DESIRED_LENGTH: Word = Word(44);
    pub(crate) const RESIDUAL: Word = Word(44);
}

pub(crate) mod opcode {
    pub(crate) const NOP_OUT: u8 = 0x00;
    pub(crate) const COMMAND: u8 = 0x01;
    pub(crate) const LOGIN: u8 = 0x03;
    pub(crate) const DATA_OUT: u8 = 0x05;
    pub(crate) const LOGOUT: u8 = 0x06;
    pub(crate) const NOP_IN: u8 = 0x20;
    pub(crate) const RESPONSE: u8 = 0x21;
    pub(crate) const LOGIN_RESPONSE: u8 = 0x23;
    pub(crate) const DATA_IN: u8 = 0x25;
    pub(crate) const LOGOUT_RESPONSE: u8 = 0x26;
    pub(crate) const R2T: u8 = 0x31;
    pub(crate) const IMMEDIATE: u8 = 0x40;
}

pub(crate) mod flag {
    pub(crate) const FINAL: u8 = 0x80;
    /// A SCSI command that reads.
    pub(crate) const READ: u8 = 0x40;
    /// A SCSI command that writes.
    pub(crate) const WRITE: u8 = 0x20;
    pub(crate) const SIMPLE: u8 = 0x01;
    /// Data-In that carries the status ("phase collapse").
    pub(crate) const HAS_STATUS: u8 = 0x01;
    /// Residual overflow or underflow.
    pub(crate) const RESIDUALS: u8 = 0x06;
    /// Login: the text goes on in the next PDU.
    pub(crate) const CONTINUE: u8 = 0x40;
}

impl Header {
    pub(crate) fn new(opcode: u8, flags: u8) -> Self {
        let mut header = Self([0; HEADER_BYTES]);
        header.0[0] = opcode;
        header.put(field::FLAGS, flags);
        header
    }

    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        bytes.first_chunk().map(|bytes| Self(*bytes))
    }

    pub(crate) fn with(mut self, word: Word, value: u32) -> Self {
        self.set(word, value);
        self
    }

    pub(crate) fn with_octet(mut self, octet: Octet, value: u8) -> Self {
        self.put(octet, value);
        self
    }

    pub(crate) fn with_data(mut self, length: u32) -> Self {
        let [_, high, middle, low] = length.to_be_bytes();
        self.0[5..8].copy_from_slice(&[high, middle, low]);
        self
    }

    pub(crate) fn with_cdb(mut self, cdb: Cdb) -> Self {
        self.0[32..].copy_from_slice(&cdb.0);
        self
    }

    pub(crate) fn set(&mut self, word: Word, value: u32) {
        self.0[word.0..word.0 + 4].copy_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn put(&mut self, octet: Octet, value: u8) {
        self.0[octet.0] = value;
    }

    pub(crate) fn get(&self, word: Word) -> u32 {
        let b = &self.0[word.0..word.0 + 4];
        u32::from_be_bytes([b[0], b[1], b[2], b[3]])
    }

    pub(crate) fn octet(&self, octet: Octet) -> u8 {
        self.0[octet.0]
    }

    pub(crate) fn opcode(&self) -> u8 {
        self.0[0] & 0x3f
    }

    pub(crate) fn is_immediate(&self) -> bool {
        self.0[0] & opcode::IMMEDIATE != 0
    }

    pub(crate) fn has(&self, flag: u8) -> bool {
        self.octet(field::FLAGS) & flag != 0
    }

    pub(crate) fn data_bytes(&self) -> usize {
        usize::from(self.0[5]) << 16 | usize::from(self.0[6]) << 8 | usize::from(self.0[7])
    }

    /// The data segment and its padding.
    pub(crate) fn padded_bytes(&self) -> usize {
        self.data_bytes().next_multiple_of(4)
    }

    /// Additional header segments.
    pub(crate) fn extra_bytes(&self) -> usize {
        usize::from(self.0[4]) * 4
    }

    pub(crate) fn cdb(&self) -> &[u8] {
        &self.0[32..]
    }
}

/// A command descriptor block in the room a header has for it.
#[derive(Clone, Copy)]
pub(crate) struct Cdb([u8; 16]);

#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(crate) enum Direction {
    Read,
    Write,
}

pub(crate) mod scsi {
    pub(crate) const TEST_UNIT_READY: u8 = 0x00;
    pub(crate) const INQUIRY: u8 = 0x12;
    pub(crate) const READ_CAPACITY_10: u8 = 0x25;
    pub(crate) const READ_10: u8 = 0x28;
    pub(crate) const WRITE_10: u8 = 0x2a;
    pub(crate) const SYNCHRONIZE_CACHE_10: u8 = 0x35;
    pub(crate) const READ_16: u8 = 0x88;
    pub(crate) const WRITE_16: u8 = 0x8a;
    pub(crate) const SERVICE_ACTION_IN_16: u8 = 0x9e;
    pub(crate) const REPORT_LUNS: u8 = 0xa0;
    pub(crate) const READ_CAPACITY_16: u8 = 0x10;
    pub(crate) const GOOD: u8 = 0x00;
    pub(crate) const CHECK_CONDITION: u8 = 0x02;
    pub(crate) const UNIT_ATTENTION: u8 = 0x06;
}

impl Cdb {
    pub(crate) fn test_unit_ready() -> Self {
        Self([0; 16])
    }

    //= SBC-3 "READ CAPACITY (16) command"
    pub(crate) fn read_capacity_16(allocation: u8) -> Self {
        let mut cdb = [0; 16];
        cdb[0] = scsi::SERVICE_ACTION_IN_16;
        cdb[1] = scsi::READ_CAPACITY_16;
        cdb[13] = allocation;
        Self(cdb)
    }

    /// READ or WRITE in the shorter form that holds the address and the length.
    //= SBC-3 "READ (10) command"
    //= SBC-3 "READ (16) command"
    pub(crate) fn transfer(direction: Direction, lba: u64, blocks: u32) -> Self {
        let mut cdb = [0; 16];
        match (u32::try_from(lba), u16::try_from(blocks)) {
            (Ok(lba), Ok(blocks)) => {
                cdb[0] = if direction == Direction::Read { scsi::READ_10 } else { scsi::WRITE_10 };
                cdb[2..6].copy_from_slice(&lba.to_be_bytes());
                cdb[7..9].copy_from_slice(&blocks.to_be_bytes());
            }
            _ => {
                cdb[0] = if direction == Direction::Read { scsi::READ_16 } else { scsi::WRITE_16 };
                cdb[2..10].copy_from_slice(&lba.to_be_bytes());
                cdb[10..14].copy_from_slice(&blocks.to_be_bytes());
            }
        }
        Self(cdb)
    }
}

/// The extent a READ or WRITE names: direction, LBA, blocks.
pub(crate) fn extent(cdb: &[u8]) -> Option<(Direction, u64, u32)> {
    let word = |at: usize| u32::from_be_bytes([cdb[at], cdb[at + 1], cdb[at + 2], cdb[at + 3]]);
    let direction = match cdb[0] {
        scsi::READ_10 | scsi::READ_16 => Direction::Read,
        scsi::WRITE_10 | scsi::WRITE_16 => Direction::Write,
        _ => return None,
    };
    Some(match cdb[0] {
        scsi::READ_10 | scsi::WRITE_10 => {
            (direction, u64::from(word(2)), u32::from(u16::from_be_bytes([cdb[7], cdb[8]])))
        }
        _ => (direction, u64::from(word(2)) << 32 | u64::from(word(6)), word(10)),
    })
}

/// CRC32C as it stands on the wire.
//= RFC 7143 "CRC Examples"
pub(crate) fn digest(bytes: &[u8]) -> [u8; 4] {
    crc_fast::crc32_iscsi(bytes).to_le_bytes()
}

/// "a <= b" for serial numbers.
//= RFC 1982 "Comparison"
pub(crate) fn serial_le(a: u32, b: u32) -> bool {
    b.wrapping_sub(a) < 1 << 31
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(lba: u64, blocks: u32, opcode: u8) {
        let cdb = Cdb::transfer(Direction::Write, lba, blocks);
        assert_eq!(cdb.0[0], opcode);
        assert_eq!(extent(&cdb.0), Some((Direction::Write, lba, blocks)));
    }

    #[test]
    fn a_small_extent_takes_the_short_form() {
        round_trip(7, 65_535, scsi::WRITE_10);
    }

    #[test]
    fn a_far_or_long_extent_takes_the_long_form() {
        round_trip(1 << 32, 8, scsi::WRITE_16);
        round_trip(0, 65_536, scsi::WRITE_16);
    }

    #[test]
    fn the_digest_of_32_zeros_is_the_one_of_the_standard() {
        assert_eq!(digest(&[0; 32]), [0xaa, 0x36, 0x91, 0x8a]);
    }

    #[test]
    fn serial_numbers_compare_across_the_wrap() {
        assert!(serial_le(u32::MAX, 3) && !serial_le(3, u32::MAX));
    }
}
