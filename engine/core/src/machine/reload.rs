//! Reloads, as far as the plugin that is active is concerned: what takes over, what was refused, and the state that is handed over.
//! What becomes of a candidate before it takes over is no business of the machine.

use std::sync::Arc;
use std::time::Duration;

use super::event::Takeover;
use super::{CallLimits, CallOutcome, CreateReason, Machine, RejectReason, Schedule, Step};
use crate::text::bounded_message;
use crate::{CallKind, Cause, Fault, FaultKind, FaultReport, Moment, PluginState, WallTime};

impl Machine {
    /// Another generation takes over at this moment, which lies between two calls, or beside one that is stuck.
    pub(super) fn take_over(
        &mut self,
        now: Moment,
        wall: WallTime,
        takeover: Takeover,
    ) -> Result<Step, RejectReason> {
        let Takeover {
            mut schedule,
            limits,
            rolls_back,
            note,
        } = takeover;
        let cause = if rolls_back {
            Cause::RolledBack
        } else {
            Cause::Reloaded
        };
        self.check(cause)?;
        self.give_up_stuck_call()?;
        let runs = self.state == PluginState::Enabled;
        let error = note.map(|report| Arc::new(Fault::new(&report, wall, None, true, 1)));
        let step = self.go(wall, cause, error, None)?;
        self.begin_generation();
        self.faults.clear();
        // What was in a row was of the generation before, and so was the cool-down.
        self.end_cool_down();
        self.health.forget();
        self.poisoned = false;
        self.has_instance = self.state == PluginState::Enabled;
        // Due updates are not missed: a plugin that was running goes on along its ticks.
        if self.has_instance && !(runs && schedule.go_on_from(&self.schedule)) {
            schedule.start(now);
        }
        self.schedule = schedule;
        self.limits = limits;
        Ok(step.rearmed())
    }

    pub(super) fn refuse_reload(
        &mut self,
        wall: WallTime,
        report: &FaultReport,
        created_anew: bool,
    ) -> Result<Step, RejectReason> {
        let error = Arc::new(Fault::new(report, wall, None, true, 1));
        let step = self.go(wall, Cause::ReloadRefused, Some(error), None)?;
        if report.kind == FaultKind::Config && self.has_instance {
            self.health.trouble().settings = Some(bounded_message(&report.message));
        }
        if created_anew {
            // The destroy of the one before may be stuck.
            self.orphans
                .extend(self.in_flight.take().map(|call| call.id));
            // Where a policy has disposed of the plugin meanwhile, this one is not wanted either.
            self.has_instance = self.state == PluginState::Enabled;
            self.poisoned = false;
        }
        Ok(step)
    }

    pub(super) fn not_put_back(
        &mut self,
        now: Moment,
        wall: WallTime,
        report: &FaultReport,
    ) -> Result<Step, RejectReason> {
        if self.state != PluginState::Enabled {
            return Err(RejectReason::Illegal(self.state));
        }
        self.check_settled()?;
        // It went before, so it may go again: with back-off, as after any create that failed.
        self.fail_create(now, wall, Duration::ZERO, report, true)
    }

    /// The instance is not this plugin's any more, so nothing but the history knows of it.
    pub(super) fn not_destroyed(
        &mut self,
        wall: WallTime,
        report: &FaultReport,
    ) -> Result<Step, RejectReason> {
        let call = Some(CallKind::Destroy);
        let error = Arc::new(Fault::new(report, wall, call, false, 1));
        self.go(wall, Cause::DestroyFailed, Some(error), None)
    }

    pub(super) fn reconfigure(
        &mut self,
        now: Moment,
        wall: WallTime,
        mut schedule: Schedule,
        limits: CallLimits,
    ) -> Result<Step, RejectReason> {
        self.check_settled()?;
        let step = self.go(wall, Cause::Reconfigured, None, None)?;
        self.health.settings_hold();
        // What is waited for is waited for all the same: a restart, or the end of a cool-down.
        let cools_down = !self.health.troubles().breaker.lets_pass(now);
        let waits = self.health.waits_for_restart || cools_down;
        self.skip_put_off(now);
        if let Some(until) = self.schedule.next().filter(|_| waits) {
            schedule.set_next(until);
        } else if !schedule.go_on_from(&self.schedule) && self.state == PluginState::Enabled {
            schedule.start(now);
        }
        self.schedule = schedule;
        self.limits = limits;
        Ok(step.rearmed())
    }

    pub(super) fn start_save(&mut self, now: Moment, wall: WallTime) -> Result<Step, RejectReason> {
        self.check(Cause::SaveFailed)?;
        self.check_callable()?;
        let id = self.begin(now, wall, CallKind::SaveState, CreateReason::Load);
        Ok(Step::started(id))
    }

    pub(super) fn end_save(
        &mut self,
        wall: WallTime,
        duration: Duration,
        outcome: CallOutcome,
    ) -> Result<Step, RejectReason> {
        self.poisoned |= matches!(outcome, CallOutcome::Panicked(_));
        match self.count(outcome) {
            None => Ok(Step::silent()),
            Some(report) => self.fail_save(wall, duration, &report),
        }
    }

    /// Says nothing of updates, so no error stands after it.
    pub(super) fn fail_save(
        &mut self,
        wall: WallTime,
        duration: Duration,
        report: &FaultReport,
    ) -> Result<Step, RejectReason> {
        let call = Some(CallKind::SaveState);
        let error = Arc::new(Fault::new(report, wall, call, true, 1));
        self.go(wall, Cause::SaveFailed, Some(error), Some(duration))
    }
}
