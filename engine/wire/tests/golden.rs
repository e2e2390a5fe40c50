//! Each type as it is written, in a file of its own: what programs out there rely on.

use std::fmt::Debug;

use plugin_engine_wire::{
    CommandDone, EngineInfo, ErrorBody, Event, Events, Fault, History, Livez, Lost, Mark, Plugins,
    Readyz, Snapshot, Task, Tasks, Transition, Usage, View, Why,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Checks that `text` is exactly what is written of what is read from it.
fn check<T: Serialize + DeserializeOwned + PartialEq + Debug>(name: &str, text: &str) {
    let read: T = serde_json::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
    let written = serde_json::to_string_pretty(&read).unwrap() + "\n";
    assert_eq!(written, text, "{name}");
}

/// Checks that a reader is not disturbed by what a later version may add, anywhere.
fn check_later<T: Serialize + DeserializeOwned + PartialEq + Debug>(name: &str, text: &str) {
    let mut more: Value = serde_json::from_str(text).unwrap();
    add_everywhere(&mut more);
    let expected: T = serde_json::from_str(text).unwrap();
    let read: T = serde_json::from_value(more).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(read, expected, "{name}");
}

fn add_everywhere(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(add_everywhere);
            fields.insert("of_a_later_version".to_owned(), Value::from(1));
        }
        Value::Array(values) => values.iter_mut().for_each(add_everywhere),
        _ => {}
    }
}

/// Calls a check for every type, with its file.
macro_rules! for_all {
    ($check:ident: $($type:ty = $file:literal,)+) => {
        $($check::<$type>($file, include_str!(concat!("../fixtures/", $file, ".json")));)+
    };
}

macro_rules! for_all_with_known_fields {
    ($check:ident) => {
        for_all! {
            $check:
            CommandDone = "command_done",
            EngineInfo = "engine_info",
            ErrorBody = "error_body",
            Event = "event",
            Events = "events",
            Fault = "fault",
            History = "history",
            Livez = "livez",
            Lost = "lost",
            Vec<Mark> = "marks",
            Plugins = "plugins",
            Readyz = "readyz",
            Snapshot = "snapshot",
            Task = "task",
            Tasks = "tasks",
            Transition = "transition",
            Usage = "usage",
            View = "view",
        }
    };
}

#[test]
fn every_type_is_written_as_in_its_file() {
    for_all_with_known_fields!(check);
    for_all! { check: Why = "why", }
}

#[test]
fn what_a_later_version_adds_is_ignored() {
    for_all_with_known_fields!(check_later);
}

#[test]
fn what_is_said_beside_the_lines_of_why_is_kept() {
    let why: Why = serde_json::from_str(include_str!("../fixtures/why.json")).unwrap();
    assert_eq!(why.lines.len(), 2);
    assert_eq!(why.fields["state"], "Enabled");
    assert!(!why.fields.contains_key("lines"));
}

#[test]
fn a_mark_of_a_later_version_is_known_to_be_one() {
    let text = r#"{"mark":"moved","seq":7}"#;
    assert_eq!(serde_json::from_str::<Mark>(text).unwrap(), Mark::Unknown);
}

#[test]
fn names_of_a_later_version_are_read_as_they_are() {
    let text = include_str!("../fixtures/transition.json");
    let text = text.replace("update_timed_out", "of_a_later_version");
    let read: Transition = serde_json::from_str(&text).unwrap();
    assert_eq!(read.cause, "of_a_later_version");
}
