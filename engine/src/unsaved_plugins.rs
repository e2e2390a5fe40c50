//! Which plugins have entered something into their history that is still to be written: a bit for each.
//!
//! A worker sets the bit inside the lock of its cell and before it takes a number. Whoever collects reads the last number, then takes the bits, then the locks:
//! so no number that was taken before is missed.

#[cfg(feature = "history-sqlite")]
use crate::registry::PLUGINS_MAX;
use crate::threading::OnceLock;
use crate::threading::atomic::{AtomicU64, Ordering};

/// The plugins with something to be written; nothing is kept until somebody wants to write.
#[derive(Default)]
pub(crate) struct UnsavedPlugins {
    words: OnceLock<Box<[AtomicU64]>>,
}

impl UnsavedPlugins {
    /// Has this plugin be looked at. One load where nothing is written; where something is, one more load, and a store when it is the first since the last
    /// look.
    #[inline]
    pub(crate) fn mark(&self, index: u32) {
        let Some(words) = self.words.get() else {
            return;
        };
        let (word, bit) = (index as usize / 64, 1 << (index % 64));
        let Some(word) = words.get(word) else { return };
        if word.load(Ordering::Relaxed) & bit == 0 {
            word.fetch_or(bit, Ordering::Relaxed);
        }
    }
}

#[cfg(feature = "history-sqlite")]
impl UnsavedPlugins {
    /// Keeps account from now on.
    pub(crate) fn begin(&self) {
        self.words
            .get_or_init(|| (0..PLUGINS_MAX / 64).map(|_| AtomicU64::new(0)).collect());
    }

    /// Takes the plugins that were marked, of the first `len`.
    pub(crate) fn take(&self, len: usize) -> Vec<u32> {
        let words = self.words.get().map_or(&[][..], |words| &words[..]);
        let mut marked = Vec::new();
        for (at, word) in words.iter().enumerate().take(len.div_ceil(64)) {
            // A look that finds nothing writes nothing, so that it takes the line from no worker.
            if word.load(Ordering::Relaxed) == 0 {
                continue;
            }
            let mut bits = word.swap(0, Ordering::AcqRel);
            while bits != 0 {
                marked.push((at * 64) as u32 + bits.trailing_zeros());
                bits &= bits - 1;
            }
        }
        marked
    }
}

#[cfg(all(test, feature = "history-sqlite"))]
mod tests {
    use super::*;

    #[test]
    fn what_is_marked_is_taken_once() {
        let plugins = UnsavedPlugins::default();
        plugins.mark(3);
        plugins.begin();
        for index in [0, 63, 64, 64, 200] {
            plugins.mark(index);
        }
        assert_eq!(plugins.take(201), [0, 63, 64, 200]);
        assert!(plugins.take(201).is_empty());
        plugins.mark(5);
        assert_eq!(plugins.take(1_000), [5]);
    }

    #[test]
    fn a_plugin_that_is_beyond_the_limit_is_nobodys() {
        let plugins = UnsavedPlugins::default();
        plugins.begin();
        plugins.mark(u32::MAX);
        assert!(plugins.take(PLUGINS_MAX).is_empty());
    }
}
