//! What follows at a moment from what tasks have reported: who is stale, and why.

use std::fmt;
use std::time::Duration;

use super::{Liveness, Task, TaskEnd, TaskKind, stale_after};
use crate::Moment;

/// What is known of one task at a moment. A copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskReport {
    /// Its name.
    pub name: Box<str>,
    /// Whose it is.
    pub kind: TaskKind,
    /// When its own loop last recorded progress.
    pub last_progress: Option<Moment>,
    /// Since when it is busy with what it is busy with now.
    pub busy_since: Option<Moment>,
    /// Whether what it is busy with is known to be long.
    pub protected: bool,
    /// Why it is stale, if it is.
    pub stale: Option<Staleness>,
    /// Why it does not run any more, if it does not.
    pub ended: Option<TaskEnd>,
    /// How often it was begun again after a panic.
    pub restarts: u32,
}

/// Why a task is stale.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Staleness {
    /// No task of this name was ever started.
    NeverStarted,
    /// It has never recorded progress.
    NoProgressYet,
    /// It has recorded none for too long.
    Silent {
        /// For how long.
        since: Duration,
        /// How long it may.
        limit: Duration,
    },
    /// It has panicked more often than its policy allows, and is not started any more.
    GaveUp {
        /// How often it was started again.
        restarts: u32,
    },
}

impl fmt::Display for Staleness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeverStarted => f.write_str("no such task was ever started"),
            Self::NoProgressYet => f.write_str("it has never made progress"),
            Self::Silent { since, limit } => {
                let since = in_millis(*since);
                let limit = in_millis(*limit);
                write!(f, "no progress for {since}, longer than {limit}")
            }
            Self::GaveUp { restarts } => write!(
                f,
                "given up after a panic, having been started again {restarts} times"
            ),
        }
    }
}

/// A duration in words, no finer than anybody wants to read.
fn in_millis(duration: Duration) -> humantime::FormattedDuration {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    humantime::format_duration(Duration::from_millis(millis))
}

/// A task that is stale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stale {
    /// Its name.
    pub name: Box<str>,
    /// Why.
    pub why: Staleness,
}

impl fmt::Display for Stale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.why)
    }
}

/// What is known of a plugin that has recorded progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginProgress {
    /// The name under which it is told, `plugin.<id>`.
    pub name: Box<str>,
    /// When one of its calls last recorded progress.
    pub last_progress: Moment,
    /// When the call began that is in flight, if there is one.
    pub call_began: Option<Moment>,
    /// Its interval.
    pub period: Duration,
    /// Whether it was unloaded.
    pub unloaded: bool,
}

impl PluginProgress {
    /// A plugin that is not being called owes nobody any progress; a call owes it from its beginning on.
    fn report(&self, threshold: Option<Duration>, now: Moment) -> TaskReport {
        let stale = self.call_began.and_then(|began| {
            let last = self.last_progress.max(began);
            silence(last, self.period, threshold, now)
        });
        TaskReport {
            name: self.name.clone(),
            kind: TaskKind::Plugin,
            last_progress: Some(self.last_progress),
            busy_since: self.call_began,
            protected: false,
            stale,
            ended: self.unloaded.then_some(TaskEnd::Returned),
            restarts: 0,
        }
    }
}

impl Liveness {
    /// What is known of every task, and of these plugins, at `now`: each judged by its own period.
    #[must_use]
    pub fn report(&self, plugins: &[PluginProgress], now: Moment) -> Vec<TaskReport> {
        let tasks = self.tasks.iter();
        let tasks = tasks.map(|task| task.report(task.facts.expected, None, now));
        let plugins = plugins.iter().map(|plugin| plugin.report(None, now));
        tasks.chain(plugins).collect()
    }

    /// Whether those that are expected make progress: those of these names, and those that were entered as expected. A task that was
    /// cancelled or has returned is well. With a `threshold`, that is how long each may go without progress, whatever its period.
    ///
    /// # Errors
    /// Those that are stale, in the order of their names.
    pub fn check(
        &self,
        expected: &[&str],
        threshold: Option<Duration>,
        plugins: &[PluginProgress],
        now: Moment,
    ) -> Result<(), Vec<Stale>> {
        let mut stale = Vec::new();
        let mut judge = |report: TaskReport| {
            if let Some(why) = report.stale {
                let name = report.name;
                stale.push(Stale { name, why });
            }
        };
        let is_asked = |name: &str| expected.contains(&name);
        for task in &self.tasks {
            if task.facts.expected || is_asked(&task.name) {
                judge(task.report(true, threshold, now));
            }
        }
        for plugin in plugins.iter().filter(|plugin| is_asked(&plugin.name)) {
            judge(plugin.report(threshold, now));
        }
        let is_known = |name: &str| {
            let mut names = self.tasks.iter().map(|task| &*task.name);
            names.any(|known| known == name) || plugins.iter().any(|plugin| &*plugin.name == name)
        };
        for name in expected.iter().filter(|name| !is_known(name)) {
            stale.push(Stale {
                name: (*name).into(),
                why: Staleness::NeverStarted,
            });
        }
        if stale.is_empty() {
            return Ok(());
        }
        stale.sort_by(|one, other| one.name.cmp(&other.name));
        stale.dedup();
        Err(stale)
    }
}

impl Task {
    fn report(&self, expected: bool, threshold: Option<Duration>, now: Moment) -> TaskReport {
        TaskReport {
            name: self.name.clone(),
            kind: self.facts.kind,
            last_progress: self.last_progress,
            busy_since: self.busy_since,
            protected: self.zones > 0,
            stale: self.judge(expected, threshold, now),
            ended: self.ended,
            restarts: self.restarts(),
        }
    }

    fn restarts(&self) -> u32 {
        self.runs.saturating_sub(1)
    }

    fn judge(&self, expected: bool, threshold: Option<Duration>, now: Moment) -> Option<Staleness> {
        match self.ended {
            Some(TaskEnd::Returned | TaskEnd::Cancelled) => None,
            Some(TaskEnd::GaveUp) => Some(Staleness::GaveUp {
                restarts: self.restarts(),
            }),
            // What is known to be long says since when it is busy, and that is all there is to say.
            None if self.zones > 0 => None,
            None => match self.last_progress {
                None => expected.then_some(Staleness::NoProgressYet),
                Some(last) => silence(last, self.facts.period, threshold, now),
            },
        }
    }
}

/// Why something is stale whose last progress was then, if it is.
fn silence(
    last: Moment,
    period: Duration,
    threshold: Option<Duration>,
    now: Moment,
) -> Option<Staleness> {
    let limit = threshold.unwrap_or_else(|| stale_after(period));
    let since = now.saturating_since(last);
    (since > limit).then_some(Staleness::Silent { since, limit })
}
