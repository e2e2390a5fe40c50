//! One plugin's reload, from a library that fits to the instance that has taken over, or to the reason why not.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;
use plugin_engine_core::{
    CallKind, Command, Event, FaultKind, FaultReport, Moment, PluginState, RejectReason,
    Requirement, Takeover,
};
use semver::Version;

use super::refusal::{record_refusal, refuse, report};
use super::replacement::{Failure, Replacement, called, destroy, overdue};
use super::steps::Steps;
use super::{Trigger, probation};
use crate::cell::{Cell, Guarded, Loaded, Probation, RolledBack, Source, Turn};
use crate::commands::{self, Admitted};
use crate::config::{PluginConfig, ReloadWay};
use crate::discover::Candidate;
use crate::error::{Error, ReloadError};
use crate::executor::{STUCK_MAX, TaskCall, TaskEnd, Verdict};
use crate::instance::{Instance, SavedState};
use crate::library::LoadedLibrary;
use crate::plugins::{self, LoadOutcome, Setup};
use crate::requirements;
use crate::shared::Shared;
use crate::unmap;

/// How often a reload begins anew because the plugin was switched on or off meanwhile.
const ROUNDS_MAX: usize = 4;

/// What is to take over, and from what file and configuration it comes.
pub(super) struct Next<'a> {
    pub(super) candidate: &'a Candidate,
    pub(super) config: &'a PluginConfig,
    pub(super) library: &'a Arc<LoadedLibrary>,
    /// Set for what takes over again after a reload that turned out badly.
    pub(super) rollback: Option<Rollback>,
}

/// What a roll-back knows beside what takes over.
#[derive(Clone)]
pub(super) struct Rollback {
    /// Why it comes to that.
    pub(super) why: FaultReport,
    /// What the instance had saved that takes over again.
    pub(super) state: Option<Arc<SavedState>>,
    /// What is rolled back.
    pub(super) from: RolledBack,
}

/// What was active when a reload began.
struct Before {
    state: PluginState,
    generation: u32,
    loaded: Loaded,
    config: PluginConfig,
    rolled_back: Option<RolledBack>,
}

impl Before {
    fn of(cell: &Cell) -> Option<Self> {
        let guarded = cell.lock();
        Some(Self {
            state: guarded.machine.state(),
            generation: guarded.machine.generation(),
            loaded: guarded.loaded.clone()?,
            config: guarded.source.as_ref()?.config.clone(),
            rolled_back: guarded.rolled_back.clone(),
        })
    }

    /// Whether that is what is active still.
    fn holds(&self, guarded: &Guarded) -> bool {
        guarded.machine.generation() == self.generation && guarded.loaded.is_some()
    }
}

/// Why a round did not end in a takeover.
enum Stop {
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

/// Has another build, or other settings, take over in a plugin that is loaded. The caller holds the plugin's reload.
pub(super) fn activate(
    engine: &Arc<Shared>,
    cell: &Arc<Cell>,
    next: &Next<'_>,
    trigger: Trigger,
) -> Result<LoadOutcome, Error> {
    unmap::wants(engine, next.library, &cell.id, next.config.unmap().value);
    for _ in 0..ROUNDS_MAX {
        let Some(before) = Before::of(cell) else {
            return Err(refuse(engine, cell, ReloadError::Overtaken));
        };
        if next.rollback.is_none() {
            let same_bytes = before.loaded.library.fingerprint == next.library.fingerprint;
            if same_bytes && next.config.has_the_settings_of(&before.config) {
                return adjust(engine, cell, next, &before);
            }
            if let Err(error) = check(engine, cell, next, &before, trigger) {
                return Err(refuse(engine, cell, error));
            }
            let requires = next.requires();
            let unmet = engine.board.first_unmet(&requires);
            match (before.state, unmet) {
                (PluginState::Disabled, _) | (_, None) => {}
                // Nothing of it runs that could go on: it is loaded anew, and says what is missing.
                (PluginState::Error, Some(_)) => return commands::load_anew(engine, cell),
                (_, Some(unmet)) => {
                    let error = ReloadError::Unmet(Arc::new(unmet));
                    return Err(refuse(engine, cell, error));
                }
            }
        }
        match round(engine, cell, next, &before) {
            Ok(generation) => return finish(engine, cell, next, &before, generation),
            Err(Stop::Again) => {}
            Err(Stop::Failed(Failure::ShutDown)) => return Err(Error::ShutDown),
            Err(Stop::Failed(Failure::Reload(error))) => return Err(refuse(engine, cell, error)),
            Err(Stop::Recorded(error)) => return Err(error),
        }
    }
    Err(refuse(engine, cell, ReloadError::Overtaken))
}

/// Whether the file may take over at all.
fn check(
    engine: &Shared,
    cell: &Cell,
    next: &Next<'_>,
    before: &Before,
    trigger: Trigger,
) -> Result<(), ReloadError> {
    let path = || next.candidate.path.clone();
    let (active, found) = (&before.loaded.library.manifest, &next.library.manifest);
    if !next.config.allow_downgrade().value && is_lower(&found.version, &active.version) {
        return Err(ReloadError::Downgrade {
            path: path(),
            active: active.version.clone(),
            found: found.version.clone(),
        });
    }
    let is_that = |rolled_back: &RolledBack| {
        rolled_back.bytes == next.library.fingerprint
            && next.config.has_the_settings_of(&rolled_back.config)
    };
    if trigger == Trigger::Changed && before.rolled_back.as_ref().is_some_and(is_that) {
        return Err(ReloadError::RolledBackBefore { path: path() });
    }
    match engine.executor.asides.stuck_of(&cell.id) {
        count if count >= STUCK_MAX => Err(ReloadError::TooManyStuck { count }),
        _ => Ok(()),
    }
}

/// Versions that are none cannot be compared, so neither is lower.
fn is_lower(found: &str, active: &str) -> bool {
    match (Version::parse(found), Version::parse(active)) {
        (Ok(found), Ok(active)) => found < active,
        _ => false,
    }
}

/// The bytes and the settings are those of before; the times may be others, and whether it is switched on.
fn adjust(
    engine: &Arc<Shared>,
    cell: &Arc<Cell>,
    next: &Next<'_>,
    before: &Before,
) -> Result<LoadOutcome, Error> {
    let (schedule, limits) = plugins::times(engine, cell, next.config, next.library);
    let mut changed = false;
    requirements::prepare(engine, &next.requires())?;
    {
        let _turn = cell.take_turn();
        let Admitted::Now(mut guarded) = commands::admit(engine, cell, Command::Reload)? else {
            return Err(refuse(engine, cell, ReloadError::Overtaken));
        };
        if !before.holds(&guarded) {
            drop(guarded);
            return Err(refuse(engine, cell, ReloadError::Overtaken));
        }
        let machine = &guarded.machine;
        let mut same = schedule.clone();
        let others =
            !same.go_on_from(machine.schedule()) || limits.update != machine.limits().update;
        guarded.source = Some(next.source());
        changed |= requirements::change(engine, cell, &mut guarded, next.requires());
        if others {
            let now = engine.board.ledger.time.now();
            let event = Event::Reconfigured { schedule, limits };
            let applied = cell.apply(&engine.board.ledger, &mut guarded, now, event);
            let loaded = guarded.loaded.clone();
            cell.set_loaded(&mut guarded, loaded);
            drop(guarded);
            if let Ok(applied) = applied {
                applied.log();
                changed = true;
            }
        }
    }
    let id = cell.id.clone();
    match switch(engine, cell, next.config, &before.config) {
        Err(Error::Unmet { id, unmet }) => {
            let file = next.candidate.path.clone();
            return Ok(LoadOutcome::Unmet { id, file, unmet });
        }
        switched => changed |= switched?,
    }
    Ok(if changed {
        let file = next.candidate.path.clone();
        LoadOutcome::Reconfigured { id, file }
    } else {
        let state = cell.snapshot(&engine.board.ledger.time).state;
        LoadOutcome::AlreadyLoaded { id, state }
    })
}

/// Switches the plugin on or off if its configuration says so now and said otherwise before. What a person has switched stays so.
fn switch(
    engine: &Arc<Shared>,
    cell: &Arc<Cell>,
    now: &PluginConfig,
    before: &PluginConfig,
) -> Result<bool, Error> {
    let id = cell.id.as_str();
    match (before.enabled().value, now.enabled().value) {
        (true, false) => commands::disable(engine, id).map(|()| true),
        (false, true) => commands::enable(engine, id).map(|()| true),
        _ => Ok(false),
    }
}

impl Next<'_> {
    fn requires(&self) -> Vec<Requirement> {
        self.config.all_required(&self.library.manifest)
    }

    fn source(&self) -> Source {
        Source {
            candidate: self.candidate.clone(),
            config: self.config.clone(),
        }
    }
}

/// Updates held back, and the turn of a command taken, until this is dropped.
struct Hold<'a> {
    engine: &'a Arc<Shared>,
    cell: &'a Arc<Cell>,
    // Dropped after updates may start again.
    _turn: Turn<'a>,
}

impl<'a> Hold<'a> {
    /// Waits until no call is in flight, or only one that is stuck.
    fn take(engine: &'a Arc<Shared>, cell: &'a Arc<Cell>) -> Self {
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

/// Tries a replacement once, and has it take over. Returns the new generation.
fn round(
    engine: &Arc<Shared>,
    cell: &Arc<Cell>,
    next: &Next<'_>,
    before: &Before,
) -> Result<u32, Stop> {
    let mut steps = Steps::begin();
    // There only if the engine can still start threads, which all that follows needs, too.
    if let Err(Error::Thread { source, .. }) = requirements::prepare(engine, &next.requires()) {
        return Err(ReloadError::Thread(source).into());
    }
    let setup = Setup::new(engine, cell, next.candidate, next.config, next.library);
    let mut replacement = Replacement::new(engine, cell, setup);
    if before.state == PluginState::Disabled {
        let hold = Hold::take(engine, cell);
        return take_over(
            hold,
            next,
            before,
            replacement,
            Saved::default(),
            &mut steps,
        );
    }
    let stops_first = next.config.reload().value == ReloadWay::StopFirst;
    let hands_over = next.rollback.is_none()
        && next.library.state.is_some()
        && before.loaded.library.state.is_some();
    let mut hold = None;
    let mut saved = Saved::default();
    if !stops_first && let Err(failure) = replacement.create() {
        replacement.give_up();
        return Err(failure.into());
    }
    steps.end("create");
    if hands_over || stops_first {
        let held = hold.insert(Hold::take(engine, cell));
        steps.end("wait");
        let tried = saved.fill(held, before, hands_over, stops_first);
        if let Err(stop) = tried {
            drop(hold);
            replacement.give_up();
            return Err(stop);
        }
        steps.end("state");
    }
    if let Some(rollback) = &next.rollback {
        saved.state.clone_from(&rollback.state);
    }
    if let Err(failure) = attempt(next, &mut replacement, stops_first, &saved, &mut steps) {
        replacement.give_up();
        let Some(held) = hold.as_ref().filter(|_| saved.stopped) else {
            return Err(failure.into());
        };
        return Err(put_back(held, before, &saved, failure));
    }
    let hold = hold.unwrap_or_else(|| Hold::take(engine, cell));
    steps.end("wait");
    take_over(hold, next, before, replacement, saved, &mut steps)
}

/// The calls that a replacement has to complete before it takes over.
fn attempt(
    next: &Next<'_>,
    replacement: &mut Replacement<'_>,
    create: bool,
    saved: &Saved,
    steps: &mut Steps,
) -> Result<(), Failure> {
    if create {
        replacement.create()?;
        steps.end("create");
    }
    if let Some(state) = &saved.state {
        replacement.restore(Arc::clone(state))?;
        steps.end("state");
    }
    // What is rolled back to has worked before, and shall not fail for a reason of the moment.
    if next.config.trial_update().value && next.rollback.is_none() {
        replacement.trial()?;
        steps.end("trial");
    }
    Ok(())
}

/// What became of the instance before, so far.
#[derive(Default)]
struct Saved {
    state: Option<Arc<SavedState>>,
    /// What could not be taken over, and why.
    lost: Option<FaultReport>,
    /// Whether it was destroyed.
    stopped: bool,
}

impl Saved {
    /// Saves the state of the instance before and stops it, as far as that is wanted.
    fn fill(
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
            let instance = cell.lock().instance.take();
            if let Some(instance) = instance {
                let current = true;
                let call = TaskCall::Destroy { instance, current };
                engine.executor.submit_task(cell, call).wait();
                self.stopped = true;
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

/// Creates the instance anew that was stopped for a replacement which failed.
fn put_back(hold: &Hold<'_>, before: &Before, saved: &Saved, failure: Failure) -> Stop {
    let Failure::Reload(error) = failure else {
        return failure.into();
    };
    let (engine, cell) = (hold.engine, hold.cell);
    let source = cell.lock().source.clone();
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
            guarded.instance = old.instance.take();
            old.setup.loaded.host.take_over();
            cell.set_loaded(&mut guarded, Some(old.setup.loaded));
            Stop::Recorded(record_refusal(engine, cell, guarded, error, true))
        }
        Err(Failure::ShutDown) => Stop::Failed(Failure::ShutDown),
        Err(Failure::Reload(again)) => {
            old.give_up();
            let report = report(&again);
            let mut guarded = cell.lock();
            let now = engine.board.ledger.time.now();
            let event = Event::NotPutBack(report);
            let applied = cell.apply(&engine.board.ledger, &mut guarded, now, event);
            drop(guarded);
            if let Ok(applied) = applied {
                applied.log();
            }
            Stop::Recorded(Error::NotPutBack {
                id: cell.id.clone(),
                source: error,
                fault: plugins::fault_of(cell),
            })
        }
    }
}

/// Switches to the replacement, between two calls or beside one that is stuck, and gives back what was active before.
fn take_over(
    hold: Hold<'_>,
    next: &Next<'_>,
    before: &Before,
    mut replacement: Replacement<'_>,
    saved: Saved,
    steps: &mut Steps,
) -> Result<u32, Stop> {
    let (engine, cell) = (hold.engine, hold.cell);
    let ledger = &engine.board.ledger;
    let mut guarded = cell.lock();
    // Looked at inside the lock: a shutdown that comes later finds the new instance and destroys it.
    let stop = if engine.board.stopping.load(Ordering::SeqCst) {
        Some(Stop::Failed(Failure::ShutDown))
    } else if !before.holds(&guarded) {
        Some(ReloadError::Overtaken.into())
    } else {
        let off = guarded.machine.state() == PluginState::Disabled;
        (off == replacement.instance.is_some()).then_some(Stop::Again)
    };
    if let Some(stop) = stop {
        drop(guarded);
        drop(hold);
        replacement.give_up();
        return Err(stop);
    }
    let was = guarded.machine.state();
    let took_over = Event::Reloaded(Box::new(Takeover {
        schedule: replacement.setup.schedule.clone(),
        limits: replacement.setup.limits,
        rolls_back: next.rollback.is_some(),
        note: next
            .rollback
            .as_ref()
            .map(|rollback| rollback.why.clone())
            .or(saved.lost),
    }));
    let mut applied = match cell.apply(ledger, &mut guarded, ledger.time.now(), took_over) {
        Ok(applied) => applied,
        Err(reason) => {
            drop(guarded);
            drop(hold);
            replacement.give_up();
            return Err(ReloadError::NotNow(reason).into());
        }
    };
    let version = &next.library.manifest.version;
    cell.name_generation(&mut guarded, version);
    let probation = probation(next, before, &guarded, ledger.time.now(), saved.state);
    requirements::change(engine, cell, &mut guarded, next.requires());
    let source = guarded.source.replace(next.source());
    guarded.probation = probation.map(|begun| Probation { source, ..begun });
    guarded.rolled_back = next.rollback.as_ref().map(|rollback| rollback.from.clone());
    guarded.misconfigured = None;
    let old = std::mem::replace(&mut guarded.instance, replacement.instance.take());
    // What a stuck call of the instance before says from now on is not heard.
    before.loaded.host.stop_listening_at_all();
    replacement.setup.loaded.host.take_over();
    cell.set_loaded(&mut guarded, Some(replacement.setup.loaded));
    if was == PluginState::Error {
        plugins::remember_start(engine, &mut guarded);
    }
    let generation = guarded.machine.generation();
    let watched = guarded.probation.is_some();
    drop(guarded);
    steps.end("switch");
    drop(hold);
    if let Some(transition) = &mut applied.notable {
        transition.version = Some(version.as_str().into());
    }
    applied.log();
    if watched {
        probation::watch(engine, cell);
    }
    if let Some(old) = old {
        retire(engine, cell, *old);
        steps.end("destroy");
    }
    steps.log(&cell.id);
    Ok(generation)
}

/// Destroys the instance that another one has taken over from.
fn retire(engine: &Arc<Shared>, cell: &Arc<Cell>, old: Instance) {
    let Err(report) = destroy(engine, cell, old) else {
        return;
    };
    let ledger = &engine.board.ledger;
    let mut guarded = cell.lock();
    let event = Event::ReplacedNotDestroyed(report);
    let applied = cell.apply(ledger, &mut guarded, ledger.time.now(), event);
    drop(guarded);
    if let Ok(applied) = applied {
        applied.log();
    }
}

/// What is kept of the generation before, if the configuration wants that.
fn probation(
    next: &Next<'_>,
    before: &Before,
    guarded: &Guarded,
    now: Moment,
    state: Option<Arc<SavedState>>,
) -> Option<Probation> {
    let window = next.config.probation().value;
    let wanted = next.rollback.is_none() && !window.is_zero();
    // What was not good itself is nothing to go back to.
    let worth_it = before.state == PluginState::Enabled || before.state == PluginState::Running;
    (wanted && worth_it).then(|| Probation {
        until: now.saturating_add(window),
        panics: guarded.machine.counts().panics,
        previous: before.loaded.clone(),
        source: None,
        state,
    })
}

fn finish(
    engine: &Arc<Shared>,
    cell: &Arc<Cell>,
    next: &Next<'_>,
    before: &Before,
    generation: u32,
) -> Result<LoadOutcome, Error> {
    engine.refused.forget(&next.candidate.path);
    if next.rollback.is_none() {
        match switch(engine, cell, next.config, &before.config) {
            Err(Error::Unmet { id, unmet }) => {
                let file = next.candidate.path.clone();
                return Ok(LoadOutcome::Unmet { id, file, unmet });
            }
            switched => switched?,
        };
    }
    Ok(LoadOutcome::Reloaded {
        id: cell.id.clone(),
        file: next.candidate.path.clone(),
        from: before.loaded.library.manifest.version.clone(),
        version: next.library.manifest.version.clone(),
        generation,
    })
}
