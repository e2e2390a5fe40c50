//! Which entries of several plugins can still be among those that a question wants: of a hundred thousand plugins nearly none, once some were asked.

use std::collections::BinaryHeap;

use plugin_engine_core::HistoryFilter;

/// The entries that come first in the order of a question, as many as it wants at most, of those that were seen so far.
pub(super) struct Foremost {
    limit: usize,
    newest_first: bool,
    /// The one on top comes last. Newest first each bit of a number is turned round, so that the smaller one comes first here, too.
    numbers: BinaryHeap<u64>,
}

impl Foremost {
    /// `None` if a question wants all there is.
    pub(super) fn of(filter: &HistoryFilter) -> Option<Self> {
        let limit = filter.limit.filter(|limit| *limit > 0)?;
        Some(Self {
            limit,
            newest_first: filter.newest_first,
            numbers: BinaryHeap::new(),
        })
    }

    pub(super) fn see(&mut self, seq: u64) {
        let number = if self.newest_first { !seq } else { seq };
        if self.numbers.len() < self.limit {
            self.numbers.push(number);
        } else if let Some(mut last) = self.numbers.peek_mut()
            && number < *last
        {
            *last = number;
        }
    }

    /// Asks for no more than what comes before the last of them, if there are as many as are wanted: newest first only for what has a larger
    /// number, else for what has one up to that which is returned.
    pub(super) fn narrow(&self, filter: &mut HistoryFilter, up_to: u64) -> u64 {
        let is_full = self.numbers.len() >= self.limit;
        match self.numbers.peek().filter(|_| is_full) {
            Some(last) if self.newest_first => {
                filter.after = filter.after.max(Some(!last));
                up_to
            }
            Some(last) => up_to.min(last - 1),
            None => up_to,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(newest_first: bool) -> HistoryFilter {
        let mut filter = HistoryFilter::default();
        (filter.newest_first, filter.limit) = (newest_first, Some(3));
        filter
    }

    #[test]
    fn nothing_is_left_out_before_there_are_enough() {
        let mut asked = filter(true);
        let mut foremost = Foremost::of(&asked).unwrap();
        for seq in [5, 7] {
            foremost.see(seq);
        }
        assert_eq!(foremost.narrow(&mut asked, 9), 9);
        assert_eq!(asked.after, None);
        assert!(Foremost::of(&HistoryFilter::default()).is_none());
    }

    #[test]
    fn what_comes_after_the_last_that_is_wanted_is_not_asked_for() {
        let mut asked = filter(true);
        let mut foremost = Foremost::of(&asked).unwrap();
        for seq in [5, 1, 7, 3, 6] {
            foremost.see(seq);
        }
        assert_eq!(foremost.narrow(&mut asked, 9), 9);
        assert_eq!(asked.after, Some(5));

        let mut asked = filter(false);
        let mut foremost = Foremost::of(&asked).unwrap();
        for seq in [5, 8, 7, 3, 6] {
            foremost.see(seq);
        }
        assert_eq!(foremost.narrow(&mut asked, 9), 5);
        assert_eq!(asked.after, None);
    }

    #[test]
    fn who_asked_for_less_still_does() {
        let mut asked = filter(true);
        asked.after = Some(8);
        let mut foremost = Foremost::of(&asked).unwrap();
        for seq in [9, 10, 11] {
            foremost.see(seq);
        }
        foremost.narrow(&mut asked, 20);
        assert_eq!(asked.after, Some(9));
        let mut foremost = Foremost::of(&asked).unwrap();
        for seq in [1, 2, 3] {
            foremost.see(seq);
        }
        foremost.narrow(&mut asked, 20);
        assert_eq!(asked.after, Some(9));
    }
}
