//! Plugins in the state Error.

use plugin_engine_core::{CallKind, Cause, FaultKind, Health};

use super::super::given::Given;
use super::{UPDATE, working};

pub(super) fn in_error() -> Vec<(&'static str, Given)> {
    let refused = |given: Given, message: &str| {
        given.stands(
            "03:20:00",
            Cause::LoadFailed,
            (FaultKind::Load, None),
            message,
        )
    };
    let created = |cause, kind, message: &'static str| {
        Given::nothing().on("03:26:00", Cause::Mapped).stands(
            "03:26:10",
            cause,
            (kind, Some(CallKind::Create)),
            message,
        )
    };
    vec![
        (
            "its file was refused",
            refused(Given::nothing(), "plugins.d/libclock.so: it is no ELF file [PE0103]")
                .with(|input| {
                    let mut error = (**input.snapshot.error.as_ref().unwrap()).clone();
                    error.type_name = "PE0103".into();
                    input.snapshot.error = Some(error.into());
                }),
        ),
        (
            "its file was refused after others were loaded",
            refused(
                Given::loaded("02:00:00").update("02:30:00").on("03:00:00", Cause::FileRemoved).health(Health::Unknown),
                "plugins.d/libclock.so: it is no ELF file [PE0103]",
            ),
        ),
        (
            "it is in quarantine",
            Given::nothing()
                .said("03:26:00", Cause::Crashed, FaultKind::Crash, "crashed the engine in its update: SIGSEGV; twice so far [PE0622]")
                .stands("03:26:01", Cause::Quarantined, (FaultKind::Crash, None), "quarantined: crashed the engine twice [PE0621]"),
        ),
        ("its settings are not good", created(Cause::CreateFailed, FaultKind::Config, "clock.toml:3:1: `start` is missing")),
        (
            "it says that its create failed for good",
            created(Cause::CreateFailed, FaultKind::Permanent, "no such device").health(Health::Unhealthy),
        ),
        (
            "its create timed out and is tried again",
            created(Cause::CreateFailed, FaultKind::Timeout, "create has not returned within its timeout of 30s")
                .health(Health::Degraded)
                .next("03:26:19")
                .counted(|counted| { counted.waits_for_restart = true; counted.restarts = 2; }),
        ),
        (
            "its create failed where no restarts are allowed",
            created(Cause::CreateFailed, FaultKind::Failed, "connection refused")
                .config("restart = { max_restarts = 0 }\n")
                .health(Health::Unhealthy),
        ),
        (
            "it waits for something that it requires",
            created(Cause::RequirementUnmet, FaultKind::Requirement, "requires feed, and no plugin has that id [PE0401]")
                .config("requires = [\"feed\"]\n"),
        ),
        (
            "it failed for good",
            working().fail("03:26:10", Cause::FailedPermanently, "the disk is gone").health(Health::Unhealthy),
        ),
        (
            "it is unhealthy and waits for its first restart",
            working().panics_until_unhealthy(25).unhealthy("03:25:30").next("03:26:18"),
        ),
        (
            "it waits for its restart, while the instance that failed is being destroyed",
            working()
                .panics_until_unhealthy(25)
                .unhealthy("03:25:30")
                .next("03:26:18")
                .call(CallKind::Destroy, "03:26:16", false),
        ),
        (
            "it waits for its last restart",
            working()
                .config("restart = { max_restarts = 2 }\n")
                .panics_until_unhealthy(20)
                .unhealthy("03:20:30")
                .restarted("03:20:31")
                .panics_until_unhealthy(25)
                .unhealthy("03:25:30")
                .next("03:26:20"),
        ),
        (
            "its restart is due and nobody runs cycles",
            working().panics_until_unhealthy(20).unhealthy("03:20:30").next("03:20:31"),
        ),
        (
            "its restarts are used up",
            working()
                .config("restart = { max_restarts = 1 }\n")
                .panics_until_unhealthy(20)
                .unhealthy("03:20:30")
                .restarted("03:20:31")
                .panics_until_unhealthy(21)
                .stands("03:21:30", Cause::GaveUp, (FaultKind::Panic, UPDATE), "given up after 1 restart within 10m: panicked 3 times, the limit is 3; the last time: no hands")
                .counted(|counted| counted.waits_for_restart = false),
        ),
        (
            "its create is running after a reset",
            working()
                .fail("03:26:10", Cause::FailedPermanently, "the disk is gone")
                .health(Health::Unhealthy)
                .call(CallKind::Create, "03:26:16", false),
        ),
        (
            "a reload of what is in error was refused",
            working()
                .fail("03:25:40", Cause::FailedPermanently, "the disk is gone")
                .said("03:26:10", Cause::ReloadRefused, FaultKind::Load, "plugins.d/libclock.so: it is no ELF file")
                .health(Health::Unhealthy),
        ),
    ]
}
