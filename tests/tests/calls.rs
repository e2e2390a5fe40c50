//! One call at a time, each with its deadline, and the next one when it is due.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use plugin_engine::{CallKind, Cause, Error, FaultKind, PluginState};
use plugin_engine_tests::{Gate, Rig, StallClock, await_late, gated, time_out, wait_for};

#[test]
fn an_instance_has_one_call_at_a_time_however_many_threads_want_one() {
    let gate = Gate::new();
    let rig = gated(&gate, "one", "");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (rig, gate, done) = (&rig, &gate, &done);
        for n in 0..6 {
            scope.spawn(move || match n % 3 {
                0 => drop(rig.engine.run_cycle()),
                1 => rig.engine.update("one").unwrap(),
                _ => drop(rig.engine.display("one").unwrap()),
            });
        }
        scope.spawn(move || {
            // Displays do not stand in the gate, so the entries are the updates.
            for n in 1.. {
                wait_for("the next entry", || {
                    gate.has_entered(n) || done.load(Ordering::SeqCst)
                });
                if done.load(Ordering::SeqCst) {
                    return;
                }
                for _ in 0..20 {
                    let _ = rig.engine.start_cycle();
                    std::thread::yield_now();
                }
                assert!(
                    !gate.has_entered(n + 1),
                    "a second call entered during call {n}"
                );
                assert_eq!(rig.state("one"), PluginState::Running);
                gate.open(n);
            }
        });
        // The cycles come to an update of their own only if a command was not faster.
        wait_for("all to have had their turn", || {
            rig.snapshot("one").counts.successes >= 1 + 2 + 2
        });
        done.store(true, Ordering::SeqCst);
        gate.open_all();
    });
}

#[test]
fn a_command_that_meets_a_cycle_waits_for_it_and_is_then_done() {
    // Time runs fast here, and no call is to pass its deadline.
    let day = Duration::from_secs(86_400);
    let rig = Rig::with(|builder| builder.display_timeout(day));
    let config = "interval = \"1ms\"\ntimeout = \"1day\"\n";
    rig.drop_as("noop", "noop", config);
    rig.load();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (rig, done) = (&rig, &done);
        let asking: Vec<_> = (0..2)
            .map(|n| {
                scope.spawn(move || {
                    for _ in 0..5_000 {
                        let answer = if n == 0 {
                            rig.engine.update("noop")
                        } else {
                            rig.engine.display("noop").map(drop)
                        };
                        answer.unwrap();
                    }
                })
            })
            .collect();
        scope.spawn(move || {
            while !done.load(Ordering::Relaxed) {
                rig.advance(1);
                let _ = rig.engine.start_cycle();
            }
        });
        let ended: Vec<_> = asking.into_iter().map(|thread| thread.join()).collect();
        done.store(true, Ordering::Relaxed);
        assert!(ended.iter().all(Result::is_ok));
    });
}

#[test]
fn a_timeout_is_recorded_at_the_deadline_and_the_next_update_is_one_interval_later() {
    let gate = Gate::new();
    let rig = gated(&gate, "gated", "");
    let cycle = rig.engine.start_cycle();
    gate.await_entry(1);
    rig.advance(499);
    assert_eq!(rig.state("gated"), PluginState::Running);
    rig.advance(1);
    let snapshot = rig.snapshot("gated");
    assert_eq!(snapshot.state, PluginState::Enabled);
    let error = snapshot.error.unwrap();
    assert_eq!((error.kind, error.recoverable), (FaultKind::Timeout, true));
    assert_eq!(
        snapshot.next_update,
        Some(error.at.saturating_add(Duration::from_secs(1)))
    );
    assert_eq!(cycle.wait().timed_out, 1);
    gate.open_all();
    await_late(&rig, "gated", 1);
    rig.advance(999);
    assert_eq!(rig.engine.run_cycle().due, 0);
    rig.advance(1);
    assert_eq!(rig.engine.run_cycle().completed, 1);
}

#[test]
fn a_plugin_that_times_out_again_and_again_never_becomes_error() {
    let gate = Gate::new();
    let rig = gated(&gate, "gated", "obeys_cancel = true");
    for n in 1..=10 {
        time_out(&rig, &gate, n);
        assert_eq!(rig.state("gated"), PluginState::Enabled);
        assert_eq!(rig.snapshot("gated").error.unwrap().consecutive, n);
        await_late(&rig, "gated", n.into());
        rig.advance(1_000);
    }
}

#[test]
fn an_abandoned_call_is_not_overlapped_and_what_it_skips_is_counted() {
    let gate = Gate::new();
    let rig = gated(&gate, "gated", "");
    time_out(&rig, &gate, 1);
    for n in 1..=5 {
        rig.advance(1_000);
        assert_eq!(rig.engine.run_cycle().skipped, 1);
        assert_eq!(rig.snapshot("gated").counts.skipped, n);
        let said = rig.engine.update("gated").unwrap_err().to_string();
        assert_eq!(said, "gated: an abandoned call has not returned");
    }
    assert!(!gate.has_entered(2));
    let snapshot = rig.snapshot("gated");
    let call = snapshot.in_flight.unwrap();
    assert!(call.abandoned && call.call == CallKind::Update);
    let says = format!("it is running since {}", call.since);
    assert!(snapshot.error.unwrap().message.contains(&says));
}

#[test]
fn a_late_return_is_recorded_once_and_the_plugin_is_called_again() {
    for (then, next) in [("ok", 1), ("fail", 1), ("permanent", 1), ("panic", 1)] {
        let gate = Gate::new();
        let rig = gated(&gate, "gated", &format!("then = \"{then}\""));
        time_out(&rig, &gate, 1);
        let before = rig.snapshot("gated").counts;
        gate.open(1);
        await_late(&rig, "gated", 1);
        let after = rig.snapshot("gated");
        let same = (
            before.successes,
            before.failures,
            before.panics,
            before.timeouts,
        );
        let counts = after.counts;
        assert_eq!(
            same,
            (
                counts.successes,
                counts.failures,
                counts.panics,
                counts.timeouts
            )
        );
        assert_eq!(after.state, PluginState::Enabled);
        let late = rig.engine.history("gated").cause(Cause::ReturnedLate);
        let late: Vec<_> = late.into_iter().collect();
        assert_eq!(late.len(), 1);
        assert_eq!(
            (late[0].from, late[0].to),
            (PluginState::Enabled, PluginState::Enabled)
        );
        rig.advance(1_000);
        let cycle = rig.engine.start_cycle();
        gate.await_entry(1 + next);
        gate.open_all();
        let report = cycle.wait();
        assert_eq!(
            (report.due, report.skipped, report.timed_out),
            (1, 0, 0),
            "{then}"
        );
    }
}

#[test]
fn the_end_and_the_deadline_of_a_call_have_exactly_one_winner() {
    let (gate, clock) = (Gate::new(), StallClock::new());
    let same = clock.clone();
    let rig = Rig::with(|builder| builder.clock(same));
    rig.drop_as("gated", "gated", &gate.settings(""));
    rig.load();
    let cycle = rig.engine.start_cycle();
    gate.await_entry(1);
    // The update has returned, and its worker is held up before it can say so.
    clock.stall("plugin-worker");
    gate.open(1);
    gate.await_exit(1);
    clock.await_stalled();
    clock.advance(500);
    assert_eq!(cycle.wait().timed_out, 1);
    clock.release();
    await_late(&rig, "gated", 1);
    let counts = rig.snapshot("gated").counts;
    assert_eq!((counts.updates, counts.timeouts, counts.late), (1, 1, 1));
    assert_eq!((counts.successes, cycle.report().completed), (1, 0));
    assert_eq!(
        rig.causes("gated")[2..],
        [
            Cause::UpdateStarted,
            Cause::UpdateTimedOut,
            Cause::ReturnedLate
        ]
    );
}

#[test]
fn a_call_that_ends_just_before_its_deadline_is_no_timeout() {
    let gate = Gate::new();
    let rig = gated(&gate, "gated", "");
    let cycle = rig.engine.start_cycle();
    gate.await_entry(1);
    rig.advance(499);
    gate.open(1);
    assert_eq!(cycle.wait().completed, 1);
    rig.advance(1);
    assert_eq!(
        (rig.snapshot("gated").counts.timeouts, rig.error("gated")),
        (0, None)
    );
}

#[test]
fn retry_after_replaces_the_interval_for_the_next_try() {
    let rig = Rig::new();
    rig.drop_as(
        "fails",
        "fails",
        "[settings]\nevery = 2\nretry_after_ms = 50\n",
    );
    rig.load();
    assert_eq!(rig.engine.run_cycle().completed, 1);
    rig.advance(1_000);
    assert_eq!(rig.engine.run_cycle().failed, 1);
    rig.advance(49);
    assert_eq!(rig.engine.run_cycle().due, 0);
    rig.advance(1);
    assert_eq!(rig.engine.run_cycle().completed, 1);
    rig.advance(999);
    assert_eq!(rig.engine.run_cycle().due, 0);
}

#[test]
fn a_failing_plugin_is_called_once_per_interval() {
    let rig = Rig::new();
    rig.drop_as("fails", "fails", "[settings]\nevery = 1\n");
    rig.load();
    for tick in 1..=10 {
        for _ in 0..3 {
            let _ = rig.engine.run_cycle();
        }
        assert_eq!(rig.snapshot("fails").counts.updates, tick);
        rig.advance(1_000);
    }
}

#[test]
fn slow_successes_do_not_drift_and_missed_ticks_are_skipped_and_counted() {
    let gate = Gate::new();
    let rig = Rig::new();
    let config = format!("timeout = \"10s\"\n{}", gate.settings(""));
    rig.drop_as("gated", "gated", &config);
    rig.load();
    let due = |rig: &Rig| rig.engine.next_due().unwrap().as_nanos() / 1_000_000;
    let cycle = rig.engine.start_cycle();
    gate.await_entry(1);
    rig.advance(300);
    gate.open(1);
    let _ = cycle.wait();
    assert_eq!(due(&rig), 1_000);
    rig.advance(700);
    let cycle = rig.engine.start_cycle();
    gate.await_entry(2);
    rig.advance(2_500);
    gate.open_all();
    let _ = cycle.wait();
    // The ticks of 2 s and 3 s came while it ran.
    assert_eq!(rig.snapshot("gated").counts.skipped, 2);
    let _ = rig.engine.run_cycle();
    assert_eq!(
        (rig.snapshot("gated").counts.updates, due(&rig)),
        (2, 4_000)
    );
    rig.advance(10_000);
    assert_eq!(rig.engine.run_cycle().completed, 1);
    assert_eq!(rig.engine.run_cycle().due, 0);
    assert_eq!(rig.snapshot("gated").counts.skipped, 2 + 9);
}

#[test]
fn a_call_sees_that_it_is_cancelled_when_its_deadline_passes() {
    let gate = Gate::new();
    let rig = gated(&gate, "gated", "obeys_cancel = true");
    time_out(&rig, &gate, 1);
    await_late(&rig, "gated", 1);
}

#[test]
fn a_call_sees_that_it_is_cancelled_when_its_plugin_is_switched_off() {
    let gate = Gate::new();
    let rig = gated(&gate, "gated", "obeys_cancel = true");
    let cycle = rig.engine.start_cycle();
    gate.await_entry(1);
    rig.engine.disable("gated").unwrap();
    assert_eq!(cycle.wait().completed, 1);
    assert_eq!(rig.state("gated"), PluginState::Disabled);
}

#[test]
fn a_call_sees_that_it_is_cancelled_when_the_engine_shuts_down() {
    let gate = Gate::new();
    let rig = gated(&gate, "gated", "obeys_cancel = true");
    let cycle = rig.engine.start_cycle();
    gate.await_entry(1);
    rig.engine.shutdown(Duration::from_secs(60)).unwrap();
    assert_eq!(cycle.wait().completed, 1);
    assert_eq!(rig.engine.stuck_calls(), []);
}

#[test]
fn a_display_that_hangs_is_abandoned_and_leaves_the_updates_alone() {
    let gate = Gate::new();
    let rig = gated(&gate, "gated", "in_call = \"display\"");
    let _ = rig.engine.run_cycle();
    std::thread::scope(|scope| {
        let shown = scope.spawn(|| rig.engine.display("gated"));
        gate.await_entry(1);
        assert_eq!(rig.state("gated"), PluginState::Enabled);
        rig.advance(2_000);
        let error = shown.join().unwrap().unwrap_err();
        assert!(matches!(&error, Error::Fault { fault, .. } if fault.kind == FaultKind::Timeout));
    });
    assert_eq!(rig.engine.run_cycle().skipped, 1);
    gate.open(1);
    await_late(&rig, "gated", 1);
    rig.advance(1_000);
    assert_eq!(rig.engine.run_cycle().completed, 1);
}
