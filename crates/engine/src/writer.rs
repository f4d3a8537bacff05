//! Parameter data under construction: appended, patched, bounded.
//!
//! Truncation to the allocation length is not done here but in one place, where the data become a response.
//!
//! Invariant: never longer than `BYTES_MAX`; what exceeds it is dropped.

use felio_spec::field::{Field, Value, graphic};

/// Longest parameter data: the REPORT LUNS data of every LUN that there can be.
pub(crate) const BYTES_MAX: usize = 8 + 8 * 16_384;

/// A builder of parameter data, in network order.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// Nothing written yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: Vec::new() }
    }

    /// Starts over, keeping the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Appends bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) {
        let room = BYTES_MAX - self.bytes.len();
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Appends a byte.
    pub fn u8(&mut self, value: u8) {
        self.bytes(&[value]);
    }

    /// Appends two bytes.
    pub fn u16(&mut self, value: u16) {
        self.bytes(&value.to_be_bytes());
    }

    /// Appends four bytes.
    pub fn u32(&mut self, value: u32) {
        self.bytes(&value.to_be_bytes());
    }

    /// Appends eight bytes.
    pub fn u64(&mut self, value: u64) {
        self.bytes(&value.to_be_bytes());
    }

    /// Appends `count` zeros.
    pub fn zeros(&mut self, count: usize) {
        let room = BYTES_MAX - self.bytes.len();
        self.bytes.resize(self.bytes.len() + count.min(room), 0);
    }

    /// Appends `text`, left-aligned in `width` bytes and padded with spaces; what is not graphic ASCII becomes a space.
    pub fn text(&mut self, text: &str, width: usize) {
        let padding = core::iter::repeat(b' ');
        for byte in text.bytes().map(graphic).chain(padding).take(width) {
            self.u8(byte);
        }
    }

    /// Sets a field of what was appended from byte `base` on.
    pub fn set<T: Value>(&mut self, base: usize, field: Field<T>, value: T) {
        if let Some(bytes) = self.bytes.get_mut(base..) {
            field.set(bytes, value);
        }
    }

    /// Bytes so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What was written.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    /// What was written, to be patched.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_padded_and_made_graphic() {
        let mut writer = Writer::new();
        writer.text("a\u{7}b", 5);
        assert_eq!(writer.as_slice(), b"a b  ");
    }

    #[test]
    fn a_field_is_patched_behind_its_base() {
        let mut writer = Writer::new();
        writer.zeros(4);
        writer.set(1, Field::<u16>::bytes(0, 2), 0x0102);
        assert_eq!(writer.as_slice(), [0, 1, 2, 0]);
    }

    #[test]
    fn what_exceeds_the_maximum_is_dropped() {
        let mut writer = Writer::new();
        writer.zeros(BYTES_MAX - 1);
        writer.u32(0x0102_0304);
        assert_eq!(writer.len(), BYTES_MAX);
    }
}
