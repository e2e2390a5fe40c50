//! Health: what the end of a call says of it, and what a policy has done about it once no call is in the way.

use std::sync::Arc;
use std::time::Duration;

use super::{Effects, Machine, RejectReason, Step};
use crate::health::HUNG_INSTANCES_MAX;
use crate::{
    BreakerState, CallKind, Cause, Fault, FaultKind, FaultReport, Health, HealthPolicy, Moment,
    OnHung, OnUnhealthy, PluginState, RestartDecision, WallTime,
};

/// What is left to be entered into the history after an event, each as an entry of its own.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Unsaid {
    /// By a policy that does nothing else about it.
    unhealthy: bool,
    pub(super) breaker_opened: bool,
    pub(super) breaker_closed: bool,
    recovered: bool,
}

impl Unsaid {
    fn is_empty(self) -> bool {
        !(self.unhealthy || self.breaker_opened || self.breaker_closed || self.recovered)
    }
}

impl Machine {
    /// Other policies hold from now on; what has happened so far still counts, and a restart that is waited for is made. Where a breaker is
    /// taken away, so is its cool-down: then timers are to be told.
    pub fn set_health_policy(&mut self, policy: HealthPolicy) -> Effects {
        let rearm = policy.breaker.is_none() && self.end_cool_down();
        self.health.set_policy(policy);
        self.unsaid.unhealthy &= policy.on_unhealthy == OnUnhealthy::None;
        self.refresh();
        Effects {
            rearm,
            ..Effects::default()
        }
    }

    /// The generation that has taken over is on probation from now on: should it become unhealthy, it is no longer called, and a policy
    /// that disposes of it is held back until the generation before takes over again, or until [`Machine::end_probation`].
    pub fn begin_probation(&mut self) {
        self.health.on_probation = true;
    }

    /// There is nothing that could take over again. If a policy was held back for that, it is to be applied now: see
    /// [`Machine::has_more_to_say`].
    pub fn end_probation(&mut self) {
        self.health.on_probation = false;
    }

    /// The policies.
    #[must_use]
    pub fn health_policy(&self) -> &HealthPolicy {
        &self.health.policy
    }

    /// How well the plugin is.
    #[must_use]
    #[inline]
    pub fn health(&self) -> Health {
        self.health_now
    }

    /// Why the health is what it is, if it is not good.
    #[must_use]
    pub fn health_reason(&self) -> Option<&str> {
        match self.health_now {
            Health::Unknown | Health::Healthy => None,
            Health::Degraded | Health::Unhealthy => self
                .health_note()
                .or_else(|| self.error().map(|error| &*error.message)),
        }
    }

    /// What there is to say of the health beside the [`error`](Self::error) that stands.
    #[must_use]
    pub fn health_note(&self) -> Option<&str> {
        let troubles = self.health.troubles();
        match &troubles.episode {
            Some(fault) => Some(&fault.message),
            None => {
                let limit = troubles.limit.as_ref().map(|(text, _)| &**text);
                limit.or(troubles.settings.as_deref())
            }
        }
    }

    /// How many calls of a kind have failed in a row: creates, updates and displays are counted, each for itself.
    #[must_use]
    #[inline]
    pub fn failures_in_a_row(&self, call: CallKind) -> u32 {
        match call {
            CallKind::Create => self.faults.creates_in_a_row,
            CallKind::Update => self.faults.updates_in_a_row,
            CallKind::Display => self.faults.displays_in_a_row,
            CallKind::Destroy | CallKind::SaveState | CallKind::RestoreState => 0,
        }
    }

    /// What the circuit breaker does.
    #[must_use]
    #[inline]
    pub fn breaker(&self) -> BreakerState {
        self.breaker_now
    }

    /// Whether the state is Error only until the next restart.
    #[must_use]
    pub fn waits_for_restart(&self) -> bool {
        self.health.waits_for_restart
    }

    /// Whether the moment of a restart has come.
    #[must_use]
    pub fn restart_is_due(&self, now: Moment) -> bool {
        self.state == PluginState::Error
            && self.health.waits_for_restart
            && self.schedule.is_due(now)
    }

    /// Whether a new instance is to be created beside the one whose call does not return.
    #[must_use]
    pub fn replacement_is_due(&self, now: Moment) -> bool {
        let OnHung::Replace { after_intervals } = self.health.policy.on_hung else {
            return false;
        };
        let Some(call) = self.in_flight.filter(|call| call.abandoned) else {
            return false;
        };
        // A create or a destroy that does not return keeps no instance from being called.
        let holds_instance = !matches!(call.call, CallKind::Create | CallKind::Destroy);
        let overdue_since = call.started.saturating_add(self.limits.of(call.call));
        let patience = self.schedule.interval().saturating_mul(after_intervals);
        self.state == PluginState::Enabled
            && holds_instance
            && self.orphans.len() + 1 < HUNG_INSTANCES_MAX
            && overdue_since.saturating_add(patience) <= now
    }

    /// Whether the last event has left something to be said or done that is an entry of its own: [`Event::Judged`](super::Event::Judged)
    /// is to be applied, until there is nothing left.
    #[must_use]
    #[inline]
    pub fn has_more_to_say(&self) -> bool {
        !self.plain && self.has_verdict()
    }

    fn has_verdict(&self) -> bool {
        let Unsaid {
            unhealthy,
            breaker_opened,
            breaker_closed,
            recovered,
        } = self.unsaid;
        let enabled = self.state == PluginState::Enabled;
        let policy = self.health.is_due || (enabled && unhealthy);
        (policy && self.nothing_is_in_the_way())
            || (enabled && (breaker_opened || breaker_closed || recovered))
    }

    /// Whether a policy can be applied now: no call is waited for, and no instance is about to come.
    fn nothing_is_in_the_way(&self) -> bool {
        let here = match self.state {
            // Where the instance was destroyed for another that is about to come, that one is waited for.
            PluginState::Enabled => self.has_instance || self.poisoned,
            PluginState::Error => !self.health.on_probation,
            _ => false,
        };
        here && self.check_settled().is_ok()
    }

    /// Whether a policy that is due stays so, because the plugin is called or is about to be.
    fn keeps_policy_due(&self) -> bool {
        match (self.state, self.health.policy.on_unhealthy) {
            (_, OnUnhealthy::None) => false,
            _ if self.is_about_to_be_called() => true,
            // It is restarted as it is, until it is given up.
            (_, OnUnhealthy::Restart) => false,
            (state, OnUnhealthy::Disable | OnUnhealthy::Unload) => {
                let health = &self.health;
                // What was held back is not dropped where the probation ends while the instance that was let go of is destroyed.
                let may_return =
                    health.waits_for_restart || health.on_probation || health.held_back;
                state == PluginState::Error && may_return
            }
        }
    }

    /// Whether it is called, or will be unless a create fails.
    fn is_about_to_be_called(&self) -> bool {
        let creates = self
            .in_flight
            .is_some_and(|call| !call.abandoned && call.call == CallKind::Create);
        let called = matches!(
            self.state,
            PluginState::Enabled | PluginState::Running | PluginState::Loaded
        );
        called || creates
    }

    /// A call or a thread of the plugin has panicked. That says something of its health for as long as it has, makes or gives back an
    /// instance; a thread that is left of one that is gone is only counted.
    pub(super) fn count_panic(&mut self) {
        self.counts.panics += 1;
        let lives = self.has_instance || self.in_flight.is_some_and(|call| !call.abandoned);
        if lives && self.state != PluginState::Unloaded {
            self.health.failed();
            self.health.panicked();
        }
    }

    /// Takes down what an event says of the health, whatever it was. Called at the end of every one that is not plain.
    pub(super) fn note(&mut self, now: Moment, step: &mut Step) {
        let was_unhealthy = self.health.episode().is_some();
        if let Some(record) = &step.record {
            self.note_cause(now, record.cause, record.error.as_ref(), &mut step.effects);
        }
        if self.health.is_due {
            self.note_panics(step.record.as_ref().and_then(|record| record.error.clone()));
        }
        let became_unhealthy = !was_unhealthy && self.health.episode().is_some();
        self.unsaid.unhealthy |=
            became_unhealthy && self.health.policy.on_unhealthy == OnUnhealthy::None;
        // Another instance or another code may have come before there was room to say it.
        self.unsaid.unhealthy &= self.health.episode().is_some();
        // Where nothing is called, nothing is to be done about it.
        self.health.is_due &= self.keeps_policy_due();
        self.health.held_back &= self.health.is_due;
        if !matches!(self.state, PluginState::Enabled | PluginState::Running) {
            self.unsaid = Unsaid {
                unhealthy: self.unsaid.unhealthy && self.is_about_to_be_called(),
                ..Unsaid::default()
            };
        }
        let before = self.health_now;
        self.refresh();
        step.effects.became_unhealthy = became_unhealthy;
        step.effects.health_changed = before != self.health_now;
    }

    fn note_cause(
        &mut self,
        now: Moment,
        cause: Cause,
        error: Option<&Arc<Fault>>,
        effects: &mut Effects,
    ) {
        match cause {
            Cause::UpdateFailed | Cause::UpdateTimedOut | Cause::UpdatePanicked => {
                self.health.failed();
                effects.rearm |= self.begin_cool_down(now);
            }
            Cause::UpdateCompleted => {
                if self.health.succeeded(now) {
                    match self.health.episode() {
                        Some(_) => self.unsaid.recovered = true,
                        None => self.health.recover(),
                    }
                }
                self.unsaid.breaker_closed |= self.health.breaker_succeeded();
            }
            Cause::FailedPermanently | Cause::GaveUp => {
                self.health.failed();
                self.health.set_episode(error.cloned());
            }
            // Settings that are not good say nothing of the plugin, which was not called.
            Cause::CreateFailed if error.is_none_or(|error| error.kind != FaultKind::Config) => {
                self.health.failed();
                if !self.health.waits_for_restart {
                    self.health.set_episode(error.cloned());
                }
            }
            Cause::DisplayFailed | Cause::SaveFailed => self.health.failed(),
            Cause::LimitPassed if self.health.is_far_over_a_limit() => {
                self.health.failed();
                self.health.is_due = true;
                self.health.set_episode(error.cloned());
            }
            _ => {}
        }
    }

    /// The panics are as many as there may be: why the plugin is unhealthy.
    fn note_panics(&mut self, last: Option<Arc<Fault>>) {
        let is_panic =
            |last: &Arc<Fault>| matches!(last.kind, FaultKind::Panic | FaultKind::ThreadPanic);
        let Some(last) = last.filter(|last| is_panic(last) && self.health.is_over_the_limit())
        else {
            return;
        };
        let times = match self.health.troubles().panics {
            1 => "once".to_owned(),
            2 => "twice".to_owned(),
            more => format!("{more} times"),
        };
        let limit = self.health.policy.panic_limit.unwrap_or_default();
        let report = FaultReport {
            kind: last.kind,
            message: format!(
                "panicked {times}, the limit is {limit}; the last time: {}",
                last.message
            ),
            type_name: last.type_name.to_string(),
            location: last.location.to_string(),
            backtrace: String::new(),
        };
        let fault = Fault::new(&report, last.at, last.call, true, last.consecutive);
        self.health.set_episode(Some(Arc::new(fault)));
    }

    /// Works out what is kept ready for readers and for the way of a good update.
    pub(super) fn refresh(&mut self) {
        self.has_error = self.error().is_some();
        self.health_now = self.work_out_health();
        let in_update = self.state == PluginState::Running;
        self.breaker_now = self.health.breaker_state(in_update);
        self.plain = self.has_instance
            && !self.poisoned
            && self.faults.update.is_none()
            && self.faults.updates_in_a_row == 0
            && self.unsaid.is_empty()
            && self.health.is_calm();
    }

    fn work_out_health(&self) -> Health {
        let health = &self.health;
        let troubles = health.troubles();
        let degraded = troubles.limit.is_some() || troubles.settings.is_some();
        if troubles.episode.is_some() {
            Health::Unhealthy
        } else if degraded || (health.is_known && self.has_error()) {
            Health::Degraded
        } else if health.is_known {
            Health::Healthy
        } else {
            Health::Unknown
        }
    }

    /// Says or does the next of what the last event has left.
    pub(super) fn judge(&mut self, now: Moment, wall: WallTime) -> Result<Step, RejectReason> {
        if !self.has_verdict() {
            return Err(RejectReason::Illegal(self.state));
        }
        let free = self.nothing_is_in_the_way();
        if self.health.is_due && free {
            self.unsaid = Unsaid::default();
            return self.apply_policy(now, wall);
        }
        let Unsaid {
            unhealthy,
            breaker_opened,
            recovered,
            ..
        } = &mut self.unsaid;
        if free && std::mem::take(unhealthy) {
            let error = self.health.episode().cloned();
            return self.go(wall, Cause::TurnedUnhealthy, error, None);
        }
        if std::mem::take(breaker_opened) {
            let error = self.error().cloned();
            return self.go(wall, Cause::BreakerOpened, error, None);
        }
        if std::mem::take(recovered) {
            self.health.recover();
            return self.go(wall, Cause::Recovered, None, None);
        }
        self.unsaid.breaker_closed = false;
        self.go(wall, Cause::BreakerClosed, None, None)
    }

    fn apply_policy(&mut self, now: Moment, wall: WallTime) -> Result<Step, RejectReason> {
        let why = self.health.episode().cloned();
        let why = why.as_ref().map_or("unhealthy", |fault| &*fault.message);
        let on_unhealthy = self.health.policy.on_unhealthy;
        let disposes = matches!(on_unhealthy, OnUnhealthy::Disable | OnUnhealthy::Unload);
        // While the generation before may take over again, that comes first, and the policy stays due.
        let is_held_back = disposes && self.health.on_probation;
        self.health.is_due = is_held_back;
        self.health.held_back = is_held_back;
        let (cause, message, delay) = match on_unhealthy {
            _ if is_held_back => (Cause::Unhealthy, format!("to be rolled back: {why}"), None),
            OnUnhealthy::Disable => (Cause::SwitchedOff, format!("switched off: {why}"), None),
            OnUnhealthy::Unload => (Cause::Unloaded, format!("unloaded: {why}"), None),
            OnUnhealthy::Restart | OnUnhealthy::None => {
                match self.health.restart_after_failure(now) {
                    RestartDecision::In(delay) => {
                        let after = humantime::format_duration(to_the_millisecond(delay));
                        let message = format!("restarted in {after}: {why}");
                        (Cause::Unhealthy, message, Some(delay))
                    }
                    RestartDecision::GiveUp { restarts } => {
                        let message = format!("{}: {why}", self.given_up(restarts));
                        (Cause::GaveUp, message, None)
                    }
                }
            }
        };
        let error = self.fault_of_health(wall, message);
        if cause == Cause::Unloaded {
            self.faults.clear();
        }
        self.faults.state = Some(Arc::clone(&error));
        self.let_go();
        if let Some(delay) = delay {
            self.schedule.wait(now, delay);
            self.health.waits_for_restart = true;
        }
        self.go(wall, cause, Some(error), None).map(Step::rearmed)
    }

    /// What is said of a plugin of which the policy disposes: of the kind of what made it unhealthy.
    fn fault_of_health(&self, wall: WallTime, message: String) -> Arc<Fault> {
        let why = self.health.episode();
        let report = FaultReport {
            location: why.map_or_else(String::new, |fault| fault.location.to_string()),
            type_name: why.map_or_else(String::new, |fault| fault.type_name.to_string()),
            ..FaultReport::new(why.map_or(FaultKind::Failed, |fault| fault.kind), message)
        };
        let call = why.and_then(|fault| fault.call);
        let row = why.map_or(1, |fault| fault.consecutive);
        Arc::new(Fault::new(&report, wall, call, true, row))
    }

    pub(super) fn given_up(&self, restarts: u32) -> String {
        let window = humantime::format_duration(self.health.policy.restart.window);
        match restarts {
            0 => "given up, as no restarts are allowed".to_owned(),
            1 => format!("given up after 1 restart within {window}"),
            _ => format!("given up after {restarts} restarts within {window}"),
        }
    }

    /// The moment of a restart has come, and no call is in its way.
    pub(super) fn check_restart(&self, now: Moment) -> Result<(), RejectReason> {
        if !self.restart_is_due(now) {
            return Err(RejectReason::NotDue);
        }
        self.check_settled()
    }

    /// A restart whose moment has come cannot be made: it counts as one that failed.
    pub(super) fn refuse_restart(
        &mut self,
        now: Moment,
        wall: WallTime,
        report: &FaultReport,
    ) -> Result<Step, RejectReason> {
        self.check_restart(now)?;
        self.fail_create(now, wall, Duration::ZERO, report, true)
    }

    /// What the plugin uses is more than it should.
    pub(super) fn pass_limit(
        &mut self,
        wall: WallTime,
        unhealthy: bool,
        report: &FaultReport,
    ) -> Result<Step, RejectReason> {
        self.check(Cause::LimitPassed)?;
        let before = &self.health.troubles().limit;
        let before = before.as_ref().map(|(_, by_far)| *by_far);
        let error = Arc::new(Fault::new(report, wall, None, true, 1));
        self.health.trouble().limit = Some((error.message.clone(), unhealthy));
        if before == Some(unhealthy) {
            return Ok(Step::silent());
        }
        self.go(wall, Cause::LimitPassed, Some(error), None)
    }

    pub(super) fn keep_limits(&mut self, wall: WallTime) -> Result<Step, RejectReason> {
        self.check(Cause::LimitsKept)?;
        let limit = self.health.troubled();
        match limit.and_then(|troubles| troubles.limit.take()) {
            None => Ok(Step::silent()),
            Some(_) => self.go(wall, Cause::LimitsKept, None, None),
        }
    }
}

/// Delays are said to the millisecond, as nobody reads more of them.
pub(super) fn to_the_millisecond(delay: Duration) -> Duration {
    Duration::from_millis(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX))
}
