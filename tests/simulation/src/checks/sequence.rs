//! S4: one number per transition from one counter, without gaps; times are the wall clock's, as it is when it happens.

use super::{Checked, Seen, Violation};

/// How far the engine may be from the wall clock before it follows.
const STRAY_MAX_NS: u64 = 1_000_000;

#[derive(Default)]
pub(super) struct Sequence;

impl Sequence {
    pub(super) fn look(&mut self, seen: &Seen<'_>, before: u64, last: u64) -> Checked {
        let mut expected = before;
        for transition in seen.transitions {
            expected += 1;
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
