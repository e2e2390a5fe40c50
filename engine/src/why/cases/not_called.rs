//! Plugins that nobody calls and that are not in Error, ids that nobody has, and what is left of engines that have ended.

use plugin_engine_core::{CallKind, Cause, FaultKind, Health};

use super::super::given::{Given, time};
use super::super::input::{EngineEnd, Left, WhyInput};
use super::{UPDATE, timed_out, working};
use crate::code::Code;

pub(super) fn not_called() -> Vec<(&'static str, Given)> {
    vec![
        (
            "loaded, and not created yet",
            Given::nothing().on("03:26:16", Cause::Mapped),
        ),
        (
            "its first create is running",
            Given::nothing().on("03:26:10", Cause::Mapped).call(
                CallKind::Create,
                "03:26:10",
                false,
            ),
        ),
        (
            "switched off by a command",
            working()
                .on("03:26:00", Cause::SwitchedOff)
                .counted(|counted| counted.off_by_hand = true),
        ),
        (
            "switched off by its configuration",
            Given::nothing()
                .config("enabled = false\n")
                .on("03:26:00", Cause::Mapped)
                .on("03:26:00", Cause::SwitchedOff),
        ),
        (
            "switched off by a program",
            working().on("03:26:00", Cause::SwitchedOff),
        ),
        (
            "switched off by policy",
            working()
                .config("on_unhealthy = \"disable\"\n")
                .panics_until_unhealthy(25)
                .stands(
                    "03:25:30",
                    Cause::SwitchedOff,
                    (FaultKind::Panic, UPDATE),
                    "switched off: panicked 3 times, the limit is 3; the last time: no hands",
                ),
        ),
        (
            "switched off, and what led there has left the history",
            working().on("03:26:00", Cause::SwitchedOff).with(|input| {
                input.left.lost = 1;
                input.left.entries.clear();
            }),
        ),
        (
            "unloaded by a command",
            working()
                .on("03:26:00", Cause::Unloaded)
                .counted(|counted| counted.unloaded_by_hand = true),
        ),
        (
            "unloaded by policy",
            working()
                .config("on_unhealthy = \"unload\"\n")
                .panics_until_unhealthy(25)
                .said(
                    "03:25:30",
                    Cause::Unloaded,
                    FaultKind::Panic,
                    "unloaded: panicked 3 times, the limit is 3; the last time: no hands",
                )
                .with(|input| input.snapshot.error = None)
                .health(Health::Unknown),
        ),
        (
            "unloaded because no configuration names it any more",
            working().on("03:26:00", Cause::Unloaded),
        ),
        (
            "its file was removed",
            working().on("03:26:00", Cause::FileRemoved),
        ),
        (
            "the engine was shut down in this process",
            working().on("03:26:00", Cause::ShutDown),
        ),
        (
            "it crashed the engine before and its file is gone",
            Given::nothing().said(
                "03:26:00",
                Cause::Crashed,
                FaultKind::Crash,
                "crashed the engine in its update: SIGSEGV; once so far [PE0622]",
            ),
        ),
        (
            "it was being called when the engine was killed, and runs again",
            Given::nothing()
                .said(
                    "03:25:59",
                    Cause::Interrupted,
                    FaultKind::Crash,
                    "was being called when the process ended (it was killed)",
                )
                .on("03:26:00", Cause::Mapped)
                .on("03:26:00", Cause::Created)
                .update("03:26:01"),
        ),
        (
            "another engine knew the id, and this one has no file of it",
            working()
                .on("2026-11-22 03:26:00", Cause::ShutDown)
                .with(|input| {
                    input.snapshot.since = None;
                    input.snapshot.last_success = None;
                }),
        ),
        (
            "the history on disk cannot be read",
            working().with(|input| input.left.problem = Some("disk I/O error".to_owned())),
        ),
        (
            "nobody has the id",
            Given::nothing().with(|input| input.is_known = false),
        ),
        (
            "nobody has the id, and another is near",
            Given::nothing().with(|input| {
                input.is_known = false;
                input.asked = "clokc".to_owned();
                input.nearest = Some("clock".to_owned());
            }),
        ),
        (
            "nobody has the id, and a file of that name was refused",
            Given::nothing()
                .with(|input| input.is_known = false)
                .refused(
                    "plugins.d/libclock.so",
                    Code::MAP_FAILED,
                    "plugins.d/libclock.so: the system's loader refuses it: out of memory",
                ),
        ),
        (
            "an id that would move the cursor",
            Given::nothing().with(|input| {
                input.is_known = false;
                input.asked = "\u{1b}[2Jclock".to_owned();
            }),
        ),
    ]
}

/// What is left of an engine that ended like this.
fn ended(given: Given, end: EngineEnd) -> Given {
    let Left { entries, lost, .. } = given.0.left;
    let now = time("06:00:00");
    Given(WhyInput::of_ended_engine(
        "clock",
        now,
        end,
        entries,
        lost,
        ["clock"],
    ))
}

pub(super) fn of_ended_engines() -> Vec<(&'static str, Given)> {
    let stopped = EngineEnd::Stopped {
        at: time("03:26:00"),
    };
    let killed = EngineEnd::Killed {
        last_seen: Some(time("03:26:17")),
    };
    vec![
        (
            "the engine was stopped while all was well",
            ended(working().on("03:26:00", Cause::ShutDown), stopped),
        ),
        (
            "the engine was stopped while updates timed out",
            ended(timed_out(4).on("03:26:00", Cause::ShutDown), stopped),
        ),
        (
            "the engine was stopped while it waited for a restart",
            ended(
                working()
                    .panics_until_unhealthy(25)
                    .unhealthy("03:25:30")
                    .on("03:26:00", Cause::ShutDown),
                stopped,
            ),
        ),
        (
            "the engine was killed during an update",
            ended(working().on("03:26:16", Cause::UpdateStarted), killed),
        ),
        (
            "the engine was killed and nobody knows when",
            ended(working(), EngineEnd::Killed { last_seen: None }),
        ),
        (
            "the engine was killed while the plugin was switched off",
            ended(working().on("03:25:40", Cause::SwitchedOff), killed),
        ),
        (
            "an ended engine never knew the id",
            Given(WhyInput::of_ended_engine(
                "clok",
                time("06:00:00"),
                stopped,
                Vec::new(),
                0,
                ["clock"],
            )),
        ),
    ]
}
