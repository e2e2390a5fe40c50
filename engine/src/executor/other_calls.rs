//! The calls that are not updates: create, display, destroy.

use std::sync::Arc;

use plugin_api::View;
use plugin_engine_core::{
    CallEnd, CallId, CallKind, CallOutcome, CreateReason, Event, FaultKind, FaultReport, Machine,
    Moment, PluginState, RejectReason,
};

use super::batch::Verdict;
use super::call::{Caller, busy_or_stuck, verdict_of};
use super::slot::TaskEnd;
use crate::cell::{Applied, Guarded, Loaded};
use crate::host::HostContext;
use crate::instance::{CallTicket, Instance, SavedState};
use crate::threading::Mutex;

impl Caller<'_> {
    /// Begins a call other than an update: claims, and tells the watchdog.
    pub(super) fn begin(
        &self,
        guarded: &mut Guarded,
        event: Event,
        kind: CallKind,
    ) -> Result<CallTicket, RejectReason> {
        let now = self.executor.board.ledger.time.now();
        let applied = self
            .cell
            .apply(&self.executor.board.ledger, guarded, now, event)?;
        let ticket = CallTicket {
            id: applied.call.ok_or(RejectReason::NoSuchCall)?,
            since: now,
            deadline: now.saturating_add(guarded.machine.limits().of(kind)),
        };
        self.slot.begin(self.cell.index, ticket);
        // A worker that was written off in an earlier step is not looked at often; this call has a deadline of its own.
        if self.slot.is_slow() {
            self.executor.watchdog.wake();
        }
        Ok(ticket)
    }

    pub(super) fn end(
        &self,
        guarded: &mut Guarded,
        id: CallId,
        outcome: CallOutcome,
    ) -> (CallEnd, Option<Applied>) {
        let now = self.executor.board.ledger.time.now();
        match self.cell.apply(
            &self.executor.board.ledger,
            guarded,
            now,
            Event::CallEnded { id, outcome },
        ) {
            Ok(applied) => (applied.ended, Some(applied)),
            Err(_) => (CallEnd::Late { current: false }, None),
        }
    }

    /// Creates an instance.
    pub(super) fn create(&self, reason: CreateReason) -> TaskEnd {
        if reason == CreateReason::RequirementMet && self.is_unmet() {
            // It was there when this was asked for, and has gone again.
            return TaskEnd::NotMade(RejectReason::Unmet);
        }
        let mut guarded = self.cell.lock();
        let Some(loaded) = guarded.loaded.clone() else {
            return TaskEnd::NotMade(RejectReason::NoInstance);
        };
        if reason == CreateReason::Anew && !guarded.machine.needs_instance() {
            // A command was faster; its instance must not be pushed out by another.
            return TaskEnd::NotMade(RejectReason::NoInstance);
        }
        let by_itself = matches!(
            reason,
            CreateReason::RequirementMet | CreateReason::Restart | CreateReason::Hung
        );
        if by_itself && guarded.waiters > 0 {
            // A command is about to create an instance itself.
            return TaskEnd::NotMade(RejectReason::Busy);
        }
        let event = Event::CreateStarted(reason);
        let ticket = match self.begin(&mut guarded, event, CallKind::Create) {
            Ok(ticket) => ticket,
            Err(reason) => return TaskEnd::NotMade(reason),
        };
        loaded.host.listen_to(ticket.id);
        drop(guarded);
        let library = Arc::clone(&loaded.library);
        self.slot.ran.add(library.number);
        let create = || match self.prepare(loaded, ticket.id) {
            Ok(host) => Instance::create(library, host, ticket),
            Err(report) => (misconfigured(report), None),
        };
        let (outcome, instance) = self.metered(CallKind::Create, create);
        self.slot.end();
        let verdict = verdict_of(&outcome);
        let mut guarded = self.cell.lock();
        let (ended, applied) = self.end(&mut guarded, ticket.id, outcome);
        let in_time = ended == CallEnd::InTime;
        let mut unwanted = instance;
        // A policy may have disposed of it in the same moment: then nothing that could be called came of it.
        let is_there = guarded.machine.has_instance();
        let verdict = match verdict {
            Verdict::Completed if !is_there => Verdict::Failed,
            verdict => verdict,
        };
        if in_time && is_there {
            // What a policy has left in its place, if anything, goes.
            std::mem::swap(&mut guarded.instance, &mut unwanted);
        }
        drop(guarded);
        self.log_notable(applied);
        if let Some(instance) = unwanted {
            self.dispose(*instance);
        }
        if in_time {
            TaskEnd::Ended(verdict, None)
        } else {
            TaskEnd::Abandoned
        }
    }

    /// Makes the settings that the instance gets, inside the call and its deadline: a secret may lie on a slow disk. What they
    /// say now replaces what they said at the last create.
    fn prepare(&self, loaded: Loaded, id: CallId) -> Result<Arc<HostContext>, FaultReport> {
        let Some(preparation) = &loaded.preparation else {
            return Ok(loaded.host);
        };
        let prepared = preparation.prepare();
        let mut guarded = self.cell.lock();
        let current = guarded
            .machine
            .in_flight()
            .is_some_and(|call| call.id == id && !call.abandoned);
        match prepared {
            Ok(resolved) => {
                loaded.library.secrets.add(resolved.secrets);
                let host = loaded.host.with_settings(&resolved.json);
                if !current {
                    // Nobody waits for the instance any more, and the settings may be those of another load.
                    return Err(FaultReport::new(
                        FaultKind::Config,
                        "the create was abandoned",
                    ));
                }
                guarded.misconfigured = None;
                guarded.heard = Some(Arc::clone(&host));
                if let Some(loaded) = &mut guarded.loaded {
                    loaded.host = Arc::clone(&host);
                }
                Ok(host)
            }
            Err(error) => {
                let report = error.report();
                if current {
                    guarded.misconfigured = Some(Arc::new(error));
                }
                Err(report)
            }
        }
    }

    /// Whether something that the plugin requires is not there.
    fn is_unmet(&self) -> bool {
        let requires = self.cell.lock().required();
        requires.is_some_and(|requires| self.executor.board.first_unmet(&requires).is_some())
    }

    /// Displays the plugin.
    pub(super) fn display(&self) -> TaskEnd {
        if self.cell.lock().machine.needs_instance() {
            // To show what is there needs nobody else; to create another instance does.
            if self.is_unmet() {
                return TaskEnd::NotMade(RejectReason::Unmet);
            }
            if let Err(end) = self.renew(false) {
                return end.task_end();
            }
        }
        let kind = CallKind::Display;
        self.call_instance(Event::DisplayStarted, kind, |instance, ticket| {
            instance.display(ticket)
        })
    }

    /// Has the instance save its state. It stays the plugin's, whatever comes of that.
    pub(super) fn save(&self, into: &Mutex<Option<Result<SavedState, FaultReport>>>) -> TaskEnd {
        let kind = CallKind::SaveState;
        self.call_instance(Event::SaveStarted, kind, |instance, ticket| {
            let (outcome, state) = instance.save_state(ticket);
            // Before anybody is told that the call has ended.
            *into.lock() = match &outcome {
                CallOutcome::Completed => state.map(Ok),
                CallOutcome::Failed { report, .. } | CallOutcome::Panicked(report) => {
                    Some(Err(report.clone()))
                }
            };
            (outcome, None)
        })
    }

    /// A call of the instance that a command asked for, from the claim to the end. What it shows comes with that.
    fn call_instance(
        &self,
        event: Event,
        kind: CallKind,
        call: impl FnOnce(&mut Instance, CallTicket) -> (CallOutcome, Option<View>),
    ) -> TaskEnd {
        let mut guarded = self.cell.lock();
        let Some(mut instance) = guarded.instance.take() else {
            return TaskEnd::NotMade(busy_or_stuck(&guarded.machine));
        };
        let ticket = match self.begin(&mut guarded, event, kind) {
            Ok(ticket) => ticket,
            Err(reason) => {
                guarded.instance = Some(instance);
                return TaskEnd::NotMade(reason);
            }
        };
        instance.is_heard_in(ticket.id);
        drop(guarded);
        self.slot.ran.add(instance.library_number());
        let (outcome, view) = self.metered(kind, || call(&mut instance, ticket));
        let now = self.executor.board.ledger.time.now();
        self.slot.end();
        let ended = self.finish(now, ticket.id, outcome, instance);
        if let Some(instance) = ended.leftover {
            self.dispose(*instance);
        }
        match ended.verdict {
            Verdict::Abandoned => TaskEnd::Abandoned,
            verdict => TaskEnd::Ended(verdict, view),
        }
    }

    /// Destroys an instance, under a deadline.
    ///
    /// `current` says that it is the instance which the plugin has now, not one that it had before.
    pub(super) fn destroy(&self, instance: Instance, current: bool) -> Verdict {
        let mut guarded = self.cell.lock();
        let event = Event::DestroyStarted { current };
        let is_wanted = guarded.machine.has_instance() || is_to_be_created(&guarded.machine);
        let begun = if !current && is_wanted {
            // The calls of the instance that the plugin has now, or is about to have, need not wait for one that it had before.
            Err(RejectReason::Busy)
        } else {
            self.begin(&mut guarded, event, CallKind::Destroy)
        };
        if let Ok(ticket) = begun {
            instance.is_heard_in(ticket.id);
        }
        drop(guarded);
        let Ok(ticket) = begun else {
            // Another call of this plugin is in flight, on another instance: this one goes without an entry of its own.
            self.dispose(instance);
            return Verdict::Completed;
        };
        self.slot.ran.add(instance.library_number());
        let outcome = self.metered(CallKind::Destroy, || instance.destroy(ticket));
        self.slot.end();
        let verdict = verdict_of(&outcome);
        let mut guarded = self.cell.lock();
        let (ended, applied) = self.end(&mut guarded, ticket.id, outcome);
        drop(guarded);
        self.log_notable(applied);
        if ended == CallEnd::InTime {
            verdict
        } else {
            Verdict::Abandoned
        }
    }

    /// Destroys an instance that nobody waits for: it came home after its plugin had gone on without it. The watchdog sees
    /// that the worker is busy, but there is no deadline that anybody could be told of.
    pub(super) fn dispose(&self, instance: Instance) {
        let ticket = CallTicket {
            id: CallId(0),
            since: self.executor.board.ledger.time.now(),
            deadline: Moment::FAR,
        };
        self.slot.ran.add(instance.library_number());
        self.slot.begin(self.cell.index, ticket);
        instance.destroy(ticket);
        self.slot.end();
    }
}

/// Whether the plugin is loaded and has to be created.
fn is_to_be_created(machine: &Machine) -> bool {
    machine.state() == PluginState::Loaded
}

/// Only another configuration helps, or what it refers to.
fn misconfigured(report: FaultReport) -> CallOutcome {
    CallOutcome::Failed {
        report,
        recoverable: false,
        retry_after: None,
    }
}
