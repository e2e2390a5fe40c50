//! What an engine that runs knows of a plugin, gathered at one moment. The only part of this module that reads anything but its arguments.

use std::sync::Arc;

use plugin_engine_core::{HistoryFilter, PluginId, WallTime};

use super::input::{Counted, EngineEnd, Left, Policies, RefusedFile, WhyInput, nearest_of};
use super::{Why, explain};
use crate::cell::Guarded;
use crate::clock::TimeSource;
use crate::effective;
use crate::engine::Engine;
use crate::error::LoadError;
use crate::query;
use crate::shared::Shared;
use crate::snapshot::Snapshot;

/// How many entries are looked at, the newest ones: as many as memory keeps of one plugin, and some more where there is a state directory.
const ENTRIES_MAX: usize = 4_096;

impl Engine {
    /// Why a plugin is as it is: its state and since when, what led there, what is wrong, what happens next and when, and which policy decides.
    /// An unknown id is explained, too, with the nearest one that is known. Never waits for a plugin.
    ///
    /// ```
    /// # let engine = plugin_engine::Engine::builder().build()?;
    /// let why = engine.why("clock");
    /// println!("{why}");                      // a few lines for a person
    /// assert!(!why.is_known);
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    #[must_use]
    pub fn why(&self, id: &str) -> Why {
        explain(&gather(self.shared(), id))
    }
}

fn gather(engine: &Shared, asked: &str) -> WhyInput {
    let board = &engine.board;
    let time = &board.ledger.time;
    let moment = time.now();
    let now = time.wall_at(moment);
    let refused = engine.refused.unshown();
    let Some(cell) = board.registry.find(asked) else {
        let ids = board.registry.all().map(|cell| &cell.id);
        // Another process may have known it, which is told where history outlives processes.
        let id = PluginId::new(asked).ok();
        let left = id
            .map(|id| entries(engine, id, u64::MAX))
            .unwrap_or_default();
        let is_known = !left.entries.is_empty();
        return WhyInput {
            asked: asked.to_owned(),
            now,
            end: EngineEnd::None,
            is_known,
            snapshot: Snapshot::unknown(asked),
            counted: Counted::default(),
            nearest: nearest_of(asked, ids).filter(|_| !is_known),
            left,
            policies: None,
            refused: refusals(&refused, |_| false, asked),
        };
    };
    let guarded = cell.lock();
    // Under the lock nobody publishes another.
    let mut snapshot = cell.snapshot(time);
    // One that was never loaded was never in another state.
    snapshot.since = snapshot.since.filter(|since| *since > WallTime::default());
    let counted = counted(&guarded, time, moment);
    let said = guarded.source.as_ref().map(|source| {
        let loaded = guarded.loaded.as_ref();
        let manifest = loaded.map(|loaded| &loaded.library.manifest);
        effective::policies(&source.config, manifest)
    });
    let policies = Policies {
        health: *guarded.machine.health_policy(),
        limits: *guarded.machine.limits(),
        interval: guarded.machine.schedule().interval(),
        said: said.unwrap_or_default(),
    };
    drop(guarded);
    let left = entries(engine, cell.id.clone(), snapshot.seq);
    let claims =
        |error: &LoadError| matches!(error, LoadError::Duplicate { id, .. } if *id == cell.id);
    WhyInput {
        asked: asked.to_owned(),
        now,
        end: EngineEnd::None,
        is_known: true,
        snapshot,
        counted,
        left,
        policies: Some(policies),
        refused: refusals(&refused, claims, asked),
        nearest: None,
    }
}

fn counted(guarded: &Guarded, time: &TimeSource, moment: plugin_engine_core::Moment) -> Counted {
    let machine = &guarded.machine;
    let wall = |at| -> WallTime { time.wall_at(at) };
    Counted {
        off_by_hand: guarded.off_by_hand,
        unloaded_by_hand: guarded.unloaded_by_hand.is_some(),
        waits_for_restart: machine.waits_for_restart(),
        restarts: machine.restarts_in_window(moment),
        panics: machine.panics_that_count(),
        well_since: machine.well_since().map(wall),
        poisoned: machine.is_poisoned(),
        orphans: machine.orphans(),
        probation_until: guarded.probation.as_ref().map(|one| wall(one.until)),
    }
}

/// The entries of a plugin up to the one that its snapshot is of.
fn entries(engine: &Shared, id: PluginId, up_to: u64) -> Left {
    let filter = HistoryFilter {
        newest_first: true,
        limit: Some(ENTRIES_MAX),
        ..HistoryFilter::of(id)
    };
    let mut answer = query::answer(engine, &filter);
    answer.entries.retain(|entry| entry.seq <= up_to);
    answer.entries.reverse();
    Left {
        entries: answer.entries,
        lost: answer.lost,
        problem: answer.problem,
    }
}

/// The refused files that claim the id, or whose names look like it where nobody could read whose they are.
fn refusals(
    refused: &[Arc<LoadError>],
    claims: impl Fn(&LoadError) -> bool,
    asked: &str,
) -> Vec<RefusedFile> {
    refused
        .iter()
        .filter_map(|error| {
            let file = RefusedFile {
                path: error.path().to_owned(),
                code: error.code(),
                message: error.to_string(),
            };
            let other_id = matches!(**error, LoadError::Duplicate { .. });
            (claims(error) || (!other_id && file.may_be(asked))).then_some(file)
        })
        .collect()
}
