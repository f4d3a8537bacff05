//! Bytes as decisions: read from the front, zeros once they are used up, so that every input is a complete script.

/// A reader of decisions.
#[derive(Debug, Clone)]
pub struct Script<'a> {
    bytes: &'a [u8],
}

impl<'a> Script<'a> {
    /// Reads from the front of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Whether there is anything left to decide.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.bytes.is_empty()
    }

    /// One byte.
    pub fn byte(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    /// Sixteen bits.
    pub fn short(&mut self) -> u16 {
        u16::from_be_bytes(self.array())
    }

    /// Thirty-two bits.
    pub fn word(&mut self) -> u32 {
        u32::from_be_bytes(self.array())
    }

    /// Sixty-four bits.
    pub fn long(&mut self) -> u64 {
        u64::from_be_bytes(self.array())
    }

    /// Yes or no, evenly.
    pub fn coin(&mut self) -> bool {
        self.byte() & 1 != 0
    }

    /// Yes once in `times`.
    pub fn rarely(&mut self, times: u8) -> bool {
        self.byte() % times.max(1) == times.max(1) - 1
    }

    /// A number below `end`, which is at least 1.
    pub fn below(&mut self, end: usize) -> usize {
        let drawn =
            if end <= 256 { usize::from(self.byte()) } else { usize::try_from(self.word()).unwrap_or(0) };
        drawn % end.max(1)
    }

    /// A length: mostly short, sometimes as long as `max`.
    pub fn length(&mut self, max: usize) -> usize {
        let class = self.byte();
        match class {
            0..=0x7f => usize::from(class).min(max),
            0x80..=0xef => (usize::from(class & 0x7f) << 8 | usize::from(self.byte())).min(max),
            _ => self.below(max + 1),
        }
    }

    /// One of several.
    pub fn pick<'b, T>(&mut self, choices: &'b [T]) -> &'b T {
        &choices[self.below(choices.len())]
    }

    /// The next `count` bytes, or what is left.
    pub fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.bytes.split_at(count.min(self.bytes.len()));
        self.bytes = rest;
        taken
    }

    /// Bytes behind their own length.
    pub fn piece(&mut self) -> &'a [u8] {
        let count = usize::from(self.byte());
        self.bytes(count)
    }

    /// All that is left.
    #[must_use]
    pub fn rest(self) -> &'a [u8] {
        self.bytes
    }

    /// A fixed count of bytes, filled up with zeros.
    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let taken = self.bytes(N);
        array[..taken.len()].copy_from_slice(taken);
        array
    }
}

#[cfg(test)]
mod tests {
    use super::Script;

    #[test]
    fn a_script_that_is_over_says_zero() {
        let mut script = Script::new(&[1]);
        assert_eq!(script.short(), 0x100);
        assert!(script.is_over());
        assert_eq!((script.byte(), script.below(7), script.piece().len()), (0, 0, 0));
    }
}
