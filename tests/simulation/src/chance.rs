//! Chance that is the same whenever the seed is: SplitMix64 (Steele, Lea, Flood 2014).

use std::time::Duration;

/// Numbers drawn from a seed.
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

impl Chance {
    /// The numbers of a seed, for one purpose among others. What is drawn for one purpose does not depend on how much is for another.
    pub(crate) fn new(seed: u64, purpose: &[u64]) -> Self {
        let start = mix(seed.wrapping_add(0x9e37_79b9_7f4a_7c15));
        Self(purpose.iter().fold(start, |state, part| {
            mix(state ^ part.wrapping_mul(0xff51_afd7_ed55_8ccd)).wrapping_add(1)
        }))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(crate) fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap_or(0)
    }

    /// `true` in so many of a hundred cases.
    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.index(of.len())]
    }

    /// A time from `low` up to, but not with, `high`.
    pub(crate) fn time(&mut self, low: Duration, high: Duration) -> Duration {
        let (low, high) = (low.as_nanos() as u64, high.as_nanos() as u64);
        Duration::from_nanos(low + self.below((high - low).max(1)))
    }

    /// What occurs in a list of things with their weights.
    pub(crate) fn weighted<T: Copy>(&mut self, of: &[(u64, T)]) -> T {
        let sum = of.iter().map(|(weight, _)| weight).sum();
        let mut left = self.below(sum);
        for (weight, what) in of {
            if left < *weight {
                return *what;
            }
            left -= weight;
        }
        of[0].1
    }
}
