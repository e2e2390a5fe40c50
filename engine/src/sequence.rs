//! Numbers for tests that spoil bytes: they look random, and are the same each time.

/// Numbers that look random and are the same each time.
pub(crate) struct Sequence(pub(crate) u64);

impl Sequence {
    /// A number below the bound.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}
