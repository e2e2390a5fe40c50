//! A plugin says and does the same in the test host as in an engine: one that follows a script is run in both, and what was heard is compared.

use plugin_engine::{FaultKind, PluginState};
use plugin_engine_tests::{Rig, lines_of, wait_for};
use plugin_test_host::{CallError, SavedState, TestHost, TestPlugin};
use serde_json::json;

#[path = "../../fixtures/follows-a-script/src/lib.rs"]
mod follows_a_script;

use follows_a_script::FollowsAScript;

/// What is heard of a plugin that does these steps.
#[derive(Debug, Default, PartialEq, Eq)]
struct Heard {
    /// The error of each update, as `kind, type: message, file and line`; empty for none.
    errors: Vec<String>,
    events: Vec<(String, String)>,
    /// Level, last part of the target, message, spans.
    lines: Vec<(String, String, String, String)>,
    shown: String,
}

fn steps_of(script: &str) -> Vec<&str> {
    script.split("; ").collect()
}

/// The end of a source's path, which is as long as Cargo makes it.
fn place(location: &str) -> String {
    location
        .rsplit_once("src/")
        .map_or(location, |(_, end)| end)
        .to_owned()
}

fn last_part(target: &str) -> String {
    target.rsplit("::").next().unwrap_or(target).to_owned()
}

fn in_an_engine(id: &str, script: &str) -> Heard {
    let mut heard = Heard::default();
    let steps = steps_of(script);
    // Heard before anything is said.
    let _ = lines_of(id);
    let rig = Rig::new();
    let events = rig.engine.subscribe("plugin.*.**");
    rig.drop_as(
        "follows-a-script",
        id,
        &format!("[settings]\nscript = {steps:?}\n"),
    );
    rig.load();
    let mut resets = 0;
    for _ in &steps {
        let _ = rig.engine.run_cycle();
        let snapshot = rig.snapshot(id);
        if snapshot.state == PluginState::Error {
            resets += 1;
            // A cycle does not wait for it, and beside an instance that is there already it would not be heard.
            wait_for("the destroy of what has failed", || {
                let lines = lines_of(id);
                lines
                    .iter()
                    .filter(|line| line.message == "destroyed")
                    .count()
                    == resets
            });
            rig.engine.reset(id).unwrap();
        }
        let error = snapshot.error.map(|error| match error.kind {
            FaultKind::Panic => format!("panic: {}, {}", error.message, place(&error.location)),
            kind => format!("{kind}, {}: {}", error.type_name, error.message),
        });
        heard.errors.push(error.unwrap_or_default());
        rig.advance(1_000);
    }
    heard.shown = rig
        .engine
        .display(id)
        .unwrap()
        .as_text()
        .unwrap()
        .to_owned();
    rig.engine.unload(id).unwrap();
    heard.events = std::iter::from_fn(|| events.try_next())
        .map(|event| {
            let name = event.topic.splitn(3, '.').nth(2).unwrap();
            (name.to_owned(), event.payload.to_string())
        })
        .filter(|(name, _)| !["state", "health", "unhealthy"].contains(&name.as_str()))
        .collect();
    heard.lines = lines_of(id)
        .iter()
        .filter(|line| line.target != "plugin_engine::transitions")
        .map(|line| {
            let (target, spans) = (last_part(&line.target), line.fields.get("spans"));
            let level = line.level.clone();
            (
                level,
                target,
                line.message.clone(),
                spans.cloned().unwrap_or_default(),
            )
        })
        .collect();
    heard
}

fn in_the_test_host(id: &str, script: &str) -> Heard {
    let mut heard = Heard::default();
    let steps = steps_of(script);
    let host = TestHost::new()
        .id(id)
        .timeout(std::time::Duration::from_millis(500));
    let host = host.settings(json!({ "script": steps }));
    let mut plugin: TestPlugin<FollowsAScript> = host.create().unwrap();
    for _ in &steps {
        let result = plugin.update();
        if matches!(
            &result,
            Err(CallError::Failed {
                recoverable: false,
                ..
            })
        ) {
            plugin.reset().unwrap();
        }
        heard.errors.push(match result {
            Ok(()) => String::new(),
            Err(CallError::Panicked {
                message, location, ..
            }) => {
                format!("panic: {message}, {}", place(&location))
            }
            Err(CallError::Failed {
                message,
                type_name,
                recoverable,
                ..
            }) => {
                let kind = if recoverable {
                    FaultKind::Failed
                } else {
                    FaultKind::Permanent
                };
                format!("{kind}, {type_name}: {message}")
            }
            Err(error) => error.to_string(),
        });
    }
    heard.shown = plugin.display().unwrap().as_text().unwrap().to_owned();
    let recording = plugin.recording();
    plugin.destroy().unwrap();
    let events = recording.published().into_iter();
    heard.events = events.map(|event| (event.name, event.payload)).collect();
    let lines = recording.log().into_iter();
    heard.lines = lines
        .map(|line| {
            let level = format!("{:?}", line.level).to_uppercase();
            (level, last_part(&line.target), line.message, line.spans)
        })
        .collect();
    heard
}

#[test]
fn a_plugin_says_and_does_the_same_in_the_test_host_as_in_an_engine() {
    let long = format!("publish {}", "x".repeat(65));
    let refused = format!(
        "publish state; publish Count; publish a/b; publish health.mine; {long}; publish refused"
    );
    for (id, script) in [
        (
            "speaks",
            "publish count; log a line; publish a.b-c_d; log \"quoted\" {braces}",
        ),
        ("is-refused", &*refused),
        ("asks", "ask; publish then; ask"),
        (
            "fails",
            "log before; fail no luck; log after; parse seven; parse 7",
        ),
        (
            "fails-for-good",
            "log before; fail-for-good no such port; log after",
        ),
        ("panics", "log before; panic oh; log after; fail then"),
    ] {
        let (engine, host) = (in_an_engine(id, script), in_the_test_host(id, script));
        assert_eq!(engine, host, "{script}");
        assert!(engine.lines.len() >= 2, "{engine:?}");
    }
}

#[test]
fn settings_that_an_engine_refuses_are_refused_by_the_test_host_too() {
    for (settings, object) in [
        ("script = 3", json!({ "script": 3 })),
        ("script = [1]", json!({ "script": [1] })),
        ("", json!({})),
        (
            "script = []\nscripts = []",
            json!({ "script": [], "scripts": [] }),
        ),
    ] {
        let rig = Rig::new();
        let settings = format!("[settings]\n{settings}\n");
        rig.drop_as("follows-a-script", "refused", &settings);
        let _ = rig.load_any();
        assert_eq!(rig.state("refused"), PluginState::Error, "{settings}");
        let error = rig.error("refused").unwrap();
        assert!(error.contains("PE0310"), "{error}");
        let refused = TestHost::new().settings(object).create::<FollowsAScript>();
        let refused = refused.unwrap_err();
        assert!(
            matches!(refused, CallError::SettingsRefused { .. }),
            "{refused}"
        );
    }
}

#[test]
fn a_reload_hands_over_the_same_state_in_both() {
    let script = ["log one", "log two", "log three"];
    let rig = Rig::new();
    let settings = format!("[settings]\nscript = {script:?}\n");
    rig.drop_as("follows-a-script", "handed-over", &settings);
    rig.load();
    let _ = rig.engine.run_cycle();
    rig.rebuild("follows-a-script", "handed-over");
    rig.engine.reload("handed-over").unwrap();
    let in_engine = rig.engine.display("handed-over").unwrap();

    let host = TestHost::new().settings(json!({ "script": script }));
    let mut plugin = host.create::<FollowsAScript>().unwrap();
    plugin.update().unwrap();
    let mut plugin = plugin.reload_as::<FollowsAScript>(&host).unwrap();
    assert_eq!(plugin.display().unwrap(), in_engine);
    assert_eq!(in_engine.as_text(), Some("2 steps"));
    let broken = SavedState {
        version: 1,
        bytes: b"two".to_vec(),
    };
    assert!(plugin.restore_state(&broken).unwrap_err().is_recoverable());
}
