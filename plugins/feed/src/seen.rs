//! Which entries were told already. Its memory is bounded, whatever a feed does.

use std::collections::HashMap;

/// How many keys are remembered: more than one reading can have, so that what a feed still holds is never forgotten.
const KEYS_MAX: usize = 2 * crate::entries::ENTRIES_MAX;

/// The keys of entries that were told, each with the number of the reading that had it last.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    readings: u64,
    last: HashMap<u64, u64>,
}

impl Seen {
    /// A new reading of the feed begins. What has not been in one for the longest time is forgotten if need be.
    pub(crate) fn begin_reading(&mut self) {
        self.readings += 1;
        let excess = self.last.len().saturating_sub(KEYS_MAX);
        if excess == 0 {
            return;
        }
        let mut ages: Vec<_> = self.last.iter().map(|(key, at)| (*at, *key)).collect();
        ages.sort_unstable();
        for (_, key) in &ages[..excess] {
            self.last.remove(key);
        }
    }

    pub(crate) fn contains(&self, key: u64) -> bool {
        self.last.contains_key(&key)
    }

    /// The present reading has this entry, and it was told.
    pub(crate) fn remember(&mut self, key: u64) {
        self.last.insert(key, self.readings);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_feed_still_holds_is_remembered_and_the_memory_is_bounded() {
        let mut seen = Seen::default();
        let mut most = 0;
        for reading in 0..50_u64 {
            seen.begin_reading();
            assert_eq!(seen.contains(7), reading > 0);
            seen.remember(7);
            for key in 0..999 {
                seen.remember(1_000 + reading * 999 + key);
            }
            most = most.max(seen.last.len());
        }
        assert_eq!(most, KEYS_MAX + 999);
        assert!(!seen.contains(1_000) && seen.contains(1_000 + 49 * 999));
    }
}
