//! The other calls: create, display and destroy; and calls of any kind that are no longer waited for.

use std::sync::Arc;
use std::time::Duration;

use super::{
    AbandonReason, CallEnd, CallId, CallOutcome, CreateReason, Machine, RejectReason, Step,
};
use crate::{
    CallKind, Cause, Fault, FaultKind, FaultReport, Moment, PluginState, RestartDecision, WallTime,
};

impl Machine {
    pub(super) fn start_display(
        &mut self,
        now: Moment,
        wall: WallTime,
    ) -> Result<Step, RejectReason> {
        if self.state != PluginState::Enabled {
            return Err(RejectReason::Illegal(self.state));
        }
        self.check_callable()?;
        let id = self.begin(now, wall, CallKind::Display, CreateReason::Load);
        Ok(Step::started(id))
    }

    pub(super) fn start_create(
        &mut self,
        now: Moment,
        wall: WallTime,
        reason: CreateReason,
    ) -> Result<Step, RejectReason> {
        self.check(match reason {
            CreateReason::Load => Cause::Created,
            CreateReason::SwitchedOn => Cause::SwitchedOn,
            CreateReason::Reset => Cause::Reset,
            CreateReason::Anew => Cause::CreatedAnew,
            CreateReason::RequirementMet => Cause::RequirementMet,
            CreateReason::Restart => Cause::Restarted,
            CreateReason::Hung => Cause::Replaced,
        })?;
        // Whoever wants it back by itself must not bring back what has failed otherwise since.
        if reason == CreateReason::RequirementMet && !self.is_held_back() {
            return Err(RejectReason::Illegal(self.state));
        }
        if (reason == CreateReason::Restart && !self.restart_is_due(now))
            || (reason == CreateReason::Hung && !self.replacement_is_due(now))
        {
            return Err(RejectReason::NotDue);
        }
        self.give_up_stuck_call()?;
        let mut no_longer_waits = false;
        if matches!(reason, CreateReason::SwitchedOn | CreateReason::Reset) {
            // Somebody begins anew: what was tried before does not count against that.
            if let Some(troubles) = self.health.troubled() {
                troubles.restarts.reset();
            }
            no_longer_waits = self.cancel_restart();
        }
        let id = self.begin(now, wall, CallKind::Create, reason);
        let step = Step::started(id);
        Ok(if no_longer_waits {
            step.rearmed()
        } else {
            step
        })
    }

    pub(super) fn start_destroy(
        &mut self,
        now: Moment,
        wall: WallTime,
        current: bool,
    ) -> Result<Step, RejectReason> {
        self.check_free()?;
        self.has_instance &= !current;
        let id = self.begin(now, wall, CallKind::Destroy, CreateReason::Load);
        Ok(Step::started(id))
    }

    pub(super) fn end_display(
        &mut self,
        wall: WallTime,
        duration: Duration,
        outcome: CallOutcome,
    ) -> Result<Step, RejectReason> {
        self.times.last_display = Some(wall);
        self.health.is_known = true;
        self.poisoned |= matches!(outcome, CallOutcome::Panicked(_));
        let Some(report) = self.count(outcome) else {
            self.faults.display = None;
            self.faults.displays_in_a_row = 0;
            return Ok(Step::silent());
        };
        self.fail_display(wall, duration, &report)
    }

    pub(super) fn fail_display(
        &mut self,
        wall: WallTime,
        duration: Duration,
        report: &FaultReport,
    ) -> Result<Step, RejectReason> {
        self.faults.displays_in_a_row = self.faults.displays_in_a_row.saturating_add(1);
        let row = self.faults.displays_in_a_row;
        let error = Arc::new(Fault::new(report, wall, Some(CallKind::Display), true, row));
        self.faults.display = Some(Arc::clone(&error));
        self.faults.display_is_newer = true;
        self.go(wall, Cause::DisplayFailed, Some(error), Some(duration))
    }

    pub(super) fn end_create(
        &mut self,
        now: Moment,
        wall: WallTime,
        duration: Duration,
        reason: CreateReason,
        outcome: CallOutcome,
    ) -> Result<Step, RejectReason> {
        let (report, recoverable) = match outcome {
            CallOutcome::Completed => {
                return self.created(now, wall, duration, reason);
            }
            CallOutcome::Failed {
                report,
                recoverable,
                ..
            } => {
                self.counts.failures += 1;
                (report, recoverable)
            }
            CallOutcome::Panicked(report) => {
                self.count_panic();
                (report, true)
            }
        };
        self.fail_create(now, wall, duration, &report, recoverable)
    }

    pub(super) fn created(
        &mut self,
        now: Moment,
        wall: WallTime,
        duration: Duration,
        reason: CreateReason,
    ) -> Result<Step, RejectReason> {
        self.counts.successes += 1;
        self.poisoned = false;
        self.has_instance = true;
        self.faults.creates_in_a_row = 0;
        self.faults.state = None;
        self.health.waits_for_restart = false;
        let cause = match reason {
            CreateReason::Load => Cause::Created,
            CreateReason::SwitchedOn => {
                self.health.begin_anew();
                Cause::SwitchedOn
            }
            CreateReason::RequirementMet => Cause::RequirementMet,
            CreateReason::Restart => Cause::Restarted,
            CreateReason::Reset => {
                self.faults.clear();
                self.health.begin_anew();
                Cause::Reset
            }
            // The schedule goes on: an update is waiting for exactly this.
            CreateReason::Anew => {
                return self.go(wall, Cause::CreatedAnew, None, Some(duration));
            }
            CreateReason::Hung => {
                return self.go(wall, Cause::Replaced, None, Some(duration));
            }
        };
        self.schedule.start(now);
        self.go(wall, cause, None, Some(duration))
            .map(Step::rearmed)
    }

    /// A create that failed leads to Error, whatever it was made for; what may help by itself is tried again with back-off.
    pub(super) fn fail_create(
        &mut self,
        now: Moment,
        wall: WallTime,
        duration: Duration,
        report: &FaultReport,
        recoverable: bool,
    ) -> Result<Step, RejectReason> {
        self.faults.creates_in_a_row = self.faults.creates_in_a_row.saturating_add(1);
        let row = self.faults.creates_in_a_row;
        let call = Some(CallKind::Create);
        self.let_go();
        let decision = recoverable.then(|| self.health.restart_after_failure(now));
        let (cause, error) = match decision {
            Some(RestartDecision::GiveUp { restarts }) if restarts > 0 => {
                let report = FaultReport {
                    message: format!("{}: {}", self.given_up(restarts), report.message),
                    ..report.clone()
                };
                (
                    Cause::GaveUp,
                    Fault::new(&report, wall, call, recoverable, row),
                )
            }
            _ => {
                let error = Fault::new(report, wall, call, recoverable, row);
                (Cause::CreateFailed, error)
            }
        };
        if let Some(RestartDecision::In(delay)) = decision {
            self.schedule.wait(now, delay);
            self.health.waits_for_restart = true;
        }
        let error = Arc::new(error);
        self.faults.state = Some(Arc::clone(&error));
        self.go(wall, cause, Some(error), Some(duration))
            .map(Step::rearmed)
    }

    pub(super) fn end_destroy(
        &mut self,
        wall: WallTime,
        duration: Duration,
        outcome: CallOutcome,
    ) -> Result<Step, RejectReason> {
        let Some(report) = self.count(outcome) else {
            return Ok(Step::silent());
        };
        let error = Arc::new(Fault::new(&report, wall, Some(CallKind::Destroy), false, 1));
        self.go(wall, Cause::DestroyFailed, Some(error), Some(duration))
    }

    pub(super) fn abandon(
        &mut self,
        now: Moment,
        wall: WallTime,
        id: CallId,
        why: AbandonReason,
    ) -> Result<Step, RejectReason> {
        let Some(call) = self
            .in_flight
            .filter(|call| call.id == id && !call.abandoned)
        else {
            return Err(RejectReason::NoSuchCall);
        };
        let limit = self.limits.of(call.call);
        let duration = now.saturating_since(call.started);
        let message = match why {
            AbandonReason::Deadline => format!(
                "{} has not returned within its timeout of {}; it is running since {}",
                call.call,
                humantime::format_duration(limit),
                call.since
            ),
            AbandonReason::ShutDown => format!(
                "{} had not returned when the engine shut down; it is running since {}",
                call.call, call.since
            ),
        };
        let report = FaultReport::new(FaultKind::Timeout, message);
        self.counts.timeouts += 1;
        let mut step = match call.call {
            CallKind::Update => {
                self.times.last_update = Some(wall);
                let error = self.fault_of_update(&report, wall, true);
                self.faults.update = Some(Arc::clone(&error));
                self.schedule.retry(now, None);
                self.go(wall, Cause::UpdateTimedOut, Some(error), Some(duration))
                    .map(Step::rearmed)
            }
            CallKind::Display => {
                self.times.last_display = Some(wall);
                self.fail_display(wall, duration, &report)
            }
            CallKind::Create => self.fail_create(now, wall, duration, &report, true),
            CallKind::Destroy => {
                let error = Arc::new(Fault::new(&report, wall, Some(CallKind::Destroy), false, 1));
                self.go(wall, Cause::DestroyFailed, Some(error), Some(duration))
            }
            CallKind::SaveState | CallKind::RestoreState => self.fail_save(wall, duration, &report),
        }?;
        if let Some(call) = &mut self.in_flight {
            call.abandoned = true;
        }
        step.ended = CallEnd::Abandoned;
        step.effects.settled = true;
        Ok(step)
    }
}
