//! A replacement until it takes over: its calls, each on a thread of its own and under a deadline, and its end if it does not.

use std::sync::Arc;
use std::time::Duration;

use plugin_engine_core::{CallId, CallKind, CallOutcome, Fault, FaultKind, FaultReport, Moment};

use crate::cell::{Cell, Loaded};
use crate::error::ReloadError;
use crate::executor::{Aside, AsideEnd};
use crate::host::HostContext;
use crate::instance::{CallTicket, Instance, SavedState};
use crate::library::LoadedLibrary;
use crate::plugins::Setup;
use crate::shared::Shared;

/// The number of a call that an instance gets after another one has taken over from it: no machine counts so far.
const LAST_CALL: CallId = CallId(u64::MAX);

/// What goes wrong with a replacement: a reason for the history, or the end of the engine.
pub(super) enum Failure {
    Reload(ReloadError),
    ShutDown,
}

impl From<ReloadError> for Failure {
    fn from(error: ReloadError) -> Self {
        Self::Reload(error)
    }
}

/// A replacement that is being tried.
pub(super) struct Replacement<'a> {
    engine: &'a Arc<Shared>,
    cell: &'a Arc<Cell>,
    pub(super) setup: Setup,
    pub(super) instance: Option<Box<Instance>>,
    calls: u64,
}

impl<'a> Replacement<'a> {
    pub(super) fn new(engine: &'a Arc<Shared>, cell: &'a Arc<Cell>, setup: Setup) -> Self {
        setup.loaded.host.begin_candidacy();
        Self {
            engine,
            cell,
            setup,
            instance: None,
            calls: 0,
        }
    }

    /// Creates the instance, with its settings as they are now.
    pub(super) fn create(&mut self) -> Result<(), Failure> {
        let limit = self.setup.limits.create;
        let began = self.engine.board.ledger.time.now();
        let ticket = self.ticket(began, limit);
        self.prepare(ticket, limit)?;
        let Loaded { library, host, .. } = self.setup.loaded.clone();
        let create = move || Instance::create(library, host, ticket);
        let clock = Arc::clone(self.engine.board.ledger.time.clock());
        let late = move |(_, instance): (CallOutcome, Option<Box<Instance>>)| {
            if let Some(instance) = instance {
                destroy_unheard(*instance, clock.now());
            }
        };
        let (outcome, instance) = self.call(CallKind::Create, ticket, limit, create, late)?;
        self.instance = instance;
        self.check(CallKind::Create, outcome)
    }

    /// Looks up what settings refer to: within the time of the create, because it may lie on a slow disk.
    fn prepare(&mut self, ticket: CallTicket, limit: Duration) -> Result<(), Failure> {
        let Some(preparation) = self.setup.loaded.preparation.clone() else {
            return Ok(());
        };
        let prepare = move || preparation.prepare();
        let prepared = self.call(CallKind::Create, ticket, limit, prepare, drop)?;
        let resolved = prepared.map_err(|error| ReloadError::Config(Arc::new(error)))?;
        let Loaded { library, host, .. } = &mut self.setup.loaded;
        library.secrets.add(resolved.secrets);
        *host = host.with_settings(&resolved.json);
        Ok(())
    }

    /// Hands over the state that the instance before has saved.
    pub(super) fn restore(&mut self, state: Arc<SavedState>) -> Result<(), Failure> {
        let limit = self.setup.limits.state;
        self.work(CallKind::RestoreState, limit, move |instance, ticket| {
            instance.restore_state(ticket, &state)
        })
    }

    /// Has it complete one update.
    pub(super) fn trial(&mut self) -> Result<(), Failure> {
        let limit = self.engine.options.trial_timeout;
        let limit = limit.unwrap_or(self.setup.limits.update);
        self.work(CallKind::Update, limit, |instance, ticket| {
            instance
                .update(ticket)
                .map_or(CallOutcome::Completed, |outcome| *outcome)
        })
    }

    /// A call of the instance, which travels to the thread of the call and back.
    fn work(
        &mut self,
        call: CallKind,
        limit: Duration,
        work: impl FnOnce(&mut Instance, CallTicket) -> CallOutcome + Send + 'static,
    ) -> Result<(), Failure> {
        let Some(mut instance) = self.instance.take() else {
            return Ok(());
        };
        let ticket = self.ticket(self.engine.board.ledger.time.now(), limit);
        let made = move || {
            let outcome = work(&mut instance, ticket);
            (outcome, instance)
        };
        let clock = Arc::clone(self.engine.board.ledger.time.clock());
        let late = move |(_, instance): (CallOutcome, Box<Instance>)| {
            destroy_unheard(*instance, clock.now());
        };
        let (outcome, instance) = self.call(call, ticket, limit, made, late)?;
        self.instance = Some(instance);
        self.check(call, outcome)
    }

    fn ticket(&mut self, began: Moment, limit: Duration) -> CallTicket {
        self.calls += 1;
        CallTicket {
            id: CallId(self.calls),
            since: began,
            deadline: began.saturating_add(limit),
        }
    }

    fn call<T: Send + 'static>(
        &self,
        call: CallKind,
        ticket: CallTicket,
        limit: Duration,
        make: impl FnOnce() -> T + Send + 'static,
        late: impl FnOnce(T) + Send + 'static,
    ) -> Result<T, Failure> {
        let Loaded { library, host, .. } = &self.setup.loaded;
        let aside = aside(self.cell, call, library, host, ticket);
        let time = &self.engine.board.ledger.time;
        let made = self.engine.executor.asides.call(time, &aside, make, late);
        made.map_err(|end| match end {
            AsideEnd::ShutDown => Failure::ShutDown,
            AsideEnd::NoThread(error) => ReloadError::Thread(error).into(),
            AsideEnd::TimedOut => self.fault(call, &overdue(limit)).into(),
        })
    }

    fn check(&self, call: CallKind, outcome: CallOutcome) -> Result<(), Failure> {
        match outcome {
            CallOutcome::Completed => Ok(()),
            CallOutcome::Failed { report, .. } | CallOutcome::Panicked(report) => {
                Err(self.fault(call, &report).into())
            }
        }
    }

    fn fault(&self, call: CallKind, report: &FaultReport) -> ReloadError {
        called(self.engine, call, report)
    }

    /// Gives back everything that it has taken.
    pub(super) fn give_up(mut self) {
        self.setup.loaded.host.stop_listening_at_all();
        if let Some(instance) = self.instance.take()
            && let Err(report) = destroy(self.engine, self.cell, *instance)
        {
            let message = &report.message;
            tracing::warn!(target: "plugin_engine", plugin = %self.cell.id, %message, "the replacement that was refused could not be destroyed");
        }
    }
}

/// What a call came to that did not complete.
pub(super) fn called(engine: &Shared, call: CallKind, report: &FaultReport) -> ReloadError {
    let time = &engine.board.ledger.time;
    let at = time.wall_at(time.now());
    let fault = Arc::new(Fault::new(report, at, Some(call), true, 1));
    ReloadError::Call { call, fault }
}

/// Destroys an instance that is not its plugin's any more, or never was, and waits for that as long as it may take.
pub(super) fn destroy(
    engine: &Arc<Shared>,
    cell: &Cell,
    instance: Instance,
) -> Result<(), FaultReport> {
    let limit = engine.options.destroy_timeout;
    let time = &engine.board.ledger.time;
    let now = time.now();
    let ticket = CallTicket {
        id: LAST_CALL,
        since: now,
        deadline: now.saturating_add(limit),
    };
    let (library, host) = (Arc::clone(instance.library()), Arc::clone(instance.host()));
    let aside = aside(cell, CallKind::Destroy, &library, &host, ticket);
    // The library is let go on the thread that has used it last.
    drop(library);
    let destroy = move || instance.destroy(ticket);
    let ended = engine.executor.asides.call(time, &aside, destroy, drop);
    host.stop_listening_at_all();
    match ended {
        Ok(CallOutcome::Completed) | Err(AsideEnd::ShutDown) => Ok(()),
        Ok(CallOutcome::Failed { report, .. } | CallOutcome::Panicked(report)) => Err(report),
        Err(AsideEnd::TimedOut) => Err(overdue(limit)),
        Err(AsideEnd::NoThread(error)) => Err(FaultReport::new(
            FaultKind::Refused,
            format!(
                "it was left as it is, because no thread could be started for its destroy: {error}"
            ),
        )),
    }
}

fn aside(
    cell: &Cell,
    call: CallKind,
    library: &Arc<LoadedLibrary>,
    host: &Arc<HostContext>,
    ticket: CallTicket,
) -> Aside {
    Aside {
        id: cell.id.clone(),
        cell: cell.index,
        call,
        host: Arc::clone(host),
        ticket,
        library: library.number,
    }
}

/// On the thread of a call that came home too late.
fn destroy_unheard(instance: Instance, now: Moment) {
    let ticket = CallTicket {
        id: CallId(0),
        since: now,
        deadline: Moment::FAR,
    };
    instance.destroy(ticket);
}

pub(super) fn overdue(limit: Duration) -> FaultReport {
    let limit = humantime::format_duration(limit);
    FaultReport::new(
        FaultKind::Timeout,
        format!("it has not returned within its timeout of {limit}"),
    )
}
