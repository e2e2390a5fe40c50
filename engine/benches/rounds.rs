//! Rounds, medians and the table.

#![allow(dead_code, reason = "what benchmarks share, of which each uses a part")]

use std::time::Instant;

/// One thing that is measured: `work` does `count` operations.
pub(crate) struct Contestant<'a> {
    name: String,
    count: usize,
    work: Box<dyn FnMut() + 'a>,
}

impl<'a> Contestant<'a> {
    pub(crate) fn new(name: impl Into<String>, count: usize, work: impl FnMut() + 'a) -> Self {
        Self {
            name: name.into(),
            count,
            work: Box::new(work),
        }
    }
}

/// What was measured so far.
pub(crate) struct Table {
    only: Vec<String>,
    /// Name, and nanoseconds per operation: least, median, most.
    rows: Vec<(String, [f64; 3])>,
}

impl Table {
    pub(crate) fn new(only: Vec<String>) -> Self {
        Self {
            only,
            rows: Vec::new(),
        }
    }

    /// Whether a contestant of this name is to be measured.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|word| name.contains(word))
    }

    /// Measures all contestants in turn, `rounds` times, after one round that does not count.
    pub(crate) fn measure(&mut self, contestants: &mut [Contestant<'_>], rounds: usize) {
        let mut samples = vec![Vec::new(); contestants.len()];
        for round in 0..=rounds {
            for (contestant, samples) in contestants.iter_mut().zip(&mut samples) {
                if !self.wants(&contestant.name) {
                    continue;
                }
                let began = Instant::now();
                (contestant.work)();
                let nanos = began.elapsed().as_nanos() as f64 / contestant.count as f64;
                if round > 0 {
                    samples.push(nanos);
                }
            }
        }
        for (contestant, samples) in contestants.iter().zip(samples) {
            self.add(&contestant.name, samples);
        }
    }

    /// Adds what was measured elsewhere, in nanoseconds per operation.
    pub(crate) fn add(&mut self, name: &str, mut samples: Vec<f64>) {
        if samples.is_empty() {
            return;
        }
        samples.sort_by(f64::total_cmp);
        let figures = [
            samples[0],
            samples[samples.len() / 2],
            samples[samples.len() - 1],
        ];
        self.rows.push((name.to_owned(), figures));
    }

    /// What was measured, by name: least, median and most nanoseconds per operation.
    pub(crate) fn rows(&self) -> &[(String, [f64; 3])] {
        &self.rows
    }

    pub(crate) fn print(&self) {
        println!(
            "{:<58} {:>10} {:>10} {:>10}",
            "ns per operation", "median", "least", "most"
        );
        for (name, [least, median, most]) in &self.rows {
            println!("{name:<58} {median:>10.1} {least:>10.1} {most:>10.1}");
        }
    }

    /// The median of the first contestant whose name begins so, if it was measured.
    pub(crate) fn median(&self, name: &str) -> Option<f64> {
        let row = self.rows.iter().find(|(row, _)| row.starts_with(name))?;
        Some(row.1[1])
    }

    /// Prints how often the median of `below` fits into that of `above`.
    pub(crate) fn ratio(&self, above: &str, below: &str, budget: &str) {
        if let (Some(one), Some(other)) = (self.median(above), self.median(below)) {
            println!("{:>8.2}  {above} / {below}   {budget}", one / other);
        }
    }
}

/// What so great a share of these is not above, in microseconds; they are nanoseconds in their order.
pub(crate) fn micros_at(sorted: &[u64], share: f64) -> f64 {
    let place = (sorted.len() as f64 * share) as usize;
    let found = sorted.get(place.min(sorted.len().saturating_sub(1)));
    found.map_or(0.0, |nanos| *nanos as f64 / 1e3)
}
