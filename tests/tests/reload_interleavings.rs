//! Reloads that meet something else on the way. Each test forces the meeting with a gate.

use std::thread;
use std::time::Duration;

use plugin_engine::{Cause, Engine, Error, LoadOutcome, PluginState, ReloadError};
use plugin_engine_tests::{Gate, Rig, await_late, gated, threads_of, time_out, wait_for};

/// A reload of the plugin `a` on a thread of its own.
fn reload(engine: &Engine) -> thread::JoinHandle<Result<LoadOutcome, Error>> {
    let engine = engine.clone();
    thread::spawn(move || engine.reload("a"))
}

fn took(outcome: &Result<LoadOutcome, Error>, wanted: u32) {
    match outcome {
        Ok(LoadOutcome::Reloaded { generation, .. }) => assert_eq!(*generation, wanted),
        other => panic!("{other:?}"),
    }
}

/// What the next instance is told: it stands in this gate, in its create.
fn next_stands_in_create(rig: &Rig, gate: &Gate, more: &str, settings: &str) {
    let settings = gate.settings(&format!("in_call = \"create\"\n{settings}"));
    rig.configure("a", &format!("{more}\n{settings}"));
}

#[test]
fn a_reload_during_a_call_switches_when_the_call_has_ended_and_the_result_counts() {
    let (old, new) = (Gate::new(), Gate::new());
    let rig = gated(&old, "a", "");
    let cycle = rig.engine.start_cycle();
    old.await_entry(1);
    next_stands_in_create(&rig, &new, "", "");
    let reloading = reload(&rig.engine);
    new.await_entry(1);
    new.open_all();
    new.await_exit(1);
    assert_eq!(rig.state("a"), PluginState::Running);
    assert_eq!(rig.snapshot("a").generation, 1);
    old.open_all();
    assert_eq!(cycle.wait().completed, 1);
    took(&reloading.join().unwrap(), 2);
    let causes = rig.causes("a");
    assert_eq!(
        causes[causes.len() - 2..],
        [Cause::UpdateCompleted, Cause::Reloaded]
    );
    assert_eq!(rig.snapshot("a").counts.skipped, 0);
}

#[test]
fn a_reload_beside_a_stuck_call_takes_over_at_once_and_the_late_return_is_discarded() {
    let gate = Gate::new();
    let rig = gated(&gate, "a", "");
    time_out(&rig, &gate, 1);
    rig.rebuild("noop", "a");
    rig.configure("a", "");
    took(&rig.engine.reload("a"), 2);
    assert_eq!(rig.error("a"), None);
    rig.advance(1_000);
    assert_eq!(rig.engine.run_cycle().completed, 1);
    gate.open_all();
    await_late(&rig, "a", 1);
    let snapshot = rig.snapshot("a");
    assert_eq!(snapshot.state, PluginState::Enabled);
    // The first create, and the update after the reload: what a replacement does before it takes over is not the plugin's.
    assert_eq!((snapshot.counts.successes, snapshot.generation), (2, 2));
    rig.advance(1_000);
    assert_eq!(rig.engine.run_cycle().completed, 1);
}

#[test]
fn two_reloads_of_one_plugin_come_one_after_the_other() {
    let (old, new) = (Gate::new(), Gate::new());
    let rig = gated(&old, "a", "in_call = \"display\"");
    next_stands_in_create(&rig, &new, "", "");
    let first = reload(&rig.engine);
    new.await_entry(1);
    let second = reload(&rig.engine);
    assert!(!new.has_entered(2));
    new.open_all();
    took(&first.join().unwrap(), 2);
    let second = second.join().unwrap();
    assert!(
        matches!(second, Ok(LoadOutcome::AlreadyLoaded { .. })),
        "{second:?}"
    );
    assert!(!new.has_entered(2));
}

#[test]
fn updates_go_on_while_a_replacement_is_being_created() {
    let (old, new) = (Gate::new(), Gate::new());
    let rig = gated(&old, "a", "in_call = \"display\"");
    assert_eq!(rig.engine.run_cycle().completed, 1);
    next_stands_in_create(&rig, &new, "", "");
    let reloading = reload(&rig.engine);
    new.await_entry(1);
    for _ in 0..10 {
        rig.advance(1_000);
        assert_eq!(rig.engine.run_cycle().completed, 1);
    }
    new.open_all();
    took(&reloading.join().unwrap(), 2);
    assert_eq!(rig.snapshot("a").counts.skipped, 0);
}

#[test]
fn an_update_that_comes_due_while_updates_are_held_back_is_made_after_the_reload() {
    let (old, new) = (Gate::new(), Gate::new());
    let rig = gated(&old, "a", "in_call = \"display\"");
    assert_eq!(rig.engine.run_cycle().completed, 1);
    next_stands_in_create(&rig, &new, "reload = \"stop-first\"", "");
    let reloading = reload(&rig.engine);
    new.await_entry(1);
    // The old instance is gone and the new one is not there yet.
    rig.advance(1_000);
    assert_eq!(rig.engine.run_cycle().completed, 0);
    new.open_all();
    took(&reloading.join().unwrap(), 2);
    assert_eq!(rig.engine.run_cycle().completed, 1);
    assert_eq!(rig.snapshot("a").counts.skipped, 0);
}

#[test]
fn a_shutdown_during_a_reload_ends_within_its_budget_and_names_what_does_not_return() {
    let (old, new) = (Gate::new(), Gate::new());
    let rig = gated(&old, "a", "in_call = \"display\"");
    next_stands_in_create(&rig, &new, "", "");
    let reloading = reload(&rig.engine);
    new.await_entry(1);
    rig.engine.shutdown(Duration::from_millis(200)).unwrap();
    let refused = reloading.join().unwrap();
    assert!(matches!(refused, Err(Error::ShutDown)), "{refused:?}");
    assert_eq!(rig.state("a"), PluginState::Unloaded);
    let stuck = rig.engine.stuck_calls();
    assert_eq!(stuck.len(), 1);
    assert_eq!(
        (stuck[0].id.as_str(), stuck[0].call.name()),
        ("a", "create")
    );
    new.open_all();
    wait_for("the late create", || rig.engine.stuck_calls().is_empty());
    assert_eq!(rig.state("a"), PluginState::Unloaded);
}

#[test]
fn a_replacement_that_listens_is_not_waited_for_at_a_shutdown() {
    let (old, new) = (Gate::new(), Gate::new());
    let rig = gated(&old, "a", "in_call = \"display\"");
    next_stands_in_create(&rig, &new, "", "obeys_cancel = true");
    let reloading = reload(&rig.engine);
    new.await_entry(1);
    rig.engine.shutdown(Duration::from_secs(60)).unwrap();
    let refused = reloading.join().unwrap();
    assert!(matches!(refused, Err(Error::ShutDown)), "{refused:?}");
    assert!(rig.engine.stuck_calls().is_empty());
}

#[test]
fn a_file_that_is_replaced_again_half_way_takes_over_as_it_was_when_it_was_read() {
    let (old, new) = (Gate::new(), Gate::new());
    let rig = gated(&old, "a", "in_call = \"display\"");
    let first = rig.snapshot("a").sha256().unwrap().to_owned();
    rig.rebuild("gated", "a");
    next_stands_in_create(&rig, &new, "", "");
    let reloading = reload(&rig.engine);
    new.await_entry(1);
    rig.rebuild("gated", "a");
    std::fs::copy(rig.dir().join("a.so"), rig.dir().join("third")).unwrap();
    new.open_all();
    took(&reloading.join().unwrap(), 2);
    let second = rig.snapshot("a").sha256().unwrap().to_owned();
    took(&rig.engine.reload("a"), 3);
    let third = rig.snapshot("a").sha256().unwrap().to_owned();
    assert!(first != second && second != third);
}

#[test]
fn what_is_switched_off_while_its_replacement_is_created_stays_off_with_the_new_code() {
    let (old, new) = (Gate::new(), Gate::new());
    let rig = gated(&old, "a", "in_call = \"display\"");
    next_stands_in_create(&rig, &new, "", "");
    let reloading = reload(&rig.engine);
    new.await_entry(1);
    rig.engine.disable("a").expect("it need not wait");
    assert_eq!(rig.state("a"), PluginState::Disabled);
    new.open_all();
    let outcome = reloading.join().unwrap();
    took(&outcome, 2);
    assert_eq!(rig.state("a"), PluginState::Disabled);
    rig.engine.enable("a").expect("the new code is good");
    assert!(
        new.has_entered(2),
        "the instance is one of the new settings"
    );
}

#[test]
fn what_is_unloaded_while_its_replacement_is_created_stays_unloaded() {
    let (old, new) = (Gate::new(), Gate::new());
    let rig = gated(&old, "a", "in_call = \"display\"");
    next_stands_in_create(&rig, &new, "", "");
    let reloading = reload(&rig.engine);
    new.await_entry(1);
    rig.engine.unload("a").expect("it need not wait");
    new.open_all();
    let refused = reloading.join().unwrap();
    assert!(
        matches!(
            refused,
            Err(Error::ReloadRefused {
                source: ReloadError::Overtaken,
                ..
            })
        ),
        "{refused:?}"
    );
    assert_eq!(rig.state("a"), PluginState::Unloaded);
    assert_eq!(rig.causes("a").last(), Some(&Cause::ReloadRefused));
}

#[test]
fn a_replacement_whose_create_hangs_is_given_up_at_its_deadline_and_cleans_up_when_it_returns() {
    let (old, new) = (Gate::new(), Gate::new());
    let rig = gated(&old, "a", "in_call = \"display\"");
    next_stands_in_create(&rig, &new, "", "talks = true");
    let heard = rig.engine.subscribe("plugin.a.late");
    for n in 1..=3 {
        let reloading = reload(&rig.engine);
        new.await_entry(n);
        rig.advance(30_000);
        let refused = reloading.join().unwrap().unwrap_err();
        assert_eq!(refused.code(), "PE0532", "{refused}");
        assert!(refused.to_string().contains("timeout: "), "{refused}");
        assert_eq!(rig.engine.run_cycle().completed, 1);
    }
    let crowded = rig.engine.reload("a").unwrap_err();
    assert_eq!(crowded.code(), "PE0535", "{crowded}");
    assert_eq!(rig.engine.stuck_calls().len(), 3);
    new.open_all();
    wait_for("the late creates", || rig.engine.stuck_calls().is_empty());
    assert_eq!(heard.try_next(), None, "nobody listens to them");
    took(&rig.engine.reload("a"), 2);
}

#[test]
fn an_old_instance_whose_destroy_hangs_holds_nothing_up_but_its_own_end() {
    let gate = Gate::new();
    let rig = gated(&gate, "a", "in_call = \"destroy\"");
    rig.rebuild("noop", "a");
    rig.configure("a", "");
    let reloading = reload(&rig.engine);
    gate.await_entry(1);
    // The new instance is called while the old one is being destroyed.
    assert_eq!(rig.engine.run_cycle().completed, 1);
    rig.advance(5_000);
    took(&reloading.join().unwrap(), 2);
    let entry = rig.history("a").pop().unwrap();
    assert_eq!(entry.cause, Cause::DestroyFailed);
    assert_eq!(rig.error("a"), None);
    gate.open_all();
    wait_for("the late destroy", || rig.engine.stuck_calls().is_empty());
}

#[test]
fn a_good_build_is_not_rolled_back_for_the_failures_of_the_one_before_it() {
    let (old, new) = (Gate::new(), Gate::new());
    let rig = gated(&old, "a", "in_call = \"display\"");
    let probation = "probation = \"60s\"\ntrial_update = false\n";
    rig.rebuild("keeps-state", "a");
    rig.configure(
        "a",
        &format!("{probation}[settings]\nfails_in = \"update\""),
    );
    took(&rig.engine.reload("a"), 2);
    rig.rebuild("gated", "a");
    next_stands_in_create(&rig, &new, probation, "");
    let reloading = reload(&rig.engine);
    new.await_entry(1);
    for _ in 0..3 {
        assert_eq!(rig.engine.run_cycle().failed, 1);
        rig.advance(1_000);
    }
    new.open_all();
    took(&reloading.join().unwrap(), 3);
    for _ in 0..3 {
        assert_eq!(rig.engine.run_cycle().completed, 1);
        rig.advance(1_000);
    }
    // Who would roll back has waited for this reload, and ends once nothing is on probation any more.
    rig.advance(60_000);
    wait_for("the end of the probation", || {
        let threads = threads_of("self");
        !threads.iter().any(|name| name.starts_with("plugin-probat"))
    });
    assert_eq!(rig.snapshot("a").generation, 3);
    assert!(!rig.causes("a").contains(&Cause::RolledBack));
}

#[test]
fn what_is_stopped_first_again_and_again_and_never_ends_is_refused_before_it_is_stopped() {
    let gate = Gate::new();
    let config = format!(
        "reload = \"stop-first\"\n{}",
        gate.settings("in_call = \"destroy\"")
    );
    let rig = Rig::new();
    rig.drop_as("gated", "a", &config);
    rig.load();
    let mut entered = 0;
    let refused = loop {
        rig.rebuild("gated", "a");
        let reloading = reload(&rig.engine);
        wait_for("the destroy or the end", || {
            gate.has_entered(entered + 1) || reloading.is_finished()
        });
        if gate.has_entered(entered + 1) {
            entered += 1;
            rig.advance(5_000);
        }
        if let Err(error) = reloading.join().unwrap() {
            break error;
        }
    };
    assert!(
        refused.to_string().contains("3 earlier instances"),
        "{refused}"
    );
    // The one that is active goes on.
    assert_eq!(rig.state("a"), PluginState::Enabled);
    assert_eq!(rig.engine.run_cycle().completed, 1);
    gate.open_all();
}

#[test]
fn what_a_policy_has_unloaded_while_it_was_stopped_for_a_reload_in_vain_is_not_put_back() {
    let gate = Gate::new();
    gate.open_all();
    let rig = Rig::new();
    let configure = |more: &str| {
        let policy = "reload = \"stop-first\"\npanic_limit = 2\non_unhealthy = \"unload\"\n";
        let settings = "then = \"panic\"\npanics_in_destroy = true\n";
        let settings = gate.settings(&format!("{settings}{more}"));
        rig.drop_as("gated", "p", &format!("{policy}{settings}"));
    };
    configure("");
    rig.load();
    assert_eq!(rig.engine.run_cycle().panicked, 1);
    configure("creates = 1");
    rig.engine.reload("p").unwrap_err();
    let snapshot = rig.snapshot("p");
    assert_eq!(snapshot.state, PluginState::Unloaded);
    assert_eq!(snapshot.version(), None);
    assert_eq!(rig.causes("p").last(), Some(&Cause::ReloadRefused));
}

#[test]
fn an_instance_that_is_left_while_updates_are_held_back_goes_with_the_next_cycle() {
    let dir = tempfile::tempdir().unwrap();
    let (panics, restores) = (dir.path().join("panics"), dir.path().join("restores"));
    let rig = Rig::new();
    let config =
        format!("panic_limit = 1\non_unhealthy = \"disable\"\n[settings]\nwhen = {panics:?}\n");
    rig.drop_as("thread-panics", "a", &config);
    rig.load();
    assert_eq!(rig.engine.run_cycle().completed, 1);
    rig.configure("a", &format!("{config}restores_when = {restores:?}\n"));
    let reloading = reload(&rig.engine);
    // Created, updated, and its state saved.
    wait_for("the hand-over", || rig.snapshot("a").counts.successes == 3);
    rig.advance(1_000);
    assert_eq!(rig.engine.run_cycle().skipped, 1, "updates are held back");
    std::fs::write(&panics, "").unwrap();
    wait_for("the panic", || rig.state("a") == PluginState::Disabled);
    wait_for("the end of the restore", || {
        rig.advance(5_000);
        reloading.is_finished()
    });
    reloading.join().unwrap().unwrap_err();
    let calls = rig.snapshot("a").counts.calls;
    let _ = rig.engine.run_cycle();
    assert_eq!(rig.snapshot("a").counts.calls, calls + 1, "a destroy");
    std::fs::write(&restores, "").unwrap();
}
