//! What happens to a plugin outside its calls: loads, switches, unloads, ticks that lead nowhere.

use std::sync::Arc;

use super::health::to_the_millisecond;
use super::{Machine, PastCall, RejectReason, Step};
use crate::{Cause, Fault, FaultReport, Moment, PluginState, WallTime};

impl Machine {
    pub(super) fn skip_ticks(&mut self, now: Moment) -> Step {
        // What comes in the state Error is a restart, which must not be missed.
        if !self.health.waits_for_restart {
            self.skip_come(now);
        }
        Step::silent()
    }

    pub(super) fn refuse_call(
        &mut self,
        now: Moment,
        wall: WallTime,
        report: &FaultReport,
    ) -> Result<Step, RejectReason> {
        self.check(Cause::CallRefused)?;
        match self.state {
            PluginState::Error => return self.put_off_restart(now, wall, report),
            // Before it was created it has no ticks.
            PluginState::Loaded => return Err(RejectReason::NotDue),
            _ => {}
        }
        self.skip_come(now);
        // Said once, not once per tick.
        if self
            .faults
            .update
            .as_ref()
            .is_some_and(|fault| fault.says(report))
        {
            return Ok(Step::silent());
        }
        let error = self.fault_of_update(report, wall, true);
        self.faults.update = Some(Arc::clone(&error));
        self.go(wall, Cause::CallRefused, Some(error), None)
    }

    /// A restart whose moment has come is made later, for a reason that has nothing to do with the plugin: it does not count.
    fn put_off_restart(
        &mut self,
        now: Moment,
        wall: WallTime,
        report: &FaultReport,
    ) -> Result<Step, RejectReason> {
        self.check_restart(now)?;
        self.try_again_by_itself(now, wall, report)
    }

    /// What was to be created by itself is created by a restart that does not count, which is made when there may be room for it.
    pub(super) fn refuse_create(
        &mut self,
        now: Moment,
        wall: WallTime,
        report: &FaultReport,
    ) -> Result<Step, RejectReason> {
        self.check_settled()?;
        if self.state != PluginState::Loaded && !self.is_held_back() {
            // A command has led it elsewhere, and said so.
            return Err(RejectReason::Illegal(self.state));
        }
        self.health.waits_for_restart = true;
        self.try_again_by_itself(now, wall, report)
    }

    fn try_again_by_itself(
        &mut self,
        now: Moment,
        wall: WallTime,
        report: &FaultReport,
    ) -> Result<Step, RejectReason> {
        let delay = self.health.policy.restart.first_delay;
        self.schedule.wait(now, delay);
        let after = humantime::format_duration(to_the_millisecond(delay));
        let report = FaultReport {
            message: format!("{}; tried again in {after}", report.message),
            ..report.clone()
        };
        // Said once, not once per try.
        let state = self.faults.state.as_ref();
        if state.is_some_and(|fault| fault.says(&report)) {
            return Ok(Step::silent().rearmed());
        }
        let error = Arc::new(Fault::new(&report, wall, None, true, 1));
        self.faults.state = Some(Arc::clone(&error));
        self.go(wall, Cause::CallRefused, Some(error), None)
            .map(Step::rearmed)
    }

    pub(super) fn map(&mut self, wall: WallTime) -> Result<Step, RejectReason> {
        let step = self.go(wall, Cause::Mapped, None, None)?;
        self.begin_generation();
        self.faults.clear();
        self.health.forget();
        self.poisoned = false;
        Ok(step)
    }

    pub(super) fn fail_load(
        &mut self,
        wall: WallTime,
        cause: Cause,
        report: &FaultReport,
    ) -> Result<Step, RejectReason> {
        self.check(cause)?;
        let error = Arc::new(Fault::new(report, wall, None, false, 1));
        self.faults.clear();
        self.health.forget();
        self.faults.state = Some(Arc::clone(&error));
        self.go(wall, cause, Some(error), None)
    }

    /// What another process has left behind is no error of what is loaded in this one: it is only entered.
    pub(super) fn enter_past_call(
        &mut self,
        wall: WallTime,
        past: &PastCall,
    ) -> Result<Step, RejectReason> {
        let cause = if past.crashed {
            Cause::Crashed
        } else {
            Cause::Interrupted
        };
        let error = Arc::new(Fault::new(&past.report, past.at, past.call, false, 1));
        self.go(wall, cause, Some(error), None)
    }

    pub(super) fn hold_back(
        &mut self,
        wall: WallTime,
        report: &FaultReport,
    ) -> Result<Step, RejectReason> {
        self.check(Cause::RequirementUnmet)?;
        self.check_settled()?;
        if self
            .faults
            .state
            .as_ref()
            .is_some_and(|fault| fault.says(report))
        {
            return Ok(Step::silent());
        }
        let error = Arc::new(Fault::new(report, wall, None, true, 1));
        self.faults.state = Some(Arc::clone(&error));
        let rearm = self.cancel_restart();
        let step = self.go(wall, Cause::RequirementUnmet, Some(error), None)?;
        Ok(if rearm { step.rearmed() } else { step })
    }

    pub(super) fn thread_panicked(
        &mut self,
        wall: WallTime,
        report: &FaultReport,
    ) -> Result<Step, RejectReason> {
        self.count_panic();
        let error = Arc::new(Fault::new(report, wall, None, true, 1));
        self.go(wall, Cause::ThreadPanicked, Some(error), None)
    }

    pub(super) fn switch_off(&mut self, wall: WallTime) -> Result<Step, RejectReason> {
        self.check_settled()?;
        let step = self.go(wall, Cause::SwitchedOff, None, None)?;
        self.faults.state = None;
        self.let_go();
        // Nothing of it runs that could turn out badly.
        self.health.on_probation = false;
        Ok(step.rearmed())
    }

    pub(super) fn unload(&mut self, wall: WallTime, cause: Cause) -> Result<Step, RejectReason> {
        self.check_settled()?;
        let by_policy = self.state == PluginState::Unloaded && self.health.episode().is_some();
        if by_policy && cause == Cause::FileRemoved {
            // A policy has unloaded it before, so there is nothing to enter, and nothing left that is unhealthy.
            self.faults.clear();
            self.health.forget();
            return Ok(Step::silent());
        }
        let step = self.go(wall, cause, None, None)?;
        self.faults.clear();
        self.let_go();
        self.health.forget();
        Ok(step.rearmed())
    }

    /// The plugin has no instance any more, so nothing of it is due, and what that one used or failed in a row says nothing of the next.
    pub(super) fn let_go(&mut self) {
        self.has_instance = false;
        self.poisoned = false;
        if let Some(troubles) = self.health.troubled() {
            troubles.limit = None;
            troubles.breaker.reset();
        }
        self.health.waits_for_restart = false;
        self.schedule.stop();
    }

    /// A restart that was waited for is not made. Says whether there was one.
    pub(super) fn cancel_restart(&mut self) -> bool {
        let waited = std::mem::take(&mut self.health.waits_for_restart);
        if waited {
            self.schedule.stop();
        }
        waited
    }
}
