//! Which tasks and plugins make progress, as an embedder sees it. The judgement is the core's.

use std::sync::atomic::Ordering;
use std::time::Duration;

use plugin_engine_core::{
    Moment, PluginProgress, PluginState, Stale, Staleness, TaskEnd, TaskKind, TaskReport, WallTime,
};

use crate::shared::Shared;

/// What is known of one task, or of a plugin that records progress, at a moment. A copy.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskLiveness {
    /// The task's name; `plugin.<id>` of a plugin.
    pub name: Box<str>,
    /// Whose it is.
    pub kind: TaskKind,
    /// When its own loop, or a call of the plugin, last recorded progress.
    pub last_progress: Option<WallTime>,
    /// How many whole seconds ago that was, by the engine's clock.
    pub seconds_ago: Option<u64>,
    /// Since when it is busy with what it is busy with; of a plugin, when the call began that is in flight.
    pub busy_since: Option<WallTime>,
    /// Whether what it is busy with is known to be long, so that it is not stale however long that lasts.
    pub protected: bool,
    /// Why it is stale, if it is.
    pub stale: Option<Staleness>,
    /// Why it does not run any more, if it does not.
    pub ended: Option<TaskEnd>,
    /// How often it was started again after a panic. Plugins are not restarted by the supervisor of tasks.
    pub restarts: u32,
}

/// Tasks that were expected to make progress and do not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", in_words(tasks))]
#[non_exhaustive]
pub struct StaleTasks {
    /// Which, by their names, each with why.
    pub tasks: Vec<Stale>,
}

fn in_words(tasks: &[Stale]) -> String {
    let tasks: Vec<_> = tasks.iter().map(ToString::to_string).collect();
    tasks.join("; ")
}

/// What is known of all tasks, and of plugins that record progress.
pub(crate) fn all(engine: &Shared) -> Vec<TaskLiveness> {
    let time = &engine.board.ledger.time;
    let plugins = plugins(engine);
    // Read after the plugins: nothing of what they say is later.
    let now = time.now();
    let reports = engine
        .supervisor
        .pulse
        .liveness
        .lock()
        .report(&plugins, now);
    let told = |report: TaskReport| {
        let seconds_ago = |last: Moment| now.saturating_since(last).as_secs();
        TaskLiveness {
            name: report.name,
            kind: report.kind,
            last_progress: report.last_progress.map(|last| time.wall_at(last)),
            seconds_ago: report.last_progress.map(seconds_ago),
            busy_since: report.busy_since.map(|since| time.wall_at(since)),
            protected: report.protected,
            stale: report.stale,
            ended: report.ended,
            restarts: report.restarts,
        }
    };
    reports.into_iter().map(told).collect()
}

/// Whether those that are expected make progress.
pub(crate) fn check(
    engine: &Shared,
    expected: &[&str],
    threshold: Option<Duration>,
) -> Result<(), StaleTasks> {
    let plugins = plugins(engine);
    let now = engine.board.ledger.time.now();
    let liveness = engine.supervisor.pulse.liveness.lock();
    let checked = liveness.check(expected, threshold, &plugins, now);
    checked.map_err(|tasks| StaleTasks { tasks })
}

/// The plugins that have ever recorded progress.
fn plugins(engine: &Shared) -> Vec<PluginProgress> {
    let cells = engine.board.registry.all();
    let progress = cells.filter_map(|cell| {
        // 0 stands for never.
        let last_progress = match cell.progress.load(Ordering::Relaxed) {
            0 => return None,
            nanos => Moment::from_nanos(nanos),
        };
        let guarded = cell.lock();
        Some(PluginProgress {
            name: format!("plugin.{}", cell.id).into(),
            last_progress,
            call_began: guarded.machine.in_flight().map(|call| call.started),
            period: guarded.machine.schedule().interval(),
            unloaded: guarded.machine.state() == PluginState::Unloaded,
        })
    });
    progress.collect()
}
