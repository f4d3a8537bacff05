//! The commands that the tests send, byte by byte: a second opinion on what felio's own tables say.

/// TEST UNIT READY.
pub(crate) const TEST_UNIT_READY: [u8; 6] = [0; 6];

/// SYNCHRONIZE CACHE (10) of everything.
pub(crate) const SYNCHRONIZE_CACHE: [u8; 10] = [0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// READ (10).
pub(crate) fn read(lba: u32, blocks: u16) -> [u8; 10] {
    ten(0x28, 0, lba, blocks)
}

/// WRITE (10).
pub(crate) fn write(lba: u32, blocks: u16) -> [u8; 10] {
    ten(0x2a, 0, lba, blocks)
}

/// WRITE (10) with FUA.
pub(crate) fn write_through(lba: u32, blocks: u16) -> [u8; 10] {
    ten(0x2a, 0x08, lba, blocks)
}

/// INQUIRY of a vital product data page.
pub(crate) const fn vital_product_data(page: u8) -> [u8; 6] {
    [0x12, 1, page, 4, 0, 0]
}

/// REPORT LUNS.
pub(crate) const REPORT_LUNS: [u8; 12] = [0xa0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0];

/// A logical unit number as it is sent.
pub(crate) const fn lun(number: u64) -> u64 {
    number << 48
}

fn ten(code: u8, flags: u8, lba: u32, blocks: u16) -> [u8; 10] {
    let [a, b, c, d] = lba.to_be_bytes();
    let [e, f] = blocks.to_be_bytes();
    [code, flags, a, b, c, d, 0, e, f, 0]
}
