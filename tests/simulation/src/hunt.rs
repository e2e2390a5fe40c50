//! Looking for seeds that fail, and leaving out of one what it does not need.

use crate::planted::Planted;
use crate::run::{Failure, Report, run};
use crate::step::{Step, steps_of};

/// A seed that fails.
#[derive(Debug, Clone)]
pub struct Found {
    /// The seed.
    pub seed: u64,
    /// What was seen, by all of its steps.
    pub failure: Failure,
    /// The steps that are needed to see the same promise broken.
    pub steps: Vec<Step>,
    /// What is seen by these.
    pub shrunk: Failure,
}

/// Runs seeds one after another until one fails.
///
/// # Errors
/// The one that fails, with the steps that it needs.
pub fn hunt(seeds: impl IntoIterator<Item = u64>) -> Result<Report, Box<Found>> {
    first_failure(seeds, None).map_err(|(seed, failure)| {
        let (steps, shrunk) = shrink(seed, steps_of(seed), failure.clone(), None);
        Box::new(Found {
            seed,
            failure,
            steps,
            shrunk,
        })
    })
}

/// Runs seeds one after another until one fails, and tells that with all of its steps.
///
/// # Errors
/// The one that fails.
pub fn first_failure(
    seeds: impl IntoIterator<Item = u64>,
    planted: Option<Planted>,
) -> Result<Report, (u64, Failure)> {
    let mut all = Report::default();
    for seed in seeds {
        let report = run(seed, &steps_of(seed), planted).map_err(|failure| (seed, failure))?;
        all.simulated += report.simulated;
        all.transitions += report.transitions;
        all.calls += report.calls;
    }
    Ok(all)
}

/// How often a failure is run again to find out what it needs.
const RUNS_MAX: usize = 400;

/// Leaves out steps in ever smaller parts, as long as the same promise is broken without them (Zeller's delta debugging).
#[must_use]
pub fn shrink(
    seed: u64,
    steps: Vec<Step>,
    failure: Failure,
    planted: Option<Planted>,
) -> (Vec<Step>, Failure) {
    let (mut steps, mut failure) = (steps, failure);
    steps.truncate(failure.steps);
    let mut part = steps.len().div_ceil(2);
    let mut runs = 0;
    while part > 0 && runs < RUNS_MAX {
        let mut at = 0;
        let mut left_out = false;
        while at < steps.len() && runs < RUNS_MAX {
            let mut fewer = steps.clone();
            fewer.drain(at..(at + part).min(steps.len()));
            runs += 1;
            match run(seed, &fewer, planted) {
                Err(other) if other.violation.promise == failure.violation.promise => {
                    fewer.truncate(other.steps);
                    steps = fewer;
                    failure = other;
                    left_out = true;
                }
                _ => at += part,
            }
        }
        if !left_out {
            part /= 2;
        } else {
            part = part.min(steps.len());
        }
    }
    (steps, failure)
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seed = self.seed;
        writeln!(f, "seed {seed} breaks {}", self.failure.violation)?;
        writeln!(
            f,
            "again: SIMULATION_SEED={seed} cargo test -p plugin-engine-simulation --test seeds"
        )?;
        writeln!(
            f,
            "{} steps are enough to see {}:",
            self.steps.len(),
            self.shrunk.violation
        )?;
        for (number, step) in self.steps.iter().enumerate() {
            writeln!(f, "{:>4}. {step}", number + 1)?;
        }
        writeln!(f, "after which the history ends with")?;
        for entry in &self.shrunk.entries {
            writeln!(f, "  {entry}")?;
        }
        Ok(())
    }
}
