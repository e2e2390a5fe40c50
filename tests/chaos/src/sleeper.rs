//! The reference: a thread that only sleeps and notes by how much it woke too late. What the machine keeps from it, it keeps from the engine.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::moment::{self, Micros, SECOND};

/// How long each sleep is.
const NAP: Duration = Duration::from_millis(10);
/// What is forgotten.
const KEPT: Micros = 120 * SECOND;

/// How late a thread that does nothing was of late.
#[derive(Clone, Default)]
pub(crate) struct Sleeper(Arc<Mutex<VecDeque<(Micros, Micros)>>>);

impl Sleeper {
    /// Starts it; it ends with the process.
    pub(crate) fn start() -> Self {
        let sleeper = Self::default();
        let own = sleeper.clone();
        thread::spawn(move || {
            loop {
                let begin = Instant::now();
                thread::sleep(NAP);
                own.note(
                    moment::now(),
                    moment::micros(begin.elapsed().saturating_sub(NAP)),
                );
            }
        });
        sleeper
    }

    /// Notes that a nap ended at this moment, so much too late.
    pub(crate) fn note(&self, at: Micros, late: Micros) {
        let mut naps = self.0.lock().expect("nobody panics with it");
        naps.push_back((at, late));
        while naps.front().is_some_and(|(old, _)| *old + KEPT < at) {
            naps.pop_front();
        }
    }

    /// The latest that it was between these moments, with a second around them.
    pub(crate) fn worst(&self, from: Micros, until: Micros) -> Micros {
        let naps = self.0.lock().expect("nobody panics with it");
        let around = from.saturating_sub(SECOND)..=until + SECOND;
        let late = naps.iter().filter(|(at, _)| around.contains(at));
        late.map(|(_, late)| *late).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_is_that_of_the_time_asked_for() {
        let sleeper = Sleeper::default();
        for (second, late) in [(10, 5), (20, 700), (30, 9)] {
            sleeper.note(second * SECOND, late);
        }
        assert_eq!(sleeper.worst(19 * SECOND, 21 * SECOND), 700);
        assert_eq!(sleeper.worst(28 * SECOND, 40 * SECOND), 9);
        assert_eq!(sleeper.worst(50 * SECOND, 60 * SECOND), 0);
    }
}
