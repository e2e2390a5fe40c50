//! Which plugins have a tick coming, and when. What a cycle costs here grows with the ticks that have come, not with the
//! plugins that exist.
//!
//! A ticker repeats by itself, one interval after another, because that is what a plugin that works does; only what leaves
//! that grid (a failure, a command) touches it. Whether a tick leads to a call is not decided here but by the plugin's machine.

use std::collections::BTreeMap;
use std::time::Duration;

use plugin_engine_core::Moment;

/// Ticks are sorted into buckets of this many nanoseconds.
const BUCKET_NS: u64 = 1_000_000;

/// One plugin's ticker.
#[derive(Clone, Copy)]
struct Ticker {
    due_ns: u64,
    interval_ns: u64,
    /// Where in its bucket the ticker stands; meaningless while it is stopped.
    position: u32,
}

const STOPPED: u64 = u64::MAX;

/// All tickers.
#[derive(Default)]
pub(crate) struct Timers {
    /// By the index of the plugin's cell.
    tickers: Vec<Ticker>,
    /// By the millisecond, the indexes of those whose tick comes in it.
    buckets: BTreeMap<u64, Vec<u32>>,
    /// Emptied buckets, kept for their memory.
    spare: Vec<Vec<u32>>,
}

impl Timers {
    /// Sets or stops the ticker of one plugin.
    pub(crate) fn set(&mut self, index: u32, due: Option<Moment>, interval: Duration) {
        let at = index as usize;
        if self.tickers.len() <= at {
            let stopped = Ticker {
                due_ns: STOPPED,
                interval_ns: 1,
                position: 0,
            };
            self.tickers.resize(at + 1, stopped);
        }
        self.remove(index);
        self.tickers[at].interval_ns = u64::try_from(interval.as_nanos())
            .unwrap_or(u64::MAX)
            .max(1);
        if let Some(due) = due {
            self.insert(index, due.as_nanos().min(STOPPED - 1));
        }
    }

    /// The earliest tick. Looks at one bucket.
    pub(crate) fn next_due(&self) -> Option<Moment> {
        let (_, bucket) = self.buckets.first_key_value()?;
        bucket
            .iter()
            .map(|index| self.tickers[*index as usize].due_ns)
            .min()
            .map(Moment::from_nanos)
    }

    /// Takes all ticks that have come into `taken`, and sets each of their tickers to its first tick after `now`.
    pub(crate) fn take_due(&mut self, now: Moment, taken: &mut Vec<u32>) {
        let now_ns = now.as_nanos();
        while let Some((&key, _)) = self.buckets.first_key_value() {
            if key > now_ns / BUCKET_NS {
                return;
            }
            let Some(mut bucket) = self.buckets.remove(&key) else {
                return;
            };
            let first = taken.len();
            if key < now_ns / BUCKET_NS {
                taken.append(&mut bucket);
            } else {
                // The bucket of this very millisecond holds ticks of its rest, too.
                let tickers = &self.tickers;
                taken.extend(
                    bucket.extract_if(.., |index| tickers[*index as usize].due_ns <= now_ns),
                );
            }
            if bucket.is_empty() {
                self.spare.push(bucket);
            } else {
                for (position, index) in bucket.iter().enumerate() {
                    self.tickers[*index as usize].position = position as u32;
                }
                self.buckets.insert(key, bucket);
                self.repeat(&taken[first..], now_ns);
                return;
            }
            self.repeat(&taken[first..], now_ns);
        }
    }

    fn repeat(&mut self, taken: &[u32], now_ns: u64) {
        // Plugins that tick together mostly go on together: the bucket is at hand until another one is wanted.
        let mut at_hand: Option<(u64, Vec<u32>)> = None;
        for &index in taken {
            let ticker = &mut self.tickers[index as usize];
            let mut due_ns = ticker.due_ns.saturating_add(ticker.interval_ns);
            if due_ns <= now_ns {
                let missed = (now_ns - due_ns) / ticker.interval_ns + 1;
                due_ns = due_ns.saturating_add(missed.saturating_mul(ticker.interval_ns));
            }
            // The end of time is `STOPPED`: no tick comes after it.
            ticker.due_ns = due_ns;
            if due_ns == STOPPED {
                continue;
            }
            let key = due_ns / BUCKET_NS;
            let mut bucket = match at_hand.take() {
                Some((same, bucket)) if same == key => bucket,
                other => {
                    self.put_back(other);
                    let bucket = self.buckets.remove(&key);
                    bucket.unwrap_or_else(|| self.spare.pop().unwrap_or_default())
                }
            };
            self.tickers[index as usize].position = bucket.len() as u32;
            bucket.push(index);
            at_hand = Some((key, bucket));
        }
        self.put_back(at_hand);
    }

    fn put_back(&mut self, at_hand: Option<(u64, Vec<u32>)>) {
        if let Some((key, bucket)) = at_hand {
            self.buckets.insert(key, bucket);
        }
    }

    fn insert(&mut self, index: u32, due_ns: u64) {
        let spare = &mut self.spare;
        let bucket = self
            .buckets
            .entry(due_ns / BUCKET_NS)
            .or_insert_with(|| spare.pop().unwrap_or_default());
        let ticker = &mut self.tickers[index as usize];
        ticker.due_ns = due_ns;
        ticker.position = bucket.len() as u32;
        bucket.push(index);
    }

    fn remove(&mut self, index: u32) {
        let ticker = self.tickers[index as usize];
        if ticker.due_ns == STOPPED {
            return;
        }
        self.tickers[index as usize].due_ns = STOPPED;
        let key = ticker.due_ns / BUCKET_NS;
        if let Some(bucket) = self.buckets.get_mut(&key) {
            bucket.swap_remove(ticker.position as usize);
            if let Some(moved) = bucket.get(ticker.position as usize) {
                self.tickers[*moved as usize].position = ticker.position;
            }
            if bucket.is_empty()
                && let Some(bucket) = self.buckets.remove(&key)
            {
                self.spare.push(bucket);
            }
        }
        // Two are enough for plugins that move in step; a burst of different ones need not be remembered.
        self.spare.truncate(64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> Moment {
        Moment::from_nanos(micros * 1_000)
    }

    fn due(timers: &mut Timers, micros: u64) -> Vec<u32> {
        let mut taken = Vec::new();
        timers.take_due(at(micros), &mut taken);
        taken.sort_unstable();
        taken
    }

    #[test]
    fn a_ticker_repeats_on_its_grid() {
        let mut timers = Timers::default();
        timers.set(0, Some(at(0)), Duration::from_millis(10));
        for tick in 0..50 {
            assert_eq!(timers.next_due(), Some(at(tick * 10_000)));
            assert_eq!(due(&mut timers, tick * 10_000 + 3), [0]);
            assert!(due(&mut timers, tick * 10_000 + 4).is_empty());
        }
    }

    #[test]
    fn ticks_within_one_millisecond_are_told_apart() {
        let mut timers = Timers::default();
        timers.set(0, Some(at(100)), Duration::from_millis(1));
        timers.set(1, Some(at(500)), Duration::from_millis(1));
        timers.set(2, Some(at(900)), Duration::from_millis(1));
        assert_eq!(due(&mut timers, 499), [0]);
        timers.set(2, None, Duration::from_millis(1));
        assert_eq!(due(&mut timers, 999), [1]);
        assert_eq!(due(&mut timers, 1_100), [0]);
    }

    #[test]
    fn missed_ticks_come_once() {
        let mut timers = Timers::default();
        timers.set(3, Some(at(0)), Duration::from_millis(10));
        assert_eq!(due(&mut timers, 95_000), [3]);
        assert_eq!(timers.next_due(), Some(at(100_000)));
    }

    #[test]
    fn a_ticker_that_is_set_anew_leaves_nothing_behind() {
        let mut timers = Timers::default();
        for step in 0..10_000 {
            timers.set(0, Some(at(1_000_000 + step)), Duration::from_secs(1));
            timers.set(1, Some(at(1_000_000 + step)), Duration::from_secs(1));
        }
        assert_eq!(timers.buckets.values().map(Vec::len).sum::<usize>(), 2);
        timers.set(0, None, Duration::from_secs(1));
        timers.set(1, None, Duration::from_secs(1));
        assert_eq!(timers.next_due(), None);
        assert!(timers.buckets.is_empty());
    }

    #[test]
    fn the_end_of_time_is_no_overflow() {
        let mut timers = Timers::default();
        timers.set(0, Some(Moment::from_nanos(u64::MAX - 1)), Duration::MAX);
        let mut taken = Vec::new();
        timers.take_due(Moment::from_nanos(u64::MAX - 1), &mut taken);
        assert_eq!(taken, [0]);
        assert_eq!(timers.next_due(), None);
    }
}
