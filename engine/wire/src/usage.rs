//! What the calls of a plugin have used.

use plugin_engine::{LimitLevel, PluginUsage};
use serde::{Deserialize, Serialize};

use crate::Word;

/// What the calls of a plugin have used since its id became known; see [`plugin_engine::PluginUsage`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Updates.
    pub updates: CallUsage,
    /// All other calls.
    pub others: CallUsage,
    /// CPU time of all calls in microseconds, an estimate; absent if none was measured.
    pub cpu_total_us: Option<f64>,
    /// How many calls that rests on.
    pub cpu_sampled_calls: u64,
    /// What was used lately; absent before the first update.
    pub recent: Option<RecentUsage>,
    /// `kept`, `degraded` or `unhealthy`: how it stands to the limits of its configuration.
    pub limits: Word,
}

/// What calls of one kind have used. Times are in microseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallUsage {
    /// Calls that returned or passed their deadline.
    pub calls: u64,
    /// How long they took together.
    pub wall_total_us: f64,
    /// On average.
    pub wall_mean_us: f64,
    /// The longest.
    pub wall_max_us: f64,
    /// What calls took beyond their deadlines.
    pub late_total_us: f64,
    /// How the times are spread; of updates only.
    pub percentiles: Option<Percentiles>,
    /// Their CPU time, an estimate.
    pub cpu_total_us: Option<f64>,
    /// Of how many it was measured.
    pub cpu_sampled_calls: u64,
    /// The share of their time in which they computed, from 0 to 1.
    pub cpu_share: Option<f64>,
}

/// How long calls took at most, but for so few, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Percentiles {
    /// Half of the calls.
    pub p50_us: f64,
    /// 90 in 100.
    pub p90_us: f64,
    /// 99 in 100.
    pub p99_us: f64,
    /// 999 in 1,000.
    pub p999_us: f64,
}

/// What calls have used lately.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RecentUsage {
    /// How long a time that is, in milliseconds.
    pub span_ms: u64,
    /// How many updates there were.
    pub updates: u64,
    /// How long they took on average, in microseconds.
    pub update_mean_us: Option<f64>,
    /// CPU time of all calls, in percent of one processor.
    pub cpu_percent: Option<f64>,
}

impl From<&PluginUsage> for Usage {
    fn from(usage: &PluginUsage) -> Self {
        Self {
            updates: (&usage.updates).into(),
            others: (&usage.others).into(),
            cpu_total_us: usage.cpu_total_us,
            cpu_sampled_calls: usage.cpu_sampled_calls,
            recent: usage.recent.as_ref().map(RecentUsage::from),
            limits: match usage.limits {
                LimitLevel::Kept => "kept",
                LimitLevel::Degraded => "degraded",
                LimitLevel::Unhealthy => "unhealthy",
            }
            .into(),
        }
    }
}

impl From<&plugin_engine::CallUsage> for CallUsage {
    fn from(usage: &plugin_engine::CallUsage) -> Self {
        Self {
            calls: usage.calls,
            wall_total_us: usage.wall_total_us,
            wall_mean_us: usage.wall_mean_us,
            wall_max_us: usage.wall_max_us,
            late_total_us: usage.late_total_us,
            percentiles: usage.percentiles.as_ref().map(Percentiles::from),
            cpu_total_us: usage.cpu_total_us,
            cpu_sampled_calls: usage.cpu_sampled_calls,
            cpu_share: usage.cpu_share,
        }
    }
}

impl From<&plugin_engine::Percentiles> for Percentiles {
    fn from(of: &plugin_engine::Percentiles) -> Self {
        Self {
            p50_us: of.p50_us,
            p90_us: of.p90_us,
            p99_us: of.p99_us,
            p999_us: of.p999_us,
        }
    }
}

impl From<&plugin_engine::RecentUsage> for RecentUsage {
    fn from(usage: &plugin_engine::RecentUsage) -> Self {
        Self {
            span_ms: usage.span_ms,
            updates: usage.updates,
            update_mean_us: usage.update_mean_us,
            cpu_percent: usage.cpu_percent,
        }
    }
}
