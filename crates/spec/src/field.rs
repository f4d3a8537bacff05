//! Bit fields, named once: where a field lies and what type it holds.
//!
//! The standards draw fields by byte and bit, most significant bit first. A [`Field`] carries exactly that, so that no
//! offset, mask or shift appears in logic, and a command's usage map and field pointers follow from the same row.
//!
//! Invariant: reading past the end of the bytes yields zero bits; writing past it does nothing.

#![expect(clippy::as_conversions, reason = "const fn cannot call From; every cast widens or is masked")]

use core::marker::PhantomData;

/// Where a field lies: `width` bits from bit `msb` of byte `byte`, most significant first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bits {
    /// Byte that holds the most significant bit.
    pub byte: u16,
    /// Position of the most significant bit in that byte, 7 to 0.
    pub msb: u8,
    /// Number of bits, 1 to 64.
    pub width: u8,
}

impl Bits {
    /// The field's value in `bytes`, right-aligned.
    #[must_use]
    #[inline]
    pub const fn read(self, bytes: &[u8]) -> u64 {
        let mut value = 0u64;
        let mut at = self.byte as usize;
        let mut top = self.msb + 1; // bits of the current byte, from the least significant, that may belong to us
        let mut left = self.width;
        while left > 0 {
            let take = if top < left { top } else { left };
            let byte = if at < bytes.len() { bytes[at] } else { 0 };
            let shifted = byte >> (top - take);
            let mask = if take == 8 { 0xff } else { (1u8 << take) - 1 };
            value = (value << take) | (shifted & mask) as u64;
            left -= take;
            top = 8;
            at += 1;
        }
        value
    }

    /// Whether the field's last bit lies in the first `bytes` bytes.
    #[must_use]
    pub const fn ends_within(self, bytes: usize) -> bool {
        self.byte as usize * 8 + (7 - self.msb) as usize + self.width as usize <= bytes * 8
    }

    /// The same field in a structure that begins at `byte` of a larger one.
    #[must_use]
    pub const fn at(self, byte: u16) -> Self {
        Self { byte: self.byte.saturating_add(byte), ..self }
    }

    /// Puts the low `width` bits of `value` into `bytes`, leaving every other bit alone.
    pub const fn write(self, bytes: &mut [u8], value: u64) {
        let mut at = self.byte as usize;
        let mut top = self.msb + 1;
        let mut left = self.width;
        while left > 0 {
            let take = if top < left { top } else { left };
            let mask = if take == 8 { 0xff } else { (1u8 << take) - 1 };
            left -= take;
            if at < bytes.len() {
                let part = ((value >> left) & mask as u64) as u8;
                let shift = top - take;
                bytes[at] = (bytes[at] & !(mask << shift)) | (part << shift);
            }
            top = 8;
            at += 1;
        }
    }
}

/// A field with the type of its value.
#[derive(Debug)]
pub struct Field<T> {
    /// Where it lies.
    pub bits: Bits,
    value: PhantomData<fn() -> T>,
}

impl<T> Clone for Field<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Field<T> {}

impl<T> Field<T> {
    /// `width` bits, the most significant being bit `msb` of `byte`.
    #[must_use]
    pub const fn new(byte: u16, msb: u8, width: u8) -> Self {
        assert!(msb < 8 && width > 0 && width <= 64);
        Self { bits: Bits { byte, msb, width }, value: PhantomData }
    }

    /// One bit.
    #[must_use]
    pub const fn bit(byte: u16, bit: u8) -> Self {
        Self::new(byte, bit, 1)
    }

    /// `bytes` whole bytes in network order.
    #[must_use]
    pub const fn bytes(byte: u16, bytes: u8) -> Self {
        Self::new(byte, 7, bytes * 8)
    }
}

impl<T: Value> Field<T> {
    /// The value in `bytes`.
    #[must_use]
    pub fn get(self, bytes: &[u8]) -> T {
        T::from_bits(self.bits.read(bytes))
    }

    /// Writes `value` into `bytes`.
    pub fn set(self, bytes: &mut [u8], value: T) {
        self.bits.write(bytes, value.into_bits());
    }
}

/// A field of left-aligned ASCII, padded with spaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text {
    /// First byte.
    pub byte: usize,
    /// Bytes.
    pub bytes: usize,
}

impl Text {
    /// Writes `text`, cut where the field ends.
    pub fn set(self, bytes: &mut [u8], text: &str) {
        let field = bytes.iter_mut().skip(self.byte).take(self.bytes);
        for (to, from) in field.zip(text.bytes().chain(core::iter::repeat(b' '))) {
            *to = graphic(from);
        }
    }
}

/// A byte of text as the standards allow it: what is not graphic ASCII becomes a space.
//= SPC-4 "ASCII data field requirements"
#[must_use]
pub const fn graphic(byte: u8) -> u8 {
    if matches!(byte, b' '..=b'~') { byte } else { b' ' }
}

/// What a field can hold.
pub trait Value: Copy {
    /// From the field's bits, right-aligned.
    fn from_bits(bits: u64) -> Self;
    /// Into the field's bits, right-aligned.
    fn into_bits(self) -> u64;
}

impl Value for bool {
    fn from_bits(bits: u64) -> Self {
        bits != 0
    }
    fn into_bits(self) -> u64 {
        u64::from(self)
    }
}

impl Value for u64 {
    fn from_bits(bits: u64) -> Self {
        bits
    }
    fn into_bits(self) -> u64 {
        self
    }
}

/// The narrow integers hold the field's low bits; a row never gives one a field wider than itself.
macro_rules! narrow {
    ($($t:ty),*) => {$(
        impl Value for $t {
            fn from_bits(bits: u64) -> Self {
                bits as Self
            }
            fn into_bits(self) -> u64 {
                u64::from(self)
            }
        }
    )*};
}
narrow!(u8, u16, u32);

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bits: Bits, value: u64, want: &[u8]) {
        let mut bytes = [0u8; 10];
        bits.write(&mut bytes, value);
        assert_eq!(&bytes[..want.len()], want);
        assert_eq!(bits.read(&bytes), value);
    }

    #[test]
    fn a_bit_lies_where_the_standard_draws_it() {
        check(Field::<bool>::bit(1, 3).bits, 1, &[0, 8]);
    }

    #[test]
    fn whole_bytes_are_in_network_order() {
        check(Field::<u32>::bytes(2, 4).bits, 0x0102_0304, &[0, 0, 1, 2, 3, 4]);
    }

    #[test]
    fn a_field_may_cross_bytes_unaligned() {
        check(Field::<u32>::new(1, 4, 21).bits, 0x1f_0203, &[0, 0x1f, 2, 3]);
    }

    #[test]
    fn writing_leaves_the_neighbours_alone() {
        let mut bytes = [0xff; 2];
        Field::<u8>::new(0, 5, 3).set(&mut bytes, 0);
        assert_eq!(bytes, [0b1100_0111, 0xff]);
    }

    #[test]
    fn text_is_cut_and_padded() {
        let mut bytes = [0xff; 8];
        Text { byte: 1, bytes: 4 }.set(&mut bytes, "ab");
        Text { byte: 5, bytes: 2 }.set(&mut bytes, "\ncd");
        assert_eq!(&bytes, b"\xffab   c\xff");
    }

    #[test]
    fn reading_past_the_end_yields_zeros() {
        assert_eq!(Field::<u64>::bytes(2, 8).get(&[0, 0, 0xff]), 0xff00_0000_0000_0000);
    }
}
