//! A row of words with something beside it, written by one at a time and read by anybody as one value, without a lock. Knows nothing of
//! what the words mean.

use crate::threading::atomic::{AtomicU64, Ordering, fence};

/// A row of words. In this order in memory, see [`Cell`](crate::cell::Cell).
#[repr(C)]
pub(crate) struct SequenceLock<const WORDS: usize> {
    /// Odd while a write is under way.
    sequence: AtomicU64,
    words: [AtomicU64; WORDS],
}

impl<const WORDS: usize> SequenceLock<WORDS> {
    pub(crate) fn new(words: [u64; WORDS]) -> Self {
        Self {
            sequence: AtomicU64::new(0),
            words: words.map(AtomicU64::new),
        }
    }

    /// Writes the first words, and has `beside` write what belongs to them. The caller sees to it that there is one writer at a time.
    #[inline]
    pub(crate) fn write(&self, words: &[u64], beside: impl FnOnce()) {
        let sequence = self.sequence.load(Ordering::Relaxed);
        self.sequence
            .store(sequence.wrapping_add(1), Ordering::Relaxed);
        // Orders the odd number before what follows, for readers that see any of it.
        fence(Ordering::Release);
        for (word, value) in self.words.iter().zip(words) {
            word.store(*value, Ordering::Relaxed);
        }
        beside();
        self.sequence
            .store(sequence.wrapping_add(2), Ordering::Release);
    }

    /// Reads the words, and has `beside` read what belongs to them, if no write comes in between.
    #[inline]
    pub(crate) fn try_read<T>(
        &self,
        beside: impl FnOnce(&[u64; WORDS]) -> T,
    ) -> Option<([u64; WORDS], T)> {
        let before = self.sequence.load(Ordering::Acquire);
        if before & 1 == 1 {
            return None;
        }
        let mut words = [0; WORDS];
        for (word, value) in words.iter_mut().zip(&self.words) {
            *word = value.load(Ordering::Relaxed);
        }
        let beside = beside(&words);
        // Orders the reads above before the second look at the sequence.
        fence(Ordering::Acquire);
        if self.sequence.load(Ordering::Relaxed) != before {
            return None;
        }
        Some((words, beside))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_together_with_what_lies_beside_it() {
        let lock = SequenceLock::new([1, 2]);
        assert_eq!(lock.try_read(|words| words[1]), Some(([1, 2], 2)));
        lock.write(&[3, 4], || {});
        assert_eq!(lock.try_read(|words| words[1]), Some(([3, 4], 4)));
        lock.write(&[5], || {});
        assert_eq!(lock.try_read(|_| ()), Some(([5, 4], ())));
    }

    #[test]
    fn nothing_is_read_of_a_write_that_is_under_way() {
        let lock = SequenceLock::new([1]);
        lock.write(&[2], || assert_eq!(lock.try_read(|_| ()), None));
        assert_eq!(lock.try_read(|_| ()), Some(([2], ())));
    }

    #[test]
    fn nothing_is_read_where_a_write_comes_in_between() {
        let lock = SequenceLock::new([1]);
        assert_eq!(lock.try_read(|_| lock.write(&[2], || {})), None);
    }
}
