//! One plugin's machine: an event goes in, the record of a transition and what is to be done come out.
//!
//! Whoever holds the machine applies events one after another; the machine knows neither who that is nor what time it is.

mod calls;
mod cool_down;
mod event;
mod health;
mod moves;
mod outlook;
mod reload;
mod update;

use std::sync::Arc;
use std::time::Duration;

use crate::health::HealthRecord;
use crate::{
    Admission, BreakerState, CallKind, Cause, Command, Fault, FaultKind, FaultReport, Health,
    HealthPolicy, Moment, PluginState, Schedule, WallTime, next_state,
};

pub use event::{
    AbandonReason, CallEnd, CallId, CallLimits, CallOutcome, Counts, CreateReason, Denied, Effects,
    Event, InFlight, PastCall, Record, RejectReason, Step, Takeover, Times,
};

/// How many instances may be stuck beside the current one before a command that wants another is refused.
const ORPHANS_MAX: usize = 3;

/// One plugin's machine.
///
/// In this order in memory: what a good update touches comes first and lies together, because most of what an update costs is waiting for
/// memory.
#[derive(Debug, Clone)]
#[repr(C)]
pub struct Machine {
    state: PluginState,
    poisoned: bool,
    has_instance: bool,
    /// Whether the way of a good update can be taken, as far as that does not change from call to call; worked out of the rest after
    /// every event that is not plain.
    plain: bool,
    /// Worked out likewise.
    health_now: Health,
    /// Worked out likewise; what is plain leaves it as it is, and the next.
    breaker_now: BreakerState,
    has_error: bool,
    generation: u32,
    in_flight: Option<InFlight>,
    since: WallTime,
    last_call: u64,
    schedule: Schedule,
    counts: Counts,
    times: Times,
    limits: CallLimits,
    /// From the second limit on what a good update does not touch.
    faults: Faults,
    orphans: Vec<CallId>,
    /// The largest generation that is known of the time before the engine was started.
    counted_before: u32,
    unsaid: health::Unsaid,
    health: HealthRecord,
}

/// The errors that stand, by what clears them.
#[derive(Debug, Clone, Default)]
struct Faults {
    /// Why the state is Error; cleared by leaving it.
    state: Option<Arc<Fault>>,
    /// The last failure of an update; cleared by the next success of one.
    update: Option<Arc<Fault>>,
    /// The last failure of a display; cleared by the next success of one.
    display: Option<Arc<Fault>>,
    /// Whether the display failed after the update did. The wall clock cannot tell: it may have been set back.
    display_is_newer: bool,
    updates_in_a_row: u32,
    displays_in_a_row: u32,
    creates_in_a_row: u32,
}

impl Faults {
    fn clear(&mut self) {
        *self = Self::default();
    }
}

impl Machine {
    /// How many bytes at the beginning of a machine a good update touches.
    pub const HOT_BYTES: usize = std::mem::offset_of!(Self, limits.update) + size_of::<Duration>();

    /// A machine of a plugin that nothing is known of.
    #[must_use]
    pub fn new(schedule: Schedule, limits: CallLimits) -> Self {
        Self {
            state: PluginState::Unloaded,
            poisoned: false,
            has_instance: false,
            plain: false,
            health_now: Health::Unknown,
            breaker_now: BreakerState::Off,
            has_error: false,
            generation: 0,
            in_flight: None,
            since: WallTime::default(),
            last_call: 0,
            schedule,
            counts: Counts::default(),
            times: Times::default(),
            limits,
            faults: Faults::default(),
            orphans: Vec::new(),
            counted_before: 0,
            unsaid: health::Unsaid::default(),
            health: HealthRecord::new(HealthPolicy::default()),
        }
    }

    /// Gives the plugin another schedule and other limits, while it is not loaded.
    ///
    /// # Errors
    /// The plugin is loaded; nothing changed.
    pub fn configure(
        &mut self,
        schedule: Schedule,
        limits: CallLimits,
    ) -> Result<(), RejectReason> {
        if self.state != PluginState::Unloaded {
            return Err(RejectReason::Illegal(self.state));
        }
        self.schedule = schedule;
        self.limits = limits;
        Ok(())
    }

    /// The state.
    #[must_use]
    #[inline]
    pub fn state(&self) -> PluginState {
        self.state
    }

    /// The error that stands: why the state is Error, or the newest recoverable one.
    #[must_use]
    pub fn error(&self) -> Option<&Arc<Fault>> {
        let Faults {
            state,
            update,
            display,
            display_is_newer,
            ..
        } = &self.faults;
        let (newest, other) = if *display_is_newer {
            (display, update)
        } else {
            (update, display)
        };
        state.as_ref().or(newest.as_ref()).or(other.as_ref())
    }

    /// Whether the state is Error only until what is required is there.
    #[must_use]
    pub fn is_held_back(&self) -> bool {
        let error = self.faults.state.as_ref();
        self.state == PluginState::Error
            && error.is_some_and(|error| error.kind == FaultKind::Requirement)
    }

    /// Whether there is an [`error`](Self::error).
    #[must_use]
    #[inline]
    pub fn has_error(&self) -> bool {
        self.has_error
    }

    /// The generation: 0 before the first load.
    #[must_use]
    #[inline]
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// What was counted before the engine was started goes on: the next generation is the one after this, unless more have been counted since.
    /// A generation that is loaded already, because this could not be known before, keeps its number.
    pub fn count_generations_from(&mut self, generation: u32) {
        self.counted_before = self.counted_before.max(generation);
        if self.generation == 0 {
            self.generation = self.counted_before;
        }
    }

    /// The largest generation that has been counted: the next one comes after it.
    #[must_use]
    pub fn generations_counted(&self) -> u32 {
        self.generation.max(self.counted_before)
    }

    fn begin_generation(&mut self) {
        self.generation = self.generations_counted().saturating_add(1);
    }

    /// The call that is in flight.
    #[must_use]
    #[inline]
    pub fn in_flight(&self) -> Option<&InFlight> {
        self.in_flight.as_ref()
    }

    /// Whether the instance panicked and has to be created anew before the next update.
    #[must_use]
    #[inline]
    pub fn is_poisoned(&self) -> bool {
        self.poisoned
    }

    /// Whether an instance has to be created before the next call: the one that was there panicked, or it was destroyed for another that
    /// did not come, as no thread could be had to create it.
    #[must_use]
    pub fn needs_instance(&self) -> bool {
        self.poisoned || self.state == PluginState::Enabled && !self.has_instance
    }

    /// Whether the plugin has an instance, be it in a call.
    #[must_use]
    pub fn has_instance(&self) -> bool {
        self.has_instance
    }

    /// The schedule.
    #[must_use]
    #[inline]
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// The limits of the calls.
    #[must_use]
    #[inline]
    pub fn limits(&self) -> &CallLimits {
        &self.limits
    }

    /// How often what happened.
    #[must_use]
    #[inline]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// When what happened last.
    #[must_use]
    #[inline]
    pub fn times(&self) -> &Times {
        &self.times
    }

    /// Since when the state is what it is.
    #[must_use]
    #[inline]
    pub fn since(&self) -> WallTime {
        self.since
    }

    /// How many instances are stuck in abandoned calls beside the current one.
    #[must_use]
    pub fn orphans(&self) -> usize {
        self.orphans.len()
    }

    /// Whether a command is admitted now.
    ///
    /// # Errors
    /// The state does not admit it.
    pub fn admit(&self, command: Command) -> Result<Admission, Denied> {
        // Any call that is still waited for holds commands up, not only an update. A person who only asks for what is so
        // already need not wait, unless a create is about to lead out of this state: what is so now will not stay so,
        // and what is illegal now may become legal.
        let waited_for = self.in_flight.filter(|call| !call.abandoned);
        if waited_for.is_some_and(|call| call.call == CallKind::Create)
            && self.state != PluginState::Enabled
        {
            return Ok(Admission::WhenCallEnds);
        }
        match command.admission(self.state) {
            Admission::Denied => Err(Denied {
                state: self.state,
                command,
            }),
            Admission::Accepted if waited_for.is_some() => Ok(Admission::WhenCallEnds),
            admission => Ok(admission),
        }
    }

    /// Applies an event at the moment `now`, which is `wall` for people.
    ///
    /// # Errors
    /// The event is not legal now; nothing changed.
    pub fn apply(
        &mut self,
        now: Moment,
        wall: WallTime,
        event: Event,
    ) -> Result<Step, RejectReason> {
        let mut step = self.handle(now, wall, event)?;
        self.note(now, &mut step);
        Ok(step)
    }

    fn handle(&mut self, now: Moment, wall: WallTime, event: Event) -> Result<Step, RejectReason> {
        match event {
            Event::UpdateStarted { on_demand } => self.start_update(now, wall, on_demand),
            Event::CallEnded { id, outcome } => self.end_call(now, wall, id, outcome),
            Event::DisplayStarted => self.start_display(now, wall),
            Event::CreateStarted(reason) => self.start_create(now, wall, reason),
            Event::DestroyStarted { current } => self.start_destroy(now, wall, current),
            Event::SaveStarted => self.start_save(now, wall),
            Event::Reloaded(takeover) => self.take_over(now, wall, *takeover),
            Event::ReloadRefused {
                report,
                created_anew,
            } => self.refuse_reload(wall, &report, created_anew),
            Event::NotPutBack(report) => self.not_put_back(now, wall, &report),
            Event::ReplacedNotDestroyed(report) => self.not_destroyed(wall, &report),
            Event::Reconfigured { schedule, limits } => {
                self.reconfigure(now, wall, schedule, limits)
            }
            Event::Abandoned { id, why } => self.abandon(now, wall, id, why),
            Event::TickSkipped => Ok(self.skip_ticks(now)),
            Event::CallRefused(report) => self.refuse_call(now, wall, &report),
            Event::CreateRefused(report) => self.refuse_create(now, wall, &report),
            Event::Mapped => self.map(wall),
            Event::LoadFailed(report) => self.fail_load(wall, Cause::LoadFailed, &report),
            Event::Quarantined(report) => self.fail_load(wall, Cause::Quarantined, &report),
            Event::PastCall(past) => self.enter_past_call(wall, &past),
            Event::RequirementUnmet(report) => self.hold_back(wall, &report),
            Event::ThreadPanicked(report) => self.thread_panicked(wall, &report),
            Event::Judged => self.judge(now, wall),
            Event::RestartRefused(report) => self.refuse_restart(now, wall, &report),
            Event::LimitPassed { unhealthy, report } => self.pass_limit(wall, unhealthy, &report),
            Event::LimitsKept => self.keep_limits(wall),
            Event::ConfigurationHolds => {
                self.health.settings_hold();
                Ok(Step::silent())
            }
            Event::SwitchedOff => self.switch_off(wall),
            Event::Unloaded => self.unload(wall, Cause::Unloaded),
            Event::FileRemoved => self.unload(wall, Cause::FileRemoved),
            Event::ShutDown => self.unload(wall, Cause::ShutDown),
        }
    }

    /// Moves along the table and makes the record of it.
    fn go(
        &mut self,
        wall: WallTime,
        cause: Cause,
        error: Option<Arc<Fault>>,
        duration: Option<Duration>,
    ) -> Result<Step, RejectReason> {
        let from = self.state;
        let to = next_state(from, cause).ok_or(RejectReason::Illegal(from))?;
        if to != from {
            self.state = to;
            self.since = wall;
        }
        Ok(Step {
            record: Some(Record {
                from,
                to,
                cause,
                error,
                duration,
            }),
            call: None,
            ended: CallEnd::None,
            effects: Effects::default(),
        })
    }

    fn check(&self, cause: Cause) -> Result<(), RejectReason> {
        next_state(self.state, cause)
            .map(|_| ())
            .ok_or(RejectReason::Illegal(self.state))
    }

    fn check_free(&self) -> Result<(), RejectReason> {
        match &self.in_flight {
            None => Ok(()),
            Some(call) if call.abandoned => Err(RejectReason::Stuck),
            Some(_) => Err(RejectReason::Busy),
        }
    }

    /// No call is waited for; one that is stuck is in nobody's way.
    fn check_settled(&self) -> Result<(), RejectReason> {
        match &self.in_flight {
            Some(call) if !call.abandoned => Err(RejectReason::Busy),
            _ => Ok(()),
        }
    }

    /// What is stuck is stuck in an instance that is no longer this plugin's from here on, only counted: another one takes its place.
    fn give_up_stuck_call(&mut self) -> Result<(), RejectReason> {
        self.check_settled()?;
        if self.in_flight.is_some() && self.orphans.len() >= ORPHANS_MAX {
            return Err(RejectReason::TooManyStuck);
        }
        self.orphans
            .extend(self.in_flight.take().map(|call| call.id));
        Ok(())
    }

    /// Counts how a call ended that is no update. What it said, if it did not complete.
    fn count(&mut self, outcome: CallOutcome) -> Option<FaultReport> {
        match outcome {
            CallOutcome::Completed => {
                self.counts.successes += 1;
                None
            }
            CallOutcome::Failed { report, .. } => {
                self.counts.failures += 1;
                Some(report)
            }
            CallOutcome::Panicked(report) => {
                self.count_panic();
                Some(report)
            }
        }
    }

    fn check_callable(&self) -> Result<(), RejectReason> {
        self.check_free()?;
        if self.has_instance && !self.poisoned {
            Ok(())
        } else {
            Err(RejectReason::NoInstance)
        }
    }

    #[inline]
    fn begin(
        &mut self,
        now: Moment,
        wall: WallTime,
        call: CallKind,
        reason: CreateReason,
    ) -> CallId {
        self.last_call += 1;
        self.counts.calls += 1;
        let id = CallId(self.last_call);
        self.in_flight = Some(InFlight {
            id,
            call,
            started: now,
            since: wall,
            abandoned: false,
            reason,
        });
        id
    }
}
