//! Plugins that are called: Enabled and Running.

use plugin_engine_core::{BreakerState, CallKind, Cause, FaultKind, Health};

use super::super::given::{Given, time};
use super::{UPDATE, timed_out, working};
use crate::code::Code;

pub(super) fn called() -> Vec<(&'static str, Given)> {
    vec![
        (
            "created, and no update yet",
            Given::loaded("03:26:00").next("03:26:20"),
        ),
        (
            "an update is due and nobody runs cycles",
            Given::loaded("03:10:00").next("03:10:00"),
        ),
        ("all is well", working()),
        (
            "all is well since a reload",
            working().on("03:25:40", Cause::Reloaded).update("03:26:10"),
        ),
        (
            "all is well, and a reload was refused",
            working()
                .said(
                    "03:25:50",
                    Cause::ReloadRefused,
                    FaultKind::Load,
                    "plugins.d/libclock.so: it is no ELF file",
                )
                .said(
                    "03:26:00",
                    Cause::ReloadRefused,
                    FaultKind::Load,
                    "plugins.d/libclock.so: its create did not complete",
                )
                .update("03:26:05"),
        ),
        (
            "all is well, and another file claims the id",
            working().refused(
                "plugins.d/libother.so",
                Code::ID_TAKEN,
                "plugins.d/libother.so: the id clock belongs to plugins.d/libclock.so",
            ),
        ),
        (
            "an update is running",
            working().on("03:26:15", Cause::UpdateStarted).call(
                CallKind::Update,
                "03:26:15",
                false,
            ),
        ),
        (
            "an update is running after failures",
            timed_out(3).on("03:26:15", Cause::UpdateStarted).call(
                CallKind::Update,
                "03:26:15",
                false,
            ),
        ),
        (
            "an update is running past its deadline, which nobody has looked at yet",
            working().on("03:26:00", Cause::UpdateStarted).call(
                CallKind::Update,
                "03:26:00",
                false,
            ),
        ),
        (
            "a display is running",
            working().call(CallKind::Display, "03:26:16", false),
        ),
        ("updates time out and return", timed_out(14)),
        (
            "an update failed once",
            working().fail("03:26:10", Cause::UpdateFailed, "connection refused"),
        ),
        (
            "an update failed once and the plugin asked for its time",
            working()
                .fail("03:26:10", Cause::UpdateFailed, "connection refused")
                .next("03:26:25"),
        ),
        (
            "updates failed in two ways",
            working()
                .fail(
                    "03:26:00",
                    Cause::UpdateTimedOut,
                    "update has not returned within its timeout of 10s",
                )
                .fail("03:26:01", Cause::UpdateFailed, "connection refused")
                .fail("03:26:02", Cause::UpdateFailed, "connection reset"),
        ),
        (
            "failures that have left the history",
            timed_out(2).with(|input| {
                input.left.entries.drain(..6);
                input.left.lost = 900;
                input.snapshot.in_a_row.updates = 700;
            }),
        ),
        (
            "an update panicked once",
            working().fail("03:26:10", Cause::UpdatePanicked, "no hands"),
        ),
        (
            "an update panicked under a limit of one that only says so",
            working()
                .config("panic_limit = 1\non_unhealthy = \"none\"\n")
                .fail("03:26:10", Cause::UpdatePanicked, "no hands")
                .said(
                    "03:26:10",
                    Cause::TurnedUnhealthy,
                    FaultKind::Panic,
                    "panicked once, the limit is 1; the last time: no hands",
                )
                .health(Health::Unhealthy)
                .note("panicked once, the limit is 1; the last time: no hands"),
        ),
        (
            "a thread of the plugin panicked",
            working()
                .said(
                    "03:26:00",
                    Cause::ThreadPanicked,
                    FaultKind::ThreadPanic,
                    "lost the plot",
                )
                .counted(|counted| counted.panics = 1)
                .update("03:26:05"),
        ),
        (
            "a display failed while updates go on",
            working()
                .stands(
                    "03:25:40",
                    Cause::DisplayFailed,
                    (FaultKind::Failed, Some(CallKind::Display)),
                    "nothing to show",
                )
                .with(|input| input.snapshot.last_success = Some(time("03:26:10")))
                .health(Health::Degraded)
                .next("03:27:10"),
        ),
        (
            "a call does not return and is waited for",
            working()
                .fail(
                    "03:26:10",
                    Cause::UpdateTimedOut,
                    "update has not returned within its timeout of 10s",
                )
                .call(CallKind::Update, "03:26:00", true),
        ),
        (
            "a call does not return and another instance is to be put beside it",
            working()
                .config("on_hung = \"replace\"\nhung_intervals = 2\n")
                .fail(
                    "03:26:10",
                    Cause::UpdateTimedOut,
                    "update has not returned within its timeout of 10s",
                )
                .call(CallKind::Update, "03:26:00", true),
        ),
        (
            "three instances are stuck",
            working()
                .config("on_hung = \"replace\"\n")
                .fail(
                    "03:26:10",
                    Cause::UpdateTimedOut,
                    "update has not returned within its timeout of 10s",
                )
                .on("03:26:11", Cause::Replaced)
                .on("03:26:12", Cause::Replaced)
                .call(CallKind::Update, "03:26:00", true)
                .counted(|counted| counted.orphans = 2),
        ),
        (
            "a call returned late",
            working()
                .fail(
                    "03:26:00",
                    Cause::UpdateTimedOut,
                    "update has not returned within its timeout of 10s",
                )
                .on("03:26:12", Cause::ReturnedLate),
        ),
        (
            "a display does not return",
            working()
                .stands(
                    "03:26:02",
                    Cause::DisplayFailed,
                    (FaultKind::Timeout, Some(CallKind::Display)),
                    "display has not returned within its timeout of 2s",
                )
                .health(Health::Degraded)
                .call(CallKind::Display, "03:26:00", true),
        ),
        (
            "a breaker that is about to open",
            working()
                .config("[breaker]\nfailures = 3\n")
                .fail("03:26:00", Cause::UpdateFailed, "connection refused")
                .fail("03:26:10", Cause::UpdateFailed, "connection refused"),
        ),
        (
            "a breaker that is open",
            working()
                .config("[breaker]\nfailures = 2\ncool_down = \"5m\"\n")
                .fail("03:26:00", Cause::UpdateFailed, "connection refused")
                .fail("03:26:10", Cause::UpdateFailed, "connection refused")
                .said(
                    "03:26:10",
                    Cause::BreakerOpened,
                    FaultKind::Failed,
                    "connection refused",
                )
                .with(|input| input.snapshot.breaker = BreakerState::Open)
                .next("03:31:10"),
        ),
        (
            "the probe of a breaker is running",
            working()
                .config("[breaker]\nfailures = 1\ncool_down = \"10s\"\n")
                .fail("03:26:05", Cause::UpdateFailed, "connection refused")
                .said(
                    "03:26:05",
                    Cause::BreakerOpened,
                    FaultKind::Failed,
                    "connection refused",
                )
                .on("03:26:15", Cause::UpdateStarted)
                .call(CallKind::Update, "03:26:15", false)
                .with(|input| input.snapshot.breaker = BreakerState::HalfOpen),
        ),
        (
            "an update is held back because something required has gone",
            working()
                .config("requires = [\"feed\"]\n")
                .stands(
                    "03:26:10",
                    Cause::CallRefused,
                    (FaultKind::Requirement, UPDATE),
                    "requires feed, which is Error [PE0402]",
                )
                .health(Health::Degraded)
                .next("03:26:30"),
        ),
        (
            "no thread is free for an update",
            working()
                .stands(
                    "03:26:10",
                    Cause::CallRefused,
                    (FaultKind::Refused, UPDATE),
                    "512 threads are in calls, which is the limit",
                )
                .health(Health::Degraded)
                .next("03:26:30"),
        ),
        (
            "a limit is passed",
            working()
                .config("[limits]\ncpu_percent = 10\n")
                .said(
                    "03:26:00",
                    Cause::LimitPassed,
                    FaultKind::Limit,
                    "its calls use 40 % of a processor, the limit is 10 %",
                )
                .update("03:26:10")
                .health(Health::Degraded)
                .note("its calls use 40 % of a processor, the limit is 10 %"),
        ),
        (
            "the configuration is not good and what it said before holds",
            working()
                .said(
                    "03:26:00",
                    Cause::ReloadRefused,
                    FaultKind::Config,
                    "clock.toml:1:1: unknown key `intervall`",
                )
                .update("03:26:10")
                .health(Health::Degraded)
                .note("clock.toml:1:1: unknown key `intervall`"),
        ),
        (
            "on probation after a reload",
            working()
                .config("probation = \"10m\"\n")
                .on("03:26:00", Cause::Reloaded)
                .counted(|counted| counted.probation_until = Some(time("03:36:00")))
                .next("03:26:30"),
        ),
        (
            "a reload was undone",
            working()
                .on("03:26:00", Cause::Reloaded)
                .fail("03:26:01", Cause::UpdateFailed, "connection refused")
                .on("03:26:02", Cause::RolledBack)
                .next("03:27:00"),
        ),
        (
            "restarted, and not long enough well",
            working()
                .panics_until_unhealthy(20)
                .unhealthy("03:20:30")
                .restarted("03:20:31")
                .update("03:25:50")
                .health(Health::Unhealthy)
                .note("panicked 3 times, the limit is 3; the last time: no hands")
                .counted(|counted| counted.well_since = Some(time("03:20:31"))),
        ),
    ]
}
