//! What becomes of a plugin's calls, by how they end.

use std::time::Duration;

use plugin_api::prelude::*;
use plugin_test_host::{
    Call, CallError, Clock, Level, Published, TestHost, TestPlugin, Then, When,
};
use serde_json::json;

#[derive(serde::Deserialize, plugin_api::schemars::JsonSchema)]
#[schemars(crate = "plugin_api::schemars")]
#[serde(deny_unknown_fields)]
struct Settings {
    /// What an update does.
    does: Does,
}

#[derive(serde::Deserialize, plugin_api::schemars::JsonSchema, Clone, Copy)]
#[schemars(crate = "plugin_api::schemars")]
#[serde(rename_all = "snake_case")]
enum Does {
    Speaks,
    Works,
    Fails,
    FailsForGood,
    Panics,
    ShowsTooMuch,
}

struct Obedient {
    does: Does,
    updates: u32,
}

impl Plugin for Obedient {
    fn create(cx: &CreateContext) -> Result<Self, PluginError> {
        let settings: Settings = cx.settings()?;
        tracing::debug!(id = cx.id(), "created");
        Ok(Self {
            does: settings.does,
            updates: 0,
        })
    }

    fn update(&mut self, cx: &UpdateContext) -> Result<(), PluginError> {
        self.updates += 1;
        match self.does {
            Does::Speaks => {
                let span = tracing::info_span!("round", number = self.updates);
                let _entered = span.enter();
                tracing::info!(updates = self.updates, "still here");
                cx.publish("updates", self.updates.to_string());
                cx.publish("state", "mine");
            }
            Does::Works => {
                for step in 0..10 {
                    if cx.is_cancelled() {
                        cx.publish("stopped", step.to_string());
                        return Err(PluginError::recoverable(format!("stopped at {step}"))
                            .retry_after(Duration::from_secs(2)));
                    }
                    cx.record_progress();
                }
            }
            Does::Fails => {
                "seven".parse::<u32>()?;
            }
            Does::FailsForGood => return Err(PluginError::permanent("no such port")),
            Does::Panics => panic!("update {} panics", self.updates),
            Does::ShowsTooMuch => {}
        }
        Ok(())
    }

    fn display(&mut self, _: &DisplayContext) -> Result<View, PluginError> {
        match self.does {
            Does::ShowsTooMuch => Ok(View::text("x".repeat(17 << 20))),
            _ => Ok(View::text(format!("{} updates", self.updates))),
        }
    }

    fn settings_schema() -> Option<String> {
        plugin_api::schema::<Settings>()
    }

    fn destroy(self) {
        tracing::info!("destroyed");
    }
}

fn obedient(does: &str) -> TestPlugin<Obedient> {
    let host = TestHost::new().id("obedient");
    host.settings(json!({ "does": does })).create().unwrap()
}

fn shown(plugin: &mut TestPlugin<Obedient>) -> String {
    plugin.display().unwrap().as_text().unwrap().to_owned()
}

#[test]
fn what_a_plugin_publishes_and_logs_is_heard_with_its_spans() {
    let mut plugin = obedient("speaks");
    plugin.update().unwrap();
    assert_eq!(
        plugin.published(),
        [Published {
            name: "updates".to_owned(),
            payload: "1".to_owned()
        }]
    );
    let log = plugin.log();
    let lines: Vec<_> = log
        .iter()
        .map(|line| (line.level, &*line.message))
        .collect();
    assert_eq!(lines[0], (Level::Debug, "created id=\"obedient\""));
    assert_eq!(lines[1], (Level::Info, "still here updates=1"));
    assert_eq!(log[1].spans, "round{number=1}");
    // A name of the engine's own is refused, and that is a warning.
    assert_eq!(lines[2].0, Level::Warn);
    assert!(lines[2].1.starts_with("event refused"), "{lines:?}");
    let recording = plugin.recording();
    plugin.destroy().unwrap();
    assert_eq!(recording.log().last().unwrap().message, "destroyed");
}

#[test]
fn a_cancelled_call_hears_of_it_at_its_next_question() {
    let mut plugin = obedient("works");
    plugin.in_next_call(When::Question(4), Then::Cancel);
    let error = plugin.update().unwrap_err();
    assert_eq!(error.message(), "stopped at 3");
    assert_eq!(error.retry_after(), Some(Duration::from_secs(2)));
    assert!(error.is_recoverable());
    assert_eq!(plugin.progress(), 3);
    // It was asked to return, and is still heard.
    assert_eq!(plugin.published().len(), 1);
    plugin.in_next_call(When::Progress(2), Then::Cancel);
    assert_eq!(plugin.update().unwrap_err().message(), "stopped at 2");
    plugin.update().unwrap();
    assert_eq!(plugin.progress(), 3 + 2 + 10);
}

#[test]
fn what_was_planned_for_a_moment_that_never_came_is_told() {
    let mut plugin = obedient("works");
    plugin.in_next_call(When::Question(10), Then::Cancel);
    assert_eq!(plugin.update().unwrap_err().message(), "stopped at 9");
    assert!(plugin.unreached().is_empty());
    plugin.in_next_call(When::Question(11), Then::Cancel);
    plugin.update().unwrap();
    assert_eq!(plugin.unreached(), [(When::Question(11), Then::Cancel)]);
    // It was for that call only.
    plugin.update().unwrap();
    assert!(plugin.unreached().is_empty());
}

#[test]
fn what_a_call_says_and_returns_after_its_deadline_is_discarded_and_the_instance_goes_on() {
    let mut plugin = obedient("works");
    plugin.in_next_call(When::Progress(3), Then::PassDeadline);
    let error = plugin.update().unwrap_err();
    let CallError::TimedOut { call, late, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(*call, Call::Update);
    assert_eq!(late.as_ref().unwrap().message(), "stopped at 3");
    assert_eq!((plugin.published(), plugin.progress()), (vec![], 3));
    plugin.update().unwrap();
    assert_eq!(
        (plugin.created(), shown(&mut plugin)),
        (1, "2 updates".to_owned())
    );
}

#[test]
fn time_left_is_read_from_the_clock_of_the_host() {
    struct Reads;
    impl Plugin for Reads {
        fn create(cx: &CreateContext) -> Result<Self, PluginError> {
            assert_eq!(cx.time_left(), Duration::from_secs(5));
            Ok(Self)
        }
        fn update(&mut self, cx: &UpdateContext) -> Result<(), PluginError> {
            cx.record_progress();
            cx.publish("left", format!("{:?}", cx.time_left()));
            Ok(())
        }
    }
    let clock = Clock::manual();
    let host = TestHost::new().timeout(Duration::from_secs(5));
    let mut plugin = host.clock(clock.clone()).create::<Reads>().unwrap();
    clock.advance(Duration::from_secs(60));
    plugin.update().unwrap();
    plugin.in_next_call(When::Progress(1), Then::Advance(Duration::from_secs(2)));
    plugin.update().unwrap();
    let left: Vec<_> = plugin
        .published()
        .into_iter()
        .map(|event| event.payload)
        .collect();
    assert_eq!(left, ["5s", "3s"]);
    assert_eq!(clock.elapsed(), Duration::from_secs(62));
}

#[test]
fn an_instance_that_has_panicked_is_destroyed_and_created_anew_before_the_next_call() {
    let mut plugin = obedient("panics");
    let error = plugin.update().unwrap_err();
    assert_eq!(error.message(), "update 1 panics");
    let text = error.to_string();
    assert!(
        error.is_panic() && text.contains("tests/calls.rs:"),
        "{text}"
    );
    assert!(plugin.is_poisoned());
    assert_eq!(plugin.created(), 1);
    // To show it takes a new instance, which has made no update.
    assert_eq!(shown(&mut plugin), "0 updates");
    assert!(!plugin.is_poisoned());
    assert_eq!(plugin.created(), 2);
    let destroyed = plugin
        .log()
        .iter()
        .filter(|line| line.message == "destroyed")
        .count();
    assert_eq!(destroyed, 1);
    assert_eq!(plugin.update().unwrap_err().message(), "update 1 panics");
}

#[test]
fn a_failed_update_names_the_type_of_its_error_and_the_instance_goes_on() {
    let mut plugin = obedient("fails");
    let CallError::Failed {
        type_name,
        recoverable,
        message,
        ..
    } = plugin.update().unwrap_err()
    else {
        panic!("it failed otherwise");
    };
    assert_eq!(type_name, "core::num::error::ParseIntError");
    assert_eq!(
        (message.as_str(), recoverable),
        ("invalid digit found in string", true)
    );
    assert_eq!(shown(&mut plugin), "1 updates");
}

#[test]
fn after_a_permanent_failure_there_is_no_instance_until_a_reset() {
    let mut plugin = obedient("fails_for_good");
    let error = plugin.update().unwrap_err();
    assert!(!error.is_recoverable());
    assert_eq!(plugin.log().last().unwrap().message, "destroyed");
    let call = Call::Update;
    assert_eq!(plugin.update().unwrap_err(), CallError::NoInstance { call });
    plugin.reset().unwrap();
    assert_eq!(shown(&mut plugin), "0 updates");
}

#[test]
fn settings_that_violate_the_schema_do_not_reach_the_plugin() {
    let create = |settings| TestHost::new().settings(settings).create::<Obedient>();
    let error = create(json!({ "does": "speaks", "loud": true })).unwrap_err();
    let CallError::SettingsRefused { violations } = &error else {
        panic!("{error}");
    };
    assert!(violations[0].contains("loud"), "{violations:?}");
    let error = create(json!([1, 2])).unwrap_err().to_string();
    assert!(error.ends_with("the test gives [1,2]"), "{error}");
}

#[test]
fn settings_that_do_not_fit_the_type_are_named_by_key() {
    #[derive(serde::Deserialize)]
    struct Outer {
        inner: Inner,
    }
    #[derive(serde::Deserialize)]
    struct Inner {
        port: u16,
    }
    struct Listens;
    impl Plugin for Listens {
        fn create(cx: &CreateContext) -> Result<Self, PluginError> {
            let outer: Outer = cx
                .settings()
                .map_err(|error| PluginError::from(error).into_permanent())?;
            assert_ne!(outer.inner.port, 0);
            Ok(Self)
        }
        fn update(&mut self, _: &UpdateContext) -> Result<(), PluginError> {
            Ok(())
        }
    }
    let host = TestHost::new().settings(json!({ "inner": { "port": "http" } }));
    let error = host.create::<Listens>().unwrap_err();
    assert_eq!(
        error.message(),
        "settings.inner.port: invalid type: string \"http\", expected u16"
    );
    assert!(!error.is_recoverable());
}

#[test]
fn a_view_that_no_engine_takes_breaks_the_contract() {
    let mut plugin = obedient("shows_too_much");
    let error = plugin.display().unwrap_err().to_string();
    assert_eq!(
        error,
        "display broke the contract: the view is larger than 16 MiB"
    );
}

#[test]
fn a_failed_assertion_of_the_test_itself_goes_to_the_hook_that_was_there() {
    static TOLD: std::sync::Mutex<Vec<String>> = std::sync::Mutex::new(Vec::new());
    // In a process of its own: the hook is one for all.
    if std::env::var_os("ALONE").is_none() {
        let test = "a_failed_assertion_of_the_test_itself_goes_to_the_hook_that_was_there";
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test])
            .env("ALONE", "1")
            .status();
        assert!(status.unwrap().success());
        return;
    }
    std::panic::set_hook(Box::new(|info| {
        TOLD.lock()
            .unwrap()
            .push(info.payload_as_str().unwrap_or_default().to_owned());
    }));
    obedient("panics").update().unwrap_err();
    std::panic::catch_unwind(|| panic!("an assertion")).unwrap_err();
    assert_eq!(*TOLD.lock().unwrap(), ["an assertion"]);
}
