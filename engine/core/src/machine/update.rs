//! Updates: the calls that machines are made for, from the tick that has come to the end of the call.

use std::sync::Arc;
use std::time::Duration;

use super::{CallEnd, CallId, CallOutcome, CreateReason, Machine, Record, RejectReason, Step};
use crate::{CallKind, Cause, Fault, FaultReport, Moment, PluginState, WallTime, next_state};

/// Where the table leads from a start and from a completion, looked up when this is compiled.
const STARTED: PluginState = follow(PluginState::Enabled, Cause::UpdateStarted);
const COMPLETED: PluginState = follow(PluginState::Running, Cause::UpdateCompleted);

const fn follow(from: PluginState, cause: Cause) -> PluginState {
    match next_state(from, cause) {
        Some(to) => to,
        None => panic!("the table has no such transition"),
    }
}

/// The two steps of an update that nothing is wrong with, for those who make millions of them. Each does what
/// [`Machine::apply`] does with the same event and nothing else; where anything is out of the ordinary it does nothing and
/// says `None`, and [`Machine::apply`] is to be asked.
impl Machine {
    /// [`Event::UpdateStarted`](super::Event::UpdateStarted) of a plugin that is due and can be called.
    #[inline]
    pub fn start_plain_update(&mut self, now: Moment, wall: WallTime) -> Option<CallId> {
        let plain = self.plain
            && self.state == PluginState::Enabled
            && self.in_flight.is_none()
            && self.schedule.is_due(now);
        plain.then(|| self.claim_update(now, wall))
    }

    /// [`Event::CallEnded`](super::Event::CallEnded) of an update in time that completed after one that did, too. Returns how
    /// long it took.
    #[inline]
    pub fn complete_plain_update(
        &mut self,
        now: Moment,
        wall: WallTime,
        id: CallId,
    ) -> Option<Duration> {
        let call = self.in_flight.as_ref()?;
        let plain = call.id == id && !call.abandoned && call.call == CallKind::Update && self.plain;
        let duration = now.saturating_since(call.started);
        plain.then(|| {
            self.in_flight = None;
            self.count_completed(now, wall);
            self.state = COMPLETED;
            self.since = wall;
            duration
        })
    }

    #[inline]
    fn claim_update(&mut self, now: Moment, wall: WallTime) -> CallId {
        // The tick that this update is for is not a skipped one; those that passed before it are.
        self.counts.skipped += self.schedule.take(now).saturating_sub(1);
        self.counts.updates += 1;
        self.state = STARTED;
        self.since = wall;
        self.begin(now, wall, CallKind::Update, CreateReason::Load)
    }

    #[inline]
    fn count_completed(&mut self, now: Moment, wall: WallTime) {
        self.counts.successes += 1;
        self.times.last_update = Some(wall);
        self.times.last_success = Some(wall);
        // Ticks that came while it ran are skipped, not made up for.
        self.counts.skipped += self.schedule.take(now);
    }
}

impl Machine {
    pub(super) fn start_update(
        &mut self,
        now: Moment,
        wall: WallTime,
        on_demand: bool,
    ) -> Result<Step, RejectReason> {
        if self.state != PluginState::Enabled {
            return Err(RejectReason::Illegal(self.state));
        }
        self.check_callable()?;
        let breaker = &self.health.troubles().breaker;
        let is_due = self.schedule.is_due(now) && breaker.lets_pass(now);
        if !on_demand && !is_due {
            return Err(RejectReason::NotDue);
        }
        let goes_back = self.begin_probe(now);
        let id = self.claim_update(now, wall);
        let step = Step::started(id);
        let step = if goes_back { step.rearmed() } else { step };
        Ok(Step {
            record: Some(Record {
                from: PluginState::Enabled,
                to: STARTED,
                cause: Cause::UpdateStarted,
                error: None,
                duration: None,
            }),
            ..step
        })
    }

    pub(super) fn end_call(
        &mut self,
        now: Moment,
        wall: WallTime,
        id: CallId,
        outcome: CallOutcome,
    ) -> Result<Step, RejectReason> {
        let Some(call) = self.in_flight.filter(|call| call.id == id) else {
            let position = self.orphans.iter().position(|orphan| *orphan == id);
            self.orphans
                .swap_remove(position.ok_or(RejectReason::NoSuchCall)?);
            return self.return_late(wall, None, false);
        };
        let duration = now.saturating_since(call.started);
        if call.abandoned {
            self.in_flight = None;
            // Whatever a create made, nobody waits for it; and what was being destroyed is not the instance that there is.
            let other = matches!(call.call, CallKind::Create | CallKind::Destroy);
            let current = self.has_instance && !other;
            // An instance that was given up meanwhile is nobody's to create anew.
            self.poisoned |= current && matches!(outcome, CallOutcome::Panicked(_));
            return self.return_late(wall, Some(duration), current);
        }
        let mut step = match call.call {
            CallKind::Update => self.end_update(now, wall, duration, outcome),
            CallKind::Display => self.end_display(wall, duration, outcome),
            CallKind::Create => self.end_create(now, wall, duration, call.reason, outcome),
            CallKind::Destroy => self.end_destroy(wall, duration, outcome),
            // Restoring is a call of an instance that is not this machine's yet.
            CallKind::SaveState | CallKind::RestoreState => self.end_save(wall, duration, outcome),
        }?;
        self.in_flight = None;
        step.ended = CallEnd::InTime;
        step.effects.settled = true;
        Ok(step)
    }

    #[cold]
    pub(super) fn return_late(
        &mut self,
        wall: WallTime,
        duration: Option<Duration>,
        current: bool,
    ) -> Result<Step, RejectReason> {
        self.counts.late += 1;
        let mut step = self.go(wall, Cause::ReturnedLate, None, duration)?;
        step.ended = CallEnd::Late { current };
        step.effects.settled = true;
        Ok(step)
    }

    pub(super) fn end_update(
        &mut self,
        now: Moment,
        wall: WallTime,
        duration: Duration,
        outcome: CallOutcome,
    ) -> Result<Step, RejectReason> {
        if !matches!(outcome, CallOutcome::Completed) {
            self.times.last_update = Some(wall);
            return self.fail_update(now, wall, duration, outcome);
        }
        self.faults.update = None;
        self.faults.updates_in_a_row = 0;
        self.count_completed(now, wall);
        self.go(wall, Cause::UpdateCompleted, None, Some(duration))
    }

    #[cold]
    fn fail_update(
        &mut self,
        now: Moment,
        wall: WallTime,
        duration: Duration,
        outcome: CallOutcome,
    ) -> Result<Step, RejectReason> {
        match outcome {
            CallOutcome::Completed => Err(RejectReason::NoSuchCall),
            CallOutcome::Failed {
                report,
                recoverable: true,
                retry_after,
            } => {
                self.counts.failures += 1;
                let error = self.fault_of_update(&report, wall, true);
                self.faults.update = Some(Arc::clone(&error));
                self.schedule.retry(now, retry_after);
                self.go(wall, Cause::UpdateFailed, Some(error), Some(duration))
                    .map(Step::rearmed)
            }
            CallOutcome::Failed {
                report,
                recoverable: false,
                ..
            } => {
                self.counts.failures += 1;
                let error = self.fault_of_update(&report, wall, false);
                self.faults.update = None;
                self.faults.state = Some(Arc::clone(&error));
                self.let_go();
                self.go(wall, Cause::FailedPermanently, Some(error), Some(duration))
                    .map(Step::rearmed)
            }
            CallOutcome::Panicked(report) => {
                self.count_panic();
                self.poisoned = true;
                let error = self.fault_of_update(&report, wall, true);
                self.faults.update = Some(Arc::clone(&error));
                self.schedule.retry(now, None);
                self.go(wall, Cause::UpdatePanicked, Some(error), Some(duration))
                    .map(Step::rearmed)
            }
        }
    }

    #[cold]
    pub(super) fn fault_of_update(
        &mut self,
        report: &FaultReport,
        wall: WallTime,
        recoverable: bool,
    ) -> Arc<Fault> {
        self.faults.display_is_newer = false;
        self.faults.updates_in_a_row = self.faults.updates_in_a_row.saturating_add(1);
        let row = self.faults.updates_in_a_row;
        Arc::new(Fault::new(
            report,
            wall,
            Some(CallKind::Update),
            recoverable,
            row,
        ))
    }
}
