//! What is measured, and how much of it is kept. Nothing here knows how it is drawn.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use plugin_api::PluginError;
use sysinfo::{
    CpuRefreshKind, DiskRefreshKind, Disks, LoadAvg, MemoryRefreshKind, RefreshKind, System,
};

/// What changes so fast that its course over time is of interest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// The load averages over one, five and fifteen minutes.
    pub(crate) load: [f64; 3],
    /// Memory that is in use and could not be given to another program at once, in bytes.
    pub(crate) memory_used: u64,
}

/// What changes so slowly that the latest value is enough.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// How many processors share the load.
    pub(crate) processors: usize,
    /// All memory, in bytes.
    pub(crate) memory_total: u64,
    /// The disks, each once, in the order of their mount points.
    pub(crate) disks: Vec<Disk>,
}

/// A disk that is mounted.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    /// Where it is mounted.
    pub(crate) mount: String,
    /// The space in use, in bytes.
    pub(crate) used: u64,
    /// All space, in bytes.
    pub(crate) total: u64,
}

/// Measures this machine.
pub(crate) struct Sampler {
    system: System,
    disks: Disks,
    facts: Facts,
}

impl Sampler {
    pub(crate) fn new() -> Result<Self, PluginError> {
        let processors = RefreshKind::nothing().with_cpu(CpuRefreshKind::nothing());
        let system = System::new_with_specifics(processors)?;
        let facts = Facts {
            processors: system.cpus().len().max(1),
            ..Facts::default()
        };
        Ok(Self {
            system,
            disks: Disks::new()?,
            facts,
        })
    }

    pub(crate) fn sample(&mut self) -> Result<Sample, PluginError> {
        let LoadAvg { one, five, fifteen } = System::load_average()?;
        self.system
            .refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
        self.disks
            .refresh_specifics(true, DiskRefreshKind::nothing().with_storage());
        self.facts.memory_total = self.system.total_memory();
        self.facts.disks = each_once(&self.disks);
        Ok(Sample {
            load: [one, five, fifteen],
            memory_used: self.system.used_memory(),
        })
    }

    /// What the latest sample found besides itself.
    pub(crate) fn facts(&self) -> &Facts {
        &self.facts
    }
}

/// A disk that is mounted in several places is listed where its path is shortest.
fn each_once(disks: &Disks) -> Vec<Disk> {
    let mut mounted: Vec<_> = disks.iter().filter(|disk| disk.total_space() > 0).collect();
    mounted.sort_by_key(|disk| (disk.mount_point().as_os_str().len(), disk.mount_point()));
    let mut seen = Vec::new();
    mounted.retain(|disk| {
        let is_new = !seen.contains(&disk.name());
        seen.push(disk.name());
        is_new
    });
    mounted.sort_by_key(|disk| disk.mount_point());
    mounted
        .into_iter()
        .map(|disk| Disk {
            mount: disk.mount_point().display().to_string(),
            used: disk.total_space().saturating_sub(disk.available_space()),
            total: disk.total_space(),
        })
        .collect()
}

/// The samples of the last minutes, oldest first: at most one for each second of its window, whatever the interval is.
pub(crate) struct History {
    window: Duration,
    samples: VecDeque<(Instant, Sample)>,
}

impl History {
    pub(crate) fn new(window: Duration) -> Self {
        Self {
            window,
            samples: VecDeque::new(),
        }
    }

    pub(crate) fn window(&self) -> Duration {
        self.window
    }

    /// Adds a sample that was taken at `now`, and lets go of what is older than the window or more than it holds.
    pub(crate) fn push(&mut self, now: Instant, sample: Sample) {
        self.samples.push_back((now, sample));
        let capacity = usize::try_from(self.window.as_secs()).unwrap_or(usize::MAX);
        while let Some((oldest, _)) = self.samples.front() {
            if self.samples.len() <= capacity && now.duration_since(*oldest) <= self.window {
                break;
            }
            self.samples.pop_front();
        }
    }

    pub(crate) fn latest(&self) -> Option<&Sample> {
        self.samples.back().map(|(_, sample)| sample)
    }

    /// The samples, each with how long before the latest one it was taken; oldest first.
    pub(crate) fn by_age(&self) -> impl Iterator<Item = (Duration, &Sample)> {
        let latest = self.samples.back().map(|(at, _)| *at);
        self.samples.iter().filter_map(move |(at, sample)| {
            let age = latest?.saturating_duration_since(*at);
            Some((age, sample))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(load: f64) -> Sample {
        Sample {
            load: [load; 3],
            memory_used: 0,
        }
    }

    fn loads(history: &History) -> Vec<f64> {
        history.by_age().map(|(_, sample)| sample.load[0]).collect()
    }

    #[test]
    fn what_is_older_than_the_window_leaves() {
        let mut history = History::new(Duration::from_secs(60));
        let start = Instant::now();
        for (second, load) in [(0, 1.0), (30, 2.0), (60, 3.0), (75, 4.0)] {
            history.push(start + Duration::from_secs(second), sample(load));
        }
        assert_eq!(loads(&history), [2.0, 3.0, 4.0]);
        assert_eq!(history.latest().map(|latest| latest.load[0]), Some(4.0));
        let ages: Vec<_> = history.by_age().map(|(age, _)| age.as_secs()).collect();
        assert_eq!(ages, [45, 15, 0]);
    }

    #[test]
    fn a_short_interval_does_not_make_it_grow() {
        let mut history = History::new(Duration::from_secs(60));
        let start = Instant::now();
        for millisecond in 0..1000 {
            history.push(
                start + Duration::from_millis(millisecond),
                sample(millisecond as f64),
            );
        }
        assert_eq!(loads(&history).len(), 60);
        assert_eq!(loads(&history).first(), Some(&940.0));
    }

    #[test]
    fn this_machine_can_be_measured() {
        let mut sampler = Sampler::new().unwrap();
        let sample = sampler.sample().unwrap();
        assert!(sampler.facts().processors > 0);
        assert!(sample.memory_used <= sampler.facts().memory_total);
        assert!(sample.load.iter().all(|load| *load >= 0.0));
    }
}
