//! The pure core of the plugin engine.
//!
//! What lives here: the states of a plugin and the table of its transitions, faults, schedules, and the machine that
//! applies one event after another. What never will: input and output, clocks, threads, locks, unsafe code. Time comes
//! in as an argument, and what is to be done comes out as a value.
//!
//! The arrows: `id`, `time`, `text`, `state` know nobody; `lifecycle` is the table over `state`; `fault` and `schedule` are data;
//! `restart`, `breaker` and `health` are the policies and what is known for them; `liveness` is which tasks make progress;
//! `requirement` is what one plugin requires of another; `history_filter` is the language in which history is asked for; `machine` uses what is above and is the only one that changes anything.

mod breaker;
mod fault;
mod health;
mod history_filter;
mod id;
mod lifecycle;
mod liveness;
mod machine;
mod requirement;
mod restart;
mod schedule;
mod state;
mod text;
mod time;
mod transition;

pub use breaker::{BreakerPolicy, BreakerState};
pub use fault::{Fault, FaultKind, FaultReport};
pub use health::{Health, HealthPolicy, OnHung, OnUnhealthy};
pub use history_filter::{FILTER_KEYS, FILTER_NAMES_MAX, FilterError, HistoryFilter};
pub use id::{PluginId, PluginIdError};
pub use lifecycle::{CAUSES, Cause, UnknownCause, next_state, table};
pub use liveness::{
    EnterError, Liveness, PluginProgress, STALE_AFTER_MIN, STALE_AFTER_PERIODS, Stale, Staleness,
    TASKS_MAX, TaskEnd, TaskFacts, TaskId, TaskKind, TaskReport, TaskRun, stale_after,
};
pub use machine::{
    AbandonReason, CallEnd, CallId, CallLimits, CallOutcome, Counts, CreateReason, Denied, Effects,
    Event, InFlight, Machine, PastCall, Record, RejectReason, Step, Takeover, Times,
};
pub use requirement::{
    REQUIREMENTS_MAX, Requirement, RequirementError, Standing, Unmet, cycles, required_first,
};
pub use restart::{JITTER_PERCENT_MAX, RESTARTS_MAX, RestartDecision, RestartPolicy, Restarts};
pub use schedule::{INTERVAL_MAX, INTERVAL_MIN, Schedule, TIMEOUT_MAX, TIMEOUT_MIN};
pub use state::{Admission, CallKind, Command, PluginState, STATES, UnknownState};
pub use text::{MESSAGE_LEN_MAX, bounded, escape_control};
pub use time::{Moment, WallTime};
pub use transition::Transition;
