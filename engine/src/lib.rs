//! An engine that loads plugins from dynamic libraries dropped into a directory, and drives each through an explicit state
//! machine: Unloaded, Loaded, Enabled, Running, Error, Disabled.
//!
//! A call that hangs is abandoned at its deadline and its plugin stays Enabled, with the error, to be tried again one
//! interval later. A panic stays inside its plugin. Every transition is in a history that can say why.
//!
//! ```no_run
//! use plugin_engine::{Engine, PluginState};
//! use std::time::Duration;
//!
//! fn main() -> Result<(), plugin_engine::Error> {
//!     let engine = Engine::builder().plugin_dir("plugins.d").build()?;
//!     for outcome in engine.load_all() { println!("{outcome}"); }  // one per file: which plugin, or why it was refused
//!     let report = engine.run_cycle();                             // calls every due plugin, waits for the ends or the deadlines
//!     println!("{} completed, {} failed, {} timed out", report.completed, report.failed, report.timed_out);
//!     let counter = engine.snapshot("counter");
//!     if counter.state == PluginState::Enabled { println!("{:?}", counter.error); }
//!     for transition in engine.history("counter").errors().newest_first().limit(20) { println!("{transition}"); }
//!     engine.shutdown(Duration::from_secs(5))
//! }
//! ```
//!
//! Plugins are trusted native code in this process: the engine is a fence against mistakes, not against malice.
//!
//! How the parts fit together is in `ARCHITECTURE.md` beside this crate.

#![warn(missing_debug_implementations)]

mod ahead;
mod append_list;
mod applied;
mod backtrace;
mod board;
mod builder;
mod by_hand;
mod cell;
mod census;
mod changed_plugins;
mod changes;
mod clock;
mod code;
mod commands;
pub mod config;
mod contract;
mod contract_text;
mod crashes;
mod cycles;
mod digest;
mod discover;
#[cfg(feature = "history-sqlite")]
mod durable;
pub mod effective;
mod engine;
mod error;
mod events;
mod executor;
mod facts;
mod forget;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod histories;
mod history;
mod host;
mod image;
mod instance;
mod joining;
mod ledger;
mod lent;
mod library;
mod liveness;
mod loader;
mod loads;
mod mailbox;
mod manifest;
#[cfg(all(test, any(loom, shuttle)))]
mod models;
mod plugin_log;
mod plugins;
mod prefetch;
mod premises;
mod probations;
mod query;
mod readiness;
mod refused;
mod registry;
mod reload;
mod requirements;
mod scheduler;
mod seal;
mod secrets;
#[cfg(any(test, fuzzing))]
mod sequence;
mod sequence_lock;
mod services;
mod shared;
mod shutdown;
#[cfg(feature = "simulation")]
#[doc(hidden)]
pub mod simulation;
mod snapshot;
mod state_dir;
mod steps;
mod supervisor;
mod sync;
mod tasks;
mod thread_keys;
mod threading;
mod timers;
mod topics;
mod transition_log;
mod turns;
mod unmap;
mod unsaved_plugins;
mod usage;
mod usages;
mod verify;
mod waiting;
#[cfg(feature = "watch")]
mod watch;
mod why;

pub use builder::EngineBuilder;
pub use census::{LiveThread, ThreadCensus, ThreadKey};
pub use clock::{Clock, ManualClock, SystemClock};
pub use code::Code;
pub use config::{ConfigError, Problem, UnmapPolicy};
pub use crashes::FoundCall;
pub use discover::DiscoverError;
#[cfg(feature = "history-sqlite")]
pub use durable::{HistoryError, HistoryStatus};
pub use engine::{Engine, Usage};
pub use error::{Error, LoadError, ReloadError};
pub use events::{Event, Subscription};
pub use executor::CycleReport;
pub use library::MappedLibrary;
pub use liveness::{StaleTasks, TaskLiveness};
pub use manifest::{Contract, Manifest};
pub use plugins::LoadOutcome;
pub use query::{HistoryAnswer, HistoryMark, HistoryQuery};
pub use readiness::{Awaited, Readiness};
pub use scheduler::{Cycle, RunLimit};
pub use shutdown::StuckCall;
pub use snapshot::{FailuresInARow, InFlightCall, Snapshot};
pub use state_dir::StateError;
#[doc(hidden)]
pub use supervisor::FaultPoint;
pub use supervisor::{
    Busy, Protected, Sleep, SuperviseError, TaskBuilder, TaskContext, TaskHandle, TaskState,
};
pub use topics::Pattern as TopicPattern;
pub use usage::{
    CallUsage, DURATION_BOUNDS, LimitLevel, Percentiles, PluginTallies, PluginUsage, RecentUsage,
    UpdateDurations,
};
pub use verify::{
    Check, DirectoryLock, Inspection, LockedFile, Verdict, VerifyError, VerifyPolicy, inspect,
    lock_directory,
};
#[cfg(feature = "watch")]
pub use watch::WatchHandle;
pub use why::{EngineEnd, NextKind, Why, WhyInput, WhyNext, WhyPolicy, WhyStep, explain};

pub use plugin_api::{View, ViewKind};
pub use plugin_engine_core::{
    Admission, BreakerState, CAUSES, CallKind, Cause, Command, Counts, Denied, EnterError,
    FILTER_KEYS, FILTER_NAMES_MAX, Fault, FaultKind, FaultReport, FilterError, Health,
    HistoryFilter, Moment, PluginId, PluginIdError, PluginState, RejectReason, Requirement,
    RequirementError, RestartPolicy, STATES, Stale, Staleness, Standing, TaskEnd, TaskKind,
    Transition, UnknownCause, UnknownState, Unmet, WallTime, bounded, escape_control,
};
pub use plugin_engine_crash_marks::{exiting as mark_exit, install as install_crash_marks};
