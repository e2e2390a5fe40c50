//! The CPU time that calls took on the thread that made them: of some of them, and what follows for all. What a plugin does on
//! threads of its own is not seen here.

use std::time::Duration;

use rustix::time::{ClockId, DynamicClockId, clock_gettime_dynamic};

/// Measures the CPU time of one call, on the thread that makes it.
pub(crate) struct CpuMeter {
    began: Duration,
}

impl CpuMeter {
    /// `None` where the system has no such clock. A read of it is a system call, and takes as long as several updates.
    pub(crate) fn start() -> Option<Self> {
        thread_cpu_time().map(|began| Self { began })
    }

    /// What this thread has used since.
    pub(crate) fn used(self) -> Option<Duration> {
        Some(thread_cpu_time()?.saturating_sub(self.began))
    }
}

fn thread_cpu_time() -> Option<Duration> {
    let clock = DynamicClockId::Known(ClockId::ThreadCPUTime);
    Duration::try_from(clock_gettime_dynamic(clock).ok()?).ok()
}

/// The calls of which the CPU time was measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct SampledCpu {
    pub(super) calls: u64,
    pub(super) wall_ns: u64,
    pub(super) cpu_ns: u64,
}

impl SampledCpu {
    pub(super) fn add(&mut self, wall_ns: u64, cpu_ns: u64) {
        self.calls += 1;
        self.wall_ns = self.wall_ns.saturating_add(wall_ns);
        self.cpu_ns = self.cpu_ns.saturating_add(cpu_ns);
    }

    /// What came after `before`.
    pub(super) fn since(&self, before: &Self) -> Self {
        Self {
            calls: self.calls - before.calls,
            wall_ns: self.wall_ns - before.wall_ns,
            cpu_ns: self.cpu_ns - before.cpu_ns,
        }
    }

    /// The CPU time of calls that took `wall_ns` together, if they are as those that were measured. `None` where nothing was
    /// measured, or no time passed meanwhile.
    pub(super) fn estimate_ns(&self, wall_ns: u64) -> Option<u64> {
        let estimate = (u128::from(wall_ns) * u128::from(self.cpu_ns))
            .checked_div(u128::from(self.wall_ns))?;
        Some(u64::try_from(estimate).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_computes_uses_cpu_time_and_one_that_waits_next_to_none() {
        let meter = CpuMeter::start().unwrap();
        let (asked, answer) = std::sync::mpsc::channel();
        let other = std::thread::spawn(move || {
            let meter = CpuMeter::start().unwrap();
            let mut sum = 0_u64;
            while thread_cpu_time().unwrap() - meter.began < Duration::from_millis(50) {
                sum = std::hint::black_box(sum.wrapping_add(1));
            }
            let computed = meter.used().unwrap();
            // What was used before it began is not its business.
            let later = CpuMeter::start().unwrap().used().unwrap();
            asked.send((computed, later)).unwrap();
        });
        let (computed, later) = answer.recv().unwrap();
        other.join().unwrap();
        let waited = meter.used().unwrap();
        assert!(computed >= Duration::from_millis(50));
        assert!(later * 4 < computed, "{later:?} of {computed:?}");
        assert!(waited * 4 < computed, "{waited:?} of {computed:?}");
    }

    #[test]
    fn what_was_measured_stands_for_all() {
        let mut sampled = SampledCpu::default();
        assert_eq!(sampled.estimate_ns(1_000), None);
        sampled.add(100, 10);
        sampled.add(300, 90);
        assert_eq!(sampled.estimate_ns(4_000), Some(1_000));
        // No overflow in between.
        let half = SampledCpu {
            calls: 1,
            wall_ns: 1 << 62,
            cpu_ns: 1 << 61,
        };
        assert_eq!(half.estimate_ns(1 << 63), Some(1 << 62));
    }
}
