//! S4, S6: numbers without gap and without reuse, over restarts and kills.

use plugin_engine_wire::Mark;

use super::entry::Entry;

/// What is known of the numbers.
#[derive(Default)]
pub(crate) struct Numbers {
    /// The largest that was ever seen to be used.
    pub(crate) last: u64,
}

impl Numbers {
    /// Takes what came after the last number, up to `last`. Where `is_whole`, every number in between has to stand for something.
    pub(crate) fn window(&mut self, entries: &[Entry], last: u64, is_whole: bool) -> Vec<String> {
        let mut problems = Vec::new();
        let (after, mut before) = (self.last, self.last);
        for entry in entries {
            let seq = entry.seq();
            if seq <= before && !entry.is_sum() {
                problems.push(format!("{seq} stands after {before}"));
            }
            if let Entry::Mark(Mark::Started {
                lost: Some(lost), ..
            }) = entry
                && (lost.last < lost.first || lost.last >= seq)
            {
                problems.push(format!(
                    "the start {seq} names {} to {} as lost",
                    lost.first, lost.last
                ));
            }
            before = before.max(seq);
        }
        if last < before {
            problems.push(format!(
                "{before} is there, and {last} is said to be the last number"
            ));
        }
        let has_sums = entries.iter().any(Entry::is_sum);
        // A sum may stand for numbers that were seen one by one before.
        if is_whole && !has_sums && last >= after {
            let counted: u64 = entries.iter().map(|entry| entry.numbers_after(after)).sum();
            if counted != last - after {
                problems.push(format!(
                    "{counted} numbers stand for something of the {} after {after} up to {last}",
                    last - after
                ));
            }
        }
        self.last = before.max(last).max(after);
        problems
    }

    /// A new process says its last number, which cannot be below one that was seen.
    pub(crate) fn begun(&self, last: u64) -> Option<String> {
        (last <= self.last)
            .then(|| format!("a start goes on at {last}, and {} has been used", self.last))
    }
}

#[cfg(test)]
mod tests {
    use plugin_engine_wire::LostNumbers;

    use super::super::entry::forged;
    use super::*;

    fn entries(seqs: &[u64]) -> Vec<Entry> {
        let entry = |seq: &u64| {
            forged::entry(forged::transition(
                *seq,
                0,
                "a",
                "Enabled",
                "update_started",
                "Running",
            ))
        };
        seqs.iter().map(entry).collect()
    }

    fn started(seq: u64, first: u64, last: u64) -> Entry {
        Entry::Mark(Mark::Started {
            seq,
            at: forged::time(0),
            pid: 1,
            version: String::new(),
            lost: Some(LostNumbers { first, last }),
        })
    }

    fn problems(seqs: &[u64], last: u64) -> Vec<String> {
        let mut numbers = Numbers { last: 4 };
        numbers.window(&entries(seqs), last, true)
    }

    #[test]
    fn numbers_one_after_another_are_good() {
        assert_eq!(problems(&[5, 6, 7], 7), [""; 0]);
    }

    #[test]
    fn a_gap_is_found() {
        assert!(problems(&[5, 7], 7)[0].starts_with("2 numbers stand for something of the 3"));
        assert!(problems(&[5, 6], 7)[0].starts_with("2 numbers stand for something of the 3"));
    }

    #[test]
    fn a_number_that_is_used_again_is_found() {
        assert!(problems(&[5, 5, 6], 6)[0].contains("5 stands after 5"));
        assert!(problems(&[4, 5], 5)[0].contains("4 stands after 4"));
        assert!(Numbers { last: 9 }.begun(9).is_some());
        assert!(Numbers { last: 9 }.begun(10).is_none());
    }

    #[test]
    fn an_answer_that_goes_beyond_its_end_is_found() {
        assert!(problems(&[5, 6, 7], 6)[0].contains("6 is said to be the last number"));
    }

    #[test]
    fn a_start_stands_for_what_it_names_as_lost() {
        let mut numbers = Numbers { last: 4 };
        let mut window = entries(&[5]);
        window.push(started(10, 6, 9));
        assert_eq!(numbers.window(&window, 10, true), [""; 0]);
        assert_eq!(numbers.last, 10);
        let mut numbers = Numbers { last: 4 };
        assert_eq!(
            numbers.window(&[started(10, 6, 9)], 10, true).len(),
            1,
            "5 is nowhere"
        );
        let mut numbers = Numbers { last: 4 };
        assert_eq!(
            numbers.window(&[started(10, 2, 9)], 10, true),
            [""; 0],
            "3 and 4 were seen and lost"
        );
        let mut numbers = Numbers { last: 4 };
        assert_eq!(
            numbers.window(&[started(10, 5, 10)], 10, false).len(),
            1,
            "it names itself"
        );
    }
}
