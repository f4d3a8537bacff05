//! Logical unit numbers: the address of a unit, SAM-5 "Logical unit number (LUN)".
//!
//! `Unit` is the thing, `Lun` the address. We hand out single-level addresses: peripheral device addressing (bus 0)
//! below 256, flat space addressing from there to 16 383, as LIO does, and accept either form for any of them.

/// The eight bytes of a LUN field, as they travel.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Lun(pub [u8; 8]);

impl Lun {
    /// The largest number that [`Lun::from_number`] can address.
    pub const NUMBER_MAX: u16 = 0x3fff;

    /// The single-level address of unit `number`, or `None` above [`Lun::NUMBER_MAX`].
    #[must_use]
    pub const fn from_number(number: u16) -> Option<Self> {
        let [high, low] = number.to_be_bytes();
        match number {
            0..=0xff => Some(Self([0, low, 0, 0, 0, 0, 0, 0])),
            0x100..=Self::NUMBER_MAX => Some(Self([0x40 | high, low, 0, 0, 0, 0, 0, 0])),
            _ => None,
        }
    }

    /// The unit's number where this is a single-level peripheral (bus 0) or flat space address.
    //= SAM-5 "Peripheral device addressing method", "Flat space addressing method"
    #[must_use]
    pub const fn number(self) -> Option<u16> {
        let [first, second, 0, 0, 0, 0, 0, 0] = self.0 else { return None };
        match first {
            0x00 => Some(u16::from_be_bytes([0, second])),
            0x40..=0x7f => Some(u16::from_be_bytes([first & 0x3f, second])),
            _ => None,
        }
    }
}

impl core::fmt::Debug for Lun {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.number() {
            Some(number) => write!(f, "{number}"),
            None => write!(f, "0x{:016x}", u64::from_be_bytes(self.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_survives_the_round_trip() {
        for number in 0..=Lun::NUMBER_MAX {
            assert_eq!(Lun::from_number(number).and_then(Lun::number), Some(number));
        }
    }

    #[test]
    fn numbers_above_the_flat_space_have_no_address() {
        assert_eq!(Lun::from_number(0x4000), None);
    }

    #[test]
    fn a_second_level_is_nobodys_address() {
        assert_eq!(Lun([0, 1, 0, 1, 0, 0, 0, 0]).number(), None);
    }
}
