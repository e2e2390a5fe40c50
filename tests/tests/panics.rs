//! A panic is caught inside the plugin file, recorded with message and place, and costs that plugin one instance.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};

use plugin_engine::{CallKind, Cause, Error, Fault, FaultKind, PluginState, Transition};
use plugin_engine_tests::{Gate, Rig, on_line};

/// A rig with one plugin, loaded well.
fn rig(name: &str, settings: &str) -> Rig {
    let rig = Rig::new();
    rig.drop_as(name, "p", settings);
    rig.load();
    rig
}

fn fault(entry: &Transition) -> &Fault {
    entry.error.as_deref().expect("the entry has an error")
}

/// The only entry of this cause.
fn only(rig: &Rig, cause: Cause) -> Transition {
    let mut found: Vec<_> = rig.engine.history("p").cause(cause).into_iter().collect();
    assert_eq!(found.len(), 1, "{found:#?}");
    found.remove(0)
}

#[test]
fn a_panic_in_an_update_is_caught_and_recorded_with_message_and_place() {
    let rig = rig("panics", "");
    assert_eq!(rig.engine.run_cycle().panicked, 1);
    let snapshot = rig.snapshot("p");
    assert_eq!(snapshot.state, PluginState::Enabled);
    let error = snapshot.error.unwrap();
    assert_eq!(
        (error.kind, error.call),
        (FaultKind::Panic, Some(CallKind::Update))
    );
    assert_eq!(&*error.message, "the fixture panics as asked");
    let place = error.location.split(':').collect::<Vec<_>>();
    assert!(place[0].ends_with("panics/src/lib.rs"), "{place:?}");
    assert!(
        place[1..]
            .iter()
            .all(|number| number.parse::<u32>().is_ok()),
        "{place:?}"
    );
    assert_eq!((snapshot.counts.panics, snapshot.counts.failures), (1, 0));
}

#[test]
fn the_next_update_is_made_by_a_new_instance_one_interval_later() {
    let rig = rig("panics", "[settings]\nevery = 2\n");
    let _ = rig.engine.run_cycle();
    rig.advance(1_000);
    assert_eq!(rig.engine.run_cycle().panicked, 1);
    rig.advance(999);
    assert_eq!(rig.engine.run_cycle().due, 0);
    rig.advance(1);
    assert_eq!(rig.engine.run_cycle().completed, 1);
    assert_eq!(
        rig.causes("p")[4..],
        [
            Cause::UpdateStarted,
            Cause::UpdatePanicked,
            Cause::CreatedAnew,
            Cause::UpdateStarted,
            Cause::UpdateCompleted
        ]
    );
    assert_eq!(rig.error("p"), None);
    assert_eq!(rig.engine.display("p").unwrap().as_text(), Some("2"));
}

#[test]
fn nobody_ever_sees_a_half_changed_instance() {
    let rig = rig("panics", "[settings]\nevery = 2\n");
    rig.engine.update("p").unwrap();
    rig.engine.update("p").unwrap_err();
    // The old instance counts three halves; a new one none.
    assert_eq!(rig.engine.display("p").unwrap().as_text(), Some("0"));
}

#[test]
fn an_instance_that_panics_in_display_is_made_anew_before_the_next_call() {
    let rig = rig("panics-in-display", "");
    rig.engine.display("p").unwrap_err();
    assert_eq!(
        fault(&only(&rig, Cause::DisplayFailed)).kind,
        FaultKind::Panic
    );
    assert_eq!(rig.engine.run_cycle().completed, 1);
    only(&rig, Cause::CreatedAnew);
    assert_eq!(rig.state("p"), PluginState::Enabled);
}

#[test]
fn a_panic_in_create_is_the_state_error_and_an_enable_tries_again() {
    let rig = Rig::new();
    rig.drop_as(
        "panics-in-create",
        "p",
        "interval = \"7s\"\n[settings]\nfirst = 1\n",
    );
    assert!(!rig.load_any()[0].is_good());
    let snapshot = rig.snapshot("p");
    assert_eq!(snapshot.state, PluginState::Error);
    let error = snapshot.error.unwrap();
    assert_eq!(
        (error.kind, error.call),
        (FaultKind::Panic, Some(CallKind::Create))
    );
    assert!(error.message.contains("panics in create") && !error.location.is_empty());
    rig.engine.enable("p").unwrap();
    assert_eq!(
        (rig.state("p"), rig.error("p")),
        (PluginState::Enabled, None)
    );
}

#[test]
fn a_panic_in_destroy_is_recorded_and_the_command_is_done_all_the_same() {
    for command in ["disable", "unload", "reset"] {
        let rig = rig("panics-in-destroy", "");
        match command {
            "disable" => rig.engine.disable("p").unwrap(),
            "unload" => rig.engine.unload("p").unwrap(),
            _ => rig.engine.reset("p").unwrap(),
        }
        let entry = only(&rig, Cause::DestroyFailed);
        assert_eq!(entry.from, entry.to);
        assert_eq!(fault(&entry).call, Some(CallKind::Destroy));
        let expected = match command {
            "disable" => PluginState::Disabled,
            "unload" => PluginState::Unloaded,
            _ => PluginState::Enabled,
        };
        assert_eq!((rig.state("p"), rig.error("p")), (expected, None));
    }
}

#[test]
fn a_payload_whose_drop_panics_is_one_panic_and_takes_nobody_along() {
    let rig = rig("drop-panics", "");
    rig.engine.update("p").unwrap_err();
    let error = rig.snapshot("p").error.unwrap();
    assert_eq!(&*error.message, "a panic whose payload is no text");
    assert_eq!(rig.snapshot("p").counts.panics, 1);
    rig.advance(1_000);
    assert_eq!(rig.engine.run_cycle().panicked, 1);
}

#[test]
fn a_panic_on_a_thread_of_the_plugin_is_counted_and_recorded_and_fails_no_call() {
    let rig = rig("thread-panics", "");
    assert_eq!(rig.engine.run_cycle().completed, 1);
    let entry = only(&rig, Cause::ThreadPanicked);
    assert_eq!(
        (fault(&entry).kind, fault(&entry).call),
        (FaultKind::ThreadPanic, None)
    );
    assert!(fault(&entry).message.contains("thread panics as asked"));
    assert_eq!(rig.snapshot("p").counts.panics, 1);
    // The instance is not the one that panicked, so it goes on.
    rig.advance(1_000);
    assert_eq!(rig.engine.run_cycle().completed, 1);
    assert!(
        rig.engine
            .history("p")
            .cause(Cause::CreatedAnew)
            .into_iter()
            .next()
            .is_none()
    );
}

#[test]
fn a_panic_touches_no_neighbour_not_even_one_of_the_same_file() {
    let rig = Rig::new();
    rig.drop_as("panics", "bad", "on_unhealthy = \"none\"\n");
    rig.drop_as("panics", "twin", "[settings]\nevery = 0\n");
    rig.drop_as("noop", "other", "");
    rig.load();
    for _ in 0..5 {
        let report = rig.engine.run_cycle();
        assert_eq!((report.panicked, report.completed), (1, 2));
        rig.advance(1_000);
    }
    assert_eq!(rig.engine.display("twin").unwrap().as_text(), Some("10"));
    for id in ["twin", "other"] {
        let counts = rig.snapshot(id).counts;
        assert_eq!((counts.updates, counts.panics, counts.skipped), (5, 0, 0));
    }
}

#[test]
fn an_instance_that_cannot_be_made_anew_is_an_error_and_tried_again_with_back_off() {
    let gate = Gate::new();
    let rig = Rig::new();
    let config = gate.settings("then = \"panic\"\ncreates = 1\n");
    rig.drop_as("gated", "p", &config);
    rig.load();
    gate.open_all();
    assert_eq!(rig.engine.run_cycle().panicked, 1);
    rig.advance(1_000);
    assert_eq!(rig.engine.run_cycle().failed, 1);
    let snapshot = rig.snapshot("p");
    assert_eq!(snapshot.state, PluginState::Error);
    assert_eq!(snapshot.error.unwrap().call, Some(CallKind::Create));
    only(&rig, Cause::CreateFailed);
    assert!(snapshot.next_update.is_some());
}

#[test]
fn a_backtrace_is_there_only_when_asked_for() {
    for wanted in [false, true] {
        let rig = Rig::with(|builder| builder.backtraces(wanted));
        rig.drop_as("panics", "p", "");
        rig.load();
        let error = rig.engine.update("p").unwrap_err();
        let Error::Fault { fault, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(!fault.backtrace.is_empty(), wanted, "{}", fault.backtrace);
        assert!(fault.backtrace.len() <= 8_192);
    }
}

#[test]
fn panics_in_a_row_are_counted_until_a_success() {
    let rig = rig("panics", "on_unhealthy = \"none\"\n");
    for n in 1..=5 {
        assert_eq!(rig.engine.run_cycle().panicked, 1);
        assert_eq!(rig.snapshot("p").error.unwrap().consecutive, n);
        assert_eq!(rig.state("p"), PluginState::Enabled);
        rig.advance(1_000);
    }
}

#[test]
fn a_reset_while_an_instance_is_made_anew_leaves_one_instance_and_loses_none() {
    let gate = Gate::new();
    let rig = Rig::new();
    let config = gate.settings("then = \"panic\"\npanics_in_destroy = true\n");
    rig.drop_as("gated", "anew", &config);
    rig.load();
    gate.open_all();
    assert_eq!(rig.engine.run_cycle().panicked, 1);
    // The worker says that the destroy failed, and is held up before it creates.
    let (arrived, go_on) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let once = AtomicBool::new(false);
    let barriers = (Arc::clone(&arrived), Arc::clone(&go_on));
    on_line("anew", move |line| {
        let destroyed = line
            .fields
            .get("cause")
            .is_some_and(|cause| cause == "destroy_failed");
        if destroyed && !once.swap(true, Ordering::SeqCst) {
            barriers.0.wait();
            barriers.1.wait();
        }
    });
    rig.advance(1_000);
    let cycle = rig.engine.start_cycle();
    arrived.wait();
    rig.engine.reset("anew").unwrap();
    go_on.wait();
    let _ = cycle.wait();
    let causes = rig.causes("anew");
    assert_eq!(
        causes
            .iter()
            .filter(|cause| **cause == Cause::Reset)
            .count(),
        1
    );
    assert!(!causes.contains(&Cause::CreatedAnew), "{causes:?}");
    let counts = rig.snapshot("anew").counts;
    // Two creates, two updates, one destroy.
    assert_eq!((counts.calls, counts.updates), (5, 2), "{causes:?}");
}
