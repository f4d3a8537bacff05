//! CDBs of the commands that the tests send.

pub(crate) const TEST_UNIT_READY: [u8; 6] = [0; 6];
pub(crate) const REQUEST_SENSE: [u8; 6] = [0x03, 0, 0, 0, 252, 0];
pub(crate) const INQUIRY: [u8; 6] = [0x12, 0, 0, 0, 96, 0];
pub(crate) const STOP: [u8; 6] = [0x1b, 0, 0, 0, 0, 0];
pub(crate) const START: [u8; 6] = [0x1b, 0, 0, 0, 1, 0];
pub(crate) const FUA: u8 = 0x08;

fn ten(opcode: u8, flags: u8, lba: u32, blocks: u16) -> [u8; 10] {
    let mut cdb = [0; 10];
    cdb[0] = opcode;
    cdb[1] = flags;
    cdb[2..6].copy_from_slice(&lba.to_be_bytes());
    cdb[7..9].copy_from_slice(&blocks.to_be_bytes());
    cdb
}

fn sixteen(opcode: u8, flags: u8, lba: u64, blocks: u32) -> [u8; 16] {
    let mut cdb = [0; 16];
    cdb[0] = opcode;
    cdb[1] = flags;
    cdb[2..10].copy_from_slice(&lba.to_be_bytes());
    cdb[10..14].copy_from_slice(&blocks.to_be_bytes());
    cdb
}

pub(crate) fn read10(lba: u32, blocks: u16) -> [u8; 10] {
    ten(0x28, 0, lba, blocks)
}

pub(crate) fn read10_fua(lba: u32, blocks: u16) -> [u8; 10] {
    ten(0x28, FUA, lba, blocks)
}

pub(crate) fn read16(lba: u64, blocks: u32) -> [u8; 16] {
    sixteen(0x88, 0, lba, blocks)
}

pub(crate) fn write10(lba: u32, blocks: u16) -> [u8; 10] {
    ten(0x2a, 0, lba, blocks)
}

pub(crate) fn write10_fua(lba: u32, blocks: u16) -> [u8; 10] {
    ten(0x2a, FUA, lba, blocks)
}

pub(crate) fn write_and_verify10(lba: u32, blocks: u16) -> [u8; 10] {
    ten(0x2e, 0x02, lba, blocks)
}

pub(crate) fn verify10(bytchk: u8, lba: u32, blocks: u16) -> [u8; 10] {
    ten(0x2f, bytchk << 1, lba, blocks)
}

pub(crate) fn verify16(bytchk: u8, lba: u64, blocks: u32) -> [u8; 16] {
    sixteen(0x8f, bytchk << 1, lba, blocks)
}

pub(crate) fn compare_and_write(lba: u64, blocks: u8) -> [u8; 16] {
    sixteen(0x89, 0, lba, u32::from(blocks))
}

pub(crate) fn orwrite16(lba: u64, blocks: u32) -> [u8; 16] {
    sixteen(0x8b, 0, lba, blocks)
}

pub(crate) fn write_same10(flags: u8, lba: u32, blocks: u16) -> [u8; 10] {
    ten(0x41, flags, lba, blocks)
}

pub(crate) fn write_same16(flags: u8, lba: u64, blocks: u32) -> [u8; 16] {
    sixteen(0x93, flags, lba, blocks)
}

pub(crate) fn synchronize_cache10(flags: u8) -> [u8; 10] {
    ten(0x35, flags, 0, 0)
}

pub(crate) fn prefetch10(lba: u32, blocks: u16) -> [u8; 10] {
    ten(0x34, 0, lba, blocks)
}

pub(crate) fn unmap(list_bytes: u16) -> [u8; 10] {
    ten(0x42, 0, 0, list_bytes)
}

pub(crate) fn get_lba_status(lba: u64, allocation: u32) -> [u8; 16] {
    sixteen(0x9e, 0x12, lba, allocation)
}

pub(crate) fn read_capacity16() -> [u8; 16] {
    sixteen(0x9e, 0x10, 0, 32)
}

/// A CDB of 32 bytes, with `flags` in byte 10.
pub(crate) fn thirty_two(action: u16, flags: u8, lba: u64, blocks: u32) -> [u8; 32] {
    let mut cdb = [0; 32];
    cdb[0] = 0x7f;
    cdb[7] = 0x18;
    cdb[8..10].copy_from_slice(&action.to_be_bytes());
    cdb[10] = flags;
    cdb[12..20].copy_from_slice(&lba.to_be_bytes());
    cdb[28..32].copy_from_slice(&blocks.to_be_bytes());
    cdb
}

pub(crate) fn write_atomic16(lba: u64, boundary: u16, blocks: u16) -> [u8; 16] {
    let mut cdb = sixteen(0x9c, 0, lba, u32::from(blocks));
    cdb[10..12].copy_from_slice(&boundary.to_be_bytes());
    cdb
}

pub(crate) const IMMED: u8 = 0x80;
pub(crate) const AUSE: u8 = 0x20;

pub(crate) fn sanitize_overwrite(flags: u8, list_bytes: u16) -> [u8; 10] {
    ten(0x48, flags | 0x01, 0, list_bytes)
}

pub(crate) fn sanitize_block_erase(flags: u8) -> [u8; 10] {
    ten(0x48, flags | 0x02, 0, 0)
}

pub(crate) fn exit_failure_mode() -> [u8; 10] {
    ten(0x48, 0x1f, 0, 0)
}

pub(crate) fn format_unit(flags: u8) -> [u8; 6] {
    [0x04, flags, 0, 0, 0, 0]
}
