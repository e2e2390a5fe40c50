//! How long calls took by the engine's clock: how many, in all, the longest, and how they are spread. Never whose calls they were.

use std::time::Duration;

use histogram::{Config, Histogram};

/// An eighth of a power of two a bucket, up to 39 hours: longer than any call is waited for. 360 buckets, less than 3 KiB.
const BUCKETS: Config = match Config::new(3, 47) {
    Ok(config) => config,
    Err(_) => panic!("the histogram cannot have such buckets"),
};
/// What is longer counts as so long.
const NANOS_MAX: u64 = (1 << 47) - 1;

/// How many bounds there are that calls are counted below.
pub(crate) const BOUNDS: usize = 10;
/// The powers of two that the bounds are, in nanoseconds: there the buckets have edges, so counts are exact.
const BOUND_POWERS: [u32; BOUNDS] = [10, 13, 16, 19, 22, 25, 28, 31, 34, 37];
/// The durations below which updates are counted in [`UpdateDurations`](crate::UpdateDurations): from 1 µs to 137 s, each eight times the one before.
pub const DURATION_BOUNDS: [Duration; BOUNDS] = {
    let mut bounds = [Duration::ZERO; BOUNDS];
    let mut at = 0;
    while at < BOUNDS {
        bounds[at] = Duration::from_nanos(1 << BOUND_POWERS[at]);
        at += 1;
    }
    bounds
};

/// Calls, by how long they took.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wall {
    pub(super) calls: u64,
    pub(super) total_ns: u64,
    pub(super) max_ns: u64,
}

impl Wall {
    #[inline]
    pub(super) fn add(&mut self, nanos: u64) {
        self.calls += 1;
        self.total_ns = self.total_ns.saturating_add(nanos);
        self.max_ns = self.max_ns.max(nanos);
    }
}

/// How many calls wait until they are entered into the histogram together. What a call costs here is memory that no cache has: half a
/// line each for the calls that wait, instead of a line or two of the histogram each time.
const WAITING_MAX: usize = 16;

/// How long the calls of one kind took, and how that is spread.
#[derive(Default)]
pub(super) struct SpreadWall {
    pub(super) wall: Wall,
    waiting_len: u8,
    /// The latest calls, in nanoseconds. What takes longer than fits, which is 4 s, does not wait.
    waiting: [u32; WAITING_MAX],
    /// Made at the first call that is measured with care, which is the first of all: one that is never called has none.
    spread: Option<Box<Histogram>>,
}

impl SpreadWall {
    /// Counts a call. Never allocates.
    #[inline]
    pub(super) fn add(&mut self, nanos: u64) {
        self.wall.add(nanos);
        let free = self.waiting.get_mut(usize::from(self.waiting_len));
        match (free, u32::try_from(nanos)) {
            (Some(free), Ok(nanos)) => {
                *free = nanos;
                self.waiting_len += 1;
            }
            _ => self.enter(nanos),
        }
    }

    /// Enters the calls that wait into the histogram, and another one.
    #[cold]
    fn enter(&mut self, another: u64) {
        if let Some(spread) = &mut self.spread {
            enter(
                spread,
                self.waiting.iter().take(usize::from(self.waiting_len)),
            );
            // A value in the range has a bucket.
            let _ = spread.increment(another.min(NANOS_MAX));
        }
        self.waiting_len = 0;
    }

    /// Makes room for the spread, if there is none yet.
    pub(super) fn spread_from_now_on(&mut self) {
        self.spread
            .get_or_insert_with(|| Box::new(Histogram::with_config(&BUCKETS)));
    }

    /// How many calls took less than each of [`DURATION_BOUNDS`].
    pub(super) fn below(&self) -> [u64; BOUNDS] {
        let mut below = [0; BOUNDS];
        let Some(spread) = self.spread.as_deref() else {
            return below;
        };
        let waiting = &self.waiting[..usize::from(self.waiting_len)];
        let (mut sum, mut summed) = (0, 0);
        for (below, power) in below.iter_mut().zip(BOUND_POWERS) {
            // Eight buckets for each power of two from 8 on, and as many for what is smaller.
            let edge = (power as usize - 2) * 8;
            sum += spread.as_slice()[summed..edge].iter().sum::<u64>();
            summed = edge;
            let bound = 1 << power;
            let shorter = waiting.iter().filter(|nanos| u64::from(**nanos) < bound);
            *below = sum + shorter.count() as u64;
        }
        below
    }

    /// How long at most such shares of all calls took, to an eighth; a share is from 0 to 1. `None` if there were none.
    pub(super) fn quantiles_ns<const N: usize>(&self, shares: [f64; N]) -> Option<[u64; N]> {
        let mut buckets = [const { None }; N];
        let mut spread = self.spread.as_deref()?.clone();
        enter(
            &mut spread,
            self.waiting.iter().take(usize::from(self.waiting_len)),
        );
        spread.quantile_buckets_into(&shares, &mut buckets).ok()?;
        let mut nanos = [0; N];
        for (nanos, bucket) in nanos.iter_mut().zip(buckets) {
            *nanos = bucket?.end().min(self.wall.max_ns);
        }
        Some(nanos)
    }
}

fn enter<'a>(spread: &mut Histogram, calls: impl Iterator<Item = &'a u32>) {
    for nanos in calls {
        // As above.
        let _ = spread.increment(u64::from(*nanos));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_to_an_eighth_and_never_longer_than_the_longest_call() {
        let mut calls = SpreadWall::default();
        calls.spread_from_now_on();
        for micros in 1..=1_000_u64 {
            calls.add(micros * 1_000);
        }
        let found = calls.quantiles_ns([0.5, 0.9, 0.99, 0.999]).unwrap();
        for (found, micros) in found.into_iter().zip([500.0, 900.0, 990.0, 999.0]) {
            let found = found as f64 / 1_000.0;
            assert!((micros..=micros * 1.125).contains(&found), "{found}");
        }
        assert_eq!(calls.quantiles_ns([1.0]), Some([1_000_000]));
        assert_eq!(
            (calls.wall.calls, calls.wall.total_ns),
            (1_000, 500_500_000)
        );
    }

    #[test]
    fn calls_are_counted_below_exactly_the_bounds_whether_they_wait_or_not() {
        let mut calls = SpreadWall::default();
        assert_eq!(calls.below(), [0; BOUNDS]);
        calls.spread_from_now_on();
        let bounds = DURATION_BOUNDS.map(|bound| bound.as_nanos() as u64);
        for bound in bounds {
            calls.add(bound - 1);
            calls.add(bound);
        }
        for _ in 0..2 {
            let below = calls.below();
            for (at, below) in below.into_iter().enumerate() {
                assert_eq!(below, 2 * at as u64 + 1, "{:?}", DURATION_BOUNDS[at]);
            }
            // Everything that waited is entered.
            calls.enter(u64::MAX);
        }
    }

    #[test]
    fn a_call_longer_than_any_bucket_counts_in_the_last_one() {
        let mut calls = SpreadWall::default();
        calls.spread_from_now_on();
        calls.add(u64::MAX);
        calls.add(1);
        assert_eq!((calls.wall.calls, calls.wall.total_ns), (2, u64::MAX));
        assert_eq!(calls.quantiles_ns([1.0, 0.1]), Some([NANOS_MAX, 1]));
    }

    #[test]
    fn what_was_never_called_has_no_spread_and_no_memory_for_one() {
        let calls = SpreadWall::default();
        assert_eq!(calls.quantiles_ns([0.5]), None);
        assert!(calls.spread.is_none());
        assert!(BUCKETS.total_buckets() * size_of::<u64>() < 3 * 1_024);
    }
}
