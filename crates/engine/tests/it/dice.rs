//! Numbers that look random and come again from the same seed.

/// xorshift64*.
pub(crate) struct Dice(u64);

#[allow(dead_code, reason = "not every user throws them in every way")]
impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % sides
    }

    pub(crate) fn byte(&mut self) -> u8 {
        u8::try_from(self.roll(256)).expect("a byte")
    }

    pub(crate) fn byte_below(&mut self, sides: u8) -> u8 {
        u8::try_from(self.roll(sides.into())).expect("a byte")
    }

    pub(crate) fn small(&mut self, sides: u64) -> u16 {
        u16::try_from(self.roll(sides)).expect("small")
    }

    pub(crate) fn below(&mut self, sides: usize) -> usize {
        usize::try_from(self.roll(sides.try_into().expect("small"))).expect("small")
    }

    pub(crate) fn one_in(&mut self, sides: u64) -> bool {
        self.roll(sides) == 0
    }

    pub(crate) fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}
