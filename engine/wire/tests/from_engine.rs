//! What the engine says, as it is written. The order of the fields is part of it: people read these lines, too.

use std::sync::Arc;
use std::time::Duration;

use plugin_engine::{
    CallKind, Cause, Engine, EngineEnd, FaultKind, InFlightCall, PluginId, PluginState, WallTime,
    WhyInput, explain,
};
use plugin_engine_wire::{ErrorBody, Fault, Plugins, Snapshot, Task, Transition, Waiting, Why};

const AT: WallTime = WallTime::from_unix_nanos(1_767_225_600_123_456_789);

fn fault() -> plugin_engine::Fault {
    plugin_engine::Fault {
        kind: FaultKind::Timeout,
        message: "too \"slow\"".into(),
        type_name: "".into(),
        at: AT,
        call: Some(CallKind::Update),
        recoverable: true,
        consecutive: 2,
        location: "src/lib.rs:3:5".into(),
        backtrace: "".into(),
    }
}

#[test]
fn a_transition_has_the_promised_fields() {
    let entry = plugin_engine::Transition {
        seq: 7,
        at: AT,
        id: PluginId::new("hangs").unwrap(),
        generation: 1,
        version: Some("0.1.0".into()),
        from: PluginState::Running,
        to: PluginState::Enabled,
        cause: Cause::UpdateTimedOut,
        error: Some(Arc::new(fault())),
        duration: Some(Duration::from_nanos(500_100_900)),
    };
    assert_eq!(
        serde_json::to_string(&Transition::from(&entry)).unwrap(),
        concat!(
            r#"{"seq":7,"at":"2026-01-01T00:00:00.123456Z","id":"hangs","generation":1,"version":"0.1.0","#,
            r#""from":"Running","to":"Enabled","cause":"update_timed_out","#,
            r#""error":{"kind":"timeout","type":null,"message":"too \"slow\"","at":"2026-01-01T00:00:00.123456Z","#,
            r#""recoverable":true,"consecutive":2,"location":"src/lib.rs:3:5"},"duration_us":500100}"#,
        )
    );
}

#[test]
fn a_snapshot_has_the_promised_fields() {
    let engine = Engine::builder().build().unwrap();
    let mut snapshot = engine.snapshot("clock");
    snapshot.state = PluginState::Enabled;
    snapshot.error = Some(Arc::new(fault()));
    snapshot.last_update = Some(AT);
    snapshot.in_flight = Some(InFlightCall {
        call: CallKind::Update,
        since: AT,
        abandoned: true,
    });
    let plugins = Plugins {
        plugins: vec![Snapshot::new(&snapshot, None)],
    };
    assert_eq!(
        serde_json::to_string(&plugins).unwrap(),
        concat!(
            r#"{"plugins":[{"id":"clock","state":"Enabled","since":null,"#,
            r#""error":{"kind":"timeout","type":null,"message":"too \"slow\"","at":"2026-01-01T00:00:00.123456Z","#,
            r#""recoverable":true,"consecutive":2,"location":"src/lib.rs:3:5"},"#,
            r#""generation":0,"version":null,"file":null,"sha256":null,"interval_ms":0,"timeout_ms":0,"#,
            r#""last_update":"2026-01-01T00:00:00.123456Z","last_success":null,"last_display":null,"#,
            r#""last_progress":null,"next_update":null,"calls":0,"updates":0,"successes":0,"failures":0,"#,
            r#""timeouts":0,"panics":0,"late":0,"skipped":0,"#,
            r#""consecutive_failures":{"create":0,"update":0,"display":0},"#,
            r#""health":"unknown","health_reason":null,"breaker":"off","#,
            r#""in_flight":{"call":"update","since":"2026-01-01T00:00:00.123456Z","abandoned":true},"#,
            r#""history_len":0,"seq":0,"usage":null}]}"#,
        )
    );
}

#[test]
fn a_backtrace_is_shown_where_there_is_one() {
    let mut fault = fault();
    fault.backtrace = "0: a".into();
    let json = serde_json::to_value(Fault::from(&fault)).unwrap();
    assert_eq!(json["backtrace"], "0: a");
}

#[test]
fn an_error_of_the_engine_has_its_code_beside_its_message() {
    let error = Engine::builder()
        .build()
        .unwrap()
        .enable("clock")
        .unwrap_err();
    let body = ErrorBody::from(&error);
    assert_eq!(body.error.code.as_deref(), Some("PE0401"));
    assert_eq!(body.error.message, error.to_string());
}

#[test]
fn a_task_says_whose_it_is() {
    let engine = Engine::builder().build().unwrap();
    let task = engine
        .supervise("beats", |cx| {
            cx.record_progress();
            while !cx.is_cancelled() {
                std::thread::park_timeout(Duration::from_millis(1));
            }
        })
        .unwrap();
    let told: Vec<Task> = engine.liveness().iter().map(Task::from).collect();
    let beats = told.iter().find(|one| one.name == "beats").unwrap();
    assert!(!beats.ended && !beats.stale, "{beats:?}");
    assert_ne!(beats.kind, "engine");
    drop(task);
}

#[test]
fn why_has_its_lines_and_the_same_in_fields() {
    let entry = plugin_engine::Transition {
        seq: 7,
        at: AT,
        id: PluginId::new("hangs").unwrap(),
        generation: 3,
        version: Some("0.1.0".into()),
        from: PluginState::Running,
        to: PluginState::Enabled,
        cause: Cause::UpdateTimedOut,
        error: Some(Arc::new(fault())),
        duration: None,
    };
    let end = EngineEnd::Stopped { at: AT };
    let input = WhyInput::of_ended_engine("hangs", AT, end, vec![entry], 0, []);
    let why = explain(&input);
    let told = Why::from(&why);
    assert_eq!((&*told.id, &told.lines), ("hangs", &why.lines()));
    let json = serde_json::to_value(&told).unwrap();
    assert_eq!(json["state"], "Enabled");
    assert_eq!(json["generation"], 3);
    assert_eq!(json["engine"]["is"], "stopped");
    assert_eq!(json["engine"]["at"], "2026-01-01T00:00:00.123456Z");
    assert_eq!(json["error"]["kind"], "timeout");
    assert_eq!(json["steps"][0]["cause"], "update_timed_out");
    assert_eq!(json["next"]["kind"], "engine_start");
}

#[test]
fn a_plugin_that_is_waited_for_says_its_error() {
    let engine = Engine::builder().build().unwrap();
    let mut snapshot = engine.snapshot("clock");
    assert_eq!(Waiting::from(&snapshot).message, None);
    snapshot.error = Some(Arc::new(fault()));
    let waiting = Waiting::from(&snapshot);
    assert_eq!(waiting.message.as_deref(), Some("timeout: too \"slow\""));
    assert_eq!(waiting.state, "Unloaded");
}
