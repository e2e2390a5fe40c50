//! An engine within a program: runtimes, runs, subscriptions, configuration.

use std::time::Duration;

use plugin_engine::{Event, LoadOutcome, PluginState, Subscription};
use plugin_engine_tests::{Rig, wait_for};

fn noop() -> Rig {
    let rig = Rig::new();
    rig.drop_in("noop");
    rig.load();
    rig
}

/// Calls every method that waits.
fn use_it(rig: &Rig) {
    let engine = &rig.engine;
    assert_eq!(engine.run_cycle().completed, 1);
    engine.update("noop").unwrap();
    engine.display("noop").unwrap();
    engine.disable("noop").unwrap();
    engine.enable("noop").unwrap();
    engine.reset("noop").unwrap();
    engine.unload("noop").unwrap();
    engine.load("noop").unwrap();
    assert!(engine.load_all().iter().all(LoadOutcome::is_good));
    engine.shutdown(Duration::from_secs(5)).unwrap();
}

#[test]
fn every_method_can_be_called_inside_a_runtime_of_one_thread() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async { use_it(&noop()) });
}

#[test]
fn every_method_can_be_called_inside_a_runtime_of_many_threads() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    runtime.block_on(async {
        tokio::spawn(async { use_it(&noop()) }).await.unwrap();
    });
    // Also where the engine is dropped there.
    runtime.block_on(async { drop(noop()) });
}

#[test]
fn a_run_is_a_future_and_dropping_it_stops_it_and_no_other() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let rig = noop();
    std::thread::scope(|scope| {
        let other = scope.spawn(|| rig.engine.run());
        runtime.block_on(async {
            let run = tokio::time::timeout(Duration::from_millis(20), rig.engine.run_async());
            run.await.unwrap_err();
        });
        let updates = rig.snapshot("noop").counts.updates;
        rig.advance(1_000);
        wait_for("the other run", || {
            rig.snapshot("noop").counts.updates > updates
        });
        assert!(!other.is_finished());
        rig.engine.stop();
        other.join().unwrap();
    });
    let updates = rig.snapshot("noop").counts.updates;
    rig.advance(5_000);
    assert_eq!(rig.snapshot("noop").counts.updates, updates);
}

#[test]
fn a_run_as_a_future_ends_with_a_stop() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let rig = noop();
    std::thread::scope(|scope| {
        let run = scope.spawn(|| runtime.block_on(rig.engine.run_async()));
        wait_for("the run to begin", || {
            rig.snapshot("noop").counts.updates > 0
        });
        rig.engine.stop();
        run.join().unwrap().unwrap();
    });
}

fn all(events: &Subscription) -> Vec<Event> {
    std::iter::from_fn(|| events.try_next()).collect()
}

#[test]
fn a_subscription_begins_with_the_present_states() {
    let rig = noop();
    rig.drop_as("fails-permanently", "p", "[settings]\non_update = 1\n");
    rig.load();
    rig.engine.update("p").unwrap_err();
    let events = rig.engine.subscribe("plugin.*.state");
    let said: Vec<_> = all(&events)
        .into_iter()
        .map(|event| (event.topic.to_string(), event.payload.to_string()))
        .collect();
    assert_eq!(
        said,
        [
            ("plugin.noop.state".to_owned(), "Enabled".to_owned()),
            (
                "plugin.p.state".to_owned(),
                "Error permanent: update 1 fails for good, as asked".to_owned()
            ),
        ]
    );
    rig.engine.disable("noop").unwrap();
    let said = all(&events);
    assert_eq!((said.len(), &*said[0].payload), (1, "Disabled"));
}

#[test]
fn what_a_plugin_publishes_reaches_those_who_want_it() {
    let rig = Rig::new();
    rig.drop_as("publishes", "p", "[settings]\nburst = 5\n");
    rig.load();
    let (wanted, other) = (
        rig.engine.subscribe("plugin.p.tick"),
        rig.engine.subscribe("plugin.q.**"),
    );
    let _ = rig.engine.run_cycle();
    let said = all(&wanted);
    let payloads: Vec<_> = said.iter().map(|event| event.payload.to_string()).collect();
    assert_eq!(payloads, ["1", "2", "3", "4", "5"]);
    assert!(said.iter().all(|event| &*event.topic == "plugin.p.tick"));
    assert!(said.is_sorted_by(|one, other| one.seq < other.seq));
    assert_eq!(all(&other), []);
}

#[test]
fn a_name_that_belongs_to_the_engine_is_refused_to_a_plugin() {
    for name in ["state", "unhealthy", "unhealthy.now", "Big", ""] {
        let rig = Rig::new();
        rig.drop_as(
            "publishes",
            "p",
            &format!("[settings]\nname = \"{name}\"\n"),
        );
        rig.load();
        let events = rig.engine.subscribe("**");
        let _ = all(&events);
        assert_eq!(rig.engine.run_cycle().completed, 1);
        let said = all(&events);
        let of_the_plugin = |event: &&Event| &*event.topic != "plugin.p.health";
        assert_eq!(said.iter().find(of_the_plugin), None, "{name}");
    }
}

#[test]
fn a_plugin_that_is_switched_off_by_its_configuration_is_loaded_and_not_called() {
    let rig = Rig::new();
    rig.drop_as("noop", "off", "enabled = false\n");
    rig.load();
    assert_eq!(rig.state("off"), PluginState::Disabled);
    assert_eq!(rig.engine.run_cycle().due, 0);
    assert_eq!(rig.snapshot("off").counts.calls, 0);
    rig.engine.enable("off").unwrap();
    assert_eq!(rig.engine.run_cycle().completed, 1);
}

#[test]
fn a_file_is_loaded_from_anywhere_and_only_once() {
    let rig = Rig::new();
    let elsewhere = Rig::new();
    elsewhere.drop_as("noop", "there", "");
    let file = elsewhere.dir().join("there.so");
    let outcomes = rig.engine.load_file(&file).unwrap();
    assert!(
        matches!(outcomes[..], [LoadOutcome::Enabled { .. }]),
        "{outcomes:?}"
    );
    let outcomes = rig.engine.load_file(&file).unwrap();
    assert!(
        matches!(outcomes[..], [LoadOutcome::AlreadyLoaded { .. }]),
        "{outcomes:?}"
    );
    assert_eq!(rig.snapshot("there").generation, 1);
}

#[test]
fn a_bad_configuration_is_named_with_its_line_and_keeps_no_other_from_starting() {
    let rig = Rig::new();
    rig.drop_in("noop");
    rig.drop_as("noop", "b", "interval = \"0s\"\n");
    let said: Vec<_> = rig.load_any().iter().map(ToString::to_string).collect();
    assert!(
        said.iter().any(|said| said.contains("b.toml:2:12:")),
        "{said:?}"
    );
    assert_eq!(rig.state("noop"), PluginState::Enabled);
    assert_eq!(rig.state("b"), PluginState::Unloaded);
}
