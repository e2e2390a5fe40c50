//! S4: one number per transition from one counter, without gaps; times are the wall clock's, as it is when it happens.

use super::{Checked, Seen, Violation};

/// How far the engine may be from the wall clock before it follows.
const STRAY_MAX_NS: u64 = 1_000_000;

/// The number that the next transition has: starts and stops of the engine have numbers, too.
fn after(seen: &Seen<'_>, number: u64) -> u64 {
    (number + 1..)
        .find(|next| !seen.marks.contains(next))
        .unwrap_or(number + 1)
}

#[derive(Default)]
pub(super) struct Sequence {
    /// The number of the stop of the engine where the disk does not take it, so that it is not said.
    unsaid: Option<u64>,
}

impl Sequence {
    pub(super) fn look(&mut self, seen: &Seen<'_>, before: u64, last: u64) -> Checked {
        let mut expected = before;
        let may_be_unsaid = seen.is_stopping && seen.world.machine.is_there.get();
        for transition in seen.transitions {
            expected = after(seen, expected);
            if may_be_unsaid && transition.seq == after(seen, expected) {
                self.unsaid.get_or_insert(expected);
            }
            if self.unsaid == Some(expected) {
                expected = after(seen, expected);
            }
            if transition.seq != expected {
                return Err(Violation::new(
                    "S4",
                    format!("number {} follows on {}", transition.seq, expected - 1),
                ));
            }
            let (at, wall) = (transition.at.as_unix_nanos(), seen.wall.as_unix_nanos());
            if at.abs_diff(wall) > STRAY_MAX_NS {
                return Err(Violation::new(
                    "S4",
                    format!("{transition} happened at another time, {}", seen.wall),
                ));
            }
        }
        // A stop of the engine may be the last.
        while after(seen, expected) != expected + 1 {
            expected += 1;
        }
        if may_be_unsaid && last == expected + 1 {
            self.unsaid.get_or_insert(last);
        }
        if self.unsaid == Some(expected + 1) {
            expected += 1;
        }
        let mut numbers: Vec<_> = seen.snapshots.iter().map(|snapshot| snapshot.seq).collect();
        numbers.sort_unstable();
        if let Some(twice) = numbers
            .windows(2)
            .find(|pair| pair[0] == pair[1] && pair[0] > 0)
        {
            return Err(Violation::new(
                "S4",
                format!("two plugins have the number {}", twice[0]),
            ));
        }
        if expected != last {
            return Err(Violation::new(
                "S4",
                format!("the history ends at {expected}, the counter at {last}"),
            ));
        }
        Ok(())
    }
}
