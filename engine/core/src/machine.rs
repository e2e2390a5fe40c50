//! One plugin's machine: an event goes in, the record of a transition and what is to be done come out.
//!
//! Whoever holds the machine applies events one after another; the machine knows neither who that is nor what time it is.

use std::sync::Arc;
use std::time::Duration;

use crate::{
    Admission, CallKind, Cause, Command, Fault, FaultKind, FaultReport, Moment, PluginState,
    Schedule, WallTime, next_state,
};

/// How many instances may be stuck beside the current one before a command that wants another is refused.
const ORPHANS_MAX: usize = 3;

/// The number of a call, unique within its plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub u64);

/// How long each kind of call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallLimits {
    /// Create.
    pub create: Duration,
    /// Update.
    pub update: Duration,
    /// Display.
    pub display: Duration,
    /// Destroy.
    pub destroy: Duration,
}

impl CallLimits {
    /// The limit of this kind of call.
    #[must_use]
    #[inline]
    pub const fn of(&self, call: CallKind) -> Duration {
        match call {
            CallKind::Create => self.create,
            CallKind::Update => self.update,
            CallKind::Display => self.display,
            CallKind::Destroy => self.destroy,
        }
    }
}

/// Why an instance is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreateReason {
    /// The library was just loaded.
    Load,
    /// The plugin was switched on.
    SwitchedOn,
    /// The plugin was reset.
    Reset,
    /// The instance before panicked.
    Anew,
}

/// How a call ended that returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallOutcome {
    /// It did what it should.
    Completed,
    /// It returned an error.
    Failed {
        /// What it said.
        report: FaultReport,
        /// Whether trying again may help.
        recoverable: bool,
        /// The delay it asked for.
        retry_after: Option<Duration>,
    },
    /// It panicked.
    Panicked(FaultReport),
}

/// What happens to a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The library was verified and mapped: a new generation.
    Mapped,
    /// Verification or load failed.
    LoadFailed(FaultReport),
    /// A call starts. An update needs the state Enabled, and a tick that has come unless `on_demand`.
    UpdateStarted {
        /// Whether a person asked for it, due or not.
        on_demand: bool,
    },
    /// A display starts.
    DisplayStarted,
    /// A create starts.
    CreateStarted(CreateReason),
    /// A destroy starts.
    DestroyStarted {
        /// Whether it is the instance that the plugin has now, not one that it had before.
        current: bool,
    },
    /// A call returned, in time or late.
    CallEnded {
        /// Which.
        id: CallId,
        /// How.
        outcome: CallOutcome,
    },
    /// A call is no longer waited for.
    Abandoned {
        /// Which.
        id: CallId,
        /// Why.
        why: AbandonReason,
    },
    /// A tick came while the plugin could not be called.
    TickSkipped,
    /// A tick came, and the engine could not make the call.
    CallRefused(FaultReport),
    /// A thread of the plugin panicked.
    ThreadPanicked(FaultReport),
    /// Switched off.
    SwitchedOff,
    /// Unloaded by command.
    Unloaded,
    /// Unloaded because the engine shuts down.
    ShutDown,
}

/// Why a call is no longer waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AbandonReason {
    /// Its deadline passed.
    Deadline,
    /// The engine shuts down, and the time for that is used up.
    ShutDown,
}

/// A call that is in flight, in time or abandoned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InFlight {
    /// Its number.
    pub id: CallId,
    /// Its kind.
    pub call: CallKind,
    /// When it started, for the schedule.
    pub started: Moment,
    /// When it started, for people.
    pub since: WallTime,
    /// Whether its deadline has passed.
    pub abandoned: bool,
    reason: CreateReason,
}

/// How often what happened, since the id became known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Calls of every kind that were started.
    pub calls: u64,
    /// Updates that were started.
    pub updates: u64,
    /// Calls that completed.
    pub successes: u64,
    /// Calls that returned an error.
    pub failures: u64,
    /// Calls that passed their deadline.
    pub timeouts: u64,
    /// Calls that panicked in time, and threads of the plugin that did.
    pub panics: u64,
    /// Abandoned calls that returned.
    pub late: u64,
    /// Ticks that came and went without a call.
    pub skipped: u64,
}

/// When what happened last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Times {
    /// The last update that ended or passed its deadline.
    pub last_update: Option<WallTime>,
    /// The last update that completed.
    pub last_success: Option<WallTime>,
    /// The last display that ended or passed its deadline.
    pub last_display: Option<WallTime>,
}

/// What goes into the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The state before.
    pub from: PluginState,
    /// The state after.
    pub to: PluginState,
    /// Why.
    pub cause: Cause,
    /// The error that came with it.
    pub error: Option<Arc<Fault>>,
    /// How long the call took that ended with it.
    pub duration: Option<Duration>,
}

/// What is to be done after an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Effects {
    /// The next tick is not on the grid of the ticks before: tell the timers.
    pub rearm: bool,
    /// The call that was in flight has ended or was abandoned: wake who waits for that.
    pub settled: bool,
}

/// What an event came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The entry for the history, if the event is one.
    pub record: Option<Record>,
    /// The call that was started, if one was.
    pub call: Option<CallId>,
    /// How the event ended a call, where it did.
    pub ended: CallEnd,
    /// What is to be done.
    pub effects: Effects,
}

/// How an event ended a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CallEnd {
    /// It ended none.
    #[default]
    None,
    /// The call was waited for: its result counts.
    InTime,
    /// The call had been abandoned: its result was discarded. `current` if its instance may still be used.
    Late {
        /// Whether the instance is still the plugin's.
        current: bool,
    },
    /// The call was abandoned by this event.
    Abandoned,
}

/// Why an event or a command was refused. Nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RejectReason {
    /// The table has no such transition.
    #[error("not legal in the state {0}")]
    Illegal(PluginState),
    /// The plugin is Enabled but no tick has come.
    #[error("not due")]
    NotDue,
    /// A call is in flight on the instance.
    #[error("a call is in flight")]
    Busy,
    /// An abandoned call has not returned, so the instance cannot be called.
    #[error("an abandoned call has not returned")]
    Stuck,
    /// Too many instances are stuck in abandoned calls already.
    #[error("{ORPHANS_MAX} earlier instances are stuck in calls that have not returned")]
    TooManyStuck,
    /// There is no instance that may be called: it has to be created first.
    #[error("there is no instance to call")]
    NoInstance,
    /// The event speaks of a call that is not in flight.
    #[error("no such call")]
    NoSuchCall,
}

/// A command that the state of the plugin does not admit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{command} is not possible in the state {state}; possible now: {}", legal(*state))]
pub struct Denied {
    /// The state.
    pub state: PluginState,
    /// The command.
    pub command: Command,
}

fn legal(state: PluginState) -> String {
    let names: Vec<_> = Command::legal_in(state).map(Command::name).collect();
    names.join(", ")
}

/// One plugin's machine.
#[derive(Debug, Clone)]
pub struct Machine {
    state: PluginState,
    generation: u32,
    poisoned: bool,
    has_instance: bool,
    in_flight: Option<InFlight>,
    schedule: Schedule,
    counts: Counts,
    times: Times,
    since: WallTime,
    last_call: u64,
    faults: Faults,
    limits: CallLimits,
    orphans: Vec<CallId>,
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
    /// A machine of a plugin that nothing is known of.
    #[must_use]
    pub fn new(schedule: Schedule, limits: CallLimits) -> Self {
        Self {
            state: PluginState::Unloaded,
            generation: 0,
            poisoned: false,
            has_instance: false,
            in_flight: None,
            schedule,
            counts: Counts::default(),
            times: Times::default(),
            since: WallTime::default(),
            last_call: 0,
            faults: Faults::default(),
            limits,
            orphans: Vec::new(),
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

    /// The generation: 0 before the first load.
    #[must_use]
    #[inline]
    pub fn generation(&self) -> u32 {
        self.generation
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
    #[inline]
    pub fn apply(
        &mut self,
        now: Moment,
        wall: WallTime,
        event: Event,
    ) -> Result<Step, RejectReason> {
        match event {
            Event::UpdateStarted { on_demand } => self.start_update(now, wall, on_demand),
            Event::CallEnded { id, outcome } => self.end_call(now, wall, id, outcome),
            Event::DisplayStarted => self.start_display(now, wall),
            Event::CreateStarted(reason) => self.start_create(now, wall, reason),
            Event::DestroyStarted { current } => self.start_destroy(now, wall, current),
            Event::Abandoned { id, why } => self.abandon(now, wall, id, why),
            Event::TickSkipped => Ok(self.skip_ticks(now)),
            Event::CallRefused(report) => self.refuse_call(now, wall, &report),
            Event::Mapped => self.map(wall),
            Event::LoadFailed(report) => self.fail_load(wall, &report),
            Event::ThreadPanicked(report) => self.thread_panicked(wall, &report),
            Event::SwitchedOff => self.switch_off(wall),
            Event::Unloaded => self.unload(wall, Cause::Unloaded),
            Event::ShutDown => self.unload(wall, Cause::ShutDown),
        }
    }

    /// Moves along the table and makes the record of it.
    #[inline]
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

    #[inline]
    fn check_free(&self) -> Result<(), RejectReason> {
        match &self.in_flight {
            None => Ok(()),
            Some(call) if call.abandoned => Err(RejectReason::Stuck),
            Some(_) => Err(RejectReason::Busy),
        }
    }

    #[inline]
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

    #[inline]
    fn start_update(
        &mut self,
        now: Moment,
        wall: WallTime,
        on_demand: bool,
    ) -> Result<Step, RejectReason> {
        if self.state != PluginState::Enabled {
            return Err(RejectReason::Illegal(self.state));
        }
        self.check_callable()?;
        if !on_demand && !self.schedule.is_due(now) {
            return Err(RejectReason::NotDue);
        }
        // The tick that this update is for is not a skipped one; those that passed before it are.
        self.counts.skipped += self.schedule.take(now).saturating_sub(1);
        self.counts.updates += 1;
        let id = self.begin(now, wall, CallKind::Update, CreateReason::Load);
        let mut step = self.go(wall, Cause::UpdateStarted, None, None)?;
        step.call = Some(id);
        Ok(step)
    }

    fn start_display(&mut self, now: Moment, wall: WallTime) -> Result<Step, RejectReason> {
        if self.state != PluginState::Enabled {
            return Err(RejectReason::Illegal(self.state));
        }
        self.check_callable()?;
        let id = self.begin(now, wall, CallKind::Display, CreateReason::Load);
        Ok(Step::started(id))
    }

    fn start_create(
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
        })?;
        match &self.in_flight {
            Some(call) if !call.abandoned => return Err(RejectReason::Busy),
            // The instance before is stuck and stays so: it is no longer this plugin's, only counted.
            Some(_) if self.orphans.len() >= ORPHANS_MAX => {
                return Err(RejectReason::TooManyStuck);
            }
            Some(call) => self.orphans.push(call.id),
            None => {}
        }
        let id = self.begin(now, wall, CallKind::Create, reason);
        Ok(Step::started(id))
    }

    fn start_destroy(
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

    #[inline]
    fn end_call(
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
            // Whatever a create made, nobody waits for it.
            let current = self.has_instance && call.call != CallKind::Create;
            // An instance that was given up meanwhile is nobody's to create anew.
            self.poisoned |= current && matches!(outcome, CallOutcome::Panicked(_));
            return self.return_late(wall, Some(duration), current);
        }
        let mut step = match call.call {
            CallKind::Update => self.end_update(now, wall, duration, outcome),
            CallKind::Display => self.end_display(wall, duration, outcome),
            CallKind::Create => self.end_create(now, wall, duration, call.reason, outcome),
            CallKind::Destroy => self.end_destroy(wall, duration, outcome),
        }?;
        self.in_flight = None;
        step.ended = CallEnd::InTime;
        step.effects.settled = true;
        Ok(step)
    }

    fn return_late(
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

    #[inline]
    fn end_update(
        &mut self,
        now: Moment,
        wall: WallTime,
        duration: Duration,
        outcome: CallOutcome,
    ) -> Result<Step, RejectReason> {
        self.times.last_update = Some(wall);
        match outcome {
            CallOutcome::Completed => {
                self.counts.successes += 1;
                self.times.last_success = Some(wall);
                self.faults.update = None;
                self.faults.updates_in_a_row = 0;
                // Ticks that came while it ran are skipped, not made up for.
                self.counts.skipped += self.schedule.take(now);
                self.go(wall, Cause::UpdateCompleted, None, Some(duration))
            }
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
                self.has_instance = false;
                self.schedule.stop();
                self.go(wall, Cause::FailedPermanently, Some(error), Some(duration))
                    .map(Step::rearmed)
            }
            CallOutcome::Panicked(report) => {
                self.counts.panics += 1;
                self.poisoned = true;
                let error = self.fault_of_update(&report, wall, true);
                self.faults.update = Some(Arc::clone(&error));
                self.schedule.retry(now, None);
                self.go(wall, Cause::UpdatePanicked, Some(error), Some(duration))
                    .map(Step::rearmed)
            }
        }
    }

    fn fault_of_update(
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

    fn end_display(
        &mut self,
        wall: WallTime,
        duration: Duration,
        outcome: CallOutcome,
    ) -> Result<Step, RejectReason> {
        self.times.last_display = Some(wall);
        let report = match outcome {
            CallOutcome::Completed => {
                self.counts.successes += 1;
                self.faults.display = None;
                self.faults.displays_in_a_row = 0;
                return Ok(Step::silent());
            }
            CallOutcome::Failed { report, .. } => {
                self.counts.failures += 1;
                report
            }
            CallOutcome::Panicked(report) => {
                self.counts.panics += 1;
                self.poisoned = true;
                report
            }
        };
        self.fail_display(wall, duration, &report)
    }

    fn fail_display(
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

    fn end_create(
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
                self.counts.panics += 1;
                (report, true)
            }
        };
        self.fail_create(wall, duration, reason, &report, recoverable)
    }

    fn created(
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
        let cause = match reason {
            CreateReason::Load => Cause::Created,
            CreateReason::SwitchedOn => Cause::SwitchedOn,
            CreateReason::Reset => {
                self.faults.clear();
                Cause::Reset
            }
            // The schedule goes on: an update is waiting for exactly this.
            CreateReason::Anew => {
                return self.go(wall, Cause::CreatedAnew, None, Some(duration));
            }
        };
        self.schedule.start(now);
        self.go(wall, cause, None, Some(duration))
            .map(Step::rearmed)
    }

    fn fail_create(
        &mut self,
        wall: WallTime,
        duration: Duration,
        reason: CreateReason,
        report: &FaultReport,
        recoverable: bool,
    ) -> Result<Step, RejectReason> {
        self.faults.creates_in_a_row = self.faults.creates_in_a_row.saturating_add(1);
        let row = self.faults.creates_in_a_row;
        let error = Arc::new(Fault::new(
            report,
            wall,
            Some(CallKind::Create),
            recoverable,
            row,
        ));
        self.faults.state = Some(Arc::clone(&error));
        self.has_instance = false;
        self.poisoned = false;
        self.schedule.stop();
        // A reset of an enabled plugin has destroyed the old instance by now, so it cannot go on either.
        let cause = match (reason, self.state) {
            (_, PluginState::Enabled) => Cause::GaveUp,
            _ => Cause::CreateFailed,
        };
        self.go(wall, cause, Some(error), Some(duration))
            .map(Step::rearmed)
    }

    fn end_destroy(
        &mut self,
        wall: WallTime,
        duration: Duration,
        outcome: CallOutcome,
    ) -> Result<Step, RejectReason> {
        let report = match outcome {
            CallOutcome::Completed => {
                self.counts.successes += 1;
                return Ok(Step::silent());
            }
            CallOutcome::Failed { report, .. } => {
                self.counts.failures += 1;
                report
            }
            CallOutcome::Panicked(report) => {
                self.counts.panics += 1;
                report
            }
        };
        let error = Arc::new(Fault::new(&report, wall, Some(CallKind::Destroy), false, 1));
        self.go(wall, Cause::DestroyFailed, Some(error), Some(duration))
    }

    fn abandon(
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
            CallKind::Create => self.fail_create(wall, duration, call.reason, &report, true),
            CallKind::Destroy => {
                let error = Arc::new(Fault::new(&report, wall, Some(CallKind::Destroy), false, 1));
                self.go(wall, Cause::DestroyFailed, Some(error), Some(duration))
            }
        }?;
        if let Some(call) = &mut self.in_flight {
            call.abandoned = true;
        }
        step.ended = CallEnd::Abandoned;
        step.effects.settled = true;
        Ok(step)
    }

    fn skip_ticks(&mut self, now: Moment) -> Step {
        self.counts.skipped += self.schedule.take(now);
        Step::silent()
    }

    fn refuse_call(
        &mut self,
        now: Moment,
        wall: WallTime,
        report: &FaultReport,
    ) -> Result<Step, RejectReason> {
        self.check(Cause::CallRefused)?;
        self.counts.skipped += self.schedule.take(now);
        // Said once, not once per tick.
        if self
            .faults
            .update
            .as_ref()
            .is_some_and(|fault| fault.kind == report.kind)
        {
            return Ok(Step::silent());
        }
        let error = self.fault_of_update(report, wall, true);
        self.faults.update = Some(Arc::clone(&error));
        self.go(wall, Cause::CallRefused, Some(error), None)
    }

    fn map(&mut self, wall: WallTime) -> Result<Step, RejectReason> {
        let step = self.go(wall, Cause::Mapped, None, None)?;
        self.generation = self.generation.saturating_add(1);
        self.faults.clear();
        self.poisoned = false;
        Ok(step)
    }

    fn fail_load(&mut self, wall: WallTime, report: &FaultReport) -> Result<Step, RejectReason> {
        self.check(Cause::LoadFailed)?;
        let error = Arc::new(Fault::new(report, wall, None, false, 1));
        self.faults.clear();
        self.faults.state = Some(Arc::clone(&error));
        self.go(wall, Cause::LoadFailed, Some(error), None)
    }

    fn thread_panicked(
        &mut self,
        wall: WallTime,
        report: &FaultReport,
    ) -> Result<Step, RejectReason> {
        self.counts.panics += 1;
        let error = Arc::new(Fault::new(report, wall, None, true, 1));
        self.go(wall, Cause::ThreadPanicked, Some(error), None)
    }

    fn switch_off(&mut self, wall: WallTime) -> Result<Step, RejectReason> {
        if self.in_flight.is_some_and(|call| !call.abandoned) {
            return Err(RejectReason::Busy);
        }
        let step = self.go(wall, Cause::SwitchedOff, None, None)?;
        self.faults.state = None;
        self.has_instance = false;
        self.poisoned = false;
        self.schedule.stop();
        Ok(step.rearmed())
    }

    fn unload(&mut self, wall: WallTime, cause: Cause) -> Result<Step, RejectReason> {
        if self.in_flight.is_some_and(|call| !call.abandoned) {
            return Err(RejectReason::Busy);
        }
        let step = self.go(wall, cause, None, None)?;
        self.faults.clear();
        self.has_instance = false;
        self.poisoned = false;
        self.schedule.stop();
        Ok(step.rearmed())
    }
}

impl Step {
    fn silent() -> Self {
        Self {
            record: None,
            call: None,
            ended: CallEnd::None,
            effects: Effects::default(),
        }
    }

    fn started(id: CallId) -> Self {
        Self {
            call: Some(id),
            ..Self::silent()
        }
    }

    fn rearmed(mut self) -> Self {
        self.effects.rearm = true;
        self
    }
}
