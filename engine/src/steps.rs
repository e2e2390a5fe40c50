//! How long each step of a load took, for whoever asks why a start is slow.

use std::time::{Duration, Instant};

/// The steps of one load, timed one after another.
pub(crate) struct Steps {
    last: Instant,
    taken: [Duration; Step::COUNT],
}

/// A step of a load.
#[derive(Clone, Copy)]
pub(crate) enum Step {
    /// Finding the file, looking at its owner, and the sealed copy.
    Copy,
    /// The SHA-256 of all its bytes.
    Digest,
    /// All other checks of the bytes.
    Checks,
    /// The system's loader, constructors included.
    Map,
    /// Comparing the contract, and the initialisation.
    Contract,
}

impl Step {
    const COUNT: usize = Self::Contract as usize + 1;
}

impl Steps {
    pub(crate) fn begin() -> Self {
        Self {
            last: Instant::now(),
            taken: [Duration::ZERO; Step::COUNT],
        }
    }

    /// What was done since the last end belongs to no step: it was waited for the turn of the file.
    pub(crate) fn go_on(&mut self) {
        self.last = Instant::now();
    }

    /// What was done since the last end belongs to this step.
    pub(crate) fn end(&mut self, step: Step) {
        let now = Instant::now();
        self.taken[step as usize] += now - self.last;
        self.last = now;
    }

    /// How long a step took, in microseconds.
    pub(crate) fn micros(&self, step: Step) -> f64 {
        self.taken[step as usize].as_nanos() as f64 / 1_000.0
    }
}
