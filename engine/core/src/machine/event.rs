//! What goes into a machine and what comes out: events, outcomes, records, refusals.

use std::sync::Arc;
use std::time::Duration;

use crate::{
    CallKind, Cause, Command, Fault, FaultReport, Moment, PluginState, Schedule, WallTime,
};

use super::ORPHANS_MAX;

/// The number of a call, unique within its plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub u64);

/// How long each kind of call may take. In this order in memory: what is touched by a good update comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct CallLimits {
    /// Update.
    pub update: Duration,
    /// Create.
    pub create: Duration,
    /// Display.
    pub display: Duration,
    /// Destroy.
    pub destroy: Duration,
    /// Saving the state, and restoring it.
    pub state: Duration,
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
            CallKind::SaveState | CallKind::RestoreState => self.state,
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
    /// The state is Error because of a requirement, which is met by now.
    RequirementMet,
    /// The policy restarts it.
    Restart,
    /// A call of the instance before does not return, and the policy puts another beside it.
    Hung,
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
    /// The plugin has crashed the engine as often as it may, and is not loaded.
    Quarantined(FaultReport),
    /// What the process before has left behind says that a call of the plugin was in flight when that ended.
    PastCall(Box<PastCall>),
    /// Something that the plugin requires is not there, so that it is not created.
    RequirementUnmet(FaultReport),
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
    /// The state of the instance is being saved, for the one that is to take over.
    SaveStarted,
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
    /// A tick came, and the engine could not or must not make the call.
    CallRefused(FaultReport),
    /// What was loaded, or held back until what it requires is there, was to be created by itself, and the engine could not make the call.
    CreateRefused(FaultReport),
    /// A thread of the plugin panicked.
    ThreadPanicked(FaultReport),
    /// Another generation took over, of a plugin that is loaded. Where it is switched off there is no instance before or after.
    Reloaded(Box<Takeover>),
    /// A reload was refused.
    ReloadRefused {
        /// Why.
        report: FaultReport,
        /// Whether the instance had to be stopped first, and was created anew.
        created_anew: bool,
    },
    /// A reload was refused for which the instance had to be stopped first, and it could not be created anew.
    NotPutBack(FaultReport),
    /// Destroying an instance that another one has taken over from failed, or has not returned in time.
    ReplacedNotDestroyed(FaultReport),
    /// Another schedule and other limits hold.
    Reconfigured {
        /// The schedule.
        schedule: Schedule,
        /// The limits.
        limits: CallLimits,
    },
    /// What the last event has left to be said or done, see [`Machine::has_more_to_say`](super::Machine::has_more_to_say).
    Judged,
    /// The moment of a restart has come, and it cannot be made.
    RestartRefused(FaultReport),
    /// The plugin uses more than it should.
    LimitPassed {
        /// Whether so much more that it is unhealthy, not only degraded.
        unhealthy: bool,
        /// How much, and what the limit is.
        report: FaultReport,
    },
    /// The plugin uses no more than it should.
    LimitsKept,
    /// What the plugin's configuration says is what holds.
    ConfigurationHolds,
    /// Switched off.
    SwitchedOff,
    /// Unloaded by command.
    Unloaded,
    /// Unloaded because its file was removed. Where a policy has unloaded it before, its unhealthy episode ends.
    FileRemoved,
    /// Unloaded because the engine shuts down.
    ShutDown,
}

/// A call that was in flight when the process before ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastCall {
    /// Whether it was that call which brought the process to its end.
    pub crashed: bool,
    /// The call; `None` for the load or the unmapping of its file.
    pub call: Option<CallKind>,
    /// When the process ended; where nobody knows, since when the call was in flight.
    pub at: WallTime,
    /// What there is to say of it.
    pub report: FaultReport,
}

/// What takes over at a reload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Takeover {
    /// Its schedule. Where interval and phase are those of before, the ticks go on as they were.
    pub schedule: Schedule,
    /// Its limits.
    pub limits: CallLimits,
    /// Whether this undoes a reload.
    pub rolls_back: bool,
    /// What is to be said of it: what was lost on the way, or why it came to that.
    pub note: Option<FaultReport>,
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
    pub(super) reason: CreateReason,
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

impl Record {
    /// Whether this is one of the records of a plugin that works: an update started or completed.
    #[must_use]
    #[inline]
    pub fn is_routine(&self) -> bool {
        self.error.is_none() && matches!(self.cause, Cause::UpdateStarted | Cause::UpdateCompleted)
    }
}

/// What is to be done after an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Effects {
    /// The next tick is not on the grid of the ticks before: tell the timers.
    pub rearm: bool,
    /// The call that was in flight has ended or was abandoned: wake who waits for that.
    pub settled: bool,
    /// The health is not what it was.
    pub health_changed: bool,
    /// An unhealthy episode has begun.
    pub became_unhealthy: bool,
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
    /// Something that the plugin requires is not there.
    #[error("something that it requires is not there")]
    Unmet,
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

impl Step {
    #[inline]
    pub(super) fn silent() -> Self {
        Self {
            record: None,
            call: None,
            ended: CallEnd::None,
            effects: Effects::default(),
        }
    }

    #[inline]
    pub(super) fn started(id: CallId) -> Self {
        Self {
            call: Some(id),
            ..Self::silent()
        }
    }

    pub(super) fn rearmed(mut self) -> Self {
        self.effects.rearm = true;
        self
    }
}
