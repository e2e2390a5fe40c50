//! What a person or an embedder asks of one plugin. A command that comes during a call waits for the call to end or to pass
//! its deadline, and no longer.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use plugin_api::View;
use plugin_engine_core::{
    Admission, Command, CreateReason, Event, Health, PluginState, RejectReason,
};

use crate::cell::{Cell, Guarded};
use crate::error::Error;
use crate::executor::{TaskCall, TaskEnd, Verdict};
use crate::plugins::{self, LoadOutcome, fault_of};
use crate::requirements;
use crate::shared::Shared;
use crate::threading::MutexGuard;
use crate::turns::Turn;

/// The cell of an id that somebody typed.
pub(crate) fn find<'a>(engine: &'a Shared, id: &str) -> Result<&'a Arc<Cell>, Error> {
    engine.board.registry.find(id).ok_or_else(|| {
        let known: Vec<_> = engine
            .board
            .registry
            .all()
            .take(20)
            .map(|cell| cell.id.to_string())
            .collect();
        Error::UnknownPlugin {
            id: id.to_owned(),
            known: known.join(", "),
        }
    })
}

/// A command that the state admits: the cell's lock, and whether there is anything to do.
pub(crate) enum Admitted<'a> {
    Now(MutexGuard<'a, Guarded>),
    AlreadySo,
}

pub(crate) fn admit<'a>(
    engine: &Shared,
    cell: &'a Cell,
    command: Command,
) -> Result<Admitted<'a>, Error> {
    if engine.board.stopping.load(Ordering::Relaxed) {
        return Err(Error::ShutDown);
    }
    let mut guarded = cell.lock();
    loop {
        let admission = guarded
            .machine
            .admit(command)
            .map_err(|denied| Error::Denied {
                id: cell.id.clone(),
                denied,
            })?;
        match admission {
            Admission::Accepted => return Ok(Admitted::Now(guarded)),
            Admission::AlreadySo => return Ok(Admitted::AlreadySo),
            Admission::WhenCallEnds | Admission::Denied => {
                let ends_it =
                    matches!(command, Command::Disable | Command::Unload | Command::Reset);
                if ends_it
                    && let (Some(call), Some(loaded)) =
                        (guarded.machine.in_flight(), &guarded.loaded)
                {
                    loaded.host.cancel(call.id);
                }
                guarded = cell.wait_settled(&engine.board.ledger, guarded);
            }
        }
    }
}

/// [`admit`] of a command that has an instance created, if what the plugin requires is there.
fn admit_start<'a>(
    engine: &Arc<Shared>,
    cell: &'a Arc<Cell>,
    command: Command,
) -> Result<Admitted<'a>, Error> {
    let guarded = match admit(engine, cell, command)? {
        Admitted::Now(guarded) => guarded,
        already_so @ Admitted::AlreadySo => return Ok(already_so),
    };
    // What is loaded anew says anew what it requires.
    if guarded.requires.is_none() || must_be_loaded(&guarded) {
        return Ok(Admitted::Now(guarded));
    }
    drop(guarded);
    requirements::insist(engine, cell)?;
    admit(engine, cell, command)
}

/// Whether the file or its settings were not good, so that they have to be tried again before anything else.
fn must_be_loaded(guarded: &Guarded) -> bool {
    guarded.loaded.is_none() || guarded.misconfigured.is_some()
}

/// Takes the turn for a command. From within a call of the same plugin nobody could ever give it.
pub(crate) fn turn<'a>(engine: &Shared, cell: &'a Cell) -> Result<Turn<'a>, Error> {
    check_not_from_within(engine, cell)?;
    Ok(cell.take_turn())
}

pub(crate) fn check_not_from_within(engine: &Shared, cell: &Cell) -> Result<(), Error> {
    if engine.executor.is_called_by_this_thread(cell.index) {
        return Err(Error::FromWithinCall {
            id: cell.id.clone(),
        });
    }
    Ok(())
}

fn not_now(cell: &Cell, reason: RejectReason) -> Error {
    Error::NotNow {
        id: cell.id.clone(),
        reason,
    }
}

/// Waits for a call of this command and makes an answer of its end. `None` if a cycle was faster and made a call of its own,
/// so that the command has to wait for that one first, or if it has to be tried again.
fn answer(
    engine: &Arc<Shared>,
    cell: &Arc<Cell>,
    call: TaskCall,
) -> Option<Result<Option<View>, Error>> {
    let reason = match engine.executor.submit_task(cell, call).wait() {
        TaskEnd::Ended(Verdict::Completed, view) => return Some(Ok(view)),
        TaskEnd::Ended(..) | TaskEnd::Abandoned => {
            return Some(Err(Error::Fault {
                id: cell.id.clone(),
                fault: fault_of(cell),
            }));
        }
        TaskEnd::NotMade(reason) => reason,
        TaskEnd::Refused => RejectReason::Stuck,
    };
    if engine.board.stopping.load(Ordering::Relaxed) {
        return Some(Err(Error::ShutDown));
    }
    match reason {
        RejectReason::Busy | RejectReason::Illegal(PluginState::Running) => None,
        RejectReason::Unmet => {
            let requires = cell.lock().required()?;
            // If it has come since, the command is tried again.
            let unmet = Arc::new(engine.board.first_unmet(&requires)?);
            let id = cell.id.clone();
            Some(Err(Error::Unmet { id, unmet }))
        }
        reason => Some(Err(not_now(cell, reason))),
    }
}

/// Destroys what a plugin had, and waits for that as long as its deadline. How it ends is in the history.
fn destroy(
    engine: &Arc<Shared>,
    cell: &Arc<Cell>,
    guarded: MutexGuard<'_, Guarded>,
    current: bool,
) {
    let mut guarded = guarded;
    let instance = guarded.instance.take();
    drop(guarded);
    if let Some(instance) = instance {
        let call = TaskCall::Destroy { instance, current };
        engine.executor.submit_task(cell, call).wait();
    }
}

/// Applies a change of state, logs it, and destroys the instance.
fn leave(
    engine: &Arc<Shared>,
    cell: &Arc<Cell>,
    mut guarded: MutexGuard<'_, Guarded>,
    event: Event,
) -> Result<(), Error> {
    let unload = event != Event::SwitchedOff;
    let now = engine.board.ledger.time.now();
    let applied = cell
        .apply(&engine.board.ledger, &mut guarded, now, event)
        .map_err(|reason| not_now(cell, reason))?;
    if let Some(loaded) = &guarded.loaded {
        // What a stuck call says from now on is not heard.
        loaded.host.stop_listening_at_all();
    }
    guarded.probation = None;
    if unload {
        cell.set_loaded(&mut guarded, None);
    }
    destroy(engine, cell, guarded, false);
    applied.log();
    Ok(())
}

/// Switches off on behalf of a person, which holds whatever happens to the file.
pub(crate) fn disable_by_hand(engine: &Arc<Shared>, id: &str) -> Result<(), Error> {
    disable_and_note(engine, id, true)
}

pub(crate) fn disable(engine: &Arc<Shared>, id: &str) -> Result<(), Error> {
    disable_and_note(engine, id, false)
}

fn disable_and_note(engine: &Arc<Shared>, id: &str, by_hand: bool) -> Result<(), Error> {
    let cell = find(engine, id)?;
    let _turn = turn(engine, cell)?;
    match admit(engine, cell, Command::Disable)? {
        Admitted::AlreadySo => {
            if by_hand {
                cell.lock().decide_by_hand(true);
                // There is no entry to be written with: it is written with whatever happens next in the engine, at the latest with its end.
                engine.board.ledger.unsaved.mark(cell.index);
            }
            Ok(())
        }
        Admitted::Now(mut guarded) => {
            // Before the entry, which whoever writes it may take at once.
            if by_hand {
                guarded.decide_by_hand(true);
            }
            leave(engine, cell, guarded, Event::SwitchedOff)
        }
    }
}

/// Unloads on behalf of a person, which holds until the plugin is loaded by name or its file changes.
pub(crate) fn unload_by_hand(engine: &Arc<Shared>, id: &str) -> Result<(), Error> {
    unload_and(engine, id, Event::Unloaded, |guarded| {
        guarded.remember_unloaded();
        // Whoever loads it again means it to run.
        guarded.decide_by_hand(false);
    })
}

/// Unloads, for the reason that the event gives.
pub(crate) fn unload_by(engine: &Arc<Shared>, id: &str, event: Event) -> Result<(), Error> {
    unload_and(engine, id, event, |_| ())
}

fn unload_and(
    engine: &Arc<Shared>,
    id: &str,
    event: Event,
    note: impl FnOnce(&mut Guarded),
) -> Result<(), Error> {
    let cell = find(engine, id)?;
    let _turn = turn(engine, cell)?;
    match admit(engine, cell, Command::Unload)? {
        Admitted::AlreadySo => Ok(()),
        Admitted::Now(mut guarded) => {
            note(&mut guarded);
            leave(engine, cell, guarded, event)
        }
    }
}

pub(crate) fn load(engine: &Arc<Shared>, id: &str) -> Result<LoadOutcome, Error> {
    let cell = find(engine, id)?;
    let _turn = turn(engine, cell)?;
    match admit(engine, cell, Command::Load)? {
        Admitted::AlreadySo => Ok(LoadOutcome::AlreadyLoaded {
            id: cell.id.clone(),
            state: cell.snapshot(&engine.board.ledger.time).state,
        }),
        Admitted::Now(guarded) => {
            drop(guarded);
            plugins::load_again(engine, cell)
        }
    }
}

pub(crate) fn enable(engine: &Arc<Shared>, id: &str) -> Result<(), Error> {
    let cell = find(engine, id)?;
    let _turn = turn(engine, cell)?;
    match admit_start(engine, cell, Command::Enable)? {
        Admitted::AlreadySo => Ok(()),
        Admitted::Now(mut guarded) => {
            guarded.decide_by_hand(false);
            start(engine, cell, guarded, CreateReason::SwitchedOn)
        }
    }
}

pub(crate) fn reset(engine: &Arc<Shared>, id: &str) -> Result<(), Error> {
    let cell = find(engine, id)?;
    let _turn = turn(engine, cell)?;
    if let Some(mut guarded) = disposed_of(engine, cell)? {
        guarded.decide_by_hand(false);
        return start(engine, cell, guarded, CreateReason::Reset);
    }
    match admit_start(engine, cell, Command::Reset)? {
        Admitted::AlreadySo => Ok(()),
        Admitted::Now(guarded) => {
            let Admitted::Now(mut guarded) = forget_crashes(engine, cell, guarded)? else {
                return Ok(());
            };
            // Until the new instance is there no update starts: one would create an instance of its own in place of the one
            // that panicked.
            guarded.waiters += 1;
            guarded.decide_by_hand(false);
            destroy(engine, cell, guarded, true);
            let started = start(engine, cell, cell.lock(), CreateReason::Reset);
            cell.let_updates_start(&engine.board.ledger, &mut cell.lock());
            started
        }
    }
}

/// The lock of a plugin of which nothing is loaded because it was unhealthy or has crashed the engine, while its file may be there: a reset,
/// which is what helps against either, begins with a load. The crashes are forgotten.
fn disposed_of<'a>(
    engine: &Shared,
    cell: &'a Cell,
) -> Result<Option<MutexGuard<'a, Guarded>>, Error> {
    let is_unloaded = |guarded: &Guarded| {
        guarded.machine.state() == PluginState::Unloaded && guarded.source.is_some()
    };
    let has_crashed = engine.board.crashes.has(&cell.id);
    let guarded = cell.lock();
    if !is_unloaded(&guarded) || !has_crashed && guarded.machine.health() != Health::Unhealthy {
        return Ok(None);
    }
    drop(guarded);
    plugins::check_running(engine)?;
    engine.board.crashes.forget(&cell.id)?;
    Ok(Some(cell.lock()).filter(|guarded| is_unloaded(guarded)))
}

/// A person takes what has crashed the engine for mended. Written before anything is done, and not under the lock of the cell.
fn forget_crashes<'a>(
    engine: &Arc<Shared>,
    cell: &'a Arc<Cell>,
    guarded: MutexGuard<'a, Guarded>,
) -> Result<Admitted<'a>, Error> {
    if !engine.board.crashes.has(&cell.id) {
        return Ok(Admitted::Now(guarded));
    }
    drop(guarded);
    engine.board.crashes.forget(&cell.id)?;
    admit_start(engine, cell, Command::Reset)
}

/// [`check_not_from_within`], for a reload, which waits for other reloads, too.
pub(crate) fn check_may_reload(engine: &Shared, cell: &Cell) -> Result<(), Error> {
    if cell.is_reloaded_by_this_thread() {
        return Err(Error::FromWithinCall {
            id: cell.id.clone(),
        });
    }
    check_not_from_within(engine, cell)
}

/// Loads a plugin of which nothing is loaded, be it because its file was refused or because it was unloaded.
pub(crate) fn load_anew(engine: &Arc<Shared>, cell: &Arc<Cell>) -> Result<LoadOutcome, Error> {
    let _turn = turn(engine, cell)?;
    let Admitted::Now(mut guarded) = admit(engine, cell, Command::Reload)? else {
        return Err(not_now(cell, RejectReason::Busy));
    };
    if guarded.machine.state() != PluginState::Unloaded {
        let now = engine.board.ledger.time.now();
        cell.apply(&engine.board.ledger, &mut guarded, now, Event::Unloaded)
            .map_err(|reason| not_now(cell, reason))?;
        cell.set_loaded(&mut guarded, None);
    }
    drop(guarded);
    plugins::load_again(engine, cell)
}

/// Creates an instance, if the library is there and its settings were good; if not, tries the file and its configuration again.
fn start<'a>(
    engine: &Arc<Shared>,
    cell: &'a Arc<Cell>,
    mut guarded: MutexGuard<'a, Guarded>,
    reason: CreateReason,
) -> Result<(), Error> {
    if must_be_loaded(&guarded) {
        // The file or what is said of it may have been mended; a load begins at Unloaded.
        if guarded.machine.state() != PluginState::Unloaded {
            let now = engine.board.ledger.time.now();
            cell.apply(&engine.board.ledger, &mut guarded, now, Event::Unloaded)
                .map_err(|reason| not_now(cell, reason))?;
        }
        guarded.misconfigured = None;
        cell.set_loaded(&mut guarded, None);
        drop(guarded);
        match plugins::load_again(engine, cell)? {
            LoadOutcome::Failed { id, fault, .. } => return Err(Error::Fault { id, fault }),
            LoadOutcome::Unmet { id, unmet, .. } => return Err(Error::Unmet { id, unmet }),
            LoadOutcome::Misconfigured { .. } => {
                return Err(Error::Fault {
                    id: cell.id.clone(),
                    fault: fault_of(cell),
                });
            }
            // The configuration says off; whoever gives the command says on.
            LoadOutcome::Disabled { .. } => guarded = cell.lock(),
            _ => return Ok(()),
        }
    }
    plugins::remember_start(engine, &mut guarded);
    drop(guarded);
    loop {
        let answer = answer(engine, cell, TaskCall::Create(reason));
        if let Some(answer @ (Ok(_) | Err(Error::Fault { .. } | Error::ShutDown))) = answer {
            return answer.map(drop);
        }
        let guarded = cell.wait_settled(&engine.board.ledger, cell.lock());
        let is_on = matches!(
            guarded.machine.state(),
            PluginState::Enabled | PluginState::Running
        );
        if reason == CreateReason::SwitchedOn && is_on {
            // What it requires came in between, and it was created for that.
            return Ok(());
        }
        if let Some(answer) = answer {
            return answer.map(drop);
        }
        // What the call in between has made has no place beside the new instance.
        destroy(engine, cell, guarded, true);
    }
}

pub(crate) fn update(engine: &Arc<Shared>, id: &str) -> Result<(), Error> {
    call(engine, id, Command::Update, || TaskCall::Update).map(drop)
}

pub(crate) fn display(engine: &Arc<Shared>, id: &str) -> Result<View, Error> {
    let view = call(engine, id, Command::Display, || TaskCall::Display)?;
    Ok(view.unwrap_or_else(View::empty))
}

fn call(
    engine: &Arc<Shared>,
    id: &str,
    command: Command,
    call: impl Fn() -> TaskCall,
) -> Result<Option<View>, Error> {
    let cell = find(engine, id)?;
    let _turn = turn(engine, cell)?;
    loop {
        match admit(engine, cell, command)? {
            Admitted::AlreadySo => return Ok(None),
            Admitted::Now(guarded) => {
                debug_assert_eq!(guarded.machine.state(), PluginState::Enabled);
                drop(guarded);
                if let Some(answer) = answer(engine, cell, call()) {
                    return answer;
                }
            }
        }
    }
}
