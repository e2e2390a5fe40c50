//! What of one plugin's history left the memory before it was taken to be written to where it outlives the process.
//!
//! The rings themselves are the queue of what is to be written: nothing is copied when a transition is recorded. When whoever writes falls so far behind
//! that an entry has to leave that was not taken yet, it is counted: good updates in one sum, everything else in another.

use plugin_engine_core::WallTime;

use super::{Entry, PlainUpdate};

use crate::threading::atomic::{AtomicU64, Ordering};

/// Stands for a boundary that is about to be drawn.
const BEING_DRAWN: u64 = u64::MAX;

/// Up to which number the history has been taken to be written; the largest where nothing is written at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Taken(pub(super) u64);

impl Default for Taken {
    fn default() -> Self {
        Self(u64::MAX)
    }
}

impl Taken {
    /// Whether the entry with this number is still to be taken.
    #[inline]
    pub(super) fn is_before(self, seq: u64) -> bool {
        seq > self.0
    }
}

/// Up to which number everything is being taken just now, of all plugins.
///
/// What leaves a plugin's memory meanwhile is counted on its side of the boundary, so that what is written together is complete up to one number.
#[derive(Default)]
pub(crate) struct Boundary(AtomicU64);

impl Boundary {
    /// Draws it at the last number that was given out, which is returned.
    ///
    /// An entry that was counted by the boundary before has a number that was given out before this one was begun to be drawn, so it is on the near side.
    #[cfg(feature = "history-sqlite")]
    pub(crate) fn draw(&self, last_number: &AtomicU64) -> u64 {
        self.0.store(BEING_DRAWN, Ordering::SeqCst);
        let boundary = last_number.load(Ordering::SeqCst);
        self.0.store(boundary, Ordering::SeqCst);
        boundary
    }

    fn get(&self) -> u64 {
        loop {
            match self.0.load(Ordering::SeqCst) {
                // Drawn within a few instructions, unless its thread is interrupted.
                BEING_DRAWN => crate::threading::thread::yield_now(),
                boundary => return boundary,
            }
        }
    }
}

/// What left before it was taken. Takes no room as long as nothing has.
#[derive(Default)]
pub(super) struct LeftEarly(Option<Box<Divided>>);

/// What left early, on both sides of a boundary.
#[derive(Default)]
struct Divided {
    /// The boundary by which the sums are divided.
    boundary: u64,
    near: Sums,
    far: Sums,
}

/// Sums on one side of the boundary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Sums {
    /// Good updates.
    pub(crate) folded: Option<Sum>,
    /// Everything else.
    pub(crate) lost: Option<Sum>,
}

/// Entries that left the memory before they were taken, in one sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) first_seq: u64,
    pub(crate) last_seq: u64,
    pub(crate) first_at: WallTime,
    pub(crate) last_at: WallTime,
    /// How many transitions.
    pub(crate) transitions: u64,
    /// How many of them were completions, and how long those calls took together.
    pub(crate) completions: u64,
    pub(crate) total_ns: u64,
}

impl LeftEarly {
    /// Counts a good update that leaves, as far as it was not taken.
    #[cold]
    pub(super) fn fold(&mut self, update: &PlainUpdate, taken: Taken, boundary: &Boundary) {
        let boundary = boundary.get();
        for entry in [0, 1].into_iter().filter_map(|half| update.half(half)) {
            if taken.is_before(entry.seq) {
                add(&mut self.sums(entry.seq, boundary).folded, Sum::of(&entry));
            }
        }
    }

    /// Counts another entry that leaves, if it was not taken.
    pub(super) fn lose(&mut self, entry: &Entry, taken: Taken, boundary: &Boundary) {
        if taken.is_before(entry.seq) {
            add(
                &mut self.sums(entry.seq, boundary.get()).lost,
                Sum::of(entry),
            );
        }
    }

    fn sums(&mut self, seq: u64, boundary: u64) -> &mut Sums {
        self.0.get_or_insert_default().side(seq, boundary)
    }

    /// Takes what is on the near side.
    #[cfg(feature = "history-sqlite")]
    pub(super) fn take(&mut self, boundary: u64) -> Sums {
        let taken = self.0.as_mut().map(|divided| divided.take(boundary));
        taken.unwrap_or_default()
    }
}

impl Divided {
    fn side(&mut self, seq: u64, boundary: u64) -> &mut Sums {
        self.divide_by(boundary);
        if seq <= boundary {
            &mut self.near
        } else {
            &mut self.far
        }
    }

    /// Everything that was counted before a boundary was drawn is on the near side of it.
    fn divide_by(&mut self, boundary: u64) {
        if self.boundary == boundary {
            return;
        }
        let far = std::mem::take(&mut self.far);
        far.folded
            .into_iter()
            .for_each(|sum| add(&mut self.near.folded, sum));
        far.lost
            .into_iter()
            .for_each(|sum| add(&mut self.near.lost, sum));
        self.boundary = boundary;
    }

    #[cfg(feature = "history-sqlite")]
    fn take(&mut self, boundary: u64) -> Sums {
        self.divide_by(boundary);
        std::mem::take(&mut self.near)
    }
}

impl Sum {
    fn of(entry: &Entry) -> Self {
        let ended = entry.duration_ns != u64::MAX;
        Self {
            first_seq: entry.seq,
            last_seq: entry.seq,
            first_at: entry.at,
            last_at: entry.at,
            transitions: 1,
            completions: u64::from(ended),
            total_ns: if ended { entry.duration_ns } else { 0 },
        }
    }
}

fn add(sum: &mut Option<Sum>, other: Sum) {
    let Some(sum) = sum else {
        *sum = Some(other);
        return;
    };
    if other.last_seq > sum.last_seq {
        (sum.last_seq, sum.last_at) = (other.last_seq, other.last_at);
    }
    if other.first_seq < sum.first_seq {
        (sum.first_seq, sum.first_at) = (other.first_seq, other.first_at);
    }
    sum.transitions += other.transitions;
    sum.completions += other.completions;
    sum.total_ns = sum.total_ns.saturating_add(other.total_ns);
}
