//! What an embedder is told of what a plugin uses. A copy, with the unit of each number in its name.

use std::time::Duration;

use super::limits::LimitLevel;
use super::wall::BOUNDS;

/// What the calls of a plugin have used since its id became known, also before a reload.
///
/// Wall time is measured of every call, by the engine's clock. CPU time is that of the thread which made the call, measured of
/// some calls: of updates at most about once a second, so of each if the interval is a second or longer; of every other call.
/// Not seen are threads that the plugin started itself, and calls of a replacement before it takes over. Memory is not there:
/// plugins share the allocator of the process, and nobody can say whose an allocation is.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct PluginUsage {
    /// Updates.
    pub updates: CallUsage,
    /// All other calls: create, display, destroy, saving the state.
    pub others: CallUsage,
    /// CPU time of all calls, in microseconds: an estimate, from those that were measured. `None` if none was.
    pub cpu_total_us: Option<f64>,
    /// How many calls that rests on.
    pub cpu_sampled_calls: u64,
    /// What was used lately; `None` before the first update.
    pub recent: Option<RecentUsage>,
    /// How the plugin stands to the limits that its configuration sets.
    pub limits: LimitLevel,
}

/// What calls of one kind have used.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct CallUsage {
    /// Calls that returned or passed their deadline.
    pub calls: u64,
    /// How long they took together, in microseconds. One that passed its deadline counts up to that moment.
    pub wall_total_us: f64,
    /// How long they took on average; 0 for none.
    pub wall_mean_us: f64,
    /// How long the longest took.
    pub wall_max_us: f64,
    /// What calls that had passed their deadlines took beyond them, of those that have returned since. In no other number but
    /// the CPU time.
    pub late_total_us: f64,
    /// How the times are spread. Of updates only; `None` if there was none.
    pub percentiles: Option<Percentiles>,
    /// Their CPU time in microseconds: an estimate, the wall time of all times `cpu_share`. `None` if none was measured.
    pub cpu_total_us: Option<f64>,
    /// Of how many the CPU time was measured.
    pub cpu_sampled_calls: u64,
    /// The share of their time in which they computed, from 0 to 1, by those that were measured; the rest they waited. `None` if
    /// none was measured, or no time passed meanwhile on the engine's clock.
    pub cpu_share: Option<f64>,
}

/// How long calls took at most, but for so few. Right to an eighth of the value, and never less than it.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Percentiles {
    /// Half of the calls took no longer, in microseconds.
    pub p50_us: f64,
    /// 90 in 100.
    pub p90_us: f64,
    /// 99 in 100.
    pub p99_us: f64,
    /// 999 in 1,000.
    pub p999_us: f64,
}

/// What is counted of a plugin since its id became known, for a monitoring system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PluginTallies {
    /// Its updates.
    pub updates: UpdateDurations,
    /// How often a policy has restarted it.
    pub restarts: u64,
}

/// How the updates of a plugin are spread over times, since its id became known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct UpdateDurations {
    /// Updates that returned or passed their deadline.
    pub calls: u64,
    /// How long they took together. One that passed its deadline counts up to that moment.
    pub total: Duration,
    /// How many of them took less than each of [`DURATION_BOUNDS`](crate::DURATION_BOUNDS).
    pub below: [u64; BOUNDS],
}

/// What calls have used in the last one to two windows (see `limits.window` in the configuration); what is older is forgotten.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct RecentUsage {
    /// How long that is, in milliseconds of the engine's clock.
    pub span_ms: u64,
    /// How many updates there were.
    pub updates: u64,
    /// How long they took on average; `None` for none.
    pub update_mean_us: Option<f64>,
    /// CPU time of all calls, in percent of one processor. `None` if none was measured.
    pub cpu_percent: Option<f64>,
}

/// Nanoseconds as microseconds.
pub(super) fn micros(nanos: u64) -> f64 {
    nanos as f64 / 1_000.0
}
