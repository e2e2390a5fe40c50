//! Names and numbers under which values are stored and told: what programs out there rely on.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use plugin_engine_core::{
    BreakerState, CAUSES, CallKind, Cause, Command, Fault, FaultKind, FaultReport, Health,
    PluginId, PluginState, TaskEnd, TaskKind, Transition, WallTime,
};

/// Checks the names and numbers of all values of a type, and that each is found by its number.
fn check<T: Copy + PartialEq + std::fmt::Debug + std::fmt::Display>(
    values: &[(T, u8, &str)],
    name: impl Fn(T) -> &'static str,
    find: impl Fn(u8) -> Option<T>,
) {
    for (value, code, expected) in values {
        assert_eq!(name(*value), *expected);
        assert_eq!(value.to_string(), *expected);
        assert_eq!(format!("{value:>20}").len(), 20, "it can be aligned");
        assert_eq!(find(*code), Some(*value), "{code}");
    }
}

#[test]
fn the_states_have_their_names_and_numbers() {
    use PluginState::{Disabled, Enabled, Error, Loaded, Running, Unloaded};
    let all = [
        (Unloaded, 0, "Unloaded"),
        (Loaded, 1, "Loaded"),
        (Enabled, 2, "Enabled"),
        (Running, 3, "Running"),
        (Error, 4, "Error"),
        (Disabled, 5, "Disabled"),
    ];
    check(&all, PluginState::name, PluginState::from_code);
    assert_eq!(PluginState::from_code(6), None);
}

#[test]
fn the_calls_have_their_names_and_numbers() {
    use CallKind::{Create, Destroy, Display, RestoreState, SaveState, Update};
    let all = [
        (Create, 0, "create"),
        (Update, 1, "update"),
        (Display, 2, "display"),
        (Destroy, 3, "destroy"),
        (SaveState, 4, "save_state"),
        (RestoreState, 5, "restore_state"),
    ];
    check(&all, CallKind::name, CallKind::from_code);
    assert_eq!(CallKind::from_code(6), None);
}

#[test]
fn health_has_its_names_and_numbers() {
    use Health::{Degraded, Healthy, Unhealthy, Unknown};
    let all = [
        (Unknown, 0, "unknown"),
        (Healthy, 1, "healthy"),
        (Degraded, 2, "degraded"),
        (Unhealthy, 3, "unhealthy"),
    ];
    check(&all, Health::name, Health::from_code);
    assert_eq!(Health::from_code(4), None);
}

#[test]
fn breakers_have_their_names_and_numbers() {
    use BreakerState::{Closed, HalfOpen, Off, Open};
    let all = [
        (Off, 0, "off"),
        (Closed, 1, "closed"),
        (Open, 2, "open"),
        (HalfOpen, 3, "half_open"),
    ];
    check(&all, BreakerState::name, BreakerState::from_code);
    assert_eq!(BreakerState::from_code(4), None);
}

#[test]
fn the_kinds_of_faults_have_their_names() {
    let names = FaultKind::ALL.map(FaultKind::name);
    let expected = [
        "failed",
        "permanent",
        "timeout",
        "panic",
        "thread_panic",
        "load",
        "config",
        "contract",
        "refused",
        "requirement",
        "limit",
        "crash",
    ];
    assert_eq!(names, expected);
    assert_eq!(FaultKind::Timeout.to_string(), "timeout");
}

#[test]
fn the_commands_have_their_names() {
    let names = Command::ALL.map(Command::name);
    let expected = [
        "load", "enable", "disable", "reset", "update", "display", "unload", "reload", "forget",
    ];
    assert_eq!(names, expected);
    assert_eq!(Command::Forget.to_string(), "forget");
}

#[test]
fn a_fault_takes_the_memory_of_all_its_texts() {
    let report = |texts: [&str; 4]| {
        let [message, type_name, location, backtrace] = texts.map(str::to_owned);
        FaultReport {
            message,
            type_name,
            location,
            backtrace,
            ..FaultReport::new(FaultKind::Failed, "")
        }
    };
    let memory = |texts| {
        let at = WallTime::from_unix_nanos(1);
        Fault::new(&report(texts), at, None, true, 1).memory()
    };
    let empty = memory([""; 4]);
    assert!(empty >= size_of::<Fault>());
    assert_eq!(memory(["a", "bb", "cccc", "dddddddd"]), empty + 15);
}

#[test]
fn every_cause_is_found_by_its_number_and_shown_by_its_name() {
    for (number, cause) in CAUSES.iter().enumerate() {
        assert_eq!(
            Cause::from_code(u8::try_from(number).unwrap()),
            Some(*cause)
        );
        assert_eq!(cause.to_string(), cause.name());
        assert_eq!(cause.name().parse(), Ok(*cause));
        assert_eq!(format!("{cause:>30}").len(), 30, "it can be aligned");
    }
    assert_eq!(Cause::from_code(u8::try_from(CAUSES.len()).unwrap()), None);
}

#[test]
fn the_kinds_of_tasks_and_their_ends_have_their_names() {
    let kinds = [TaskKind::Engine, TaskKind::Embedder, TaskKind::Plugin];
    assert_eq!(kinds.map(TaskKind::name), ["engine", "embedder", "plugin"]);
    assert!(kinds.iter().all(|kind| kind.to_string() == kind.name()));
    let ends = [TaskEnd::Returned, TaskEnd::Cancelled, TaskEnd::GaveUp];
    assert_eq!(
        ends.map(TaskEnd::name),
        ["returned", "cancelled", "gave_up"]
    );
    assert!(ends.iter().all(|end| end.to_string() == end.name()));
}

#[test]
fn an_id_is_its_text_wherever_a_text_is_wanted() {
    let id = PluginId::new("clock").unwrap();
    assert_eq!(AsRef::<str>::as_ref(&id), "clock");
    assert_eq!(format!("{id:?}"), "\"clock\"");
    // Against a text and against a reference to one, which are two comparisons.
    assert!(id == *"clock" && id != *"clocks");
    assert!(id == "clock" && id != "clocks");
    let known = HashMap::from([(id, 7)]);
    assert_eq!((known.get("clock"), known.get("clocks")), (Some(&7), None));
}

#[test]
fn a_fault_is_shown_as_kind_message_and_place_in_one_line() {
    let shown = |location: &str| {
        let report = FaultReport {
            location: location.to_owned(),
            ..FaultReport::new(FaultKind::Failed, "no\ndisk")
        };
        Fault::new(&report, WallTime::from_unix_nanos(1), None, true, 1).to_string()
    };
    assert_eq!(shown(""), "failed: no\\ndisk");
    assert_eq!(shown("lib.rs:3:5"), "failed: no\\ndisk (at lib.rs:3:5)");
}

#[test]
fn only_updates_of_a_plugin_that_works_are_routine() {
    let report = FaultReport::new(FaultKind::Failed, "no disk");
    let fault = Fault::new(&report, WallTime::from_unix_nanos(1), None, true, 1);
    let routine = |cause, error: Option<&Fault>| {
        Transition {
            seq: 1,
            at: WallTime::from_unix_nanos(1),
            id: PluginId::new("clock").unwrap(),
            generation: 1,
            version: None,
            from: PluginState::Enabled,
            to: PluginState::Running,
            cause,
            error: error.cloned().map(Arc::new),
            duration: None,
        }
        .is_routine()
    };
    assert!(routine(Cause::UpdateStarted, None) && routine(Cause::UpdateCompleted, None));
    assert!(!routine(Cause::Created, None));
    assert!(!routine(Cause::UpdateCompleted, Some(&fault)));
}

#[test]
fn a_transition_is_shown_as_one_line_with_what_it_has() {
    let report = FaultReport::new(FaultKind::Failed, "no disk");
    let fault = Fault::new(&report, WallTime::from_unix_nanos(1), None, true, 1);
    let mut transition = Transition {
        seq: 42,
        at: WallTime::from_unix_nanos(0),
        id: PluginId::new("clock").unwrap(),
        generation: 1,
        version: None,
        from: PluginState::Running,
        to: PluginState::Enabled,
        cause: Cause::UpdateFailed,
        error: Some(Arc::new(fault)),
        duration: Some(Duration::from_millis(3)),
    };
    let shown = transition.to_string();
    assert!(shown.starts_with("    42 1970-01-01T00:00:00"), "{shown}");
    let rest = " clock Running -> Enabled (update_failed)";
    assert!(
        shown.ends_with(&format!("{rest} in 3.0ms failed: no disk")),
        "{shown}"
    );
    (transition.error, transition.duration) = (None, None);
    assert!(transition.to_string().ends_with(rest));
}
