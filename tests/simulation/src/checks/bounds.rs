//! S5, C4, X3: no list, queue or number of threads is ever larger than its bound.

use plugin_engine::simulation;

use super::{Checked, Seen, Violation};
use crate::run::{THREADS_MAX, WORKERS};

/// How many entries of each kind the memory of one plugin holds.
const OF_EACH_KIND: usize = 512;

#[derive(Default)]
pub(super) struct Bounds {
    looks: u64,
}

impl Bounds {
    pub(super) fn look(&mut self, seen: &Seen<'_>) -> Checked {
        for snapshot in seen.snapshots {
            if snapshot.history_len > 2 * OF_EACH_KIND {
                return Err(Violation::new(
                    "S5",
                    format!("{} has {} entries", snapshot.id(), snapshot.history_len),
                ));
            }
        }
        let (_, slow) = simulation::threads(seen.engine);
        let threads = seen.world.threads("plugin-worker");
        // As many again as are wanted may wait for the next slow call.
        let bound = THREADS_MAX.min(2 * WORKERS + slow + 1);
        if threads > bound {
            return Err(Violation::new(
                "X3",
                format!("{threads} threads call plugins, {slow} of them are in slow calls"),
            ));
        }
        self.looks += 1;
        // On a disk there may be more.
        if self.looks.is_multiple_of(64) && !seen.world.machine.is_there.get() {
            self.count(seen)?;
        }
        Ok(())
    }

    /// Reads all entries, which is not for every look.
    fn count(&self, seen: &Seen<'_>) -> Checked {
        for snapshot in seen.snapshots {
            let entries: Vec<_> = seen
                .engine
                .history(snapshot.id().as_str())
                .into_iter()
                .collect();
            let routine = entries.iter().filter(|entry| entry.is_routine()).count();
            let notable = entries.len() - routine;
            if routine > OF_EACH_KIND
                || notable > OF_EACH_KIND
                || entries.len() != snapshot.history_len
            {
                return Err(Violation::new(
                    "S5",
                    format!(
                        "{} has {routine} routine and {notable} notable entries, and says {}",
                        snapshot.id(),
                        snapshot.history_len
                    ),
                ));
            }
        }
        Ok(())
    }
}
