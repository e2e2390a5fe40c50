//! THE TABLE: which state follows which, and by what cause. One function, and nothing else decides.

use std::fmt;
use std::str::FromStr;

use crate::PluginState;

macro_rules! causes {
    ($($(#[$doc:meta])+ $cause:ident = $name:literal,)+) => {
        /// Why a transition happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Cause { $($(#[$doc])+ $cause,)+ }

        /// All causes.
        pub const CAUSES: &[Cause] = &[$(Cause::$cause),+];

        impl Cause {
            /// The cause in snake case, as JSON and the command line have it.
            ///
            /// ```
            /// assert_eq!(plugin_engine_core::Cause::UpdateTimedOut.name(), "update_timed_out");
            /// ```
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$cause => $name,)+ }
            }
        }
    };
}

causes! {
    /// The library was verified and mapped.
    Mapped = "mapped",
    /// Verification or load failed.
    LoadFailed = "load_failed",
    /// The instance was created after a load.
    Created = "created",
    /// Create failed, panicked or timed out.
    CreateFailed = "create_failed",
    /// Something that it requires is not there, so that it was not created.
    RequirementUnmet = "requirement_unmet",
    /// What it requires has come, and the instance was created.
    RequirementMet = "requirement_met",
    /// An update was started.
    UpdateStarted = "update_started",
    /// An update completed.
    UpdateCompleted = "update_completed",
    /// An update failed, and trying again may help.
    UpdateFailed = "update_failed",
    /// An update passed its deadline.
    UpdateTimedOut = "update_timed_out",
    /// An update panicked.
    UpdatePanicked = "update_panicked",
    /// An update failed for good.
    FailedPermanently = "failed_permanently",
    /// A display failed, panicked or passed its deadline.
    DisplayFailed = "display_failed",
    /// A destroy panicked or passed its deadline.
    DestroyFailed = "destroy_failed",
    /// The instance that had panicked was destroyed, and created anew.
    CreatedAnew = "created_anew",
    /// Restarts are used up.
    GaveUp = "gave_up",
    /// Unhealthy, and the policy is to restart: not called until then.
    Unhealthy = "unhealthy",
    /// Unhealthy, and by policy called all the same.
    TurnedUnhealthy = "turned_unhealthy",
    /// Restarted by policy, and the instance was created.
    Restarted = "restarted",
    /// A call does not return, and by policy an instance was created beside it.
    Replaced = "replaced",
    /// Healthy again for as long as it takes.
    Recovered = "recovered",
    /// Too many updates failed in a row: they are skipped for a while.
    BreakerOpened = "breaker_opened",
    /// The update after a while of skipped ones completed.
    BreakerClosed = "breaker_closed",
    /// It uses more than it should.
    LimitPassed = "limit_passed",
    /// It uses no more than it should again.
    LimitsKept = "limits_kept",
    /// A due update was not started, because the limit of threads is reached or something that the plugin requires is not there; or a due
    /// restart, for want of threads.
    CallRefused = "call_refused",
    /// An abandoned call returned; its result was discarded.
    ReturnedLate = "returned_late",
    /// A thread that the plugin started panicked.
    ThreadPanicked = "thread_panicked",
    /// Switched on, and the instance was created.
    SwitchedOn = "switched_on",
    /// Switched off.
    SwitchedOff = "switched_off",
    /// Reset, and the instance was created.
    Reset = "reset",
    /// Another build, or other settings, took over from the instance before.
    Reloaded = "reloaded",
    /// A reload was refused; what was active goes on.
    ReloadRefused = "reload_refused",
    /// A reload that turned out badly was undone: the generation before took over again.
    RolledBack = "rolled_back",
    /// Another schedule or other limits hold, of the same instance.
    Reconfigured = "reconfigured",
    /// The state could not be saved for the instance that was to take over.
    SaveFailed = "save_failed",
    /// Unloaded by command.
    Unloaded = "unloaded",
    /// Unloaded because its file was removed.
    FileRemoved = "file_removed",
    /// Unloaded because the engine shuts down.
    ShutDown = "shut_down",
    /// A call of it brought the process before to its end, as that process marked when it ended. Entered at the next start.
    Crashed = "crashed",
    /// It was being called when the process before ended, and nothing says that it was why. Entered at the next start.
    Interrupted = "interrupted",
    /// Not loaded, because it has crashed the engine as often as it may.
    Quarantined = "quarantined",
}

impl Cause {
    /// The cause with this number.
    ///
    /// ```
    /// use plugin_engine_core::{CAUSES, Cause};
    ///
    /// assert_eq!(Cause::UpdateStarted.name(), "update_started");
    /// assert!(CAUSES.iter().all(|cause| Cause::from_code(*cause as u8) == Some(*cause)));
    /// ```
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        CAUSES.get(usize::from(code)).copied()
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A text that names no cause.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no such cause; the causes are {}", CAUSES.iter().map(|cause| cause.name()).collect::<Vec<_>>().join(", "))]
pub struct UnknownCause;

impl FromStr for Cause {
    type Err = UnknownCause;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        CAUSES
            .iter()
            .copied()
            .find(|cause| cause.name() == text)
            .ok_or(UnknownCause)
    }
}

/// The state that follows `from` by `cause`, or `None` if that is illegal.
#[must_use]
#[inline]
pub const fn next_state(from: PluginState, cause: Cause) -> Option<PluginState> {
    use PluginState::{Disabled, Enabled, Error, Loaded, Running, Unloaded};
    Some(match (from, cause) {
        (Unloaded, Cause::Mapped) => Loaded,
        (Unloaded, Cause::LoadFailed | Cause::Quarantined) => Error,
        // Said of the process before, when nothing is loaded in this one.
        (Unloaded, Cause::Crashed | Cause::Interrupted) => Unloaded,

        (Loaded, Cause::Created) => Enabled,
        (Loaded | Disabled | Error, Cause::RequirementUnmet) => Error,
        (Loaded | Enabled | Disabled | Error, Cause::CreateFailed | Cause::GaveUp) => Error,
        (Enabled, Cause::Unhealthy) => Error,
        (Error, Cause::Restarted) => Enabled,
        (Error, Cause::RequirementMet) => Enabled,

        (Enabled, Cause::UpdateStarted) => Running,
        (Running, Cause::UpdateCompleted) => Enabled,
        // The promise that names this engine: a timeout is an error, never the state Error.
        (Running, Cause::UpdateFailed | Cause::UpdateTimedOut | Cause::UpdatePanicked) => Enabled,
        (Running, Cause::FailedPermanently) => Error,

        (Enabled, Cause::CreatedAnew | Cause::Replaced) => Enabled,
        (
            Enabled,
            Cause::TurnedUnhealthy | Cause::Recovered | Cause::BreakerOpened | Cause::BreakerClosed,
        ) => Enabled,
        (Enabled | Running, Cause::LimitPassed | Cause::LimitsKept) => from,
        (Enabled, Cause::DisplayFailed) => Enabled,
        (Enabled | Error, Cause::CallRefused) => from,
        // It could not be created; that is tried again.
        (Loaded, Cause::CallRefused) => Error,

        (Enabled | Disabled | Error, Cause::Reset) => Enabled,
        (Disabled | Error, Cause::SwitchedOn) => Enabled,
        (Loaded | Enabled | Error, Cause::SwitchedOff) => Disabled,

        (Enabled | Error, Cause::Reloaded | Cause::RolledBack) => Enabled,
        // What a person has switched off stays so, whatever code it is.
        (Disabled, Cause::Reloaded | Cause::RolledBack) => Disabled,
        (Enabled, Cause::SaveFailed) => Enabled,
        (Loaded | Enabled | Disabled | Error, Cause::Reconfigured) => from,
        // A candidate that is not good says nothing of what is active.
        (state, Cause::ReloadRefused) => state,

        (
            Loaded | Enabled | Disabled | Error,
            Cause::Unloaded | Cause::FileRemoved | Cause::ShutDown,
        ) => Unloaded,

        // What an abandoned call, a thread or a last destroy does at some later time changes no state, whichever that is.
        (state, Cause::ReturnedLate | Cause::ThreadPanicked | Cause::DestroyFailed) => state,
        _ => return None,
    })
}

/// The table as text, one legal transition per line, for documentation that must not drift from it.
#[must_use]
pub fn table() -> String {
    let mut text = String::from("| from | cause | to |\n|---|---|---|\n");
    for from in crate::STATES {
        for &cause in CAUSES {
            if let Some(to) = next_state(from, cause) {
                text.push_str(&format!("| {from} | `{cause}` | {to} |\n"));
            }
        }
    }
    text
}
