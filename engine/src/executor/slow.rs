//! The plugins whose last update took longer than a millisecond. A cycle puts them last, so that nobody waits behind a call that was slow the
//! last time.

use crate::append_list::AppendList;
use crate::threading::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Which plugins are known to be slow: a bit for each.
pub(super) struct SlowPlugins {
    words: AppendList<AtomicU64>,
    len: AtomicUsize,
}

impl Default for SlowPlugins {
    fn default() -> Self {
        Self {
            words: AppendList::new(),
            len: AtomicUsize::new(0),
        }
    }
}

fn place(index: u32) -> (usize, u64) {
    (index as usize / 64, 1 << (index % 64))
}

impl SlowPlugins {
    fn contains(&self, index: u32) -> bool {
        let (word, bit) = place(index);
        self.words
            .get(word)
            .is_some_and(|word| word.load(Ordering::Relaxed) & bit != 0)
    }

    /// The plugin was slow. An index that no plugin can have, as of a worker that is in the embedder's subscriber, is nobody's.
    pub(super) fn insert(&self, index: u32) {
        let (at, bit) = place(index);
        if self.words.get(at).is_none() {
            // Whoever was faster has put the same there.
            let _ = self.words.set(at, AtomicU64::new(0));
        }
        if let Some(word) = self.words.get(at)
            && word.fetch_or(bit, Ordering::Relaxed) & bit == 0
        {
            self.len.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The plugin was not slow.
    pub(super) fn remove(&self, index: u32) {
        let (at, bit) = place(index);
        if let Some(word) = self.words.get(at)
            && word.fetch_and(!bit, Ordering::Relaxed) & bit != 0
        {
            self.len.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Puts the slow ones of these last, else in the same order. Returns how many are not slow. Looks at none of them while no plugin is slow.
    pub(super) fn put_last(&self, plugins: &mut Vec<u32>) -> usize {
        if self.len.load(Ordering::Relaxed) == 0 {
            return plugins.len();
        }
        let slow: Vec<_> = plugins
            .extract_if(.., |index| self.contains(*index))
            .collect();
        let quick = plugins.len();
        plugins.extend(slow);
        quick
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_plugins_come_last_and_the_rest_stays_in_order() {
        let slow = SlowPlugins::default();
        let mut plugins = vec![200, 3, 64, 7];
        assert_eq!(slow.put_last(&mut plugins), 4);
        for index in [3, 200, 3] {
            slow.insert(index);
        }
        assert_eq!(slow.len.load(Ordering::Relaxed), 2);
        assert_eq!(slow.put_last(&mut plugins), 2);
        assert_eq!(plugins, [64, 7, 200, 3]);
        for index in [3, 3, 5, 100_000] {
            slow.remove(index);
        }
        assert_eq!(slow.len.load(Ordering::Relaxed), 1);
        assert!(!slow.contains(3));
        assert!(slow.contains(200));
        slow.insert(u32::MAX);
        assert_eq!(slow.len.load(Ordering::Relaxed), 1, "that is nobody's");
    }
}
