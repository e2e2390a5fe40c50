//! Names and numbers under which values are stored and told: what programs out there rely on.

use plugin_engine_core::{
    BreakerState, CallKind, Command, Fault, FaultKind, FaultReport, Health, PluginState, WallTime,
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
fn health_has_its_names_and_numbers_and_is_unknown_otherwise() {
    use Health::{Degraded, Healthy, Unhealthy, Unknown};
    let all = [
        (Unknown, 0, "unknown"),
        (Healthy, 1, "healthy"),
        (Degraded, 2, "degraded"),
        (Unhealthy, 3, "unhealthy"),
    ];
    check(&all, Health::name, |code| Some(Health::from_code(code)));
    assert_eq!(Health::from_code(4), Unknown);
}

#[test]
fn breakers_have_their_names_and_numbers_and_are_off_otherwise() {
    use BreakerState::{Closed, HalfOpen, Off, Open};
    let all = [
        (Off, 0, "off"),
        (Closed, 1, "closed"),
        (Open, 2, "open"),
        (HalfOpen, 3, "half_open"),
    ];
    check(&all, BreakerState::name, |code| {
        Some(BreakerState::from_code(code))
    });
    assert_eq!(BreakerState::from_code(4), Off);
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
