//! One update, from the claim to what follows from its end; with `other_calls`, the only place where a worker meets a cell.

use std::sync::Arc;

use plugin_engine_core::{
    CallEnd, CallId, CallKind, CallOutcome, CreateReason, Event, Machine, Moment, PluginState,
    RejectReason, Unmet,
};

use super::Executor;
use super::batch::Verdict;
use super::slot::{Slot, TaskEnd};
use crate::cell::{Applied, Cell, Guarded};
use crate::code::Code;
use crate::instance::{CallTicket, Instance};
use crate::transition_log::log;

/// A worker about to call one plugin.
pub(super) struct Caller<'a> {
    pub(super) executor: &'a Arc<Executor>,
    pub(super) slot: &'a Slot,
    pub(super) cell: &'a Arc<Cell>,
}

/// How an update ended.
pub(super) struct UpdateEnd {
    pub(super) verdict: Verdict,
    pub(super) now: Moment,
    /// An instance that is to be destroyed now that the result is counted.
    pub(super) leftover: Option<Box<Instance>>,
    rejected: Option<RejectReason>,
}

impl UpdateEnd {
    pub(super) fn not_made(now: Moment, reason: RejectReason) -> Self {
        Self {
            rejected: Some(reason),
            ..Self::ended(now, Verdict::Skipped)
        }
    }

    pub(super) fn ended(now: Moment, verdict: Verdict) -> Self {
        Self {
            verdict,
            now,
            leftover: None,
            rejected: None,
        }
    }

    pub(super) fn task_end(&self) -> TaskEnd {
        match (self.rejected, self.verdict) {
            (Some(reason), _) => TaskEnd::NotMade(reason),
            (None, Verdict::Abandoned) => TaskEnd::Abandoned,
            (None, verdict) => TaskEnd::Ended(verdict, None),
        }
    }
}

/// Why an instance that is not in its place cannot be called.
pub(super) fn busy_or_stuck(machine: &Machine) -> RejectReason {
    match machine.in_flight() {
        None => RejectReason::NoInstance,
        Some(call) if call.abandoned => RejectReason::Stuck,
        Some(_) => RejectReason::Busy,
    }
}

pub(super) fn verdict_of(outcome: &CallOutcome) -> Verdict {
    match outcome {
        CallOutcome::Completed => Verdict::Completed,
        CallOutcome::Failed { .. } => Verdict::Failed,
        CallOutcome::Panicked(_) => Verdict::Panicked,
    }
}

/// What a slot shows as the cell of a worker that is in no plugin but in the embedder's subscriber.
const NO_CELL: u32 = u32::MAX;

impl Slot {
    /// Runs what may take as long as the embedder's subscriber likes, as a call without a deadline: if it takes long, the
    /// worker's share goes to others.
    pub(super) fn outside(&self, f: impl FnOnce()) {
        let ticket = CallTicket {
            id: CallId(0),
            since: Moment::ZERO,
            deadline: Moment::FAR,
        };
        self.begin(NO_CELL, ticket);
        f();
        self.end();
    }
}

impl Caller<'_> {
    pub(super) fn log_notable(&self, applied: Option<Applied>) {
        for transition in applied.into_iter().flat_map(Applied::into_news) {
            self.slot.outside(|| log(&transition));
        }
    }

    /// Updates the plugin if it is due, or in any case if `on_demand`.
    ///
    /// The way of a good update: the plugin's lock and [`Cell::start_plain_update`], one load of and five stores into the slot, the call, one
    /// read of the clock, the lock and [`Cell::complete_plain_update`]. No allocation, no system call, no lock but the plugin's
    /// own.
    #[inline]
    pub(super) fn update(&self, now: Moment, on_demand: bool) -> UpdateEnd {
        let mut guarded = self.cell.lock();
        let plain = guarded.waiters == 0
            && guarded.requires.is_none()
            && guarded.instance.is_some()
            && !self.is_stopping()
            && !self.executor.is_crowded(self.slot)
            && !guarded.usage.is_sample_due(now)
            && !on_demand;
        let started = plain
            .then(|| {
                self.cell
                    .start_plain_update(&self.executor.board.ledger, &mut guarded, now)
            })
            .flatten();
        let (Some(id), Some(mut instance)) =
            (started, guarded.instance.take_if(|_| started.is_some()))
        else {
            drop(guarded);
            return self.update_with_care(now, on_demand);
        };
        instance.is_heard_in(id);
        let deadline = now.saturating_add(guarded.machine.limits().update);
        drop(guarded);

        let ticket = CallTicket {
            id,
            since: now,
            deadline,
        };
        self.slot.ran.add(instance.library_number());
        self.slot.begin(self.cell.index, ticket);
        let outcome = instance.update(ticket);
        let now = self.executor.board.ledger.time.now();
        self.slot.end();

        if let Some(outcome) = outcome {
            return self.finish(now, id, *outcome, instance);
        }
        let mut guarded = self.cell.lock();
        if !self
            .cell
            .complete_plain_update(&self.executor.board.ledger, &mut guarded, now, id)
        {
            drop(guarded);
            return self.finish(now, id, CallOutcome::Completed, instance);
        }
        self.cell.give_back(&mut guarded, instance);
        drop(guarded);
        UpdateEnd::ended(now, Verdict::Completed)
    }

    /// Records the end of a call and gives the instance back, if it is still the plugin's.
    #[cold]
    pub(super) fn finish(
        &self,
        now: Moment,
        id: CallId,
        outcome: CallOutcome,
        instance: Box<Instance>,
    ) -> UpdateEnd {
        let verdict = verdict_of(&outcome);
        let mut guarded = self.cell.lock();
        let applied = self.cell.apply(
            &self.executor.board.ledger,
            &mut guarded,
            now,
            Event::CallEnded { id, outcome },
        );
        let (ended, applied) = match applied {
            Ok(applied) => (applied.ended, Some(applied)),
            Err(_) => (CallEnd::Late { current: false }, None),
        };
        let (verdict, keep) = match ended {
            // Where nothing is called any more, what the instance holds is given back.
            CallEnd::InTime => (verdict, guarded.machine.has_instance()),
            CallEnd::Late { current } => (Verdict::Abandoned, current),
            CallEnd::None | CallEnd::Abandoned => (Verdict::Abandoned, false),
        };
        let mut leftover = None;
        if keep {
            guarded.instance = Some(instance);
        } else {
            leftover = Some(instance);
        }
        drop(guarded);
        self.log_notable(applied);
        UpdateEnd {
            leftover,
            ..UpdateEnd::ended(now, verdict)
        }
    }

    fn is_stopping(&self) -> bool {
        self.executor
            .board
            .stopping
            .load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Whether the plugin hung the last time and no thread is left for that.
    #[inline]
    fn must_be_refused(&self, guarded: &Guarded) -> bool {
        self.executor.is_crowded(self.slot)
            && guarded.machine.error().is_some_and(|fault| {
                matches!(
                    fault.kind,
                    plugin_engine_core::FaultKind::Timeout | plugin_engine_core::FaultKind::Refused
                )
            })
    }

    /// The rest of [`Caller::update`]: everything that is not a plugin in good order.
    #[cold]
    fn update_with_care(&self, now: Moment, on_demand: bool) -> UpdateEnd {
        if self.is_stopping() {
            return UpdateEnd::not_made(now, RejectReason::Illegal(PluginState::Unloaded));
        }
        let mut guarded = self.cell.lock();
        let mut unmet = None;
        if let Some(requires) = guarded.required() {
            drop(guarded);
            unmet = self.executor.board.first_unmet(&requires);
            guarded = self.cell.lock();
        }
        if guarded.has_leftover() {
            drop(guarded);
            return self.clear_away(now);
        }
        let machine = &guarded.machine;
        if machine.restart_is_due(now) {
            drop(guarded);
            return self.restart(now, unmet.as_ref());
        }
        let due = machine.state() == PluginState::Enabled
            && (on_demand || machine.schedule().is_due(now));
        if !due {
            let reason = match machine.state() {
                PluginState::Enabled => RejectReason::NotDue,
                state => RejectReason::Illegal(state),
            };
            if !matches!(machine.state(), PluginState::Enabled | PluginState::Running) {
                // Who has taken away what was left here was faster: from now on it ticks when it waits for something.
                let (schedule, ledger) = (machine.schedule(), &self.executor.board.ledger);
                ledger.rearm(self.cell.index, schedule.next(), schedule.interval());
            }
            drop(guarded);
            return self.skip(now, reason);
        }
        if guarded.waiters > 0 && !on_demand {
            // The tick stays where it is, and is offered again when whoever waits is done.
            guarded.tick_waits = true;
            drop(guarded);
            return UpdateEnd::not_made(now, RejectReason::Busy);
        }
        if let Some(unmet) = unmet {
            drop(guarded);
            return self.hold_back(now, on_demand, &unmet);
        }
        if self.must_be_refused(&guarded) {
            drop(guarded);
            super::refusal::refuse(self.executor, self.cell);
            return UpdateEnd::not_made(now, RejectReason::Stuck);
        }
        if machine.replacement_is_due(now) {
            drop(guarded);
            return match self.create(CreateReason::Hung) {
                TaskEnd::Ended(Verdict::Completed, _) => self.update_in_general(on_demand),
                end => self.not_created(end),
            };
        }
        if machine.needs_instance() {
            let free = machine.in_flight().is_none_or(|call| {
                // A destroy that hangs does not keep the next instance from being made; a stuck update or display does.
                call.abandoned && call.call == CallKind::Destroy
            });
            let reason = busy_or_stuck(machine);
            drop(guarded);
            if !free {
                return self.skip(now, reason);
            }
            if let Err(end) = self.renew(!on_demand) {
                return end;
            }
        } else {
            drop(guarded);
        }
        self.update_in_general(on_demand)
    }

    /// An update of a plugin that has an error, that a person asked for, or that is to be measured with care.
    pub(super) fn update_in_general(&self, on_demand: bool) -> UpdateEnd {
        let now = self.executor.board.ledger.time.now();
        let mut guarded = self.cell.lock();
        // Taken first, because a call that has been recorded as started has to be made.
        let Some(mut instance) = guarded.instance.take() else {
            let reason = busy_or_stuck(&guarded.machine);
            drop(guarded);
            return self.skip(now, reason);
        };
        let event = Event::UpdateStarted { on_demand };
        let applied = self
            .cell
            .apply(&self.executor.board.ledger, &mut guarded, now, event);
        let id = match applied.map(|applied| applied.call) {
            Ok(Some(id)) => id,
            refused => {
                guarded.instance = Some(instance);
                drop(guarded);
                return self.skip(now, refused.err().unwrap_or(RejectReason::NoSuchCall));
            }
        };
        let deadline = now.saturating_add(guarded.machine.limits().update);
        instance.is_heard_in(id);
        let is_sample = guarded.usage.take_sample(now);
        drop(guarded);
        let ticket = CallTicket {
            id,
            since: now,
            deadline,
        };
        self.slot.ran.add(instance.library_number());
        self.slot.begin(self.cell.index, ticket);
        let mut update = || instance.update(ticket);
        let outcome = if is_sample {
            self.metered(CallKind::Update, update)
        } else {
            update()
        };
        let now = self.executor.board.ledger.time.now();
        self.slot.end();
        let outcome = outcome.map_or(CallOutcome::Completed, |outcome| *outcome);
        let mut ended = self.finish(now, id, outcome, instance);
        if is_sample {
            let left = self.judge_usage(now);
            ended.leftover = ended.leftover.or(left);
        }
        ended
    }

    /// A tick of a plugin that requires something which is not there: counted, and said once. Whoever asked for an update is told why there
    /// is none, and it leaves no trace.
    fn hold_back(&self, now: Moment, on_demand: bool, unmet: &Unmet) -> UpdateEnd {
        if !on_demand {
            let report = Code::unmet_report("not called: ", unmet);
            let applied = super::refusal::refuse_for(self.executor, self.cell, report);
            self.log_notable(applied);
        }
        UpdateEnd::not_made(now, RejectReason::Unmet)
    }

    /// A tick that leads to no call: counted, if the plugin is one that ticks.
    pub(super) fn skip(&self, now: Moment, reason: RejectReason) -> UpdateEnd {
        if !matches!(reason, RejectReason::NotDue) {
            let mut guarded = self.cell.lock();
            let _ = self.cell.apply(
                &self.executor.board.ledger,
                &mut guarded,
                now,
                Event::TickSkipped,
            );
        }
        UpdateEnd::not_made(now, reason)
    }

    /// Destroys an instance that has panicked and makes another.
    pub(super) fn renew(&self, by_cycle: bool) -> Result<(), UpdateEnd> {
        let mut guarded = self.cell.lock();
        if by_cycle && guarded.waiters > 0 {
            // Somebody holds updates back since that was last looked at.
            guarded.tick_waits = true;
            drop(guarded);
            let now = self.executor.board.ledger.time.now();
            return Err(UpdateEnd::not_made(now, RejectReason::Busy));
        }
        if !guarded.machine.needs_instance() {
            // A command was faster.
            return Ok(());
        }
        let old = guarded.instance.take();
        drop(guarded);
        if let Some(old) = old
            && self.destroy(*old, true) == Verdict::Abandoned
        {
            return Err(self.not_created(TaskEnd::Abandoned));
        }
        match self.create(CreateReason::Anew) {
            TaskEnd::Ended(Verdict::Completed, _) => Ok(()),
            TaskEnd::NotMade(_) if !self.cell.lock().machine.needs_instance() => Ok(()),
            end => Err(self.not_created(end)),
        }
    }
}
