//! Whole explanations, compared with those in `cases.txt`: one for each state with each error and policy that matters.

mod called;
mod in_error;
mod not_called;

use plugin_engine_core::{CAUSES, CallKind, Cause, FaultKind, PluginState, STATES};

use super::given::{Given, time};
use super::input::{EngineEnd, WhyInput};

const UPDATE: Option<CallKind> = Some(CallKind::Update);

fn working() -> Given {
    Given::loaded("03:00:00").update("03:25:30")
}

fn timed_out(times: u32) -> Given {
    let mut given = Given::loaded("03:00:00").update("03:10:05");
    for n in 1..=times {
        let at = format!("03:{:02}:05", 11 + n);
        given = given.fail(
            &at,
            Cause::UpdateTimedOut,
            "update has not returned within its timeout of 10s",
        );
    }
    given
}

/// All cases, by a name that says what is given.
fn cases() -> Vec<(&'static str, Given)> {
    let mut cases = called::called();
    cases.extend(in_error::in_error());
    cases.extend(not_called::not_called());
    cases.extend(not_called::of_ended_engines());
    cases
}

/// The wanted texts, by name.
fn wanted() -> Vec<(&'static str, &'static str)> {
    let text = include_str!("cases.txt");
    text.split("## ")
        .skip(1)
        .map(|case| case.split_once('\n').unwrap())
        .map(|(name, text)| (name, text.trim_end()))
        .collect()
}

#[test]
fn every_case_is_explained_in_these_words() {
    let cases = cases();
    let got: String = cases
        .iter()
        .map(|(name, given)| format!("## {name}\n{}\n\n", given.why()))
        .collect();
    if let Some(path) = std::env::var_os("WHY_CASES") {
        std::fs::write(path, &got).unwrap();
    }
    let wanted = wanted();
    let names: Vec<_> = cases.iter().map(|(name, _)| *name).collect();
    let known: Vec<_> = wanted.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, known, "WHY_CASES=FILE writes all of them anew");
    for ((name, given), (_, wanted)) in cases.iter().zip(wanted) {
        let got = given.why().to_string();
        assert!(got == wanted, "{name}:\n{got}\n\nwanted:\n{wanted}");
    }
    assert!(cases.len() >= 70, "{}", cases.len());
}

#[test]
fn the_cases_show_every_state() {
    for state in STATES {
        let shown = cases()
            .iter()
            .any(|(_, given)| given.why().state == state && given.0.is_known);
        assert!(shown, "{state}");
    }
    assert_eq!(PluginState::from_code(6), None);
}

#[test]
fn no_line_has_a_control_character_and_none_is_empty() {
    for (name, given) in cases() {
        for line in given.why().lines() {
            assert!(!line.chars().any(char::is_control), "{name}: {line:?}");
            assert!(line.len() > 10, "{name}: {line:?}");
        }
        assert!(given.why().lines().len() <= 12, "{name} is no few lines");
    }
}

#[test]
fn every_cause_has_words_of_its_own() {
    let mut seen = std::collections::HashSet::new();
    for &cause in CAUSES {
        let text = super::words::of_cause(cause);
        assert!(seen.insert(text), "{cause}");
        assert!(
            text.contains(' ') && !text.contains('_') && !text.ends_with('.'),
            "{cause}"
        );
    }
}

#[test]
fn an_update_that_broke_the_contract_is_not_called_permanent_by_the_plugin() {
    let given = working()
        .stands(
            "03:26:00",
            Cause::SwitchedOff,
            (FaultKind::Contract, UPDATE),
            "x",
        )
        .stands(
            "03:26:01",
            Cause::CreateFailed,
            (FaultKind::Contract, UPDATE),
            "bad status 7",
        )
        .with(|input| {
            let mut error = (**input.snapshot.error.as_ref().unwrap()).clone();
            error.recoverable = false;
            input.snapshot.error = Some(error.into());
        });
    let next = given.why().next.text;
    assert!(
        next.starts_with("nothing: such an error is not tried again"),
        "{next}"
    );
}

#[test]
fn failures_that_belong_to_an_earlier_trouble_are_not_told() {
    let given = Given::loaded("00:00:00")
        .fail("01:00:00", Cause::UpdatePanicked, "long ago")
        .update("02:00:00")
        .panics_until_unhealthy(25)
        .unhealthy("03:25:30");
    let why = given.why();
    let panics: Vec<_> = why
        .steps
        .iter()
        .filter(|step| step.cause == Cause::UpdatePanicked)
        .map(|step| (step.count, step.first_at))
        .collect();
    assert_eq!(panics, [(3, time("03:25:10"))]);
}

#[test]
fn failures_before_the_last_success_are_not_told_where_updates_fail() {
    let given = Given::loaded("03:00:00")
        .fail("03:20:00", Cause::UpdateFailed, "before")
        .update("03:21:00")
        .fail("03:22:00", Cause::UpdateFailed, "after");
    let why = given.why();
    let told: Vec<_> = why
        .steps
        .iter()
        .map(|step| (step.cause, step.count))
        .collect();
    assert_eq!(told, [(Cause::UpdateFailed, 1)]);
    assert_eq!(why.error_since, Some(time("03:22:00")));
}

#[test]
fn entries_of_other_plugins_explain_nothing() {
    let mut entries = working().0.left.entries;
    for entry in &mut entries {
        entry.id = plugin_engine_core::PluginId::new("other").unwrap();
    }
    let input = WhyInput::of_ended_engine(
        "clock",
        time("06:00:00"),
        EngineEnd::Killed { last_seen: None },
        entries,
        0,
        ["other"],
    );
    let why = super::explain(&input);
    assert!(!why.is_known);
    assert_eq!(
        why.lines()[0],
        "clock is not known: no plugin of this id was seen."
    );
}
