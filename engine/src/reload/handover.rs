//! What becomes of the instance before, until another one takes over: updates are held back, its state is saved, it is stopped, and put back if
//! that was in vain.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use plugin_engine_core::{CallKind, Event, FaultKind, FaultReport, PluginState, RejectReason};

use super::next::Before;
use super::refusal::{record_refusal, report};
use super::replacement::{Failure, Replacement, called, overdue};
use crate::cell::{Cell, Source};
use crate::error::{Error, ReloadError};
use crate::executor::{STUCK_MAX, TaskCall, TaskEnd, Verdict};
use crate::instance::SavedState;
use crate::plugins::{self, Setup};
use crate::shared::Shared;
use crate::threading::Mutex;
use crate::turns::Turn;

/// Why a round did not end in a takeover.
pub(super) enum Stop {
    /// The plugin was switched on or off; what is to be done is another thing now.
    Again,
    Failed(Failure),
    /// It is in the history already.
    Recorded(Error),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<ReloadError> for Stop {
    fn from(error: ReloadError) -> Self {
        Self::Failed(error.into())
    }
}

/// Updates held back, and the turn of a command taken, until this is dropped.
pub(super) struct Hold<'a> {
    pub(super) engine: &'a Arc<Shared>,
    pub(super) cell: &'a Arc<Cell>,
    // Dropped after updates may start again.
    _turn: Turn<'a>,
}

impl<'a> Hold<'a> {
    /// Waits until no call is in flight, or only one that is stuck.
    pub(super) fn take(engine: &'a Arc<Shared>, cell: &'a Arc<Cell>) -> Self {
        let turn = cell.take_turn();
        let mut guarded = cell.lock();
        guarded.waiters += 1;
        drop(cell.wait_settled(&engine.board.ledger, guarded));
        Self {
            engine,
            cell,
            _turn: turn,
        }
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        let ledger = &self.engine.board.ledger;
        self.cell.let_updates_start(ledger, &mut self.cell.lock());
    }
}

/// What became of the instance before, so far.
#[derive(Default)]
pub(super) struct Saved {
    pub(super) state: Option<Arc<SavedState>>,
    /// What could not be taken over, and why.
    pub(super) lost: Option<FaultReport>,
    /// Whether it was destroyed.
    pub(super) stopped: bool,
}

impl Saved {
    /// Saves the state of the instance before and stops it, as far as that is wanted.
    pub(super) fn fill(
        &mut self,
        hold: &Hold<'_>,
        before: &Before,
        hands_over: bool,
        stops_first: bool,
    ) -> Result<(), Stop> {
        let (engine, cell) = (hold.engine, hold.cell);
        let guarded = cell.lock();
        if !before.holds(&guarded) {
            return Err(ReloadError::Overtaken.into());
        }
        if guarded.machine.state() == PluginState::Disabled {
            return Err(Stop::Again);
        }
        let stuck = guarded
            .machine
            .in_flight()
            .is_some_and(|call| call.abandoned);
        let callable = guarded.instance.is_some() && !guarded.machine.is_poisoned();
        drop(guarded);
        if hands_over {
            match (callable, stuck) {
                (true, false) => self.state = Some(save(engine, cell)?),
                (_, true) => self.lost("a call of it has not returned"),
                (false, false) if before.state == PluginState::Enabled => {
                    self.lost("it had panicked");
                }
                (false, false) => {}
            }
        }
        if stops_first {
            let mut guarded = cell.lock();
            if guarded.machine.orphans() >= STUCK_MAX {
                // Another one whose destroy hangs would be one too many, and there would be no way back.
                return Err(ReloadError::NotNow(RejectReason::TooManyStuck).into());
            }
            let instance = guarded.instance.take();
            drop(guarded);
            if let Some(instance) = instance {
                let current = true;
                let call = TaskCall::Destroy { instance, current };
                self.stopped = true;
                if let TaskEnd::Refused = engine.executor.submit_task(cell, call).wait() {
                    // It was never destroyed, so what it owns is not free.
                    return Err(ReloadError::NotNow(RejectReason::Stuck).into());
                }
            }
        }
        Ok(())
    }

    fn lost(&mut self, why: &str) {
        let message = format!("the state of the instance before is lost: {why}");
        self.lost = Some(FaultReport::new(FaultKind::Refused, message));
    }
}

/// Has the instance that is active save its state. Updates are held back, so nothing else calls it.
fn save(engine: &Arc<Shared>, cell: &Arc<Cell>) -> Result<Arc<SavedState>, Stop> {
    let into = Arc::new(Mutex::new(None));
    let call = TaskCall::Save(Arc::clone(&into));
    match engine.executor.submit_task(cell, call).wait() {
        TaskEnd::Ended(Verdict::Completed, _) => {}
        TaskEnd::Ended(..) | TaskEnd::Abandoned => {
            let failed = into.lock().take().and_then(Result::err);
            let report = failed.unwrap_or_else(|| overdue(engine.options.state_timeout));
            return Err(called(engine, CallKind::SaveState, &report).into());
        }
        TaskEnd::NotMade(reason) => return Err(ReloadError::NotNow(reason).into()),
        TaskEnd::Refused => return Err(ReloadError::NotNow(RejectReason::Stuck).into()),
    }
    match into.lock().take() {
        Some(Ok(state)) => Ok(Arc::new(state)),
        _ => Err(ReloadError::Overtaken.into()),
    }
}

/// Gives a replacement up that did not take over, and puts back what was stopped for it.
pub(super) fn in_vain(
    hold: Hold<'_>,
    before: &Before,
    saved: &Saved,
    replacement: Replacement<'_>,
    stop: Stop,
) -> Stop {
    replacement.give_up();
    match stop {
        Stop::Failed(failure) if saved.stopped => put_back(&hold, before, saved, failure),
        stop => stop,
    }
}

/// Creates the instance anew that was stopped for a replacement which failed.
fn put_back(hold: &Hold<'_>, before: &Before, saved: &Saved, failure: Failure) -> Stop {
    let Failure::Reload(error) = failure else {
        return failure.into();
    };
    let (engine, cell) = (hold.engine, hold.cell);
    let guarded = cell.lock();
    // A policy may have disposed of the plugin when it was stopped: then there is nothing to be put back.
    let is_wanted = guarded.machine.state() == PluginState::Enabled;
    let source = guarded.source.clone().filter(|_| is_wanted);
    drop(guarded);
    let Some(Source { candidate, config }) = source else {
        return error.into();
    };
    let setup = Setup::new(engine, cell, &candidate, &config, &before.loaded.library);
    let mut old = Replacement::new(engine, cell, setup);
    let created = old.create().and_then(|()| match &saved.state {
        Some(state) => old.restore(Arc::clone(state)),
        None => Ok(()),
    });
    match created {
        Ok(()) => {
            let mut guarded = cell.lock();
            // As at a takeover: a shutdown that comes later finds the instance.
            if engine.board.stopping.load(Ordering::SeqCst) {
                drop(guarded);
                old.give_up();
                return Stop::Failed(Failure::ShutDown);
            }
            if guarded.machine.state() != PluginState::Enabled {
                // A policy was faster, and this one is not wanted either.
                drop(guarded);
                old.give_up();
                return error.into();
            }
            guarded.instance = old.instance.take();
            old.setup.loaded.host.take_over();
            cell.set_loaded(&mut guarded, Some(old.setup.loaded));
            Stop::Recorded(record_refusal(engine, cell, guarded, error, true))
        }
        Err(Failure::ShutDown) => Stop::Failed(Failure::ShutDown),
        Err(Failure::Reload(again)) => {
            old.give_up();
            cell.record(&engine.board.ledger, Event::NotPutBack(report(&again)));
            Stop::Recorded(Error::NotPutBack {
                id: cell.id.clone(),
                source: error,
                fault: plugins::fault_of(cell),
            })
        }
    }
}
