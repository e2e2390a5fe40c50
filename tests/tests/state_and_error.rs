//! State, error and all else of a snapshot are of one moment; an error stands until what it is about is mended.

use std::sync::atomic::{AtomicBool, Ordering};

use plugin_engine::{CallKind, Cause, FaultKind, PluginState, Snapshot};
use plugin_engine_tests::{Gate, Rig, wait_for};

/// Reads snapshots of `id` on several threads while `write` runs, and hands each to `check`, with the one before.
fn read_while(
    rig: &Rig,
    id: &str,
    check: impl Fn(&Snapshot, &Snapshot) + Sync,
    write: impl FnOnce(),
) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut before = rig.snapshot(id);
                while !done.load(Ordering::Relaxed) {
                    let now = rig.snapshot(id);
                    check(&before, &now);
                    before = now;
                }
            });
        }
        // Also when a writer fails, so that the readers end.
        struct Done<'a>(&'a AtomicBool);
        impl Drop for Done<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let _done = Done(&done);
        write();
    });
}

#[test]
fn no_reader_sees_fields_of_two_moments_while_an_error_comes_and_goes() {
    let rig = Rig::new();
    rig.drop_as(
        "fails",
        "fails",
        "interval = \"1ms\"\n[settings]\nevery = 2\n",
    );
    rig.load();
    let check = |before: &Snapshot, now: &Snapshot| {
        let running = now.state == PluginState::Running;
        let counts = &now.counts;
        let ended = counts.updates - u64::from(running);
        assert!(running || now.state == PluginState::Enabled, "{now:?}");
        assert_eq!(now.in_flight.is_some(), running, "{now:?}");
        // The create is a call and a success, too.
        assert_eq!(counts.calls, counts.updates + 1, "{now:?}");
        assert_eq!(counts.successes - 1 + counts.failures, ended, "{now:?}");
        assert_eq!(counts.failures, ended / 2, "{now:?}");
        // Mapped and created, then two entries for each update.
        assert_eq!(now.seq, 2 + 2 * ended + u64::from(running), "{now:?}");
        let message = now.error.as_ref().map(|error| error.message.to_string());
        let failed_last = ended > 0 && ended.is_multiple_of(2);
        let expected = failed_last.then(|| format!("update {ended} fails as asked"));
        assert_eq!(message, expected, "{now:?}");
        assert!(now.error.iter().all(|error| error.consecutive == 1));
        assert!(now.seq >= before.seq && counts.calls >= before.counts.calls);
    };
    read_while(&rig, "fails", check, || {
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..1_500 {
                        let _ = rig.engine.update("fails");
                    }
                });
            }
            for _ in 0..1_500 {
                let _ = rig.engine.run_cycle();
                rig.advance(1);
            }
        });
    });
    assert!(rig.snapshot("fails").counts.updates >= 3_000);
}

#[test]
fn the_state_error_never_comes_without_its_error_nor_the_error_without_the_state() {
    let rig = Rig::new();
    rig.drop_as("fails-permanently", "p", "[settings]\non_update = 1\n");
    rig.load();
    let check = |before: &Snapshot, now: &Snapshot| {
        let is_error = now.state == PluginState::Error;
        assert_eq!(now.error.is_some(), is_error, "{now:?}");
        assert_eq!(now.next_update.is_none(), is_error, "{now:?}");
        if let Some(error) = &now.error {
            assert_eq!(error.kind, FaultKind::Permanent, "{now:?}");
            assert!(!error.recoverable && error.at == now.since.unwrap());
        }
        assert!(now.seq >= before.seq, "{before:?} {now:?}");
    };
    read_while(&rig, "p", check, || {
        for _ in 0..1_000 {
            rig.engine.update("p").unwrap_err();
            rig.advance(1);
            rig.engine.enable("p").unwrap();
        }
    });
}

#[test]
fn running_means_that_an_update_is_in_flight_and_not_abandoned() {
    let (rig, gate) = (Rig::new(), Gate::new());
    rig.drop_as("gated", "gated", &gate.settings("obeys_cancel = true"));
    rig.load();
    let check = |_: &Snapshot, now: &Snapshot| {
        let call = now.in_flight;
        let running = now.state == PluginState::Running;
        let abandoned = call.is_some_and(|call| call.abandoned);
        let updates = call.is_none_or(|call| call.call == CallKind::Update);
        assert!(updates, "{now:?}");
        assert_eq!(running, call.is_some() && !abandoned, "{now:?}");
        let counts = &now.counts;
        assert_eq!(
            counts.timeouts - counts.late,
            u64::from(abandoned),
            "{now:?}"
        );
        assert_eq!(
            counts.updates - counts.timeouts,
            u64::from(running),
            "{now:?}"
        );
        let consecutive = now.error.as_ref().map_or(0, |error| error.consecutive);
        assert_eq!(u64::from(consecutive), counts.timeouts, "{now:?}");
    };
    read_while(&rig, "gated", check, || {
        for n in 1..=60 {
            let cycle = rig.engine.start_cycle();
            gate.await_entry(n);
            rig.advance(500);
            assert_eq!(cycle.wait().timed_out, 1);
            wait_for("the late return", || {
                rig.snapshot("gated").in_flight.is_none()
            });
            rig.advance(1_000);
        }
    });
}

#[test]
fn an_unknown_id_is_unloaded_without_error_and_with_an_empty_history() {
    let rig = Rig::new();
    for id in [
        "nobody",
        "",
        "../../etc",
        "UPPER",
        "\u{1b}[31m",
        &"x".repeat(10_000),
    ] {
        let snapshot = rig.snapshot(id);
        assert_eq!(snapshot.state, PluginState::Unloaded);
        assert_eq!(
            (snapshot.error, snapshot.since, snapshot.seq),
            (None, None, 0)
        );
        assert_eq!(rig.history(id), []);
        assert_eq!(rig.engine.history(id).lost(), 0);
        let text = rig.engine.update(id).unwrap_err().to_string();
        assert!(text.contains("no plugin") && text.len() < 300, "{text}");
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }
}

#[test]
fn a_recoverable_failure_stands_until_the_next_success_clears_it() {
    let rig = Rig::new();
    rig.drop_as("fails", "fails", "[settings]\nevery = 2\n");
    rig.load();
    rig.engine.update("fails").unwrap();
    let said = rig.engine.update("fails").unwrap_err().to_string();
    assert_eq!(said, "fails: failed: update 2 fails as asked");
    for _ in 0..3 {
        assert_eq!(
            rig.error("fails").unwrap(),
            "failed: update 2 fails as asked"
        );
        let _ = rig.engine.display("fails");
    }
    rig.engine.update("fails").unwrap();
    assert_eq!(rig.error("fails"), None);
}

#[test]
fn a_late_success_does_not_clear_the_error_of_its_timeout() {
    let (rig, gate) = (Rig::new(), Gate::new());
    rig.drop_as("gated", "gated", &gate.settings(""));
    rig.load();
    let cycle = rig.engine.start_cycle();
    gate.await_entry(1);
    rig.advance(500);
    let _ = cycle.wait();
    gate.open(1);
    wait_for("the late return", || rig.snapshot("gated").counts.late == 1);
    let snapshot = rig.snapshot("gated");
    assert_eq!(snapshot.error.unwrap().kind, FaultKind::Timeout);
    assert_eq!(
        (snapshot.last_success, snapshot.counts.successes),
        (None, 1)
    );
    gate.open_all();
    rig.engine.update("gated").unwrap();
    assert_eq!(rig.error("gated"), None);
}

#[test]
fn a_good_display_does_not_clear_the_error_of_an_update() {
    let rig = Rig::new();
    rig.drop_as("fails", "fails", "[settings]\nevery = 1\n");
    rig.load();
    rig.engine.update("fails").unwrap_err();
    rig.engine.display("fails").unwrap();
    assert_eq!(
        rig.error("fails").unwrap(),
        "failed: update 1 fails as asked"
    );
}

#[test]
fn a_good_update_does_not_clear_the_error_of_a_display() {
    let rig = Rig::new();
    rig.drop_in("panics-in-display");
    rig.load();
    rig.engine.display("panics-in-display").unwrap_err();
    assert_eq!(rig.engine.run_cycle().completed, 1);
    let error = rig.snapshot("panics-in-display").error.unwrap();
    assert_eq!(
        (error.kind, error.call),
        (FaultKind::Panic, Some(CallKind::Display))
    );
}

#[test]
fn a_display_that_failed_is_an_entry_that_changes_no_state() {
    let rig = Rig::new();
    rig.drop_in("panics-in-display");
    rig.load();
    rig.engine.display("panics-in-display").unwrap_err();
    let entry = rig.history("panics-in-display").pop().unwrap();
    assert_eq!(entry.cause, Cause::DisplayFailed);
    assert_eq!(
        (entry.from, entry.to),
        (PluginState::Enabled, PluginState::Enabled)
    );
}

#[test]
fn the_next_error_state_shows_its_own_cause_and_not_the_one_before() {
    let rig = Rig::new();
    rig.drop_as("fails-permanently", "p", "[settings]\non_update = 2\n");
    rig.load();
    rig.engine.update("p").unwrap();
    rig.engine.update("p").unwrap_err();
    let first = rig.snapshot("p").error.unwrap();
    rig.advance(5);
    rig.engine.reset("p").unwrap();
    assert_eq!(rig.error("p"), None);
    rig.engine.update("p").unwrap();
    rig.engine.update("p").unwrap_err();
    let second = rig.snapshot("p").error.unwrap();
    assert!(second.at > first.at, "{first} {second}");
}

#[test]
fn leaving_the_state_error_by_disable_or_unload_leaves_its_error_behind() {
    let rig = Rig::new();
    rig.drop_as("fails-permanently", "p", "[settings]\non_update = 1\n");
    rig.load();
    rig.engine.update("p").unwrap_err();
    rig.engine.disable("p").unwrap();
    assert_eq!(
        (rig.state("p"), rig.error("p")),
        (PluginState::Disabled, None)
    );
    rig.engine.enable("p").unwrap();
    rig.engine.update("p").unwrap_err();
    rig.engine.unload("p").unwrap();
    assert_eq!(
        (rig.state("p"), rig.error("p")),
        (PluginState::Unloaded, None)
    );
}

#[test]
fn a_create_that_fails_is_the_state_error_with_the_reason() {
    let rig = Rig::new();
    rig.drop_in("fails-in-create");
    let outcomes = rig.load_any();
    assert!(
        outcomes[0].to_string().contains("could not be created"),
        "{}",
        outcomes[0]
    );
    let snapshot = rig.snapshot("fails-in-create");
    assert_eq!(snapshot.state, PluginState::Error);
    let error = snapshot.error.unwrap();
    assert_eq!(
        (error.kind, error.call),
        (FaultKind::Permanent, Some(CallKind::Create))
    );
}

#[test]
fn a_snapshot_that_somebody_holds_does_not_change_any_more() {
    let rig = Rig::new();
    rig.drop_as("fails", "fails", "[settings]\nevery = 1\n");
    rig.load();
    rig.engine.update("fails").unwrap_err();
    let held = rig.snapshot("fails");
    let copy = format!("{held:?}");
    rig.engine.update("fails").unwrap_err();
    rig.engine.unload("fails").unwrap();
    assert_eq!(format!("{held:?}"), copy);
}
