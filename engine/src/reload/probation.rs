//! Probation: for a while after a reload the generation before is kept, and takes over again if the new one turns out badly.

use std::sync::Arc;

use plugin_engine_core::{CallKind, FaultKind, FaultReport, Health, Moment, PluginState};

use super::activate::activate;
use super::next::{Next, Rollback, Trigger};
use crate::cell::{Applied, Cell, Guarded, Probation, RolledBack, Source};
use crate::probations::Probations;
use crate::shared::Shared;
use crate::supervisor::{IfTaken, SuperviseError, TaskContext};

const NAME: &str = "plugin-probation";

/// How many failures in a row it takes; of panics, as many as make the plugin unhealthy.
const FAILURES: u32 = 3;

/// Begins to watch a plugin whose probation has begun. One thread watches all of them, and ends when there is none left.
pub(super) fn watch(engine: &Arc<Shared>, cell: &Arc<Cell>) {
    let bell = &engine.board.ledger.probations;
    if !bell.add(cell.index) {
        return;
    }
    if let Err(error) = start(engine) {
        bell.forget_all();
        end(engine, cell, &mut cell.lock());
        tracing::error!(target: "plugin_engine", %error, "cannot start a thread; reloads are not rolled back");
    }
}

fn start(engine: &Arc<Shared>) -> Result<(), SuperviseError> {
    let board = Arc::downgrade(&engine.board);
    let wake = move || {
        if let Some(board) = board.upgrade() {
            board.ledger.probations.ring();
        }
    };
    // The one before may be about to end.
    let entry = engine.supervisor.enter(NAME, IfTaken::Succeeds, wake)?;
    let weak = Arc::downgrade(engine);
    entry.spawn(NAME, move |context| {
        // The engine is held only for as long as one look takes, so that it can go.
        while let Some(engine) = weak.upgrade() {
            let board = Arc::clone(&engine.board);
            let probations = &board.ledger.probations;
            let seen = probations.rung();
            let next = context.round(|| look(&engine, context));
            drop(engine);
            let Some(until) = next else { break };
            let until = until.min(context.next_beat());
            probations.wait(seen, board.ledger.time.clock(), until);
        }
    })
}

/// Looks at every plugin on probation. Returns when to look again; `None` if there is nothing to look at any more.
fn look(engine: &Arc<Shared>, context: &TaskContext) -> Option<Moment> {
    let ledger = &engine.board.ledger;
    let mut next = None;
    for index in ledger.probations.all() {
        let Some(cell) = engine.board.registry.at(index) else {
            continue;
        };
        // Not in the lock of the cell, which a roll-back takes.
        let verdict = judge(engine, cell);
        match verdict {
            Verdict::Over => ledger.probations.remove(index),
            Verdict::Good { until } => {
                next = Some(next.map_or(until, |next: Moment| next.min(until)));
            }
            Verdict::Bad { .. } => {
                let put_back = PutBack::take(&ledger.probations, index);
                let _zone = context.protect();
                let again = roll_back(engine, cell);
                put_back.done();
                if let Some(until) = again {
                    ledger.probations.add(index);
                    next = Some(next.map_or(until, |next: Moment| next.min(until)));
                }
            }
        }
    }
    let stopping = engine
        .board
        .stopping
        .load(std::sync::atomic::Ordering::SeqCst);
    if stopping {
        ledger.probations.forget_all();
        return None;
    }
    next.or_else(|| ledger.probations.end_unless_more())
}

/// A plugin that is taken from the list while it is rolled back, so that what takes over is entered anew; and put back if a panic comes up.
struct PutBack<'a> {
    probations: &'a Probations,
    index: u32,
}

impl<'a> PutBack<'a> {
    fn take(probations: &'a Probations, index: u32) -> Self {
        probations.remove(index);
        Self { probations, index }
    }

    fn done(self) {
        std::mem::forget(self);
    }
}

impl Drop for PutBack<'_> {
    fn drop(&mut self) {
        self.probations.add(self.index);
    }
}

enum Verdict {
    /// The window has passed, or there is nothing to judge any more.
    Over,
    Good {
        until: Moment,
    },
    Bad {
        why: String,
    },
}

/// Judges a plugin on probation, which ends here if it is over.
fn judge(engine: &Arc<Shared>, cell: &Cell) -> Verdict {
    let mut guarded = cell.lock();
    let verdict = verdict_on(&guarded, engine.board.ledger.time.now());
    if let Verdict::Over = verdict {
        let applied = end(engine, cell, &mut guarded);
        drop(guarded);
        applied.log();
    }
    verdict
}

fn end(engine: &Shared, cell: &Cell, guarded: &mut Guarded) -> Applied {
    let ledger = &engine.board.ledger;
    cell.end_probation(ledger, guarded, ledger.time.now())
}

fn verdict_on(guarded: &Guarded, now: Moment) -> Verdict {
    let Some(probation) = &guarded.probation else {
        return Verdict::Over;
    };
    let until = probation.until;
    let machine = &guarded.machine;
    if probation.generation != machine.generation() {
        return Verdict::Over;
    }
    let row = machine
        .error()
        .filter(|fault| fault.call == Some(CallKind::Update) && !is_of_others(fault.kind))
        .map_or(0, |fault| fault.consecutive);
    let panicked = machine.counts().panics - probation.panics;
    // A plugin with no limit of its own must not be rolled back for none.
    let panic_limit = machine.health_policy().panic_limit.unwrap_or(FAILURES);
    let last = machine.error().map(ToString::to_string).unwrap_or_default();
    let why = match machine.state() {
        PluginState::Error => format!("it ended in Error: {last}"),
        PluginState::Disabled | PluginState::Unloaded | PluginState::Loaded => {
            return Verdict::Over;
        }
        _ if row >= FAILURES => format!("it failed {row} times in a row, the last time: {last}"),
        _ if panicked >= u64::from(panic_limit) => format!("it panicked {panicked} times: {last}"),
        _ if machine.health() == Health::Unhealthy => {
            let reason = machine.health_reason().unwrap_or_default();
            format!("it became unhealthy: {reason}")
        }
        _ if now >= until => return Verdict::Over,
        _ => return Verdict::Good { until },
    };
    Verdict::Bad { why }
}

/// Whether it is not the plugin that is to blame.
fn is_of_others(kind: FaultKind) -> bool {
    matches!(kind, FaultKind::Refused | FaultKind::Requirement)
}

/// Has the generation before take over again. If that fails, it says so in the history, and the new one stays. Returns until when to go on
/// watching, if another reload has been faster and what took over there is on probation itself.
fn roll_back(engine: &Arc<Shared>, cell: &Arc<Cell>) -> Option<Moment> {
    let _reload = cell.take_reload();
    let mut guarded = cell.lock();
    // Judged again: what failed may have been replaced while this waited for its turn.
    let why = match verdict_on(&guarded, engine.board.ledger.time.now()) {
        Verdict::Bad { why } => why,
        Verdict::Good { until } => return Some(until),
        Verdict::Over => {
            drop(guarded);
            judge(engine, cell);
            return None;
        }
    };
    let (Some(probation), Some(loaded), Some(bad)) = (
        guarded.probation.take(),
        guarded.loaded.clone(),
        guarded.source.clone(),
    ) else {
        return None;
    };
    drop(guarded);
    let Probation {
        previous,
        source: Some(Source { candidate, config }),
        state,
        ..
    } = *probation
    else {
        return None;
    };
    let version = &loaded.library.manifest.version;
    let why = FaultReport::new(
        FaultKind::Failed,
        format!("version {version} is rolled back within its probation, because {why}"),
    );
    let next = Next {
        candidate: &candidate,
        config: &config,
        library: &previous.library,
        rollback: Some(Rollback {
            why,
            state,
            from: RolledBack {
                bytes: loaded.library.fingerprint,
                config: bad.config,
            },
        }),
    };
    if let Err(error) = activate(engine, cell, &next, Trigger::Changed) {
        tracing::error!(target: "plugin_engine", plugin = %cell.id, %error, "cannot roll back");
        // What is wrong with it is the policy's business now.
        let mut guarded = cell.lock();
        let applied = end(engine, cell, &mut guarded);
        drop(guarded);
        applied.log();
    }
    None
}
