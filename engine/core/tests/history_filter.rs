//! The language in which history is asked for.

use std::sync::Arc;
use std::time::Duration;

use plugin_engine_core::{
    Cause, FILTER_KEYS, FILTER_NAMES_MAX, Fault, FaultKind, FaultReport, HistoryFilter, PluginId,
    PluginState, Transition, WallTime,
};

const NOW: WallTime = WallTime::from_unix_nanos(1_790_000_000_000_000_000);

fn entry() -> Transition {
    Transition {
        seq: 7,
        at: NOW,
        id: PluginId::new("counter").unwrap(),
        generation: 2,
        version: None,
        from: PluginState::Running,
        to: PluginState::Enabled,
        cause: Cause::UpdateCompleted,
        error: None,
        duration: Some(Duration::from_millis(3)),
    }
}

fn filter(pairs: &[(&str, &str)]) -> HistoryFilter {
    let mut filter = HistoryFilter::default();
    for (key, value) in pairs {
        filter.set(key, value, NOW).unwrap();
    }
    filter
}

fn refused(key: &str, value: &str) -> String {
    let mut filter = filter(&[("id", "a"), ("limit", "3")]);
    let before = filter.clone();
    let error = filter.set(key, value, NOW).unwrap_err().to_string();
    assert_eq!(filter, before, "nothing is half told");
    error
}

#[test]
fn each_key_takes_the_entries_that_it_names_and_no_others() {
    let takes = |key, value| filter(&[(key, value)]).takes(&entry());
    for (key, good, bad) in [
        ("id", "counter", "clock"),
        ("generation", "2", "3"),
        ("generation", "1..2", "3..9"),
        ("since", "0s", "2099-01-01T00:00:00Z"),
        ("until", "0s", "1s"),
        ("from_state", "Running", "Enabled"),
        ("to_state", "enabled", "Error"),
        ("cause", "update_completed", "update_started"),
        ("errors", "false", "true"),
        ("after", "6", "7"),
        ("order", "newest", ""),
        ("limit", "1", ""),
    ] {
        assert!(takes(key, good), "{key} = {good}");
        assert!(bad.is_empty() || !takes(key, bad), "{key} = {bad}");
    }
    let told: Vec<_> = FILTER_KEYS.to_vec();
    assert_eq!(told.len(), 11, "a key more belongs into the list above");
}

#[test]
fn several_names_are_one_of_them_and_several_keys_are_all_of_them() {
    assert!(filter(&[("id", "clock,counter")]).takes(&entry()));
    assert!(filter(&[("id", "clock"), ("id", "counter")]).takes(&entry()));
    assert!(!filter(&[("id", "counter"), ("to_state", "Error")]).takes(&entry()));
}

#[test]
fn only_errors_takes_what_came_with_one() {
    let report = FaultReport::new(FaultKind::Failed, "no disk".to_owned());
    let fault = Fault::new(&report, NOW, None, true, 1);
    let failed = Transition {
        error: Some(Arc::new(fault)),
        ..entry()
    };
    assert!(filter(&[("errors", "true")]).takes(&failed));
}

#[test]
fn an_age_is_counted_back_from_now() {
    let filter = filter(&[("since", "2h 30m")]);
    assert_eq!(
        filter
            .since
            .unwrap()
            .saturating_add(Duration::from_secs(9_000)),
        NOW
    );
}

#[test]
fn what_cannot_be_understood_is_refused_in_words_and_changes_nothing() {
    for (key, value, words) in [
        ("colour", "red", "the keys are id, generation"),
        ("id", "No Id", "is no plugin id"),
        ("id", "a,,b", "nothing is named"),
        ("generation", "5..2", "2..5"),
        ("generation", "-1", "2..5"),
        ("since", "yesterday", "2026-01-31T12:00:00Z"),
        ("to_state", "Dead", "the states are"),
        ("cause", "magic", "the causes are"),
        ("errors", "maybe", "true or false"),
        ("after", "-1", "whole number"),
        ("limit", "many", "whole number"),
        ("order", "random", "oldest or newest"),
        ("id", "ok,\u{1b}[31m", "\\u{1b}"),
    ] {
        let error = refused(key, value);
        assert!(error.contains(words), "{key} = {value}: {error}");
        assert!(error.contains(key), "{error}");
    }
    let many: Vec<_> = (0..=FILTER_NAMES_MAX).map(|n| format!("p{n}")).collect();
    assert!(refused("id", &many.join(",")).contains("more than 64"));
}

#[test]
fn names_that_were_said_before_count_towards_the_most_that_there_may_be() {
    let names = |from: usize, to: usize| {
        let names: Vec<_> = (from..to).map(|n| format!("p{n}")).collect();
        names.join(",")
    };
    let half = FILTER_NAMES_MAX / 2;
    let mut filter = filter(&[("id", &names(0, half))]);
    filter
        .set("id", &names(half, FILTER_NAMES_MAX), NOW)
        .unwrap();
    assert_eq!(filter.ids.len(), FILTER_NAMES_MAX);
    // One that is there already is none more.
    filter.set("id", "p0", NOW).unwrap();
    assert!(filter.set("id", "one-more", NOW).is_err());
}

#[test]
fn a_filter_that_is_written_down_reads_as_the_same_filter() {
    let all = filter(&[
        ("id", "a,b"),
        ("generation", "2..5"),
        ("since", "10m"),
        ("until", "2026-09-21T12:00:00.123456789Z"),
        ("from_state", "Running"),
        ("to_state", "Enabled,Error"),
        ("cause", "update_failed,update_timed_out"),
        ("errors", "true"),
        ("after", "12"),
        ("order", "newest"),
        ("limit", "100"),
    ]);
    let written = all.to_string();
    let pairs: Vec<_> = written
        .split('&')
        .map(|pair| pair.split_once('=').unwrap())
        .collect();
    assert_eq!(filter(&pairs), all);
    assert_eq!(pairs.len(), FILTER_KEYS.len());
    assert_eq!(HistoryFilter::default().to_string(), "");
}

#[test]
fn a_filter_of_one_plugin_takes_all_of_that_one_and_nothing_of_others() {
    let of = |id: &str| HistoryFilter::of(PluginId::new(id).unwrap());
    assert!(of("counter").takes(&entry()));
    assert!(!of("clock").takes(&entry()));
    assert_eq!(of("counter").ids.len(), 1);
}

#[test]
fn as_many_entries_are_wanted_as_was_said_and_all_where_nothing_was() {
    assert_eq!(filter(&[]).limit(), usize::MAX);
    assert_eq!(filter(&[("limit", "3")]).limit(), 3);
}

#[test]
fn the_order_that_was_said_last_holds() {
    assert!(filter(&[("order", "newest")]).newest_first);
    assert!(!filter(&[("order", "newest"), ("order", "oldest")]).newest_first);
}
