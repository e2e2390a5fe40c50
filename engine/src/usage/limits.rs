//! Limits of what a plugin may use, and when it has passed them or keeps them again. Never what follows from that.

use std::time::Duration;

use plugin_engine_core::{FaultKind, FaultReport};

use super::window::Used;
use crate::code::Code;

/// How far below a limit it has to come for a limit that was passed to be kept again: a fifth of it. Else one who uses just as
/// much as the limit says would pass it and keep it by turns.
const BELOW_SHARE: u64 = 5;

/// From where on a plugin is degraded, and from where on unhealthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Levels<T> {
    pub(crate) degraded: Option<T>,
    pub(crate) unhealthy: Option<T>,
}

impl<T> Default for Levels<T> {
    fn default() -> Self {
        Self {
            degraded: None,
            unhealthy: None,
        }
    }
}

impl<T: Copy> Levels<T> {
    fn is_empty(&self) -> bool {
        self.degraded.is_none() && self.unhealthy.is_none()
    }

    fn map(self, nanos: impl Fn(T) -> u64) -> Levels<u64> {
        Levels {
            degraded: self.degraded.map(&nanos),
            unhealthy: self.unhealthy.map(&nanos),
        }
    }

    /// The limit that was passed where that led to `level`.
    fn passed(&self, level: LimitLevel) -> Option<T> {
        match level {
            LimitLevel::Kept => None,
            LimitLevel::Degraded => self.degraded,
            LimitLevel::Unhealthy => self.unhealthy,
        }
    }
}

/// The limits of one plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UsageLimits {
    /// Over how long they are judged.
    pub(crate) window: Duration,
    /// CPU time of the calls, in percent of one processor.
    pub(crate) cpu_percent: Levels<u64>,
    /// How long updates take on average.
    pub(crate) update_mean: Levels<Duration>,
}

impl UsageLimits {
    /// No limits, with that window.
    pub(crate) fn none(window: Duration) -> Self {
        Self {
            window,
            cpu_percent: Levels::default(),
            update_mean: Levels::default(),
        }
    }

    fn is_empty(&self) -> bool {
        self.cpu_percent.is_empty() && self.update_mean.is_empty()
    }
}

/// How a plugin stands to its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitLevel {
    /// It keeps them, or has none.
    #[default]
    Kept,
    /// It has passed one from which on it is degraded.
    Degraded,
    /// It has passed one from which on it is unhealthy.
    Unhealthy,
}

/// What is to be told because it has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Passed {
        unhealthy: bool,
        report: FaultReport,
    },
    Kept,
}

/// How a plugin stands to each of its limits.
#[derive(Debug)]
pub(super) struct Judge {
    cpu: LimitLevel,
    mean: LimitLevel,
    /// What was told last; `None` if nobody can rely on that any more.
    told: Option<LimitLevel>,
}

impl Default for Judge {
    fn default() -> Self {
        Self {
            cpu: LimitLevel::Kept,
            mean: LimitLevel::Kept,
            told: Some(LimitLevel::Kept),
        }
    }
}

impl Judge {
    /// Begins anew. Whoever was told of a limit that was passed is told how it stands after the next window, whatever that is: it may
    /// have begun anew, too, or not.
    pub(super) fn begin_anew(&mut self) {
        let told = self.told.filter(|told| *told == LimitLevel::Kept);
        *self = Self {
            told,
            ..Self::default()
        };
    }

    /// What was told last was not heard: it is told again after the next window.
    pub(super) fn not_heard(&mut self) {
        self.told = None;
    }

    /// How the plugin stands to its limits altogether.
    pub(super) fn level(&self) -> LimitLevel {
        self.cpu.max(self.mean)
    }

    /// Judges a window. `None` if nothing has changed.
    pub(super) fn judge(&mut self, limits: &UsageLimits, used: &Used) -> Option<Verdict> {
        if limits.is_empty() {
            (self.cpu, self.mean) = (LimitLevel::Kept, LimitLevel::Kept);
        } else {
            let span_ns = used.span_ns();
            let share = |percent: u64| share_of(span_ns, percent);
            let cpu_limits = limits.cpu_percent.map(share);
            self.cpu = next(self.cpu, used.totals.cpu_ns(), cpu_limits);
            let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
            let mean_limits = limits.update_mean.map(nanos);
            self.mean = next(self.mean, used.totals.update_mean_ns(), mean_limits);
        }
        let level = self.level();
        if self.told.replace(level) == Some(level) {
            return None;
        }
        if level == LimitLevel::Kept {
            return Some(Verdict::Kept);
        }
        Some(Verdict::Passed {
            unhealthy: level == LimitLevel::Unhealthy,
            report: self.report(limits, used, level),
        })
    }

    /// Says which limit was passed, and by how much.
    fn report(&self, limits: &UsageLimits, used: &Used, level: LimitLevel) -> FaultReport {
        let span = humantime::format_duration(Duration::from_secs(used.span.as_secs().max(1)));
        let (code, message) = if self.cpu == level {
            let cpu_ns = used.totals.cpu_ns().unwrap_or_default();
            let percent = cpu_ns as f64 * 100.0 / used.span_ns() as f64;
            let limit = limits.cpu_percent.passed(level).unwrap_or_default();
            let text = format!(
                "its calls took {percent:.0} % of one processor in the last {span}, and the limit is {limit} %"
            );
            (Code::CPU_LIMIT, text)
        } else {
            let mean = Duration::from_nanos(used.totals.update_mean_ns().unwrap_or_default());
            let limit = limits.update_mean.passed(level).unwrap_or_default();
            let text = format!(
                "its updates took {} on average in the last {span}, and the limit is {}",
                humantime::format_duration(rounded(mean)),
                humantime::format_duration(limit)
            );
            (Code::UPDATE_MEAN_LIMIT, text)
        };
        FaultReport {
            type_name: code.to_string(),
            ..FaultReport::new(FaultKind::Limit, format!("{message} [{code}]"))
        }
    }
}

fn share_of(span_ns: u64, percent: u64) -> u64 {
    let share = u128::from(span_ns) * u128::from(percent) / 100;
    u64::try_from(share).unwrap_or(u64::MAX)
}

/// To whole microseconds, and above a second to whole milliseconds: more says nothing to anybody.
fn rounded(time: Duration) -> Duration {
    let unit = if time >= Duration::from_secs(1) {
        1_000_000
    } else {
        1_000
    };
    Duration::from_nanos(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX) / unit * unit)
}

/// How one value stands to its limits, where it stood `before`. What is not known changes nothing.
fn next(before: LimitLevel, value: Option<u64>, limits: Levels<u64>) -> LimitLevel {
    if limits.is_empty() {
        return LimitLevel::Kept;
    }
    let Some(value) = value else { return before };
    let passes = |limit: Option<u64>, level: LimitLevel| {
        limit.is_some_and(|limit| {
            let margin = if before >= level {
                limit / BELOW_SHARE
            } else {
                0
            };
            value > limit - margin
        })
    };
    if passes(limits.unhealthy, LimitLevel::Unhealthy) {
        LimitLevel::Unhealthy
    } else if passes(limits.degraded, LimitLevel::Degraded) {
        LimitLevel::Degraded
    } else {
        LimitLevel::Kept
    }
}

#[cfg(test)]
mod tests {
    use super::super::cpu::SampledCpu;
    use super::super::window::Totals;
    use super::*;

    const WINDOW: Duration = Duration::from_secs(60);

    fn limits() -> UsageLimits {
        UsageLimits {
            cpu_percent: Levels {
                degraded: Some(20),
                unhealthy: Some(80),
            },
            update_mean: Levels {
                degraded: Some(Duration::from_millis(50)),
                unhealthy: None,
            },
            ..UsageLimits::none(WINDOW)
        }
    }

    /// A window in which calls took that share of a processor, and updates so long on average.
    fn used(cpu_percent: u64, mean_ms: u64) -> Used {
        let span_ns = 60_000_000_000;
        Used {
            span: WINDOW,
            totals: Totals {
                updates: 10,
                update_ns: mean_ms * 10_000_000,
                other_cpu: SampledCpu {
                    calls: 1,
                    wall_ns: span_ns,
                    cpu_ns: span_ns / 100 * cpu_percent,
                },
                ..Totals::default()
            },
        }
    }

    fn unhealthy(verdict: Option<Verdict>) -> Option<bool> {
        match verdict {
            Some(Verdict::Passed { unhealthy, .. }) => Some(unhealthy),
            _ => None,
        }
    }

    #[test]
    fn a_limit_that_is_passed_is_told_once_and_once_that_it_is_kept_again() {
        let mut judge = Judge::default();
        let limits = limits();
        assert_eq!(judge.judge(&limits, &used(20, 50)), None);
        assert_eq!(unhealthy(judge.judge(&limits, &used(21, 1))), Some(false));
        for _ in 0..100 {
            assert_eq!(judge.judge(&limits, &used(30, 1)), None);
        }
        assert_eq!(judge.judge(&limits, &used(16, 1)), Some(Verdict::Kept));
        for _ in 0..100 {
            assert_eq!(judge.judge(&limits, &used(20, 1)), None);
        }
        assert_eq!(unhealthy(judge.judge(&limits, &used(21, 1))), Some(false));
    }

    #[test]
    fn one_who_uses_about_as_much_as_the_limit_does_not_pass_and_keep_it_by_turns() {
        let mut judge = Judge::default();
        let told = (0..100)
            .filter_map(|n| judge.judge(&limits(), &used(if n % 2 == 0 { 21 } else { 17 }, 1)))
            .count();
        assert_eq!(told, 1);
    }

    #[test]
    fn every_step_between_the_levels_is_told() {
        let mut judge = Judge::default();
        let limits = limits();
        assert_eq!(unhealthy(judge.judge(&limits, &used(81, 1))), Some(true));
        assert_eq!(judge.judge(&limits, &used(65, 1)), None);
        assert_eq!(unhealthy(judge.judge(&limits, &used(64, 1))), Some(false));
        assert_eq!(unhealthy(judge.judge(&limits, &used(90, 1))), Some(true));
        assert_eq!(judge.judge(&limits, &used(0, 0)), Some(Verdict::Kept));
        assert_eq!(judge.level(), LimitLevel::Kept);
    }

    #[test]
    fn the_worst_limit_counts_and_the_report_names_it() {
        let mut judge = Judge::default();
        let mut report = |used: Used| match judge.judge(&limits(), &used) {
            Some(Verdict::Passed { report, .. }) => report,
            other => panic!("{other:?}"),
        };
        let mean = report(used(1, 75));
        assert_eq!(
            (mean.kind, mean.message.as_str()),
            (
                FaultKind::Limit,
                "its updates took 75ms on average in the last 1m, and the limit is 50ms [PE0632]"
            )
        );
        let cpu = report(used(93, 75));
        assert_eq!(
            cpu.message,
            "its calls took 93 % of one processor in the last 1m, and the limit is 80 % [PE0631]"
        );
        assert_eq!(cpu.type_name, "PE0631");
    }

    #[test]
    fn a_limit_that_is_taken_away_is_kept_and_what_is_not_known_changes_nothing() {
        let mut judge = Judge::default();
        judge.judge(&limits(), &used(90, 90));
        let unknown = Used {
            span: WINDOW,
            totals: Totals::default(),
        };
        assert_eq!(judge.judge(&limits(), &unknown), None);
        assert_eq!(judge.level(), LimitLevel::Unhealthy);
        let none = UsageLimits::none(WINDOW);
        assert_eq!(judge.judge(&none, &used(90, 90)), Some(Verdict::Kept));
        assert_eq!(judge.judge(&none, &used(90, 90)), None);
    }

    #[test]
    fn who_was_told_of_a_passed_limit_is_told_again_how_it_stands_after_a_new_beginning() {
        let mut judge = Judge::default();
        judge.begin_anew();
        assert_eq!(judge.judge(&limits(), &used(1, 1)), None);
        for use_then in [1, 30] {
            assert_eq!(unhealthy(judge.judge(&limits(), &used(30, 1))), Some(false));
            judge.begin_anew();
            assert_eq!(judge.level(), LimitLevel::Kept);
            let told = judge.judge(&limits(), &used(use_then, 1));
            assert!(told.is_some(), "{use_then}");
            assert_eq!(judge.judge(&limits(), &used(use_then, 1)), None);
        }
    }

    #[test]
    fn what_was_not_heard_is_told_again() {
        let mut judge = Judge::default();
        assert!(judge.judge(&limits(), &used(30, 1)).is_some());
        judge.not_heard();
        assert!(judge.judge(&limits(), &used(30, 1)).is_some());
        assert!(judge.judge(&limits(), &used(30, 1)).is_none());
    }

    #[test]
    fn a_level_from_which_on_a_plugin_is_unhealthy_needs_no_other_below_it() {
        let mut judge = Judge::default();
        let mut only = UsageLimits::none(WINDOW);
        only.cpu_percent.unhealthy = Some(50);
        assert_eq!(judge.judge(&only, &used(50, 1)), None);
        assert_eq!(unhealthy(judge.judge(&only, &used(51, 1))), Some(true));
        assert_eq!(judge.judge(&only, &used(41, 1)), None);
        assert_eq!(judge.judge(&only, &used(40, 1)), Some(Verdict::Kept));
    }
}
